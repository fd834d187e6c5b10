/*
 * store/block -- the stamp of one block of the log, and the judgement that recovery rests on: a
 * block is new (of this life of its segment), old (of an earlier life, or never written) or rotten.
 *
 * A block is what the device writes atomically, so a crash leaves it new or old. Whatever is
 * neither was changed by something else and is damage.
 */
#ifndef TORC_STORE_BLOCK_H
#define TORC_STORE_BLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { STORE_BLOCK_STAMP_SIZE = 40 }; /* At the front of each block; records fill the rest. */

struct store_block_stamp {
    uint64_t generation; /* Of the segment: its number; never used twice. */
    uint64_t batch;
    uint32_t number; /* Of the block in its segment. */
    uint32_t place;  /* Of the block in its batch, from 0. */
    uint32_t length; /* Bytes of records in the whole batch. */
};

enum store_block_state { STORE_BLOCK_NEW, STORE_BLOCK_OLD, STORE_BLOCK_ROTTEN };

/* Writes the stamp over the block's first bytes; the rest is in place. `seed` is the log's. */
void store_block_seal(uint8_t *block, size_t block_size, uint64_t seed,
                      const struct store_block_stamp *stamp);

/* Judges the block found as number `number` of the segment of this generation. *ret_stamp is
 * written only for a new one, and then generation and number are as given. */
enum store_block_state store_block_judge(const uint8_t *block, size_t block_size, uint64_t seed,
                                         uint64_t generation, uint32_t number,
                                         struct store_block_stamp *ret_stamp);

#endif /* TORC_STORE_BLOCK_H */
