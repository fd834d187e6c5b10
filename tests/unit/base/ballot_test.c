#include "base/ballot.h"

#include <criterion/criterion.h>

/* Round decides before node, node before incarnation; equal only when all are. */
Test(ballot, order_is_round_then_node_then_incarnation)
{
    static const struct base_ballot ascending[] = {
        {0, 0, 0},          {0, UINT32_MAX, UINT32_MAX},
        {1, 0, 0},          {1, 0, 1},
        {1, 0, UINT32_MAX}, {1, 1, 0},
        {1, UINT32_MAX, 0}, {2, 0, 0},
        {UINT64_MAX, 0, 0}, {UINT64_MAX, UINT32_MAX, UINT32_MAX},
    };
    int count = (int)(sizeof(ascending) / sizeof(ascending[0]));
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = base_ballot_compare(ascending[i], ascending[j]);
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j), "%d against %d", i, j);
            cr_assert_eq(base_ballot_equal(ascending[i], ascending[j]), i == j);
        }
    }
}

/* Round 0 is no ballot, whoever it names. */
Test(ballot, round_zero_is_none)
{
    cr_assert(base_ballot_is_none((struct base_ballot){0, 3, 9}));
    cr_assert_not(base_ballot_is_none((struct base_ballot){1, 0, 0}));
}
