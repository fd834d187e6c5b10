/* What the cores count of rare paths goes into the coverage table when a life of theirs ends. */
#include "tests/sim/sim.h"

void counters_host(struct sim *sim, const struct sim_host *host)
{
    struct sim_coverage *coverage = sim->coverage;
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        const struct consensus_counters *counters = shard_node_replica_counters(host->node, g);
        struct shard_machine_info info;
        if (shard_node_machine_info(host->node, g, &info)) {
            coverage->answered_from_records += info.counters.from_records;
            coverage->late_copies_refused += info.counters.too_late;
        }
        if (counters == NULL)
            continue;
        coverage->elections += counters->elections_started;
        coverage->elections_won += counters->elections_won;
        coverage->stepped_down += counters->stepped_down;
        coverage->canvasses_refused += counters->canvass_refused;
        coverage->holes_filled += counters->holes_filled;
        coverage->ballot_mismatches += counters->ballot_mismatch;
        coverage->slots_learned += counters->learned;
        coverage->slots_from_the_log += counters->loaded;
        coverage->slots_sent_again += counters->retransmitted;
        coverage->entries_voided += counters->voided;
        coverage->stale_messages += counters->stale_dropped;
        coverage->lease_waits += counters->lease_waits;
        coverage->lease_waits_of_restart += counters->restart_waits;
    }
    const struct shard_node_counters *counters = shard_node_counters(host->node);
    coverage->refused_foreign += counters->refused_foreign;
    coverage->refused_repeated += counters->refused_repeated;
    coverage->refused_replica += counters->refused_replica;
}

void counters_router(struct sim *sim, const struct sim_router *router)
{
    const struct router_courier_counters *counters =
        router_courier_counters(sim_router_courier(router));
    sim->coverage->copies_sent += counters->copies;
    sim->coverage->probes += counters->probes;
    sim->coverage->leaders_lost += counters->leader_changes;
}
