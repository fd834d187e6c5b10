/*
 * store/sim_device -- a simulated disk: pure, deterministic, honest about what a crash may leave.
 *
 * A write goes to a cache of sectors (the atomic unit); a sync moves a superblock copy's cached
 * sectors to the disk, and a durable write is a write and a sync of its own sectors, two operations
 * between which the power may go; renames and removals wait for the directory's sync in the same
 * way. After a process crash the cache is still there and is read; after a power loss each cached
 * sector and each waiting name change has a fate of its own. Sectors are shared between clones and
 * never copied, so a crash state costs a table of pointers.
 */
#ifndef TORC_STORE_SIM_DEVICE_H
#define TORC_STORE_SIM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "store/device.h"

struct store_sim_device;

struct store_sim_config {
    uint32_t sector_size;  /* The atomic unit: a power of two, at most STORE_SUPERBLOCK_SIZE. */
    uint64_t capacity_max; /* Bytes of segments before prepare says TORC_FULL. */
};

/* What becomes of a cached sector, or of a waiting change of a name (which is never torn: TORN
 * means KEPT there), when the power goes. */
enum store_sim_fate {
    STORE_SIM_LOST,
    STORE_SIM_KEPT,
    STORE_SIM_TORN, /* First half new, second half old: below the atomic unit that the log assumes.
                     */
};

/* What happens to the n-th operation from now (writes, syncs, names; reads do not count). */
enum store_sim_fault {
    STORE_SIM_STOP,        /* It and all later operations fail with TORC_IO; a write still reaches
                              the cache. What a crash at that point looks like. */
    STORE_SIM_ERROR,       /* It alone fails with TORC_IO and does nothing. */
    STORE_SIM_LOST_WRITE,  /* A write or sync says TORC_OK and does nothing. */
    STORE_SIM_MISDIRECTED, /* A write lands one sector later in the same segment. */
    STORE_SIM_SYNC_ERROR,  /* The first sync of a file from then on fails with TORC_IO, and what it
                              was for is read from the cache and never written: no later sync has
                              it, a power loss loses it. */
};

struct store_sim_counters {
    uint64_t operations; /* Writes, syncs and name changes. */
    uint64_t writes;
    uint64_t written_bytes;
    uint64_t syncs;
    uint64_t reads;
    uint64_t faults; /* Operations that met one; with STORE_SIM_STOP each. */
};

/* `allocator` is borrowed for the device's life, and its clones'. */
struct store_sim_device *store_sim_device_new(const struct store_sim_config *config,
                                              const struct base_allocator *allocator);
/* The same state, cached and on disk, without faults to come; counters start at 0. */
struct store_sim_device *store_sim_device_clone(const struct store_sim_device *device);
/* NULL is a no-op. */
void store_sim_device_free(struct store_sim_device *device);
/* The interface; dead with the device. */
struct store_device store_sim_device_of(struct store_sim_device *device);

/* Cached sectors and waiting name changes: how many fates power_loss will ask for. */
size_t store_sim_device_pending(const struct store_sim_device *device);
/* The power goes and comes back: `fate` is asked once per pending thing, in a stable order (name
 * changes first, then sectors by segment and offset). Faults to come are forgotten. */
void store_sim_device_power_loss(struct store_sim_device *device,
                                 enum store_sim_fate (*fate)(void *context), void *context);
/* The process died and starts again: the cache stays. Faults to come are forgotten. */
void store_sim_device_process_crash(struct store_sim_device *device);
/* A fate for power_loss with a struct base_prng as context: lost or kept, evenly. */
enum store_sim_fate store_sim_fate_random(void *prng);

/* The `after`-th next operation (0: the very next) meets `fault`; replaces an earlier request. */
void store_sim_device_inject(struct store_sim_device *device, enum store_sim_fault fault,
                             uint64_t after);
/* Faults to come are forgotten. */
void store_sim_device_spare(struct store_sim_device *device);
/* While it lies, a sync says TORC_OK and does nothing; what was not synced still is by a later
 * one. */
void store_sim_device_lie(struct store_sim_device *device, bool lies);
/* Flips one bit, in the cache and on disk. TORC_NOT_FOUND: no such place. */
enum torc_status store_sim_device_flip(struct store_sim_device *device, uint64_t segment,
                                       uint64_t bit);
enum torc_status store_sim_device_flip_superblock(struct store_sim_device *device, unsigned copy,
                                                  uint32_t bit);
/* Changes the capacity, also below what is used: nothing more can be prepared then. */
void store_sim_device_resize(struct store_sim_device *device, uint64_t capacity_max);
void store_sim_device_counters(const struct store_sim_device *device,
                               struct store_sim_counters *ret_counters);

#endif /* TORC_STORE_SIM_DEVICE_H */
