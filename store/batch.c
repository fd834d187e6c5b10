#include "store/kv.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

/* The newest write of one key; keys and values lie in the batch's bytes. */
struct batch_write {
    uint64_t hash;
    size_t key_at, value_at; /* value_at 0: no value so far, since keys come first. */
    size_t key_size, value_size;
    size_t slot; /* Its place in the table. */
    bool deleted;
};

/* Scratch of sorting, where a write and its key are side by side. */
struct batch_order {
    struct base_bytes key;
    struct batch_write write;
};

/*
 * A table of open addressing (linear probing, at most half full) maps a key to its write.
 * Invariant: table[writes[i].slot] == i + 1, all other places are 0.
 */
struct store_batch {
    const struct base_allocator *allocator;
    uint8_t *bytes;
    size_t bytes_size, bytes_capacity;
    struct batch_write *writes; /* One per key, in the order of first writes. */
    size_t write_count, write_capacity;
    uint32_t *table;
    size_t table_size; /* A power of two, or 0. */
    struct batch_order *order;
    size_t order_capacity;
};

enum { TABLE_SIZE_MIN = 64 };

struct store_batch *store_batch_new(const struct base_allocator *allocator)
{
    struct store_batch *batch = base_alloc_zero(allocator, sizeof(*batch));
    batch->allocator = allocator;
    return batch;
}

void store_batch_free(struct store_batch *batch)
{
    if (batch == NULL)
        return;
    const struct base_allocator *allocator = batch->allocator;
    base_array_free(allocator, batch->bytes, &batch->bytes_capacity, 1);
    base_array_free(allocator, batch->writes, &batch->write_capacity, sizeof(*batch->writes));
    base_free(allocator, batch->table, batch->table_size * sizeof(*batch->table));
    base_array_free(allocator, batch->order, &batch->order_capacity, sizeof(*batch->order));
    base_free(allocator, batch, sizeof(*batch));
}

void store_batch_clear(struct store_batch *batch)
{
    /* Place by place, so that a small batch after a huge one costs what a small one costs. */
    for (size_t i = 0; i < batch->write_count; i++)
        batch->table[batch->writes[i].slot] = 0;
    batch->write_count = 0;
    batch->bytes_size = 0;
}

/* The place of the key: that of its write, or the empty one where it would go. */
static size_t batch_slot(const struct store_batch *batch, uint64_t hash, struct base_bytes key)
{
    size_t mask = batch->table_size - 1;
    size_t slot = (size_t)hash & mask;
    for (; batch->table[slot] != 0; slot = (slot + 1) & mask) {
        const struct batch_write *write = &batch->writes[batch->table[slot] - 1];
        if (write->hash == hash &&
            base_bytes_equal(base_bytes_of(batch->bytes + write->key_at, write->key_size), key))
            break;
    }
    return slot;
}

static void batch_table_grow(struct store_batch *batch)
{
    size_t size = batch->table_size == 0 ? TABLE_SIZE_MIN : batch->table_size * 2;
    base_free(batch->allocator, batch->table, batch->table_size * sizeof(*batch->table));
    batch->table = base_alloc_zero(batch->allocator, size * sizeof(*batch->table));
    batch->table_size = size;
    for (size_t i = 0; i < batch->write_count; i++) {
        size_t slot = (size_t)batch->writes[i].hash & (size - 1);
        while (batch->table[slot] != 0)
            slot = (slot + 1) & (size - 1);
        batch->table[slot] = (uint32_t)(i + 1);
        batch->writes[i].slot = slot;
    }
}

static size_t batch_append(struct store_batch *batch, struct base_bytes bytes)
{
    size_t at = batch->bytes_size;
    batch->bytes = base_array_reserve(batch->allocator, batch->bytes, &batch->bytes_capacity,
                                      at + bytes.size, 1);
    if (bytes.size > 0)
        memcpy(batch->bytes + at, bytes.data, bytes.size);
    batch->bytes_size += bytes.size;
    return at;
}

/* The write of the key, made if the batch says nothing of it yet. */
static struct batch_write *batch_write_of(struct store_batch *batch, struct base_bytes key)
{
    TORC_ASSERT(key.size > 0);
    if ((batch->write_count + 1) * 2 > batch->table_size)
        batch_table_grow(batch);
    uint64_t hash = base_hash(key);
    size_t slot = batch_slot(batch, hash, key);
    if (batch->table[slot] != 0)
        return &batch->writes[batch->table[slot] - 1];
    TORC_ASSERT(batch->write_count < UINT32_MAX);
    batch->writes = base_array_reserve(batch->allocator, batch->writes, &batch->write_capacity,
                                       batch->write_count + 1, sizeof(*batch->writes));
    struct batch_write *write = &batch->writes[batch->write_count++];
    *write = (struct batch_write){.hash = hash, .key_size = key.size, .slot = slot};
    write->key_at = batch_append(batch, key);
    batch->table[slot] = (uint32_t)batch->write_count;
    return write;
}

static bool batch_owns(const struct store_batch *batch, struct base_bytes bytes)
{
    uintptr_t start = (uintptr_t)batch->bytes, at = (uintptr_t)bytes.data;
    return bytes.size > 0 && at >= start && at < start + batch->bytes_capacity;
}

void store_batch_put(struct store_batch *batch, struct base_bytes key, struct base_bytes value)
{
    TORC_ASSERT(!batch_owns(batch, key));
    TORC_ASSERT(!batch_owns(batch, value));
    struct batch_write *write = batch_write_of(batch, key);
    /* A counter that every operation of an entry writes takes its room once. */
    if (write->value_at > 0 && value.size <= write->value_size) {
        if (value.size > 0)
            memcpy(batch->bytes + write->value_at, value.data, value.size);
    } else {
        write->value_at = batch_append(batch, value);
    }
    write->value_size = value.size;
    write->deleted = false;
}

void store_batch_delete(struct store_batch *batch, struct base_bytes key)
{
    TORC_ASSERT(!batch_owns(batch, key));
    struct batch_write *write = batch_write_of(batch, key);
    write->deleted = true;
}

size_t store_batch_count(const struct store_batch *batch)
{
    return batch->write_count;
}

size_t store_batch_size(const struct store_batch *batch)
{
    return batch->bytes_size;
}

enum torc_status store_batch_find(const struct store_batch *batch, struct base_bytes key,
                                  struct base_bytes *ret_value)
{
    TORC_ASSERT(key.size > 0);
    if (batch->write_count == 0)
        return TORC_STALE;
    size_t slot = batch_slot(batch, base_hash(key), key);
    if (batch->table[slot] == 0)
        return TORC_STALE;
    const struct batch_write *write = &batch->writes[batch->table[slot] - 1];
    if (write->deleted)
        return TORC_NOT_FOUND;
    *ret_value = base_bytes_of(batch->bytes + write->value_at, write->value_size);
    return TORC_OK;
}

static int order_compare(const void *left, const void *right)
{
    return base_bytes_compare(((const struct batch_order *)left)->key,
                              ((const struct batch_order *)right)->key);
}

void store_batch_sort(struct store_batch *batch)
{
    size_t count = batch->write_count;
    batch->order = base_array_reserve(batch->allocator, batch->order, &batch->order_capacity, count,
                                      sizeof(*batch->order));
    for (size_t i = 0; i < count; i++) {
        const struct batch_write *write = &batch->writes[i];
        batch->order[i] = (struct batch_order){
            base_bytes_of(batch->bytes + write->key_at, write->key_size), *write};
    }
    if (count > 1)
        qsort(batch->order, count, sizeof(*batch->order), order_compare);
    for (size_t i = 0; i < count; i++) {
        batch->writes[i] = batch->order[i].write;
        batch->table[batch->writes[i].slot] = (uint32_t)(i + 1);
    }
}

bool store_batch_next(const struct store_batch *batch, size_t *cursor, struct base_bytes *ret_key,
                      struct base_bytes *ret_value)
{
    TORC_ASSERT(*cursor <= batch->write_count);
    if (*cursor == batch->write_count)
        return false;
    const struct batch_write *write = &batch->writes[(*cursor)++];
    *ret_key = base_bytes_of(batch->bytes + write->key_at, write->key_size);
    *ret_value = write->deleted ? base_bytes_of(NULL, 0)
                                : base_bytes_of(batch->bytes + write->value_at, write->value_size);
    return true;
}
