#include "shard/bits.h"

#include <criterion/criterion.h>

#include "base/prng.h"

enum { SIZE_MAX_HERE = 40 };

static bool bit_at(const uint8_t *bytes, uint64_t at)
{
    return (bytes[at / 8] >> (7 - at % 8) & 1) != 0;
}

/* Against one bit after the other, for every beginning and end of values sparse and dense. */
Test(bits, are_those_found_one_by_one)
{
    struct base_prng prng = base_prng_seeded(7);
    for (int round = 0; round < 200; round++) {
        uint8_t bytes[SIZE_MAX_HERE];
        size_t size = base_prng_range(&prng, 1, round % 10 == 0 ? SIZE_MAX_HERE : 6);
        uint8_t fill = round % 2 == 0 ? 0 : 0xff;
        memset(bytes, fill, sizeof(bytes));
        for (int i = round % 3; i > 0; i--)
            bytes[base_prng_range(&prng, 0, size - 1)] = (uint8_t)base_prng_next(&prng);
        for (uint64_t first = 0; first < 8 * size; first++) {
            uint64_t count = 0;
            int64_t found[2] = {-1, -1};
            for (uint64_t last = first; last < 8 * size; last++) {
                bool bit = bit_at(bytes, last);
                count += bit;
                if (found[bit] < 0)
                    found[bit] = (int64_t)last;
                struct shard_range range = {first, last - first + 1};
                struct base_bytes value = base_bytes_of(bytes, size);
                cr_assert_eq(shard_bits_count(value, range), count);
                cr_assert_eq(shard_bits_find(value, range, false), found[0]);
                cr_assert_eq(shard_bits_find(value, range, true), found[1]);
            }
        }
    }
}

/* In nothing there is nothing. */
Test(bits, nothing_has_none)
{
    struct shard_range range = {0};
    cr_assert_eq(shard_bits_count(base_bytes_of(NULL, 0), range), 0);
    cr_assert_eq(shard_bits_find(base_bytes_of(NULL, 0), range, false), -1);
}
