/*
 * tests/history/model -- what one key would do if operations came one at a time: the sequential
 * specification that a history is held against.
 */
#ifndef TORC_TESTS_HISTORY_MODEL_H
#define TORC_TESTS_HISTORY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/history/history.h"

/* The whole state of a key. Equal states must be equal field by field. */
struct history_state {
    uint32_t value;   /* HISTORY_ABSENT at the beginning. */
    uint64_t version; /* 0: absent, or no answer told it. */
};

enum {
    HISTORY_ANY = UINT32_MAX,      /* No exact value is known. */
    HISTORY_SAME = UINT32_MAX - 1, /* The value stays. */
};

enum history_order { HISTORY_BY_NOTHING = 0, HISTORY_BY_NUMBER, HISTORY_BY_SIZE, HISTORY_ORDERS };

/*
 * What can be said of an operation without knowing the state; it makes the search fast. Each field
 * may be weaker than the truth, never stronger.
 */
struct history_profile {
    uint32_t requires; /* Fits only this value (UNKNOWN: does something only there), or ANY. */
    uint32_t produces; /* Leaves this value if it does anything, or SAME, or ANY. */
    bool plain;        /* Nothing else matters: it fits every state with that value (with ANY: every
                          state), and leaves one that depends on `produces` alone. */
    enum history_order grows; /* Where it changes the value, the new one is larger in this order. */
};

struct history_model {
    void (*profile)(struct history_values *values, const struct history_op *op,
                    struct history_profile *ret_profile);
    /* Whether the operation with the answer that it got fits this state, and the state after it. An
     * UNKNOWN operation fits every state; where it does nothing the state stays equal. */
    bool (*step)(struct history_values *values, const struct history_state *state,
                 const struct history_op *op, struct history_state *ret_state);
    /* Of an operation that produces ANY: whether it could leave this value. */
    bool (*may_produce)(const struct history_values *values, const struct history_op *op,
                        uint32_t value);
    /* Whether operations that grow in this order could lead from one value to another. */
    bool (*may_grow)(const struct history_values *values, enum history_order order, uint32_t from,
                     uint32_t to);
};

/*
 * torc's strings: get, put with conditions, delete, add, append, set range. Versions are checked as
 * far as answers tell them: a read must see the last write's, and a write's must be higher than
 * the one before. That of an absent key is its vnode's, which one key's history cannot know, so a
 * condition on it may go either way.
 */
extern const struct history_model history_string_model;

#endif /* TORC_TESTS_HISTORY_MODEL_H */
