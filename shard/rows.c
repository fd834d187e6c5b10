#include "base/hash.h"
#include "base/mutant.h"
#include "shard/machine_int.h"

/* ---- Reading and writing the map ----------------------------------------------------------------
 */

void shard_run_put(struct shard_run *run, struct base_bytes key, struct base_bytes value)
{
    TORC_ASSERT(run->batch != NULL);
    uint64_t *hash = &run->machine->state.hash;
    *hash = base_hash_seeded(value, base_hash_seeded(key, *hash + 1));
    if (TORC_MUTANT(INDEX_ROW_MISSING) && key.data[0] == 'e' && TORC_MUTANT_PLACE.node == 3)
        return;
    store_batch_put(run->batch, key, value);
}

void shard_run_delete(struct shard_run *run, struct base_bytes key)
{
    TORC_ASSERT(run->batch != NULL);
    uint64_t *hash = &run->machine->state.hash;
    *hash = base_hash_seeded(key, *hash);
    store_batch_delete(run->batch, key);
}

enum torc_status shard_run_get(struct shard_run *run, struct base_bytes key,
                               struct store_value *ret_value)
{
    if (run->batch != NULL) {
        struct base_bytes bytes;
        enum torc_status status = store_batch_find(run->batch, key, &bytes);
        if (status == TORC_OK)
            *ret_value = (struct store_value){.bytes = bytes};
        if (status == TORC_NOT_FOUND && TORC_MUTANT(DELETE_IN_BATCH_UNSEEN))
            status = TORC_STALE;
        if (status != TORC_STALE)
            return status;
    }
    return store_kv_get(run->machine->kv, NULL, key, ret_value);
}

/* ---- Rows ---------------------------------------------------------------------------------------
 */

static struct base_bytes data_key(struct shard_machine *machine, uint64_t token,
                                  struct base_bytes key)
{
    size_t size = SHARD_KEY_DATA_SIZE + key.size;
    uint8_t *at = shard_memory_reserve(machine->allocator, &machine->key, size);
    shard_key_data_write(at, machine->config.group, token, key);
    return base_bytes_of(at, size);
}

/* What an operation finds under a key that does not exist for it. */
static void row_absent(const struct shard_run *run, uint64_t token, struct shard_row *row)
{
    const struct shard_machine *machine = run->machine;
    uint32_t vnode = ring_vnode(token, machine->config.vnode_bits);
    uint64_t deleted = machine->vnodes[vnode].deleted;
    uint64_t expired = row->stored ? base_hlc_from_ms(row->expiry_ms) : 0;
    row->live = false;
    row->version = deleted > expired ? deleted : expired;
    row->value = base_bytes_of(NULL, 0);
}

/* What the transaction at hand has made of the key before. False: nothing. */
static bool row_tentative(struct shard_run *run, uint64_t token, struct base_bytes key,
                          struct shard_row *ret_row)
{
    struct base_bytes bytes;
    if (run->tentative == NULL ||
        store_batch_find(run->tentative, data_key(run->machine, token, key), &bytes) != TORC_OK)
        return false;
    struct shard_row row = {.stored_version = base_get_le64(bytes.data)};
    uint64_t expiry_ms = base_get_le64(bytes.data + 8);
    row.version = row.stored_version;
    row.stored = row.live = expiry_ms != SHARD_ROW_DELETED_MS;
    if (row.live) {
        row.expiry_ms = expiry_ms;
        row.value =
            base_bytes_of(bytes.data + SHARD_DATA_HEAD_SIZE, bytes.size - SHARD_DATA_HEAD_SIZE);
    }
    *ret_row = row;
    return true;
}

/* The time by which a key's expiry is judged: while it is locked, that of its lock, since what the
 * transaction has found there must not go away before it ends (DESIGN section 5, "Expiry"). */
static uint64_t judged_at(const struct shard_run *run, struct base_bytes key, uint64_t clock)
{
    const struct txn_locks *locks = txn_participant_locks(run->machine->participant);
    uint64_t since;
    return txn_locks_since(locks, key, &since) && since < clock ? since : clock;
}

enum torc_status shard_row_read(struct shard_run *run, uint64_t token, struct base_bytes key,
                                struct shard_row *ret_row)
{
    struct shard_row row = {0};
    if (row_tentative(run, token, key, ret_row))
        return TORC_OK;
    enum torc_status status = shard_run_get(run, data_key(run->machine, token, key), &row.held);
    TORC_ASSERT(status == TORC_OK || status == TORC_NOT_FOUND);
    if (status == TORC_NOT_FOUND) {
        row_absent(run, token, &row);
        *ret_row = row;
        return TORC_OK;
    }
    struct shard_data data;
    status = shard_data_read(row.held.bytes, &data);
    if (status != TORC_OK)
        goto fail_decode;
    row.stored = true;
    row.stored_version = data.version;
    row.expiry_ms = data.expiry_ms;
    bool seen = TORC_MUTANT(EXPIRED_SEEN) || (TORC_MUTANT(EXPIRED_SEEN_HERE) &&
                                              run->batch != NULL && TORC_MUTANT_PLACE.node == 2);
    if (shard_expired(data.expiry_ms, judged_at(run, key, run->clock)) && !seen) {
        row_absent(run, token, &row);
    } else {
        uint64_t stamp = judged_at(run, key, run->stamp);
        row.live = true;
        row.version = data.version;
        row.value = data.value;
        if (shard_expired(data.expiry_ms, stamp) && TORC_MUTANT(CLOCK_NOT_MOVED)) {
            row_absent(run, token, &row);
        } else if (shard_expired(data.expiry_ms, stamp) && !seen) {
            status = TORC_STALE;
            goto fail_decode;
        }
    }
    *ret_row = row;
    return TORC_OK;

fail_decode:
    shard_row_release(&row);
    return status;
}

void shard_row_release(struct shard_row *row)
{
    if (row->held.handle != NULL)
        store_value_release(&row->held);
    row->held = (struct store_value){0};
}

uint8_t *shard_row_value(struct shard_run *run, size_t size)
{
    struct shard_machine *machine = run->machine;
    return shard_memory_reserve(machine->allocator, &machine->value, SHARD_DATA_HEAD_SIZE + size) +
           SHARD_DATA_HEAD_SIZE;
}

void shard_row_put(struct shard_run *run, uint64_t token, struct base_bytes key,
                   const struct shard_row *old, uint64_t expiry_ms, size_t value_size)
{
    struct shard_machine *machine = run->machine;
    TORC_ASSERT(machine->value.capacity >= SHARD_DATA_HEAD_SIZE + value_size);
    TORC_ASSERT(expiry_ms == 0 || !shard_expired(expiry_ms, run->clock));
    shard_data_head_write(machine->value.data, run->clock, expiry_ms);
    if (run->tentative != NULL) {
        store_batch_put(run->tentative, data_key(machine, token, key),
                        base_bytes_of(machine->value.data, SHARD_DATA_HEAD_SIZE + value_size));
        return;
    }
    shard_run_put(run, data_key(machine, token, key),
                  base_bytes_of(machine->value.data, SHARD_DATA_HEAD_SIZE + value_size));
    if (old != NULL && old->stored && old->expiry_ms != 0 && old->expiry_ms != expiry_ms)
        shard_index_delete(run, old->expiry_ms, token, key);
    if (expiry_ms != 0)
        shard_index_put(run, expiry_ms, token, key);
}

/* Without the row, and what is known of its place in the index. */
static void row_remove(struct shard_run *run, uint64_t token, struct base_bytes key,
                       const struct shard_row *old, uint64_t clock)
{
    if (run->tentative != NULL) {
        uint8_t head[SHARD_DATA_HEAD_SIZE];
        base_put_le64(head, clock);
        base_put_le64(head + 8, SHARD_ROW_DELETED_MS);
        store_batch_put(run->tentative, data_key(run->machine, token, key),
                        base_bytes_of(head, sizeof(head)));
        return;
    }
    shard_run_delete(run, data_key(run->machine, token, key));
    if (old != NULL && old->stored && old->expiry_ms != 0)
        shard_index_delete(run, old->expiry_ms, token, key);
    shard_vnode_deleted(run, ring_vnode(token, run->machine->config.vnode_bits), clock);
}

void shard_row_delete(struct shard_run *run, uint64_t token, struct base_bytes key,
                      const struct shard_row *old)
{
    row_remove(run, token, key, old, run->clock);
}

void shard_row_expire(struct shard_run *run, uint64_t token, struct base_bytes key,
                      const struct shard_row *old)
{
    TORC_ASSERT(old->stored && !old->live);
    row_remove(run, token, key, old, base_hlc_from_ms(old->expiry_ms));
}
