#include "router/libtorc/reply.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/mutant.h"

struct torc_reply {
    enum torc_outcome outcome;
    enum torc_status status;
    const char *text; /* Static. */
    size_t failed_check;
    size_t count;
    size_t size;                  /* Of all of it. */
    struct torc_result results[]; /* Then the bytes that they refer to. */
};

static struct torc_reply *reply_new(size_t count, size_t bytes_size)
{
    size_t size = sizeof(struct torc_reply) + count * sizeof(struct torc_result) + bytes_size;
    struct torc_reply *reply = base_alloc_zero(base_allocator_system(), size);
    reply->size = size;
    reply->count = count;
    reply->failed_check = SIZE_MAX;
    reply->text = "";
    return reply;
}

void torc_reply_free(struct torc_reply *reply)
{
    if (reply != NULL)
        base_free(base_allocator_system(), reply, reply->size);
}

struct torc_reply *torc_reply_copy(const struct torc_reply *reply)
{
    struct torc_reply *copy = base_alloc(base_allocator_system(), reply->size);
    memcpy(copy, reply, reply->size);
    for (size_t i = 0; i < copy->count; i++) {
        if (copy->results[i].bytes.data != NULL)
            copy->results[i].bytes.data =
                (uint8_t *)copy +
                ((const uint8_t *)reply->results[i].bytes.data - (const uint8_t *)reply);
    }
    return copy;
}

/* ---- One result
 * ---------------------------------------------------------------------------------- */

static const char *error_text(enum wire_error error)
{
    switch (error) {
    case WIRE_ERROR_NOT_INTEGER:
        return "the value is not an integer, or out of range";
    case WIRE_ERROR_OVERFLOW:
        return "the sum would leave 64 bits";
    case WIRE_ERROR_TOO_LARGE:
        return "the value would pass the limit, or the answer has no room for it";
    case WIRE_ERROR_INVALID_EXPIRY:
        return "the expiry is out of range";
    case WIRE_ERROR_NOT_DECIMAL:
        return "the value or the addend is no decimal fraction";
    case WIRE_ERROR_INFINITE:
        return "the sum has too many digits";
    }
    return "";
}

/* Whether a PUT or a DELETE whose result is the old value was done: what its condition says of that
 * value. */
static bool old_value_fits(const struct wire_op *op, const struct wire_result *result)
{
    bool present = result->kind == WIRE_RESULT_BYTES;
    size_t expected_size = op->type == WIRE_OP_PUT ? (size_t)op->a : op->value.size;
    switch (op->condition) {
    case WIRE_IF_ABSENT:
        return !present;
    case WIRE_IF_PRESENT:
        return present;
    case WIRE_IF_VALUE:
        return present &&
               base_bytes_equal(result->bytes, base_bytes_of(op->value.data, expected_size));
    default:
        return true;
    }
}

static enum torc_status status_old(const struct wire_op *op, const struct wire_result *result)
{
    bool present = result->kind == WIRE_RESULT_BYTES;
    if (op->type == WIRE_OP_EXPIRE)
        return present ? TORC_OK : TORC_NOT_FOUND;
    if (op->type == WIRE_OP_PERSIST)
        return present && result->number != 0 ? TORC_OK : TORC_NOT_FOUND;
    if (!old_value_fits(op, result))
        return TORC_CONDITION;
    return op->type == WIRE_OP_DELETE && !present ? TORC_NOT_FOUND : TORC_OK;
}

static enum torc_status status_of(const struct wire_op *op, const struct wire_result *result)
{
    bool nothing = result->kind == WIRE_RESULT_INTEGER && result->number == 0;
    if (result->kind == WIRE_RESULT_ERROR)
        return result->error == WIRE_ERROR_TOO_LARGE ? TORC_TOO_LARGE : TORC_INVALID;
    if ((op->flags & WIRE_OP_RETURN_OLD) != 0)
        return status_old(op, result);
    switch (op->type) {
    case WIRE_OP_PUT:
        return result->kind == WIRE_RESULT_NIL ? TORC_CONDITION : TORC_OK;
    case WIRE_OP_DELETE:
        if (result->kind == WIRE_RESULT_NIL)
            return TORC_CONDITION;
        return nothing ? TORC_NOT_FOUND : TORC_OK;
    case WIRE_OP_EXPIRE:
    case WIRE_OP_PERSIST:
        return nothing ? TORC_NOT_FOUND : TORC_OK;
    default:
        return result->kind == WIRE_RESULT_NIL ? TORC_NOT_FOUND : TORC_OK;
    }
}

/* Whether the number says something, and not only whether it was done. */
static bool tells_number(enum wire_op_type type)
{
    return type != WIRE_OP_DELETE && type != WIRE_OP_EXPIRE && type != WIRE_OP_PERSIST;
}

/* The bytes are put at *at, which moves on. */
static struct torc_result result_of(const struct wire_op *op, const struct wire_result *from,
                                    uint8_t **at)
{
    struct torc_result result = {.status = status_of(op, from), .version = from->version};
    if (from->kind == WIRE_RESULT_INTEGER && tells_number(op->type)) {
        result.kind = TORC_RESULT_NUMBER;
        result.number = (int64_t)from->number;
    } else if (from->kind == WIRE_RESULT_STAT) {
        result.kind = TORC_RESULT_NUMBER;
        result.number = (int64_t)base_get_le64(from->bytes.data);
        result.expiry_ms = from->number;
    } else if (from->kind == WIRE_RESULT_BYTES) {
        result.kind = TORC_RESULT_BYTES;
        result.expiry_ms = from->number;
        result.bytes.data = *at;
        result.bytes.size = from->bytes.size;
        if (from->bytes.size > 0)
            memcpy(*at, from->bytes.data, from->bytes.size);
        *at += from->bytes.size;
    }
    return result;
}

/* ---- All of them
 * --------------------------------------------------------------------------------- */

struct torc_reply *libtorc_reply_failed(enum torc_outcome outcome, enum torc_status status,
                                        const char *text)
{
    struct torc_reply *reply = reply_new(0, 0);
    reply->outcome = outcome;
    reply->status = status;
    reply->text = text;
    return reply;
}

static struct torc_reply *reply_of_check(const struct wire_answer *answer)
{
    struct torc_reply *reply = libtorc_reply_failed(TORC_DID_NOT_HAPPEN, TORC_CONDITION,
                                                    "a check of the request did not hold");
    reply->failed_check = (size_t)answer->detail;
    return reply;
}

/* A request of one operation is judged by it. */
static void judge_single(struct torc_reply *reply, enum wire_op_type type)
{
    enum torc_status status = reply->results[0].status;
    bool read = !wire_op_writes(type) && status == TORC_NOT_FOUND;
    reply->status = status;
    if (status != TORC_OK && !read)
        reply->outcome = TORC_DID_NOT_HAPPEN;
    if (status == TORC_CONDITION)
        reply->failed_check = 0;
}

static struct torc_reply *reply_of_answer(struct base_bytes ops, uint16_t op_count,
                                          const struct wire_answer *answer)
{
    struct wire_request request = {.op_count = op_count, .ops = ops};
    struct wire_op op;
    struct wire_result result;
    size_t at_op = 0, at_result = 0;
    struct torc_reply *reply = reply_new(op_count, answer->results.size);
    uint8_t *at = (uint8_t *)&reply->results[op_count];
    reply->outcome = TORC_HAPPENED;
    for (uint16_t i = 0; i < op_count; i++) {
        bool more = wire_op_next(&request, &at_op, &op);
        more &= wire_result_next(answer, &at_result, &result);
        TORC_ASSERT(more); /* The courier has compared their numbers. */
        reply->results[i] = result_of(&op, &result, &at);
        if (result.kind == WIRE_RESULT_ERROR && reply->text[0] == '\0')
            reply->text = error_text(result.error);
    }
    if (op_count == 1)
        judge_single(reply, op.type);
    return reply;
}

/* What a leader gave as its reason comes from outside. */
static enum torc_status refusal_of(enum torc_status status)
{
    return (unsigned)status == TORC_OK || (unsigned)status > TORC_CLOSED ? TORC_MALFORMED : status;
}

struct torc_reply *libtorc_reply_of(struct base_bytes ops, uint16_t op_count,
                                    const struct router_outcome *outcome, bool closing)
{
    const char *text = outcome->reason == NULL ? "" : outcome->reason;
    switch (outcome->type) {
    case ROUTER_ANSWERED:
        return outcome->answer->status == WIRE_CHECK_FAILED
                   ? reply_of_check(outcome->answer)
                   : reply_of_answer(ops, op_count, outcome->answer);
    case ROUTER_NOTHING_DONE:
        return libtorc_reply_failed(TORC_DID_NOT_HAPPEN, closing ? TORC_CLOSED : TORC_TIMEOUT,
                                    text);
    case ROUTER_UNKNOWN:
        if (TORC_MUTANT(LIBRARY_UNKNOWN_DENIED))
            return libtorc_reply_failed(TORC_DID_NOT_HAPPEN, TORC_TIMEOUT, text);
        return libtorc_reply_failed(TORC_OUTCOME_UNKNOWN, closing ? TORC_CLOSED : TORC_UNKNOWN,
                                    text);
    case ROUTER_REFUSED:
        return libtorc_reply_failed(TORC_DID_NOT_HAPPEN, refusal_of(outcome->status), text);
    }
    TORC_ASSERT(!"an outcome");
    return NULL;
}

/* ---- Looking
 * ------------------------------------------------------------------------------------- */

enum torc_outcome torc_reply_outcome(const struct torc_reply *reply)
{
    return reply->outcome;
}

enum torc_status torc_reply_status(const struct torc_reply *reply)
{
    return reply->status;
}

const char *torc_reply_text(const struct torc_reply *reply)
{
    return reply->text;
}

size_t torc_reply_count(const struct torc_reply *reply)
{
    return reply->count;
}

const struct torc_result *torc_reply_result(const struct torc_reply *reply, size_t index)
{
    return index < reply->count ? &reply->results[index] : NULL;
}

size_t torc_reply_failed_check(const struct torc_reply *reply)
{
    return reply->failed_check;
}
