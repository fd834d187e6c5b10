#include "router/driver/config.h"

#include <stddef.h>
#include <string.h>

#include "router/courier.h"

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

static const char *check_seed(const char *text)
{
    return strncmp(text, "tcp://", 6) == 0 && strrchr(text, ':') > text + 5 &&
                   strlen(text) < ROUTER_ADDRESS_SIZE_MAX
               ? NULL
               : "an address such as tcp://127.0.0.1:7401";
}

static const char *check_listen(const char *text)
{
    const char *colon = strrchr(text, ':');
    return colon != NULL && colon > text && colon[1] != '\0' ? NULL
                                                             : "an address such as 127.0.0.1:7379";
}

#define AT(field) offsetof(struct router_driver_config, field)

static const struct base_settings_item items[] = {
    {.name = "id",
     .type = BASE_SETTINGS_STRING,
     .preset = "r1",
     .offset = AT(id),
     .help = "This router's name, for its log."},
    {.name = "cluster",
     .type = BASE_SETTINGS_ID,
     .offset = AT(cluster),
     .help = "The cluster's id; messages of another are refused."},
    {.name = "seeds",
     .type = BASE_SETTINGS_LIST,
     .offset = AT(seeds),
     .check = check_seed,
     .help = "Addresses of a few nodes, to ask for the cluster's map."},
    {.name = "resp.listen",
     .type = BASE_SETTINGS_STRING,
     .preset = "127.0.0.1:7379",
     .offset = AT(resp_listen),
     .check = check_listen,
     .help = "Where Redis clients connect to; port * for any."},
    {.name = "insecure",
     .type = BASE_SETTINGS_BOOL,
     .preset = "false",
     .offset = AT(insecure),
     .help = "Allow to listen on other than loopback addresses, without any authentication."},
    {.name = "log.level",
     .type = BASE_SETTINGS_ENUM,
     .preset = "info",
     .offset = AT(log_level),
     .names = levels,
     .help = "Least level of the log lines on standard error."},
    {.name = "request_timeout_ms",
     .type = BASE_SETTINGS_DURATION,
     .min = 10,
     .max = ROUTER_TIMEOUT_MS_MAX,
     .preset = "5s",
     .offset = AT(request_timeout_ms),
     .help = "Deadline of a command: past it the client is told what is known of its outcome. Not "
             "above seven eighths of the nodes' request_time_max_ms: it would end by then."},
    {.name = "silence_timeout_ms",
     .type = BASE_SETTINGS_DURATION,
     .min = 10,
     .max = 60000,
     .preset = "150ms",
     .offset = AT(silence_timeout_ms),
     .help = "A leader that owes an answer for so long is asked whether it leads, as are others."},
    {.name = "drain_timeout_ms",
     .type = BASE_SETTINGS_DURATION,
     .min = 0,
     .max = 600000,
     .preset = "5s",
     .offset = AT(drain_timeout_ms),
     .help = "How long a stop waits for commands in flight."},
    {.name = "clients_max",
     .type = BASE_SETTINGS_INTEGER,
     .min = 1,
     .max = 1000000,
     .preset = "10000",
     .offset = AT(clients_max),
     .help = "Connections of clients; one more is refused."},
    {.name = "client_inflight_max",
     .type = BASE_SETTINGS_INTEGER,
     .min = 1,
     .max = 1000000,
     .preset = "1024",
     .offset = AT(client_inflight_max),
     .help = "Commands of one client without an answer; past it, nothing more is read from it."},
    {.name = "client_output_pause",
     .type = BASE_SETTINGS_SIZE,
     .min = 1024,
     .max = 1 << 30,
     .preset = "1MiB",
     .offset = AT(client_output_pause),
     .help = "Replies that a client has not taken; past it, nothing more is read from it."},
    {.name = "client_output_max",
     .type = BASE_SETTINGS_SIZE,
     .min = 1024,
     .max = 1 << 30,
     .preset = "256MiB",
     .offset = AT(client_output_max),
     .help = "Replies that a client has not taken; past it, it is closed. Not below "
             "client_output_pause."},
    {.name = "clients_size_max",
     .type = BASE_SETTINGS_SIZE,
     .min = 1 << 20,
     .max = UINT64_C(1) << 40,
     .preset = "1GiB",
     .offset = AT(clients_size_max),
     .help =
         "What was read from all clients and what they have not taken; past it, the client that "
         "holds most is closed, but for those with CLIENT NO-EVICT."},
    {.name = "inflight_max",
     .type = BASE_SETTINGS_INTEGER,
     .min = 1,
     .max = 16000000,
     .preset = "65536",
     .offset = AT(inflight_max),
     .help = "Operations of all clients without an answer, and keys of one command; past it, "
             "clients wait."},
    {.name = "inflight_size_max",
     .type = BASE_SETTINGS_SIZE,
     .min = 16 << 20,
     .max = UINT64_C(1) << 40,
     .preset = "256MiB",
     .offset = AT(inflight_size_max),
     .help = "The same in bytes of keys and values."},
    /* With Redis's names: tools ask for them by CONFIG GET. */
    {.name = "slowlog-log-slower-than",
     .type = BASE_SETTINGS_INTEGER,
     .min = 0,
     .max = 1000000000,
     .preset = "10000",
     .offset = AT(slowlog_slower_than_us),
     .help = "Commands that took so many microseconds are kept for SLOWLOG; 0: all."},
    {.name = "slowlog-max-len",
     .type = BASE_SETTINGS_INTEGER,
     .min = 0,
     .max = 65536,
     .preset = "128",
     .offset = AT(slowlog_entries_max),
     .help = "How many of them, the newest, at up to 5 KB each; 0: none."},
};

struct base_settings *router_driver_settings(struct router_driver_config *config)
{
    return base_settings_new(items, sizeof(items) / sizeof(items[0]), config);
}
