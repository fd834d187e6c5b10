#include "base/assert.h"
#include "base/mutant.h"
#include "store/log_int.h"

/*
 * Recycling frees the oldest live segment, always the oldest: so of two records of a replica the
 * older goes first, and a DROP outlives all that it takes back. What is still needed in it is
 * written again, as ordinary batches, before the superblock lets go of it.
 */

/* Records being copied forward, written a batch at a time. */
struct copier {
    struct store_log *log;
    uint64_t segment;
    struct store_record *records;
    size_t count;
    size_t capacity;
    uint64_t length;  /* Bytes of the gathered records. */
    uint8_t *payload; /* Their payloads: as much as is needed of the segment, or a batch. */
    size_t payload_used, payload_max;
};

static enum torc_status copier_flush(struct copier *copier)
{
    if (copier->count == 0)
        return TORC_OK;
    enum torc_status status =
        store_log_write_batch(copier->log, copier->records, copier->count, copier->length);
    if (status == TORC_OK)
        copier->log->copied_records += copier->count;
    copier->count = 0;
    copier->length = 0;
    copier->payload_used = 0;
    return status;
}

/* Makes room for a record of `size` bytes, writing what was gathered if need be. */
static enum torc_status copier_reserve(struct copier *copier, uint64_t size)
{
    if (copier->length + size > copier->log->batch_size_max)
        return copier_flush(copier);
    return TORC_OK;
}

static void copier_put(struct copier *copier, const struct store_record *record)
{
    copier->records = base_array_reserve(copier->log->allocator, copier->records, &copier->capacity,
                                         copier->count + 1, sizeof *copier->records);
    copier->records[copier->count++] = *record;
    copier->length += store_record_size(record);
    copier->payload_used += record->payload.size;
}

static enum torc_status copy_plain(struct copier *copier, const struct store_record *record)
{
    enum torc_status status = copier_reserve(copier, STORE_RECORD_HEADER_SIZE);
    if (status == TORC_OK)
        copier_put(copier, record);
    return status;
}

/* A record that turns out rotten is copied as DAMAGE: forgetting it would make the log shorter. */
static enum torc_status copy_location(struct copier *copier, const struct store_log_group *group,
                                      const struct store_log_location *at)
{
    struct store_log *log = copier->log;
    TORC_ASSERT(at->size <= log->batch_size_max);
    enum torc_status status = copier_reserve(copier, at->size);
    if (status != TORC_OK)
        return status;
    TORC_ASSERT(copier->payload_used + at->size <= copier->payload_max);
    struct store_record record;
    status = store_log_read_at(log, group, at, copier->payload + copier->payload_used, &record);
    if (status == TORC_DAMAGED)
        record = (struct store_record){.kind = STORE_RECORD_DAMAGE,
                                       .group = group->group,
                                       .replica = group->replica,
                                       .slot = at->slot};
    else if (status != TORC_OK)
        return store_log_outcome(log, status);
    copier_put(copier, &record);
    return TORC_OK;
}

static enum torc_status copy_group(struct copier *copier, const struct store_log_group *group)
{
    struct store_record record = {.group = group->group, .replica = group->replica};
    enum torc_status status = TORC_OK;
    if (group->replica_at.segment == copier->segment)
        status = copy_location(copier, group, &group->replica_at);
    if (status == TORC_OK && group->promise_segment == copier->segment &&
        !TORC_MUTANT(RECYCLED_UNCOPIED)) {
        record.kind = STORE_RECORD_PROMISE;
        record.ballot = group->promise;
        status = copy_plain(copier, &record);
    }
    for (size_t i = 0; status == TORC_OK && i < group->count; i++) {
        const struct store_log_location *at = &group->entries[group->first + i];
        if (at->segment == copier->segment)
            status = copy_location(copier, group, at);
    }
    /* After the entries that it may cover. */
    if (status == TORC_OK && group->mark_segment == copier->segment) {
        record.kind = STORE_RECORD_MARK;
        record.ballot = (struct base_ballot){0};
        record.slot = group->mark;
        status = copy_plain(copier, &record);
    }
    return status;
}

static enum torc_status copy_segment(struct store_log *log, const struct store_log_segment *from)
{
    uint64_t needed = from->needed_bytes, batch = log->batch_size_max;
    struct copier copier = {.log = log,
                            .segment = from->segment,
                            .payload_max = (size_t)(needed < batch ? needed : batch)};
    if (copier.payload_max > 0)
        copier.payload = base_alloc(log->allocator, copier.payload_max);
    enum torc_status status = TORC_OK;
    for (size_t g = 0; status == TORC_OK && g < log->index.group_count; g++)
        status = copy_group(&copier, &log->index.groups[g]);
    if (status == TORC_OK)
        status = copier_flush(&copier);
    base_array_free(log->allocator, copier.records, &copier.capacity, sizeof *copier.records);
    base_free(log->allocator, copier.payload, copier.payload_max);
    return status;
}

/*
 * Copying pays when little of the segment is needed, or when at least half of the log is not: then
 * a round through it frees at least half of what it reads. So the log stays below twice what is
 * needed and the slack, whatever one group holds on to.
 */
static bool copying_pays(const struct store_log *log, size_t freed)
{
    uint64_t size = log->geometry.segment_size;
    return log->index.segments[freed].needed_bytes <= size / STORE_LOG_COPY_CHEAP ||
           (log->index.segment_count - freed) * size >
               2 * log->index.needed_bytes + log->config.slack_segments * size;
}

/* The superblock lets go first, in both copies; only then is a segment anything else but live. */
static enum torc_status release(struct store_log *log, size_t count)
{
    enum torc_status status = store_log_save(log, log->index.segments[count].segment);
    if (status != TORC_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        store_log_spare_add(log, log->index.segments[i].segment);
    store_log_index_drop_segments(&log->index, count);
    while (log->spare_count > log->config.spare_segments + STORE_LOG_SPARE_SLACK) {
        status = log->device->remove(log->device->context, log->spares[log->spare_count - 1]);
        if (status != TORC_OK)
            return store_log_outcome(log, TORC_IO);
        log->spare_count--;
    }
    return TORC_OK;
}

enum torc_status store_log_trim(struct store_log *log, uint32_t group, uint64_t slot)
{
    if (log->failed)
        return TORC_IO;
    store_log_index_trim(&log->index, group, slot);
    /* One round at most (what is copied lands behind the segments that are looked at), and a
     * segment's worth of copying: appends wait for it. The next trim goes on. */
    size_t round = log->index.segment_count - 1;
    size_t freed = 0;
    uint64_t copied = 0;
    enum torc_status status = TORC_OK;
    while (freed < round && copied < log->geometry.segment_size && copying_pays(log, freed)) {
        copied += log->index.segments[freed].needed_bytes;
        status = copy_segment(log, &log->index.segments[freed]);
        if (status != TORC_OK)
            break;
        freed++;
    }
    if (freed == 0 || log->failed)
        return status;
    enum torc_status released = release(log, freed);
    return released == TORC_OK ? status : released;
}
