/*
 * router/map -- the cluster as a router sees it: nodes, groups with their replicas, ring, limits.
 *
 * A map is an immutable snapshot made from a decoded MAP message; a newer one is merged with the
 * ring that is known, vnode by vnode, and never replaces it (DESIGN section 8).
 */
#ifndef TORC_ROUTER_MAP_H
#define TORC_ROUTER_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"
#include "ring/ring.h"
#include "wire/envelope.h"
#include "wire/op.h"
#include "wire/torc.pb-c.h"

enum {
    ROUTER_MAP_NODES_MAX = 1024,
    ROUTER_MAP_GROUPS_MAX = 65536,
    ROUTER_MAP_REPLICAS_MAX = 9,
    ROUTER_ADDRESS_SIZE_MAX = 128, /* With its NUL. */
};

struct router_map_node {
    uint32_t id;
    struct wire_id storage;
    char address[ROUTER_ADDRESS_SIZE_MAX];
};

struct router_map_group {
    uint32_t id;
    uint32_t nodes[ROUTER_MAP_REPLICAS_MAX]; /* Of its voters: those who may lead. */
    uint32_t node_count;
};

/* Open; read-only outside map.c. */
struct router_map {
    const struct base_allocator *allocator;
    uint64_t version;
    struct router_map_node *nodes; /* Rising by id. */
    size_t node_count;
    struct router_map_group *groups; /* Rising by id, without the placement group. */
    size_t group_count;
    size_t groups_size; /* Bytes of `groups`, which has room for the placement group too. */
    struct ring *ring;
    struct wire_limits limits;
};

/*
 * Checks a map from outside in full and makes a snapshot of it, its ring merged with that of
 * `known` (NULL: none), which stays as it is. TORC_MALFORMED: it breaks a bound or refers to what
 * it does not have. TORC_FOREIGN: of another cluster. TORC_STALE: not newer than `known`.
 */
enum torc_status router_map_read(const struct base_allocator *allocator,
                                 const Torc__Wire__Map *message, const struct wire_id *cluster,
                                 const struct router_map *known,
                                 struct router_map **ret_map) TORC_MUST_CHECK;
void router_map_free(struct router_map *map); /* NULL is a no-op. */

/* NULL: none of that id. */
const struct router_map_node *router_map_node_find(const struct router_map *map, uint32_t id);

#endif /* TORC_ROUTER_MAP_H */
