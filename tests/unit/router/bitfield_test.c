#include "router/bitfield.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 32 };

struct words {
    char text[512];
    struct base_bytes args[WORDS_MAX];
    size_t count;
};

static struct words *split(struct words *words, const char *line)
{
    words->count = 0;
    snprintf(words->text, sizeof(words->text), "%s", line);
    char *rest = words->text;
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;)
        words->args[words->count++] = base_bytes_text(word);
    return words;
}

/* Runs the words on a value of zeros that has the size they need, and expects reply and value. */
static void expect(const char *line, const char *reply, const char *value, size_t value_size)
{
    struct words words;
    split(&words, line);
    struct router_buffer error = router_buffer_empty(base_allocator_system());
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    struct router_buffer bytes = router_buffer_empty(base_allocator_system());
    cr_assert(router_bitfield_check(words.args, words.count, false, &error), "%s", line);
    size_t size = router_bitfield_size(words.args, words.count);
    if (size > 0)
        memset(router_buffer_grow(&bytes, size), 0, size);
    bool changed = router_bitfield_run(words.args, words.count, 2, &bytes, &out);
    router_buffer_append(&out, base_bytes_of("", 1));
    cr_assert_str_eq((const char *)out.data, reply, "%s", line);
    cr_assert(base_bytes_equal(router_buffer_bytes(&bytes), base_bytes_of(value, value_size)), "%s",
              line);
    bool zeros = true;
    for (size_t i = 0; i < size; i++)
        zeros &= bytes.data[i] == 0;
    cr_assert(changed || zeros, "%s", line);
    router_buffer_fini(&error);
    router_buffer_fini(&out);
    router_buffer_fini(&bytes);
}

/* Bits are numbered from the highest of the first byte; # counts in numbers. */
Test(router_bitfield, sets_and_gets)
{
    expect("BITFIELD k", "*0\r\n", "", 0);
    expect("BITFIELD k GET u8 0 GET i64 #5", "*2\r\n:0\r\n:0\r\n", "", 0);
    expect("BITFIELD k SET u4 4 15", "*1\r\n:0\r\n", "\x0f", 1);
    expect("BITFIELD k SET u3 6 7 GET u8 0 GET u8 #1", "*3\r\n:0\r\n:3\r\n:128\r\n", "\x03\x80", 2);
    expect("BITFIELD k SET i8 #1 -2 GET i8 #1 GET u8 8", "*3\r\n:0\r\n:-2\r\n:254\r\n", "\x00\xfe",
           2);
    expect("BITFIELD k SET i64 0 -9223372036854775808 GET i64 0",
           "*2\r\n:0\r\n:-9223372036854775808\r\n", "\x80\0\0\0\0\0\0\0", 8);
    expect("BITFIELD k SET u1 0 1 GET i1 0", "*2\r\n:0\r\n:-1\r\n", "\x80", 1);
}

/* What is too large wraps, stays at the end of the range, or is not done, by the newest OVERFLOW.
 */
Test(router_bitfield, overflows)
{
    expect("BITFIELD k SET u8 0 255 INCRBY u8 0 2", "*2\r\n:0\r\n:1\r\n", "\x01", 1);
    expect("BITFIELD k SET i8 0 127 INCRBY i8 0 1", "*2\r\n:0\r\n:-128\r\n", "\x80", 1);
    expect("BITFIELD k OVERFLOW SAT SET i9 0 -9223372036854775808 GET i9 0", "*2\r\n:0\r\n:255\r\n",
           "\x7f\x80", 2);
    expect("BITFIELD k OVERFLOW SAT INCRBY i1 0 5 INCRBY i1 1 -5", "*2\r\n:0\r\n:-1\r\n", "\x40",
           1);
    expect("BITFIELD k OVERFLOW SAT INCRBY u8 0 300 INCRBY i8 8 -300", "*2\r\n:255\r\n:-128\r\n",
           "\xff\x80", 2);
    expect("BITFIELD k OVERFLOW FAIL INCRBY u8 0 256 OVERFLOW WRAP INCRBY u8 0 256",
           "*2\r\n$-1\r\n:0\r\n", "\x00", 1);
    expect("BITFIELD k OVERFLOW SAT SET i64 0 9223372036854775807 INCRBY i64 0 1",
           "*2\r\n:0\r\n:9223372036854775807\r\n", "\x7f\xff\xff\xff\xff\xff\xff\xff", 8);
    expect("BITFIELD k SET i64 0 9223372036854775807 INCRBY i64 0 1",
           "*2\r\n:0\r\n:-9223372036854775808\r\n", "\x80\0\0\0\0\0\0\0", 8);
    expect("BITFIELD k OVERFLOW SAT INCRBY u63 0 -1 SET u63 0 -1", "*2\r\n:0\r\n:0\r\n",
           "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
    expect("BITFIELD k INCRBY u8 0 -1", "*1\r\n:255\r\n", "\xff", 1);
}

static void expect_error(const char *line, bool read_only, const char *text)
{
    struct words words;
    split(&words, line);
    struct router_buffer error = router_buffer_empty(base_allocator_system());
    cr_assert_not(router_bitfield_check(words.args, words.count, read_only, &error), "%s", line);
    router_buffer_append(&error, base_bytes_of("", 1));
    cr_assert_not_null(strstr((const char *)error.data, text), "%s: %s", line, error.data);
    router_buffer_fini(&error);
}

Test(router_bitfield, refuses)
{
    expect_error("BITFIELD k GET u8", false, "ERR syntax error");
    expect_error("BITFIELD k SET u8 0", false, "ERR syntax error");
    expect_error("BITFIELD k OVERFLOW", false, "ERR syntax error");
    expect_error("BITFIELD k OVERFLOW UP", false, "ERR Invalid OVERFLOW type specified");
    expect_error("BITFIELD k GET u64 0", false, "ERR Invalid bitfield type");
    expect_error("BITFIELD k GET i65 0", false, "ERR Invalid bitfield type");
    expect_error("BITFIELD k GET u8 4294967296", false, "ERR bit offset is not an integer");
    expect_error("BITFIELD k GET u8 #-1", false, "ERR bit offset is not an integer");
    expect_error("BITFIELD k SET u8 0 x", false, "ERR value is not an integer");
    expect_error("BITFIELD_RO k GET u8 0 SET u8 0 1", true, "ERR BITFIELD_RO only supports");
}

/* Only what is written asks for room; an offset at the end of what there may be is right. */
Test(router_bitfield, sizes)
{
    struct words words;
    split(&words, "BITFIELD k GET u8 4294967295 SET u8 1 0");
    cr_assert_eq(router_bitfield_size(words.args, words.count), 2);
    split(&words, "BITFIELD k SET u8 4294967295 0");
    cr_assert_eq(router_bitfield_size(words.args, words.count), (UINT64_C(1) << 29) + 1);
}
