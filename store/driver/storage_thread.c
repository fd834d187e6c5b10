#include "store/driver/storage_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"

enum {
    US_PER_MS = 1000,
    /* A full disk is asked again for a spare after this long. */
    FULL_PAUSE_US = 1000 * US_PER_MS,
};

/* A first-in-first-out chain. */
struct chain {
    struct store_request *head;
    struct store_request *tail;
};

struct store_thread {
    /* The loop's. */
    size_t requests_max;
    size_t in_hand; /* Submitted and not taken back. */
    pthread_t thread;

    /* Set before the thread runs, then constant. */
    int event_fd;
    uint32_t payload_max;

    /* Shared, under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct chain submitted;
    struct chain finished;
    bool stopping;

    /* The thread's. */
    struct store_log *log;
    const struct store_device *device;
    struct store_superblock *superblock;
    struct store_record *records; /* All records of one append. */
    size_t record_capacity;
    uint64_t batch;
    uint64_t written_at_us; /* Of the last append. */
    uint64_t prepare_at_us; /* No spare is made before. */
    bool prepared;          /* There are enough spares. */
};

static void chain_add(struct chain *chain, struct store_request *request)
{
    request->next = NULL;
    if (chain->tail == NULL)
        chain->head = request;
    else
        chain->tail->next = request;
    chain->tail = request;
}

static struct chain chain_take(struct chain *chain)
{
    struct chain taken = *chain;
    *chain = (struct chain){0};
    return taken;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* --- What the thread does --- */

/* All writes that wait become one append, in the order of their submission. */
static void do_writes(struct store_thread *thread, const struct chain *taken)
{
    size_t count = 0;
    for (struct store_request *request = taken->head; request != NULL; request = request->next) {
        if (request->kind != STORE_REQUEST_WRITE)
            continue;
        thread->records =
            base_array_reserve(base_allocator_system(), thread->records, &thread->record_capacity,
                               count + request->u.write.count, sizeof *thread->records);
        for (size_t i = 0; i < request->u.write.count; i++)
            thread->records[count++] = request->u.write.records[i];
    }
    if (count == 0)
        return;
    uint64_t began_us = now_us();
    enum torc_status status = store_log_append(thread->log, thread->records, count, &thread->batch);
    thread->written_at_us = now_us();
    thread->prepared = false; /* It may have taken a spare. */
    for (struct store_request *request = taken->head; request != NULL; request = request->next) {
        if (request->kind != STORE_REQUEST_WRITE)
            continue;
        request->status = status;
        request->took_us = thread->written_at_us - began_us;
    }
}

static enum torc_status read_range(struct store_log *log, struct store_request *request)
{
    uint8_t *buffer = request->u.read.buffer;
    size_t room = request->u.read.buffer_size, count = 0;
    uint64_t slot = request->u.read.slot;
    enum torc_status status = TORC_NOT_FOUND;
    for (; slot <= request->u.read.slot_last && count < request->u.read.records_max; slot++) {
        struct store_record *record = &request->u.read.records[count];
        status = store_log_read(log, request->u.read.group, slot, buffer, room, record);
        if (status != TORC_OK)
            break;
        buffer += record->payload.size;
        room -= record->payload.size;
        count++;
    }
    request->u.read.count = count;
    return count > 0 ? TORC_OK : status;
}

static enum torc_status raise_superblock(struct store_thread *thread,
                                         const struct store_request *request)
{
    struct store_superblock *superblock = thread->superblock;
    bool longer = request->u.superblock.lease_max_ms > superblock->lease_max_ms;
    bool higher = request->u.superblock.feature_level > superblock->feature_level;
    if (longer)
        superblock->lease_max_ms = request->u.superblock.lease_max_ms;
    if (higher)
        superblock->feature_level = request->u.superblock.feature_level;
    return longer || higher ? store_superblock_update(thread->device, superblock) : TORC_OK;
}

static void do_other(struct store_thread *thread, struct store_request *request)
{
    switch (request->kind) {
    case STORE_REQUEST_WRITE:
        return; /* Done with the others. */
    case STORE_REQUEST_READ:
        request->status = read_range(thread->log, request);
        return;
    case STORE_REQUEST_TRIM:
        request->status = store_log_trim(thread->log, request->u.trim.group, request->u.trim.slot);
        thread->prepared = false;
        return;
    case STORE_REQUEST_SUPERBLOCK:
        request->status = raise_superblock(thread, request);
        return;
    case STORE_REQUEST_STATS:
        store_log_stats(thread->log, &request->u.stats);
        request->status = TORC_OK;
        return;
    }
}

/* One piece, so that a write that comes meanwhile waits for no more than that. */
static void do_prepare(struct store_thread *thread)
{
    if (thread->prepared || now_us() < thread->prepare_at_us)
        return;
    enum torc_status status = store_log_prepare(thread->log, &thread->prepared);
    if (status != TORC_OK)
        thread->prepare_at_us = now_us() + FULL_PAUSE_US;
}

static void finish(struct store_thread *thread, struct chain *done)
{
    struct store_log_stats stats;
    store_log_stats(thread->log, &stats);
    pthread_mutex_lock(&thread->mutex);
    for (struct store_request *request = done->head; request != NULL;) {
        struct store_request *next = request->next;
        request->batch = stats.position.batch;
        chain_add(&thread->finished, request);
        request = next;
    }
    pthread_mutex_unlock(&thread->mutex);
    const uint64_t one = 1;
    ssize_t written = write(thread->event_fd, &one, sizeof one);
    TORC_ASSERT(written == sizeof one);
}

/* --- Waiting --- */

static struct timespec timespec_of(uint64_t us)
{
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
}

/* When there is something to do without a request; UINT64_MAX: never. */
static uint64_t due_us(const struct store_thread *thread)
{
    uint64_t due = UINT64_MAX;
    if (!store_log_is_idle(thread->log))
        due = thread->written_at_us + STORE_THREAD_IDLE_MS * US_PER_MS;
    if (!thread->prepared && thread->prepare_at_us < due)
        due = thread->prepare_at_us;
    return due;
}

/* Waits for requests, the time given, or the end; takes what is there. True: go on. */
static bool wait_for_work(struct store_thread *thread, uint64_t until_us, struct chain *ret_taken)
{
    const struct timespec until = timespec_of(until_us);
    int waited = 0;
    pthread_mutex_lock(&thread->mutex);
    while (thread->submitted.head == NULL && !thread->stopping && waited != ETIMEDOUT) {
        if (until_us == UINT64_MAX)
            pthread_cond_wait(&thread->wake, &thread->mutex);
        else
            waited = pthread_cond_timedwait(&thread->wake, &thread->mutex, &until);
    }
    *ret_taken = chain_take(&thread->submitted);
    bool go_on = !thread->stopping || ret_taken->head != NULL;
    pthread_mutex_unlock(&thread->mutex);
    return go_on;
}

/* A failure here is the log's for good, and the next append reports it. */
static void note_position(struct store_thread *thread)
{
    enum torc_status status = store_log_idle(thread->log);
    if (status != TORC_OK)
        thread->written_at_us = now_us();
}

/* Signals are the loop's business. */
static int create_without_signals(struct store_thread *thread, void *(*body)(void *context))
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread->thread, NULL, body, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void *run(void *context)
{
    struct store_thread *thread = context;
    struct chain taken;
    while (wait_for_work(thread, due_us(thread), &taken)) {
        if (taken.head != NULL) {
            do_writes(thread, &taken);
            for (struct store_request *request = taken.head; request != NULL;
                 request = request->next)
                do_other(thread, request);
            finish(thread, &taken);
        } else if (now_us() >= thread->written_at_us + STORE_THREAD_IDLE_MS * US_PER_MS) {
            note_position(thread);
        }
        do_prepare(thread);
    }
    note_position(thread);
    return NULL;
}

/* --- What the loop calls --- */

enum torc_status store_thread_start(struct store_log *log, const struct store_device *device,
                                    struct store_superblock *superblock, size_t requests_max,
                                    struct store_thread **ret_thread)
{
    TORC_ASSERT(requests_max > 0);
    const struct base_allocator *allocator = base_allocator_system();
    struct store_thread *thread = base_alloc_zero(allocator, sizeof *thread);
    thread->requests_max = requests_max;
    thread->payload_max = store_log_payload_max(store_log_config_of(log));
    thread->log = log;
    thread->device = device;
    thread->superblock = superblock;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&thread->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&thread->mutex, NULL);
    thread->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = errno;
    if (thread->event_fd >= 0) {
        error = create_without_signals(thread, run);
        if (error == 0) {
            *ret_thread = thread;
            return TORC_OK;
        }
        close(thread->event_fd);
    }
    pthread_mutex_destroy(&thread->mutex);
    pthread_cond_destroy(&thread->wake);
    base_free(allocator, thread, sizeof *thread);
    errno = error;
    return TORC_IO;
}

enum torc_status store_thread_submit(struct store_thread *thread, struct store_request *request)
{
    if (thread->in_hand == thread->requests_max)
        return TORC_FULL;
    TORC_ASSERT(request->kind != STORE_REQUEST_WRITE || request->u.write.count > 0);
    if (request->kind == STORE_REQUEST_WRITE)
        for (size_t i = 0; i < request->u.write.count; i++)
            if (request->u.write.records[i].payload.size > thread->payload_max)
                return TORC_TOO_LARGE;
    thread->in_hand++;
    pthread_mutex_lock(&thread->mutex);
    TORC_ASSERT(!thread->stopping);
    chain_add(&thread->submitted, request);
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
    return TORC_OK;
}

int store_thread_fd(const struct store_thread *thread)
{
    return thread->event_fd;
}

struct store_request *store_thread_take(struct store_thread *thread)
{
    /* First the event, then the chain: what finishes in between announces itself again. */
    uint64_t events;
    ssize_t size = read(thread->event_fd, &events, sizeof events);
    TORC_ASSERT(size == sizeof events || errno == EAGAIN);
    pthread_mutex_lock(&thread->mutex);
    struct chain taken = chain_take(&thread->finished);
    pthread_mutex_unlock(&thread->mutex);
    for (struct store_request *request = taken.head; request != NULL; request = request->next)
        thread->in_hand--;
    return taken.head;
}

struct store_request *store_thread_stop(struct store_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    thread->stopping = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->mutex);
    int joined = pthread_join(thread->thread, NULL);
    TORC_ASSERT(joined == 0);
    struct store_request *finished = store_thread_take(thread);
    TORC_ASSERT(thread->in_hand == 0);
    close(thread->event_fd);
    pthread_mutex_destroy(&thread->mutex);
    pthread_cond_destroy(&thread->wake);
    base_array_free(base_allocator_system(), thread->records, &thread->record_capacity,
                    sizeof *thread->records);
    base_free(base_allocator_system(), thread, sizeof *thread);
    return finished;
}
