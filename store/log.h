/*
 * store/log -- the acceptor's stable memory: one log per node, shared by all its groups, over a
 * store_device. Pure: no clock, no threads, no files; the storage thread owns it and the device.
 *
 * Guarantees (docs/adr/0001-log-format.md has the bytes and the reasons):
 *   - What append returned TORC_OK for is given back by every later open, until it is trimmed or
 * its replica is dropped, or open says that it is damaged: never fewer silently.
 *   - A batch counts whole or not at all. Batch numbers rise by one and are never reused for other
 *     contents once a batch counted.
 *   - Nothing that open gave to the visitor counts before open returned TORC_OK: by then it has
 * been made durable again.
 *   - After TORC_IO or TORC_DAMAGED from a call that changes the log, only store_log_close is
 * allowed.
 *
 * Order: the last record of a slot is the one that counts. A record may be copied forward when its
 * segment is recycled, so records of *different* slots, promises and marks may come back in another
 * order than they were written; of one slot, of the promises and of the marks the newest always
 * comes last. A promise also comes back when only entries accepted at its ballot had recorded it.
 */
#ifndef TORC_STORE_LOG_H
#define TORC_STORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"
#include "store/device.h"
#include "store/record.h"
#include "store/superblock.h"

struct store_log;

/* Block and segment size come from the superblock. */
struct store_log_config {
    uint32_t batch_size_max; /* Bytes of records in one batch; more is split into several. */
    uint32_t spare_segments; /* Segments kept ready beside the live ones, so that a new one is not
                                waited for; at least 1. */
    uint32_t slack_segments; /* Live segments beyond twice what is needed, before needed records
                                are copied forward to free the oldest; at least 1. */
};

/* How open tells its caller what it found; called only during store_log_open. */
struct store_log_visitor {
    void *context;
    /* Every surviving record in log order; `record` and its payload are dead after the call. */
    void (*record)(void *context, const struct store_record *record);
    /* The payload of a record of this replica is rotten (slot 0: its REPLICA record): the group
     * never votes again under that replica id. A later DROP of the replica takes it back. */
    void (*damaged)(void *context, uint32_t group, uint64_t replica, uint64_t slot);
    /* The group's applied index in the flushed state: an entry at or below it is not missed. 0 when
     * the group has no state. */
    uint64_t (*flushed)(void *context, uint32_t group);
};

enum store_log_flaw {
    STORE_LOG_SOUND = 0,
    STORE_LOG_SEGMENT_MISSING, /* A live segment is not on the device, or has another size. */
    STORE_LOG_HEADER_BAD,      /* A segment's header block does not say what it must. */
    STORE_LOG_BLOCK_ROTTEN,    /* A block is neither new nor old, and may hide a record's header. */
    STORE_LOG_BLOCK_LOST,      /* An old block where a synced one must be. */
    STORE_LOG_RECORD_BAD,      /* Whole blocks hold what is no record. */
    STORE_LOG_POSITION_BAD, /* The log ends elsewhere than the superblock or the next header says.
                             */
};

/* Where the whole log was found damaged, for the message to the operator. */
struct store_log_damage {
    enum store_log_flaw flaw;
    uint64_t segment;
    uint32_t block;
    uint64_t batch; /* The batch that was expected there. */
};

struct store_log_stats {
    uint64_t segments;       /* Live. */
    uint64_t spares;         /* Ready beside them. */
    uint64_t bytes;          /* Of live and spare segments. */
    uint64_t needed_bytes;   /* Of records above the trim positions. */
    uint64_t oldest;         /* Oldest live segment. */
    uint64_t entries;        /* Slots in the index. */
    uint64_t appends;        /* Batches written since open, by callers and by copying. */
    uint64_t syncs;          /* Of segments, since open. */
    uint64_t copied_records; /* Copied forward since open. */
    uint64_t torn_batches;   /* Found in part, and dropped: they were never synced. 0 or 1. */
    struct store_position position;
};

/*
 * Recovers the log that `superblock` describes. `device`, `allocator` and `superblock` are borrowed
 * until close; the log updates the superblock's oldest and position, through
 * store_superblock_update, so its owner changes other fields only between calls. TORC_INVALID:
 * config does not fit the superblock's geometry; TORC_DAMAGED: *ret_damage says where, and what the
 * visitor was given must be forgotten; TORC_FULL: no space for a segment; TORC_IO.
 */
enum torc_status store_log_open(const struct store_log_config *config,
                                const struct store_device *device,
                                const struct base_allocator *allocator,
                                struct store_superblock *superblock,
                                const struct store_log_visitor *visitor,
                                struct store_log_damage *ret_damage, struct store_log **ret_log);

/* Frees memory and writes nothing. NULL is a no-op. */
void store_log_close(struct store_log *log);

/* The largest payload that a record may have under this config. */
uint32_t store_log_payload_max(const struct store_log_config *config);

/* The config that the log was opened with; dead with the log. */
const struct store_log_config *store_log_config_of(const struct store_log *log);

/*
 * Writes the records and syncs them: durable on return. One batch, or, if they are more than
 * batch_size_max, several in their order, each whole or not at all; so a MARK stands after the
 * records that it covers. `count` > 0. *ret_batch is the last batch's number. Replica rules are
 * asserted: the first record of a replica id is its REPLICA record, and a DROP comes before another
 * id. TORC_TOO_LARGE: a payload is over store_log_payload_max, nothing was written; TORC_FULL: no
 * space for a new segment: leading batches of a split append may have been written; TORC_IO.
 */
enum torc_status store_log_append(struct store_log *log, const struct store_record *records,
                                  size_t count, uint64_t *ret_batch);

/*
 * The newest record of a slot (an ENTRY or a LEARNED one), read from the device and verified; its
 * payload lies in `buffer`. TORC_NOT_FOUND: none above the trim position; TORC_TOO_LARGE: the
 * buffer is smaller than the payload; TORC_DAMAGED: rotten; TORC_IO. Changes nothing.
 */
enum torc_status store_log_read(struct store_log *log, uint32_t group, uint64_t slot, void *buffer,
                                size_t buffer_size, struct store_record *ret_record);

/* The slots that store_log_read has for a group: false if none. Not necessarily all between. */
bool store_log_range(const struct store_log *log, uint32_t group, uint64_t *ret_first,
                     uint64_t *ret_last);

/*
 * The group's entries at or below `slot` are needed no more (they are in its flushed state).
 * Segments in which nothing is needed are recycled; when the log is larger than the config allows
 * for what is needed, the oldest one's needed records are copied forward first. Unknown group: a
 * no-op. TORC_FULL: no space to copy into, the trim itself holds; TORC_IO.
 */
enum torc_status store_log_trim(struct store_log *log, uint32_t group, uint64_t slot);

/* Brings the superblock's position up to date, if it is not. The storage thread calls it when
 * nothing was written for 10 ms. TORC_IO. */
enum torc_status store_log_idle(struct store_log *log);
/* Whether store_log_idle would write. */
bool store_log_is_idle(const struct store_log *log);

/*
 * Does one piece of making spare segments; *ret_done says that there are enough. Called between
 * batches. TORC_FULL: no space (the log goes on with what it has); TORC_IO.
 */
enum torc_status store_log_prepare(struct store_log *log, bool *ret_done);

void store_log_stats(const struct store_log *log, struct store_log_stats *ret_stats);

/* Aborts on the first broken invariant. Linear in what the log keeps in memory. */
void store_log_check(const struct store_log *log);

/* Stable text of a flaw ("a live segment is missing"). Static memory. */
const char *store_log_flaw_text(enum store_log_flaw flaw);

#endif /* TORC_STORE_LOG_H */
