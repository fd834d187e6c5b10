/*
 * router/derive -- BITFIELD, BITOP and LCS: values are read, something is computed from them here,
 * and it is the reply, or is written under the reply's promise.
 *
 *     ask ──▶ one GET per source ──▶ compute ──▶ reply
 *      ▲                                └──▶ CHECK of every source's version, PUT ──▶ reply
 *      └──────────── a source was changed meanwhile ───────────────────┘
 *
 * Sources and destination in one group: the checks and the write are one request, so what is
 * written was computed from what is there at that instant. Else the write goes without checks, and
 * only each read and the write are linearizable (BITOP says so). It begins again until the deadline
 * of the command, which all rounds share; a write whose outcome is unknown ends it as unknown.
 */
#include "router/router_int.h"

#include <string.h>

#include "ring/ring.h"
#include "ring/token.h"
#include "router/bitfield.h"
#include "router/bitop.h"
#include "router/lcs.h"

struct source {
    bool present;
    uint64_t version;
};

struct router_derive {
    struct router_buffer text; /* The words one behind the other: */
    struct base_bytes *args;
    size_t arg_count;
    size_t first, source_count; /* Words that are keys to read. */
    size_t target;              /* The key to write; 0: none. */
    struct source *sources;
    bool writing; /* Every source has come. */
    bool begun;   /* BITOP: one source has been folded in. */
    uint64_t deadline_us;
    struct router_buffer value;  /* Of the first source, or what is made of all. */
    struct router_buffer second; /* LCS: of the second. */
    struct router_buffer reply;  /* What is said once it is written. */
};

void router_derive_free(struct router *router, struct router_derive *derive)
{
    if (derive == NULL)
        return;
    router_buffer_fini(&derive->text);
    router_buffer_fini(&derive->value);
    router_buffer_fini(&derive->second);
    router_buffer_fini(&derive->reply);
    base_free(router->allocator, derive->args, derive->arg_count * sizeof(*derive->args));
    base_free(router->allocator, derive->sources, derive->source_count * sizeof(*derive->sources));
    base_free(router->allocator, derive, sizeof(*derive));
}

size_t router_derive_size(const struct router_derive *derive)
{
    if (derive == NULL)
        return 0;
    return derive->text.capacity + derive->value.capacity + derive->second.capacity +
           derive->reply.capacity;
}

static void args_copy(struct router *router, struct router_derive *derive,
                      const struct base_bytes *args, size_t arg_count)
{
    derive->arg_count = arg_count;
    derive->args = base_alloc(router->allocator, arg_count * sizeof(*derive->args));
    for (size_t i = 0; i < arg_count; i++)
        router_buffer_append(&derive->text, args[i]);
    size_t at = 0;
    for (size_t i = 0; i < arg_count; at += args[i++].size)
        derive->args[i] = base_bytes_of(derive->text.data + at, args[i].size);
}

static struct router_derive *derive_new(struct router *router, const struct router_command *command,
                                        const struct base_bytes *args, size_t arg_count)
{
    struct router_derive *derive = base_alloc_zero(router->allocator, sizeof(*derive));
    derive->text = router_buffer_empty(router->allocator);
    derive->value = router_buffer_empty(router->allocator);
    derive->second = router_buffer_empty(router->allocator);
    derive->reply = router_buffer_empty(router->allocator);
    args_copy(router, derive, args, arg_count);
    bool bitop = command->id == ROUTER_BITOP;
    derive->first = bitop ? 3 : 1;
    derive->source_count = bitop ? arg_count - 3 : command->id == ROUTER_LCS ? 2 : 1;
    if (bitop)
        derive->target = 2;
    else if (command->id == ROUTER_BITFIELD && router_bitfield_size(args, arg_count) > 0)
        derive->target = 1;
    derive->sources =
        base_alloc_zero(router->allocator, derive->source_count * sizeof(*derive->sources));
    return derive;
}

/* Reads every source. */
static void ask(struct router *router, struct router_call *call)
{
    struct router_derive *derive = call->derive;
    struct router_buffer ops = router_buffer_empty(router->allocator);
    derive->writing = false;
    derive->begun = false;
    derive->value.size = 0;
    derive->second.size = 0;
    call->tally = (struct router_tally){0};
    call->pending = (uint32_t)derive->source_count;
    call->part_count = 1; /* Whatever fails, it is the command that failed. */
    for (size_t i = 0; i < derive->source_count; i++) {
        struct wire_op op = {.type = WIRE_OP_GET, .key = derive->args[derive->first + i]};
        size_t size = wire_op_size(&op);
        ops.size = 0;
        wire_op_write(router_buffer_grow(&ops, size), size, &op);
        struct router_courier_request request = {
            .ops = router_buffer_bytes(&ops),
            .op_count = 1,
            .deadline_us = derive->deadline_us,
            .call = call,
            .part = (uint32_t)i,
        };
        router_courier_add_request(router->courier, &request);
    }
    router_buffer_fini(&ops);
}

void router_derive_begin(struct router *router, struct router_call *call,
                         const struct base_bytes *args, size_t arg_count)
{
    call->derive = derive_new(router, call->command, args, arg_count);
    call->derive->deadline_us =
        router->now_us + (uint64_t)router->config.courier.request_timeout_ms * 1000;
    call->alone = true;
    call->connection->walking = true;
    ask(router, call);
}

/* ---- Writing
 * ------------------------------------------------------------------------------------- */

static uint32_t group_of(const struct router *router, struct base_bytes key)
{
    const struct ring *ring = router_courier_map(router->courier)->ring;
    return ring_lookup(ring, ring_token(key, ring->vnode_bits));
}

/* Whether all keys are of one group, as far as is known. */
static bool in_one_group(const struct router *router, const struct router_derive *derive)
{
    uint32_t group = group_of(router, derive->args[derive->target]);
    for (size_t i = 0; i < derive->source_count; i++) {
        if (group_of(router, derive->args[derive->first + i]) != group)
            return false;
    }
    return true;
}

static void append(struct router_buffer *ops, const struct wire_op *op)
{
    size_t size = wire_op_size(op);
    wire_op_write(router_buffer_grow(ops, size), size, op);
}

static void append_checks(struct router_buffer *ops, const struct router_derive *derive)
{
    for (size_t i = 0; i < derive->source_count; i++) {
        const struct source *source = &derive->sources[i];
        struct wire_op check = {
            .type = WIRE_OP_CHECK,
            .condition = source->present ? WIRE_IF_VERSION : WIRE_IF_ABSENT,
            .a = source->present ? source->version : 0,
            .key = derive->args[derive->first + i],
        };
        append(ops, &check);
    }
}

/* May end the call. */
static void write_value(struct router *router, struct router_call *call)
{
    struct router_derive *derive = call->derive;
    struct router_buffer ops = router_buffer_empty(router->allocator);
    bool checked = in_one_group(router, derive);
    bool bitop = call->command->id == ROUTER_BITOP;
    struct wire_op op = {.type = WIRE_OP_PUT, .key = derive->args[derive->target]};
    op.value = router_buffer_bytes(&derive->value);
    op.expiry_mode = bitop ? WIRE_EXPIRY_NONE : WIRE_EXPIRY_KEEP;
    if (bitop && op.value.size == 0)
        op = (struct wire_op){.type = WIRE_OP_DELETE, .key = op.key};
    if (checked)
        append_checks(&ops, derive);
    append(&ops, &op);
    struct router_courier_request request = {
        .ops = router_buffer_bytes(&ops),
        .op_count = (uint16_t)((checked ? derive->source_count : 0) + 1),
        .deadline_us = derive->deadline_us,
        .call = call,
    };
    derive->writing = true;
    call->pending = 1;
    router_courier_add_request(router->courier, &request);
    router_buffer_fini(&ops);
}

/* ---- Computing
 * ----------------------------------------------------------------------------------- */

static void finish(struct router *router, struct router_call *call)
{
    struct router_derive *derive = call->derive;
    router_buffer_append(router_call_out(call), router_buffer_bytes(&derive->reply));
    router_call_finished(router, call);
}

static bool has_failed(const struct router_call *call)
{
    const struct router_tally *tally = &call->tally;
    return tally->failed + tally->nothing_done + tally->refused + tally->unknown > 0;
}

static void end_failed(struct router *router, struct router_call *call)
{
    router_call_error(router, call, router_call_out(call));
    router_call_finished(router, call);
}

static void bitfield_compute(struct router *router, struct router_call *call)
{
    struct router_derive *derive = call->derive;
    uint64_t size = router_bitfield_size(derive->args, derive->arg_count);
    size_t had = derive->value.size;
    if (size > router_courier_map(router->courier)->limits.value_size_max) {
        call->tally.failed = 1;
        call->tally.error = WIRE_ERROR_TOO_LARGE;
        end_failed(router, call);
        return;
    }
    if (size > had)
        memset(router_buffer_grow(&derive->value, size - had), 0, size - had);
    bool changed = router_bitfield_run(derive->args, derive->arg_count, call->protocol,
                                       &derive->value, &derive->reply);
    if (changed || derive->value.size != had)
        write_value(router, call);
    else
        finish(router, call);
}

/* Every source has come. */
static void compute(struct router *router, struct router_call *call)
{
    struct router_derive *derive = call->derive;
    derive->reply.size = 0;
    if (call->command->id == ROUTER_LCS) {
        router_lcs_reply(derive->args, derive->arg_count, router_buffer_bytes(&derive->value),
                         router_buffer_bytes(&derive->second), call->protocol, &derive->reply);
        finish(router, call);
    } else if (call->command->id == ROUTER_BITOP) {
        router_reply_integer(&derive->reply, (int64_t)derive->value.size);
        write_value(router, call);
    } else {
        bitfield_compute(router, call);
    }
}

static void source_take(struct router_call *call, uint32_t part, const struct wire_result *result)
{
    struct router_derive *derive = call->derive;
    struct base_bytes value = result->bytes;
    derive->sources[part] = (struct source){result->kind == WIRE_RESULT_BYTES, result->version};
    if (!derive->sources[part].present)
        value = base_bytes_of(NULL, 0);
    if (call->command->id == ROUTER_BITOP)
        router_bitop_fold(router_bitop_of(derive->args), !derive->begun, value, &derive->value);
    else
        router_buffer_append(part == 0 ? &derive->value : &derive->second, value);
    derive->begun = true;
}

/* What came of the write. */
static void written(struct router *router, struct router_call *call,
                    const struct router_outcome *outcome)
{
    bool answered = outcome->type == ROUTER_ANSWERED;
    struct router_outcome late = {
        .type = ROUTER_NOTHING_DONE,
        .reason = "others kept changing the value",
    };
    if (answered && outcome->answer->status == WIRE_CHECK_FAILED) {
        if (router->now_us < call->derive->deadline_us) {
            ask(router, call);
            return;
        }
        router_call_tally(call, &late);
    }
    if (has_failed(call))
        end_failed(router, call);
    else
        finish(router, call);
}

/* Counts an outcome; of an answer, the error among its results. */
static void tally(struct router_call *call, const struct router_outcome *outcome)
{
    struct wire_result result;
    if (outcome->type != ROUTER_ANSWERED) {
        router_call_tally(call, outcome);
        return;
    }
    for (size_t cursor = 0; wire_result_next(outcome->answer, &cursor, &result);) {
        if (result.kind == WIRE_RESULT_ERROR && call->tally.failed++ == 0)
            call->tally.error = result.error;
    }
}

void router_derive_done(struct router *router, struct router_call *call, uint32_t part,
                        const struct router_outcome *outcome)
{
    struct wire_result result;
    size_t cursor = 0;
    tally(call, outcome);
    if (call->derive->writing) {
        written(router, call, outcome);
        return;
    }
    if (outcome->type == ROUTER_ANSWERED && call->tally.failed == 0 &&
        wire_result_next(outcome->answer, &cursor, &result))
        source_take(call, part, &result);
    router_connection_touch(router, call->connection);
    if (call->pending > 0)
        return;
    if (has_failed(call))
        end_failed(router, call);
    else
        compute(router, call);
}
