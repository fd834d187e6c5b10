/*
 * base/prng -- the one pseudo-random generator (xoshiro256**, Blackman and Vigna 2018), seeded by
 * splitmix64. Integers only; ranges are inclusive; the state is the caller's plain data.
 */
#ifndef TORC_BASE_PRNG_H
#define TORC_BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct base_prng {
    uint64_t state[4]; /* Invariant: not all zero. */
};

struct base_prng base_prng_seeded(uint64_t seed);
uint64_t base_prng_next(struct base_prng *prng);
/* Uniform in [min, max], both included; asserts min <= max; min == max and the full range work. */
uint64_t base_prng_range(struct base_prng *prng, uint64_t min, uint64_t max);
/* True with probability numerator/denominator; asserts numerator <= denominator, denominator > 0.
 */
bool base_prng_chance(struct base_prng *prng, uint64_t numerator, uint64_t denominator);

#endif /* TORC_BASE_PRNG_H */
