/*
 * Recovery on a segment of any bytes. The first input byte is the block up to which the superblock
 * vouches for the segment, the second the batch there; the rest is the segment. Each input is tried
 * as it is, and with the hashes of blocks and records put right, so that what lies behind them is
 * reached.
 *
 * Whatever comes: recovery refuses or opens; what it opened is consistent, opens again to the same
 * records, and takes an append.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "store/block.h"
#include "tests/lib/counting.h"
#include "tests/lib/log_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    BLOCK_SIZE = 128,
    BLOCKS = 16,
    SEGMENT_SIZE = BLOCK_SIZE * BLOCKS,
    ROOM = BLOCK_SIZE - STORE_BLOCK_STAMP_SIZE,
    SEGMENT = 2, /* Number of the corpus's segment. */
    AT_BATCH = 16,
    AT_PLACE = 28,
    AT_LENGTH = 32,
    RECORD_AT_PAYLOAD_HASH = 8,
    RECORD_AT_PAYLOAD_SIZE = 16,
};

/* Reads or writes bytes of the batch that begins at block `first`, around the stamps. */
static void stream(uint8_t *segment, size_t first, size_t offset, uint8_t *bytes, size_t size,
                   bool write)
{
    for (size_t i = 0; i < size; i++, offset++) {
        size_t block = first + offset / ROOM;
        if (block >= BLOCKS)
            return;
        uint8_t *at = segment + block * BLOCK_SIZE + STORE_BLOCK_STAMP_SIZE + offset % ROOM;
        if (write)
            *at = bytes[i];
        else
            bytes[i] = *at;
    }
}

static void repair_records(uint8_t *segment, size_t first, size_t length)
{
    uint8_t header[STORE_RECORD_HEADER_SIZE] = {0};
    uint8_t payload[SEGMENT_SIZE] = {0};
    for (size_t offset = 0; offset + sizeof header <= length;) {
        stream(segment, first, offset, header, sizeof header, false);
        size_t size = base_get_le32(header + RECORD_AT_PAYLOAD_SIZE);
        if (size <= sizeof payload) {
            stream(segment, first, offset + sizeof header, payload, size, false);
            base_put_le64(header + RECORD_AT_PAYLOAD_HASH, base_hash(base_bytes_of(payload, size)));
        }
        base_put_le64(header, base_hash(base_bytes_of(header + RECORD_AT_PAYLOAD_HASH,
                                                      sizeof header - RECORD_AT_PAYLOAD_HASH)));
        stream(segment, first, offset, header, sizeof header, true);
        offset += sizeof header + size;
    }
}

static void repair(uint8_t *segment, uint64_t seed)
{
    for (uint32_t number = 0; number < BLOCKS; number++) {
        const uint8_t *block = segment + number * BLOCK_SIZE;
        uint32_t length = base_get_le32(block + AT_LENGTH);
        if (number > 0 && base_get_le32(block + AT_PLACE) == 0 && length <= SEGMENT_SIZE)
            repair_records(segment, number, length);
    }
    for (uint32_t number = 0; number < BLOCKS; number++) {
        uint8_t *block = segment + number * BLOCK_SIZE;
        const struct store_block_stamp stamp = {.generation = SEGMENT,
                                                .batch = base_get_le64(block + AT_BATCH),
                                                .number = number,
                                                .place = base_get_le32(block + AT_PLACE),
                                                .length = base_get_le32(block + AT_LENGTH)};
        if (stamp.batch != 0 || stamp.length != 0)
            store_block_seal(block, BLOCK_SIZE, seed, &stamp);
    }
}

static void check(struct log_disk *disk)
{
    enum torc_status status = log_disk_open(disk);
    TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
    if (status == TORC_DAMAGED) {
        TORC_ASSERT(disk->damage.flaw != STORE_LOG_SOUND);
        return;
    }
    uint64_t records = disk->record_count;
    uint64_t damaged = disk->damaged_count;
    struct log_model model = disk->model;
    log_disk_close(disk);
    status = log_disk_open(disk);
    TORC_ASSERT(status == TORC_OK);
    TORC_ASSERT(disk->record_count == records && disk->damaged_count == damaged);
    TORC_ASSERT(log_model_equal(&model, &disk->model));
    struct store_record record = log_record_replica(disk->highest_group + 1);
    if (disk->highest_group < UINT32_MAX)
        log_disk_append(disk, &record, 1);
    log_disk_close(disk);
}

/* A device with this segment and a superblock that vouches for it up to `position`. */
static void run(const uint8_t *segment, uint32_t block, uint64_t batch)
{
    struct counting counting;
    struct log_disk disk;
    bool done = false;
    log_disk_init(&disk, counting_init(&counting), BLOCK_SIZE, BLOCKS, 900);
    enum torc_status status = disk.device.prepare(disk.sim, SEGMENT, SEGMENT_SIZE, &done);
    TORC_ASSERT(status == TORC_OK && done);
    status = disk.device.write(disk.sim, SEGMENT, 0, segment, SEGMENT_SIZE, true);
    TORC_ASSERT(status == TORC_OK);
    disk.superblock.oldest = SEGMENT;
    disk.superblock.position =
        (struct store_position){.segment = SEGMENT, .batch = batch, .block = block};
    status = store_superblock_update(&disk.device, &disk.superblock);
    TORC_ASSERT(status == TORC_OK);
    check(&disk);
    log_disk_fini(&disk);
    counting_fini(&counting);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t segment[SEGMENT_SIZE] = {0};
    uint8_t storage_id[STORE_ID_SIZE];
    if (size < 2)
        return 0;
    uint32_t block = 1 + data[0] % (BLOCKS - 1);
    uint64_t batch = data[1];
    memcpy(segment, data + 2, size - 2 < sizeof segment ? size - 2 : sizeof segment);
    memset(storage_id, 0x5a, sizeof storage_id);
    run(segment, block, batch);
    repair(segment, base_hash(base_bytes_of(storage_id, sizeof storage_id)));
    run(segment, block, batch);
    return 0;
}
