#include "router/dump.h"

#include <criterion/criterion.h>
#include <string.h>

#include "router/crc64.h"

static struct router_buffer empty(void)
{
    return router_buffer_empty(base_allocator_system());
}

/* What is behind the type and before the version and checksum. */
static void expect_body(const char *value, const char *body, size_t body_size)
{
    struct router_buffer dump = empty(), back = empty();
    router_dump_write(base_bytes_text(value), &dump);
    cr_assert_eq(dump.size, 1 + body_size + 10, "%s", value);
    cr_assert_eq(dump.data[0], 0);
    cr_assert_eq(memcmp(dump.data + 1, body, body_size), 0, "%s", value);
    cr_assert_eq(dump.data[1 + body_size], 10);
    cr_assert_eq(router_dump_read(router_buffer_bytes(&dump), 1000, &back), ROUTER_DUMP_OK);
    cr_assert(base_bytes_equal(router_buffer_bytes(&back), base_bytes_text(value)));
    router_buffer_fini(&dump);
    router_buffer_fini(&back);
}

/* As redis-server writes them. */
Test(router_dump, forms)
{
    expect_body("", "\0", 1);
    expect_body("hello", "\5hello", 6);
    expect_body("007",
                "\3"
                "007",
                4);
    expect_body("-128", "\xc0\x80", 2);
    expect_body("32767", "\xc1\xff\x7f", 3);
    expect_body("-2147483648", "\xc2\0\0\0\x80", 5);
    expect_body("2147483648",
                "\x0a"
                "2147483648",
                11);
    expect_body("xxxxxxxxxxxxxxxxxxxxx", "\xc3\x06\x15\x01xx\xe0\x0a\x00", 9);
}

/* A dump of `body`, with the right checksum. */
static void expect_read(const char *body, size_t size, enum router_dump_status status)
{
    struct router_buffer dump = empty(), value = empty();
    router_buffer_append(&dump, base_bytes_of(body, size));
    base_put_le16(router_buffer_grow(&dump, 2), 10);
    uint64_t crc = router_crc64(router_buffer_bytes(&dump));
    base_put_le64(router_buffer_grow(&dump, 8), crc);
    router_buffer_text(&value, "kept");
    enum router_dump_status got = router_dump_read(router_buffer_bytes(&dump), 100, &value);
    cr_assert_eq(got, status, "%zu: %d", size, got);
    cr_assert(memcmp(value.data, "kept", 4) == 0 && (got == ROUTER_DUMP_OK || value.size == 4));
    router_buffer_fini(&dump);
    router_buffer_fini(&value);
}

/* Sizes that lie, encodings that do not exist, other types. */
Test(router_dump, believes_nothing)
{
    expect_read("\0\5hello", 7, ROUTER_DUMP_OK);
    expect_read("\0\x81\0\0\0\0\0\0\0\5hello", 15, ROUTER_DUMP_OK);
    expect_read("\0\x40\x7fhello", 8, ROUTER_DUMP_FORMAT);
    expect_read("\0\x80\xff\xff\xff\xffhello", 11, ROUTER_DUMP_FORMAT);
    expect_read("\0\x81\xff\xff\xff\xff\xff\xff\xff\xff", 10, ROUTER_DUMP_FORMAT);
    expect_read("\0\x82", 2, ROUTER_DUMP_FORMAT);
    expect_read("\0\xc4", 2, ROUTER_DUMP_FORMAT);
    expect_read("\1\5hello", 7, ROUTER_DUMP_FORMAT);
    expect_read("\0\xc3\x02\x80\xff\xff\xff\xff\0a", 10, ROUTER_DUMP_TOO_LARGE);
    expect_read("\0\xc3\x7f\1\0a", 6, ROUTER_DUMP_FORMAT);
    expect_read("\0\xc3\2\2\0a", 6, ROUTER_DUMP_FORMAT);
}

Test(router_dump, footers)
{
    struct router_buffer dump = empty(), value = empty();
    router_dump_write(base_bytes_text("hello"), &dump);
    for (size_t size = 0; size < dump.size; size++)
        cr_assert_eq(router_dump_read(base_bytes_of(dump.data, size), 100, &value),
                     ROUTER_DUMP_CHECKSUM);
    for (size_t i = 0; i < dump.size; i++) {
        dump.data[i] ^= 1;
        cr_assert_eq(router_dump_read(router_buffer_bytes(&dump), 100, &value),
                     ROUTER_DUMP_CHECKSUM);
        dump.data[i] ^= 1;
    }
    cr_assert_eq(value.size, 0);
    router_buffer_fini(&dump);
    router_buffer_fini(&value);
}
