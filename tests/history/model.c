#include "tests/history/model.h"

#include "base/assert.h"

/* An integer as Redis takes it: decimal, in 64 bits, no sign but '-', no leading zero. */
static bool integer_of(struct base_bytes text, int64_t *ret_number)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative ? 1 : 0;
    if (at == text.size || text.size > 20)
        return false;
    if (text.data[at] == '0' && text.size > 1)
        return false;
    uint64_t limit = negative ? UINT64_C(1) << 63 : INT64_MAX;
    uint64_t number = 0;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.data[at] - '0');
        if (number > (limit - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

static uint32_t integer_value(struct history_values *values, int64_t number)
{
    uint8_t text[20];
    size_t at = sizeof(text);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        text[--at] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        text[--at] = '-';
    return history_value(values, base_bytes_of(text + at, sizeof(text) - at));
}

static bool add_overflows(int64_t a, int64_t b)
{
    return b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b;
}

static struct base_bytes bytes_of(const struct history_values *values, uint32_t value)
{
    if (value == HISTORY_ABSENT)
        return (struct base_bytes){NULL, 0};
    return history_value_bytes(values, value);
}

/* What an operation does to a state, whatever it answered. */
struct effect {
    bool applied;   /* False: refused; value and number mean nothing. */
    uint32_t value; /* Afterwards. */
    int64_t number; /* What it answers, where it answers one. */
};

static bool condition_holds(const struct history_state *state, const struct history_op *op)
{
    switch (op->condition) {
    case HISTORY_ALWAYS:
        return true;
    case HISTORY_IF_ABSENT:
        return state->value == HISTORY_ABSENT;
    case HISTORY_IF_PRESENT:
        return state->value != HISTORY_ABSENT;
    case HISTORY_IF_VALUE:
        return state->value == op->expected;
    case HISTORY_IF_VERSION:
        if (state->version == 0)
            return op->outcome != HISTORY_REFUSED; /* Not known: as the answer says. */
        return state->version == op->expected_version;
    }
    TORC_ASSERT(false);
    return false;
}

static struct effect effect_of_add(struct history_values *values, const struct history_state *state,
                                   const struct history_op *op)
{
    int64_t before = 0;
    if (state->value != HISTORY_ABSENT &&
        !integer_of(history_value_bytes(values, state->value), &before))
        return (struct effect){.applied = false};
    if (add_overflows(before, op->delta))
        return (struct effect){.applied = false};
    int64_t sum = before + op->delta;
    if (op->outcome == HISTORY_OK && op->result_number != sum)
        return (struct effect){.applied = true, .number = sum}; /* Does not fit: no value needed. */
    return (struct effect){true, integer_value(values, sum), sum};
}

/* APPEND is SET_RANGE at the end; only SET_RANGE of nothing leaves an absent key absent. */
static struct effect effect_of_write_at(struct history_values *values,
                                        const struct history_state *state,
                                        const struct history_op *op)
{
    struct base_bytes before = bytes_of(values, state->value);
    struct base_bytes part = bytes_of(values, op->value);
    uint64_t offset = op->kind == HISTORY_APPEND ? before.size : op->offset;
    if (op->kind == HISTORY_SET_RANGE && part.size == 0)
        return (struct effect){true, state->value, (int64_t)before.size};
    if (offset > values->size_max || part.size > values->size_max - offset)
        return (struct effect){.applied = false};
    size_t size = offset + part.size > before.size ? offset + part.size : before.size;
    if (op->outcome == HISTORY_OK && op->result_number != (int64_t)size)
        return (struct effect){.applied = true, .number = (int64_t)size};
    if (size == 0)
        return (struct effect){true, history_value(values, before), 0};
    uint8_t *after = base_alloc_zero(values->allocator, size);
    if (before.size > 0)
        memcpy(after, before.data, before.size);
    if (part.size > 0)
        memcpy(after + offset, part.data, part.size);
    uint32_t value = history_value(values, base_bytes_of(after, size));
    base_free(values->allocator, after, size);
    return (struct effect){true, value, (int64_t)size};
}

static struct effect effect_of(struct history_values *values, const struct history_state *state,
                               const struct history_op *op)
{
    switch (op->kind) {
    case HISTORY_GET:
        return (struct effect){true, state->value, 0};
    case HISTORY_PUT:
        return (struct effect){condition_holds(state, op), op->value, 0};
    case HISTORY_DELETE:
        return (struct effect){true, HISTORY_ABSENT, state->value != HISTORY_ABSENT};
    case HISTORY_ADD:
        return effect_of_add(values, state, op);
    case HISTORY_APPEND:
    case HISTORY_SET_RANGE:
        return effect_of_write_at(values, state, op);
    }
    TORC_ASSERT(false);
    return (struct effect){0};
}

/* The version after an answered operation; false if the one that it told cannot be. */
static bool version_after(const struct history_state *state, const struct history_op *op,
                          uint32_t value, uint64_t *ret_version)
{
    uint64_t version = op->version;
    bool present = state->value != HISTORY_ABSENT;
    if (op->kind == HISTORY_GET) {
        if (version != 0 && state->version != 0 && version != state->version)
            return false;
        version = version == 0 ? state->version : version;
    } else if (present && version != 0 && version <= state->version) {
        return false;
    }
    *ret_version = value == HISTORY_ABSENT ? 0 : version;
    return true;
}

static bool string_step(struct history_values *values, const struct history_state *state,
                        const struct history_op *op, struct history_state *ret_state)
{
    TORC_ASSERT(op->outcome != HISTORY_FAILED);
    struct effect effect = effect_of(values, state, op);
    if (op->outcome == HISTORY_UNKNOWN) {
        bool changes = effect.applied && op->kind != HISTORY_GET;
        *ret_state = changes ? (struct history_state){.value = effect.value} : *state;
        return true;
    }
    if (effect.applied != (op->outcome == HISTORY_OK))
        return false;
    if (!effect.applied) {
        *ret_state = *state;
        return true;
    }
    if (op->kind == HISTORY_GET && op->result_value != effect.value)
        return false;
    if (op->kind >= HISTORY_DELETE && op->result_number != effect.number)
        return false;
    struct history_state after = {.value = effect.value};
    if (!version_after(state, op, effect.value, &after.version))
        return false;
    *ret_state = after;
    return true;
}

static void profile_of_put(const struct history_op *op, struct history_profile *profile)
{
    bool refused = op->outcome == HISTORY_REFUSED;
    if (!refused)
        profile->produces = op->value;
    if (op->condition == HISTORY_IF_ABSENT && !refused)
    profile->requires = HISTORY_ABSENT;
    if (op->condition == HISTORY_IF_PRESENT && refused)
    profile->requires = HISTORY_ABSENT;
    if (op->condition == HISTORY_IF_VALUE && !refused)
    profile->requires = op->expected;
    profile->plain =
        profile->requires != HISTORY_ANY || (op->condition == HISTORY_ALWAYS && !refused);
}

static void profile_of_add(struct history_values *values, const struct history_op *op,
                           struct history_profile *profile)
{
    if (op->outcome == HISTORY_UNKNOWN)
        profile->produces = HISTORY_ANY;
    profile->grows = op->delta > 0 ? HISTORY_BY_NUMBER : HISTORY_BY_NOTHING;
    if (op->outcome != HISTORY_OK)
        return;
    profile->produces = integer_value(values, op->result_number);
    if (op->delta == INT64_MIN || add_overflows(op->result_number, -op->delta))
        return;
    int64_t before = op->result_number - op->delta;
    if (before == 0) /* Absent would do as well. */
        return;
    profile->requires = integer_value(values, before);
    profile->plain = true;
}

/* What it wrote must be there; what stood beside it before is not asked. */
static bool string_may_produce(const struct history_values *values, const struct history_op *op,
                               uint32_t value)
{
    if (value == HISTORY_ABSENT)
        return op->kind == HISTORY_SET_RANGE; /* Of nothing. */
    struct base_bytes after = history_value_bytes(values, value);
    if (op->kind == HISTORY_ADD) {
        int64_t ignored;
        return integer_of(after, &ignored);
    }
    TORC_ASSERT(op->kind >= HISTORY_APPEND);
    if (op->outcome == HISTORY_OK && op->result_number != (int64_t)after.size)
        return false;
    struct base_bytes part = bytes_of(values, op->value);
    if (part.size > after.size)
        return false;
    uint64_t offset = op->kind == HISTORY_APPEND ? after.size - part.size : op->offset;
    if (offset > after.size - part.size)
        return part.size == 0;
    return base_bytes_equal(base_bytes_of(after.data + offset, part.size), part);
}

static bool string_may_grow(const struct history_values *values, enum history_order order,
                            uint32_t from, uint32_t to)
{
    if (from == HISTORY_ABSENT || from == to)
        return true;
    if (to == HISTORY_ABSENT)
        return false;
    struct base_bytes before = history_value_bytes(values, from);
    struct base_bytes after = history_value_bytes(values, to);
    if (order == HISTORY_BY_SIZE)
        return before.size < after.size && memcmp(before.data, after.data, before.size) == 0;
    int64_t low;
    int64_t high;
    return integer_of(before, &low) && integer_of(after, &high) && low < high;
}

static void string_profile(struct history_values *values, const struct history_op *op,
                           struct history_profile *ret_profile)
{
    TORC_ASSERT(op->outcome != HISTORY_FAILED);
    struct history_profile profile = {.requires = HISTORY_ANY, .produces = HISTORY_SAME};
    switch (op->kind) {
    case HISTORY_GET:
        if (op->outcome == HISTORY_OK) {
            profile.requires = op->result_value;
            profile.plain = true;
        }
        break;
    case HISTORY_PUT:
        profile_of_put(op, &profile);
        break;
    case HISTORY_DELETE:
        if (op->outcome == HISTORY_OK && op->result_number == 0)
        profile.requires
        = HISTORY_ABSENT;
        else profile.produces = HISTORY_ABSENT;
        profile.plain = op->outcome == HISTORY_UNKNOWN || profile.requires == HISTORY_ABSENT;
        break;
    case HISTORY_ADD:
        profile_of_add(values, op, &profile);
        break;
    case HISTORY_APPEND:
        if (bytes_of(values, op->value).size > 0)
            profile.grows = HISTORY_BY_SIZE;
        if (op->outcome != HISTORY_REFUSED)
            profile.produces = HISTORY_ANY;
        break;
    case HISTORY_SET_RANGE:
        if (op->outcome != HISTORY_REFUSED)
            profile.produces = HISTORY_ANY;
        break;
    }
    if (op->version != 0)
        profile.plain = false;
    *ret_profile = profile;
}

const struct history_model history_string_model = {
    .profile = string_profile,
    .step = string_step,
    .may_produce = string_may_produce,
    .may_grow = string_may_grow,
};
