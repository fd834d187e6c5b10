/*
 * base/hash -- XXH3-64 (xxHash 0.8), the checksum of records and messages and the hash of tokens.
 */
#ifndef TORC_BASE_HASH_H
#define TORC_BASE_HASH_H

#include <stdint.h>

#include "base/bytes.h"

/* XXH3-64 with seed 0. */
uint64_t base_hash(struct base_bytes bytes);
/* XXH3-64 with a seed: for a checksum that also covers a number (a position, a running hash). */
uint64_t base_hash_seeded(struct base_bytes bytes, uint64_t seed);

#endif /* TORC_BASE_HASH_H */
