/*
 * store/log_index -- what the log remembers in memory of its records: per group the newest promise,
 * mark, replica record and, for each slot above the trim position, where its newest record lies;
 * and per live segment how many bytes of records are still needed in it. Private to store/log.
 *
 * Records are applied in log order, at recovery as they are read, later as they are written.
 */
#ifndef TORC_STORE_LOG_INDEX_H
#define TORC_STORE_LOG_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "store/record.h"

/* Where a record lies. */
struct store_log_location {
    uint64_t slot;
    uint64_t segment; /* 0: nowhere. */
    uint32_t block;   /* First block of its batch. */
    uint32_t offset;  /* Of its header in the batch's bytes. */
    uint32_t size;    /* Header and payload. */
    bool damaged;     /* It is a DAMAGE record, or its payload was found rotten. */
};

struct store_log_group {
    uint32_t group;
    uint64_t replica;
    struct base_ballot promise; /* Highest of the PROMISE and ENTRY records. */
    uint64_t promise_segment;   /* Of the newest record at that ballot. */
    uint64_t mark;              /* Highest of the MARK records; 0: none. */
    uint64_t mark_segment;
    struct store_log_location replica_at;
    uint64_t trimmed; /* Slots at or below it are not in `entries`. */
    struct store_log_location
        *entries; /* By rising slot; the live ones are [first, first + count). */
    size_t first;
    size_t count;
    size_t capacity;
};

struct store_log_segment {
    uint64_t segment;
    uint64_t needed_bytes; /* Invariant: sum of the sizes of locations that point here. */
};

struct store_log_index {
    const struct base_allocator *allocator;
    struct store_log_group *groups; /* By rising number. */
    size_t group_count;
    size_t group_capacity;
    struct store_log_segment *segments; /* Live ones, oldest first; the last is written to. */
    size_t segment_count;
    size_t segment_capacity;
    uint64_t needed_bytes; /* Sum over segments. */
    uint64_t entry_count;  /* Sum over groups. */
};

void store_log_index_init(struct store_log_index *index, const struct base_allocator *allocator);
void store_log_index_fini(struct store_log_index *index);

/* Adds a live segment above all others. */
void store_log_index_add_segment(struct store_log_index *index, uint64_t segment);
/* Forgets the `count` oldest live segments; nothing is needed in them. */
void store_log_index_drop_segments(struct store_log_index *index, size_t count);

/* NULL: none. Dead after the next apply or trim. */
struct store_log_group *store_log_index_find(const struct store_log_index *index, uint32_t group);
/* The location of a slot above the trim position; NULL: none. Dead after the next apply or trim. */
struct store_log_location *store_log_index_entry(const struct store_log_group *group,
                                                 uint64_t slot);

/*
 * Takes note of a record at `at` (whose slot is the record's, and whose segment is live).
 * TORC_MALFORMED: the group has another live replica id; nothing was changed.
 */
enum torc_status store_log_index_apply(struct store_log_index *index,
                                       const struct store_record *record,
                                       const struct store_log_location *at);
/* Unknown group: a no-op. */
void store_log_index_trim(struct store_log_index *index, uint32_t group, uint64_t slot);

/* Aborts on the first broken invariant. Linear in the index. */
void store_log_index_check(const struct store_log_index *index);

#endif /* TORC_STORE_LOG_INDEX_H */
