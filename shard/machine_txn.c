#include "base/mutant.h"
#include "shard/machine_int.h"

/*
 * Transactions over several groups, as this group's entries change its state: what PREPARE would do
 * is worked out on top of the state and kept as one row, COMMIT or END does it, or drops it
 * (DESIGN section 6).
 *
 * The row of what is prepared: u8 version, 3 zero, u32 locks, u32 changes, u32 answer size, age,
 * u64 since; per lock u8 mode, u8 zero, u16 key size, key; per change u16 key size, u16 zero, u32
 * row size, key, row of data (SHARD_ROW_DELETED_MS for its expiry: it is deleted); the answer.
 */
enum {
    PREPARED_HEAD_SIZE = 16 + TXN_AGE_SIZE + 8,
    PREPARED_LOCK_SIZE = 4,
    PREPARED_CHANGE_SIZE = 8,
    ENDED_SIZE = 2,                   /* u8 version, u8 committed */
    MARK_SIZE = 1 + TXN_ATTEMPT_SIZE, /* u8 version, the mark */
    UNFINISHED_HEAD_SIZE = 4,         /* u8 version, 3 zero; then the groups */
};

bool shard_txn_is(enum wire_op_type type)
{
    return type >= WIRE_OP_TXN_PREPARE && type <= WIRE_OP_TXN_FORGET;
}

static bool no_limits_read(struct base_bytes bytes, struct wire_request *ret_request)
{
    static const struct wire_limits no_limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    return wire_request_read(bytes, &no_limits, ret_request) == TORC_OK &&
           ret_request->encoded.size == bytes.size;
}

/* ---- Locks ---------------------------------------------------------------------------------- */

static enum txn_lock_mode mode_of(const struct wire_op *op)
{
    return wire_op_writes(op->type) ? TXN_LOCK_EXCLUSIVE : TXN_LOCK_SHARED;
}

bool shard_txn_bars(const struct shard_machine *machine, const struct wire_request *request)
{
    const struct txn_locks *locks = txn_participant_locks(machine->participant);
    struct wire_op op;
    if (txn_locks_count(locks) == 0)
        return false;
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op);) {
        if (op.key.size > 0 ? txn_locks_bar(locks, op.key, mode_of(&op)) : wire_op_writes(op.type))
            return true;
    }
    return false;
}

size_t shard_txn_wants(const struct wire_request *request, struct txn_lock_want *wants)
{
    struct wire_op op;
    size_t count = 0;
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op);)
        wants[count++] = (struct txn_lock_want){op.key, mode_of(&op)};
    return count;
}

/* ---- Before anything changes ---------------------------------------------------------------- */

/* Whether it is a part of a transaction: operations of clients, each on a key. */
static bool request_fits(struct base_bytes bytes)
{
    struct wire_request request;
    struct wire_op op;
    if (!no_limits_read(bytes, &request) || request.flags != 0)
        return false;
    for (size_t cursor = 0; wire_op_next(&request, &cursor, &op);) {
        if (op.key.size == 0)
            return false;
    }
    return true;
}

static bool record_fits(const struct shard_machine *machine, uint32_t vnode,
                        struct base_bytes bytes)
{
    struct wire_answer answer;
    return vnode >> machine->config.vnode_bits == 0 &&
           wire_answer_read(bytes, &answer) == TORC_OK && answer.encoded.size == bytes.size;
}

bool shard_txn_fits(const struct shard_machine *machine, const struct wire_op *op)
{
    struct txn_entry_prepare prepare;
    struct txn_entry_end end;
    struct txn_entry_commit commit;
    struct txn_entry_refuse refuse;
    struct txn_attempt attempt;
    switch (op->type) {
    case WIRE_OP_TXN_PREPARE:
        return txn_entry_prepare_read(op->value, &prepare) == TORC_OK &&
               request_fits(prepare.request);
    case WIRE_OP_TXN_END:
        return txn_entry_end_read(op->value, &end) == TORC_OK;
    case WIRE_OP_TXN_COMMIT:
        return txn_entry_commit_read(op->value, &commit) == TORC_OK &&
               commit.attempt.group == machine->config.group &&
               record_fits(machine, commit.vnode, commit.answer);
    case WIRE_OP_TXN_REFUSE:
        return txn_entry_refuse_read(op->value, &refuse) == TORC_OK &&
               record_fits(machine, refuse.vnode, refuse.answer);
    default:
        return txn_entry_forget_read(op->value, &attempt) == TORC_OK;
    }
}

/* ---- Rows ----------------------------------------------------------------------------------- */

struct attempt_key {
    uint8_t bytes[SHARD_KEY_ATTEMPT_SIZE];
};

static struct base_bytes attempt_key(const struct shard_machine *machine,
                                     enum shard_attempt_letter letter,
                                     const struct txn_attempt *attempt, struct attempt_key *key)
{
    shard_key_attempt_write(key->bytes, machine->config.group, letter, attempt);
    return base_bytes_of(key->bytes, sizeof(key->bytes));
}

static void attempt_row_delete(struct shard_run *run, enum shard_attempt_letter letter,
                               const struct txn_attempt *attempt)
{
    struct attempt_key key;
    shard_run_delete(run, attempt_key(run->machine, letter, attempt, &key));
}

/* Notes how it ended, as long as anybody might still ask. */
static void ended(struct shard_run *run, const struct txn_attempt *attempt, enum txn_standing end)
{
    struct txn_participant *participant = run->machine->participant;
    struct attempt_key key;
    uint8_t value[ENDED_SIZE] = {SHARD_STATE_VERSION, end == TXN_COMMITTED};
    txn_participant_finish(participant, attempt, end);
    if (txn_participant_standing(participant, attempt) == end)
        shard_run_put(run, attempt_key(run->machine, SHARD_ATTEMPT_ENDED, attempt, &key),
                      base_bytes_of(value, sizeof(value)));
}

static void mark_raise(struct shard_run *run, const struct txn_attempt *mark)
{
    struct shard_machine *machine = run->machine;
    struct txn_attempt past;
    uint8_t key[SHARD_KEY_MARK_SIZE], value[MARK_SIZE] = {SHARD_STATE_VERSION};
    if (!txn_participant_raise(machine->participant, mark))
        return;
    while (txn_participant_take_past(machine->participant, mark->group, &past))
        attempt_row_delete(run, SHARD_ATTEMPT_ENDED, &past);
    shard_key_mark_write(key, machine->config.group, mark->group);
    txn_attempt_write(value + 1, mark);
    shard_run_put(run, base_bytes_of(key, sizeof(key)), base_bytes_of(value, sizeof(value)));
}

/* ---- What is prepared ----------------------------------------------------------------------- */

struct prepared {
    struct txn_age age;
    uint64_t since;
    uint32_t lock_count, change_count;
    struct base_bytes locks, changes, answer;
};

struct change {
    struct base_bytes key;
    uint64_t version, expiry_ms;
    bool deleted;
    struct base_bytes value;
};

static bool lock_next(struct base_bytes locks, size_t *cursor, struct txn_lock_want *ret_lock)
{
    size_t rest = locks.size - *cursor;
    const uint8_t *at = locks.data + *cursor;
    if (rest < PREPARED_LOCK_SIZE)
        return false;
    size_t key_size = base_get_le16(at + 2);
    if ((at[0] != TXN_LOCK_SHARED && at[0] != TXN_LOCK_EXCLUSIVE) || at[1] != 0 || key_size == 0 ||
        key_size > rest - PREPARED_LOCK_SIZE)
        return false;
    *ret_lock = (struct txn_lock_want){base_bytes_of(at + PREPARED_LOCK_SIZE, key_size),
                                       (enum txn_lock_mode)at[0]};
    *cursor += PREPARED_LOCK_SIZE + key_size;
    return true;
}

static bool change_next(struct base_bytes changes, size_t *cursor, struct change *ret_change)
{
    size_t rest = changes.size - *cursor;
    const uint8_t *at = changes.data + *cursor;
    if (rest < PREPARED_CHANGE_SIZE)
        return false;
    size_t key_size = base_get_le16(at), row_size = base_get_le32(at + 4);
    if (key_size == 0 || row_size < SHARD_DATA_HEAD_SIZE ||
        key_size > rest - PREPARED_CHANGE_SIZE || row_size > rest - PREPARED_CHANGE_SIZE - key_size)
        return false;
    const uint8_t *row = at + PREPARED_CHANGE_SIZE + key_size;
    *ret_change = (struct change){
        .key = base_bytes_of(at + PREPARED_CHANGE_SIZE, key_size),
        .version = base_get_le64(row),
        .expiry_ms = base_get_le64(row + 8),
        .deleted = base_get_le64(row + 8) == SHARD_ROW_DELETED_MS,
        .value = base_bytes_of(row + SHARD_DATA_HEAD_SIZE, row_size - SHARD_DATA_HEAD_SIZE),
    };
    *cursor += PREPARED_CHANGE_SIZE + key_size + row_size;
    return ret_change->expiry_ms <= SHARD_ROW_DELETED_MS;
}

/* Splits a row into its parts. */
static enum torc_status prepared_read(struct base_bytes bytes, struct prepared *ret_prepared)
{
    if (bytes.size < PREPARED_HEAD_SIZE)
        return TORC_DAMAGED;
    if (bytes.data[0] != SHARD_STATE_VERSION)
        return bytes.data[0] > SHARD_STATE_VERSION ? TORC_NEWER : TORC_DAMAGED;
    struct prepared prepared = {
        .age = txn_age_read(bytes.data + 16),
        .since = base_get_le64(bytes.data + 16 + TXN_AGE_SIZE),
        .lock_count = base_get_le32(bytes.data + 4),
        .change_count = base_get_le32(bytes.data + 8),
    };
    struct base_bytes rest =
        base_bytes_of(bytes.data + PREPARED_HEAD_SIZE, bytes.size - PREPARED_HEAD_SIZE);
    struct txn_lock_want lock;
    struct change change;
    size_t at = 0;
    for (uint32_t i = 0; i < prepared.lock_count; i++) {
        if (!lock_next(rest, &at, &lock))
            return TORC_DAMAGED;
    }
    size_t changes_at = at;
    for (uint32_t i = 0; i < prepared.change_count; i++) {
        if (!change_next(rest, &at, &change))
            return TORC_DAMAGED;
    }
    if (rest.size - at != base_get_le32(bytes.data + 12))
        return TORC_DAMAGED;
    prepared.locks = base_bytes_of(rest.data, changes_at);
    prepared.changes = base_bytes_of(rest.data + changes_at, at - changes_at);
    prepared.answer = base_bytes_of(rest.data + at, rest.size - at);
    *ret_prepared = prepared;
    return TORC_OK;
}

static uint8_t *prepared_grow(struct shard_machine *machine, size_t *size, size_t more)
{
    uint8_t *bytes = shard_memory_reserve(machine->allocator, &machine->prepared, *size + more);
    *size += more;
    return bytes + *size - more;
}

static size_t locks_write(struct shard_machine *machine, size_t size,
                          const struct txn_lock_want *wants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = prepared_grow(machine, &size, PREPARED_LOCK_SIZE + wants[i].key.size);
        at[0] = (uint8_t)wants[i].mode;
        at[1] = 0;
        base_put_le16(at + 2, (uint16_t)wants[i].key.size);
        memcpy(at + PREPARED_LOCK_SIZE, wants[i].key.data, wants[i].key.size);
    }
    return size;
}

static size_t changes_write(struct shard_machine *machine, size_t size)
{
    struct base_bytes state_key, row;
    for (size_t cursor = 0; store_batch_next(machine->tentative, &cursor, &state_key, &row);) {
        size_t key_size = state_key.size - SHARD_KEY_DATA_SIZE;
        uint8_t *at = prepared_grow(machine, &size, PREPARED_CHANGE_SIZE + key_size + row.size);
        base_put_le16(at, (uint16_t)key_size);
        base_put_le16(at + 2, 0);
        base_put_le32(at + 4, (uint32_t)row.size);
        memcpy(at + PREPARED_CHANGE_SIZE, state_key.data + SHARD_KEY_DATA_SIZE, key_size);
        memcpy(at + PREPARED_CHANGE_SIZE + key_size, row.data, row.size);
    }
    return size;
}

static void prepared_put(struct shard_run *run, const struct txn_entry_prepare *entry,
                         uint64_t since, const struct txn_lock_want *wants, size_t want_count,
                         struct base_bytes answer)
{
    struct shard_machine *machine = run->machine;
    struct attempt_key key;
    size_t size = 0;
    uint8_t *head = prepared_grow(machine, &size, PREPARED_HEAD_SIZE);
    memset(head, 0, PREPARED_HEAD_SIZE);
    head[0] = SHARD_STATE_VERSION;
    base_put_le32(head + 4, (uint32_t)want_count);
    base_put_le32(head + 8, (uint32_t)store_batch_count(machine->tentative));
    base_put_le32(head + 12, (uint32_t)answer.size);
    txn_age_write(head + 16, &entry->age);
    base_put_le64(head + 16 + TXN_AGE_SIZE, since);
    size = locks_write(machine, size, wants, want_count);
    size = changes_write(machine, size);
    memcpy(prepared_grow(machine, &size, answer.size), answer.data, answer.size);
    shard_run_put(run, attempt_key(machine, SHARD_ATTEMPT_PREPARED, &entry->attempt, &key),
                  base_bytes_of(machine->prepared.data, size));
}

/* ---- PREPARE -------------------------------------------------------------------------------- */

static void prepare_outcome(struct shard_run *run, const struct txn_attempt *attempt,
                            enum txn_prepare_result result, struct base_bytes answer)
{
    struct shard_outcome outcome = {
        .kind = SHARD_TXN_PREPARE, .attempt = *attempt, .result = result, .answer = answer};
    shard_outcomes_add(run->outcomes, &outcome);
}

/* Whether an answer is that of a part which may commit. */
static bool is_done(struct base_bytes bytes)
{
    struct wire_answer answer;
    enum torc_status status = wire_answer_read(bytes, &answer);
    TORC_ASSERT(status == TORC_OK);
    return answer.status == WIRE_DONE;
}

static enum torc_status
prepare_evaluate(struct shard_run *run, const struct txn_entry_prepare *entry, uint64_t entry_clock)
{
    struct shard_machine *machine = run->machine;
    struct wire_request request;
    bool read = no_limits_read(entry->request, &request);
    TORC_ASSERT(read);
    enum shard_request_fate fate;
    struct base_bytes answer = {NULL, 0};
    struct shard_run tentative = *run;
    tentative.tentative = machine->tentative;
    tentative.outcomes = machine->tentative_outcomes;
    store_batch_clear(machine->tentative);
    shard_outcomes_clear(machine->tentative_outcomes);
    uint64_t since = machine->state.clock;
    bool own = entry->attempt.group == machine->config.group;
    enum torc_status status =
        shard_request_evaluate(&tentative, &request, entry_clock, own, &fate, &answer);
    if (status != TORC_OK)
        return status;
    if (fate == SHARD_REQUEST_BLOCKED) {
        prepare_outcome(run, &entry->attempt, TXN_PREPARE_BLOCKED, base_bytes_of(NULL, 0));
    } else if (fate == SHARD_REQUEST_REFUSED || !is_done(answer)) {
        prepare_outcome(run, &entry->attempt, TXN_PREPARE_REFUSED, answer);
    } else {
        size_t size = request.op_count * sizeof(struct txn_lock_want);
        struct txn_lock_want *wants = (struct txn_lock_want *)(void *)shard_memory_reserve(
            machine->allocator, &machine->locks, size);
        size_t count = shard_txn_wants(&request, wants);
        txn_participant_prepare(machine->participant, &entry->attempt, &entry->age, since, wants,
                                count);
        prepared_put(run, entry, since, wants, count, answer);
        prepare_outcome(run, &entry->attempt, TXN_PREPARE_DONE, base_bytes_of(NULL, 0));
    }
    if (store_batch_size(machine->tentative) > SHARD_MEMORY_KEPT_MAX) {
        store_batch_free(machine->tentative);
        machine->tentative = store_batch_new(machine->allocator);
    }
    return TORC_OK;
}

static enum torc_status prepare_run(struct shard_run *run, struct base_bytes value,
                                    uint64_t entry_clock)
{
    struct txn_entry_prepare entry;
    enum torc_status status = txn_entry_prepare_read(value, &entry);
    TORC_ASSERT(status == TORC_OK);
    mark_raise(run, &entry.mark);
    switch (txn_participant_standing(run->machine->participant, &entry.attempt)) {
    case TXN_NEVER:
        return prepare_evaluate(run, &entry, entry_clock);
    case TXN_PREPARED:
        prepare_outcome(run, &entry.attempt, TXN_PREPARE_DONE, base_bytes_of(NULL, 0));
        return TORC_OK;
    default:
        prepare_outcome(run, &entry.attempt, TXN_PREPARE_OVER, base_bytes_of(NULL, 0));
        return TORC_OK;
    }
}

/* ---- COMMIT and END ------------------------------------------------------------------------- */

/* Does one thing that was worked out at its PREPARE, with the version that it got there. */
static enum torc_status change_run(struct shard_run *run, const struct change *change)
{
    struct shard_row old;
    uint64_t token = ring_token(change->key, run->machine->config.vnode_bits);
    enum torc_status status = shard_row_read(run, token, change->key, &old);
    if (status != TORC_OK)
        return status;
    run->clock = change->version;
    if (change->deleted) {
        shard_row_delete(run, token, change->key, &old);
    } else {
        uint8_t *value = shard_row_value(run, change->value.size);
        if (change->value.size > 0)
            memcpy(value, change->value.data, change->value.size);
        shard_row_put(run, token, change->key, &old, change->expiry_ms, change->value.size);
    }
    shard_row_release(&old);
    return TORC_OK;
}

static enum torc_status changes_run(struct shard_run *run, const struct prepared *prepared)
{
    uint64_t clock = run->clock;
    struct change change;
    enum torc_status status = TORC_OK;
    for (size_t at = 0; status == TORC_OK && change_next(prepared->changes, &at, &change);) {
        if (!TORC_MUTANT(TXN_HALF) || at < prepared->changes.size)
            status = change_run(run, &change);
    }
    run->clock = clock;
    return status;
}

/* The end of what is prepared. */
static enum torc_status attempt_end(struct shard_run *run, const struct txn_attempt *attempt,
                                    enum txn_standing end)
{
    struct shard_machine *machine = run->machine;
    struct attempt_key key;
    struct store_value held = {0};
    struct prepared prepared;
    struct base_bytes row_key = attempt_key(machine, SHARD_ATTEMPT_PREPARED, attempt, &key);
    if (shard_run_get(run, row_key, &held) != TORC_OK)
        return TORC_DAMAGED;
    /* The batch may move while it is written to. */
    uint8_t *bytes =
        shard_memory_reserve(machine->allocator, &machine->prepared, held.bytes.size + 1);
    struct base_bytes row = base_bytes_of(bytes, held.bytes.size);
    memcpy(bytes, held.bytes.data, held.bytes.size);
    if (held.handle != NULL)
        store_value_release(&held);
    if (prepared_read(row, &prepared) != TORC_OK)
        return TORC_DAMAGED;
    if (end == TXN_COMMITTED) {
        enum torc_status status = changes_run(run, &prepared);
        if (status != TORC_OK)
            return status;
    }
    attempt_row_delete(run, SHARD_ATTEMPT_PREPARED, attempt);
    ended(run, attempt, end);
    return TORC_OK;
}

static void attempt_outcome(struct shard_run *run, enum shard_outcome_kind kind,
                            const struct txn_attempt *attempt)
{
    struct shard_outcome outcome = {.kind = kind, .attempt = *attempt};
    shard_outcomes_add(run->outcomes, &outcome);
}

static enum torc_status end_run(struct shard_run *run, struct base_bytes value)
{
    struct txn_entry_end entry;
    enum torc_status status = txn_entry_end_read(value, &entry);
    TORC_ASSERT(status == TORC_OK);
    mark_raise(run, &entry.mark);
    enum txn_standing standing =
        txn_participant_standing(run->machine->participant, &entry.attempt);
    if (standing == TXN_PREPARED)
        status = attempt_end(run, &entry.attempt, entry.end);
    else if (standing == TXN_NEVER && entry.end == TXN_COMMITTED)
        status = TORC_DAMAGED;
    else if (standing == TXN_NEVER)
        ended(run, &entry.attempt, entry.end);
    attempt_outcome(run, SHARD_TXN_END, &entry.attempt);
    return status;
}

/* The request's record and its answer. */
static void record_add(struct shard_run *run, const struct txn_age *age, uint32_t vnode,
                       struct base_bytes answer)
{
    struct wire_client_id client = {age->client_high, age->client_low};
    struct shard_outcome outcome = {
        .kind = SHARD_ANSWERED, .client = client, .number = age->number, .answer = answer};
    struct shard_record record = {
        .client = client,
        .number = age->number,
        .last_time = age->time,
        .vnode = vnode,
        .answer = answer,
    };
    shard_outcomes_add(run->outcomes, &outcome);
    if (!TORC_MUTANT(TXN_UNRECORDED))
        shard_records_add(&run->machine->records, &record);
}

static size_t unfinished_place(const struct shard_machine *machine,
                               const struct txn_attempt *attempt)
{
    size_t at = 0;
    while (at < machine->unfinished_count &&
           txn_attempt_compare(&machine->unfinished[at].attempt, attempt) < 0)
        at++;
    return at;
}

static void unfinished_add(struct shard_machine *machine, const struct txn_attempt *attempt,
                           struct base_bytes groups)
{
    size_t at = unfinished_place(machine, attempt);
    machine->unfinished =
        base_array_reserve(machine->allocator, machine->unfinished, &machine->unfinished_capacity,
                           machine->unfinished_count + 1, sizeof(*machine->unfinished));
    memmove(&machine->unfinished[at + 1], &machine->unfinished[at],
            (machine->unfinished_count - at) * sizeof(*machine->unfinished));
    uint8_t *copy = base_alloc(machine->allocator, groups.size);
    memcpy(copy, groups.data, groups.size);
    machine->unfinished[at] = (struct shard_unfinished){*attempt, copy, groups.size};
    machine->unfinished_count++;
}

static enum torc_status commit_run(struct shard_run *run, struct base_bytes value)
{
    struct shard_machine *machine = run->machine;
    struct txn_entry_commit entry;
    struct attempt_key key;
    enum torc_status status = txn_entry_commit_read(value, &entry);
    TORC_ASSERT(status == TORC_OK);
    if (txn_participant_standing(machine->participant, &entry.attempt) != TXN_PREPARED)
        return TORC_DAMAGED;
    status = attempt_end(run, &entry.attempt, TXN_COMMITTED);
    if (status != TORC_OK)
        return status;
    size_t size = UNFINISHED_HEAD_SIZE + entry.groups.size;
    uint8_t *row = shard_memory_reserve(machine->allocator, &machine->prepared, size);
    memset(row, 0, UNFINISHED_HEAD_SIZE);
    row[0] = SHARD_STATE_VERSION;
    memcpy(row + UNFINISHED_HEAD_SIZE, entry.groups.data, entry.groups.size);
    shard_run_put(run, attempt_key(machine, SHARD_ATTEMPT_COMMITTED, &entry.attempt, &key),
                  base_bytes_of(row, size));
    unfinished_add(machine, &entry.attempt, entry.groups);
    record_add(run, &entry.age, entry.vnode, entry.answer);
    attempt_outcome(run, SHARD_TXN_COMMIT, &entry.attempt);
    return TORC_OK;
}

/* ---- REFUSE and FORGET ---------------------------------------------------------------------- */

/* An attempt of it that still holds a lock may be committed yet: it is for that to answer. */
static void refuse_run(struct shard_run *run, struct base_bytes value, uint64_t entry_clock)
{
    struct shard_machine *machine = run->machine;
    struct txn_entry_refuse entry;
    struct shard_record record;
    enum torc_status status = txn_entry_refuse_read(value, &entry);
    TORC_ASSERT(status == TORC_OK);
    struct shard_outcome outcome = {
        .kind = SHARD_TXN_REFUSE,
        .client = {entry.age.client_high, entry.age.client_low},
        .number = entry.age.number,
        .result = TXN_PREPARE_DONE,
    };
    if (txn_participant_holds(machine->participant, &entry.age)) {
        outcome.result = TXN_PREPARE_BLOCKED;
    } else if (shard_records_find(&machine->records, outcome.client, outcome.number, entry_clock,
                                  &record)) {
        struct shard_outcome answered = outcome;
        answered.kind = SHARD_ANSWERED;
        answered.answer = record.answer;
        shard_outcomes_add(run->outcomes, &answered);
    } else {
        record_add(run, &entry.age, entry.vnode, entry.answer);
    }
    shard_outcomes_add(run->outcomes, &outcome);
}

static void forget_run(struct shard_run *run, struct base_bytes value)
{
    struct shard_machine *machine = run->machine;
    struct txn_attempt attempt;
    enum torc_status status = txn_entry_forget_read(value, &attempt);
    TORC_ASSERT(status == TORC_OK);
    size_t at = unfinished_place(machine, &attempt);
    if (at < machine->unfinished_count &&
        txn_attempt_compare(&machine->unfinished[at].attempt, &attempt) == 0) {
        struct shard_unfinished *unfinished = &machine->unfinished[at];
        base_free(machine->allocator, unfinished->groups, unfinished->groups_size);
        machine->unfinished_count--;
        memmove(unfinished, unfinished + 1, (machine->unfinished_count - at) * sizeof(*unfinished));
        attempt_row_delete(run, SHARD_ATTEMPT_COMMITTED, &attempt);
    }
    attempt_outcome(run, SHARD_TXN_FORGET, &attempt);
}

enum torc_status shard_txn_run(struct shard_run *run, const struct wire_op *op,
                               uint64_t entry_clock)
{
    switch (op->type) {
    case WIRE_OP_TXN_PREPARE:
        return prepare_run(run, op->value, entry_clock);
    case WIRE_OP_TXN_END:
        return end_run(run, op->value);
    case WIRE_OP_TXN_COMMIT:
        return commit_run(run, op->value);
    case WIRE_OP_TXN_REFUSE:
        refuse_run(run, op->value, entry_clock);
        return TORC_OK;
    default:
        TORC_ASSERT(op->type == WIRE_OP_TXN_FORGET);
        forget_run(run, op->value);
        return TORC_OK;
    }
}

/* ---- Reopening ------------------------------------------------------------------------------ */

static enum torc_status version_check(struct base_bytes value, size_t size_min)
{
    if (value.size < size_min)
        return TORC_DAMAGED;
    if (value.data[0] == SHARD_STATE_VERSION)
        return TORC_OK;
    return value.data[0] > SHARD_STATE_VERSION ? TORC_NEWER : TORC_DAMAGED;
}

static enum torc_status mark_load(struct shard_machine *machine, struct base_bytes key,
                                  struct base_bytes value)
{
    struct txn_attempt mark;
    enum torc_status status = version_check(value, MARK_SIZE);
    if (status != TORC_OK)
        return status;
    if (key.size != SHARD_KEY_MARK_SIZE || value.size != MARK_SIZE ||
        txn_attempt_read(value.data + 1, &mark) != TORC_OK ||
        mark.group != base_get_be32(key.data + 6) ||
        !txn_participant_raise(machine->participant, &mark))
        return TORC_DAMAGED;
    return TORC_OK;
}

static enum torc_status ended_load(struct shard_machine *machine, struct base_bytes key,
                                   struct base_bytes value)
{
    struct txn_attempt attempt;
    enum torc_status status = version_check(value, ENDED_SIZE);
    if (status == TORC_OK)
        status = shard_key_attempt_read(key, &attempt);
    if (status != TORC_OK)
        return status;
    if (value.size != ENDED_SIZE || value.data[1] > 1 ||
        txn_participant_standing(machine->participant, &attempt) != TXN_NEVER)
        return TORC_DAMAGED;
    txn_participant_restore(machine->participant, &attempt,
                            value.data[1] == 1 ? TXN_COMMITTED : TXN_ABORTED);
    return TORC_OK;
}

static enum torc_status prepared_load(struct shard_machine *machine, struct base_bytes key,
                                      struct base_bytes value)
{
    struct txn_attempt attempt;
    struct prepared prepared;
    enum torc_status status = shard_key_attempt_read(key, &attempt);
    if (status == TORC_OK)
        status = prepared_read(value, &prepared);
    if (status != TORC_OK)
        return status;
    size_t size = ((size_t)prepared.lock_count + 1) * sizeof(struct txn_lock_want), count = 0;
    struct txn_lock_want *wants = (struct txn_lock_want *)(void *)shard_memory_reserve(
        machine->allocator, &machine->locks, size);
    for (size_t at = 0; lock_next(prepared.locks, &at, &wants[count]);)
        count++;
    enum txn_standing standing = txn_participant_standing(machine->participant, &attempt);
    if ((standing != TXN_NEVER && standing != TXN_PAST) || prepared.since > machine->state.clock ||
        txn_locks_ask(txn_participant_locks(machine->participant), NULL, wants, count) !=
            TXN_LOCK_FREE)
        return TORC_DAMAGED;
    txn_participant_prepare(machine->participant, &attempt, &prepared.age, prepared.since, wants,
                            count);
    return TORC_OK;
}

static enum torc_status unfinished_load(struct shard_machine *machine, struct base_bytes key,
                                        struct base_bytes value)
{
    struct txn_attempt attempt;
    enum torc_status status = version_check(value, UNFINISHED_HEAD_SIZE + 4);
    if (status == TORC_OK)
        status = shard_key_attempt_read(key, &attempt);
    if (status != TORC_OK)
        return status;
    size_t size = value.size - UNFINISHED_HEAD_SIZE;
    if (size % 4 != 0 || attempt.group != machine->config.group)
        return TORC_DAMAGED;
    unfinished_add(machine, &attempt, base_bytes_of(value.data + UNFINISHED_HEAD_SIZE, size));
    return TORC_OK;
}

static enum torc_status rows_load(struct shard_machine *machine, char letter,
                                  enum torc_status (*load)(struct shard_machine *machine,
                                                           struct base_bytes key,
                                                           struct base_bytes value))
{
    uint8_t first[SHARD_KEY_STATE_SIZE], end[SHARD_KEY_STATE_SIZE];
    shard_key_letter_write(first, end, machine->config.group, letter);
    struct store_iterator *iterator = store_kv_iterate(
        machine->kv, NULL, base_bytes_of(first, sizeof(first)), base_bytes_of(end, sizeof(end)));
    struct base_bytes key, value;
    enum torc_status status;
    while ((status = store_iterator_next(iterator, &key, &value)) == TORC_OK) {
        status = load(machine, key, value);
        if (status != TORC_OK)
            break;
    }
    store_iterator_free(iterator);
    return status == TORC_NOT_FOUND ? TORC_OK : status;
}

enum torc_status shard_txn_open(struct shard_machine *machine)
{
    enum torc_status status = rows_load(machine, 'm', mark_load);
    if (status == TORC_OK)
        status = rows_load(machine, SHARD_ATTEMPT_ENDED, ended_load);
    if (status == TORC_OK)
        status = rows_load(machine, SHARD_ATTEMPT_PREPARED, prepared_load);
    if (status == TORC_OK)
        status = rows_load(machine, SHARD_ATTEMPT_COMMITTED, unfinished_load);
    return status;
}

void shard_txn_close(struct shard_machine *machine)
{
    const struct base_allocator *allocator = machine->allocator;
    for (size_t i = 0; i < machine->unfinished_count; i++)
        base_free(allocator, machine->unfinished[i].groups, machine->unfinished[i].groups_size);
    base_array_free(allocator, machine->unfinished, &machine->unfinished_capacity,
                    sizeof(*machine->unfinished));
    txn_participant_free(machine->participant);
    store_batch_free(machine->tentative);
    shard_outcomes_free(machine->tentative_outcomes);
    shard_memory_free(allocator, &machine->locks);
    shard_memory_free(allocator, &machine->prepared);
}

/* ---- For the leader ------------------------------------------------------------------------- */

const struct txn_participant *shard_machine_participant(const struct shard_machine *machine)
{
    return machine->participant;
}

bool shard_machine_unfinished(const struct shard_machine *machine, size_t i,
                              struct txn_attempt *ret_attempt, struct base_bytes *ret_groups)
{
    if (i >= machine->unfinished_count)
        return false;
    *ret_attempt = machine->unfinished[i].attempt;
    *ret_groups = base_bytes_of(machine->unfinished[i].groups, machine->unfinished[i].groups_size);
    return true;
}

enum torc_status shard_machine_prepared_answer(struct shard_machine *machine,
                                               const struct txn_attempt *attempt,
                                               struct store_value *ret_value)
{
    TORC_ASSERT(!machine->unwritten);
    struct attempt_key key;
    struct prepared prepared;
    struct store_value value;
    enum torc_status status = store_kv_get(
        machine->kv, NULL, attempt_key(machine, SHARD_ATTEMPT_PREPARED, attempt, &key), &value);
    if (status != TORC_OK)
        return status;
    status = prepared_read(value.bytes, &prepared);
    if (status != TORC_OK) {
        store_value_release(&value);
        return TORC_DAMAGED;
    }
    value.bytes = prepared.answer;
    *ret_value = value;
    return TORC_OK;
}

size_t shard_txn_op_write(enum wire_op_type type, size_t value_size, uint8_t *at, size_t capacity)
{
    size_t head_size = WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE;
    TORC_ASSERT(shard_txn_is(type) && capacity >= head_size + value_size);
    struct wire_op op = {.type = type, .value = base_bytes_of(at + head_size, value_size)};
    return shard_internal_write(&op, at, capacity);
}
