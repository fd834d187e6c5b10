#include "benchmarks/micro/memory_device.h"

#include <string.h>

#include "base/assert.h"

/* Segment 0 finds a free place. */
static size_t place_of(const struct memory_device *device, uint64_t segment)
{
    size_t i = 0;
    while (i < MEMORY_DEVICE_SEGMENTS_MAX && device->segments[i].number != segment)
        i++;
    return i;
}

static enum torc_status next(void *context, uint64_t after, uint64_t *ret_segment,
                             uint64_t *ret_size)
{
    const struct memory_device *device = context;
    uint64_t found = UINT64_MAX;
    for (size_t i = 0; i < MEMORY_DEVICE_SEGMENTS_MAX; i++) {
        uint64_t number = device->segments[i].number;
        if (number <= after || number >= found)
            continue;
        found = number;
        *ret_size = device->segments[i].size;
    }
    *ret_segment = found;
    return found == UINT64_MAX ? TORC_NOT_FOUND : TORC_OK;
}

static enum torc_status prepare(void *context, uint64_t segment, uint64_t size, bool *ret_done)
{
    struct memory_device *device = context;
    size_t i = place_of(device, 0);
    if (i == MEMORY_DEVICE_SEGMENTS_MAX)
        return TORC_FULL;
    device->segments[i].number = segment;
    device->segments[i].size = size;
    device->segments[i].bytes = base_alloc_zero(base_allocator_system(), size);
    *ret_done = true;
    return TORC_OK;
}

static uint8_t *bytes_at(const struct memory_device *device, uint64_t segment, uint64_t offset)
{
    size_t i = place_of(device, segment);
    TORC_ASSERT(i < MEMORY_DEVICE_SEGMENTS_MAX);
    return device->segments[i].bytes + offset;
}

static enum torc_status read_bytes(void *context, uint64_t segment, uint64_t offset, void *buffer,
                                   size_t size)
{
    memcpy(buffer, bytes_at(context, segment, offset), size);
    return TORC_OK;
}

static enum torc_status write_bytes(void *context, uint64_t segment, uint64_t offset,
                                    const void *data, size_t size, bool durable)
{
    (void)durable;
    memcpy(bytes_at(context, segment, offset), data, size);
    return TORC_OK;
}

static enum torc_status rename_segment(void *context, uint64_t from, uint64_t to)
{
    struct memory_device *device = context;
    device->segments[place_of(device, from)].number = to;
    return TORC_OK;
}

static enum torc_status remove_segment(void *context, uint64_t segment)
{
    struct memory_device *device = context;
    size_t i = place_of(device, segment);
    base_free(base_allocator_system(), device->segments[i].bytes, device->segments[i].size);
    device->segments[i].number = 0;
    device->segments[i].bytes = NULL;
    return TORC_OK;
}

static enum torc_status sync_directory(void *context)
{
    (void)context;
    return TORC_OK;
}

static enum torc_status superblock_read(void *context, unsigned copy, void *buffer)
{
    const struct memory_device *device = context;
    if (!device->has_superblock[copy])
        return TORC_NOT_FOUND;
    memcpy(buffer, device->superblocks[copy], STORE_SUPERBLOCK_SIZE);
    return TORC_OK;
}

static enum torc_status superblock_write(void *context, unsigned copy, const void *data)
{
    struct memory_device *device = context;
    device->has_superblock[copy] = true;
    memcpy(device->superblocks[copy], data, STORE_SUPERBLOCK_SIZE);
    return TORC_OK;
}

static enum torc_status superblock_sync(void *context, unsigned copy)
{
    (void)context;
    (void)copy;
    return TORC_OK;
}

struct store_device memory_device_of(struct memory_device *device)
{
    return (struct store_device){
        .context = device,
        .next = next,
        .prepare = prepare,
        .read = read_bytes,
        .write = write_bytes,
        .rename = rename_segment,
        .remove = remove_segment,
        .sync_directory = sync_directory,
        .superblock_read = superblock_read,
        .superblock_write = superblock_write,
        .superblock_sync = superblock_sync,
    };
}

void memory_device_fini(struct memory_device *device)
{
    for (size_t i = 0; i < MEMORY_DEVICE_SEGMENTS_MAX; i++) {
        if (device->segments[i].bytes != NULL)
            base_free(base_allocator_system(), device->segments[i].bytes, device->segments[i].size);
    }
}
