/*
 * tests/cluster/lib/known -- when two replies to a command are the same, and the few differences
 * from Redis that docs/commands.md names, each with commands that show it.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_KNOWN_H
#define TORC_TESTS_CLUSTER_LIB_KNOWN_H

#include <stdbool.h>

#include "base/bytes.h"
#include "tests/cluster/lib/grammar.h"

struct known {
    const char *command;      /* A row's name, "*": any. */
    const char *torc, *redis; /* Patterns of the replies (fnmatch); "~": two numbers, nearly equal;
                                 "<": torc's integer is less. */
    double number_min;        /* Only with a number so large among the words. */
    bool harmless;            /* The keys and the connection are the same after it. */
    const char *witness;      /* Lines; at the last one the replies differ so, nearly always. */
};

const struct known *known_table(size_t *ret_count);
/* The entry that explains the difference; NULL: none. */
const struct known *known_of(const struct grammar_command *command, struct base_bytes torc,
                             struct base_bytes redis);
bool known_explains(const struct known *known, const char *name, double number_max,
                    struct base_bytes torc, struct base_bytes redis);
/* Whether two bulk replies are numbers apart by no more than rounding, of them or of `size`. */
bool known_nearly(struct base_bytes torc, struct base_bytes redis, long double size);
/* Whether the replies are the same, as far as they can be. */
bool known_same(const struct grammar *grammar, struct base_bytes torc, struct base_bytes redis);

#endif /* TORC_TESTS_CLUSTER_LIB_KNOWN_H */
