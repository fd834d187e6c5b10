#include "tests/lib/kv_trace.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/prng.h"

enum {
    KEYS = 60,
    KEY_SIZE_MAX = 12,
    VALUE_SIZE_MAX = 600,
    SNAPSHOTS = 3,
    WRITES_MAX = 9,
    BUSY_MS_MAX = 20000
};

/* The number of the value that each key has; 0: none. */
struct state {
    uint32_t values[KEYS];
};

struct view {
    struct store_snapshot *snapshot;
    uint32_t batch;
};

struct kv_trace {
    struct base_prng prng;
    struct state *states; /* states[b]: after batch b. */
    uint32_t written, batches_max;
    uint32_t flushed; /* Seen so far; never falls. */
    uint32_t value_last;
    uint64_t hash;
    struct view views[SNAPSHOTS];
    struct store_batch *batch;
};

static const struct base_bytes counter_key = {(const uint8_t *)"\xff"
                                                               "batches",
                                              8};

/* Keys in order, some of them a beginning of the next, some with zero and high bytes. */
static struct base_bytes key_of(uint32_t index, uint8_t memory[KEY_SIZE_MAX])
{
    memory[0] = (uint8_t)(1 + index / 4 * 5);
    memset(memory + 1, index % 4 < 2 ? 0x00 : 0xff, 3);
    return base_bytes_of(memory, 1 + index % 4);
}

static struct base_bytes value_of(uint32_t number, uint8_t memory[VALUE_SIZE_MAX])
{
    struct base_prng prng = base_prng_seeded(number);
    size_t size =
        (size_t)base_prng_range(&prng, 0, base_prng_chance(&prng, 1, 8) ? VALUE_SIZE_MAX : 24);
    for (size_t i = 0; i < size; i++)
        memory[i] = (uint8_t)base_prng_next(&prng);
    return base_bytes_of(memory, size);
}

static uint32_t drawn(struct kv_trace *trace, uint32_t min, uint32_t max)
{
    return (uint32_t)base_prng_range(&trace->prng, min, max);
}

static void seen(struct kv_trace *trace, enum torc_status status, struct base_bytes bytes)
{
    trace->hash = base_hash_seeded(bytes, trace->hash + (uint64_t)status);
}

struct kv_trace *kv_trace_new(uint64_t seed, uint32_t batches_max)
{
    struct kv_trace *trace = calloc(1, sizeof(*trace));
    TORC_ASSERT(trace != NULL);
    trace->prng = base_prng_seeded(seed);
    trace->states = calloc(batches_max + 1, sizeof(*trace->states));
    TORC_ASSERT(trace->states != NULL);
    trace->batches_max = batches_max;
    trace->batch = store_batch_new(base_allocator_system());
    return trace;
}

void kv_trace_free(struct kv_trace *trace)
{
    store_batch_free(trace->batch);
    free(trace->states);
    free(trace);
}

uint32_t kv_trace_written(const struct kv_trace *trace)
{
    return trace->written;
}

uint64_t kv_trace_hash(const struct kv_trace *trace)
{
    return trace->hash;
}

/* ---- Steps --------------------------------------------------------------------------------------
 */

static void step_write(struct kv_trace *trace, struct store_kv *kv)
{
    TORC_ASSERT(trace->written < trace->batches_max);
    struct state *state = &trace->states[trace->written + 1];
    *state = trace->states[trace->written];
    trace->written++;
    store_batch_clear(trace->batch);
    for (uint32_t left = drawn(trace, 0, WRITES_MAX); left > 0; left--) {
        uint8_t key_memory[KEY_SIZE_MAX], value_memory[VALUE_SIZE_MAX];
        uint32_t index = drawn(trace, 0, KEYS - 1);
        struct base_bytes key = key_of(index, key_memory);
        if (base_prng_chance(&trace->prng, 1, 3)) {
            store_batch_delete(trace->batch, key);
            state->values[index] = 0;
        } else {
            state->values[index] = ++trace->value_last;
            store_batch_put(trace->batch, key, value_of(trace->value_last, value_memory));
        }
    }
    uint8_t counter[4];
    base_put_le32(counter, trace->written);
    store_batch_put(trace->batch, counter_key, base_bytes_of(counter, 4));
    /* A store over a disk may be busy, for a while. */
    enum torc_status status = TORC_BUSY;
    for (int tries = 0; status == TORC_BUSY && tries < BUSY_MS_MAX; tries++) {
        status = store_kv_write(kv, trace->batch);
        if (status == TORC_BUSY)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    TORC_ASSERT(status == TORC_OK);
}

/* `number` 0: absent. */
static void check_value(uint32_t number, enum torc_status status, struct base_bytes value)
{
    uint8_t memory[VALUE_SIZE_MAX];
    TORC_ASSERT(status == (number == 0 ? TORC_NOT_FOUND : TORC_OK));
    if (number != 0)
        TORC_ASSERT(base_bytes_equal(value, value_of(number, memory)));
}

static struct view any_view(struct kv_trace *trace)
{
    struct view view = trace->views[drawn(trace, 0, SNAPSHOTS - 1)];
    return view.snapshot != NULL ? view : (struct view){.batch = trace->written};
}

static void step_get(struct kv_trace *trace, struct store_kv *kv)
{
    uint8_t key_memory[KEY_SIZE_MAX];
    struct view view = any_view(trace);
    uint32_t index = drawn(trace, 0, KEYS - 1);
    struct store_value value = {0};
    enum torc_status status = store_kv_get(kv, view.snapshot, key_of(index, key_memory), &value);
    /* A value that was given stays as it is, whatever is written while it is held. */
    if (status == TORC_OK && base_prng_chance(&trace->prng, 1, 4) &&
        trace->written < trace->batches_max)
        step_write(trace, kv);
    check_value(trace->states[view.batch].values[index], status, value.bytes);
    seen(trace, status, value.bytes);
    if (status == TORC_OK)
        store_value_release(&value);
}

static void step_snapshot(struct kv_trace *trace, struct store_kv *kv)
{
    struct view *view = &trace->views[drawn(trace, 0, SNAPSHOTS - 1)];
    store_snapshot_release(kv, view->snapshot);
    *view = (struct view){0};
    if (base_prng_chance(&trace->prng, 2, 3))
        *view = (struct view){store_kv_snapshot(kv), trace->written};
}

/* Compares an iteration from key index `first` to before `end` with the state. */
static void check_range(struct kv_trace *trace, struct store_kv *kv,
                        struct store_iterator *iterator, const struct state *state, uint32_t first,
                        uint32_t end, bool write)
{
    uint8_t key_memory[KEY_SIZE_MAX];
    struct base_bytes key = {0}, value = {0};
    for (uint32_t index = first; index < end; index++) {
        if (state->values[index] == 0)
            continue;
        enum torc_status status = store_iterator_next(iterator, &key, &value);
        TORC_ASSERT(status == TORC_OK);
        TORC_ASSERT(base_bytes_equal(key, key_of(index, key_memory)));
        if (write && trace->written < trace->batches_max)
            step_write(trace, kv);
        check_value(state->values[index], status, value);
        seen(trace, status, key);
        seen(trace, status, value);
    }
    TORC_ASSERT(store_iterator_next(iterator, &key, &value) == TORC_NOT_FOUND);
    TORC_ASSERT(store_iterator_next(iterator, &key, &value) == TORC_NOT_FOUND);
    store_iterator_free(iterator);
}

static void step_iterate(struct kv_trace *trace, struct store_kv *kv)
{
    uint8_t first_memory[KEY_SIZE_MAX], end_memory[KEY_SIZE_MAX];
    struct view view = any_view(trace);
    struct state state = trace->states[view.batch];
    uint32_t first = drawn(trace, 0, KEYS - 1), end = drawn(trace, 0, KEYS - 1);
    struct base_bytes end_key = key_of(end, end_memory);
    struct store_iterator *iterator =
        store_kv_iterate(kv, view.snapshot, key_of(first, first_memory), end_key);
    memset(first_memory, 0, sizeof(first_memory)); /* Both bounds were copied. */
    memset(end_memory, 0, sizeof(end_memory));
    check_range(trace, kv, iterator, &state, first, end, base_prng_chance(&trace->prng, 1, 8));
}

void kv_trace_run(struct kv_trace *trace, struct store_kv *kv, uint32_t steps)
{
    for (; steps > 0; steps--) {
        uint32_t what = drawn(trace, 0, 99);
        if (what < 40 && trace->written < trace->batches_max)
            step_write(trace, kv);
        else if (what < 75)
            step_get(trace, kv);
        else if (what < 85)
            step_snapshot(trace, kv);
        else if (what < 97)
            step_iterate(trace, kv);
        else
            store_kv_flush(kv);
    }
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        store_snapshot_release(kv, trace->views[i].snapshot);
        trace->views[i] = (struct view){0};
    }
}

void kv_trace_write(struct kv_trace *trace, struct store_kv *kv, uint32_t batches)
{
    for (; batches > 0; batches--)
        step_write(trace, kv);
}

/* ---- What is on disk ----------------------------------------------------------------------------
 */

static uint32_t counter_release(enum torc_status status, struct store_value *value)
{
    if (status == TORC_NOT_FOUND)
        return 0;
    TORC_ASSERT(value->bytes.size == 4);
    uint32_t batches = base_get_le32(value->bytes.data);
    store_value_release(value);
    return batches;
}

uint32_t kv_trace_flushed(struct kv_trace *trace, struct store_kv *kv)
{
    struct store_value value;
    enum torc_status status = store_kv_get_flushed(kv, counter_key, &value);
    uint32_t flushed = counter_release(status, &value);
    TORC_ASSERT(flushed >= trace->flushed);
    TORC_ASSERT(flushed <= trace->written);
    trace->flushed = flushed;
    return flushed;
}

uint32_t kv_trace_check_cut(struct kv_trace *trace, struct store_kv *kv, uint32_t batches_min)
{
    struct store_value value;
    enum torc_status status = store_kv_get(kv, NULL, counter_key, &value);
    uint32_t cut = counter_release(status, &value);
    TORC_ASSERT(cut >= batches_min);
    TORC_ASSERT(cut <= trace->written);
    uint8_t first_memory[KEY_SIZE_MAX];
    struct store_iterator *iterator =
        store_kv_iterate(kv, NULL, key_of(0, first_memory), counter_key);
    check_range(trace, kv, iterator, &trace->states[cut], 0, KEYS, false);
    TORC_ASSERT(kv_trace_flushed(trace, kv) == cut);
    trace->written = cut;
    return cut;
}
