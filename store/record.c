#include "store/record.h"

#include "base/assert.h"
#include "base/hash.h"

/* Offsets in the header; the first eight bytes are the hash of all that follow. */
enum {
    AT_HASH = 0,
    AT_PAYLOAD_HASH = 8,
    AT_PAYLOAD_SIZE = 16,
    AT_KIND = 20,
    AT_TAG = 21,
    AT_ZERO = 22,
    AT_GROUP = 24,
    AT_BALLOT_NODE = 28,
    AT_REPLICA = 32,
    AT_SLOT = 40,
    AT_BALLOT_ROUND = 48,
    AT_BALLOT_INCARNATION = 56,
    AT_ORIGIN_NODE = 60,
    AT_ORIGIN_ROUND = 64,
    AT_ORIGIN_INCARNATION = 72,
    AT_ZERO_LAST = 76,
};

_Static_assert(AT_ZERO_LAST + 4 == STORE_RECORD_HEADER_SIZE, "the header is packed");

static uint64_t header_hash(const uint8_t *header)
{
    return base_hash(
        base_bytes_of(header + AT_PAYLOAD_HASH, STORE_RECORD_HEADER_SIZE - AT_PAYLOAD_HASH));
}

/* What is written of each kind; everything else is malformed. */
static bool combination_valid(const struct store_record *record, uint32_t payload_size)
{
    bool payload = payload_size > 0;
    if (record->replica == 0)
        return false;
    switch (record->kind) {
    case STORE_RECORD_REPLICA:
        return record->slot == 0;
    case STORE_RECORD_PROMISE:
        return record->slot == 0 && !payload && !base_ballot_is_none(record->ballot);
    case STORE_RECORD_ENTRY:
        return record->slot > 0 && !base_ballot_is_none(record->ballot);
    case STORE_RECORD_LEARNED:
        return record->slot > 0;
    case STORE_RECORD_MARK:
        return record->slot > 0 && !payload;
    case STORE_RECORD_DROP:
        return record->slot == 0 && !payload;
    case STORE_RECORD_DAMAGE:
        return !payload;
    }
    return false;
}

void store_record_encode(const struct store_record *record, uint8_t *header)
{
    TORC_ASSERT(record->payload.size <= UINT32_MAX);
    TORC_ASSERT(combination_valid(record, (uint32_t)record->payload.size));
    base_put_le64(header + AT_PAYLOAD_HASH, base_hash(record->payload));
    base_put_le32(header + AT_PAYLOAD_SIZE, (uint32_t)record->payload.size);
    header[AT_KIND] = (uint8_t)record->kind;
    header[AT_TAG] = record->tag;
    base_put_le16(header + AT_ZERO, 0);
    base_put_le32(header + AT_GROUP, record->group);
    base_put_le32(header + AT_BALLOT_NODE, record->ballot.node);
    base_put_le64(header + AT_REPLICA, record->replica);
    base_put_le64(header + AT_SLOT, record->slot);
    base_put_le64(header + AT_BALLOT_ROUND, record->ballot.round);
    base_put_le32(header + AT_BALLOT_INCARNATION, record->ballot.incarnation);
    base_put_le32(header + AT_ORIGIN_NODE, record->origin.node);
    base_put_le64(header + AT_ORIGIN_ROUND, record->origin.round);
    base_put_le32(header + AT_ORIGIN_INCARNATION, record->origin.incarnation);
    base_put_le32(header + AT_ZERO_LAST, 0);
    base_put_le64(header + AT_HASH, header_hash(header));
}

enum torc_status store_record_decode(const uint8_t *header, struct store_record *ret_record,
                                     uint32_t *ret_payload_size, uint64_t *ret_payload_hash)
{
    if (base_get_le64(header + AT_HASH) != header_hash(header))
        return TORC_MALFORMED;
    if (header[AT_KIND] < STORE_RECORD_REPLICA || header[AT_KIND] > STORE_RECORD_DAMAGE ||
        base_get_le16(header + AT_ZERO) != 0 || base_get_le32(header + AT_ZERO_LAST) != 0)
        return TORC_MALFORMED;
    struct store_record record = {
        .kind = (enum store_record_kind)header[AT_KIND],
        .tag = header[AT_TAG],
        .group = base_get_le32(header + AT_GROUP),
        .replica = base_get_le64(header + AT_REPLICA),
        .slot = base_get_le64(header + AT_SLOT),
        .ballot = {.round = base_get_le64(header + AT_BALLOT_ROUND),
                   .node = base_get_le32(header + AT_BALLOT_NODE),
                   .incarnation = base_get_le32(header + AT_BALLOT_INCARNATION)},
        .origin = {.round = base_get_le64(header + AT_ORIGIN_ROUND),
                   .node = base_get_le32(header + AT_ORIGIN_NODE),
                   .incarnation = base_get_le32(header + AT_ORIGIN_INCARNATION)},
        .payload = base_bytes_of(NULL, 0),
    };
    uint32_t payload_size = base_get_le32(header + AT_PAYLOAD_SIZE);
    if (!combination_valid(&record, payload_size))
        return TORC_MALFORMED;
    *ret_record = record;
    *ret_payload_size = payload_size;
    *ret_payload_hash = base_get_le64(header + AT_PAYLOAD_HASH);
    return TORC_OK;
}
