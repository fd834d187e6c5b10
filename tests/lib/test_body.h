/*
 * tests/lib/test_body -- a Criterion test whose tear-down counts.
 *
 * Criterion runs .fini after it has judged a test: a leak that counting_fini() finds there fails
 * nothing. Here set-up and tear-down are part of the test.
 */
#ifndef TORC_TESTS_LIB_TEST_BODY_H
#define TORC_TESTS_LIB_TEST_BODY_H

#include <criterion/criterion.h>

/* Test(suite, name) with `set_up` before and `tear_down` after its body; further arguments as
 * Test's (.timeout = 60). */
#define TEST_BODY(suite, name, set_up, tear_down, ...)                                             \
    static void suite##_##name##_body(void);                                                       \
    Test(suite, name, ##__VA_ARGS__)                                                               \
    {                                                                                              \
        set_up();                                                                                  \
        suite##_##name##_body();                                                                   \
        tear_down();                                                                               \
    }                                                                                              \
    static void suite##_##name##_body(void)

#endif /* TORC_TESTS_LIB_TEST_BODY_H */
