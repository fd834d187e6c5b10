/*
 * router/driver/host -- a router's life in one process: the loop, its sockets and the core.
 */
#ifndef TORC_ROUTER_DRIVER_HOST_H
#define TORC_ROUTER_DRIVER_HOST_H

#include "base/settings.h"
#include "router/driver/config.h"

/* Runs until a signal ends it; `settings` are those of `config`, for CONFIG GET. Returns the exit
 * status of the process: 0 after SIGTERM or SIGINT, 1 when it could not start. */
int router_host_run(const struct router_driver_config *config,
                    const struct base_settings *settings);

#endif /* TORC_ROUTER_DRIVER_HOST_H */
