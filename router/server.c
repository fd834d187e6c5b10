/*
 * router/server -- commands about the connection and about this router: no node is asked.
 */
#include "router/router_int.h"

#include <string.h>

#include "base/assert.h"
#include "router/glob.h"
#include "router/help.h"
#include "router/number.h"

/* The Redis whose behaviour clients find here; tools look at it to see what they may use. */
#define REDIS_VERSION "7.0.15"

/* What the functions below work on. */
struct serving {
    struct router *router;
    struct router_connection *connection;
    const struct base_bytes *args;
    size_t arg_count;
    struct router_buffer *out;
};

static void fail(struct serving *serving, const char *text)
{
    serving->router->stats.errors++;
    router_reply_error(serving->out, text);
}

static void tell_time(struct serving *serving)
{
    char text[24];
    uint64_t unix_us = serving->router->unix_us;
    router_reply_array(serving->out, 2);
    size_t size = router_number_write((int64_t)(unix_us / 1000000), text);
    router_reply_bulk(serving->out, base_bytes_of(text, size));
    size = router_number_write((int64_t)(unix_us % 1000000), text);
    router_reply_bulk(serving->out, base_bytes_of(text, size));
}

static bool word_is(struct base_bytes word, const char *pattern)
{
    return router_glob_match_nocase(base_bytes_text(pattern), word);
}

/* ---- The connection
 * ------------------------------------------------------------------------------ */

static void ping(struct serving *serving)
{
    if (serving->arg_count > 2)
        fail(serving, "ERR wrong number of arguments for 'ping' command");
    else if (serving->arg_count == 2)
        router_reply_bulk(serving->out, serving->args[1]);
    else
        router_reply_simple(serving->out, "PONG");
}

static void select_database(struct serving *serving)
{
    int64_t index;
    if (!router_number_read(serving->args[1], &index) || index > INT32_MAX || index < INT32_MIN)
        fail(serving, "ERR value is not an integer or out of range");
    else if (index != 0)
        fail(serving, "ERR DB index is out of range");
    else
        router_reply_simple(serving->out, "OK");
}

/* Keeps the connection's name, empty for none; false: an error was replied. */
static bool name_set(struct serving *serving, struct base_bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < '!' || name.data[i] > '~') {
            fail(serving,
                 "ERR Client names cannot contain spaces, newlines or special characters.");
            return false;
        }
    }
    router_buffer_clear(&serving->connection->name);
    router_buffer_append(&serving->connection->name, name);
    return true;
}

static void reset(struct serving *serving)
{
    router_buffer_clear(&serving->connection->name);
    serving->connection->protocol = ROUTER_PROTOCOL_2;
    router_reply_simple(serving->out, "RESET");
}

static void client(struct serving *serving, enum router_command_id id)
{
    struct router_connection *connection = serving->connection;
    switch (id) {
    case ROUTER_CLIENT_ID:
        router_reply_integer(serving->out, (int64_t)connection->id);
        break;
    case ROUTER_CLIENT_GETNAME:
        if (connection->name.size == 0)
            router_reply_null(serving->out, connection->protocol);
        else
            router_reply_bulk(serving->out, router_buffer_bytes(&connection->name));
        break;
    case ROUTER_CLIENT_SETNAME:
        if (name_set(serving, serving->args[2]))
            router_reply_simple(serving->out, "OK");
        break;
    default: /* SETINFO: taken so that client libraries are content. */
        if (word_is(serving->args[2], "lib-name") || word_is(serving->args[2], "lib-ver")) {
            router_reply_simple(serving->out, "OK");
        } else {
            struct router_buffer *text = &serving->router->scratch;
            text->size = 0;
            router_buffer_text(text, "ERR Unrecognized option '");
            router_buffer_append(text, serving->args[2]);
            router_buffer_text(text, "'");
            router_reply_error_bytes(serving->out, router_buffer_bytes(text));
        }
    }
}

static void hello_reply(struct serving *serving)
{
    struct router_buffer *out = serving->out;
    unsigned protocol = serving->connection->protocol;
    router_reply_map(out, protocol, 7);
    router_reply_bulk_text(out, "server");
    router_reply_bulk_text(out, "redis");
    router_reply_bulk_text(out, "version");
    router_reply_bulk_text(out, REDIS_VERSION);
    router_reply_bulk_text(out, "proto");
    router_reply_integer(out, (int64_t)protocol);
    router_reply_bulk_text(out, "id");
    router_reply_integer(out, (int64_t)serving->connection->id);
    router_reply_bulk_text(out, "mode");
    router_reply_bulk_text(out, "standalone");
    router_reply_bulk_text(out, "role");
    router_reply_bulk_text(out, "master");
    router_reply_bulk_text(out, "modules");
    router_reply_array(out, 0);
}

static void hello(struct serving *serving)
{
    struct router_connection *connection = serving->connection;
    int64_t version = (int64_t)connection->protocol;
    const struct base_bytes *name = NULL;
    if (serving->arg_count > 1 && !router_number_read(serving->args[1], &version)) {
        fail(serving, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version != ROUTER_PROTOCOL_2 && version != ROUTER_PROTOCOL_3) {
        fail(serving, "NOPROTO unsupported protocol version");
        return;
    }
    for (size_t i = 2; i < serving->arg_count; i++) {
        size_t left = serving->arg_count - i - 1;
        if (word_is(serving->args[i], "auth") && left >= 2) {
            if (!base_bytes_equal(serving->args[i + 1], base_bytes_text("default"))) {
                fail(serving, "WRONGPASS invalid username-password pair or user is disabled.");
                return;
            }
            i += 2;
        } else if (word_is(serving->args[i], "setname") && left >= 1) {
            name = &serving->args[++i];
        } else {
            struct router_buffer *text = &serving->router->scratch;
            text->size = 0;
            router_buffer_text(text, "ERR Syntax error in HELLO option '");
            router_buffer_append(text, serving->args[i]);
            router_buffer_text(text, "'");
            router_reply_error_bytes(serving->out, router_buffer_bytes(text));
            return;
        }
    }
    if (name != NULL && !name_set(serving, *name))
        return;
    connection->protocol = (unsigned)version;
    hello_reply(serving);
}

/* ---- CONFIG
 * -------------------------------------------------------------------------------------- */

static size_t config_matches(const struct serving *serving, const char *name, const char *value,
                             struct router_buffer *out)
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
static size_t config_walk(const struct serving *serving, struct router_buffer *out)
{
    const struct router_config *config = &serving->router->config;
    size_t count = config_matches(serving, "save", "", out);
    count += config_matches(serving, "appendonly", "yes", out);
    for (size_t i = 0; i < config->setting_count; i++)
        count += config_matches(serving, config->settings[i].name, config->settings[i].value, out);
    return count;
}

static void config_get(struct serving *serving)
{
    router_reply_map(serving->out, serving->connection->protocol, config_walk(serving, NULL));
    config_walk(serving, serving->out);
}

/* ---- INFO
 * ---------------------------------------------------------------------------------------- */

static void info_server(const struct router *router, struct router_buffer *text)
{
    const struct router_config *config = &router->config;
    uint64_t uptime_s = (router->now_us - router->started_us) / 1000000;
    router_buffer_text(text, "# Server\r\nredis_version:" REDIS_VERSION "\r\n");
    router_buffer_format(text, "torc_version:%s\r\nredis_mode:standalone\r\n", config->version);
    router_buffer_format(text, "process_id:%u\r\nrun_id:%s\r\n", (unsigned)config->process_id,
                         config->run_id);
    router_buffer_format(text, "resp_address:%s\r\n", config->resp_address);
    router_buffer_format(text, "uptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\n",
                         (unsigned long long)uptime_s, (unsigned long long)(uptime_s / 86400));
}

static void info_clients(const struct router *router, struct router_buffer *text)
{
    router_buffer_format(text, "# Clients\r\nconnected_clients:%u\r\nmaxclients:%u\r\n",
                         (unsigned)router->connection_count, (unsigned)router->config.clients_max);
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

static bool section_asked(const struct serving *serving, const char *name)
{
    if (serving->arg_count == 1)
        return true;
    for (size_t i = 1; i < serving->arg_count; i++) {
        if (word_is(serving->args[i], name) || word_is(serving->args[i], "all") ||
            word_is(serving->args[i], "default") || word_is(serving->args[i], "everything"))
            return true;
    }
    return false;
}

static void info(struct serving *serving)
{
    static const struct {
        const char *name;
        void (*write)(const struct router *router, struct router_buffer *text);
    } sections[] = {
        {"server", info_server},
        {"clients", info_clients},
        {"stats", info_stats},
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

/* Those that have a file of their own. */
static void other_command(struct serving *serving, const struct router_command *command)
{
    unsigned protocol = serving->connection->protocol;
    if (router_help_reply(command, serving->out) ||
        router_memory_reply(serving->router, command, protocol, serving->out) ||
        router_timing_reply(serving->router, serving->connection, command, serving->out))
        return;
    router_command_reply(command, serving->args, serving->arg_count, protocol, serving->out);
}

void router_server_command(struct router *router, struct router_connection *connection,
                           const struct router_command *command)
{
    struct serving serving = {
        .router = router,
        .connection = connection,
        .args = connection->resp.args,
        .arg_count = connection->resp.arg_count,
        .out = router_reply_at_once(router, connection),
    };
    switch (command->id) {
    case ROUTER_PING:
        ping(&serving);
        break;
    case ROUTER_ECHO:
        router_reply_bulk(serving.out, serving.args[1]);
        break;
    case ROUTER_SELECT:
        select_database(&serving);
        break;
    case ROUTER_HELLO:
        hello(&serving);
        break;
    case ROUTER_RESET:
        reset(&serving);
        break;
    case ROUTER_QUIT:
        router_reply_simple(serving.out, "OK");
        connection->closing = true;
        break;
    case ROUTER_CLIENT_ID:
    case ROUTER_CLIENT_GETNAME:
    case ROUTER_CLIENT_SETNAME:
    case ROUTER_CLIENT_SETINFO:
        client(&serving, command->id);
        break;
    case ROUTER_CONFIG_GET:
        config_get(&serving);
        break;
    case ROUTER_INFO:
        info(&serving);
        break;
    case ROUTER_TIME:
        tell_time(&serving);
        break;
    case ROUTER_LASTSAVE:
        router_reply_integer(serving.out, (int64_t)(router->unix_us / 1000000));
        break;
    default:
        other_command(&serving, command);
    }
}
