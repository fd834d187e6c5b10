#include "base/mutant.h"
#include "shard/machine_int.h"

/*
 * The order of checks (DESIGN section 5, "Request records"): the record's vnode is owned; there is
 * no record yet; the last time has not passed; the other keys are owned; no key is locked; it runs,
 * and its answer becomes its record.
 */

/* Blocks of records dropped at one entry: more than come, so that they get fewer, and bounded. */
enum { EXPIRED_BLOCKS_MAX = 16 };

/* Limits are for what clients send; what was chosen under older ones is applied all the same. */
static const struct wire_limits no_limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX};

/* ---- Before anything changes: does the entry decode? --------------------------------------------
 */

static bool leader_op_fits(const struct shard_machine *machine, const struct wire_op *op)
{
    switch (op->type) {
    case WIRE_OP_GENESIS:
        return shard_genesis_fits(machine, op->value);
    case WIRE_OP_REMOVE_EXPIRED:
        return shard_removal_fits(op->value);
    case WIRE_OP_LIMITS:
        return shard_limits_fit(op->value);
    default:
        return !shard_txn_is(op->type) || shard_txn_fits(machine, op);
    }
}

static enum torc_status entry_check(const struct shard_machine *machine, struct base_bytes bytes,
                                    struct wire_entry *ret_entry)
{
    struct wire_entry entry;
    enum torc_status status = wire_entry_read(bytes, &entry);
    if (status != TORC_OK)
        return status;
    size_t at = 0;
    for (uint32_t i = 0; i < entry.request_count; i++) {
        struct wire_request request;
        struct base_bytes rest = base_bytes_of(entry.requests.data + at, entry.requests.size - at);
        if (wire_request_read(rest, &no_limits, &request) != TORC_OK)
            return TORC_MALFORMED;
        struct wire_op op;
        for (size_t cursor = 0; wire_op_next(&request, &cursor, &op);) {
            if (!leader_op_fits(machine, &op))
                return TORC_MALFORMED;
        }
        at += request.encoded.size;
    }
    if (at != entry.requests.size)
        return TORC_MALFORMED;
    *ret_entry = entry;
    return TORC_OK;
}

/* ---- Running one request ------------------------------------------------------------------------
 */

/* Where the keys of a request lie. */
struct request_plan {
    const uint64_t *tokens; /* Per operation; 0 where it has no key. */
    uint32_t record_vnode;  /* Of the first written key. */
    bool writes;
};

static struct request_plan request_plan(struct shard_machine *machine,
                                        const struct wire_request *request)
{
    size_t size = request->op_count * sizeof(uint64_t);
    uint64_t *tokens =
        (uint64_t *)(void *)shard_memory_reserve(machine->allocator, &machine->tokens, size);
    struct request_plan plan = {.tokens = tokens, .record_vnode = SHARD_RECORD_VNODE_NONE};
    struct wire_op op;
    size_t cursor = 0;
    for (uint16_t i = 0; wire_op_next(request, &cursor, &op); i++) {
        unsigned vnode_bits = machine->config.vnode_bits;
        tokens[i] = op.key.size > 0 ? ring_token(op.key, vnode_bits) : 0;
        if (!wire_op_writes(op.type))
            continue;
        if (!plan.writes && op.key.size > 0)
            plan.record_vnode = ring_vnode(tokens[i], vnode_bits);
        plan.writes = true;
    }
    return plan;
}

/* The first key's vnode that is not owned here; false: all are. */
static bool request_moved(const struct shard_machine *machine, const struct wire_request *request,
                          const struct request_plan *plan, uint32_t *ret_vnode)
{
    struct wire_op op;
    size_t cursor = 0;
    for (uint16_t i = 0; wire_op_next(request, &cursor, &op); i++) {
        uint32_t vnode = ring_vnode(plan->tokens[i], machine->config.vnode_bits);
        if (op.key.size > 0 && !shard_vnode_owned(machine, vnode)) {
            *ret_vnode = vnode;
            return true;
        }
    }
    return false;
}

/* An answer without results. */
static struct base_bytes answer_refusal(struct shard_run *run, const struct wire_request *request,
                                        enum wire_answer_status status, uint64_t detail)
{
    uint64_t clock = run->clock > run->stamp ? run->clock : run->stamp;
    shard_answer_begin(run, status, request->number, clock, detail);
    return shard_answer_end(run, request->client, request->number);
}

static struct base_bytes answer_moved(struct shard_run *run, const struct wire_request *request,
                                      uint32_t vnode)
{
    /* Who owns it is the map's to say: this group only knows that it does not. */
    return answer_refusal(run, request, WIRE_MOVED, (uint64_t)vnode << 32);
}

/* The tick of a request's operation: reads take none. */
static uint64_t op_tick(const struct shard_run *run, uint64_t before, uint16_t index)
{
    if (TORC_MUTANT(VERSION_SHARED))
        index = 0;
    return run->batch != NULL ? before + 1 + index : before;
}

/* All CHECKs are judged first, so that there is nothing to take back when one fails.
 * TORC_OK: *ret_failed is the first that does not hold, or op_count. */
static enum torc_status request_checks(struct shard_run *run, const struct wire_request *request,
                                       const struct request_plan *plan, uint64_t before,
                                       uint16_t *ret_failed)
{
    struct wire_op op;
    size_t cursor = 0;
    uint16_t i = 0;
    for (; wire_op_next(request, &cursor, &op); i++) {
        if (op.type != WIRE_OP_CHECK)
            continue;
        run->clock = op_tick(run, before, i);
        struct shard_row row;
        enum torc_status status = shard_row_read(run, plan->tokens[i], op.key, &row);
        if (status != TORC_OK)
            return status;
        bool holds = shard_op_holds(&op, &row);
        shard_row_release(&row);
        if (!holds && !TORC_MUTANT(CHECK_IGNORED))
            break;
    }
    *ret_failed = i;
    return TORC_OK;
}

/* Runs it and answers, from the group's clock on, which moves on by a tick for each operation.
 * TORC_OK: *ret_answer is borrowed from the outcomes; TORC_DAMAGED, TORC_STALE: no answer. */
static enum torc_status request_run(struct shard_run *run, const struct wire_request *request,
                                    const struct request_plan *plan, struct base_bytes *ret_answer)
{
    struct shard_machine *machine = run->machine;
    uint64_t before = machine->state.clock;
    uint16_t failed;
    enum torc_status status = request_checks(run, request, plan, before, &failed);
    if (status != TORC_OK)
        return status;
    uint64_t after = op_tick(run, before, (uint16_t)(request->op_count - 1));
    machine->state.clock = after;
    if (failed < request->op_count) {
        run->clock = after;
        *ret_answer = answer_refusal(run, request, WIRE_CHECK_FAILED, failed);
        return TORC_OK;
    }
    shard_answer_begin(run, WIRE_DONE, request->number, after > run->stamp ? after : run->stamp,
                       0 /* detail */);
    run->values_left = machine->limits.request_size_max;
    struct wire_op op;
    size_t cursor = 0;
    for (uint16_t i = 0; wire_op_next(request, &cursor, &op); i++) {
        run->clock = op_tick(run, before, i);
        status = shard_op_run(run, &op, plan->tokens[i]);
        if (status != TORC_OK) {
            shard_answer_drop(run);
            return status;
        }
    }
    *ret_answer = shard_answer_end(run, request->client, request->number);
    return TORC_OK;
}

/* For a planted bug: whether an answer says that its request changed nothing. */
static bool changed_nothing(struct base_bytes bytes)
{
    struct wire_answer answer;
    struct wire_result result;
    size_t cursor = 0;
    if (wire_answer_read(bytes, &answer) != TORC_OK || answer.status != WIRE_DONE)
        return true;
    return wire_result_next(&answer, &cursor, &result) && result.kind == WIRE_RESULT_NIL;
}

/* ---- Applying -----------------------------------------------------------------------------------
 */

/* Adds an answer that was made when the request ran first. */
static struct base_bytes answer_again(struct shard_run *run, const struct wire_request *request,
                                      struct base_bytes answer)
{
    struct shard_outcome outcome = {.kind = SHARD_ANSWERED,
                                    .client = request->client,
                                    .number = request->number,
                                    .answer = answer};
    run->machine->counters.from_records++;
    shard_outcomes_add(run->outcomes, &outcome);
    return answer;
}

/* What comes of a request before its record: it is not this group's, or has one, or is too late.
 * False: none of it. */
static bool request_is_over(struct shard_run *run, const struct wire_request *request,
                            const struct request_plan *plan, uint64_t entry_clock,
                            struct base_bytes *ret_answer)
{
    struct shard_machine *machine = run->machine;
    if (plan->record_vnode != SHARD_RECORD_VNODE_NONE &&
        !shard_vnode_owned(machine, plan->record_vnode)) {
        *ret_answer = answer_moved(run, request, plan->record_vnode);
        return true;
    }
    struct shard_record record;
    if (plan->writes && !TORC_MUTANT(RECORD_NOT_ASKED) &&
        shard_records_find(&machine->records, request->client, request->number, entry_clock,
                           &record)) {
        *ret_answer = answer_again(run, request, record.answer);
        return true;
    }
    if (plan->writes && request->last_time < entry_clock && !TORC_MUTANT(LAST_TIME_UNCHECKED)) {
        machine->counters.too_late++;
        *ret_answer = answer_refusal(run, request, WIRE_TOO_LATE, 0);
        return true;
    }
    return false;
}

/* Everything but its record. */
static enum torc_status request_judge(struct shard_run *run, const struct wire_request *request,
                                      const struct request_plan *plan,
                                      enum shard_request_fate *ret_fate,
                                      struct base_bytes *ret_answer)
{
    uint32_t moved;
    if (request_moved(run->machine, request, plan, &moved)) {
        *ret_answer = answer_moved(run, request, moved);
        *ret_fate = SHARD_REQUEST_REFUSED;
        return TORC_OK;
    }
    if (shard_txn_bars(run->machine, request) && !TORC_MUTANT(TXN_LOCKS_UNSEEN)) {
        *ret_fate = SHARD_REQUEST_BLOCKED;
        return TORC_OK;
    }
    *ret_fate = SHARD_REQUEST_RAN;
    return request_run(run, request, plan, ret_answer);
}

enum torc_status shard_request_evaluate(struct shard_run *run, const struct wire_request *request,
                                        uint64_t entry_clock, bool with_record,
                                        enum shard_request_fate *ret_fate,
                                        struct base_bytes *ret_answer)
{
    struct request_plan plan = request_plan(run->machine, request);
    run->clock = run->machine->state.clock;
    if (with_record && request_is_over(run, request, &plan, entry_clock, ret_answer)) {
        *ret_fate = SHARD_REQUEST_REFUSED;
        return TORC_OK;
    }
    return request_judge(run, request, &plan, ret_fate, ret_answer);
}

static enum torc_status client_request_apply(struct shard_run *run,
                                             const struct wire_request *request,
                                             uint64_t entry_clock)
{
    struct shard_machine *machine = run->machine;
    struct request_plan plan = request_plan(machine, request);
    struct base_bytes answer;
    enum shard_request_fate fate;
    run->clock = machine->state.clock;
    if (request_is_over(run, request, &plan, entry_clock, &answer))
        return TORC_OK;
    enum torc_status status = request_judge(run, request, &plan, &fate, &answer);
    if (status == TORC_OK && fate == SHARD_REQUEST_BLOCKED) {
        struct shard_outcome outcome = {.kind = SHARD_LOCKED,
                                        .client = request->client,
                                        .number = request->number,
                                        .answer = request->encoded};
        shard_outcomes_add(run->outcomes, &outcome);
    }
    if (status != TORC_OK || fate != SHARD_REQUEST_RAN || !plan.writes ||
        (TORC_MUTANT(REFUSAL_UNRECORDED) && changed_nothing(answer)))
        return status;
    struct shard_record record = {
        .client = request->client,
        .number = request->number,
        .last_time = request->last_time,
        .vnode = plan.record_vnode,
        .answer = answer,
    };
    shard_records_add(&machine->records, &record);
    return TORC_OK;
}

static enum torc_status internal_request_apply(struct shard_run *run,
                                               const struct wire_request *request,
                                               uint64_t entry_clock)
{
    struct wire_op op;
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op);) {
        enum torc_status status = TORC_OK;
        run->clock = ++run->machine->state.clock;
        switch (op.type) {
        case WIRE_OP_GENESIS:
            shard_genesis_run(run, op.value);
            break;
        case WIRE_OP_REMOVE_EXPIRED:
            status = shard_removal_run(run, op.value);
            break;
        case WIRE_OP_LIMITS:
            shard_limits_run(run, &op);
            break;
        case WIRE_OP_TICK: /* The entry's stamp has moved the clock. */
            break;
        default:
            status = shard_txn_run(run, &op, entry_clock);
        }
        if (status != TORC_OK)
            return status;
    }
    return TORC_OK;
}

static void records_expire(struct shard_run *run, uint64_t entry_clock)
{
    struct shard_machine *machine = run->machine;
    uint64_t slot;
    for (int i = 0;
         i < EXPIRED_BLOCKS_MAX && shard_records_expire(&machine->records, entry_clock, &slot);
         i++) {
        uint8_t key[SHARD_KEY_RECORDS_SIZE];
        shard_key_records_write(key, machine->config.group, slot);
        shard_run_delete(run, base_bytes_of(key, sizeof(key)));
    }
}

static void records_put(struct shard_run *run, uint64_t slot)
{
    struct base_bytes value = shard_records_close(&run->machine->records, slot);
    if (value.size == 0)
        return;
    uint8_t key[SHARD_KEY_RECORDS_SIZE];
    shard_key_records_write(key, run->machine->config.group, slot);
    shard_run_put(run, base_bytes_of(key, sizeof(key)), value);
}

static enum torc_status entry_apply(struct shard_run *run, const struct wire_entry *entry,
                                    uint64_t slot)
{
    struct shard_machine *machine = run->machine;
    uint64_t stamp = entry->clock < SHARD_CLOCK_STAMP_MAX ? entry->clock : SHARD_CLOCK_STAMP_MAX;
    if (TORC_MUTANT(LOCAL_CLOCK))
        stamp = base_hlc_from_ms(TORC_MUTANT_PLACE.wall_ms);
    uint64_t least = machine->state.clock + 1;
    machine->state.clock = stamp > least ? stamp : least;
    uint64_t entry_clock = machine->state.clock;

    records_expire(run, entry_clock);
    shard_records_open(&machine->records, entry->request_count);
    enum torc_status status = TORC_OK;
    size_t at = 0;
    for (uint32_t i = 0; i < entry->request_count && status == TORC_OK; i++) {
        struct wire_request request;
        struct base_bytes rest =
            base_bytes_of(entry->requests.data + at, entry->requests.size - at);
        status = wire_request_read(rest, &no_limits, &request);
        TORC_ASSERT(status == TORC_OK);
        bool internal = (request.flags & WIRE_REQUEST_INTERNAL) != 0;
        status = internal ? internal_request_apply(run, &request, entry_clock)
                          : client_request_apply(run, &request, entry_clock);
        at += request.encoded.size;
    }
    records_put(run, slot);
    return status;
}

enum torc_status shard_machine_apply(struct shard_machine *machine, const struct shard_apply *apply,
                                     struct store_batch *batch, struct shard_outcomes *outcomes)
{
    TORC_ASSERT(apply->slot == machine->state.slot + 1);
    TORC_ASSERT(apply->effective || apply->entry.size == 0);
    TORC_ASSERT(base_ballot_compare(apply->barrier, machine->state.barrier) >= 0);
    struct wire_entry entry;
    if (apply->effective) {
        enum torc_status status = entry_check(machine, apply->entry, &entry);
        if (status != TORC_OK)
            return status;
    }
    struct shard_run run = {.machine = machine, .batch = batch, .outcomes = outcomes};
    machine->unwritten = true;
    if (apply->effective) {
        enum torc_status status = entry_apply(&run, &entry, apply->slot);
        TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
        if (status != TORC_OK)
            return status;
    }
    machine->state.slot = apply->slot;
    machine->state.barrier = apply->barrier;
    if (!TORC_MUTANT(APPLIED_APART) || apply->slot % 2 == 0)
        shard_state_put(&run);
    return TORC_OK;
}

void shard_machine_applied(struct shard_machine *machine)
{
    machine->unwritten = false;
    shard_memory_trim(machine->allocator, &machine->key);
    shard_memory_trim(machine->allocator, &machine->value);
    shard_memory_trim(machine->allocator, &machine->tokens);
    shard_memory_trim(machine->allocator, &machine->locks);
    shard_memory_trim(machine->allocator, &machine->prepared);
}

/* ---- Answering ----------------------------------------------------------------------------------
 */

enum torc_status shard_machine_read(struct shard_machine *machine,
                                    const struct wire_request *request, uint64_t stamp,
                                    struct shard_outcomes *outcomes)
{
    TORC_ASSERT(!machine->unwritten);
    TORC_ASSERT(!wire_request_writes(request));
    struct request_plan plan = request_plan(machine, request);
    struct shard_run run = {
        .machine = machine,
        .outcomes = outcomes,
        .clock = machine->state.clock,
        .stamp = stamp,
    };
    uint32_t moved;
    if (request_moved(machine, request, &plan, &moved)) {
        (void)answer_moved(&run, request, moved);
        return TORC_OK;
    }
    if (shard_txn_bars(machine, request) && !TORC_MUTANT(TXN_READS_UNLOCKED))
        return TORC_BUSY;
    struct base_bytes answer;
    enum torc_status status = request_run(&run, request, &plan, &answer);
    TORC_ASSERT(status == TORC_OK || status == TORC_STALE || status == TORC_DAMAGED);
    return status;
}

enum torc_status shard_machine_admit(struct shard_machine *machine,
                                     const struct wire_request *request, uint64_t stamp,
                                     struct shard_outcomes *outcomes)
{
    if ((request->flags & WIRE_REQUEST_INTERNAL) != 0)
        return TORC_INVALID;
    TORC_ASSERT(wire_request_writes(request));
    struct shard_record record;
    uint64_t clock = machine->state.clock;
    if (shard_records_find(&machine->records, request->client, request->number, clock, &record)) {
        struct shard_run run = {.machine = machine, .outcomes = outcomes};
        (void)answer_again(&run, request, record.answer);
        return TORC_EXISTS;
    }
    uint64_t now = clock > stamp ? clock : stamp;
    uint64_t last_ms = base_hlc_to_ms(now) + machine->config.request_time_max_ms;
    if (request->last_time > base_hlc_from_ms(last_ms))
        return TORC_INVALID;
    /* Records go only when entries are applied: while some are due, an entry makes room. */
    if (machine->records.bytes >= machine->config.records_bytes_max &&
        !shard_records_due(&machine->records, now))
        return TORC_BUSY;
    return TORC_OK;
}
