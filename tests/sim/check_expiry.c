/*
 * What expires is there until then, and gone for ever after. Keys of this kind are only put, with a
 * time to live, and read; each put writes a value of its own, so a read tells whose it saw.
 *
 * Order is that of ticks: one of another put that was asked for when this one had ended has
 * replaced it. Ends are judged in the group's own time, which a library's answer carries. Who asks
 * over RESP sees neither clock nor version: there the clocks that were in a state when a thing was
 * asked for, and when it was answered, are bounds.
 */
#include "base/assert.h"
#include "base/hlc.h"
#include "ring/token.h"
#include "tests/sim/sim.h"

/* By then no copy of a request that was given up can still be executed. */
enum { EXPIRY_GHOST_US = 60000000 };

/* So many more than were kept: then it is time to forget. */
enum { EXPIRY_FORGET_EVERY = 64 };

struct sim_put {
    uint64_t value; /* Hash. */
    uint64_t asked, asked_us;
    uint64_t ended; /* Answered; 0: not, or it is not known how. */
    bool failed;    /* Never done. */
    uint64_t version, ttl_ms;
    uint64_t end_min_ms, end_max_ms; /* Of its time to live. */
};

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t clock_ms(const struct sim *sim, const struct sim_key *key)
{
    uint64_t token = ring_token(base_bytes_text(key->name), sim->options.vnode_bits);
    uint32_t group = sim->map.owners[ring_vnode(token, sim->options.vnode_bits)];
    return base_hlc_to_ms(sim->clocks[group]);
}

void check_expiry_free(struct sim *sim, struct sim_key *key)
{
    base_array_free(sim->allocator, key->expiry.puts, &key->expiry.capacity,
                    sizeof(*key->expiry.puts));
}

/* The `newest` of the read or put under way that may see most of what was. */
static uint64_t oldest_view(const struct sim *sim, const struct sim_key *key)
{
    uint64_t oldest = key->expiry.newest;
    for (uint32_t i = 0; i < sim->options.clients; i++) {
        for (uint32_t k = 0; k < SIM_TASKS_MAX; k++) {
            const struct sim_task *task = &sim->clients[i].tasks[k];
            if (task->busy && &sim->keys[task->key] == key && task->expiry.newest < oldest)
                oldest = task->expiry.newest;
        }
    }
    return oldest;
}

/* Puts that were not done, and those that nobody may see any more, as another one replaced them. */
static void forget(const struct sim *sim, struct sim_key *key)
{
    struct sim_expiry *expiry = &key->expiry;
    if (expiry->count < expiry->kept + EXPIRY_FORGET_EVERY)
        return;
    uint64_t oldest = oldest_view(sim, key);
    expiry->kept = 0;
    for (size_t i = 0; i < expiry->count; i++) {
        const struct sim_put *put = &expiry->puts[i];
        if (!put->failed && (put->ended == 0 || put->ended >= oldest))
            expiry->puts[expiry->kept++] = *put;
    }
    expiry->count = expiry->kept;
}

void check_expiry_asked(struct sim *sim, struct sim_key *key, struct sim_task *task)
{
    struct sim_expiry *expiry = &key->expiry;
    if (key->kind != SIM_KEY_EXPIRING)
        return;
    task->expiry = (struct sim_expiry_asked){.tick = ++sim->tick,
                                             .newest = expiry->newest,
                                             .newest_us = expiry->newest_us,
                                             .gone = expiry->gone,
                                             .clock_ms = clock_ms(sim, key)};
    if (task->op.type != WIRE_OP_PUT)
        return;
    forget(sim, key);
    expiry->puts = base_array_reserve(sim->allocator, expiry->puts, &expiry->capacity,
                                      expiry->count + 1, sizeof(*expiry->puts));
    expiry->puts[expiry->count++] =
        (struct sim_put){.value = base_hash(task->op.value),
                         .asked = task->expiry.tick,
                         .asked_us = sim->now_us,
                         .ttl_ms = task->op.b,
                         .end_min_ms = task->expiry.clock_ms + task->op.b,
                         .end_max_ms = UINT64_MAX};
}

/* It was done. */
static void take_effect(struct sim_expiry *expiry, const struct sim_put *put)
{
    if (put->asked <= expiry->newest)
        return;
    expiry->newest = put->asked;
    expiry->newest_us = put->asked_us;
}

/* Its version is known: so is its end. 0: it is not, but it was done by now. */
static void bound_end(struct sim *sim, const struct sim_key *key, struct sim_put *put,
                      uint64_t version)
{
    uint64_t most_ms = clock_ms(sim, key) + put->ttl_ms;
    put->end_max_ms = most_ms < put->end_max_ms ? most_ms : put->end_max_ms;
    if (version == 0)
        return;
    if (put->version != 0 && put->version != version)
        sim_fail(sim, "expiry", "key %s: what was put at version %llu is seen at version %llu",
                 key->name, (unsigned long long)put->version, (unsigned long long)version);
    put->version = version;
    put->end_min_ms = put->end_max_ms = base_hlc_to_ms(version) + put->ttl_ms;
}

/* ---- A value was seen. */

static struct sim_put *put_of(struct sim *sim, const struct sim_key *key, struct base_bytes value)
{
    uint64_t hash = base_hash(value);
    for (size_t i = key->expiry.count; i > 0; i--) {
        if (key->expiry.puts[i - 1].value == hash && !key->expiry.puts[i - 1].failed)
            return &key->expiry.puts[i - 1];
    }
    sim_fail(sim, "expiry", "key %s holds '%.*s', which nobody put there, or was long replaced",
             key->name, (int)(value.size < 40 ? value.size : 40), (const char *)value.data);
}

/* Those who asked before this one may see more than it was. */
static void check_order(struct sim *sim, const struct sim_key *key, const struct sim_put *put,
                        const struct sim_task *task)
{
    if (put->ended != 0 && put->ended < task->expiry.newest)
        sim_fail(sim, "expiry", "key %s: a value is seen that another put had replaced", key->name);
    if (put->ended != 0 && put->ended < task->expiry.gone)
        sim_fail(sim, "expiry", "key %s comes back: it was said to be gone", key->name);
}

static void seen(struct sim *sim, struct sim_key *key, const struct sim_task *task,
                 const struct router_outcome *outcome)
{
    const struct wire_result *result = outcome->result;
    struct sim_put *put = put_of(sim, key, result->bytes);
    uint64_t now_ms = base_hlc_to_ms(outcome->clock);
    check_order(sim, key, put, task);
    bound_end(sim, key, put, result->version);
    take_effect(&key->expiry, put);
    if (result->version != 0 && result->number != put->end_max_ms)
        sim_fail(sim, "expiry", "key %s, version %llu, has until %llu, and was put until %llu",
                 key->name, (unsigned long long)result->version, (unsigned long long)result->number,
                 (unsigned long long)put->end_max_ms);
    if (later(now_ms, task->expiry.clock_ms) >= put->end_max_ms)
        sim_fail(sim, "expiry", "key %s is seen at %llu and expired at %llu", key->name,
                 (unsigned long long)later(now_ms, task->expiry.clock_ms),
                 (unsigned long long)put->end_max_ms);
}

/* ---- Nothing was there. */

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

/* Whether a read may have found it. */
static bool may_stand(const struct sim_put *put, const struct sim_task *task)
{
    bool replaced = put->ended != 0 && put->ended < task->expiry.newest;
    bool ghost = put->ended == 0 && put->asked < task->expiry.newest &&
                 put->asked_us + EXPIRY_GHOST_US < task->expiry.newest_us;
    return !put->failed && !replaced && !ghost;
}

/* When the first of those that the read may have found was over. */
static uint64_t first_end(const struct sim_expiry *expiry, const struct sim_task *task)
{
    uint64_t first_ms = UINT64_MAX;
    for (size_t i = 0; i < expiry->count; i++) {
        const struct sim_put *put = &expiry->puts[i];
        if (may_stand(put, task) && put->end_min_ms < first_ms)
            first_ms = put->end_min_ms;
    }
    return first_ms;
}

static void gone(struct sim *sim, struct sim_key *key, const struct sim_task *task,
                 const struct router_outcome *outcome)
{
    sim->coverage->expired_reads++;
    key->expiry.gone = later(key->expiry.gone, task->expiry.tick);
    if (task->expiry.newest == 0)
        return; /* Nothing had been put. */
    uint64_t end_ms = first_end(&key->expiry, task);
    uint64_t token = ring_token(base_bytes_text(key->name), sim->options.vnode_bits);
    uint32_t group = sim->map.owners[ring_vnode(token, sim->options.vnode_bits)];
    if (base_hlc_to_ms(state_clock(sim, group)) < end_ms)
        sim_fail(sim, "expiry", "key %s is gone, and the clock of group %u has not come so far",
                 key->name, group);
    if (outcome->clock != 0 && base_hlc_to_ms(outcome->clock) < end_ms)
        sim_fail(sim, "expiry", "key %s is gone at %llu and has until %llu", key->name,
                 (unsigned long long)base_hlc_to_ms(outcome->clock), (unsigned long long)end_ms);
}

/* ---- What became of a put. */

static struct sim_put *put_asked_at(const struct sim_key *key, uint64_t tick)
{
    size_t i = key->expiry.count;
    while (i > 0 && key->expiry.puts[i - 1].asked != tick)
        i--;
    TORC_ASSERT(i > 0); /* Nobody forgets one that is under way. */
    return &key->expiry.puts[i - 1];
}

static void put_ended(struct sim *sim, struct sim_key *key, const struct sim_task *task,
                      const struct router_outcome *outcome)
{
    struct sim_put *put = put_asked_at(key, task->expiry.tick);
    put->failed = outcome->type == ROUTER_NOTHING_DONE;
    if (outcome->type != ROUTER_ANSWERED)
        return;
    put->ended = ++sim->tick;
    bound_end(sim, key, put, outcome->result->version);
    take_effect(&key->expiry, put);
}

void check_expiry(struct sim *sim, const struct sim_task *task,
                  const struct router_outcome *outcome)
{
    struct sim_key *key = &sim->keys[task->key];
    if (key->kind != SIM_KEY_EXPIRING)
        return;
    if (task->op.type == WIRE_OP_PUT)
        put_ended(sim, key, task, outcome);
    else if (outcome->type == ROUTER_ANSWERED && outcome->result->kind == WIRE_RESULT_BYTES)
        seen(sim, key, task, outcome);
    else if (outcome->type == ROUTER_ANSWERED && outcome->result->kind == WIRE_RESULT_NIL)
        gone(sim, key, task, outcome);
}
