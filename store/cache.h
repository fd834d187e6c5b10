/*
 * store/cache -- a store_kv in front of another one that keeps rows that were read or written of
 * late.
 *
 * Why: RocksDB caches blocks of its files, and every compaction makes new files: on a node that is
 * written to, most of what was warm is cold again every few seconds, and a read then costs a copy
 * from the page cache, a checksum and an LZ4 block. Rows outlive compactions.
 *
 * The promises of store/kv.h hold. Reads of the newest are answered from here or kept on their way
 * back; a write replaces, keeps or forgets the rows that it changes, after the store below has
 * taken it. Snapshots, iterators and what is flushed are the store's below. Rows go in the order in
 * which they came: a ring of bytes (Lim et al., MICA, NSDI 2014, section 4.3: circular log), and a
 * table.
 */
#ifndef TORC_STORE_CACHE_H
#define TORC_STORE_CACHE_H

#include "store/kv.h"

/* `seed`: of the table's hash, so that nobody can choose keys which collide in it; nothing else
 * depends on it.
 * `below` is borrowed: closed after the new store, and written by nobody else meanwhile. The rows
 * take at most size_max bytes, at least STORE_CACHE_SIZE_MIN, and their table up to a quarter of
 * that again. A row of more than an eighth of it or 64 KiB is not kept: RocksDB has its blocks, and
 * taking out what would have to go for it would hold up everybody. */
struct store_kv *store_cache_new(const struct base_allocator *allocator, struct store_kv *below,
                                 size_t size_max, uint64_t seed);

enum { STORE_CACHE_SIZE_MIN = 4096 };

/* From now on rows are kept when they are written, too, where `wanted` says so of the key: it is
 * asked at most once for each put, within the write, and calls nothing of the store. `context` is
 * borrowed until the last write. Before: only when they are read. */
void store_cache_keep_written(struct store_kv *kv,
                              bool (*wanted)(void *context, struct base_bytes key), void *context);

struct store_cache_stats {
    uint64_t hits, misses; /* Of gets of the newest. */
    size_t rows;
};
void store_cache_stats(const struct store_kv *kv, struct store_cache_stats *ret_stats);

#endif /* TORC_STORE_CACHE_H */
