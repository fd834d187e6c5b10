#include "tests/cluster/lib/probe.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/lib/cluster.h"

enum { CONNECTIONS = 24, RECORDS_MAX = 1 << 15, INTERVAL_NS = PROBE_INTERVAL_MS * 1000000 };

struct connection {
    redisContext *context;
    bool busy;
    uint64_t sent_ns;
};

/* An acknowledged write. */
struct record {
    uint64_t sent_ns, done_ns;
};

struct probe {
    const char *key;
    pthread_t thread;
    atomic_bool stop;
    struct connection connections[CONNECTIONS];
    pthread_mutex_t lock;   /* Over the rest. */
    struct record *records; /* In the order of done_ns. */
    size_t record_count;
    uint64_t underway, unknown;
};

static void connection_open(struct connection *connection, uint16_t port)
{
    connection->context = redisConnect("127.0.0.1", port);
    CLUSTER_CHECK(connection->context != NULL && connection->context->err == 0);
    int flags = fcntl(connection->context->fd, F_GETFL);
    CLUSTER_CHECK(fcntl(connection->context->fd, F_SETFL, flags | O_NONBLOCK) == 0);
    connection->context->flags &= ~REDIS_BLOCK;
}

static void probe_send(struct probe *probe, uint64_t now_ns)
{
    struct connection *free_one = NULL;
    int done = 0;
    for (size_t i = 0; i < CONNECTIONS && free_one == NULL; i++) {
        if (!probe->connections[i].busy)
            free_one = &probe->connections[i];
    }
    if (free_one == NULL)
        return; /* As many are under way as a client would ever send; they are all late. */
    redisAppendCommand(free_one->context, "SET %s %llu", probe->key, (unsigned long long)now_ns);
    free_one->busy = true;
    free_one->sent_ns = now_ns;
    pthread_mutex_lock(&probe->lock);
    probe->underway++;
    pthread_mutex_unlock(&probe->lock);
    CLUSTER_CHECK(redisBufferWrite(free_one->context, &done) == REDIS_OK && done == 1);
}

static void reply_note(struct probe *probe, struct connection *connection, const redisReply *reply)
{
    bool error = reply->type == REDIS_REPLY_ERROR;
    pthread_mutex_lock(&probe->lock);
    probe->underway--;
    if (!error) {
        CLUSTER_CHECK(probe->record_count < RECORDS_MAX);
        probe->records[probe->record_count++] =
            (struct record){connection->sent_ns, cluster_now_ns()};
    } else if (strncmp(reply->str, "UNKNOWN", 7) == 0) {
        probe->unknown++;
    }
    pthread_mutex_unlock(&probe->lock);
    connection->busy = false;
}

static void connection_read(struct probe *probe, struct connection *connection)
{
    void *reply = NULL;
    if (redisBufferRead(connection->context) != REDIS_OK)
        cluster_fail("a probe of key %s lost its connection: %s", probe->key,
                     connection->context->errstr);
    while (redisGetReplyFromReader(connection->context, &reply) == REDIS_OK && reply != NULL) {
        reply_note(probe, connection, reply);
        freeReplyObject(reply);
    }
}

static void *probe_main(void *context)
{
    struct probe *probe = context;
    struct pollfd fds[CONNECTIONS];
    uint64_t next_ns = cluster_now_ns();
    while (!atomic_load(&probe->stop)) {
        uint64_t now_ns = cluster_now_ns();
        if (now_ns >= next_ns) {
            probe_send(probe, now_ns);
            next_ns = now_ns + INTERVAL_NS;
        }
        for (size_t i = 0; i < CONNECTIONS; i++)
            fds[i] = (struct pollfd){.fd = probe->connections[i].context->fd, .events = POLLIN};
        poll(fds, CONNECTIONS, (int)((next_ns - now_ns + 999999) / 1000000));
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (fds[i].revents != 0)
                connection_read(probe, &probe->connections[i]);
        }
    }
    return NULL;
}

struct probe *probe_start(uint16_t port, const char *key)
{
    struct probe *probe = calloc(1, sizeof(*probe));
    CLUSTER_CHECK(probe != NULL);
    probe->records = calloc(RECORDS_MAX, sizeof(*probe->records));
    CLUSTER_CHECK(probe->records != NULL);
    probe->key = key;
    pthread_mutex_init(&probe->lock, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++)
        connection_open(&probe->connections[i], port);
    CLUSTER_CHECK(pthread_create(&probe->thread, NULL, probe_main, probe) == 0);
    return probe;
}

void probe_end(struct probe *probe)
{
    atomic_store(&probe->stop, true);
    CLUSTER_CHECK(pthread_join(probe->thread, NULL) == 0);
}

void probe_free(struct probe *probe)
{
    for (size_t i = 0; i < CONNECTIONS; i++)
        redisFree(probe->connections[i].context);
    pthread_mutex_destroy(&probe->lock);
    free(probe->records);
    free(probe);
}

uint64_t probe_first_after(struct probe *probe, uint64_t time_ns)
{
    uint64_t first_ns = 0;
    pthread_mutex_lock(&probe->lock);
    for (size_t i = 0; i < probe->record_count && first_ns == 0; i++) {
        if (probe->records[i].sent_ns >= time_ns)
            first_ns = probe->records[i].done_ns;
    }
    pthread_mutex_unlock(&probe->lock);
    return first_ns;
}

uint64_t probe_longest_pause(struct probe *probe, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t longest_ns = 0;
    pthread_mutex_lock(&probe->lock);
    for (size_t i = 1; i < probe->record_count; i++) {
        uint64_t before_ns = probe->records[i - 1].done_ns, after_ns = probe->records[i].done_ns;
        if (after_ns > from_ns && before_ns < to_ns && after_ns - before_ns > longest_ns)
            longest_ns = after_ns - before_ns;
    }
    pthread_mutex_unlock(&probe->lock);
    return longest_ns;
}

uint64_t probe_underway(struct probe *probe)
{
    pthread_mutex_lock(&probe->lock);
    uint64_t underway = probe->underway;
    pthread_mutex_unlock(&probe->lock);
    return underway;
}

uint64_t probe_unknown(struct probe *probe)
{
    pthread_mutex_lock(&probe->lock);
    uint64_t unknown = probe->unknown;
    pthread_mutex_unlock(&probe->lock);
    return unknown;
}
