/* In true time at most one lease runs in a group, and none while anybody leads under a higher
 * ballot (S11). Said of leaders whose clocks keep the bound that leases trust. */
#include "tests/sim/sim.h"

static bool within_bound(const struct sim *sim, const struct sim_host *a, const struct sim_host *b)
{
    uint32_t slow = a->clock_rate < b->clock_rate ? a->clock_rate : b->clock_rate;
    uint32_t fast = a->clock_rate < b->clock_rate ? b->clock_rate : a->clock_rate;
    return slow * 1000 >= fast * (1000 - sim->options.node.timing.clock_drift_per_mille);
}

/* After a turn of `host`: a lease is won, and a leader made, by a turn of its own. */
void check_lease(struct sim *sim, const struct sim_host *host, uint32_t group,
                 const struct consensus_info *info)
{
    if (sim->options.lease_ms == 0 || info->role != CONSENSUS_LEADER)
        return;
    bool holds = shard_node_lease_holds(host->node, group, host_now_ms(sim, host));
    sim->coverage->leases_held += holds;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        const struct sim_host *other = &sim->hosts[i];
        struct consensus_info its;
        if (other == host || other->node == NULL || !within_bound(sim, host, other) ||
            !shard_node_replica_info(other->node, group, &its) || its.role != CONSENSUS_LEADER)
            continue;
        bool other_holds = shard_node_lease_holds(other->node, group, host_now_ms(sim, other));
        int order = base_ballot_compare(info->ballot, its.ballot);
        if ((holds && other_holds) || (holds && order < 0) || (other_holds && order > 0))
            sim_fail(sim, "lease",
                     "S11: group %u: node %u %s for round %llu while node %u %s for round %llu",
                     group, host->id, holds ? "has a lease" : "leads",
                     (unsigned long long)info->ballot.round, other->id,
                     other_holds ? "has a lease" : "leads", (unsigned long long)its.ballot.round);
    }
}
