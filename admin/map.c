#include "admin/map.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "ring/planner.h"

enum {
    FEATURE_LEVEL = 1,
    CONSENSUS_PAXOS = 1,
    READ_MODE_QUORUM = 1,
    READ_MODE_LEASE = 2,
    KEY_SIZE_MAX = 4096,
    VALUE_SIZE_MAX = 8 << 20,
    REQUEST_SIZE_MAX = 9 << 20,
};

static const char *spec_flaw(const struct admin_map_spec *spec)
{
    if (spec->node_count == 0 || spec->node_count > ADMIN_MAP_NODES_MAX)
        return "a cluster has 1 to 256 nodes";
    if (spec->shard_count == 0 || spec->shard_count > ADMIN_MAP_SHARDS_MAX)
        return "a cluster begins with 1 to 1024 shards";
    if (spec->replica_count == 0 || spec->replica_count > ADMIN_MAP_REPLICAS_MAX)
        return "a shard has 1 to 7 replicas";
    if (spec->replica_count > spec->node_count)
        return "there are fewer nodes than replicas; replicas of a shard lie on distinct nodes";
    if (spec->vnode_count < spec->shard_count || spec->vnode_count > ADMIN_MAP_VNODES_MAX ||
        (spec->vnode_count & (spec->vnode_count - 1)) != 0)
        return "vnodes must be a power of two, at least as many as shards, at most 65536";
    if (spec->lease_ms > ADMIN_MAP_LEASE_MS_MAX)
        return "a lease is at most a minute: nobody leads for so long when a leader is gone";
    for (uint32_t i = 0; i < spec->node_count; i++) {
        if (spec->nodes[i].id == 0)
            return "a node's id is at least 1";
        for (uint32_t j = 0; j < i; j++) {
            if (spec->nodes[j].id >= spec->nodes[i].id)
                return "nodes must be given in rising order of their ids, each once";
            if (strcmp(spec->nodes[j].address, spec->nodes[i].address) == 0)
                return "two nodes have the same address";
            if (memcmp(&spec->nodes[j].storage, &spec->nodes[i].storage, WIRE_ID_SIZE) == 0)
                return "two nodes have the same storage id";
        }
    }
    return NULL;
}

static ProtobufCBinaryData id_pack(const struct wire_id *id)
{
    uint8_t *bytes = base_alloc(base_allocator_system(), WIRE_ID_SIZE);
    memcpy(bytes, id->bytes, WIRE_ID_SIZE);
    return (ProtobufCBinaryData){WIRE_ID_SIZE, bytes};
}

static Torc__Wire__Node *node_make(const struct admin_map_node *from)
{
    const struct base_allocator *system = base_allocator_system();
    Torc__Wire__Node *node = base_alloc(system, sizeof(*node));
    torc__wire__node__init(node);
    size_t size = strlen(from->address) + 1;
    node->id = from->id;
    node->storage = id_pack(&from->storage);
    node->address = memcpy(base_alloc(system, size), from->address, size);
    return node;
}

/* Replicas on consecutive nodes from `first_node` on; ids from *next_replica on. */
static Torc__Wire__Group *group_make(const struct admin_map_spec *spec, uint32_t id,
                                     uint32_t first_node, uint64_t *next_replica)
{
    const struct base_allocator *system = base_allocator_system();
    Torc__Wire__Group *group = base_alloc(system, sizeof(*group));
    torc__wire__group__init(group);
    group->id = id;
    group->consensus = CONSENSUS_PAXOS;
    group->n_replicas = spec->replica_count;
    group->replicas = base_alloc(system, spec->replica_count * sizeof(group->replicas[0]));
    for (uint32_t i = 0; i < spec->replica_count; i++) {
        Torc__Wire__Replica *replica = base_alloc(system, sizeof(*replica));
        torc__wire__replica__init(replica);
        replica->id = (*next_replica)++;
        replica->node = spec->nodes[(first_node + i) % spec->node_count].id;
        replica->voter = 1;
        group->replicas[i] = replica;
    }
    return group;
}

static Torc__Wire__Ring *ring_make(const struct admin_map_spec *spec)
{
    const struct base_allocator *system = base_allocator_system();
    struct ring_group_weight groups[ADMIN_MAP_SHARDS_MAX];
    for (uint32_t i = 0; i < spec->shard_count; i++)
        groups[i] = (struct ring_group_weight){.group = i + 1, .weight = 1};
    Torc__Wire__Ring *ring = base_alloc(system, sizeof(*ring));
    torc__wire__ring__init(ring);
    while (UINT32_C(1) << ring->vnode_bits < spec->vnode_count)
        ring->vnode_bits++;
    ring->n_owners = ring->n_epochs = spec->vnode_count;
    ring->owners = base_alloc(system, spec->vnode_count * sizeof(ring->owners[0]));
    ring->epochs = base_alloc(system, spec->vnode_count * sizeof(ring->epochs[0]));
    TORC_ASSERT(ring_plan_initial(system, groups, spec->shard_count, spec->vnode_count,
                                  ring->owners) == TORC_OK); /* spec_flaw checked its rules. */
    for (uint32_t i = 0; i < spec->vnode_count; i++)
        ring->epochs[i] = 1;
    return ring;
}

const char *admin_map_make(const struct admin_map_spec *spec, Torc__Wire__Map **ret_map)
{
    const char *flaw = spec_flaw(spec);
    if (flaw != NULL)
        return flaw;
    const struct base_allocator *system = base_allocator_system();
    Torc__Wire__Map *map = base_alloc(system, sizeof(*map));
    torc__wire__map__init(map);
    map->cluster = id_pack(&spec->cluster);
    map->version = 1;
    map->feature_level = FEATURE_LEVEL;
    map->read_mode = spec->lease_ms > 0 ? READ_MODE_LEASE : READ_MODE_QUORUM;
    map->lease_ms = spec->lease_ms;
    map->n_nodes = spec->node_count;
    map->nodes = base_alloc(system, spec->node_count * sizeof(map->nodes[0]));
    for (uint32_t i = 0; i < spec->node_count; i++)
        map->nodes[i] = node_make(&spec->nodes[i]);
    uint64_t next_replica = 1;
    map->n_groups = spec->shard_count + 1;
    map->groups = base_alloc(system, map->n_groups * sizeof(map->groups[0]));
    for (uint32_t i = 0; i <= spec->shard_count; i++)
        map->groups[i] = group_make(spec, i, i == 0 ? 0 : i - 1, &next_replica);
    map->next_replica = next_replica;
    map->ring = ring_make(spec);
    map->limits = base_alloc(system, sizeof(*map->limits));
    torc__wire__limits__init(map->limits);
    map->limits->key_size_max = KEY_SIZE_MAX;
    map->limits->value_size_max = VALUE_SIZE_MAX;
    map->limits->request_size_max = REQUEST_SIZE_MAX;
    *ret_map = map;
    return NULL;
}

void admin_map_free(Torc__Wire__Map *map)
{
    if (map != NULL) /* All of it came from the system's allocator, which is malloc. */
        torc__wire__map__free_unpacked(map, NULL);
}
