#include "router/libtorc/client.h"

#include "base/assert.h"
#include "router/libtorc/reply.h"

struct libtorc_client {
    const struct base_allocator *allocator;
    struct router_courier *courier;
    struct libtorc_list mapless; /* Walks that wait for the map that says which groups there are. */
    uint64_t mapless_at_us;      /* The first deadline among them; UINT64_MAX: none. */
    struct libtorc_list done;
    size_t count; /* Calls that were added and not given back. */
    bool closing;
};

static void finish(struct libtorc_client *client, struct libtorc_call *call,
                   struct torc_reply *reply)
{
    TORC_ASSERT(call->reply == NULL);
    call->reply = reply;
    libtorc_list_append(&client->done, call);
}

/* ---- Walks
 * --------------------------------------------------------------------------------------- */

static void walk_ask(struct libtorc_client *client, struct libtorc_call *call, uint32_t group,
                     uint64_t first)
{
    struct libtorc_walk *walk = call->walk;
    struct wire_op op = {.type = walk->type, .a = first, .b = walk->count};
    uint8_t encoded[WIRE_OP_HEADER_SIZE];
    wire_op_write(encoded, sizeof(encoded), &op);
    struct router_courier_request request = {
        .ops = base_bytes_of(encoded, sizeof(encoded)),
        .op_count = 1,
        .flags = wire_op_writes(walk->type) ? 0 : WIRE_REQUEST_QUORUM,
        .group = group,
        .deadline_us = router_courier_now_us(client->courier) + walk->timeout_us,
        .call = call};
    walk->pending++;
    router_courier_add_request(client->courier, &request);
}

static void walk_begin(struct libtorc_client *client, struct libtorc_call *call)
{
    const struct router_map *map = router_courier_map(client->courier);
    for (size_t i = 0; i < map->group_count; i++)
        walk_ask(client, call, map->groups[i].id, call->walk->first);
    TORC_ASSERT(call->walk->pending > 0); /* A map has groups: its vnodes have owners. */
}

static void walk_finish(struct libtorc_client *client, struct libtorc_call *call, const char *text)
{
    struct libtorc_walk *walk = call->walk;
    enum torc_outcome outcome = walk->unknown             ? TORC_OUTCOME_UNKNOWN
                                : walk->status == TORC_OK ? TORC_HAPPENED
                                                          : TORC_DID_NOT_HAPPEN;
    finish(client, call, libtorc_reply_failed(outcome, walk->status, text));
}

/* Takes what a group answered, and asks it for more where there is more and all is wanted. */
static void walk_take(struct libtorc_client *client, struct libtorc_call *call, uint32_t group,
                      const struct wire_answer *answer)
{
    struct libtorc_walk *walk = call->walk;
    struct wire_result result;
    size_t cursor = 0;
    bool more = wire_result_next(answer, &cursor, &result);
    TORC_ASSERT(more); /* The courier has compared the numbers of operations and results. */
    if (result.kind != WIRE_RESULT_KEYS) {
        walk->status = TORC_MALFORMED;
    } else if (walk->type != WIRE_OP_SCAN) {
        walk->sum += result.bytes.size == 8 ? base_get_le64(result.bytes.data) : 0;
        if (result.number != 0)
            walk_ask(client, call, group, result.number);
    } else {
        router_buffer_append(&walk->rows, result.bytes);
        if (result.number != 0 && (!walk->bounded || result.number < walk->bound)) {
            walk->bounded = true;
            walk->bound = result.number;
        }
    }
}

static enum torc_status failure(const struct libtorc_client *client,
                                const struct router_outcome *outcome)
{
    if (outcome->type == ROUTER_REFUSED)
        return outcome->status;
    if (client->closing)
        return TORC_CLOSED;
    return outcome->type == ROUTER_UNKNOWN ? TORC_UNKNOWN : TORC_TIMEOUT;
}

static void walk_done(struct libtorc_client *client, struct libtorc_call *call,
                      const struct router_outcome *outcome)
{
    struct libtorc_walk *walk = call->walk;
    walk->pending--;
    if (outcome->type == ROUTER_ANSWERED)
        walk_take(client, call, outcome->group, outcome->answer);
    else if (walk->status == TORC_OK)
        walk->status = failure(client, outcome);
    walk->unknown |= outcome->type == ROUTER_UNKNOWN;
    if (walk->pending == 0)
        walk_finish(client, call, outcome->reason == NULL ? "" : outcome->reason);
}

static void mapless_add(struct libtorc_client *client, struct libtorc_call *call)
{
    libtorc_list_append(&client->mapless, call);
    if (call->deadline_us < client->mapless_at_us)
        client->mapless_at_us = call->deadline_us;
}

/* Begins the walks that waited for a map, or gives up those that have waited for too long. */
static void mapless_turn(struct libtorc_client *client)
{
    struct libtorc_list waiting = client->mapless;
    bool there = router_courier_map(client->courier) != NULL;
    uint64_t now_us = router_courier_now_us(client->courier);
    client->mapless = (struct libtorc_list){NULL, NULL};
    client->mapless_at_us = UINT64_MAX;
    for (struct libtorc_call *call; (call = libtorc_list_take(&waiting)) != NULL;) {
        if (client->closing || call->deadline_us <= now_us) {
            call->walk->status = client->closing ? TORC_CLOSED : TORC_TIMEOUT;
            walk_finish(client, call, "no node has given the cluster's map");
        } else if (there) {
            walk_begin(client, call);
        } else {
            mapless_add(client, call);
        }
    }
}

/* ---- Calls
 * --------------------------------------------------------------------------------------- */

static void on_outcome(void *context, void *tag, uint32_t part,
                       const struct router_outcome *outcome)
{
    struct libtorc_client *client = context;
    struct libtorc_call *call = tag;
    TORC_ASSERT(part == 0);
    if (call->walk != NULL)
        walk_done(client, call, outcome);
    else
        finish(client, call,
               libtorc_reply_of(base_bytes_of(call->ops, call->ops_size), call->op_count, outcome,
                                client->closing));
}

void libtorc_client_add(struct libtorc_client *client, struct libtorc_call *call)
{
    TORC_ASSERT(!client->closing);
    client->count++;
    if (call->walk != NULL) {
        mapless_add(client, call); /* Until the turn ends; begun then if there is a map. */
        return;
    }
    struct router_courier_request request = {
        .ops = base_bytes_of(call->ops, call->ops_size),
        .op_count = call->op_count,
        .flags = call->flags,
        .staleness_ms = call->staleness_ms,
        .deadline_us = call->deadline_us,
        .call = call,
    };
    router_courier_add_request(client->courier, &request);
}

struct libtorc_call *libtorc_client_done(struct libtorc_client *client)
{
    struct libtorc_call *call = libtorc_list_take(&client->done);
    if (call != NULL)
        client->count--;
    return call;
}

/* ---- Turns
 * --------------------------------------------------------------------------------------- */

size_t libtorc_client_messages(struct libtorc_client *client,
                               const struct router_message **ret_messages)
{
    mapless_turn(client);
    return router_courier_messages(client->courier, ret_messages);
}

uint64_t libtorc_client_wake_at_us(const struct libtorc_client *client)
{
    uint64_t courier_us = router_courier_wake_at_us(client->courier);
    return courier_us < client->mapless_at_us ? courier_us : client->mapless_at_us;
}

void libtorc_client_close(struct libtorc_client *client)
{
    client->closing = true;
    mapless_turn(client);
    router_courier_abandon(client->courier);
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

struct libtorc_client *libtorc_client_new(const struct base_allocator *allocator,
                                          const struct router_courier_config *config)
{
    struct libtorc_client *client = base_alloc_zero(allocator, sizeof(*client));
    client->allocator = allocator;
    client->mapless_at_us = UINT64_MAX;
    client->courier =
        router_courier_new(allocator, config, (struct router_courier_sink){on_outcome, client});
    return client;
}

void libtorc_client_free(struct libtorc_client *client)
{
    if (client == NULL)
        return;
    TORC_ASSERT(client->count == 0);
    router_courier_free(client->courier);
    base_free(client->allocator, client, sizeof(*client));
}

struct router_courier *libtorc_client_courier(struct libtorc_client *client)
{
    return client->courier;
}
