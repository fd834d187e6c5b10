/* A vnode is owned by one group at each of its epochs, at every moment, and by exactly one at rest
 * (S15): by what the groups' replicas hold, not by what the map says. */
#include "shard/keys.h"
#include "tests/sim/sim.h"

static bool read_vnode(struct sim_host *host, uint32_t group, uint32_t vnode,
                       struct shard_vnode_state *ret_state)
{
    uint8_t key[SHARD_KEY_VNODE_SIZE];
    shard_key_vnode_write(key, group, vnode);
    struct store_value value;
    if (store_kv_get(host->gather, NULL, base_bytes_of(key, sizeof(key)), &value) != TORC_OK)
        return false;
    bool whole = shard_vnode_state_read(value.bytes, ret_state) == TORC_OK;
    store_value_release(&value);
    return whole;
}

/* After something was applied: the next vnode in turn, so that all come by, again and again. */
void check_owner(struct sim *sim, struct sim_host *host, uint32_t group)
{
    struct shard_vnode_state state;
    uint32_t vnode = host->vnode_next++ % (1u << sim->options.vnode_bits);
    if (!read_vnode(host, group, vnode, &state) || !state.owned)
        return;
    struct sim_owner *owner = &sim->owners[vnode];
    sim->coverage->owners_seen++;
    if (state.epoch > owner->epoch)
        *owner = (struct sim_owner){.epoch = state.epoch, .group = group};
    if (owner->epoch == state.epoch && owner->group != group)
        sim_fail(sim, "ownership", "S15: vnode %u is owned by groups %u and %u at epoch %llu",
                 vnode, owner->group, group, (unsigned long long)state.epoch);
}

static bool owns(struct sim_host *host, uint32_t group, uint32_t vnode)
{
    struct shard_vnode_state state;
    return read_vnode(host, group, vnode, &state) && state.owned;
}

void check_owners(struct sim *sim)
{
    for (uint32_t vnode = 0; vnode < 1u << sim->options.vnode_bits; vnode++) {
        uint32_t owners = 0;
        for (uint32_t g = 1; g <= sim->options.groups; g++)
            owners += owns(host_leader(sim, g), g, vnode);
        if (owners != 1)
            sim_fail(sim, "ownership", "vnode %u is owned by %u groups", vnode, owners);
    }
}
