#include "base/buffer.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "tests/lib/counting.h"

enum { HEADER = sizeof(struct base_buffer) };

/* A copy owns its bytes: the original may change. */
Test(buffer, copy_owns_its_bytes)
{
    struct counting counting;
    struct base_pool pool;
    base_pool_init(&pool, counting_init(&counting), 1000);
    char text[] = "entry";
    struct base_buffer *buffer = base_buffer_copy(&pool, base_bytes_text(text));
    memset(text, 'x', sizeof(text) - 1);
    cr_assert(base_bytes_equal(base_buffer_bytes(buffer), base_bytes_text("entry")));
    base_buffer_unref(buffer);
    base_pool_fini(&pool);
    counting_fini(&counting);
}

/* The memory lives as long as the last reference, and no longer. */
Test(buffer, last_reference_frees)
{
    struct counting counting;
    struct base_pool pool;
    base_pool_init(&pool, counting_init(&counting), 1000);
    struct base_buffer *buffer = base_buffer_new(&pool, 10);
    cr_assert_eq(base_buffer_ref(buffer), buffer);
    base_buffer_unref(buffer);
    cr_assert_eq(counting.blocks, 1);
    cr_assert_eq(pool.buffer_count, 1);
    base_buffer_unref(buffer);
    cr_assert_eq(counting.blocks, 0);
    cr_assert_eq(pool.bytes_used, 0);
    base_pool_fini(&pool);
}

/* The bound counts headers, holds to the byte, and gives room back. */
Test(buffer, pool_is_bounded_to_the_byte)
{
    struct counting counting;
    struct base_pool pool;
    base_pool_init(&pool, counting_init(&counting), 2 * HEADER + 100);
    struct base_buffer *first = base_buffer_new(&pool, 60);
    cr_assert_not(base_pool_has_room(&pool, 41));
    cr_assert_null(base_buffer_new(&pool, 41));
    cr_assert(base_pool_has_room(&pool, 40));
    struct base_buffer *second = base_buffer_new(&pool, 40);
    cr_assert_not_null(second);
    cr_assert_null(base_buffer_new(&pool, 0));
    cr_assert_eq(pool.refused, 2);
    cr_assert_eq(counting.bytes_peak, 2 * HEADER + 100);
    base_buffer_unref(first);
    cr_assert(base_pool_has_room(&pool, 60));
    base_buffer_unref(second);
    base_pool_fini(&pool);
    counting_fini(&counting);
}

/* A size that would wrap around with the header is refused, as is one past 32 bits. */
Test(buffer, huge_sizes_are_refused)
{
    struct base_pool pool;
    base_pool_init(&pool, base_allocator_system(), SIZE_MAX);
    cr_assert_not(base_pool_has_room(&pool, SIZE_MAX));
    cr_assert_not(base_pool_has_room(&pool, SIZE_MAX - HEADER + 1));
    cr_assert_not(base_pool_has_room(&pool, (size_t)UINT32_MAX + 1));
    cr_assert_null(base_buffer_new(&pool, SIZE_MAX));
    base_pool_fini(&pool);
}

/* No bytes are an entry too: a buffer of its own, with nothing in it. */
Test(buffer, empty_buffer_is_a_buffer)
{
    struct counting counting;
    struct base_pool pool;
    base_pool_init(&pool, counting_init(&counting), 1000);
    struct base_buffer *buffer = base_buffer_copy(&pool, base_bytes_of(NULL, 0));
    cr_assert_not_null(buffer);
    cr_assert_eq(buffer->size, 0);
    cr_assert_eq(pool.bytes_used, HEADER);
    base_buffer_unref(buffer);
    base_buffer_unref(NULL);
    base_pool_fini(&pool);
    counting_fini(&counting);
}

/* A buffer that outlives its pool ends the test. */
Test(buffer, pool_fini_asserts_on_a_leak, .signal = SIGABRT)
{
    struct counting counting;
    struct base_pool pool;
    base_pool_init(&pool, counting_init(&counting), 1000);
    base_buffer_new(&pool, 1);
    base_pool_fini(&pool);
}
