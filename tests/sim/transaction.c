/*
 * Requests as the C library makes them: several operations that take effect together or not at all,
 * some of them CHECKs; and reads that say how they are done. They are of the keys of check_own.c,
 * so all answers are known before.
 */
#include <string.h>

#include "base/assert.h"
#include "base/hlc.h"
#include "ring/token.h"
#include "tests/sim/clients.h"

enum {
    TRANSACTION_PER_MILLE = 200,
    TRANSACTION_READ_PER_MILLE = 400, /* A read of one key. */
    TRANSACTION_OPS_MAX = 4,
    TRANSACTION_SPREAD_PER_MILLE = 400, /* Over several groups. */
    TRANSACTION_STALE_MS_MAX = 3000,
};

static uint32_t group_of(const struct sim *sim, const struct sim_key *key)
{
    uint64_t token = ring_token(base_bytes_text(key->name), sim->options.vnode_bits);
    return sim->map.owners[ring_vnode(token, sim->options.vnode_bits)];
}

/* What its values may come to in an answer has room there. */
static bool is_small(const struct sim *sim, const struct sim_key *key)
{
    return key->own.size <= sim->options.limits.value_size_max / TRANSACTION_OPS_MAX;
}

/* ---- Asking. */

struct transaction {
    struct sim_task *tasks;
    uint32_t count, wanted, group;
    size_t size;
    bool may_spread, is_spread, is_read;
};

/* Whether an operation comes to the same by the clock of any group: the answer of several groups
 * has one clock. */
static bool is_timeless(const struct sim_key *key, const struct wire_op *op)
{
    bool timed = op->expiry_mode == WIRE_EXPIRY_RELATIVE || op->expiry_mode == WIRE_EXPIRY_ABSOLUTE;
    return key->own.end_ms == 0 && !timed;
}

/* One operation more, on this key, if it is free and all still fits. */
static void add(struct sim *sim, struct transaction *transaction, struct sim_key *key)
{
    struct sim_task *task = &transaction->tasks[transaction->count];
    uint32_t group = group_of(sim, key);
    bool other = transaction->count > 0 && group != transaction->group;
    if ((other && !transaction->may_spread) || !is_small(sim, key))
        return;
    task->key = (uint32_t)(key - sim->keys);
    task->op = (struct wire_op){.key = base_bytes_text(key->name)};
    if (!own_choose(sim, task, key, true /* may check */))
        return;
    if (transaction->is_read)
        task->op = (struct wire_op){.type = WIRE_OP_GET, .key = task->op.key};
    size_t size = transaction->size + wire_op_size(&task->op);
    if (size > sim->options.limits.request_size_max ||
        (transaction->may_spread && !is_timeless(key, &task->op))) {
        own_released(sim, task);
        return;
    }
    transaction->size = size;
    transaction->is_spread |= other;
    transaction->group = group;
    transaction->count++;
}

/* Whether it only reads, and whole values. */
static bool reads(const struct transaction *transaction, bool whole)
{
    for (uint32_t i = 0; i < transaction->count; i++) {
        enum wire_op_type type = transaction->tasks[i].op.type;
        if (wire_op_writes(type) || (whole && type != WIRE_OP_GET))
            return false;
    }
    return true;
}

static void send(struct sim *sim, struct sim_client *client, struct transaction *transaction)
{
    struct sim_task *first = transaction->tasks;
    uint64_t timeout_ms = sim->options.request_timeout_ms;
    uint64_t timeout_us = 1000 * sim_draw(sim, timeout_ms / 2, timeout_ms);
    uint8_t flags = 0;
    uint32_t stale_ms = 0;
    if (reads(transaction, false) && sim_chance(sim, 300))
        flags = WIRE_REQUEST_QUORUM;
    if (reads(transaction, true) && sim_chance(sim, 500)) {
        flags = WIRE_REQUEST_STALE;
        stale_ms = (uint32_t)sim_draw(sim, 1, TRANSACTION_STALE_MS_MAX);
    }
    for (uint32_t i = 0; i < transaction->count; i++) {
        client_begin(sim, client, &first[i]);
        first[i].timeout_us = timeout_us;
        first[i].stale_ms = stale_ms;
    }
    first->together = transaction->count;
    first->spread = transaction->is_spread;
    first->refused = transaction->is_spread && reads(transaction, false);
    sim->coverage->transactions += transaction->count > 1;
    sim->coverage->spread_transactions += transaction->is_spread && !first->refused;
    sim->coverage->stale_reads += stale_ms > 0;
    sim_router_add_request(sim, &sim->routers[client->router], first, flags);
}

uint32_t transaction_ask(struct sim *sim, struct sim_client *client, uint32_t first)
{
    uint32_t room = SIM_TASKS_MAX - first, keys = sim->options.keys;
    const struct sim_router *router = &sim->routers[client->router];
    if (router->is_whole || router->library != NULL || !sim_chance(sim, TRANSACTION_PER_MILLE))
        return 0;
    struct transaction transaction = {
        .tasks = &client->tasks[first],
        .wanted =
            (uint32_t)sim_draw(sim, 1, room < TRANSACTION_OPS_MAX ? room : TRANSACTION_OPS_MAX),
        .size = WIRE_REQUEST_HEADER_SIZE,
        .may_spread = sim_chance(sim, TRANSACTION_SPREAD_PER_MILLE),
        .is_read = sim_chance(sim, TRANSACTION_READ_PER_MILLE),
    };
    transaction.wanted = transaction.is_read ? 1 : transaction.wanted;
    uint32_t from = (uint32_t)sim_draw(sim, 0, keys - 1);
    for (uint32_t i = 0; i < keys && transaction.count < transaction.wanted; i++)
        add(sim, &transaction, &sim->keys[SIM_KEY_OWN + SIM_KEY_KINDS * ((from + i) % keys)]);
    if (transaction.count > 0)
        send(sim, client, &transaction);
    return transaction.count;
}

/* ---- Hearing. */

static void end_all(struct sim *sim, struct sim_task *tasks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        own_released(sim, &tasks[i]);
        client_end(sim, &tasks[i]);
    }
    client_rest(sim, &sim->clients[tasks->client]);
}

/* Nothing of it was done; the first CHECK that does not hold is named; of several groups the first
 * of one of them. */
static void check_failed(struct sim *sim, struct sim_task *tasks, uint32_t count,
                         const struct wire_answer *answer)
{
    uint32_t at = tasks->spread ? (uint32_t)answer->detail : 0;
    uint64_t now_ms = base_hlc_to_ms(answer->clock);
    if (tasks->spread && (at >= count || own_check_holds(sim, &tasks[at], now_ms)))
        at = count;
    while (at < count && own_check_holds(sim, &tasks[at], now_ms))
        at++;
    if (at != answer->detail)
        sim_fail(sim, "own", "of a request on %s and others CHECK %u fails, and %u should",
                 sim->keys[tasks->key].name, (unsigned)answer->detail, at);
    sim->coverage->checks_failed++;
    sim->coverage->spread_refused += tasks->spread;
    end_all(sim, tasks, count);
}

static void done(struct sim *sim, struct sim_task *tasks, uint32_t count,
                 const struct wire_answer *answer, uint32_t group)
{
    size_t cursor = 0;
    sim->coverage->spread_done += tasks->spread;
    for (uint32_t i = 0; i < count; i++) {
        struct wire_result result;
        if (!wire_result_next(answer, &cursor, &result))
            sim_fail(sim, "own", "an answer has %u results, of %u operations", i, count);
        struct router_outcome outcome = {
            .type = ROUTER_ANSWERED, .result = &result, .clock = answer->clock, .group = group};
        client_done(sim, &tasks[i], 0, &outcome);
    }
}

void transaction_done(struct sim *sim, struct sim_task *tasks, const struct router_outcome *outcome)
{
    uint32_t count = tasks->together;
    bool refused = outcome->type == ROUTER_REFUSED && outcome->status == TORC_UNSUPPORTED;
    tasks->together = 0;
    if (tasks->refused != refused)
        sim_fail(sim, "own", "a request on %s and others, which %s, has outcome %d",
                 sim->keys[tasks->key].name,
                 tasks->spread ? "belong to several groups" : "belong together",
                 (int)outcome->type);
    if (refused) {
        end_all(sim, tasks, count);
    } else if (outcome->type != ROUTER_ANSWERED) {
        for (uint32_t i = 0; i < count; i++)
            client_done(sim, &tasks[i], 0, outcome);
    } else if (outcome->answer->status == WIRE_CHECK_FAILED) {
        check_failed(sim, tasks, count, outcome->answer);
    } else {
        done(sim, tasks, count, outcome->answer, outcome->group);
    }
}
