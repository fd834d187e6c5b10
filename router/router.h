/*
 * router -- the front door as a deterministic machine: bytes of Redis clients and messages of nodes
 * in, messages to nodes and bytes to clients out. Same configuration and same calls give the same
 * actions, to the byte. No socket, no clock, no entropy: time comes with each turn, ids with the
 * configuration. The wall clock is only shown (TIME, SLOWLOG) and decides nothing.
 *
 * The driver's loop, once per turn:
 *
 *     router_turn(now, unix)               time; also what wakes it at ready.wake_at_us
 *     router_connection_*, router_receive  everything that arrived
 *     router_ready()                       once: what came of all of it together
 *       1. send ready.messages             one per group, whatever number of commands is in it
 *       2. carry out ready.actions in order: one write per connection
 *
 * Ownership, in full:
 *   IN   what a call's arguments point to is borrowed for the call.
 *   OUT  ready.messages and the list of actions are the router's, dead at the next call. Bytes of a
 *        ROUTER_WRITE stay until router_connection_written for that connection, or its CLOSE.
 *
 * What replies promise (DESIGN section 8): commands of one connection on a common key take effect
 * in their order, others side by side; replies come in the order of the commands. A write whose
 * outcome is unknown is said to be so ("-UNKNOWN ..."); "-TIMEOUT nothing was done" is said only
 * when no copy of it can be executed.
 */
#ifndef TORC_ROUTER_ROUTER_H
#define TORC_ROUTER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "router/courier.h"
#include "wire/envelope.h"

struct router; /* Opaque. */

struct router_setting { /* For CONFIG GET. */
    const char *name, *value;
};

struct router_config {
    struct router_courier_config courier;
    uint32_t clients_max;
    uint32_t client_inflight_max; /* Commands of one connection that are not answered yet. */
    size_t client_output_pause;   /* Unread replies past which its commands are not read on. */
    size_t client_output_max;     /* Unread replies past which it is closed. */
    size_t clients_size_max; /* Bytes that all clients hold, past which who holds most is closed. */
    const char *version;     /* Of torc. Texts are borrowed for the router's life. */
    const char *run_id;      /* 40 hexadecimal digits. */
    const char *resp_address;       /* Where clients connect, for INFO. */
    uint32_t process_id;            /* For INFO. */
    int64_t slowlog_slower_than_us; /* Commands that SLOWLOG keeps; below 0: none. */
    uint32_t slowlog_entries_max;
    const struct router_setting *settings;
    size_t setting_count;
};

enum { ROUTER_PEER_ADDRESS_SIZE = 64 }; /* With its NUL. */

/* The two ends of a client's connection, for CLIENT LIST and KILL: "127.0.0.1:7379", "[::1]:7379".
 */
struct router_peer {
    const char *address, *local; /* The client's and this side's. */
};

enum router_action_type {
    ROUTER_WRITE = 1, /* Send `bytes`, then router_connection_written. */
    ROUTER_PAUSE,     /* Read nothing more from its socket until RESUME. */
    ROUTER_RESUME,
    ROUTER_CLOSE, /* Everything was written or is given up. The number is free again: no further
                     call for it but router_connection_opened. */
};

struct router_action {
    enum router_action_type type;
    uint32_t connection;
    struct base_bytes bytes;
};

struct router_ready {
    const struct router_message *messages;
    size_t message_count;
    const struct router_action *actions;
    size_t action_count;
    uint64_t wake_at_us; /* Call router_turn then at the latest; UINT64_MAX: not by time. */
};

/* `config`'s texts and `allocator` are borrowed for the router's life. */
struct router *router_new(const struct base_allocator *allocator,
                          const struct router_config *config, uint64_t now_us);
void router_free(struct router *router); /* NULL is a no-op. */

/* Begins a turn; `now_us` is monotonic and asserted never to go back, `unix_us` is the wall clock,
 * microseconds since 1970, which may. */
void router_turn(struct router *router, uint64_t now_us, uint64_t unix_us);
void router_ready(struct router *router, struct router_ready *ret_ready);

/* ---- Clients ------------------------------------------------------------------------------------
 */

/* A client connected; the texts of `peer` are copied. TORC_FULL: clients_max are there: write
 * router_refusal() and close. */
enum torc_status router_connection_opened(struct router *router, const struct router_peer *peer,
                                          uint32_t *ret_connection) TORC_MUST_CHECK;
struct base_bytes router_refusal(void);
/* Where the rest of a large argument is to be read to, so that it need not be copied: that much of
 * it is missing. Size 0: it is all the same. Dead at the next call, which is to be
 * router_connection_bytes with the bytes as they stand there, or any other. */
struct router_room {
    uint8_t *data;
    size_t size;
};
struct router_room router_connection_room(struct router *router, uint32_t connection);
void router_connection_bytes(struct router *router, uint32_t connection, struct base_bytes bytes);
/* All bytes of the newest ROUTER_WRITE are with the operating system. True: call router_ready once
 * more in this turn, there is more to do for the connection. */
bool router_connection_written(struct router *router, uint32_t connection);
/* The client sends no more, and may still read: what it sent is carried out and answered, then the
 * connection is closed. */
void router_connection_ended(struct router *router, uint32_t connection);
/* The client is gone. Commands that were begun are carried out; the number
 * is free again after this call, and bytes of a ROUTER_WRITE are gone. */
void router_connection_closed(struct router *router, uint32_t connection);
/* The process is about to end: no further command is begun, those that are in flight are answered.
 */
void router_drain(struct router *router);
/* Whether, after router_drain, everything is answered and written out. */
bool router_drained(const struct router *router);

/* ---- Nodes --------------------------------------------------------------------------------------
 */

void router_receive(struct router *router, const struct wire_envelope *envelope);
void router_peer_lost(struct router *router, uint32_t peer);

/* ---- Looking ------------------------------------------------------------------------------------
 */

const struct router_courier *router_courier(const struct router *router);
/* Aborts on the first broken invariant; linear in connections and commands. */
void router_check(const struct router *router);

#endif /* TORC_ROUTER_ROUTER_H */
