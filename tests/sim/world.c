#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/clients.h"
#include "tests/sim/ledger.h"

enum {
    WORLD_BIRTH_US_MAX = 60000000, /* Without faults a cluster serves within so long. */
    WORLD_STEP_US = 10000,
    WORLD_ARENA_SIZE = 1 << 22,
    WORLD_SENTENCE_SIZE = 1 << 16,
    WORLD_LONGER_MAX = 40,
};

_Noreturn void sim_fail(const struct sim *sim, const char *checker, const char *format, ...)
{
    static char text[WORLD_SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fflush(stdout);
    fprintf(stderr, "FAILED: seed %llu: %s: %s (at %llu us)\n",
            (unsigned long long)sim->options.seed, checker, text, (unsigned long long)sim->now_us);
    sim_trace_print(sim, text, stderr);
    fprintf(stderr, "with ");
    sim_options_print(&sim->options, stderr);
    fprintf(stderr, "commit %s; replay: ./dev sim --seed %llu", sim->commit,
            (unsigned long long)sim->options.seed);
    sim_narrowing_print(&sim->options.narrowing, stderr);
    fprintf(stderr, " --trace\n");
    exit(1);
}

uint64_t sim_draw(struct sim *sim, uint64_t min, uint64_t max)
{
    return base_prng_range(&sim->prng, min, max);
}

bool sim_chance(struct sim *sim, uint32_t per_mille)
{
    return per_mille > 0 && base_prng_chance(&sim->prng, per_mille, 1000);
}

bool sim_has(const struct sim *sim, enum sim_fault fault)
{
    return (sim->options.faults >> fault & 1) != 0;
}

void sim_note(struct sim *sim, uint64_t number)
{
    uint64_t hash = (sim->hash ^ number) * UINT64_C(0x9E3779B97F4A7C15);
    sim->hash = hash ^ hash >> 29;
}

/* ---- The heap of events, earliest first. */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

void sim_push(struct sim *sim, struct sim_event event)
{
    TORC_ASSERT(event.at_us >= sim->now_us);
    if (sim->heap_count > SIM_EVENTS_MAX)
        sim_fail(sim, "bounds", "a storm: %zu things are under way", sim->heap_count);
    event.number = ++sim->event_number;
    sim->heap = base_array_reserve(sim->allocator, sim->heap, &sim->heap_capacity,
                                   sim->heap_count + 1, sizeof(*sim->heap));
    size_t at = sim->heap_count++;
    while (at > 0 && before(&event, &sim->heap[(at - 1) / 2])) {
        sim->heap[at] = sim->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->heap[at] = event;
}

static struct sim_event pop(struct sim *sim)
{
    struct sim_event first = sim->heap[0], last = sim->heap[--sim->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= sim->heap_count)
            break;
        if (child + 1 < sim->heap_count && before(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (!before(&sim->heap[child], &last))
            break;
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    sim->heap[at] = last;
    return first;
}

/* ---- What happens. */

static void handle_host(struct sim *sim, const struct sim_event *event)
{
    struct sim_host *host = &sim->hosts[event->place];
    if (event->type == SIM_RESTART) {
        if (host->node == NULL && host->fatal == NULL && !host->lost)
            host_start(sim, host);
        return;
    }
    if (event->type == SIM_RESTORE) {
        faults_restore(sim, host);
        return;
    }
    if (event->type == SIM_STRIKE) {
        fault_strike(sim, host);
        return;
    }
    if (host->node == NULL || event->life != host->life)
        return;
    if (event->type == SIM_RESUME) {
        host_resume(sim, host);
        return;
    }
    if (host->paused) {
        host_hold(sim, host, event);
        return;
    }
    if (event->type == SIM_TURN && event->at_us == host->turn_us)
        host_turn(sim, host);
    else if (event->type == SIM_DISK)
        disk_done(sim, host);
    else if (event->type == SIM_FACTS)
        disk_ask_facts(sim, host);
}

static void handle_packet(struct sim *sim, const struct sim_event *event)
{
    struct sim_packet *packet = event->packet;
    if (packet->head.to < SIM_NODES_MAX && sim->hosts[packet->head.to].paused) {
        host_hold(sim, &sim->hosts[packet->head.to], event);
        return;
    }
    network_deliver(sim, packet);
    network_unref(sim, event->packet);
}

static void handle(struct sim *sim, const struct sim_event *event)
{
    switch (event->type) {
    case SIM_PACKET:
        handle_packet(sim, event);
        return;
    case SIM_TURN:
    case SIM_DISK:
    case SIM_FACTS:
    case SIM_RESTART:
    case SIM_RESUME:
    case SIM_RESTORE:
    case SIM_STRIKE:
        handle_host(sim, event);
        return;
    case SIM_ROUTER: {
        struct sim_router *router = &sim->routers[event->place];
        if (event->life == router->life && event->at_us == router->wake_us) {
            router->wake_us = UINT64_MAX;
            sim_router_turn(sim, router);
        }
        return;
    }
    case SIM_CLIENT:
        client_act(sim, &sim->clients[event->place]);
        return;
    case SIM_TO_DOOR:
    case SIM_TO_CLIENT:
    case SIM_CLIENT_READS:
    case SIM_DOOR_GOES:
        stream_event(sim, event);
        return;
    case SIM_FAULT:
        faults_happen(sim);
        return;
    case SIM_FLAP:
        fault_flap(sim, event->place, event->life);
        return;
    case SIM_MEND:
        fault_mend(sim);
        return;
    case SIM_USURP:
        faults_usurp(sim);
        return;
    case SIM_FALL:
        faults_fall(sim);
        return;
    case SIM_SUCCESSION:
        faults_succeeded(sim);
        return;
    case SIM_INIT:
        map_send(sim);
        return;
    }
}

static void run_until(struct sim *sim, uint64_t until_us)
{
    while (sim->heap_count > 0 && sim->heap[0].at_us <= until_us) {
        struct sim_event event = pop(sim);
        sim->now_us = event.at_us;
        handle(sim, &event);
    }
    sim->now_us = until_us;
}

/* ---- Life. */

void sim_init(struct sim *sim, const struct sim_options *options, struct sim_coverage *coverage)
{
    *sim = (struct sim){.options = *options, .coverage = coverage};
    sim->prng = base_prng_seeded(options->seed ^ UINT64_C(0x73696D));
    sim->allocator = base_allocator_system();
    sim->now_us = 1000000;
    sim->cluster.bytes[0] = 0xC1;
    sim->arena = wire_arena_new(sim->allocator, WORLD_ARENA_SIZE);
    history_set_init(&sim->histories, sim->allocator);
    for (uint32_t i = 0; i < options->nodes; i++) {
        snprintf(sim->addresses[i], SHARD_ADDRESS_SIZE, "tcp://127.0.0.1:%u", 7001 + i);
        sim->seeds[i] = sim->addresses[i];
        host_init(sim, i);
    }
    map_make(sim);
    ledger_init(sim);
    for (uint32_t i = 0; i < options->nodes; i++) {
        if (faults_comes_late(sim, &sim->hosts[i]))
            continue;
        host_start(sim, &sim->hosts[i]);
        faults_at_birth(sim, &sim->hosts[i]);
    }
    client_init(sim);
    for (uint32_t i = 0; i < options->routers; i++)
        sim_router_start(sim, i);
    sim_push(sim, (struct sim_event){.at_us = sim->now_us, .type = SIM_INIT});
}

void sim_fini(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->options.routers; i++)
        sim_router_free(sim, &sim->routers[i]);
    for (uint32_t i = 0; i < sim->options.nodes; i++)
        host_fini(sim, &sim->hosts[i]);
    for (size_t i = 0; i < sim->heap_count; i++) {
        if (sim->heap[i].packet != NULL)
            network_unref(sim, sim->heap[i].packet);
    }
    client_fini(sim);
    ledger_fini(sim);
    history_set_fini(&sim->histories);
    shard_map_fini(&sim->map);
    wire_arena_free(sim->arena);
    for (uint32_t i = 0; i < SIM_GROUPS_MAX; i++)
        base_array_free(sim->allocator, sim->slots[i], &sim->slots_capacity[i],
                        sizeof(*sim->slots[i]));
    base_array_free(sim->allocator, sim->message, &sim->message_capacity, 1);
    base_array_free(sim->allocator, sim->heap, &sim->heap_capacity, sizeof(*sim->heap));
}

/* Every replica of the map stands, but for those that fell too early, and every group has a leader
 * that serves. */
static bool is_born(struct sim *sim)
{
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        const struct shard_map_group *group = &sim->map.groups[g];
        for (uint32_t i = 0; i < group->replica_count; i++) {
            struct consensus_info info;
            struct sim_host *host = &sim->hosts[group->replicas[i].node - 1];
            bool stands = host->node != NULL && shard_node_replica_info(host->node, g, &info);
            host->unborn = (host->unborn & ~(1u << g)) | (uint32_t)!stands << g;
            if (!stands && !host->late && (!host->doomed || host->life == 1))
                return false;
        }
        if (host_leader(sim, g) == NULL)
            return false;
    }
    return true;
}

static void be_born(struct sim *sim)
{
    uint64_t deadline_us = sim->now_us + WORLD_BIRTH_US_MAX;
    while (!is_born(sim)) {
        if (sim->now_us > deadline_us)
            sim_fail(sim, "liveness", "the cluster was not born within %d us", WORLD_BIRTH_US_MAX);
        run_until(sim, sim->now_us + WORLD_STEP_US);
    }
    sim->born = true;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        host_heal(sim, &sim->hosts[i]);
        if (sim->hosts[i].late)
            faults_start_late(sim, &sim->hosts[i]);
    }
    for (uint32_t i = 0; i < sim->options.clients; i++)
        sim_push(sim, (struct sim_event){.at_us = sim->now_us + sim_draw(sim, 0, 50000),
                                         .type = SIM_CLIENT,
                                         .place = i});
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + 1, .type = SIM_FAULT});
}

/* Slots that the furthest replica of a group has applied and the last one has not, or is to apply
 * again, over all groups. */
static uint64_t slots_missed(const struct sim *sim)
{
    uint64_t missed = 0;
    for (uint32_t g = 0; g <= sim->options.groups; g++) {
        uint64_t most = 0, least = UINT64_MAX;
        for (uint32_t i = 0; i < sim->map.groups[g].replica_count; i++) {
            const struct sim_host *host = &sim->hosts[sim->map.groups[g].replicas[i].node - 1];
            uint64_t applied = host->node == NULL ? 0 : host->applied[g];
            most = applied > most ? applied : most;
            least = applied < least ? applied : least;
        }
        missed += most - least;
    }
    return missed;
}

/* How long it may take until everything is served, read and applied everywhere: some elections and
 * greetings, deadlines of requests under way, and one round trip per slot that was missed. */
static uint64_t bound_us(const struct sim *sim)
{
    const struct sim_options *options = &sim->options;
    const struct shard_timing *timing = &options->node.timing;
    uint64_t trip_us = 2 * (options->delay_us_max + options->sync_us_max + options->turn_us_max);
    return 5000000 + 20000ull * timing->election_timeout_ms +
           3000ull * options->request_timeout_ms + slots_missed(sim) * trip_us +
           (uint64_t)options->keys * SIM_KEY_KINDS * 200000;
}

/* Faults under load; they go on until enough kinds have happened, and somebody has taken over. */
static void suffer(struct sim *sim)
{
    bool narrowed = sim_narrowing_any(&sim->options.narrowing);
    run_until(sim, sim->now_us + sim->options.chaos_us);
    for (uint32_t i = 0; i < WORLD_LONGER_MAX && !narrowed; i++) {
        if (sim_kinds(sim) >= SIM_KINDS_MIN && sim->leader_changed)
            return;
        if (!sim->leader_changed)
            faults_hand_over(sim, i % (sim->options.groups + 1));
        run_until(sim, sim->now_us + sim->options.chaos_us / 4);
    }
}

static void come_to_rest(struct sim *sim)
{
    uint64_t most_us = bound_us(sim), deadline_us = sim->now_us + most_us;
    while (!check_at_rest(sim)) {
        if (sim->now_us >= deadline_us) {
            check_live_report(sim);
            sim_fail(sim, "liveness", "not at rest %llu us after the last fault",
                     (unsigned long long)most_us);
        }
        run_until(sim, sim->now_us + WORLD_STEP_US);
    }
}

uint64_t sim_run(struct sim *sim)
{
    be_born(sim);
    suffer(sim);
    faults_heal(sim);
    come_to_rest(sim);
    check_owners(sim);
    check_rows(sim);
    check_effects(sim);
    check_keys(sim);
    check_histories(sim);
    return sim->hash;
}
