/* What a node finds when it starts, and what it makes of it when that is not in order. */
#include <criterion/criterion.h>
#include <string.h>

#include "ring/token.h"
#include "shard/codec.h"
#include "shard/keys.h"
#include "shard/node.h"
#include "tests/lib/trio.h"

static uint64_t number;

static struct trio *serving(uint32_t group_count)
{
    struct trio *trio = trio_new(group_count);
    trio_run(trio, 50);
    trio_init(trio);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_run(trio, 400);
    return trio;
}

/* An operation that looks at the row that is there: a PUT without conditions does not. */
static bool append(struct trio *trio, const char *key)
{
    struct trio_answer answer;
    struct wire_op op = {
        .type = WIRE_OP_APPEND, .key = base_bytes_text(key), .value = base_bytes_text("value")};
    uint32_t leader = trio_leader(trio, trio_group_of(trio, key));
    return leader != 0 && trio_request(trio, leader, ++number, &op, 1000, &answer) &&
           answer.status == WIRE_DONE;
}

static void write_state(struct trio *trio, uint32_t node, struct base_bytes key, const char *value)
{
    struct counting counting;
    struct store_batch *batch = store_batch_new(counting_init(&counting));
    store_batch_put(batch, key, base_bytes_text(value));
    cr_assert_eq(store_kv_write(trio_kv(trio, node), batch), TORC_OK);
    store_batch_free(batch);
    counting_fini(&counting);
    store_kv_flush(trio_kv(trio, node));
}

static const char *trouble_of(struct trio *trio, uint32_t node, uint32_t group)
{
    const Torc__Wire__StatusReply *status = trio_status(trio, node);
    cr_assert_not_null(status);
    for (size_t i = 0; i < status->n_replicas; i++) {
        if (status->replicas[i]->group == group)
            return status->replicas[i]->trouble;
    }
    return "";
}

/* Settings with which no group could work are refused before there is a group. */
Test(node_start, timing_is_looked_at)
{
    struct trio *trio = trio_new(1);
    trio_kill(trio, 1);
    trio_config(trio)->timing.election_timeout_ms = 1;
    const char *text = trio_start_fails(trio, 1);
    cr_assert_not_null(text);
    cr_assert_not_null(strstr(text, "timing"));
    trio_config(trio)->timing.election_timeout_ms = 300;
    trio_config(trio)->timing.message_bytes_max = (size_t)1 << 40;
    cr_assert_not_null(trio_start_fails(trio, 1));
    trio_config(trio)->timing.message_bytes_max = 1 << 20;
    cr_assert_null(trio_start_fails(trio, 1));
    trio_free(trio);
}

/* The record that the replica lives here says of a group that it lives elsewhere. */
static void move_birth(struct trio *trio, uint32_t node, uint32_t group)
{
    struct base_bytes payload = trio_disk_birth(trio, node, group), moved;
    struct counting counting;
    struct shard_birth birth;
    cr_assert_eq(shard_codec_birth_decode(payload, counting_init(&counting), &birth), TORC_OK);
    for (uint32_t i = 0; i < birth.group.replica_count; i++) {
        if (birth.group.replicas[i].node == node)
            birth.group.replicas[i].node = 9;
    }
    shard_codec_birth_encode(&birth, &counting.allocator, &moved);
    cr_assert_eq(moved.size, payload.size);
    memcpy((void *)(uintptr_t)payload.data, moved.data, moved.size);
    base_free(&counting.allocator, (void *)(uintptr_t)moved.data, moved.size);
    shard_birth_fini(&birth);
    counting_fini(&counting);
}

/* A birth record or a state that does not decode, or a birth elsewhere, is no torn write: the node
 * does not start. */
Test(node_start, what_does_not_decode_ends_it)
{
    for (int what = 0; what < 4; what++) {
        struct trio *trio = serving(1);
        trio_kill(trio, 3);
        uint8_t key[SHARD_KEY_STATE_SIZE];
        struct base_bytes birth = trio_disk_birth(trio, 3, 1);
        if (what < 2) {
            shard_key_state_write(key, (uint32_t)what);
            write_state(trio, 3, base_bytes_of(key, sizeof(key)), "no state");
        } else if (what == 2) {
            move_birth(trio, 3, 1);
        } else {
            memset((void *)(uintptr_t)birth.data, 0xff, birth.size);
        }
        const char *text = trio_start_fails(trio, 3);
        cr_assert_not_null(text, "%d", what);
        cr_assert_not_null(strstr(text, "does not decode"));
        trio_free(trio);
    }
}

/* A replica whose log lost a record takes part in no vote, for ever; it learns and applies. What
 * befalls it later does not hide that. */
Test(node_start, a_damaged_log_votes_no_more)
{
    struct trio *trio = serving(1);
    cr_assert(append(trio, "a"));
    trio_run(trio, 100);
    uint32_t damaged = trio_leader(trio, 1) % TRIO_NODES + 1;
    trio_kill(trio, damaged);
    trio_disk_damage(trio, damaged, 1);
    trio_start(trio, damaged);
    trio_run(trio, 1000);
    struct consensus_info info;
    cr_assert(shard_node_replica_info(trio_node(trio, damaged), 1, &info));
    cr_assert(info.amnesiac);
    cr_assert_not_null(strstr(trouble_of(trio, damaged, 1), "never votes again"));
    cr_assert(append(trio, "b"));
    trio_run(trio, 200);
    struct consensus_info leaders;
    cr_assert(shard_node_replica_info(trio_node(trio, trio_leader(trio, 1)), 1, &leaders));
    cr_assert(shard_node_replica_info(trio_node(trio, damaged), 1, &info));
    cr_assert_eq(info.applied, leaders.applied);
    uint8_t key[SHARD_KEY_DATA_SIZE + 1];
    uint64_t token = ring_token(base_bytes_text("a"), 6);
    shard_key_data_write(key, 1, token, base_bytes_text("a"));
    write_state(trio, damaged, base_bytes_of(key, sizeof(key)), "no row");
    cr_assert(append(trio, "a"));
    trio_run(trio, 200);
    cr_assert(append(trio, "a"));
    trio_run(trio, 200);
    cr_assert(shard_node_replica_info(trio_node(trio, trio_leader(trio, 1)), 1, &leaders));
    cr_assert(shard_node_replica_info(trio_node(trio, damaged), 1, &info));
    cr_assert_lt(info.applied, leaders.applied, "it has stopped as well");
    cr_assert_not_null(strstr(trouble_of(trio, damaged, 1), "never votes again"));
    trio_free(trio);
}

/* A row that does not decode stops its replica, and nothing else; nor is it made good by a start.
 */
Test(node_start, a_state_that_does_not_decode_stops_its_replica)
{
    struct trio *trio = serving(2);
    uint32_t group = trio_group_of(trio, "a");
    uint32_t rotten = trio_leader(trio, group) % TRIO_NODES + 1;
    cr_assert(append(trio, "a"));
    trio_run(trio, 200);
    uint8_t key[SHARD_KEY_DATA_SIZE + 1];
    uint64_t token = ring_token(base_bytes_text("a"), 6);
    shard_key_data_write(key, group, token, base_bytes_text("a"));
    write_state(trio, rotten, base_bytes_of(key, sizeof(key)), "no row");
    cr_assert(append(trio, "a"));
    trio_run(trio, 200);
    cr_assert_not_null(strstr(trouble_of(trio, rotten, group), "it has stopped"));
    cr_assert_str_empty(trouble_of(trio, rotten, 3 - group));
    cr_assert(append(trio, "a"), "the others are a quorum");
    trio_free(trio);
}

/* A lease that is longer than the election time-out moves that: who stood earlier would be refused
 * anyway. */
Test(node_start, elections_wait_for_the_lease)
{
    struct trio *trio = trio_new(1);
    trio_run(trio, 50);
    struct counting counting;
    struct shard_map map;
    shard_map_init(&map, counting_init(&counting));
    shard_map_copy(&map, trio_map(trio));
    map.read_mode = CONSENSUS_READ_LEASE;
    map.lease_ms = 1000;
    trio_init_with(trio, &map);
    shard_map_fini(&map);
    counting_fini(&counting);
    cr_assert(trio_run_until_serving(trio, 10000));
    trio_run(trio, 400);
    cr_assert(append(trio, "a"));
    uint32_t leader = trio_leader(trio, 1);
    trio_kill(trio, leader);
    trio_run(trio, 900);
    cr_assert_eq(trio_leader(trio, 1), 0, "the lease of who died may run");
    cr_assert(trio_run_until_serving(trio, 10000));
    trio_free(trio);
}

/* The longest lease that an earlier life may have granted is waited for after a start. */
Test(node_start, the_longest_lease_of_an_earlier_life_is_waited_for)
{
    struct trio *trio = serving(1);
    for (uint32_t id = 1; id <= TRIO_NODES; id++)
        trio_kill(trio, id);
    trio_config(trio)->lease_max_ms = 4000;
    for (uint32_t id = 1; id <= TRIO_NODES; id++)
        trio_start(trio, id);
    trio_run(trio, 3900);
    cr_assert_eq(trio_leader(trio, 0), 0);
    cr_assert_eq(trio_leader(trio, 1), 0);
    cr_assert(trio_run_until_serving(trio, 5000));
    trio_free(trio);
}

/* Without the map that it kept for addresses a node speaks to nobody until its own state tells it
 * the map again; then it catches up. */
Test(node_start, a_lost_map_comes_back_from_the_state)
{
    struct trio *trio = serving(1);
    cr_assert(append(trio, "a"));
    trio_run(trio, 200);
    uint32_t node = trio_leader(trio, 1) % TRIO_NODES + 1;
    trio_kill(trio, node);
    static const uint8_t hint[] = {'m', 'm', 'a', 'p'};
    write_state(trio, node, base_bytes_of(hint, sizeof(hint)), "no map");
    cr_assert(append(trio, "a"));
    trio_start(trio, node);
    trio_run(trio, 2000);
    cr_assert_gt(shard_node_map(trio_node(trio, node))->version, 1);
    struct consensus_info info, leaders;
    cr_assert(shard_node_replica_info(trio_node(trio, node), 1, &info));
    cr_assert(shard_node_replica_info(trio_node(trio, trio_leader(trio, 1)), 1, &leaders));
    cr_assert_eq(info.applied, leaders.applied);
    trio_free(trio);
}

/* One that has lost the map in both places knows nobody: it stands for election before nobody, and
 * the others go on. */
Test(node_start, a_node_that_knows_nobody_disturbs_nobody)
{
    struct trio *trio = serving(1);
    uint32_t leader = trio_leader(trio, 1), node = leader % TRIO_NODES + 1;
    trio_kill(trio, node);
    trio_disk_rot(trio, node, 0);
    static const uint8_t hint[] = {'m', 'm', 'a', 'p'};
    write_state(trio, node, base_bytes_of(hint, sizeof(hint)), "no map");
    trio_start(trio, node);
    trio_run(trio, 3000);
    struct consensus_info info;
    cr_assert(shard_node_replica_info(trio_node(trio, node), 1, &info));
    cr_assert_eq(info.role, CONSENSUS_CANDIDATE);
    cr_assert_eq(trio_leader(trio, 1), leader);
    cr_assert(append(trio, "a"));
    trio_free(trio);
}

/* An older copy of the log is noticed also when the state beside it lost the map, which is kept
 * for addresses only: it has promised things that it forgot. */
Test(node_start, an_older_copy_without_its_map_ends_the_node)
{
    struct trio *trio = serving(1);
    trio_kill(trio, 3);
    trio_disk_save(trio, 3);
    trio_start(trio, 3);
    trio_run(trio, 1000);
    cr_assert(append(trio, "a"));
    trio_run(trio, 200);
    trio_kill(trio, 3);
    trio_disk_restore(trio, 3);
    static const uint8_t hint[] = {'m', 'm', 'a', 'p'};
    write_state(trio, 3, base_bytes_of(hint, sizeof(hint)), "no map");
    trio_start(trio, 3);
    trio_run(trio, 1000);
    cr_assert_not_null(trio_fatal(trio, 3));
    trio_free(trio);
}
