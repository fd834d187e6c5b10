#include "txn/participant.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

static struct txn_attempt attempt_of(uint32_t group, uint64_t round, uint64_t counter)
{
    return (struct txn_attempt){group, {round, 1, 1}, counter};
}

static void prepare(struct txn_participant *participant, const struct txn_attempt *attempt,
                    const char *key)
{
    struct txn_age age = {.time = attempt->counter, .number = attempt->group};
    struct txn_lock_want want = {base_bytes_text(key), TXN_LOCK_EXCLUSIVE};
    txn_participant_prepare(participant, attempt, &age, 0, &want, 1);
}

static enum txn_standing standing(const struct txn_participant *participant,
                                  struct txn_attempt attempt)
{
    return txn_participant_standing(participant, &attempt);
}

/* What is prepared holds its locks until its end is known, and the end is remembered. */
Test(participant, an_end_is_remembered)
{
    struct counting counting;
    struct txn_participant *participant = txn_participant_new(counting_init(&counting));
    struct txn_attempt first = attempt_of(3, 1, 1), second = attempt_of(3, 1, 2);
    cr_assert_eq(standing(participant, first), TXN_NEVER);
    prepare(participant, &first, "a");
    prepare(participant, &second, "b");
    cr_assert_eq(standing(participant, first), TXN_PREPARED);
    cr_assert_eq(txn_locks_count(txn_participant_locks(participant)), 2);
    txn_participant_finish(participant, &first, TXN_COMMITTED);
    txn_participant_finish(participant, &second, TXN_ABORTED);
    cr_assert_eq(standing(participant, first), TXN_COMMITTED);
    cr_assert_eq(standing(participant, second), TXN_ABORTED);
    cr_assert_eq(txn_locks_count(txn_participant_locks(participant)), 0);
    txn_participant_check(participant);
    txn_participant_free(participant);
    counting_fini(&counting);
}

/* An abort that comes before its PREPARE is an end too. */
Test(participant, an_abort_may_come_first)
{
    struct counting counting;
    struct txn_participant *participant = txn_participant_new(counting_init(&counting));
    struct txn_attempt attempt = attempt_of(3, 1, 1);
    txn_participant_finish(participant, &attempt, TXN_ABORTED);
    cr_assert_eq(standing(participant, attempt), TXN_ABORTED);
    txn_participant_free(participant);
    counting_fini(&counting);
}

/* Below its group's mark an attempt is over, and its end is given out once to be forgotten; what is
 * prepared stays, and those of other groups are not touched. */
Test(participant, a_mark_forgets_ends)
{
    struct counting counting;
    struct txn_participant *participant = txn_participant_new(counting_init(&counting));
    struct txn_attempt old = attempt_of(3, 1, 9), first = attempt_of(3, 2, 1);
    struct txn_attempt second = attempt_of(3, 2, 2), mark = attempt_of(3, 2, 2);
    struct txn_attempt other = attempt_of(4, 1, 1), past;
    prepare(participant, &old, "a");
    prepare(participant, &other, "b");
    txn_participant_finish(participant, &other, TXN_COMMITTED);
    txn_participant_finish(participant, &first, TXN_ABORTED);
    txn_participant_finish(participant, &second, TXN_ABORTED);
    cr_assert(txn_participant_raise(participant, &mark));
    cr_assert(txn_participant_take_past(participant, 3, &past));
    cr_assert_eq(txn_attempt_compare(&past, &first), 0);
    cr_assert_not(txn_participant_take_past(participant, 3, &past));
    cr_assert_not(txn_participant_raise(participant, &mark));
    cr_assert_eq(standing(participant, first), TXN_PAST);
    cr_assert_eq(standing(participant, attempt_of(3, 1, 1)), TXN_PAST);
    cr_assert_eq(standing(participant, second), TXN_ABORTED);
    cr_assert_eq(standing(participant, old), TXN_PREPARED);
    cr_assert_eq(standing(participant, other), TXN_COMMITTED);
    txn_participant_finish(participant, &old, TXN_ABORTED);
    cr_assert_eq(standing(participant, old), TXN_PAST);
    cr_assert_not(txn_participant_take_past(participant, 3, &past));
    cr_assert_eq(txn_participant_ends_count(participant), 2);
    txn_participant_check(participant);
    txn_participant_free(participant);
    counting_fini(&counting);
}

/* It is known of a transaction, by its age, whether any attempt of it still holds a lock. */
Test(participant, who_holds_is_known)
{
    struct counting counting;
    struct txn_participant *participant = txn_participant_new(counting_init(&counting));
    struct txn_attempt attempt = attempt_of(3, 1, 7);
    struct txn_age age = {.time = 7, .number = 3}, other = {.time = 7, .number = 4};
    prepare(participant, &attempt, "a");
    cr_assert(txn_participant_holds(participant, &age));
    cr_assert_not(txn_participant_holds(participant, &other));
    txn_participant_finish(participant, &attempt, TXN_COMMITTED);
    cr_assert_not(txn_participant_holds(participant, &age));
    txn_participant_free(participant);
    counting_fini(&counting);
}

/* ---- Against a dumb version ----------------------------------------------------------------- */

enum { GROUPS = 3, ROUNDS = 2, COUNTERS = 30 };

struct dumb {
    enum txn_standing ends[GROUPS][ROUNDS][COUNTERS];
    struct txn_attempt marks[GROUPS];
    size_t remembered;
};

static enum txn_standing *dumb_end(struct dumb *dumb, const struct txn_attempt *attempt)
{
    return &dumb->ends[attempt->group][attempt->ballot.round - 1][attempt->counter - 1];
}

static enum txn_standing dumb_standing(struct dumb *dumb, const struct txn_attempt *attempt)
{
    enum txn_standing end = *dumb_end(dumb, attempt);
    if (end != TXN_PREPARED && txn_attempt_compare(attempt, &dumb->marks[attempt->group]) < 0)
        return TXN_PAST;
    return end;
}

static void raise_mark(struct txn_participant *participant, struct dumb *dumb,
                       const struct txn_attempt *mark)
{
    struct txn_attempt past;
    bool higher = txn_attempt_compare(mark, &dumb->marks[mark->group]) > 0;
    cr_assert_eq(txn_participant_raise(participant, mark), higher);
    if (!higher)
        return;
    dumb->marks[mark->group] = *mark;
    while (txn_participant_take_past(participant, mark->group, &past)) {
        cr_assert_lt(txn_attempt_compare(&past, mark), 0);
        dumb->remembered--;
    }
}

static void step(struct txn_participant *participant, struct dumb *dumb, struct base_prng *prng)
{
    struct txn_attempt attempt =
        attempt_of((uint32_t)base_prng_range(prng, 0, GROUPS - 1), base_prng_range(prng, 1, ROUNDS),
                   base_prng_range(prng, 1, COUNTERS));
    enum txn_standing known = dumb_standing(dumb, &attempt);
    cr_assert_eq(standing(participant, attempt), known);
    char key[] = {(char)('a' + attempt.group), (char)attempt.ballot.round, (char)attempt.counter,
                  '\0'};
    if (base_prng_chance(prng, 1, 20)) {
        raise_mark(participant, dumb, &attempt);
    } else if (known == TXN_NEVER && base_prng_chance(prng, 3, 4)) {
        prepare(participant, &attempt, key);
        *dumb_end(dumb, &attempt) = TXN_PREPARED;
    } else if (known == TXN_NEVER || known == TXN_PREPARED) {
        bool commit = known == TXN_PREPARED && base_prng_chance(prng, 1, 2);
        enum txn_standing end = commit ? TXN_COMMITTED : TXN_ABORTED;
        txn_participant_finish(participant, &attempt, end);
        *dumb_end(dumb, &attempt) = end;
        dumb->remembered += dumb_standing(dumb, &attempt) != TXN_PAST;
    }
}

/* Standings, what is remembered and what is prepared are those of a version that keeps all. */
Test(participant, as_a_dumb_version)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct counting counting;
        struct dumb dumb = {.remembered = 0};
        struct base_prng prng = base_prng_seeded(seed);
        struct txn_participant *participant = txn_participant_new(counting_init(&counting));
        for (uint32_t g = 0; g < GROUPS; g++) {
            dumb.marks[g] = (struct txn_attempt){.group = g};
            for (size_t i = 0; i < ROUNDS * COUNTERS; i++)
                dumb.ends[g][i / COUNTERS][i % COUNTERS] = TXN_NEVER;
        }
        for (unsigned i = 0; i < 600; i++) {
            step(participant, &dumb, &prng);
            txn_participant_check(participant);
            cr_assert_eq(txn_participant_ends_count(participant), dumb.remembered);
        }
        txn_participant_free(participant);
        counting_fini(&counting);
    }
}
