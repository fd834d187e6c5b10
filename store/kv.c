#include "store/kv.h"

#include "base/assert.h"
#include "store/kv_int.h"

enum torc_status store_kv_get(struct store_kv *kv, const struct store_snapshot *snapshot,
                              struct base_bytes key, struct store_value *ret_value)
{
    TORC_ASSERT(key.size > 0);
    enum torc_status status = kv->table->get(kv, snapshot, key, ret_value);
    TORC_ASSERT(status == TORC_OK || status == TORC_NOT_FOUND);
    return status;
}

enum torc_status store_kv_get_flushed(struct store_kv *kv, struct base_bytes key,
                                      struct store_value *ret_value)
{
    TORC_ASSERT(key.size > 0);
    enum torc_status status = kv->table->get_flushed(kv, key, ret_value);
    TORC_ASSERT(status == TORC_OK || status == TORC_NOT_FOUND);
    return status;
}

void store_value_release(struct store_value *value)
{
    TORC_ASSERT(value->release != NULL);
    value->release(value->handle);
    *value = (struct store_value){0};
}

enum torc_status store_kv_write(struct store_kv *kv, const struct store_batch *batch)
{
    enum torc_status status = kv->table->write(kv, batch);
    TORC_ASSERT(status == TORC_OK || status == TORC_BUSY || status == TORC_FULL);
    return status;
}

struct store_snapshot *store_kv_snapshot(struct store_kv *kv)
{
    return kv->table->snapshot(kv);
}

void store_snapshot_release(struct store_kv *kv, struct store_snapshot *snapshot)
{
    if (snapshot != NULL)
        kv->table->snapshot_release(kv, snapshot);
}

struct store_iterator *store_kv_iterate(struct store_kv *kv, const struct store_snapshot *snapshot,
                                        struct base_bytes first, struct base_bytes end)
{
    return kv->table->iterate(kv, snapshot, first, end);
}

enum torc_status store_iterator_next(struct store_iterator *iterator, struct base_bytes *ret_key,
                                     struct base_bytes *ret_value)
{
    enum torc_status status = iterator->table->iterator_next(iterator, ret_key, ret_value);
    TORC_ASSERT(status == TORC_OK || status == TORC_NOT_FOUND || status == TORC_DAMAGED);
    return status;
}

void store_iterator_free(struct store_iterator *iterator)
{
    if (iterator != NULL)
        iterator->table->iterator_free(iterator);
}

void store_kv_flush(struct store_kv *kv)
{
    kv->table->flush(kv);
}

size_t store_kv_unflushed_size(struct store_kv *kv)
{
    return kv->table->unflushed_size(kv);
}

void store_kv_close(struct store_kv *kv)
{
    if (kv != NULL)
        kv->table->close(kv);
}
