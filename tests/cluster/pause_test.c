/*
 * pause_test [LEASE_MS] -- a leader is stopped for ten seconds, under load, and goes on as if
 * nothing had happened: another one serves meanwhile, what it holds now is old, and nobody is shown
 * it. No write is lost.
 */
#include <signal.h>
#include <stdio.h>

#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/workload.h"

enum { PAUSE_MS = 10000, OPS = 1000, WAIT_MS = 30000 };

struct pause {
    struct workload *workload;
    uint64_t acknowledged_min; /* So that there is something new that the stopped one lacks. */
    uint64_t until_ms;
};

static bool is_over(void *context)
{
    const struct pause *pause = context;
    return cluster_now_ms() >= pause->until_ms &&
           workload_counts(pause->workload).acknowledged >= pause->acknowledged_min;
}

static void leader_pause(struct cluster *cluster, struct workload *workload, uint32_t group)
{
    char id[CLUSTER_ID_SIZE];
    snprintf(id, sizeof(id), "s%u", cluster_leader(cluster, group) % 100);
    struct pause pause = {workload, workload_counts(workload).acknowledged + OPS,
                          cluster_now_ms() + PAUSE_MS};
    cluster_signal(cluster, id, SIGSTOP);
    cluster_wait(is_over, &pause, PAUSE_MS + WAIT_MS, "the others have served meanwhile");
    CLUSTER_CHECK(cluster_process(cluster, id).running);
    cluster_signal(cluster, id, SIGCONT);
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    struct cluster_options options = {
        .nodes = 3, .shards = 3, .lease_ms = argc > 1 ? argv[1] : NULL};
    cluster_start(&cluster, &options);
    struct workload_options load = {.port = cluster.port,
                                    .threads = 8,
                                    .registers = 12,
                                    .counters = 6,
                                    .deleted = 3,
                                    .once_percent = 10,
                                    .timeout_ms = 10000,
                                    .pause_us = 3000,
                                    .ops_per_key_max = 5000,
                                    .seed = 3};
    struct workload *workload = workload_start(&load);
    workload_wait(workload, OPS, WAIT_MS);
    leader_pause(&cluster, workload, 1);
    workload_wait(workload, OPS, WAIT_MS);
    workload_end(workload);
    workload_check(workload);
    cluster_wait_converged(&cluster, WAIT_MS);
    struct workload_counts counts = workload_counts(workload);
    printf("acknowledged %lu, refused %lu, unknown %lu\n", (unsigned long)counts.acknowledged,
           (unsigned long)counts.refused, (unsigned long)counts.unknown);
    workload_free(workload);
    cluster_stop(&cluster);
    return 0;
}
