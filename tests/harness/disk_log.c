#include "tests/harness/disk_log.h"

#include "base/assert.h"
#include "store/log.h"
#include "store/sim_device.h"
#include "tests/harness/disk.h"

enum {
    LOG_GROUP = 1,
    LOG_REPLICA = 1,
    LOG_BLOCK_SIZE = 512,
    LOG_SEGMENT_SIZE = 1 << 15,
    LOG_BATCH_SIZE_MAX = 4096,
    LOG_CAPACITY_MAX = 1 << 28,
    LOG_OPERATIONS_MAX = 12, /* A crash happens within so many writes and syncs. */
};

struct disk_log {
    const struct base_allocator *allocator;
    struct base_prng *prng;
    struct store_sim_device *sim;
    struct store_device device;
    struct store_superblock superblock;
    struct store_log *log;
    uint64_t trimmed;
    void (*found)(void *context, const struct store_record *record);
    void *context;
    struct store_record *records; /* Of one append. */
    size_t record_capacity;
};

static void on_record(void *context, const struct store_record *record)
{
    const struct disk_log *log = context;
    if (log->found != NULL)
        log->found(log->context, record);
}

static void on_damaged(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    (void)context;
    (void)group;
    (void)replica;
    (void)slot;
    TORC_ASSERT(!"a crash is no damage");
}

static uint64_t on_flushed(void *context, uint32_t group)
{
    (void)group;
    return ((const struct disk_log *)context)->trimmed;
}

static void open_log(struct disk_log *log)
{
    bool repaired;
    enum torc_status status = store_superblock_load(&log->device, &log->superblock, &repaired);
    TORC_ASSERT(status == TORC_OK);
    struct store_log_config config = {
        .batch_size_max = LOG_BATCH_SIZE_MAX, .spare_segments = 1, .slack_segments = 1};
    struct store_log_visitor visitor = {
        .context = log, .record = on_record, .damaged = on_damaged, .flushed = on_flushed};
    struct store_log_damage damage;
    status = store_log_open(&config, &log->device, log->allocator, &log->superblock, &visitor,
                            &damage, &log->log);
    TORC_ASSERT(status == TORC_OK);
}

struct disk_log *disk_log_new(const struct base_allocator *allocator, struct base_prng *prng)
{
    struct disk_log *log = base_alloc_zero(allocator, sizeof(*log));
    log->allocator = allocator;
    log->prng = prng;
    struct store_sim_config config = {.sector_size = LOG_BLOCK_SIZE,
                                      .capacity_max = LOG_CAPACITY_MAX};
    log->sim = store_sim_device_new(&config, allocator);
    log->device = store_sim_device_of(log->sim);
    log->superblock = (struct store_superblock){
        .node = 1, .block_size = LOG_BLOCK_SIZE, .segment_size = LOG_SEGMENT_SIZE};
    enum torc_status status = store_superblock_format(&log->device, &log->superblock);
    TORC_ASSERT(status == TORC_OK);
    open_log(log);
    struct store_record replica = {
        .kind = STORE_RECORD_REPLICA, .group = LOG_GROUP, .replica = LOG_REPLICA};
    uint64_t batch;
    status = store_log_append(log->log, &replica, 1, &batch);
    TORC_ASSERT(status == TORC_OK);
    return log;
}

void disk_log_free(struct disk_log *log)
{
    if (log == NULL)
        return;
    store_log_close(log->log);
    store_sim_device_free(log->sim);
    base_array_free(log->allocator, log->records, &log->record_capacity, sizeof(*log->records));
    base_free(log->allocator, log, sizeof(*log));
}

static struct store_record record_of(const struct consensus_record *from)
{
    static const enum store_record_kind kinds[] = {
        [CONSENSUS_RECORD_PROMISE] = STORE_RECORD_PROMISE,
        [CONSENSUS_RECORD_ENTRY] = STORE_RECORD_ENTRY,
        [CONSENSUS_RECORD_LEARNED] = STORE_RECORD_LEARNED,
    };
    const struct consensus_entry *entry = &from->entry;
    struct store_record record = {.kind = kinds[from->kind],
                                  .tag = (uint8_t)entry->kind,
                                  .group = LOG_GROUP,
                                  .replica = LOG_REPLICA,
                                  .slot = entry->slot,
                                  .ballot = entry->ballot,
                                  .origin = entry->origin};
    if (entry->value != NULL)
        record.payload = base_buffer_bytes(entry->value);
    return record;
}

/* The records of all batches, each batch's followed by its mark. */
static size_t gather(struct disk_log *log, const struct disk_batch *batches, uint32_t count)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += batches[i].record_count + 1;
    log->records = base_array_reserve(log->allocator, log->records, &log->record_capacity, total,
                                      sizeof(*log->records));
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < batches[i].record_count; j++)
            log->records[at++] = record_of(&batches[i].records[j]);
        if (batches[i].mark > 0)
            log->records[at++] = (struct store_record){.kind = STORE_RECORD_MARK,
                                                       .group = LOG_GROUP,
                                                       .replica = LOG_REPLICA,
                                                       .slot = batches[i].mark};
    }
    return at;
}

void disk_log_append(struct disk_log *log, const struct disk_batch *batches, uint32_t count)
{
    uint64_t batch;
    size_t total = gather(log, batches, count);
    enum torc_status status = store_log_append(log->log, log->records, total, &batch);
    TORC_ASSERT(status == TORC_OK);
    bool done;
    status = store_log_prepare(log->log, &done);
    TORC_ASSERT(status == TORC_OK);
    if (base_prng_chance(log->prng, 1, 50)) {
        status = store_log_idle(log->log);
        TORC_ASSERT(status == TORC_OK);
    }
}

void disk_log_trim(struct disk_log *log, uint64_t slot)
{
    if (slot <= log->trimmed)
        return;
    log->trimmed = slot;
    enum torc_status status = store_log_trim(log->log, LOG_GROUP, slot);
    TORC_ASSERT(status == TORC_OK);
}

void disk_log_crash(struct disk_log *log, bool power, const struct disk_batch *batches,
                    uint32_t count, void (*found)(void *context, const struct store_record *record),
                    void *context)
{
    if (count > 0) {
        uint64_t batch;
        size_t total = gather(log, batches, count);
        store_sim_device_inject(log->sim, STORE_SIM_STOP,
                                base_prng_range(log->prng, 0, LOG_OPERATIONS_MAX));
        (void)!store_log_append(log->log, log->records, total, &batch);
    }
    store_log_close(log->log);
    if (power)
        store_sim_device_power_loss(log->sim, store_sim_fate_random, log->prng);
    else
        store_sim_device_process_crash(log->sim);
    log->found = found;
    log->context = context;
    open_log(log);
    log->found = NULL;
    store_log_check(log->log);
}
