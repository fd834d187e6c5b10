#include "store/block.h"

#include <string.h>

#include <criterion/criterion.h>

#include "base/bytes.h"
#include "base/hash.h"

enum { SIZE = 512 };

static const struct store_block_stamp stamp = {
    .generation = 9, .batch = 77, .number = 5, .place = 2, .length = 1234};

static void make_block(uint8_t *block)
{
    for (size_t i = 0; i < SIZE; i++)
        block[i] = (uint8_t)i;
    store_block_seal(block, SIZE, 3, &stamp);
}

/* A block found where and when it was written is new, and its stamp is read back. */
Test(block, sealed_block_is_new_in_its_place)
{
    uint8_t block[SIZE];
    struct store_block_stamp seen;
    make_block(block);
    cr_assert_eq(store_block_judge(block, SIZE, 3, 9, 5, &seen), STORE_BLOCK_NEW);
    cr_assert_eq(seen.batch, 77);
    cr_assert_eq(seen.place, 2);
    cr_assert_eq(seen.length, 1234);
}

/* Zeroes were never written; a whole block of an earlier generation is of an earlier life. */
Test(block, zeroes_and_lower_generations_are_old)
{
    uint8_t block[SIZE] = {0};
    struct store_block_stamp seen;
    cr_assert_eq(store_block_judge(block, SIZE, 3, 9, 5, &seen), STORE_BLOCK_OLD);
    make_block(block);
    cr_assert_eq(store_block_judge(block, SIZE, 3, 10, 5, &seen), STORE_BLOCK_OLD);
}

/* A whole block at another number, of a later generation or of another log was written astray. */
Test(block, whole_block_of_another_place_is_rotten)
{
    uint8_t block[SIZE];
    struct store_block_stamp seen;
    make_block(block);
    cr_assert_eq(store_block_judge(block, SIZE, 3, 9, 6, &seen), STORE_BLOCK_ROTTEN);
    cr_assert_eq(store_block_judge(block, SIZE, 3, 8, 5, &seen), STORE_BLOCK_ROTTEN);
    cr_assert_eq(store_block_judge(block, SIZE, 4, 9, 5, &seen), STORE_BLOCK_ROTTEN);
}

/* No bit of a block, padding included, can change without its being rotten. */
Test(block, any_flipped_bit_is_rotten)
{
    uint8_t block[SIZE];
    struct store_block_stamp seen;
    make_block(block);
    for (size_t bit = 0; bit < 8 * SIZE; bit++) {
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(store_block_judge(block, SIZE, 3, 9, 5, &seen), STORE_BLOCK_ROTTEN);
        block[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A whole block that is no block of a log: its hash is right and its mark is not. */
Test(block, whole_block_without_the_mark_is_rotten)
{
    uint8_t block[SIZE];
    struct store_block_stamp seen;
    make_block(block);
    block[36] ^= 1;
    base_put_le64(block, base_hash_seeded(base_bytes_of(block + 8, SIZE - 8), 3));
    cr_assert_eq(store_block_judge(block, SIZE, 3, 9, 5, &seen), STORE_BLOCK_ROTTEN);
    block[36] ^= 1;
    base_put_le64(block, base_hash_seeded(base_bytes_of(block + 8, SIZE - 8), 3));
    cr_assert_eq(store_block_judge(block, SIZE, 3, 9, 5, &seen), STORE_BLOCK_NEW);
}
