/*
 * store/driver/rocks -- the production store_kv: RocksDB, one column family, no write-ahead log.
 *
 * A read or write that RocksDB fails ends the process: one line in the log, then _exit with
 * STORE_ROCKS_FAILED_EXIT. What is on disk is a whole-batch cut (DESIGN section 5) and is opened
 * again by the next start, or refused as damaged there.
 */
#ifndef TORC_STORE_DRIVER_ROCKS_H
#define TORC_STORE_DRIVER_ROCKS_H

#include "store/kv.h"

enum { STORE_ROCKS_FAILED_EXIT = 74 /* EX_IOERR of sysexits.h */ };

struct store_rocks_config {
    const char *path;         /* The directory; borrowed for the call. */
    bool create;              /* True: there must be no store; false: there must be one. */
    size_t write_buffer_size; /* Bytes in memory before RocksDB flushes without being asked. */
    size_t block_cache_size;
    int open_files_max;
    int background_jobs_max;
    uint64_t free_size_min; /* With less room on the disk writes say TORC_FULL. */
};

/* What a node runs with: 64 MiB, 128 MiB, 512, 2, 2 GiB; opens what is there. */
struct store_rocks_config store_rocks_config_default(const char *path);

/*
 * Opens the store; closed by store_kv_close. On any status but TORC_OK `error` has a text for
 * people, cut to error_size: what was found, and what to do. TORC_NOT_FOUND: nothing there, and
 * create is false; TORC_EXISTS: something there, and create is true; TORC_LOCKED: another process
 * has it; TORC_NEWER: written by a later RocksDB; TORC_DAMAGED: it is not whole; TORC_IO: the disk
 * or its permissions.
 */
enum torc_status store_rocks_open(const struct store_rocks_config *config, char *error,
                                  size_t error_size, struct store_kv **ret_kv) TORC_MUST_CHECK;

#endif /* TORC_STORE_DRIVER_ROCKS_H */
