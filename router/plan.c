#include "router/plan.h"

#include <string.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "base/hlc.h"
#include "router/bitfield.h"
#include "router/bitop.h"
#include "router/dump.h"
#include "router/lcs.h"
#include "router/number.h"
#include "router/object.h"
#include "router/reply.h"

/* What the parsing of one command works on. */
struct planning {
    const struct router_command *command;
    const struct base_bytes *args;
    size_t arg_count;
    const struct wire_limits *limits;
    struct router_plan *plan;
    struct router_buffer *error;
};

static bool fail(struct planning *planning, const char *text)
{
    router_buffer_text(planning->error, text);
    return false;
}

static bool word_is(struct base_bytes word, const char *text)
{
    size_t size = strlen(text);
    if (word.size != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = word.data[i];
        if (byte >= 'a' && byte <= 'z')
            byte = (uint8_t)(byte - 'a' + 'A');
        if (byte != (uint8_t)text[i])
            return false;
    }
    return true;
}

static bool fail_arity(struct planning *planning)
{
    router_buffer_format(planning->error, "ERR wrong number of arguments for '%s' command",
                         planning->command->name);
    return false;
}

static bool fail_expiry(struct planning *planning)
{
    router_buffer_format(planning->error, "ERR invalid expire time in '%s' command",
                         planning->command->name);
    return false;
}

static bool read_integer(struct planning *planning, struct base_bytes word, int64_t *ret_number)
{
    return router_number_read(word, ret_number) ||
           fail(planning, "ERR value is not an integer or out of range");
}

/* The time that a value is given with, of which a negative one or none makes no sense. */
static bool read_lifetime(struct planning *planning, struct base_bytes word, bool seconds,
                          uint64_t *ret_ms)
{
    int64_t time;
    if (!read_integer(planning, word, &time))
        return false;
    if (time <= 0 || (seconds && time > INT64_MAX / 1000))
        return fail_expiry(planning);
    time *= seconds ? 1000 : 1;
    if ((uint64_t)time > BASE_HLC_MS_MAX)
        return fail_expiry(planning);
    *ret_ms = (uint64_t)time;
    return true;
}

/* ---- SET
 * ----------------------------------------------------------------------------------------- */

/* The options of SET and GETEX. */
struct set_options {
    bool absent, present, old, keep, persist;
    const struct base_bytes *expiry; /* NULL: none. */
    int unit;                        /* Which of expiry_units it is given in. */
};

static const struct {
    const char *name;
    bool absolute, seconds;
} expiry_units[] = {
    {"EX", false, true}, {"PX", false, false}, {"EXAT", true, true}, {"PXAT", true, false}};

/* The same unit may come again: the last time counts. */
static size_t expiry_option(const struct base_bytes *words, size_t left,
                            struct set_options *options)
{
    for (int i = 0; i < (int)(sizeof(expiry_units) / sizeof(expiry_units[0])); i++) {
        if (!word_is(words[0], expiry_units[i].name))
            continue;
        if (left < 2 || options->keep || options->persist ||
            (options->expiry != NULL && options->unit != i))
            return 0;
        options->expiry = &words[1];
        options->unit = i;
        return 2;
    }
    return 0;
}

/* Takes one option at words[0] of `left` words; returns how many it has, 0: syntax error. */
static size_t set_option(const struct base_bytes *words, size_t left, struct set_options *options)
{
    if (word_is(words[0], "NX") && !options->present)
        options->absent = true;
    else if (word_is(words[0], "XX") && !options->absent)
        options->present = true;
    else if (word_is(words[0], "GET"))
        options->old = true;
    else if (word_is(words[0], "KEEPTTL") && options->expiry == NULL)
        options->keep = true;
    else
        return expiry_option(words, left, options);
    return 1;
}

static size_t getex_option(const struct base_bytes *words, size_t left, struct set_options *options)
{
    if (!word_is(words[0], "PERSIST") || options->expiry != NULL)
        return expiry_option(words, left, options);
    options->persist = true;
    return 1;
}

/* All words from the given one on. */
static bool read_options(struct planning *planning, size_t first,
                         size_t (*option)(const struct base_bytes *, size_t, struct set_options *),
                         struct set_options *options)
{
    for (size_t i = first; i < planning->arg_count;) {
        size_t used = option(&planning->args[i], planning->arg_count - i, options);
        if (used == 0)
            return fail(planning, "ERR syntax error");
        i += used;
    }
    return true;
}

static bool plan_expiry(struct planning *planning, const struct set_options *options)
{
    struct wire_op *op = &planning->plan->op;
    bool absolute = expiry_units[options->unit].absolute;
    op->expiry_mode = absolute ? WIRE_EXPIRY_ABSOLUTE : WIRE_EXPIRY_RELATIVE;
    return read_lifetime(planning, *options->expiry, expiry_units[options->unit].seconds, &op->b);
}

static bool plan_set(struct planning *planning)
{
    struct set_options options = {0};
    struct wire_op *op = &planning->plan->op;
    if (!read_options(planning, 3, set_option, &options))
        return false;
    op->type = WIRE_OP_PUT;
    op->value = planning->args[2];
    op->expiry_mode = options.keep ? WIRE_EXPIRY_KEEP : WIRE_EXPIRY_NONE;
    if (options.expiry != NULL && !plan_expiry(planning, &options))
        return false;
    op->condition = options.absent    ? WIRE_IF_ABSENT
                    : options.present ? WIRE_IF_PRESENT
                                      : WIRE_IF_ALWAYS;
    op->flags = options.old ? WIRE_OP_RETURN_OLD : 0;
    planning->plan->reply = options.old ? ROUTER_PLAN_VALUE : ROUTER_PLAN_OK;
    return true;
}

/* Without an option it only reads. */
static bool plan_getex(struct planning *planning)
{
    struct set_options options = {0};
    struct wire_op *op = &planning->plan->op;
    if (!read_options(planning, 2, getex_option, &options))
        return false;
    bool timed = options.expiry != NULL;
    op->type = timed ? WIRE_OP_EXPIRE : options.persist ? WIRE_OP_PERSIST : WIRE_OP_GET;
    op->flags = op->type == WIRE_OP_GET ? 0 : WIRE_OP_RETURN_OLD;
    planning->plan->reply = ROUTER_PLAN_VALUE;
    return !timed || plan_expiry(planning, &options);
}

static bool read_position(struct planning *planning, size_t arg, uint64_t *ret_position)
{
    int64_t position;
    if (!read_integer(planning, planning->args[arg], &position))
        return false;
    *ret_position = (uint64_t)position;
    return true;
}

/* GETRANGE and SUBSTR. */
static bool plan_getrange(struct planning *planning)
{
    struct wire_op *op = &planning->plan->op;
    op->type = WIRE_OP_GET_RANGE;
    planning->plan->reply = ROUTER_PLAN_RANGE;
    return read_position(planning, 2, &op->a) && read_position(planning, 3, &op->b);
}

static bool plan_setnx(struct planning *planning)
{
    planning->plan->op.type = WIRE_OP_PUT;
    planning->plan->op.condition = WIRE_IF_ABSENT;
    planning->plan->op.value = planning->args[2];
    planning->plan->reply = ROUTER_PLAN_DONE;
    return true;
}

/* SETEX and PSETEX. */
static bool plan_setex(struct planning *planning)
{
    struct wire_op *op = &planning->plan->op;
    op->type = WIRE_OP_PUT;
    op->value = planning->args[3];
    op->expiry_mode = WIRE_EXPIRY_RELATIVE;
    planning->plan->reply = ROUTER_PLAN_OK;
    return read_lifetime(planning, planning->args[2], planning->command->id == ROUTER_SETEX,
                         &op->b);
}

static bool plan_getset(struct planning *planning)
{
    planning->plan->op.type = WIRE_OP_PUT;
    planning->plan->op.value = planning->args[2];
    planning->plan->op.flags = WIRE_OP_RETURN_OLD;
    planning->plan->reply = ROUTER_PLAN_VALUE;
    return true;
}

static bool plan_getdel(struct planning *planning)
{
    planning->plan->op.type = WIRE_OP_DELETE;
    planning->plan->op.flags = WIRE_OP_RETURN_OLD;
    planning->plan->reply = ROUTER_PLAN_VALUE;
    return true;
}

enum { REDIS_SIZE_MAX = 512 * 1024 * 1024 }; /* Of its values. */

static bool plan_setrange(struct planning *planning)
{
    int64_t offset;
    if (!read_integer(planning, planning->args[2], &offset))
        return false;
    if (offset < 0)
        return fail(planning, "ERR offset is out of range");
    if (planning->args[3].size > 0 && (uint64_t)offset + planning->args[3].size > REDIS_SIZE_MAX)
        return fail(planning, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    planning->plan->op.type = WIRE_OP_SET_RANGE;
    planning->plan->op.a = (uint64_t)offset;
    planning->plan->op.value = planning->args[3];
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    return true;
}

/* ---- Bits
 * ---------------------------------------------------------------------------------------- */

/* Redis's bits end where its largest value does, at 512 MiB. */
static bool read_bit_offset(struct planning *planning, uint64_t *ret_offset)
{
    int64_t offset;
    if (!router_number_read(planning->args[2], &offset) || offset < 0 || offset > UINT32_MAX)
        return fail(planning, "ERR bit offset is not an integer or out of range");
    *ret_offset = (uint64_t)offset;
    return true;
}

/* GETBIT counts a range of one bit. */
static bool plan_getbit(struct planning *planning)
{
    struct wire_op *op = &planning->plan->op;
    op->type = WIRE_OP_BIT_COUNT;
    op->flags = WIRE_OP_BITS;
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    if (!read_bit_offset(planning, &op->a))
        return false;
    op->b = op->a;
    return true;
}

static bool plan_setbit(struct planning *planning)
{
    struct wire_op *op = &planning->plan->op;
    int64_t bit;
    if (!read_bit_offset(planning, &op->a))
        return false;
    if (!router_number_read(planning->args[3], &bit) || bit < 0 || bit > 1)
        return fail(planning, "ERR bit is not an integer or out of range");
    op->type = WIRE_OP_SET_BIT;
    op->b = (uint64_t)bit;
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    return true;
}

static bool read_unit(struct planning *planning, struct base_bytes word)
{
    if (word_is(word, "BIT"))
        planning->plan->op.flags |= WIRE_OP_BITS;
    else if (!word_is(word, "BYTE"))
        return fail(planning, "ERR syntax error");
    return true;
}

static bool plan_bitcount(struct planning *planning)
{
    struct wire_op *op = &planning->plan->op;
    size_t count = planning->arg_count;
    op->type = WIRE_OP_BIT_COUNT;
    op->b = (uint64_t)-1;
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    if (count == 3 || count > 5)
        return fail(planning, "ERR syntax error");
    if (count > 3 && (!read_position(planning, 2, &op->a) || !read_position(planning, 3, &op->b)))
        return false;
    /* As in Redis: a range that is empty whatever the size is answered before the unit is read. */
    int64_t start = (int64_t)op->a, end = (int64_t)op->b;
    if (start < 0 && end < 0 && start > end)
        return true;
    return count < 5 || read_unit(planning, planning->args[4]);
}

static bool plan_bitpos(struct planning *planning)
{
    struct wire_op *op = &planning->plan->op;
    size_t count = planning->arg_count;
    int64_t bit;
    if (!read_integer(planning, planning->args[2], &bit))
        return false;
    if (bit != 0 && bit != 1)
        return fail(planning, "ERR The bit argument must be 1 or 0.");
    op->type = WIRE_OP_BIT_POSITION;
    op->flags = (uint8_t)((bit == 1 ? WIRE_OP_ONE : 0) | (count < 5 ? WIRE_OP_NO_END : 0));
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    if (count > 6)
        return fail(planning, "ERR syntax error");
    if (count > 3 && !read_position(planning, 3, &op->a))
        return false;
    if (count > 5 && !read_unit(planning, planning->args[5]))
        return false;
    return count < 5 || read_position(planning, 4, &op->b);
}

/* ---- EXPIRE, INCR and the rest
 * -------------------------------------------------------------------- */

/* NX XX GT LT, with Redis's rules on what goes together. */
static bool expire_condition(struct planning *planning, enum wire_condition *ret_condition)
{
    bool nx = false, xx = false, gt = false, lt = false;
    for (size_t i = 3; i < planning->arg_count; i++) {
        struct base_bytes word = planning->args[i];
        if (word_is(word, "NX")) {
            nx = true;
        } else if (word_is(word, "XX")) {
            xx = true;
        } else if (word_is(word, "GT")) {
            gt = true;
        } else if (word_is(word, "LT")) {
            lt = true;
        } else {
            router_buffer_text(planning->error, "ERR Unsupported option ");
            router_buffer_append(planning->error, router_command_shown(word, word.size));
            return false;
        }
    }
    if (nx && (xx || gt || lt))
        return fail(planning,
                    "ERR NX and XX, GT or LT options at the same time are not compatible");
    if (gt && lt)
        return fail(planning, "ERR GT and LT options at the same time are not compatible");
    /* A key without expiry counts as expiring infinitely late, so GT alone says XX too. */
    *ret_condition = nx         ? WIRE_IF_NO_EXPIRY
                     : gt       ? WIRE_IF_LATER
                     : xx && lt ? WIRE_IF_EXPIRY_EARLIER
                     : lt       ? WIRE_IF_EARLIER
                     : xx       ? WIRE_IF_EXPIRY
                                : WIRE_IF_ALWAYS;
    return true;
}

static bool plan_expire(struct planning *planning)
{
    struct wire_op *op = &planning->plan->op;
    enum router_command_id id = planning->command->id;
    bool seconds = id == ROUTER_EXPIRE || id == ROUTER_EXPIREAT;
    bool absolute = id == ROUTER_EXPIREAT || id == ROUTER_PEXPIREAT;
    int64_t time;
    if (!expire_condition(planning, &op->condition) ||
        !read_integer(planning, planning->args[2], &time))
        return false;
    if (seconds && (time > INT64_MAX / 1000 || time < INT64_MIN / 1000))
        return fail_expiry(planning);
    time *= seconds ? 1000 : 1;
    if (time > (int64_t)BASE_HLC_MS_MAX)
        return fail_expiry(planning);
    op->type = WIRE_OP_EXPIRE;
    op->expiry_mode = absolute ? WIRE_EXPIRY_ABSOLUTE : WIRE_EXPIRY_RELATIVE;
    /* A time far in the past is in the past: the key goes. */
    op->b = (uint64_t)(time < -(int64_t)BASE_HLC_MS_MAX ? -(int64_t)BASE_HLC_MS_MAX : time);
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    return true;
}

static bool plan_add(struct planning *planning)
{
    enum router_command_id id = planning->command->id;
    int64_t delta = 1;
    if (id == ROUTER_INCRBY || id == ROUTER_DECRBY) {
        if (!read_integer(planning, planning->args[2], &delta))
            return false;
    }
    if (id == ROUTER_DECR || id == ROUTER_DECRBY) {
        if (delta == INT64_MIN)
            return fail(planning, "ERR decrement would overflow");
        delta = -delta;
    }
    planning->plan->op.type = WIRE_OP_ADD;
    planning->plan->op.a = (uint64_t)delta;
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    return true;
}

/* "inf", "-Infinity" and so on, which Redis takes for numbers. */
static bool is_infinite(struct base_bytes word)
{
    if (word.size > 0 && (word.data[0] == '-' || word.data[0] == '+'))
        word = base_bytes_of(word.data + 1, word.size - 1);
    return word_is(word, "INF") || word_is(word, "INFINITY");
}

static bool plan_add_decimal(struct planning *planning)
{
    struct base_decimal increment;
    struct base_bytes word = planning->args[2];
    if (is_infinite(word))
        return fail(planning, "ERR increment would produce NaN or Infinity");
    if (!base_decimal_read(word, &increment))
        return fail(planning, "ERR value is not a valid float");
    planning->plan->op.type = WIRE_OP_ADD_DECIMAL;
    planning->plan->op.value = word;
    planning->plan->reply = ROUTER_PLAN_VALUE;
    return true;
}

/* MSET and MSETNX. */
static bool plan_mset(struct planning *planning)
{
    if (planning->arg_count % 2 == 0)
        return fail_arity(planning);
    if (planning->command->id == ROUTER_MSETNX && planning->plan->op_count > WIRE_OPS_MAX / 2)
        return fail(planning, "ERR too many keys: the limit is 2048");
    planning->plan->op.type = WIRE_OP_PUT;
    planning->plan->op.value = planning->args[2];
    planning->plan->reply =
        planning->command->id == ROUTER_MSETNX ? ROUTER_PLAN_TOGETHER : ROUTER_PLAN_OK;
    return true;
}

static bool plan_append(struct planning *planning)
{
    planning->plan->op.type = WIRE_OP_APPEND;
    planning->plan->op.value = planning->args[2];
    planning->plan->reply = ROUTER_PLAN_INTEGER;
    return true;
}

static bool plan_object(struct planning *planning)
{
    struct base_bytes key = planning->plan->op.key;
    planning->plan->op = router_object_op(planning->command);
    planning->plan->op.key = key;
    planning->plan->reply = ROUTER_PLAN_OBJECT;
    return router_object_words(planning->command, planning->args, planning->arg_count,
                               planning->error);
}

/* Sizes of keys and values, which redis-server has no or other limits for. */
static bool within_limits(struct planning *planning)
{
    const struct wire_limits *limits = planning->limits;
    for (size_t i = 0; i < planning->plan->op_count; i++) {
        struct wire_op op = router_plan_op(planning->plan, planning->args, i);
        if (op.key.size == 0)
            return fail(planning, "ERR key is empty: a key has at least one byte");
        if (op.key.size > limits->key_size_max) {
            router_buffer_format(planning->error,
                                 "ERR key is too large: %zu bytes, the limit key_size_max is %u",
                                 op.key.size, (unsigned)limits->key_size_max);
            return false;
        }
        if (op.value.size > limits->value_size_max) {
            router_buffer_format(
                planning->error,
                "ERR value is too large: %zu bytes, the limit value_size_max is %u", op.value.size,
                (unsigned)limits->value_size_max);
            return false;
        }
    }
    return true;
}

/* ---- RESTORE
 * ------------------------------------------------------------------------------------- */

struct restore_options {
    bool replace, absolute, idle, frequency;
};

/* IDLETIME and FREQ, which are checked and not kept; each excludes the other. */
static bool restore_number(struct planning *planning, struct base_bytes word, bool frequency)
{
    int64_t number;
    if (!read_integer(planning, word, &number))
        return false;
    if (frequency && (number < 0 || number > 255))
        return fail(planning, "ERR Invalid FREQ value, must be >= 0 and <= 255");
    return number >= 0 || fail(planning, "ERR Invalid IDLETIME value, must be >= 0");
}

static bool restore_options(struct planning *planning, struct restore_options *options)
{
    for (size_t i = 4; i < planning->arg_count; i++) {
        struct base_bytes word = planning->args[i];
        bool more = i + 1 < planning->arg_count;
        if (word_is(word, "REPLACE")) {
            options->replace = true;
        } else if (word_is(word, "ABSTTL")) {
            options->absolute = true;
        } else if (word_is(word, "IDLETIME") && more && !options->frequency) {
            options->idle = true;
            if (!restore_number(planning, planning->args[++i], false))
                return false;
        } else if (word_is(word, "FREQ") && more && !options->idle) {
            options->frequency = true;
            if (!restore_number(planning, planning->args[++i], true))
                return false;
        } else {
            return fail(planning, "ERR syntax error");
        }
    }
    return true;
}

static bool restore_expiry(struct planning *planning, bool absolute)
{
    struct wire_op *op = &planning->plan->op;
    int64_t time;
    if (!read_integer(planning, planning->args[2], &time))
        return false;
    if (time < 0)
        return fail(planning, "ERR Invalid TTL value, must be >= 0");
    if ((uint64_t)time > BASE_HLC_MS_MAX)
        return fail_expiry(planning);
    if (time > 0)
        op->expiry_mode = absolute ? WIRE_EXPIRY_ABSOLUTE : WIRE_EXPIRY_RELATIVE;
    op->b = (uint64_t)time;
    return true;
}

static bool restore_value(struct planning *planning)
{
    size_t begin = planning->error->size;
    switch (
        router_dump_read(planning->args[3], planning->limits->value_size_max, planning->error)) {
    case ROUTER_DUMP_OK:
        break;
    case ROUTER_DUMP_CHECKSUM:
        return fail(planning, "ERR DUMP payload version or checksum are wrong");
    case ROUTER_DUMP_FORMAT:
        return fail(planning, "ERR Bad data format");
    case ROUTER_DUMP_TOO_LARGE:
        return fail(planning, "ERR value would be larger than the limit value_size_max");
    }
    planning->plan->op.value =
        base_bytes_of(planning->error->data + begin, planning->error->size - begin);
    return true;
}

static bool plan_restore(struct planning *planning)
{
    struct restore_options options = {0};
    planning->plan->op.type = WIRE_OP_PUT;
    planning->plan->reply = ROUTER_PLAN_RESTORE;
    if (!restore_options(planning, &options) || !restore_expiry(planning, options.absolute) ||
        !within_limits(planning))
        return false;
    planning->plan->op.condition = options.replace ? WIRE_IF_ALWAYS : WIRE_IF_ABSENT;
    return restore_value(planning); /* The last: nothing is appended behind the value. */
}

/* The keys are read; the rest is done when they have come. */
static bool plan_derived(struct planning *planning)
{
    enum router_command_id id = planning->command->id;
    planning->plan->op.type = WIRE_OP_GET;
    planning->plan->reply = ROUTER_PLAN_DERIVED;
    if (id == ROUTER_BITOP)
        return router_bitop_check(planning->args, planning->arg_count, planning->error);
    if (id == ROUTER_LCS)
        return router_lcs_check(planning->args, planning->arg_count, planning->error);
    return router_bitfield_check(planning->args, planning->arg_count, id == ROUTER_BITFIELD_RO,
                                 planning->error);
}

static bool plan_simple(struct planning *planning, enum wire_op_type type,
                        enum router_plan_reply reply)
{
    planning->plan->op.type = type;
    planning->plan->reply = reply;
    return true;
}

/* Commands whose words are looked into. */
static bool plan_by_words(struct planning *planning)
{
    switch (planning->command->id) {
    case ROUTER_SET:
        return plan_set(planning);
    case ROUTER_SETNX:
        return plan_setnx(planning);
    case ROUTER_SETEX:
    case ROUTER_PSETEX:
        return plan_setex(planning);
    case ROUTER_GETSET:
        return plan_getset(planning);
    case ROUTER_GETDEL:
        return plan_getdel(planning);
    case ROUTER_SETRANGE:
        return plan_setrange(planning);
    case ROUTER_GETBIT:
        return plan_getbit(planning);
    case ROUTER_SETBIT:
        return plan_setbit(planning);
    case ROUTER_BITCOUNT:
        return plan_bitcount(planning);
    case ROUTER_BITPOS:
        return plan_bitpos(planning);
    case ROUTER_GETEX:
        return plan_getex(planning);
    case ROUTER_GETRANGE:
    case ROUTER_SUBSTR:
        return plan_getrange(planning);
    case ROUTER_MSET:
    case ROUTER_MSETNX:
        return plan_mset(planning);
    case ROUTER_APPEND:
        return plan_append(planning);
    case ROUTER_EXPIRE:
    case ROUTER_PEXPIRE:
    case ROUTER_EXPIREAT:
    case ROUTER_PEXPIREAT:
        return plan_expire(planning);
    case ROUTER_INCR:
    case ROUTER_DECR:
    case ROUTER_INCRBY:
    case ROUTER_DECRBY:
        return plan_add(planning);
    case ROUTER_INCRBYFLOAT:
        return plan_add_decimal(planning);
    case ROUTER_BITFIELD:
    case ROUTER_BITFIELD_RO:
    case ROUTER_BITOP:
    case ROUTER_LCS:
        return plan_derived(planning);
    case ROUTER_RESTORE:
        return plan_restore(planning);
    case ROUTER_OBJECT_ENCODING:
    case ROUTER_OBJECT_FREQ:
    case ROUTER_OBJECT_IDLETIME:
    case ROUTER_OBJECT_REFCOUNT:
    case ROUTER_MEMORY_USAGE:
        return plan_object(planning);
    default:
        return plan_simple(planning, WIRE_OP_SCAN, ROUTER_PLAN_WALK);
    }
}

static bool plan_by_command(struct planning *planning)
{
    switch (planning->command->id) {
    case ROUTER_GET:
        return plan_simple(planning, WIRE_OP_GET, ROUTER_PLAN_VALUE);
    case ROUTER_DUMP:
        return plan_simple(planning, WIRE_OP_GET, ROUTER_PLAN_DUMP);
    case ROUTER_MGET:
        return plan_simple(planning, WIRE_OP_GET, ROUTER_PLAN_VALUES);
    case ROUTER_DEL:
    case ROUTER_UNLINK:
        return plan_simple(planning, WIRE_OP_DELETE, ROUTER_PLAN_SUM);
    case ROUTER_EXISTS:
    case ROUTER_TOUCH:
        return plan_simple(planning, WIRE_OP_STAT, ROUTER_PLAN_SUM);
    case ROUTER_STRLEN:
        return plan_simple(planning, WIRE_OP_STAT, ROUTER_PLAN_SIZE);
    case ROUTER_TYPE:
        return plan_simple(planning, WIRE_OP_STAT, ROUTER_PLAN_TYPE);
    case ROUTER_TTL:
        return plan_simple(planning, WIRE_OP_STAT, ROUTER_PLAN_TTL_SECONDS);
    case ROUTER_PTTL:
        return plan_simple(planning, WIRE_OP_STAT, ROUTER_PLAN_TTL_MS);
    case ROUTER_EXPIRETIME:
        return plan_simple(planning, WIRE_OP_STAT, ROUTER_PLAN_EXPIRY_SECONDS);
    case ROUTER_PEXPIRETIME:
        return plan_simple(planning, WIRE_OP_STAT, ROUTER_PLAN_EXPIRY_MS);
    case ROUTER_PERSIST:
        return plan_simple(planning, WIRE_OP_PERSIST, ROUTER_PLAN_INTEGER);
    default:
        return plan_by_words(planning);
    }
}

bool router_plan_make(const struct router_command *command, const struct base_bytes *args,
                      size_t arg_count, const struct wire_limits *limits,
                      struct router_plan *ret_plan, struct router_buffer *error)
{
    TORC_ASSERT(router_command_arity_fits(command, arg_count));
    struct router_plan plan = {
        .command = command,
        .op_count = router_command_key_count(command, arg_count),
        .first_key = (size_t)command->first_key,
        .key_step = (size_t)command->key_step,
    };
    struct planning planning = {command, args, arg_count, limits, &plan, error};
    if (plan.op_count > 0)
        plan.op.key = args[plan.first_key];
    if (!plan_by_command(&planning) || !within_limits(&planning))
        return false;
    plan.writes = wire_op_writes(plan.op.type);
    *ret_plan = plan;
    return true;
}

struct wire_op router_plan_op(const struct router_plan *plan, const struct base_bytes *args,
                              size_t i)
{
    TORC_ASSERT(i < plan->op_count);
    struct wire_op op = plan->op;
    size_t word = plan->first_key + i * plan->key_step;
    op.key = args[word];
    if (plan->key_step == 2)
        op.value = args[word + 1];
    return op;
}

/* ---- Results
 * ------------------------------------------------------------------------------------- */

static int64_t stat_size(const struct wire_result *result)
{
    return result->bytes.size == 8 ? (int64_t)base_get_le64(result->bytes.data) : 0;
}

/* -2: no key; -1: no expiry; else when it expires. */
static int64_t expiry_ms(const struct wire_result *result)
{
    if (result->kind != WIRE_RESULT_STAT)
        return -2;
    return result->number == 0 ? -1 : (int64_t)result->number;
}

/* The same with what is left by the clock of the group. */
static int64_t time_left_ms(const struct wire_result *result, uint64_t clock)
{
    int64_t at_ms = expiry_ms(result), now_ms = (int64_t)base_hlc_to_ms(clock);
    if (at_ms < 0)
        return at_ms;
    return at_ms > now_ms ? at_ms - now_ms : 0;
}

/* Rounded as Redis rounds; what stands for no time stays. */
static int64_t to_seconds(int64_t ms)
{
    return ms < 0 ? ms : (ms + 500) / 1000;
}

int64_t router_plan_count(const struct wire_result *result)
{
    switch (result->kind) {
    case WIRE_RESULT_INTEGER:
        return (int64_t)result->number;
    case WIRE_RESULT_STAT:
        return 1;
    default:
        return 0;
    }
}

void router_plan_error(const struct router_command *command, enum wire_error error,
                       struct router_buffer *out)
{
    switch (error) {
    case WIRE_ERROR_NOT_INTEGER:
        router_buffer_text(out, "ERR value is not an integer or out of range");
        return;
    case WIRE_ERROR_OVERFLOW:
        router_buffer_text(out, "ERR increment or decrement would overflow");
        return;
    case WIRE_ERROR_TOO_LARGE:
        router_buffer_text(out, "ERR value would be larger than the limit value_size_max");
        return;
    case WIRE_ERROR_NOT_DECIMAL:
        router_buffer_text(out, "ERR value is not a valid float");
        return;
    case WIRE_ERROR_INFINITE:
        router_buffer_text(out, "ERR increment would produce NaN or Infinity");
        return;
    case WIRE_ERROR_INVALID_EXPIRY:
        router_buffer_format(out, "ERR invalid expire time in '%s' command", command->name);
        return;
    }
    router_buffer_format(out, "ERR operation failed with error %u", (unsigned)error);
}

static void answer_value(const struct wire_result *result, unsigned protocol,
                         struct router_buffer *out)
{
    if (result->kind == WIRE_RESULT_BYTES)
        router_reply_bulk(out, result->bytes);
    else
        router_reply_null(out, protocol);
}

static void answer_dump(const struct wire_result *result, unsigned protocol,
                        struct router_buffer *out)
{
    struct router_buffer dump = router_buffer_empty(out->allocator);
    if (result->kind == WIRE_RESULT_BYTES) {
        router_dump_write(result->bytes, &dump);
        router_reply_bulk(out, router_buffer_bytes(&dump));
    } else {
        router_reply_null(out, protocol);
    }
    router_buffer_fini(&dump);
}

static void answer_error(const struct router_command *command, enum wire_error error,
                         struct router_buffer *out)
{
    router_buffer_text(out, "-");
    router_plan_error(command, error, out);
    router_buffer_text(out, "\r\n");
}

void router_plan_answer(enum router_plan_reply reply, const struct router_command *command,
                        const struct wire_result *result, uint64_t clock, unsigned protocol,
                        struct router_buffer *out)
{
    if (result->kind == WIRE_RESULT_ERROR) {
        answer_error(command, result->error, out);
        return;
    }
    switch (reply) {
    case ROUTER_PLAN_OK:
        if (result->kind == WIRE_RESULT_NIL)
            router_reply_null(out, protocol);
        else
            router_reply_simple(out, "OK");
        break;
    case ROUTER_PLAN_VALUE:
        answer_value(result, protocol, out);
        break;
    case ROUTER_PLAN_INTEGER:
    case ROUTER_PLAN_SUM:
        router_reply_integer(out, router_plan_count(result));
        break;
    case ROUTER_PLAN_SIZE:
        router_reply_integer(out, result->kind == WIRE_RESULT_STAT ? stat_size(result) : 0);
        break;
    case ROUTER_PLAN_TYPE:
        router_reply_simple(out, result->kind == WIRE_RESULT_STAT ? "string" : "none");
        break;
    case ROUTER_PLAN_TTL_MS:
        router_reply_integer(out, time_left_ms(result, clock));
        break;
    case ROUTER_PLAN_TTL_SECONDS:
        router_reply_integer(out, to_seconds(time_left_ms(result, clock)));
        break;
    case ROUTER_PLAN_EXPIRY_MS:
        router_reply_integer(out, expiry_ms(result));
        break;
    case ROUTER_PLAN_EXPIRY_SECONDS:
        router_reply_integer(out, to_seconds(expiry_ms(result)));
        break;
    case ROUTER_PLAN_RANGE:
        router_reply_bulk(out, result->bytes);
        break;
    case ROUTER_PLAN_DUMP:
        answer_dump(result, protocol, out);
        break;
    case ROUTER_PLAN_RESTORE:
        if (result->kind == WIRE_RESULT_NIL)
            router_reply_error(out, "BUSYKEY Target key name already exists.");
        else
            router_reply_simple(out, "OK");
        break;
    case ROUTER_PLAN_DONE:
        router_reply_integer(out, result->kind == WIRE_RESULT_OK);
        break;
    case ROUTER_PLAN_VALUES:
        router_reply_array(out, 1);
        answer_value(result, protocol, out);
        break;
    case ROUTER_PLAN_OBJECT:
    case ROUTER_PLAN_DERIVED:
    case ROUTER_PLAN_TOGETHER:
    case ROUTER_PLAN_WALK:
        TORC_ASSERT(!"not answered here");
    }
}
