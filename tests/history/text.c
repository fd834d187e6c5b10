#include "tests/history/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

/* ---- The set ---- */

void history_set_init(struct history_set *set, const struct base_allocator *allocator)
{
    *set = (struct history_set){.allocator = allocator};
    history_values_init(&set->keys, allocator);
}

void history_set_fini(struct history_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        history_fini(&set->histories[i]);
    base_array_free(set->allocator, set->histories, &set->capacity, sizeof(*set->histories));
    history_values_fini(&set->keys);
    *set = (struct history_set){0};
}

struct history *history_set_of(struct history_set *set, struct base_bytes key)
{
    size_t place = history_value(&set->keys, key) - 1;
    TORC_ASSERT(place <= set->count);
    if (place == set->count) {
        set->histories = base_array_reserve(set->allocator, set->histories, &set->capacity,
                                            set->count + 1, sizeof(*set->histories));
        history_init(&set->histories[set->count++], set->allocator);
    }
    return &set->histories[place];
}

struct base_bytes history_set_key(const struct history_set *set, size_t place)
{
    TORC_ASSERT(place < set->count);
    return history_value_bytes(&set->keys, (uint32_t)place + 1);
}

/* ---- Reading ---- */

enum field {
    FIELD_KEY,
    FIELD_PROCESS,
    FIELD_INVOKE,
    FIELD_OP,
    FIELD_VALUE,
    FIELD_IF,
    FIELD_EXPECT,
    FIELD_EXPECT_VERSION,
    FIELD_DELTA,
    FIELD_OFFSET,
    FIELD_OUTCOME,
    FIELD_RETURN,
    FIELD_FOUND,
    FIELD_NUMBER,
    FIELD_VERSION,
    FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
    "key",   "process", "invoke",  "op",     "value", "if",     "expect",  "expect_version",
    "delta", "offset",  "outcome", "return", "found", "number", "version",
};

/* By the enums in history.h; NULL where there is no such number. */
static const char *const kind_names[] = {NULL, "get", "put", "delete", "add", "append", "setrange"};
static const char *const condition_names[] = {NULL, "absent", "present", "version", "value"};
static const char *const outcome_names[] = {"unknown", "ok", "refused", "failed"};

struct line {
    struct base_bytes fields[FIELD_COUNT]; /* Unquoted, in the scratch of the reader. */
    bool present[FIELD_COUNT];
};

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Takes a quoted value whose opening quote is at *at; appends its bytes at *to. */
static bool take_quoted(struct base_bytes line, size_t *at, uint8_t *scratch, size_t *to)
{
    for (size_t i = *at + 1; i < line.size; i++) {
        uint8_t c = line.data[i];
        if (c == '"') {
            *at = i + 1;
            return true;
        }
        if (c == '\\') {
            if (i + 1 >= line.size)
                return false;
            c = line.data[++i];
            if (c == 'x') {
                int high = i + 2 < line.size ? digit_of(line.data[i + 1]) : -1;
                int low = i + 2 < line.size ? digit_of(line.data[i + 2]) : -1;
                if (high < 0 || low < 0)
                    return false;
                c = (uint8_t)(high * 16 + low);
                i += 2;
            } else if (c != '"' && c != '\\') {
                return false;
            }
        }
        scratch[(*to)++] = c;
    }
    return false;
}

static bool plain_byte(uint8_t c)
{
    return c > ' ' && c < 127 && c != '"' && c != '\\';
}

static bool take_value(struct base_bytes line, size_t *at, uint8_t *scratch, size_t *to)
{
    if (*at < line.size && line.data[*at] == '"')
        return take_quoted(line, at, scratch, to);
    while (*at < line.size && plain_byte(line.data[*at]))
        scratch[(*to)++] = line.data[(*at)++];
    return true;
}

static size_t field_of(struct base_bytes name)
{
    size_t field = 0;
    while (field < FIELD_COUNT && !base_bytes_equal(name, base_bytes_text(field_names[field])))
        field++;
    return field;
}

/* `scratch` has room for the line. */
static bool split(struct base_bytes text, uint8_t *scratch, struct line *ret_line)
{
    struct line line = {0};
    size_t at = 0;
    size_t to = 0;
    while (at < text.size) {
        if (text.data[at] == ' ') {
            at++;
            continue;
        }
        size_t name = at;
        while (at < text.size && text.data[at] != '=')
            at++;
        size_t field = field_of(base_bytes_of(text.data + name, at - name));
        if (at == text.size || field == FIELD_COUNT || line.present[field])
            return false;
        at++;
        size_t from = to;
        if (!take_value(text, &at, scratch, &to) || (at < text.size && text.data[at] != ' '))
            return false;
        line.present[field] = true;
        line.fields[field] = base_bytes_of(scratch + from, to - from);
    }
    *ret_line = line;
    return true;
}

/* An absent field is 0. */
static bool unsigned_of(const struct line *line, enum field field, uint64_t max,
                        uint64_t *ret_number)
{
    struct base_bytes text = line->fields[field];
    if (line->present[field] && text.size == 0)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (digit > max || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

static bool signed_of(const struct line *line, enum field field, int64_t *ret_number)
{
    struct line copy = *line;
    struct base_bytes *text = &copy.fields[field];
    bool negative = text->size > 0 && text->data[0] == '-';
    if (negative)
        *text = base_bytes_of(text->data + 1, text->size - 1);
    uint64_t number;
    uint64_t max = negative ? UINT64_C(1) << 63 : INT64_MAX;
    if (!unsigned_of(&copy, field, max, &number))
        return false;
    *ret_number = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

/* The place of a name in a table; an absent field is 0 if `optional`. */
static bool name_of(const struct line *line, enum field field, const char *const *names,
                    size_t name_count, bool optional, unsigned *ret_place)
{
    if (!line->present[field]) {
        *ret_place = 0;
        return optional;
    }
    for (unsigned i = 0; i < name_count; i++) {
        if (names[i] != NULL && base_bytes_equal(line->fields[field], base_bytes_text(names[i]))) {
            *ret_place = i;
            return true;
        }
    }
    return false;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool op_numbers(const struct line *line, struct history_op *op)
{
    unsigned kind;
    unsigned condition;
    unsigned outcome;
    if (!name_of(line, FIELD_OP, kind_names, COUNT_OF(kind_names), false, &kind) ||
        !name_of(line, FIELD_IF, condition_names, COUNT_OF(condition_names), true, &condition) ||
        !name_of(line, FIELD_OUTCOME, outcome_names, COUNT_OF(outcome_names), false, &outcome))
        return false;
    op->kind = (enum history_kind)kind;
    op->condition = (enum history_condition)condition;
    op->outcome = (enum history_outcome)outcome;
    return unsigned_of(line, FIELD_PROCESS, UINT64_MAX, &op->process) &&
           unsigned_of(line, FIELD_INVOKE, UINT64_MAX, &op->invoke_time) &&
           unsigned_of(line, FIELD_RETURN, UINT64_MAX, &op->return_time) &&
           unsigned_of(line, FIELD_EXPECT_VERSION, UINT64_MAX, &op->expected_version) &&
           unsigned_of(line, FIELD_OFFSET, HISTORY_VALUE_SIZE_MAX, &op->offset) &&
           unsigned_of(line, FIELD_VERSION, UINT64_MAX, &op->version) &&
           signed_of(line, FIELD_DELTA, &op->delta) &&
           signed_of(line, FIELD_NUMBER, &op->result_number);
}

/* Whether the fields that are there are those that the operation needs. */
static bool op_complete(const struct line *line, const struct history_op *op)
{
    const bool *present = line->present;
    bool writes = op->kind == HISTORY_PUT || op->kind >= HISTORY_APPEND;
    bool answered = op->outcome != HISTORY_UNKNOWN;
    bool ok = op->outcome == HISTORY_OK;
    bool refusable = op->condition != HISTORY_ALWAYS || op->kind >= HISTORY_ADD;
    for (int field = 0; field < FIELD_COUNT; field++) {
        if (line->fields[field].size > HISTORY_VALUE_SIZE_MAX)
            return false;
    }
    return present[FIELD_KEY] && present[FIELD_INVOKE] && present[FIELD_VALUE] == writes &&
           present[FIELD_DELTA] == (op->kind == HISTORY_ADD) &&
           present[FIELD_OFFSET] == (op->kind == HISTORY_SET_RANGE) &&
           (op->kind == HISTORY_PUT || op->condition == HISTORY_ALWAYS) &&
           present[FIELD_EXPECT] == (op->condition == HISTORY_IF_VALUE) &&
           present[FIELD_EXPECT_VERSION] == (op->condition == HISTORY_IF_VERSION) &&
           present[FIELD_RETURN] == answered && (!answered || op->return_time >= op->invoke_time) &&
           present[FIELD_NUMBER] == (ok && op->kind >= HISTORY_DELETE) &&
           (!present[FIELD_FOUND] || (ok && op->kind == HISTORY_GET)) &&
           (!present[FIELD_VERSION] || ok) && (refusable || op->outcome != HISTORY_REFUSED);
}

static bool read_line(struct history_set *set, struct base_bytes text, uint8_t *scratch)
{
    struct line line;
    struct history_op op = {0};
    if (!split(text, scratch, &line) || !op_numbers(&line, &op) || !op_complete(&line, &op))
        return false;
    struct history *history = history_set_of(set, line.fields[FIELD_KEY]);
    if (line.present[FIELD_VALUE])
        op.value = history_value(&history->values, line.fields[FIELD_VALUE]);
    if (line.present[FIELD_EXPECT])
        op.expected = history_value(&history->values, line.fields[FIELD_EXPECT]);
    if (line.present[FIELD_FOUND])
        op.result_value = history_value(&history->values, line.fields[FIELD_FOUND]);
    size_t index = history_begin(history, &op);
    if (op.outcome != HISTORY_UNKNOWN)
        history_end(history, index, &op);
    return true;
}

enum torc_status history_text_read(struct history_set *set, struct base_bytes text,
                                   size_t *ret_line)
{
    enum torc_status status = TORC_OK;
    uint8_t *scratch = base_alloc(set->allocator, text.size + 1);
    size_t number = 0;
    for (size_t at = 0; at < text.size && status == TORC_OK;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.size - at);
        size_t size = end == NULL ? text.size - at : (size_t)(end - text.data) - at;
        struct base_bytes line = base_bytes_of(text.data + at, size);
        number++;
        at += size + 1;
        if (line.size == 0 || line.data[0] == '#')
            continue;
        if (!read_line(set, line, scratch)) {
            *ret_line = number;
            status = TORC_MALFORMED;
        }
    }
    base_free(set->allocator, scratch, text.size + 1);
    return status;
}

/* ---- Writing ---- */

__attribute__((format(printf, 2, 3))) static void put_text(struct history_text *text,
                                                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    TORC_ASSERT(size >= 0);
    text->data = base_array_reserve(text->allocator, text->data, &text->capacity,
                                    text->size + (size_t)size + 1, 1);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
    va_end(again);
    text->size += (size_t)size;
}

void history_text_fini(struct history_text *text)
{
    base_array_free(text->allocator, text->data, &text->capacity, 1);
    *text = (struct history_text){0};
}

static void put_value(struct history_text *text, struct base_bytes value)
{
    bool quoted = value.size == 0;
    for (size_t i = 0; i < value.size; i++)
        quoted = quoted || !plain_byte(value.data[i]);
    if (!quoted) {
        put_text(text, "%.*s", (int)value.size, (const char *)value.data);
        return;
    }
    put_text(text, "\"");
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c == '"' || c == '\\')
            put_text(text, "\\%c", c);
        else if (c >= ' ' && c < 127)
            put_text(text, "%c", c);
        else
            put_text(text, "\\x%02x", c);
    }
    put_text(text, "\"");
}

static void put_field(struct history_text *text, const char *name, const struct history *history,
                      uint32_t value)
{
    put_text(text, " %s=", name);
    put_value(text, history_value_bytes(&history->values, value));
}

static void put_answer(struct history_text *text, const struct history *history,
                       const struct history_op *op)
{
    put_text(text, " outcome=%s", outcome_names[op->outcome]);
    if (op->outcome != HISTORY_UNKNOWN)
        put_text(text, " return=%" PRIu64, op->return_time);
    if (op->outcome != HISTORY_OK)
        return;
    if (op->result_value != HISTORY_ABSENT && op->kind == HISTORY_GET)
        put_field(text, "found", history, op->result_value);
    if (op->kind >= HISTORY_DELETE)
        put_text(text, " number=%" PRId64, op->result_number);
    if (op->version != 0)
        put_text(text, " version=%" PRIu64, op->version);
}

void history_text_write(struct history_text *text, struct base_bytes key,
                        const struct history *history, const struct history_op *op)
{
    put_text(text, "key=");
    put_value(text, key);
    put_text(text, " process=%" PRIu64 " invoke=%" PRIu64 " op=%s", op->process, op->invoke_time,
             kind_names[op->kind]);
    if (op->kind == HISTORY_PUT || op->kind >= HISTORY_APPEND)
        put_field(text, "value", history, op->value);
    if (op->condition != HISTORY_ALWAYS)
        put_text(text, " if=%s", condition_names[op->condition]);
    if (op->condition == HISTORY_IF_VALUE)
        put_field(text, "expect", history, op->expected);
    if (op->condition == HISTORY_IF_VERSION)
        put_text(text, " expect_version=%" PRIu64, op->expected_version);
    if (op->kind == HISTORY_ADD)
        put_text(text, " delta=%" PRId64, op->delta);
    if (op->kind == HISTORY_SET_RANGE)
        put_text(text, " offset=%" PRIu64, op->offset);
    put_answer(text, history, op);
    put_text(text, "\n");
}

static bool in_prefix(const struct history_verdict *verdict, size_t index)
{
    for (size_t i = 0; i < verdict->prefix_count; i++) {
        if (verdict->prefix[i] == index)
            return true;
    }
    return false;
}

/* The operations that could have come after the prefix as far as time goes: invoked before the
 * first return of those outside it. */
static void put_next(struct history_text *text, struct base_bytes key,
                     const struct history *history, const struct history_verdict *verdict)
{
    uint64_t horizon = history->ops[verdict->stuck].return_time;
    for (size_t i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->invoke_time > horizon || op->outcome == HISTORY_FAILED || in_prefix(verdict, i))
            continue;
        put_text(text, i == verdict->stuck ? "> " : "  ");
        history_text_write(text, key, history, op);
    }
}

void history_text_report(struct history_text *text, struct base_bytes key,
                         const struct history *history, const struct history_verdict *verdict)
{
    enum { SHOWN_MAX = 10 };
    static const char *const answers[] = {NULL, "linearizable", "NOT linearizable", "UNDECIDED"};
    put_text(text, "key=");
    put_value(text, key);
    put_text(text, " %s operations=%zu steps=%" PRIu64 "\n", answers[verdict->answer],
             history->count, verdict->step_count);
    if (verdict->answer == HISTORY_LINEARIZABLE)
        return;
    size_t shown = verdict->prefix_count < SHOWN_MAX ? verdict->prefix_count : SHOWN_MAX;
    put_text(text, "the longest linearizable beginning has %zu operations, the last %zu:\n",
             verdict->prefix_count, shown);
    for (size_t i = verdict->prefix_count - shown; i < verdict->prefix_count; i++) {
        put_text(text, "  ");
        history_text_write(text, key, history, &history->ops[verdict->prefix[i]]);
    }
    put_text(text, "after it the key");
    if (verdict->state.value == HISTORY_ABSENT)
        put_text(text, " is absent");
    else
        put_field(text, "holds value", history, verdict->state.value);
    if (verdict->awaited != SIZE_MAX) {
        put_text(text, ", which must stay for\n  ");
        history_text_write(text, key, history, &history->ops[verdict->awaited]);
    } else {
        put_text(text, "\n");
    }
    put_text(text, "what can come next leads nowhere (> is the first to return):\n");
    put_next(text, key, history, verdict);
}
