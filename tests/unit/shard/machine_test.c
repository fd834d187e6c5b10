#include <criterion/criterion.h>

#include "base/hlc.h"
#include "base/prng.h"
#include "ring/token.h"
#include "shard/keys.h"
#include "tests/lib/machine_fixture.h"

static void apply_internal(struct fixture *fixture, const struct wire_op *op)
{
    uint8_t request[1024];
    size_t size = wire_request_begin(request, sizeof(request), (struct wire_client_id){0, 0}, 0, 0,
                                     WIRE_REQUEST_INTERNAL);
    size += wire_op_write(request + size, sizeof(request) - size, op);
    wire_request_end(request, size, 1);
    fixture_request_encoded(fixture, base_bytes_of(request, size));
}

static enum torc_status genesis_of(struct fixture *fixture, const struct shard_vnode *vnodes,
                                   uint32_t count)
{
    uint8_t request[1024];
    size_t size = shard_genesis_write(vnodes, count, request, sizeof(request));
    cr_assert_eq(size, shard_genesis_size(count));
    fixture_request_encoded(fixture, base_bytes_of(request, size));
    return fixture_apply_bytes(fixture, fixture_entry(fixture));
}

/* A group without state owns nothing and has applied nothing. */
Test(machine, begins_empty)
{
    struct fixture fixture;
    fixture_init_bare(&fixture);
    struct shard_machine_info info = fixture_info(&fixture);
    cr_assert(!info.genesis);
    cr_assert_eq(info.applied + info.clock + info.vnodes_owned + info.records_count, 0);
    cr_assert_eq(shard_machine_flushed(fixture.machine), 0);
    struct wire_op put = op_put("k", "1");
    cr_assert_eq(fixture_do(&fixture, &put, 1).status, WIRE_MOVED);
    fixture_fini(&fixture);
}

/* The first vnodes come once; a second genesis does nothing, also after a restart. */
Test(machine, genesis_acts_once)
{
    struct fixture fixture;
    fixture_init_bare(&fixture);
    struct shard_vnode first[2] = {{3, 1}, {7, 1}}, second[3] = {{1, 9}, {3, 9}, {5, 9}};
    cr_assert_eq(genesis_of(&fixture, first, 2), TORC_OK);
    fixture_write(&fixture);
    uint64_t rows = fixture_space_count(&fixture, 'g');
    fixture_reopen(&fixture);
    cr_assert_eq(genesis_of(&fixture, second, 3), TORC_OK);
    fixture_write(&fixture);
    cr_assert(fixture_info(&fixture).genesis);
    cr_assert_eq(fixture_info(&fixture).vnodes_owned, 2);
    cr_assert_eq(fixture_space_count(&fixture, 'g'), rows);
    fixture_fini(&fixture);
}

/* A genesis that names what cannot be is refused as a whole. */
Test(machine, genesis_is_validated)
{
    struct fixture fixture;
    fixture_init_bare(&fixture);
    struct shard_vnode outside = {1 << FIXTURE_VNODE_BITS, 1}, no_epoch = {1, 0};
    cr_assert_eq(genesis_of(&fixture, &outside, 1), TORC_MALFORMED);
    cr_assert_eq(genesis_of(&fixture, &no_epoch, 1), TORC_MALFORMED);
    uint8_t twice[24] = {0};
    base_put_le64(twice + 4, 1);
    base_put_le64(twice + 16, 1);
    struct wire_op op = {.type = WIRE_OP_GENESIS, .value = base_bytes_of(twice, 24)};
    apply_internal(&fixture, &op);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_MALFORMED);
    op.value.size = 23;
    apply_internal(&fixture, &op);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_MALFORMED);
    fixture_fini(&fixture);
}

/* Limits change only from the version that the entry names, count from then on, and are kept. */
Test(machine, limits_change_by_compare_and_set)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint8_t value[WIRE_LIMITS_SIZE];
    base_put_le32(value, 100);
    base_put_le32(value + 4, 10);
    base_put_le32(value + 8, 5000);
    struct wire_op op = {.type = WIRE_OP_LIMITS, .value = base_bytes_of(value, sizeof(value))};
    fixture_do_op(&fixture, op_put("k", "123456789"));
    apply_internal(&fixture, &op);
    fixture_apply(&fixture);
    fixture_write(&fixture);
    cr_assert_eq(fixture_info(&fixture).limits.value_size_max, 10);
    cr_assert_eq(fixture_do_op(&fixture, op_append("k", "0")).number, 10);
    cr_assert_eq(fixture_do_op(&fixture, op_append("k", "1")).kind, WIRE_RESULT_ERROR);
    base_put_le32(value + 4, 20);
    apply_internal(&fixture, &op); /* Version 0 has been replaced. */
    fixture_apply(&fixture);
    fixture_write(&fixture);
    fixture_reopen(&fixture);
    cr_assert_eq(fixture_info(&fixture).limits.value_size_max, 10);
    op.a = 1;
    apply_internal(&fixture, &op);
    fixture_apply(&fixture);
    fixture_write(&fixture);
    cr_assert_eq(fixture_info(&fixture).limits.value_size_max, 20);
    base_put_le32(value, 0); /* No key fits. */
    apply_internal(&fixture, &op);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_MALFORMED);
    fixture_fini(&fixture);
}

/* A clock entry moves the clock and writes nothing but the group's own row. */
Test(machine, tick_moves_the_clock)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_sleep(&fixture, 5000);
    uint8_t request[128];
    size_t size = shard_tick_write(request, sizeof(request));
    fixture_request_encoded(&fixture, base_bytes_of(request, size));
    fixture_apply(&fixture);
    cr_assert_eq(store_batch_count(fixture.batch), 1);
    fixture_write(&fixture);
    cr_assert_geq(fixture_info(&fixture).clock, fixture.stamp);
    size_t cursor = 0;
    struct shard_outcome outcome;
    cr_assert_not(shard_outcomes_next(fixture.outcomes, &cursor, &outcome));
    fixture_fini(&fixture);
}

/* Reopened, a machine is what it was. */
Test(machine, reopens_as_it_was)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("a", "1", 100));
    fixture_do_op(&fixture, op_put_for("b", "1", 50));
    fixture_do_op(&fixture, op_delete("a"));
    struct shard_machine_info before = fixture_info(&fixture);
    fixture_reopen(&fixture);
    struct shard_machine_info after = fixture_info(&fixture);
    cr_assert_eq(after.applied, before.applied);
    cr_assert(base_ballot_equal(after.barrier, before.barrier));
    cr_assert_eq(after.clock, before.clock);
    cr_assert_eq(after.hash, before.hash);
    cr_assert_eq(after.vnodes_owned, before.vnodes_owned);
    cr_assert_eq(after.records_count, before.records_count);
    cr_assert_eq(after.records_bytes, before.records_bytes);
    cr_assert_eq(after.next_expiry_ms, before.next_expiry_ms);
    cr_assert_eq(after.next_expiry_ms, FIXTURE_START_MS + 50);
    fixture_fini(&fixture);
}

/* The flushed slot is what a crash now would leave. */
Test(machine, flushed_follows_the_flush)
{
    struct fixture fixture;
    fixture_init(&fixture);
    store_sim_kv_faults_set(fixture.kv, (struct store_sim_kv_faults){.flush_waits = true});
    fixture_do_op(&fixture, op_put("k", "1"));
    store_kv_flush(fixture.kv);
    cr_assert_eq(shard_machine_flushed(fixture.machine), 0);
    store_sim_kv_flush_end(fixture.kv);
    cr_assert_eq(shard_machine_flushed(fixture.machine), 2);
    fixture_do_op(&fixture, op_put("k", "1"));
    cr_assert_eq(shard_machine_flushed(fixture.machine), 2);
    fixture_fini(&fixture);
}

/* Groups in one map do not see each other, also at the ends of the numbers. */
Test(machine, groups_are_apart)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 100));
    uint64_t content = fixture_content(&fixture);
    static const uint32_t groups[] = {FIXTURE_GROUP - 1, FIXTURE_GROUP + 1, 0, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        struct shard_machine_config config = fixture.config;
        config.group = groups[i];
        struct shard_machine *other;
        cr_assert_eq(shard_machine_open(&config, fixture.kv, fixture.allocator, &other), TORC_OK);
        struct shard_machine_info info;
        shard_machine_info(other, &info);
        cr_assert_eq(info.applied, 0);
        cr_assert_eq(info.next_expiry_ms, 0);
        shard_machine_close(other);
    }
    cr_assert_eq(fixture_content(&fixture), content);
    fixture_fini(&fixture);
}

/* The row at `letter`'s place `index` of the map with one byte changed or cut off: opening and
 * asking must say "damaged" or find nothing wrong, and never end the process. */
static void damage_and_use(struct fixture *fixture, struct base_prng *prng)
{
    static const uint8_t first[1] = {'a'}, end[1] = {'z'};
    size_t rows = 0;
    struct base_bytes key, value;
    struct store_iterator *iterator =
        store_kv_iterate(fixture->kv, NULL, base_bytes_of(first, 1), base_bytes_of(end, 1));
    while (store_iterator_next(iterator, &key, &value) == TORC_OK)
        rows++;
    store_iterator_free(iterator);
    uint64_t chosen = base_prng_range(prng, 0, rows - 1);
    iterator = store_kv_iterate(fixture->kv, NULL, base_bytes_of(first, 1), base_bytes_of(end, 1));
    for (uint64_t i = 0; i <= chosen; i++)
        cr_assert_eq(store_iterator_next(iterator, &key, &value), TORC_OK);
    uint8_t good[512], bad[512], name[64];
    size_t size = value.size, name_size = key.size, cut = size;
    cr_assert(size <= sizeof(good) && name_size <= sizeof(name));
    memcpy(name, key.data, name_size);
    memcpy(good, value.data, size);
    memcpy(bad, value.data, size);
    store_iterator_free(iterator);
    if (base_prng_chance(prng, 1, 3))
        cut = base_prng_range(prng, 0, size);
    else
        bad[base_prng_range(prng, 0, size - 1)] ^= (uint8_t)base_prng_range(prng, 1, 255);

    store_batch_put(fixture->batch, base_bytes_of(name, name_size), base_bytes_of(bad, cut));
    cr_assert_eq(store_kv_write(fixture->kv, fixture->batch), TORC_OK);
    store_batch_clear(fixture->batch);
    struct shard_machine *machine;
    enum torc_status status =
        shard_machine_open(&fixture->config, fixture->kv, fixture->allocator, &machine);
    cr_assert(status == TORC_OK || status == TORC_DAMAGED || status == TORC_NEWER);
    if (status == TORC_OK) {
        struct shard_machine *whole = fixture->machine;
        fixture->machine = machine;
        struct wire_op ops[2] = {op_get("a"), op_get("b")};
        struct wire_answer answer;
        status = fixture_read(fixture, ops, 2, &answer);
        cr_assert(status == TORC_OK || status == TORC_DAMAGED || status == TORC_STALE);
        uint8_t request[256];
        size_t request_size;
        status = shard_removal_write(machine, 10, request, sizeof(request), &request_size);
        cr_assert(status == TORC_OK || status == TORC_DAMAGED);
        struct wire_op count = op_walk(WIRE_OP_COUNT, 0, 100);
        status = fixture_read(fixture, &count, 1, &answer);
        cr_assert(status == TORC_OK || status == TORC_DAMAGED);
        fixture->machine = whole;
        shard_machine_close(machine);
    }
    store_batch_put(fixture->batch, base_bytes_of(name, name_size), base_bytes_of(good, size));
    cr_assert_eq(store_kv_write(fixture->kv, fixture->batch), TORC_OK);
    store_batch_clear(fixture->batch);
}

/* Whatever stands in the map, reading it is an error at worst. */
Test(machine, damaged_rows_are_errors)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("a", "1", 100));
    fixture_do_op(&fixture, op_put("b", "22"));
    fixture_do_op(&fixture, op_put("c", "3"));
    fixture_do_op(&fixture, op_delete("c"));
    struct base_prng prng = base_prng_seeded(1);
    for (int i = 0; i < 3000; i++)
        damage_and_use(&fixture, &prng);
    fixture_fini(&fixture);
}

/* Records of an entry after the newest one, or under a key that names none. */
Test(machine, records_out_of_place_are_damage)
{
    for (int i = 0; i < 2; i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_do_op(&fixture, op_put("a", "1"));
        uint8_t key[SHARD_KEY_RECORDS_SIZE + 1] = {0};
        shard_key_records_write(key, FIXTURE_GROUP, i == 0 ? 1000 : 1);
        store_batch_put(fixture.batch, base_bytes_of(key, SHARD_KEY_RECORDS_SIZE + (size_t)i),
                        base_bytes_text("x"));
        cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
        store_batch_clear(fixture.batch);
        struct shard_machine *machine;
        cr_assert_eq(shard_machine_open(&fixture.config, fixture.kv, fixture.allocator, &machine),
                     TORC_DAMAGED);
        fixture_fini(&fixture);
    }
}

/* An entry with a request that meets a damaged row is an error, whatever is behind that request. */
Test(machine, nothing_counts_behind_a_damaged_row)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("k", "1"));
    uint64_t token = ring_token(base_bytes_text("k"), FIXTURE_VNODE_BITS);
    uint8_t key[SHARD_KEY_DATA_SIZE + 1];
    shard_key_data_write(key, FIXTURE_GROUP, token, base_bytes_text("k"));
    store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)), base_bytes_text("rubbish"));
    cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
    store_batch_clear(fixture.batch);
    const struct wire_op append = op_append("k", "2"), put = op_put("other", "3");
    fixture_request(&fixture, &append, 1);
    fixture_request(&fixture, &put, 1);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_DAMAGED);
    fixture_fini(&fixture);
}

/* Limits under which no request, no key or no value is possible are no leader's. */
Test(machine, limits_that_fit_nothing_are_refused)
{
    static const struct wire_limits cases[] = {
        {0, 10, 100}, {UINT16_MAX + 1, 10, 100}, {10, 0, 100}, {10, 100, 100}, {10, 100, 99}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        uint8_t value[WIRE_LIMITS_SIZE];
        base_put_le32(value, cases[i].key_size_max);
        base_put_le32(value + 4, cases[i].value_size_max);
        base_put_le32(value + 8, cases[i].request_size_max);
        struct wire_op op = {.type = WIRE_OP_LIMITS, .value = base_bytes_of(value, sizeof(value))};
        apply_internal(&fixture, &op);
        cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_MALFORMED, "%zu",
                     i);
        fixture_fini(&fixture);
    }
}

/* A vnode that there is not, or one that was given away later than anything was applied. */
Test(machine, vnodes_out_of_place_are_damage)
{
    for (int i = 0; i < 3; i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture_do_op(&fixture, op_put("a", "1"));
        uint64_t clock = fixture_info(&fixture).clock;
        uint8_t key[SHARD_KEY_VNODE_SIZE], value[SHARD_VNODE_SIZE];
        struct shard_vnode_state state = {.owned = true, .deleted = i == 1 ? clock + 1 : clock};
        shard_key_vnode_write(key, FIXTURE_GROUP, i == 0 ? 1 << FIXTURE_VNODE_BITS : 3);
        shard_vnode_state_write(value, &state);
        store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)),
                        base_bytes_of(value, sizeof(value)));
        cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
        store_batch_clear(fixture.batch);
        struct shard_machine *machine = NULL;
        cr_assert_eq(shard_machine_open(&fixture.config, fixture.kv, fixture.allocator, &machine),
                     i < 2 ? TORC_DAMAGED : TORC_OK, "%d", i);
        shard_machine_close(machine);
        fixture_fini(&fixture);
    }
}

/* There may be none to free. */
Test(machine, freeing_nothing_is_a_no_op)
{
    shard_machine_close(NULL);
    shard_outcomes_free(NULL);
}

/* A value of a later format is "newer", which is not damage. */
Test(machine, later_formats_are_newer)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint8_t key[SHARD_KEY_STATE_SIZE], value[SHARD_STATE_SIZE] = {SHARD_STATE_VERSION + 1};
    shard_key_state_write(key, FIXTURE_GROUP);
    store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)),
                    base_bytes_of(value, sizeof(value)));
    cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
    struct shard_machine *machine;
    cr_assert_eq(shard_machine_open(&fixture.config, fixture.kv, fixture.allocator, &machine),
                 TORC_NEWER);
    fixture_fini(&fixture);
}
