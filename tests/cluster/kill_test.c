/* kill -9 under load: the leader of a group, then everything at once. Nothing acknowledged is lost,
 * counters are exact, and every key's history is linearizable. */
#include <signal.h>
#include <stdio.h>

#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/workload.h"

enum { STEP_OPS = 1500, WAIT_MS = 30000 };

struct progress {
    struct workload *workload;
    uint64_t acknowledged_min;
};

static bool has_progressed(void *context)
{
    const struct progress *progress = context;
    return workload_counts(progress->workload).acknowledged >= progress->acknowledged_min;
}

/* Until so many more operations are acknowledged. */
static void wait_progress(struct workload *workload, uint64_t more)
{
    struct progress progress = {workload, workload_counts(workload).acknowledged + more};
    cluster_wait(has_progressed, &progress, WAIT_MS, "more operations are acknowledged");
}

int main(void)
{
    static struct cluster cluster;
    char id[CLUSTER_ID_SIZE];
    struct cluster_options options = {.nodes = 3, .shards = 3};
    cluster_start(&cluster, &options);
    struct workload_options load = {.port = cluster.port,
                                    .threads = 8,
                                    .registers = 24,
                                    .counters = 8,
                                    .timeout_ms = 10000,
                                    .pause_us = 500,
                                    .ops_per_key_max = 5000,
                                    .seed = 1};
    struct workload *workload = workload_start(&load);
    wait_progress(workload, STEP_OPS);
    for (uint32_t group = 1; group <= 3; group++) {
        uint32_t leader = cluster_leader(&cluster, group);
        CLUSTER_CHECK(leader != 0);
        snprintf(id, sizeof(id), "s%u", leader % 1000);
        cluster_signal(&cluster, id, SIGKILL);
        wait_progress(workload, STEP_OPS);
        cluster_restart(&cluster, id);
        cluster_wait_served(&cluster, WAIT_MS);
    }
    cluster_kill_all(&cluster);
    cluster_up(&cluster);
    wait_progress(workload, STEP_OPS);
    workload_end(workload);
    workload_check(workload);
    struct workload_counts counts = workload_counts(workload);
    printf("acknowledged %lu, refused %lu, unknown %lu\n", (unsigned long)counts.acknowledged,
           (unsigned long)counts.refused, (unsigned long)counts.unknown);
    cluster_wait_converged(&cluster, WAIT_MS);
    workload_free(workload);
    cluster_stop(&cluster);
    return 0;
}
