/* Deaths of processes and machines: at any moment, at a chosen step, of one and of many. */
#include "base/assert.h"
#include "tests/sim/faults.h"

enum {
    CRASH_OPERATIONS_MAX = 40, /* Of the disk, until a trap springs. */
    CRASH_PASSES_MAX = 20,     /* Of the other steps. */
};

bool fault_is_crashable(const struct sim *sim, const struct sim_host *host)
{
    return host->node != NULL && host->identity == SIM_GENUINE && !fault_is_guarded(sim, host);
}

bool fault_crash(struct sim *sim, struct sim_host *host, bool power)
{
    if (!fault_is_crashable(sim, host))
        return false;
    host_crash(sim, host, power);
    if (sim_has(sim, SIM_FAULT_old_copies) && (host->old.device == NULL || sim_chance(sim, 300)))
        disk_copy(sim, host, &host->old);
    fault_start_in(sim, host, fault_while_us(sim));
    return true;
}

void fault_crashes(struct sim *sim)
{
    if (fault_crash(sim, fault_some_host(sim), false))
        sim_happened(sim, SIM_FAULT_crashes);
}

void fault_power(struct sim *sim)
{
    if (fault_crash(sim, fault_some_host(sim), true))
        sim_happened(sim, SIM_FAULT_power);
}

/* Of several, of all; power as well as processes, and often at one instant. */
void fault_outages(struct sim *sim)
{
    bool all = sim_chance(sim, 500), power = sim_chance(sim, 700);
    uint32_t fell = 0;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (all || sim_chance(sim, 600))
            fell += fault_crash(sim, &sim->hosts[i], power);
    }
    if (fell > 1)
        sim_happened(sim, SIM_FAULT_outages);
}

/* Who knows what was chosen is out of reach while another forgets what it may. */
void fault_ambush(struct sim *sim)
{
    struct sim_host *leader = host_leader(sim, (uint32_t)sim_draw(sim, 0, sim->options.groups));
    struct sim_host *other = fault_any_host(sim);
    if (leader == NULL || leader == other || !fault_crash(sim, other, sim_chance(sim, 500)))
        return;
    network_heal(sim);
    fault_cut_around(sim, leader->index, true, true);
    sim_happened(sim, SIM_FAULT_ambush);
    sim_trace(sim, "ambush", leader->index, other->id, 0, sim_cuts(sim));
}

/* ---- Traps. */

static void set_trap(struct sim *sim, struct sim_host *host)
{
    host->trap = (struct sim_trap){
        .point = (enum sim_point)sim_draw(sim, SIM_POINT_DISK, SIM_POINT_SENDING),
        .power = sim_chance(sim, 600),
    };
    if (host->trap.point == SIM_POINT_DISK)
        store_sim_device_inject(host->device, STORE_SIM_STOP,
                                sim_draw(sim, 0, CRASH_OPERATIONS_MAX));
    else
        host->trap.left = sim_draw(sim, 0, CRASH_PASSES_MAX);
    sim_trace(sim, "trap", host->index, host->trap.point, host->trap.left, host->trap.power);
}

void fault_traps(struct sim *sim)
{
    struct sim_host *host = fault_some_host(sim);
    if (host->node == NULL || host->identity != SIM_GENUINE || host->trap.point != SIM_POINT_NONE ||
        host->injected != SIM_FAULT_COUNT)
        return;
    set_trap(sim, host);
}

/* Who falls after its replica's id is marked as used, and before the replica is in its log, has
 * none and gets none: ids are never used twice. So it may only be one that may lose what it has. */
void faults_at_birth(struct sim *sim, struct sim_host *host)
{
    if (sim_has(sim, SIM_FAULT_birth) && sim_chance(sim, 600) && faults_may_doom(sim, host))
        set_trap(sim, host);
}

/* The last one, if no replica of the placement group is to stand there. Its own may come to
 * nothing, like those of whoever falls at birth. */
bool faults_comes_late(struct sim *sim, struct sim_host *host)
{
    host->late = host->index >= sim->options.replicas && host->index + 1 == sim->options.nodes &&
                 sim_has(sim, SIM_FAULT_latecomers) && faults_may_doom(sim, host);
    return host->late;
}

void faults_start_late(struct sim *sim, struct sim_host *host)
{
    sim_happened(sim, SIM_FAULT_latecomers);
    fault_start_in(sim, host, sim_draw(sim, 0, sim->options.chaos_us / 2));
}

bool faults_trip(struct sim *sim, struct sim_host *host, enum sim_point point)
{
    if (host->trap.point != point || host->trap.left-- > 0)
        return false;
    bool power = host->trap.power;
    uint64_t *const counters[] = {
        [SIM_POINT_DISK] = &sim->coverage->crashes_at_a_disk_step,
        [SIM_POINT_SYNCED] = &sim->coverage->crashes_when_synced,
        [SIM_POINT_TOLD] = &sim->coverage->crashes_when_told,
        [SIM_POINT_APPLIED] = &sim->coverage->crashes_when_applied,
        [SIM_POINT_SENDING] = &sim->coverage->crashes_when_sending,
    };
    if (!fault_crash(sim, host, power)) {
        host->trap = (struct sim_trap){0};
        return false;
    }
    (*counters[point])++;
    sim_happened(sim, sim->born ? SIM_FAULT_traps : SIM_FAULT_birth);
    return true;
}
