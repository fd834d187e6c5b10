/*
 * tests/sim/narrowing -- what a command line takes away from the runs of its seeds: one part each,
 * and the rest of a seed stays as it was drawn.
 */
#ifndef TORC_TESTS_SIM_NARROWING_H
#define TORC_TESTS_SIM_NARROWING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct sim_options;

struct sim_narrowing { /* 0: as drawn. */
    uint32_t nodes, replicas, groups, routers, clients;
    uint32_t seconds;    /* Of faults under load. */
    uint64_t operations; /* That clients ask for before healing. */
    uint64_t faults;     /* Bits of enum sim_fault. */
    bool faults_given;
};

bool sim_narrowing_any(const struct sim_narrowing *narrowing);
void sim_narrowing_apply(const struct sim_narrowing *narrowing, struct sim_options *options);
/* As options of the command line, each with a blank before it. */
void sim_narrowing_print(const struct sim_narrowing *narrowing, FILE *out);

#endif /* TORC_TESTS_SIM_NARROWING_H */
