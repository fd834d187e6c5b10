/* Redis's protocol as it comes from a client: one command, or many that arrived together. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "benchmarks/micro/part.h"
#include "router/resp.h"

enum { COMMAND_SIZE_MAX = 512, WIDTH_MAX = 16 };

struct parsing {
    const struct base_allocator *allocator;
    struct router_resp resp;
    unsigned width;
    size_t size;
    char bytes[WIDTH_MAX * COMMAND_SIZE_MAX];
};

static void *begin(const struct base_allocator *allocator, const char *folder, unsigned width)
{
    static const struct router_resp_limits limits = {1024, 1 << 20, 1 << 21};
    (void)folder;
    struct parsing *parsing = base_alloc_zero(allocator, sizeof(*parsing));
    parsing->allocator = allocator;
    parsing->width = width;
    router_resp_init(&parsing->resp, allocator, &limits);
    for (unsigned i = 0; i < width; i++) {
        int size = snprintf(parsing->bytes + parsing->size, sizeof(parsing->bytes) - parsing->size,
                            "*3\r\n$3\r\nSET\r\n$16\r\nkey%013u\r\n$%d\r\n%0*d\r\n", i,
                            PART_VALUE_SIZE, PART_VALUE_SIZE, 0);
        parsing->size += (size_t)size;
    }
    return parsing;
}

static void run(void *context)
{
    struct parsing *parsing = context;
    struct base_bytes rest = base_bytes_of(parsing->bytes, parsing->size);
    for (unsigned i = 0; i < parsing->width; i++) {
        size_t used;
        enum router_resp_status status = router_resp_read(&parsing->resp, rest, &used);
        TORC_ASSERT(status == ROUTER_RESP_COMMAND && parsing->resp.arg_count == 3);
        rest = base_bytes_of(rest.data + used, rest.size - used);
    }
    TORC_ASSERT(rest.size == 0);
}

static void end(void *context)
{
    struct parsing *parsing = context;
    router_resp_fini(&parsing->resp);
    base_free(parsing->allocator, parsing, sizeof(*parsing));
}

const struct part parts_resp[] = {
    {"RESP parse: a SET", 1, begin, run, end},
    {"RESP parse: a SET, 16 together", 16, begin, run, end},
    {NULL, 0, NULL, NULL, NULL},
};
