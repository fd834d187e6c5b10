/*
 * tests/sim/arguments -- the command line of the simulator.
 */
#ifndef TORC_TESTS_SIM_ARGUMENTS_H
#define TORC_TESTS_SIM_ARGUMENTS_H

#include "tests/sim/narrowing.h"

enum { SIM_JOBS_MAX = 64 };

struct sim_arguments {
    uint64_t first, last;
    bool one; /* A single seed: its options are printed first, its hash last. */
    bool trace, twice, shrink;
    uint32_t jobs, minutes; /* minutes 0: until the last seed. */
    const char *replay;     /* A file of seeds. */
    const char *report;     /* Where a line about the batch is added. */
    const char *sum;        /* A report to be added up. */
    const char *commit;     /* From the environment. */
    struct sim_narrowing narrowing;
};

/* Says what is wrong and what would be right, and ends the process with status 2, or after --help
 * with 0. */
struct sim_arguments sim_arguments_read(int argc, char **argv);

#endif /* TORC_TESTS_SIM_ARGUMENTS_H */
