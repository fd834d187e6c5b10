/*
 * txn/participant -- what a group knows of attempts at transactions that it takes part in: those
 * that are prepared, with their locks, and how the others ended. Replicated state: it changes only
 * when an entry is applied, and every replica changes it alike.
 *
 *                prepare                finish
 *     NEVER ───────────────▶ PREPARED ──────────▶ COMMITTED or ABORTED
 *       │                                            │
 *       └──── finish (abort) ──▶ ABORTED ────────────┴── mark ──▶ PAST
 *
 * An end is remembered, so that a PREPARE which comes late, or twice, locks nothing again. It is
 * forgotten when the coordinator's group has: its messages carry a mark below which every attempt
 * of that group is over (DESIGN section 6, "Finished attempts are remembered").
 *
 * What an attempt would change stands in the state, not here: this is the part that fits in memory.
 * Ownership: everything is copied. Single-threaded, deterministic.
 */
#ifndef TORC_TXN_PARTICIPANT_H
#define TORC_TXN_PARTICIPANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "txn/attempt.h"
#include "txn/locks.h"

struct txn_participant; /* Opaque. */

enum txn_standing {
    TXN_NEVER = 1, /* Nothing came of it here, and it may still. */
    TXN_PREPARED,
    TXN_COMMITTED,
    TXN_ABORTED,
    TXN_PAST, /* Below its group's mark: over, and forgotten. */
};

struct txn_prepared {
    struct txn_attempt attempt;
    struct txn_hold hold; /* Its age and its locks. */
};

struct txn_participant *txn_participant_new(const struct base_allocator *allocator);
void txn_participant_free(struct txn_participant *participant); /* NULL is a no-op. */

/* The locks of all that is prepared: to be asked. */
const struct txn_locks *txn_participant_locks(const struct txn_participant *participant);

enum txn_standing txn_participant_standing(const struct txn_participant *participant,
                                           const struct txn_attempt *attempt);

/* The attempt's standing must be NEVER (at reopening it may be PAST: a mark may pass what is
 * prepared), and what it wants free. `since`: txn_locks_since. */
void txn_participant_prepare(struct txn_participant *participant, const struct txn_attempt *attempt,
                             const struct txn_age *age, uint64_t since,
                             const struct txn_lock_want *wants, size_t count);
/* Notes the end of an attempt that is PREPARED, whose locks are released, or, to be aborted before
 * its PREPARE came, NEVER. `end`: COMMITTED or ABORTED. */
void txn_participant_finish(struct txn_participant *participant, const struct txn_attempt *attempt,
                            enum txn_standing end);

/* An end as it was kept, at reopening: after the mark of its group was raised, which it is not
 * below.
 */
void txn_participant_restore(struct txn_participant *participant, const struct txn_attempt *attempt,
                             enum txn_standing end);

/* All attempts of mark->group below `mark` are over. False: that was known. Ends below it are then
 * taken out one by one, so that the caller can drop what it keeps of them; until the last is, no
 * other mark is raised. What is prepared stays, whatever its mark: its end is still asked for. */
bool txn_participant_raise(struct txn_participant *participant, const struct txn_attempt *mark);
bool txn_participant_take_past(struct txn_participant *participant, uint32_t group,
                               struct txn_attempt *ret_attempt);
/* The mark of a group; counter 0: none was heard. */
struct txn_attempt txn_participant_mark(const struct txn_participant *participant, uint32_t group);

/* Whether an attempt of that transaction holds a lock here. */
bool txn_participant_holds(const struct txn_participant *participant, const struct txn_age *age);

/* What is prepared, in the order of attempts: i from 0; NULL: no more. Borrowed until a change. */
const struct txn_prepared *txn_participant_prepared(const struct txn_participant *participant,
                                                    size_t i);
size_t txn_participant_prepared_count(const struct txn_participant *participant);
size_t txn_participant_ends_count(const struct txn_participant *participant);

/* Aborts on the first broken invariant; linear. */
void txn_participant_check(const struct txn_participant *participant);

#endif /* TORC_TXN_PARTICIPANT_H */
