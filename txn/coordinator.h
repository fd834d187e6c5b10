/*
 * txn/coordinator -- two-phase commit as the leader of the coordinator's group drives it: what is
 * sent to the participants, what is put into the group's own log, and when (DESIGN section 6; Gray,
 * Notes on Data Base Operating Systems, 1978, section 5.8.3.3, with logs that are replicated, as in
 * Gray and Lamport, Consensus on Transaction Commit, TODS 31(1), 2006).
 *
 *     begin ─▶ VOTING ── all yes ─▶ DECIDED ── proposed ─▶ PROPOSED ── applied ─▶ FINISHING
 *                │ ▲                   │                                             │ all have
 *         a no,  │ │ a new attempt     │ its time is over                            ▼ acknowledged
 *         or its │ └──── PAUSED        ▼                                         FORGETTING ─▶ gone
 *         time   └────────▶ (give way) or GIVEN UP ─▶ gone
 *
 * Nothing of this is durable: an attempt that has no COMMIT in the log is aborted by saying so, and
 * by the next leader, who knows nothing of it, in the same words. Once COMMIT is proposed only the
 * log decides; the entry applied is the commit point. What is committed and not finished everywhere
 * is the group's state, from which the next leader goes on (recover).
 *
 * The group that coordinates takes part like any other: it is sent PREPARE and the end of what is
 * aborted. Only its COMMIT is the entry that decides, so it is not sent to it and counts as
 * acknowledged.
 *
 * Ownership: what is handed in is copied; actions point into the coordinator, until its next turn.
 * Single-threaded, deterministic: no clock and no entropy but what is handed in.
 */
#ifndef TORC_TXN_COORDINATOR_H
#define TORC_TXN_COORDINATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/status.h"
#include "txn/attempt.h"

struct txn_coordinator; /* Opaque. */

struct txn_coordinator_config {
    uint32_t group;            /* This one. */
    uint32_t transactions_max; /* At once, those that are only to be finished not counted. */
    uint32_t attempts_max;     /* Begun above the mark: what participants have to remember. */
    uint32_t resend_ms;        /* What is unanswered for so long is sent again. */
    uint32_t asks_max;         /* Answered in one turn; others ask again. */
    uint32_t pause_ms;         /* Before the second attempt; doubles up to pause_max_ms, and */
    uint32_t pause_max_ms;     /* half of each is drawn. */
    uint64_t seed;             /* For the drawing. */
};

struct txn_part { /* What one group does of a transaction. */
    uint32_t group;
    struct base_bytes request; /* Opaque in here. */
};

struct txn_begin {
    struct txn_age age;
    uint64_t deadline_ms; /* Past it nothing is proposed any more. */
    const struct txn_part *parts;
    uint32_t part_count; /* At least 1; groups rising; this one among them. */
};

enum txn_vote {
    TXN_VOTE_YES = 1, /* It is prepared, and will do what it is told. */
    TXN_VOTE_AGAIN,   /* It is not, and may be in another attempt: it gave way, or is busy. */
    TXN_VOTE_NO,      /* It never will be; the answer says why. */
};

/* ---- Life -----------------------------------------------------------------------------------
 */

struct txn_coordinator *txn_coordinator_new(const struct base_allocator *allocator,
                                            const struct txn_coordinator_config *config);
void txn_coordinator_free(struct txn_coordinator *coordinator); /* NULL is a no-op. */

/* This replica leads under a ballot, and its own barrier is applied; it did not lead. */
void txn_coordinator_lead(struct txn_coordinator *coordinator, struct base_ballot ballot);
/* A committed attempt of the state that not every group has acknowledged: after lead. */
void txn_coordinator_recover(struct txn_coordinator *coordinator, const struct txn_attempt *attempt,
                             const uint32_t *groups, uint32_t group_count);
/* It leads no more: everything here is forgotten. The next leader goes on with what is in the
 * state, and aborts the rest. A no-op when it does not lead. */
void txn_coordinator_retire(struct txn_coordinator *coordinator);

/* ---- What happens: each may make actions due ----------------------------------------------------
 */

/* Takes a transaction that is not under way here. TORC_OK; TORC_FULL: over a bound. */
enum torc_status txn_coordinator_begin(struct txn_coordinator *coordinator,
                                       const struct txn_begin *begin) TORC_MUST_CHECK;
/* A group's vote; `answer` is opaque, and kept. What is not waited for is ignored. */
void txn_coordinator_vote(struct txn_coordinator *coordinator, const struct txn_attempt *attempt,
                          uint32_t group, enum txn_vote vote, struct base_bytes answer);
/* The entry that was asked for (PROPOSE_COMMIT, PROPOSE_FORGET) is proposed: it is not asked for
 * again, and only the log says what comes of it. */
void txn_coordinator_proposed(struct txn_coordinator *coordinator,
                              const struct txn_attempt *attempt);
/* COMMIT is applied: this is the commit point. */
void txn_coordinator_committed(struct txn_coordinator *coordinator,
                               const struct txn_attempt *attempt);
/* A group has applied the commit. What is not waited for is ignored. */
void txn_coordinator_acknowledged(struct txn_coordinator *coordinator,
                                  const struct txn_attempt *attempt, uint32_t group);
/* What was to be proposed never will be (PROPOSE_COMMIT): it ends like one to which this group has
 * voted NO. */
void txn_coordinator_abandon(struct txn_coordinator *coordinator,
                             const struct txn_attempt *attempt);
/* A participant asks how an attempt of this group has ended: it is told in the next turn, if that
 * is to be said here. */
void txn_coordinator_asked(struct txn_coordinator *coordinator, const struct txn_attempt *attempt,
                           uint32_t group);
/* FORGET is applied. */
void txn_coordinator_forgotten(struct txn_coordinator *coordinator,
                               const struct txn_attempt *attempt);

/* ---- What is to be done -------------------------------------------------------------------------
 */

enum txn_action_type {
    TXN_SEND_PREPARE = 1, /* To `group`: `bytes` is its part's request. */
    TXN_SEND_COMMIT,      /* To `group`. */
    TXN_SEND_ABORT,       /* To `group`. Once, and to who asks. */
    TXN_PROPOSE_COMMIT,   /* Until it is proposed, or its deadline has come. */
    TXN_PROPOSE_FORGET,   /* Until it is proposed. */
    TXN_GIVE_UP,          /* Nothing was done, and nothing will be. `group` has voted NO, and
                             `bytes` is its answer; 0: the deadline has come. The transaction is
                             gone from here. */
};

struct txn_action {
    enum txn_action_type type;
    struct txn_attempt attempt;
    struct txn_age age; /* Not of what was recovered. */
    uint32_t group;
    struct base_bytes bytes;
};

struct txn_ready {
    const struct txn_action *actions;
    size_t action_count;
    uint64_t wake_at_ms; /* The next turn at the latest; UINT64_MAX: nothing is due by time. */
};

/* All that is due now. `now_ms` never goes back. */
void txn_coordinator_turn(struct txn_coordinator *coordinator, uint64_t now_ms,
                          struct txn_ready *ret_ready);

/* What a group has answered to a PREPARE that it voted YES to, borrowed until the next turn; size
 * 0: it has not. */
struct base_bytes txn_coordinator_answer(const struct txn_coordinator *coordinator,
                                         const struct txn_attempt *attempt, uint32_t group);
/* The groups of an attempt that is under way: i from 0; 0: no more. */
uint32_t txn_coordinator_group(const struct txn_coordinator *coordinator,
                               const struct txn_attempt *attempt, uint32_t i);

/* Below this attempt all of this group are over: what every message of it carries. */
struct txn_attempt txn_coordinator_mark(const struct txn_coordinator *coordinator);

/* What is said of how an attempt of this group has ended. */
enum txn_word {
    TXN_WORD_NONE = 1, /* Not to be said here, or not yet. */
    TXN_WORD_COMMIT,
    TXN_WORD_ABORT,
};
enum txn_word txn_coordinator_word(const struct txn_coordinator *coordinator,
                                   const struct txn_attempt *attempt);

size_t txn_coordinator_count(const struct txn_coordinator *coordinator);
/* Aborts on the first broken invariant; linear. */
void txn_coordinator_check(const struct txn_coordinator *coordinator);

#endif /* TORC_TXN_COORDINATOR_H */
