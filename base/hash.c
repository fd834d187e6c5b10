#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t base_hash(struct base_bytes bytes)
{
    return XXH3_64bits(bytes.data, bytes.size);
}

uint64_t base_hash_seeded(struct base_bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}
