#include "shard/driver/storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/log.h"
#include "store/cache.h"
#include "store/driver/rocks.h"
#include "store/gather.h"
#include "store/log.h"

enum {
    STORAGE_REQUESTS_MAX = 65536,
    STORAGE_SPARE_SEGMENTS = 1,
    STORAGE_SLACK_SEGMENTS = 2,
    /* What the log may take with nothing kept for a voter that lags: the slack, the one written to,
     * spares, and twice what is not flushed yet, which may be twice flush_bytes. */
    STORAGE_SEGMENTS_MIN = 8,
    STORAGE_FLUSHES_MIN = 4,
    STORAGE_GATHERED_MAX = 256 << 10, /* Bytes of the state that go into RocksDB at once. */
    STORAGE_STAGGER_PARTS = 16,
    STORAGE_STAGGER_NODES = 8,
};

static void refuse(const struct shard_driver_config *config, const char *text)
{
    char quoted[STORE_DIRECTORY_TEXT_SIZE * 2];
    base_log(BASE_LOG_ERROR, "refused", "node=%" PRIu64 " dir=\"%s\" why=%s", config->node,
             config->dir, base_log_quote(quoted, sizeof(quoted), text, strlen(text)));
}

static bool open_directory(struct host_storage *storage, const struct shard_driver_config *config)
{
    struct store_directory_expectation expectation = {.node = (uint32_t)config->node,
                                                      .cluster_id = config->cluster,
                                                      .feature_level_max = SHARD_FEATURE_LEVEL};
    char text[STORE_DIRECTORY_TEXT_SIZE];
    enum torc_status status =
        store_directory_open(config->dir, &expectation, base_allocator_system(),
                             &storage->directory, text, sizeof(text));
    if (status != TORC_OK) {
        refuse(config, text);
        return false;
    }
    storage->superblock = store_directory_superblock(storage->directory);
    if (store_directory_was_repaired(storage->directory))
        base_log(BASE_LOG_WARN, "superblock_repaired", "node=%" PRIu64 " dir=\"%s\"", config->node,
                 config->dir);
    return true;
}

/* Otherwise entries would go although every voter only needs a moment. */
static bool check_log_size(const struct host_storage *storage,
                           const struct shard_driver_config *config)
{
    uint64_t segments = STORAGE_SEGMENTS_MIN * storage->superblock->segment_size;
    uint64_t least = segments + STORAGE_FLUSHES_MIN * config->flush_bytes;
    if (config->log_size_max >= least)
        return true;
    char text[STORE_DIRECTORY_TEXT_SIZE];
    snprintf(text, sizeof(text),
             "log_size_max is %" PRIu64 " and must be at least %" PRIu64 ": %d segments of %" PRIu64
             " bytes and %d times flush_bytes",
             config->log_size_max, least, STORAGE_SEGMENTS_MIN, storage->superblock->segment_size,
             STORAGE_FLUSHES_MIN);
    refuse(config, text);
    return false;
}

/* Replicas hold the same data, and would flush and compact it at the same moments: a majority of
 * them busy at once. So a node's buffer is some sixteenths larger than configured, by its number.
 */
static uint64_t staggered(uint64_t size, uint32_t node)
{
    return size + size / STORAGE_STAGGER_PARTS * (node % STORAGE_STAGGER_NODES);
}

/* Not to be guessed by who sends keys. */
static uint64_t random_seed(void)
{
    uint64_t seed;
    ssize_t got = getrandom(&seed, sizeof(seed), 0); /* Up to 256 bytes come whole. */
    TORC_ASSERT(got == (ssize_t)sizeof(seed));
    return seed;
}

static bool open_state(struct host_storage *storage, const struct shard_driver_config *config)
{
    struct store_rocks_config rocks =
        store_rocks_config_default(store_directory_state_path(storage->directory));
    rocks.write_buffer_size =
        staggered(config->state_write_buffer_bytes, storage->superblock->node);
    rocks.block_cache_size = config->state_cache_bytes;
    rocks.free_size_min = config->state_free_bytes_min;
    char text[STORE_DIRECTORY_TEXT_SIZE];
    enum torc_status status = store_rocks_open(&rocks, text, sizeof(text), &storage->rocks);
    if (status != TORC_OK) {
        refuse(config, text);
        return false;
    }
    storage->cache = store_cache_new(base_allocator_system(), storage->rocks,
                                     config->state_row_cache_bytes, random_seed());
    storage->kv = store_gather_new(base_allocator_system(), storage->cache, STORAGE_GATHERED_MAX);
    return true;
}

static void visit_record(void *context, const struct store_record *record)
{
    shard_recovery_record(context, record);
}

static void visit_damage(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    base_log(BASE_LOG_ERROR, "log_damaged",
             "group=%u replica=%" PRIu64 " slot=%" PRIu64
             " why=\"a record is rotten: this replica never votes again\"",
             group, replica, slot);
    shard_recovery_damaged(context, group, replica, slot);
}

static uint64_t visit_flushed(void *context, uint32_t group)
{
    return shard_recovery_flushed(context, group);
}

static void note_loadable(struct host_storage *storage)
{
    for (size_t i = 0; i < shard_recovery_count(storage->recovery); i++) {
        uint32_t group = shard_recovery_at(storage->recovery, i)->group;
        uint64_t first, last;
        if (store_log_range(storage->log, group, &first, &last))
            shard_recovery_loadable(storage->recovery, group, first);
    }
}

static void log_recovered(const struct host_storage *storage,
                          const struct shard_driver_config *config)
{
    size_t replicas = shard_recovery_count(storage->recovery), entries = 0;
    for (size_t i = 0; i < replicas; i++)
        entries += shard_recovery_at(storage->recovery, i)->entry_count;
    base_log(BASE_LOG_INFO, "recovered",
             "node=%" PRIu64 " replicas=%zu entries=%zu bytes=%zu batch=%" PRIu64, config->node,
             replicas, entries, storage->pool.bytes_used, storage->recovered_batch);
}

static bool open_log(struct host_storage *storage, const struct shard_driver_config *config)
{
    struct store_log_config log = {.batch_size_max = SHARD_LOG_BATCH_SIZE_MAX,
                                   .spare_segments = STORAGE_SPARE_SEGMENTS,
                                   .slack_segments = STORAGE_SLACK_SEGMENTS};
    storage->recovery = shard_recovery_new(storage->kv, &storage->pool, base_allocator_system());
    struct store_log_visitor visitor = {.context = storage->recovery,
                                        .record = visit_record,
                                        .damaged = visit_damage,
                                        .flushed = visit_flushed};
    struct store_log_damage damage;
    enum torc_status status =
        store_log_open(&log, store_directory_device(storage->directory), base_allocator_system(),
                       storage->superblock, &visitor, &damage, &storage->log);
    if (status == TORC_DAMAGED) {
        base_log(BASE_LOG_ERROR, "refused",
                 "node=%" PRIu64 " dir=\"%s\" why=\"the log is damaged: %s\" segment=%" PRIu64
                 " block=%u batch=%" PRIu64
                 " remedy=\"replace this node's replicas; a damaged log never votes again\"",
                 config->node, config->dir, store_log_flaw_text(damage.flaw), damage.segment,
                 damage.block, damage.batch);
        return false;
    }
    if (status == TORC_OK && shard_recovery_status(storage->recovery) != TORC_OK) {
        refuse(config, "pool_bytes is too small for what the log has to replay: raise it");
        return false;
    }
    if (status != TORC_OK) {
        refuse(config, torc_status_text(status));
        return false;
    }
    struct store_log_stats stats;
    store_log_stats(storage->log, &stats);
    storage->recovered_batch = stats.position.batch;
    note_loadable(storage);
    log_recovered(storage, config);
    return true;
}

/* Before anything is sent: no ballot and no message number is ever used by two lives. */
static bool raise_incarnation(struct host_storage *storage,
                              const struct shard_driver_config *config)
{
    storage->superblock->incarnation++;
    enum torc_status status =
        store_superblock_update(store_directory_device(storage->directory), storage->superblock);
    if (status != TORC_OK)
        refuse(config, "the superblock cannot be written");
    return status == TORC_OK;
}

static bool start_thread(struct host_storage *storage, const struct shard_driver_config *config)
{
    enum torc_status status =
        store_thread_start(storage->log, store_directory_device(storage->directory),
                           storage->superblock, STORAGE_REQUESTS_MAX, &storage->thread);
    if (status != TORC_OK)
        refuse(config, "the storage thread could not be started");
    return status == TORC_OK;
}

bool host_storage_open(struct host_storage *storage, const struct shard_driver_config *config)
{
    base_pool_init(&storage->pool, base_allocator_system(), config->pool_bytes);
    return open_directory(storage, config) && check_log_size(storage, config) &&
           open_state(storage, config) && open_log(storage, config) &&
           raise_incarnation(storage, config) && start_thread(storage, config);
}

void host_storage_recovered(struct host_storage *storage)
{
    shard_recovery_free(storage->recovery);
    storage->recovery = NULL;
}

struct store_request *host_storage_stop(struct host_storage *storage)
{
    if (storage->thread == NULL)
        return NULL;
    struct store_request *left = store_thread_stop(storage->thread);
    storage->thread = NULL;
    return left;
}

void host_storage_close(struct host_storage *storage)
{
    host_storage_recovered(storage);
    store_log_close(storage->log);
    store_kv_close(storage->kv);
    store_kv_close(storage->cache);
    store_kv_close(storage->rocks);
    store_directory_close(storage->directory);
    base_pool_fini(&storage->pool);
}
