#include "tests/unit/router/talk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const seeds[] = {"tcp://127.0.0.1:1"};
static const struct router_setting settings[] = {{"id", "r1"}, {"slowlog-max-len", "128"}};

static const struct router_config config = {
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
    .clients_max = TALK_CLIENTS_MAX,
    .client_inflight_max = 4,
    .client_output_pause = 8 * 1024,
    .client_output_max = TALK_REPLY_MAX - 1,
    .clients_size_max = 1 << 20,
    .version = "1",
    .run_id = "0",
    .resp_address = "",
    .slowlog_slower_than_us = 10000,
    .slowlog_entries_max = 128,
    .settings = settings,
    .setting_count = sizeof(settings) / sizeof(settings[0]),
};

static size_t client_of(const struct talk *talk, uint32_t connection)
{
    for (size_t i = 0; i < talk->client_count; i++) {
        if (talk->clients[i].open && talk->clients[i].connection == connection)
            return i;
    }
    cr_assert(false, "no client has connection %u", (unsigned)connection);
    return 0;
}

static void take_turn(struct talk *talk)
{
    struct router_ready ready;
    for (size_t i = 0; i < talk->client_count; i++)
        talk->clients[i].reply[0] = '\0';
    router_ready(talk->router, &ready);
    router_check(talk->router);
    for (size_t i = 0; i < ready.action_count; i++) {
        struct router_action action = ready.actions[i];
        size_t client = client_of(talk, action.connection);
        if (action.type == ROUTER_CLOSE)
            talk->clients[client].open = false;
        if (action.type != ROUTER_WRITE)
            continue;
        cr_assert_lt(action.bytes.size, TALK_REPLY_MAX);
        memcpy(talk->clients[client].reply, action.bytes.data, action.bytes.size);
        talk->clients[client].reply[action.bytes.size] = '\0';
        if (router_connection_written(talk->router, action.connection)) {
            router_ready(talk->router, &ready); /* Closing, or going on after much output. */
            i = (size_t)-1;
        }
    }
}

void talk_begin(struct talk *talk)
{
    memset(talk, 0, sizeof(*talk));
    talk->now_us = 1000000;
    talk->router = router_new(counting_init(&talk->counting), &config, talk->now_us);
    (void)talk_open(talk);
}

void talk_end(struct talk *talk)
{
    router_free(talk->router);
    counting_fini(&talk->counting);
}

size_t talk_open(struct talk *talk)
{
    char address[32];
    size_t client = talk->client_count++;
    struct router_peer peer = {address, "127.0.0.1:7379"};
    cr_assert_lt(client, TALK_CLIENTS_MAX);
    snprintf(address, sizeof(address), "10.0.0.%zu:1024", client + 1);
    cr_assert_eq(router_connection_opened(talk->router, &peer, &talk->clients[client].connection),
                 TORC_OK);
    talk->clients[client].open = true;
    return client;
}

void talk_send(struct talk *talk, size_t client, const char *bytes)
{
    router_connection_bytes(talk->router, talk->clients[client].connection, base_bytes_text(bytes));
}

const char *talk_ask(struct talk *talk, size_t client, const char *line)
{
    router_connection_bytes(talk->router, talk->clients[client].connection, base_bytes_text(line));
    router_connection_bytes(talk->router, talk->clients[client].connection,
                            base_bytes_text("\r\n"));
    take_turn(talk);
    return talk->clients[client].reply;
}

void talk_expect(struct talk *talk, size_t client, const char *line, const char *reply)
{
    const char *got = talk_ask(talk, client, line);
    cr_assert_str_eq(got, reply, "to %s: %s", line, got);
}

void talk_wait(struct talk *talk, uint64_t time_us)
{
    talk->now_us += time_us;
    router_turn(talk->router, talk->now_us, talk->now_us);
    take_turn(talk);
}
