#include "store/cache.h"

#include <criterion/criterion.h>

#include "store/sim_kv.h"
#include "tests/lib/counting.h"
#include "tests/lib/kv_trace.h"

static const size_t sizes[] = {STORE_CACHE_SIZE_MIN, 5001, 20000, 1 << 20};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* Gets, snapshots, iterators, held values and flushes answer as the model does, whatever fits into
 * the cache, also while the store below is busy now and then; rows were found; nothing leaks. */
Test(store, cache_agrees_with_the_model)
{
    uint64_t hits = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct counting counting;
        struct store_cache_stats stats;
        const struct base_allocator *allocator = counting_init(&counting);
        struct store_kv *below = store_sim_kv_new(allocator, seed);
        struct store_kv *kv = store_cache_new(allocator, below, sizes[seed % SIZES]);
        struct kv_trace *trace = kv_trace_new(seed, 1000);
        kv_trace_run(trace, kv, 1500);
        kv_trace_free(trace);
        store_cache_stats(kv, &stats);
        hits += stats.hits;
        store_kv_close(kv);
        store_kv_close(below);
        counting_fini(&counting);
    }
    cr_assert_gt(hits, 100, "%llu", (unsigned long long)hits);
}
