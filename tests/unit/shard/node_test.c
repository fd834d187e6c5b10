#include "shard/node.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "base/hlc.h"
#include "shard/keys.h"
#include "tests/lib/trio.h"

static struct wire_op put(const char *key, const char *value)
{
    return (struct wire_op){
        .type = WIRE_OP_PUT, .key = base_bytes_text(key), .value = base_bytes_text(value)};
}

static struct wire_op get(const char *key)
{
    return (struct wire_op){.type = WIRE_OP_GET, .key = base_bytes_text(key)};
}

static struct wire_op add(const char *key, uint64_t delta)
{
    return (struct wire_op){.type = WIRE_OP_ADD, .key = base_bytes_text(key), .a = delta};
}

static struct trio *serving(uint32_t group_count)
{
    struct trio *trio = trio_new(group_count);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_run(trio, 400);
    return trio;
}

/* From formatted nodes and one map to groups that serve: every replica is marked used first. */
Test(node, init_brings_up_every_group)
{
    struct trio *trio = trio_new(3);
    trio_run(trio, 100);
    cr_assert_eq(shard_node_map(trio_node(trio, 1))->version, 0);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_run(trio, 200);
    for (uint32_t id = 1; id <= TRIO_NODES; id++) {
        const struct shard_map *map = shard_node_map(trio_node(trio, id));
        for (uint32_t g = 0; g < map->group_count; g++) {
            for (uint32_t r = 0; r < TRIO_NODES; r++)
                cr_assert(map->groups[g].replicas[r].used);
        }
    }
    trio_free(trio);
}

/* The same map again is a no-op for a member of the placement group. */
Test(node, init_twice_is_a_no_op)
{
    struct trio *trio = serving(1);
    uint64_t version = shard_node_map(trio_node(trio, 1))->version;
    cr_assert_eq(version, 4);
    uint64_t results = trio_result(trio)->count;
    trio_init(trio);
    trio_run(trio, 100);
    cr_assert_eq(trio_result(trio)->count, results + TRIO_NODES);
    cr_assert_eq(trio_result(trio)->status, TORC_OK);
    cr_assert_eq(shard_node_map(trio_node(trio, 1))->version, version);
    trio_free(trio);
}

/* Another first map is refused, by a node that has one and by one whose copy of the log is gone. */
Test(node, a_second_first_map_is_refused)
{
    struct trio *trio = serving(1);
    trio_kill(trio, 2);
    trio_disk_empty(trio, 2);
    trio_start(trio, 2);
    trio_run(trio, 600);
    trio_init_other(trio);
    trio_run(trio, 50);
    cr_assert_eq(trio_result(trio)->status, TORC_EXISTS);
    trio_init(trio);
    trio_run(trio, 50);
    struct consensus_info info;
    cr_assert_not(shard_node_replica_info(trio_node(trio, 2), 0, &info));
    trio_free(trio);
}

/* What is written is read, and a node that does not lead says who does. */
Test(node, writes_and_reads_through_the_leader)
{
    struct trio *trio = trio_new(2);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    uint32_t leader = trio_leader(trio, trio_group_of(trio, "a"));
    struct trio_answer answer;
    struct wire_op op = get("a");
    cr_assert(trio_request(trio, leader, 1, &op, 500, &answer));
    cr_assert_eq(answer.status, WIRE_DONE);
    cr_assert_eq(answer.kind, WIRE_RESULT_NIL);
    op = put("a", "one");
    cr_assert(trio_request(trio, leader, 2, &op, 500, &answer));
    cr_assert_eq(answer.status, WIRE_DONE);
    op = get("a");
    cr_assert(trio_request(trio, leader, 3, &op, 500, &answer));
    cr_assert_eq(answer.kind, WIRE_RESULT_BYTES);
    cr_assert_eq(answer.size, 3);
    cr_assert_arr_eq(answer.bytes, "one", 3);
    uint32_t other = leader % TRIO_NODES + 1;
    cr_assert(trio_request(trio, other, 4, &op, 500, &answer));
    cr_assert_eq(answer.status, WIRE_NOT_LEADER);
    cr_assert_eq(answer.detail, leader);
    trio_free(trio);
}

/* A retry of a request that ran is answered from its record, also by the next leader. */
Test(node, a_retry_runs_once_over_a_failover)
{
    struct trio *trio = trio_new(1);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    uint32_t leader = trio_leader(trio, 1);
    struct trio_answer answer;
    struct wire_op op = add("counter", 5);
    cr_assert(trio_request(trio, leader, 1, &op, 500, &answer));
    cr_assert_eq(answer.value_number, 5);
    cr_assert(trio_request(trio, leader, 1, &op, 500, &answer));
    cr_assert_eq(answer.value_number, 5);
    trio_kill(trio, leader);
    cr_assert(trio_run_until_serving(trio, 5000));
    uint32_t next = trio_leader(trio, 1);
    cr_assert_neq(next, leader);
    cr_assert(trio_request(trio, next, 1, &op, 500, &answer));
    cr_assert_eq(answer.status, WIRE_DONE);
    cr_assert_eq(answer.value_number, 5);
    struct shard_machine_info info;
    cr_assert(shard_node_machine_info(trio_node(trio, next), 1, &info));
    cr_assert_eq(info.counters.from_records, 1);
    cr_assert_eq(shard_node_replica_counters(trio_node(trio, next), 1)->elections_won, 1);
    cr_assert_not(shard_node_machine_info(trio_node(trio, next), 9, &info));
    cr_assert_null(shard_node_replica_counters(trio_node(trio, next), 9));
    cr_assert(trio_request(trio, next, 2, &op, 500, &answer));
    cr_assert_eq(answer.value_number, 10);
    trio_free(trio);
}

/* All nodes die with nothing flushed: the log alone brings everything back. */
Test(node, everything_comes_back_from_the_log)
{
    struct trio *trio = trio_new(2);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    struct trio_answer answer;
    char key[16];
    uint64_t number = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        struct wire_op op = put(key, key);
        uint32_t leader = trio_leader(trio, trio_group_of(trio, key));
        cr_assert(trio_request(trio, leader, ++number, &op, 500, &answer));
        cr_assert_eq(answer.status, WIRE_DONE);
    }
    for (uint32_t id = 1; id <= TRIO_NODES; id++)
        trio_kill(trio, id);
    for (uint32_t id = 1; id <= TRIO_NODES; id++)
        trio_start(trio, id);
    cr_assert(trio_run_until_serving(trio, 5000));
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        struct wire_op op = get(key);
        uint32_t leader = trio_leader(trio, trio_group_of(trio, key));
        cr_assert(trio_request(trio, leader, ++number, &op, 500, &answer));
        cr_assert_eq(answer.kind, WIRE_RESULT_BYTES);
        cr_assert_arr_eq(answer.bytes, key, answer.size);
    }
    trio_free(trio);
}

/* A deposed leader that is cut off neither reads nor writes. */
Test(node, an_isolated_leader_answers_nothing)
{
    struct trio *trio = trio_new(1);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    uint32_t leader = trio_leader(trio, 1);
    trio_isolate(trio, leader, true);
    struct trio_answer answer;
    struct wire_op op = get("a");
    bool answered = trio_request(trio, leader, 1, &op, 100, &answer);
    cr_assert(!answered || answer.status != WIRE_DONE);
    op = put("a", "x");
    answered = trio_request(trio, leader, 2, &op, 2000, &answer);
    cr_assert(!answered || answer.status != WIRE_DONE);
    trio_isolate(trio, leader, false);
    trio_run(trio, 2000);
    cr_assert_neq(trio_leader(trio, 1), 0);
    trio_free(trio);
}

/* A replica that does not lead tells what may be stale, as long as its state is surely not older:
 * cut off it grows older, whatever the others write; back among them it has what they wrote. */
Test(node, a_follower_tells_what_may_be_stale)
{
    struct trio *trio = trio_new(1);
    struct trio_answer answer;
    struct wire_op read = get("a"), old = put("a", "old"), new = put("a", "new");
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    uint32_t leader = trio_leader(trio, 1), follower = leader % TRIO_NODES + 1;
    cr_assert(trio_request(trio, leader, 1, &old, 500, &answer));
    trio_run(trio, 1000);
    cr_assert(trio_request_stale(trio, follower, 2, &read, 900, 100, &answer));
    cr_assert(answer.status == WIRE_DONE && memcmp(answer.bytes, "old", 3) == 0);

    trio_isolate(trio, follower, true);
    trio_run(trio, 2000);
    leader = trio_leader(trio, 1);
    cr_assert(leader != 0 && leader != follower);
    cr_assert(trio_request(trio, leader, 3, &new, 500, &answer));
    cr_assert_eq(answer.status, WIRE_DONE);
    cr_assert(trio_request_stale(trio, follower, 4, &read, 1000, 100, &answer));
    cr_assert_eq(answer.status, WIRE_NOT_LEADER, "it has heard nothing for longer than that");
    cr_assert(trio_request_stale(trio, follower, 5, &read, 10000, 100, &answer));
    cr_assert(answer.status == WIRE_DONE && memcmp(answer.bytes, "old", 3) == 0);

    trio_isolate(trio, follower, false);
    trio_run(trio, 3000);
    cr_assert(trio_request_stale(trio, follower, 6, &read, 1000, 100, &answer));
    cr_assert(answer.status == WIRE_DONE && memcmp(answer.bytes, "new", 3) == 0);
    trio_free(trio);
}

/* ---- Messages that nobody should send
 * --------------------------------------------------------------------- */

static struct wire_envelope from_node(struct trio *trio, uint32_t node, enum wire_type type)
{
    const struct shard_map_node *sender = shard_map_find_node(trio_map(trio), node);
    return (struct wire_envelope){
        .type = type, .storage = sender->storage, .node = node, .incarnation = 1};
}

/* Bodies that are no bodies, payloads that are none, from peers and from anybody. */
Test(node, garbage_is_refused_and_counted)
{
    struct trio *trio = serving(1);
    struct base_prng prng = base_prng_seeded(1);
    uint8_t bytes[200];
    for (int i = 0; i < 20000; i++) {
        size_t size = base_prng_range(&prng, 0, sizeof(bytes));
        for (size_t at = 0; at < size; at++)
            bytes[at] = (uint8_t)base_prng_range(&prng, 0, i % 2 == 0 ? 255 : 12);
        enum wire_type type = (enum wire_type)base_prng_range(&prng, 1, WIRE_TYPE_TRANSACTION);
        struct wire_envelope envelope = from_node(trio, 2 + (uint32_t)i % 2, type);
        if (i % 3 == 0)
            envelope.node = 0;
        envelope.number = (uint64_t)i + 1000000;
        size_t body = base_prng_range(&prng, 0, size);
        envelope.body = base_bytes_of(bytes, body);
        envelope.payload = base_bytes_of(bytes + body, size - body);
        (void)trio_receive(trio, 1, i % 5 == 0, envelope);
        if (i % 100 == 0)
            trio_run(trio, 1);
    }
    cr_assert_gt(shard_node_counters(trio_node(trio, 1))->refused_malformed, 1000);
    trio_free(trio);
}

/* Who is of another cluster, storage or life is not heard. */
Test(node, foreign_messages_are_refused)
{
    struct trio *trio = serving(1);
    const struct shard_node_counters *counters = shard_node_counters(trio_node(trio, 1));
    struct wire_envelope envelope = from_node(trio, 2, WIRE_TYPE_CONSENSUS);
    envelope.number = 1 << 20;
    envelope.cluster.bytes[3] = 1;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_FOREIGN);
    envelope = from_node(trio, 2, WIRE_TYPE_CONSENSUS);
    envelope.number = 1 << 20;
    envelope.storage.bytes[3] ^= 1;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_FOREIGN);
    envelope = from_node(trio, 2, WIRE_TYPE_MAP);
    envelope.node = 9;
    cr_assert_eq(trio_receive(trio, 1, true, envelope), TORC_FOREIGN);
    cr_assert_eq(counters->refused_foreign, 3);
    envelope = from_node(trio, 2, WIRE_TYPE_CONSENSUS);
    envelope.number = 1 << 20;
    envelope.to_incarnation = 7;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_STALE);
    envelope.to_incarnation = 1;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_OK);
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_STALE);
    envelope.incarnation = 5;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_OK);
    envelope.incarnation = 4;
    envelope.number++;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_STALE);
    /* On the other socket too: its window has not seen the newer life. */
    cr_assert_eq(trio_receive(trio, 1, true, envelope), TORC_STALE);
    trio_free(trio);
}

/* A peer's new life is learned also from what it meant for an earlier life of this node: two that
 * restarted and each know the other's old life only would refuse each other for ever. */
Test(node, new_life_of_a_peer_is_learned_from_what_is_refused)
{
    struct trio *trio = serving(1);
    struct wire_envelope envelope = from_node(trio, 2, WIRE_TYPE_CONSENSUS);
    envelope.number = 1 << 20;
    envelope.incarnation = 9;
    envelope.to_node = 1;
    envelope.to_incarnation = 7;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_STALE);
    envelope.incarnation = 8;
    envelope.to_incarnation = 1;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_STALE);
    envelope.incarnation = 9;
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_OK);
    trio_free(trio);
}

/* A message from a node, as one of its lives would send it, with a number that is new. */
static enum torc_status receive_in_life(struct trio *trio, uint32_t to, uint32_t from,
                                        uint32_t incarnation, enum wire_type type,
                                        const ProtobufCMessage *body)
{
    static uint64_t number = 1 << 20;
    uint8_t bytes[256];
    struct wire_envelope envelope = from_node(trio, from, type);
    envelope.incarnation = incarnation;
    envelope.number = ++number;
    envelope.to_node = to;
    envelope.durable_batch = 1000 * incarnation;
    cr_assert_leq(protobuf_c_message_get_packed_size(body), sizeof(bytes));
    envelope.body = base_bytes_of(bytes, protobuf_c_message_pack(body, bytes));
    return trio_receive(trio, to, false, envelope);
}

/* A node that restarted, and is known by its earlier life only, is heard when it asks for a change
 * of the map or greets: it speaks first, and nobody has told of its new life. */
Test(node, what_a_new_life_asks_is_taken)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 0), other = leader % TRIO_NODES + 1;
    Torc__Wire__Consensus nothing = TORC__WIRE__CONSENSUS__INIT;
    Torc__Wire__Place place = TORC__WIRE__PLACE__INIT;
    place.id = 77;
    uint64_t results = trio_result(trio)->count;
    cr_assert_eq(receive_in_life(trio, leader, other, 2, WIRE_TYPE_PLACE, &place.base), TORC_OK);
    trio_run(trio, 50);
    cr_assert_eq(trio_result(trio)->count, results + 1);
    cr_assert_eq(trio_result(trio)->id, 77);
    cr_assert_eq(receive_in_life(trio, leader, other, 1, WIRE_TYPE_CONSENSUS, &nothing.base),
                 TORC_STALE, "the life that it spoke in is the one that counts");
    Torc__Wire__Hello hello = TORC__WIRE__HELLO__INIT;
    cr_assert_eq(receive_in_life(trio, leader, other, 3, WIRE_TYPE_HELLO, &hello.base), TORC_OK);
    trio_run(trio, 5);
    cr_assert_not_null(trio_welcome(trio));
    cr_assert_eq(trio_welcome(trio)->status, TORC_OK);
    cr_assert_eq(trio_welcome(trio)->seen_batch, 3000);
    cr_assert_eq(receive_in_life(trio, leader, other, 2, WIRE_TYPE_PLACE, &place.base), TORC_STALE);
    trio_free(trio);
}

/* What an earlier life asks is not taken, but for its greeting: a copy of an older disk, which
 * lives a life again, hears what it has forgotten. */
Test(node, an_earlier_life_is_only_greeted)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 0), other = leader % TRIO_NODES + 1;
    Torc__Wire__Consensus nothing = TORC__WIRE__CONSENSUS__INIT;
    cr_assert_eq(receive_in_life(trio, leader, other, 5, WIRE_TYPE_CONSENSUS, &nothing.base),
                 TORC_OK);
    Torc__Wire__Place place = TORC__WIRE__PLACE__INIT;
    uint64_t results = trio_result(trio)->count;
    cr_assert_eq(receive_in_life(trio, leader, other, 4, WIRE_TYPE_PLACE, &place.base), TORC_STALE);
    trio_run(trio, 50);
    cr_assert_eq(trio_result(trio)->count, results);
    Torc__Wire__Hello hello = TORC__WIRE__HELLO__INIT;
    cr_assert_eq(receive_in_life(trio, leader, other, 4, WIRE_TYPE_HELLO, &hello.base), TORC_OK);
    trio_run(trio, 5);
    cr_assert_eq(trio_welcome(trio)->seen_batch, 5000);
    /* It is not taken for what lives now. */
    cr_assert_eq(receive_in_life(trio, leader, other, 4, WIRE_TYPE_CONSENSUS, &nothing.base),
                 TORC_STALE);
    trio_free(trio);
}

/* The other way round: what a node asks is for whoever lives there. One that it knows by an earlier
 * life would otherwise refuse to answer, and never say that it lives another. */
Test(node, only_consensus_is_for_one_life)
{
    struct trio *trio = trio_new(2);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_kill(trio, 2);
    trio_start(trio, 2);
    trio_run(trio, 1000);
    for (enum wire_type type = 1; type <= WIRE_TYPE_TRANSACTION; type++) {
        bool between_lives = trio_sent_to_a_life(trio, type) > 0;
        cr_assert_eq(between_lives, type == WIRE_TYPE_CONSENSUS, "type %d", type);
    }
    cr_assert_gt(trio_sent(trio, WIRE_TYPE_PLACE), 0);
    cr_assert_gt(trio_sent(trio, WIRE_TYPE_HELLO), 0);
    trio_free(trio);
}

/* What asks for an answer is not taken from a connection that has no route back: there, the node's
 * own requests would be taken for it. */
Test(node, requests_need_a_route)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 0);
    enum wire_type types[] = {WIRE_TYPE_REQUEST, WIRE_TYPE_HELLO, WIRE_TYPE_MAP_REQUEST,
                              WIRE_TYPE_INIT,    WIRE_TYPE_PLACE, WIRE_TYPE_STATUS_REQUEST};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct wire_envelope envelope = from_node(trio, leader % TRIO_NODES + 1, types[i]);
        envelope.number = (1 << 20) + i;
        cr_assert_eq(trio_receive(trio, leader, true, envelope), TORC_MALFORMED);
    }
    trio_free(trio);
}

/* A second delivery gets no answer of its own: it could deny what the first one did. */
Test(node, a_message_of_a_requester_counts_once)
{
    struct trio *trio = serving(1);
    struct wire_envelope envelope = {.type = WIRE_TYPE_REQUEST, .incarnation = 7, .number = 40};
    Torc__Wire__Request request = TORC__WIRE__REQUEST__INIT;
    uint8_t body[32];
    request.group = 1;
    envelope.body = base_bytes_of(body, torc__wire__request__pack(&request, body));
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_OK);
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_STALE);
    envelope.number = 39; /* Overtaken. */
    cr_assert_eq(trio_receive(trio, 1, false, envelope), TORC_OK);
    trio_free(trio);
}

/* ---- Who this node is
 * ------------------------------------------------------------------------------------ */

/* A log that is older than what peers saw as durable: the node learns it before it votes. */
Test(node, an_older_copy_of_the_disk_ends_the_node)
{
    struct trio *trio = serving(1);
    trio_kill(trio, 3);
    trio_disk_save(trio, 3);
    trio_start(trio, 3); /* The older copy will live this life once more. */
    trio_run(trio, 1000);
    struct trio_answer answer;
    struct wire_op op = put("a", "one");
    cr_assert(trio_request(trio, trio_leader(trio, 1), 1, &op, 500, &answer));
    trio_run(trio, 200);
    trio_kill(trio, 3);
    trio_disk_restore(trio, 3);
    trio_start(trio, 3);
    trio_run(trio, 100);
    cr_assert_not_null(trio_fatal(trio, 3));
    cr_assert_not_null(strstr(trio_fatal(trio, 3), "older copy"));
    trio_free(trio);
}

/* The same log, whole, comes back. */
Test(node, a_whole_disk_is_welcome)
{
    struct trio *trio = serving(1);
    trio_kill(trio, 3);
    trio_run(trio, 50);
    trio_start(trio, 3);
    trio_run(trio, 1000);
    cr_assert_null(trio_fatal(trio, 3));
    cr_assert_not_null(trio_node(trio, 3));
    trio_free(trio);
}

/* Another data directory than the one that was added to the cluster is told so. */
Test(node, a_foreign_storage_ends_the_node)
{
    struct trio *trio = serving(1);
    trio_kill(trio, 2);
    trio_storage_change(trio, 2);
    trio_start(trio, 2);
    trio_run(trio, 100);
    cr_assert_not_null(trio_fatal(trio, 2));
    cr_assert_not_null(strstr(trio_fatal(trio, 2), "another storage id"));
    trio_free(trio);
}

/* ---- Changes of the map
 * ---------------------------------------------------------------------------------- */

static struct trio_result place(struct trio *trio, uint32_t node, uint64_t id,
                                Torc__Wire__MarkUsed *mark)
{
    Torc__Wire__Place message = TORC__WIRE__PLACE__INIT;
    message.id = id;
    if (mark != NULL) {
        message.change_case = TORC__WIRE__PLACE__CHANGE_MARK_USED;
        message.mark_used = mark;
    }
    uint64_t before = trio_result(trio)->count;
    trio_send(trio, node, WIRE_TYPE_PLACE, &message.base);
    trio_run(trio, 50);
    cr_assert_eq(trio_result(trio)->count, before + 1);
    cr_assert_eq(trio_result(trio)->id, id);
    return *trio_result(trio);
}

/* The mark of a node's replica of group 1, by its first life. */
static Torc__Wire__MarkUsed mark_of(struct trio *trio, uint32_t node)
{
    Torc__Wire__MarkUsed mark = TORC__WIRE__MARK_USED__INIT;
    mark.replica = shard_map_replica_on(&trio_map(trio)->groups[1], node)->id;
    mark.node = node;
    mark.incarnation = 1;
    const struct shard_map_node *found = shard_map_find_node(trio_map(trio), node);
    mark.storage = (ProtobufCBinaryData){.len = WIRE_ID_SIZE,
                                         .data = (uint8_t *)(uintptr_t)found->storage.bytes};
    return mark;
}

/* Only the leader of the placement group takes changes; another says who that is. */
Test(node, a_change_goes_to_the_leader)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 0);
    Torc__Wire__MarkUsed mark = mark_of(trio, 2);
    mark.incarnation = 2;
    struct trio_result result = place(trio, leader % TRIO_NODES + 1, 11, &mark);
    cr_assert_eq(result.status, TORC_NOT_LEADER);
    cr_assert_eq(result.leader_node, leader);
    cr_assert_eq(place(trio, leader, 12, &mark).status, TORC_EXISTS);
    mark.replica = 999;
    cr_assert_eq(place(trio, leader, 13, &mark).status, TORC_NOT_FOUND);
    cr_assert_eq(place(trio, leader, 14, NULL).status, TORC_UNSUPPORTED);
    trio_free(trio);
}

/* More changes at once than are kept: each has its answer. */
Test(node, a_flood_of_changes_is_answered)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 0);
    uint64_t before = trio_result(trio)->count;
    Torc__Wire__Place message = TORC__WIRE__PLACE__INIT;
    enum { FLOOD = 6000, FLOOD_STEP = 1000 };
    for (int i = 1; i <= FLOOD; i++) {
        trio_send(trio, leader, WIRE_TYPE_PLACE, &message.base);
        if (i % FLOOD_STEP == 0)
            trio_run(trio, 1);
    }
    trio_run(trio, 500);
    cr_assert_eq(trio_result(trio)->count, before + FLOOD);
    trio_free(trio);
}

/* The answer to a mark may get lost: the map says as much, and the same life may ask again. */
Test(node, replicas_are_built_although_answers_are_lost)
{
    struct trio *trio = trio_new(2);
    trio_run(trio, 50);
    trio_lose(trio, WIRE_TYPE_RESULT);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_run(trio, 1000);
    struct consensus_info info;
    for (uint32_t id = 1; id <= TRIO_NODES; id++) {
        for (uint32_t group = 0; group <= 2; group++)
            cr_assert(shard_node_replica_info(trio_node(trio, id), group, &info));
    }
    trio_free(trio);
}

/* A node that died before it could ask for its replicas asks in its next life. */
Test(node, replicas_are_asked_for_after_a_restart)
{
    struct trio *trio = trio_new(1);
    trio_run(trio, 50);
    trio_lose(trio, WIRE_TYPE_PLACE);
    trio_init(trio);
    trio_run(trio, 3000);
    uint32_t leader = trio_leader(trio, 0);
    cr_assert_neq(leader, 0);
    struct consensus_info info;
    uint32_t other = leader % TRIO_NODES + 1, third = other % TRIO_NODES + 1;
    /* It knows the newest map there is but for its own mark. */
    Torc__Wire__MarkUsed mark = mark_of(trio, third);
    cr_assert_eq(place(trio, leader, 1, &mark).status, TORC_OK);
    trio_run(trio, 1000);
    cr_assert(shard_node_replica_info(trio_node(trio, third), 1, &info));
    cr_assert_not(shard_node_replica_info(trio_node(trio, other), 1, &info));
    trio_kill(trio, other);
    trio_start(trio, other);
    trio_lose(trio, 0);
    trio_run(trio, 3000);
    cr_assert(shard_node_replica_info(trio_node(trio, other), 1, &info));
    trio_free(trio);
}

/* A replica that was used and whose log is gone is not built again: it has promised things. */
Test(node, a_used_replica_without_data_stays_away)
{
    struct trio *trio = serving(1);
    trio_kill(trio, 3);
    trio_disk_empty(trio, 3);
    trio_start(trio, 3);
    trio_run(trio, 5000);
    struct consensus_info info;
    cr_assert_not(shard_node_replica_info(trio_node(trio, 3), 0, &info));
    cr_assert_not(shard_node_replica_info(trio_node(trio, 3), 1, &info));
    const Torc__Wire__StatusReply *status = trio_status(trio, 3);
    cr_assert_not_null(status);
    cr_assert_eq(status->n_replicas, 2);
    for (size_t i = 0; i < status->n_replicas; i++) {
        cr_assert_eq(status->replicas[i]->group, i);
        cr_assert_not_null(strstr(status->replicas[i]->trouble, "replace it"));
    }
    trio_free(trio);
}

/* A replica whose birth is rotten is lost, and it alone: the node's others go on. */
Test(node, a_rotten_birth_costs_one_replica)
{
    struct trio *trio = serving(2);
    for (uint32_t group = 0; group < 2; group++) {
        trio_kill(trio, 3);
        trio_disk_rot(trio, 3, group);
        trio_start(trio, 3);
        trio_run(trio, 1000);
    }
    struct consensus_info info;
    cr_assert_not(shard_node_replica_info(trio_node(trio, 3), 0, &info));
    cr_assert_not(shard_node_replica_info(trio_node(trio, 3), 1, &info));
    cr_assert(shard_node_replica_info(trio_node(trio, 3), 2, &info));
    cr_assert_not(info.amnesiac);
    const Torc__Wire__StatusReply *status = trio_status(trio, 3);
    cr_assert_not_null(status);
    cr_assert_eq(status->n_replicas, 3);
    for (size_t i = 0; i < status->n_replicas; i++) {
        const Torc__Wire__ReplicaStatus *replica = status->replicas[i];
        cr_assert_eq(strstr(replica->trouble, "replace it") != NULL, replica->group != 2);
    }
    trio_free(trio);
}

/* ---- Catching up and looking
 * ----------------------------------------------------------------------------- */

/* What a replica missed while it was down is no longer in memory: it comes from the leader's log.
 */
Test(node, a_lagging_replica_is_taught_from_the_log)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 1), down = leader % TRIO_NODES + 1;
    trio_kill(trio, down);
    char value[200];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    struct trio_answer answer;
    for (uint64_t number = 1; number <= 200; number++) {
        struct wire_op op = put("key", value);
        cr_assert(trio_request(trio, leader, number, &op, 500, &answer));
        cr_assert_eq(answer.status, WIRE_DONE);
    }
    trio_start(trio, down);
    trio_run(trio, 5000);
    cr_assert_gt(trio_loads(trio), 0);
    struct consensus_info ahead, behind;
    cr_assert(shard_node_replica_info(trio_node(trio, leader), 1, &ahead));
    cr_assert(shard_node_replica_info(trio_node(trio, down), 1, &behind));
    cr_assert_geq(behind.applied, 200);
    cr_assert_eq(behind.applied, ahead.applied);
    trio_free(trio);
}

/* The status shows every replica as it is, and equal hashes at equal slots. */
Test(node, status_shows_what_is_there)
{
    struct trio *trio = serving(2);
    struct trio_answer answer;
    struct wire_op op = put("a", "one");
    uint32_t group = trio_group_of(trio, "a");
    cr_assert(trio_request(trio, trio_leader(trio, group), 1, &op, 500, &answer));
    trio_run(trio, 200);
    uint64_t hash = 0;
    for (uint32_t id = 1; id <= TRIO_NODES; id++) {
        const Torc__Wire__StatusReply *status = trio_status(trio, id);
        cr_assert_not_null(status);
        cr_assert_eq(status->node, id);
        cr_assert_eq(status->incarnation, 1);
        cr_assert(status->initialised);
        cr_assert_eq(status->storage.len, WIRE_ID_SIZE);
        cr_assert_eq(status->map_version, shard_node_map(trio_node(trio, id))->version);
        cr_assert_eq(status->n_replicas, 3);
        for (uint32_t g = 0; g < 3; g++) {
            const Torc__Wire__ReplicaStatus *replica = status->replicas[g];
            bool leads = trio_leader(trio, g) == id;
            cr_assert_eq(replica->group, g);
            cr_assert_eq(replica->role == CONSENSUS_LEADER, leads);
            cr_assert_eq(replica->serving, leads);
            cr_assert_str_empty(replica->trouble);
            cr_assert_eq(replica->applied, replica->chosen);
            if (g != group)
                continue;
            cr_assert(hash == 0 || hash == replica->state_hash);
            hash = replica->state_hash;
            cr_assert_gt(replica->clock, 0);
            cr_assert_gt(replica->records_bytes, 0);
        }
    }
    trio_free(trio);
}

/* A requester that lost all it sent says how far it counted, and has its credit again. */
Test(node, a_greeting_renews_credit)
{
    struct trio *trio = serving(1);
    Torc__Wire__Hello hello = TORC__WIRE__HELLO__INIT;
    hello.group = 1;
    uint32_t leader = trio_leader(trio, 1);
    const Torc__Wire__Welcome *welcome = trio_hello(trio, leader, &hello);
    cr_assert_not_null(welcome);
    cr_assert_eq(welcome->credit, 128);
    cr_assert_eq(welcome->leader_node, leader);
    cr_assert_gt(welcome->clock, 0);
    hello.sequence = 128;
    welcome = trio_hello(trio, leader, &hello);
    cr_assert_eq(welcome->credit, 256);
    hello.sequence = UINT64_MAX - 1;
    welcome = trio_hello(trio, leader, &hello);
    cr_assert_eq(welcome->credit, UINT64_MAX);
    trio_free(trio);
}

/* A group that wrote nothing for a while tells requesters what time it is now, not when it wrote
 * last: else their last times would have passed before they arrive. */
Test(node, an_idle_leader_says_the_time)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 1);
    Torc__Wire__Hello hello = TORC__WIRE__HELLO__INIT;
    hello.group = 1;
    uint64_t before = trio_hello(trio, leader, &hello)->stamp;
    trio_run(trio, 20000);
    const Torc__Wire__Welcome *welcome = trio_hello(trio, leader, &hello);
    cr_assert_geq(base_hlc_to_ms(welcome->stamp) - base_hlc_to_ms(before), 20000);
    cr_assert_lt(base_hlc_to_ms(welcome->clock), base_hlc_to_ms(before) + 1000);
    welcome = trio_hello(trio, leader % TRIO_NODES + 1, &hello);
    cr_assert_eq(welcome->stamp, 0);
    trio_free(trio);
}

/* Clients read a group's rows where it is led, and nowhere else. */
Test(node, rows_are_served_where_their_group_is_led)
{
    uint8_t key[SHARD_KEY_DATA_SIZE + 1], state[SHARD_KEY_STATE_SIZE];
    struct trio *trio = serving(2);
    uint32_t leader = trio_leader(trio, 2);
    shard_key_state_write(state, 2);
    for (uint32_t id = 1; id <= TRIO_NODES; id++) {
        const struct shard_node *node = trio_node(trio, id);
        for (uint32_t group = 0; group < 4; group++) {
            shard_key_data_write(key, group, 7, base_bytes_text("k"));
            bool leads = (group == 1 || group == 2) && trio_leader(trio, group) == id;
            cr_assert_eq(shard_node_serves_row(node, base_bytes_of(key, sizeof(key))), leads);
        }
        cr_assert_not(shard_node_serves_row(node, base_bytes_of(state, sizeof(state))));
    }
    trio_kill(trio, leader);
    cr_assert(trio_run_until_serving(trio, 2000));
    shard_key_data_write(key, 2, 7, base_bytes_text("k"));
    cr_assert(shard_node_serves_row(trio_node(trio, trio_leader(trio, 2)),
                                    base_bytes_of(key, sizeof(key))));
    trio_free(trio);
}

/* A node that stops in order hands over what it leads. */
Test(node, draining_hands_over)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 1);
    trio_drain(trio, leader);
    cr_assert(!shard_node_is_drained(trio_node(trio, leader)));
    for (int i = 0; i < 500 && !shard_node_is_drained(trio_node(trio, leader)); i++)
        trio_run(trio, 1);
    cr_assert(shard_node_is_drained(trio_node(trio, leader)));
    cr_assert(trio_run_until_serving(trio, 1000));
    cr_assert_neq(trio_leader(trio, 1), leader);
    trio_free(trio);
}

/* The last one alive has nobody to hand over to, and stops all the same. */
Test(node, draining_alone_does_not_wait)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 1);
    for (uint32_t id = 1; id <= TRIO_NODES; id++) {
        if (id != leader)
            trio_kill(trio, id);
    }
    trio_run(trio, 200);
    trio_drain(trio, leader);
    trio_run(trio, 1000);
    cr_assert(shard_node_is_drained(trio_node(trio, leader)));
    trio_free(trio);
}
