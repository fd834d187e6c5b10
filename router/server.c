/*
 * router/server -- commands about the connection and about this router: no node is asked.
 */
#include "router/router_int.h"

#include <string.h>

#include "base/assert.h"
#include "router/glob.h"
#include "router/help.h"
#include "router/number.h"

enum { SERVER_NAMES_MAX = 4096 };

bool router_word_is(struct base_bytes word, const char *text)
{
    return word.size == strlen(text) && router_glob_match_nocase(base_bytes_text(text), word);
}

void router_serving_ok(struct router_serving *serving)
{
    router_reply_simple(serving->out, "OK");
}

void router_serving_fail(struct router_serving *serving, const char *text)
{
    serving->router->stats.errors++;
    router_reply_error(serving->out, text);
}

void router_serving_fail_word(struct router_serving *serving, const char *before,
                              struct base_bytes word, const char *after)
{
    struct router_buffer *text = &serving->router->scratch;
    text->size = 0;
    router_buffer_text(text, before);
    router_buffer_append(text, router_command_shown(word, word.size));
    router_buffer_text(text, after);
    serving->router->stats.errors++;
    router_reply_error_bytes(serving->out, router_buffer_bytes(text));
}

bool router_serving_timeout(struct router_serving *serving, struct base_bytes word,
                            uint64_t *ret_ms)
{
    int64_t timeout;
    if (!router_number_read(word, &timeout)) {
        router_serving_fail(serving, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (timeout < 0) {
        router_serving_fail(serving, "ERR timeout is negative");
        return false;
    }
    *ret_ms = (uint64_t)timeout;
    return true;
}

/* ---- The connection
 * ------------------------------------------------------------------------------ */

static void ping(struct router_serving *serving)
{
    if (serving->arg_count > 2)
        router_serving_fail(serving, "ERR wrong number of arguments for 'ping' command");
    else if (serving->arg_count == 2)
        router_reply_bulk(serving->out, serving->args[1]);
    else
        router_reply_simple(serving->out, "PONG");
}

static bool read_index(struct base_bytes word, int64_t *ret_index)
{
    return router_number_read(word, ret_index) && *ret_index <= INT32_MAX &&
           *ret_index >= INT32_MIN;
}

static void select_database(struct router_serving *serving)
{
    int64_t index;
    if (!read_index(serving->args[1], &index))
        router_serving_fail(serving, "ERR value is not an integer or out of range");
    else if (index != 0)
        router_serving_fail(serving, "ERR DB index is out of range");
    else
        router_serving_ok(serving);
}

static void swap_databases(struct router_serving *serving)
{
    int64_t first, second;
    if (!read_index(serving->args[1], &first))
        router_serving_fail(serving, "ERR invalid first DB index");
    else if (!read_index(serving->args[2], &second))
        router_serving_fail(serving, "ERR invalid second DB index");
    else if (first != 0 || second != 0)
        router_serving_fail(serving, "ERR DB index is out of range");
    else
        router_serving_ok(serving);
}

/* There are no users: as in a Redis without passwords, `default` may come with any. */
static bool is_user(struct router_serving *serving, struct base_bytes name)
{
    if (base_bytes_equal(name, base_bytes_text("default")))
        return true;
    router_serving_fail(serving, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

static void authenticate(struct router_serving *serving)
{
    if (serving->arg_count > 3)
        router_serving_fail(serving, "ERR syntax error");
    else if (serving->arg_count == 2)
        router_serving_fail(serving,
                            "ERR AUTH <password> called without any password configured for the "
                            "default user. Are you sure your configuration is correct?");
    else if (is_user(serving, serving->args[1]))
        router_serving_ok(serving);
}

static void reset(struct router_serving *serving)
{
    router_buffer_clear(&serving->connection->name);
    serving->connection->protocol = ROUTER_PROTOCOL_2;
    router_reply_simple(serving->out, "RESET");
}

static void hello_reply(struct router_serving *serving)
{
    struct router_buffer *out = serving->out;
    unsigned protocol = serving->connection->protocol;
    router_reply_map(out, protocol, 7);
    router_reply_bulk_text(out, "server");
    router_reply_bulk_text(out, "redis");
    router_reply_bulk_text(out, "version");
    router_reply_bulk_text(out, ROUTER_REDIS_VERSION);
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

/* The words behind the version, each taken at once, as Redis does; false: an error was replied. */
static bool hello_options(struct router_serving *serving)
{
    for (size_t i = 2; i < serving->arg_count; i++) {
        size_t left = serving->arg_count - i - 1;
        if (router_word_is(serving->args[i], "auth") && left >= 2) {
            if (!is_user(serving, serving->args[i + 1]))
                return false;
            i += 2;
        } else if (router_word_is(serving->args[i], "setname") && left >= 1) {
            if (!router_client_name_set(serving, serving->args[++i]))
                return false;
        } else {
            router_serving_fail_word(serving, "ERR Syntax error in HELLO option '",
                                     serving->args[i], "'");
            return false;
        }
    }
    return true;
}

static void hello(struct router_serving *serving)
{
    struct router_connection *connection = serving->connection;
    int64_t version = (int64_t)connection->protocol;
    if (serving->arg_count > 1 && !router_number_read(serving->args[1], &version)) {
        router_serving_fail(serving, "ERR Protocol version is not an integer or out of range");
    } else if (version != ROUTER_PROTOCOL_2 && version != ROUTER_PROTOCOL_3) {
        router_serving_fail(serving, "NOPROTO unsupported protocol version");
    } else if (hello_options(serving)) {
        connection->protocol = (unsigned)version;
        hello_reply(serving);
    }
}

/* ---- Time
 * ---------------------------------------------------------------------------------------- */

static void tell_time(struct router_serving *serving)
{
    char text[24];
    uint64_t unix_us = serving->router->unix_us;
    router_reply_array(serving->out, 2);
    size_t size = router_number_write((int64_t)(unix_us / 1000000), text);
    router_reply_bulk(serving->out, base_bytes_of(text, size));
    size = router_number_write((int64_t)(unix_us % 1000000), text);
    router_reply_bulk(serving->out, base_bytes_of(text, size));
}

/* ---- Replication
 * --------------------------------------------------------------------------------- */

static void role(struct router_serving *serving)
{
    router_reply_array(serving->out, 3);
    router_reply_bulk_text(serving->out, "master");
    router_reply_integer(serving->out, 0);
    router_reply_array(serving->out, 0);
}

/* On how many replicas besides the leader an answered write is sure to be, wherever its key is: a
 * majority of the voters has it on disk, the leader being one of them. */
static uint32_t sure_copies(const struct router *router)
{
    const struct router_map *map = router_courier_map(router->courier);
    uint32_t least = ROUTER_MAP_REPLICAS_MAX;
    if (map == NULL || map->group_count == 0)
        return 0;
    for (size_t i = 0; i < map->group_count; i++) {
        uint32_t copies = map->groups[i].node_count / 2;
        if (copies < least)
            least = copies;
    }
    return least;
}

static void wait_replicas(struct router_serving *serving)
{
    int64_t replicas;
    uint64_t timeout_ms;
    if (!router_number_read(serving->args[1], &replicas))
        router_serving_fail(serving, "ERR value is not an integer or out of range");
    else if (router_serving_timeout(serving, serving->args[2], &timeout_ms))
        router_reply_integer(serving->out, sure_copies(serving->router));
}

static void replica_of(struct router_serving *serving)
{
    if (router_word_is(serving->args[1], "no") && router_word_is(serving->args[2], "one"))
        router_serving_ok(serving); /* It is so. */
    else
        router_serving_fail(serving, "ERR REPLICAOF is not supported: a router holds no data, its "
                                     "groups of nodes replicate by themselves");
}

/* ---- What a router does not do
 * ------------------------------------------------------------------- */

static void shut_down(struct router_serving *serving)
{
    if (serving->arg_count == 2 && router_word_is(serving->args[1], "abort"))
        router_serving_fail(serving, "ERR No shutdown in progress.");
    else
        router_serving_fail(serving,
                            "ERR SHUTDOWN is not supported: stop the router's process instead");
}

static void function_flush(struct router_serving *serving)
{
    if (serving->arg_count > 3)
        router_serving_fail_word(serving,
                                 "ERR unknown subcommand or wrong number of arguments for '",
                                 serving->args[1], "'. Try FUNCTION HELP.");
    else if (serving->arg_count == 3 && !router_word_is(serving->args[2], "sync") &&
             !router_word_is(serving->args[2], "async"))
        router_serving_fail(serving, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    else
        router_serving_ok(serving);
}

/* The error of a command that is always refused; NULL: it is not. */
static const char *refusal(enum router_command_id id)
{
    switch (id) {
    case ROUTER_ASKING:
    case ROUTER_CLUSTER:
    case ROUTER_READONLY:
    case ROUTER_READWRITE:
        return "ERR This instance has cluster support disabled";
    case ROUTER_BGREWRITEAOF:
        return "ERR BGREWRITEAOF is not supported: there is no append-only file, nodes tidy their "
               "disks themselves";
    case ROUTER_BGSAVE:
    case ROUTER_SAVE:
        return "ERR Saving is not supported: every answered write is on the disks of a majority of "
               "its group already";
    case ROUTER_DEBUG:
        return "ERR DEBUG command not allowed.";
    case ROUTER_MONITOR:
        return "ERR MONITOR is not supported";
    case ROUTER_SYNC:
        return "ERR SYNC is not supported: a router has no stream of writes";
    default:
        return NULL;
    }
}

/* ---- Which is which
 * ------------------------------------------------------------------------------ */

static void serve_connection(struct router_serving *serving, const struct router_command *command)
{
    switch (command->id) {
    case ROUTER_AUTH:
        authenticate(serving);
        break;
    case ROUTER_PING:
        ping(serving);
        break;
    case ROUTER_ECHO:
        router_reply_bulk(serving->out, serving->args[1]);
        break;
    case ROUTER_SELECT:
        select_database(serving);
        break;
    case ROUTER_HELLO:
        hello(serving);
        break;
    case ROUTER_RESET:
        reset(serving);
        break;
    case ROUTER_QUIT:
        router_serving_ok(serving);
        serving->connection->closing = true;
        break;
    default:
        router_client_command(serving, command);
    }
}

/* Those that have a file of their own. */
static void other_command(struct router_serving *serving, const struct router_command *command)
{
    unsigned protocol = serving->connection->protocol;
    if (router_memory_reply(serving->router, command, protocol, serving->out) ||
        router_timing_reply(serving->router, serving->connection, command, serving->out) ||
        router_config_command(serving, command))
        return;
    router_command_reply(command, serving->args, serving->arg_count, protocol, serving->out);
}

static void serve(struct router_serving *serving, const struct router_command *command)
{
    switch (command->id) {
    case ROUTER_INFO:
        router_info_command(serving);
        break;
    case ROUTER_ROLE:
        role(serving);
        break;
    case ROUTER_WAIT:
        wait_replicas(serving);
        break;
    case ROUTER_REPLICAOF:
    case ROUTER_SLAVEOF:
        replica_of(serving);
        break;
    case ROUTER_SWAPDB:
        swap_databases(serving);
        break;
    case ROUTER_SHUTDOWN:
        shut_down(serving);
        break;
    case ROUTER_FUNCTION_FLUSH:
        function_flush(serving);
        break;
    case ROUTER_TIME:
        tell_time(serving);
        break;
    case ROUTER_LASTSAVE:
        router_reply_integer(serving->out, (int64_t)(serving->router->unix_us / 1000000));
        break;
    default:
        other_command(serving, command);
    }
}

/* A list of names whose reply grows with every one of them, though there are few to name. */
static bool names_too_many(const struct router_command *command, size_t arg_count)
{
    switch (command->id) {
    case ROUTER_COMMAND_DOCS:
    case ROUTER_COMMAND_INFO:
    case ROUTER_CONFIG_GET:
    case ROUTER_LATENCY_HISTOGRAM:
        return arg_count > SERVER_NAMES_MAX + 2;
    default:
        return false;
    }
}

void router_server_command(struct router *router, struct router_connection *connection,
                           const struct router_command *command)
{
    if (command->id == ROUTER_CLIENT_REPLY)
        router_client_reply_mode(connection);
    else if (command->id == ROUTER_RESET)
        connection->reply_off = false;
    struct router_serving serving = {
        .router = router,
        .connection = connection,
        .args = connection->resp.args,
        .arg_count = connection->resp.arg_count,
        .out = router_reply_at_once(router, connection),
    };
    if (refusal(command->id) != NULL)
        router_serving_fail(&serving, refusal(command->id));
    else if (names_too_many(command, serving.arg_count))
        router_serving_fail(&serving, "ERR too many names: 4096 at most");
    else if (router_help_reply(command, serving.out))
        return;
    else if (strcmp(command->group, "connection") == 0)
        serve_connection(&serving, command);
    else
        serve(&serving, command);
}
