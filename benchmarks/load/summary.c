#include "benchmarks/load/summary.h"

#include "base/assert.h"

enum { STEP_COUNT = 1 << SUMMARY_STEP_BITS };

/* Below STEP_COUNT each number has a bucket; above, each power of two has STEP_COUNT of them. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEP_COUNT)
        return (unsigned)ns;
    unsigned shift = 63 - SUMMARY_STEP_BITS - (unsigned)__builtin_clzll(ns);
    return ((shift + 1) << SUMMARY_STEP_BITS) + (unsigned)(ns >> shift) - STEP_COUNT;
}

/* The largest number of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < STEP_COUNT)
        return bucket;
    unsigned shift = (bucket >> SUMMARY_STEP_BITS) - 1;
    uint64_t first = (uint64_t)((bucket & (STEP_COUNT - 1)) + STEP_COUNT) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void summary_add(struct summary *summary, uint64_t ns)
{
    summary->count++;
    if (ns > summary->max_ns)
        summary->max_ns = ns;
    summary->buckets[bucket_of(ns)]++;
}

uint64_t summary_quantile(const struct summary *summary, unsigned permille)
{
    TORC_ASSERT(permille <= 1000);
    uint64_t wanted = (summary->count * permille + 999) / 1000, seen = 0;
    if (wanted == 0)
        wanted = 1;
    for (unsigned i = 0; i < SUMMARY_BUCKET_COUNT; i++) {
        seen += summary->buckets[i];
        if (seen >= wanted)
            return bucket_end(i) < summary->max_ns ? bucket_end(i) : summary->max_ns;
    }
    return 0;
}
