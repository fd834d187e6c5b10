#include "paxos/window.h"

#include "base/assert.h"

enum { WINDOW_CAPACITY_MIN = 16 };

static struct paxos_slot *at(const struct paxos_window *window, uint64_t slot)
{
    return &window->slots[slot & (window->capacity - 1)];
}

void paxos_window_init(struct paxos_window *window, const struct base_allocator *allocator,
                       uint64_t first)
{
    TORC_ASSERT(first > 0);
    *window = (struct paxos_window){.allocator = allocator, .first = first, .last = first - 1};
}

void paxos_window_fini(struct paxos_window *window)
{
    paxos_window_drop(window, window->last);
    base_free(window->allocator, window->slots, window->capacity * sizeof(*window->slots));
    *window = (struct paxos_window){.allocator = window->allocator};
}

struct paxos_slot *paxos_window_get(const struct paxos_window *window, uint64_t slot)
{
    if (slot < window->first || slot > window->last)
        return NULL;
    struct paxos_slot *found = at(window, slot);
    if (found->entry.slot == 0)
        return NULL;
    TORC_ASSERT(found->entry.slot == slot);
    return found;
}

static void grow(struct paxos_window *window, uint64_t count)
{
    size_t capacity = window->capacity == 0 ? WINDOW_CAPACITY_MIN : window->capacity;
    while (capacity < count)
        capacity *= 2;
    if (capacity == window->capacity)
        return;
    struct paxos_slot *old = window->slots;
    size_t old_capacity = window->capacity;
    window->slots = base_alloc_zero(window->allocator, capacity * sizeof(*old));
    window->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].entry.slot != 0)
            *at(window, old[i].entry.slot) = old[i];
    }
    base_free(window->allocator, old, old_capacity * sizeof(*old));
}

struct paxos_slot *paxos_window_put(struct paxos_window *window,
                                    const struct consensus_entry *entry)
{
    TORC_ASSERT(entry->slot >= window->first);
    if (entry->slot > window->last) {
        grow(window, entry->slot - window->first + 1);
        window->last = entry->slot;
    }
    struct paxos_slot *slot = at(window, entry->slot);
    TORC_ASSERT(slot->entry.slot == 0 || slot->entry.slot == entry->slot);
    struct base_buffer *old = slot->entry.value;
    *slot = (struct paxos_slot){.entry = *entry};
    if (entry->value != NULL)
        base_buffer_ref(entry->value);
    base_buffer_unref(old);
    return slot;
}

void paxos_window_drop(struct paxos_window *window, uint64_t slot)
{
    TORC_ASSERT(slot <= window->last);
    for (; window->first <= slot; window->first++) {
        struct paxos_slot *gone = at(window, window->first);
        base_buffer_unref(gone->entry.value);
        *gone = (struct paxos_slot){.seq = 0};
    }
}

size_t paxos_value_size(const struct consensus_entry *entry)
{
    return entry->value == NULL ? 0 : entry->value->size;
}

size_t paxos_entry_cost(const struct consensus_entry *entry)
{
    return sizeof(struct paxos_slot) + paxos_value_size(entry);
}
