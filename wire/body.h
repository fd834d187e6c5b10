/*
 * wire/body -- the protobuf bodies of messages, unpacked into memory that is used again and
 * bounded.
 *
 * protobuf-c asks for memory per field. Here it gets it from an arena that the next message takes
 * over, so a steady load allocates nothing; and since a few bytes on the wire can ask for a hundred
 * times as many in memory (an empty submessage takes two), the arena has a bound of its own.
 */
#ifndef TORC_WIRE_BODY_H
#define TORC_WIRE_BODY_H

#include <protobuf-c/protobuf-c.h>

#include "base/alloc.h"
#include "wire/envelope.h"
#include "wire/torc.pb-c.h" /* The messages: Torc__Wire__Consensus and so on. */

struct wire_arena;

/* Holds at most `size_max` bytes. */
struct wire_arena *wire_arena_new(const struct base_allocator *allocator, size_t size_max);
void wire_arena_free(struct wire_arena *arena); /* NULL is a no-op. */

/* The message of wire/torc.proto that stands in the body of this type. */
const ProtobufCMessageDescriptor *wire_body_descriptor(enum wire_type type);

/*
 * Unpacks the body of a message by its type: the caller casts to the struct of the descriptor.
 * *ret_body lives until the next call with this arena and is not freed. Bytes and texts in it are
 * copies. What the fields say is not checked.
 * TORC_MALFORMED; TORC_TOO_LARGE: it needs more than the arena may hold.
 */
enum torc_status wire_body_read(struct wire_arena *arena, const struct wire_envelope *envelope,
                                const ProtobufCMessage **ret_body) TORC_MUST_CHECK;

#endif /* TORC_WIRE_BODY_H */
