/* Walks over all keys, step by step: each step asks all groups at once. */
#include <stdlib.h>

#include "base/assert.h"
#include "router/libtorc/driver/handle.h"
#include "router/libtorc/driver/io.h"
#include "router/libtorc/request.h"

enum {
    PAGE_PRESET = 1000,
    PAGE_MAX = 100000,
    COUNT_STEP = 10000, /* Keys counted, and deleted, by one operation. */
    CLEAR_STEP = 1000,
};

struct torc_scan {
    struct torc *torc;
    struct libtorc_walk walk; /* The newest step; its rows are given out one by one. */
    size_t cursor;            /* In them. */
    bool started, timed;      /* `timed`: the timeout is one that the handle allows. */
};

/* Does a walk and waits for its end. */
static enum torc_status walk_wait(struct torc *torc, struct libtorc_walk *walk)
{
    struct libtorc_call *call = libtorc_call_new(base_bytes_of(NULL, 0), 0);
    call->walk = walk;
    call->deadline_us = libtorc_io_now_us() + walk->timeout_us;
    struct torc_reply *reply = libtorc_handle_wait(torc, call);
    enum torc_status status = torc_reply_status(reply);
    torc_reply_free(reply);
    return status;
}

/* ---- Scan
 * ---------------------------------------------------------------------------------------- */

struct torc_scan *torc_scan_open(struct torc *torc, const struct torc_scan_options *options)
{
    struct torc_scan_options read = {.struct_size = sizeof(read)};
    struct torc_scan *scan = calloc(1, sizeof(*scan));
    TORC_ASSERT(scan != NULL);
    bool fits =
        options == NULL || libtorc_struct_read(options, options->struct_size, &read, sizeof(read));
    scan->torc = torc;
    scan->walk = (struct libtorc_walk){
        .type = WIRE_OP_SCAN,
        .first = read.start & ~UINT64_C(1),
        .count = read.page == 0         ? PAGE_PRESET
                 : read.page > PAGE_MAX ? PAGE_MAX
                                        : read.page,
        .rows = router_buffer_empty(base_allocator_system()),
    };
    scan->timed = fits && libtorc_handle_timeout(torc, read.timeout_ms, &scan->walk.timeout_us);
    return scan;
}

void torc_scan_close(struct torc_scan *scan)
{
    if (scan == NULL)
        return;
    router_buffer_fini(&scan->walk.rows);
    free(scan);
}

/* Fetches the keys from walk.first on. */
static enum torc_status step(struct torc_scan *scan)
{
    struct libtorc_walk *walk = &scan->walk;
    uint64_t count = walk->count;
    enum torc_status status;
    do {
        walk->bounded = walk->unknown = false;
        walk->bound = 0;
        walk->status = TORC_OK;
        router_buffer_clear(&walk->rows);
        status = walk_wait(scan->torc, walk);
        walk->bound &= ~UINT64_C(1); /* Two tokens share a position. */
        walk->count *= 2;            /* Should so little have been asked for that nothing came. */
    } while (status == TORC_OK && walk->bounded && walk->bound <= walk->first);
    walk->count = count;
    scan->cursor = 0;
    scan->started = status == TORC_OK;
    if (status != TORC_OK)
        router_buffer_clear(&walk->rows);
    return status;
}

enum torc_status torc_scan_next(struct torc_scan *scan, struct torc_bytes *ret_key)
{
    struct libtorc_walk *walk = &scan->walk;
    if (!scan->timed)
        return TORC_INVALID;
    for (;;) {
        uint64_t token;
        struct base_bytes key;
        enum torc_status status = TORC_NOT_FOUND;
        if (scan->started)
            status = wire_key_next(router_buffer_bytes(&walk->rows), &scan->cursor, &token, &key);
        if (status == TORC_OK && (!walk->bounded || token < walk->bound)) {
            *ret_key = torc_bytes(key.data, key.size);
            return TORC_OK;
        }
        if (status == TORC_OK)
            continue; /* Beyond what all groups have answered: met again in the next step. */
        if (status != TORC_NOT_FOUND || (scan->started && !walk->bounded))
            return status;
        if (scan->started)
            walk->first = walk->bound;
        status = step(scan);
        if (status != TORC_OK)
            return status;
    }
}

uint64_t torc_scan_position(const struct torc_scan *scan)
{
    return scan->walk.first; /* Within a step keys come group by group, in no order of their own. */
}

/* ---- Counting, clearing
 * -------------------------------------------------------------------------- */

static enum torc_status walk_all(struct torc *torc, const struct torc_call_options *options,
                                 struct libtorc_walk *walk)
{
    struct torc_call_options read = {.struct_size = sizeof(read)};
    if (options != NULL && !libtorc_struct_read(options, options->struct_size, &read, sizeof(read)))
        return TORC_INVALID;
    if (!libtorc_handle_timeout(torc, read.timeout_ms, &walk->timeout_us))
        return TORC_INVALID;
    return walk_wait(torc, walk);
}

enum torc_status torc_count(struct torc *torc, const struct torc_call_options *options,
                            uint64_t *ret_count)
{
    struct libtorc_walk walk = {.type = WIRE_OP_COUNT, .count = COUNT_STEP};
    enum torc_status status = walk_all(torc, options, &walk);
    if (status == TORC_OK)
        *ret_count = walk.sum;
    return status;
}

enum torc_status torc_clear(struct torc *torc, const struct torc_call_options *options)
{
    struct libtorc_walk walk = {.type = WIRE_OP_CLEAR, .count = CLEAR_STEP};
    return walk_all(torc, options, &walk);
}
