#include "router/crc64.h"

#include <criterion/criterion.h>

/* The check value of this checksum, and that nothing is 0. */
Test(router_crc64, known)
{
    cr_assert_eq(router_crc64(base_bytes_text("123456789")), UINT64_C(0xe9c6d914c4b8d9ca));
    cr_assert_eq(router_crc64(base_bytes_text("")), 0);
    cr_assert_neq(router_crc64(base_bytes_text("a")), router_crc64(base_bytes_text("b")));
}
