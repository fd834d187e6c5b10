#include "store/driver/rocks.h"

#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "store/kv_int.h"

enum {
    /* A write buffer is as many memtables, which are flushed into one file: the time to find a
     * key's place in one goes by how much of it the processor's cache holds. */
    MEMTABLES_MERGED = 32,
    /* Two write buffers: one is written to while one is flushed. */
    MEMTABLES_MAX = 2 * MEMTABLES_MERGED,
    MEMTABLES_WAITING_MAX = MEMTABLES_MAX - 3, /* With one more RocksDB would slow writes down. */
    /* A compaction writes all of level 1 again, so that is not larger than what is new. */
    LEVEL0_COMPACTION_FILES = 8,
    LEVEL1_SIZE = 512 << 20,
    LEVEL0_SLOWDOWN_FILES = 20,
    LEVEL0_FLUSH_FILES_MAX = LEVEL0_SLOWDOWN_FILES - 2,
    READ_TIER_PERSISTED = 2,
    LOG_LEVEL_WARN = 2,
    LEVELS = 7,
    FILE_SYNC_SIZE = 256 << 10,  /* Bytes of a file written between two waits for the disk. */
    FREE_CHECK_SIZE = 256 << 10, /* Bytes written between two looks at the disk's free space. */
};

#define MEMTABLE_FILTER_SHARE 0.02 /* Of the write buffer. */

struct store_snapshot {
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *options;
};

struct rocks_kv {
    struct store_kv kv; /* First. */
    rocksdb_t *db;
    rocksdb_readoptions_t *read, *read_flushed;
    rocksdb_writeoptions_t *write;
    rocksdb_flushoptions_t *flush;
    rocksdb_writebatch_t *batch; /* Reused. */
    bool flush_wanted;           /* Asked for when RocksDB would have waited. */
    size_t unchecked_size;       /* Written since the last look at the disk. */
    bool full;
    uint64_t free_size_min;
    char *path;
    size_t snapshots_out, iterators_out;
};

struct rocks_iterator {
    struct store_iterator iterator; /* First. */
    struct rocks_kv *kv;
    rocksdb_readoptions_t *options;
    rocksdb_iterator_t *position;
    bool started;
    size_t first_size, end_size;
    uint8_t bounds[]; /* First, then end: RocksDB refers to the end. */
};

static struct rocks_kv *rocks_of(struct store_kv *kv)
{
    return (struct rocks_kv *)kv;
}

/* Takes the error over. Nothing can be said of the store any more. */
static void check_or_die(const struct rocks_kv *kv, const char *operation, char *error)
{
    if (error == NULL)
        return;
    char path[512], text[1024];
    base_log(BASE_LOG_ERROR, "state_failed", "operation=%s path=%s error=%s", operation,
             base_log_quote(path, sizeof(path), kv->path, strlen(kv->path)),
             base_log_quote(text, sizeof(text), error, strlen(error)));
    _exit(STORE_ROCKS_FAILED_EXIT);
}

/* ---- Reading ------------------------------------------------------------------------------------
 */

static void rocks_value_release(void *handle)
{
    rocksdb_pinnableslice_destroy(handle);
}

static enum torc_status get_with(struct rocks_kv *kv, const rocksdb_readoptions_t *options,
                                 struct base_bytes key, struct store_value *ret_value)
{
    char *error = NULL;
    rocksdb_pinnableslice_t *pinned =
        rocksdb_get_pinned(kv->db, options, (const char *)key.data, key.size, &error);
    check_or_die(kv, "get", error);
    if (pinned == NULL)
        return TORC_NOT_FOUND;
    size_t size;
    const char *data = rocksdb_pinnableslice_value(pinned, &size);
    *ret_value = (struct store_value){base_bytes_of(data, size), rocks_value_release, pinned};
    return TORC_OK;
}

static enum torc_status rocks_get(struct store_kv *kv, const struct store_snapshot *snapshot,
                                  struct base_bytes key, struct store_value *ret_value)
{
    return get_with(rocks_of(kv), snapshot == NULL ? rocks_of(kv)->read : snapshot->options, key,
                    ret_value);
}

static enum torc_status rocks_get_flushed(struct store_kv *kv, struct base_bytes key,
                                          struct store_value *ret_value)
{
    return get_with(rocks_of(kv), rocks_of(kv)->read_flushed, key, ret_value);
}

static void *must(void *memory)
{
    TORC_ASSERT(memory != NULL);
    return memory;
}

static struct store_snapshot *rocks_snapshot(struct store_kv *store)
{
    struct rocks_kv *kv = rocks_of(store);
    struct store_snapshot *snapshot = must(malloc(sizeof(*snapshot)));
    snapshot->snapshot = rocksdb_create_snapshot(kv->db);
    snapshot->options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(snapshot->options, snapshot->snapshot);
    kv->snapshots_out++;
    return snapshot;
}

static void rocks_snapshot_release(struct store_kv *store, struct store_snapshot *snapshot)
{
    struct rocks_kv *kv = rocks_of(store);
    TORC_ASSERT(kv->snapshots_out > 0);
    kv->snapshots_out--;
    rocksdb_readoptions_destroy(snapshot->options);
    rocksdb_release_snapshot(kv->db, snapshot->snapshot);
    free(snapshot);
}

static struct store_iterator *rocks_iterate(struct store_kv *store,
                                            const struct store_snapshot *snapshot,
                                            struct base_bytes first, struct base_bytes end)
{
    struct rocks_kv *kv = rocks_of(store);
    struct rocks_iterator *iterator = must(calloc(1, sizeof(*iterator) + first.size + end.size));
    iterator->iterator.table = store->table;
    iterator->kv = kv;
    iterator->first_size = first.size;
    iterator->end_size = end.size;
    if (first.size > 0)
        memcpy(iterator->bounds, first.data, first.size);
    if (end.size > 0)
        memcpy(iterator->bounds + first.size, end.data, end.size);
    iterator->options = rocksdb_readoptions_create();
    if (snapshot != NULL)
        rocksdb_readoptions_set_snapshot(iterator->options, snapshot->snapshot);
    if (end.size > 0)
        rocksdb_readoptions_set_iterate_upper_bound(
            iterator->options, (const char *)iterator->bounds + first.size, end.size);
    iterator->position = rocksdb_create_iterator(kv->db, iterator->options);
    kv->iterators_out++;
    return &iterator->iterator;
}

/* Past the end, or stopped by an error: RocksDB says which only when asked. */
static enum torc_status iterator_end(const struct rocks_iterator *iterator)
{
    char *error = NULL;
    rocksdb_iter_get_error(iterator->position, &error);
    if (error == NULL)
        return TORC_NOT_FOUND;
    char text[1024];
    base_log(BASE_LOG_ERROR, "state_iteration_damaged", "error=%s",
             base_log_quote(text, sizeof(text), error, strlen(error)));
    rocksdb_free(error);
    return TORC_DAMAGED;
}

static enum torc_status rocks_iterator_next(struct store_iterator *handle,
                                            struct base_bytes *ret_key,
                                            struct base_bytes *ret_value)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)handle;
    if (!iterator->started)
        rocksdb_iter_seek(iterator->position, (const char *)iterator->bounds, iterator->first_size);
    else if (rocksdb_iter_valid(iterator->position))
        rocksdb_iter_next(iterator->position);
    iterator->started = true;
    if (!rocksdb_iter_valid(iterator->position))
        return iterator_end(iterator);
    size_t size;
    const char *key = rocksdb_iter_key(iterator->position, &size);
    *ret_key = base_bytes_of(key, size);
    const char *value = rocksdb_iter_value(iterator->position, &size);
    *ret_value = base_bytes_of(value, size);
    return TORC_OK;
}

static void rocks_iterator_free(struct store_iterator *handle)
{
    struct rocks_iterator *iterator = (struct rocks_iterator *)handle;
    TORC_ASSERT(iterator->kv->iterators_out > 0);
    iterator->kv->iterators_out--;
    rocksdb_iter_destroy(iterator->position);
    rocksdb_readoptions_destroy(iterator->options);
    free(iterator);
}

/* ---- Writing ------------------------------------------------------------------------------------
 */

static uint64_t property(const struct rocks_kv *kv, const char *name)
{
    uint64_t number = 0;
    TORC_ASSERT(rocksdb_property_int(kv->db, name, &number) == 0);
    return number;
}

static uint64_t level0_files(const struct rocks_kv *kv)
{
    char *text = rocksdb_property_value(kv->db, "rocksdb.num-files-at-level0");
    TORC_ASSERT(text != NULL);
    uint64_t files = strtoull(text, NULL, 10);
    rocksdb_free(text);
    return files;
}

/* RocksDB waits inside a flush that would lead to a stall, also when told not to wait; so such a
 * flush is put off, until a later call finds room. */
static void flush_if_wanted(struct rocks_kv *kv)
{
    if (!kv->flush_wanted ||
        property(kv, "rocksdb.num-immutable-mem-table") > MEMTABLES_WAITING_MAX ||
        level0_files(kv) > LEVEL0_FLUSH_FILES_MAX)
        return;
    char *error = NULL;
    kv->flush_wanted = false;
    rocksdb_flush(kv->db, kv->flush, &error);
    check_or_die(kv, "flush", error);
}

static void rocks_flush(struct store_kv *store)
{
    rocks_of(store)->flush_wanted = true;
    flush_if_wanted(rocks_of(store));
}

static size_t rocks_unflushed_size(struct store_kv *store)
{
    flush_if_wanted(rocks_of(store));
    return (size_t)property(rocks_of(store), "rocksdb.cur-size-all-mem-tables");
}

/* RocksDB does not survive a full disk: the reserve is seen before it is. */
static bool disk_is_full(struct rocks_kv *kv, size_t size)
{
    kv->unchecked_size += size;
    if (!kv->full && kv->unchecked_size < FREE_CHECK_SIZE)
        return false;
    struct statvfs disk;
    kv->unchecked_size = 0;
    if (statvfs(kv->path, &disk) == 0)
        kv->full = (uint64_t)disk.f_bavail * disk.f_frsize < kv->free_size_min;
    return kv->full;
}

static enum torc_status rocks_write(struct store_kv *store, const struct store_batch *batch)
{
    struct rocks_kv *kv = rocks_of(store);
    if (disk_is_full(kv, store_batch_size(batch)))
        return TORC_FULL;
    flush_if_wanted(kv);
    struct base_bytes key, value;
    rocksdb_writebatch_clear(kv->batch);
    for (size_t cursor = 0; store_batch_next(batch, &cursor, &key, &value);) {
        if (value.data == NULL)
            rocksdb_writebatch_delete(kv->batch, (const char *)key.data, key.size);
        else
            rocksdb_writebatch_put(kv->batch, (const char *)key.data, key.size,
                                   (const char *)value.data, value.size);
    }
    char *error = NULL;
    rocksdb_write(kv->db, kv->write, kv->batch, &error);
    /* Incomplete: it would have had to wait, and has done nothing. */
    if (error != NULL && strncmp(error, "Result incomplete", 17) == 0) {
        rocksdb_free(error);
        return TORC_BUSY;
    }
    check_or_die(kv, "write", error);
    return TORC_OK;
}

/* ---- Life ---------------------------------------------------------------------------------------
 */

static void rocks_close(struct store_kv *store)
{
    struct rocks_kv *kv = rocks_of(store);
    TORC_ASSERT(kv->snapshots_out == 0);
    TORC_ASSERT(kv->iterators_out == 0);
    rocksdb_writebatch_destroy(kv->batch);
    rocksdb_close(kv->db);
    rocksdb_flushoptions_destroy(kv->flush);
    rocksdb_writeoptions_destroy(kv->write);
    rocksdb_readoptions_destroy(kv->read_flushed);
    rocksdb_readoptions_destroy(kv->read);
    free(kv->path);
    free(kv);
}

static const struct store_kv_table rocks_table = {.get = rocks_get,
                                                  .get_flushed = rocks_get_flushed,
                                                  .write = rocks_write,
                                                  .snapshot = rocks_snapshot,
                                                  .snapshot_release = rocks_snapshot_release,
                                                  .iterate = rocks_iterate,
                                                  .iterator_next = rocks_iterator_next,
                                                  .iterator_free = rocks_iterator_free,
                                                  .flush = rocks_flush,
                                                  .unflushed_size = rocks_unflushed_size,
                                                  .close = rocks_close};

struct store_rocks_config store_rocks_config_default(const char *path)
{
    return (struct store_rocks_config){.path = path,
                                       .write_buffer_size = 64 << 20,
                                       .block_cache_size = 128 << 20,
                                       .open_files_max = 512,
                                       .background_jobs_max = 2,
                                       .free_size_min = UINT64_C(2) << 30};
}

/* What is new is written and read often and soon written again: only what stays is worth it. */
static void set_compression(rocksdb_options_t *options)
{
    int levels[LEVELS];
    for (int i = 0; i < LEVELS; i++)
        levels[i] = i < 2 ? rocksdb_no_compression : rocksdb_lz4_compression;
    rocksdb_options_set_compression_per_level(options, levels, LEVELS);
}

/* Files are on the disk as they are written, no faster than it takes them: not all at once at their
 * end, while the log's syncs wait behind them. The C API knows the second option by name only. */
static rocksdb_options_t *pace(rocksdb_options_t *options)
{
    char *error = NULL;
    rocksdb_options_t *paced = rocksdb_options_create();
    rocksdb_options_set_bytes_per_sync(options, FILE_SYNC_SIZE);
    rocksdb_get_options_from_string(options, "strict_bytes_per_sync=true", paced, &error);
    TORC_ASSERT(error == NULL);
    rocksdb_options_destroy(options);
    return paced;
}

static rocksdb_options_t *options_new(const struct store_rocks_config *config)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, config->create);
    rocksdb_options_set_error_if_exists(options, config->create);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_write_buffer_size(options, config->write_buffer_size / MEMTABLES_MERGED);
    rocksdb_options_set_min_write_buffer_number_to_merge(options, MEMTABLES_MERGED);
    rocksdb_options_set_max_write_buffer_number(options, MEMTABLES_MAX);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, LEVEL0_COMPACTION_FILES);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, LEVEL0_SLOWDOWN_FILES);
    rocksdb_options_set_max_bytes_for_level_base(options, LEVEL1_SIZE);
    rocksdb_options_set_max_open_files(options, config->open_files_max);
    rocksdb_options_set_max_background_jobs(options, config->background_jobs_max);
    set_compression(options);
    rocksdb_options_set_info_log_level(options, LOG_LEVEL_WARN);
    rocksdb_options_set_max_log_file_size(options, 1 << 20);
    rocksdb_options_set_keep_log_file_num(options, 4);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    /* A read of a key that was not written lately does not walk the skip list. */
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, MEMTABLE_FILTER_SHARE);
    rocksdb_options_set_memtable_whole_key_filtering(options, 1);

    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(config->block_cache_size);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_cache_destroy(cache); /* The options keep a reference. */
    rocksdb_block_based_options_destroy(table);
    return pace(options);
}

/* RocksDB says what is wrong only in words. */
static enum torc_status open_status_of(const char *error)
{
    static const struct {
        const char *words;
        enum torc_status status;
    } meanings[] = {
        {"does not exist (create_if_missing is false)", TORC_NOT_FOUND},
        {"exists (error_if_exists is true)", TORC_EXISTS},
        {"While lock file", TORC_LOCKED},
        {"lock hold by current process", TORC_LOCKED},
        {"unsupported format_version", TORC_NEWER},
        {"No such file or directory", TORC_DAMAGED}, /* One that another file names. */
        {"IO error", TORC_IO},
    };
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strstr(error, meanings[i].words) != NULL)
            return meanings[i].status;
    }
    return TORC_DAMAGED;
}

static const char *open_advice(enum torc_status status)
{
    switch (status) {
    case TORC_NOT_FOUND:
        return "there is no state here: a data directory is made by formatting it, never by a "
               "start";
    case TORC_EXISTS:
        return "there is a state here already: format only an empty directory";
    case TORC_LOCKED:
        return "another process has it open: stop that one first";
    case TORC_NEWER:
        return "it was written by a newer version: start that version";
    case TORC_IO:
        return "the disk or the directory's permissions are at fault";
    default:
        return "the state is damaged: it has to be rebuilt from the other replicas";
    }
}

enum torc_status store_rocks_open(const struct store_rocks_config *config, char *error,
                                  size_t error_size, struct store_kv **ret_kv)
{
    char *failure = NULL;
    rocksdb_options_t *options = options_new(config);
    rocksdb_t *db = rocksdb_open(options, config->path, &failure);
    rocksdb_options_destroy(options);
    if (failure != NULL) {
        enum torc_status status = open_status_of(failure);
        snprintf(error, error_size, "%s: %s (%s)", config->path, open_advice(status), failure);
        rocksdb_free(failure);
        return status;
    }
    struct rocks_kv *kv = must(calloc(1, sizeof(*kv)));
    kv->kv.table = &rocks_table;
    kv->db = db;
    kv->path = must(strdup(config->path));
    kv->free_size_min = config->free_size_min;
    kv->unchecked_size = FREE_CHECK_SIZE; /* The first write looks. */
    kv->read = rocksdb_readoptions_create();
    kv->read_flushed = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(kv->read_flushed, READ_TIER_PERSISTED);
    kv->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(kv->write, 1);
    rocksdb_writeoptions_set_no_slowdown(kv->write, 1);
    kv->flush = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(kv->flush, 0);
    kv->batch = rocksdb_writebatch_create();
    *ret_kv = &kv->kv;
    return TORC_OK;
}
