/* What a message vouches for was in synced storage when it was sent (S4), and its numbers say no
 * more than is so (S8). */
#include "paxos/paxos.h"
#include "tests/sim/ledger.h"

void check_durable_envelope(struct sim *sim, const struct sim_host *host,
                            const struct wire_envelope *envelope)
{
    if (envelope->durable_batch > sim->ledger->batches[host->index])
        sim_fail(sim, "durable", "S4: node %u calls batch %llu of its log synced", host->id,
                 (unsigned long long)envelope->durable_batch);
    if (envelope->incarnation != host->superblock.incarnation)
        sim_fail(sim, "durable", "S4: node %u speaks for its life %u", host->id,
                 envelope->incarnation);
}

/* Each slot has a synced record of at least that ballot, or one that was learned, or is chosen:
 * whatever is proposed there later is what is chosen. */
static void check_accepted(struct sim *sim, const struct sim_host *host, uint32_t group,
                           const struct consensus_message *message)
{
    struct ledger *ledger = sim->ledger;
    for (uint64_t s = message->first; s <= message->last; s++) {
        const struct ledger_slot *slot = ledger_slot(ledger, group, s);
        uint32_t held = slot->held[host->index];
        bool synced = held != 0 && base_ballot_compare(ledger_proposal(ledger, held)->ballot,
                                                       message->ballot) >= 0;
        if (!synced && slot->chosen == 0)
            sim_fail(sim, "durable", "S4: group %u: node %u acknowledges slot %llu, not synced",
                     group, host->id, (unsigned long long)s);
    }
}

/* A promise reports all that was accepted below it in the slots that it covers, and nothing else.
 */
static void check_report(struct sim *sim, const struct sim_host *host, uint32_t group,
                         const struct consensus_message *message,
                         const struct ledger_entry *entries)
{
    struct ledger *ledger = sim->ledger;
    const struct ledger_replica *replica = ledger_replica(ledger, group, host->index);
    bool end = (message->flags & PAXOS_END) != 0;
    uint64_t last = end && replica->last > message->last ? replica->last : message->last;
    uint32_t next = 0;
    for (uint64_t s = message->first; s <= last; s++) {
        const struct ledger_slot *slot = ledger_slot(ledger, group, s);
        uint32_t held = slot->held[host->index];
        if (next == message->entry_count || entries[next].slot != s) {
            if (held != 0)
                sim_fail(sim, "durable", "S4: group %u: node %u hides slot %llu from a promise",
                         group, host->id, (unsigned long long)s);
            continue;
        }
        const struct ledger_entry *entry = &entries[next++];
        uint32_t proposal = ledger_find(ledger, slot, entry->ballot);
        bool own = base_ballot_equal(entry->ballot, message->ballot);
        if (s <= message->chosen)
            check_chosen_value(sim, host, group, s, entry->value, "reports as chosen");
        else if (proposal == 0 || ledger_proposal(ledger, proposal)->value != entry->value)
            sim_fail(sim, "durable",
                     "S6: group %u: node %u promises with what nobody proposed in "
                     "slot %llu",
                     group, host->id, (unsigned long long)s);
        else if (proposal != held && !own)
            sim_fail(sim, "durable", "S4: group %u: node %u reports slot %llu, not synced", group,
                     host->id, (unsigned long long)s);
    }
    if (end)
        ledger_ballot(ledger, group, message->ballot)->promises |= 1u << host->index;
}

/* What is held and what all voters hold: logs let go of entries on the strength of it. */
static void check_floors(struct sim *sim, const struct sim_host *host, uint32_t group,
                         const struct consensus_message *message)
{
    struct ledger *ledger = sim->ledger;
    if (!ledger_is_solid(ledger, group, host->index, message->durable))
        sim_fail(sim, "durable", "S8: group %u: node %u calls slots up to %llu synced", group,
                 host->id, (unsigned long long)message->durable);
    for (uint32_t i = 0; message->floor > 0 && i < sim->options.nodes; i++) {
        const struct ledger_replica *replica = ledger_replica(ledger, group, i);
        if (replica != NULL && replica->voter && !ledger_is_solid(ledger, group, i, message->floor))
            sim_fail(sim, "durable", "S8: group %u: node %u says that all hold slot %llu", group,
                     host->id, (unsigned long long)message->floor);
    }
}

/* Whether it says that its sender has promised its ballot. */
static bool vouches(uint8_t type)
{
    return type == PAXOS_PREPARE || type == PAXOS_PROMISE || type == PAXOS_ACCEPT ||
           type == PAXOS_ACCEPTED || type == PAXOS_HEARTBEAT || type == PAXOS_LEARNED ||
           type == PAXOS_TRANSFER;
}

void check_durable_message(struct sim *sim, const struct sim_host *host, uint32_t group,
                           const struct consensus_message *message,
                           const struct ledger_entry *entries)
{
    const struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    if (replica == NULL || replica->id != message->from || !replica->born)
        sim_fail(sim, "durable", "S4: group %u: node %u speaks for replica %llu, not born here",
                 group, host->id, (unsigned long long)message->from);
    if (vouches(message->type) && base_ballot_compare(replica->promised, message->ballot) < 0)
        sim_fail(sim, "durable", "S4: group %u: node %u speaks above its synced promise", group,
                 host->id);
    check_floors(sim, host, group, message);
    if (message->type == PAXOS_PREPARE)
        ledger_ballot(sim->ledger, group, message->ballot)->promises |= 1u << host->index;
    else if (message->type == PAXOS_PROMISE)
        check_report(sim, host, group, message, entries);
    else if (message->type == PAXOS_ACCEPTED)
        check_accepted(sim, host, group, message);
}
