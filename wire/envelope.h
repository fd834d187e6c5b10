/*
 * wire/envelope -- the fixed head of every message between processes: who sent it, in which life,
 * which message it is, and a checksum over all of it.
 *
 *      0  u32  magic "TRC1"            48  u32  sender's node (0: no node: a router or a tool)
 *      4  u8   version                 52  u32  sender's incarnation
 *      5  u8   type                    56  u32  the incarnation of the receiver it is meant for; 0
 * any 6  u16  zero                    60  u32  receiver's node; 0: whoever 8  u32  body size
 * (protobuf)    64  u64  number, rising per sender's incarnation and receiver 12  u32  payload size
 * (raw)      72  u64  sender's durable log batch 16  16B  cluster                 80  u64  sender's
 * wall clock, Unix milliseconds 32  16B  sender's storage id     88  u64  XXH3-64 of bytes 0..87
 * and of body and payload 96  body, payload
 *
 * The body is one protobuf message of wire/torc.proto, chosen by the type. The payload is raw bytes
 * that the body refers to (entries, operation lists), so that they are never copied by protobuf.
 */
#ifndef TORC_WIRE_ENVELOPE_H
#define TORC_WIRE_ENVELOPE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

enum { WIRE_ENVELOPE_SIZE = 96, WIRE_ENVELOPE_VERSION = 1, WIRE_ID_SIZE = 16 };

/* The message types; names of the protobuf bodies are in wire/torc.proto. */
#define WIRE_TYPE_LIST(X)                                                                          \
    X(WIRE_TYPE_CONSENSUS, 1)   /* node -> node: messages of many groups */                        \
    X(WIRE_TYPE_REQUEST, 2)     /* router -> node: requests for one group; payload: requests */    \
    X(WIRE_TYPE_REPLY, 3)       /* node -> router: payload: answers */                             \
    X(WIRE_TYPE_HELLO, 4)       /* router or node -> node: opens, asks for clock and map */        \
    X(WIRE_TYPE_WELCOME, 5)     /* its answer: clock, limits, credit, map version */               \
    X(WIRE_TYPE_MAP_REQUEST, 6) /* anybody -> node */                                              \
    X(WIRE_TYPE_MAP, 7)         /* the cluster map; also pushed when it changes */                 \
    X(WIRE_TYPE_INIT, 8)        /* admin -> node: the first map */                                 \
    X(WIRE_TYPE_PLACE, 9)       /* node or admin -> leader of group 0: change the map */           \
    X(WIRE_TYPE_RESULT, 10)     /* the answer to INIT and PLACE */                                 \
    X(WIRE_TYPE_STATUS_REQUEST, 11) /* anybody -> node */                                          \
    X(WIRE_TYPE_STATUS, 12)         /* its answer */                                               \
    X(WIRE_TYPE_TRANSACTION, 13)    /* leader of a group -> leader of another */

enum wire_type {
#define WIRE_TYPE_ENUM(name, number) name = number,
    WIRE_TYPE_LIST(WIRE_TYPE_ENUM)
#undef WIRE_TYPE_ENUM
};

struct wire_id { /* A random 128-bit id: of a cluster, of a storage directory. All zero: none. */
    uint8_t bytes[WIRE_ID_SIZE];
};

struct wire_envelope {
    enum wire_type type;
    struct wire_id cluster, storage;
    uint32_t node, incarnation;
    uint32_t to_node, to_incarnation;
    uint64_t number;
    uint64_t durable_batch;
    uint64_t wall_ms;
    struct base_bytes body, payload; /* Read: borrowed from the message. */
};

/* Bytes of the whole message. */
size_t wire_envelope_size(const struct wire_envelope *envelope);
/* Writes head, body and payload into exactly wire_envelope_size bytes. If body.data or payload.data
 * already point into place, they are not copied. */
void wire_envelope_write(const struct wire_envelope *envelope, uint8_t *at);
/*
 * TORC_MALFORMED (short, magic, sizes, checksum, unknown type); TORC_NEWER (a version above ours).
 */
enum torc_status wire_envelope_read(struct base_bytes message,
                                    struct wire_envelope *ret_envelope) TORC_MUST_CHECK;

const char *wire_type_name(enum wire_type type); /* "consensus"; never NULL. */

#endif /* TORC_WIRE_ENVELOPE_H */
