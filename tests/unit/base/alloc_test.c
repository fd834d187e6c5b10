#include "base/alloc.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "tests/lib/counting.h"

/* Zeroed memory is zero although the heap's is not. */
Test(alloc, zeroed_memory_is_zero)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    uint8_t *memory = base_alloc_zero(allocator, 300);
    for (size_t i = 0; i < 300; i++)
        cr_assert_eq(memory[i], 0);
    base_free(allocator, memory, 300);
    counting_fini(&counting);
}

/* Freeing nothing does nothing, whatever the size says. */
Test(alloc, free_of_null_is_a_no_op)
{
    struct counting counting;
    base_free(counting_init(&counting), NULL, 10);
    cr_assert_eq(counting.call_count, 0);
}

/* The system allocator is the heap: what is written stays through a resize. */
Test(alloc, system_allocator_resizes)
{
    const struct base_allocator *allocator = base_allocator_system();
    char *memory = base_alloc(allocator, 4);
    memcpy(memory, "abc", 4);
    memory = allocator->resize(allocator->context, memory, 4, 1 << 20);
    cr_assert_str_eq(memory, "abc");
    base_free(allocator, memory, 1 << 20);
}

/* An array keeps its items while it grows, doubles, and never shrinks. */
Test(alloc, array_grows_and_keeps_items)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    uint32_t *items = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        items = base_array_reserve(allocator, items, &capacity, i + 1, sizeof(*items));
        cr_assert_geq(capacity, i + 1);
        items[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert_eq(items[i], i);
    cr_assert_eq(capacity, 1024);
    cr_assert_leq(counting.call_count, 8);
    base_array_free(allocator, items, &capacity, sizeof(*items));
    cr_assert_eq(capacity, 0);
    counting_fini(&counting);
}

/* Room that is there already costs nothing. */
Test(alloc, array_reserve_within_capacity_changes_nothing)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    size_t capacity = 0;
    uint64_t *items = base_array_reserve(allocator, NULL, &capacity, 1, sizeof(*items));
    size_t before = capacity;
    cr_assert_eq(base_array_reserve(allocator, items, &capacity, before, sizeof(*items)), items);
    cr_assert_eq(capacity, before);
    cr_assert_eq(counting.call_count, 1);
    base_array_free(allocator, items, &capacity, sizeof(*items));
    counting_fini(&counting);
}

/* A count whose bytes do not fit a size_t ends the process and never wraps to a small block. */
Test(alloc, array_size_overflow_asserts, .signal = SIGABRT)
{
    struct counting counting;
    size_t capacity = 0;
    base_array_reserve(counting_init(&counting), NULL, &capacity, SIZE_MAX / 8, 16);
}

/* A block of no bytes is a mistake of the caller's. */
Test(alloc, allocation_of_nothing_asserts, .signal = SIGABRT)
{
    base_alloc(base_allocator_system(), 0);
}
