#include "shard/driver/config.h"

#include <criterion/criterion.h>
#include <string.h>

static enum torc_status take(struct base_settings *settings, const char *text,
                             struct base_settings_error *error)
{
    enum torc_status status =
        base_settings_parse(settings, "shard.yaml", base_bytes_text(text), error);
    return status == TORC_OK ? base_settings_complete(settings, error) : status;
}

/* A file with what has no preset is enough; the rest has its preset. */
Test(shard_driver_config, presets_are_complete)
{
    struct shard_driver_config config = {0};
    struct base_settings_error error;
    struct base_settings *settings = shard_driver_settings(&config);
    cr_assert_eq(take(settings,
                      "node: 3\n"
                      "cluster: 00112233445566778899aabbccddeeff\n"
                      "dir: data\n",
                      &error),
                 TORC_OK, "%s", error.text);
    cr_assert_eq(config.node, 3);
    cr_assert_eq(config.cluster[15], 0xff);
    cr_assert_str_eq(config.dir, "data");
    cr_assert_str_eq(config.listen, "tcp://127.0.0.1:7401");
    cr_assert_not(config.insecure);
    cr_assert_geq(config.election_timeout_ms, 3 * config.heartbeat_interval_ms);
    cr_assert_geq(config.pool_bytes, 4 * config.flush_bytes);
    base_settings_free(settings);
}

/* Sizes and durations are taken with their units, dots as nesting. */
Test(shard_driver_config, units_and_nesting_are_read)
{
    struct shard_driver_config config = {0};
    struct base_settings_error error;
    struct base_settings *settings = shard_driver_settings(&config);
    cr_assert_eq(base_settings_parse(settings, "shard.yaml",
                                     base_bytes_text("flush_bytes: 8MiB\n"
                                                     "election_timeout_ms: 2s\n"
                                                     "state: {cache_size: 3MiB}\n"
                                                     "log.level: debug\n"),
                                     &error),
                 TORC_OK, "%s", error.text);
    cr_assert_eq(config.flush_bytes, 8 << 20);
    cr_assert_eq(config.election_timeout_ms, 2000);
    cr_assert_eq(config.state_cache_bytes, 3 << 20);
    cr_assert_eq(config.log_level, 0);
    base_settings_free(settings);
}

/* What has no preset must be given, and what is missing is named. */
Test(shard_driver_config, what_is_missing_is_named)
{
    static const char *const texts[][2] = {
        {"cluster: 00112233445566778899aabbccddeeff\ndir: data\n", "node"},
        {"node: 1\ndir: data\n", "cluster"},
        {"node: 1\ncluster: 00112233445566778899aabbccddeeff\n", "dir"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct shard_driver_config config = {0};
        struct base_settings_error error;
        struct base_settings *settings = shard_driver_settings(&config);
        cr_assert_eq(take(settings, texts[i][0], &error), TORC_INVALID);
        cr_assert_not_null(strstr(error.text, texts[i][1]), "%s", error.text);
        base_settings_free(settings);
    }
}

/* What is wrong is refused with its place and what would be right. */
Test(shard_driver_config, wrong_values_are_refused)
{
    static const char *const lines[][2] = {
        {"node: 0\n", "shard.yaml:1:7"},
        {"node: 4294967296\n", "shard.yaml:1:7"},
        {"cluster: 12\n", "shard.yaml:1:10"},
        {"listen: 127.0.0.1:7401\n", "an address such as tcp://127.0.0.1:7401"},
        {"listen: tcp://7401\n", "an address such as tcp://127.0.0.1:7401"},
        {"log_size_max: 1MiB\n", "128MiB"},
        {"election_timeout_ms: 10ms\n", "50ms"},
        {"log.level: loud\n", "debug, info, warn, error"},
        {"lisen: tcp://127.0.0.1:1\n", "listen"},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct shard_driver_config config = {0};
        struct base_settings_error error;
        struct base_settings *settings = shard_driver_settings(&config);
        cr_assert_eq(take(settings, lines[i][0], &error), TORC_MALFORMED, "%s", lines[i][0]);
        cr_assert_not_null(strstr(error.text, "shard.yaml:1:"), "%s", error.text);
        cr_assert_not_null(strstr(error.text, lines[i][1]), "%s", error.text);
        base_settings_free(settings);
    }
}
