#include "txn/locks.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

static struct txn_lock_want shared(const char *key)
{
    return (struct txn_lock_want){base_bytes_text(key), TXN_LOCK_SHARED};
}

static struct txn_lock_want exclusive(const char *key)
{
    return (struct txn_lock_want){base_bytes_text(key), TXN_LOCK_EXCLUSIVE};
}

static struct txn_hold hold_of(uint64_t time)
{
    return (struct txn_hold){.age = {.time = time, .number = 1}};
}

/* Those who read a key share it; one who writes it has it alone. */
Test(locks, shared_and_exclusive)
{
    struct counting counting;
    struct txn_locks *locks = txn_locks_new(counting_init(&counting));
    struct txn_hold first = hold_of(1), second = hold_of(2), third = hold_of(3);
    struct txn_lock_want read = shared("a"), write = exclusive("a"), other = exclusive("b");
    txn_locks_take(locks, &first, &read, 1);
    cr_assert_eq(txn_locks_ask(locks, &second.age, &read, 1), TXN_LOCK_FREE);
    txn_locks_take(locks, &second, &read, 1);
    cr_assert_not(txn_locks_bar(locks, read.key, TXN_LOCK_SHARED));
    cr_assert(txn_locks_bar(locks, read.key, TXN_LOCK_EXCLUSIVE));
    txn_locks_release(locks, &first);
    cr_assert(txn_locks_bar(locks, read.key, TXN_LOCK_EXCLUSIVE));
    txn_locks_release(locks, &second);
    cr_assert_not(txn_locks_bar(locks, read.key, TXN_LOCK_EXCLUSIVE));
    txn_locks_take(locks, &third, &write, 1);
    cr_assert(txn_locks_bar(locks, read.key, TXN_LOCK_SHARED));
    cr_assert_not(txn_locks_bar(locks, other.key, TXN_LOCK_EXCLUSIVE));
    txn_locks_release(locks, &third);
    txn_locks_free(locks);
    counting_fini(&counting);
}

/* An older one waits for a younger holder and a younger one gives way to an older, whichever of its
 * keys it is; another attempt of the same transaction waits, and so does who holds nothing. */
Test(locks, an_older_one_waits_and_a_younger_one_gives_way)
{
    struct counting counting;
    struct txn_locks *locks = txn_locks_new(counting_init(&counting));
    struct txn_hold middle = hold_of(5);
    struct txn_age older = {.time = 4, .number = 9}, younger = {.time = 5, .number = 2};
    struct txn_lock_want held[] = {exclusive("a"), shared("b")};
    struct txn_lock_want wants[] = {exclusive("c"), shared("a")};
    struct txn_lock_want reads = shared("b");
    txn_locks_take(locks, &middle, held, 2);
    cr_assert_eq(txn_locks_ask(locks, &older, wants, 2), TXN_LOCK_WAIT);
    cr_assert_eq(txn_locks_ask(locks, &younger, wants, 2), TXN_LOCK_YIELD);
    cr_assert_eq(txn_locks_ask(locks, &middle.age, wants, 2), TXN_LOCK_WAIT);
    cr_assert_eq(txn_locks_ask(locks, NULL, wants, 2), TXN_LOCK_WAIT);
    cr_assert_eq(txn_locks_ask(locks, &younger, wants, 1), TXN_LOCK_FREE);
    cr_assert_eq(txn_locks_ask(locks, &younger, &reads, 1), TXN_LOCK_FREE);
    txn_locks_release(locks, &middle);
    txn_locks_free(locks);
    counting_fini(&counting);
}

/* A key that is read and written by one transaction is held once, as written. */
Test(locks, a_key_is_held_once)
{
    struct counting counting;
    struct txn_locks *locks = txn_locks_new(counting_init(&counting));
    struct txn_hold hold = hold_of(1);
    struct txn_lock_want wants[] = {shared("a"), exclusive("a"), shared("a")}, found;
    const struct txn_lock *cursor = NULL;
    txn_locks_take(locks, &hold, wants, 3);
    cr_assert_eq(txn_locks_count(locks), 1);
    cr_assert(txn_hold_next(&hold, &cursor, &found));
    cr_assert_eq(found.mode, TXN_LOCK_EXCLUSIVE);
    cr_assert_not(txn_hold_next(&hold, &cursor, &found));
    cr_assert_eq(txn_locks_holder(locks, wants[0].key), &hold);
    txn_locks_release(locks, &hold);
    cr_assert_null(txn_locks_holder(locks, wants[0].key));
    txn_locks_free(locks);
    counting_fini(&counting);
}

/* ---- Against a dumb version ----------------------------------------------------------------- */

enum { HOLDS = 12, KEYS = 40, WANTS_MAX = 6 };

struct dumb {
    struct txn_hold hold;
    enum txn_lock_mode modes[KEYS]; /* 0: not held. */
    bool holds;
};

static enum txn_lock_verdict dumb_ask(const struct dumb *all, size_t self, const uint8_t *keys,
                                      const struct txn_lock_want *wants, size_t count)
{
    enum txn_lock_verdict verdict = TXN_LOCK_FREE;
    for (size_t i = 0; i < count; i++) {
        for (size_t h = 0; h < HOLDS; h++) {
            enum txn_lock_mode mode = all[h].modes[keys[i]];
            if (h == self || mode == 0 ||
                (mode == TXN_LOCK_SHARED && wants[i].mode == TXN_LOCK_SHARED))
                continue;
            if (txn_age_compare(&all[h].hold.age, &all[self].hold.age) < 0)
                return TXN_LOCK_YIELD;
            verdict = TXN_LOCK_WAIT;
        }
    }
    return verdict;
}

static void step(struct txn_locks *locks, struct dumb *all, struct base_prng *prng)
{
    uint8_t keys[WANTS_MAX];
    struct txn_lock_want wants[WANTS_MAX];
    size_t self = (size_t)base_prng_range(prng, 0, HOLDS - 1);
    size_t count = (size_t)base_prng_range(prng, 1, WANTS_MAX);
    if (all[self].holds) {
        txn_locks_release(locks, &all[self].hold);
        memset(all[self].modes, 0, sizeof(all[self].modes));
        all[self].holds = false;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = (uint8_t)base_prng_range(prng, 0, KEYS - 1);
        wants[i].key = base_bytes_of(&keys[i], 1);
        wants[i].mode = base_prng_chance(prng, 1, 2) ? TXN_LOCK_SHARED : TXN_LOCK_EXCLUSIVE;
    }
    enum txn_lock_verdict verdict = txn_locks_ask(locks, &all[self].hold.age, wants, count);
    cr_assert_eq(verdict, dumb_ask(all, self, keys, wants, count));
    if (verdict != TXN_LOCK_FREE)
        return;
    txn_locks_take(locks, &all[self].hold, wants, count);
    all[self].holds = true;
    for (size_t i = 0; i < count; i++) {
        if (all[self].modes[keys[i]] != TXN_LOCK_EXCLUSIVE)
            all[self].modes[keys[i]] = wants[i].mode;
    }
}

/* The verdicts and the number of locks are those of a version without a table. */
Test(locks, as_a_dumb_version)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct counting counting;
        struct base_prng prng = base_prng_seeded(seed);
        struct txn_locks *locks = txn_locks_new(counting_init(&counting));
        struct dumb all[HOLDS] = {0};
        for (size_t i = 0; i < HOLDS; i++)
            all[i].hold = hold_of(base_prng_range(&prng, 1, HOLDS));
        for (size_t i = 0; i < HOLDS; i++)
            all[i].hold.age.number = i;
        for (unsigned i = 0; i < 500; i++) {
            size_t count = 0;
            step(locks, all, &prng);
            txn_locks_check(locks);
            for (size_t h = 0; h < HOLDS; h++) {
                for (size_t k = 0; k < KEYS; k++)
                    count += all[h].modes[k] != 0;
            }
            cr_assert_eq(txn_locks_count(locks), count);
        }
        txn_locks_free(locks); /* With what is still held. */
        counting_fini(&counting);
    }
}
