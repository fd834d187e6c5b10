/* A group's clock, by which its keys expire, is no faster than most of its voters' clocks: one that
 * is wrong moves it nowhere. Judged where no clock jumps or runs at another rate for a while. */
#include "base/hlc.h"
#include "shard/clock.h"
#include "tests/sim/sim.h"

/* What a sample of another's clock may be off by when it is used: rates differ by a fifth. */
enum { CLOCK_SLACK_MS = SHARD_CLOCK_AGE_MAX_MS / 5 + 100 };

/* The fastest clock but one: a leader that hears a majority takes none that is above it. Who is
 * alone takes its own. */
static uint64_t most_ms(const struct sim *sim, uint32_t group)
{
    const struct shard_map_group *members = &sim->map.groups[group];
    uint64_t fastest = 0, next = 0;
    for (uint32_t i = 0; i < members->replica_count; i++) {
        uint64_t ms = host_wall_ms(sim, &sim->hosts[members->replicas[i].node - 1]);
        if (ms > fastest) {
            next = fastest;
            fastest = ms;
        } else if (ms > next) {
            next = ms;
        }
    }
    return members->replica_count == 1 ? fastest : next;
}

void check_clock(struct sim *sim, uint32_t group, uint64_t clock)
{
    if (group == SHARD_PLACEMENT_GROUP || sim_has(sim, SIM_FAULT_jumps) ||
        sim_has(sim, SIM_FAULT_drift))
        return;
    uint64_t most = most_ms(sim, group) + CLOCK_SLACK_MS;
    sim->coverage->clocks_judged++;
    if (base_hlc_to_ms(clock) > most)
        sim_fail(sim, "clock",
                 "group %u: its clock shows %llu ms; all but one voter show less by %llu", group,
                 (unsigned long long)base_hlc_to_ms(clock),
                 (unsigned long long)(base_hlc_to_ms(clock) - most + CLOCK_SLACK_MS));
}
