#include "shard/machine_int.h"

/*
 * SCAN, COUNT and CLEAR walk the group's rows in token order. A walk ends between keys whose tokens
 * differ in more than the last bit, because a SCAN's cursor has one bit less (DESIGN section 8).
 */
enum {
    WALK_ROWS_MAX = 65536,        /* Rows passed in one operation, expired ones among them. */
    WALK_BYTES_MAX = 1024 * 1024, /* Of keys collected. */
};

struct walk_write { /* What the batch does to a row; value.data NULL: deletes it. */
    struct base_bytes key, value;
};

/* Rows of kv with the batch on top, in order. */
struct walk {
    struct shard_run *run;
    struct store_iterator *iterator;
    enum torc_status kv_status; /* TORC_OK: kv_key and kv_value are the iterator's row. */
    struct base_bytes kv_key, kv_value;
    bool kv_used;              /* The iterator's row was given out: move on first. */
    struct walk_write *writes; /* Sorted. */
    size_t write_count, write_capacity, write_at;
};

/* ---- The batch's rows, sorted -------------------------------------------------------------------
 */

static void writes_sift(struct walk_write *writes, size_t at, size_t count)
{
    struct walk_write moved = writes[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && base_bytes_compare(writes[child + 1].key, writes[child].key) > 0)
            child++;
        if (base_bytes_compare(writes[child].key, moved.key) <= 0)
            break;
        writes[at] = writes[child];
        at = child;
    }
    writes[at] = moved;
}

static void writes_sort(struct walk_write *writes, size_t count)
{
    for (size_t at = count / 2; at > 0; at--)
        writes_sift(writes, at - 1, count);
    for (size_t left = count; left > 1; left--) {
        struct walk_write last = writes[left - 1];
        writes[left - 1] = writes[0];
        writes[0] = last;
        writes_sift(writes, 0, left - 1);
    }
}

static void writes_collect(struct walk *walk, struct base_bytes first, struct base_bytes end)
{
    if (walk->run->batch == NULL)
        return;
    const struct base_allocator *allocator = walk->run->machine->allocator;
    struct walk_write write;
    for (size_t cursor = 0;
         store_batch_next(walk->run->batch, &cursor, &write.key, &write.value);) {
        if (base_bytes_compare(write.key, first) < 0 || base_bytes_compare(write.key, end) >= 0)
            continue;
        walk->writes = base_array_reserve(allocator, walk->writes, &walk->write_capacity,
                                          walk->write_count + 1, sizeof(*walk->writes));
        walk->writes[walk->write_count++] = write;
    }
    writes_sort(walk->writes, walk->write_count);
}

/* ---- Both together ------------------------------------------------------------------------------
 */

/* To the first row at or after `token`. */
static void walk_seek(struct walk *walk, uint64_t token)
{
    uint32_t group = walk->run->machine->config.group;
    uint8_t first[SHARD_KEY_DATA_SIZE], end[SHARD_KEY_SPACE_SIZE];
    shard_key_space_write(first, 'd', group);
    base_put_be64(first + SHARD_KEY_SPACE_SIZE, token);
    shard_key_space_end_write(end, 'd', group);
    struct base_bytes from = base_bytes_of(first, sizeof(first));
    struct base_bytes to = base_bytes_of(end, sizeof(end));
    if (walk->iterator == NULL)
        writes_collect(walk, from, to);
    else
        store_iterator_free(walk->iterator);
    walk->iterator = store_kv_iterate(walk->run->machine->kv, NULL, from, to);
    walk->kv_used = true;
    walk->kv_status = TORC_OK;
    while (walk->write_at < walk->write_count &&
           base_bytes_compare(walk->writes[walk->write_at].key, from) < 0)
        walk->write_at++;
}

static void walk_close(struct walk *walk)
{
    store_iterator_free(walk->iterator);
    base_array_free(walk->run->machine->allocator, walk->writes, &walk->write_capacity,
                    sizeof(*walk->writes));
}

/* TORC_OK: the next row, borrowed until the next call; TORC_NOT_FOUND; TORC_DAMAGED. */
static enum torc_status walk_next(struct walk *walk, struct base_bytes *ret_key,
                                  struct base_bytes *ret_value)
{
    for (;;) {
        if (walk->kv_status == TORC_OK && walk->kv_used) {
            walk->kv_status = store_iterator_next(walk->iterator, &walk->kv_key, &walk->kv_value);
            walk->kv_used = false;
        }
        if (walk->kv_status == TORC_DAMAGED)
            return TORC_DAMAGED;
        bool kv = walk->kv_status == TORC_OK;
        bool write = walk->write_at < walk->write_count;
        if (!kv && !write)
            return TORC_NOT_FOUND;
        int order = !kv     ? -1
                    : write ? base_bytes_compare(walk->writes[walk->write_at].key, walk->kv_key)
                            : 1;
        if (order >= 0)
            walk->kv_used = true;
        if (order > 0) {
            *ret_key = walk->kv_key;
            *ret_value = walk->kv_value;
            return TORC_OK;
        }
        const struct walk_write *next = &walk->writes[walk->write_at++];
        if (next->value.data != NULL) {
            *ret_key = next->key;
            *ret_value = next->value;
            return TORC_OK;
        }
    }
}

/* ---- The operations -----------------------------------------------------------------------------
 */

struct walk_found {
    uint64_t count;
    size_t size;   /* Of the keys, encoded as a SCAN answers them, in the machine's value memory. */
    uint64_t next; /* Where to go on; 0: nowhere. */
};

static uint64_t vnode_first_token(const struct shard_machine *machine, uint32_t vnode)
{
    return vnode == 0 ? 0 : (uint64_t)vnode << (64 - machine->config.vnode_bits);
}

static void found_add(struct walk *walk, struct walk_found *found, bool keys, uint64_t token,
                      struct base_bytes key)
{
    found->count++;
    if (!keys)
        return;
    struct shard_machine *machine = walk->run->machine;
    size_t size = WIRE_KEY_HEADER_SIZE + key.size;
    uint8_t *at = shard_memory_reserve(machine->allocator, &machine->value, found->size + size);
    found->size += wire_key_write(at + found->size, size, token, key);
}

static enum torc_status walk_collect(struct walk *walk, const struct wire_op *op, bool keys,
                                     struct walk_found *found)
{
    const struct shard_machine *machine = walk->run->machine;
    uint64_t last_token = 0;
    walk_seek(walk, op->a);
    for (uint32_t rows = 0;;) {
        struct base_bytes state_key, state_value, key;
        uint64_t token;
        enum torc_status status = walk_next(walk, &state_key, &state_value);
        if (status != TORC_OK)
            return status == TORC_NOT_FOUND ? TORC_OK : status;
        status = shard_key_data_read(state_key, &token, &key);
        if (status != TORC_OK)
            return status;

        uint32_t vnode = ring_vnode(token, machine->config.vnode_bits), owned;
        if (!shard_vnode_next_owned(machine, vnode, &owned))
            return TORC_OK;
        if (owned != vnode) {
            walk_seek(walk, vnode_first_token(machine, owned));
            continue;
        }
        bool full = found->count >= op->b || rows >= WALK_ROWS_MAX ||
                    found->size + WIRE_KEY_HEADER_SIZE + key.size > WALK_BYTES_MAX;
        if (rows > 0 && full && token >> 1 != last_token >> 1) {
            found->next = token & ~UINT64_C(1);
            return TORC_OK;
        }
        rows++;
        last_token = token;

        struct shard_data data;
        status = shard_data_read(state_value, &data);
        if (status != TORC_OK)
            return status;
        if (!shard_expired(data.expiry_ms, walk->run->clock))
            found_add(walk, found, keys, token, key);
    }
}

/* Deletes what a walk has found. */
static enum torc_status walk_clear(struct shard_run *run, size_t size)
{
    struct shard_machine *machine = run->machine;
    uint64_t token;
    struct base_bytes key;
    enum torc_status status;
    for (size_t cursor = 0; (status = wire_key_next(base_bytes_of(machine->value.data, size),
                                                    &cursor, &token, &key)) == TORC_OK;) {
        struct shard_row row;
        status = shard_row_read(run, token, key, &row);
        if (status != TORC_OK)
            return status;
        TORC_ASSERT(row.live);
        shard_row_delete(run, token, key, &row);
        shard_row_release(&row);
    }
    TORC_ASSERT(status == TORC_NOT_FOUND);
    return TORC_OK;
}

enum torc_status shard_walk_run(struct shard_run *run, const struct wire_op *op)
{
    struct walk walk = {.run = run};
    struct walk_found found = {0};
    enum torc_status status = walk_collect(&walk, op, op->type != WIRE_OP_COUNT, &found);
    walk_close(&walk);
    if (status == TORC_OK && op->type == WIRE_OP_CLEAR)
        status = walk_clear(run, found.size);
    if (status != TORC_OK)
        return status;

    uint8_t count[8];
    base_put_le64(count, found.count);
    struct wire_result result = {
        .kind = WIRE_RESULT_KEYS,
        .number = found.next,
        .bytes = op->type == WIRE_OP_SCAN ? base_bytes_of(run->machine->value.data, found.size)
                                          : base_bytes_of(count, sizeof(count)),
    };
    shard_answer_result(run, &result);
    return TORC_OK;
}
