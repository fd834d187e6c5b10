#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void *system_resize(void *context, void *old, size_t old_size, size_t size)
{
    (void)context;
    (void)old_size;
    if (size == 0) {
        free(old);
        return NULL;
    }
    void *memory = realloc(old, size);
    TORC_ASSERT(memory != NULL);
    return memory;
}

const struct base_allocator *base_allocator_system(void)
{
    static const struct base_allocator system = {.resize = system_resize, .context = NULL};
    return &system;
}

void *base_alloc(const struct base_allocator *allocator, size_t size)
{
    TORC_ASSERT(size > 0);
    void *memory = allocator->resize(allocator->context, NULL, 0, size);
    TORC_ASSERT(memory != NULL);
    return memory;
}

void *base_alloc_zero(const struct base_allocator *allocator, size_t size)
{
    return memset(base_alloc(allocator, size), 0, size);
}

void base_free(const struct base_allocator *allocator, void *memory, size_t size)
{
    if (memory != NULL)
        allocator->resize(allocator->context, memory, size, 0);
}

void *base_array_reserve(const struct base_allocator *allocator, void *items, size_t *capacity,
                         size_t count, size_t item_size)
{
    TORC_ASSERT(item_size > 0);
    if (count <= *capacity)
        return items;
    size_t grown = *capacity == 0 ? 8 : *capacity;
    while (grown < count) {
        TORC_ASSERT(grown <= SIZE_MAX / 2 / item_size);
        grown *= 2;
    }
    items = allocator->resize(allocator->context, items, *capacity * item_size, grown * item_size);
    TORC_ASSERT(items != NULL);
    *capacity = grown;
    return items;
}

void base_array_free(const struct base_allocator *allocator, void *items, size_t *capacity,
                     size_t item_size)
{
    base_free(allocator, items, *capacity * item_size);
    *capacity = 0;
}
