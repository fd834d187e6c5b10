#include "shard/recovery.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "shard/flushed.h"

struct shard_recovery {
    const struct base_allocator *allocator;
    struct store_kv *kv;
    struct base_pool *pool;
    struct shard_recovered *groups; /* Ascending by group. */
    size_t group_count, groups_capacity;
    bool pool_full;
};

struct shard_recovery *shard_recovery_new(struct store_kv *kv, struct base_pool *pool,
                                          const struct base_allocator *allocator)
{
    struct shard_recovery *recovery = base_alloc_zero(allocator, sizeof(*recovery));
    recovery->allocator = allocator;
    recovery->kv = kv;
    recovery->pool = pool;
    return recovery;
}

static void empty(struct shard_recovery *recovery, struct shard_recovered *group)
{
    for (size_t i = 0; i < group->entry_count; i++)
        base_buffer_unref(group->entries[i].value);
    base_array_free(recovery->allocator, group->entries, &group->entries_capacity,
                    sizeof(*group->entries));
    base_free(recovery->allocator, (void *)(uintptr_t)group->birth.data, group->birth.size);
}

void shard_recovery_free(struct shard_recovery *recovery)
{
    if (recovery == NULL)
        return;
    for (size_t i = 0; i < recovery->group_count; i++)
        empty(recovery, &recovery->groups[i]);
    base_array_free(recovery->allocator, recovery->groups, &recovery->groups_capacity,
                    sizeof(*recovery->groups));
    base_free(recovery->allocator, recovery, sizeof(*recovery));
}

/* Where the group stands, or would. */
static size_t position(const struct shard_recovery *recovery, uint32_t group)
{
    size_t at = 0;
    while (at < recovery->group_count && recovery->groups[at].group < group)
        at++;
    return at;
}

static struct shard_recovered *find(struct shard_recovery *recovery, uint32_t group,
                                    uint64_t replica)
{
    size_t at = position(recovery, group);
    if (at == recovery->group_count || recovery->groups[at].group != group ||
        recovery->groups[at].replica != replica)
        return NULL;
    return &recovery->groups[at];
}

uint64_t shard_recovery_flushed(struct shard_recovery *recovery, uint32_t group)
{
    return shard_state_flushed_slot(recovery->kv, group);
}

/* The replica that a record belongs to. Its REPLICA record may stand behind others of its records:
 * recycling writes again what is still needed of the oldest segment. */
static struct shard_recovered *find_or_add(struct shard_recovery *recovery, uint32_t group,
                                           uint64_t replica)
{
    size_t at = position(recovery, group);
    if (at < recovery->group_count && recovery->groups[at].group == group) {
        TORC_ASSERT(recovery->groups[at].replica == replica); /* The log saw to it. */
        return &recovery->groups[at];
    }
    recovery->groups =
        base_array_reserve(recovery->allocator, recovery->groups, &recovery->groups_capacity,
                           recovery->group_count + 1, sizeof(*recovery->groups));
    memmove(&recovery->groups[at + 1], &recovery->groups[at],
            (recovery->group_count - at) * sizeof(*recovery->groups));
    recovery->group_count++;
    uint64_t flushed = shard_recovery_flushed(recovery, group);
    recovery->groups[at] = (struct shard_recovered){
        .group = group, .replica = replica, .flushed = flushed, .compacted = flushed};
    return &recovery->groups[at];
}

static void set_birth(struct shard_recovery *recovery, struct shard_recovered *group,
                      struct base_bytes payload)
{
    if (group->birth.size > 0 || payload.size == 0)
        return; /* Copied forward. */
    uint8_t *birth = base_alloc(recovery->allocator, payload.size);
    memcpy(birth, payload.data, payload.size);
    group->birth = base_bytes_of(birth, payload.size);
}

static void drop_replica(struct shard_recovery *recovery, uint32_t group, uint64_t replica)
{
    struct shard_recovered *found = find(recovery, group, replica);
    if (found == NULL)
        return;
    empty(recovery, found);
    size_t after = (size_t)(found - recovery->groups) + 1;
    memmove(found, found + 1, (recovery->group_count - after) * sizeof(*found));
    recovery->group_count--;
}

static size_t slot_position(const struct shard_recovered *group, uint64_t slot)
{
    size_t low = 0, high = group->entry_count;
    if (high > 0 && group->entries[high - 1].slot < slot)
        return high; /* Records come nearly in order. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (group->entries[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The newest record of a slot replaces an earlier one. */
static void add_entry(struct shard_recovery *recovery, struct shard_recovered *group,
                      const struct store_record *record)
{
    if (record->slot <= group->flushed)
        return;
    struct consensus_entry entry = {.slot = record->slot,
                                    .ballot = record->ballot,
                                    .origin = record->origin,
                                    .kind = (enum consensus_entry_kind)record->tag};
    if (entry.kind == CONSENSUS_VALUE) {
        entry.value = base_buffer_copy(recovery->pool, record->payload);
        if (entry.value == NULL) {
            recovery->pool_full = true;
            return;
        }
    }
    size_t at = slot_position(group, record->slot);
    if (at < group->entry_count && group->entries[at].slot == record->slot) {
        if (TORC_MUTANT(OLDEST_RECORD_COUNTS)) {
            base_buffer_unref(entry.value);
            return;
        }
        base_buffer_unref(group->entries[at].value);
        group->entries[at] = entry;
        return;
    }
    group->entries =
        base_array_reserve(recovery->allocator, group->entries, &group->entries_capacity,
                           group->entry_count + 1, sizeof(*group->entries));
    memmove(&group->entries[at + 1], &group->entries[at],
            (group->entry_count - at) * sizeof(*group->entries));
    group->entries[at] = entry;
    group->entry_count++;
}

/* Accepting at a ballot is also a promise of it. */
static void raise_promise(struct shard_recovered *group, struct base_ballot ballot)
{
    if (base_ballot_compare(ballot, group->promised) > 0)
        group->promised = ballot;
}

void shard_recovery_record(struct shard_recovery *recovery, const struct store_record *record)
{
    if (record->kind == STORE_RECORD_DROP) {
        drop_replica(recovery, record->group, record->replica);
        return;
    }
    struct shard_recovered *group = find_or_add(recovery, record->group, record->replica);
    switch (record->kind) {
    case STORE_RECORD_REPLICA:
        set_birth(recovery, group, record->payload);
        break;
    case STORE_RECORD_PROMISE:
        raise_promise(group, record->ballot);
        break;
    case STORE_RECORD_ENTRY:
        if (!TORC_MUTANT(PROMISE_LOST_AT_RECOVERY))
            raise_promise(group, record->ballot);
        add_entry(recovery, group, record);
        break;
    case STORE_RECORD_LEARNED:
        add_entry(recovery, group, record);
        break;
    case STORE_RECORD_MARK:
        if (record->slot > group->chosen)
            group->chosen = record->slot;
        break;
    case STORE_RECORD_DAMAGE:
        shard_recovery_damaged(recovery, record->group, record->replica, record->slot);
        break;
    case STORE_RECORD_DROP:
        break; /* Returned above. */
    }
}

void shard_recovery_damaged(struct shard_recovery *recovery, uint32_t group, uint64_t replica,
                            uint64_t slot)
{
    struct shard_recovered *found = find_or_add(recovery, group, replica);
    found->damaged = true;
    found->damaged_slot = slot;
}

void shard_recovery_loadable(struct shard_recovery *recovery, uint32_t group, uint64_t first_slot)
{
    size_t at = position(recovery, group);
    if (at < recovery->group_count && recovery->groups[at].group == group && first_slot > 0 &&
        first_slot - 1 < recovery->groups[at].compacted)
        recovery->groups[at].compacted = first_slot - 1;
}

enum torc_status shard_recovery_status(const struct shard_recovery *recovery)
{
    return recovery->pool_full ? TORC_FULL : TORC_OK;
}

size_t shard_recovery_count(const struct shard_recovery *recovery)
{
    return recovery->group_count;
}

const struct shard_recovered *shard_recovery_at(const struct shard_recovery *recovery, size_t index)
{
    TORC_ASSERT(index < recovery->group_count);
    return &recovery->groups[index];
}
