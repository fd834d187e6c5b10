/*
 * tests/sim/tally -- what runs came to, summed over seeds: the coverage table, time, speed, and how
 * operations spread over seeds. A tally is a line of a report; lines of one commit add up.
 */
#ifndef TORC_TESTS_SIM_TALLY_H
#define TORC_TESTS_SIM_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/sim/sim.h"

/* Eight to each doubling: exact below 16, then within an eighth. */
enum { SIM_TALLY_BUCKETS = 256 };

struct sim_tally {
    struct sim_coverage coverage;
    uint64_t seeds;
    uint64_t simulated_us, cpu_us, wall_us; /* wall_us: as long as the batch took. */
    uint64_t operations_least, operations_most;
    uint64_t operations[SIM_TALLY_BUCKETS]; /* Seeds by completed operations. */
};

void sim_tally_run(struct sim_tally *tally, uint64_t simulated_us, uint64_t operations);
void sim_tally_add(struct sim_tally *tally, const struct sim_tally *other);
/* The coverage table and the figures. */
void sim_tally_print(const struct sim_tally *tally, FILE *out);
/* Names of rows that never happened and had to in so many seeds; "" when none. Returns their count.
 */
uint32_t sim_tally_missing(const struct sim_tally *tally, char *text, size_t size);

/* One line about the seeds from `first` on. */
void sim_tally_write(const struct sim_tally *tally, const char *commit, uint64_t first, FILE *out);
struct sim_tally_line {
    char commit[64];
    uint64_t first;
    struct sim_tally tally;
};
/* False: the line is not one that this program wrote. */
bool sim_tally_read(char *line, struct sim_tally_line *ret_line);

#endif /* TORC_TESTS_SIM_TALLY_H */
