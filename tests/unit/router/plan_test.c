#include "router/plan.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "base/hlc.h"
#include "tests/lib/counting.h"

enum { WORDS_MAX = 32 };

static const struct wire_limits limits = {8, 16, 0};

static size_t split(const char *text, struct base_bytes *words)
{
    size_t count = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        words[count++] = base_bytes_of(text, size);
        text += size + (text[size] == ' ');
    }
    return count;
}

/* What a command becomes, as text: each operation's parts that are not 0; or the error. */
static void describe(const char *words, struct router_buffer *out)
{
    struct base_bytes args[WORDS_MAX];
    size_t count = split(words, args);
    struct router_plan plan;
    out->size = 0;
    const struct router_command *command = router_command_resolve(args, count, out);
    cr_assert_not_null(command);
    if (!router_plan_make(command, args, count, &limits, &plan, out))
        return;
    cr_assert_eq(out->size, 0, "an error without a refusal: %s", words);
    router_buffer_format(out, "%s reply=%d", plan.writes ? "writes" : "reads", plan.reply);
    for (size_t i = 0; i < plan.op_count; i++) {
        struct wire_op op = router_plan_op(&plan, args, i);
        router_buffer_format(out, "; type=%d key=%.*s", op.type, (int)op.key.size,
                             (const char *)op.key.data);
        if (op.value.size > 0)
            router_buffer_format(out, " value=%.*s", (int)op.value.size,
                                 (const char *)op.value.data);
        if (op.condition != 0)
            router_buffer_format(out, " if=%d", op.condition);
        if (op.expiry_mode != 0)
            router_buffer_format(out, " expiry=%d:%" PRId64, op.expiry_mode, (int64_t)op.b);
        if (op.a != 0)
            router_buffer_format(out, " a=%" PRId64, (int64_t)op.a);
        if (op.expiry_mode == 0 && op.b != 0)
            router_buffer_format(out, " b=%" PRId64, (int64_t)op.b);
        if (op.flags != 0)
            router_buffer_format(out, " flags=%d", op.flags);
    }
}

static void expect(const char *words, const char *description)
{
    struct counting counting;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    describe(words, &out);
    cr_assert(base_bytes_equal(router_buffer_bytes(&out), base_bytes_text(description)), "%s: %.*s",
              words, (int)out.size, (const char *)out.data);
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* Every option of SET, alone and together. */
Test(router_plan, set_becomes_a_put)
{
    expect("set a v", "writes reply=0; type=3 key=a value=v");
    expect("set a v NX", "writes reply=0; type=3 key=a value=v if=1");
    expect("set a v xx", "writes reply=0; type=3 key=a value=v if=2");
    expect("set a v GET", "writes reply=1; type=3 key=a value=v flags=1");
    expect("set a v NX GET", "writes reply=1; type=3 key=a value=v if=1 flags=1");
    expect("set a v EX 10", "writes reply=0; type=3 key=a value=v expiry=2:10000");
    expect("set a v PX 10", "writes reply=0; type=3 key=a value=v expiry=2:10");
    expect("set a v EXAT 10", "writes reply=0; type=3 key=a value=v expiry=3:10000");
    expect("set a v PXAT 10", "writes reply=0; type=3 key=a value=v expiry=3:10");
    expect("set a v KEEPTTL", "writes reply=0; type=3 key=a value=v expiry=1:0");
    expect("set a v EX 10 EX 20", "writes reply=0; type=3 key=a value=v expiry=2:20000");
    expect("set a v px 10 xx get", "writes reply=1; type=3 key=a value=v if=2 expiry=2:10 flags=1");
}

/* What SET refuses, in Redis's words. */
Test(router_plan, set_refuses_what_redis_refuses)
{
    static const char *const syntax[] = {
        "set a v FOO",       "set a v NX XX",        "set a v XX NX",        "set a v EX",
        "set a v EX 1 PX 1", "set a v EX 1 KEEPTTL", "set a v KEEPTTL EX 1", "set a v 10",
    };
    for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++)
        expect(syntax[i], "ERR syntax error");
    expect("set a v EX x", "ERR value is not an integer or out of range");
    expect("set a v EX 0", "ERR invalid expire time in 'set' command");
    expect("set a v PX -1", "ERR invalid expire time in 'set' command");
    expect("set a v EX 9223372036854775807", "ERR invalid expire time in 'set' command");
    expect("set a v PX 17592186044416", "ERR invalid expire time in 'set' command");
}

/* EXPIRE and PEXPIRE with their conditions; times in the past stay times in the past. */
Test(router_plan, expire_becomes_an_expire)
{
    expect("expire a 10", "writes reply=2; type=8 key=a expiry=2:10000");
    expect("pexpire a 10 NX", "writes reply=2; type=8 key=a if=5 expiry=2:10");
    expect("pexpire a 10 xx", "writes reply=2; type=8 key=a if=6 expiry=2:10");
    expect("pexpire a 10 GT", "writes reply=2; type=8 key=a if=7 expiry=2:10");
    expect("pexpire a 10 LT", "writes reply=2; type=8 key=a if=8 expiry=2:10");
    expect("pexpire a 10 XX LT", "writes reply=2; type=8 key=a if=9 expiry=2:10");
    expect("pexpire a 10 XX GT", "writes reply=2; type=8 key=a if=7 expiry=2:10");
    expect("expire a -1", "writes reply=2; type=8 key=a expiry=2:-1000");
    expect("pexpire a -9223372036854775808",
           "writes reply=2; type=8 key=a expiry=2:-17592186044415");
}

Test(router_plan, expire_refuses_what_redis_refuses)
{
    expect("expire a x", "ERR value is not an integer or out of range");
    expect("expire a 9223372036854775807", "ERR invalid expire time in 'expire' command");
    expect("expire a -9223372036854775808", "ERR invalid expire time in 'expire' command");
    expect("pexpire a 9223372036854775807", "ERR invalid expire time in 'pexpire' command");
    expect("expire a 1 FOO", "ERR Unsupported option FOO");
    expect("expire a 1 NX XX",
           "ERR NX and XX, GT or LT options at the same time are not compatible");
    expect("expire a 1 NX GT",
           "ERR NX and XX, GT or LT options at the same time are not compatible");
    expect("expire a 1 LT NX",
           "ERR NX and XX, GT or LT options at the same time are not compatible");
    expect("expire a 1 GT LT", "ERR GT and LT options at the same time are not compatible");
}

/* The older forms of SET, and those that give the old value back. */
Test(router_plan, other_setters_become_puts)
{
    expect("setnx a v", "writes reply=9; type=3 key=a value=v if=1");
    expect("setex a 10 v", "writes reply=0; type=3 key=a value=v expiry=2:10000");
    expect("psetex a 10 v", "writes reply=0; type=3 key=a value=v expiry=2:10");
    expect("setex a x v", "ERR value is not an integer or out of range");
    expect("setex a 0 v", "ERR invalid expire time in 'setex' command");
    expect("setex a 9223372036854775 v", "ERR invalid expire time in 'setex' command");
    expect("psetex a -1 v", "ERR invalid expire time in 'psetex' command");
    expect("getset a v", "writes reply=1; type=3 key=a value=v flags=1");
    expect("getdel a", "writes reply=1; type=4 key=a flags=1");
    expect("setrange a 5 v", "writes reply=2; type=7 key=a value=v a=5");
    expect("setrange a -1 v", "ERR offset is out of range");
    expect("setrange a x v", "ERR value is not an integer or out of range");
}

/* What GETEX does to the expiry; without an option it writes nothing. */
Test(router_plan, getex_gives_the_value_back)
{
    expect("getex a", "reads reply=1; type=1 key=a");
    expect("getex a EX 10", "writes reply=1; type=8 key=a expiry=2:10000 flags=1");
    expect("getex a px 10", "writes reply=1; type=8 key=a expiry=2:10 flags=1");
    expect("getex a EXAT 10", "writes reply=1; type=8 key=a expiry=3:10000 flags=1");
    expect("getex a PXAT 10", "writes reply=1; type=8 key=a expiry=3:10 flags=1");
    expect("getex a PERSIST", "writes reply=1; type=9 key=a flags=1");
    expect("getex a PERSIST persist", "writes reply=1; type=9 key=a flags=1");
    static const char *const syntax[] = {
        "getex a FOO",       "getex a EX",      "getex a EX 1 PERSIST", "getex a PERSIST EX 1",
        "getex a EX 1 PX 1", "getex a KEEPTTL", "getex a NX",           "getex a GET",
    };
    for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++)
        expect(syntax[i], "ERR syntax error");
    expect("getex a EX x", "ERR value is not an integer or out of range");
    expect("getex a EX 0", "ERR invalid expire time in 'getex' command");
}

/* Only the asked part of a value travels. */
Test(router_plan, getrange_becomes_a_get_range)
{
    expect("getrange a 1 2", "reads reply=12; type=18 key=a a=1 b=2");
    expect("substr a -3 -1", "reads reply=12; type=18 key=a a=-3 b=-1");
    expect("getrange a x 1", "ERR value is not an integer or out of range");
    expect("getrange a 1 x", "ERR value is not an integer or out of range");
}

/* Bits are looked at where they lie; one bit is a range of one. */
Test(router_plan, bits_become_operations_on_bits)
{
    expect("getbit a 7", "reads reply=2; type=19 key=a a=7 b=7 flags=2");
    expect("getbit a -1", "ERR bit offset is not an integer or out of range");
    expect("getbit a 4294967296", "ERR bit offset is not an integer or out of range");
    expect("setbit a 7 1", "writes reply=2; type=21 key=a a=7 b=1");
    expect("setbit a x 1", "ERR bit offset is not an integer or out of range");
    expect("setbit a 1 2", "ERR bit is not an integer or out of range");
    expect("setbit a 1 x", "ERR bit is not an integer or out of range");
    expect("bitcount a", "reads reply=2; type=19 key=a b=-1");
    expect("bitcount a 1 -2", "reads reply=2; type=19 key=a a=1 b=-2");
    expect("bitcount a 1 2 byte", "reads reply=2; type=19 key=a a=1 b=2");
    expect("bitcount a 1 2 BIT", "reads reply=2; type=19 key=a a=1 b=2 flags=2");
    expect("bitcount a 1", "ERR syntax error");
    expect("bitcount a 1 2 FOO", "ERR syntax error");
    expect("bitcount a -1 -2 FOO", "reads reply=2; type=19 key=a a=-1 b=-2");
    expect("bitcount a 1 2 BIT 3", "ERR syntax error");
    expect("bitcount a x 2", "ERR value is not an integer or out of range");
    expect("bitpos a 1", "reads reply=2; type=20 key=a flags=12");
    expect("bitpos a 0 3", "reads reply=2; type=20 key=a a=3 flags=8");
    expect("bitpos a 0 3 -1", "reads reply=2; type=20 key=a a=3 b=-1");
    expect("bitpos a 1 3 -1 BIT", "reads reply=2; type=20 key=a a=3 b=-1 flags=6");
    expect("bitpos a 2", "ERR The bit argument must be 1 or 0.");
    expect("bitpos a x", "ERR value is not an integer or out of range");
    expect("bitpos a 1 x", "ERR value is not an integer or out of range");
    expect("bitpos a 1 1 x", "ERR value is not an integer or out of range");
    expect("bitpos a 1 1 2 FOO", "ERR syntax error");
    expect("bitpos a 1 1 2 BIT 3", "ERR syntax error");
}

/* The increment travels as text. */
Test(router_plan, incrbyfloat_becomes_an_add_of_decimals)
{
    expect("incrbyfloat a 1.5e3", "writes reply=1; type=22 key=a value=1.5e3");
    expect("incrbyfloat a x", "ERR value is not a valid float");
    expect("incrbyfloat a nan", "ERR value is not a valid float");
    expect("incrbyfloat a -inf", "ERR increment would produce NaN or Infinity");
    expect("incrbyfloat a Infinity", "ERR increment would produce NaN or Infinity");
}

/* Times of the calendar, before and after now. */
Test(router_plan, expireat_becomes_an_expire)
{
    expect("expireat a 10", "writes reply=2; type=8 key=a expiry=3:10000");
    expect("pexpireat a 10 NX", "writes reply=2; type=8 key=a if=5 expiry=3:10");
    expect("pexpireat a -10", "writes reply=2; type=8 key=a expiry=3:-10");
    expect("expireat a 9223372036854775807", "ERR invalid expire time in 'expireat' command");
    expect("expireat a x", "ERR value is not an integer or out of range");
}

/* Counters: the delta with its sign. */
Test(router_plan, counters_become_adds)
{
    expect("incr a", "writes reply=2; type=5 key=a a=1");
    expect("decr a", "writes reply=2; type=5 key=a a=-1");
    expect("incrby a -5", "writes reply=2; type=5 key=a a=-5");
    expect("decrby a 5", "writes reply=2; type=5 key=a a=-5");
    expect("incrby a 9223372036854775807", "writes reply=2; type=5 key=a a=9223372036854775807");
    expect("decrby a -9223372036854775808", "ERR decrement would overflow");
    expect("incrby a 1.5", "ERR value is not an integer or out of range");
}

/* The others, one line each; several keys become several operations. */
Test(router_plan, other_commands_become_their_operations)
{
    expect("get a", "reads reply=1; type=1 key=a");
    expect("mget a b", "reads reply=8; type=1 key=a; type=1 key=b");
    expect("mset a 1 b 2", "writes reply=0; type=3 key=a value=1; type=3 key=b value=2");
    expect("mset a 1 b", "ERR wrong number of arguments for 'mset' command");
    expect("del a b", "writes reply=3; type=4 key=a; type=4 key=b");
    expect("unlink a", "writes reply=3; type=4 key=a");
    expect("exists a a", "reads reply=3; type=2 key=a; type=2 key=a");
    expect("append a v", "writes reply=2; type=6 key=a value=v");
    expect("strlen a", "reads reply=4; type=2 key=a");
    expect("type a", "reads reply=5; type=2 key=a");
    expect("ttl a", "reads reply=6; type=2 key=a");
    expect("pttl a", "reads reply=7; type=2 key=a");
    expect("expiretime a", "reads reply=10; type=2 key=a");
    expect("pexpiretime a", "reads reply=11; type=2 key=a");
    expect("touch a b", "reads reply=3; type=2 key=a; type=2 key=b");
    expect("persist a", "writes reply=2; type=9 key=a");
}

/* Sizes past a limit: the error names it. Every key of several is looked at. */
Test(router_plan, limits_are_named)
{
    expect("get 123456789", "ERR key is too large: 9 bytes, the limit key_size_max is 8");
    expect("mget a 123456789", "ERR key is too large: 9 bytes, the limit key_size_max is 8");
    expect("set a 12345678901234567",
           "ERR value is too large: 17 bytes, the limit value_size_max is 16");
    expect("mset a 1 b 12345678901234567",
           "ERR value is too large: 17 bytes, the limit value_size_max is 16");
}

static void expect_answer(enum router_plan_reply reply, struct wire_result result, const char *text)
{
    struct counting counting;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    router_plan_answer(reply, router_command_at(ROUTER_SET), &result, base_hlc_from_ms(100000) + 5,
                       2, &out);
    cr_assert(base_bytes_equal(router_buffer_bytes(&out), base_bytes_text(text)), "%.*s",
              (int)out.size, (const char *)out.data);
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* Results become Redis's replies; times to live are counted by the group's clock (100 s here). */
Test(router_plan, results_become_replies)
{
    uint8_t size[8];
    base_put_le64(size, 5);
    struct wire_result nil = {.kind = WIRE_RESULT_NIL}, ok = {.kind = WIRE_RESULT_OK};
    struct wire_result number = {.kind = WIRE_RESULT_INTEGER, .number = (uint64_t)-7};
    struct wire_result bytes = {.kind = WIRE_RESULT_BYTES, .bytes = base_bytes_text("v")};
    struct wire_result lasting = {.kind = WIRE_RESULT_STAT, .bytes = base_bytes_of(size, 8)};
    struct wire_result expiring = lasting, expired = lasting;
    expiring.number = 102500;
    expired.number = 99999;
    expect_answer(ROUTER_PLAN_OK, ok, "+OK\r\n");
    expect_answer(ROUTER_PLAN_OK, nil, "$-1\r\n");
    expect_answer(ROUTER_PLAN_VALUE, bytes, "$1\r\nv\r\n");
    expect_answer(ROUTER_PLAN_VALUE, nil, "$-1\r\n");
    expect_answer(ROUTER_PLAN_VALUES, bytes, "*1\r\n$1\r\nv\r\n");
    expect_answer(ROUTER_PLAN_INTEGER, number, ":-7\r\n");
    expect_answer(ROUTER_PLAN_INTEGER, nil, ":0\r\n");
    expect_answer(ROUTER_PLAN_SUM, lasting, ":1\r\n");
    expect_answer(ROUTER_PLAN_SIZE, lasting, ":5\r\n");
    expect_answer(ROUTER_PLAN_SIZE, nil, ":0\r\n");
    expect_answer(ROUTER_PLAN_TYPE, lasting, "+string\r\n");
    expect_answer(ROUTER_PLAN_TYPE, nil, "+none\r\n");
    expect_answer(ROUTER_PLAN_TTL_MS, nil, ":-2\r\n");
    expect_answer(ROUTER_PLAN_TTL_MS, lasting, ":-1\r\n");
    expect_answer(ROUTER_PLAN_TTL_MS, expiring, ":2500\r\n");
    expect_answer(ROUTER_PLAN_TTL_MS, expired, ":0\r\n");
    expect_answer(ROUTER_PLAN_RANGE, bytes, "$1\r\nv\r\n");
    expect_answer(ROUTER_PLAN_RANGE, nil, "$0\r\n\r\n");
    expect_answer(ROUTER_PLAN_DONE, ok, ":1\r\n");
    expect_answer(ROUTER_PLAN_DONE, nil, ":0\r\n");
    expect_answer(ROUTER_PLAN_EXPIRY_MS, nil, ":-2\r\n");
    expect_answer(ROUTER_PLAN_EXPIRY_MS, lasting, ":-1\r\n");
    expect_answer(ROUTER_PLAN_EXPIRY_MS, expiring, ":102500\r\n");
    expect_answer(ROUTER_PLAN_EXPIRY_SECONDS, nil, ":-2\r\n");
    expect_answer(ROUTER_PLAN_EXPIRY_SECONDS, expiring, ":103\r\n");
    expect_answer(ROUTER_PLAN_TTL_SECONDS, nil, ":-2\r\n");
    expect_answer(ROUTER_PLAN_TTL_SECONDS, lasting, ":-1\r\n");
    expect_answer(ROUTER_PLAN_TTL_SECONDS, expiring, ":3\r\n");
}

/* The first key is where the table says. */
Test(router_plan, object_and_memory_have_their_key_behind_the_subcommand)
{
    expect("object encoding a", "reads reply=13; type=18 key=a b=44");
    expect("object freq a", "reads reply=13; type=2 key=a");
    expect("memory usage a samples 3", "reads reply=13; type=2 key=a");
    expect("memory usage a samples", "ERR syntax error");
    expect("object idletime 123456789",
           "ERR key is too large: 9 bytes, the limit key_size_max is 8");
}

/* MSETNX is the PUTs of MSET, whose checks are added by router/together. */
Test(router_plan, msetnx_is_all_or_nothing)
{
    expect("msetnx a 1 b 2", "writes reply=14; type=3 key=a value=1; type=3 key=b value=2");
    expect("msetnx a 1 b", "ERR wrong number of arguments for 'msetnx' command");
    expect("mset a 1 b", "ERR wrong number of arguments for 'mset' command");
}

/* Errors of operations in Redis's words. */
Test(router_plan, errors_of_operations_have_redis_words)
{
    struct wire_result error = {.kind = WIRE_RESULT_ERROR, .error = WIRE_ERROR_NOT_INTEGER};
    expect_answer(ROUTER_PLAN_INTEGER, error, "-ERR value is not an integer or out of range\r\n");
    error.error = WIRE_ERROR_OVERFLOW;
    expect_answer(ROUTER_PLAN_INTEGER, error, "-ERR increment or decrement would overflow\r\n");
    error.error = WIRE_ERROR_TOO_LARGE;
    expect_answer(ROUTER_PLAN_INTEGER, error,
                  "-ERR value would be larger than the limit value_size_max\r\n");
    error.error = WIRE_ERROR_INVALID_EXPIRY;
    expect_answer(ROUTER_PLAN_OK, error, "-ERR invalid expire time in 'set' command\r\n");
    error.error = WIRE_ERROR_NOT_DECIMAL;
    expect_answer(ROUTER_PLAN_VALUE, error, "-ERR value is not a valid float\r\n");
    error.error = WIRE_ERROR_INFINITE;
    expect_answer(ROUTER_PLAN_VALUE, error, "-ERR increment would produce NaN or Infinity\r\n");
    error.error = (enum wire_error)99; /* Of a later version. */
    expect_answer(ROUTER_PLAN_OK, error, "-ERR operation failed with error 99\r\n");
}
