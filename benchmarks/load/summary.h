/*
 * benchmarks/load/summary -- how long things took: a histogram of nanoseconds that is a fixed size,
 * costs a few instructions per entry, and is wrong by less than 1 in 64.
 */
#ifndef TORC_BENCHMARKS_LOAD_SUMMARY_H
#define TORC_BENCHMARKS_LOAD_SUMMARY_H

#include <stdint.h>

enum {
    SUMMARY_STEP_BITS = 6, /* Steps of each power of two. */
    SUMMARY_BUCKET_COUNT = (64 - SUMMARY_STEP_BITS + 1) << SUMMARY_STEP_BITS,
};

struct summary {
    uint64_t count, max_ns;
    uint64_t buckets[SUMMARY_BUCKET_COUNT];
};

void summary_add(struct summary *summary, uint64_t ns);
/* The least value that at least `permille` of 1000 entries do not exceed, rounded up by less than 1
 * in 64 and never above the largest entry; 0 when there are none. `permille` is at most 1000. */
uint64_t summary_quantile(const struct summary *summary, unsigned permille);

#endif /* TORC_BENCHMARKS_LOAD_SUMMARY_H */
