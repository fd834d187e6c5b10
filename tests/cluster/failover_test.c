/*
 * kill -9 of ten leaders in turn, under load, each restarted before the next: how long the groups
 * that it led cannot be written, and that nobody else notices. Nothing acknowledged is lost,
 * counters are exact, every key's history is linearizable, and the outcome is unknown of no more
 * writes than were under way at the kills.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/probe.h"
#include "tests/cluster/lib/workload.h"

enum {
    GROUPS = 3,
    KILLS = 10,
    THREADS = 6,
    BETWEEN_OPS = 500,
    WAIT_MS = 30000,
    MEDIAN_MS_MAX = 1000,
    FAILOVER_MS_MAX = 3000,
    PAUSE_MS_MAX = 300,
    LAG_MAX = 100,
};

struct group {
    uint32_t number;
    char key[16]; /* In this group. */
    struct probe *probe;
};

struct test {
    struct cluster cluster;
    struct group groups[GROUPS];
    struct workload *workload;
    uint64_t failovers_ms[KILLS * GROUPS];
    size_t failover_count;
    uint64_t pause_ms_max; /* Of groups whose leader was not killed. */
    uint64_t unknown_max;  /* Writes that were under way at the kills. */
};

/* ---- Finding out ----------------------------------------------------------------------------- */

static uint32_t group_of(const struct cluster *cluster, const char *key)
{
    char output[8192];
    const char *words[] = {"key", NULL}, *arguments[] = {key, "--json", NULL};
    cluster_ask(cluster, output, sizeof(output), words, arguments);
    json_t *json = json_loads(output, JSON_DISABLE_EOF_CHECK, NULL);
    uint32_t group = (uint32_t)json_integer_value(json_object_get(json, "group"));
    json_decref(json);
    return group;
}

static void keys_find(struct test *test)
{
    size_t found = 0;
    for (unsigned i = 0; found < GROUPS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "probe%u", i);
        uint32_t number = group_of(&test->cluster, key);
        CLUSTER_CHECK(number >= 1 && number <= GROUPS);
        struct group *group = &test->groups[number - 1];
        if (group->number != 0)
            continue;
        group->number = number;
        memcpy(group->key, key, sizeof(key));
        found++;
    }
}

/* Whether all replicas follow closely, so that the next leader may be killed. */
static bool has_caught_up(void *context)
{
    const struct test *test = context;
    json_t *status = cluster_status(&test->cluster), *group, *replica;
    size_t i, j, count = 0;
    json_array_foreach(json_object_get(status, "groups"), i, group)
    {
        json_int_t highest = 0;
        json_array_foreach(json_object_get(group, "replicas"), j, replica)
        {
            json_int_t chosen = json_integer_value(json_object_get(replica, "chosen"));
            highest = chosen > highest ? chosen : highest;
        }
        json_array_foreach(json_object_get(group, "replicas"), j, replica)
        {
            json_int_t applied = json_integer_value(json_object_get(replica, "applied"));
            count += applied + LAG_MAX >= highest;
        }
    }
    json_decref(status);
    return count == (size_t)(GROUPS + 1) * test->cluster.nodes;
}

/* ---- One kill -------------------------------------------------------------------------------- */

struct recovery {
    const struct test *test;
    uint64_t killed_ns;
};

static bool all_written(void *context)
{
    const struct recovery *recovery = context;
    for (size_t i = 0; i < GROUPS; i++) {
        if (probe_first_after(recovery->test->groups[i].probe, recovery->killed_ns) == 0)
            return false;
    }
    return true;
}

static uint64_t unknown_count(const struct test *test)
{
    uint64_t unknown = workload_counts(test->workload).unknown;
    for (size_t i = 0; i < GROUPS; i++)
        unknown += probe_unknown(test->groups[i].probe);
    return unknown;
}

static uint64_t underway_count(const struct test *test)
{
    uint64_t underway = THREADS;
    for (size_t i = 0; i < GROUPS; i++)
        underway += probe_underway(test->groups[i].probe);
    return underway;
}

static void kill_note(struct test *test, uint32_t victim, const uint32_t *leaders,
                      uint64_t killed_ns, uint64_t until_ns)
{
    printf("killed s%u:", victim);
    for (size_t i = 0; i < GROUPS; i++) {
        struct group *group = &test->groups[i];
        if (leaders[i] == victim) {
            uint64_t ms = (probe_first_after(group->probe, killed_ns) - killed_ns) / 1000000;
            test->failovers_ms[test->failover_count++] = ms;
            printf("  group %u writable after %lu ms", group->number, (unsigned long)ms);
        } else {
            uint64_t ms = probe_longest_pause(group->probe, killed_ns, until_ns) / 1000000;
            if (ms > test->pause_ms_max)
                test->pause_ms_max = ms;
            printf("  group %u paused %lu ms", group->number, (unsigned long)ms);
        }
    }
    printf("\n");
}

static void leader_kill(struct test *test, uint32_t group)
{
    uint32_t leaders[GROUPS];
    char id[CLUSTER_ID_SIZE];
    for (uint32_t i = 0; i < GROUPS; i++) {
        leaders[i] = cluster_leader(&test->cluster, i + 1);
        CLUSTER_CHECK(leaders[i] >= 1 && leaders[i] <= test->cluster.nodes);
    }
    uint32_t victim = leaders[group - 1];
    snprintf(id, sizeof(id), "s%u", victim % 100);
    struct cluster_process process = cluster_process(&test->cluster, id);
    CLUSTER_CHECK(process.pid > 0);
    uint64_t underway = underway_count(test), unknown = unknown_count(test);
    struct recovery recovery = {test, cluster_now_ns()};
    CLUSTER_CHECK(kill(process.pid, SIGKILL) == 0);
    cluster_wait(all_written, &recovery, WAIT_MS, "every group is written again");
    uint64_t until_ns = cluster_now_ns();
    cluster_wait_ended(&test->cluster, id, WAIT_MS);
    kill_note(test, victim, leaders, recovery.killed_ns, until_ns);
    cluster_restart(&test->cluster, id);
    workload_wait(test->workload, BETWEEN_OPS, WAIT_MS);
    cluster_wait(has_caught_up, test, WAIT_MS, "the restarted node has caught up");
    test->unknown_max += underway;
    CLUSTER_CHECK(unknown_count(test) - unknown <= underway);
}

/* ---- Judging --------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void judge(struct test *test)
{
    struct workload_counts counts = workload_counts(test->workload);
    qsort(test->failovers_ms, test->failover_count, sizeof(test->failovers_ms[0]), by_size);
    uint64_t median_ms = test->failovers_ms[test->failover_count / 2];
    uint64_t longest_ms = test->failovers_ms[test->failover_count - 1];
    printf("%zu failovers: median %lu ms, longest %lu ms; other groups paused at most %lu ms\n",
           test->failover_count, (unsigned long)median_ms, (unsigned long)longest_ms,
           (unsigned long)test->pause_ms_max);
    printf("acknowledged %lu, refused %lu, unknown %lu of %lu under way at the kills\n",
           (unsigned long)counts.acknowledged, (unsigned long)counts.refused,
           (unsigned long)unknown_count(test), (unsigned long)test->unknown_max);
    CLUSTER_CHECK(test->failover_count >= KILLS);
    CLUSTER_CHECK(median_ms <= MEDIAN_MS_MAX);
    CLUSTER_CHECK(longest_ms <= FAILOVER_MS_MAX);
    CLUSTER_CHECK(test->pause_ms_max <= PAUSE_MS_MAX);
}

int main(void)
{
    static struct test test;
    struct cluster_options options = {.nodes = 3, .shards = GROUPS};
    cluster_start(&test.cluster, &options);
    keys_find(&test);
    struct workload_options load = {.port = test.cluster.port,
                                    .threads = THREADS,
                                    .registers = 18,
                                    .counters = 12,
                                    .deleted = 3,
                                    .once_percent = 10,
                                    .timeout_ms = 10000,
                                    .pause_us = 2000,
                                    .ops_per_key_max = 5000,
                                    .seed = 1};
    test.workload = workload_start(&load);
    for (size_t i = 0; i < GROUPS; i++)
        test.groups[i].probe = probe_start(test.cluster.port, test.groups[i].key);
    workload_wait(test.workload, BETWEEN_OPS, WAIT_MS);
    for (uint32_t i = 0; i < KILLS; i++)
        leader_kill(&test, i % GROUPS + 1);
    for (size_t i = 0; i < GROUPS; i++)
        probe_end(test.groups[i].probe);
    workload_end(test.workload);
    workload_check(test.workload);
    cluster_wait_converged(&test.cluster, WAIT_MS);
    judge(&test);
    for (size_t i = 0; i < GROUPS; i++)
        probe_free(test.groups[i].probe);
    workload_free(test.workload);
    cluster_stop(&test.cluster);
    return 0;
}
