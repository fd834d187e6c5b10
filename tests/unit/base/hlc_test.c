#include "base/hlc.h"

#include <criterion/criterion.h>

/* A time survives the clock; the ticks within its millisecond round down to it. */
Test(hlc, milliseconds_round_trip)
{
    uint64_t unix_ms = UINT64_C(1767323045678);
    uint64_t clock = base_hlc_from_ms(unix_ms);
    uint64_t ticks = UINT64_C(1) << BASE_HLC_COUNTER_BITS;
    cr_assert_eq(base_hlc_to_ms(clock), unix_ms);
    cr_assert_eq(base_hlc_to_ms(clock + ticks - 1), unix_ms);
    cr_assert_eq(base_hlc_to_ms(clock + ticks), unix_ms + 1);
    cr_assert_eq(base_hlc_from_ms(unix_ms + 1), clock + ticks);
}

/* Times past the last one are held there: no shift may wrap a late time into an early clock. */
Test(hlc, late_times_are_held_at_the_maximum)
{
    uint64_t last = base_hlc_from_ms(BASE_HLC_MS_MAX);
    cr_assert_eq(base_hlc_to_ms(last), BASE_HLC_MS_MAX);
    cr_assert_eq(base_hlc_from_ms(BASE_HLC_MS_MAX + 1), last);
    cr_assert_eq(base_hlc_from_ms(UINT64_MAX), last);
    cr_assert_gt(last, base_hlc_from_ms(BASE_HLC_MS_MAX - 1));
    cr_assert_eq(base_hlc_from_ms(0), 0);
}
