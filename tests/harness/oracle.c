/*
 * What must hold, judged with true time by somebody who sees all nodes. The numbers are those of
 * the invariants in docs/protocol.md.
 */
#include "tests/harness/harness.h"

#include <string.h>

#include "base/assert.h"

#define GROW(harness, array, capacity, count)                                                      \
    ((array) = base_array_reserve((harness)->allocator, (array), &(capacity), (count),             \
                                  sizeof(*(array))))

void oracle_fini(struct oracle *oracle, const struct base_allocator *allocator)
{
    for (size_t s = 0; s < oracle->slot_capacity; s++)
        base_array_free(allocator, oracle->slots[s].proposals, &oracle->slots[s].proposal_capacity,
                        sizeof(*oracle->slots[s].proposals));
    base_array_free(allocator, oracle->slots, &oracle->slot_capacity, sizeof(*oracle->slots));
    base_array_free(allocator, oracle->values, &oracle->value_capacity, sizeof(*oracle->values));
    base_array_free(allocator, oracle->seen, &oracle->seen_capacity, sizeof(*oracle->seen));
}

static struct oracle_slot *slot_of(struct harness *harness, uint64_t slot)
{
    struct oracle *oracle = &harness->oracle;
    size_t old = oracle->slot_capacity;
    GROW(harness, oracle->slots, oracle->slot_capacity, slot + 1);
    memset(oracle->slots + old, 0, (oracle->slot_capacity - old) * sizeof(*oracle->slots));
    return &oracle->slots[slot];
}

static struct oracle_identity identity_of(const struct consensus_entry *entry)
{
    return (struct oracle_identity){
        .kind = entry->kind,
        .origin = entry->origin,
        .value = entry->value == NULL ? 0 : base_get_le64(entry->value->data),
    };
}

static bool same(struct oracle_identity a, struct oracle_identity b)
{
    return a.kind == b.kind && base_ballot_equal(a.origin, b.origin) && a.value == b.value;
}

/* ---- Values, and what clients saw. */

uint64_t oracle_propose(struct harness *harness, const struct harness_node *node)
{
    struct oracle *oracle = &harness->oracle;
    if (oracle->value_count == 0)
        oracle->value_count = 1; /* 0 is none. */
    GROW(harness, oracle->values, oracle->value_capacity, oracle->value_count + 1);
    oracle->values[oracle->value_count] =
        (struct oracle_value){.node = node->index, .life = node->life};
    return oracle->value_count++;
}

void oracle_proposed(struct harness *harness, uint64_t value, uint64_t slot)
{
    harness->oracle.values[value].slot = slot;
}

uint64_t oracle_seen_now(const struct harness *harness)
{
    const struct oracle *oracle = &harness->oracle;
    return oracle->seen_count == 0 ? 0 : oracle->seen[oracle->seen_count - 1].slot;
}

void oracle_seen(struct harness *harness, uint64_t slot)
{
    struct oracle *oracle = &harness->oracle;
    if (slot <= oracle_seen_now(harness))
        return;
    GROW(harness, oracle->seen, oracle->seen_capacity, oracle->seen_count + 1);
    oracle->seen[oracle->seen_count++] =
        (struct oracle_seen){.at_us = harness->now_us, .slot = slot};
}

/* Highest slot whose effects a client had seen strictly before `at_us`. */
static uint64_t seen_before(const struct oracle *oracle, uint64_t at_us)
{
    size_t low = 0, high = oracle->seen_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (oracle->seen[middle].at_us < at_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : oracle->seen[low - 1].slot;
}

void oracle_read(struct harness *harness, const struct harness_node *node, uint64_t applied,
                 uint64_t must_hold)
{
    if (applied < must_hold)
        harness_fail(harness,
                     "stale read at replica %u: from slot %llu, when slot %llu had been seen",
                     node->index + 1, (unsigned long long)applied, (unsigned long long)must_hold);
    oracle_seen(harness, applied);
}

/* ---- What leaves a node. */

/* S4: each slot that is vouched for has a synced record of at least that ballot, or is chosen. */
static void check_accepted(struct harness *harness, struct harness_node *node,
                           const struct consensus_message *message)
{
    struct consensus_info info;
    node_info(node, &info);
    for (uint64_t s = message->first; s <= message->last; s++) {
        const struct consensus_entry *entry = disk_entry(&node->disk, s);
        bool synced = entry != NULL && base_ballot_compare(entry->ballot, message->ballot) >= 0;
        bool known = s < harness->oracle.slot_capacity && harness->oracle.slots[s].chosen;
        if (!synced && s > info.chosen && !known)
            harness_fail(harness, "S4: replica %u acknowledges slot %llu, which is not durable",
                         node->index + 1, (unsigned long long)s);
    }
}

static void check_promise(struct harness *harness, struct harness_node *node,
                          const struct consensus_message *message)
{
    harness->coverage->promise_chunks += (message->flags & PAXOS_END) == 0;
    for (uint32_t i = 0; i < message->entry_count; i++) {
        const struct consensus_entry *entry = &message->entries[i];
        const struct consensus_entry *synced = disk_entry(&node->disk, entry->slot);
        bool durable = synced != NULL && same(identity_of(synced), identity_of(entry));
        bool own = base_ballot_equal(entry->ballot, message->ballot);
        if (!durable && !own && entry->slot > message->chosen)
            harness_fail(harness, "S4: replica %u reports slot %llu, which is not durable",
                         node->index + 1, (unsigned long long)entry->slot);
    }
}

static void check_vote(struct harness *harness, struct harness_node *node,
                       const struct consensus_message *message)
{
    if (node->amnesiac)
        harness_fail(harness, "S10: the amnesiac replica %u sends a %s", node->index + 1,
                     paxos_type.message_name(message->type));
    if (message->type == PAXOS_CANVASS_REPLY || message->type == PAXOS_HEARTBEAT_REPLY)
        return;
    if (base_ballot_compare(node->disk.promised, message->ballot) < 0)
        harness_fail(harness, "S4: replica %u sends a %s above its durable promise",
                     node->index + 1, paxos_type.message_name(message->type));
    if (base_ballot_compare(message->ballot, node->vouched) < 0)
        harness_fail(harness, "S5: replica %u sends a %s below what it promised", node->index + 1,
                     paxos_type.message_name(message->type));
    node->vouched = message->ballot;
}

/* S6: one value per slot and ballot. Returns what is known of it. */
static struct oracle_proposal *proposal_of(struct harness *harness,
                                           const struct consensus_entry *entry)
{
    struct oracle_slot *slot = slot_of(harness, entry->slot);
    struct oracle_identity identity = identity_of(entry);
    uint32_t p = slot->proposal_count;
    while (p > 0 && !base_ballot_equal(slot->proposals[p - 1].ballot, entry->ballot))
        p--;
    if (p > 0 && !same(slot->proposals[p - 1].identity, identity))
        harness_fail(harness, "S6: two values in slot %llu at one ballot of node %u",
                     (unsigned long long)entry->slot, entry->ballot.node);
    if (p > 0)
        return &slot->proposals[p - 1];
    GROW(harness, slot->proposals, slot->proposal_capacity, slot->proposal_count + 1);
    slot->proposals[slot->proposal_count] =
        (struct oracle_proposal){.ballot = entry->ballot, .identity = identity};
    return &slot->proposals[slot->proposal_count++];
}

void oracle_durable(struct harness *harness, const struct harness_node *node,
                    const struct consensus_entry *entry)
{
    if (entry->slot != 0)
        proposal_of(harness, entry)->holders |= 1u << node->index;
}

void oracle_send(struct harness *harness, struct harness_node *node,
                 const struct consensus_message *message)
{
    harness_note(harness, message->type | message->from << 8 | message->to << 16);
    harness_note(harness, message->ballot.round << 16 | message->first);
    harness_note(harness, message->last << 32 ^ message->chosen << 16 ^ message->round);
    harness_note(harness, (uint64_t)message->flags << 32 | message->entry_count);
    switch (message->type) {
    case PAXOS_PROMISE:
        check_vote(harness, node, message);
        check_promise(harness, node, message);
        break;
    case PAXOS_ACCEPTED:
        check_vote(harness, node, message);
        check_accepted(harness, node, message);
        break;
    case PAXOS_PREPARE:
        harness->coverage->handovers += (message->flags & PAXOS_HANDOVER) != 0;
        check_vote(harness, node, message);
        break;
    case PAXOS_CANVASS_REPLY:
        check_vote(harness, node, message);
        break;
    case PAXOS_HEARTBEAT_REPLY:
        if ((message->flags & PAXOS_AMNESIAC) == 0)
            check_vote(harness, node, message);
        break;
    case PAXOS_ACCEPT:
        for (uint32_t i = 0; i < message->entry_count; i++)
            proposal_of(harness, &message->entries[i]);
        break;
    case PAXOS_REFUSED:
        harness->coverage->promises_refused_behind += (message->flags & PAXOS_BEHIND) != 0;
        break;
    case PAXOS_LEARNED:
        harness->coverage->learned_gone += (message->flags & PAXOS_GONE) != 0;
        break;
    default:
        break;
    }
}

void oracle_record(struct harness *harness, struct harness_node *node,
                   const struct consensus_record *record)
{
    const struct consensus_entry *entry = &record->entry;
    harness_note(harness, (uint64_t)record->kind << 56 | entry->slot << 8 | node->index);
    if (record->kind != CONSENSUS_RECORD_LEARNED || !harness->oracle.slots[entry->slot].chosen)
        return;
    if (!same(harness->oracle.slots[entry->slot].identity, identity_of(entry)))
        harness_fail(harness, "S1: replica %u learns something else in slot %llu", node->index + 1,
                     (unsigned long long)entry->slot);
}

/* ---- What is chosen. */

/* S3: a quorum of voters has durably accepted the value at one ballot. A damaged replica did so
 * once, which is what it vouched for. */
static void check_durable(struct harness *harness, uint64_t s, struct oracle_identity identity)
{
    const struct oracle_slot *slot = &harness->oracle.slots[s];
    for (uint32_t p = 0; p < slot->proposal_count; p++) {
        const struct oracle_proposal *proposal = &slot->proposals[p];
        uint32_t holders = 0;
        for (uint32_t i = 0; i < harness->options.voters; i++)
            holders += proposal->holders >> i & 1;
        if (2 * holders > harness->options.voters && same(proposal->identity, identity))
            return;
    }
    harness_fail(harness, "S3: slot %llu is chosen, and no quorum has accepted it durably",
                 (unsigned long long)s);
}

static void choose(struct harness *harness, const struct consensus_apply *apply)
{
    struct oracle *oracle = &harness->oracle;
    uint64_t s = apply->entry.slot;
    struct oracle_identity identity = identity_of(&apply->entry);
    if (s != oracle->last + 1)
        harness_fail(harness, "S8: slot %llu is applied before slot %llu", (unsigned long long)s,
                     (unsigned long long)oracle->last + 1);
    check_durable(harness, s, identity);
    if (identity.kind == CONSENSUS_VALUE) {
        bool known = identity.value > 0 && identity.value < oracle->value_count;
        if (!known || oracle->values[identity.value].slot != s)
            harness_fail(harness, "S2: slot %llu holds what nobody proposed there",
                         (unsigned long long)s);
    }
    struct oracle_slot *slot = &oracle->slots[s];
    struct base_ballot barrier = oracle->slots[s - 1].barrier;
    slot->chosen = true;
    slot->identity = identity;
    slot->effective =
        identity.kind == CONSENSUS_VALUE && base_ballot_compare(identity.origin, barrier) >= 0;
    bool raises =
        identity.kind == CONSENSUS_BARRIER && base_ballot_compare(identity.origin, barrier) > 0;
    slot->barrier = raises ? identity.origin : barrier;
    oracle->last = s;
}

void oracle_apply(struct harness *harness, struct harness_node *node,
                  const struct consensus_apply *apply)
{
    struct oracle *oracle = &harness->oracle;
    uint64_t s = apply->entry.slot;
    if (s != node->applied + 1)
        harness_fail(harness, "S8: replica %u applies slot %llu after slot %llu", node->index + 1,
                     (unsigned long long)s, (unsigned long long)node->applied);
    if (!slot_of(harness, s)->chosen)
        choose(harness, apply);
    const struct oracle_slot *slot = &oracle->slots[s];
    if (!same(slot->identity, identity_of(&apply->entry)))
        harness_fail(harness, "S1: replica %u applies another value in slot %llu", node->index + 1,
                     (unsigned long long)s);
    if (slot->effective != apply->effective || !base_ballot_equal(slot->barrier, apply->barrier))
        harness_fail(harness, "S7: replica %u applies slot %llu to another effect", node->index + 1,
                     (unsigned long long)s);
    const struct consensus_entry *own = disk_entry(&node->disk, s);
    if (own == NULL || !same(identity_of(own), slot->identity))
        harness_fail(harness, "replica %u applies slot %llu, which its log does not hold",
                     node->index + 1, (unsigned long long)s);
    node->applied = s;
    harness_note(harness, s << 8 | node->index);
    const struct oracle_value *value = &oracle->values[slot->identity.value];
    if (slot->identity.kind == CONSENSUS_VALUE && slot->effective && value->node == node->index &&
        value->life == node->life) {
        harness->coverage->acknowledged++;
        oracle_seen(harness, s);
        if (harness->healed)
            harness->healed_slot = s;
    }
}

/* ---- After every step. */

/* S11: at most one lease in true time, and none while anybody leads under a higher ballot: whoever
 * granted the lease promises nobody until it has run out, and a quorum did. */
static void check_leases(struct harness *harness)
{
    struct base_ballot leader = {.round = 0}, holder = {.round = UINT64_MAX};
    uint32_t holders = 0;
    for (uint32_t i = 0; i < harness->node_count; i++) {
        const struct harness_node *node = &harness->nodes[i];
        if (node->machine == NULL)
            continue;
        struct consensus_info info;
        node_info(node, &info);
        if (info.role == CONSENSUS_LEADER && base_ballot_compare(info.ballot, leader) > 0)
            leader = info.ballot;
        if (consensus_lease_holds(node->machine, node_clock_ms(harness, node))) {
            holder = info.ballot;
            holders++;
        }
    }
    if (holders > 1)
        harness_fail(harness, "S11: %u replicas hold a lease", holders);
    if (base_ballot_compare(holder, leader) < 0)
        harness_fail(harness, "S11: a lease of node %u outlives the election of node %u",
                     holder.node, leader.node);
}

static void check_fresh(struct harness *harness, struct harness_node *node,
                        const struct consensus_info *info)
{
    if (info->fresh_at_ms == node->checked_fresh_ms)
        return;
    if (info->fresh_at_ms < node->checked_fresh_ms)
        harness_fail(harness, "replica %u grows younger", node->index + 1);
    node->checked_fresh_ms = info->fresh_at_ms;
    harness->coverage->stale_reads_checked++;
    uint64_t at_us = node_true_us(node, info->fresh_at_ms);
    uint64_t needed = seen_before(&harness->oracle, at_us);
    if (info->applied < needed)
        harness_fail(harness,
                     "replica %u says that slot %llu is all there was at its %llu ms, but slot "
                     "%llu had been seen",
                     node->index + 1, (unsigned long long)info->applied,
                     (unsigned long long)info->fresh_at_ms, (unsigned long long)needed);
}

void oracle_check(struct harness *harness, struct harness_node *node)
{
    consensus_check(node->machine);
    struct consensus_info info;
    node_info(node, &info);
    if (info.applied != node->applied || info.chosen < info.applied)
        harness_fail(harness, "S8: replica %u applied more than is chosen", node->index + 1);
    check_fresh(harness, node, &info);
    if (harness->options.config.lease_ms > 0)
        check_leases(harness);
}
