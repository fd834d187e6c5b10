#include "paxos/paxos_int.h"

#include <string.h>

#define RESERVE(paxos, array, capacity, count)                                                     \
    ((array) =                                                                                     \
         base_array_reserve((paxos)->allocator, (array), &(capacity), (count), sizeof(*(array))))

struct consensus_message *paxos_send(struct paxos *paxos, uint32_t member,
                                     enum paxos_message_type type)
{
    TORC_ASSERT(member < paxos->config.member_count && member != paxos->self);
    struct paxos_output *out = &paxos->output;
    TORC_ASSERT(!out->given);
    uint32_t count = out->message_count + 1;
    RESERVE(paxos, out->messages, out->message_capacity, count);
    RESERVE(paxos, out->entry_at, out->entry_at_capacity, count);
    struct consensus_message *message = &out->messages[out->message_count];
    out->entry_at[out->message_count] = 0;
    out->message_count = count;
    *message = (struct consensus_message){
        .type = (uint8_t)type,
        .from = paxos->config.replica,
        .to = paxos->members[member].replica,
        .incarnation = paxos->config.incarnation,
    };
    return message;
}

uint32_t paxos_send_entry(struct paxos *paxos, const struct consensus_entry *entry)
{
    struct paxos_output *out = &paxos->output;
    TORC_ASSERT(!out->given);
    RESERVE(paxos, out->entries, out->entry_capacity, out->entry_count + 1);
    out->entries[out->entry_count] = *entry;
    if (entry->value != NULL)
        base_buffer_ref(entry->value);
    return out->entry_count++;
}

void paxos_send_carries(struct paxos *paxos, uint32_t first)
{
    struct paxos_output *out = &paxos->output;
    TORC_ASSERT(out->message_count > 0 && first <= out->entry_count);
    out->entry_at[out->message_count - 1] = first;
    out->messages[out->message_count - 1].entry_count = out->entry_count - first;
}

uint32_t paxos_send_range(struct paxos *paxos, uint64_t first, uint64_t last, uint64_t *ret_last)
{
    uint32_t place = paxos->output.entry_count;
    size_t bytes = 0;
    for (uint64_t s = first; s <= last; s++) {
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, s);
        if (slot != NULL) {
            bytes += paxos_entry_cost(&slot->entry);
            if (bytes > paxos->config.message_bytes_max && paxos->output.entry_count > place) {
                last = s - 1;
                break;
            }
            paxos_send_entry(paxos, &slot->entry);
        }
    }
    *ret_last = last;
    return place;
}

static void release(struct paxos *paxos, const struct consensus_message *reply)
{
    if (reply->type == PAXOS_PROMISE) {
        paxos_promise_report(paxos, reply);
        return;
    }
    struct consensus_message *message =
        paxos_send(paxos, paxos_member_of(paxos, reply->to), (enum paxos_message_type)reply->type);
    message->ballot = reply->ballot;
    message->first = reply->first;
    message->last = reply->last;
    message->chosen = paxos->chosen;
    message->durable = paxos->durable;
}

/* Whether a message that goes first can say what the next one says too. */
static bool merge(struct consensus_message *old, const struct consensus_message *message)
{
    if (old->type != PAXOS_ACCEPTED || message->type != PAXOS_ACCEPTED || old->to != message->to)
        return false;
    if (!base_ballot_equal(old->ballot, message->ballot) || old->last + 1 != message->first)
        return false;
    old->last = message->last;
    return true;
}

void paxos_send_after(struct paxos *paxos, uint64_t seq, const struct consensus_message *message)
{
    bool early = (PAXOS_MUTANT(PROMISE_BEFORE_DURABLE) && message->type == PAXOS_PROMISE) ||
                 (PAXOS_MUTANT(ACCEPT_BEFORE_DURABLE) && message->type == PAXOS_ACCEPTED);
    if (seq <= paxos->seq_persisted || early) {
        release(paxos, message);
        return;
    }
    TORC_ASSERT(seq <= paxos_seq_next(paxos));
    if (paxos->pending_count > 0) {
        struct paxos_pending *newest = &paxos->pending[paxos->pending_count - 1];
        if (newest->seq == seq && merge(&newest->message, message))
            return;
    }
    RESERVE(paxos, paxos->pending, paxos->pending_capacity, paxos->pending_count + 1);
    paxos->pending[paxos->pending_count++] =
        (struct paxos_pending){.seq = seq, .message = *message};
}

void paxos_pending_release(struct paxos *paxos)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < paxos->pending_count; i++) {
        if (paxos->pending[i].seq > paxos->seq_persisted)
            paxos->pending[kept++] = paxos->pending[i];
        else
            release(paxos, &paxos->pending[i].message);
    }
    paxos->pending_count = kept;
}

uint64_t paxos_seq_next(const struct paxos *paxos)
{
    return paxos->seq_last + 1;
}

void paxos_record(struct paxos *paxos, enum consensus_record_kind kind,
                  const struct consensus_entry *entry)
{
    struct paxos_output *out = &paxos->output;
    TORC_ASSERT(!out->given);
    RESERVE(paxos, out->records, out->record_capacity, out->record_count + 1);
    out->records[out->record_count++] = (struct consensus_record){.kind = kind, .entry = *entry};
    if (entry->value != NULL)
        base_buffer_ref(entry->value);
}

void paxos_apply_out(struct paxos *paxos, const struct consensus_apply *apply)
{
    struct paxos_output *out = &paxos->output;
    RESERVE(paxos, out->applies, out->apply_capacity, out->apply_count + 1);
    out->applies[out->apply_count++] = *apply;
    if (apply->entry.value != NULL)
        base_buffer_ref(apply->entry.value);
}

void paxos_read_out(struct paxos *paxos, const struct consensus_read *read)
{
    struct paxos_output *out = &paxos->output;
    RESERVE(paxos, out->reads, out->read_capacity, out->read_count + 1);
    out->reads[out->read_count++] = *read;
}

void paxos_output_clear(struct paxos *paxos)
{
    struct paxos_output *out = &paxos->output;
    for (uint32_t i = 0; i < out->record_count; i++)
        base_buffer_unref(out->records[i].entry.value);
    for (uint32_t i = 0; i < out->entry_count; i++)
        base_buffer_unref(out->entries[i].value);
    for (uint32_t i = 0; i < out->apply_count; i++)
        base_buffer_unref(out->applies[i].entry.value);
    out->record_count = out->message_count = out->entry_count = 0;
    out->apply_count = out->read_count = 0;
    out->given = false;
}

void paxos_output_free(struct paxos *paxos)
{
    paxos_output_clear(paxos);
    struct paxos_output *out = &paxos->output;
    const struct base_allocator *allocator = paxos->allocator;
    base_array_free(allocator, out->records, &out->record_capacity, sizeof(*out->records));
    base_array_free(allocator, out->messages, &out->message_capacity, sizeof(*out->messages));
    base_array_free(allocator, out->entry_at, &out->entry_at_capacity, sizeof(*out->entry_at));
    base_array_free(allocator, out->entries, &out->entry_capacity, sizeof(*out->entries));
    base_array_free(allocator, out->applies, &out->apply_capacity, sizeof(*out->applies));
    base_array_free(allocator, out->reads, &out->read_capacity, sizeof(*out->reads));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t wake_at(const struct paxos *paxos)
{
    uint64_t at = UINT64_MAX;
    if (paxos->role == CONSENSUS_LEADER) {
        at = paxos->heartbeat_ms;
        if (paxos->resend_ms != 0 && paxos->sent > paxos->chosen)
            at = earlier(at, paxos->resend_ms);
        if (paxos->widen_ms != 0 && paxos->confirmed < paxos->round)
            at = earlier(at, paxos->widen_ms);
        if (paxos->transfer_to != 0)
            at = earlier(at, paxos->transfer_ms);
    } else if (paxos->votes) {
        at = paxos->election_ms;
        if (paxos->role == CONSENSUS_CANDIDATE)
            at = earlier(at, paxos->resend_ms);
    }
    if (paxos->learn_ms != 0)
        at = earlier(at, paxos->learn_ms);
    return at;
}

/* Numbers the records as a batch. The mark that goes with it covers only slots whose records are in
 * this batch or an earlier one: an entry is put into the queue in the same step that accepts it,
 * before anything can mark it. A batch counts whole or not at all and only if all before it do, so
 * no mark is ever read back without the records that it speaks of. */
static void seal(struct paxos *paxos, struct consensus_ready *ready)
{
    struct paxos_output *out = &paxos->output;
    ready->mark = paxos->chosen;
    ready->records = out->records;
    ready->record_count = out->record_count;
    if (out->record_count == 0)
        return;
    ready->persist_seq = ++paxos->seq_last;
    RESERVE(paxos, paxos->marks, paxos->mark_capacity, paxos->mark_count + 1);
    paxos->marks[paxos->mark_count++] =
        (struct paxos_mark){.seq = paxos->seq_last, .chosen = paxos->chosen};
}

void paxos_ready(struct consensus *machine, struct consensus_ready *ret_ready)
{
    struct paxos *paxos = (struct paxos *)machine;
    struct paxos_output *out = &paxos->output;
    if (out->given)
        paxos_output_clear(paxos);
    if (paxos->role == CONSENSUS_LEADER) {
        paxos_reads_ask(paxos);
        paxos_leader_flush(paxos);
    }
    paxos_apply_ready(paxos);
    paxos_reads_answer(paxos);
    struct consensus_ready ready = {.wake_at_ms = wake_at(paxos)};
    seal(paxos, &ready);
    for (uint32_t i = 0; i < out->message_count; i++) {
        if (out->messages[i].entry_count > 0)
            out->messages[i].entries = &out->entries[out->entry_at[i]];
    }
    ready.messages = out->messages;
    ready.message_count = out->message_count;
    ready.apply = out->applies;
    ready.apply_count = out->apply_count;
    ready.reads = out->reads;
    ready.read_count = out->read_count;
    if (paxos->load.peer != 0 && !paxos->load.asked) {
        ready.load_first = paxos->load.first;
        ready.load_last = paxos->load.last;
        paxos->load.asked = true;
    }
    out->given = true;
    *ret_ready = ready;
}
