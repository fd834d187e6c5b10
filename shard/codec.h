/*
 * shard/codec -- between the cores' structs and the bodies of messages: the only place that knows
 * both. Encoding packs into memory of the caller's; decoding validates everything that comes from
 * outside, and what it returns stands in an arena or in the message itself.
 */
#ifndef TORC_SHARD_CODEC_H
#define TORC_SHARD_CODEC_H

#include <stdint.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/status.h"
#include "paxos/consensus.h"
#include "shard/map.h"
#include "shard/txns.h"
#include "wire/torc.pb-c.h"

/* ---- The map
 * ------------------------------------------------------------------------------------- */

/* Bytes of the encoded map, from the allocator: free with base_free and ret_bytes->size. */
void shard_codec_map_encode(const struct shard_map *map, const struct base_allocator *allocator,
                            struct base_bytes *ret_bytes);
/* Replaces `map`. TORC_MALFORMED: it does not decode or breaks a rule (shard_map_flaw); `map` is
 * then as before. */
enum torc_status shard_codec_map_decode(struct base_bytes bytes,
                                        struct shard_map *map) TORC_MUST_CHECK;
/* The same from an unpacked message. */
enum torc_status shard_codec_map_read(const Torc__Wire__Map *message,
                                      struct shard_map *map) TORC_MUST_CHECK;

/* ---- What a replica is born with
 * ------------------------------------------------------------------ */

struct shard_birth {
    struct shard_map_group group;
    uint32_t vnode_bits;
    uint32_t vnode_count;
    uint32_t *vnodes; /* Owned; free with shard_birth_fini. */
    struct wire_limits limits;
    uint64_t first_entry_hash; /* Placement group: of the entry that init brought; else 0. */
    uint32_t lease_ms;         /* What its leader may count on, for ever; 0: no leases. */
    const struct base_allocator *allocator;
};

/* From the map: the group must be in it. */
void shard_birth_of(const struct shard_map *map, uint32_t group,
                    const struct base_allocator *allocator, struct shard_birth *ret_birth);
void shard_birth_fini(struct shard_birth *birth);
void shard_codec_birth_encode(const struct shard_birth *birth,
                              const struct base_allocator *allocator, struct base_bytes *ret_bytes);
/* TORC_MALFORMED. */
enum torc_status shard_codec_birth_decode(struct base_bytes bytes,
                                          const struct base_allocator *allocator,
                                          struct shard_birth *ret_birth) TORC_MUST_CHECK;

/* ---- Transactions
 * -------------------------------------------------------------------------------- */

/* A body that points into itself: not to be copied. The payload is message->payload. */
struct shard_codec_transaction {
    Torc__Wire__Transaction body;
    Torc__Wire__Ballot ballot, mark;
};
void shard_codec_transaction_init(struct shard_codec_transaction *transaction,
                                  const struct shard_txn_message *message);
/* TORC_MALFORMED: no such type, or an attempt that is none. The payload is borrowed. */
enum torc_status
shard_codec_transaction_read(const Torc__Wire__Transaction *body, struct base_bytes payload,
                             struct shard_txn_message *ret_message) TORC_MUST_CHECK;

/* ---- Consensus messages
 * --------------------------------------------------------------------------- */

/* Collects messages of many groups to one peer: a body and the payload behind it. */
struct shard_codec_outbox; /* Opaque. */
struct shard_codec_outbox *shard_codec_outbox_new(const struct base_allocator *allocator);
void shard_codec_outbox_free(struct shard_codec_outbox *outbox);
/* Encodes the message now: nothing of it is kept. */
void shard_codec_outbox_add(struct shard_codec_outbox *outbox, uint32_t group,
                            const struct consensus_message *message);
/* Body and payload collected since the last clear, borrowed until the next add or clear. */
struct base_bytes shard_codec_outbox_body(const struct shard_codec_outbox *outbox);
struct base_bytes shard_codec_outbox_payload(const struct shard_codec_outbox *outbox);
void shard_codec_outbox_clear(struct shard_codec_outbox *outbox); /* Keeps the memory. */

enum { SHARD_CODEC_ENTRIES_MAX = 1 << 15 }; /* In one message of one group. */

/*
 * Decodes one message of a body; values are copied from the payload into buffers of the pool, each
 * entry holding one reference that the caller gives back with shard_codec_release.
 * *payload_at moves past the message's values (start at 0 and keep it over the body's messages).
 * TORC_MALFORMED; TORC_FULL: the pool has no room: the message is to be dropped.
 */
enum torc_status shard_codec_message_read(const Torc__Wire__GroupMessage *body,
                                          struct base_bytes payload, size_t *payload_at,
                                          struct base_pool *pool, struct consensus_entry *entries,
                                          struct consensus_message *ret_message) TORC_MUST_CHECK;
void shard_codec_release(const struct consensus_message *message);

#endif /* TORC_SHARD_CODEC_H */
