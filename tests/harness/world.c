#include "tests/harness/harness.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/assert.h"

_Noreturn void harness_fail(const struct harness *harness, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "FAILED at %llu us: ", (unsigned long long)harness->now_us);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nwith ");
    harness_options_print(&harness->options, stderr);
    fprintf(stderr, "replay: bazel run //tests/harness:harness -- --seed %llu --trace\n",
            (unsigned long long)harness->options.seed);
    fflush(stdout);
    exit(1);
}

uint64_t harness_draw(struct harness *harness, uint64_t min, uint64_t max)
{
    return base_prng_range(&harness->prng, min, max);
}

bool harness_chance(struct harness *harness, uint32_t per_mille)
{
    return per_mille > 0 && base_prng_chance(&harness->prng, per_mille, 1000);
}

void harness_note(struct harness *harness, uint64_t number)
{
    uint64_t hash = (harness->hash ^ number) * UINT64_C(0x9E3779B97F4A7C15);
    harness->hash = hash ^ hash >> 29;
}

/* ---- The heap of events, earliest first. */

static bool before(const struct harness_event *a, const struct harness_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

void harness_push(struct harness *harness, struct harness_event event)
{
    TORC_ASSERT(event.at_us >= harness->now_us);
    if (harness->heap_count > HARNESS_EVENTS_MAX)
        harness_fail(harness, "a storm: %zu things are under way", harness->heap_count);
    event.number = ++harness->event_number;
    harness->heap = base_array_reserve(harness->allocator, harness->heap, &harness->heap_capacity,
                                       harness->heap_count + 1, sizeof(*harness->heap));
    size_t at = harness->heap_count++;
    while (at > 0 && before(&event, &harness->heap[(at - 1) / 2])) {
        harness->heap[at] = harness->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    harness->heap[at] = event;
}

static struct harness_event pop(struct harness *harness)
{
    struct harness_event first = harness->heap[0];
    struct harness_event last = harness->heap[--harness->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= harness->heap_count)
            break;
        if (child + 1 < harness->heap_count &&
            before(&harness->heap[child + 1], &harness->heap[child]))
            child++;
        if (!before(&harness->heap[child], &last))
            break;
        harness->heap[at] = harness->heap[child];
        at = child;
    }
    harness->heap[at] = last;
    return first;
}

/* ---- Life of the world. */

void harness_init(struct harness *harness, const struct harness_options *options,
                  struct harness_coverage *coverage)
{
    *harness = (struct harness){.options = *options, .coverage = coverage};
    harness->prng = base_prng_seeded(options->seed ^ UINT64_C(0x746F7263));
    harness->allocator = base_allocator_system();
    base_pool_init(&harness->pool, harness->allocator, SIZE_MAX);
    harness->node_count = options->voters + options->learners;
    TORC_ASSERT(harness->node_count <= HARNESS_NODES_MAX);
    for (uint32_t i = 0; i < harness->node_count; i++)
        harness->members[i] = (struct consensus_member){
            .replica = i + 1, .node = 100 + i, .voter = i < options->voters};
    for (uint32_t i = 0; i < harness->node_count; i++) {
        struct harness_node *node = &harness->nodes[i];
        node->index = i;
        node->replica = i + 1;
        struct disk_log *log = NULL;
        if (options->real_log)
            log = disk_log_new(harness->allocator, &harness->prng);
        disk_init(&node->disk, &harness->pool, log);
        node_start(harness, node);
    }
    coverage->single_voter_runs += options->voters == 1;
    coverage->learner_runs += options->learners > 0;
    harness_push(harness, (struct harness_event){.at_us = 1, .type = HARNESS_CLIENT});
    harness_push(harness, (struct harness_event){.at_us = 1, .type = HARNESS_FAULT});
}

void harness_fini(struct harness *harness)
{
    for (uint32_t i = 0; i < harness->node_count; i++) {
        struct harness_node *node = &harness->nodes[i];
        if (node->machine != NULL)
            node_crash(harness, node, false);
        disk_fini(&node->disk);
    }
    for (size_t i = 0; i < harness->heap_count; i++) {
        if (harness->heap[i].packet != NULL)
            network_packet_free(harness, harness->heap[i].packet);
    }
    base_array_free(harness->allocator, harness->heap, &harness->heap_capacity,
                    sizeof(*harness->heap));
    oracle_fini(&harness->oracle, harness->allocator);
    base_pool_fini(&harness->pool);
}

static void handle(struct harness *harness, struct harness_event *event)
{
    struct harness_node *node = &harness->nodes[event->node];
    bool of_node = event->type < HARNESS_CLIENT;
    if (event->type == HARNESS_CLIENT) {
        faults_client(harness);
    } else if (event->type == HARNESS_FAULT) {
        faults_happen(harness);
    } else if (event->type == HARNESS_AMBUSH) {
        faults_ambush(harness, event);
    } else if (event->type == HARNESS_RESTART) {
        if (node->machine == NULL)
            node_start(harness, node);
    } else if (event->type == HARNESS_RESUME) {
        if (event->life == node->life)
            node->paused = false;
    } else if (node->machine != NULL && node->paused) {
        /* The operating system keeps it until the process goes on. */
        event->at_us = harness->now_us + 500;
        harness_push(harness, *event);
        return;
    } else if (node->machine != NULL && (event->life == 0 || event->life == node->life)) {
        node_handle(harness, node, event);
    }
    if (event->packet != NULL)
        network_packet_free(harness, event->packet);
    if (of_node && node->machine != NULL)
        oracle_check(harness, node);
}

void harness_run_until(struct harness *harness, uint64_t until_us)
{
    while (harness->heap_count > 0 && harness->heap[0].at_us <= until_us) {
        struct harness_event event = pop(harness);
        harness->now_us = event.at_us;
        handle(harness, &event);
    }
    harness->now_us = until_us;
}

void harness_heal(struct harness *harness)
{
    harness->healed = true;
    for (uint32_t i = 0; i < harness->node_count; i++) {
        for (uint32_t j = 0; j < harness->node_count; j++)
            harness->cut[i][j] = false;
        harness->nodes[i].paused = false;
        if (harness->nodes[i].machine == NULL)
            node_start(harness, &harness->nodes[i]);
    }
}

/* A replica that nobody votes with and whose missing entries every voter had once: it may need a
 * rebuild, which is not consensus's business. */
static bool excused(const struct harness *harness, const struct harness_node *node,
                    const struct consensus_info *info)
{
    return info->behind_compaction && (node->amnesiac || !harness->members[node->index].voter);
}

bool harness_converged(const struct harness *harness)
{
    if (harness->healed_slot == 0 || !harness->healed_read)
        return false;
    bool serving = false;
    for (uint32_t i = 0; i < harness->node_count; i++) {
        struct consensus_info info;
        node_info(&harness->nodes[i], &info);
        serving |= info.serving;
        if (info.applied != harness->oracle.last && !excused(harness, &harness->nodes[i], &info))
            return false;
    }
    return serving;
}

/* How long it may take until everything is served and applied everywhere: some elections, and for
 * the last to catch up one round trip and one write per slot in the worst case. */
static uint64_t bound_us(const struct harness *harness)
{
    const struct harness_options *options = &harness->options;
    uint64_t election_us =
        (uint64_t)options->config.election_timeout_ms * 1000 * 1000 / options->rate_min;
    uint64_t retransmit_us =
        (uint64_t)options->config.retransmit_timeout_ms * 1000 * 1000 / options->rate_min;
    uint64_t trip_us = 2 * (options->delay_us_max + options->sync_us_max + options->turn_us_max);
    return 25 * election_us + (trip_us + retransmit_us) * (harness->oracle.last + 20);
}

uint64_t harness_run(struct harness *harness)
{
    harness_run_until(harness, harness->options.chaos_us);
    harness_heal(harness);
    uint64_t deadline_us = harness->now_us + bound_us(harness);
    while (!harness_converged(harness)) {
        if (harness->now_us >= deadline_us) {
            for (uint32_t i = 0; i < harness->node_count; i++) {
                struct consensus_info info;
                node_info(&harness->nodes[i], &info);
                fprintf(stderr, "replica %u: role %d leader %llu chosen %llu applied %llu%s\n",
                        i + 1, (int)info.role, (unsigned long long)info.leader,
                        (unsigned long long)info.chosen, (unsigned long long)info.applied,
                        info.behind_compaction ? " behind compaction" : "");
            }
            harness_fail(harness, "not live %llu us after the last fault (write %llu, read %d)",
                         (unsigned long long)bound_us(harness),
                         (unsigned long long)harness->healed_slot, harness->healed_read);
        }
        harness_run_until(harness, harness->now_us + 5000);
    }
    return harness->hash;
}
