#include "paxos/paxos.h"

#include <string.h>

#include "paxos/paxos_int.h"

uint32_t paxos_mask_of(uint32_t member)
{
    TORC_ASSERT(member < CONSENSUS_MEMBERS_MAX);
    return UINT32_C(1) << member;
}

uint32_t paxos_member_of(const struct paxos *paxos, uint64_t replica)
{
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        if (paxos->members[i].replica == replica)
            return i;
    }
    return CONSENSUS_MEMBERS_MAX;
}

uint64_t paxos_soon(struct paxos *paxos, uint64_t wait_ms)
{
    return paxos->now_ms + base_prng_range(&paxos->prng, wait_ms, 2 * wait_ms);
}

static void configure(struct paxos *paxos, const struct consensus_config *config)
{
    paxos->config = *config;
    memcpy(paxos->members, config->members, config->member_count * sizeof(*paxos->members));
    paxos->config.members = paxos->members;
    paxos->self = paxos_member_of(paxos, config->replica);
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (paxos->members[i].voter)
            paxos->voters |= paxos_mask_of(i);
    }
    paxos->prng = base_prng_seeded(config->seed);
}

static struct base_ballot higher(struct base_ballot a, struct base_ballot b)
{
    return base_ballot_compare(a, b) >= 0 ? a : b;
}

/* All that recovery found is durable: slots keep seq 0, as the first batch is 1. */
static void recover(struct paxos *paxos, const struct consensus_boot *boot)
{
    paxos->promised = boot->promised;
    paxos->applied = paxos->handed = paxos->chosen = boot->applied;
    paxos->barrier = boot->barrier;
    paxos->compacted = boot->compacted;
    TORC_ASSERT(boot->compacted <= boot->applied);
    paxos_window_init(&paxos->window, paxos->allocator, boot->applied + 1);
    for (uint32_t i = 0; i < boot->entry_count; i++) {
        const struct consensus_entry *entry = &boot->entries[i];
        TORC_ASSERT(entry->slot > paxos->window.last);
        paxos_window_put(&paxos->window, entry);
        paxos->promised = higher(paxos->promised, entry->ballot);
    }
    /* A mark covers only slots whose records stand before it in the log; a hole below it means that
     * the log lost some, and then the mark counts only up to there. */
    while (paxos->chosen < boot->chosen &&
           paxos_window_get(&paxos->window, paxos->chosen + 1) != NULL)
        paxos->chosen++;
    for (uint64_t s = paxos->chosen + 1; s <= paxos->window.last; s++) {
        const struct paxos_slot *slot = paxos_window_get(&paxos->window, s);
        if (slot != NULL)
            paxos->held_bytes += paxos_value_size(&slot->entry);
    }
    paxos->durable = paxos->chosen;
    paxos->round_max = paxos->promised.round;
    paxos->grant_until_ms = paxos->now_ms + boot->lease_wait_ms + (boot->lease_wait_ms > 0);
    if (PAXOS_MUTANT(LEASE_FORGOTTEN_AT_BOOT))
        paxos->grant_until_ms = 0;
}

static struct consensus *create(const struct base_allocator *allocator,
                                const struct consensus_config *config,
                                const struct consensus_boot *boot, uint64_t now_ms)
{
    struct paxos *paxos = base_alloc_zero(allocator, sizeof(*paxos));
    paxos->base.type = &paxos_type;
    paxos->allocator = allocator;
    paxos->now_ms = now_ms;
    configure(paxos, config);
    recover(paxos, boot);
    paxos_window_init(&paxos->found, allocator, 1);
    paxos->amnesiac = boot->amnesiac;
    paxos->votes = paxos->members[paxos->self].voter && !boot->amnesiac;
    if (PAXOS_MUTANT(AMNESIAC_VOTES)) {
        paxos->amnesiac = false;
        paxos->votes = paxos->members[paxos->self].voter;
    }
    paxos->role = CONSENSUS_FOLLOWER;
    paxos->election_ms = paxos_soon(paxos, config->election_timeout_ms);
    paxos->patience_ms = paxos->election_ms - now_ms;
    return &paxos->base;
}

static void destroy(struct consensus *machine)
{
    struct paxos *paxos = (struct paxos *)machine;
    paxos_output_free(paxos);
    paxos_window_fini(&paxos->window);
    paxos_window_fini(&paxos->found);
    base_array_free(paxos->allocator, paxos->pending, &paxos->pending_capacity,
                    sizeof(*paxos->pending));
    base_array_free(paxos->allocator, paxos->marks, &paxos->mark_capacity, sizeof(*paxos->marks));
    base_array_free(paxos->allocator, paxos->reads, &paxos->read_capacity, sizeof(*paxos->reads));
    base_free(paxos->allocator, paxos, sizeof(*paxos));
}

static void persisted(struct paxos *paxos, uint64_t seq)
{
    TORC_ASSERT(seq <= paxos->seq_last);
    if (seq <= paxos->seq_persisted)
        return;
    paxos->seq_persisted = seq;
    uint32_t done = 0;
    for (; done < paxos->mark_count && paxos->marks[done].seq <= seq; done++)
        paxos_durable_raise(paxos, paxos->marks[done].chosen);
    paxos->mark_count -= done;
    if (paxos->mark_count > 0)
        memmove(paxos->marks, paxos->marks + done, paxos->mark_count * sizeof(*paxos->marks));
    paxos_pending_release(paxos);
    paxos_election_persisted(paxos);
    paxos_leader_persisted(paxos);
}

static void tick(struct paxos *paxos)
{
    if (paxos->role == CONSENSUS_LEADER)
        paxos_leader_tick(paxos);
    else
        paxos_election_tick(paxos);
    paxos_learn(paxos);
}

static enum torc_status step(struct consensus *machine, const struct consensus_event *event)
{
    struct paxos *paxos = (struct paxos *)machine;
    TORC_ASSERT(event->now_ms >= paxos->now_ms);
    paxos->now_ms = event->now_ms;
    if (paxos->output.given)
        paxos_output_clear(paxos);
    switch (event->type) {
    case CONSENSUS_TICK:
        tick(paxos);
        return TORC_OK;
    case CONSENSUS_RECEIVE:
        return paxos_receive(paxos, event->u.receive);
    case CONSENSUS_PROPOSE:
        return paxos_propose(paxos, event->u.propose);
    case CONSENSUS_READ:
        return paxos_read(paxos, event->u.read.id, event->u.read.mode);
    case CONSENSUS_PERSISTED:
        persisted(paxos, event->u.persisted_seq);
        return TORC_OK;
    case CONSENSUS_APPLIED:
        paxos_applied(paxos, event->u.applied_slot);
        return TORC_OK;
    case CONSENSUS_LOADED:
        paxos_loaded(paxos, event->u.loaded.entries, event->u.loaded.entry_count);
        return TORC_OK;
    case CONSENSUS_TRIMMED:
        paxos_trimmed(paxos, event->u.trimmed_slot);
        return TORC_OK;
    case CONSENSUS_TRANSFER:
        return paxos_transfer(paxos, event->u.transfer_to);
    }
    TORC_ASSERT(!"an event of no known type");
    return TORC_OK;
}

static void info(const struct consensus *machine, struct consensus_info *ret_info)
{
    const struct paxos *paxos = (const struct paxos *)machine;
    *ret_info = (struct consensus_info){
        .role = paxos->role,
        .serving = paxos_serving(paxos),
        .transferring = paxos->transfer_to != 0,
        .amnesiac = paxos->amnesiac,
        .behind_compaction = paxos->behind_compaction,
        .ballot = paxos->promised,
        .leader = paxos->leader,
        .chosen = paxos->chosen,
        .applied = paxos->applied,
        .last = paxos->window.last,
        .durable = paxos->durable,
        .floor = paxos->floor,
        .compacted = paxos->compacted,
        .fresh_at_ms = paxos->fresh_at_ms,
    };
    if (paxos->role == CONSENSUS_LEADER)
        ret_info->inflight = (uint32_t)(paxos->window.last - paxos->chosen);
}

static uint32_t progress(const struct consensus *machine, struct consensus_progress *ret_progress)
{
    const struct paxos *paxos = (const struct paxos *)machine;
    for (uint32_t i = 0; i < paxos->config.member_count; i++) {
        const struct paxos_peer *peer = &paxos->peers[i];
        bool self = i == paxos->self;
        ret_progress[i] = (struct consensus_progress){
            .replica = paxos->members[i].replica,
            .durable = self ? paxos->durable : peer->durable,
            .heard_ms = self ? paxos->now_ms : peer->heard_ms,
        };
    }
    return paxos->config.member_count;
}

static const struct consensus_counters *counters(const struct consensus *machine)
{
    return &((const struct paxos *)machine)->counters;
}

const struct consensus_type paxos_type = {
    .name = "paxos",
    .message_name = paxos_message_name,
    .create = create,
    .destroy = destroy,
    .step = step,
    .ready = paxos_ready,
    .lease_holds = paxos_lease_holds,
    .info = info,
    .progress = progress,
    .counters = counters,
    .check = paxos_check,
};
