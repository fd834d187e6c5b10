/*
 * What a leader answers to a program: the input is a byte that chooses the request, then an answer.
 * An answer that can be read and has a result for each operation becomes a reply, whatever results
 * those are; its bytes lie in it, and a copy says the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "router/libtorc/reply.h"
#include "router/libtorc/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KINDS = 12 };

/* One of each kind of operation that is answered in its own way. */
static void append(struct torc_request *request, unsigned kind)
{
    struct torc_bytes key = torc_text("k"), value = torc_text("value");
    struct torc_write write = {.struct_size = sizeof(write)};
    write.flags = kind % 2 == 0 ? 0 : TORC_RETURN_OLD;
    switch (kind / 2) {
    case 0:
        write.condition = TORC_IF_VALUE;
        write.value = value;
        torc_request_put(request, key, value, &write);
        break;
    case 1:
        torc_request_delete(request, key, &write);
        break;
    case 2:
        write.expiry = TORC_EXPIRY_RELATIVE;
        torc_request_expire(request, key, &write);
        break;
    case 3:
        torc_request_persist(request, key, &write);
        break;
    case 4:
        torc_request_stat(request, key);
        break;
    default:
        torc_request_get(request, key);
    }
}

static bool same(const struct torc_result *a, const struct torc_result *b)
{
    return a->kind == b->kind && a->status == b->status && a->number == b->number &&
           a->version == b->version && a->expiry_ms == b->expiry_ms &&
           a->bytes.size == b->bytes.size &&
           (a->bytes.size == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.size) == 0);
}

static void verify(const struct torc_request *request, const struct wire_answer *answer)
{
    struct router_outcome outcome = {.type = ROUTER_ANSWERED, .answer = answer};
    struct torc_reply *reply =
        libtorc_reply_of(router_buffer_bytes(&request->ops), request->op_count, &outcome, false);
    struct torc_reply *copy = torc_reply_copy(reply);
    TORC_ASSERT(torc_reply_outcome(reply) != TORC_OUTCOME_UNKNOWN);
    TORC_ASSERT(torc_reply_count(copy) == torc_reply_count(reply));
    for (size_t i = 0; i < torc_reply_count(reply); i++)
        TORC_ASSERT(same(torc_reply_result(reply, i), torc_reply_result(copy, i)));
    TORC_ASSERT(torc_reply_result(reply, torc_reply_count(reply)) == NULL);
    torc_reply_free(reply);
    torc_reply_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_answer answer;
    if (size == 0 || wire_answer_read(base_bytes_of(data + 1, size - 1), &answer) != TORC_OK ||
        (answer.status != WIRE_DONE && answer.status != WIRE_CHECK_FAILED) ||
        answer.result_count > WIRE_OPS_MAX)
        return 0;
    struct torc_request *request = torc_request_new();
    for (unsigned i = 0; i < answer.result_count; i++)
        append(request, (data[0] + i) % KINDS);
    verify(request, &answer);
    torc_request_free(request);
    return 0;
}
