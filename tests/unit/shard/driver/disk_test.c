#include "shard/driver/disk.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/sim_device.h"
#include "tests/lib/counting.h"

/* The disk between a storage thread over a simulated device and a node that only notes what it is
 * told: struct shard_node is opaque to the disk, so this file defines one. */

enum {
    SEGMENT_SIZE = 8 << 20,
    BATCH_SIZE_MAX = 3 << 20,
    CAPACITY = 16 * SEGMENT_SIZE,
    POOL_SIZE = 32 << 20,
    REQUESTS_MAX = 4096,
    DEADLINE_MS = 10000,
    LOADS_MAX = 64,
};

struct loaded {
    uint32_t group, count;
    uint64_t first;
    bool whole; /* Slots in a row, each with its own bytes. */
};

struct shard_node {
    struct counting counting;
    const struct base_allocator *allocator;
    struct base_pool pool;
    struct store_sim_device *sim;
    struct store_device device;
    struct store_superblock superblock;
    struct store_log *log;
    struct store_thread *thread;
    struct shard_disk *disk;
    /* What the disk told. */
    uint64_t stored, batch;
    struct loaded loads[LOADS_MAX];
    size_t load_count;
    uint64_t facts, log_bytes;
};

static struct shard_node host;

/* The byte that fills a slot's value. */
static uint8_t filler(uint32_t group, uint64_t slot)
{
    return (uint8_t)(group * 31 + slot);
}

void shard_node_stored(struct shard_node *node, struct shard_log_batch *log, uint64_t batch,
                       uint64_t now_ms)
{
    (void)now_ms;
    cr_assert_geq(batch, node->batch);
    node->batch = batch;
    node->stored++;
    shard_log_batch_free(log, node->allocator);
    base_free(node->allocator, log, sizeof(*log));
}

void shard_node_loaded(struct shard_node *node, uint32_t group,
                       const struct consensus_entry *entries, uint32_t entry_count, uint64_t now_ms)
{
    (void)now_ms;
    struct loaded *loaded = &node->loads[node->load_count++ % LOADS_MAX];
    *loaded = (struct loaded){.group = group, .count = entry_count, .whole = true};
    loaded->first = entry_count > 0 ? entries[0].slot : 0;
    for (uint32_t i = 0; i < entry_count; i++) {
        const struct base_buffer *value = entries[i].value;
        bool good = entries[i].slot == loaded->first + i && entries[i].ballot.round == 7 &&
                    entries[i].origin.round == 3;
        if (entries[i].kind == CONSENSUS_VALUE)
            good = good && value != NULL && value->data[0] == filler(group, entries[i].slot) &&
                   value->data[value->size - 1] == filler(group, entries[i].slot);
        else
            good = good && value == NULL;
        loaded->whole = loaded->whole && good;
    }
}

void shard_node_log_facts(struct shard_node *node, uint64_t bytes, uint64_t batches, uint64_t syncs)
{
    (void)batches;
    (void)syncs;
    node->facts++;
    node->log_bytes = bytes;
}

/* ---- Set-up ---------------------------------------------------------------------------------- */

static void visit_record(void *context, const struct store_record *record)
{
    (void)context;
    (void)record;
}

static void visit_damaged(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    (void)context;
    (void)replica;
    cr_assert_fail("group %u slot %lu", group, (unsigned long)slot);
}

static uint64_t visit_flushed(void *context, uint32_t group)
{
    (void)context;
    (void)group;
    return 0;
}

/* Reads of the disk as it is, or with a bit of each block changed. */
static atomic_bool rotten;
static enum torc_status (*read_plainly)(void *context, uint64_t segment, uint64_t offset,
                                        void *buffer, size_t size);

static enum torc_status read_maybe_rotten(void *context, uint64_t segment, uint64_t offset,
                                          void *buffer, size_t size)
{
    enum torc_status status = read_plainly(context, segment, offset, buffer, size);
    for (size_t i = 100; rotten && i < size; i += 512)
        ((uint8_t *)buffer)[i] ^= 4;
    return status;
}

/* The log belongs to the storage thread, so it takes the system's memory; the disk's is counted. */
static void set_up_with(uint64_t capacity, size_t pool_size)
{
    memset(&host, 0, sizeof(host));
    host.allocator = counting_init(&host.counting);
    base_pool_init(&host.pool, host.allocator, pool_size);
    const struct base_allocator *allocator = base_allocator_system();
    host.sim = store_sim_device_new(
        &(struct store_sim_config){.sector_size = 512, .capacity_max = capacity}, allocator);
    host.device = store_sim_device_of(host.sim);
    rotten = false;
    read_plainly = host.device.read;
    host.device.read = read_maybe_rotten;
    host.superblock = (struct store_superblock){
        .node = 1, .feature_level = 1, .block_size = 512, .segment_size = SEGMENT_SIZE};
    cr_assert_eq(store_superblock_format(&host.device, &host.superblock), TORC_OK);
    const struct store_log_config config = {
        .batch_size_max = BATCH_SIZE_MAX, .spare_segments = 1, .slack_segments = 1};
    const struct store_log_visitor visitor = {
        .record = visit_record, .damaged = visit_damaged, .flushed = visit_flushed};
    struct store_log_damage damage;
    cr_assert_eq(store_log_open(&config, &host.device, allocator, &host.superblock, &visitor,
                                &damage, &host.log),
                 TORC_OK);
    cr_assert_eq(
        store_thread_start(host.log, &host.device, &host.superblock, REQUESTS_MAX, &host.thread),
        TORC_OK);
    host.disk = shard_disk_new(host.thread, &host.pool, host.allocator);
}

static void set_up(void)
{
    set_up_with(CAPACITY, POOL_SIZE);
}

/* Whatever is still under way is given back: the counting allocator and the pool assert it. Called
 * by each test at its end: a crash in Criterion's .fini does not fail the test. */
static void tear_down(void)
{
    shard_disk_free(host.disk, store_thread_stop(host.thread));
    base_pool_fini(&host.pool);
    counting_fini(&host.counting);
    store_log_close(host.log);
    store_sim_device_free(host.sim);
}

/* ---- What a node would do -------------------------------------------------------------------- */

static struct shard_log_batch *new_batch(void)
{
    return base_alloc_zero(host.allocator, sizeof(struct shard_log_batch));
}

static void add_replica(struct shard_log_batch *batch, uint32_t group)
{
    const struct store_record record = {
        .kind = STORE_RECORD_REPLICA, .group = group, .replica = group + 100};
    shard_log_batch_add(batch, host.allocator, &record, NULL);
}

static void add_entry(struct shard_log_batch *batch, uint32_t group, uint64_t slot,
                      enum consensus_entry_kind kind, size_t size)
{
    struct store_record record = {.kind = STORE_RECORD_ENTRY,
                                  .group = group,
                                  .replica = group + 100,
                                  .slot = slot,
                                  .ballot = {.round = 7},
                                  .origin = {.round = 3},
                                  .tag = (uint8_t)kind};
    struct base_buffer *value = NULL;
    if (kind == CONSENSUS_VALUE) {
        value = base_buffer_new(&host.pool, size);
        cr_assert_not_null(value);
        memset(value->data, filler(group, slot), size);
        record.payload = base_buffer_bytes(value);
    }
    shard_log_batch_add(batch, host.allocator, &record, value);
    base_buffer_unref(value);
}

static void submit_log(struct shard_log_batch *batch)
{
    const struct shard_node_ready ready = {.log = batch};
    shard_disk_submit(host.disk, &ready);
}

static void submit_load(uint32_t group, uint64_t first, uint64_t last)
{
    const struct shard_load load = {.group = group, .first = first, .last = last};
    const struct shard_node_ready ready = {.loads = &load, .load_count = 1};
    shard_disk_submit(host.disk, &ready);
}

/* Collects once, when there is something. */
static void collect(void)
{
    struct pollfd poll_fd = {.fd = store_thread_fd(host.thread), .events = POLLIN};
    cr_assert_eq(poll(&poll_fd, 1, DEADLINE_MS), 1, "the disk says nothing");
    cr_assert(shard_disk_collect(host.disk, &host, 1));
}

static void collect_stored(uint64_t count)
{
    while (host.stored < count)
        collect();
}

/* The answer to one load. */
static struct loaded load(uint32_t group, uint64_t first, uint64_t last)
{
    size_t before = host.load_count;
    submit_load(group, first, last);
    while (host.load_count == before)
        collect();
    cr_assert_eq(host.load_count, before + 1);
    cr_assert_eq(host.loads[before % LOADS_MAX].group, group);
    return host.loads[before % LOADS_MAX];
}

/* Slots first..last of a new group, in one batch each. */
static void write_slots(uint32_t group, uint64_t first, uint64_t last, size_t size)
{
    uint64_t stored = host.stored;
    for (uint64_t slot = first; slot <= last; slot++) {
        struct shard_log_batch *batch = new_batch();
        if (slot == first)
            add_replica(batch, group);
        add_entry(batch, group, slot, CONSENSUS_VALUE, size);
        submit_log(batch);
    }
    collect_stored(stored + last - first + 1);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

/* Every batch comes back once, in order, with a number that covers it. */
Test(shard_driver_disk, batches_come_back_durable, .init = set_up)
{
    write_slots(1, 1, 50, 100);
    cr_assert_eq(host.stored, 50);
    cr_assert_geq(host.batch, 1);
    cr_assert_not(shard_disk_is_full(host.disk));
    tear_down();
}

/* A load gives what was asked for, entries without a value too. */
Test(shard_driver_disk, a_range_is_loaded, .init = set_up)
{
    write_slots(1, 1, 10, 100);
    struct shard_log_batch *batch = new_batch();
    add_entry(batch, 1, 11, CONSENSUS_NOOP, 0);
    add_entry(batch, 1, 12, CONSENSUS_BARRIER, 0);
    submit_log(batch);
    collect_stored(11);
    struct loaded found = load(1, 4, 12);
    cr_assert(found.first == 4 && found.count == 9 && found.whole);
    found = load(1, 5, 5);
    cr_assert(found.first == 5 && found.count == 1 && found.whole);
    tear_down();
}

/* Nothing is loaded past a hole, the end, or of a group that is not there: an empty answer is one.
 */
Test(shard_driver_disk, a_hole_ends_a_load, .init = set_up)
{
    write_slots(1, 1, 3, 100);
    struct shard_log_batch *batch = new_batch();
    add_entry(batch, 1, 6, CONSENSUS_VALUE, 100);
    submit_log(batch);
    collect_stored(4);
    struct loaded found = load(1, 2, 6);
    cr_assert(found.first == 2 && found.count == 2 && found.whole);
    cr_assert_eq(load(1, 4, 6).count, 0);
    cr_assert_eq(load(1, 6, 100).count, 1);
    cr_assert_eq(load(9, 1, 1).count, 0);
    tear_down();
}

/* An answer is bounded in entries and in bytes. */
Test(shard_driver_disk, a_load_is_bounded, .init = set_up)
{
    write_slots(1, 1, 400, 10);
    write_slots(2, 1, 100, 20000);
    struct loaded found = load(1, 1, 400);
    cr_assert(found.first == 1 && found.count == 256 && found.whole);
    found = load(2, 1, 100);
    cr_assert(found.first == 1 && found.count == (1 << 20) / 20000 && found.whole);
    tear_down();
}

/* An entry that is larger than the bound comes alone. */
Test(shard_driver_disk, a_large_entry_comes_alone, .init = set_up)
{
    write_slots(1, 1, 3, 2 << 20);
    struct loaded found = load(1, 2, 3);
    cr_assert(found.first == 2 && found.count == 1 && found.whole);
    write_slots(2, 1, 3, 10); /* And those after it are bounded as ever. */
    cr_assert_eq(load(2, 1, 3).count, 3);
    tear_down();
}

/* Loads of several groups that come in one turn are answered each, in order. */
Test(shard_driver_disk, loads_wait_for_each_other, .init = set_up)
{
    for (uint32_t group = 1; group <= 3; group++)
        write_slots(group, 1, group + 1, 100);
    const struct shard_load loads[] = {{2, 1, 9}, {1, 1, 9}, {3, 2, 9}, {2, 3, 3}};
    const struct shard_node_ready ready = {.loads = loads, .load_count = 4};
    shard_disk_submit(host.disk, &ready);
    submit_load(1, 2, 2); /* While another is under way. */
    submit_load(3, 1, 1);
    while (host.load_count < 6)
        collect();
    cr_assert(host.loads[4].group == 1 && host.loads[4].first == 2 && host.loads[4].count == 1);
    cr_assert(host.loads[5].group == 3 && host.loads[5].first == 1 && host.loads[5].count == 1);
    const uint32_t counts[] = {3, 2, 3, 1};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(host.loads[i].group, loads[i].group);
        cr_assert_eq(host.loads[i].count, counts[i], "load %zu: %u", i, host.loads[i].count);
        cr_assert(host.loads[i].whole);
    }
    tear_down();
}

/* What was trimmed is not loaded, and what stands behind it is. */
Test(shard_driver_disk, a_trim_takes_away, .init = set_up)
{
    write_slots(1, 1, 10, 100);
    const struct shard_trim trim = {.group = 1, .slot = 5};
    const struct shard_node_ready ready = {.trims = &trim, .trim_count = 1};
    shard_disk_submit(host.disk, &ready);
    cr_assert_eq(load(1, 5, 6).count, 0);
    struct loaded found = load(1, 6, 10);
    cr_assert(found.first == 6 && found.count == 5 && found.whole);
    tear_down();
}

/* A group that cannot go on keeps its entries, in a log that another fills many times over. */
Test(shard_driver_disk, a_stuck_group_does_not_fill_the_disk, .init = set_up)
{
    write_slots(1, 1, 10, 1000);
    uint64_t stored = host.stored;
    for (uint64_t slot = 1; slot <= 3 * CAPACITY >> 20; slot++) {
        struct shard_log_batch *batch = new_batch();
        if (slot == 1)
            add_replica(batch, 2);
        add_entry(batch, 2, slot, CONSENSUS_VALUE, 1 << 20);
        const struct shard_trim trim = {.group = 2, .slot = slot - 1};
        const struct shard_node_ready ready = {.log = batch, .trims = &trim, .trim_count = 1};
        shard_disk_submit(host.disk, &ready);
        collect_stored(stored + slot);
        cr_assert_not(shard_disk_is_full(host.disk));
    }
    shard_disk_ask_facts(host.disk);
    while (host.facts == 0)
        collect();
    cr_assert_leq(host.log_bytes, CAPACITY / 2);
    struct loaded found = load(1, 1, 10);
    cr_assert(found.first == 1 && found.count == 10 && found.whole);
    tear_down();
}

/* When the pool has no room for all, fewer are given. */
Test(shard_driver_disk, a_small_pool_gives_fewer)
{
    set_up_with(CAPACITY, 64 << 10);
    for (uint64_t slot = 1; slot <= 8; slot++) {
        struct shard_log_batch *batch = new_batch();
        if (slot == 1)
            add_replica(batch, 1);
        add_entry(batch, 1, slot, CONSENSUS_VALUE, 12000);
        submit_log(batch);
        collect_stored(slot);
    }
    struct loaded found = load(1, 1, 8);
    cr_assert(found.first == 1 && found.count == 5 && found.whole, "%u entries", found.count);
    tear_down();
}

/* The log's facts are asked for once at a time. */
Test(shard_driver_disk, facts_are_told, .init = set_up)
{
    shard_disk_ask_facts(host.disk);
    shard_disk_ask_facts(host.disk);
    while (host.facts == 0)
        collect();
    cr_assert_geq(host.log_bytes, SEGMENT_SIZE);
    write_slots(1, 1, 1, 100);
    cr_assert_eq(host.facts, 1);
    shard_disk_ask_facts(host.disk);
    while (host.facts == 1)
        collect();
    tear_down();
}

/* A stop with everything under way loses no memory and tells nobody. */
Test(shard_driver_disk, a_stop_gives_everything_back, .init = set_up)
{
    write_slots(1, 1, 20, 1000);
    for (uint64_t slot = 21; slot <= 30; slot++) {
        struct shard_log_batch *batch = new_batch();
        add_entry(batch, 1, slot, CONSENSUS_VALUE, 1000);
        submit_log(batch);
        submit_load(1, slot - 20, slot);
    }
    shard_disk_ask_facts(host.disk);
    cr_assert_eq(host.stored, 20);
    cr_assert_eq(host.load_count, 0);
    tear_down();
}

/* A log without room says so, and the node hears of nothing that came after the last good write. */
Test(shard_driver_disk, a_full_log_is_told_as_such)
{
    FILE *said = tmpfile();
    cr_assert_not_null(said);
    base_log_open(BASE_LOG_INFO, fileno(said));
    set_up_with(3 * SEGMENT_SIZE, POOL_SIZE);
    struct shard_log_batch *first = new_batch();
    add_replica(first, 1);
    submit_log(first);
    collect_stored(1);
    for (uint64_t slot = 1; !shard_disk_is_full(host.disk); slot++) {
        cr_assert_leq(slot, 40);
        struct shard_log_batch *batch = new_batch();
        add_entry(batch, 1, slot, CONSENSUS_VALUE, 1 << 20);
        submit_log(batch);
        collect();
    }
    uint64_t stored = host.stored;
    cr_assert_gt(stored, 10);
    submit_load(1, 1, 1);
    collect();
    cr_assert_eq(host.stored, stored);
    cr_assert_eq(host.load_count, 0);
    char line[1024] = "";
    cr_assert_gt(pread(fileno(said), line, sizeof(line) - 1, 0), 0);
    cr_assert_not_null(strstr(line, "event=log_full"), "%s", line);
    cr_assert_not_null(strstr(line, "no room for a new segment"), "%s", line);
    tear_down();
}

/* A log that does not read back says so, and the node hears of nothing any more. */
Test(shard_driver_disk, a_log_that_does_not_read_back_is_told_as_such)
{
    FILE *said = tmpfile();
    cr_assert_not_null(said);
    base_log_open(BASE_LOG_INFO, fileno(said));
    set_up();
    write_slots(1, 1, 3, 2000);
    rotten = true;
    submit_load(1, 2, 3);
    while (!shard_disk_is_damaged(host.disk))
        collect();
    rotten = false;
    uint64_t stored = host.stored;
    struct shard_log_batch *batch = new_batch();
    add_entry(batch, 1, 4, CONSENSUS_VALUE, 10);
    submit_log(batch);
    collect();
    cr_assert_eq(host.stored, stored);
    cr_assert_eq(host.load_count, 0);
    cr_assert_not(shard_disk_is_full(host.disk));
    char line[1024] = "";
    cr_assert_gt(pread(fileno(said), line, sizeof(line) - 1, 0), 0);
    cr_assert_not_null(strstr(line, "event=log_read_failed"), "%s", line);
    cr_assert_not_null(strstr(line, "slot=2"), "%s", line);
    tear_down();
}
