#include "router/crc64.h"

#include <criterion/criterion.h>

#include "base/prng.h"

/* Bit by bit, as the polynomial says. */
static uint64_t slow_crc64(struct base_bytes bytes)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT64_C(0x95ac9329ac4bc9b5) & -(crc & 1));
    }
    return crc;
}

/* The check value of this checksum, and that nothing is 0. */
Test(router_crc64, known)
{
    cr_assert_eq(router_crc64(base_bytes_text("123456789")), UINT64_C(0xe9c6d914c4b8d9ca));
    cr_assert_eq(router_crc64(base_bytes_text("")), 0);
    cr_assert_neq(router_crc64(base_bytes_text("a")), router_crc64(base_bytes_text("b")));
}

/* All sizes around those at which more bytes are taken in one step, from any address. */
Test(router_crc64, as_bit_by_bit)
{
    static uint8_t bytes[5000];
    struct base_prng prng = base_prng_seeded(64);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)base_prng_range(&prng, 0, 255);
    for (size_t size = 0; size < 1100; size++) {
        struct base_bytes part = base_bytes_of(bytes + size % 13, size);
        cr_assert_eq(router_crc64(part), slow_crc64(part), "%zu bytes", size);
    }
    cr_assert_eq(router_crc64(base_bytes_of(bytes, sizeof(bytes))),
                 slow_crc64(base_bytes_of(bytes, sizeof(bytes))));
}
