/*
 * tests/sim/clients -- who asks for things, how, and what they remember.
 *
 *   workload.c     what is asked for              client.c       when, and what came of it
 *   transaction.c  several in one request         library.c      the C library's core
 *   recorder.c     histories of it                resp_client.c  commands and replies as bytes
 *   stream.c       a TCP connection               door.c         its end at a router
 *   resp.h         the bytes, written anew here
 *
 * A client talks to one router at a time. Is that a whole router, it sends commands over a stream,
 * many in a row, and gets replies in their order. Is it a bare courier, the client stands for a
 * program with the C library in it: it hands operations to the courier and also learns versions
 * and the group's clock.
 *
 * A stream delivers what was sent, in order, cut into other pieces; it is not subject to the faults
 * of links between nodes. Its pieces are not counted as messages.
 */
#ifndef TORC_TESTS_SIM_CLIENTS_H
#define TORC_TESTS_SIM_CLIENTS_H

#include "tests/sim/resp.h"
#include "tests/sim/sim.h"

enum {
    CLIENT_BURST_MAX = SIM_TASKS_MAX,        /* Commands on their way at once. */
    CLIENT_TOGETHER_MAX = 4,                 /* Keys of one command. */
    CLIENT_ASKED_MAX = 2 * CLIENT_BURST_MAX, /* With garbage between them. */
};

/* The one reason to give up before the deadline: the group's clock, which may be ahead. */
#define CLIENT_TOO_LATE "it came too late to its group"

/* check_own.c: fills in the task; false: not now, or not by this client. What came of it. */
bool own_choose(struct sim *sim, struct sim_task *task, struct sim_key *key, bool may_check);
void own_heard(struct sim *sim, struct sim_task *task, const struct router_outcome *outcome);
void own_abandoned(struct sim *sim, struct sim_task *task);
/* It comes to nothing. Whether it is no CHECK, or holds. */
void own_released(struct sim *sim, struct sim_task *task);
bool own_check_holds(struct sim *sim, const struct sim_task *task, uint64_t now_ms);

/* transaction.c: how many tasks from this one on it asks for in one request; 0: not this time. Its
 * outcome. */
uint32_t transaction_ask(struct sim *sim, struct sim_client *client, uint32_t first);
void transaction_done(struct sim *sim, struct sim_task *tasks,
                      const struct router_outcome *outcome);

/* library.c */
struct libtorc_client;
void library_ask(struct sim *sim, struct libtorc_client *library, struct sim_task *task);
void library_hear(struct sim *sim, struct libtorc_client *library);
void library_free(struct libtorc_client *library);

/* client.c */
void client_begin(struct sim *sim, struct sim_client *client, struct sim_task *task);
void client_end(struct sim *sim, struct sim_task *task);

/* ---- Streams. */

enum sim_piece_type {
    SIM_PIECE_OPEN = 1,
    SIM_PIECE_BYTES,
    SIM_PIECE_END,   /* Nothing follows; the other way stays. */
    SIM_PIECE_RESET, /* Both ways are gone. */
};

struct sim_piece {
    enum sim_piece_type type;
    size_t size;
};

struct sim_pipe { /* One way: what was sent and is not read. */
    struct sim_piece *pieces;
    size_t first, count, capacity; /* pieces[first] to pieces[count - 1]. */
    size_t arrived;
    uint8_t *bytes;
    size_t start, end, bytes_capacity;
    uint64_t last_us; /* When its last piece arrives. */
};

enum sim_stream_state { /* As its client sees it. */
                        SIM_STREAM_CLOSED,
                        SIM_STREAM_OPEN,
                        SIM_STREAM_LEAVING, /* It said END, or what ends it. */
                        SIM_STREAM_QUIT,    /* It said RESET, and hears nothing more. */
};

struct sim_asked {
    struct sim_task *task; /* The first; NULL: garbage, or a scan. */
    uint32_t count;        /* Tasks of one command, side by side in the client. */
    const char *error;     /* How its refusal begins; NULL: a scan. */
};

struct sim_stream {
    uint32_t client;
    uint32_t life; /* One per connection. */
    enum sim_stream_state state;
    uint32_t router;
    struct sim_pipe in, out; /* To the router, to the client. */
    /* At the router. */
    bool accepted;
    uint32_t connection;
    bool paused;
    size_t window;             /* Bytes under way to the client, at most. */
    struct base_bytes writing; /* What the socket has not taken. */
    /* At the client. */
    struct resp_out unsent;
    struct sim_asked asked[CLIENT_ASKED_MAX]; /* Sent and not answered, a ring. */
    size_t asked_first, asked_count;
    uint64_t deaf_until_us;
    uint8_t *heard; /* Of a reply that is not whole yet. */
    size_t heard_size, heard_capacity;
};

/* stream.c */
void stream_init(struct sim *sim, struct sim_client *client);
void stream_fini(struct sim *sim, struct sim_client *client);
void stream_open(struct sim *sim, struct sim_stream *stream, uint32_t router);
/* Both ways are over, as its client sees it. */
void stream_closed(struct sim *sim, struct sim_stream *stream);
void stream_event(struct sim *sim, const struct sim_event *event);
void stream_send(struct sim *sim, struct sim_stream *stream, struct sim_pipe *pipe,
                 enum sim_piece_type type, struct base_bytes bytes);
/* The first piece that has arrived; its bytes are the pipe's, until more is sent into it. */
bool stream_take(struct sim_pipe *pipe, enum sim_piece_type *ret_type,
                 struct base_bytes *ret_bytes);
/* Whether the newest piece that has arrived says so. */
bool stream_is_reset(const struct sim_pipe *pipe);
size_t stream_size(const struct sim_pipe *pipe);

/* door.c: what router/driver/door.c does. */
void door_read(struct sim *sim, struct sim_stream *stream);
void door_write_on(struct sim *sim, struct sim_stream *stream);
bool door_act(struct sim *sim, struct sim_router *router, const struct router_action *actions,
              size_t count);
void door_router_died(struct sim *sim, struct sim_router *router);

/* router.c: the first event of a turn sets the core's time for all of them. */
void sim_router_on_event(struct sim *sim, struct sim_router *router);
/* The message that it kept, to the same node; false: there is none whose answers are old. */
bool sim_router_send_kept(struct sim *sim, struct sim_router *router);
/* Hands a library's operation to a courier; client_done hears of it. */
void sim_router_add(struct sim *sim, struct sim_router *router, struct sim_task *task);
/* Of so many tasks as the first says, with its deadline. */
void sim_router_add_request(struct sim *sim, struct sim_router *router, struct sim_task *tasks,
                            uint8_t flags);

/* ---- Clients. */

/* resp_client.c */
/* One, or several of which all read or all write: MGET, MSET. */
void resp_client_ask(struct sim *sim, struct sim_stream *stream, struct sim_task *tasks,
                     uint32_t count);
void resp_client_scan(struct sim *sim, struct sim_stream *stream);
/* Something that is refused with `error`. False: not now. */
bool resp_client_misspeak(struct sim *sim, struct sim_stream *stream, const char *bytes,
                          const char *error, bool ends);
void resp_client_quit(struct sim *sim, struct sim_stream *stream);
void resp_client_flush(struct sim *sim, struct sim_stream *stream);
void resp_client_read(struct sim *sim, struct sim_client *client);

/* client.c */
void client_done(void *context, void *call, uint32_t part, const struct router_outcome *outcome);
/* Nobody will say what came of it. */
void client_abandon(struct sim *sim, struct sim_task *task);
/* It asks for more after a while, if nothing is in flight. */
void client_rest(struct sim *sim, struct sim_client *client);

/* workload.c */
void workload_choose(struct sim *sim, struct sim_task *task);
/* For a command on several keys: reads of any, writes of as many registers. */
void workload_choose_reads(struct sim *sim, struct sim_task *tasks, uint32_t count);
void workload_choose_writes(struct sim *sim, struct sim_task *tasks, uint32_t count);
/* What is left to be written and read after healing. False: nothing. */
bool workload_choose_last(struct sim *sim, struct sim_task *task);

/* recorder.c: histories of all keys but the expiring ones, whose end nobody wrote. */
void recorder_begin(struct sim *sim, struct sim_task *task);
void recorder_end(struct sim *sim, const struct sim_task *task,
                  const struct router_outcome *outcome);

/* check_scan.c: whether it was over all keys; the next command; its reply; nobody will reply. */
bool check_scan_is_over(const struct sim *sim);
void check_scan_ask(struct sim *sim, struct resp_out *out);
void check_scan_heard(struct sim *sim, const struct resp_reply *reply);
void check_scan_given_up(struct sim *sim);

#endif /* TORC_TESTS_SIM_CLIENTS_H */
