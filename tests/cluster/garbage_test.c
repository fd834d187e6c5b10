/*
 * Garbage, truncated and oversized bytes on every port of a cluster under load: that connection is
 * closed, with an error where the protocol has one; every process lives on and every other client
 * is served. Keys and values past the limits get an error that names the limit.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/prng.h"
#include "tests/cluster/lib/client.h"
#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/workload.h"
#include "wire/envelope.h"

enum {
    OPS = 300,
    WAIT_MS = 30000,
    CLIENT_MS = 20000,
    GARBAGE_SIZE = 65536,
    GARBAGE_COUNT = 8, /* Of each kind, to each port. */
    KEY_SIZE_MAX = 4096,
    VALUE_SIZE_MAX = 8 << 20,
    GREETING_SIZE = 64, /* ZMTP's, and where things stand in it. */
    GREETING_MECHANISM = 12,
    FRAME_MORE = 1,
    FRAME_LONG = 2,
    FRAME_COMMAND = 4,
};

static struct base_prng prng;
static uint8_t garbage[GARBAGE_SIZE];

/* ---- Connections ----------------------------------------------------------------------------- */

static int connection_open(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLUSTER_CHECK(fd >= 0);
    CLUSTER_CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0);
    CLUSTER_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
    CLUSTER_CHECK(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

/* As much as the other side takes before it hangs up. */
static void bytes_send(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        size -= (size_t)sent;
    }
}

static void bytes_receive(int fd, void *bytes, size_t size)
{
    CLUSTER_CHECK(recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size);
}

/* Reads until the other side hangs up, which it must; what it said is in `said`, cut when long. */
static void expect_closed(int fd, const char *what, char *said, size_t said_size)
{
    char rest[4096];
    size_t used = 0;
    for (;;) {
        ssize_t size = recv(fd, rest, sizeof(rest), 0);
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            cluster_fail("%s: the connection stays open", what);
        if (size <= 0)
            break; /* The end, or a reset. */
        size_t room = said_size - 1 - used;
        size_t taken = (size_t)size < room ? (size_t)size : room;
        memcpy(said + used, rest, taken);
        used += taken;
    }
    said[used] = '\0';
    close(fd);
}

static void garbage_draw(void)
{
    for (size_t i = 0; i < GARBAGE_SIZE; i++)
        garbage[i] = (uint8_t)base_prng_next(&prng);
}

/* ---- The router's port ----------------------------------------------------------------------- */

struct bad_request {
    const char *bytes, *error; /* error NULL: none, the request was not whole. */
};

static const struct bad_request bad_requests[] = {
    {"*1000000000\r\n", "-ERR Protocol error: too many arguments (the limit args_max"},
    {"*x\r\n", "-ERR Protocol error: invalid multibulk length"},
    {"*2\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"},
    {"*2\r\n$3\r\nGET\r\n$99999999999\r\n", "-ERR Protocol error: invalid bulk length"},
    {"*1\r\n+PING\r\n", "-ERR Protocol error: expected '$', got '+'"},
    {"*2\r\n$3\r\nGET\r\n$5\r\nab", NULL},
    {"*3\r\n$3\r\nSET\r\n", NULL},
    {"GET a", NULL},
};

static void router_refuses(uint16_t port)
{
    char said[4096];
    for (size_t i = 0; i < sizeof(bad_requests) / sizeof(bad_requests[0]); i++) {
        const struct bad_request *bad = &bad_requests[i];
        int fd = connection_open(port);
        bytes_send(fd, bad->bytes, strlen(bad->bytes));
        if (bad->error == NULL)
            CLUSTER_CHECK(shutdown(fd, SHUT_WR) == 0);
        expect_closed(fd, bad->bytes, said, sizeof(said));
        if (bad->error == NULL ? said[0] != '\0'
                               : strncmp(said, bad->error, strlen(bad->error)) != 0)
            cluster_fail("%s: the router said %s", bad->bytes, said);
    }
    int fd = connection_open(port);
    memset(garbage, 'x', sizeof(garbage));
    bytes_send(fd, garbage, sizeof(garbage));
    bytes_send(fd, garbage, sizeof(garbage));
    expect_closed(fd, "a line without end", said, sizeof(said));
    CLUSTER_CHECK(strstr(said, "-ERR Protocol error: too big inline request") != NULL);
    for (unsigned i = 0; i < GARBAGE_COUNT; i++) {
        garbage_draw();
        fd = connection_open(port);
        bytes_send(fd, garbage, sizeof(garbage));
        shutdown(fd, SHUT_WR);
        expect_closed(fd, "garbage to the router", said, sizeof(said));
    }
}

/* ---- The nodes' ports ------------------------------------------------------------------------ */

static void greeting_send(int fd)
{
    uint8_t greeting[GREETING_SIZE] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0};
    memcpy(greeting + GREETING_MECHANISM, "NULL", 4);
    bytes_send(fd, greeting, sizeof(greeting));
}

/* A ZeroMQ peer as far as its hand-shake. */
static int dealer_open(uint16_t port)
{
    static const char ready[] = "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06"
                                "DEALER";
    uint8_t greeting[GREETING_SIZE], head[2], body[255];
    int fd = connection_open(port);
    greeting_send(fd);
    bytes_receive(fd, greeting, sizeof(greeting));
    bytes_send(fd, ready, sizeof(ready) - 1);
    bytes_receive(fd, head, sizeof(head));
    CLUSTER_CHECK(head[0] == FRAME_COMMAND);
    bytes_receive(fd, body, head[1]);
    CLUSTER_CHECK(memcmp(body, "\x05READY", 6) == 0);
    return fd;
}

/* The head of a long frame that says it is so large. */
static void frame_head_send(int fd, uint8_t flags, uint64_t size)
{
    uint8_t head[9] = {(uint8_t)(flags | FRAME_LONG)};
    for (size_t i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(size >> (56 - 8 * i));
    bytes_send(fd, head, sizeof(head));
}

static void frame_send(int fd, uint8_t flags, const void *bytes, size_t size)
{
    frame_head_send(fd, flags, size);
    bytes_send(fd, bytes, size);
}

/* The id that strangers cannot know. */
static struct wire_id id_of(const struct cluster *cluster)
{
    char text[CLUSTER_ID_DIGITS + 1];
    struct wire_id id;
    cluster_id(cluster, text);
    for (size_t i = 0; i < sizeof(id.bytes); i++)
        CLUSTER_CHECK(sscanf(text + 2 * i, "%2hhx", &id.bytes[i]) == 1);
    return id;
}

/* Messages that ZeroMQ delivers and the node must refuse: they come from nobody, from another
 * cluster, from a node whose storage is another, of a life far ahead. */
static void bad_envelopes_send(int fd, const struct wire_id *cluster)
{
    uint8_t message[WIRE_ENVELOPE_SIZE + 8];
    frame_send(fd, 0, "", 0);
    for (unsigned i = 0; i < GARBAGE_COUNT; i++) {
        garbage_draw();
        frame_send(fd, 0, garbage, base_prng_range(&prng, 1, sizeof(garbage)));
    }
    frame_send(fd, FRAME_MORE, garbage, 100); /* One message in two parts. */
    frame_send(fd, 0, garbage, 100);
    for (uint32_t i = 0; i < 32; i++) {
        static const uint8_t body[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
        struct wire_envelope envelope = {.type = (enum wire_type)(1 + i % WIRE_TYPE_STATUS),
                                         .cluster = i < 16 ? *cluster : (struct wire_id){{1}},
                                         .node = i % 4,
                                         .incarnation = UINT32_MAX,
                                         .number = UINT64_MAX - i,
                                         .durable_batch = UINT64_MAX,
                                         .body = base_bytes_of(body, sizeof(body))};
        wire_envelope_write(&envelope, message);
        frame_send(fd, 0, message, sizeof(message)); /* Its body is no protobuf. */
        message[base_prng_range(&prng, 0, sizeof(message) - 1)] ^= 1;
        frame_send(fd, 0, message, sizeof(message)); /* A wrong checksum. */
        frame_send(fd, 0, message, base_prng_range(&prng, 1, sizeof(message) - 1));
    }
}

static void node_refuses(uint16_t port, const struct wire_id *cluster)
{
    char said[4096];
    for (unsigned i = 0; i < GARBAGE_COUNT; i++) {
        garbage_draw();
        garbage[0] = (uint8_t)i; /* Not the first byte of a greeting. */
        int fd = connection_open(port);
        bytes_send(fd, garbage, sizeof(garbage));
        shutdown(fd, SHUT_WR);
        expect_closed(fd, "garbage to a node", said, sizeof(said));
        fd = connection_open(port);
        greeting_send(fd);
        bytes_send(fd, garbage, sizeof(garbage));
        shutdown(fd, SHUT_WR);
        expect_closed(fd, "garbage after a greeting", said, sizeof(said));
    }
    int fd = dealer_open(port);
    bad_envelopes_send(fd, cluster);
    frame_head_send(fd, 0, UINT64_C(1) << 40);
    expect_closed(fd, "a frame of 1 TiB", said, sizeof(said));
    fd = dealer_open(port);
    frame_head_send(fd, 0, 1000);
    bytes_send(fd, garbage, 10);
    shutdown(fd, SHUT_WR);
    expect_closed(fd, "a frame cut short", said, sizeof(said));
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void limits_are_named(uint16_t port)
{
    struct client *client = client_open(port, CLIENT_MS);
    uint8_t *large = calloc(1, VALUE_SIZE_MAX + 1);
    CLUSTER_CHECK(large != NULL);
    memset(large, 'v', VALUE_SIZE_MAX + 1);
    struct base_bytes set = base_bytes_text("SET"), key = base_bytes_text("large"),
                      value = base_bytes_text("value");
    struct base_bytes key_over[] = {set, base_bytes_of(large, KEY_SIZE_MAX + 1), value};
    struct base_bytes value_over[] = {set, key, base_bytes_of(large, VALUE_SIZE_MAX + 1)};
    struct base_bytes both_fit[] = {set, base_bytes_of(large, KEY_SIZE_MAX),
                                    base_bytes_of(large, VALUE_SIZE_MAX)};
    struct client_answer answer = client_call(client, 3, key_over);
    CLUSTER_CHECK(answer.outcome == CLIENT_REFUSED);
    CLUSTER_CHECK(strstr((const char *)answer.bytes.data, "key_size_max") != NULL);
    answer = client_call(client, 3, value_over);
    CLUSTER_CHECK(answer.outcome == CLIENT_REFUSED);
    CLUSTER_CHECK(strstr((const char *)answer.bytes.data, "value_size_max") != NULL);
    answer = client_call(client, 3, both_fit);
    CLUSTER_CHECK(client_answer_is(&answer, "OK"));
    answer = client_command(client, "GET", "large", NULL);
    CLUSTER_CHECK(answer.outcome == CLIENT_OK && answer.kind == CLIENT_NIL);
    free(large);
    client_close(client);
}

int main(void)
{
    static struct cluster cluster;
    struct cluster_process before[CLUSTER_NODES_MAX + 1], after[CLUSTER_NODES_MAX + 1];
    struct cluster_options options = {.nodes = 3, .shards = 3};
    prng = base_prng_seeded(6);
    cluster_start(&cluster, &options);
    struct workload_options load = {.port = cluster.port,
                                    .threads = 4,
                                    .registers = 12,
                                    .counters = 6,
                                    .once_percent = 10,
                                    .timeout_ms = CLIENT_MS,
                                    .pause_us = 2000,
                                    .ops_per_key_max = 5000,
                                    .seed = 6};
    struct workload *workload = workload_start(&load);
    struct wire_id id = id_of(&cluster);
    size_t count = cluster_processes(&cluster, before);
    router_refuses(cluster.port);
    workload_wait(workload, OPS, WAIT_MS);
    for (uint32_t node = 1; node <= cluster.nodes; node++) {
        node_refuses((uint16_t)(cluster.port + node), &id);
        workload_wait(workload, OPS, WAIT_MS);
    }
    limits_are_named(cluster.port);
    workload_wait(workload, OPS, WAIT_MS);
    workload_end(workload);
    workload_check(workload);
    struct workload_counts counts = workload_counts(workload);
    CLUSTER_CHECK(counts.unknown == 0); /* Nobody else's connection was touched. */
    CLUSTER_CHECK(cluster_processes(&cluster, after) == count);
    for (size_t i = 0; i < count; i++)
        CLUSTER_CHECK(after[i].running && after[i].pid == before[i].pid);
    cluster_wait_converged(&cluster, WAIT_MS);
    workload_free(workload);
    cluster_stop(&cluster);
    return 0;
}
