/*
 * tests/sim/shrink -- makes a failing run smaller: takes away kinds of fault, clients, groups,
 * routers, nodes, time and operations, as long as the same checker still fails.
 */
#ifndef TORC_TESTS_SIM_SHRINK_H
#define TORC_TESTS_SIM_SHRINK_H

#include "tests/sim/arguments.h"

/* Prints the smallest command that it found. 0; 1: the run does not fail. */
int sim_shrink_main(const struct sim_arguments *arguments);

#endif /* TORC_TESTS_SIM_SHRINK_H */
