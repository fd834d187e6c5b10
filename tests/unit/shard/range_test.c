#include "shard/range.h"

#include <criterion/criterion.h>

static void expect(int64_t first, int64_t last, uint64_t size, uint64_t from, uint64_t count)
{
    struct shard_range range = shard_range_clip(first, last, size, true);
    cr_assert(range.first == from && range.count == count, "%lld %lld of %llu: %llu, %llu",
              (long long)first, (long long)last, (unsigned long long)size,
              (unsigned long long)range.first, (unsigned long long)range.count);
}

/* First and last are included; what lies outside is cut off; below 0 counts from the end. */
Test(range, is_cut_to_the_value)
{
    expect(0, 4, 5, 0, 5);
    expect(1, 3, 5, 1, 3);
    expect(2, 2, 5, 2, 1);
    expect(0, -1, 5, 0, 5);
    expect(-3, -2, 5, 2, 2);
    expect(-100, 1, 5, 0, 2);
    expect(3, 100, 5, 3, 2);
    expect(INT64_MIN, INT64_MAX, 5, 0, 5);
    expect(3, 2, 5, 0, 0);
    expect(5, 9, 5, 0, 0);
    expect(INT64_MAX, INT64_MAX, 5, 0, 0);
    expect(0, 0, 0, 0, 0);
    expect(0, -1, 0, 0, 0);
    expect(INT64_MIN, INT64_MIN, 0, 0, 0);
}

/* Redis's oddity: a last one before the beginning is the first one, unless both are and in the
 * wrong order. */
Test(range, before_the_beginning_is_the_beginning)
{
    expect(0, -100, 5, 0, 1);
    expect(-200, -100, 5, 0, 1);
    expect(-100, -200, 5, 0, 0);
    struct shard_range range = shard_range_clip(-100, -200, 5, false);
    cr_assert(range.first == 0 && range.count == 1);
}
