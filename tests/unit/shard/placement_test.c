#include "shard/placement.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/group_rig.h"

enum { NODES = 3 };

/* The placement group in its rig. */
struct bench {
    struct rig rig;
    struct shard_placement *placement;
    struct shard_map map;
};

static void lead(struct rig *rig)
{
    struct bench *bench = rig->context;
    shard_placement_lead(bench->placement);
}

static void map_init(struct shard_map *map, const struct base_allocator *allocator)
{
    shard_map_init(map, allocator);
    shard_map_reserve(map, NODES, 2, 1);
    map->version = 1;
    map->read_mode = CONSENSUS_READ_QUORUM;
    map->limits = (struct wire_limits){64, 1024, 4096};
    map->next_replica = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        map->nodes[i] = (struct shard_map_node){.id = i + 1, .storage.bytes = {(uint8_t)(i + 1)}};
        snprintf(map->nodes[i].address, SHARD_ADDRESS_SIZE, "tcp://127.0.0.1:%u", 7001 + i);
    }
    for (uint32_t g = 0; g < 2; g++) {
        map->groups[g] = (struct shard_map_group){
            .id = g, .consensus = SHARD_CONSENSUS_PAXOS, .replica_count = NODES};
        for (uint32_t i = 0; i < NODES; i++)
            map->groups[g].replicas[i] = (struct shard_map_replica){
                .id = map->next_replica++, .node = i + 1, .voter = true, .used = g == 0};
    }
    for (uint32_t vnode = 0; vnode < 2; vnode++) {
        map->owners[vnode] = 1;
        map->epochs[vnode] = 1;
    }
    cr_assert_null(shard_map_flaw(map));
}

static void propose(struct bench *bench, struct base_bytes entry)
{
    struct base_buffer *value = base_buffer_copy(&bench->rig.pool, entry);
    cr_assert_eq(shard_group_propose(bench->rig.group, value, bench->rig.now_ms), TORC_OK);
    base_buffer_unref(value);
    rig_run(&bench->rig, 10);
}

static void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    rig_init(&bench->rig, 8 << 20, 0 /* lease */);
    cr_assert_eq(shard_placement_new(bench->rig.kv, &bench->rig.pool, bench->rig.allocator,
                                     &bench->placement),
                 TORC_OK);
    rig_start(&bench->rig, SHARD_PLACEMENT_GROUP, &shard_placement_state, bench->placement);
    shard_placement_attach(bench->placement, bench->rig.group);
    bench->rig.context = bench;
    bench->rig.lead = lead;
    map_init(&bench->map, bench->rig.allocator);
}

/* It leads, and the first map is its first value. */
static struct bench *bench_begin(void)
{
    static struct bench bench; /* Each test is a process. */
    bench_init(&bench);
    rig_lead(&bench.rig);
    struct base_bytes first;
    shard_placement_first_entry(&bench.map, bench.rig.allocator, &first);
    propose(&bench, first);
    base_free(bench.rig.allocator, (void *)(uintptr_t)first.data, first.size);
    cr_assert_eq(shard_placement_map(bench.placement)->version, 1);
    return &bench;
}

static void bench_end(struct bench *bench)
{
    rig_stop(&bench->rig);
    shard_placement_free(bench->placement);
    shard_map_fini(&bench->map);
    rig_fini(&bench->rig);
}

static enum torc_status change(struct bench *bench, uint64_t id, Torc__Wire__MarkUsed *mark)
{
    Torc__Wire__Place place = TORC__WIRE__PLACE__INIT;
    place.id = id;
    place.change_case = TORC__WIRE__PLACE__CHANGE_MARK_USED;
    place.mark_used = mark;
    uint8_t packed[256];
    size_t size = torc__wire__place__pack(&place, packed);
    return shard_placement_change(bench->placement, 9 /* route */, id, base_bytes_of(packed, size),
                                  bench->rig.now_ms);
}

/* The mark of the replica on a node, by a life of it. */
static Torc__Wire__MarkUsed mark_of(struct bench *bench, uint32_t node, uint32_t incarnation)
{
    Torc__Wire__MarkUsed mark = TORC__WIRE__MARK_USED__INIT;
    mark.replica = shard_map_replica_on(&bench->map.groups[1], node)->id;
    mark.node = node;
    mark.incarnation = incarnation;
    mark.storage = (ProtobufCBinaryData){.len = WIRE_ID_SIZE,
                                         .data = bench->map.nodes[node - 1].storage.bytes};
    return mark;
}

static struct shard_placement_result result_of(struct bench *bench)
{
    rig_run(&bench->rig, 10);
    struct shard_placement_result result = {.status = TORC_TIMEOUT}, none;
    cr_assert(shard_placement_next_result(bench->placement, &result));
    cr_assert_not(shard_placement_next_result(bench->placement, &none));
    cr_assert_eq(result.route, 9);
    return result;
}

static enum torc_status do_change(struct bench *bench, uint64_t id, Torc__Wire__MarkUsed mark)
{
    cr_assert_eq(change(bench, id, &mark), TORC_OK);
    struct shard_placement_result result = result_of(bench);
    cr_assert_eq(result.id, id);
    return result.status;
}

/* A replica is marked once, for its node's storage; the life that marked it may ask again, no other
 * may; each change of the map is a new version. */
Test(placement, a_replica_is_marked_for_one_life)
{
    struct bench *bench = bench_begin();
    const struct shard_map *map = shard_placement_map(bench->placement);
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 5);
    cr_assert_eq(do_change(bench, 1, mark), TORC_OK);
    cr_assert_eq(map->version, 2);
    cr_assert(map->groups[1].replicas[1].used);
    cr_assert_eq(map->groups[1].replicas[1].used_by, 5);
    cr_assert_eq(do_change(bench, 2, mark), TORC_OK);
    cr_assert_eq(do_change(bench, 3, mark_of(bench, 2, 6)), TORC_EXISTS);
    cr_assert_eq(do_change(bench, 4, mark_of(bench, 2, 0)), TORC_EXISTS);
    cr_assert_eq(map->version, 2);
    /* One that the first map called used belongs to no life. */
    mark = mark_of(bench, 1, 0);
    mark.replica = bench->map.groups[0].replicas[0].id;
    cr_assert_eq(do_change(bench, 5, mark), TORC_EXISTS);
    bench_end(bench);
}

/* Replica, node and storage must be those of the map. */
Test(placement, a_mark_must_fit_the_map)
{
    struct bench *bench = bench_begin();
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    mark.replica = 999;
    cr_assert_eq(do_change(bench, 1, mark), TORC_NOT_FOUND);
    mark = mark_of(bench, 2, 1);
    mark.node = 3;
    cr_assert_eq(do_change(bench, 2, mark), TORC_NOT_FOUND);
    mark = mark_of(bench, 2, 1);
    mark.storage.data = bench->map.nodes[0].storage.bytes;
    cr_assert_eq(do_change(bench, 3, mark), TORC_FOREIGN);
    mark = mark_of(bench, 2, 1);
    mark.storage.len = 3;
    cr_assert_eq(do_change(bench, 4, mark), TORC_FOREIGN);
    cr_assert_eq(shard_placement_map(bench->placement)->version, 1);
    bench_end(bench);
}

/* What is no change is answered as such; what is too large is not proposed. */
Test(placement, what_is_no_change_is_refused)
{
    struct bench *bench = bench_begin();
    cr_assert_eq(
        shard_placement_change(bench->placement, 9, 0, base_bytes_of(NULL, 0), bench->rig.now_ms),
        TORC_OK);
    cr_assert_eq(result_of(bench).status, TORC_UNSUPPORTED);
    static const uint8_t large[65537];
    cr_assert_eq(shard_placement_change(bench->placement, 9, 0, base_bytes_of(large, sizeof(large)),
                                        bench->rig.now_ms),
                 TORC_TOO_LARGE);
    bench_end(bench);
}

/* A full window says busy at once, and nothing comes later. */
Test(placement, a_full_window_is_busy)
{
    struct bench *bench = bench_begin();
    bench->rig.cut = true;
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    for (uint64_t id = 1; id <= RIG_WINDOW; id++)
        cr_assert_eq(change(bench, id, &mark), TORC_OK);
    cr_assert_eq(change(bench, 99, &mark), TORC_BUSY);
    bench->rig.cut = false;
    rig_run(&bench->rig, 300);
    struct shard_placement_result result;
    for (uint64_t id = 1; id <= RIG_WINDOW; id++) {
        cr_assert(shard_placement_next_result(bench->placement, &result));
        cr_assert_eq(result.id, id);
    }
    cr_assert_not(shard_placement_next_result(bench->placement, &result));
    bench_end(bench);
}

/* Results that nobody takes count against the bound. */
Test(placement, untaken_results_are_bounded)
{
    struct bench *bench = bench_begin();
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    for (uint64_t id = 1; id <= SHARD_PLACEMENT_PENDING_MAX; id++) {
        cr_assert_eq(change(bench, id, &mark), TORC_OK);
        rig_run(&bench->rig, 4);
    }
    cr_assert_eq(change(bench, 999, &mark), TORC_BUSY);
    struct shard_placement_result result;
    cr_assert(shard_placement_next_result(bench->placement, &result));
    cr_assert_eq(change(bench, 999, &mark), TORC_OK);
    bench_end(bench);
}

/* With leadership gone, what became of a change is not known. */
Test(placement, losing_leadership_is_unknown)
{
    struct bench *bench = bench_begin();
    bench->rig.cut = true;
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    cr_assert_eq(change(bench, 7, &mark), TORC_OK);
    rig_depose(&bench->rig);
    struct shard_placement_result result = result_of(bench);
    cr_assert_eq(result.id, 7);
    cr_assert_eq(result.status, TORC_UNKNOWN);
    cr_assert_eq(change(bench, 8, &mark), TORC_NOT_LEADER);
    bench_end(bench);
}

/* Another leader filled the slot: the change is not taken for done, in a new leadership neither. */
Test(placement, a_slot_of_another_leader_is_no_result)
{
    struct bench *bench = bench_begin();
    bench->rig.cut = true;
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    cr_assert_eq(change(bench, 7, &mark), TORC_OK);
    rig_run(&bench->rig, 1);
    /* The peers elect one of them; the group is taught what they chose in that slot. */
    bench->rig.peers_alive = true;
    rig_run(&bench->rig, 3000);
    bench->rig.cut = false;
    rig_run(&bench->rig, 1000);
    struct shard_placement_result result = result_of(bench);
    cr_assert_eq(result.id, 7);
    cr_assert_eq(result.status, TORC_UNKNOWN);
    cr_assert_not(shard_placement_map(bench->placement)->groups[1].replicas[1].used);
    bench_end(bench);
}

/* A result is shown only when the batch that it came from is in the state. */
Test(placement, results_wait_for_the_state)
{
    struct bench *bench = bench_begin();
    store_sim_kv_faults_set(bench->rig.kv, (struct store_sim_kv_faults){.write_busy_ppm = 1000000});
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    cr_assert_eq(change(bench, 7, &mark), TORC_OK);
    rig_run(&bench->rig, 20);
    struct shard_placement_result result;
    cr_assert_not(shard_placement_next_result(bench->placement, &result));
    store_sim_kv_faults_set(bench->rig.kv, (struct store_sim_kv_faults){0});
    cr_assert_eq(result_of(bench).status, TORC_OK);
    bench_end(bench);
}

/* The map, its slot and its hash are read back; a map that does not decode is damage. */
Test(placement, the_state_comes_back)
{
    struct bench *bench = bench_begin();
    cr_assert_eq(do_change(bench, 1, mark_of(bench, 2, 5)), TORC_OK);
    struct shard_placement *again;
    cr_assert_eq(shard_placement_new(bench->rig.kv, &bench->rig.pool, bench->rig.allocator, &again),
                 TORC_OK);
    cr_assert_eq(shard_placement_map(again)->version, 2);
    cr_assert_eq(shard_placement_map(again)->groups[1].replicas[1].used_by, 5);
    cr_assert_eq(shard_placement_applied(again), shard_placement_applied(bench->placement));
    cr_assert_eq(shard_placement_hash(again), shard_placement_hash(bench->placement));
    cr_assert_eq(shard_placement_flushed(again), 0);
    store_kv_flush(bench->rig.kv);
    cr_assert_eq(shard_placement_flushed(again), shard_placement_applied(again));
    shard_placement_free(again);
    struct store_batch *batch = store_batch_new(bench->rig.allocator);
    static const uint8_t map_key[] = {'g', 0, 0, 0, 0, 'm'};
    store_batch_put(batch, base_bytes_of(map_key, sizeof(map_key)), base_bytes_text("no map"));
    cr_assert_eq(store_kv_write(bench->rig.kv, batch), TORC_OK);
    store_batch_free(batch);
    cr_assert_eq(shard_placement_new(bench->rig.kv, &bench->rig.pool, bench->rig.allocator, &again),
                 TORC_DAMAGED);
    bench_end(bench);
}

/* Entries that no leader makes stop this replica, not the process. */
Test(placement, a_foreign_entry_stops_the_group)
{
    static const uint8_t no_place[] = {2, 0xff};
    const struct base_bytes entries[] = {base_bytes_text("x"), base_bytes_of(NULL, 0),
                                         base_bytes_of(no_place, sizeof(no_place))};
    for (size_t i = 0; i < 3; i++) {
        struct bench *bench = bench_begin();
        propose(bench, entries[i]);
        cr_assert_eq(shard_group_trouble(bench->rig.group), TORC_MALFORMED, "%zu", i);
        cr_assert_eq(shard_placement_leader_node(bench->placement), 0);
        bench_end(bench);
    }
}

/* There is one first map, and no change before it. */
Test(placement, a_second_first_map_stops_the_group)
{
    struct bench *bench = bench_begin();
    struct base_bytes first;
    shard_placement_first_entry(&bench->map, bench->rig.allocator, &first);
    propose(bench, first);
    base_free(bench->rig.allocator, (void *)(uintptr_t)first.data, first.size);
    cr_assert_eq(shard_group_trouble(bench->rig.group), TORC_MALFORMED);
    bench_end(bench);

    static struct bench empty;
    static const uint8_t place[] = {2};
    bench_init(&empty);
    rig_lead(&empty.rig);
    propose(&empty, base_bytes_of(place, sizeof(place)));
    cr_assert_eq(shard_group_trouble(empty.rig.group), TORC_MALFORMED);
    bench_end(&empty);
}

/* A change that is larger than any, or for which there is no memory, is refused at once. */
Test(placement, changes_are_bounded)
{
    struct bench *bench = bench_begin();
    static uint8_t large[65537];
    cr_assert_eq(shard_placement_change(bench->placement, 9, 1, base_bytes_of(large, 65537),
                                        bench->rig.now_ms),
                 TORC_TOO_LARGE);
    struct base_buffer *all = NULL;
    for (size_t size = 8 << 20; all == NULL; size -= 4096)
        all = base_buffer_new(&bench->rig.pool, size);
    cr_assert_eq(shard_placement_change(bench->placement, 9, 1, base_bytes_of(large, 65536),
                                        bench->rig.now_ms),
                 TORC_BUSY);
    base_buffer_unref(all);
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    cr_assert_eq(do_change(bench, 1, mark), TORC_OK);
    bench_end(bench);
}

/* Leadership came and went within a turn: the change in a slot that another leader filled is not
 * taken for done. */
Test(placement, another_change_in_the_slot_is_unknown)
{
    struct bench *bench = bench_begin();
    bench->rig.cut = true;
    Torc__Wire__MarkUsed mark = mark_of(bench, 2, 1);
    cr_assert_eq(change(bench, 7, &mark), TORC_OK);
    rig_run(&bench->rig, 1);
    bench->rig.lead = NULL;
    bench->rig.peers_alive = true;
    rig_run(&bench->rig, 3000);
    bench->rig.cut = false;
    rig_run(&bench->rig, 1000);
    struct shard_placement_result result = result_of(bench);
    cr_assert_eq(result.id, 7);
    cr_assert_eq(result.status, TORC_UNKNOWN);
    cr_assert_not(shard_placement_map(bench->placement)->groups[1].replicas[1].used);
    bench->rig.lead = lead;
    rig_run(&bench->rig, 10);
    struct shard_placement_result again;
    cr_assert_not(shard_placement_next_result(bench->placement, &again));
    bench_end(bench);
}
