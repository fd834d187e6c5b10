#include "router/router_int.h"

#include <string.h>

#include "base/assert.h"
#include "router/object.h"

enum {
    SPARE_MAX = 4096,       /* Calls kept for later. */
    SPARE_BYTES_MAX = 1024, /* Memory kept with each. */
    LARGE_MIN = 256 * 1024, /* Bytes of a command above which it is large. */
};

void router_call_free(struct router *router, struct router_call *call)
{
    router_walk_free(router, call->walk);
    router_derive_free(router, call->derive);
    router_buffer_fini(&call->out);
    router_buffer_fini(&call->words);
    base_array_free(router->allocator, call->values, &call->value_capacity, sizeof(*call->values));
    base_free(router->allocator, call, sizeof(*call));
}

/* Whether the command that is run now gets no reply. */
static bool is_muted(const struct router_connection *connection)
{
    return connection->reply_off || connection->reply_skips > 0;
}

struct router_call *router_call_new(struct router *router, struct router_connection *connection,
                                    const struct router_command *command,
                                    enum router_plan_reply reply)
{
    struct router_call *call = router->spare;
    if (call == NULL) {
        call = base_alloc_zero(router->allocator, sizeof(*call));
        call->out = router_buffer_empty(router->allocator);
        call->words = router_buffer_empty(router->allocator);
    } else {
        router->spare = call->next;
        router->spare_count--;
        struct router_call kept = *call;
        *call = (struct router_call){.out = kept.out,
                                     .words = kept.words,
                                     .values = kept.values,
                                     .value_capacity = kept.value_capacity};
    }
    call->connection = connection;
    call->command = command;
    call->reply = reply;
    call->protocol = connection->protocol;
    call->muted = is_muted(connection);
    call->started_us = connection->waiting_us != 0 ? connection->waiting_us : router->now_us;
    if (command != NULL) {
        router->stats.calls++;
        if (router_slowlog_on(&router->slowlog))
            router_slowlog_words(connection->resp.args, connection->resp.arg_count, &call->words);
    }
    if (connection->last != NULL)
        connection->last->next = call;
    else
        connection->first = call;
    connection->last = call;
    connection->call_count++;
    router->call_count++;
    return call;
}

static void call_recycle(struct router *router, struct router_call *call)
{
    router_walk_free(router, call->walk);
    call->walk = NULL;
    router_derive_free(router, call->derive);
    call->derive = NULL;
    if (router->spare_count >= SPARE_MAX || call->out.capacity > SPARE_BYTES_MAX ||
        call->words.capacity > SPARE_BYTES_MAX ||
        call->value_capacity * sizeof(*call->values) > SPARE_BYTES_MAX) {
        router_call_free(router, call);
        return;
    }
    call->out.size = 0;
    call->words.size = 0;
    call->next = router->spare;
    router->spare = call;
    router->spare_count++;
}

struct router_buffer *router_call_out(struct router_call *call)
{
    struct router_connection *connection = call->connection;
    return connection->first == call && !call->muted ? &connection->output : &call->out;
}

/* What a call keeps counts as output that the client has not taken, with the same bounds. */
static void kept_update(struct router_call *call)
{
    call->connection->kept += call->out.size - call->kept;
    call->kept = call->out.size;
}

/* A large reply is not copied when nothing is before it. */
static void output_append(struct router_connection *connection, struct router_buffer *out)
{
    if (connection->output.size > 0 || out->size <= ROUTER_BUFFER_KEEP_MAX) {
        router_buffer_append(&connection->output, router_buffer_bytes(out));
        return;
    }
    struct router_buffer empty = connection->output;
    connection->output = *out;
    *out = empty;
}

/* Takes finished calls off the front; what a later one has kept joins the output. */
static void calls_flush(struct router *router, struct router_connection *connection)
{
    while (connection->first != NULL && connection->first->finished) {
        struct router_call *call = connection->first;
        if (connection->open && !call->muted)
            output_append(connection, &call->out);
        connection->first = call->next;
        if (connection->first == NULL)
            connection->last = NULL;
        connection->call_count--;
        connection->kept -= call->kept;
        router->call_count--;
        call_recycle(router, call);
    }
    if (connection->first == NULL)
        connection->waits_alone = false;
    if (!connection->open)
        router_buffer_clear(&connection->output); /* Nobody is there to read it. */
}

void router_call_finished(struct router *router, struct router_call *call)
{
    uint64_t took_us = router->now_us - call->started_us;
    router->stats.calls_timed++;
    router->stats.call_us_total += took_us;
    if (took_us > router->stats.call_us_max)
        router->stats.call_us_max = took_us;
    struct router_connection *connection = call->connection;
    router_timing_end(router, connection, call->command, took_us,
                      router_buffer_bytes(&call->words));
    call->finished = true;
    if (call->alone)
        connection->walking = false;
    if (call->muted)
        router_buffer_clear(&call->out);
    kept_update(call);
    if (connection->first == call)
        calls_flush(router, connection);
    router_connection_touch(router, connection);
}

struct router_buffer *router_reply_at_once(struct router *router,
                                           struct router_connection *connection)
{
    router_connection_touch(router, connection);
    if (connection->first == NULL && is_muted(connection)) {
        router_buffer_clear(&router->discarded);
        return &router->discarded;
    }
    if (connection->first == NULL)
        return &connection->output;
    struct router_call *call = router_call_new(router, connection, NULL, ROUTER_PLAN_OK);
    call->finished = true;
    return &call->out;
}

void router_reply_kept(struct router_connection *connection)
{
    struct router_call *call = connection->last;
    if (call == NULL || !call->finished)
        return;
    if (call->muted)
        router_buffer_clear(&call->out);
    kept_update(call);
}

/* ---- Outcomes
 * ------------------------------------------------------------------------------------ */

void router_call_tally(struct router_call *call, const struct router_outcome *outcome)
{
    struct router_tally *tally = &call->tally;
    bool worse = false;
    switch (outcome->type) {
    case ROUTER_ANSWERED:
        if (outcome->result->kind != WIRE_RESULT_ERROR) {
            tally->answered++;
        } else if (tally->failed++ == 0) {
            tally->error = outcome->result->error;
        }
        return;
    case ROUTER_NOTHING_DONE:
        worse = tally->nothing_done++ == 0 && tally->refused == 0 && tally->unknown == 0;
        break;
    case ROUTER_REFUSED:
        worse = tally->refused++ == 0 && tally->unknown == 0;
        break;
    case ROUTER_UNKNOWN:
        worse = tally->unknown++ == 0;
        break;
    }
    if (worse) {
        tally->worst = *outcome;
        tally->worst.result = NULL;
    }
}

/* " (group 3) within 5000 ms" */
static void error_where(struct router *router, const struct router_outcome *outcome,
                        struct router_buffer *text)
{
    if (outcome->group != 0)
        router_buffer_format(text, " (group %u)", (unsigned)outcome->group);
    router_buffer_format(text, " within %u ms",
                         (unsigned)router->config.courier.request_timeout_ms);
}

/* A write over several keys of which some were done, or may have been. */
static void error_partial(struct router_call *call, struct router_buffer *text)
{
    const struct router_tally *tally = &call->tally;
    router_buffer_format(text,
                         "UNKNOWN outcome unknown: of %u keys %u were done, %u were not and %u are "
                         "unknown: ",
                         (unsigned)call->part_count, (unsigned)tally->answered,
                         (unsigned)(tally->nothing_done + tally->refused + tally->failed),
                         (unsigned)tally->unknown);
}

void router_call_error(struct router *router, struct router_call *call, struct router_buffer *out)
{
    const struct router_tally *tally = &call->tally;
    const struct router_outcome *worst = &tally->worst;
    struct router_buffer *text = &router->scratch;
    bool writes = (call->command->flags & ROUTER_FLAG_WRITE) != 0;
    uint32_t not_done = tally->nothing_done + tally->refused;
    text->size = 0;
    if (writes && call->walk == NULL && call->part_count > 1 && not_done < call->part_count)
        error_partial(call, text);
    else if (tally->unknown > 0 || (writes && call->walk != NULL && tally->answered > 0))
        router_buffer_text(text, "UNKNOWN outcome unknown: ");
    else if (tally->refused > 0)
        router_buffer_text(text, "ERR refused: ");
    else if (tally->nothing_done > 0)
        router_buffer_text(text, writes ? "TIMEOUT nothing was done: " : "TIMEOUT no answer: ");
    if (worst->type == ROUTER_REFUSED) {
        router_buffer_text(text, torc_status_text(worst->status));
    } else if (worst->type != 0) {
        router_buffer_text(text, worst->reason);
        error_where(router, worst, text);
    } else {
        router_plan_error(call->command, tally->error, text);
    }
    router->stats.errors++;
    router_reply_error_bytes(out, router_buffer_bytes(text));
}

/* ---- Commands on keys
 * ---------------------------------------------------------------------------- */

static void value_keep(struct router *router, struct router_call *call, uint32_t part,
                       const struct wire_result *result)
{
    struct router_value *value = &call->values[part];
    value->present = result->kind == WIRE_RESULT_BYTES && call->connection->open;
    value->at = call->out.size;
    value->size = value->present ? result->bytes.size : 0;
    if (value->present)
        router_buffer_append(&call->out, result->bytes);
    kept_update(call);
    router_connection_touch(router, call->connection);
}

/* The values in the order of the keys. They came into `out` in any order, so a call that has to
 * wait for its turn takes its reply through a buffer of its own. */
static void values_reply(struct router_call *call, struct router_buffer *out)
{
    struct router_buffer values = call->out;
    if (out == &call->out)
        call->out = router_buffer_empty(values.allocator);
    router_reply_array(out, call->part_count);
    for (uint32_t i = 0; i < call->part_count; i++) {
        const struct router_value *value = &call->values[i];
        if (value->present)
            router_reply_bulk(out, base_bytes_of(values.data + value->at, value->size));
        else
            router_reply_null(out, call->protocol);
    }
    if (out == &call->out)
        router_buffer_fini(&values);
    else
        router_buffer_clear(&call->out);
}

/* All parts of a call over several keys have ended. */
static void call_end(struct router *router, struct router_call *call)
{
    struct router_buffer *out = router_call_out(call);
    if (call->tally.answered < call->part_count) {
        router_buffer_clear(&call->out); /* Of the values that did come. */
        router_call_error(router, call, out);
    } else if (call->reply == ROUTER_PLAN_VALUES) {
        values_reply(call, out);
    } else if (call->reply == ROUTER_PLAN_SUM) {
        router_reply_integer(out, call->sum);
    } else {
        router_reply_simple(out, "OK");
    }
    router_call_finished(router, call);
}

/* The reply to a command that is one operation. */
static void single_answer(struct router_call *call, const struct router_outcome *outcome)
{
    const struct wire_result *result = outcome->result;
    struct router_buffer *out = router_call_out(call);
    if (call->reply == ROUTER_PLAN_OBJECT && result->kind != WIRE_RESULT_ERROR)
        router_object_answer(call->command, call->key_size, result, call->protocol, out);
    else
        router_plan_answer(call->reply, call->command, result, outcome->clock, call->protocol, out);
}

static void reply_measure(struct router_connection *connection, size_t size)
{
    connection->reply_size_mean = connection->reply_size_mean / 2 + size / 2;
}

void router_call_done(void *context, void *call_of, uint32_t part,
                      const struct router_outcome *outcome)
{
    struct router *router = context;
    struct router_call *call = call_of;
    TORC_ASSERT(call->pending > 0);
    call->pending--;
    if (call->reply == ROUTER_PLAN_TOGETHER) {
        router_together_done(router, call, outcome);
        return;
    }
    if (call->reply == ROUTER_PLAN_DERIVED) {
        router_derive_done(router, call, part, outcome);
        return;
    }
    router_call_tally(call, outcome);
    if (call->walk != NULL) {
        router_walk_done(router, call, part, outcome);
        return;
    }
    bool answered = outcome->type == ROUTER_ANSWERED;
    if (answered)
        reply_measure(call->connection, outcome->result->bytes.size);
    if (call->part_count == 1 && answered) {
        single_answer(call, outcome);
        router_call_finished(router, call);
        return;
    }
    if (answered && call->reply == ROUTER_PLAN_VALUES)
        value_keep(router, call, part, outcome->result);
    else if (answered)
        call->sum += router_plan_count(outcome->result);
    if (call->pending == 0)
        call_end(router, call);
}

static void reply_error(struct router *router, struct router_connection *connection,
                        const char *text)
{
    router->stats.errors++;
    router_reply_error(router_reply_at_once(router, connection), text);
}

/* Bytes of keys and values of a plan. */
static size_t plan_size(const struct router_plan *plan, const struct base_bytes *args)
{
    size_t size = 0;
    for (size_t i = 0; i < plan->op_count; i++) {
        struct wire_op op = router_plan_op(plan, args, i);
        size += op.key.size + op.value.size;
    }
    return size;
}

/* Large commands are copied, which takes time: one in a turn, so that small ones of others come in
 * between, and none before those that were put off. */
static bool large_may_begin(struct router *router, const struct router_connection *connection,
                            size_t size)
{
    if (size <= LARGE_MIN)
        return true;
    if (router->turn_large > 0 ||
        (router->starved_first != NULL && router->settled != connection)) {
        router->turn_full = true;
        return false;
    }
    router->turn_large = size;
    return true;
}

bool router_call_has_room(struct router *router, const struct router_connection *connection,
                          size_t op_count, size_t size)
{
    if (router->crowded && router->settled != connection)
        return false;
    router->crowded = !router_courier_has_room(router->courier, op_count, size);
    return !router->crowded;
}

bool router_call_begin(struct router *router, struct router_connection *connection,
                       const struct router_command *command)
{
    static const struct wire_limits limits_preset = {4096, 8 << 20, 0};
    const struct router_map *map = router_courier_map(router->courier);
    const struct base_bytes *args = connection->resp.args;
    struct router_plan plan;
    router_buffer_clear(&router->scratch);
    if (!router_plan_make(command, args, connection->resp.arg_count,
                          map == NULL ? &limits_preset : &map->limits, &plan, &router->scratch)) {
        router->stats.errors++;
        router_reply_error_bytes(router_reply_at_once(router, connection),
                                 router_buffer_bytes(&router->scratch));
        return true;
    }
    size_t size = plan_size(&plan, args);
    size_t op_count = plan.op_count * (plan.reply == ROUTER_PLAN_TOGETHER ? 2 : 1); /* CHECKs */
    if (!router_courier_could_fit(router->courier, op_count, size)) {
        reply_error(router, connection,
                    "ERR command is too large: the limits are inflight_max keys and "
                    "inflight_size_max bytes");
        return true;
    }
    if (plan.reply == ROUTER_PLAN_TOGETHER && map != NULL &&
        router_together_size(&plan, args) > map->limits.request_size_max) {
        reply_error(router, connection,
                    "ERR command is too large: the limit is request_size_max bytes");
        return true;
    }
    if (!router_call_has_room(router, connection, op_count, size) ||
        !large_may_begin(router, connection, size))
        return false;
    struct router_call *call = router_call_new(router, connection, command, plan.reply);
    if (plan.reply == ROUTER_PLAN_TOGETHER) {
        router_together_begin(router, call, &plan, args);
        return true;
    }
    if (plan.reply == ROUTER_PLAN_DERIVED) {
        router_derive_begin(router, call, args, connection->resp.arg_count);
        return true;
    }
    call->key_size = plan.op.key.size;
    call->part_count = (uint32_t)plan.op_count;
    call->pending = call->part_count;
    if (plan.reply == ROUTER_PLAN_VALUES)
        call->values = base_array_reserve(router->allocator, call->values, &call->value_capacity,
                                          plan.op_count, sizeof(*call->values));
    for (size_t i = 0; i < plan.op_count; i++) {
        struct wire_op op = router_plan_op(&plan, args, i);
        router_courier_add(router->courier, connection->id, &op, call, (uint32_t)i);
    }
    return true;
}
