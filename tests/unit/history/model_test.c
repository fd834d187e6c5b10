#include "tests/history/model.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/unit/history/register.h"
#include "tests/lib/test_body.h"

static struct history_values values;

static uint32_t value(const char *text)
{
    return history_value(&values, base_bytes_text(text));
}

static uint32_t value_or_absent(const char *text)
{
    return text == NULL ? HISTORY_ABSENT : value(text);
}

/* Whether the operation fits the value `before` and leaves `after`; NULL is absent. */
static bool leads(const char *before, struct history_op op, const char *after)
{
    struct history_state state = {.value = value_or_absent(before)};
    struct history_state ret;
    return history_string_model.step(&values, &state, &op, &ret) &&
           ret.value == value_or_absent(after);
}

static bool fits(const char *before, struct history_op op)
{
    struct history_state state = {.value = value_or_absent(before)};
    struct history_state ret;
    return history_string_model.step(&values, &state, &op, &ret);
}

static struct history_op done(enum history_kind kind, int64_t number)
{
    return (struct history_op){.kind = kind, .outcome = HISTORY_OK, .result_number = number};
}

static struct history_op add(int64_t delta, enum history_outcome outcome, int64_t sum)
{
    return (struct history_op){
        .kind = HISTORY_ADD, .delta = delta, .outcome = outcome, .result_number = sum};
}

static struct history_op put_if(enum history_condition condition, enum history_outcome outcome)
{
    return (struct history_op){.kind = HISTORY_PUT,
                               .value = value("new"),
                               .condition = condition,
                               .expected = value("old"),
                               .outcome = outcome};
}

static void set_up(void)
{
    history_values_init(&values, base_allocator_system());
}

static void tear_down(void)
{
    history_values_fini(&values);
}

/* Each condition of a put lets it through exactly when it holds. */
TEST_BODY(history_model, put_conditions, set_up, tear_down)
{
    static const struct {
        enum history_condition condition;
        bool when_absent, when_old, when_other;
    } table[] = {{HISTORY_ALWAYS, true, true, true},
                 {HISTORY_IF_ABSENT, true, false, false},
                 {HISTORY_IF_PRESENT, false, true, true},
                 {HISTORY_IF_VALUE, false, true, false}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct history_op applied = put_if(table[i].condition, HISTORY_OK);
        struct history_op refused = put_if(table[i].condition, HISTORY_REFUSED);
        struct history_op unknown = put_if(table[i].condition, HISTORY_UNKNOWN);
        const char *befores[] = {NULL, "old", "other"};
        bool expected[] = {table[i].when_absent, table[i].when_old, table[i].when_other};
        for (size_t b = 0; b < 3; b++) {
            cr_assert_eq(leads(befores[b], applied, "new"), expected[b]);
            cr_assert_eq(leads(befores[b], refused, befores[b]), !expected[b]);
            cr_assert(leads(befores[b], unknown, expected[b] ? "new" : befores[b]));
        }
    }
}

/* Sums are those of 64-bit integers written as Redis writes them; all else is refused. */
TEST_BODY(history_model, add_is_that_of_redis, set_up, tear_down)
{
    cr_assert(leads(NULL, add(5, HISTORY_OK, 5), "5"));
    cr_assert(leads("-7", add(7, HISTORY_OK, 0), "0"));
    cr_assert(leads("0", add(-1, HISTORY_OK, -1), "-1"));
    cr_assert(!fits("1", add(1, HISTORY_OK, 3)));
    cr_assert(leads("9223372036854775806", add(1, HISTORY_OK, INT64_MAX), "9223372036854775807"));
    cr_assert(
        leads("-9223372036854775807", add(-1, HISTORY_OK, INT64_MIN), "-9223372036854775808"));
    static const char *const not_numbers[] = {"",   "-",  "01", "-0", "+1",
                                              " 1", "1 ", "x",  "1x", "9223372036854775808"};
    for (size_t i = 0; i < sizeof(not_numbers) / sizeof(not_numbers[0]); i++) {
        cr_assert(leads(not_numbers[i], add(1, HISTORY_REFUSED, 0), not_numbers[i]));
        cr_assert(leads(not_numbers[i], add(1, HISTORY_UNKNOWN, 0), not_numbers[i]));
        cr_assert(!fits(not_numbers[i], add(1, HISTORY_OK, 1)));
    }
    cr_assert(fits("9223372036854775807", add(1, HISTORY_REFUSED, 0)));
    cr_assert(!fits("1", add(1, HISTORY_REFUSED, 0)));
}

/* Append and set range write in place, fill a gap with zeroes, and answer the size. */
TEST_BODY(history_model, writes_in_place, set_up, tear_down)
{
    struct history_op op = done(HISTORY_APPEND, 4);
    op.value = value("cd");
    cr_assert(leads("ab", op, "abcd"));
    cr_assert(!fits("abc", op));
    op.result_number = 2;
    cr_assert(leads(NULL, op, "cd"));
    op = done(HISTORY_APPEND, 0);
    op.value = value("");
    cr_assert(leads(NULL, op, ""));
    op = done(HISTORY_SET_RANGE, 4);
    op.value = value("XY");
    op.offset = 1;
    cr_assert(leads("abcd", op, "aXYd"));
    op.result_number = 3;
    cr_assert(leads("a", op, "aXY"));
    struct history_state state = {.value = HISTORY_ABSENT};
    struct history_state after;
    cr_assert(history_string_model.step(&values, &state, &op, &after));
    cr_assert_eq(after.value, history_value(&values, base_bytes_of("\0XY", 3)));
    op = done(HISTORY_SET_RANGE, 0);
    op.value = value("");
    op.offset = 9;
    cr_assert(leads(NULL, op, NULL));
}

/* What would be larger than the limit is refused, and only that. */
TEST_BODY(history_model, size_is_bounded, set_up, tear_down)
{
    values.size_max = 4;
    struct history_op op = {.kind = HISTORY_APPEND, .value = value("cd")};
    op.outcome = HISTORY_REFUSED;
    cr_assert(leads("abx", op, "abx"));
    cr_assert(!fits("ab", op));
    op.outcome = HISTORY_OK;
    op.result_number = 5;
    cr_assert(!fits("abx", op));
}

/* Get and delete answer what is there. */
TEST_BODY(history_model, get_and_delete, set_up, tear_down)
{
    struct history_op get = {
        .kind = HISTORY_GET, .outcome = HISTORY_OK, .result_value = value("a")};
    cr_assert(leads("a", get, "a"));
    cr_assert(!fits("b", get));
    cr_assert(!fits(NULL, get));
    get.result_value = HISTORY_ABSENT;
    cr_assert(leads(NULL, get, NULL));
    cr_assert(!fits("", get));
    cr_assert(leads("a", done(HISTORY_DELETE, 1), NULL));
    cr_assert(leads(NULL, done(HISTORY_DELETE, 0), NULL));
    cr_assert(!fits("a", done(HISTORY_DELETE, 0)));
    cr_assert(!fits(NULL, done(HISTORY_DELETE, 1)));
}

/* What a profile says is never more than the truth, for all operations of random histories on all
 * values that occur in them. */
TEST_BODY(history_model, profile_never_says_too_much, set_up, tear_down)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct register_options options = {.seed = seed,
                                           .mix = (enum register_mix)(seed % REGISTER_MIX_COUNT),
                                           .op_count = 40,
                                           .client_count = 4,
                                           .unknown_permille = 200,
                                           .value_count = 4};
        struct history history;
        history_init(&history, base_allocator_system());
        register_run(&options, &history);
        uint32_t value_count = (uint32_t)history.values.count;
        for (size_t i = 0; i < history.count; i++) {
            const struct history_op *op = &history.ops[i];
            struct history_profile profile;
            history_string_model.profile(&history.values, op, &profile);
            for (uint32_t v = 0; v < value_count; v++) {
                struct history_state state = {.value = v};
                struct history_state after;
                bool step = history_string_model.step(&history.values, &state, op, &after);
                bool acts = step && (op->outcome != HISTORY_UNKNOWN || after.value != v);
                if (profile.requires != HISTORY_ANY && acts)
                    cr_assert_eq(v, profile.requires);
                if (profile.produces == HISTORY_SAME && step)
                    cr_assert_eq(after.value, v);
                else if (profile.produces == HISTORY_ANY && step && after.value != v)
                    cr_assert(history_string_model.may_produce(&history.values, op, after.value));
                else if (step && after.value != v)
                    cr_assert_eq(after.value, profile.produces);
                if (profile.plain && (profile.requires == HISTORY_ANY || profile.requires == v))
                    cr_assert(step);
                if (profile.grows != HISTORY_BY_NOTHING && step && after.value != v)
                    cr_assert(history_string_model.may_grow(&history.values, profile.grows, v,
                                                            after.value) &&
                              !history_string_model.may_grow(&history.values, profile.grows,
                                                             after.value, v));
            }
        }
        history_fini(&history);
    }
}
