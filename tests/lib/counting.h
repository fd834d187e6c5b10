/*
 * tests/lib/counting -- an allocator that counts, so that a leak or an unbounded table fails a
 * test.
 *
 * It is strict where a heap is lenient: the size given at a free or a resize must be the size that
 * was asked for, every resize moves the block, fresh memory and memory given back are filled with a
 * pattern, and counting_fini asserts that nothing is left. A violation is an assertion (SIGABRT).
 *
 *   struct counting counting;
 *   const struct base_allocator *allocator = counting_init(&counting);
 *   ... hand the allocator to a core, look at counting.bytes_peak ...
 *   counting_fini(&counting);
 */
#ifndef TORC_TESTS_LIB_COUNTING_H
#define TORC_TESTS_LIB_COUNTING_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

/* Open, so that it can live on a test's stack; fields are read-only outside counting.c. */
struct counting {
    struct base_allocator allocator;
    size_t bytes;        /* Live now: the sum of the sizes asked for. */
    size_t bytes_peak;   /* The most that `bytes` has been. */
    size_t blocks;       /* Live now. */
    size_t blocks_peak;  /* The most that `blocks` has been. */
    uint64_t call_count; /* Allocations, resizes and frees so far. */
};

/* Returns the allocator, which refers to *counting: both stay where they are until counting_fini.
 */
const struct base_allocator *counting_init(struct counting *counting);
/* Asserts that every block has been freed. */
void counting_fini(const struct counting *counting);
/* Lets the peaks start again from what is live now: "from here on it may not grow by more than". */
void counting_peak_reset(struct counting *counting);

#endif /* TORC_TESTS_LIB_COUNTING_H */
