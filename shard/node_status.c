#include "base/version.h"
#include "shard/node_int.h"

enum { STATUS_REPLICAS_MAX = 4096 };

static void fill_consensus(const struct node_replica *replica, Torc__Wire__ReplicaStatus *status,
                           Torc__Wire__Ballot *ballot)
{
    struct consensus_info info;
    shard_group_info(replica->consensus, &info);
    torc__wire__ballot__init(ballot);
    ballot->round = info.ballot.round;
    ballot->node = info.ballot.node;
    ballot->incarnation = info.ballot.incarnation;
    status->role = (uint32_t)info.role;
    status->serving = info.serving;
    status->leader = info.leader;
    status->ballot = ballot;
    status->chosen = info.chosen;
    status->applied = info.applied;
    status->durable = info.durable;
    status->floor = info.floor;
    status->inflight = info.inflight;
}

static void fill_state(const struct node_replica *replica, Torc__Wire__ReplicaStatus *status)
{
    if (replica->service == NULL) {
        status->state_hash = shard_placement_hash(replica->placement);
        return;
    }
    struct shard_machine_info info;
    shard_machine_info(shard_service_machine(replica->service), &info);
    status->clock = info.clock;
    status->state_hash = info.hash;
    status->records_bytes = info.records_bytes;
    status->serving = status->serving && info.genesis;
}

/* Replicas that the map has on this node, that were built once, and whose data is not here. */
static const char *lost_replica(const struct shard_node *node, uint32_t at,
                                Torc__Wire__ReplicaStatus *status)
{
    const struct shard_map_group *group = &node->map.groups[at];
    const struct shard_map_replica *here = shard_map_replica_on(group, node->config.id);
    if (here == NULL || node_find_replica(node, group->id) != NULL)
        return NULL;
    status->group = group->id;
    status->replica = here->id;
    return here->used && here->used_by != node->config.incarnation
               ? "it was built once and has no data here: it never votes again under this replica "
                 "id; replace it"
               : "it is being built";
}

struct status_message {
    Torc__Wire__ReplicaStatus *list;
    Torc__Wire__ReplicaStatus **pointers;
    Torc__Wire__Ballot *ballots;
    size_t count, capacity;
};

static void fill_replicas(const struct shard_node *node, struct status_message *message)
{
    for (size_t i = 0; i < node->replica_count && message->count < message->capacity; i++) {
        const struct node_replica *replica = node->replicas[i];
        Torc__Wire__ReplicaStatus *status = &message->list[message->count];
        torc__wire__replica_status__init(status);
        status->group = replica->group;
        status->replica = replica->replica;
        if (replica->state == NODE_REPLICA_RUNNING) {
            fill_consensus(replica, status, &message->ballots[message->count]);
            fill_state(replica, status);
        }
        if (replica->trouble != NULL) {
            status->trouble = (char *)(uintptr_t)replica->trouble;
            status->trouble_since_ms = replica->trouble_since_ms;
        }
        message->count++;
    }
    for (uint32_t g = 0; g < node->map.group_count && message->count < message->capacity; g++) {
        Torc__Wire__ReplicaStatus *status = &message->list[message->count];
        torc__wire__replica_status__init(status);
        const char *trouble = lost_replica(node, g, status);
        if (trouble == NULL)
            continue;
        status->trouble = (char *)(uintptr_t)trouble;
        message->count++;
    }
}

void node_handle_status(struct shard_node *node, uint64_t route,
                        const Torc__Wire__StatusRequest *request)
{
    size_t capacity = node->replica_count + node->map.group_count;
    if (capacity > STATUS_REPLICAS_MAX)
        capacity = STATUS_REPLICAS_MAX;
    struct status_message message = {.capacity = capacity};
    const struct base_allocator *allocator = node->allocator;
    if (capacity > 0) {
        message.list = base_alloc(allocator, capacity * sizeof(*message.list));
        message.pointers = base_alloc(allocator, capacity * sizeof(Torc__Wire__ReplicaStatus *));
        message.ballots = base_alloc(allocator, capacity * sizeof(*message.ballots));
    }
    fill_replicas(node, &message);
    for (size_t i = 0; i < message.count; i++)
        message.pointers[i] = &message.list[i];
    Torc__Wire__StatusReply reply = TORC__WIRE__STATUS_REPLY__INIT;
    reply.id = request->id;
    reply.node = node->config.id;
    reply.storage = (ProtobufCBinaryData){.len = WIRE_ID_SIZE,
                                          .data = (uint8_t *)(uintptr_t)node->config.storage.bytes};
    reply.incarnation = node->config.incarnation;
    reply.map_version = node->map.version;
    reply.n_replicas = message.count;
    reply.replicas = message.pointers;
    reply.log_bytes = node->log_bytes;
    reply.log_batches = node->log_batches;
    reply.log_syncs = node->log_syncs;
    reply.uptime_ms = node->now_ms - node->started_ms;
    reply.version = (char *)(uintptr_t)TORC_VERSION;
    reply.initialised = node->map.version > 0;
    node_send(node, 0, route, WIRE_TYPE_STATUS, &reply.base, base_bytes_of(NULL, 0));
    base_free(allocator, message.list, capacity * sizeof(*message.list));
    base_free(allocator, message.pointers, capacity * sizeof(Torc__Wire__ReplicaStatus *));
    base_free(allocator, message.ballots, capacity * sizeof(*message.ballots));
}
