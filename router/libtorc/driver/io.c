#include "router/libtorc/driver/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <uv.h>

#include "base/assert.h"
#include "net/net.h"
#include "router/libtorc/client.h"
#include "router/libtorc/reply.h"
#include "wire/dedup.h"

enum {
    MESSAGE_SIZE_MAX = 64 << 20, /* One message on the wire, either way. */
    PAYLOAD_SIZE_MAX = 1 << 20,  /* Requests in one message; one larger request travels alone. */
    QUEUE_MAX = 65536,           /* Messages queued towards one node. */
    SILENCE_MS = 150, /* A leader that owes an answer for so long is asked, and others. */
    PROBE_MS = 50,    /* Between rounds that look for a leader, at first and at most. */
    PROBE_MAX_MS = 1000,
    RESEND_MS = 500,
};

struct io_peer { /* A node, by the courier's number. */
    struct net_peer *net;
    struct wire_window window; /* Which of its messages have been seen. */
};

struct libtorc_io {
    struct libtorc_io_config config;
    uv_loop_t loop;
    uv_async_t async;
    uv_timer_t wake;
    uv_prepare_t prepare;
    struct net *net;
    struct libtorc_client *client;
    struct io_peer *peers;
    size_t peer_count;
    uint32_t incarnation; /* Random: a client has no storage that could count its lives. */
    uint64_t number;      /* Of the last message sent. */
    bool turn_wanted;
};

uint64_t libtorc_io_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now); /* A deadline goes on while the machine sleeps. */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The first event of a turn sets the core's time for all of them. */
static void on_event(struct libtorc_io *io)
{
    if (io->turn_wanted)
        return;
    io->turn_wanted = true;
    router_courier_turn(libtorc_client_courier(io->client), libtorc_io_now_us());
}

static void on_async(uv_async_t *async)
{
    on_event(async->data);
}

static void on_wake(uv_timer_t *timer)
{
    on_event(timer->data);
}

/* ---- Nodes
 * --------------------------------------------------------------------------------------- */

/* Follows the courier's list of addresses, which only grows. */
static void connect_peers(struct libtorc_io *io)
{
    const struct router_courier *courier = libtorc_client_courier(io->client);
    size_t count = router_courier_peer_count(courier);
    if (count == io->peer_count)
        return;
    io->peers = realloc(io->peers, count * sizeof(*io->peers));
    TORC_ASSERT(io->peers != NULL);
    for (; io->peer_count < count; io->peer_count++) {
        const char *address = router_courier_peer_address(courier, (uint32_t)io->peer_count);
        /* What is no address is a node that cannot be reached. */
        io->peers[io->peer_count] = (struct io_peer){.net = net_connect(io->net, address, NULL)};
    }
}

static void make_message(void *envelope, uint8_t *at)
{
    wire_envelope_write(envelope, at);
}

static void send_message(struct libtorc_io *io, const struct router_message *message)
{
    struct wire_envelope envelope = {
        .type = message->type,
        .cluster = io->config.cluster,
        .incarnation = io->incarnation,
        .to_node = message->node,
        .to_incarnation = message->incarnation,
        .number = ++io->number,
        .body = message->body,
        .payload = message->payload,
    };
    struct net_peer *peer = io->peers[message->peer].net;
    if (peer != NULL) /* What is dropped was counted, and is sent again by the courier. */
        (void)!net_send_made(io->net, peer, wire_envelope_size(&envelope), make_message, &envelope);
}

static void on_answer(void *context, struct net_peer *net_peer, struct base_bytes message)
{
    struct libtorc_io *io = context;
    struct wire_envelope envelope;
    size_t i = 0;
    while (i < io->peer_count && io->peers[i].net != net_peer)
        i++;
    if (i == io->peer_count || wire_envelope_read(message, &envelope) != TORC_OK ||
        !wire_envelope_is_for(&envelope, 0, io->incarnation) ||
        !wire_window_take(&io->peers[i].window, envelope.incarnation, envelope.number))
        return;
    on_event(io);
    router_courier_receive(libtorc_client_courier(io->client), &envelope);
}

/* ---- The turn
 * ------------------------------------------------------------------------------------ */

static void tell_done(struct libtorc_io *io)
{
    for (struct libtorc_call *call; (call = libtorc_client_done(io->client)) != NULL;)
        io->config.done(io->config.context, call);
}

static void close_calls(struct libtorc_io *io, struct libtorc_list *calls)
{
    for (struct libtorc_call *call; (call = libtorc_list_take(calls)) != NULL;) {
        call->reply = libtorc_reply_failed(TORC_DID_NOT_HAPPEN, TORC_CLOSED, "it was never sent");
        io->config.done(io->config.context, call);
    }
    libtorc_client_close(io->client);
    tell_done(io);
    uv_stop(&io->loop);
}

static void take_turn(struct libtorc_io *io)
{
    struct libtorc_list calls;
    const struct router_message *messages;
    io->turn_wanted = false;
    if (!io->config.take(io->config.context, &calls)) {
        close_calls(io, &calls);
        return;
    }
    for (struct libtorc_call *call; (call = libtorc_list_take(&calls)) != NULL;)
        libtorc_client_add(io->client, call);
    size_t count = libtorc_client_messages(io->client, &messages);
    connect_peers(io);
    for (size_t i = 0; i < count; i++)
        send_message(io, &messages[i]);
    tell_done(io);
    const struct router_courier_counters *counters =
        router_courier_counters(libtorc_client_courier(io->client));
    io->config.turned(io->config.context, counters->copies, counters->leader_changes);
    uint64_t now = libtorc_io_now_us(), wake_at_us = libtorc_client_wake_at_us(io->client);
    uint64_t wait_us = wake_at_us > now ? wake_at_us - now : 0;
    uv_update_time(&io->loop);
    uv_timer_start(&io->wake, on_wake, (wait_us + 999) / 1000, 0);
}

/* Right before the loop would wait: after timers, and after everything that the last poll brought.
 */
static void on_prepare(uv_prepare_t *prepare)
{
    struct libtorc_io *io = prepare->data;
    if (io->turn_wanted)
        take_turn(io);
}

void libtorc_io_run(struct libtorc_io *io)
{
    uv_run(&io->loop, UV_RUN_DEFAULT);
}

void libtorc_io_wake(struct libtorc_io *io)
{
    uv_async_send(&io->async);
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

static void entropy(void *at, size_t size)
{
    ssize_t got = getrandom(at, size, 0); /* Up to 256 bytes come whole. */
    TORC_ASSERT(got == (ssize_t)size);
}

static enum torc_status open_net(struct libtorc_io *io, char *text)
{
    struct net_config config = {.queue_max = QUEUE_MAX, .message_size_max = MESSAGE_SIZE_MAX};
    struct net_callbacks callbacks = {.on_answer = on_answer, .context = io};
    char net_text[NET_TEXT_SIZE];
    entropy(&config.identity, sizeof(config.identity));
    enum torc_status status = net_open(&io->loop, &config, &callbacks, net_text, &io->net);
    if (status == TORC_OK)
        return TORC_OK;
    snprintf(text, TORC_TEXT_SIZE, "%s", net_text);
    return TORC_IO;
}

static void make_client(struct libtorc_io *io)
{
    struct router_courier_config config = {
        .cluster = io->config.cluster,
        .seeds = io->config.seeds,
        .seed_count = io->config.seed_count,
        .request_timeout_ms = io->config.timeout_ms,
        .silence_ms = SILENCE_MS,
        .probe_ms = PROBE_MS,
        .probe_max_ms = PROBE_MAX_MS,
        .resend_ms = RESEND_MS,
        .inflight_max = io->config.inflight_max,
        .inflight_size_max = io->config.inflight_size_max,
        .message_size_max = PAYLOAD_SIZE_MAX,
    };
    entropy(&config.client, sizeof(config.client));
    entropy(&config.seed, sizeof(config.seed));
    while (io->incarnation == 0)
        entropy(&io->incarnation, sizeof(io->incarnation));
    io->client = libtorc_client_new(base_allocator_system(), &config);
}

static void open_handles(struct libtorc_io *io)
{
    uv_timer_init(&io->loop, &io->wake);
    uv_prepare_init(&io->loop, &io->prepare);
    io->wake.data = io->prepare.data = io;
    /* Started after net's own: libuv runs the latest first, so net looks after what a turn sent. */
    uv_prepare_start(&io->prepare, on_prepare);
    uv_timer_start(&io->wake, on_wake, 0, 0);
}

static void on_net_closed(void *context)
{
    struct libtorc_io *io = context;
    io->net = NULL;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void libtorc_io_free(struct libtorc_io *io)
{
    if (io == NULL)
        return;
    if (io->client != NULL) { /* No more turns. */
        uv_prepare_stop(&io->prepare);
        uv_timer_stop(&io->wake);
    }
    if (io->net != NULL) {
        net_close(io->net, on_net_closed, io);
        while (io->net != NULL)
            uv_run(&io->loop, UV_RUN_NOWAIT);
    }
    uv_walk(&io->loop, close_handle, NULL);
    uv_run(&io->loop, UV_RUN_DEFAULT);
    uv_loop_close(&io->loop);
    libtorc_client_free(io->client);
    free(io->peers);
    free(io);
}

enum torc_status libtorc_io_new(const struct libtorc_io_config *config, char *text,
                                struct libtorc_io **ret_io)
{
    struct libtorc_io *io = calloc(1, sizeof(*io));
    TORC_ASSERT(io != NULL);
    io->config = *config;
    if (uv_loop_init(&io->loop) != 0) {
        snprintf(text, TORC_TEXT_SIZE, "the system has no more descriptors");
        free(io);
        return TORC_IO;
    }
    enum torc_status status = TORC_IO;
    if (uv_async_init(&io->loop, &io->async, on_async) != 0)
        snprintf(text, TORC_TEXT_SIZE, "the system has no more descriptors");
    else
        status = open_net(io, text);
    if (status != TORC_OK) {
        libtorc_io_free(io);
        return status;
    }
    io->async.data = io;
    make_client(io);
    open_handles(io);
    *ret_io = io;
    return TORC_OK;
}
