/*
 * libtorc against a real cluster: the examples say what they should, and every operation does what
 * router/torc.h says.
 *
 *   libtorc_test EXAMPLE...
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/seeds.h"

enum { TEXT_SIZE = 4096, THREADS = 8, KEYS = 3000 };

/* ---- Examples -------------------------------------------------------------------------------- */

/* What each example prints, or a part of it. */
static const struct {
    const char *name, *says;
} examples[] = {
    {"put_get", "colour is green\n"},
    {"conditions", "words: one two \n"},
    {"transaction", "moved 30: {bank}alice has 70, {bank}bob has 35\n"},
    {"poll", "visits: 1000, failed: 0\n"},
    {"scan", "4 keys, 4 counted\n"},
};

static void example_run(const struct seeds *seeds, const char *path, const char *says)
{
    char output[TEXT_SIZE];
    const char *argv[CLUSTER_NODES_MAX + 3] = {path, seeds->cluster};
    for (size_t i = 0; i < seeds->count; i++)
        argv[2 + i] = seeds->list[i];
    int code = cluster_program(output, sizeof(output), argv);
    printf("%s: exit status %d\n%s", path, code, output);
    CLUSTER_CHECK(code == 0 && strstr(output, says) != NULL);
}

static void examples_run(const struct seeds *seeds, int argc, char **argv)
{
    size_t count = sizeof(examples) / sizeof(examples[0]);
    CLUSTER_CHECK((size_t)argc == 1 + count);
    for (size_t i = 0; i < count; i++) {
        const char *name = strrchr(argv[1 + i], '/');
        CLUSTER_CHECK(name != NULL && strcmp(name + 1, examples[i].name) == 0);
        example_run(seeds, argv[1 + i], examples[i].says);
    }
}

/* ---- Operations ------------------------------------------------------------------------------ */

static bool bytes_are(const struct torc_result *result, const char *text)
{
    return result->kind == TORC_RESULT_BYTES && result->bytes.size == strlen(text) &&
           memcmp(result->bytes.data, text, strlen(text)) == 0;
}

/* One request with one of each, all on one key, in their order. */
static void operations_run(struct torc *torc)
{
    struct torc_bytes key = torc_text("all"), number = torc_text("{all}number");
    struct torc_request *request = torc_request_new();
    torc_request_put(request, key, torc_text("hello"), NULL);     /* 0 */
    torc_request_append(request, key, torc_text(" there"));       /* 1 */
    torc_request_set_range(request, key, 0, torc_text("J"));      /* 2 */
    torc_request_get(request, key);                               /* 3 */
    torc_request_get_range(request, key, -5, -1);                 /* 4 */
    torc_request_stat(request, key);                              /* 5 */
    torc_request_set_bit(request, key, 7, 1);                     /* 6 */
    torc_request_bit_count(request, key, 0, 0, 0);                /* 7 */
    torc_request_bit_position(request, key, 1, 0, -1, 0);         /* 8 */
    torc_request_add(request, number, 40);                        /* 9 */
    torc_request_add_decimal(request, number, torc_text("2.25")); /* 10 */
    const struct torc_write in_an_hour = {
        .struct_size = sizeof(in_an_hour), .expiry = TORC_EXPIRY_RELATIVE, .expiry_ms = 3600000};
    torc_request_expire(request, key, &in_an_hour); /* 11 */
    torc_request_stat(request, key);                /* 12 */
    torc_request_persist(request, key, NULL);       /* 13 */
    torc_request_delete(request, key, NULL);        /* 14 */
    torc_request_get(request, key);                 /* 15 */
    torc_request_delete(request, number, NULL);     /* 16 */
    torc_request_add(request, number, INT64_MAX);   /* 17 */
    torc_request_add(request, number, 1);           /* 18 */
    struct torc_reply *reply = torc_call(torc, request, NULL);
    CLUSTER_CHECK(torc_reply_outcome(reply) == TORC_HAPPENED && torc_reply_count(reply) == 19);
    const struct torc_result *results = torc_reply_result(reply, 0);
    CLUSTER_CHECK(results[1].number == 11 && results[2].number == 11);
    CLUSTER_CHECK(bytes_are(&results[3], "Jello there") && bytes_are(&results[4], "there"));
    CLUSTER_CHECK(results[5].number == 11 && results[5].expiry_ms == 0);
    CLUSTER_CHECK(results[6].number == 0 && results[7].number == 4 && results[8].number == 1);
    CLUSTER_CHECK(results[9].number == 40 && bytes_are(&results[10], "42.25"));
    CLUSTER_CHECK(results[11].status == TORC_OK && results[12].expiry_ms > 0);
    CLUSTER_CHECK(results[13].status == TORC_OK && results[14].status == TORC_OK);
    CLUSTER_CHECK(results[15].status == TORC_NOT_FOUND && results[18].status == TORC_INVALID);
    for (size_t i = 1; i < 3; i++)
        CLUSTER_CHECK(results[i].version > results[i - 1].version);
    torc_reply_free(reply);
    torc_request_free(request);
    torc_reply_free(torc_delete(torc, number, NULL, NULL));
}

/* The status of a put with this condition, and the version that the key has then. */
static enum torc_status put_if(struct torc *torc, struct torc_write write, uint64_t *ret_version)
{
    write.struct_size = sizeof(write);
    struct torc_reply *reply =
        torc_put(torc, torc_text("conditional"), torc_text("value"), &write, NULL);
    enum torc_status status = torc_reply_status(reply);
    CLUSTER_CHECK((torc_reply_outcome(reply) == TORC_HAPPENED) == (status == TORC_OK));
    CLUSTER_CHECK(torc_reply_count(reply) == 1);
    *ret_version = torc_reply_result(reply, 0)->version;
    torc_reply_free(reply);
    return status;
}

static void conditions_hold(struct torc *torc)
{
    uint64_t version, now;
    struct torc_write absent = {.condition = TORC_IF_ABSENT};
    struct torc_write present = {.condition = TORC_IF_PRESENT};
    struct torc_write value = {.condition = TORC_IF_VALUE, .value = torc_text("value")};
    struct torc_write other = {.condition = TORC_IF_VALUE, .value = torc_text("other")};
    CLUSTER_CHECK(put_if(torc, present, &version) == TORC_CONDITION);
    CLUSTER_CHECK(put_if(torc, absent, &version) == TORC_OK);
    CLUSTER_CHECK(put_if(torc, absent, &now) == TORC_CONDITION && now == version);
    CLUSTER_CHECK(put_if(torc, present, &version) == TORC_OK && version > now);
    CLUSTER_CHECK(put_if(torc, other, &now) == TORC_CONDITION && now == version);
    CLUSTER_CHECK(put_if(torc, value, &now) == TORC_OK);
    struct torc_write by_version = {.condition = TORC_IF_VERSION, .version = version};
    CLUSTER_CHECK(put_if(torc, by_version, &version) == TORC_CONDITION);
    by_version.version = now;
    CLUSTER_CHECK(put_if(torc, by_version, &version) == TORC_OK);
    torc_reply_free(torc_delete(torc, torc_text("conditional"), NULL, NULL));
}

/* Keys without a common tag are on several shards sooner or later: what writes takes effect on all
 * of them or on none, and what only reads is refused. */
static void spread_keys_go_together(struct torc *torc)
{
    enum { SPREAD = 50 };
    struct torc_request *adding = torc_request_new(), *failing = torc_request_new();
    struct torc_request *reading = torc_request_new();
    struct torc_write absent = {.struct_size = sizeof(absent), .condition = TORC_IF_ABSENT};
    for (int i = 0; i < SPREAD; i++) {
        char key[16];
        snprintf(key, sizeof(key), "spread%d", i);
        torc_request_add(adding, torc_text(key), 1);
        torc_request_add(failing, torc_text(key), 1);
        torc_request_get(reading, torc_text(key));
    }
    torc_request_check(failing, torc_text("spread7"), &absent);
    for (int64_t round = 1; round <= 3; round++) {
        struct torc_reply *reply = torc_call(torc, adding, NULL);
        CLUSTER_CHECK(torc_reply_outcome(reply) == TORC_HAPPENED);
        for (size_t i = 0; i < SPREAD; i++)
            CLUSTER_CHECK(torc_reply_result(reply, i)->number == round);
        torc_reply_free(reply);
    }
    struct torc_reply *reply = torc_call(torc, failing, NULL);
    CLUSTER_CHECK(torc_reply_outcome(reply) == TORC_DID_NOT_HAPPEN);
    CLUSTER_CHECK(torc_reply_status(reply) == TORC_CONDITION);
    CLUSTER_CHECK(torc_reply_failed_check(reply) == SPREAD);
    torc_reply_free(reply);
    reply = torc_call(torc, reading, NULL);
    CLUSTER_CHECK(torc_reply_status(reply) == TORC_UNSUPPORTED);
    torc_reply_free(reply);
    torc_request_free(adding);
    torc_request_free(failing);
    torc_request_free(reading);
}

/* A value over the cluster's limit is refused there, and nothing of the request happens. */
static void limits_hold(struct torc *torc)
{
    enum { LARGE = 9 << 20 };
    char *value = calloc(1, LARGE);
    CLUSTER_CHECK(value != NULL);
    struct torc_reply *reply =
        torc_put(torc, torc_text("large"), torc_bytes(value, LARGE), NULL, NULL);
    CLUSTER_CHECK(torc_reply_outcome(reply) == TORC_DID_NOT_HAPPEN);
    CLUSTER_CHECK(torc_reply_status(reply) == TORC_TOO_LARGE);
    torc_reply_free(reply);
    reply = torc_put(torc, torc_text("large"), torc_bytes(value, LARGE - (1 << 20)), NULL, NULL);
    CLUSTER_CHECK(torc_reply_status(reply) == TORC_OK);
    torc_reply_free(reply);
    reply = torc_get(torc, torc_text("large"), NULL);
    CLUSTER_CHECK(torc_reply_result(reply, 0)->bytes.size == LARGE - (1 << 20));
    torc_reply_free(reply);
    torc_reply_free(torc_delete(torc, torc_text("large"), NULL, NULL));
    free(value);
}

/* ---- All keys -------------------------------------------------------------------------------- */

static void key_name(char name[16], int index)
{
    snprintf(name, 16, "key%d", index);
}

static void on_put(void *context, const struct torc_reply *reply)
{
    (void)context;
    CLUSTER_CHECK(torc_reply_outcome(reply) == TORC_HAPPENED);
}

static void keys_write(struct torc *torc)
{
    struct torc_request *request = torc_request_new();
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        key_name(name, i);
        torc_request_clear(request);
        torc_request_put(request, torc_text(name), torc_text("v"), NULL);
        CLUSTER_CHECK(torc_submit(torc, request, NULL, on_put, NULL) == TORC_OK);
    }
    struct torc_counters counters;
    do {
        poll(NULL, 0, 5);
        torc_get_counters(torc, &counters, sizeof(counters));
    } while (counters.inflight > 0);
    torc_request_free(request);
}

/* Walks from a position on; returns how many keys of ours were met for the first time. */
static unsigned keys_scan(struct torc *torc, uint64_t start, unsigned stop_after, bool *seen,
                          uint64_t *ret_position)
{
    struct torc_scan_options options = {
        .struct_size = sizeof(options), .start = start, .page = 100};
    struct torc_scan *scan = torc_scan_open(torc, &options);
    struct torc_bytes key;
    unsigned met = 0, fresh = 0;
    enum torc_status status = TORC_OK;
    while (met < stop_after && (status = torc_scan_next(scan, &key)) == TORC_OK) {
        char text[16] = "";
        met++;
        CLUSTER_CHECK(key.size < sizeof(text));
        memcpy(text, key.data, key.size);
        long index = strncmp(text, "key", 3) == 0 ? strtol(text + 3, NULL, 10) : -1;
        if (index < 0)
            continue;
        CLUSTER_CHECK(index < KEYS);
        fresh += !seen[index];
        seen[index] = true;
    }
    CLUSTER_CHECK(met == stop_after || status == TORC_NOT_FOUND);
    *ret_position = torc_scan_position(scan);
    torc_scan_close(scan);
    return fresh;
}

static void scans_meet_all(struct torc *torc)
{
    static bool seen[KEYS];
    uint64_t before, count, position;
    CLUSTER_CHECK(torc_count(torc, NULL, &before) == TORC_OK);
    keys_write(torc);
    CLUSTER_CHECK(torc_count(torc, NULL, &count) == TORC_OK && count == before + KEYS);
    unsigned first = keys_scan(torc, 0, 1000, seen, &position);
    unsigned rest = keys_scan(torc, position, 2 * KEYS, seen, &position);
    CLUSTER_CHECK(first + rest == KEYS && first <= 1000);
    CLUSTER_CHECK(torc_clear(torc, NULL) == TORC_OK);
    CLUSTER_CHECK(torc_count(torc, NULL, &count) == TORC_OK && count == 0);
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct race {
    struct torc *torc;
    pthread_barrier_t barrier;
    int won; /* Atomically. */
};

/* Of all that put a key which is not there, one does. */
static void *racer(void *context)
{
    struct race *race = context;
    struct torc_write absent = {.struct_size = sizeof(absent), .condition = TORC_IF_ABSENT};
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "race%d", i);
        pthread_barrier_wait(&race->barrier);
        struct torc_reply *reply =
            torc_put(race->torc, torc_text(name), torc_text("mine"), &absent, NULL);
        enum torc_status status = torc_reply_status(reply);
        CLUSTER_CHECK(status == TORC_OK || status == TORC_CONDITION);
        if (status == TORC_OK)
            __atomic_add_fetch(&race->won, 1, __ATOMIC_RELAXED);
        torc_reply_free(reply);
    }
    return NULL;
}

static void threads_race(struct torc *torc)
{
    struct race race = {.torc = torc};
    pthread_t threads[THREADS];
    pthread_barrier_init(&race.barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        CLUSTER_CHECK(pthread_create(&threads[i], NULL, racer, &race) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CLUSTER_CHECK(race.won == 100);
    pthread_barrier_destroy(&race.barrier);
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    struct seeds seeds;
    struct cluster_options options = {.nodes = 3};
    cluster_start(&cluster, &options);
    seeds_find(&cluster, &seeds);
    examples_run(&seeds, argc, argv);
    struct torc *torc = seeds_open(&seeds, TORC_COMPLETE_ON_THREAD);
    operations_run(torc);
    conditions_hold(torc);
    spread_keys_go_together(torc);
    limits_hold(torc);
    scans_meet_all(torc);
    threads_race(torc);
    torc_close(torc);
    cluster_stop(&cluster);
    return 0;
}
