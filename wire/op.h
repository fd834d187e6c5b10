/*
 * wire/op -- the one encoding of an operation list and of its answer.
 *
 * A router or libtorc makes a request once; the same bytes stand in the message to the leader, in
 * the log entry and in the followers' copies, and are read in place by the state machine. Packed,
 * versioned, little-endian. Everything here is validated before it is used; nothing is allocated.
 *
 * A request:
 *
 *      0  u8   version (WIRE_OP_VERSION)      8  u64  client, high half
 *      1  u8   flags (WIRE_REQUEST_*)        16  u64  client, low half
 *      2  u16  operations                    24  u64  number
 *      4  u32  size of the whole request     32  u64  last time (base/hlc); STALE: ms of age
 *     40  operations, one after the other
 *
 * An operation:
 *
 *      0  u8   type                           8  u32  value size
 *      1  u8   condition                     12  u64  a: delta, offset, version, token
 *      2  u8   expiry mode                   20  u64  b: expiry in milliseconds, or a count
 *      3  u8   flags (WIRE_OP_*)             28  key bytes, then value bytes, unpadded
 *      4  u16  key size
 *      6  u16  zero
 *
 * An entry of the log is a stamp and requests:
 *
 *      0  u8   version    4  u32  requests    8  u64  clock stamp of the leader    16  requests
 *
 * An answer:
 *
 *      0  u8   version                        4  u32  size of the whole answer
 *      1  u8   status (enum wire_answer_status)
 *      2  u16  results                        8  u64  number of the request
 *     16  u64  clock of the group when it ran 24  u64  detail (by status)
 *     32  results: u8 kind, u8 error, u16 zero, u32 size, u64 number, u64 version, bytes
 */
#ifndef TORC_WIRE_OP_H
#define TORC_WIRE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

enum {
    WIRE_OP_VERSION = 1,
    WIRE_REQUEST_HEADER_SIZE = 40,
    WIRE_OP_HEADER_SIZE =
        28, /* type condition expiry flags, u16 key, u16 0, u32 value, u64 a, u64 b */
    WIRE_ENTRY_HEADER_SIZE = 16,
    WIRE_ANSWER_HEADER_SIZE = 32,
    WIRE_RESULT_HEADER_SIZE = 24,
    WIRE_KEY_HEADER_SIZE = 10, /* Of one key in the answer to a SCAN: u64 token, u16 size. */
    WIRE_LIMITS_SIZE = 12,     /* The value of LIMITS: struct wire_limits, its fields in order. */
    WIRE_OPS_MAX = 4096,       /* Operations in one request. */
};

/*
 * The names of operations, and whether they may change the state. SCAN, COUNT and CLEAR walk many
 * keys and are alone in their request. Those by the leader stand only in internal requests.
 * All CHECKs of a request are judged before any of its operations runs.
 */
#define WIRE_OP_LIST(X)                                                                            \
    X(WIRE_OP_GET, 1, false)      /* value, version, expiry */                                     \
    X(WIRE_OP_STAT, 2, false)     /* exists, size, version, expiry */                              \
    X(WIRE_OP_PUT, 3, true)       /* value; condition; expiry */                                   \
    X(WIRE_OP_DELETE, 4, true)    /* condition; 1 when there was something */                      \
    X(WIRE_OP_ADD, 5, true)       /* a: signed delta to a decimal integer; the new value */        \
    X(WIRE_OP_APPEND, 6, true)    /* value; the new size */                                        \
    X(WIRE_OP_SET_RANGE, 7, true) /* a: offset, value; the new size */                             \
    X(WIRE_OP_EXPIRE, 8, true)    /* expiry mode and b; condition on the expiry; 1 when set */     \
    X(WIRE_OP_PERSIST, 9, true)   /* 1 when there was an expiry */                                 \
    X(WIRE_OP_CHECK, 10, false)   /* condition; when it does not hold, the request does nothing */ \
    X(WIRE_OP_SCAN, 11, false)  /* a: first token, b: keys wanted; no key; keys in token order */  \
    X(WIRE_OP_COUNT, 12, false) /* a: first token, b: keys to look at; no key; how many */         \
    X(WIRE_OP_CLEAR, 13, true)  /* a: first token, b: keys to delete at most; no key */            \
    X(WIRE_OP_GENESIS, 14,                                                                         \
      true)                   /* the group's first entry: value = owned vnodes; by the leader */   \
    X(WIRE_OP_TICK, 15, true) /* moves the group's clock to the stamp; by the leader */            \
    X(WIRE_OP_REMOVE_EXPIRED, 16, true) /* value = keys with versions; by the leader */            \
    X(WIRE_OP_LIMITS, 17, true) /* value = new limits, a = version they replace; by the leader */  \
    X(WIRE_OP_GET_RANGE, 18, false)    /* a: first, b: last byte, signed; below 0: from the end */ \
    X(WIRE_OP_BIT_COUNT, 19, false)    /* a, b: as GET_RANGE; how many bits are set in it */       \
    X(WIRE_OP_BIT_POSITION, 20, false) /* a, b: as GET_RANGE; the first such bit's, or -1 */       \
    X(WIRE_OP_SET_BIT, 21, true)       /* a: bit, from 0, b: 0 or 1; what it was before */         \
    X(WIRE_OP_ADD_DECIMAL, 22, true)   /* value: a decimal fraction as text; the sum as text */    \
    /* About transactions over several groups, by the leader; values: txn/entry.h. */              \
    X(WIRE_OP_TXN_PREPARE, 23, true)                                                               \
    X(WIRE_OP_TXN_END, 24, true)                                                                   \
    X(WIRE_OP_TXN_COMMIT, 25, true)                                                                \
    X(WIRE_OP_TXN_REFUSE, 26, true)                                                                \
    X(WIRE_OP_TXN_FORGET, 27, true)

enum wire_op_type {
#define WIRE_OP_ENUM(name, number, writes) name = number,
    WIRE_OP_LIST(WIRE_OP_ENUM)
#undef WIRE_OP_ENUM
};

enum wire_condition {
    WIRE_IF_ALWAYS = 0,
    WIRE_IF_ABSENT = 1,
    WIRE_IF_PRESENT = 2,
    WIRE_IF_VERSION = 3, /* a: the version that the key must have. */
    WIRE_IF_VALUE = 4,   /* The value must equal the bytes: PUT of a new value carries the old one
                            first, its size in a; DELETE and CHECK carry only the old one. */
    /* Of EXPIRE only: Redis's NX, XX, GT, LT, XX with LT; no expiry is infinitely late. */
    WIRE_IF_NO_EXPIRY = 5,
    WIRE_IF_EXPIRY = 6,
    WIRE_IF_LATER = 7,
    WIRE_IF_EARLIER = 8,
    WIRE_IF_EXPIRY_EARLIER = 9, /* Both at once. */
};

enum wire_expiry_mode {
    WIRE_EXPIRY_NONE = 0,     /* PUT: the key loses any expiry. */
    WIRE_EXPIRY_KEEP = 1,     /* PUT: the key keeps what it has. */
    WIRE_EXPIRY_RELATIVE = 2, /* b milliseconds (signed) after the operation's tick. */
    WIRE_EXPIRY_ABSOLUTE = 3, /* b is Unix time in milliseconds. */
};

enum wire_op_flags {
    WIRE_OP_RETURN_OLD = 1, /* PUT, DELETE, EXPIRE, PERSIST: the result carries the value (and
                               expiry) before, whether or not anything was done. */
    WIRE_OP_BITS = 2,       /* BIT_COUNT, BIT_POSITION: a and b count bits, not bytes. */
    WIRE_OP_ONE = 4,        /* BIT_POSITION: of the first 1; without it of the first 0. */
    WIRE_OP_NO_END = 8,     /* BIT_POSITION: b is 0 and the range ends with the value, behind which
                               there are zeros. Not with BITS. */
};

enum wire_request_flags {
    WIRE_REQUEST_INTERNAL = 1, /* Made by the group's leader itself: client, number and last time
                                  are 0, no record, no answer. Whoever takes requests from the
                                  network refuses it there. */
    /* Of requests that only read; without either of them they are linearizable, by a lease where
     * the group was made with leases, else by a quorum. */
    WIRE_REQUEST_QUORUM = 2, /* By a quorum in any case: no clock is trusted. */
    WIRE_REQUEST_STALE = 4,  /* From the state of any replica that is surely not older than the
                                milliseconds which stand in the place of the last time. */
};

struct wire_client_id { /* Random, from the operating system, one per router or libtorc handle. */
    uint64_t high, low;
};

struct wire_op {
    enum wire_op_type type;
    enum wire_condition condition;
    enum wire_expiry_mode expiry_mode;
    uint8_t flags;
    uint64_t a, b;
    struct base_bytes key, value; /* Borrowed from the encoded request. */
};

struct wire_request {
    struct wire_client_id client;
    uint64_t number;
    uint64_t last_time;
    uint8_t flags;
    uint16_t op_count;
    struct base_bytes ops;     /* The encoded operations. */
    struct base_bytes encoded; /* The whole request. */
};

enum wire_answer_status {
    WIRE_DONE = 1,     /* It ran; results follow, one per operation. */
    WIRE_CHECK_FAILED, /* A CHECK did not hold: nothing was changed; detail: its index. Final. */
    WIRE_TOO_LATE,     /* Past its last time when it came to run: nothing was done by this copy. */
    WIRE_MOVED,        /* A key is not owned here; detail: vnode << 32 | group that owns it or 0. */
    WIRE_NOT_LEADER,   /* detail: node that is believed to lead, or 0. Not proposed. */
    WIRE_BUSY,         /* Over a bound. Not proposed. */
    WIRE_REFUSED,      /* Invalid (limits, malformed): detail: enum torc_status. Not proposed. */
    WIRE_NO_ANSWER,    /* Leadership was lost with the request in flight: retry with the same id. */
    WIRE_TOO_EARLY,    /* Its last time is further ahead of the group's clock than the group keeps
                          records for: the same again later. Not proposed. */
};

enum wire_result_kind {
    WIRE_RESULT_NIL = 1, /* Absent, or a condition that did not hold. */
    WIRE_RESULT_OK,      /* Done, nothing to say. */
    WIRE_RESULT_INTEGER, /* number, signed. */
    WIRE_RESULT_BYTES,   /* bytes; number: expiry in Unix milliseconds, 0 = none. */
    WIRE_RESULT_STAT,    /* number: expiry or 0; bytes: u64 size of the value. */
    WIRE_RESULT_KEYS,    /* SCAN COUNT CLEAR: number: next token, 0 = end of the ring;
                            bytes: SCAN: (u64 token, u16 size, key)*, else u64 count. */
    WIRE_RESULT_ERROR,   /* error: enum wire_error; this operation changed nothing. */
};

enum wire_error {
    WIRE_ERROR_NOT_INTEGER = 1, /* The value is not an integer or out of range. */
    WIRE_ERROR_OVERFLOW,        /* The sum would leave 64 bits. */
    WIRE_ERROR_TOO_LARGE,       /* The value would pass the value size limit. */
    WIRE_ERROR_INVALID_EXPIRY,  /* The time is out of range. */
    WIRE_ERROR_NOT_DECIMAL,     /* The value or increment is no decimal fraction. */
    WIRE_ERROR_INFINITE,        /* The sum has too many digits. */
};

struct wire_result {
    enum wire_result_kind kind;
    enum wire_error error;
    uint64_t number;
    uint64_t version; /* Of the key after the operation; of its vnode's last deletion if absent. */
    struct base_bytes bytes;
};

struct wire_answer {
    enum wire_answer_status status;
    uint16_t result_count;
    uint64_t number;
    uint64_t clock;
    uint64_t detail;
    struct base_bytes results;
    struct base_bytes encoded;
};

/* ---- Limits -------------------------------------------------------------------------------------
 */

struct wire_limits {           /* Replicated with the cluster's map; DESIGN section 5, "Limits". */
    uint32_t key_size_max;     /* 4096 */
    uint32_t value_size_max;   /* 8 MiB */
    uint32_t request_size_max; /* Of a request, and of the values and keys in one answer. */
};

/* ---- Reading ------------------------------------------------------------------------------------
 */

/*
 * Checks one request at the head of `bytes` in full (sizes, every operation, types, conditions that
 * fit their type, limits) and describes it. `bytes` may go on after it.
 * TORC_MALFORMED; TORC_TOO_LARGE (a key, value or the whole over `limits`).
 */
enum torc_status wire_request_read(struct base_bytes bytes, const struct wire_limits *limits,
                                   struct wire_request *ret_request) TORC_MUST_CHECK;
/* The size of the request that lies first in `bytes`, which wire_request_read has let through. */
static inline size_t wire_request_size(struct base_bytes bytes)
{
    return base_get_le32(bytes.data + 4);
}

/* Walks the operations of a request that wire_request_read accepted: *cursor starts at 0; false at
 * the end. Apply trusts what was validated: asserts on anything else. */
bool wire_op_next(const struct wire_request *request, size_t *cursor, struct wire_op *ret_op);

/* Whether any operation may change the state (so that it needs an entry). */
bool wire_request_writes(const struct wire_request *request);
bool wire_op_writes(enum wire_op_type type);

/* The stamp and the requests of an entry; TORC_MALFORMED. */
struct wire_entry {
    uint64_t clock;
    uint32_t request_count;
    struct base_bytes requests; /* Read one after the other with wire_request_read. */
};
enum torc_status wire_entry_read(struct base_bytes bytes,
                                 struct wire_entry *ret_entry) TORC_MUST_CHECK;

/* Checks one answer at the head of `bytes` in full; `bytes` may go on after it. TORC_MALFORMED.
 * Only WIRE_DONE has results. The bytes of KEYS are left to wire_key_next. */
enum torc_status wire_answer_read(struct base_bytes bytes,
                                  struct wire_answer *ret_answer) TORC_MUST_CHECK;
/* Walks the results of an answer that wire_answer_read accepted. */
bool wire_result_next(const struct wire_answer *answer, size_t *cursor,
                      struct wire_result *ret_result);
/* Walks the keys that a SCAN answered, from *cursor 0: TORC_OK; TORC_NOT_FOUND: the end;
 * TORC_MALFORMED. */
enum torc_status wire_key_next(struct base_bytes keys, size_t *cursor, uint64_t *ret_token,
                               struct base_bytes *ret_key) TORC_MUST_CHECK;

/* ---- Writing: into the caller's memory; each *_size says exactly how much -----------------------
 */

size_t wire_op_size(const struct wire_op *op);
/* Starts a request; then its operations one after the other; then wire_request_end sets the count
 * and size. Each returns the bytes used, and TORC_ASSERTs that capacity suffices. */
size_t wire_request_begin(uint8_t *at, size_t capacity, struct wire_client_id client,
                          uint64_t number, uint64_t last_time, uint8_t flags);
/* A key or value that was built in its very place is not copied. */
size_t wire_op_write(uint8_t *at, size_t capacity, const struct wire_op *op);
void wire_request_end(uint8_t *request, size_t size, uint16_t op_count);
/* A retry or a late copy keeps its bytes; only the last time may be set before the first send. */

size_t wire_entry_begin(uint8_t *at, size_t capacity, uint64_t clock, uint32_t request_count);

size_t wire_answer_begin(uint8_t *at, size_t capacity, enum wire_answer_status status,
                         uint64_t number, uint64_t clock, uint64_t detail);
size_t wire_result_size(const struct wire_result *result);
size_t wire_result_write(uint8_t *at, size_t capacity, const struct wire_result *result);
void wire_answer_end(uint8_t *answer, size_t size, uint16_t result_count);
size_t wire_key_write(uint8_t *at, size_t capacity, uint64_t token, struct base_bytes key);

#endif /* TORC_WIRE_OP_H */
