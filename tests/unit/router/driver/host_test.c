#include "router/driver/host.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* torc-router as a process of its own, without any node: what concerns sockets and signals. */

enum { DEADLINE_MS = 10000 };

struct process {
    pid_t pid;
    uint16_t port;
    int log;
};

/* Runs a router in a child; its port is read from its log. Port 0: it ended instead. */
static void start(struct process *process, const char *const *settings, size_t count)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    process->pid = fork();
    cr_assert_geq(process->pid, 0);
    if (process->pid == 0) {
        struct router_driver_config config = {0};
        struct base_settings_error error;
        struct base_settings *table = router_driver_settings(&config);
        bool good = base_settings_set(table, "cluster=00112233445566778899aabbccddeeff", &error) ==
                        TORC_OK &&
                    base_settings_set(table, "seeds=tcp://127.0.0.1:1", &error) == TORC_OK &&
                    base_settings_set(table, "resp.listen=127.0.0.1:*", &error) == TORC_OK;
        for (size_t i = 0; i < count; i++)
            good = good && base_settings_set(table, settings[i], &error) == TORC_OK;
        base_log_open(BASE_LOG_INFO, ends[1]);
        signal(SIGPIPE, SIG_IGN);
        _exit(good ? router_host_run(&config, table) : 9);
    }
    close(ends[1]);
    process->log = ends[0];
    char text[4096];
    size_t size = 0;
    const char *at = NULL;
    while (at == NULL && size < sizeof(text) - 1) {
        ssize_t got = read(process->log, text + size, sizeof(text) - 1 - size);
        if (got <= 0)
            break;
        size += (size_t)got;
        text[size] = '\0';
        at = strstr(text, "event=started");
    }
    at = at == NULL ? NULL : strstr(at, "resp=127.0.0.1:");
    process->port = at == NULL ? 0 : (uint16_t)strtoul(at + strlen("resp=127.0.0.1:"), NULL, 10);
}

static int end(struct process *process, int number)
{
    int status;
    if (number != 0)
        kill(process->pid, number);
    cr_assert_eq(waitpid(process->pid, &status, 0), process->pid);
    close(process->log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int dial(const struct process *process)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(process->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Reads until `text` has come, whole, or fails; "" waits for the end of the stream. */
static void expect(int fd, const char *text)
{
    char got[1024];
    size_t size = 0, wanted = strlen(text);
    while (size < (wanted > 0 ? wanted : 1)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&ready, 1, DEADLINE_MS), 1, "no \"%s\" in time", text);
        ssize_t count = read(fd, got + size, sizeof(got) - size);
        if (count <= 0)
            break;
        size += (size_t)count;
    }
    cr_assert_eq(size, wanted, "%.*s", (int)size, got);
    cr_assert_eq(memcmp(got, text, wanted), 0, "%.*s", (int)size, got);
}

static void say(int fd, const char *text)
{
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* SIGTERM with a client connected: exit 0. */
Test(router_host, sigterm_ends_with_zero)
{
    struct process process;
    start(&process, NULL, 0);
    int fd = dial(&process);
    say(fd, "PING\r\n");
    expect(fd, "+PONG\r\n");
    cr_assert_eq(end(&process, SIGTERM), 0);
    close(fd);
}

/* A command in flight at SIGTERM is answered before the process ends. */
Test(router_host, sigterm_answers_what_is_in_flight)
{
    static const char *const settings[] = {"request_timeout_ms=300ms"};
    struct process process;
    start(&process, settings, 1);
    int fd = dial(&process);
    say(fd, "PING\r\nGET a\r\n");
    expect(fd, "+PONG\r\n");
    kill(process.pid, SIGTERM);
    expect(fd, "-TIMEOUT no answer: no node has given the cluster's map within 300 ms\r\n");
    cr_assert_eq(end(&process, 0), 0);
    close(fd);
}

/* Garbage closes that connection with an error; everybody else goes on. */
Test(router_host, garbage_closes_one_connection)
{
    struct process process;
    start(&process, NULL, 0);
    int good = dial(&process), bad = dial(&process);
    say(bad, "*1\r\n!\r\n");
    expect(bad, "-ERR Protocol error: expected '$', got '!'\r\n");
    expect(bad, "");
    say(good, "PING\r\n");
    expect(good, "+PONG\r\n");
    cr_assert_eq(end(&process, SIGTERM), 0);
    close(good);
    close(bad);
}

/* One client past clients_max is told so and closed; its place is free when another leaves. */
Test(router_host, clients_max_is_kept)
{
    static const char *const settings[] = {"clients_max=1"};
    struct process process;
    start(&process, settings, 1);
    int first = dial(&process);
    say(first, "PING\r\n");
    expect(first, "+PONG\r\n");
    int second = dial(&process);
    expect(second, "-ERR max number of clients reached\r\n");
    expect(second, "");
    say(first, "QUIT\r\n");
    expect(first, "+OK\r\n");
    expect(first, "");
    int third = dial(&process);
    say(third, "PING\r\n");
    expect(third, "+PONG\r\n");
    cr_assert_eq(end(&process, SIGTERM), 0);
    close(first);
    close(second);
    close(third);
}

/* Clients are known by the addresses that their sockets have: one is thrown out by the other. */
Test(router_host, a_client_is_killed_by_address)
{
    struct process process;
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    char text[128];
    start(&process, NULL, 0);
    int first = dial(&process), second = dial(&process);
    say(second, "PING\r\n");
    expect(second, "+PONG\r\n");
    cr_assert_eq(getsockname(second, (struct sockaddr *)&address, &size), 0);
    snprintf(text, sizeof(text), "CLIENT KILL ADDR 127.0.0.1:%u LADDR 127.0.0.1:%u\r\n",
             ntohs(address.sin_port), process.port);
    say(first, text);
    expect(first, ":1\r\n");
    expect(second, "");
    say(first, text);
    expect(first, ":0\r\n");
    cr_assert_eq(end(&process, SIGTERM), 0);
    close(first);
    close(second);
}

/* A client that sends and never reads is closed at client_output_max, not served for ever. */
Test(router_host, a_client_that_does_not_read_is_stopped)
{
    static const char *const settings[] = {"client_output_pause=1KiB", "client_output_max=64KiB"};
    struct process process;
    start(&process, settings, 2);
    int fd = dial(&process), other = dial(&process);
    struct timespec began, now;
    char commands[16384];
    for (size_t i = 0; i + 8 <= sizeof(commands); i += 8)
        memcpy(commands + i, "INFO\r\n\r\n", 8);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (;;) { /* Until nothing more is taken for 200 ms, or the connection is closed. */
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (poll(&ready, 1, 200) != 1 ||
            send(fd, commands, sizeof(commands), MSG_DONTWAIT | MSG_NOSIGNAL) <= 0)
            break;
        clock_gettime(CLOCK_MONOTONIC, &now);
        cr_assert_lt(now.tv_sec - began.tv_sec, DEADLINE_MS / 1000, "it is read for ever");
    }
    say(other, "PING\r\n");
    expect(other, "+PONG\r\n");
    cr_assert_eq(end(&process, SIGTERM) >= 0, true);
    close(fd);
    close(other);
}

/* A port that is taken, and an address beyond loopback, are refused at the start. */
Test(router_host, wrong_addresses_end_the_start)
{
    struct process process, second;
    char taken[64];
    start(&process, NULL, 0);
    snprintf(taken, sizeof(taken), "resp.listen=127.0.0.1:%u", process.port);
    const char *const same[] = {taken};
    start(&second, same, 1);
    cr_assert_eq(second.port, 0);
    cr_assert_eq(end(&second, 0), 1);
    static const char *const open[] = {"resp.listen=0.0.0.0:*"};
    start(&second, open, 1);
    cr_assert_eq(second.port, 0);
    cr_assert_eq(end(&second, 0), 1);
    cr_assert_eq(end(&process, SIGTERM), 0);
}
