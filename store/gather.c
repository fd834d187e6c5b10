#include "store/gather.h"

#include "base/assert.h"
#include "store/kv_int.h"

/* What was gathered. Who has given a value or a snapshot of it away does not change it any more. */
struct gather_part {
    struct gather *gather;
    struct store_batch *batch;
    size_t holders; /* The store, values and snapshots. */
};

struct gather {
    struct store_kv kv; /* First. */
    const struct base_allocator *allocator;
    struct store_kv *below;
    struct gather_part *part; /* What has not gone down. */
    size_t size_max;
    bool flush_wanted; /* Asked for while the store below was busy. */
    size_t out;        /* Values, snapshots and iterators. */
};

/* The store below as it was, and what was gathered then. */
struct store_snapshot {
    struct store_snapshot *below;
    struct gather_part *part;
};

struct gather_iterator {
    struct store_iterator iterator; /* First. */
    struct gather *gather;
    struct store_batch *batch; /* Its range of what was gathered, sorted. */
    size_t cursor;
    struct store_iterator *below;
    /* The next of each side, not given yet: key.data NULL when there is none at hand. */
    struct base_bytes key, value, below_key, below_value;
    bool below_advance;
    enum torc_status below_status;
};

static struct gather *gather_of(struct store_kv *kv)
{
    return (struct gather *)kv;
}

static void batch_add(struct store_batch *batch, struct base_bytes key, struct base_bytes value)
{
    if (value.data == NULL)
        store_batch_delete(batch, key);
    else
        store_batch_put(batch, key, value);
}

/* ---- Parts --------------------------------------------------------------------------------------
 */

static struct gather_part *part_new(struct gather *gather)
{
    struct gather_part *part = base_alloc(gather->allocator, sizeof(*part));
    *part = (struct gather_part){
        .gather = gather, .batch = store_batch_new(gather->allocator), .holders = 1};
    return part;
}

static void part_release(void *handle)
{
    struct gather_part *part = handle;
    TORC_ASSERT(part->holders > 0);
    if (--part->holders > 0)
        return;
    store_batch_free(part->batch);
    base_free(part->gather->allocator, part, sizeof(*part));
}

/* Given away: a value, a snapshot. */
static struct gather_part *part_hold(struct gather_part *part)
{
    part->holders++;
    part->gather->out++;
    return part;
}

static void part_give_back(void *handle)
{
    struct gather_part *part = handle;
    TORC_ASSERT(part->gather->out > 0);
    part->gather->out--;
    part_release(part);
}

/* The batch to be changed: nobody else holds it. */
static struct store_batch *part_own(struct gather *gather)
{
    struct gather_part *part = gather->part;
    if (part->holders == 1)
        return part->batch;
    struct base_bytes key, value;
    gather->part = part_new(gather);
    for (size_t cursor = 0; store_batch_next(part->batch, &cursor, &key, &value);)
        batch_add(gather->part->batch, key, value);
    part_release(part);
    return gather->part->batch;
}

/* ---- Reading ------------------------------------------------------------------------------------
 */

static enum torc_status gather_get(struct store_kv *kv, const struct store_snapshot *snapshot,
                                   struct base_bytes key, struct store_value *ret_value)
{
    struct gather *gather = gather_of(kv);
    struct gather_part *part = snapshot == NULL ? gather->part : snapshot->part;
    struct base_bytes bytes;
    enum torc_status status = store_batch_find(part->batch, key, &bytes);
    if (status == TORC_STALE)
        return store_kv_get(gather->below, snapshot == NULL ? NULL : snapshot->below, key,
                            ret_value);
    if (status != TORC_OK)
        return status;
    *ret_value =
        (struct store_value){.bytes = bytes, .release = part_give_back, .handle = part_hold(part)};
    return TORC_OK;
}

static enum torc_status gather_get_flushed(struct store_kv *kv, struct base_bytes key,
                                           struct store_value *ret_value)
{
    return store_kv_get_flushed(gather_of(kv)->below, key, ret_value);
}

/* A copy of what the batch says of the keys in [first, end); an empty `end` is no end. */
static struct store_batch *batch_range(const struct gather *gather, const struct store_batch *batch,
                                       struct base_bytes first, struct base_bytes end)
{
    struct store_batch *range = store_batch_new(gather->allocator);
    struct base_bytes key, value;
    for (size_t cursor = 0; store_batch_next(batch, &cursor, &key, &value);) {
        if (base_bytes_compare(key, first) >= 0 &&
            (end.size == 0 || base_bytes_compare(key, end) < 0))
            batch_add(range, key, value);
    }
    return range;
}

static struct store_snapshot *gather_snapshot(struct store_kv *kv)
{
    struct gather *gather = gather_of(kv);
    struct store_snapshot *snapshot = base_alloc(gather->allocator, sizeof(*snapshot));
    *snapshot = (struct store_snapshot){.below = store_kv_snapshot(gather->below),
                                        .part = part_hold(gather->part)};
    return snapshot;
}

static void gather_snapshot_release(struct store_kv *kv, struct store_snapshot *snapshot)
{
    struct gather *gather = gather_of(kv);
    store_snapshot_release(gather->below, snapshot->below);
    part_give_back(snapshot->part);
    base_free(gather->allocator, snapshot, sizeof(*snapshot));
}

static struct store_iterator *gather_iterate(struct store_kv *kv,
                                             const struct store_snapshot *snapshot,
                                             struct base_bytes first, struct base_bytes end)
{
    struct gather *gather = gather_of(kv);
    struct gather_iterator *iterator = base_alloc(gather->allocator, sizeof(*iterator));
    const struct gather_part *part = snapshot == NULL ? gather->part : snapshot->part;
    *iterator = (struct gather_iterator){
        .iterator.table = kv->table,
        .gather = gather,
        .batch = batch_range(gather, part->batch, first, end),
        .below =
            store_kv_iterate(gather->below, snapshot == NULL ? NULL : snapshot->below, first, end),
        .below_advance = true,
    };
    store_batch_sort(iterator->batch);
    if (!store_batch_next(iterator->batch, &iterator->cursor, &iterator->key, &iterator->value))
        iterator->key = base_bytes_of(NULL, 0);
    gather->out++;
    return &iterator->iterator;
}

/* Whether the next is the gathered side's; a key on both sides is taken from both. */
static bool take_gathered(struct gather_iterator *iterator)
{
    if (iterator->key.data == NULL)
        return false;
    if (iterator->below_status != TORC_OK)
        return true;
    int order = base_bytes_compare(iterator->key, iterator->below_key);
    if (order == 0)
        iterator->below_advance = true;
    return order <= 0;
}

static enum torc_status gather_iterator_next(struct store_iterator *handle,
                                             struct base_bytes *ret_key,
                                             struct base_bytes *ret_value)
{
    struct gather_iterator *iterator = (struct gather_iterator *)handle;
    for (;;) {
        if (iterator->below_advance && iterator->below_status == TORC_OK)
            iterator->below_status =
                store_iterator_next(iterator->below, &iterator->below_key, &iterator->below_value);
        iterator->below_advance = false;
        if (iterator->below_status == TORC_DAMAGED)
            return TORC_DAMAGED;
        if (!take_gathered(iterator)) {
            *ret_key = iterator->below_key;
            *ret_value = iterator->below_value;
            iterator->below_advance = true;
            return iterator->below_status;
        }
        *ret_key = iterator->key;
        *ret_value = iterator->value;
        if (!store_batch_next(iterator->batch, &iterator->cursor, &iterator->key, &iterator->value))
            iterator->key = base_bytes_of(NULL, 0);
        if (ret_value->data != NULL)
            return TORC_OK;
    }
}

static void gather_iterator_free(struct store_iterator *handle)
{
    struct gather_iterator *iterator = (struct gather_iterator *)handle;
    struct gather *gather = iterator->gather;
    TORC_ASSERT(gather->out > 0);
    gather->out--;
    store_iterator_free(iterator->below);
    store_batch_free(iterator->batch);
    base_free(gather->allocator, iterator, sizeof(*iterator));
}

/* ---- Writing ------------------------------------------------------------------------------------
 */

/* Everything gathered goes down, or stays. */
static enum torc_status hand_on(struct gather *gather)
{
    struct gather_part *part = gather->part;
    if (store_batch_count(part->batch) == 0)
        return TORC_OK;
    store_batch_sort(part->batch);
    enum torc_status status = store_kv_write(gather->below, part->batch);
    if (status != TORC_OK)
        return status;
    if (part->holders == 1) {
        store_batch_clear(part->batch);
    } else {
        gather->part = part_new(gather);
        part_release(part);
    }
    return TORC_OK;
}

static void flush_if_wanted(struct gather *gather)
{
    if (!gather->flush_wanted || hand_on(gather) != TORC_OK)
        return;
    gather->flush_wanted = false;
    store_kv_flush(gather->below);
}

static enum torc_status gather_write(struct store_kv *kv, const struct store_batch *batch)
{
    struct gather *gather = gather_of(kv);
    flush_if_wanted(gather);
    size_t size = store_batch_size(batch);
    if (store_batch_size(gather->part->batch) + size > gather->size_max) {
        enum torc_status status = hand_on(gather);
        if (status != TORC_OK)
            return status;
        if (size > gather->size_max)
            return store_kv_write(gather->below, batch);
    }
    struct store_batch *own = part_own(gather);
    struct base_bytes key, value;
    for (size_t cursor = 0; store_batch_next(batch, &cursor, &key, &value);)
        batch_add(own, key, value);
    return TORC_OK;
}

static void gather_flush(struct store_kv *kv)
{
    gather_of(kv)->flush_wanted = true;
    flush_if_wanted(gather_of(kv));
}

static size_t gather_unflushed_size(struct store_kv *kv)
{
    struct gather *gather = gather_of(kv);
    flush_if_wanted(gather);
    return store_batch_size(gather->part->batch) + store_kv_unflushed_size(gather->below);
}

/* ---- Life ---------------------------------------------------------------------------------------
 */

static void gather_close(struct store_kv *kv)
{
    struct gather *gather = gather_of(kv);
    TORC_ASSERT(gather->out == 0 && gather->part->holders == 1);
    part_release(gather->part);
    base_free(gather->allocator, gather, sizeof(*gather));
}

static const struct store_kv_table gather_table = {
    .get = gather_get,
    .get_flushed = gather_get_flushed,
    .write = gather_write,
    .snapshot = gather_snapshot,
    .snapshot_release = gather_snapshot_release,
    .iterate = gather_iterate,
    .iterator_next = gather_iterator_next,
    .iterator_free = gather_iterator_free,
    .flush = gather_flush,
    .unflushed_size = gather_unflushed_size,
    .close = gather_close,
};

struct store_kv *store_gather_new(const struct base_allocator *allocator, struct store_kv *below,
                                  size_t size_max)
{
    struct gather *gather = base_alloc_zero(allocator, sizeof(*gather));
    gather->kv.table = &gather_table;
    gather->allocator = allocator;
    gather->below = below;
    gather->part = part_new(gather);
    gather->size_max = size_max;
    return &gather->kv;
}
