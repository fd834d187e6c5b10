/*
 * store/block with a judgement that leaves one check out, linked in the place of store/block.c to
 * show that the log's crash test notices: with UNCHECKED_HASH the stamp is believed whatever its
 * hash says, with UNCHECKED_GENERATION a block of an earlier life of the segment counts as new.
 */
#define store_block_judge store_block_judge_checked
#include "store/block.c"
#undef store_block_judge

enum store_block_state store_block_judge(const uint8_t *block, size_t block_size, uint64_t seed,
                                         uint64_t generation, uint32_t number,
                                         struct store_block_stamp *ret_stamp);

enum store_block_state store_block_judge(const uint8_t *block, size_t block_size, uint64_t seed,
                                         uint64_t generation, uint32_t number,
                                         struct store_block_stamp *ret_stamp)
{
#ifdef UNCHECKED_HASH
    (void)seed;
    if (all_zero(block, block_size) || base_get_le64(block + AT_GENERATION) < generation)
        return STORE_BLOCK_OLD;
    (void)number;
#else
    enum store_block_state state =
        store_block_judge_checked(block, block_size, seed, generation, number, ret_stamp);
    if (state != STORE_BLOCK_OLD || all_zero(block, block_size))
        return state;
#endif
    *ret_stamp = (struct store_block_stamp){
        .generation = base_get_le64(block + AT_GENERATION),
        .batch = base_get_le64(block + AT_BATCH),
        .number = base_get_le32(block + AT_NUMBER),
        .place = base_get_le32(block + AT_PLACE),
        .length = base_get_le32(block + AT_LENGTH),
    };
    return STORE_BLOCK_NEW;
}
