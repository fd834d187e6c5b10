#include "tests/harness/disk.h"

#include <string.h>

#include "base/assert.h"

static struct consensus_entry *place(struct disk *disk, uint64_t slot)
{
    if (slot >= disk->slot_capacity) {
        size_t old = disk->slot_capacity;
        disk->slots = base_array_reserve(disk->allocator, disk->slots, &disk->slot_capacity,
                                         slot + 1, sizeof(*disk->slots));
        memset(disk->slots + old, 0, (disk->slot_capacity - old) * sizeof(*disk->slots));
    }
    return &disk->slots[slot];
}

static void clear(struct consensus_entry *entry)
{
    base_buffer_unref(entry->value);
    *entry = (struct consensus_entry){.slot = 0};
}

void disk_init(struct disk *disk, struct base_pool *pool, struct disk_log *log)
{
    *disk = (struct disk){.allocator = pool->allocator, .pool = pool, .log = log};
}

static void batch_free(struct disk *disk, struct disk_batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count; i++)
        base_buffer_unref(batch->records[i].entry.value);
    base_free(disk->allocator, batch->records, batch->record_count * sizeof(*batch->records));
}

void disk_append(struct disk *disk, const struct consensus_ready *ready)
{
    TORC_ASSERT(ready->record_count > 0);
    disk->batches = base_array_reserve(disk->allocator, disk->batches, &disk->batch_capacity,
                                       disk->batch_count + 1, sizeof(*disk->batches));
    size_t size = ready->record_count * sizeof(*ready->records);
    struct disk_batch batch = {.seq = ready->persist_seq,
                               .mark = ready->mark,
                               .records = base_alloc(disk->allocator, size),
                               .record_count = ready->record_count};
    memcpy(batch.records, ready->records, size);
    for (uint32_t i = 0; i < batch.record_count; i++) {
        if (batch.records[i].entry.value != NULL)
            base_buffer_ref(batch.records[i].entry.value);
    }
    disk->batches[disk->batch_count++] = batch;
}

bool disk_write(struct disk *disk)
{
    if (disk->writing > 0 || disk->batch_count == 0)
        return false;
    disk->writing = disk->batch_count;
    return true;
}

static void settle(struct disk *disk, const struct consensus_record *record)
{
    if (record->kind == CONSENSUS_RECORD_PROMISE) {
        disk->promised = record->entry.ballot;
        return;
    }
    struct consensus_entry *entry = place(disk, record->entry.slot);
    if (record->entry.value != NULL)
        base_buffer_ref(record->entry.value);
    clear(entry);
    *entry = record->entry;
    if (entry->slot > disk->last)
        disk->last = entry->slot;
}

static void drop_first(struct disk *disk, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        batch_free(disk, &disk->batches[i]);
    disk->batch_count -= count;
    if (disk->batch_count > 0)
        memmove(disk->batches, disk->batches + count, disk->batch_count * sizeof(*disk->batches));
    disk->writing = 0;
}

uint64_t disk_synced(struct disk *disk)
{
    TORC_ASSERT(disk->writing > 0);
    if (disk->log != NULL)
        disk_log_append(disk->log, disk->batches, disk->writing);
    for (uint32_t i = 0; i < disk->writing; i++) {
        const struct disk_batch *batch = &disk->batches[i];
        for (uint32_t j = 0; j < batch->record_count; j++)
            settle(disk, &batch->records[j]);
        disk->mark = batch->mark;
    }
    uint64_t seq = disk->batches[disk->writing - 1].seq;
    drop_first(disk, disk->writing);
    return seq;
}

/* A record that the log gave back: its value is bytes, and becomes a buffer again. */
static void found(void *context, const struct store_record *record)
{
    struct disk *disk = context;
    if (record->kind == STORE_RECORD_MARK)
        disk->mark = record->slot;
    bool holds = record->kind == STORE_RECORD_ENTRY || record->kind == STORE_RECORD_LEARNED;
    /* An entry promises its ballot: when log space is recycled, it may be all that is left of that.
     */
    if (holds || record->kind == STORE_RECORD_PROMISE) {
        if (base_ballot_compare(record->ballot, disk->promised) > 0)
            disk->promised = record->ballot;
    }
    if (!holds || record->slot <= disk->trimmed)
        return;
    struct consensus_record settled = {.kind = CONSENSUS_RECORD_ENTRY,
                                       .entry = {.slot = record->slot,
                                                 .ballot = record->ballot,
                                                 .origin = record->origin,
                                                 .kind = (enum consensus_entry_kind)record->tag}};
    if (settled.entry.kind == CONSENSUS_VALUE)
        settled.entry.value = base_buffer_copy(disk->pool, record->payload);
    settle(disk, &settled);
    base_buffer_unref(settled.entry.value);
}

static void forget(struct disk *disk)
{
    for (uint64_t s = 0; s < disk->slot_capacity; s++)
        clear(&disk->slots[s]);
    disk->promised = (struct base_ballot){.round = 0};
    disk->mark = 0;
    disk->last = 0;
}

void disk_crash(struct disk *disk, bool power, bool keep)
{
    if (disk->log != NULL) {
        forget(disk);
        disk_log_crash(disk->log, power, disk->batches, disk->writing, found, disk);
    } else if (keep && disk->writing > 0) {
        disk_synced(disk);
    }
    drop_first(disk, disk->batch_count);
}

void disk_fini(struct disk *disk)
{
    drop_first(disk, disk->batch_count);
    forget(disk);
    disk_log_free(disk->log);
    base_array_free(disk->allocator, disk->slots, &disk->slot_capacity, sizeof(*disk->slots));
    base_array_free(disk->allocator, disk->batches, &disk->batch_capacity, sizeof(*disk->batches));
}

const struct consensus_entry *disk_entry(const struct disk *disk, uint64_t slot)
{
    if (slot >= disk->slot_capacity || disk->slots[slot].slot == 0)
        return NULL;
    return &disk->slots[slot];
}

void disk_trim(struct disk *disk, uint64_t slot)
{
    for (; disk->trimmed < slot; disk->trimmed++) {
        if (disk->trimmed + 1 < disk->slot_capacity)
            clear(&disk->slots[disk->trimmed + 1]);
    }
    if (disk->log != NULL)
        disk_log_trim(disk->log, slot);
}

void disk_damage(struct disk *disk, bool (*lose)(void *context), void *context)
{
    disk_log_free(disk->log);
    disk->log = NULL;
    disk->promised = (struct base_ballot){.round = 0};
    disk->mark = 0;
    for (uint64_t s = 1; s < disk->slot_capacity; s++) {
        if (lose(context))
            clear(&disk->slots[s]);
    }
}

void disk_recover(const struct disk *disk, uint64_t applied, struct consensus_boot *ret_boot,
                  struct consensus_entry **ret_entries)
{
    *ret_boot = (struct consensus_boot){.promised = disk->promised,
                                        .applied = applied,
                                        .chosen = disk->mark,
                                        .compacted = disk->trimmed};
    *ret_entries = NULL;
    if (disk->last <= applied)
        return;
    *ret_entries =
        base_alloc(disk->allocator, (disk->last - applied) * sizeof(struct consensus_entry));
    for (uint64_t s = applied + 1; s <= disk->last; s++) {
        const struct consensus_entry *entry = disk_entry(disk, s);
        if (entry != NULL)
            (*ret_entries)[ret_boot->entry_count++] = *entry;
    }
    ret_boot->entries = *ret_entries;
}
