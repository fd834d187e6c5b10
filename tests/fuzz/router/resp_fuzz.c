/* Bytes of a client: the parser takes them whole and cut in two, and must find the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "router/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct router_resp_limits limits = {64, 4096, 8192};

/* Reads what is there; `at` goes on. Returns the last status; the words go into *hash. */
static enum router_resp_status read_some(struct router_resp *resp, const uint8_t *data, size_t end,
                                         size_t *at, uint64_t *hash)
{
    for (;;) {
        size_t used = 0, size = end - *at;
        /* A copy of exactly what is there, so that the sanitizer sees a read past it. */
        uint8_t *copy = malloc(size > 0 ? size : 1);
        memcpy(copy, data + *at, size);
        enum router_resp_status status = router_resp_read(resp, base_bytes_of(copy, size), &used);
        if (status == ROUTER_RESP_COMMAND) {
            TORC_ASSERT(used > 0 && used <= size);
            TORC_ASSERT(resp->arg_count <= limits.args_max || data[*at] != '*');
            for (size_t i = 0; i < resp->arg_count; i++)
                *hash = base_hash_seeded(resp->args[i], *hash + 1);
            *hash = *hash * 31 + resp->arg_count;
            *at += used;
        }
        free(copy);
        if (status != ROUTER_RESP_COMMAND)
            return status;
    }
}

static uint64_t read_all(const uint8_t *data, size_t size, size_t cut)
{
    struct router_resp resp;
    uint64_t hash = 0;
    size_t at = 0;
    router_resp_init(&resp, base_allocator_system(), &limits);
    enum router_resp_status status = read_some(&resp, data, cut, &at, &hash);
    if (status == ROUTER_RESP_MORE)
        status = read_some(&resp, data, size, &at, &hash);
    if (status == ROUTER_RESP_ERROR)
        hash = base_hash_seeded(base_bytes_text(resp.error), hash);
    router_resp_fini(&resp);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole = read_all(data, size, size);
    size_t cut = size == 0 ? 0 : data[size - 1] % size;
    TORC_ASSERT(read_all(data, size, cut) == whole);
    return 0;
}
