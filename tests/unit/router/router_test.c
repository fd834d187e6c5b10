#include "router/router.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
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
        .clients_size_max = 1 << 20,
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

/* Who is killed by another client gets nothing more, not even the reply of the same turn: its
 * memory is gone. */
Test(router_core, who_is_killed_gets_no_reply_of_that_turn)
{
    struct counting counting;
    struct router_config config = config_small();
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t clients[2];
    bool closed = false;
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(router_connection_opened(router, &peer, &clients[i]), TORC_OK);
    say(router, clients[1], "CLIENT KILL ID 1");
    (void)settle(router, &closed);
    say(router, clients[0], "PING\r\n"); /* Comes first, and so would be written first. */
    say(router, clients[1], "\r\n");
    struct router_ready ready;
    router_ready(router, &ready);
    router_check(router);
    cr_assert_eq(ready.action_count, 2);
    cr_assert_eq(ready.actions[0].type, ROUTER_WRITE);
    cr_assert_eq(ready.actions[0].connection, clients[1]);
    cr_assert_eq(ready.actions[1].type, ROUTER_CLOSE);
    cr_assert_eq(ready.actions[1].connection, clients[0]);
    router_free(router);
    counting_fini(&counting);
}

/* Many clients with half a command each do not take all memory: past the bound, who holds most
 * goes, but for who was promised to stay. */
Test(router_core, what_clients_hold_is_bounded)
{
    enum { PIECE = 16 * 1024, SIZE_MAX_OF_ALL = 256 * 1024 };
    static char piece[PIECE + 1];
    struct counting counting;
    struct router_config config = config_small();
    config.clients_size_max = SIZE_MAX_OF_ALL;
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t clients[3];
    bool closed = false;
    memset(piece, 'x', PIECE);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(router_connection_opened(router, &peer, &clients[i]), TORC_OK);
    say(router, clients[0], "CLIENT NO-EVICT ON\r\n");
    for (size_t i = 0; i < 3; i++)
        say(router, clients[i], "*2\r\n$4\r\nECHO\r\n$1000000\r\n");
    /* Client 0 sends twice as much as client 1, and client 2 hardly anything. */
    for (size_t i = 0; i < 40 && !closed; i++) {
        say(router, clients[0], piece);
        if (i % 2 == 0)
            say(router, clients[1], piece);
        if (i == 0)
            say(router, clients[2], piece);
        struct router_ready ready;
        router_ready(router, &ready);
        router_check(router);
        for (size_t j = 0; j < ready.action_count; j++) {
            if (ready.actions[j].type == ROUTER_CLOSE) {
                cr_assert_eq(ready.actions[j].connection, clients[1]);
                closed = true;
            } else if (ready.actions[j].type == ROUTER_WRITE) {
                (void)router_connection_written(router, ready.actions[j].connection);
            }
        }
    }
    cr_assert(closed);
    cr_assert_lt(counting.bytes_peak, 4 * SIZE_MAX_OF_ALL);
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

static bool pauses(struct router *router)
{
    struct router_ready ready;
    bool paused = false;
    router_ready(router, &ready);
    router_check(router);
    for (size_t i = 0; i < ready.action_count; i++)
        paused |= ready.actions[i].type == ROUTER_PAUSE;
    return paused;
}

/* While a command waits for those before it, its client is not read on; and when it has nothing
 * more to send, what waits is answered nevertheless before it is closed. */
Test(router_core, a_command_that_waits_alone_is_not_lost)
{
    struct counting counting;
    struct router_config config = config_small();
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t client;
    bool closed = false;
    cr_assert_eq(router_connection_opened(router, &peer, &client), TORC_OK);
    say(router, client, "SET a 1\r\nDBSIZE\r\nGET a\r\n");
    cr_assert(pauses(router));
    router_connection_ended(router, client);
    cr_assert_eq(settle(router, &closed), 0);
    cr_assert_not(closed);
    for (uint64_t second = 1; second <= 3; second++) { /* Each ends at its deadline. */
        router_turn(router, second * 1000000 + second, 1);
        cr_assert_gt(settle(router, &closed), 0, "after %u s", (unsigned)second);
    }
    (void)settle(router, &closed);
    cr_assert(closed);
    router_free(router);
    counting_fini(&counting);
}

static size_t inflight_at(struct router *router, uint64_t time_us)
{
    bool closed = false;
    router_turn(router, time_us, 1);
    (void)settle(router, &closed);
    cr_assert_not(closed);
    return router_courier_inflight(router_courier(router));
}

/* A client whose replies may be large has only so many commands under way; tests/cluster:large_test
 * has those that are. */
Test(router_core, who_may_expect_much_begins_with_few)
{
    struct counting counting;
    struct router_config config = config_small();
    config.courier.inflight_max = config.client_inflight_max = 64;
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t client;
    cr_assert_eq(router_connection_opened(router, &peer, &client), TORC_OK);
    for (char key[] = "GET a\r\n"; key[4] < 'z'; key[4]++)
        say(router, client, key);
    cr_assert_eq(inflight_at(router, 2), 16);
    router_free(router);
    counting_fini(&counting);
}

/* A command that needs much room gets it: those that need less do not overtake it for ever. */
Test(router_core, what_needs_much_room_gets_it)
{
    struct counting counting;
    struct router_config config = config_small();
    struct router *router = router_new(counting_init(&counting), &config, 1);
    uint32_t clients[3];
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(router_connection_opened(router, &peer, &clients[i]), TORC_OK);
    say(router, clients[0], "GET a\r\nGET b\r\nGET c\r\nGET d\r\n");
    cr_assert_eq(inflight_at(router, 500000), 4);
    say(router, clients[1], "GET a\r\nGET b\r\nGET c\r\nGET d\r\n");
    say(router, clients[2], "MGET a b c d e f\r\n");
    cr_assert_eq(inflight_at(router, 600000), 8);
    say(router, clients[0], "GET e\r\nGET f\r\n");
    cr_assert_eq(inflight_at(router, 1200000), 4); /* Half of the deadlines: not enough for it. */
    cr_assert_eq(inflight_at(router, 1700000), 8); /* The others; and then those behind it. */
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

/* ---- Large arguments
 * ----------------------------------------------------------------------------- */

enum { LARGE = 8 << 20, LARGE_READ = 64 * 1024 };

struct large {
    struct counting counting;
    struct router_config config;
    struct router *router;
    uint32_t client;
    uint8_t *bytes; /* "ECHO value" of LARGE bytes. */
    size_t size, value_at;
    size_t placed; /* Of them, how many were read to where the router wanted them. */
};

static void large_begin(struct large *large, const char *head)
{
    *large = (struct large){.config = config_small(), .value_at = strlen(head)};
    large->config.client_output_max = large->config.client_output_pause = 4 * LARGE;
    large->config.clients_size_max = 16 * LARGE;
    large->config.courier.inflight_size_max = 4 * LARGE;
    large->router = router_new(counting_init(&large->counting), &large->config, 1);
    cr_assert_eq(router_connection_opened(large->router, &peer, &large->client), TORC_OK);
    large->size = large->value_at + LARGE + 2;
    large->bytes = malloc(large->size);
    cr_assert_not_null(large->bytes);
    memcpy(large->bytes, head, large->value_at);
    for (size_t i = 0; i < LARGE; i++)
        large->bytes[large->value_at + i] = (uint8_t)(i * 31 + i / 251);
    memcpy(large->bytes + large->size - 2, "\r\n", 2);
}

static void large_end(struct large *large)
{
    free(large->bytes);
    router_free(large->router);
    counting_fini(&large->counting);
}

/* Bytes from `at` on come in as a driver reads them: where the router wants them, or a buffer. */
static size_t large_read(struct large *large, size_t at, size_t most)
{
    struct router_room room = router_connection_room(large->router, large->client);
    size_t size = room.size > 0 ? room.size : LARGE_READ;
    size = size < most ? size : most;
    size = size < large->size - at ? size : large->size - at;
    const uint8_t *from = large->bytes + at;
    if (room.size > 0) {
        from = memcpy(room.data, from, size);
        large->placed += size;
    }
    router_connection_bytes(large->router, large->client, base_bytes_of(from, size));
    return size;
}

/* A large argument is read to its place with no copy and no second buffer, goes out as it came in,
 * and nothing of it stays. */
Test(router_core, a_large_argument_comes_once)
{
    static struct large large;
    struct router_ready ready;
    const struct router_action *write = NULL;
    bool closed = false;
    large_begin(&large, "*2\r\n$4\r\nECHO\r\n$8388608\r\n");
    say(large.router, large.client, "PING\r\n");
    settle(large.router, &closed);
    counting_peak_reset(&large.counting);
    size_t before = large.counting.bytes;
    for (size_t at = 0; at < large.size;) {
        at += large_read(&large, at, 200 * 1024);
        cr_assert_leq(large.counting.bytes_peak - before, LARGE + 2 * LARGE_READ);
        router_turn(large.router, at, 1);
        router_ready(large.router, &ready);
        router_check(large.router);
        for (size_t i = 0; i < ready.action_count; i++)
            write = ready.actions[i].type == ROUTER_WRITE ? &ready.actions[i] : write;
    }
    cr_assert_geq(large.placed, LARGE - LARGE_READ);
    cr_assert_not_null(write);
    cr_assert_eq(write->bytes.size, strlen("$8388608\r\n") + LARGE + 2);
    cr_assert_eq(
        memcmp(write->bytes.data + strlen("$8388608\r\n"), large.bytes + large.value_at, LARGE + 2),
        0);
    /* In and out once each, whatever comes to it. */
    cr_assert_leq(large.counting.bytes_peak - before, 2 * LARGE + 4 * LARGE_READ);
    (void)router_connection_written(large.router, large.client);
    settle(large.router, &closed);
    cr_assert_leq(large.counting.bytes, before + LARGE_READ);
    large_end(&large);
}

/* A large value that waits to be sent is in memory once: what it came in is given back. */
Test(router_core, a_large_value_is_kept_once)
{
    static struct large large;
    bool closed = false;
    large_begin(&large, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8388608\r\n");
    settle(large.router, &closed);
    counting_peak_reset(&large.counting);
    size_t before = large.counting.bytes;
    for (size_t at = 0; at < large.size;) {
        at += large_read(&large, at, 1 << 20);
        settle(large.router, &closed);
    }
    cr_assert_eq(router_courier_inflight(router_courier(large.router)), 1);
    cr_assert_leq(large.counting.bytes_peak - before, 2 * LARGE + 4 * LARGE_READ);
    cr_assert_leq(large.counting.bytes - before, LARGE + LARGE_READ);
    router_turn(large.router, 2000000, 1); /* No node: the deadline passes. */
    cr_assert_gt(settle(large.router, &closed), 0);
    cr_assert_leq(large.counting.bytes, before + LARGE_READ);
    large_end(&large);
}

/* Wherever the client is lost within a large value, everything of it is given back. */
Test(router_core, a_large_value_may_be_cut)
{
    static const size_t cuts[] = {
        1,         20,    26,         16 * 1024, 70 * 1024,
        LARGE / 2, LARGE, LARGE + 24, LARGE + 25 /* before the last byte */};
    static struct large large;
    bool closed = false;
    large_begin(&large, "*2\r\n$4\r\nECHO\r\n$8388608\r\n");
    router_connection_closed(large.router, large.client);
    settle(large.router, &closed);
    size_t before = large.counting.bytes;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        cr_assert_lt(cuts[i], large.size);
        cr_assert_eq(router_connection_opened(large.router, &peer, &large.client), TORC_OK);
        for (size_t at = 0; at < cuts[i];) {
            at += large_read(&large, at, cuts[i] - at);
            cr_assert_eq(settle(large.router, &closed), 0);
        }
        router_connection_closed(large.router, large.client);
        settle(large.router, &closed);
        cr_assert_eq(large.counting.bytes, before, "cut at %zu", cuts[i]);
    }
    cr_assert_not(closed);
    large_end(&large);
}

/* Who only says that much will come gets no memory for it. */
Test(router_core, a_promised_size_is_not_believed)
{
    static struct large large;
    bool closed = false;
    large_begin(&large, "*2\r\n$4\r\nECHO\r\n$67108864\r\n");
    size_t before = large.counting.bytes;
    (void)large_read(&large, 0, 10 * 1024);
    settle(large.router, &closed);
    cr_assert_eq(router_connection_room(large.router, large.client).size, 0);
    cr_assert_leq(large.counting.bytes, before + LARGE_READ);
    large_end(&large);
}

/* Several large commands that are whole at once begin one in a turn, each without being called
 * for, and in the order in which they came. */
Test(router_core, large_commands_begin_one_in_a_turn)
{
    enum { CLIENTS = 3, SIZE = 300000 };
    static char command[SIZE + 64];
    struct counting counting;
    struct router_config config = config_small();
    config.courier.inflight_size_max = 4 << 20;
    struct router *router = router_new(counting_init(&counting), &config, 1);
    struct router_ready ready;
    uint32_t client;
    int head = snprintf(command, sizeof(command), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", SIZE);
    memset(command + head, 'v', SIZE);
    snprintf(command + head + SIZE, 3, "\r\n");
    for (size_t i = 0; i < CLIENTS; i++) {
        cr_assert_eq(router_connection_opened(router, &peer, &client), TORC_OK);
        say(router, client, command);
    }
    for (size_t begun = 1; begun <= CLIENTS; begun++) {
        router_ready(router, &ready);
        router_check(router);
        cr_assert_eq(router_courier_inflight(router_courier(router)), begun);
        cr_assert_eq(ready.wake_at_us == 1, begun < CLIENTS);
        router_turn(router, 1, 1);
    }
    router_free(router);
    counting_fini(&counting);
}
