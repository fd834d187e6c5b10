#include "wire/dedup.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"

_Static_assert((WIRE_WINDOW_SIZE & (WIRE_WINDOW_SIZE - 1)) == 0, "the bits are a ring");

static uint64_t *word_of(struct wire_window *window, uint64_t number)
{
    return &window->seen[number % WIRE_WINDOW_SIZE / 64];
}

static uint64_t bit_of(uint64_t number)
{
    return UINT64_C(1) << (number % 64);
}

/* The places of the numbers between the old highest and the new were those of older numbers. */
static void window_advance(struct wire_window *window, uint64_t number)
{
    TORC_ASSERT(number > window->highest);
    if (number - window->highest >= WIRE_WINDOW_SIZE) {
        memset(window->seen, 0, sizeof(window->seen));
    } else {
        for (uint64_t between = window->highest + 1; between <= number; between++)
            *word_of(window, between) &= ~bit_of(between);
    }
    window->highest = number;
}

bool wire_window_take(struct wire_window *window, uint32_t incarnation, uint64_t number)
{
    if (number == 0 || incarnation < window->incarnation)
        return false;
    if (TORC_MUTANT(WINDOW_OF_FORMER_LIFE) && incarnation > window->incarnation)
        window->incarnation = incarnation;
    if (incarnation > window->incarnation)
        *window = (struct wire_window){.incarnation = incarnation};
    if (number > window->highest)
        window_advance(window, number);
    else if (window->highest - number >= WIRE_WINDOW_SIZE)
        return false;
    if ((*word_of(window, number) & bit_of(number)) != 0)
        return TORC_MUTANT(REPEATED_TAKEN);
    *word_of(window, number) |= bit_of(number);
    return true;
}

bool wire_envelope_is_for(const struct wire_envelope *envelope, uint32_t node, uint32_t incarnation)
{
    return (envelope->to_node == 0 || envelope->to_node == node) &&
           (envelope->to_incarnation == 0 || envelope->to_incarnation == incarnation ||
            TORC_MUTANT(FORMER_LIFE_TAKEN));
}
