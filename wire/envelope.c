#include "wire/envelope.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

static const uint8_t magic[4] = {'T', 'R', 'C', '1'};

/* Where the fields stand; the header has the picture. */
enum {
    AT_VERSION = 4,
    AT_TYPE = 5,
    AT_ZERO = 6,
    AT_BODY_SIZE = 8,
    AT_PAYLOAD_SIZE = 12,
    AT_CLUSTER = 16,
    AT_STORAGE = 32,
    AT_NODE = 48,
    AT_INCARNATION = 52,
    AT_TO_INCARNATION = 56,
    AT_TO_NODE = 60,
    AT_NUMBER = 64,
    AT_DURABLE_BATCH = 72,
    AT_WALL_MS = 80,
    AT_CHECKSUM = 88,
};

_Static_assert(AT_CHECKSUM + 8 == WIRE_ENVELOPE_SIZE, "the checksum ends the head");
_Static_assert(AT_STORAGE == AT_CLUSTER + WIRE_ID_SIZE, "ids follow each other");

static bool type_is_known(uint8_t type)
{
    switch (type) {
#define WIRE_TYPE_CASE(name, number) case number:
        WIRE_TYPE_LIST(WIRE_TYPE_CASE)
#undef WIRE_TYPE_CASE
        return true;
    default:
        return false;
    }
}

static uint64_t checksum(const uint8_t *message, size_t rest_size)
{
    uint64_t head = base_hash(base_bytes_of(message, AT_CHECKSUM));
    return base_hash_seeded(base_bytes_of(message + WIRE_ENVELOPE_SIZE, rest_size), head);
}

size_t wire_envelope_size(const struct wire_envelope *envelope)
{
    return WIRE_ENVELOPE_SIZE + envelope->body.size + envelope->payload.size;
}

static void put_bytes(uint8_t *at, struct base_bytes bytes)
{
    if (bytes.size > 0 && bytes.data != at)
        memcpy(at, bytes.data, bytes.size);
}

void wire_envelope_write(const struct wire_envelope *envelope, uint8_t *at)
{
    TORC_ASSERT(envelope->body.size <= UINT32_MAX);
    TORC_ASSERT(envelope->payload.size <= UINT32_MAX);
    memcpy(at, magic, sizeof(magic));
    at[AT_VERSION] = WIRE_ENVELOPE_VERSION;
    at[AT_TYPE] = (uint8_t)envelope->type;
    base_put_le16(at + AT_ZERO, 0);
    base_put_le32(at + AT_BODY_SIZE, (uint32_t)envelope->body.size);
    base_put_le32(at + AT_PAYLOAD_SIZE, (uint32_t)envelope->payload.size);
    memcpy(at + AT_CLUSTER, envelope->cluster.bytes, WIRE_ID_SIZE);
    memcpy(at + AT_STORAGE, envelope->storage.bytes, WIRE_ID_SIZE);
    base_put_le32(at + AT_NODE, envelope->node);
    base_put_le32(at + AT_INCARNATION, envelope->incarnation);
    base_put_le32(at + AT_TO_INCARNATION, envelope->to_incarnation);
    base_put_le32(at + AT_TO_NODE, envelope->to_node);
    base_put_le64(at + AT_NUMBER, envelope->number);
    base_put_le64(at + AT_DURABLE_BATCH, envelope->durable_batch);
    base_put_le64(at + AT_WALL_MS, envelope->wall_ms);
    put_bytes(at + WIRE_ENVELOPE_SIZE, envelope->body);
    put_bytes(at + WIRE_ENVELOPE_SIZE + envelope->body.size, envelope->payload);
    base_put_le64(at + AT_CHECKSUM, checksum(at, envelope->body.size + envelope->payload.size));
}

static void read_head(const uint8_t *at, struct wire_envelope *ret_envelope)
{
    size_t body_size = base_get_le32(at + AT_BODY_SIZE);
    *ret_envelope = (struct wire_envelope){
        .type = (enum wire_type)at[AT_TYPE],
        .node = base_get_le32(at + AT_NODE),
        .incarnation = base_get_le32(at + AT_INCARNATION),
        .to_incarnation = base_get_le32(at + AT_TO_INCARNATION),
        .to_node = base_get_le32(at + AT_TO_NODE),
        .number = base_get_le64(at + AT_NUMBER),
        .durable_batch = base_get_le64(at + AT_DURABLE_BATCH),
        .wall_ms = base_get_le64(at + AT_WALL_MS),
        .body = base_bytes_of(at + WIRE_ENVELOPE_SIZE, body_size),
        .payload =
            base_bytes_of(at + WIRE_ENVELOPE_SIZE + body_size, base_get_le32(at + AT_PAYLOAD_SIZE)),
    };
    memcpy(ret_envelope->cluster.bytes, at + AT_CLUSTER, WIRE_ID_SIZE);
    memcpy(ret_envelope->storage.bytes, at + AT_STORAGE, WIRE_ID_SIZE);
}

enum torc_status wire_envelope_read(struct base_bytes message, struct wire_envelope *ret_envelope)
{
    const uint8_t *at = message.data;
    if (message.size < WIRE_ENVELOPE_SIZE || memcmp(at, magic, sizeof(magic)) != 0)
        return TORC_MALFORMED;
    if (at[AT_VERSION] > WIRE_ENVELOPE_VERSION)
        return TORC_NEWER;
    uint64_t rest_size =
        (uint64_t)base_get_le32(at + AT_BODY_SIZE) + base_get_le32(at + AT_PAYLOAD_SIZE);
    if (rest_size != message.size - WIRE_ENVELOPE_SIZE)
        return TORC_MALFORMED;
    if (base_get_le64(at + AT_CHECKSUM) != checksum(at, (size_t)rest_size))
        return TORC_MALFORMED;
    if (at[AT_VERSION] != WIRE_ENVELOPE_VERSION || base_get_le16(at + AT_ZERO) != 0 ||
        !type_is_known(at[AT_TYPE]))
        return TORC_MALFORMED;
    read_head(at, ret_envelope);
    return TORC_OK;
}

const char *wire_type_name(enum wire_type type)
{
    switch (type) {
    case WIRE_TYPE_CONSENSUS:
        return "consensus";
    case WIRE_TYPE_REQUEST:
        return "request";
    case WIRE_TYPE_REPLY:
        return "reply";
    case WIRE_TYPE_HELLO:
        return "hello";
    case WIRE_TYPE_WELCOME:
        return "welcome";
    case WIRE_TYPE_MAP_REQUEST:
        return "map_request";
    case WIRE_TYPE_MAP:
        return "map";
    case WIRE_TYPE_INIT:
        return "init";
    case WIRE_TYPE_PLACE:
        return "place";
    case WIRE_TYPE_RESULT:
        return "result";
    case WIRE_TYPE_STATUS_REQUEST:
        return "status_request";
    case WIRE_TYPE_STATUS:
        return "status";
    case WIRE_TYPE_TRANSACTION:
        return "transaction";
    }
    return "unknown";
}
