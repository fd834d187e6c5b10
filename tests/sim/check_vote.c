/* A node that was wiped, or runs on an old copy of its disk, takes part in nothing (S10). */
#include "tests/sim/sim.h"

static const char *flaw_of(const struct sim_host *host)
{
    switch (host->identity) {
    case SIM_GENUINE:
        return "is itself";
    case SIM_WIPED:
        return "was wiped";
    case SIM_OLD:
        return "runs on an old copy of its disk";
    case SIM_SHORT:
        return "lost what its disk had called durable";
    }
    return "?";
}

void check_vote(struct sim *sim, const struct sim_host *host, const struct wire_envelope *envelope)
{
    if (envelope->type != WIRE_TYPE_CONSENSUS)
        return;
    if (host->identity != SIM_GENUINE)
        sim_fail(sim, "amnesiac", "node %u, which %s, sends messages of consensus", host->id,
                 flaw_of(host));
}

/* A node that ends by itself must have a reason. */
void check_refused(struct sim *sim, const struct sim_host *host)
{
    if (host->identity == SIM_GENUINE)
        sim_fail(sim, "amnesiac", "node %u ends by itself: %s", host->id, host->fatal);
    sim->coverage->old_copies_refused += host->identity == SIM_OLD;
}
