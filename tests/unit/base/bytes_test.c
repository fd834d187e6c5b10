#include "base/bytes.h"

#include <criterion/criterion.h>

#include "base/prng.h"

/* Every width comes back as it was put, in both orders, at bounds and at random values. */
Test(bytes, numbers_round_trip)
{
    struct base_prng prng = base_prng_seeded(1);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = i == 0 ? 0 : i == 1 ? UINT64_MAX : base_prng_next(&prng);
        uint8_t at[8];
        base_put_le16(at, (uint16_t)value);
        cr_assert_eq(base_get_le16(at), (uint16_t)value);
        base_put_le32(at, (uint32_t)value);
        cr_assert_eq(base_get_le32(at), (uint32_t)value);
        base_put_le64(at, value);
        cr_assert_eq(base_get_le64(at), value);
        base_put_be32(at, (uint32_t)value);
        cr_assert_eq(base_get_be32(at), (uint32_t)value);
        base_put_be64(at, value);
        cr_assert_eq(base_get_be64(at), value);
    }
}

/* The bytes themselves: what is on a disk must be read by every later version. */
Test(bytes, layout_is_fixed)
{
    uint8_t at[8];
    base_put_le64(at, UINT64_C(0x0102030405060708));
    cr_assert_arr_eq(at, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    base_put_be64(at, UINT64_C(0x0102030405060708));
    cr_assert_arr_eq(at, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    base_put_le32(at, 0x01020304);
    cr_assert_arr_eq(at, "\x04\x03\x02\x01", 4);
    base_put_be32(at, 0x01020304);
    cr_assert_arr_eq(at, "\x01\x02\x03\x04", 4);
    base_put_le16(at, 0x0102);
    cr_assert_arr_eq(at, "\x02\x01", 2);
}

/* Big-endian keys sort as their numbers do. */
Test(bytes, big_endian_order_is_number_order)
{
    struct base_prng prng = base_prng_seeded(2);
    for (unsigned i = 0; i < 1000; i++) {
        /* Shifted, so that numbers of every length meet. */
        uint64_t a = base_prng_next(&prng) >> base_prng_range(&prng, 0, 63);
        uint64_t b = base_prng_next(&prng) >> base_prng_range(&prng, 0, 63);
        uint8_t key_a[8], key_b[8];
        base_put_be64(key_a, a);
        base_put_be64(key_b, b);
        int order = base_bytes_compare(base_bytes_of(key_a, 8), base_bytes_of(key_b, 8));
        cr_assert_eq((order > 0) - (order < 0), (a > b) - (a < b));
    }
}

/* Bytes are unsigned, a prefix comes before what it begins, and NULL is the empty run. */
Test(bytes, compare_is_lexicographic)
{
    static const struct base_bytes ascending[] = {
        {NULL, 0},
        {(const uint8_t *)"\x00", 1},
        {(const uint8_t *)"\x00\x00", 2},
        {(const uint8_t *)"a", 1},
        {(const uint8_t *)"ab", 2},
        {(const uint8_t *)"b", 1},
        {(const uint8_t *)"\xff", 1},
    };
    int count = (int)(sizeof(ascending) / sizeof(ascending[0]));
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = base_bytes_compare(ascending[i], ascending[j]);
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j), "%d against %d", i, j);
            cr_assert_eq(base_bytes_equal(ascending[i], ascending[j]), i == j);
        }
    }
}

/* A text is its bytes without the end mark. */
Test(bytes, text_is_without_its_end_mark)
{
    struct base_bytes text = base_bytes_text("key");
    cr_assert_eq(text.size, 3);
    cr_assert(base_bytes_equal(text, base_bytes_of("keyboard", 3)));
}
