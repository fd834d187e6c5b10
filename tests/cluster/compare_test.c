/*
 * A cluster beside redis-server: the same commands, the same bytes in reply. The lines of
 * compare.txt, then seeded random commands on a few keys, then streams that cannot be read on.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "router/command.h"
#include "tests/cluster/lib/cluster.h"

enum { REPLY_SIZE_MAX = 1 << 16, WAIT_MS = 20000, RANDOM_COMMANDS = 3000 };

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

/* Where the reply that begins at `at` ends; NULL: it is not all there yet. */
static const char *reply_end(const char *at, const char *end)
{
    const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (line == NULL)
        return NULL;
    long count = strtol(at + 1, NULL, 10);
    char type = *at;
    at = line + 1;
    if (type == '$' && count >= 0)
        return end - at >= count + 2 ? at + count + 2 : NULL;
    for (; type == '*' && count > 0 && at != NULL; count--)
        at = reply_end(at, end);
    return at;
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
    while (reply_end(peer->reply, peer->reply + peer->size) != peer->reply + peer->size ||
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

/* Puts seconds in place of "@", ten apart and never the same twice: of two equal ones, which is
 * later would depend on the millisecond. */
static void seconds_put(char *line, size_t line_size, unsigned number)
{
    enum { SECONDS_COUNT = 3001 }; /* Prime, and more than there are commands. */
    char rest[64];
    char *at = strchr(line, '@');
    if (at == NULL)
        return;
    snprintf(rest, sizeof(rest), "%s", at + 1);
    snprintf(at, line_size - (size_t)(at - line), "%u%s", 1000 + number * 7919 % SECONDS_COUNT * 10,
             rest);
}

static void compare_random(struct peer *torc, struct peer *redis)
{
    static const char *const forms[] = {
        "GET k%d",
        "SET k%d %s",
        "SET k%d %s NX",
        "SET k%d %s XX GET",
        "SET k%d %s KEEPTTL",
        "INCR k%d",
        "DECRBY k%d 7",
        "APPEND k%d %s",
        "DEL k%d k0",
        "STRLEN k%d",
        "EXISTS k%d k1 k1",
        "MGET k%d k2 nope",
        "MSET k%d %s k3 z",
        "EXPIRE k%d @ NX",
        "EXPIRE k%d @ GT",
        "EXPIRE k%d @ LT",
        "EXPIRE k%d -1",
        "PERSIST k%d",
        "TTL k%d",
        "TYPE k%d",
        "UNLINK k%d",
        "INCRBY k%d 9223372036854775807",
        "SETNX k%d %s",
        "MSETNX k%d %s",
        "KEYS k%d",
        "OBJECT FREQ k%d",
        "GETSET k%d %s",
        "GETDEL k%d",
        "SETRANGE k%d 3 %s",
        "SETEX k%d 45000 %s",
        "EXPIREAT k%d 9999999999",
        "TOUCH k%d k0 nope",
        "GETEX k%d",
        "SETBIT k%d 30 1",
        "SETBIT k%d 9 0",
        "GETBIT k%d 9",
        "BITCOUNT k%d",
        "BITCOUNT k%d 3 -9 BIT",
        "BITPOS k%d 0",
        "BITPOS k%d 0 1 -1",
        "BITPOS k%d 1 3 -5 BIT",
        "GETEX k%d EX 45000",
        "GETEX k%d PERSIST",
        "GETRANGE k%d -3 2",
        "BITFIELD k%d INCRBY u5 3 9 GET i9 #1",
        "BITFIELD k%d OVERFLOW FAIL INCRBY i6 #2 11 SET u3 60 9",
        "BITFIELD_RO k%d GET u63 5 GET i64 #0",
        "BITOP XOR k%d k1 k2 nope",
        "BITOP AND k%d k0 k3",
        "LCS k%d k1 IDX WITHMATCHLEN",
        "LCS k2 k%d",
        "DUMP k%d",
        "EXPIRE k%d @ XX LT",
    };
    static const char *const values[] = {"1", "-5", "abc", "9223372036854775807", "\"\""};
    struct base_prng prng = base_prng_seeded(1);
    for (unsigned i = 0; i < RANDOM_COMMANDS; i++) {
        char before[64], line[256];
        const char *form = forms[base_prng_range(&prng, 0, sizeof(forms) / sizeof(forms[0]) - 1)];
        int key = (int)base_prng_range(&prng, 0, 4);
        const char *value = values[base_prng_range(&prng, 0, 4)];
        const char *hole = strstr(form, "%d");
        snprintf(before, sizeof(before), "%.*s%d", (int)(hole - form), form, key);
        const char *rest = hole + 2, *value_hole = strstr(rest, "%s");
        if (value_hole == NULL)
            snprintf(line, sizeof(line), "%s%s", before, rest);
        else
            snprintf(line, sizeof(line), "%s%.*s%s%s", before, (int)(value_hole - rest), rest,
                     value, value_hole + 2);
        seconds_put(line, sizeof(line), i);
        compare(torc, redis, line);
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

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CLUSTER_CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CLUSTER_CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static pid_t redis_start(const char *dir, uint16_t port)
{
    char text[8];
    snprintf(text, sizeof(text), "%u", port);
    pid_t pid = fork();
    CLUSTER_CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* Whatever becomes of the test. */
        FILE *quiet = freopen("/dev/null", "w", stdout);
        if (quiet != NULL)
            execl("/usr/bin/redis-server", "redis-server", "--port", text, "--bind", "127.0.0.1",
                  "--save", "", "--appendonly", "no", "--dir", dir, (char *)NULL);
        _exit(127);
    }
    return pid;
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
    if (access("/usr/bin/redis-server", X_OK) != 0) {
        printf("SKIPPED: redis-server is not installed\n");
        return 0;
    }
    cluster_start(&cluster, &(struct cluster_options){0});
    struct dialling to_torc = {&torc, cluster.port}, to_redis = {&redis, free_port()};
    pid_t pid = redis_start(cluster.scratch, to_redis.port);
    cluster_wait(is_there, &to_redis, WAIT_MS, "redis-server listens");
    cluster_wait(is_there, &to_torc, WAIT_MS, "the router listens");
    compare_file(&torc, &redis);
    compare_keys(&torc, &redis);
    compare_random(&torc, &redis);
    close(torc.fd);
    close(redis.fd);
    compare_errors(to_torc.port, to_redis.port, &torc, &redis);
    kill(pid, SIGKILL);
    CLUSTER_CHECK(waitpid(pid, NULL, 0) == pid);
    cluster_stop(&cluster);
    return 0;
}
