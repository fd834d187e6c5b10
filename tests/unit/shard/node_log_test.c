/* What a node tells its log: when entries may go, what happens when too many must, and what the
 * status says of a replica that lost touch or has no room. */
#include <criterion/criterion.h>
#include <string.h>

#include "shard/node.h"
#include "store/sim_kv.h"
#include "tests/lib/trio.h"

enum { GROUP = 1, LARGE = 1 << 30 /* The log_size_max of a trio. */ };

static uint64_t number;

static struct trio *serving(void)
{
    struct trio *trio = trio_new(1);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_run(trio, 400);
    return trio;
}

static bool put(struct trio *trio, const char *value)
{
    struct trio_answer answer;
    struct wire_op op = {
        .type = WIRE_OP_PUT, .key = base_bytes_text("key"), .value = base_bytes_text(value)};
    return trio_request(trio, trio_leader(trio, GROUP), ++number, &op, 500, &answer) &&
           answer.status == WIRE_DONE;
}

static void put_many(struct trio *trio, unsigned count, const char *value)
{
    for (unsigned i = 0; i < count; i++)
        cr_assert(put(trio, value));
}

static struct consensus_info info_of(struct trio *trio, uint32_t node)
{
    struct consensus_info info;
    cr_assert(shard_node_replica_info(trio_node(trio, node), GROUP, &info));
    return info;
}

static void flush_all(struct trio *trio)
{
    for (uint32_t node = 1; node <= TRIO_NODES; node++) {
        if (trio_node(trio, node) != NULL)
            store_kv_flush(trio_kv(trio, node));
    }
}

/* The data replica as a node's status shows it. */
static const Torc__Wire__ReplicaStatus *replica_status(struct trio *trio, uint32_t node)
{
    const Torc__Wire__StatusReply *status = trio_status(trio, node);
    cr_assert_not_null(status);
    size_t at = 0;
    while (at < status->n_replicas && status->replicas[at]->group != GROUP)
        at++;
    cr_assert_lt(at, status->n_replicas);
    return status->replicas[at];
}

/* Entries go when they are in the flushed state, not before. */
Test(node_log, what_is_not_flushed_stays)
{
    struct trio *trio = serving();
    put_many(trio, 20, "value");
    trio_run(trio, 2000);
    for (uint32_t node = 1; node <= TRIO_NODES; node++)
        cr_assert_eq(trio_trimmed(trio, node, GROUP), 0);
    uint64_t applied = info_of(trio, 1).applied;
    flush_all(trio);
    trio_run(trio, 2000);
    for (uint32_t node = 1; node <= TRIO_NODES; node++)
        cr_assert_geq(trio_trimmed(trio, node, GROUP), applied - 1); /* The last has no mark yet. */
    trio_free(trio);
}

/* Nor do those that a voter lacks, for as long as the log has room. */
Test(node_log, what_a_voter_lacks_stays)
{
    struct trio *trio = serving();
    uint32_t leader = trio_leader(trio, GROUP), down = leader % TRIO_NODES + 1;
    put_many(trio, 20, "value");
    trio_run(trio, 300);
    uint64_t had = info_of(trio, down).applied;
    trio_kill(trio, down);
    put_many(trio, 100, "value");
    flush_all(trio);
    trio_run(trio, 5000);
    for (uint32_t node = 1; node <= TRIO_NODES; node++)
        cr_assert_leq(trio_trimmed(trio, node, GROUP), had);
    trio_free(trio);
}

/* The state is flushed when enough was logged; what a start replays counts, so that lives too short
 * for a flush do not make the replay longer and longer. */
Test(node_log, short_lives_flush_too)
{
    static char value[3500];
    struct trio *trio = serving();
    memset(value, 'v', sizeof(value) - 1);
    uint32_t follower = trio_leader(trio, GROUP) % TRIO_NODES + 1;
    for (int life = 0; life < 2; life++) {
        put_many(trio, 200, value); /* Two thirds of flush_bytes. */
        trio_run(trio, 300);
        if (life == 1)
            break;
        cr_assert_gt(store_sim_kv_unflushed_batches(trio_kv(trio, follower)), 200);
        trio_kill(trio, follower);
        trio_start(trio, follower);
        trio_run(trio, 1000);
    }
    cr_assert_lt(store_sim_kv_unflushed_batches(trio_kv(trio, follower)), 200);
    trio_free(trio);
}

/* Past log_size_max the oldest quarter of what only a lagging voter needs goes at a time, once for
 * each time that the log says how large it is. */
Test(node_log, a_large_log_loses_its_oldest_quarter)
{
    struct trio *trio = serving();
    uint32_t leader = trio_leader(trio, GROUP), down = leader % TRIO_NODES + 1;
    trio_kill(trio, down);
    put_many(trio, 100, "value");
    flush_all(trio);
    trio_run(trio, 1000);
    for (int round = 0; round < 3; round++) {
        uint64_t before = trio_trimmed(trio, leader, GROUP);
        uint64_t flushed = info_of(trio, leader).applied;
        if (before == 0)
            before = info_of(trio, leader).floor;
        shard_node_log_facts(trio_node(trio, leader), (uint64_t)LARGE + 1, 0, 0);
        trio_run(trio, 3000);
        uint64_t after = trio_trimmed(trio, leader, GROUP);
        cr_assert_eq(after, before + (flushed - before) / 4);
        cr_assert_eq(info_of(trio, leader).compacted, after);
    }
    shard_node_log_facts(trio_node(trio, leader), LARGE, 0, 0);
    uint64_t before = trio_trimmed(trio, leader, GROUP);
    trio_run(trio, 3000);
    cr_assert_eq(trio_trimmed(trio, leader, GROUP), before);
    trio_free(trio);
}

/* A voter that is away while a large log loses entries needs a rebuild, says since when, and holds
 * nobody up. One that was away for a moment does not: the oldest go first. */
Test(node_log, who_lost_touch_says_so)
{
    struct trio *trio = serving();
    uint32_t leader = trio_leader(trio, GROUP), down = leader % TRIO_NODES + 1;
    trio_kill(trio, down);
    put_many(trio, 100, "value");
    flush_all(trio);
    shard_node_log_facts(trio_node(trio, leader), (uint64_t)LARGE + 1, 0, 0);
    trio_run(trio, 1000);
    trio_start(trio, down);
    trio_run(trio, 3000);
    const Torc__Wire__ReplicaStatus *status = replica_status(trio, down);
    cr_assert_not_null(strstr(status->trouble, "needs a rebuild"), "'%s'", status->trouble);
    cr_assert_gt(status->trouble_since_ms, 0);
    cr_assert(info_of(trio, down).behind_compaction);
    put_many(trio, 300, "value"); /* More than a window. */
    cr_assert_eq(trio_leader(trio, GROUP), leader);
    status = replica_status(trio, leader);
    cr_assert_str_eq(status->trouble, "");
    trio_free(trio);
}

/* Should another leader still have the entries, it catches up, and nothing is wrong any more. */
Test(node_log, lost_touch_may_pass)
{
    struct trio *trio = serving();
    uint32_t leader = trio_leader(trio, GROUP), down = leader % TRIO_NODES + 1;
    trio_kill(trio, down);
    put_many(trio, 100, "value");
    store_kv_flush(trio_kv(trio, leader)); /* The third keeps all. */
    shard_node_log_facts(trio_node(trio, leader), (uint64_t)LARGE + 1, 0, 0);
    trio_run(trio, 1000);
    trio_start(trio, down);
    trio_run(trio, 2000);
    cr_assert_str_neq(replica_status(trio, down)->trouble, "");
    trio_drain(trio, leader);
    trio_run(trio, 5000);
    cr_assert_neq(trio_leader(trio, GROUP), 0);
    cr_assert_neq(trio_leader(trio, GROUP), leader);
    const Torc__Wire__ReplicaStatus *status = replica_status(trio, down);
    cr_assert_str_eq(status->trouble, "");
    cr_assert_eq(status->trouble_since_ms, 0);
    cr_assert_eq(info_of(trio, down).applied, info_of(trio, leader).applied);
    trio_free(trio);
}

/* Without room for the state nothing is answered and nothing lost; the status says why and since
 * when, and it goes on by itself when there is room. */
Test(node_log, a_full_disk_is_told_and_passes)
{
    struct trio *trio = serving();
    uint32_t leader = trio_leader(trio, GROUP);
    cr_assert(put(trio, "before"));
    store_sim_kv_faults_set(trio_kv(trio, leader),
                            (struct store_sim_kv_faults){.write_full = true});
    cr_assert_not(shard_node_is_full(trio_node(trio, leader)));
    cr_assert_not(put(trio, "after"));
    cr_assert(shard_node_is_full(trio_node(trio, leader)));
    const Torc__Wire__ReplicaStatus *status = replica_status(trio, leader);
    cr_assert_not_null(strstr(status->trouble, "no room"), "'%s'", status->trouble);
    uint64_t since_ms = status->trouble_since_ms;
    cr_assert_gt(since_ms, 0);
    trio_run(trio, 1000);
    cr_assert_eq(replica_status(trio, leader)->trouble_since_ms, since_ms);
    store_sim_kv_faults_set(trio_kv(trio, leader), (struct store_sim_kv_faults){0});
    trio_run(trio, 1000);
    cr_assert_not(shard_node_is_full(trio_node(trio, leader)));
    cr_assert_str_eq(replica_status(trio, leader)->trouble, "");
    struct trio_answer answer;
    struct wire_op op = {.type = WIRE_OP_GET, .key = base_bytes_text("key")};
    cr_assert(trio_request(trio, trio_leader(trio, GROUP), ++number, &op, 500, &answer));
    cr_assert_eq(answer.size, strlen("after"));
    cr_assert_eq(memcmp(answer.bytes, "after", answer.size), 0);
    trio_free(trio);
}
