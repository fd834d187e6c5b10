#include "store/kv.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

static struct base_bytes text(const char *characters)
{
    return base_bytes_text(characters);
}

static void assert_holds(const struct store_batch *batch, const char *key, const char *value)
{
    struct base_bytes found;
    cr_assert_eq(store_batch_find(batch, text(key), &found), TORC_OK);
    cr_assert(base_bytes_equal(found, text(value)));
}

/* Reads find the newest write: a put, a delete, or nothing. */
Test(store, batch_finds_its_own_newest_write)
{
    struct counting counting;
    struct store_batch *batch = store_batch_new(counting_init(&counting));
    struct base_bytes found;
    cr_assert_eq(store_batch_find(batch, text("a"), &found), TORC_STALE);
    store_batch_put(batch, text("a"), text("one"));
    assert_holds(batch, "a", "one");
    store_batch_put(batch, text("a"), text("longer than one"));
    assert_holds(batch, "a", "longer than one");
    store_batch_put(batch, text("a"), text("2"));
    assert_holds(batch, "a", "2");
    store_batch_delete(batch, text("a"));
    cr_assert_eq(store_batch_find(batch, text("a"), &found), TORC_NOT_FOUND);
    store_batch_put(batch, text("a"), text("again"));
    assert_holds(batch, "a", "again");
    cr_assert_eq(store_batch_find(batch, text("b"), &found), TORC_STALE);
    cr_assert_eq(store_batch_count(batch), 1);
    store_batch_free(batch);
    counting_fini(&counting);
}

/* An empty value is a value, not a delete. */
Test(store, batch_keeps_empty_values_apart_from_deletes)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    struct base_bytes key, value;
    size_t cursor = 0;
    store_batch_put(batch, text("empty"), base_bytes_of(NULL, 0));
    store_batch_delete(batch, text("gone"));
    cr_assert(store_batch_next(batch, &cursor, &key, &value));
    cr_assert(base_bytes_equal(key, text("empty")));
    cr_assert_not_null(value.data);
    cr_assert_eq(value.size, 0);
    cr_assert(store_batch_next(batch, &cursor, &key, &value));
    cr_assert(base_bytes_equal(key, text("gone")));
    cr_assert_null(value.data);
    cr_assert_not(store_batch_next(batch, &cursor, &key, &value));
    store_batch_free(batch);
}

/* The walk gives each key once, with its newest write, in the order of first writes. */
Test(store, batch_walks_keys_in_order_of_first_writes)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    store_batch_put(batch, text("z"), text("1"));
    store_batch_delete(batch, text("a"));
    store_batch_put(batch, text("m"), text("2"));
    store_batch_put(batch, text("a"), text("3"));
    store_batch_put(batch, text("z"), text("44"));
    static const char *const keys[] = {"z", "a", "m"}, *const values[] = {"44", "3", "2"};
    struct base_bytes key, value;
    size_t cursor = 0;
    for (size_t i = 0; i < 3; i++) {
        cr_assert(store_batch_next(batch, &cursor, &key, &value));
        cr_assert(base_bytes_equal(key, text(keys[i])));
        cr_assert(base_bytes_equal(value, text(values[i])));
    }
    cr_assert_not(store_batch_next(batch, &cursor, &key, &value));
    store_batch_free(batch);
}

enum { MODEL_KEYS = 700, MODEL_WRITES = 20000 };

static struct base_bytes numbered(char memory[32], const char *prefix, uint64_t number)
{
    int size = snprintf(memory, 32, "%s%llu", prefix, (unsigned long long)number);
    return base_bytes_of(memory, (size_t)size);
}

/* Through growth and clearing it agrees with an array that is indexed by key. */
Test(store, batch_agrees_with_a_plain_array)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    struct base_prng prng = base_prng_seeded(7);
    static uint64_t model[MODEL_KEYS]; /* 0 stale, 1 deleted, else the value's number. */
    char key_text[32], value_text[32];
    for (uint64_t i = 2; i < MODEL_WRITES; i++) {
        if (base_prng_chance(&prng, 1, 3000)) {
            store_batch_clear(batch);
            memset(model, 0, sizeof(model));
        }
        size_t k = (size_t)base_prng_range(&prng, 0, MODEL_KEYS - 1);
        struct base_bytes key = numbered(key_text, "key", k), found = {0};
        enum torc_status status = store_batch_find(batch, key, &found);
        cr_assert_eq(status, model[k] == 0 ? TORC_STALE : model[k] == 1 ? TORC_NOT_FOUND : TORC_OK);
        if (status == TORC_OK)
            cr_assert(base_bytes_equal(found, numbered(value_text, "", model[k])));
        if (base_prng_chance(&prng, 1, 4)) {
            store_batch_delete(batch, key);
            model[k] = 1;
        } else {
            store_batch_put(batch, key, numbered(value_text, "", i));
            model[k] = i;
        }
    }
    store_batch_free(batch);
}

static void fill(struct store_batch *batch)
{
    char key_text[32], value_text[32];
    for (uint64_t i = 0; i < 500; i++) {
        store_batch_put(batch, numbered(key_text, "k", i % 400), numbered(value_text, "v", i));
        if (i % 7 == 0)
            store_batch_delete(batch, numbered(key_text, "k", i % 400));
    }
}

/* A batch that is used again allocates nothing. */
Test(store, batch_reused_allocates_nothing)
{
    struct counting counting;
    struct store_batch *batch = store_batch_new(counting_init(&counting));
    fill(batch);
    uint64_t calls = counting.call_count;
    for (int i = 0; i < 20; i++) {
        store_batch_clear(batch);
        cr_assert_eq(store_batch_count(batch), 0);
        cr_assert_eq(store_batch_size(batch), 0);
        fill(batch);
    }
    cr_assert_eq(counting.call_count, calls);
    store_batch_free(batch);
    counting_fini(&counting);
}

/* A key that is written again and again, as a counter is, does not make the batch longer. */
Test(store, batch_replaces_a_value_in_place)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    store_batch_put(batch, text("applied"), text("12345678"));
    size_t size = store_batch_size(batch);
    for (int i = 0; i < 1000; i++)
        store_batch_put(batch, text("applied"), text("87654321"));
    cr_assert_eq(store_batch_size(batch), size);
    assert_holds(batch, "applied", "87654321");
    store_batch_free(batch);
}

/* Sorted, it is walked by key, says the same of each, and takes more writes behind. */
Test(store, batch_is_walked_by_key_when_sorted)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    store_batch_put(batch, text("c"), text("3"));
    store_batch_put(batch, text("ba"), text("2"));
    store_batch_delete(batch, text("a"));
    store_batch_put(batch, text("b"), text("1"));
    store_batch_sort(batch);
    static const char *const order[] = {"a", "b", "ba", "c"};
    struct base_bytes key, value, found;
    size_t cursor = 0;
    for (size_t i = 0; i < 4; i++) {
        cr_assert(store_batch_next(batch, &cursor, &key, &value));
        cr_assert(base_bytes_equal(key, text(order[i])));
    }
    cr_assert_not(store_batch_next(batch, &cursor, &key, &value));
    assert_holds(batch, "ba", "2");
    cr_assert_eq(store_batch_find(batch, text("a"), &found), TORC_NOT_FOUND);
    store_batch_put(batch, text("aa"), text("4"));
    assert_holds(batch, "aa", "4");
    cr_assert_eq(store_batch_count(batch), 5);
    store_batch_free(batch);
}

/* A value borrowed from the batch cannot be put back: the put may move it. */
Test(store, batch_refuses_its_own_memory, .signal = SIGABRT)
{
    struct store_batch *batch = store_batch_new(base_allocator_system());
    struct base_bytes found;
    store_batch_put(batch, text("a"), text("value"));
    cr_assert_eq(store_batch_find(batch, text("a"), &found), TORC_OK);
    store_batch_put(batch, text("b"), found);
}
