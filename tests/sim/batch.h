/*
 * tests/sim/batch -- runs of many seeds: side by side in processes of their own, until the last
 * one, the time, or a failure. What comes of them does not depend on how many run side by side.
 */
#ifndef TORC_TESTS_SIM_BATCH_H
#define TORC_TESTS_SIM_BATCH_H

#include "tests/sim/arguments.h"
#include "tests/sim/tally.h"

/* One run in this process. A failure ends it with status 1, said on stderr. Returns the hash. */
uint64_t sim_batch_run(const struct sim_arguments *arguments, uint64_t seed,
                       struct sim_tally *tally);
/* All seeds of the arguments, then the table. The exit status. */
int sim_batch_main(const struct sim_arguments *arguments);
/* --replay. */
int sim_batch_replay(const struct sim_arguments *arguments);
/* --sum. */
int sim_batch_sum(const char *file);

#endif /* TORC_TESTS_SIM_BATCH_H */
