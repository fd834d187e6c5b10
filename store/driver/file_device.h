/*
 * store/driver/file_device -- the store_device over files of a data directory: log/ holds one file
 * per segment, named by its number in 16 hexadecimal digits, and superblock.0 and superblock.1 lie
 * beside.
 *
 * Segments are made by writing zeroes, a piece at a time with a sync after each, under the name
 * "filling": a durable overwrite is the cheapest durable write (DESIGN section 5), and no single
 * call holds the storage thread up for longer than a piece takes.
 *
 * A write to a segment is one call: past the page cache (O_DIRECT) and durable when it returns
 * (RWF_DSYNC). What the file system or the kernel refuses of that is found out at the first write
 * and done without from then on: through the page cache, or with an fdatasync behind. Reads go
 * through the page cache, which the kernel keeps in step with direct writes.
 *
 * A failed write, sync, rename or read ends the process at once with STORE_EXIT_IO and one log
 * line: after a failed sync nobody knows what the disk holds, and a retry would only seem to
 * succeed. The one expected failure is a full disk while a segment is made.
 */
#ifndef TORC_STORE_DRIVER_FILE_DEVICE_H
#define TORC_STORE_DRIVER_FILE_DEVICE_H

#include "base/alloc.h"
#include "base/status.h"
#include "store/device.h"

enum {
    STORE_EXIT_IO = 74,                 /* Exit status after a failed write or sync (EX_IOERR). */
    STORE_FILE_PIECE_SIZE = 256 * 1024, /* Bytes that one prepare call writes and syncs. */
};

struct store_file_device;

/*
 * `directory_fd` is the data directory, borrowed until close; log/ exists in it. A half-made
 * segment of an earlier life is removed. TORC_IO: log/ cannot be read, errno says why.
 */
enum torc_status store_file_device_open(int directory_fd, const struct base_allocator *allocator,
                                        struct store_file_device **ret_device);
/* Closes the files; syncs nothing. NULL is a no-op. */
void store_file_device_close(struct store_file_device *device);
/* The interface; dead with the device. */
struct store_device store_file_device_of(struct store_file_device *device);

#endif /* TORC_STORE_DRIVER_FILE_DEVICE_H */
