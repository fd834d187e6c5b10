#include "tests/history/text.h"

#include <criterion/criterion.h>

#include "tests/lib/counting.h"
#include "tests/unit/history/register.h"

static void write_all(struct history_text *text, const struct history_set *set)
{
    for (size_t k = 0; k < set->count; k++) {
        for (size_t i = 0; i < set->histories[k].count; i++)
            history_text_write(text, history_set_key(set, k), &set->histories[k],
                               &set->histories[k].ops[i]);
    }
}

static bool malformed(const char *line)
{
    struct history_set set;
    history_set_init(&set, base_allocator_system());
    size_t number = 0;
    bool bad = history_text_read(&set, base_bytes_text(line), &number) == TORC_MALFORMED;
    cr_assert(!bad || number == 1);
    history_set_fini(&set);
    return bad;
}

/* What is written and read again is written the same way, for all kinds of operations. */
Test(history_text, reads_what_it_writes)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct counting counting;
        const struct base_allocator *allocator = counting_init(&counting);
        struct history_set set;
        struct history_set again;
        history_set_init(&set, allocator);
        history_set_init(&again, allocator);
        struct base_bytes key = base_bytes_of(" \"\\\n\0k", 6);
        struct register_options options = {.seed = seed,
                                           .mix = (enum register_mix)(seed % REGISTER_MIX_COUNT),
                                           .op_count = 50,
                                           .client_count = 3,
                                           .unknown_permille = 100,
                                           .value_count = 5};
        register_run(&options, history_set_of(&set, key));
        struct history_text first = {.allocator = allocator};
        struct history_text second = {.allocator = allocator};
        write_all(&first, &set);
        size_t line = 0;
        enum torc_status status =
            history_text_read(&again, base_bytes_of(first.data, first.size), &line);
        cr_assert_eq(status, TORC_OK, "line %zu", line);
        cr_assert_eq(again.count, 1);
        cr_assert(base_bytes_equal(history_set_key(&again, 0), key));
        write_all(&second, &again);
        cr_assert_str_eq(first.data, second.data);
        history_text_fini(&first);
        history_text_fini(&second);
        history_set_fini(&set);
        history_set_fini(&again);
        counting_fini(&counting);
    }
}

/* Keys are kept apart; comments and empty lines do not count; the bad line is named. */
Test(history_text, keys_comments_and_lines)
{
    struct history_set set;
    history_set_init(&set, base_allocator_system());
    size_t line = 0;
    cr_assert_eq(history_text_read(&set,
                                   base_bytes_text("# two keys\n\n"
                                                   "key=a invoke=1 return=2 op=get outcome=ok\n"
                                                   "key=b invoke=1 return=2 op=get outcome=ok\n"
                                                   "key=a invoke=1 return=2 op=get outcome=ok\n"
                                                   "key=a invoke=1 op=what\n"),
                                   &line),
                 TORC_MALFORMED);
    cr_assert_eq(line, 6);
    cr_assert_eq(set.count, 2);
    cr_assert_eq(set.histories[0].count, 2);
    cr_assert_eq(set.histories[1].count, 1);
    history_set_fini(&set);
}

/* Fields that are missing, unknown, doubled, out of place or out of range are refused. */
Test(history_text, refuses_malformed_lines)
{
    cr_assert(!malformed("key=k invoke=1 return=2 op=put value=a outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put outcome=ok"));
    cr_assert(malformed("invoke=1 return=2 op=put value=a outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=a value=b outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=a outcome=ok extra=1"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=a outcome=ok extra"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=\"a outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=\"a\"b outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=\"\\q\" outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=\"\\x0"));
    cr_assert(malformed("key=k invoke=3 return=2 op=put value=a outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=a outcome=unknown"));
    cr_assert(malformed("key=k invoke=1 op=put value=a outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=a outcome=refused"));
    cr_assert(malformed("key=k invoke=1 return=2 op=get if=absent outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=put value=a if=value outcome=ok"));
    cr_assert(malformed("key=k invoke=1 return=2 op=add delta=1 outcome=ok"));
    cr_assert(
        malformed("key=k invoke=1 return=2 op=add delta=9223372036854775808 outcome=ok number=1"));
    cr_assert(malformed("key=k invoke=18446744073709551616 op=get outcome=unknown"));
    cr_assert(malformed("key=k invoke=-1 op=get outcome=unknown"));
    cr_assert(malformed("key=k invoke= op=get outcome=unknown"));
}

/* The report of a bad history shows where it got to, what the key holds there, and what does not
 * fit. */
Test(history_text, report_shows_the_counter_example)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct history_set set;
    history_set_init(&set, allocator);
    size_t line = 0;
    cr_assert_eq(
        history_text_read(
            &set,
            base_bytes_text("key=k process=1 invoke=1 return=2 op=put value=a outcome=ok\n"
                            "key=k process=2 invoke=3 return=4 op=put value=b outcome=ok\n"
                            "key=k process=1 invoke=5 return=6 op=get outcome=ok found=a\n"),
            &line),
        TORC_OK);
    struct history_bounds bounds = history_bounds_default();
    struct history_verdict verdict;
    history_check(allocator, &history_string_model, &set.histories[0], &bounds, &verdict);
    verdict.step_count = 0; /* How hard it was may change. */
    struct history_text text = {.allocator = allocator};
    history_text_report(&text, history_set_key(&set, 0), &set.histories[0], &verdict);
    cr_assert_str_eq(text.data,
                     "key=k NOT linearizable operations=3 steps=0\n"
                     "the longest linearizable beginning has 1 operations, the last 1:\n"
                     "  key=k process=1 invoke=1 op=put value=a outcome=ok return=2\n"
                     "after it the key holds value=a, which must stay for\n"
                     "  key=k process=1 invoke=5 op=get outcome=ok return=6 found=a\n"
                     "what can come next leads nowhere (> is the first to return):\n"
                     "> key=k process=2 invoke=3 op=put value=b outcome=ok return=4\n",
                     "%s", text.data);
    history_text_fini(&text);
    history_verdict_fini(&verdict, allocator);
    history_set_fini(&set);
}
