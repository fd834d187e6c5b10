/*
 * router/timing -- what is kept of how long commands take: SLOWLOG and LATENCY.
 */
#include "router/router_int.h"

#include "router/number.h"

enum { SLOWLOG_GET_PRESET = 10 };

void router_timing_end(struct router *router, const struct router_connection *connection,
                       const struct router_command *command, uint64_t took_us,
                       struct base_bytes words)
{
    struct router_slowlog_command ended = {
        .unix_s = router->unix_us / 1000000,
        .took_us = took_us,
        .words = words,
        .address = base_bytes_text(connection->address),
        .name = router_buffer_bytes(&connection->name),
    };
    router_latency_add(&router->latency, command->id, took_us);
    router_slowlog_add(&router->slowlog, &ended);
}

/* Passwords are not kept: as in Redis, of AUTH and of HELLO. The words are not looked at again. */
static void passwords_hide(const struct router_command *command, struct base_bytes *args,
                           size_t arg_count)
{
    struct base_bytes hidden = base_bytes_text("(redacted)");
    if (command->id == ROUTER_AUTH && arg_count <= 3) {
        for (size_t i = 1; i < arg_count; i++)
            args[i] = hidden;
    }
    if (command->id != ROUTER_HELLO)
        return;
    for (size_t i = 2; i + 1 < arg_count; i++) {
        bool password = router_word_is(args[i], "auth") && i + 2 < arg_count;
        if (password)
            args[i + 1] = args[i + 2] = hidden;
        i += password ? 2 : router_word_is(args[i], "setname");
    }
}

void router_timing_at_once(struct router *router, struct router_connection *connection,
                           const struct router_command *command)
{
    struct router_buffer *words = &router->scratch;
    words->size = 0;
    if (router_slowlog_on(&router->slowlog) && router->slowlog.slower_than_us == 0) {
        passwords_hide(command, connection->resp.args, connection->resp.arg_count);
        router_slowlog_words(connection->resp.args, connection->resp.arg_count, words);
    }
    router_timing_end(router, connection, command, 0, router_buffer_bytes(words));
}

static void slowlog_get(struct router *router, const struct router_connection *connection,
                        struct router_buffer *out)
{
    const struct router_resp *resp = &connection->resp;
    int64_t count = SLOWLOG_GET_PRESET;
    if (resp->arg_count > 3) {
        struct router_buffer *text = &router->scratch;
        text->size = 0;
        router_buffer_text(text, "ERR unknown subcommand or wrong number of arguments for '");
        router_buffer_append(text, resp->args[1]); /* "GET" in some case. */
        router_buffer_text(text, "'. Try SLOWLOG HELP.");
        router->stats.errors++;
        router_reply_error_bytes(out, router_buffer_bytes(text));
        return;
    }
    if (resp->arg_count == 3 && (!router_number_read(resp->args[2], &count) || count < -1)) {
        router->stats.errors++;
        router_reply_error(out, "ERR count should be greater than or equal to -1");
        return;
    }
    router_slowlog_reply(&router->slowlog, count == -1 ? SIZE_MAX : (size_t)count, out);
}

bool router_timing_reply(struct router *router, const struct router_connection *connection,
                         const struct router_command *command, struct router_buffer *out)
{
    switch (command->id) {
    case ROUTER_SLOWLOG_GET:
        slowlog_get(router, connection, out);
        return true;
    case ROUTER_SLOWLOG_LEN:
        router_reply_integer(out, (int64_t)router->slowlog.count);
        return true;
    case ROUTER_SLOWLOG_RESET:
        router_slowlog_clear(&router->slowlog);
        router_reply_simple(out, "OK");
        return true;
    default:
        return router_latency_reply(&router->latency, command, connection->resp.args,
                                    connection->resp.arg_count, connection->protocol, out);
    }
}
