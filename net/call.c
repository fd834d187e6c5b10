#include "net/call.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <zmq.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/socket.h"

enum {
    CALL_RESEND_MS = 250,
    CALL_QUEUE_MAX = 16,
    CALL_MESSAGE_SIZE_MAX = 64 << 20,
};

struct net_client {
    void *context, *socket;
    struct wire_id cluster;
    uint32_t incarnation;
    uint64_t number;
    zmq_msg_t answer;
    struct wire_arena *arena;
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
    uint64_t identity = 0;
    ssize_t drawn = getrandom(&identity, sizeof(identity), 0);
    TORC_ASSERT(drawn == (ssize_t)sizeof(identity));
    struct net_client *client = base_alloc_zero(base_allocator_system(), sizeof(*client));
    client->context = zmq_ctx_new();
    client->cluster = *cluster;
    client->incarnation = (uint32_t)identity | 1;
    client->arena = wire_arena_new(base_allocator_system(), CALL_MESSAGE_SIZE_MAX);
    zmq_msg_init(&client->answer);
    client->socket =
        net_socket_dealer(client->context, CALL_QUEUE_MAX, CALL_MESSAGE_SIZE_MAX, identity);
    if (client->socket == NULL || zmq_connect(client->socket, address) != 0) {
        net_client_close(client);
        return TORC_INVALID;
    }
    *ret_client = client;
    return TORC_OK;
}

void net_client_close(struct net_client *client)
{
    if (client == NULL)
        return;
    zmq_msg_close(&client->answer);
    if (client->socket != NULL)
        zmq_close(client->socket);
    zmq_ctx_term(client->context);
    wire_arena_free(client->arena);
    base_free(base_allocator_system(), client, sizeof(*client));
}

/* The number rises with every copy, so that the receiver does not take a resend for a duplicate. */
static void send_question(struct net_client *client, struct wire_envelope *question)
{
    question->number = ++client->number;
    question->wall_ms = clock_ms(CLOCK_REALTIME);
    size_t size = wire_envelope_size(question);
    zmq_msg_t message;
    zmq_msg_init_size(&message, size);
    wire_envelope_write(question, zmq_msg_data(&message));
    if (zmq_msg_send(&message, client->socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&message); /* Not connected yet: sent again soon. */
}

/* Takes what is there; true: it is an answer of the wanted type. */
static bool take_answer(struct net_client *client, enum wire_type wanted,
                        struct wire_envelope *ret_answer)
{
    while (zmq_msg_recv(&client->answer, client->socket, ZMQ_DONTWAIT) >= 0) {
        struct base_bytes bytes =
            base_bytes_of(zmq_msg_data(&client->answer), zmq_msg_size(&client->answer));
        if (wire_envelope_read(bytes, ret_answer) == TORC_OK && ret_answer->type == wanted)
            return true;
    }
    return false;
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
    struct wire_envelope question = {.type = type,
                                     .cluster = client->cluster,
                                     .incarnation = client->incarnation,
                                     .body = base_bytes_of(packed, size),
                                     .payload = payload};
    uint64_t deadline = clock_ms(CLOCK_MONOTONIC) + timeout_ms, now, resend_at = 0;
    bool answered = false;
    while (!answered && (now = clock_ms(CLOCK_MONOTONIC)) < deadline) {
        if (now >= resend_at) {
            send_question(client, &question);
            /* A connection takes a moment; until there is one, ask in quick succession. */
            resend_at = now + (client->number < 20 ? 20 : CALL_RESEND_MS);
        }
        zmq_pollitem_t item = {.socket = client->socket, .events = ZMQ_POLLIN};
        uint64_t until = resend_at < deadline ? resend_at : deadline;
        zmq_poll(&item, 1, (long)(until - now));
        answered = take_answer(client, answer_type, ret_answer);
    }
    base_free(base_allocator_system(), packed, size + 1);
    return answered ? wire_body_read(client->arena, ret_answer, ret_body) : TORC_TIMEOUT;
}
