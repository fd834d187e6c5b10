/* What a recovery finds: all that was synced, nothing that was never given, and of what was on its
 * way any part (S4, S5; the log's records read as what was written). Linear in the log. */
#include "tests/sim/ledger.h"

void check_found(struct sim *sim, const struct sim_host *host, const struct store_record *record)
{
    struct ledger *ledger = sim->ledger;
    if (ledger_replica(ledger, record->group, host->index) == NULL)
        sim_fail(sim, "recovery", "node %u finds a record of group %u", host->id, record->group);
    if (record->kind != STORE_RECORD_ENTRY && record->kind != STORE_RECORD_LEARNED)
        return;
    uint64_t value =
        ledger_value((enum consensus_entry_kind)record->tag, record->origin, record->payload);
    const struct ledger_slot *slot = ledger_slot(ledger, record->group, record->slot);
    uint32_t proposal = ledger_find(ledger, slot, record->ballot);
    if (proposal == 0 || ledger_proposal(ledger, proposal)->value != value ||
        slot->given[host->index] == 0)
        sim_fail(sim, "recovery", "group %u: node %u finds in slot %llu what it never wrote",
                 record->group, host->id, (unsigned long long)record->slot);
    ledger->found = base_array_reserve(sim->allocator, ledger->found, &ledger->found_capacity,
                                       ledger->found_count + 1, sizeof(*ledger->found));
    ledger->found[ledger->found_count++] =
        (struct ledger_found){.group = record->group,
                              .proposal = proposal,
                              .slot = record->slot,
                              .learned = record->kind == STORE_RECORD_LEARNED};
}

/* The newest record of each slot counts, and what is read back has been made durable. */
static void hold_found(struct sim *sim, const struct sim_host *host)
{
    struct ledger *ledger = sim->ledger;
    uint32_t node = host->index;
    for (size_t i = 0; i < ledger->found_count; i++) {
        const struct ledger_found *found = &ledger->found[i];
        struct ledger_slot *slot = ledger_slot(ledger, found->group, found->slot);
        slot->found = found->proposal;
        if (!found->learned)
            (void)ledger_accepted(ledger, found->group, found->slot, found->proposal, node);
    }
}

static void check_slot(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t s,
                       bool needed)
{
    struct ledger *ledger = sim->ledger;
    struct ledger_slot *slot = ledger_slot(ledger, group, s);
    uint32_t held = slot->held[host->index], found = slot->found;
    slot->found = 0;
    if (found != 0) {
        struct base_ballot ballot = ledger_proposal(ledger, found)->ballot;
        bool older =
            held != 0 && base_ballot_compare(ballot, ledger_proposal(ledger, held)->ballot) < 0;
        if (older && needed)
            sim_fail(sim, "recovery", "S4: group %u: node %u finds an older record of slot %llu",
                     group, host->id, (unsigned long long)s);
        slot->held[host->index] = older ? held : found;
    } else if (held != 0 && needed) {
        sim_fail(sim, "recovery", "S4: group %u: node %u has lost slot %llu, which was synced",
                 group, host->id, (unsigned long long)s);
    }
    slot->given[host->index] = slot->held[host->index];
}

/* What shard_recovery made of it is what the ledger now holds; where the newest record of a slot is
 * damaged, an older one may be there, of a replica that knows that it is damaged. */
static void check_entries(struct sim *sim, const struct sim_host *host,
                          const struct shard_recovered *recovered)
{
    struct ledger *ledger = sim->ledger;
    for (size_t i = 0; i < recovered->entry_count; i++) {
        const struct consensus_entry *entry = &recovered->entries[i];
        uint32_t held = ledger_slot(ledger, recovered->group, entry->slot)->held[host->index];
        int order = held == 0
                        ? 1
                        : base_ballot_compare(entry->ballot, ledger_proposal(ledger, held)->ballot);
        if (order != 0 && !(order < 0 && recovered->damaged))
            sim_fail(sim, "recovery", "group %u: node %u takes an old record of slot %llu",
                     recovered->group, host->id, (unsigned long long)entry->slot);
    }
}

/* All that was synced is there, and no more than was given. */
static void check_whole(struct sim *sim, const struct sim_host *host,
                        const struct shard_recovered *recovered)
{
    uint32_t group = recovered->group;
    const struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    if (base_ballot_compare(recovered->promised, replica->promised) < 0 ||
        base_ballot_compare(recovered->promised, replica->promised_given) > 0)
        sim_fail(sim, "recovery", "S5: group %u: node %u finds another promise than it gave", group,
                 host->id);
    if (recovered->chosen < replica->marked || recovered->chosen > replica->marked_given)
        sim_fail(sim, "recovery", "group %u: node %u finds mark %llu, and %llu was synced", group,
                 host->id, (unsigned long long)recovered->chosen,
                 (unsigned long long)replica->marked);
}

/* What was applied and written just before it died, and nobody else has applied yet. */
static void see_applied(struct sim *sim, const struct sim_host *host,
                        const struct shard_recovered *recovered)
{
    const struct ledger_group *in = &sim->ledger->groups[recovered->group];
    for (uint64_t s = in->effects + 1; s <= recovered->flushed; s++) {
        uint32_t held = ledger_slot(sim->ledger, recovered->group, s)->held[host->index];
        if (held == 0)
            return;
        check_effects_applied(sim, host, recovered->group, s, held, UINT64_MAX);
    }
}

/* Of one that is damaged all may be missing, but it knows (S10). It may have got over it, when what
 * was damaged is in its flushed state. */
static void check_replica(struct sim *sim, const struct sim_host *host,
                          const struct shard_recovered *recovered)
{
    uint32_t group = recovered->group;
    struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    if (replica->id != recovered->replica || !replica->born_given)
        sim_fail(sim, "recovery", "group %u: node %u finds replica %llu", group, host->id,
                 (unsigned long long)recovered->replica);
    if (!recovered->damaged) {
        check_whole(sim, host, recovered);
        see_applied(sim, host, recovered);
    }
    replica->lost = recovered->damaged;
    replica->born = replica->born_given = true;
    replica->promised = replica->promised_given = recovered->promised;
    replica->marked = replica->marked_given = recovered->chosen;
    replica->applied = recovered->flushed;
    uint64_t settled = recovered->damaged                      ? UINT64_MAX
                       : replica->trimmed > recovered->flushed ? replica->trimmed
                                                               : recovered->flushed;
    for (uint64_t s = replica->trimmed + 1; s <= replica->last; s++)
        check_slot(sim, host, group, s, s > settled);
    check_entries(sim, host, recovered);
}

/* One that was not found was never durable, and what it had handed over is lost. */
static void check_missing(struct sim *sim, const struct sim_host *host, uint32_t group)
{
    struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    if (replica == NULL || !replica->born_given)
        return;
    if (replica->born)
        sim_fail(sim, "recovery", "S4: group %u: node %u has lost its replica", group, host->id);
    for (uint64_t s = 1; s <= replica->last; s++)
        ledger_slot(sim->ledger, group, s)->given[host->index] = 0;
    replica->born_given = false;
    replica->promised_given = (struct base_ballot){0};
    replica->marked_given = 0;
    replica->applied = 0;
}

void check_recovered(struct sim *sim, const struct sim_host *host)
{
    bool found[SIM_GROUPS_MAX] = {false};
    hold_found(sim, host);
    for (size_t i = 0; i < shard_recovery_count(host->recovery); i++) {
        const struct shard_recovered *recovered = shard_recovery_at(host->recovery, i);
        if (recovered->group >= SIM_GROUPS_MAX)
            sim_fail(sim, "recovery", "node %u finds group %u", host->id, recovered->group);
        found[recovered->group] = true;
        check_replica(sim, host, recovered);
    }
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        if (!found[g])
            check_missing(sim, host, g);
    }
    sim->ledger->found_count = 0;
}
