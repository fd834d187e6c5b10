/*
 * store/driver/directory -- a node's data directory: superblock.0, superblock.1, log/, state/,
 * lock, and nothing else. Formatting it once, and opening it with every reason to refuse spelled
 * out.
 *
 * No server creates a data directory while starting: open never makes anything but its lock. `text`
 * receives one line for the operator that names the directory, what was expected and what was
 * found; it is written on every status but TORC_OK.
 */
#ifndef TORC_STORE_DRIVER_DIRECTORY_H
#define TORC_STORE_DRIVER_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"
#include "store/device.h"
#include "store/superblock.h"

enum { STORE_DIRECTORY_TEXT_SIZE = 1024 };

struct store_directory;

struct store_directory_format_options {
    uint8_t cluster_id[STORE_ID_SIZE];
    uint32_t node;
    uint32_t feature_level;
    uint32_t block_size;   /* 512 unless the device writes larger units atomically. */
    uint64_t segment_size; /* 64 MiB unless configured. */
    /* Makes what belongs into state/; called before the superblock is written, so that a directory
     * with a superblock is complete. NULL: state/ stays empty. */
    enum torc_status (*make_state)(void *context, const char *state_path);
    void *context;
};

/*
 * Formats `path`, which is an empty directory or does not exist yet (its parent does); draws the
 * storage id from the operating system. TORC_EXISTS: not empty, nothing was changed; TORC_INVALID:
 * options out of range; TORC_IO; what make_state returned.
 */
enum torc_status store_directory_format(const char *path,
                                        const struct store_directory_format_options *options,
                                        struct store_superblock *ret_superblock, char *text,
                                        size_t text_size);

struct store_directory_expectation {
    uint32_t node;              /* 0: any. */
    const uint8_t *cluster_id;  /* NULL: any. */
    uint32_t feature_level_max; /* Highest level that this process speaks. */
};

/*
 * Locks the directory, checks it, loads (and repairs) the superblock. What the expectation names
 * must match. TORC_NOT_FOUND: missing, or never formatted; TORC_LOCKED: another process has it;
 * TORC_FOREIGN: of another node or cluster; TORC_NEWER; TORC_DAMAGED: no whole superblock, or a
 * part of the directory is gone; TORC_IO.
 */
enum torc_status store_directory_open(const char *path,
                                      const struct store_directory_expectation *expectation,
                                      const struct base_allocator *allocator,
                                      struct store_directory **ret_directory, char *text,
                                      size_t text_size);
/* Unlocks and closes. NULL is a no-op. */
void store_directory_close(struct store_directory *directory);

/* Valid until close. The superblock is the storage thread's once that runs. */
const struct store_device *store_directory_device(const struct store_directory *directory);
struct store_superblock *store_directory_superblock(struct store_directory *directory);
/* Path of state/. */
const char *store_directory_state_path(const struct store_directory *directory);
/* Whether one superblock copy was repaired at open: worth a log line. */
bool store_directory_was_repaired(const struct store_directory *directory);

#endif /* TORC_STORE_DRIVER_DIRECTORY_H */
