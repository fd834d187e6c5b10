#include "txn/participant.h"

#include <string.h>

#include "base/assert.h"

struct end {
    struct txn_attempt attempt;
    enum txn_standing standing; /* COMMITTED or ABORTED. */
};

/* What is remembered of one coordinator's group. */
struct source {
    struct txn_attempt mark; /* Its group, always; counter 0: none was heard. */
    struct end *ends;        /* In order. Those before `first` have been taken out. */
    size_t first, count, capacity;
};

/* Invariants: prepared and sources are in order; no attempt is both prepared and ended. */
struct txn_participant {
    const struct base_allocator *allocator;
    struct txn_locks *locks;
    struct txn_prepared **prepared;
    size_t prepared_count, prepared_capacity;
    struct source *sources;
    size_t source_count, source_capacity;
};

struct txn_participant *txn_participant_new(const struct base_allocator *allocator)
{
    struct txn_participant *participant = base_alloc_zero(allocator, sizeof(*participant));
    participant->allocator = allocator;
    participant->locks = txn_locks_new(allocator);
    return participant;
}

void txn_participant_free(struct txn_participant *participant)
{
    if (participant == NULL)
        return;
    const struct base_allocator *allocator = participant->allocator;
    txn_locks_free(participant->locks);
    for (size_t i = 0; i < participant->prepared_count; i++)
        base_free(allocator, participant->prepared[i], sizeof(struct txn_prepared));
    base_array_free(allocator, participant->prepared, &participant->prepared_capacity,
                    sizeof(*participant->prepared));
    for (size_t i = 0; i < participant->source_count; i++)
        base_array_free(allocator, participant->sources[i].ends, &participant->sources[i].capacity,
                        sizeof(struct end));
    base_array_free(allocator, participant->sources, &participant->source_capacity,
                    sizeof(*participant->sources));
    base_free(allocator, participant, sizeof(*participant));
}

const struct txn_locks *txn_participant_locks(const struct txn_participant *participant)
{
    return participant->locks;
}

/* ---- Finding -------------------------------------------------------------------------------- */

/* The place of the first prepared one not before the attempt. */
static size_t prepared_place(const struct txn_participant *participant,
                             const struct txn_attempt *attempt)
{
    size_t low = 0, high = participant->prepared_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (txn_attempt_compare(&participant->prepared[middle]->attempt, attempt) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct txn_prepared *prepared_find(const struct txn_participant *participant,
                                          const struct txn_attempt *attempt)
{
    size_t at = prepared_place(participant, attempt);
    if (at == participant->prepared_count ||
        txn_attempt_compare(&participant->prepared[at]->attempt, attempt) != 0)
        return NULL;
    return participant->prepared[at];
}

static size_t source_place(const struct txn_participant *participant, uint32_t group)
{
    size_t at = 0;
    while (at < participant->source_count && participant->sources[at].mark.group < group)
        at++;
    return at;
}

static struct source *source_find(const struct txn_participant *participant, uint32_t group)
{
    size_t at = source_place(participant, group);
    if (at == participant->source_count || participant->sources[at].mark.group != group)
        return NULL;
    return &participant->sources[at];
}

static struct source *source_of(struct txn_participant *participant, uint32_t group)
{
    struct source *source = source_find(participant, group);
    if (source != NULL)
        return source;
    size_t at = source_place(participant, group);
    participant->sources = base_array_reserve(
        participant->allocator, participant->sources, &participant->source_capacity,
        participant->source_count + 1, sizeof(*participant->sources));
    memmove(&participant->sources[at + 1], &participant->sources[at],
            (participant->source_count - at) * sizeof(*participant->sources));
    participant->sources[at] = (struct source){.mark = {.group = group}};
    participant->source_count++;
    return &participant->sources[at];
}

static size_t end_place(const struct source *source, const struct txn_attempt *attempt)
{
    size_t low = source->first, high = source->first + source->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (txn_attempt_compare(&source->ends[middle].attempt, attempt) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum txn_standing txn_participant_standing(const struct txn_participant *participant,
                                           const struct txn_attempt *attempt)
{
    if (prepared_find(participant, attempt) != NULL)
        return TXN_PREPARED;
    const struct source *source = source_find(participant, attempt->group);
    if (source == NULL)
        return TXN_NEVER;
    if (txn_attempt_compare(attempt, &source->mark) < 0)
        return TXN_PAST;
    size_t at = end_place(source, attempt);
    if (at < source->first + source->count &&
        txn_attempt_compare(&source->ends[at].attempt, attempt) == 0)
        return source->ends[at].standing;
    return TXN_NEVER;
}

/* ---- Changes -------------------------------------------------------------------------------- */

void txn_participant_prepare(struct txn_participant *participant, const struct txn_attempt *attempt,
                             const struct txn_age *age, uint64_t since,
                             const struct txn_lock_want *wants, size_t count)
{
    enum txn_standing standing = txn_participant_standing(participant, attempt);
    TORC_ASSERT(standing == TXN_NEVER || standing == TXN_PAST);
    TORC_ASSERT(txn_locks_ask(participant->locks, NULL, wants, count) == TXN_LOCK_FREE);
    struct txn_prepared *prepared = base_alloc(participant->allocator, sizeof(*prepared));
    *prepared = (struct txn_prepared){.attempt = *attempt, .hold = {.age = *age, .since = since}};
    txn_locks_take(participant->locks, &prepared->hold, wants, count);
    size_t at = prepared_place(participant, attempt);
    participant->prepared = base_array_reserve(
        participant->allocator, participant->prepared, &participant->prepared_capacity,
        participant->prepared_count + 1, sizeof(*participant->prepared));
    memmove(&participant->prepared[at + 1], &participant->prepared[at],
            (participant->prepared_count - at) * sizeof(*participant->prepared));
    participant->prepared[at] = prepared;
    participant->prepared_count++;
}

static void prepared_remove(struct txn_participant *participant, struct txn_prepared *prepared)
{
    size_t at = prepared_place(participant, &prepared->attempt);
    txn_locks_release(participant->locks, &prepared->hold);
    participant->prepared_count--;
    memmove(&participant->prepared[at], &participant->prepared[at + 1],
            (participant->prepared_count - at) * sizeof(*participant->prepared));
    base_free(participant->allocator, prepared, sizeof(*prepared));
}

static void end_add(struct txn_participant *participant, const struct end *end)
{
    struct source *source = source_of(participant, end->attempt.group);
    size_t at = end_place(source, &end->attempt), last = source->first + source->count;
    source->ends = base_array_reserve(participant->allocator, source->ends, &source->capacity,
                                      last + 1, sizeof(struct end));
    memmove(&source->ends[at + 1], &source->ends[at], (last - at) * sizeof(struct end));
    source->ends[at] = *end;
    source->count++;
}

void txn_participant_finish(struct txn_participant *participant, const struct txn_attempt *attempt,
                            enum txn_standing end)
{
    struct txn_prepared *prepared = prepared_find(participant, attempt);
    struct end ended = {*attempt, end};
    TORC_ASSERT(end == TXN_COMMITTED || end == TXN_ABORTED);
    TORC_ASSERT(prepared != NULL || end == TXN_ABORTED);
    if (prepared != NULL)
        prepared_remove(participant, prepared);
    enum txn_standing standing = txn_participant_standing(participant, &ended.attempt);
    TORC_ASSERT(standing == TXN_NEVER || (standing == TXN_PAST && prepared != NULL));
    if (standing == TXN_NEVER)
        end_add(participant, &ended);
}

void txn_participant_restore(struct txn_participant *participant, const struct txn_attempt *attempt,
                             enum txn_standing end)
{
    struct end ended = {*attempt, end};
    TORC_ASSERT(end == TXN_COMMITTED || end == TXN_ABORTED);
    TORC_ASSERT(txn_participant_standing(participant, attempt) == TXN_NEVER);
    end_add(participant, &ended);
}

/* ---- Marks ---------------------------------------------------------------------------------- */

/* Whether an end that its mark has passed is still to be taken out. */
static bool has_past(const struct source *source)
{
    return source->count > 0 &&
           txn_attempt_compare(&source->ends[source->first].attempt, &source->mark) < 0;
}

bool txn_participant_raise(struct txn_participant *participant, const struct txn_attempt *mark)
{
    TORC_ASSERT(mark->counter > 0);
    struct source *source = source_of(participant, mark->group);
    TORC_ASSERT(!has_past(source));
    if (txn_attempt_compare(mark, &source->mark) <= 0)
        return false;
    source->mark = *mark;
    return true;
}

bool txn_participant_take_past(struct txn_participant *participant, uint32_t group,
                               struct txn_attempt *ret_attempt)
{
    struct source *source = source_find(participant, group);
    if (source == NULL || !has_past(source))
        return false;
    *ret_attempt = source->ends[source->first++].attempt;
    if (--source->count == 0 || source->first > source->capacity / 2) {
        memmove(source->ends, source->ends + source->first, source->count * sizeof(struct end));
        source->first = 0;
    }
    return true;
}

struct txn_attempt txn_participant_mark(const struct txn_participant *participant, uint32_t group)
{
    const struct source *source = source_find(participant, group);
    return source == NULL ? (struct txn_attempt){.group = group} : source->mark;
}

/* ---- Looking -------------------------------------------------------------------------------- */

bool txn_participant_holds(const struct txn_participant *participant, const struct txn_age *age)
{
    for (size_t i = 0; i < participant->prepared_count; i++) {
        if (txn_age_compare(&participant->prepared[i]->hold.age, age) == 0)
            return true;
    }
    return false;
}

const struct txn_prepared *txn_participant_prepared(const struct txn_participant *participant,
                                                    size_t i)
{
    return i < participant->prepared_count ? participant->prepared[i] : NULL;
}

size_t txn_participant_prepared_count(const struct txn_participant *participant)
{
    return participant->prepared_count;
}

size_t txn_participant_ends_count(const struct txn_participant *participant)
{
    size_t count = 0;
    for (size_t i = 0; i < participant->source_count; i++)
        count += participant->sources[i].count;
    return count;
}

static void check_source(const struct txn_participant *participant, const struct source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        const struct end *end = &source->ends[source->first + i];
        TORC_ASSERT(end->attempt.group == source->mark.group);
        TORC_ASSERT(end->standing == TXN_COMMITTED || end->standing == TXN_ABORTED);
        TORC_ASSERT(i == 0 || txn_attempt_compare(&end[-1].attempt, &end->attempt) < 0);
        TORC_ASSERT(prepared_find(participant, &end->attempt) == NULL);
    }
}

void txn_participant_check(const struct txn_participant *participant)
{
    size_t locks = 0;
    txn_locks_check(participant->locks);
    for (size_t i = 0; i < participant->prepared_count; i++) {
        const struct txn_prepared *prepared = participant->prepared[i];
        TORC_ASSERT(i == 0 || txn_attempt_compare(&participant->prepared[i - 1]->attempt,
                                                  &prepared->attempt) < 0);
        locks += prepared->hold.count;
    }
    TORC_ASSERT(locks == txn_locks_count(participant->locks));
    for (size_t i = 0; i < participant->source_count; i++) {
        const struct source *source = &participant->sources[i];
        TORC_ASSERT(i == 0 || source[-1].mark.group < source->mark.group);
        check_source(participant, source);
    }
}
