/*
 * router/memory -- MEMORY DOCTOR and MEMORY STATS: of this router's memory. No node is asked.
 */
#include "router/router_int.h"

static size_t connection_size(const struct router_connection *connection)
{
    size_t size = sizeof(*connection) + connection->input.capacity + connection->output.capacity +
                  connection->writing.capacity + connection->name.capacity;
    for (const struct router_call *call = connection->first; call != NULL; call = call->next)
        size += sizeof(*call) + call->out.capacity + call->words.capacity +
                call->value_capacity * sizeof(*call->values);
    return size;
}

size_t router_memory_clients(const struct router *router)
{
    size_t size = 0;
    for (const struct router_connection *at = router->connections; at != NULL; at = at->next)
        size += connection_size(at);
    return size;
}

static void pair(struct router_buffer *out, const char *name, size_t value)
{
    router_reply_bulk_text(out, name);
    router_reply_integer(out, (int64_t)value);
}

static void stats(const struct router *router, unsigned protocol, struct router_buffer *out)
{
    size_t inflight = router_courier_inflight_size(router->courier);
    size_t clients = router_memory_clients(router);
    router_reply_map(out, protocol, 3);
    pair(out, "total.allocated", clients + inflight);
    pair(out, "clients.normal", clients);
    pair(out, "torc.inflight", inflight);
}

bool router_memory_reply(const struct router *router, const struct router_command *command,
                         unsigned protocol, struct router_buffer *out)
{
    if (command->id == ROUTER_MEMORY_STATS)
        stats(router, protocol, out);
    else if (command->id == ROUTER_MEMORY_DOCTOR)
        router_reply_verbatim(
            out, protocol,
            base_bytes_text("Hi Sam, I can't find any memory issue in your instance. I can only "
                            "account for what occurs on this base.\n"));
    else
        return false;
    return true;
}
