#include "shard/pending.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

static const struct wire_client_id me = {1, 2};

/* What is added is found once, under its own id alone. */
Test(pending, a_request_is_taken_once)
{
    struct counting counting;
    struct shard_pending *pending = shard_pending_new(counting_init(&counting), 4);
    uint64_t route = 0;
    shard_pending_add(pending, me, 7, 70);
    cr_assert_not(shard_pending_take(pending, me, 8, &route));
    cr_assert_not(shard_pending_take(pending, (struct wire_client_id){2, 1}, 7, &route));
    cr_assert(shard_pending_take(pending, me, 7, &route));
    cr_assert_eq(route, 70);
    cr_assert_not(shard_pending_take(pending, me, 7, &route));
    cr_assert_eq(shard_pending_count(pending), 0);
    shard_pending_free(pending);
    counting_fini(&counting);
}

/* A retry moves the answer to where it came from; nothing is added by it. */
Test(pending, a_retry_redirects)
{
    struct counting counting;
    struct shard_pending *pending = shard_pending_new(counting_init(&counting), 4);
    uint64_t route = 0;
    cr_assert_not(shard_pending_redirect(pending, me, 7, 71));
    shard_pending_add(pending, me, 7, 70);
    cr_assert(shard_pending_redirect(pending, me, 7, 71));
    cr_assert_eq(shard_pending_count(pending), 1);
    cr_assert(shard_pending_take(pending, me, 7, &route));
    cr_assert_eq(route, 71);
    shard_pending_free(pending);
    counting_fini(&counting);
}

/* It is full at its bound, takes out the oldest first, and allocates nothing on the way. */
Test(pending, bounded_and_in_order_of_arrival)
{
    struct counting counting;
    enum { COUNT = 5 };
    struct shard_pending *pending = shard_pending_new(counting_init(&counting), COUNT);
    uint64_t calls = counting.call_count, number, route;
    for (uint64_t i = 1; i <= COUNT; i++) {
        cr_assert_not(shard_pending_is_full(pending));
        shard_pending_add(pending, me, i, 10 * i);
    }
    cr_assert(shard_pending_is_full(pending));
    cr_assert(shard_pending_take(pending, me, 3, &route));
    shard_pending_add(pending, me, 6, 60);
    const uint64_t order[] = {1, 2, 4, 5, 6};
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert(shard_pending_take_oldest(pending, &number, &route));
        cr_assert_eq(number, order[i]);
        cr_assert_eq(route, 10 * order[i]);
    }
    cr_assert_not(shard_pending_take_oldest(pending, &number, &route));
    cr_assert_eq(counting.call_count, calls);
    shard_pending_free(pending);
    counting_fini(&counting);
}

/* The index stays right over many removals: it agrees with a table that is looked through. */
Test(pending, agrees_with_a_plain_table)
{
    struct counting counting;
    enum { COUNT = 50, NUMBERS = 200, STEPS = 100000 };
    struct shard_pending *pending = shard_pending_new(counting_init(&counting), COUNT);
    struct base_prng prng = base_prng_seeded(3);
    uint64_t routes[NUMBERS] = {0}; /* 0: not there. */
    size_t there = 0;
    for (uint64_t step = 1; step <= STEPS; step++) {
        uint64_t number = base_prng_range(&prng, 0, NUMBERS - 1), route = 0;
        uint64_t known = routes[number];
        if (base_prng_range(&prng, 0, 1) == 0) {
            cr_assert_eq(shard_pending_take(pending, me, number, &route), known != 0);
            cr_assert_eq(route, known);
            there -= known != 0;
            routes[number] = 0;
        } else if (known != 0) {
            cr_assert(shard_pending_redirect(pending, me, number, step));
            routes[number] = step;
        } else if (!shard_pending_is_full(pending)) {
            shard_pending_add(pending, me, number, step);
            routes[number] = step;
            there++;
        }
        cr_assert_eq(shard_pending_count(pending), there);
    }
    shard_pending_free(pending);
    counting_fini(&counting);
}

/* Two clients may use the same numbers: each gets its own answer, as long as one half of their ids
 * differs. */
Test(pending, clients_are_told_apart_by_their_whole_id)
{
    struct counting counting;
    enum { CLIENTS = 64 };
    struct shard_pending *pending = shard_pending_new(counting_init(&counting), 2 * CLIENTS);
    for (uint64_t i = 1; i <= CLIENTS; i++) {
        shard_pending_add(pending, (struct wire_client_id){i, 2}, 7, i);
        shard_pending_add(pending, (struct wire_client_id){1, 2 + i}, 7, 1000 + i);
    }
    for (uint64_t i = 1; i <= CLIENTS; i++) {
        uint64_t route = 0;
        cr_assert(shard_pending_take(pending, (struct wire_client_id){i, 2}, 7, &route));
        cr_assert_eq(route, i);
        cr_assert(shard_pending_take(pending, (struct wire_client_id){1, 2 + i}, 7, &route));
        cr_assert_eq(route, 1000 + i);
    }
    shard_pending_free(pending);
    counting_fini(&counting);
}

Test(pending, freeing_nothing_is_a_no_op)
{
    shard_pending_free(NULL);
}
