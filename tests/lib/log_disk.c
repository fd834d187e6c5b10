#include "tests/lib/log_disk.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

/* --- The model --- */

void log_model_apply(struct log_model *model, const struct store_record *record)
{
    TORC_ASSERT(record->group < LOG_MODEL_GROUPS && record->slot < LOG_MODEL_SLOTS);
    struct log_model_group *group = &model->groups[record->group];
    if (record->kind == STORE_RECORD_DROP) {
        memset(group, 0, sizeof *group);
        return;
    }
    group->replica = record->replica;
    bool promises = record->kind == STORE_RECORD_PROMISE || record->kind == STORE_RECORD_ENTRY;
    if (promises && base_ballot_compare(record->ballot, group->promise) > 0)
        group->promise = record->ballot;
    if (record->kind == STORE_RECORD_MARK && record->slot > group->mark)
        group->mark = record->slot;
    if (record->kind == STORE_RECORD_PROMISE || record->kind == STORE_RECORD_MARK)
        return;
    group->slots[record->slot] =
        (struct log_model_slot){.kind = (uint64_t)record->kind,
                                .tag = record->tag,
                                .ballot = record->ballot,
                                .origin = record->origin,
                                .payload_size = record->payload.size,
                                .payload_hash = base_hash(record->payload)};
}

void log_model_trim(struct log_model *model, const uint64_t *trimmed)
{
    for (size_t g = 0; g < LOG_MODEL_GROUPS; g++)
        for (size_t slot = 1; slot <= trimmed[g]; slot++)
            memset(&model->groups[g].slots[slot], 0, sizeof model->groups[g].slots[slot]);
}

bool log_model_equal(const struct log_model *a, const struct log_model *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* --- The visitor --- */

static void note_group(struct log_disk *disk, uint32_t group)
{
    if (group > disk->highest_group)
        disk->highest_group = group;
}

static void visit_record(void *context, const struct store_record *record)
{
    struct log_disk *disk = context;
    disk->record_count++;
    note_group(disk, record->group);
    if (record->group < LOG_MODEL_GROUPS && record->slot < LOG_MODEL_SLOTS)
        log_model_apply(&disk->model, record);
}

static void visit_damaged(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    struct log_disk *disk = context;
    TORC_ASSERT(replica != 0);
    disk->damaged_count++;
    note_group(disk, group);
    disk->damaged_group = group;
    disk->damaged_slot = slot;
}

static uint64_t visit_flushed(void *context, uint32_t group)
{
    const struct log_disk *disk = context;
    return group < LOG_MODEL_GROUPS ? disk->flushed[group] : 0;
}

/* --- The disk --- */

void log_disk_init(struct log_disk *disk, const struct base_allocator *allocator,
                   uint32_t block_size, uint32_t blocks, uint32_t batch_size_max)
{
    const struct store_sim_config config = {
        .sector_size = block_size < STORE_SUPERBLOCK_SIZE ? block_size : STORE_SUPERBLOCK_SIZE,
        .capacity_max = UINT64_MAX};
    memset(disk, 0, sizeof *disk);
    disk->allocator = allocator;
    disk->sim = store_sim_device_new(&config, allocator);
    disk->device = store_sim_device_of(disk->sim);
    disk->config = (struct store_log_config){
        .batch_size_max = batch_size_max, .spare_segments = 1, .slack_segments = 2};
    disk->superblock = (struct store_superblock){
        .node = 1, .block_size = block_size, .segment_size = (uint64_t)blocks * block_size};
    memset(disk->superblock.storage_id, 0x5a, STORE_ID_SIZE);
    enum torc_status status = store_superblock_format(&disk->device, &disk->superblock);
    TORC_ASSERT(status == TORC_OK);
}

void log_disk_clone(struct log_disk *disk, const struct log_disk *from)
{
    *disk = *from;
    disk->sim = store_sim_device_clone(from->sim);
    disk->device = store_sim_device_of(disk->sim);
    disk->log = NULL;
}

void log_disk_fini(struct log_disk *disk)
{
    log_disk_close(disk);
    store_sim_device_free(disk->sim);
}

enum torc_status log_disk_open(struct log_disk *disk)
{
    const struct store_log_visitor visitor = {.context = disk,
                                              .record = visit_record,
                                              .damaged = visit_damaged,
                                              .flushed = visit_flushed};
    bool repaired;
    TORC_ASSERT(disk->log == NULL);
    memset(&disk->model, 0, sizeof disk->model);
    disk->record_count = 0;
    disk->highest_group = 0;
    disk->damaged_count = 0;
    enum torc_status status = store_superblock_load(&disk->device, &disk->superblock, &repaired);
    if (status != TORC_OK)
        return status;
    return store_log_open(&disk->config, &disk->device, disk->allocator, &disk->superblock,
                          &visitor, &disk->damage, &disk->log);
}

void log_disk_close(struct log_disk *disk)
{
    store_log_close(disk->log);
    disk->log = NULL;
}

uint64_t log_disk_append(struct log_disk *disk, const struct store_record *records, size_t count)
{
    uint64_t batch = 0;
    enum torc_status status = store_log_append(disk->log, records, count, &batch);
    TORC_ASSERT(status == TORC_OK);
    store_log_check(disk->log);
    return batch;
}

/* --- Records --- */

static struct store_record record_of(enum store_record_kind kind, uint32_t group)
{
    return (struct store_record){.kind = kind, .group = group, .replica = 100 + (uint64_t)group};
}

static struct base_ballot ballot_of(uint64_t round)
{
    return (struct base_ballot){.round = round, .node = 1, .incarnation = 1};
}

struct store_record log_record_replica(uint32_t group)
{
    return record_of(STORE_RECORD_REPLICA, group);
}

struct store_record log_record_promise(uint32_t group, uint64_t round)
{
    struct store_record record = record_of(STORE_RECORD_PROMISE, group);
    record.ballot = ballot_of(round);
    return record;
}

struct store_record log_record_entry(uint32_t group, uint64_t slot, uint64_t round,
                                     struct base_bytes payload)
{
    struct store_record record = record_of(STORE_RECORD_ENTRY, group);
    record.tag = (uint8_t)(slot % 3);
    record.slot = slot;
    record.ballot = ballot_of(round);
    record.origin = ballot_of(1);
    record.payload = payload;
    return record;
}

struct store_record log_record_learned(uint32_t group, uint64_t slot, struct base_bytes payload)
{
    struct store_record record = record_of(STORE_RECORD_LEARNED, group);
    record.slot = slot;
    record.payload = payload;
    return record;
}

struct store_record log_record_mark(uint32_t group, uint64_t slot)
{
    struct store_record record = record_of(STORE_RECORD_MARK, group);
    record.slot = slot;
    return record;
}

struct store_record log_record_drop(uint32_t group)
{
    return record_of(STORE_RECORD_DROP, group);
}
