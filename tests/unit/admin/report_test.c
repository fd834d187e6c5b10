#include "admin/report.h"

#include <criterion/criterion.h>

/* Numbers as people read them. */
Test(report, numbers_are_readable)
{
    char buffer[ADMIN_NUMBER_SIZE];
    cr_assert_str_eq(admin_count(0, buffer), "0");
    cr_assert_str_eq(admin_count(999, buffer), "999");
    cr_assert_str_eq(admin_count(1000, buffer), "1,000");
    cr_assert_str_eq(admin_count(UINT64_MAX, buffer), "18,446,744,073,709,551,615");
    cr_assert_str_eq(admin_bytes(1023, buffer), "1023 B");
    cr_assert_str_eq(admin_bytes(1536, buffer), "1.5 KiB");
    cr_assert_str_eq(admin_bytes(1048575, buffer), "1.0 MiB");
    cr_assert_str_eq(admin_bytes(UINT64_MAX, buffer), "16.0 EiB");
    cr_assert_str_eq(admin_duration(1500, buffer), "1.5 s");
    cr_assert_str_eq(admin_duration(95000, buffer), "1 min 35 s");
    cr_assert_str_eq(admin_duration(7260000, buffer), "2 h 1 min");
}

/* The clock does not go back, and a wait takes its time. */
Test(report, waits_are_at_least_as_long)
{
    uint64_t before_ms = admin_now_ms();
    admin_sleep_ms(30);
    cr_assert_geq(admin_now_ms(), before_ms + 30);
}

/* The exit statuses of the two kinds of failure differ. */
Test(report, failures_have_their_status)
{
    cr_assert_eq(admin_fail("%s", "did not work"), 1);
    cr_assert_eq(admin_refuse("%s", "was wrong"), 2);
}
