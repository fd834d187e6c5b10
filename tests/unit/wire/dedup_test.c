#include "wire/dedup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"

/* A number is taken once, in whatever order numbers come. */
Test(wire, window_takes_each_number_once)
{
    struct wire_window window = {0};
    cr_assert(wire_window_take(&window, 1, 5));
    cr_assert_not(wire_window_take(&window, 1, 5));
    cr_assert(wire_window_take(&window, 1, 3));
    cr_assert(wire_window_take(&window, 1, 4));
    cr_assert_not(wire_window_take(&window, 1, 3));
    cr_assert(wire_window_take(&window, 1, 6));
    cr_assert_not(wire_window_take(&window, 1, 4));
}

/* Zero is no number. */
Test(wire, window_refuses_number_zero)
{
    struct wire_window window = {0};
    cr_assert_not(wire_window_take(&window, 1, 0));
}

/* The oldest number that the window tells apart is its size below the highest; older ones count as
 * seen, though they were not. */
Test(wire, window_counts_older_numbers_as_seen)
{
    struct wire_window window = {0};
    uint64_t highest = 10 * WIRE_WINDOW_SIZE;
    cr_assert(wire_window_take(&window, 1, highest));
    cr_assert_not(wire_window_take(&window, 1, highest - WIRE_WINDOW_SIZE));
    cr_assert(wire_window_take(&window, 1, highest - WIRE_WINDOW_SIZE + 1));
    cr_assert_not(wire_window_take(&window, 1, highest - WIRE_WINDOW_SIZE + 1));
}

/* A later life of the sender counts from the start; what is left of the earlier one is dropped. */
Test(wire, window_follows_the_latest_incarnation)
{
    struct wire_window window = {0};
    cr_assert(wire_window_take(&window, 1, 100));
    cr_assert(wire_window_take(&window, 2, 1));
    cr_assert(wire_window_take(&window, 2, 100));
    cr_assert_not(wire_window_take(&window, 1, 101));
    cr_assert_not(wire_window_take(&window, 2, 1));
}

enum { NUMBERS = 20000 };

/* Against a plain table of all numbers: random jumps, repeats and late ones. */
Test(wire, window_agrees_with_a_plain_table)
{
    static bool taken[NUMBERS + 4 * WIRE_WINDOW_SIZE];
    struct base_prng prng = base_prng_seeded(3);
    struct wire_window window = {0};
    uint64_t highest = 0;
    while (highest < NUMBERS) {
        uint64_t back = base_prng_range(&prng, 0, WIRE_WINDOW_SIZE + WIRE_WINDOW_SIZE / 4);
        uint64_t forward = base_prng_chance(&prng, 1, 100)
                               ? base_prng_range(&prng, 0, 2 * WIRE_WINDOW_SIZE)
                               : base_prng_range(&prng, 0, 2);
        uint64_t number = base_prng_chance(&prng, 1, 2) ? highest + forward
                          : back > highest              ? 0
                                                        : highest - back;
        bool old = number + WIRE_WINDOW_SIZE <= highest;
        bool expected = number != 0 && !old && !taken[number];
        cr_assert_eq(wire_window_take(&window, 7, number), expected);
        taken[number] = taken[number] || expected;
        highest = number > highest ? number : highest;
    }
}

/* Only what names this node in this life, or leaves it open, is for it. */
Test(wire, envelope_is_for_the_node_and_life_that_it_names)
{
    struct wire_envelope envelope = {0};
    cr_assert(wire_envelope_is_for(&envelope, 1, 5));
    envelope.to_node = 1;
    cr_assert(wire_envelope_is_for(&envelope, 1, 5));
    cr_assert_not(wire_envelope_is_for(&envelope, 2, 5));
    envelope.to_incarnation = 5;
    cr_assert(wire_envelope_is_for(&envelope, 1, 5));
    cr_assert_not(wire_envelope_is_for(&envelope, 1, 6));
}
