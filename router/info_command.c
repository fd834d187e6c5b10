/*
 * router/info_command -- CONFIG and INFO: how this router is set and what it has done.
 */
#include "router/router_int.h"

#include <string.h>

#include "router/glob.h"

/* ---- CONFIG
 * -------------------------------------------------------------------------------------- */

static size_t config_matches(const struct router_serving *serving, const char *name,
                             const char *value, struct router_buffer *out)
{
    for (size_t i = 2; i < serving->arg_count; i++) {
        if (!router_glob_match_nocase(serving->args[i], base_bytes_text(name)))
            continue;
        if (out != NULL) {
            router_reply_bulk_text(out, name);
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
    size_t count = config_matches(serving, "save", "", out);
    count += config_matches(serving, "appendonly", "yes", out);
    for (size_t i = 0; i < config->setting_count; i++)
        count += config_matches(serving, config->settings[i].name, config->settings[i].value, out);
    return count;
}

static void config_get(struct router_serving *serving)
{
    router_reply_map(serving->out, serving->connection->protocol, config_walk(serving, NULL));
    config_walk(serving, serving->out);
}

static void config_set_fail(struct router_serving *serving, struct base_bytes name, const char *why)
{
    router_serving_fail_word(serving, "ERR CONFIG SET failed (possibly related to argument '", name,
                             why);
}

/* Whether the pair may be set, which is to what it is; else an error was replied. `seen` has a bit
 * for each of the two parameters that Redis can set. */
static bool config_set_one(struct router_serving *serving, const struct base_bytes *pair,
                           unsigned *seen)
{
    const struct router_config *config = &serving->router->config;
    bool save = router_word_is(pair[0], "save");
    for (size_t i = 0; i < config->setting_count; i++) {
        if (router_word_is(pair[0], config->settings[i].name)) {
            config_set_fail(serving, pair[0], "') - can't set immutable config");
            return false;
        }
    }
    if (!save && !router_word_is(pair[0], "appendonly")) {
        router_serving_fail_word(
            serving, "ERR Unknown option or number of arguments for CONFIG SET - '", pair[0], "'");
        return false;
    }
    if ((*seen & (save ? 1U : 2U)) != 0) {
        config_set_fail(serving, pair[0], "') - duplicate parameter");
        return false;
    }
    *seen |= save ? 1 : 2;
    if (save ? pair[1].size > 0 : !router_word_is(pair[1], "yes")) {
        config_set_fail(serving, pair[0], "') - every write is on disk before its answer");
        return false;
    }
    return true;
}

static void config_set(struct router_serving *serving)
{
    unsigned seen = 0;
    if (serving->arg_count % 2 != 0) {
        router_serving_fail(serving, "ERR syntax error");
        return;
    }
    for (size_t i = 2; i < serving->arg_count; i += 2) {
        if (!config_set_one(serving, serving->args + i, &seen))
            return;
    }
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

static void info_server(const struct router *router, struct router_buffer *text)
{
    const struct router_config *config = &router->config;
    uint64_t uptime_s = (router->now_us - router->started_us) / 1000000;
    router_buffer_text(text, "# Server\r\nredis_version:" ROUTER_REDIS_VERSION "\r\n");
    router_buffer_format(text, "torc_version:%s\r\nredis_mode:standalone\r\n", config->version);
    router_buffer_format(text, "process_id:%u\r\nrun_id:%s\r\n", (unsigned)config->process_id,
                         config->run_id);
    router_buffer_format(text, "resp_address:%s\r\n", config->resp_address);
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
    router_buffer_format(text, "total_error_replies:%llu\r\n", (unsigned long long)stats->errors);
    router_buffer_format(
        text, "key_commands:%llu\r\nkey_command_us_average:%llu\r\nkey_command_us_max:%llu\r\n",
        (unsigned long long)stats->calls_timed,
        (unsigned long long)(stats->calls_timed == 0 ? 0
                                                     : stats->call_us_total / stats->calls_timed),
        (unsigned long long)stats->call_us_max);
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
        {"server", info_server},
        {"clients", info_clients},
        {"persistence", info_persistence},
        {"stats", info_stats},
        {"replication", info_replication},
        {"cluster", info_cluster},
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
