/*
 * admin/map -- the first map of a cluster, as `init` sends it.
 */
#ifndef TORC_ADMIN_MAP_H
#define TORC_ADMIN_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "wire/envelope.h"
#include "wire/torc.pb-c.h"

enum {
    ADMIN_MAP_NODES_MAX = 256,
    ADMIN_MAP_SHARDS_MAX = 1024,
    ADMIN_MAP_REPLICAS_MAX = 7,
    ADMIN_MAP_ADDRESS_SIZE = 64,
    ADMIN_MAP_VNODES_MAX = 1 << 16,
    ADMIN_MAP_LEASE_MS_MAX = 60000,
};

/* Of the option that `init` and `dev up` share. */
#define ADMIN_LEASE_HELP                                                                           \
    "leaders answer reads under a lease of so long instead of asking a majority; trusts that "     \
    "clocks run alike within 5 % (no lease)"

struct admin_map_node {
    uint32_t id;
    char address[ADMIN_MAP_ADDRESS_SIZE];
    struct wire_id storage;
};

struct admin_map_spec {
    struct wire_id cluster;
    struct admin_map_node nodes[ADMIN_MAP_NODES_MAX]; /* Ascending by id. */
    uint32_t node_count;
    uint32_t shard_count, replica_count; /* replica_count <= node_count. */
    uint32_t vnode_count;                /* A power of two, at least shard_count. */
    uint32_t lease_ms;                   /* Of leaders; 0: none, every read asks a majority. */
};

/*
 * The same spec gives the same map, to the byte: so a repeated init is a no-op. Group 0 lies on the
 * first replica_count nodes; the shards' replicas go round the nodes, each shard beginning at the
 * next one. NULL when it fits; else what is wrong with the spec, static memory.
 */
const char *admin_map_make(const struct admin_map_spec *spec, Torc__Wire__Map **ret_map);
void admin_map_free(Torc__Wire__Map *map);

#endif /* TORC_ADMIN_MAP_H */
