/* Who may propose what (S2, S5, S6): a ballot has one value per slot; that value was proposed by
 * the ballot's owner, in the life that the ballot names, after a quorum promised; and what is
 * proposed again was in the slot before. */
#include "paxos/paxos.h"
#include "tests/sim/ledger.h"

static bool owns(const struct sim_host *host, struct base_ballot ballot)
{
    return ballot.node == host->id && ballot.incarnation == host->superblock.incarnation;
}

/* Phase 1 was complete: a quorum has promised the ballot and reported, the owner included. */
static void check_leads(struct sim *sim, const struct sim_host *host, uint32_t group,
                        struct base_ballot ballot)
{
    uint32_t promises = ledger_ballot(sim->ledger, group, ballot)->promises;
    if (!ledger_quorum(&sim->ledger->groups[group], promises))
        sim_fail(sim, "ballots", "S2: group %u: node %u proposes without a quorum of promises",
                 group, host->id);
}

/* A value of an earlier ballot was proposed in this slot by somebody. */
static bool is_adopted(const struct ledger *ledger, const struct ledger_slot *slot,
                       const struct store_record *record, uint64_t value)
{
    for (uint32_t p = slot->proposals; p != 0; p = ledger->proposals[p].next) {
        if (ledger->proposals[p].value == value &&
            base_ballot_compare(ledger->proposals[p].ballot, record->ballot) < 0)
            return true;
    }
    return false;
}

/* A value was chosen at a ballot below this one: its phase 1 must have seen it. (A leader that does
 * not know yet that it was deposed proposes below.) */
static bool was_chosen_below(const struct sim *sim, const struct ledger_slot *slot,
                             const struct store_record *record)
{
    const struct ledger *ledger = sim->ledger;
    for (uint32_t p = slot->chosen == 0 ? 0 : slot->proposals; p != 0;
         p = ledger->proposals[p].next) {
        if (ledger_quorum(&ledger->groups[record->group], ledger->proposals[p].holders) &&
            base_ballot_compare(ledger->proposals[p].ballot, record->ballot) < 0)
            return true;
    }
    return false;
}

/* The first time that this ballot fills this slot. */
static void check_proposed(struct sim *sim, const struct sim_host *host,
                           const struct ledger_slot *slot, const struct store_record *record,
                           uint64_t value)
{
    sim->coverage->adopted_foreign +=
        record->origin.node != host->id && slot->given[host->index] == 0;
    unsigned long long at = (unsigned long long)record->slot;
    if (!owns(host, record->ballot))
        sim_fail(sim, "ballots", "S2: group %u, slot %llu: node %u accepts what nobody proposed",
                 record->group, at, host->id);
    check_leads(sim, host, record->group, record->ballot);
    if (!base_ballot_equal(record->origin, record->ballot) &&
        !is_adopted(sim->ledger, slot, record, value))
        sim_fail(sim, "ballots", "S2: group %u, slot %llu: node %u adopts what nobody proposed",
                 record->group, at, host->id);
    if (slot->chosen != value && was_chosen_below(sim, slot, record))
        sim_fail(sim, "chosen", "S1: group %u, slot %llu: node %u proposes against what is chosen",
                 record->group, at, host->id);
}

static void check_same(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot,
                       uint32_t proposal, uint64_t value)
{
    if (ledger_proposal(sim->ledger, proposal)->value != value)
        sim_fail(sim, "ballots", "S6: group %u, slot %llu: node %u has another value at one ballot",
                 group, (unsigned long long)slot, host->id);
}

uint32_t check_entry_given(struct sim *sim, const struct sim_host *host,
                           const struct store_record *record)
{
    uint64_t value =
        ledger_value((enum consensus_entry_kind)record->tag, record->origin, record->payload);
    struct ledger_slot *slot = ledger_slot(sim->ledger, record->group, record->slot);
    uint32_t proposal = ledger_find(sim->ledger, slot, record->ballot);
    if (proposal != 0) {
        check_same(sim, host, record->group, record->slot, proposal, value);
        return proposal;
    }
    if (record->kind == STORE_RECORD_LEARNED)
        check_chosen_value(sim, host, record->group, record->slot, value, "is taught");
    else
        check_proposed(sim, host, slot, record, value);
    struct ledger_proposal added = {.ballot = record->ballot,
                                    .origin = record->origin,
                                    .kind = (enum consensus_entry_kind)record->tag,
                                    .value = value};
    check_effects_proposed(sim, record, &added);
    return ledger_add(sim->ledger, slot, &added);
}

void check_entry_sent(struct sim *sim, const struct sim_host *host, uint32_t group,
                      const struct ledger_entry *entry)
{
    const struct ledger_slot *slot = ledger_slot(sim->ledger, group, entry->slot);
    uint32_t proposal = ledger_find(sim->ledger, slot, entry->ballot);
    if (proposal == 0)
        sim_fail(sim, "ballots", "S2: group %u, slot %llu: node %u sends what nobody proposed",
                 group, (unsigned long long)entry->slot, host->id);
    check_same(sim, host, group, entry->slot, proposal, entry->value);
}

void check_ballot_owner(struct sim *sim, const struct sim_host *host, uint32_t group,
                        const struct consensus_message *message)
{
    switch ((enum paxos_message_type)message->type) {
    case PAXOS_PREPARE:
    case PAXOS_ACCEPT:
    case PAXOS_HEARTBEAT:
    case PAXOS_LEARNED:
    case PAXOS_TRANSFER:
        if (!owns(host, message->ballot))
            sim_fail(sim, "ballots", "S5: group %u: node %u uses a ballot of node %u, life %u",
                     group, host->id, message->ballot.node, message->ballot.incarnation);
        if (message->type != PAXOS_PREPARE)
            check_leads(sim, host, group, message->ballot);
        return;
    default:
        return;
    }
}
