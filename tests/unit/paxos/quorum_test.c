#include "paxos/quorum.h"

#include <criterion/criterion.h>

#include "paxos/consensus.h"

enum { MASKS = 1 << CONSENSUS_MEMBERS_MAX };

/* How many make a quorum, for every legal count of voters. */
Test(paxos_quorum, size_is_more_than_half)
{
    static const uint32_t sizes[] = {0, 1, 2, 2, 3, 3, 4, 4, 5, 5};
    for (uint32_t voters = 1; voters <= CONSENSUS_MEMBERS_MAX; voters++)
        cr_assert_eq(paxos_quorum_size(voters), sizes[voters], "%u voters", voters);
}

/* Any two quorums of the same voters share a voter; members that do not vote never count. */
Test(paxos_quorum, any_two_quorums_meet)
{
    static const uint32_t voter_masks[] = {0x1, 0x3, 0x7, 0xF, 0x1F, 0x15, 0x1AA};
    for (size_t v = 0; v < sizeof(voter_masks) / sizeof(*voter_masks); v++) {
        uint32_t voters = voter_masks[v];
        for (uint32_t a = 0; a < MASKS; a++) {
            cr_assert_eq(paxos_quorum_reached(a, voters), paxos_quorum_reached(a & voters, voters));
            /* The complement of a quorum is none. */
            if (paxos_quorum_reached(a, voters))
                cr_assert_not(paxos_quorum_reached(~a, voters));
        }
    }
}

/* Three voters, every mask. */
Test(paxos_quorum, truth_table_of_three)
{
    static const bool reached[] = {false, false, false, true, false, true, true, true};
    for (uint32_t mask = 0; mask < 8; mask++)
        cr_assert_eq(paxos_quorum_reached(mask, 7), reached[mask], "mask %u", mask);
}

/* The value that a quorum has reached is what sorting would give, for all values of five members.
 */
Test(paxos_quorum, value_is_the_one_in_the_middle)
{
    for (uint32_t code = 0; code < 4 * 4 * 4 * 4 * 4; code++) {
        uint64_t values[CONSENSUS_MEMBERS_MAX] = {0};
        for (uint32_t i = 0; i < 5; i++)
            values[i] = code >> (2 * i) & 3;
        for (uint32_t voters = 1; voters < 32; voters++) {
            /* The dumb way: the highest value that enough voters are at or above. */
            uint64_t expected = 0;
            for (uint64_t value = 0; value < 4; value++) {
                uint32_t at = 0;
                for (uint32_t i = 0; i < 5; i++)
                    at += (voters >> i & 1) != 0 && values[i] >= value;
                if (2 * at > paxos_quorum_count(voters))
                    expected = value;
            }
            cr_assert_eq(paxos_quorum_value(values, voters), expected);
        }
    }
}

/* Bits are counted. */
Test(paxos_quorum, count_is_the_number_of_bits)
{
    cr_assert_eq(paxos_quorum_count(0), 0);
    cr_assert_eq(paxos_quorum_count(0x15), 3);
    cr_assert_eq(paxos_quorum_count(UINT32_MAX), 32);
}
