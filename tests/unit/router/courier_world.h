/*
 * tests/unit/router/courier_world -- a made-up cluster around the courier: one group whose leader
 * executes counters and keeps records of requests, three nodes that take turns in leading, and a
 * network that loses, delays and doubles messages. The nodes share one state, as replicas do; what
 * is tested is the courier.
 */
#ifndef TORC_TESTS_UNIT_ROUTER_COURIER_WORLD_H
#define TORC_TESTS_UNIT_ROUTER_COURIER_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "router/buffer.h"
#include "router/courier.h"
#include "tests/lib/counting.h"
#include "wire/body.h"

enum { NODES = 3, KEYS = 4, OWNERS = 3, RECORDS_MAX = 4096, QUEUE_MAX = 512, WINDOW = 3 };

struct flying { /* A message on its way. */
    uint64_t at_us;
    uint32_t node; /* To or from. */
    bool to_node;
    enum wire_type type;
    struct router_buffer body, payload;
};

struct world {
    struct counting counting;
    struct base_prng prng;
    struct router_courier *courier;
    struct wire_arena *arena;
    uint64_t now_us, wake_at_us;
    uint32_t leader;              /* 0: nobody. */
    bool calm;                    /* No more loss, leaders stay. */
    uint64_t silent[2];           /* Requests that get no answer. */
    bool large;                   /* Values are. */
    bool nameless;                /* The map knows no node's storage. */
    bool parted;                  /* There are two groups, */
    bool parting;                 /* of which the first had everything before. */
    uint32_t stopped;             /* This node hears nothing. */
    bool fresh;                   /* Those that do not lead may answer stale reads. */
    uint64_t request_time_max_ms; /* As nodes say; 0: they do not. */
    uint64_t last_time;           /* Of the last request that came to a node. */
    struct flying queue[QUEUE_MAX];
    size_t queue_count;
    struct { /* Request records: numbers that were executed, with their answers. */
        uint64_t number;
        int64_t results[64];
        uint16_t count;
        bool check_failed;
    } records[RECORDS_MAX];
    size_t record_count;
    int64_t counters[KEYS];                    /* The state. */
    int64_t acknowledged[KEYS], unknown[KEYS]; /* Increments, as the outcomes tell. */
    int64_t last_seen[OWNERS][KEYS];           /* The newest value an owner was given. */
    uint64_t told, added;
    uint64_t hash; /* Of every outcome and message, in order. */
};

/* A request that is added whole: increments of some keys, behind a check. */
struct whole {
    unsigned keys; /* A bit for each. */
    bool fails;    /* The check will not hold. */
    bool reads;    /* Instead of adding. */
    uint64_t deadline_us;
    enum router_outcome_type outcome; /* 0: none yet. */
    enum torc_status status;
};

void world_init(struct world *world, uint64_t seed);
/* The same with other seeds than the first node, which are borrowed. */
void world_init_seeds(struct world *world, uint64_t seed, const char *const *addresses,
                      size_t count);
void world_fini(struct world *world);

/* Delivers what is due, one turn of the courier, sends what it says. */
void world_turn(struct world *world);
/* Turns until no more than `left` parcels are without an outcome. */
void world_turn_until(struct world *world, size_t left);

/* Adds an operation of an owner on key `a` + key. */
void world_add(struct world *world, uint32_t owner, uint32_t key, struct wire_op op);
/* Adds a check and increments of the keys of `whole`. */
void world_add_whole(struct world *world, struct whole *whole);
/* Adds a read of key `a` that any replica may answer. */
void world_add_stale(struct world *world, struct whole *whole);

#endif /* TORC_TESTS_UNIT_ROUTER_COURIER_WORLD_H */
