/*
 * What is chosen, and catching up.
 *
 * The leader of ballot b says "chosen up to c" (`commit`). Slot s <= c is marked here only if the
 * own accepted entry there has ballot b: the leader proposed one value in s at b, and that is it.
 * An entry of another ballot may hold anything, so its value is asked for (LEARN). A learned value
 * goes to the log, as chosen, before the mark that covers it (output.c, seal), and counts there as
 * accepted at the promise in force: whatever a ballot at or above the one that chose it proposes in
 * that slot is that value.
 */
#include "paxos/paxos_int.h"

void paxos_chosen_next(struct paxos *paxos)
{
    struct paxos_slot *slot = paxos_window_get(&paxos->window, ++paxos->chosen);
    TORC_ASSERT(slot != NULL);
    paxos->held_bytes -= paxos_value_size(&slot->entry);
}

/* Whether the slot's own entry is what the leader says is chosen. */
static bool matches(const struct paxos *paxos, const struct paxos_slot *slot)
{
    return base_ballot_equal(slot->entry.ballot, paxos->promised) || PAXOS_MUTANT(CHOSEN_BLIND);
}

void paxos_mark(struct paxos *paxos)
{
    for (;;) {
        uint64_t next = paxos->chosen + 1;
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, next);
        if (slot == NULL)
            return;
        if (!slot->learned && (next > paxos->commit || !matches(paxos, slot)))
            return;
        paxos_chosen_next(paxos);
        paxos->behind_compaction = false;
    }
}

static bool missing(struct paxos *paxos, uint64_t s)
{
    const struct paxos_slot *slot = paxos_window_get(&paxos->window, s);
    if (slot == NULL)
        return true;
    if (slot->learned || matches(paxos, slot))
        return false;
    if (s > paxos->mismatch) {
        paxos->mismatch = s;
        paxos->counters.ballot_mismatch++;
    }
    return true;
}

/* Asks the leader for the first run of slots that it says are chosen and that are not here. */
static void ask(struct paxos *paxos)
{
    if (paxos->role != CONSENSUS_FOLLOWER || paxos->leader == 0 || paxos->commit <= paxos->chosen) {
        paxos->learn_ms = 0;
        return;
    }
    if (paxos->learn_ms != 0 && paxos->now_ms < paxos->learn_ms)
        return;
    paxos->learn_ms = 0;
    uint64_t end = paxos_slot_max(paxos);
    if (end > paxos->commit)
        end = paxos->commit;
    uint64_t first = paxos->chosen + 1;
    while (first <= end && !missing(paxos, first))
        first++;
    if (first > end)
        return;
    uint64_t last = first;
    while (last < end && missing(paxos, last + 1))
        last++;
    struct consensus_message *message =
        paxos_send(paxos, paxos_member_of(paxos, paxos->leader), PAXOS_LEARN);
    message->ballot = paxos->promised;
    message->first = first;
    message->last = last;
    paxos->learn_first = first;
    paxos->learn_ms = paxos->now_ms + paxos->config.retransmit_timeout_ms;
}

void paxos_learn(struct paxos *paxos)
{
    paxos_mark(paxos);
    ask(paxos);
}

enum torc_status paxos_on_learned(struct paxos *paxos, uint32_t from,
                                  const struct consensus_message *message)
{
    (void)from;
    if (paxos->role != CONSENSUS_FOLLOWER || message->first == 0 ||
        !base_ballot_equal(message->ballot, paxos->promised))
        return TORC_STALE;
    if ((message->flags & PAXOS_GONE) != 0) {
        paxos->behind_compaction |= message->first > paxos->chosen;
        return TORC_OK;
    }
    for (uint32_t i = 0; i < message->entry_count; i++) {
        struct consensus_entry entry = message->entries[i];
        if (entry.slot <= paxos->chosen)
            continue;
        if (entry.slot > paxos_slot_max(paxos))
            break;
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, entry.slot);
        if (slot != NULL && slot->learned)
            continue;
        entry.ballot = paxos->promised;
        paxos_entry_put(paxos, &entry, CONSENSUS_RECORD_LEARNED);
        paxos->counters.learned++;
        /* Only news of what was asked for asks for more: an answer that comes twice would otherwise
         * double the questions each time. */
        if (entry.slot == paxos->learn_first)
            paxos->learn_ms = 0;
    }
    paxos_learn(paxos);
    return TORC_OK;
}

/* ---- The leader's side of catching up. */

static void learned_send(struct paxos *paxos, uint32_t member, uint32_t place, uint64_t first,
                         uint64_t last, uint32_t flags)
{
    struct consensus_message *message = paxos_send(paxos, member, PAXOS_LEARNED);
    paxos_send_carries(paxos, place);
    message->ballot = paxos->ballot;
    message->first = first;
    message->last = last;
    message->chosen = paxos->chosen;
    message->flags = flags;
}

enum torc_status paxos_on_learn(struct paxos *paxos, uint32_t from,
                                const struct consensus_message *message)
{
    uint64_t first = message->first;
    if (first == 0)
        return TORC_MALFORMED;
    if (paxos->role != CONSENSUS_LEADER || !base_ballot_equal(message->ballot, paxos->ballot) ||
        first > paxos->chosen)
        return TORC_STALE;
    uint64_t last = message->last < paxos->chosen ? message->last : paxos->chosen;
    if (first >= paxos->window.first) {
        uint32_t place = paxos_send_range(paxos, first, last, &last);
        learned_send(paxos, from, place, first, last, 0);
    } else if (first <= paxos->compacted) {
        learned_send(paxos, from, paxos->output.entry_count, first, first, PAXOS_GONE);
    } else if (paxos->load.peer == 0) {
        /* One at a time; who comes in between asks again. */
        uint64_t bound = first + paxos->config.window_entries_max - 1;
        last = last < bound ? last : bound;
        paxos->load.peer = message->from;
        paxos->load.first = first;
        paxos->load.last = last < paxos->window.first ? last : paxos->window.first - 1;
        paxos->load.asked = false;
    }
    return TORC_OK;
}

void paxos_loaded(struct paxos *paxos, const struct consensus_entry *entries, uint32_t count)
{
    if (paxos->load.peer == 0 || !paxos->load.asked)
        return; /* Asked for in an earlier leadership. */
    uint32_t member = paxos_member_of(paxos, paxos->load.peer);
    uint64_t first = paxos->load.first;
    paxos->load.peer = 0;
    uint32_t place = paxos->output.entry_count;
    size_t bytes = 0;
    uint32_t sent = 0;
    for (; sent < count; sent++) {
        if (entries[sent].slot != first + sent)
            break;
        bytes += paxos_entry_cost(&entries[sent]);
        if (sent > 0 && bytes > paxos->config.message_bytes_max)
            break;
        paxos_send_entry(paxos, &entries[sent]);
    }
    paxos->counters.loaded += sent;
    if (sent > 0)
        learned_send(paxos, member, place, first, first + sent - 1, 0);
    else if (first <= paxos->compacted)
        learned_send(paxos, member, place, first, first, PAXOS_GONE);
}

/* ---- Applying. */

/* A chosen slot is applied when its own record is durable too, although others' may have made it
 * chosen. So the state is never ahead of the log, and a record at or below the applied slot always
 * holds the chosen value: without this a lost write would leave there what an earlier ballot had
 * proposed, and a replica that lags would be taught that. */
void paxos_apply_ready(struct paxos *paxos)
{
    while (paxos->handed < paxos->chosen) {
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, paxos->handed + 1);
        TORC_ASSERT(slot != NULL);
        if (slot->seq > paxos->seq_persisted && !PAXOS_MUTANT(APPLIED_UNLOGGED))
            return;
        const struct consensus_entry *entry = &slot->entry;
        int order = base_ballot_compare(entry->origin, paxos->barrier);
        bool value = entry->kind == CONSENSUS_VALUE;
        struct consensus_apply apply = {.entry = *entry};
        apply.effective = value && (order >= 0 || PAXOS_MUTANT(NO_BARRIER_RULE));
        if (entry->kind == CONSENSUS_BARRIER && order > 0)
            paxos->barrier = entry->origin;
        if (value && !apply.effective)
            paxos->counters.voided++;
        apply.barrier = paxos->barrier;
        paxos_apply_out(paxos, &apply);
        paxos->handed++;
    }
}

/* Applied entries stay in memory for those who lag, up to a bound. */
static void evict(struct paxos *paxos)
{
    struct paxos_window *window = &paxos->window;
    while (window->first <= paxos->applied) {
        const struct paxos_slot *slot = paxos_window_get(window, window->first);
        bool fits = paxos->cached_bytes <= paxos->config.cache_bytes_max &&
                    window->last - window->first < PAXOS_SPAN_MAX / 2;
        if (fits)
            return;
        paxos->cached_bytes -= paxos_entry_cost(&slot->entry);
        paxos_window_drop(window, window->first);
    }
}

void paxos_applied(struct paxos *paxos, uint64_t slot)
{
    TORC_ASSERT(slot >= paxos->applied);
    TORC_ASSERT(slot <= paxos->handed);
    while (paxos->applied < slot) {
        paxos->applied++;
        const struct paxos_slot *applied = paxos_window_get(&paxos->window, paxos->applied);
        paxos->cached_bytes += paxos_entry_cost(&applied->entry);
    }
    evict(paxos);
    paxos_fresh_update(paxos, 0);
}

void paxos_durable_raise(struct paxos *paxos, uint64_t slot)
{
    if (slot > paxos->durable)
        paxos->durable = slot;
}

void paxos_trimmed(struct paxos *paxos, uint64_t slot)
{
    TORC_ASSERT(slot <= paxos->applied);
    if (slot > paxos->compacted)
        paxos->compacted = slot;
    paxos_durable_raise(paxos, slot); /* It is in the flushed state. */
}
