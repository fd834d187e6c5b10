#include "base/buffer.h"

#include <string.h>

#include "base/assert.h"

void base_pool_init(struct base_pool *pool, const struct base_allocator *allocator,
                    size_t bytes_max)
{
    TORC_ASSERT(bytes_max > 0);
    *pool = (struct base_pool){.allocator = allocator, .bytes_max = bytes_max};
}

void base_pool_fini(struct base_pool *pool)
{
    TORC_ASSERT(pool->buffer_count == 0);
    TORC_ASSERT(pool->bytes_used == 0);
}

bool base_pool_has_room(const struct base_pool *pool, size_t size)
{
    return size <= UINT32_MAX &&
           size + sizeof(struct base_buffer) <= pool->bytes_max - pool->bytes_used;
}

struct base_buffer *base_buffer_new(struct base_pool *pool, size_t size)
{
    if (!base_pool_has_room(pool, size)) {
        pool->refused++;
        return NULL;
    }
    struct base_buffer *buffer = base_alloc(pool->allocator, sizeof(*buffer) + size);
    buffer->pool = pool;
    buffer->references = 1;
    buffer->size = (uint32_t)size;
    pool->bytes_used += sizeof(*buffer) + size;
    pool->buffer_count++;
    return buffer;
}

struct base_buffer *base_buffer_copy(struct base_pool *pool, struct base_bytes bytes)
{
    struct base_buffer *buffer = base_buffer_new(pool, bytes.size);
    if (buffer != NULL && bytes.size > 0)
        memcpy(buffer->data, bytes.data, bytes.size);
    return buffer;
}

struct base_buffer *base_buffer_ref(struct base_buffer *buffer)
{
    TORC_ASSERT(buffer->references > 0);
    TORC_ASSERT(buffer->references < UINT32_MAX);
    buffer->references++;
    return buffer;
}

void base_buffer_unref(struct base_buffer *buffer)
{
    if (buffer == NULL)
        return;
    TORC_ASSERT(buffer->references > 0);
    if (--buffer->references > 0)
        return;
    struct base_pool *pool = buffer->pool;
    size_t size = sizeof(*buffer) + buffer->size;
    TORC_ASSERT(pool->bytes_used >= size);
    TORC_ASSERT(pool->buffer_count > 0);
    pool->bytes_used -= size;
    pool->buffer_count--;
    base_free(pool->allocator, buffer, size);
}
