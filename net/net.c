#include "net/net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/address.h"
#include "net/routes.h"
#include "net/socket.h"

enum {
    NET_TURN_MESSAGES_MAX = 4096, /* Taken from one socket in one turn: none starves the others. */
    NET_ADDRESS_SIZE = 256,
};

/*
 * A ZeroMQ socket's descriptor is edge-triggered: it becomes readable when something may have
 * changed, and whoever sends or receives may use that edge up. So the descriptor only wakes the
 * loop and says whom to empty; and before the loop waits, a socket that was sent to since it was
 * found empty is asked whether anything is there, in which case the loop does not wait. Asking one
 * costs two system calls, so that no other is asked.
 */
struct net_watch {
    struct net *net;
    void *socket;
    bool maybe; /* Something may be there to receive: not found empty since the last edge. */
    uv_poll_t poll;
};

struct net_peer {
    struct net_watch watch;
    char address[NET_ADDRESS_SIZE];
    void *owner;
    struct net_peer *next;
    bool closing;
};

struct net {
    struct net_config config;
    struct net_callbacks callbacks;
    uv_loop_t *loop;
    void *context;
    struct net_watch router; /* socket NULL: none. */
    struct net_peer *peers;
    size_t turn_size; /* Of the answers taken in this turn. */
    struct net_routes *routes;
    char address[NET_ADDRESS_SIZE];
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    struct net_counters counters;
    bool closing;
    unsigned handles_open;
    void (*closed)(void *context);
    void *closed_context;
};

/* ---- Receiving ---------------------------------------------------------------------------- */

/* Forgets the parts that are left of a message. */
static void skip_parts(void *socket, zmq_msg_t *part)
{
    while (zmq_msg_more(part) && zmq_msg_recv(part, socket, ZMQ_DONTWAIT) >= 0)
        ;
}

/* One message of a socket: identity and message on the ROUTER, the message alone on a DEALER. */
static bool receive_one(struct net *net, struct net_watch *watch, struct net_peer *peer)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, watch->socket, ZMQ_DONTWAIT) < 0) {
        TORC_ASSERT(errno == EAGAIN || errno == EINTR);
        zmq_msg_close(&part);
        return false;
    }
    uint64_t route = 0;
    bool whole = true;
    if (peer == NULL) {
        route = net_routes_of(net->routes, base_bytes_of(zmq_msg_data(&part), zmq_msg_size(&part)));
        whole = zmq_msg_more(&part) && zmq_msg_recv(&part, watch->socket, ZMQ_DONTWAIT) >= 0;
    }
    if (zmq_msg_more(&part)) {
        skip_parts(watch->socket, &part);
        whole = false;
    }
    if (!whole) {
        net->counters.malformed++;
    } else {
        struct base_bytes message = base_bytes_of(zmq_msg_data(&part), zmq_msg_size(&part));
        net->counters.received++;
        net->turn_size += peer == NULL ? 0 : message.size;
        if (peer == NULL)
            net->callbacks.on_request(net->callbacks.context, route, message);
        else
            net->callbacks.on_answer(net->callbacks.context, peer, message);
    }
    zmq_msg_close(&part);
    return true;
}

static bool turn_is_full(const struct net *net)
{
    return net->config.turn_size_max > 0 && net->turn_size >= net->config.turn_size_max;
}

/* The first peer becomes the last, so that each is the first at times. */
static void peers_rotate(struct net *net)
{
    struct net_peer *first = net->peers, **at = &net->peers;
    if (first == NULL || first->next == NULL)
        return;
    net->peers = first->next;
    while (*at != NULL)
        at = &(*at)->next;
    *at = first;
    first->next = NULL;
}

static bool receive_all(struct net *net, struct net_watch *watch, struct net_peer *peer)
{
    int count = 0;
    /* A callback may end the peer, or all; and it may send, which can use up an edge. */
    while (watch->maybe && count < NET_TURN_MESSAGES_MAX && !net->closing &&
           (peer == NULL || (!peer->closing && !turn_is_full(net)))) {
        watch->maybe = receive_one(net, watch, peer);
        count += watch->maybe;
    }
    return count > 0;
}

static void on_check(uv_check_t *check)
{
    struct net *net = check->data;
    uv_idle_stop(&net->idle);
    net->turn_size = 0;
    bool any = net->router.socket != NULL && receive_all(net, &net->router, NULL);
    for (struct net_peer *peer = net->peers; peer != NULL; peer = peer->next)
        any = receive_all(net, &peer->watch, peer) || any;
    if (turn_is_full(net))
        peers_rotate(net);
    if (any && !net->closing && net->callbacks.on_turn != NULL)
        net->callbacks.on_turn(net->callbacks.context);
}

static bool is_readable(struct net_watch *watch)
{
    int events = 0;
    size_t size = sizeof(events);
    if (watch->maybe)
        watch->maybe = zmq_getsockopt(watch->socket, ZMQ_EVENTS, &events, &size) == 0 &&
                       (events & ZMQ_POLLIN) != 0;
    return watch->maybe;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* Only keeps the loop from waiting. */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct net *net = prepare->data;
    bool readable = net->router.socket != NULL && is_readable(&net->router);
    for (struct net_peer *peer = net->peers; peer != NULL && !readable; peer = peer->next)
        readable = !peer->closing && is_readable(&peer->watch);
    if (readable)
        uv_idle_start(&net->idle, on_idle);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct net_watch *watch = poll->data;
    watch->maybe = true; /* on_check does the work. */
}

static void watch_socket(struct net *net, struct net_watch *watch)
{
    int fd = -1;
    size_t size = sizeof(fd);
    int failed = zmq_getsockopt(watch->socket, ZMQ_FD, &fd, &size);
    TORC_ASSERT(failed == 0);
    watch->net = net;
    watch->maybe = true;
    failed = uv_poll_init(net->loop, &watch->poll, fd);
    TORC_ASSERT(failed == 0);
    watch->poll.data = watch;
    uv_poll_start(&watch->poll, UV_READABLE, on_poll);
    net->handles_open++;
}

/* ---- Life --------------------------------------------------------------------------------- */

static enum torc_status bind_router(struct net *net, char text[NET_TEXT_SIZE])
{
    const char *listen = net->config.listen;
    const char *flaw = net_address_flaw(listen, net->config.insecure);
    if (flaw != NULL) {
        snprintf(text, NET_TEXT_SIZE, "cannot listen on %s: %s", listen, flaw);
        return TORC_INVALID;
    }
    net->router.socket =
        net_socket_router(net->context, net->config.queue_max, net->config.message_size_max);
    if (net->router.socket == NULL || net_socket_bind(net->router.socket, listen) != 0) {
        int error = errno;
        snprintf(text, NET_TEXT_SIZE, "cannot listen on %s: %s", listen,
                 error == EADDRINUSE ? "the port is taken by another process"
                                     : zmq_strerror(error));
        return error == EADDRINUSE ? TORC_LOCKED : TORC_IO;
    }
    size_t size = sizeof(net->address);
    int failed = zmq_getsockopt(net->router.socket, ZMQ_LAST_ENDPOINT, net->address, &size);
    TORC_ASSERT(failed == 0);
    return TORC_OK;
}

static void free_net(struct net *net)
{
    if (net->router.socket != NULL)
        zmq_close(net->router.socket);
    while (net->peers != NULL) {
        struct net_peer *peer = net->peers;
        net->peers = peer->next;
        if (peer->watch.socket != NULL)
            zmq_close(peer->watch.socket);
        base_free(base_allocator_system(), peer, sizeof(*peer));
    }
    zmq_ctx_term(net->context);
    net_routes_free(net->routes);
    base_free(base_allocator_system(), net, sizeof(*net));
}

enum torc_status net_open(uv_loop_t *loop, const struct net_config *config,
                          const struct net_callbacks *callbacks, char text[NET_TEXT_SIZE],
                          struct net **ret_net)
{
    TORC_ASSERT(config->queue_max > 0 && config->message_size_max > 0);
    struct net *net = base_alloc_zero(base_allocator_system(), sizeof(*net));
    net->config = *config;
    net->callbacks = *callbacks;
    net->loop = loop;
    net->context = zmq_ctx_new();
    TORC_ASSERT(net->context != NULL);
    net->routes = net_routes_new(NET_ROUTES_MAX);
    if (config->listen != NULL) {
        enum torc_status status = bind_router(net, text);
        if (status != TORC_OK) {
            free_net(net);
            return status;
        }
        watch_socket(net, &net->router);
    }
    net->config.listen = NULL; /* Borrowed for the call only. */
    uv_prepare_init(loop, &net->prepare);
    uv_check_init(loop, &net->check);
    uv_idle_init(loop, &net->idle);
    net->handles_open += 3;
    net->prepare.data = net->check.data = net->idle.data = net;
    uv_prepare_start(&net->prepare, on_prepare);
    uv_check_start(&net->check, on_check);
    *ret_net = net;
    return TORC_OK;
}

static void handle_closed(struct net *net)
{
    TORC_ASSERT(net->handles_open > 0);
    if (--net->handles_open > 0 || !net->closing)
        return;
    void (*closed)(void *context) = net->closed;
    void *context = net->closed_context;
    free_net(net);
    closed(context);
}

static void on_handle_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct net_watch *watch = handle->data;
    handle_closed(watch->net);
}

void net_close(struct net *net, void (*closed)(void *context), void *context)
{
    TORC_ASSERT(!net->closing);
    net->closing = true;
    net->closed = closed;
    net->closed_context = context;
    uv_close((uv_handle_t *)&net->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&net->check, on_handle_closed);
    uv_close((uv_handle_t *)&net->idle, on_handle_closed);
    if (net->router.socket != NULL)
        uv_close((uv_handle_t *)&net->router.poll, on_watch_closed);
    for (struct net_peer *peer = net->peers; peer != NULL; peer = peer->next) {
        if (!peer->closing)
            uv_close((uv_handle_t *)&peer->watch.poll, on_watch_closed);
    }
}

const char *net_address(const struct net *net)
{
    return net->address;
}

const struct net_counters *net_counters(const struct net *net)
{
    return &net->counters;
}

/* ---- Peers -------------------------------------------------------------------------------- */

struct net_peer *net_connect(struct net *net, const char *address, void *owner)
{
    TORC_ASSERT(!net->closing); /* It would never be closed. */
    for (struct net_peer *peer = net->peers; peer != NULL; peer = peer->next) {
        if (!peer->closing && strcmp(peer->address, address) == 0)
            return peer;
    }
    if (strlen(address) >= NET_ADDRESS_SIZE || !net_address_is_peer(address))
        return NULL;
    void *socket = net_socket_dealer(net->context, net->config.queue_max,
                                     net->config.message_size_max, net->config.identity);
    if (socket == NULL)
        return NULL;
    if (net_socket_connect(socket, address) != 0) {
        zmq_close(socket);
        return NULL;
    }
    struct net_peer *peer = base_alloc_zero(base_allocator_system(), sizeof(*peer));
    memcpy(peer->address, address, strlen(address) + 1);
    peer->owner = owner;
    peer->watch.socket = socket;
    watch_socket(net, &peer->watch);
    peer->next = net->peers;
    net->peers = peer;
    return peer;
}

void *net_peer_owner(const struct net_peer *peer)
{
    return peer->owner;
}

static void on_peer_closed(uv_handle_t *handle)
{
    struct net_watch *watch = handle->data;
    struct net *net = watch->net;
    struct net_peer *gone = (struct net_peer *)watch; /* Its first member. */
    for (struct net_peer **at = &net->peers; *at != NULL; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    }
    zmq_close(gone->watch.socket);
    base_free(base_allocator_system(), gone, sizeof(*gone));
    handle_closed(net);
}

void net_disconnect(struct net *net, struct net_peer *peer)
{
    TORC_ASSERT(!net->closing && !peer->closing);
    peer->closing = true;
    uv_close((uv_handle_t *)&peer->watch.poll, on_peer_closed);
}

/* ---- Sending ------------------------------------------------------------------------------ */

static enum torc_status note_failure(struct net *net)
{
    if (errno == EHOSTUNREACH) {
        net->counters.dropped_route++;
        return TORC_NOT_FOUND;
    }
    TORC_ASSERT(errno == EAGAIN || errno == EINTR);
    net->counters.dropped_full++;
    return TORC_FULL;
}

enum torc_status net_send(struct net *net, struct net_peer *peer, struct base_bytes message)
{
    TORC_ASSERT(!net->closing && !peer->closing);
    peer->watch.maybe = true;
    if (zmq_send(peer->watch.socket, message.data, message.size, ZMQ_DONTWAIT) < 0)
        return note_failure(net);
    net->counters.sent++;
    return TORC_OK;
}

enum torc_status net_send_made(struct net *net, struct net_peer *peer, size_t size,
                               void (*make)(void *context, uint8_t *at), void *context)
{
    zmq_msg_t message;
    TORC_ASSERT(!net->closing && !peer->closing);
    int failed = zmq_msg_init_size(&message, size);
    TORC_ASSERT(failed == 0);
    make(context, zmq_msg_data(&message));
    peer->watch.maybe = true; /* As in net_send. */
    if (zmq_msg_send(&message, peer->watch.socket, ZMQ_DONTWAIT) < 0) {
        int error = errno;
        zmq_msg_close(&message);
        errno = error;
        return note_failure(net);
    }
    net->counters.sent++;
    return TORC_OK;
}

enum torc_status net_answer(struct net *net, uint64_t route, struct base_bytes message)
{
    TORC_ASSERT(!net->closing);
    struct base_bytes identity = net_routes_identity(net->routes, route);
    if (identity.size == 0) {
        net->counters.dropped_route++;
        return TORC_NOT_FOUND;
    }
    net->router.maybe = true;
    if (zmq_send(net->router.socket, identity.data, identity.size, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return note_failure(net);
    if (zmq_send(net->router.socket, message.data, message.size, ZMQ_DONTWAIT) < 0)
        return note_failure(net);
    net->counters.sent++;
    return TORC_OK;
}
