#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shard/node.h"
#include "tests/lib/trio.h"

/* Requests over several groups, through whole nodes: logs on disks, consensus, messages. */

enum { GROUPS = 3, KEY_SIZE = 8 };

/* A key of each group. */
struct keys {
    char names[GROUPS][KEY_SIZE];
};

static struct keys keys_of(struct trio *trio, const char *prefix)
{
    struct keys keys;
    for (uint32_t group = 1; group <= GROUPS; group++) {
        char *name = keys.names[group - 1];
        unsigned i = 0;
        do
            snprintf(name, KEY_SIZE, "%s%u", prefix, i++);
        while (trio_group_of(trio, name) != group);
    }
    return keys;
}

static struct trio *serving(void)
{
    struct trio *trio = trio_new(GROUPS);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_run(trio, 400);
    return trio;
}

static struct wire_op put(const char *key, const char *value)
{
    return (struct wire_op){
        .type = WIRE_OP_PUT, .key = base_bytes_text(key), .value = base_bytes_text(value)};
}

static struct wire_op add(const char *key, int64_t delta)
{
    return (struct wire_op){.type = WIRE_OP_ADD, .key = base_bytes_text(key), .a = (uint64_t)delta};
}

/* Asks the leader of the first key's group again and again, as a router does, until it is done. */
static void ask_until_done(struct trio *trio, uint64_t number, const struct wire_op *ops,
                           uint16_t count, const char *first)
{
    struct trio_answer answer = {0};
    for (unsigned i = 0; i < 60; i++) {
        uint32_t leader = trio_leader(trio, trio_group_of(trio, first));
        if (leader == 0)
            trio_run(trio, 100);
        else if (trio_request_ops(trio, leader, number, ops, count, 500, &answer) &&
                 answer.status == WIRE_DONE && answer.number == number)
            return;
    }
    cr_assert_fail("request %u is never done", (unsigned)number);
}

static void expect(struct trio *trio, uint64_t number, const char *key, const char *value)
{
    struct wire_op get = {.type = WIRE_OP_GET, .key = base_bytes_text(key)};
    struct trio_answer answer = {0};
    for (unsigned i = 0; i < 40 && answer.status != WIRE_DONE; i++) {
        uint32_t leader = trio_leader(trio, trio_group_of(trio, key));
        if (leader == 0 || !trio_request(trio, leader, number + i, &get, 500, &answer))
            trio_run(trio, 100);
    }
    cr_assert_eq(answer.status, WIRE_DONE);
    cr_assert_eq(answer.size, strlen(value));
    cr_assert_eq(memcmp(answer.bytes, value, answer.size), 0);
}

/* Three groups, one request: all of it is there, and a copy of the request is answered alike. */
Test(node_txn, three_groups_at_once)
{
    struct trio *trio = serving();
    struct keys keys = keys_of(trio, "k");
    struct wire_op ops[GROUPS];
    for (unsigned i = 0; i < GROUPS; i++)
        ops[i] = put(keys.names[i], "new");
    ask_until_done(trio, 1, ops, GROUPS, keys.names[0]);
    ask_until_done(trio, 1, ops, GROUPS, keys.names[0]);
    for (unsigned i = 0; i < GROUPS; i++)
        expect(trio, 100 + 100 * i, keys.names[i], "new");
    trio_run(trio, 1000);
    cr_assert_lt(trio_sent(trio, WIRE_TYPE_TRANSACTION), 40); /* It has come to its end. */
    trio_free(trio);
}

/* Whichever node dies in the middle of it, it is done once, everywhere, and no lock is left. */
static void survives(uint32_t victim_group, unsigned after_ms)
{
    struct trio *trio = serving();
    struct keys keys = keys_of(trio, "k");
    struct wire_op ops[GROUPS];
    struct trio_answer answer;
    for (unsigned i = 0; i < GROUPS; i++)
        ops[i] = add(keys.names[i], 5);
    uint32_t victim = trio_leader(trio, victim_group);
    uint32_t leader = trio_leader(trio, trio_group_of(trio, keys.names[0]));
    (void)trio_request_ops(trio, leader, 1, ops, GROUPS, 0, &answer);
    trio_run(trio, after_ms);
    trio_kill(trio, victim);
    ask_until_done(trio, 1, ops, GROUPS, keys.names[0]);
    trio_start(trio, victim);
    trio_run(trio, 1500);
    for (unsigned i = 0; i < GROUPS; i++)
        expect(trio, 100 + 100 * i, keys.names[i], "5");
    for (unsigned i = 0; i < GROUPS; i++) {
        struct wire_op op = add(keys.names[i], 1);
        ask_until_done(trio, 1000 + i, &op, 1, keys.names[i]);
    }
    trio_free(trio);
}

Test(node_txn, a_leader_dies_in_the_middle)
{
    for (uint32_t group = 1; group <= GROUPS; group++) {
        for (unsigned ms = 0; ms <= 6; ms++)
            survives(group, ms);
    }
}

/* Request i takes one from a key and gives it to another one of another group. */
static void transfer(const struct keys *keys, unsigned i, struct wire_op ops[2])
{
    ops[0] = add(keys->names[i % GROUPS], -1);
    ops[1] = add(keys->names[(i + 1 + i / 7 % 2) % GROUPS], 1);
}

/* Many requests on a few keys of several groups, from all ends at once: what one takes another one
 * gets, whatever came first and whoever died meanwhile. */
static void transfers(bool deadly)
{
    enum { COUNT = 60 };
    struct trio *trio = serving();
    struct keys keys = keys_of(trio, "k");
    struct trio_answer answer;
    struct wire_op ops[2];
    for (unsigned i = 0; i < COUNT; i++) {
        uint32_t leader = trio_leader(trio, i % GROUPS + 1);
        transfer(&keys, i, ops);
        if (leader == 0)
            trio_run(trio, 50);
        else
            (void)trio_request_ops(trio, leader, 1 + i, ops, 2, i % 3, &answer);
        if (deadly && leader != 0 && i % 15 == 14) {
            trio_kill(trio, leader);
            trio_run(trio, 20 * (i % 4));
            trio_start(trio, leader);
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        transfer(&keys, i, ops);
        ask_until_done(trio, 1 + i, ops, 2, keys.names[i % GROUPS]);
    }
    trio_run(trio, 2000);
    int64_t sum = 0;
    for (unsigned i = 0; i < GROUPS; i++) {
        struct shard_machine_info info;
        struct wire_op zero = add(keys.names[i], 0);
        uint32_t leader = trio_leader(trio, i + 1);
        cr_assert(trio_request(trio, leader, 1000 + i, &zero, 2000, &answer));
        cr_assert_eq(answer.status, WIRE_DONE);
        sum += (int64_t)answer.value_number;
        cr_assert(shard_node_machine_info(trio_node(trio, leader), i + 1, &info));
        cr_assert_eq(info.txn_prepared + info.txn_unfinished, 0);
    }
    cr_assert_eq(sum, 0);
    trio_free(trio);
}

Test(node_txn, nothing_is_lost_between_groups)
{
    transfers(false);
}

Test(node_txn, nothing_is_lost_when_leaders_die)
{
    transfers(true);
}

/* A request of one group that meets a lock waits for it and is then done; it is not lost. */
Test(node_txn, others_wait_for_locks)
{
    struct trio *trio = serving();
    struct keys keys = keys_of(trio, "k");
    struct trio_answer answer;
    struct wire_op ops[] = {put(keys.names[0], "1"), put(keys.names[1], "1")};
    uint32_t leader = trio_leader(trio, 1);
    /* The second group's votes do not come: its leader is cut off. */
    uint32_t other = trio_leader(trio, 2);
    trio_lose(trio, WIRE_TYPE_TRANSACTION);
    (void)trio_request_ops(trio, leader, 1, ops, 2, 50, &answer);
    struct wire_op op = put(keys.names[0], "2");
    bool answered = trio_request(trio, leader, 2, &op, 200, &answer);
    cr_assert(leader == other || !answered || answer.number != 2);
    trio_lose(trio, 0);
    ask_until_done(trio, 2, &op, 1, keys.names[0]);
    ask_until_done(trio, 1, ops, 2, keys.names[0]);
    expect(trio, 100, keys.names[0], "2");
    expect(trio, 200, keys.names[1], "1");
    trio_free(trio);
}
