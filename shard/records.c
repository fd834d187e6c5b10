#include "shard/records.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"

enum {
    BLOCK_VERSION = 1,
    BLOCK_HEAD_SIZE = 8,
    RECORD_HEAD_SIZE = 40,
    ID_SIZE = 24, /* Client and number, the first bytes of a record. */
    TABLE_SIZE_MIN = 64,
};

struct shard_record_node {
    uint64_t hash; /* Of the id. */
    const struct shard_record_block *block;
    size_t at; /* Where in the block's bytes. */
};

/* Invariant: last_time is the latest of its records'; the nodes are in the table. */
struct shard_record_block {
    uint64_t slot;
    uint64_t last_time;
    uint8_t *bytes; /* The stored value. */
    size_t size, capacity;
    size_t memory_size; /* Of this struct with its nodes. */
    uint32_t count, count_max;
    struct shard_record_node nodes[];
};

void shard_records_init(struct shard_records *records, const struct base_allocator *allocator)
{
    *records = (struct shard_records){.allocator = allocator};
    shard_chunks_init(&records->chunks, allocator);
}

/* ---- Blocks -------------------------------------------------------------------------------------
 */

static struct shard_record_block *block_new(struct shard_records *records, uint32_t count_max,
                                            size_t bytes_size)
{
    size_t size = sizeof(struct shard_record_block) + count_max * sizeof(struct shard_record_node);
    size_t memory_size, capacity;
    struct shard_record_block *block = shard_chunks_take(&records->chunks, size, &memory_size);
    uint8_t *bytes = shard_chunks_take(&records->chunks, bytes_size, &capacity);
    *block = (struct shard_record_block){
        .bytes = bytes,
        .capacity = capacity,
        .memory_size = memory_size,
        .count_max = count_max,
    };
    return block;
}

static void block_free(struct shard_records *records, struct shard_record_block *block)
{
    shard_chunks_give(&records->chunks, block->bytes, block->capacity);
    shard_chunks_give(&records->chunks, block, block->memory_size);
}

static void block_reserve(struct shard_records *records, struct shard_record_block *block,
                          size_t size)
{
    if (size <= block->capacity)
        return;
    size_t capacity;
    uint8_t *bytes = shard_chunks_take(&records->chunks, size, &capacity);
    memcpy(bytes, block->bytes, block->size);
    shard_chunks_give(&records->chunks, block->bytes, block->capacity);
    block->bytes = bytes;
    block->capacity = capacity;
}

void shard_records_fini(struct shard_records *records)
{
    if (records->open != NULL)
        block_free(records, records->open);
    for (size_t i = 0; i < records->heap_count; i++)
        block_free(records, records->heap[i]);
    base_array_free(records->allocator, records->heap, &records->heap_capacity,
                    sizeof(struct shard_record_block *));
    base_free(records->allocator, records->table,
              records->table_size * sizeof(struct shard_record_slot));
    shard_chunks_fini(&records->chunks);
}

static struct shard_record record_fields(const uint8_t *at)
{
    return (struct shard_record){
        .client = {base_get_le64(at), base_get_le64(at + 8)},
        .number = base_get_le64(at + 16),
        .last_time = base_get_le64(at + 24),
        .vnode = base_get_le32(at + 32),
        .answer = base_bytes_of(at + RECORD_HEAD_SIZE, base_get_le32(at + 36)),
    };
}

static size_t record_size(const struct shard_record *record)
{
    return RECORD_HEAD_SIZE + record->answer.size;
}

static void record_write(uint8_t *at, const struct shard_record *record)
{
    TORC_ASSERT(record->answer.size > 0 && record->answer.size <= UINT32_MAX);
    base_put_le64(at, record->client.high);
    base_put_le64(at + 8, record->client.low);
    base_put_le64(at + 16, record->number);
    base_put_le64(at + 24, record->last_time);
    base_put_le32(at + 32, record->vnode);
    base_put_le32(at + 36, (uint32_t)record->answer.size);
    memcpy(at + RECORD_HEAD_SIZE, record->answer.data, record->answer.size);
}

/* ---- The table ----------------------------------------------------------------------------------
 */

/* The id lies encoded at the start of a record, and is hashed as it lies there. */
static uint64_t id_hash(const uint8_t *id)
{
    return base_hash(base_bytes_of(id, TORC_MUTANT(RECORD_BY_SESSION) ? 16 : ID_SIZE));
}

static size_t table_next(const struct shard_records *records, size_t at)
{
    return (at + 1) & (records->table_size - 1);
}

/* Where the search for a hash begins. */
static size_t table_home(const struct shard_records *records, uint64_t hash)
{
    TORC_ASSERT(records->table_size > 0);
    return (size_t)hash & (records->table_size - 1);
}

static void table_link(struct shard_records *records, const struct shard_record_node *node)
{
    size_t at = table_home(records, node->hash);
    while (records->table[at].node != NULL)
        at = table_next(records, at);
    records->table[at] = (struct shard_record_slot){.hash = node->hash, .node = node};
}

static size_t table_place(const struct shard_records *records, const struct shard_record_node *node)
{
    size_t at = table_home(records, node->hash);
    while (records->table[at].node != node) {
        TORC_ASSERT(records->table[at].node != NULL);
        at = table_next(records, at);
    }
    return at;
}

/* What follows moves up, as far as its own search would still find it (Knuth, The Art of Computer
 * Programming, vol. 3, 6.4, algorithm R): so nothing marks places where something was. */
static void table_unlink(struct shard_records *records, const struct shard_record_node *node)
{
    size_t hole = table_place(records, node);
    for (size_t at = table_next(records, hole); records->table[at].node != NULL;
         at = table_next(records, at)) {
        size_t home = table_home(records, records->table[at].hash);
        size_t mask = records->table_size - 1;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        records->table[hole] = records->table[at];
        hole = at;
    }
    records->table[hole] = (struct shard_record_slot){0};
}

/* Room for one more record: half of the table stays empty, so that a search is one miss of the
 * processor's cache whether it finds something or not. */
static void table_reserve(struct shard_records *records)
{
    if (records->count < records->table_size / 2)
        return;
    size_t old_size = records->table_size;
    struct shard_record_slot *old = records->table;
    records->table_size = old_size == 0 ? TABLE_SIZE_MIN : old_size * 2;
    records->table =
        base_alloc_zero(records->allocator, records->table_size * sizeof(struct shard_record_slot));
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].node != NULL)
            table_link(records, old[i].node);
    }
    base_free(records->allocator, old, old_size * sizeof(struct shard_record_slot));
}

bool shard_records_find(const struct shard_records *records, struct wire_client_id client,
                        uint64_t number, uint64_t clock, struct shard_record *ret_record)
{
    if (records->table_size == 0)
        return false;
    uint8_t id[ID_SIZE];
    base_put_le64(id, client.high);
    base_put_le64(id + 8, client.low);
    base_put_le64(id + 16, number);
    uint64_t hash = id_hash(id);
    const struct shard_record_node *node;
    for (size_t place = table_home(records, hash); (node = records->table[place].node) != NULL;
         place = table_next(records, place)) {
        if (records->table[place].hash != hash)
            continue;
        const uint8_t *at = node->block->bytes + node->at;
        if (memcmp(at, id, TORC_MUTANT(RECORD_BY_SESSION) ? 16 : ID_SIZE) != 0)
            continue;
        struct shard_record record = record_fields(at);
        if (record.last_time < clock)
            continue;
        if (TORC_MUTANT(RECORD_BY_SESSION)) /* An answer names the request. */
            base_put_le64((uint8_t *)(uintptr_t)record.answer.data + 8, number);
        *ret_record = record;
        return true;
    }
    return false;
}

/* ---- The heap -----------------------------------------------------------------------------------
 */

static bool block_before(const struct shard_record_block *a, const struct shard_record_block *b)
{
    return a->last_time != b->last_time ? a->last_time < b->last_time : a->slot < b->slot;
}

static void heap_push(struct shard_records *records, struct shard_record_block *block)
{
    records->heap = base_array_reserve(records->allocator, records->heap, &records->heap_capacity,
                                       records->heap_count + 1, sizeof(*records->heap));
    size_t at = records->heap_count++;
    for (; at > 0 && block_before(block, records->heap[(at - 1) / 2]); at = (at - 1) / 2)
        records->heap[at] = records->heap[(at - 1) / 2];
    records->heap[at] = block;
}

static struct shard_record_block *heap_pop(struct shard_records *records)
{
    TORC_ASSERT(records->heap_count > 0);
    struct shard_record_block *first = records->heap[0];
    struct shard_record_block *moved = records->heap[--records->heap_count];
    size_t at = 0;
    for (size_t child = 1; child < records->heap_count; child = 2 * at + 1) {
        if (child + 1 < records->heap_count &&
            block_before(records->heap[child + 1], records->heap[child]))
            child++;
        if (!block_before(records->heap[child], moved))
            break;
        records->heap[at] = records->heap[child];
        at = child;
    }
    if (records->heap_count > 0)
        records->heap[at] = moved;
    return first;
}

/* ---- The records of one entry -------------------------------------------------------------------
 */

void shard_records_open(struct shard_records *records, uint32_t count_max)
{
    TORC_ASSERT(records->open == NULL);
    TORC_ASSERT(count_max > 0);
    records->open_count_max = count_max;
}

/* One more record of the block: its bytes are in place at block->size. */
static void block_take(struct shard_records *records, struct shard_record_block *block,
                       const struct shard_record *record)
{
    TORC_ASSERT(block->count < block->count_max);
    table_reserve(records);
    struct shard_record_node *node = &block->nodes[block->count++];
    *node = (struct shard_record_node){
        .hash = id_hash(block->bytes + block->size), .block = block, .at = block->size};
    block->size += record_size(record);
    if (record->last_time > block->last_time)
        block->last_time = record->last_time;
    table_link(records, node);
    records->count++;
    records->bytes += record_size(record);
}

void shard_records_add(struct shard_records *records, const struct shard_record *record)
{
    TORC_ASSERT(records->open_count_max > 0);
    size_t size = record_size(record);
    if (records->open == NULL) {
        /* A guess that is right when all requests of the entry are alike. */
        records->open =
            block_new(records, records->open_count_max,
                      BLOCK_HEAD_SIZE + (size < 256 ? size * records->open_count_max : size));
        records->open->size = BLOCK_HEAD_SIZE;
        records->bytes += BLOCK_HEAD_SIZE;
    }
    struct shard_record_block *block = records->open;
    block_reserve(records, block, block->size + size);
    record_write(block->bytes + block->size, record);
    block_take(records, block, record);
}

struct base_bytes shard_records_close(struct shard_records *records, uint64_t slot)
{
    struct shard_record_block *block = records->open;
    records->open = NULL;
    records->open_count_max = 0;
    if (block == NULL)
        return base_bytes_of(NULL, 0);
    TORC_ASSERT(block->count > 0);
    base_put_le32(block->bytes, BLOCK_VERSION);
    base_put_le32(block->bytes + 4, block->count);
    block->slot = slot;
    heap_push(records, block);
    return base_bytes_of(block->bytes, block->size);
}

bool shard_records_due(const struct shard_records *records, uint64_t clock)
{
    return records->heap_count > 0 && records->heap[0]->last_time < clock;
}

bool shard_records_expire(struct shard_records *records, uint64_t clock, uint64_t *ret_slot)
{
    if (!shard_records_due(records, clock))
        return false;
    struct shard_record_block *block = heap_pop(records);
    for (uint32_t i = 0; i < block->count; i++)
        table_unlink(records, &block->nodes[i]);
    TORC_ASSERT(records->count >= block->count && records->bytes >= block->size);
    records->count -= block->count;
    records->bytes -= block->size;
    *ret_slot = block->slot;
    block_free(records, block);
    return true;
}

/* ---- Reopening ----------------------------------------------------------------------------------
 */

/* The record at `cursor` of a stored block; TORC_DAMAGED: it does not fit. */
static enum torc_status record_check(struct base_bytes value, size_t cursor,
                                     struct shard_record *ret_record)
{
    size_t rest = value.size - cursor;
    if (rest < RECORD_HEAD_SIZE)
        return TORC_DAMAGED;
    size_t answer_size = base_get_le32(value.data + cursor + 36);
    if (answer_size == 0 || answer_size > rest - RECORD_HEAD_SIZE)
        return TORC_DAMAGED;
    struct shard_record record = record_fields(value.data + cursor);
    struct wire_answer answer;
    if (wire_answer_read(record.answer, &answer) != TORC_OK ||
        answer.encoded.size != record.answer.size)
        return TORC_DAMAGED;
    *ret_record = record;
    return TORC_OK;
}

static enum torc_status block_check(struct base_bytes value)
{
    if (value.size < BLOCK_HEAD_SIZE)
        return TORC_DAMAGED;
    if (value.data[0] > BLOCK_VERSION)
        return TORC_NEWER;
    uint32_t count = base_get_le32(value.data + 4);
    if (base_get_le32(value.data) != BLOCK_VERSION || count == 0)
        return TORC_DAMAGED;
    size_t cursor = BLOCK_HEAD_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        struct shard_record record;
        enum torc_status status = record_check(value, cursor, &record);
        if (status != TORC_OK)
            return status;
        cursor += record_size(&record);
    }
    return cursor == value.size ? TORC_OK : TORC_DAMAGED;
}

enum torc_status shard_records_load(struct shard_records *records, uint64_t slot,
                                    struct base_bytes value)
{
    enum torc_status status = block_check(value);
    if (status != TORC_OK || TORC_MUTANT(RECORDS_NOT_LOADED))
        return status;
    uint32_t count = base_get_le32(value.data + 4);
    struct shard_record_block *block = block_new(records, count, value.size);
    memcpy(block->bytes, value.data, value.size);
    block->slot = slot;
    block->size = BLOCK_HEAD_SIZE;
    records->bytes += BLOCK_HEAD_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        struct shard_record record = record_fields(block->bytes + block->size);
        block_take(records, block, &record);
    }
    TORC_ASSERT(block->size == value.size);
    heap_push(records, block);
    return TORC_OK;
}

void shard_records_check(const struct shard_records *records)
{
    uint64_t count = 0, bytes = 0;
    for (size_t i = 0; i < records->heap_count; i++) {
        const struct shard_record_block *block = records->heap[i];
        TORC_ASSERT(i == 0 || !block_before(block, records->heap[(i - 1) / 2]));
        TORC_ASSERT(block_check(base_bytes_of(block->bytes, block->size)) == TORC_OK);
        uint64_t last_time = 0;
        for (uint32_t k = 0; k < block->count; k++) {
            const struct shard_record_node *node = &block->nodes[k];
            TORC_ASSERT(node->hash == id_hash(block->bytes + node->at));
            TORC_ASSERT(records->table[table_place(records, node)].hash == node->hash);
            struct shard_record record = record_fields(block->bytes + node->at);
            last_time = record.last_time > last_time ? record.last_time : last_time;
        }
        TORC_ASSERT(block->last_time == last_time);
        count += block->count;
        bytes += block->size;
    }
    TORC_ASSERT(records->open == NULL);
    TORC_ASSERT(count == records->count && bytes == records->bytes);
}
