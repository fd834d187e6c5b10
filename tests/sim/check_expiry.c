/*
 * What expires is there until then, and gone for ever after: all judged in the group's own time,
 * which an answer carries. Keys of this kind are only put, with a time to live, and read.
 */
#include "base/hlc.h"
#include "tests/sim/sim.h"

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void check_expiry_asked(const struct sim_key *key, struct sim_task *task)
{
    task->known = key->expiry.known;
    task->gone = key->expiry.gone;
    task->puts = key->expiry.puts;
    task->settled = key->expiry.ended == key->expiry.puts;
}

/* A version has one end: that of its put, which is also what reads tell. */
static void heard(struct sim *sim, const struct sim_key *key, struct sim_expiry *expiry,
                  uint64_t version, uint64_t until_ms)
{
    if (version == expiry->known && until_ms != expiry->until_ms)
        sim_fail(sim, "expiry",
                 "key %s, version %llu, has until %llu, and was said to have until %llu", key->name,
                 (unsigned long long)version, (unsigned long long)until_ms,
                 (unsigned long long)expiry->until_ms);
    if (version <= expiry->known)
        return;
    expiry->known = version;
    expiry->until_ms = until_ms;
}

/* What is seen was put there: values are unique. */
static void check_value(struct sim *sim, const struct sim_key *key, struct base_bytes value)
{
    uint64_t hash = base_hash(value);
    for (size_t i = key->value_count; i > 0; i--) {
        if (key->values[i - 1] == hash)
            return;
    }
    sim_fail(sim, "expiry", "key %s holds '%.*s', which nobody put there", key->name,
             (int)(value.size < 40 ? value.size : 40), (const char *)value.data);
}

static void seen(struct sim *sim, struct sim_key *key, const struct sim_task *task,
                 const struct router_outcome *outcome)
{
    const struct wire_result *result = outcome->result;
    uint64_t now_ms = base_hlc_to_ms(outcome->clock);
    check_value(sim, key, result->bytes);
    if (result->version == 0)
        return; /* Who asked over RESP sees a value and no more. */
    if (result->number != 0 && result->number <= now_ms)
        sim_fail(sim, "expiry", "key %s is seen at %llu and expired at %llu", key->name,
                 (unsigned long long)now_ms, (unsigned long long)result->number);
    if (result->version <= task->gone)
        sim_fail(sim, "expiry", "key %s comes back: version %llu was said to be gone", key->name,
                 (unsigned long long)result->version);
    heard(sim, key, &key->expiry, result->version, result->number);
}

/* The highest clock that was in a state of a group; UINT64_MAX: who has it may be away. */
static uint64_t state_clock(struct sim *sim, uint32_t group)
{
    uint64_t clock = sim->clocks[group];
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        struct shard_machine_info info;
        if (sim->hosts[i].node == NULL || sim->hosts[i].identity != SIM_GENUINE)
            return UINT64_MAX;
        if (shard_node_machine_info(sim->hosts[i].node, group, &info))
            clock = later(clock, info.clock);
    }
    return clock;
}

static void gone(struct sim *sim, struct sim_key *key, const struct sim_task *task,
                 const struct router_outcome *outcome)
{
    struct sim_expiry *expiry = &key->expiry;
    uint64_t now_ms = base_hlc_to_ms(outcome->clock);
    sim->coverage->expired_reads++;
    expiry->gone = later(expiry->gone, task->known);
    /* While no put is under way, and none ended nobody knows how, the newest one is known. */
    bool settled = outcome->clock != 0 && task->settled && task->puts == expiry->puts;
    if (settled && base_hlc_to_ms(state_clock(sim, outcome->group)) < expiry->until_ms)
        sim_fail(sim, "expiry", "key %s is gone, and the clock of group %u has not come so far",
                 key->name, outcome->group);
    if (settled && expiry->until_ms > now_ms)
        sim_fail(sim, "expiry", "key %s is gone at %llu and has until %llu", key->name,
                 (unsigned long long)now_ms, (unsigned long long)expiry->until_ms);
}

void check_expiry(struct sim *sim, const struct sim_task *task,
                  const struct router_outcome *outcome)
{
    struct sim_key *key = &sim->keys[task->key];
    bool answered = outcome->type == ROUTER_ANSWERED;
    if (key->kind != SIM_KEY_EXPIRING)
        return;
    if (task->op.type == WIRE_OP_PUT) {
        bool told = answered && outcome->result->version != 0;
        key->expiry.ended += told || outcome->type == ROUTER_NOTHING_DONE;
        if (told)
            heard(sim, key, &key->expiry, outcome->result->version,
                  base_hlc_to_ms(outcome->result->version) + task->op.b);
    } else if (answered && outcome->result->kind == WIRE_RESULT_BYTES) {
        seen(sim, key, task, outcome);
    } else if (answered && outcome->result->kind == WIRE_RESULT_NIL) {
        gone(sim, key, task, outcome);
    }
}
