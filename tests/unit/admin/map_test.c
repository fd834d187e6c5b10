#include "admin/map.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "shard/codec.h"

static struct admin_map_spec spec;

static void spec_fill(uint32_t node_count, uint32_t shard_count, uint32_t replica_count)
{
    memset(&spec, 0, sizeof(spec));
    memset(&spec.cluster, 7, sizeof(spec.cluster));
    spec.node_count = node_count;
    spec.shard_count = shard_count;
    spec.replica_count = replica_count;
    spec.vnode_count = 4096;
    for (uint32_t i = 0; i < node_count; i++) {
        spec.nodes[i].id = i + 1;
        snprintf(spec.nodes[i].address, ADMIN_MAP_ADDRESS_SIZE, "tcp://127.0.0.1:%u", 7000 + i);
        spec.nodes[i].storage.bytes[0] = (uint8_t)(i + 1);
    }
}

/* Nodes accept it: it keeps every rule that they check, for small and large clusters. */
Test(map, nodes_accept_it)
{
    static const uint32_t sizes[][3] = {{1, 1, 1}, {3, 3, 3}, {5, 17, 3}, {4, 64, 1}, {7, 9, 7}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        Torc__Wire__Map *map;
        struct shard_map read;
        spec_fill(sizes[i][0], sizes[i][1], sizes[i][2]);
        cr_assert_null(admin_map_make(&spec, &map));
        shard_map_init(&read, base_allocator_system());
        cr_assert_eq(shard_codec_map_read(map, &read), TORC_OK);
        cr_assert_eq(read.group_count, sizes[i][1] + 1);
        cr_assert_eq(read.next_replica, (uint64_t)(sizes[i][1] + 1) * sizes[i][2] + 1);
        shard_map_fini(&read);
        admin_map_free(map);
    }
}

/* Each node has its share of replicas: the shards begin at one node after the other. */
Test(map, replicas_go_round_the_nodes)
{
    Torc__Wire__Map *map;
    uint32_t counts[6] = {0};
    spec_fill(5, 10, 3);
    cr_assert_null(admin_map_make(&spec, &map));
    for (size_t g = 1; g < map->n_groups; g++) {
        for (size_t r = 0; r < map->groups[g]->n_replicas; r++)
            counts[map->groups[g]->replicas[r]->node]++;
    }
    for (uint32_t node = 1; node <= 5; node++)
        cr_assert_eq(counts[node], 6);
    admin_map_free(map);
}

/* The same spec gives the same bytes, so that sending it again changes nothing. */
Test(map, same_spec_same_bytes)
{
    uint8_t *bytes[2];
    size_t sizes[2];
    spec_fill(3, 3, 3);
    for (int i = 0; i < 2; i++) {
        Torc__Wire__Map *map;
        cr_assert_null(admin_map_make(&spec, &map));
        sizes[i] = torc__wire__map__get_packed_size(map);
        bytes[i] = malloc(sizes[i]);
        torc__wire__map__pack(map, bytes[i]);
        admin_map_free(map);
    }
    cr_assert_eq(sizes[0], sizes[1]);
    cr_assert_eq(memcmp(bytes[0], bytes[1], sizes[0]), 0);
    free(bytes[0]);
    free(bytes[1]);
}

/* A spec that makes no cluster is refused with what is wrong. */
Test(map, wrong_specs_are_refused)
{
    Torc__Wire__Map *map;
    spec_fill(2, 3, 3);
    cr_assert_not_null(strstr(admin_map_make(&spec, &map), "fewer nodes than replicas"));
    spec_fill(3, 0, 3);
    cr_assert_not_null(strstr(admin_map_make(&spec, &map), "shards"));
    spec_fill(3, 3, 3);
    spec.vnode_count = 1000;
    cr_assert_not_null(strstr(admin_map_make(&spec, &map), "power of two"));
    spec_fill(3, 3, 3);
    spec.nodes[1].id = 1;
    cr_assert_not_null(strstr(admin_map_make(&spec, &map), "rising order"));
    spec_fill(3, 3, 3);
    spec.nodes[2].storage = spec.nodes[0].storage;
    cr_assert_not_null(strstr(admin_map_make(&spec, &map), "same storage id"));
}
