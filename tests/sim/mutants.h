/*
 * tests/sim/mutants -- bugs planted on purpose (base/mutant.h, paxos/mutant.h): which checker
 * notices each of them, and after how many seeds. Only in the test build.
 */
#ifndef TORC_TESTS_SIM_MUTANTS_H
#define TORC_TESTS_SIM_MUTANTS_H

#include <stdbool.h>
#include <stdint.h>

struct sim_mutants {
    const char *const *names; /* Only these; none: all. NAME=CHECKERS: only they count. */
    uint32_t name_count;
    uint32_t jobs;
    uint64_t seeds; /* 1 to this. */
    /* Only those of which it is known at which seed they are noticed, from that seed on. */
    bool quick;
};

/* A line for each. The exit status: 0 when all are caught. */
int sim_mutants_main(const struct sim_mutants *mutants);

#endif /* TORC_TESTS_SIM_MUTANTS_H */
