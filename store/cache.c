#include "store/cache.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "store/kv_int.h"

enum {
    ROW_ALIGNMENT = 16,
    ROW_SHARE = 8,           /* No row is larger than the ring by this, */
    ROW_SIZE_MAX = 64 << 10, /* ... nor than this: making room for it would hold the loop. */
    ROW_SIZE_USUAL = 128,    /* The table is made for rows of twice that: it never grows. */
    TABLE_SIZE_MIN = 64,
};

/* In the ring. key_size 0: nothing, up to the ring's end. */
struct row {
    uint64_t hash;
    uint32_t key_size, value_size;
    uint8_t bytes[]; /* Key, then value. */
};

struct slot {
    uint64_t hash;
    uint64_t place; /* The row's position and one; 0: empty. */
};

/*
 * Positions are counted over all that was ever written; a row lies at its position modulo the
 * ring's size, in one piece. Invariant: tail <= positions of rows < head <= tail + ring_size; each
 * slot's row is there, and has its hash.
 */
struct cache {
    struct store_kv kv; /* First. */
    const struct base_allocator *allocator;
    struct store_kv *below;
    uint8_t *ring;
    size_t ring_size;
    uint64_t head, tail;
    struct slot *table; /* What collides lies behind; at most half is used. */
    size_t table_size, count;
    size_t out; /* Values given away: while there are any, no byte of the ring changes. */
    bool (*wanted)(void *context, struct base_bytes key); /* NULL: nothing that is written. */
    void *wanted_context;
    uint64_t seed; /* Of the hash. */
    uint64_t hits, misses;
};

static struct cache *cache_of(struct store_kv *kv)
{
    return (struct cache *)kv;
}

/* ---- The ring ------------------------------------------------------------------------------- */

static struct row *row_at(const struct cache *cache, uint64_t position)
{
    return (struct row *)(void *)(cache->ring + position % cache->ring_size);
}

static size_t row_size(size_t key_size, size_t value_size)
{
    size_t size = sizeof(struct row) + key_size + value_size;
    return (size + ROW_ALIGNMENT - 1) / ROW_ALIGNMENT * ROW_ALIGNMENT;
}

static bool row_is(const struct row *row, uint64_t hash, struct base_bytes key)
{
    return row->hash == hash && row->key_size == key.size &&
           memcmp(row->bytes, key.data, key.size) == 0;
}

/* ---- The table ------------------------------------------------------------------------------ */

static size_t slot_next(const struct cache *cache, size_t at)
{
    return (at + 1) & (cache->table_size - 1);
}

static size_t slot_home(const struct cache *cache, uint64_t hash)
{
    return (size_t)hash & (cache->table_size - 1);
}

static void slot_put(struct cache *cache, struct slot slot)
{
    size_t at = slot_home(cache, slot.hash);
    while (cache->table[at].place != 0)
        at = slot_next(cache, at);
    cache->table[at] = slot;
}

/* Its place in the table, or table_size. */
static size_t slot_find(const struct cache *cache, uint64_t hash, struct base_bytes key)
{
    for (size_t at = slot_home(cache, hash); cache->table[at].place != 0;
         at = slot_next(cache, at)) {
        const struct slot *slot = &cache->table[at];
        if (slot->hash == hash && row_is(row_at(cache, slot->place - 1), hash, key))
            return at;
    }
    return cache->table_size;
}

/* As in shard/records.c: what follows moves up, so that nothing marks a place as once used. */
static void slot_remove(struct cache *cache, size_t hole)
{
    size_t mask = cache->table_size - 1;
    for (size_t at = slot_next(cache, hole); cache->table[at].place != 0;
         at = slot_next(cache, at)) {
        size_t home = slot_home(cache, cache->table[at].hash);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        cache->table[hole] = cache->table[at];
        hole = at;
    }
    cache->table[hole] = (struct slot){0};
    cache->count--;
}

/* ---- Keeping rows --------------------------------------------------------------------------- */

/* The oldest row goes; its slot may have gone before. */
static void row_pop(struct cache *cache)
{
    const struct row *row = row_at(cache, cache->tail);
    if (row->key_size > 0) {
        size_t at = slot_find(cache, row->hash, base_bytes_of(row->bytes, row->key_size));
        if (at < cache->table_size && cache->table[at].place == cache->tail + 1)
            slot_remove(cache, at);
    }
    cache->tail += row_size(row->key_size, row->value_size);
}

/* The place of a new row at the head. */
static struct row *row_push(struct cache *cache, size_t size)
{
    size_t left = cache->ring_size - (size_t)(cache->head % cache->ring_size);
    size_t skipped = left < size ? left : 0;
    while (cache->head + skipped + size > cache->tail + cache->ring_size)
        row_pop(cache);
    if (skipped > 0) {
        *row_at(cache, cache->head) =
            (struct row){.value_size = (uint32_t)(skipped - sizeof(struct row))};
        cache->head += skipped;
    }
    struct row *row = row_at(cache, cache->head);
    cache->head += size;
    return row;
}

static void keep(struct cache *cache, uint64_t hash, struct base_bytes key, struct base_bytes value)
{
    size_t size = row_size(key.size, value.size);
    if (cache->out > 0 || size > cache->ring_size / ROW_SHARE || size > ROW_SIZE_MAX)
        return;
    while (cache->count >= cache->table_size / 2)
        row_pop(cache);
    struct row *row = row_push(cache, size);
    *row = (struct row){
        .hash = hash, .key_size = (uint32_t)key.size, .value_size = (uint32_t)value.size};
    memcpy(row->bytes, key.data, key.size);
    if (value.size > 0)
        memcpy(row->bytes + key.size, value.data, value.size);
    slot_put(cache, (struct slot){.hash = hash, .place = cache->head - size + 1});
    cache->count++;
}

/* ---- The store ------------------------------------------------------------------------------ */

static void give_back(void *handle)
{
    struct cache *cache = handle;
    TORC_ASSERT(cache->out > 0);
    cache->out--;
}

static enum torc_status cache_get(struct store_kv *kv, const struct store_snapshot *snapshot,
                                  struct base_bytes key, struct store_value *ret_value)
{
    struct cache *cache = cache_of(kv);
    if (snapshot != NULL)
        return store_kv_get(cache->below, snapshot, key, ret_value);
    uint64_t hash = base_hash_seeded(key, cache->seed);
    size_t at = slot_find(cache, hash, key);
    if (at < cache->table_size) {
        const struct row *row = row_at(cache, cache->table[at].place - 1);
        cache->hits++;
        cache->out++;
        *ret_value = (struct store_value){base_bytes_of(row->bytes + key.size, row->value_size),
                                          give_back, cache};
        return TORC_OK;
    }
    cache->misses++;
    enum torc_status status = store_kv_get(cache->below, NULL, key, ret_value);
    if (status == TORC_OK)
        keep(cache, hash, key, ret_value->bytes);
    return status;
}

static enum torc_status cache_get_flushed(struct store_kv *kv, struct base_bytes key,
                                          struct store_value *ret_value)
{
    return store_kv_get_flushed(cache_of(kv)->below, key, ret_value);
}

/* In place where the size is the same and nobody looks at it. */
static void row_written(struct cache *cache, struct base_bytes key, struct base_bytes value)
{
    uint64_t hash = base_hash_seeded(key, cache->seed);
    size_t at = slot_find(cache, hash, key);
    if (at < cache->table_size) {
        struct row *row = row_at(cache, cache->table[at].place - 1);
        if (value.data != NULL && value.size == row->value_size && cache->out == 0) {
            memcpy(row->bytes + key.size, value.data, value.size);
            return;
        }
        slot_remove(cache, at);
    }
    if (value.data != NULL && cache->wanted != NULL && cache->wanted(cache->wanted_context, key))
        keep(cache, hash, key, value);
}

static enum torc_status cache_write(struct store_kv *kv, const struct store_batch *batch)
{
    struct cache *cache = cache_of(kv);
    enum torc_status status = store_kv_write(cache->below, batch);
    if (status != TORC_OK || (cache->count == 0 && cache->wanted == NULL))
        return status;
    struct base_bytes key, value;
    for (size_t cursor = 0; store_batch_next(batch, &cursor, &key, &value);)
        row_written(cache, key, value);
    return TORC_OK;
}

static struct store_snapshot *cache_snapshot(struct store_kv *kv)
{
    return store_kv_snapshot(cache_of(kv)->below);
}

static void cache_snapshot_release(struct store_kv *kv, struct store_snapshot *snapshot)
{
    store_snapshot_release(cache_of(kv)->below, snapshot);
}

/* The iterator is the store's below, and goes its ways from here on. */
static struct store_iterator *cache_iterate(struct store_kv *kv,
                                            const struct store_snapshot *snapshot,
                                            struct base_bytes first, struct base_bytes end)
{
    return store_kv_iterate(cache_of(kv)->below, snapshot, first, end);
}

static void cache_flush(struct store_kv *kv)
{
    store_kv_flush(cache_of(kv)->below);
}

static size_t cache_unflushed_size(struct store_kv *kv)
{
    return store_kv_unflushed_size(cache_of(kv)->below);
}

static void cache_close(struct store_kv *kv)
{
    struct cache *cache = cache_of(kv);
    TORC_ASSERT(cache->out == 0);
    base_free(cache->allocator, cache->table, cache->table_size * sizeof(struct slot));
    base_free(cache->allocator, cache->ring, cache->ring_size);
    base_free(cache->allocator, cache, sizeof(*cache));
}

static const struct store_kv_table cache_table = {
    .get = cache_get,
    .get_flushed = cache_get_flushed,
    .write = cache_write,
    .snapshot = cache_snapshot,
    .snapshot_release = cache_snapshot_release,
    .iterate = cache_iterate,
    .flush = cache_flush,
    .unflushed_size = cache_unflushed_size,
    .close = cache_close,
};

struct store_kv *store_cache_new(const struct base_allocator *allocator, struct store_kv *below,
                                 size_t size_max, uint64_t seed)
{
    TORC_ASSERT(size_max >= STORE_CACHE_SIZE_MIN);
    struct cache *cache = base_alloc_zero(allocator, sizeof(*cache));
    cache->kv.table = &cache_table;
    cache->allocator = allocator;
    cache->below = below;
    cache->seed = seed;
    cache->ring_size = size_max / ROW_ALIGNMENT * ROW_ALIGNMENT;
    cache->ring = base_alloc(allocator, cache->ring_size);
    cache->table_size = TABLE_SIZE_MIN;
    while (cache->table_size < cache->ring_size / ROW_SIZE_USUAL)
        cache->table_size *= 2;
    cache->table = base_alloc_zero(allocator, cache->table_size * sizeof(struct slot));
    return &cache->kv;
}

void store_cache_keep_written(struct store_kv *kv,
                              bool (*wanted)(void *context, struct base_bytes key), void *context)
{
    struct cache *cache = cache_of(kv);
    TORC_ASSERT(kv->table == &cache_table);
    cache->wanted = wanted;
    cache->wanted_context = context;
}

void store_cache_stats(const struct store_kv *kv, struct store_cache_stats *ret_stats)
{
    const struct cache *cache = (const struct cache *)kv;
    TORC_ASSERT(kv->table == &cache_table);
    *ret_stats = (struct store_cache_stats){cache->hits, cache->misses, cache->count};
}
