/*
 * etcd's KV service: gRPC over plain HTTP/2, as little of it as loopback needs. Several clients
 * share a connection, each request is a stream. Headers are sent without compression and those of
 * replies are not read: a call that failed has no message, and one with a message succeeded.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "benchmarks/load/load.h"

enum {
    FRAME_HEAD_SIZE = 9,
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
    FLAG_END_STREAM = 1, /* Of DATA and HEADERS; ACK of SETTINGS and PING. */
    FLAG_END_HEADERS = 4,
    GRPC_HEAD_SIZE = 5,
    STREAMS_MAX = 16384, /* Under way on a connection; a power of two. */
    WINDOW_SIZE = 1 << 30,
    WINDOW_RENEW = 1 << 24,
};

struct etcd_connection {
    struct load_request *streams[STREAMS_MAX]; /* Stream 2 i + 1 at i modulo STREAMS_MAX. */
    bool good[STREAMS_MAX];
    uint64_t stream_count;
    int64_t send_window; /* What the server lets us send. */
    uint64_t received;   /* Since we let it send more. */
};

/* ---- Sending
 * ------------------------------------------------------------------------------------ */

static void put_frame(struct load_connection *connection, unsigned type, unsigned flags,
                      uint32_t stream, struct base_bytes body)
{
    uint32_t size = (uint32_t)body.size;
    uint8_t head[FRAME_HEAD_SIZE] = {
        (uint8_t)(size >> 16),   (uint8_t)(size >> 8),   (uint8_t)size,
        (uint8_t)type,           (uint8_t)flags,         (uint8_t)(stream >> 24),
        (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream,
    };
    load_put(connection, head, sizeof(head));
    load_put(connection, body.data, body.size);
}

static void put_window_update(struct load_connection *connection, uint32_t more)
{
    uint8_t body[4] = {(uint8_t)(more >> 24), (uint8_t)(more >> 16), (uint8_t)(more >> 8),
                       (uint8_t)more};
    put_frame(connection, FRAME_WINDOW_UPDATE, 0, 0, base_bytes_of(body, sizeof(body)));
}

/* Indexed fields by the static table of HPACK, others as literals that nobody is to remember. */
static size_t write_headers(uint8_t *at, const char *path)
{
    static const uint8_t first[] = {0x83 /* POST */, 0x86 /* http */};
    static const uint8_t others[] = "\x01\x09localhost" /* :authority */
                                    "\x0f\x10\x10"      /* content-type */
                                    "application/grpc"  /* ... */
                                    "\x00\x02te\x08trailers";
    size_t path_size = strlen(path), size = sizeof(first);
    memcpy(at, first, sizeof(first));
    at[size++] = 0x04; /* :path */
    at[size++] = (uint8_t)path_size;
    memcpy(at + size, path, path_size);
    size += path_size;
    memcpy(at + size, others, sizeof(others) - 1);
    return size + sizeof(others) - 1;
}

static size_t write_varint(uint8_t *at, uint64_t number)
{
    size_t size = 0;
    for (; number >= 128; number >>= 7)
        at[size++] = (uint8_t)(number | 128);
    at[size++] = (uint8_t)number;
    return size;
}

/* gRPC's head, then PutRequest{1: key, 2: value} or RangeRequest{1: key}. */
static size_t write_message(struct load *load, const struct load_request *request, uint8_t *at)
{
    size_t size = GRPC_HEAD_SIZE, value_size = load->options.value_size;
    at[size++] = 1 << 3 | 2;
    at[size++] = DATA_KEY_SIZE;
    memcpy(at + size, request->key, DATA_KEY_SIZE);
    size += DATA_KEY_SIZE;
    if (request->op == LOAD_SET) {
        at[size++] = 2 << 3 | 2;
        size += write_varint(at + size, value_size);
        load_value_write(load, request, at + size);
        size += value_size;
    }
    size_t body_size = size - GRPC_HEAD_SIZE;
    uint8_t head[GRPC_HEAD_SIZE] = {0, (uint8_t)(body_size >> 24), (uint8_t)(body_size >> 16),
                                    (uint8_t)(body_size >> 8), (uint8_t)body_size};
    memcpy(at, head, sizeof(head));
    return size;
}

static void etcd_send(struct load *load, struct load_slot *slot)
{
    static uint8_t message[DATA_VALUE_SIZE_MAX + 64];
    struct load_connection *connection = slot->connection;
    struct etcd_connection *own = connection->own;
    for (unsigned i = 0; i < slot->request_count; i++) {
        struct load_request *request = &slot->requests[i];
        uint8_t headers[128];
        size_t headers_size = write_headers(
            headers, request->op == LOAD_SET ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range");
        size_t size = write_message(load, request, message);
        size_t at = own->stream_count % STREAMS_MAX;
        uint32_t stream = (uint32_t)(2 * own->stream_count++ + 1);
        if (own->streams[at] != NULL)
            load_die("over %d requests under way on a connection", STREAMS_MAX);
        own->streams[at] = request;
        own->good[at] = false;
        own->send_window -= (int64_t)size;
        if (own->send_window < 0)
            load_die("the server's window is too small: more --connections");
        put_frame(connection, FRAME_HEADERS, FLAG_END_HEADERS, stream,
                  base_bytes_of(headers, headers_size));
        put_frame(connection, FRAME_DATA, FLAG_END_STREAM, stream, base_bytes_of(message, size));
    }
    load_flush(connection);
}

/* ---- Receiving
 * ---------------------------------------------------------------------------------- */

/* Finds a field of type "bytes" of a message; false when it has none, or is no message. */
static bool find_field(struct base_bytes message, unsigned field, struct base_bytes *ret_bytes)
{
    size_t at = 0;
    while (at < message.size) {
        uint64_t numbers[2] = {0, 0}; /* Tag, then number or size. */
        for (int i = 0; i < 2; i++) {
            for (unsigned shift = 0;; shift += 7) {
                if (at == message.size || shift > 63)
                    return false;
                uint8_t byte = message.data[at++];
                numbers[i] |= (uint64_t)(byte & 127) << shift;
                if (byte < 128)
                    break;
            }
        }
        if ((numbers[0] & 7) == 0)
            continue;
        if ((numbers[0] & 7) != 2 || numbers[1] > message.size - at)
            return false;
        *ret_bytes = base_bytes_of(message.data + at, (size_t)numbers[1]);
        if (numbers[0] >> 3 == field)
            return true;
        at += (size_t)numbers[1];
    }
    return false;
}

/* PutResponse{1: header} or RangeResponse{1: header, 2: KeyValue{1: key, 5: value}}. */
static bool message_good(const struct load *load, const struct load_request *request,
                         struct base_bytes data)
{
    if (data.size < GRPC_HEAD_SIZE || data.data[0] != 0)
        return false;
    uint32_t size = (uint32_t)data.data[1] << 24 | (uint32_t)data.data[2] << 16 |
                    (uint32_t)data.data[3] << 8 | data.data[4];
    if (size != data.size - GRPC_HEAD_SIZE)
        return false;
    struct base_bytes message = base_bytes_of(data.data + GRPC_HEAD_SIZE, size), found, value;
    if (request->op == LOAD_SET)
        return find_field(message, 1, &found);
    return find_field(message, 2, &found) && find_field(found, 5, &value) &&
           load_value_good(load, request, value);
}

static void end_stream(struct load *load, struct etcd_connection *own, uint32_t stream)
{
    size_t at = stream / 2 % STREAMS_MAX;
    struct load_request *request = own->streams[at];
    if (request == NULL)
        load_die("a reply to no request");
    own->streams[at] = NULL;
    load_answered(load, request, own->good[at]);
}

static void take_control(struct load_connection *connection, unsigned type, unsigned flags,
                         uint32_t stream, struct base_bytes body)
{
    struct etcd_connection *own = connection->own;
    bool ack = (flags & FLAG_END_STREAM) != 0;
    if (type == FRAME_GOAWAY)
        load_die("the server said GOAWAY");
    if (type == FRAME_WINDOW_UPDATE && stream == 0 && body.size == 4)
        own->send_window += (int64_t)body.data[0] << 24 | (int64_t)body.data[1] << 16 |
                            (int64_t)body.data[2] << 8 | body.data[3];
    if (type == FRAME_SETTINGS && !ack)
        put_frame(connection, FRAME_SETTINGS, FLAG_END_STREAM, 0, base_bytes_of("", 0));
    if (type == FRAME_PING && !ack)
        put_frame(connection, FRAME_PING, FLAG_END_STREAM, 0, body);
    load_flush(connection);
}

static void take_frame(struct load *load, struct load_connection *connection, const uint8_t *head,
                       struct base_bytes body)
{
    struct etcd_connection *own = connection->own;
    unsigned type = head[3], flags = head[4];
    uint32_t stream = (uint32_t)(head[5] & 127) << 24 | (uint32_t)head[6] << 16 |
                      (uint32_t)head[7] << 8 | head[8];
    if (type != FRAME_DATA && type != FRAME_HEADERS && type != FRAME_RST_STREAM) {
        take_control(connection, type, flags, stream, body);
        return;
    }
    size_t at = stream / 2 % STREAMS_MAX;
    if (type == FRAME_DATA && own->streams[at] != NULL)
        own->good[at] = message_good(load, own->streams[at], body);
    own->received += type == FRAME_DATA ? body.size : 0;
    if (own->received > WINDOW_RENEW) {
        put_window_update(connection, (uint32_t)own->received);
        own->received = 0;
        load_flush(connection);
    }
    if (type == FRAME_RST_STREAM)
        own->good[at] = false;
    if (type == FRAME_RST_STREAM || (flags & FLAG_END_STREAM) != 0)
        end_stream(load, own, stream);
}

static void etcd_receive(struct load *load, struct load_connection *connection)
{
    load_fill(connection);
    size_t used = 0;
    while (connection->in_size - used >= FRAME_HEAD_SIZE) {
        const uint8_t *head = connection->in + used;
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (connection->in_size - used - FRAME_HEAD_SIZE < size)
            break;
        used += FRAME_HEAD_SIZE + size;
        take_frame(load, connection, head, base_bytes_of(head + FRAME_HEAD_SIZE, size));
    }
    load_drop(connection, used);
}

/* ---- Opening
 * ------------------------------------------------------------------------------------ */

static void etcd_open(struct load *load)
{
    static const uint8_t settings[] = {0, 4, WINDOW_SIZE >> 24, 0, 0, 0}; /* Of each stream. */
    unsigned first = 0;
    load_connect_all(load, &first, 1);
    for (unsigned i = 0; i < load->options.connections; i++) {
        struct load_connection *connection = &load->connections[i];
        struct etcd_connection *own = base_alloc(base_allocator_system(), sizeof(*own));
        memset(own, 0, sizeof(*own));
        own->send_window = 65535;
        connection->own = own;
        load_put(connection, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
        put_frame(connection, FRAME_SETTINGS, 0, 0, base_bytes_of(settings, sizeof(settings)));
        put_window_update(connection, WINDOW_SIZE);
        load_flush(connection);
    }
}

static void etcd_close(struct load *load)
{
    for (unsigned i = 0; i < load->options.connections; i++)
        base_free(base_allocator_system(), load->connections[i].own,
                  sizeof(struct etcd_connection));
    load_disconnect_all(load);
}

const struct load_backend load_etcd = {
    .name = "etcd",
    .open = etcd_open,
    .send = etcd_send,
    .receive = etcd_receive,
    .close = etcd_close,
};
