/*
 * shard/service -- a data group as its clients see it: takes requests, has what writes chosen,
 * reads when it is safe to, and answers. Leads only while its group's consensus does.
 *
 * The way of a request: shard_service_request() validates and admits it; shard_service_lead() makes
 * one entry of the writes that wait; consensus has the entry chosen; the group applies it to the
 * machine; the outcome finds its requester in the pending table. Reads of one message share one
 * consensus read and are evaluated together when it is safe.
 */
#ifndef TORC_SHARD_SERVICE_H
#define TORC_SHARD_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "shard/clock.h"
#include "shard/codec.h"
#include "shard/group.h"
#include "shard/machine.h"
#include "shard/map.h"
#include "shard/turn.h"
#include "shard/txns.h"

struct shard_service; /* Opaque. */

enum {
    SHARD_SERVICE_ROUTES_MAX = 256,      /* Requesters known to one group. */
    SHARD_SERVICE_REMOVAL_KEYS_MAX = 256 /* Expired keys removed by one entry. */
};

struct shard_service_config {
    struct shard_machine_config machine;
    uint32_t credit; /* Requests of one requester in flight. */
    uint32_t pending_max;
    uint32_t read_batches_max; /* Messages with reads that wait at once. */
    enum consensus_read_mode read_mode;
    uint32_t entries_max;   /* Proposed and not chosen yet, past which writes wait for the next. */
    size_t entry_bytes_max; /* Of one entry: what a record of the log and a message can hold. */
    const struct shard_map *map; /* Who owns what, as far as is known; borrowed. */
    uint64_t seed;               /* For pauses of transactions that give way. */
};

/* Opens the machine over kv. `birth` gives the genesis; it, kv, pool and allocator are borrowed for
 * the service's life. Statuses of shard_machine_open. */
enum torc_status shard_service_new(const struct shard_service_config *config,
                                   const struct shard_birth *birth, struct store_kv *kv,
                                   struct base_pool *pool, const struct base_allocator *allocator,
                                   struct shard_service **ret_service) TORC_MUST_CHECK;
void shard_service_free(struct shard_service *service); /* NULL is a no-op. */

/* The state of the group, for shard_group_new; the group is then told back here. */
extern const struct shard_state_type shard_service_state;
void shard_service_attach(struct shard_service *service, struct shard_group *group);

struct shard_request_batch { /* One REQUEST message. */
    uint64_t route;          /* Whom to answer. */
    uint64_t sequence;       /* The requester's number of the first request (credits). */
    uint32_t request_count;
    struct base_bytes requests;
};

/* Every request of the batch is answered, now or later, exactly once: with its outcome, a refusal,
 * a hint, or WIRE_NO_ANSWER. Bytes that are no requests end the batch. A request that is sent again
 * while it is under way is answered once, where it came from last. */
void shard_service_request(struct shard_service *service, const struct shard_request_batch *batch,
                           const struct shard_clocks *clocks, struct shard_turn *turn);

/* What the leader does once a turn, before shard_group_turn: proposes the writes that wait;
 * genesis, ticks, removal of expired keys; and gives up what is pending when leadership is gone. */
void shard_service_lead(struct shard_service *service, const struct shard_clocks *clocks,
                        struct shard_turn *turn);
/* Whether shard_service_lead would do something more now. */
bool shard_service_has_work(const struct shard_service *service);

/* A message about a transaction to this group. TORC_OK, TORC_MALFORMED. */
enum torc_status shard_service_transaction(struct shard_service *service,
                                           const struct shard_txn_message *message);

/* The requester has used sequences up to here: what of it did not arrive is lost. */
void shard_service_heard(struct shard_service *service, uint64_t route, uint64_t sequence);
/* The highest request sequence that this requester may send (total, so a lost one does no harm). */
uint64_t shard_service_credit(const struct shard_service *service, uint64_t route);
/* When it wants its next turn for expiry; UINT64_MAX: not. On the monotonic clock. */
uint64_t shard_service_wake_at(const struct shard_service *service,
                               const struct shard_clocks *clocks, uint64_t now_ms);
/* The clock that an entry would get now: what requesters count their last times from (the group's
 * own stands still while nothing is written). 0 when this node does not lead. */
uint64_t shard_service_stamp(struct shard_service *service, const struct shard_clocks *clocks,
                             uint64_t now_ms);
const struct shard_machine *shard_service_machine(const struct shard_service *service);
uint64_t shard_service_flushed(struct shard_service *service);
/* Node believed to lead; 0: none known. */
uint32_t shard_service_leader_node(const struct shard_service *service);
/* Whether this node leads, as of the service's last turn. */
bool shard_service_leads(const struct shard_service *service);
void shard_service_check(const struct shard_service *service);

#endif /* TORC_SHARD_SERVICE_H */
