/* Bodies: the first byte draws the type, the rest is the body. Unpacking stays within the arena's
 * bound; what is unpacked packs to bytes that unpack and pack to themselves. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/lib/counting.h"
#include "wire/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_SIZE_MAX = 64 << 10, ARENA_OVERHEAD_MAX = 2 << 10 };

static const enum wire_type types[] = {
#define WIRE_TYPE_VALUE(name, number) name,
    WIRE_TYPE_LIST(WIRE_TYPE_VALUE)
#undef WIRE_TYPE_VALUE
};

/* Unpacks and packs again: *ret_packed is malloc'ed. False: refused. */
static bool repack(struct wire_arena *arena, enum wire_type type, struct base_bytes packed,
                   uint8_t **ret_packed, size_t *ret_size)
{
    struct wire_envelope envelope = {.type = type, .body = packed};
    const ProtobufCMessage *body;
    enum torc_status status = wire_body_read(arena, &envelope, &body);
    TORC_ASSERT(status == TORC_OK || status == TORC_MALFORMED || status == TORC_TOO_LARGE);
    if (status != TORC_OK)
        return false;
    size_t size = protobuf_c_message_get_packed_size(body);
    uint8_t *bytes = malloc(size + 1);
    TORC_ASSERT(bytes != NULL);
    TORC_ASSERT(protobuf_c_message_pack(body, bytes) == size);
    *ret_packed = bytes;
    *ret_size = size;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum wire_type type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    struct counting counting;
    struct wire_arena *arena = wire_arena_new(counting_init(&counting), ARENA_SIZE_MAX);
    uint8_t *once, *twice;
    size_t once_size, twice_size;
    if (repack(arena, type, base_bytes_of(data + 1, size - 1), &once, &once_size)) {
        /* The second may need a little more room: texts and merged parts are laid out anew. */
        if (repack(arena, type, base_bytes_of(once, once_size), &twice, &twice_size)) {
            TORC_ASSERT(twice_size == once_size);
            TORC_ASSERT(memcmp(twice, once, once_size) == 0);
            free(twice);
        }
        free(once);
    }
    TORC_ASSERT(counting.bytes_peak <= ARENA_SIZE_MAX + ARENA_OVERHEAD_MAX);
    wire_arena_free(arena);
    counting_fini(&counting);
    return 0;
}
