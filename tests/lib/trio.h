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
#include "wire/op.h"

enum { TRIO_NODES = 3, TRIO_CLIENT_ROUTE = 1000000 };

struct trio_answer { /* The last one to the client. */
    enum wire_answer_status status;
    enum wire_result_kind kind;
    uint64_t number, value_number, detail;
    char bytes[256];
    size_t size;
    uint32_t leader_node;
};

struct trio; /* Opaque. */

/* Three formatted nodes that know nothing yet; `group_count` data groups come with trio_init. */
struct trio *trio_new(uint32_t group_count);
void trio_free(struct trio *trio);

/* Sends the first map to every node. */
void trio_init(struct trio *trio);
/* Lets time pass in steps of a millisecond. */
void trio_run(struct trio *trio, uint64_t ms);
/* Runs until every group has a serving leader; false after `ms`. */
bool trio_run_until_serving(struct trio *trio, uint64_t ms);

/* The process dies; its log and what was flushed of its state stay. */
void trio_kill(struct trio *trio, uint32_t node);
void trio_start(struct trio *trio, uint32_t node);
/* Cuts or heals both directions between a node and all others. */
void trio_isolate(struct trio *trio, uint32_t node, bool cut);

struct shard_node *trio_node(struct trio *trio, uint32_t node);
/* The node that leads a group and serves; 0: none. */
uint32_t trio_leader(struct trio *trio, uint32_t group);
const struct shard_map *trio_map(struct trio *trio);

/* One operation on a key of the group that owns it, sent to `node` under a request number; runs for
 * up to `ms`; false: no answer. */
bool trio_request(struct trio *trio, uint32_t node, uint64_t number, const struct wire_op *op,
                  uint64_t ms, struct trio_answer *ret_answer);
/* The group that owns a key. */
uint32_t trio_group_of(struct trio *trio, const char *key);

#endif /* TORC_TESTS_LIB_TRIO_H */
