/*
 * The data directory of a node that is down is deleted, emptied, or replaced by an older copy of
 * itself. Each time the node stays away, or out of every vote, and says what it expected and what
 * it found; nothing formats the directory; the other two go on serving.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster/lib/client.h"
#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/workload.h"

enum { OPS = 500, WAIT_MS = 30000, CLIENT_MS = 10000, OUTPUT_SIZE = 65536 };

struct test {
    struct cluster cluster;
    struct workload *workload;
    char dir[SCRATCH_PATH_SIZE];  /* Of s3. */
    char kept[SCRATCH_PATH_SIZE]; /* Where it is meanwhile. */
    char copy[SCRATCH_PATH_SIZE];
};

static void path_join(char path[SCRATCH_PATH_SIZE], const char *dir, const char *name)
{
    int size = snprintf(path, SCRATCH_PATH_SIZE, "%s/%s", dir, name);
    CLUSTER_CHECK(size > 0 && size < SCRATCH_PATH_SIZE);
}

static void copy_all(const char *from, const char *to)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("cp", "cp", "-a", from, to, (char *)NULL);
        _exit(127);
    }
    int status;
    CLUSTER_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

/* Starts s3, which must end again by itself, with each of these texts in what is printed or logged
 * since. */
static void expect_refusal(struct test *test, const char *const *texts)
{
    static char output[OUTPUT_SIZE];
    const char *words[] = {"dev", "restart", NULL}, *arguments[] = {"s3", NULL};
    cluster_ask(&test->cluster, output, sizeof(output), words, arguments);
    cluster_wait_ended(&test->cluster, "s3", WAIT_MS);
    for (size_t i = 0; texts[i] != NULL; i++) {
        if (strstr(output, texts[i]) == NULL && !cluster_log_says(&test->cluster, "s3", texts[i]))
            cluster_fail("neither the log of s3 nor this says '%s':\n%s", texts[i], output);
    }
}
#define EXPECT_REFUSAL(test, ...) expect_refusal(test, (const char *const[]){__VA_ARGS__, NULL})

/* The others serve, and in nobody's status does s3 take part. */
static void others_serve(struct test *test)
{
    workload_wait(test->workload, OPS, WAIT_MS);
    CLUSTER_CHECK(!cluster_process(&test->cluster, "s3").running);
}

static void put_back(struct test *test)
{
    CLUSTER_CHECK(rename(test->kept, test->dir) == 0);
    cluster_restart(&test->cluster, "s3");
    workload_wait(test->workload, OPS, WAIT_MS);
    cluster_wait_served(&test->cluster, WAIT_MS);
}

static void deleted_directory_is_refused(struct test *test)
{
    cluster_signal(&test->cluster, "s3", SIGKILL);
    CLUSTER_CHECK(rename(test->dir, test->kept) == 0);
    EXPECT_REFUSAL(test, test->dir, "does not exist: expected one that was formatted");
    others_serve(test);
    CLUSTER_CHECK(access(test->dir, F_OK) != 0 && errno == ENOENT);
    put_back(test);
}

static void emptied_directory_is_refused(struct test *test)
{
    cluster_signal(&test->cluster, "s3", SIGKILL);
    CLUSTER_CHECK(rename(test->dir, test->kept) == 0);
    CLUSTER_CHECK(mkdir(test->dir, 0700) == 0);
    EXPECT_REFUSAL(test, test->dir, "is empty: expected superblock.0, superblock.1, log and state");
    others_serve(test);
    CLUSTER_CHECK(rmdir(test->dir) == 0); /* It still is empty. */
    put_back(test);
}

/* The copy is whole and was this node's own: only its peers know that it is old. */
static void older_copy_is_refused(struct test *test)
{
    cluster_signal(&test->cluster, "s3", SIGKILL);
    copy_all(test->dir, test->copy);
    cluster_restart(&test->cluster, "s3");
    workload_wait(test->workload, 4 * OPS, WAIT_MS);
    cluster_signal(&test->cluster, "s3", SIGKILL);
    CLUSTER_CHECK(rename(test->dir, test->kept) == 0);
    CLUSTER_CHECK(rename(test->copy, test->dir) == 0);
    EXPECT_REFUSAL(test, test->dir, "older copy", " expected_batch=", " found_batch=");
    others_serve(test);
    CLUSTER_CHECK(rename(test->dir, test->copy) == 0);
    put_back(test);
}

int main(void)
{
    static struct test test;
    struct cluster_options options = {.nodes = 3, .shards = 3};
    cluster_start(&test.cluster, &options);
    path_join(test.dir, test.cluster.dir, "s3");
    path_join(test.kept, test.cluster.scratch, "kept");
    path_join(test.copy, test.cluster.scratch, "copy");
    struct workload_options load = {.port = test.cluster.port,
                                    .threads = 4,
                                    .registers = 12,
                                    .counters = 6,
                                    .deleted = 3,
                                    .once_percent = 10,
                                    .timeout_ms = CLIENT_MS,
                                    .pause_us = 2000,
                                    .ops_per_key_max = 5000,
                                    .seed = 5};
    test.workload = workload_start(&load);
    workload_wait(test.workload, OPS, WAIT_MS);
    deleted_directory_is_refused(&test);
    emptied_directory_is_refused(&test);
    older_copy_is_refused(&test);
    workload_end(test.workload);
    workload_check(test.workload);
    cluster_wait_converged(&test.cluster, WAIT_MS);
    workload_free(test.workload);
    cluster_stop(&test.cluster);
    return 0;
}
