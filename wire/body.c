#include "wire/body.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

enum { CHUNK_SIZE_MIN = 16 << 10 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size, used; /* Of memory. */
    alignas(max_align_t) uint8_t memory[];
};

struct wire_arena {
    ProtobufCAllocator protobuf;
    const struct base_allocator *allocator;
    struct arena_chunk *newest;
    size_t size, size_max; /* Of all chunks' memory; size <= size_max. */
    bool overflowed;       /* Something was refused since the last reset. */
};

static void chunk_push(struct wire_arena *arena, size_t size)
{
    TORC_ASSERT(size <= arena->size_max - arena->size);
    struct arena_chunk *chunk = base_alloc(arena->allocator, sizeof(*chunk) + size);
    chunk->older = arena->newest;
    chunk->size = size;
    chunk->used = 0;
    arena->newest = chunk;
    arena->size += size;
}

static void chunks_free(struct wire_arena *arena)
{
    while (arena->newest != NULL) {
        struct arena_chunk *chunk = arena->newest;
        arena->newest = chunk->older;
        base_free(arena->allocator, chunk, sizeof(*chunk) + chunk->size);
    }
    arena->size = 0;
}

/* Empty again. Chunks that grew are merged, so that the next message like it finds one. */
static void arena_reset(struct wire_arena *arena)
{
    if (arena->newest->older != NULL) {
        size_t size = arena->size;
        chunks_free(arena);
        chunk_push(arena, size);
    }
    arena->newest->used = 0;
    arena->overflowed = false;
}

static void *arena_alloc(void *context, size_t size)
{
    struct wire_arena *arena = context;
    if (size > arena->size_max) {
        arena->overflowed = true;
        return NULL;
    }
    size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct arena_chunk *chunk = arena->newest;
    if (size > chunk->size - chunk->used) {
        size_t room = arena->size_max - arena->size;
        size_t wanted = size > arena->size ? size : arena->size; /* Doubles. */
        if (wanted > room)
            wanted = room;
        if (size > wanted) {
            arena->overflowed = true;
            return NULL;
        }
        chunk_push(arena, wanted);
        chunk = arena->newest;
    }
    void *memory = chunk->memory + chunk->used;
    chunk->used += size;
    return memory;
}

static void arena_free(void *context, void *memory)
{
    (void)context; /* All of it goes at the reset. */
    (void)memory;
}

struct wire_arena *wire_arena_new(const struct base_allocator *allocator, size_t size_max)
{
    TORC_ASSERT(size_max >= CHUNK_SIZE_MIN);
    struct wire_arena *arena = base_alloc_zero(allocator, sizeof(*arena));
    arena->protobuf = (ProtobufCAllocator){arena_alloc, arena_free, arena};
    arena->allocator = allocator;
    arena->size_max = size_max;
    chunk_push(arena, CHUNK_SIZE_MIN);
    return arena;
}

void wire_arena_free(struct wire_arena *arena)
{
    if (arena == NULL)
        return;
    chunks_free(arena);
    base_free(arena->allocator, arena, sizeof(*arena));
}

const ProtobufCMessageDescriptor *wire_body_descriptor(enum wire_type type)
{
    switch (type) {
    case WIRE_TYPE_CONSENSUS:
        return &torc__wire__consensus__descriptor;
    case WIRE_TYPE_REQUEST:
        return &torc__wire__request__descriptor;
    case WIRE_TYPE_REPLY:
        return &torc__wire__reply__descriptor;
    case WIRE_TYPE_HELLO:
        return &torc__wire__hello__descriptor;
    case WIRE_TYPE_WELCOME:
        return &torc__wire__welcome__descriptor;
    case WIRE_TYPE_MAP_REQUEST:
        return &torc__wire__map_request__descriptor;
    case WIRE_TYPE_MAP:
        return &torc__wire__map_reply__descriptor;
    case WIRE_TYPE_INIT:
        return &torc__wire__init__descriptor;
    case WIRE_TYPE_PLACE:
        return &torc__wire__place__descriptor;
    case WIRE_TYPE_RESULT:
        return &torc__wire__result__descriptor;
    case WIRE_TYPE_STATUS_REQUEST:
        return &torc__wire__status_request__descriptor;
    case WIRE_TYPE_STATUS:
        return &torc__wire__status_reply__descriptor;
    case WIRE_TYPE_TRANSACTION:
        return &torc__wire__transaction__descriptor;
    }
    TORC_ASSERT(!"a message type without a body");
    return NULL;
}

enum torc_status wire_body_read(struct wire_arena *arena, const struct wire_envelope *envelope,
                                const ProtobufCMessage **ret_body)
{
    const ProtobufCMessageDescriptor *descriptor = wire_body_descriptor(envelope->type);
    arena_reset(arena);
    ProtobufCMessage *body = protobuf_c_message_unpack(descriptor, &arena->protobuf,
                                                       envelope->body.size, envelope->body.data);
    if (body == NULL)
        return arena->overflowed ? TORC_TOO_LARGE : TORC_MALFORMED;
    *ret_body = body;
    return TORC_OK;
}
