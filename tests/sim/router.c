/* What router/driver/host.c does with a courier, on simulated time. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/sim.h"

void sim_router_start(struct sim *sim, uint32_t index)
{
    struct sim_router *router = &sim->routers[index];
    router->index = index;
    router->life++;
    router->number = 0;
    router->wake_us = UINT64_MAX;
    router->request_count = 0;
    memset(router->windows, 0, sizeof(router->windows));
    memset(router->credits, 0, sizeof(router->credits));
    memset(router->epochs, 0, sizeof(router->epochs));
    router->map_version = 0;
    struct router_courier_config config = {
        .cluster = sim->cluster,
        .client = {.high = index + 1, .low = router->life},
        .seed = sim->options.seed + index,
        .seeds = sim->seeds,
        .seed_count = sim->options.nodes,
        .request_timeout_ms = sim->options.request_timeout_ms,
        .silence_ms = sim->options.silence_ms,
        .probe_ms = 50,
        .probe_max_ms = 1000,
        .resend_ms = 500,
        .inflight_max = 1024,
        .inflight_size_max = 1 << 20,
        .message_size_max = 4096,
    };
    struct router_courier_sink sink = {.done = client_done, .context = sim};
    router->courier = router_courier_new(sim->allocator, &config, sink);
    sim_trace(sim, "router starts", SIM_NODES_MAX + index, router->life, 0, 0);
    sim_router_turn(sim, router);
}

void sim_router_free(struct sim *sim, struct sim_router *router)
{
    counters_router(sim, router);
    router_courier_free(router->courier);
    base_array_free(sim->allocator, router->requests, &router->requests_capacity,
                    sizeof(*router->requests));
}

void sim_router_kill(struct sim *sim, struct sim_router *router)
{
    sim_trace(sim, "router dies", SIM_NODES_MAX + router->index, router->life, 0, 0);
    for (uint32_t i = 0; i < sim->options.clients; i++) {
        if (sim->clients[i].busy && sim->clients[i].router == router->index)
            client_abandon(sim, &sim->clients[i]);
    }
    counters_router(sim, router);
    router_courier_free(router->courier);
    sim_router_start(sim, router->index);
}

/* The node at a peer's address. */
static uint32_t place_of(const struct sim *sim, const struct sim_router *router, uint32_t peer)
{
    const char *address = router_courier_peer_address(router->courier, peer);
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (strcmp(address, sim->addresses[i]) == 0)
            return i;
    }
    sim_fail(sim, "setup", "a router knows the address %s", address);
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
    network_send(sim,
                 (struct sim_head){.from = place,
                                   .to = place_of(sim, router, message->peer),
                                   .route = sim_route(place, router->life)},
                 base_bytes_of(sim->message, size));
}

/* What is to be sent now, and when time is wanted again. */
void sim_router_flush(struct sim *sim, struct sim_router *router)
{
    const struct router_message *messages;
    size_t count = router_courier_messages(router->courier, &messages);
    for (size_t i = 0; i < count; i++)
        send_message(sim, router, &messages[i]);
    uint64_t at_us = router_courier_wake_at_us(router->courier);
    if (at_us == UINT64_MAX)
        return;
    /* As the driver: its timer counts in milliseconds, rounded up. */
    at_us = at_us > sim->now_us ? sim->now_us + (at_us - sim->now_us + 999) / 1000 * 1000
                                : sim->now_us + 1;
    router->wake_us = at_us;
    sim_push(sim,
             (struct sim_event){
                 .at_us = at_us, .type = SIM_ROUTER, .place = router->index, .life = router->life});
}

void sim_router_turn(struct sim *sim, struct sim_router *router)
{
    router_courier_turn(router->courier, sim->now_us);
    router_courier_check(router->courier);
    sim_router_flush(sim, router);
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
    router_courier_turn(router->courier, sim->now_us);
    sim_trace(sim, "receive", head->to, head->from, envelope->type, 0);
    check_credit_heard(sim, router, envelope);
    router_courier_receive(router->courier, envelope);
    check_router_map(sim, router);
    sim_router_flush(sim, router);
    return true;
}
