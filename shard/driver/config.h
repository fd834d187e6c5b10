/*
 * shard/driver/config -- the settings of torc-shard, in one table.
 */
#ifndef TORC_SHARD_DRIVER_CONFIG_H
#define TORC_SHARD_DRIVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/settings.h"

enum {
    SHARD_FEATURE_LEVEL = 1,          /* Of what this process writes. */
    SHARD_REQUEST_SIZE_MAX = 9 << 20, /* Of one request, with the largest key and value. */
    SHARD_LOG_BATCH_SIZE_MAX = 16 << 20,
};

struct shard_driver_config {
    uint64_t node;
    uint8_t cluster[BASE_SETTINGS_ID_SIZE];
    char *dir;
    char *listen;
    bool insecure;
    int log_level;
    uint64_t log_size_max, flush_bytes, pool_bytes;
    uint64_t election_timeout_ms, heartbeat_interval_ms, retransmit_timeout_ms;
    uint64_t greeting_timeout_ms;
    uint64_t request_time_max_ms, records_bytes_max;
    uint64_t state_cache_bytes, state_row_cache_bytes, state_write_buffer_bytes,
        state_free_bytes_min;
};

/* Presets stand in *config; freed with base_settings_free. */
struct base_settings *shard_driver_settings(struct shard_driver_config *config);

#endif /* TORC_SHARD_DRIVER_CONFIG_H */
