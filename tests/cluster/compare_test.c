/*
 * A cluster beside redis-server: the same commands, the same bytes in reply. The lines of
 * compare.txt, the keys of every command, then streams that cannot be read on. Random commands:
 * differential_test.c.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/command.h"
#include "tests/cluster/lib/cluster.h"
#include "tests/cluster/lib/redis.h"

enum { REPLY_SIZE_MAX = 1 << 16, WAIT_MS = 20000 };

struct peer {
    int fd;
    char reply[REPLY_SIZE_MAX];
    size_t size;
};

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Reads more; false: the stream has ended. */
static bool more(struct peer *peer)
{
    struct pollfd ready = {.fd = peer->fd, .events = POLLIN};
    if (poll(&ready, 1, WAIT_MS) != 1)
        cluster_fail("no reply in time; so far: %s", peer->reply);
    CLUSTER_CHECK(peer->size < sizeof(peer->reply) - 1);
    ssize_t got = read(peer->fd, peer->reply + peer->size, sizeof(peer->reply) - 1 - peer->size);
    if (got > 0)
        peer->size += (size_t)got;
    peer->reply[peer->size] = '\0';
    return got > 0;
}

static void ask(struct peer *peer, const char *line)
{
    char text[1024];
    int size = snprintf(text, sizeof(text), "%s\r\n", line);
    CLUSTER_CHECK(size > 0 && (size_t)size < sizeof(text));
    CLUSTER_CHECK(write(peer->fd, text, (size_t)size) == size);
    peer->size = 0;
    while (redis_reply_end(peer->reply, peer->reply + peer->size) != peer->reply + peer->size ||
           peer->size == 0) {
        if (!more(peer))
            cluster_fail("the connection was closed at: %s", line);
    }
}

static void compare(struct peer *torc, struct peer *redis, const char *line)
{
    ask(torc, line);
    ask(redis, line);
    if (torc->size != redis->size || memcmp(torc->reply, redis->reply, torc->size) != 0)
        cluster_fail("replies differ\n  to:    %s\n  torc:  %s  redis: %s", line, torc->reply,
                     redis->reply);
}

static void compare_file(struct peer *torc, struct peer *redis)
{
    FILE *file = fopen("tests/cluster/compare.txt", "r");
    char line[1024];
    CLUSTER_CHECK(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#' && line[0] != '\0')
            compare(torc, redis, line);
    }
    fclose(file);
}

/* Which of its words are keys of each command of the table, and what it does with them. */
static void compare_keys(struct peer *torc, struct peer *redis)
{
    for (unsigned id = 0; id < ROUTER_COMMAND_TABLE_SIZE; id++) {
        const struct router_command *command = router_command_at((enum router_command_id)id);
        char line[256];
        int size = snprintf(line, sizeof(line), "COMMAND GETKEYSANDFLAGS %s", command->name);
        char *bar = strchr(line, '|');
        int words = bar == NULL ? 1 : 2, least = abs(command->arity);
        if (command->first_key == 0)
            continue;
        if (bar != NULL)
            *bar = ' ';
        for (; words < least + 2; words++) {
            size += snprintf(line + size, sizeof(line) - (size_t)size, " a%d", words);
            compare(torc, redis, line);
        }
    }
}

/* What is said before a stream is given up. */
static void last_words(uint16_t port, const char *bytes, struct peer *peer)
{
    peer->fd = dial(port);
    peer->size = 0;
    CLUSTER_CHECK(peer->fd >= 0);
    CLUSTER_CHECK(write(peer->fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    while (more(peer))
        continue;
    close(peer->fd);
}

static void compare_errors(uint16_t torc_port, uint16_t redis_port, struct peer *torc,
                           struct peer *redis)
{
    static const char *const streams[] = {
        "*x\r\n",
        "*1\r\n!3\r\nabc\r\n",
        "*1\r\n$-2\r\n",
        "*1\r\n$abc\r\n",
        "\"abc\r\n",
        "'a'b\r\n",
        "PING\r\n*1\r\n:1\r\n",
        /* Replies that are not wanted, and connections that end themselves. */
        "CLIENT REPLY OFF\r\nGET a\r\nFOO\r\nCLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY "
        "ON\r\nPING\r\nQUIT\r\n",
        "GET a\r\nCLIENT REPLY SKIP\r\nGET a\r\nGET a\r\nDBSIZE\r\nCLIENT REPLY "
        "SKIP\r\nDBSIZE\r\nPING\r\nQUIT\r\n",
        "CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\nCLIENT REPLY SKIP\r\nCLIENT "
        "REPLY ON\r\nQUIT\r\n",
        "CLIENT REPLY OFF\r\nRESET\r\nCLIENT REPLY SKIP\r\nRESET\r\nPING\r\nQUIT\r\n",
        "CLIENT REPLY SKIP\r\nCLIENT REPLY FOO\r\nCLIENT REPLY FOO\r\nQUIT\r\n",
        "GET a\r\nCLIENT KILL SKIPME no TYPE normal LADDR 1.1.1.1:1\r\nQUIT\r\n",
    };
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        last_words(torc_port, streams[i], torc);
        last_words(redis_port, streams[i], redis);
        if (torc->size != redis->size || memcmp(torc->reply, redis->reply, torc->size) != 0)
            cluster_fail("last words differ\n  torc:  %s  redis: %s", torc->reply, redis->reply);
    }
}

struct dialling {
    struct peer *peer;
    uint16_t port;
};

static bool is_there(void *context)
{
    struct dialling *dialling = context;
    dialling->peer->fd = dial(dialling->port);
    return dialling->peer->fd >= 0;
}

int main(void)
{
    static struct cluster cluster;
    static struct peer torc, redis;
    if (!redis_installed()) {
        printf("SKIPPED: redis-server is not installed\n");
        return 0;
    }
    cluster_start(&cluster, &(struct cluster_options){0});
    struct dialling to_torc = {&torc, cluster.port}, to_redis = {&redis, 0};
    pid_t pid = redis_start(cluster.scratch, &to_redis.port);
    cluster_wait(is_there, &to_redis, WAIT_MS, "redis-server listens");
    cluster_wait(is_there, &to_torc, WAIT_MS, "the router listens");
    compare_file(&torc, &redis);
    compare_keys(&torc, &redis);
    close(torc.fd);
    close(redis.fd);
    compare_errors(to_torc.port, to_redis.port, &torc, &redis);
    redis_stop(pid);
    cluster_stop(&cluster);
    return 0;
}
