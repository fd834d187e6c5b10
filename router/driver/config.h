/*
 * router/driver/config -- the settings of torc-router.
 */
#ifndef TORC_ROUTER_DRIVER_CONFIG_H
#define TORC_ROUTER_DRIVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/settings.h"

struct router_driver_config {
    char *id;
    uint8_t cluster[BASE_SETTINGS_ID_SIZE];
    struct base_settings_list seeds;
    char *resp_listen;
    bool insecure;
    int log_level; /* enum base_log_level */
    uint64_t request_timeout_ms, silence_timeout_ms, drain_timeout_ms;
    uint64_t clients_max, client_inflight_max, client_output_pause, client_output_max;
    uint64_t clients_size_max;
    uint64_t inflight_max, inflight_size_max;
    uint64_t slowlog_slower_than_us, slowlog_entries_max;
};

/* The table of settings over *config, for base_settings_start. */
struct base_settings *router_driver_settings(struct router_driver_config *config);

#endif /* TORC_ROUTER_DRIVER_CONFIG_H */
