#include "admin/ping.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers whatever comes on one connection with `context`. */
static int listen_fd;

static void *answer_once(void *context)
{
    char bytes[64];
    int fd = accept(listen_fd, NULL, NULL);
    if (read(fd, bytes, sizeof(bytes)) > 0 && context != NULL)
        (void)!write(fd, context, strlen(context));
    close(fd);
    return NULL;
}

static bool ping_answered_with(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    pthread_t thread;
    listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listen_fd, 1), 0);
    cr_assert_eq(getsockname(listen_fd, (struct sockaddr *)&address, &size), 0);
    cr_assert_eq(pthread_create(&thread, NULL, answer_once, (void *)(uintptr_t)text), 0);
    bool good = admin_ping(ntohs(address.sin_port), 2000);
    pthread_join(thread, NULL);
    close(listen_fd);
    return good;
}

Test(ping, hears_a_pong_and_nothing_else)
{
    cr_assert(ping_answered_with("+PONG\r\n"));
    cr_assert_not(ping_answered_with("-ERR max number of clients reached\r\n"));
    cr_assert_not(ping_answered_with("+OK\r\n"));
    cr_assert_not(ping_answered_with(NULL));
}

/* Without a server it is an error, not a wait. */
Test(ping, nobody_there_is_no_pong)
{
    cr_assert_not(admin_ping(1, 1000));
}
