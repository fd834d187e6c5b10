/* Which faults happen, and when: drawn from the seed. */
#include "tests/sim/faults.h"

#include <stddef.h>

/* The kinds that happen at a moment. The others are asked about where they happen: with each
 * message, turn, recovery and power loss. */
static const struct {
    enum sim_fault fault;
    void (*happen)(struct sim *sim);
} moments[] = {
#define FAULT_MOMENT(name)                                                                         \
    {                                                                                              \
        SIM_FAULT_##name, fault_##name                                                             \
    }
    FAULT_MOMENT(lossy_links),  FAULT_MOMENT(slow_links), FAULT_MOMENT(partitions),
    FAULT_MOMENT(shapes),       FAULT_MOMENT(singled),    FAULT_MOMENT(mending),
    FAULT_MOMENT(flapping),     FAULT_MOMENT(crashes),    FAULT_MOMENT(power),
    FAULT_MOMENT(traps),        FAULT_MOMENT(outages),    FAULT_MOMENT(ambush),
    FAULT_MOMENT(rot),          FAULT_MOMENT(state_rot),  FAULT_MOMENT(misdirected),
    FAULT_MOMENT(lost_writes),  FAULT_MOMENT(lying),      FAULT_MOMENT(write_errors),
    FAULT_MOMENT(sync_errors),  FAULT_MOMENT(log_full),   FAULT_MOMENT(slow_disks),
    FAULT_MOMENT(full),         FAULT_MOMENT(pauses),     FAULT_MOMENT(long_pauses),
    FAULT_MOMENT(slow_nodes),   FAULT_MOMENT(memory),     FAULT_MOMENT(jumps),
    FAULT_MOMENT(drift),        FAULT_MOMENT(wipes),      FAULT_MOMENT(old_copies),
    FAULT_MOMENT(drains),       FAULT_MOMENT(routers),    FAULT_MOMENT(quitters),
    FAULT_MOMENT(slow_readers), FAULT_MOMENT(overload),   FAULT_MOMENT(garbage),
    FAULT_MOMENT(late_copies),  FAULT_MOMENT(deposed),    FAULT_MOMENT(late_transfers),
    FAULT_MOMENT(usurpers),
#undef FAULT_MOMENT
};
enum { MOMENT_COUNT = sizeof(moments) / sizeof(moments[0]), KINDS_MIN = 5 };

struct sim_host *fault_any_host(struct sim *sim)
{
    struct sim_host *host = &sim->hosts[sim_draw(sim, 0, sim->options.nodes - 1)];
    while (fault_is_guarded(sim, host)) /* Two of three or more. */
        host = &sim->hosts[(host->index + 1) % sim->options.nodes];
    return host;
}

struct sim_host *fault_some_host(struct sim *sim)
{
    struct sim_host *leader = host_leader(sim, (uint32_t)sim_draw(sim, 0, sim->options.groups));
    return leader != NULL && !fault_is_guarded(sim, leader) && sim_chance(sim, 600)
               ? leader
               : fault_any_host(sim);
}

uint64_t fault_while_us(struct sim *sim)
{
    static const uint64_t most[] = {2000, 20000, 200000, 2000000};
    return sim_draw(sim, 1000, most[sim_draw(sim, 0, 3)]);
}

void fault_start_in(struct sim *sim, const struct sim_host *host, uint64_t us)
{
    sim_push(sim, (struct sim_event){
                      .at_us = sim->now_us + us, .type = SIM_RESTART, .place = host->index});
}

/* One of the kinds that the seed has, by weight; now and then one that has not happened yet. */
static void one_fault(struct sim *sim)
{
    bool few = __builtin_popcountll(sim->happened) < KINDS_MIN;
    bool novel = sim_chance(sim, few ? 600 : 100);
    uint64_t weights[MOMENT_COUNT], sum = 0;
    for (size_t i = 0; i < MOMENT_COUNT; i++) {
        enum sim_fault fault = moments[i].fault;
        bool wanted = sim_has(sim, fault) && !(novel && (sim->happened >> fault & 1) != 0);
        weights[i] = wanted ? sim->options.weights[fault] : 0;
        sum += weights[i];
    }
    if (sum == 0)
        return;
    uint64_t drawn = sim_draw(sim, 0, sum - 1);
    size_t at = 0;
    while (drawn >= weights[at])
        drawn -= weights[at++];
    moments[at].happen(sim);
}

uint32_t sim_kinds(const struct sim *sim)
{
    return (uint32_t)__builtin_popcountll(sim->happened);
}

void sim_happened(struct sim *sim, enum sim_fault fault)
{
    static const size_t counters[] = {
#define FAULT_COUNTER(name, essential) offsetof(struct sim_coverage, name),
        SIM_FAULT_LIST(FAULT_COUNTER)
#undef FAULT_COUNTER
    };
    sim->happened |= UINT64_C(1) << fault;
    ++*(uint64_t *)((uint8_t *)sim->coverage + counters[fault]);
}

void faults_happen(struct sim *sim)
{
    if (sim->healed)
        return;
    if (sim->now_us >= sim->quiet_until_us) {
        if (sim_chance(sim, 150)) {
            network_heal(sim);
            sim_trace(sim, "links whole", SIM_EVERYWHERE, 0, 0, 0);
        }
        one_fault(sim);
    }
    sim_push(sim, (struct sim_event){.at_us = sim->now_us +
                                              sim_draw(sim, 1, 2 * sim->options.fault_us_mean),
                                     .type = SIM_FAULT});
}

void faults_heal(struct sim *sim)
{
    sim->healed = true;
    network_heal(sim);
    sim_trace(sim, "healed", SIM_EVERYWHERE, 0, 0, 0);
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        struct sim_host *host = &sim->hosts[i];
        host_heal(sim, host);
        if (host->identity == SIM_GENUINE && host->node == NULL && !host->lost)
            host_start(sim, host);
    }
}

void faults_hand_over(struct sim *sim, uint32_t group)
{
    struct sim_host *leader = host_leader(sim, group);
    if (leader != NULL)
        fault_drain(sim, leader);
}
