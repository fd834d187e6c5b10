/*
 * base/mutant -- bugs that are planted on purpose, each behind a switch, so that tests can show
 * that they would notice. paxos/mutant.h has those of consensus, this list those of everything
 * above and below it.
 *
 * In the product TORC_MUTANT(name) is the constant false. With TORC_MUTANTS defined (a test build:
 * tests/mutants.bzl) it holds for the one that torc_mutant names.
 */
#ifndef TORC_BASE_MUTANT_H
#define TORC_BASE_MUTANT_H

#include <stdbool.h>
#include <stdint.h>

#define TORC_MUTANT_LIST(X)                                                                        \
    X(SYNC_SKIPPED, "a batch of the log counts as durable before its sync")                        \
    X(SUPERBLOCK_UNSYNCED, "a superblock counts as durable before its sync")                       \
    X(NAMES_UNSYNCED, "a segment's new name counts as durable before its directory is synced")     \
    X(RECOVERY_UNSYNCED, "what recovery read from the page cache counts as durable")               \
    X(STAMP_UNCHECKED, "a block of an earlier life of its segment is taken for a new one")         \
    X(HASH_UNCHECKED, "a block's checksum is not looked at")                                       \
    X(ROT_IS_TORN, "damage behind the last synced batch is taken for a torn tail")                 \
    X(RECYCLED_UNCOPIED, "a segment is recycled with promises that are still needed")              \
    X(OLDEST_RECORD_COUNTS, "of several records of a slot the first counts at recovery")           \
    X(PROMISE_LOST_AT_RECOVERY, "recovery forgets the promise that an accept implies")             \
    X(TRIM_BEFORE_FLUSH, "the log lets go of what is in the state, flushed or not")                \
    X(INCARNATION_REUSED, "two lives of a process have the same number")                           \
    X(NO_GREETING, "a node votes before its peers said what they know of its log")                 \
    X(USED_REPLICA_BUILT, "a replica whose id an earlier life used is built again")                \
    X(REPEATED_TAKEN, "a message that came before is taken again")                                 \
    X(FORMER_LIFE_TAKEN, "a message meant for an earlier life of its receiver is taken")           \
    X(OLD_MAP_TAKEN, "a node takes an older map than the one it has")                              \
    X(ROUTER_OLD_MAP, "a router takes an older map than the one it has")                           \
    X(GREETING_REFUSED, "a greeting from an earlier life has no answer")                           \
    X(REQUEST_TWICE, "a message of requests that arrives twice is taken twice")                    \
    X(REFUSED_BATCH_FORGOTTEN, "a batch that the state refused for a moment counts as written")    \
    X(APPLIED_APART, "the applied slot is not written with every batch that it covers")            \
    X(LOCAL_CLOCK, "an entry is applied by the clock of the node instead of its own stamp")        \
    X(VERSION_SHARED, "the operations of a request share one tick, so one version")                \
    X(EXPIRED_SEEN, "what has expired is seen until it is removed")                                \
    X(EXPIRED_SEEN_HERE, "what has expired is there still when one of the nodes applies")          \
    X(CLOCK_NOT_MOVED, "a read says that a key is gone before the group's clock says so")          \
    X(REMOVAL_BLIND, "an expired key is removed although it was written again meanwhile")          \
    X(RECORD_BY_SESSION, "the record of any request of the same router answers for this one")      \
    X(RECORD_NOT_ASKED, "a second copy of a request that was proposed runs again")                 \
    X(RECORDS_NOT_LOADED, "records are forgotten at a restart")                                    \
    X(REFUSAL_UNRECORDED, "a request that changed nothing has no record")                          \
    X(LAST_TIME_UNCHECKED, "a copy that comes when its record is gone runs once more")             \
    X(FOLLOWER_READS, "a follower answers reads from the state that it has")                       \
    X(OUTCOME_TO_WRONG_ROUTE, "an answer goes to another router")                                  \
    X(NOTHING_DONE_EARLY, "a router says that nothing was done although a copy may run")           \
    X(ORDER_IGNORED, "what a client asks of one key travels side by side")                         \
    X(READ_UNKNOWN, "a read beside a write whose outcome is unknown is said to be that as well")   \
    X(RETRY_WITH_NEW_ID, "a router sends a request again as if it were another one")               \
    X(CREDIT_IGNORED, "a router sends more than the leader said that it takes")                    \
    X(DELETE_IN_BATCH_UNSEEN, "what a batch has deleted is still found in the state below it")     \
    X(INDEX_ROW_KEPT, "a row of the index that nothing stands for stays for ever")                 \
    X(INDEX_VERSION_WRONG, "the index has another version than the key")                           \
    X(INDEX_ROW_MISSING, "one of the nodes writes no index of expiries")                           \
    X(APPEND_REFUSED, "of what is appended, a third is said to be too large")                      \
    X(APPEND_DROPS_TTL, "what is appended to loses its time to live")                              \
    X(GAP_NOT_ZERO, "the bytes before an offset beyond the end are not zeros")                     \
    X(ABSENT_BUT_STORED, "a key that has expired and is still stored counts as present")           \
    X(TTL_LOST, "one put of five stores its value without its time to live")                       \
    X(EXPIRING_PUT_SKIPPED, "one put of five that is given a time to live is not done")            \
    X(VALUE_OF_EXPIRING_WRONG, "one put of five to a key that expires keeps the value before")     \
    X(TTL_TOO_LONG, "a time to live counts twice")                                                 \
    X(FASTEST_CLOCK, "the fastest clock of a group counts instead of the one in the middle")       \
    X(DEPOSED_SAYS_NOT_LEADER, "a leader that is deposed answers that it proposed nothing")        \
    X(LIBRARY_UNKNOWN_DENIED, "the library says of what is unknown that it did not happen")        \
    X(STALE_AGE_IGNORED, "a stale read is answered from a state of any age")                       \
    X(CHECK_IGNORED, "a request runs although a CHECK of it does not hold")                        \
    X(LAST_TIME_EARLY, "the last time of a request is a fiftieth of what is left of it")           \
    X(DEADLINE_EARLY, "a request is given up after a fiftieth of its time")                        \
    X(RESTAMPED, "every copy of a request has a last time of its own")                             \
    X(SCAN_BOUND_OF_LAST, "SCAN goes on where the group that answered last has come to")           \
    X(WINDOW_OF_FORMER_LIFE, "a sender's new life is measured by the numbers of its former one")   \
    X(TXN_ABORT_SAID_EARLY,                                                                        \
      "of an attempt whose commit is proposed its leader says that it is aborted")                 \
    X(TXN_LOCKS_UNSEEN, "requests are carried out on keys that a transaction has locked")          \
    X(TXN_READS_UNLOCKED, "reads are answered from keys that a transaction has locked")            \
    X(TXN_NOT_RECOVERED, "a new leader does not go on with what is committed and not finished")    \
    X(TXN_FORGOTTEN_EARLY, "what is committed is forgotten before the other groups have it")       \
    X(TXN_UNRECORDED, "a transaction that is committed leaves no record of its request")           \
    X(TXN_HALF, "of what is prepared the commit does all but the last change")

enum torc_mutant {
    TORC_MUTANT_NONE = 0,
#define TORC_MUTANT_ENUM(name, text) TORC_MUTANT_##name,
    TORC_MUTANT_LIST(TORC_MUTANT_ENUM)
#undef TORC_MUTANT_ENUM
        TORC_MUTANT_COUNT,
};

#ifdef TORC_MUTANTS
extern enum torc_mutant torc_mutant;
#define TORC_MUTANT(name) (torc_mutant == TORC_MUTANT_##name)

/* Which node runs now, and what its clock shows: for bugs that only a part of a cluster has. */
struct torc_mutant_place {
    uint32_t node;
    uint64_t wall_ms;
};
extern struct torc_mutant_place torc_mutant_place;
#define TORC_MUTANT_PLACE torc_mutant_place
#else
#define TORC_MUTANT(name) false
#define TORC_MUTANT_PLACE ((struct torc_mutant_place){0})
struct torc_mutant_place {
    uint32_t node;
    uint64_t wall_ms;
};
#endif

#endif /* TORC_BASE_MUTANT_H */
