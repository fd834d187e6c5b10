#include "router/driver/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/version.h"
#include "net/address.h"
#include "net/net.h"
#include "router/driver/door.h"
#include "router/router.h"
#include "wire/dedup.h"

enum {
    MESSAGE_SIZE_MAX = 64 << 20, /* One message on the wire, either way. */
    PAYLOAD_SIZE_MAX = 1 << 20,  /* Requests in one message; one larger request travels alone. */
    ANSWERS_SIZE_MAX = 1 << 20,  /* Taken in one turn, and one more: clients come in between. */
    QUEUE_MAX = 65536,           /* Messages queued towards one node. */
    PROBE_MS = 50,               /* Between rounds that look for a leader, at first and at most. */
    PROBE_MAX_MS = 1000,
    RESEND_MS = 500,
    RUN_ID_SIZE = 41,
    SETTING_SIZE_MAX = 1024,
};

struct host_peer { /* A node, by the core's number. */
    struct net_peer *net;
    struct wire_window window; /* Which of its messages have been seen. */
};

struct host {
    const struct router_driver_config *config;
    uv_loop_t loop;
    uv_timer_t wake, drain;
    uv_prepare_t prepare;
    uv_signal_t terminate, interrupt;
    struct net *net;
    struct router_door *door;
    struct router *router;
    struct host_peer *peers;
    size_t peer_count;
    struct wire_id cluster;
    uint32_t incarnation; /* Random: a router has no storage that could count its lives. */
    uint64_t number;      /* Of the last message sent. */
    char run_id[RUN_ID_SIZE];
    struct router_setting *settings;
    size_t setting_count;
    uint64_t map_version;
    bool turn_wanted, draining;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now); /* A deadline goes on while the machine sleeps. */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t unix_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The first event of a turn sets the core's time for all of them. */
static void on_event(void *context)
{
    struct host *host = context;
    if (host->turn_wanted)
        return;
    host->turn_wanted = true;
    router_turn(host->router, now_us(), unix_us());
}

/* ---- Nodes
 * --------------------------------------------------------------------------------------- */

/* Follows the core's list of addresses, which only grows. */
static void connect_peers(struct host *host)
{
    const struct router_courier *courier = router_courier(host->router);
    size_t count = router_courier_peer_count(courier);
    if (count == host->peer_count)
        return;
    host->peers = realloc(host->peers, count * sizeof(*host->peers));
    TORC_ASSERT(host->peers != NULL);
    for (; host->peer_count < count; host->peer_count++) {
        const char *address = router_courier_peer_address(courier, (uint32_t)host->peer_count);
        struct host_peer *peer = &host->peers[host->peer_count];
        *peer = (struct host_peer){.net = net_connect(host->net, address, NULL)};
        if (peer->net == NULL)
            base_log(BASE_LOG_ERROR, "peer_address", "id=%s address=\"%s\"", host->config->id,
                     address);
    }
}

static void make_message(void *envelope, uint8_t *at)
{
    wire_envelope_write(envelope, at);
}

static void send_message(struct host *host, const struct router_message *message)
{
    struct wire_envelope envelope = {
        .type = message->type,
        .cluster = host->cluster,
        .incarnation = host->incarnation,
        .to_node = message->node,
        .to_incarnation = message->incarnation,
        .number = ++host->number,
        .body = message->body,
        .payload = message->payload,
    };
    struct net_peer *peer = host->peers[message->peer].net;
    if (peer != NULL) /* What is dropped was counted, and is sent again by the core. */
        (void)!net_send_made(host->net, peer, wire_envelope_size(&envelope), make_message,
                             &envelope);
}

static void on_answer(void *context, struct net_peer *net_peer, struct base_bytes message)
{
    struct host *host = context;
    struct wire_envelope envelope;
    enum torc_status status = wire_envelope_read(message, &envelope);
    size_t i = 0;
    while (i < host->peer_count && host->peers[i].net != net_peer)
        i++;
    if (status == TORC_OK && i == host->peer_count)
        status = TORC_NOT_FOUND;
    else if (status == TORC_OK && !wire_envelope_is_for(&envelope, 0, host->incarnation))
        status = TORC_STALE;
    else if (status == TORC_OK &&
             !wire_window_take(&host->peers[i].window, envelope.incarnation, envelope.number))
        status = TORC_STALE;
    if (status != TORC_OK) {
        base_log(BASE_LOG_DEBUG, "message_refused", "id=%s size=%zu why=\"%s\"", host->config->id,
                 message.size, torc_status_text(status));
        return;
    }
    on_event(host);
    router_receive(host->router, &envelope);
}

/* ---- The turn
 * ------------------------------------------------------------------------------------ */

static void stop(struct host *host)
{
    uv_stop(&host->loop);
}

static void on_wake(uv_timer_t *timer)
{
    on_event(timer->data);
}

static void log_map(struct host *host)
{
    const struct router_map *map = router_courier_map(router_courier(host->router));
    if (map == NULL || map->version == host->map_version)
        return;
    host->map_version = map->version;
    base_log(BASE_LOG_INFO, "map", "id=%s version=%llu nodes=%zu groups=%zu vnodes=%u",
             host->config->id, (unsigned long long)map->version, map->node_count, map->group_count,
             map->ring->vnode_count);
}

static void take_turn(struct host *host)
{
    struct router_ready ready;
    do {
        router_ready(host->router, &ready);
        connect_peers(host);
        for (size_t i = 0; i < ready.message_count; i++)
            send_message(host, &ready.messages[i]);
        host->turn_wanted = router_door_act(host->door, ready.actions, ready.action_count);
        if (host->turn_wanted) /* The messages above are sent: they must not come again. */
            router_turn(host->router, now_us(), unix_us());
    } while (host->turn_wanted);
    log_map(host);
    uint64_t now = now_us();
    uint64_t wait_us = ready.wake_at_us > now ? ready.wake_at_us - now : 0;
    uv_update_time(&host->loop);
    uv_timer_start(&host->wake, on_wake, (wait_us + 999) / 1000, 0);
    if (host->draining && router_drained(host->router))
        stop(host);
}

/* Right before the loop would wait: after timers, and after everything that the last poll brought.
 */
static void on_prepare(uv_prepare_t *prepare)
{
    struct host *host = prepare->data;
    if (host->turn_wanted)
        take_turn(host);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct host *host = timer->data;
    base_log(BASE_LOG_WARN, "stop", "id=%s why=\"commands in flight were not answered in time\"",
             host->config->id);
    stop(host);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct host *host = handle->data;
    base_log(BASE_LOG_INFO, "stopping", "id=%s signal=%d", host->config->id, number);
    if (host->draining) {
        stop(host);
        return;
    }
    host->draining = true;
    router_door_shut(host->door);
    on_event(host);
    router_drain(host->router);
    uv_timer_start(&host->drain, on_drain_timeout, host->config->drain_timeout_ms, 0);
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

static void entropy(void *at, size_t size)
{
    ssize_t got = getrandom(at, size, 0); /* Up to 256 bytes come whole. */
    TORC_ASSERT(got == (ssize_t)size);
}

/* The effective settings as they could be given, for CONFIG GET. */
static void settings_copy(struct host *host, const struct base_settings *settings)
{
    host->setting_count = base_settings_count(settings);
    host->settings = calloc(host->setting_count, sizeof(*host->settings));
    TORC_ASSERT(host->settings != NULL);
    for (size_t i = 0; i < host->setting_count; i++) {
        char value[SETTING_SIZE_MAX];
        base_settings_value(settings, i, value, sizeof(value));
        host->settings[i] = (struct router_setting){base_settings_name(settings, i), strdup(value)};
        TORC_ASSERT(host->settings[i].value != NULL);
    }
}

static void settings_free(struct host *host)
{
    for (size_t i = 0; i < host->setting_count; i++)
        free((char *)host->settings[i].value);
    free(host->settings);
}

static bool open_net(struct host *host)
{
    struct net_config config = {.queue_max = QUEUE_MAX,
                                .message_size_max = MESSAGE_SIZE_MAX,
                                .turn_size_max = ANSWERS_SIZE_MAX};
    struct net_callbacks callbacks = {.on_answer = on_answer, .context = host};
    char text[NET_TEXT_SIZE];
    entropy(&config.identity, sizeof(config.identity));
    if (net_open(&host->loop, &config, &callbacks, text, &host->net) == TORC_OK)
        return true;
    base_log(BASE_LOG_ERROR, "net_failed", "id=%s why=\"%s\"", host->config->id, text);
    return false;
}

/* Clients may come from this machine only, unless the operator says otherwise. */
static bool listen_allowed(const struct host *host)
{
    char address[SETTING_SIZE_MAX];
    snprintf(address, sizeof(address), "tcp://%s", host->config->resp_listen);
    const char *flaw = net_address_flaw(address, host->config->insecure);
    if (flaw != NULL)
        base_log(BASE_LOG_ERROR, "listen_failed", "id=%s resp=%s why=\"%s\"", host->config->id,
                 host->config->resp_listen, flaw);
    else if (host->config->insecure)
        base_log(BASE_LOG_WARN, "insecure",
                 "id=%s why=\"anybody who reaches %s reads and writes everything\"",
                 host->config->id, host->config->resp_listen);
    return flaw == NULL;
}

static bool open_door(struct host *host)
{
    struct router_door_config config = {.listen = host->config->resp_listen,
                                        .clients_max = (uint32_t)host->config->clients_max,
                                        .on_event = on_event,
                                        .context = host};
    char text[ROUTER_DOOR_TEXT_SIZE];
    if (!listen_allowed(host))
        return false;
    if (router_door_new(&host->loop, &config, text, &host->door) == TORC_OK)
        return true;
    base_log(BASE_LOG_ERROR, "listen_failed", "id=%s why=\"%s\"", host->config->id, text);
    return false;
}

static void make_router(struct host *host)
{
    const struct router_driver_config *config = host->config;
    struct router_config router = {
        .courier =
            {
                .cluster = host->cluster,
                .seeds = (const char *const *)config->seeds.items,
                .seed_count = config->seeds.count,
                .request_timeout_ms = (uint32_t)config->request_timeout_ms,
                .silence_ms = (uint32_t)config->silence_timeout_ms,
                .probe_ms = PROBE_MS,
                .probe_max_ms = PROBE_MAX_MS,
                .resend_ms = RESEND_MS,
                .inflight_max = (uint32_t)config->inflight_max,
                .inflight_size_max = config->inflight_size_max,
                .message_size_max = PAYLOAD_SIZE_MAX,
            },
        .clients_max = (uint32_t)config->clients_max,
        .client_inflight_max = (uint32_t)config->client_inflight_max,
        .client_output_pause = config->client_output_pause,
        .client_output_max = config->client_output_max > config->client_output_pause
                                 ? config->client_output_max
                                 : config->client_output_pause,
        .clients_size_max = config->clients_size_max,
        .version = TORC_VERSION,
        .run_id = host->run_id,
        .resp_address = router_door_address(host->door),
        .process_id = (uint32_t)getpid(),
        .slowlog_slower_than_us = (int64_t)config->slowlog_slower_than_us,
        .slowlog_entries_max = (uint32_t)config->slowlog_entries_max,
        .settings = host->settings,
        .setting_count = host->setting_count,
    };
    entropy(&router.courier.client, sizeof(router.courier.client));
    entropy(&router.courier.seed, sizeof(router.courier.seed));
    host->router = router_new(base_allocator_system(), &router, now_us());
    router_door_open(host->door, host->router);
}

static void make_identity(struct host *host)
{
    uint8_t bytes[(RUN_ID_SIZE - 1) / 2];
    entropy(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(host->run_id + 2 * i, 3, "%02x", bytes[i]);
    while (host->incarnation == 0)
        entropy(&host->incarnation, sizeof(host->incarnation));
    memcpy(host->cluster.bytes, host->config->cluster, WIRE_ID_SIZE);
}

static void open_handles(struct host *host)
{
    uv_loop_t *loop = &host->loop;
    uv_timer_init(loop, &host->wake);
    uv_timer_init(loop, &host->drain);
    uv_prepare_init(loop, &host->prepare);
    uv_signal_init(loop, &host->terminate);
    uv_signal_init(loop, &host->interrupt);
    host->wake.data = host->drain.data = host->prepare.data = host;
    host->terminate.data = host->interrupt.data = host;
    /* Started after net's own: libuv runs the latest first, so net looks after what a turn sent. */
    uv_prepare_start(&host->prepare, on_prepare);
    uv_timer_start(&host->wake, on_wake, 0, 0);
    uv_signal_start(&host->terminate, on_signal, SIGTERM);
    uv_signal_start(&host->interrupt, on_signal, SIGINT);
}

static void on_net_closed(void *context)
{
    struct host *host = context;
    host->net = NULL;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_all(struct host *host)
{
    if (host->router != NULL) { /* No more turns: what they connected would never be closed. */
        uv_prepare_stop(&host->prepare);
        uv_timer_stop(&host->wake);
    }
    if (host->net != NULL) {
        net_close(host->net, on_net_closed, host);
        while (host->net != NULL)
            uv_run(&host->loop, UV_RUN_NOWAIT);
    }
    if (host->door != NULL)
        router_door_close(host->door);
    uv_walk(&host->loop, close_handle, NULL);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    uv_loop_close(&host->loop);
    router_door_free(host->door);
    router_free(host->router);
    settings_free(host);
    free(host->peers);
}

int router_host_run(const struct router_driver_config *config, const struct base_settings *settings)
{
    struct host host = {.config = config};
    int code = 1;
    uv_loop_init(&host.loop);
    settings_copy(&host, settings);
    make_identity(&host);
    if (open_door(&host) && open_net(&host)) {
        make_router(&host);
        open_handles(&host);
        base_log(BASE_LOG_INFO, "started", "id=%s resp=%s seeds=%zu", config->id,
                 router_door_address(host.door), config->seeds.count);
        uv_run(&host.loop, UV_RUN_DEFAULT);
        base_log(BASE_LOG_INFO, "stopped", "id=%s", config->id);
        code = 0;
    }
    close_all(&host);
    return code;
}
