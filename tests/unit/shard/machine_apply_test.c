#include <criterion/criterion.h>

#include "base/hlc.h"
#include "ring/token.h"
#include "shard/keys.h"
#include "tests/lib/machine_fixture.h"

static const uint64_t minute = UINT64_C(60000) << BASE_HLC_COUNTER_BITS;

/* Owns all vnodes but the one of `key`. */
static void init_without(struct fixture *fixture, const char *key)
{
    fixture_init_bare(fixture);
    uint32_t missing =
        ring_vnode(ring_token(base_bytes_text(key), FIXTURE_VNODE_BITS), FIXTURE_VNODE_BITS);
    struct shard_vnode vnodes[1 << FIXTURE_VNODE_BITS];
    uint32_t count = 0;
    for (uint32_t vnode = 0; vnode < 1 << FIXTURE_VNODE_BITS; vnode++) {
        if (vnode != missing)
            vnodes[count++] = (struct shard_vnode){vnode, 1};
    }
    uint8_t request[512];
    size_t size = shard_genesis_write(vnodes, count, request, sizeof(request));
    fixture_request_encoded(fixture, base_bytes_of(request, size));
    fixture_apply(fixture);
    fixture_write(fixture);
}

static uint32_t vnode_of(const char *key)
{
    return ring_vnode(ring_token(base_bytes_text(key), FIXTURE_VNODE_BITS), FIXTURE_VNODE_BITS);
}

/* Applies one more copy of a request with this number. */
static struct wire_answer again(struct fixture *fixture, uint64_t number, uint64_t last_time,
                                const struct wire_op *ops, size_t count)
{
    fixture_request_as(fixture, number, last_time, ops, count);
    fixture_apply(fixture);
    fixture_write(fixture);
    return fixture_answer(fixture, number);
}

static int64_t value_of(struct fixture *fixture, const char *key)
{
    return (int64_t)fixture_do_op(fixture, op_add(key, 0)).number;
}

/* Two copies in one entry: it runs once, and both are answered alike. */
Test(machine_apply, same_id_twice_in_one_entry_runs_once)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op add = op_add("k", 1);
    uint64_t last_time = fixture.stamp + minute;
    fixture_request_as(&fixture, 900, last_time, &add, 1);
    fixture_request_as(&fixture, 900, last_time, &add, 1);
    fixture_apply(&fixture);
    fixture_write(&fixture);
    struct shard_outcome outcomes[2];
    size_t cursor = 0;
    cr_assert(shard_outcomes_next(fixture.outcomes, &cursor, &outcomes[0]));
    cr_assert(shard_outcomes_next(fixture.outcomes, &cursor, &outcomes[1]));
    cr_assert(base_bytes_equal(outcomes[0].answer, outcomes[1].answer));
    cr_assert_eq(value_of(&fixture, "k"), 1);
    fixture_fini(&fixture);
}

/* A copy in a later entry, of the same batch, of another one, and after a restart: all are answered
 * from the record, to the byte. */
Test(machine_apply, retries_are_answered_from_the_record)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op add = op_add("k", 1);
    uint64_t last_time = fixture.stamp + minute;
    uint8_t first[256];
    struct wire_answer answer = again(&fixture, 900, last_time, &add, 1);
    size_t size = answer.encoded.size;
    cr_assert_leq(size, sizeof(first));
    memcpy(first, answer.encoded.data, size);

    fixture_request(&fixture, &add, 1);
    fixture_apply(&fixture);
    answer = again(&fixture, 900, last_time, &add, 1);
    cr_assert(base_bytes_equal(answer.encoded, base_bytes_of(first, size)));
    fixture_sleep(&fixture, 1000);
    fixture_reopen(&fixture);
    answer = again(&fixture, 900, last_time, &add, 1);
    cr_assert(base_bytes_equal(answer.encoded, base_bytes_of(first, size)));
    cr_assert_eq(value_of(&fixture, "k"), 2);
    cr_assert_eq(fixture_info(&fixture).counters.from_records, 1); /* Since it was opened. */
    shard_machine_check(fixture.machine);
    fixture_fini(&fixture);
}

/* Once its last time has passed nothing is done, whether it ran before or not; and the record is
 * gone, from the map too. */
Test(machine_apply, after_its_last_time_it_is_too_late)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op add = op_add("k", 1);
    uint64_t last_time = fixture.stamp + minute;
    again(&fixture, 900, last_time, &add, 1);
    fixture.stamp = last_time; /* Not yet past: not for the old one, and not for a new one. */
    fixture_request_as(&fixture, 900, last_time, &add, 1);
    cr_assert_eq(again(&fixture, 902, last_time, &add, 1).status, WIRE_DONE);
    cr_assert_eq(fixture_answer(&fixture, 900).status, WIRE_DONE);
    fixture.stamp = last_time + 1;
    cr_assert_eq(again(&fixture, 900, last_time, &add, 1).status, WIRE_TOO_LATE);
    cr_assert_eq(again(&fixture, 901, last_time, &add, 1).status, WIRE_TOO_LATE);
    cr_assert_eq(fixture_info(&fixture).counters.too_late, 2);
    cr_assert_eq(fixture_info(&fixture).records_count, 0);
    cr_assert_eq(fixture_info(&fixture).records_bytes, 0);
    fixture_sleep(&fixture, 1);
    cr_assert_eq(value_of(&fixture, "k"), 2);
    fixture_fini(&fixture);
}

/* Far more records than one entry drops come due at once: a few at each entry, and none counts. */
Test(machine_apply, records_are_dropped_in_bounded_steps)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op add = op_add("k", 1);
    uint64_t last_time = fixture.stamp + minute;
    for (uint64_t i = 0; i < 100; i++)
        again(&fixture, 900 + i, last_time, &add, 1);
    cr_assert_eq(fixture_info(&fixture).records_count, 100);
    fixture.stamp = last_time + 1;
    cr_assert_eq(again(&fixture, 999, last_time, &add, 1).status, WIRE_TOO_LATE);
    uint64_t left = fixture_info(&fixture).records_count;
    cr_assert(left > 0 && left < 100, "%lu", (unsigned long)left);
    fixture_reopen(&fixture);
    cr_assert_eq(fixture_info(&fixture).records_count, left);
    cr_assert_eq(again(&fixture, 998, last_time, &add, 1).status, WIRE_TOO_LATE);
    for (int i = 0; i < 10; i++)
        again(&fixture, 999, last_time, &add, 1);
    cr_assert_eq(fixture_info(&fixture).records_count, 0);
    shard_machine_check(fixture.machine);
    fixture_fini(&fixture);
}

/* A refusal is final: a late copy that would pass now is answered as the first was. */
Test(machine_apply, refusals_are_recorded)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op ops[2] = {op_check("k", WIRE_IF_PRESENT), op_put("x", "1")};
    uint64_t last_time = fixture.stamp + minute;
    cr_assert_eq(again(&fixture, 900, last_time, ops, 2).status, WIRE_CHECK_FAILED);
    fixture_do_op(&fixture, op_put("k", "1"));
    cr_assert_eq(again(&fixture, 900, last_time, ops, 2).status, WIRE_CHECK_FAILED);
    fixture_reopen(&fixture);
    cr_assert_eq(again(&fixture, 900, last_time, ops, 2).status, WIRE_CHECK_FAILED);
    cr_assert_eq(fixture_do_op(&fixture, op_get("x")).kind, WIRE_RESULT_NIL);
    fixture_fini(&fixture);
}

/* What is not owned is answered "moved" with the vnode, leaves no record, and does nothing. */
Test(machine_apply, keys_of_others_are_moved)
{
    struct fixture fixture;
    init_without(&fixture, "away");
    struct wire_op ops[2] = {op_put("here", "1"), op_put("away", "1")};
    cr_assert_neq(vnode_of("here"), vnode_of("away"));
    uint64_t last_time = fixture.stamp + minute;
    struct wire_answer answer = again(&fixture, 900, last_time, ops, 2);
    cr_assert_eq(answer.status, WIRE_MOVED);
    cr_assert_eq(answer.detail, (uint64_t)vnode_of("away") << 32);
    answer = again(&fixture, 901, last_time, &ops[1], 1);
    cr_assert_eq(answer.status, WIRE_MOVED);
    cr_assert_eq(fixture_info(&fixture).records_count, 0);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);
    struct wire_op get = op_get("away");
    cr_assert_eq(fixture_read(&fixture, &get, 1, &answer), TORC_OK);
    cr_assert_eq(answer.status, WIRE_MOVED);
    fixture_fini(&fixture);
}

/* The order of checks: moved by the record's vnode, then the record, then too late, then moved by
 * another key. Each is met by a request that fails it and all later ones. */
Test(machine_apply, checks_come_in_their_order)
{
    struct fixture fixture;
    init_without(&fixture, "away");
    uint64_t passed = fixture.stamp - 1, later = fixture.stamp + minute;
    /* The first written key decides where the record lies; the GET before it does not. */
    struct wire_op first_away[2] = {op_get("here"), op_put("away", "1")};
    cr_assert_eq(again(&fixture, 900, passed, first_away, 2).status, WIRE_MOVED);
    struct wire_op then_away[2] = {op_put("here", "1"), op_put("away", "1")};
    cr_assert_eq(again(&fixture, 901, passed, then_away, 2).status, WIRE_TOO_LATE);
    cr_assert_eq(again(&fixture, 901, later, then_away, 2).status, WIRE_MOVED);
    struct wire_op here = op_put("here", "1");
    cr_assert_eq(again(&fixture, 902, later, &here, 1).status, WIRE_DONE);
    /* The record counts before the last time and the other keys that this copy claims. */
    cr_assert_eq(again(&fixture, 902, passed, then_away, 2).status, WIRE_DONE);
    cr_assert_eq(again(&fixture, 902, later, first_away, 2).status, WIRE_MOVED);
    fixture_fini(&fixture);
}

/* A request that writes nothing leaves no record, and has no last time. */
Test(machine_apply, reads_leave_no_record)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op ops[2] = {op_get("k"), op_check("k", WIRE_IF_ABSENT)};
    cr_assert_eq(again(&fixture, 900, 0, ops, 2).status, WIRE_DONE);
    cr_assert_eq(fixture_info(&fixture).records_count, 0);
    fixture_fini(&fixture);
}

/* The clock is the entry's stamp or one more than its own, a tick for each operation, and no stamp
 * takes it back or makes it wrap. */
Test(machine_apply, clock_only_rises)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op ops[3] = {op_put("a", "1"), op_put("b", "1"), op_put("a", "2")};
    fixture_sleep(&fixture, 10);
    struct wire_answer answer = fixture_do(&fixture, ops, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(fixture_result(&answer, i).version, fixture.stamp + 1 + i);
    cr_assert_eq(answer.clock, fixture.stamp + 3);
    fixture.stamp -= 1000;
    answer = fixture_do(&fixture, ops, 3);
    cr_assert_eq(answer.clock, fixture.stamp + 1000 + 3 + 1 + 3);
    fixture.stamp = UINT64_MAX;
    answer = again(&fixture, 900, UINT64_MAX, ops, 3);
    uint64_t clock = answer.clock;
    answer = again(&fixture, 901, UINT64_MAX, ops, 3);
    cr_assert_gt(answer.clock, clock);
    fixture_fini(&fixture);
}

/* An entry that does not decode leaves everything as it was, and the next good one applies. */
Test(machine_apply, malformed_entries_leave_no_trace)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op put = op_put("k", "1");
    fixture_request(&fixture, &put, 1);
    fixture_request(&fixture, &put, 1);
    struct base_bytes entry = fixture_entry(&fixture);
    uint8_t bytes[512];
    cr_assert_leq(entry.size, sizeof(bytes) - 1);
    memcpy(bytes, entry.data, entry.size);
    bytes[entry.size] = 0;
    struct shard_machine_info before = fixture_info(&fixture);
    for (size_t size = 0; size < entry.size; size++)
        cr_assert_eq(fixture_apply_bytes(&fixture, base_bytes_of(bytes, size)), TORC_MALFORMED);
    cr_assert_eq(fixture_apply_bytes(&fixture, base_bytes_of(bytes, entry.size + 1)),
                 TORC_MALFORMED);
    struct shard_machine_info after = fixture_info(&fixture);
    cr_assert_eq(after.hash, before.hash);
    cr_assert_eq(after.clock, before.clock);
    cr_assert_eq(store_batch_count(fixture.batch), 0);
    cr_assert_eq(fixture_apply_bytes(&fixture, base_bytes_of(bytes, entry.size)), TORC_OK);
    fixture_write(&fixture);
    fixture_fini(&fixture);
}

/* An entry that meets a damaged row stops there; what remains can be looked at and closed. */
Test(machine_apply, damaged_state_stops_the_group)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("k", "1"));
    uint8_t key[SHARD_KEY_DATA_SIZE + 1];
    uint64_t token = ring_token(base_bytes_text("k"), FIXTURE_VNODE_BITS);
    shard_key_data_write(key, FIXTURE_GROUP, token, base_bytes_text("k"));
    store_batch_put(fixture.batch, base_bytes_of(key, sizeof(key)), base_bytes_text("rubbish"));
    cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
    store_batch_clear(fixture.batch);
    struct wire_op put = op_put("other", "1"), add = op_add("k", 1);
    uint64_t first = fixture_request(&fixture, &put, 1);
    fixture_request(&fixture, &add, 1);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_DAMAGED);
    cr_assert_eq(fixture_answer(&fixture, first).status, WIRE_DONE); /* Not to be shown. */
    cr_assert_eq(fixture_info(&fixture).applied, 2);
    shard_machine_check(fixture.machine);
    fixture_fini(&fixture);
}

/* An entry without effect moves slot and barrier, and the hash with them; nothing else. */
Test(machine_apply, entry_without_effect_moves_the_slot)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct shard_machine_info before = fixture_info(&fixture);
    struct shard_apply apply = {.slot = before.applied + 1, .barrier = {5, 2, 3}};
    cr_assert_eq(shard_machine_apply(fixture.machine, &apply, fixture.batch, fixture.outcomes),
                 TORC_OK);
    cr_assert_eq(store_batch_count(fixture.batch), 1);
    fixture_write(&fixture);
    fixture_reopen(&fixture);
    struct shard_machine_info after = fixture_info(&fixture);
    cr_assert_eq(after.applied, before.applied + 1);
    cr_assert(base_ballot_equal(after.barrier, apply.barrier));
    cr_assert_eq(after.clock, before.clock);
    cr_assert_neq(after.hash, before.hash);
    fixture_fini(&fixture);
}

/* What the leader asks before it proposes. */
Test(machine_apply, admission)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op add = op_add("k", 1);
    uint8_t bytes[256];
    struct wire_request request;
    size_t size = wire_request_begin(bytes, sizeof(bytes), fixture_client(), 900, 0, 0);
    size += wire_op_write(bytes + size, sizeof(bytes) - size, &add);
    wire_request_end(bytes, size, 1);
    cr_assert_eq(wire_request_read(base_bytes_of(bytes, size), &fixture.config.limits, &request),
                 TORC_OK);
    /* The group's clock has stood still for ten minutes: the stamp counts. */
    fixture_sleep(&fixture, 600 * 1000);
    request.last_time = fixture.stamp + minute;
    cr_assert_eq(shard_machine_admit(fixture.machine, &request, fixture.stamp, fixture.outcomes),
                 TORC_OK);
    request.last_time += UINT64_C(1) << BASE_HLC_COUNTER_BITS;
    cr_assert_eq(shard_machine_admit(fixture.machine, &request, fixture.stamp, fixture.outcomes),
                 TORC_INVALID);
    request.last_time = fixture.stamp + minute;
    again(&fixture, 900, request.last_time, &add, 1);
    shard_outcomes_clear(fixture.outcomes);
    cr_assert_eq(shard_machine_admit(fixture.machine, &request, fixture.stamp, fixture.outcomes),
                 TORC_EXISTS);
    struct wire_answer answer = fixture_answer(&fixture, 900);
    cr_assert_eq(fixture_result(&answer, 0).number, 1);
    request.number = 901;
    request.flags = WIRE_REQUEST_INTERNAL;
    cr_assert_eq(shard_machine_admit(fixture.machine, &request, fixture.stamp, fixture.outcomes),
                 TORC_INVALID);
    fixture_fini(&fixture);
}

/* At the bound of the records new requests are refused, and retries still answered; when records
 * have gone there is room again. */
Test(machine_apply, records_are_bounded)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op add = op_add("k", 1);
    uint8_t bytes[256];
    struct wire_request request;
    uint64_t count = 0;
    for (;; count++) {
        size_t size = wire_request_begin(bytes, sizeof(bytes), fixture_client(), 900 + count,
                                         fixture.stamp + minute, 0);
        size += wire_op_write(bytes + size, sizeof(bytes) - size, &add);
        wire_request_end(bytes, size, 1);
        cr_assert_eq(
            wire_request_read(base_bytes_of(bytes, size), &fixture.config.limits, &request),
            TORC_OK);
        enum torc_status status =
            shard_machine_admit(fixture.machine, &request, fixture.stamp, fixture.outcomes);
        if (status == TORC_BUSY)
            break;
        cr_assert_eq(status, TORC_OK);
        again(&fixture, 900 + count, fixture.stamp + minute, &add, 1);
    }
    cr_assert_gt(count, 1000);
    cr_assert_geq(fixture_info(&fixture).records_bytes, fixture.config.records_bytes_max);
    cr_assert_lt(fixture_info(&fixture).records_bytes, fixture.config.records_bytes_max + 256);
    request.number = 900;
    cr_assert_eq(shard_machine_admit(fixture.machine, &request, fixture.stamp, fixture.outcomes),
                 TORC_EXISTS);
    fixture_sleep(&fixture, 61 * 1000);
    request.number = 1;
    cr_assert_eq(shard_machine_admit(fixture.machine, &request, fixture.stamp, fixture.outcomes),
                 TORC_OK);
    while (fixture_info(&fixture).records_bytes >= fixture.config.records_bytes_max / 2)
        fixture_do_op(&fixture, op_put("k", "1"));
    fixture_fini(&fixture);
}

/* A steady load of blind SETs takes no memory from the heap once it has warmed up. */
Test(machine_apply, steady_sets_allocate_nothing)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op put = op_put("key", "a value of some bytes");
    struct shard_apply apply = {.barrier = {1, 1, 1}, .effective = true};
    uint64_t calls = 0;
    for (int round = 0; round < 3000; round++) {
        fixture_sleep(&fixture, 300); /* 200 entries' records are alive at a time. */
        for (int i = 0; i < 16; i++)
            fixture_request(&fixture, &put, 1);
        apply.entry = fixture_entry(&fixture);
        apply.slot = fixture_info(&fixture).applied + 1;
        uint64_t before = fixture.counting.call_count;
        cr_assert_eq(shard_machine_apply(fixture.machine, &apply, fixture.batch, fixture.outcomes),
                     TORC_OK);
        if (round >= 1000)
            calls += fixture.counting.call_count - before;
        fixture_write(&fixture); /* The twin allocates: it keeps what is written. */
        shard_outcomes_clear(fixture.outcomes);
    }
    cr_assert_eq(calls, 0, "%lu", (unsigned long)calls);
    fixture_fini(&fixture);
}
