#include "txn/voter.h"

#include <string.h>

#include "base/assert.h"

enum item_state {
    ITEM_WAITING = 1, /* For locks, or for an entry. */
    ITEM_PROPOSED,
    ITEM_PREPARED,
    ITEM_OVER, /* Not prepared here; only something is left to be said. */
};

/* An attempt that something is to be done about. */
struct item {
    struct txn_attempt attempt;
    enum item_state state;
    struct txn_hold claim; /* Its age, and what it waits for. */
    uint8_t *request, *answer;
    size_t request_size, answer_size;
    uint64_t ask_at_ms;    /* PREPARED. */
    enum txn_vote vote;    /* To be sent; 0: none. */
    bool acknowledge;      /* To be sent. */
    enum txn_standing end; /* To be proposed, or proposed; 0: not known. */
    bool end_proposed;
    struct item *gone_next;
};

/* Invariants: items are in the order of attempts; those that wait or are proposed have claims. */
struct txn_voter {
    const struct base_allocator *allocator;
    const struct txn_participant *participant;
    struct txn_voter_config config;
    bool leading;
    struct item **items;
    size_t item_count, item_capacity;
    size_t bytes; /* Of their requests. */
    struct txn_locks *claims;
    struct item **by_age; /* Scratch: those that wait. */
    size_t by_age_capacity;
    struct txn_lock_want *wants; /* Scratch: of one of them. */
    size_t wants_capacity;
    struct item *gone; /* To be freed in the next turn: actions point to them. */
    struct txn_voter_action *actions;
    size_t action_count, action_capacity;
    struct txn_voter_counters counters;
};

/* ---- Items ---------------------------------------------------------------------------------- */

static size_t place_of(const struct txn_voter *voter, const struct txn_attempt *attempt)
{
    size_t low = 0, high = voter->item_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (txn_attempt_compare(&voter->items[middle]->attempt, attempt) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct item *find(const struct txn_voter *voter, const struct txn_attempt *attempt)
{
    size_t at = place_of(voter, attempt);
    bool there =
        at < voter->item_count && txn_attempt_compare(&voter->items[at]->attempt, attempt) == 0;
    return there ? voter->items[at] : NULL;
}

static struct item *item_add(struct txn_voter *voter, const struct txn_attempt *attempt,
                             enum item_state state)
{
    struct item *item = base_alloc_zero(voter->allocator, sizeof(*item));
    size_t at = place_of(voter, attempt);
    item->attempt = *attempt;
    item->state = state;
    voter->items = base_array_reserve(voter->allocator, voter->items, &voter->item_capacity,
                                      voter->item_count + 1, sizeof(*voter->items));
    memmove(&voter->items[at + 1], &voter->items[at],
            (voter->item_count - at) * sizeof(*voter->items));
    voter->items[at] = item;
    voter->item_count++;
    return item;
}

static struct item *item_of(struct txn_voter *voter, const struct txn_attempt *attempt)
{
    struct item *item = find(voter, attempt);
    return item != NULL ? item : item_add(voter, attempt, ITEM_OVER);
}

static void item_free(struct txn_voter *voter, struct item *item)
{
    base_free(voter->allocator, item->request, item->request_size);
    base_free(voter->allocator, item->answer, item->answer_size);
    base_free(voter->allocator, item, sizeof(*item));
}

static void gone_free(struct txn_voter *voter)
{
    while (voter->gone != NULL) {
        struct item *item = voter->gone;
        voter->gone = item->gone_next;
        item_free(voter, item);
    }
}

/* Takes it out of the list; its memory stays for what points to it. */
static void item_leave(struct txn_voter *voter, struct item *item)
{
    size_t at = place_of(voter, &item->attempt);
    voter->bytes -= item->request_size;
    txn_locks_release(voter->claims, &item->claim);
    voter->item_count--;
    memmove(&voter->items[at], &voter->items[at + 1],
            (voter->item_count - at) * sizeof(*voter->items));
    item->gone_next = voter->gone;
    voter->gone = item;
}

static uint8_t *copy(const struct txn_voter *voter, struct base_bytes bytes)
{
    if (bytes.size == 0)
        return NULL;
    uint8_t *memory = base_alloc(voter->allocator, bytes.size);
    memcpy(memory, bytes.data, bytes.size);
    return memory;
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct txn_voter *txn_voter_new(const struct base_allocator *allocator,
                                const struct txn_participant *participant,
                                const struct txn_voter_config *config)
{
    struct txn_voter *voter = base_alloc_zero(allocator, sizeof(*voter));
    TORC_ASSERT(config->attempts_max > 0 && config->ask_ms > 0);
    voter->allocator = allocator;
    voter->participant = participant;
    voter->config = *config;
    voter->claims = txn_locks_new(allocator);
    return voter;
}

void txn_voter_retire(struct txn_voter *voter)
{
    while (voter->item_count > 0)
        item_leave(voter, voter->items[voter->item_count - 1]);
    voter->leading = false;
}

void txn_voter_free(struct txn_voter *voter)
{
    if (voter == NULL)
        return;
    txn_voter_retire(voter);
    gone_free(voter);
    txn_locks_free(voter->claims);
    base_array_free(voter->allocator, voter->items, &voter->item_capacity, sizeof(*voter->items));
    base_array_free(voter->allocator, voter->by_age, &voter->by_age_capacity,
                    sizeof(*voter->by_age));
    base_array_free(voter->allocator, voter->wants, &voter->wants_capacity, sizeof(*voter->wants));
    base_array_free(voter->allocator, voter->actions, &voter->action_capacity,
                    sizeof(*voter->actions));
    base_free(voter->allocator, voter, sizeof(*voter));
}

void txn_voter_lead(struct txn_voter *voter, uint64_t now_ms)
{
    TORC_ASSERT(!voter->leading && voter->item_count == 0);
    const struct txn_prepared *prepared;
    voter->leading = true;
    for (size_t i = 0; (prepared = txn_participant_prepared(voter->participant, i)) != NULL; i++)
        item_add(voter, &prepared->attempt, ITEM_PREPARED)->ask_at_ms =
            now_ms + voter->config.ask_ms;
}

/* ---- Messages ------------------------------------------------------------------------------- */

static void wait_begin(struct txn_voter *voter, const struct txn_prepare *prepare)
{
    struct item *item = item_add(voter, &prepare->attempt, ITEM_WAITING);
    size_t size = prepare->request.size;
    if (voter->item_count > voter->config.attempts_max ||
        (voter->bytes > 0 && voter->bytes + size > voter->config.bytes_max)) {
        item->state = ITEM_OVER;
        item->vote = TXN_VOTE_AGAIN;
        voter->counters.full++;
        return;
    }
    item->claim.age = prepare->age;
    item->request = copy(voter, prepare->request);
    item->request_size = size;
    voter->bytes += size;
    txn_locks_take(voter->claims, &item->claim, prepare->wants, prepare->want_count);
}

void txn_voter_prepare(struct txn_voter *voter, const struct txn_prepare *prepare)
{
    if (!voter->leading)
        return;
    struct item *item = find(voter, &prepare->attempt);
    switch (txn_participant_standing(voter->participant, &prepare->attempt)) {
    case TXN_PREPARED:
        item_of(voter, &prepare->attempt)->vote = TXN_VOTE_YES;
        break;
    case TXN_NEVER:
        if (item == NULL)
            wait_begin(voter, prepare);
        break;
    default: /* Over: nobody waits for this vote any more, or it gets another attempt. */
        item_of(voter, &prepare->attempt)->vote = TXN_VOTE_AGAIN;
    }
}

/* The end of what is not prepared here, and not known to have ended. An abort is logged only behind
 * a PREPARE that is: one which comes later will be asked about when it has been prepared for too
 * long, and that is rarer than an entry for each group of each attempt that gives way. */
static void end_unprepared(struct txn_voter *voter, const struct txn_attempt *attempt,
                           enum txn_standing end)
{
    struct item *item = find(voter, attempt);
    if (end == TXN_COMMITTED) { /* It would need this group's YES. */
        voter->counters.contradicted++;
    } else if (item != NULL && item->state == ITEM_WAITING) {
        txn_locks_release(voter->claims, &item->claim);
        item->state = ITEM_OVER;
    } else if (item != NULL && item->state == ITEM_PROPOSED) {
        item->end = TXN_ABORTED;
    }
}

void txn_voter_end(struct txn_voter *voter, const struct txn_attempt *attempt,
                   enum txn_standing end)
{
    TORC_ASSERT(end == TXN_COMMITTED || end == TXN_ABORTED);
    if (!voter->leading)
        return;
    enum txn_standing standing = txn_participant_standing(voter->participant, attempt);
    if (standing == TXN_NEVER) {
        end_unprepared(voter, attempt, end);
    } else if (standing == TXN_PREPARED) {
        struct item *item = item_of(voter, attempt);
        if (item->end == 0)
            item->end = end;
        else if (item->end != end)
            voter->counters.contradicted++;
    } else if (standing != TXN_PAST && standing != end) {
        /* A word of a leader that has forgotten the commit which was acknowledged to it. */
        voter->counters.contradicted += end == TXN_COMMITTED;
    } else if (end == TXN_COMMITTED) {
        item_of(voter, attempt)->acknowledge = true;
    }
}

/* ---- The log -------------------------------------------------------------------------------- */

void txn_voter_proposed(struct txn_voter *voter, const struct txn_attempt *attempt)
{
    struct item *item = find(voter, attempt);
    TORC_ASSERT(item != NULL);
    if (item->end != 0) {
        item->end_proposed = true;
    } else {
        TORC_ASSERT(item->state == ITEM_WAITING);
        item->state = ITEM_PROPOSED;
    }
}

/* What is prepared stands in the state. */
static void request_drop(struct txn_voter *voter, struct item *item)
{
    voter->bytes -= item->request_size;
    base_free(voter->allocator, item->request, item->request_size);
    item->request = NULL;
    item->request_size = 0;
}

void txn_voter_prepare_applied(struct txn_voter *voter, const struct txn_attempt *attempt,
                               enum txn_prepare_result result, struct base_bytes answer)
{
    struct item *item = voter->leading ? find(voter, attempt) : NULL;
    if (item == NULL || item->state != ITEM_PROPOSED)
        return; /* Of a leader before this one. */
    voter->counters.blocked += result == TXN_PREPARE_BLOCKED;
    if (result == TXN_PREPARE_BLOCKED && item->end == 0) {
        item->state = ITEM_WAITING;
        return;
    }
    txn_locks_release(voter->claims, &item->claim);
    request_drop(voter, item);
    item->state = result == TXN_PREPARE_DONE ? ITEM_PREPARED : ITEM_OVER;
    item->ask_at_ms = 0; /* Set in the next turn, which knows the time. */
    item->vote = TXN_VOTE_AGAIN;
    if (result == TXN_PREPARE_DONE)
        item->vote = TXN_VOTE_YES;
    else if (!item->end_proposed)
        item->end = 0; /* There is nothing that it would end. */
    if (result != TXN_PREPARE_REFUSED)
        return;
    item->vote = TXN_VOTE_NO;
    item->answer = copy(voter, answer);
    item->answer_size = answer.size;
}

void txn_voter_end_applied(struct txn_voter *voter, const struct txn_attempt *attempt)
{
    struct item *item = voter->leading ? find(voter, attempt) : NULL;
    if (item == NULL)
        return;
    enum txn_standing standing = txn_participant_standing(voter->participant, attempt);
    TORC_ASSERT(standing != TXN_PREPARED);
    item->acknowledge |= item->end == TXN_COMMITTED;
    item->state = ITEM_OVER;
    item->vote = 0;
    item->end = 0;
    item->end_proposed = false;
    txn_locks_release(voter->claims, &item->claim);
}

/* ---- The turn ------------------------------------------------------------------------------- */

static struct txn_voter_action *act(struct txn_voter *voter, const struct item *item,
                                    enum txn_voter_action_type type)
{
    voter->actions = base_array_reserve(voter->allocator, voter->actions, &voter->action_capacity,
                                        voter->action_count + 1, sizeof(*voter->actions));
    struct txn_voter_action *action = &voter->actions[voter->action_count++];
    *action = (struct txn_voter_action){
        .type = type, .attempt = item->attempt, .age = item->claim.age, .bytes = {NULL, 0}};
    return action;
}

/* What to do about what it wants: as of the locks that are held, and behind older ones that wait.
 */
static enum txn_lock_verdict ask(struct txn_voter *voter, const struct item *item)
{
    const struct txn_lock *cursor = NULL;
    size_t count = 0;
    voter->wants = base_array_reserve(voter->allocator, voter->wants, &voter->wants_capacity,
                                      item->claim.count + 1, sizeof(*voter->wants));
    while (txn_hold_next(&item->claim, &cursor, &voter->wants[count]))
        count++;
    const struct txn_locks *locks = txn_participant_locks(voter->participant);
    enum txn_lock_verdict verdict = txn_locks_ask(locks, &item->claim.age, voter->wants, count);
    if (verdict != TXN_LOCK_FREE)
        return verdict;
    verdict = txn_locks_ask(voter->claims, &item->claim.age, voter->wants, count);
    return verdict == TXN_LOCK_YIELD ? TXN_LOCK_WAIT : TXN_LOCK_FREE;
}

static void waiting_turn(struct txn_voter *voter, struct item *item)
{
    switch (ask(voter, item)) {
    case TXN_LOCK_FREE:
        act(voter, item, TXN_VOTER_PROPOSE_PREPARE)->bytes =
            base_bytes_of(item->request, item->request_size);
        break;
    case TXN_LOCK_WAIT:
        voter->counters.waited++;
        break;
    case TXN_LOCK_YIELD:
        voter->counters.gave_way++;
        txn_locks_release(voter->claims, &item->claim);
        item->state = ITEM_OVER;
        item->vote = TXN_VOTE_AGAIN;
        break;
    }
}

/* Those that wait, the oldest first: few, and mostly in order already. */
static void waiting_turns(struct txn_voter *voter)
{
    size_t count = 0;
    voter->by_age = base_array_reserve(voter->allocator, voter->by_age, &voter->by_age_capacity,
                                       voter->item_count + 1, sizeof(*voter->by_age));
    for (size_t i = 0; i < voter->item_count; i++) {
        struct item *item = voter->items[i];
        if (item->state != ITEM_WAITING)
            continue;
        size_t at = count++;
        for (; at > 0 && txn_age_compare(&item->claim.age, &voter->by_age[at - 1]->claim.age) < 0;
             at--)
            voter->by_age[at] = voter->by_age[at - 1];
        voter->by_age[at] = item;
    }
    for (size_t i = 0; i < count; i++)
        waiting_turn(voter, voter->by_age[i]);
}

static void prepared_turn(struct txn_voter *voter, struct item *item, uint64_t now_ms)
{
    if (item->end != 0)
        return;
    if (item->ask_at_ms == 0)
        item->ask_at_ms = now_ms + voter->config.ask_ms;
    if (now_ms < item->ask_at_ms)
        return;
    item->ask_at_ms = now_ms + voter->config.ask_ms;
    voter->counters.asked++;
    act(voter, item, TXN_VOTER_SEND_ASK);
}

static void item_turn(struct txn_voter *voter, struct item *item, uint64_t now_ms)
{
    if (item->state == ITEM_PREPARED)
        prepared_turn(voter, item, now_ms);
    if (item->end != 0 && !item->end_proposed)
        act(voter, item, TXN_VOTER_PROPOSE_END)->end = item->end;
    if (item->vote != 0) {
        struct txn_voter_action *action = act(voter, item, TXN_VOTER_SEND_VOTE);
        action->vote = item->vote;
        action->bytes = base_bytes_of(item->answer, item->answer_size);
        item->vote = 0;
    }
    if (item->acknowledge)
        act(voter, item, TXN_VOTER_SEND_ACKNOWLEDGE);
    item->acknowledge = false;
}

void txn_voter_turn(struct txn_voter *voter, uint64_t now_ms, struct txn_voter_ready *ret_ready)
{
    uint64_t wake_at_ms = UINT64_MAX;
    gone_free(voter);
    voter->action_count = 0;
    waiting_turns(voter);
    for (size_t i = 0; i < voter->item_count;) {
        struct item *item = voter->items[i];
        item_turn(voter, item, now_ms);
        if (item->state == ITEM_OVER && item->end == 0) {
            item_leave(voter, item);
            continue;
        }
        if (item->state == ITEM_PREPARED && item->end == 0 && item->ask_at_ms < wake_at_ms)
            wake_at_ms = item->ask_at_ms;
        i++;
    }
    *ret_ready = (struct txn_voter_ready){voter->actions, voter->action_count, wake_at_ms};
}

/* ---- Looking -------------------------------------------------------------------------------- */

const struct txn_voter_counters *txn_voter_counters(const struct txn_voter *voter)
{
    return &voter->counters;
}

size_t txn_voter_count(const struct txn_voter *voter)
{
    return voter->item_count;
}

void txn_voter_check(const struct txn_voter *voter)
{
    size_t claims = 0, bytes = 0;
    TORC_ASSERT(voter->leading || voter->item_count == 0);
    txn_locks_check(voter->claims);
    for (size_t i = 0; i < voter->item_count; i++) {
        const struct item *item = voter->items[i];
        bool prepared =
            txn_participant_standing(voter->participant, &item->attempt) == TXN_PREPARED;
        TORC_ASSERT(i == 0 ||
                    txn_attempt_compare(&voter->items[i - 1]->attempt, &item->attempt) < 0);
        TORC_ASSERT(prepared == (item->state == ITEM_PREPARED) || item->state == ITEM_PROPOSED);
        TORC_ASSERT(!item->end_proposed || item->end != 0);
        claims += item->claim.count;
        bytes += item->request_size;
    }
    TORC_ASSERT(bytes == voter->bytes);
    TORC_ASSERT(claims == txn_locks_count(voter->claims));
}
