#include "shard/map.h"

#include <string.h>

#include "base/assert.h"

void shard_map_init(struct shard_map *map, const struct base_allocator *allocator)
{
    *map = (struct shard_map){.allocator = allocator};
}

static size_t vnode_count(const struct shard_map *map)
{
    return map->owners == NULL ? 0 : (size_t)1 << map->vnode_bits;
}

void shard_map_fini(struct shard_map *map)
{
    const struct base_allocator *allocator = map->allocator;
    base_free(allocator, map->nodes, map->node_count * sizeof(*map->nodes));
    base_free(allocator, map->groups, map->group_count * sizeof(*map->groups));
    base_free(allocator, map->owners, vnode_count(map) * sizeof(*map->owners));
    base_free(allocator, map->epochs, vnode_count(map) * sizeof(*map->epochs));
    shard_map_init(map, allocator);
}

void shard_map_reserve(struct shard_map *map, uint32_t node_count, uint32_t group_count,
                       uint32_t vnode_bits)
{
    TORC_ASSERT(map->nodes == NULL && map->groups == NULL && map->owners == NULL);
    TORC_ASSERT(node_count > 0 && node_count <= SHARD_NODES_MAX);
    TORC_ASSERT(group_count > 0 && group_count <= SHARD_GROUPS_MAX);
    TORC_ASSERT(vnode_bits <= SHARD_VNODE_BITS_MAX);
    map->node_count = node_count;
    map->group_count = group_count;
    map->vnode_bits = vnode_bits;
    size_t vnodes = (size_t)1 << vnode_bits;
    map->nodes = base_alloc_zero(map->allocator, node_count * sizeof(*map->nodes));
    map->groups = base_alloc_zero(map->allocator, group_count * sizeof(*map->groups));
    map->owners = base_alloc_zero(map->allocator, vnodes * sizeof(*map->owners));
    map->epochs = base_alloc_zero(map->allocator, vnodes * sizeof(*map->epochs));
}

void shard_map_copy(struct shard_map *map, const struct shard_map *from)
{
    TORC_ASSERT(map != from);
    shard_map_fini(map);
    if (from->version == 0)
        return;
    shard_map_reserve(map, from->node_count, from->group_count, from->vnode_bits);
    memcpy(map->nodes, from->nodes, from->node_count * sizeof(*map->nodes));
    memcpy(map->groups, from->groups, from->group_count * sizeof(*map->groups));
    memcpy(map->owners, from->owners, vnode_count(from) * sizeof(*map->owners));
    memcpy(map->epochs, from->epochs, vnode_count(from) * sizeof(*map->epochs));
    map->cluster = from->cluster;
    map->version = from->version;
    map->feature_level = from->feature_level;
    map->limits = from->limits;
    map->next_replica = from->next_replica;
    map->read_mode = from->read_mode;
    map->lease_ms = from->lease_ms;
}

/* ---- Rules --------------------------------------------------------------------------------------
 */

static const char *node_flaw(const struct shard_map *map)
{
    static const struct wire_id none;
    for (uint32_t i = 0; i < map->node_count; i++) {
        const struct shard_map_node *node = &map->nodes[i];
        if (node->id == 0)
            return "a node has id 0";
        if (i > 0 && node->id <= map->nodes[i - 1].id)
            return "nodes are not in ascending order of distinct ids";
        if (memcmp(&node->storage, &none, sizeof(none)) == 0)
            return "a node has no storage id";
        if (node->address[0] == '\0' || memchr(node->address, '\0', SHARD_ADDRESS_SIZE) == NULL)
            return "a node has no address";
        for (uint32_t j = 0; j < i; j++) {
            if (memcmp(&node->storage, &map->nodes[j].storage, sizeof(none)) == 0)
                return "two nodes have the same storage id";
            if (strcmp(node->address, map->nodes[j].address) == 0)
                return "two nodes have the same address";
        }
    }
    return NULL;
}

static const char *group_flaw(const struct shard_map *map, const struct shard_map_group *group)
{
    if (group->consensus != SHARD_CONSENSUS_PAXOS)
        return "a group's consensus is unknown";
    if (group->replica_count == 0 || group->replica_count > CONSENSUS_MEMBERS_MAX)
        return "a group has no replica, or too many";
    bool voter = false;
    for (uint32_t i = 0; i < group->replica_count; i++) {
        const struct shard_map_replica *replica = &group->replicas[i];
        if (replica->id == 0 || replica->id >= map->next_replica)
            return "a replica id was never given out";
        if (i > 0 && replica->id <= group->replicas[i - 1].id)
            return "a group's replicas are not in ascending order of distinct ids";
        if (shard_map_find_node(map, replica->node) == NULL)
            return "a replica lies on a node that is not in the map";
        for (uint32_t j = 0; j < i; j++) {
            if (group->replicas[j].node == replica->node)
                return "two replicas of a group lie on one node";
        }
        voter = voter || replica->voter;
    }
    return voter ? NULL : "a group has no voter";
}

/* Moves an id down to where no greater one is below it (a heap with the greatest at its top). */
static void sift(uint64_t *ids, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && ids[child + 1] > ids[child])
            child++;
        if (ids[at] >= ids[child])
            return;
        uint64_t id = ids[at];
        ids[at] = ids[child];
        ids[child] = id;
    }
}

/* Taken from a heap one after the other, equal ids come together. */
static bool ids_distinct(uint64_t *ids, size_t count)
{
    for (size_t at = count / 2; at-- > 0;)
        sift(ids, count, at);
    while (count > 1) {
        uint64_t greatest = ids[0];
        ids[0] = ids[--count];
        sift(ids, count, 0);
        if (ids[0] == greatest)
            return false;
    }
    return true;
}

static bool replica_ids_distinct(const struct shard_map *map)
{
    size_t capacity = (size_t)map->group_count * CONSENSUS_MEMBERS_MAX * sizeof(uint64_t);
    uint64_t *ids = base_alloc(map->allocator, capacity);
    size_t count = 0;
    for (uint32_t g = 0; g < map->group_count; g++) {
        for (uint32_t r = 0; r < map->groups[g].replica_count; r++)
            ids[count++] = map->groups[g].replicas[r].id;
    }
    bool distinct = ids_distinct(ids, count);
    base_free(map->allocator, ids, capacity);
    return distinct;
}

static const char *ring_flaw(const struct shard_map *map)
{
    for (size_t vnode = 0; vnode < vnode_count(map); vnode++) {
        if (map->owners[vnode] == SHARD_PLACEMENT_GROUP)
            return "the placement group owns a vnode";
        if (shard_map_find_group(map, map->owners[vnode]) == NULL)
            return "a vnode's owner is not in the map";
        if (map->epochs[vnode] == 0)
            return "a vnode has epoch 0";
    }
    return NULL;
}

bool shard_map_limits_fit(const struct wire_limits *limits)
{
    return limits->key_size_max > 0 && limits->value_size_max > 0 &&
           limits->request_size_max > limits->value_size_max;
}

const char *shard_map_flaw(const struct shard_map *map)
{
    if (map->version == 0 || map->owners == NULL)
        return "the map is empty";
    if (map->read_mode != CONSENSUS_READ_QUORUM && map->read_mode != CONSENSUS_READ_LEASE)
        return "the read mode is not one that this version serves (1: quorum, 2: lease)";
    if ((map->read_mode == CONSENSUS_READ_LEASE) != (map->lease_ms > 0))
        return "a lease is given without the read mode of leases, or the mode without a lease";
    if (map->lease_ms > SHARD_LEASE_MS_MAX)
        return "the lease is longer than a minute";
    if (!shard_map_limits_fit(&map->limits))
        return "the limits leave no room for a request with the largest value";
    if (map->groups[0].id != SHARD_PLACEMENT_GROUP)
        return "the placement group is missing";
    const char *flaw = node_flaw(map);
    for (uint32_t i = 0; i < map->group_count && flaw == NULL; i++) {
        if (i > 0 && map->groups[i].id <= map->groups[i - 1].id)
            return "groups are not in ascending order of distinct ids";
        flaw = group_flaw(map, &map->groups[i]);
    }
    if (flaw == NULL && !replica_ids_distinct(map))
        flaw = "two replicas have the same id";
    return flaw != NULL ? flaw : ring_flaw(map);
}

/* ---- Looking ------------------------------------------------------------------------------------
 */

const struct shard_map_node *shard_map_find_node(const struct shard_map *map, uint32_t id)
{
    for (uint32_t i = 0; i < map->node_count; i++) {
        if (map->nodes[i].id == id)
            return &map->nodes[i];
    }
    return NULL;
}

const struct shard_map_group *shard_map_find_group(const struct shard_map *map, uint32_t id)
{
    uint32_t low = 0, high = map->group_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (map->groups[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < map->group_count && map->groups[low].id == id ? &map->groups[low] : NULL;
}

struct shard_map_replica *shard_map_find_replica(struct shard_map *map, uint64_t id)
{
    for (uint32_t g = 0; g < map->group_count; g++) {
        for (uint32_t i = 0; i < map->groups[g].replica_count; i++) {
            if (map->groups[g].replicas[i].id == id)
                return &map->groups[g].replicas[i];
        }
    }
    return NULL;
}

const struct shard_map_replica *shard_map_replica_on(const struct shard_map_group *group,
                                                     uint32_t node)
{
    for (uint32_t i = 0; i < group->replica_count; i++) {
        if (group->replicas[i].node == node)
            return &group->replicas[i];
    }
    return NULL;
}

uint32_t shard_map_members(const struct shard_map_group *group,
                           struct consensus_member ret_members[CONSENSUS_MEMBERS_MAX])
{
    for (uint32_t i = 0; i < group->replica_count; i++) {
        const struct shard_map_replica *replica = &group->replicas[i];
        ret_members[i] = (struct consensus_member){
            .replica = replica->id, .node = replica->node, .voter = replica->voter};
    }
    return group->replica_count;
}
