/*
 * A million small messages each way between two loops in two threads, with random stalls and with
 * windows from one message to hundreds, so that the sockets run dry all the time. Every message is
 * answered once and in order; one wakeup lost and nothing moves any more (the alarm ends that).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "net/net.h"

enum {
    MESSAGES = 1000000,
    QUEUE_MAX = 2000,
    MESSAGE_SIZE_MAX = 256,
    STALL_US_MAX = 600,
    WINDOW_LIFE = 4, /* A window is kept for so many times its size. */
    DEADLINE_S = 120,
};

struct side {
    uv_loop_t loop;
    struct net *net;
    struct base_prng prng;
    uv_async_t stop;
    char address[NET_TEXT_SIZE];
    pthread_barrier_t *ready;
    /* Of the client. */
    struct net_peer *peer;
    uv_timer_t connecting;
    uint64_t sent, answered, window, window_left, turns;
};

/* A thread that the system does not run for a while, now and then. */
static void maybe_stall(struct side *side)
{
    if (!base_prng_chance(&side->prng, 1, 300))
        return;
    long us = (long)base_prng_range(&side->prng, 1, STALL_US_MAX);
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void on_closed(void *context)
{
    (void)context;
}

static void stop_side(struct side *side)
{
    uv_close((uv_handle_t *)&side->stop, NULL);
    net_close(side->net, on_closed, NULL);
}

static void on_stop(uv_async_t *stop)
{
    stop_side(stop->data);
}

/* ---- The server echoes --------------------------------------------------------------------------
 */

static void on_request(void *context, uint64_t route, struct base_bytes message)
{
    struct side *side = context;
    maybe_stall(side);
    TORC_ASSERT(net_answer(side->net, route, message) == TORC_OK);
}

static void ignore_answer(void *context, struct net_peer *peer, struct base_bytes message)
{
    (void)context;
    (void)peer;
    (void)message;
    TORC_ASSERT(!"the server asks nothing");
}

static void count_turn(void *context)
{
    ((struct side *)context)->turns++;
}

static void open_side(struct side *side, const char *listen, struct net_callbacks callbacks)
{
    char text[NET_TEXT_SIZE];
    struct net_config config = {.listen = listen,
                                .identity = 7,
                                .queue_max = QUEUE_MAX,
                                .message_size_max = MESSAGE_SIZE_MAX};
    callbacks.context = side;
    TORC_ASSERT(uv_loop_init(&side->loop) == 0);
    TORC_ASSERT(net_open(&side->loop, &config, &callbacks, text, &side->net) == TORC_OK);
    uv_async_init(&side->loop, &side->stop, on_stop);
    side->stop.data = side;
}

static void *serve(void *context)
{
    struct side *side = context;
    open_side(side, "tcp://127.0.0.1:*",
              (struct net_callbacks){on_request, ignore_answer, count_turn, 0});
    snprintf(side->address, sizeof(side->address), "%s", net_address(side->net));
    pthread_barrier_wait(side->ready);
    uv_run(&side->loop, UV_RUN_DEFAULT);
    TORC_ASSERT(uv_loop_close(&side->loop) == 0);
    return NULL;
}

/* ---- The client keeps a window full
 * -------------------------------------------------------------- */

static bool send_next(struct side *side)
{
    uint8_t message[MESSAGE_SIZE_MAX] = {0};
    size_t size = 8 + side->sent % 100;
    base_put_le64(message, side->sent);
    if (net_send(side->net, side->peer, base_bytes_of(message, size)) != TORC_OK)
        return false;
    side->sent++;
    return true;
}

static void fill_window(struct side *side)
{
    static const uint64_t windows[] = {1, 2, 16, 512};
    if (side->window_left == 0) {
        side->window = windows[base_prng_range(&side->prng, 0, 3)];
        side->window_left = side->window * WINDOW_LIFE;
    }
    while (side->sent < MESSAGES && side->sent - side->answered < side->window &&
           side->window_left > 0) {
        TORC_ASSERT(send_next(side));
        side->window_left--;
    }
}

static void refuse_request(void *context, uint64_t route, struct base_bytes message)
{
    (void)context;
    (void)route;
    (void)message;
    TORC_ASSERT(!"nobody asks the client");
}

static void on_answer(void *context, struct net_peer *peer, struct base_bytes message)
{
    struct side *side = context;
    TORC_ASSERT(peer == side->peer);
    TORC_ASSERT(message.size == 8 + side->answered % 100);
    TORC_ASSERT(base_get_le64(message.data) == side->answered);
    side->answered++;
    maybe_stall(side);
    /* Half of the time messages leave in the middle of receiving, else in the turn. */
    if (base_prng_chance(&side->prng, 1, 2))
        fill_window(side);
}

static void on_turn(void *context)
{
    struct side *side = context;
    side->turns++;
    if (side->answered == MESSAGES)
        stop_side(side);
    else
        fill_window(side);
}

/* Until the first message finds a connection. */
static void on_connecting(uv_timer_t *timer)
{
    struct side *side = timer->data;
    if (send_next(side))
        uv_close((uv_handle_t *)timer, NULL);
}

int main(void)
{
    static struct side server, client;
    pthread_barrier_t ready;
    pthread_t thread;
    alarm(DEADLINE_S);
    pthread_barrier_init(&ready, NULL, 2);
    server.ready = &ready;
    server.prng = base_prng_seeded(1);
    client.prng = base_prng_seeded(2);
    TORC_ASSERT(pthread_create(&thread, NULL, serve, &server) == 0);
    pthread_barrier_wait(&ready);

    open_side(&client, NULL, (struct net_callbacks){refuse_request, on_answer, on_turn, 0});
    client.peer = net_connect(client.net, server.address, NULL);
    TORC_ASSERT(client.peer != NULL);
    uv_timer_init(&client.loop, &client.connecting);
    client.connecting.data = &client;
    uv_timer_start(&client.connecting, on_connecting, 1, 1);
    uint64_t started = uv_hrtime();
    uv_run(&client.loop, UV_RUN_DEFAULT);
    double seconds = (double)(uv_hrtime() - started) / 1e9;

    TORC_ASSERT(client.answered == MESSAGES);
    uv_async_send(&server.stop);
    pthread_join(thread, NULL);
    TORC_ASSERT(uv_loop_close(&client.loop) == 0);
    pthread_barrier_destroy(&ready);
    printf("%d messages each way in %.1f s; turns: client %llu, server %llu\n", MESSAGES, seconds,
           (unsigned long long)client.turns, (unsigned long long)server.turns);
    return 0;
}
