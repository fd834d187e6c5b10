/*
 * router/libtorc/call -- a call under way, on its way through the library:
 *
 *     a caller's thread        the library's thread              a caller's thread, or the
 * library's made, QUEUED (queue) ──▶ taken, with the courier (client) ──▶ its reply is told
 *
 * It belongs to whoever has it; the queue is what threads share, under the handle's lock.
 */
#ifndef TORC_ROUTER_LIBTORC_CALL_H
#define TORC_ROUTER_LIBTORC_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/status.h"
#include "router/buffer.h"
#include "router/torc.h"
#include "wire/op.h"

/* A step over all groups, behind scans, counts and clears. The caller's, as long as the call. */
struct libtorc_walk {
    enum wire_op_type type; /* SCAN, COUNT or CLEAR. */
    uint64_t first;         /* The token at which it begins. */
    uint64_t count;         /* Keys asked of each group at a time. */
    uint64_t timeout_us;    /* Of each step. */

    uint32_t pending;          /* Groups that have not answered. */
    bool bounded;              /* SCAN: some group has not come to its end: */
    uint64_t bound;            /* all are complete below this token. */
    struct router_buffer rows; /* SCAN: what the groups have given, see wire_key_next. */
    uint64_t sum;              /* COUNT, CLEAR: keys. */
    enum torc_status status;   /* The first that was not TORC_OK. */
    bool unknown;              /* CLEAR: some step's outcome is. */
};

struct libtorc_call {
    uint8_t *ops; /* Encoded; owned. */
    size_t ops_size;
    uint16_t op_count;
    uint8_t flags; /* WIRE_REQUEST_*. */
    uint32_t staleness_ms;
    uint64_t deadline_us;
    struct libtorc_walk *walk; /* In place of operations; borrowed. */

    torc_done done; /* NULL: nobody wants to know, or somebody waits. */
    void *context;
    void *waiter;             /* Of a synchronous call; the shell's. */
    struct torc_reply *reply; /* Once it is done; owned. A walk has one too. */
    struct libtorc_call *next;
};

struct libtorc_list { /* First in, first out. */
    struct libtorc_call *first, *last;
};

/* A call of these operations, which are copied. */
struct libtorc_call *libtorc_call_new(struct base_bytes ops, uint16_t op_count);
void libtorc_call_free(struct libtorc_call *call); /* With its reply. */

void libtorc_list_append(struct libtorc_list *list, struct libtorc_call *call);
/* NULL: it is empty. */
struct libtorc_call *libtorc_list_take(struct libtorc_list *list);

#endif /* TORC_ROUTER_LIBTORC_CALL_H */
