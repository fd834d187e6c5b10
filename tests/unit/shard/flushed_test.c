#include "shard/flushed.h"

#include <criterion/criterion.h>

#include "shard/keys.h"
#include "store/sim_kv.h"
#include "tests/lib/counting.h"

static void put(struct store_kv *kv, const struct base_allocator *allocator, uint32_t group,
                struct base_bytes value)
{
    uint8_t key[SHARD_KEY_STATE_SIZE];
    shard_key_state_write(key, group);
    struct store_batch *batch = store_batch_new(allocator);
    store_batch_put(batch, base_bytes_of(key, sizeof(key)), value);
    cr_assert_eq(store_kv_write(kv, batch), TORC_OK);
    store_batch_free(batch);
}

/* What counts is what a crash would leave: nothing before the first flush, then the flushed slot,
 * each group its own. */
Test(flushed, only_what_is_on_disk_counts)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct store_kv *kv = store_sim_kv_new(allocator, 1);
    uint8_t value[SHARD_STATE_SIZE];
    struct shard_state state = {.slot = 7};
    cr_assert_eq(shard_state_flushed_slot(kv, 1), 0);
    shard_state_write(value, &state);
    put(kv, allocator, 1, base_bytes_of(value, sizeof(value)));
    cr_assert_eq(shard_state_flushed_slot(kv, 1), 0);
    store_kv_flush(kv);
    cr_assert_eq(shard_state_flushed_slot(kv, 1), 7);
    state.slot = 9;
    shard_state_write(value, &state);
    put(kv, allocator, 1, base_bytes_of(value, sizeof(value)));
    cr_assert_eq(shard_state_flushed_slot(kv, 1), 7);
    cr_assert_eq(shard_state_flushed_slot(kv, 2), 0);
    store_kv_close(kv);
    counting_fini(&counting);
}

/* A state that does not decode is no reason to let go of the log. */
Test(flushed, an_undecodable_state_counts_as_none)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct store_kv *kv = store_sim_kv_new(allocator, 1);
    put(kv, allocator, 1, base_bytes_text("no state"));
    store_kv_flush(kv);
    cr_assert_eq(shard_state_flushed_slot(kv, 1), 0);
    store_kv_close(kv);
    counting_fini(&counting);
}
