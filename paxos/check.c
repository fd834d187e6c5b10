/* The machine's invariants, as code. */
#include "paxos/paxos_int.h"

/* first - 1 <= applied <= handed <= chosen, and every slot in between is there. */
static void check_order(const struct paxos *paxos)
{
    TORC_ASSERT(paxos->window.first > 0);
    TORC_ASSERT(paxos->window.first - 1 <= paxos->applied);
    TORC_ASSERT(paxos->compacted <= paxos->applied);
    TORC_ASSERT(paxos->applied <= paxos->handed);
    TORC_ASSERT(paxos->handed <= paxos->chosen);
    TORC_ASSERT(paxos->durable <= paxos->chosen);
    TORC_ASSERT(paxos->seq_persisted <= paxos->seq_last);
    for (uint64_t s = paxos->window.first; s <= paxos->chosen; s++)
        TORC_ASSERT(paxos_window_get(&paxos->window, s) != NULL);
}

static void check_slots(const struct paxos *paxos)
{
    size_t held = 0, cached = 0;
    for (uint64_t s = paxos->window.first; s <= paxos->window.last; s++) {
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, s);
        if (slot == NULL)
            continue;
        const struct consensus_entry *entry = &slot->entry;
        TORC_ASSERT(base_ballot_compare(entry->ballot, paxos->promised) <= 0);
        TORC_ASSERT(base_ballot_compare(entry->origin, entry->ballot) <= 0);
        TORC_ASSERT(!base_ballot_is_none(entry->origin));
        TORC_ASSERT((entry->kind == CONSENSUS_VALUE) == (entry->value != NULL));
        TORC_ASSERT(slot->seq <= paxos_seq_next(paxos));
        if (s > paxos->chosen)
            held += paxos_value_size(entry);
        if (s <= paxos->applied)
            cached += paxos_entry_cost(entry);
    }
    TORC_ASSERT(held == paxos->held_bytes);
    TORC_ASSERT(cached == paxos->cached_bytes);
}

static void check_role(const struct paxos *paxos)
{
    if (paxos->role != CONSENSUS_FOLLOWER)
        TORC_ASSERT(paxos->votes);
    if (paxos->role != CONSENSUS_LEADER) {
        TORC_ASSERT(paxos->read_count == 0);
        TORC_ASSERT(paxos->transfer_to == 0);
        return;
    }
    TORC_ASSERT(base_ballot_equal(paxos->ballot, paxos->promised));
    TORC_ASSERT(paxos->leader == paxos->config.replica);
    TORC_ASSERT(paxos->confirmed <= paxos->round);
    TORC_ASSERT(paxos->sent <= paxos->window.last);
    /* A leader has no holes, and all that is not chosen is its own. */
    for (uint64_t s = paxos->chosen + 1; s <= paxos->window.last; s++) {
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, s);
        TORC_ASSERT(slot != NULL);
        TORC_ASSERT(base_ballot_equal(slot->entry.ballot, paxos->ballot));
    }
}

void paxos_check(const struct consensus *machine)
{
    const struct paxos *paxos = (const struct paxos *)machine;
    TORC_ASSERT(paxos->votes == (!paxos->amnesiac && paxos->members[paxos->self].voter));
    TORC_ASSERT(paxos->round_max >= paxos->promised.round);
    TORC_ASSERT(paxos->read_count <= paxos->config.reads_max);
    check_order(paxos);
    check_slots(paxos);
    check_role(paxos);
    for (uint32_t i = 0; i < paxos->pending_count; i++)
        TORC_ASSERT(paxos->pending[i].seq > paxos->seq_persisted);
}
