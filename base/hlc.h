/*
 * base/hlc -- the 64-bit hybrid logical clock (Kulkarni et al. 2014, in one word): milliseconds of
 * Unix time in the upper 44 bits, a counter in the lower 20. A group's clock, versions of keys and
 * last times of requests are such values; each operation takes one tick, so a burst of more than a
 * million operations in one millisecond runs the clock ahead of the wall, never back.
 */
#ifndef TORC_BASE_HLC_H
#define TORC_BASE_HLC_H

#include <stdint.h>

enum { BASE_HLC_COUNTER_BITS = 20 };

/* The last millisecond that a clock can show: the year 2527. */
#define BASE_HLC_MS_MAX ((UINT64_C(1) << (64 - BASE_HLC_COUNTER_BITS)) - 1)

/* The first tick of a millisecond of Unix time; times past BASE_HLC_MS_MAX are held there. */
static inline uint64_t base_hlc_from_ms(uint64_t unix_ms)
{
    return (unix_ms < BASE_HLC_MS_MAX ? unix_ms : BASE_HLC_MS_MAX) << BASE_HLC_COUNTER_BITS;
}

/* Unix time in milliseconds, rounded down. */
static inline uint64_t base_hlc_to_ms(uint64_t clock)
{
    return clock >> BASE_HLC_COUNTER_BITS;
}

#endif /* TORC_BASE_HLC_H */
