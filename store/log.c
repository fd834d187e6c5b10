#include "store/log.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "store/log_int.h"

const char *store_log_flaw_text(enum store_log_flaw flaw)
{
    switch (flaw) {
    case STORE_LOG_SOUND:
        return "sound";
    case STORE_LOG_SEGMENT_MISSING:
        return "a live segment is missing";
    case STORE_LOG_HEADER_BAD:
        return "a segment's header is damaged";
    case STORE_LOG_BLOCK_ROTTEN:
        return "a block is damaged";
    case STORE_LOG_BLOCK_LOST:
        return "a block that was synced is gone";
    case STORE_LOG_RECORD_BAD:
        return "a block holds what is no record";
    case STORE_LOG_POSITION_BAD:
        return "the log ends elsewhere than noted";
    }
    return "unknown";
}

uint32_t store_log_payload_max(const struct store_log_config *config)
{
    return config->batch_size_max - STORE_RECORD_HEADER_SIZE;
}

const struct store_log_config *store_log_config_of(const struct store_log *log)
{
    return &log->config;
}

enum torc_status store_log_outcome(struct store_log *log, enum torc_status status)
{
    if (status != TORC_OK && status != TORC_FULL)
        log->failed = true;
    return status;
}

/* --- Segments --- */

void store_log_spare_add(struct store_log *log, uint64_t segment)
{
    log->spares = base_array_reserve(log->allocator, log->spares, &log->spare_capacity,
                                     log->spare_count + 1, sizeof *log->spares);
    log->spares[log->spare_count++] = segment;
}

static enum torc_status prepare_piece(struct store_log *log)
{
    if (log->preparing == 0)
        log->preparing = log->next_segment++;
    bool done = false;
    enum torc_status status = log->device->prepare(log->device->context, log->preparing,
                                                   log->geometry.segment_size, &done);
    if (status == TORC_OK && done)
        store_log_spare_add(log, log->preparing);
    if (status != TORC_OK || done)
        log->preparing = 0;
    return store_log_outcome(log, status);
}

enum torc_status store_log_prepare(struct store_log *log, bool *ret_done)
{
    if (log->failed)
        return TORC_IO;
    if (log->spare_count < log->config.spare_segments) {
        enum torc_status status = prepare_piece(log);
        if (status != TORC_OK)
            return status;
    }
    *ret_done = log->spare_count >= log->config.spare_segments;
    return TORC_OK;
}

enum torc_status store_log_take_spare(struct store_log *log, uint64_t *ret_segment)
{
    const struct store_device *device = log->device;
    enum torc_status status;
    while (log->spare_count == 0) {
        status = prepare_piece(log);
        if (status != TORC_OK)
            return status;
    }
    /* The name is durable before the first block of this generation is written: so no block on the
     * device is ever of a generation above the names there, and a number is never used twice. */
    uint64_t segment = log->next_segment++;
    status = device->rename(device->context, log->spares[log->spare_count - 1], segment);
    if (status == TORC_OK)
        status = TORC_MUTANT(NAMES_UNSYNCED) ? TORC_OK : device->sync_directory(device->context);
    if (status != TORC_OK)
        return store_log_outcome(log, TORC_IO);
    log->spare_count--;
    *ret_segment = segment;
    return TORC_OK;
}

enum torc_status store_log_save(struct store_log *log, uint64_t oldest)
{
    log->superblock->oldest = oldest;
    log->superblock->position = log->position;
    return store_log_outcome(log, store_superblock_update(log->device, log->superblock));
}

/* Goes on in a new segment. It exists once the superblock names it; until then a recovery finds the
 * log as it was. */
static enum torc_status roll(struct store_log *log)
{
    uint64_t segment;
    enum torc_status status = store_log_take_spare(log, &segment);
    if (status != TORC_OK)
        return status;
    uint64_t oldest = log->superblock->oldest == 0 ? segment : log->superblock->oldest;
    const struct store_log_segment_header header = {
        .previous = log->position.segment, .oldest = oldest, .previous_end = log->position.block};
    store_log_segment_header_seal(&log->geometry, log->blocks, segment, log->position.batch,
                                  &header);
    status = log->device->write(log->device->context, segment, 0, log->blocks,
                                log->geometry.block_size, true);
    if (status != TORC_OK)
        return store_log_outcome(log, TORC_IO);
    log->syncs++;
    store_log_index_add_segment(&log->index, segment);
    log->position.segment = segment;
    log->position.block = 1;
    return store_log_save(log, oldest);
}

/* --- Appending --- */

/* Our own callers keep these rules; recovery refuses what breaks them. */
static void assert_appendable(const struct store_log *log, const struct store_record *record)
{
    const struct store_log_group *group = store_log_index_find(&log->index, record->group);
    TORC_ASSERT(group == NULL || group->replica == record->replica);
    TORC_ASSERT(group != NULL || record->kind == STORE_RECORD_REPLICA ||
                record->kind == STORE_RECORD_DROP);
}

enum torc_status store_log_write_batch(struct store_log *log, const struct store_record *records,
                                       size_t count, uint64_t length)
{
    const struct store_log_geometry *geometry = &log->geometry;
    uint32_t blocks = store_log_batch_blocks(geometry, length);
    TORC_ASSERT(count > 0 && blocks <= log->batch_blocks_max);
    if (log->position.block + blocks > geometry->segment_blocks) {
        enum torc_status status = roll(log);
        if (status != TORC_OK)
            return status;
    }
    struct store_log_writer writer = {.geometry = geometry, .blocks = log->blocks};
    for (size_t i = 0; i < count; i++) {
        const struct store_log_location at = {.slot = records[i].slot,
                                              .segment = log->position.segment,
                                              .block = log->position.block,
                                              .offset = writer.length,
                                              .size = (uint32_t)store_record_size(&records[i]),
                                              .damaged = records[i].kind == STORE_RECORD_DAMAGE};
        assert_appendable(log, &records[i]);
        enum torc_status noted = store_log_index_apply(&log->index, &records[i], &at);
        TORC_ASSERT(noted == TORC_OK);
        store_log_writer_add(&writer, &records[i]);
    }
    TORC_ASSERT(writer.length == length);
    store_log_writer_seal(&writer, log->position.segment, log->position.block,
                          log->position.batch + 1);
    const struct store_device *device = log->device;
    enum torc_status status =
        device->write(device->context, log->position.segment,
                      (uint64_t)log->position.block * geometry->block_size, log->blocks,
                      (size_t)blocks * geometry->block_size, !TORC_MUTANT(SYNC_SKIPPED));
    if (status != TORC_OK)
        return store_log_outcome(log, TORC_IO);
    log->syncs++;
    log->appends++;
    log->position.block += blocks;
    log->position.batch++;
    return TORC_OK;
}

enum torc_status store_log_append(struct store_log *log, const struct store_record *records,
                                  size_t count, uint64_t *ret_batch)
{
    TORC_ASSERT(count > 0);
    if (log->failed)
        return TORC_IO;
    for (size_t i = 0; i < count; i++) {
        TORC_ASSERT(records[i].kind != STORE_RECORD_DAMAGE);
        if (records[i].payload.size > store_log_payload_max(&log->config))
            return TORC_TOO_LARGE;
    }
    size_t start = 0;
    while (start < count) {
        uint64_t length = 0;
        size_t end = start;
        while (end < count &&
               length + store_record_size(&records[end]) <= log->config.batch_size_max)
            length += store_record_size(&records[end++]);
        enum torc_status status = store_log_write_batch(log, records + start, end - start, length);
        if (status != TORC_OK)
            return status;
        start = end;
    }
    *ret_batch = log->position.batch;
    return TORC_OK;
}

/* --- Reading --- */

/* Reads the blocks that hold a record into scratch; *ret_offset is where it begins in their bytes.
 */
static enum torc_status read_blocks(struct store_log *log, const struct store_log_location *at,
                                    uint64_t *ret_offset)
{
    const struct store_log_geometry *geometry = &log->geometry;
    uint32_t place = at->offset / geometry->block_room;
    uint32_t end = store_log_batch_blocks(geometry, (uint64_t)at->offset + at->size);
    uint32_t count = end - place;
    uint32_t number = at->block + place;
    size_t size = (size_t)count * geometry->block_size;
    log->scratch =
        base_array_reserve(log->allocator, log->scratch, &log->scratch_capacity, size, 1);
    enum torc_status status =
        log->device->read(log->device->context, at->segment,
                          (uint64_t)number * geometry->block_size, log->scratch, size);
    if (status != TORC_OK)
        return status == TORC_NOT_FOUND ? TORC_DAMAGED : status;
    uint64_t batch = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct store_block_stamp stamp;
        if (store_block_judge(log->scratch + (size_t)i * geometry->block_size, geometry->block_size,
                              geometry->seed, at->segment, number + i, &stamp) != STORE_BLOCK_NEW ||
            stamp.place != place + i || (i > 0 && stamp.batch != batch))
            return TORC_DAMAGED;
        batch = stamp.batch;
    }
    *ret_offset = at->offset - (uint64_t)place * geometry->block_room;
    return TORC_OK;
}

enum torc_status store_log_read_at(struct store_log *log, const struct store_log_group *group,
                                   const struct store_log_location *at, void *buffer,
                                   struct store_record *ret_record)
{
    if (at->damaged)
        return TORC_DAMAGED;
    uint64_t offset;
    enum torc_status status = read_blocks(log, at, &offset);
    if (status != TORC_OK)
        return status;
    uint8_t header[STORE_RECORD_HEADER_SIZE];
    store_log_gather(&log->geometry, log->scratch, offset, header, sizeof header);
    struct store_record record;
    uint32_t payload_size;
    uint64_t payload_hash;
    if (store_record_decode(header, &record, &payload_size, &payload_hash) != TORC_OK ||
        record.group != group->group || record.replica != group->replica ||
        record.slot != at->slot || payload_size != at->size - STORE_RECORD_HEADER_SIZE)
        return TORC_DAMAGED;
    store_log_gather(&log->geometry, log->scratch, offset + sizeof header, buffer, payload_size);
    record.payload = base_bytes_of(buffer, payload_size);
    if (base_hash(record.payload) != payload_hash)
        return TORC_DAMAGED;
    *ret_record = record;
    return TORC_OK;
}

enum torc_status store_log_read(struct store_log *log, uint32_t group_number, uint64_t slot,
                                void *buffer, size_t buffer_size, struct store_record *ret_record)
{
    const struct store_log_group *group = store_log_index_find(&log->index, group_number);
    const struct store_log_location *at = group == NULL ? NULL : store_log_index_entry(group, slot);
    if (at == NULL)
        return TORC_NOT_FOUND;
    if (at->size - STORE_RECORD_HEADER_SIZE > buffer_size)
        return TORC_TOO_LARGE;
    return store_log_read_at(log, group, at, buffer, ret_record);
}

bool store_log_range(const struct store_log *log, uint32_t group_number, uint64_t *ret_first,
                     uint64_t *ret_last)
{
    const struct store_log_group *group = store_log_index_find(&log->index, group_number);
    if (group == NULL || group->count == 0)
        return false;
    *ret_first = group->entries[group->first].slot;
    *ret_last = group->entries[group->first + group->count - 1].slot;
    return true;
}

/* --- Idle, statistics, check --- */

bool store_log_is_idle(const struct store_log *log)
{
    const struct store_position *noted = &log->superblock->position;
    return noted->segment == log->position.segment && noted->batch == log->position.batch;
}

enum torc_status store_log_idle(struct store_log *log)
{
    if (log->failed)
        return TORC_IO;
    if (store_log_is_idle(log))
        return TORC_OK;
    return store_log_save(log, log->superblock->oldest);
}

void store_log_stats(const struct store_log *log, struct store_log_stats *ret_stats)
{
    uint64_t segments = log->index.segment_count;
    *ret_stats = (struct store_log_stats){
        .segments = segments,
        .spares = log->spare_count,
        .bytes = (segments + log->spare_count) * log->geometry.segment_size,
        .needed_bytes = log->index.needed_bytes,
        .oldest = log->index.segments[0].segment,
        .entries = log->index.entry_count,
        .appends = log->appends,
        .syncs = log->syncs,
        .copied_records = log->copied_records,
        .torn_batches = log->torn_batches,
        .position = log->position,
    };
}

void store_log_check(const struct store_log *log)
{
    const struct store_log_index *index = &log->index;
    store_log_index_check(index);
    TORC_ASSERT(index->segment_count > 0);
    TORC_ASSERT(index->segments[0].segment == log->superblock->oldest);
    TORC_ASSERT(index->segments[index->segment_count - 1].segment == log->position.segment);
    TORC_ASSERT(log->position.block >= 1);
    TORC_ASSERT(log->position.block <= log->geometry.segment_blocks);
    TORC_ASSERT(log->superblock->position.segment == log->position.segment);
    TORC_ASSERT(log->superblock->position.batch <= log->position.batch);
    TORC_ASSERT(log->superblock->position.block <= log->position.block);
    for (size_t i = 0; i < log->spare_count; i++) {
        TORC_ASSERT(log->spares[i] < log->next_segment);
        for (size_t s = 0; s < index->segment_count; s++)
            TORC_ASSERT(log->spares[i] != index->segments[s].segment);
    }
}

/* --- Opening --- */

static bool config_valid(const struct store_log_config *config,
                         const struct store_log_geometry *geometry)
{
    return config->batch_size_max > STORE_RECORD_HEADER_SIZE && config->spare_segments > 0 &&
           config->slack_segments > 0 &&
           store_log_batch_blocks(geometry, config->batch_size_max) < geometry->segment_blocks;
}

/* Everything on the device that is not live is spare; recovery takes the live ones out. */
static enum torc_status list_segments(struct store_log *log)
{
    uint64_t last = log->superblock->position.segment;
    uint64_t segment = 0;
    uint64_t size;
    enum torc_status status;
    while ((status = log->device->next(log->device->context, segment, &segment, &size)) ==
           TORC_OK) {
        if (size == log->geometry.segment_size)
            store_log_spare_add(log, segment);
        if (segment > last)
            last = segment;
    }
    log->next_segment = last + 1;
    return status == TORC_NOT_FOUND ? TORC_OK : status;
}

static size_t blocks_memory_size(const struct store_log *log)
{
    return (size_t)log->batch_blocks_max * log->geometry.block_size + STORE_DEVICE_ALIGNMENT - 1;
}

/* At an address from which the device can write without a copy. */
static void blocks_allocate(struct store_log *log)
{
    log->blocks_memory = base_alloc(log->allocator, blocks_memory_size(log));
    size_t past = (uintptr_t)log->blocks_memory % STORE_DEVICE_ALIGNMENT;
    log->blocks = log->blocks_memory + (past == 0 ? 0 : STORE_DEVICE_ALIGNMENT - past);
}

enum torc_status store_log_open(const struct store_log_config *config,
                                const struct store_device *device,
                                const struct base_allocator *allocator,
                                struct store_superblock *superblock,
                                const struct store_log_visitor *visitor,
                                struct store_log_damage *ret_damage, struct store_log **ret_log)
{
    const struct store_log_geometry geometry = {
        .seed = base_hash(base_bytes_of(superblock->storage_id, STORE_ID_SIZE)),
        .segment_size = superblock->segment_size,
        .block_size = superblock->block_size,
        .block_room = superblock->block_size - STORE_BLOCK_STAMP_SIZE,
        .segment_blocks = (uint32_t)(superblock->segment_size / superblock->block_size),
    };
    if (!config_valid(config, &geometry))
        return TORC_INVALID;
    struct store_log *log = base_alloc_zero(allocator, sizeof *log);
    log->config = *config;
    log->batch_size_max = config->batch_size_max;
    log->geometry = geometry;
    log->device = device;
    log->allocator = allocator;
    log->superblock = superblock;
    store_log_index_init(&log->index, allocator);
    enum torc_status status = list_segments(log);
    if (status == TORC_OK && superblock->position.segment > 0)
        status = store_log_recover(log, visitor, ret_damage);
    log->batch_blocks_max = store_log_batch_blocks(&geometry, log->batch_size_max);
    blocks_allocate(log);
    if (status == TORC_OK && superblock->position.segment == 0)
        status = roll(log);
    if (status != TORC_OK) {
        store_log_close(log);
        return status;
    }
    store_log_check(log);
    *ret_log = log;
    return TORC_OK;
}

void store_log_close(struct store_log *log)
{
    if (log == NULL)
        return;
    const struct base_allocator *allocator = log->allocator;
    store_log_index_fini(&log->index);
    base_array_free(allocator, log->spares, &log->spare_capacity, sizeof *log->spares);
    base_array_free(allocator, log->scratch, &log->scratch_capacity, 1);
    base_free(allocator, log->blocks_memory, blocks_memory_size(log));
    base_free(allocator, log, sizeof *log);
}
