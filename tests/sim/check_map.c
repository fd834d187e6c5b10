/* A version of the cluster's map is one map, everywhere and for ever; what a node or a router knows
 * of it never goes back in one life: its version, and a router's vnode epochs. */
#include "shard/codec.h"
#include "tests/sim/ledger.h"

static uint64_t hash_of(struct sim *sim, const struct shard_map *map)
{
    struct base_bytes encoded;
    shard_codec_map_encode(map, sim->allocator, &encoded);
    uint64_t hash = base_hash(encoded);
    base_free(sim->allocator, (void *)(uintptr_t)encoded.data, encoded.size);
    return hash;
}

void check_node_map(struct sim *sim, struct sim_host *host)
{
    struct ledger *ledger = sim->ledger;
    const struct shard_map *map = shard_node_map(host->node);
    if (map->version == host->map_version)
        return;
    if (map->version < host->map_version)
        sim_fail(sim, "map", "node %u goes back from map %llu to map %llu", host->id,
                 (unsigned long long)host->map_version, (unsigned long long)map->version);
    host->map_version = map->version;
    sim->coverage->maps_taken++;
    size_t before = ledger->maps_capacity;
    ledger->maps = base_array_reserve(sim->allocator, ledger->maps, &ledger->maps_capacity,
                                      (size_t)map->version + 1, sizeof(*ledger->maps));
    for (size_t i = before; i < ledger->maps_capacity; i++)
        ledger->maps[i] = 0;
    uint64_t hash = hash_of(sim, map);
    if (ledger->maps[map->version] != 0 && ledger->maps[map->version] != hash)
        sim_fail(sim, "map", "node %u has another map %llu than others", host->id,
                 (unsigned long long)map->version);
    ledger->maps[map->version] = hash;
}

void check_router_map(struct sim *sim, struct sim_router *router)
{
    const struct router_map *map = router_courier_map(sim_router_courier(router));
    if (map == NULL || map->version == router->map_version)
        return;
    if (map->version < router->map_version)
        sim_fail(sim, "map", "router %u goes back from map %llu to map %llu", router->index + 1,
                 (unsigned long long)router->map_version, (unsigned long long)map->version);
    router->map_version = map->version;
    for (uint32_t vnode = 0; vnode < 1u << sim->options.vnode_bits; vnode++) {
        uint64_t epoch = ring_owner_at(map->ring, vnode).epoch;
        if (epoch < router->epochs[vnode])
            sim_fail(sim, "map", "router %u goes back in vnode %u", router->index + 1, vnode);
        router->epochs[vnode] = epoch;
    }
}
