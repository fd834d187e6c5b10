#include "admin/options.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

static bool flag;
static uint64_t number;
static const char *text;
static struct admin_texts texts;
static size_t positional_count;

static const struct admin_option options[] = {
    {"--flag", ADMIN_OPTION_FLAG, NULL, "A flag.", &flag, 0, 0},
    {"--number", ADMIN_OPTION_NUMBER, "N", "A number.", &number, 10, 20},
    {"--text", ADMIN_OPTION_TEXT, "T", "A text.", &text, 0, 0},
    {"--set", ADMIN_OPTION_TEXTS, "S", "Texts.", &texts, 0, 0},
};
static const struct admin_usage usage = {"tool [NAME]", "Does it.\n", "  tool x\n", 0, 1};

static int read_line(int argc, char **argv)
{
    return admin_options_read(&usage, options, 4, argc, argv, &positional_count);
}

#define READ(...)                                                                                  \
    read_line((int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[]){__VA_ARGS__})

/* Both ways to write a value, flags, repeated options, and an argument anywhere. */
Test(options, every_kind_is_read)
{
    cr_assert_eq(
        READ("tool", "--number=12", "name", "--flag", "--text", "t", "--set", "a", "--set=b"), -1);
    cr_assert(flag);
    cr_assert_eq(number, 12);
    cr_assert_str_eq(text, "t");
    cr_assert_eq(texts.count, 2);
    cr_assert_str_eq(texts.items[1], "b");
    cr_assert_eq(positional_count, 1);
}

/* After "--" nothing is an option. */
Test(options, two_dashes_end_the_options)
{
    char *argv[] = {"tool", "--", "--flag"};
    cr_assert_eq(read_line(3, argv), -1);
    cr_assert(!flag);
    cr_assert_str_eq(argv[1], "--flag");
}

/* What is wrong ends with status 2 and changes nothing by itself. */
Test(options, wrong_lines_are_refused)
{
    cr_assert_eq(READ("tool", "--number", "9"), 2);
    cr_assert_eq(READ("tool", "--number", "21"), 2);
    cr_assert_eq(READ("tool", "--number", "1x"), 2);
    cr_assert_eq(READ("tool", "--number", "-11"), 2);
    cr_assert_eq(READ("tool", "--number", "99999999999999999999"), 2);
    cr_assert_eq(READ("tool", "--number"), 2);
    cr_assert_eq(READ("tool", "--flag=yes"), 2);
    cr_assert_eq(READ("tool", "--text="), 2);
    cr_assert_eq(READ("tool", "--other"), 2);
    cr_assert_eq(READ("tool", "a", "b"), 2);
    cr_assert_eq(number, 0);
    cr_assert(!flag);
}

/* Help is a success that does nothing else. */
Test(options, help_ends_well)
{
    cr_assert_eq(READ("tool", "--help"), 0);
}
