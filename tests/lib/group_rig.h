/*
 * tests/lib/group_rig -- one replica of a group under test, and two bare voters beside it, so that
 * it leads, loses its leadership and is taught, all in one process and in steps of a millisecond.
 */
#ifndef TORC_TESTS_LIB_GROUP_RIG_H
#define TORC_TESTS_LIB_GROUP_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "shard/clock.h"
#include "shard/codec.h"
#include "shard/group.h"
#include "shard/turn.h"
#include "store/sim_kv.h"
#include "tests/lib/counting.h"

enum {
    RIG_PEERS = 2, /* Replicas 2 and 3 on nodes 2 and 3; the group under test is replica 1. */
    RIG_GROUP = 7,
    RIG_ANSWERS_MAX = 4096,
    RIG_WINDOW = 8, /* Entries in flight. */
    RIG_WALL_MS = 1000000,
};

struct rig_answer {
    uint64_t route, number, detail, value;
    enum wire_answer_status status;
    enum wire_result_kind kind; /* Of the first result; 0: none. */
};

struct rig { /* Open; fields but those said so are read-only. */
    struct counting counting;
    const struct base_allocator *allocator;
    struct base_pool pool;
    struct store_kv *kv;
    struct shard_clocks clocks;
    uint64_t now_ms; /* A test may move it on. */
    uint32_t lease_ms;
    struct shard_log_batch log;
    struct shard_turn turn;
    struct shard_codec_outbox *outboxes[RIG_PEERS];
    struct consensus *peers[RIG_PEERS];
    struct shard_group *group;
    /* Called in each turn before shard_group_turn; NULL: nothing. A test may set it. */
    void (*lead)(struct rig *rig);
    void *context;    /* A test's. */
    bool cut;         /* A test's: nothing passes between the group and its peers. */
    bool peers_alive; /* A test's: the peers' timers run, so that one of them may stand. */
    uint64_t records; /* That were handed to the log. */
    uint64_t mark;    /* The last mark among them. */
    struct rig_answer answers[RIG_ANSWERS_MAX];
    size_t answer_count;
    uint64_t reply_count;
};

/* `lease_ms`: of leaders; 0: none. */
void rig_init(struct rig *rig, size_t pool_size, uint32_t lease_ms);
/* Makes the group over a state. */
void rig_start(struct rig *rig, uint32_t id, const struct shard_state_type *type, void *state);
/* The group first, so that its state can be freed; then everything, which must be given back. */
void rig_stop(struct rig *rig);
void rig_fini(struct rig *rig);

void rig_turn(struct rig *rig);
void rig_run(struct rig *rig, uint64_t ms);
/* Runs until the group leads and serves. */
void rig_lead(struct rig *rig);
/* Cuts it off until it leads no more. */
void rig_depose(struct rig *rig);

/* The answer to a number; NULL: none. Fails the process if there are two. */
const struct rig_answer *rig_answer(const struct rig *rig, uint64_t number);

#endif /* TORC_TESTS_LIB_GROUP_RIG_H */
