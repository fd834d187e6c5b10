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

/* Two signals in one turn end it at once: that turn is not taken any more. */
Test(router_host, two_signals_end_it_at_once)
{
    struct process process;
    int status;
    start(&process, NULL, 0);
    int fd = dial(&process);
    say(fd, "PING\r\n");
    expect(fd, "+PONG\r\n");
    kill(process.pid, SIGSTOP);
    cr_assert_eq(waitpid(process.pid, &status, WUNTRACED), process.pid);
    kill(process.pid, SIGTERM);
    kill(process.pid, SIGINT);
    kill(process.pid, SIGCONT);
    cr_assert_eq(end(&process, 0), 0);
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

/* A seed that is given twice is one node to talk to. */
Test(router_host, seeds_may_be_the_same)
{
    static const char *const settings[] = {"seeds=tcp://127.0.0.1:1,tcp://127.0.0.1:1",
                                           "request_timeout_ms=300ms"};
    struct process process;
    start(&process, settings, 2);
    int fd = dial(&process);
    say(fd, "GET a\r\n");
    expect(fd, "-TIMEOUT no answer: no node has given the cluster's map within 300 ms\r\n");
    cr_assert_eq(end(&process, SIGTERM), 0);
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

/* ---- Large arguments
 * ----------------------------------------------------------------------------- */

enum { LARGE = 8 << 20, LARGE_CLIENTS = 8, PING_MS_MAX = 1000 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ping(int fd)
{
    int64_t began = now_ms();
    say(fd, "PING\r\n");
    expect(fd, "+PONG\r\n");
    cr_assert_lt(now_ms() - began, PING_MS_MAX);
}

static uint8_t value_byte(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

/* "ECHO value", and where the reply begins in it: at the value's size. */
static uint8_t *large_command(size_t *ret_size, size_t *ret_reply_at)
{
    static const char head[] = "*2\r\n$4\r\nECHO\r\n$8388608\r\n";
    *ret_reply_at = strlen("*2\r\n$4\r\nECHO\r\n");
    *ret_size = strlen(head) + LARGE + 2;
    uint8_t *command = malloc(*ret_size);
    cr_assert_not_null(command);
    memcpy(command, head, strlen(head));
    for (size_t i = 0; i < LARGE; i++)
        command[strlen(head) + i] = value_byte(i);
    memcpy(command + *ret_size - 2, "\r\n", 2);
    return command;
}

struct echo {
    int fd;
    const uint8_t *command;
    size_t size, sent;
    size_t reply_at, read; /* The reply is the command from there on. */
};

/* Sends and reads what can be, at most `most` bytes each. */
static void echo_step(struct echo *echo, size_t most)
{
    static uint8_t got[256 * 1024];
    size_t left = echo->size - echo->sent;
    ssize_t count = send(echo->fd, echo->command + echo->sent, left < most ? left : most,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0)
        echo->sent += (size_t)count;
    count = recv(echo->fd, got, most < sizeof(got) ? most : sizeof(got), MSG_DONTWAIT);
    cr_assert_neq(count, 0);
    if (count <= 0)
        return;
    const uint8_t *wanted = echo->command + echo->reply_at + echo->read;
    cr_assert_leq((size_t)count, echo->size - echo->reply_at - echo->read);
    cr_assert_eq(memcmp(got, wanted, (size_t)count), 0);
    echo->read += (size_t)count;
}

static bool echo_ended(const struct echo *echo)
{
    return echo->read == echo->size - echo->reply_at;
}

/* Several clients send and read values of the largest size; another one is answered all the time.
 */
Test(router_host, large_values_do_not_hold_others_up)
{
    struct process process;
    size_t size, reply_at, ended = 0;
    uint8_t *command = large_command(&size, &reply_at);
    struct echo echoes[LARGE_CLIENTS];
    start(&process, NULL, 0);
    int other = dial(&process);
    for (size_t i = 0; i < LARGE_CLIENTS; i++)
        echoes[i] = (struct echo){dial(&process), command, size, 0, reply_at, 0};
    for (int64_t began = now_ms(); ended < LARGE_CLIENTS;) {
        cr_assert_lt(now_ms() - began, DEADLINE_MS * 3);
        ended = 0;
        for (size_t i = 0; i < LARGE_CLIENTS; i++) {
            echo_step(&echoes[i], SIZE_MAX);
            ended += echo_ended(&echoes[i]);
        }
        ping(other);
    }
    for (size_t i = 0; i < LARGE_CLIENTS; i++)
        close(echoes[i].fd);
    close(other);
    cr_assert_eq(end(&process, SIGTERM), 0);
    free(command);
}

/* A large reply goes out whole, however slowly it is read, and its reader goes on after it. */
Test(router_host, a_large_reply_is_read_slowly)
{
    struct process process;
    size_t size, reply_at;
    uint8_t *command = large_command(&size, &reply_at);
    start(&process, NULL, 0);
    int other = dial(&process);
    struct echo echo = {dial(&process), command, size, 0, reply_at, 0};
    for (int64_t began = now_ms(); echo.sent < size;) {
        cr_assert_lt(now_ms() - began, DEADLINE_MS);
        echo_step(&echo, SIZE_MAX);
    }
    for (unsigned i = 0; !echo_ended(&echo); i++) {
        struct pollfd ready = {.fd = echo.fd, .events = POLLIN};
        cr_assert_eq(poll(&ready, 1, DEADLINE_MS), 1);
        echo_step(&echo, 16 * 1024);
        if (i % 16 == 0)
            ping(other);
    }
    ping(echo.fd);
    close(echo.fd);
    close(other);
    cr_assert_eq(end(&process, SIGTERM), 0);
    free(command);
}

/* A client that is lost in the middle, sending or reading, costs nobody anything. */
Test(router_host, a_large_value_is_cut_anywhere)
{
    struct process process;
    size_t size, reply_at;
    uint8_t *command = large_command(&size, &reply_at);
    start(&process, NULL, 0);
    int other = dial(&process);
    for (size_t i = 0; i < 24; i++) {
        struct echo echo = {dial(&process), command, size, 0, reply_at, 0};
        bool sends = i % 2 == 0;
        size_t until = sends ? size / 12 * (i / 2) + i : (size - reply_at) / 12 * (i / 2) + i;
        for (int64_t began = now_ms(); (sends ? echo.sent : echo.read) < until;) {
            cr_assert_lt(now_ms() - began, DEADLINE_MS);
            echo_step(&echo, sends ? until - echo.sent : 100000);
        }
        close(echo.fd);
        ping(other);
    }
    close(other);
    cr_assert_eq(end(&process, SIGTERM), 0);
    free(command);
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
