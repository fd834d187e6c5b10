#include "router/bitop.h"

#include <string.h>

#include "router/glob.h"
#include "wire/op.h"

static enum router_bitop bitop_read(struct base_bytes word)
{
    static const char *const names[] = {"AND", "OR", "XOR", "NOT"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (router_glob_match_nocase(base_bytes_text(names[i]), word))
            return (enum router_bitop)(ROUTER_BITOP_AND + i);
    }
    return 0;
}

bool router_bitop_check(const struct base_bytes *args, size_t arg_count,
                        struct router_buffer *error)
{
    enum router_bitop bitop = bitop_read(args[1]);
    if (bitop == 0)
        router_buffer_text(error, "ERR syntax error");
    else if (bitop == ROUTER_BITOP_NOT && arg_count != 4)
        router_buffer_text(error, "ERR BITOP NOT must be called with a single source key.");
    else if (arg_count - 3 >= WIRE_OPS_MAX)
        router_buffer_format(error, "ERR too many keys: the limit is %u sources",
                             (unsigned)WIRE_OPS_MAX - 1);
    else
        return true;
    return false;
}

enum router_bitop router_bitop_of(const struct base_bytes *args)
{
    return bitop_read(args[1]);
}

static uint8_t byte_fold(enum router_bitop bitop, uint8_t a, uint8_t b)
{
    switch (bitop) {
    case ROUTER_BITOP_AND:
        return a & b;
    case ROUTER_BITOP_OR:
        return a | b;
    case ROUTER_BITOP_XOR:
        return a ^ b;
    case ROUTER_BITOP_NOT:
        break;
    }
    return (uint8_t)~b;
}

void router_bitop_fold(enum router_bitop bitop, bool first, struct base_bytes source,
                       struct router_buffer *result)
{
    size_t had = result->size;
    if (source.size > had) {
        size_t more = source.size - had;
        uint8_t *at = router_buffer_grow(result, more);
        memset(at, 0, more);
    }
    /* The first is folded into what leaves it as it is. */
    if (first && bitop == ROUTER_BITOP_AND && result->size > 0)
        memset(result->data, 0xff, result->size);
    for (size_t i = 0; i < source.size; i++)
        result->data[i] = byte_fold(bitop, result->data[i], source.data[i]);
    if (bitop == ROUTER_BITOP_AND && result->size > source.size)
        memset(result->data + source.size, 0, result->size - source.size);
}
