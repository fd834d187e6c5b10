#include "shard/recovery.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shard/keys.h"
#include "store/sim_kv.h"
#include "tests/lib/counting.h"

struct bench {
    struct counting counting;
    const struct base_allocator *allocator;
    struct base_pool pool;
    struct store_kv *kv;
    struct shard_recovery *recovery;
};

enum { REPLICA = 30 };

static void begin(struct bench *bench, size_t pool_size)
{
    bench->allocator = counting_init(&bench->counting);
    base_pool_init(&bench->pool, bench->allocator, pool_size);
    bench->kv = store_sim_kv_new(bench->allocator, 1);
    bench->recovery = shard_recovery_new(bench->kv, &bench->pool, bench->allocator);
}

static void end(struct bench *bench)
{
    shard_recovery_free(bench->recovery);
    store_kv_close(bench->kv);
    base_pool_fini(&bench->pool);
    counting_fini(&bench->counting);
}

static void flushed(struct bench *bench, uint32_t group, uint64_t slot)
{
    uint8_t key[SHARD_KEY_STATE_SIZE], value[SHARD_STATE_SIZE];
    struct shard_state state = {.slot = slot};
    shard_key_state_write(key, group);
    shard_state_write(value, &state);
    struct store_batch *batch = store_batch_new(bench->allocator);
    store_batch_put(batch, base_bytes_of(key, sizeof(key)), base_bytes_of(value, sizeof(value)));
    cr_assert_eq(store_kv_write(bench->kv, batch), TORC_OK);
    store_batch_free(batch);
    store_kv_flush(bench->kv);
}

/* A record of a group's replica, whose id is REPLICA + group. */
static void record(struct bench *bench, enum store_record_kind kind, uint32_t group, uint64_t slot,
                   uint64_t round, const char *payload)
{
    struct store_record record = {.kind = kind,
                                  .tag = CONSENSUS_VALUE,
                                  .group = group,
                                  .replica = REPLICA + group,
                                  .slot = slot,
                                  .ballot = {.round = round, .node = 1, .incarnation = 1},
                                  .origin = {.round = 1, .node = 1, .incarnation = 1},
                                  .payload = base_bytes_text(payload)};
    shard_recovery_record(bench->recovery, &record);
}

static const struct shard_recovered *only(const struct bench *bench)
{
    cr_assert_eq(shard_recovery_status(bench->recovery), TORC_OK);
    cr_assert_eq(shard_recovery_count(bench->recovery), 1);
    return shard_recovery_at(bench->recovery, 0);
}

static bool value_is(const struct consensus_entry *entry, const char *text)
{
    struct base_bytes bytes = base_buffer_bytes(entry->value);
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* Of each slot the last record counts, in whatever order slots come back. */
Test(recovery, the_last_record_of_a_slot_wins)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "birth");
    record(&bench, STORE_RECORD_ENTRY, 1, 3, 1, "three");
    record(&bench, STORE_RECORD_ENTRY, 1, 1, 1, "old");
    record(&bench, STORE_RECORD_ENTRY, 1, 1, 2, "newer");
    record(&bench, STORE_RECORD_LEARNED, 1, 1, 1, "chosen");
    const struct shard_recovered *group = only(&bench);
    cr_assert_eq(group->group, 1);
    cr_assert_eq(group->replica, REPLICA + 1);
    cr_assert_eq(group->birth.size, 5);
    cr_assert_eq(group->entry_count, 2);
    cr_assert_eq(group->entries[0].slot, 1);
    cr_assert(value_is(&group->entries[0], "chosen"));
    cr_assert(value_is(&group->entries[1], "three"));
    cr_assert_eq(bench.pool.buffer_count, 2);
    end(&bench);
}

/* A promise is the highest of those made and of the ballots accepted at; a learned value promises
 * nothing. Marks only rise. */
Test(recovery, promises_and_marks_rise)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "");
    record(&bench, STORE_RECORD_PROMISE, 1, 0, 5, "");
    record(&bench, STORE_RECORD_PROMISE, 1, 0, 4, "");
    cr_assert_eq(only(&bench)->promised.round, 5);
    record(&bench, STORE_RECORD_ENTRY, 1, 1, 6, "x");
    record(&bench, STORE_RECORD_LEARNED, 1, 2, 9, "y");
    cr_assert_eq(only(&bench)->promised.round, 6);
    record(&bench, STORE_RECORD_MARK, 1, 2, 0, "");
    record(&bench, STORE_RECORD_MARK, 1, 1, 0, "");
    cr_assert_eq(only(&bench)->chosen, 2);
    end(&bench);
}

/* What the flushed state holds is not kept, but its ballot was promised all the same. */
Test(recovery, flushed_entries_are_skipped)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    flushed(&bench, 1, 2);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "");
    record(&bench, STORE_RECORD_ENTRY, 1, 2, 8, "in the state");
    record(&bench, STORE_RECORD_ENTRY, 1, 3, 1, "not yet");
    const struct shard_recovered *group = only(&bench);
    cr_assert_eq(group->flushed, 2);
    cr_assert_eq(group->compacted, 2);
    cr_assert_eq(group->entry_count, 1);
    cr_assert_eq(group->entries[0].slot, 3);
    cr_assert_eq(group->promised.round, 8);
    cr_assert_eq(shard_recovery_flushed(bench.recovery, 1), 2);
    /* The log may still have them, for those who lag. */
    shard_recovery_loadable(bench.recovery, 1, 2);
    cr_assert_eq(group->compacted, 1);
    shard_recovery_loadable(bench.recovery, 1, 3);
    cr_assert_eq(group->compacted, 1);
    shard_recovery_loadable(bench.recovery, 9, 1);
    end(&bench);
}

/* A dropped replica is gone with all it had; its group may live on under a new id. */
Test(recovery, dropped_replicas_are_gone)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    record(&bench, STORE_RECORD_REPLICA, 2, 0, 0, "a");
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "b");
    record(&bench, STORE_RECORD_ENTRY, 1, 1, 3, "x");
    record(&bench, STORE_RECORD_DROP, 3, 0, 0, ""); /* Of one that nothing was left of. */
    cr_assert_eq(shard_recovery_count(bench.recovery), 2);
    record(&bench, STORE_RECORD_DROP, 1, 0, 0, "");
    cr_assert_eq(only(&bench)->group, 2);
    cr_assert_eq(bench.pool.buffer_count, 0);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "again");
    cr_assert_eq(shard_recovery_count(bench.recovery), 2);
    cr_assert_eq(shard_recovery_at(bench.recovery, 0)->group, 1);
    cr_assert_eq(shard_recovery_at(bench.recovery, 0)->promised.round, 0);
    cr_assert_eq(shard_recovery_at(bench.recovery, 0)->birth.size, 5);
    end(&bench);
}

/* Damage marks the replica, until it is dropped. */
Test(recovery, damage_marks_the_replica)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "");
    cr_assert_not(only(&bench)->damaged);
    shard_recovery_damaged(bench.recovery, 1, REPLICA + 1, 4);
    cr_assert(only(&bench)->damaged);
    cr_assert_eq(only(&bench)->damaged_slot, 4);
    record(&bench, STORE_RECORD_DROP, 1, 0, 0, "");
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "");
    cr_assert_not(only(&bench)->damaged);
    record(&bench, STORE_RECORD_DAMAGE, 1, 7, 0, "");
    cr_assert(only(&bench)->damaged);
    end(&bench);
}

/* The record that a replica lives here may be copied forward: it says nothing new. */
Test(recovery, a_replica_record_may_be_repeated)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "birth");
    record(&bench, STORE_RECORD_ENTRY, 1, 1, 3, "x");
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "birth");
    cr_assert_eq(only(&bench)->entry_count, 1);
    end(&bench);
}

/* Recycling writes the record that a replica lives here behind others of that replica: nothing of
 * what stands before it is lost, damage neither. */
Test(recovery, a_replica_record_may_come_late)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    record(&bench, STORE_RECORD_PROMISE, 1, 0, 5, "");
    record(&bench, STORE_RECORD_ENTRY, 1, 1, 3, "x");
    record(&bench, STORE_RECORD_MARK, 1, 1, 0, "");
    shard_recovery_damaged(bench.recovery, 2, REPLICA + 2, 4);
    record(&bench, STORE_RECORD_REPLICA, 2, 0, 0, "");
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "birth");
    cr_assert_eq(shard_recovery_count(bench.recovery), 2);
    const struct shard_recovered *group = shard_recovery_at(bench.recovery, 0);
    cr_assert_eq(group->birth.size, 5);
    cr_assert_eq(group->promised.round, 5);
    cr_assert_eq(group->chosen, 1);
    cr_assert_eq(group->entry_count, 1);
    cr_assert(shard_recovery_at(bench.recovery, 1)->damaged);
    end(&bench);
}

/* A pool that is too small for the replay is reported, not survived. */
Test(recovery, a_small_pool_is_reported)
{
    struct bench bench;
    begin(&bench, 64);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "");
    record(&bench, STORE_RECORD_ENTRY, 1, 1, 1, "fits");
    cr_assert_eq(shard_recovery_status(bench.recovery), TORC_OK);
    record(&bench, STORE_RECORD_ENTRY, 1, 2, 1, "does not fit any more: no room in the pool");
    cr_assert_eq(shard_recovery_status(bench.recovery), TORC_FULL);
    end(&bench);
}

/* A drop takes the replica that it names and no other: not one of its group under another id, nor
 * one of another group. */
Test(recovery, a_drop_takes_only_whom_it_names)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "a");
    record(&bench, STORE_RECORD_REPLICA, 3, 0, 0, "b");
    record(&bench, STORE_RECORD_ENTRY, 3, 1, 3, "x");
    record(&bench, STORE_RECORD_DROP, 2, 0, 0, "");
    const struct store_record earlier = {
        .kind = STORE_RECORD_DROP, .group = 3, .replica = REPLICA - 1};
    shard_recovery_record(bench.recovery, &earlier);
    cr_assert_eq(shard_recovery_count(bench.recovery), 2);
    const struct shard_recovered *group = shard_recovery_at(bench.recovery, 1);
    cr_assert_eq(group->replica, REPLICA + 3);
    cr_assert_eq(group->entry_count, 1);
    end(&bench);
}

/* Only what is known of the group itself says what its log still has; from no slot on is nothing.
 */
Test(recovery, what_is_loadable_is_of_one_group)
{
    struct bench bench;
    begin(&bench, 1 << 16);
    flushed(&bench, 1, 5);
    flushed(&bench, 3, 5);
    record(&bench, STORE_RECORD_REPLICA, 1, 0, 0, "");
    record(&bench, STORE_RECORD_REPLICA, 3, 0, 0, "");
    shard_recovery_loadable(bench.recovery, 2, 1);
    shard_recovery_loadable(bench.recovery, 3, 0);
    cr_assert_eq(shard_recovery_at(bench.recovery, 0)->compacted, 5);
    cr_assert_eq(shard_recovery_at(bench.recovery, 1)->compacted, 5);
    shard_recovery_loadable(bench.recovery, 3, 4);
    cr_assert_eq(shard_recovery_at(bench.recovery, 0)->compacted, 5);
    cr_assert_eq(shard_recovery_at(bench.recovery, 1)->compacted, 3);
    end(&bench);
}
