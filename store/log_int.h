/*
 * store/log_int -- what the files of the log share: log.c (append, read), log_batch.c (records in
 * blocks), log_recover.c (open), log_recycle.c (trim, copying forward).
 */
#ifndef TORC_STORE_LOG_INT_H
#define TORC_STORE_LOG_INT_H

#include "store/block.h"
#include "store/log.h"
#include "store/log_index.h"

/* Spares beyond the configured number that are kept for reuse instead of being removed: rolling
 * takes one and recycling gives one back, so without slack each round would make and remove a
 * segment. */
enum { STORE_LOG_SPARE_SLACK = 2 };

/* A segment of which no more than one part in so many is needed is always worth copying out of. */
enum { STORE_LOG_COPY_CHEAP = 8 };

struct store_log_geometry {
    uint64_t
        seed; /* Of block hashes: from the storage id, so another node's blocks are rotten here. */
    uint64_t segment_size;
    uint32_t block_size;
    uint32_t block_room;     /* Bytes of records in one block. */
    uint32_t segment_blocks; /* Block 0 is the segment's header. */
};

struct store_log {
    struct store_log_config config;
    struct store_log_geometry geometry;
    const struct store_device *device;
    const struct base_allocator *allocator;
    struct store_superblock *superblock;
    struct store_log_index index;
    struct store_position position; /* Where the next batch goes; all before it is synced. */
    uint64_t *spares;               /* Segments on the device that are not live. */
    size_t spare_count;
    size_t spare_capacity;
    uint64_t next_segment;   /* Above every number that the device has ever shown. */
    uint64_t preparing;      /* Number under which a spare is being made; 0: none. */
    uint32_t batch_size_max; /* The configured one, or the largest record of an earlier life. */
    uint8_t *blocks;         /* Where a batch is put together: batch_blocks_max blocks, aligned. */
    uint8_t *blocks_memory;  /* Around them. */
    uint32_t batch_blocks_max;
    uint8_t *scratch; /* Blocks read back. */
    size_t scratch_capacity;
    uint64_t appends;
    uint64_t syncs;
    uint64_t copied_records;
    uint64_t torn_batches;
    bool failed; /* A write or sync failed: what the disk holds is unknown. */
};

/* What a segment's header block says, beside its stamp (whose batch is the last one before it). */
struct store_log_segment_header {
    uint64_t previous;     /* Segment before it; 0: none. */
    uint64_t oldest;       /* Oldest live segment when it was made. */
    uint32_t previous_end; /* First block of the previous segment that does not count. */
};

/* --- log_batch.c: records in blocks, and out of them. --- */

/* Puts records together in `blocks`, which has room for them. */
struct store_log_writer {
    const struct store_log_geometry *geometry;
    uint8_t *blocks;
    uint32_t length; /* Bytes of records so far. */
};

uint32_t store_log_batch_blocks(const struct store_log_geometry *geometry, uint64_t length);
void store_log_writer_add(struct store_log_writer *writer, const struct store_record *record);
/* Pads and stamps; returns the number of blocks. */
uint32_t store_log_writer_seal(const struct store_log_writer *writer, uint64_t segment,
                               uint32_t number, uint64_t batch);
/* Copies bytes [offset, offset + size) of a batch out of its blocks. */
void store_log_gather(const struct store_log_geometry *geometry, const uint8_t *blocks,
                      uint64_t offset, void *bytes, size_t size);
void store_log_segment_header_seal(const struct store_log_geometry *geometry, uint8_t *block,
                                   uint64_t segment, uint64_t batch,
                                   const struct store_log_segment_header *header);
/* False: not the header block of this segment. */
bool store_log_segment_header_read(const struct store_log_geometry *geometry, const uint8_t *block,
                                   uint64_t segment, uint64_t *ret_batch,
                                   struct store_log_segment_header *ret_header);

/* --- log.c --- */

/* Marks the log failed on anything but TORC_OK and TORC_FULL. Returns its argument. */
enum torc_status store_log_outcome(struct store_log *log, enum torc_status status);
/* Takes a spare (made now if there is none) and names it `*ret_segment`, durably. */
enum torc_status store_log_take_spare(struct store_log *log, uint64_t *ret_segment);
/* Brings the superblock up to date: position, and `oldest` as the oldest live segment. */
enum torc_status store_log_save(struct store_log *log, uint64_t oldest);
void store_log_spare_add(struct store_log *log, uint64_t segment);
/* Appends records of `length` bytes, at most batch_size_max, as one batch. TORC_FULL, TORC_IO. */
enum torc_status store_log_write_batch(struct store_log *log, const struct store_record *records,
                                       size_t count, uint64_t length);

/* Reads and verifies the record at a location of the group; its payload lies in `buffer`, which has
 * room for it. TORC_DAMAGED, TORC_IO. */
enum torc_status store_log_read_at(struct store_log *log, const struct store_log_group *group,
                                   const struct store_log_location *at, void *buffer,
                                   struct store_record *ret_record);

/* --- log_recover.c --- */
/* Opens what the superblock names: fills the index and the position, tells the visitor, and makes
 * durable what lay past the superblock's position. Statuses of store_log_open. */

enum torc_status store_log_recover(struct store_log *log, const struct store_log_visitor *visitor,
                                   struct store_log_damage *ret_damage);

#endif /* TORC_STORE_LOG_INT_H */
