/*
 * benchmarks/micro -- the parts of the hot path, each alone and in a steady state: what an
 * operation costs in nanoseconds (main.c) and in calls of the allocator
 * (tests/unit/benchmarks/allocations_test.c).
 */
#ifndef TORC_BENCHMARKS_MICRO_PART_H
#define TORC_BENCHMARKS_MICRO_PART_H

#include <stddef.h>

#include "base/alloc.h"

enum {
    PART_VALUE_SIZE = 256,
    PART_KEY_SIZE = 16,
    PART_WARM_UP = 30000, /* Operations after which every part is in its steady state. */
};

struct part {
    const char *name;
    unsigned width; /* Operations of one run: what is done together. */
    /* `folder` is an empty one, for parts that need a disk. */
    void *(*begin)(const struct base_allocator *allocator, const char *folder, unsigned width);
    void (*run)(void *context);
    void (*end)(void *context);
};

extern const struct part parts_ring[], parts_wire[], parts_resp[], parts_log[], parts_apply[],
    parts_paxos[], parts_router[]; /* Each ends with a name that is NULL. */

/* Part number `index` of them all; NULL behind the last. */
const struct part *part_at(size_t index);

/* Takes a result, so that what made it is not left out by the compiler. */
void part_keep(unsigned long long result);

#endif /* TORC_BENCHMARKS_MICRO_PART_H */
