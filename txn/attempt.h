/*
 * txn/attempt -- the names that transactions over several groups go by.
 *
 * A transaction is tried until it commits, is refused or its deadline has come. Each try is an
 * *attempt* of its own, with its own locks and its own end; what stays over all of them is the
 * transaction's *age*.
 */
#ifndef TORC_TXN_ATTEMPT_H
#define TORC_TXN_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ballot.h"

/* Never used twice: a ballot belongs to one life of one leader, which counts on under it. */
struct txn_attempt {
    uint32_t group;            /* The coordinator's. */
    struct base_ballot ballot; /* Of the leader that began it. */
    uint64_t counter;          /* From 1, under that ballot. */
};

/* Who is older goes first. Unique: two transactions of one time differ by their requests' ids. */
struct txn_age {
    uint64_t time; /* The request's last time: its first stamp and what its client grants it. */
    uint64_t client_high, client_low, number; /* The request's id. */
};

/* Attempts of one group are in the order in which they were begun. <0, 0, >0. */
static inline int txn_attempt_compare(const struct txn_attempt *a, const struct txn_attempt *b)
{
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    int order = base_ballot_compare(a->ballot, b->ballot);
    if (order != 0)
        return order;
    return a->counter < b->counter ? -1 : a->counter > b->counter;
}

/* <0: a is older. */
static inline int txn_age_compare(const struct txn_age *a, const struct txn_age *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->client_high != b->client_high)
        return a->client_high < b->client_high ? -1 : 1;
    if (a->client_low != b->client_low)
        return a->client_low < b->client_low ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

#endif /* TORC_TXN_ATTEMPT_H */
