/* A router: what router/driver/host.c does, on simulated time. Or a bare courier, as the library
 * for C programs has one in it. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "router/libtorc/client.h"
#include "tests/sim/clients.h"

/* The wall clock of all routers at the true clock's zero; no draw is spent on it. */
static const uint64_t unix_us = UINT64_C(1000000000000000);

enum {
    ROUTER_TURN_US_MAX = 50, /* What else comes so soon is of the same turn. */
    ROUTER_BARE_INFLIGHT_MAX = 1024,
    ROUTER_OPS_SIZE_MAX = 1 << 14, /* Beyond the map's limit on a request. */
};

const struct router_courier *sim_router_courier(const struct sim_router *router)
{
    return router->is_whole ? router_courier(router->whole) : router->bare;
}

/* ---- Life. */

static struct router_courier_config courier_config(const struct sim *sim,
                                                   const struct sim_router *router)
{
    return (struct router_courier_config){
        .cluster = sim->cluster,
        .client = {.high = router->index + 1, .low = router->life},
        .seed = sim->options.seed + router->index,
        .seeds = sim->seeds,
        .seed_count = sim->options.nodes,
        .request_timeout_ms = sim->options.request_timeout_ms,
        .silence_ms = sim->options.silence_ms,
        .probe_ms = 50,
        .probe_max_ms = 1000,
        .resend_ms = 500,
        .inflight_max = router->is_whole ? sim->options.inflight_max : ROUTER_BARE_INFLIGHT_MAX,
        .inflight_size_max = 1 << 20,
        .message_size_max = sim->options.router_message_max,
    };
}

static struct router *whole_new(struct sim *sim, const struct sim_router *router)
{
    struct router_config config = {
        .courier = courier_config(sim, router),
        .clients_max = SIM_CLIENTS_MAX,
        .client_inflight_max = router->commands_max,
        .client_output_pause = sim->options.output_pause,
        .client_output_max = 1 << 20,
        .clients_size_max = 32 << 20,
        .version = "0",
        .run_id = "0000000000000000000000000000000000000000",
        .resp_address = "127.0.0.1:7379",
    };
    return router_new(sim->allocator, &config, sim->now_us);
}

/* Half of them, and not both of two more often than not. */
static bool is_whole(const struct sim *sim, uint32_t index)
{
    struct base_prng drawn = base_prng_seeded(sim->options.seed ^ UINT64_C(0x646F6F72));
    bool first = base_prng_chance(&drawn, 1, 2), other = base_prng_chance(&drawn, 3, 4);
    return index == 0 || !other ? first : !first;
}

/* Half of those that are no whole routers. */
static bool is_library(const struct sim *sim, uint32_t index)
{
    struct base_prng drawn = base_prng_seeded(sim->options.seed ^ UINT64_C(0x6C6962) ^ index);
    return base_prng_chance(&drawn, 1, 2);
}

static void bare_start(struct sim *sim, struct sim_router *router,
                       const struct router_courier_config *config)
{
    struct router_courier_sink sink = {.done = client_done, .context = sim};
    if (is_library(sim, router->index)) {
        router->library = libtorc_client_new(sim->allocator, config);
        router->bare = libtorc_client_courier(router->library);
    } else {
        router->bare = router_courier_new(sim->allocator, config, sink);
    }
}

void sim_router_start(struct sim *sim, uint32_t index)
{
    struct sim_router *router = &sim->routers[index];
    router->index = index;
    router->life++;
    router->number = 0;
    router->wake_us = UINT64_MAX;
    router->turn_wanted = false;
    router->request_count = 0;
    memset(router->windows, 0, sizeof(router->windows));
    memset(router->credits, 0, sizeof(router->credits));
    memset(router->epochs, 0, sizeof(router->epochs));
    router->map_version = 0;
    router->is_whole = is_whole(sim, index);
    router->commands_max = 1 + (uint32_t)(sim->options.seed / 4 % SIM_TASKS_MAX);
    struct router_courier_config config = courier_config(sim, router);
    if (router->is_whole)
        router->whole = whole_new(sim, router);
    else
        bare_start(sim, router, &config);
    sim_trace(sim, "router starts", SIM_NODES_MAX + index, router->life, router->is_whole, 0);
    sim_router_turn(sim, router);
}

static void end(struct sim *sim, struct sim_router *router)
{
    counters_router(sim, router);
    router_free(router->whole);
    if (router->library != NULL)
        library_free(router->library);
    else
        router_courier_free(router->bare);
    router->library = NULL;
    router->whole = NULL;
    router->bare = NULL;
}

void sim_router_free(struct sim *sim, struct sim_router *router)
{
    end(sim, router);
    base_array_free(sim->allocator, router->kept, &router->kept_capacity, 1);
    base_array_free(sim->allocator, router->requests, &router->requests_capacity,
                    sizeof(*router->requests));
}

/* The programs that its courier is in die with it. */
static void abandon_tasks(struct sim *sim, const struct sim_router *router)
{
    for (uint32_t i = 0; i < sim->options.clients; i++) {
        struct sim_client *client = &sim->clients[i];
        if (client->in_flight == 0 || client->router != router->index)
            continue;
        for (uint32_t k = 0; k < SIM_TASKS_MAX; k++) {
            if (client->tasks[k].busy)
                client_abandon(sim, &client->tasks[k]);
        }
        client_rest(sim, client);
    }
}

void sim_router_kill(struct sim *sim, struct sim_router *router)
{
    sim_trace(sim, "router dies", SIM_NODES_MAX + router->index, router->life, 0, 0);
    if (router->is_whole)
        door_router_died(sim, router);
    else
        abandon_tasks(sim, router);
    end(sim, router);
    sim_router_start(sim, router->index);
}

/* ---- Its turn. */

/* The node at a peer's address. */
static uint32_t place_of(const struct sim *sim, const struct sim_router *router, uint32_t peer)
{
    const char *address = router_courier_peer_address(sim_router_courier(router), peer);
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (strcmp(address, sim->addresses[i]) == 0)
            return i;
    }
    sim_fail(sim, "setup", "a router knows the address %s", address);
}

/* Now and then, of what is sent. */
static void keep(struct sim *sim, struct sim_router *router, uint32_t to, size_t size)
{
    if (!sim_has(sim, SIM_FAULT_late_copies) || !sim_chance(sim, 30))
        return;
    router->kept =
        base_array_reserve(sim->allocator, router->kept, &router->kept_capacity, size, 1);
    memcpy(router->kept, sim->message, size);
    router->kept_size = size;
    router->kept_to = to;
    router->kept_life = router->life;
    router->kept_us = sim->now_us;
}

bool sim_router_send_kept(struct sim *sim, struct sim_router *router)
{
    struct wire_envelope envelope;
    struct base_bytes bytes = base_bytes_of(router->kept, router->kept_size);
    if (bytes.size == 0 || router->kept_life != router->life ||
        sim->now_us < router->kept_us + 1000ull * sim->options.request_timeout_ms + 100000 ||
        wire_envelope_read(bytes, &envelope) != TORC_OK ||
        !check_requests_answered(sim, router, envelope.payload))
        return false;
    envelope.number = ++router->number;
    sim->message =
        base_array_reserve(sim->allocator, sim->message, &sim->message_capacity, bytes.size, 1);
    wire_envelope_write(&envelope, sim->message);
    uint32_t place = SIM_NODES_MAX + router->index;
    network_send(sim,
                 (struct sim_head){
                     .from = place, .to = router->kept_to, .route = sim_route(place, router->life)},
                 base_bytes_of(sim->message, bytes.size));
    router->kept_size = 0;
    return true;
}

static void send_message(struct sim *sim, struct sim_router *router,
                         const struct router_message *message)
{
    struct wire_envelope envelope = {.type = message->type,
                                     .cluster = sim->cluster,
                                     .incarnation = router->life,
                                     .to_node = message->node,
                                     .to_incarnation = message->incarnation,
                                     .number = ++router->number,
                                     .body = message->body,
                                     .payload = message->payload};
    size_t size = wire_envelope_size(&envelope);
    sim->message =
        base_array_reserve(sim->allocator, sim->message, &sim->message_capacity, size, 1);
    wire_envelope_write(&envelope, sim->message);
    if (message->type == WIRE_TYPE_REQUEST) {
        check_request_sent(sim, router, message);
        check_credit_used(sim, router, &envelope);
    }
    uint32_t place = SIM_NODES_MAX + router->index;
    if (message->type == WIRE_TYPE_REQUEST && !router->is_whole)
        keep(sim, router, place_of(sim, router, message->peer), size);
    network_send(sim,
                 (struct sim_head){.from = place,
                                   .to = place_of(sim, router, message->peer),
                                   .route = sim_route(place, router->life)},
                 base_bytes_of(sim->message, size));
}

static void turn_at(struct sim *sim, struct sim_router *router, uint64_t at_us)
{
    router->wake_us = at_us;
    sim_push(sim,
             (struct sim_event){
                 .at_us = at_us, .type = SIM_ROUTER, .place = router->index, .life = router->life});
}

/* As the driver: its timer counts in milliseconds, rounded up. */
static void wake_at(struct sim *sim, struct sim_router *router, uint64_t at_us)
{
    if (at_us == UINT64_MAX)
        return;
    at_us = at_us > sim->now_us ? sim->now_us + (at_us - sim->now_us + 999) / 1000 * 1000
                                : sim->now_us + 1;
    turn_at(sim, router, at_us);
}

static void flush_bare(struct sim *sim, struct sim_router *router)
{
    const struct router_message *messages;
    bool library = router->library != NULL;
    size_t count = library ? libtorc_client_messages(router->library, &messages)
                           : router_courier_messages(router->bare, &messages);
    for (size_t i = 0; i < count; i++)
        send_message(sim, router, &messages[i]);
    if (library)
        library_hear(sim, router->library);
    wake_at(sim, router,
            library ? libtorc_client_wake_at_us(router->library)
                    : router_courier_wake_at_us(router->bare));
}

void sim_router_on_event(struct sim *sim, struct sim_router *router)
{
    if (router->turn_wanted)
        return;
    router->turn_wanted = true;
    router_turn(router->whole, sim->now_us, unix_us + sim->now_us);
    turn_at(sim, router, sim->now_us + sim_draw(sim, 0, ROUTER_TURN_US_MAX));
}

static void turn_whole(struct sim *sim, struct sim_router *router)
{
    if (!router->turn_wanted)
        router_turn(router->whole, sim->now_us, unix_us + sim->now_us);
    struct router_ready ready;
    for (;;) {
        router_ready(router->whole, &ready);
        for (size_t i = 0; i < ready.message_count; i++)
            send_message(sim, router, &ready.messages[i]);
        if (!door_act(sim, router, ready.actions, ready.action_count))
            break;
        router_turn(router->whole, sim->now_us,
                    unix_us + sim->now_us); /* The messages must not come again. */
    }
    router->turn_wanted = false;
    wake_at(sim, router, ready.wake_at_us);
}

void sim_router_turn(struct sim *sim, struct sim_router *router)
{
    if (router->is_whole) {
        turn_whole(sim, router);
        router_check(router->whole);
        return;
    }
    router_courier_turn(router->bare, sim->now_us);
    router_courier_check(router->bare);
    flush_bare(sim, router);
}

void sim_router_add(struct sim *sim, struct sim_router *router, struct sim_task *task)
{
    router_courier_turn(router->bare, sim->now_us);
    TORC_ASSERT(router_courier_has_room(router->bare, 1, SIM_VALUE_SIZE_MAX + 100));
    if (router->library != NULL) {
        library_ask(sim, router->library, task);
        flush_bare(sim, router);
        return;
    }
    /* Two clients are one caller: what both ask of a key travels in order, often as one request. */
    router_courier_add(router->bare, task->client / 2 + 1, &task->op, task, 0);
    flush_bare(sim, router);
}

void sim_router_add_request(struct sim *sim, struct sim_router *router, struct sim_task *tasks,
                            uint8_t flags)
{
    static uint8_t ops[ROUTER_OPS_SIZE_MAX];
    struct router_courier_request request = {
        .flags = flags,
        .op_count = (uint16_t)tasks->together,
        .staleness_ms = tasks->stale_ms,
        .deadline_us = sim->now_us + tasks->timeout_us,
        .call = tasks,
    };
    size_t size = 0;
    for (uint32_t i = 0; i < tasks->together; i++)
        size += wire_op_write(ops + size, sizeof(ops) - size, &tasks[i].op);
    request.ops = base_bytes_of(ops, size);
    router_courier_turn(router->bare, sim->now_us);
    TORC_ASSERT(router_courier_has_room(router->bare, request.op_count, size));
    router_courier_add_request(router->bare, &request);
    flush_bare(sim, router);
}

static void take(struct sim *sim, struct sim_router *router, const struct wire_envelope *envelope)
{
    if (router->is_whole) {
        sim_router_on_event(sim, router);
        check_credit_heard(sim, router, envelope);
        router_receive(router->whole, envelope);
        return;
    }
    router_courier_turn(router->bare, sim->now_us);
    check_credit_heard(sim, router, envelope);
    router_courier_receive(router->bare, envelope);
}

bool sim_router_receive(struct sim *sim, struct sim_router *router, const struct sim_head *head,
                        const struct wire_envelope *envelope)
{
    struct wire_window *window = &router->windows[head->from];
    if (!wire_envelope_is_for(envelope, 0, router->life) ||
        !wire_window_take(window, envelope->incarnation, envelope->number)) {
        sim->coverage->messages_refused++;
        return false;
    }
    sim_trace(sim, "receive", head->to, head->from, envelope->type, 0);
    take(sim, router, envelope);
    check_router_map(sim, router);
    if (!router->is_whole)
        flush_bare(sim, router);
    return true;
}
