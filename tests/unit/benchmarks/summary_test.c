#include <criterion/criterion.h>

#include "base/prng.h"
#include "benchmarks/load/summary.h"

/* Nothing measured is nothing, not a small number. */
Test(summary, of_nothing_is_zero)
{
    static struct summary summary;
    cr_assert_eq(summary_quantile(&summary, 500), 0);
    cr_assert_eq(summary_quantile(&summary, 1000), 0);
}

/* A single entry is every quantile, exactly. */
Test(summary, of_one_entry_is_that_entry)
{
    static struct summary summary;
    summary_add(&summary, 123456789);
    cr_assert_eq(summary_quantile(&summary, 0), 123456789);
    cr_assert_eq(summary_quantile(&summary, 500), 123456789);
    cr_assert_eq(summary_quantile(&summary, 1000), 123456789);
}

/* Small numbers have buckets of their own, so quantiles are those of the definition. */
Test(summary, is_exact_where_numbers_are_small)
{
    static struct summary summary;
    for (uint64_t i = 1; i <= 100; i++)
        summary_add(&summary, i <= 50 ? 10 : i <= 99 ? 20 : 30);
    cr_assert_eq(summary_quantile(&summary, 500), 10);
    cr_assert_eq(summary_quantile(&summary, 501), 20);
    cr_assert_eq(summary_quantile(&summary, 990), 20);
    cr_assert_eq(summary_quantile(&summary, 991), 30);
    cr_assert_eq(summary_quantile(&summary, 999), 30);
}

/* Any number comes back no smaller, and less than 1 in 64 larger. */
Test(summary, is_near_for_all_sizes)
{
    struct base_prng prng = base_prng_seeded(1);
    for (int i = 0; i < 1000; i++) {
        static struct summary summary;
        uint64_t ns = base_prng_next(&prng) >> base_prng_range(&prng, 0, 63);
        summary = (struct summary){0};
        summary_add(&summary, ns);
        summary_add(&summary, UINT64_MAX);
        uint64_t found = summary_quantile(&summary, 500);
        cr_assert_geq(found, ns);
        cr_assert_leq(found - ns, ns / 64);
    }
}
