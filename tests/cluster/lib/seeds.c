#include "tests/cluster/lib/seeds.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 30000 /* The machine may be busy with other things. */ };

void seeds_find(const struct cluster *cluster, struct seeds *seeds)
{
    struct cluster_process processes[CLUSTER_NODES_MAX + 1];
    size_t count = cluster_processes(cluster, processes);
    memset(seeds, 0, sizeof(*seeds));
    cluster_id(cluster, seeds->cluster);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(processes[i].role, "shard") != 0)
            continue;
        char *address = seeds->addresses[seeds->count];
        snprintf(address, SEEDS_ADDRESS_SIZE, "%s", processes[i].addr);
        seeds->list[seeds->count++] = address;
    }
    CLUSTER_CHECK(seeds->count == cluster->nodes);
}

struct torc *seeds_open(const struct seeds *seeds, enum torc_completion completion)
{
    char text[TORC_TEXT_SIZE];
    struct torc *torc;
    struct torc_options options = {.struct_size = sizeof(options),
                                   .cluster = seeds->cluster,
                                   .seeds = seeds->list,
                                   .seed_count = seeds->count,
                                   .timeout_ms = TIMEOUT_MS,
                                   .completion = completion};
    if (torc_open(&options, text, &torc) != TORC_OK)
        cluster_fail("torc_open: %s", text);
    return torc;
}
