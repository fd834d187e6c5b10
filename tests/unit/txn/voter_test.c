#include "txn/voter.h"

#include <criterion/criterion.h>

#include "tests/lib/counting.h"

enum { ASK_MS = 500 };

static const struct txn_voter_config config = {.attempts_max = 4, .bytes_max = 6, .ask_ms = ASK_MS};

struct bench {
    struct counting counting;
    struct txn_participant *participant;
    struct txn_voter *voter;
    struct txn_voter_ready ready;
};

static void bench_begin(struct bench *bench)
{
    const struct base_allocator *allocator = counting_init(&bench->counting);
    bench->participant = txn_participant_new(allocator);
    bench->voter = txn_voter_new(allocator, bench->participant, &config);
    txn_voter_lead(bench->voter, 0 /* ms */);
}

static void bench_end(struct bench *bench)
{
    cr_assert_eq(txn_voter_counters(bench->voter)->contradicted, 0);
    txn_voter_free(bench->voter);
    txn_participant_free(bench->participant);
    counting_fini(&bench->counting);
}

static struct txn_attempt attempt_of(uint64_t counter)
{
    return (struct txn_attempt){7, {1, 1, 1}, counter};
}

static struct txn_lock_want want_of(const char *key)
{
    return (struct txn_lock_want){base_bytes_text(key), TXN_LOCK_EXCLUSIVE};
}

/* A PREPARE for up to two keys; the age is `time`. */
static void prepare(struct bench *bench, uint64_t counter, uint64_t time, const char *first,
                    const char *second)
{
    struct txn_lock_want wants[2] = {want_of(first), want_of(second == NULL ? first : second)};
    struct txn_prepare message = {.attempt = attempt_of(counter),
                                  .age = {.time = time},
                                  .wants = wants,
                                  .want_count = second == NULL ? 1 : 2,
                                  .request = base_bytes_text(first)};
    txn_voter_prepare(bench->voter, &message);
}

static void turn(struct bench *bench, uint64_t now_ms)
{
    txn_voter_turn(bench->voter, now_ms, &bench->ready);
    txn_voter_check(bench->voter);
}

/* The one action of a type about an attempt in the last turn; NULL: there is none. */
static const struct txn_voter_action *find(const struct bench *bench,
                                           enum txn_voter_action_type type, uint64_t counter)
{
    for (size_t i = 0; i < bench->ready.action_count; i++) {
        if (bench->ready.actions[i].type == type &&
            bench->ready.actions[i].attempt.counter == counter)
            return &bench->ready.actions[i];
    }
    return NULL;
}

/* The entry of a PREPARE is proposed and applied: it is prepared. */
static void apply(struct bench *bench, uint64_t counter, uint64_t time, const char *key)
{
    struct txn_attempt attempt = attempt_of(counter);
    struct txn_age age = {.time = time};
    struct txn_lock_want want = want_of(key);
    txn_voter_proposed(bench->voter, &attempt);
    txn_participant_prepare(bench->participant, &attempt, &age, 0, &want, 1);
    txn_voter_prepare_applied(bench->voter, &attempt, TXN_PREPARE_DONE, base_bytes_of(NULL, 0));
}

static void apply_end(struct bench *bench, uint64_t counter, enum txn_standing end)
{
    struct txn_attempt attempt = attempt_of(counter);
    txn_participant_finish(bench->participant, &attempt, end);
    txn_voter_end_applied(bench->voter, &attempt);
}

static void hear_end(struct bench *bench, uint64_t counter, enum txn_standing end)
{
    struct txn_attempt attempt = attempt_of(counter);
    txn_voter_end(bench->voter, &attempt, end);
}

/* It is proposed, prepared, voted for, committed and acknowledged, and says all of it again to who
 * did not hear it. */
Test(voter, a_part_commits)
{
    struct bench bench;
    struct txn_attempt first = attempt_of(1);
    bench_begin(&bench);
    prepare(&bench, 1, 1, "a", NULL);
    prepare(&bench, 1, 1, "a", NULL);
    turn(&bench, 1);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert(
        base_bytes_equal(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 1)->bytes, base_bytes_text("a")));
    apply(&bench, 1, 1, "a");
    turn(&bench, 2);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 1)->vote, TXN_VOTE_YES);
    prepare(&bench, 1, 1, "a", NULL);
    turn(&bench, 3);
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 1)->vote, TXN_VOTE_YES);
    hear_end(&bench, 1, TXN_COMMITTED);
    turn(&bench, 4);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(find(&bench, TXN_VOTER_PROPOSE_END, 1)->end, TXN_COMMITTED);
    txn_voter_proposed(bench.voter, &first);
    turn(&bench, 5);
    cr_assert_eq(bench.ready.action_count, 0);
    apply_end(&bench, 1, TXN_COMMITTED);
    turn(&bench, 6);
    cr_assert_not_null(find(&bench, TXN_VOTER_SEND_ACKNOWLEDGE, 1));
    hear_end(&bench, 1, TXN_COMMITTED);
    prepare(&bench, 1, 1, "a", NULL);
    turn(&bench, 7);
    cr_assert_not_null(find(&bench, TXN_VOTER_SEND_ACKNOWLEDGE, 1));
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 1)->vote, TXN_VOTE_AGAIN);
    cr_assert_eq(txn_voter_count(bench.voter), 0);
    bench_end(&bench);
}

/* A younger one gives way to who has the lock, an older one waits and goes on when it is free. */
Test(voter, locks_are_waited_for_by_older_ones)
{
    struct bench bench;
    bench_begin(&bench);
    prepare(&bench, 1, 5, "a", NULL);
    turn(&bench, 1);
    apply(&bench, 1, 5, "a");
    turn(&bench, 2);
    prepare(&bench, 2, 9, "a", NULL);
    prepare(&bench, 3, 2, "a", NULL);
    turn(&bench, 3);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 2)->vote, TXN_VOTE_AGAIN);
    hear_end(&bench, 1, TXN_ABORTED);
    turn(&bench, 4);
    apply_end(&bench, 1, TXN_ABORTED);
    turn(&bench, 5);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 3));
    bench_end(&bench);
}

/* Nobody overtakes an older one that waits for the same key, also where that key is free. */
Test(voter, nobody_overtakes_an_older_one)
{
    struct bench bench;
    bench_begin(&bench);
    prepare(&bench, 1, 5, "a", NULL);
    turn(&bench, 1);
    apply(&bench, 1, 5, "a");
    prepare(&bench, 2, 2, "a", "b"); /* Waits for a. */
    prepare(&bench, 3, 9, "b", NULL);
    prepare(&bench, 4, 9, "c", NULL);
    turn(&bench, 2);
    cr_assert_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 2));
    cr_assert_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 3));
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 4));
    hear_end(&bench, 2, TXN_ABORTED); /* It does not come back. */
    turn(&bench, 3);
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 3));
    cr_assert_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 2));
    bench_end(&bench);
}

/* One that met a lock only when it was applied waits again; one that was refused says why. */
Test(voter, what_was_not_prepared_is_told_or_waits)
{
    struct bench bench;
    struct txn_attempt first = attempt_of(1), second = attempt_of(2);
    bench_begin(&bench);
    prepare(&bench, 1, 1, "a", NULL);
    prepare(&bench, 2, 2, "b", NULL);
    turn(&bench, 1);
    txn_voter_proposed(bench.voter, &first);
    txn_voter_proposed(bench.voter, &second);
    txn_voter_prepare_applied(bench.voter, &first, TXN_PREPARE_BLOCKED, base_bytes_of(NULL, 0));
    txn_voter_prepare_applied(bench.voter, &second, TXN_PREPARE_REFUSED, base_bytes_text("why"));
    turn(&bench, 2);
    cr_assert_eq(bench.ready.action_count, 2);
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 1));
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 2)->vote, TXN_VOTE_NO);
    cr_assert(
        base_bytes_equal(find(&bench, TXN_VOTER_SEND_VOTE, 2)->bytes, base_bytes_text("why")));
    bench_end(&bench);
}

/* What stays prepared is asked for again and again, also by the next leader, and decided by none.
 */
Test(voter, what_stays_prepared_is_asked_for)
{
    struct bench bench;
    bench_begin(&bench);
    prepare(&bench, 1, 1, "a", NULL);
    turn(&bench, 10);
    apply(&bench, 1, 1, "a");
    turn(&bench, 10);
    cr_assert_eq(bench.ready.wake_at_ms, 10 + ASK_MS);
    turn(&bench, 10 + ASK_MS);
    cr_assert_not_null(find(&bench, TXN_VOTER_SEND_ASK, 1));
    turn(&bench, 11 + ASK_MS);
    cr_assert_eq(bench.ready.action_count, 0);
    txn_voter_retire(bench.voter);
    txn_voter_lead(bench.voter, 2000);
    turn(&bench, 2000);
    cr_assert_eq(bench.ready.action_count, 0);
    turn(&bench, 2000 + ASK_MS);
    cr_assert_not_null(find(&bench, TXN_VOTER_SEND_ASK, 1));
    hear_end(&bench, 1, TXN_COMMITTED);
    turn(&bench, 9000);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_END, 1));
    bench_end(&bench);
}

/* An abort needs no entry while its PREPARE has none, and one behind it when it has. */
Test(voter, an_abort_is_logged_behind_its_prepare_alone)
{
    struct bench bench;
    struct txn_attempt third = attempt_of(3);
    bench_begin(&bench);
    hear_end(&bench, 1, TXN_ABORTED);
    prepare(&bench, 2, 2, "b", NULL);
    hear_end(&bench, 2, TXN_ABORTED);
    prepare(&bench, 3, 3, "c", NULL);
    turn(&bench, 1);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 3));
    txn_voter_proposed(bench.voter, &third);
    hear_end(&bench, 3, TXN_ABORTED);
    turn(&bench, 2);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(find(&bench, TXN_VOTER_PROPOSE_END, 3)->end, TXN_ABORTED);
    txn_voter_proposed(bench.voter, &third);
    txn_voter_prepare_applied(bench.voter, &third, TXN_PREPARE_BLOCKED, base_bytes_of(NULL, 0));
    apply_end(&bench, 3, TXN_ABORTED);
    prepare(&bench, 3, 3, "c", NULL);
    turn(&bench, 3);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 3)->vote, TXN_VOTE_AGAIN);
    bench_end(&bench);
}

/* Past its bound it says AGAIN at once; a follower says nothing. */
Test(voter, it_is_bounded)
{
    struct bench bench;
    bench_begin(&bench);
    for (uint64_t i = 1; i <= 5; i++)
        prepare(&bench, i, i, "a", NULL);
    turn(&bench, 1);
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 5)->vote, TXN_VOTE_AGAIN);
    cr_assert_eq(txn_voter_counters(bench.voter)->full, 1);
    cr_assert_eq(txn_voter_count(bench.voter), 4);
    txn_voter_retire(bench.voter);
    prepare(&bench, 6, 6, "b", NULL);
    hear_end(&bench, 7, TXN_ABORTED);
    turn(&bench, 2);
    cr_assert_eq(bench.ready.action_count, 0);
    bench_end(&bench);
}

/* So also past its bound on bytes, but for one that is alone; what is prepared takes none. */
Test(voter, its_bytes_are_bounded)
{
    struct bench bench;
    bench_begin(&bench);
    prepare(&bench, 1, 1, "a long key", NULL);
    prepare(&bench, 2, 2, "b", NULL);
    turn(&bench, 1);
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 1));
    cr_assert_eq(find(&bench, TXN_VOTER_SEND_VOTE, 2)->vote, TXN_VOTE_AGAIN);
    apply(&bench, 1, 1, "a long key");
    prepare(&bench, 3, 3, "b", NULL);
    turn(&bench, 2);
    cr_assert_not_null(find(&bench, TXN_VOTER_PROPOSE_PREPARE, 3));
    bench_end(&bench);
}

/* A commit of what never voted yes cannot be: it is counted, and nothing is done. */
Test(voter, what_cannot_be_is_ignored)
{
    struct bench bench;
    bench_begin(&bench);
    hear_end(&bench, 1, TXN_COMMITTED);
    turn(&bench, 1);
    cr_assert_eq(bench.ready.action_count, 0);
    cr_assert_eq(txn_voter_counters(bench.voter)->contradicted, 1);
    txn_voter_free(bench.voter);
    txn_participant_free(bench.participant);
    counting_fini(&bench.counting);
}
