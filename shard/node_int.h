/*
 * shard/node_int -- what the files of the node share: node.c (life and turn), node_receive.c
 * (messages in), node_map.c (map, birth of replicas), node_status.c.
 */
#ifndef TORC_SHARD_NODE_INT_H
#define TORC_SHARD_NODE_INT_H

#include "shard/clock.h"
#include "shard/node.h"
#include "shard/placement.h"
#include "shard/service.h"
#include "wire/body.h"
#include "wire/dedup.h"

enum {
    NODE_SUBSCRIBERS_MAX = 256,
    NODE_GREETING_INTERVAL_MS = 100,
    NODE_PLACE_INTERVAL_MS = 300,
    NODE_TRIM_INTERVAL_MS = 500,
    NODE_MAP_INTERVAL_MS = 1000,
    NODE_ROUNDS_MAX = 4, /* Of one group in one turn, before it waits for the next. */
    NODE_BATCHES_MAX = 64,
    NODE_MESSAGE_SIZE = 4 << 20,    /* Groups' messages to one peer go out past this. */
    NODE_SENDS_KEPT_MAX = 16 << 20, /* Memory kept for the messages of the next turn. */
};

struct node_peer {
    uint32_t id;
    struct wire_id storage;
    uint32_t incarnation;                        /* Newest heard; 0: none yet. */
    uint64_t durable_batch;                      /* Highest that any life of it called durable. */
    bool welcomed;                               /* It answered our greeting. */
    struct wire_window from_dealer, from_router; /* One window per socket. */
    struct shard_codec_outbox *outbox;
};

/* Who sends requests, and which of its messages came. One that came twice would get two answers:
 * the second may say that nothing was proposed, of what the first one was proposed for. */
struct node_requester {
    uint64_t route;
    struct wire_window window;
};

enum { NODE_REQUESTERS_MAX = 256 };

enum node_replica_state {
    NODE_REPLICA_BORN = 1, /* Its REPLICA record is on its way to the disk. */
    NODE_REPLICA_RUNNING,
};

struct node_replica {
    enum node_replica_state state;
    uint32_t group;
    uint64_t replica;
    struct shard_birth birth;
    struct shard_group *consensus;     /* NULL until it runs. */
    struct shard_service *service;     /* Of a data group. */
    struct shard_placement *placement; /* Of the placement group. */
    bool dirty;                        /* Wants a turn now. */
    uint64_t trimmed;
    uint64_t trouble_since_ms; /* Unix time. */
    const char *trouble;       /* Why it does not vote or apply; static text; NULL: nothing. */
    bool trouble_stays;        /* For the rest of this life. */
    /* While it is being born: */
    struct base_buffer *first_entry; /* Of the placement group: slot 1. */
    uint64_t init_route, init_id;    /* Whom to tell. */
};

struct node_sends {
    struct shard_send *list;
    size_t count, capacity;
    /* The messages, one behind the other; offsets stand in `list` until the turn ends. */
    uint8_t *bytes;
    size_t size, bytes_capacity;
};

struct shard_node {
    const struct base_allocator *allocator;
    struct base_pool *pool;
    struct store_kv *kv;
    struct shard_node_config config;
    struct wire_arena *arena;
    const char *fatal;
    uint64_t fatal_expected, fatal_found;

    struct shard_map map;
    struct node_peer *peers; /* Of the map, without this node; ascending by id. */
    size_t peer_count;
    uint64_t subscribers[NODE_SUBSCRIBERS_MAX];
    uint32_t subscriber_count, subscriber_next;

    struct node_replica **replicas; /* Ascending by group; each allocated on its own. */
    size_t replica_count, replicas_capacity;

    bool greeting;
    uint64_t greeting_until_ms, greet_at_ms;
    uint64_t place_at_ms, trim_at_ms, map_at_ms;
    uint32_t place_node;   /* Leader of group 0 as the last answer hinted; 0: none. */
    uint32_t place_rounds; /* Times that changes were asked for. */

    struct shard_clocks clocks;
    uint64_t now_ms, wall_ms;
    uint64_t number; /* Of the last message sent. */

    struct shard_turn turn;
    struct shard_log_batch *batches[NODE_BATCHES_MAX]; /* Free ones. */
    size_t batch_count;
    struct shard_trim *trims;
    size_t trim_count, trims_capacity;
    struct node_sends sends;
    struct consensus_entry *entries; /* Scratch for one received message. */

    uint64_t durable_batch;
    uint64_t log_bytes, log_batches, log_syncs;
    bool log_is_large; /* Past log_size_max by the newest facts, and nothing was cut since. */
    uint64_t unflushed_bytes; /* Handed to the log since the last flush was asked for. */
    uint64_t started_ms;
    struct shard_node_counters counters;
    struct node_requester *requesters; /* NODE_REQUESTERS_MAX. */
    uint32_t requester_count, requester_next;
};

/* node.c */
struct node_replica *node_find_replica(const struct shard_node *node, uint32_t group);
struct node_peer *node_find_peer(struct shard_node *node, uint32_t id);
/* Takes part in nothing until its peers have said how much of its log they saw, or a while is over.
 */
void node_greet(struct shard_node *node);
/* Adds an empty replica in its place. */
struct node_replica *node_add_replica(struct shard_node *node, uint32_t group, uint64_t replica);
/* Builds state and consensus; statuses of shard_node_new. */
enum torc_status node_start_replica(struct shard_node *node, struct node_replica *replica,
                                    const struct consensus_boot *boot);
/* Notes why a replica does not vote or serve in this life; the first reason stays. Static text. */
void node_set_trouble(struct shard_node *node, struct node_replica *replica, const char *text);
uint64_t node_replica_flushed(const struct node_replica *replica);

/* Queues one message. `to` 0: to the route. The body is packed from a protobuf message. */
void node_send(struct shard_node *node, uint32_t to, uint64_t route, enum wire_type type,
               const ProtobufCMessage *body, struct base_bytes payload);
/* The same with a body that is packed already. */
void node_send_packed(struct shard_node *node, uint32_t to, uint64_t route, enum wire_type type,
                      struct base_bytes body, struct base_bytes payload);

/* node_map.c */
/* Takes a newer map: peers, hint in the state, subscribers. */
void node_take_map(struct shard_node *node, const struct shard_map *map);
/* The map kept from an earlier life, as a hint for addresses. */
void node_read_map_hint(struct shard_node *node);
void node_handle_init(struct shard_node *node, uint64_t route, const Torc__Wire__Init *init);
void node_handle_map_request(struct shard_node *node, uint64_t route,
                             const Torc__Wire__MapRequest *request);
void node_handle_map(struct shard_node *node, const Torc__Wire__MapReply *reply);
void node_handle_place(struct shard_node *node, uint64_t route, const Torc__Wire__Place *place);
void node_handle_result(struct shard_node *node, const Torc__Wire__Result *result);
/* Asks for the map and for replicas that the map wants here, as far as that is due. */
void node_map_turn(struct shard_node *node);
/* A replica's REPLICA record is durable. */
void node_replica_born(struct shard_node *node, struct node_replica *replica);
void node_send_result(struct shard_node *node, uint64_t route, uint64_t id, enum torc_status status,
                      const char *text, uint32_t leader_node);

/* node_status.c */
void node_handle_status(struct shard_node *node, uint64_t route,
                        const Torc__Wire__StatusRequest *request);

#endif /* TORC_SHARD_NODE_INT_H */
