/*
 * shard/bits -- bits of a value, as Redis numbers them: bit 0 is the highest of the first byte.
 * Pure arithmetic.
 */
#ifndef TORC_SHARD_BITS_H
#define TORC_SHARD_BITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "shard/range.h"

/* How many are 1 in a range of bits, which lies in `bytes`. */
uint64_t shard_bits_count(struct base_bytes bytes, struct shard_range range);
/* The first in the range that is `bit`; -1: none. */
int64_t shard_bits_find(struct base_bytes bytes, struct shard_range range, bool bit);

#endif /* TORC_SHARD_BITS_H */
