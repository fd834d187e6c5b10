#include "paxos/window.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

enum { SLOTS = 300 };

static struct consensus_entry entry_at(uint64_t slot, struct base_buffer *value)
{
    struct base_ballot ballot = {.round = 1, .node = 1, .incarnation = 1};
    return (struct consensus_entry){
        .slot = slot, .ballot = ballot, .origin = ballot, .kind = CONSENSUS_VALUE, .value = value};
}

/* A window holds what an array would, through puts in any order, overwrites and drops, and gives
 * back every reference. */
Test(paxos_window, holds_what_an_array_would)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct counting counting;
        const struct base_allocator *allocator = counting_init(&counting);
        struct base_pool pool;
        base_pool_init(&pool, allocator, 1 << 20);
        struct base_prng prng = base_prng_seeded(seed);
        struct base_buffer *model[SLOTS] = {NULL};
        struct paxos_window window;
        uint64_t first = base_prng_range(&prng, 1, 20), last = first - 1;
        paxos_window_init(&window, allocator, first);
        for (uint32_t step = 0; step < 400; step++) {
            if (base_prng_chance(&prng, 1, 20) && last >= first) {
                uint64_t to = base_prng_range(&prng, first, last);
                paxos_window_drop(&window, to);
                for (; first <= to; first++)
                    model[first] = NULL;
            } else if (first < SLOTS - 1) {
                uint64_t most = first + 40 < SLOTS - 1 ? first + 40 : SLOTS - 1;
                uint64_t slot = base_prng_range(&prng, first, most);
                struct base_buffer *value = base_buffer_new(&pool, 4);
                struct consensus_entry entry = entry_at(slot, value);
                paxos_window_put(&window, &entry);
                base_buffer_unref(value);
                model[slot] = value;
                last = slot > last ? slot : last;
            }
            cr_assert_eq(window.first, first);
            cr_assert_eq(window.last, last);
            for (uint64_t s = 0; s < SLOTS; s++) {
                const struct paxos_slot *found = paxos_window_get(&window, s);
                cr_assert_eq(found == NULL ? NULL : found->entry.value, model[s]);
            }
        }
        paxos_window_fini(&window);
        base_pool_fini(&pool);
        counting_fini(&counting);
    }
}

/* Putting again starts all about the slot anew. */
Test(paxos_window, put_forgets_what_was_counted)
{
    struct counting counting;
    struct paxos_window window;
    paxos_window_init(&window, counting_init(&counting), 1);
    struct consensus_entry entry = entry_at(7, NULL);
    entry.kind = CONSENSUS_NOOP;
    paxos_window_put(&window, &entry)->acks = 7;
    paxos_window_put(&window, &entry);
    cr_assert_eq(paxos_window_get(&window, 7)->acks, 0);
    cr_assert_null(paxos_window_get(&window, 6));
    cr_assert_eq(paxos_value_size(&entry), 0);
    cr_assert_gt(paxos_entry_cost(&entry), 0);
    paxos_window_fini(&window);
    counting_fini(&counting);
}
