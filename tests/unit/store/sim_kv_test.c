#include "store/sim_kv.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "base/prng.h"
#include "tests/lib/counting.h"
#include "tests/lib/kv_trace.h"

static struct base_bytes text(const char *characters)
{
    return base_bytes_text(characters);
}

static enum torc_status put(struct store_kv *kv, const char *key, const char *value)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    store_batch_put(batch, text(key), text(value));
    enum torc_status status = store_kv_write(kv, batch);
    store_batch_free(batch);
    return status;
}

static void assert_value(struct store_kv *kv, const char *key, const char *expected)
{
    struct store_value value;
    enum torc_status status = store_kv_get(kv, NULL, text(key), &value);
    cr_assert_eq(status, expected == NULL ? TORC_NOT_FOUND : TORC_OK);
    if (expected != NULL) {
        cr_assert(base_bytes_equal(value.bytes, text(expected)));
        store_value_release(&value);
    }
}

/* Gets, snapshots, iterators and held values answer as the model does, and nothing leaks. */
Test(store, sim_kv_agrees_with_the_model)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct counting counting;
        struct store_kv *kv = store_sim_kv_new(counting_init(&counting), seed);
        struct kv_trace *trace = kv_trace_new(seed, 1000);
        kv_trace_run(trace, kv, 1500);
        kv_trace_free(trace);
        store_kv_close(kv);
        counting_fini(&counting);
    }
}

/* The same calls see the same, to the byte, whatever the shape of the skip list. */
Test(store, sim_kv_is_deterministic)
{
    uint64_t hashes[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct store_kv *kv = store_sim_kv_new(base_allocator_system(), i);
        struct kv_trace *trace = kv_trace_new(99, 1000);
        kv_trace_run(trace, kv, 1000);
        hashes[i] = kv_trace_hash(trace);
        kv_trace_free(trace);
        store_kv_close(kv);
    }
    cr_assert_eq(hashes[0], hashes[1]);
    cr_assert_eq(hashes[0], hashes[2]);
}

/* A crash leaves exactly what some whole batches left, as many as asked, and not fewer than are
 * flushed; the store goes on from there. */
Test(store, sim_kv_crash_keeps_a_whole_batch_cut)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct counting counting;
        struct base_prng prng = base_prng_seeded(seed);
        struct store_kv *kv = store_sim_kv_new(counting_init(&counting), seed);
        store_sim_kv_faults_set(kv, (struct store_sim_kv_faults){.flush_waits = seed % 2 == 0});
        struct kv_trace *trace = kv_trace_new(seed, 1000);
        for (int life = 0; life < 12; life++) {
            kv_trace_run(trace, kv, 100);
            if (base_prng_chance(&prng, 1, 3))
                store_sim_kv_flush_end(kv);
            uint32_t flushed = kv_trace_flushed(trace, kv);
            uint64_t unflushed = store_sim_kv_unflushed_batches(kv);
            cr_assert_eq(flushed + unflushed, kv_trace_written(trace));
            uint64_t keep = base_prng_range(&prng, 0, unflushed);
            store_sim_kv_crash(kv, keep);
            cr_assert_eq(kv_trace_check_cut(trace, kv, flushed), flushed + keep);
            cr_assert_eq(store_kv_unflushed_size(kv), 0);
        }
        kv_trace_free(trace);
        store_kv_close(kv);
        counting_fini(&counting);
    }
}

/* A flush that has not ended protects nothing; once it has, it covers what was there when it was
 * asked for. */
Test(store, sim_kv_flush_counts_when_it_has_ended)
{
    struct store_kv *kv = store_sim_kv_new(base_allocator_system(), 1);
    struct store_value value;
    store_sim_kv_faults_set(kv, (struct store_sim_kv_faults){.flush_waits = true});
    cr_assert_eq(put(kv, "a", "1"), TORC_OK);
    store_kv_flush(kv);
    cr_assert_eq(put(kv, "a", "2"), TORC_OK);
    cr_assert_eq(store_kv_get_flushed(kv, text("a"), &value), TORC_NOT_FOUND);
    cr_assert_gt(store_kv_unflushed_size(kv), 2);
    store_sim_kv_flush_end(kv);
    cr_assert_eq(store_kv_get_flushed(kv, text("a"), &value), TORC_OK);
    cr_assert(base_bytes_equal(value.bytes, text("1")));
    store_value_release(&value);
    assert_value(kv, "a", "2");
    cr_assert_eq(store_kv_unflushed_size(kv), 2);
    store_sim_kv_crash(kv, 0);
    assert_value(kv, "a", "1");
    store_kv_close(kv);
}

/* An iterator that a fault ends says so, at that step and at every later one. */
Test(store, sim_kv_iterator_ends_early_with_a_status)
{
    struct store_kv *kv = store_sim_kv_new(base_allocator_system(), 1);
    struct base_bytes key, value;
    cr_assert_eq(put(kv, "a", "1"), TORC_OK);
    cr_assert_eq(put(kv, "b", "2"), TORC_OK);
    struct store_iterator *iterator = store_kv_iterate(kv, NULL, text("a"), text("c"));
    cr_assert_eq(store_iterator_next(iterator, &key, &value), TORC_OK);
    store_sim_kv_faults_set(kv, (struct store_sim_kv_faults){.iterator_end_ppm = 1000000});
    cr_assert_eq(store_iterator_next(iterator, &key, &value), TORC_DAMAGED);
    store_sim_kv_faults_set(kv, (struct store_sim_kv_faults){0});
    cr_assert_eq(store_iterator_next(iterator, &key, &value), TORC_DAMAGED);
    store_iterator_free(iterator);
    store_kv_close(kv);
}

/* A write that is refused leaves nothing behind. */
Test(store, sim_kv_refused_write_changes_nothing)
{
    struct store_kv *kv = store_sim_kv_new(base_allocator_system(), 1);
    store_sim_kv_faults_set(kv, (struct store_sim_kv_faults){.write_busy_ppm = 1000000});
    cr_assert_eq(put(kv, "a", "1"), TORC_BUSY);
    store_sim_kv_faults_set(kv, (struct store_sim_kv_faults){.write_full = true});
    cr_assert_eq(put(kv, "a", "1"), TORC_FULL);
    cr_assert_eq(store_sim_kv_counters(kv).full, 1);
    assert_value(kv, "a", NULL);
    cr_assert_eq(store_sim_kv_unflushed_batches(kv), 0);
    store_kv_close(kv);
}

/* Overwriting and deleting does not grow the store once flushes end and no reader looks back. */
Test(store, sim_kv_memory_is_bounded_by_what_is_live)
{
    struct counting counting;
    struct store_kv *kv = store_sim_kv_new(counting_init(&counting), 1);
    size_t settled = 0;
    for (int round = 0; round < 50; round++) {
        struct kv_trace *trace = kv_trace_new(5, 300);
        kv_trace_write(trace, kv, 300);
        kv_trace_free(trace);
        store_kv_flush(kv);
        if (round == 0)
            settled = counting.bytes;
        cr_assert_leq(counting.bytes, settled + settled / 2);
    }
    store_kv_close(kv);
    counting_fini(&counting);
}

/* Deletes without readers leave nothing behind after a flush. */
Test(store, sim_kv_deleted_keys_take_no_memory)
{
    struct counting counting;
    struct store_kv *kv = store_sim_kv_new(counting_init(&counting), 1);
    size_t empty = counting.bytes;
    cr_assert_eq(put(kv, "a", "1"), TORC_OK);
    struct store_batch *batch = store_batch_new(base_allocator_system());
    store_batch_delete(batch, text("a"));
    store_batch_delete(batch, text("never there"));
    cr_assert_eq(store_kv_write(kv, batch), TORC_OK);
    store_batch_free(batch);
    store_kv_flush(kv);
    cr_assert_eq(counting.bytes, empty);
    store_kv_close(kv);
    counting_fini(&counting);
}

/* RocksDB aborts when it is closed with a live snapshot; so does the twin. */
Test(store, sim_kv_close_asserts_that_snapshots_are_gone, .signal = SIGABRT)
{
    struct store_kv *kv = store_sim_kv_new(base_allocator_system(), 1);
    store_kv_snapshot(kv);
    store_kv_close(kv);
}

/* An iterator ends where what is on disk is rotten; what is in memory only is not. */
Test(store, sim_kv_rot_ends_iterators)
{
    struct store_kv *kv = store_sim_kv_new(base_allocator_system(), 1);
    cr_assert_eq(put(kv, "a", "1"), TORC_OK);
    cr_assert_eq(put(kv, "b", "1"), TORC_OK);
    cr_assert_eq(put(kv, "c", "1"), TORC_OK);
    store_sim_kv_rot(kv, text("b"), text("c"));
    struct base_bytes key, value;
    for (int flushed = 0; flushed < 2; flushed++) {
        struct store_iterator *iterator = store_kv_iterate(kv, NULL, text("a"), text("z"));
        cr_assert_eq(store_iterator_next(iterator, &key, &value), TORC_OK);
        enum torc_status status = store_iterator_next(iterator, &key, &value);
        cr_assert_eq(status, flushed ? TORC_DAMAGED : TORC_OK);
        cr_assert_eq(store_iterator_next(iterator, &key, &value), status);
        store_iterator_free(iterator);
        cr_assert_eq(store_sim_kv_counters(kv).rotten, flushed);
        store_kv_flush(kv);
    }
    store_kv_close(kv);
}
