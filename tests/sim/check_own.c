/*
 * Keys that one client at a time uses, for everything that can be done to a key: whoever uses one
 * knows what stands there, and so each answer before it comes. What operations do is written anew
 * here, from what Redis says of its commands.
 *
 * An outcome that is unknown ends the key: the next one that is used has another name, so that a
 * copy which is executed late changes nothing. An answer tells the group's time, and by it what has
 * expired.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hlc.h"
#include "tests/sim/clients.h"

enum {
    OWN_TEXT_MAX = 40,
    OWN_OFFSET_MAX = 120,
    OWN_TTL_MS_MAX = 3000,
    OWN_DECIMAL_DIGITS_MAX = 7,
    OWN_DECIMAL_SIZE_MAX = 24,
    OWN_COMPARED_MAX = 1000,
    OWN_CHECK_PER_MILLE = 250,
};

static const char letters[] = "klmopqrst"; /* No number has one of these. */

/* What an operation must answer. */
struct expected {
    enum wire_result_kind kind;
    enum wire_error error;
    bool wrote;
    int64_t number;
    uint8_t bytes[SIM_OWN_SIZE_MAX];
    size_t size;
};

/* ---- Numbers. */

enum number { OWN_NO_NUMBER, OWN_INTEGER, OWN_DECIMAL, OWN_UNSURE };

static size_t digits_at(const char *text, size_t at)
{
    size_t count = 0;
    while (text[at + count] >= '0' && text[at + count] <= '9')
        count++;
    return count;
}

/* Of what is written as these keys' numbers are; of anything else it is not told. */
static enum number number_of(const struct sim_own *own, int64_t *ret_integer,
                             int64_t *ret_hundredths)
{
    char text[OWN_DECIMAL_SIZE_MAX] = "";
    for (size_t i = 0; i < own->size; i++) {
        if (memchr(letters, own->value[i], sizeof(letters) - 1) != NULL)
            return OWN_NO_NUMBER;
    }
    if (own->size == 0 || own->size >= sizeof(text) || memchr(own->value, 0, own->size) != NULL)
        return OWN_UNSURE;
    memcpy(text, own->value, own->size);
    bool negative = text[0] == '-';
    size_t first = negative, whole = digits_at(text, first), end = first + whole;
    if (whole == 0 || whole > 18 || (text[first] == '0' && (whole > 1 || negative)))
        return OWN_UNSURE;
    *ret_integer = strtoll(text, NULL, 10);
    *ret_hundredths = *ret_integer * 100;
    if (end == own->size)
        return whole <= OWN_DECIMAL_DIGITS_MAX ? OWN_INTEGER : OWN_UNSURE;
    size_t part = text[end] == '.' ? digits_at(text, end + 1) : 0;
    if (part == 0 || part > 2 || end + 1 + part != own->size || whole > OWN_DECIMAL_DIGITS_MAX)
        return OWN_UNSURE;
    int64_t fraction = strtoll(text + end + 1, NULL, 10) * (part == 1 ? 10 : 1);
    *ret_hundredths += negative ? -fraction : fraction;
    return OWN_DECIMAL;
}

static size_t hundredths_write(int64_t hundredths, char *text, size_t room)
{
    int64_t size = hundredths < 0 ? -hundredths : hundredths;
    int length = snprintf(text, room, "%s%" PRId64 ".%02" PRId64, hundredths < 0 ? "-" : "",
                          size / 100, size % 100);
    while (text[length - 1] == '0')
        length--;
    length -= text[length - 1] == '.';
    return (size_t)length;
}

/* ---- What is there. */

static void clear(struct sim_own *own)
{
    own->present = false;
    own->size = 0;
    own->end_ms = 0;
}

static void expire(struct sim_own *own, uint64_t now_ms)
{
    if (own->present && own->end_ms != 0 && own->end_ms <= now_ms)
        clear(own);
}

static void answer_value(const struct sim_own *own, struct expected *expected)
{
    expected->kind = own->present ? WIRE_RESULT_BYTES : WIRE_RESULT_NIL;
    expected->number = (int64_t)own->end_ms;
    expected->size = own->size;
    memcpy(expected->bytes, own->value, own->size);
}

static void answer_number(struct expected *expected, int64_t number)
{
    expected->kind = WIRE_RESULT_INTEGER;
    expected->number = number;
}

static void answer_error(struct expected *expected, enum wire_error error)
{
    expected->kind = WIRE_RESULT_ERROR;
    expected->error = error;
}

static void write_value(struct sim_own *own, struct expected *expected, const void *bytes,
                        size_t size)
{
    TORC_ASSERT(size <= sizeof(own->value));
    memmove(own->value, bytes, size);
    own->size = size;
    own->end_ms = own->present ? own->end_ms : 0;
    own->present = true;
    expected->wrote = true;
}

/* ---- What operations do. */

static bool holds(const struct sim_own *own, const struct wire_op *op)
{
    size_t expected = op->type == WIRE_OP_PUT ? (size_t)op->a : op->value.size;
    switch (op->condition) {
    case WIRE_IF_ABSENT:
        return !own->present;
    case WIRE_IF_PRESENT:
        return own->present;
    case WIRE_IF_VERSION:
        return own->present && own->version == op->a;
    case WIRE_IF_VALUE:
        return own->present && own->size == expected &&
               memcmp(own->value, op->value.data, expected) == 0;
    default:
        return true;
    }
}

static void put(struct sim_own *own, const struct wire_op *op, uint64_t now_ms,
                struct expected *expected)
{
    bool done = holds(own, op);
    expected->kind = done ? WIRE_RESULT_OK : WIRE_RESULT_NIL;
    if ((op->flags & WIRE_OP_RETURN_OLD) != 0)
        answer_value(own, expected);
    if (!done)
        return;
    uint64_t kept_ms = own->present ? own->end_ms : 0;
    size_t skip = op->condition == WIRE_IF_VALUE ? (size_t)op->a : 0;
    write_value(own, expected, op->value.data + skip, op->value.size - skip);
    own->end_ms = op->expiry_mode == WIRE_EXPIRY_KEEP ? kept_ms : 0;
    if (op->expiry_mode == WIRE_EXPIRY_RELATIVE)
        own->end_ms = now_ms + op->b;
    expire(own, now_ms);
}

static void erase(struct sim_own *own, const struct wire_op *op, struct expected *expected)
{
    bool done = holds(own, op);
    expected->kind = done ? WIRE_RESULT_INTEGER : WIRE_RESULT_NIL;
    expected->number = done && own->present;
    if ((op->flags & WIRE_OP_RETURN_OLD) != 0)
        answer_value(own, expected);
    expected->wrote = done && own->present;
    if (done)
        clear(own);
}

static void add(struct sim_own *own, const struct wire_op *op, struct expected *expected)
{
    int64_t integer = 0, hundredths = 0;
    if (own->present && number_of(own, &integer, &hundredths) != OWN_INTEGER) {
        answer_error(expected, WIRE_ERROR_NOT_INTEGER);
        return;
    }
    char text[OWN_DECIMAL_SIZE_MAX];
    answer_number(expected, integer + (int64_t)op->a);
    int size = snprintf(text, sizeof(text), "%" PRId64, expected->number);
    write_value(own, expected, text, (size_t)size);
}

static void add_decimal(struct sim_own *own, const struct wire_op *op, struct expected *expected)
{
    char text[OWN_DECIMAL_SIZE_MAX] = "";
    memcpy(text, op->value.data, op->value.size);
    int64_t integer = 0, hundredths = 0, more = llround(strtod(text, NULL) * 100);
    if (own->present && number_of(own, &integer, &hundredths) == OWN_NO_NUMBER) {
        answer_error(expected, WIRE_ERROR_NOT_DECIMAL);
        return;
    }
    size_t size = hundredths_write(hundredths + more, text, sizeof(text));
    write_value(own, expected, text, size);
    answer_value(own, expected);
}

/* The value with these bytes at an offset, and zeros before it where there was nothing. */
static void write_at(struct sim_own *own, struct expected *expected, size_t offset,
                     struct base_bytes part, size_t size_max)
{
    if (offset + part.size > size_max) {
        answer_error(expected, WIRE_ERROR_TOO_LARGE);
        return;
    }
    uint8_t after[SIM_OWN_SIZE_MAX] = {0};
    size_t end = offset + part.size, size = end > own->size ? end : own->size;
    memcpy(after, own->value, own->size);
    if (part.size > 0)
        memcpy(after + offset, part.data, part.size);
    write_value(own, expected, after, size);
    answer_number(expected, (int64_t)size);
}

static void set_bit(struct sim_own *own, const struct wire_op *op, struct expected *expected,
                    size_t size_max)
{
    size_t at = (size_t)op->a / 8;
    uint8_t was = at < own->size ? own->value[at] : 0, bit = (uint8_t)(1u << (7 - op->a % 8));
    uint8_t byte = op->b == 1 ? was | bit : (uint8_t)(was & ~bit);
    write_at(own, expected, at, base_bytes_of(&byte, 1), size_max);
    if (expected->wrote)
        answer_number(expected, (was & bit) != 0);
}

static bool expiry_holds(const struct sim_own *own, const struct wire_op *op, uint64_t end_ms)
{
    bool ends = own->end_ms != 0;
    switch (op->condition) {
    case WIRE_IF_NO_EXPIRY:
        return !ends;
    case WIRE_IF_EXPIRY:
        return ends;
    case WIRE_IF_LATER:
        return ends && end_ms > own->end_ms;
    case WIRE_IF_EARLIER:
        return !ends || end_ms < own->end_ms;
    case WIRE_IF_EXPIRY_EARLIER:
        return ends && end_ms < own->end_ms;
    default:
        return true;
    }
}

static void retime(struct sim_own *own, const struct wire_op *op, uint64_t now_ms,
                   struct expected *expected)
{
    bool persists = op->type == WIRE_OP_PERSIST;
    uint64_t end_ms = persists ? 0 : now_ms + op->b;
    bool done = own->present && (persists ? own->end_ms != 0 : expiry_holds(own, op, end_ms));
    answer_number(expected, done);
    if ((op->flags & WIRE_OP_RETURN_OLD) != 0)
        answer_value(own, expected);
    if (!done)
        return;
    own->end_ms = end_ms;
    expected->wrote = true;
    expire(own, now_ms);
}

/* ---- Ranges. The last is below the first where there is nothing. */

struct range {
    int64_t first, last;
};

static struct range range_of(const struct wire_op *op, int64_t size)
{
    struct range range = {(int64_t)op->a, (int64_t)op->b};
    bool crossed = range.first < 0 && range.last < 0 && range.first > range.last;
    if ((op->flags & WIRE_OP_NO_END) != 0)
        range.last = -1;
    range.first += range.first < 0 ? size : 0;
    range.last += range.last < 0 ? size : 0;
    range.first = range.first < 0 ? 0 : range.first;
    range.last = range.last < 0 ? 0 : range.last;
    range.last = range.last >= size ? size - 1 : range.last;
    if (crossed && op->type != WIRE_OP_BIT_POSITION)
        range.last = range.first - 1;
    return range;
}

static void get_range(const struct sim_own *own, const struct wire_op *op,
                      struct expected *expected)
{
    struct range range = range_of(op, (int64_t)own->size);
    answer_value(own, expected);
    expected->size = 0;
    for (int64_t i = range.first; i <= range.last; i++)
        expected->bytes[expected->size++] = own->value[i];
}

static struct range bits_of(const struct sim_own *own, const struct wire_op *op)
{
    bool bits = (op->flags & WIRE_OP_BITS) != 0;
    struct range range = range_of(op, (int64_t)own->size * (bits ? 8 : 1));
    return bits ? range : (struct range){range.first * 8, range.last * 8 + 7};
}

static bool bit_at(const struct sim_own *own, int64_t at)
{
    return (own->value[at / 8] >> (7 - at % 8) & 1) != 0;
}

static void bit_count(const struct sim_own *own, const struct wire_op *op,
                      struct expected *expected)
{
    struct range range = bits_of(own, op);
    answer_number(expected, 0);
    for (int64_t i = range.first; i <= range.last; i++)
        expected->number += bit_at(own, i);
}

static void bit_position(const struct sim_own *own, const struct wire_op *op,
                         struct expected *expected)
{
    bool wanted = (op->flags & WIRE_OP_ONE) != 0;
    struct range range = bits_of(own, op);
    answer_number(expected, own->present || wanted ? -1 : 0);
    for (int64_t i = range.first; i <= range.last; i++) {
        if (bit_at(own, i) != wanted)
            continue;
        expected->number = i;
        return;
    }
    if (own->present && !wanted && (op->flags & WIRE_OP_NO_END) != 0 && range.first <= range.last)
        expected->number = (int64_t)own->size * 8;
}

static void stat(const struct sim_own *own, struct expected *expected)
{
    answer_value(own, expected);
    expected->kind = own->present ? WIRE_RESULT_STAT : WIRE_RESULT_NIL;
    expected->size = own->present ? 8 : 0;
    for (size_t i = 0; i < 8; i++)
        expected->bytes[i] = (uint8_t)(own->size >> 8 * i);
}

static void apply(struct sim_own *own, const struct wire_op *op, uint64_t now_ms, size_t size_max,
                  struct expected *expected)
{
    expire(own, now_ms);
    switch (op->type) {
    case WIRE_OP_PUT:
        put(own, op, now_ms, expected);
        return;
    case WIRE_OP_DELETE:
        erase(own, op, expected);
        return;
    case WIRE_OP_ADD:
        add(own, op, expected);
        return;
    case WIRE_OP_ADD_DECIMAL:
        add_decimal(own, op, expected);
        return;
    case WIRE_OP_APPEND:
        write_at(own, expected, own->size, op->value, size_max);
        return;
    case WIRE_OP_SET_RANGE:
        answer_number(expected, (int64_t)own->size);
        if (op->value.size > 0) /* Nothing is written nowhere. */
            write_at(own, expected, (size_t)op->a, op->value, size_max);
        return;
    case WIRE_OP_SET_BIT:
        set_bit(own, op, expected, size_max);
        return;
    case WIRE_OP_EXPIRE:
    case WIRE_OP_PERSIST:
        retime(own, op, now_ms, expected);
        return;
    case WIRE_OP_GET_RANGE:
        get_range(own, op, expected);
        return;
    case WIRE_OP_BIT_COUNT:
        bit_count(own, op, expected);
        return;
    case WIRE_OP_BIT_POSITION:
        bit_position(own, op, expected);
        return;
    case WIRE_OP_STAT:
        stat(own, expected);
        return;
    case WIRE_OP_CHECK:
        expected->kind = holds(own, op) ? WIRE_RESULT_OK : WIRE_RESULT_NIL;
        return;
    default:
        answer_value(own, expected);
        return;
    }
}

/* ---- Asking. */

static void draw_text(struct sim *sim, struct sim_task *task, size_t at)
{
    char *text = (char *)task->value + at;
    int size = 0;
    switch (sim_draw(sim, 0, 3)) {
    case 0:
        size = snprintf(text, OWN_TEXT_MAX, "%" PRId64, (int64_t)sim_draw(sim, 0, 2000) - 1000);
        break;
    case 1:
        size = snprintf(text, OWN_TEXT_MAX, "%" PRId64 ".%u", (int64_t)sim_draw(sim, 1, 200) - 100,
                        (unsigned)sim_draw(sim, 1, 99));
        break;
    default:
        for (uint64_t left = sim_draw(sim, 0, OWN_TEXT_MAX); left > 0; left--)
            text[size++] = letters[sim_draw(sim, 0, sizeof(letters) - 2)];
    }
    task->op.value = base_bytes_of(task->value, at + (size_t)size);
}

static void draw_condition(struct sim *sim, struct sim_task *task, const struct sim_own *own)
{
    struct wire_op *op = &task->op;
    size_t at = 0;
    op->condition = (enum wire_condition)sim_draw(sim, WIRE_IF_ALWAYS, WIRE_IF_VALUE);
    bool fits = own->size + OWN_TEXT_MAX <= sim->options.limits.value_size_max &&
                own->size <= OWN_COMPARED_MAX;
    bool checks = op->type == WIRE_OP_CHECK;
    if ((op->condition == WIRE_IF_VERSION && !own->present) ||
        (op->condition == WIRE_IF_VALUE && !fits) ||
        (op->type == WIRE_OP_DELETE && op->condition < WIRE_IF_VERSION) ||
        (checks && op->condition == WIRE_IF_ALWAYS))
        op->condition = checks ? WIRE_IF_PRESENT : WIRE_IF_ALWAYS;
    if (op->condition == WIRE_IF_VERSION)
        op->a = own->version + (sim_chance(sim, 300) ? 1 : 0);
    if (op->condition == WIRE_IF_VALUE) {
        memcpy(task->value, own->value, at = own->size);
        if (at > 0 && sim_chance(sim, 300))
            task->value[0] ^= 1;
        op->a = op->type == WIRE_OP_PUT ? at : 0;
        op->value = base_bytes_of(task->value, at);
    }
    if (op->type == WIRE_OP_PUT)
        draw_text(sim, task, at);
}

static void draw_expiry(struct sim *sim, struct wire_op *op)
{
    op->expiry_mode = (enum wire_expiry_mode)sim_draw(sim, WIRE_EXPIRY_NONE, WIRE_EXPIRY_RELATIVE);
    if (op->type == WIRE_OP_EXPIRE) {
        op->expiry_mode = WIRE_EXPIRY_RELATIVE;
        op->condition =
            sim_chance(sim, 300)
                ? WIRE_IF_ALWAYS
                : (enum wire_condition)sim_draw(sim, WIRE_IF_NO_EXPIRY, WIRE_IF_EXPIRY_EARLIER);
    }
    if (op->expiry_mode == WIRE_EXPIRY_RELATIVE)
        op->b = sim_chance(sim, 50) ? (uint64_t)-7 : sim_draw(sim, 1, OWN_TTL_MS_MAX);
}

static void draw_range(struct sim *sim, struct wire_op *op)
{
    op->a = sim_draw(sim, 0, 2 * OWN_OFFSET_MAX) - OWN_OFFSET_MAX;
    op->b = sim_draw(sim, 0, 2 * OWN_OFFSET_MAX) - OWN_OFFSET_MAX;
    if (op->type != WIRE_OP_GET_RANGE && sim_chance(sim, 500))
        op->flags |= WIRE_OP_BITS;
    if (op->type != WIRE_OP_BIT_POSITION)
        return;
    op->flags |= sim_chance(sim, 500) ? WIRE_OP_ONE : 0;
    if ((op->flags & WIRE_OP_BITS) == 0 && sim_chance(sim, 500)) {
        op->flags |= WIRE_OP_NO_END;
        op->b = 0;
    }
}

static void draw_old(struct sim *sim, struct wire_op *op)
{
    op->flags |= sim_chance(sim, 300) ? WIRE_OP_RETURN_OLD : 0;
}

/* Numbers are added to only where it is sure what comes of it: whatever has expired by then. */
static bool may_add(const struct sim_own *own)
{
    int64_t integer, hundredths;
    return !own->present || number_of(own, &integer, &hundredths) != OWN_UNSURE;
}

static void draw_part(struct sim *sim, struct sim_task *task)
{
    struct wire_op *op = &task->op;
    if (op->type == WIRE_OP_SET_BIT) {
        op->a = sim_draw(sim, 0, 8 * OWN_OFFSET_MAX);
        op->b = sim_draw(sim, 0, 1);
        return;
    }
    draw_text(sim, task, 0);
    op->a = op->type == WIRE_OP_SET_RANGE ? sim_draw(sim, 0, OWN_OFFSET_MAX) : 0;
}

static void draw_added(struct sim *sim, struct sim_task *task)
{
    int64_t added = (int64_t)sim_draw(sim, 0, 2000) - 1000;
    if (task->op.type == WIRE_OP_ADD)
        task->op.a = (uint64_t)added;
    else
        task->op.value = base_bytes_of(
            task->value, hundredths_write(added, (char *)task->value, sizeof(task->value)));
}

/* What the operation is, beyond its type. */
static void draw_rest(struct sim *sim, struct sim_task *task, const struct sim_own *own)
{
    switch (task->op.type) {
    case WIRE_OP_PUT:
        draw_condition(sim, task, own);
        draw_expiry(sim, &task->op);
        draw_old(sim, &task->op);
        return;
    case WIRE_OP_DELETE:
        draw_condition(sim, task, own);
        draw_old(sim, &task->op);
        return;
    case WIRE_OP_EXPIRE:
        draw_expiry(sim, &task->op);
        draw_old(sim, &task->op);
        return;
    case WIRE_OP_PERSIST:
        draw_old(sim, &task->op);
        return;
    case WIRE_OP_ADD:
    case WIRE_OP_ADD_DECIMAL:
        draw_added(sim, task);
        return;
    case WIRE_OP_APPEND:
    case WIRE_OP_SET_RANGE:
    case WIRE_OP_SET_BIT:
        draw_part(sim, task);
        return;
    case WIRE_OP_GET_RANGE:
    case WIRE_OP_BIT_COUNT:
    case WIRE_OP_BIT_POSITION:
        draw_range(sim, &task->op);
        return;
    default:
        return;
    }
}

static void draw_op(struct sim *sim, struct sim_task *task, const struct sim_own *own)
{
    static const enum wire_op_type types[] = {
        WIRE_OP_GET,     WIRE_OP_GET,       WIRE_OP_STAT,         WIRE_OP_PUT,
        WIRE_OP_PUT,     WIRE_OP_DELETE,    WIRE_OP_ADD,          WIRE_OP_ADD_DECIMAL,
        WIRE_OP_APPEND,  WIRE_OP_SET_RANGE, WIRE_OP_SET_BIT,      WIRE_OP_EXPIRE,
        WIRE_OP_PERSIST, WIRE_OP_GET_RANGE, WIRE_OP_BIT_POSITION, WIRE_OP_BIT_COUNT,
    };
    enum wire_op_type type = types[sim_draw(sim, 0, sizeof(types) / sizeof(types[0]) - 1)];
    if ((type == WIRE_OP_ADD || type == WIRE_OP_ADD_DECIMAL) && !may_add(own))
        type = WIRE_OP_GET;
    task->op.type = type;
    draw_rest(sim, task, own);
}

/* Over RESP and by the library's replies clocks are not told. */
bool own_choose(struct sim *sim, struct sim_task *task, struct sim_key *key, bool may_check)
{
    const struct sim_router *router = &sim->routers[sim->clients[task->client].router];
    if (key->own.busy || router->is_whole || router->library != NULL)
        return false;
    key->own.busy = task->owns = true;
    if (may_check && sim_chance(sim, OWN_CHECK_PER_MILLE)) {
        task->op.type = WIRE_OP_CHECK;
        draw_condition(sim, task, &key->own);
    } else if (!task->last) {
        draw_op(sim, task, &key->own);
    }
    return true;
}

void own_released(struct sim *sim, struct sim_task *task)
{
    sim->keys[task->key].own.busy = task->owns = false;
}

bool own_check_holds(struct sim *sim, const struct sim_task *task, uint64_t now_ms)
{
    struct sim_own *own = &sim->keys[task->key].own;
    expire(own, now_ms);
    return task->op.type != WIRE_OP_CHECK || holds(own, &task->op);
}

/* ---- Reads of what once was. */

/* What is there from now on, by the answer to what was asked then. */
static void note_state(struct sim_own *own, uint64_t asked_us, uint64_t now_us)
{
    struct sim_own_state *last = &own->past[(own->past_count + SIM_OWN_PAST - 1) % SIM_OWN_PAST];
    last->until_us = now_us; /* At first it is one that nobody looks at. */
    own->past[own->past_count++ % SIM_OWN_PAST] = (struct sim_own_state){
        .from_us = asked_us,
        .until_us = UINT64_MAX,
        .value = base_hash(base_bytes_of(own->value, own->size)),
        .present = own->present,
        .ends = own->end_ms != 0,
    };
}

/* A value that expires may be gone, and may be there. */
static bool may_be(const struct sim_own_state *state, const struct wire_result *result)
{
    if (result->kind == WIRE_RESULT_NIL)
        return !state->present || state->ends;
    return result->kind == WIRE_RESULT_BYTES && state->present &&
           state->value == base_hash(result->bytes);
}

/* Some state that stood within the age that was asked for; clocks go at half to twice their rate.
 */
static void check_stale(struct sim *sim, const struct sim_task *task, const struct sim_own *own,
                        const struct wire_result *result)
{
    uint64_t age_us = 2000ull * task->stale_ms + 1000;
    uint64_t from_us = task->asked_us > age_us ? task->asked_us - age_us : 0;
    uint32_t kept = own->past_count < SIM_OWN_PAST ? own->past_count : SIM_OWN_PAST;
    uint64_t first_us = UINT64_MAX;
    for (uint32_t i = 0; i < kept; i++) {
        first_us = own->past[i].from_us < first_us ? own->past[i].from_us : first_us;
        if (own->past[i].until_us >= from_us && may_be(&own->past[i], result))
            return;
    }
    if (own->past_count > SIM_OWN_PAST && first_us > from_us)
        return; /* Not all that stood then is known. */
    /* Before the first there was nothing, until it was answered. */
    bool young = own->past_count == 0 || own->first_us >= from_us;
    if (!young || result->kind != WIRE_RESULT_NIL)
        sim_fail(sim, "own", "a read of %s that may be %u ms old answers %d '%.*s', which is older",
                 sim->keys[task->key].name, task->stale_ms, (int)result->kind,
                 (int)result->bytes.size, (const char *)result->bytes.data);
}

/* ---- Hearing. */

/* Somebody else may have written there later: nobody goes there any more. */
static void leave(struct sim_key *key)
{
    uint32_t generation = key->own.generation + 1;
    key->own = (struct sim_own){.generation = generation};
    char first[SIM_KEY_SIZE_MAX + 1];
    memcpy(first, key->name, sizeof(first));
    first[strcspn(first, "-")] = '\0';
    int size = snprintf(key->name, sizeof(key->name), "%.52s-%u", first, generation);
    TORC_ASSERT(size > 0 && (size_t)size < sizeof(key->name));
}

void own_abandoned(struct sim *sim, struct sim_task *task)
{
    if (task->owns)
        leave(&sim->keys[task->key]);
    task->owns = false;
}

static bool is_as_expected(const struct expected *expected, const struct wire_result *result)
{
    bool tells = expected->kind == WIRE_RESULT_INTEGER || expected->kind == WIRE_RESULT_BYTES ||
                 expected->kind == WIRE_RESULT_STAT;
    return result->kind == expected->kind && result->error == expected->error &&
           (!tells || result->number == (uint64_t)expected->number) &&
           result->bytes.size == expected->size &&
           memcmp(result->bytes.data, expected->bytes, expected->size) == 0;
}

static void check_answer(struct sim *sim, const struct sim_task *task, struct sim_own *own,
                         const struct router_outcome *outcome)
{
    const struct wire_result *result = outcome->result;
    struct expected expected = {0};
    apply(own, &task->op, base_hlc_to_ms(outcome->clock), sim->options.limits.value_size_max,
          &expected);
    if (!is_as_expected(&expected, result))
        sim_fail(sim, "own",
                 "operation %d (%d, %llu, %llu, %d) on %s answers %d %d %lld '%.*s' and should "
                 "%d %d %lld '%.*s'",
                 (int)task->op.type, (int)task->op.condition, (unsigned long long)task->op.a,
                 (unsigned long long)task->op.b, (int)task->op.flags, sim->keys[task->key].name,
                 (int)result->kind, (int)result->error, (long long)result->number,
                 (int)result->bytes.size, (const char *)result->bytes.data, (int)expected.kind,
                 (int)expected.error, (long long)expected.number, (int)expected.size,
                 (const char *)expected.bytes);
    /* An absent key has its vnode's version, which others raise. */
    bool fits = expected.wrote ? result->version > own->version
                : own->present ? result->version == own->version
                               : result->version >= own->version;
    if (!fits)
        sim_fail(sim, "own", "operation %d on %s is at version %llu, after version %llu",
                 (int)task->op.type, sim->keys[task->key].name, (unsigned long long)result->version,
                 (unsigned long long)own->version);
    own->version = result->version;
    if (expected.wrote && own->past_count == 0)
        own->first_us = sim->now_us;
    if (expected.wrote)
        note_state(own, task->asked_us, sim->now_us);
    sim->coverage->own_answers++;
}

void own_heard(struct sim *sim, struct sim_task *task, const struct router_outcome *outcome)
{
    struct sim_key *key = &sim->keys[task->key];
    if (!task->owns)
        return;
    key->own.busy = task->owns = false;
    if (outcome->type == ROUTER_UNKNOWN)
        leave(key);
    else if (outcome->type == ROUTER_ANSWERED && task->stale_ms > 0)
        check_stale(sim, task, &key->own, outcome->result);
    else if (outcome->type == ROUTER_ANSWERED)
        check_answer(sim, task, &key->own, outcome);
}
