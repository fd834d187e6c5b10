/*
 * store/superblock -- who this node is and where its log stands, in two copies.
 *
 * A change is written and synced to one copy, then to the other, and nothing is done on the
 * strength of it before both are. So at any instant one copy is whole, and falling back to the
 * older one forgets nothing that was acted on. Bytes are drawn in docs/adr/0001-log-format.md.
 */
#ifndef TORC_STORE_SUPERBLOCK_H
#define TORC_STORE_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "store/device.h"

enum {
    STORE_ID_SIZE = 16,           /* Bytes of a storage or cluster id. */
    STORE_SUPERBLOCK_VERSION = 1, /* Of the layout; a higher one is TORC_NEWER. */
    STORE_BLOCK_SIZE_MIN = 128,   /* Geometry that a superblock may name. */
    STORE_BLOCK_SIZE_MAX = 65536,
    STORE_SEGMENT_BLOCKS_MIN = 4,
};

/* A place between two batches of the log. Segment 0: the log has no segment yet. */
struct store_position {
    uint64_t segment; /* Generation of the segment, which is also its number on the device. */
    uint64_t batch;   /* Last batch before this place. */
    uint32_t block;   /* First block of the segment after that batch. */
};

struct store_superblock {
    uint8_t storage_id[STORE_ID_SIZE]; /* Random, made by format; never used twice. */
    uint8_t cluster_id[STORE_ID_SIZE];
    uint32_t node;
    uint32_t incarnation;           /* Raised by every start, before anything is sent. */
    uint32_t feature_level;         /* Of what is stored here. */
    uint32_t block_size;            /* Bytes that the device writes atomically; a power of two. */
    uint64_t segment_size;          /* Bytes; a multiple of block_size. */
    uint64_t lease_max_ms;          /* Longest lease ever granted. */
    uint64_t oldest;                /* Oldest live segment; 0 with position.segment 0. */
    struct store_position position; /* Everything before it is synced. */
    uint64_t sequence;              /* Rises by one with every update. */
};

/* Whether block_size and segment_size are in range and fit together. */
bool store_superblock_geometry_valid(const struct store_superblock *superblock);

/* Fills STORE_SUPERBLOCK_SIZE bytes. */
void store_superblock_encode(const struct store_superblock *superblock, uint8_t *bytes);
/* TORC_MALFORMED: not a superblock, or not whole; TORC_NEWER: whole, of a layout unknown here. */
enum torc_status store_superblock_decode(const uint8_t *bytes, struct store_superblock *ret);

/*
 * Makes the first superblock of an empty device; identity and geometry come from `superblock`, the
 * rest is set (nothing in the log, sequence 1). TORC_EXISTS: the device holds a segment or any
 * bytes of a superblock; nothing was changed. TORC_INVALID: geometry out of range. TORC_IO.
 */
enum torc_status store_superblock_format(const struct store_device *device,
                                         struct store_superblock *superblock);

/*
 * Reads both copies, chooses the newest whole one, and writes it to both again, synced: what was
 * read may have been in the page cache only. *ret_repaired says that a copy was missing or not
 * whole. TORC_NOT_FOUND: neither copy exists; TORC_DAMAGED: no copy is whole; TORC_NEWER; TORC_IO.
 */
enum torc_status store_superblock_load(const struct store_device *device,
                                       struct store_superblock *ret_superblock, bool *ret_repaired);

/* Raises the sequence and makes the superblock durable, copy by copy. TORC_IO: unknown; stop. */
enum torc_status store_superblock_update(const struct store_device *device,
                                         struct store_superblock *superblock);

#endif /* TORC_STORE_SUPERBLOCK_H */
