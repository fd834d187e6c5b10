/*
 * shard/chunks -- memory in powers of two that is kept for the next user, so that a steady flow of
 * short-lived things of mixed sizes allocates nothing. What is kept is bounded.
 */
#ifndef TORC_SHARD_CHUNKS_H
#define TORC_SHARD_CHUNKS_H

#include <stddef.h>

#include "base/alloc.h"

enum {
    SHARD_CHUNK_SIZE_MIN = 64,
    SHARD_CHUNK_CLASSES = 11,           /* Larger than 64 << 10 bytes is not kept. */
    SHARD_CHUNKS_KEPT_MAX = 1024 * 1024 /* Bytes. */
};

struct shard_chunk {
    struct shard_chunk *next;
};

/* Open, so that it can be embedded; fields belong to chunks.c. */
struct shard_chunks {
    const struct base_allocator *allocator; /* Borrowed for its life. */
    struct shard_chunk *kept[SHARD_CHUNK_CLASSES];
    size_t kept_bytes;
};

void shard_chunks_init(struct shard_chunks *chunks, const struct base_allocator *allocator);
/* Frees what is kept; what was taken must have been given back. */
void shard_chunks_fini(struct shard_chunks *chunks);
/* At least `size` > 0 bytes, uninitialised; *ret_size says how many. */
void *shard_chunks_take(struct shard_chunks *chunks, size_t size, size_t *ret_size);
/* `size` as ret_size was. NULL is a no-op. */
void shard_chunks_give(struct shard_chunks *chunks, void *memory, size_t size);

#endif /* TORC_SHARD_CHUNKS_H */
