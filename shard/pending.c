#include "shard/pending.h"

#include "base/assert.h"
#include "base/hash.h"

enum { PENDING_NONE = UINT32_MAX };

/* Slots of a fixed array; the used ones form a list in order of arrival, the others a free list. */
struct pending_slot {
    struct wire_client_id client;
    uint64_t number;
    uint64_t route;
    uint32_t before, after; /* List; PENDING_NONE at its ends. */
};

struct shard_pending {
    const struct base_allocator *allocator;
    struct pending_slot *slots;
    uint32_t *index; /* Open addressing: slot number or PENDING_NONE. */
    uint32_t slot_count, index_size, used;
    uint32_t first, last, free;
};

struct shard_pending *shard_pending_new(const struct base_allocator *allocator, size_t count_max)
{
    TORC_ASSERT(count_max > 0 && count_max < PENDING_NONE / 4);
    struct shard_pending *pending = base_alloc_zero(allocator, sizeof(*pending));
    pending->allocator = allocator;
    pending->slot_count = (uint32_t)count_max;
    pending->index_size = 8;
    while (pending->index_size < 2 * count_max)
        pending->index_size *= 2;
    pending->slots = base_alloc_zero(allocator, count_max * sizeof(*pending->slots));
    pending->index = base_alloc(allocator, pending->index_size * sizeof(*pending->index));
    for (uint32_t i = 0; i < pending->index_size; i++)
        pending->index[i] = PENDING_NONE;
    for (uint32_t i = 0; i < pending->slot_count; i++)
        pending->slots[i].after = i + 1 < pending->slot_count ? i + 1 : PENDING_NONE;
    pending->first = pending->last = PENDING_NONE;
    return pending;
}

void shard_pending_free(struct shard_pending *pending)
{
    if (pending == NULL)
        return;
    const struct base_allocator *allocator = pending->allocator;
    base_free(allocator, pending->slots, pending->slot_count * sizeof(*pending->slots));
    base_free(allocator, pending->index, pending->index_size * sizeof(*pending->index));
    base_free(allocator, pending, sizeof(*pending));
}

size_t shard_pending_count(const struct shard_pending *pending)
{
    return pending->used;
}

bool shard_pending_is_full(const struct shard_pending *pending)
{
    return pending->used == pending->slot_count;
}

static uint32_t home(const struct shard_pending *pending, struct wire_client_id client,
                     uint64_t number)
{
    uint64_t id[3] = {client.high, client.low, number};
    return (uint32_t)base_hash(base_bytes_of(id, sizeof(id))) & (pending->index_size - 1);
}

/* Where the request stands in the index, or the free place where it would. */
static uint32_t find(const struct shard_pending *pending, struct wire_client_id client,
                     uint64_t number)
{
    uint32_t at = home(pending, client, number);
    while (pending->index[at] != PENDING_NONE) {
        const struct pending_slot *slot = &pending->slots[pending->index[at]];
        if (slot->number == number && slot->client.low == client.low &&
            slot->client.high == client.high)
            break;
        at = (at + 1) & (pending->index_size - 1);
    }
    return at;
}

void shard_pending_add(struct shard_pending *pending, struct wire_client_id client, uint64_t number,
                       uint64_t route)
{
    uint32_t at = find(pending, client, number);
    TORC_ASSERT(pending->index[at] == PENDING_NONE);
    TORC_ASSERT(pending->free != PENDING_NONE);
    uint32_t taken = pending->free;
    struct pending_slot *slot = &pending->slots[taken];
    pending->free = slot->after;
    *slot = (struct pending_slot){.client = client,
                                  .number = number,
                                  .route = route,
                                  .before = pending->last,
                                  .after = PENDING_NONE};
    if (pending->last == PENDING_NONE)
        pending->first = taken;
    else
        pending->slots[pending->last].after = taken;
    pending->last = taken;
    pending->index[at] = taken;
    pending->used++;
}

bool shard_pending_has(const struct shard_pending *pending, struct wire_client_id client,
                       uint64_t number)
{
    return pending->index[find(pending, client, number)] != PENDING_NONE;
}

bool shard_pending_redirect(struct shard_pending *pending, struct wire_client_id client,
                            uint64_t number, uint64_t route)
{
    uint32_t at = find(pending, client, number);
    if (pending->index[at] == PENDING_NONE)
        return false;
    pending->slots[pending->index[at]].route = route;
    return true;
}

/* Empties a place of the index and moves back what was pushed past it (Knuth 6.4, algorithm R). */
static void index_remove(struct shard_pending *pending, uint32_t hole)
{
    uint32_t mask = pending->index_size - 1;
    uint32_t at = hole;
    for (;;) {
        pending->index[hole] = PENDING_NONE;
        for (;;) {
            at = (at + 1) & mask;
            if (pending->index[at] == PENDING_NONE)
                return;
            const struct pending_slot *slot = &pending->slots[pending->index[at]];
            uint32_t wanted = home(pending, slot->client, slot->number);
            /* It may fill the hole unless its home lies cyclically in (hole, at]. */
            if (((at - wanted) & mask) >= ((at - hole) & mask))
                break;
        }
        pending->index[hole] = pending->index[at];
        hole = at;
    }
}

static void slot_remove(struct shard_pending *pending, uint32_t taken)
{
    struct pending_slot *slot = &pending->slots[taken];
    if (slot->before == PENDING_NONE)
        pending->first = slot->after;
    else
        pending->slots[slot->before].after = slot->after;
    if (slot->after == PENDING_NONE)
        pending->last = slot->before;
    else
        pending->slots[slot->after].before = slot->before;
    slot->after = pending->free;
    pending->free = taken;
    TORC_ASSERT(pending->used > 0);
    pending->used--;
}

bool shard_pending_take(struct shard_pending *pending, struct wire_client_id client,
                        uint64_t number, uint64_t *ret_route)
{
    uint32_t at = find(pending, client, number);
    uint32_t taken = pending->index[at];
    if (taken == PENDING_NONE)
        return false;
    *ret_route = pending->slots[taken].route;
    index_remove(pending, at);
    slot_remove(pending, taken);
    return true;
}

bool shard_pending_take_oldest(struct shard_pending *pending, uint64_t *ret_number,
                               uint64_t *ret_route)
{
    if (pending->first == PENDING_NONE)
        return false;
    struct pending_slot slot = pending->slots[pending->first];
    *ret_number = slot.number;
    bool taken = shard_pending_take(pending, slot.client, slot.number, ret_route);
    TORC_ASSERT(taken);
    return taken;
}
