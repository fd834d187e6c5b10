/*
 * Rounds: numbered questions, "have you promised above my ballot?". A heartbeat is a round that all
 * members are asked. One for reads in between asks only as many as make a majority with this one,
 * those that answered last; the others if these do not answer soon.
 */
#include "paxos/paxos_int.h"

/* Who is asked alone has this share of a heartbeat interval before the others are asked too. */
enum { PROBES_PER_HEARTBEAT = 10 };

/* Heartbeats of all groups of a node are due at the same moments, so that the node can put them
 * into one message per peer. */
uint64_t paxos_grid(const struct paxos *paxos)
{
    uint64_t interval = paxos->config.heartbeat_interval_ms;
    return (paxos->now_ms / interval + 1) * interval;
}

static void fresh_begin(struct paxos *paxos, uint64_t round, uint64_t at_ms, uint64_t chosen)
{
    if (paxos->fresh.round == 0)
        paxos->fresh = (struct paxos_fresh){.round = round, .at_ms = at_ms, .chosen = chosen};
}

void paxos_fresh_update(struct paxos *paxos, uint64_t confirmed)
{
    struct paxos_fresh *fresh = &paxos->fresh;
    if (fresh->round == 0)
        return;
    if (confirmed >= fresh->round || PAXOS_MUTANT(FRESH_WITHOUT_ROUND))
        fresh->confirmed = true;
    if (!fresh->confirmed || paxos->applied < fresh->chosen)
        return;
    if (fresh->at_ms > paxos->fresh_at_ms)
        paxos->fresh_at_ms = fresh->at_ms;
    fresh->round = 0;
}

/* The floor: what every voter holds durably as chosen, so that nobody will ever ask for it. */
static void floor_update(struct paxos *paxos)
{
    uint64_t least = paxos->durable;
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        bool counts = i != paxos->self && (paxos->voters & paxos_mask_of(i)) != 0;
        if (PAXOS_MUTANT(FLOOR_WITHOUT_SILENT))
            counts &= paxos->now_ms - paxos->peers[i].heard_ms < paxos->config.election_timeout_ms;
        if (counts && paxos->peers[i].durable < least)
            least = paxos->peers[i].durable;
    }
    if (least > paxos->floor)
        paxos->floor = least;
}

static void confirm(struct paxos *paxos)
{
    uint64_t rounds[CONSENSUS_MEMBERS_MAX] = {0};
    for (uint32_t i = 0; i < paxos->config.member_count; i++)
        rounds[i] = i == paxos->self ? paxos->round : paxos->peers[i].round;
    uint64_t confirmed = paxos_quorum_value(rounds, paxos->voters);
    if (confirmed <= paxos->confirmed)
        return;
    paxos->confirmed = confirmed;
    if (paxos->round - confirmed < PAXOS_ROUNDS_KEPT)
        paxos_lease_renew(paxos, paxos->round_ms[confirmed % PAXOS_ROUNDS_KEPT]);
    paxos_fresh_update(paxos, confirmed);
}

/* Before the barrier is chosen the chosen index says nothing about earlier leaders' writes. */
static bool is_current(const struct paxos *paxos)
{
    return paxos->chosen >= paxos->barrier_slot;
}

static void round_begin(struct paxos *paxos)
{
    TORC_ASSERT(paxos->role == CONSENSUS_LEADER);
    paxos->round++;
    paxos->round_ms[paxos->round % PAXOS_ROUNDS_KEPT] = paxos->now_ms;
    paxos->round_asked = paxos_mask_of(paxos->self);
    paxos_reads_join(paxos);
    if (is_current(paxos))
        fresh_begin(paxos, paxos->round, paxos->now_ms, paxos->chosen);
}

static void ask(struct paxos *paxos, uint32_t member)
{
    const struct paxos_peer *peer = &paxos->peers[member];
    struct consensus_message *message = paxos_send(paxos, member, PAXOS_HEARTBEAT);
    message->ballot = paxos->ballot;
    message->chosen = paxos->chosen;
    message->durable = paxos->durable;
    message->floor = paxos->floor;
    message->round = paxos->round;
    message->confirmed = paxos->confirmed;
    if (is_current(paxos)) {
        message->echo = peer->answer_ms;
        message->first = message->last = peer->incarnation;
    }
    paxos->round_asked |= paxos_mask_of(member);
}

static void ask_rest(struct paxos *paxos)
{
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        if ((paxos->round_asked & paxos_mask_of(i)) == 0)
            ask(paxos, i);
    }
    paxos->widen_ms = 0;
}

void paxos_round_send(struct paxos *paxos)
{
    round_begin(paxos);
    paxos->heartbeat_ms = paxos_grid(paxos);
    floor_update(paxos);
    ask_rest(paxos);
    confirm(paxos);
}

/* Of the voters not asked yet, the one that answered the newest round; of several, the next after
 * this member, so that the leaders of a node's groups ask each the same one. */
static uint32_t promptest(const struct paxos *paxos)
{
    uint32_t best = CONSENSUS_MEMBERS_MAX;
    for (uint32_t k = 1; k < paxos->config.member_count; k++) {
        uint32_t i = (paxos->self + k) % paxos->config.member_count;
        const struct paxos_peer *peer = &paxos->peers[i];
        if ((paxos->voters & ~paxos->round_asked & paxos_mask_of(i)) == 0 || peer->amnesiac)
            continue;
        if (best == CONSENSUS_MEMBERS_MAX || peer->round > paxos->peers[best].round)
            best = i;
    }
    return best;
}

void paxos_round_probe(struct paxos *paxos)
{
    round_begin(paxos);
    while (!paxos_quorum_reached(paxos->round_asked, paxos->voters)) {
        uint32_t member = promptest(paxos);
        if (member == CONSENSUS_MEMBERS_MAX)
            break;
        ask(paxos, member);
    }
    paxos->widen_ms =
        paxos->now_ms + 1 + paxos->config.heartbeat_interval_ms / PROBES_PER_HEARTBEAT;
    confirm(paxos);
}

void paxos_round_widen(struct paxos *paxos)
{
    if (paxos->widen_ms == 0 || paxos->now_ms < paxos->widen_ms)
        return;
    paxos->widen_ms = 0;
    if (paxos->confirmed < paxos->round)
        ask_rest(paxos);
}

static void heartbeat_answer(struct paxos *paxos, uint32_t from,
                             const struct consensus_message *message)
{
    if (paxos->config.lease_ms > 0 && paxos->votes) {
        /* From the leader's sending on it may count on lease_ms, less the drift; this is later, and
         * a millisecond more as clocks are read rounded down. */
        paxos->grant_until_ms = paxos->now_ms + paxos->config.lease_ms + 1;
        paxos->grant_to = message->from;
        paxos->grant_ballot = message->ballot;
    }
    struct consensus_message *reply = paxos_send(paxos, from, PAXOS_HEARTBEAT_REPLY);
    reply->ballot = message->ballot;
    reply->echo = message->round;
    reply->round = paxos->now_ms;
    reply->chosen = paxos->chosen;
    reply->durable = paxos->durable;
    reply->flags = paxos->amnesiac ? PAXOS_AMNESIAC : 0;
}

enum torc_status paxos_on_heartbeat(struct paxos *paxos, uint32_t from,
                                    const struct consensus_message *message)
{
    if (base_ballot_compare(message->ballot, paxos->promised) < 0) {
        paxos_refuse(paxos, from, message, 0);
        return TORC_OK;
    }
    paxos_follow(paxos, from, message->ballot);
    if (message->chosen > paxos->commit)
        paxos->commit = message->chosen;
    if (message->floor > paxos->floor)
        paxos->floor = message->floor;
    paxos_learn(paxos);
    paxos_fresh_update(paxos, message->confirmed);
    /* The echo counts only if this life of the process sent it: another's clock was another. */
    if (message->echo != 0 && message->first == paxos->config.incarnation)
        fresh_begin(paxos, message->round, message->echo, message->chosen);
    heartbeat_answer(paxos, from, message);
    return TORC_OK;
}

enum torc_status paxos_on_heartbeat_reply(struct paxos *paxos, uint32_t from,
                                          const struct consensus_message *message)
{
    bool same = base_ballot_equal(message->ballot, paxos->ballot);
    if (paxos->role != CONSENSUS_LEADER || (!same && !PAXOS_MUTANT(OLD_REPLIES_COUNTED)))
        return TORC_STALE;
    if (message->echo > paxos->round)
        return same ? TORC_MALFORMED : TORC_STALE;
    struct paxos_peer *peer = &paxos->peers[from];
    if (message->chosen > peer->chosen)
        peer->chosen = message->chosen;
    if (message->durable > peer->durable)
        peer->durable = message->durable;
    if (message->round > peer->answer_ms)
        peer->answer_ms = message->round;
    if ((message->flags & PAXOS_AMNESIAC) != 0) {
        peer->amnesiac = true;
        return TORC_OK;
    }
    peer->heard_ms = paxos->now_ms;
    if (message->echo > peer->round)
        peer->round = message->echo;
    confirm(paxos);
    paxos_transfer_go(paxos);
    return TORC_OK;
}
