#include "net/net.h"
#include "tests/lib/test_body.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zmq.h>

enum { QUEUE_MAX = 1000, MESSAGE_SIZE_MAX = 4096, TURNS_MS_MAX = 20000 };

/* One net in the test's loop, and what it has been told. */
struct side {
    struct net *net;
    uint64_t requests, answers, turns, since_turn, turn_most;
    size_t turn_size_max;
    uint64_t route; /* Of the last request. */
    struct net_peer *answer_from;
    uint8_t last[MESSAGE_SIZE_MAX];
    size_t last_size;
    bool echo, disconnect, closed;
};

static uv_loop_t loop;
static uv_timer_t tick;

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* So that uv_run returns and conditions are looked at. */
}

static void keep(struct side *side, struct base_bytes message)
{
    cr_assert_leq(message.size, sizeof(side->last));
    memcpy(side->last, message.data, message.size);
    side->last_size = message.size;
    side->since_turn++;
}

static void on_request(void *context, uint64_t route, struct base_bytes message)
{
    struct side *side = context;
    keep(side, message);
    side->requests++;
    side->route = route;
    if (side->echo)
        cr_assert_eq(net_answer(side->net, route, message), TORC_OK);
}

static void on_answer(void *context, struct net_peer *peer, struct base_bytes message)
{
    struct side *side = context;
    keep(side, message);
    side->answers++;
    side->answer_from = peer;
    if (side->disconnect)
        net_disconnect(side->net, peer);
}

/* A turn is taken only after messages. */
static void on_turn(void *context)
{
    struct side *side = context;
    cr_assert_gt(side->since_turn, 0);
    side->turn_most = side->since_turn > side->turn_most ? side->since_turn : side->turn_most;
    side->since_turn = 0;
    side->turns++;
}

static enum torc_status open_side(struct side *side, const char *listen, uint64_t identity,
                                  char text[NET_TEXT_SIZE])
{
    struct net_config config = {.listen = listen,
                                .identity = identity,
                                .queue_max = QUEUE_MAX,
                                .message_size_max = MESSAGE_SIZE_MAX,
                                .turn_size_max = side->turn_size_max};
    struct net_callbacks callbacks = {on_request, on_answer, on_turn, side};
    return net_open(&loop, &config, &callbacks, text, &side->net);
}

static void open_or_fail(struct side *side, const char *listen, uint64_t identity)
{
    char text[NET_TEXT_SIZE] = "";
    cr_assert_eq(open_side(side, listen, identity, text), TORC_OK, "%s", text);
}

static void on_closed(void *context)
{
    ((struct side *)context)->closed = true;
}

static void setup(void)
{
    uv_loop_init(&loop);
    uv_timer_init(&loop, &tick);
    uv_timer_start(&tick, on_tick, 5, 5);
}

/* Evaluates the condition after each round of the loop until it holds, and then no more. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        uint64_t deadline_ = uv_hrtime() / 1000000 + TURNS_MS_MAX;                                 \
        bool holds_;                                                                               \
        while (!(holds_ = (condition)) && uv_hrtime() / 1000000 < deadline_)                       \
            uv_run(&loop, UV_RUN_ONCE);                                                            \
        cr_assert(holds_, "%s", #condition);                                                       \
    } while (0)

static void close_side(struct side *side)
{
    net_close(side->net, on_closed, side);
    RUN_UNTIL(side->closed);
}

static void teardown(void)
{
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(net, .timeout = 60);

static struct base_bytes text_of(const char *text)
{
    return base_bytes_text(text);
}

/* A server, and a client that has heard from it. */
static struct net_peer *open_pair(struct side *server, struct side *client)
{
    server->echo = true;
    open_or_fail(server, "tcp://127.0.0.1:*", 1);
    open_or_fail(client, NULL, 2);
    struct net_peer *peer = net_connect(client->net, net_address(server->net), client);
    cr_assert_not_null(peer);
    RUN_UNTIL(net_send(client->net, peer, text_of("hello")) == TORC_OK);
    RUN_UNTIL(client->answers == 1);
    return peer;
}

/* What a peer sends arrives, and the answer comes back on that peer. */
TEST_BODY(net, request_is_answered_along_its_route, setup, teardown)
{
    struct side server = {0}, client = {0};
    struct net_peer *peer = open_pair(&server, &client);
    cr_assert_eq(client.answer_from, peer);
    cr_assert_eq(net_peer_owner(peer), &client);
    cr_assert(base_bytes_equal(base_bytes_of(client.last, client.last_size), text_of("hello")));
    cr_assert_eq(net_counters(client.net)->received, 1);
    cr_assert_eq(net_counters(server.net)->sent, 1);
    close_side(&client);
    close_side(&server);
}

/* Many messages make few turns, and each message is followed by a turn. */
TEST_BODY(net, turn_follows_what_was_there, setup, teardown)
{
    struct side server = {0}, client = {0};
    struct net_peer *peer = open_pair(&server, &client);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(net_send(client.net, peer, text_of("work")), TORC_OK);
    RUN_UNTIL(client.answers == 501);
    cr_assert_eq(server.since_turn, 0);
    cr_assert_eq(client.since_turn, 0);
    cr_assert_leq(server.turns, 501);
    close_side(&client);
    close_side(&server);
}

static void make_work(void *context, uint8_t *at)
{
    memcpy(at, context, strlen("work"));
}

/* With a bound on what a turn takes, it ends with the answer that reaches it; all come, of every
 * peer, without another event. */
TEST_BODY(net, a_turn_takes_so_much, setup, teardown)
{
    enum { MESSAGES = 200 };
    struct side servers[2] = {{0}}, client = {.turn_size_max = 2 * strlen("work")};
    struct net_peer *peers[2];
    open_or_fail(&client, NULL, 2);
    for (uint64_t i = 0; i < 2; i++) {
        servers[i].echo = true;
        open_or_fail(&servers[i], "tcp://127.0.0.1:*", 3 + i);
        peers[i] = net_connect(client.net, net_address(servers[i].net), NULL);
        RUN_UNTIL(net_send(client.net, peers[i], text_of("hello")) == TORC_OK);
    }
    for (int i = 0; i < 2 * MESSAGES; i++)
        cr_assert_eq(net_send_made(client.net, peers[i % 2], strlen("work"), make_work, "work"),
                     TORC_OK);
    RUN_UNTIL(client.answers == 2 + 2 * MESSAGES);
    cr_assert_leq(client.turn_most, 2);
    cr_assert(base_bytes_equal(base_bytes_of(client.last, client.last_size), text_of("work")));
    close_side(&client);
    for (size_t i = 0; i < 2; i++)
        close_side(&servers[i]);
}

/* The way to an address is one, and another address has another. */
TEST_BODY(net, connect_gives_one_peer_per_address, setup, teardown)
{
    struct side client = {0};
    open_or_fail(&client, NULL, 1);
    struct net_peer *peer = net_connect(client.net, "tcp://127.0.0.1:1", NULL);
    cr_assert_not_null(peer);
    cr_assert_eq(net_connect(client.net, "tcp://127.0.0.1:1", NULL), peer);
    cr_assert_neq(net_connect(client.net, "tcp://127.0.0.1:2", NULL), peer);
    cr_assert_null(net_connect(client.net, "nonsense", NULL));
    close_side(&client);
}

/* Nothing waits for a peer that is not there: it is dropped and counted. */
TEST_BODY(net, send_to_an_absent_peer_is_a_counted_drop, setup, teardown)
{
    struct side client = {0};
    open_or_fail(&client, NULL, 1);
    struct net_peer *peer = net_connect(client.net, "tcp://127.0.0.1:1", NULL);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(net_send(client.net, peer, text_of("lost")), TORC_FULL);
    cr_assert_eq(net_counters(client.net)->dropped_full, 5);
    cr_assert_eq(net_counters(client.net)->sent, 0);
    close_side(&client);
}

/* An answer to one that is gone is refused and counted; so is one along a route never given. */
TEST_BODY(net, answer_to_a_gone_requester_is_a_counted_drop, setup, teardown)
{
    struct side server = {0}, client = {0};
    open_pair(&server, &client);
    cr_assert_eq(net_answer(server.net, server.route + 1, text_of("late")), TORC_NOT_FOUND);
    close_side(&client);
    RUN_UNTIL(net_answer(server.net, server.route, text_of("late")) == TORC_NOT_FOUND);
    cr_assert_eq(net_counters(server.net)->dropped_route, 2);
    close_side(&server);
}

/* While nobody takes anything, sends find the queue full; what was taken as sent arrives, all of
 * it, and nothing else does. */
TEST_BODY(net, full_queue_is_a_counted_drop, setup, teardown)
{
    struct side server = {0}, client = {0};
    struct net_peer *peer = open_pair(&server, &client);
    static uint8_t message[MESSAGE_SIZE_MAX];
    server.echo = false;
    uint64_t sent = 1, dropped = 0;
    while (dropped < 10) {
        if (net_send(client.net, peer, base_bytes_of(message, sizeof(message))) == TORC_OK)
            sent++;
        else
            dropped++;
    }
    cr_assert_eq(net_counters(client.net)->sent, sent);
    cr_assert_geq(net_counters(client.net)->dropped_full, dropped);
    RUN_UNTIL(server.requests == sent);
    for (int i = 0; i < 20; i++)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(server.requests, sent);
    close_side(&client);
    close_side(&server);
}

/* A peer that was let go in the middle of its messages delivers no more; its address can be
 * connected to again. */
TEST_BODY(net, disconnect_ends_delivery_at_once, setup, teardown)
{
    struct side server = {0}, client = {0};
    struct net_peer *peer = open_pair(&server, &client);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(net_send(client.net, peer, text_of("work")), TORC_OK);
    client.disconnect = true;
    RUN_UNTIL(server.requests == 51 && client.answers == 2);
    for (int i = 0; i < 20; i++)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(client.answers, 2);
    client.disconnect = false;
    peer = net_connect(client.net, net_address(server.net), NULL);
    RUN_UNTIL(net_send(client.net, peer, text_of("again")) == TORC_OK);
    RUN_UNTIL(client.answers == 3);
    close_side(&client);
    close_side(&server);
}

/* A server that comes back at its address is found again, without being asked. */
TEST_BODY(net, peer_reconnects_to_a_restarted_server, setup, teardown)
{
    struct side server = {0}, client = {0}, restarted = {.echo = true};
    struct net_peer *peer = open_pair(&server, &client);
    char address[NET_TEXT_SIZE];
    snprintf(address, sizeof(address), "%s", net_address(server.net));
    close_side(&server);
    RUN_UNTIL(net_send(client.net, peer, text_of("lost")) == TORC_FULL);
    open_or_fail(&restarted, address, 3);
    RUN_UNTIL(net_send(client.net, peer, text_of("found")) == TORC_OK);
    RUN_UNTIL(client.answers == 2);
    close_side(&client);
    close_side(&restarted);
}

/* A taken port and an open address are refused with a text that names the address. */
TEST_BODY(net, open_says_what_is_wrong_with_the_address, setup, teardown)
{
    struct side server = {0}, second = {0};
    char text[NET_TEXT_SIZE];
    open_or_fail(&server, "tcp://127.0.0.1:*", 1);
    cr_assert_eq(open_side(&second, net_address(server.net), 2, text), TORC_LOCKED);
    cr_assert_not_null(strstr(text, net_address(server.net)));
    cr_assert_not_null(strstr(text, "taken"));
    cr_assert_eq(open_side(&second, "tcp://0.0.0.0:*", 2, text), TORC_INVALID);
    cr_assert_not_null(strstr(text, "tcp://0.0.0.0:*"));
    cr_assert_not_null(strstr(text, "insecure"));
    close_side(&server);
}

/* Both loopbacks work. */
TEST_BODY(net, listens_on_the_sixth_version_too, setup, teardown)
{
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool there = probe >= 0 && bind(probe, (struct sockaddr *)&six, sizeof(six)) == 0;
    if (probe >= 0)
        close(probe);
    if (!there)
        cr_skip("this machine has no [::1]");
    struct side server = {.echo = true}, client = {0};
    open_or_fail(&server, "tcp://[::1]:*", 1);
    open_or_fail(&client, NULL, 2);
    struct net_peer *peer = net_connect(client.net, net_address(server.net), NULL);
    RUN_UNTIL(net_send(client.net, peer, text_of("hello")) == TORC_OK);
    RUN_UNTIL(client.answers == 1);
    close_side(&client);
    close_side(&server);
}

/* ---- Guests that do not keep the rules ----------------------------------------------------------
 */

/* A TCP connection to the server's port. */
static int raw_connect(const struct side *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port =
        htons((uint16_t)strtol(strrchr(net_address(server->net), ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    (void)!connect(fd, (struct sockaddr *)&address, sizeof(address));
    return fd;
}

static bool is_closed(int fd)
{
    char byte[256];
    ssize_t size = recv(fd, byte, sizeof(byte), 0);
    return size == 0 || (size < 0 && errno == ECONNRESET);
}

/* Garbage on the port ends that connection and nothing else. */
TEST_BODY(net, garbage_ends_its_own_connection_only, setup, teardown)
{
    struct side server = {0}, client = {0};
    struct net_peer *peer = open_pair(&server, &client);
    static const char *const garbage[] = {"GET / HTTP/1.1\r\nHost: torc\r\n\r\n",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                          "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n"};
    enum { GUESTS = sizeof(garbage) / sizeof(garbage[0]) };
    int fds[GUESTS];
    for (size_t i = 0; i < GUESTS; i++) {
        fds[i] = raw_connect(&server);
        RUN_UNTIL(send(fds[i], garbage[i], strlen(garbage[i]), MSG_NOSIGNAL) > 0);
    }
    for (size_t i = 0; i < GUESTS; i++) {
        RUN_UNTIL(is_closed(fds[i]));
        close(fds[i]);
    }
    cr_assert_eq(server.requests, 1);
    cr_assert_eq(net_send(client.net, peer, text_of("still here")), TORC_OK);
    RUN_UNTIL(client.answers == 2);
    close_side(&client);
    close_side(&server);
}

static void *guest_open(void *context, const struct side *server)
{
    void *guest = zmq_socket(context, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(guest, ZMQ_LINGER, &linger, sizeof(linger));
    cr_assert_eq(zmq_connect(guest, net_address(server->net)), 0);
    return guest;
}

/* A message above the limit is not delivered; the others are served. */
TEST_BODY(net, oversized_message_is_not_delivered, setup, teardown)
{
    struct side server = {0}, client = {0};
    struct net_peer *peer = open_pair(&server, &client);
    static uint8_t large[MESSAGE_SIZE_MAX + 1];
    void *context = zmq_ctx_new(), *guest = guest_open(context, &server);
    cr_assert_eq(zmq_send(guest, "small", 5, 0), 5);
    RUN_UNTIL(server.requests == 2);
    cr_assert_eq(zmq_send(guest, large, sizeof(large), 0), (int)sizeof(large));
    cr_assert_eq(zmq_send(guest, "behind", 6, 0), 6); /* Lost with the connection, or after it. */
    uint64_t answers = client.answers;
    cr_assert_eq(net_send(client.net, peer, text_of("still here")), TORC_OK);
    RUN_UNTIL(client.answers == answers + 1);
    cr_assert_leq(server.last_size, 10);
    zmq_close(guest);
    zmq_ctx_term(context);
    close_side(&client);
    close_side(&server);
}

/* A message of several parts is none of ours: counted and dropped, and what follows is taken. */
TEST_BODY(net, message_of_several_parts_is_a_counted_drop, setup, teardown)
{
    struct side server = {0};
    open_or_fail(&server, "tcp://127.0.0.1:*", 1);
    void *context = zmq_ctx_new(), *guest = guest_open(context, &server);
    cr_assert_eq(zmq_send(guest, "one", 3, ZMQ_SNDMORE), 3);
    cr_assert_eq(zmq_send(guest, "two", 3, ZMQ_SNDMORE), 3);
    cr_assert_eq(zmq_send(guest, "three", 5, 0), 5);
    cr_assert_eq(zmq_send(guest, "whole", 5, 0), 5);
    RUN_UNTIL(server.requests == 1);
    cr_assert(base_bytes_equal(base_bytes_of(server.last, server.last_size), text_of("whole")));
    cr_assert_eq(net_counters(server.net)->malformed, 1);
    zmq_close(guest);
    zmq_ctx_term(context);
    close_side(&server);
}
