/*
 * store/kv -- the state: a synchronous ordered map that is handed to the shard's cores.
 *
 * The one exception to "everything a step needs comes in the event" (DESIGN section 5): reads are
 * calls. Two implementations behave alike, which a test shows on the same traces: RocksDB
 * (store/driver/rocks.h) and the simulator's twin (store/sim_kv.h).
 *
 * Writes are batches: atomic, visible to later reads at once, in memory until flushed. There is no
 * write-ahead log under them: after a crash the state is some whole-batch cut of what was written,
 * not older than the last flush that was seen to end. What was lost is applied again from the log.
 *
 * One thread uses a store_kv, its snapshots and iterators. A failed read or write that is not in a
 * function's list ends the process in the implementation (the store cannot be trusted any more).
 */
#ifndef TORC_STORE_KV_H
#define TORC_STORE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/status.h"

struct store_kv;       /* Opaque; begins with its implementation's table (store/kv_int.h). */
struct store_snapshot; /* A consistent view; later writes are not in it. */
struct store_iterator;
struct store_batch;

/* ---- Batches: writes in order, with the store's own content under them --------------------------
 */

struct store_batch *store_batch_new(const struct base_allocator *allocator);
void store_batch_free(struct store_batch *batch); /* NULL is a no-op. */
/* Empties it and keeps its memory, so that a steady load allocates nothing. */
void store_batch_clear(struct store_batch *batch);
/* The later write of a key replaces the earlier. Keys are not empty; key and value are copied and
 * must not be memory of the batch itself. */
void store_batch_put(struct store_batch *batch, struct base_bytes key, struct base_bytes value);
void store_batch_delete(struct store_batch *batch, struct base_bytes key);
size_t store_batch_count(const struct store_batch *batch); /* Different keys. */
/* Bytes that it holds: keys, values, and values since replaced by longer ones. */
size_t store_batch_size(const struct store_batch *batch);
/* What the batch says of a key: TORC_OK (put: *ret_value is borrowed until the batch changes),
 * TORC_NOT_FOUND (deleted in it), TORC_STALE (it says nothing: ask the store). */
enum torc_status store_batch_find(const struct store_batch *batch, struct base_bytes key,
                                  struct base_bytes *ret_value) TORC_MUST_CHECK;
/* From now on the walk is in the order of the keys, until another is written. */
void store_batch_sort(struct store_batch *batch);
/* Walks the newest write of each key, in the order of its first write; false at the end.
 * `value.data` is NULL for a delete. */
bool store_batch_next(const struct store_batch *batch, size_t *cursor, struct base_bytes *ret_key,
                      struct base_bytes *ret_value);

/* ---- The store ----------------------------------------------------------------------------------
 */

/* A value held in place by the store; release it soon, and before the store is closed. */
struct store_value {
    struct base_bytes bytes;
    void (*release)(void *handle); /* The implementation's, as is the handle. */
    void *handle;
};

/* TORC_OK, TORC_NOT_FOUND. `snapshot` NULL: the newest. */
enum torc_status store_kv_get(struct store_kv *kv, const struct store_snapshot *snapshot,
                              struct base_bytes key, struct store_value *ret_value) TORC_MUST_CHECK;
/* Once for each value that a get gave; the bytes are gone with it. */
void store_value_release(struct store_value *value);

/* All of the batch or nothing. TORC_OK; TORC_BUSY: the store would have stalled, nothing was
 * written, try again later (the loop never waits for it); TORC_FULL: the disk's reserve is reached.
 */
enum torc_status store_kv_write(struct store_kv *kv,
                                const struct store_batch *batch) TORC_MUST_CHECK;

/* The store as it is now; released before the store is closed. */
struct store_snapshot *store_kv_snapshot(struct store_kv *kv);
/* NULL is a no-op. Iterators over the snapshot are freed before. */
void store_snapshot_release(struct store_kv *kv, struct store_snapshot *snapshot);

/* Keys in [first, end) in order; both are copied; an empty `end` is no end. `snapshot` NULL: a view
 * of its own as of now. Freed before the snapshot is released and the store closed. */
struct store_iterator *store_kv_iterate(struct store_kv *kv, const struct store_snapshot *snapshot,
                                        struct base_bytes first, struct base_bytes end);
/* The next key and value, borrowed until the next call: TORC_OK; TORC_NOT_FOUND: the end was
 * reached, all keys were seen; TORC_DAMAGED: the iteration stopped early and is not complete. */
enum torc_status store_iterator_next(struct store_iterator *iterator, struct base_bytes *ret_key,
                                     struct base_bytes *ret_value) TORC_MUST_CHECK;
void store_iterator_free(struct store_iterator *iterator); /* NULL is a no-op. */

/* Asks for everything written so far to be flushed to disk, without waiting. */
void store_kv_flush(struct store_kv *kv);
/* What a key has on disk, as a crash now would leave it: the applied index read through this moves
 * the log's boundary. TORC_OK, TORC_NOT_FOUND. */
enum torc_status store_kv_get_flushed(struct store_kv *kv, struct base_bytes key,
                                      struct store_value *ret_value) TORC_MUST_CHECK;

/* Rough bytes in memory not yet flushed: when to ask for a flush. */
size_t store_kv_unflushed_size(struct store_kv *kv);
/* NULL is a no-op. What was not flushed may be lost, as at a crash. */
void store_kv_close(struct store_kv *kv);

#endif /* TORC_STORE_KV_H */
