/* A node that was wiped, or runs on an old copy of its disk, takes part in nothing (S10). */
#include "tests/sim/sim.h"

void check_vote(struct sim *sim, const struct sim_host *host, const struct wire_envelope *envelope)
{
    if (host->identity != SIM_GENUINE && envelope->type == WIRE_TYPE_CONSENSUS)
        sim_fail(sim, "amnesiac", "node %u, which %s, sends messages of consensus", host->id,
                 host->identity == SIM_WIPED ? "was wiped" : "runs on an old copy of its disk");
}

/* A node that ends by itself must have a reason. */
void check_refused(struct sim *sim, const struct sim_host *host)
{
    if (host->identity == SIM_GENUINE)
        sim_fail(sim, "amnesiac", "node %u ends by itself: %s", host->id, host->fatal);
    sim->coverage->old_copies_refused += host->identity == SIM_OLD;
}
