/* The handle without a cluster: nobody listens at the seed. A plain program, since it has threads
 * that the sanitizers should see. */
#include "router/torc.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0                                                                         \
                 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), exit(1)))

enum { THREADS = 8, CALLS = 50, INFLIGHT = 4 };

static const char cluster[] = "00112233-4455-6677-8899-AABBCCDDEEFF";
static const char *const seeds[] = {"tcp://127.0.0.1:1"};

static struct torc_options options_good(void)
{
    struct torc_options options = {.struct_size = sizeof(options),
                                   .cluster = cluster,
                                   .seeds = seeds,
                                   .seed_count = 1,
                                   .timeout_ms = 50,
                                   .inflight_max = INFLIGHT};
    return options;
}

static struct torc *open_good(enum torc_completion completion)
{
    struct torc_options options = options_good();
    struct torc *torc;
    options.completion = completion;
    CHECK(torc_open(&options, NULL, &torc) == TORC_OK);
    return torc;
}

static struct torc_request *request_good(void)
{
    struct torc_request *request = torc_request_new();
    CHECK(torc_request_add(request, torc_text("key"), 1) == TORC_OK);
    return request;
}

/* Options that are wrong are refused with a text that names them. */
static void options_are_checked(void)
{
    static const char *const bad_seeds[] = {"127.0.0.1:1"};
    struct torc_options all[9];
    static const char *const names[] = {"struct_size", "cluster",    "cluster",
                                        "cluster",     "seeds",      "seeds",
                                        "completion",  "timeout_ms", "inflight_max"};
    for (size_t i = 0; i < 9; i++)
        all[i] = options_good();
    all[0].struct_size = 0;
    all[1].cluster = NULL;
    all[2].cluster = "0011";
    all[3].cluster = "00112233445566778899aabbccddeeffaa";
    all[4].seed_count = 0;
    all[5].seeds = bad_seeds;
    all[6].completion = (enum torc_completion)2;
    all[7].timeout_ms = 50001;
    all[8].inflight_max = 1000001;
    for (size_t i = 0; i < 9; i++) {
        char text[TORC_TEXT_SIZE];
        struct torc *torc;
        CHECK(torc_open(&all[i], text, &torc) == TORC_INVALID);
        CHECK(strncmp(text, names[i], strlen(names[i])) == 0);
    }
    torc_close(NULL);
}

/* Synchronous calls end at their deadline, and what is wrong is refused at once. */
static void calls_end(void)
{
    struct torc *torc = open_good(TORC_COMPLETE_ON_THREAD);
    struct torc_request *empty = torc_request_new();
    struct torc_call_options long_call = {.struct_size = sizeof(long_call), .timeout_ms = 50001};
    struct torc_call_options stale[] = {
        {.struct_size = sizeof(stale[0]), .consistency = TORC_READ_STALE, .staleness_ms = 5},
        {.struct_size = sizeof(stale[0]), .consistency = TORC_READ_LEASE},
        {.struct_size = sizeof(stale[0]), .consistency = TORC_READ_STALE},
        {.struct_size = sizeof(stale[0]), .staleness_ms = 5},
        {.struct_size = sizeof(stale[0]), .consistency = (enum torc_consistency)3},
    };
    struct torc_reply *replies[] = {
        torc_get(torc, torc_text("key"), &stale[0]),
        torc_get(torc, torc_text("key"), &stale[1]),
        torc_get(torc, torc_text("key"), NULL),
        torc_put(torc, torc_text("key"), torc_text("value"), NULL, NULL),
        torc_delete(torc, torc_text("key"), NULL, NULL),
        torc_add(torc, torc_text("key"), 1, NULL),
        torc_append(torc, torc_text("key"), torc_text("value"), NULL),
        torc_call(torc, empty, NULL),
        torc_get(torc, torc_text("key"), &long_call),
        torc_get(torc, torc_text(""), NULL),
        torc_get(torc, torc_text("key"), &stale[2]),
        torc_get(torc, torc_text("key"), &stale[3]),
        torc_get(torc, torc_text("key"), &stale[4]),
    };
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        CHECK(torc_reply_outcome(replies[i]) == TORC_DID_NOT_HAPPEN);
        CHECK(torc_reply_status(replies[i]) == (i < 7 ? TORC_TIMEOUT : TORC_INVALID));
        torc_reply_free(replies[i]);
    }
    uint64_t count;
    struct torc_counters counters = {0};
    CHECK(torc_count(torc, NULL, &count) == TORC_TIMEOUT);
    CHECK(torc_clear(torc, NULL) == TORC_TIMEOUT);
    CHECK(torc_count(torc, &long_call, &count) == TORC_INVALID);
    CHECK(torc_fd(torc) == -1 && torc_dispatch(torc, 0) == 0);
    torc_get_counters(torc, &counters, sizeof(counters));
    CHECK(counters.calls == 9 && counters.did_not_happen == 9 && counters.refused == 6);
    CHECK(counters.inflight == 0);
    torc_request_free(empty);
    torc_close(torc);
}

/* A scan that cannot go on says so each time, and can be closed. */
static void scans_end(void)
{
    struct torc *torc = open_good(TORC_COMPLETE_BY_DISPATCH);
    struct torc_bytes key;
    struct torc_scan_options options = {.struct_size = sizeof(options), .start = 77};
    struct torc_scan *scan = torc_scan_open(torc, &options);
    CHECK(torc_scan_next(scan, &key) == TORC_TIMEOUT);
    CHECK(torc_scan_next(scan, &key) == TORC_TIMEOUT);
    CHECK(torc_scan_position(scan) == 76);
    torc_scan_close(scan);
    options.timeout_ms = 50001;
    scan = torc_scan_open(torc, &options);
    CHECK(torc_scan_next(scan, &key) == TORC_INVALID);
    torc_scan_close(scan);
    torc_scan_close(NULL);
    torc_close(torc);
}

struct told { /* What completion functions have been told. */
    struct torc *torc;
    unsigned count, closed;
    pthread_t thread;
    enum torc_status inner;
    bool ask;
};

static void on_done(void *context, const struct torc_reply *reply)
{
    struct told *told = context;
    told->count++;
    told->closed += torc_reply_status(reply) == TORC_CLOSED;
    told->thread = pthread_self();
    if (!told->ask)
        return;
    struct torc_reply *inner = torc_get(told->torc, torc_text("key"), NULL);
    told->inner = torc_reply_status(inner);
    torc_reply_free(inner);
}

/* Too many at once are refused; the others are told by dispatch, on this thread. */
static void dispatch_tells(void)
{
    struct torc *torc = open_good(TORC_COMPLETE_BY_DISPATCH);
    struct torc_request *request = request_good();
    struct told told = {.torc = torc, .ask = true};
    struct pollfd readable = {.fd = torc_fd(torc), .events = POLLIN};
    for (int i = 0; i < INFLIGHT; i++)
        CHECK(torc_submit(torc, request, NULL, on_done, &told) == TORC_OK);
    CHECK(torc_submit(torc, request, NULL, on_done, &told) == TORC_BUSY);
    CHECK(poll(&readable, 1, 10000) == 1);
    CHECK(torc_dispatch(torc, 1) == 1 && told.count == 1);
    CHECK(told.inner == TORC_TIMEOUT); /* A synchronous call is allowed here. */
    while (told.count < INFLIGHT) {
        CHECK(poll(&readable, 1, 10000) == 1);
        torc_dispatch(torc, 0);
    }
    CHECK(pthread_equal(told.thread, pthread_self()) != 0);
    CHECK(poll(&readable, 1, 0) == 0);
    torc_request_free(request);
    torc_close(torc);
}

/* On the library's thread a synchronous call would wait for itself. */
static void waiting_on_the_thread_is_refused(void)
{
    struct torc *torc = open_good(TORC_COMPLETE_ON_THREAD);
    struct torc_request *request = request_good();
    struct told told = {.torc = torc, .ask = true};
    CHECK(torc_submit(torc, request, NULL, on_done, &told) == TORC_OK);
    CHECK(torc_submit(torc, request, NULL, NULL, NULL) == TORC_OK);
    torc_request_free(request);
    torc_close(torc);
    CHECK(told.count == 1 && told.inner == TORC_INVALID);
    CHECK(pthread_equal(told.thread, pthread_self()) == 0);
}

/* Closing tells all that is owed, in either mode. */
static void closing_tells_all(enum torc_completion completion)
{
    struct torc *torc = open_good(completion);
    struct torc_request *request = request_good();
    struct torc_call_options slow = {.struct_size = sizeof(slow), .timeout_ms = 50000};
    struct told told = {.torc = torc};
    for (int i = 0; i < INFLIGHT; i++)
        CHECK(torc_submit(torc, request, &slow, on_done, &told) == TORC_OK);
    torc_request_free(request);
    torc_close(torc);
    CHECK(told.count == INFLIGHT && told.closed == INFLIGHT);
}

static void *caller(void *context)
{
    struct torc *torc = context;
    for (int i = 0; i < CALLS; i++) {
        struct torc_call_options quick = {.struct_size = sizeof(quick), .timeout_ms = 2};
        struct torc_reply *reply = torc_get(torc, torc_text("key"), &quick);
        enum torc_status status = torc_reply_status(reply);
        CHECK(status == TORC_TIMEOUT || status == TORC_BUSY);
        torc_reply_free(reply);
    }
    return NULL;
}

/* Many threads on one handle: each call ends, and the counters add up. */
static void threads_share(void)
{
    struct torc *torc = open_good(TORC_COMPLETE_ON_THREAD);
    pthread_t threads[THREADS];
    struct torc_counters counters;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, caller, torc) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    torc_get_counters(torc, &counters, sizeof(counters));
    CHECK(counters.calls + counters.refused == THREADS * CALLS);
    CHECK(counters.did_not_happen == counters.calls && counters.inflight == 0);
    torc_close(torc);
}

int main(void)
{
    CHECK(torc_library_version()[0] != '\0');
    options_are_checked();
    calls_end();
    scans_end();
    dispatch_tells();
    waiting_on_the_thread_is_refused();
    closing_tells_all(TORC_COMPLETE_ON_THREAD);
    closing_tells_all(TORC_COMPLETE_BY_DISPATCH);
    threads_share();
    return 0;
}
