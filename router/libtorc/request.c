#include "router/libtorc/request.h"

#include <stdbool.h>

#include "base/alloc.h"

/* The public enums have the numbers of the wire's, so that they are copied, not translated. */
_Static_assert((int)TORC_IF_ALWAYS == (int)WIRE_IF_ALWAYS, "the wire's numbers");
_Static_assert((int)TORC_IF_ABSENT == (int)WIRE_IF_ABSENT, "the wire's numbers");
_Static_assert((int)TORC_IF_PRESENT == (int)WIRE_IF_PRESENT, "the wire's numbers");
_Static_assert((int)TORC_IF_VERSION == (int)WIRE_IF_VERSION, "the wire's numbers");
_Static_assert((int)TORC_IF_VALUE == (int)WIRE_IF_VALUE, "the wire's numbers");
_Static_assert((int)TORC_IF_NO_EXPIRY == (int)WIRE_IF_NO_EXPIRY, "the wire's numbers");
_Static_assert((int)TORC_IF_EXPIRY == (int)WIRE_IF_EXPIRY, "the wire's numbers");
_Static_assert((int)TORC_IF_LATER == (int)WIRE_IF_LATER, "the wire's numbers");
_Static_assert((int)TORC_IF_EARLIER == (int)WIRE_IF_EARLIER, "the wire's numbers");
_Static_assert((int)TORC_IF_EXPIRY_EARLIER == (int)WIRE_IF_EXPIRY_EARLIER, "the wire's numbers");
_Static_assert((int)TORC_EXPIRY_NONE == (int)WIRE_EXPIRY_NONE, "the wire's numbers");
_Static_assert((int)TORC_EXPIRY_KEEP == (int)WIRE_EXPIRY_KEEP, "the wire's numbers");
_Static_assert((int)TORC_EXPIRY_RELATIVE == (int)WIRE_EXPIRY_RELATIVE, "the wire's numbers");
_Static_assert((int)TORC_EXPIRY_ABSOLUTE == (int)WIRE_EXPIRY_ABSOLUTE, "the wire's numbers");
_Static_assert((int)TORC_RETURN_OLD == (int)WIRE_OP_RETURN_OLD, "the wire's numbers");

bool libtorc_struct_read(const void *from, size_t from_size, void *to, size_t to_size)
{
    if (from_size < sizeof(size_t))
        return false;
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    return true;
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

struct torc_request *torc_request_new(void)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct torc_request *request = base_alloc_zero(allocator, sizeof(*request));
    request->ops = router_buffer_empty(allocator);
    return request;
}

void torc_request_free(struct torc_request *request)
{
    if (request == NULL)
        return;
    router_buffer_fini(&request->ops);
    base_free(base_allocator_system(), request, sizeof(*request));
}

void torc_request_clear(struct torc_request *request)
{
    router_buffer_clear(&request->ops);
    request->op_count = 0;
    request->writes = false;
    request->flaw = TORC_OK;
}

size_t torc_request_count(const struct torc_request *request)
{
    return request->op_count;
}

/* ---- Appending
 * ----------------------------------------------------------------------------------- */

static enum torc_status spoil(struct torc_request *request, enum torc_status flaw)
{
    if (request->flaw == TORC_OK)
        request->flaw = flaw;
    return flaw;
}

static struct base_bytes bytes_of(struct torc_bytes bytes)
{
    return base_bytes_of(bytes.data, bytes.size);
}

/* Appends an operation; `front` comes before its value (the value that a PUT expects). */
static enum torc_status append(struct torc_request *request, struct torc_bytes key,
                               struct torc_bytes front, struct wire_op op)
{
    if (key.size == 0)
        return spoil(request, TORC_INVALID);
    size_t room = LIBTORC_REQUEST_SIZE_MAX - request->ops.size;
    if (key.size > UINT16_MAX || request->op_count == WIRE_OPS_MAX || front.size > room ||
        op.value.size > room || WIRE_OP_HEADER_SIZE + key.size + front.size + op.value.size > room)
        return spoil(request, TORC_TOO_LARGE);
    op.key = bytes_of(key);
    size_t head_size = WIRE_OP_HEADER_SIZE + key.size, value_size = front.size + op.value.size;
    uint8_t *at = router_buffer_grow(&request->ops, head_size + value_size);
    if (front.size > 0)
        memcpy(at + head_size, front.data, front.size);
    if (op.value.size > 0)
        memcpy(at + head_size + front.size, op.value.data, op.value.size);
    op.value = base_bytes_of(at + head_size, value_size); /* In its place, so not copied again. */
    wire_op_write(at, head_size + value_size, &op);
    request->op_count++;
    request->writes |= wire_op_writes(op.type);
    return TORC_OK;
}

static enum torc_status append_plain(struct torc_request *request, struct torc_bytes key,
                                     struct wire_op op)
{
    return append(request, key, torc_bytes(NULL, 0), op);
}

/* How an operation is done, and whether it may be done so. */
static bool write_read(const struct torc_write *from, unsigned conditions, unsigned expiries,
                       unsigned flags, struct torc_write *ret_write)
{
    struct torc_write write = {.struct_size = sizeof(write)};
    if (from != NULL && !libtorc_struct_read(from, from->struct_size, &write, sizeof(write)))
        return false;
    bool timed = write.expiry == TORC_EXPIRY_RELATIVE || write.expiry == TORC_EXPIRY_ABSOLUTE;
    if ((unsigned)write.condition > TORC_IF_EXPIRY_EARLIER ||
        (unsigned)write.expiry > TORC_EXPIRY_ABSOLUTE || (conditions >> write.condition & 1) == 0 ||
        (expiries >> write.expiry & 1) == 0 || (write.flags & ~flags) != 0)
        return false;
    /* What it says otherwise would be taken for granted. */
    if ((write.condition != TORC_IF_VERSION && write.version != 0) ||
        (write.condition != TORC_IF_VALUE && write.value.size != 0) ||
        (!timed && write.expiry_ms != 0))
        return false;
    /* The old value does not tell whether the condition held. */
    if (write.condition == TORC_IF_VERSION && (write.flags & TORC_RETURN_OLD) != 0)
        return false;
    *ret_write = write;
    return true;
}

enum {
    IF_ANY = 1 << TORC_IF_ALWAYS,
    IF_STATE =
        1 << TORC_IF_ABSENT | 1 << TORC_IF_PRESENT | 1 << TORC_IF_VERSION | 1 << TORC_IF_VALUE,
    IF_EXPIRES = 1 << TORC_IF_NO_EXPIRY | 1 << TORC_IF_EXPIRY | 1 << TORC_IF_LATER |
                 1 << TORC_IF_EARLIER | 1 << TORC_IF_EXPIRY_EARLIER,
    EXPIRY_NONE = 1 << TORC_EXPIRY_NONE,
    EXPIRY_TIMED = 1 << TORC_EXPIRY_RELATIVE | 1 << TORC_EXPIRY_ABSOLUTE,
};

static struct wire_op op_of(enum wire_op_type type, const struct torc_write *write)
{
    return (struct wire_op){
        .type = type,
        .condition = (enum wire_condition)write->condition,
        .expiry_mode = (enum wire_expiry_mode)write->expiry,
        .flags = (uint8_t)write->flags,
        .a = write->version,
        .b = (uint64_t)write->expiry_ms,
    };
}

/* ---- Operations
 * ---------------------------------------------------------------------------------- */

enum torc_status torc_request_get(struct torc_request *request, struct torc_bytes key)
{
    return append_plain(request, key, (struct wire_op){.type = WIRE_OP_GET});
}

enum torc_status torc_request_stat(struct torc_request *request, struct torc_bytes key)
{
    return append_plain(request, key, (struct wire_op){.type = WIRE_OP_STAT});
}

enum torc_status torc_request_put(struct torc_request *request, struct torc_bytes key,
                                  struct torc_bytes value, const struct torc_write *write)
{
    struct torc_write read;
    unsigned expiries = EXPIRY_NONE | EXPIRY_TIMED | 1 << TORC_EXPIRY_KEEP;
    if (!write_read(write, IF_ANY | IF_STATE, expiries, TORC_RETURN_OLD, &read))
        return spoil(request, TORC_INVALID);
    struct wire_op op = op_of(WIRE_OP_PUT, &read);
    op.value = bytes_of(value);
    if (read.condition == TORC_IF_VALUE)
        op.a = read.value.size;
    return append(request, key, read.value, op);
}

enum torc_status torc_request_delete(struct torc_request *request, struct torc_bytes key,
                                     const struct torc_write *write)
{
    struct torc_write read;
    unsigned conditions = IF_ANY | 1 << TORC_IF_VERSION | 1 << TORC_IF_VALUE;
    if (!write_read(write, conditions, EXPIRY_NONE, TORC_RETURN_OLD, &read))
        return spoil(request, TORC_INVALID);
    return append(request, key, read.value, op_of(WIRE_OP_DELETE, &read));
}

enum torc_status torc_request_add(struct torc_request *request, struct torc_bytes key,
                                  int64_t delta)
{
    return append_plain(request, key, (struct wire_op){.type = WIRE_OP_ADD, .a = (uint64_t)delta});
}

enum torc_status torc_request_add_decimal(struct torc_request *request, struct torc_bytes key,
                                          struct torc_bytes fraction)
{
    struct wire_op op = {.type = WIRE_OP_ADD_DECIMAL, .value = bytes_of(fraction)};
    return append_plain(request, key, op);
}

enum torc_status torc_request_append(struct torc_request *request, struct torc_bytes key,
                                     struct torc_bytes value)
{
    struct wire_op op = {.type = WIRE_OP_APPEND, .value = bytes_of(value)};
    return append_plain(request, key, op);
}

enum torc_status torc_request_set_range(struct torc_request *request, struct torc_bytes key,
                                        uint64_t offset, struct torc_bytes value)
{
    struct wire_op op = {.type = WIRE_OP_SET_RANGE, .a = offset, .value = bytes_of(value)};
    return append_plain(request, key, op);
}

enum torc_status torc_request_get_range(struct torc_request *request, struct torc_bytes key,
                                        int64_t first, int64_t last)
{
    struct wire_op op = {.type = WIRE_OP_GET_RANGE, .a = (uint64_t)first, .b = (uint64_t)last};
    return append_plain(request, key, op);
}

enum torc_status torc_request_set_bit(struct torc_request *request, struct torc_bytes key,
                                      uint64_t bit, unsigned value)
{
    if (value > 1)
        return spoil(request, TORC_INVALID);
    return append_plain(request, key,
                        (struct wire_op){.type = WIRE_OP_SET_BIT, .a = bit, .b = value});
}

enum torc_status torc_request_bit_count(struct torc_request *request, struct torc_bytes key,
                                        int64_t first, int64_t last, unsigned flags)
{
    if ((flags & ~(unsigned)TORC_RANGE_BITS) != 0)
        return spoil(request, TORC_INVALID);
    struct wire_op op = {.type = WIRE_OP_BIT_COUNT,
                         .flags = flags == TORC_RANGE_BITS ? WIRE_OP_BITS : 0,
                         .a = (uint64_t)first,
                         .b = (uint64_t)last};
    return append_plain(request, key, op);
}

enum torc_status torc_request_bit_position(struct torc_request *request, struct torc_bytes key,
                                           unsigned value, int64_t first, int64_t last,
                                           unsigned flags)
{
    bool no_end = flags == TORC_RANGE_NO_END;
    if (value > 1 || flags > TORC_RANGE_NO_END || (no_end && last != 0))
        return spoil(request, TORC_INVALID);
    unsigned how = (value == 1 ? WIRE_OP_ONE : 0) | (no_end ? WIRE_OP_NO_END : 0) |
                   (flags == TORC_RANGE_BITS ? WIRE_OP_BITS : 0);
    struct wire_op op = {.type = WIRE_OP_BIT_POSITION,
                         .flags = (uint8_t)how,
                         .a = (uint64_t)first,
                         .b = (uint64_t)last};
    return append_plain(request, key, op);
}

enum torc_status torc_request_expire(struct torc_request *request, struct torc_bytes key,
                                     const struct torc_write *write)
{
    struct torc_write read;
    if (!write_read(write, IF_ANY | IF_EXPIRES, EXPIRY_TIMED, TORC_RETURN_OLD, &read) ||
        (read.flags != 0 && read.condition != TORC_IF_ALWAYS))
        return spoil(request, TORC_INVALID);
    return append_plain(request, key, op_of(WIRE_OP_EXPIRE, &read));
}

enum torc_status torc_request_persist(struct torc_request *request, struct torc_bytes key,
                                      const struct torc_write *write)
{
    struct torc_write read;
    if (!write_read(write, IF_ANY, EXPIRY_NONE, TORC_RETURN_OLD, &read))
        return spoil(request, TORC_INVALID);
    return append_plain(request, key, op_of(WIRE_OP_PERSIST, &read));
}

enum torc_status torc_request_check(struct torc_request *request, struct torc_bytes key,
                                    const struct torc_write *write)
{
    struct torc_write read;
    if (!write_read(write, IF_STATE, EXPIRY_NONE, 0 /* flags */, &read))
        return spoil(request, TORC_INVALID);
    return append(request, key, read.value, op_of(WIRE_OP_CHECK, &read));
}
