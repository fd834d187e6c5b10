/*
 * shard/driver/storage -- what a node process keeps on disk, opened in the one right order: the
 * directory and its lock, the state, the log with its recovery, the raised incarnation, the storage
 * thread.
 */
#ifndef TORC_SHARD_DRIVER_STORAGE_H
#define TORC_SHARD_DRIVER_STORAGE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "shard/driver/config.h"
#include "shard/recovery.h"
#include "store/driver/directory.h"
#include "store/driver/storage_thread.h"
#include "store/kv.h"

struct host_storage {
    struct base_pool pool; /* Of all entry buffers. */
    struct store_directory *directory;
    struct store_superblock *superblock; /* Read-only here once the thread runs. */
    /* On disk, and what keeps rows and what gathers batches in front of it. */
    struct store_kv *rocks, *cache, *kv;
    struct shard_recovery *recovery;
    struct store_log *log;
    struct store_thread *thread;
    uint64_t recovered_batch;
};

/* False: refused, and a log line says why, naming what was expected and found. */
bool host_storage_open(struct host_storage *storage, const struct shard_driver_config *config);
/* What recovery gathered has been taken over. */
void host_storage_recovered(struct host_storage *storage);
/* Ends the thread; returns the requests that it had not given back. */
struct store_request *host_storage_stop(struct host_storage *storage);
/* After host_storage_stop, when nobody holds entry buffers any more. Also of a half-open storage.
 */
void host_storage_close(struct host_storage *storage);

#endif /* TORC_SHARD_DRIVER_STORAGE_H */
