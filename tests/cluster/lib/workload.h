/*
 * tests/cluster/lib/workload -- clients in threads that read, write, delete and add to a few keys,
 * and record what they saw; afterwards each key's history is judged (tests/history).
 *
 * Four kinds of keys: "r0" .. are written with values of their own and read; "n0" .. are counters,
 * only added to and read, so that at the end each must lie between the acknowledged additions and
 * those that may have happened; "d0" .. are deleted too, by few threads, since such histories are
 * hard to judge; "u0.0" .. are written once each, and all that were acknowledged must be there.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_WORKLOAD_H
#define TORC_TESTS_CLUSTER_LIB_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workload; /* Opaque. */

struct workload_options {
    uint16_t port;
    unsigned threads;
    unsigned registers, counters, deleted; /* Keys of these kinds. */
    unsigned once_percent;                 /* Of the commands write a key of their own. */
    unsigned timeout_ms;                   /* Of one command. */
    unsigned pause_us;                     /* Of a thread between two commands; 0: none. */
    unsigned ops_per_key_max; /* Then that key is left alone, so that judging stays quick. */
    uint64_t seed;
};

struct workload_counts {
    uint64_t acknowledged, refused, unknown;
    uint64_t once;          /* Acknowledged keys that are written once. */
    uint64_t last_write_ns; /* cluster_now_ns of the newest acknowledged write. */
};

/* Starts the threads. */
struct workload *workload_start(const struct workload_options *options);
/* What has happened so far. */
struct workload_counts workload_counts(struct workload *workload);
/* Waits until so many more operations are acknowledged; fails after timeout_ms. */
void workload_wait(struct workload *workload, uint64_t more, uint64_t timeout_ms);
/* Ends the threads, each after its command. */
void workload_end(struct workload *workload);

/*
 * After workload_end, with the cluster serving: reads every key once more as part of its history,
 * then judges all. False: something is lost or no order fits; ret_reason names the key and why. A
 * history that cannot be judged fails the test.
 */
bool workload_judge(struct workload *workload, char *ret_reason, size_t reason_size);
/* The same where anything wrong fails the test. */
void workload_check(struct workload *workload);
void workload_free(struct workload *workload);

#endif /* TORC_TESTS_CLUSTER_LIB_WORKLOAD_H */
