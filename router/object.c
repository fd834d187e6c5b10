#include "router/object.h"

#include "base/assert.h"
#include "router/glob.h"
#include "router/number.h"
#include "router/reply.h"

enum {
    EMBEDDED_SIZE_MAX = 44, /* Redis keeps longer strings apart from their object. */
    /* What a replica stores with each key: the store's key begins with 13 bytes, its value with 16;
     * with 21 and 8 in the index of those that expire. */
    ROW_SIZE = 13 + 16,
    INDEX_ROW_SIZE = 21 + 8,
};

/* [SAMPLES count], as often as one likes. */
bool router_object_words(const struct router_command *command, const struct base_bytes *args,
                         size_t arg_count, struct router_buffer *error)
{
    if (command->id != ROUTER_MEMORY_USAGE)
        return true;
    for (size_t i = 3; i < arg_count; i += 2) {
        int64_t samples = -1;
        bool pair =
            i + 1 < arg_count && router_glob_match_nocase(base_bytes_text("samples"), args[i]);
        if (pair && !router_number_read(args[i + 1], &samples)) {
            router_buffer_text(error, "ERR value is not an integer or out of range");
            return false;
        }
        if (samples < 0) {
            router_buffer_text(error, "ERR syntax error");
            return false;
        }
    }
    return true;
}

struct wire_op router_object_op(const struct router_command *command)
{
    if (command->id == ROUTER_OBJECT_ENCODING)
        return (struct wire_op){.type = WIRE_OP_GET_RANGE, .b = EMBEDDED_SIZE_MAX};
    return (struct wire_op){.type = WIRE_OP_STAT};
}

/* `start` is all of the value, or more of it than Redis would embed. */
static const char *encoding(struct base_bytes start)
{
    int64_t number;
    if (router_number_read(start, &number))
        return "int";
    return start.size <= EMBEDDED_SIZE_MAX ? "embstr" : "raw";
}

static int64_t usage(size_t key_size, const struct wire_result *result)
{
    uint64_t value_size = result->bytes.size == 8 ? base_get_le64(result->bytes.data) : 0;
    uint64_t size = ROW_SIZE + key_size + value_size;
    if (result->number != 0)
        size += INDEX_ROW_SIZE + key_size;
    return (int64_t)size;
}

void router_object_answer(const struct router_command *command, size_t key_size,
                          const struct wire_result *result, unsigned protocol,
                          struct router_buffer *out)
{
    if (result->kind == WIRE_RESULT_NIL) {
        router_reply_null(out, protocol);
        return;
    }
    switch (command->id) {
    case ROUTER_OBJECT_ENCODING:
        router_reply_bulk_text(out, encoding(result->bytes));
        break;
    case ROUTER_OBJECT_FREQ:
        router_reply_error(out, "ERR An LFU maxmemory policy is not selected, access frequency not "
                                "tracked. Please note that when switching between policies at "
                                "runtime LRU and LFU data will take some time to adjust.");
        break;
    case ROUTER_OBJECT_IDLETIME:
        router_reply_integer(out, 0);
        break;
    case ROUTER_OBJECT_REFCOUNT:
        router_reply_integer(out, 1);
        break;
    case ROUTER_MEMORY_USAGE:
        router_reply_integer(out, usage(key_size, result));
        break;
    default:
        TORC_ASSERT(!"neither OBJECT nor MEMORY USAGE");
    }
}
