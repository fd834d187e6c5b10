#include "router/driver/config.h"

#include <criterion/criterion.h>
#include <string.h>

static enum torc_status take(struct base_settings *settings, const char *text,
                             struct base_settings_error *error)
{
    enum torc_status status =
        base_settings_parse(settings, "router.yaml", base_bytes_text(text), error);
    return status == TORC_OK ? base_settings_complete(settings, error) : status;
}

/* A file with what has no preset is enough; the rest has its preset. */
Test(router_config, presets_are_complete)
{
    struct router_driver_config config = {0};
    struct base_settings_error error;
    struct base_settings *settings = router_driver_settings(&config);
    cr_assert_eq(take(settings,
                      "cluster: 00112233445566778899aabbccddeeff\n"
                      "seeds: ['tcp://127.0.0.1:7401', 'tcp://127.0.0.1:7402']\n"
                      "slowlog-max-len: 128\n",
                      &error),
                 TORC_OK);
    cr_assert_eq(config.seeds.count, 2);
    cr_assert_str_eq(config.resp_listen, "127.0.0.1:7379");
    cr_assert_eq(config.request_timeout_ms, 5000);
    cr_assert_eq(config.clients_max, 10000);
    cr_assert_eq(config.slowlog_slower_than_us, 10000);
    cr_assert_eq(config.slowlog_entries_max, 128);
    cr_assert_eq(config.cluster[15], 0xff);
    base_settings_free(settings);
}

/* What is wrong is refused with a line that says what would be right. */
Test(router_config, wrong_addresses_are_refused)
{
    static const char *const lines[] = {
        "seeds: ['127.0.0.1:7401']\n",
        "resp.listen: '7379'\n",
        "resp.listen: ':1'\n",
        "clients_max: 0\n",
        "request_timeout_ms: 50001ms\n", /* Nodes would not take it to its end. */
        "cluster: 12\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct router_driver_config config = {0};
        struct base_settings_error error;
        struct base_settings *settings = router_driver_settings(&config);
        cr_assert_eq(take(settings, lines[i], &error), TORC_MALFORMED, "%s", lines[i]);
        cr_assert_not_null(strstr(error.text, "router.yaml:1:"), "%s", error.text);
        base_settings_free(settings);
    }
}
