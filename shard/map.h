/*
 * shard/map -- the cluster map as the cores use it: nodes, groups with their replicas, the ring and
 * the limits. The placement group's state is one such map (shard/placement.h); everybody else holds
 * a copy of some version of it. Its encoding is shard/codec.h's.
 *
 * A map is plain data that is changed only by its owner; all arrays belong to the map and come from
 * the allocator given to shard_map_init.
 */
#ifndef TORC_SHARD_MAP_H
#define TORC_SHARD_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"
#include "paxos/consensus.h"
#include "wire/envelope.h"
#include "wire/op.h"

enum {
    SHARD_NODES_MAX = 256,
    SHARD_GROUPS_MAX = 4096,
    SHARD_VNODE_BITS_MAX = 16,
    SHARD_ADDRESS_SIZE = 64,
    SHARD_PLACEMENT_GROUP = 0,
    SHARD_CONSENSUS_PAXOS = 1,
    SHARD_LEASE_MS_MAX = 60000, /* Nobody leads for so long when a leader is gone. */
};

struct shard_map_node {
    uint32_t id; /* > 0. */
    struct wire_id storage;
    char address[SHARD_ADDRESS_SIZE]; /* "tcp://127.0.0.1:7401" */
};

struct shard_map_replica {
    uint64_t id; /* > 0, never used twice. */
    uint32_t node;
    bool voter;
    bool used; /* Its node has begun to build it. Never goes back: an id that is used and has no
                  data is replaced, never rebuilt (DESIGN section 12). */
    uint32_t used_by; /* In which incarnation of its node: only that life may build it. */
};

struct shard_map_group {
    uint32_t id;
    uint32_t consensus; /* SHARD_CONSENSUS_*. */
    uint32_t replica_count;
    struct shard_map_replica replicas[CONSENSUS_MEMBERS_MAX]; /* Ascending by id. */
};

struct shard_map {
    struct wire_id cluster;
    uint64_t version; /* 0: no map. */
    uint32_t feature_level;
    uint32_t node_count, group_count;
    struct shard_map_node *nodes;   /* Ascending by id. */
    struct shard_map_group *groups; /* Ascending by id; the first is the placement group. */
    uint32_t vnode_bits;
    uint32_t *owners; /* 2^vnode_bits each. */
    uint64_t *epochs;
    struct wire_limits limits;
    uint64_t next_replica; /* Above every id given out. */
    uint32_t read_mode;    /* enum consensus_read_mode. */
    uint32_t lease_ms;     /* Of groups that are born from this map; 0 in mode QUORUM. */
    const struct base_allocator *allocator;
};

/* An empty map, version 0. */
void shard_map_init(struct shard_map *map, const struct base_allocator *allocator);
void shard_map_fini(struct shard_map *map);
/* Room for the counts; contents zero. The map must be empty. */
void shard_map_reserve(struct shard_map *map, uint32_t node_count, uint32_t group_count,
                       uint32_t vnode_bits);
/* Replaces `map` by a copy of `from`. */
void shard_map_copy(struct shard_map *map, const struct shard_map *from);

/* Whether a request with the largest value has room. */
bool shard_map_limits_fit(const struct wire_limits *limits);
/* Every rule that a map keeps. NULL when it does, else what it breaks, for people; static memory.
 */
const char *shard_map_flaw(const struct shard_map *map);

/* NULL when there is none; valid until the map changes. */
const struct shard_map_node *shard_map_find_node(const struct shard_map *map, uint32_t id);
const struct shard_map_group *shard_map_find_group(const struct shard_map *map, uint32_t id);
/* By replica id, over all groups. */
struct shard_map_replica *shard_map_find_replica(struct shard_map *map, uint64_t id);
/* The group's replica on a node; NULL when it has none there. */
const struct shard_map_replica *shard_map_replica_on(const struct shard_map_group *group,
                                                     uint32_t node);

/* The members of a group as consensus wants them; returns their count. */
uint32_t shard_map_members(const struct shard_map_group *group,
                           struct consensus_member ret_members[CONSENSUS_MEMBERS_MAX]);

#endif /* TORC_SHARD_MAP_H */
