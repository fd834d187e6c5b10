/*
 * tests/cluster/lib/cluster -- a real cluster for a test: processes on loopback under torc-admin
 * dev, in a directory of its own, on ports of its own.
 *
 * Whatever does not go as a test expects ends the test: the reason is printed with the last lines
 * of every log, all clusters are ended, the exit status is 1. Nothing here sleeps for a fixed time:
 * everything waits on a condition with a deadline.
 *
 * The binaries are the test's data: //admin:torc-admin, //shard/driver:torc-shard and
 * //router/driver:torc-router (CLUSTER_BINARIES in tests/cluster/defs.bzl).
 */
#ifndef TORC_TESTS_CLUSTER_LIB_CLUSTER_H
#define TORC_TESTS_CLUSTER_LIB_CLUSTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/lib/scratch.h"

enum {
    CLUSTER_NODES_MAX = 16,
    CLUSTER_SETS_MAX = 16,
    CLUSTER_ARGUMENTS_MAX = 32,
    CLUSTER_ID_SIZE = 8, /* Of a process. */
    CLUSTER_ID_DIGITS = 32,
};

/* Prints the reason and ends the test. Any thread. */
_Noreturn void cluster_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CLUSTER_CHECK(condition)                                                                   \
    ((condition) ? (void)0                                                                         \
                 : cluster_fail("%s:%d: %s does not hold", __FILE__, __LINE__, #condition))

/* CLOCK_MONOTONIC. */
uint64_t cluster_now_ns(void);
uint64_t cluster_now_ms(void);

struct cluster_options {
    uint32_t nodes, shards;             /* 0: three. */
    const char *sets[CLUSTER_SETS_MAX]; /* "name=value"; ends with NULL. */
    const char *shard_binary;           /* Instead of torc-shard; NULL: that. */
    bool respawn;
    const char *segment_size; /* Of the logs, in bytes; NULL: the usual. */
    const char *lease_ms;     /* Of leaders; NULL: none. */
};

/* Open; read-only outside cluster.c. */
struct cluster {
    char dir[SCRATCH_PATH_SIZE]; /* Of torc-admin dev; below a scratch directory. */
    char scratch[SCRATCH_PATH_SIZE];
    uint16_t port; /* RESP. */
    uint32_t nodes, shards;
    struct cluster_options options;
};

/* Where the torc-shard is that clusters run. */
const char *cluster_shard_binary(void);

/* Makes a directory and finds free ports. */
void cluster_prepare(struct cluster *cluster, const struct cluster_options *options);
/* The same, then starts it: every group has a leader, PING answers. */
void cluster_start(struct cluster *cluster, const struct cluster_options *options);
/* Starts it again in its directory, after cluster_down or after everything was killed. */
void cluster_up(struct cluster *cluster);
/* The same where it may fail: the exit status of `dev up`, and what it printed. */
int cluster_try_up(struct cluster *cluster, char *output, size_t output_size);
/* `dev down`: ends all processes, keeps the data. */
void cluster_down(struct cluster *cluster);
/* Ends all processes and removes the directory. */
void cluster_stop(struct cluster *cluster);

/* The cluster's id, 32 hexadecimal digits. */
void cluster_id(const struct cluster *cluster, char ret_id[CLUSTER_ID_DIGITS + 1]);

/* Runs a program (argv[0] is its path, the last NULL) and returns its exit status, with its output
 * as below. Any thread. */
int cluster_program(char *output, size_t output_size, const char *const *argv);
/*
 * Runs torc-admin with these arguments (the last NULL) and returns its exit status; its output,
 * errors with it, is written into output, cut when too long. Any thread.
 */
int cluster_admin(char *output, size_t output_size, const char *const *arguments);
/* The same with `--dir` of this cluster behind the words of the command ("status", "dev ps"). */
int cluster_ask(const struct cluster *cluster, char *output, size_t output_size,
                const char *const *words, const char *const *arguments);

struct cluster_process {
    char role[8], id[CLUSTER_ID_SIZE];
    bool running;
    pid_t pid; /* 0 when it is down. */
    char addr[64], resp[64];
    char dir[SCRATCH_PATH_SIZE], log[SCRATCH_PATH_SIZE];
};

/* All of `dev ps --json`; returns how many. */
size_t cluster_processes(const struct cluster *cluster,
                         struct cluster_process ret_list[CLUSTER_NODES_MAX + 1]);
/* One of them; fails when there is no such id. */
struct cluster_process cluster_process(const struct cluster *cluster, const char *id);

/* Sends a signal to a process that must be running; after SIGKILL waits until it is down. */
void cluster_signal(const struct cluster *cluster, const char *id, int number);
/* Waits until a process has ended. */
void cluster_wait_ended(const struct cluster *cluster, const char *id, uint64_t timeout_ms);
/* SIGKILL to the supervisor alone; waits until it has ended. */
void cluster_kill_supervisor(const struct cluster *cluster);
/* SIGKILL to all at once, the supervisor too, then clears up behind it. */
void cluster_kill_all(struct cluster *cluster);
/* `dev restart ID`: the process answers when this returns. */
void cluster_restart(const struct cluster *cluster, const char *id);
/* Whether the process's log holds the text. */
bool cluster_log_says(const struct cluster *cluster, const char *id, const char *text);

/* `status --json`; the caller json_decrefs it. NULL when it printed none. */
json_t *cluster_status(const struct cluster *cluster);
/* The node that leads a group and serves; 0 when there is none. */
uint32_t cluster_leader(const struct cluster *cluster, uint32_t group);

/* Waits until condition(context) holds; fails with `what` after timeout_ms. */
void cluster_wait(bool (*condition)(void *context), void *context, uint64_t timeout_ms,
                  const char *what);
/* Until every group has a leader that serves. */
void cluster_wait_served(const struct cluster *cluster, uint64_t timeout_ms);
/* Until all replicas of every group have applied what is chosen: the same applied index and state
 * hash on all nodes that run. */
void cluster_wait_converged(const struct cluster *cluster, uint64_t timeout_ms);

#endif /* TORC_TESTS_CLUSTER_LIB_CLUSTER_H */
