#include "store/block.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mutant.h"

enum {
    AT_HASH = 0,
    AT_GENERATION = 8,
    AT_BATCH = 16,
    AT_NUMBER = 24,
    AT_PLACE = 28,
    AT_LENGTH = 32,
    AT_MAGIC = 36,
    MAGIC = 0x474f4c54, /* "TLOG" */
};

static uint64_t block_hash(const uint8_t *block, size_t block_size, uint64_t seed)
{
    return base_hash_seeded(base_bytes_of(block + AT_GENERATION, block_size - AT_GENERATION), seed);
}

/* Never written: prepared segments are filled with zeroes. A run of equal bytes compared with
 * itself shifted by one is the quickest test that ISO C has. */
static bool all_zero(const uint8_t *block, size_t block_size)
{
    return block[0] == 0 && memcmp(block, block + 1, block_size - 1) == 0;
}

void store_block_seal(uint8_t *block, size_t block_size, uint64_t seed,
                      const struct store_block_stamp *stamp)
{
    TORC_ASSERT(block_size > STORE_BLOCK_STAMP_SIZE);
    TORC_ASSERT(stamp->generation > 0);
    base_put_le64(block + AT_GENERATION, stamp->generation);
    base_put_le64(block + AT_BATCH, stamp->batch);
    base_put_le32(block + AT_NUMBER, stamp->number);
    base_put_le32(block + AT_PLACE, stamp->place);
    base_put_le32(block + AT_LENGTH, stamp->length);
    base_put_le32(block + AT_MAGIC, MAGIC);
    base_put_le64(block + AT_HASH, block_hash(block, block_size, seed));
}

enum store_block_state store_block_judge(const uint8_t *block, size_t block_size, uint64_t seed,
                                         uint64_t generation, uint32_t number,
                                         struct store_block_stamp *ret_stamp)
{
    if (all_zero(block, block_size))
        return STORE_BLOCK_OLD;
    if (base_get_le64(block + AT_HASH) != block_hash(block, block_size, seed) &&
        !TORC_MUTANT(HASH_UNCHECKED))
        return STORE_BLOCK_ROTTEN;
    struct store_block_stamp stamp = {
        .generation = base_get_le64(block + AT_GENERATION),
        .batch = base_get_le64(block + AT_BATCH),
        .number = base_get_le32(block + AT_NUMBER),
        .place = base_get_le32(block + AT_PLACE),
        .length = base_get_le32(block + AT_LENGTH),
    };
    /* Whole, but not made for this place: a write went astray. */
    if (base_get_le32(block + AT_MAGIC) != MAGIC || stamp.number != number ||
        stamp.generation > generation)
        return STORE_BLOCK_ROTTEN;
    if (stamp.generation < generation && !TORC_MUTANT(STAMP_UNCHECKED))
        return STORE_BLOCK_OLD;
    *ret_stamp = stamp;
    return STORE_BLOCK_NEW;
}
