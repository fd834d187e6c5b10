#include "router/libtorc/reply.h"

#include <criterion/criterion.h>

#include "router/libtorc/request.h"

/* The reply to a request when a leader answers with these results. */
static struct torc_reply *reply_to(const struct torc_request *request, size_t count,
                                   const struct wire_result *results)
{
    static uint8_t encoded[4096];
    struct wire_answer answer;
    size_t size = wire_answer_begin(encoded, sizeof(encoded), WIRE_DONE, 1, 2, 0);
    for (size_t i = 0; i < count; i++)
        size += wire_result_write(encoded + size, sizeof(encoded) - size, &results[i]);
    wire_answer_end(encoded, size, (uint16_t)count);
    cr_assert_eq(wire_answer_read(base_bytes_of(encoded, size), &answer), TORC_OK);
    struct router_outcome outcome = {.type = ROUTER_ANSWERED, .answer = &answer};
    struct torc_reply *reply =
        libtorc_reply_of(router_buffer_bytes(&request->ops), request->op_count, &outcome, false);
    memset(encoded, 0xee, sizeof(encoded)); /* It keeps nothing of the answer. */
    return reply;
}

/* One row of a table: an operation, what the leader says, what the reply says. */
struct row {
    const char *what;
    struct torc_write write;
    char op; /* g: get, p: put, d: delete, e: expire, k: persist, a: add. */
    struct wire_result result;
    enum torc_status status;
    enum torc_outcome outcome;
};

#define IF(...)                                                                                    \
    {                                                                                              \
        .struct_size = sizeof(struct torc_write), __VA_ARGS__                                      \
    }
#define OLD .flags = TORC_RETURN_OLD
#define NIL                                                                                        \
    {                                                                                              \
        .kind = WIRE_RESULT_NIL                                                                    \
    }
#define VALUE(text)                                                                                \
    {                                                                                              \
        .kind = WIRE_RESULT_BYTES, .bytes = {(const uint8_t *)(text), 3 }                          \
    }
#define TIMED(text)                                                                                \
    {                                                                                              \
        .kind = WIRE_RESULT_BYTES, .number = 9, .bytes = {(const uint8_t *)(text), 3 }             \
    }
#define NUMBER(n)                                                                                  \
    {                                                                                              \
        .kind = WIRE_RESULT_INTEGER, .number = (n)                                                 \
    }
#define DONE                                                                                       \
    {                                                                                              \
        .kind = WIRE_RESULT_OK                                                                     \
    }
#define FAILS(e)                                                                                   \
    {                                                                                              \
        .kind = WIRE_RESULT_ERROR, .error = (e)                                                    \
    }

static const struct row rows[] = {
    {"get", IF(0), 'g', VALUE("abc"), TORC_OK, TORC_HAPPENED},
    {"get absent", IF(0), 'g', NIL, TORC_NOT_FOUND, TORC_HAPPENED},
    {"get without room", IF(0), 'g', FAILS(WIRE_ERROR_TOO_LARGE), TORC_TOO_LARGE,
     TORC_DID_NOT_HAPPEN},
    {"put", IF(0), 'p', DONE, TORC_OK, TORC_HAPPENED},
    {"put refused", IF(.condition = TORC_IF_ABSENT), 'p', NIL, TORC_CONDITION, TORC_DID_NOT_HAPPEN},
    {"put, old", IF(OLD), 'p', VALUE("abc"), TORC_OK, TORC_HAPPENED},
    {"put, no old", IF(OLD), 'p', NIL, TORC_OK, TORC_HAPPENED},
    {"put absent, old", IF(OLD, .condition = TORC_IF_ABSENT), 'p', NIL, TORC_OK, TORC_HAPPENED},
    {"put absent, refused", IF(OLD, .condition = TORC_IF_ABSENT), 'p', VALUE("abc"), TORC_CONDITION,
     TORC_DID_NOT_HAPPEN},
    {"put present, old", IF(OLD, .condition = TORC_IF_PRESENT), 'p', VALUE("abc"), TORC_OK,
     TORC_HAPPENED},
    {"put present, refused", IF(OLD, .condition = TORC_IF_PRESENT), 'p', NIL, TORC_CONDITION,
     TORC_DID_NOT_HAPPEN},
    {"put value, old", IF(OLD, .condition = TORC_IF_VALUE, .value = {"abc", 3}), 'p', VALUE("abc"),
     TORC_OK, TORC_HAPPENED},
    {"put value, refused", IF(OLD, .condition = TORC_IF_VALUE, .value = {"abd", 3}), 'p',
     VALUE("abc"), TORC_CONDITION, TORC_DID_NOT_HAPPEN},
    {"delete", IF(0), 'd', NUMBER(1), TORC_OK, TORC_HAPPENED},
    {"delete absent", IF(0), 'd', NUMBER(0), TORC_NOT_FOUND, TORC_DID_NOT_HAPPEN},
    {"delete refused", IF(.condition = TORC_IF_VERSION, .version = 1), 'd', NIL, TORC_CONDITION,
     TORC_DID_NOT_HAPPEN},
    {"delete, old", IF(OLD), 'd', VALUE("abc"), TORC_OK, TORC_HAPPENED},
    {"delete, no old", IF(OLD), 'd', NIL, TORC_NOT_FOUND, TORC_DID_NOT_HAPPEN},
    {"delete value, refused", IF(OLD, .condition = TORC_IF_VALUE, .value = {"xyz", 3}), 'd',
     VALUE("abc"), TORC_CONDITION, TORC_DID_NOT_HAPPEN},
    {"expire", IF(.expiry = TORC_EXPIRY_RELATIVE, .expiry_ms = 1), 'e', NUMBER(1), TORC_OK,
     TORC_HAPPENED},
    {"expire absent", IF(.expiry = TORC_EXPIRY_RELATIVE, .expiry_ms = 1), 'e', NUMBER(0),
     TORC_NOT_FOUND, TORC_DID_NOT_HAPPEN},
    {"expire, old", IF(OLD, .expiry = TORC_EXPIRY_RELATIVE, .expiry_ms = 1), 'e', VALUE("abc"),
     TORC_OK, TORC_HAPPENED},
    {"expire, no old", IF(OLD, .expiry = TORC_EXPIRY_RELATIVE, .expiry_ms = 1), 'e', NIL,
     TORC_NOT_FOUND, TORC_DID_NOT_HAPPEN},
    {"persist", IF(0), 'k', NUMBER(1), TORC_OK, TORC_HAPPENED},
    {"persist for ever", IF(0), 'k', NUMBER(0), TORC_NOT_FOUND, TORC_DID_NOT_HAPPEN},
    {"persist, old", IF(OLD), 'k', TIMED("abc"), TORC_OK, TORC_HAPPENED},
    {"persist for ever, old", IF(OLD), 'k', VALUE("abc"), TORC_NOT_FOUND, TORC_DID_NOT_HAPPEN},
    {"add", IF(0), 'a', NUMBER(7), TORC_OK, TORC_HAPPENED},
    {"add to a text", IF(0), 'a', FAILS(WIRE_ERROR_NOT_INTEGER), TORC_INVALID, TORC_DID_NOT_HAPPEN},
    {"add too much", IF(0), 'a', FAILS(WIRE_ERROR_OVERFLOW), TORC_INVALID, TORC_DID_NOT_HAPPEN},
    {"bad expiry", IF(0), 'p', FAILS(WIRE_ERROR_INVALID_EXPIRY), TORC_INVALID, TORC_DID_NOT_HAPPEN},
    {"no decimal", IF(0), 'a', FAILS(WIRE_ERROR_NOT_DECIMAL), TORC_INVALID, TORC_DID_NOT_HAPPEN},
    {"endless", IF(0), 'a', FAILS(WIRE_ERROR_INFINITE), TORC_INVALID, TORC_DID_NOT_HAPPEN},
};

static void append(struct torc_request *request, const struct row *row)
{
    struct torc_bytes key = torc_text("key"), value = torc_text("new");
    enum torc_status status = row->op == 'g'   ? torc_request_get(request, key)
                              : row->op == 'p' ? torc_request_put(request, key, value, &row->write)
                              : row->op == 'd' ? torc_request_delete(request, key, &row->write)
                              : row->op == 'e' ? torc_request_expire(request, key, &row->write)
                              : row->op == 'k' ? torc_request_persist(request, key, &row->write)
                                               : torc_request_add(request, key, 1);
    cr_assert_eq(status, TORC_OK, "%s", row->what);
}

/* What one operation's result means, for each operation and each thing that may come of it. */
Test(libtorc_reply, one_operation_decides)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct torc_request *request = torc_request_new();
        append(request, row);
        struct torc_reply *reply = reply_to(request, 1, &row->result);
        cr_assert_eq(torc_reply_status(reply), row->status, "%s", row->what);
        cr_assert_eq(torc_reply_outcome(reply), row->outcome, "%s", row->what);
        cr_assert_eq(torc_reply_count(reply), 1);
        cr_assert_eq(torc_reply_result(reply, 0)->status, row->status);
        cr_assert_eq(torc_reply_failed_check(reply) == 0, row->status == TORC_CONDITION);
        cr_assert_eq(torc_reply_text(reply)[0] != '\0', row->result.kind == WIRE_RESULT_ERROR);
        if (row->result.kind == WIRE_RESULT_BYTES)
            cr_assert(memcmp(torc_reply_result(reply, 0)->bytes.data, "abc", 3) == 0);
        torc_reply_free(reply);
        torc_request_free(request);
    }
}

/* Several operations: the request happened, each result says what of it did; a copy is as good. */
Test(libtorc_reply, several_results)
{
    static const uint8_t size[8] = {9};
    const struct wire_result results[] = {
        {.kind = WIRE_RESULT_BYTES,
         .number = 77,
         .version = 5,
         .bytes = {(const uint8_t *)"ab", 2}},
        {.kind = WIRE_RESULT_STAT, .number = 78, .version = 6, .bytes = {size, 8}},
        {.kind = WIRE_RESULT_NIL, .version = 7},
        {.kind = WIRE_RESULT_INTEGER, .number = (uint64_t)-3, .version = 8},
        {.kind = WIRE_RESULT_BYTES, .version = 9},
    };
    const struct torc_write absent = {.struct_size = sizeof(absent), .condition = TORC_IF_ABSENT};
    struct torc_request *request = torc_request_new();
    torc_request_get(request, torc_text("a"));
    torc_request_stat(request, torc_text("b"));
    torc_request_put(request, torc_text("c"), torc_text("v"), &absent);
    torc_request_add(request, torc_text("d"), 1);
    torc_request_get(request, torc_text("e"));
    struct torc_reply *first = reply_to(request, 5, results);
    struct torc_reply *reply = torc_reply_copy(first);
    torc_reply_free(first);
    cr_assert(torc_reply_outcome(reply) == TORC_HAPPENED && torc_reply_status(reply) == TORC_OK);
    cr_assert_eq(torc_reply_count(reply), 5);
    cr_assert_null(torc_reply_result(reply, 5));
    const struct torc_result *result = torc_reply_result(reply, 0);
    cr_assert(result->kind == TORC_RESULT_BYTES && result->bytes.size == 2);
    cr_assert(memcmp(result->bytes.data, "ab", 2) == 0);
    cr_assert(result->version == 5 && result->expiry_ms == 77);
    result = torc_reply_result(reply, 1);
    cr_assert(result->kind == TORC_RESULT_NUMBER && result->number == 9);
    cr_assert_eq(result->expiry_ms, 78);
    result = torc_reply_result(reply, 2);
    cr_assert(result->kind == TORC_RESULT_NONE && result->status == TORC_CONDITION);
    cr_assert_eq(torc_reply_result(reply, 3)->number, -3);
    cr_assert_eq(torc_reply_result(reply, 4)->bytes.size, 0);
    torc_reply_free(reply);
    torc_reply_free(NULL);
    torc_request_free(request);
}

/* What is told when there is no answer. */
Test(libtorc_reply, outcomes_without_an_answer)
{
    static const struct {
        enum router_outcome_type type;
        bool closing;
        enum torc_outcome outcome;
        enum torc_status status, said; /* `said`: by a leader. */
    } cases[] = {
        {ROUTER_NOTHING_DONE, false, TORC_DID_NOT_HAPPEN, TORC_TIMEOUT, TORC_OK},
        {ROUTER_NOTHING_DONE, true, TORC_DID_NOT_HAPPEN, TORC_CLOSED, TORC_OK},
        {ROUTER_UNKNOWN, false, TORC_OUTCOME_UNKNOWN, TORC_UNKNOWN, TORC_OK},
        {ROUTER_UNKNOWN, true, TORC_OUTCOME_UNKNOWN, TORC_CLOSED, TORC_OK},
        {ROUTER_REFUSED, false, TORC_DID_NOT_HAPPEN, TORC_TOO_LARGE, TORC_TOO_LARGE},
        {ROUTER_REFUSED, false, TORC_DID_NOT_HAPPEN, TORC_MALFORMED, TORC_OK},
        {ROUTER_REFUSED, false, TORC_DID_NOT_HAPPEN, TORC_MALFORMED, (enum torc_status)77},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct router_outcome outcome = {
            .type = cases[i].type, .status = cases[i].said, .reason = "because"};
        struct torc_reply *reply =
            libtorc_reply_of(base_bytes_of(NULL, 0), 1, &outcome, cases[i].closing);
        cr_assert_eq(torc_reply_outcome(reply), cases[i].outcome);
        cr_assert_eq(torc_reply_status(reply), cases[i].status);
        cr_assert_str_eq(torc_reply_text(reply), "because");
        cr_assert(torc_reply_count(reply) == 0 && torc_reply_failed_check(reply) == SIZE_MAX);
        torc_reply_free(reply);
    }
}

/* A check that did not hold is named. */
Test(libtorc_reply, a_failed_check_is_named)
{
    struct wire_answer answer = {.status = WIRE_CHECK_FAILED, .detail = 3};
    struct router_outcome outcome = {.type = ROUTER_ANSWERED, .answer = &answer};
    struct torc_reply *reply = libtorc_reply_of(base_bytes_of(NULL, 0), 5, &outcome, false);
    cr_assert_eq(torc_reply_outcome(reply), TORC_DID_NOT_HAPPEN);
    cr_assert_eq(torc_reply_status(reply), TORC_CONDITION);
    cr_assert_eq(torc_reply_failed_check(reply), 3);
    torc_reply_free(reply);
}
