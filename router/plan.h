/*
 * router/plan -- from the words of a data command to the operations that do it, and back from their
 * results to a reply. Pure arithmetic over words: knows nothing of groups, time or connections.
 */
#ifndef TORC_ROUTER_PLAN_H
#define TORC_ROUTER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"
#include "router/command.h"
#include "wire/op.h"

/* What is made of the results. */
enum router_plan_reply {
    ROUTER_PLAN_OK,      /* OK; a condition that did not hold: null. */
    ROUTER_PLAN_VALUE,   /* The bytes, or null. */
    ROUTER_PLAN_INTEGER, /* The number; absent: 0. */
    ROUTER_PLAN_SUM,     /* The sum of the numbers, a present key being 1. */
    ROUTER_PLAN_SIZE,    /* The size of the value, absent: 0. */
    ROUTER_PLAN_TYPE,
    ROUTER_PLAN_TTL_SECONDS,
    ROUTER_PLAN_TTL_MS,
    ROUTER_PLAN_VALUES, /* An array of values and nulls. */
    ROUTER_PLAN_DONE,   /* 1; a condition that did not hold: 0. */
    ROUTER_PLAN_EXPIRY_SECONDS,
    ROUTER_PLAN_EXPIRY_MS,
    ROUTER_PLAN_RANGE,    /* The bytes; absent: none. */
    ROUTER_PLAN_OBJECT,   /* Of OBJECT and MEMORY USAGE: router/object.h. */
    ROUTER_PLAN_TOGETHER, /* All or nothing, with a condition on each key: 1 or 0. */
    ROUTER_PLAN_DERIVED,  /* Computed by the router from values: router/derive.c. */
    ROUTER_PLAN_DUMP,     /* The bytes in the form of router/dump, or null. */
    ROUTER_PLAN_RESTORE,  /* OK; a condition that did not hold: BUSYKEY. */
    ROUTER_PLAN_WALK,     /* Over all groups: router/walk.h. */
};

struct router_plan {
    const struct router_command *command;
    enum router_plan_reply reply;
    bool writes;
    size_t op_count;   /* One per key. */
    size_t first_key;  /* Which word it is. */
    size_t key_step;   /* Words from key to key. */
    struct wire_op op; /* Everything but key and value of each, and both of the first. */
};

/*
 * Makes the plan of a command whose arity is right. False: the words are wrong; then Redis's error
 * was appended to `error`. The plan borrows from `args` and, when the value had to be
 * unpacked (RESTORE), from `error`, to which it was appended then.
 */
bool router_plan_make(const struct router_command *command, const struct base_bytes *args,
                      size_t arg_count, const struct wire_limits *limits,
                      struct router_plan *ret_plan, struct router_buffer *error);
/* Operation i of a plan, borrowing from `args`. */
struct wire_op router_plan_op(const struct router_plan *plan, const struct base_bytes *args,
                              size_t i);

/* The reply to a plan of one operation. `clock` is the group's when it ran. */
void router_plan_answer(enum router_plan_reply reply, const struct router_command *command,
                        const struct wire_result *result, uint64_t clock, unsigned protocol,
                        struct router_buffer *out);
/* What one operation of several adds to a sum. */
int64_t router_plan_count(const struct wire_result *result);
/* Redis's text for an operation's error: "ERR ..." appended to `out`, without line end. */
void router_plan_error(const struct router_command *command, enum wire_error error,
                       struct router_buffer *out);

#endif /* TORC_ROUTER_PLAN_H */
