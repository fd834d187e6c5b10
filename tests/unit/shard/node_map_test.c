/* First maps, maps from peers, and replicas that the map wants: what is refused, and what waits. */
#include <criterion/criterion.h>
#include <string.h>

#include "shard/codec.h"
#include "shard/node.h"
#include "tests/lib/trio.h"

struct bench {
    struct trio *trio;
    struct counting counting;
    struct shard_map map; /* A copy of the first map, to be changed. */
    struct base_buffer *taken[1 << 14];
    size_t taken_count;
};

static struct bench bench;

static void begin(void)
{
    bench.trio = trio_new(1);
    trio_run(bench.trio, 50);
    shard_map_init(&bench.map, counting_init(&bench.counting));
    shard_map_copy(&bench.map, trio_map(bench.trio));
}

static void pool_release(void)
{
    while (bench.taken_count > 0)
        base_buffer_unref(bench.taken[--bench.taken_count]);
}

static void end(void)
{
    pool_release();
    trio_free(bench.trio);
    shard_map_fini(&bench.map);
    counting_fini(&bench.counting);
}

/* Leaves no room in a node's pool. */
static void pool_fill(uint32_t node)
{
    for (size_t size = 1 << 20; size > 0; size /= 16) {
        struct base_buffer *buffer;
        while ((buffer = base_buffer_new(trio_pool(bench.trio, node), size)) != NULL)
            bench.taken[bench.taken_count++] = buffer;
    }
}

/* Sends the map to all nodes; the status of the first answer. */
static enum torc_status init(void)
{
    uint64_t before = trio_result(bench.trio)->count;
    trio_init_with(bench.trio, &bench.map);
    for (int i = 0; i < 20 && trio_result(bench.trio)->count == before; i++)
        trio_run(bench.trio, 1);
    cr_assert_gt(trio_result(bench.trio)->count, before);
    return trio_result(bench.trio)->status;
}

/* A map that is not a first one, of another cluster, or too large for this node's log. */
Test(node_map, a_first_map_is_looked_at)
{
    begin();
    bench.map.version = 2;
    cr_assert_eq(init(), TORC_INVALID);
    bench.map.version = 1;
    bench.map.cluster.bytes[5] ^= 1;
    cr_assert_eq(init(), TORC_INVALID);
    bench.map.cluster.bytes[5] ^= 1;
    uint32_t size = (uint32_t)bench.map.limits.request_size_max;
    bench.map.limits.request_size_max = (uint32_t)trio_config(bench.trio)->entry_bytes_max;
    cr_assert_eq(init(), TORC_INVALID);
    bench.map.limits.request_size_max = size;
    Torc__Wire__Init nothing = TORC__WIRE__INIT__INIT;
    uint64_t before = trio_result(bench.trio)->count;
    trio_send(bench.trio, 1, WIRE_TYPE_INIT, &nothing.base);
    trio_run(bench.trio, 5);
    cr_assert_eq(trio_result(bench.trio)->count, before + 1);
    cr_assert_eq(trio_result(bench.trio)->status, TORC_INVALID);
    for (uint32_t id = 1; id <= TRIO_NODES; id++)
        cr_assert_eq(shard_node_map(trio_node(bench.trio, id))->version, 0);
    cr_assert_eq(init(), TORC_OK);
    cr_assert(trio_run_until_serving(bench.trio, 5000));
    end();
}

/* The others answer when they have stored it, so the first answer is the refusal. */
Test(node_map, a_first_map_names_this_storage)
{
    begin();
    bench.map.nodes[2].storage.bytes[7] ^= 1;
    cr_assert_eq(init(), TORC_INVALID);
    cr_assert_eq(shard_node_map(trio_node(bench.trio, 3))->version, 0);
    end();
}

Test(node_map, a_first_map_names_this_node)
{
    begin();
    bench.map.nodes[2].id = 9;
    for (uint32_t g = 0; g < bench.map.group_count; g++)
        bench.map.groups[g].replicas[2].node = 9;
    cr_assert_eq(init(), TORC_INVALID);
    cr_assert_eq(shard_node_map(trio_node(bench.trio, 3))->version, 0);
    end();
}

/* The first map is the first entry of the placement group. */
Test(node_map, a_first_map_fits_into_an_entry)
{
    begin();
    trio_config(bench.trio)->entry_bytes_max = 256;
    for (uint32_t id = 1; id <= TRIO_NODES; id++) {
        trio_kill(bench.trio, id);
        trio_start(bench.trio, id);
    }
    bench.map.limits =
        (struct wire_limits){.key_size_max = 16, .value_size_max = 64, .request_size_max = 128};
    cr_assert_eq(init(), TORC_TOO_LARGE);
    end();
}

/* Without memory for it the answer is "busy", and later it is taken. */
Test(node_map, a_first_map_waits_for_memory)
{
    begin();
    pool_fill(3);
    cr_assert_eq(init(), TORC_BUSY);
    trio_run(bench.trio, 100);
    struct consensus_info info;
    cr_assert_not(shard_node_replica_info(trio_node(bench.trio, 3), 0, &info));
    pool_release();
    cr_assert_eq(init(), TORC_OK);
    trio_run(bench.trio, 100);
    cr_assert(shard_node_replica_info(trio_node(bench.trio, 3), 0, &info));
    cr_assert(trio_run_until_serving(bench.trio, 5000));
    end();
}

/* A MAP message from a peer. */
static void map_from_peer(uint32_t to, uint32_t from)
{
    static uint64_t number = 1 << 20;
    struct base_bytes encoded;
    const struct base_allocator *allocator = &bench.counting.allocator;
    shard_codec_map_encode(&bench.map, allocator, &encoded);
    Torc__Wire__MapReply reply = TORC__WIRE__MAP_REPLY__INIT;
    reply.version = bench.map.version;
    reply.map = torc__wire__map__unpack(NULL, encoded.size, encoded.data);
    base_free(allocator, (void *)(uintptr_t)encoded.data, encoded.size);
    uint8_t body[4096];
    cr_assert_leq(torc__wire__map_reply__get_packed_size(&reply), sizeof(body));
    struct wire_envelope envelope = {
        .type = WIRE_TYPE_MAP, .node = from, .incarnation = 1, .number = ++number};
    envelope.storage = shard_map_find_node(trio_map(bench.trio), from)->storage;
    envelope.body = base_bytes_of(body, torc__wire__map_reply__pack(&reply, body));
    torc__wire__map__free_unpacked(reply.map, NULL);
    cr_assert_eq(trio_receive(bench.trio, to, true, envelope), TORC_OK);
}

/* A newer map is taken from a peer, if it is one and of this cluster. */
Test(node_map, a_peers_map_is_looked_at)
{
    begin();
    trio_init(bench.trio);
    cr_assert(trio_run_until_serving(bench.trio, 5000));
    trio_run(bench.trio, 400);
    struct shard_node *node = trio_node(bench.trio, 1);
    uint64_t known = shard_node_map(node)->version;
    bench.map.version = known + 1;
    bench.map.cluster.bytes[5] ^= 1;
    map_from_peer(1, 2);
    cr_assert_eq(shard_node_map(node)->version, known);
    cr_assert_eq(shard_node_counters(node)->refused_malformed, 1);
    bench.map.cluster.bytes[5] ^= 1;
    bench.map.epochs[0] = 0;
    map_from_peer(1, 2);
    cr_assert_eq(shard_node_map(node)->version, known);
    cr_assert_eq(shard_node_counters(node)->refused_malformed, 2);
    bench.map.epochs[0] = 1;
    map_from_peer(1, 2);
    cr_assert_eq(shard_node_map(node)->version, known + 1);
    bench.map.version = known;
    map_from_peer(1, 2);
    cr_assert_eq(shard_node_map(node)->version, known + 1);
    end();
}

/* A replica that the map wants here is built when there is memory for its record. */
Test(node_map, a_replica_waits_for_memory)
{
    begin();
    trio_lose(bench.trio, WIRE_TYPE_PLACE);
    trio_init(bench.trio);
    trio_run(bench.trio, 2000);
    uint32_t node = trio_leader(bench.trio, 0) % TRIO_NODES + 1; /* Its own mark is lost. */
    struct consensus_info info;
    cr_assert_not(shard_node_replica_info(trio_node(bench.trio, node), 1, &info));
    bench.map.version = shard_node_map(trio_node(bench.trio, node))->version + 1;
    for (uint32_t i = 0; i < TRIO_NODES; i++) {
        struct shard_map_replica *replica = &bench.map.groups[1].replicas[i];
        replica->used = replica->node == node;
        replica->used_by = replica->used ? 1 : 0;
    }
    pool_fill(node);
    map_from_peer(node, node % TRIO_NODES + 1);
    trio_run(bench.trio, 300);
    cr_assert_not(shard_node_replica_info(trio_node(bench.trio, node), 1, &info));
    pool_release();
    trio_run(bench.trio, 1000);
    cr_assert(shard_node_replica_info(trio_node(bench.trio, node), 1, &info));
    end();
}

/* A node that stops while a replica is not born yet has nothing to hand over for it. */
Test(node_map, draining_does_not_wait_for_a_birth)
{
    begin();
    trio_init(bench.trio);
    trio_run(bench.trio, 1); /* It has the map, and has stored nothing of it. */
    trio_drain(bench.trio, 1);
    cr_assert(shard_node_is_drained(trio_node(bench.trio, 1)));
    cr_assert(trio_run_until_serving(bench.trio, 5000));
    end();
}
