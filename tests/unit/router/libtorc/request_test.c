#include "router/libtorc/request.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct wire_limits limits = {4096, 8 << 20, 64 << 20};

/* Operation `index` of a request, as a leader would read it. */
static struct wire_op op_at(const struct torc_request *request, size_t index)
{
    struct wire_request read = {.op_count = request->op_count,
                                .ops = router_buffer_bytes(&request->ops)};
    struct wire_op op;
    size_t cursor = 0;
    for (size_t i = 0; i <= index; i++)
        cr_assert(wire_op_next(&read, &cursor, &op));
    return op;
}

/* Whether a leader takes the request. */
static void assert_readable(const struct torc_request *request)
{
    size_t size = WIRE_REQUEST_HEADER_SIZE + request->ops.size;
    uint8_t *encoded = malloc(size);
    struct wire_request read;
    wire_request_begin(encoded, size, (struct wire_client_id){1, 2}, 3, 4, 0);
    memcpy(encoded + WIRE_REQUEST_HEADER_SIZE, request->ops.data, request->ops.size);
    wire_request_end(encoded, size, request->op_count);
    cr_assert_eq(wire_request_read(base_bytes_of(encoded, size), &limits, &read), TORC_OK);
    free(encoded);
}

static struct torc_bytes key(void)
{
    return torc_text("key");
}

/* Every operation becomes one that a leader takes, and says so in the count. */
Test(libtorc_request, operations_are_readable)
{
    struct torc_request *request = torc_request_new();
    const struct torc_write expire = {
        .struct_size = sizeof(expire), .expiry = TORC_EXPIRY_RELATIVE, .expiry_ms = 10};
    const struct torc_write there = {.struct_size = sizeof(there), .condition = TORC_IF_PRESENT};
    enum torc_status statuses[] = {
        torc_request_get(request, key()),
        torc_request_stat(request, key()),
        torc_request_put(request, key(), torc_text("value"), NULL),
        torc_request_delete(request, key(), NULL),
        torc_request_add(request, key(), -5),
        torc_request_add_decimal(request, key(), torc_text("0.5")),
        torc_request_append(request, key(), torc_text("more")),
        torc_request_set_range(request, key(), 7, torc_text("x")),
        torc_request_get_range(request, key(), 0, -1),
        torc_request_set_bit(request, key(), 9, 1),
        torc_request_bit_count(request, key(), 0, -1, 0),
        torc_request_bit_position(request, key(), 1, 0, -1, 0),
        torc_request_expire(request, key(), &expire),
        torc_request_persist(request, key(), NULL),
        torc_request_check(request, key(), &there),
        torc_request_bit_count(request, key(), 0, -1, TORC_RANGE_BITS),
        torc_request_bit_position(request, key(), 0, 0, -1, TORC_RANGE_BITS),
        torc_request_bit_position(request, key(), 1, 5, 0, TORC_RANGE_NO_END),
    };
    size_t count = sizeof(statuses) / sizeof(statuses[0]);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(statuses[i], TORC_OK, "operation %zu", i);
    cr_assert_eq(torc_request_count(request), count);
    cr_assert(request->writes && request->flaw == TORC_OK);
    assert_readable(request);
    cr_assert(op_at(request, 4).type == WIRE_OP_ADD && (int64_t)op_at(request, 4).a == -5);
    cr_assert(op_at(request, 7).type == WIRE_OP_SET_RANGE && op_at(request, 7).a == 7);
    cr_assert_eq(op_at(request, 11).flags, WIRE_OP_ONE);
    cr_assert_eq(op_at(request, 16).flags, WIRE_OP_BITS);
    cr_assert_eq(op_at(request, 17).flags, WIRE_OP_ONE | WIRE_OP_NO_END);
    torc_request_clear(request);
    cr_assert(torc_request_count(request) == 0 && !request->writes);
    torc_request_free(request);
    torc_request_free(NULL);
}

/* Conditions travel with what they are about; the expected value stands before the new one. */
Test(libtorc_request, conditions_travel)
{
    struct torc_request *request = torc_request_new();
    struct torc_write write = {.struct_size = sizeof(write),
                               .condition = TORC_IF_VALUE,
                               .value = torc_text("old"),
                               .expiry = TORC_EXPIRY_ABSOLUTE,
                               .expiry_ms = 99,
                               .flags = TORC_RETURN_OLD};
    cr_assert_eq(torc_request_put(request, key(), torc_text("new"), &write), TORC_OK);
    struct wire_op op = op_at(request, 0);
    cr_assert(op.condition == WIRE_IF_VALUE && op.a == 3 && op.b == 99);
    cr_assert(op.expiry_mode == WIRE_EXPIRY_ABSOLUTE && op.flags == WIRE_OP_RETURN_OLD);
    cr_assert(base_bytes_equal(op.value, base_bytes_text("oldnew")));
    write = (struct torc_write){
        .struct_size = sizeof(write), .condition = TORC_IF_VERSION, .version = 17};
    cr_assert_eq(torc_request_delete(request, key(), &write), TORC_OK);
    cr_assert_eq(op_at(request, 1).a, 17);
    write = (struct torc_write){
        .struct_size = sizeof(write), .condition = TORC_IF_VALUE, .value = torc_text("")};
    cr_assert_eq(torc_request_check(request, key(), &write), TORC_OK, "an empty value is one");
    assert_readable(request);
    torc_request_free(request);
}

static const struct torc_write misfits[] = {
    {.struct_size = 0},
    {.struct_size = sizeof(struct torc_write), .condition = (enum torc_condition)10},
    {.struct_size = sizeof(struct torc_write), .expiry = (enum torc_expiry)4},
    {.struct_size = sizeof(struct torc_write), .flags = 2},
    {.struct_size = sizeof(struct torc_write), .version = 1},
    {.struct_size = sizeof(struct torc_write), .value = {"x", 1}},
    {.struct_size = sizeof(struct torc_write), .expiry_ms = 1},
    {.struct_size = sizeof(struct torc_write), .condition = TORC_IF_LATER},
    {.struct_size = sizeof(struct torc_write),
     .condition = TORC_IF_VERSION,
     .version = 1,
     .flags = TORC_RETURN_OLD},
};

/* What does not fit is refused, with the first reason, until the request is cleared. */
Test(libtorc_request, misfits_are_refused)
{
    struct torc_request *request = torc_request_new();
    static const uint8_t large[70000];
    for (size_t i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++) {
        cr_assert_eq(torc_request_put(request, key(), torc_text("v"), &misfits[i]), TORC_INVALID,
                     "misfit %zu", i);
    }
    cr_assert_eq(torc_request_check(request, key(), NULL), TORC_INVALID, "a check of nothing");
    cr_assert_eq(torc_request_expire(request, key(), NULL), TORC_INVALID, "to no time");
    cr_assert_eq(torc_request_get(request, torc_text("")), TORC_INVALID, "no key");
    cr_assert_eq(torc_request_set_bit(request, key(), 0, 2), TORC_INVALID);
    cr_assert_eq(torc_request_bit_position(request, key(), 2, 0, 0, 0), TORC_INVALID);
    cr_assert_eq(torc_request_bit_position(request, key(), 1, 0, 0, 3), TORC_INVALID);
    cr_assert_eq(torc_request_bit_position(request, key(), 1, 0, -1, TORC_RANGE_NO_END),
                 TORC_INVALID);
    cr_assert_eq(torc_request_bit_count(request, key(), 0, 0, TORC_RANGE_NO_END), TORC_INVALID);
    cr_assert_eq(torc_request_persist(request, key(), &misfits[7]), TORC_INVALID);
    cr_assert_eq(torc_request_get(request, torc_bytes(large, 70000)), TORC_TOO_LARGE);
    cr_assert(request->flaw == TORC_INVALID && torc_request_count(request) == 0);
    cr_assert_eq(torc_request_get(request, key()), TORC_OK);
    cr_assert_eq(request->flaw, TORC_INVALID, "the flaw stays");
    torc_request_clear(request);
    cr_assert_eq(request->flaw, TORC_OK);
    torc_request_free(request);
}

/* Operations and bytes are bounded. */
Test(libtorc_request, bounds_hold)
{
    struct torc_request *request = torc_request_new();
    static uint8_t large[LIBTORC_REQUEST_SIZE_MAX + 1];
    for (int i = 0; i < WIRE_OPS_MAX; i++)
        cr_assert_eq(torc_request_get(request, key()), TORC_OK);
    cr_assert_eq(torc_request_get(request, key()), TORC_TOO_LARGE);
    torc_request_clear(request);
    size_t most = LIBTORC_REQUEST_SIZE_MAX - WIRE_OP_HEADER_SIZE - 3;
    cr_assert_eq(torc_request_append(request, key(), torc_bytes(large, most + 1)), TORC_TOO_LARGE);
    cr_assert_eq(torc_request_append(request, key(), torc_bytes(large, sizeof(large))),
                 TORC_TOO_LARGE);
    cr_assert_eq(torc_request_append(request, key(), torc_bytes(large, most)), TORC_OK);
    cr_assert_eq(torc_request_get(request, key()), TORC_TOO_LARGE);
    torc_request_free(request);
}

/* A caller of another version has a shorter struct, or a longer one. */
Test(libtorc_request, structs_of_other_versions_are_read)
{
    struct { /* As a later version may have it. */
        struct torc_write write;
        uint64_t more;
    } later = {{.struct_size = sizeof(later), .flags = 1}, 5};
    struct torc_write read;
    cr_assert(libtorc_struct_read(&later, sizeof(later), &read, sizeof(read)));
    cr_assert_eq(read.flags, 1);
    cr_assert(libtorc_struct_read(&later, offsetof(struct torc_write, flags), &read, sizeof(read)));
    cr_assert_eq(read.flags, 0);
    cr_assert_not(libtorc_struct_read(&later, sizeof(size_t) - 1, &read, sizeof(read)));
}
