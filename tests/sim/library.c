/* A program with the C library in it: calls to the library's core, and its replies as outcomes.
 * What replies promise stands in router/torc.h; they tell no clock. */
#include "base/assert.h"
#include "router/libtorc/client.h"
#include "tests/sim/clients.h"

void library_ask(struct sim *sim, struct libtorc_client *library, struct sim_task *task)
{
    uint8_t encoded[SIM_VALUE_SIZE_MAX + 200];
    size_t size = wire_op_write(encoded, sizeof(encoded), &task->op);
    struct libtorc_call *call = libtorc_call_new(base_bytes_of(encoded, size), 1);
    call->deadline_us = sim->now_us + 1000ull * sim->options.request_timeout_ms;
    call->context = task;
    libtorc_client_add(library, call);
}

static void fail(struct sim *sim, const struct sim_task *task, const struct torc_reply *reply)
{
    sim_fail(sim, "library", "operation %d on %s has outcome %d, status %s: %s", (int)task->op.type,
             sim->keys[task->key].name, (int)torc_reply_outcome(reply),
             torc_status_name(torc_reply_status(reply)), torc_reply_text(reply));
}

/* What the state said, of what the library made of it. */
static bool result_of(const struct wire_op *op, const struct torc_result *told,
                      struct wire_result *ret_result)
{
    bool done = told->status == TORC_OK;
    *ret_result = (struct wire_result){.version = told->version};
    switch (op->type) {
    case WIRE_OP_GET:
        ret_result->kind = done ? WIRE_RESULT_BYTES : WIRE_RESULT_NIL;
        ret_result->bytes = base_bytes_of(told->bytes.data, told->bytes.size);
        ret_result->number = told->expiry_ms;
        return done || told->status == TORC_NOT_FOUND;
    case WIRE_OP_PUT:
        ret_result->kind = done ? WIRE_RESULT_OK : WIRE_RESULT_NIL;
        return done || (told->status == TORC_CONDITION && op->condition != WIRE_IF_ALWAYS);
    case WIRE_OP_DELETE:
        ret_result->kind = WIRE_RESULT_INTEGER;
        ret_result->number = done;
        return done || told->status == TORC_NOT_FOUND;
    default:
        ret_result->kind = done ? WIRE_RESULT_INTEGER : WIRE_RESULT_ERROR;
        ret_result->error = done ? (enum wire_error)0 : WIRE_ERROR_TOO_LARGE;
        ret_result->number = (uint64_t)told->number;
        return done || told->status == TORC_TOO_LARGE;
    }
}

static void hear(struct sim *sim, struct sim_task *task, const struct torc_reply *reply)
{
    struct wire_result result;
    struct router_outcome outcome = {.type = ROUTER_ANSWERED, .result = &result};
    enum torc_outcome said = torc_reply_outcome(reply);
    outcome.reason = torc_reply_text(reply);
    if (torc_reply_count(reply) == 1) {
        bool wrote =
            wire_op_writes(task->op.type) && torc_reply_result(reply, 0)->status == TORC_OK;
        if (!result_of(&task->op, torc_reply_result(reply, 0), &result) ||
            (wire_op_writes(task->op.type) && wrote != (said == TORC_HAPPENED)))
            fail(sim, task, reply);
    } else if (said == TORC_OUTCOME_UNKNOWN && torc_reply_status(reply) == TORC_UNKNOWN) {
        outcome.type = ROUTER_UNKNOWN;
    } else if (said == TORC_DID_NOT_HAPPEN && torc_reply_status(reply) == TORC_TIMEOUT) {
        outcome.type = ROUTER_NOTHING_DONE;
    } else {
        fail(sim, task, reply);
    }
    client_done(sim, task, 0, &outcome);
}

void library_hear(struct sim *sim, struct libtorc_client *library)
{
    for (struct libtorc_call *call; (call = libtorc_client_done(library)) != NULL;) {
        sim->coverage->library_replies++;
        hear(sim, call->context, call->reply);
        libtorc_call_free(call);
    }
}

/* The program dies; nobody hears how its calls end. */
void library_free(struct libtorc_client *library)
{
    libtorc_client_close(library);
    for (struct libtorc_call *call; (call = libtorc_client_done(library)) != NULL;)
        libtorc_call_free(call);
    libtorc_client_free(library);
}
