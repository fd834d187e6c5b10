/* Replicas that have applied the same slots hold the same state (S7); what is applied never goes
 * back in one life. The hash is the state machine's own, read from what is written. */
#include "shard/keys.h"
#include "tests/sim/ledger.h"

enum { CHECK_UNMOVED_TURNS = 50 };

static bool read_state(struct sim_host *host, uint32_t group, struct shard_state *ret_state)
{
    uint8_t key[SHARD_KEY_STATE_SIZE];
    shard_key_state_write(key, group);
    struct store_value value;
    if (store_kv_get(host->gather, NULL, base_bytes_of(key, sizeof(key)), &value) != TORC_OK)
        return false;
    bool whole = shard_state_read(value.bytes, ret_state) == TORC_OK;
    store_value_release(&value);
    return whole;
}

static void compare(struct sim *sim, const struct sim_host *host, uint32_t group,
                    const struct shard_state *state)
{
    size_t before = sim->slots_capacity[group];
    sim->slots[group] =
        base_array_reserve(sim->allocator, sim->slots[group], &sim->slots_capacity[group],
                           state->slot + 1, sizeof(*sim->slots[group]));
    for (size_t i = before; i < sim->slots_capacity[group]; i++)
        sim->slots[group][i] = (struct sim_slot){0};
    struct sim_slot *slot = &sim->slots[group][state->slot];
    sim->coverage->states_compared += slot->known;
    if (slot->known && slot->hash != state->hash)
        sim_fail(sim, "agreement", "group %u, slot %llu: node %u has another state", group,
                 (unsigned long long)state->slot, host->id);
    *slot = (struct sim_slot){.hash = state->hash, .known = true};
}

void check_state(struct sim *sim, struct sim_host *host)
{
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        struct consensus_info info;
        struct shard_state state;
        if (!shard_node_replica_info(host->node, g, &info))
            continue;
        sim->coverage->stalls += host->refusing && host->applied[g] < info.chosen;
        /* Nothing should have been written: looked at now and then. */
        if (info.applied == host->applied[g] && host->turns % CHECK_UNMOVED_TURNS != 0)
            continue;
        if (!read_state(host, g, &state))
            continue;
        if (state.slot == host->applied[g])
            continue;
        if (state.slot < host->applied[g] || state.slot > info.chosen)
            sim_fail(sim, "agreement", "group %u on node %u: applied %llu after %llu, chosen %llu",
                     g, host->id, (unsigned long long)state.slot,
                     (unsigned long long)host->applied[g], (unsigned long long)info.chosen);
        if (host->identity == SIM_GENUINE)
            check_applied(sim, host, g, &state);
        host->applied[g] = state.slot;
        check_clock(sim, g, state.clock);
        if (state.clock > sim->clocks[g])
            sim->clocks[g] = state.clock;
        sim_trace(sim, "applied", host->index, g, state.slot, state.hash);
        sim_note(sim, state.hash);
        compare(sim, host, g, &state);
        check_owner(sim, host, g);
    }
}
