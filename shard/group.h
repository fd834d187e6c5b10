/*
 * shard/group -- one replica of one group: its consensus, and the pump between consensus, the log,
 * the peers and the state that its entries act on.
 *
 * The state is a table of three calls, so that a data group (shard/service.h over shard/machine.h)
 * and the placement group (shard/placement.h) are the same thing here.
 */
#ifndef TORC_SHARD_GROUP_H
#define TORC_SHARD_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "paxos/consensus.h"
#include "shard/machine.h"
#include "shard/turn.h"
#include "store/kv.h"

struct shard_group; /* Opaque. */

struct shard_state_type {
    /* Applies one entry into the batch: as shard_machine_apply. */
    enum torc_status (*apply)(void *state, const struct shard_apply *apply,
                              struct store_batch *batch);
    /* The batch with everything applied so far was written: outcomes may be shown. */
    void (*applied)(void *state, struct shard_turn *turn);
    /* A read that was asked for with shard_group_read. */
    void (*read)(void *state, const struct consensus_read *read, struct shard_turn *turn);
};

struct shard_timing { /* See struct consensus_config. */
    uint32_t heartbeat_interval_ms, election_timeout_ms, retransmit_timeout_ms;
    uint32_t lease_ms, clock_drift_per_mille;
    uint32_t window_entries_max;
    size_t window_bytes_max, cache_bytes_max, message_bytes_max;
    uint32_t reads_max;
};

struct shard_group_config {
    uint32_t id;
    uint64_t replica;
    uint32_t node, incarnation;
    const struct consensus_member *members; /* Copied. */
    uint32_t member_count;
    struct shard_timing timing;
    size_t apply_bytes_max; /* Entries are applied in kv batches of about this many bytes. */
    uint64_t seed;
};

/* The configuration as consensus takes it; `members` is borrowed in it. */
void shard_group_consensus_config(const struct shard_group_config *config,
                                  struct consensus_config *ret_consensus);
/* `kv`, `allocator` and `state` are borrowed for the group's life. The boot's entries are borrowed
 * for the call. TORC_INVALID: the configuration breaks a rule of consensus. */
enum torc_status shard_group_new(const struct shard_group_config *config,
                                 const struct consensus_boot *boot, struct store_kv *kv,
                                 const struct shard_state_type *type, void *state,
                                 const struct base_allocator *allocator, uint64_t now_ms,
                                 struct shard_group **ret_group) TORC_MUST_CHECK;
void shard_group_free(struct shard_group *group); /* NULL is a no-op. */

/* Events for consensus: as consensus_step. TORC_DAMAGED: the group has stopped. */
enum torc_status shard_group_step(struct shard_group *group,
                                  const struct consensus_event *event) TORC_MUST_CHECK;
/* Proposes bytes in `value` (a reference is taken). As consensus_step. */
enum torc_status shard_group_propose(struct shard_group *group, struct base_buffer *value,
                                     uint64_t now_ms) TORC_MUST_CHECK;
enum torc_status shard_group_read(struct shard_group *group, uint64_t id,
                                  enum consensus_read_mode mode, uint64_t now_ms) TORC_MUST_CHECK;

/* Whether this replica leads under a lease that has not run out at `now_ms` (paxos/consensus.h). */
bool shard_group_lease_holds(const struct shard_group *group, uint64_t now_ms);

/* Moves everything that is ready: records and messages into the turn, chosen entries into the
 * state, safe reads to the state. */
void shard_group_turn(struct shard_group *group, struct shard_turn *turn);

/* When the group wants its next turn at the latest, on the monotonic clock; UINT64_MAX: never, it
 * has stopped. */
uint64_t shard_group_wake_at(const struct shard_group *group);
/* As consensus_info; one that has stopped follows nobody. */
void shard_group_info(const struct shard_group *group, struct consensus_info *ret_info);
/* As consensus_counters. */
const struct consensus_counters *shard_group_counters(const struct shard_group *group);
uint32_t shard_group_id(const struct shard_group *group);
uint64_t shard_group_replica(const struct shard_group *group);
/* The node of a member replica; 0 when the replica is not a member. */
uint32_t shard_group_node_of(const struct shard_group *group, uint64_t replica);
/* Node ids of the voters; returns their count. */
uint32_t shard_group_voters(const struct shard_group *group,
                            uint32_t ret_nodes[CONSENSUS_MEMBERS_MAX]);
/* TORC_OK, or why the group has stopped for good (its state or an entry did not decode). */
enum torc_status shard_group_trouble(const struct shard_group *group);
/* Whether the state store refused a write last time and the group waits to repeat it. */
bool shard_group_is_stalled(const struct shard_group *group);
/* Why: TORC_BUSY, or TORC_FULL: there is no room on the disk. TORC_OK when it does not wait. */
enum torc_status shard_group_stall(const struct shard_group *group);
void shard_group_check(const struct shard_group *group);

#endif /* TORC_SHARD_GROUP_H */
