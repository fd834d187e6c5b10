/*
 * From silence to leadership: canvass (would you promise?), then phase 1.
 *
 *   follower --silence--> CANVASSING --majority says yes--> PROMISING (own promise to disk)
 *        ^                    |                                  |
 *        |<--a leader speaks--+                                  v
 *        |<------- refused by a higher promise, or time ---- PREPARING --majority--> leader
 *
 * A canvass changes nothing at those who are asked, so a replica that cannot win (cut off, behind,
 * or deaf) disturbs nobody however often it tries.
 */
#include "paxos/paxos_int.h"

void paxos_step_down(struct paxos *paxos)
{
    if (paxos->role == CONSENSUS_LEADER) {
        paxos->counters.stepped_down++;
        paxos_reads_fail(paxos);
        paxos->load.peer = 0;
        paxos->transfer_to = 0;
        paxos->fresh.round = 0;
    }
    paxos->role = CONSENSUS_FOLLOWER;
    paxos->leader = 0;
    paxos->resend_ms = 0;
    paxos_window_drop(&paxos->found, paxos->found.last);
    paxos->election_ms = paxos_soon(paxos, paxos->config.election_timeout_ms);
}

void paxos_follow(struct paxos *paxos, uint32_t from, struct base_ballot ballot)
{
    if (base_ballot_compare(ballot, paxos->promised) > 0 && !PAXOS_MUTANT(ACCEPT_KEEPS_PROMISE))
        paxos_promise_raise(paxos, ballot);
    if (paxos->role != CONSENSUS_FOLLOWER)
        paxos_step_down(paxos);
    paxos->leader = paxos->members[from].replica;
    paxos->courted = 0;
    paxos->heard_ms = paxos->now_ms;
    paxos->election_ms = paxos->now_ms + paxos->patience_ms;
}

/* Whether there is a leader, or a candidate in the middle of its phase 1, other than `replica`. One
 * that canvasses has stepped down, so it is no reason to refuse itself. */
static bool other_heard(const struct paxos *paxos, uint64_t replica)
{
    bool leads = paxos->role == CONSENSUS_LEADER;
    if (leads || (paxos->role == CONSENSUS_CANDIDATE && paxos->stage != PAXOS_CANVASSING))
        return true;
    bool other = (paxos->leader != 0 && paxos->leader != replica) ||
                 (paxos->courted != 0 && paxos->courted != replica);
    return other && (PAXOS_MUTANT(LEADER_HEARD_FOREVER) ||
                     paxos->now_ms - paxos->heard_ms < paxos->config.election_timeout_ms);
}

void paxos_stand(struct paxos *paxos)
{
    if (paxos->role == CONSENSUS_FOLLOWER && paxos->votes && !other_heard(paxos, 0))
        paxos->election_ms = paxos->now_ms;
}

static void canvass_send(struct paxos *paxos, uint32_t member)
{
    struct consensus_message *message = paxos_send(paxos, member, PAXOS_CANVASS);
    message->ballot = paxos->ballot;
    message->round = paxos->canvass;
    message->first = paxos->chosen + 1;
    message->last = message->first;
    message->chosen = paxos->chosen;
}

static void prepare_send(struct paxos *paxos, uint32_t member)
{
    struct consensus_message *message = paxos_send(paxos, member, PAXOS_PREPARE);
    message->ballot = paxos->ballot;
    message->first = paxos->peers[member].promise_next;
    message->last = message->first;
    message->chosen = paxos->chosen;
    if (!base_ballot_is_none(paxos->handover)) {
        message->flags = PAXOS_HANDOVER;
        message->other = paxos->handover;
    }
}

/* Asks the voters that have not answered this stage's question in full. */
static void ask(struct paxos *paxos)
{
    paxos->resend_ms = paxos->now_ms + paxos->config.retransmit_timeout_ms;
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        if (i == paxos->self || (paxos->voters & ~paxos->ayes & paxos_mask_of(i)) == 0)
            continue;
        if (paxos->stage == PAXOS_CANVASSING)
            canvass_send(paxos, i);
        else if (paxos->stage == PAXOS_PREPARING)
            prepare_send(paxos, i);
    }
}

static struct base_ballot ballot_above_all(const struct paxos *paxos)
{
    return (struct base_ballot){
        .round = paxos->round_max + 1,
        .node = paxos->config.node,
        .incarnation = paxos->config.incarnation,
    };
}

static void prepare_ready(struct paxos *paxos)
{
    paxos->stage = PAXOS_PREPARING;
    paxos->ayes = paxos_mask_of(paxos->self);
    if (paxos_quorum_reached(paxos->ayes, paxos->voters))
        paxos_lead(paxos);
    else
        ask(paxos);
}

/* Phase 1 begins with the candidate's own promise, which must be durable before anybody hears of
 * the ballot: else another life of this replica could promise below it, and accept there. */
static void prepare_begin(struct paxos *paxos, struct base_ballot handover)
{
    TORC_ASSERT(paxos->votes);
    paxos->ballot = ballot_above_all(paxos);
    paxos->role = CONSENSUS_CANDIDATE;
    paxos->stage = PAXOS_PROMISING;
    paxos->handover = handover;
    paxos->ayes = 0;
    paxos->resend_ms = paxos->now_ms + paxos->config.retransmit_timeout_ms;
    paxos_promise_raise(paxos, paxos->ballot);
    paxos_window_fini(&paxos->found);
    paxos_window_init(&paxos->found, paxos->allocator, paxos->chosen + 1);
    for (uint32_t i = 0; i < paxos->config.member_count; i++)
        paxos->peers[i].promise_next = paxos->chosen + 1;
    if (PAXOS_MUTANT(PREPARE_BEFORE_DURABLE) || PAXOS_MUTANT(BALLOT_REUSED))
        prepare_ready(paxos);
}

void paxos_election_persisted(struct paxos *paxos)
{
    if (paxos->role == CONSENSUS_CANDIDATE && paxos->stage == PAXOS_PROMISING &&
        paxos->promised_seq <= paxos->seq_persisted)
        prepare_ready(paxos);
}

static void canvass_begin(struct paxos *paxos)
{
    struct base_ballot none = {.round = 0};
    if (paxos_granted(paxos, paxos->config.replica, none)) {
        paxos_count_lease_wait(paxos);
        paxos->election_ms = paxos->grant_until_ms;
        return;
    }
    paxos->counters.elections_started++;
    paxos->role = CONSENSUS_CANDIDATE;
    paxos->stage = PAXOS_CANVASSING;
    paxos->leader = 0;
    paxos->ballot = ballot_above_all(paxos);
    paxos->canvass++;
    paxos->ayes = paxos_mask_of(paxos->self);
    paxos->election_ms = paxos_soon(paxos, paxos->config.election_timeout_ms);
    if (paxos_quorum_reached(paxos->ayes, paxos->voters))
        prepare_begin(paxos, none);
    else
        ask(paxos);
}

void paxos_election_tick(struct paxos *paxos)
{
    if (!paxos->votes)
        return;
    if (paxos->now_ms >= paxos->election_ms) {
        if (paxos->role == CONSENSUS_CANDIDATE)
            paxos_step_down(paxos);
        canvass_begin(paxos);
    } else if (paxos->role == CONSENSUS_CANDIDATE && paxos->now_ms >= paxos->resend_ms) {
        ask(paxos);
    }
}

enum torc_status paxos_on_canvass(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message)
{
    if (message->first == 0)
        return TORC_MALFORMED;
    if (!paxos->votes)
        return TORC_STALE;
    bool heard = other_heard(paxos, message->from);
    bool behind = message->first < paxos->window.first;
    bool granted = paxos_granted(paxos, message->from, (struct base_ballot){.round = 0});
    bool lower = base_ballot_compare(message->ballot, paxos->promised) <= 0;
    bool yes = !heard && !behind && !granted && !lower;
    if (!yes)
        paxos->counters.canvass_refused++;
    if (behind)
        paxos_stand(paxos);
    struct consensus_message *reply = paxos_send(paxos, from, PAXOS_CANVASS_REPLY);
    reply->ballot = message->ballot;
    reply->other = paxos->promised;
    reply->echo = message->round;
    reply->chosen = paxos->chosen;
    reply->flags = (yes ? PAXOS_YES : 0) | (behind ? PAXOS_BEHIND : 0);
    return TORC_OK;
}

enum torc_status paxos_on_canvass_reply(struct paxos *paxos, uint32_t from,
                                        const struct consensus_message *message)
{
    bool awaited = paxos->role == CONSENSUS_CANDIDATE && paxos->stage == PAXOS_CANVASSING &&
                   message->echo == paxos->canvass &&
                   base_ballot_equal(message->ballot, paxos->ballot);
    if (!awaited)
        return TORC_STALE;
    if ((message->flags & PAXOS_YES) == 0)
        return TORC_OK;
    paxos->ayes |= paxos_mask_of(from);
    if (paxos_quorum_reached(paxos->ayes, paxos->voters))
        prepare_begin(paxos, (struct base_ballot){.round = 0});
    return TORC_OK;
}

/* Keeps the better of what two promises reported for a slot. */
static void merge(struct paxos *paxos, const struct consensus_entry *entry, bool chosen)
{
    if (entry->slot < paxos->found.first)
        return;
    struct paxos_slot *best = paxos_window_get(&paxos->found, entry->slot);
    if (best != NULL) {
        if (best->learned)
            return; /* Chosen is above every ballot. */
        int order = base_ballot_compare(entry->ballot, best->entry.ballot);
        if (!chosen && (PAXOS_MUTANT(LOWEST_BALLOT) ? order >= 0 : order <= 0))
            return;
    }
    paxos_window_put(&paxos->found, entry)->learned = chosen;
}

enum torc_status paxos_on_promise(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message)
{
    bool same = base_ballot_equal(message->ballot, paxos->ballot);
    struct paxos_peer *peer = &paxos->peers[from];
    if (paxos->role != CONSENSUS_CANDIDATE || paxos->stage != PAXOS_PREPARING ||
        (!same && !PAXOS_MUTANT(OLD_REPLIES_COUNTED)) || message->first != peer->promise_next)
        return TORC_STALE;
    if (message->last >= paxos->found.first + PAXOS_SPAN_MAX)
        return TORC_MALFORMED;
    bool end = (message->flags & PAXOS_END) != 0;
    if (!end && message->last < message->first)
        return TORC_MALFORMED; /* A chunk of nothing would be asked for again for ever. */
    uint64_t chosen = message->chosen + (PAXOS_MUTANT(PROMISE_ONE_TOO_FAR) ? 1 : 0);
    for (uint32_t i = 0; i < message->entry_count; i++)
        merge(paxos, &message->entries[i], message->entries[i].slot <= chosen);
    peer->promise_next = message->last + 1;
    if (!end && !PAXOS_MUTANT(PROMISE_PART_COUNTS)) {
        /* A long report takes many messages: time runs while nothing comes. */
        paxos->election_ms = paxos->now_ms + paxos->patience_ms;
        prepare_send(paxos, from);
        return TORC_OK;
    }
    paxos->ayes |= paxos_mask_of(from);
    if (paxos_quorum_reached(paxos->ayes, paxos->voters))
        paxos_lead(paxos);
    return TORC_OK;
}

enum torc_status paxos_on_refused(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message)
{
    (void)from;
    bool mine = paxos->role != CONSENSUS_FOLLOWER &&
                base_ballot_equal(message->ballot, paxos->ballot) &&
                base_ballot_compare(message->other, paxos->ballot) > 0;
    if (!mine)
        return TORC_STALE;
    bool led = paxos->role == CONSENSUS_LEADER;
    paxos_step_down(paxos);
    /* A leader whom one replica outgrew stands again at once: the others have just heard it, so
     * nobody else will for an election timeout. */
    if (led)
        paxos->election_ms =
            paxos->now_ms + base_prng_range(&paxos->prng, 0, paxos->config.heartbeat_interval_ms);
    return TORC_OK;
}

enum torc_status paxos_on_transfer(struct paxos *paxos, uint32_t from,
                                   const struct consensus_message *message)
{
    (void)from;
    if (!paxos->votes || paxos->role != CONSENSUS_FOLLOWER ||
        !base_ballot_equal(message->ballot, paxos->promised) ||
        paxos_granted(paxos, paxos->config.replica, message->ballot))
        return TORC_STALE;
    prepare_begin(paxos, message->ballot);
    return TORC_OK;
}
