/*
 * tests/sim/disk -- between disk.c, the storage thread of a node, and disk_recovery.c, its start.
 */
#ifndef TORC_TESTS_SIM_DISK_H
#define TORC_TESTS_SIM_DISK_H

#include "tests/sim/sim.h"

enum {
    DISK_CAPACITY_MAX = 1 << 30,
    DISK_OPERATIONS_MAX = 12, /* A crash happens within so many writes and syncs. */
    DISK_RETRY_US = 300000,   /* Somebody starts again what ended by itself. */
};

/* Makes the disk what it is at this moment. */
void disk_set(struct sim *sim, struct sim_host *host);
/* Whether an error that was put in the disk's way has come to pass, and is why something failed. */
void disk_note_errors(struct sim *sim, struct sim_host *host, enum torc_status status);
void disk_start_later(struct sim *sim, const struct sim_host *host, uint64_t us);

#endif /* TORC_TESTS_SIM_DISK_H */
