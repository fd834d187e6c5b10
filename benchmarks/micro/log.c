/* The log without its disk: records checked, copied, indexed, and their segments recycled. */
#include <string.h>

#include "base/assert.h"
#include "benchmarks/micro/data.h"
#include "benchmarks/micro/memory_device.h"
#include "benchmarks/micro/part.h"
#include "store/log.h"

enum { WIDTH_MAX = 16, KEPT_SLOTS = 1000, TRIM_EVERY = 64, GROUP = 1, REPLICA = 100 };

struct logging {
    const struct base_allocator *allocator;
    struct memory_device memory;
    struct store_device device;
    struct store_superblock superblock;
    struct store_log *log;
    unsigned width;
    uint64_t slot, trimmed;
    size_t entry_size;
    uint8_t entry[MICRO_REQUEST_SIZE_MAX];
};

static void visit_record(void *context, const struct store_record *record)
{
    (void)context;
    (void)record;
}

static void visit_damaged(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    (void)context;
    (void)group;
    (void)replica;
    (void)slot;
}

static uint64_t visit_flushed(void *context, uint32_t group)
{
    (void)context;
    (void)group;
    return 0;
}

static void append(struct logging *logging, const struct store_record *records, size_t count)
{
    uint64_t batch;
    enum torc_status status = store_log_append(logging->log, records, count, &batch);
    TORC_ASSERT(status == TORC_OK);
}

static void open_log(struct logging *logging)
{
    static const struct store_log_config config = {
        .batch_size_max = 1 << 20, .spare_segments = 2, .slack_segments = 4};
    static const struct store_log_visitor visitor = {
        .record = visit_record, .damaged = visit_damaged, .flushed = visit_flushed};
    struct store_log_damage damage;
    logging->device = memory_device_of(&logging->memory);
    logging->superblock =
        (struct store_superblock){.node = 1, .block_size = 4096, .segment_size = 4 << 20};
    memset(logging->superblock.storage_id, 1, STORE_ID_SIZE);
    enum torc_status status = store_superblock_format(&logging->device, &logging->superblock);
    TORC_ASSERT(status == TORC_OK);
    status = store_log_open(&config, &logging->device, logging->allocator, &logging->superblock,
                            &visitor, &damage, &logging->log);
    TORC_ASSERT(status == TORC_OK);
}

static void *begin(const struct base_allocator *allocator, const char *folder, unsigned width)
{
    (void)folder;
    struct logging *logging = base_alloc_zero(allocator, sizeof(*logging));
    logging->allocator = allocator;
    logging->width = width;
    logging->entry_size = micro_entry_write(logging->entry, sizeof(logging->entry), 1, 1, 1, 1);
    open_log(logging);
    struct store_record replica = {
        .kind = STORE_RECORD_REPLICA, .group = GROUP, .replica = REPLICA};
    append(logging, &replica, 1);
    return logging;
}

/* Segments are made and recycled between batches, as the storage thread does. */
static void recycle(struct logging *logging)
{
    if (logging->slot < logging->trimmed + KEPT_SLOTS + TRIM_EVERY)
        return;
    bool done = false;
    logging->trimmed = logging->slot - KEPT_SLOTS;
    enum torc_status status = store_log_trim(logging->log, GROUP, logging->trimmed);
    TORC_ASSERT(status == TORC_OK);
    while (!done) {
        status = store_log_prepare(logging->log, &done);
        TORC_ASSERT(status == TORC_OK);
    }
}

static void run(void *context)
{
    struct logging *logging = context;
    static const struct base_ballot ballot = {1, 1, 1};
    struct store_record records[WIDTH_MAX];
    for (unsigned i = 0; i < logging->width; i++)
        records[i] = (struct store_record){
            .kind = STORE_RECORD_ENTRY,
            .tag = 1,
            .group = GROUP,
            .replica = REPLICA,
            .slot = ++logging->slot,
            .ballot = ballot,
            .origin = ballot,
            .payload = base_bytes_of(logging->entry, logging->entry_size),
        };
    append(logging, records, logging->width);
    recycle(logging);
}

static void end(void *context)
{
    struct logging *logging = context;
    store_log_close(logging->log);
    memory_device_fini(&logging->memory);
    base_free(logging->allocator, logging, sizeof(*logging));
}

const struct part parts_log[] = {
    {"log append: an entry, to memory", 1, begin, run, end},
    {"log append: an entry, to memory, 16 a batch", 16, begin, run, end},
    {NULL, 0, NULL, NULL, NULL},
};
