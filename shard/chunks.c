#include "shard/chunks.h"

#include <stdint.h>

#include "base/assert.h"

void shard_chunks_init(struct shard_chunks *chunks, const struct base_allocator *allocator)
{
    *chunks = (struct shard_chunks){.allocator = allocator};
}

void shard_chunks_fini(struct shard_chunks *chunks)
{
    for (unsigned rank = 0; rank < SHARD_CHUNK_CLASSES; rank++) {
        size_t size = (size_t)SHARD_CHUNK_SIZE_MIN << rank;
        while (chunks->kept[rank] != NULL) {
            struct shard_chunk *chunk = chunks->kept[rank];
            chunks->kept[rank] = chunk->next;
            chunks->kept_bytes -= size;
            base_free(chunks->allocator, chunk, size);
        }
    }
    TORC_ASSERT(chunks->kept_bytes == 0);
}

void *shard_chunks_take(struct shard_chunks *chunks, size_t size, size_t *ret_size)
{
    TORC_ASSERT(size > 0 && size <= SIZE_MAX / 2);
    unsigned rank = 0;
    size_t rounded = SHARD_CHUNK_SIZE_MIN;
    for (; rounded < size; rounded *= 2)
        rank++;
    *ret_size = rounded;
    if (rank >= SHARD_CHUNK_CLASSES || chunks->kept[rank] == NULL)
        return base_alloc(chunks->allocator, rounded);
    struct shard_chunk *chunk = chunks->kept[rank];
    chunks->kept[rank] = chunk->next;
    chunks->kept_bytes -= rounded;
    return chunk;
}

void shard_chunks_give(struct shard_chunks *chunks, void *memory, size_t size)
{
    if (memory == NULL)
        return;
    unsigned rank = 0;
    while ((size_t)SHARD_CHUNK_SIZE_MIN << rank < size)
        rank++;
    TORC_ASSERT((size_t)SHARD_CHUNK_SIZE_MIN << rank == size);
    if (rank >= SHARD_CHUNK_CLASSES || chunks->kept_bytes + size > SHARD_CHUNKS_KEPT_MAX) {
        base_free(chunks->allocator, memory, size);
        return;
    }
    struct shard_chunk *chunk = memory;
    chunk->next = chunks->kept[rank];
    chunks->kept[rank] = chunk;
    chunks->kept_bytes += size;
}
