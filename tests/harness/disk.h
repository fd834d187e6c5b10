/*
 * tests/harness/disk -- one group's part of a log that keeps whole batches: what was synced, what
 * is being written, what waits. One write at a time; what waits then goes with the next.
 *
 * Alone it is a list of records, which is fast. Over a disk_log the product's log holds them, and
 * after a crash the list is made again from what that gives back.
 */
#ifndef TORC_TESTS_HARNESS_DISK_H
#define TORC_TESTS_HARNESS_DISK_H

#include "paxos/consensus.h"
#include "tests/harness/disk_log.h"

struct disk_batch {
    uint64_t seq;
    uint64_t mark;
    struct consensus_record *records; /* Each holds a reference to its value. */
    uint32_t record_count;
};

struct disk {
    const struct base_allocator *allocator;
    struct base_pool *pool; /* For values that a log gives back. */
    struct disk_log *log;   /* Owned; NULL: the list alone. */
    /* Synced: the newest of everything. */
    struct base_ballot promised;
    uint64_t mark;
    uint64_t trimmed;
    uint64_t last;                 /* Highest slot with a record. */
    struct consensus_entry *slots; /* By slot; entry.slot == 0: none. */
    size_t slot_capacity;
    /* Not synced, oldest first. */
    struct disk_batch *batches;
    size_t batch_capacity;
    uint32_t batch_count;
    uint32_t writing; /* The first so many are being written. */
};

/* `log` may be NULL, else it is empty and becomes the disk's. */
void disk_init(struct disk *disk, struct base_pool *pool, struct disk_log *log);
void disk_fini(struct disk *disk);
void disk_append(struct disk *disk, const struct consensus_ready *ready);
/* Begins to write what waits; false if nothing does or a write is under way. */
bool disk_write(struct disk *disk);
/* What was being written is synced; returns the last batch of it. */
uint64_t disk_synced(struct disk *disk);
/* The process ended, perhaps with the power. What waited is gone. What was being written: of a list
 * all or nothing is left, as `keep` says; of a log, what its device kept makes the list anew. */
void disk_crash(struct disk *disk, bool power, bool keep);
/* The synced record of a slot, or NULL. */
const struct consensus_entry *disk_entry(const struct disk *disk, uint64_t slot);
void disk_trim(struct disk *disk, uint64_t slot);
/* Loses the promise, the mark and every slot for which `lose` says so; a list alone from here on.
 */
void disk_damage(struct disk *disk, bool (*lose)(void *context), void *context);
/* What recovery finds above `applied`; *ret_entries is the caller's to free, as an array of
 * last - applied entries (NULL if none), values borrowed from the disk. */
void disk_recover(const struct disk *disk, uint64_t applied, struct consensus_boot *ret_boot,
                  struct consensus_entry **ret_entries);

#endif /* TORC_TESTS_HARNESS_DISK_H */
