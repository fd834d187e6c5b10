/*
 * A real atomic register with clients that overlap: makes histories that are linearizable because
 * they happened. It shares no code with the model: values are plain C strings.
 */
#ifndef TORC_TESTS_UNIT_HISTORY_REGISTER_H
#define TORC_TESTS_UNIT_HISTORY_REGISTER_H

#include "base/prng.h"
#include "tests/history/history.h"

enum register_mix {
    REGISTER_SET_GET,    /* Blind puts of unique values, and gets. */
    REGISTER_INCREMENT,  /* Adds and gets. */
    REGISTER_APPEND,     /* Appends of unique parts, and gets. */
    REGISTER_SWAP,       /* Puts, blind, if absent or if a value is there, and gets. */
    REGISTER_EVERYTHING, /* All kinds and conditions, values from a small set, no versions. */
    REGISTER_VERSIONED,  /* All kinds and conditions, every answer tells its version. */
    REGISTER_MIX_COUNT,
};

struct register_options {
    uint64_t seed;
    enum register_mix mix;
    size_t op_count;
    uint32_t client_count;
    uint32_t unknown_permille; /* Of the operations: never answered; half of them happen, late. */
    uint32_t value_count;      /* SWAP, EVERYTHING, VERSIONED: how many values there are. */
};

/* Adds op_count operations to an empty history. */
void register_run(const struct register_options *options, struct history *history);

#endif /* TORC_TESTS_UNIT_HISTORY_REGISTER_H */
