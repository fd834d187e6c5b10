/*
 * shard/driver/host -- one torc-shard process: opens the data directory, recovers the log, and runs
 * the node core in a libuv loop until it is told to stop.
 */
#ifndef TORC_SHARD_DRIVER_HOST_H
#define TORC_SHARD_DRIVER_HOST_H

#include "shard/driver/config.h"

/* Runs until SIGTERM or SIGINT (hands leadership over first); returns the exit status. */
int shard_host_run(const struct shard_driver_config *config);

#endif /* TORC_SHARD_DRIVER_HOST_H */
