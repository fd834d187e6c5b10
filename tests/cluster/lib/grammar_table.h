/*
 * tests/cluster/lib/grammar_table -- what every command of the router's table takes, as text.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_GRAMMAR_TABLE_H
#define TORC_TESTS_CLUSTER_LIB_GRAMMAR_TABLE_H

#include "tests/cluster/lib/grammar.h"

const struct grammar *grammar_table(size_t *ret_count);

#endif /* TORC_TESTS_CLUSTER_LIB_GRAMMAR_TABLE_H */
