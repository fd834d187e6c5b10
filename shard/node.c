#include "shard/node.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "shard/keys.h"
#include "shard/node_int.h"

enum { NODE_ARENA_SIZE_MAX = 32 * 1024 * 1024 };

/* ---- Replicas
 * ------------------------------------------------------------------------------------- */

static size_t replica_position(const struct shard_node *node, uint32_t group)
{
    size_t low = 0, high = node->replica_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (node->replicas[middle]->group < group)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct node_replica *node_find_replica(const struct shard_node *node, uint32_t group)
{
    size_t at = replica_position(node, group);
    return at < node->replica_count && node->replicas[at]->group == group ? node->replicas[at]
                                                                          : NULL;
}

struct node_replica *node_add_replica(struct shard_node *node, uint32_t group, uint64_t replica)
{
    size_t at = replica_position(node, group);
    TORC_ASSERT(at == node->replica_count || node->replicas[at]->group != group);
    node->replicas = base_array_reserve(node->allocator, node->replicas, &node->replicas_capacity,
                                        node->replica_count + 1, sizeof(struct node_replica *));
    memmove(&node->replicas[at + 1], &node->replicas[at],
            (node->replica_count - at) * sizeof(struct node_replica *));
    node->replica_count++;
    struct node_replica *added = base_alloc_zero(node->allocator, sizeof(*added));
    added->group = group;
    added->replica = replica;
    added->birth.allocator = node->allocator;
    node->replicas[at] = added;
    return added;
}

void node_set_trouble(struct shard_node *node, struct node_replica *replica, const char *text)
{
    if (replica->trouble_stays)
        return;
    replica->trouble = text;
    replica->trouble_since_ms = node->wall_ms;
    replica->trouble_stays = true;
}

/* What may pass again. */
static void note_passing_trouble(struct shard_node *node, struct node_replica *replica)
{
    static const char behind[] = "the entries that it lacks are no longer in the leader's log: it "
                                 "needs a rebuild and does not vote on new ones";
    static const char full[] = "the disk has no room for its state: it applies nothing until there "
                               "is some";
    struct consensus_info info;
    shard_group_info(replica->consensus, &info);
    const char *text = info.behind_compaction                               ? behind
                       : shard_group_stall(replica->consensus) == TORC_FULL ? full
                                                                            : NULL;
    if (replica->trouble_stays || replica->trouble == text)
        return;
    replica->trouble = text;
    replica->trouble_since_ms = text == NULL ? 0 : node->wall_ms;
}

static struct shard_group_config group_config(const struct shard_node *node,
                                              const struct node_replica *replica,
                                              const struct consensus_member *members,
                                              uint32_t member_count)
{
    struct shard_timing timing = node->config.timing;
    timing.lease_ms = replica->birth.lease_ms;
    /* Who stands while a lease may run is refused anyway. */
    if (timing.election_timeout_ms <= timing.lease_ms)
        timing.election_timeout_ms = timing.lease_ms + 1;
    return (struct shard_group_config){.id = replica->group,
                                       .replica = replica->replica,
                                       .node = node->config.id,
                                       .incarnation = node->config.incarnation,
                                       .members = members,
                                       .member_count = member_count,
                                       .timing = timing,
                                       .apply_bytes_max = node->config.apply_bytes_max,
                                       .seed = node->config.seed ^
                                               replica->replica * UINT64_C(0x9E3779B97F4A7C15)};
}

static enum torc_status open_state(struct shard_node *node, struct node_replica *replica,
                                   struct consensus_boot *boot)
{
    if (replica->group == SHARD_PLACEMENT_GROUP) {
        enum torc_status status =
            shard_placement_new(node->kv, node->pool, node->allocator, &replica->placement);
        if (status != TORC_OK)
            return status;
        boot->applied = shard_placement_applied(replica->placement);
        boot->barrier = shard_placement_barrier(replica->placement);
        return TORC_OK;
    }
    struct shard_service_config config = {
        .machine = {.group = replica->group,
                    .vnode_bits = replica->birth.vnode_bits,
                    .limits = replica->birth.limits,
                    .request_time_max_ms = node->config.request_time_max_ms,
                    .records_bytes_max = node->config.records_bytes_max},
        .credit = node->config.credit,
        .pending_max = node->config.pending_max,
        .read_batches_max = node->config.read_batches_max,
        .read_mode = replica->birth.lease_ms > 0 ? CONSENSUS_READ_LEASE : CONSENSUS_READ_QUORUM,
        .entries_max = node->config.entries_max,
        .entry_bytes_max = node->config.entry_bytes_max,
        .map = &node->map,
        .seed = node->config.seed ^ replica->replica};
    enum torc_status status = shard_service_new(&config, &replica->birth, node->kv, node->pool,
                                                node->allocator, &replica->service);
    if (status != TORC_OK)
        return status;
    struct shard_machine_info info;
    shard_machine_info(shard_service_machine(replica->service), &info);
    boot->applied = info.applied;
    boot->barrier = info.barrier;
    return TORC_OK;
}

enum torc_status node_start_replica(struct shard_node *node, struct node_replica *replica,
                                    const struct consensus_boot *boot)
{
    struct consensus_boot adjusted = *boot;
    enum torc_status status = open_state(node, replica, &adjusted);
    if (status != TORC_OK)
        return status;
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    uint32_t member_count = shard_map_members(&replica->birth.group, members);
    struct shard_group_config config = group_config(node, replica, members, member_count);
    bool placement = replica->placement != NULL;
    status = shard_group_new(&config, &adjusted, node->kv,
                             placement ? &shard_placement_state : &shard_service_state,
                             placement ? (void *)replica->placement : (void *)replica->service,
                             node->allocator, node->now_ms, &replica->consensus);
    if (status != TORC_OK)
        return status;
    if (placement)
        shard_placement_attach(replica->placement, replica->consensus);
    else
        shard_service_attach(replica->service, replica->consensus);
    if (adjusted.amnesiac)
        node_set_trouble(node, replica,
                         "its log is damaged: it never votes again under this replica id; "
                         "replace it");
    replica->state = NODE_REPLICA_RUNNING;
    replica->dirty = true;
    return TORC_OK;
}

static void free_replica(struct shard_node *node, struct node_replica *replica)
{
    shard_group_free(replica->consensus);
    shard_service_free(replica->service);
    shard_placement_free(replica->placement);
    base_buffer_unref(replica->first_entry);
    shard_birth_fini(&replica->birth);
    base_free(node->allocator, replica, sizeof(*replica));
}

uint64_t node_replica_flushed(const struct node_replica *replica)
{
    return replica->service != NULL ? shard_service_flushed(replica->service)
                                    : shard_placement_flushed(replica->placement);
}

/* ---- Sending
 * -------------------------------------------------------------------------------------- */

struct node_peer *node_find_peer(struct shard_node *node, uint32_t id)
{
    for (size_t i = 0; i < node->peer_count; i++) {
        if (node->peers[i].id == id)
            return &node->peers[i];
    }
    return NULL;
}

/* Room for one more message of these sizes; its body and payload are to be written behind the head.
 */
static uint8_t *begin_message(struct shard_node *node, size_t size)
{
    struct node_sends *sends = &node->sends;
    sends->bytes = base_array_reserve(node->allocator, sends->bytes, &sends->bytes_capacity,
                                      sends->size + size, 1);
    return sends->bytes + sends->size;
}

static void end_message(struct shard_node *node, uint32_t to, uint64_t route, enum wire_type type,
                        struct base_bytes body, struct base_bytes payload)
{
    struct node_sends *sends = &node->sends;
    /* Only consensus is between lives. What asks is for whoever is there: a node that never speaks
     * by itself to this one would be known by its earlier life for ever, and refuse. */
    const struct node_peer *peer = type == WIRE_TYPE_CONSENSUS ? node_find_peer(node, to) : NULL;
    struct wire_envelope envelope = {.type = type,
                                     .cluster = node->config.cluster,
                                     .storage = node->config.storage,
                                     .node = node->config.id,
                                     .incarnation = node->config.incarnation,
                                     .to_node = to,
                                     .to_incarnation = peer == NULL ? 0 : peer->incarnation,
                                     .number = ++node->number,
                                     .durable_batch = node->durable_batch,
                                     .wall_ms = node->wall_ms,
                                     .body = body,
                                     .payload = payload};
    size_t size = wire_envelope_size(&envelope);
    wire_envelope_write(&envelope, sends->bytes + sends->size);
    sends->list = base_array_reserve(node->allocator, sends->list, &sends->capacity,
                                     sends->count + 1, sizeof(*sends->list));
    /* The buffer may move while the turn goes on: the address is filled in at its end. */
    sends->list[sends->count++] =
        (struct shard_send){.node = to, .route = route, .message = {.data = NULL, .size = size}};
    sends->size += size;
}

void node_send_packed(struct shard_node *node, uint32_t to, uint64_t route, enum wire_type type,
                      struct base_bytes body, struct base_bytes payload)
{
    begin_message(node, WIRE_ENVELOPE_SIZE + body.size + payload.size);
    end_message(node, to, route, type, body, payload);
}

void node_send(struct shard_node *node, uint32_t to, uint64_t route, enum wire_type type,
               const ProtobufCMessage *body, struct base_bytes payload)
{
    size_t body_size = protobuf_c_message_get_packed_size(body);
    uint8_t *at = begin_message(node, WIRE_ENVELOPE_SIZE + body_size + payload.size);
    protobuf_c_message_pack(body, at + WIRE_ENVELOPE_SIZE);
    end_message(node, to, route, type, base_bytes_of(at + WIRE_ENVELOPE_SIZE, body_size), payload);
}

static void send_outbox(struct shard_node *node, struct node_peer *peer)
{
    struct base_bytes body = shard_codec_outbox_body(peer->outbox);
    if (body.size == 0)
        return;
    node_send_packed(node, peer->id, 0, WIRE_TYPE_CONSENSUS, body,
                     shard_codec_outbox_payload(peer->outbox));
    shard_codec_outbox_clear(peer->outbox);
}

/* ---- Life
 * ----------------------------------------------------------------------------------------- */

static enum torc_status recover_replica(struct shard_node *node,
                                        const struct shard_recovered *recovered)
{
    struct node_replica *replica = node_add_replica(node, recovered->group, recovered->replica);
    enum torc_status status =
        shard_codec_birth_decode(recovered->birth, node->allocator, &replica->birth);
    if (status != TORC_OK)
        return TORC_DAMAGED;
    struct consensus_boot boot = {.promised = recovered->promised,
                                  .chosen = recovered->chosen,
                                  .compacted = recovered->compacted,
                                  .entries = recovered->entries,
                                  .entry_count = (uint32_t)recovered->entry_count,
                                  .amnesiac = recovered->damaged,
                                  .lease_wait_ms = replica->birth.lease_ms};
    if (boot.lease_wait_ms < node->config.lease_max_ms)
        boot.lease_wait_ms = (uint32_t)node->config.lease_max_ms;
    replica->trimmed = recovered->compacted;
    /* What a start replays counts towards the next flush: the replay stays bounded however short
     * the lives of the process are. */
    for (size_t i = 0; i < recovered->entry_count; i++) {
        const struct base_buffer *value = recovered->entries[i].value;
        node->unflushed_bytes += STORE_RECORD_HEADER_SIZE + (value == NULL ? 0 : value->size);
    }
    return node_start_replica(node, replica, &boot);
}

static struct shard_log_batch *take_batch(struct shard_node *node)
{
    if (node->batch_count > 0)
        return node->batches[--node->batch_count];
    return base_alloc_zero(node->allocator, sizeof(struct shard_log_batch));
}

static struct shard_codec_outbox *turn_outbox(void *context, uint32_t peer_id)
{
    struct shard_node *node = context;
    struct node_peer *peer = node_find_peer(node, peer_id);
    if (peer == NULL)
        return NULL;
    size_t size =
        shard_codec_outbox_body(peer->outbox).size + shard_codec_outbox_payload(peer->outbox).size;
    if (size >= NODE_MESSAGE_SIZE)
        send_outbox(node, peer);
    return peer->outbox;
}

/* To the node that leads the group, as its replica here knows; or else to all that have one. */
static void turn_transaction(void *context, const struct shard_txn_message *message)
{
    struct shard_node *node = context;
    struct node_replica *replica = node_find_replica(node, message->to);
    bool serves = replica != NULL && replica->service != NULL && replica->consensus != NULL;
    uint32_t leader = serves ? shard_service_leader_node(replica->service) : 0;
    const struct shard_map_group *group = shard_map_find_group(&node->map, message->to);
    struct shard_codec_transaction transaction;
    if (serves && leader == node->config.id) {
        enum torc_status status = shard_service_transaction(replica->service, message);
        TORC_ASSERT(status == TORC_OK);
        replica->dirty = true;
        return;
    }
    shard_codec_transaction_init(&transaction, message);
    for (uint32_t i = 0; group != NULL && i < group->replica_count; i++) {
        uint32_t to = group->replicas[i].node;
        if (to != node->config.id && (leader == 0 || to == leader))
            node_send(node, to, 0, WIRE_TYPE_TRANSACTION, &transaction.body.base, message->payload);
    }
}

/* Whether replicas of any group can be built with this timing: asked before there is one. */
static bool timing_fits(const struct shard_node_config *config)
{
    const struct consensus_member self = {.replica = 1, .node = config->id, .voter = true};
    struct consensus_config consensus;
    shard_group_consensus_config(&(struct shard_group_config){.replica = 1,
                                                              .node = config->id,
                                                              .incarnation = config->incarnation,
                                                              .members = &self,
                                                              .member_count = 1,
                                                              .timing = config->timing},
                                 &consensus);
    /* No message of consensus has more entries than the codec takes: each counts for more than its
     * struct against the bound on bytes. */
    return consensus_config_check(&consensus) == TORC_OK &&
           config->timing.message_bytes_max <=
               SHARD_CODEC_ENTRIES_MAX * sizeof(struct consensus_entry);
}

enum torc_status shard_node_new(const struct shard_node_config *config,
                                const struct shard_recovery *recovery, struct store_kv *kv,
                                struct base_pool *pool, const struct base_allocator *allocator,
                                uint64_t now_ms, uint64_t wall_ms, const char **ret_text,
                                struct shard_node **ret_node)
{
    if (!timing_fits(config)) {
        *ret_text = "the timing settings break a rule of consensus";
        return TORC_INVALID;
    }
    struct shard_node *node = base_alloc_zero(allocator, sizeof(*node));
    node->requesters = base_alloc_zero(allocator, NODE_REQUESTERS_MAX * sizeof(*node->requesters));
    node->allocator = allocator;
    node->pool = pool;
    node->kv = kv;
    node->config = *config;
    node->arena = wire_arena_new(allocator, NODE_ARENA_SIZE_MAX);
    node->now_ms = node->started_ms = now_ms;
    node->wall_ms = wall_ms;
    node->durable_batch = config->recovered_batch;
    node->entries = base_alloc(allocator, SHARD_CODEC_ENTRIES_MAX * sizeof(struct consensus_entry));
    node->turn = (struct shard_turn){.allocator = allocator,
                                     .pool = pool,
                                     .now_ms = now_ms,
                                     .outbox = turn_outbox,
                                     .transaction = turn_transaction,
                                     .context = node};
    node->turn.log = take_batch(node);
    shard_map_init(&node->map, allocator);
    node_read_map_hint(node);
    node_greet(node);
    for (size_t i = 0; i < shard_recovery_count(recovery); i++) {
        const struct shard_recovered *recovered = shard_recovery_at(recovery, i);
        /* One whose birth is rotten is lost, and it alone: the status says so (lost_replica). */
        if (recovered->damaged && recovered->birth.size == 0)
            continue;
        enum torc_status status = recover_replica(node, recovered);
        if (status != TORC_OK) {
            *ret_text = "a replica's birth record or state does not decode";
            shard_node_free(node);
            return TORC_DAMAGED;
        }
    }
    *ret_node = node;
    return TORC_OK;
}

void shard_node_free(struct shard_node *node)
{
    if (node == NULL)
        return;
    const struct base_allocator *allocator = node->allocator;
    for (size_t i = 0; i < node->replica_count; i++)
        free_replica(node, node->replicas[i]);
    base_array_free(allocator, node->replicas, &node->replicas_capacity,
                    sizeof(struct node_replica *));
    for (size_t i = 0; i < node->peer_count; i++)
        shard_codec_outbox_free(node->peers[i].outbox);
    base_free(allocator, node->peers, node->peer_count * sizeof(*node->peers));
    for (size_t i = 0; i < node->batch_count; i++) {
        shard_log_batch_free(node->batches[i], allocator);
        base_free(allocator, node->batches[i], sizeof(*node->batches[i]));
    }
    shard_log_batch_free(node->turn.log, allocator);
    base_free(allocator, node->turn.log, sizeof(*node->turn.log));
    shard_replies_free(&node->turn.replies, allocator);
    base_array_free(allocator, node->turn.loads, &node->turn.loads_capacity,
                    sizeof(*node->turn.loads));
    base_array_free(allocator, node->trims, &node->trims_capacity, sizeof(*node->trims));
    base_array_free(allocator, node->sends.list, &node->sends.capacity, sizeof(*node->sends.list));
    base_array_free(allocator, node->sends.bytes, &node->sends.bytes_capacity, 1);
    base_free(allocator, node->entries, SHARD_CODEC_ENTRIES_MAX * sizeof(struct consensus_entry));
    shard_map_fini(&node->map);
    wire_arena_free(node->arena);
    base_free(allocator, node->requesters, NODE_REQUESTERS_MAX * sizeof(*node->requesters));
    base_free(allocator, node, sizeof(*node));
}

/* ---- Answers
 * ------------------------------------------------------------------------------------- */

static void send_replies(struct shard_node *node)
{
    for (size_t i = 0; i < node->turn.replies.count; i++) {
        const struct shard_reply *reply = &node->turn.replies.list[i];
        const struct node_replica *replica = node_find_replica(node, reply->group);
        TORC_ASSERT(replica != NULL && replica->service != NULL);
        Torc__Wire__Reply body = TORC__WIRE__REPLY__INIT;
        body.group = reply->group;
        body.answer_count = reply->answer_count;
        struct shard_machine_info info;
        shard_machine_info(shard_service_machine(replica->service), &info);
        body.clock = info.clock;
        body.stamp = shard_service_stamp(replica->service, &node->clocks, node->now_ms);
        body.credit = shard_service_credit(replica->service, reply->route);
        body.map_version = node->map.version;
        body.leader_node = shard_service_leader_node(replica->service);
        node_send(node, 0, reply->route, WIRE_TYPE_REPLY, &body.base,
                  base_bytes_of(reply->answers, reply->answers_size));
    }
    shard_replies_clear(&node->turn.replies, node->allocator);
}

/* ---- Durability
 * ----------------------------------------------------------------------------------- */

static void give_batch(struct shard_node *node, struct shard_log_batch *batch)
{
    shard_log_batch_clear(batch);
    if (node->batch_count < NODE_BATCHES_MAX) {
        node->batches[node->batch_count++] = batch;
        return;
    }
    shard_log_batch_free(batch, node->allocator);
    base_free(node->allocator, batch, sizeof(*batch));
}

void shard_node_stored(struct shard_node *node, struct shard_log_batch *log, uint64_t batch,
                       uint64_t now_ms)
{
    TORC_ASSERT(batch >= node->durable_batch);
    node->now_ms = node->turn.now_ms = now_ms;
    node->durable_batch = batch;
    for (size_t i = 0; i < log->part_count; i++) {
        struct node_replica *replica = node_find_replica(node, log->parts[i].group);
        TORC_ASSERT(replica != NULL);
        if (replica->state == NODE_REPLICA_BORN) {
            node_replica_born(node, replica);
            continue;
        }
        struct consensus_event event = {.type = CONSENSUS_PERSISTED,
                                        .now_ms = now_ms,
                                        .u.persisted_seq = log->parts[i].persist_seq};
        enum torc_status status = shard_group_step(replica->consensus, &event);
        TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
        replica->dirty = true;
    }
    give_batch(node, log);
}

void shard_node_loaded(struct shard_node *node, uint32_t group,
                       const struct consensus_entry *entries, uint32_t entry_count, uint64_t now_ms)
{
    node->now_ms = node->turn.now_ms = now_ms;
    struct node_replica *replica = node_find_replica(node, group);
    TORC_ASSERT(replica != NULL && replica->consensus != NULL);
    struct consensus_event event = {.type = CONSENSUS_LOADED,
                                    .now_ms = now_ms,
                                    .u.loaded = {.entries = entries, .entry_count = entry_count}};
    enum torc_status status = shard_group_step(replica->consensus, &event);
    TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
    replica->dirty = true;
}

void shard_node_log_facts(struct shard_node *node, uint64_t bytes, uint64_t batches, uint64_t syncs)
{
    node->log_bytes = bytes;
    node->log_batches = batches;
    node->log_syncs = syncs;
    node->log_is_large = bytes > node->config.log_size_max;
}

/* Up to where a replica's entries may go: what is in the flushed state and with every voter. While
 * the log is too large a quarter of the rest goes too, the oldest first and not all at once, so
 * that a voter that is only a little late does not lose what it still needs. */
static uint64_t trim_slot(const struct shard_node *node, const struct node_replica *replica)
{
    struct consensus_info info;
    shard_group_info(replica->consensus, &info);
    uint64_t flushed = node_replica_flushed(replica);
    uint64_t slot = flushed < info.floor && !TORC_MUTANT(TRIM_BEFORE_FLUSH) ? flushed : info.floor;
    if (slot < replica->trimmed)
        slot = replica->trimmed;
    if (node->log_is_large && flushed > slot)
        slot += (flushed - slot) / 4;
    return slot;
}

/* The log is kept short: the state is flushed once enough was logged since, and what nobody needs
 * may go. */
static void trim_log(struct shard_node *node)
{
    if (node->unflushed_bytes >= node->config.flush_bytes) {
        node->unflushed_bytes = 0;
        store_kv_flush(node->kv);
    }
    if (node->now_ms < node->trim_at_ms)
        return;
    node->trim_at_ms = node->now_ms + NODE_TRIM_INTERVAL_MS;
    for (size_t i = 0; i < node->replica_count; i++) {
        struct node_replica *replica = node->replicas[i];
        if (replica->state != NODE_REPLICA_RUNNING)
            continue;
        uint64_t slot = trim_slot(node, replica);
        if (slot <= replica->trimmed)
            continue;
        replica->trimmed = slot;
        struct consensus_event event = {
            .type = CONSENSUS_TRIMMED, .now_ms = node->now_ms, .u.trimmed_slot = slot};
        enum torc_status status = shard_group_step(replica->consensus, &event);
        TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
        node->trims = base_array_reserve(node->allocator, node->trims, &node->trims_capacity,
                                         node->trim_count + 1, sizeof(*node->trims));
        node->trims[node->trim_count++] =
            (struct shard_trim){.group = replica->group, .slot = slot};
    }
    node->log_is_large = false; /* Until the facts say so again. */
}

/* ---- The turn
 * ------------------------------------------------------------------------------------- */

void node_greet(struct shard_node *node)
{
    node->greeting = !TORC_MUTANT(NO_GREETING);
    node->greeting_until_ms = node->now_ms + node->config.greeting_timeout_ms;
    node->greet_at_ms = node->now_ms;
}

static void greet(struct shard_node *node)
{
    bool waiting = false;
    for (size_t i = 0; i < node->peer_count; i++)
        waiting = waiting || !node->peers[i].welcomed;
    if (!waiting || node->now_ms >= node->greeting_until_ms) {
        node->greeting = false;
        for (size_t i = 0; i < node->replica_count; i++)
            node->replicas[i]->dirty = true;
        return;
    }
    if (node->now_ms < node->greet_at_ms)
        return;
    node->greet_at_ms = node->now_ms + NODE_GREETING_INTERVAL_MS;
    for (size_t i = 0; i < node->peer_count; i++) {
        Torc__Wire__Hello hello = TORC__WIRE__HELLO__INIT;
        hello.map_version = node->map.version;
        if (!node->peers[i].welcomed)
            node_send(node, node->peers[i].id, 0, WIRE_TYPE_HELLO, &hello.base,
                      base_bytes_of(NULL, 0));
    }
}

static void send_placement_results(struct shard_node *node, struct shard_placement *placement)
{
    struct shard_placement_result result;
    while (shard_placement_next_result(placement, &result))
        node_send_result(node, result.route, result.id, result.status, result.text,
                         shard_placement_leader_node(placement));
}

static void lead_replica(struct shard_node *node, struct node_replica *replica)
{
    if (replica->service != NULL)
        shard_service_lead(replica->service, &node->clocks, &node->turn);
    else
        shard_placement_lead(replica->placement);
}

static void run_replica(struct shard_node *node, struct node_replica *replica)
{
    struct consensus_event tick = {.type = CONSENSUS_TICK, .now_ms = node->now_ms};
    enum torc_status status = shard_group_step(replica->consensus, &tick);
    TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
    for (int round = 0; round < NODE_ROUNDS_MAX; round++) {
        lead_replica(node, replica);
        shard_group_turn(replica->consensus, &node->turn);
        if (replica->service == NULL || !shard_service_has_work(replica->service))
            break;
    }
    if (shard_group_trouble(replica->consensus) == TORC_OK)
        return;
    lead_replica(node, replica); /* Gives up what is pending. */
    node_set_trouble(node, replica, "its state or a chosen entry does not decode: it has stopped");
}

static void turn_replica(struct shard_node *node, struct node_replica *replica)
{
    replica->dirty = false;
    run_replica(node, replica);
    if (replica->placement != NULL) {
        send_placement_results(node, replica->placement);
        const struct shard_map *map = shard_placement_map(replica->placement);
        if (map->version > node->map.version)
            node_take_map(node, map);
    }
    note_passing_trouble(node, replica);
}

static uint64_t replica_wake_at(const struct shard_node *node, const struct node_replica *replica)
{
    if (replica->state != NODE_REPLICA_RUNNING)
        return UINT64_MAX;
    if (replica->dirty)
        return node->now_ms;
    uint64_t wake_at = shard_group_wake_at(replica->consensus);
    if (replica->service == NULL)
        return wake_at;
    uint64_t expiry_at = shard_service_wake_at(replica->service, &node->clocks, node->now_ms);
    return expiry_at < wake_at ? expiry_at : wake_at;
}

static void turn_replicas(struct shard_node *node)
{
    /* The first map may tell of peers to greet. */
    for (size_t i = 0; i < node->replica_count && !node->greeting; i++) {
        struct node_replica *replica = node->replicas[i];
        if (replica->state == NODE_REPLICA_RUNNING &&
            replica_wake_at(node, replica) <= node->now_ms)
            turn_replica(node, replica);
    }
}

static uint64_t node_wake_at(const struct shard_node *node)
{
    if (node->greeting)
        return node->greet_at_ms < node->greeting_until_ms ? node->greet_at_ms
                                                           : node->greeting_until_ms;
    uint64_t wake_at = node->trim_at_ms;
    if (node->place_at_ms < wake_at && node->place_at_ms != 0)
        wake_at = node->place_at_ms;
    if (node->map_at_ms < wake_at && node->map_at_ms != 0)
        wake_at = node->map_at_ms;
    for (size_t i = 0; i < node->replica_count; i++) {
        uint64_t at = replica_wake_at(node, node->replicas[i]);
        if (at < wake_at)
            wake_at = at;
    }
    return wake_at;
}

static void finish_ready(struct shard_node *node, struct shard_node_ready *ret_ready)
{
    size_t at = 0;
    for (size_t i = 0; i < node->sends.count; i++) {
        node->sends.list[i].message.data = node->sends.bytes + at;
        at += node->sends.list[i].message.size;
    }
    *ret_ready = (struct shard_node_ready){.sends = node->sends.list,
                                           .send_count = node->sends.count,
                                           .loads = node->turn.loads,
                                           .load_count = node->turn.load_count,
                                           .trims = node->trims,
                                           .trim_count = node->trim_count,
                                           .wake_at_ms = node_wake_at(node),
                                           .fatal = node->fatal,
                                           .fatal_expected = node->fatal_expected,
                                           .fatal_found = node->fatal_found};
    if (node->turn.log->record_count > 0) {
        node->unflushed_bytes += node->turn.log->bytes;
        ret_ready->log = node->turn.log;
        node->turn.log = take_batch(node);
    }
    node->sends.count = 0;
    node->sends.size = 0;
    node->turn.load_count = 0;
    node->trim_count = 0;
}

/* What a burst of large answers took is given back. */
static void trim_sends(struct shard_node *node)
{
    struct node_sends *sends = &node->sends;
    if (sends->size > 0 || sends->bytes_capacity <= NODE_SENDS_KEPT_MAX)
        return;
    base_array_free(node->allocator, sends->bytes, &sends->bytes_capacity, 1);
    sends->bytes = NULL;
}

void shard_node_turn(struct shard_node *node, uint64_t now_ms, uint64_t wall_ms,
                     struct shard_node_ready *ret_ready)
{
    TORC_ASSERT(now_ms >= node->now_ms);
    node->now_ms = node->turn.now_ms = now_ms;
    node->wall_ms = wall_ms;
    shard_clocks_heard(&node->clocks, node->config.id, wall_ms, now_ms);
    trim_sends(node);
    if (node->fatal != NULL) {
        *ret_ready = (struct shard_node_ready){.fatal = node->fatal,
                                               .fatal_expected = node->fatal_expected,
                                               .fatal_found = node->fatal_found,
                                               .wake_at_ms = now_ms};
        return;
    }
    if (node->greeting)
        greet(node);
    if (!node->greeting) {
        node_map_turn(node);
        turn_replicas(node);
        trim_log(node);
    }
    for (size_t i = 0; i < node->peer_count; i++)
        send_outbox(node, &node->peers[i]);
    send_replies(node);
    finish_ready(node, ret_ready);
}

/* ---- Stopping and looking
 * -------------------------------------------------------------------------- */

void shard_node_drain(struct shard_node *node, uint64_t now_ms)
{
    node->now_ms = node->turn.now_ms = now_ms;
    for (size_t i = 0; i < node->replica_count; i++) {
        struct node_replica *replica = node->replicas[i];
        if (replica->state != NODE_REPLICA_RUNNING)
            continue;
        struct consensus_event event = {
            .type = CONSENSUS_TRANSFER, .now_ms = now_ms, .u.transfer_to = 0};
        enum torc_status status = shard_group_step(replica->consensus, &event);
        replica->dirty = replica->dirty || status == TORC_OK;
    }
}

bool shard_node_is_drained(const struct shard_node *node)
{
    for (size_t i = 0; i < node->replica_count; i++) {
        const struct node_replica *replica = node->replicas[i];
        if (replica->state != NODE_REPLICA_RUNNING)
            continue;
        struct consensus_info info;
        shard_group_info(replica->consensus, &info);
        if (info.transferring)
            return false;
    }
    return true;
}

const struct shard_map *shard_node_map(const struct shard_node *node)
{
    return &node->map;
}

bool shard_node_replica_info(const struct shard_node *node, uint32_t group,
                             struct consensus_info *ret_info)
{
    const struct node_replica *replica = node_find_replica(node, group);
    if (replica == NULL || replica->state != NODE_REPLICA_RUNNING)
        return false;
    shard_group_info(replica->consensus, ret_info);
    return true;
}

const struct consensus_counters *shard_node_replica_counters(const struct shard_node *node,
                                                             uint32_t group)
{
    const struct node_replica *replica = node_find_replica(node, group);
    return replica == NULL || replica->consensus == NULL ? NULL
                                                         : shard_group_counters(replica->consensus);
}

bool shard_node_machine_info(const struct shard_node *node, uint32_t group,
                             struct shard_machine_info *ret_info)
{
    const struct node_replica *replica = node_find_replica(node, group);
    if (replica == NULL || replica->service == NULL)
        return false;
    shard_machine_info(shard_service_machine(replica->service), ret_info);
    return true;
}

bool shard_node_lease_holds(const struct shard_node *node, uint32_t group, uint64_t now_ms)
{
    const struct node_replica *replica = node_find_replica(node, group);
    return replica != NULL && replica->state == NODE_REPLICA_RUNNING &&
           shard_group_lease_holds(replica->consensus, now_ms);
}

bool shard_node_serves_row(const struct shard_node *node, struct base_bytes state_key)
{
    uint32_t group;
    if (!shard_key_is_data(state_key, &group))
        return false;
    const struct node_replica *replica = node_find_replica(node, group);
    return replica != NULL && replica->service != NULL && shard_service_leads(replica->service);
}

bool shard_node_is_full(const struct shard_node *node)
{
    for (size_t i = 0; i < node->replica_count; i++) {
        const struct node_replica *replica = node->replicas[i];
        if (replica->state == NODE_REPLICA_RUNNING &&
            shard_group_stall(replica->consensus) == TORC_FULL)
            return true;
    }
    return false;
}

const struct shard_node_counters *shard_node_counters(const struct shard_node *node)
{
    return &node->counters;
}

void shard_node_check(const struct shard_node *node)
{
    for (size_t i = 0; i < node->replica_count; i++) {
        const struct node_replica *replica = node->replicas[i];
        TORC_ASSERT(i == 0 || node->replicas[i - 1]->group < replica->group);
        TORC_ASSERT((replica->consensus != NULL) == (replica->state == NODE_REPLICA_RUNNING));
        if (replica->service != NULL && replica->consensus != NULL)
            shard_service_check(replica->service);
    }
}
