/* benchmarks/micro/memory_device -- a store_device in memory that loses nothing: what the log costs
 * without its disk. */
#ifndef TORC_BENCHMARKS_MICRO_MEMORY_DEVICE_H
#define TORC_BENCHMARKS_MICRO_MEMORY_DEVICE_H

#include "base/alloc.h"
#include "store/device.h"

enum { MEMORY_DEVICE_SEGMENTS_MAX = 64 };

struct memory_device {
    struct {
        uint64_t number; /* 0: none. */
        uint64_t size;
        uint8_t *bytes;
    } segments[MEMORY_DEVICE_SEGMENTS_MAX];
    bool has_superblock[STORE_SUPERBLOCK_COPIES];
    uint8_t superblocks[STORE_SUPERBLOCK_COPIES][STORE_SUPERBLOCK_SIZE];
};

/* `device` is all zero, and outlives what is returned. Its memory is of the process's heap. */
struct store_device memory_device_of(struct memory_device *device);
void memory_device_fini(struct memory_device *device);

#endif /* TORC_BENCHMARKS_MICRO_MEMORY_DEVICE_H */
