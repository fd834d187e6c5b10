#include "base/status.h"

#include <criterion/criterion.h>
#include <string.h>

static const enum torc_status statuses[] = {
#define STATUS_VALUE(name, text) name,
    TORC_STATUS_LIST(STATUS_VALUE)
#undef STATUS_VALUE
};

enum { STATUS_COUNT = sizeof(statuses) / sizeof(statuses[0]) };

/* OK is zero: `if (status)` reads as "if it went wrong", and zeroed memory is no failure. */
Test(status, ok_is_zero)
{
    cr_assert_eq(TORC_OK, 0);
    cr_assert_str_eq(torc_status_name(TORC_OK), "TORC_OK");
    cr_assert_str_eq(torc_status_text(TORC_OK), "ok");
}

/* Each status has a name and a text of its own. */
Test(status, names_and_texts_are_distinct)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        cr_assert_eq(strncmp(torc_status_name(statuses[i]), "TORC_", 5), 0);
        cr_assert_gt(strlen(torc_status_text(statuses[i])), 0);
        for (size_t j = 0; j < i; j++) {
            cr_assert_str_neq(torc_status_name(statuses[i]), torc_status_name(statuses[j]));
            cr_assert_str_neq(torc_status_text(statuses[i]), torc_status_text(statuses[j]));
        }
    }
}

/* A number from nowhere has a text too, so that a log line can never crash. */
Test(status, number_that_is_no_status_has_a_text)
{
    enum torc_status beyond = (enum torc_status)STATUS_COUNT;
    cr_assert_str_eq(torc_status_text(beyond), "not a status");
    cr_assert_str_eq(torc_status_name(beyond), "TORC_?");
}
