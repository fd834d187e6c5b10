#include "admin/load.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/random.h>

#include "admin/progress.h"
#include "admin/report.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/prng.h"
#include "router/torc.h"

enum {
    INFLIGHT_MAX = 1024,          /* Puts under way, */
    INFLIGHT_SIZE_MAX = 64 << 20, /* and their bytes: any one put has room. */
    TIMEOUT_MS = 10000,           /* Of one try. */
    NO_PROGRESS_MS_MAX = 60000,
    WAIT_MS = 100, /* For a completion, before *stop is looked at again. */
    KEY_TEXT_SIZE = 120,
};

static struct torc_bytes bytes_of(struct base_bytes bytes)
{
    return torc_bytes(bytes.data, bytes.size);
}

static const char *key_text(struct base_bytes key, char text[KEY_TEXT_SIZE])
{
    base_log_quote(text, KEY_TEXT_SIZE, (const char *)key.data, key.size);
    return text;
}

/* NULL: said. */
static struct torc *handle_open(const struct admin_load_target *target)
{
    struct torc_options options = {.struct_size = sizeof(options),
                                   .cluster = target->cluster,
                                   .seeds = target->seeds,
                                   .seed_count = target->seed_count,
                                   .completion = TORC_COMPLETE_BY_DISPATCH,
                                   .timeout_ms = TIMEOUT_MS,
                                   .inflight_max = INFLIGHT_MAX,
                                   .inflight_size_max = INFLIGHT_SIZE_MAX};
    char text[TORC_TEXT_SIZE];
    struct torc *torc;
    if (torc_open(&options, text, &torc) == TORC_OK)
        return torc;
    admin_fail("the cluster cannot be reached: %s", text);
    return NULL;
}

/* ---- Loading --------------------------------------------------------------------------------- */

struct loader {
    struct torc *torc;
    struct torc_request *request; /* Filled anew for each put. */
    const struct admin_dataset *dataset;
    size_t next;                  /* First pair that was never sent. */
    uint32_t again[INFLIGHT_MAX]; /* To be sent again. */
    size_t again_count;
    uint64_t done, retried;
    uint64_t progress_ms; /* When the last put was acknowledged. */
    bool refused;         /* Said. */
};

/* What a completion is told: which put of which load. */
struct put {
    struct loader *loader;
    uint32_t place; /* In the data set. */
    struct put *next_free;
};

struct put_pool {
    struct put list[INFLIGHT_MAX];
    struct put *free;
};

static struct put_pool put_pool; /* One load at a time. */

static bool passes(enum torc_status status)
{
    return status == TORC_TIMEOUT || status == TORC_UNKNOWN || status == TORC_BUSY;
}

static void on_put(void *context, const struct torc_reply *reply)
{
    struct put *put = context;
    struct loader *loader = put->loader;
    enum torc_status status = torc_reply_status(reply);
    if (status == TORC_OK) {
        loader->done++;
        loader->progress_ms = admin_now_ms();
    } else if (passes(status)) {
        loader->again[loader->again_count++] = put->place;
    } else if (status != TORC_CLOSED && !loader->refused) {
        char key[KEY_TEXT_SIZE];
        loader->refused = true;
        admin_fail("SET %s was refused: %s", key_text(loader->dataset->pairs[put->place].key, key),
                   torc_reply_text(reply));
    }
    put->next_free = put_pool.free;
    put_pool.free = put;
}

/* False: not now. */
static bool put_send(struct loader *loader, uint32_t place)
{
    const struct admin_pair *pair = &loader->dataset->pairs[place];
    struct put *put = put_pool.free;
    if (put == NULL)
        return false;
    torc_request_clear(loader->request);
    (void)torc_request_put(loader->request, bytes_of(pair->key), bytes_of(pair->value), NULL);
    put->loader = loader;
    put->place = place;
    enum torc_status status = torc_submit(loader->torc, loader->request, NULL, on_put, put);
    if (status == TORC_OK) {
        put_pool.free = put->next_free;
    } else if (status != TORC_BUSY) {
        char key[KEY_TEXT_SIZE];
        loader->refused = true;
        admin_fail("SET %s was refused: %s", key_text(pair->key, key), torc_status_text(status));
    }
    return status == TORC_OK;
}

/* As much as may be under way. */
static void puts_send(struct loader *loader)
{
    while (loader->again_count > 0 && put_send(loader, loader->again[loader->again_count - 1])) {
        loader->again_count--;
        loader->retried++;
    }
    while (loader->again_count == 0 && loader->next < loader->dataset->count && !loader->refused &&
           put_send(loader, (uint32_t)loader->next))
        loader->next++;
}

/* False when the load must end, said. */
static bool load_step(struct loader *loader)
{
    struct pollfd ready = {.fd = torc_fd(loader->torc), .events = POLLIN};
    puts_send(loader);
    (void)poll(&ready, 1, WAIT_MS);
    torc_dispatch(loader->torc, 0);
    if (loader->refused)
        return false;
    if (admin_now_ms() - loader->progress_ms <= NO_PROGRESS_MS_MAX)
        return true;
    admin_fail("loading: nothing was acknowledged for %d s, %" PRIu64 " of %zu keys are loaded",
               NO_PROGRESS_MS_MAX / 1000, loader->done, loader->dataset->count);
    return false;
}

static bool load_all(struct loader *loader, const volatile sig_atomic_t *stop,
                     struct admin_progress *progress)
{
    bool good = true;
    put_pool.free = NULL;
    for (size_t i = 0; i < INFLIGHT_MAX; i++) {
        put_pool.list[i].next_free = put_pool.free;
        put_pool.free = &put_pool.list[i];
    }
    loader->progress_ms = admin_now_ms();
    while (good && *stop == 0 && loader->done < loader->dataset->count) {
        good = load_step(loader);
        admin_progress_show(progress, loader->done);
    }
    admin_progress_end(progress, loader->done);
    return good;
}

int admin_load_run(const struct admin_load_target *target, const struct admin_dataset *dataset,
                   const volatile sig_atomic_t *stop, struct admin_load_result *ret_result)
{
    struct loader loader = {.dataset = dataset, .torc = handle_open(target)};
    struct admin_progress progress;
    if (loader.torc == NULL)
        return 1;
    loader.request = torc_request_new();
    admin_progress_start(&progress, stdout, "loading", "keys", dataset->count);
    bool good = load_all(&loader, stop, &progress);
    torc_close(loader.torc);
    torc_request_free(loader.request);
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

/* Reads entry i: 0 as loaded; 1 missing or different or not readable, said. */
static int entry_check(struct torc *torc, const struct admin_digest *digest, size_t i)
{
    char key[KEY_TEXT_SIZE];
    const struct admin_digest_entry *entry = &digest->entries[i];
    struct torc_reply *reply = torc_get(torc, bytes_of(entry->key), NULL);
    const struct torc_result *result = torc_reply_result(reply, 0);
    key_text(entry->key, key);
    int code = 0;
    if (result == NULL)
        code = admin_fail("GET %s: %s", key, torc_reply_text(reply));
    else if (torc_reply_status(reply) == TORC_NOT_FOUND)
        code = admin_fail("key %s, which was loaded from %s, is missing", key, digest->source);
    else if (torc_reply_status(reply) != TORC_OK)
        code = admin_fail("GET %s: %s", key, torc_reply_text(reply));
    else if (base_hash(base_bytes_of(result->bytes.data, result->bytes.size)) != entry->hash)
        code = admin_fail("the value of key %s differs from the one loaded from %s: its XXH3-64 is "
                          "%016" PRIx64 ", loaded was %016" PRIx64,
                          key, digest->source,
                          base_hash(base_bytes_of(result->bytes.data, result->bytes.size)),
                          entry->hash);
    torc_reply_free(reply);
    return code;
}

static int sample_check(struct torc *torc, const struct admin_digest *digest, size_t sample_count)
{
    uint64_t seed;
    TORC_ASSERT(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    struct base_prng prng = base_prng_seeded(seed);
    int code = 0;
    for (size_t i = 0; i < sample_count && code == 0; i++)
        code = entry_check(torc, digest, base_prng_range(&prng, 0, digest->count - 1));
    return code;
}

int admin_load_check(const struct admin_load_target *target, const struct admin_digest *digest,
                     size_t sample_count)
{
    TORC_ASSERT(digest->count > 0);
    char counts[2][ADMIN_NUMBER_SIZE];
    struct torc *torc = handle_open(target);
    if (torc == NULL)
        return 1;
    uint64_t count;
    enum torc_status status = torc_count(torc, NULL, &count);
    int code = 1;
    if (status != TORC_OK) {
        admin_fail("the keys could not be counted: %s", torc_status_text(status));
    } else {
        printf("the cluster holds %s keys; %s were loaded from %s\n", admin_count(count, counts[0]),
               admin_count(digest->count, counts[1]), digest->source);
        fflush(stdout);
        code = sample_check(torc, digest, sample_count);
        for (size_t i = 0; code == 0 && count < digest->count && i < digest->count; i++)
            code = entry_check(torc, digest, i);
        if (code == 0)
            printf("%zu of them, drawn at random, hold what was loaded\n", sample_count);
    }
    torc_close(torc);
    return code;
}
