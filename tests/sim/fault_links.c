/* Who hears whom, and how well. */
#include "tests/sim/faults.h"

enum {
    LINKS_SLOW_US_MAX = 1000000,
    LINKS_FLAPS_MAX = 40,
    LINKS_FLAP_US_MAX = 200000,
    LINKS_MEND_US_MAX = 300000,
};

void fault_cut_around(struct sim *sim, uint32_t one, bool in, bool out)
{
    for (uint32_t i = 0; i < SIM_PLACES_MAX; i++) {
        sim->cut[i][one] |= in && i != one;
        sim->cut[one][i] |= out && i != one;
    }
}

static void cut_both(struct sim *sim, uint32_t one, uint32_t other)
{
    sim->cut[one][other] = sim->cut[other][one] = true;
}

/* Most partitions stand alone; some add to the one before. */
static void begin(struct sim *sim)
{
    if (sim_chance(sim, 700))
        network_heal(sim);
}

static void cut_sides(struct sim *sim)
{
    uint64_t side = sim_draw(sim, 0, (1u << SIM_PLACES_MAX) - 1);
    for (uint32_t i = 0; i < SIM_PLACES_MAX; i++) {
        for (uint32_t j = 0; j < SIM_PLACES_MAX; j++)
            sim->cut[i][j] = (side >> i & 1) != (side >> j & 1);
    }
}

static void cut_at_random(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_PLACES_MAX; i++) {
        for (uint32_t j = 0; j < SIM_PLACES_MAX; j++)
            sim->cut[i][j] = i != j && sim_chance(sim, 250);
    }
}

void fault_partitions(struct sim *sim)
{
    sim_happened(sim, SIM_FAULT_partitions);
    begin(sim);
    uint32_t one = fault_some_host(sim)->index;
    switch (sim_draw(sim, 0, 5)) {
    case 0: /* Alone. */
        fault_cut_around(sim, one, true, true);
        break;
    case 1: /* Heard by nobody, or deaf, or neither. */
        fault_cut_around(sim, one, sim_chance(sim, 500), sim_chance(sim, 500));
        break;
    case 2: /* Routers are on either side. */
        cut_sides(sim);
        break;
    case 3: /* Some links, one way. */
        cut_at_random(sim);
        break;
    case 4: /* Only its link to one other node. */
        sim->cut[one][fault_any_host(sim)->index] = true;
        break;
    default: /* Between the nodes and one router. */
        fault_cut_around(sim, SIM_NODES_MAX, true, sim_chance(sim, 500));
        break;
    }
    sim_trace(sim, "partition", one, 0, 0, sim_cuts(sim));
}

/* ---- Shapes: nodes stand in an order, and only some neighbours hear each other. Routers reach
 * all. */

static void draw_order(struct sim *sim, uint32_t order[SIM_NODES_MAX])
{
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        uint32_t j = (uint32_t)sim_draw(sim, 0, i);
        order[i] = order[j];
        order[j] = i;
    }
}

enum shape { SHAPE_CHAIN, SHAPE_RING, SHAPE_BRIDGE, SHAPE_STAR };

/* Whether places i < j of n hear each other. */
static bool are_linked(enum shape shape, uint32_t i, uint32_t j, uint32_t n)
{
    switch (shape) {
    case SHAPE_CHAIN:
        return j == i + 1;
    case SHAPE_RING:
        return j == i + 1 || (i == 0 && j == n - 1);
    case SHAPE_BRIDGE: /* The middle one hears both sides. */
        return i == n / 2 || j == n / 2 || (i < n / 2) == (j < n / 2);
    case SHAPE_STAR:
        return i == 0;
    }
    return true;
}

void fault_shapes(struct sim *sim)
{
    uint32_t n = sim->options.nodes, order[SIM_NODES_MAX];
    enum shape shape = (enum shape)sim_draw(sim, 0, SHAPE_STAR);
    if (shape == SHAPE_RING && n < 4)
        return; /* All hear each other. */
    begin(sim);
    draw_order(sim, order);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = i + 1; j < n; j++) {
            if (!are_linked(shape, i, j, n))
                cut_both(sim, order[i], order[j]);
        }
    }
    sim_happened(sim, SIM_FAULT_shapes);
    sim->coverage->chains += shape == SHAPE_CHAIN;
    sim->coverage->rings += shape == SHAPE_RING;
    sim->coverage->bridges += shape == SHAPE_BRIDGE;
    sim->coverage->stars += shape == SHAPE_STAR;
    sim_trace(sim, "partition by shape", order[0], shape, 0, sim_cuts(sim));
}

/* Of one group. What routers still reach is drawn too. */
void fault_singled(struct sim *sim)
{
    uint32_t group = (uint32_t)sim_draw(sim, 0, sim->options.groups);
    struct sim_host *leader = host_leader(sim, group);
    if (leader == NULL)
        return;
    begin(sim);
    fault_slow_leader(sim, leader);
    uint32_t one = leader->index, kind = (uint32_t)sim_draw(sim, 0, 3);
    uint32_t places = sim_chance(sim, 500) ? SIM_PLACES_MAX : SIM_NODES_MAX;
    const struct shard_map_group *members = &sim->map.groups[group];
    uint32_t follower = members->replicas[sim_draw(sim, 0, members->replica_count - 1)].node - 1;
    for (uint32_t i = 0; i < places; i++) {
        if (i == one || (kind == 3 && i == follower && i != one))
            continue;
        sim->cut[i][one] |= kind != 1;
        sim->cut[one][i] |= kind != 2;
    }
    sim_happened(sim, SIM_FAULT_singled);
    sim->coverage->leaders_alone += kind == 0;
    sim->coverage->leaders_mute += kind == 1;
    sim->coverage->leaders_deaf += kind == 2;
    sim->coverage->leaders_with_one += kind == 3 && follower != one;
    sim_trace(sim, "leader singled out", one, group, kind, sim_cuts(sim));
}

/* ---- Links that come back one by one, that come and go, that are bad. */

static bool any_cut(const struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_PLACES_MAX * SIM_PLACES_MAX; i++) {
        if (sim->cut[i / SIM_PLACES_MAX][i % SIM_PLACES_MAX])
            return true;
    }
    return false;
}

void fault_mend(struct sim *sim)
{
    if (sim->healed || !any_cut(sim))
        return;
    uint64_t at = sim_draw(sim, 0, SIM_PLACES_MAX * SIM_PLACES_MAX - 1);
    while (!sim->cut[at / SIM_PLACES_MAX][at % SIM_PLACES_MAX])
        at = (at + 1) % (SIM_PLACES_MAX * SIM_PLACES_MAX);
    sim->cut[at / SIM_PLACES_MAX][at % SIM_PLACES_MAX] = false;
    sim_trace(sim, "mending", SIM_EVERYWHERE, 0, 0, sim_cuts(sim));
    sim_happened(sim, SIM_FAULT_mending);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + sim_draw(sim, 1, LINKS_MEND_US_MAX),
                                     .type = SIM_MEND});
}

/* Where nothing is cut there is nothing to mend: first it is cut. */
void fault_mending(struct sim *sim)
{
    if (!any_cut(sim))
        fault_partitions(sim);
    fault_mend(sim);
}

void fault_flap(struct sim *sim, uint32_t place, uint32_t left)
{
    if (sim->healed || left == 0 || sim->now_us < sim->quiet_until_us)
        return;
    uint32_t from = place / SIM_PLACES_MAX, to = place % SIM_PLACES_MAX;
    sim->cut[from][to] = !sim->cut[from][to];
    sim_happened(sim, SIM_FAULT_flapping);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + sim_draw(sim, 1, LINKS_FLAP_US_MAX),
                                     .type = SIM_FLAP,
                                     .place = place,
                                     .life = left - 1});
}

void fault_flapping(struct sim *sim)
{
    uint32_t from = fault_some_host(sim)->index, to = fault_any_host(sim)->index;
    uint32_t times = 2 * (uint32_t)sim_draw(sim, 1, LINKS_FLAPS_MAX / 2);
    if (from == to)
        to = SIM_NODES_MAX + (uint32_t)sim_draw(sim, 0, sim->options.routers - 1);
    fault_flap(sim, from * SIM_PLACES_MAX + to, times);
    if (sim_chance(sim, 500))
        fault_flap(sim, to * SIM_PLACES_MAX + from, times);
    sim_trace(sim, "flapping", from, to, times, 0);
}

void fault_lossy_links(struct sim *sim)
{
    uint32_t from = fault_some_host(sim)->index;
    for (uint32_t to = 0; to < SIM_PLACES_MAX; to++) {
        if (!sim_chance(sim, 400))
            continue;
        sim->links[from][to].loss = (uint32_t)sim_draw(sim, 100, 900);
        sim->links[to][from].loss = sim_chance(sim, 500) ? sim->links[from][to].loss : 0;
    }
    sim_trace(sim, "lossy links", from, 0, 0, 0);
}

void fault_slow_links(struct sim *sim)
{
    uint32_t from = fault_some_host(sim)->index;
    uint64_t slow_us = sim_draw(sim, 1000, LINKS_SLOW_US_MAX);
    bool all = sim_chance(sim, 500);
    uint32_t only = fault_any_host(sim)->index;
    for (uint32_t to = 0; to < SIM_PLACES_MAX; to++) {
        if (all || to == only)
            sim->links[from][to].slow_us = slow_us;
        if (all && sim_chance(sim, 500))
            sim->links[to][from].slow_us = slow_us;
    }
    sim_happened(sim, SIM_FAULT_slow_links);
    sim_trace(sim, "slow links", from, slow_us, all, 0);
}
