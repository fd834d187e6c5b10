/*
 * router/courier_int -- the parts of the courier: requests (request.c), groups (group.c) and what
 * joins them (courier.c). For these three files only.
 */
#ifndef TORC_ROUTER_COURIER_INT_H
#define TORC_ROUTER_COURIER_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "router/buffer.h"
#include "router/courier.h"
#include "wire/body.h"

enum {
    ROUTER_LAST_TIME_AT = 32,      /* In an encoded request. */
    ROUTER_LARGE_MIN = 256 * 1024, /* A request is large above this: none that commands share. */
};

/* ---- Requests -----------------------------------------------------------------------------------
 */

enum router_request_state {
    ROUTER_REQUEST_HELD = 1, /* Behind an earlier one of its owner and key; in no list. */
    ROUTER_REQUEST_UNROUTED, /* Its group is not known: no map yet, or a vnode on the move. */
    ROUTER_REQUEST_WAITING,  /* In its group's list, to be sent. */
    ROUTER_REQUEST_SENT,     /* In its group's list, a copy is with the leader. */
};

struct router_parcel {
    void *call;
    uint32_t part;
    bool writes;
};

struct router_request {
    enum router_request_state state;
    bool keyed;       /* Goes where its keys are; else to its group. */
    bool ordered;     /* Waits for its turn among those of its owner and key. */
    bool whole;       /* Added as it is: one parcel for all of its operations. */
    bool stale;       /* Any replica may answer it. */
    bool writes;      /* Any of its operations may change something. */
    size_t value_ops; /* How many of its operations answer with a value. */
    bool stamped; /* Its last time is set: it was sent at least once, and never changes again. */
    /* Some copy was given up without having been refused: it may be executed. Invariant: only set
     * when stamped. While SENT, one more copy is out beside. */
    bool in_doubt;
    uint64_t number, owner, order; /* order: hash of the key. */
    size_t route_at;            /* Whole: where in `bytes` the operation is whose key it goes to. */
    uint16_t op_count;          /* Whole; else it has one for each parcel. */
    struct router_group *group; /* WAITING, SENT; and for good when not keyed. */
    uint64_t created_us, deadline_us, sent_at_us;
    uint64_t serial;      /* Of its creation: orders those of one deadline. */
    size_t deadline_rank; /* Where it is in courier->deadlines. */
    uint32_t sent_node, sent_incarnation;
    const char *reason; /* Why the newest copy came to nothing; NULL: it did not. */
    struct router_buffer bytes;
    struct router_parcel *parcels; /* One per operation, or one when it is whole. */
    size_t parcel_count, parcel_capacity;
    struct router_request *previous, *next;          /* In the list of its state. */
    struct router_request *number_next, *order_next; /* In their buckets. */
    struct router_request *held; /* The one that waits for this one, in turn with one that waits. */
};

struct router_request_list {
    struct router_request *first, *last;
    size_t count;
};

void router_request_list_append(struct router_request_list *list, struct router_request *request);
void router_request_list_remove(struct router_request_list *list, struct router_request *request);

/* ---- Groups -------------------------------------------------------------------------------------
 */

enum { ROUTER_NO_LEADER = UINT32_MAX };

struct router_replica {
    uint32_t node, peer;
    uint32_t incarnation; /* Of the node, newest heard; 0: nothing heard. */
    uint64_t sequence;    /* Requests sent to that incarnation. */
    uint64_t credit;      /* Highest sequence that it takes. */
    uint64_t hello_at_us; /* The last HELLO. */
    bool hello_wanted;
};

struct router_group {
    uint32_t id;
    struct router_replica replicas[ROUTER_MAP_REPLICAS_MAX];
    uint32_t replica_count;
    uint32_t leader; /* Index of the replica that welcomed us as leader, or ROUTER_NO_LEADER. */
    uint64_t clock;  /* The highest heard; 0: none. */
    uint64_t stamp;  /* What its leader would stamp an entry with, as it said last. */
    uint64_t stamp_at_us;
    uint64_t request_time_max_ms; /* 0: not known. */
    struct router_request_list waiting, sent;
    uint64_t heard_us;    /* Since then the leader owes an answer. */
    uint64_t probe_at_us; /* Not before, everybody is asked (again). */
    uint64_t probed_us;   /* When that was last; 0: never. */
    uint32_t probe_rounds;
    uint64_t pause_until_us; /* The leader was busy. */
    uint32_t busy_rounds;
    uint64_t resend_us; /* Age at which a sent request is sent again. */
    /* Reads that any replica may answer are put to one after the other while no leader answers:
     * to which one next, and not before when. */
    uint32_t stale_next;
    uint64_t stale_at_us;
};

/* ---- The whole ----------------------------------------------------------------------------------
 */

struct router_peer {
    char address[ROUTER_ADDRESS_SIZE_MAX];
};

struct router_courier {
    const struct base_allocator *allocator;
    struct router_courier_config config;
    struct router_courier_sink sink;
    struct base_prng prng;
    uint64_t now_us, wake_at_us;

    struct router_map *map;
    struct router_group **groups; /* As map->groups. */
    size_t group_count;
    struct router_peer *peers; /* The seeds first. */
    size_t peer_count, peer_capacity, seed_peers;
    uint64_t map_at_us;     /* When a map, or a subscription, is asked for again. */
    size_t map_refreshed;   /* Subscriptions asked for. */
    uint32_t map_ask_node;  /* This node has a newer map; 0: nobody is known to. */
    uint64_t map_ask_at_us; /* Not before. */

    uint64_t number_last, serial_last;
    size_t parcel_count, request_count, bytes_size; /* In flight. */
    size_t stale_count;                             /* Of the requests: any replica may answer. */
    struct router_request **deadlines; /* All requests: a heap, the one to end first at its top. */
    size_t deadline_capacity;
    struct router_request_list unrouted;
    uint64_t unrouted_at_us; /* When those are looked up again without a new map. */
    size_t bucket_count;     /* A power of two. */
    struct router_request **by_number, **by_order;
    struct router_request *spare; /* Chained by next. */
    size_t spare_count;

    struct wire_arena *arena;
    struct router_buffer bodies, payloads;
    /* Bytes of large requests and answers that were copied or sent in this turn: no large request
     * is sent beside them, unless it was put off already. */
    size_t turn_large;
    bool large_put_off;
    size_t group_first; /* Modulo group_count: whose turn comes first. */
    struct router_message *messages;
    size_t message_count, message_capacity;
    struct router_courier_counters counters;
};

/* deadlines.c: puts a request among all of them, and takes it out; both in O(log requests). */
void router_deadlines_add(struct router_courier *courier, struct router_request *request);
void router_deadlines_remove(struct router_courier *courier, struct router_request *request);
/* Whether each is where it says, and none before one that ends earlier. */
void router_deadlines_check(const struct router_courier *courier);

/* request.c */
struct router_request *router_request_by_number(const struct router_courier *courier,
                                                uint64_t number);
/* Puts a request that is in no list where it can be sent from. */
void router_request_route(struct router_courier *courier, struct router_request *request);
/* Routes again whatever is unrouted. */
void router_requests_reroute(struct router_courier *courier);
/* Takes the request out of the list of its state. */
void router_request_unlist(struct router_courier *courier, struct router_request *request);
/* Operations in it. */
size_t router_request_ops(const struct router_request *request);
/* Ends it with one outcome for all of its parcels, or with one result for each (`answer`, whose
 * number of results is right). */
void router_request_finish(struct router_courier *courier, struct router_request *request,
                           const struct router_outcome *outcome, const struct wire_answer *answer);
/* How many of its results hold what was asked for: all, or, when it only reads, those before the
 * first value that the answer had no more room for. */
size_t router_request_fitting(const struct router_request *request,
                              const struct wire_answer *answer);
/* Ends the first `count` of its parcels; the others go out again as another request in its place.
 * Only for one that changes nothing: what is read later is as good. */
void router_request_shorten(struct router_courier *courier, struct router_request *request,
                            const struct router_outcome *outcome, const struct wire_answer *answer,
                            size_t count);
/* Its deadline has passed, or it came too late. */
void router_request_fail(struct router_courier *courier, struct router_request *request);
void router_request_destroy(struct router_courier *courier, struct router_request *request);

/* group.c */
struct router_group *router_group_new(struct router_courier *courier, uint32_t id);
/* Takes the group's replicas from the map, keeping what is known of those that stay. */
void router_group_update(struct router_courier *courier, struct router_group *group,
                         const struct router_map_group *row);
void router_group_welcome(struct router_courier *courier, struct router_group *group,
                          const struct wire_envelope *envelope, const Torc__Wire__Welcome *welcome);
void router_group_reply(struct router_courier *courier, struct router_group *group,
                        const struct wire_envelope *envelope, const Torc__Wire__Reply *reply);
void router_group_peer_lost(struct router_courier *courier, struct router_group *group,
                            uint32_t peer);
/* Sends what can be sent now, and says in courier->wake_at_us when there may be more. */
void router_group_turn(struct router_courier *courier, struct router_group *group);

/* courier.c */
struct router_group *router_courier_group(const struct router_courier *courier, uint32_t id);
/* The number of an address; a new one when it was not known. */
uint32_t router_courier_peer(struct router_courier *courier, const char *address);
/* Brings the next turn forward. */
void router_courier_wake(struct router_courier *courier, uint64_t at_us);
/* A message with this body; returns it, so that the size of its payload, which is the newest of
 * courier->payloads, can be set. */
struct router_message *router_courier_send(struct router_courier *courier, uint32_t peer,
                                           uint32_t node, enum wire_type type,
                                           const ProtobufCMessage *body);
/* So much is copied in this turn: large requests wait for the next. */
void router_courier_large(struct router_courier *courier, size_t size);
/* A node knows a newer map. */
void router_courier_map_heard(struct router_courier *courier, uint32_t node, uint64_t version);

#endif /* TORC_ROUTER_COURIER_INT_H */
