#include "base/mutant.h"
#include "shard/machine_int.h"

/*
 * The index has a row per key and expiry, which holds the version of the key's row. A blind write
 * does not know what it replaces and leaves a row behind that nothing stands for any more; it is
 * removed when its time comes and it is met.
 *
 * The value of REMOVE_EXPIRED is what the leader found in the index: u64 version, u64 expiry, u16
 * key size, key, and so on.
 */
enum {
    REMOVAL_HEAD_SIZE = 18,
    REMOVAL_ROWS_MAX = 4096, /* Index rows looked at in one call. */
};

struct removal {
    uint64_t version, expiry_ms;
    struct base_bytes key;
};

/* ---- The index ----------------------------------------------------------------------------------
 */

static struct base_bytes index_key(struct shard_machine *machine, uint64_t expiry_ms,
                                   uint64_t token, struct base_bytes key)
{
    size_t size = SHARD_KEY_INDEX_SIZE + key.size;
    uint8_t *at = shard_memory_reserve(machine->allocator, &machine->key, size);
    shard_key_index_write(at, machine->config.group, expiry_ms, token, key);
    return base_bytes_of(at, size);
}

void shard_index_put(struct shard_run *run, uint64_t expiry_ms, uint64_t token,
                     struct base_bytes key)
{
    TORC_ASSERT(expiry_ms > 0);
    struct shard_machine *machine = run->machine;
    uint8_t version[SHARD_INDEX_SIZE];
    base_put_le64(version, run->clock + (TORC_MUTANT(INDEX_VERSION_WRONG) ? 1 : 0));
    shard_run_put(run, index_key(machine, expiry_ms, token, key),
                  base_bytes_of(version, sizeof(version)));
    if (machine->next_expiry_ms == 0 || expiry_ms < machine->next_expiry_ms)
        machine->next_expiry_ms = expiry_ms;
}

void shard_index_delete(struct shard_run *run, uint64_t expiry_ms, uint64_t token,
                        struct base_bytes key)
{
    shard_run_delete(run, index_key(run->machine, expiry_ms, token, key));
}

static struct store_iterator *index_iterate(struct shard_machine *machine)
{
    uint8_t first[SHARD_KEY_SPACE_SIZE], end[SHARD_KEY_SPACE_SIZE];
    shard_key_space_write(first, 'e', machine->config.group);
    shard_key_space_end_write(end, 'e', machine->config.group);
    return store_kv_iterate(machine->kv, NULL, base_bytes_of(first, sizeof(first)),
                            base_bytes_of(end, sizeof(end)));
}

/* The next row: TORC_OK, TORC_NOT_FOUND, TORC_DAMAGED. */
static enum torc_status index_next(struct store_iterator *iterator, uint64_t *ret_token,
                                   struct removal *ret_row)
{
    struct base_bytes key, value;
    enum torc_status status = store_iterator_next(iterator, &key, &value);
    if (status == TORC_OK)
        status = shard_key_index_read(key, &ret_row->expiry_ms, ret_token, &ret_row->key);
    if (status == TORC_OK)
        status = shard_index_read(value, &ret_row->version);
    return status;
}

enum torc_status shard_index_open(struct shard_machine *machine)
{
    struct removal row;
    uint64_t token;
    struct store_iterator *iterator = index_iterate(machine);
    enum torc_status status = index_next(iterator, &token, &row);
    store_iterator_free(iterator);
    if (status == TORC_OK)
        machine->next_expiry_ms = row.expiry_ms;
    return status == TORC_NOT_FOUND ? TORC_OK : status;
}

/* ---- Removal, at apply --------------------------------------------------------------------------
 */

/* The item at *cursor of a REMOVE_EXPIRED; false at the end, and where the value breaks off. */
static bool removal_next(struct base_bytes value, size_t *cursor, struct removal *ret_item)
{
    size_t rest = value.size - *cursor;
    if (rest < REMOVAL_HEAD_SIZE)
        return false;
    const uint8_t *at = value.data + *cursor;
    size_t key_size = base_get_le16(at + 16);
    if (key_size > rest - REMOVAL_HEAD_SIZE)
        return false;
    *ret_item = (struct removal){
        .version = base_get_le64(at),
        .expiry_ms = base_get_le64(at + 8),
        .key = base_bytes_of(at + REMOVAL_HEAD_SIZE, key_size),
    };
    *cursor += REMOVAL_HEAD_SIZE + key_size;
    return true;
}

bool shard_removal_fits(struct base_bytes value)
{
    struct removal item;
    size_t cursor = 0;
    while (removal_next(value, &cursor, &item)) {
        if (item.key.size == 0 || item.expiry_ms == 0)
            return false;
    }
    return cursor == value.size;
}

static bool is_locked(const struct shard_machine *machine, struct base_bytes key)
{
    return txn_locks_bar(txn_participant_locks(machine->participant), key, TXN_LOCK_EXCLUSIVE);
}

static enum torc_status removal_run(struct shard_run *run, const struct removal *item)
{
    unsigned vnode_bits = run->machine->config.vnode_bits;
    uint64_t token = ring_token(item->key, vnode_bits);
    if (!shard_vnode_owned(run->machine, ring_vnode(token, vnode_bits)) ||
        is_locked(run->machine, item->key))
        return TORC_OK;
    struct shard_row row;
    enum torc_status status = shard_row_read(run, token, item->key, &row);
    if (status != TORC_OK)
        return status;
    /* A row that lapses at the same time, but was written since, has taken over the index's row. */
    if (TORC_MUTANT(REMOVAL_BLIND) && row.stored)
        shard_row_delete(run, token, item->key, &row);
    else if ((!row.stored || row.expiry_ms != item->expiry_ms) && !TORC_MUTANT(INDEX_ROW_KEPT))
        shard_index_delete(run, item->expiry_ms, token, item->key);
    else if (!row.live && row.stored_version == item->version)
        shard_row_expire(run, token, item->key, &row);
    shard_row_release(&row);
    return TORC_OK;
}

enum torc_status shard_removal_run(struct shard_run *run, struct base_bytes value)
{
    struct removal item;
    for (size_t cursor = 0; removal_next(value, &cursor, &item);) {
        enum torc_status status = removal_run(run, &item);
        if (status != TORC_OK)
            return status;
    }
    return TORC_OK;
}

/* ---- What the leader proposes -------------------------------------------------------------------
 */

/* Fills `at` with items until the index has nothing due, or there are enough. Keeps next_expiry_ms
 * up to date: the earliest row that was seen and is not being removed for sure. */
static enum torc_status removal_collect(struct shard_machine *machine, uint32_t keys_max,
                                        uint8_t *at, size_t capacity, size_t *ret_size)
{
    struct store_iterator *iterator = index_iterate(machine);
    size_t size = 0;
    uint32_t count = 0;
    uint64_t first_ms = 0;
    enum torc_status status = TORC_OK;
    for (uint32_t rows = 0; count < keys_max && rows < REMOVAL_ROWS_MAX; rows++) {
        struct removal row;
        uint64_t token;
        status = index_next(iterator, &token, &row);
        if (status != TORC_OK)
            break;
        if (first_ms == 0)
            first_ms = row.expiry_ms;
        if (!shard_expired(row.expiry_ms, machine->state.clock))
            break;
        if (!shard_vnode_owned(machine, ring_vnode(token, machine->config.vnode_bits)) ||
            is_locked(machine, row.key))
            continue;
        if (capacity - size < REMOVAL_HEAD_SIZE + row.key.size)
            break;
        base_put_le64(at + size, row.version);
        base_put_le64(at + size + 8, row.expiry_ms);
        base_put_le16(at + size + 16, (uint16_t)row.key.size);
        memcpy(at + size + REMOVAL_HEAD_SIZE, row.key.data, row.key.size);
        size += REMOVAL_HEAD_SIZE + row.key.size;
        count++;
    }
    store_iterator_free(iterator);
    if (status != TORC_OK && status != TORC_NOT_FOUND)
        return status;
    machine->next_expiry_ms = first_ms;
    *ret_size = size;
    return TORC_OK;
}

enum torc_status shard_removal_write(struct shard_machine *machine, uint32_t keys_max, uint8_t *at,
                                     size_t capacity, size_t *ret_size)
{
    TORC_ASSERT(keys_max > 0);
    size_t head_size = WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE;
    *ret_size = 0;
    if (machine->unwritten || capacity < head_size)
        return TORC_OK;
    size_t size;
    enum torc_status status =
        removal_collect(machine, keys_max, at + head_size, capacity - head_size, &size);
    if (status != TORC_OK || size == 0)
        return status;
    struct wire_op op = {
        .type = WIRE_OP_REMOVE_EXPIRED,
        .value = base_bytes_of(at + head_size, size),
    };
    *ret_size = shard_internal_write(&op, at, capacity);
    return TORC_OK;
}
