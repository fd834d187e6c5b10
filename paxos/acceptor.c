/* Promises and accepts: what this replica vouches for. */
#include "paxos/paxos_int.h"

void paxos_promise_raise(struct paxos *paxos, struct base_ballot ballot)
{
    TORC_ASSERT(base_ballot_compare(ballot, paxos->promised) > 0);
    bool own = paxos->role == CONSENSUS_CANDIDATE && base_ballot_equal(ballot, paxos->ballot);
    if (paxos->role != CONSENSUS_FOLLOWER && !own)
        paxos_step_down(paxos);
    paxos->promised = ballot;
    paxos->promised_seq = paxos_seq_next(paxos);
    paxos_record(paxos, CONSENSUS_RECORD_PROMISE, &(struct consensus_entry){.ballot = ballot});
    if (ballot.round > paxos->round_max)
        paxos->round_max = ballot.round;
    /* What was told under the old ballot says nothing about entries of the new one. */
    paxos->commit = 0;
    paxos->learn_ms = 0;
    paxos->leader = 0;
    paxos->courted = 0;
    paxos->fresh.round = 0;
    paxos->election_ms = paxos_soon(paxos, paxos->config.election_timeout_ms);
    paxos->patience_ms = paxos->election_ms - paxos->now_ms;
}

struct paxos_slot *paxos_entry_put(struct paxos *paxos, const struct consensus_entry *entry,
                                   enum consensus_record_kind kind)
{
    TORC_ASSERT(entry->slot > paxos->chosen);
    const struct paxos_slot *old = paxos_window_get(&paxos->window, entry->slot);
    if (old != NULL)
        paxos->held_bytes -= paxos_value_size(&old->entry);
    struct paxos_slot *slot = paxos_window_put(&paxos->window, entry);
    paxos->held_bytes += paxos_value_size(entry);
    slot->seq = paxos_seq_next(paxos);
    slot->learned = kind == CONSENSUS_RECORD_LEARNED;
    if (PAXOS_MUTANT(LEARNED_UNLOGGED) && slot->learned)
        slot->seq = 0;
    else
        paxos_record(paxos, kind, &slot->entry);
    return slot;
}

uint64_t paxos_slot_max(const struct paxos *paxos)
{
    uint64_t window = paxos->config.window_entries_max;
    uint64_t by_chosen = paxos->chosen + window;
    uint64_t by_applied = paxos->applied + 2 * window;
    return by_chosen < by_applied ? by_chosen : by_applied;
}

bool paxos_granted(const struct paxos *paxos, uint64_t candidate, struct base_ballot handover)
{
    if (paxos->now_ms >= paxos->grant_until_ms || PAXOS_MUTANT(LEASE_GRANT_FORGOTTEN))
        return false;
    if (paxos->grant_to == 0)
        return true; /* Of an earlier life: to whom is not known. */
    /* The holder itself no longer leads when it asks; and one that handed over under that ballot
     * takes no lease under it again. */
    return paxos->grant_to != candidate && !base_ballot_equal(paxos->grant_ballot, handover);
}

void paxos_count_lease_wait(struct paxos *paxos)
{
    paxos->counters.lease_waits++;
    paxos->counters.restart_waits += paxos->grant_to == 0;
}

void paxos_refuse(struct paxos *paxos, uint32_t member, const struct consensus_message *message,
                  uint32_t flags)
{
    struct consensus_message *reply = paxos_send(paxos, member, PAXOS_REFUSED);
    reply->ballot = message->ballot;
    reply->other = paxos->promised;
    reply->chosen = paxos->chosen;
    reply->flags = flags;
}

void paxos_promise_report(struct paxos *paxos, const struct consensus_message *reply)
{
    uint32_t member = paxos_member_of(paxos, reply->to);
    uint64_t first = reply->first;
    if (!base_ballot_equal(reply->ballot, paxos->promised)) {
        paxos_refuse(paxos, member, reply, 0);
        return;
    }
    bool forgets = PAXOS_MUTANT(PROMISE_FORGETS_CHOSEN);
    if (forgets && first <= paxos->chosen)
        first = paxos->chosen + 1;
    if (first < paxos->window.first) {
        /* The cache moved on since the first chunk. */
        paxos_refuse(paxos, member, reply, PAXOS_BEHIND);
        return;
    }
    uint64_t end = paxos->window.last >= first ? paxos->window.last : first - 1;
    uint64_t last;
    uint32_t place = paxos_send_range(paxos, first, end, &last);
    struct consensus_message *message = paxos_send(paxos, member, PAXOS_PROMISE);
    paxos_send_carries(paxos, place);
    message->ballot = reply->ballot;
    message->first = reply->first;
    message->last = last;
    message->chosen = forgets ? 0 : paxos->chosen;
    message->flags = last == end ? PAXOS_END : 0;
}

enum torc_status paxos_on_prepare(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message)
{
    if (message->first == 0)
        return TORC_MALFORMED;
    if (!paxos->votes)
        return TORC_STALE;
    int order = base_ballot_compare(message->ballot, paxos->promised);
    if (order < 0) {
        paxos_refuse(paxos, from, message, 0);
        return TORC_OK;
    }
    if (message->first < paxos->window.first && !PAXOS_MUTANT(PROMISE_FORGETS_CHOSEN)) {
        /* Slots below the window are chosen, and their values cannot be reported from memory:
         * a promise would hide them. */
        paxos_refuse(paxos, from, message, PAXOS_BEHIND);
        paxos_stand(paxos);
        return TORC_OK;
    }
    struct base_ballot handover = {.round = 0};
    if ((message->flags & PAXOS_HANDOVER) != 0)
        handover = message->other;
    if (paxos_granted(paxos, message->from, handover)) {
        paxos_count_lease_wait(paxos);
        paxos_refuse(paxos, from, message, 0);
        return TORC_OK;
    }
    if (order > 0)
        paxos_promise_raise(paxos, message->ballot);
    if (paxos->role == CONSENSUS_FOLLOWER && paxos->leader == 0) {
        paxos->courted = message->from;
        paxos->heard_ms = paxos->now_ms;
        paxos->election_ms = paxos->now_ms + paxos->patience_ms;
    }
    struct consensus_message reply = {
        .type = PAXOS_PROMISE,
        .to = message->from,
        .ballot = message->ballot,
        .first = message->first,
    };
    paxos_send_after(paxos, paxos->promised_seq, &reply);
    return TORC_OK;
}

/* Accepts one entry at the promised ballot, if there is room; whether it may be acknowledged, and
 * after which batch. */
static bool accept(struct paxos *paxos, const struct consensus_entry *entry, uint64_t *ret_seq)
{
    struct paxos_slot *slot = paxos_window_get(&paxos->window, entry->slot);
    *ret_seq = paxos->promised_seq;
    if (entry->slot <= paxos->chosen)
        return true; /* Whatever a later ballot proposes here is the chosen value. */
    if (slot != NULL && (slot->learned || base_ballot_equal(slot->entry.ballot, entry->ballot))) {
        if (slot->seq > *ret_seq)
            *ret_seq = slot->seq; /* Repeated: answered when the first one is durable. */
        return true;
    }
    if (entry->slot > paxos_slot_max(paxos))
        return false;
    /* The next slot to be chosen always has room, so a full window never blocks it. */
    bool full = paxos->held_bytes + paxos_value_size(entry) > paxos->config.window_bytes_max;
    if (full && entry->slot != paxos->chosen + 1)
        return false;
    *ret_seq = paxos_entry_put(paxos, entry, CONSENSUS_RECORD_ENTRY)->seq;
    return true;
}

static void accept_all(struct paxos *paxos, const struct consensus_message *message)
{
    for (uint32_t i = 0; i < message->entry_count; i++) {
        uint64_t seq;
        if (!accept(paxos, &message->entries[i], &seq) || !paxos->votes)
            continue;
        uint64_t slot = message->entries[i].slot;
        struct consensus_message reply = {
            .type = PAXOS_ACCEPTED,
            .to = message->from,
            .ballot = message->ballot,
            .first = PAXOS_MUTANT(ACK_CONTIGUOUS) ? paxos->chosen + 1 : slot,
            .last = slot,
        };
        paxos_send_after(paxos, seq, &reply);
    }
}

enum torc_status paxos_on_accept(struct paxos *paxos, uint32_t from,
                                 const struct consensus_message *message)
{
    if (message->entry_count == 0)
        return TORC_MALFORMED;
    for (uint32_t i = 0; i < message->entry_count; i++) {
        if (!base_ballot_equal(message->entries[i].ballot, message->ballot))
            return TORC_MALFORMED;
    }
    if (base_ballot_compare(message->ballot, paxos->promised) < 0) {
        if (PAXOS_MUTANT(OLD_ACCEPT_TAKEN))
            accept_all(paxos, message);
        else
            paxos_refuse(paxos, from, message, 0);
        return TORC_OK;
    }
    paxos_follow(paxos, from, message->ballot);
    /* First the news of what is chosen, which makes room in the window for what comes with it. */
    if (message->chosen > paxos->commit)
        paxos->commit = message->chosen;
    paxos_mark(paxos);
    if (!paxos->amnesiac)
        accept_all(paxos, message);
    paxos_learn(paxos);
    return TORC_OK;
}
