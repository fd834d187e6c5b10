/*
 * shard/driver/disk -- between the node core and the storage thread: log batches, reads for voters
 * that lag, trims, and the facts of the log.
 */
#ifndef TORC_SHARD_DRIVER_DISK_H
#define TORC_SHARD_DRIVER_DISK_H

#include <stdint.h>

#include "base/buffer.h"
#include "shard/node.h"
#include "store/driver/storage_thread.h"

struct shard_disk; /* Opaque. */

/* `thread`, `pool` and `allocator` are borrowed for its life; reads go one after the other. */
struct shard_disk *shard_disk_new(struct store_thread *thread, struct base_pool *pool,
                                  const struct base_allocator *allocator);
/* Frees what a stopped thread gave back. */
void shard_disk_free(struct shard_disk *disk, struct store_request *stopped);

/* Hands over what a turn made ready. */
void shard_disk_submit(struct shard_disk *disk, const struct shard_node_ready *ready);
/* Asks for the log's facts; shard_node_log_facts is told in time. */
void shard_disk_ask_facts(struct shard_disk *disk);
/* Takes what is finished and tells the node. True: something was. */
bool shard_disk_collect(struct shard_disk *disk, struct shard_node *node, uint64_t now_ms);
/* The log had no room for a write, and said so in the process's log: the node was not told of it
 * nor of anything later, and takes no further turn. */
bool shard_disk_is_full(const struct shard_disk *disk);
/* An entry of the log could not be read back: the same, and the next start says what is lost. */
bool shard_disk_is_damaged(const struct shard_disk *disk);

#endif /* TORC_SHARD_DRIVER_DISK_H */
