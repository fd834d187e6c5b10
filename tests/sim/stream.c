/* A TCP connection of a client with a router: bytes arrive in order, in other pieces. */
#include <string.h>

#include "base/assert.h"
#include "tests/sim/clients.h"

enum { STREAM_CUTS_MAX = 4 }; /* Pieces of one write, at most. */

void stream_init(struct sim *sim, struct sim_client *client)
{
    client->stream = base_alloc_zero(sim->allocator, sizeof(*client->stream));
    client->stream->client = client->index;
}

static void pipe_clear(struct sim_pipe *pipe)
{
    pipe->first = pipe->count = pipe->arrived = 0;
    pipe->start = pipe->end = 0;
    pipe->last_us = 0;
}

static void pipe_fini(struct sim *sim, struct sim_pipe *pipe)
{
    base_array_free(sim->allocator, pipe->pieces, &pipe->capacity, sizeof(*pipe->pieces));
    base_array_free(sim->allocator, pipe->bytes, &pipe->bytes_capacity, 1);
}

void stream_fini(struct sim *sim, struct sim_client *client)
{
    struct sim_stream *stream = client->stream;
    pipe_fini(sim, &stream->in);
    pipe_fini(sim, &stream->out);
    base_array_free(sim->allocator, stream->heard, &stream->heard_capacity, 1);
    base_free(sim->allocator, stream, sizeof(*stream));
}

size_t stream_size(const struct sim_pipe *pipe)
{
    return pipe->end - pipe->start;
}

void stream_open(struct sim *sim, struct sim_stream *stream, uint32_t router)
{
    TORC_ASSERT(stream->state == SIM_STREAM_CLOSED && !stream->accepted);
    stream->state = SIM_STREAM_OPEN;
    stream->router = router;
    stream->paused = false;
    stream->window = sim_draw(sim, 64, 4096);
    stream_send(sim, stream, &stream->in, SIM_PIECE_OPEN, base_bytes_of(NULL, 0));
}

void stream_closed(struct sim *sim, struct sim_stream *stream)
{
    TORC_ASSERT(!stream->accepted);
    sim_trace(sim, "stream ends", SIM_OF_CLIENT + stream->client, SIM_NODES_MAX + stream->router,
              stream->life, 0);
    pipe_clear(&stream->in);
    pipe_clear(&stream->out);
    stream->life++;
    stream->state = SIM_STREAM_CLOSED;
    stream->deaf_until_us = 0;
    stream->asked_first = stream->asked_count = 0;
    stream->unsent.size = stream->heard_size = 0;
    client_rest(sim, &sim->clients[stream->client]);
}

static void piece_send(struct sim *sim, struct sim_stream *stream, struct sim_pipe *pipe,
                       struct sim_piece piece)
{
    pipe->pieces = base_array_reserve(sim->allocator, pipe->pieces, &pipe->capacity,
                                      pipe->count + 1, sizeof(*pipe->pieces));
    pipe->pieces[pipe->count++] = piece;
    uint64_t at_us =
        sim->now_us + sim_draw(sim, sim->options.delay_us_min, sim->options.delay_us_max);
    if (at_us < pipe->last_us)
        at_us = pipe->last_us;
    pipe->last_us = at_us;
    sim_push(sim, (struct sim_event){.at_us = at_us,
                                     .type = pipe == &stream->in ? SIM_TO_DOOR : SIM_TO_CLIENT,
                                     .place = stream->client,
                                     .life = stream->life});
}

void stream_send(struct sim *sim, struct sim_stream *stream, struct sim_pipe *pipe,
                 enum sim_piece_type type, struct base_bytes bytes)
{
    sim_note(sim, base_hash_seeded(bytes, (uint64_t)type << 32 | (uint64_t)stream->client << 1 |
                                              (pipe == &stream->out)));
    if (type != SIM_PIECE_BYTES) {
        piece_send(sim, stream, pipe, (struct sim_piece){.type = type});
        return;
    }
    pipe->bytes = base_array_reserve(sim->allocator, pipe->bytes, &pipe->bytes_capacity,
                                     pipe->end + bytes.size, 1);
    memcpy(pipe->bytes + pipe->end, bytes.data, bytes.size);
    pipe->end += bytes.size;
    size_t left = bytes.size;
    for (uint32_t i = 1; left > 0; i++) {
        bool cut = i < STREAM_CUTS_MAX && left > 1 && sim_chance(sim, 200);
        size_t size = cut ? sim_draw(sim, 1, left - 1) : left;
        piece_send(sim, stream, pipe, (struct sim_piece){.type = type, .size = size});
        left -= size;
    }
}

bool stream_take(struct sim_pipe *pipe, enum sim_piece_type *ret_type, struct base_bytes *ret_bytes)
{
    if (pipe->arrived == 0)
        return false;
    pipe->arrived--;
    struct sim_piece piece = pipe->pieces[pipe->first++];
    *ret_type = piece.type;
    *ret_bytes = base_bytes_of(pipe->bytes + pipe->start, piece.size);
    pipe->start += piece.size;
    if (pipe->first == pipe->count) {
        TORC_ASSERT(pipe->start == pipe->end);
        pipe->first = pipe->count = 0;
        pipe->start = pipe->end = 0;
    }
    return true;
}

bool stream_is_reset(const struct sim_pipe *pipe)
{
    return pipe->arrived > 0 &&
           pipe->pieces[pipe->first + pipe->arrived - 1].type == SIM_PIECE_RESET;
}

void stream_event(struct sim *sim, const struct sim_event *event)
{
    struct sim_client *client = &sim->clients[event->place];
    struct sim_stream *stream = client->stream;
    if (event->life != stream->life)
        return;
    if (event->type == SIM_TO_CLIENT || event->type == SIM_CLIENT_READS) {
        stream->out.arrived += event->type == SIM_TO_CLIENT;
        resp_client_read(sim, client);
        return;
    }
    if (event->type == SIM_TO_DOOR)
        stream->in.arrived++;
    else
        door_write_on(sim, stream);
    door_read(sim, stream);
}
