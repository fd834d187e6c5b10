/* Leaders that are not told of their end, and candidates that do not live to see theirs. */
#include "paxos/paxos.h"
#include "tests/sim/faults.h"

enum {
    LEADERS_FELL_PER_MILLE = 30, /* Of the questions of phase 1. */
    LEADERS_SUCCESSIONS_MAX = 2, /* In a run: they are quiet times. */
    LEADERS_SUCCESSION_TIMEOUTS = 20,
};

static uint64_t timeout_us(const struct sim *sim)
{
    return 1000ull * sim->options.node.timing.election_timeout_ms;
}

/* ---- It hands over, and hears nothing of what comes of it: for its clients it still leads. */

void fault_deposed(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    if (host->node == NULL || host->paused)
        return;
    host->deposed = true;
    fault_drain(sim, host);
}

static void depose(struct sim *sim, struct sim_host *host, uint32_t group)
{
    host->deposed = false;
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++)
        sim->cut[i][host->index] = i != host->index;
    fault_slow_leader(sim, host);
    sim_happened(sim, SIM_FAULT_deposed);
    sim_trace(sim, "deposed", host->index, group, 0, sim_cuts(sim));
}

/* ---- It hands over, and when nothing comes of it, leads on; then its word arrives. */

void fault_late_transfers(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    if (host->node == NULL || host->paused)
        return;
    host->late_until_us = sim->now_us + timeout_us(sim);
    fault_drain(sim, host);
}

static void hold_up(struct sim *sim, struct sim_host *host)
{
    sim->held_us = sim_draw(sim, timeout_us(sim), 3 * timeout_us(sim));
    sim_happened(sim, SIM_FAULT_late_transfers);
    sim_trace(sim, "late transfer", host->index, sim->held_us, 0, 0);
}

/* ---- It asks for promises and dies: the others, who hear each other, agree on somebody else. */

static bool is_sound(const struct sim_host *host, uint32_t group)
{
    uint32_t flaws = host->amnesiac | host->rotten | host->unborn;
    return host->node != NULL && host->identity == SIM_GENUINE && !host->paused && !host->lost &&
           (flaws >> group & 1) == 0;
}

/* Stands for the lives of those who are to agree; 0: they are too few. */
static uint64_t electors(const struct sim *sim, uint32_t group, const struct sim_host *fallen)
{
    const struct shard_map_group *members = &sim->map.groups[group];
    uint64_t lives = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < members->replica_count; i++) {
        const struct sim_host *host = &sim->hosts[members->replicas[i].node - 1];
        if (host == fallen || !is_sound(host, group))
            continue;
        lives = lives * 1000003 + host->life * SIM_NODES_MAX + host->index;
        count++;
    }
    return count > members->replica_count / 2 ? lives : 0;
}

static void fell(struct sim *sim, struct sim_host *host, uint32_t group)
{
    uint64_t lives = electors(sim, group, host);
    if (lives == 0 || sim->succession.until_us > sim->now_us ||
        sim->succession.count == LEADERS_SUCCESSIONS_MAX)
        return;
    sim->succession.count++;
    sim->succession.group = group;
    sim->succession.host = host->index;
    sim->succession.lives = lives;
    sim->succession.until_us =
        sim->now_us + LEADERS_SUCCESSION_TIMEOUTS * timeout_us(sim) + 1000000;
    sim_trace(sim, "candidate falls", host->index, group, 0, 0);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + 2 * sim->options.delay_us_max,
                                     .type = SIM_FALL});
    sim_push(sim, (struct sim_event){.at_us = sim->succession.until_us, .type = SIM_SUCCESSION});
}

void faults_fall(struct sim *sim)
{
    struct sim_host *host = &sim->hosts[sim->succession.host];
    if (!is_sound(host, sim->succession.group) || sim->healed ||
        sim->now_us < sim->quiet_until_us || fault_is_guarded(sim, host)) {
        sim->succession.lives = 0;
        return;
    }
    host_crash(sim, host, sim_chance(sim, 500));
    fault_quiet(sim, sim->succession.until_us);
    fault_start_in(sim, host, sim->quiet_until_us - sim->now_us + 1);
    sim_happened(sim, SIM_FAULT_candidates);
}

/* It need not serve yet: who voted may have much to learn before it can accept. */
static bool is_led(const struct sim *sim, uint32_t group)
{
    struct consensus_info info;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        const struct sim_host *host = &sim->hosts[i];
        if (host->node != NULL && shard_node_replica_info(host->node, group, &info) &&
            info.role == CONSENSUS_LEADER)
            return true;
    }
    return false;
}

/* Judged only where nobody else fell meanwhile. */
void faults_succeeded(struct sim *sim)
{
    struct sim_host *host = &sim->hosts[sim->succession.host];
    uint32_t group = sim->succession.group;
    uint64_t lives = sim->succession.lives;
    if (lives == 0 || host->node != NULL || lives != electors(sim, group, host))
        return;
    sim->coverage->successions_judged++;
    if (!is_led(sim, group))
        sim_fail(sim, "liveness",
                 "group %u has no leader: node %u stood for election and died, and for %u election "
                 "timeouts since a majority of the others was up and heard each other",
                 group, host->id, (unsigned)LEADERS_SUCCESSION_TIMEOUTS);
}

/* ---- Only one follower keeps a leader's lease, and the others think the leader gone. That one
 * restarts, and they ask it for its vote before the lease is over. */

void fault_usurpers(struct sim *sim)
{
    uint32_t group = (uint32_t)sim_draw(sim, 0, sim->options.groups);
    const struct shard_map_group *members = &sim->map.groups[group];
    uint32_t drawn = (uint32_t)sim_draw(sim, 0, members->replica_count - 1);
    struct sim_host *leader = host_leader(sim, group);
    struct sim_host *keeper = &sim->hosts[members->replicas[drawn].node - 1];
    if (sim->options.lease_ms == 0 || leader == NULL || leader == keeper || keeper->node == NULL)
        return;
    network_heal(sim);
    fault_cut_around(sim, leader->index, true, true);
    sim->cut[leader->index][keeper->index] = sim->cut[keeper->index][leader->index] = false;
    sim->usurped.leader = leader->index;
    sim->usurped.leader_life = leader->life;
    sim->usurped.keeper = keeper->index;
    sim->usurped.keeper_life = keeper->life;
    sim->usurped.restarted = false;
    sim_trace(sim, "one keeps the lease", leader->index, keeper->id, group, sim_cuts(sim));
    sim_push(sim, (struct sim_event){.at_us = sim->now_us +
                                              sim_draw(sim, timeout_us(sim), 4 * timeout_us(sim)),
                                     .type = SIM_USURP});
}

void faults_usurp(struct sim *sim)
{
    struct sim_host *leader = &sim->hosts[sim->usurped.leader];
    struct sim_host *keeper = &sim->hosts[sim->usurped.keeper];
    if (sim->healed || sim->now_us < sim->quiet_until_us || leader->node == NULL ||
        leader->life != sim->usurped.leader_life)
        return;
    if (sim->usurped.restarted) { /* It has greeted the leader, and others. */
        sim->cut[keeper->index][leader->index] = sim->cut[leader->index][keeper->index] = true;
        return;
    }
    if (keeper->life != sim->usurped.keeper_life || !fault_is_crashable(sim, keeper))
        return;
    host_crash(sim, keeper, false);
    fault_start_in(sim, keeper, 1000);
    sim_happened(sim, SIM_FAULT_usurpers);
    sim->usurped.restarted = true;
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + 1000 + 2 * sim->options.delay_us_max +
                                              2 * sim->options.turn_us_max,
                                     .type = SIM_USURP});
}

/* ---- What they wait for. */

void faults_message(struct sim *sim, uint32_t node, uint32_t group, uint8_t type)
{
    struct sim_host *host = &sim->hosts[node - 1];
    if (!sim->born || sim->healed || sim->now_us < sim->quiet_until_us)
        return;
    if (type == PAXOS_TRANSFER && host->deposed)
        depose(sim, host, group);
    else if (type == PAXOS_TRANSFER && sim->now_us < host->late_until_us)
        hold_up(sim, host);
    else if (type == PAXOS_PREPARE && sim_has(sim, SIM_FAULT_candidates) &&
             sim_chance(sim, LEADERS_FELL_PER_MILLE))
        fell(sim, host, group);
}
