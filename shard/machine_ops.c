#include "base/decimal.h"
#include "shard/bits.h"
#include "base/mutant.h"
#include "shard/machine_int.h"

/*
 * What an operation on one key does. Each reads the key's row (only a blind PUT does not), adds its
 * result while the old value is still in place, and then writes.
 */

enum { DECIMAL_SIZE_MAX = 20 }; /* "-9223372036854775808" */

/* ---- Results ------------------------------------------------------------------------------------
 */

static void result_simple(struct shard_run *run, enum wire_result_kind kind, uint64_t number,
                          uint64_t version)
{
    struct wire_result result = {.kind = kind, .number = number, .version = version};
    shard_answer_result(run, &result);
}

static void result_error(struct shard_run *run, enum wire_error error, uint64_t version)
{
    struct wire_result result = {.kind = WIRE_RESULT_ERROR, .error = error, .version = version};
    shard_answer_result(run, &result);
}

/* Whether the row's value may still go into the answer. */
static bool value_fits(const struct shard_run *run, const struct shard_row *row)
{
    return row->value.size <= run->values_left;
}

/* Bytes of the row's value, or nil for an absent key; `version` is that of the key after the
 * operation. */
static void result_bytes(struct shard_run *run, const struct shard_row *row, uint64_t version,
                         struct base_bytes bytes)
{
    if (!row->live) {
        result_simple(run, WIRE_RESULT_NIL, 0, version);
        return;
    }
    TORC_ASSERT(bytes.size <= run->values_left);
    run->values_left -= bytes.size;
    struct wire_result result = {
        .kind = WIRE_RESULT_BYTES,
        .number = row->expiry_ms,
        .version = version,
        .bytes = bytes,
    };
    shard_answer_result(run, &result);
}

static void result_value(struct shard_run *run, const struct shard_row *row, uint64_t version)
{
    result_bytes(run, row, version, row->value);
}

/* ---- Conditions and times -----------------------------------------------------------------------
 */

/* The bytes that WIRE_IF_VALUE compares with. */
static struct base_bytes op_expected(const struct wire_op *op)
{
    return op->type == WIRE_OP_PUT ? base_bytes_of(op->value.data, (size_t)op->a) : op->value;
}

/* The value that a PUT brings. */
static struct base_bytes op_value(const struct wire_op *op)
{
    if (op->condition != WIRE_IF_VALUE)
        return op->value;
    return base_bytes_of(op->value.data + op->a, op->value.size - (size_t)op->a);
}

bool shard_op_holds(const struct wire_op *op, const struct shard_row *row)
{
    switch (op->condition) {
    case WIRE_IF_ALWAYS:
        return true;
    case WIRE_IF_ABSENT:
        return TORC_MUTANT(ABSENT_BUT_STORED) ? !row->stored : !row->live;
    case WIRE_IF_PRESENT:
        return row->live;
    case WIRE_IF_VERSION:
        return row->version == op->a;
    case WIRE_IF_VALUE:
        return row->live && base_bytes_equal(row->value, op_expected(op));
    case WIRE_IF_NO_EXPIRY:
    case WIRE_IF_EXPIRY:
    case WIRE_IF_LATER:
    case WIRE_IF_EARLIER:
    case WIRE_IF_EXPIRY_EARLIER:
        break;
    }
    TORC_ASSERT(!"a condition on the state");
    return false;
}

/* Whether an expiry may replace the one that the key has; none is infinitely late. */
static bool expiry_holds(const struct wire_op *op, uint64_t old_ms, int64_t new_ms)
{
    switch (op->condition) {
    case WIRE_IF_ALWAYS:
        return true;
    case WIRE_IF_NO_EXPIRY:
        return old_ms == 0;
    case WIRE_IF_EXPIRY:
        return old_ms != 0;
    case WIRE_IF_LATER:
        return old_ms != 0 && new_ms > (int64_t)old_ms;
    case WIRE_IF_EARLIER:
        return old_ms == 0 || new_ms < (int64_t)old_ms;
    case WIRE_IF_EXPIRY_EARLIER:
        return old_ms != 0 && new_ms < (int64_t)old_ms;
    case WIRE_IF_ABSENT:
    case WIRE_IF_PRESENT:
    case WIRE_IF_VERSION:
    case WIRE_IF_VALUE:
        break;
    }
    TORC_ASSERT(!"a condition on the expiry");
    return false;
}

/* When the operation's time is, in Unix milliseconds; false: beyond what can be said. */
static bool op_expiry(const struct shard_run *run, const struct wire_op *op, int64_t *ret_ms)
{
    int64_t now_ms = (int64_t)base_hlc_to_ms(run->clock);
    int64_t given = (int64_t)op->b;
    if (op->expiry_mode == WIRE_EXPIRY_ABSOLUTE) {
        *ret_ms = given;
        return true;
    }
    TORC_ASSERT(op->expiry_mode == WIRE_EXPIRY_RELATIVE);
    if (TORC_MUTANT(TTL_TOO_LONG) && given < INT64_MAX / 2)
        given *= 2;
    if (given > INT64_MAX - now_ms)
        return false;
    *ret_ms = now_ms + given;
    return true;
}

static bool is_past(const struct shard_run *run, int64_t ms)
{
    return ms <= (int64_t)base_hlc_to_ms(run->clock);
}

/* ---- Decimal integers, as Redis reads them: no sign but '-', no space, no leading zero ----------
 */

static bool decimal_read(struct base_bytes text, int64_t *ret_value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative ? 1 : 0;
    if (text.size == at || text.size > DECIMAL_SIZE_MAX)
        return false;
    if (text.data[at] == '0' && text.size > 1)
        return false;
    uint64_t bound = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t value = 0;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.data[at] - '0');
        if (value > (bound - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static size_t decimal_write(int64_t value, uint8_t at[DECIMAL_SIZE_MAX])
{
    uint8_t digits[DECIMAL_SIZE_MAX];
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t count = 0;
    do {
        digits[count++] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    size_t size = 0;
    if (value < 0)
        at[size++] = '-';
    while (count > 0)
        at[size++] = digits[--count];
    return size;
}

static bool sum_overflows(int64_t a, int64_t b)
{
    return b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b;
}

/* ---- Operations ---------------------------------------------------------------------------------
 */

/* The row with another expiry and the same value. */
static void row_retime(struct shard_run *run, const struct wire_op *op, uint64_t token,
                       const struct shard_row *row, uint64_t expiry_ms)
{
    uint8_t *value = shard_row_value(run, row->value.size);
    if (row->value.size > 0)
        memcpy(value, row->value.data, row->value.size);
    shard_row_put(run, token, op->key, row, expiry_ms, row->value.size);
}

static void get_run(struct shard_run *run, const struct shard_row *row)
{
    if (value_fits(run, row))
        result_value(run, row, row->version);
    else
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
}

static void get_range_run(struct shard_run *run, const struct wire_op *op,
                          const struct shard_row *row)
{
    struct shard_range range =
        shard_range_clip((int64_t)op->a, (int64_t)op->b, row->value.size, true /* in order */);
    if (range.count > run->values_left) {
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
        return;
    }
    struct base_bytes bytes = base_bytes_of(NULL, 0);
    if (range.count > 0)
        bytes = base_bytes_of(row->value.data + range.first, (size_t)range.count);
    result_bytes(run, row, row->version, bytes);
}

static void stat_run(struct shard_run *run, const struct shard_row *row)
{
    if (!row->live) {
        result_simple(run, WIRE_RESULT_NIL, 0, row->version);
        return;
    }
    uint8_t size[8];
    base_put_le64(size, row->value.size);
    struct wire_result result = {
        .kind = WIRE_RESULT_STAT,
        .number = row->expiry_ms,
        .version = row->version,
        .bytes = base_bytes_of(size, sizeof(size)),
    };
    shard_answer_result(run, &result);
}

/* `row` NULL: a blind put. */
static void put_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                    const struct shard_row *row)
{
    bool timed = op->expiry_mode == WIRE_EXPIRY_RELATIVE || op->expiry_mode == WIRE_EXPIRY_ABSOLUTE;
    bool return_old = (op->flags & WIRE_OP_RETURN_OLD) != 0;
    int64_t expiry_ms = 0;
    if (timed && !op_expiry(run, op, &expiry_ms)) {
        TORC_ASSERT(row != NULL);
        result_error(run, WIRE_ERROR_INVALID_EXPIRY, row->version);
        return;
    }
    if (return_old && !value_fits(run, row)) {
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
        return;
    }
    bool holds = row == NULL || shard_op_holds(op, row);
    uint64_t version = holds ? run->clock : row->version;
    if (return_old)
        result_value(run, row, version);
    else
        result_simple(run, holds ? WIRE_RESULT_OK : WIRE_RESULT_NIL, 0, version);
    if (!holds || (TORC_MUTANT(EXPIRING_PUT_SKIPPED) && timed && run->clock % 5 == 0))
        return;
    if (timed && is_past(run, expiry_ms)) {
        shard_row_delete(run, token, op->key, row);
        return;
    }
    if (op->expiry_mode == WIRE_EXPIRY_KEEP && row->live)
        expiry_ms = (int64_t)row->expiry_ms;
    if (TORC_MUTANT(TTL_LOST) && run->clock % 5 == 0)
        expiry_ms = 0;
    struct base_bytes value = op_value(op);
    if (TORC_MUTANT(VALUE_OF_EXPIRING_WRONG) && row != NULL && row->live && row->expiry_ms != 0 &&
        run->clock % 5 == 0)
        value = row->value;
    uint8_t *at = shard_row_value(run, value.size);
    if (value.size > 0)
        memcpy(at, value.data, value.size);
    shard_row_put(run, token, op->key, row, (uint64_t)expiry_ms, value.size);
}

static bool put_is_blind(const struct shard_run *run, const struct wire_op *op)
{
    int64_t expiry_ms;
    return op->type == WIRE_OP_PUT && op->condition == WIRE_IF_ALWAYS &&
           (op->flags & WIRE_OP_RETURN_OLD) == 0 && op->expiry_mode != WIRE_EXPIRY_KEEP &&
           (op->expiry_mode != WIRE_EXPIRY_RELATIVE || op_expiry(run, op, &expiry_ms));
}

static void delete_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                       const struct shard_row *row)
{
    bool return_old = (op->flags & WIRE_OP_RETURN_OLD) != 0;
    if (return_old && !value_fits(run, row)) {
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
        return;
    }
    bool holds = shard_op_holds(op, row);
    bool deletes = holds && row->live;
    uint64_t version = deletes ? run->clock : row->version;
    if (return_old)
        result_value(run, row, version);
    else
        result_simple(run, holds ? WIRE_RESULT_INTEGER : WIRE_RESULT_NIL, deletes, version);
    if (deletes)
        shard_row_delete(run, token, op->key, row);
}

static void add_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                    const struct shard_row *row)
{
    int64_t value = 0, delta = (int64_t)op->a;
    if (row->live && !decimal_read(row->value, &value)) {
        result_error(run, WIRE_ERROR_NOT_INTEGER, row->version);
        return;
    }
    if (sum_overflows(value, delta)) {
        result_error(run, WIRE_ERROR_OVERFLOW, row->version);
        return;
    }
    value += delta;
    result_simple(run, WIRE_RESULT_INTEGER, (uint64_t)value, run->clock);
    size_t size = decimal_write(value, shard_row_value(run, DECIMAL_SIZE_MAX));
    shard_row_put(run, token, op->key, row, row->live ? row->expiry_ms : 0, size);
}

/* The sum's digits become the new value in its place, and the answer shows it from there. */
static void add_decimal_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                            const struct shard_row *row)
{
    struct base_decimal value, increment, sum;
    struct base_bytes old = row->live ? row->value : base_bytes_of("0", 1);
    if (!base_decimal_read(old, &value) || !base_decimal_read(op->value, &increment)) {
        result_error(run, WIRE_ERROR_NOT_DECIMAL, row->version);
        return;
    }
    size_t size = 0;
    uint8_t *at = shard_row_value(run, BASE_DECIMAL_TEXT_MAX);
    if (base_decimal_add(&value, &increment, &sum))
        size = base_decimal_write(&sum, at);
    if (size == 0) {
        result_error(run, WIRE_ERROR_INFINITE, row->version);
        return;
    }
    if (size > run->machine->limits.value_size_max || size > run->values_left) {
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
        return;
    }
    run->values_left -= size;
    uint64_t expiry_ms = row->live ? row->expiry_ms : 0;
    struct wire_result result = {
        .kind = WIRE_RESULT_BYTES,
        .number = expiry_ms,
        .version = run->clock,
        .bytes = base_bytes_of(at, size),
    };
    shard_answer_result(run, &result);
    shard_row_put(run, token, op->key, row, expiry_ms, size);
}

/* A copy of the row's value in a new one of `size` bytes, with zeros behind it. */
static uint8_t *value_grown(struct shard_run *run, const struct shard_row *row, size_t size)
{
    size_t old_size = row->value.size;
    TORC_ASSERT(size >= old_size);
    uint8_t *at = shard_row_value(run, size);
    if (old_size > 0)
        memcpy(at, row->value.data, old_size);
    if (size > old_size)
        memset(at + old_size, TORC_MUTANT(GAP_NOT_ZERO) ? 1 : 0, size - old_size);
    return at;
}

/* APPEND is a SET_RANGE at the value's end that also creates an empty value. */
static void set_range_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                          const struct shard_row *row)
{
    size_t old_size = row->value.size;
    uint64_t offset = op->type == WIRE_OP_APPEND ? old_size : op->a;
    if (op->type == WIRE_OP_SET_RANGE && op->value.size == 0) {
        result_simple(run, WIRE_RESULT_INTEGER, old_size, row->version);
        return;
    }
    uint32_t size_max = run->machine->limits.value_size_max;
    if (TORC_MUTANT(APPEND_REFUSED) && run->clock % 3 == 0)
        size_max = 0;
    if (op->value.size > size_max || offset > size_max - op->value.size) {
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
        return;
    }
    size_t end = (size_t)offset + op->value.size;
    size_t size = end > old_size ? end : old_size;
    result_simple(run, WIRE_RESULT_INTEGER, size, run->clock);
    uint8_t *at = value_grown(run, row, size);
    if (op->value.size > 0)
        memcpy(at + offset, op->value.data, op->value.size);
    bool keeps = row->live && !TORC_MUTANT(APPEND_DROPS_TTL);
    shard_row_put(run, token, op->key, row, keeps ? row->expiry_ms : 0, size);
}

/* The bits that BIT_COUNT and BIT_POSITION look at. */
static struct shard_range op_bits(const struct wire_op *op, const struct shard_row *row)
{
    bool in_bits = (op->flags & WIRE_OP_BITS) != 0;
    int64_t last = (op->flags & WIRE_OP_NO_END) != 0 ? -1 : (int64_t)op->b;
    uint64_t size = (uint64_t)row->value.size * (in_bits ? 8 : 1);
    bool in_order = op->type == WIRE_OP_BIT_COUNT; /* As Redis does it. */
    struct shard_range range = shard_range_clip((int64_t)op->a, last, size, in_order);
    if (in_bits)
        return range;
    return (struct shard_range){range.first * 8, range.count * 8};
}

static void bit_count_run(struct shard_run *run, const struct wire_op *op,
                          const struct shard_row *row)
{
    uint64_t count = shard_bits_count(row->value, op_bits(op, row));
    result_simple(run, WIRE_RESULT_INTEGER, count, row->version);
}

/* An absent key is zeros without end; so is what follows a value whose range has no end. */
static void bit_position_run(struct shard_run *run, const struct wire_op *op,
                             const struct shard_row *row)
{
    bool one = (op->flags & WIRE_OP_ONE) != 0;
    bool endless = (op->flags & WIRE_OP_NO_END) != 0;
    struct shard_range range = op_bits(op, row);
    int64_t position = shard_bits_find(row->value, range, one);
    if (position < 0 && !one && !row->live)
        position = 0;
    else if (position < 0 && !one && endless && range.count > 0)
        position = (int64_t)row->value.size * 8;
    result_simple(run, WIRE_RESULT_INTEGER, (uint64_t)position, row->version);
}

static void set_bit_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                        const struct shard_row *row)
{
    size_t old_size = row->value.size;
    if (op->a / 8 >= run->machine->limits.value_size_max) {
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
        return;
    }
    size_t byte = (size_t)(op->a / 8), size = byte < old_size ? old_size : byte + 1;
    uint8_t mask = (uint8_t)(0x80 >> op->a % 8);
    bool before = byte < old_size && (row->value.data[byte] & mask) != 0;
    result_simple(run, WIRE_RESULT_INTEGER, before, run->clock);
    uint8_t *at = value_grown(run, row, size);
    at[byte] = (uint8_t)(op->b == 1 ? at[byte] | mask : at[byte] & ~mask);
    shard_row_put(run, token, op->key, row, row->live ? row->expiry_ms : 0, size);
}

/* The result of EXPIRE and PERSIST; false: the old value does not fit, and nothing may be done. */
static bool result_retimed(struct shard_run *run, const struct wire_op *op,
                           const struct shard_row *row, bool holds)
{
    bool return_old = (op->flags & WIRE_OP_RETURN_OLD) != 0;
    uint64_t version = holds ? run->clock : row->version;
    if (return_old && !value_fits(run, row)) {
        result_error(run, WIRE_ERROR_TOO_LARGE, row->version);
        return false;
    }
    if (return_old)
        result_value(run, row, version);
    else
        result_simple(run, WIRE_RESULT_INTEGER, holds, version);
    return true;
}

static void expire_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                       const struct shard_row *row)
{
    int64_t expiry_ms;
    if (!op_expiry(run, op, &expiry_ms)) {
        result_error(run, WIRE_ERROR_INVALID_EXPIRY, row->version);
        return;
    }
    bool holds = row->live && expiry_holds(op, row->expiry_ms, expiry_ms);
    if (!result_retimed(run, op, row, holds))
        return;
    if (!holds)
        return;
    if (is_past(run, expiry_ms))
        shard_row_delete(run, token, op->key, row);
    else
        row_retime(run, op, token, row, (uint64_t)expiry_ms);
}

static void persist_run(struct shard_run *run, const struct wire_op *op, uint64_t token,
                        const struct shard_row *row)
{
    bool holds = row->live && row->expiry_ms != 0;
    if (result_retimed(run, op, row, holds) && holds)
        row_retime(run, op, token, row, 0 /* none */);
}

enum torc_status shard_op_run(struct shard_run *run, const struct wire_op *op, uint64_t token)
{
    if (op->type == WIRE_OP_SCAN || op->type == WIRE_OP_COUNT || op->type == WIRE_OP_CLEAR)
        return shard_walk_run(run, op);
    if (!TORC_MUTANT(VALUE_OF_EXPIRING_WRONG) && put_is_blind(run, op)) {
        put_run(run, op, token, NULL);
        return TORC_OK;
    }
    struct shard_row row;
    enum torc_status status = shard_row_read(run, token, op->key, &row);
    if (status != TORC_OK)
        return status;
    switch (op->type) {
    case WIRE_OP_GET:
        get_run(run, &row);
        break;
    case WIRE_OP_GET_RANGE:
        get_range_run(run, op, &row);
        break;
    case WIRE_OP_BIT_COUNT:
        bit_count_run(run, op, &row);
        break;
    case WIRE_OP_BIT_POSITION:
        bit_position_run(run, op, &row);
        break;
    case WIRE_OP_ADD_DECIMAL:
        add_decimal_run(run, op, token, &row);
        break;
    case WIRE_OP_SET_BIT:
        set_bit_run(run, op, token, &row);
        break;
    case WIRE_OP_STAT:
        stat_run(run, &row);
        break;
    case WIRE_OP_PUT:
        put_run(run, op, token, &row);
        break;
    case WIRE_OP_DELETE:
        delete_run(run, op, token, &row);
        break;
    case WIRE_OP_ADD:
        add_run(run, op, token, &row);
        break;
    case WIRE_OP_APPEND:
    case WIRE_OP_SET_RANGE:
        set_range_run(run, op, token, &row);
        break;
    case WIRE_OP_EXPIRE:
        expire_run(run, op, token, &row);
        break;
    case WIRE_OP_PERSIST:
        persist_run(run, op, token, &row);
        break;
    case WIRE_OP_CHECK: /* It held: judged before anything ran. */
        result_simple(run, WIRE_RESULT_OK, 0, row.version);
        break;
    default:
        TORC_ASSERT(!"an operation of clients");
    }
    shard_row_release(&row);
    return TORC_OK;
}
