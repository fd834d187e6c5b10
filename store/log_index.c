#include "store/log_index.h"

#include "base/assert.h"

void store_log_index_init(struct store_log_index *index, const struct base_allocator *allocator)
{
    *index = (struct store_log_index){.allocator = allocator};
}

static void entries_free(struct store_log_index *index, struct store_log_group *group)
{
    base_array_free(index->allocator, group->entries, &group->capacity, sizeof *group->entries);
}

void store_log_index_fini(struct store_log_index *index)
{
    for (size_t i = 0; i < index->group_count; i++)
        entries_free(index, &index->groups[i]);
    base_array_free(index->allocator, index->groups, &index->group_capacity, sizeof *index->groups);
    base_array_free(index->allocator, index->segments, &index->segment_capacity,
                    sizeof *index->segments);
}

void store_log_index_add_segment(struct store_log_index *index, uint64_t segment)
{
    TORC_ASSERT(segment > 0);
    TORC_ASSERT(index->segment_count == 0 ||
                index->segments[index->segment_count - 1].segment < segment);
    index->segments =
        base_array_reserve(index->allocator, index->segments, &index->segment_capacity,
                           index->segment_count + 1, sizeof *index->segments);
    index->segments[index->segment_count++] = (struct store_log_segment){.segment = segment};
}

void store_log_index_drop_segments(struct store_log_index *index, size_t count)
{
    TORC_ASSERT(count < index->segment_count);
    for (size_t i = 0; i < count; i++)
        TORC_ASSERT(index->segments[i].needed_bytes == 0);
    index->segment_count -= count;
    memmove(index->segments, index->segments + count,
            index->segment_count * sizeof *index->segments);
}

static struct store_log_segment *segment_find(const struct store_log_index *index, uint64_t segment)
{
    size_t low = 0;
    size_t high = index->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->segments[middle].segment < segment)
            low = middle + 1;
        else
            high = middle;
    }
    TORC_ASSERT(low < index->segment_count && index->segments[low].segment == segment);
    return &index->segments[low];
}

static void location_set(struct store_log_index *index, struct store_log_location *location,
                         const struct store_log_location *at)
{
    *location = *at;
    segment_find(index, at->segment)->needed_bytes += at->size;
    index->needed_bytes += at->size;
}

static void location_clear(struct store_log_index *index, struct store_log_location *location)
{
    if (location->segment == 0)
        return;
    struct store_log_segment *segment = segment_find(index, location->segment);
    TORC_ASSERT(segment->needed_bytes >= location->size);
    segment->needed_bytes -= location->size;
    index->needed_bytes -= location->size;
    location->segment = 0;
}

/* First place whose group is not below `group`. */
static size_t group_place(const struct store_log_index *index, uint32_t group)
{
    size_t low = 0;
    size_t high = index->group_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->groups[middle].group < group)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct store_log_group *store_log_index_find(const struct store_log_index *index, uint32_t group)
{
    size_t place = group_place(index, group);
    if (place == index->group_count || index->groups[place].group != group)
        return NULL;
    return &index->groups[place];
}

static struct store_log_group *group_add(struct store_log_index *index, uint32_t group,
                                         uint64_t replica)
{
    size_t place = group_place(index, group);
    index->groups = base_array_reserve(index->allocator, index->groups, &index->group_capacity,
                                       index->group_count + 1, sizeof *index->groups);
    memmove(index->groups + place + 1, index->groups + place,
            (index->group_count - place) * sizeof *index->groups);
    index->group_count++;
    index->groups[place] = (struct store_log_group){.group = group, .replica = replica};
    return &index->groups[place];
}

static void group_drop(struct store_log_index *index, struct store_log_group *group)
{
    location_clear(index, &group->replica_at);
    for (size_t i = 0; i < group->count; i++)
        location_clear(index, &group->entries[group->first + i]);
    index->entry_count -= group->count;
    entries_free(index, group);
    size_t place = (size_t)(group - index->groups);
    index->group_count--;
    memmove(index->groups + place, index->groups + place + 1,
            (index->group_count - place) * sizeof *index->groups);
}

/* First place in the live entries whose slot is not below `slot`, counted from `first`. */
static size_t entry_place(const struct store_log_group *group, uint64_t slot)
{
    size_t low = 0;
    size_t high = group->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (group->entries[group->first + middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct store_log_location *store_log_index_entry(const struct store_log_group *group, uint64_t slot)
{
    size_t place = entry_place(group, slot);
    if (place == group->count || group->entries[group->first + place].slot != slot)
        return NULL;
    return &group->entries[group->first + place];
}

static void entry_set(struct store_log_index *index, struct store_log_group *group,
                      const struct store_log_location *at)
{
    if (at->slot <= group->trimmed)
        return;
    struct store_log_location *known = store_log_index_entry(group, at->slot);
    if (known != NULL) {
        location_clear(index, known);
        location_set(index, known, at);
        return;
    }
    size_t place = entry_place(group, at->slot);
    group->entries = base_array_reserve(index->allocator, group->entries, &group->capacity,
                                        group->first + group->count + 1, sizeof *group->entries);
    struct store_log_location *entry = group->entries + group->first + place;
    memmove(entry + 1, entry, (group->count - place) * sizeof *entry);
    location_set(index, entry, at);
    group->count++;
    index->entry_count++;
}

static void replica_set(struct store_log_index *index, struct store_log_group *group,
                        const struct store_log_location *at)
{
    location_clear(index, &group->replica_at);
    location_set(index, &group->replica_at, at);
}

/* An accept promises its ballot too, so either record proves the promise. */
static void promise_note(struct store_log_group *group, struct base_ballot ballot, uint64_t segment)
{
    if (!base_ballot_is_none(ballot) && base_ballot_compare(ballot, group->promise) >= 0) {
        group->promise = ballot;
        group->promise_segment = segment;
    }
}

enum torc_status store_log_index_apply(struct store_log_index *index,
                                       const struct store_record *record,
                                       const struct store_log_location *at)
{
    TORC_ASSERT(at->slot == record->slot);
    struct store_log_group *group = store_log_index_find(index, record->group);
    if (group != NULL && group->replica != record->replica)
        return TORC_MALFORMED;
    if (record->kind == STORE_RECORD_DROP) {
        if (group != NULL)
            group_drop(index, group);
        return TORC_OK;
    }
    if (group == NULL)
        group = group_add(index, record->group, record->replica);
    switch (record->kind) {
    case STORE_RECORD_PROMISE:
        promise_note(group, record->ballot, at->segment);
        break;
    case STORE_RECORD_MARK:
        if (record->slot >= group->mark) {
            group->mark = record->slot;
            group->mark_segment = at->segment;
        }
        break;
    case STORE_RECORD_ENTRY:
        promise_note(group, record->ballot, at->segment);
        entry_set(index, group, at);
        break;
    case STORE_RECORD_LEARNED:
        entry_set(index, group, at);
        break;
    case STORE_RECORD_REPLICA:
        replica_set(index, group, at);
        break;
    case STORE_RECORD_DAMAGE:
        promise_note(group, record->ballot, at->segment);
        if (record->slot > 0)
            entry_set(index, group, at);
        else
            replica_set(index, group, at);
        break;
    case STORE_RECORD_DROP:
        break; /* Returned above. */
    }
    return TORC_OK;
}

void store_log_index_trim(struct store_log_index *index, uint32_t group_number, uint64_t slot)
{
    struct store_log_group *group = store_log_index_find(index, group_number);
    if (group == NULL || slot <= group->trimmed)
        return;
    group->trimmed = slot;
    while (group->count > 0 && group->entries[group->first].slot <= slot) {
        location_clear(index, &group->entries[group->first]);
        group->first++;
        group->count--;
        index->entry_count--;
    }
    /* The dead front is closed up when it is the larger part: constant cost per entry. */
    if (group->first > group->count) {
        memmove(group->entries, group->entries + group->first,
                group->count * sizeof *group->entries);
        group->first = 0;
    }
}

void store_log_index_check(const struct store_log_index *index)
{
    uint64_t needed = 0;
    for (size_t i = 0; i < index->segment_count; i++) {
        needed += index->segments[i].needed_bytes;
        TORC_ASSERT(i == 0 || index->segments[i - 1].segment < index->segments[i].segment);
    }
    TORC_ASSERT(needed == index->needed_bytes);
    uint64_t pointed = 0;
    uint64_t entries = 0;
    for (size_t g = 0; g < index->group_count; g++) {
        const struct store_log_group *group = &index->groups[g];
        TORC_ASSERT(g == 0 || index->groups[g - 1].group < group->group);
        pointed += group->replica_at.segment == 0 ? 0 : group->replica_at.size;
        for (size_t i = 0; i < group->count; i++) {
            const struct store_log_location *entry = &group->entries[group->first + i];
            TORC_ASSERT(entry->slot > (i == 0 ? group->trimmed : entry[-1].slot));
            pointed += entry->size;
        }
        entries += group->count;
    }
    TORC_ASSERT(pointed == index->needed_bytes);
    TORC_ASSERT(entries == index->entry_count);
}
