/*
 * shard/recovery -- gathers, group by group, what the log gives back when it is opened: which
 * replicas live here, what they promised, and the newest record of every slot that the flushed
 * state does not hold yet (DESIGN section 4, rules 4 and 10).
 */
#ifndef TORC_SHARD_RECOVERY_H
#define TORC_SHARD_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "paxos/consensus.h"
#include "store/kv.h"
#include "store/record.h"

struct shard_recovery; /* Opaque. */

struct shard_recovered { /* One replica. Arrays belong to the recovery. */
    uint32_t group;
    uint64_t replica;
    struct base_bytes birth; /* The payload of its REPLICA record. */
    struct base_ballot promised;
    uint64_t chosen;                 /* Highest mark. */
    uint64_t flushed;                /* Applied slot of the state as it was found. */
    uint64_t compacted;              /* Entries at or below cannot be loaded from the log. */
    struct consensus_entry *entries; /* Above flushed, ascending; each holds a reference. */
    size_t entry_count, entries_capacity;
    bool damaged; /* A record of it is rotten: it never votes again under this id. */
    uint64_t damaged_slot;
};

/* kv, pool and allocator are borrowed. */
struct shard_recovery *shard_recovery_new(struct store_kv *kv, struct base_pool *pool,
                                          const struct base_allocator *allocator);
/* Gives back what was not taken. NULL is a no-op. */
void shard_recovery_free(struct shard_recovery *recovery);

/* The three calls of a store_log_visitor, in the order in which the log makes them. */
void shard_recovery_record(struct shard_recovery *recovery, const struct store_record *record);
void shard_recovery_damaged(struct shard_recovery *recovery, uint32_t group, uint64_t replica,
                            uint64_t slot);
uint64_t shard_recovery_flushed(struct shard_recovery *recovery, uint32_t group);

/* The first slot of the group that the log can still be asked for; without it, none at or below
 * flushed. Said once the log is open. */
void shard_recovery_loadable(struct shard_recovery *recovery, uint32_t group, uint64_t first_slot);

/* TORC_OK, or TORC_FULL: the pool was too small for the entries found (a configuration error: the
 * pool has to hold what a replay needs). Asked when the log is open. */
enum torc_status shard_recovery_status(const struct shard_recovery *recovery) TORC_MUST_CHECK;
/* The replicas found, ascending by group. */
size_t shard_recovery_count(const struct shard_recovery *recovery);
const struct shard_recovered *shard_recovery_at(const struct shard_recovery *recovery,
                                                size_t index);

#endif /* TORC_SHARD_RECOVERY_H */
