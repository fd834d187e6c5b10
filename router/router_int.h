/*
 * router/router_int -- connections and their calls: shared by router.c (connections), call.c (calls
 * and their replies), walk.c (commands over all groups) and server.c with client_command.c and
 * info_command.c (commands about the router).
 */
#ifndef TORC_ROUTER_ROUTER_INT_H
#define TORC_ROUTER_ROUTER_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "router/buffer.h"
#include "router/command.h"
#include "router/courier.h"
#include "router/latency.h"
#include "router/plan.h"
#include "router/reply.h"
#include "router/resp.h"
#include "router/router.h"
#include "router/slowlog.h"

/* The Redis whose behaviour clients find here; tools look at it to see what they may use. */
#define ROUTER_REDIS_VERSION "7.0.15"

/* Where the value of one key of several lies in its call's buffer. */
struct router_value {
    size_t at, size;
    bool present;
};

/* What became of a call's parts that have ended. */
struct router_tally {
    uint32_t answered, nothing_done, unknown, refused, failed; /* failed: the operation's error. */
    struct router_outcome worst; /* The first of the worst kind; its result is not kept. */
    enum wire_error error;       /* The first of those that failed. */
};

/* One command that waits for answers, or whose reply waits for its turn. */
struct router_call {
    struct router_connection *connection;
    const struct router_command *command;
    enum router_plan_reply reply;
    unsigned protocol;
    bool finished; /* `out` is its reply. */
    bool muted;    /* Its reply is thrown away (CLIENT REPLY). */
    uint32_t pending, part_count;
    int64_t sum;
    size_t key_size;            /* Of the first key. */
    uint64_t started_us;        /* When it was read first. */
    struct router_buffer words; /* For SLOWLOG, when that is on. */
    struct router_tally tally;
    struct router_buffer out;    /* Until finished: the values that came. */
    size_t kept;                 /* Of its size, what connection->kept counts. */
    struct router_value *values; /* One per key, when the reply is an array of values. */
    size_t value_capacity;
    bool alone;                   /* Nothing is begun behind it until it has ended. */
    struct router_walk *walk;     /* Of a command over all groups; else NULL. */
    struct router_derive *derive; /* Of a command that computes from values; else NULL. */
    struct router_call *next;     /* The next command of the connection; or the next spare one. */
};

struct router_connection {
    uint32_t slot;       /* Its number for the driver, while `open`. */
    uint64_t id;         /* Of CLIENT ID; never used again. */
    bool open;           /* The driver knows it. A closed one lives until its calls have ended. */
    bool closing;        /* Nothing more is read; closed when everything is answered and written. */
    bool ended;          /* The client sends no more; closing once what it sent was begun. */
    bool killed;         /* Closed as soon as can be. */
    bool reading;        /* As the driver was told last. */
    bool write_out;      /* `writing` is with the driver. */
    bool dirty, starved; /* In the list of that name. */
    bool walking;        /* Its newest call is alone: nothing is begun behind it. */
    uint64_t waiting_us; /* Since when its next command waits to be begun; 0: it does not. */
    bool waits_alone;    /* Its next command waits for the end of all before it. */
    bool held;           /* Its next command waits for the end of a pause (CLIENT PAUSE). */
    bool reply_off;      /* CLIENT REPLY OFF. */
    bool no_evict;       /* Not closed for the memory of all clients (CLIENT NO-EVICT). */
    uint8_t reply_skips; /* Commands that get no reply, the present one included. */
    char address[ROUTER_PEER_ADDRESS_SIZE], local[ROUTER_PEER_ADDRESS_SIZE];
    uint64_t opened_us, heard_us;        /* When it came, and when it last sent something. */
    const struct router_command *newest; /* That was well formed; NULL: none yet. */
    unsigned protocol;
    struct router_resp resp;
    struct router_buffer input, output, writing, name;
    struct router_call *first, *last; /* Calls in the order of their commands. */
    uint32_t call_count;
    size_t kept;            /* Bytes that its calls keep for their turn. */
    size_t reply_size_mean; /* Bytes of a value in its last replies, the newest counting half. */
    size_t noted;           /* What clients_size has of it. */
    struct router_connection *previous, *next; /* All that live. */
    struct router_connection *dirty_next, *starved_next;
};

/* What CLIENT PAUSE holds back; a later one is the stronger. */
enum router_pause { ROUTER_PAUSE_NOTHING, ROUTER_PAUSE_WRITES, ROUTER_PAUSE_EVERYTHING };

struct router_stats {
    uint64_t connections, connections_refused, connections_killed, connections_evicted;
    uint64_t connections_http; /* Closed since they spoke HTTP. */
    uint64_t commands, errors;
    uint64_t calls; /* Commands that were not answered at once. */
    uint64_t bytes_in, bytes_out;
    uint64_t calls_timed, call_us_total, call_us_max;
};

struct router {
    const struct base_allocator *allocator;
    struct router_config config;
    struct router_courier *courier;
    uint64_t now_us, started_us;
    uint64_t unix_us; /* The wall clock of this turn; 0 before the first. */
    bool draining;
    enum router_pause pause;
    uint64_t pause_until_us;          /* UINT64_MAX: until CLIENT UNPAUSE. */
    struct router_connection **slots; /* By number; NULL: free. clients_max of them. */
    uint32_t *slots_free;             /* A stack. */
    uint32_t slots_free_count;
    struct router_connection *connections; /* All that live. */
    uint32_t connection_count;             /* Open ones. */
    size_t clients_size;                   /* Of all connections' buffers, as noted last. */
    uint64_t connection_last_id;
    struct router_connection *dirty_first, *dirty_last;
    struct router_connection *starved_first, *starved_last;
    const struct router_connection *settled; /* The one just taken out of them. */
    bool crowded;                            /* One of them found no room: nobody overtakes it. */
    size_t turn_large;                       /* Bytes of large commands begun in this turn. */
    bool turn_full;                          /* One more was put off to the next. */
    struct router_call *spare;
    size_t spare_count, call_count;
    struct base_prng prng;          /* For RANDOMKEY alone. */
    struct router_buffer scratch;   /* Texts of errors. */
    struct router_buffer discarded; /* Replies to those who want none. */
    struct router_action *actions;
    size_t action_count, action_capacity;
    struct router_stats stats;
    struct router_slowlog slowlog;
    struct router_latency latency;
};

/* router.c */
/* The connection is looked at again before the turn ends. */
void router_connection_touch(struct router *router, struct router_connection *connection);

/* Holds the clients' commands back, or those that write, for so long; what holds already is kept
 * when it is longer or stronger. */
void router_pause(struct router *router, enum router_pause pause, uint64_t until_us);
void router_pause_end(struct router *router);

/* call.c */
/* Where the reply to a command that is answered at once goes: to the connection's output, or, when
 * earlier commands have no answer yet, behind them. Followed by one router_reply. */
struct router_buffer *router_reply_at_once(struct router *router,
                                           struct router_connection *connection);
/* A command was begun: if its reply was written already and waits for its turn, it counts from now
 * on as output that the client has not taken. */
void router_reply_kept(struct router_connection *connection);
struct router_call *router_call_new(struct router *router, struct router_connection *connection,
                                    const struct router_command *command,
                                    enum router_plan_reply reply);
/* Its reply is written: into `out`, or, when it is the connection's first, its output. */
void router_call_finished(struct router *router, struct router_call *call);
/* Where the reply of a call that ends now is to be written. */
struct router_buffer *router_call_out(struct router_call *call);
/* Appends the error of a call of which some part was not answered. */
void router_call_error(struct router *router, struct router_call *call, struct router_buffer *out);
void router_call_free(struct router *router, struct router_call *call);
/* Counts an outcome in call->tally. */
void router_call_tally(struct router_call *call, const struct router_outcome *outcome);
/* The courier's sink. */
void router_call_done(void *context, void *call, uint32_t part,
                      const struct router_outcome *outcome);
/* Whether a command of so many operations and bytes may begin; else its connection is to starve. */
bool router_call_has_room(struct router *router, const struct router_connection *connection,
                          size_t op_count, size_t size);
/* Begins a command on keys. False: there is no room now, nothing was done. */
bool router_call_begin(struct router *router, struct router_connection *connection,
                       const struct router_command *command);

/* walk.c */
struct router_walk;
/* Begins SCAN, KEYS, DBSIZE or the like; replies itself when the words are wrong. */
void router_walk_begin(struct router *router, struct router_connection *connection,
                       const struct router_command *command);
void router_walk_done(struct router *router, struct router_call *call, uint32_t group,
                      const struct router_outcome *outcome);
void router_walk_free(struct router *router, struct router_walk *walk); /* NULL is a no-op. */
/* Bytes that it holds; NULL: 0. */
size_t router_walk_size(const struct router_walk *walk);

/* server.c */
/* Answers a command that needs no node. */
void router_server_command(struct router *router, struct router_connection *connection,
                           const struct router_command *command);

/* timing.c */
/* A command has ended after so long; `words` are those of router_slowlog_words. */
void router_timing_end(struct router *router, const struct router_connection *connection,
                       const struct router_command *command, uint64_t took_us,
                       struct base_bytes words);
/* The same for one that was answered at once, whose words the parser still holds. */
void router_timing_at_once(struct router *router, struct router_connection *connection,
                           const struct router_command *command);
/* Answers SLOWLOG and LATENCY, but for HELP; false, and nothing done, when it is another. */
bool router_timing_reply(struct router *router, const struct router_connection *connection,
                         const struct router_command *command, struct router_buffer *out);

/* What the functions behind it work on. */
struct router_serving {
    struct router *router;
    struct router_connection *connection;
    const struct base_bytes *args;
    size_t arg_count;
    struct router_buffer *out;
};

bool router_word_is(struct base_bytes word, const char *text); /* ASCII case ignored. */
void router_serving_ok(struct router_serving *serving);
void router_serving_fail(struct router_serving *serving, const char *text);
/* An error that shows a word of the client's. */
void router_serving_fail_word(struct router_serving *serving, const char *before,
                              struct base_bytes word, const char *after);
/* A time in milliseconds as Redis reads timeouts; false: an error was replied. */
bool router_serving_timeout(struct router_serving *serving, struct base_bytes word,
                            uint64_t *ret_ms);

/* client_command.c */
void router_client_command(struct router_serving *serving, const struct router_command *command);
/* Takes what CLIENT REPLY says, before it is known where its own reply goes. */
void router_client_reply_mode(struct router_connection *connection);
/* Keeps the connection's name, empty for none; false: an error was replied. */
bool router_client_name_set(struct router_serving *serving, struct base_bytes name);

/* info_command.c */
/* Answers CONFIG's subcommands; false, and nothing done, when it is another command. */
bool router_config_command(struct router_serving *serving, const struct router_command *command);
void router_info_command(struct router_serving *serving);

/* together.c */
/* The size of the request that a plan with ROUTER_PLAN_TOGETHER becomes. */
size_t router_together_size(const struct router_plan *plan, const struct base_bytes *args);
/* Nothing of the connection is under way. The call may have ended when this returns. */
void router_together_begin(struct router *router, struct router_call *call,
                           const struct router_plan *plan, const struct base_bytes *args);
void router_together_done(struct router *router, struct router_call *call,
                          const struct router_outcome *outcome);

/* derive.c */
struct router_derive;
/* Nothing of the connection is under way. */
void router_derive_begin(struct router *router, struct router_call *call,
                         const struct base_bytes *args, size_t arg_count);
void router_derive_done(struct router *router, struct router_call *call, uint32_t part,
                        const struct router_outcome *outcome);
void router_derive_free(struct router *router, struct router_derive *derive); /* NULL: no-op. */
/* Bytes that it holds; NULL: 0. */
size_t router_derive_size(const struct router_derive *derive);

/* memory.c */
/* Brings router->clients_size up to date after something happened to a connection: O(1). */
void router_memory_note(struct router *router, struct router_connection *connection);
/* Who holds most of those that may be evicted; NULL: none of them holds much. */
struct router_connection *router_memory_largest(const struct router *router);
/* Bytes that connections hold, with their buffers and calls. */
size_t router_memory_clients(const struct router *router);
/* Answers MEMORY STATS and DOCTOR; false, and nothing done, when it is another command. */
bool router_memory_reply(const struct router *router, const struct router_command *command,
                         unsigned protocol, struct router_buffer *out);

#endif /* TORC_ROUTER_ROUTER_INT_H */
