/*
 * router/memory -- what clients hold of this router's memory: the bound on it, MEMORY DOCTOR and
 * MEMORY STATS. No node is asked.
 */
#include "router/router_int.h"

enum { SMALL = 64 * 1024 }; /* Bytes: closing who holds no more would help nobody. */

/* What grows with what a client sends and asks for. Input counts as far as it has come: the rest of
 * a large argument has a place, and no memory behind it yet. */
static size_t buffers_size(const struct router_connection *connection)
{
    size_t size = connection->input.size + connection->output.capacity +
                  connection->writing.capacity + connection->name.capacity + connection->kept +
                  router_resp_size(&connection->resp);
    if (connection->walking)
        size +=
            router_derive_size(connection->last->derive) + router_walk_size(connection->last->walk);
    return size;
}

void router_memory_note(struct router *router, struct router_connection *connection)
{
    size_t size = connection->open ? buffers_size(connection) : 0;
    router->clients_size = router->clients_size - connection->noted + size;
    connection->noted = size;
}

struct router_connection *router_memory_largest(const struct router *router)
{
    struct router_connection *largest = NULL;
    size_t size = SMALL;
    for (struct router_connection *at = router->connections; at != NULL; at = at->next) {
        if (at->open && !at->no_evict && at->noted > size) {
            largest = at;
            size = at->noted;
        }
    }
    return largest;
}

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
