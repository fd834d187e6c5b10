/* Requests, entries, answers and scanned keys: what is accepted lies inside the input, keeps the
 * rules that apply trusts, and is written back to the same bytes. Each input is given to all four.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire_limits limits = {1024, 16384, 65536};

static bool lies_in(struct base_bytes part, struct base_bytes whole)
{
    return part.data >= whole.data && part.data + part.size <= whole.data + whole.size;
}

static void op_verify(const struct wire_request *request, const struct wire_op *op)
{
    TORC_ASSERT(lies_in(op->key, request->encoded) && lies_in(op->value, request->encoded));
    TORC_ASSERT(op->type >= WIRE_OP_GET && op->type <= WIRE_OP_TXN_FORGET);
    TORC_ASSERT(op->key.size <= limits.key_size_max);
    bool internal = (request->flags & WIRE_REQUEST_INTERNAL) != 0;
    bool leaders = (op->type >= WIRE_OP_GENESIS && op->type <= WIRE_OP_LIMITS) ||
                   op->type >= WIRE_OP_TXN_PREPARE;
    TORC_ASSERT(leaders == internal);
    bool walk = op->type >= WIRE_OP_SCAN && op->type <= WIRE_OP_CLEAR;
    TORC_ASSERT((!leaders && !walk) == (op->key.size > 0));
    if (op->type == WIRE_OP_PUT && op->condition == WIRE_IF_VALUE)
        TORC_ASSERT(op->a <= op->value.size);
    if (op->condition > WIRE_IF_VALUE)
        TORC_ASSERT(op->type == WIRE_OP_EXPIRE);
    if (!internal)
        TORC_ASSERT(op->value.size <= 2 * limits.value_size_max);
}

/* Returns the size of the request at the head, or 0. */
static size_t request_verify(struct base_bytes bytes)
{
    struct wire_request request;
    enum torc_status status = wire_request_read(bytes, &limits, &request);
    TORC_ASSERT(status == TORC_OK || status == TORC_MALFORMED || status == TORC_TOO_LARGE);
    if (status != TORC_OK)
        return 0;
    TORC_ASSERT(lies_in(request.encoded, bytes));
    bool how = request.flags == WIRE_REQUEST_QUORUM || request.flags == WIRE_REQUEST_STALE;
    TORC_ASSERT(how ? !wire_request_writes(&request) : request.flags <= WIRE_REQUEST_INTERNAL);
    size_t capacity = request.encoded.size;
    uint8_t *again = malloc(capacity);
    TORC_ASSERT(again != NULL);
    size_t size = wire_request_begin(again, capacity, request.client, request.number,
                                     request.last_time, request.flags);
    struct wire_op op;
    uint16_t count = 0;
    for (size_t cursor = 0; wire_op_next(&request, &cursor, &op); count++) {
        op_verify(&request, &op);
        size += wire_op_write(again + size, capacity - size, &op);
    }
    wire_request_end(again, size, count);
    TORC_ASSERT(count == request.op_count && count > 0 && count <= WIRE_OPS_MAX);
    TORC_ASSERT(base_bytes_equal(base_bytes_of(again, size), request.encoded));
    free(again);
    return size;
}

static void entry_verify(struct base_bytes bytes)
{
    struct wire_entry entry;
    enum torc_status status = wire_entry_read(bytes, &entry);
    TORC_ASSERT(status == TORC_OK || status == TORC_MALFORMED);
    if (status != TORC_OK)
        return;
    TORC_ASSERT(lies_in(entry.requests, bytes) && entry.request_count > 0);
    uint8_t again[WIRE_ENTRY_HEADER_SIZE];
    wire_entry_begin(again, sizeof(again), entry.clock, entry.request_count);
    TORC_ASSERT(memcmp(again, bytes.data, sizeof(again)) == 0);
    size_t at = 0, size = 1;
    for (uint32_t i = 0; i < entry.request_count && size > 0; i++) {
        size = request_verify(base_bytes_of(entry.requests.data + at, entry.requests.size - at));
        at += size;
    }
}

static void keys_verify(struct base_bytes bytes)
{
    size_t cursor = 0, before = 0;
    uint64_t token;
    struct base_bytes key;
    enum torc_status status;
    while ((status = wire_key_next(bytes, &cursor, &token, &key)) == TORC_OK) {
        TORC_ASSERT(key.size > 0 && lies_in(key, bytes));
        size_t size = WIRE_KEY_HEADER_SIZE + key.size;
        uint8_t *again = malloc(size);
        TORC_ASSERT(again != NULL && wire_key_write(again, size, token, key) == size);
        TORC_ASSERT(base_bytes_equal(base_bytes_of(again, size),
                                     base_bytes_of(bytes.data + before, cursor - before)));
        free(again);
        before = cursor;
    }
    TORC_ASSERT(status == TORC_NOT_FOUND || status == TORC_MALFORMED);
}

static void answer_verify(struct base_bytes bytes)
{
    struct wire_answer answer;
    enum torc_status status = wire_answer_read(bytes, &answer);
    TORC_ASSERT(status == TORC_OK || status == TORC_MALFORMED);
    if (status != TORC_OK)
        return;
    TORC_ASSERT(lies_in(answer.encoded, bytes));
    TORC_ASSERT((answer.status == WIRE_DONE) == (answer.result_count > 0));
    size_t capacity = answer.encoded.size;
    uint8_t *again = malloc(capacity);
    TORC_ASSERT(again != NULL);
    size_t size = wire_answer_begin(again, capacity, answer.status, answer.number, answer.clock,
                                    answer.detail);
    struct wire_result result;
    uint16_t count = 0;
    for (size_t cursor = 0; wire_result_next(&answer, &cursor, &result); count++) {
        TORC_ASSERT(lies_in(result.bytes, answer.encoded));
        TORC_ASSERT((result.kind == WIRE_RESULT_ERROR) == (result.error != 0));
        size += wire_result_write(again + size, capacity - size, &result);
        keys_verify(result.bytes);
    }
    wire_answer_end(again, size, count);
    TORC_ASSERT(base_bytes_equal(base_bytes_of(again, size), answer.encoded));
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct base_bytes bytes = base_bytes_of(data, size);
    (void)request_verify(bytes);
    entry_verify(bytes);
    answer_verify(bytes);
    keys_verify(bytes);
    return 0;
}
