#include "store/gather.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "store/sim_kv.h"
#include "tests/lib/counting.h"
#include "tests/lib/kv_trace.h"

static const size_t sizes[] = {0, 1, 200, 2000, 20000, SIZE_MAX / 2};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static enum torc_status put(struct store_kv *kv, const char *key, const char *value)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    store_batch_put(batch, base_bytes_text(key), base_bytes_text(value));
    enum torc_status status = store_kv_write(kv, batch);
    store_batch_free(batch);
    return status;
}

static bool has(struct store_kv *kv, const char *key, const char *expected)
{
    struct store_value value;
    if (store_kv_get(kv, NULL, base_bytes_text(key), &value) != TORC_OK)
        return false;
    bool same = base_bytes_equal(value.bytes, base_bytes_text(expected));
    store_value_release(&value);
    return same;
}

/* Gets, snapshots, iterators, held values and flushes answer as the model does, however much is
 * gathered, also while the store below is busy now and then; and nothing leaks. */
Test(store, gather_agrees_with_the_model)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct counting counting;
        const struct base_allocator *allocator = counting_init(&counting);
        struct store_kv *below = store_sim_kv_new(allocator, seed);
        struct store_kv *kv = store_gather_new(allocator, below, sizes[seed % SIZES]);
        struct kv_trace *trace = kv_trace_new(seed, 1000);
        kv_trace_run(trace, kv, 1500);
        kv_trace_free(trace);
        store_kv_close(kv);
        store_kv_close(below);
        counting_fini(&counting);
    }
}

/* A crash of the store below leaves what some whole batches left, with or without gathering. */
Test(store, gather_keeps_a_whole_batch_cut)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const struct base_allocator *allocator = base_allocator_system();
        struct base_prng prng = base_prng_seeded(seed);
        struct store_kv *below = store_sim_kv_new(allocator, seed);
        struct store_kv *kv = store_gather_new(allocator, below, sizes[seed % SIZES]);
        struct kv_trace *trace = kv_trace_new(seed, 1000);
        kv_trace_run(trace, kv, 300);
        uint32_t flushed = kv_trace_flushed(trace, kv);
        uint64_t keep = base_prng_range(&prng, 0, store_sim_kv_unflushed_batches(below));
        store_sim_kv_crash(below, keep);
        kv_trace_check_cut(trace, below, flushed);
        kv_trace_free(trace);
        store_kv_close(kv);
        store_kv_close(below);
    }
}

/* What cannot be handed on is said to the write that needs the room, which then has not happened;
 * the same write later does. */
Test(store, gather_passes_a_busy_store_on)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct store_kv *below = store_sim_kv_new(allocator, 1);
    struct store_kv *kv = store_gather_new(allocator, below, 8);
    cr_assert_eq(put(kv, "a", "one"), TORC_OK);
    store_sim_kv_faults_set(below, (struct store_sim_kv_faults){.write_busy_ppm = 1000000});
    cr_assert_eq(put(kv, "b", "two"), TORC_OK, "there is room for it here");
    cr_assert_eq(put(kv, "c", "three"), TORC_BUSY);
    cr_assert(has(kv, "a", "one") && has(kv, "b", "two") && !has(kv, "c", "three"));
    store_sim_kv_faults_set(below, (struct store_sim_kv_faults){.write_full = true});
    cr_assert_eq(put(kv, "c", "three"), TORC_FULL);
    store_sim_kv_faults_set(below, (struct store_sim_kv_faults){0});
    cr_assert_eq(put(kv, "c", "three"), TORC_OK);
    cr_assert(has(below, "a", "one") && has(below, "b", "two") && !has(below, "c", "three"));
    cr_assert(has(kv, "c", "three"));
    store_kv_close(kv);
    store_kv_close(below);
}

/* A flush that met a busy store is asked for again, until it covers what had been written. */
Test(store, gather_flushes_when_it_can)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct store_kv *below = store_sim_kv_new(allocator, 1);
    struct store_kv *kv = store_gather_new(allocator, below, 1000);
    struct store_value value;
    cr_assert_eq(put(kv, "a", "one"), TORC_OK);
    store_sim_kv_faults_set(below, (struct store_sim_kv_faults){.write_busy_ppm = 1000000});
    store_kv_flush(kv);
    cr_assert_eq(store_kv_get_flushed(kv, base_bytes_text("a"), &value), TORC_NOT_FOUND);
    cr_assert_gt(store_kv_unflushed_size(kv), 0);
    store_sim_kv_faults_set(below, (struct store_sim_kv_faults){0});
    cr_assert_eq(store_kv_unflushed_size(kv), 0);
    cr_assert_eq(store_kv_get_flushed(kv, base_bytes_text("a"), &value), TORC_OK);
    store_value_release(&value);
    store_kv_close(kv);
    store_kv_close(below);
}
