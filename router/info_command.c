/*
 * router/info_command -- CONFIG and INFO: how this router is set and what it has done.
 */
#include "router/router_int.h"

#include <stdio.h>
#include <string.h>

#include "router/glob.h"
#include "router/number.h"

/* ---- CONFIG
 * -------------------------------------------------------------------------------------- */

/* What CONFIG SET may change: the first two to what they are, the others while the router runs. */
enum { CONFIG_SAVE, CONFIG_APPENDONLY, CONFIG_SLOWLOG_SLOWER, CONFIG_SLOWLOG_LENGTH, CONFIG_COUNT };

static const struct {
    const char *name;
    int64_t min, max; /* As router/driver/config.c has them; below 0 switches SLOWLOG off. */
} changeable[CONFIG_COUNT] = {
    {"save", 0, 0},
    {"appendonly", 0, 0},
    {"slowlog-log-slower-than", -1, 1000000000},
    {"slowlog-max-len", 0, 65536},
};

/* CONFIG_COUNT: it is not changeable. */
static size_t find_changeable(struct base_bytes name)
{
    size_t which = 0;
    while (which < CONFIG_COUNT && !router_word_is(name, changeable[which].name))
        which++;
    return which;
}

static void changeable_value(const struct router *router, size_t which,
                             char text[ROUTER_NUMBER_SIZE_MAX + 1])
{
    const struct router_slowlog *slowlog = &router->slowlog;
    text[0] = '\0';
    if (which == CONFIG_APPENDONLY)
        memcpy(text, "yes", sizeof("yes"));
    if (which == CONFIG_SAVE || which == CONFIG_APPENDONLY)
        return;
    int64_t value =
        which == CONFIG_SLOWLOG_SLOWER ? slowlog->slower_than_us : (int64_t)slowlog->entries_max;
    text[router_number_write(value, text)] = '\0';
}

static bool is_pattern(struct base_bytes word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] == '*' || word.data[i] == '?' || word.data[i] == '[')
            return true;
    }
    return false;
}

/* 1, and with `out` the pair written, when the setting is asked for. Its name comes back as it was
 * asked for, in whatever case, unless by a pattern: as in Redis. */
static size_t config_matches(const struct router_serving *serving, const char *name,
                             const char *value, struct router_buffer *out)
{
    for (size_t i = 2; i < serving->arg_count; i++) {
        bool pattern = is_pattern(serving->args[i]);
        if (pattern ? !router_glob_match_nocase(serving->args[i], base_bytes_text(name))
                    : !router_word_is(serving->args[i], name))
            continue;
        if (out != NULL) {
            router_reply_bulk(out, pattern ? base_bytes_text(name) : serving->args[i]);
            router_reply_bulk_text(out, value);
        }
        return 1;
    }
    return 0;
}

/* Counts the settings that match, and with `out` writes them. */
static size_t config_walk(const struct router_serving *serving, struct router_buffer *out)
{
    const struct router_config *config = &serving->router->config;
    char text[ROUTER_NUMBER_SIZE_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        changeable_value(serving->router, i, text);
        count += config_matches(serving, changeable[i].name, text, out);
    }
    for (size_t i = 0; i < config->setting_count; i++) {
        const struct router_setting *setting = &config->settings[i];
        if (find_changeable(base_bytes_text(setting->name)) == CONFIG_COUNT)
            count += config_matches(serving, setting->name, setting->value, out);
    }
    return count;
}

static void config_get(struct router_serving *serving)
{
    router_reply_map(serving->out, serving->connection->protocol, config_walk(serving, NULL));
    config_walk(serving, serving->out);
}

/* What one CONFIG SET wants. */
struct change {
    bool wanted[CONFIG_COUNT];
    int64_t values[CONFIG_COUNT];
};

static void config_set_fail(struct router_serving *serving, struct base_bytes name, const char *why)
{
    router_serving_fail_word(serving, "ERR CONFIG SET failed (possibly related to argument '", name,
                             why);
}

/* Whether a name may stand here; else an error was replied. */
static bool config_set_name(struct router_serving *serving, struct base_bytes name,
                            struct change *change)
{
    const struct router_config *config = &serving->router->config;
    size_t which = find_changeable(name);
    if (which < CONFIG_COUNT) {
        if (change->wanted[which])
            config_set_fail(serving, name, "') - duplicate parameter");
        bool fits = !change->wanted[which];
        change->wanted[which] = true;
        return fits;
    }
    for (size_t i = 0; i < config->setting_count; i++) {
        if (router_word_is(name, config->settings[i].name)) {
            config_set_fail(serving, name, "') - can't set immutable config");
            return false;
        }
    }
    router_serving_fail_word(
        serving, "ERR Unknown option or number of arguments for CONFIG SET - '", name, "'");
    return false;
}

/* Whether a value fits; else an error was replied. */
static bool config_set_value(struct router_serving *serving, const struct base_bytes *pair,
                             struct change *change)
{
    size_t which = find_changeable(pair[0]);
    struct base_bytes name = base_bytes_text(changeable[which].name);
    int64_t *value = &change->values[which];
    if (which == CONFIG_SAVE || which == CONFIG_APPENDONLY) {
        bool same = which == CONFIG_SAVE ? pair[1].size == 0 : router_word_is(pair[1], "yes");
        if (!same)
            config_set_fail(serving, name, "') - every write is on disk before its answer");
        return same;
    }
    if (!router_number_read(pair[1], value)) {
        config_set_fail(serving, name, "') - argument couldn't be parsed into an integer");
        return false;
    }
    if (*value < changeable[which].min || *value > changeable[which].max) {
        char why[96];
        (void)snprintf(why, sizeof(why), "') - argument must be between %lld and %lld inclusive",
                       (long long)changeable[which].min, (long long)changeable[which].max);
        config_set_fail(serving, name, why);
        return false;
    }
    return true;
}

/* All of it or nothing. */
static void config_set(struct router_serving *serving)
{
    struct router_slowlog *slowlog = &serving->router->slowlog;
    struct change change = {0};
    if (serving->arg_count % 2 != 0) {
        router_serving_fail(serving, "ERR syntax error");
        return;
    }
    for (size_t i = 2; i < serving->arg_count; i += 2) {
        if (!config_set_name(serving, serving->args[i], &change))
            return;
    }
    for (size_t i = 2; i < serving->arg_count; i += 2) {
        if (!config_set_value(serving, serving->args + i, &change))
            return;
    }
    if (change.wanted[CONFIG_SLOWLOG_SLOWER])
        slowlog->slower_than_us = change.values[CONFIG_SLOWLOG_SLOWER];
    if (change.wanted[CONFIG_SLOWLOG_LENGTH])
        router_slowlog_resize(slowlog, (size_t)change.values[CONFIG_SLOWLOG_LENGTH]);
    router_serving_ok(serving);
}

static void stats_reset(struct router *router)
{
    uint64_t calls =
        router->stats.calls; /* Read before and after a command, to tell what it was. */
    router->stats = (struct router_stats){.calls = calls};
    memset(&router->latency, 0, sizeof(router->latency));
}

bool router_config_command(struct router_serving *serving, const struct router_command *command)
{
    switch (command->id) {
    case ROUTER_CONFIG_GET:
        config_get(serving);
        return true;
    case ROUTER_CONFIG_SET:
        config_set(serving);
        return true;
    case ROUTER_CONFIG_RESETSTAT:
        stats_reset(serving->router);
        router_serving_ok(serving);
        return true;
    case ROUTER_CONFIG_REWRITE:
        router_serving_fail(serving, "ERR The server is running without a config file");
        return true;
    default:
        return false;
    }
}

/* ---- INFO
 * ---------------------------------------------------------------------------------------- */

/* "7379" of "127.0.0.1:7379" */
static const char *port_of(const char *address)
{
    size_t at = strlen(address);
    while (at > 0 && address[at - 1] != ':')
        at--;
    return address + at;
}

static void info_server(const struct router *router, struct router_buffer *text)
{
    const struct router_config *config = &router->config;
    uint64_t uptime_s = (router->now_us - router->started_us) / 1000000;
    router_buffer_text(text, "# Server\r\nredis_version:" ROUTER_REDIS_VERSION "\r\n");
    router_buffer_format(text, "torc_version:%s\r\nredis_mode:standalone\r\n", config->version);
    router_buffer_format(text, "process_id:%u\r\nrun_id:%s\r\n", (unsigned)config->process_id,
                         config->run_id);
    router_buffer_format(text, "resp_address:%s\r\ntcp_port:%s\r\nserver_time_usec:%llu\r\n",
                         config->resp_address, port_of(config->resp_address),
                         (unsigned long long)router->unix_us);
    router_buffer_format(text, "uptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\n",
                         (unsigned long long)uptime_s, (unsigned long long)(uptime_s / 86400));
}

static void info_clients(const struct router *router, struct router_buffer *text)
{
    uint32_t held = 0;
    for (const struct router_connection *at = router->connections; at != NULL; at = at->next)
        held += at->open && at->held;
    router_buffer_format(
        text, "# Clients\r\nconnected_clients:%u\r\nmaxclients:%u\r\nblocked_clients:%u\r\n",
        (unsigned)router->connection_count, (unsigned)router->config.clients_max, (unsigned)held);
    router_buffer_format(text, "clients_size:%zu\r\nclients_size_max:%zu\r\n", router->clients_size,
                         router->config.clients_size_max);
}

static void info_stats(const struct router *router, struct router_buffer *text)
{
    const struct router_stats *stats = &router->stats;
    router_buffer_format(
        text, "# Stats\r\ntotal_connections_received:%llu\r\ntotal_commands_processed:%llu\r\n",
        (unsigned long long)stats->connections, (unsigned long long)stats->commands);
    router_buffer_format(text, "total_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\n",
                         (unsigned long long)stats->bytes_in, (unsigned long long)stats->bytes_out);
    router_buffer_format(text, "rejected_connections:%llu\r\nclients_closed_for_output:%llu\r\n",
                         (unsigned long long)stats->connections_refused,
                         (unsigned long long)stats->connections_killed);
    router_buffer_format(text, "evicted_clients:%llu\r\nclients_closed_for_http:%llu\r\n",
                         (unsigned long long)stats->connections_evicted,
                         (unsigned long long)stats->connections_http);
    router_buffer_format(text, "total_error_replies:%llu\r\n", (unsigned long long)stats->errors);
    router_buffer_format(
        text, "key_commands:%llu\r\nkey_command_us_average:%llu\r\nkey_command_us_max:%llu\r\n",
        (unsigned long long)stats->calls_timed,
        (unsigned long long)(stats->calls_timed == 0 ? 0
                                                     : stats->call_us_total / stats->calls_timed),
        (unsigned long long)stats->call_us_max);
}

static void info_memory(const struct router *router, struct router_buffer *text)
{
    router_buffer_format(
        text, "# Memory\r\nused_memory:%zu\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
        router_memory_clients(router) + router_courier_inflight_size(router->courier));
}

static void info_persistence(const struct router *router, struct router_buffer *text)
{
    (void)router;
    router_buffer_text(text, "# Persistence\r\nloading:0\r\naof_enabled:1\r\n");
}

static void info_replication(const struct router *router, struct router_buffer *text)
{
    (void)router;
    router_buffer_text(text, "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
                             "master_repl_offset:0\r\n");
}

static void info_cluster(const struct router *router, struct router_buffer *text)
{
    (void)router;
    router_buffer_text(text, "# Cluster\r\ncluster_enabled:0\r\n");
}

static void info_modules(const struct router *router, struct router_buffer *text)
{
    (void)router;
    router_buffer_text(text, "# Modules\r\n");
}

static void info_torc(const struct router *router, struct router_buffer *text)
{
    const struct router_map *map = router_courier_map(router->courier);
    const struct router_courier_counters *counters = router_courier_counters(router->courier);
    router_buffer_format(text, "# Torc\r\nmap_version:%llu\r\nnodes:%zu\r\ngroups:%zu\r\n",
                         (unsigned long long)(map == NULL ? 0 : map->version),
                         map == NULL ? 0 : map->node_count, map == NULL ? 0 : map->group_count);
    router_buffer_format(text, "vnodes:%u\r\ninflight:%zu\r\n",
                         map == NULL ? 0 : (unsigned)map->ring->vnode_count,
                         router_courier_inflight(router->courier));
    router_buffer_format(text, "requests:%llu\r\nrequest_copies:%llu\r\noutcomes_unknown:%llu\r\n",
                         (unsigned long long)counters->requests,
                         (unsigned long long)counters->copies,
                         (unsigned long long)counters->unknown);
    router_buffer_format(
        text, "outcomes_nothing_done:%llu\r\noutcomes_refused:%llu\r\nanswers_busy:%llu\r\n",
        (unsigned long long)counters->nothing_done, (unsigned long long)counters->refused,
        (unsigned long long)counters->busy);
    router_buffer_format(
        text, "answers_not_leader:%llu\r\nanswers_moved:%llu\r\nleader_changes:%llu\r\n",
        (unsigned long long)counters->not_leader, (unsigned long long)counters->moved,
        (unsigned long long)counters->leader_changes);
    router_buffer_format(
        text, "messages_received:%llu\r\nmessages_rejected:%llu\r\nhellos:%llu\r\n",
        (unsigned long long)counters->messages_received,
        (unsigned long long)counters->messages_rejected, (unsigned long long)counters->probes);
    struct router_group_info group;
    for (size_t i = 0; router_courier_group_info(router->courier, i, &group); i++)
        router_buffer_format(text, "group%u:leader=%u,waiting=%zu,sent=%zu\r\n",
                             (unsigned)group.group, (unsigned)group.leader_node, group.waiting,
                             group.sent);
}

static bool section_asked(const struct router_serving *serving, const char *name)
{
    if (serving->arg_count == 1)
        return true;
    for (size_t i = 1; i < serving->arg_count; i++) {
        if (router_word_is(serving->args[i], name) || router_word_is(serving->args[i], "all") ||
            router_word_is(serving->args[i], "default") ||
            router_word_is(serving->args[i], "everything"))
            return true;
    }
    return false;
}

void router_info_command(struct router_serving *serving)
{
    static const struct {
        const char *name;
        void (*write)(const struct router *router, struct router_buffer *text);
    } sections[] = {
        {"server", info_server},   {"clients", info_clients},
        {"memory", info_memory},   {"persistence", info_persistence},
        {"stats", info_stats},     {"replication", info_replication},
        {"modules", info_modules}, {"cluster", info_cluster},
        {"torc", info_torc},
    };
    struct router_buffer *text = &serving->router->scratch;
    text->size = 0;
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!section_asked(serving, sections[i].name))
            continue;
        if (text->size > 0)
            router_buffer_text(text, "\r\n");
        sections[i].write(serving->router, text);
    }
    router_reply_verbatim(serving->out, serving->connection->protocol, router_buffer_bytes(text));
}
