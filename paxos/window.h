/*
 * paxos/window -- the entries that a replica has in memory, by slot.
 *
 *      first            applied          chosen                last
 *        |--- cached ------|--- to apply ---|--- accepted -------|
 *        every slot is there                holes are legal
 *
 * A ring buffer: slot s lies at s modulo the capacity, a power of two that only grows. It owns one
 * reference to each value. Bounds are the business of its users.
 */
#ifndef TORC_PAXOS_WINDOW_H
#define TORC_PAXOS_WINDOW_H

#include "paxos/consensus.h"

struct paxos_slot {
    struct consensus_entry entry; /* entry.slot == 0: a hole. */
    uint64_t seq;                 /* Batch of its newest record: durable once that is synced. */
    uint64_t sent_ms;             /* Leader: when it was sent last. */
    uint32_t acks;                /* Leader: members that hold it durably at the own ballot. */
    bool learned;                 /* Known to be chosen, whatever the chosen index says. */
};

struct paxos_window {
    const struct base_allocator *allocator;
    struct paxos_slot *slots;
    size_t capacity;
    uint64_t first; /* Lowest slot that may be here. */
    uint64_t last;  /* Highest slot with an entry; first - 1 when there is none. */
};

/* Empty, for slots from `first` > 0 on. `allocator` is borrowed. */
void paxos_window_init(struct paxos_window *window, const struct base_allocator *allocator,
                       uint64_t first);
void paxos_window_fini(struct paxos_window *window);
/* NULL for a hole and outside [first, last]; dead at the next put. */
struct paxos_slot *paxos_window_get(const struct paxos_window *window, uint64_t slot);
/* Puts an entry in place of what was there (slot >= first) and takes a reference to its value; all
 * else about the slot starts anew. */
struct paxos_slot *paxos_window_put(struct paxos_window *window,
                                    const struct consensus_entry *entry);
/* Forgets the slots up to `slot` <= last. */
void paxos_window_drop(struct paxos_window *window, uint64_t slot);
/* Bytes of the entry's value. */
size_t paxos_value_size(const struct consensus_entry *entry);
/* The same, with what keeping it in a window costs beside. */
size_t paxos_entry_cost(const struct consensus_entry *entry);

#endif /* TORC_PAXOS_WINDOW_H */
