#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/load/data.h"

enum { KEY_COUNT = 1000, DRAWS = 200000 };

static void draw(bool zipf, unsigned counts[KEY_COUNT])
{
    struct data_choice choice;
    struct base_prng prng = base_prng_seeded(7);
    data_choice_init(&choice, KEY_COUNT, zipf, 0.99);
    memset(counts, 0, KEY_COUNT * sizeof(counts[0]));
    for (int i = 0; i < DRAWS; i++) {
        uint64_t key = data_choose(&choice, &prng);
        cr_assert_lt(key, KEY_COUNT);
        counts[key]++;
    }
}

static int more_first(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;
    return left < right ? 1 : left > right ? -1 : 0;
}

/* Uniform: each key about as often as any. */
Test(data, uniform_is_even)
{
    static unsigned counts[KEY_COUNT];
    draw(false, counts);
    for (int i = 0; i < KEY_COUNT; i++)
        cr_assert(counts[i] > 100 && counts[i] < 320, "key %d: %u", i, counts[i]);
}

/* Zipf 0.99 over 1,000 keys: the first has 1 / 7.73 of all, the second about half of that. */
Test(data, zipf_is_as_steep_as_asked)
{
    static unsigned counts[KEY_COUNT];
    draw(true, counts);
    qsort(counts, KEY_COUNT, sizeof(counts[0]), more_first);
    cr_assert(counts[0] > DRAWS / 8.2 && counts[0] < DRAWS / 7.3, "%u", counts[0]);
    double half = (double)counts[1] / counts[0];
    cr_assert(half > 0.46 && half < 0.55, "%f", half);
}

/* Keys have their size and order; the last digit changes first. */
Test(data, keys_are_sixteen_bytes)
{
    uint8_t key[DATA_KEY_SIZE];
    data_key_write(key, 90210);
    cr_assert_eq(memcmp(key, "key0000000090210", DATA_KEY_SIZE), 0);
}

/* A value is good for its own key and size, and any other byte in it is noticed. */
Test(data, every_byte_of_a_value_is_checked)
{
    uint8_t key[DATA_KEY_SIZE], other[DATA_KEY_SIZE], value[256];
    struct base_prng prng = base_prng_seeded(3);
    data_key_write(key, 5);
    data_key_write(other, 6);
    data_value_write(value, sizeof(value), key, &prng);
    struct base_bytes bytes = base_bytes_of(value, sizeof(value));
    cr_assert(data_value_good(bytes, sizeof(value), key));
    cr_assert(!data_value_good(bytes, sizeof(value), other));
    cr_assert(!data_value_good(base_bytes_of(value, 255), sizeof(value), key));
    for (size_t i = 0; i < sizeof(value); i++) {
        value[i] ^= 0x80;
        cr_assert(!data_value_good(bytes, sizeof(value), key), "byte %zu", i);
        value[i] ^= 0x80;
    }
}

/* Redis's own example of its slots: "123456789" has checksum 31C3. */
Test(data, slots_are_those_of_redis_cluster)
{
    cr_assert_eq(data_slot((const uint8_t *)"123456789", 9), 0x31C3);
}
