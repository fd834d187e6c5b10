#include "router/slowlog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/counting.h"

static struct counting counting;

static void expect(struct router_buffer *out, const char *text)
{
    cr_assert(base_bytes_equal(router_buffer_bytes(out), base_bytes_text(text)), "%.*s",
              (int)out->size, (const char *)out->data);
    out->size = 0;
}

static void add(struct router_slowlog *slowlog, uint64_t took_us)
{
    struct router_slowlog_command command = {.unix_s = 100,
                                             .took_us = took_us,
                                             .words = base_bytes_text("*1\r\n$1\r\na\r\n"),
                                             .address = base_bytes_text("h:1"),
                                             .name = base_bytes_text("me")};
    router_slowlog_add(slowlog, &command);
}

/* As long or longer than the setting is slow; the newest come first; ids go on. */
Test(router_slowlog, keeps_the_newest_slow_ones)
{
    struct router_slowlog slowlog;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    router_slowlog_init(&slowlog, out.allocator, 10, 2);
    cr_assert(router_slowlog_on(&slowlog));
    add(&slowlog, 9);
    router_slowlog_reply(&slowlog, 5, &out);
    expect(&out, "*0\r\n");
    for (uint64_t took_us = 10; took_us < 13; took_us++)
        add(&slowlog, took_us);
    router_slowlog_reply(&slowlog, SIZE_MAX, &out);
    expect(&out, "*2\r\n"
                 "*6\r\n:2\r\n:100\r\n:12\r\n*1\r\n$1\r\na\r\n$3\r\nh:1\r\n$2\r\nme\r\n"
                 "*6\r\n:1\r\n:100\r\n:11\r\n*1\r\n$1\r\na\r\n$3\r\nh:1\r\n$2\r\nme\r\n");
    router_slowlog_clear(&slowlog);
    add(&slowlog, 20);
    router_slowlog_reply(&slowlog, 1, &out);
    expect(&out, "*1\r\n*6\r\n:3\r\n:100\r\n:20\r\n*1\r\n$1\r\na\r\n$3\r\nh:1\r\n$2\r\nme\r\n");
    router_slowlog_fini(&slowlog);
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* A command that began while nothing was kept has no words to be shown with. */
Test(router_slowlog, leaves_out_what_has_no_words)
{
    struct router_slowlog slowlog;
    struct router_slowlog_command command = {.took_us = 1000};
    router_slowlog_init(&slowlog, counting_init(&counting), 0, 2);
    router_slowlog_add(&slowlog, &command);
    cr_assert_eq(slowlog.count, 0);
    router_slowlog_fini(&slowlog);
    counting_fini(&counting);
}

/* Below 0 nothing is slow, and without room nothing is kept. */
Test(router_slowlog, may_be_off)
{
    struct router_slowlog slowlog;
    router_slowlog_init(&slowlog, counting_init(&counting), -1, 2);
    cr_assert_not(router_slowlog_on(&slowlog));
    add(&slowlog, 1000);
    cr_assert_eq(slowlog.count, 0);
    router_slowlog_fini(&slowlog);
    router_slowlog_init(&slowlog, counting_init(&counting), 0, 0);
    cr_assert_not(router_slowlog_on(&slowlog));
    add(&slowlog, 1000);
    cr_assert_eq(slowlog.count, 0);
    router_slowlog_fini(&slowlog);
    counting_fini(&counting);
}

/* What is cut says how much: 32 words of 128 bytes, as redis-server 7.0.15 has it. */
Test(router_slowlog, words_are_cut_as_in_redis)
{
    static const char long_word[129] = {'y'};
    struct base_bytes args[40];
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    for (size_t i = 0; i < 40; i++)
        args[i] = base_bytes_text("a");
    router_slowlog_words(args, 32, &out);
    cr_assert_eq(out.size, 5 + 32 * 7);
    out.size = 0;
    router_slowlog_words(args, 33, &out);
    cr_assert_eq(memcmp(out.data, "*32\r\n", 5), 0);
    cr_assert_eq(memcmp(out.data + 5 + 31 * 7, "$22\r\n... (2 more arguments)\r\n", 29), 0);
    out.size = 0;
    args[0] = base_bytes_of(long_word, 128);
    router_slowlog_words(args, 1, &out);
    cr_assert_eq(out.size, 4 + 6 + 128 + 2);
    out.size = 0;
    args[0] = base_bytes_of(long_word, 129);
    router_slowlog_words(args, 1, &out);
    cr_assert_eq(memcmp(out.data + 4, "$146\r\ny", 7), 0);
    cr_assert_eq(memcmp(out.data + 4 + 6 + 128, "... (1 more bytes)\r\n", 20), 0);
    cr_assert_eq(out.size, 4 + 6 + 146 + 2);
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* Fewer places keep the newest entries, in their order, and more take further ones. */
Test(router_slowlog, is_resized)
{
    struct router_slowlog slowlog;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    router_slowlog_init(&slowlog, &counting.allocator, 0, 3);
    for (uint64_t i = 0; i < 5; i++)
        add(&slowlog, i);
    router_slowlog_resize(&slowlog, 2);
    cr_assert_eq(slowlog.count, 2);
    router_slowlog_reply(&slowlog, 1, &out);
    cr_assert_eq(strncmp((const char *)out.data, "*1\r\n*6\r\n:4\r\n", 12), 0);
    router_slowlog_resize(&slowlog, 4);
    add(&slowlog, 9);
    add(&slowlog, 9);
    cr_assert_eq(slowlog.count, 4);
    out.size = 0;
    router_slowlog_reply(&slowlog, 1, &out);
    cr_assert_eq(strncmp((const char *)out.data, "*1\r\n*6\r\n:6\r\n", 12), 0);
    router_slowlog_resize(&slowlog, 0);
    cr_assert_eq(slowlog.count, 0);
    cr_assert_not(router_slowlog_on(&slowlog));
    router_slowlog_resize(&slowlog, 1);
    cr_assert(router_slowlog_on(&slowlog));
    router_slowlog_fini(&slowlog);
    router_buffer_fini(&out);
    counting_fini(&counting);
}
