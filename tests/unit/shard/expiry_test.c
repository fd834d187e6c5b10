#include <stdio.h>

#include <criterion/criterion.h>

#include "base/hlc.h"
#include "ring/token.h"
#include "shard/keys.h"
#include "tests/lib/machine_fixture.h"

/* Proposes what the leader finds due and applies it; returns whether there was anything. */
static bool remove_due(struct fixture *fixture, uint32_t keys_max)
{
    uint8_t request[4096];
    size_t size;
    cr_assert_eq(shard_removal_write(fixture->machine, keys_max, request, sizeof(request), &size),
                 TORC_OK);
    if (size == 0)
        return false;
    fixture_request_encoded(fixture, base_bytes_of(request, size));
    fixture_apply(fixture);
    fixture_write(fixture);
    return true;
}

static void tick(struct fixture *fixture)
{
    uint8_t request[128];
    size_t size = shard_tick_write(request, sizeof(request));
    fixture_request_encoded(fixture, base_bytes_of(request, size));
    fixture_apply(fixture);
    fixture_write(fixture);
}

enum { REMOVAL_SIZE = 19 }; /* Of a key of one letter. */

static void removal_write(uint8_t at[REMOVAL_SIZE], uint64_t version, uint64_t expiry_ms, char key)
{
    base_put_le64(at, version);
    base_put_le64(at + 8, expiry_ms);
    base_put_le16(at + 16, 1);
    at[18] = (uint8_t)key;
}

/* Adds a request to remove what `value` names. */
static void removal_add(struct fixture *fixture, const uint8_t *value, size_t value_size)
{
    uint8_t request[256];
    struct wire_op op = {.type = WIRE_OP_REMOVE_EXPIRED, .value = base_bytes_of(value, value_size)};
    size_t size = wire_request_begin(request, sizeof(request), (struct wire_client_id){0, 0}, 0, 0,
                                     WIRE_REQUEST_INTERNAL);
    size += wire_op_write(request + size, sizeof(request) - size, &op);
    wire_request_end(request, size, 1);
    fixture_request_encoded(fixture, base_bytes_of(request, size));
}

/* Applies the removal of a key of one letter, found with this version and expiry. */
static void removal_apply(struct fixture *fixture, uint64_t version, uint64_t expiry_ms, char key)
{
    uint8_t value[REMOVAL_SIZE];
    removal_write(value, version, expiry_ms, key);
    removal_add(fixture, value, sizeof(value));
    fixture_apply(fixture);
    fixture_write(fixture);
}

/* A key is there up to its time and not from then on, to every operation. */
Test(expiry, expired_keys_are_absent)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "5", 100));
    fixture_sleep(&fixture, 99);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).kind, WIRE_RESULT_BYTES);
    fixture_sleep(&fixture, 1);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).kind, WIRE_RESULT_NIL);
    cr_assert_eq(fixture_do_op(&fixture, op_stat("k")).kind, WIRE_RESULT_NIL);
    cr_assert_eq(fixture_do_op(&fixture, op_delete("k")).number, 0);
    cr_assert_eq(fixture_do_op(&fixture, op_expire("k", WIRE_IF_ALWAYS, 5)).number, 0);
    cr_assert_eq(fixture_do_op(&fixture, op_persist("k")).number, 0);
    struct wire_op present = op_put("k", "6");
    present.condition = WIRE_IF_PRESENT;
    cr_assert_eq(fixture_do_op(&fixture, present).kind, WIRE_RESULT_NIL);
    struct wire_op keep = op_put("k", "6"); /* There is no expiry to keep any more. */
    keep.condition = WIRE_IF_ABSENT;
    keep.expiry_mode = WIRE_EXPIRY_KEEP;
    cr_assert_eq(fixture_do_op(&fixture, keep).kind, WIRE_RESULT_OK);
    cr_assert_eq(fixture_do_op(&fixture, op_stat("k")).number, 0);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 0);
    fixture_fini(&fixture);
}

/* Writes over an expired key begin from nothing. */
Test(expiry, writes_over_an_expired_key_begin_anew)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("n", "5", 100));
    fixture_do_op(&fixture, op_put_for("a", "old", 100));
    fixture_do_op(&fixture, op_put_for("r", "old", 100));
    fixture_sleep(&fixture, 100);
    cr_assert_eq(fixture_do_op(&fixture, op_add("n", 1)).number, 1);
    cr_assert_eq(fixture_do_op(&fixture, op_append("a", "x")).number, 1);
    cr_assert_eq(fixture_do_op(&fixture, op_set_range("r", 1, "x")).number, 2);
    cr_assert_eq(fixture_do_op(&fixture, op_stat("n")).number, 0);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 0);
    fixture_fini(&fixture);
}

/* A relative time counts from the operation's own tick, at apply. */
Test(expiry, relative_times_count_from_the_tick)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_sleep(&fixture, 777);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    cr_assert_eq(fixture_do_op(&fixture, op_stat("k")).number, FIXTURE_START_MS + 877);
    fixture_fini(&fixture);
}

/* A read that meets a key expired by the stamp, and not yet by the group's clock, has to wait for a
 * clock entry: so an absent key never comes back. */
Test(expiry, reads_wait_for_the_clock)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    struct wire_op get = op_get("k"), check = op_check("k", WIRE_IF_PRESENT);
    struct wire_answer answer;
    cr_assert_eq(fixture_read(&fixture, &get, 1, &answer), TORC_OK);
    fixture_sleep(&fixture, 100);
    cr_assert_eq(fixture_read(&fixture, &get, 1, &answer), TORC_STALE);
    cr_assert_eq(fixture_read(&fixture, &check, 1, &answer), TORC_STALE);
    struct wire_op both[2] = {op_get("other"), op_get("k")};
    cr_assert_eq(fixture_read(&fixture, both, 2, &answer), TORC_STALE);
    tick(&fixture);
    cr_assert_eq(fixture_read(&fixture, &get, 1, &answer), TORC_OK);
    cr_assert_eq(fixture_result(&answer, 0).kind, WIRE_RESULT_NIL);
    cr_assert_eq(fixture_read(&fixture, &check, 1, &answer), TORC_OK);
    cr_assert_eq(answer.status, WIRE_CHECK_FAILED);
    cr_assert_eq(answer.clock, fixture_info(&fixture).clock);
    fixture_sleep(&fixture, 5); /* A client's next last time begins from the clock of now. */
    cr_assert_eq(fixture_read(&fixture, &get, 1, &answer), TORC_OK);
    cr_assert_eq(answer.clock, fixture.stamp);
    fixture_fini(&fixture);
}

/* The version of an absent key is its expiry, before the row is removed as after it. */
Test(expiry, absent_version_is_the_expiry)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    fixture_sleep(&fixture, 150);
    uint64_t expiry = base_hlc_from_ms(FIXTURE_START_MS + 100);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).version, expiry);
    cr_assert(remove_due(&fixture, 10));
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).version, expiry);
    fixture_reopen(&fixture);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).version, expiry);
    fixture_fini(&fixture);
}

/* Removal takes what is due, in batches, and leaves nothing of it and all of the rest. */
Test(expiry, removal_takes_what_is_due)
{
    struct fixture fixture;
    fixture_init(&fixture);
    char key[16];
    for (int i = 0; i < 25; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        fixture_do_op(&fixture, op_put_for(key, "1", i < 20 ? 100 + i : 100000));
    }
    cr_assert_eq(fixture_info(&fixture).next_expiry_ms, FIXTURE_START_MS + 100);
    cr_assert_not(remove_due(&fixture, 10));
    fixture_sleep(&fixture, 1000);
    tick(&fixture);
    cr_assert(remove_due(&fixture, 15));
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 10);
    cr_assert(remove_due(&fixture, 15));
    cr_assert_not(remove_due(&fixture, 15));
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 5);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 5);
    cr_assert_geq(fixture_info(&fixture).next_expiry_ms, FIXTURE_START_MS + 100000);
    fixture_fini(&fixture);
}

/* A removal that was proposed before the key was written again does not take it. */
Test(expiry, removal_checks_again_at_apply)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("set", "1", 100));
    fixture_do_op(&fixture, op_put_for("timed", "1", 100));
    fixture_do_op(&fixture, op_put_for("gone", "1", 100));
    fixture_sleep(&fixture, 100);
    tick(&fixture);
    uint8_t request[1024];
    size_t size;
    cr_assert_eq(shard_removal_write(fixture.machine, 10, request, sizeof(request), &size),
                 TORC_OK);
    fixture_do_op(&fixture, op_put("set", "2"));
    fixture_do_op(&fixture, op_put_for("timed", "2", 100));
    fixture_request_encoded(&fixture, base_bytes_of(request, size));
    fixture_apply(&fixture);
    fixture_write(&fixture);
    cr_assert(bytes_are(fixture_do_op(&fixture, op_get("set")).bytes, "2"));
    cr_assert(bytes_are(fixture_do_op(&fixture, op_get("timed")).bytes, "2"));
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 2);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 1);
    fixture_fini(&fixture);
}

/* Written again with the very same expiry, and expired again: the row is removed by its new index
 * row, and not lost between the two. */
Test(expiry, rewritten_with_the_same_expiry_is_removed_later)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op put = op_put("k", "1");
    put.expiry_mode = WIRE_EXPIRY_ABSOLUTE;
    put.b = FIXTURE_START_MS + 100;
    fixture_do_op(&fixture, put);
    uint64_t version = fixture_do_op(&fixture, op_get("k")).version;
    fixture_sleep(&fixture, 100);
    /* As an older leader might have found it. */
    removal_apply(&fixture, version - 1, FIXTURE_START_MS + 100, 'k');
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 1);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 1);
    cr_assert(remove_due(&fixture, 10));
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 0);
    fixture_fini(&fixture);
}

/* A removal never takes a key that has not expired, whatever its leader's clock said. */
Test(expiry, removal_spares_what_is_alive)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint64_t version = fixture_do_op(&fixture, op_put_for("k", "1", 100)).version;
    removal_apply(&fixture, version, FIXTURE_START_MS + 100, 'k');
    cr_assert(bytes_are(fixture_do_op(&fixture, op_get("k")).bytes, "1"));
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 1);
    fixture_fini(&fixture);
}

/* What blind writes leave behind in the index does no harm and goes when it is met. */
Test(expiry, stale_index_rows_are_harmless)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    fixture_do_op(&fixture, op_put_for("k", "2", 200));
    fixture_do_op(&fixture, op_put("k", "3"));
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 2);
    fixture_sleep(&fixture, 300);
    tick(&fixture);
    while (remove_due(&fixture, 1))
        ;
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 0);
    cr_assert(bytes_are(fixture_do_op(&fixture, op_get("k")).bytes, "3"));
    fixture_fini(&fixture);
}

/* While the store is stalled the index is not what it will be: nothing is found, nothing forgotten.
 */
Test(expiry, removal_waits_for_the_batch)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    fixture_sleep(&fixture, 200);
    struct wire_op put = op_put("x", "1");
    fixture_request(&fixture, &put, 1);
    fixture_apply(&fixture);
    cr_assert_not(remove_due(&fixture, 10));
    cr_assert_eq(fixture_info(&fixture).next_expiry_ms, FIXTURE_START_MS + 100);
    fixture_write(&fixture);
    cr_assert(remove_due(&fixture, 10));
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 0);
    fixture_fini(&fixture);
}

/* What does not fit the leader's memory is left for the next time. */
Test(expiry, removal_fits_its_memory)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k1", "1", 100));
    fixture_do_op(&fixture, op_put_for("k2", "1", 100));
    fixture_sleep(&fixture, 100);
    tick(&fixture);
    uint8_t request[256];
    size_t full, size;
    cr_assert_eq(shard_removal_write(fixture.machine, 10, request, sizeof(request), &full),
                 TORC_OK);
    for (size_t capacity = 0; capacity < full; capacity++) {
        cr_assert_eq(shard_removal_write(fixture.machine, 10, request, capacity, &size), TORC_OK);
        cr_assert_lt(size, full);
        cr_assert_leq(size, capacity);
    }
    fixture_fini(&fixture);
}

/* A removal that no leader writes makes its entry one that is none. */
Test(expiry, removals_are_validated)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    uint8_t good[2 * REMOVAL_SIZE], bad[2 * REMOVAL_SIZE];
    removal_write(good, 1, FIXTURE_START_MS + 100, 'x');
    removal_write(good + REMOVAL_SIZE, 1, FIXTURE_START_MS + 100, 'y');
    for (int i = 0; i < 4; i++) {
        size_t size = sizeof(bad);
        memcpy(bad, good, sizeof(bad));
        if (i == 0)
            size--;
        else if (i == 1)
            base_put_le16(bad + REMOVAL_SIZE + 16, 2); /* More than there is. */
        else if (i == 2)
            base_put_le16(bad + REMOVAL_SIZE + 16, 0);
        else
            base_put_le64(bad + REMOVAL_SIZE + 8, 0);
        removal_add(&fixture, bad, size);
        cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_MALFORMED);
    }
    removal_add(&fixture, good, sizeof(good));
    fixture_apply(&fixture);
    fixture_write(&fixture);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 1);
    fixture_fini(&fixture);
}

/* What stands in vnodes that the group does not own is neither found nor removed. */
Test(expiry, removal_is_for_owned_vnodes)
{
    struct fixture fixture;
    fixture_init_bare(&fixture);
    uint32_t mine =
        ring_vnode(ring_token(base_bytes_text("k"), FIXTURE_VNODE_BITS), FIXTURE_VNODE_BITS);
    struct shard_vnode vnodes[1] = {{(mine + 1) % (1 << FIXTURE_VNODE_BITS), 1}};
    uint8_t request[256];
    size_t size = shard_genesis_write(vnodes, 1, request, sizeof(request));
    fixture_request_encoded(&fixture, base_bytes_of(request, size));
    fixture_apply(&fixture);
    uint64_t token = ring_token(base_bytes_text("k"), FIXTURE_VNODE_BITS);
    uint8_t key[SHARD_KEY_INDEX_SIZE + 1], value[SHARD_DATA_HEAD_SIZE];
    shard_key_data_write(key, FIXTURE_GROUP, token, base_bytes_text("k"));
    shard_data_head_write(value, 1, FIXTURE_START_MS + 1);
    store_batch_put(fixture.batch, base_bytes_of(key, SHARD_KEY_DATA_SIZE + 1),
                    base_bytes_of(value, sizeof(value)));
    shard_key_index_write(key, FIXTURE_GROUP, FIXTURE_START_MS + 1, token, base_bytes_text("k"));
    store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)),
                    base_bytes_of(value, SHARD_INDEX_SIZE));
    fixture_write(&fixture);
    fixture_sleep(&fixture, 100);
    tick(&fixture);
    cr_assert_not(remove_due(&fixture, 10));
    removal_apply(&fixture, 1, FIXTURE_START_MS + 1, 'k');
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 1);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 1);
    fixture_fini(&fixture);
}

/* A removal that meets a damaged row stops the group, as any entry does. */
Test(expiry, removal_of_a_damaged_row_is_an_error)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint64_t version = fixture_do_op(&fixture, op_put_for("k", "1", 100)).version;
    uint64_t token = ring_token(base_bytes_text("k"), FIXTURE_VNODE_BITS);
    uint8_t key[SHARD_KEY_DATA_SIZE + 1], value[REMOVAL_SIZE];
    shard_key_data_write(key, FIXTURE_GROUP, token, base_bytes_text("k"));
    store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)), base_bytes_text("rubbish"));
    cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
    store_batch_clear(fixture.batch);
    removal_write(value, version, FIXTURE_START_MS + 100, 'k');
    removal_add(&fixture, value, sizeof(value));
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_DAMAGED);
    fixture_fini(&fixture);
}

/* What is due is not read to its end: nothing is proposed, and it is not taken for all there is. */
Test(expiry, index_that_ends_early_is_an_error)
{
    struct fixture fixture;
    uint8_t request[4096];
    size_t size = 1;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    fixture_do_op(&fixture, op_put_for("l", "1", 100));
    fixture_sleep(&fixture, 200);
    tick(&fixture);
    store_sim_kv_faults_set(fixture.kv, (struct store_sim_kv_faults){.iterator_end_ppm = 1000000});
    cr_assert_eq(shard_removal_write(fixture.machine, 10, request, sizeof(request), &size),
                 TORC_DAMAGED);
    cr_assert_eq(size, 0);
    store_sim_kv_faults_set(fixture.kv, (struct store_sim_kv_faults){0});
    cr_assert(remove_due(&fixture, 10));
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 0);
    fixture_fini(&fixture);
}
