/*
 * shapes_test -- leaders under partial connectivity. In each shape of a broken network that leaves
 * some replica with links to a majority, a leader serves within a bound, and then keeps serving:
 * the others, however often they stand, do not unseat it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/harness.h"

enum {
    ELECTION_MS = 100,
    BOUND_US = 12 * ELECTION_MS * 1000, /* To elect: the silence, then a few attempts. */
    CALM_US = 20 * ELECTION_MS * 1000,  /* For so long the leader then stays. */
};

struct shape {
    const char *name;
    uint32_t voters;
    enum harness_shape shape;
};

static const struct shape shapes[] = {
    {"whole", 5, HARNESS_WHOLE},
    {"leader alone", 3, HARNESS_ALONE},
    {"leader alone", 5, HARNESS_ALONE},
    {"leader hears and is not heard", 3, HARNESS_MUTE},
    {"leader hears and is not heard", 5, HARNESS_MUTE},
    {"leader is heard and does not hear", 3, HARNESS_DEAF},
    {"leader is heard and does not hear", 5, HARNESS_DEAF},
    {"only the hub has links", 3, HARNESS_HUB},
    {"only the hub has links", 5, HARNESS_HUB},
    {"chain", 3, HARNESS_CHAIN},
    {"chain", 5, HARNESS_CHAIN},
};

static struct harness_options options_for(uint64_t seed, uint32_t voters)
{
    return (struct harness_options){
        .seed = seed,
        .voters = voters,
        .delay_us_min = 100,
        .delay_us_max = 1000,
        .sync_us_min = 200,
        .sync_us_max = 3000,
        .fault_us_mean = 1000,
        .client_us_mean = 5000,
        .rate_min = 950,
        .rate_max = 1050,
        .value_size_max = 64,
        .config = {.heartbeat_interval_ms = ELECTION_MS / 5,
                   .election_timeout_ms = ELECTION_MS,
                   .retransmit_timeout_ms = 20,
                   .window_entries_max = 32,
                   .window_bytes_max = 1 << 16,
                   .cache_bytes_max = 1 << 16,
                   .message_bytes_max = 1 << 14,
                   .reads_max = 16},
    };
}

/* Index of the node that serves, or HARNESS_NODES_MAX. */
static uint32_t serving(const struct harness *harness)
{
    for (uint32_t i = 0; i < harness->node_count; i++) {
        struct consensus_info info;
        node_info(&harness->nodes[i], &info);
        if (info.serving)
            return i;
    }
    return HARNESS_NODES_MAX;
}

/* Waits for a write acknowledged after this moment. */
static void wait_write(struct harness *harness, const char *name)
{
    uint64_t until_us = harness->now_us + BOUND_US;
    uint64_t acknowledged = harness->coverage->acknowledged;
    while (harness->coverage->acknowledged == acknowledged) {
        if (harness->now_us >= until_us)
            harness_fail(harness, "%s: no write is acknowledged", name);
        harness_run_until(harness, harness->now_us + 1000);
    }
}

static void run(const struct shape *shape, uint64_t seed)
{
    struct harness_options options = options_for(seed, shape->voters);
    struct harness_coverage coverage = {0};
    struct harness harness;
    harness_init(&harness, &options, &coverage);
    harness.scripted = true;
    wait_write(&harness, "before");
    uint32_t leader = serving(&harness);
    /* The hub is another than the leader, which so loses its majority when there are five. */
    uint32_t one = shape->shape == HARNESS_HUB ? (leader + 1) % shape->voters : leader;
    harness_cut(&harness, shape->shape, one);
    uint64_t cut_us = harness.now_us;
    harness_run_until(&harness, harness.now_us + 2 * ELECTION_MS * 1000);
    wait_write(&harness, shape->name);
    uint64_t took_us = harness.now_us - cut_us;
    harness_run_until(&harness, harness.now_us + BOUND_US);
    uint32_t successor = serving(&harness);
    uint64_t until_us = harness.now_us + CALM_US;
    while (harness.now_us < until_us) {
        harness_run_until(&harness, harness.now_us + 10000);
        struct consensus_info info;
        node_info(&harness.nodes[successor % HARNESS_NODES_MAX], &info);
        if (!info.serving)
            harness_fail(&harness, "%s: the leader does not stay", shape->name);
    }
    wait_write(&harness, shape->name);
    if (seed == 1)
        printf("%u voters, %s: written again after %llu ms\n", shape->voters, shape->name,
               (unsigned long long)took_us / 1000);
    harness_heal(&harness);
    harness_run_until(&harness, harness.now_us + BOUND_US);
    if (serving(&harness) == HARNESS_NODES_MAX)
        harness_fail(&harness, "%s: no leader after it healed", shape->name);
    harness_fini(&harness);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        for (uint64_t seed = 1; seed <= 50; seed++)
            run(&shapes[i], seed);
    }
    return 0;
}
