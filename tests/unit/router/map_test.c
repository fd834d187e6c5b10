#include "router/map.h"

#include <criterion/criterion.h>

#include "tests/lib/counting.h"

/* A good map of two nodes and two groups, to be spoilt in one place. */
struct sample {
    Torc__Wire__Map map;
    Torc__Wire__Node nodes[2], *node_list[2];
    Torc__Wire__Replica replicas[2], *replica_list[2];
    Torc__Wire__Group groups[3], *group_list[3];
    Torc__Wire__Ring ring;
    Torc__Wire__Limits limits;
    uint32_t owners[4];
    uint64_t epochs[4];
    uint8_t cluster[16], storage[16];
};

static const struct wire_id cluster = {{9}};

static void sample_init(struct sample *sample)
{
    *sample = (struct sample){
        .map = TORC__WIRE__MAP__INIT,
        .nodes = {TORC__WIRE__NODE__INIT, TORC__WIRE__NODE__INIT},
        .replicas = {TORC__WIRE__REPLICA__INIT, TORC__WIRE__REPLICA__INIT},
        .groups = {TORC__WIRE__GROUP__INIT, TORC__WIRE__GROUP__INIT, TORC__WIRE__GROUP__INIT},
        .ring = TORC__WIRE__RING__INIT,
        .limits = TORC__WIRE__LIMITS__INIT,
        .owners = {1, 2, 1, 2},
        .epochs = {1, 1, 1, 1},
        .cluster = {9},
    };
    for (uint32_t i = 0; i < 2; i++) {
        sample->nodes[i].id = i + 1;
        sample->nodes[i].storage = (ProtobufCBinaryData){16, sample->storage};
        sample->nodes[i].address = (char *)(i == 0 ? "tcp://a:1" : "tcp://b:2");
        sample->node_list[i] = &sample->nodes[i];
        sample->replicas[i].id = i + 1;
        sample->replicas[i].node = i + 1;
        sample->replicas[i].voter = true;
        sample->replica_list[i] = &sample->replicas[i];
    }
    for (uint32_t i = 0; i < 3; i++) {
        sample->groups[i].id = i;
        sample->groups[i].n_replicas = 2;
        sample->groups[i].replicas = sample->replica_list;
        sample->group_list[i] = &sample->groups[i];
    }
    sample->limits.key_size_max = 4096;
    sample->limits.value_size_max = 1 << 20;
    sample->limits.request_size_max = 2 << 20;
    sample->ring.n_owners = sample->ring.n_epochs = 4;
    sample->ring.owners = sample->owners;
    sample->ring.epochs = sample->epochs;
    sample->map.version = 3;
    sample->map.cluster = (ProtobufCBinaryData){16, sample->cluster};
    sample->map.n_nodes = 2;
    sample->map.nodes = sample->node_list;
    sample->map.n_groups = 3;
    sample->map.groups = sample->group_list;
    sample->map.ring = &sample->ring;
    sample->map.limits = &sample->limits;
}

/* What the message says is what the snapshot says; the placement group is left out. */
Test(router_map, reads_a_good_map)
{
    struct counting counting;
    struct sample sample;
    struct router_map *map;
    sample_init(&sample);
    cr_assert_eq(router_map_read(counting_init(&counting), &sample.map, &cluster, NULL, &map),
                 TORC_OK);
    cr_assert_eq(map->version, 3);
    cr_assert_eq(map->group_count, 2);
    cr_assert_eq(map->groups[0].id, 1);
    cr_assert_eq(map->groups[1].node_count, 2);
    cr_assert_str_eq(router_map_node_find(map, 2)->address, "tcp://b:2");
    cr_assert_null(router_map_node_find(map, 3));
    cr_assert_eq(ring_lookup(map->ring, UINT64_C(1) << 62), 2);
    router_map_free(map);
    counting_fini(&counting);
}

/* Learners do not lead: nobody asks them. */
Test(router_map, only_voters_are_asked)
{
    struct counting counting;
    struct sample sample;
    struct router_map *map;
    sample_init(&sample);
    sample.replicas[0].voter = false;
    cr_assert_eq(router_map_read(counting_init(&counting), &sample.map, &cluster, NULL, &map),
                 TORC_OK);
    cr_assert_eq(map->groups[0].node_count, 1);
    cr_assert_eq(map->groups[0].nodes[0], 2);
    router_map_free(map);
    counting_fini(&counting);
}

/* A newer map that knows less of one vnode does not take back what is known of it. */
Test(router_map, rings_are_merged_never_replaced)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct sample sample;
    struct router_map *old, *map;
    sample_init(&sample);
    sample.epochs[0] = 7;
    sample.owners[0] = 2;
    cr_assert_eq(router_map_read(allocator, &sample.map, &cluster, NULL, &old), TORC_OK);
    sample.map.version = 4;
    sample.epochs[0] = 6;
    sample.owners[0] = 1;
    sample.epochs[1] = 8;
    sample.owners[1] = 1;
    cr_assert_eq(router_map_read(allocator, &sample.map, &cluster, old, &map), TORC_OK);
    cr_assert_eq(map->ring->groups[0], 2);
    cr_assert_eq(map->ring->groups[1], 1);
    cr_assert_eq(router_map_read(allocator, &sample.map, &cluster, map, &map), TORC_STALE);
    router_map_free(old);
    router_map_free(map);
    counting_fini(&counting);
}

static void expect_refused(const struct sample *sample, enum torc_status status)
{
    struct counting counting;
    struct router_map *map = NULL;
    cr_assert_eq(router_map_read(counting_init(&counting), &sample->map, &cluster, NULL, &map),
                 status);
    cr_assert_null(map);
    counting_fini(&counting);
}

#define REFUSES(status, change)                                                                    \
    do {                                                                                           \
        struct sample sample;                                                                      \
        sample_init(&sample);                                                                      \
        change;                                                                                    \
        expect_refused(&sample, status);                                                           \
    } while (0)

/* A map from outside is checked in full, and a refusal leaves nothing behind. */
Test(router_map, refuses_what_does_not_hold_together)
{
    char address[ROUTER_ADDRESS_SIZE_MAX + 1] = {0};
    memset(address, 'x', ROUTER_ADDRESS_SIZE_MAX);
    REFUSES(TORC_FOREIGN, sample.cluster[0] = 8);
    REFUSES(TORC_FOREIGN, sample.map.cluster.len = 15);
    REFUSES(TORC_MALFORMED, sample.map.ring = NULL);
    REFUSES(TORC_MALFORMED, sample.map.limits = NULL);
    REFUSES(TORC_MALFORMED, sample.map.n_nodes = 0);
    REFUSES(TORC_MALFORMED, sample.map.n_groups = 0);
    REFUSES(TORC_MALFORMED, sample.map.n_nodes = ROUTER_MAP_NODES_MAX + 1);
    REFUSES(TORC_MALFORMED, sample.map.n_groups = ROUTER_MAP_GROUPS_MAX + 1);
    REFUSES(TORC_MALFORMED, sample.ring.n_owners = sample.ring.n_epochs = 0);
    REFUSES(TORC_MALFORMED, sample.ring.n_owners = sample.ring.n_epochs = RING_VNODE_COUNT_MAX + 1);
    REFUSES(TORC_MALFORMED, sample.map.n_groups = 2); /* A vnode's owner is missing. */
    REFUSES(TORC_MALFORMED, sample.nodes[1].id = 1);
    REFUSES(TORC_MALFORMED, sample.nodes[0].id = 0);
    REFUSES(TORC_MALFORMED, sample.nodes[0].storage.len = 3);
    REFUSES(TORC_MALFORMED, sample.nodes[0].address = (char *)"");
    REFUSES(TORC_MALFORMED, sample.nodes[0].address = address);
    REFUSES(TORC_MALFORMED, sample.replicas[0].node = 5);
    REFUSES(TORC_MALFORMED, sample.groups[2].id = 1);
    REFUSES(TORC_MALFORMED, sample.ring.n_owners = 3);
    REFUSES(TORC_MALFORMED, sample.ring.n_owners = sample.ring.n_epochs = 3);
    REFUSES(TORC_MALFORMED, sample.owners[2] = 0);
    REFUSES(TORC_MALFORMED, sample.epochs[2] = 0);
    REFUSES(TORC_MALFORMED, sample.limits.key_size_max = 0);
    REFUSES(TORC_MALFORMED, sample.limits.key_size_max = 65536);
    REFUSES(TORC_MALFORMED, sample.limits.value_size_max = 0);
    REFUSES(TORC_MALFORMED, sample.limits.request_size_max = 1 << 20);
}
