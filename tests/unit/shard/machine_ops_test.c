#include <criterion/criterion.h>

#include "base/hlc.h"
#include "tests/lib/machine_fixture.h"

#define EXPECT_KIND(result, expected)                                                              \
    cr_assert_eq((result).kind, (expected), "kind %d", (int)(result).kind)

static void expect_integer(struct wire_result result, int64_t expected)
{
    EXPECT_KIND(result, WIRE_RESULT_INTEGER);
    cr_assert_eq((int64_t)result.number, expected, "%lld", (long long)result.number);
}

static void expect_error(struct wire_result result, enum wire_error expected)
{
    EXPECT_KIND(result, WIRE_RESULT_ERROR);
    cr_assert_eq(result.error, expected);
}

static void expect_value(struct fixture *fixture, const char *key, const char *value)
{
    struct wire_result result = fixture_do_op(fixture, op_get(key));
    if (value == NULL) {
        EXPECT_KIND(result, WIRE_RESULT_NIL);
        return;
    }
    EXPECT_KIND(result, WIRE_RESULT_BYTES);
    cr_assert(bytes_are(result.bytes, value), "%.*s", (int)result.bytes.size, result.bytes.data);
}

static struct wire_op with(struct wire_op op, enum wire_condition condition, uint64_t a)
{
    op.condition = condition;
    op.a = a;
    return op;
}

static struct wire_op returning(struct wire_op op)
{
    op.flags = WIRE_OP_RETURN_OLD;
    return op;
}

/* What was put is there, with the version that the put was answered. */
Test(machine_ops, get_gives_what_was_put)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_value(&fixture, "k", NULL);
    struct wire_result put = fixture_do_op(&fixture, op_put("k", "one"));
    EXPECT_KIND(put, WIRE_RESULT_OK);
    struct wire_result got = fixture_do_op(&fixture, op_get("k"));
    cr_assert(bytes_are(got.bytes, "one"));
    cr_assert_eq(got.version, put.version);
    cr_assert_eq(got.number, 0); /* No expiry. */
    struct wire_result empty = fixture_do_op(&fixture, op_put("k", ""));
    cr_assert_gt(empty.version, put.version);
    expect_value(&fixture, "k", "");
    fixture_fini(&fixture);
}

/* STAT tells size and expiry without the value. */
Test(machine_ops, stat_tells_size_and_expiry)
{
    struct fixture fixture;
    fixture_init(&fixture);
    EXPECT_KIND(fixture_do_op(&fixture, op_stat("k")), WIRE_RESULT_NIL);
    fixture_do_op(&fixture, op_put_for("k", "value", 5000));
    struct wire_result stat = fixture_do_op(&fixture, op_stat("k"));
    EXPECT_KIND(stat, WIRE_RESULT_STAT);
    cr_assert_eq(base_get_le64(stat.bytes.data), 5);
    cr_assert_eq(stat.number, FIXTURE_START_MS + 5000);
    fixture_fini(&fixture);
}

/* A put whose condition does not hold changes nothing and is answered nil. */
Test(machine_ops, put_obeys_its_condition)
{
    struct fixture fixture;
    fixture_init(&fixture);
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("k", "1"), WIRE_IF_PRESENT, 0)),
                WIRE_RESULT_NIL);
    expect_value(&fixture, "k", NULL);
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("k", "1"), WIRE_IF_ABSENT, 0)), WIRE_RESULT_OK);
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("k", "2"), WIRE_IF_ABSENT, 0)),
                WIRE_RESULT_NIL);
    struct wire_result put = fixture_do_op(&fixture, with(op_put("k", "3"), WIRE_IF_PRESENT, 0));
    EXPECT_KIND(put, WIRE_RESULT_OK);
    expect_value(&fixture, "k", "3");
    struct wire_result refused =
        fixture_do_op(&fixture, with(op_put("k", "4"), WIRE_IF_VERSION, put.version - 1));
    EXPECT_KIND(refused, WIRE_RESULT_NIL);
    cr_assert_eq(refused.version, put.version);
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("k", "4"), WIRE_IF_VERSION, put.version)),
                WIRE_RESULT_OK);
    /* The old value first, then the new one. */
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("k", "3five"), WIRE_IF_VALUE, 1)),
                WIRE_RESULT_NIL);
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("k", "4five"), WIRE_IF_VALUE, 1)),
                WIRE_RESULT_OK);
    expect_value(&fixture, "k", "five");
    fixture_fini(&fixture);
}

/* With RETURN_OLD a put answers the old value, whether it did anything or not. */
Test(machine_ops, put_returns_the_old_value)
{
    struct fixture fixture;
    fixture_init(&fixture);
    EXPECT_KIND(fixture_do_op(&fixture, returning(op_put("k", "1"))), WIRE_RESULT_NIL);
    struct wire_result old = fixture_do_op(&fixture, returning(op_put("k", "2")));
    cr_assert(bytes_are(old.bytes, "1"));
    old = fixture_do_op(&fixture, returning(with(op_put("k", "3"), WIRE_IF_ABSENT, 0)));
    cr_assert(bytes_are(old.bytes, "2"));
    expect_value(&fixture, "k", "2");
    fixture_fini(&fixture);
}

/* A put sets, keeps or drops the expiry, as it says. */
Test(machine_ops, put_sets_keeps_or_drops_the_expiry)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("k", "1", 5000));
    struct wire_op keep = op_put("k", "2");
    keep.expiry_mode = WIRE_EXPIRY_KEEP;
    fixture_do_op(&fixture, keep);
    cr_assert_eq(fixture_do_op(&fixture, op_stat("k")).number, FIXTURE_START_MS + 5000);
    struct wire_op absolute = op_put("k", "3");
    absolute.expiry_mode = WIRE_EXPIRY_ABSOLUTE;
    absolute.b = FIXTURE_START_MS + 77;
    fixture_do_op(&fixture, absolute);
    cr_assert_eq(fixture_do_op(&fixture, op_stat("k")).number, FIXTURE_START_MS + 77);
    fixture_do_op(&fixture, op_put("k", "4"));
    cr_assert_eq(fixture_do_op(&fixture, op_stat("k")).number, 0);
    fixture_fini(&fixture);
}

/* A put that has expired before it happens leaves no key; a time beyond the numbers is an error. */
Test(machine_ops, put_in_the_past_deletes)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("k", "1"));
    struct wire_op past = op_put("k", "2");
    past.expiry_mode = WIRE_EXPIRY_ABSOLUTE;
    past.b = FIXTURE_START_MS;
    struct wire_result result = fixture_do_op(&fixture, past);
    EXPECT_KIND(result, WIRE_RESULT_OK);
    struct wire_result absent = fixture_do_op(&fixture, op_get("k"));
    EXPECT_KIND(absent, WIRE_RESULT_NIL);
    cr_assert_eq(absent.version, result.version);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);

    fixture_do_op(&fixture, op_put("k", "1"));
    expect_error(fixture_do_op(&fixture, op_put_for("k", "2", INT64_MAX)),
                 WIRE_ERROR_INVALID_EXPIRY);
    expect_value(&fixture, "k", "1");
    fixture_fini(&fixture);
}

/* A put without conditions reads nothing: here its key's row is rubbish, which reading would find.
 */
Test(machine_ops, blind_put_reads_nothing)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("k", "1"));
    uint8_t first[1] = {'d'}, end[1] = {'e'};
    struct store_iterator *iterator =
        store_kv_iterate(fixture.kv, NULL, base_bytes_of(first, 1), base_bytes_of(end, 1));
    struct base_bytes key, value;
    cr_assert_eq(store_iterator_next(iterator, &key, &value), TORC_OK);
    store_batch_put(fixture.batch, key, base_bytes_text("rubbish"));
    store_iterator_free(iterator);
    cr_assert_eq(store_kv_write(fixture.kv, fixture.batch), TORC_OK);
    store_batch_clear(fixture.batch);

    struct wire_answer answer;
    struct wire_op get = op_get("k");
    cr_assert_eq(fixture_read(&fixture, &get, 1, &answer), TORC_DAMAGED);
    EXPECT_KIND(fixture_do_op(&fixture, op_put("k", "2")), WIRE_RESULT_OK);
    expect_value(&fixture, "k", "2");
    EXPECT_KIND(fixture_do_op(&fixture, op_put_for("k", "3", 50)), WIRE_RESULT_OK);
    fixture_fini(&fixture);
}

/* DELETE says whether there was something, obeys its condition, and can return what it deletes. */
Test(machine_ops, delete_says_what_was_there)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_integer(fixture_do_op(&fixture, op_delete("k")), 0);
    struct wire_result put = fixture_do_op(&fixture, op_put("k", "1"));
    EXPECT_KIND(fixture_do_op(&fixture, with(op_delete("k"), WIRE_IF_VERSION, put.version + 1)),
                WIRE_RESULT_NIL);
    struct wire_op by_value = op_delete("k");
    by_value.condition = WIRE_IF_VALUE;
    by_value.value = base_bytes_text("2");
    EXPECT_KIND(fixture_do_op(&fixture, by_value), WIRE_RESULT_NIL);
    by_value.value = base_bytes_text("1");
    struct wire_result deleted = fixture_do_op(&fixture, by_value);
    expect_integer(deleted, 1);
    struct wire_result absent = fixture_do_op(&fixture, op_get("k"));
    EXPECT_KIND(absent, WIRE_RESULT_NIL);
    cr_assert_eq(absent.version, deleted.version);

    fixture_do_op(&fixture, op_put("k", "3"));
    struct wire_result old = fixture_do_op(&fixture, returning(op_delete("k")));
    EXPECT_KIND(old, WIRE_RESULT_BYTES);
    cr_assert(bytes_are(old.bytes, "3"));
    EXPECT_KIND(fixture_do_op(&fixture, returning(op_delete("k"))), WIRE_RESULT_NIL);
    fixture_fini(&fixture);
}

/* ADD counts in 64 bits, exactly, and refuses what is no integer or leaves them. */
Test(machine_ops, add_counts_exactly)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_integer(fixture_do_op(&fixture, op_add("k", 5)), 5);
    expect_integer(fixture_do_op(&fixture, op_add("k", -7)), -2);
    expect_value(&fixture, "k", "-2");
    fixture_do_op(&fixture, op_put("k", "9223372036854775806"));
    expect_integer(fixture_do_op(&fixture, op_add("k", 1)), INT64_MAX);
    struct wire_result over = fixture_do_op(&fixture, op_add("k", 1));
    expect_error(over, WIRE_ERROR_OVERFLOW);
    expect_value(&fixture, "k", "9223372036854775807");
    fixture_do_op(&fixture, op_put("k", "-9223372036854775808"));
    expect_error(fixture_do_op(&fixture, op_add("k", -1)), WIRE_ERROR_OVERFLOW);
    expect_integer(fixture_do_op(&fixture, op_add("k", INT64_MAX)), -1);
    expect_integer(fixture_do_op(&fixture, op_add("min", INT64_MIN)), INT64_MIN);
    expect_value(&fixture, "min", "-9223372036854775808");
    fixture_fini(&fixture);
}

/* ADD_DECIMAL adds exactly, answers the new value and keeps the expiry. */
Test(machine_ops, add_decimal_adds_exactly)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_result sum = fixture_do_op(&fixture, op_add_decimal("k", "0.10"));
    EXPECT_KIND(sum, WIRE_RESULT_BYTES);
    cr_assert(bytes_are(sum.bytes, "0.1"));
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).version, sum.version);
    cr_assert(bytes_are(fixture_do_op(&fixture, op_add_decimal("k", "0.2")).bytes, "0.3"));
    expect_value(&fixture, "k", "0.3");
    cr_assert(bytes_are(fixture_do_op(&fixture, op_add_decimal("k", "-3e-1")).bytes, "0"));
    fixture_do_op(&fixture, op_put_for("k", "5.0e3", 5000));
    sum = fixture_do_op(&fixture, op_add_decimal("k", "200"));
    cr_assert(bytes_are(sum.bytes, "5200") && sum.number == FIXTURE_START_MS + 5000);
    cr_assert_eq(fixture_do_op(&fixture, op_stat("k")).number, FIXTURE_START_MS + 5000);
    expect_error(fixture_do_op(&fixture, op_add_decimal("k", "x")), WIRE_ERROR_NOT_DECIMAL);
    expect_error(fixture_do_op(&fixture, op_add_decimal("k", "")), WIRE_ERROR_NOT_DECIMAL);
    fixture_do_op(&fixture, op_put("k", "x"));
    expect_error(fixture_do_op(&fixture, op_add_decimal("k", "1")), WIRE_ERROR_NOT_DECIMAL);
    expect_value(&fixture, "k", "x");
    fixture_fini(&fixture);
}

/* What has more digits than a sum can have stays as it is. */
Test(machine_ops, add_decimal_is_bounded)
{
    enum { DIGITS = 4932 };
    static char nines[DIGITS + 1];
    memset(nines, '9', DIGITS);
    struct fixture fixture;
    fixture_init(&fixture);
    EXPECT_KIND(fixture_do_op(&fixture, op_put("k", nines)), WIRE_RESULT_OK);
    expect_error(fixture_do_op(&fixture, op_add_decimal("k", "1")), WIRE_ERROR_INFINITE);
    expect_value(&fixture, "k", nines);
    fixture_fini(&fixture);
}

/* Only Redis's own form of an integer is one. */
Test(machine_ops, add_takes_strict_decimals_only)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "01",
                                      "-0",
                                      "-",
                                      "1.0",
                                      "0x1",
                                      "a",
                                      "--1",
                                      "9223372036854775808",
                                      "00",
                                      "-9223372036854775809",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    struct fixture fixture;
    fixture_init(&fixture);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wire_result put = fixture_do_op(&fixture, op_put("k", bad[i]));
        struct wire_result result = fixture_do_op(&fixture, op_add("k", 0));
        expect_error(result, WIRE_ERROR_NOT_INTEGER);
        cr_assert_eq(result.version, put.version);
        expect_value(&fixture, "k", bad[i]);
    }
    fixture_do_op(&fixture, op_put("k", "0"));
    expect_integer(fixture_do_op(&fixture, op_add("k", 3)), 3);
    fixture_fini(&fixture);
}

/* APPEND and SET_RANGE make one value of two, fill gaps with zeroes, and keep the expiry. */
Test(machine_ops, append_and_set_range)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_integer(fixture_do_op(&fixture, op_append("k", "ab")), 2);
    expect_integer(fixture_do_op(&fixture, op_append("k", "cd")), 4);
    expect_value(&fixture, "k", "abcd");
    expect_integer(fixture_do_op(&fixture, op_set_range("k", 1, "XY")), 4);
    expect_value(&fixture, "k", "aXYd");
    expect_integer(fixture_do_op(&fixture, op_set_range("gap", 3, "z")), 4);
    struct wire_result gap = fixture_do_op(&fixture, op_get("gap"));
    cr_assert(base_bytes_equal(gap.bytes, base_bytes_of("\0\0\0z", 4)));
    expect_integer(fixture_do_op(&fixture, op_append("empty", "")), 0);
    expect_value(&fixture, "empty", "");

    fixture_do_op(&fixture, op_put_for("t", "1", 5000));
    fixture_do_op(&fixture, op_append("t", "2"));
    fixture_do_op(&fixture, op_set_range("t", 0, "3"));
    fixture_do_op(&fixture, op_add("t", 1));
    cr_assert_eq(fixture_do_op(&fixture, op_stat("t")).number, FIXTURE_START_MS + 5000);
    expect_value(&fixture, "t", "33");
    fixture_fini(&fixture);
}

/* SET_RANGE with nothing to set creates and changes nothing. */
Test(machine_ops, set_range_of_nothing_does_nothing)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_integer(fixture_do_op(&fixture, op_set_range("k", 1000000, "")), 0);
    expect_value(&fixture, "k", NULL);
    struct wire_result put = fixture_do_op(&fixture, op_put("k", "abc"));
    struct wire_result result = fixture_do_op(&fixture, op_set_range("k", 1, ""));
    expect_integer(result, 3);
    cr_assert_eq(result.version, put.version);
    fixture_fini(&fixture);
}

/* A value never grows past the limit. */
Test(machine_ops, values_stay_within_the_limit)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint32_t max = fixture.config.limits.value_size_max;
    expect_integer(fixture_do_op(&fixture, op_set_range("k", max - 1, "x")), max);
    expect_error(fixture_do_op(&fixture, op_append("k", "y")), WIRE_ERROR_TOO_LARGE);
    expect_error(fixture_do_op(&fixture, op_set_range("k", max, "y")), WIRE_ERROR_TOO_LARGE);
    expect_error(fixture_do_op(&fixture, op_set_range("k", UINT64_MAX, "y")), WIRE_ERROR_TOO_LARGE);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).bytes.size, max);
    fixture_fini(&fixture);
}

/* Values in one answer are bounded: what does not fit is an error, and changes nothing. */
Test(machine_ops, values_of_one_answer_are_bounded)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint32_t max = fixture.config.limits.value_size_max;
    size_t fit = fixture.config.limits.request_size_max / max;
    fixture_do_op(&fixture, op_set_range("k", max - 1, "x"));
    struct wire_op ops[300];
    cr_assert_leq(fit + 8, 300);
    for (size_t i = 0; i < fit + 1; i++)
        ops[i] = op_get("k");
    ops[fit + 1] = returning(op_put("k", "new"));
    ops[fit + 2] = returning(op_delete("k"));
    ops[fit + 3] = returning(op_expire("k", WIRE_IF_ALWAYS, -1));
    ops[fit + 4] = returning(op_persist("k"));
    ops[fit + 5] = op_get_range("k", 0, -1);
    ops[fit + 6] = op_get_range("k", 1, 0);
    ops[fit + 7] = op_add_decimal("n", "1");
    struct wire_answer answer = fixture_do(&fixture, ops, fit + 8);
    cr_assert_eq(answer.status, WIRE_DONE);
    EXPECT_KIND(fixture_result(&answer, fit - 1), WIRE_RESULT_BYTES);
    expect_error(fixture_result(&answer, fit), WIRE_ERROR_TOO_LARGE);
    expect_error(fixture_result(&answer, fit + 1), WIRE_ERROR_TOO_LARGE);
    for (size_t i = fit + 2; i < fit + 6; i++)
        expect_error(fixture_result(&answer, i), WIRE_ERROR_TOO_LARGE);
    EXPECT_KIND(fixture_result(&answer, fit + 6), WIRE_RESULT_BYTES);
    size_t left = fixture.config.limits.request_size_max % max;
    EXPECT_KIND(fixture_result(&answer, fit + 7), left > 0 ? WIRE_RESULT_BYTES : WIRE_RESULT_ERROR);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).bytes.size, max);
    fixture_fini(&fixture);
}

/* EXPIRE sets a time if there is a key and the condition on the old time holds. */
Test(machine_ops, expire_obeys_its_condition)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_ALWAYS, 100)), 0);
    fixture_do_op(&fixture, op_put("k", "1"));
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_EXPIRY, 100)), 0);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_LATER, 100)), 0);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_EARLIER, 100)), 1);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_NO_EXPIRY, 200)), 0);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_LATER, 100)), 0);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_LATER, 101)), 1);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_EARLIER, 101)), 0);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_EXPIRY, 300)), 1);
    struct wire_result stat = fixture_do_op(&fixture, op_stat("k"));
    cr_assert_eq(stat.number, FIXTURE_START_MS + 300);
    expect_value(&fixture, "k", "1");
    expect_integer(fixture_do_op(&fixture, op_persist("k")), 1);
    expect_integer(fixture_do_op(&fixture, op_persist("k")), 0);
    expect_integer(fixture_do_op(&fixture, op_persist("none")), 0);
    cr_assert_gt(fixture_do_op(&fixture, op_stat("k")).version, stat.version);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 0);
    fixture_fini(&fixture);
}

/* Only a key with an expiry, and only to an earlier one. */
Test(machine_ops, expire_may_ask_for_an_expiry_and_an_earlier_one)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("k", "1"));
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_EXPIRY_EARLIER, 100)), 0);
    fixture_do_op(&fixture, op_expire("k", WIRE_IF_ALWAYS, 100));
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_EXPIRY_EARLIER, 100)), 0);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_EXPIRY_EARLIER, 99)), 1);
    fixture_fini(&fixture);
}

/* EXPIRE and PERSIST give the value before back, with the expiry it had. */
Test(machine_ops, expire_and_persist_return_the_old_value)
{
    struct fixture fixture;
    fixture_init(&fixture);
    EXPECT_KIND(fixture_do_op(&fixture, returning(op_expire("k", WIRE_IF_ALWAYS, 100))),
                WIRE_RESULT_NIL);
    EXPECT_KIND(fixture_do_op(&fixture, returning(op_persist("k"))), WIRE_RESULT_NIL);
    fixture_do_op(&fixture, op_put("k", "v"));
    struct wire_result timed =
        fixture_do_op(&fixture, returning(op_expire("k", WIRE_IF_ALWAYS, 100)));
    EXPECT_KIND(timed, WIRE_RESULT_BYTES);
    cr_assert(bytes_are(timed.bytes, "v") && timed.number == 0);
    struct wire_result stat = fixture_do_op(&fixture, op_stat("k"));
    cr_assert_eq(stat.number, FIXTURE_START_MS + 100);
    cr_assert_eq(stat.version, timed.version);
    struct wire_result lasting = fixture_do_op(&fixture, returning(op_persist("k")));
    cr_assert(bytes_are(lasting.bytes, "v") && lasting.number == FIXTURE_START_MS + 100);
    struct wire_result again = fixture_do_op(&fixture, returning(op_persist("k")));
    cr_assert(bytes_are(again.bytes, "v") && again.version == lasting.version);
    struct wire_result last =
        fixture_do_op(&fixture, returning(op_expire("k", WIRE_IF_ALWAYS, -1)));
    cr_assert(bytes_are(last.bytes, "v"));
    expect_value(&fixture, "k", NULL);
    fixture_fini(&fixture);
}

/* GET_RANGE gives the part and no more; of an absent key nothing, which is not an empty part. */
Test(machine_ops, get_range_gives_a_part)
{
    struct fixture fixture;
    fixture_init(&fixture);
    EXPECT_KIND(fixture_do_op(&fixture, op_get_range("k", 0, -1)), WIRE_RESULT_NIL);
    struct wire_result put = fixture_do_op(&fixture, op_put_for("k", "abcdef", 100));
    struct wire_result part = fixture_do_op(&fixture, op_get_range("k", 1, -2));
    EXPECT_KIND(part, WIRE_RESULT_BYTES);
    cr_assert(bytes_are(part.bytes, "bcde"));
    cr_assert_eq(part.version, put.version);
    cr_assert_eq(part.number, FIXTURE_START_MS + 100);
    cr_assert(bytes_are(fixture_do_op(&fixture, op_get_range("k", 6, 9)).bytes, ""));
    fixture_do_op(&fixture, op_put("k", ""));
    EXPECT_KIND(fixture_do_op(&fixture, op_get_range("k", 0, -1)), WIRE_RESULT_BYTES);
    fixture_fini(&fixture);
}

static int64_t bits(struct fixture *fixture, enum wire_op_type type, int64_t first, int64_t last,
                    uint8_t flags)
{
    struct wire_result result = fixture_do_op(fixture, op_bits(type, "k", first, last, flags));
    EXPECT_KIND(result, WIRE_RESULT_INTEGER);
    return (int64_t)result.number;
}

/* Bits are counted and found in the range, in bytes or bits; behind an open end come zeros. */
Test(machine_ops, bits_are_counted_and_found)
{
    struct fixture fixture;
    fixture_init(&fixture);
    const enum wire_op_type count = WIRE_OP_BIT_COUNT, find = WIRE_OP_BIT_POSITION;
    cr_assert_eq(bits(&fixture, count, 0, -1, 0), 0);
    cr_assert_eq(bits(&fixture, find, 0, -1, 0), 0);
    cr_assert_eq(bits(&fixture, find, 0, -1, WIRE_OP_ONE), -1);
    fixture_do_op(&fixture, op_put("k", ""));
    cr_assert_eq(bits(&fixture, find, 0, 0, WIRE_OP_NO_END), -1);
    fixture_do_op(&fixture, op_put("k", "\xff\xf0\xff"));
    cr_assert_eq(bits(&fixture, count, 0, -1, 0), 20);
    cr_assert_eq(bits(&fixture, count, 1, 1, 0), 4);
    cr_assert_eq(bits(&fixture, count, 6, 9, WIRE_OP_BITS), 4);
    cr_assert_eq(bits(&fixture, count, -100, -200, 0), 0);
    cr_assert_eq(bits(&fixture, find, 0, -1, 0), 12);
    cr_assert_eq(bits(&fixture, find, 12, -1, WIRE_OP_BITS | WIRE_OP_ONE), 16);
    cr_assert_eq(bits(&fixture, find, 2, -1, 0), -1);
    cr_assert_eq(bits(&fixture, find, 2, 0, WIRE_OP_NO_END), 24);
    cr_assert_eq(bits(&fixture, find, 3, 0, WIRE_OP_NO_END), -1);
    cr_assert_eq(bits(&fixture, find, -100, -200, WIRE_OP_ONE), 0);
    fixture_fini(&fixture);
}

/* SET_BIT says what was there, lets the value grow by zeros, and keeps the expiry and the limit. */
Test(machine_ops, set_bit_sets_one_bit)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint32_t max = fixture.config.limits.value_size_max;
    expect_integer(fixture_do_op(&fixture, op_set_bit("k", 9, true)), 0);
    struct wire_result got = fixture_do_op(&fixture, op_get("k"));
    cr_assert(base_bytes_equal(got.bytes, base_bytes_of("\0\x40", 2)));
    expect_integer(fixture_do_op(&fixture, op_set_bit("k", 9, true)), 1);
    expect_integer(fixture_do_op(&fixture, op_set_bit("k", 9, false)), 1);
    expect_integer(fixture_do_op(&fixture, op_set_bit("k", 100, false)), 0);
    cr_assert_eq(fixture_do_op(&fixture, op_get("k")).bytes.size, 13);
    fixture_do_op(&fixture, op_put_for("t", "a", 5000));
    expect_integer(fixture_do_op(&fixture, op_set_bit("t", 6, true)), 0);
    cr_assert_eq(fixture_do_op(&fixture, op_stat("t")).number, FIXTURE_START_MS + 5000);
    expect_value(&fixture, "t", "c");
    expect_integer(fixture_do_op(&fixture, op_set_bit("k", UINT64_C(8) * max - 1, true)), 0);
    expect_error(fixture_do_op(&fixture, op_set_bit("k", UINT64_C(8) * max, true)),
                 WIRE_ERROR_TOO_LARGE);
    expect_error(fixture_do_op(&fixture, op_set_bit("k", UINT64_MAX, true)), WIRE_ERROR_TOO_LARGE);
    fixture_fini(&fixture);
}

/* A time that has passed deletes the key at once; one beyond the numbers is an error. */
Test(machine_ops, expire_in_the_past_deletes)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("k", "1"));
    expect_error(fixture_do_op(&fixture, op_expire("k", WIRE_IF_ALWAYS, INT64_MAX)),
                 WIRE_ERROR_INVALID_EXPIRY);
    expect_integer(fixture_do_op(&fixture, op_expire("k", WIRE_IF_ALWAYS, INT64_MIN)), 1);
    expect_value(&fixture, "k", NULL);
    fixture_do_op(&fixture, op_put("k", "1"));
    struct wire_op negative = op_expire("k", WIRE_IF_ALWAYS, -5);
    negative.expiry_mode = WIRE_EXPIRY_ABSOLUTE;
    expect_integer(fixture_do_op(&fixture, negative), 1);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);
    fixture_fini(&fixture);
}

/* When a CHECK does not hold, nothing of its request is done, not even what stands before it. */
Test(machine_ops, check_guards_the_whole_request)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op ops[3] = {op_put("a", "1"), op_check("b", WIRE_IF_PRESENT), op_put("c", "1")};
    struct wire_answer answer = fixture_do(&fixture, ops, 3);
    cr_assert_eq(answer.status, WIRE_CHECK_FAILED);
    cr_assert_eq(answer.detail, 1);
    cr_assert_eq(fixture_space_count(&fixture, 'd'), 0);
    fixture_do_op(&fixture, op_put("b", "x"));
    answer = fixture_do(&fixture, ops, 3);
    cr_assert_eq(answer.status, WIRE_DONE);
    EXPECT_KIND(fixture_result(&answer, 1), WIRE_RESULT_OK);
    expect_value(&fixture, "c", "1");
    fixture_fini(&fixture);
}

/* An absent key has a version, which a condition can name: nobody has written it since. */
Test(machine_ops, absent_keys_have_a_version)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_result never = fixture_do_op(&fixture, op_get("{t}k"));
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("{t}k", "1"), WIRE_IF_VERSION, never.version)),
                WIRE_RESULT_OK);
    struct wire_result deleted = fixture_do_op(&fixture, op_delete("{t}k"));
    EXPECT_KIND(fixture_do_op(&fixture, with(op_put("{t}k", "2"), WIRE_IF_VERSION, never.version)),
                WIRE_RESULT_NIL);
    /* The deletion counts for its whole vnode, also after a restart. */
    cr_assert_eq(fixture_do_op(&fixture, op_get("{t}other")).version, deleted.version);
    fixture_reopen(&fixture);
    cr_assert_eq(fixture_do_op(&fixture, op_get("{t}k")).version, deleted.version);
    fixture_fini(&fixture);
}

/* Operations of one request, and requests of one entry, see each other's effects. */
Test(machine_ops, later_operations_see_earlier_ones)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wire_op ops[4] = {op_put("k", "1"), op_add("k", 1), op_get("k"), op_delete("k")};
    struct wire_op add = op_add("k", 10), get = op_get("k");
    uint64_t first = fixture_request(&fixture, ops, 4);
    uint64_t second = fixture_request(&fixture, &add, 1);
    uint64_t third = fixture_request(&fixture, &get, 1);
    fixture_apply(&fixture);
    uint64_t fourth = fixture_request(&fixture, &add, 1);
    fixture_apply(&fixture); /* Another entry in the same batch. */
    fixture_write(&fixture);
    struct wire_answer answer = fixture_answer(&fixture, first);
    cr_assert(bytes_are(fixture_result(&answer, 2).bytes, "2"));
    expect_integer(fixture_result(&answer, 3), 1);
    for (size_t i = 1; i < 4; i++) /* Each with a tick of its own, but for the read. */
        cr_assert(fixture_result(&answer, i).version > fixture_result(&answer, 0).version);
    answer = fixture_answer(&fixture, second);
    expect_integer(fixture_result(&answer, 0), 10);
    answer = fixture_answer(&fixture, third);
    cr_assert(bytes_are(fixture_result(&answer, 0).bytes, "10"));
    answer = fixture_answer(&fixture, fourth);
    expect_integer(fixture_result(&answer, 0), 20);
    fixture_fini(&fixture);
}
