/*
 * router/courier -- carries operations to the leaders of their groups and brings the answers back.
 *
 * It knows of groups, leaders, credits, retries and deadlines, and nothing of Redis: a client
 * library needs the same. A deterministic machine without sockets or clock, like the whole router.
 *
 * A parcel is one operation with an owner (a connection). Parcels of one owner on one key take
 * effect in the order in which they were added: those that arrive while an earlier one is out wait,
 * and then travel together as one request. Parcels on different keys travel side by side.
 *
 *                 add                  ready (credit, welcome)              answer, deadline
 *   parcel ──▶ request: HELD ──▶ WAITING ───────────────▶ SENT ──────────────────▶ outcome of each
 *              (an earlier one        ▲                     │                       of its parcels
 *               on the key is out)    └─ not leader, busy, ─┘
 *                                        silence, new leader
 *
 * A request that is added whole (router_courier_add_request) is a parcel of its own: its operations
 * take effect together, it has its own deadline, and it is ordered with nothing else.
 *
 * A request keeps its id and its bytes over all its copies, so it is executed at most once.
 */
#ifndef TORC_ROUTER_COURIER_H
#define TORC_ROUTER_COURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "router/map.h"
#include "wire/envelope.h"
#include "wire/op.h"

struct router_courier; /* Opaque. */

/* Longest time of a request. A node takes no last time further ahead than its request_time_max_ms
 * (60 s by preset), of which the courier leaves an eighth for what clocks differ by: a request that
 * was sent ends after seven eighths of that, should a cluster be set to less than this needs. */
enum { ROUTER_TIMEOUT_MS_MAX = 50000 };

/* What became of a parcel. Every parcel gets exactly one. */
enum router_outcome_type {
    ROUTER_ANSWERED = 1, /* It ran; `result` says what came of it. */
    ROUTER_NOTHING_DONE, /* Deadline; no copy was, or will be, executed. */
    ROUTER_UNKNOWN,      /* Deadline; it may have happened, or may happen until its last time. */
    ROUTER_REFUSED,      /* For good, and nothing was done: `status` says why. */
};

struct router_outcome {
    enum router_outcome_type type;
    const struct wire_result *result; /* ANSWERED: borrowed for the call. */
    /* ANSWERED, of a request that was added whole, in place of a result, borrowed like it: DONE
     * with a result for each operation, or CHECK_FAILED. */
    const struct wire_answer *answer;
    uint64_t clock;          /* ANSWERED: the group's, when it ran. */
    enum torc_status status; /* REFUSED. */
    const char *reason;      /* Of the others: what was waited for. Static. */
    uint32_t group;          /* 0: not known. */
};

/* Whom to tell. `done` may add parcels, and must not free the courier. */
struct router_courier_sink {
    void (*done)(void *context, void *call, uint32_t part, const struct router_outcome *outcome);
    void *context;
};

struct router_courier_config {
    struct wire_id cluster;
    struct wire_client_id client; /* Random, from the operating system: this life of the router. */
    uint64_t seed;                /* For spreading probes over time only. */
    const char *const *seeds;     /* Addresses, which may repeat; borrowed for its life. */
    size_t seed_count;
    uint32_t request_timeout_ms; /* At most ROUTER_TIMEOUT_MS_MAX. */
    uint32_t silence_ms; /* A leader that owes an answer for so long is asked, as are others. */
    uint32_t probe_ms;   /* First pause between rounds of HELLO; grows to probe_max_ms. */
    uint32_t probe_max_ms;
    uint32_t resend_ms;       /* First pause before another copy to the same leader; doubles. */
    uint32_t inflight_max;    /* Parcels held, waiting and sent. */
    size_t inflight_size_max; /* Their bytes. */
    size_t message_size_max;  /* Payload of one REQUEST message; at least one request goes. */
};

/* A message to be sent: the driver adds the envelope's head. */
struct router_message {
    uint32_t peer;        /* Below router_courier_peer_count. */
    uint32_t node;        /* The receiver's id; 0: not known yet (a seed). */
    uint32_t incarnation; /* The life of the receiver that it is meant for; 0: any. */
    enum wire_type type;
    struct base_bytes body, payload;
};

struct router_courier_counters {
    uint64_t requests, copies; /* Requests done with; copies of requests sent. */
    uint64_t answered, nothing_done, unknown, refused;
    uint64_t messages_received, messages_rejected; /* Rejected: undecodable, foreign, unasked. */
    uint64_t not_leader, moved, busy, leader_changes, probes;
};

/* `sink`, config->seeds and allocator are borrowed; the rest of config is copied. */
struct router_courier *router_courier_new(const struct base_allocator *allocator,
                                          const struct router_courier_config *config,
                                          struct router_courier_sink sink);
/* Outcomes that are still owed are not told. NULL is a no-op. */
void router_courier_free(struct router_courier *courier);

/* Time goes on: deadlines, probes, further copies. `now_us` never goes back. */
void router_courier_turn(struct router_courier *courier, uint64_t now_us);
/* The time of the present turn. */
uint64_t router_courier_now_us(const struct router_courier *courier);

/* ---- Parcels ------------------------------------------------------------------------------------
 */

/* Whether `count` more operations of together `size` bytes of keys and values are within bounds. */
bool router_courier_has_room(const struct router_courier *courier, size_t count, size_t size);
/* Whether they would be within bounds if nothing else were there. */
bool router_courier_could_fit(const struct router_courier *courier, size_t count, size_t size);

/* Adds an operation on a key; `op` is borrowed for the call. `call` and `part` come back in done.
 */
void router_courier_add(struct router_courier *courier, uint64_t owner, const struct wire_op *op,
                        void *call, uint32_t part);
/* The same for an operation without a key, for a group of the map. Not ordered with any other. */
void router_courier_add_group(struct router_courier *courier, uint32_t group,
                              const struct wire_op *op, void *call, uint32_t part);

struct router_courier_request {
    struct base_bytes ops; /* Encoded, each as wire_request_read would take it. */
    uint16_t op_count;
    uint8_t flags;  /* WIRE_REQUEST_*. */
    uint32_t group; /* Of the map; 0: the one that owns the keys, of which every operation has
                       one then. */
    uint32_t staleness_ms; /* With WIRE_REQUEST_STALE. */
    uint64_t deadline_us;  /* On the clock of router_courier_turn. */
    void *call;            /* Both come back in done. */
    uint32_t part;
};
/*
 * Adds a request whose operations take effect together, or not at all; what `request` points to is
 * borrowed for the call. Its one outcome may be told before this returns: REFUSED with
 * TORC_UNSUPPORTED when it writes nothing and its keys are known to belong to several groups,
 * NOTHING_DONE when its deadline has come. It goes where its first written key is, since that is
 * where its record is, and whose group has it committed by all groups of its keys.
 */
void router_courier_add_request(struct router_courier *courier,
                                const struct router_courier_request *request);

/* Tells every outcome that is still owed, as if its deadline had come. `done` must not add any. */
void router_courier_abandon(struct router_courier *courier);

/* While there is no map: tells `call`, with part 0 and a result without content, when one has come,
 * or that none came within the time of a request. */
void router_courier_await_map(struct router_courier *courier, void *call);

/* ---- The cluster
 * ---------------------------------------------------------------------------------*/

/* NULL until the first map came. */
const struct router_map *router_courier_map(const struct router_courier *courier);

/* A message from a node, of any type; borrowed for the call. What does not belong here is counted
 * and dropped. */
void router_courier_receive(struct router_courier *courier, const struct wire_envelope *envelope);
/* The connection to a peer broke: whom it may concern is asked at once instead of after a silence.
 */
void router_courier_peer_lost(struct router_courier *courier, uint32_t peer);

/* Addresses that were ever to be sent to: seeds first, then nodes. A number never changes its
 * address. */
size_t router_courier_peer_count(const struct router_courier *courier);
const char *router_courier_peer_address(const struct router_courier *courier, uint32_t peer);

/* What is to be sent now; the courier's, until the next call that is not a question. */
size_t router_courier_messages(struct router_courier *courier,
                               const struct router_message **ret_messages);
/* When router_courier_turn has something to do, at the latest; UINT64_MAX: never. */
uint64_t router_courier_wake_at_us(const struct router_courier *courier);

/* ---- Looking ------------------------------------------------------------------------------------
 */

const struct router_courier_counters *router_courier_counters(const struct router_courier *courier);
size_t router_courier_inflight(const struct router_courier *courier);
/* Bytes of the requests that are held, waiting and sent. */
size_t router_courier_inflight_size(const struct router_courier *courier);
/* The node believed to lead and the numbers of requests waiting and sent; false: no such group. */
struct router_group_info {
    uint32_t group, leader_node;
    size_t waiting, sent;
};
bool router_courier_group_info(const struct router_courier *courier, size_t index,
                               struct router_group_info *ret_info);
/* Aborts on the first broken invariant; linear in requests. */
void router_courier_check(const struct router_courier *courier);

#endif /* TORC_ROUTER_COURIER_H */
