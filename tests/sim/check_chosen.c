/* Who calls a slot chosen is right (S1, S3, S8): a quorum has that value in synced storage at one
 * ballot, whether it is called so in a message, in a mark of the log, by applying it or in memory.
 */
#include "tests/sim/ledger.h"

void check_chosen_claim(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot,
                        const char *what)
{
    if (slot > sim->ledger->groups[group].chosen)
        sim_fail(sim, "chosen", "S3: group %u: node %u %s up to slot %llu; chosen is %llu", group,
                 host->id, what, (unsigned long long)slot,
                 (unsigned long long)sim->ledger->groups[group].chosen);
}

void check_chosen_value(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot,
                        uint64_t value, const char *what)
{
    uint64_t chosen = ledger_slot(sim->ledger, group, slot)->chosen;
    if (chosen == 0)
        sim_fail(sim, "chosen", "S3: group %u: node %u %s slot %llu, where nothing is chosen",
                 group, host->id, what, (unsigned long long)slot);
    if (chosen != value)
        sim_fail(sim, "chosen", "S1: group %u: node %u %s another value in slot %llu", group,
                 host->id, what, (unsigned long long)slot);
}

/* Recovery applies what a mark covers, from the last record of each slot. */
void check_marked(struct sim *sim, const struct sim_host *host, uint32_t group, uint64_t slot)
{
    struct ledger *ledger = sim->ledger;
    struct ledger_replica *replica = ledger_replica(ledger, group, host->index);
    check_chosen_claim(sim, host, group, slot, "marks");
    for (uint64_t s = replica->marked_given + 1; s <= slot; s++) {
        uint32_t given = ledger_slot(ledger, group, s)->given[host->index];
        if (given == 0)
            sim_fail(sim, "chosen", "S3: group %u: node %u marks slot %llu, which it never had",
                     group, host->id, (unsigned long long)s);
        check_chosen_value(sim, host, group, s, ledger_proposal(ledger, given)->value, "marks");
    }
    if (slot > replica->marked_given)
        replica->marked_given = slot;
}

/* A slot is applied when the own log holds it in synced storage, so that is what was applied. */
void check_applied(struct sim *sim, const struct sim_host *host, uint32_t group,
                   const struct shard_state *state)
{
    struct ledger *ledger = sim->ledger;
    struct ledger_replica *replica = ledger_replica(ledger, group, host->index);
    uint64_t slot = state->slot;
    check_chosen_claim(sim, host, group, slot, "applies");
    for (uint64_t s = replica->applied + 1; s <= slot; s++) {
        uint32_t held = ledger_slot(ledger, group, s)->held[host->index];
        if (held == 0)
            sim_fail(sim, "chosen", "S8: group %u: node %u applies slot %llu, not in its log",
                     group, host->id, (unsigned long long)s);
        check_chosen_value(sim, host, group, s, ledger_proposal(ledger, held)->value, "applies");
        check_effects_applied(sim, host, group, s, held, state->clock);
    }
    replica->applied = slot;
}
