#include "net/socket.h"

#include <criterion/criterion.h>
#include <string.h>

#include <zmq.h>

static int64_t option(void *socket, int name, size_t size)
{
    union {
        int small;
        int64_t large;
    } value = {0};
    cr_assert_eq(zmq_getsockopt(socket, name, &value, &size), 0);
    return size == sizeof(int) ? value.small : value.large;
}

static void assert_bounded(void *socket)
{
    cr_assert_eq(option(socket, ZMQ_LINGER, sizeof(int)), 0);
    cr_assert_eq(option(socket, ZMQ_SNDHWM, sizeof(int)), 7);
    cr_assert_eq(option(socket, ZMQ_RCVHWM, sizeof(int)), 7);
    cr_assert_eq(option(socket, ZMQ_MAXMSGSIZE, sizeof(int64_t)), 1000);
    cr_assert_gt(option(socket, ZMQ_HEARTBEAT_IVL, sizeof(int)), 0);
    cr_assert_gt(option(socket, ZMQ_HEARTBEAT_TIMEOUT, sizeof(int)), 0);
    cr_assert_gt(option(socket, ZMQ_HANDSHAKE_IVL, sizeof(int)), 0);
    cr_assert_leq(option(socket, ZMQ_HANDSHAKE_IVL, sizeof(int)), 5000);
    cr_assert_eq(option(socket, ZMQ_TCP_KEEPALIVE, sizeof(int)), 1);
}

/* Nothing that is unlimited or off by default stays so. */
Test(net, sockets_are_bounded)
{
    void *context = zmq_ctx_new();
    void *router = net_socket_router(context, 7, 1000);
    void *dealer = net_socket_dealer(context, 7, 1000, 5);
    assert_bounded(router);
    assert_bounded(dealer);
    cr_assert_eq(option(dealer, ZMQ_IMMEDIATE, sizeof(int)), 1);
    cr_assert_gt(option(dealer, ZMQ_CONNECT_TIMEOUT, sizeof(int)), 0);
    cr_assert_leq(option(dealer, ZMQ_RECONNECT_IVL, sizeof(int)), 100);
    cr_assert_gt(option(dealer, ZMQ_RECONNECT_IVL_MAX, sizeof(int)), 0);
    cr_assert_leq(option(dealer, ZMQ_RECONNECT_IVL_MAX, sizeof(int)), 1000);
    zmq_close(dealer);
    zmq_close(router);
    zmq_ctx_term(context);
}

/* The identity tells lives apart, and is one that ZeroMQ takes, also with leading zeroes. */
Test(net, sockets_carry_their_identity)
{
    void *context = zmq_ctx_new();
    uint8_t names[2][16];
    size_t sizes[2] = {16, 16};
    for (uint64_t i = 0; i < 2; i++) {
        void *dealer = net_socket_dealer(context, 7, 1000, i);
        cr_assert_not_null(dealer);
        cr_assert_eq(zmq_getsockopt(dealer, ZMQ_ROUTING_ID, names[i], &sizes[i]), 0);
        zmq_close(dealer);
    }
    cr_assert_eq(sizes[0], sizes[1]);
    cr_assert_neq(memcmp(names[0], names[1], sizes[0]), 0);
    zmq_ctx_term(context);
}

/* A ROUTER says that a peer is unknown instead of dropping what is sent to it. */
Test(net, sockets_router_refuses_an_unknown_peer)
{
    void *context = zmq_ctx_new();
    void *router = net_socket_router(context, 7, 1000);
    cr_assert_eq(net_socket_bind(router, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_send(router, "nobody", 6, ZMQ_SNDMORE | ZMQ_DONTWAIT), -1);
    cr_assert_eq(zmq_errno(), EHOSTUNREACH);
    zmq_close(router);
    zmq_ctx_term(context);
}
