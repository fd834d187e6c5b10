#include "tests/history/check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

#include "tests/history/text.h"
#include "tests/lib/counting.h"
#include "tests/unit/history/register.h"

static struct history_verdict check(const struct base_allocator *allocator, struct history *history)
{
    struct history_bounds bounds = history_bounds_default();
    struct history_verdict verdict;
    history_check(allocator, &history_string_model, history, &bounds, &verdict);
    return verdict;
}

/* What is said of a history written as text, of one key named k. */
static enum history_answer answer_of(const char *text)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct history_set set;
    history_set_init(&set, allocator);
    size_t line = 0;
    enum torc_status status = history_text_read(&set, base_bytes_text(text), &line);
    cr_assert_eq(status, TORC_OK, "line %zu", line);
    cr_assert_eq(set.count, 1);
    struct history_verdict verdict = check(allocator, &set.histories[0]);
    enum history_answer answer = verdict.answer;
    history_verdict_fini(&verdict, allocator);
    history_set_fini(&set);
    counting_fini(&counting);
    return answer;
}

#define EXPECT_GOOD(text) cr_assert_eq(answer_of(text), HISTORY_LINEARIZABLE)
#define EXPECT_BAD(text)  cr_assert_eq(answer_of(text), HISTORY_VIOLATION)

/* Concurrent operations may take effect in either order, operations that touch too. */
Test(history_check, concurrent_operations_may_go_either_way)
{
    EXPECT_GOOD("key=k invoke=1 return=9 op=put value=a outcome=ok\n"
                "key=k invoke=1 return=9 op=put value=b outcome=ok\n"
                "key=k invoke=10 return=11 op=get outcome=ok found=a\n");
    EXPECT_GOOD("key=k invoke=1 return=9 op=put value=a outcome=ok\n"
                "key=k invoke=1 return=9 op=put value=b outcome=ok\n"
                "key=k invoke=10 return=11 op=get outcome=ok found=b\n");
    EXPECT_GOOD("key=k invoke=1 return=5 op=put value=a outcome=ok\n"
                "key=k invoke=5 return=6 op=get outcome=ok\n");
}

/* A read that began after a write was acknowledged must not miss it. */
Test(history_check, stale_read_is_bad)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=3 return=4 op=put value=b outcome=ok\n"
               "key=k invoke=5 return=6 op=get outcome=ok found=a\n");
    EXPECT_BAD("key=k invoke=1 return=5 op=put value=a outcome=ok\n"
               "key=k invoke=6 return=7 op=get outcome=ok\n");
}

/* Two reads one after the other must not see a write come and go. */
Test(history_check, reads_do_not_go_back)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=3 return=20 op=put value=b outcome=ok\n"
               "key=k invoke=4 return=5 op=get outcome=ok found=b\n"
               "key=k invoke=6 return=7 op=get outcome=ok found=a\n");
}

/* A client that reads its own acknowledged write must find it. */
Test(history_check, own_write_is_read)
{
    EXPECT_BAD("key=k process=1 invoke=1 return=3 op=put value=mine outcome=ok\n"
               "key=k process=1 invoke=4 return=6 op=get outcome=ok found=other\n"
               "key=k process=2 invoke=0 return=1 op=put value=other outcome=ok\n"
               "key=k process=2 invoke=9 return=9 op=get outcome=ok found=mine\n");
}

/* An acknowledged write that nothing overwrote must not be gone. */
Test(history_check, lost_update_is_bad)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=add delta=1 outcome=ok number=1\n"
               "key=k invoke=3 return=9 op=add delta=1 outcome=ok number=2\n"
               "key=k invoke=4 return=8 op=add delta=1 outcome=ok number=2\n");
    EXPECT_BAD("key=k invoke=1 return=2 op=append value=a outcome=ok number=1\n"
               "key=k invoke=3 return=4 op=append value=b outcome=ok number=2\n"
               "key=k invoke=5 return=6 op=get outcome=ok found=a\n");
}

/* A value that nobody wrote must not be read. */
Test(history_check, read_of_never_written_value_is_bad)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=1 return=9 op=get outcome=ok found=b\n");
}

/* A retry that ran twice shows in the sum; one that was unknown may have run once or not at all. */
Test(history_check, increment_runs_at_most_once)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=add delta=1 outcome=ok number=1\n"
               "key=k invoke=3 return=4 op=add delta=1 outcome=ok number=3\n");
    EXPECT_GOOD("key=k invoke=1 op=add delta=1 outcome=unknown\n"
                "key=k invoke=3 return=4 op=add delta=1 outcome=ok number=1\n");
    EXPECT_GOOD("key=k invoke=1 op=add delta=1 outcome=unknown\n"
                "key=k invoke=3 return=4 op=add delta=1 outcome=ok number=2\n");
    EXPECT_BAD("key=k invoke=1 op=add delta=1 outcome=unknown\n"
               "key=k invoke=3 return=4 op=add delta=1 outcome=ok number=3\n");
}

/* An unknown write may take effect much later, and never before it was sent. */
Test(history_check, unknown_write_may_happen_later)
{
    EXPECT_GOOD("key=k invoke=1 op=put value=late outcome=unknown\n"
                "key=k invoke=2 return=3 op=put value=a outcome=ok\n"
                "key=k invoke=4 return=5 op=get outcome=ok found=a\n"
                "key=k invoke=90 return=91 op=get outcome=ok found=late\n");
    EXPECT_BAD("key=k invoke=4 return=5 op=get outcome=ok found=late\n"
               "key=k invoke=6 op=put value=late outcome=unknown\n");
}

/* An unknown write that was seen has happened: it cannot be unseen, nor happen again. */
Test(history_check, unknown_write_that_was_seen_stays)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=3 op=put value=b outcome=unknown\n"
               "key=k invoke=4 return=5 op=get outcome=ok found=b\n"
               "key=k invoke=6 return=7 op=get outcome=ok found=a\n");
    EXPECT_BAD("key=k invoke=1 op=put value=b outcome=unknown\n"
               "key=k invoke=2 return=3 op=get outcome=ok found=b\n"
               "key=k invoke=4 return=5 op=put value=a outcome=ok\n"
               "key=k invoke=6 return=7 op=get outcome=ok found=a\n"
               "key=k invoke=8 return=9 op=get outcome=ok found=b\n");
}

/* An unknown swap can only happen while its value is there: that write must wait for it. */
Test(history_check, unknown_swap_needs_its_value)
{
    EXPECT_GOOD("key=k invoke=1 return=20 op=put value=x outcome=ok\n"
                "key=k invoke=1 op=put value=z if=value expect=x outcome=unknown\n"
                "key=k invoke=2 return=3 op=put value=a outcome=ok\n"
                "key=k invoke=4 return=5 op=get outcome=ok found=a\n"
                "key=k invoke=30 return=31 op=get outcome=ok found=z\n");
}

/* What was refused, or failed for certain, took no effect; and a refusal must have had its reason.
 */
Test(history_check, refused_write_takes_no_effect)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=3 return=4 op=put value=b if=absent outcome=refused\n"
               "key=k invoke=5 return=6 op=get outcome=ok found=b\n");
    EXPECT_BAD("key=k invoke=3 return=4 op=put value=b outcome=failed\n"
               "key=k invoke=5 return=6 op=get outcome=ok found=b\n");
    EXPECT_BAD("key=k invoke=3 return=4 op=put value=b if=absent outcome=refused\n");
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=3 return=4 op=put value=b if=absent outcome=ok\n");
}

/* An acknowledged delete does not come back. */
Test(history_check, deleted_value_stays_away)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=3 return=4 op=delete outcome=ok number=1\n"
               "key=k invoke=5 return=6 op=get outcome=ok found=a\n");
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok\n"
               "key=k invoke=3 return=4 op=delete outcome=ok number=1\n"
               "key=k invoke=5 return=6 op=delete outcome=ok number=1\n");
}

/* Versions that answers tell must be those of one order. */
Test(history_check, versions_rise)
{
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok version=9\n"
               "key=k invoke=3 return=4 op=put value=b outcome=ok version=8\n");
    EXPECT_BAD("key=k invoke=1 return=9 op=put value=a outcome=ok version=9\n"
               "key=k invoke=1 return=9 op=put value=b outcome=ok version=9\n");
    EXPECT_BAD("key=k invoke=1 return=2 op=put value=a outcome=ok version=9\n"
               "key=k invoke=3 return=4 op=get outcome=ok found=a version=8\n");
    EXPECT_BAD(
        "key=k invoke=1 return=2 op=put value=a outcome=ok version=9\n"
        "key=k invoke=3 return=4 op=put value=b if=version expect_version=9 outcome=refused\n");
    EXPECT_GOOD("key=k invoke=1 return=9 op=put value=a outcome=ok version=9\n"
                "key=k invoke=1 return=9 op=put value=b outcome=ok version=8\n"
                "key=k invoke=10 return=11 op=get outcome=ok found=a version=9\n");
}

/* ---- Against a checker that tries every order ---- */

static bool may_be_next(const struct history *history, const bool *used, size_t index)
{
    for (size_t i = 0; i < history->count; i++) {
        const struct history_op *other = &history->ops[i];
        if (!used[i] && other->outcome != HISTORY_UNKNOWN && other->outcome != HISTORY_FAILED &&
            other->return_time < history->ops[index].invoke_time)
            return false;
    }
    return !used[index] && history->ops[index].outcome != HISTORY_FAILED;
}

static bool brute_force(struct history *history, bool *used, const struct history_state *state)
{
    bool done = true;
    for (size_t i = 0; i < history->count; i++)
        done = done && (used[i] || history->ops[i].outcome == HISTORY_UNKNOWN ||
                        history->ops[i].outcome == HISTORY_FAILED);
    if (done)
        return true;
    for (size_t i = 0; i < history->count; i++) {
        struct history_state after;
        if (!may_be_next(history, used, i) ||
            !history_string_model.step(&history->values, state, &history->ops[i], &after))
            continue;
        used[i] = true;
        bool found = brute_force(history, used, &after);
        used[i] = false;
        if (found)
            return true;
    }
    return false;
}

/* Changes the answer of one operation to one that another operation could have got. */
static void mutate(struct history *history, struct base_prng *prng)
{
    struct history_op *op = &history->ops[base_prng_range(prng, 0, history->count - 1)];
    const struct history_op *other = &history->ops[base_prng_range(prng, 0, history->count - 1)];
    if (op->kind == HISTORY_GET)
        op->result_value = other->value;
    else if (op->kind >= HISTORY_DELETE && op->outcome == HISTORY_OK)
        op->result_number = op->kind == HISTORY_DELETE ? !op->result_number : op->result_number + 1;
    else if (op->kind == HISTORY_PUT && op->condition != HISTORY_ALWAYS &&
             op->outcome != HISTORY_UNKNOWN)
        op->outcome = op->outcome == HISTORY_OK ? HISTORY_REFUSED : HISTORY_OK;
    if (op->outcome == HISTORY_REFUSED)
        op->version = 0;
}

/* A witness must hold by itself: every answered operation once, no operation before one that had
 * returned before it was sent, and every answer right. */
static void expect_witness(struct history *history, const struct history_verdict *verdict)
{
    struct history_state state = {0};
    uint64_t invoked_last = 0;
    size_t answered = 0;
    for (size_t i = 0; i < verdict->prefix_count; i++) {
        const struct history_op *op = &history->ops[verdict->prefix[i]];
        struct history_state after;
        cr_assert(history_string_model.step(&history->values, &state, op, &after));
        state = after;
        if (op->invoke_time > invoked_last)
            invoked_last = op->invoke_time;
        answered += op->outcome != HISTORY_UNKNOWN;
        if (op->outcome != HISTORY_UNKNOWN)
            cr_assert(op->return_time >= invoked_last);
        for (size_t j = 0; history->count < 100 && j < i; j++)
            cr_assert_neq(verdict->prefix[j], verdict->prefix[i]);
    }
    size_t expected = 0;
    for (size_t i = 0; i < history->count; i++)
        expected +=
            history->ops[i].outcome == HISTORY_OK || history->ops[i].outcome == HISTORY_REFUSED;
    cr_assert_eq(answered, expected);
}

static void compare_small(uint64_t seed, enum register_mix mix, size_t counts[4])
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct base_prng prng = base_prng_seeded(seed);
    struct history history;
    history_init(&history, allocator);
    struct register_options options = {.seed = seed,
                                       .mix = mix,
                                       .op_count = base_prng_range(&prng, 1, 7),
                                       .client_count = (uint32_t)base_prng_range(&prng, 1, 6),
                                       .unknown_permille = seed % 2 == 0 ? 400 : 100,
                                       .value_count = 3};
    register_run(&options, &history);
    for (uint64_t i = base_prng_range(&prng, 0, 3); i > 0; i--)
        mutate(&history, &prng);
    struct history_verdict verdict = check(allocator, &history);
    bool used[7] = {false};
    struct history_state absent = {0};
    bool good = brute_force(&history, used, &absent);
    if (verdict.answer != (good ? HISTORY_LINEARIZABLE : HISTORY_VIOLATION)) {
        struct history_text text = {.allocator = allocator};
        for (size_t i = 0; i < history.count; i++)
            history_text_write(&text, base_bytes_text("k"), &history, &history.ops[i]);
        cr_assert_fail("seed %lu: answer %d, by all orders %d\n%s", seed, verdict.answer, good,
                       text.data);
    }
    counts[verdict.answer]++;
    if (good)
        expect_witness(&history, &verdict);
    history_verdict_fini(&verdict, allocator);
    history_fini(&history);
    counting_fini(&counting);
}

/* On 60,000 small histories, many of them bad, the answer is that of trying every order. */
Test(history_check, agrees_with_trying_every_order)
{
    size_t counts[4] = {0};
    for (uint64_t seed = 0; seed < 60000; seed++)
        compare_small(seed, (enum register_mix)(seed / 2 % REGISTER_MIX_COUNT), counts);
    cr_assert_gt(counts[HISTORY_LINEARIZABLE], 10000);
    cr_assert_gt(counts[HISTORY_VIOLATION], 8000);
}

/* ---- Large histories ---- */

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What really happened is never called bad, however many clients and whatever they do. */
Test(history_check, what_happened_is_linearizable, .timeout = 240)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct register_options options = {.seed = seed,
                                           .mix = (enum register_mix)(seed % REGISTER_MIX_COUNT),
                                           .op_count = 1000,
                                           .client_count = 1 + (uint32_t)(seed % 9),
                                           .unknown_permille = (uint32_t)(seed % 4) * 10,
                                           .value_count = 20};
        struct history history;
        history_init(&history, base_allocator_system());
        register_run(&options, &history);
        struct history_verdict verdict = check(base_allocator_system(), &history);
        cr_assert_eq(verdict.answer, HISTORY_LINEARIZABLE, "seed %lu: %d after %lu steps", seed,
                     verdict.answer, verdict.step_count);
        expect_witness(&history, &verdict);
        history_verdict_fini(&verdict, base_allocator_system());
        history_fini(&history);
    }
}

/* Gives a get, from the middle on, the value of a put that another put had overwritten for certain
 * before the get began. Values are unique, so the history is bad for certain. */
static void make_stale(struct history *history)
{
    for (size_t g = history->count / 2; g < history->count; g++) {
        struct history_op *get = &history->ops[g];
        for (size_t newer = g;
             get->kind == HISTORY_GET && get->outcome == HISTORY_OK && newer-- > 0;) {
            const struct history_op *over = &history->ops[newer];
            if (over->kind != HISTORY_PUT || over->outcome != HISTORY_OK ||
                over->return_time >= get->invoke_time)
                continue;
            for (size_t older = newer; older-- > 0;) {
                const struct history_op *under = &history->ops[older];
                if (under->kind == HISTORY_PUT && under->outcome == HISTORY_OK &&
                    under->return_time < over->invoke_time) {
                    get->result_value = under->value;
                    return;
                }
            }
        }
    }
    cr_assert_fail("no get to make stale");
}

static void make_double(struct history *history)
{
    size_t i = history->count / 2;
    while (history->ops[i].kind != HISTORY_ADD || history->ops[i].outcome != HISTORY_OK)
        i++;
    history->ops[i].result_number--; /* The sum that the one before it answered. */
}

static void make_unwritten(struct history *history)
{
    size_t i = history->count / 2;
    while (history->ops[i].kind != HISTORY_GET || history->ops[i].outcome != HISTORY_OK)
        i++;
    history->ops[i].result_value = history_value(&history->values, base_bytes_text("nobody's"));
}

static void expect_large(enum register_mix mix, uint64_t seed, void (*spoil)(struct history *))
{
    struct register_options options = {.seed = seed,
                                       .mix = mix,
                                       .op_count = 5000,
                                       .client_count = 64,
                                       .unknown_permille = 10,
                                       .value_count = 1};
    struct history history;
    history_init(&history, base_allocator_system());
    register_run(&options, &history);
    if (spoil != NULL)
        spoil(&history);
    double began_s = now_s();
    struct history_verdict verdict = check(base_allocator_system(), &history);
    double took_s = now_s() - began_s;
    enum history_answer expected = spoil == NULL ? HISTORY_LINEARIZABLE : HISTORY_VIOLATION;
    cr_assert_eq(verdict.answer, expected, "mix %d seed %lu: %d", mix, seed, verdict.answer);
    cr_assert_lt(took_s, 10.0);
    if (spoil == NULL)
        expect_witness(&history, &verdict);
    history_verdict_fini(&verdict, base_allocator_system());
    history_fini(&history);
}

/* 5,000 operations of 64 clients on one key with some fifty unknown outcomes are judged rightly,
 * good and bad, in less than 10 s (in fact in some hundredths). */
Test(history_check, five_thousand_operations_in_ten_seconds, .timeout = 240)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        expect_large(REGISTER_SET_GET, seed, NULL);
        expect_large(REGISTER_INCREMENT, seed, NULL);
        expect_large(REGISTER_APPEND, seed, NULL);
        expect_large(REGISTER_SET_GET, seed, make_stale);
        expect_large(REGISTER_SET_GET, seed, make_unwritten);
        expect_large(REGISTER_INCREMENT, seed, make_double);
        expect_large(REGISTER_INCREMENT, seed, make_unwritten);
        expect_large(REGISTER_APPEND, seed, make_unwritten);
    }
}

/* Past a bound the answer is "undecided", never "good" or "bad". */
Test(history_check, bounds_give_undecided)
{
    struct register_options options = {.seed = 1,
                                       .mix = REGISTER_EVERYTHING,
                                       .op_count = 1000,
                                       .client_count = 64,
                                       .unknown_permille = 20,
                                       .value_count = 5};
    struct history_bounds few_steps = {.steps_max = 100, .bytes_max = SIZE_MAX};
    struct history_bounds few_bytes = {.steps_max = UINT64_MAX, .bytes_max = 1 << 20};
    struct history history;
    history_init(&history, base_allocator_system());
    register_run(&options, &history);
    struct history_verdict verdict;
    history_check(base_allocator_system(), &history_string_model, &history, &few_steps, &verdict);
    cr_assert_eq(verdict.answer, HISTORY_UNDECIDED);
    history_verdict_fini(&verdict, base_allocator_system());
    make_unwritten(&history);
    history_check(base_allocator_system(), &history_string_model, &history, &few_bytes, &verdict);
    cr_assert_eq(verdict.answer, HISTORY_UNDECIDED);
    history_verdict_fini(&verdict, base_allocator_system());
    history_fini(&history);
}

/* The same history gives the same verdict, step for step. */
Test(history_check, same_history_same_verdict)
{
    uint64_t steps[2];
    for (int round = 0; round < 2; round++) {
        struct register_options options = {.seed = 5,
                                           .mix = REGISTER_VERSIONED,
                                           .op_count = 1000,
                                           .client_count = 8,
                                           .unknown_permille = 20,
                                           .value_count = 9};
        struct history history;
        history_init(&history, base_allocator_system());
        register_run(&options, &history);
        struct history_verdict verdict = check(base_allocator_system(), &history);
        steps[round] = verdict.step_count;
        history_verdict_fini(&verdict, base_allocator_system());
        history_fini(&history);
    }
    cr_assert_eq(steps[0], steps[1]);
}
