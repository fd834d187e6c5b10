/* At rest every vnode is owned by exactly one group: what the groups' replicas hold, not what the
 * map says. */
#include "shard/keys.h"
#include "tests/sim/sim.h"

static bool owns(struct sim_host *host, uint32_t group, uint32_t vnode)
{
    uint8_t key[SHARD_KEY_VNODE_SIZE];
    shard_key_vnode_write(key, group, vnode);
    struct store_value value;
    if (store_kv_get(host->kv, NULL, base_bytes_of(key, sizeof(key)), &value) != TORC_OK)
        return false;
    struct shard_vnode_state state;
    bool owned = shard_vnode_state_read(value.bytes, &state) == TORC_OK && state.owned;
    store_value_release(&value);
    return owned;
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
