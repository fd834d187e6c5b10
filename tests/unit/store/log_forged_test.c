/*
 * A log in which something is whole and wrong: a block or a header with a right hash that says what
 * the log never wrote there, and a device that fails. Neither a crash nor rot makes these; a bug,
 * another process or a mixed-up disk does, and then the answer is "damaged", never a guess.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/log_int.h"
#include "tests/lib/counting.h"
#include "tests/lib/log_disk.h"
#include "tests/lib/test_body.h"

enum { BLOCK_SIZE = 512, BLOCKS = 32, BATCH_SIZE_MAX = 6000 };

static struct counting counting;
static struct log_disk disk;
static uint8_t payload[8192];
static struct store_log_geometry geometry;

static void set_up(void)
{
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31);
    log_disk_init(&disk, counting_init(&counting), BLOCK_SIZE, BLOCKS, BATCH_SIZE_MAX);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    geometry = (struct store_log_geometry){
        .seed = base_hash(base_bytes_of(disk.superblock.storage_id, STORE_ID_SIZE)),
        .segment_size = BLOCKS * BLOCK_SIZE,
        .block_size = BLOCK_SIZE,
        .block_room = BLOCK_SIZE - STORE_BLOCK_STAMP_SIZE,
        .segment_blocks = BLOCKS};
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

static struct store_record entry(uint64_t slot, size_t size)
{
    return log_record_entry(0, slot, 3, base_bytes_of(payload + slot, size));
}

static struct store_log_stats stats(void)
{
    struct store_log_stats stats;
    store_log_stats(disk.log, &stats);
    return stats;
}

/* --- Forging --- */

static void write_block(uint64_t segment, uint32_t number, const uint8_t *block)
{
    cr_assert_eq(disk.device.write(disk.sim, segment, (uint64_t)number * BLOCK_SIZE, block,
                                   BLOCK_SIZE, true),
                 TORC_OK);
}

static void read_block(uint64_t segment, uint32_t number, uint8_t *block)
{
    cr_assert_eq(
        disk.device.read(disk.sim, segment, (uint64_t)number * BLOCK_SIZE, block, BLOCK_SIZE),
        TORC_OK);
}

static struct store_block_stamp stamp_of(uint64_t segment, uint32_t number)
{
    uint8_t block[BLOCK_SIZE];
    struct store_block_stamp stamp;
    read_block(segment, number, block);
    cr_assert_eq(store_block_judge(block, BLOCK_SIZE, geometry.seed, segment, number, &stamp),
                 STORE_BLOCK_NEW);
    return stamp;
}

/* The block keeps its content and gets another stamp. */
static void restamp(uint64_t segment, uint32_t number, const struct store_block_stamp *stamp)
{
    uint8_t block[BLOCK_SIZE];
    read_block(segment, number, block);
    store_block_seal(block, BLOCK_SIZE, geometry.seed, stamp);
    write_block(segment, number, block);
}

/* Writes over a one-block batch: these bytes of records, under its stamp with another length. */
static void forge_bytes(uint64_t segment, uint32_t number, const uint8_t *bytes, uint32_t length)
{
    struct store_block_stamp stamp = stamp_of(segment, number);
    uint8_t block[BLOCK_SIZE] = {0};
    cr_assert_leq(length, geometry.block_room);
    memcpy(block + STORE_BLOCK_STAMP_SIZE, bytes, length);
    stamp.length = length;
    store_block_seal(block, BLOCK_SIZE, geometry.seed, &stamp);
    write_block(segment, number, block);
}

static void forge_record(uint64_t segment, uint32_t number, struct store_record record)
{
    uint8_t bytes[BLOCK_SIZE];
    store_record_encode(&record, bytes);
    memcpy(bytes + STORE_RECORD_HEADER_SIZE, record.payload.data, record.payload.size);
    forge_bytes(segment, number, bytes, (uint32_t)store_record_size(&record));
}

static void expect_damage(enum store_log_flaw flaw, uint64_t segment, uint32_t block)
{
    log_disk_close(&disk);
    cr_assert_eq(log_disk_open(&disk), TORC_DAMAGED);
    cr_assert_eq(disk.damage.flaw, flaw, "%s", store_log_flaw_text(disk.damage.flaw));
    cr_assert_eq(disk.damage.segment, segment);
    cr_assert_eq(disk.damage.block, block);
}

/* --- Headers of segments --- */

/* Grows the log over four segments, with the position after the last batch, and closes it. */
static struct store_log_stats grown(void)
{
    append(log_record_replica(0));
    for (uint64_t slot = 1; stats().segments < 4; slot++)
        append(entry(slot, 3000));
    cr_assert_eq(store_log_idle(disk.log), TORC_OK);
    struct store_log_stats seen = stats();
    log_disk_close(&disk);
    return seen;
}

static void expect_header_damage(const struct store_log_stats *seen,
                                 const struct store_log_segment_header *header, uint64_t batch,
                                 enum store_log_flaw flaw)
{
    uint8_t block[BLOCK_SIZE], kept[BLOCK_SIZE];
    uint64_t segment = seen->position.segment;
    read_block(segment, 0, kept);
    store_log_segment_header_seal(&geometry, block, segment, batch, header);
    write_block(segment, 0, block);
    expect_damage(flaw, segment, 0);
    write_block(segment, 0, kept);
}

/* A whole header that points where no older segment can be, or past its end, or that knows a later
 * beginning of the log than the superblock does. */
TEST_BODY(log_forged, header_that_says_the_impossible_is_damage, set_up, tear_down)
{
    struct store_log_stats seen = grown();
    uint8_t block[BLOCK_SIZE];
    struct store_log_segment_header right, header;
    uint64_t segment = seen.position.segment, batch;
    read_block(segment, 0, block);
    cr_assert(store_log_segment_header_read(&geometry, block, segment, &batch, &right));
    header = right;
    header.previous = segment;
    expect_header_damage(&seen, &header, batch, STORE_LOG_HEADER_BAD);
    header.previous = seen.oldest - 1;
    expect_header_damage(&seen, &header, batch, STORE_LOG_HEADER_BAD);
    header = right;
    header.previous_end = BLOCKS + 1;
    expect_header_damage(&seen, &header, batch, STORE_LOG_HEADER_BAD);
    header.previous_end = 0;
    expect_header_damage(&seen, &header, batch, STORE_LOG_HEADER_BAD);
    header = right;
    header.oldest = seen.oldest + 1;
    expect_header_damage(&seen, &header, batch, STORE_LOG_HEADER_BAD);
    expect_header_damage(&seen, &right, batch + 1, STORE_LOG_POSITION_BAD);
    cr_assert_eq(log_disk_open(&disk), TORC_OK, "with the right header it opens");
}

/* A block of records where the header stands is none. */
TEST_BODY(log_forged, header_with_the_stamp_of_records_is_damage, set_up, tear_down)
{
    struct store_log_stats seen = grown();
    uint64_t segment = seen.position.segment;
    struct store_block_stamp right = stamp_of(segment, 0), stamp = right;
    stamp.length++;
    restamp(segment, 0, &stamp);
    expect_damage(STORE_LOG_HEADER_BAD, segment, 0);
    stamp = right;
    stamp.place = 1;
    restamp(segment, 0, &stamp);
    expect_damage(STORE_LOG_HEADER_BAD, segment, 0);
    restamp(segment, 0, &right);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
}

/* A header that ends the segment before it too early leaves a batch out, and that is noticed. */
TEST_BODY(log_forged, segment_that_ends_early_is_damage, set_up, tear_down)
{
    struct store_log_stats seen = grown();
    uint8_t block[BLOCK_SIZE];
    struct store_log_segment_header header;
    uint64_t segment = seen.position.segment, batch;
    read_block(segment, 0, block);
    cr_assert(store_log_segment_header_read(&geometry, block, segment, &batch, &header));
    uint32_t blocks = store_log_batch_blocks(&geometry, STORE_RECORD_HEADER_SIZE + 3000);
    header.previous_end -= blocks;
    expect_header_damage(&seen, &header, batch, STORE_LOG_POSITION_BAD);
}

/* --- Batches --- */

/* Three batches of one block each, in blocks 1 to 3; the position after them if `noted`. Returns
 * the segment. */
static uint64_t three_batches(bool noted)
{
    append(log_record_replica(0));
    append(log_record_promise(0, 4));
    append(entry(1, 100));
    if (noted)
        cr_assert_eq(store_log_idle(disk.log), TORC_OK);
    cr_assert_eq(stats().position.block, 4);
    return stats().position.segment;
}

/* Whole blocks whose bytes are no record, or none that may stand there. */
TEST_BODY(log_forged, block_that_holds_no_record_is_damage, set_up, tear_down)
{
    uint8_t bytes[BLOCK_SIZE] = {0};
    uint64_t segment = three_batches(true);
    forge_bytes(segment, 3, bytes, STORE_RECORD_HEADER_SIZE);
    expect_damage(STORE_LOG_RECORD_BAD, segment, 3);
    struct store_record record = entry(1, 100);
    store_record_encode(&record, bytes);
    forge_bytes(segment, 3, bytes, STORE_RECORD_HEADER_SIZE - 1);
    expect_damage(STORE_LOG_RECORD_BAD, segment, 3);
    forge_bytes(segment, 3, bytes, STORE_RECORD_HEADER_SIZE + 99);
    expect_damage(STORE_LOG_RECORD_BAD, segment, 3);
    record.replica = 101;
    forge_record(segment, 3, record);
    expect_damage(STORE_LOG_RECORD_BAD, segment, 3);
    forge_record(segment, 3, entry(1, 100));
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
}

/* A payload that is not what its record's hash says, in whole blocks, counts against its group as
 * rot does. */
TEST_BODY(log_forged, payload_under_a_wrong_hash_counts_against_its_group, set_up, tear_down)
{
    uint8_t bytes[BLOCK_SIZE];
    uint8_t buffer[BLOCK_SIZE];
    struct store_record record = entry(1, 100);
    uint64_t segment = three_batches(true);
    store_record_encode(&record, bytes);
    memcpy(bytes + STORE_RECORD_HEADER_SIZE, payload + 2, 100);
    forge_bytes(segment, 3, bytes, STORE_RECORD_HEADER_SIZE + 100);
    cr_assert_eq(store_log_read(disk.log, 0, 1, buffer, sizeof buffer, &record), TORC_DAMAGED);
    log_disk_close(&disk);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    cr_assert_eq(disk.damaged_count, 1);
    cr_assert_eq(disk.damaged_slot, 1);
    cr_assert_eq(disk.model.groups[0].promise.round, 4);
}

/* What is left of a damaged accept keeps its promise, though it is spoiled once more. */
TEST_BODY(log_forged, damage_that_is_damaged_keeps_its_promise, set_up, tear_down)
{
    uint8_t bytes[STORE_RECORD_HEADER_SIZE];
    struct store_record record = entry(1, 0);
    uint64_t segment = three_batches(true);
    record.kind = STORE_RECORD_DAMAGE;
    record.ballot.round = 9;
    store_record_encode(&record, bytes);
    bytes[8] ^= 1; /* Of the hash of no payload. */
    base_put_le64(bytes, base_hash(base_bytes_of(bytes + 8, sizeof bytes - 8)));
    forge_bytes(segment, 3, bytes, sizeof bytes);
    disk.flushed[0] = 1;
    log_disk_close(&disk);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    cr_assert_eq(disk.damaged_count, 0);
    cr_assert_eq(disk.model.groups[0].promise.round, 9);
}

/* Where a batch must begin, a whole block that begins another one, or none. */
TEST_BODY(log_forged, block_that_begins_no_batch_is_damage, set_up, tear_down)
{
    for (int noted = 0; noted < 2; noted++) {
        uint64_t segment;
        set_up();
        segment = three_batches(noted == 1);
        struct store_block_stamp right = stamp_of(segment, 3), stamp = right;
        stamp.batch++;
        restamp(segment, 3, &stamp);
        expect_damage(STORE_LOG_BLOCK_ROTTEN, segment, 3);
        stamp.batch = right.batch - 1;
        restamp(segment, 3, &stamp);
        expect_damage(STORE_LOG_BLOCK_ROTTEN, segment, 3);
        stamp = right;
        stamp.place = 1;
        restamp(segment, 3, &stamp);
        expect_damage(STORE_LOG_BLOCK_ROTTEN, segment, 3);
        stamp = right;
        stamp.length = 0;
        restamp(segment, 3, &stamp);
        expect_damage(STORE_LOG_BLOCK_ROTTEN, segment, 3);
        stamp.length = BLOCKS * BLOCK_SIZE;
        restamp(segment, 3, &stamp);
        expect_damage(STORE_LOG_POSITION_BAD, segment, 3);
        tear_down();
    }
    set_up();
}

/* A superblock whose batch is not the one that stands before its block. */
TEST_BODY(log_forged, position_with_another_batch_is_damage, set_up, tear_down)
{
    uint64_t segment = three_batches(true);
    log_disk_close(&disk);
    for (uint64_t batch = 2; batch <= 4; batch += 2) {
        disk.superblock.position.batch = batch;
        cr_assert_eq(store_superblock_update(&disk.device, &disk.superblock), TORC_OK);
        expect_damage(STORE_LOG_POSITION_BAD, segment, 4);
    }
}

/* Behind the end only blocks of the next batch may stand, each in its place. */
TEST_BODY(log_forged, block_of_another_place_behind_the_end_is_damage, set_up, tear_down)
{
    uint64_t segment = three_batches(true);
    uint8_t block[BLOCK_SIZE] = {1};
    struct store_block_stamp stamp = {
        .generation = segment, .batch = 4, .number = 6, .place = 2, .length = 2000};
    store_block_seal(block, BLOCK_SIZE, geometry.seed, &stamp);
    write_block(segment, 6, block);
    log_disk_close(&disk);
    struct log_disk right;
    log_disk_clone(&right, &disk);
    cr_assert_eq(log_disk_open(&right), TORC_OK, "a batch of which one block was written");
    cr_assert_eq(right.model.groups[0].slots[1].payload_size, 100);
    log_disk_fini(&right);
    stamp.place = 3;
    restamp(segment, 6, &stamp);
    expect_damage(STORE_LOG_BLOCK_ROTTEN, segment, 6);
}

/* --- Reading one record --- */

static enum torc_status read_slot(uint64_t slot)
{
    static uint8_t buffer[BATCH_SIZE_MAX];
    struct store_record record;
    return store_log_read(disk.log, 0, slot, buffer, sizeof buffer, &record);
}

/* What is found in a record's place must be that record: of its group's replica, slot and size. */
TEST_BODY(log_forged, read_finds_another_record, set_up, tear_down)
{
    uint64_t segment = three_batches(false);
    cr_assert_eq(read_slot(1), TORC_OK);
    uint8_t bytes[BLOCK_SIZE] = {0};
    forge_bytes(segment, 3, bytes, STORE_RECORD_HEADER_SIZE + 100);
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
    forge_record(segment, 3, entry(2, 100));
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
    forge_record(segment, 3, entry(1, 101));
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
    struct store_record record = entry(1, 100);
    record.replica++;
    forge_record(segment, 3, record);
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
    record = entry(1, 100);
    record.group++;
    forge_record(segment, 3, record);
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
    forge_record(segment, 3, entry(1, 100));
    cr_assert_eq(read_slot(1), TORC_OK);
}

/* All blocks of a record are of one batch, each in its place in it. */
TEST_BODY(log_forged, read_finds_blocks_of_two_batches, set_up, tear_down)
{
    append(log_record_replica(0));
    append(entry(1, 1000));
    uint64_t segment = stats().position.segment;
    struct store_block_stamp right = stamp_of(segment, 3), stamp = right;
    cr_assert_eq(right.place, 1);
    stamp.batch++;
    restamp(segment, 3, &stamp);
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
    stamp = right;
    stamp.place = 2;
    restamp(segment, 3, &stamp);
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
    restamp(segment, 3, &right);
    cr_assert_eq(read_slot(1), TORC_OK);
}

/* A segment that went away under a running log is damage, not an entry that never was. */
TEST_BODY(log_forged, read_finds_no_segment, set_up, tear_down)
{
    append(log_record_replica(0));
    append(entry(1, 100));
    while (stats().segments < 2)
        append(log_record_promise(0, stats().appends));
    cr_assert_eq(disk.device.remove(disk.sim, stats().oldest), TORC_OK);
    cr_assert_eq(read_slot(1), TORC_DAMAGED);
}

/* --- A device that fails --- */

static struct store_device whole;
static uint64_t reads_left;
static enum torc_status read_says = TORC_IO; /* When it fails. */

static enum torc_status read_failing(void *context, uint64_t segment, uint64_t offset, void *buffer,
                                     size_t size)
{
    return reads_left-- == 0 ? read_says : whole.read(context, segment, offset, buffer, size);
}

static enum torc_status next_failing(void *context, uint64_t after, uint64_t *ret_segment,
                                     uint64_t *ret_size)
{
    return reads_left-- == 0 ? TORC_IO : whole.next(context, after, ret_segment, ret_size);
}

/* Whichever read or listing fails while the log opens, it says so, and opens when it is asked again
 * with nothing changed. */
TEST_BODY(log_forged, open_says_that_reading_failed, set_up, tear_down)
{
    struct store_log_stats seen = grown();
    whole = disk.device;
    for (int listing = 0; listing < 2; listing++) {
        uint64_t failed = 0;
        for (;; failed++) {
            reads_left = failed;
            disk.device = whole;
            if (listing)
                disk.device.next = next_failing;
            else
                disk.device.read = read_failing;
            enum torc_status status = log_disk_open(&disk);
            if (status == TORC_OK)
                break;
            cr_assert_eq(status, TORC_IO);
        }
        cr_assert_geq(failed, seen.segments);
        cr_assert_eq(stats().entries, seen.entries);
        disk.device = whole;
        log_disk_close(&disk);
    }
}

/* A live segment that was listed and is gone when it is read is missing. */
TEST_BODY(log_forged, segment_that_goes_while_it_is_read_is_damage, set_up, tear_down)
{
    uint64_t segment = three_batches(true);
    whole = disk.device;
    disk.device.read = read_failing;
    read_says = TORC_NOT_FOUND;
    for (uint64_t failed = 0; failed < 2; failed++) {
        reads_left = failed;
        expect_damage(STORE_LOG_SEGMENT_MISSING, segment, 0);
    }
}

/* A read that fails is no damage, and changes nothing. */
TEST_BODY(log_forged, read_that_fails_is_no_damage, set_up, tear_down)
{
    three_batches(false);
    whole = disk.device;
    disk.device.read = read_failing;
    reads_left = 0;
    cr_assert_eq(read_slot(1), TORC_IO);
    cr_assert_eq(read_slot(1), TORC_OK);
}

static struct {
    uint64_t segment; /* The last one asked for. */
    int pieces;
} prepared;

/* Makes a segment in three pieces; the number must stay. */
static enum torc_status prepare_in_pieces(void *context, uint64_t segment, uint64_t size,
                                          bool *ret_done)
{
    prepared.pieces = segment == prepared.segment ? prepared.pieces + 1 : 1;
    prepared.segment = segment;
    *ret_done = false;
    return prepared.pieces < 3 ? TORC_OK : whole.prepare(context, segment, size, ret_done);
}

/* A spare that takes several pieces is asked for under one number until it stands, by the caller
 * between batches and by an append that cannot wait. */
TEST_BODY(log_forged, spare_is_made_in_pieces, set_up, tear_down)
{
    bool done = true;
    whole = disk.device;
    disk.device.prepare = prepare_in_pieces;
    for (int piece = 1; piece <= 3; piece++) {
        cr_assert_eq(store_log_prepare(disk.log, &done), TORC_OK);
        cr_assert_eq(prepared.pieces, piece);
        cr_assert_eq(done, piece == 3);
        cr_assert_eq(stats().spares, piece == 3 ? 1 : 0);
    }
    cr_assert_eq(store_log_prepare(disk.log, &done), TORC_OK);
    cr_assert(done);
    cr_assert_eq(prepared.pieces, 3, "there are enough");
    append(log_record_replica(0));
    for (uint64_t slot = 1; stats().segments < 4; slot++)
        append(entry(slot, 3000));
    cr_assert_eq(prepared.pieces, 3);
    store_log_check(disk.log);
}

/* No space for a spare is said, under a new number the next time, and the log goes on. */
TEST_BODY(log_forged, spare_without_space_is_no_failure, set_up, tear_down)
{
    bool done = true;
    append(log_record_replica(0));
    store_sim_device_resize(disk.sim, 0);
    cr_assert_eq(store_log_prepare(disk.log, &done), TORC_FULL);
    cr_assert_eq(store_log_prepare(disk.log, &done), TORC_FULL);
    append(entry(1, 3000));
    store_sim_device_resize(disk.sim, UINT64_MAX);
    cr_assert_eq(store_log_prepare(disk.log, &done), TORC_OK);
    cr_assert(done);
    cr_assert_eq(stats().spares, 1);
}

/* A segment of another size than the log's is nothing that it can use, and its number is not given
 * again. */
TEST_BODY(log_forged, segment_of_another_size_is_left_alone, set_up, tear_down)
{
    bool done;
    append(log_record_replica(0));
    uint64_t odd = stats().position.segment + 7;
    cr_assert_eq(disk.device.prepare(disk.sim, odd, 2 * BLOCKS * BLOCK_SIZE, &done), TORC_OK);
    log_disk_close(&disk);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    cr_assert_eq(stats().spares, 0);
    cr_assert_gt(stats().position.segment, odd);
    store_log_check(disk.log);
}

/* A live segment of another size is as good as none. */
TEST_BODY(log_forged, live_segment_of_another_size_is_damage, set_up, tear_down)
{
    bool done;
    uint64_t segment = three_batches(true);
    log_disk_close(&disk);
    cr_assert_eq(disk.device.remove(disk.sim, segment), TORC_OK);
    cr_assert_eq(disk.device.sync_directory(disk.sim), TORC_OK);
    cr_assert_eq(disk.device.prepare(disk.sim, segment, 2 * BLOCKS * BLOCK_SIZE, &done), TORC_OK);
    expect_damage(STORE_LOG_SEGMENT_MISSING, segment, 0);
}

/* The config that a log was opened with is told; one that it cannot work with is refused. */
TEST_BODY(log_forged, config_is_kept_and_bad_ones_refused, set_up, tear_down)
{
    const struct store_log_config right = disk.config;
    cr_assert_eq(store_log_config_of(disk.log)->batch_size_max, BATCH_SIZE_MAX);
    cr_assert_eq(store_log_config_of(disk.log)->slack_segments, right.slack_segments);
    log_disk_close(&disk);
    disk.config.batch_size_max = STORE_RECORD_HEADER_SIZE;
    cr_assert_eq(log_disk_open(&disk), TORC_INVALID);
    disk.config = right;
    disk.config.slack_segments = 0;
    cr_assert_eq(log_disk_open(&disk), TORC_INVALID);
    disk.config = right;
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
}

/* Whichever operation fails alone while the log rolls, trims and copies: nothing is written after
 * it, and what had been acknowledged is there when the log is opened again. */
TEST_BODY(log_forged, failed_operation_stops_the_log, set_up, tear_down)
{
    bool survived = false;
    tear_down();
    for (uint64_t after = 0; !survived; after++) {
        uint64_t acknowledged = 0, batch;
        enum torc_status status = TORC_OK;
        bool done;
        set_up();
        append(log_record_replica(0));
        append(log_record_replica(1));
        append(log_record_entry(1, 1, 7, base_bytes_of(payload, 5850)));
        append(log_record_mark(1, 1));
        store_sim_device_inject(disk.sim, STORE_SIM_ERROR, after);
        for (uint64_t slot = 1; slot <= 60 && status == TORC_OK; slot++) {
            struct store_record record = entry(slot, 3000);
            status = store_log_append(disk.log, &record, 1, &batch);
            acknowledged += status == TORC_OK;
            if (status == TORC_OK)
                status = store_log_trim(disk.log, 0, slot > 2 ? slot - 2 : 0);
        }
        survived = status == TORC_OK;
        if (!survived) {
            struct store_record record = log_record_promise(0, 99);
            cr_assert_eq(status, TORC_IO);
            cr_assert_eq(store_log_append(disk.log, &record, 1, &batch), TORC_IO);
            cr_assert_eq(store_log_trim(disk.log, 0, acknowledged), TORC_IO);
            cr_assert_eq(store_log_idle(disk.log), TORC_IO);
            cr_assert_eq(store_log_prepare(disk.log, &done), TORC_IO);
        }
        log_disk_close(&disk);
        store_sim_device_process_crash(disk.sim);
        cr_assert_eq(log_disk_open(&disk), TORC_OK, "after %lu", (unsigned long)after);
        cr_assert_eq(disk.model.groups[1].promise.round, 7);
        cr_assert_eq(disk.model.groups[1].slots[1].payload_size, 5850);
        cr_assert_eq(disk.model.groups[1].mark, 1);
        if (acknowledged > 0)
            cr_assert_eq(disk.model.groups[0].slots[acknowledged].payload_size, 3000);
        tear_down();
        cr_assert_lt(after, 2000);
    }
    set_up();
}

/* A record that cannot be read while it is to be copied forward keeps its segment. */
TEST_BODY(log_forged, copying_stops_when_a_read_fails, set_up, tear_down)
{
    append(log_record_replica(0));
    append(log_record_replica(1));
    append(log_record_entry(1, 1, 7, base_bytes_of(payload, 5850)));
    uint64_t oldest = stats().oldest;
    enum torc_status status = TORC_OK;
    whole = disk.device;
    disk.device.read = read_failing;
    reads_left = 0;
    for (uint64_t slot = 1; slot <= 60 && status == TORC_OK; slot++) {
        append(entry(slot, 3000));
        status = store_log_trim(disk.log, 0, slot);
    }
    cr_assert_eq(status, TORC_IO);
    cr_assert_eq(stats().oldest, oldest);
    disk.device = whole;
    log_disk_close(&disk);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    cr_assert_eq(disk.model.groups[1].slots[1].payload_size, 5850);
}

/* Each flaw has a text of its own, and a number that is none has one too. */
Test(log_forged, flaws_have_texts)
{
    for (int a = STORE_LOG_SOUND; a <= STORE_LOG_POSITION_BAD; a++) {
        const char *text = store_log_flaw_text((enum store_log_flaw)a);
        cr_assert_str_neq(text, "unknown");
        for (int b = STORE_LOG_SOUND; b < a; b++)
            cr_assert_str_neq(text, store_log_flaw_text((enum store_log_flaw)b));
    }
    cr_assert_str_eq(store_log_flaw_text((enum store_log_flaw)(STORE_LOG_POSITION_BAD + 1)),
                     "unknown");
}
