/*
 * shard/records -- the request records of one group: the answer of every request that wrote, found
 * by the request's id, kept until its last time has passed.
 *
 * The records of one entry are one block: one value in the state, encoded once and used from there.
 * A block goes when the last times of all its records have passed; a record whose own has passed
 * counts as gone at once (find), so when exactly a block goes decides nothing.
 *
 * A block's value: u8 version, 3 zero, u32 count, then per record u64 client high, u64 low, u64
 * number, u64 last time, u32 vnode, u32 answer size, answer.
 */
#ifndef TORC_SHARD_RECORDS_H
#define TORC_SHARD_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/status.h"
#include "shard/chunks.h"
#include "wire/op.h"

/* The vnode of a record that belongs to the group as a whole (CLEAR). */
#define SHARD_RECORD_VNODE_NONE UINT32_MAX

struct shard_record {
    struct wire_client_id client;
    uint64_t number;
    uint64_t last_time;
    uint32_t vnode;           /* It moves with this one. */
    struct base_bytes answer; /* Found: borrowed until the next call that changes the records. */
};

struct shard_record_block;
struct shard_record_node;

/* Of the table: the hash here tells nearly all others apart without a look at their records. */
struct shard_record_slot {
    uint64_t hash;
    const struct shard_record_node *node; /* NULL: empty. */
};

/* Open, so that it can be embedded; fields are read-only outside records.c. */
struct shard_records {
    const struct base_allocator *allocator;
    struct shard_chunks chunks;
    struct shard_record_slot *table;  /* By the hash of the id; what collides lies behind. */
    size_t table_size;                /* A power of two, or 0; at most half is used. */
    struct shard_record_block **heap; /* Closed blocks, the one that goes next first. */
    size_t heap_count, heap_capacity;
    struct shard_record_block *open; /* Of the entry that is being applied; NULL: no record yet. */
    uint32_t open_count_max;
    uint64_t count, bytes; /* Of all records; bytes: of the blocks' values. */
};

/* `allocator` is borrowed for its life. */
void shard_records_init(struct shard_records *records, const struct base_allocator *allocator);
void shard_records_fini(struct shard_records *records);

/* The record of a request, unless its last time lies before `clock`. */
bool shard_records_find(const struct shard_records *records, struct wire_client_id client,
                        uint64_t number, uint64_t clock, struct shard_record *ret_record);

/* Around the requests of one entry: open, add up to `count_max` (copied, found at once), close,
 * which gives the value to be stored under the slot (borrowed until the block goes; size 0: no
 * records, nothing to store). */
void shard_records_open(struct shard_records *records, uint32_t count_max);
void shard_records_add(struct shard_records *records, const struct shard_record *record);
struct base_bytes shard_records_close(struct shard_records *records, uint64_t slot);

/* Forgets one block of which every last time lies before `clock`, the oldest such time first:
 * *ret_slot is its slot; false: there is none. */
bool shard_records_expire(struct shard_records *records, uint64_t clock, uint64_t *ret_slot);

/* Whether there is one. */
bool shard_records_due(const struct shard_records *records, uint64_t clock);

/* A block as it was stored. TORC_DAMAGED, TORC_NEWER: nothing changed. */
enum torc_status shard_records_load(struct shard_records *records, uint64_t slot,
                                    struct base_bytes value) TORC_MUST_CHECK;

/* Aborts on the first broken invariant; linear. */
void shard_records_check(const struct shard_records *records);

#endif /* TORC_SHARD_RECORDS_H */
