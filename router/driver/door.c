#include "router/driver/door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"

enum {
    READ_SIZE = 64 * 1024,
    /* What one client, and when there are several all of them, give or take in one turn, beside one
     * read of each: so long the others wait. */
    PIECE_SIZE = 256 * 1024,
    TURN_SIZE = 1024 * 1024,
    BACKLOG = 511,
    KEEPALIVE_S = 300,
    ADDRESS_SIZE = ROUTER_PEER_ADDRESS_SIZE,
};

struct client {
    uv_tcp_t tcp;
    uv_write_t write;
    struct router_door *door;
    uint32_t connection;
    bool known;                  /* By the core. */
    struct base_bytes unwritten; /* Behind what `write` is about. */
    uint64_t turn;               /* In which it read last, */
    size_t turn_read;            /* and how much. */
};

struct router_door {
    struct router_door_config config;
    uv_loop_t *loop;
    uv_tcp_t listener;
    bool shut;
    struct router *router;
    struct client **clients; /* By connection. */
    uint8_t *read_buffer;    /* One for all: what is read is handed on at once. */
    char address[ADDRESS_SIZE];
    uint64_t turn;
    size_t turn_read; /* By all clients in this turn. */
};

static void address_write(const struct sockaddr_storage *address, char text[ADDRESS_SIZE])
{
    char host[ADDRESS_SIZE - 16] = "";
    bool six = address->ss_family == AF_INET6;
    uint16_t port;
    if (six) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        uv_ip6_name(in, host, sizeof(host));
        port = ntohs(in->sin6_port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        uv_ip4_name(in, host, sizeof(host));
        port = ntohs(in->sin_port);
    }
    snprintf(text, ADDRESS_SIZE, six ? "[%s]:%u" : "%s:%u", host, port);
}

/* The address that is bound to; empty when the socket is gone already. */
static void own_address(const uv_tcp_t *tcp, char text[ADDRESS_SIZE])
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    text[0] = '\0';
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &size) == 0)
        address_write(&address, text);
}

static void peer_address(const uv_tcp_t *tcp, char text[ADDRESS_SIZE])
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    text[0] = '\0';
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &size) == 0)
        address_write(&address, text);
}

static void on_client_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void client_close(struct client *client)
{
    if (client->known)
        client->door->clients[client->connection] = NULL;
    client->known = false;
    uv_close((uv_handle_t *)&client->tcp, on_client_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct client *client = handle->data;
    struct router_door *door = client->door;
    (void)suggested;
    if (client->turn != door->turn)
        client->turn_read = 0;
    client->turn = door->turn;
    *buffer = uv_buf_init(NULL, 0); /* Not now; the loop will ask again. */
    if (client->turn_read >= PIECE_SIZE || (client->turn_read > 0 && door->turn_read >= TURN_SIZE))
        return;
    struct router_room room = router_connection_room(door->router, client->connection);
    size_t most = PIECE_SIZE - client->turn_read;
    if (room.size > READ_SIZE)
        *buffer = uv_buf_init((char *)room.data, (unsigned)(room.size < most ? room.size : most));
    else
        *buffer = uv_buf_init((char *)door->read_buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct client *client = stream->data;
    struct router_door *door = client->door;
    if (count == 0 || count == UV_ENOBUFS)
        return;
    door->config.on_event(door->config.context);
    if (count > 0) {
        client->turn_read += (size_t)count;
        door->turn_read += (size_t)count;
        router_connection_bytes(door->router, client->connection,
                                base_bytes_of(buffer->base, (size_t)count));
        return;
    }
    if (count == UV_EOF) {
        uv_read_stop(stream);
        router_connection_ended(door->router, client->connection);
        return;
    }
    router_connection_closed(door->router, client->connection);
    client_close(client);
}

static void refuse(struct client *client)
{
    struct base_bytes text = router_refusal();
    uv_buf_t buffer = uv_buf_init((char *)text.data, (unsigned)text.size);
    uv_try_write((uv_stream_t *)&client->tcp, &buffer, 1);
    client_close(client);
}

static bool client_open(struct client *client)
{
    char address[ADDRESS_SIZE], local[ADDRESS_SIZE];
    struct router_peer peer = {address, local};
    peer_address(&client->tcp, address);
    own_address(&client->tcp, local);
    return router_connection_opened(client->door->router, &peer, &client->connection) == TORC_OK;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct router_door *door = listener->data;
    if (status < 0) {
        base_log(BASE_LOG_WARN, "accept_failed", "why=\"%s\"", uv_strerror(status));
        return;
    }
    struct client *client = calloc(1, sizeof(*client));
    TORC_ASSERT(client != NULL);
    client->door = door;
    uv_tcp_init(door->loop, &client->tcp);
    client->tcp.data = client;
    if (uv_accept(listener, (uv_stream_t *)&client->tcp) != 0) {
        client_close(client);
        return;
    }
    uv_tcp_nodelay(&client->tcp, 1);
    uv_tcp_keepalive(&client->tcp, 1, KEEPALIVE_S);
    door->config.on_event(door->config.context);
    if (!client_open(client)) {
        refuse(client);
        return;
    }
    client->known = true;
    door->clients[client->connection] = client;
    uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
}

/* ---- Actions
 * ------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status);

/* The next piece of what is left; on_written follows. */
static int piece_write(struct client *client)
{
    struct base_bytes left = client->unwritten;
    size_t size = left.size < PIECE_SIZE ? left.size : PIECE_SIZE;
    uv_buf_t buffer = uv_buf_init((char *)left.data, (unsigned)size);
    client->unwritten = base_bytes_of(left.data + size, left.size - size);
    client->write.data = client;
    return uv_write(&client->write, (uv_stream_t *)&client->tcp, &buffer, 1, on_written);
}

static void on_written(uv_write_t *write, int status)
{
    struct client *client = write->data;
    if (!client->known)
        return; /* Closed meanwhile. */
    struct router_door *door = client->door;
    if (status == 0 && client->unwritten.size > 0) {
        status = piece_write(client);
        if (status == 0)
            return;
    }
    door->config.on_event(door->config.context);
    if (status == 0) {
        (void)router_connection_written(door->router,
                                        client->connection); /* Ready is due anyway. */
        return;
    }
    router_connection_closed(door->router, client->connection);
    client_close(client);
}

/* What the socket takes at once, and the rest, in pieces, when it can. True: router_ready is due
 * again. */
static bool client_write(struct router_door *door, struct client *client, struct base_bytes bytes)
{
    size_t size = bytes.size < PIECE_SIZE ? bytes.size : PIECE_SIZE;
    uv_buf_t buffer = uv_buf_init((char *)bytes.data, (unsigned)size);
    int written = uv_try_write((uv_stream_t *)&client->tcp, &buffer, 1);
    size_t done = written > 0 ? (size_t)written : 0;
    if (done == bytes.size)
        return router_connection_written(door->router, client->connection);
    client->unwritten = base_bytes_of(bytes.data + done, bytes.size - done);
    if (piece_write(client) == 0)
        return false;
    router_connection_closed(door->router, client->connection);
    client_close(client);
    return true;
}

bool router_door_act(struct router_door *door, const struct router_action *actions, size_t count)
{
    bool again = false;
    door->turn++;
    door->turn_read = 0;
    for (size_t i = 0; i < count; i++) {
        struct client *client = door->clients[actions[i].connection];
        if (client == NULL)
            continue; /* Gone by an action before. */
        switch (actions[i].type) {
        case ROUTER_WRITE:
            again |= client_write(door, client, actions[i].bytes);
            break;
        case ROUTER_PAUSE:
            uv_read_stop((uv_stream_t *)&client->tcp);
            break;
        case ROUTER_RESUME:
            uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
            break;
        case ROUTER_CLOSE:
            client_close(client);
            break;
        }
    }
    return again;
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

/* "127.0.0.1:7379", "[::1]:7379" */
static bool address_read(const char *text, struct sockaddr_storage *ret_address)
{
    char host[ADDRESS_SIZE];
    const char *colon = strrchr(text, ':');
    char *end;
    if (colon == NULL || colon[1] == '\0')
        return false;
    bool any = strcmp(colon, ":*") == 0;
    unsigned long port = any ? 0 : strtoul(colon + 1, &end, 10);
    size_t size = (size_t)(colon - text);
    if ((!any && *end != '\0') || port > 65535 || size == 0 || size >= sizeof(host))
        return false;
    memcpy(host, text, size);
    host[size] = '\0';
    if (host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        return uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)ret_address) == 0;
    }
    return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret_address) == 0;
}

enum torc_status router_door_new(uv_loop_t *loop, const struct router_door_config *config,
                                 char text[ROUTER_DOOR_TEXT_SIZE], struct router_door **ret_door)
{
    struct sockaddr_storage address;
    if (!address_read(config->listen, &address)) {
        snprintf(text, ROUTER_DOOR_TEXT_SIZE, "%s: not an address such as 127.0.0.1:7379",
                 config->listen);
        return TORC_INVALID;
    }
    struct router_door *door = calloc(1, sizeof(*door));
    TORC_ASSERT(door != NULL);
    door->config = *config;
    door->loop = loop;
    uv_tcp_init(loop, &door->listener);
    door->listener.data = door;
    int status = uv_tcp_bind(&door->listener, (const struct sockaddr *)&address, 0);
    if (status == 0) /* Binding alone reports an address in use only here. */
        status = uv_listen((uv_stream_t *)&door->listener, BACKLOG, on_connection);
    if (status != 0) {
        snprintf(text, ROUTER_DOOR_TEXT_SIZE, "cannot listen on %s: %s", config->listen,
                 uv_strerror(status));
        uv_close((uv_handle_t *)&door->listener, NULL);
        uv_run(loop, UV_RUN_NOWAIT);
        free(door);
        return status == UV_EADDRINUSE ? TORC_LOCKED : TORC_IO;
    }
    own_address(&door->listener, door->address);
    door->clients = calloc(config->clients_max, sizeof(struct client *));
    door->read_buffer = malloc(READ_SIZE);
    TORC_ASSERT(door->clients != NULL && door->read_buffer != NULL);
    *ret_door = door;
    return TORC_OK;
}

const char *router_door_address(const struct router_door *door)
{
    return door->address;
}

void router_door_open(struct router_door *door, struct router *router)
{
    door->router = router;
}

void router_door_shut(struct router_door *door)
{
    if (!door->shut)
        uv_close((uv_handle_t *)&door->listener, NULL);
    door->shut = true;
}

void router_door_close(struct router_door *door)
{
    router_door_shut(door);
    for (uint32_t i = 0; i < door->config.clients_max; i++) {
        if (door->clients[i] != NULL)
            client_close(door->clients[i]);
    }
}

void router_door_free(struct router_door *door)
{
    if (door == NULL)
        return;
    free(door->clients);
    free(door->read_buffer);
    free(door);
}
