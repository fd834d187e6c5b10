#include "router/map.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"

static bool id_equal(const ProtobufCBinaryData *bytes, const struct wire_id *id)
{
    return bytes->len == WIRE_ID_SIZE && memcmp(bytes->data, id->bytes, WIRE_ID_SIZE) == 0;
}

static bool read_nodes(struct router_map *map, const Torc__Wire__Map *message)
{
    map->node_count = message->n_nodes;
    map->nodes = base_alloc_zero(map->allocator, map->node_count * sizeof(*map->nodes));
    for (size_t i = 0; i < map->node_count; i++) {
        const Torc__Wire__Node *node = message->nodes[i];
        size_t size = strlen(node->address);
        bool rising = node->id > (i > 0 ? map->nodes[i - 1].id : 0);
        if (!rising || node->storage.len != WIRE_ID_SIZE || size == 0 ||
            size >= ROUTER_ADDRESS_SIZE_MAX)
            return false;
        map->nodes[i].id = node->id;
        memcpy(map->nodes[i].storage.bytes, node->storage.data, WIRE_ID_SIZE);
        memcpy(map->nodes[i].address, node->address, size + 1);
    }
    return true;
}

static bool read_group(const struct router_map *map, const Torc__Wire__Group *message,
                       struct router_map_group *group)
{
    group->id = message->id;
    for (size_t i = 0; i < message->n_replicas; i++) {
        const Torc__Wire__Replica *replica = message->replicas[i];
        if (router_map_node_find(map, replica->node) == NULL)
            return false;
        if (!replica->voter)
            continue;
        if (group->node_count == ROUTER_MAP_REPLICAS_MAX)
            return false;
        group->nodes[group->node_count++] = replica->node;
    }
    return true;
}

static bool read_groups(struct router_map *map, const Torc__Wire__Map *message)
{
    map->groups_size = message->n_groups * sizeof(*map->groups);
    map->groups = base_alloc_zero(map->allocator, map->groups_size);
    uint32_t last = 0;
    for (size_t i = 0; i < message->n_groups; i++) {
        const Torc__Wire__Group *group = message->groups[i];
        if (i > 0 && group->id <= last)
            return false;
        last = group->id;
        if (group->id == 0)
            continue; /* The placement group owns no keys. */
        if (!read_group(map, group, &map->groups[map->group_count]))
            return false;
        map->group_count++;
    }
    return true;
}

static bool group_exists(const struct router_map *map, uint32_t id)
{
    for (size_t i = 0; i < map->group_count; i++) {
        if (map->groups[i].id == id)
            return true;
    }
    return false;
}

/* A run of vnodes often has few owners: the last one found is asked first. */
static bool owners_exist(const struct router_map *map, const struct ring *ring)
{
    uint32_t last = 0;
    for (uint32_t vnode = 0; vnode < ring->vnode_count; vnode++) {
        uint32_t group = ring->groups[vnode];
        if (group != last && !group_exists(map, group))
            return false;
        last = group;
    }
    return true;
}

static enum torc_status read_ring(struct router_map *map, const Torc__Wire__Map *message,
                                  const struct router_map *known)
{
    const Torc__Wire__Ring *rows = message->ring;
    if (rows->n_owners == 0 || rows->n_owners > RING_VNODE_COUNT_MAX ||
        rows->n_owners != rows->n_epochs)
        return TORC_MALFORMED;
    size_t size = rows->n_owners * sizeof(struct ring_owner);
    struct ring_owner *owners = base_alloc(map->allocator, size);
    for (size_t i = 0; i < rows->n_owners; i++)
        owners[i] = (struct ring_owner){.epoch = rows->epochs[i], .group = rows->owners[i]};
    struct ring *ring;
    enum torc_status status =
        ring_new(map->allocator, message->version, owners, rows->n_owners, &ring);
    base_free(map->allocator, owners, size);
    if (status != TORC_OK)
        return TORC_MALFORMED;
    if (known == NULL) {
        map->ring = ring;
        return TORC_OK;
    }
    status = ring_merge(known->ring, ring, &map->ring);
    ring_free(ring);
    return status == TORC_OK ? TORC_OK : TORC_MALFORMED;
}

static bool read_limits(struct router_map *map, const Torc__Wire__Limits *limits)
{
    map->limits = (struct wire_limits){
        .key_size_max = limits->key_size_max,
        .value_size_max = limits->value_size_max,
        .request_size_max = limits->request_size_max,
    };
    return limits->key_size_max > 0 && limits->key_size_max <= UINT16_MAX &&
           limits->value_size_max > 0 && limits->request_size_max > limits->value_size_max;
}

enum torc_status router_map_read(const struct base_allocator *allocator,
                                 const Torc__Wire__Map *message, const struct wire_id *cluster,
                                 const struct router_map *known, struct router_map **ret_map)
{
    if (!id_equal(&message->cluster, cluster))
        return TORC_FOREIGN;
    if (known != NULL && message->version <= known->version && !TORC_MUTANT(ROUTER_OLD_MAP))
        return TORC_STALE;
    if (message->ring == NULL || message->limits == NULL || message->n_nodes == 0 ||
        message->n_nodes > ROUTER_MAP_NODES_MAX || message->n_groups == 0 ||
        message->n_groups > ROUTER_MAP_GROUPS_MAX)
        return TORC_MALFORMED;
    struct router_map *map = base_alloc_zero(allocator, sizeof(*map));
    map->allocator = allocator;
    map->version = message->version;
    enum torc_status status = TORC_MALFORMED;
    if (!read_nodes(map, message) || !read_groups(map, message) ||
        !read_limits(map, message->limits))
        goto fail_parts;
    status = read_ring(map, message, known);
    if (status != TORC_OK)
        goto fail_parts;
    status = TORC_MALFORMED;
    if (!owners_exist(map, map->ring))
        goto fail_parts;
    *ret_map = map;
    return TORC_OK;

fail_parts:
    router_map_free(map);
    return status;
}

void router_map_free(struct router_map *map)
{
    if (map == NULL)
        return;
    const struct base_allocator *allocator = map->allocator;
    base_free(allocator, map->nodes, map->node_count * sizeof(*map->nodes));
    base_free(allocator, map->groups, map->groups_size);
    ring_free(map->ring);
    base_free(allocator, map, sizeof(*map));
}

const struct router_map_node *router_map_node_find(const struct router_map *map, uint32_t id)
{
    size_t low = 0, high = map->node_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (map->nodes[middle].id == id)
            return &map->nodes[middle];
        if (map->nodes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
