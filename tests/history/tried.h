/*
 * tests/history/tried -- the configurations that a search has been in, exactly (no hash stands in
 * for one). Internal to check.c.
 *
 * A configuration is refused when one with the same answered operations and state is held whose
 * unknown operations are a subset of its own: what could follow it could have followed that one.
 */
#ifndef TORC_TESTS_HISTORY_TRIED_H
#define TORC_TESTS_HISTORY_TRIED_H

#include "tests/history/model.h"

struct history_configuration {
    struct history_state state;
    /* Words [answered_begin, answered_end) of the set of answered operations; all before are full
     * and all from the end on are empty, and both ends follow from the set. */
    uint32_t answered_begin, answered_end;
    const uint64_t *answered_bits;
    const uint64_t *unknown_bits;
};

struct history_tried {
    const struct base_allocator *allocator;
    size_t unknown_words;
    uint64_t *words; /* Entries one after the other: size, state, set, unknown set. */
    size_t word_count, word_capacity;
    struct history_tried_slot *slots; /* Open addressing by the hash of all but the unknown set. */
    size_t slot_count, entry_count;
};

void history_tried_init(struct history_tried *tried, const struct base_allocator *allocator,
                        size_t unknown_words);
void history_tried_fini(struct history_tried *tried);
/* False: it, or one that could do more, is there already. */
bool history_tried_add(struct history_tried *tried,
                       const struct history_configuration *configuration);
size_t history_tried_bytes(const struct history_tried *tried);

#endif /* TORC_TESTS_HISTORY_TRIED_H */
