#include "router/router.h"

#include <string.h>

#include "base/assert.h"
#include "router/router_int.h"

enum {
    BULK_SIZE_MAX =
        64 << 20, /* An argument; values have a limit of their own, with a better error. */
    COMMAND_SIZE_MAX = 128 << 20,
    ROOM_FROM = 16 * 1024,       /* So much has come before memory is set aside for the rest. */
    REPLIES_SIZE_MAX = 32 << 20, /* Bytes of replies that a client may be expected to get of what */
    REPLY_SIZE_FIRST = 2 << 20,  /* is under way; how large one is taken to be at first. */
};

static const struct router_resp_limits resp_limits = {
    .args_max = ROUTER_RESP_ARGS_MAX,
    .bulk_size_max = BULK_SIZE_MAX,
    .command_size_max = COMMAND_SIZE_MAX,
};

struct router *router_new(const struct base_allocator *allocator,
                          const struct router_config *config, uint64_t now_us)
{
    TORC_ASSERT(config->clients_max > 0 && config->client_inflight_max > 0);
    TORC_ASSERT(config->client_output_pause <= config->client_output_max);
    struct router *router = base_alloc_zero(allocator, sizeof(*router));
    router->allocator = allocator;
    router->config = *config;
    router->now_us = now_us;
    router->started_us = now_us;
    router->prng = base_prng_seeded(config->courier.client.high ^ config->courier.client.low);
    router_slowlog_init(&router->slowlog, allocator, config->slowlog_slower_than_us,
                        config->slowlog_entries_max);
    router->scratch = router_buffer_empty(allocator);
    router->discarded = router_buffer_empty(allocator);
    router->slots = base_alloc_zero(allocator, config->clients_max * sizeof(*router->slots));
    router->slots_free = base_alloc(allocator, config->clients_max * sizeof(*router->slots_free));
    for (uint32_t i = config->clients_max; i > 0; i--)
        router->slots_free[router->slots_free_count++] = i - 1;
    struct router_courier_sink sink = {router_call_done, router};
    router->courier = router_courier_new(allocator, &config->courier, sink);
    router_courier_turn(router->courier, now_us);
    return router;
}

static void connection_free(struct router *router, struct router_connection *connection)
{
    while (connection->first != NULL) {
        struct router_call *call = connection->first;
        connection->first = call->next;
        router_call_free(router, call);
    }
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        router->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    router_resp_fini(&connection->resp);
    router_buffer_fini(&connection->input);
    router_buffer_fini(&connection->output);
    router_buffer_fini(&connection->writing);
    router_buffer_fini(&connection->name);
    base_free(router->allocator, connection, sizeof(*connection));
}

void router_free(struct router *router)
{
    if (router == NULL)
        return;
    const struct base_allocator *allocator = router->allocator;
    router_courier_free(router->courier);
    while (router->connections != NULL)
        connection_free(router, router->connections);
    while (router->spare != NULL) {
        struct router_call *call = router->spare;
        router->spare = call->next;
        router_call_free(router, call);
    }
    base_free(allocator, router->slots, router->config.clients_max * sizeof(*router->slots));
    base_free(allocator, router->slots_free,
              router->config.clients_max * sizeof(*router->slots_free));
    base_array_free(allocator, router->actions, &router->action_capacity, sizeof(*router->actions));
    router_buffer_fini(&router->scratch);
    router_slowlog_fini(&router->slowlog);
    router_buffer_fini(&router->discarded);
    base_free(allocator, router, sizeof(*router));
}

void router_turn(struct router *router, uint64_t now_us, uint64_t unix_us)
{
    TORC_ASSERT(now_us >= router->now_us);
    router->now_us = now_us;
    router->unix_us = unix_us;
    router->turn_large = 0;
    router->turn_full = false;
    router_courier_turn(router->courier, now_us);
    if (router->pause != ROUTER_PAUSE_NOTHING && now_us >= router->pause_until_us)
        router_pause_end(router);
}

/* ---- Connections
 * --------------------------------------------------------------------------------- */

void router_connection_touch(struct router *router, struct router_connection *connection)
{
    if (connection->dirty)
        return;
    connection->dirty = true;
    connection->dirty_next = NULL;
    if (router->dirty_last != NULL)
        router->dirty_last->dirty_next = connection;
    else
        router->dirty_first = connection;
    router->dirty_last = connection;
}

/* Behind those that wait already; one whose turn it was stays the first, so that what needs much
 * room gets it in the end. */
static void starve(struct router *router, struct router_connection *connection)
{
    TORC_ASSERT(!connection->starved);
    connection->starved = true;
    connection->starved_next = NULL;
    if (router->settled == connection) {
        connection->starved_next = router->starved_first;
        router->starved_first = connection;
        if (router->starved_last == NULL)
            router->starved_last = connection;
        return;
    }
    if (router->starved_last != NULL)
        router->starved_last->starved_next = connection;
    else
        router->starved_first = connection;
    router->starved_last = connection;
}

struct base_bytes router_refusal(void)
{
    return base_bytes_text("-ERR max number of clients reached\r\n");
}

static void address_copy(char to[ROUTER_PEER_ADDRESS_SIZE], const char *address)
{
    size_t size = strlen(address);
    if (size >= ROUTER_PEER_ADDRESS_SIZE)
        size = ROUTER_PEER_ADDRESS_SIZE - 1;
    memcpy(to, address, size);
    to[size] = '\0';
}

enum torc_status router_connection_opened(struct router *router, const struct router_peer *peer,
                                          uint32_t *ret_connection)
{
    if (router->slots_free_count == 0) {
        router->stats.connections_refused++;
        return TORC_FULL;
    }
    struct router_connection *connection = base_alloc_zero(router->allocator, sizeof(*connection));
    connection->slot = router->slots_free[--router->slots_free_count];
    connection->id = ++router->connection_last_id;
    connection->open = true;
    connection->reading = true;
    connection->protocol = ROUTER_PROTOCOL_2;
    connection->reply_size_mean = REPLY_SIZE_FIRST;
    address_copy(connection->address, peer->address);
    address_copy(connection->local, peer->local);
    connection->opened_us = connection->heard_us = router->now_us;
    router_resp_init(&connection->resp, router->allocator, &resp_limits);
    connection->input = router_buffer_empty(router->allocator);
    connection->output = router_buffer_empty(router->allocator);
    connection->writing = router_buffer_empty(router->allocator);
    connection->name = router_buffer_empty(router->allocator);
    connection->next = router->connections;
    if (router->connections != NULL)
        router->connections->previous = connection;
    router->connections = connection;
    router->slots[connection->slot] = connection;
    router->connection_count++;
    router->stats.connections++;
    *ret_connection = connection->slot;
    return TORC_OK;
}

static struct router_connection *connection_at(const struct router *router, uint32_t slot)
{
    TORC_ASSERT(slot < router->config.clients_max);
    TORC_ASSERT(router->slots[slot] != NULL);
    return router->slots[slot];
}

/* The driver forgets the connection; it ends for good when its calls have. */
static void connection_detach(struct router *router, struct router_connection *connection)
{
    connection->open = false;
    connection->closing = true;
    connection->write_out = false;
    router->slots[connection->slot] = NULL;
    router->slots_free[router->slots_free_count++] = connection->slot;
    router->connection_count--;
    router_buffer_fini(&connection->input);
    router_buffer_fini(&connection->output);
    router_buffer_fini(&connection->writing);
    router_connection_touch(router, connection);
}

void router_connection_closed(struct router *router, uint32_t slot)
{
    connection_detach(router, connection_at(router, slot));
}

void router_connection_ended(struct router *router, uint32_t slot)
{
    struct router_connection *connection = connection_at(router, slot);
    connection->ended = true;
    router_connection_touch(router, connection);
}

bool router_connection_written(struct router *router, uint32_t slot)
{
    struct router_connection *connection = connection_at(router, slot);
    TORC_ASSERT(connection->write_out);
    connection->write_out = false;
    router->stats.bytes_out += connection->writing.size;
    router_buffer_clear(&connection->writing);
    if (connection->output.size == 0 && !connection->closing && connection->reading)
        return false;
    router_connection_touch(router, connection);
    return true;
}

/* ---- Commands
 * ------------------------------------------------------------------------------------ */

static size_t unread_output(const struct router_connection *connection)
{
    return connection->output.size + connection->writing.size + connection->kept;
}

/* Whether the replies of what is under way are already more than should be. Their sizes are those
 * of the last ones: who asks for large values one behind the other gets them one behind the other,
 * each within its time, instead of all at once and too late. */
static bool expects_much(const struct router_connection *connection)
{
    return connection->call_count > 0 &&
           (connection->call_count + 1) * connection->reply_size_mean > REPLIES_SIZE_MAX;
}

/* Whether its next command may begin now. */
static bool may_run(const struct router *router, const struct router_connection *connection)
{
    return !connection->closing && !connection->walking && !connection->starved &&
           !connection->held && !connection->waits_alone && !router->draining &&
           connection->call_count < router->config.client_inflight_max &&
           !expects_much(connection) &&
           unread_output(connection) <= router->config.client_output_pause;
}

static bool is_walk(const struct router_command *command)
{
    return command->id == ROUTER_SCAN || command->id == ROUTER_DBSIZE ||
           command->id == ROUTER_FLUSHALL || command->id == ROUTER_FLUSHDB ||
           command->id == ROUTER_KEYS || command->id == ROUTER_RANDOMKEY;
}

/* Whether its turn comes only when all before it are answered. */
static bool runs_alone(const struct router_command *command)
{
    return is_walk(command) || command->id == ROUTER_MSETNX || command->id == ROUTER_BITFIELD ||
           command->id == ROUTER_BITFIELD_RO || command->id == ROUTER_BITOP ||
           command->id == ROUTER_LCS;
}

void router_pause(struct router *router, enum router_pause pause, uint64_t until_us)
{
    if (pause > router->pause)
        router->pause = pause;
    if (until_us > router->pause_until_us)
        router->pause_until_us = until_us;
    if (router->pause_until_us <= router->now_us)
        router_pause_end(router);
}

void router_pause_end(struct router *router)
{
    router->pause = ROUTER_PAUSE_NOTHING;
    router->pause_until_us = 0;
    for (struct router_connection *at = router->connections; at != NULL; at = at->next) {
        if (at->held)
            router_connection_touch(router, at);
        at->held = false;
    }
}

/* CLIENT UNPAUSE is let through: nothing else ends a pause early. */
static bool is_paused(const struct router *router, const struct router_command *command)
{
    if (router->pause == ROUTER_PAUSE_WRITES)
        return (command->flags & ROUTER_FLAG_WRITE) != 0;
    return router->pause == ROUTER_PAUSE_EVERYTHING && command->id != ROUTER_CLIENT_UNPAUSE;
}

/* Begins the command that the parser has read. False: it must wait, and is to be read again. */
static bool command_begin(struct router *router, struct router_connection *connection)
{
    const struct router_resp *resp = &connection->resp;
    uint64_t calls = router->stats.calls;
    router->scratch.size = 0;
    const struct router_command *command =
        router_command_resolve(resp->args, resp->arg_count, &router->scratch);
    if (command == NULL) {
        router->stats.errors++;
        router_reply_error_bytes(router_reply_at_once(router, connection),
                                 router_buffer_bytes(&router->scratch));
    } else if (is_paused(router, command)) {
        connection->held = true;
        return false;
    } else if (runs_alone(command) && connection->first != NULL) {
        connection->waits_alone = true;
        return false;
    } else if (is_walk(command)) {
        if (!router_call_has_room(router, connection, 1 /* operation */, 0 /* bytes */)) {
            starve(router, connection);
            return false;
        }
        router_walk_begin(router, connection, command);
    } else if (command->first_key != 0) {
        if (!router_call_begin(router, connection, command)) {
            starve(router, connection);
            return false;
        }
    } else {
        router_server_command(router, connection, command);
    }
    if (command != NULL)
        connection->newest = command;
    router_reply_kept(connection);
    if (connection->reply_skips > 0)
        connection->reply_skips--;
    router->stats.commands++;
    if (command != NULL && router->stats.calls == calls)
        router_timing_at_once(router, connection, command);
    return true;
}

static bool command_run(struct router *router, struct router_connection *connection)
{
    if (command_begin(router, connection)) {
        connection->waiting_us = 0;
        return true;
    }
    if (connection->waiting_us == 0)
        connection->waiting_us = router->now_us;
    return false;
}

/* A page in somebody's browser can send POST to any port that it reaches, with commands in the
 * body: whoever begins like HTTP is not heard further, as in Redis. */
static bool speaks_http(const struct router_resp *resp)
{
    return router_word_is(resp->args[0], "post") || router_word_is(resp->args[0], "host:");
}

/* Begins what can be begun of the commands at the head of `input`; returns the bytes done with. */
static size_t commands_run(struct router *router, struct router_connection *connection,
                           struct base_bytes input)
{
    size_t at = 0;
    while (may_run(router, connection)) {
        size_t used;
        struct base_bytes rest = base_bytes_of(input.data + at, input.size - at);
        enum router_resp_status status = router_resp_read(&connection->resp, rest, &used);
        if (status == ROUTER_RESP_MORE)
            break;
        if (status == ROUTER_RESP_ERROR) {
            router->scratch.size = 0;
            router_buffer_format(&router->scratch, "ERR %s", connection->resp.error);
            router_reply_error_bytes(router_reply_at_once(router, connection),
                                     router_buffer_bytes(&router->scratch));
            router->stats.errors++;
            connection->closing = true;
            break;
        }
        if (connection->resp.arg_count > 0 && speaks_http(&connection->resp)) {
            router->stats.connections_http++;
            connection->closing = connection->killed = true;
            break;
        }
        if (connection->resp.arg_count > 0 && !command_run(router, connection))
            break;
        at += used;
    }
    return at;
}

struct router_room router_connection_room(struct router *router, uint32_t slot)
{
    struct router_connection *connection = connection_at(router, slot);
    struct router_buffer *input = &connection->input;
    size_t wanted = router_resp_wanted(&connection->resp);
    if (connection->closing || input->size < ROOM_FROM || wanted <= input->size)
        return (struct router_room){NULL, 0};
    router_buffer_reserve(input, wanted);
    return (struct router_room){input->data + input->size, wanted - input->size};
}

void router_connection_bytes(struct router *router, uint32_t slot, struct base_bytes bytes)
{
    struct router_connection *connection = connection_at(router, slot);
    router->stats.bytes_in += bytes.size;
    connection->heard_us = router->now_us;
    router_connection_touch(router, connection);
    if (connection->closing)
        return;
    struct router_buffer *input = &connection->input;
    if (input->size > 0) { /* Looked at when the turn ends. */
        if (bytes.data == input->data + input->size) {
            TORC_ASSERT(bytes.size <= input->capacity - input->size);
            input->size += bytes.size;
        } else {
            router_buffer_append(input, bytes);
        }
        return;
    }
    size_t used = commands_run(router, connection, bytes);
    router_buffer_append(input, base_bytes_of(bytes.data + used, bytes.size - used));
}

/* ---- Actions
 * ------------------------------------------------------------------------------------- */

static void act(struct router *router, struct router_connection *connection,
                enum router_action_type type)
{
    router->actions =
        base_array_reserve(router->allocator, router->actions, &router->action_capacity,
                           router->action_count + 1, sizeof(*router->actions));
    router->actions[router->action_count++] = (struct router_action){
        .type = type,
        .connection = connection->slot,
        .bytes = type == ROUTER_WRITE ? router_buffer_bytes(&connection->writing)
                                      : base_bytes_of(NULL, 0),
    };
}

static void write_begin(struct router *router, struct router_connection *connection)
{
    struct router_buffer empty = connection->writing;
    TORC_ASSERT(empty.size == 0);
    connection->writing = connection->output;
    connection->output = empty;
    connection->write_out = true;
    act(router, connection, ROUTER_WRITE);
}

/* What this turn has for a connection that is killed after all: its output goes with it. */
static void actions_forget(struct router *router, uint32_t slot)
{
    size_t count = 0;
    for (size_t i = 0; i < router->action_count; i++) {
        if (router->actions[i].connection != slot)
            router->actions[count++] = router->actions[i];
    }
    router->action_count = count;
}

/* Tells the driver what has changed for an open connection. */
static void connection_act(struct router *router, struct router_connection *connection)
{
    if (unread_output(connection) > router->config.client_output_max) {
        router->stats.connections_killed++;
        connection->killed = true;
    }
    if (connection->killed)
        actions_forget(router, connection->slot);
    if (!connection->killed && !connection->write_out && connection->output.size > 0)
        write_begin(router, connection);
    bool answered = connection->first == NULL && !connection->write_out;
    if (connection->killed || (connection->closing && answered)) {
        act(router, connection, ROUTER_CLOSE);
        connection_detach(router, connection);
        return;
    }
    bool reading = may_run(router, connection) && !connection->ended;
    if (reading != connection->reading) {
        connection->reading = reading;
        act(router, connection, reading ? ROUTER_RESUME : ROUTER_PAUSE);
    }
}

/* Goes on with a connection that something has happened to. */
static void connection_settle(struct router *router, struct router_connection *connection)
{
    connection->dirty = false;
    if (connection->open && connection->input.size > 0) {
        size_t used = commands_run(router, connection, router_buffer_bytes(&connection->input));
        router_buffer_consume(&connection->input, used);
    }
    /* The parser stands before nothing, or before half a command that nobody will end. */
    if (connection->ended && may_run(router, connection))
        connection->closing = true;
    if (connection->open)
        connection_act(router, connection);
    router_memory_note(router, connection);
    if (!connection->open && connection->first == NULL && !connection->starved &&
        !connection->dirty)
        connection_free(router, connection);
}

static void dirty_settle(struct router *router)
{
    while (router->dirty_first != NULL) {
        struct router_connection *connection = router->dirty_first;
        router->dirty_first = connection->dirty_next;
        if (router->dirty_first == NULL)
            router->dirty_last = NULL;
        connection_settle(router, connection);
    }
}

/* Connections whose next command found no room, in their order, as long as there is some. */
static void starved_settle(struct router *router)
{
    while (router->starved_first != NULL && router_courier_has_room(router->courier, 1, 0)) {
        struct router_connection *connection = router->starved_first;
        router->starved_first = connection->starved_next;
        if (router->starved_first == NULL)
            router->starved_last = NULL;
        connection->starved = router->crowded = false;
        router_connection_touch(router, connection);
        router->settled = connection;
        dirty_settle(router);
        router->settled = NULL;
        if (router->starved_first == connection)
            break; /* There is room, and not enough for this one. */
    }
}

/* Past the bound on what all clients hold, who holds most is closed: to wait with reading helps
 * nobody when it is half commands that hold the memory. */
static void evict(struct router *router)
{
    struct router_connection *largest;
    while (router->clients_size > router->config.clients_size_max &&
           (largest = router_memory_largest(router)) != NULL) {
        router->stats.connections_evicted++;
        largest->closing = largest->killed = true;
        router_connection_touch(router, largest);
        dirty_settle(router);
    }
}

void router_ready(struct router *router, struct router_ready *ret_ready)
{
    router->action_count = 0;
    dirty_settle(router);
    starved_settle(router);
    evict(router);
    ret_ready->message_count = router_courier_messages(router->courier, &ret_ready->messages);
    ret_ready->actions = router->actions;
    ret_ready->action_count = router->action_count;
    ret_ready->wake_at_us = router_courier_wake_at_us(router->courier);
    if (router->turn_full)
        ret_ready->wake_at_us = router->now_us;
    if (router->pause != ROUTER_PAUSE_NOTHING && router->pause_until_us < ret_ready->wake_at_us)
        ret_ready->wake_at_us = router->pause_until_us;
}

void router_drain(struct router *router)
{
    router->draining = true;
    for (struct router_connection *at = router->connections; at != NULL; at = at->next)
        router_connection_touch(router, at);
}

bool router_drained(const struct router *router)
{
    for (const struct router_connection *at = router->connections; at != NULL; at = at->next) {
        if (at->first != NULL || at->output.size > 0 || at->write_out)
            return false;
    }
    return router->draining;
}

void router_receive(struct router *router, const struct wire_envelope *envelope)
{
    router_courier_receive(router->courier, envelope);
}

void router_peer_lost(struct router *router, uint32_t peer)
{
    router_courier_peer_lost(router->courier, peer);
}

/* ---- Looking
 * ------------------------------------------------------------------------------------- */

const struct router_courier *router_courier(const struct router *router)
{
    return router->courier;
}

static void check_connection(const struct router *router,
                             const struct router_connection *connection)
{
    uint32_t count = 0;
    size_t kept = 0;
    const struct router_call *last = NULL;
    for (const struct router_call *call = connection->first; call != NULL; call = call->next) {
        TORC_ASSERT(call->connection == connection);
        TORC_ASSERT(call->finished == (call->pending == 0));
        last = call;
        count++;
        kept += call->kept;
    }
    TORC_ASSERT(connection->last == last);
    TORC_ASSERT(connection->call_count == count);
    TORC_ASSERT(connection->kept == kept);
    TORC_ASSERT(count <= router->config.client_inflight_max + 1); /* And one protocol error. */
    TORC_ASSERT(connection->first == NULL || !connection->first->finished);
    TORC_ASSERT(connection->open == (connection->slot < router->config.clients_max &&
                                     router->slots[connection->slot] == connection));
    TORC_ASSERT(connection->walking == (last != NULL && last->alone));
    TORC_ASSERT(connection->write_out || connection->writing.size == 0);
    TORC_ASSERT(!connection->held || router->pause != ROUTER_PAUSE_NOTHING);
    TORC_ASSERT(!connection->waits_alone || connection->first != NULL);
}

void router_check(const struct router *router)
{
    size_t calls = 0, size = 0;
    uint32_t open = 0;
    for (const struct router_connection *at = router->connections; at != NULL; at = at->next) {
        check_connection(router, at);
        calls += at->call_count;
        open += at->open;
        size += at->noted;
    }
    TORC_ASSERT(size == router->clients_size);
    TORC_ASSERT(!router->crowded || router->starved_first != NULL);
    TORC_ASSERT(calls == router->call_count);
    TORC_ASSERT(open == router->connection_count);
    TORC_ASSERT(open + router->slots_free_count == router->config.clients_max);
    router_courier_check(router->courier);
}
