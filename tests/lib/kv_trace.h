/*
 * tests/lib/kv_trace -- random work on a store_kv, every answer checked against a plain model.
 *
 * The same seed asks the same of any store: an implementation is right when a trace passes, and two
 * agree when their hashes of everything seen are equal. The model keeps the whole state after each
 * batch, so that snapshots, and cuts after a crash, are compared with what was there then. A
 * difference is an assertion (SIGABRT).
 */
#ifndef TORC_TESTS_LIB_KV_TRACE_H
#define TORC_TESTS_LIB_KV_TRACE_H

#include <stdint.h>

#include "store/kv.h"

struct kv_trace;

/* The store that it will run on is taken to be empty. `batches_max` bounds what it can write. */
struct kv_trace *kv_trace_new(uint64_t seed, uint32_t batches_max);
void kv_trace_free(struct kv_trace *trace);

/* `steps` random steps: batches, gets, snapshots, iterations with writes between their steps,
 * flushes. Nothing of the store is held afterwards. */
void kv_trace_run(struct kv_trace *trace, struct store_kv *kv, uint32_t steps);
/* Writes so many batches and does nothing else. */
void kv_trace_write(struct kv_trace *trace, struct store_kv *kv, uint32_t batches);

/* Batches written so far, and how many of them a flush covers as the store says. */
uint32_t kv_trace_written(const struct kv_trace *trace);
uint32_t kv_trace_flushed(struct kv_trace *trace, struct store_kv *kv);

/* After a crash: the store must hold exactly what some number of batches left, at least
 * `batches_min` of them. Returns that number; the trace goes on from there. */
uint32_t kv_trace_check_cut(struct kv_trace *trace, struct store_kv *kv, uint32_t batches_min);

/* Of every key, value and status seen by kv_trace_run. */
uint64_t kv_trace_hash(const struct kv_trace *trace);

#endif /* TORC_TESTS_LIB_KV_TRACE_H */
