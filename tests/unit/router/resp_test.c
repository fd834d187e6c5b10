#include "router/resp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

static const struct router_resp_limits limits = {10, 100, 200};

/* Reads all of `input`, of which `cut` bytes are there at first, then half of the rest, then all,
 * and writes what came out as text: words in <>, commands in lines, the error at the end. */
static void read_all(struct base_bytes input, size_t cut, struct router_buffer *out)
{
    struct router_resp resp;
    struct counting counting;
    router_resp_init(&resp, counting_init(&counting), &limits);
    size_t ends[] = {cut, cut + (input.size - cut) / 2, input.size};
    size_t at = 0, arrival = 0;
    for (;;) {
        size_t used = 0;
        /* A copy of exactly what is there: reading past it is caught by the sanitizer. */
        size_t size = ends[arrival] - at;
        uint8_t *copy = malloc(size > 0 ? size : 1);
        memcpy(copy, input.data + at, size);
        enum router_resp_status status = router_resp_read(&resp, base_bytes_of(copy, size), &used);
        if (status == ROUTER_RESP_COMMAND) {
            for (size_t i = 0; i < resp.arg_count; i++) {
                router_buffer_text(out, "<");
                router_buffer_append(out, resp.args[i]);
                router_buffer_text(out, ">");
            }
            router_buffer_text(out, "\n");
            at += used;
        }
        free(copy);
        if (status == ROUTER_RESP_ERROR) {
            router_buffer_text(out, resp.error);
            break;
        }
        if (status == ROUTER_RESP_MORE && ++arrival == sizeof(ends) / sizeof(ends[0]))
            break;
    }
    router_resp_fini(&resp);
    counting_fini(&counting);
}

static void expect(const char *input, const char *output)
{
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    struct base_bytes bytes = base_bytes_text(input);
    for (size_t cut = 0; cut <= bytes.size; cut++) {
        read_all(bytes, cut, &out);
        cr_assert(base_bytes_equal(router_buffer_bytes(&out), base_bytes_text(output)),
                  "cut at %zu: %.*s", cut, (int)out.size, (const char *)out.data);
        out.size = 0;
    }
    router_buffer_fini(&out);
}

/* Multibulk and inline commands, one after the other, however they are cut. */
Test(router_resp, reads_commands)
{
    expect("*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "<GET><a>\n");
    expect("*1\r\n$4\r\nPING\r\n*1\r\n$0\r\n\r\n", "<PING>\n<>\n");
    expect("*0\r\n*-1\r\nPING\r\n", "\n\n<PING>\n");
    expect("GET  a \tb\n\r\n", "<GET><a><b>\n\n");
    expect("*1\r\n$4\r\na\r\nb\r\n", "<a\r\nb>\n");
}

/* Quotes and escapes of inline commands. */
Test(router_resp, reads_inline_quoting)
{
    expect("SET \"a b\" 'c d'\r\n", "<SET><a b><c d>\n");
    expect("\"\\x41\\n\\r\\t\\b\\a\\\\\\\"\\q\"\r\n", "<A\n\r\t\b\a\\\"q>\n");
    expect("'a\\'b\\n'\r\n", "<a'b\\n>\n");
    expect("a\"b c\" d\r\n", "<ab c><d>\n");
    expect("\"\" ''\r\n", "<><>\n");
    expect("\"\\xg1\\x1\"\r\n", "<xg1x1>\n");
    expect("\"a\"b\r\n", "Protocol error: unbalanced quotes in request");
    expect("\"a\r\n", "Protocol error: unbalanced quotes in request");
    expect("'a\r\n", "Protocol error: unbalanced quotes in request");
    expect("\"a\\\r\n", "Protocol error: unbalanced quotes in request");
}

/* Redis's own texts for what cannot be read on. */
Test(router_resp, errors_have_redis_words)
{
    expect("*x\r\n", "Protocol error: invalid multibulk length");
    expect("*2147483648\r\n", "Protocol error: invalid multibulk length");
    expect("*1\r\nPING\r\n", "Protocol error: expected '$', got 'P'");
    expect("*1\r\n$-1\r\n", "Protocol error: invalid bulk length");
    expect("*1\r\n$x\r\n", "Protocol error: invalid bulk length");
    expect("*1\r\n$99999999999999999999\r\n", "Protocol error: invalid bulk length");
}

/* Past a limit of ours the error names it. */
Test(router_resp, errors_name_the_limit)
{
    expect("*11\r\n", "Protocol error: too many arguments (the limit args_max is 10)");
    expect("*1\r\n$101\r\n",
           "Protocol error: invalid bulk length (the limit bulk_size_max is 100)");
    char text[512];
    snprintf(text, sizeof(text), "*3\r\n$90\r\n%090d\r\n$90\r\n%090d\r\n$10\r\n", 1, 2);
    char expected[] = "Protocol error: too big command (the limit command_size_max is 200)";
    expect(text, expected);
}

static void expect_endless(char first, const char *error)
{
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    struct router_buffer in = router_buffer_empty(base_allocator_system());
    memset(router_buffer_grow(&in, ROUTER_RESP_INLINE_SIZE_MAX + 3), '1',
           ROUTER_RESP_INLINE_SIZE_MAX + 3);
    in.data[0] = (uint8_t)first;
    read_all(router_buffer_bytes(&in), 10, &out);
    cr_assert(base_bytes_equal(router_buffer_bytes(&out), base_bytes_text(error)), "%.*s",
              (int)out.size, (const char *)out.data);
    router_buffer_fini(&in);
    router_buffer_fini(&out);
}

/* A line without an end is refused at 64 KiB. */
Test(router_resp, endless_lines_are_refused)
{
    expect_endless('a', "Protocol error: too big inline request");
    expect_endless('*', "Protocol error: too big mbulk count string");
}

/* One random command: multibulk mostly, of few bytes, or a line. */
static void append_random(struct base_prng *prng, struct router_buffer *in)
{
    static const char *const lines[] = {
        "PING\r\n", "\r\n", "SET a 'b c'\n", "*0\r\n", "*x\r\n", "GET \"\\x00\"\r\n", "\"\r\n"};
    if (base_prng_chance(prng, 1, 4)) {
        router_buffer_text(in, lines[base_prng_range(prng, 0, 6)]);
        return;
    }
    size_t words = base_prng_range(prng, 1, 4);
    router_buffer_format(in, "*%zu\r\n", words);
    for (size_t i = 0; i < words; i++) {
        size_t size = base_prng_range(prng, 0, 9);
        router_buffer_format(in, "$%zu\r\n", size);
        for (size_t j = 0; j < size; j++)
            *router_buffer_grow(in, 1) = (uint8_t) "ab\r\n*$"[base_prng_range(prng, 0, 5)];
        router_buffer_text(in, "\r\n");
    }
}

/* Any cut of any input gives the same commands and the same error as the whole. */
Test(router_resp, any_split_gives_the_same_commands)
{
    struct base_prng prng = base_prng_seeded(2);
    struct router_buffer in = router_buffer_empty(base_allocator_system());
    struct router_buffer whole = router_buffer_empty(base_allocator_system());
    struct router_buffer cut = router_buffer_empty(base_allocator_system());
    for (unsigned i = 0; i < 2000; i++) {
        in.size = whole.size = 0;
        for (uint64_t commands = base_prng_range(&prng, 1, 4); commands > 0; commands--)
            append_random(&prng, &in);
        read_all(router_buffer_bytes(&in), in.size, &whole);
        for (size_t at = 0; at < in.size; at++) {
            cut.size = 0;
            read_all(router_buffer_bytes(&in), at, &cut);
            cr_assert(base_bytes_equal(router_buffer_bytes(&cut), router_buffer_bytes(&whole)),
                      "round %u, cut at %zu of: %.*s", i, at, (int)in.size, (const char *)in.data);
        }
    }
    router_buffer_fini(&in);
    router_buffer_fini(&whole);
    router_buffer_fini(&cut);
}

/* A bulk that arrives byte by byte is not searched again from its start: the work is its length. */
Test(router_resp, byte_by_byte_is_linear, .timeout = 5)
{
    enum { SIZE = 4 << 20 };
    static const struct router_resp_limits large = {10, SIZE, 2 * SIZE};
    struct router_resp resp;
    struct counting counting;
    size_t used = 0;
    router_resp_init(&resp, counting_init(&counting), &large);
    char *input = malloc(SIZE + 100);
    int head = snprintf(input, SIZE, "*1\r\n$%d\r\n", (int)SIZE);
    memset(input + head, 'x', SIZE);
    memcpy(input + head + SIZE, "\r\n", 2);
    size_t whole = (size_t)head + SIZE + 2;
    for (size_t size = 1; size < whole; size++)
        cr_assert_eq(router_resp_read(&resp, base_bytes_of(input, size), &used), ROUTER_RESP_MORE);
    cr_assert_eq(router_resp_read(&resp, base_bytes_of(input, whole), &used), ROUTER_RESP_COMMAND);
    cr_assert_eq(used, whole);
    cr_assert_eq(resp.args[0].size, SIZE);
    free(input);
    router_resp_fini(&resp);
    counting_fini(&counting);
}

/* The text of an error that `head` and `count` more digits give, with a line end or without. */
static const char *error_of_line(const char *head, size_t count, bool ended)
{
    static struct router_resp resp;
    struct counting counting;
    size_t used = 0, size = strlen(head);
    router_resp_init(&resp, counting_init(&counting), &limits);
    uint8_t *input = malloc(size + count + 2);
    memcpy(input, head, size);
    memset(input + size, '1', count);
    memcpy(input + size + count, "\r\n", 2);
    struct base_bytes bytes = base_bytes_of(input, size + count + (ended ? 2 : 0));
    enum router_resp_status status = router_resp_read(&resp, bytes, &used);
    free(input);
    router_resp_fini(&resp);
    counting_fini(&counting);
    return status == ROUTER_RESP_ERROR ? resp.error : "";
}

/* No line is longer than an inline command may be, whether its end is there or not. */
Test(router_resp, lines_are_bounded)
{
    enum { LONG = ROUTER_RESP_INLINE_SIZE_MAX + 1 };
    for (int ended = 0; ended < 2; ended++) {
        cr_assert_str_eq(error_of_line("*", LONG, ended),
                         "Protocol error: too big mbulk count string");
        cr_assert_str_eq(error_of_line("*1\r\n$", LONG, ended),
                         "Protocol error: too big bulk count string");
    }
    cr_assert_str_eq(error_of_line("*", LONG - 100, false), "", "not too long yet");
}

/* The tables that a command with very many words needed are given back after it. */
Test(router_resp, tables_of_many_words_are_given_back)
{
    enum { WORDS = 5000 };
    static const struct router_resp_limits many = {2 * WORDS, 100, 1 << 20};
    struct router_resp resp;
    struct counting counting;
    struct router_buffer in = router_buffer_empty(base_allocator_system());
    router_resp_init(&resp, counting_init(&counting), &many);
    router_buffer_format(&in, "*%d\r\n", (int)WORDS);
    for (int i = 0; i < WORDS; i++)
        router_buffer_text(&in, "$1\r\nx\r\n");
    size_t used = 0;
    cr_assert_eq(router_resp_read(&resp, router_buffer_bytes(&in), &used), ROUTER_RESP_COMMAND);
    cr_assert_eq(resp.arg_count, WORDS);
    cr_assert_gt(counting.bytes, WORDS * sizeof(struct base_bytes));
    cr_assert_eq(router_resp_read(&resp, base_bytes_text("PING\r\n"), &used), ROUTER_RESP_COMMAND);
    cr_assert_eq(resp.arg_count, 1);
    cr_assert_lt(counting.bytes, WORDS);
    router_buffer_fini(&in);
    router_resp_fini(&resp);
    counting_fini(&counting);
}
