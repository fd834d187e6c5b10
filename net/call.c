#include "net/call.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <zmq.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/address.h"
#include "net/socket.h"

enum {
    CALL_RESEND_MS = 250,
    CALL_QUEUE_MAX = 16,
    CALL_MESSAGE_SIZE_MAX = 64 << 20,
    CALL_ADDRESS_SIZE = 256,
};

struct net_client {
    void *context;
    char address[CALL_ADDRESS_SIZE];
    struct wire_id cluster;
    zmq_msg_t answer; /* Of the last call. */
    struct wire_arena *arena;
};

/* A question under way. */
struct call {
    void *socket;
    struct wire_envelope question;
    enum wire_type answer_type;
    uint64_t resend_at_ms; /* 0: not sent yet, there is no connection. */
};

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum torc_status net_client_open(const char *address, const struct wire_id *cluster,
                                 struct net_client **ret_client)
{
    if (strlen(address) >= CALL_ADDRESS_SIZE || !net_address_is_peer(address))
        return TORC_INVALID;
    struct net_client *client = base_alloc_zero(base_allocator_system(), sizeof(*client));
    memcpy(client->address, address, strlen(address) + 1);
    client->context = zmq_ctx_new();
    TORC_ASSERT(client->context != NULL);
    client->cluster = *cluster;
    client->arena = wire_arena_new(base_allocator_system(), CALL_MESSAGE_SIZE_MAX);
    zmq_msg_init(&client->answer);
    *ret_client = client;
    return TORC_OK;
}

void net_client_close(struct net_client *client)
{
    if (client == NULL)
        return;
    zmq_msg_close(&client->answer);
    zmq_ctx_term(client->context);
    wire_arena_free(client->arena);
    base_free(base_allocator_system(), client, sizeof(*client));
}

/* Under a new identity, for which nothing can be on its way. */
static bool call_open(struct net_client *client, struct call *call)
{
    uint64_t identity = 0;
    ssize_t drawn = getrandom(&identity, sizeof(identity), 0);
    TORC_ASSERT(drawn == (ssize_t)sizeof(identity));
    call->question.incarnation = (uint32_t)identity | 1;
    call->socket =
        net_socket_dealer(client->context, CALL_QUEUE_MAX, CALL_MESSAGE_SIZE_MAX, identity);
    TORC_ASSERT(call->socket != NULL);
    return net_socket_connect(call->socket, client->address) == 0;
}

/* The number rises with every copy, so that the receiver does not take it for a duplicate. */
static void call_send(struct call *call, uint64_t now_ms)
{
    call->question.number++;
    call->question.wall_ms = clock_ms(CLOCK_REALTIME);
    zmq_msg_t message;
    zmq_msg_init_size(&message, wire_envelope_size(&call->question));
    wire_envelope_write(&call->question, zmq_msg_data(&message));
    if (zmq_msg_send(&message, call->socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&message);
    else
        call->resend_at_ms = now_ms + CALL_RESEND_MS;
}

/* Takes what is there until it is an answer. TORC_STALE: none yet. */
static enum torc_status call_take(struct call *call, zmq_msg_t *message,
                                  struct wire_envelope *ret_answer)
{
    while (zmq_msg_recv(message, call->socket, ZMQ_DONTWAIT) >= 0) {
        struct base_bytes bytes = base_bytes_of(zmq_msg_data(message), zmq_msg_size(message));
        enum torc_status status = wire_envelope_read(bytes, ret_answer);
        if (status == TORC_NEWER || (status == TORC_OK && ret_answer->type == call->answer_type))
            return status;
    }
    return TORC_STALE;
}

/* Until there is a connection a send finds no room, and poll says when there is. */
static enum torc_status call_run(struct call *call, zmq_msg_t *message, uint32_t timeout_ms,
                                 struct wire_envelope *ret_answer)
{
    uint64_t now_ms = clock_ms(CLOCK_MONOTONIC), deadline_ms = now_ms + timeout_ms;
    for (; now_ms < deadline_ms; now_ms = clock_ms(CLOCK_MONOTONIC)) {
        if (now_ms >= call->resend_at_ms)
            call_send(call, now_ms);
        bool sent = call->resend_at_ms > now_ms;
        zmq_pollitem_t item = {.socket = call->socket,
                               .events = (short)(sent ? ZMQ_POLLIN : ZMQ_POLLIN | ZMQ_POLLOUT)};
        uint64_t until_ms =
            sent && call->resend_at_ms < deadline_ms ? call->resend_at_ms : deadline_ms;
        zmq_poll(&item, 1, (long)(until_ms - now_ms));
        enum torc_status status = call_take(call, message, ret_answer);
        if (status != TORC_STALE)
            return status;
    }
    return TORC_TIMEOUT;
}

enum torc_status net_client_call(struct net_client *client, enum wire_type type,
                                 const ProtobufCMessage *body, struct base_bytes payload,
                                 enum wire_type answer_type, uint32_t timeout_ms,
                                 struct wire_envelope *ret_answer,
                                 const ProtobufCMessage **ret_body)
{
    size_t size = protobuf_c_message_get_packed_size(body);
    uint8_t *packed = base_alloc(base_allocator_system(), size + 1);
    protobuf_c_message_pack(body, packed);
    struct call call = {.question = {.type = type,
                                     .cluster = client->cluster,
                                     .body = base_bytes_of(packed, size),
                                     .payload = payload},
                        .answer_type = answer_type};
    struct wire_envelope answer;
    enum torc_status status = TORC_TIMEOUT;
    if (call_open(client, &call))
        status = call_run(&call, &client->answer, timeout_ms, &answer);
    zmq_close(call.socket);
    base_free(base_allocator_system(), packed, size + 1);
    if (status == TORC_OK)
        status = wire_body_read(client->arena, &answer, ret_body);
    if (status == TORC_OK)
        *ret_answer = answer;
    return status;
}
