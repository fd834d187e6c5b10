#include "tests/lib/counting.h"

#include <criterion/criterion.h>
#include <signal.h>

/* What is live and the most that was live are known to the byte. */
Test(counting, counts_live_bytes_blocks_and_their_peaks)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    void *a = base_alloc(allocator, 100);
    void *b = base_alloc(allocator, 28);
    cr_assert_eq(counting.bytes, 128);
    cr_assert_eq(counting.blocks, 2);
    base_free(allocator, a, 100);
    cr_assert_eq(counting.bytes, 28);
    cr_assert_eq(counting.bytes_peak, 128);
    counting_peak_reset(&counting);
    cr_assert_eq(counting.bytes_peak, 28);
    cr_assert_eq(counting.blocks_peak, 1);
    base_free(allocator, b, 28);
    counting_fini(&counting);
}

/* A resize keeps the bytes that fit and always moves, so that a stale pointer is found out. */
Test(counting, resize_moves_and_keeps_bytes)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    char *memory = base_alloc(allocator, 4);
    memcpy(memory, "abcd", 4);
    char *grown = allocator->resize(allocator->context, memory, 4, 400);
    cr_assert_neq(grown, memory);
    cr_assert_eq(memcmp(grown, "abcd", 4), 0);
    char *shrunk = allocator->resize(allocator->context, grown, 400, 2);
    cr_assert_eq(memcmp(shrunk, "ab", 2), 0);
    cr_assert_eq(counting.bytes, 2);
    base_free(allocator, shrunk, 2);
    counting_fini(&counting);
}

/* A leak ends the test. */
Test(counting, fini_asserts_on_a_leak, .signal = SIGABRT)
{
    struct counting counting;
    base_alloc(counting_init(&counting), 1);
    counting_fini(&counting);
}

/* A free with another size than was asked for ends the test. */
Test(counting, free_with_a_wrong_size_asserts, .signal = SIGABRT)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    base_free(allocator, base_alloc(allocator, 16), 15);
}

/* A block goes back to the allocator that it came from. */
Test(counting, free_to_another_allocator_asserts, .signal = SIGABRT)
{
    struct counting one, other;
    void *memory = base_alloc(counting_init(&one), 8);
    base_free(counting_init(&other), memory, 8);
}
