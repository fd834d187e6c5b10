/*
 * tests/lib/trio -- three storage nodes in one process, with instant disks and a network that loses
 * nothing but what a test cuts: enough to show that the parts of a node fit together. Faults are
 * the simulator's business.
 */
#ifndef TORC_TESTS_LIB_TRIO_H
#define TORC_TESTS_LIB_TRIO_H

#include <stdbool.h>
#include <stdint.h>

#include "shard/node.h"
#include "tests/lib/counting.h"
#include "wire/body.h"
#include "wire/op.h"

enum { TRIO_NODES = 3, TRIO_CLIENT_ROUTE = 1000000, TRIO_HELD_MAX = 256 };

struct trio_answer { /* The last one to the client. */
    enum wire_answer_status status;
    enum wire_result_kind kind;
    uint64_t number, value_number, detail;
    char bytes[256];
    size_t size;
    uint32_t leader_node;
};

struct trio; /* Opaque. */

struct trio_result {    /* The last RESULT to the client. */
    uint64_t count, id; /* count: of all of them. */
    enum torc_status status;
    uint32_t leader_node;
};

/* Three formatted nodes that know nothing yet; `group_count` data groups come with trio_init. */
struct trio *trio_new(uint32_t group_count);
void trio_free(struct trio *trio);

/* Sends the first map to every node. */
void trio_init(struct trio *trio);
/* Sends another first map of the same nodes. */
void trio_init_other(struct trio *trio);
/* Sends any first map. */
void trio_init_with(struct trio *trio, const struct shard_map *map);
void trio_drain(struct trio *trio, uint32_t node);
/* Lets time pass in steps of a millisecond. */
void trio_run(struct trio *trio, uint64_t ms);
/* Runs until every group has a serving leader; false after `ms`. */
bool trio_run_until_serving(struct trio *trio, uint64_t ms);

/* The process dies; its log and what was flushed of its state stay. */
void trio_kill(struct trio *trio, uint32_t node);
void trio_start(struct trio *trio, uint32_t node);
/* Tries to start a dead node and says why it does not start; NULL: it did. */
const char *trio_start_fails(struct trio *trio, uint32_t node);
/* What nodes are started with from now on; who they are is filled in. */
struct shard_node_config *trio_config(struct trio *trio);
/* Cuts or heals both directions between a node and all others. */
void trio_isolate(struct trio *trio, uint32_t node, bool cut);

/* Messages of this type between nodes are lost; 0: none are. */
void trio_lose(struct trio *trio, enum wire_type type);

/* While it holds, a node's disk stores nothing; then all that was to be stored meanwhile, in order.
 * At most TRIO_HELD_MAX batches. */
void trio_disk_hold(struct trio *trio, uint32_t node, bool holds);
/* What the log holds now; trio_disk_restore puts it back as it was then, to a dead node. */
void trio_disk_save(struct trio *trio, uint32_t node);
void trio_disk_restore(struct trio *trio, uint32_t node);
/* The dead node's log is gone. */
void trio_disk_empty(struct trio *trio, uint32_t node);
/* The record that says that the group's replica lives on the dead node is rotten. */
void trio_disk_rot(struct trio *trio, uint32_t node, uint32_t group);
/* Its newest entry of the group is damaged. */
void trio_disk_damage(struct trio *trio, uint32_t node, uint32_t group);
/* What that record says, to be changed in place. */
struct base_bytes trio_disk_birth(struct trio *trio, uint32_t node, uint32_t group);
/* Another data directory in the place of a dead node's: only its storage id differs. */
void trio_storage_change(struct trio *trio, uint32_t node);
/* Why a node ended by itself; NULL: it did not. */
const char *trio_fatal(struct trio *trio, uint32_t node);
/* Loads that were served from the disks. */
uint64_t trio_loads(const struct trio *trio);

/* Messages of a type from node to node so far; those that are for one life of the receiver only. */
uint64_t trio_sent(const struct trio *trio, enum wire_type type);
uint64_t trio_sent_to_a_life(const struct trio *trio, enum wire_type type);
/* The largest message from node to node so far. */
size_t trio_largest(const struct trio *trio);
/* Bytes that everything holds. */
size_t trio_memory(const struct trio *trio);

/* Gives a node one message; cluster and number are filled in when they are zero. */
enum torc_status trio_receive(struct trio *trio, uint32_t node, bool on_dealer,
                              struct wire_envelope envelope);
/* Sends a message from the client. */
void trio_send(struct trio *trio, uint32_t node, enum wire_type type, const ProtobufCMessage *body);
const struct trio_result *trio_result(const struct trio *trio);
/* Asks a node and waits for its answer; NULL: none came. Owned by the trio, until the next call. */
const Torc__Wire__StatusReply *trio_status(struct trio *trio, uint32_t node);
const Torc__Wire__Welcome *trio_welcome(const struct trio *trio); /* The last one to the client. */
const Torc__Wire__Welcome *trio_hello(struct trio *trio, uint32_t node,
                                      const Torc__Wire__Hello *hello);

/* The slot up to which a node's log was told to let a group's entries go. */
uint64_t trio_trimmed(const struct trio *trio, uint32_t node, uint32_t group);
struct base_pool *trio_pool(struct trio *trio, uint32_t node);
/* A node's state: a store_sim_kv. */
struct store_kv *trio_kv(struct trio *trio, uint32_t node);
struct shard_node *trio_node(struct trio *trio, uint32_t node);
/* The node that leads a group and serves; 0: none. */
uint32_t trio_leader(struct trio *trio, uint32_t group);
/* The map that trio_init sends. */
const struct shard_map *trio_map(struct trio *trio);

/* One operation on a key of the group that owns it, sent to `node` under a request number; runs for
 * up to `ms`; false: no answer. */
bool trio_request(struct trio *trio, uint32_t node, uint64_t number, const struct wire_op *op,
                  uint64_t ms, struct trio_answer *ret_answer);
/* The same for several operations, the first of which writes. */
bool trio_request_ops(struct trio *trio, uint32_t node, uint64_t number, const struct wire_op *ops,
                      uint16_t op_count, uint64_t ms, struct trio_answer *ret_answer);
/* The same for a read that may be so many milliseconds old. */
bool trio_request_stale(struct trio *trio, uint32_t node, uint64_t number, const struct wire_op *op,
                        uint64_t age_ms, uint64_t ms, struct trio_answer *ret_answer);
/* The group that owns a key. */
uint32_t trio_group_of(struct trio *trio, const char *key);

#endif /* TORC_TESTS_LIB_TRIO_H */
