/*
 * libtorc while leaders are killed and stopped: what it says of every call is true. Eight threads
 * on one handle, each with its own kind of calls:
 *
 *   counters   one addition each; at the end the value lies between those that happened and those
 *              that may have; every other one has less time than a new leader needs
 *   transfers  one shard's transaction each: the sum of the accounts never changes
 *   appends    asynchronous, one byte each: exactly once, so the size is as for counters
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/seeds.h"

enum {
    THREADS = 8,
    COUNTERS = 4,
    ACCOUNTS = 4,
    KILLS = 4,
    BETWEEN_CALLS = 400,
    WAIT_MS = 30000,
    TIMEOUT_MS = 1500,
    IMPATIENT_MS = 60,
    WINDOW = 16,
    STALENESS_MS = 60000,
    STALE_TIMEOUT_MS = 10000,
};

struct tally { /* Of one key; changed by its threads only through tally_add. */
    uint64_t happened, unknown, did_not_happen;
};

struct test {
    struct cluster cluster;
    struct torc *torc;
    struct torc *polled; /* Another handle, for the appends. */
    bool ended;
    char killed[CLUSTER_ID_SIZE]; /* Last. */
    struct tally counters[COUNTERS], transfers, appends;
};

struct worker {
    struct test *test;
    unsigned index;
    int underway; /* Appends. */
};

static uint64_t happened(const struct test *test)
{
    uint64_t sum = __atomic_load_n(&test->transfers.happened, __ATOMIC_RELAXED) +
                   __atomic_load_n(&test->appends.happened, __ATOMIC_RELAXED);
    for (size_t i = 0; i < COUNTERS; i++)
        sum += __atomic_load_n(&test->counters[i].happened, __ATOMIC_RELAXED);
    return sum;
}

static void tally_add(struct tally *tally, const struct torc_reply *reply)
{
    enum torc_outcome outcome = torc_reply_outcome(reply);
    uint64_t *count = outcome == TORC_HAPPENED          ? &tally->happened
                      : outcome == TORC_OUTCOME_UNKNOWN ? &tally->unknown
                                                        : &tally->did_not_happen;
    __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    if (outcome == TORC_DID_NOT_HAPPEN)
        CLUSTER_CHECK(torc_reply_status(reply) == TORC_TIMEOUT ||
                      torc_reply_status(reply) == TORC_CONDITION);
}

static bool is_ended(const struct test *test)
{
    return __atomic_load_n(&test->ended, __ATOMIC_RELAXED);
}

static const struct torc_call_options call_options = {.struct_size = sizeof(call_options),
                                                      .timeout_ms = TIMEOUT_MS};

/* ---- The threads ----------------------------------------------------------------------------- */

static void *count(void *context)
{
    struct worker *worker = context;
    struct test *test = worker->test;
    for (unsigned i = worker->index; !is_ended(test); i++) {
        char key[16];
        snprintf(key, sizeof(key), "counter%u", i % COUNTERS);
        struct torc_call_options options = call_options;
        if (i / COUNTERS % 2 == 0)
            options.timeout_ms = IMPATIENT_MS;
        struct torc_reply *reply = torc_add(test->torc, torc_text(key), 1, &options);
        tally_add(&test->counters[i % COUNTERS], reply);
        torc_reply_free(reply);
    }
    return NULL;
}

static void account_name(char name[24], unsigned index)
{
    snprintf(name, 24, "{bank}account%u", index % ACCOUNTS);
}

static void *transfer(void *context)
{
    struct worker *worker = context;
    struct test *test = worker->test;
    struct torc_request *request = torc_request_new();
    const struct torc_write there = {.struct_size = sizeof(there), .condition = TORC_IF_PRESENT};
    for (unsigned i = worker->index; !is_ended(test); i++) {
        char from[24], to[24];
        account_name(from, i);
        account_name(to, i + 1 + i % (ACCOUNTS - 1));
        torc_request_clear(request);
        torc_request_check(request, torc_text(from), &there);
        torc_request_add(request, torc_text(from), -(int64_t)(i % 100));
        torc_request_add(request, torc_text(to), i % 100);
        struct torc_reply *reply = torc_call(test->torc, request, &call_options);
        CLUSTER_CHECK(torc_reply_status(reply) != TORC_CONDITION);
        tally_add(&test->transfers, reply);
        torc_reply_free(reply);
    }
    torc_request_free(request);
    return NULL;
}

static void on_appended(void *context, const struct torc_reply *reply)
{
    struct worker *worker = context;
    worker->underway--;
    tally_add(&worker->test->appends, reply);
}

static void *append(void *context)
{
    struct worker *worker = context;
    struct test *test = worker->test;
    struct torc_request *request = torc_request_new();
    struct pollfd readable = {.fd = torc_fd(test->polled), .events = POLLIN};
    torc_request_append(request, torc_text("bytes"), torc_text("x"));
    while (!is_ended(test) || worker->underway > 0) {
        while (worker->underway < WINDOW && !is_ended(test)) {
            CLUSTER_CHECK(torc_submit(test->polled, request, &call_options, on_appended, worker) ==
                          TORC_OK);
            worker->underway++;
        }
        CLUSTER_CHECK(poll(&readable, 1, WAIT_MS) == 1);
        torc_dispatch(test->polled, 0);
    }
    torc_request_free(request);
    return NULL;
}

/* ---- What is done to the cluster ------------------------------------------------------------- */

static void wait_calls(struct test *test, uint64_t more)
{
    uint64_t until = happened(test) + more, end_ms = cluster_now_ms() + WAIT_MS;
    while (happened(test) < until) {
        CLUSTER_CHECK(cluster_now_ms() < end_ms);
        poll(NULL, 0, 5);
    }
}

static void leader_id(const struct test *test, uint32_t group, char id[CLUSTER_ID_SIZE])
{
    uint32_t node = cluster_leader(&test->cluster, group);
    CLUSTER_CHECK(node >= 1 && node <= test->cluster.nodes);
    snprintf(id, CLUSTER_ID_SIZE, "s%u", node % 100);
}

static void leaders_are_killed(struct test *test)
{
    for (uint32_t i = 0; i < KILLS; i++) {
        char id[CLUSTER_ID_SIZE];
        leader_id(test, 1 + i % test->cluster.shards, id);
        cluster_signal(&test->cluster, id, SIGKILL);
        memcpy(test->killed, id, sizeof(id));
        wait_calls(test, BETWEEN_CALLS);
        cluster_restart(&test->cluster, id);
        cluster_wait_served(&test->cluster, WAIT_MS);
        wait_calls(test, BETWEEN_CALLS);
    }
}

/* While two of three nodes do not answer, nothing can be written and nothing is exact; what may be
 * stale is told by the one that is left: not the one killed last, which may not know yet how fresh
 * it is. */
static void stale_reads_go_on(struct test *test)
{
    char id[CLUSTER_ID_SIZE], other[CLUSTER_ID_SIZE];
    uint32_t node = cluster_leader(&test->cluster, 1);
    leader_id(test, 1, id);
    snprintf(other, sizeof(other), "s%u", (node % test->cluster.nodes + 1) % 100);
    if (strcmp(id, test->killed) != 0)
        memcpy(other, test->killed, sizeof(other));
    for (uint32_t i = 0; i < COUNTERS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "counter%u", i);
        struct torc_reply *reply = torc_get(test->torc, torc_text(key), NULL);
        CLUSTER_CHECK(torc_reply_status(reply) == TORC_OK); /* All leaders are known. */
        torc_reply_free(reply);
    }
    cluster_signal(&test->cluster, id, SIGSTOP);
    cluster_signal(&test->cluster, other, SIGSTOP);
    const struct torc_call_options stale = {.struct_size = sizeof(stale),
                                            .timeout_ms = STALE_TIMEOUT_MS,
                                            .consistency = TORC_READ_STALE,
                                            .staleness_ms = STALENESS_MS};
    for (uint32_t i = 0; i < COUNTERS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "counter%u", i);
        struct torc_reply *reply = torc_get(test->torc, torc_text(key), &stale);
        if (torc_reply_status(reply) != TORC_OK)
            cluster_fail("%s: %s: %s; %s and %s are stopped", key,
                         torc_status_name(torc_reply_status(reply)), torc_reply_text(reply), id,
                         other);
        CLUSTER_CHECK(torc_reply_result(reply, 0)->bytes.size > 0);
        torc_reply_free(reply);
    }
    struct torc_reply *reply = torc_get(test->torc, torc_text("counter0"), &call_options);
    CLUSTER_CHECK(torc_reply_status(reply) == TORC_TIMEOUT);
    torc_reply_free(reply);
    cluster_signal(&test->cluster, id, SIGCONT);
    cluster_signal(&test->cluster, other, SIGCONT);
    cluster_wait_served(&test->cluster, WAIT_MS);
}

/* ---- Judging --------------------------------------------------------------------------------- */

static int64_t value_of(struct test *test, const char *key)
{
    struct torc_reply *reply = torc_get(test->torc, torc_text(key), NULL);
    enum torc_status status = torc_reply_status(reply);
    char text[32] = "0";
    CLUSTER_CHECK(status == TORC_OK || status == TORC_NOT_FOUND);
    const struct torc_bytes bytes = torc_reply_result(reply, 0)->bytes;
    CLUSTER_CHECK(bytes.size < sizeof(text));
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    torc_reply_free(reply);
    return strtol(text, NULL, 10);
}

static void tally_judge(const char *what, const struct tally *tally, uint64_t value)
{
    printf("%s: %llu, of %llu that happened, %llu unknown, %llu not\n", what,
           (unsigned long long)value, (unsigned long long)tally->happened,
           (unsigned long long)tally->unknown, (unsigned long long)tally->did_not_happen);
    CLUSTER_CHECK(value >= tally->happened && value <= tally->happened + tally->unknown);
}

static void judge(struct test *test)
{
    int64_t sum = 0;
    uint64_t failed = 0;
    for (unsigned i = 0; i < COUNTERS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "counter%u", i);
        tally_judge(key, &test->counters[i], (uint64_t)value_of(test, key));
        failed += test->counters[i].unknown + test->counters[i].did_not_happen;
    }
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char key[24];
        account_name(key, i);
        sum += value_of(test, key);
    }
    CLUSTER_CHECK(sum == 0);
    struct torc_reply *reply = torc_get(test->torc, torc_text("bytes"), NULL);
    CLUSTER_CHECK(torc_reply_status(reply) == TORC_OK);
    tally_judge("bytes", &test->appends, torc_reply_result(reply, 0)->bytes.size);
    torc_reply_free(reply);
    CLUSTER_CHECK(test->transfers.happened > 0 && failed > 0);
}

static void accounts_open(struct test *test)
{
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char key[24];
        account_name(key, i);
        struct torc_reply *reply = torc_add(test->torc, torc_text(key), 0, NULL);
        CLUSTER_CHECK(torc_reply_outcome(reply) == TORC_HAPPENED);
        torc_reply_free(reply);
    }
}

int main(void)
{
    static struct test test;
    struct seeds seeds;
    struct cluster_options options = {.nodes = 3, .shards = 3};
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    cluster_start(&test.cluster, &options);
    seeds_find(&test.cluster, &seeds);
    test.torc = seeds_open(&seeds, TORC_COMPLETE_ON_THREAD);
    test.polled = seeds_open(&seeds, TORC_COMPLETE_BY_DISPATCH);
    accounts_open(&test);
    for (unsigned i = 0; i < THREADS; i++) { /* The last one appends. */
        void *(*run)(void *) = i == THREADS - 1 ? append : i % 2 == 0 ? count : transfer;
        workers[i] = (struct worker){.test = &test, .index = i};
        CLUSTER_CHECK(pthread_create(&threads[i], NULL, run, &workers[i]) == 0);
    }
    leaders_are_killed(&test);
    __atomic_store_n(&test.ended, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    judge(&test);
    stale_reads_go_on(&test);
    torc_close(test.polled);
    torc_close(test.torc);
    cluster_stop(&test.cluster);
    return 0;
}
