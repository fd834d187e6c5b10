/*
 * base/ballot -- a leader's proposal number: (round, node, incarnation), ordered in that order.
 *
 * The incarnation is raised and synced before a process sends anything, so no ballot is ever used
 * by two lives of a process (DESIGN section 4, rule 2). Round 0 is "none": below every real ballot.
 */
#ifndef TORC_BASE_BALLOT_H
#define TORC_BASE_BALLOT_H

#include <stdbool.h>
#include <stdint.h>

struct base_ballot {
    uint64_t round;
    uint32_t node;
    uint32_t incarnation;
};

/* <0, 0, >0 as a is below, equal to or above b. */
static inline int base_ballot_compare(struct base_ballot a, struct base_ballot b)
{
    if (a.round != b.round)
        return a.round < b.round ? -1 : 1;
    if (a.node != b.node)
        return a.node < b.node ? -1 : 1;
    if (a.incarnation != b.incarnation)
        return a.incarnation < b.incarnation ? -1 : 1;
    return 0;
}

static inline bool base_ballot_equal(struct base_ballot a, struct base_ballot b)
{
    return base_ballot_compare(a, b) == 0;
}

static inline bool base_ballot_is_none(struct base_ballot ballot)
{
    return ballot.round == 0;
}

#endif /* TORC_BASE_BALLOT_H */
