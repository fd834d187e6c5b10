#include "tests/history/history.h"

#include "base/assert.h"
#include "base/hash.h"

void history_values_init(struct history_values *values, const struct base_allocator *allocator)
{
    *values = (struct history_values){.allocator = allocator, .size_max = HISTORY_VALUE_SIZE_MAX};
    values->items =
        base_array_reserve(allocator, NULL, &values->capacity, 1, sizeof(*values->items));
    values->items[HISTORY_ABSENT] = (struct base_bytes){NULL, 0};
    values->count = 1;
}

void history_values_fini(struct history_values *values)
{
    const struct base_allocator *allocator = values->allocator;
    for (size_t value = 1; value < values->count; value++)
        base_free(allocator, (void *)(uintptr_t)values->items[value].data,
                  values->items[value].size);
    base_array_free(allocator, values->items, &values->capacity, sizeof(*values->items));
    base_free(allocator, values->slots, values->slot_count * sizeof(*values->slots));
    *values = (struct history_values){0};
}

static void slots_grow(struct history_values *values)
{
    size_t slot_count = values->slot_count == 0 ? 64 : values->slot_count * 2;
    const struct base_allocator *allocator = values->allocator;
    base_free(allocator, values->slots, values->slot_count * sizeof(*values->slots));
    values->slots = base_alloc_zero(allocator, slot_count * sizeof(*values->slots));
    values->slot_count = slot_count;
    for (uint32_t value = 1; value < values->count; value++) {
        size_t slot = base_hash(values->items[value]) & (slot_count - 1);
        while (values->slots[slot] != 0)
            slot = (slot + 1) & (slot_count - 1);
        values->slots[slot] = value;
    }
}

uint32_t history_value(struct history_values *values, struct base_bytes bytes)
{
    TORC_ASSERT(bytes.size <= HISTORY_VALUE_SIZE_MAX);
    if (values->count * 2 >= values->slot_count)
        slots_grow(values);
    size_t slot = base_hash(bytes) & (values->slot_count - 1);
    while (values->slots[slot] != 0) {
        if (base_bytes_equal(values->items[values->slots[slot]], bytes))
            return values->slots[slot];
        slot = (slot + 1) & (values->slot_count - 1);
    }
    values->items = base_array_reserve(values->allocator, values->items, &values->capacity,
                                       values->count + 1, sizeof(*values->items));
    uint8_t *copy = NULL;
    if (bytes.size > 0) {
        copy = base_alloc(values->allocator, bytes.size);
        memcpy(copy, bytes.data, bytes.size);
    }
    TORC_ASSERT(values->count < UINT32_MAX / 2);
    uint32_t value = (uint32_t)values->count++;
    values->items[value] = base_bytes_of(copy, bytes.size);
    values->bytes += bytes.size + sizeof(*values->items) + 2 * sizeof(*values->slots);
    values->slots[slot] = value;
    return value;
}

struct base_bytes history_value_bytes(const struct history_values *values, uint32_t value)
{
    TORC_ASSERT(value != HISTORY_ABSENT);
    TORC_ASSERT(value < values->count);
    return values->items[value];
}

void history_init(struct history *history, const struct base_allocator *allocator)
{
    *history = (struct history){0};
    history_values_init(&history->values, allocator);
}

void history_fini(struct history *history)
{
    base_array_free(history->values.allocator, history->ops, &history->capacity,
                    sizeof(*history->ops));
    history_values_fini(&history->values);
}

size_t history_begin(struct history *history, const struct history_op *op)
{
    TORC_ASSERT(op->kind >= HISTORY_GET && op->kind <= HISTORY_SET_RANGE);
    TORC_ASSERT(op->condition == HISTORY_ALWAYS || op->kind == HISTORY_PUT);
    history->ops = base_array_reserve(history->values.allocator, history->ops, &history->capacity,
                                      history->count + 1, sizeof(*history->ops));
    struct history_op *noted = &history->ops[history->count];
    *noted = *op;
    noted->outcome = HISTORY_UNKNOWN;
    noted->return_time = 0;
    noted->result_value = HISTORY_ABSENT;
    noted->result_number = 0;
    noted->version = 0;
    return history->count++;
}

void history_end(struct history *history, size_t index, const struct history_op *answer)
{
    TORC_ASSERT(index < history->count);
    struct history_op *op = &history->ops[index];
    TORC_ASSERT(op->outcome == HISTORY_UNKNOWN && answer->outcome != HISTORY_UNKNOWN);
    TORC_ASSERT(answer->return_time >= op->invoke_time);
    op->outcome = answer->outcome;
    op->return_time = answer->return_time;
    op->result_value = answer->result_value;
    op->result_number = answer->result_number;
    op->version = answer->version;
}
