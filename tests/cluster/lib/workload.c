#include "tests/cluster/lib/workload.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/prng.h"
#include "tests/cluster/lib/client.h"
#include "tests/cluster/lib/cluster.h"
#include "tests/history/text.h"

enum {
    THREADS_MAX = 64,
    DELETERS_MAX = 4, /* Threads that touch the keys which are deleted. */
    NAME_SIZE = 24,
    VALUE_SIZE = 48,
    FINAL_READ_MS = 30000,
    REASON_SIZE = 16384,
    REFUSED_PAUSE_US = 2000, /* When nothing was done: nobody listens, or the keys are full. */
};

enum key_kind { KEY_REGISTER, KEY_COUNTER, KEY_DELETED };

struct key {
    char name[NAME_SIZE];
    enum key_kind kind;
    pthread_mutex_t lock; /* Over the history. */
    struct history history;
    int64_t added, added_perhaps; /* Counters: acknowledged, and with unknown outcome. */
};

struct worker {
    struct workload *workload;
    pthread_t thread;
    unsigned number;
    struct base_prng prng;
    struct client *client;
    uint64_t value_count; /* So that each value is written once. */
    /* The numbers of its keys that are written once and acknowledged. */
    uint64_t *once;
    size_t once_count, once_capacity;
};

struct workload {
    struct workload_options options;
    struct key *keys;
    size_t key_count;
    struct worker workers[THREADS_MAX];
    atomic_bool stop;
    atomic_uint_fast64_t acknowledged, refused, unknown, once, last_write_ns;
};

/* ---- One operation --------------------------------------------------------------------------- */

static size_t op_begin(struct key *key, unsigned process, struct history_op *op,
                       struct base_bytes value)
{
    pthread_mutex_lock(&key->lock);
    op->process = process;
    if (op->kind == HISTORY_PUT)
        op->value = history_value(&key->history.values, value);
    op->invoke_time = cluster_now_ns();
    size_t index = history_begin(&key->history, op);
    pthread_mutex_unlock(&key->lock);
    return index;
}

/* What the answer says, in the history's terms; false: nothing (unknown). */
static bool answer_translate(struct key *key, const struct history_op *op,
                             const struct client_answer *answer, struct history_op *ret_end)
{
    if (answer->outcome == CLIENT_UNKNOWN)
        return false;
    if (answer->outcome == CLIENT_REFUSED) {
        ret_end->outcome = HISTORY_FAILED;
        return true;
    }
    ret_end->outcome = HISTORY_OK;
    if (op->kind == HISTORY_GET)
        ret_end->result_value = answer->kind == CLIENT_NIL
                                    ? HISTORY_ABSENT
                                    : history_value(&key->history.values, answer->bytes);
    else
        ret_end->result_number = answer->integer;
    return true;
}

static void op_count(struct workload *workload, const struct client_answer *answer, bool writes)
{
    if (answer->outcome == CLIENT_UNKNOWN)
        atomic_fetch_add(&workload->unknown, 1);
    else if (answer->outcome == CLIENT_OK)
        atomic_fetch_add(&workload->acknowledged, 1);
    else
        atomic_fetch_add(&workload->refused, 1);
    if (answer->outcome == CLIENT_OK && writes)
        atomic_store(&workload->last_write_ns, cluster_now_ns());
}

static void op_end(struct workload *workload, struct key *key, size_t index,
                   const struct history_op *op, const struct client_answer *answer)
{
    struct history_op end = {.return_time = cluster_now_ns()};
    pthread_mutex_lock(&key->lock);
    bool known = answer_translate(key, op, answer, &end);
    if (known)
        history_end(&key->history, index, &end);
    if (op->kind == HISTORY_ADD && !known)
        key->added_perhaps += op->delta;
    if (op->kind == HISTORY_ADD && known && end.outcome == HISTORY_OK)
        key->added += op->delta;
    pthread_mutex_unlock(&key->lock);
    op_count(workload, answer, op->kind != HISTORY_GET);
}

static enum client_outcome op_run(struct workload *workload, struct worker *worker, struct key *key,
                                  struct history_op *op)
{
    char value[VALUE_SIZE], delta[24];
    snprintf(value, sizeof(value), "%u.%" PRIu64, worker->number, worker->value_count++);
    snprintf(delta, sizeof(delta), "%" PRId64, op->delta);
    size_t index = op_begin(key, worker->number, op, base_bytes_text(value));
    struct client_answer answer;
    switch (op->kind) {
    case HISTORY_GET:
        answer = client_command(worker->client, "GET", key->name, NULL);
        break;
    case HISTORY_PUT:
        answer = client_command(worker->client, "SET", key->name, value, NULL);
        break;
    case HISTORY_DELETE:
        answer = client_command(worker->client, "DEL", key->name, NULL);
        break;
    default:
        answer = client_command(worker->client, "INCRBY", key->name, delta, NULL);
        break;
    }
    op_end(workload, key, index, op, &answer);
    return answer.outcome;
}

/* Writes a key that nobody has written; its value is its name. */
static enum client_outcome once_run(struct workload *workload, struct worker *worker)
{
    char name[NAME_SIZE];
    uint64_t number = worker->value_count++;
    snprintf(name, sizeof(name), "u%u.%" PRIu64, worker->number, number);
    struct client_answer answer = client_command(worker->client, "SET", name, name, NULL);
    op_count(workload, &answer, true);
    if (answer.outcome != CLIENT_OK)
        return answer.outcome;
    worker->once = base_array_reserve(base_allocator_system(), worker->once, &worker->once_capacity,
                                      worker->once_count + 1, sizeof(*worker->once));
    worker->once[worker->once_count++] = number;
    atomic_fetch_add(&workload->once, 1);
    return CLIENT_OK;
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* NULL: this key is not for this thread, or has enough operations. */
static struct key *key_draw(struct workload *workload, struct worker *worker)
{
    if (workload->key_count == 0)
        return NULL;
    struct key *key = &workload->keys[base_prng_range(&worker->prng, 0, workload->key_count - 1)];
    if (key->kind == KEY_DELETED && worker->number >= DELETERS_MAX)
        return NULL;
    pthread_mutex_lock(&key->lock);
    bool full = key->history.count >= workload->options.ops_per_key_max;
    pthread_mutex_unlock(&key->lock);
    return full ? NULL : key;
}

static void op_draw(const struct key *key, struct base_prng *prng, struct history_op *ret_op)
{
    uint64_t draw = base_prng_range(prng, 0, 99);
    *ret_op = (struct history_op){.kind = HISTORY_GET};
    if (key->kind == KEY_COUNTER && draw < 60) {
        ret_op->kind = HISTORY_ADD;
        ret_op->delta = (int64_t)base_prng_range(prng, 1, 3);
    } else if (key->kind != KEY_COUNTER && draw < 50) {
        ret_op->kind = HISTORY_PUT;
    } else if (key->kind == KEY_DELETED && draw < 65) {
        ret_op->kind = HISTORY_DELETE;
    }
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    struct workload *workload = worker->workload;
    while (!atomic_load(&workload->stop)) {
        bool once = base_prng_chance(&worker->prng, workload->options.once_percent, 100);
        struct key *key = once ? NULL : key_draw(workload, worker);
        struct history_op op;
        enum client_outcome outcome = CLIENT_REFUSED;
        if (once) {
            outcome = once_run(workload, worker);
        } else if (key != NULL) {
            op_draw(key, &worker->prng, &op);
            outcome = op_run(workload, worker, key, &op);
        }
        unsigned pause_us =
            outcome == CLIENT_REFUSED ? REFUSED_PAUSE_US : workload->options.pause_us;
        struct timespec pause = {.tv_nsec = (long)pause_us * 1000};
        if (pause_us > 0)
            nanosleep(&pause, NULL);
    }
    return NULL;
}

static void keys_make(struct workload *workload)
{
    const struct workload_options *options = &workload->options;
    workload->key_count = options->registers + options->counters + options->deleted;
    if (workload->key_count == 0)
        return;
    workload->keys = calloc(workload->key_count, sizeof(*workload->keys));
    CLUSTER_CHECK(workload->keys != NULL);
    for (size_t i = 0; i < workload->key_count; i++) {
        struct key *key = &workload->keys[i];
        size_t first[] = {0, options->registers, options->registers + options->counters};
        key->kind = i < first[KEY_COUNTER]   ? KEY_REGISTER
                    : i < first[KEY_DELETED] ? KEY_COUNTER
                                             : KEY_DELETED;
        snprintf(key->name, sizeof(key->name), "%c%zu", "rnd"[key->kind], i - first[key->kind]);
        pthread_mutex_init(&key->lock, NULL);
        history_init(&key->history, base_allocator_system());
    }
}

struct workload *workload_start(const struct workload_options *options)
{
    struct workload *workload = calloc(1, sizeof(*workload));
    CLUSTER_CHECK(workload != NULL);
    CLUSTER_CHECK(options->threads > 0 && options->threads <= THREADS_MAX);
    workload->options = *options;
    keys_make(workload);
    for (unsigned i = 0; i < options->threads; i++) {
        struct worker *worker = &workload->workers[i];
        worker->workload = workload;
        worker->number = i;
        worker->prng = base_prng_seeded(options->seed * THREADS_MAX + i);
        worker->client = client_open(options->port, options->timeout_ms);
        CLUSTER_CHECK(pthread_create(&worker->thread, NULL, worker_main, worker) == 0);
    }
    return workload;
}

struct workload_counts workload_counts(struct workload *workload)
{
    return (struct workload_counts){.acknowledged = atomic_load(&workload->acknowledged),
                                    .refused = atomic_load(&workload->refused),
                                    .unknown = atomic_load(&workload->unknown),
                                    .once = atomic_load(&workload->once),
                                    .last_write_ns = atomic_load(&workload->last_write_ns)};
}

struct progress {
    struct workload *workload;
    uint64_t acknowledged_min;
};

static bool has_progressed(void *context)
{
    const struct progress *progress = context;
    return atomic_load(&progress->workload->acknowledged) >= progress->acknowledged_min;
}

void workload_wait(struct workload *workload, uint64_t more, uint64_t timeout_ms)
{
    struct progress progress = {workload, atomic_load(&workload->acknowledged) + more};
    cluster_wait(has_progressed, &progress, timeout_ms, "more operations are acknowledged");
}

void workload_end(struct workload *workload)
{
    atomic_store(&workload->stop, true);
    for (unsigned i = 0; i < workload->options.threads; i++)
        CLUSTER_CHECK(pthread_join(workload->workers[i].thread, NULL) == 0);
}

/* ---- Judging --------------------------------------------------------------------------------- */

/* Reads a key until there is an answer. */
static struct client_answer answer_get(struct client *client, const char *name)
{
    uint64_t deadline_ms = cluster_now_ms() + FINAL_READ_MS;
    for (;;) {
        struct client_answer answer = client_command(client, "GET", name, NULL);
        if (answer.outcome == CLIENT_OK)
            return answer;
        if (cluster_now_ms() >= deadline_ms)
            cluster_fail("GET %s after the load: %.*s", name, (int)answer.bytes.size,
                         (const char *)answer.bytes.data);
    }
}

static bool once_judge(const struct worker *worker, char *ret_reason, size_t reason_size)
{
    char name[NAME_SIZE];
    for (size_t i = 0; i < worker->once_count; i++) {
        snprintf(name, sizeof(name), "u%u.%" PRIu64, worker->number, worker->once[i]);
        struct client_answer answer = answer_get(worker->client, name);
        if (client_answer_is(&answer, name))
            continue;
        snprintf(ret_reason, reason_size, "key %s, whose write was acknowledged, %s%.*s", name,
                 answer.kind == CLIENT_NIL ? "is not there" : "holds ", (int)answer.bytes.size,
                 (const char *)answer.bytes.data);
        return false;
    }
    return true;
}

/* Where the test's outputs are kept, if anywhere: a bad history, for //tests/history:check. */
static void history_keep(const struct key *key)
{
    const char *dir = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
    char path[SCRATCH_PATH_SIZE];
    struct history_text text = {.allocator = base_allocator_system()};
    if (dir == NULL)
        return;
    snprintf(path, sizeof(path), "%s/%s.history", dir, key->name);
    FILE *out = fopen(path, "we");
    for (size_t i = 0; out != NULL && i < key->history.count; i++) {
        text.size = 0;
        history_text_write(&text, base_bytes_text(key->name), &key->history, &key->history.ops[i]);
        fwrite(text.data, 1, text.size, out);
    }
    if (out == NULL || fclose(out) != 0)
        fprintf(stderr, "%s: cannot be written\n", path);
    history_text_fini(&text);
}

/* The last read of a key, as part of its history. */
static bool key_read(struct workload *workload, struct key *key, char *ret_reason,
                     size_t reason_size)
{
    struct worker *worker = &workload->workers[0];
    struct history_op op = {.kind = HISTORY_GET};
    size_t index = op_begin(key, worker->number, &op, base_bytes_of(NULL, 0));
    struct client_answer answer = answer_get(worker->client, key->name);
    op_end(workload, key, index, &op, &answer);
    int64_t found =
        answer.kind == CLIENT_NIL ? 0 : strtoll((const char *)answer.bytes.data, NULL, 10);
    if (key->kind != KEY_COUNTER ||
        (found >= key->added && found <= key->added + key->added_perhaps))
        return true;
    snprintf(ret_reason, reason_size,
             "counter %s is %" PRId64 "; acknowledged additions are %" PRId64
             ", those of unknown outcome %" PRId64,
             key->name, found, key->added, key->added_perhaps);
    return false;
}

static bool key_judge(struct key *key, char *ret_reason, size_t reason_size)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct history_bounds bounds = history_bounds_default();
    struct history_verdict verdict;
    history_check(allocator, &history_string_model, &key->history, &bounds, &verdict);
    if (verdict.answer == HISTORY_UNDECIDED)
        cluster_fail("key %s: %zu operations are too many to judge", key->name, key->history.count);
    if (verdict.answer == HISTORY_VIOLATION) {
        struct history_text text = {.allocator = allocator};
        history_text_report(&text, base_bytes_text(key->name), &key->history, &verdict);
        snprintf(ret_reason, reason_size, "%s", text.data);
        history_text_fini(&text);
    }
    bool good = verdict.answer == HISTORY_LINEARIZABLE;
    history_verdict_fini(&verdict, allocator);
    return good;
}

bool workload_judge(struct workload *workload, char *ret_reason, size_t reason_size)
{
    for (unsigned i = 0; i < workload->options.threads; i++) {
        if (!once_judge(&workload->workers[i], ret_reason, reason_size))
            return false;
    }
    for (size_t i = 0; i < workload->key_count; i++) {
        struct key *key = &workload->keys[i];
        if (!key_read(workload, key, ret_reason, reason_size) ||
            !key_judge(key, ret_reason, reason_size)) {
            history_keep(key);
            return false;
        }
    }
    return true;
}

void workload_check(struct workload *workload)
{
    char reason[REASON_SIZE];
    if (!workload_judge(workload, reason, sizeof(reason)))
        cluster_fail("%s", reason);
}

void workload_free(struct workload *workload)
{
    for (unsigned i = 0; i < workload->options.threads; i++) {
        struct worker *worker = &workload->workers[i];
        client_close(worker->client);
        base_array_free(base_allocator_system(), worker->once, &worker->once_capacity,
                        sizeof(*worker->once));
    }
    for (size_t i = 0; i < workload->key_count; i++) {
        history_fini(&workload->keys[i].history);
        pthread_mutex_destroy(&workload->keys[i].lock);
    }
    free(workload->keys);
    free(workload);
}
