/*
 * libtorc against a real cluster: the examples say what they should.
 *
 *   libtorc_test EXAMPLE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/lib/cluster.h"

enum { NODES = 3, TEXT_SIZE = 4096, ADDRESS_SIZE = 96 };

struct seeds { /* How a program is told where the cluster is. */
    char cluster[CLUSTER_ID_DIGITS + 1];
    char addresses[NODES][ADDRESS_SIZE];
};

static void seeds_find(const struct cluster *cluster, struct seeds *seeds)
{
    struct cluster_process list[CLUSTER_NODES_MAX + 1];
    size_t count = cluster_processes(cluster, list), found = 0;
    cluster_id(cluster, seeds->cluster);
    for (size_t i = 0; i < count && found < NODES; i++) {
        if (strcmp(list[i].role, "shard") == 0)
            snprintf(seeds->addresses[found++], ADDRESS_SIZE, "%s", list[i].addr);
    }
    CLUSTER_CHECK(found == NODES);
}

/* What each example prints, or a part of it. */
static const struct {
    const char *name, *says;
} examples[] = {
    {"put_get", "colour is green\n"},
    {"conditions", "words: one two \n"},
    {"transaction", "moved 30: {bank}alice has 70, {bank}bob has 35\n"},
    {"poll", "visits: 1000, failed: 0\n"},
    {"scan", "4 keys, 4 counted\n"},
};

static void example_run(const struct seeds *seeds, const char *path, const char *says)
{
    char output[TEXT_SIZE];
    const char *argv[] = {
        path, seeds->cluster, seeds->addresses[0], seeds->addresses[1], seeds->addresses[2], NULL};
    int code = cluster_program(output, sizeof(output), argv);
    printf("%s: exit status %d\n%s", path, code, output);
    CLUSTER_CHECK(code == 0 && strstr(output, says) != NULL);
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    struct seeds seeds;
    struct cluster_options options = {.nodes = NODES};
    size_t count = sizeof(examples) / sizeof(examples[0]);
    CLUSTER_CHECK((size_t)argc == 1 + count);
    cluster_start(&cluster, &options);
    seeds_find(&cluster, &seeds);
    for (size_t i = 0; i < count; i++) {
        const char *name = strrchr(argv[1 + i], '/');
        CLUSTER_CHECK(name != NULL && strcmp(name + 1, examples[i].name) == 0);
        example_run(&seeds, argv[1 + i], examples[i].says);
    }
    cluster_stop(&cluster);
    return 0;
}
