/* libtorc: one handle, whose completions are told by a descriptor that the loop waits for. */
#include <stdio.h>

#include "benchmarks/load/load.h"
#include "router/torc.h"

enum {
    INFLIGHT_MAX = LOAD_CLIENTS_MAX * LOAD_PIPELINE_MAX,
    ERRORS_SHOWN_MAX = 3,
    CONNECT_CALL_COUNT = 64
};

static struct { /* Of the one load that a process runs. */
    struct torc *torc;
    struct torc_request *request; /* Filled anew for each call. */
    struct load *load;
} own;

static bool reply_good(const struct load_request *request, const struct torc_reply *reply)
{
    static int shown;
    if (torc_reply_status(reply) != TORC_OK) {
        if (shown++ < ERRORS_SHOWN_MAX)
            fprintf(stderr, "torc-load: reply: %s %s\n", torc_status_name(torc_reply_status(reply)),
                    torc_reply_text(reply));
        return false;
    }
    if (request->op == LOAD_SET)
        return true;
    const struct torc_result *result = torc_reply_result(reply, 0);
    return load_value_good(own.load, request,
                           base_bytes_of(result->bytes.data, result->bytes.size));
}

static void on_done(void *context, const struct torc_reply *reply)
{
    struct load_request *request = context;
    load_answered(own.load, request, reply_good(request, reply));
}

static void torc_send(struct load *load, struct load_slot *slot)
{
    static uint8_t value[DATA_VALUE_SIZE_MAX];
    for (unsigned i = 0; i < slot->request_count; i++) {
        struct load_request *request = &slot->requests[i];
        struct torc_bytes key = torc_bytes(request->key, DATA_KEY_SIZE);
        enum torc_status status;
        torc_request_clear(own.request);
        if (request->op == LOAD_GET) {
            status = torc_request_get(own.request, key);
        } else {
            load_value_write(load, request, value);
            status = torc_request_put(own.request, key, torc_bytes(value, load->options.value_size),
                                      NULL);
        }
        if (status == TORC_OK)
            status = torc_submit(own.torc, own.request, NULL, on_done, request);
        if (status != TORC_OK)
            load_die("torc_submit: %s", torc_status_text(status));
    }
}

static void torc_receive(struct load *load, struct load_connection *connection)
{
    (void)load;
    (void)connection;
    torc_dispatch(own.torc, 0);
}

/* The others are connected when the clock begins; so are all leaders, whoever holds the keys. */
static void connect_leaders(void)
{
    for (uint64_t i = 0; i < CONNECT_CALL_COUNT; i++) {
        uint8_t key[DATA_KEY_SIZE];
        data_key_write(key, i);
        struct torc_reply *reply = torc_get(own.torc, torc_bytes(key, sizeof(key)), NULL);
        enum torc_status status = torc_reply_status(reply);
        if (status != TORC_OK && status != TORC_NOT_FOUND)
            load_die("a first call: %s", torc_reply_text(reply));
        torc_reply_free(reply);
    }
}

static void torc_open_handle(struct load *load)
{
    char addresses[LOAD_PORTS_MAX][32], text[TORC_TEXT_SIZE];
    const char *seeds[LOAD_PORTS_MAX];
    for (unsigned i = 0; i < load->options.port_count; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "tcp://127.0.0.1:%u",
                 (unsigned)load->options.ports[i]);
        seeds[i] = addresses[i];
    }
    struct torc_options options = {
        .struct_size = sizeof(options),
        .cluster = load->options.cluster,
        .seeds = seeds,
        .seed_count = load->options.port_count,
        .completion = TORC_COMPLETE_BY_DISPATCH,
        .inflight_max = INFLIGHT_MAX,
    };
    if (torc_open(&options, text, &own.torc) != TORC_OK)
        load_die("torc_open: %s", text);
    own.request = torc_request_new();
    own.load = load;
    connect_leaders();
    load->connections[0].fd = torc_fd(own.torc);
}

static void torc_close_handle(struct load *load)
{
    (void)load;
    torc_request_free(own.request);
    torc_close(own.torc);
}

const struct load_backend load_torc = {
    .name = "libtorc",
    .open = torc_open_handle,
    .send = torc_send,
    .receive = torc_receive,
    .close = torc_close_handle,
};
