#include <criterion/criterion.h>

#include "base/prng.h"
#include "wire/op.h"

static const struct wire_limits limits = {256, 4096, 65536};

enum { LAST_OP = WIRE_OP_TXN_FORGET };

/* One request being put together. */
struct built {
    uint8_t bytes[16384];
    size_t size;
    uint16_t op_count;
};

static void build_begin(struct built *built, uint8_t flags)
{
    struct wire_client_id client = {1, 2}, none = {0, 0};
    bool internal = flags == WIRE_REQUEST_INTERNAL;
    built->size = wire_request_begin(built->bytes, sizeof(built->bytes), internal ? none : client,
                                     internal ? 0 : 3, internal ? 0 : 4, flags);
    built->op_count = 0;
}

static void build_op(struct built *built, const struct wire_op *op)
{
    size_t size = wire_op_write(built->bytes + built->size, sizeof(built->bytes) - built->size, op);
    cr_assert_eq(size, wire_op_size(op));
    built->size += size;
    built->op_count++;
}

static enum torc_status build_read(struct built *built, struct wire_request *ret_request)
{
    wire_request_end(built->bytes, built->size, built->op_count);
    return wire_request_read(base_bytes_of(built->bytes, built->size), &limits, ret_request);
}

static bool is_leaders(enum wire_op_type type)
{
    return (type >= WIRE_OP_GENESIS && type <= WIRE_OP_LIMITS) || type >= WIRE_OP_TXN_PREPARE;
}

static bool has_key(enum wire_op_type type)
{
    return type <= WIRE_OP_CHECK || (type > WIRE_OP_LIMITS && type < WIRE_OP_TXN_PREPARE);
}

/* Reads a request of this one operation. */
static enum torc_status read_one(struct wire_op op)
{
    static struct built built;
    struct wire_request request;
    build_begin(&built, is_leaders(op.type) ? WIRE_REQUEST_INTERNAL : 0);
    build_op(&built, &op);
    return build_read(&built, &request);
}

static struct wire_op op_of(enum wire_op_type type)
{
    static const uint8_t value[WIRE_LIMITS_SIZE];
    struct wire_op op = {.type = type};
    if (has_key(type))
        op.key = base_bytes_text("key");
    if (type == WIRE_OP_EXPIRE)
        op.expiry_mode = WIRE_EXPIRY_RELATIVE;
    if (type == WIRE_OP_CHECK)
        op.condition = WIRE_IF_PRESENT;
    if (type == WIRE_OP_SCAN || type == WIRE_OP_COUNT || type == WIRE_OP_CLEAR)
        op.b = 1;
    if (type == WIRE_OP_LIMITS)
        op.value = base_bytes_of(value, sizeof(value));
    return op;
}

static bool op_equal(const struct wire_op *a, const struct wire_op *b)
{
    return a->type == b->type && a->condition == b->condition && a->expiry_mode == b->expiry_mode &&
           a->flags == b->flags && a->a == b->a && a->b == b->b &&
           base_bytes_equal(a->key, b->key) && base_bytes_equal(a->value, b->value);
}

/* The encoding, to the byte: changing it is a change of version. */
Test(op, request_bytes_are_fixed)
{
    static struct built built;
    struct wire_request request;
    build_begin(&built, 0);
    struct wire_op op = op_of(WIRE_OP_PUT);
    op.value = base_bytes_text("va");
    op.condition = WIRE_IF_VERSION;
    op.expiry_mode = WIRE_EXPIRY_ABSOLUTE;
    op.flags = WIRE_OP_RETURN_OLD;
    op.a = 5;
    op.b = 6;
    build_op(&built, &op);
    cr_assert_eq(build_read(&built, &request), TORC_OK);
    static const uint8_t golden[] = {
        1, 0, 1, 0, 73, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0,   0,   0,   0,   0,  0, 3,
        0, 0, 0, 0, 0,  0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 1,   3,   0,   0,   0,  2, 0,
        0, 0, 5, 0, 0,  0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 'k', 'e', 'y', 'v', 'a'};
    cr_assert(base_bytes_equal(request.encoded, base_bytes_of(golden, sizeof(golden))));

    uint8_t entry[WIRE_ENTRY_HEADER_SIZE];
    wire_entry_begin(entry, sizeof(entry), 7, 8);
    cr_assert_eq(memcmp(entry, "\1\0\0\0\10\0\0\0\7\0\0\0\0\0\0\0", sizeof(entry)), 0);
}

/* The answer's encoding, to the byte. */
Test(op, answer_bytes_are_fixed)
{
    uint8_t at[128];
    size_t size = wire_answer_begin(at, sizeof(at), WIRE_DONE, 2, 3, 4);
    struct wire_result result = {WIRE_RESULT_BYTES, 0, 5, 6, base_bytes_text("v")};
    size += wire_result_write(at + size, sizeof(at) - size, &result);
    wire_answer_end(at, size, 1);
    static const uint8_t golden[] = {1, 1, 1, 0, 57, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0,
                                     0, 0, 0, 0, 0,  4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0,
                                     0, 0, 5, 0, 0,  0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 'v'};
    cr_assert(base_bytes_equal(base_bytes_of(at, size), base_bytes_of(golden, sizeof(golden))));
    struct wire_answer answer;
    cr_assert_eq(wire_answer_read(base_bytes_of(at, size), &answer), TORC_OK);
}

static struct wire_op random_op(struct base_prng *prng, const uint8_t *noise)
{
    enum wire_op_type type;
    do
        type = (enum wire_op_type)base_prng_range(prng, 1, LAST_OP);
    while (!has_key(type));
    struct wire_op op = op_of(type);
    op.key = base_bytes_of(noise, base_prng_range(prng, 1, limits.key_size_max));
    struct base_bytes value = base_bytes_of(noise, base_prng_range(prng, 0, 500));
    uint64_t number = base_prng_next(prng);
    switch (op.type) {
    case WIRE_OP_PUT:
        op.value = value;
        op.condition = (enum wire_condition)base_prng_range(prng, 0, WIRE_IF_VALUE);
        op.expiry_mode = (enum wire_expiry_mode)base_prng_range(prng, 0, WIRE_EXPIRY_ABSOLUTE);
        op.flags = (uint8_t)base_prng_range(prng, 0, 1);
        op.a = op.condition == WIRE_IF_VERSION ? number
               : op.condition == WIRE_IF_VALUE ? number % (value.size + 1)
                                               : 0;
        op.b = op.expiry_mode >= WIRE_EXPIRY_RELATIVE ? number : 0;
        break;
    case WIRE_OP_SET_BIT:
        op.a = number;
        op.b = number % 2;
        break;
    case WIRE_OP_BIT_POSITION:
        op.flags = WIRE_OP_ONE | WIRE_OP_NO_END;
        op.a = number;
        break;
    case WIRE_OP_BIT_COUNT:
        op.flags = WIRE_OP_BITS;
        op.a = number;
        op.b = ~number;
        break;
    case WIRE_OP_GET_RANGE:
        op.a = number;
        op.b = ~number;
        break;
    case WIRE_OP_PERSIST:
        op.flags = (uint8_t)base_prng_range(prng, 0, 1);
        break;
    case WIRE_OP_ADD:
        op.a = number;
        break;
    case WIRE_OP_SET_RANGE:
        op.a = number;
        op.value = value;
        break;
    case WIRE_OP_APPEND:
    case WIRE_OP_ADD_DECIMAL:
        op.value = value;
        break;
    case WIRE_OP_EXPIRE:
        op.b = number;
        op.condition =
            (enum wire_condition)base_prng_range(prng, WIRE_IF_NO_EXPIRY, WIRE_IF_EXPIRY_EARLIER);
        op.flags = (uint8_t)base_prng_range(prng, 0, 1);
        break;
    default:
        break;
    }
    return op;
}

/* decode(encode(x)) = x, for random requests one after the other in an entry. */
Test(op, entries_read_as_they_were_written)
{
    static struct built built;
    static uint8_t entry[3 * 16384 + WIRE_ENTRY_HEADER_SIZE];
    uint8_t noise[512];
    struct base_prng prng = base_prng_seeded(1);
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)base_prng_next(&prng);
    for (int round = 0; round < 2000; round++) {
        struct wire_op ops[3][8];
        size_t counts[3];
        size_t size = wire_entry_begin(entry, sizeof(entry), 99, 3);
        for (size_t k = 0; k < 3; k++) {
            build_begin(&built, 0);
            counts[k] = base_prng_range(&prng, 1, 8);
            for (size_t i = 0; i < counts[k]; i++) {
                ops[k][i] = random_op(&prng, noise);
                build_op(&built, &ops[k][i]);
            }
            wire_request_end(built.bytes, built.size, built.op_count);
            memcpy(entry + size, built.bytes, built.size);
            size += built.size;
        }
        struct wire_entry read;
        cr_assert_eq(wire_entry_read(base_bytes_of(entry, size), &read), TORC_OK);
        cr_assert(read.clock == 99 && read.request_count == 3);
        size_t at = 0;
        for (size_t k = 0; k < 3; k++) {
            struct wire_request request;
            struct base_bytes rest =
                base_bytes_of(read.requests.data + at, read.requests.size - at);
            cr_assert_eq(wire_request_read(rest, &limits, &request), TORC_OK);
            cr_assert(request.client.high == 1 && request.client.low == 2 && request.number == 3 &&
                      request.last_time == 4 && request.op_count == counts[k]);
            struct wire_op op;
            size_t cursor = 0, i = 0;
            bool writes = false;
            for (; wire_op_next(&request, &cursor, &op); i++) {
                cr_assert(op_equal(&op, &ops[k][i]));
                writes |= wire_op_writes(op.type);
            }
            cr_assert_eq(i, counts[k]);
            cr_assert_eq(wire_request_writes(&request), writes);
            at += request.encoded.size;
        }
        cr_assert_eq(at, read.requests.size);
    }
}

/* Each operation takes the conditions and times that mean something for it, and no other: the
 * whole table, written a second time. */
Test(op, conditions_and_times_fit_their_type)
{
    static const struct {
        const char *conditions, *modes; /* A digit for each that is allowed. */
    } table[] = {
        [WIRE_OP_GET] = {"0", "0"},         [WIRE_OP_STAT] = {"0", "0"},
        [WIRE_OP_PUT] = {"01234", "0123"},  [WIRE_OP_DELETE] = {"034", "0"},
        [WIRE_OP_ADD] = {"0", "0"},         [WIRE_OP_APPEND] = {"0", "0"},
        [WIRE_OP_SET_RANGE] = {"0", "0"},   [WIRE_OP_EXPIRE] = {"056789", "23"},
        [WIRE_OP_PERSIST] = {"0", "0"},     [WIRE_OP_CHECK] = {"1234", "0"},
        [WIRE_OP_SCAN] = {"0", "0"},        [WIRE_OP_COUNT] = {"0", "0"},
        [WIRE_OP_CLEAR] = {"0", "0"},       [WIRE_OP_GENESIS] = {"0", "0"},
        [WIRE_OP_TICK] = {"0", "0"},        [WIRE_OP_REMOVE_EXPIRED] = {"0", "0"},
        [WIRE_OP_LIMITS] = {"0", "0"},      [WIRE_OP_GET_RANGE] = {"0", "0"},
        [WIRE_OP_BIT_COUNT] = {"0", "0"},   [WIRE_OP_BIT_POSITION] = {"0", "0"},
        [WIRE_OP_SET_BIT] = {"0", "0"},     [WIRE_OP_ADD_DECIMAL] = {"0", "0"},
        [WIRE_OP_TXN_PREPARE] = {"0", "0"}, [WIRE_OP_TXN_END] = {"0", "0"},
        [WIRE_OP_TXN_COMMIT] = {"0", "0"},  [WIRE_OP_TXN_REFUSE] = {"0", "0"},
        [WIRE_OP_TXN_FORGET] = {"0", "0"},
    };
    for (int type = 0; type < 40; type++) {
        for (int condition = 0; condition < 12; condition++) {
            for (int mode = 0; mode < 6; mode++) {
                struct wire_op op = op_of((enum wire_op_type)type);
                op.condition = (enum wire_condition)condition;
                op.expiry_mode = (enum wire_expiry_mode)mode;
                bool good = type >= 1 && type <= LAST_OP &&
                            strchr(table[type].conditions, '0' + condition) != NULL &&
                            strchr(table[type].modes, '0' + mode) != NULL;
                cr_assert_eq(read_one(op), good ? TORC_OK : TORC_MALFORMED, "%d %d %d", type,
                             condition, mode);
            }
        }
    }
}

static unsigned flags_of(enum wire_op_type type)
{
    switch (type) {
    case WIRE_OP_PUT:
    case WIRE_OP_DELETE:
    case WIRE_OP_EXPIRE:
    case WIRE_OP_PERSIST:
        return WIRE_OP_RETURN_OLD;
    case WIRE_OP_BIT_COUNT:
        return WIRE_OP_BITS;
    case WIRE_OP_BIT_POSITION:
        return WIRE_OP_BITS | WIRE_OP_ONE | WIRE_OP_NO_END;
    default:
        return 0;
    }
}

/* What an operation does not use is zero: so it has one encoding only. */
Test(op, unused_fields_are_refused)
{
    for (int number = 1; number <= LAST_OP; number++) {
        enum wire_op_type type = (enum wire_op_type)number;
        cr_assert_eq(read_one(op_of(type)), TORC_OK);
        struct wire_op op = op_of(type);
        op.a = 1;
        bool a = type == WIRE_OP_ADD || type == WIRE_OP_SET_RANGE || type == WIRE_OP_SCAN ||
                 type == WIRE_OP_COUNT || type == WIRE_OP_CLEAR || type == WIRE_OP_LIMITS ||
                 (type >= WIRE_OP_GET_RANGE && type <= WIRE_OP_SET_BIT);
        cr_assert_eq(read_one(op), a ? TORC_OK : TORC_MALFORMED, "a of %d", number);
        op = op_of(type);
        op.b = 2;
        bool b = type == WIRE_OP_EXPIRE || type == WIRE_OP_SCAN || type == WIRE_OP_COUNT ||
                 type == WIRE_OP_CLEAR || (type >= WIRE_OP_GET_RANGE && type < WIRE_OP_SET_BIT);
        cr_assert_eq(read_one(op), b ? TORC_OK : TORC_MALFORMED, "b of %d", number);
        for (unsigned flag = 1; flag <= 128; flag *= 2) {
            op = op_of(type);
            op.flags = (uint8_t)flag;
            bool flags = (flag & flags_of(type)) != 0;
            cr_assert_eq(read_one(op), flags ? TORC_OK : TORC_MALFORMED, "flag of %d", number);
        }
        op = op_of(type);
        op.key = has_key(type) ? base_bytes_of(NULL, 0) : base_bytes_text("key");
        cr_assert_eq(read_one(op), TORC_MALFORMED, "key of %d", number);
        op = op_of(type);
        op.value = base_bytes_text("v");
        bool value = type == WIRE_OP_ADD_DECIMAL || type == WIRE_OP_PUT || type == WIRE_OP_APPEND ||
                     type == WIRE_OP_SET_RANGE || type == WIRE_OP_GENESIS ||
                     type == WIRE_OP_REMOVE_EXPIRED || type >= WIRE_OP_TXN_PREPARE;
        cr_assert_eq(read_one(op), value ? TORC_OK : TORC_MALFORMED, "value of %d", number);
    }
    struct wire_op bit = op_of(WIRE_OP_SET_BIT);
    bit.b = 1;
    cr_assert_eq(read_one(bit), TORC_OK);
    struct wire_op position = op_of(WIRE_OP_BIT_POSITION);
    position.flags = WIRE_OP_NO_END | WIRE_OP_BITS;
    cr_assert_eq(read_one(position), TORC_MALFORMED);
    position.flags = WIRE_OP_NO_END;
    position.b = 1;
    cr_assert_eq(read_one(position), TORC_MALFORMED);
    struct wire_op walk = op_of(WIRE_OP_SCAN);
    walk.b = 0;
    cr_assert_eq(read_one(walk), TORC_MALFORMED);
    struct wire_op by_value = op_of(WIRE_OP_PUT);
    by_value.condition = WIRE_IF_VALUE;
    by_value.value = base_bytes_text("old");
    by_value.a = 3;
    cr_assert_eq(read_one(by_value), TORC_OK);
    by_value.a = 4;
    cr_assert_eq(read_one(by_value), TORC_MALFORMED);
}

/* Clients cannot send what only a leader may, and the leader's requests are nobody's. */
Test(op, internal_operations_are_the_leaders)
{
    static struct built built;
    struct wire_request request;
    struct wire_op tick = op_of(WIRE_OP_TICK), get = op_of(WIRE_OP_GET);
    build_begin(&built, 0);
    build_op(&built, &tick);
    cr_assert_eq(build_read(&built, &request), TORC_MALFORMED);
    build_begin(&built, WIRE_REQUEST_INTERNAL);
    build_op(&built, &get);
    cr_assert_eq(build_read(&built, &request), TORC_MALFORMED);
    for (size_t at = 8; at < WIRE_REQUEST_HEADER_SIZE; at++) {
        build_begin(&built, WIRE_REQUEST_INTERNAL);
        build_op(&built, &tick);
        cr_assert_eq(build_read(&built, &request), TORC_OK);
        built.bytes[at] = 1;
        cr_assert_eq(build_read(&built, &request), TORC_MALFORMED);
    }
}

/* Operations that walk many keys are alone in their request. */
Test(op, walks_are_alone)
{
    static struct built built;
    struct wire_request request;
    struct wire_op scan = op_of(WIRE_OP_SCAN), get = op_of(WIRE_OP_GET);
    build_begin(&built, 0);
    build_op(&built, &scan);
    cr_assert_eq(build_read(&built, &request), TORC_OK);
    build_op(&built, &get);
    cr_assert_eq(build_read(&built, &request), TORC_MALFORMED);
}

/* Whatever is cut off, added, or miscounted is refused; what follows a request is not its business.
 */
Test(op, sizes_and_counts_are_exact)
{
    static struct built built;
    struct wire_request request;
    build_begin(&built, 0);
    cr_assert_eq(build_read(&built, &request), TORC_MALFORMED); /* No operation. */
    struct wire_op put = op_of(WIRE_OP_PUT);
    put.value = base_bytes_text("value");
    build_op(&built, &put);
    build_op(&built, &put);
    for (int difference = -1; difference <= 1; difference++) {
        wire_request_end(built.bytes, built.size, (uint16_t)(2 + difference));
        cr_assert_eq(wire_request_read(base_bytes_of(built.bytes, built.size), &limits, &request),
                     difference == 0 ? TORC_OK : TORC_MALFORMED);
        wire_request_end(built.bytes, built.size + (size_t)difference, 2);
        cr_assert_eq(
            wire_request_read(base_bytes_of(built.bytes, built.size + 1), &limits, &request),
            difference == 0 ? TORC_OK : TORC_MALFORMED);
    }
    wire_request_end(built.bytes, built.size, 2);
    for (size_t size = 0; size < built.size; size++)
        cr_assert_eq(wire_request_read(base_bytes_of(built.bytes, size), &limits, &request),
                     TORC_MALFORMED);
    for (size_t size = 0; size < WIRE_REQUEST_HEADER_SIZE; size++) { /* Less than its own head. */
        base_put_le32(built.bytes + 4, (uint32_t)size);
        cr_assert_eq(wire_request_read(base_bytes_of(built.bytes, built.size), &limits, &request),
                     TORC_MALFORMED);
    }
}

/* What passes a limit is too large, and exactly the limit is not. */
Test(op, limits_hold)
{
    static const uint8_t zeros[8192];
    struct wire_op put = op_of(WIRE_OP_PUT);
    put.key = base_bytes_of(zeros, limits.key_size_max);
    put.value = base_bytes_of(zeros, limits.value_size_max);
    cr_assert_eq(read_one(put), TORC_OK);
    put.key.size++;
    cr_assert_eq(read_one(put), TORC_TOO_LARGE);
    put.key.size--;
    put.value.size++;
    cr_assert_eq(read_one(put), TORC_TOO_LARGE);
    /* Old and new value each have the limit to themselves. */
    put.condition = WIRE_IF_VALUE;
    put.value.size = 2 * limits.value_size_max;
    put.a = limits.value_size_max;
    cr_assert_eq(read_one(put), TORC_OK);
    put.a--;
    cr_assert_eq(read_one(put), TORC_TOO_LARGE);
    put.a += 2;
    cr_assert_eq(read_one(put), TORC_TOO_LARGE);

    static struct built built;
    build_begin(&built, 0);
    struct wire_op get = op_of(WIRE_OP_GET);
    build_op(&built, &get);
    wire_request_end(built.bytes, built.size, 1);
    struct wire_limits small = limits;
    struct wire_request request;
    small.request_size_max = (uint32_t)built.size;
    struct base_bytes bytes = base_bytes_of(built.bytes, built.size);
    cr_assert_eq(wire_request_read(bytes, &small, &request), TORC_OK);
    small.request_size_max--;
    cr_assert_eq(wire_request_read(bytes, &small, &request), TORC_TOO_LARGE);
}

/* Answers of random results read as they were written; cut short they are refused. */
Test(op, answers_read_as_they_were_written)
{
    static uint8_t at[4096];
    uint8_t noise[64] = {1, 2, 3};
    struct base_prng prng = base_prng_seeded(2);
    for (int round = 0; round < 500; round++) {
        struct wire_result results[8];
        size_t count = base_prng_range(&prng, 1, 8);
        size_t size = wire_answer_begin(at, sizeof(at), WIRE_DONE, 1, 2, 3);
        for (size_t i = 0; i < count; i++) {
            enum wire_result_kind kind =
                (enum wire_result_kind)base_prng_range(&prng, WIRE_RESULT_NIL, WIRE_RESULT_ERROR);
            bool bytes = kind == WIRE_RESULT_BYTES || kind == WIRE_RESULT_KEYS;
            size_t bytes_size = bytes ? (size_t)round % 64 : 0;
            bool number = bytes || kind == WIRE_RESULT_INTEGER || kind == WIRE_RESULT_STAT;
            results[i] = (struct wire_result){
                .kind = kind,
                .error = kind == WIRE_RESULT_ERROR ? WIRE_ERROR_OVERFLOW : 0,
                .number = number ? base_prng_next(&prng) : 0,
                .version = base_prng_next(&prng),
                .bytes = base_bytes_of(noise, kind == WIRE_RESULT_STAT ? 8 : bytes_size),
            };
            size += wire_result_write(at + size, sizeof(at) - size, &results[i]);
        }
        wire_answer_end(at, size, (uint16_t)count);
        struct wire_answer answer;
        cr_assert_eq(wire_answer_read(base_bytes_of(at, size + 5), &answer), TORC_OK);
        cr_assert_eq(answer.encoded.size, size);
        struct wire_result result;
        size_t cursor = 0, i = 0;
        for (; wire_result_next(&answer, &cursor, &result); i++) {
            cr_assert(result.kind == results[i].kind && result.error == results[i].error &&
                      result.number == results[i].number && result.version == results[i].version &&
                      base_bytes_equal(result.bytes, results[i].bytes));
        }
        cr_assert_eq(i, count);
        for (size_t cut = 0; cut < size; cut++)
            cr_assert_eq(wire_answer_read(base_bytes_of(at, cut), &answer), TORC_MALFORMED);
        wire_answer_end(at, size, (uint16_t)(count + 1));
        cr_assert_eq(wire_answer_read(base_bytes_of(at, size), &answer), TORC_MALFORMED);
    }
}

/* A result is of a kind that there is, with that kind's fields and no others. */
Test(op, results_fit_their_kind)
{
    static const uint8_t noise[9];
    const struct wire_result bad[] = {
        {.kind = (enum wire_result_kind)0},
        {.kind = (enum wire_result_kind)(WIRE_RESULT_ERROR + 1)},
        {.kind = WIRE_RESULT_ERROR},
        {.kind = WIRE_RESULT_ERROR, .error = (enum wire_error)(WIRE_ERROR_INFINITE + 1)},
        {.kind = WIRE_RESULT_ERROR, .error = WIRE_ERROR_OVERFLOW, .number = 1},
        {.kind = WIRE_RESULT_OK, .error = WIRE_ERROR_OVERFLOW},
        {.kind = WIRE_RESULT_OK, .number = 1},
        {.kind = WIRE_RESULT_NIL, .bytes = {noise, 1}},
        {.kind = WIRE_RESULT_INTEGER, .bytes = {noise, 1}},
        {.kind = WIRE_RESULT_STAT, .bytes = {noise, 7}},
        {.kind = WIRE_RESULT_STAT, .bytes = {noise, 9}},
    };
    uint8_t at[128];
    struct wire_answer answer;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t size = wire_answer_begin(at, sizeof(at), WIRE_DONE, 1, 2, 3);
        size += wire_result_write(at + size, sizeof(at) - size, &bad[i]);
        wire_answer_end(at, size, 1);
        cr_assert_eq(wire_answer_read(base_bytes_of(at, size), &answer), TORC_MALFORMED, "%zu", i);
    }
}

/* Only "done" has results, and it always has. */
Test(op, only_done_has_results)
{
    uint8_t at[128];
    struct wire_answer answer;
    struct wire_result result = {.kind = WIRE_RESULT_OK};
    for (int status = 0; status < 12; status++) {
        for (uint16_t count = 0; count <= 1; count++) {
            size_t size =
                wire_answer_begin(at, sizeof(at), (enum wire_answer_status)status, 1, 2, 3);
            if (count == 1)
                size += wire_result_write(at + size, sizeof(at) - size, &result);
            wire_answer_end(at, size, count);
            bool good = status >= WIRE_DONE && status <= WIRE_TOO_EARLY &&
                        (status == WIRE_DONE) == (count == 1);
            cr_assert_eq(wire_answer_read(base_bytes_of(at, size), &answer),
                         good ? TORC_OK : TORC_MALFORMED);
        }
    }
}

/* The keys of a SCAN read as they were written, and nothing else does. */
Test(op, scanned_keys_are_validated)
{
    uint8_t at[64];
    size_t size = wire_key_write(at, sizeof(at), 7, base_bytes_text("one"));
    size += wire_key_write(at + size, sizeof(at) - size, 8, base_bytes_text("three"));
    uint64_t token;
    struct base_bytes key;
    size_t cursor = 0;
    cr_assert_eq(wire_key_next(base_bytes_of(at, size), &cursor, &token, &key), TORC_OK);
    cr_assert(token == 7 && base_bytes_equal(key, base_bytes_text("one")));
    cr_assert_eq(wire_key_next(base_bytes_of(at, size), &cursor, &token, &key), TORC_OK);
    cr_assert(token == 8 && base_bytes_equal(key, base_bytes_text("three")));
    cr_assert_eq(wire_key_next(base_bytes_of(at, size), &cursor, &token, &key), TORC_NOT_FOUND);
    for (size_t cut = 14; cut < size; cut++) {
        cursor = 13;
        cr_assert_eq(wire_key_next(base_bytes_of(at, cut), &cursor, &token, &key), TORC_MALFORMED);
    }
}

/* An entry is its header and at least one request's worth of bytes for each that it counts. */
Test(op, entry_header_is_validated)
{
    static uint8_t at[1024];
    struct wire_entry entry;
    wire_entry_begin(at, sizeof(at), 5, 2);
    size_t least = WIRE_ENTRY_HEADER_SIZE + 2 * (WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE);
    cr_assert_eq(wire_entry_read(base_bytes_of(at, least), &entry), TORC_OK);
    for (size_t size = 0; size < least; size++)
        cr_assert_eq(wire_entry_read(base_bytes_of(at, size), &entry), TORC_MALFORMED);
    for (size_t i = 0; i < 4; i++) {
        at[i] ^= 1;
        cr_assert_eq(wire_entry_read(base_bytes_of(at, least), &entry), TORC_MALFORMED);
        at[i] ^= 1;
    }
    wire_entry_begin(at, sizeof(at), 5, 0);
    cr_assert_eq(wire_entry_read(base_bytes_of(at, least), &entry), TORC_MALFORMED);
}

/* Flags that nobody gives, what must be zero, more operations than may be, and keys of no size. */
Test(op, fields_out_of_range_are_refused)
{
    static struct built built;
    struct wire_request request;
    struct wire_op put = op_of(WIRE_OP_PUT), get = op_of(WIRE_OP_GET);
    build_begin(&built, 0);
    build_op(&built, &put);
    cr_assert_eq(build_read(&built, &request), TORC_OK);
    for (unsigned bit = 0; bit < 8; bit++) {
        built.bytes[1] = (uint8_t)(1u << bit);
        cr_assert_eq(build_read(&built, &request), TORC_MALFORMED, "flag %u", bit);
    }
    built.bytes[1] = 0;
    for (size_t at = 6; at < 8; at++) {
        built.bytes[WIRE_REQUEST_HEADER_SIZE + at] = 1;
        cr_assert_eq(build_read(&built, &request), TORC_MALFORMED, "byte %zu", at);
        built.bytes[WIRE_REQUEST_HEADER_SIZE + at] = 0;
    }
    cr_assert_eq(build_read(&built, &request), TORC_OK);
    static uint8_t many[WIRE_REQUEST_HEADER_SIZE + (WIRE_OPS_MAX + 1) * 64];
    size_t size = wire_request_begin(many, sizeof(many), (struct wire_client_id){1, 2}, 3, 4, 0);
    const struct wire_limits wide = {256, 4096, sizeof(many)};
    for (uint32_t count = 1; count <= WIRE_OPS_MAX + 1; count++) {
        size += wire_op_write(many + size, sizeof(many) - size, &get);
        if (count < WIRE_OPS_MAX)
            continue;
        base_put_le16(many + 2, (uint16_t)count);
        base_put_le32(many + 4, (uint32_t)size);
        cr_assert_eq(wire_request_read(base_bytes_of(many, size), &wide, &request),
                     count == WIRE_OPS_MAX ? TORC_OK : TORC_MALFORMED);
    }
    uint8_t keys[64];
    uint64_t token;
    struct base_bytes key;
    size_t cursor = 0;
    size = wire_key_write(keys, sizeof(keys), 7, base_bytes_text("one"));
    keys[8] = 0;
    cr_assert_eq(wire_key_next(base_bytes_of(keys, size), &cursor, &token, &key), TORC_MALFORMED);
}

/* A request that only reads may say how, in one way; one that writes may not. */
Test(op, reads_say_how_they_are_done)
{
    static struct built built;
    struct wire_request request;
    const struct wire_op read = op_of(WIRE_OP_GET), write = op_of(WIRE_OP_DELETE);
    for (uint8_t flags = 0; flags < 16; flags++) {
        for (int writes = 0; writes < 2; writes++) {
            bool how = flags == WIRE_REQUEST_QUORUM || flags == WIRE_REQUEST_STALE;
            if (flags == WIRE_REQUEST_INTERNAL)
                continue; /* Of other operations. */
            build_begin(&built, flags);
            build_op(&built, &read);
            if (writes == 1)
                build_op(&built, &write);
            bool fits = flags == 0 || (how && writes == 0);
            cr_assert_eq(build_read(&built, &request), fits ? TORC_OK : TORC_MALFORMED, "flags %d",
                         flags);
            cr_assert(!fits || request.flags == flags);
        }
    }
}
