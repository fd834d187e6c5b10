/* The router's core from a client's SET to its "+OK", with a node that answers at once. What the
 * node does (reading the request, packing the reply) is in the time as well. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hlc.h"
#include "benchmarks/micro/data.h"
#include "benchmarks/micro/part.h"
#include "router/router.h"
#include "wire/body.h"

enum { WIDTH_MAX = 16, COMMAND_SIZE_MAX = 512, GROUP = 1, NODE = 1, START_MS = 1000000 };

struct routing {
    const struct base_allocator *allocator;
    struct router *router;
    unsigned width;
    uint32_t client;
    uint64_t now_us, message_number, answered;
    size_t command_size;
    char commands[WIDTH_MAX * COMMAND_SIZE_MAX];
};

static void deliver(struct routing *routing, enum wire_type type, const ProtobufCMessage *body,
                    struct base_bytes payload)
{
    static uint8_t packed[4096];
    TORC_ASSERT(protobuf_c_message_get_packed_size(body) <= sizeof(packed));
    size_t size = protobuf_c_message_pack(body, packed);
    struct wire_envelope envelope = {
        .type = type,
        .cluster = {.bytes = {7}},
        .storage = {.bytes = {NODE}},
        .node = NODE,
        .incarnation = 1,
        .number = ++routing->message_number,
        .body = base_bytes_of(packed, size),
        .payload = payload,
    };
    router_receive(routing->router, &envelope);
}

static void deliver_map(struct routing *routing)
{
    static uint8_t cluster[16] = {7}, storage[16] = {NODE};
    static char address[] = "tcp://127.0.0.1:7401";
    static uint32_t owners[1] = {GROUP};
    static uint64_t epochs[1] = {1};
    Torc__Wire__Map map = TORC__WIRE__MAP__INIT;
    Torc__Wire__MapReply reply = TORC__WIRE__MAP_REPLY__INIT;
    Torc__Wire__Ring ring = TORC__WIRE__RING__INIT;
    Torc__Wire__Limits limits = TORC__WIRE__LIMITS__INIT;
    Torc__Wire__Node node = TORC__WIRE__NODE__INIT, *nodes[1] = {&node};
    Torc__Wire__Replica replica = TORC__WIRE__REPLICA__INIT, *replicas[1] = {&replica};
    Torc__Wire__Group group = TORC__WIRE__GROUP__INIT, *groups[1] = {&group};
    node.id = replica.node = NODE;
    node.storage = (ProtobufCBinaryData){sizeof(storage), storage};
    node.address = address;
    replica.id = 101;
    replica.voter = true;
    group.id = GROUP;
    group.n_replicas = ring.n_owners = ring.n_epochs = map.n_nodes = map.n_groups = 1;
    group.replicas = replicas;
    ring.owners = owners;
    ring.epochs = epochs;
    limits.key_size_max = micro_limits.key_size_max;
    limits.value_size_max = micro_limits.value_size_max;
    limits.request_size_max = micro_limits.request_size_max;
    map.version = reply.version = 1;
    map.cluster = (ProtobufCBinaryData){sizeof(cluster), cluster};
    map.nodes = nodes;
    map.groups = groups;
    map.ring = &ring;
    map.limits = &limits;
    reply.map = &map;
    deliver(routing, WIRE_TYPE_MAP, &reply.base, base_bytes_of(NULL, 0));
}

static uint64_t clock_now(const struct routing *routing)
{
    return base_hlc_from_ms(START_MS + routing->now_us / 1000);
}

static void deliver_welcome(struct routing *routing)
{
    Torc__Wire__Welcome welcome = TORC__WIRE__WELCOME__INIT;
    welcome.group = GROUP;
    welcome.leader_node = NODE;
    welcome.credit = UINT64_C(1) << 40; /* Of all times: it never runs out. */
    welcome.clock = welcome.stamp = clock_now(routing);
    welcome.request_time_max_ms = 60000;
    deliver(routing, WIRE_TYPE_WELCOME, &welcome.base, base_bytes_of(NULL, 0));
}

/* Answers every request of a message. */
static void answer(struct routing *routing, struct base_bytes rest)
{
    static uint8_t answers[WIDTH_MAX * COMMAND_SIZE_MAX];
    size_t size = 0;
    Torc__Wire__Reply reply = TORC__WIRE__REPLY__INIT;
    reply.group = GROUP;
    reply.leader_node = NODE;
    reply.credit = UINT64_C(1) << 40; /* Of all times: it never runs out. */
    reply.map_version = 1;
    reply.clock = reply.stamp = clock_now(routing);
    while (rest.size > 0) {
        struct wire_request request;
        struct wire_result result = {.kind = WIRE_RESULT_OK, .version = 1};
        enum torc_status status = wire_request_read(rest, &micro_limits, &request);
        TORC_ASSERT(status == TORC_OK);
        uint8_t *at = answers + size;
        size_t room = sizeof(answers) - size;
        size_t used = wire_answer_begin(at, room, WIRE_DONE, request.number, reply.clock, 0);
        for (unsigned i = 0; i < request.op_count; i++)
            used += wire_result_write(at + used, room - used, &result);
        wire_answer_end(at, used, request.op_count);
        size += used;
        reply.answer_count++;
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
    }
    deliver(routing, WIRE_TYPE_REPLY, &reply.base, base_bytes_of(answers, size));
}

/* Carries out one ready; true: there may be more. */
static bool settle(struct routing *routing)
{
    static uint8_t payload[WIDTH_MAX * COMMAND_SIZE_MAX];
    struct router_ready ready;
    router_ready(routing->router, &ready);
    bool again = false, written = false;
    size_t size = 0;
    for (size_t i = 0; i < ready.message_count; i++) {
        const struct router_message *message = &ready.messages[i];
        if (message->type != WIRE_TYPE_REQUEST)
            continue;
        TORC_ASSERT(size + message->payload.size <= sizeof(payload));
        memcpy(payload + size, message->payload.data, message->payload.size);
        size += message->payload.size;
    }
    for (size_t i = 0; i < ready.action_count; i++) {
        if (ready.actions[i].type == ROUTER_PAUSE || ready.actions[i].type == ROUTER_RESUME)
            continue; /* A new client gets few replies at once until their size is known. */
        TORC_ASSERT(ready.actions[i].type == ROUTER_WRITE);
        TORC_ASSERT(memcmp(ready.actions[i].bytes.data, "+OK\r\n", 5) == 0);
        routing->answered += ready.actions[i].bytes.size / 5;
        written = true;
    }
    if (written)
        again = router_connection_written(routing->router, routing->client);
    if (size > 0)
        answer(routing, base_bytes_of(payload, size));
    return again || size > 0;
}

static void *begin(const struct base_allocator *allocator, const char *folder, unsigned width)
{
    static const char *const seeds[] = {"tcp://127.0.0.1:7401"};
    static const struct router_config config = {
        .courier = {.cluster = {{7}},
                    .client = {1, 2},
                    .seeds = seeds,
                    .seed_count = 1,
                    .request_timeout_ms = 5000,
                    .silence_ms = 150,
                    .probe_ms = 50,
                    .probe_max_ms = 1000,
                    .resend_ms = 500,
                    .inflight_max = 1000,
                    .inflight_size_max = 1 << 20,
                    .message_size_max = 1 << 20},
        .clients_max = 8,
        .client_inflight_max = 100,
        .client_output_pause = 1 << 20,
        .client_output_max = 1 << 22,
        .clients_size_max = 1 << 24,
        .version = "1",
        .run_id = "0",
        .resp_address = "",
    };
    (void)folder;
    struct routing *routing = base_alloc_zero(allocator, sizeof(*routing));
    routing->allocator = allocator;
    routing->width = width;
    routing->now_us = 1;
    routing->router = router_new(allocator, &config, routing->now_us);
    for (unsigned i = 0; i < width; i++) {
        size_t left = sizeof(routing->commands) - routing->command_size;
        routing->command_size +=
            (size_t)snprintf(routing->commands + routing->command_size, left,
                             "*3\r\n$3\r\nSET\r\n$16\r\nkey%013u\r\n$%d\r\n%0*d\r\n", i,
                             PART_VALUE_SIZE, PART_VALUE_SIZE, 0);
    }
    settle(routing);
    deliver_map(routing);
    settle(routing);
    deliver_welcome(routing);
    struct router_peer peer = {.address = "127.0.0.1:40000", .local = "127.0.0.1:7379"};
    enum torc_status status = router_connection_opened(routing->router, &peer, &routing->client);
    TORC_ASSERT(status == TORC_OK);
    return routing;
}

static void run(void *context)
{
    struct routing *routing = context;
    uint64_t wanted = routing->answered + routing->width;
    routing->now_us += 20;
    router_turn(routing->router, routing->now_us, START_MS * UINT64_C(1000) + routing->now_us);
    router_connection_bytes(routing->router, routing->client,
                            base_bytes_of(routing->commands, routing->command_size));
    while (settle(routing))
        router_turn(routing->router, routing->now_us, START_MS * UINT64_C(1000) + routing->now_us);
    TORC_ASSERT(routing->answered == wanted);
}

static void end(void *context)
{
    struct routing *routing = context;
    router_free(routing->router);
    base_free(routing->allocator, routing, sizeof(*routing));
}

const struct part parts_router[] = {
    {"router: a SET, its request and its answer", 1, begin, run, end},
    {"router: a SET, its request and its answer, 16 together", 16, begin, run, end},
    {NULL, 0, NULL, NULL, NULL},
};
