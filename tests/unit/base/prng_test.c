#include "base/prng.h"

#include <criterion/criterion.h>
#include <signal.h>

/* The authors' sequence from state 1, 2, 3, 4: it is that generator and no other. */
Test(prng, follows_the_published_sequence)
{
    struct base_prng prng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240),
                                        UINT64_C(1216172134540287360)};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        cr_assert_eq(base_prng_next(&prng), expected[i]);
}

/* A seed printed by a failing run of today is the same run after every later change. */
Test(prng, seeds_give_golden_values)
{
    struct base_prng zero = base_prng_seeded(0);
    cr_assert_eq(base_prng_next(&zero), UINT64_C(0x99ec5f36cb75f2b4));
    cr_assert_eq(base_prng_next(&zero), UINT64_C(0xbf6e1f784956452a));
    struct base_prng one = base_prng_seeded(1);
    cr_assert_eq(base_prng_next(&one), UINT64_C(0xb3f2af6d0fc710c5));
    struct base_prng last = base_prng_seeded(UINT64_MAX);
    cr_assert_eq(base_prng_next(&last), UINT64_C(0x8f5520d52a7ead08));
}

/* A range of one value is that value, at both ends of the numbers too. */
Test(prng, range_of_one_value)
{
    struct base_prng prng = base_prng_seeded(3);
    cr_assert_eq(base_prng_range(&prng, 0, 0), 0);
    cr_assert_eq(base_prng_range(&prng, 7, 7), 7);
    cr_assert_eq(base_prng_range(&prng, UINT64_MAX, UINT64_MAX), UINT64_MAX);
}

/* The full range is the generator itself: nothing is lost to an overflow of its width. */
Test(prng, full_range)
{
    struct base_prng prng = base_prng_seeded(4);
    struct base_prng same = prng;
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(base_prng_range(&prng, 0, UINT64_MAX), base_prng_next(&same));
    for (unsigned i = 0; i < 100; i++)
        cr_assert_geq(base_prng_range(&prng, 1, UINT64_MAX), 1);
}

/* Both ends are drawn, nothing outside them is, and all values are about equally frequent. */
Test(prng, range_is_inclusive_and_even)
{
    struct base_prng prng = base_prng_seeded(5);
    unsigned counts[6] = {0};
    for (unsigned i = 0; i < 60000; i++) {
        uint64_t drawn = base_prng_range(&prng, 10, 15);
        cr_assert(drawn >= 10 && drawn <= 15);
        counts[drawn - 10]++;
    }
    for (unsigned i = 0; i < 6; i++)
        cr_assert(counts[i] > 9500 && counts[i] < 10500, "%u drawn %u times", i + 10, counts[i]);
}

/* A range that does not divide the generator's is even too: what is left over is drawn again. */
Test(prng, wide_range_is_even)
{
    struct base_prng prng = base_prng_seeded(9);
    unsigned thirds[3] = {0};
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t drawn = base_prng_range(&prng, 0, 3 * (UINT64_C(1) << 62) - 1);
        cr_assert_lt(drawn >> 62, 3);
        thirds[drawn >> 62]++;
    }
    for (unsigned i = 0; i < 3; i++)
        cr_assert(thirds[i] > 9500 && thirds[i] < 10500, "third %u: %u", i, thirds[i]);
}

/* 0 of n never happens, n of n always, 1 of 4 about a quarter of the time. */
Test(prng, chance_is_the_ratio)
{
    struct base_prng prng = base_prng_seeded(6);
    unsigned quarter = 0;
    for (unsigned i = 0; i < 10000; i++) {
        cr_assert_not(base_prng_chance(&prng, 0, 3));
        cr_assert(base_prng_chance(&prng, 3, 3));
        quarter += base_prng_chance(&prng, 1, 4);
    }
    cr_assert(quarter > 2300 && quarter < 2700, "%u of 10000", quarter);
}

/* An empty range is the caller's mistake. */
Test(prng, inverted_range_asserts, .signal = SIGABRT)
{
    struct base_prng prng = base_prng_seeded(7);
    base_prng_range(&prng, 2, 1);
}

/* More than certain is the caller's mistake. */
Test(prng, chance_above_one_asserts, .signal = SIGABRT)
{
    struct base_prng prng = base_prng_seeded(8);
    base_prng_chance(&prng, 5, 4);
}
