#include "admin/load.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "admin/progress.h"
#include "admin/report.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/prng.h"

enum {
    INFLIGHT_MAX = 1024,          /* Commands without an answer, */
    INFLIGHT_BYTES_MAX = 4 << 20, /* and their bytes. */
    ANSWER_MS_MAX = 10000,        /* Then the connection counts as lost. */
    NO_PROGRESS_MS_MAX = 60000,
    RETRY_PAUSE_MS = 100,
    KEY_TEXT_SIZE = 120,
};

static redisContext *connection_open(uint16_t port, unsigned timeout_ms)
{
    struct timeval bound = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    redisContext *context = redisConnectWithTimeout("127.0.0.1", port, bound);
    if (context == NULL)
        return NULL;
    if (context->err != 0 || redisSetTimeout(context, bound) != REDIS_OK) {
        redisFree(context);
        return NULL;
    }
    return context;
}

bool admin_load_ping(uint16_t port, unsigned timeout_ms)
{
    redisContext *context = connection_open(port, timeout_ms);
    if (context == NULL)
        return false;
    redisReply *reply = redisCommand(context, "PING");
    bool good =
        reply != NULL && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0;
    freeReplyObject(reply);
    redisFree(context);
    return good;
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* Places in the data set, in the order in which they wait. Never holds one place twice. */
struct queue {
    uint32_t *places;
    size_t head, count, capacity;
};

static void queue_push(struct queue *queue, uint32_t place)
{
    TORC_ASSERT(queue->count < queue->capacity);
    queue->places[(queue->head + queue->count++) % queue->capacity] = place;
}

static uint32_t queue_pop(struct queue *queue)
{
    TORC_ASSERT(queue->count > 0);
    uint32_t place = queue->places[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    return place;
}

struct loader {
    const struct admin_dataset *dataset;
    uint16_t port;
    redisContext *context; /* NULL: not connected. */
    size_t next;           /* First pair that was never sent. */
    struct queue again;    /* To be sent again. */
    struct queue sent;     /* Sent and not answered, in order. */
    size_t sent_bytes;
    uint64_t done, retried;
    uint64_t progress_ms; /* When the last SET was acknowledged. */
};

static size_t pair_size(const struct loader *loader, uint32_t place)
{
    const struct admin_pair *pair = &loader->dataset->pairs[place];
    return pair->key.size + pair->value.size;
}

/* Everything without an answer goes back to be sent again. */
static void connection_lost(struct loader *loader)
{
    while (loader->sent.count > 0)
        queue_push(&loader->again, queue_pop(&loader->sent));
    loader->sent_bytes = 0;
    redisFree(loader->context);
    loader->context = NULL;
}

/* Fills the pipeline up to its bounds. */
static void pipeline_fill(struct loader *loader)
{
    while (loader->sent.count < INFLIGHT_MAX && loader->sent_bytes < INFLIGHT_BYTES_MAX) {
        uint32_t place;
        if (loader->again.count > 0) {
            place = queue_pop(&loader->again);
            loader->retried++;
        } else if (loader->next < loader->dataset->count) {
            place = (uint32_t)loader->next++;
        } else {
            return;
        }
        const struct admin_pair *pair = &loader->dataset->pairs[place];
        const char *words[] = {"SET", (const char *)pair->key.data, (const char *)pair->value.data};
        size_t sizes[] = {3, pair->key.size, pair->value.size};
        TORC_ASSERT(redisAppendCommandArgv(loader->context, 3, words, sizes) == REDIS_OK);
        queue_push(&loader->sent, place);
        loader->sent_bytes += pair_size(loader, place);
    }
}

/* An error after which the same SET may succeed. */
static bool error_passes(const char *text)
{
    static const char *const passing[] = {"UNKNOWN", "TIMEOUT", "BUSY", "TRYAGAIN", "CLUSTERDOWN"};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        size_t size = strlen(passing[i]);
        if (strncmp(text, passing[i], size) == 0 && (text[size] == ' ' || text[size] == '\0'))
            return true;
    }
    return false;
}

/* Takes one answer; false when the load must end, said. */
static bool answer_take(struct loader *loader)
{
    redisReply *reply = NULL;
    if (redisGetReply(loader->context, (void **)&reply) != REDIS_OK) {
        connection_lost(loader);
        return true;
    }
    uint32_t place = queue_pop(&loader->sent);
    loader->sent_bytes -= pair_size(loader, place);
    bool good = true;
    if (reply->type == REDIS_REPLY_STATUS) {
        loader->done++;
        loader->progress_ms = admin_now_ms();
    } else if (reply->type == REDIS_REPLY_ERROR && error_passes(reply->str)) {
        queue_push(&loader->again, place);
        admin_sleep_ms(RETRY_PAUSE_MS / 10);
    } else {
        char key[KEY_TEXT_SIZE];
        const struct base_bytes *name = &loader->dataset->pairs[place].key;
        base_log_quote(key, sizeof(key), (const char *)name->data, name->size);
        admin_fail("SET %s was refused: %s", key,
                   reply->type == REDIS_REPLY_ERROR ? reply->str : "not an OK");
        good = false;
    }
    freeReplyObject(reply);
    return good;
}

static bool load_step(struct loader *loader)
{
    if (loader->context == NULL) {
        loader->context = connection_open(loader->port, ANSWER_MS_MAX);
        if (loader->context == NULL)
            admin_sleep_ms(RETRY_PAUSE_MS);
    } else {
        pipeline_fill(loader);
        if (!answer_take(loader))
            return false;
    }
    if (admin_now_ms() - loader->progress_ms <= NO_PROGRESS_MS_MAX)
        return true;
    admin_fail("loading: nothing was acknowledged for %d s, %" PRIu64 " of %zu keys are loaded",
               NO_PROGRESS_MS_MAX / 1000, loader->done, loader->dataset->count);
    return false;
}

int admin_load_run(uint16_t port, const struct admin_dataset *dataset,
                   const volatile sig_atomic_t *stop, struct admin_load_result *ret_result)
{
    uint32_t places[2][INFLIGHT_MAX];
    struct loader loader = {.dataset = dataset, .port = port, .progress_ms = admin_now_ms()};
    loader.sent = (struct queue){.places = places[0], .capacity = INFLIGHT_MAX};
    loader.again = (struct queue){.places = places[1], .capacity = INFLIGHT_MAX};
    struct admin_progress progress;
    admin_progress_start(&progress, stdout, "loading", "keys", dataset->count);
    bool good = true;
    while (good && *stop == 0 && loader.done < dataset->count) {
        good = load_step(&loader);
        admin_progress_show(&progress, loader.done);
    }
    admin_progress_end(&progress, loader.done);
    redisFree(loader.context);
    if (good && loader.done < dataset->count)
        return admin_fail("loading was interrupted after %" PRIu64
                          " keys; `dev up` again, with the same "
                          "--load if any, resumes it",
                          loader.done);
    if (!good)
        return 1;
    ret_result->elapsed_ms = admin_now_ms() - progress.start_ms;
    ret_result->retried = loader.retried;
    return 0;
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* GETs entry i: 0 as loaded; 1 missing or different or not readable, said. */
static int entry_check(redisContext *context, const struct admin_digest *digest, size_t i)
{
    char key[KEY_TEXT_SIZE];
    const struct admin_digest_entry *entry = &digest->entries[i];
    base_log_quote(key, sizeof(key), (const char *)entry->key.data, entry->key.size);
    redisReply *reply = redisCommand(context, "GET %b", entry->key.data, entry->key.size);
    int code = 0;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        code = admin_fail("GET %s: %s", key, reply == NULL ? context->errstr : reply->str);
    else if (reply->type != REDIS_REPLY_STRING)
        code = admin_fail("key %s, which was loaded from %s, is missing", key, digest->source);
    else if (base_hash(base_bytes_of(reply->str, reply->len)) != entry->hash)
        code = admin_fail("the value of key %s differs from the one loaded from %s: its XXH3-64 is "
                          "%016" PRIx64 ", loaded was %016" PRIx64,
                          key, digest->source, base_hash(base_bytes_of(reply->str, reply->len)),
                          entry->hash);
    freeReplyObject(reply);
    return code;
}

static int sample_check(redisContext *context, const struct admin_digest *digest,
                        size_t sample_count)
{
    uint64_t seed;
    TORC_ASSERT(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    struct base_prng prng = base_prng_seeded(seed);
    int code = 0;
    for (size_t i = 0; i < sample_count && code == 0; i++)
        code = entry_check(context, digest, base_prng_range(&prng, 0, digest->count - 1));
    return code;
}

int admin_load_check(uint16_t port, const struct admin_digest *digest, size_t sample_count)
{
    TORC_ASSERT(digest->count > 0);
    char counts[2][ADMIN_NUMBER_SIZE];
    redisContext *context = connection_open(port, ANSWER_MS_MAX);
    redisReply *reply = context == NULL ? NULL : redisCommand(context, "DBSIZE");
    int code = 1;
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        admin_fail("DBSIZE: %s", reply != NULL     ? reply->str
                                 : context != NULL ? context->errstr
                                                   : "no connection");
    } else {
        uint64_t count = (uint64_t)reply->integer;
        printf("the cluster holds %s keys; %s were loaded from %s\n", admin_count(count, counts[0]),
               admin_count(digest->count, counts[1]), digest->source);
        fflush(stdout);
        code = sample_check(context, digest, sample_count);
        for (size_t i = 0; code == 0 && count < digest->count && i < digest->count; i++)
            code = entry_check(context, digest, i);
        if (code == 0)
            printf("%zu of them, drawn at random, hold what was loaded\n", sample_count);
    }
    freeReplyObject(reply);
    redisFree(context);
    return code;
}
