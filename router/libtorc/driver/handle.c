#include "router/libtorc/driver/handle.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "router/courier.h"
#include "router/libtorc/driver/io.h"
#include "router/libtorc/queue.h"
#include "router/libtorc/reply.h"
#include "router/libtorc/request.h"
#include "router/map.h"

enum {
    TIMEOUT_MS_PRESET = 5000,
    INFLIGHT_PRESET = 4096,
    INFLIGHT_MAX = 1000000,
    SEEDS_MAX = 1024,
};
#define INFLIGHT_SIZE_PRESET ((size_t)256 << 20)

struct torc {
    pthread_mutex_t lock; /* Around the queue, the waiters' replies and `dispatching`. */
    struct libtorc_queue queue;
    unsigned dispatching; /* Threads that run completion functions in torc_dispatch. */
    int fd;               /* -1: completions run on the library's thread. */
    struct libtorc_io *io;
    pthread_t thread;
    uint32_t timeout_ms;
    char **seeds;
    size_t seed_count;
};

struct waiter { /* On the stack of a synchronous call. */
    pthread_cond_t cond;
    struct torc_reply *reply;
};

static void lock(struct torc *torc)
{
    int error = pthread_mutex_lock(&torc->lock);
    TORC_ASSERT(error == 0);
}

static void unlock(struct torc *torc)
{
    int error = pthread_mutex_unlock(&torc->lock);
    TORC_ASSERT(error == 0);
}

static bool on_own_thread(const struct torc *torc)
{
    return pthread_equal(pthread_self(), torc->thread) != 0;
}

/* ---- On the library's thread
 * --------------------------------------------------------------------- */

static bool on_take(void *context, struct libtorc_list *ret_calls)
{
    struct torc *torc = context;
    lock(torc);
    *ret_calls = libtorc_queue_take(&torc->queue);
    bool closed = torc->queue.closed;
    unlock(torc);
    return !closed;
}

static void on_turned(void *context, uint64_t copies, uint64_t leader_changes)
{
    struct torc *torc = context;
    lock(torc);
    torc->queue.counters.copies = copies;
    torc->queue.counters.leader_changes = leader_changes;
    unlock(torc);
}

/* Runs the completion function of a call that counts no more. */
static void complete(struct libtorc_call *call)
{
    if (call->done != NULL)
        call->done(call->context, call->reply);
    libtorc_call_free(call);
}

static void wake_waiter(struct torc *torc, struct libtorc_call *call)
{
    struct waiter *waiter = call->waiter;
    lock(torc);
    libtorc_queue_release(&torc->queue, call);
    waiter->reply = call->reply;
    call->reply = NULL;
    /* Under the lock: the waiter's stack is there until it has it. */
    pthread_cond_signal(&waiter->cond);
    unlock(torc);
    libtorc_call_free(call);
}

static void keep(struct torc *torc, struct libtorc_call *call)
{
    const uint64_t one = 1;
    lock(torc);
    if (libtorc_queue_keep(&torc->queue, call)) {
        ssize_t written = write(torc->fd, &one, sizeof(one));
        TORC_ASSERT(written == sizeof(one));
    }
    unlock(torc);
}

static void on_done(void *context, struct libtorc_call *call)
{
    struct torc *torc = context;
    if (call->waiter != NULL) {
        wake_waiter(torc, call);
    } else if (torc->fd >= 0) {
        keep(torc, call);
    } else {
        lock(torc);
        libtorc_queue_release(&torc->queue, call);
        unlock(torc);
        complete(call);
    }
}

static void *run(void *context)
{
    struct torc *torc = context;
    libtorc_io_run(torc->io);
    return NULL;
}

/* ---- Opening
 * ------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_cluster(const char *text, struct wire_id *ret_id)
{
    size_t count = 0;
    memset(ret_id, 0, sizeof(*ret_id));
    for (; text != NULL && *text != '\0'; text++) {
        int digit = hex_digit(*text);
        if (*text == '-')
            continue;
        if (digit < 0 || count == 2 * WIRE_ID_SIZE)
            return false;
        ret_id->bytes[count / 2] = (uint8_t)(ret_id->bytes[count / 2] << 4 | digit);
        count++;
    }
    return count == 2 * WIRE_ID_SIZE;
}

static bool is_address(const char *text)
{
    return text != NULL && strncmp(text, "tcp://", 6) == 0 && strrchr(text, ':') > text + 5 &&
           strlen(text) < ROUTER_ADDRESS_SIZE_MAX;
}

/* What is wrong with the options, or NULL; fills in what they leave open. */
static const char *options_flaw(struct torc_options *options, struct wire_id *ret_cluster)
{
    if (!read_cluster(options->cluster, ret_cluster))
        return "cluster: 32 hexadecimal digits are wanted";
    if (options->seed_count == 0 || options->seed_count > SEEDS_MAX || options->seeds == NULL)
        return "seeds: 1 to 1024 addresses are wanted";
    for (size_t i = 0; i < options->seed_count; i++) {
        if (!is_address(options->seeds[i]))
            return "seeds: each is an address such as tcp://127.0.0.1:7401";
    }
    if (options->completion != TORC_COMPLETE_ON_THREAD &&
        options->completion != TORC_COMPLETE_BY_DISPATCH)
        return "completion: none of enum torc_completion";
    if (options->timeout_ms > ROUTER_TIMEOUT_MS_MAX)
        return "timeout_ms: at most 50000";
    if (options->inflight_max > INFLIGHT_MAX)
        return "inflight_max: at most 1000000";
    if (options->timeout_ms == 0)
        options->timeout_ms = TIMEOUT_MS_PRESET;
    if (options->inflight_max == 0)
        options->inflight_max = INFLIGHT_PRESET;
    if (options->inflight_size_max == 0)
        options->inflight_size_max = INFLIGHT_SIZE_PRESET;
    return NULL;
}

static void torc_free(struct torc *torc)
{
    libtorc_io_free(torc->io);
    if (torc->fd >= 0)
        close(torc->fd);
    for (size_t i = 0; i < torc->seed_count; i++)
        free(torc->seeds[i]);
    free(torc->seeds);
    pthread_mutex_destroy(&torc->lock);
    free(torc);
}

static struct torc *torc_new(const struct torc_options *options)
{
    struct torc *torc = calloc(1, sizeof(*torc));
    TORC_ASSERT(torc != NULL);
    pthread_mutex_init(&torc->lock, NULL);
    torc->fd = -1;
    torc->timeout_ms = options->timeout_ms;
    torc->queue.count_max = options->inflight_max;
    torc->queue.size_max = options->inflight_size_max;
    torc->seeds = calloc(options->seed_count, sizeof(*torc->seeds));
    TORC_ASSERT(torc->seeds != NULL);
    for (; torc->seed_count < options->seed_count; torc->seed_count++) {
        torc->seeds[torc->seed_count] = strdup(options->seeds[torc->seed_count]);
        TORC_ASSERT(torc->seeds[torc->seed_count] != NULL);
    }
    return torc;
}

static enum torc_status open_io(struct torc *torc, const struct torc_options *options,
                                const struct wire_id *cluster, char *text)
{
    struct libtorc_io_config config = {
        .cluster = *cluster,
        .seeds = (const char *const *)torc->seeds,
        .seed_count = torc->seed_count,
        .timeout_ms = options->timeout_ms,
        .inflight_max = options->inflight_max,
        .inflight_size_max = options->inflight_size_max,
        .take = on_take,
        .done = on_done,
        .turned = on_turned,
        .context = torc,
    };
    if (options->completion == TORC_COMPLETE_BY_DISPATCH) {
        torc->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (torc->fd < 0) {
            snprintf(text, TORC_TEXT_SIZE, "eventfd: %s", strerror(errno));
            return TORC_IO;
        }
    }
    return libtorc_io_new(&config, text, &torc->io);
}

/* The thread takes no signals: they are the application's. */
static enum torc_status start_thread(struct torc *torc, char *text)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&torc->thread, NULL, run, torc);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        snprintf(text, TORC_TEXT_SIZE, "the system gives no thread");
    return error == 0 ? TORC_OK : TORC_NO_MEMORY;
}

enum torc_status torc_open(const struct torc_options *options, char *text, struct torc **ret_torc)
{
    char unwanted[TORC_TEXT_SIZE];
    struct torc_options read;
    struct wire_id cluster;
    const char *flaw = "struct_size: sizeof(struct torc_options) is wanted";
    if (text == NULL)
        text = unwanted;
    if (libtorc_struct_read(options, options->struct_size, &read, sizeof(read)))
        flaw = options_flaw(&read, &cluster);
    if (flaw != NULL) {
        snprintf(text, TORC_TEXT_SIZE, "%s", flaw);
        return TORC_INVALID;
    }
    struct torc *torc = torc_new(&read);
    enum torc_status status = open_io(torc, &read, &cluster, text);
    if (status == TORC_OK)
        status = start_thread(torc, text);
    if (status != TORC_OK) {
        torc_free(torc);
        return status;
    }
    *ret_torc = torc;
    return TORC_OK;
}

void torc_close(struct torc *torc)
{
    if (torc == NULL)
        return;
    TORC_ASSERT(!on_own_thread(torc));
    lock(torc);
    TORC_ASSERT(torc->dispatching == 0);
    libtorc_queue_close(&torc->queue);
    unlock(torc);
    libtorc_io_wake(torc->io);
    int error = pthread_join(torc->thread, NULL);
    TORC_ASSERT(error == 0);
    while (torc_dispatch(torc, 0) > 0)
        ;
    torc_free(torc);
}

/* ---- Calls
 * --------------------------------------------------------------------------------------- */

bool libtorc_handle_timeout(const struct torc *torc, uint32_t timeout_ms, uint64_t *ret_timeout_us)
{
    if (timeout_ms > ROUTER_TIMEOUT_MS_MAX)
        return false;
    *ret_timeout_us = (uint64_t)(timeout_ms == 0 ? torc->timeout_ms : timeout_ms) * 1000;
    return true;
}

static enum torc_status refuse(struct torc *torc, enum torc_status status)
{
    lock(torc);
    torc->queue.counters.refused++;
    unlock(torc);
    return status;
}

/* How the reads of a request are done; false: that is not a way. */
static bool consistency_read(const struct torc_call_options *options, uint8_t *ret_flags)
{
    switch (options->consistency) {
    case TORC_READ_QUORUM:
        *ret_flags = WIRE_REQUEST_QUORUM;
        return options->staleness_ms == 0;
    case TORC_READ_LEASE:
        *ret_flags = 0; /* What the group was made for. */
        return options->staleness_ms == 0;
    case TORC_READ_STALE:
        *ret_flags = WIRE_REQUEST_STALE;
        return options->staleness_ms > 0;
    }
    return false;
}

/* The call that was asked for; TORC_INVALID, TORC_TOO_LARGE. */
static enum torc_status call_make(struct torc *torc, const struct torc_request *request,
                                  const struct torc_call_options *options,
                                  struct libtorc_call **ret_call)
{
    struct torc_call_options read = {.struct_size = sizeof(read)};
    uint64_t timeout_us;
    if (options != NULL && !libtorc_struct_read(options, options->struct_size, &read, sizeof(read)))
        return TORC_INVALID;
    if (request->flaw != TORC_OK)
        return request->flaw;
    uint8_t flags;
    if (request->op_count == 0 || !libtorc_handle_timeout(torc, read.timeout_ms, &timeout_us) ||
        !consistency_read(&read, &flags))
        return TORC_INVALID;
    *ret_call = libtorc_call_new(router_buffer_bytes(&request->ops), request->op_count);
    (*ret_call)->deadline_us = libtorc_io_now_us() + timeout_us;
    (*ret_call)->flags = request->writes ? 0 : flags;
    (*ret_call)->staleness_ms = request->writes ? 0 : read.staleness_ms;
    return TORC_OK;
}

/* Gives a call to the library's thread; the lock is held. */
static enum torc_status push(struct torc *torc, struct libtorc_call *call)
{
    bool wake;
    enum torc_status status = libtorc_queue_push(&torc->queue, call, &wake);
    if (status == TORC_OK && wake)
        libtorc_io_wake(torc->io);
    return status;
}

enum torc_status torc_submit(struct torc *torc, const struct torc_request *request,
                             const struct torc_call_options *options, torc_done done, void *context)
{
    struct libtorc_call *call;
    enum torc_status status = call_make(torc, request, options, &call);
    if (status != TORC_OK)
        return refuse(torc, status);
    call->done = done;
    call->context = context;
    lock(torc);
    status = push(torc, call);
    unlock(torc);
    if (status != TORC_OK)
        libtorc_call_free(call);
    return status;
}

static struct torc_reply *not_taken(enum torc_status status)
{
    return libtorc_reply_failed(TORC_DID_NOT_HAPPEN, status, "the call was not taken");
}

struct torc_reply *libtorc_handle_wait(struct torc *torc, struct libtorc_call *call)
{
    struct waiter waiter = {.reply = NULL};
    if (on_own_thread(torc)) {
        libtorc_call_free(call);
        return not_taken(refuse(torc, TORC_INVALID));
    }
    pthread_cond_init(&waiter.cond, NULL);
    call->waiter = &waiter;
    lock(torc);
    enum torc_status status = push(torc, call);
    while (status == TORC_OK && waiter.reply == NULL)
        pthread_cond_wait(&waiter.cond, &torc->lock);
    unlock(torc);
    pthread_cond_destroy(&waiter.cond);
    if (status == TORC_OK)
        return waiter.reply;
    libtorc_call_free(call);
    return not_taken(status);
}

struct torc_reply *torc_call(struct torc *torc, const struct torc_request *request,
                             const struct torc_call_options *options)
{
    struct libtorc_call *call;
    enum torc_status status = call_make(torc, request, options, &call);
    if (status != TORC_OK)
        return not_taken(refuse(torc, status));
    return libtorc_handle_wait(torc, call);
}

/* ---- Completion by dispatch
 * ---------------------------------------------------------------------- */

int torc_fd(const struct torc *torc)
{
    return torc->fd;
}

/* Takes the next call to be told; the last one leaves the descriptor unreadable. */
static struct libtorc_call *dispatch_take(struct torc *torc)
{
    bool last;
    lock(torc);
    struct libtorc_call *call = libtorc_queue_reply(&torc->queue, &last);
    if (call != NULL && last) {
        uint64_t count;
        ssize_t got = read(torc->fd, &count, sizeof(count));
        TORC_ASSERT(got == sizeof(count));
    }
    torc->dispatching += call != NULL;
    unlock(torc);
    return call;
}

size_t torc_dispatch(struct torc *torc, size_t count_max)
{
    size_t count = 0;
    struct libtorc_call *call;
    while ((count_max == 0 || count < count_max) && (call = dispatch_take(torc)) != NULL) {
        complete(call);
        lock(torc);
        torc->dispatching--;
        unlock(torc);
        count++;
    }
    return count;
}

void torc_get_counters(struct torc *torc, struct torc_counters *ret_counters, size_t struct_size)
{
    lock(torc);
    struct torc_counters counters = torc->queue.counters;
    counters.inflight = torc->queue.count;
    unlock(torc);
    memcpy(ret_counters, &counters,
           struct_size < sizeof(counters) ? struct_size : sizeof(counters));
}
