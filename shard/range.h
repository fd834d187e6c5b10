/*
 * shard/range -- parts of a value, given as Redis gives them: first and last, both included, and
 * below 0 counted from the end. Pure arithmetic.
 */
#ifndef TORC_SHARD_RANGE_H
#define TORC_SHARD_RANGE_H

#include <stdbool.h>
#include <stdint.h>

struct shard_range {
    uint64_t first, count; /* count 0: nothing, and then first is 0. */
};

/* What of `size` lies between them. `in_order`: two of them below 0 must not come in the wrong
 * order, not even when both lie before the beginning (where else they would mean the first one). */
struct shard_range shard_range_clip(int64_t first, int64_t last, uint64_t size, bool in_order);

#endif /* TORC_SHARD_RANGE_H */
