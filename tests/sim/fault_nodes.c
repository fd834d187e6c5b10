/* Nodes that are slow, stand still, or are not what they were; clocks; routers. */
#include "base/assert.h"
#include "tests/sim/faults.h"

enum {
    NODES_SLOW_US_MAX = 100000,
    NODES_WHILE_US_MAX = 3000000,
    NODES_RATE_MIN = 500, /* Per mille of true time, beyond any bound. */
    NODES_RATE_MAX = 2000,
};

static void pause_for(struct sim *sim, struct sim_host *host, uint64_t us)
{
    host->paused = true;
    sim_trace(sim, "pause", host->index, host->life, us, 0);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + us,
                                     .type = SIM_RESUME,
                                     .place = host->index,
                                     .life = host->life});
}

void fault_pauses(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    if (host->node == NULL || host->paused)
        return;
    sim_happened(sim, SIM_FAULT_pauses);
    pause_for(sim, host,
              sim_draw(sim, 1000, 2000ull * sim->options.node.timing.election_timeout_ms));
}

/* Others lead, requests are given up, leases have run out, and it knows nothing of it. */
void fault_long_pauses(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    if (host->node == NULL || host->paused)
        return;
    uint64_t least_ms = sim->options.request_timeout_ms;
    if (least_ms < 3 * sim->options.lease_ms)
        least_ms = 3 * sim->options.lease_ms;
    sim_happened(sim, SIM_FAULT_long_pauses);
    pause_for(sim, host, sim_draw(sim, 1000 * least_ms, 2000 * least_ms));
}

void fault_slow_nodes(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    host->slow_us = (uint32_t)sim_draw(sim, 1000, NODES_SLOW_US_MAX);
    host->slow_until_us = sim->now_us + sim_draw(sim, 10000, NODES_WHILE_US_MAX);
    sim_trace(sim, "slow node", host->index, host->life, host->slow_us, 0);
}

/* What it holds is kept; a little more may come. */
void fault_memory(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    if (host->node == NULL)
        return;
    host->little_until_us = sim->now_us + sim_draw(sim, 10000, NODES_WHILE_US_MAX);
    host->pool.bytes_max = host->pool.bytes_used + sim_draw(sim, 0, 4000);
    sim_trace(sim, "little memory", host->index, host->life, host->pool.bytes_max, 0);
}

/* ---- Clocks. */

void fault_jumps(struct sim *sim)
{
    struct sim_host *host = fault_any_host(sim);
    uint64_t most_ms = sim->options.wall_error_ms_max;
    host->wall_error_ms = (int64_t)sim_draw(sim, 0, 2 * most_ms) - (int64_t)most_ms;
    sim_happened(sim, SIM_FAULT_jumps);
    sim_trace(sim, "clock jump", host->index, host->life, 0, 0);
}

static void drift(struct sim *sim, struct sim_host *host, uint32_t rate_max)
{
    host_clock_set(sim, host, (uint32_t)sim_draw(sim, NODES_RATE_MIN, rate_max));
    host->drift_until_us = sim->now_us + sim_draw(sim, 100000, NODES_WHILE_US_MAX);
    sim_happened(sim, SIM_FAULT_drift);
    sim_trace(sim, "drift", host->index, host->life, host->clock_rate, 0);
}

/* Leases are given up only within a bound; reads by quorum trust no clock. */
void fault_drift(struct sim *sim)
{
    if (sim->options.lease_ms == 0)
        drift(sim, fault_some_host(sim), NODES_RATE_MAX);
}

/* A leader whose time goes slowly thinks for longer than all others that it leads. */
void fault_slow_leader(struct sim *sim, struct sim_host *leader)
{
    if (sim->options.lease_ms == 0 && sim_has(sim, SIM_FAULT_drift) && sim_chance(sim, 500))
        drift(sim, leader, NODES_RATE_MIN + 100);
}

/* ---- Other disks than its own. */

/* A node asks the peers of the map that its state holds; one without knows nobody to ask. */
static bool knows_peers(struct store_kv *kv)
{
    struct store_value map;
    if (store_kv_get(kv, NULL, base_bytes_of("mmap", 4), &map) != TORC_OK)
        return false;
    store_value_release(&map);
    return true;
}

struct sim_host *fault_witness(struct sim *sim, const struct sim_host *host, struct store_kv *kv,
                               uint64_t batch)
{
    if (!knows_peers(kv))
        return NULL;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        struct sim_host *peer = &sim->hosts[i];
        /* One without a map knows no peers. */
        if (i != host->index && peer->node != NULL && peer->identity == SIM_GENUINE &&
            shard_node_map(peer->node)->version > 0 && peer->seen_batch[host->index] > batch)
            return peer;
    }
    return NULL;
}

/* Its own disk may stand in for the node, and one at a time. */
static bool is_replaceable(const struct sim *sim, const struct sim_host *host)
{
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (sim->hosts[i].identity != SIM_GENUINE)
            return false;
    }
    return host->node != NULL;
}

void fault_quiet(struct sim *sim, uint64_t until_us)
{
    network_heal(sim);
    sim_trace(sim, "quiet", SIM_EVERYWHERE, until_us, 0, 0);
    for (uint32_t i = 0; i < sim->options.nodes; i++)
        host_heal(sim, &sim->hosts[i]);
    sim->quiet_until_us = until_us;
}

/* Within so long a node that starts has been told what is wrong with it. */
static uint64_t guarded_us(const struct sim *sim)
{
    return 2000ull * sim->options.node.greeting_timeout_ms + 500000;
}

static void restore_at(struct sim *sim, const struct sim_host *host, uint64_t at_us)
{
    sim_push(sim, (struct sim_event){.at_us = at_us, .type = SIM_RESTORE, .place = host->index});
}

void fault_stand_by(struct sim *sim, struct sim_host *host)
{
    fault_quiet(sim, sim->now_us + guarded_us(sim));
    restore_at(sim, host, sim->quiet_until_us);
}

/* All goes on elsewhere. */
static void stand_guard(struct sim *sim, struct sim_host *host, struct sim_host *witness)
{
    host_heal(sim, host);
    host_heal(sim, witness);
    sim->guard.host = host->index;
    sim->guard.witness = witness->index;
    sim->guard.until_us = sim->now_us + guarded_us(sim);
    sim_trace(sim, "guard", host->index, witness->id, sim->guard.until_us, 0);
    restore_at(sim, host, sim->guard.until_us);
}

bool fault_is_guarded(const struct sim *sim, const struct sim_host *host)
{
    return sim->now_us < sim->guard.until_us &&
           (host->index == sim->guard.host || host->index == sim->guard.witness);
}

static void take_out(struct sim *sim, struct sim_host *host, enum sim_identity identity)
{
    host_crash(sim, host, false);
    host->genuine = (struct sim_copy){.device = host->device, .kv = host->kv};
    host->identity = identity;
    sim_trace(sim, identity == SIM_OLD ? "old copy" : "wiped", host->index, host->life, 0, 0);
}

void fault_wipes(struct sim *sim)
{
    struct sim_host *host = fault_any_host(sim);
    if (!is_replaceable(sim, host))
        return;
    take_out(sim, host, SIM_WIPED);
    disk_format(sim, host);
    sim_happened(sim, SIM_FAULT_wipes);
    /* What was sent before, and may yet be late, is not a test of it. */
    fault_start_in(sim, host, 10000);
    if (sim_chance(sim, 500))
        fault_stand_by(sim, host);
    else
        restore_at(sim, host, sim->now_us + sim_draw(sim, 10000, 2 * guarded_us(sim)));
}

static void put_old_copy(struct sim *sim, struct sim_host *host, struct sim_host *witness)
{
    bool guard = sim->options.nodes > 2 && !witness->doomed && sim_chance(sim, 500);
    take_out(sim, host, SIM_OLD);
    host->device = host->old.device;
    host->interface = store_sim_device_of(host->device);
    host->kv = host->old.kv;
    host->old = (struct sim_copy){0};
    sim_happened(sim, SIM_FAULT_old_copies);
    fault_start_in(sim, host, 10000);
    if (guard)
        stand_guard(sim, host, witness);
    else
        fault_stand_by(sim, host);
}

/* Any node that can be: copies are taken at crashes. */
void fault_old_copies(struct sim *sim)
{
    uint32_t first = fault_any_host(sim)->index;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        struct sim_host *host = &sim->hosts[(first + i) % sim->options.nodes];
        if (!is_replaceable(sim, host) || host->old.device == NULL)
            continue;
        struct sim_host *witness = fault_witness(sim, host, host->old.kv, host->old.batch);
        if (witness == NULL)
            continue;
        put_old_copy(sim, host, witness);
        return;
    }
}

void faults_restore(struct sim *sim, struct sim_host *host)
{
    if (host->identity == SIM_GENUINE || host->lost)
        return;
    if (host->identity != SIM_WIPED && host->fatal == NULL)
        sim_fail(sim, "amnesiac", "node %u runs and its disk has lost something", host->id);
    if (host->identity == SIM_SHORT) {
        host->lost = true;
        sim->coverage->lost_tails_noticed++;
        return;
    }
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
    fault_start_in(sim, host, 1000);
}

/* ---- The rest. */

void fault_drain(struct sim *sim, struct sim_host *host)
{
    if (host->node == NULL || host->paused)
        return;
    sim_happened(sim, SIM_FAULT_drains);
    sim_trace(sim, "drain", host->index, host->life, 0, 0);
    shard_node_drain(host->node, host_now_ms(sim, host));
    host_turn_soon(sim, host);
}

void fault_drains(struct sim *sim)
{
    fault_drain(sim, fault_some_host(sim));
}

void fault_routers(struct sim *sim)
{
    sim_happened(sim, SIM_FAULT_routers);
    sim_router_kill(sim, &sim->routers[sim_draw(sim, 0, sim->options.routers - 1)]);
}
