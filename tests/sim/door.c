/* A router's ends of its clients' streams: what router/driver/door.c does with sockets. */
#include "base/assert.h"
#include "tests/sim/clients.h"

static struct sim_router *router_of(struct sim *sim, const struct sim_stream *stream)
{
    return &sim->routers[stream->router];
}

/* The router has no part in it any more. */
static void detach(struct sim *sim, struct sim_stream *stream)
{
    router_of(sim, stream)->streams[stream->connection] = NULL;
    stream->accepted = stream->paused = false;
    stream->writing = base_bytes_of(NULL, 0);
}

static void accept_stream(struct sim *sim, struct sim_stream *stream)
{
    struct sim_router *router = router_of(sim, stream);
    static const struct router_peer peer = {"127.0.0.1:1024", "127.0.0.1:7379"};
    if (router_connection_opened(router->whole, &peer, &stream->connection) != TORC_OK) {
        stream_send(sim, stream, &stream->out, SIM_PIECE_BYTES, router_refusal());
        stream_send(sim, stream, &stream->out, SIM_PIECE_END, base_bytes_of(NULL, 0));
        return;
    }
    TORC_ASSERT(router->streams[stream->connection] == NULL);
    router->streams[stream->connection] = stream;
    stream->accepted = true;
}

static void read_piece(struct sim *sim, struct sim_stream *stream, enum sim_piece_type type,
                       struct base_bytes bytes)
{
    struct sim_router *router = router_of(sim, stream);
    if (!stream->accepted && type != SIM_PIECE_OPEN) {
        if (type == SIM_PIECE_RESET)
            stream_closed(sim, stream);
        return; /* It was closed from this side, or its router died. */
    }
    sim_router_on_event(sim, router);
    switch (type) {
    case SIM_PIECE_OPEN:
        accept_stream(sim, stream);
        return;
    case SIM_PIECE_BYTES:
        router_connection_bytes(router->whole, stream->connection, bytes);
        return;
    case SIM_PIECE_END:
        router_connection_ended(router->whole, stream->connection);
        return;
    case SIM_PIECE_RESET:
        router_connection_closed(router->whole, stream->connection);
        detach(sim, stream);
        stream_closed(sim, stream);
        return;
    }
}

void door_read(struct sim *sim, struct sim_stream *stream)
{
    enum sim_piece_type type;
    struct base_bytes bytes = {0};
    if (stream->paused && stream_is_reset(&stream->in)) {
        read_piece(sim, stream, SIM_PIECE_RESET, bytes); /* What came before is lost with it. */
        return;
    }
    while (!stream->paused && stream_take(&stream->in, &type, &bytes))
        read_piece(sim, stream, type, bytes);
}

/* As much as the socket takes now. */
static void write_some(struct sim *sim, struct sim_stream *stream)
{
    size_t under_way = stream_size(&stream->out), size = stream->writing.size;
    size_t room = under_way < stream->window ? stream->window - under_way : 0;
    if (size > room)
        size = room;
    if (size == 0)
        return;
    stream_send(sim, stream, &stream->out, SIM_PIECE_BYTES,
                base_bytes_of(stream->writing.data, size));
    stream->writing = base_bytes_of(stream->writing.data + size, stream->writing.size - size);
}

/* The client has read some. */
void door_write_on(struct sim *sim, struct sim_stream *stream)
{
    if (!stream->accepted || stream->writing.size == 0)
        return;
    write_some(sim, stream);
    if (stream->writing.size > 0)
        return;
    struct sim_router *router = router_of(sim, stream);
    sim_router_on_event(sim, router);
    (void)router_connection_written(router->whole, stream->connection); /* Ready is due anyway. */
}

/* True: router_ready is due again. */
static bool write_first(struct sim *sim, struct sim_stream *stream, struct base_bytes bytes)
{
    TORC_ASSERT(stream->writing.size == 0);
    stream->writing = bytes;
    write_some(sim, stream);
    return stream->writing.size == 0 &&
           router_connection_written(router_of(sim, stream)->whole, stream->connection);
}

bool door_act(struct sim *sim, struct sim_router *router, const struct router_action *actions,
              size_t count)
{
    bool again = false;
    for (size_t i = 0; i < count; i++) {
        struct sim_stream *stream = router->streams[actions[i].connection];
        TORC_ASSERT(stream != NULL);
        switch (actions[i].type) {
        case ROUTER_WRITE:
            again |= write_first(sim, stream, actions[i].bytes);
            break;
        case ROUTER_PAUSE:
            stream->paused = true;
            sim->coverage->connections_paused++;
            break;
        case ROUTER_RESUME:
            stream->paused = false;
            sim_push(sim, (struct sim_event){.at_us = sim->now_us,
                                             .type = SIM_DOOR_GOES,
                                             .place = stream->client,
                                             .life = stream->life});
            break;
        case ROUTER_CLOSE:
            detach(sim, stream);
            stream_send(sim, stream, &stream->out, SIM_PIECE_END, base_bytes_of(NULL, 0));
            break;
        }
    }
    return again;
}

void door_router_died(struct sim *sim, struct sim_router *router)
{
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        struct sim_stream *stream = router->streams[i];
        if (stream == NULL)
            continue;
        detach(sim, stream);
        stream_send(sim, stream, &stream->out, SIM_PIECE_RESET, base_bytes_of(NULL, 0));
    }
}
