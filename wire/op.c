#include "wire/op.h"

#include "base/assert.h"

/* ---- What each operation may carry --------------------------------------------------------------
 */

enum {
    BIT_ALWAYS = 1 << WIRE_IF_ALWAYS,
    BIT_STATE =
        1 << WIRE_IF_ABSENT | 1 << WIRE_IF_PRESENT | 1 << WIRE_IF_VERSION | 1 << WIRE_IF_VALUE,
    BIT_EXPIRY = 1 << WIRE_IF_NO_EXPIRY | 1 << WIRE_IF_EXPIRY | 1 << WIRE_IF_LATER |
                 1 << WIRE_IF_EARLIER | 1 << WIRE_IF_EXPIRY_EARLIER,
    MODE_NONE = 1 << WIRE_EXPIRY_NONE,
    MODE_TIMED = 1 << WIRE_EXPIRY_RELATIVE | 1 << WIRE_EXPIRY_ABSOLUTE,
    MODE_ANY = MODE_NONE | MODE_TIMED | 1 << WIRE_EXPIRY_KEEP,
};

/* Everything that is not allowed is refused, so that each operation has one encoding. */
struct op_shape {
    uint16_t conditions; /* Bits of enum wire_condition. */
    uint8_t modes;       /* Bits of enum wire_expiry_mode. */
    uint8_t flags;
    bool key;    /* It names a key; else it has none. */
    bool value;  /* It has a value (perhaps empty); else only the condition may bring one. */
    bool a, b;   /* The number means something; else it is 0. */
    bool leader; /* Only in internal requests, which have no other. */
    bool alone;  /* The only operation of its request: it walks many keys. */
};

static const struct op_shape shapes[] = {
    [WIRE_OP_GET] = {BIT_ALWAYS, MODE_NONE, .key = true},
    [WIRE_OP_STAT] = {BIT_ALWAYS, MODE_NONE, .key = true},
    [WIRE_OP_PUT] = {BIT_ALWAYS | BIT_STATE, MODE_ANY, WIRE_OP_RETURN_OLD, .key = true,
                     .value = true},
    [WIRE_OP_DELETE] = {BIT_ALWAYS | 1 << WIRE_IF_VERSION | 1 << WIRE_IF_VALUE, MODE_NONE,
                        WIRE_OP_RETURN_OLD, .key = true},
    [WIRE_OP_ADD] = {BIT_ALWAYS, MODE_NONE, .key = true, .a = true},
    [WIRE_OP_APPEND] = {BIT_ALWAYS, MODE_NONE, .key = true, .value = true},
    [WIRE_OP_SET_RANGE] = {BIT_ALWAYS, MODE_NONE, .key = true, .value = true, .a = true},
    [WIRE_OP_EXPIRE] = {BIT_ALWAYS | BIT_EXPIRY, MODE_TIMED, WIRE_OP_RETURN_OLD, .key = true},
    [WIRE_OP_PERSIST] = {BIT_ALWAYS, MODE_NONE, WIRE_OP_RETURN_OLD, .key = true},
    [WIRE_OP_CHECK] = {BIT_STATE, MODE_NONE, .key = true},
    [WIRE_OP_SCAN] = {BIT_ALWAYS, MODE_NONE, .a = true, .b = true, .alone = true},
    [WIRE_OP_COUNT] = {BIT_ALWAYS, MODE_NONE, .a = true, .b = true, .alone = true},
    [WIRE_OP_CLEAR] = {BIT_ALWAYS, MODE_NONE, .a = true, .b = true, .alone = true},
    [WIRE_OP_GENESIS] = {BIT_ALWAYS, MODE_NONE, .value = true, .leader = true},
    [WIRE_OP_TICK] = {BIT_ALWAYS, MODE_NONE, .leader = true},
    [WIRE_OP_REMOVE_EXPIRED] = {BIT_ALWAYS, MODE_NONE, .value = true, .leader = true},
    [WIRE_OP_LIMITS] = {BIT_ALWAYS, MODE_NONE, .value = true, .a = true, .leader = true},
    [WIRE_OP_GET_RANGE] = {BIT_ALWAYS, MODE_NONE, .key = true, .a = true, .b = true},
    [WIRE_OP_BIT_COUNT] = {BIT_ALWAYS, MODE_NONE, WIRE_OP_BITS, .key = true, .a = true, .b = true},
    [WIRE_OP_BIT_POSITION] = {BIT_ALWAYS, MODE_NONE, WIRE_OP_BITS | WIRE_OP_ONE | WIRE_OP_NO_END,
                              .key = true, .a = true, .b = true},
    [WIRE_OP_ADD_DECIMAL] = {BIT_ALWAYS, MODE_NONE, .key = true, .value = true},
    [WIRE_OP_SET_BIT] = {BIT_ALWAYS, MODE_NONE, .key = true, .a = true, .b = true},
    [WIRE_OP_TXN_PREPARE] = {BIT_ALWAYS, MODE_NONE, .value = true, .leader = true},
    [WIRE_OP_TXN_END] = {BIT_ALWAYS, MODE_NONE, .value = true, .leader = true},
    [WIRE_OP_TXN_COMMIT] = {BIT_ALWAYS, MODE_NONE, .value = true, .leader = true},
    [WIRE_OP_TXN_REFUSE] = {BIT_ALWAYS, MODE_NONE, .value = true, .leader = true},
    [WIRE_OP_TXN_FORGET] = {BIT_ALWAYS, MODE_NONE, .value = true, .leader = true},
};

bool wire_op_writes(enum wire_op_type type)
{
    switch (type) {
#define WIRE_OP_CASE(name, number, writes)                                                         \
    case name:                                                                                     \
        return writes;
        WIRE_OP_LIST(WIRE_OP_CASE)
#undef WIRE_OP_CASE
    }
    TORC_ASSERT(!"an operation of the list");
    return false;
}

/* ---- Reading: operations ------------------------------------------------------------------------
 */

/* The fields of the operation at `at`, which is known to be there as a whole. */
static struct wire_op op_fields(const uint8_t *at)
{
    struct wire_op op = {
        .type = (enum wire_op_type)at[0],
        .condition = (enum wire_condition)at[1],
        .expiry_mode = (enum wire_expiry_mode)at[2],
        .flags = at[3],
        .a = base_get_le64(at + 12),
        .b = base_get_le64(at + 20),
    };
    size_t key_size = base_get_le16(at + 4);
    op.key = base_bytes_of(at + WIRE_OP_HEADER_SIZE, key_size);
    op.value = base_bytes_of(at + WIRE_OP_HEADER_SIZE + key_size, base_get_le32(at + 8));
    return op;
}

/* Whether fields and sizes of an operation fit its type. */
static bool op_fits(const struct wire_op *op)
{
    if ((unsigned)op->type == 0 || (unsigned)op->type >= sizeof(shapes) / sizeof(shapes[0]))
        return false;
    const struct op_shape *shape = &shapes[op->type];
    if ((unsigned)op->condition > WIRE_IF_EXPIRY_EARLIER ||
        !(shape->conditions >> op->condition & 1))
        return false;
    if ((unsigned)op->expiry_mode > WIRE_EXPIRY_ABSOLUTE || !(shape->modes >> op->expiry_mode & 1))
        return false;
    if ((op->flags & ~shape->flags) != 0 || (op->key.size > 0) != shape->key)
        return false;

    bool by_value = op->condition == WIRE_IF_VALUE;
    if (!shape->value && !by_value && op->value.size > 0)
        return false;
    if (op->type == WIRE_OP_PUT && by_value) {
        if (op->a > op->value.size)
            return false;
    } else if (!shape->a && op->condition != WIRE_IF_VERSION && op->a != 0) {
        return false;
    }
    bool timed = (MODE_TIMED >> op->expiry_mode & 1) != 0;
    if (!shape->b && !timed && op->b != 0)
        return false;
    if (shape->alone && op->b == 0)
        return false;
    if ((op->flags & WIRE_OP_NO_END) != 0 && (op->b != 0 || (op->flags & WIRE_OP_BITS) != 0))
        return false;
    if (op->type == WIRE_OP_SET_BIT && op->b > 1)
        return false;
    return op->type != WIRE_OP_LIMITS || op->value.size == WIRE_LIMITS_SIZE;
}

static bool op_within(const struct wire_op *op, const struct wire_limits *limits)
{
    if (op->key.size > limits->key_size_max)
        return false;
    if (shapes[op->type].leader) /* Bounded by the request: not a value of anybody's. */
        return true;
    if (op->type == WIRE_OP_PUT && op->condition == WIRE_IF_VALUE)
        return op->a <= limits->value_size_max && op->value.size - op->a <= limits->value_size_max;
    return op->value.size <= limits->value_size_max;
}

/* Checks the operation at the head of `bytes`; *ret_size says how far it reaches. */
static enum torc_status op_check(struct base_bytes bytes, const struct wire_limits *limits,
                                 struct wire_op *ret_op, size_t *ret_size)
{
    if (bytes.size < WIRE_OP_HEADER_SIZE || base_get_le16(bytes.data + 6) != 0)
        return TORC_MALFORMED;
    size_t size =
        WIRE_OP_HEADER_SIZE + (size_t)base_get_le16(bytes.data + 4) + base_get_le32(bytes.data + 8);
    if (size > bytes.size)
        return TORC_MALFORMED;
    struct wire_op op = op_fields(bytes.data);
    if (!op_fits(&op))
        return TORC_MALFORMED;
    if (!op_within(&op, limits))
        return TORC_TOO_LARGE;
    *ret_op = op;
    *ret_size = size;
    return TORC_OK;
}

/* ---- Reading: requests and entries --------------------------------------------------------------
 */

static enum torc_status request_ops_check(const struct wire_request *request,
                                          const struct wire_limits *limits)
{
    bool internal = (request->flags & WIRE_REQUEST_INTERNAL) != 0;
    size_t cursor = 0;
    for (uint16_t i = 0; i < request->op_count; i++) {
        struct wire_op op;
        size_t size;
        struct base_bytes rest =
            base_bytes_of(request->ops.data + cursor, request->ops.size - cursor);
        enum torc_status status = op_check(rest, limits, &op, &size);
        if (status != TORC_OK)
            return status;
        if (shapes[op.type].leader != internal)
            return TORC_MALFORMED;
        if (shapes[op.type].alone && request->op_count != 1)
            return TORC_MALFORMED;
        cursor += size;
    }
    return cursor == request->ops.size ? TORC_OK : TORC_MALFORMED;
}

/* How a read is done is said at most once, and not of what writes. */
static bool request_flags_fit(const struct wire_request *request)
{
    switch (request->flags) {
    case 0:
    case WIRE_REQUEST_INTERNAL:
        return true;
    case WIRE_REQUEST_QUORUM:
    case WIRE_REQUEST_STALE:
        return !wire_request_writes(request);
    default:
        return false;
    }
}

/* An internal request has no client, so nobody else's id can be taken for it. */
static bool request_identity_fits(const struct wire_request *request)
{
    if ((request->flags & WIRE_REQUEST_INTERNAL) == 0)
        return true;
    return request->client.high == 0 && request->client.low == 0 && request->number == 0 &&
           request->last_time == 0;
}

enum torc_status wire_request_read(struct base_bytes bytes, const struct wire_limits *limits,
                                   struct wire_request *ret_request)
{
    TORC_ASSERT(limits != NULL);
    if (bytes.size < WIRE_REQUEST_HEADER_SIZE || bytes.data[0] != WIRE_OP_VERSION)
        return TORC_MALFORMED;
    uint32_t size = base_get_le32(bytes.data + 4);
    if (size < WIRE_REQUEST_HEADER_SIZE)
        return TORC_MALFORMED;
    if (size > limits->request_size_max)
        return TORC_TOO_LARGE;
    if (size > bytes.size)
        return TORC_MALFORMED;
    struct wire_request request = {
        .client = {base_get_le64(bytes.data + 8), base_get_le64(bytes.data + 16)},
        .number = base_get_le64(bytes.data + 24),
        .last_time = base_get_le64(bytes.data + 32),
        .flags = bytes.data[1],
        .op_count = base_get_le16(bytes.data + 2),
        .ops =
            base_bytes_of(bytes.data + WIRE_REQUEST_HEADER_SIZE, size - WIRE_REQUEST_HEADER_SIZE),
        .encoded = base_bytes_of(bytes.data, size),
    };
    if (!request_identity_fits(&request))
        return TORC_MALFORMED;
    if (request.op_count == 0 || request.op_count > WIRE_OPS_MAX)
        return TORC_MALFORMED;
    enum torc_status status = request_ops_check(&request, limits);
    if (status == TORC_OK && !request_flags_fit(&request))
        status = TORC_MALFORMED;
    if (status == TORC_OK)
        *ret_request = request;
    TORC_ASSERT(status == TORC_OK || status == TORC_MALFORMED || status == TORC_TOO_LARGE);
    return status;
}

bool wire_op_next(const struct wire_request *request, size_t *cursor, struct wire_op *ret_op)
{
    TORC_ASSERT(*cursor <= request->ops.size);
    if (*cursor == request->ops.size)
        return false;
    TORC_ASSERT(request->ops.size - *cursor >= WIRE_OP_HEADER_SIZE);
    struct wire_op op = op_fields(request->ops.data + *cursor);
    size_t size = wire_op_size(&op);
    TORC_ASSERT(size <= request->ops.size - *cursor);
    *cursor += size;
    *ret_op = op;
    return true;
}

bool wire_request_writes(const struct wire_request *request)
{
    struct wire_op op;
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op);) {
        if (wire_op_writes(op.type))
            return true;
    }
    return false;
}

enum torc_status wire_entry_read(struct base_bytes bytes, struct wire_entry *ret_entry)
{
    if (bytes.size < WIRE_ENTRY_HEADER_SIZE || bytes.data[0] != WIRE_OP_VERSION)
        return TORC_MALFORMED;
    if (bytes.data[1] != 0 || bytes.data[2] != 0 || bytes.data[3] != 0)
        return TORC_MALFORMED;
    struct wire_entry entry = {
        .clock = base_get_le64(bytes.data + 8),
        .request_count = base_get_le32(bytes.data + 4),
        .requests =
            base_bytes_of(bytes.data + WIRE_ENTRY_HEADER_SIZE, bytes.size - WIRE_ENTRY_HEADER_SIZE),
    };
    size_t request_size_min = WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE;
    if (entry.request_count == 0 || entry.request_count > entry.requests.size / request_size_min)
        return TORC_MALFORMED;
    *ret_entry = entry;
    return TORC_OK;
}

/* ---- Reading: answers ---------------------------------------------------------------------------
 */

static struct wire_result result_fields(const uint8_t *at)
{
    return (struct wire_result){
        .kind = (enum wire_result_kind)at[0],
        .error = (enum wire_error)at[1],
        .number = base_get_le64(at + 8),
        .version = base_get_le64(at + 16),
        .bytes = base_bytes_of(at + WIRE_RESULT_HEADER_SIZE, base_get_le32(at + 4)),
    };
}

static bool result_fits(const struct wire_result *result)
{
    if ((unsigned)result->kind < WIRE_RESULT_NIL || (unsigned)result->kind > WIRE_RESULT_ERROR)
        return false;
    if (result->kind == WIRE_RESULT_ERROR) {
        if ((unsigned)result->error < WIRE_ERROR_NOT_INTEGER ||
            (unsigned)result->error > WIRE_ERROR_INFINITE)
            return false;
    } else if ((unsigned)result->error != 0) {
        return false;
    }
    switch (result->kind) {
    case WIRE_RESULT_NIL:
    case WIRE_RESULT_OK:
    case WIRE_RESULT_ERROR:
        return result->bytes.size == 0 && result->number == 0;
    case WIRE_RESULT_INTEGER:
        return result->bytes.size == 0;
    case WIRE_RESULT_STAT:
        return result->bytes.size == sizeof(uint64_t);
    case WIRE_RESULT_BYTES:
    case WIRE_RESULT_KEYS:
        return true;
    }
    return false;
}

static enum torc_status answer_results_check(const struct wire_answer *answer)
{
    size_t cursor = 0;
    for (uint16_t i = 0; i < answer->result_count; i++) {
        const uint8_t *at = answer->results.data + cursor;
        size_t rest = answer->results.size - cursor;
        if (rest < WIRE_RESULT_HEADER_SIZE || base_get_le16(at + 2) != 0)
            return TORC_MALFORMED;
        if (base_get_le32(at + 4) > rest - WIRE_RESULT_HEADER_SIZE)
            return TORC_MALFORMED;
        struct wire_result result = result_fields(at);
        if (!result_fits(&result))
            return TORC_MALFORMED;
        cursor += wire_result_size(&result);
    }
    return cursor == answer->results.size ? TORC_OK : TORC_MALFORMED;
}

enum torc_status wire_answer_read(struct base_bytes bytes, struct wire_answer *ret_answer)
{
    if (bytes.size < WIRE_ANSWER_HEADER_SIZE || bytes.data[0] != WIRE_OP_VERSION)
        return TORC_MALFORMED;
    uint32_t size = base_get_le32(bytes.data + 4);
    if (size < WIRE_ANSWER_HEADER_SIZE || size > bytes.size)
        return TORC_MALFORMED;
    struct wire_answer answer = {
        .status = (enum wire_answer_status)bytes.data[1],
        .result_count = base_get_le16(bytes.data + 2),
        .number = base_get_le64(bytes.data + 8),
        .clock = base_get_le64(bytes.data + 16),
        .detail = base_get_le64(bytes.data + 24),
        .results =
            base_bytes_of(bytes.data + WIRE_ANSWER_HEADER_SIZE, size - WIRE_ANSWER_HEADER_SIZE),
        .encoded = base_bytes_of(bytes.data, size),
    };
    if ((unsigned)answer.status < WIRE_DONE || (unsigned)answer.status > WIRE_TOO_EARLY)
        return TORC_MALFORMED;
    if ((answer.result_count > 0) != (answer.status == WIRE_DONE) ||
        answer.result_count > WIRE_OPS_MAX)
        return TORC_MALFORMED;
    enum torc_status status = answer_results_check(&answer);
    if (status == TORC_OK)
        *ret_answer = answer;
    return status;
}

bool wire_result_next(const struct wire_answer *answer, size_t *cursor,
                      struct wire_result *ret_result)
{
    TORC_ASSERT(*cursor <= answer->results.size);
    if (*cursor == answer->results.size)
        return false;
    TORC_ASSERT(answer->results.size - *cursor >= WIRE_RESULT_HEADER_SIZE);
    struct wire_result result = result_fields(answer->results.data + *cursor);
    size_t size = wire_result_size(&result);
    TORC_ASSERT(size <= answer->results.size - *cursor);
    *cursor += size;
    *ret_result = result;
    return true;
}

enum torc_status wire_key_next(struct base_bytes keys, size_t *cursor, uint64_t *ret_token,
                               struct base_bytes *ret_key)
{
    TORC_ASSERT(*cursor <= keys.size);
    size_t rest = keys.size - *cursor;
    if (rest == 0)
        return TORC_NOT_FOUND;
    if (rest < WIRE_KEY_HEADER_SIZE)
        return TORC_MALFORMED;
    const uint8_t *at = keys.data + *cursor;
    size_t size = base_get_le16(at + 8);
    if (size == 0 || size > rest - WIRE_KEY_HEADER_SIZE)
        return TORC_MALFORMED;
    *cursor += WIRE_KEY_HEADER_SIZE + size;
    *ret_token = base_get_le64(at);
    *ret_key = base_bytes_of(at + WIRE_KEY_HEADER_SIZE, size);
    return TORC_OK;
}

/* ---- Writing ------------------------------------------------------------------------------------
 */

/* Bytes that stand in their place already are left there. */
static void bytes_write(uint8_t *at, struct base_bytes bytes)
{
    if (bytes.size > 0 && bytes.data != at)
        memcpy(at, bytes.data, bytes.size);
}

size_t wire_op_size(const struct wire_op *op)
{
    return WIRE_OP_HEADER_SIZE + op->key.size + op->value.size;
}

size_t wire_request_begin(uint8_t *at, size_t capacity, struct wire_client_id client,
                          uint64_t number, uint64_t last_time, uint8_t flags)
{
    TORC_ASSERT(capacity >= WIRE_REQUEST_HEADER_SIZE);
    memset(at, 0, WIRE_REQUEST_HEADER_SIZE);
    at[0] = WIRE_OP_VERSION;
    at[1] = flags;
    base_put_le64(at + 8, client.high);
    base_put_le64(at + 16, client.low);
    base_put_le64(at + 24, number);
    base_put_le64(at + 32, last_time);
    return WIRE_REQUEST_HEADER_SIZE;
}

size_t wire_op_write(uint8_t *at, size_t capacity, const struct wire_op *op)
{
    size_t size = wire_op_size(op);
    TORC_ASSERT(capacity >= size);
    TORC_ASSERT(op->key.size <= UINT16_MAX && op->value.size <= UINT32_MAX);
    at[0] = (uint8_t)op->type;
    at[1] = (uint8_t)op->condition;
    at[2] = (uint8_t)op->expiry_mode;
    at[3] = op->flags;
    base_put_le16(at + 4, (uint16_t)op->key.size);
    base_put_le16(at + 6, 0);
    base_put_le32(at + 8, (uint32_t)op->value.size);
    base_put_le64(at + 12, op->a);
    base_put_le64(at + 20, op->b);
    bytes_write(at + WIRE_OP_HEADER_SIZE, op->key);
    bytes_write(at + WIRE_OP_HEADER_SIZE + op->key.size, op->value);
    return size;
}

void wire_request_end(uint8_t *request, size_t size, uint16_t op_count)
{
    TORC_ASSERT(size >= WIRE_REQUEST_HEADER_SIZE && size <= UINT32_MAX);
    TORC_ASSERT(op_count <= WIRE_OPS_MAX);
    base_put_le16(request + 2, op_count);
    base_put_le32(request + 4, (uint32_t)size);
}

size_t wire_entry_begin(uint8_t *at, size_t capacity, uint64_t clock, uint32_t request_count)
{
    TORC_ASSERT(capacity >= WIRE_ENTRY_HEADER_SIZE);
    base_put_le32(at, WIRE_OP_VERSION);
    base_put_le32(at + 4, request_count);
    base_put_le64(at + 8, clock);
    return WIRE_ENTRY_HEADER_SIZE;
}

size_t wire_answer_begin(uint8_t *at, size_t capacity, enum wire_answer_status status,
                         uint64_t number, uint64_t clock, uint64_t detail)
{
    TORC_ASSERT(capacity >= WIRE_ANSWER_HEADER_SIZE);
    memset(at, 0, WIRE_ANSWER_HEADER_SIZE);
    at[0] = WIRE_OP_VERSION;
    at[1] = (uint8_t)status;
    base_put_le64(at + 8, number);
    base_put_le64(at + 16, clock);
    base_put_le64(at + 24, detail);
    return WIRE_ANSWER_HEADER_SIZE;
}

size_t wire_result_size(const struct wire_result *result)
{
    return WIRE_RESULT_HEADER_SIZE + result->bytes.size;
}

size_t wire_result_write(uint8_t *at, size_t capacity, const struct wire_result *result)
{
    size_t size = wire_result_size(result);
    TORC_ASSERT(capacity >= size);
    TORC_ASSERT(result->bytes.size <= UINT32_MAX);
    at[0] = (uint8_t)result->kind;
    at[1] = (uint8_t)result->error;
    base_put_le16(at + 2, 0);
    base_put_le32(at + 4, (uint32_t)result->bytes.size);
    base_put_le64(at + 8, result->number);
    base_put_le64(at + 16, result->version);
    bytes_write(at + WIRE_RESULT_HEADER_SIZE, result->bytes);
    return size;
}

void wire_answer_end(uint8_t *answer, size_t size, uint16_t result_count)
{
    TORC_ASSERT(size >= WIRE_ANSWER_HEADER_SIZE && size <= UINT32_MAX);
    TORC_ASSERT(result_count <= WIRE_OPS_MAX);
    base_put_le16(answer + 2, result_count);
    base_put_le32(answer + 4, (uint32_t)size);
}

size_t wire_key_write(uint8_t *at, size_t capacity, uint64_t token, struct base_bytes key)
{
    size_t size = WIRE_KEY_HEADER_SIZE + key.size;
    TORC_ASSERT(capacity >= size);
    TORC_ASSERT(key.size > 0 && key.size <= UINT16_MAX);
    base_put_le64(at, token);
    base_put_le16(at + 8, (uint16_t)key.size);
    bytes_write(at + WIRE_KEY_HEADER_SIZE, key);
    return size;
}
