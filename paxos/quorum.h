/*
 * paxos/quorum -- what a majority is: stateless, so that it is tested as a truth table.
 *
 * Members are bits of a mask, in the order of the configuration; CONSENSUS_MEMBERS_MAX is 9.
 */
#ifndef TORC_PAXOS_QUORUM_H
#define TORC_PAXOS_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

/* Bits set in a mask. */
uint32_t paxos_quorum_count(uint32_t mask);
/* How many of `voter_count` > 0 voters any quorum has; any two quorums share one. */
uint32_t paxos_quorum_size(uint32_t voter_count);
/* Whether the members in `mask` that are voters are a quorum of them; others never count. */
bool paxos_quorum_reached(uint32_t mask, uint32_t voters);
/* The highest value that a quorum of `voters` has reached: values[i] belongs to bit i. */
uint64_t paxos_quorum_value(const uint64_t *values, uint32_t voters);

#endif /* TORC_PAXOS_QUORUM_H */
