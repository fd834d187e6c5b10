/*
 * base/buffer -- reference-counted bytes from a pool that is bounded in bytes.
 *
 * The one exception to "borrow in, borrow out": an entry's bytes are written once and then referred
 * to by the request, the consensus window, the log batch and the messages to followers. Each holder
 * owns one reference. Single-threaded: counts change only on the loop thread; the storage thread
 * reads bytes of buffers that the loop keeps referenced until the write is reported done.
 */
#ifndef TORC_BASE_BUFFER_H
#define TORC_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"

/* Open, so that it can be embedded; fields are read-only outside buffer.c. */
struct base_pool {
    const struct base_allocator *allocator;
    size_t bytes_max;    /* Bound on bytes_used. */
    size_t bytes_used;   /* Invariant: the sum over live buffers of header and size. */
    size_t buffer_count; /* Live buffers. */
    uint64_t refused;    /* Buffers that there was no room for. */
};

struct base_buffer {
    struct base_pool *pool;
    uint32_t references; /* Invariant: > 0 while anybody holds it. */
    uint32_t size;       /* Bytes in data. */
    uint8_t data[];
};

/* `allocator` is borrowed for the pool's life. */
void base_pool_init(struct base_pool *pool, const struct base_allocator *allocator,
                    size_t bytes_max);
/* Asserts that every buffer has been released. */
void base_pool_fini(struct base_pool *pool);
/* Whether base_buffer_new of this size would succeed now. */
bool base_pool_has_room(const struct base_pool *pool, size_t size);

/* One reference, data uninitialised; NULL when the pool's bound would be passed (the caller has a
 * defined answer to that: wait, shed or slow the sender). */
struct base_buffer *base_buffer_new(struct base_pool *pool, size_t size);
/* The same, with a copy of `bytes`. */
struct base_buffer *base_buffer_copy(struct base_pool *pool, struct base_bytes bytes);
/* Takes one more reference; returns its argument. */
struct base_buffer *base_buffer_ref(struct base_buffer *buffer);
/* Gives one back; the last frees the memory. NULL is a no-op. */
void base_buffer_unref(struct base_buffer *buffer);

static inline struct base_bytes base_buffer_bytes(const struct base_buffer *buffer)
{
    return base_bytes_of(buffer->data, buffer->size);
}

#endif /* TORC_BASE_BUFFER_H */
