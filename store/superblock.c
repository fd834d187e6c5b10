#include "store/superblock.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mutant.h"

/* Magic, hash and version keep their places in every later layout, so that a newer superblock is
 * told from a damaged one. */
enum {
    AT_MAGIC = 0,
    AT_HASH = 8,
    AT_VERSION = 16,
    AT_NODE = 20,
    AT_STORAGE_ID = 24,
    AT_CLUSTER_ID = 40,
    AT_SEQUENCE = 56,
    AT_INCARNATION = 64,
    AT_FEATURE_LEVEL = 68,
    AT_BLOCK_SIZE = 72,
    AT_POSITION_BLOCK = 76,
    AT_SEGMENT_SIZE = 80,
    AT_LEASE = 88,
    AT_OLDEST = 96,
    AT_POSITION_SEGMENT = 104,
    AT_POSITION_BATCH = 112,
    AT_END = 120, /* Zeroes up to the superblock's size. */
};

static const uint8_t magic[8] = {'t', 'o', 'r', 'c', 's', 'u', 'p', 'r'};

static uint64_t superblock_hash(const uint8_t *bytes)
{
    return base_hash(base_bytes_of(bytes + AT_VERSION, STORE_SUPERBLOCK_SIZE - AT_VERSION));
}

static bool power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

bool store_superblock_geometry_valid(const struct store_superblock *superblock)
{
    uint32_t block_size = superblock->block_size;
    if (!power_of_two(block_size) || block_size < STORE_BLOCK_SIZE_MIN ||
        block_size > STORE_BLOCK_SIZE_MAX)
        return false;
    uint64_t blocks = superblock->segment_size / block_size;
    return superblock->segment_size % block_size == 0 && blocks >= STORE_SEGMENT_BLOCKS_MIN &&
           superblock->segment_size <= UINT32_MAX;
}

static bool position_valid(const struct store_superblock *superblock)
{
    const struct store_position *position = &superblock->position;
    if (position->segment == 0)
        return superblock->oldest == 0 && position->block == 0 && position->batch == 0;
    return superblock->oldest > 0 && superblock->oldest <= position->segment &&
           position->block > 0 &&
           position->block <= superblock->segment_size / superblock->block_size;
}

void store_superblock_encode(const struct store_superblock *superblock, uint8_t *bytes)
{
    TORC_ASSERT(store_superblock_geometry_valid(superblock));
    TORC_ASSERT(position_valid(superblock));
    memset(bytes, 0, STORE_SUPERBLOCK_SIZE);
    memcpy(bytes + AT_MAGIC, magic, sizeof magic);
    base_put_le32(bytes + AT_VERSION, STORE_SUPERBLOCK_VERSION);
    base_put_le32(bytes + AT_NODE, superblock->node);
    memcpy(bytes + AT_STORAGE_ID, superblock->storage_id, STORE_ID_SIZE);
    memcpy(bytes + AT_CLUSTER_ID, superblock->cluster_id, STORE_ID_SIZE);
    base_put_le64(bytes + AT_SEQUENCE, superblock->sequence);
    base_put_le32(bytes + AT_INCARNATION, superblock->incarnation);
    base_put_le32(bytes + AT_FEATURE_LEVEL, superblock->feature_level);
    base_put_le32(bytes + AT_BLOCK_SIZE, superblock->block_size);
    base_put_le32(bytes + AT_POSITION_BLOCK, superblock->position.block);
    base_put_le64(bytes + AT_SEGMENT_SIZE, superblock->segment_size);
    base_put_le64(bytes + AT_LEASE, superblock->lease_max_ms);
    base_put_le64(bytes + AT_OLDEST, superblock->oldest);
    base_put_le64(bytes + AT_POSITION_SEGMENT, superblock->position.segment);
    base_put_le64(bytes + AT_POSITION_BATCH, superblock->position.batch);
    base_put_le64(bytes + AT_HASH, superblock_hash(bytes));
}

enum torc_status store_superblock_decode(const uint8_t *bytes, struct store_superblock *ret)
{
    if (memcmp(bytes + AT_MAGIC, magic, sizeof magic) != 0 ||
        base_get_le64(bytes + AT_HASH) != superblock_hash(bytes))
        return TORC_MALFORMED;
    uint32_t version = base_get_le32(bytes + AT_VERSION);
    if (version > STORE_SUPERBLOCK_VERSION)
        return TORC_NEWER;
    struct store_superblock superblock = {
        .node = base_get_le32(bytes + AT_NODE),
        .incarnation = base_get_le32(bytes + AT_INCARNATION),
        .feature_level = base_get_le32(bytes + AT_FEATURE_LEVEL),
        .block_size = base_get_le32(bytes + AT_BLOCK_SIZE),
        .segment_size = base_get_le64(bytes + AT_SEGMENT_SIZE),
        .lease_max_ms = base_get_le64(bytes + AT_LEASE),
        .oldest = base_get_le64(bytes + AT_OLDEST),
        .position = {.segment = base_get_le64(bytes + AT_POSITION_SEGMENT),
                     .batch = base_get_le64(bytes + AT_POSITION_BATCH),
                     .block = base_get_le32(bytes + AT_POSITION_BLOCK)},
        .sequence = base_get_le64(bytes + AT_SEQUENCE),
    };
    memcpy(superblock.storage_id, bytes + AT_STORAGE_ID, STORE_ID_SIZE);
    memcpy(superblock.cluster_id, bytes + AT_CLUSTER_ID, STORE_ID_SIZE);
    if (version != STORE_SUPERBLOCK_VERSION || superblock.sequence == 0 ||
        !store_superblock_geometry_valid(&superblock) || !position_valid(&superblock))
        return TORC_MALFORMED;
    *ret = superblock;
    return TORC_OK;
}

/* Copies are written one after the other, each synced before the next is touched. */
static enum torc_status write_copy(const struct store_device *device, unsigned copy,
                                   const uint8_t *bytes)
{
    enum torc_status status = device->superblock_write(device->context, copy, bytes);
    if (status != TORC_OK || TORC_MUTANT(SUPERBLOCK_UNSYNCED))
        return status;
    return device->superblock_sync(device->context, copy);
}

static enum torc_status write_both(const struct store_device *device,
                                   const struct store_superblock *superblock, unsigned first)
{
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    store_superblock_encode(superblock, bytes);
    enum torc_status status = write_copy(device, first, bytes);
    if (status != TORC_OK)
        return status;
    return write_copy(device, 1 - first, bytes);
}

enum torc_status store_superblock_format(const struct store_device *device,
                                         struct store_superblock *superblock)
{
    superblock->incarnation = 0;
    superblock->lease_max_ms = 0;
    superblock->oldest = 0;
    superblock->position = (struct store_position){0};
    superblock->sequence = 1;
    if (!store_superblock_geometry_valid(superblock))
        return TORC_INVALID;
    uint64_t segment;
    uint64_t size;
    enum torc_status status = device->next(device->context, 0, &segment, &size);
    if (status != TORC_NOT_FOUND)
        return status == TORC_OK ? TORC_EXISTS : status;
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++) {
        uint8_t bytes[STORE_SUPERBLOCK_SIZE];
        status = device->superblock_read(device->context, copy, bytes);
        if (status != TORC_NOT_FOUND)
            return status == TORC_OK ? TORC_EXISTS : status;
    }
    status = write_both(device, superblock, 0);
    if (status != TORC_OK)
        return status;
    return device->sync_directory(device->context);
}

enum torc_status store_superblock_load(const struct store_device *device,
                                       struct store_superblock *ret_superblock, bool *ret_repaired)
{
    struct store_superblock copies[STORE_SUPERBLOCK_COPIES];
    enum torc_status found[STORE_SUPERBLOCK_COPIES];
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++) {
        uint8_t bytes[STORE_SUPERBLOCK_SIZE];
        found[copy] = device->superblock_read(device->context, copy, bytes);
        if (found[copy] == TORC_IO)
            return TORC_IO;
        if (found[copy] == TORC_OK)
            found[copy] = store_superblock_decode(bytes, &copies[copy]);
    }
    /* A newer layout in one copy means that a newer process was at work here: hands off. */
    if (found[0] == TORC_NEWER || found[1] == TORC_NEWER)
        return TORC_NEWER;
    if (found[0] == TORC_NOT_FOUND && found[1] == TORC_NOT_FOUND)
        return TORC_NOT_FOUND;
    if (found[0] != TORC_OK && found[1] != TORC_OK)
        return TORC_DAMAGED;
    unsigned chosen =
        found[0] != TORC_OK || (found[1] == TORC_OK && copies[1].sequence > copies[0].sequence);
    /* The chosen copy first, in place: the same bytes, so it stays whole while the other is not. */
    enum torc_status status = write_both(device, &copies[chosen], chosen);
    if (status != TORC_OK)
        return status;
    *ret_superblock = copies[chosen];
    *ret_repaired = found[0] != TORC_OK || found[1] != TORC_OK;
    return device->sync_directory(device->context);
}

enum torc_status store_superblock_update(const struct store_device *device,
                                         struct store_superblock *superblock)
{
    superblock->sequence++;
    return write_both(device, superblock, 0);
}
