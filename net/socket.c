#include "net/socket.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <zmq.h>

#include "base/assert.h"
#include "base/bytes.h"

enum {
    SOCKET_HEARTBEAT_MS = 1000,
    SOCKET_HEARTBEAT_TIMEOUT_MS = 3000,
    SOCKET_RECONNECT_MS = 20,
    SOCKET_RECONNECT_MAX_MS = 500,
    SOCKET_CONNECT_TIMEOUT_MS = 2000,
    SOCKET_HANDSHAKE_TIMEOUT_MS = 3000, /* Who connects and says nothing is let go. */
    SOCKET_BACKLOG = 1024,
};

static bool set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static bool set_common(void *socket, uint32_t queue_max, uint32_t message_size_max)
{
    int64_t size_max = message_size_max;
    return set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_SNDHWM, (int)queue_max) &&
           set_int(socket, ZMQ_RCVHWM, (int)queue_max) &&
           set_int(socket, ZMQ_HEARTBEAT_IVL, SOCKET_HEARTBEAT_MS) &&
           set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, SOCKET_HEARTBEAT_TIMEOUT_MS) &&
           set_int(socket, ZMQ_HANDSHAKE_IVL, SOCKET_HANDSHAKE_TIMEOUT_MS) &&
           set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max)) == 0;
}

static void *finish(void *socket, bool done)
{
    if (done || socket == NULL)
        return socket;
    zmq_close(socket);
    return NULL;
}

void *net_socket_router(void *context, uint32_t queue_max, uint32_t message_size_max)
{
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    bool done = socket != NULL && set_common(socket, queue_max, message_size_max) &&
                set_int(socket, ZMQ_ROUTER_MANDATORY, 1) &&
                set_int(socket, ZMQ_ROUTER_HANDOVER, 1) &&
                set_int(socket, ZMQ_BACKLOG, SOCKET_BACKLOG);
    return finish(socket, done);
}

void *net_socket_dealer(void *context, uint32_t queue_max, uint32_t message_size_max,
                        uint64_t identity)
{
    /* An identity must not begin with a zero byte. */
    uint8_t name[9] = {'t'};
    base_put_be64(name + 1, identity);
    void *socket = zmq_socket(context, ZMQ_DEALER);
    bool done = socket != NULL && set_common(socket, queue_max, message_size_max) &&
                set_int(socket, ZMQ_IMMEDIATE, 1) &&
                set_int(socket, ZMQ_RECONNECT_IVL, SOCKET_RECONNECT_MS) &&
                set_int(socket, ZMQ_RECONNECT_IVL_MAX, SOCKET_RECONNECT_MAX_MS) &&
                set_int(socket, ZMQ_CONNECT_TIMEOUT, SOCKET_CONNECT_TIMEOUT_MS) &&
                zmq_setsockopt(socket, ZMQ_ROUTING_ID, name, sizeof(name)) == 0;
    return finish(socket, done);
}

static void set_family(void *socket, const char *address)
{
    bool set = set_int(socket, ZMQ_IPV6, strchr(address, '[') != NULL);
    TORC_ASSERT(set);
}

int net_socket_bind(void *socket, const char *address)
{
    set_family(socket, address);
    return zmq_bind(socket, address);
}

int net_socket_connect(void *socket, const char *address)
{
    set_family(socket, address);
    return zmq_connect(socket, address);
}
