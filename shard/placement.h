/*
 * shard/placement -- the state machine of the placement group: the cluster map, changed by entries.
 *
 * Entries are encoded Place messages; the first is the first map itself, put into slot 1 of every
 * named node's log by `torc-admin init` (DESIGN section 12). A change that does not fit the map
 * does nothing and says why. The state is the map under one key, written with the applied slot.
 */
#ifndef TORC_SHARD_PLACEMENT_H
#define TORC_SHARD_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "shard/group.h"
#include "shard/map.h"
#include "shard/turn.h"
#include "store/kv.h"

struct shard_placement; /* Opaque. */

enum { SHARD_PLACEMENT_PENDING_MAX = 256 }; /* Changes not yet answered. */

/* Reads the map from kv (none yet: version 0). TORC_OK; TORC_DAMAGED. */
enum torc_status shard_placement_new(struct store_kv *kv, struct base_pool *pool,
                                     const struct base_allocator *allocator,
                                     struct shard_placement **ret_placement) TORC_MUST_CHECK;
void shard_placement_free(struct shard_placement *placement); /* NULL is a no-op. */

extern const struct shard_state_type shard_placement_state;
void shard_placement_attach(struct shard_placement *placement, struct shard_group *group);

/* The map as applied here; version 0 before the first. Borrowed until the next turn. */
const struct shard_map *shard_placement_map(const struct shard_placement *placement);
uint64_t shard_placement_applied(const struct shard_placement *placement);
struct base_ballot shard_placement_barrier(const struct shard_placement *placement);
uint64_t shard_placement_hash(const struct shard_placement *placement);
uint64_t shard_placement_flushed(struct shard_placement *placement);

/* The value of slot 1: an entry that holds the first map. Bytes from the allocator. */
void shard_placement_first_entry(const struct shard_map *map,
                                 const struct base_allocator *allocator,
                                 struct base_bytes *ret_entry);

struct shard_placement_result { /* To one requester; text is static. */
    uint64_t route, id;
    enum torc_status status;
    const char *text;
};

/* Has a change chosen (an encoded Place, at most 64 KiB). TORC_OK: the result comes later, exactly
 * once, from shard_placement_next_result. TORC_NOT_LEADER, TORC_BUSY, TORC_TOO_LARGE: nothing was
 * done and no result comes. */
enum torc_status shard_placement_change(struct shard_placement *placement, uint64_t route,
                                        uint64_t id, struct base_bytes place,
                                        uint64_t now_ms) TORC_MUST_CHECK;
/* Node believed to lead; 0: none known. */
uint32_t shard_placement_leader_node(const struct shard_placement *placement);
/* Gives up what is pending when leadership is gone. In every turn, before shard_group_turn. */
void shard_placement_lead(struct shard_placement *placement);
bool shard_placement_next_result(struct shard_placement *placement,
                                 struct shard_placement_result *ret_result);

#endif /* TORC_SHARD_PLACEMENT_H */
