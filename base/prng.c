#include "base/prng.h"

#include "base/assert.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, unsigned count)
{
    return x << count | x >> (64 - count);
}

struct base_prng base_prng_seeded(uint64_t seed)
{
    struct base_prng prng;
    for (unsigned i = 0; i < 4; i++)
        prng.state[i] = splitmix64(&seed);
    return prng;
}

uint64_t base_prng_next(struct base_prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t base_prng_range(struct base_prng *prng, uint64_t min, uint64_t max)
{
    TORC_ASSERT(min <= max);
    uint64_t span = max - min;
    if (span == UINT64_MAX)
        return base_prng_next(prng);
    uint64_t count = span + 1;
    /* Reject the incomplete last cycle, so that every value is equally likely. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % count;
    uint64_t drawn;
    do {
        drawn = base_prng_next(prng);
    } while (drawn >= limit);
    return min + drawn % count;
}

bool base_prng_chance(struct base_prng *prng, uint64_t numerator, uint64_t denominator)
{
    TORC_ASSERT(denominator > 0);
    TORC_ASSERT(numerator <= denominator);
    return base_prng_range(prng, 1, denominator) <= numerator;
}
