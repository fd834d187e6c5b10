#include "router/buffer.h"

#include <criterion/criterion.h>

#include "tests/lib/counting.h"

/* What is appended stands behind what was there. */
Test(router_buffer, appends_in_order)
{
    struct counting counting;
    struct router_buffer buffer = router_buffer_empty(counting_init(&counting));
    router_buffer_text(&buffer, "ab");
    router_buffer_append(&buffer, base_bytes_of(NULL, 0));
    router_buffer_format(&buffer, "%d-%s", 7, "x");
    cr_assert(base_bytes_equal(router_buffer_bytes(&buffer), base_bytes_text("ab7-x")));
    router_buffer_fini(&buffer);
    counting_fini(&counting);
}

/* A consumed head is gone and the rest is as before. */
Test(router_buffer, consumes_from_the_front)
{
    struct counting counting;
    struct router_buffer buffer = router_buffer_empty(counting_init(&counting));
    router_buffer_text(&buffer, "abcdef");
    router_buffer_consume(&buffer, 2);
    cr_assert(base_bytes_equal(router_buffer_bytes(&buffer), base_bytes_text("cdef")));
    router_buffer_consume(&buffer, 4);
    cr_assert_eq(buffer.size, 0);
    router_buffer_fini(&buffer);
    counting_fini(&counting);
}

/* An emptied buffer keeps a little memory for the next use, and gives a lot back. */
Test(router_buffer, keeps_little_memory)
{
    struct counting counting;
    struct router_buffer buffer = router_buffer_empty(counting_init(&counting));
    router_buffer_grow(&buffer, 100);
    router_buffer_clear(&buffer);
    cr_assert_geq(buffer.capacity, 100);
    router_buffer_grow(&buffer, ROUTER_BUFFER_KEEP_MAX + 1);
    router_buffer_clear(&buffer);
    cr_assert_eq(counting.bytes, 0);
    router_buffer_fini(&buffer);
    counting_fini(&counting);
}

/* A text longer than the formatting's own room is cut, never overrun. */
Test(router_buffer, format_cuts_long_texts)
{
    struct counting counting;
    struct router_buffer buffer = router_buffer_empty(counting_init(&counting));
    router_buffer_format(&buffer, "%0600d", 1);
    cr_assert_eq(buffer.size, 511);
    router_buffer_fini(&buffer);
    counting_fini(&counting);
}

/* One large piece takes what it needs, and not up to twice as much; small ones still double. */
Test(router_buffer, a_large_piece_gets_its_size)
{
    enum { LARGE = (8 << 20) + 1 };
    struct counting counting;
    struct router_buffer buffer = router_buffer_empty(counting_init(&counting));
    router_buffer_text(&buffer, "$8388609\r\n");
    router_buffer_grow(&buffer, LARGE);
    uint64_t calls = counting.call_count;
    router_buffer_text(&buffer, "\r\n");
    cr_assert_eq(counting.call_count, calls);
    cr_assert_leq(counting.bytes, LARGE + 100);
    router_buffer_reserve(&buffer, LARGE);
    cr_assert_eq(counting.call_count, calls);
    router_buffer_fini(&buffer);
    counting_fini(&counting);
}
