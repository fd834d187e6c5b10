/*
 * tests/history -- what clients saw of one key: operations with the interval in which each ran and
 * the answer that it got. Recorded by tests and by the simulator, judged by check.h.
 *
 * Pure: times are numbers that the recorder hands in, from one clock that all clients share and
 * that never goes back. One history is one key: a store is linearizable exactly when each key's
 * history is, so keys are recorded and checked apart.
 */
#ifndef TORC_TESTS_HISTORY_HISTORY_H
#define TORC_TESTS_HISTORY_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"

/*
 * Values by number: equal bytes have equal numbers, 0 is "no value". A large value that is only
 * written whole and read whole may stand in for itself as its digest, if recorded so everywhere.
 */
struct history_values {
    const struct base_allocator *allocator;
    struct base_bytes *items; /* By number; the bytes are the table's own. */
    size_t count, capacity;
    uint32_t *slots; /* Open addressing; 0 is a free slot. */
    size_t slot_count;
    size_t bytes;    /* Held by values. */
    size_t size_max; /* What would be larger is refused; HISTORY_VALUE_SIZE_MAX, or set to less. */
};

enum { HISTORY_ABSENT = 0, HISTORY_VALUE_SIZE_MAX = 1 << 20 };

/* `allocator` is borrowed for the table's life. */
void history_values_init(struct history_values *values, const struct base_allocator *allocator);
void history_values_fini(struct history_values *values);
/* The number of these bytes, which are copied when they are new. */
uint32_t history_value(struct history_values *values, struct base_bytes bytes);
/* The bytes of a number other than HISTORY_ABSENT; valid for the table's life. */
struct base_bytes history_value_bytes(const struct history_values *values, uint32_t value);

enum history_kind {
    HISTORY_GET = 1,
    HISTORY_PUT,
    HISTORY_DELETE,
    HISTORY_ADD,
    HISTORY_APPEND,
    HISTORY_SET_RANGE,
};

enum history_condition {
    HISTORY_ALWAYS = 0,
    HISTORY_IF_ABSENT,
    HISTORY_IF_PRESENT,
    HISTORY_IF_VERSION,
    HISTORY_IF_VALUE,
};

enum history_outcome {
    HISTORY_UNKNOWN = 0, /* No answer: took effect at any time after its invocation, or never. */
    HISTORY_OK,
    HISTORY_REFUSED, /* Answered: its condition did not hold, or it did not fit the value. */
    HISTORY_FAILED,  /* Answered with an error that says that it did not and will not happen. */
};

struct history_op {
    uint64_t process;     /* Who; for the reader of a report only. */
    uint64_t invoke_time; /* Not after the moment when it was sent. */
    enum history_kind kind;
    enum history_condition condition; /* PUT. */
    uint32_t value;                   /* PUT, APPEND, SET_RANGE: what to write. */
    uint32_t expected;                /* IF_VALUE. */
    uint64_t expected_version;        /* IF_VERSION. */
    int64_t delta;                    /* ADD. */
    uint64_t offset;                  /* SET_RANGE. */

    /* The answer: */
    enum history_outcome outcome;
    uint64_t return_time;  /* Not before the answer arrived; nothing when UNKNOWN. */
    uint32_t result_value; /* GET: what it found. */
    int64_t result_number; /* DELETE: 1 when it existed, else 0. ADD: the sum. APPEND, SET_RANGE:
                              the new size. */
    uint64_t version;      /* GET: of what it found; a write: its own; 0: not told. */
};

struct history {
    struct history_values values;
    struct history_op *ops; /* In the order of history_begin. */
    size_t count, capacity;
};

/* `allocator` is borrowed for the history's life. */
void history_init(struct history *history, const struct base_allocator *allocator);
void history_fini(struct history *history);

/* Notes that an operation is about to be sent: the fields of *op before "the answer". It counts as
 * UNKNOWN until history_end. Returns its place in ops. */
size_t history_begin(struct history *history, const struct history_op *op);
/* Notes its answer: the fields of *answer after "the answer"; outcome is not UNKNOWN and
 * return_time not before the invocation. At most once per operation. */
void history_end(struct history *history, size_t index, const struct history_op *answer);

#endif /* TORC_TESTS_HISTORY_HISTORY_H */
