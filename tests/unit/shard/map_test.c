#include "shard/map.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/counting.h"

enum { NODES = 3, GROUPS = 4, VNODE_BITS = 4 };

static void map_make(struct shard_map *map, const struct base_allocator *allocator,
                     uint32_t group_count)
{
    shard_map_init(map, allocator);
    shard_map_reserve(map, NODES, group_count, VNODE_BITS);
    map->version = 1;
    map->read_mode = CONSENSUS_READ_QUORUM;
    map->limits = (struct wire_limits){64, 1024, 4096};
    map->next_replica = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        map->nodes[i] =
            (struct shard_map_node){.id = 10 * (i + 1), .storage.bytes = {(uint8_t)(i + 1)}};
        snprintf(map->nodes[i].address, SHARD_ADDRESS_SIZE, "tcp://127.0.0.1:%u", 7001 + i);
    }
    for (uint32_t g = 0; g < group_count; g++) {
        map->groups[g] = (struct shard_map_group){
            .id = g, .consensus = SHARD_CONSENSUS_PAXOS, .replica_count = NODES};
        for (uint32_t i = 0; i < NODES; i++)
            map->groups[g].replicas[i] = (struct shard_map_replica){
                .id = map->next_replica++, .node = 10 * (i + 1), .voter = i < 2};
    }
    for (uint32_t vnode = 0; vnode < 1 << VNODE_BITS; vnode++) {
        map->owners[vnode] = 1 + vnode % (group_count - 1);
        map->epochs[vnode] = 1;
    }
}

/* Breaks one rule of a sound map and expects it to be found out. */
#define BREAKS(statement)                                                                          \
    do {                                                                                           \
        struct shard_map map;                                                                      \
        map_make(&map, allocator, GROUPS);                                                         \
        cr_assert_null(shard_map_flaw(&map));                                                      \
        statement;                                                                                 \
        cr_assert_not_null(shard_map_flaw(&map), #statement);                                      \
        shard_map_fini(&map);                                                                      \
    } while (0)

/* Every rule, each broken alone. */
Test(map, every_rule_is_checked)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    BREAKS(map.version = 0);
    BREAKS(map.read_mode = CONSENSUS_READ_LEASE);
    BREAKS(map.lease_ms = 100);
    BREAKS(map.read_mode = CONSENSUS_READ_LEASE; map.lease_ms = SHARD_LEASE_MS_MAX + 1);
    BREAKS(map.read_mode = CONSENSUS_READ_LEASE + 1; map.lease_ms = 100);
    BREAKS(map.limits.key_size_max = 0);
    BREAKS(map.limits.value_size_max = 0);
    BREAKS(map.limits.request_size_max = map.limits.value_size_max);
    BREAKS(map.groups[0].id = 9);
    BREAKS(map.groups[2].id = 1);
    BREAKS(map.groups[1].consensus = 2);
    BREAKS(map.groups[1].replica_count = 0);
    BREAKS(map.groups[1].replica_count = CONSENSUS_MEMBERS_MAX + 1);
    BREAKS(map.groups[1].replicas[0].id = 0);
    BREAKS(map.groups[1].replicas[2].id = map.next_replica);
    BREAKS(map.groups[1].replicas[1].id = map.groups[1].replicas[0].id);
    BREAKS(map.groups[1].replicas[1].node = 11);
    BREAKS(map.groups[1].replicas[1].node = 10);
    BREAKS(map.groups[1].replicas[0].voter = map.groups[1].replicas[1].voter = false);
    BREAKS(map.groups[1].replicas[0].id = map.groups[0].replicas[2].id);
    BREAKS(map.nodes[0].id = 0);
    BREAKS(map.nodes[1].id = 10);
    BREAKS(memset(&map.nodes[1].storage, 0, WIRE_ID_SIZE));
    BREAKS(map.nodes[1].storage = map.nodes[0].storage);
    BREAKS(map.nodes[1].address[0] = '\0');
    BREAKS(memset(map.nodes[1].address, 'a', SHARD_ADDRESS_SIZE));
    BREAKS(memcpy(map.nodes[1].address, map.nodes[0].address, SHARD_ADDRESS_SIZE));
    BREAKS(map.owners[3] = SHARD_PLACEMENT_GROUP);
    BREAKS(map.owners[3] = 77);
    BREAKS(map.epochs[3] = 0);
    counting_fini(&counting);
}

/* An empty map is no map. */
Test(map, an_empty_map_is_flawed)
{
    struct counting counting;
    struct shard_map map;
    shard_map_init(&map, counting_init(&counting));
    cr_assert_not_null(shard_map_flaw(&map));
    cr_assert_eq(map.version, 0);
    shard_map_fini(&map);
    counting_fini(&counting);
}

/* A copy is equal and stands alone; over a full map it takes its place. */
Test(map, a_copy_stands_alone)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map, copy;
    map_make(&map, allocator, GROUPS);
    map_make(&copy, allocator, 2);
    map.version = 9;
    shard_map_copy(&copy, &map);
    cr_assert_null(shard_map_flaw(&copy));
    cr_assert_eq(copy.version, 9);
    cr_assert_eq(copy.group_count, GROUPS);
    cr_assert_arr_eq(copy.nodes, map.nodes, NODES * sizeof(*map.nodes));
    cr_assert_arr_eq(copy.groups, map.groups, GROUPS * sizeof(*map.groups));
    map.owners[0] = 3;
    cr_assert_eq(copy.owners[0], 1);
    shard_map_fini(&map);
    shard_map_copy(&copy, &map);
    cr_assert_eq(copy.version, 0);
    cr_assert_null(copy.nodes);
    shard_map_fini(&copy);
    counting_fini(&counting);
}

/* Nodes, groups and replicas are found by their ids, and only those. */
Test(map, finds_what_is_there)
{
    struct counting counting;
    struct shard_map map;
    map_make(&map, counting_init(&counting), GROUPS);
    cr_assert_eq(shard_map_find_node(&map, 20), &map.nodes[1]);
    cr_assert_null(shard_map_find_node(&map, 21));
    for (uint32_t g = 0; g < GROUPS; g++)
        cr_assert_eq(shard_map_find_group(&map, g), &map.groups[g]);
    cr_assert_null(shard_map_find_group(&map, GROUPS));
    cr_assert_eq(shard_map_find_replica(&map, 5), &map.groups[1].replicas[1]);
    cr_assert_null(shard_map_find_replica(&map, 500));
    cr_assert_eq(shard_map_replica_on(&map.groups[2], 30), &map.groups[2].replicas[2]);
    cr_assert_null(shard_map_replica_on(&map.groups[2], 31));
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    cr_assert_eq(shard_map_members(&map.groups[1], members), NODES);
    cr_assert_eq(members[1].replica, 5);
    cr_assert_eq(members[1].node, 20);
    cr_assert(members[1].voter);
    cr_assert_not(members[2].voter);
    shard_map_fini(&map);
    counting_fini(&counting);
}

/* The largest map is checked in no time, and two equal ids far apart are found in it. */
Test(map, the_largest_map_is_checked, .timeout = 10)
{
    struct counting counting;
    struct shard_map map;
    map_make(&map, counting_init(&counting), SHARD_GROUPS_MAX);
    for (int i = 0; i < 100; i++)
        cr_assert_null(shard_map_flaw(&map));
    map.groups[SHARD_GROUPS_MAX - 1].replicas[0].id = map.groups[1].replicas[0].id;
    cr_assert_not_null(shard_map_flaw(&map));
    shard_map_fini(&map);
    counting_fini(&counting);
}
