#include "txn/coordinator.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/prng.h"

enum txn_state {
    TXN_VOTING = 1,
    TXN_REFUSED, /* A vote was not yes: to be aborted in the next turn. */
    TXN_PAUSED,  /* Between two attempts. */
    TXN_DECIDED,
    TXN_PROPOSED,
    TXN_FINISHING,
    TXN_FORGETTING,
    TXN_LEAVING, /* FORGET is proposed. */
};

struct part {
    uint32_t group;
    bool asked;   /* PREPARE was sent in this attempt. */
    bool settled; /* VOTING: it voted yes; FINISHING: it has acknowledged. */
    uint64_t send_at_ms;
    uint8_t *request, *answer;
    size_t request_size, answer_size;
};

struct txn {
    enum txn_state state;
    struct txn_attempt attempt; /* PAUSED: the last one, which is over. */
    struct txn_age age;
    uint64_t deadline_ms, resume_at_ms;
    uint32_t tries;
    uint32_t refused_by; /* REFUSED: the group that voted NO; 0: one that voted AGAIN. */
    struct part *parts;
    uint32_t part_count;
    struct txn *gone_next;
};

struct question {
    struct txn_attempt attempt;
    uint32_t group;
};

/* Invariant: live attempts of `ballot` have distinct counters of at most `counter`. */
struct txn_coordinator {
    const struct base_allocator *allocator;
    struct txn_coordinator_config config;
    bool leading;
    struct base_ballot ballot;
    uint64_t counter;  /* Of the last attempt that was begun under it. */
    struct txn **txns; /* In the order in which they came. */
    size_t txn_count, txn_capacity;
    size_t open_count; /* Those that are not committed. */
    struct txn *gone;  /* To be freed in the next turn: actions point to them. */
    struct txn_action *actions;
    size_t action_count, action_capacity;
    struct question *asks;
    size_t ask_count, ask_capacity;
    struct base_prng prng;
};

/* ---- Memory --------------------------------------------------------------------------------- */

static uint8_t *copy(const struct txn_coordinator *coordinator, struct base_bytes bytes)
{
    if (bytes.size == 0)
        return NULL;
    uint8_t *memory = base_alloc(coordinator->allocator, bytes.size);
    memcpy(memory, bytes.data, bytes.size);
    return memory;
}

static void answer_drop(const struct txn_coordinator *coordinator, struct part *part)
{
    base_free(coordinator->allocator, part->answer, part->answer_size);
    part->answer = NULL;
    part->answer_size = 0;
}

static struct txn *txn_new(struct txn_coordinator *coordinator, uint32_t part_count)
{
    struct txn *txn = base_alloc_zero(coordinator->allocator, sizeof(*txn));
    txn->parts = base_alloc_zero(coordinator->allocator, part_count * sizeof(*txn->parts));
    txn->part_count = part_count;
    coordinator->txns =
        base_array_reserve(coordinator->allocator, coordinator->txns, &coordinator->txn_capacity,
                           coordinator->txn_count + 1, sizeof(*coordinator->txns));
    coordinator->txns[coordinator->txn_count++] = txn;
    return txn;
}

static void txn_free(struct txn_coordinator *coordinator, struct txn *txn)
{
    for (uint32_t i = 0; i < txn->part_count; i++) {
        answer_drop(coordinator, &txn->parts[i]);
        base_free(coordinator->allocator, txn->parts[i].request, txn->parts[i].request_size);
    }
    base_free(coordinator->allocator, txn->parts, txn->part_count * sizeof(*txn->parts));
    base_free(coordinator->allocator, txn, sizeof(*txn));
}

static void gone_free(struct txn_coordinator *coordinator)
{
    while (coordinator->gone != NULL) {
        struct txn *txn = coordinator->gone;
        coordinator->gone = txn->gone_next;
        txn_free(coordinator, txn);
    }
}

/* Takes it out of the list; its memory stays for what points to it. */
static void txn_leave(struct txn_coordinator *coordinator, size_t index)
{
    struct txn *txn = coordinator->txns[index];
    txn->gone_next = coordinator->gone;
    coordinator->gone = txn;
    coordinator->txn_count--;
    memmove(&coordinator->txns[index], &coordinator->txns[index + 1],
            (coordinator->txn_count - index) * sizeof(*coordinator->txns));
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct txn_coordinator *txn_coordinator_new(const struct base_allocator *allocator,
                                            const struct txn_coordinator_config *config)
{
    struct txn_coordinator *coordinator = base_alloc_zero(allocator, sizeof(*coordinator));
    TORC_ASSERT(config->transactions_max > 0 && config->attempts_max > 0);
    TORC_ASSERT(config->pause_ms > 0 && config->pause_ms <= config->pause_max_ms);
    coordinator->allocator = allocator;
    coordinator->config = *config;
    coordinator->prng = base_prng_seeded(config->seed);
    return coordinator;
}

void txn_coordinator_retire(struct txn_coordinator *coordinator)
{
    while (coordinator->txn_count > 0)
        txn_leave(coordinator, coordinator->txn_count - 1);
    coordinator->open_count = coordinator->ask_count = 0;
    coordinator->leading = false;
}

void txn_coordinator_free(struct txn_coordinator *coordinator)
{
    if (coordinator == NULL)
        return;
    txn_coordinator_retire(coordinator);
    gone_free(coordinator);
    base_array_free(coordinator->allocator, coordinator->txns, &coordinator->txn_capacity,
                    sizeof(*coordinator->txns));
    base_array_free(coordinator->allocator, coordinator->actions, &coordinator->action_capacity,
                    sizeof(*coordinator->actions));
    base_array_free(coordinator->allocator, coordinator->asks, &coordinator->ask_capacity,
                    sizeof(*coordinator->asks));
    base_free(coordinator->allocator, coordinator, sizeof(*coordinator));
}

void txn_coordinator_lead(struct txn_coordinator *coordinator, struct base_ballot ballot)
{
    TORC_ASSERT(!coordinator->leading);
    TORC_ASSERT(base_ballot_compare(ballot, coordinator->ballot) > 0);
    coordinator->leading = true;
    coordinator->ballot = ballot;
    coordinator->counter = 0;
}

void txn_coordinator_recover(struct txn_coordinator *coordinator, const struct txn_attempt *attempt,
                             const uint32_t *groups, uint32_t group_count)
{
    TORC_ASSERT(coordinator->leading && group_count > 0);
    TORC_ASSERT(base_ballot_compare(attempt->ballot, coordinator->ballot) < 0);
    struct txn *txn = txn_new(coordinator, group_count);
    txn->state = TXN_FINISHING;
    txn->attempt = *attempt;
    for (uint32_t i = 0; i < group_count; i++) {
        txn->parts[i].group = groups[i];
        txn->parts[i].settled = groups[i] == coordinator->config.group;
    }
}

/* ---- Attempts ------------------------------------------------------------------------------- */

static bool is_live(const struct txn *txn)
{
    return txn->state != TXN_PAUSED;
}

/* The transaction's place in the list, or txn_count. */
static size_t find(const struct txn_coordinator *coordinator, const struct txn_attempt *attempt)
{
    size_t i = 0;
    while (i < coordinator->txn_count &&
           (!is_live(coordinator->txns[i]) ||
            txn_attempt_compare(&coordinator->txns[i]->attempt, attempt) != 0))
        i++;
    return i;
}

static struct txn *find_txn(const struct txn_coordinator *coordinator,
                            const struct txn_attempt *attempt)
{
    size_t i = find(coordinator, attempt);
    return i < coordinator->txn_count ? coordinator->txns[i] : NULL;
}

static struct part *find_part(const struct txn *txn, uint32_t group)
{
    for (uint32_t i = 0; i < txn->part_count; i++) {
        if (txn->parts[i].group == group)
            return &txn->parts[i];
    }
    return NULL;
}

struct txn_attempt txn_coordinator_mark(const struct txn_coordinator *coordinator)
{
    struct txn_attempt mark = {coordinator->config.group, coordinator->ballot,
                               coordinator->counter + 1};
    for (size_t i = 0; i < coordinator->txn_count; i++) {
        const struct txn *txn = coordinator->txns[i];
        if (is_live(txn) && txn_attempt_compare(&txn->attempt, &mark) < 0)
            mark = txn->attempt;
    }
    return mark;
}

/* Whether participants may be given one more attempt to remember. */
static bool has_window(const struct txn_coordinator *coordinator)
{
    struct txn_attempt mark = txn_coordinator_mark(coordinator);
    bool own = base_ballot_equal(mark.ballot, coordinator->ballot);
    return coordinator->counter - (own ? mark.counter - 1 : 0) < coordinator->config.attempts_max;
}

static void attempt_begin(struct txn_coordinator *coordinator, struct txn *txn)
{
    txn->state = TXN_VOTING;
    txn->attempt = (struct txn_attempt){coordinator->config.group, coordinator->ballot,
                                        ++coordinator->counter};
    for (uint32_t i = 0; i < txn->part_count; i++) {
        struct part *part = &txn->parts[i];
        part->asked = part->settled = false;
        part->send_at_ms = 0;
        answer_drop(coordinator, part);
    }
}

enum torc_status txn_coordinator_begin(struct txn_coordinator *coordinator,
                                       const struct txn_begin *begin)
{
    TORC_ASSERT(coordinator->leading && begin->part_count > 0);
    if (coordinator->open_count >= coordinator->config.transactions_max || !has_window(coordinator))
        return TORC_FULL;
    struct txn *txn = txn_new(coordinator, begin->part_count);
    txn->age = begin->age;
    txn->deadline_ms = begin->deadline_ms;
    for (uint32_t i = 0; i < begin->part_count; i++) {
        TORC_ASSERT(i == 0 || begin->parts[i - 1].group < begin->parts[i].group);
        txn->parts[i].group = begin->parts[i].group;
        txn->parts[i].request = copy(coordinator, begin->parts[i].request);
        txn->parts[i].request_size = begin->parts[i].request.size;
    }
    TORC_ASSERT(find_part(txn, coordinator->config.group) != NULL);
    coordinator->open_count++;
    attempt_begin(coordinator, txn);
    return TORC_OK;
}

static bool is_settled(const struct txn *txn)
{
    for (uint32_t i = 0; i < txn->part_count; i++) {
        if (!txn->parts[i].settled)
            return false;
    }
    return true;
}

void txn_coordinator_vote(struct txn_coordinator *coordinator, const struct txn_attempt *attempt,
                          uint32_t group, enum txn_vote vote, struct base_bytes answer)
{
    struct txn *txn = find_txn(coordinator, attempt);
    struct part *part = txn == NULL ? NULL : find_part(txn, group);
    if (part == NULL || txn->state != TXN_VOTING || !part->asked || part->settled)
        return;
    if (vote == TXN_VOTE_AGAIN) {
        txn->state = TXN_REFUSED;
        txn->refused_by = 0;
        return;
    }
    part->answer = copy(coordinator, answer);
    part->answer_size = answer.size;
    if (vote == TXN_VOTE_NO) {
        txn->state = TXN_REFUSED;
        txn->refused_by = group;
        return;
    }
    TORC_ASSERT(vote == TXN_VOTE_YES);
    part->settled = true;
    if (is_settled(txn))
        txn->state = TXN_DECIDED;
}

/* ---- The log -------------------------------------------------------------------------------- */

void txn_coordinator_proposed(struct txn_coordinator *coordinator,
                              const struct txn_attempt *attempt)
{
    struct txn *txn = find_txn(coordinator, attempt);
    TORC_ASSERT(txn != NULL);
    TORC_ASSERT(txn->state == TXN_DECIDED || txn->state == TXN_FORGETTING);
    txn->state = txn->state == TXN_DECIDED ? TXN_PROPOSED : TXN_LEAVING;
}

void txn_coordinator_committed(struct txn_coordinator *coordinator,
                               const struct txn_attempt *attempt)
{
    struct txn *txn = find_txn(coordinator, attempt);
    if (txn == NULL)
        return; /* Of a leader before this one. */
    TORC_ASSERT(txn->state == TXN_PROPOSED);
    txn->state = TXN_FINISHING;
    coordinator->open_count--;
    for (uint32_t i = 0; i < txn->part_count; i++) {
        txn->parts[i].settled =
            txn->parts[i].group == coordinator->config.group || TORC_MUTANT(TXN_FORGOTTEN_EARLY);
        txn->parts[i].send_at_ms = 0;
    }
    if (is_settled(txn))
        txn->state = TXN_FORGETTING;
}

void txn_coordinator_acknowledged(struct txn_coordinator *coordinator,
                                  const struct txn_attempt *attempt, uint32_t group)
{
    struct txn *txn = find_txn(coordinator, attempt);
    struct part *part = txn == NULL ? NULL : find_part(txn, group);
    if (part == NULL || txn->state != TXN_FINISHING)
        return;
    part->settled = true;
    if (is_settled(txn))
        txn->state = TXN_FORGETTING;
}

void txn_coordinator_abandon(struct txn_coordinator *coordinator, const struct txn_attempt *attempt)
{
    struct txn *txn = find_txn(coordinator, attempt);
    TORC_ASSERT(txn != NULL && txn->state == TXN_DECIDED);
    txn->state = TXN_REFUSED;
    txn->refused_by = coordinator->config.group;
}

void txn_coordinator_asked(struct txn_coordinator *coordinator, const struct txn_attempt *attempt,
                           uint32_t group)
{
    if (!coordinator->leading || coordinator->ask_count == coordinator->config.asks_max)
        return;
    coordinator->asks =
        base_array_reserve(coordinator->allocator, coordinator->asks, &coordinator->ask_capacity,
                           coordinator->ask_count + 1, sizeof(*coordinator->asks));
    coordinator->asks[coordinator->ask_count++] = (struct question){*attempt, group};
}

void txn_coordinator_forgotten(struct txn_coordinator *coordinator,
                               const struct txn_attempt *attempt)
{
    size_t i = find(coordinator, attempt);
    if (i == coordinator->txn_count)
        return; /* Of a leader before this one. */
    TORC_ASSERT(coordinator->txns[i]->state == TXN_LEAVING);
    txn_leave(coordinator, i);
}

/* ---- The turn ------------------------------------------------------------------------------- */

static void action_add(struct txn_coordinator *coordinator, const struct txn_action *action)
{
    coordinator->actions = base_array_reserve(
        coordinator->allocator, coordinator->actions, &coordinator->action_capacity,
        coordinator->action_count + 1, sizeof(*coordinator->actions));
    coordinator->actions[coordinator->action_count++] = *action;
}

static void act(struct txn_coordinator *coordinator, const struct txn *txn,
                enum txn_action_type type, uint32_t group, struct base_bytes bytes)
{
    struct txn_action action = {
        .type = type, .attempt = txn->attempt, .age = txn->age, .group = group, .bytes = bytes};
    action_add(coordinator, &action);
}

static void asks_answer(struct txn_coordinator *coordinator)
{
    for (size_t i = 0; i < coordinator->ask_count; i++) {
        const struct question *ask = &coordinator->asks[i];
        enum txn_word word = txn_coordinator_word(coordinator, &ask->attempt);
        struct txn_action action = {
            .type = word == TXN_WORD_COMMIT ? TXN_SEND_COMMIT : TXN_SEND_ABORT,
            .attempt = ask->attempt,
            .group = ask->group,
            .bytes = {NULL, 0},
        };
        if (word != TXN_WORD_NONE)
            action_add(coordinator, &action);
    }
    coordinator->ask_count = 0;
}

static void ask_votes(struct txn_coordinator *coordinator, struct txn *txn, uint64_t now_ms)
{
    for (uint32_t i = 0; i < txn->part_count; i++) {
        struct part *part = &txn->parts[i];
        if (part->settled || now_ms < part->send_at_ms)
            continue;
        part->asked = true;
        part->send_at_ms = now_ms + coordinator->config.resend_ms;
        act(coordinator, txn, TXN_SEND_PREPARE, part->group,
            base_bytes_of(part->request, part->request_size));
    }
}

static void tell_commit(struct txn_coordinator *coordinator, struct txn *txn, uint64_t now_ms)
{
    for (uint32_t i = 0; i < txn->part_count; i++) {
        struct part *part = &txn->parts[i];
        if (part->settled || now_ms < part->send_at_ms)
            continue;
        part->send_at_ms = now_ms + coordinator->config.resend_ms;
        act(coordinator, txn, TXN_SEND_COMMIT, part->group, base_bytes_of(NULL, 0));
    }
}

static void tell_abort(struct txn_coordinator *coordinator, const struct txn *txn)
{
    for (uint32_t i = 0; i < txn->part_count; i++) {
        if (txn->parts[i].asked)
            act(coordinator, txn, TXN_SEND_ABORT, txn->parts[i].group, base_bytes_of(NULL, 0));
    }
}

static void pause(struct txn_coordinator *coordinator, struct txn *txn, uint64_t now_ms)
{
    uint64_t pause_ms = coordinator->config.pause_ms;
    for (uint32_t i = 0; i < txn->tries && pause_ms < coordinator->config.pause_max_ms; i++)
        pause_ms *= 2;
    if (pause_ms > coordinator->config.pause_max_ms)
        pause_ms = coordinator->config.pause_max_ms;
    txn->tries++;
    txn->state = TXN_PAUSED;
    txn->resume_at_ms = now_ms + pause_ms - base_prng_range(&coordinator->prng, 0, pause_ms / 2);
}

/* Ends an attempt that was not proposed. True: the transaction is over with it. */
static bool attempt_abort(struct txn_coordinator *coordinator, struct txn *txn, uint64_t now_ms)
{
    bool refused = txn->state == TXN_REFUSED && txn->refused_by != 0;
    bool late = now_ms >= txn->deadline_ms;
    if (txn->state != TXN_PAUSED)
        tell_abort(coordinator, txn);
    if (!refused && !late) {
        pause(coordinator, txn, now_ms);
        return false;
    }
    struct base_bytes answer = {NULL, 0};
    if (refused) {
        const struct part *part = find_part(txn, txn->refused_by);
        answer = base_bytes_of(part->answer, part->answer_size);
    }
    act(coordinator, txn, TXN_GIVE_UP, refused ? txn->refused_by : 0, answer);
    return true;
}

/* True: it is over. */
static bool open_turn(struct txn_coordinator *coordinator, struct txn *txn, uint64_t now_ms)
{
    if (txn->state == TXN_REFUSED || now_ms >= txn->deadline_ms)
        return attempt_abort(coordinator, txn, now_ms);
    if (txn->state == TXN_PAUSED && now_ms >= txn->resume_at_ms) {
        if (has_window(coordinator))
            attempt_begin(coordinator, txn);
        else
            txn->resume_at_ms = now_ms + coordinator->config.pause_ms;
    }
    if (txn->state == TXN_VOTING)
        ask_votes(coordinator, txn, now_ms);
    else if (txn->state == TXN_DECIDED)
        act(coordinator, txn, TXN_PROPOSE_COMMIT, 0, base_bytes_of(NULL, 0));
    return false;
}

static bool is_open(const struct txn *txn)
{
    return txn->state <= TXN_DECIDED;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When time alone makes something due. */
static uint64_t wake_at(const struct txn *txn)
{
    uint64_t at_ms = is_open(txn) ? txn->deadline_ms : UINT64_MAX;
    if (txn->state == TXN_PAUSED)
        at_ms = least(at_ms, txn->resume_at_ms);
    if (txn->state != TXN_VOTING && txn->state != TXN_FINISHING)
        return at_ms;
    for (uint32_t i = 0; i < txn->part_count; i++) {
        if (!txn->parts[i].settled)
            at_ms = least(at_ms, txn->parts[i].send_at_ms);
    }
    return at_ms;
}

void txn_coordinator_turn(struct txn_coordinator *coordinator, uint64_t now_ms,
                          struct txn_ready *ret_ready)
{
    uint64_t wake_at_ms = UINT64_MAX;
    gone_free(coordinator);
    coordinator->action_count = 0;
    asks_answer(coordinator);
    for (size_t i = 0; i < coordinator->txn_count;) {
        struct txn *txn = coordinator->txns[i];
        if (is_open(txn) && open_turn(coordinator, txn, now_ms)) {
            coordinator->open_count--;
            txn_leave(coordinator, i);
            continue;
        }
        if (txn->state == TXN_FINISHING)
            tell_commit(coordinator, txn, now_ms);
        else if (txn->state == TXN_FORGETTING)
            act(coordinator, txn, TXN_PROPOSE_FORGET, 0, base_bytes_of(NULL, 0));
        wake_at_ms = least(wake_at_ms, wake_at(txn));
        i++;
    }
    *ret_ready = (struct txn_ready){coordinator->actions, coordinator->action_count, wake_at_ms};
}

/* ---- Looking -------------------------------------------------------------------------------- */

struct base_bytes txn_coordinator_answer(const struct txn_coordinator *coordinator,
                                         const struct txn_attempt *attempt, uint32_t group)
{
    const struct txn *txn = find_txn(coordinator, attempt);
    const struct part *part = txn == NULL ? NULL : find_part(txn, group);
    return part == NULL ? base_bytes_of(NULL, 0) : base_bytes_of(part->answer, part->answer_size);
}

uint32_t txn_coordinator_group(const struct txn_coordinator *coordinator,
                               const struct txn_attempt *attempt, uint32_t i)
{
    const struct txn *txn = find_txn(coordinator, attempt);
    return txn != NULL && i < txn->part_count ? txn->parts[i].group : 0;
}

enum txn_word txn_coordinator_word(const struct txn_coordinator *coordinator,
                                   const struct txn_attempt *attempt)
{
    if (!coordinator->leading || attempt->group != coordinator->config.group)
        return TXN_WORD_NONE;
    int order = base_ballot_compare(attempt->ballot, coordinator->ballot);
    if (order > 0 || (order == 0 && attempt->counter > coordinator->counter))
        return TXN_WORD_NONE; /* Not of this leader, nor of one before it. */
    const struct txn *txn = find_txn(coordinator, attempt);
    if (txn == NULL)
        return TXN_WORD_ABORT;
    switch (txn->state) {
    case TXN_FINISHING:
        return TXN_WORD_COMMIT;
    case TXN_REFUSED:
        return TXN_WORD_ABORT;
    case TXN_PROPOSED:
        return TORC_MUTANT(TXN_ABORT_SAID_EARLY) ? TXN_WORD_ABORT : TXN_WORD_NONE;
    default:
        return TXN_WORD_NONE;
    }
}

size_t txn_coordinator_count(const struct txn_coordinator *coordinator)
{
    return coordinator->txn_count;
}

static void check_txn(const struct txn_coordinator *coordinator, const struct txn *txn)
{
    bool own = base_ballot_equal(txn->attempt.ballot, coordinator->ballot);
    TORC_ASSERT(txn->attempt.group == coordinator->config.group);
    TORC_ASSERT(!own || txn->attempt.counter <= coordinator->counter);
    TORC_ASSERT(own || txn->state >= TXN_FINISHING);
    TORC_ASSERT(find_part(txn, coordinator->config.group) != NULL);
    TORC_ASSERT(txn->state != TXN_VOTING || !is_settled(txn));
    TORC_ASSERT(txn->state != TXN_DECIDED || is_settled(txn));
    for (uint32_t i = 0; i < txn->part_count; i++)
        TORC_ASSERT(i == 0 || txn->parts[i - 1].group < txn->parts[i].group);
}

void txn_coordinator_check(const struct txn_coordinator *coordinator)
{
    size_t open = 0;
    TORC_ASSERT(coordinator->leading || coordinator->txn_count == 0);
    for (size_t i = 0; i < coordinator->txn_count; i++) {
        const struct txn *txn = coordinator->txns[i];
        check_txn(coordinator, txn);
        open += is_open(txn) || txn->state == TXN_PROPOSED;
        TORC_ASSERT(!is_live(txn) || find_txn(coordinator, &txn->attempt) == txn);
    }
    TORC_ASSERT(open == coordinator->open_count);
    TORC_ASSERT(open <= coordinator->config.transactions_max);
}
