/*
 * router/walk_int -- a walk's state: shared by walk.c (all of them, and SCAN, DBSIZE and FLUSHALL)
 * and keys.c (KEYS and RANDOMKEY, which go on where SCAN would give a cursor out).
 */
#ifndef TORC_ROUTER_WALK_INT_H
#define TORC_ROUTER_WALK_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "router/router_int.h"
#include "wire/op.h"

enum { ROUTER_WALK_COUNT_MAX = 10000 }; /* Keys asked of one group at once. */

struct router_walk {
    enum wire_op_type type;
    uint64_t first;         /* SCAN: the token at which this step begins. */
    uint64_t count;         /* Keys asked of each group. */
    bool begun;             /* The groups were asked: there is a map. */
    bool bounded;           /* SCAN: some group has not come to the end: */
    uint64_t bound;         /* all are complete below this token. */
    bool matching, nothing; /* A pattern is given; a type that no key has. */
    struct router_buffer pattern;
    struct router_buffer rows; /* What the groups have given. */
    /* KEYS: replies, RANDOMKEY: rows, of all steps until now. */
    struct router_buffer found;
    size_t found_count;
    bool too_large;  /* KEYS: the answer would be. */
    bool wrapped;    /* RANDOMKEY: the end of the ring was passed: */
    uint64_t origin; /* it ends here, where it began. */
};

/* walk.c */
/* Takes the next row of a list of keys; false: at the end, or cut off. */
bool router_walk_row(struct base_bytes rows, size_t *at, uint64_t *ret_token,
                     struct base_bytes *ret_key);
/* Whether SCAN gives a row out: all groups are complete there, and it is asked for. */
bool router_walk_wanted(const struct router_walk *walk, uint64_t token, struct base_bytes key);
/* Asks all groups for what comes from `first` on; what they gave before is dropped. */
void router_walk_step(struct router *router, struct router_call *call, uint64_t first);

/* keys.c */
void router_keys_begin(struct router *router, const struct router_command *command,
                       const struct base_bytes *args, struct router_walk *walk);
/* All groups have answered. False: it was not enough, and they were asked again. */
bool router_keys_end(struct router *router, struct router_call *call);
/* The reply, when that was true. */
void router_keys_reply(struct router *router, struct router_call *call, struct router_buffer *out);

#endif /* TORC_ROUTER_WALK_INT_H */
