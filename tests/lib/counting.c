#include "tests/lib/counting.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* In front of each block; its alignment is the block's. */
struct block {
    _Alignas(max_align_t) struct counting *owner;
    size_t size;
};

enum { FILL_FRESH = 0xA5, FILL_FREED = 0x5A };

static void *block_new(struct counting *counting, size_t size)
{
    struct block *block = malloc(sizeof(*block) + size);
    TORC_ASSERT(block != NULL);
    block->owner = counting;
    block->size = size;
    counting->bytes += size;
    counting->blocks++;
    if (counting->bytes > counting->bytes_peak)
        counting->bytes_peak = counting->bytes;
    if (counting->blocks > counting->blocks_peak)
        counting->blocks_peak = counting->blocks;
    return memset(block + 1, FILL_FRESH, size);
}

static void block_free(struct counting *counting, void *memory, size_t size)
{
    struct block *block = (struct block *)memory - 1;
    TORC_ASSERT(block->owner == counting);
    TORC_ASSERT(block->size == size);
    counting->bytes -= size;
    counting->blocks--;
    block->owner = NULL;
    memset(memory, FILL_FREED, size);
    free(block);
}

static void *counting_resize(void *context, void *old, size_t old_size, size_t size)
{
    struct counting *counting = context;
    TORC_ASSERT((old == NULL) == (old_size == 0));
    counting->call_count++;
    /* The old block is alive while the new one is made, as in a heap that has to move it. */
    void *memory = size == 0 ? NULL : block_new(counting, size);
    if (old != NULL) {
        if (memory != NULL)
            memcpy(memory, old, old_size < size ? old_size : size);
        block_free(counting, old, old_size);
    }
    return memory;
}

const struct base_allocator *counting_init(struct counting *counting)
{
    *counting = (struct counting){.allocator = {.resize = counting_resize, .context = counting}};
    return &counting->allocator;
}

void counting_fini(const struct counting *counting)
{
    TORC_ASSERT(counting->blocks == 0);
    TORC_ASSERT(counting->bytes == 0);
}

void counting_peak_reset(struct counting *counting)
{
    counting->bytes_peak = counting->bytes;
    counting->blocks_peak = counting->blocks;
}
