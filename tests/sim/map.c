#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "shard/codec.h"
#include "tests/sim/sim.h"

enum { MAP_RETRY_US = 400000 };

static void make_groups(struct sim *sim)
{
    const struct sim_options *options = &sim->options;
    struct shard_map *map = &sim->map;
    map->next_replica = 1;
    for (uint32_t g = 0; g <= options->groups; g++) {
        map->groups[g].id = g;
        map->groups[g].consensus = SHARD_CONSENSUS_PAXOS;
        map->groups[g].replica_count = options->replicas;
        for (uint32_t i = 0; i < options->replicas; i++)
            map->groups[g].replicas[i] =
                (struct shard_map_replica){.id = map->next_replica++,
                                           .node = 1 + (g + i) % options->nodes,
                                           .voter = true,
                                           .used = g == 0};
    }
}

void map_make(struct sim *sim)
{
    const struct sim_options *options = &sim->options;
    struct shard_map *map = &sim->map;
    shard_map_init(map, sim->allocator);
    shard_map_reserve(map, options->nodes, options->groups + 1, options->vnode_bits);
    map->cluster = sim->cluster;
    map->version = 1;
    map->feature_level = 1;
    map->read_mode = options->lease_ms > 0 ? CONSENSUS_READ_LEASE : CONSENSUS_READ_QUORUM;
    map->lease_ms = options->lease_ms;
    map->limits = options->limits;
    for (uint32_t i = 0; i < options->nodes; i++) {
        map->nodes[i].id = i + 1;
        memcpy(map->nodes[i].storage.bytes, sim->hosts[i].superblock.storage_id, WIRE_ID_SIZE);
        memcpy(map->nodes[i].address, sim->addresses[i], SHARD_ADDRESS_SIZE);
    }
    make_groups(sim);
    for (uint32_t vnode = 0; vnode < 1u << options->vnode_bits; vnode++) {
        map->owners[vnode] = 1 + vnode % options->groups;
        map->epochs[vnode] = 1;
    }
    const char *flaw = shard_map_flaw(map);
    if (flaw != NULL)
        sim_fail(sim, "setup", "the first map is wrong: %s", flaw);
}

static void send_init(struct sim *sim, uint32_t to, const Torc__Wire__Init *init)
{
    size_t size = protobuf_c_message_get_packed_size(&init->base);
    uint8_t *packed = base_alloc(sim->allocator, size);
    protobuf_c_message_pack(&init->base, packed);
    struct wire_envelope envelope = {.type = WIRE_TYPE_INIT,
                                     .cluster = sim->cluster,
                                     .incarnation = 1,
                                     .number = ++sim->tool_number,
                                     .body = base_bytes_of(packed, size)};
    size_t whole = wire_envelope_size(&envelope);
    sim->message =
        base_array_reserve(sim->allocator, sim->message, &sim->message_capacity, whole, 1);
    wire_envelope_write(&envelope, sim->message);
    network_send(sim,
                 (struct sim_head){.from = SIM_TOOL, .to = to, .route = sim_route(SIM_TOOL, 1)},
                 base_bytes_of(sim->message, whole));
    base_free(sim->allocator, packed, size);
}

/* To the nodes that have none yet, until all have it; once the cluster is born, to a latecomer. */
static bool wants_map(const struct sim *sim, const struct sim_host *host)
{
    bool has = host->node != NULL && shard_node_map(host->node)->version > 0;
    return !has && (!sim->born || (host->late && host->identity == SIM_GENUINE && !host->lost));
}

void map_send(struct sim *sim)
{
    struct base_bytes encoded;
    shard_codec_map_encode(&sim->map, sim->allocator, &encoded);
    Torc__Wire__Map *message = torc__wire__map__unpack(NULL, encoded.size, encoded.data);
    TORC_ASSERT(message != NULL);
    Torc__Wire__Init init = TORC__WIRE__INIT__INIT;
    init.map = message;
    bool missing = false;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (!wants_map(sim, &sim->hosts[i]))
            continue;
        missing = true;
        if (sim->hosts[i].node != NULL)
            send_init(sim, i, &init);
    }
    torc__wire__map__free_unpacked(message, NULL);
    base_free(sim->allocator, (void *)(uintptr_t)encoded.data, encoded.size);
    if (missing)
        sim_push(sim, (struct sim_event){.at_us = sim->now_us + MAP_RETRY_US, .type = SIM_INIT});
}
