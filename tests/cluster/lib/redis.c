#include "tests/cluster/lib/redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster/lib/cluster.h"

#define REDIS_SERVER "/usr/bin/redis-server"

enum { WAIT_MS = 20000 };

bool redis_installed(void)
{
    return access(REDIS_SERVER, X_OK) == 0;
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

pid_t redis_start(const char *dir, uint16_t *ret_port)
{
    char text[8];
    *ret_port = free_port();
    snprintf(text, sizeof(text), "%u", *ret_port);
    pid_t pid = fork();
    CLUSTER_CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* Whatever becomes of the test. */
        FILE *quiet = freopen("/dev/null", "w", stdout);
        if (quiet != NULL)
            execl(REDIS_SERVER, "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "",
                  "--appendonly", "no", "--dir", dir, (char *)NULL);
        _exit(127);
    }
    return pid;
}

void redis_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    CLUSTER_CHECK(waitpid(pid, NULL, 0) == pid);
}

static bool is_there(void *context)
{
    struct redis_peer *peer = context;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    CLUSTER_CHECK(peer->fd >= 0);
    if (connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    close(peer->fd);
    return false;
}

void redis_dial(struct redis_peer *peer, uint16_t port)
{
    if (peer->port != 0)
        close(peer->fd);
    peer->port = port;
    peer->at = peer->size = 0;
    cluster_wait(is_there, peer, WAIT_MS, "a server listens");
}

void redis_send(struct redis_peer *peer, struct base_bytes bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(peer->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* Whoever waits for the reply sees it. */
        bytes = base_bytes_of(bytes.data + sent, bytes.size - (size_t)sent);
    }
}

const char *redis_reply_end(const char *at, const char *end)
{
    const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (line == NULL)
        return NULL;
    long count = strtol(at + 1, NULL, 10);
    char type = *at;
    at = line + 1;
    if ((type == '$' || type == '=' || type == '!') && count >= 0)
        return end - at >= count + 2 ? at + count + 2 : NULL;
    if (type == '%')
        count *= 2;
    else if (type != '*' && type != '~' && type != '>')
        count = 0;
    for (; count > 0 && at != NULL; count--)
        at = redis_reply_end(at, end);
    return at;
}

/* False: the stream has ended, or nothing came. */
static bool more(struct redis_peer *peer)
{
    struct pollfd ready = {.fd = peer->fd, .events = POLLIN};
    if (peer->at > 0) {
        peer->size -= peer->at;
        memmove(peer->bytes, peer->bytes + peer->at, peer->size);
        peer->at = 0;
    }
    CLUSTER_CHECK(peer->size < sizeof(peer->bytes));
    if (poll(&ready, 1, WAIT_MS) != 1)
        return false;
    ssize_t got = read(peer->fd, peer->bytes + peer->size, sizeof(peer->bytes) - peer->size);
    peer->size += got > 0 ? (size_t)got : 0;
    return got > 0;
}

struct base_bytes redis_reply(struct redis_peer *peer)
{
    for (;;) {
        const char *at = peer->bytes + peer->at;
        const char *end = redis_reply_end(at, peer->bytes + peer->size);
        if (end != NULL)
            peer->at = (size_t)(end - peer->bytes);
        if (end != NULL && *at != '>')
            return base_bytes_of(at, (size_t)(end - at));
        if (end == NULL && !more(peer))
            return base_bytes_of(NULL, 0);
    }
}
