#include "net/call.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

#include "net/net.h"

enum how { HOW_ANSWER, HOW_TWICE, HOW_IGNORE_TWO, HOW_OTHER_FIRST, HOW_GARBLED, HOW_LATER };

/* A node of one kind of message, in a thread of its own. */
struct server {
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t stop;
    pthread_barrier_t ready;
    struct net *net;
    enum how how;
    uint64_t questions, numbers_seen;
    char address[NET_TEXT_SIZE];
};

static void answer(struct server *server, uint64_t route, enum wire_type type, uint64_t id)
{
    uint8_t body[64], message[256];
    Torc__Wire__StatusReply reply = TORC__WIRE__STATUS_REPLY__INIT;
    reply.id = id;
    struct wire_envelope envelope = {.type = type, .number = server->questions, .body.data = body};
    envelope.body.size = torc__wire__status_reply__pack(&reply, body);
    if (server->how == HOW_GARBLED)
        memset(body, 0xff, envelope.body.size);
    wire_envelope_write(&envelope, message);
    if (server->how == HOW_LATER)
        message[4] = WIRE_ENVELOPE_VERSION + 1;
    enum torc_status status =
        net_answer(server->net, route, base_bytes_of(message, wire_envelope_size(&envelope)));
    (void)status; /* The asker may be gone. */
}

static void on_request(void *context, uint64_t route, struct base_bytes message)
{
    struct server *server = context;
    struct wire_arena *arena = wire_arena_new(base_allocator_system(), 64 << 10);
    struct wire_envelope question;
    const ProtobufCMessage *body;
    cr_assert_eq(wire_envelope_read(message, &question), TORC_OK);
    cr_assert_eq(question.type, WIRE_TYPE_STATUS_REQUEST);
    cr_assert_eq(question.cluster.bytes[0], 0xcc);
    cr_assert_eq(wire_body_read(arena, &question, &body), TORC_OK);
    uint64_t id = ((const Torc__Wire__StatusRequest *)body)->id;
    wire_arena_free(arena);
    server->questions++;
    server->numbers_seen |= UINT64_C(1) << question.number % 64;
    if (server->how == HOW_IGNORE_TWO && server->questions <= 2)
        return;
    if (server->how == HOW_OTHER_FIRST)
        answer(server, route, WIRE_TYPE_MAP, id);
    answer(server, route, WIRE_TYPE_STATUS, id);
    if (server->how == HOW_TWICE)
        answer(server, route, WIRE_TYPE_STATUS, id);
}

static void on_answer(void *context, struct net_peer *peer, struct base_bytes message)
{
    (void)context;
    (void)peer;
    (void)message;
}

static void on_turn(void *context)
{
    (void)context;
}

static void on_closed(void *context)
{
    (void)context;
}

static void on_stop(uv_async_t *stop)
{
    struct server *server = stop->data;
    uv_close((uv_handle_t *)stop, NULL);
    net_close(server->net, on_closed, NULL);
}

static void *serve(void *context)
{
    struct server *server = context;
    struct net_config config = {
        .listen = "tcp://127.0.0.1:*", .queue_max = 100, .message_size_max = 1 << 20};
    struct net_callbacks callbacks = {on_request, on_answer, on_turn, server};
    char text[NET_TEXT_SIZE];
    uv_loop_init(&server->loop);
    uv_async_init(&server->loop, &server->stop, on_stop);
    server->stop.data = server;
    cr_assert_eq(net_open(&server->loop, &config, &callbacks, text, &server->net), TORC_OK);
    snprintf(server->address, sizeof(server->address), "%s", net_address(server->net));
    pthread_barrier_wait(&server->ready);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
    return NULL;
}

static void server_start(struct server *server, enum how how)
{
    *server = (struct server){.how = how};
    pthread_barrier_init(&server->ready, NULL, 2);
    cr_assert_eq(pthread_create(&server->thread, NULL, serve, server), 0);
    pthread_barrier_wait(&server->ready);
}

static void server_stop(struct server *server)
{
    uv_async_send(&server->stop);
    pthread_join(server->thread, NULL);
    pthread_barrier_destroy(&server->ready);
}

static struct net_client *client_open(const char *address)
{
    struct wire_id cluster = {{0xcc}};
    struct net_client *client;
    cr_assert_eq(net_client_open(address, &cluster, &client), TORC_OK);
    return client;
}

static enum torc_status ask(struct net_client *client, uint64_t id, uint32_t timeout_ms,
                            uint64_t *ret_id)
{
    Torc__Wire__StatusRequest request = TORC__WIRE__STATUS_REQUEST__INIT;
    struct wire_envelope envelope;
    const ProtobufCMessage *body;
    request.id = id;
    enum torc_status status =
        net_client_call(client, WIRE_TYPE_STATUS_REQUEST, &request.base, base_bytes_of(NULL, 0),
                        WIRE_TYPE_STATUS, timeout_ms, &envelope, &body);
    if (status == TORC_OK)
        *ret_id = ((const Torc__Wire__StatusReply *)body)->id;
    return status;
}

TestSuite(net_call, .timeout = 60);

/* Questions get their answers, one after the other. */
Test(net_call, call_is_answered)
{
    struct server server;
    server_start(&server, HOW_ANSWER);
    struct net_client *client = client_open(server.address);
    for (uint64_t id = 1; id <= 5; id++) {
        uint64_t answered;
        cr_assert_eq(ask(client, id, 20000, &answered), TORC_OK);
        cr_assert_eq(answered, id);
    }
    net_client_close(client);
    server_stop(&server);
}

/* An answer that comes twice is not taken for the answer to the next question. */
Test(net_call, call_takes_no_answer_to_an_earlier_question)
{
    struct server server;
    server_start(&server, HOW_TWICE);
    struct net_client *client = client_open(server.address);
    for (uint64_t id = 1; id <= 20; id++) {
        uint64_t answered;
        cr_assert_eq(ask(client, id, 20000, &answered), TORC_OK);
        cr_assert_eq(answered, id);
    }
    net_client_close(client);
    server_stop(&server);
}

/* What was lost is asked again, under a new number. */
Test(net_call, call_asks_again)
{
    struct server server;
    uint64_t answered;
    server_start(&server, HOW_IGNORE_TWO);
    struct net_client *client = client_open(server.address);
    cr_assert_eq(ask(client, 9, 20000, &answered), TORC_OK);
    cr_assert_eq(answered, 9);
    net_client_close(client);
    server_stop(&server);
    cr_assert_geq(server.questions, 3);
    cr_assert_eq(__builtin_popcountll(server.numbers_seen), (int)server.questions);
}

/* A message of another type is not the answer. */
Test(net_call, call_waits_for_the_type_that_answers)
{
    struct server server;
    uint64_t answered;
    server_start(&server, HOW_OTHER_FIRST);
    struct net_client *client = client_open(server.address);
    cr_assert_eq(ask(client, 3, 20000, &answered), TORC_OK);
    cr_assert_eq(answered, 3);
    net_client_close(client);
    server_stop(&server);
}

/* Nobody there, a body that is nonsense and a later version are told apart. */
Test(net_call, call_says_what_went_wrong)
{
    struct server server;
    uint64_t answered;
    struct net_client *client = client_open("tcp://127.0.0.1:1");
    cr_assert_eq(ask(client, 1, 300, &answered), TORC_TIMEOUT);
    net_client_close(client);

    server_start(&server, HOW_GARBLED);
    client = client_open(server.address);
    cr_assert_eq(ask(client, 1, 20000, &answered), TORC_MALFORMED);
    net_client_close(client);
    server_stop(&server);

    server_start(&server, HOW_LATER);
    client = client_open(server.address);
    cr_assert_eq(ask(client, 1, 20000, &answered), TORC_NEWER);
    net_client_close(client);
    server_stop(&server);

    struct wire_id cluster = {{0}};
    cr_assert_eq(net_client_open("nonsense", &cluster, &client), TORC_INVALID);
}
