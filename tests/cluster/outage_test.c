/*
 * Everything is killed at once, under load, and started again: nothing acknowledged is lost.
 *
 *   outage_test                        kill -9
 *   outage_test LIBRARY RESTORE        the same with the page cache lost, as in a power cut
 *   outage_test LIBRARY RESTORE KIND   syncs of that kind (log, superblock, directory) do nothing
 *                                      in torc-shard: the nodes must refuse, and say why
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/workload.h"
#include "tests/cluster/pagecache/journal.h"

enum { ROUNDS = 4, OPS = 1000, WAIT_MS = 30000, TEXT_SIZE = 16384, COMMAND_SIZE = 8192 };

struct test {
    struct cluster cluster;
    struct workload *workload;
    char library[PATH_MAX], restore[PATH_MAX]; /* Empty: the page cache survives. */
    char journal[SCRATCH_PATH_SIZE], wrapper[SCRATCH_PATH_SIZE];
    json_int_t incarnations[CLUSTER_NODES_MAX];
};

/* ---- The disk -------------------------------------------------------------------------------- */

/* torc-shard is run with the library in front of it, and nothing else is. */
static void wrapper_make(struct test *test, const char *skip)
{
    char text[COMMAND_SIZE], shard[PATH_MAX];
    CLUSTER_CHECK(realpath(cluster_shard_binary(), shard) != NULL);
    snprintf(test->journal, sizeof(test->journal), "%.480s/journal", test->cluster.scratch);
    snprintf(test->wrapper, sizeof(test->wrapper), "%.480s/wrapper", test->cluster.scratch);
    CLUSTER_CHECK(mkdir(test->journal, 0700) == 0);
    int size = snprintf(text, sizeof(text),
                        "#!/bin/sh\nexport %s='%s' %s='%s' %s='%s'\nLD_PRELOAD='%s' exec '%s' "
                        "\"$@\"\n",
                        PAGECACHE_DATA, test->cluster.dir, PAGECACHE_JOURNAL, test->journal,
                        PAGECACHE_SKIP, skip, test->library, shard);
    CLUSTER_CHECK(size > 0 && (size_t)size < sizeof(text));
    scratch_write(test->cluster.scratch, "wrapper", text);
    CLUSTER_CHECK(chmod(test->wrapper, 0755) == 0);
    test->cluster.options.shard_binary = test->wrapper;
}

/* Takes back what was not synced: all of it, or a part that the seed chooses. */
static void page_cache_lose(const struct test *test, unsigned seed)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", seed);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execl(test->restore, "pagecache_restore", test->cluster.dir, test->journal,
              seed == 0 ? NULL : text, (char *)NULL);
        _exit(127);
    }
    int status;
    CLUSTER_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- Outages --------------------------------------------------------------------------------- */

/* Whether every node lives a life that it has not lived before: an incarnation that comes again
 * could use a ballot twice. Takes note of them. */
static bool incarnations_rise(struct test *test)
{
    json_t *status = cluster_status(&test->cluster), *node;
    size_t i;
    bool rise = true;
    json_array_foreach(json_object_get(status, "nodes"), i, node)
    {
        CLUSTER_CHECK(i < CLUSTER_NODES_MAX);
        json_int_t incarnation = json_integer_value(json_object_get(node, "incarnation"));
        if (incarnation <= test->incarnations[i])
            printf("node %zu lives its life %lld again\n", i + 1, (long long)incarnation);
        rise = rise && incarnation > test->incarnations[i];
        test->incarnations[i] = incarnation;
    }
    json_decref(status);
    return rise;
}

/* The power goes; `seed`: see page_cache_lose. */
static void outage(struct test *test, unsigned seed)
{
    workload_wait(test->workload, OPS, WAIT_MS);
    cluster_kill_all(&test->cluster);
    if (test->restore[0] != '\0')
        page_cache_lose(test, seed);
}

static void nothing_is_lost(struct test *test)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        outage(test, round);
        cluster_up(&test->cluster);
        CLUSTER_CHECK(incarnations_rise(test));
    }
    workload_wait(test->workload, OPS, WAIT_MS);
    workload_end(test->workload);
    workload_check(test->workload);
    cluster_wait_converged(&test->cluster, WAIT_MS);
    struct workload_counts counts = workload_counts(test->workload);
    printf("%d outages: acknowledged %lu, unknown %lu; nothing is lost\n", ROUNDS,
           (unsigned long)counts.acknowledged, (unsigned long)counts.unknown);
}

/* What the start says when no sync of that kind was done. */
static const char *refusal_of(const char *kind)
{
    static const char *const refusals[][2] = {
        {"log", "the log is damaged: a live segment is missing"},
        {"superblock", "expected a whole superblock, found superblock.0 and superblock.1 both bad"},
        {"directory", "it holds no superblock"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (strcmp(refusals[i][0], kind) == 0)
            return refusals[i][1];
    }
    cluster_fail("no kind of sync: %s", kind);
}

/* Without a sync the outage leaves something behind that must not be: the cluster does not start,
 * and for that reason, not for another. */
static void loss_is_noticed(struct test *test, const char *kind)
{
    char output[TEXT_SIZE] = "";
    const char *refusal = refusal_of(kind);
    outage(test, 0);
    workload_end(test->workload);
    if (cluster_try_up(&test->cluster, output, sizeof(output)) == 0)
        cluster_fail("without syncs (%s) the cluster starts after a power cut", kind);
    printf("the cluster does not start\n%s\n", output);
    bool said = strstr(output, refusal) != NULL;
    for (unsigned node = 1; !said && node <= test->cluster.nodes; node++) {
        char id[CLUSTER_ID_SIZE];
        snprintf(id, sizeof(id), "s%u", node);
        said = cluster_log_says(&test->cluster, id, refusal);
    }
    if (!said)
        cluster_fail("neither this nor the log of a node says '%s':\n%s", refusal, output);
}

int main(int argc, char **argv)
{
    static struct test test;
    struct cluster_options options = {.nodes = 3, .shards = 3};
    CLUSTER_CHECK(argc == 1 || argc == 3 || argc == 4);
    cluster_prepare(&test.cluster, &options);
    if (argc > 1) {
        CLUSTER_CHECK(realpath(argv[1], test.library) != NULL);
        CLUSTER_CHECK(realpath(argv[2], test.restore) != NULL);
        wrapper_make(&test, argc == 4 ? argv[3] : "");
    }
    cluster_up(&test.cluster);
    CLUSTER_CHECK(incarnations_rise(&test));
    struct workload_options load = {.port = test.cluster.port,
                                    .threads = 8,
                                    .registers = 18,
                                    .counters = 9,
                                    .deleted = 3,
                                    .once_percent = 20,
                                    .timeout_ms = 10000,
                                    .pause_us = 500,
                                    .ops_per_key_max = 5000,
                                    .seed = 2};
    test.workload = workload_start(&load);
    if (argc == 4)
        loss_is_noticed(&test, argv[3]);
    else
        nothing_is_lost(&test);
    workload_free(test.workload);
    cluster_stop(&test.cluster);
    return 0;
}
