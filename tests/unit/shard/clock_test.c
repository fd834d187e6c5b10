#include "shard/clock.h"

#include <criterion/criterion.h>

#include "base/hlc.h"

static const uint32_t voters[] = {1, 2, 3};

/* The lower median counts: one clock that is far off, either way, moves nothing. */
Test(clock, one_wrong_clock_moves_nothing)
{
    struct shard_clocks clocks = {0};
    shard_clocks_heard(&clocks, 1, 5000, 100);
    shard_clocks_heard(&clocks, 2, 5010, 100);
    shard_clocks_heard(&clocks, 3, UINT64_MAX, 100);
    cr_assert_eq(shard_clocks_median(&clocks, voters, 3, 100), 5010);
    shard_clocks_heard(&clocks, 3, 0, 100);
    cr_assert_eq(shard_clocks_median(&clocks, voters, 3, 100), 5000);
    cr_assert_eq(shard_clocks_median(&clocks, voters, 2, 100), 5000);
}

/* Clocks go on with the own monotonic one; what was heard too long ago, or never, does not count.
 */
Test(clock, old_samples_do_not_count)
{
    struct shard_clocks clocks = {0};
    cr_assert_eq(shard_clocks_median(&clocks, voters, 3, 100), 0);
    shard_clocks_heard(&clocks, 1, 5000, 100);
    shard_clocks_heard(&clocks, 2, 9000, 200);
    cr_assert_eq(shard_clocks_median(&clocks, voters, 3, 100 + SHARD_CLOCK_AGE_MAX_MS),
                 5000 + SHARD_CLOCK_AGE_MAX_MS);
    cr_assert_eq(shard_clocks_median(&clocks, voters, 3, 101 + SHARD_CLOCK_AGE_MAX_MS),
                 9000 + SHARD_CLOCK_AGE_MAX_MS - 99);
    cr_assert_eq(shard_clocks_median(&clocks, voters, 3, 201 + SHARD_CLOCK_AGE_MAX_MS), 0);
    /* A clock from before the epoch of our monotonic one shows 0 at the least. */
    shard_clocks_heard(&clocks, 1, 0, 90000);
    cr_assert_eq(shard_clocks_median(&clocks, voters, 1, 90000), 0);
}

/* Past its bound the table takes nobody new, and goes on with those it knows. */
Test(clock, the_table_is_bounded)
{
    struct shard_clocks clocks = {0};
    for (uint32_t node = 1; node <= SHARD_CLOCK_NODES_MAX + 10; node++)
        shard_clocks_heard(&clocks, node, 5000, 100);
    cr_assert_eq(clocks.count, SHARD_CLOCK_NODES_MAX);
    shard_clocks_heard(&clocks, 1, 6000, 100);
    const uint32_t first = 1, over = SHARD_CLOCK_NODES_MAX + 1;
    cr_assert_eq(shard_clocks_median(&clocks, &first, 1, 100), 6000);
    cr_assert_eq(shard_clocks_median(&clocks, &over, 1, 100), 0);
}

/* A stamp is the median, never below the group's clock or an earlier stamp. */
Test(clock, stamps_rise)
{
    struct shard_stamp stamp = {0};
    cr_assert_eq(shard_stamp_next(&stamp, 0, 1000, 10), base_hlc_from_ms(1000));
    uint64_t group = base_hlc_from_ms(2000) + 5;
    cr_assert_eq(shard_stamp_next(&stamp, group, 1010, 20), group);
    cr_assert_geq(shard_stamp_next(&stamp, 0, 0, 20), group);
}

/* A clock that is ahead of the median runs on at half speed until the median has come up. */
Test(clock, ahead_of_the_median_it_runs_at_half_speed)
{
    struct shard_stamp stamp = {0};
    uint64_t start = base_hlc_from_ms(2000);
    cr_assert_eq(shard_stamp_next(&stamp, start, 1000, 10), start);
    cr_assert_eq(shard_stamp_next(&stamp, start, 1100, 110), base_hlc_from_ms(2050));
    cr_assert_eq(shard_stamp_next(&stamp, start, 2000, 1010), base_hlc_from_ms(2500));
    cr_assert_eq(shard_stamp_next(&stamp, start, 3001, 2011), base_hlc_from_ms(3001));
    cr_assert_eq(shard_stamp_next(&stamp, start, 3101, 2111), base_hlc_from_ms(3101));
}

/* At the end of time it stands still. */
Test(clock, the_last_millisecond_holds)
{
    struct shard_clocks clocks = {0};
    const uint32_t node = 1;
    shard_clocks_heard(&clocks, node, UINT64_MAX, 100);
    struct shard_stamp stamp = {0};
    uint64_t median = shard_clocks_median(&clocks, &node, 1, 5000);
    cr_assert_eq(shard_stamp_next(&stamp, 0, median, 5000), base_hlc_from_ms(BASE_HLC_MS_MAX));
}
