/*
 * store/sim_kv -- the simulator's store_kv: an ordered map in memory with RocksDB's promises and no
 * more, and with faults.
 *
 * A skip list of keys, each with its versions by batch number, so a snapshot is a number, a crash
 * is a cut at a number, and what is flushed is a number. Same seed and calls: same results.
 *
 * Batches are numbered from 1 as they are written. A crash keeps those up to a cut of the caller's
 * choosing, not before the last that is flushed. A flush ends when it is asked for, unless
 * `flush_waits`: then the simulator ends it (store_sim_kv_flush_end), or crashes before.
 */
#ifndef TORC_STORE_SIM_KV_H
#define TORC_STORE_SIM_KV_H

#include "store/kv.h"

struct store_sim_kv_faults {   /* All zero: none. Chances are in millionths. */
    uint32_t iterator_end_ppm; /* A step of an iterator ends it with TORC_DAMAGED. */
    uint32_t write_busy_ppm;   /* A write says TORC_BUSY. */
    bool write_full;           /* Every write says TORC_FULL. */
    bool flush_waits;          /* A flush ends only by store_sim_kv_flush_end. */
};

struct store_sim_kv_counters { /* Faults that somebody met, since the store was made. */
    uint64_t full;             /* Writes that had no room. */
    uint64_t rotten;           /* Iterators that came to rot. */
};

/* Empty, without faults. `seed` places the skip list's nodes and draws the faults. Closed by
 * store_kv_close, which asserts that values, snapshots and iterators are gone. */
struct store_kv *store_sim_kv_new(const struct base_allocator *allocator, uint64_t seed);
void store_sim_kv_faults_set(struct store_kv *kv, struct store_sim_kv_faults faults);

struct store_sim_kv_counters store_sim_kv_counters(const struct store_kv *kv);

/*
 * From now on an iterator that comes to a key from `first` to before `end` (empty: to the last)
 * ends there with TORC_DAMAGED, where what is on disk is what it would give. Replaces an earlier
 * range.
 */
void store_sim_kv_rot(struct store_kv *kv, struct base_bytes first, struct base_bytes end);
/* The last flush that was asked for is done; no-op when it is already. */
void store_sim_kv_flush_end(struct store_kv *kv);
/* Batches that a crash may lose. */
uint64_t store_sim_kv_unflushed_batches(const struct store_kv *kv);
/*
 * The process died and the store was opened again: of the batches that were not flushed the first
 * `keep_batches` are there (at most store_sim_kv_unflushed_batches), the later ones are not, and
 * all that is there is on disk. Values, snapshots and iterators must be gone.
 */
void store_sim_kv_crash(struct store_kv *kv, uint64_t keep_batches);

#endif /* TORC_STORE_SIM_KV_H */
