#include "router/router.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/lib/counting.h"

/* What needs many repetitions; the scripts in tests/golden/router tell the stories. */

static const char *const seeds[] = {"tcp://127.0.0.1:1"};
static const struct router_peer peer = {"127.0.0.1:1024", "127.0.0.1:7379"};

static struct router_config config_small(void)
{
    return (struct router_config){
        .courier = {.cluster = {{7}},
                    .client = {1, 2},
                    .seeds = seeds,
                    .seed_count = 1,
                    .request_timeout_ms = 1000,
                    .silence_ms = 150,
                    .probe_ms = 50,
                    .probe_max_ms = 400,
                    .resend_ms = 200,
                    .inflight_max = 8,
                    .inflight_size_max = 1 << 20,
                    .message_size_max = 1 << 16},
        .clients_max = 4,
        .client_inflight_max = 4,
        .client_output_pause = 1024,
        .client_output_max = 4096,
        .version = "1",
        .run_id = "0",
        .resp_address = "",
    };
}

static void say(struct router *router, uint32_t client, const char *text)
{
    router_connection_bytes(router, client, base_bytes_text(text));
}

/* Takes all writes; returns their bytes together, and whether the client was closed. */
static size_t settle(struct router *router, bool *closed)
{
    struct router_ready ready;
    size_t size = 0;
    router_ready(router, &ready);
    router_check(router);
    for (size_t i = 0; i < ready.action_count; i++) {
        struct router_action action = ready.actions[i];
        if (action.type == ROUTER_CLOSE)
            *closed = true;
        if (action.type != ROUTER_WRITE)
            continue;
        size += action.bytes.size;
        (void)router_connection_written(router, action.connection);
    }
    return size;
}

/* A client that sends for ever and whose commands cannot begin (there is no map) is paused, and the
 * memory it takes is bounded by what was read before the pause. */
Test(router_core, a_flood_is_paused)
{
    struct counting counting;
    struct router_config config = config_small();
    struct router *router = router_new(counting_init(&counting), &config, 1);
    struct router_ready ready;
    uint32_t client;
    bool paused = false;
    cr_assert_eq(router_connection_opened(router, &peer, &client), TORC_OK);
    for (unsigned i = 0; i < 1000 && !paused; i++) {
        say(router, client, "SET key value\r\nGET other\r\n");
        router_ready(router, &ready);
        router_check(router);
        for (size_t j = 0; j < ready.action_count; j++)
            paused |= ready.actions[j].type == ROUTER_PAUSE;
        cr_assert_leq(router_courier_inflight(router_courier(router)), 4);
    }
    cr_assert(paused);
    router_free(router);
    counting_fini(&counting);
}

/* Connections that find no room get their turn, all of them, as room comes. */
Test(router_core, starved_connections_get_their_turn)
{
    struct counting counting;
    struct router_config config = config_small();
    config.courier.inflight_max = 2;
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t clients[4];
    bool closed = false;
    size_t replies = 0;
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(router_connection_opened(router, &peer, &clients[i]), TORC_OK);
        say(router, clients[i], "GET a\r\nGET b\r\nGET c\r\n");
    }
    /* Nothing ever answers: every deadline makes room for two more. */
    for (uint64_t round = 1; round <= 10; round++) {
        settle(router, &closed);
        router_turn(router, round * 1000000 + 1, 1);
        replies += settle(router, &closed) > 0;
    }
    cr_assert_not(closed);
    cr_assert_eq(router_courier_counters(router_courier(router))->nothing_done, 12);
    cr_assert_geq(replies, 6);
    router_free(router);
    counting_fini(&counting);
}

/* Pings cost no memory of their own once a connection is at work. */
Test(router_core, steady_pings_allocate_nothing)
{
    struct counting counting;
    struct router_config config = config_small();
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t client;
    uint64_t calls = 0;
    bool closed = false;
    cr_assert_eq(router_connection_opened(router, &peer, &client), TORC_OK);
    for (unsigned i = 0; i < 100; i++) {
        if (i == 10)
            calls = counting.call_count;
        say(router, client, "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n");
        cr_assert_eq(settle(router, &closed), strlen("+PONG\r\n$3\r\nabc\r\n"));
    }
    cr_assert_eq(counting.call_count, calls);
    router_free(router);
    counting_fini(&counting);
}

/* A router can be freed at any time: with clients, commands in flight and half a command read. */
Test(router_core, is_freed_with_everything_in_flight)
{
    struct counting counting;
    struct router_config config = config_small();
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t clients[3];
    bool closed = false;
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(router_connection_opened(router, &peer, &clients[i]), TORC_OK);
    say(router, clients[0], "SET a 1\r\nMGET a b c\r\nPING\r\n*2\r\n$4\r\nEC");
    say(router, clients[1], "SET a 1\r\nSET a 2\r\n");
    settle(router, &closed);
    router_connection_closed(router, clients[1]);
    settle(router, &closed);
    router_free(router);
    counting_fini(&counting);
}

/* MEMORY STATS counts what a client has sent and not yet ended. */
Test(router_core, memory_stats_count_buffers)
{
    struct counting counting;
    struct router_config config = config_small();
    struct router *router = router_new(counting_init(&counting), &config, 1);
    struct router_ready ready;
    static const char head[] = "*6\r\n$15\r\ntotal.allocated\r\n:";
    uint32_t asking, other;
    cr_assert_eq(router_connection_opened(router, &peer, &asking), TORC_OK);
    cr_assert_eq(router_connection_opened(router, &peer, &other), TORC_OK);
    long long sizes[2];
    for (size_t i = 0; i < 2; i++) {
        say(router, asking, "MEMORY STATS\r\n");
        router_ready(router, &ready);
        cr_assert_eq(ready.action_count, 1);
        struct base_bytes reply = ready.actions[0].bytes;
        cr_assert_gt(reply.size, sizeof(head));
        cr_assert_eq(memcmp(reply.data, head, sizeof(head) - 1), 0);
        sizes[i] = strtoll((const char *)reply.data + sizeof(head) - 1, NULL, 10);
        (void)router_connection_written(router, asking);
        say(router, other, "SET a 12345678901234567890123456789012345678901234567890");
    }
    cr_assert_geq(sizes[1], sizes[0] + 50);
    router_free(router);
    counting_fini(&counting);
}
