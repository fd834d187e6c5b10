/*
 * torc.h -- libtorc, the client library of torc, a sharded and replicated key-value store.
 *
 * A handle (struct torc) is one client of one cluster. It learns the cluster's map from any node,
 * follows it, and speaks to the leaders of the shards directly; no router is needed.
 *
 *     request    a list of operations on any keys, which take effect together or not at all; built
 *                once, sent any number of times
 *     call       one sending of a request: synchronous (torc_call), or asynchronous (torc_submit)
 *                with a completion function
 *     reply      what came of a call, with one result per operation
 *
 * What a reply promises. Every call that was taken ends in exactly one of three outcomes:
 *
 *     TORC_HAPPENED          it was carried out, once; the results hold versions and values
 *     TORC_DID_NOT_HAPPEN    nothing was changed, and nothing will be changed by this call later
 *     TORC_OUTCOME_UNKNOWN   the deadline passed while it was on its way: it happened, or may
 *                            happen within its time, or never will
 *
 * The library sends a request again, to the same or to another leader, until the call's deadline.
 * All copies of a call carry the same id, so it is carried out at most once whatever happens.
 *
 * Order. Calls that are under way together may take effect in any order, also when they were made
 * by one thread on one key. A call that is made after another was answered sees its effect.
 *
 * Threads. All functions on a handle may be called from any thread at any time, except torc_close.
 * A request, a reply and a scan belong to one thread at a time. The library has one thread of its
 * own per handle, which blocks all signals. A handle is of no use in the child of a fork.
 *
 * Memory. What is handed in is borrowed for the call and copied if it is needed longer. What is
 * handed out is borrowed too and says for how long; only what a function named ..._new, ..._open
 * or ..._copy, or a synchronous call, returns is the caller's, to be given to ..._free or
 * ..._close, which take NULL. All sizes are in bytes, times in milliseconds. When the process has
 * no more memory, the library ends it.
 *
 * Structs with a `struct_size` are filled with zeroes but for what is wanted, zero being the
 * default, and struct_size = sizeof: so later versions can add members behind the last one.
 */
#ifndef TORC_ROUTER_TORC_H
#define TORC_ROUTER_TORC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef TORC_MUST_CHECK /* Whoever does not look at such a status has a bug. */
#if defined(__GNUC__)
#define TORC_MUST_CHECK __attribute__((warn_unused_result))
#else
#define TORC_MUST_CHECK
#endif
#endif

struct torc;         /* A handle: one client of one cluster. */
struct torc_request; /* Operations that take effect together. */
struct torc_reply;   /* What came of a call. */
struct torc_scan;    /* A walk over all keys. */

/* Bytes of a key or a value; any byte may occur. `data` may be NULL when size is 0. */
struct torc_bytes {
    const void *data;
    size_t size;
};

static inline struct torc_bytes torc_bytes(const void *data, size_t size)
{
    struct torc_bytes bytes;
    bytes.data = data;
    bytes.size = size;
    return bytes;
}

/* The bytes of a text, without its NUL; borrowed. */
static inline struct torc_bytes torc_text(const char *text)
{
    return torc_bytes(text, strlen(text));
}

/* ---- Statuses and outcomes ----------------------------------------------------------------------
 */

/* The numbers never change; later versions may add some. Those without a comment are not returned
 * by this library. (The project's own sources have the same list in base/status.h, and in
 * router/libtorc/status.c the proof that it is the same.) */
#ifndef TORC_BASE_STATUS_H
enum torc_status {
    TORC_OK = 0,
    TORC_MALFORMED = 1, /* A node said what this library does not understand, or the reverse. */
    TORC_INVALID = 2,   /* An argument is out of range, or not allowed here. */
    TORC_NO_MEMORY = 3, /* The system refused a thread or a descriptor. */
    TORC_FULL = 4,
    TORC_TOO_LARGE = 5, /* Over a limit of the cluster or of this library. */
    TORC_NOT_FOUND = 6, /* There is no such key; the end of a scan. */
    TORC_EXISTS = 7,
    TORC_NOT_LEADER = 8,
    TORC_STALE = 9,
    TORC_BUSY = 10,    /* As much is under way as the handle was opened for. */
    TORC_TIMEOUT = 11, /* The deadline passed, and nothing was done. */
    TORC_UNKNOWN = 12, /* The deadline passed, and the outcome is unknown. */
    TORC_IO = 13,      /* A system call failed. */
    TORC_LOCKED = 14,
    TORC_FOREIGN = 15,
    TORC_NEWER = 16,
    TORC_DAMAGED = 17,     /* What is stored cannot be trusted. */
    TORC_UNSUPPORTED = 18, /* A request that only reads, keys of several shards. */
    TORC_CONDITION = 19,   /* A condition did not hold. */
    TORC_CLOSED = 20       /* The handle was closed before the call was done. */
};
#endif

enum torc_outcome { TORC_HAPPENED = 1, TORC_DID_NOT_HAPPEN = 2, TORC_OUTCOME_UNKNOWN = 3 };

/* A sentence fragment for a status; never NULL. Static. */
const char *torc_status_text(enum torc_status status);
/* Its name, "TORC_BUSY"; never NULL. Static. */
const char *torc_status_name(enum torc_status status);
/* The version of the library that runs, "1.2.3". Static. */
const char *torc_library_version(void);

/* ---- Handle -------------------------------------------------------------------------------------
 */

enum torc_completion {
    TORC_COMPLETE_ON_THREAD = 0,  /* Completion functions run on the library's thread. */
    TORC_COMPLETE_BY_DISPATCH = 1 /* They run in torc_dispatch, on the caller's thread. */
};

struct torc_options {
    size_t struct_size;
    const char *cluster;      /* The cluster's id: 32 hexadecimal digits, dashes ignored. */
    const char *const *seeds; /* Addresses of some nodes: "tcp://10.0.0.1:7401". */
    size_t seed_count;        /* At least one. */
    enum torc_completion completion;
    uint32_t timeout_ms;      /* Of a call that gives none. 0: 5000; at most 50,000. */
    uint32_t inflight_max;    /* Calls under way. 0: 4096; at most 1,000,000. */
    size_t inflight_size_max; /* Their keys and values together. 0: 256 MiB. */
};

enum { TORC_TEXT_SIZE = 256 };

/*
 * Opens a handle and starts its thread; waits for no node. `text` (TORC_TEXT_SIZE bytes, or NULL)
 * receives what is wrong on any status but TORC_OK.
 * TORC_INVALID: the options; TORC_NO_MEMORY, TORC_IO: the system.
 */
enum torc_status torc_open(const struct torc_options *options, char *text,
                           struct torc **ret_torc) TORC_MUST_CHECK;

/*
 * Ends a handle and frees it. Every call that is under way is completed first, with TORC_CLOSED,
 * and an outcome that is true: a write that was sent is unknown, all else did not happen. In
 * dispatch mode their completion functions run in here. No other thread may be in a function of
 * this handle, or enter one. Not from a completion function (that ends the process). NULL is a
 * no-op.
 */
void torc_close(struct torc *torc);

/* Readable (POLLIN) while torc_dispatch has something to do; the library's, until torc_close.
 * -1: the handle completes on its thread. */
int torc_fd(const struct torc *torc);

/* Runs at most `count_max` completion functions (0: all that are there) and returns how many ran;
 * does not wait. For handles that complete by dispatch. */
size_t torc_dispatch(struct torc *torc, size_t count_max);

struct torc_counters {
    uint64_t calls; /* Taken since the handle was opened. */
    uint64_t happened, did_not_happen, unknown;
    uint64_t refused; /* Calls not taken: busy, too large, invalid. */
    uint64_t copies;  /* Requests sent; more than calls when some were sent again. */
    uint64_t leader_changes;
    uint64_t inflight; /* Calls under way now. */
};

/* What the handle has done so far. Members that the caller's struct does not have are left out. */
void torc_get_counters(struct torc *torc, struct torc_counters *ret_counters, size_t struct_size);

/* ---- Requests -----------------------------------------------------------------------------------
 */

/* An empty request. */
struct torc_request *torc_request_new(void);
void torc_request_free(struct torc_request *request);
/* Makes it empty again, to be filled anew. */
void torc_request_clear(struct torc_request *request);
/* Operations in it so far. */
size_t torc_request_count(const struct torc_request *request);

enum torc_condition {
    TORC_IF_ALWAYS = 0,
    TORC_IF_ABSENT = 1,
    TORC_IF_PRESENT = 2,
    TORC_IF_VERSION = 3, /* The key's version is `version`. */
    TORC_IF_VALUE = 4,   /* The key's value is `value`. */
    /* Of torc_request_expire only; a key without expiry expires infinitely late. */
    TORC_IF_NO_EXPIRY = 5,
    TORC_IF_EXPIRY = 6,
    TORC_IF_LATER = 7, /* The new expiry is later than the present one. */
    TORC_IF_EARLIER = 8,
    TORC_IF_EXPIRY_EARLIER = 9 /* Both EXPIRY and EARLIER. */
};

enum torc_expiry {
    TORC_EXPIRY_NONE = 0,     /* The key loses any expiry. */
    TORC_EXPIRY_KEEP = 1,     /* It keeps what it has. */
    TORC_EXPIRY_RELATIVE = 2, /* expiry_ms after the operation, by the shard's clock. */
    TORC_EXPIRY_ABSOLUTE = 3  /* expiry_ms is Unix time. */
};

enum torc_write_flags {
    /* The result's bytes and expiry are those before the operation, whether or not it was done. Not
     * with TORC_IF_VERSION; of torc_request_expire only with TORC_IF_ALWAYS. */
    TORC_RETURN_OLD = 1
};

/* How put, delete, expire, persist and check are done; NULL: always, without expiry. */
struct torc_write {
    size_t struct_size;
    enum torc_condition condition;
    uint64_t version;        /* Of TORC_IF_VERSION. */
    struct torc_bytes value; /* Of TORC_IF_VALUE. */
    enum torc_expiry expiry; /* Put, expire. */
    int64_t expiry_ms;
    unsigned flags; /* enum torc_write_flags. */
};

/*
 * Each appends an operation; keys and values are copied. What an operation's result holds stands
 * behind it, see struct torc_result.
 *
 * TORC_INVALID: the options do not fit the operation, or the key is empty; TORC_TOO_LARGE: a key
 * over 65,535 bytes, more than 4,096 operations, or more than 32 MiB in all. A request to which
 * something could not be appended stays flawed until it is cleared: a call refuses it with that
 * status, so it is enough to look there.
 */
/* Bytes: the value; expiry. */
enum torc_status torc_request_get(struct torc_request *request, struct torc_bytes key);
/* Number: the value's size; expiry. */
enum torc_status torc_request_stat(struct torc_request *request, struct torc_bytes key);
/* TORC_CONDITION when its condition did not hold. */
enum torc_status torc_request_put(struct torc_request *request, struct torc_bytes key,
                                  struct torc_bytes value, const struct torc_write *write);
/* TORC_NOT_FOUND: there was nothing to delete; TORC_CONDITION. */
enum torc_status torc_request_delete(struct torc_request *request, struct torc_bytes key,
                                     const struct torc_write *write);
/* Adds to a decimal integer (absent: 0). Number: the sum. TORC_INVALID: the value is no integer, or
 * the sum leaves 64 bits. */
enum torc_status torc_request_add(struct torc_request *request, struct torc_bytes key,
                                  int64_t delta);
/* Adds a decimal fraction given as text ("-0.25"), exactly. Bytes: the sum as text. */
enum torc_status torc_request_add_decimal(struct torc_request *request, struct torc_bytes key,
                                          struct torc_bytes fraction);
/* Number: the new size. */
enum torc_status torc_request_append(struct torc_request *request, struct torc_bytes key,
                                     struct torc_bytes value);
/* Writes `value` at `offset`, with zeroes before it where there was nothing. Number: the new size.
 */
enum torc_status torc_request_set_range(struct torc_request *request, struct torc_bytes key,
                                        uint64_t offset, struct torc_bytes value);
/* Bytes first to last of the value, both included; below 0: from the end, -1 the last. */
enum torc_status torc_request_get_range(struct torc_request *request, struct torc_bytes key,
                                        int64_t first, int64_t last);
/* Sets bit `bit` (0: the highest of the first byte). Number: what it was. */
enum torc_status torc_request_set_bit(struct torc_request *request, struct torc_bytes key,
                                      uint64_t bit, unsigned value);

enum torc_range_flags {
    TORC_RANGE_BITS = 1, /* `first` and `last` count bits, not bytes. */
    /* The range ends with the value, behind which there are zeroes; `last` is 0. Of
     * torc_request_bit_position, not with BITS. */
    TORC_RANGE_NO_END = 2
};

/* Number: how many bits are set in bytes first to last. */
enum torc_status torc_request_bit_count(struct torc_request *request, struct torc_bytes key,
                                        int64_t first, int64_t last, unsigned flags);
/* Number: the first bit that is `value` (0 or 1) in bytes first to last, or -1. */
enum torc_status torc_request_bit_position(struct torc_request *request, struct torc_bytes key,
                                           unsigned value, int64_t first, int64_t last,
                                           unsigned flags);
/* Sets the expiry of a key (write->expiry RELATIVE or ABSOLUTE). TORC_NOT_FOUND: there is no such
 * key, or the condition on its expiry did not hold. */
enum torc_status torc_request_expire(struct torc_request *request, struct torc_bytes key,
                                     const struct torc_write *write);
/* Takes the expiry away; `write` may only say RETURN_OLD. TORC_NOT_FOUND: there was none. */
enum torc_status torc_request_persist(struct torc_request *request, struct torc_bytes key,
                                      const struct torc_write *write);
/* A condition on the whole request: all checks are judged before anything is done, and unless all
 * hold nothing is done. Not with TORC_IF_ALWAYS. */
enum torc_status torc_request_check(struct torc_request *request, struct torc_bytes key,
                                    const struct torc_write *write);

/* ---- Calls --------------------------------------------------------------------------------------
 */

enum torc_consistency {
    /* Linearizable, and trusts no clock: the leader asks a majority whether it still leads. */
    TORC_READ_QUORUM = 0,
    /* Linearizable while clocks run at like rates: where the cluster was made with leases its
     * leader answers at once under one, else as QUORUM. */
    TORC_READ_LEASE = 1,
    /* The state that a replica has, if that surely holds all that was acknowledged staleness_ms
     * ago: of the leader, or of others while no leader answers; as QUORUM when none is so fresh.
     * Two such reads in a row may go back in time. */
    TORC_READ_STALE = 2
};

/* NULL in place of it: the defaults. */
struct torc_call_options {
    size_t struct_size;
    uint32_t timeout_ms;               /* Until the deadline, from now. 0: the handle's; at most
                                          50,000. Where the nodes' request_time_max_ms is below its
                                          60 s, a call that was sent ends after 7/8 of that. */
    enum torc_consistency consistency; /* Of requests that only read; others are always exact. */
    uint32_t staleness_ms;             /* Of TORC_READ_STALE, at least 1; else 0. */
};

/* A completion function. `reply` is borrowed for the call. On the library's thread it must not wait
 * for another call, and should be short: it holds up all the others. */
typedef void (*torc_done)(void *context, const struct torc_reply *reply);

/*
 * Sends a request, which is copied. TORC_OK: the call was taken, and `done` (which may be NULL) is
 * called exactly once, on the library's thread or in torc_dispatch. On any other status it is never
 * called, and nothing happens: TORC_BUSY: too much is under way; TORC_INVALID, TORC_TOO_LARGE: the
 * request is empty or flawed, or larger than all that may be under way, or the options are wrong.
 */
enum torc_status torc_submit(struct torc *torc, const struct torc_request *request,
                             const struct torc_call_options *options, torc_done done,
                             void *context) TORC_MUST_CHECK;
/* Sends a request and waits for what comes of it; never NULL, the caller's. In either mode of
 * completion. In a completion function on the library's thread it is refused: TORC_INVALID. */
struct torc_reply *torc_call(struct torc *torc, const struct torc_request *request,
                             const struct torc_call_options *options);

/* Synchronous calls of one operation: as a request of it, and torc_call. */
struct torc_reply *torc_get(struct torc *torc, struct torc_bytes key,
                            const struct torc_call_options *options);
struct torc_reply *torc_put(struct torc *torc, struct torc_bytes key, struct torc_bytes value,
                            const struct torc_write *write,
                            const struct torc_call_options *options);
struct torc_reply *torc_delete(struct torc *torc, struct torc_bytes key,
                               const struct torc_write *write,
                               const struct torc_call_options *options);
struct torc_reply *torc_add(struct torc *torc, struct torc_bytes key, int64_t delta,
                            const struct torc_call_options *options);
struct torc_reply *torc_append(struct torc *torc, struct torc_bytes key, struct torc_bytes value,
                               const struct torc_call_options *options);

/* ---- Replies ------------------------------------------------------------------------------------
 */

enum torc_result_kind {
    TORC_RESULT_NONE = 0,   /* Nothing to tell but the status. */
    TORC_RESULT_NUMBER = 1, /* `number`. */
    TORC_RESULT_BYTES = 2   /* `bytes`. */
};

/* What came of one operation of a request that was carried out. */
struct torc_result {
    enum torc_result_kind kind;
    enum torc_status status; /* TORC_OK; TORC_NOT_FOUND, TORC_CONDITION, TORC_INVALID,
                                TORC_TOO_LARGE: this operation changed nothing. */
    int64_t number;
    uint64_t version;   /* Of the key after the operation. It rises with every write of the key.
                           An absent key has one too: it is not below that of its last deletion,
                           and may rise when another key is deleted or expires. */
    uint64_t expiry_ms; /* Unix time at which the key expires, where it is told; 0: it does not. */
    struct torc_bytes bytes; /* The reply's, as long as it. */
};

/* Frees a reply that is the caller's. */
void torc_reply_free(struct torc_reply *reply);
/* A copy that is the caller's, of a reply that was borrowed. */
struct torc_reply *torc_reply_copy(const struct torc_reply *reply);

/* A request of one operation that changed nothing (its condition did not hold, there was nothing to
 * delete, it was wrong for the value) did not happen. One of several that was carried out happened,
 * whatever each result's status. */
enum torc_outcome torc_reply_outcome(const struct torc_reply *reply);
/*
 * TORC_OK: carried out. With one operation its result's status. Else why it did not happen, or why
 * that is not known: TORC_CONDITION (a check did not hold), TORC_TIMEOUT, TORC_UNKNOWN,
 * TORC_CLOSED, TORC_UNSUPPORTED, TORC_TOO_LARGE, TORC_INVALID, TORC_BUSY, TORC_DAMAGED,
 * TORC_MALFORMED.
 */
enum torc_status torc_reply_status(const struct torc_reply *reply);
/* What the status does not say: what was waited for, which limit. Never NULL. The reply's. */
const char *torc_reply_text(const struct torc_reply *reply);
/* Results: as many as operations, or 0 when it was not carried out. */
size_t torc_reply_count(const struct torc_reply *reply);
/* The result of operation `index`, counted from 0; NULL past the last. The reply's. */
const struct torc_result *torc_reply_result(const struct torc_reply *reply, size_t index);
/* After TORC_CONDITION: the first operation whose condition did not hold, where keys are of several
 * shards that of one of them; else SIZE_MAX. */
size_t torc_reply_failed_check(const struct torc_reply *reply);

/* ---- All keys -----------------------------------------------------------------------------------
 */

struct torc_scan_options {
    size_t struct_size;
    uint64_t start;      /* Where to begin: 0, or what torc_scan_position gave. */
    uint32_t page;       /* Keys fetched of each shard at a time. 0: 1000; at most 100,000. */
    uint32_t timeout_ms; /* Of fetching them. 0: the handle's. */
};

/* Begins a walk over all keys, in no order that means anything. A key that is there all the time is
 * met once; one that comes or goes meanwhile may be met or not. `options` may be NULL. The handle
 * must outlive it. */
struct torc_scan *torc_scan_open(struct torc *torc, const struct torc_scan_options *options);
void torc_scan_close(struct torc_scan *scan);
/*
 * The next key; the scan's, until the next call on it. TORC_NOT_FOUND: that was all. Others, as of
 * a synchronous call, end nothing: the next call tries again where it was.
 */
enum torc_status torc_scan_next(struct torc_scan *scan, struct torc_bytes *ret_key) TORC_MUST_CHECK;
/* A place to go on from later: a scan that starts there gives some of the last keys again, at most
 * a page of each shard, and then all that were not given. */
uint64_t torc_scan_position(const struct torc_scan *scan);

/* Counts all keys, shard after shard; timeout_ms is that of each step. */
enum torc_status torc_count(struct torc *torc, const struct torc_call_options *options,
                            uint64_t *ret_count) TORC_MUST_CHECK;
/* Deletes all keys, bit by bit: not atomic, and keys that are written meanwhile may stay. On any
 * status but TORC_OK some may be gone; calling it again goes on. */
enum torc_status torc_clear(struct torc *torc,
                            const struct torc_call_options *options) TORC_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif /* TORC_ROUTER_TORC_H */
