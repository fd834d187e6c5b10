/*
 * What shard/codec decodes from outside: a map, a birth record, the messages of consensus with the
 * payload behind them. The first byte says which; for the last, the second says how much of the
 * rest is payload (in sixteenths). What is accepted keeps its rules and comes back from its
 * encoding.
 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "shard/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_map(struct base_bytes bytes)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct shard_map map, again;
    shard_map_init(&map, allocator);
    shard_map_init(&again, allocator);
    if (shard_codec_map_decode(bytes, &map) == TORC_OK) {
        TORC_ASSERT(shard_map_flaw(&map) == NULL);
        struct base_bytes encoded;
        shard_codec_map_encode(&map, allocator, &encoded);
        TORC_ASSERT(shard_codec_map_decode(encoded, &again) == TORC_OK);
        TORC_ASSERT(again.version == map.version && again.group_count == map.group_count);
        base_free(allocator, (void *)(uintptr_t)encoded.data, encoded.size);
    } else {
        TORC_ASSERT(map.version == 0 && map.nodes == NULL);
    }
    shard_map_fini(&map);
    shard_map_fini(&again);
}

static void fuzz_birth(struct base_bytes bytes)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct shard_birth birth, again;
    if (shard_codec_birth_decode(bytes, allocator, &birth) != TORC_OK)
        return;
    for (uint32_t i = 0; i < birth.vnode_count; i++)
        TORC_ASSERT(birth.vnodes[i] >> birth.vnode_bits == 0);
    struct base_bytes encoded;
    shard_codec_birth_encode(&birth, allocator, &encoded);
    TORC_ASSERT(shard_codec_birth_decode(encoded, allocator, &again) == TORC_OK);
    TORC_ASSERT(again.vnode_count == birth.vnode_count);
    base_free(allocator, (void *)(uintptr_t)encoded.data, encoded.size);
    shard_birth_fini(&birth);
    shard_birth_fini(&again);
}

static void fuzz_consensus(struct base_bytes bytes, struct base_bytes payload)
{
    static struct consensus_entry entries[SHARD_CODEC_ENTRIES_MAX];
    Torc__Wire__Consensus *body = torc__wire__consensus__unpack(NULL, bytes.size, bytes.data);
    if (body == NULL)
        return;
    struct base_pool pool;
    base_pool_init(&pool, base_allocator_system(), 1 << 12);
    struct shard_codec_outbox *outbox = shard_codec_outbox_new(base_allocator_system());
    size_t payload_at = 0, taken = 0; /* Of the payload; by messages that were accepted. */
    for (size_t i = 0; i < body->n_messages; i++) {
        struct consensus_message message;
        if (shard_codec_message_read(body->messages[i], payload, &payload_at, &pool, entries,
                                     &message) != TORC_OK)
            break;
        TORC_ASSERT(payload_at <= payload.size);
        for (uint32_t e = 0; e < message.entry_count; e++) {
            TORC_ASSERT(message.entries[e].slot > (e == 0 ? 0 : message.entries[e - 1].slot));
            TORC_ASSERT((message.entries[e].kind == CONSENSUS_VALUE) ==
                        (message.entries[e].value != NULL));
        }
        taken = payload_at;
        shard_codec_outbox_add(outbox, body->messages[i]->group, &message);
        shard_codec_release(&message);
    }
    TORC_ASSERT(pool.buffer_count == 0);
    TORC_ASSERT(shard_codec_outbox_payload(outbox).size == taken);
    shard_codec_outbox_free(outbox);
    base_pool_fini(&pool);
    torc__wire__consensus__free_unpacked(body, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct base_bytes rest = base_bytes_of(data + 2, size - 2);
    if (data[0] % 3 == 0) {
        fuzz_map(rest);
    } else if (data[0] % 3 == 1) {
        fuzz_birth(rest);
    } else {
        size_t body = rest.size * (data[1] % 16) / 16;
        fuzz_consensus(base_bytes_of(rest.data, body),
                       base_bytes_of(rest.data + body, rest.size - body));
    }
    return 0;
}
