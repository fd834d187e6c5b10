/*
 * net/net -- ZeroMQ sockets in a libuv loop: a shell that moves whole messages.
 *
 * A process has at most one ROUTER socket, bound to its address, and one DEALER socket per peer
 * that it connects to. What comes in on the ROUTER is answered along the route on which it came;
 * what goes to a peer goes through that peer's DEALER, whose answers come back on it.
 *
 * All messages that are there are delivered one after the other, and then on_turn is called once:
 * the owner steps its core for each, then takes one turn. A full queue is a counted drop, never
 * silent and never a wait: every protocol on top has its own retry.
 *
 * Ownership: messages that are delivered are borrowed for the call; messages that are sent are
 * copied before the call returns. Single-threaded: everything happens on the loop's thread. An
 * owner that takes its turn in a uv_prepare callback starts it after net_open: libuv runs the one
 * started last first, and net has to look, after a turn's sends, whether they made anything ready.
 */
#ifndef TORC_NET_NET_H
#define TORC_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/bytes.h"
#include "base/status.h"

struct net;      /* Opaque. */
struct net_peer; /* Opaque: the way to one address. */

/* The way back to whoever sent a message on the ROUTER: never 0, never used for another sender in
 * the life of the process. Routes that were not heard of for longest are forgotten past a bound. */
enum { NET_ROUTES_MAX = 4096, NET_TEXT_SIZE = 256 };

struct net_callbacks {
    /* A message on the ROUTER. */
    void (*on_request)(void *context, uint64_t route, struct base_bytes message);
    /* A message on a peer's DEALER. */
    void (*on_answer)(void *context, struct net_peer *peer, struct base_bytes message);
    /* Everything that was there has been delivered. NULL: not wanted. */
    void (*on_turn)(void *context);
    void *context;
};

struct net_config {
    const char *listen; /* "tcp://127.0.0.1:7401", port "*" for any; NULL: no ROUTER. */
    uint64_t identity;  /* Of the DEALERs: unique for this life of this process. */
    uint32_t queue_max; /* Messages queued per peer and per requester. */
    uint32_t message_size_max;
    size_t turn_size_max; /* Answers taken in one turn end with the one that passes this many bytes,
                             and the rest comes in the next; 0: no such bound. */
    bool insecure;        /* Allow `listen` beyond loopback. */
};

struct net_counters {
    uint64_t received, sent;
    uint64_t dropped_full;  /* A queue was full. */
    uint64_t dropped_route; /* The requester is gone. */
    uint64_t malformed;     /* Received in another number of parts than ours come in; dropped. */
};

/* Binds and begins to deliver. On any status but TORC_OK `text` says what is wrong, naming the
 * address. TORC_INVALID: the address; TORC_LOCKED: in use; TORC_IO. */
enum torc_status net_open(uv_loop_t *loop, const struct net_config *config,
                          const struct net_callbacks *callbacks, char text[NET_TEXT_SIZE],
                          struct net **ret_net) TORC_MUST_CHECK;
/* Closes all sockets at once (nothing lingers) and calls `closed`, in which the memory is gone.
 * Nothing may be sent or connected any more: an owner that takes turns stops them first. */
void net_close(struct net *net, void (*closed)(void *context), void *context);

/* The address bound, with the port that the system chose; valid until net_close. */
const char *net_address(const struct net *net);

/* The way to an address, connected in the background, reconnected with back-off for ever; the same
 * object for the same address. NULL: not an address. `owner` comes back with net_peer_owner. */
struct net_peer *net_connect(struct net *net, const char *address, void *owner);
void *net_peer_owner(const struct net_peer *peer);
/* Ends it; nothing more is delivered from it. */
void net_disconnect(struct net *net, struct net_peer *peer);

/* Sends to a peer. TORC_FULL: dropped and counted (also while it is not connected). */
enum torc_status net_send(struct net *net, struct net_peer *peer, struct base_bytes message);
/* The same for a message of `size` bytes that `make` writes in its place. */
enum torc_status net_send_made(struct net *net, struct net_peer *peer, size_t size,
                               void (*make)(void *context, uint8_t *at), void *context);
/* Answers along a route. TORC_FULL, TORC_NOT_FOUND: dropped and counted. */
enum torc_status net_answer(struct net *net, uint64_t route, struct base_bytes message);

const struct net_counters *net_counters(const struct net *net);

#endif /* TORC_NET_NET_H */
