#include "txn/coordinator.h"

#include <criterion/criterion.h>

#include "tests/lib/counting.h"

enum { HOME = 2, RESEND_MS = 100, PAUSE_MS = 10, DEADLINE_MS = 5000 };

static const struct txn_coordinator_config config = {.group = HOME,
                                                     .transactions_max = 4,
                                                     .attempts_max = 6,
                                                     .asks_max = 2,
                                                     .resend_ms = RESEND_MS,
                                                     .pause_ms = PAUSE_MS,
                                                     .pause_max_ms = 40,
                                                     .seed = 1};
static const struct base_ballot ballot = {5, 1, 1};
static const struct txn_age age = {.time = 77, .number = 1};

struct bench {
    struct counting counting;
    struct txn_coordinator *coordinator;
    struct txn_ready ready;
};

static void bench_begin(struct bench *bench)
{
    bench->coordinator = txn_coordinator_new(counting_init(&bench->counting), &config);
    txn_coordinator_lead(bench->coordinator, ballot);
}

static void bench_end(struct bench *bench)
{
    txn_coordinator_free(bench->coordinator);
    counting_fini(&bench->counting);
}

static struct txn_attempt attempt_of(uint64_t counter)
{
    return (struct txn_attempt){HOME, ballot, counter};
}

static enum torc_status begin(struct bench *bench)
{
    static const struct txn_part parts[] = {{HOME, {(const uint8_t *)"home", 4}},
                                            {7, {(const uint8_t *)"away", 4}}};
    struct txn_begin begin = {age, DEADLINE_MS, parts, 2};
    return txn_coordinator_begin(bench->coordinator, &begin);
}

static void turn(struct bench *bench, uint64_t now_ms)
{
    txn_coordinator_turn(bench->coordinator, now_ms, &bench->ready);
    txn_coordinator_check(bench->coordinator);
}

/* How many of the last turn's actions are of a type and for a group. */
static size_t count(const struct bench *bench, enum txn_action_type type, uint32_t group)
{
    size_t found = 0;
    for (size_t i = 0; i < bench->ready.action_count; i++)
        found += bench->ready.actions[i].type == type && bench->ready.actions[i].group == group;
    return found;
}

static void vote(struct bench *bench, uint64_t counter, uint32_t group, enum txn_vote vote)
{
    struct txn_attempt attempt = attempt_of(counter);
    txn_coordinator_vote(bench->coordinator, &attempt, group, vote, base_bytes_text("answer"));
    txn_coordinator_check(bench->coordinator);
}

static enum txn_word word(const struct bench *bench, struct txn_attempt attempt)
{
    return txn_coordinator_word(bench->coordinator, &attempt);
}

/* All groups are asked, each with its part; when all have said yes the commit is proposed, once
 * applied told to the others, and forgotten when they have it. */
Test(coordinator, a_transaction_commits)
{
    struct bench bench;
    struct txn_attempt attempt = attempt_of(1);
    bench_begin(&bench);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    cr_assert_eq(bench.ready.action_count, 2);
    cr_assert(base_bytes_equal(bench.ready.actions[1].bytes, base_bytes_text("away")));
    cr_assert_eq(txn_age_compare(&bench.ready.actions[1].age, &age), 0);
    vote(&bench, 1, 7, TXN_VOTE_YES);
    turn(&bench, 2);
    cr_assert_eq(bench.ready.action_count, 0);
    vote(&bench, 1, HOME, TXN_VOTE_YES);
    turn(&bench, 3);
    cr_assert_eq(count(&bench, TXN_PROPOSE_COMMIT, 0), 1);
    cr_assert(base_bytes_equal(txn_coordinator_answer(bench.coordinator, &attempt, 7),
                               base_bytes_text("answer")));
    txn_coordinator_proposed(bench.coordinator, &attempt);
    turn(&bench, 4);
    cr_assert_eq(bench.ready.action_count, 0);
    cr_assert_eq(word(&bench, attempt), TXN_WORD_NONE);
    txn_coordinator_committed(bench.coordinator, &attempt);
    turn(&bench, 5);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(count(&bench, TXN_SEND_COMMIT, 7), 1);
    cr_assert_eq(word(&bench, attempt), TXN_WORD_COMMIT);
    turn(&bench, 5 + RESEND_MS);
    cr_assert_eq(count(&bench, TXN_SEND_COMMIT, 7), 1);
    txn_coordinator_acknowledged(bench.coordinator, &attempt, 7);
    turn(&bench, 6 + RESEND_MS);
    cr_assert_eq(count(&bench, TXN_PROPOSE_FORGET, 0), 1);
    txn_coordinator_proposed(bench.coordinator, &attempt);
    txn_coordinator_forgotten(bench.coordinator, &attempt);
    cr_assert_eq(txn_coordinator_count(bench.coordinator), 0);
    bench_end(&bench);
}

/* Who does not vote is asked again; who has voted is not. */
Test(coordinator, a_silent_group_is_asked_again)
{
    struct bench bench;
    bench_begin(&bench);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    cr_assert_eq(bench.ready.wake_at_ms, 1 + RESEND_MS);
    vote(&bench, 1, HOME, TXN_VOTE_YES);
    turn(&bench, RESEND_MS);
    cr_assert_eq(bench.ready.action_count, 0);
    turn(&bench, 1 + RESEND_MS);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(count(&bench, TXN_SEND_PREPARE, 7), 1);
    bench_end(&bench);
}

/* A NO ends it: all are told, and the answer says why; late votes change nothing. */
Test(coordinator, a_refusal_is_final)
{
    struct bench bench;
    bench_begin(&bench);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    vote(&bench, 1, 7, TXN_VOTE_NO);
    vote(&bench, 1, HOME, TXN_VOTE_YES);
    cr_assert_eq(word(&bench, attempt_of(1)), TXN_WORD_ABORT);
    turn(&bench, 2);
    cr_assert_eq(count(&bench, TXN_SEND_ABORT, HOME), 1);
    cr_assert_eq(count(&bench, TXN_SEND_ABORT, 7), 1);
    cr_assert_eq(count(&bench, TXN_GIVE_UP, 7), 1);
    cr_assert(base_bytes_equal(bench.ready.actions[2].bytes, base_bytes_text("answer")));
    cr_assert_eq(txn_coordinator_count(bench.coordinator), 0);
    cr_assert_eq(word(&bench, attempt_of(1)), TXN_WORD_ABORT);
    bench_end(&bench);
}

/* One that gave way ends the attempt and not the transaction: after a pause it is tried again, as
 * another attempt of the same age, and votes of the first count for nothing. */
Test(coordinator, who_gave_way_tries_again)
{
    struct bench bench;
    bench_begin(&bench);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    vote(&bench, 1, HOME, TXN_VOTE_YES);
    vote(&bench, 1, 7, TXN_VOTE_AGAIN);
    turn(&bench, 2);
    cr_assert_eq(count(&bench, TXN_SEND_ABORT, HOME), 1);
    cr_assert_eq(bench.ready.action_count, 2);
    uint64_t again_ms = bench.ready.wake_at_ms;
    cr_assert(again_ms >= 2 + PAUSE_MS / 2 && again_ms <= 2 + PAUSE_MS);
    vote(&bench, 1, 7, TXN_VOTE_YES);
    turn(&bench, again_ms);
    cr_assert_eq(bench.ready.action_count, 2);
    cr_assert_eq(bench.ready.actions[0].attempt.counter, 2);
    cr_assert_eq(txn_age_compare(&bench.ready.actions[0].age, &age), 0);
    vote(&bench, 1, 7, TXN_VOTE_YES);
    vote(&bench, 2, HOME, TXN_VOTE_YES);
    turn(&bench, again_ms + 1);
    cr_assert_eq(count(&bench, TXN_PROPOSE_COMMIT, 0), 0);
    cr_assert_eq(word(&bench, attempt_of(1)), TXN_WORD_ABORT);
    cr_assert_eq(word(&bench, attempt_of(2)), TXN_WORD_NONE);
    bench_end(&bench);
}

/* Past the deadline nothing is proposed any more; what is proposed is the log's to decide. */
Test(coordinator, only_what_is_not_proposed_has_a_deadline)
{
    struct bench bench;
    struct txn_attempt second = attempt_of(2);
    bench_begin(&bench);
    cr_assert_eq(begin(&bench), TORC_OK);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    for (uint64_t i = 1; i <= 2; i++) {
        vote(&bench, i, HOME, TXN_VOTE_YES);
        vote(&bench, i, 7, TXN_VOTE_YES);
    }
    turn(&bench, DEADLINE_MS - 1);
    cr_assert_eq(count(&bench, TXN_PROPOSE_COMMIT, 0), 2);
    txn_coordinator_proposed(bench.coordinator, &second);
    turn(&bench, DEADLINE_MS);
    cr_assert_eq(count(&bench, TXN_GIVE_UP, 0), 1);
    cr_assert_eq(bench.ready.actions[0].attempt.counter, 1);
    cr_assert_eq(bench.ready.action_count, 3);
    cr_assert_eq(word(&bench, second), TXN_WORD_NONE);
    cr_assert_eq(bench.ready.wake_at_ms, UINT64_MAX);
    bench_end(&bench);
}

/* The next leader aborts what it does not know, goes on with what is committed, and is silent about
 * attempts of leaders after it. */
Test(coordinator, the_next_leader_speaks_for_the_last)
{
    struct bench bench;
    uint32_t groups[] = {HOME, 7, 8};
    struct base_ballot next = {6, 2, 1}, later = {7, 1, 1};
    struct txn_attempt committed = attempt_of(3), unknown = attempt_of(4);
    bench_begin(&bench);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    txn_coordinator_retire(bench.coordinator);
    cr_assert_eq(word(&bench, unknown), TXN_WORD_NONE);
    txn_coordinator_lead(bench.coordinator, next);
    txn_coordinator_recover(bench.coordinator, &committed, groups, 3);
    cr_assert_eq(word(&bench, committed), TXN_WORD_COMMIT);
    cr_assert_eq(word(&bench, unknown), TXN_WORD_ABORT);
    cr_assert_eq(word(&bench, (struct txn_attempt){HOME, later, 1}), TXN_WORD_NONE);
    cr_assert_eq(word(&bench, (struct txn_attempt){HOME, next, 1}), TXN_WORD_NONE);
    cr_assert_eq(word(&bench, (struct txn_attempt){7, ballot, 1}), TXN_WORD_NONE);
    turn(&bench, 2);
    cr_assert_eq(bench.ready.action_count, 2);
    cr_assert_eq(count(&bench, TXN_SEND_COMMIT, 7), 1);
    cr_assert_eq(count(&bench, TXN_SEND_COMMIT, 8), 1);
    bench_end(&bench);
}

/* The mark is the oldest attempt that is not over everywhere, also one of an earlier leader. */
Test(coordinator, the_mark_waits_for_the_oldest)
{
    struct bench bench;
    uint32_t groups[] = {HOME, 7};
    struct txn_attempt old = {HOME, {4, 1, 1}, 9}, mark;
    bench_begin(&bench);
    mark = txn_coordinator_mark(bench.coordinator);
    cr_assert_eq(mark.counter, 1);
    txn_coordinator_recover(bench.coordinator, &old, groups, 2);
    cr_assert_eq(begin(&bench), TORC_OK);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    mark = txn_coordinator_mark(bench.coordinator);
    cr_assert_eq(txn_attempt_compare(&mark, &old), 0);
    txn_coordinator_acknowledged(bench.coordinator, &old, 7);
    txn_coordinator_proposed(bench.coordinator, &old);
    txn_coordinator_forgotten(bench.coordinator, &old);
    mark = txn_coordinator_mark(bench.coordinator);
    cr_assert_eq(mark.counter, 1);
    vote(&bench, 1, 7, TXN_VOTE_NO);
    turn(&bench, 2);
    mark = txn_coordinator_mark(bench.coordinator);
    cr_assert_eq(mark.counter, 2);
    bench_end(&bench);
}

/* Who asks is told what is to be said, as soon as it is; what cannot be committed is given up. */
Test(coordinator, who_asks_is_told)
{
    struct bench bench;
    struct txn_attempt first = attempt_of(1), old = {HOME, {4, 1, 1}, 1};
    bench_begin(&bench);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 1);
    txn_coordinator_asked(bench.coordinator, &first, 7);
    txn_coordinator_asked(bench.coordinator, &old, 8);
    txn_coordinator_asked(bench.coordinator, &old, 9); /* Over the bound: it asks again. */
    turn(&bench, 2);
    cr_assert_eq(bench.ready.action_count, 1);
    cr_assert_eq(count(&bench, TXN_SEND_ABORT, 8), 1);
    vote(&bench, 1, HOME, TXN_VOTE_YES);
    vote(&bench, 1, 7, TXN_VOTE_YES);
    txn_coordinator_abandon(bench.coordinator, &first);
    txn_coordinator_asked(bench.coordinator, &first, 7);
    turn(&bench, 3);
    cr_assert_eq(count(&bench, TXN_SEND_ABORT, 7), 2);
    cr_assert_eq(count(&bench, TXN_GIVE_UP, HOME), 1);
    bench_end(&bench);
}

/* So many transactions and no more; and so many attempts above the mark. */
Test(coordinator, it_is_bounded)
{
    struct bench bench;
    bench_begin(&bench);
    for (uint32_t i = 0; i < config.transactions_max; i++)
        cr_assert_eq(begin(&bench), TORC_OK);
    cr_assert_eq(begin(&bench), TORC_FULL);
    turn(&bench, 1);
    vote(&bench, 2, 7, TXN_VOTE_NO);
    vote(&bench, 3, 7, TXN_VOTE_NO);
    turn(&bench, 2);
    cr_assert_eq(begin(&bench), TORC_OK);
    cr_assert_eq(begin(&bench), TORC_OK);
    turn(&bench, 3);
    vote(&bench, 5, 7, TXN_VOTE_NO);
    turn(&bench, 4);
    cr_assert_eq(begin(&bench), TORC_FULL); /* Six are above the mark, which is the first. */
    vote(&bench, 4, 7, TXN_VOTE_AGAIN);
    turn(&bench, 5);
    turn(&bench, 5 + PAUSE_MS);
    cr_assert_eq(count(&bench, TXN_SEND_PREPARE, 7), 0);
    vote(&bench, 1, 7, TXN_VOTE_NO);
    turn(&bench, 6 + PAUSE_MS);
    turn(&bench, 6 + 2 * PAUSE_MS);
    cr_assert_eq(count(&bench, TXN_SEND_PREPARE, 7), 1); /* It had waited for the mark. */
    bench_end(&bench);
}
