/* A client over RESP: operations as commands, replies as outcomes. What replies promise stands in
 * docs/commands.md and router/router.h. */
#include <string.h>

#include "base/assert.h"
#include "tests/sim/clients.h"

enum { RESP_UNSENT_MAX = 2048 };

/* ---- Asking. */

static void write_put(struct resp_out *out, const struct wire_op *op)
{
    bool expires = op->expiry_mode == WIRE_EXPIRY_RELATIVE;
    bool conditional = op->condition != WIRE_IF_ALWAYS;
    resp_command(out, 3 + 2 * (size_t)expires + conditional);
    resp_arg_text(out, "SET");
    resp_arg(out, op->key);
    resp_arg(out, op->value);
    if (conditional)
        resp_arg_text(out, op->condition == WIRE_IF_ABSENT ? "NX" : "XX");
    if (!expires)
        return;
    resp_arg_text(out, "PX");
    resp_arg_number(out, (int64_t)op->b);
}

static void write_command(struct resp_out *out, const struct wire_op *op)
{
    switch (op->type) {
    case WIRE_OP_GET:
        resp_command(out, 2);
        resp_arg_text(out, "GET");
        resp_arg(out, op->key);
        return;
    case WIRE_OP_PUT:
        write_put(out, op);
        return;
    case WIRE_OP_DELETE:
        resp_command(out, 2);
        resp_arg_text(out, "DEL");
        resp_arg(out, op->key);
        return;
    case WIRE_OP_ADD:
        resp_command(out, 3);
        resp_arg_text(out, "INCRBY");
        resp_arg(out, op->key);
        resp_arg_number(out, (int64_t)op->a);
        return;
    case WIRE_OP_APPEND:
        resp_command(out, 3);
        resp_arg_text(out, "APPEND");
        resp_arg(out, op->key);
        resp_arg(out, op->value);
        return;
    default:
        TORC_ASSERT(false);
    }
}

void resp_client_flush(struct sim *sim, struct sim_stream *stream)
{
    if (stream->unsent.size > 0)
        stream_send(sim, stream, &stream->in, SIM_PIECE_BYTES,
                    base_bytes_of(stream->unsent.bytes, stream->unsent.size));
    stream->unsent.size = 0;
}

static void note_asked(struct sim_stream *stream, struct sim_asked asked)
{
    TORC_ASSERT(stream->asked_count < CLIENT_ASKED_MAX);
    stream->asked[(stream->asked_first + stream->asked_count++) % CLIENT_ASKED_MAX] = asked;
}

static void write_together(struct resp_out *out, const struct sim_task *tasks, uint32_t count)
{
    bool writes = tasks[0].op.type == WIRE_OP_PUT;
    resp_command(out, 1 + (writes ? 2 : 1) * (size_t)count);
    resp_arg_text(out, writes ? "MSET" : "MGET");
    for (uint32_t i = 0; i < count; i++) {
        resp_arg(out, tasks[i].op.key);
        if (writes)
            resp_arg(out, tasks[i].op.value);
    }
}

void resp_client_ask(struct sim *sim, struct sim_stream *stream, struct sim_task *tasks,
                     uint32_t count)
{
    TORC_ASSERT(stream->state == SIM_STREAM_OPEN);
    note_asked(stream, (struct sim_asked){.task = tasks, .count = count});
    if (count > 1)
        write_together(&stream->unsent, tasks, count);
    else
        write_command(&stream->unsent, &tasks[0].op);
    if (stream->unsent.size > RESP_UNSENT_MAX || sim_chance(sim, 300))
        resp_client_flush(sim, stream);
}

void resp_client_scan(struct sim *sim, struct sim_stream *stream)
{
    TORC_ASSERT(stream->state == SIM_STREAM_OPEN);
    note_asked(stream, (struct sim_asked){.task = NULL});
    check_scan_ask(sim, &stream->unsent);
    resp_client_flush(sim, stream);
}

bool resp_client_misspeak(struct sim *sim, struct sim_stream *stream, const char *bytes,
                          const char *error, bool ends)
{
    if (stream->asked_count >= CLIENT_BURST_MAX)
        return false;
    resp_client_flush(sim, stream);
    note_asked(stream, (struct sim_asked){.error = error});
    stream_send(sim, stream, &stream->in, SIM_PIECE_BYTES, base_bytes_text(bytes));
    if (ends)
        stream->state = SIM_STREAM_LEAVING;
    return true;
}

/* ---- Hearing. */

static _Noreturn void fail(struct sim *sim, const struct sim_stream *stream,
                           const struct sim_task *task, const struct resp_reply *reply)
{
    sim_fail(sim, "resp", "client %u gets '%c%.*s' (%lld) to operation %d on %s",
             stream->client + 1, reply->type, (int)reply->bytes.size,
             (const char *)reply->bytes.data, (long long)reply->number, (int)task->op.type,
             sim->keys[task->key].name);
}

static struct router_outcome outcome_of_error(struct sim *sim, const struct sim_stream *stream,
                                              const struct sim_task *task,
                                              const struct resp_reply *reply,
                                              struct wire_result *result)
{
    bool get = task->op.type == WIRE_OP_GET;
    struct base_bytes text = reply->bytes;
    result->kind = WIRE_RESULT_ERROR;
    result->error = WIRE_ERROR_TOO_LARGE;
    const char *reason = memmem(text.data, text.size, CLIENT_TOO_LATE, strlen(CLIENT_TOO_LATE));
    if (!get && resp_begins(text, "UNKNOWN outcome unknown: "))
        return (struct router_outcome){.type = ROUTER_UNKNOWN, .reason = reason};
    if (resp_begins(text, get ? "TIMEOUT no answer: " : "TIMEOUT nothing was done: "))
        return (struct router_outcome){.type = ROUTER_NOTHING_DONE, .reason = reason};
    if (!resp_begins(text, "ERR value would be larger than the limit"))
        fail(sim, stream, task, reply);
    return (struct router_outcome){.type = ROUTER_ANSWERED, .result = result};
}

/* The type of reply that an operation gets when it was done. */
static char reply_type_of(enum wire_op_type type)
{
    switch (type) {
    case WIRE_OP_GET:
        return '$';
    case WIRE_OP_PUT:
        return '+';
    default:
        return ':';
    }
}

static struct router_outcome outcome_of(struct sim *sim, const struct sim_stream *stream,
                                        const struct sim_task *task, const struct resp_reply *reply,
                                        struct wire_result *result)
{
    const struct wire_op *op = &task->op;
    *result = (struct wire_result){.kind = WIRE_RESULT_OK};
    if (reply->type == '-')
        return outcome_of_error(sim, stream, task, reply, result);
    bool may_refuse = op->type == WIRE_OP_PUT && op->condition != WIRE_IF_ALWAYS;
    if (reply->type == '$' && reply->nil && may_refuse)
        result->kind = WIRE_RESULT_NIL;
    else if (reply->type != reply_type_of(op->type))
        fail(sim, stream, task, reply);
    else if (reply->type == '$')
        result->kind = reply->nil ? WIRE_RESULT_NIL : WIRE_RESULT_BYTES;
    result->bytes = op->type == WIRE_OP_GET ? reply->bytes : base_bytes_of(NULL, 0);
    result->number = reply->type == ':' ? (uint64_t)reply->number : 0;
    return (struct router_outcome){.type = ROUTER_ANSWERED, .result = result};
}

/* Each of several tasks of a command gets its element of an array, or what all get. */
static void hear_together(struct sim *sim, struct sim_stream *stream, struct sim_task *tasks,
                          uint32_t count, const struct resp_reply *reply)
{
    struct base_bytes rest = reply->bytes;
    bool each = reply->type == '*' && reply->number == count;
    for (uint32_t i = 0; i < count; i++) {
        struct resp_reply element = *reply;
        struct wire_result result;
        size_t size = 0;
        if (each && resp_read(rest, &element, &size) != RESP_WHOLE)
            fail(sim, stream, &tasks[i], reply);
        rest = base_bytes_of(rest.data + size, rest.size - size);
        struct router_outcome outcome = outcome_of(sim, stream, &tasks[i], &element, &result);
        client_done(sim, &tasks[i], 0, &outcome);
    }
}

static void hear_reply(struct sim *sim, struct sim_stream *stream, const struct resp_reply *reply)
{
    if (stream->asked_count == 0)
        sim_fail(sim, "resp", "client %u gets a reply that it is not owed: '%c%.*s'",
                 stream->client + 1, reply->type, (int)reply->bytes.size,
                 (const char *)reply->bytes.data);
    struct sim_asked asked = stream->asked[stream->asked_first];
    struct sim_task *task = asked.task;
    stream->asked_first = (stream->asked_first + 1) % CLIENT_ASKED_MAX;
    stream->asked_count--;
    if (task == NULL && asked.error == NULL) {
        check_scan_heard(sim, reply);
        client_rest(sim, &sim->clients[stream->client]);
        return;
    }
    if (task == NULL && (reply->type != '-' || !resp_begins(reply->bytes, asked.error)))
        sim_fail(sim, "resp", "client %u gets '%c%.*s' for '%s'", stream->client + 1, reply->type,
                 (int)reply->bytes.size, (const char *)reply->bytes.data, asked.error);
    if (task == NULL)
        return;
    if (asked.count > 1) {
        hear_together(sim, stream, task, asked.count, reply);
        return;
    }
    struct wire_result result;
    struct router_outcome outcome = outcome_of(sim, stream, task, reply, &result);
    client_done(sim, task, 0, &outcome);
}

static void hear_bytes(struct sim *sim, struct sim_stream *stream, struct base_bytes bytes)
{
    stream->heard = base_array_reserve(sim->allocator, stream->heard, &stream->heard_capacity,
                                       stream->heard_size + bytes.size, 1);
    memcpy(stream->heard + stream->heard_size, bytes.data, bytes.size);
    stream->heard_size += bytes.size;
    size_t at = 0, size;
    for (;;) {
        struct resp_reply reply;
        enum resp_status status =
            resp_read(base_bytes_of(stream->heard + at, stream->heard_size - at), &reply, &size);
        if (status == RESP_BROKEN)
            sim_fail(sim, "resp", "client %u gets what is no reply", stream->client + 1);
        if (status == RESP_MORE)
            break;
        hear_reply(sim, stream, &reply);
        at += size;
    }
    memmove(stream->heard, stream->heard + at, stream->heard_size - at);
    stream->heard_size -= at;
}

/* The router closed it, or died, or the client has had enough. */
static void give_up(struct sim *sim, struct sim_stream *stream)
{
    for (size_t i = 0; i < stream->asked_count; i++) {
        struct sim_asked asked = stream->asked[(stream->asked_first + i) % CLIENT_ASKED_MAX];
        for (uint32_t k = 0; k < asked.count; k++)
            client_abandon(sim, &asked.task[k]);
        if (asked.task == NULL && asked.error == NULL)
            check_scan_given_up(sim);
    }
    stream->asked_count = 0;
}

void resp_client_quit(struct sim *sim, struct sim_stream *stream)
{
    stream->state = SIM_STREAM_QUIT;
    give_up(sim, stream);
    stream_send(sim, stream, &stream->in, SIM_PIECE_RESET, base_bytes_of(NULL, 0));
}

void resp_client_read(struct sim *sim, struct sim_client *client)
{
    struct sim_stream *stream = client->stream;
    enum sim_piece_type type;
    struct base_bytes bytes;
    if (sim->now_us < stream->deaf_until_us || stream->state == SIM_STREAM_QUIT)
        return;
    while (stream_take(&stream->out, &type, &bytes)) {
        if (type != SIM_PIECE_BYTES) {
            give_up(sim, stream);
            stream_closed(sim, stream);
            return;
        }
        hear_bytes(sim, stream, bytes);
    }
    if (stream->writing.size > 0) /* There is room again. */
        sim_push(sim, (struct sim_event){.at_us = sim->now_us + sim->options.delay_us_min,
                                         .type = SIM_DOOR_GOES,
                                         .place = stream->client,
                                         .life = stream->life});
}
