#include "shard/node.h"

#include <criterion/criterion.h>
#include <stdio.h>

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

/* The same map again changes nothing; another is refused. */
Test(node, init_twice_is_a_no_op)
{
    struct trio *trio = trio_new(1);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    uint64_t version = shard_node_map(trio_node(trio, 1))->version;
    cr_assert_geq(version, 4);
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
