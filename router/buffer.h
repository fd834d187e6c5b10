/*
 * router/buffer -- growable bytes over the core's allocator: replies, unread input, outgoing
 * bodies.
 *
 * Every user bounds the size itself, before it appends. Memory is kept when a buffer is emptied, up
 * to ROUTER_BUFFER_KEEP_MAX, so that a connection at work allocates nothing. It grows by doubling,
 * but for one large piece, which gets what it needs and not up to twice as much.
 */
#ifndef TORC_ROUTER_BUFFER_H
#define TORC_ROUTER_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"

enum { ROUTER_BUFFER_KEEP_MAX = 16 * 1024 };

/* Open, so that it can be embedded. All zero but the allocator: empty. */
struct router_buffer {
    const struct base_allocator *allocator;
    uint8_t *data;
    size_t size;
    size_t capacity;
};

static inline struct router_buffer router_buffer_empty(const struct base_allocator *allocator)
{
    return (struct router_buffer){.allocator = allocator};
}

static inline struct base_bytes router_buffer_bytes(const struct router_buffer *buffer)
{
    return base_bytes_of(buffer->data, buffer->size);
}

/* Frees the memory; the buffer is empty and may be used again. */
void router_buffer_fini(struct router_buffer *buffer);
/* Size 0; gives memory beyond ROUTER_BUFFER_KEEP_MAX back. */
void router_buffer_clear(struct router_buffer *buffer);
/* Makes the buffer `size` bytes longer and returns where they begin, uninitialised. Dead at the
 * next call that grows the buffer. */
uint8_t *router_buffer_grow(struct router_buffer *buffer, size_t size);
/* Memory for `capacity` bytes and no more; nothing when there is as much. */
void router_buffer_reserve(struct router_buffer *buffer, size_t capacity);
void router_buffer_append(struct router_buffer *buffer, struct base_bytes bytes);
void router_buffer_text(struct router_buffer *buffer, const char *text);
void router_buffer_format(struct router_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes the first `size` bytes off; what follows moves to the front. */
void router_buffer_consume(struct router_buffer *buffer, size_t size);

#endif /* TORC_ROUTER_BUFFER_H */
