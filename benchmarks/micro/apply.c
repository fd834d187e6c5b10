/* The state machine on RocksDB: entries applied and their batch written, nothing synced. */
#include "base/assert.h"
#include "base/hlc.h"
#include "benchmarks/micro/data.h"
#include "benchmarks/micro/part.h"
#include "shard/machine.h"
#include "store/driver/rocks.h"

enum {
    WIDTH_MAX = 16,
    GROUP = 1,
    VNODE_BITS = 4,
    TICK = 1 << 16, /* Of the clock, for each operation: 16 of them in a millisecond. */
    LAST_TIME_MS = 100,
};

struct applying {
    const struct base_allocator *allocator;
    struct store_kv *kv;
    struct shard_machine *machine;
    struct store_batch *batch;
    struct shard_outcomes *outcomes;
    unsigned width;
    uint64_t slot, number, clock;
    uint8_t entry[WIDTH_MAX * MICRO_REQUEST_SIZE_MAX];
};

static void apply(struct applying *applying, size_t entry_size)
{
    struct shard_apply entry = {
        .slot = ++applying->slot,
        .barrier = {1, 1, 1},
        .effective = true,
        .entry = base_bytes_of(applying->entry, entry_size),
    };
    enum torc_status status =
        shard_machine_apply(applying->machine, &entry, applying->batch, applying->outcomes);
    TORC_ASSERT(status == TORC_OK);
    do
        status = store_kv_write(applying->kv, applying->batch);
    while (status == TORC_BUSY);
    TORC_ASSERT(status == TORC_OK);
    store_batch_clear(applying->batch);
    shard_machine_applied(applying->machine);
}

static void genesis(struct applying *applying)
{
    struct shard_vnode vnodes[1 << VNODE_BITS];
    for (uint32_t i = 0; i < 1 << VNODE_BITS; i++)
        vnodes[i] = (struct shard_vnode){i, 1};
    uint8_t *at = applying->entry;
    size_t size = wire_entry_begin(at, sizeof(applying->entry), applying->clock, 1);
    size += shard_genesis_write(vnodes, 1 << VNODE_BITS, at + size, sizeof(applying->entry) - size);
    apply(applying, size);
}

static void *begin(const struct base_allocator *allocator, const char *folder, unsigned width)
{
    char error[256];
    struct store_rocks_config rocks = store_rocks_config_default(folder);
    rocks.create = true;
    struct applying *applying = base_alloc_zero(allocator, sizeof(*applying));
    struct shard_machine_config config = {.group = GROUP,
                                          .vnode_bits = VNODE_BITS,
                                          .limits = micro_limits,
                                          .request_time_max_ms = LAST_TIME_MS,
                                          .records_bytes_max = 64 << 20};
    applying->allocator = allocator;
    applying->width = width;
    applying->clock = base_hlc_from_ms(1000000);
    enum torc_status status = store_rocks_open(&rocks, error, sizeof(error), &applying->kv);
    TORC_ASSERT(status == TORC_OK);
    applying->batch = store_batch_new(allocator);
    applying->outcomes = shard_outcomes_new(allocator);
    status = shard_machine_open(&config, applying->kv, allocator, &applying->machine);
    TORC_ASSERT(status == TORC_OK);
    genesis(applying);
    return applying;
}

static void run(void *context)
{
    struct applying *applying = context;
    size_t cursor = 0;
    unsigned answers = 0;
    struct shard_outcome outcome;
    applying->clock += (uint64_t)TICK * applying->width;
    size_t size = micro_entry_write(applying->entry, sizeof(applying->entry), applying->clock,
                                    applying->number + 1, applying->width,
                                    applying->clock + base_hlc_from_ms(LAST_TIME_MS));
    applying->number += applying->width;
    apply(applying, size);
    while (shard_outcomes_next(applying->outcomes, &cursor, &outcome)) {
        TORC_ASSERT(outcome.answer.data[1] == WIRE_DONE);
        answers++;
    }
    TORC_ASSERT(answers == applying->width);
    shard_outcomes_clear(applying->outcomes);
}

static void end(void *context)
{
    struct applying *applying = context;
    shard_machine_close(applying->machine);
    shard_outcomes_free(applying->outcomes);
    store_batch_free(applying->batch);
    store_kv_close(applying->kv);
    base_free(applying->allocator, applying, sizeof(*applying));
}

const struct part parts_apply[] = {
    {"apply: a SET on RocksDB, unsynced", 1, begin, run, end},
    {"apply: a SET on RocksDB, unsynced, 16 an entry", 16, begin, run, end},
    {NULL, 0, NULL, NULL, NULL},
};
