#include "router/number.h"

#include <criterion/criterion.h>
#include <string.h>

/* Every edge of the range, and every way in which Redis refuses a text. */
Test(router_number, reads_what_redis_reads)
{
    static const struct {
        const char *text;
        bool good;
        int64_t number;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {"01", false, 0},
        {"-0", false, 0},
        {"00", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"0x1", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t number = 77;
        bool good = router_number_read(base_bytes_text(cases[i].text), &number);
        cr_assert_eq(good, cases[i].good, "%s", cases[i].text);
        cr_assert_eq(number, good ? cases[i].number : 77, "%s", cases[i].text);
    }
}

/* Cursors are unsigned, and may have leading zeros. */
Test(router_number, reads_unsigned)
{
    uint64_t number = 77;
    cr_assert(router_number_read_unsigned(base_bytes_text("18446744073709551615"), &number));
    cr_assert_eq(number, UINT64_MAX);
    cr_assert(router_number_read_unsigned(base_bytes_text("007"), &number));
    cr_assert_eq(number, 7);
    cr_assert_not(router_number_read_unsigned(base_bytes_text("18446744073709551616"), &number));
    cr_assert_not(router_number_read_unsigned(base_bytes_text("-1"), &number));
    cr_assert_eq(number, 7);
}

/* What is written is read back as the same number. */
Test(router_number, writes_what_it_reads)
{
    static const int64_t numbers[] = {0, 1, -1, 10, -10, INT64_MAX, INT64_MIN, 1234567890123};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[ROUTER_NUMBER_SIZE_MAX];
        int64_t number;
        size_t size = router_number_write(numbers[i], text);
        cr_assert(router_number_read(base_bytes_of(text, size), &number));
        cr_assert_eq(number, numbers[i]);
    }
}
