/*
 * tests/cluster/lib/seeds -- how a program that uses libtorc is told where a cluster is.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_SEEDS_H
#define TORC_TESTS_CLUSTER_LIB_SEEDS_H

#include "router/torc.h"
#include "tests/cluster/lib/cluster.h"

enum { SEEDS_ADDRESS_SIZE = 96 };

struct seeds {
    char cluster[CLUSTER_ID_DIGITS + 1];
    char addresses[CLUSTER_NODES_MAX][SEEDS_ADDRESS_SIZE];
    const char *list[CLUSTER_NODES_MAX + 1]; /* Ends with NULL. */
    size_t count;
};

/* The id and the nodes of a cluster that runs. */
void seeds_find(const struct cluster *cluster, struct seeds *seeds);
/* A handle of that cluster, which must open. */
struct torc *seeds_open(const struct seeds *seeds, enum torc_completion completion);

#endif /* TORC_TESTS_CLUSTER_LIB_SEEDS_H */
