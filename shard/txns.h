/*
 * shard/txns -- transactions over several groups, as the leader of one group takes part in them:
 * the two machines of txn/ (coordinator and voter) between requests, the group's log and messages
 * to the leaders of other groups.
 *
 * A request of several groups is split into parts, one for each group, in the order of its
 * operations; each part is voted on; the answers of the parts become the answer of the request
 * again. Nothing is kept here over a change of leaders: what counts is in the state
 * (shard/machine.h).
 *
 * Ownership: the machine is borrowed; everything else is copied. Pure, single-threaded.
 */
#ifndef TORC_SHARD_TXNS_H
#define TORC_SHARD_TXNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/ballot.h"
#include "shard/machine.h"
#include "txn/coordinator.h"
#include "txn/voter.h"

struct shard_txns; /* Opaque. */

struct shard_txns_config {
    uint32_t group;
    struct txn_coordinator_config coordinator;
    struct txn_voter_config voter;
    size_t entry_bytes_max; /* Of a request in an entry. */
    size_t bytes_max;       /* Of the requests that are coordinated at once; one always may be. */
};

/* From the leader of a group to that of another, or of the same. Of any age, in any order. */
enum shard_txn_type {
    SHARD_TXN_SAYS_PREPARE = 1, /* `payload`: the part. */
    SHARD_TXN_SAYS_COMMIT,
    SHARD_TXN_SAYS_ABORT,
    SHARD_TXN_SAYS_VOTE,        /* `payload`: the part's answer; AGAIN: nothing. */
    SHARD_TXN_SAYS_ACKNOWLEDGE, /* The commit is applied. */
    SHARD_TXN_SAYS_ASK,         /* How has the attempt ended? */
};
struct shard_txn_message {
    enum shard_txn_type type;
    uint32_t from, to; /* Groups. */
    struct txn_attempt attempt;
    struct txn_attempt mark; /* Of the attempt's group: what its leader says. */
    struct txn_age age;      /* PREPARE. */
    enum txn_vote vote;      /* VOTE. */
    struct base_bytes payload;
};

/* What a turn asks for. */
struct shard_txns_sink {
    /* An internal request for the log; borrowed for the call. False: not now. */
    bool (*propose)(void *context, struct base_bytes request);
    /* To another group; borrowed for the call. */
    void (*send)(void *context, const struct shard_txn_message *message);
    /* What became of a request that nothing is logged for; borrowed for the call. */
    void (*answer)(void *context, struct wire_client_id client, uint64_t number,
                   struct base_bytes answer);
    void *context;
};

/* Bounds and times for a group; the seed is for pauses of transactions that give way. */
struct shard_txns_config shard_txns_preset(uint32_t group, size_t entry_bytes_max, uint64_t seed);

struct shard_txns *shard_txns_new(const struct shard_txns_config *config,
                                  struct shard_machine *machine,
                                  const struct base_allocator *allocator);
void shard_txns_free(struct shard_txns *txns); /* NULL is a no-op. */

/* This replica leads under a ballot, and its own barrier is applied and written. */
void shard_txns_lead(struct shard_txns *txns, struct base_ballot ballot, uint64_t now_ms);
/* It leads no more: all is forgotten. A no-op when it does not. */
void shard_txns_retire(struct shard_txns *txns);
bool shard_txns_leads(const struct shard_txns *txns);

/* Takes a request that writes, whose first written key is this group's; `groups` has the group of
 * each operation's key. Its outcome comes from the log, or from `answer`, once. TORC_OK; TORC_FULL:
 * over a bound; TORC_TOO_LARGE: a part does not fit into an entry. */
enum torc_status shard_txns_begin(struct shard_txns *txns, const struct wire_request *request,
                                  const uint32_t *groups, uint64_t deadline_ms) TORC_MUST_CHECK;

/* A message to this group; one to a replica that does not lead is dropped. TORC_OK; TORC_MALFORMED:
 * no leader says this. */
enum torc_status shard_txns_receive(struct shard_txns *txns,
                                    const struct shard_txn_message *message);

/* An outcome of the kinds SHARD_TXN_*, whose entry is applied. */
void shard_txns_applied(struct shard_txns *txns, const struct shard_outcome *outcome);

/* Does all that is due. Called when what was applied is written. */
void shard_txns_turn(struct shard_txns *txns, uint64_t now_ms, const struct shard_txns_sink *sink);
/* When the next turn is due by time; UINT64_MAX: it is not. */
uint64_t shard_txns_wake_at(const struct shard_txns *txns);

/* Aborts on the first broken invariant; linear. */
void shard_txns_check(const struct shard_txns *txns);

#endif /* TORC_SHARD_TXNS_H */
