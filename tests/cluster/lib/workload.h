/*
 * tests/cluster/lib/workload -- clients in threads that read, write, delete and add to a few keys,
 * and record what they saw; afterwards each key's history is judged (tests/history).
 *
 * Two kinds of keys: "r0" .. are written with values of their own, read and deleted; "n0" .. are
 * counters, only added to and read, so that at the end each must lie between the acknowledged
 * additions and those that may have happened.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_WORKLOAD_H
#define TORC_TESTS_CLUSTER_LIB_WORKLOAD_H

#include <stdint.h>

struct workload; /* Opaque. */

struct workload_options {
    uint16_t port;
    unsigned threads;
    unsigned registers, counters; /* Keys of either kind. */
    unsigned timeout_ms;          /* Of one command. */
    unsigned pause_us;            /* Of a thread between two commands; 0: none. */
    unsigned ops_per_key_max;     /* Then that key is left alone, so that judging stays quick. */
    uint64_t seed;
};

struct workload_counts {
    uint64_t acknowledged, refused, unknown;
    uint64_t last_write_ns; /* cluster_now_ns of the newest acknowledged write. */
};

/* Starts the threads. */
struct workload *workload_start(const struct workload_options *options);
/* What has happened so far. */
struct workload_counts workload_counts(struct workload *workload);
/* Ends the threads, each after its command. */
void workload_end(struct workload *workload);

/*
 * After workload_end, with the cluster serving: reads every key once more as part of its history,
 * then judges all. Fails the test with the name of the key and the operation that fits no order.
 */
void workload_check(struct workload *workload);
void workload_free(struct workload *workload);

#endif /* TORC_TESTS_CLUSTER_LIB_WORKLOAD_H */
