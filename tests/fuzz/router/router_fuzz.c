/*
 * Everything that comes to a router from outside: the input is a list of pieces (a kind, two bytes
 * of size, the bytes): what a client sends, or, of a node's message, the size of the body, the body
 * and the payload. The router must hold its invariants whatever they say.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/hash.h"
#include "router/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 2 };

static const char *const seeds[] = {"tcp://127.0.0.1:1"};
static const struct router_peer peer = {"127.0.0.1:1024", "127.0.0.1:7379"};

static const struct router_config config = {
    .courier =
        {
            .cluster = {{7}},
            .client = {1, 2},
            .seeds = seeds,
            .seed_count = 1,
            .request_timeout_ms = 1000,
            .silence_ms = 150,
            .probe_ms = 50,
            .probe_max_ms = 400,
            .resend_ms = 200,
            .inflight_max = 20,
            .inflight_size_max = 1 << 16,
            .message_size_max = 1 << 12,
        },
    .clients_max = CLIENTS,
    .client_inflight_max = 8,
    .client_output_pause = 1 << 12,
    .client_output_max = 1 << 16,
    .clients_size_max = 1 << 17,
    .version = "",
    .run_id = "",
    .resp_address = "",
};

static volatile uint64_t hashed;

/* A client that was closed comes back at once, so that there is always one to speak. */
static void settle(struct router *router, uint32_t *clients)
{
    struct router_ready ready;
    router_ready(router, &ready);
    router_check(router);
    for (size_t i = 0; i < ready.action_count; i++) {
        struct router_action action = ready.actions[i];
        uint32_t client = clients[0] == action.connection ? 0 : 1;
        if (action.type == ROUTER_WRITE) {
            hashed ^= base_hash(action.bytes); /* They must be there to be read. */
            router_connection_written(router, action.connection);
        } else if (action.type == ROUTER_CLOSE) {
            enum torc_status status = router_connection_opened(router, &peer, &clients[client]);
            TORC_ASSERT(status == TORC_OK);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t now_us = 1;
    uint32_t clients[CLIENTS];
    struct router *router = router_new(base_allocator_system(), &config, now_us);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        enum torc_status status = router_connection_opened(router, &peer, &clients[i]);
        TORC_ASSERT(status == TORC_OK);
    }
    for (size_t at = 0; size - at >= 3;) {
        unsigned kind = data[at];
        size_t piece = (size_t)data[at + 1] | (size_t)data[at + 2] << 8;
        at += 3;
        if (piece > size - at)
            piece = size - at;
        struct base_bytes bytes = base_bytes_of(data + at, piece);
        at += piece;
        now_us += (kind >> 4) * 20000;
        router_turn(router, now_us, now_us);
        if (kind % 4 == 0) {
            router_connection_bytes(router, clients[kind / 4 % CLIENTS], bytes);
        } else {
            static const enum wire_type types[] = {WIRE_TYPE_MAP, WIRE_TYPE_WELCOME,
                                                   WIRE_TYPE_REPLY};
            size_t head = piece > 0 ? 1 : 0;
            size_t body = head > 0 && bytes.data[0] < piece ? bytes.data[0] : piece - head;
            struct wire_envelope envelope = {
                .type = types[kind % 4 - 1],
                .cluster = {{7}},
                .storage = {.bytes = {(uint8_t)(1 + kind / 4 % 3)}},
                .node = 1 + kind / 4 % 3,
                .incarnation = 1,
                .body = base_bytes_of(bytes.data + head, body),
                .payload = base_bytes_of(bytes.data + head + body, piece - head - body),
            };
            router_receive(router, &envelope);
        }
        settle(router, clients);
    }
    router_free(router);
    return 0;
}
