/*
 * store/device -- what the log needs of a disk: numbered segments of one size, and two superblock
 * copies. A small synchronous interface, so that the log is a pure core that runs on files
 * (store/driver/file_device.h) and on a simulated disk (store/sim_device.h) alike.
 *
 * Ownership: buffers are borrowed for the call. A device belongs to one thread at a time.
 * Durability: a write to a segment is durable when it returned TORC_OK, and that says nothing of
 * any other write; a superblock copy when a later sync of it returned TORC_OK; a name (prepare,
 * rename, remove) when sync_directory returned TORC_OK. Nothing else is promised: what was written
 * and is not durable may be there after a crash, or not, each block of its own.
 *
 * Statuses: TORC_OK; TORC_NOT_FOUND: no such segment or copy; TORC_FULL: no space (prepare only);
 * TORC_IO: the operation failed, its outcome is unknown, and the caller must not go on. A device
 * over files ends the process instead of returning TORC_IO from a write or a sync.
 */
#ifndef TORC_STORE_DEVICE_H
#define TORC_STORE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    STORE_SUPERBLOCK_SIZE = 512, /* Bytes of one superblock copy: one atomic unit of any disk. */
    STORE_SUPERBLOCK_COPIES = 2,
    STORE_DEVICE_ALIGNMENT = 4096, /* Of a buffer that any disk writes without a copy. */
};

struct store_device {
    void *context;

    /* The lowest segment number above `after`, and its size in bytes. TORC_NOT_FOUND: no more. */
    enum torc_status (*next)(void *context, uint64_t after, uint64_t *ret_segment,
                             uint64_t *ret_size);
    /* Does the next piece of making a zero-filled segment of `size` bytes and says in *ret_done
     * whether it stands, durable under its name. A half-made segment is never listed. Called again
     * with the same arguments until done. TORC_FULL: no space, nothing is left of it. */
    enum torc_status (*prepare)(void *context, uint64_t segment, uint64_t size, bool *ret_done);
    /* Reads exactly `size` bytes, as the last write left them, durable or not. */
    enum torc_status (*read)(void *context, uint64_t segment, uint64_t offset, void *buffer,
                             size_t size);
    /* Writes inside the segment's size, durably: blocks that are not all there after a crash were
     * of a write that had not returned. A buffer at a multiple of STORE_DEVICE_ALIGNMENT is written
     * fastest. `durable` is false in planted bugs and tests only: then it is as if never synced. */
    enum torc_status (*write)(void *context, uint64_t segment, uint64_t offset, const void *data,
                              size_t size, bool durable);
    /* `to` does not exist. The content stays. */
    enum torc_status (*rename)(void *context, uint64_t from, uint64_t to);
    enum torc_status (*remove)(void *context, uint64_t segment);
    enum torc_status (*sync_directory)(void *context);

    /* One copy, 0 or 1, STORE_SUPERBLOCK_SIZE bytes. TORC_NOT_FOUND: never written. */
    enum torc_status (*superblock_read)(void *context, unsigned copy, void *buffer);
    enum torc_status (*superblock_write)(void *context, unsigned copy, const void *data);
    enum torc_status (*superblock_sync)(void *context, unsigned copy);
};

#endif /* TORC_STORE_DEVICE_H */
