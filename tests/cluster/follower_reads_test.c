/*
 * Whether the histories that the other tests judge would show a stale read. A torc-shard that
 * answers reads from a follower's state (follower_reads.sed) is run under load; one replica is
 * away while the others go on, then they are stopped and it is all that the router finds. It must
 * be found out.
 *
 *   follower_reads_test TORC-SHARD
 */
#include <signal.h>
#include <stdio.h>

#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/workload.h"

enum { NODES = 3, OPS = 400, STALE_OPS = 4, WAIT_MS = 30000, TEXT_SIZE = 16384 };

static const char *node_id(uint32_t node, char id[CLUSTER_ID_SIZE])
{
    snprintf(id, CLUSTER_ID_SIZE, "s%u", node % 100);
    return id;
}

/* Leaves clients with a replica that has missed what the others did for a while. */
static void old_state_is_shown(const struct cluster *cluster, struct workload *workload)
{
    char leader[CLUSTER_ID_SIZE], old[CLUSTER_ID_SIZE], third[CLUSTER_ID_SIZE];
    uint32_t node = cluster_leader(cluster, 1);
    CLUSTER_CHECK(node >= 1 && node <= NODES);
    node_id(node, leader);
    node_id(node % NODES + 1, old);
    node_id((node + 1) % NODES + 1, third);
    cluster_signal(cluster, old, SIGKILL); /* Stopped only, it would find it all in its sockets. */
    workload_wait(workload, OPS, WAIT_MS);
    cluster_signal(cluster, leader, SIGSTOP);
    cluster_signal(cluster, third, SIGSTOP);
    cluster_restart(cluster, old);
    cluster_restart(cluster, "r1"); /* A router that was there knows how new the answers must be. */
    workload_wait(workload, STALE_OPS, WAIT_MS);
    cluster_signal(cluster, leader, SIGCONT);
    cluster_signal(cluster, third, SIGCONT);
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    char text[TEXT_SIZE];
    CLUSTER_CHECK(argc == 2);
    struct cluster_options options = {.nodes = NODES, .shards = 1, .shard_binary = argv[1]};
    cluster_start(&cluster, &options);
    struct workload_options load = {.port = cluster.port,
                                    .threads = 12,
                                    .registers = 4,
                                    .timeout_ms = 10000,
                                    .pause_us = 1000,
                                    .ops_per_key_max = 5000,
                                    .seed = 4};
    struct workload *workload = workload_start(&load);
    workload_wait(workload, OPS, WAIT_MS);
    old_state_is_shown(&cluster, workload);
    workload_end(workload);
    bool good = workload_judge(workload, text, sizeof(text));
    printf("%s\n", good ? "no stale read was seen" : text);
    workload_free(workload);
    cluster_stop(&cluster);
    return good ? 1 : 0;
}
