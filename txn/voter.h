/*
 * txn/voter -- two-phase commit as the leader of a participating group drives it: which PREPARE is
 * proposed when, what is voted, and who is asked about what stays prepared for too long.
 *
 *     prepare ─▶ WAITING ── free ─▶ PROPOSED ── applied ─▶ PREPARED ── end, applied ─▶ gone
 *                  │ ▲                 │                      │ ▲
 *         someone  │ └─── blocked ─────┤ refused        too   │ │ nothing heard
 *         older    ▼                   ▼                long  ▼ │
 *         has it: AGAIN, gone         NO, gone               asks the coordinator's group
 *
 * Nothing of this is durable; a vote of YES is given only for what the state says is prepared. It
 * never decides alone: what is prepared stays so until its coordinator's group has said how it ends
 * (DESIGN section 6).
 *
 * Waiting is in the order of age: who wants what an older one waits for waits behind it, so that an
 * old transaction comes to its end whatever else goes on.
 *
 * Ownership: what is handed in is copied but the participant, which is borrowed and read: it is
 * changed by whoever applies entries. Actions point into the voter, until its next turn.
 */
#ifndef TORC_TXN_VOTER_H
#define TORC_TXN_VOTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "txn/coordinator.h"
#include "txn/participant.h"

struct txn_voter; /* Opaque. */

struct txn_voter_config {
    uint32_t attempts_max; /* Waiting, proposed and prepared. */
    size_t bytes_max;      /* Of the requests of those that wait; one always may. */
    uint32_t ask_ms;       /* Prepared for so long without a word: asked, and again. */
};

struct txn_voter *txn_voter_new(const struct base_allocator *allocator,
                                const struct txn_participant *participant,
                                const struct txn_voter_config *config);
void txn_voter_free(struct txn_voter *voter); /* NULL is a no-op. */

/* This replica leads, and its own barrier is applied: it takes up what is prepared. */
void txn_voter_lead(struct txn_voter *voter, uint64_t now_ms);
/* It leads no more: all is forgotten. */
void txn_voter_retire(struct txn_voter *voter);

/* ---- Messages, of any age and order -------------------------------------------------------------
 */

struct txn_prepare {
    struct txn_attempt attempt;
    struct txn_age age;
    const struct txn_lock_want *wants;
    size_t want_count;
    struct base_bytes request; /* Opaque in here. */
};
void txn_voter_prepare(struct txn_voter *voter, const struct txn_prepare *prepare);
/* What a coordinator says: COMMITTED or ABORTED. */
void txn_voter_end(struct txn_voter *voter, const struct txn_attempt *attempt,
                   enum txn_standing end);

/* ---- The log ------------------------------------------------------------------------------------
 */

/* The entry that was asked for (PROPOSE_PREPARE, PROPOSE_END) is proposed: not asked for again. */
void txn_voter_proposed(struct txn_voter *voter, const struct txn_attempt *attempt);

enum txn_prepare_result {
    TXN_PREPARE_DONE = 1, /* It is prepared. */
    TXN_PREPARE_BLOCKED,  /* It met a lock when it was applied, and did nothing. */
    TXN_PREPARE_REFUSED,  /* It will never be, and did nothing; the answer says why. */
    TXN_PREPARE_OVER,     /* Its attempt had ended before. */
};
/* A PREPARE is applied, whoever proposed it. */
void txn_voter_prepare_applied(struct txn_voter *voter, const struct txn_attempt *attempt,
                               enum txn_prepare_result result, struct base_bytes answer);
/* The end of an attempt is applied. */
void txn_voter_end_applied(struct txn_voter *voter, const struct txn_attempt *attempt);

/* ---- What is to be done -------------------------------------------------------------------------
 */

enum txn_voter_action_type {
    TXN_VOTER_PROPOSE_PREPARE = 1, /* `bytes`: the request. Until it is proposed. */
    TXN_VOTER_PROPOSE_END,         /* `end`. Until it is proposed. */
    TXN_VOTER_SEND_VOTE,           /* `vote`, to the attempt's group; NO: `bytes` is the answer;
                                      YES: the answer is in the state. */
    TXN_VOTER_SEND_ACKNOWLEDGE,    /* The commit is applied. */
    TXN_VOTER_SEND_ASK,            /* How has it ended? */
};

struct txn_voter_action {
    enum txn_voter_action_type type;
    struct txn_attempt attempt;
    struct txn_age age; /* PROPOSE_PREPARE. */
    enum txn_vote vote;
    enum txn_standing end;
    struct base_bytes bytes;
};

struct txn_voter_ready {
    const struct txn_voter_action *actions;
    size_t action_count;
    uint64_t wake_at_ms; /* The next turn at the latest; UINT64_MAX: nothing is due by time. */
};

/* All that is due now: after messages, and after entries were applied. */
void txn_voter_turn(struct txn_voter *voter, uint64_t now_ms, struct txn_voter_ready *ret_ready);

struct txn_voter_counters { /* They influence nothing. */
    uint64_t waited, gave_way, blocked, asked;
    uint64_t contradicted; /* An end that cannot be: no correct coordinator says it. Ignored. */
    uint64_t full;         /* Over a bound: answered AGAIN. */
};
const struct txn_voter_counters *txn_voter_counters(const struct txn_voter *voter);
size_t txn_voter_count(const struct txn_voter *voter);
/* Aborts on the first broken invariant; linear. */
void txn_voter_check(const struct txn_voter *voter);

#endif /* TORC_TXN_VOTER_H */
