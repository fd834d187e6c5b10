#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "store/log_int.h"

/*
 * Recovery reads the live segments from the oldest to the one that the superblock names. Up to the
 * superblock's position everything was synced and must be whole. Past it, in that last segment,
 * stand batches whose sync nobody vouches for: the whole ones count, once they have been written
 * again into a fresh segment, and synced; of the very last one blocks may be missing, and then it
 * never was.
 */

/* A live segment as the chain of headers describes it. */
struct life {
    uint64_t segment;
    uint64_t batch; /* Last batch before it. */
    uint32_t end;   /* First block that does not count: the next header's word, or the position. */
};

struct recovery {
    struct store_log *log;
    const struct store_log_geometry *geometry;
    const struct store_log_visitor *visitor;
    struct store_log_damage *damage;
    struct life *lives; /* Newest first, as the chain is walked. */
    size_t life_count;
    size_t life_capacity;
    uint8_t *image; /* The segment being read, and per block its judgement. */
    enum store_block_state *states;
    struct store_block_stamp *stamps;
    uint8_t *payload;
    size_t payload_capacity;
    uint8_t *fresh; /* The segment into which what lies past the position is written again. */
    uint64_t fresh_segment;
    uint32_t fresh_block;
    uint64_t segment; /* Being read. */
    uint64_t batch;   /* Last one that counts. */
};

/* Notes where and why; for `return flaw(...)`. */
static enum torc_status flaw(struct recovery *r, enum store_log_flaw what, uint32_t block)
{
    *r->damage = (struct store_log_damage){
        .flaw = what, .segment = r->segment, .block = block, .batch = r->batch + 1};
    return TORC_DAMAGED;
}

static enum torc_status read_segment(struct recovery *r, uint32_t blocks)
{
    const struct store_device *device = r->log->device;
    enum torc_status status = device->read(device->context, r->segment, 0, r->image,
                                           (size_t)blocks * r->geometry->block_size);
    return status == TORC_NOT_FOUND ? flaw(r, STORE_LOG_SEGMENT_MISSING, 0) : status;
}

static uint8_t *image_block(const struct recovery *r, uint32_t block)
{
    return r->image + (size_t)block * r->geometry->block_size;
}

static void judge_blocks(struct recovery *r, uint32_t first, uint32_t end)
{
    for (uint32_t block = first; block < end; block++)
        r->states[block] =
            store_block_judge(image_block(r, block), r->geometry->block_size, r->geometry->seed,
                              r->segment, block, &r->stamps[block]);
}

/* --- The chain of segments --- */

static bool take_from_spares(struct store_log *log, uint64_t segment)
{
    for (size_t i = 0; i < log->spare_count; i++) {
        if (log->spares[i] == segment) {
            log->spares[i] = log->spares[--log->spare_count];
            return true;
        }
    }
    return false;
}

/* Walks from the segment that the superblock names back to the oldest, header by header. */
static enum torc_status walk_chain(struct recovery *r)
{
    struct store_log *log = r->log;
    const struct store_superblock *superblock = log->superblock;
    uint64_t segment = superblock->position.segment;
    uint32_t end = superblock->position.block;
    for (;;) {
        r->segment = segment;
        struct life life = {.segment = segment, .end = end};
        struct store_log_segment_header header;
        if (!take_from_spares(log, segment))
            return flaw(r, STORE_LOG_SEGMENT_MISSING, 0);
        enum torc_status status = read_segment(r, 1);
        if (status != TORC_OK)
            return status;
        /* A header that knows a later oldest segment than the superblock: that one is an old copy.
         */
        if (!store_log_segment_header_read(r->geometry, r->image, segment, &life.batch, &header) ||
            header.oldest > superblock->oldest || header.previous >= segment ||
            header.previous_end > r->geometry->segment_blocks)
            return flaw(r, STORE_LOG_HEADER_BAD, 0);
        r->lives = base_array_reserve(log->allocator, r->lives, &r->life_capacity,
                                      r->life_count + 1, sizeof *r->lives);
        r->lives[r->life_count++] = life;
        if (segment == superblock->oldest)
            return TORC_OK;
        segment = header.previous;
        end = header.previous_end;
        if (segment < superblock->oldest || end == 0)
            return flaw(r, STORE_LOG_HEADER_BAD, 0);
    }
}

/* --- Records of one batch --- */

/* Whether all blocks that hold bytes [offset, offset + size) of the batch are good. */
static bool span_good(const struct recovery *r, uint32_t first, uint64_t offset, uint64_t size)
{
    if (size == 0)
        return true;
    uint32_t from = first + (uint32_t)(offset / r->geometry->block_room);
    uint32_t to = first + (uint32_t)((offset + size - 1) / r->geometry->block_room);
    for (uint32_t block = from; block <= to; block++)
        if (r->states[block] != STORE_BLOCK_NEW)
            return false;
    return true;
}

/* What stays of a record whose payload is gone: who it was, and the promise that an accept implies.
 */
static struct store_record damage_of(const struct store_record *record)
{
    struct store_record damage = {.kind = STORE_RECORD_DAMAGE,
                                  .group = record->group,
                                  .replica = record->replica,
                                  .slot = record->slot};
    if (record->kind == STORE_RECORD_ENTRY || record->kind == STORE_RECORD_DAMAGE)
        damage.ballot = record->ballot;
    return damage;
}

static void tell_visitor(struct recovery *r, const struct store_record *record)
{
    const struct store_log_visitor *visitor = r->visitor;
    if (record->kind != STORE_RECORD_DAMAGE) {
        visitor->record(visitor->context, record);
        return;
    }
    if (record->slot == 0 || record->slot > visitor->flushed(visitor->context, record->group)) {
        visitor->damaged(visitor->context, record->group, record->replica, record->slot);
        return;
    }
    if (!base_ballot_is_none(record->ballot)) {
        const struct store_record promise = {.kind = STORE_RECORD_PROMISE,
                                             .group = record->group,
                                             .replica = record->replica,
                                             .ballot = record->ballot};
        visitor->record(visitor->context, &promise);
    }
}

/* Takes one record of a batch that counts: into the fresh segment if one is being written, into the
 * index, and to the visitor. */
static enum torc_status take_record(struct recovery *r, struct store_log_writer *writer,
                                    const struct store_record *record,
                                    const struct store_log_location *found)
{
    struct store_log *log = r->log;
    struct store_log_location at = *found;
    if (writer != NULL) {
        at.segment = r->fresh_segment;
        at.block = r->fresh_block;
        at.offset = writer->length;
        at.size = (uint32_t)store_record_size(record);
        store_log_writer_add(writer, record);
    }
    if (at.size > log->batch_size_max)
        log->batch_size_max = at.size;
    if (store_log_index_apply(&log->index, record, &at) != TORC_OK)
        return flaw(r, STORE_LOG_RECORD_BAD, found->block);
    tell_visitor(r, record);
    return TORC_OK;
}

/* Reads the record at *offset and steps over it. Its header must stand in good blocks. */
static enum torc_status read_record(struct recovery *r, uint32_t first, uint32_t length,
                                    uint32_t *offset, struct store_log_writer *writer)
{
    const struct store_log_geometry *geometry = r->geometry;
    const uint8_t *blocks = image_block(r, first);
    uint8_t header[STORE_RECORD_HEADER_SIZE];
    struct store_record record;
    uint32_t payload_size;
    uint64_t payload_hash;
    if (length - *offset < sizeof header)
        return flaw(r, STORE_LOG_RECORD_BAD, first);
    if (!span_good(r, first, *offset, sizeof header))
        return flaw(r, STORE_LOG_BLOCK_ROTTEN, first);
    store_log_gather(geometry, blocks, *offset, header, sizeof header);
    if (store_record_decode(header, &record, &payload_size, &payload_hash) != TORC_OK ||
        payload_size > length - *offset - sizeof header)
        return flaw(r, STORE_LOG_RECORD_BAD, first);
    uint32_t payload_at = *offset + (uint32_t)sizeof header;
    struct store_log_location at = {.slot = record.slot,
                                    .segment = r->segment,
                                    .block = first,
                                    .offset = *offset,
                                    .size = (uint32_t)sizeof header + payload_size,
                                    .damaged = record.kind == STORE_RECORD_DAMAGE};
    r->payload =
        base_array_reserve(r->log->allocator, r->payload, &r->payload_capacity, payload_size, 1);
    store_log_gather(geometry, blocks, payload_at, r->payload, payload_size);
    record.payload = base_bytes_of(r->payload, payload_size);
    if (!span_good(r, first, payload_at, payload_size) ||
        base_hash(record.payload) != payload_hash) {
        record = damage_of(&record);
        at.damaged = true;
    }
    *offset = payload_at + payload_size;
    return take_record(r, writer, &record, &at);
}

/* Reads the batch that begins at block `first`; every block that is not good in it is damage. */
static enum torc_status read_batch(struct recovery *r, uint32_t first, uint32_t length)
{
    struct store_log_writer fresh = {.geometry = r->geometry};
    struct store_log_writer *writer = NULL;
    if (r->fresh != NULL) {
        fresh.blocks = r->fresh + (size_t)r->fresh_block * r->geometry->block_size;
        writer = &fresh;
    }
    uint32_t offset = 0;
    while (offset < length) {
        enum torc_status status = read_record(r, first, length, &offset, writer);
        if (status != TORC_OK)
            return status;
    }
    r->batch++;
    if (writer != NULL)
        r->fresh_block += store_log_writer_seal(writer, r->fresh_segment, r->fresh_block, r->batch);
    return TORC_OK;
}

/* How many of a batch's blocks are not what its first one says; those that are whole but belong
 * elsewhere are rotten. */
struct lack {
    uint32_t old;
    uint32_t rotten;
};

static struct lack count_lack(struct recovery *r, uint32_t first, uint32_t blocks)
{
    struct lack lack = {0};
    const struct store_block_stamp *head = &r->stamps[first];
    for (uint32_t i = 1; i < blocks; i++) {
        const struct store_block_stamp *stamp = &r->stamps[first + i];
        enum store_block_state *state = &r->states[first + i];
        if (*state == STORE_BLOCK_NEW &&
            (stamp->batch != head->batch || stamp->place != i || stamp->length != head->length))
            *state = STORE_BLOCK_ROTTEN;
        lack.old += *state == STORE_BLOCK_OLD;
        lack.rotten += *state == STORE_BLOCK_ROTTEN;
    }
    return lack;
}

/* Whether block `first` begins the next batch, and that lies below `end`: else *ret_flaw says what
 * it is instead. */
static bool begins_batch(const struct recovery *r, uint32_t first, uint32_t end,
                         uint32_t *ret_blocks, enum store_log_flaw *ret_flaw)
{
    const struct store_block_stamp *head = &r->stamps[first];
    *ret_flaw = STORE_LOG_BLOCK_ROTTEN;
    if (r->states[first] == STORE_BLOCK_OLD)
        *ret_flaw = STORE_LOG_BLOCK_LOST;
    if (r->states[first] != STORE_BLOCK_NEW || head->batch != r->batch + 1 || head->place != 0 ||
        head->length == 0)
        return false;
    *ret_flaw = STORE_LOG_POSITION_BAD;
    *ret_blocks = store_log_batch_blocks(r->geometry, head->length);
    return *ret_blocks <= end - first;
}

/* --- What was synced --- */

/* Reads blocks [1, end) of the segment being read, all of whose batches were synced. */
static enum torc_status read_synced(struct recovery *r, uint32_t end)
{
    uint32_t block = 1;
    while (block < end) {
        uint32_t blocks;
        enum store_log_flaw what;
        if (!begins_batch(r, block, end, &blocks, &what))
            return flaw(r, what, block);
        count_lack(r, block, blocks);
        enum torc_status status = read_batch(r, block, r->stamps[block].length);
        if (status != TORC_OK)
            return status;
        block += blocks;
    }
    return TORC_OK;
}

static enum torc_status read_life(struct recovery *r, const struct life *life, uint32_t blocks)
{
    r->segment = life->segment;
    /* The oldest one's header is the authority on where batches begin; the others must agree. */
    if (r->batch != life->batch && life->segment != r->log->superblock->oldest)
        return flaw(r, STORE_LOG_POSITION_BAD, 0);
    r->batch = life->batch;
    enum torc_status status = read_segment(r, blocks);
    if (status != TORC_OK)
        return status;
    judge_blocks(r, 1, blocks);
    store_log_index_add_segment(&r->log->index, life->segment);
    return read_synced(r, life->end);
}

/* --- What may not have been synced --- */

/* Begins the fresh segment if anything but old blocks stands past the position. */
static enum torc_status begin_fresh(struct recovery *r)
{
    struct store_log *log = r->log;
    uint32_t block = log->superblock->position.block;
    while (block < r->geometry->segment_blocks && r->states[block] == STORE_BLOCK_OLD)
        block++;
    if (block == r->geometry->segment_blocks)
        return TORC_OK;
    enum torc_status status = store_log_take_spare(log, &r->fresh_segment);
    if (status != TORC_OK)
        return status;
    r->fresh = base_alloc(log->allocator, r->geometry->segment_size);
    r->fresh_block = 1;
    const struct store_log_segment_header header = {.previous = r->segment,
                                                    .oldest = log->superblock->oldest,
                                                    .previous_end =
                                                        log->superblock->position.block};
    store_log_segment_header_seal(r->geometry, r->fresh, r->fresh_segment, r->batch, &header);
    store_log_index_add_segment(&log->index, r->fresh_segment);
    return TORC_OK;
}

/* Past the last batch that counts, at `block`: only blocks of the next batch, each in its place,
 * and old ones. */
static enum torc_status check_rest(struct recovery *r, uint32_t block)
{
    for (uint32_t i = block; i < r->geometry->segment_blocks; i++) {
        const struct store_block_stamp *stamp = &r->stamps[i];
        if (r->states[i] == STORE_BLOCK_ROTTEN ||
            (r->states[i] == STORE_BLOCK_NEW &&
             (stamp->batch != r->batch + 1 || stamp->place != i - block)))
            return flaw(r, STORE_LOG_BLOCK_ROTTEN, i);
    }
    return TORC_OK;
}

static uint64_t highest_batch(const struct recovery *r, uint32_t from)
{
    uint64_t highest = 0;
    for (uint32_t i = from; i < r->geometry->segment_blocks; i++)
        if (r->states[i] == STORE_BLOCK_NEW && r->stamps[i].batch > highest)
            highest = r->stamps[i].batch;
    return highest;
}

/* Reads the batches past the superblock's position, up to the first that was not completed. */
static enum torc_status read_unsynced(struct recovery *r)
{
    uint32_t end = r->geometry->segment_blocks;
    uint32_t block = r->log->superblock->position.block;
    uint64_t highest = highest_batch(r, block);
    while (block < end) {
        uint32_t blocks;
        enum store_log_flaw what;
        bool last = highest <= r->batch + 1; /* Nothing of a later batch was ever written. */
        if (!begins_batch(r, block, end, &blocks, &what)) {
            if ((what == STORE_LOG_BLOCK_LOST && last) || TORC_MUTANT(ROT_IS_TORN))
                break;
            return flaw(r, what, block);
        }
        struct lack lack = count_lack(r, block, blocks);
        if (lack.old > 0 && last)
            break;
        enum torc_status status = read_batch(r, block, r->stamps[block].length);
        if (status != TORC_OK)
            return status;
        block += blocks;
    }
    r->log->torn_batches += highest > r->batch;
    return TORC_MUTANT(ROT_IS_TORN) ? TORC_OK : check_rest(r, block);
}

/* Makes the fresh segment durable, then lets the superblock name it. */
static enum torc_status finish_fresh(struct recovery *r)
{
    struct store_log *log = r->log;
    const struct store_device *device = log->device;
    log->position = log->superblock->position;
    if (r->fresh == NULL)
        return TORC_OK;
    enum torc_status status = device->write(device->context, r->fresh_segment, 0, r->fresh,
                                            (size_t)r->fresh_block * r->geometry->block_size,
                                            !TORC_MUTANT(RECOVERY_UNSYNCED));
    if (status != TORC_OK)
        return store_log_outcome(log, TORC_IO);
    log->syncs++;
    log->position = (struct store_position){
        .segment = r->fresh_segment, .batch = r->batch, .block = r->fresh_block};
    return store_log_save(log, log->superblock->oldest);
}

static enum torc_status recover(struct recovery *r)
{
    const struct store_position *position = &r->log->superblock->position;
    enum torc_status status = walk_chain(r);
    for (size_t i = r->life_count; status == TORC_OK && i-- > 0;) {
        bool last = i == 0;
        status = read_life(r, &r->lives[i], last ? r->geometry->segment_blocks : r->lives[i].end);
    }
    if (status != TORC_OK)
        return status;
    if (r->batch != position->batch)
        return flaw(r, STORE_LOG_POSITION_BAD, position->block);
    status = begin_fresh(r);
    if (status == TORC_OK)
        status = read_unsynced(r);
    if (status == TORC_OK)
        status = finish_fresh(r);
    return status;
}

enum torc_status store_log_recover(struct store_log *log, const struct store_log_visitor *visitor,
                                   struct store_log_damage *ret_damage)
{
    const struct base_allocator *allocator = log->allocator;
    uint32_t blocks = log->geometry.segment_blocks;
    struct recovery r = {.log = log,
                         .geometry = &log->geometry,
                         .visitor = visitor,
                         .damage = ret_damage,
                         .image = base_alloc(allocator, log->geometry.segment_size),
                         .states = base_alloc_zero(allocator, blocks * sizeof *r.states),
                         .stamps = base_alloc_zero(allocator, blocks * sizeof *r.stamps)};
    enum torc_status status = recover(&r);
    base_free(allocator, r.image, log->geometry.segment_size);
    base_free(allocator, r.states, blocks * sizeof *r.states);
    base_free(allocator, r.stamps, blocks * sizeof *r.stamps);
    base_free(allocator, r.fresh, log->geometry.segment_size);
    base_array_free(allocator, r.lives, &r.life_capacity, sizeof *r.lives);
    base_array_free(allocator, r.payload, &r.payload_capacity, 1);
    return status;
}
