/* A promise never falls, over all lives of a replica (S5), and one whose log lost records votes no
 * more (S10). */
#include "paxos/paxos.h"
#include "tests/sim/ledger.h"

void check_promise_given(struct sim *sim, const struct sim_host *host, uint32_t group,
                         struct base_ballot ballot)
{
    struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    if (base_ballot_compare(ballot, replica->promised_given) < 0)
        sim_fail(sim, "promises", "S5: group %u: node %u goes below its promise", group, host->id);
    replica->promised_given = ballot;
}

/* Accepting at a ballot is promising it. */
void check_promise_kept(struct sim *sim, const struct sim_host *host, uint32_t group,
                        struct base_ballot ballot)
{
    const struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    if (!base_ballot_equal(ballot, replica->promised_given))
        sim_fail(sim, "promises", "S5: group %u: node %u accepts what it has not promised", group,
                 host->id);
}

/* A message that counts as this replica's vote, or tells of one. What leaves in one turn for
 * several peers has no order. */
void check_ballot_vote(struct sim *sim, const struct sim_host *host, uint32_t group,
                       const struct consensus_message *message)
{
    struct ledger_replica *replica = ledger_replica(sim->ledger, group, host->index);
    bool amnesiac =
        message->type == PAXOS_HEARTBEAT_REPLY && (message->flags & PAXOS_AMNESIAC) != 0;
    if (replica->lost && !amnesiac)
        sim_fail(sim, "promises", "S10: group %u: node %u, which lost part of its log, votes",
                 group, host->id);
    if (message->type == PAXOS_CANVASS_REPLY || amnesiac)
        return;
    if (replica->vouched_us != sim->now_us)
        replica->vouched_before = replica->vouched;
    struct base_ballot least = replica->vouched_before;
    if (base_ballot_compare(message->ballot, least) < 0)
        sim_fail(sim, "promises",
                 "S5: group %u: node %u sends %s for round %llu of node %u after a vote for round "
                 "%llu of node %u",
                 group, host->id, paxos_type.message_name(message->type),
                 (unsigned long long)message->ballot.round, message->ballot.node,
                 (unsigned long long)least.round, least.node);
    /* An answer to a heartbeat waits for no sync: it tells of this life only. */
    if (message->type != PAXOS_HEARTBEAT_REPLY &&
        base_ballot_compare(message->ballot, replica->vouched) > 0) {
        replica->vouched = message->ballot;
        replica->vouched_us = sim->now_us;
    }
}
