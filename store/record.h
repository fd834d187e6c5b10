/*
 * store/record -- what one record of the log says, and its header of fixed size.
 *
 * The log orders records, keeps them and gives them back; what they mean together (the promise in
 * force, which slots are chosen) is the business of the group that wrote them.
 */
#ifndef TORC_STORE_RECORD_H
#define TORC_STORE_RECORD_H

#include <stdint.h>

#include "base/ballot.h"
#include "base/bytes.h"
#include "base/status.h"

enum { STORE_RECORD_HEADER_SIZE = 80 };

enum store_record_kind {
    STORE_RECORD_REPLICA = 1, /* This replica id of this group lives here. Any payload. */
    STORE_RECORD_PROMISE = 2, /* `ballot` is promised. No payload. */
    STORE_RECORD_ENTRY = 3,   /* `payload` is accepted in `slot` at `ballot`. */
    STORE_RECORD_LEARNED = 4, /* `payload` was learned as chosen in `slot`. */
    STORE_RECORD_MARK = 5,    /* Every slot up to `slot` is known chosen. No payload. */
    STORE_RECORD_DROP = 6, /* The replica is gone: its earlier records count no more. No payload. */
    STORE_RECORD_DAMAGE = 7, /* Written by the log itself: the record of `slot` (0: the REPLICA one)
                                stood here and its payload is rotten. Never appended by a caller. */
};

struct store_record {
    enum store_record_kind kind;
    uint8_t tag; /* Opaque to the log: what the consensus core says the entry is. */
    uint32_t group;
    uint64_t replica; /* Never 0. A group has at most one live replica id on a node. */
    uint64_t slot;    /* From 1; 0 where the kind has none. */
    struct base_ballot ballot;
    struct base_ballot origin; /* Ballot under which the entry was first proposed. */
    struct base_bytes payload;
};

/* Bytes that the record takes in a batch. */
static inline uint64_t store_record_size(const struct store_record *record)
{
    return (uint64_t)STORE_RECORD_HEADER_SIZE + record->payload.size;
}

/* Fills STORE_RECORD_HEADER_SIZE bytes; the payload follows it in the batch. */
void store_record_encode(const struct store_record *record, uint8_t *header);

/*
 * Reads a header: all but the payload, whose size and checksum are returned instead.
 * TORC_MALFORMED: checksum, kind, or a combination that is never written.
 */
enum torc_status store_record_decode(const uint8_t *header, struct store_record *ret_record,
                                     uint32_t *ret_payload_size, uint64_t *ret_payload_hash);

#endif /* TORC_STORE_RECORD_H */
