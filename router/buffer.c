#include "router/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum { SLACK = 64 /* Behind a large piece: what ends a reply. */ };

void router_buffer_fini(struct router_buffer *buffer)
{
    base_array_free(buffer->allocator, buffer->data, &buffer->capacity, 1);
    buffer->data = NULL;
    buffer->size = 0;
}

void router_buffer_clear(struct router_buffer *buffer)
{
    if (buffer->capacity > ROUTER_BUFFER_KEEP_MAX)
        router_buffer_fini(buffer);
    buffer->size = 0;
}

void router_buffer_reserve(struct router_buffer *buffer, size_t capacity)
{
    const struct base_allocator *allocator = buffer->allocator;
    if (capacity <= buffer->capacity)
        return;
    buffer->data = allocator->resize(allocator->context, buffer->data, buffer->capacity, capacity);
    buffer->capacity = capacity;
}

uint8_t *router_buffer_grow(struct router_buffer *buffer, size_t size)
{
    size_t at = buffer->size;
    TORC_ASSERT(size <= SIZE_MAX - at - SLACK);
    if (size > ROUTER_BUFFER_KEEP_MAX && size > buffer->capacity)
        router_buffer_reserve(buffer, at + size + SLACK);
    buffer->data =
        base_array_reserve(buffer->allocator, buffer->data, &buffer->capacity, at + size, 1);
    buffer->size = at + size;
    return buffer->data + at;
}

void router_buffer_append(struct router_buffer *buffer, struct base_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(router_buffer_grow(buffer, bytes.size), bytes.data, bytes.size);
}

void router_buffer_text(struct router_buffer *buffer, const char *text)
{
    router_buffer_append(buffer, base_bytes_text(text));
}

void router_buffer_format(struct router_buffer *buffer, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    TORC_ASSERT(size >= 0);
    if ((size_t)size >= sizeof(text))
        size = sizeof(text) - 1;
    router_buffer_append(buffer, base_bytes_of(text, (size_t)size));
}

void router_buffer_consume(struct router_buffer *buffer, size_t size)
{
    TORC_ASSERT(size <= buffer->size);
    if (size == buffer->size) {
        router_buffer_clear(buffer);
        return;
    }
    memmove(buffer->data, buffer->data + size, buffer->size - size);
    buffer->size -= size;
}
