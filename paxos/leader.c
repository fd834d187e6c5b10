/* Phase 2: proposing, counting what is accepted, sending again, handing over. */
#include "paxos/paxos_int.h"

bool paxos_serving(const struct paxos *paxos)
{
    return paxos->role == CONSENSUS_LEADER && paxos->applied >= paxos->barrier_slot;
}

/* Counts the voters' accepts, and marks what a quorum holds, in slot order. */
static void count(struct paxos *paxos)
{
    if (PAXOS_MUTANT(APPLY_OUT_OF_ORDER)) {
        for (uint64_t s = paxos->window.last; s > paxos->chosen; s--) {
            if (paxos_quorum_reached(paxos_window_get(&paxos->window, s)->acks, paxos->voters)) {
                while (paxos->chosen < s)
                    paxos_chosen_next(paxos);
            }
        }
    }
    for (;;) {
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, paxos->chosen + 1);
        if (slot == NULL || !paxos_quorum_reached(slot->acks, paxos->voters))
            break;
        paxos_chosen_next(paxos);
    }
}

/* Its own accepts count when they are durable, as anybody's. */
static void count_own(struct paxos *paxos)
{
    if (paxos->own_acked < paxos->chosen)
        paxos->own_acked = paxos->chosen;
    while (paxos->own_acked < paxos->window.last) {
        struct paxos_slot *slot = paxos_window_get(&paxos->window, paxos->own_acked + 1);
        if (slot->seq > paxos->seq_persisted && !PAXOS_MUTANT(OWN_ACCEPT_EARLY))
            break;
        slot->acks |= paxos_mask_of(paxos->self);
        paxos->own_acked++;
    }
    count(paxos);
}

void paxos_leader_persisted(struct paxos *paxos)
{
    if (paxos->role == CONSENSUS_LEADER) {
        count_own(paxos);
        paxos_transfer_go(paxos);
    }
}

static void propose(struct paxos *paxos, struct consensus_entry entry)
{
    entry.ballot = paxos->ballot;
    if (base_ballot_is_none(entry.origin))
        entry.origin = paxos->ballot;
    paxos_entry_put(paxos, &entry, CONSENSUS_RECORD_ENTRY);
    if (PAXOS_MUTANT(OWN_ACCEPT_EARLY))
        count_own(paxos);
}

/* What phase 1 says must be proposed in a slot: the chosen value, else the one of the highest
 * ballot, else nothing was chosen there and a no-op is as good as anything. */
static struct consensus_entry adopt(struct paxos *paxos, uint64_t s)
{
    const struct paxos_slot *own = paxos_window_get(&paxos->window, s);
    const struct paxos_slot *found = paxos_window_get(&paxos->found, s);
    const struct paxos_slot *best = own != NULL ? own : found;
    if (own != NULL && found != NULL && !own->learned) {
        int order = base_ballot_compare(found->entry.ballot, own->entry.ballot);
        if (found->learned || (PAXOS_MUTANT(LOWEST_BALLOT) ? order < 0 : order > 0))
            best = found;
    }
    if (best == NULL || PAXOS_MUTANT(ADOPTS_NOTHING)) {
        paxos->counters.holes_filled++;
        return (struct consensus_entry){.slot = s, .kind = CONSENSUS_NOOP};
    }
    paxos->counters.adopted++;
    return best->entry;
}

static void reset_for_leading(struct paxos *paxos)
{
    paxos->role = CONSENSUS_LEADER;
    paxos->leader = paxos->config.replica;
    paxos->sent = paxos->own_acked = paxos->chosen;
    paxos->resend_ms = 0;
    paxos->round = paxos->confirmed = 0;
    paxos->widen_ms = 0;
    paxos->lease_until_ms = 0;
    paxos->lease_dropped = false;
    paxos->transfer_to = 0;
    paxos->load.peer = 0;
    paxos->fresh.round = 0;
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        struct paxos_peer *peer = &paxos->peers[i];
        *peer = (struct paxos_peer){
            .incarnation = peer->incarnation,
            .amnesiac = peer->amnesiac,
            .heard_ms = paxos->now_ms,
        };
    }
}

void paxos_lead(struct paxos *paxos)
{
    TORC_ASSERT(base_ballot_equal(paxos->ballot, paxos->promised));
    reset_for_leading(paxos);
    paxos->counters.elections_won++;
    uint64_t last = paxos->window.last;
    if (paxos->found.last > last)
        last = paxos->found.last;
    /* The barrier comes after everything that phase 1 saw. Proposals may follow it at once: they
     * are answered only when applied, which is after it. */
    paxos->barrier_slot = last + 1;
    for (uint64_t s = paxos->chosen + 1; s <= last; s++)
        propose(paxos, adopt(paxos, s));
    propose(paxos, (struct consensus_entry){.slot = last + 1, .kind = CONSENSUS_BARRIER});
    paxos_window_drop(&paxos->found, paxos->found.last);
    paxos_round_send(paxos);
}

enum torc_status paxos_propose(struct paxos *paxos, struct base_buffer *value)
{
    TORC_ASSERT(value != NULL);
    if (paxos->role != CONSENSUS_LEADER || paxos->transfer_to != 0)
        return TORC_NOT_LEADER;
    uint64_t slot = paxos->window.last + 1;
    bool too_many = slot > paxos_slot_max(paxos);
    bool too_large =
        paxos->held_bytes > 0 && paxos->held_bytes + value->size > paxos->config.window_bytes_max;
    if (too_many || too_large)
        return TORC_FULL;
    propose(paxos, (struct consensus_entry){.slot = slot, .kind = CONSENSUS_VALUE, .value = value});
    return TORC_OK;
}

static bool worth_sending(const struct paxos *paxos, uint32_t member)
{
    return member != paxos->self && !paxos->peers[member].amnesiac;
}

static void accept_send(struct paxos *paxos, uint32_t member, uint32_t place, uint64_t first,
                        uint64_t last)
{
    struct consensus_message *message = paxos_send(paxos, member, PAXOS_ACCEPT);
    paxos_send_carries(paxos, place);
    message->ballot = paxos->ballot;
    message->first = first;
    message->last = last;
    message->chosen = paxos->chosen;
    message->floor = paxos->floor;
}

void paxos_leader_flush(struct paxos *paxos)
{
    /* After an election there may be more to propose again than followers have room for. */
    uint64_t end = paxos->chosen + paxos->config.window_entries_max;
    if (end > paxos->window.last)
        end = paxos->window.last;
    if (paxos->sent < paxos->chosen)
        paxos->sent = paxos->chosen;
    while (paxos->sent < end) {
        uint64_t first = paxos->sent + 1;
        uint32_t place = paxos_send_range(paxos, first, end, &paxos->sent);
        for (uint32_t i = 0; i < paxos->config.member_count; i++) {
            if (worth_sending(paxos, i))
                accept_send(paxos, i, place, first, paxos->sent);
        }
        for (uint64_t s = first; s <= paxos->sent; s++)
            paxos_window_get(&paxos->window, s)->sent_ms = paxos->now_ms;
        if (paxos->resend_ms == 0)
            paxos->resend_ms = paxos->now_ms + paxos->config.retransmit_timeout_ms;
    }
}

/* One message to a member with what it has not acknowledged for a whole timeout, lowest first:
 * the rest waits for the next time, so that a member that is away costs little. */
static void resend_to(struct paxos *paxos, uint32_t member)
{
    uint32_t place = paxos->output.entry_count;
    uint64_t first = 0, last = 0;
    size_t bytes = 0;
    for (uint64_t s = paxos->chosen + 1; s <= paxos->sent; s++) {
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, s);
        uint64_t age_ms = paxos->now_ms - slot->sent_ms;
        if ((slot->acks & paxos_mask_of(member)) != 0 ||
            age_ms < paxos->config.retransmit_timeout_ms)
            continue;
        bytes += paxos_entry_cost(&slot->entry);
        if (first != 0 && bytes > paxos->config.message_bytes_max)
            break;
        paxos_send_entry(paxos, &slot->entry);
        first = first == 0 ? s : first;
        last = s;
        paxos->counters.retransmitted++;
    }
    if (first != 0)
        accept_send(paxos, member, place, first, last);
}

static void resend(struct paxos *paxos)
{
    paxos->resend_ms = 0;
    if (paxos->sent <= paxos->chosen)
        return;
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        if (worth_sending(paxos, i) && (paxos->voters & paxos_mask_of(i)) != 0)
            resend_to(paxos, i);
    }
    paxos->resend_ms = paxos->now_ms + paxos->config.retransmit_timeout_ms;
}

enum torc_status paxos_on_accepted(struct paxos *paxos, uint32_t from,
                                   const struct consensus_message *message)
{
    bool same = base_ballot_equal(message->ballot, paxos->ballot);
    if (paxos->role != CONSENSUS_LEADER || (!same && !PAXOS_MUTANT(OLD_REPLIES_COUNTED)))
        return TORC_STALE;
    if (message->first == 0 || message->last > paxos->window.last)
        return same ? TORC_MALFORMED : TORC_STALE;
    struct paxos_peer *peer = &paxos->peers[from];
    peer->heard_ms = paxos->now_ms;
    if (message->chosen > peer->chosen)
        peer->chosen = message->chosen;
    if (message->durable > peer->durable)
        peer->durable = message->durable;
    uint64_t s = message->first > paxos->chosen ? message->first : paxos->chosen + 1;
    for (; s <= message->last; s++)
        paxos_window_get(&paxos->window, s)->acks |= paxos_mask_of(from);
    count(paxos);
    paxos_transfer_go(paxos);
    return TORC_OK;
}

/* ---- Handing over. */

static bool can_take_over(const struct paxos *paxos, uint32_t member)
{
    const struct paxos_peer *peer = &paxos->peers[member];
    return member != paxos->self && (paxos->voters & paxos_mask_of(member)) != 0 &&
           !peer->amnesiac && peer->round > 0 &&
           paxos->now_ms - peer->heard_ms < paxos->config.election_timeout_ms;
}

static uint32_t furthest(const struct paxos *paxos)
{
    uint32_t best = CONSENSUS_MEMBERS_MAX;
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        if (!can_take_over(paxos, i))
            continue;
        if (best == CONSENSUS_MEMBERS_MAX || paxos->peers[i].chosen > paxos->peers[best].chosen)
            best = i;
    }
    return best;
}

static void transfer_begin(struct paxos *paxos, uint32_t member)
{
    TORC_ASSERT(member != paxos->self);
    paxos->transfer_to = paxos->members[member].replica;
    paxos->transfer_ms = paxos->now_ms + paxos->config.election_timeout_ms;
    paxos->transfer_sent_ms = 0;
    /* The target may stand while grants of this ballot still run, so no lease may: not now, and,
     * as messages can be late, never again under this ballot. */
    if (!PAXOS_MUTANT(LEASE_SURVIVES_TRANSFER))
        paxos->lease_dropped = true;
}

enum torc_status paxos_transfer(struct paxos *paxos, uint64_t replica)
{
    if (paxos->role != CONSENSUS_LEADER)
        return TORC_NOT_LEADER;
    uint32_t member = replica == 0 ? furthest(paxos) : paxos_member_of(paxos, replica);
    if (member == CONSENSUS_MEMBERS_MAX || !can_take_over(paxos, member))
        return TORC_NOT_FOUND;
    if (paxos->transfer_to == paxos->members[member].replica)
        return TORC_OK;
    transfer_begin(paxos, member);
    paxos_round_send(paxos); /* Tells the target what is chosen; its answer says what it has. */
    paxos_transfer_go(paxos);
    return TORC_OK;
}

static void transfer_send(struct paxos *paxos, uint32_t member)
{
    struct consensus_message *message = paxos_send(paxos, member, PAXOS_TRANSFER);
    message->ballot = paxos->ballot;
    message->chosen = paxos->chosen;
    paxos->transfer_sent_ms = paxos->now_ms;
}

void paxos_transfer_go(struct paxos *paxos)
{
    if (paxos->transfer_to == 0 || paxos->transfer_sent_ms != 0)
        return;
    uint32_t member = paxos_member_of(paxos, paxos->transfer_to);
    if (paxos->chosen == paxos->window.last && paxos->peers[member].chosen >= paxos->chosen)
        transfer_send(paxos, member);
}

void paxos_leader_tick(struct paxos *paxos)
{
    uint64_t heard[CONSENSUS_MEMBERS_MAX] = {0};
    for (uint32_t i = 0; i < paxos->config.member_count; i++)
        heard[i] = i == paxos->self ? paxos->now_ms : paxos->peers[i].heard_ms;
    uint64_t quorum_ms = paxos_quorum_value(heard, paxos->voters);
    if (paxos->now_ms - quorum_ms >= paxos->config.election_timeout_ms) {
        paxos_step_down(paxos);
        return;
    }
    if (paxos->transfer_to != 0 && paxos->now_ms >= paxos->transfer_ms) {
        paxos->transfer_to = 0; /* It did not come about: lead on, without a lease. */
        if (PAXOS_MUTANT(LEASE_BACK_AFTER_TRANSFER))
            paxos->lease_dropped = false;
    }
    if (paxos->now_ms >= paxos->heartbeat_ms) {
        paxos_round_send(paxos);
        if (paxos->transfer_to != 0) {
            paxos->transfer_sent_ms = 0;
            paxos_transfer_go(paxos);
        }
    }
    paxos_round_widen(paxos);
    if (paxos->resend_ms != 0 && paxos->now_ms >= paxos->resend_ms)
        resend(paxos);
}
