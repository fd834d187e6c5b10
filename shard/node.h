/*
 * shard/node -- a storage node: its replicas, its peers, its copy of the cluster map, and one turn
 * of its loop. Pure: the driver (shard/driver) brings decoded envelopes, time and durability, and
 * carries out what a turn made ready; the simulator does the same.
 *
 * A node starts by greeting the peers that it knows: until they have said how much of its log they
 * saw durable (or the greeting has timed out) it takes part in nothing, so that a disk which was
 * rolled back to an older copy is noticed before it votes. One that has lost the map, and with it
 * its peers' addresses, greets when it gets a map again.
 *
 * Ownership: configuration is copied; kv, pool and allocator are borrowed for the node's life;
 * messages are borrowed for the call; what a ready points to is the node's until the next call, but
 * a log batch, which belongs to the driver until shard_node_stored().
 */
#ifndef TORC_SHARD_NODE_H
#define TORC_SHARD_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "shard/group.h"
#include "shard/map.h"
#include "shard/recovery.h"
#include "shard/turn.h"
#include "store/kv.h"
#include "wire/envelope.h"

struct shard_node; /* Opaque. */

struct shard_node_config {
    struct wire_id cluster, storage;
    uint32_t id, incarnation;
    uint64_t recovered_batch; /* Last batch that the log gave back. */
    uint64_t lease_max_ms;    /* Longest lease that an earlier life may have granted. */
    struct shard_timing timing;
    size_t apply_bytes_max;
    uint64_t request_time_max_ms, records_bytes_max; /* See struct shard_machine_config. */
    uint32_t credit, pending_max, read_batches_max;  /* See struct shard_service_config. */
    uint32_t entries_max;                            /* The same: of each group. */
    size_t entry_bytes_max;                          /* The same. */
    uint64_t log_size_max; /* Past it entries go although a voter lacks them. */
    uint64_t flush_bytes;  /* Log bytes between two flushes of the state. */
    uint32_t greeting_timeout_ms;
    uint64_t seed;
};

struct shard_send { /* A whole message (wire/envelope.h). */
    uint32_t node;  /* To this peer; or 0: */
    uint64_t route; /* back to where a message came from. */
    struct base_bytes message;
};

struct shard_trim {
    uint32_t group;
    uint64_t slot;
};

struct shard_node_ready {
    const struct shard_send *sends;
    size_t send_count;
    struct shard_log_batch *log;    /* To be written and synced; NULL: nothing. */
    const struct shard_load *loads; /* To be read from the log: shard_node_loaded. */
    size_t load_count;
    const struct shard_trim *trims; /* The log may drop entries up to here. */
    size_t trim_count;
    uint64_t wake_at_ms; /* The next turn at the latest. */
    const char *fatal;   /* Not NULL: the process must end, with this text; nothing was sent. */
    uint64_t fatal_expected, fatal_found; /* Batches of the log, where it is about them; else 0. */
};

/* Builds the replicas that recovery found.
 * TORC_OK; TORC_DAMAGED: a replica's birth record or state does not decode (*ret_text says which);
 * TORC_INVALID: the timing breaks a rule of consensus. */
enum torc_status shard_node_new(const struct shard_node_config *config,
                                const struct shard_recovery *recovery, struct store_kv *kv,
                                struct base_pool *pool, const struct base_allocator *allocator,
                                uint64_t now_ms, uint64_t wall_ms, const char **ret_text,
                                struct shard_node **ret_node) TORC_MUST_CHECK;
void shard_node_free(struct shard_node *node); /* NULL is a no-op. */

/* One message; `route` is where an answer goes. TORC_OK or why it was refused (counted). */
enum torc_status shard_node_receive(struct shard_node *node, uint64_t route, bool on_dealer,
                                    const struct wire_envelope *envelope, uint64_t now_ms);
/* A batch that a ready handed over is durable, and `batch` is the log's number of it. */
void shard_node_stored(struct shard_node *node, struct shard_log_batch *log, uint64_t batch,
                       uint64_t now_ms);
/* Entries of a load, ascending from its first without holes; fewer or none if the log has less. */
void shard_node_loaded(struct shard_node *node, uint32_t group,
                       const struct consensus_entry *entries, uint32_t entry_count,
                       uint64_t now_ms);
/* What the log holds, for status and for trimming. */
void shard_node_log_facts(struct shard_node *node, uint64_t bytes, uint64_t batches,
                          uint64_t syncs);

/* Runs everything that is due and gives what came of it. `wall_ms` is Unix time. */
void shard_node_turn(struct shard_node *node, uint64_t now_ms, uint64_t wall_ms,
                     struct shard_node_ready *ret_ready);

/* Hands over every leadership, before a planned stop. */
void shard_node_drain(struct shard_node *node, uint64_t now_ms);
/* Whether no hand-over is under way any more: each was done, or came to nothing. Leadership that
 * nobody alive could take does not hold up a stop. */
bool shard_node_is_drained(const struct shard_node *node);

/* The newest map that is known, version 0: none. Its nodes are the peers to be connected to. */
const struct shard_map *shard_node_map(const struct shard_node *node);
/* What the replica of a group knows of its consensus; false when there is none running here. */
bool shard_node_replica_info(const struct shard_node *node, uint32_t group,
                             struct consensus_info *ret_info);
/* Rare paths of its consensus in this life, borrowed until it ends; NULL when there is none. */
const struct consensus_counters *shard_node_replica_counters(const struct shard_node *node,
                                                             uint32_t group);
/* What its state machine is at; false when there is none running here (or it is not of data). */
bool shard_node_machine_info(const struct shard_node *node, uint32_t group,
                             struct shard_machine_info *ret_info);
/* Whether the replica here leads under a lease that has not run out at `now_ms`. */
bool shard_node_lease_holds(const struct shard_node *node, uint32_t group, uint64_t now_ms);
/* Whether a row of the state is one that clients read here: of a group that this node leads. */
bool shard_node_serves_row(const struct shard_node *node, struct base_bytes state_key);
/* Whether a replica cannot apply because the disk has no room for the state. */
bool shard_node_is_full(const struct shard_node *node);
struct shard_node_counters {
    uint64_t refused_foreign;  /* From another cluster, or a storage id that is not the map's. */
    uint64_t refused_repeated; /* Seen before, or meant for an earlier life. */
    uint64_t refused_malformed;
    uint64_t refused_replica; /* To a replica that is not here. */
    uint64_t dropped_full;    /* No room in the pool. */
};
const struct shard_node_counters *shard_node_counters(const struct shard_node *node);
/* Aborts on the first broken invariant. */
void shard_node_check(const struct shard_node *node);

#endif /* TORC_SHARD_NODE_H */
