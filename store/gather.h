/*
 * store/gather -- a store_kv in front of another one that gathers batches in memory and hands them
 * on as one, sorted by key.
 *
 * Why: what a write into RocksDB's memory costs is finding its place in a skip list that is far
 * larger than a processor's cache. A run of sorted keys finds most of each place where the key
 * before it was, a key that is written again costs nothing, and a write that is smaller than the
 * fixed cost of a batch does not pay that cost. Reads ask here first, then the store below.
 *
 * The promises of store/kv.h hold: whole batches go down in their order, a batch is never split,
 * so what a crash leaves is still a whole-batch cut. What has not gone down counts as not flushed.
 * TORC_BUSY and TORC_FULL of the store below are a write's answer when it had to hand on what was
 * gathered and could not; nothing of that write is taken then.
 */
#ifndef TORC_STORE_GATHER_H
#define TORC_STORE_GATHER_H

#include "store/kv.h"

/*
 * `below` is borrowed: closed after the new store, and written by nobody else meanwhile. What was
 * gathered and not handed on is gone when the new store is closed, as at a crash. Hands on before
 * it would hold more than size_max bytes; 0: each batch at once.
 */
struct store_kv *store_gather_new(const struct base_allocator *allocator, struct store_kv *below,
                                  size_t size_max);

#endif /* TORC_STORE_GATHER_H */
