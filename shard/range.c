#include "shard/range.h"

#include "base/assert.h"

/* From the end when below 0, and not before the beginning. */
static int64_t absolute(int64_t at, int64_t size)
{
    if (at < 0)
        at += size;
    return at < 0 ? 0 : at;
}

struct shard_range shard_range_clip(int64_t first, int64_t last, uint64_t size, bool in_order)
{
    struct shard_range nothing = {0};
    TORC_ASSERT(size <= INT64_MAX);
    if (in_order && first < 0 && last < 0 && first > last)
        return nothing;
    int64_t whole = (int64_t)size;
    int64_t from = absolute(first, whole), to = absolute(last, whole);
    if (to >= whole)
        to = whole - 1;
    if (from > to)
        return nothing;
    return (struct shard_range){(uint64_t)from, (uint64_t)(to - from) + 1};
}
