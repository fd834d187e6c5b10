#include "tests/history/check.h"

#include "base/assert.h"
#include "tests/history/tried.h"

/*
 * The search keeps a configuration: which operations have had their instant, and the state after
 * them. Next may come any operation whose invocation lies before every return still to come. Those
 * operations stand in a list of invocations and returns in the order of time, from which an
 * operation's two events are taken out when it gets its instant and put back when it loses it.
 *
 * Five rules, each of which only leaves out what need not be tried:
 *
 * R1, stay. An answered operation that never changes a value, fits, and leaves the state equal goes
 * first, alone. If the rest can follow in some order with it, they can without it.
 *
 * R2, orphan. The state's value may not be left while an answered operation still requires it and
 * nothing left can produce it again: that operation could never have its instant. Nor may a value
 * that all that is left can only make grow become one that cannot grow to what is still required.
 *
 * R3, whole. A plain write of X that requires nothing goes first, alone, if all that still requires
 * X are operations that R1 puts right behind it now, nothing left requires the present value, and
 * nothing left is other than plain. Then in any order of the rest this write and those reads stand
 * together, before a write that requires nothing or the end, and can as well stand at the front:
 * the first of the others stood after a value that none of them requires, so it requires nothing.
 *
 * R4, of use. An unknown operation is tried only where it changes the state and something left
 * requires the value that it leaves, or is other than plain; else it might as well never have
 * happened. Of unknown operations that do the same, the one invoked first is used first.
 *
 * R5, fewer. A configuration fails if one failed with the same answered operations and state and
 * only some of its unknown operations used: that one could have done all that this one can
 * (tried.h).
 */

enum { NONE = UINT32_MAX, HEAD = 0 };

/* An operation in the search. Answered ones come first, by invocation; then the unknown ones. */
struct item {
    const struct history_op *op;
    struct history_profile profile;
    uint32_t *may_produce; /* When it produces ANY: the required values that it might leave. */
    size_t may_produce_count, may_produce_capacity;
    uint32_t invoke_event;
    uint32_t return_event; /* Answered. */
    uint32_t same_before; /* Unknown: the one that does the same and was invoked before, or NONE. */
    bool used;
};

struct event {
    uint64_t time;
    uint32_t item;
    bool is_return;
    uint32_t invoked_before; /* Answered operations invoked before this event. */
    uint32_t next, previous; /* Among the events of answered operations without an instant. */
};

struct frame {
    uint32_t item;
    bool forced; /* By R1 or R3: there is nothing else to try here. */
    struct history_state before;
};

/* What the operations without an instant could still require or produce, per value that was there
 * when the search began. */
struct tally {
    uint32_t required;        /* By answered operations. */
    uint32_t required_unsure; /* By unknown operations. */
    uint32_t produced;
};

struct search {
    const struct base_allocator *allocator;
    const struct history_model *model;
    struct history *history;
    const struct history_bounds *bounds;

    struct item *items;
    uint32_t answered_count, item_count;
    struct event *events; /* [HEAD] is the ends of the list. */
    uint32_t event_count;
    struct frame *stack;
    uint32_t depth, answered_used;
    struct history_state state;

    struct tally *tallies;
    uint32_t tally_count;
    uint32_t changing[HISTORY_ORDERS]; /* Operations left that change the value, by `grows`. */
    uint32_t not_plain;                /* Operations left that are not plain. */

    struct history_tried tried;
    uint64_t *answered_bits, *unknown_bits;
    size_t values_bytes_before;

    size_t *best;
    uint32_t best_depth, best_answered;
    struct history_state best_state;
    uint32_t best_stuck, best_awaited;
    uint64_t step_count;
};

struct history_bounds history_bounds_default(void)
{
    return (struct history_bounds){.steps_max = 400 * 1000 * 1000, .bytes_max = (size_t)1 << 29};
}

/* ---- Tallies ---- */

static void tally_change(struct search *search, const struct item *item, uint32_t change)
{
    const struct history_profile *profile = &item->profile;
    if (profile->requires < search->tally_count) {
        struct tally *tally = &search->tallies[profile->requires];
        if (item->op->outcome == HISTORY_UNKNOWN)
            tally->required_unsure += change;
        else
            tally->required += change;
    }
    if (profile->produces < search->tally_count)
        search->tallies[profile->produces].produced += change;
    for (size_t i = 0; i < item->may_produce_count; i++)
        search->tallies[item->may_produce[i]].produced += change;
    if (profile->produces != HISTORY_SAME)
        search->changing[profile->grows] += change;
    if (!profile->plain)
        search->not_plain += change;
}

static struct tally tally_of(const struct search *search, uint32_t value)
{
    if (value >= search->tally_count)
        return (struct tally){0}; /* Made by the search: no answer names it. */
    return search->tallies[value];
}

/* ---- Taking and giving back instants ---- */

static void bit_flip(uint64_t *bits, uint32_t at)
{
    bits[at / 64] ^= UINT64_C(1) << at % 64;
}

static void event_remove(struct search *search, uint32_t at)
{
    struct event *event = &search->events[at];
    search->events[event->previous].next = event->next;
    search->events[event->next].previous = event->previous;
}

static void event_restore(struct search *search, uint32_t at)
{
    struct event *event = &search->events[at];
    search->events[event->previous].next = at;
    search->events[event->next].previous = at;
}

static void push(struct search *search, uint32_t at, bool forced, const struct history_state *after)
{
    struct item *item = &search->items[at];
    TORC_ASSERT(!item->used);
    search->stack[search->depth++] = (struct frame){at, forced, search->state};
    search->state = *after;
    item->used = true;
    tally_change(search, item, UINT32_MAX /* Minus one. */);
    if (at < search->answered_count) {
        bit_flip(search->answered_bits, at);
        search->answered_used++;
        event_remove(search, item->return_event);
        event_remove(search, item->invoke_event);
    } else {
        bit_flip(search->unknown_bits, at - search->answered_count);
    }
}

static struct frame pop(struct search *search)
{
    TORC_ASSERT(search->depth > 0);
    struct frame frame = search->stack[--search->depth];
    struct item *item = &search->items[frame.item];
    search->state = frame.before;
    item->used = false;
    tally_change(search, item, 1);
    if (frame.item < search->answered_count) {
        bit_flip(search->answered_bits, frame.item);
        search->answered_used--;
        event_restore(search, item->invoke_event);
        event_restore(search, item->return_event);
    } else {
        bit_flip(search->unknown_bits, frame.item - search->answered_count);
    }
    return frame;
}

/* ---- What may come next ---- */

/* The first return still to come: operations invoked before it may come next. */
static uint32_t first_return(const struct search *search)
{
    uint32_t at = search->events[HEAD].next;
    while (!search->events[at].is_return)
        at = search->events[at].next;
    return at;
}

static bool fits(struct search *search, const struct item *item, struct history_state *ret_after)
{
    if (item->profile.requires != HISTORY_ANY && item->profile.requires != search->state.value)
        return false;
    search->step_count++;
    return search->model->step(&search->history->values, &search->state, item->op, ret_after);
}

static bool states_equal(const struct history_state *a, const struct history_state *b)
{
    return a->value == b->value && a->version == b->version;
}

/* Whether the item is one of those that the tally of `value` counts as producing it. */
static bool item_counts_for(const struct search *search, const struct item *item, uint32_t value)
{
    if (item->profile.produces == HISTORY_ANY)
        return search->model->may_produce(&search->history->values, item->op, value);
    return item->profile.produces == value;
}

/* Whether from now on values can only grow in this order. */
static bool only_growing(const struct search *search, enum history_order order)
{
    for (unsigned other = 0; other < HISTORY_ORDERS; other++) {
        if (other != order && search->changing[other] > 0)
            return false;
    }
    return order != HISTORY_BY_NOTHING;
}

/* Whether growing from this value leads past what an answered operation other than `item` still
 * requires; only the earliest such operation is asked. */
static bool outgrows(const struct search *search, const struct item *item, uint32_t value)
{
    const struct event *events = search->events;
    for (uint32_t at = events[HEAD].next; at != HEAD; at = events[at].next) {
        const struct item *other = &search->items[events[at].item];
        if (other != item && other->profile.requires != HISTORY_ANY)
            return !search->model->may_grow(&search->history->values, item->profile.grows, value,
                                            other->profile.requires);
    }
    return false;
}

/* R2: whether this operation, going from the present value to another, orphans one that requires
 * the present one, or one that is lost to growth. */
static bool orphans(const struct search *search, const struct item *item, uint32_t value_after)
{
    uint32_t value = search->state.value;
    if (value == value_after)
        return false;
    bool item_requires = item->profile.requires == value && item->op->outcome != HISTORY_UNKNOWN;
    struct tally tally = tally_of(search, value);
    bool required = tally.required > item_requires;
    if (only_growing(search, item->profile.grows))
        return required || outgrows(search, item, value_after);
    return required && tally.produced == item_counts_for(search, item, value);
}

/* R3. */
static bool whole(const struct search *search, const struct item *item)
{
    const struct history_profile *profile = &item->profile;
    if (!profile->plain || profile->requires != HISTORY_ANY ||
        profile->produces >= search->tally_count || search->not_plain > 0)
        return false;
    struct tally here = tally_of(search, search->state.value);
    if (here.required > 0 || here.required_unsure > 0)
        return false;
    struct tally there = search->tallies[profile->produces];
    if (there.required_unsure > 0)
        return false;
    uint32_t readable = 0;
    for (uint32_t at = search->events[HEAD].next; !search->events[at].is_return;
         at = search->events[at].next) {
        const struct history_profile *other = &search->items[search->events[at].item].profile;
        readable += other->requires == profile->produces && other->produces == HISTORY_SAME;
    }
    return there.required == readable;
}

/* The operation that goes first and alone, or NONE. */
static uint32_t forced_next(struct search *search, struct history_state *ret_after)
{
    const struct event *events = search->events;
    for (uint32_t at = events[HEAD].next; !events[at].is_return; at = events[at].next) {
        const struct item *item = &search->items[events[at].item];
        if (item->profile.produces == HISTORY_SAME && fits(search, item, ret_after) &&
            states_equal(ret_after, &search->state))
            return events[at].item;
    }
    for (uint32_t at = events[HEAD].next; !events[at].is_return; at = events[at].next) {
        const struct item *item = &search->items[events[at].item];
        if (whole(search, item) && fits(search, item, ret_after))
            return events[at].item;
    }
    return NONE;
}

/* R4. */
static bool of_use(const struct search *search, const struct item *item, uint32_t value_after)
{
    struct tally tally = tally_of(search, value_after);
    return tally.required > 0 || tally.required_unsure > 0 ||
           search->not_plain > !item->profile.plain;
}

static uint32_t unknown_next(struct search *search, uint32_t from, struct history_state *ret_after)
{
    uint32_t horizon = first_return(search);
    for (uint32_t at = from; at < search->item_count; at++) {
        const struct item *item = &search->items[at];
        if (item->used || item->invoke_event > horizon)
            continue;
        if (item->same_before != NONE && !search->items[item->same_before].used)
            continue;
        if (fits(search, item, ret_after) && !states_equal(ret_after, &search->state) &&
            !orphans(search, item, ret_after->value) && of_use(search, item, ret_after->value))
            return at;
    }
    return NONE;
}

/* Of the answered operations that may come next and fit, the one to return first of those that
 * return after event `after_return`, or NONE: what returned early mostly happened early. */
static uint32_t answered_next(struct search *search, uint32_t after_return,
                              struct history_state *ret_after)
{
    const struct event *events = search->events;
    uint32_t best = NONE;
    struct history_state after;
    for (uint32_t at = events[HEAD].next; !events[at].is_return; at = events[at].next) {
        const struct item *item = &search->items[events[at].item];
        if (item->return_event <= after_return ||
            (best != NONE && item->return_event > search->items[best].return_event))
            continue;
        if (fits(search, item, &after) && !orphans(search, item, after.value)) {
            best = events[at].item;
            *ret_after = after;
        }
    }
    return best;
}

/* The next operation to try in this configuration after `last` (NONE: the first), or NONE. */
static uint32_t choice_next(struct search *search, uint32_t last, struct history_state *ret_after)
{
    if (last != NONE && last >= search->answered_count)
        return unknown_next(search, last + 1, ret_after);
    uint32_t after_return = last == NONE ? 0 : search->items[last].return_event;
    uint32_t next = answered_next(search, after_return, ret_after);
    return next != NONE ? next : unknown_next(search, search->answered_count, ret_after);
}

/* ---- Configurations already tried ---- */

static bool tried_before(struct search *search)
{
    /* All answered operations before the first in the list have their instant, and none that was
     * invoked after the first return: what is between tells the set. */
    uint32_t first = search->events[search->events[HEAD].next].item;
    uint32_t end = search->events[first_return(search)].invoked_before;
    struct history_configuration configuration = {
        .state = search->state,
        .answered_begin = first / 64,
        .answered_end = (end + 63) / 64,
        .answered_bits = search->answered_bits,
        .unknown_bits = search->unknown_bits,
    };
    return !history_tried_add(&search->tried, &configuration);
}

/* ---- The search ---- */

/* The first answered operation left that requires the present value, or NONE. */
static uint32_t awaited(const struct search *search)
{
    const struct event *events = search->events;
    for (uint32_t at = events[HEAD].next; at != HEAD; at = events[at].next) {
        if (search->items[events[at].item].profile.requires == search->state.value)
            return events[at].item;
    }
    return NONE;
}

static void best_note(struct search *search)
{
    if (search->best_stuck != NONE && search->answered_used <= search->best_answered)
        return;
    search->best_answered = search->answered_used;
    search->best_depth = search->depth;
    search->best_state = search->state;
    search->best_awaited = awaited(search);
    search->best_stuck = NONE;
    if (search->answered_used < search->answered_count)
        search->best_stuck = search->events[first_return(search)].item;
    for (uint32_t i = 0; i < search->depth; i++) {
        const struct history_op *op = search->items[search->stack[i].item].op;
        search->best[i] = (size_t)(op - search->history->ops);
    }
}

/* Takes instants back until another choice appears. False: there is none at all. */
static bool backtrack(struct search *search, uint32_t *ret_item, struct history_state *ret_after)
{
    best_note(search);
    while (search->depth > 0) {
        struct frame frame = pop(search);
        if (frame.forced)
            continue;
        uint32_t item = choice_next(search, frame.item, ret_after);
        if (item != NONE) {
            *ret_item = item;
            return true;
        }
    }
    return false;
}

static bool bound_reached(const struct search *search)
{
    size_t values_bytes = search->history->values.bytes - search->values_bytes_before;
    return search->step_count > search->bounds->steps_max ||
           history_tried_bytes(&search->tried) + values_bytes > search->bounds->bytes_max;
}

static enum history_answer run(struct search *search)
{
    while (search->answered_used < search->answered_count) {
        if (bound_reached(search)) {
            best_note(search);
            return HISTORY_UNDECIDED;
        }
        struct history_state after;
        uint32_t item = forced_next(search, &after);
        bool forced = item != NONE;
        if (!forced && !tried_before(search))
            item = choice_next(search, NONE, &after);
        if (item == NONE && !backtrack(search, &item, &after))
            return HISTORY_VIOLATION;
        push(search, item, forced, &after);
    }
    best_note(search);
    return HISTORY_LINEARIZABLE;
}

/* ---- Setting up ---- */

/* Time order; at one instant invocations come first, so that operations that touch count as
 * concurrent; then the order of recording. */
static bool event_before(const struct event *a, const struct event *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    if (a->is_return != b->is_return)
        return b->is_return;
    return a->item < b->item;
}

/* Merges runs of 1, 2, 4, ... events. */
static void events_sort(struct event *events, struct event *scratch, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            size_t a = begin;
            size_t a_end = begin + width < count ? begin + width : count;
            size_t b = a_end;
            size_t b_end = begin + 2 * width < count ? begin + 2 * width : count;
            for (size_t to = begin; to < b_end; to++) {
                bool from_b = a == a_end || (b < b_end && event_before(&events[b], &events[a]));
                scratch[to] = from_b ? events[b++] : events[a++];
            }
        }
        memcpy(events, scratch, count * sizeof(*events));
    }
}

/* Whether the operation says anything: it did happen, or might have and would have changed
 * something. */
static bool relevant(const struct history_op *op, const struct history_profile *profile)
{
    if (op->outcome == HISTORY_UNKNOWN)
        return profile->produces != HISTORY_SAME;
    return true;
}

/* Events of all relevant operations in time order; `item` is the place in history.ops for now. */
static void events_collect(struct search *search)
{
    const struct history *history = search->history;
    size_t capacity = 2 * history->count + 1;
    struct event *scratch = base_alloc(search->allocator, capacity * sizeof(*scratch));
    search->events = base_alloc_zero(search->allocator, capacity * sizeof(*search->events));
    uint32_t count = 1; /* After HEAD. */
    for (uint32_t i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->outcome == HISTORY_FAILED)
            continue;
        struct history_profile profile;
        search->model->profile(&search->history->values, op, &profile);
        if (!relevant(op, &profile))
            continue;
        search->events[count++] = (struct event){.time = op->invoke_time, .item = i};
        if (op->outcome == HISTORY_UNKNOWN)
            continue;
        search->answered_count++;
        search->events[count++] =
            (struct event){.time = op->return_time, .item = i, .is_return = true};
    }
    events_sort(search->events + 1, scratch, count - 1);
    base_free(search->allocator, scratch, capacity * sizeof(*scratch));
    search->event_count = count;
    search->item_count = count - 1 - search->answered_count;
}

static bool does_the_same(const struct history_op *a, const struct history_op *b)
{
    return a->kind == b->kind && a->condition == b->condition && a->value == b->value &&
           a->expected == b->expected && a->expected_version == b->expected_version &&
           a->delta == b->delta && a->offset == b->offset;
}

/* Numbers the items and links the events of the answered ones. */
static void items_collect(struct search *search)
{
    size_t op_count = search->history->count;
    uint32_t *item_of = base_alloc(search->allocator, (op_count + 1) * sizeof(*item_of));
    uint32_t answered = 0;
    uint32_t unknown = search->answered_count;
    uint32_t last = HEAD;
    for (uint32_t e = 1; e < search->event_count; e++) {
        struct event *event = &search->events[e];
        uint32_t place = event->item;
        const struct history_op *op = &search->history->ops[place];
        event->invoked_before = answered;
        if (!event->is_return) {
            item_of[place] = op->outcome == HISTORY_UNKNOWN ? unknown++ : answered++;
            struct item *item = &search->items[item_of[place]];
            *item = (struct item){.op = op, .invoke_event = e, .same_before = NONE};
            search->model->profile(&search->history->values, op, &item->profile);
        } else {
            search->items[item_of[place]].return_event = e;
        }
        event->item = item_of[place];
        if (op->outcome == HISTORY_UNKNOWN)
            continue;
        event->previous = last;
        search->events[last].next = e;
        last = e;
    }
    search->events[last].next = HEAD;
    search->events[HEAD].previous = last;
    base_free(search->allocator, item_of, (op_count + 1) * sizeof(*item_of));
    for (uint32_t u = search->answered_count; u < search->item_count; u++) {
        for (uint32_t v = u; v-- > search->answered_count;) {
            if (does_the_same(search->items[u].op, search->items[v].op)) {
                search->items[u].same_before = v;
                break;
            }
        }
    }
}

/* Lists the values that operations which produce ANY might leave; only those that something
 * requires are ever asked for. */
static void may_produce_collect(struct search *search)
{
    bool *required = base_alloc_zero(search->allocator, search->tally_count);
    for (uint32_t i = 0; i < search->item_count; i++) {
        if (search->items[i].profile.requires < search->tally_count)
            required[search->items[i].profile.requires] = true;
    }
    for (uint32_t i = 0; i < search->item_count; i++) {
        struct item *item = &search->items[i];
        size_t capacity = 0;
        for (uint32_t v = 0; v < search->tally_count && item->profile.produces == HISTORY_ANY;
             v++) {
            if (!required[v] || !item_counts_for(search, item, v))
                continue;
            item->may_produce =
                base_array_reserve(search->allocator, item->may_produce, &capacity,
                                   item->may_produce_count + 1, sizeof(*item->may_produce));
            item->may_produce[item->may_produce_count++] = v;
        }
        item->may_produce_capacity = capacity;
    }
    base_free(search->allocator, required, search->tally_count);
}

static size_t bit_words(size_t bits)
{
    return bits / 64 + 1;
}

static void search_init(struct search *search)
{
    const struct base_allocator *allocator = search->allocator;
    events_collect(search);
    search->items = base_alloc_zero(allocator, (search->item_count + 1) * sizeof(*search->items));
    items_collect(search);
    search->stack = base_alloc(allocator, (search->item_count + 1) * sizeof(*search->stack));
    search->best = base_alloc(allocator, (search->item_count + 1) * sizeof(*search->best));
    search->best_stuck = NONE;
    size_t answered_words = bit_words(search->answered_count);
    size_t unknown_words = bit_words(search->item_count - search->answered_count);
    search->answered_bits = base_alloc_zero(allocator, answered_words * sizeof(uint64_t));
    search->unknown_bits = base_alloc_zero(allocator, unknown_words * sizeof(uint64_t));
    history_tried_init(&search->tried, allocator, unknown_words);
    search->tally_count = (uint32_t)search->history->values.count;
    search->tallies = base_alloc_zero(allocator, search->tally_count * sizeof(*search->tallies));
    may_produce_collect(search);
    for (uint32_t i = 0; i < search->item_count; i++)
        tally_change(search, &search->items[i], 1);
    search->values_bytes_before = search->history->values.bytes;
}

static void search_fini(struct search *search)
{
    const struct base_allocator *allocator = search->allocator;
    size_t items = search->item_count + 1;
    size_t unknown_count = search->item_count - search->answered_count;
    base_free(allocator, search->tallies, search->tally_count * sizeof(*search->tallies));
    history_tried_fini(&search->tried);
    base_free(allocator, search->unknown_bits, bit_words(unknown_count) * sizeof(uint64_t));
    base_free(allocator, search->answered_bits,
              bit_words(search->answered_count) * sizeof(uint64_t));
    for (uint32_t i = 0; i < search->item_count; i++)
        base_array_free(allocator, search->items[i].may_produce,
                        &search->items[i].may_produce_capacity, sizeof(uint32_t));
    base_free(allocator, search->best, items * sizeof(*search->best));
    base_free(allocator, search->stack, items * sizeof(*search->stack));
    base_free(allocator, search->items, items * sizeof(*search->items));
    base_free(allocator, search->events, (2 * search->history->count + 1) * sizeof(struct event));
}

void history_check(const struct base_allocator *allocator, const struct history_model *model,
                   struct history *history, const struct history_bounds *bounds,
                   struct history_verdict *ret_verdict)
{
    TORC_ASSERT(history->count < UINT32_MAX / 4);
    struct search search = {
        .allocator = allocator, .model = model, .history = history, .bounds = bounds};
    search_init(&search);
    struct history_verdict verdict = {.answer = run(&search)};
    TORC_ASSERT(verdict.answer != HISTORY_LINEARIZABLE || search.best_stuck == NONE);
    verdict.step_count = search.step_count;
    verdict.prefix_count = search.best_depth;
    verdict.state = search.best_state;
    if (search.best_depth > 0) {
        verdict.prefix = base_alloc(allocator, search.best_depth * sizeof(*verdict.prefix));
        memcpy(verdict.prefix, search.best, search.best_depth * sizeof(*verdict.prefix));
    }
    verdict.awaited = SIZE_MAX;
    if (search.best_awaited != NONE)
        verdict.awaited = (size_t)(search.items[search.best_awaited].op - history->ops);
    if (verdict.answer != HISTORY_LINEARIZABLE) {
        TORC_ASSERT(search.best_stuck != NONE);
        verdict.stuck = (size_t)(search.items[search.best_stuck].op - history->ops);
    }
    search_fini(&search);
    *ret_verdict = verdict;
}

void history_verdict_fini(struct history_verdict *verdict, const struct base_allocator *allocator)
{
    base_free(allocator, verdict->prefix, verdict->prefix_count * sizeof(*verdict->prefix));
    *verdict = (struct history_verdict){0};
}
