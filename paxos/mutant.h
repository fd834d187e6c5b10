/*
 * paxos/mutant -- the protocol's rules, each with a switch that breaks it.
 *
 * In the product PAXOS_MUTANT(name) is the constant false. The library //paxos:paxos_mutants, for
 * tests only, is built with TORC_MUTANTS and breaks the rule that paxos_mutant names, so that tests
 * can show that they notice.
 */
#ifndef TORC_PAXOS_MUTANT_H
#define TORC_PAXOS_MUTANT_H

#include <stdbool.h>

#define PAXOS_MUTANT_LIST(X)                                                                       \
    X(PROMISE_BEFORE_DURABLE, "a promise leaves before its record is durable")                     \
    X(ACCEPT_BEFORE_DURABLE, "an accept is acknowledged before its record is durable")             \
    X(OWN_ACCEPT_EARLY, "the leader counts its own accept before it is durable")                   \
    X(PREPARE_BEFORE_DURABLE, "a candidate prepares before its own promise is durable")            \
    X(BALLOT_REUSED, "two lives of a process use the same ballot")                                 \
    X(ACCEPT_KEEPS_PROMISE, "accepting at a ballot does not raise the promise to it")              \
    X(OLD_ACCEPT_TAKEN, "an accept below the promise is taken")                                    \
    X(LOWEST_BALLOT, "a new leader adopts the value of the lowest ballot")                         \
    X(ADOPTS_NOTHING, "a new leader puts no-ops where values may be chosen")                       \
    X(PROMISE_FORGETS_CHOSEN, "a promise reports nothing of what its sender knows chosen")         \
    X(ACK_CONTIGUOUS, "an acknowledgement covers the hole below what was accepted")                \
    X(CHOSEN_BLIND, "a slot is marked without comparing its ballot")                               \
    X(LEARNED_UNLOGGED, "a learned value is marked and never goes to the log")                     \
    X(APPLIED_UNLOGGED, "a chosen slot is applied before its own record is durable")               \
    X(OLD_REPLIES_COUNTED, "replies of an earlier ballot are counted")                             \
    X(QUORUM_OFF_BY_ONE, "half of the voters are enough")                                          \
    X(APPLY_OUT_OF_ORDER, "a chosen slot is handed out before the hole below it")                  \
    X(NO_BARRIER_RULE, "entries of deposed leaders take effect behind a barrier")                  \
    X(READ_WITHOUT_ROUND, "a quorum read does not wait for its round")                             \
    X(READ_ROUND_REUSED, "a read is confirmed by a round sent before it came")                     \
    X(READ_BEFORE_BARRIER, "a new leader reads at its chosen index at once")                       \
    X(LEASE_FROM_ANSWER, "a lease counts from the answer, not from the question")                  \
    X(LEASE_GRANT_FORGOTTEN, "a granter promises to others while its grant runs")                  \
    X(LEASE_FORGOTTEN_AT_BOOT, "a granter forgets its grant when it restarts")                     \
    X(LEASE_SURVIVES_TRANSFER, "a leader keeps its lease while it hands over")                     \
    X(AMNESIAC_VOTES, "a replica that lost its log votes")                                         \
    X(READ_BEFORE_APPLIED, "a read is answered before its slot is applied")                        \
    X(FRESH_WITHOUT_ROUND, "a stale read's age ignores whether the leader was confirmed")          \
    X(LEADER_HEARD_FOREVER, "who once heard a leader agrees to no other")                          \
    X(PROMISE_ONE_TOO_FAR, "of what a promise reports a slot too many is taken for chosen")        \
    X(PROMISE_PART_COUNTS, "a promise that comes in parts counts at its first part")               \
    X(LEASE_BACK_AFTER_TRANSFER, "a handing over that takes too long gives the lease back")        \
    X(FLOOR_WITHOUT_SILENT, "the log lets go of what a silent voter may lack")

enum paxos_mutant {
    PAXOS_MUTANT_NONE = 0,
#define PAXOS_MUTANT_ENUM(name, text) PAXOS_MUTANT_##name,
    PAXOS_MUTANT_LIST(PAXOS_MUTANT_ENUM)
#undef PAXOS_MUTANT_ENUM
        PAXOS_MUTANT_COUNT,
};

#ifdef TORC_MUTANTS
extern enum paxos_mutant paxos_mutant;
#define PAXOS_MUTANT(name) (paxos_mutant == PAXOS_MUTANT_##name)
#else
#define PAXOS_MUTANT(name) false
#endif

#endif /* TORC_PAXOS_MUTANT_H */
