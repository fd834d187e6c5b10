/* decode(encode(x)) = x (S20): of every so many messages, each layer is read as its receiver reads
 * it and written again as its sender does, and the bytes must be the same. */
#include <string.h>

#include "base/assert.h"
#include "shard/codec.h"
#include "tests/sim/ledger.h"

enum { CODEC_EVERY = 16, CODEC_POOL_SIZE = 4 << 20 };

static void check_same(struct sim *sim, const struct wire_envelope *envelope, const char *layer,
                       struct base_bytes was, struct base_bytes is)
{
    if (!base_bytes_equal(was, is))
        sim_fail(sim, "codec", "S20: a %s message's %s of %zu bytes is written again as other %zu",
                 wire_type_name(envelope->type), layer, was.size, is.size);
}

/* Room for what is written again; dead with the next call. */
static uint8_t *room(struct sim *sim, size_t size)
{
    struct ledger_codec *codec = &sim->ledger->codec;
    codec->again =
        base_array_reserve(sim->allocator, codec->again, &codec->again_capacity, size, 1);
    return codec->again;
}

static void check_consensus(struct sim *sim, const struct wire_envelope *envelope,
                            const Torc__Wire__Consensus *body)
{
    struct ledger_codec *codec = &sim->ledger->codec;
    if (codec->outbox == NULL) {
        codec->outbox = shard_codec_outbox_new(sim->allocator);
        base_pool_init(&codec->pool, sim->allocator, CODEC_POOL_SIZE);
    }
    shard_codec_outbox_clear(codec->outbox);
    size_t payload_at = 0;
    for (size_t i = 0; i < body->n_messages; i++) {
        struct consensus_message message;
        codec->entries =
            base_array_reserve(sim->allocator, codec->entries, &codec->entries_capacity,
                               body->messages[i]->n_entries + 1, sizeof(*codec->entries));
        if (shard_codec_message_read(body->messages[i], envelope->payload, &payload_at,
                                     &codec->pool, codec->entries, &message) != TORC_OK)
            sim_fail(sim, "codec", "S20: a message of consensus does not decode");
        shard_codec_outbox_add(codec->outbox, body->messages[i]->group, &message);
        shard_codec_release(&message);
    }
    check_same(sim, envelope, "body", envelope->body, shard_codec_outbox_body(codec->outbox));
    check_same(sim, envelope, "payload", envelope->payload,
               shard_codec_outbox_payload(codec->outbox));
}

/* A map goes through the core's struct, and an INIT's with it. */
static void check_map(struct sim *sim, const struct wire_envelope *envelope,
                      const Torc__Wire__Map *message)
{
    if (message == NULL)
        return;
    struct shard_map map;
    shard_map_init(&map, sim->allocator);
    if (shard_codec_map_read(message, &map) != TORC_OK)
        sim_fail(sim, "codec", "S20: a map does not decode");
    struct base_bytes encoded;
    shard_codec_map_encode(&map, sim->allocator, &encoded);
    size_t size = torc__wire__map__get_packed_size(message);
    uint8_t *packed = room(sim, size);
    torc__wire__map__pack(message, packed);
    check_same(sim, envelope, "map", base_bytes_of(packed, size), encoded);
    base_free(sim->allocator, (void *)(uintptr_t)encoded.data, encoded.size);
    shard_map_fini(&map);
}

static size_t write_request(const struct wire_request *request, uint8_t *at)
{
    size_t size = wire_request_begin(at, request->encoded.size, request->client, request->number,
                                     request->last_time, request->flags);
    struct wire_op op;
    uint16_t count = 0;
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op); count++)
        size += wire_op_write(at + size, request->encoded.size - size, &op);
    wire_request_end(at, size, count);
    return size;
}

static size_t write_answer(const struct wire_answer *answer, uint8_t *at)
{
    size_t size = wire_answer_begin(at, answer->encoded.size, answer->status, answer->number,
                                    answer->clock, answer->detail);
    struct wire_result result;
    uint16_t count = 0;
    for (size_t cursor = 0; wire_result_next(answer, &cursor, &result); count++)
        size += wire_result_write(at + size, answer->encoded.size - size, &result);
    wire_answer_end(at, size, count);
    return size;
}

static void check_payload(struct sim *sim, const struct wire_envelope *envelope)
{
    struct base_bytes rest = envelope->payload;
    while (rest.size > 0) {
        struct wire_request request;
        struct wire_answer answer;
        bool asks = envelope->type == WIRE_TYPE_REQUEST;
        enum torc_status status = asks ? wire_request_read(rest, &sim->map.limits, &request)
                                       : wire_answer_read(rest, &answer);
        if (status != TORC_OK)
            sim_fail(sim, "codec", "S20: a payload does not decode");
        struct base_bytes was = asks ? request.encoded : answer.encoded;
        uint8_t *again = room(sim, was.size);
        size_t size = asks ? write_request(&request, again) : write_answer(&answer, again);
        check_same(sim, envelope, "payload", was, base_bytes_of(again, size));
        rest = base_bytes_of(rest.data + was.size, rest.size - was.size);
    }
}

static void check_body(struct sim *sim, const struct wire_envelope *envelope,
                       const ProtobufCMessage *body)
{
    size_t size = protobuf_c_message_get_packed_size(body);
    uint8_t *again = room(sim, size + 1);
    protobuf_c_message_pack(body, again);
    check_same(sim, envelope, "body", envelope->body, base_bytes_of(again, size));
}

void check_codec(struct sim *sim, struct base_bytes bytes)
{
    if (sim->ledger->codec.seen++ % CODEC_EVERY != 0)
        return;
    sim->coverage->messages_written_again++;
    struct wire_envelope envelope;
    const ProtobufCMessage *body;
    if (wire_envelope_read(bytes, &envelope) != TORC_OK ||
        wire_body_read(sim->arena, &envelope, &body) != TORC_OK)
        sim_fail(sim, "codec", "S20: a message does not decode");
    if (envelope.type == WIRE_TYPE_CONSENSUS)
        check_consensus(sim, &envelope, (const Torc__Wire__Consensus *)body);
    else
        check_body(sim, &envelope, body);
    if (envelope.type == WIRE_TYPE_MAP)
        check_map(sim, &envelope, ((const Torc__Wire__MapReply *)body)->map);
    else if (envelope.type == WIRE_TYPE_INIT)
        check_map(sim, &envelope, ((const Torc__Wire__Init *)body)->map);
    else if (envelope.type == WIRE_TYPE_REQUEST || envelope.type == WIRE_TYPE_REPLY)
        check_payload(sim, &envelope);
    uint8_t *again = room(sim, bytes.size);
    wire_envelope_write(&envelope, again);
    check_same(sim, &envelope, "envelope", bytes, base_bytes_of(again, bytes.size));
}

void check_codec_fini(struct sim *sim)
{
    struct ledger_codec *codec = &sim->ledger->codec;
    base_array_free(sim->allocator, codec->again, &codec->again_capacity, 1);
    base_array_free(sim->allocator, codec->entries, &codec->entries_capacity,
                    sizeof(*codec->entries));
    if (codec->outbox == NULL)
        return;
    shard_codec_outbox_free(codec->outbox);
    base_pool_fini(&codec->pool);
}
