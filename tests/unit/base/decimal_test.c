#include "base/decimal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"

static void expect_sum(const char *a, const char *b, const char *sum)
{
    static struct base_decimal left, right, both;
    static uint8_t text[BASE_DECIMAL_TEXT_MAX];
    cr_assert(base_decimal_read(base_bytes_text(a), &left), "%s", a);
    cr_assert(base_decimal_read(base_bytes_text(b), &right), "%s", b);
    cr_assert(base_decimal_add(&left, &right, &both));
    size_t size = base_decimal_write(&both, text);
    cr_assert(base_bytes_equal(base_bytes_of(text, size), base_bytes_text(sum)), "%s + %s: %.*s", a,
              b, (int)size, (const char *)text);
}

/* Sums are exact, and written as Redis writes numbers. */
Test(decimal, sums_are_exact)
{
    expect_sum("3.0e3", "200", "3200");
    expect_sum("10.50", "0.1", "10.6");
    expect_sum("10.6", "-5", "5.6");
    expect_sum("0.1", "0.2", "0.3");
    expect_sum("-0", "0", "0");
    expect_sum("0", "-0", "0");
    expect_sum("1", "-1", "0");
    expect_sum("1", "-1.5", "-0.5");
    expect_sum("-1", "0.25", "-0.75");
    expect_sum(".5", "5.", "5.5");
    expect_sum("+1", "1E+2", "101");
    expect_sum("1e17", "0.1", "100000000000000000.1");
    expect_sum("123456789012345678901234567890", "1", "123456789012345678901234567891");
    expect_sum("999999999999999999", "1", "1000000000000000000");
    expect_sum("1000000000000000000", "-0.00000000000000001",
               "999999999999999999.99999999999999999");
    expect_sum("000000000000000000000000000000000000000000000000000012", "0", "12");
}

/* The eighteenth digit behind the point decides, and what is nothing has no sign. */
Test(decimal, is_rounded_to_17_digits)
{
    expect_sum("0.00000000000000001", "0", "0.00000000000000001");
    expect_sum("0.000000000000000004", "0", "0");
    expect_sum("0.000000000000000005", "0", "0.00000000000000001");
    expect_sum("-0.000000000000000004", "0", "0");
    expect_sum("0.999999999999999999", "0", "1");
    expect_sum("-9.999999999999999999", "0", "-10");
    expect_sum("1e-400", "-1e-500", "0");
    expect_sum("3e-18", "3e-18", "0.00000000000000001");
}

/* What is no number, or none that can be kept. */
Test(decimal, refuses_what_is_no_number)
{
    static const char *const bad[] = {
        "",
        " 1",
        "1 ",
        "-",
        "+",
        ".",
        "-.",
        "e1",
        "1e",
        "1e+",
        "abc",
        "1.2.3",
        "--1",
        "1,5",
        "inf",
        "nan",
        "0x1p4",
        "1e4932",
        "1e99999999999999999999",
    };
    static struct base_decimal decimal;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(base_decimal_read(base_bytes_text(bad[i]), &decimal), "%s", bad[i]);
    cr_assert(base_decimal_read(base_bytes_text("0e99999999999999999999"), &decimal));
    static uint8_t zeros[BASE_DECIMAL_READ_MAX + 1];
    memset(zeros, '0', sizeof(zeros));
    cr_assert(base_decimal_read(base_bytes_of(zeros, BASE_DECIMAL_READ_MAX), &decimal));
    cr_assert_not(base_decimal_read(base_bytes_of(zeros, BASE_DECIMAL_READ_MAX + 1), &decimal));
}

/* The largest sums have 4932 digits; one more is too large, also when rounding brings it. */
Test(decimal, ends_at_4932_digits)
{
    static struct base_decimal nine, one, sum;
    static uint8_t text[BASE_DECIMAL_TEXT_MAX];
    cr_assert(base_decimal_read(base_bytes_text("9e4931"), &nine));
    cr_assert(base_decimal_read(base_bytes_text("1e4931"), &one));
    cr_assert_not(base_decimal_add(&nine, &one, &sum));
    one.negative = true;
    cr_assert(base_decimal_add(&nine, &one, &sum));
    cr_assert_eq(base_decimal_write(&sum, text), 4932);
    cr_assert_eq(text[0], '8');
    static uint8_t most[4951];
    memset(most, '9', sizeof(most));
    most[4932] = '.';
    cr_assert(base_decimal_read(base_bytes_of(most, 4950), &nine));
    cr_assert_eq(base_decimal_write(&nine, text), 4950);
    cr_assert(base_decimal_read(base_bytes_of(most, 4951), &nine));
    cr_assert_eq(base_decimal_write(&nine, text), 0);
}

/* Against integers of the machine: any two with up to nine digits behind the point. */
Test(decimal, agrees_with_integers)
{
    struct base_prng prng = base_prng_seeded(3);
    for (int round = 0; round < 20000; round++) {
        int64_t numbers[3];
        char texts[3][64];
        unsigned shift = (unsigned)base_prng_range(&prng, 2, 40);
        for (int i = 0; i < 2; i++)
            numbers[i] =
                (int64_t)(base_prng_next(&prng) >> shift) * (base_prng_range(&prng, 0, 1) ? 1 : -1);
        numbers[2] = numbers[0] + numbers[1];
        for (int i = 0; i < 3; i++) {
            uint64_t size = (uint64_t)(numbers[i] < 0 ? -numbers[i] : numbers[i]);
            int end = snprintf(texts[i], sizeof(texts[i]), "%s%llu.%09llu",
                               numbers[i] < 0 ? "-" : "", (unsigned long long)(size / 1000000000),
                               (unsigned long long)(size % 1000000000));
            while (i == 2 && texts[i][end - 1] == '0')
                texts[i][--end] = '\0';
            if (i == 2 && texts[i][end - 1] == '.')
                texts[i][--end] = '\0';
        }
        expect_sum(texts[0], texts[1], texts[2]);
    }
}
