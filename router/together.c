/*
 * router/together -- MSETNX: operations on several keys that take effect together, or not at all,
 * as one request with a condition on each key.
 */
#include "router/router_int.h"

#include "base/assert.h"

static struct wire_op check_op(struct base_bytes key)
{
    return (struct wire_op){.type = WIRE_OP_CHECK, .condition = WIRE_IF_ABSENT, .key = key};
}

static void append(struct router_buffer *ops, const struct wire_op *op)
{
    size_t size = wire_op_size(op);
    wire_op_write(router_buffer_grow(ops, size), size, op);
}

size_t router_together_size(const struct router_plan *plan, const struct base_bytes *args)
{
    size_t size = WIRE_REQUEST_HEADER_SIZE;
    for (size_t i = 0; i < plan->op_count; i++) {
        struct wire_op op = router_plan_op(plan, args, i), check = check_op(op.key);
        size += wire_op_size(&check) + wire_op_size(&op);
    }
    return size;
}

void router_together_begin(struct router *router, struct router_call *call,
                           const struct router_plan *plan, const struct base_bytes *args)
{
    struct router_buffer ops = router_buffer_empty(router->allocator);
    TORC_ASSERT(2 * plan->op_count <= WIRE_OPS_MAX);
    for (size_t i = 0; i < plan->op_count; i++) {
        struct wire_op check = check_op(router_plan_op(plan, args, i).key);
        append(&ops, &check);
    }
    for (size_t i = 0; i < plan->op_count; i++) {
        struct wire_op op = router_plan_op(plan, args, i);
        append(&ops, &op);
    }
    struct router_courier_request request = {
        .ops = router_buffer_bytes(&ops),
        .op_count = (uint16_t)(2 * plan->op_count),
        .deadline_us = router->now_us + (uint64_t)router->config.courier.request_timeout_ms * 1000,
        .call = call,
    };
    call->pending = 1;
    call->part_count = 1;
    call->alone = true;
    call->connection->walking = true;
    router_courier_add_request(router->courier, &request); /* May end the call. */
    router_buffer_fini(&ops);
}

/* The first error among the results. */
static bool failed(const struct wire_answer *answer, enum wire_error *ret_error)
{
    struct wire_result result;
    for (size_t cursor = 0; wire_result_next(answer, &cursor, &result);) {
        if (result.kind == WIRE_RESULT_ERROR) {
            *ret_error = result.error;
            return true;
        }
    }
    return false;
}

void router_together_done(struct router *router, struct router_call *call,
                          const struct router_outcome *outcome)
{
    struct router_buffer *out = router_call_out(call);
    bool answered = outcome->type == ROUTER_ANSWERED;
    if (answered && outcome->answer->status == WIRE_CHECK_FAILED) {
        router_reply_integer(out, 0);
    } else if (answered && !failed(outcome->answer, &call->tally.error)) {
        router_reply_integer(out, 1);
    } else {
        if (!answered)
            router_call_tally(call, outcome);
        router_call_error(router, call, out);
    }
    router_call_finished(router, call);
}
