/*
 * segment.hex and superblock.hex: what the first release writes. Both are written to the same bytes
 * still, and read back to the same records.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/counting.h"
#include "tests/lib/log_disk.h"

enum { BLOCK_SIZE = 128, BLOCKS = 16, SEGMENT_SIZE = BLOCK_SIZE * BLOCKS };

static struct counting counting;
static struct log_disk disk;

static void set_up(void)
{
    log_disk_init(&disk, counting_init(&counting), BLOCK_SIZE, BLOCKS, 900);
}

static void tear_down(void)
{
    log_disk_fini(&disk);
    counting_fini(&counting);
}

/* Lines of hexadecimal bytes; # begins a comment. */
static void read_hex(const char *path, uint8_t *bytes, size_t size)
{
    char line[256];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned value;
        for (char *at = line; *at != '#' && sscanf(at, "%2x", &value) == 1; at += 2) {
            cr_assert_lt(count, size);
            bytes[count++] = (uint8_t)value;
        }
    }
    fclose(file);
    cr_assert_eq(count, size);
}

/* On a difference, what is written now, to be looked at (and put in place with a reason). */
static void expect_hex(const char *path, const uint8_t *bytes, size_t size)
{
    uint8_t golden[SEGMENT_SIZE];
    read_hex(path, golden, size);
    if (memcmp(golden, bytes, size) == 0)
        return;
    for (size_t i = 0; i < size; i++)
        fprintf(stderr, "%02x%s", bytes[i], i % 32 == 31 ? "\n" : "");
    cr_assert_fail("%s differs", path);
}

/* A record of each kind, and a batch of several blocks. */
static void write_log(void)
{
    static uint8_t payload[200];
    struct store_record replica = log_record_replica(1);
    replica.payload = base_bytes_text("members");
    struct store_record records[] = {
        log_record_promise(1, 2), log_record_entry(1, 1, 2, base_bytes_of(payload, 200)),
        log_record_learned(1, 2, base_bytes_text("learned")), log_record_mark(1, 2)};
    struct store_record others[] = {log_record_replica(2), log_record_drop(2)};
    memset(payload, 0x77, sizeof payload);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    log_disk_append(&disk, &replica, 1);
    log_disk_append(&disk, records, 4);
    cr_assert_eq(store_log_idle(disk.log), TORC_OK);
    log_disk_append(&disk, others, 2);
}

/* The format does not change by accident. */
Test(store_golden, bytes_are_those_of_the_first_release, .init = set_up, .fini = tear_down)
{
    uint8_t segment[SEGMENT_SIZE];
    uint8_t superblock[STORE_SUPERBLOCK_SIZE];
    write_log();
    cr_assert_eq(
        disk.device.read(disk.sim, disk.superblock.position.segment, 0, segment, sizeof segment),
        TORC_OK);
    cr_assert_eq(disk.device.superblock_read(disk.sim, 0, superblock), TORC_OK);
    expect_hex("tests/golden/store/segment.hex", segment, sizeof segment);
    expect_hex("tests/golden/store/superblock.hex", superblock, sizeof superblock);
}

/* What the first release wrote is read. */
Test(store_golden, first_release_is_readable, .init = set_up, .fini = tear_down)
{
    uint8_t segment[SEGMENT_SIZE];
    uint8_t superblock[STORE_SUPERBLOCK_SIZE];
    bool done = false;
    write_log();
    log_disk_close(&disk);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    struct log_model expected = disk.model;
    log_disk_close(&disk);
    store_sim_device_free(disk.sim);
    read_hex("tests/golden/store/segment.hex", segment, sizeof segment);
    read_hex("tests/golden/store/superblock.hex", superblock, sizeof superblock);
    const struct store_sim_config config = {.sector_size = BLOCK_SIZE, .capacity_max = UINT64_MAX};
    disk.sim = store_sim_device_new(&config, disk.allocator);
    disk.device = store_sim_device_of(disk.sim);
    struct store_superblock decoded;
    cr_assert_eq(store_superblock_decode(superblock, &decoded), TORC_OK);
    cr_assert_eq(disk.device.prepare(disk.sim, decoded.position.segment, sizeof segment, &done),
                 TORC_OK);
    cr_assert_eq(
        disk.device.write(disk.sim, decoded.position.segment, 0, segment, sizeof segment, true),
        TORC_OK);
    cr_assert_eq(disk.device.superblock_write(disk.sim, 0, superblock), TORC_OK);
    cr_assert_eq(log_disk_open(&disk), TORC_OK);
    cr_assert_eq(disk.record_count, 7);
    cr_assert(log_model_equal(&disk.model, &expected));
}
