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
#include "tests/history/check.h"

enum { THREADS_MAX = 64, NAME_SIZE = 16, VALUE_SIZE = 48, FINAL_READ_MS = 30000 };

struct key {
    char name[NAME_SIZE];
    bool counter;
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
};

struct workload {
    struct workload_options options;
    struct key *keys;
    size_t key_count;
    struct worker workers[THREADS_MAX];
    atomic_bool stop;
    atomic_uint_fast64_t acknowledged, refused, unknown, last_write_ns;
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
    if (!known)
        atomic_fetch_add(&workload->unknown, 1);
    else if (end.outcome == HISTORY_OK)
        atomic_fetch_add(&workload->acknowledged, 1);
    else
        atomic_fetch_add(&workload->refused, 1);
    if (known && end.outcome == HISTORY_OK && op->kind != HISTORY_GET)
        atomic_store(&workload->last_write_ns, end.return_time);
}

static void op_run(struct workload *workload, struct worker *worker, struct key *key,
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
}

/* ---- Threads --------------------------------------------------------------------------------- */

static struct key *key_draw(struct workload *workload, struct base_prng *prng)
{
    struct key *key = &workload->keys[base_prng_range(prng, 0, workload->key_count - 1)];
    pthread_mutex_lock(&key->lock);
    bool full = key->history.count >= workload->options.ops_per_key_max;
    pthread_mutex_unlock(&key->lock);
    return full ? NULL : key;
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    struct workload *workload = worker->workload;
    while (!atomic_load(&workload->stop)) {
        struct key *key = key_draw(workload, &worker->prng);
        struct history_op op = {.kind = HISTORY_GET};
        uint64_t draw = base_prng_range(&worker->prng, 0, 99);
        if (key != NULL && key->counter && draw < 60) {
            op.kind = HISTORY_ADD;
            op.delta = (int64_t)base_prng_range(&worker->prng, 1, 3);
        } else if (key != NULL && !key->counter && draw < 50) {
            op.kind = HISTORY_PUT;
        } else if (key != NULL && !key->counter && draw < 55) {
            op.kind = HISTORY_DELETE;
        }
        if (key != NULL)
            op_run(workload, worker, key, &op);
        unsigned pause_us = key == NULL ? 1000 : workload->options.pause_us;
        struct timespec pause = {.tv_nsec = (long)pause_us * 1000};
        if (pause_us > 0)
            nanosleep(&pause, NULL);
    }
    return NULL;
}

static void keys_make(struct workload *workload)
{
    workload->key_count = workload->options.registers + workload->options.counters;
    CLUSTER_CHECK(workload->key_count > 0);
    workload->keys = calloc(workload->key_count, sizeof(*workload->keys));
    CLUSTER_CHECK(workload->keys != NULL);
    for (size_t i = 0; i < workload->key_count; i++) {
        struct key *key = &workload->keys[i];
        key->counter = i >= workload->options.registers;
        snprintf(key->name, sizeof(key->name), "%c%zu", key->counter ? 'n' : 'r',
                 key->counter ? i - workload->options.registers : i);
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
                                    .last_write_ns = atomic_load(&workload->last_write_ns)};
}

void workload_end(struct workload *workload)
{
    atomic_store(&workload->stop, true);
    for (unsigned i = 0; i < workload->options.threads; i++)
        CLUSTER_CHECK(pthread_join(workload->workers[i].thread, NULL) == 0);
}

/* ---- Judging --------------------------------------------------------------------------------- */

/* One more read of the key, which must be answered. Returns what it found as a number. */
static int64_t key_read(struct workload *workload, struct key *key)
{
    struct worker *worker = &workload->workers[0];
    uint64_t deadline_ms = cluster_now_ms() + FINAL_READ_MS;
    for (;;) {
        struct history_op op = {.kind = HISTORY_GET};
        size_t index = op_begin(key, worker->number, &op, base_bytes_of(NULL, 0));
        struct client_answer answer = client_command(worker->client, "GET", key->name, NULL);
        op_end(workload, key, index, &op, &answer);
        if (answer.outcome == CLIENT_OK)
            return answer.kind == CLIENT_NIL ? 0
                                             : strtoll((const char *)answer.bytes.data, NULL, 10);
        if (cluster_now_ms() >= deadline_ms)
            cluster_fail("GET %s after the load: %.*s", key->name, (int)answer.bytes.size,
                         (const char *)answer.bytes.data);
    }
}

static void key_judge(struct key *key)
{
    struct history_bounds bounds = history_bounds_default();
    struct history_verdict verdict;
    history_check(base_allocator_system(), &history_string_model, &key->history, &bounds, &verdict);
    if (verdict.answer == HISTORY_VIOLATION)
        cluster_fail("key %s: %zu operations, no order of which gives the answers; after %zu of "
                     "them nothing lets operation %zu (kind %d, process %" PRIu64 ") follow",
                     key->name, key->history.count, verdict.prefix_count, verdict.stuck,
                     (int)key->history.ops[verdict.stuck].kind,
                     key->history.ops[verdict.stuck].process);
    if (verdict.answer == HISTORY_UNDECIDED)
        cluster_fail("key %s: %zu operations are too many to judge", key->name, key->history.count);
    history_verdict_fini(&verdict, base_allocator_system());
}

void workload_check(struct workload *workload)
{
    for (size_t i = 0; i < workload->key_count; i++) {
        struct key *key = &workload->keys[i];
        int64_t found = key_read(workload, key);
        if (key->counter && (found < key->added || found > key->added + key->added_perhaps))
            cluster_fail("counter %s is %" PRId64 "; acknowledged additions are %" PRId64
                         ", those of unknown outcome %" PRId64,
                         key->name, found, key->added, key->added_perhaps);
        key_judge(key);
    }
}

void workload_free(struct workload *workload)
{
    for (unsigned i = 0; i < workload->options.threads; i++)
        client_close(workload->workers[i].client);
    for (size_t i = 0; i < workload->key_count; i++) {
        history_fini(&workload->keys[i].history);
        pthread_mutex_destroy(&workload->keys[i].lock);
    }
    free(workload->keys);
    free(workload);
}
