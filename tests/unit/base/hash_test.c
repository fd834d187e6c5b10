#include "base/hash.h"

#include <criterion/criterion.h>

/* XXH3-64 as published: a hash that changed would move every key and refuse every record. */
Test(hash, golden_values)
{
    cr_assert_eq(base_hash(base_bytes_of(NULL, 0)), UINT64_C(0x2d06800538d394c2));
    cr_assert_eq(base_hash(base_bytes_text("torc")), UINT64_C(0xc391707079b8e025));
    cr_assert_eq(base_hash_seeded(base_bytes_text("torc"), 42), UINT64_C(0x56aaf0e457594d85));
}

/* Seed 0 is no seed, and another seed is another hash. */
Test(hash, seed_zero_is_the_plain_hash)
{
    struct base_bytes bytes = base_bytes_text("some bytes to hash");
    cr_assert_eq(base_hash_seeded(bytes, 0), base_hash(bytes));
    cr_assert_neq(base_hash_seeded(bytes, 1), base_hash(bytes));
}

/* A checksum sees every flipped bit of a record, whichever of the hash's code paths it takes. */
Test(hash, every_flipped_bit_changes_it)
{
    static const size_t sizes[] = {1, 3, 8, 16, 17, 128, 129, 240, 241, 1024, 1500};
    uint8_t bytes[1500];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t whole = base_hash(base_bytes_of(bytes, sizes[i]));
        for (size_t bit = 0; bit < 8 * sizes[i]; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_neq(base_hash(base_bytes_of(bytes, sizes[i])), whole);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}
