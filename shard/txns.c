#include "shard/txns.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "ring/token.h"

enum {
    TXNS_MAX = 1024,           /* At once: coordinated, and likewise waiting or prepared. */
    TXNS_ATTEMPTS_MAX = 65536, /* Above the mark: what others have to remember. */
    TXNS_BYTES_MAX = 32 << 20, /* Of the requests of the former. */
    TXNS_ROUNDS_MAX = 8,       /* Of one turn: what this group says to itself is heard in it. */
};

/* A request that this group coordinates. */
struct deal {
    struct txn_age age;
    struct txn_attempt attempt; /* The one that is proposed; else nothing. */
    uint8_t *request;           /* Encoded. */
    size_t request_size;
    uint32_t *groups; /* Of each operation. */
    uint16_t op_count;
    bool too_large;   /* Its answer does not fit into an entry. */
    uint8_t *refusal; /* An internal request to be proposed; NULL: none. */
    size_t refusal_size;
    bool refusal_proposed;
    struct deal *next;
};

struct shard_txns {
    const struct base_allocator *allocator;
    struct shard_txns_config config;
    struct shard_machine *machine;
    struct txn_coordinator *coordinator;
    struct txn_voter *voter;
    bool leading;
    struct deal *deals;
    size_t deals_size;         /* Of their requests. */
    struct txn_attempt *marks; /* The highest that was heard of each group. */
    size_t mark_count, mark_capacity;
    uint8_t *scratch;
    size_t scratch_capacity;
    uint64_t wake_at_ms;
};

/* ---- Life ----------------------------------------------------------------------------------- */

struct shard_txns_config shard_txns_preset(uint32_t group, size_t entry_bytes_max, uint64_t seed)
{
    return (struct shard_txns_config){
        .group = group,
        .coordinator = {.group = group,
                        .transactions_max = TXNS_MAX,
                        .attempts_max = TXNS_ATTEMPTS_MAX,
                        .asks_max = TXNS_MAX,
                        .resend_ms = 100,
                        .pause_ms = 2,
                        .pause_max_ms = 200,
                        .seed = seed},
        .voter = {.attempts_max = TXNS_MAX, .bytes_max = TXNS_BYTES_MAX, .ask_ms = 500},
        .entry_bytes_max = entry_bytes_max,
        .bytes_max = TXNS_BYTES_MAX,
    };
}

struct shard_txns *shard_txns_new(const struct shard_txns_config *config,
                                  struct shard_machine *machine,
                                  const struct base_allocator *allocator)
{
    struct shard_txns *txns = base_alloc_zero(allocator, sizeof(*txns));
    TORC_ASSERT(config->coordinator.group == config->group);
    txns->allocator = allocator;
    txns->config = *config;
    txns->machine = machine;
    txns->coordinator = txn_coordinator_new(allocator, &config->coordinator);
    txns->voter = txn_voter_new(allocator, shard_machine_participant(machine), &config->voter);
    txns->wake_at_ms = UINT64_MAX;
    return txns;
}

static void deal_free(struct shard_txns *txns, struct deal *deal)
{
    txns->deals_size -= deal->request_size;
    base_free(txns->allocator, deal->request, deal->request_size);
    base_free(txns->allocator, deal->groups, deal->op_count * sizeof(*deal->groups));
    base_free(txns->allocator, deal->refusal, deal->refusal_size);
    base_free(txns->allocator, deal, sizeof(*deal));
}

void shard_txns_retire(struct shard_txns *txns)
{
    if (!txns->leading)
        return;
    txn_coordinator_retire(txns->coordinator);
    txn_voter_retire(txns->voter);
    while (txns->deals != NULL) {
        struct deal *deal = txns->deals;
        txns->deals = deal->next;
        deal_free(txns, deal);
    }
    txns->leading = false;
    txns->wake_at_ms = UINT64_MAX;
}

void shard_txns_free(struct shard_txns *txns)
{
    if (txns == NULL)
        return;
    shard_txns_retire(txns);
    txn_coordinator_free(txns->coordinator);
    txn_voter_free(txns->voter);
    base_array_free(txns->allocator, txns->marks, &txns->mark_capacity, sizeof(*txns->marks));
    base_array_free(txns->allocator, txns->scratch, &txns->scratch_capacity, 1);
    base_free(txns->allocator, txns, sizeof(*txns));
}

void shard_txns_lead(struct shard_txns *txns, struct base_ballot ballot, uint64_t now_ms)
{
    TORC_ASSERT(!txns->leading);
    struct txn_attempt attempt;
    struct base_bytes groups;
    txns->leading = true;
    txn_coordinator_lead(txns->coordinator, ballot);
    txn_voter_lead(txns->voter, now_ms);
    for (size_t i = 0; shard_machine_unfinished(txns->machine, i, &attempt, &groups) &&
                       !TORC_MUTANT(TXN_NOT_RECOVERED);
         i++) {
        uint32_t list[TXN_ENTRY_GROUPS_MAX];
        uint32_t count = (uint32_t)(groups.size / 4);
        for (uint32_t g = 0; g < count; g++)
            list[g] = base_get_le32(groups.data + 4 * (size_t)g);
        txn_coordinator_recover(txns->coordinator, &attempt, list, count);
    }
    txns->wake_at_ms = now_ms;
}

bool shard_txns_leads(const struct shard_txns *txns)
{
    return txns->leading;
}

static uint8_t *scratch(struct shard_txns *txns, size_t size)
{
    txns->scratch =
        base_array_reserve(txns->allocator, txns->scratch, &txns->scratch_capacity, size, 1);
    return txns->scratch;
}

/* ---- Marks ---------------------------------------------------------------------------------- */

static void mark_hear(struct shard_txns *txns, const struct txn_attempt *mark)
{
    for (size_t i = 0; i < txns->mark_count; i++) {
        struct txn_attempt *known = &txns->marks[i];
        if (known->group != mark->group)
            continue;
        if (txn_attempt_compare(known, mark) < 0)
            *known = *mark;
        return;
    }
    txns->marks = base_array_reserve(txns->allocator, txns->marks, &txns->mark_capacity,
                                     txns->mark_count + 1, sizeof(*txns->marks));
    txns->marks[txns->mark_count++] = *mark;
}

/* The highest of a group; below it nothing, if none was heard. */
static struct txn_attempt mark_of(const struct shard_txns *txns, uint32_t group)
{
    for (size_t i = 0; i < txns->mark_count; i++) {
        if (txns->marks[i].group == group)
            return txns->marks[i];
    }
    return (struct txn_attempt){group, {1, 0, 0}, 1};
}

/* ---- Splitting a request -------------------------------------------------------------------- */

/* The part of one group, written at `at`: the operations on its keys. Returns its size. */
static size_t part_write(const struct wire_request *request, const uint32_t *groups, uint32_t group,
                         uint8_t *at, size_t capacity)
{
    size_t size = wire_request_begin(at, capacity, request->client, request->number,
                                     request->last_time, 0 /* flags */);
    uint16_t count = 0;
    struct wire_op op;
    size_t cursor = 0;
    for (uint16_t i = 0; wire_op_next(request, &cursor, &op); i++) {
        if (groups[i] != group)
            continue;
        size += wire_op_write(at + size, capacity - size, &op);
        count++;
    }
    wire_request_end(at, size, count);
    return size;
}

/* The groups of a request, each once, rising. Returns how many; more than `max`: max + 1. */
static uint32_t distinct(const uint32_t *groups, uint16_t count, uint32_t *list, uint32_t max)
{
    uint32_t found = 0;
    for (uint16_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < found && list[at] < groups[i])
            at++;
        if (at < found && list[at] == groups[i])
            continue;
        if (found == max)
            return max + 1;
        memmove(&list[at + 1], &list[at], (found - at) * sizeof(*list));
        list[at] = groups[i];
        found++;
    }
    return found;
}

static struct txn_age age_of(const struct wire_request *request)
{
    return (struct txn_age){request->last_time, request->client.high, request->client.low,
                            request->number};
}

static void deal_add(struct shard_txns *txns, const struct wire_request *request,
                     const uint32_t *groups)
{
    struct deal *deal = base_alloc_zero(txns->allocator, sizeof(*deal));
    deal->age = age_of(request);
    deal->request_size = request->encoded.size;
    txns->deals_size += deal->request_size;
    deal->request = base_alloc(txns->allocator, deal->request_size);
    memcpy(deal->request, request->encoded.data, deal->request_size);
    deal->op_count = request->op_count;
    deal->groups = base_alloc(txns->allocator, deal->op_count * sizeof(*deal->groups));
    memcpy(deal->groups, groups, deal->op_count * sizeof(*deal->groups));
    deal->next = txns->deals;
    txns->deals = deal;
}

enum torc_status shard_txns_begin(struct shard_txns *txns, const struct wire_request *request,
                                  const uint32_t *groups, uint64_t deadline_ms)
{
    enum { PARTS_MAX = 256 };
    uint32_t list[PARTS_MAX + 1];
    struct txn_part parts[PARTS_MAX];
    uint32_t count = distinct(groups, request->op_count, list, PARTS_MAX);
    size_t room = request->encoded.size, size = 0;
    if (count > PARTS_MAX ||
        room + SHARD_TXN_VALUE_AT + 256 /* attempt, mark, age */ > txns->config.entry_bytes_max)
        return TORC_TOO_LARGE;
    if (txns->deals_size > 0 && txns->deals_size + room > txns->config.bytes_max)
        return TORC_FULL;
    uint8_t *bytes = scratch(txns, room + (size_t)count * WIRE_REQUEST_HEADER_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        size_t part_size =
            part_write(request, groups, list[i], bytes + size, txns->scratch_capacity - size);
        parts[i] = (struct txn_part){list[i], base_bytes_of(bytes + size, part_size)};
        size += part_size;
    }
    struct txn_begin begin = {age_of(request), deadline_ms, parts, count};
    enum torc_status status = txn_coordinator_begin(txns->coordinator, &begin);
    if (status == TORC_OK) {
        deal_add(txns, request, groups);
        txns->wake_at_ms = 0;
    }
    return status;
}

static struct deal *deal_of(const struct shard_txns *txns, const struct txn_age *age)
{
    struct deal *deal = txns->deals;
    while (deal != NULL && txn_age_compare(&deal->age, age) != 0)
        deal = deal->next;
    return deal;
}

static void deal_end(struct shard_txns *txns, struct deal *deal)
{
    struct deal **at = &txns->deals;
    while (*at != deal)
        at = &(*at)->next;
    *at = deal->next;
    deal_free(txns, deal);
}

static struct wire_request deal_request(const struct deal *deal)
{
    static const struct wire_limits no_limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    struct wire_request request;
    enum torc_status status =
        wire_request_read(base_bytes_of(deal->request, deal->request_size), &no_limits, &request);
    TORC_ASSERT(status == TORC_OK);
    return request;
}

/* The vnode of its record: of the first key that it writes. */
static uint32_t deal_vnode(const struct shard_txns *txns, const struct deal *deal)
{
    struct wire_request request = deal_request(deal);
    unsigned vnode_bits = shard_machine_vnode_bits(txns->machine);
    struct wire_op op;
    for (size_t cursor = 0; wire_op_next(&request, &cursor, &op);) {
        if (wire_op_writes(op.type))
            return ring_vnode(ring_token(op.key, vnode_bits), vnode_bits);
    }
    TORC_ASSERT(!"a transaction writes");
    return 0;
}

/* ---- One answer of several ------------------------------------------------------------------ */

struct piece { /* The answer of one part, and how far it has been used. */
    uint32_t group;
    struct wire_answer answer;
    size_t cursor;
};

static size_t answer_size(const struct piece *pieces, uint32_t count)
{
    size_t size = WIRE_ANSWER_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++)
        size += pieces[i].answer.results.size;
    return size;
}

/* The results in the order of the request's operations. Returns the size. */
static size_t answer_merge(const struct deal *deal, struct piece *pieces, uint32_t count,
                           uint8_t *at, size_t capacity)
{
    uint64_t clock = 0;
    for (uint32_t i = 0; i < count; i++)
        clock = pieces[i].answer.clock > clock ? pieces[i].answer.clock : clock;
    size_t size = wire_answer_begin(at, capacity, WIRE_DONE, deal->age.number, clock, 0);
    for (uint16_t i = 0; i < deal->op_count; i++) {
        struct piece *piece = pieces;
        while (piece->group != deal->groups[i])
            piece++;
        struct wire_result result;
        bool more = wire_result_next(&piece->answer, &piece->cursor, &result);
        TORC_ASSERT(more);
        size += wire_result_write(at + size, capacity - size, &result);
    }
    wire_answer_end(at, size, deal->op_count);
    return size;
}

/* The answers that the groups gave with their votes; the number of groups. */
static uint32_t pieces_of(const struct shard_txns *txns, const struct txn_attempt *attempt,
                          struct piece *pieces, uint8_t *groups)
{
    uint32_t group, count = 0;
    for (; (group = txn_coordinator_group(txns->coordinator, attempt, count)) != 0; count++) {
        struct piece *piece = &pieces[count];
        *piece = (struct piece){.group = group};
        enum torc_status status = wire_answer_read(
            txn_coordinator_answer(txns->coordinator, attempt, group), &piece->answer);
        TORC_ASSERT(status == TORC_OK);
        base_put_le32(groups + 4 * (size_t)count, group);
    }
    return count;
}

/* Puts COMMIT into the log. False: not now. */
static bool commit_propose(struct shard_txns *txns, struct deal *deal,
                           const struct txn_attempt *attempt, const struct shard_txns_sink *sink)
{
    struct piece pieces[257];
    uint8_t groups[4 * 257];
    uint32_t count = pieces_of(txns, attempt, pieces, groups);
    size_t merged = answer_size(pieces, count);
    struct txn_entry_commit entry = {
        .attempt = *attempt,
        .age = deal->age,
        .vnode = deal_vnode(txns, deal),
        .groups = base_bytes_of(groups, 4 * (size_t)count),
    };
    size_t head = SHARD_TXN_VALUE_AT + txn_entry_commit_size(&entry);
    if (head + merged > txns->config.entry_bytes_max) {
        deal->too_large = true;
        txn_coordinator_abandon(txns->coordinator, attempt);
        return false;
    }
    uint8_t *request = scratch(txns, head + merged + merged);
    uint8_t *answer = request + head + merged; /* Copied into its place by the writing. */
    entry.answer = base_bytes_of(answer, answer_merge(deal, pieces, count, answer, merged));
    size_t size = txn_entry_commit_write(&entry, request + SHARD_TXN_VALUE_AT);
    size = shard_txn_op_write(WIRE_OP_TXN_COMMIT, size, request, txns->scratch_capacity);
    return sink->propose(sink->context, base_bytes_of(request, size));
}

/* ---- What a request came to without a commit ------------------------------------------------ */

static void answer_status(const struct deal *deal, enum wire_answer_status status, uint64_t detail,
                          const struct shard_txns_sink *sink)
{
    uint8_t at[WIRE_ANSWER_HEADER_SIZE];
    size_t size = wire_answer_begin(at, sizeof(at), status, deal->age.number, 0, detail);
    wire_answer_end(at, size, 0);
    sink->answer(sink->context,
                 (struct wire_client_id){deal->age.client_high, deal->age.client_low},
                 deal->age.number, base_bytes_of(at, size));
}

/* The index in the request of an operation of a part. */
static uint64_t op_index(const struct deal *deal, uint32_t group, uint64_t index)
{
    for (uint16_t i = 0; i < deal->op_count; i++) {
        if (deal->groups[i] == group && index-- == 0)
            return i;
    }
    return 0;
}

/* A refusal for good, which the log is to remember before the client hears it. */
static void refusal_make(struct shard_txns *txns, struct deal *deal, uint32_t group,
                         const struct wire_answer *answer)
{
    uint8_t at[WIRE_ANSWER_HEADER_SIZE];
    size_t size = wire_answer_begin(at, sizeof(at), answer->status, deal->age.number, answer->clock,
                                    op_index(deal, group, answer->detail));
    wire_answer_end(at, size, 0);
    struct txn_entry_refuse entry = {deal->age, deal_vnode(txns, deal), base_bytes_of(at, size)};
    deal->refusal_size = SHARD_TXN_VALUE_AT + txn_entry_refuse_size(&entry);
    deal->refusal = base_alloc(txns->allocator, deal->refusal_size);
    size = txn_entry_refuse_write(&entry, deal->refusal + SHARD_TXN_VALUE_AT);
    size = shard_txn_op_write(WIRE_OP_TXN_REFUSE, size, deal->refusal, deal->refusal_size);
    TORC_ASSERT(size == deal->refusal_size);
}

static void give_up(struct shard_txns *txns, const struct txn_action *action,
                    const struct shard_txns_sink *sink)
{
    struct deal *deal = deal_of(txns, &action->age);
    struct wire_answer answer;
    TORC_ASSERT(deal != NULL);
    if (deal->too_large) {
        answer_status(deal, WIRE_REFUSED, TORC_TOO_LARGE, sink);
    } else if (action->group == 0 || wire_answer_read(action->bytes, &answer) != TORC_OK) {
        answer_status(deal, WIRE_TOO_LATE, 0, sink);
    } else if (answer.status == WIRE_CHECK_FAILED && answer.number == deal->age.number &&
               action->group != 0) {
        refusal_make(txns, deal, action->group, &answer);
        return;
    } else if (answer.status == WIRE_DONE) { /* It was done before: this is its record. */
        sink->answer(sink->context,
                     (struct wire_client_id){deal->age.client_high, deal->age.client_low},
                     deal->age.number, action->bytes);
    } else {
        answer_status(deal, answer.status, answer.detail, sink);
    }
    deal_end(txns, deal);
}

/* What is to be recorded before it is told: once the attempts of it have let go of their locks, as
 * before that it would do nothing. */
static void refusals_propose(struct shard_txns *txns, const struct shard_txns_sink *sink)
{
    const struct txn_participant *participant = shard_machine_participant(txns->machine);
    for (struct deal *deal = txns->deals; deal != NULL; deal = deal->next) {
        if (deal->refusal != NULL && !deal->refusal_proposed &&
            !txn_participant_holds(participant, &deal->age))
            deal->refusal_proposed =
                sink->propose(sink->context, base_bytes_of(deal->refusal, deal->refusal_size));
    }
}

/* ---- Messages in ---------------------------------------------------------------------------- */

static void send(struct shard_txns *txns, const struct shard_txn_message *message,
                 const struct shard_txns_sink *sink)
{
    if (message->to != txns->config.group) {
        sink->send(sink->context, message);
        return;
    }
    enum torc_status status = shard_txns_receive(txns, message);
    TORC_ASSERT(status == TORC_OK);
}

/* The part as the log will have it; FALSE: no leader makes such a one. */
static bool prepare_hear(struct shard_txns *txns, const struct shard_txn_message *message)
{
    static const struct wire_limits no_limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    struct wire_request request;
    struct wire_op op;
    if (wire_request_read(message->payload, &no_limits, &request) != TORC_OK ||
        request.encoded.size != message->payload.size || request.flags != 0)
        return false;
    for (size_t cursor = 0; wire_op_next(&request, &cursor, &op);) {
        if (op.key.size == 0)
            return false;
    }
    struct txn_entry_prepare entry = {message->attempt, message->mark, message->age,
                                      message->payload};
    size_t size = txn_entry_prepare_size(&entry);
    size_t wants_size = request.op_count * sizeof(struct txn_lock_want);
    struct txn_lock_want *wants = base_alloc(txns->allocator, wants_size);
    uint8_t *value = base_alloc(txns->allocator, size);
    (void)txn_entry_prepare_write(&entry, value);
    struct txn_prepare prepare = {
        .attempt = message->attempt,
        .age = message->age,
        .wants = wants,
        .want_count = shard_txn_wants(&request, wants),
        .request = base_bytes_of(value, size),
    };
    txn_voter_prepare(txns->voter, &prepare);
    base_free(txns->allocator, value, size);
    base_free(txns->allocator, wants, wants_size);
    return true;
}

static bool vote_fits(const struct shard_txn_message *message)
{
    struct wire_answer answer;
    if (message->vote == TXN_VOTE_AGAIN)
        return true;
    return (message->vote == TXN_VOTE_YES || message->vote == TXN_VOTE_NO) &&
           wire_answer_read(message->payload, &answer) == TORC_OK &&
           answer.encoded.size == message->payload.size &&
           (message->vote == TXN_VOTE_NO || answer.status == WIRE_DONE);
}

enum torc_status shard_txns_receive(struct shard_txns *txns,
                                    const struct shard_txn_message *message)
{
    bool by_coordinator = message->type == SHARD_TXN_SAYS_PREPARE ||
                          message->type == SHARD_TXN_SAYS_COMMIT ||
                          message->type == SHARD_TXN_SAYS_ABORT;
    uint32_t coordinator = by_coordinator ? message->from : message->to;
    if (message->to != txns->config.group || message->attempt.group != coordinator)
        return TORC_MALFORMED;
    if (!txns->leading)
        return TORC_OK;
    txns->wake_at_ms = 0;
    if (by_coordinator) {
        if (message->mark.group != coordinator || message->mark.counter == 0 ||
            base_ballot_is_none(message->mark.ballot))
            return TORC_MALFORMED;
        mark_hear(txns, &message->mark);
    }
    switch (message->type) {
    case SHARD_TXN_SAYS_PREPARE:
        return prepare_hear(txns, message) ? TORC_OK : TORC_MALFORMED;
    case SHARD_TXN_SAYS_COMMIT:
        txn_voter_end(txns->voter, &message->attempt, TXN_COMMITTED);
        return TORC_OK;
    case SHARD_TXN_SAYS_ABORT:
        txn_voter_end(txns->voter, &message->attempt, TXN_ABORTED);
        return TORC_OK;
    case SHARD_TXN_SAYS_VOTE:
        if (!vote_fits(message))
            return TORC_MALFORMED;
        txn_coordinator_vote(txns->coordinator, &message->attempt, message->from, message->vote,
                             message->payload);
        return TORC_OK;
    case SHARD_TXN_SAYS_ACKNOWLEDGE:
        txn_coordinator_acknowledged(txns->coordinator, &message->attempt, message->from);
        return TORC_OK;
    case SHARD_TXN_SAYS_ASK:
        txn_coordinator_asked(txns->coordinator, &message->attempt, message->from);
        return TORC_OK;
    }
    return TORC_MALFORMED;
}

/* ---- What was applied ----------------------------------------------------------------------- */

static void commit_applied(struct shard_txns *txns, const struct txn_attempt *attempt)
{
    struct deal *deal = txns->deals;
    txn_coordinator_committed(txns->coordinator, attempt);
    txn_voter_end_applied(txns->voter, attempt);
    while (deal != NULL && txn_attempt_compare(&deal->attempt, attempt) != 0)
        deal = deal->next;
    if (deal != NULL)
        deal_end(txns, deal);
}

static void refusal_applied(struct shard_txns *txns, const struct shard_outcome *outcome)
{
    struct deal *deal = txns->deals;
    while (deal != NULL &&
           (deal->age.number != outcome->number || deal->age.client_low != outcome->client.low ||
            deal->age.client_high != outcome->client.high))
        deal = deal->next;
    if (deal == NULL)
        return;
    if (outcome->result == TXN_PREPARE_DONE)
        deal_end(txns, deal);
    else
        deal->refusal_proposed = false;
}

void shard_txns_applied(struct shard_txns *txns, const struct shard_outcome *outcome)
{
    if (!txns->leading)
        return;
    txns->wake_at_ms = 0;
    switch (outcome->kind) {
    case SHARD_TXN_PREPARE:
        txn_voter_prepare_applied(txns->voter, &outcome->attempt, outcome->result, outcome->answer);
        break;
    case SHARD_TXN_END:
        txn_voter_end_applied(txns->voter, &outcome->attempt);
        break;
    case SHARD_TXN_COMMIT:
        commit_applied(txns, &outcome->attempt);
        break;
    case SHARD_TXN_REFUSE:
        refusal_applied(txns, outcome);
        break;
    case SHARD_TXN_FORGET:
        txn_coordinator_forgotten(txns->coordinator, &outcome->attempt);
        break;
    case SHARD_ANSWERED:
    case SHARD_LOCKED:
        TORC_ASSERT(!"an outcome of a transaction");
    }
}

/* ---- The turn ------------------------------------------------------------------------------- */

static void coordinator_act(struct shard_txns *txns, const struct txn_action *action,
                            const struct shard_txns_sink *sink)
{
    struct shard_txn_message message = {
        .from = txns->config.group,
        .to = action->group,
        .attempt = action->attempt,
        .mark = txn_coordinator_mark(txns->coordinator),
        .age = action->age,
        .payload = action->bytes,
    };
    struct deal *deal;
    uint8_t request[SHARD_TXN_VALUE_AT + TXN_ATTEMPT_SIZE];
    switch (action->type) {
    case TXN_SEND_PREPARE:
        message.type = SHARD_TXN_SAYS_PREPARE;
        send(txns, &message, sink);
        break;
    case TXN_SEND_COMMIT:
    case TXN_SEND_ABORT:
        message.type =
            action->type == TXN_SEND_COMMIT ? SHARD_TXN_SAYS_COMMIT : SHARD_TXN_SAYS_ABORT;
        message.payload = base_bytes_of(NULL, 0);
        send(txns, &message, sink);
        break;
    case TXN_PROPOSE_COMMIT:
        deal = deal_of(txns, &action->age);
        if (!commit_propose(txns, deal, &action->attempt, sink))
            break;
        deal->attempt = action->attempt;
        txn_coordinator_proposed(txns->coordinator, &action->attempt);
        break;
    case TXN_PROPOSE_FORGET:
        txn_attempt_write(request + SHARD_TXN_VALUE_AT, &action->attempt);
        (void)shard_txn_op_write(WIRE_OP_TXN_FORGET, TXN_ATTEMPT_SIZE, request, sizeof(request));
        if (sink->propose(sink->context, base_bytes_of(request, sizeof(request))))
            txn_coordinator_proposed(txns->coordinator, &action->attempt);
        break;
    case TXN_GIVE_UP:
        give_up(txns, action, sink);
        break;
    }
}

static bool end_propose(struct shard_txns *txns, const struct txn_voter_action *action,
                        const struct shard_txns_sink *sink)
{
    uint8_t request[SHARD_TXN_VALUE_AT + TXN_ENTRY_END_SIZE];
    struct txn_entry_end entry = {action->attempt, mark_of(txns, action->attempt.group),
                                  action->end};
    txn_entry_end_write(&entry, request + SHARD_TXN_VALUE_AT);
    (void)shard_txn_op_write(WIRE_OP_TXN_END, TXN_ENTRY_END_SIZE, request, sizeof(request));
    return sink->propose(sink->context, base_bytes_of(request, sizeof(request)));
}

static bool prepare_propose(struct shard_txns *txns, const struct txn_voter_action *action,
                            const struct shard_txns_sink *sink)
{
    size_t capacity = SHARD_TXN_VALUE_AT + action->bytes.size;
    uint8_t *request = scratch(txns, capacity);
    memcpy(request + SHARD_TXN_VALUE_AT, action->bytes.data, action->bytes.size);
    size_t size = shard_txn_op_write(WIRE_OP_TXN_PREPARE, action->bytes.size, request, capacity);
    return sink->propose(sink->context, base_bytes_of(request, size));
}

static void vote_send(struct shard_txns *txns, const struct txn_voter_action *action,
                      struct shard_txn_message *message, const struct shard_txns_sink *sink)
{
    struct store_value held;
    message->type = SHARD_TXN_SAYS_VOTE;
    message->vote = action->vote;
    message->payload = action->bytes;
    if (action->vote != TXN_VOTE_YES) {
        send(txns, message, sink);
        return;
    }
    if (shard_machine_prepared_answer(txns->machine, &action->attempt, &held) != TORC_OK)
        return; /* Damaged: the group will find it out when the attempt ends. */
    message->payload = held.bytes;
    send(txns, message, sink);
    if (held.handle != NULL)
        store_value_release(&held);
}

static void voter_act(struct shard_txns *txns, const struct txn_voter_action *action,
                      const struct shard_txns_sink *sink)
{
    struct shard_txn_message message = {.from = txns->config.group,
                                        .to = action->attempt.group,
                                        .attempt = action->attempt,
                                        .payload = {NULL, 0}};
    switch (action->type) {
    case TXN_VOTER_PROPOSE_PREPARE:
        if (prepare_propose(txns, action, sink))
            txn_voter_proposed(txns->voter, &action->attempt);
        break;
    case TXN_VOTER_PROPOSE_END:
        if (end_propose(txns, action, sink))
            txn_voter_proposed(txns->voter, &action->attempt);
        break;
    case TXN_VOTER_SEND_VOTE:
        vote_send(txns, action, &message, sink);
        break;
    case TXN_VOTER_SEND_ACKNOWLEDGE:
        message.type = SHARD_TXN_SAYS_ACKNOWLEDGE;
        send(txns, &message, sink);
        break;
    case TXN_VOTER_SEND_ASK:
        message.type = SHARD_TXN_SAYS_ASK;
        send(txns, &message, sink);
        break;
    }
}

void shard_txns_turn(struct shard_txns *txns, uint64_t now_ms, const struct shard_txns_sink *sink)
{
    if (!txns->leading)
        return;
    struct txn_ready ready;
    struct txn_voter_ready votes;
    size_t acted = 1;
    for (int round = 0; round < TXNS_ROUNDS_MAX && acted > 0; round++) {
        txn_coordinator_turn(txns->coordinator, now_ms, &ready);
        for (size_t i = 0; i < ready.action_count; i++)
            coordinator_act(txns, &ready.actions[i], sink);
        txn_voter_turn(txns->voter, now_ms, &votes);
        for (size_t i = 0; i < votes.action_count; i++)
            voter_act(txns, &votes.actions[i], sink);
        refusals_propose(txns, sink);
        acted = ready.action_count + votes.action_count;
    }
    txns->wake_at_ms = ready.wake_at_ms < votes.wake_at_ms ? ready.wake_at_ms : votes.wake_at_ms;
}

uint64_t shard_txns_wake_at(const struct shard_txns *txns)
{
    return txns->wake_at_ms;
}

void shard_txns_check(const struct shard_txns *txns)
{
    txn_coordinator_check(txns->coordinator);
    if (txns->leading)
        txn_voter_check(txns->voter);
}
