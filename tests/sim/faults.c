/* What goes wrong, drawn from the seed. */
#include <string.h>

#include "base/assert.h"
#include "tests/sim/sim.h"

static struct sim_host *any_host(struct sim *sim)
{
    return &sim->hosts[sim_draw(sim, 0, sim->options.nodes - 1)];
}

/* Often one that leads. */
static struct sim_host *some_host(struct sim *sim)
{
    struct sim_host *leader = host_leader(sim, (uint32_t)sim_draw(sim, 0, sim->options.groups));
    return leader != NULL && sim_chance(sim, 600) ? leader : any_host(sim);
}

static uint64_t down_us(struct sim *sim)
{
    static const uint64_t most[] = {2000, 20000, 200000, 2000000};
    return sim_draw(sim, 1000, most[sim_draw(sim, 0, 3)]);
}

static void start_in(struct sim *sim, const struct sim_host *host, uint64_t us)
{
    sim_push(sim, (struct sim_event){
                      .at_us = sim->now_us + us, .type = SIM_RESTART, .place = host->index});
}

static void crash(struct sim *sim, struct sim_host *host, bool power)
{
    if (host->node == NULL || host->identity != SIM_GENUINE)
        return;
    sim->coverage->process_crashes += !power;
    sim->coverage->power_losses += power;
    host_crash(sim, host, power);
    if (sim_has(sim, SIM_FAULT_wipes) && sim_chance(sim, 300))
        disk_copy(sim, host, &host->old);
    start_in(sim, host, down_us(sim));
}

static void crash_some(struct sim *sim, bool power)
{
    if (!sim_chance(sim, 200)) {
        crash(sim, some_host(sim), power);
        return;
    }
    for (uint32_t i = 0; i < sim->options.nodes; i++)
        crash(sim, &sim->hosts[i], power);
}

/* ---- Links. */

static void cut_around(struct sim *sim, uint32_t one, bool in, bool out)
{
    for (uint32_t i = 0; i < SIM_PLACES_MAX; i++) {
        sim->cut[i][one] |= in && i != one;
        sim->cut[one][i] |= out && i != one;
    }
}

static void partition(struct sim *sim)
{
    sim->coverage->partitions++;
    if (sim_chance(sim, 700))
        network_heal(sim);
    uint32_t one = some_host(sim)->index;
    switch (sim_draw(sim, 0, 5)) {
    case 0: /* Alone. */
        cut_around(sim, one, true, true);
        break;
    case 1: /* Heard by nobody, or deaf. */
        cut_around(sim, one, sim_chance(sim, 500), sim_chance(sim, 500));
        break;
    case 2: { /* Two sides; routers are on either. */
        uint64_t side = sim_draw(sim, 0, (1u << SIM_PLACES_MAX) - 1);
        for (uint32_t i = 0; i < SIM_PLACES_MAX; i++)
            for (uint32_t j = 0; j < SIM_PLACES_MAX; j++)
                sim->cut[i][j] = (side >> i & 1) != (side >> j & 1);
        break;
    }
    case 3: /* Some links, one way. */
        for (uint32_t i = 0; i < SIM_PLACES_MAX; i++)
            for (uint32_t j = 0; j < SIM_PLACES_MAX; j++)
                sim->cut[i][j] = i != j && sim_chance(sim, 250);
        break;
    case 4: /* Only its link to one other node. */
        sim->cut[one][any_host(sim)->index] = true;
        break;
    default: /* Between the nodes and one router. */
        cut_around(sim, SIM_NODES_MAX, true, sim_chance(sim, 500));
        break;
    }
    sim_trace(sim, "partition", one, 0, 0, 0);
}

/* ---- Nodes that are not what they were. */

/* Whether a peer that is up knows more of this node's log than the copy holds: only then can it be
 * told from the node itself. */
static bool would_be_noticed(const struct sim *sim, const struct sim_host *host)
{
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        const struct sim_host *peer = &sim->hosts[i];
        if (i != host->index && peer->node != NULL && peer->identity == SIM_GENUINE &&
            peer->seen_batch[host->index] > host->old.batch)
            return true;
    }
    return false;
}

static void keep_genuine(struct sim_host *host)
{
    host->genuine = (struct sim_copy){.device = host->device, .kv = host->kv};
}

static void wipe(struct sim *sim, struct sim_host *host)
{
    keep_genuine(host);
    host->identity = SIM_WIPED;
    sim->coverage->wiped_nodes++;
    disk_format(sim, host);
}

static void roll_back(struct sim *sim, struct sim_host *host)
{
    keep_genuine(host);
    host->identity = SIM_OLD;
    sim->coverage->old_copies++;
    host->device = host->old.device;
    host->interface = store_sim_device_of(host->device);
    host->kv = host->old.kv;
    host->old = (struct sim_copy){0};
}

/* For a while nothing else happens, so that it must be noticed; then its own disk comes back. */
static void replace_disk(struct sim *sim)
{
    struct sim_host *host = any_host(sim);
    if (host->node == NULL || host->identity != SIM_GENUINE)
        return;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (sim->hosts[i].identity != SIM_GENUINE)
            return;
    }
    bool old = host->old.device != NULL && would_be_noticed(sim, host);
    host_crash(sim, host, false);
    if (old)
        roll_back(sim, host);
    else
        wipe(sim, host);
    sim_trace(sim, old ? "old copy" : "wiped", host->index, host->life, 0, 0);
    network_heal(sim);
    for (uint32_t i = 0; i < sim->options.nodes; i++)
        sim->hosts[i].paused = false;
    uint64_t quiet_us = 2000ull * sim->options.node.greeting_timeout_ms + 500000;
    sim->quiet_until_us = sim->now_us + quiet_us;
    /* What was sent before, and may yet be late, is not a test of it. */
    start_in(sim, host, 10000);
    sim_push(sim, (struct sim_event){
                      .at_us = sim->quiet_until_us, .type = SIM_RESTORE, .place = host->index});
}

void faults_restore(struct sim *sim, struct sim_host *host)
{
    if (host->identity == SIM_GENUINE)
        return;
    if (host->identity == SIM_OLD && host->fatal == NULL)
        sim_fail(sim, "amnesiac", "node %u runs on an old copy of its disk", host->id);
    if (host->node != NULL)
        host_crash(sim, host, false);
    store_kv_close(host->kv);
    store_sim_device_free(host->device);
    host->device = host->genuine.device;
    host->interface = store_sim_device_of(host->device);
    host->kv = host->genuine.kv;
    host->genuine = (struct sim_copy){0};
    host->identity = SIM_GENUINE;
    host->fatal = NULL;
    sim_trace(sim, "own disk", host->index, host->life, 0, 0);
    start_in(sim, host, 1000);
}

/* ---- The rest. */

static void pause(struct sim *sim)
{
    struct sim_host *host = some_host(sim);
    if (host->node == NULL || host->paused)
        return;
    host->paused = true;
    sim->coverage->pauses++;
    sim_trace(sim, "pause", host->index, host->life, 0, 0);
    uint64_t longest_us = 5000ull * sim->options.node.timing.election_timeout_ms;
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + sim_draw(sim, 1000, longest_us),
                                     .type = SIM_RESUME,
                                     .place = host->index,
                                     .life = host->life});
}

static void drain(struct sim *sim)
{
    struct sim_host *host = some_host(sim);
    if (host->node == NULL || host->paused)
        return;
    sim->coverage->drains++;
    sim_trace(sim, "drain", host->index, host->life, 0, 0);
    shard_node_drain(host->node, host_now_ms(sim, host));
    host_turn_soon(sim, host);
}

/* The wall clock jumps; the others only run fast or slow. */
static void jump(struct sim *sim)
{
    struct sim_host *host = any_host(sim);
    uint64_t most_ms = sim->options.wall_error_ms_max;
    host->wall_error_ms = (int64_t)sim_draw(sim, 0, 2 * most_ms) - (int64_t)most_ms;
    sim->coverage->clock_jumps++;
    sim_trace(sim, "clock jump", host->index, host->life, 0, 0);
}

static void fill_disk(struct sim *sim)
{
    struct sim_host *host = some_host(sim);
    host->full_until_us = sim->now_us + sim_draw(sim, 10000, 2000000);
    sim->coverage->full_disks++;
    sim_trace(sim, "full", host->index, host->life, 0, 0);
}

static void kill_router(struct sim *sim)
{
    sim->coverage->router_deaths++;
    sim_router_kill(sim, &sim->routers[sim_draw(sim, 0, sim->options.routers - 1)]);
}

static void one_fault(struct sim *sim)
{
    switch (sim_draw(sim, 0, 13)) {
    case 0:
    case 1:
    case 2:
        if (sim_has(sim, SIM_FAULT_partitions))
            partition(sim);
        break;
    case 3:
    case 4:
        if (sim_has(sim, SIM_FAULT_crashes))
            crash_some(sim, false);
        break;
    case 5:
    case 6:
        if (sim_has(sim, SIM_FAULT_power))
            crash_some(sim, true);
        break;
    case 7:
        if (sim_has(sim, SIM_FAULT_pauses))
            pause(sim);
        break;
    case 8:
        if (sim_has(sim, SIM_FAULT_drains))
            drain(sim);
        break;
    case 9:
        if (sim_has(sim, SIM_FAULT_wipes))
            replace_disk(sim);
        break;
    case 10:
        if (sim_has(sim, SIM_FAULT_routers))
            kill_router(sim);
        break;
    case 11:
        if (sim_has(sim, SIM_FAULT_clocks))
            jump(sim);
        break;
    case 12:
        if (sim_has(sim, SIM_FAULT_full))
            fill_disk(sim);
        break;
    default:
        network_heal(sim);
        break;
    }
}

void faults_happen(struct sim *sim)
{
    if (sim->healed)
        return;
    if (sim->now_us >= sim->quiet_until_us)
        one_fault(sim);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us +
                                              sim_draw(sim, 1, 2 * sim->options.fault_us_mean),
                                     .type = SIM_FAULT});
}

void faults_heal(struct sim *sim)
{
    sim->healed = true;
    network_heal(sim);
    sim_trace(sim, "healed", 0, 0, 0, 0);
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        struct sim_host *host = &sim->hosts[i];
        host->paused = false;
        if (host->identity == SIM_GENUINE && host->node == NULL)
            host_start(sim, host);
    }
}
