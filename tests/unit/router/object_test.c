#include "router/object.h"

#include <criterion/criterion.h>
#include <string.h>

#include "router/reply.h"
#include "tests/lib/counting.h"

static void expect(enum router_command_id id, const struct wire_result *result, const char *reply)
{
    struct counting counting;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    router_object_answer(router_command_at(id), 3 /* bytes of key */, result, ROUTER_PROTOCOL_2,
                         &out);
    cr_assert(base_bytes_equal(router_buffer_bytes(&out), base_bytes_text(reply)), "%.*s",
              (int)out.size, (const char *)out.data);
    router_buffer_fini(&out);
    counting_fini(&counting);
}

static void expect_encoding(const char *value, const char *reply)
{
    struct wire_op op = router_object_op(router_command_at(ROUTER_OBJECT_ENCODING));
    size_t size = strlen(value), most = (size_t)op.b + 1;
    struct wire_result result = {.kind = WIRE_RESULT_BYTES,
                                 .bytes = base_bytes_of(value, size < most ? size : most)};
    cr_assert_eq(op.type, WIRE_OP_GET_RANGE);
    cr_assert_eq(op.a, 0);
    expect(ROUTER_OBJECT_ENCODING, &result, reply);
}

/* What redis-server 7.0.15 says of such a value when it was SET. */
Test(router_object, encoding_is_that_of_redis)
{
    expect_encoding("0", "$3\r\nint\r\n");
    expect_encoding("-1", "$3\r\nint\r\n");
    expect_encoding("9223372036854775807", "$3\r\nint\r\n");
    expect_encoding("-9223372036854775808", "$3\r\nint\r\n");
    expect_encoding("9223372036854775808", "$6\r\nembstr\r\n");
    expect_encoding("-0", "$6\r\nembstr\r\n");
    expect_encoding("007", "$6\r\nembstr\r\n");
    expect_encoding(" 1", "$6\r\nembstr\r\n");
    expect_encoding("", "$6\r\nembstr\r\n");
    expect_encoding("12345678901234567890123456789012345678901234", "$6\r\nembstr\r\n");
    expect_encoding("123456789012345678901234567890123456789012345", "$3\r\nraw\r\n");
    expect_encoding("1234567890123456789012345678901234567890123456789", "$3\r\nraw\r\n");
}

/* A key that is not there has none of it. */
Test(router_object, nothing_of_an_absent_key)
{
    static const enum router_command_id ids[] = {ROUTER_OBJECT_ENCODING, ROUTER_OBJECT_FREQ,
                                                 ROUTER_OBJECT_IDLETIME, ROUTER_OBJECT_REFCOUNT,
                                                 ROUTER_MEMORY_USAGE};
    struct wire_result result = {.kind = WIRE_RESULT_NIL};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        expect(ids[i], &result, "$-1\r\n");
}

/* Key and value, twice the key when it expires, and what the store keeps with each. */
Test(router_object, of_a_present_key)
{
    uint8_t size[8];
    base_put_le64(size, 100);
    struct wire_result result = {.kind = WIRE_RESULT_STAT, .bytes = base_bytes_of(size, 8)};
    expect(ROUTER_MEMORY_USAGE, &result, ":132\r\n");
    result.number = 5000;
    expect(ROUTER_MEMORY_USAGE, &result, ":164\r\n");
    expect(ROUTER_OBJECT_IDLETIME, &result, ":0\r\n");
    expect(ROUTER_OBJECT_REFCOUNT, &result, ":1\r\n");
    expect(ROUTER_OBJECT_FREQ, &result,
           "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please "
           "note that when switching between policies at runtime LRU and LFU data will take some "
           "time to adjust.\r\n");
}

static void expect_words(const char *third, const char *fourth, const char *error)
{
    struct base_bytes args[] = {base_bytes_text("memory"), base_bytes_text("usage"),
                                base_bytes_text("a"), base_bytes_text(third),
                                base_bytes_text(fourth == NULL ? "" : fourth)};
    struct router_buffer text = router_buffer_empty(base_allocator_system());
    cr_assert_eq(router_object_words(router_command_at(ROUTER_MEMORY_USAGE), args,
                                     fourth == NULL ? 4 : 5, &text),
                 error == NULL);
    cr_assert(
        base_bytes_equal(router_buffer_bytes(&text), base_bytes_text(error == NULL ? "" : error)));
    router_buffer_fini(&text);
}

/* SAMPLES is read, for its errors. */
Test(router_object, words_of_memory_usage)
{
    expect_words("samples", "0", NULL);
    expect_words("SAMPLES", "5", NULL);
    expect_words("SAMPLES", "-1", "ERR syntax error");
    expect_words("SAMPLES", NULL, "ERR syntax error");
    expect_words("SAMPLES", "x", "ERR value is not an integer or out of range");
    expect_words("FOO", "1", "ERR syntax error");
    struct base_bytes args[] = {base_bytes_text("object"), base_bytes_text("freq"),
                                base_bytes_text("a")};
    cr_assert(router_object_words(router_command_at(ROUTER_OBJECT_FREQ), args, 3, NULL));
}
