#include "store/cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store/sim_kv.h"
#include "tests/lib/counting.h"
#include "tests/lib/kv_trace.h"

static const size_t sizes[] = {STORE_CACHE_SIZE_MIN, 5001, 20000, 1 << 20};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static bool is_even(void *context, struct base_bytes key)
{
    (void)context;
    return key.data[key.size - 1] % 2 == 0;
}

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
        struct store_kv *kv = store_cache_new(allocator, below, sizes[seed % SIZES], 7 /* seed */);
        if (seed % 2 == 0)
            store_cache_keep_written(kv, is_even, NULL);
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

static void put(struct store_kv *kv, const char *key, const char *value)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    if (value == NULL)
        store_batch_delete(batch, base_bytes_text(key));
    else
        store_batch_put(batch, base_bytes_text(key), base_bytes_text(value));
    cr_assert_eq(store_kv_write(kv, batch), TORC_OK);
    store_batch_free(batch);
}

/* Whether a get was answered from the cache; its value is the one expected. */
static bool hit(struct store_kv *kv, const char *key, const char *expected)
{
    struct store_cache_stats before, after;
    struct store_value value;
    store_cache_stats(kv, &before);
    cr_assert_eq(store_kv_get(kv, NULL, base_bytes_text(key), &value), TORC_OK);
    cr_assert(base_bytes_equal(value.bytes, base_bytes_text(expected)));
    store_value_release(&value);
    store_cache_stats(kv, &after);
    return after.hits > before.hits;
}

/* A row is there from its first read on; a write of the same size replaces it, another and a delete
 * make it forgotten; what is read while a value is held is not kept, and what is held stays. */
Test(store, cache_keeps_what_was_read)
{
    struct store_value held, gone;
    struct store_kv *below = store_sim_kv_new(base_allocator_system(), 1);
    struct store_kv *kv =
        store_cache_new(base_allocator_system(), below, STORE_CACHE_SIZE_MIN, 7 /* seed */);
    put(kv, "a", "one");
    cr_assert_not(hit(kv, "a", "one"));
    cr_assert(hit(kv, "a", "one"));
    put(kv, "a", "two");
    cr_assert(hit(kv, "a", "two"));
    put(kv, "a", "three");
    cr_assert_not(hit(kv, "a", "three"));
    cr_assert_eq(store_kv_get(kv, NULL, base_bytes_text("a"), &held), TORC_OK);
    put(kv, "a", "seven");
    cr_assert(base_bytes_equal(held.bytes, base_bytes_text("three")));
    cr_assert_not(hit(kv, "a", "seven"));
    cr_assert_not(hit(kv, "a", "seven"));
    store_value_release(&held);
    cr_assert_not(hit(kv, "a", "seven"));
    cr_assert(hit(kv, "a", "seven"));
    put(kv, "a", NULL);
    cr_assert_eq(store_kv_get(kv, NULL, base_bytes_text("a"), &gone), TORC_NOT_FOUND);
    store_kv_close(kv);
    store_kv_close(below);
}

static bool begins_with_w(void *context, struct base_bytes key)
{
    ++*(int *)context;
    return key.data[0] == 'w';
}

/* Rows that are wanted are there from their write on, whatever was known of them before; those that
 * are not, and deletes, are not. */
Test(store, cache_keeps_what_was_written)
{
    int asked = 0;
    struct store_value gone;
    struct store_kv *below = store_sim_kv_new(base_allocator_system(), 1);
    struct store_kv *kv =
        store_cache_new(base_allocator_system(), below, STORE_CACHE_SIZE_MIN, 7 /* seed */);
    put(kv, "w-early", "one");
    store_cache_keep_written(kv, begins_with_w, &asked);
    cr_assert_not(hit(kv, "w-early", "one"), "nobody wanted it when it was written");
    put(kv, "w", "one");
    put(kv, "other", "one");
    cr_assert_eq(asked, 2);
    cr_assert(hit(kv, "w", "one"));
    cr_assert_not(hit(kv, "other", "one"));
    put(kv, "w", "three");
    cr_assert(hit(kv, "w", "three"), "another size, kept anew");
    put(kv, "w", NULL);
    cr_assert_eq(store_kv_get(kv, NULL, base_bytes_text("w"), &gone), TORC_NOT_FOUND);
    put(kv, "w", "four");
    cr_assert(hit(kv, "w", "four"));
    store_kv_close(kv);
    store_kv_close(below);
}

/* The oldest row goes first, and one that would take more than an eighth is not kept. */
Test(store, cache_is_bounded)
{
    enum { ROWS = 200 };
    char key[16], large[STORE_CACHE_SIZE_MIN / 8 + 1];
    struct store_cache_stats stats;
    struct store_kv *below = store_sim_kv_new(base_allocator_system(), 1);
    struct store_kv *kv =
        store_cache_new(base_allocator_system(), below, STORE_CACHE_SIZE_MIN, 7 /* seed */);
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    for (int i = 0; i < ROWS; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(kv, key, key);
        cr_assert_not(hit(kv, key, key));
        cr_assert(hit(kv, key, key));
    }
    store_cache_stats(kv, &stats);
    cr_assert_gt(stats.rows, 0);
    cr_assert_leq(stats.rows, STORE_CACHE_SIZE_MIN / 32);
    cr_assert(hit(kv, "k198", "k198"));
    cr_assert_not(hit(kv, "k0", "k0"));
    put(kv, "large", large);
    cr_assert_not(hit(kv, "large", large));
    cr_assert_not(hit(kv, "large", large));
    store_kv_close(kv);
    store_kv_close(below);
}

/* However large the cache is, a row of more than 64 KiB is not kept. */
Test(store, cache_keeps_no_large_rows)
{
    enum { LARGE = 64 << 10 };
    static char large[LARGE + 1];
    memset(large, 'x', LARGE);
    struct store_kv *below = store_sim_kv_new(base_allocator_system(), 1);
    struct store_kv *kv = store_cache_new(base_allocator_system(), below, 16 * LARGE, 7 /* seed */);
    put(kv, "a", large);
    cr_assert_not(hit(kv, "a", large));
    cr_assert_not(hit(kv, "a", large));
    large[LARGE - 64] = 0;
    put(kv, "a", large);
    cr_assert_not(hit(kv, "a", large));
    cr_assert(hit(kv, "a", large));
    store_kv_close(kv);
    store_kv_close(below);
}

static void read_rows(struct store_kv *kv, int first, int count)
{
    char key[16];
    for (int i = first; i < first + count; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(kv, key, key);
        cr_assert_not(hit(kv, key, key));
    }
}

/* When a row's older life leaves the ring the newer one stays. */
Test(store, cache_tells_lives_of_a_row_apart)
{
    enum { ROWS_MAX = 32 }; /* Half of the smallest table. */
    struct store_kv *below = store_sim_kv_new(base_allocator_system(), 1);
    struct store_kv *kv =
        store_cache_new(base_allocator_system(), below, STORE_CACHE_SIZE_MIN, 7 /* seed */);
    put(kv, "a", "old");
    cr_assert_not(hit(kv, "a", "old"));
    read_rows(kv, 0, 5);
    put(kv, "a", "newer");
    cr_assert_not(hit(kv, "a", "newer"));
    read_rows(kv, 5, ROWS_MAX - 5);
    cr_assert_not(hit(kv, "k0", "k0"), "it was the oldest");
    cr_assert(hit(kv, "a", "newer"));
    store_kv_close(kv);
    store_kv_close(below);
}
