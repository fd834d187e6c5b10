/* What is seen of a node, read once and shown to all checkers over the ledger: records handed to
 * its log, records that are synced, what a recovery finds, messages as they leave. A node that is
 * not itself (wiped, or on an old copy of its disk) tells nothing: check_vote.c wants it silent. */
#include "paxos/paxos.h"
#include "tests/sim/ledger.h"

/* ---- The log. */

/* Only the life for which the map marked a replica's id builds it: what another life may have
 * promised under it is not known. The placement group's are built when the first map comes. */
static void check_birth(struct sim *sim, const struct sim_host *host,
                        const struct store_record *record)
{
    const struct shard_map *map = shard_node_map(host->node);
    const struct shard_map_group *group = shard_map_find_group(map, record->group);
    const struct shard_map_replica *replica =
        group == NULL ? NULL : shard_map_replica_on(group, host->id);
    if (record->group == SHARD_PLACEMENT_GROUP)
        return;
    if (replica == NULL || replica->id != record->replica || !replica->used ||
        replica->used_by != host->superblock.incarnation)
        sim_fail(sim, "durable", "S10: group %u: node %u builds a replica that is not its to build",
                 record->group, host->id);
}

static void give(struct sim *sim, const struct sim_host *host, const struct store_record *record)
{
    struct ledger *ledger = sim->ledger;
    uint32_t node = host->index;
    struct ledger_replica *replica = ledger_replica(ledger, record->group, node);
    if (replica == NULL || replica->id != record->replica)
        sim_fail(sim, "durable", "node %u logs for replica %llu of group %u", host->id,
                 (unsigned long long)record->replica, record->group);
    switch (record->kind) {
    case STORE_RECORD_REPLICA:
        check_birth(sim, host, record);
        replica->born_given = true;
        return;
    case STORE_RECORD_PROMISE:
        check_promise_given(sim, host, record->group, record->ballot);
        return;
    case STORE_RECORD_ENTRY:
    case STORE_RECORD_LEARNED: {
        bool learned = record->kind == STORE_RECORD_LEARNED;
        if (!learned)
            check_promise_kept(sim, host, record->group, record->ballot);
        uint32_t proposal = check_entry_given(sim, host, record);
        struct ledger_slot *slot = ledger_slot(ledger, record->group, record->slot);
        sim->coverage->learned_over_another +=
            learned && slot->given[node] != 0 && slot->given[node] != proposal;
        slot->given[node] = proposal;
        if (record->slot > replica->last)
            replica->last = record->slot;
        return;
    }
    case STORE_RECORD_MARK:
        check_marked(sim, host, record->group, record->slot);
        return;
    case STORE_RECORD_DROP:
    case STORE_RECORD_DAMAGE:
        return;
    }
}

void witness_given(struct sim *sim, const struct sim_host *host,
                   const struct shard_log_batch *batch)
{
    if (host->identity != SIM_GENUINE)
        return;
    for (size_t i = 0; i < batch->record_count; i++)
        give(sim, host, &batch->records[i]);
}

static void hold(struct sim *sim, const struct sim_host *host, const struct store_record *record)
{
    struct ledger *ledger = sim->ledger;
    uint32_t node = host->index;
    struct ledger_replica *replica = ledger_replica(ledger, record->group, node);
    if (record->kind == STORE_RECORD_REPLICA)
        replica->born = true;
    if (record->kind == STORE_RECORD_MARK && record->slot > replica->marked)
        replica->marked = record->slot;
    if ((record->kind == STORE_RECORD_PROMISE || record->kind == STORE_RECORD_ENTRY) &&
        base_ballot_compare(record->ballot, replica->promised) > 0)
        replica->promised = record->ballot;
    /* A candidate's own promise counts when it is synced, and asks nobody: it may be all. */
    if (record->kind == STORE_RECORD_PROMISE && record->ballot.node == host->id)
        ledger_ballot(ledger, record->group, record->ballot)->promises |= 1u << node;
    if (record->kind != STORE_RECORD_ENTRY && record->kind != STORE_RECORD_LEARNED)
        return;
    struct ledger_slot *slot = ledger_slot(ledger, record->group, record->slot);
    uint32_t proposal = ledger_find(ledger, slot, record->ballot);
    slot->held[node] = proposal;
    if (record->kind == STORE_RECORD_ENTRY &&
        !ledger_accepted(ledger, record->group, record->slot, proposal, node))
        sim_fail(sim, "chosen", "S1: group %u: two values are chosen in slot %llu", record->group,
                 (unsigned long long)record->slot);
}

void witness_stored(struct sim *sim, const struct sim_host *host,
                    const struct shard_log_batch *batch, uint64_t number)
{
    if (host->identity != SIM_GENUINE)
        return;
    for (size_t i = 0; i < batch->record_count; i++)
        hold(sim, host, &batch->records[i]);
    sim->ledger->batches[host->index] = number;
}

void witness_trimmed(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot)
{
    struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    if (host->identity == SIM_GENUINE && slot > replica->trimmed)
        replica->trimmed = slot;
}

/* ---- Recovery. */

void witness_opening(struct sim *sim)
{
    sim->ledger->found_count = 0;
}

void witness_found(struct sim *sim, const struct sim_host *host, const struct store_record *record)
{
    if (host->identity == SIM_GENUINE)
        check_found(sim, host, record);
}

void witness_recovered(struct sim *sim, const struct sim_host *host, uint64_t batch)
{
    if (host->identity != SIM_GENUINE)
        return;
    struct ledger *ledger = sim->ledger;
    check_recovered(sim, host);
    if (batch < ledger->batches[host->index])
        sim_fail(sim, "recovery", "S4: node %u finds batch %llu the last, and %llu was synced",
                 host->id, (unsigned long long)batch,
                 (unsigned long long)ledger->batches[host->index]);
    ledger->batches[host->index] = batch;
    if (host->superblock.incarnation <= ledger->incarnations[host->index])
        sim_fail(sim, "ballots", "S5: node %u lives life %u again", host->id,
                 host->superblock.incarnation);
    ledger->incarnations[host->index] = host->superblock.incarnation;
}

/* ---- Messages. */

static struct base_ballot ballot_of(const Torc__Wire__Ballot *ballot)
{
    if (ballot == NULL)
        return (struct base_ballot){0};
    return (struct base_ballot){
        .round = ballot->round, .node = ballot->node, .incarnation = ballot->incarnation};
}

/* The heads of the message's entries and their values, as the ledger knows them. */
static const struct ledger_entry *entries_of(struct sim *sim,
                                             const Torc__Wire__GroupMessage *message,
                                             struct base_bytes payload, size_t *payload_at)
{
    struct ledger *ledger = sim->ledger;
    ledger->entries = base_array_reserve(sim->allocator, ledger->entries, &ledger->entries_capacity,
                                         message->n_entries + 1, sizeof(*ledger->entries));
    for (size_t i = 0; i < message->n_entries; i++) {
        const Torc__Wire__Entry *entry = message->entries[i];
        if (entry->value_size > payload.size - *payload_at)
            sim_fail(sim, "codec", "a message of group %u is short of a value", message->group);
        struct base_bytes value = base_bytes_of(payload.data + *payload_at, entry->value_size);
        ledger->entries[i] =
            (struct ledger_entry){.slot = entry->slot,
                                  .ballot = ballot_of(entry->ballot),
                                  .value = ledger_value((enum consensus_entry_kind)entry->kind,
                                                        ballot_of(entry->origin), value)};
        *payload_at += entry->value_size;
    }
    return ledger->entries;
}

static void look_at(struct sim *sim, const struct sim_host *host, uint32_t group,
                    const struct consensus_message *message, const struct ledger_entry *entries)
{
    faults_message(sim, host->id, group, message->type);
    check_durable_message(sim, host, group, message, entries);
    check_chosen_claim(sim, host, group, message->chosen, "tells of chosen slots");
    check_ballot_owner(sim, host, group, message);
    switch ((enum paxos_message_type)message->type) {
    case PAXOS_ACCEPT:
        for (uint32_t i = 0; i < message->entry_count; i++)
            check_entry_sent(sim, host, group, &entries[i]);
        return;
    case PAXOS_LEARNED:
        for (uint32_t i = 0; i < message->entry_count; i++)
            check_chosen_value(sim, host, group, entries[i].slot, entries[i].value, "teaches");
        return;
    case PAXOS_PREPARE:
    case PAXOS_PROMISE:
    case PAXOS_ACCEPTED:
    case PAXOS_CANVASS_REPLY:
    case PAXOS_HEARTBEAT_REPLY:
        check_ballot_vote(sim, host, group, message);
        return;
    default:
        return;
    }
}

static void consensus_sent(struct sim *sim, const struct sim_host *host,
                           const struct wire_envelope *envelope)
{
    const ProtobufCMessage *body;
    if (wire_body_read(sim->arena, envelope, &body) != TORC_OK)
        sim_fail(sim, "codec", "node %u sends a body that does not decode", host->id);
    const Torc__Wire__Consensus *messages = (const Torc__Wire__Consensus *)body;
    size_t payload_at = 0;
    for (size_t i = 0; i < messages->n_messages; i++) {
        const Torc__Wire__GroupMessage *from = messages->messages[i];
        if (ledger_replica(sim->ledger, from->group, host->index) == NULL)
            sim_fail(sim, "durable", "node %u speaks for group %u", host->id, from->group);
        const struct ledger_entry *entries = entries_of(sim, from, envelope->payload, &payload_at);
        struct consensus_message message = {.type = (uint8_t)from->type,
                                            .from = from->from,
                                            .to = from->to,
                                            .ballot = ballot_of(from->ballot),
                                            .first = from->first,
                                            .last = from->last,
                                            .chosen = from->chosen,
                                            .durable = from->durable,
                                            .floor = from->floor,
                                            .flags = from->flags,
                                            .entry_count = (uint32_t)from->n_entries};
        look_at(sim, host, from->group, &message, entries);
    }
    if (payload_at != envelope->payload.size)
        sim_fail(sim, "codec", "node %u sends more than its messages say", host->id);
}

void witness_sent(struct sim *sim, const struct sim_host *host,
                  const struct wire_envelope *envelope)
{
    if (host->identity != SIM_GENUINE)
        return;
    check_durable_envelope(sim, host, envelope);
    if (envelope->type == WIRE_TYPE_CONSENSUS)
        consensus_sent(sim, host, envelope);
}
