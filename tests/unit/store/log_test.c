#include "store/log.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tests/lib/counting.h"
#include "tests/lib/log_disk.h"
#include "tests/lib/test_body.h"

enum { BLOCK_SIZE = 512, BLOCKS = 32, BATCH_SIZE_MAX = 6000 };

static struct counting counting;
static struct log_disk disk;
static uint8_t payload[16384];

static void set_up(void)
{
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31);
    log_disk_init(&disk, counting_init(&counting), BLOCK_SIZE, BLOCKS, BATCH_SIZE_MAX);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
}

static void tear_down(void)
{
    log_disk_fini(&disk);
    counting_fini(&counting);
}

static uint64_t append(struct store_record record)
{
    return log_disk_append(&disk, &record, 1);
}

static uint64_t append_entry(uint32_t group, uint64_t slot, size_t size)
{
    return append(log_record_entry(group, slot, 3, base_bytes_of(payload + slot, size)));
}

static enum torc_status reopen(void)
{
    log_disk_close(&disk);
    return log_disk_open(&disk);
}

static struct store_log_stats stats(void)
{
    struct store_log_stats stats;
    store_log_stats(disk.log, &stats);
    return stats;
}

static enum store_sim_fate lost(void *context)
{
    (void)context;
    return STORE_SIM_LOST;
}

/* What was appended is given back in order, batch numbers rise by one, and a power loss changes
 * nothing of it. */
TEST_BODY(log, appended_records_come_back, set_up, tear_down)
{
    cr_assert_eq(append(log_record_replica(0)), 1);
    cr_assert_eq(append(log_record_promise(0, 3)), 2);
    cr_assert_eq(append_entry(0, 1, 2000), 3);
    cr_assert_eq(append(log_record_mark(0, 1)), 4);
    log_disk_close(&disk);
    store_sim_device_power_loss(disk.sim, lost, NULL);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    cr_assert_eq(disk.record_count, 4);
    const struct log_model_group *group = &disk.model.groups[0];
    cr_assert_eq(group->replica, 100);
    cr_assert_eq(group->promise.round, 3);
    cr_assert_eq(group->mark, 1);
    cr_assert_eq(group->slots[1].payload_size, 2000);
    cr_assert_eq(append(log_record_promise(0, 4)), 5);
}

/* The newest record of a slot is read back and verified, from any segment. */
TEST_BODY(log, read_gives_the_newest_record_of_a_slot, set_up, tear_down)
{
    uint8_t buffer[4096];
    struct store_record record;
    append(log_record_replica(0));
    append_entry(0, 1, 3000);
    for (uint64_t slot = 2; slot < 10; slot++)
        append_entry(0, slot, 3000);
    append(log_record_learned(0, 1, base_bytes_of(payload + 5, 17)));
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(store_log_read(disk.log, 0, 1, buffer, sizeof buffer, &record), TORC_OK);
        cr_assert_eq(record.kind, STORE_RECORD_LEARNED);
        cr_assert(base_bytes_equal(record.payload, base_bytes_of(payload + 5, 17)));
        cr_assert_eq(store_log_read(disk.log, 0, 4, buffer, sizeof buffer, &record), TORC_OK);
        cr_assert_eq(record.ballot.round, 3);
        cr_assert(base_bytes_equal(record.payload, base_bytes_of(payload + 4, 3000)));
        cr_assert_eq(store_log_read(disk.log, 0, 4, buffer, 2999, &record), TORC_TOO_LARGE);
        cr_assert_eq(store_log_read(disk.log, 0, 10, buffer, sizeof buffer, &record),
                     TORC_NOT_FOUND);
        cr_assert_eq(store_log_read(disk.log, 1, 1, buffer, sizeof buffer, &record),
                     TORC_NOT_FOUND);
        cr_assert_eq(reopen(), TORC_OK);
    }
    uint64_t first;
    uint64_t last;
    cr_assert(store_log_range(disk.log, 0, &first, &last));
    cr_assert_eq(first, 1);
    cr_assert_eq(last, 9);
    cr_assert_not(store_log_range(disk.log, 1, &first, &last));
}

/* Rot under a record that is read says "damaged" and gives nothing. */
TEST_BODY(log, read_notices_rot, set_up, tear_down)
{
    uint8_t buffer[4096];
    struct store_record record;
    append(log_record_replica(0));
    append_entry(0, 1, 3000);
    /* Blocks: header, replica, then the entry. */
    cr_assert_eq(store_sim_device_flip(disk.sim, stats().position.segment, 8 * 512 * 4), TORC_OK);
    cr_assert_eq(store_log_read(disk.log, 0, 1, buffer, sizeof buffer, &record), TORC_DAMAGED);
}

/* An append larger than a batch becomes several, in order; a payload over the limit is refused. */
TEST_BODY(log, large_appends_are_split_and_too_large_ones_refused, set_up, tear_down)
{
    struct store_record records[5];
    uint64_t batch;
    append(log_record_replica(0));
    for (uint64_t slot = 1; slot <= 5; slot++)
        records[slot - 1] = log_record_entry(0, slot, 1, base_bytes_of(payload, 2500));
    cr_assert_eq(log_disk_append(&disk, records, 5), 4, "two, two and one");
    cr_assert_eq(store_log_payload_max(&disk.config), BATCH_SIZE_MAX - STORE_RECORD_HEADER_SIZE);
    records[0].payload = base_bytes_of(payload, BATCH_SIZE_MAX - STORE_RECORD_HEADER_SIZE + 1);
    cr_assert_eq(store_log_append(disk.log, records, 5, &batch), TORC_TOO_LARGE);
    cr_assert_eq(stats().position.batch, 4);
    records[0].payload.size--;
    cr_assert_eq(store_log_append(disk.log, records, 1, &batch), TORC_OK);
}

/* Trimming gives segments back: a log that is trimmed stays within a few of them for ever, and the
 * disk too. */
TEST_BODY(log, trimmed_log_stays_small, set_up, tear_down)
{
    append(log_record_replica(0));
    for (uint64_t slot = 1; slot <= 2000; slot++) {
        append(log_record_entry(0, slot, 3, base_bytes_of(payload, 900)));
        append(log_record_mark(0, slot));
        if (slot % 8 == 0)
            cr_assert_eq(store_log_trim(disk.log, 0, slot - 4), TORC_OK);
        cr_assert_leq(stats().segments, 6);
        cr_assert_leq(stats().spares, 3);
    }
    cr_assert_gt(stats().oldest, 100);
}

/* One group that cannot be trimmed does not keep the segments of the others: its entries are copied
 * forward, and are still there. */
TEST_BODY(log, stuck_group_does_not_fill_the_disk, set_up, tear_down)
{
    uint8_t buffer[4096];
    struct store_record record;
    append(log_record_replica(0));
    append(log_record_replica(1));
    append(log_record_promise(1, 7));
    for (uint64_t slot = 1; slot <= 6; slot++)
        append_entry(1, slot, 3000);
    append(log_record_mark(1, 2));
    for (uint64_t slot = 1; slot <= 1500; slot++) {
        append(log_record_entry(0, slot, 3, base_bytes_of(payload, 900)));
        if (slot % 8 == 0)
            cr_assert_eq(store_log_trim(disk.log, 0, slot), TORC_OK);
        cr_assert_leq(stats().segments, 8);
    }
    cr_assert_gt(stats().copied_records, 0);
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(disk.model.groups[1].promise.round, 7);
    cr_assert_eq(disk.model.groups[1].mark, 2);
    for (uint64_t slot = 1; slot <= 6; slot++) {
        cr_assert_eq(store_log_read(disk.log, 1, slot, buffer, sizeof buffer, &record), TORC_OK);
        cr_assert(base_bytes_equal(record.payload, base_bytes_of(payload + slot, 3000)));
    }
}

/* A promise that only accepts had recorded survives the trimming of those entries. */
TEST_BODY(log, promise_of_an_accept_outlives_the_entry, set_up, tear_down)
{
    append(log_record_replica(0));
    append(log_record_replica(1));
    append(log_record_entry(1, 1, 9, base_bytes_of(payload, 10)));
    cr_assert_eq(store_log_trim(disk.log, 1, 1), TORC_OK);
    uint64_t first = stats().oldest;
    for (uint64_t slot = 1; slot <= 60; slot++) {
        append(log_record_entry(0, slot, 3, base_bytes_of(payload, 2000)));
        cr_assert_eq(store_log_trim(disk.log, 0, slot), TORC_OK);
    }
    cr_assert_gt(stats().oldest, first);
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(disk.model.groups[1].slots[1].kind, 0, "the entry's segment is gone");
    cr_assert_eq(disk.model.groups[1].promise.round, 9);
}

/* A dropped replica's records keep nothing, and the id may be followed by another. */
TEST_BODY(log, dropped_replica_keeps_nothing, set_up, tear_down)
{
    append(log_record_replica(0));
    append_entry(0, 1, 3000);
    append(log_record_drop(0));
    cr_assert_eq(stats().needed_bytes, 0);
    struct store_record replica = log_record_replica(0);
    replica.replica = 900;
    append(replica);
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(disk.model.groups[0].replica, 900);
    cr_assert_eq(disk.model.groups[0].slots[1].kind, 0);
}

/* A rotten payload counts against its group alone; not at all below the flushed index; and is not
 * forgotten when the log goes on. */
TEST_BODY(log, rotten_payload_counts_against_its_group, set_up, tear_down)
{
    append(log_record_replica(0));
    append(log_record_replica(1));
    append_entry(0, 4, 3000);
    append_entry(1, 1, 100);
    uint64_t segment = stats().position.segment;
    cr_assert_eq(store_sim_device_flip(disk.sim, segment, 8 * 512 * 5), TORC_OK);
    for (int again = 0; again < 3; again++) {
        cr_assert_eq(reopen(), TORC_OK);
        cr_assert_eq(disk.damaged_count, 1);
        cr_assert_eq(disk.damaged_group, 0);
        cr_assert_eq(disk.damaged_slot, 4);
        cr_assert_eq(disk.model.groups[1].slots[1].payload_size, 100);
        append(log_record_promise(1, 20 + (uint64_t)again));
    }
    disk.flushed[0] = 4;
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(disk.damaged_count, 0);
    cr_assert_eq(disk.model.groups[0].promise.round, 3, "the accept's promise stands");
}

/* The same for a replica's own record: slot 0 is reported, and no flushed index excuses it. */
TEST_BODY(log, rotten_replica_record_counts_against_its_group, set_up, tear_down)
{
    struct store_record replica = log_record_replica(0);
    replica.payload = base_bytes_of(payload, 2000);
    append(replica);
    append(log_record_replica(1));
    append(log_record_promise(1, 3));
    cr_assert_eq(store_sim_device_flip(disk.sim, stats().position.segment, 8 * 512 * 3), TORC_OK);
    disk.flushed[0] = 100;
    for (int again = 0; again < 3; again++) {
        cr_assert_eq(reopen(), TORC_OK);
        cr_assert_eq(disk.damaged_count, 1);
        cr_assert_eq(disk.damaged_group, 0);
        cr_assert_eq(disk.damaged_slot, 0);
        cr_assert_eq(disk.model.groups[1].promise.round, 3);
    }
    append(log_record_drop(0));
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(stats().needed_bytes, STORE_RECORD_HEADER_SIZE, "only group 1's replica record");
}

/* A superblock put back from an older copy does not fit the log any more, and that is noticed. */
TEST_BODY(log, superblock_of_another_time_is_damage, set_up, tear_down)
{
    uint8_t old[STORE_SUPERBLOCK_SIZE];
    append(log_record_replica(0));
    cr_assert_eq(store_log_idle(disk.log), TORC_OK);
    cr_assert_eq(disk.device.superblock_read(disk.sim, 0, old), TORC_OK);
    for (uint64_t slot = 1; slot <= 100; slot++) {
        append(log_record_entry(0, slot, 3, base_bytes_of(payload, 3000)));
        cr_assert_eq(store_log_trim(disk.log, 0, slot), TORC_OK);
    }
    log_disk_close(&disk);
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++)
        cr_assert_eq(disk.device.superblock_write(disk.sim, copy, old), TORC_OK);
    cr_assert_eq(log_disk_open(&disk), TORC_DAMAGED);
}

/* Entries with rot that trimming would copy forward are copied as damage, never left out. */
TEST_BODY(log, copying_keeps_damage, set_up, tear_down)
{
    append(log_record_replica(0));
    append(log_record_replica(1));
    append_entry(1, 5, 3000);
    uint64_t segment = stats().position.segment;
    cr_assert_eq(store_sim_device_flip(disk.sim, segment, 8 * 512 * 5), TORC_OK);
    for (uint64_t slot = 1; slot <= 200; slot++) {
        append(log_record_entry(0, slot, 3, base_bytes_of(payload, 2000)));
        cr_assert_eq(store_log_trim(disk.log, 0, slot), TORC_OK);
    }
    cr_assert_gt(stats().oldest, segment);
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(disk.damaged_count, 1);
    cr_assert_eq(disk.damaged_group, 1);
    cr_assert_eq(disk.damaged_slot, 5);
}

/* A write that the disk lost or put elsewhere, though it said otherwise, is found: the log is
 * damaged, not short. */
TEST_BODY(log, lost_and_misdirected_writes_are_damage, set_up, tear_down)
{
    const enum store_sim_fault faults[] = {STORE_SIM_LOST_WRITE, STORE_SIM_MISDIRECTED};
    append(log_record_replica(0));
    log_disk_close(&disk);
    for (size_t i = 0; i < 2; i++) {
        struct log_disk faulty;
        log_disk_clone(&faulty, &disk);
        cr_assert_eq(log_disk_open(&faulty), TORC_OK);
        store_sim_device_inject(faulty.sim, faults[i], 0);
        struct store_record record = log_record_entry(0, 1, 1, base_bytes_of(payload, 40));
        log_disk_append(&faulty, &record, 1);
        record.slot = 2;
        log_disk_append(&faulty, &record, 1);
        log_disk_close(&faulty);
        cr_assert_eq(log_disk_open(&faulty), TORC_DAMAGED);
        cr_assert_eq(faulty.damage.batch, 2);
        log_disk_fini(&faulty);
    }
}

/* A misdirected write is found even when it was the last. */
TEST_BODY(log, misdirected_last_write_is_damage, set_up, tear_down)
{
    append(log_record_replica(0));
    store_sim_device_inject(disk.sim, STORE_SIM_MISDIRECTED, 0);
    append(log_record_promise(0, 9));
    cr_assert_eq(reopen(), TORC_DAMAGED);
    cr_assert_eq(disk.damage.flaw, STORE_LOG_BLOCK_ROTTEN);
}

/* A lost last write is found once the position has passed it. */
TEST_BODY(log, lost_write_below_the_position_is_damage, set_up, tear_down)
{
    append(log_record_replica(0));
    store_sim_device_inject(disk.sim, STORE_SIM_LOST_WRITE, 0);
    append(log_record_promise(0, 9));
    cr_assert_eq(store_log_idle(disk.log), TORC_OK);
    cr_assert_eq(reopen(), TORC_DAMAGED);
    cr_assert_eq(disk.damage.flaw, STORE_LOG_BLOCK_LOST);
}

/* A live segment that is gone is damage, the newest and the oldest alike. */
TEST_BODY(log, missing_segment_is_damage, set_up, tear_down)
{
    append(log_record_replica(0));
    for (uint64_t slot = 1; slot <= 30; slot++)
        append_entry(0, slot, 3000);
    struct store_log_stats seen = stats();
    cr_assert_gt(seen.segments, 3);
    log_disk_close(&disk);
    const uint64_t gone[] = {seen.oldest, seen.position.segment};
    for (size_t i = 0; i < 2; i++) {
        struct log_disk broken;
        log_disk_clone(&broken, &disk);
        cr_assert_eq(broken.device.remove(broken.sim, gone[i]), TORC_OK);
        cr_assert_eq(log_disk_open(&broken), TORC_DAMAGED);
        cr_assert_eq(broken.damage.flaw, STORE_LOG_SEGMENT_MISSING);
        cr_assert_eq(broken.damage.segment, gone[i]);
        log_disk_fini(&broken);
    }
}

static enum store_sim_fate torn(void *context)
{
    (void)context;
    return STORE_SIM_TORN;
}

/* A device that tears below the atomic unit costs a "damaged", never a silent loss. */
TEST_BODY(log, torn_block_is_damage, set_up, tear_down)
{
    append(log_record_replica(0));
    append(log_record_promise(0, 5));
    store_sim_device_inject(disk.sim, STORE_SIM_STOP, 0);
    uint64_t batch;
    struct store_record record = log_record_entry(0, 1, 5, base_bytes_of(payload, 1000));
    cr_assert_eq(store_log_append(disk.log, &record, 1, &batch), TORC_IO);
    cr_assert_eq(store_log_append(disk.log, &record, 1, &batch), TORC_IO, "and no more after that");
    log_disk_close(&disk);
    store_sim_device_power_loss(disk.sim, torn, NULL);
    cr_assert_eq(log_disk_open(&disk), TORC_DAMAGED);
}

static enum store_sim_fate every_second_lost(void *context)
{
    uint32_t *count = context;
    return (*count)++ % 2 == 0 ? STORE_SIM_KEPT : STORE_SIM_LOST;
}

/* A batch of which blocks are missing was never synced: it is dropped, and counted. */
TEST_BODY(log, batch_found_in_part_is_dropped, set_up, tear_down)
{
    append(log_record_replica(0));
    store_sim_device_inject(disk.sim, STORE_SIM_STOP, 0);
    uint64_t batch;
    struct store_record record = log_record_entry(0, 1, 5, base_bytes_of(payload, 3000));
    cr_assert_eq(store_log_append(disk.log, &record, 1, &batch), TORC_IO);
    log_disk_close(&disk);
    uint32_t count = 0;
    store_sim_device_power_loss(disk.sim, every_second_lost, &count);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    cr_assert_gt(count, 1);
    cr_assert_eq(stats().torn_batches, 1);
    cr_assert_eq(stats().entries, 0);
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(stats().torn_batches, 0);
}

/* Starting again and again with nothing new makes no segment and writes no log block. */
TEST_BODY(log, restart_with_nothing_new_costs_no_segment, set_up, tear_down)
{
    append(log_record_replica(0));
    cr_assert_not(store_log_is_idle(disk.log));
    cr_assert_eq(store_log_idle(disk.log), TORC_OK);
    cr_assert(store_log_is_idle(disk.log));
    uint64_t segment = stats().position.segment;
    for (int again = 0; again < 20; again++) {
        cr_assert_eq(reopen(), TORC_OK);
        cr_assert_eq(stats().position.segment, segment);
        cr_assert_eq(stats().syncs, 0);
    }
    append(log_record_promise(0, 2));
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_gt(stats().position.segment, segment, "what lay past the position was written again");
    cr_assert_eq(disk.model.groups[0].promise.round, 2);
}

/* A full disk refuses an append that needs a segment and leaves the log as it was; with room again
 * the same append succeeds. */
TEST_BODY(log, full_disk_refuses_and_recovers, set_up, tear_down)
{
    uint64_t slot = 1;
    uint64_t batch;
    enum torc_status status;
    append(log_record_replica(0));
    store_sim_device_resize(disk.sim, 2 * BLOCKS * BLOCK_SIZE);
    for (;; slot++) {
        struct store_record record = log_record_entry(0, slot, 1, base_bytes_of(payload, 3000));
        status = store_log_append(disk.log, &record, 1, &batch);
        if (status != TORC_OK)
            break;
    }
    cr_assert_eq(status, TORC_FULL);
    store_log_check(disk.log);
    cr_assert_eq(store_log_idle(disk.log), TORC_OK);
    store_sim_device_resize(disk.sim, UINT64_MAX);
    append_entry(0, slot, 3000);
    cr_assert_eq(reopen(), TORC_OK);
    cr_assert_eq(disk.model.groups[0].slots[slot].payload_size, 3000);
}

/* Spares are made ahead, piece by piece, up to the configured number, and used. */
TEST_BODY(log, spares_are_prepared_ahead, set_up, tear_down)
{
    bool done = false;
    disk.config.spare_segments = 2;
    cr_assert_eq(reopen(), TORC_OK);
    while (!done)
        cr_assert_eq(store_log_prepare(disk.log, &done), TORC_OK);
    cr_assert_eq(stats().spares, 2);
    store_sim_device_resize(disk.sim, 0);
    append(log_record_replica(0));
    for (uint64_t slot = 1; slot <= 10; slot++)
        append_entry(0, slot, 3000);
    cr_assert_lt(stats().spares, 2);
}

/* A config that the formatted geometry cannot serve is refused. */
TEST_BODY(log, config_must_fit_the_geometry, set_up, tear_down)
{
    log_disk_close(&disk);
    disk.config.batch_size_max = BLOCKS * BLOCK_SIZE;
    cr_assert_eq(log_disk_open(&disk), TORC_INVALID);
    disk.config.batch_size_max = BATCH_SIZE_MAX;
    disk.config.spare_segments = 0;
    cr_assert_eq(log_disk_open(&disk), TORC_INVALID);
}

/* A smaller batch limit than an earlier life had does not strand the larger records of that life.
 */
TEST_BODY(log, records_of_a_larger_limit_are_copied, set_up, tear_down)
{
    uint8_t buffer[8192];
    struct store_record record;
    append(log_record_replica(0));
    append(log_record_replica(1));
    append_entry(1, 1, 5800);
    disk.config.batch_size_max = 2000;
    cr_assert_eq(reopen(), TORC_OK);
    uint64_t first = stats().oldest;
    for (uint64_t slot = 1; slot <= 300; slot++) {
        append(log_record_entry(0, slot, 3, base_bytes_of(payload, 1500)));
        cr_assert_eq(store_log_trim(disk.log, 0, slot), TORC_OK);
    }
    cr_assert_gt(stats().oldest, first + 5);
    cr_assert_eq(store_log_read(disk.log, 1, 1, buffer, sizeof buffer, &record), TORC_OK);
    cr_assert_eq(record.payload.size, 5800);
}
