#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/hlc.h"
#include "base/prng.h"
#include "ring/token.h"
#include "tests/lib/machine_fixture.h"

/*
 * Random requests over few keys, so that they meet each other in every way. One test compares with
 * a dictionary that knows nothing of rows, batches or indices; the others compare machines that are
 * fed the same entries in different ways.
 */
enum { KEY_COUNT = 24, VALUE_SIZE_MAX = 24, REQUEST_OPS_MAX = 4, NEWER_OPS = 4 };

/* ---- Random requests ----------------------------------------------------------------------------
 */

struct random_request {
    struct wire_op ops[REQUEST_OPS_MAX];
    int keys[REQUEST_OPS_MAX];
    size_t count;
    char names[REQUEST_OPS_MAX][8];
    char values[REQUEST_OPS_MAX][2 * VALUE_SIZE_MAX];
};

static uint64_t draw(struct base_prng *prng, uint64_t max)
{
    return base_prng_range(prng, 0, max);
}

static void key_name(int key, char name[8])
{
    snprintf(name, 8, key % 3 == 0 ? "{t}%d" : "k%d", key);
}

/* Small integers, long ones and text, with bytes of every kind. */
static struct base_bytes random_value(struct base_prng *prng, char *at)
{
    size_t size;
    switch (draw(prng, 3)) {
    case 0:
        size = (size_t)snprintf(at, VALUE_SIZE_MAX, "%d", (int)draw(prng, 9) - 4);
        break;
    case 1:
        size = (size_t)snprintf(at, VALUE_SIZE_MAX, "%lld",
                                draw(prng, 1) ? (long long)INT64_MAX : (long long)INT64_MIN);
        break;
    default:
        size = draw(prng, VALUE_SIZE_MAX);
        for (size_t i = 0; i < size; i++)
            at[i] = (char)draw(prng, 255);
    }
    return base_bytes_of(at, size);
}

static void random_time(struct base_prng *prng, uint64_t now_ms, struct wire_op *op)
{
    if (draw(prng, 1)) {
        op->expiry_mode = WIRE_EXPIRY_RELATIVE;
        op->b = draw(prng, 20) == 0 ? INT64_MAX : draw(prng, 60) - 10;
    } else {
        op->expiry_mode = WIRE_EXPIRY_ABSOLUTE;
        op->b = now_ms + draw(prng, 60) - 10;
    }
}

static void random_put(struct base_prng *prng, uint64_t now_ms, uint64_t version, char *value,
                       struct wire_op *op)
{
    op->value = random_value(prng, value);
    if (draw(prng, 2) == 0)
        random_time(prng, now_ms, op);
    else if (draw(prng, 3) == 0)
        op->expiry_mode = WIRE_EXPIRY_KEEP;
    if (draw(prng, 2) == 0)
        op->condition = (enum wire_condition)draw(prng, WIRE_IF_VERSION);
    if (op->condition == WIRE_IF_VERSION)
        op->a = version;
    if (draw(prng, 9) == 0) {
        op->condition = WIRE_IF_VALUE;
        op->a = draw(prng, op->value.size < 2 ? op->value.size : 2);
    }
    op->flags = draw(prng, 3) == 0 ? WIRE_OP_RETURN_OLD : 0;
}

/* `version` is a guess at the key's, sometimes right. */
static struct wire_op random_op(struct base_prng *prng, uint64_t now_ms, uint64_t version,
                                char *value)
{
    unsigned drawn = 1 + (unsigned)draw(prng, WIRE_OP_CHECK + NEWER_OPS - 1);
    if (drawn > WIRE_OP_CHECK) /* Numbers of walks and of the leader lie between. */
        drawn += WIRE_OP_LIMITS - WIRE_OP_CHECK;
    struct wire_op op = {.type = (enum wire_op_type)drawn};
    switch (op.type) {
    case WIRE_OP_GET_RANGE:
        op.a = draw(prng, 2 * VALUE_SIZE_MAX) - VALUE_SIZE_MAX;
        op.b = draw(prng, 2 * VALUE_SIZE_MAX) - VALUE_SIZE_MAX;
        break;
    case WIRE_OP_BIT_COUNT:
    case WIRE_OP_BIT_POSITION:
        op.a = draw(prng, 300) - 150;
        op.b = draw(prng, 300) - 150;
        op.flags = draw(prng, 1) ? WIRE_OP_BITS : 0;
        if (op.type == WIRE_OP_BIT_POSITION)
            op.flags |= draw(prng, 1) ? WIRE_OP_ONE : 0;
        break;
    case WIRE_OP_SET_BIT:
        op.a = draw(prng, 16 * VALUE_SIZE_MAX + 20);
        op.b = draw(prng, 1);
        break;
    case WIRE_OP_PERSIST:
        op.flags = draw(prng, 3) == 0 ? WIRE_OP_RETURN_OLD : 0;
        break;
    case WIRE_OP_PUT:
        random_put(prng, now_ms, version, value, &op);
        break;
    case WIRE_OP_DELETE:
        op.flags = draw(prng, 3) == 0 ? WIRE_OP_RETURN_OLD : 0;
        if (draw(prng, 3) == 0) {
            op.condition = WIRE_IF_VERSION;
            op.a = version;
        }
        break;
    case WIRE_OP_ADD:
        op.a = draw(prng, 4) - 2;
        break;
    case WIRE_OP_APPEND:
        op.value = random_value(prng, value);
        break;
    case WIRE_OP_SET_RANGE:
        op.value = random_value(prng, value);
        op.a = draw(prng, 2 * VALUE_SIZE_MAX);
        break;
    case WIRE_OP_EXPIRE:
        random_time(prng, now_ms, &op);
        op.condition = draw(prng, 1) ? WIRE_IF_ALWAYS
                                     : (enum wire_condition)(WIRE_IF_NO_EXPIRY + draw(prng, 4));
        op.flags = draw(prng, 3) == 0 ? WIRE_OP_RETURN_OLD : 0;
        break;
    case WIRE_OP_CHECK:
        op.condition = draw(prng, 1) ? WIRE_IF_PRESENT : WIRE_IF_VERSION;
        if (op.condition == WIRE_IF_VERSION)
            op.a = version;
        break;
    default:
        break;
    }
    return op;
}

static void random_request(struct base_prng *prng, uint64_t now_ms, const uint64_t *versions,
                           struct random_request *ret)
{
    ret->count = 1 + draw(prng, REQUEST_OPS_MAX - 1);
    for (size_t i = 0; i < ret->count; i++) {
        ret->keys[i] = (int)draw(prng, KEY_COUNT - 1);
        key_name(ret->keys[i], ret->names[i]);
        ret->ops[i] = random_op(prng, now_ms, versions[ret->keys[i]], ret->values[i]);
        ret->ops[i].key = base_bytes_text(ret->names[i]);
    }
}

/* ---- The dictionary -----------------------------------------------------------------------------
 */

struct model_key {
    bool present; /* Perhaps expired. */
    uint64_t version, expiry_ms;
    uint8_t value[2 * VALUE_SIZE_MAX];
    size_t size;
};

struct model {
    struct model_key keys[KEY_COUNT];
    uint64_t deleted[1 << FIXTURE_VNODE_BITS];
    uint64_t clock;
};

static uint32_t vnode_of(int key)
{
    char name[8];
    key_name(key, name);
    return ring_vnode(ring_token(base_bytes_text(name), FIXTURE_VNODE_BITS), FIXTURE_VNODE_BITS);
}

static bool model_lapsed(const struct model_key *key, uint64_t tick)
{
    return key->present && key->expiry_ms != 0 && key->expiry_ms <= base_hlc_to_ms(tick);
}

static bool model_live(const struct model *model, int key, uint64_t tick)
{
    return model->keys[key].present && !model_lapsed(&model->keys[key], tick);
}

static uint64_t model_version(const struct model *model, int key, uint64_t tick)
{
    const struct model_key *row = &model->keys[key];
    if (model_live(model, key, tick))
        return row->version;
    uint64_t version = model->deleted[vnode_of(key)];
    uint64_t lapsed = model_lapsed(row, tick) ? base_hlc_from_ms(row->expiry_ms) : 0;
    return version > lapsed ? version : lapsed;
}

static void model_remove(struct model *model, int key, uint64_t clock)
{
    uint64_t *deleted = &model->deleted[vnode_of(key)];
    *deleted = clock > *deleted ? clock : *deleted;
    model->keys[key].present = false;
}

static void model_set(struct model *model, int key, uint64_t tick, const void *value, size_t size,
                      int64_t expiry_ms)
{
    struct model_key *row = &model->keys[key];
    if (expiry_ms != 0 && expiry_ms <= (int64_t)base_hlc_to_ms(tick)) {
        model_remove(model, key, tick);
        return;
    }
    uint8_t copy[2 * VALUE_SIZE_MAX];
    memcpy(copy, value, size);
    memcpy(row->value, copy, size);
    row->present = true;
    row->size = size;
    row->version = tick;
    row->expiry_ms = (uint64_t)expiry_ms;
}

static bool model_holds(const struct model *model, const struct wire_op *op, int key, uint64_t tick)
{
    const struct model_key *row = &model->keys[key];
    bool live = model_live(model, key, tick);
    bool none = row->expiry_ms == 0;
    int64_t now = (int64_t)base_hlc_to_ms(tick);
    int64_t time = (int64_t)op->b + (op->expiry_mode == WIRE_EXPIRY_RELATIVE ? now : 0);
    switch (op->condition) {
    case WIRE_IF_ALWAYS:
        return true;
    case WIRE_IF_ABSENT:
        return !live;
    case WIRE_IF_PRESENT:
        return live;
    case WIRE_IF_VERSION:
        return model_version(model, key, tick) == op->a;
    case WIRE_IF_VALUE:
        return live && row->size == op->a && memcmp(row->value, op->value.data, op->a) == 0;
    case WIRE_IF_NO_EXPIRY:
        return none;
    case WIRE_IF_EXPIRY:
        return !none;
    case WIRE_IF_LATER:
        return !none && time > (int64_t)row->expiry_ms;
    case WIRE_IF_EARLIER:
        return none || time < (int64_t)row->expiry_ms;
    case WIRE_IF_EXPIRY_EARLIER:
        return !none && time < (int64_t)row->expiry_ms;
    }
    return false;
}

/* What the result must be: numbers and bytes; the version follows from the model afterwards. */
struct expected {
    enum wire_result_kind kind;
    enum wire_error error;
    uint64_t number;
    uint8_t bytes[2 * VALUE_SIZE_MAX];
    size_t size;
};

static void expect_old(const struct model *model, int key, uint64_t tick, struct expected *expected)
{
    const struct model_key *row = &model->keys[key];
    expected->kind = WIRE_RESULT_NIL;
    if (!model_live(model, key, tick))
        return;
    expected->kind = WIRE_RESULT_BYTES;
    expected->number = row->expiry_ms;
    expected->size = row->size;
    memcpy(expected->bytes, row->value, row->size);
}

static void expect_error(enum wire_error error, struct expected *expected)
{
    expected->kind = WIRE_RESULT_ERROR;
    expected->error = error;
}

static void expect_integer(int64_t number, struct expected *expected)
{
    expected->kind = WIRE_RESULT_INTEGER;
    expected->number = (uint64_t)number;
}

static void model_put(struct model *model, const struct wire_op *op, int key, uint64_t tick,
                      struct expected *expected)
{
    struct model_key *row = &model->keys[key];
    int64_t expiry = 0;
    if (op->expiry_mode == WIRE_EXPIRY_ABSOLUTE)
        expiry = (int64_t)op->b;
    if (op->expiry_mode == WIRE_EXPIRY_RELATIVE &&
        __builtin_add_overflow((int64_t)op->b, (int64_t)base_hlc_to_ms(tick), &expiry)) {
        expect_error(WIRE_ERROR_INVALID_EXPIRY, expected);
        return;
    }
    bool holds = model_holds(model, op, key, tick);
    expected->kind = holds ? WIRE_RESULT_OK : WIRE_RESULT_NIL;
    if (op->flags & WIRE_OP_RETURN_OLD)
        expect_old(model, key, tick, expected);
    if (!holds)
        return;
    if (op->expiry_mode == WIRE_EXPIRY_KEEP && model_live(model, key, tick))
        expiry = (int64_t)row->expiry_ms;
    size_t skip = op->condition == WIRE_IF_VALUE ? op->a : 0;
    model_set(model, key, tick, op->value.data + skip, op->value.size - skip, expiry);
}

static void model_add(struct model *model, const struct wire_op *op, int key, uint64_t tick,
                      struct expected *expected)
{
    struct model_key *row = &model->keys[key];
    bool live = model_live(model, key, tick);
    char text[2 * VALUE_SIZE_MAX + 1] = "0", again[32];
    if (live) {
        memcpy(text, row->value, row->size);
        text[row->size] = '\0';
    }
    int64_t value = strtoll(text, NULL, 10);
    snprintf(again, sizeof(again), "%lld", (long long)value);
    if (strcmp(text, again) != 0 || (live && strlen(text) != row->size)) {
        expect_error(WIRE_ERROR_NOT_INTEGER, expected);
        return;
    }
    if (__builtin_add_overflow(value, (int64_t)op->a, &value)) {
        expect_error(WIRE_ERROR_OVERFLOW, expected);
        return;
    }
    expect_integer(value, expected);
    size_t size = (size_t)snprintf(again, sizeof(again), "%lld", (long long)value);
    model_set(model, key, tick, again, size, live ? (int64_t)row->expiry_ms : 0);
}

static void model_set_range(struct model *model, const struct wire_op *op, int key, uint64_t tick,
                            struct expected *expected)
{
    struct model_key *row = &model->keys[key];
    bool live = model_live(model, key, tick);
    uint8_t value[4 * VALUE_SIZE_MAX] = {0};
    size_t size = live ? row->size : 0;
    size_t offset = op->type == WIRE_OP_APPEND ? size : op->a;
    if (op->value.size == 0 && op->type == WIRE_OP_SET_RANGE) {
        expect_integer((int64_t)size, expected);
        return;
    }
    if (offset + op->value.size > 2 * VALUE_SIZE_MAX) {
        expect_error(WIRE_ERROR_TOO_LARGE, expected);
        return;
    }
    memcpy(value, row->value, size);
    memcpy(value + offset, op->value.data, op->value.size);
    size = offset + op->value.size > size ? offset + op->value.size : size;
    expect_integer((int64_t)size, expected);
    model_set(model, key, tick, value, size, live ? (int64_t)row->expiry_ms : 0);
}

static void expect_retimed(const struct model *model, const struct wire_op *op, int key,
                           uint64_t tick, bool holds, struct expected *expected)
{
    if (op->flags & WIRE_OP_RETURN_OLD)
        expect_old(model, key, tick, expected);
    else
        expect_integer(holds, expected);
}

/* Byte by byte: which of them lie in the range. */
static void model_get_range(const struct model *model, const struct wire_op *op, int key,
                            uint64_t tick, struct expected *expected)
{
    const struct model_key *row = &model->keys[key];
    int64_t first = (int64_t)op->a, last = (int64_t)op->b;
    expect_old(model, key, tick, expected);
    if (expected->kind != WIRE_RESULT_BYTES)
        return;
    expected->size = 0;
    if (first < 0 && last < 0 && first > last)
        return;
    first += first < 0 ? (int64_t)row->size : 0;
    last += last < 0 ? (int64_t)row->size : 0;
    for (int64_t at = 0; at < (int64_t)row->size; at++) {
        if (at >= first && (at <= last || (at == 0 && last < 0)))
            expected->bytes[expected->size++] = row->value[at];
    }
}

/* Bit by bit. */
static void model_bits(const struct model *model, const struct wire_op *op, int key, uint64_t tick,
                       struct expected *expected)
{
    const struct model_key *row = &model->keys[key];
    int64_t first = (int64_t)op->a, last = (int64_t)op->b, count = 0, found = -1;
    bool live = model_live(model, key, tick), one = (op->flags & WIRE_OP_ONE) != 0;
    int64_t bits = live ? 8 * (int64_t)row->size : 0;
    int64_t unit = op->flags & WIRE_OP_BITS ? 1 : 8;
    if (op->type == WIRE_OP_BIT_COUNT && first < 0 && last < 0 && first > last)
        bits = 0;
    first += first < 0 ? bits / unit : 0;
    last += last < 0 ? bits / unit : 0;
    last = last < 0 ? 0 : last;
    for (int64_t at = 0; at < bits; at++) {
        bool bit = (row->value[at / 8] >> (7 - at % 8) & 1) != 0;
        if (at / unit < first || at / unit > last)
            continue;
        count += bit;
        if (bit == one && found < 0)
            found = at;
    }
    if (!live && !one)
        found = 0;
    expect_integer(op->type == WIRE_OP_BIT_COUNT ? count : found, expected);
}

static void model_set_bit(struct model *model, const struct wire_op *op, int key, uint64_t tick,
                          struct expected *expected)
{
    struct model_key *row = &model->keys[key];
    bool live = model_live(model, key, tick);
    uint8_t value[4 * VALUE_SIZE_MAX] = {0};
    size_t size = live ? row->size : 0, byte = op->a / 8;
    unsigned shift = 7 - op->a % 8;
    if (byte >= 2 * VALUE_SIZE_MAX) {
        expect_error(WIRE_ERROR_TOO_LARGE, expected);
        return;
    }
    memcpy(value, row->value, size);
    expect_integer(value[byte] >> shift & 1, expected);
    value[byte] = (uint8_t)((value[byte] & ~(1U << shift)) | (unsigned)op->b << shift);
    size = byte + 1 > size ? byte + 1 : size;
    model_set(model, key, tick, value, size, live ? (int64_t)row->expiry_ms : 0);
}

static void model_expire(struct model *model, const struct wire_op *op, int key, uint64_t tick,
                         struct expected *expected)
{
    struct model_key *row = &model->keys[key];
    int64_t expiry = (int64_t)op->b;
    if (op->expiry_mode == WIRE_EXPIRY_RELATIVE &&
        __builtin_add_overflow(expiry, (int64_t)base_hlc_to_ms(tick), &expiry)) {
        expect_error(WIRE_ERROR_INVALID_EXPIRY, expected);
        return;
    }
    bool holds = model_live(model, key, tick) && model_holds(model, op, key, tick);
    expect_retimed(model, op, key, tick, holds, expected);
    if (holds)
        model_set(model, key, tick, row->value, row->size, expiry);
}

static void model_delete(struct model *model, const struct wire_op *op, int key, uint64_t tick,
                         struct expected *expected)
{
    bool live = model_live(model, key, tick), holds = model_holds(model, op, key, tick);
    if (holds)
        expect_integer(live, expected);
    else
        expected->kind = WIRE_RESULT_NIL;
    if (op->flags & WIRE_OP_RETURN_OLD) {
        expected->number = 0;
        expect_old(model, key, tick, expected);
    }
    if (holds && live)
        model_remove(model, key, tick);
}

static void model_op(struct model *model, const struct wire_op *op, int key, uint64_t tick,
                     struct expected *expected)
{
    struct model_key *row = &model->keys[key];
    bool live = model_live(model, key, tick);
    *expected = (struct expected){.kind = WIRE_RESULT_NIL};
    switch (op->type) {
    case WIRE_OP_GET:
        expect_old(model, key, tick, expected);
        break;
    case WIRE_OP_GET_RANGE:
        model_get_range(model, op, key, tick, expected);
        break;
    case WIRE_OP_BIT_COUNT:
    case WIRE_OP_BIT_POSITION:
        model_bits(model, op, key, tick, expected);
        break;
    case WIRE_OP_SET_BIT:
        model_set_bit(model, op, key, tick, expected);
        break;
    case WIRE_OP_STAT:
        if (live) {
            expected->kind = WIRE_RESULT_STAT;
            expected->number = row->expiry_ms;
            expected->size = 8;
            base_put_le64(expected->bytes, row->size);
        }
        break;
    case WIRE_OP_PUT:
        model_put(model, op, key, tick, expected);
        break;
    case WIRE_OP_DELETE:
        model_delete(model, op, key, tick, expected);
        break;
    case WIRE_OP_ADD:
        model_add(model, op, key, tick, expected);
        break;
    case WIRE_OP_APPEND:
    case WIRE_OP_SET_RANGE:
        model_set_range(model, op, key, tick, expected);
        break;
    case WIRE_OP_EXPIRE:
        model_expire(model, op, key, tick, expected);
        break;
    case WIRE_OP_PERSIST: {
        bool holds = live && row->expiry_ms != 0;
        expect_retimed(model, op, key, tick, holds, expected);
        if (holds)
            model_set(model, key, tick, row->value, row->size, 0);
        break;
    }
    default:
        expected->kind = WIRE_RESULT_OK;
    }
}

/* Runs the request on the model and compares with its answer. */
static void model_compare(struct model *model, const struct random_request *request,
                          const struct wire_answer *answer)
{
    uint64_t before = model->clock;
    model->clock += request->count;
    cr_assert_eq(answer->clock, model->clock);
    for (size_t i = 0; i < request->count; i++) {
        if (request->ops[i].type != WIRE_OP_CHECK ||
            model_holds(model, &request->ops[i], request->keys[i], before + 1 + i))
            continue;
        cr_assert_eq(answer->status, WIRE_CHECK_FAILED);
        cr_assert_eq(answer->detail, i);
        return;
    }
    cr_assert_eq(answer->status, WIRE_DONE);
    cr_assert_eq(answer->result_count, request->count);
    for (size_t i = 0; i < request->count; i++) {
        struct expected expected;
        uint64_t tick = before + 1 + i;
        const struct wire_op *op = &request->ops[i];
        int key = request->keys[i];
        model_op(model, op, key, tick, &expected);
        struct wire_result result = fixture_result(answer, i);
        cr_assert_eq(result.kind, expected.kind, "op %d: %d, not %d", (int)op->type,
                     (int)result.kind, (int)expected.kind);
        cr_assert_eq(result.error, expected.error);
        cr_assert_eq(result.number, expected.number, "op %d", (int)op->type);
        cr_assert(base_bytes_equal(result.bytes, base_bytes_of(expected.bytes, expected.size)));
        cr_assert_eq(result.version, model_version(model, key, tick), "op %d", (int)op->type);
    }
}

static void model_removal(struct model *model, struct fixture *fixture)
{
    uint8_t request[16384];
    size_t size;
    cr_assert_eq(shard_removal_write(fixture->machine, 1000, request, sizeof(request), &size),
                 TORC_OK);
    if (size == 0)
        return;
    uint64_t found_by = model->clock;
    fixture_request_encoded(fixture, base_bytes_of(request, size));
    fixture_apply(fixture);
    fixture_write(fixture);
    model->clock =
        (fixture->stamp > model->clock + 1 ? fixture->stamp : model->clock + 1) + 1 /* tick */;
    for (int key = 0; key < KEY_COUNT; key++) {
        struct model_key *row = &model->keys[key];
        if (model_lapsed(row, found_by))
            model_remove(model, key, base_hlc_from_ms(row->expiry_ms));
    }
}

/* 100,000 random operations do what a dictionary says, in content, versions, times and errors. */
Test(machine_random, does_what_a_dictionary_says, .timeout = 120)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.config.limits.value_size_max = 2 * VALUE_SIZE_MAX;
    fixture_reopen(&fixture);
    static struct model model;
    model.clock = fixture_info(&fixture).clock;
    struct base_prng prng = base_prng_seeded(42);
    uint64_t versions[KEY_COUNT] = {0};
    size_t op_count = 0;
    while (op_count < 100000) {
        struct random_request requests[3];
        uint64_t numbers[3];
        size_t count = 1 + draw(&prng, 2);
        if (draw(&prng, 1))
            fixture_sleep(&fixture, draw(&prng, 8));
        for (size_t i = 0; i < count; i++) {
            random_request(&prng, base_hlc_to_ms(fixture.stamp), versions, &requests[i]);
            numbers[i] = fixture_request(&fixture, requests[i].ops, requests[i].count);
            op_count += requests[i].count;
        }
        fixture_apply(&fixture);
        fixture_write(&fixture);
        uint64_t least = model.clock + 1;
        model.clock = fixture.stamp > least ? fixture.stamp : least;
        for (size_t i = 0; i < count; i++) {
            struct wire_answer answer = fixture_answer(&fixture, numbers[i]);
            model_compare(&model, &requests[i], &answer);
        }
        for (int key = 0; key < KEY_COUNT; key++)
            versions[key] = model_version(&model, key, model.clock);
        if (draw(&prng, 50) == 0)
            model_removal(&model, &fixture);
        if (draw(&prng, 500) == 0)
            fixture_reopen(&fixture);
    }
    shard_machine_check(fixture.machine);
    fixture_fini(&fixture);
}

/* ---- The same entries, fed in different ways ----------------------------------------------------
 */

enum { ENTRY_COUNT = 1500 };

struct history {
    uint8_t *entries[ENTRY_COUNT + 2]; /* By slot; the first is the fixture's genesis. */
    size_t sizes[ENTRY_COUNT + 2];
    uint64_t hashes[ENTRY_COUNT + 2];
    uint64_t content;
};

static void history_add_request(struct base_prng *prng, struct fixture *fixture)
{
    struct random_request request;
    uint64_t versions[KEY_COUNT];
    for (int key = 0; key < KEY_COUNT; key++)
        versions[key] = fixture_info(fixture).clock - draw(prng, 30);
    random_request(prng, base_hlc_to_ms(fixture->stamp), versions, &request);
    if (draw(prng, 9) == 0) {
        request.ops[0] = op_walk(WIRE_OP_CLEAR, draw(prng, UINT64_MAX), 1 + draw(prng, 5));
        request.count = 1;
    }
    /* Some numbers come again, some last times pass. */
    uint64_t number = draw(prng, 4) == 0 && fixture->number > 0
                          ? base_prng_range(prng, fixture->number / 2, fixture->number)
                          : ++fixture->number;
    fixture_request_as(fixture, number, fixture->stamp + base_hlc_from_ms(draw(prng, 100)) - 5,
                       request.ops, request.count);
}

/* A history with everything in it, applied one entry a batch. */
static void history_make(uint64_t seed, struct fixture *fixture, struct history *history)
{
    struct base_prng prng = base_prng_seeded(seed);
    fixture_init(fixture);
    for (uint64_t slot = 2; slot < ENTRY_COUNT + 2; slot++) {
        fixture_sleep(fixture, draw(&prng, 5));
        uint8_t internal[16384];
        size_t size = 0;
        if (draw(&prng, 10) == 0)
            cr_assert_eq(
                shard_removal_write(fixture->machine, 5, internal, sizeof(internal), &size),
                TORC_OK);
        if (size > 0)
            fixture_request_encoded(fixture, base_bytes_of(internal, size));
        for (uint64_t count = draw(&prng, 5) + (size == 0); count > 0; count--)
            history_add_request(&prng, fixture);
        struct base_bytes entry = fixture_entry(fixture);
        history->entries[slot] = malloc(entry.size);
        history->sizes[slot] = entry.size;
        memcpy(history->entries[slot], entry.data, entry.size);
        cr_assert_eq(fixture_apply_bytes(fixture, entry), TORC_OK);
        fixture_write(fixture);
        history->hashes[slot] = fixture_info(fixture).hash;
    }
    history->content = fixture_content(fixture);
    shard_machine_check(fixture->machine);
}

static void history_free(struct history *history)
{
    for (uint64_t slot = 2; slot < ENTRY_COUNT + 2; slot++)
        free(history->entries[slot]);
}

static void history_apply_next(struct fixture *fixture, const struct history *history)
{
    uint64_t slot = fixture_info(fixture).applied + 1;
    struct base_bytes entry = base_bytes_of(history->entries[slot], history->sizes[slot]);
    cr_assert_eq(fixture_apply_bytes(fixture, entry), TORC_OK);
    cr_assert_eq(fixture_info(fixture).hash, history->hashes[slot], "slot %lu",
                 (unsigned long)slot);
}

/* However entries share batches, and whenever the machine is closed and opened: the same hash after
 * each, and the same bytes in the map. */
Test(machine_random, batching_and_reopening_change_nothing, .timeout = 120)
{
    static struct history history;
    struct fixture fixture;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        history_make(seed, &fixture, &history);
        fixture_fini(&fixture);
        struct base_prng prng = base_prng_seeded(seed + 100);
        fixture_init(&fixture);
        while (fixture_info(&fixture).applied < ENTRY_COUNT + 1) {
            for (uint64_t i = draw(&prng, 30); i > 0; i--) {
                if (fixture_info(&fixture).applied < ENTRY_COUNT + 1)
                    history_apply_next(&fixture, &history);
            }
            fixture_write(&fixture);
            if (draw(&prng, 5) == 0)
                fixture_reopen(&fixture);
        }
        cr_assert_eq(fixture_content(&fixture), history.content);
        fixture_fini(&fixture);
        history_free(&history);
    }
}

/* Batches that a crash loses are applied again from the log: the same hash, the same bytes. */
Test(machine_random, replay_after_a_crash_gives_the_same_state, .timeout = 120)
{
    static struct history history;
    struct fixture fixture;
    for (uint64_t seed = 11; seed <= 13; seed++) {
        history_make(seed, &fixture, &history);
        fixture_fini(&fixture);
        struct base_prng prng = base_prng_seeded(seed + 100);
        fixture_init(&fixture);
        store_kv_flush(fixture.kv); /* The genesis is not in the history. */
        int crashes = 0;
        while (fixture_info(&fixture).applied < ENTRY_COUNT + 1) {
            history_apply_next(&fixture, &history);
            if (draw(&prng, 3) == 0)
                fixture_write(&fixture);
            if (draw(&prng, 60) == 0) {
                fixture_crash(&fixture, draw(&prng, store_sim_kv_unflushed_batches(fixture.kv)));
                crashes++;
            }
            if (draw(&prng, 90) == 0)
                store_kv_flush(fixture.kv);
        }
        fixture_write(&fixture);
        cr_assert_gt(crashes, 10);
        cr_assert_eq(fixture_content(&fixture), history.content);
        fixture_fini(&fixture);
        history_free(&history);
    }
}
