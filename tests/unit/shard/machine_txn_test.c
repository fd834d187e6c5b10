#include <criterion/criterion.h>

#include "base/hlc.h"
#include "tests/lib/machine_fixture.h"

/* The group of the fixture takes part in attempts of OTHER, and coordinates its own. */
enum { OTHER = 9, OWN = FIXTURE_GROUP };

static struct txn_attempt attempt_of(uint32_t group, uint64_t counter)
{
    return (struct txn_attempt){group, {3, 1, 1}, counter};
}

static struct txn_age age_of(uint64_t number)
{
    return (struct txn_age){.time = base_hlc_from_ms(FIXTURE_START_MS + 60000),
                            .client_high = 5,
                            .client_low = 6,
                            .number = number};
}

static struct wire_op op_check_value(const char *key, const char *value)
{
    return (struct wire_op){.type = WIRE_OP_CHECK,
                            .condition = WIRE_IF_VALUE,
                            .key = base_bytes_text(key),
                            .value = base_bytes_text(value)};
}

static size_t part_write(uint8_t *at, size_t capacity, const struct txn_age *age,
                         const struct wire_op *ops, size_t count)
{
    size_t size =
        wire_request_begin(at, capacity, (struct wire_client_id){age->client_high, age->client_low},
                           age->number, age->time, 0 /* flags */);
    for (size_t i = 0; i < count; i++)
        size += wire_op_write(at + size, capacity - size, &ops[i]);
    wire_request_end(at, size, (uint16_t)count);
    return size;
}

static void add(struct fixture *fixture, enum wire_op_type type, uint8_t *request, size_t capacity,
                size_t value_size)
{
    size_t size = shard_txn_op_write(type, value_size, request, capacity);
    fixture_request_encoded(fixture, base_bytes_of(request, size));
}

static void apply(struct fixture *fixture)
{
    fixture_apply(fixture);
    fixture_write(fixture);
}

/* The newest outcome of a kind; NULL's kind 0: there is none. */
static struct shard_outcome outcome_of(const struct fixture *fixture, enum shard_outcome_kind kind)
{
    struct shard_outcome outcome, found = {0};
    size_t cursor = 0;
    while (shard_outcomes_next(fixture->outcomes, &cursor, &outcome)) {
        if (outcome.kind == kind)
            found = outcome;
    }
    return found;
}

static void add_prepare(struct fixture *fixture, const struct txn_attempt *attempt,
                        const struct txn_age *age, const struct wire_op *ops, size_t count)
{
    uint8_t part[1024], request[2048];
    struct txn_entry_prepare entry = {
        .attempt = *attempt,
        .mark = attempt_of(attempt->group, 1),
        .age = *age,
        .request = base_bytes_of(part, part_write(part, sizeof(part), age, ops, count)),
    };
    size_t size = txn_entry_prepare_write(&entry, request + SHARD_TXN_VALUE_AT);
    cr_assert_eq(size, txn_entry_prepare_size(&entry));
    add(fixture, WIRE_OP_TXN_PREPARE, request, sizeof(request), size);
}

static enum txn_prepare_result prepare(struct fixture *fixture, const struct txn_attempt *attempt,
                                       uint64_t number, const struct wire_op *ops, size_t count)
{
    struct txn_age age = age_of(number);
    add_prepare(fixture, attempt, &age, ops, count);
    apply(fixture);
    struct shard_outcome outcome = outcome_of(fixture, SHARD_TXN_PREPARE);
    cr_assert_eq(txn_attempt_compare(&outcome.attempt, attempt), 0);
    return outcome.result;
}

static void end_marked(struct fixture *fixture, const struct txn_attempt *attempt,
                       enum txn_standing end, uint64_t mark)
{
    uint8_t request[256];
    struct txn_entry_end entry = {*attempt, attempt_of(attempt->group, mark), end};
    txn_entry_end_write(&entry, request + SHARD_TXN_VALUE_AT);
    add(fixture, WIRE_OP_TXN_END, request, sizeof(request), TXN_ENTRY_END_SIZE);
    apply(fixture);
    cr_assert_eq(outcome_of(fixture, SHARD_TXN_END).kind, SHARD_TXN_END);
}

static void end(struct fixture *fixture, const struct txn_attempt *attempt, enum txn_standing how)
{
    end_marked(fixture, attempt, how, 1);
}

static struct base_bytes done_answer(uint8_t *at, size_t capacity, uint64_t number)
{
    size_t size = wire_answer_begin(at, capacity, WIRE_DONE, number, 1, 0);
    struct wire_result result = {.kind = WIRE_RESULT_OK};
    size += wire_result_write(at + size, capacity - size, &result);
    wire_answer_end(at, size, 1);
    return base_bytes_of(at, size);
}

static void commit(struct fixture *fixture, const struct txn_attempt *attempt, uint64_t number)
{
    uint8_t request[512], answer[128], groups[8];
    base_put_le32(groups, OWN);
    base_put_le32(groups + 4, OTHER);
    struct txn_entry_commit entry = {
        .attempt = *attempt,
        .age = age_of(number),
        .vnode = 3,
        .groups = base_bytes_of(groups, sizeof(groups)),
        .answer = done_answer(answer, sizeof(answer), number),
    };
    size_t size = txn_entry_commit_write(&entry, request + SHARD_TXN_VALUE_AT);
    cr_assert_eq(size, txn_entry_commit_size(&entry));
    add(fixture, WIRE_OP_TXN_COMMIT, request, sizeof(request), size);
    apply(fixture);
}

static enum txn_standing standing(const struct fixture *fixture, const struct txn_attempt *attempt)
{
    return txn_participant_standing(shard_machine_participant(fixture->machine), attempt);
}

static void expect_value(struct fixture *fixture, const char *key, const char *value)
{
    struct wire_op get = op_get(key);
    struct wire_answer answer;
    cr_assert_eq(fixture_read(fixture, &get, 1, &answer), TORC_OK);
    struct wire_result result = fixture_result(&answer, 0);
    if (value == NULL)
        cr_assert_eq(result.kind, WIRE_RESULT_NIL);
    else
        cr_assert(bytes_are(result.bytes, value), "%s", key);
}

/* What is prepared is not to be seen; its commit does all of it, with the versions it was answered
 * with, also after a restart between the two. */
static void commits(bool reopened)
{
    struct fixture fixture;
    struct txn_attempt attempt = attempt_of(OTHER, 1);
    struct store_value held;
    struct wire_answer answer;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("a", "1"));
    fixture_do_op(&fixture, op_put_for("b", "2", 5000));
    struct wire_op ops[] = {op_check_value("a", "1"), op_put("a", "10"), op_append("a", "0"),
                            op_delete("b"), op_put_for("c", "3", 1000)};
    cr_assert_eq(prepare(&fixture, &attempt, 1, ops, 5), TXN_PREPARE_DONE);
    uint64_t indexed = fixture_space_count(&fixture, 'e');
    cr_assert_eq(indexed, 1);
    if (reopened)
        fixture_reopen(&fixture);
    cr_assert_eq(standing(&fixture, &attempt), TXN_PREPARED);
    cr_assert_eq(shard_machine_prepared_answer(fixture.machine, &attempt, &held), TORC_OK);
    cr_assert_eq(wire_answer_read(held.bytes, &answer), TORC_OK);
    cr_assert_eq(answer.result_count, 5);
    uint64_t version = fixture_result(&answer, 2).version;
    cr_assert_eq(fixture_result(&answer, 3).number, 1);
    store_value_release(&held);
    end(&fixture, &attempt, TXN_COMMITTED);
    expect_value(&fixture, "a", "100");
    expect_value(&fixture, "b", NULL);
    expect_value(&fixture, "c", "3");
    struct wire_result stat = fixture_do_op(&fixture, op_stat("a"));
    cr_assert_eq(stat.version, version);
    cr_assert_eq(fixture_space_count(&fixture, 'e'), 1);
    cr_assert_eq(standing(&fixture, &attempt), TXN_COMMITTED);
    fixture_reopen(&fixture);
    cr_assert_eq(standing(&fixture, &attempt), TXN_COMMITTED);
    fixture_fini(&fixture);
}

Test(machine_txn, a_commit_does_what_was_prepared)
{
    commits(false);
    commits(true);
}

/* An abort does nothing but free the keys; the attempt cannot come back. */
Test(machine_txn, an_abort_leaves_nothing)
{
    struct fixture fixture;
    struct txn_attempt attempt = attempt_of(OTHER, 1);
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("a", "1"));
    struct wire_op ops[] = {op_put("a", "2"), op_put("b", "2")};
    cr_assert_eq(prepare(&fixture, &attempt, 1, ops, 2), TXN_PREPARE_DONE);
    end(&fixture, &attempt, TXN_ABORTED);
    expect_value(&fixture, "a", "1");
    expect_value(&fixture, "b", NULL);
    cr_assert_eq(prepare(&fixture, &attempt, 1, ops, 2), TXN_PREPARE_OVER);
    cr_assert_eq(txn_locks_count(txn_participant_locks(shard_machine_participant(fixture.machine))),
                 0);
    fixture_fini(&fixture);
}

/* Who meets a lock does nothing, leaves no record, and gets its request back; reads wait for those
 * who will write and not for those who read; others go ahead. */
Test(machine_txn, locks_keep_others_away)
{
    struct fixture fixture;
    struct txn_attempt attempt = attempt_of(OTHER, 1);
    struct wire_answer answer;
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put("r", "1"));
    struct wire_op ops[] = {op_check_value("r", "1"), op_put("w", "2")};
    cr_assert_eq(prepare(&fixture, &attempt, 1, ops, 2), TXN_PREPARE_DONE);
    uint64_t records = fixture_info(&fixture).records_count;
    struct wire_op both[] = {op_put("free", "1"), op_put("r", "3")};
    uint64_t blocked = fixture_request(&fixture, both, 2);
    struct wire_op other = op_put("other", "4");
    uint64_t ahead = fixture_request(&fixture, &other, 1);
    apply(&fixture);
    struct shard_outcome outcome = outcome_of(&fixture, SHARD_LOCKED);
    cr_assert_eq(outcome.number, blocked);
    struct wire_request again;
    cr_assert_eq(wire_request_read(outcome.answer, &fixture.config.limits, &again), TORC_OK);
    cr_assert_eq(again.number, blocked);
    cr_assert_eq(fixture_answer(&fixture, ahead).status, WIRE_DONE);
    cr_assert_eq(fixture_info(&fixture).records_count, records + 1);
    expect_value(&fixture, "free", NULL);
    expect_value(&fixture, "r", "1");
    struct wire_op get = op_get("w");
    cr_assert_eq(fixture_read(&fixture, &get, 1, &answer), TORC_BUSY);
    struct wire_op clear = op_walk(WIRE_OP_CLEAR, 0, 100);
    (void)fixture_request(&fixture, &clear, 1);
    apply(&fixture);
    cr_assert_eq(outcome_of(&fixture, SHARD_LOCKED).kind, SHARD_LOCKED);
    end(&fixture, &attempt, TXN_COMMITTED);
    expect_value(&fixture, "w", "2");
    fixture_fini(&fixture);
}

/* A PREPARE that meets a lock takes none; one whose CHECK fails says which; neither leaves a trace.
 */
Test(machine_txn, what_is_not_prepared_holds_nothing)
{
    struct fixture fixture;
    struct txn_attempt first = attempt_of(OTHER, 1), second = attempt_of(OTHER, 2);
    struct txn_attempt third = attempt_of(OTHER, 3);
    struct wire_answer answer;
    fixture_init(&fixture);
    struct wire_op one[] = {op_put("a", "1")}, two[] = {op_put("b", "2"), op_get("a")};
    struct wire_op failing[] = {op_put("c", "3"), op_check_value("c", "0")};
    cr_assert_eq(prepare(&fixture, &first, 1, one, 1), TXN_PREPARE_DONE);
    uint64_t rows = fixture_space_count(&fixture, 'g');
    cr_assert_eq(prepare(&fixture, &second, 2, two, 2), TXN_PREPARE_BLOCKED);
    cr_assert_eq(prepare(&fixture, &third, 3, failing, 2), TXN_PREPARE_REFUSED);
    struct shard_outcome outcome = outcome_of(&fixture, SHARD_TXN_PREPARE);
    cr_assert_eq(wire_answer_read(outcome.answer, &answer), TORC_OK);
    cr_assert_eq(answer.status, WIRE_CHECK_FAILED);
    cr_assert_eq(answer.detail, 1);
    cr_assert_eq(fixture_space_count(&fixture, 'g'), rows);
    cr_assert_eq(standing(&fixture, &second), TXN_NEVER);
    end(&fixture, &first, TXN_COMMITTED);
    cr_assert_eq(prepare(&fixture, &second, 2, two, 2), TXN_PREPARE_DONE);
    cr_assert_eq(prepare(&fixture, &second, 2, two, 2), TXN_PREPARE_DONE); /* Twice in the log. */
    end(&fixture, &second, TXN_ABORTED);
    fixture_fini(&fixture);
}

/* The coordinator's group commits by one entry: its part, the record, and who takes part until all
 * are known to have it; a copy of the request is answered from the record. */
Test(machine_txn, the_commit_of_the_coordinator)
{
    struct fixture fixture;
    struct txn_attempt attempt = attempt_of(OWN, 1), found;
    struct base_bytes groups;
    fixture_init(&fixture);
    struct wire_op ops[] = {op_put("a", "1")};
    cr_assert_eq(prepare(&fixture, &attempt, 1, ops, 1), TXN_PREPARE_DONE);
    commit(&fixture, &attempt, 1);
    cr_assert_eq(outcome_of(&fixture, SHARD_TXN_COMMIT).kind, SHARD_TXN_COMMIT);
    cr_assert_eq(fixture_answer(&fixture, 1).status, WIRE_DONE);
    expect_value(&fixture, "a", "1");
    fixture_reopen(&fixture);
    cr_assert(shard_machine_unfinished(fixture.machine, 0, &found, &groups));
    cr_assert_eq(txn_attempt_compare(&found, &attempt), 0);
    cr_assert_eq(groups.size, 8);
    struct txn_attempt second = attempt_of(OWN, 2);
    cr_assert_eq(prepare(&fixture, &second, 1, ops, 1), TXN_PREPARE_REFUSED);
    uint8_t request[256];
    txn_attempt_write(request + SHARD_TXN_VALUE_AT, &attempt);
    add(&fixture, WIRE_OP_TXN_FORGET, request, sizeof(request), TXN_ATTEMPT_SIZE);
    apply(&fixture);
    cr_assert_eq(outcome_of(&fixture, SHARD_TXN_FORGET).kind, SHARD_TXN_FORGET);
    cr_assert_not(shard_machine_unfinished(fixture.machine, 0, &found, &groups));
    fixture_reopen(&fixture);
    cr_assert_not(shard_machine_unfinished(fixture.machine, 0, &found, &groups));
    fixture_fini(&fixture);
}

static void add_refusal(struct fixture *fixture, uint64_t number)
{
    uint8_t request[256], answer[64];
    size_t size =
        wire_answer_begin(answer, sizeof(answer), WIRE_CHECK_FAILED, number, 1, 2 /* detail */);
    wire_answer_end(answer, size, 0);
    struct txn_entry_refuse entry = {age_of(number), 3, base_bytes_of(answer, size)};
    size = txn_entry_refuse_write(&entry, request + SHARD_TXN_VALUE_AT);
    add(fixture, WIRE_OP_TXN_REFUSE, request, sizeof(request), size);
    apply(fixture);
}

/* A refusal is recorded once, and not while an attempt of its request may still commit. */
Test(machine_txn, a_refusal_waits_for_no_attempt)
{
    struct fixture fixture;
    struct txn_attempt attempt = attempt_of(OWN, 1);
    fixture_init(&fixture);
    struct wire_op ops[] = {op_put("a", "1")};
    cr_assert_eq(prepare(&fixture, &attempt, 1, ops, 1), TXN_PREPARE_DONE);
    uint64_t records = fixture_info(&fixture).records_count;
    add_refusal(&fixture, 1);
    cr_assert_eq(outcome_of(&fixture, SHARD_ANSWERED).kind, 0);
    cr_assert_eq(fixture_info(&fixture).records_count, records);
    end(&fixture, &attempt, TXN_ABORTED);
    add_refusal(&fixture, 1);
    cr_assert_eq(fixture_answer(&fixture, 1).status, WIRE_CHECK_FAILED);
    cr_assert_eq(fixture_info(&fixture).records_count, records + 1);
    add_refusal(&fixture, 1);
    cr_assert_eq(fixture_info(&fixture).records_count, records + 1);
    fixture_fini(&fixture);
}

/* What a transaction has read does not expire before it ends, for anybody; then it does. */
Test(machine_txn, a_locked_key_does_not_expire)
{
    struct fixture fixture;
    struct txn_attempt attempt = attempt_of(OTHER, 1);
    fixture_init(&fixture);
    fixture_do_op(&fixture, op_put_for("a", "1", 100));
    struct wire_op ops[] = {op_check_value("a", "1"), op_put("b", "2")};
    cr_assert_eq(prepare(&fixture, &attempt, 1, ops, 2), TXN_PREPARE_DONE);
    fixture_sleep(&fixture, 1000);
    fixture_do_op(&fixture, op_put("other", "1")); /* The clock goes on. */
    expect_value(&fixture, "a", "1");
    uint8_t request[512];
    size_t size = 0;
    cr_assert_eq(shard_removal_write(fixture.machine, 10, request, sizeof(request), &size),
                 TORC_OK);
    cr_assert_eq(size, 0);
    end(&fixture, &attempt, TXN_COMMITTED);
    expect_value(&fixture, "a", NULL);
    expect_value(&fixture, "b", "2");
    fixture_fini(&fixture);
}

/* Ends below the mark of their group are forgotten, here and in the state. */
Test(machine_txn, marks_forget_ends)
{
    struct fixture fixture;
    struct txn_attempt first = attempt_of(OTHER, 1), second = attempt_of(OTHER, 2);
    fixture_init(&fixture);
    end(&fixture, &first, TXN_ABORTED);
    uint64_t rows = fixture_space_count(&fixture, 'g');
    end_marked(&fixture, &second, TXN_ABORTED, 2);
    cr_assert_eq(fixture_space_count(&fixture, 'g'), rows); /* One came, one went. */
    fixture_reopen(&fixture);
    cr_assert_eq(standing(&fixture, &first), TXN_PAST);
    cr_assert_eq(standing(&fixture, &second), TXN_ABORTED);
    struct wire_op ops[] = {op_put("a", "1")};
    cr_assert_eq(prepare(&fixture, &first, 1, ops, 1), TXN_PREPARE_OVER);
    fixture_fini(&fixture);
}

/* A mark may pass what is prepared: that stays, also over a restart, until its end comes. */
Test(machine_txn, what_is_prepared_outlives_its_mark)
{
    struct fixture fixture;
    struct txn_attempt first = attempt_of(OTHER, 1), second = attempt_of(OTHER, 2);
    fixture_init(&fixture);
    struct wire_op ops[] = {op_put("a", "1")};
    cr_assert_eq(prepare(&fixture, &first, 1, ops, 1), TXN_PREPARE_DONE);
    end_marked(&fixture, &second, TXN_ABORTED, 2);
    fixture_reopen(&fixture);
    cr_assert_eq(standing(&fixture, &first), TXN_PREPARED);
    end_marked(&fixture, &first, TXN_COMMITTED, 2);
    expect_value(&fixture, "a", "1");
    cr_assert_eq(standing(&fixture, &first), TXN_PAST);
    fixture_fini(&fixture);
}

/* Entries that no leader makes are refused as a whole; a commit of what is not prepared stops the
 * group rather than losing half of a transaction. */
Test(machine_txn, what_cannot_be_is_refused)
{
    struct fixture fixture;
    struct txn_attempt attempt = attempt_of(OTHER, 1);
    struct txn_age age = age_of(1);
    uint8_t request[256] = {0};
    fixture_init(&fixture);
    struct wire_op walk = op_walk(WIRE_OP_COUNT, 0, 10);
    add_prepare(&fixture, &attempt, &age, &walk, 1);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_MALFORMED);
    add(&fixture, WIRE_OP_TXN_FORGET, request, sizeof(request), TXN_ATTEMPT_SIZE - 1);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_MALFORMED);
    struct txn_entry_end entry = {attempt, attempt, TXN_COMMITTED};
    txn_entry_end_write(&entry, request + SHARD_TXN_VALUE_AT);
    add(&fixture, WIRE_OP_TXN_END, request, sizeof(request), TXN_ENTRY_END_SIZE);
    cr_assert_eq(fixture_apply_bytes(&fixture, fixture_entry(&fixture)), TORC_DAMAGED);
    fixture_fini(&fixture);
}
