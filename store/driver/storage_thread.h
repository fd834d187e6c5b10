/*
 * store/driver/storage_thread -- the one thread that writes and syncs.
 *
 * The loop submits requests and goes on; what waits is taken together, all writes of it become one
 * append (group commit over all groups), and finished requests are announced on an event
 * descriptor. So a batch grows with the load by itself and no timer adds latency. Between appends
 * the thread makes spare segments piece by piece, and after 10 ms without a write it brings the
 * superblock's position up to date.
 *
 * Ownership: a request and all it points to belong to the thread from submit until the request has
 * been taken back; the submitter keeps entry buffers referenced for that time. The log, its device
 * and its superblock belong to the thread from start until stop. All functions below are called by
 * one thread, the loop's.
 */
#ifndef TORC_STORE_DRIVER_STORAGE_THREAD_H
#define TORC_STORE_DRIVER_STORAGE_THREAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "store/log.h"

enum { STORE_THREAD_IDLE_MS = 10 };

struct store_thread;

enum store_request_kind {
    STORE_REQUEST_WRITE = 1,
    STORE_REQUEST_READ,
    STORE_REQUEST_TRIM,
    STORE_REQUEST_SUPERBLOCK,
    STORE_REQUEST_STATS,
};

struct store_request {
    enum store_request_kind kind;
    union {
        /* One or more records, written in order, in one batch if they fit. */
        struct {
            const struct store_record *records;
            size_t count;
        } write;
        /* The newest records of the slots from `slot` to `slot_last`, as far as they are there one
         * after the other and fit, at most records_max: one request, since each may wait for a
         * sync. Payloads lie in `buffer`. TORC_OK: `count` is at least 1; else why the first could
         * not be read. */
        struct {
            uint32_t group;
            uint64_t slot, slot_last;
            void *buffer;
            size_t buffer_size;
            struct store_record *records;
            size_t records_max;
            size_t count; /* Result. */
        } read;
        struct {
            uint32_t group;
            uint64_t slot;
        } trim;
        /* Raises each to at least this; 0 leaves it. Durable in both copies when done. */
        struct {
            uint64_t lease_max_ms;
            uint32_t feature_level;
        } superblock;
        struct store_log_stats stats;
    } u;
    void *context;              /* The submitter's. */
    enum torc_status status;    /* Result: as the log's function lists them. */
    uint64_t batch;             /* Result: the last durable batch of the log. */
    uint64_t took_us;           /* Result of a write: how long the append it was part of took. */
    struct store_request *next; /* The thread's, then the chain that take returns. */
};

/* Starts the thread. At most `requests_max` requests are in its hands. TORC_IO: no thread or no
 * descriptor could be had, errno says why. */
enum torc_status store_thread_start(struct store_log *log, const struct store_device *device,
                                    struct store_superblock *superblock, size_t requests_max,
                                    struct store_thread **ret_thread);

/* TORC_FULL: requests_max are in the thread's hands; take some back first. TORC_TOO_LARGE: a
 * record's payload is over the log's limit. */
enum torc_status store_thread_submit(struct store_thread *thread, struct store_request *request);

/* Readable when take would return something; to be polled, never read. */
int store_thread_fd(const struct store_thread *thread);

/* The finished requests, in the order in which they finished, chained by next; NULL: none. */
struct store_request *store_thread_take(struct store_thread *thread);

/* Finishes what was submitted, brings the position up to date, ends the thread, and returns the
 * requests not yet taken. The log is the caller's again. */
struct store_request *store_thread_stop(struct store_thread *thread);

#endif /* TORC_STORE_DRIVER_STORAGE_THREAD_H */
