/*
 * shard/turn -- what the groups of a node collect during one turn of its loop: one log batch, one
 * message per peer node, answers per requester. So the unit of everything is the batch, whatever
 * number of groups and requests took part (DESIGN section 9).
 */
#ifndef TORC_SHARD_TURN_H
#define TORC_SHARD_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "paxos/consensus.h"
#include "shard/codec.h"
#include "store/record.h"

/* ---- The log batch
 * ------------------------------------------------------------------------------- */

struct shard_batch_part { /* A group's records in a batch: told to its consensus when durable. */
    uint32_t group;
    uint64_t persist_seq;
};

/* Records for the log with references to the buffers that their payloads lie in. It belongs to the
 * node until shard_node_stored() gives it back. */
struct shard_log_batch {
    struct store_record *records;
    struct base_buffer **buffers; /* One per record; NULL where the payload is not in a buffer. */
    struct shard_batch_part *parts;
    size_t record_count, part_count;
    size_t bytes;
    size_t records_capacity, buffers_capacity, parts_capacity;
    void *context; /* The driver's. */
};

/* `buffer`, if any, is referenced until the batch is released. */
void shard_log_batch_add(struct shard_log_batch *batch, const struct base_allocator *allocator,
                         const struct store_record *record, struct base_buffer *buffer);
void shard_log_batch_part(struct shard_log_batch *batch, const struct base_allocator *allocator,
                          uint32_t group, uint64_t persist_seq);
/* Gives the references back and empties it; memory is kept. */
void shard_log_batch_clear(struct shard_log_batch *batch);
void shard_log_batch_free(struct shard_log_batch *batch, const struct base_allocator *allocator);

/* ---- Answers
 * ------------------------------------------------------------------------------------- */

enum {
    SHARD_REPLY_BYTES_MAX = 1 << 20,    /* Of one message, unless a single answer is larger. */
    SHARD_REPLIES_BYTES_MAX = 16 << 20, /* Of a turn; past it reads wait for the next. */
    SHARD_REPLY_KEPT_MAX = 64 << 10,    /* Memory kept for the next turn, per message. */
};

struct shard_reply { /* Answers to one requester from one group; one message. */
    uint64_t route;
    uint32_t group;
    uint32_t answer_count;
    uint8_t *answers;
    size_t answers_size, answers_capacity;
};

struct shard_replies {
    struct shard_reply *list;
    size_t count, used_capacity, capacity; /* used_capacity: items whose memory can be reused. */
    size_t bytes;                          /* Of all answers. */
};

/* Appends an encoded answer to the requester's message. */
void shard_replies_add(struct shard_replies *replies, const struct base_allocator *allocator,
                       uint64_t route, uint32_t group, struct base_bytes answer);
/* An answer without results: a refusal, a hint. */
void shard_replies_add_status(struct shard_replies *replies, const struct base_allocator *allocator,
                              uint64_t route, uint32_t group, enum wire_answer_status status,
                              uint64_t number, uint64_t clock, uint64_t detail);
/* Whether the turn's answers have reached SHARD_REPLIES_BYTES_MAX. */
bool shard_replies_are_full(const struct shard_replies *replies);
void shard_replies_clear(struct shard_replies *replies, const struct base_allocator *allocator);
void shard_replies_free(struct shard_replies *replies, const struct base_allocator *allocator);

/* ---- The turn
 * ------------------------------------------------------------------------------------- */

struct shard_load { /* Entries wanted from the log for a group. */
    uint32_t group;
    uint64_t first, last;
};

struct shard_turn {
    const struct base_allocator *allocator;
    struct base_pool *pool;
    uint64_t now_ms;
    struct shard_log_batch *log;
    struct shard_replies replies;
    /* Where messages to a node are collected; NULL when the node is not known. */
    struct shard_codec_outbox *(*outbox)(void *context, uint32_t node);
    /* Sends a message to the leader of another group, as far as that is known. */
    void (*transaction)(void *context, const struct shard_txn_message *message);
    void *context;
    struct shard_load *loads;
    size_t load_count, loads_capacity;
};

#endif /* TORC_SHARD_TURN_H */
