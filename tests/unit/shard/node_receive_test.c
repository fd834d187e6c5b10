/* What peers and strangers send: what no correct peer sends, and more than is usual. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "paxos/paxos.h"
#include "shard/codec.h"
#include "shard/node.h"
#include "tests/lib/trio.h"

static struct trio *serving(uint32_t group_count)
{
    struct trio *trio = trio_new(group_count);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_run(trio, 400);
    return trio;
}

static bool put(struct trio *trio, const char *key, struct base_bytes value)
{
    static uint64_t number;
    struct trio_answer answer;
    struct wire_op op = {.type = WIRE_OP_PUT, .key = base_bytes_text(key), .value = value};
    uint32_t leader = trio_leader(trio, trio_group_of(trio, key));
    return leader != 0 && trio_request(trio, leader, ++number, &op, 1000, &answer) &&
           answer.status == WIRE_DONE;
}

/* Sends node 1 a message of consensus in group 1, from node 2; its payload is cut by `cut`. */
static enum torc_status consensus_as_it_is(struct trio *trio, struct consensus_message message,
                                           size_t cut)
{
    static uint64_t number = 1 << 20;
    const struct shard_map *map = trio_map(trio);
    struct counting counting;
    struct shard_codec_outbox *outbox = shard_codec_outbox_new(counting_init(&counting));
    shard_codec_outbox_add(outbox, 1, &message);
    struct base_bytes payload = shard_codec_outbox_payload(outbox);
    struct wire_envelope envelope = {.type = WIRE_TYPE_CONSENSUS,
                                     .storage = map->nodes[1].storage,
                                     .node = 2,
                                     .incarnation = 1,
                                     .number = ++number,
                                     .body = shard_codec_outbox_body(outbox),
                                     .payload = base_bytes_of(payload.data, payload.size - cut)};
    enum torc_status status = trio_receive(trio, 1, false, envelope);
    shard_codec_outbox_free(outbox);
    counting_fini(&counting);
    return status;
}

/* The same between the replicas that those nodes have. */
static enum torc_status consensus_from_peer(struct trio *trio, struct consensus_message message,
                                            size_t cut)
{
    const struct shard_map *map = trio_map(trio);
    message.to = map->groups[1].replicas[0].id;
    message.from = map->groups[1].replicas[1].id;
    message.incarnation = 1;
    return consensus_as_it_is(trio, message, cut);
}

/* A replica hears only what is for itself, from a replica on the node that sent it, in that node's
 * present life: ids are never used again, and an id that was is another replica. */
Test(node_receive, consensus_of_another_replica_is_refused)
{
    struct trio *trio = serving(1);
    const struct shard_node_counters *counters = shard_node_counters(trio_node(trio, 1));
    const struct shard_map_replica *replicas = trio_map(trio)->groups[1].replicas;
    const struct consensus_message right = {.type = PAXOS_HEARTBEAT,
                                            .ballot = {.round = 99, .node = 2, .incarnation = 1},
                                            .to = replicas[0].id,
                                            .from = replicas[1].id,
                                            .incarnation = 1,
                                            .round = 1};
    struct consensus_message wrong[] = {right, right, right, right};
    wrong[0].to = 1000; /* A replica that was here once. */
    wrong[1].from = 1000;
    wrong[2].from = replicas[2].id; /* On node 3. */
    wrong[3].incarnation = 2;
    struct consensus_info info;
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(consensus_as_it_is(trio, wrong[i], 0), TORC_OK);
        cr_assert_eq(counters->refused_replica, i + 1);
        cr_assert(shard_node_replica_info(trio_node(trio, 1), 1, &info));
        cr_assert_lt(info.ballot.round, 99);
    }
    cr_assert_eq(consensus_as_it_is(trio, right, 0), TORC_OK);
    cr_assert_eq(counters->refused_replica, 4);
    cr_assert(shard_node_replica_info(trio_node(trio, 1), 1, &info));
    cr_assert_eq(info.ballot.round, 99);
    trio_free(trio);
}

/* A message to an earlier life of this node says that its sender lives a later one, if it is the
 * node that the map knows; a stranger under that node's number says nothing. */
Test(node_receive, only_the_known_storage_tells_of_a_later_life)
{
    struct trio *trio = serving(1);
    const struct shard_map *map = trio_map(trio);
    const struct consensus_message heartbeat = {
        .type = PAXOS_HEARTBEAT,
        .ballot = {.round = 99, .node = 2, .incarnation = 1},
        .round = 1,
    };
    trio_kill(trio, 1);
    trio_start(trio, 1); /* Its second life. */
    trio_run(trio, 500);
    struct wire_envelope late = {.type = WIRE_TYPE_CONSENSUS,
                                 .storage = map->nodes[2].storage,
                                 .node = 2,
                                 .incarnation = 9,
                                 .to_node = 1,
                                 .to_incarnation = 1};
    cr_assert_eq(trio_receive(trio, 1, false, late), TORC_STALE);
    cr_assert_eq(consensus_from_peer(trio, heartbeat, 0), TORC_OK, "node 2 still lives its first");
    late.storage = map->nodes[1].storage;
    cr_assert_eq(trio_receive(trio, 1, false, late), TORC_STALE);
    cr_assert_eq(consensus_from_peer(trio, heartbeat, 0), TORC_STALE, "of an earlier life");
    trio_free(trio);
}

/* What does not decode, and what decodes and means nothing, is counted; the node goes on. */
Test(node_receive, malformed_consensus_is_counted)
{
    struct trio *trio = serving(1);
    const struct shard_node_counters *counters = shard_node_counters(trio_node(trio, 1));
    uint64_t before = counters->refused_malformed;
    struct consensus_message prepare = {.type = PAXOS_PREPARE,
                                        .ballot = {.round = 99, .node = 2, .incarnation = 1}};
    cr_assert_eq(consensus_from_peer(trio, prepare, 0), TORC_OK);
    cr_assert_eq(counters->refused_malformed, before + 1, "a PREPARE from slot 0 on");
    struct base_pool pool;
    struct counting counting;
    base_pool_init(&pool, counting_init(&counting), 1 << 10);
    struct consensus_entry entry = {.slot = 1000,
                                    .ballot = prepare.ballot,
                                    .origin = prepare.ballot,
                                    .kind = CONSENSUS_VALUE,
                                    .value = base_buffer_copy(&pool, base_bytes_text("value"))};
    struct consensus_message accept = {.type = PAXOS_ACCEPT,
                                       .ballot = prepare.ballot,
                                       .first = 1000,
                                       .last = 1000,
                                       .entries = &entry,
                                       .entry_count = 1};
    cr_assert_eq(consensus_from_peer(trio, accept, 1), TORC_OK);
    cr_assert_eq(counters->refused_malformed, before + 2, "a value without its end");
    base_buffer_unref(entry.value);
    base_pool_fini(&pool);
    counting_fini(&counting);
    cr_assert(put(trio, "a", base_bytes_text("x")));
    trio_free(trio);
}

/* Who was given nothing but an address may look, and do nothing else. */
Test(node_receive, looking_needs_no_cluster_id)
{
    struct trio *trio = serving(1);
    enum wire_type types[] = {WIRE_TYPE_STATUS_REQUEST, WIRE_TYPE_MAP_REQUEST, WIRE_TYPE_PLACE,
                              WIRE_TYPE_REQUEST,        WIRE_TYPE_HELLO,       WIRE_TYPE_INIT};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct wire_envelope envelope = {.type = types[i], .incarnation = 1, .number = i + 1};
        cr_assert_eq(
            shard_node_receive(trio_node(trio, 1), TRIO_CLIENT_ROUTE, false, &envelope, 1 << 20),
            i < 2 ? TORC_OK : TORC_FOREIGN);
    }
    /* No more time than that has passed for the others. */
    trio_free(trio);
}

/* Memory that a burst of answers took is given back with the next turn. */
Test(node_receive, a_burst_of_answers_keeps_no_memory)
{
    struct trio *trio = serving(1);
    trio_run(trio, 100);
    size_t before = trio_memory(trio);
    uint8_t body[16];
    Torc__Wire__MapRequest request = TORC__WIRE__MAP_REQUEST__INIT;
    struct wire_envelope envelope = {.type = WIRE_TYPE_MAP_REQUEST, .incarnation = 1};
    envelope.body = base_bytes_of(body, torc__wire__map_request__pack(&request, body));
    for (int i = 0; trio_memory(trio) < before + (32 << 20); i++) {
        cr_assert_lt(i, 1 << 20);
        cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_OK);
    }
    trio_run(trio, 10);
    cr_assert_lt(trio_memory(trio), before + (16 << 20));
    trio_free(trio);
}

/* A disk that stores nothing for many batches holds up its own node's answers only, and all come
 * when it does. */
Test(node_receive, a_slow_disk_holds_up_nobody)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 1), slow = leader % TRIO_NODES + 1;
    trio_disk_hold(trio, slow, true);
    for (int i = 0; i < 100; i++)
        cr_assert(put(trio, "a", base_bytes_text("x")));
    struct consensus_info info, leaders;
    cr_assert(shard_node_replica_info(trio_node(trio, slow), 1, &info));
    cr_assert_lt(info.applied, 100);
    trio_disk_hold(trio, slow, false);
    trio_run(trio, 500);
    cr_assert(shard_node_replica_info(trio_node(trio, slow), 1, &info));
    cr_assert(shard_node_replica_info(trio_node(trio, leader), 1, &leaders));
    cr_assert_eq(info.applied, leaders.applied);
    cr_assert_geq(info.applied, 100);
    trio_free(trio);
}

/* What many groups have to say to one peer at once goes in several messages of a bounded size. */
Test(node_receive, messages_between_nodes_are_bounded)
{
    enum { GROUPS = 18, VALUE_SIZE = 60000, MESSAGE_SIZE = 4 << 20, OF_ONE_GROUP = 1 << 20 };
    struct trio *trio = serving(GROUPS);
    static uint8_t value[VALUE_SIZE];
    trio_kill(trio, 3);
    cr_assert(trio_run_until_serving(trio, 5000));
    for (int i = 0; i < 20 * GROUPS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key%d", i);
        cr_assert(put(trio, key, base_bytes_of(value, sizeof(value))));
    }
    trio_start(trio, 3);
    trio_run(trio, 5000);
    for (uint32_t group = 1; group <= GROUPS; group++) {
        struct consensus_info info, leaders;
        cr_assert(shard_node_replica_info(trio_node(trio, 3), group, &info));
        uint32_t leader = trio_leader(trio, group);
        cr_assert_neq(leader, 0);
        cr_assert(shard_node_replica_info(trio_node(trio, leader), group, &leaders));
        cr_assert_eq(info.applied, leaders.applied);
    }
    cr_assert_gt(trio_largest(trio), MESSAGE_SIZE);
    cr_assert_lt(trio_largest(trio), MESSAGE_SIZE + 2 * OF_ONE_GROUP);
    trio_free(trio);
}
