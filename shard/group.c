#include "shard/group.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "paxos/paxos.h"

enum { GROUP_STALL_RETRY_MS = 5 };

struct shard_group {
    const struct base_allocator *allocator;
    struct store_kv *kv;
    const struct shard_state_type *type;
    void *state;
    struct shard_group_config config;
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    struct consensus *consensus;

    /* Chosen entries not yet applied, each with a reference to its value. */
    struct consensus_apply *queue;
    size_t queue_first, queue_count, queue_capacity;

    /* Applied into the batch and not yet written: only while stalled outside of apply_queue(). */
    struct store_batch *batch;
    uint64_t batch_slot;    /* Last slot in the batch; 0: the batch is empty. */
    enum torc_status stall; /* Why it could not be written. */

    uint64_t marked;  /* Chosen mark of the last log batch that we took part in. */
    uint64_t wake_at; /* Consensus's. */
    enum torc_status trouble;
};

void shard_group_consensus_config(const struct shard_group_config *config,
                                  struct consensus_config *ret_consensus)
{
    *ret_consensus = (struct consensus_config){
        .replica = config->replica,
        .node = config->node,
        .incarnation = config->incarnation,
        .members = config->members,
        .member_count = config->member_count,
        .heartbeat_interval_ms = config->timing.heartbeat_interval_ms,
        .election_timeout_ms = config->timing.election_timeout_ms,
        .retransmit_timeout_ms = config->timing.retransmit_timeout_ms,
        .lease_ms = config->timing.lease_ms,
        .clock_drift_per_mille = config->timing.clock_drift_per_mille,
        .window_entries_max = config->timing.window_entries_max,
        .window_bytes_max = config->timing.window_bytes_max,
        .cache_bytes_max = config->timing.cache_bytes_max,
        .message_bytes_max = config->timing.message_bytes_max,
        .reads_max = config->timing.reads_max,
        .seed = config->seed,
    };
}

enum torc_status shard_group_new(const struct shard_group_config *config,
                                 const struct consensus_boot *boot, struct store_kv *kv,
                                 const struct shard_state_type *type, void *state,
                                 const struct base_allocator *allocator, uint64_t now_ms,
                                 struct shard_group **ret_group)
{
    struct consensus_config consensus;
    shard_group_consensus_config(config, &consensus);
    enum torc_status status = consensus_config_check(&consensus);
    if (status != TORC_OK)
        return status;
    struct shard_group *group = base_alloc_zero(allocator, sizeof(*group));
    group->allocator = allocator;
    group->kv = kv;
    group->type = type;
    group->state = state;
    group->config = *config;
    memcpy(group->members, config->members, config->member_count * sizeof(*config->members));
    group->config.members = group->members;
    group->consensus = consensus_new(&paxos_type, allocator, &consensus, boot, now_ms);
    group->batch = store_batch_new(allocator);
    group->wake_at = now_ms;
    *ret_group = group;
    return TORC_OK;
}

void shard_group_free(struct shard_group *group)
{
    if (group == NULL)
        return;
    for (size_t i = 0; i < group->queue_count; i++)
        base_buffer_unref(group->queue[group->queue_first + i].entry.value);
    base_array_free(group->allocator, group->queue, &group->queue_capacity, sizeof(*group->queue));
    store_batch_free(group->batch);
    consensus_free(group->consensus);
    base_free(group->allocator, group, sizeof(*group));
}

enum torc_status shard_group_step(struct shard_group *group, const struct consensus_event *event)
{
    if (group->trouble != TORC_OK)
        return TORC_DAMAGED;
    return consensus_step(group->consensus, event);
}

enum torc_status shard_group_propose(struct shard_group *group, struct base_buffer *value,
                                     uint64_t now_ms)
{
    struct consensus_event event = {
        .type = CONSENSUS_PROPOSE, .now_ms = now_ms, .u.propose = value};
    return shard_group_step(group, &event);
}

enum torc_status shard_group_read(struct shard_group *group, uint64_t id,
                                  enum consensus_read_mode mode, uint64_t now_ms)
{
    struct consensus_event event = {
        .type = CONSENSUS_READ, .now_ms = now_ms, .u.read = {.id = id, .mode = mode}};
    return shard_group_step(group, &event);
}

bool shard_group_lease_holds(const struct shard_group *group, uint64_t now_ms)
{
    return group->trouble == TORC_OK && consensus_lease_holds(group->consensus, now_ms);
}

/* ---- Records and messages
 * ------------------------------------------------------------------------ */

static enum store_record_kind record_kind(enum consensus_record_kind kind)
{
    switch (kind) {
    case CONSENSUS_RECORD_PROMISE:
        return STORE_RECORD_PROMISE;
    case CONSENSUS_RECORD_ENTRY:
        return STORE_RECORD_ENTRY;
    case CONSENSUS_RECORD_LEARNED:
        return STORE_RECORD_LEARNED;
    }
    torc_assert_fail("record kind", __FILE__, __LINE__);
}

/* The group's records go into the node's batch, and behind them the chosen mark: recovery applies a
 * slot only when a mark covers it, and batches are whole or absent, so the mark never lands alone.
 */
static void collect_records(struct shard_group *group, const struct consensus_ready *ready,
                            struct shard_turn *turn)
{
    if (ready->persist_seq == 0)
        return;
    for (uint32_t i = 0; i < ready->record_count; i++) {
        const struct consensus_entry *entry = &ready->records[i].entry;
        struct store_record record = {.kind = record_kind(ready->records[i].kind),
                                      .group = group->config.id,
                                      .replica = group->config.replica,
                                      .slot = entry->slot,
                                      .ballot = entry->ballot,
                                      .origin = entry->origin,
                                      .tag = (uint8_t)entry->kind};
        if (entry->value != NULL)
            record.payload = base_buffer_bytes(entry->value);
        shard_log_batch_add(turn->log, group->allocator, &record, entry->value);
    }
    if (ready->mark > group->marked) {
        group->marked = ready->mark;
        struct store_record mark = {.kind = STORE_RECORD_MARK,
                                    .group = group->config.id,
                                    .replica = group->config.replica,
                                    .slot = ready->mark};
        shard_log_batch_add(turn->log, group->allocator, &mark, NULL);
    }
    shard_log_batch_part(turn->log, group->allocator, group->config.id, ready->persist_seq);
}

static void collect_messages(struct shard_group *group, const struct consensus_ready *ready,
                             struct shard_turn *turn)
{
    for (uint32_t i = 0; i < ready->message_count; i++) {
        const struct consensus_message *message = &ready->messages[i];
        uint32_t node = shard_group_node_of(group, message->to);
        struct shard_codec_outbox *outbox = turn->outbox(turn->context, node);
        if (outbox != NULL)
            shard_codec_outbox_add(outbox, group->config.id, message);
    }
}

/* ---- Applying
 * ------------------------------------------------------------------------------------- */

static void queue_applies(struct shard_group *group, const struct consensus_ready *ready)
{
    if (ready->apply_count == 0)
        return;
    if (group->queue_count == 0)
        group->queue_first = 0;
    size_t end = group->queue_first + group->queue_count;
    if (end + ready->apply_count > group->queue_capacity && group->queue_first > 0) {
        memmove(group->queue, group->queue + group->queue_first,
                group->queue_count * sizeof(*group->queue));
        group->queue_first = 0;
        end = group->queue_count;
    }
    group->queue = base_array_reserve(group->allocator, group->queue, &group->queue_capacity,
                                      end + ready->apply_count, sizeof(*group->queue));
    for (uint32_t i = 0; i < ready->apply_count; i++) {
        group->queue[end + i] = ready->apply[i];
        if (ready->apply[i].entry.value != NULL)
            base_buffer_ref(ready->apply[i].entry.value);
    }
    group->queue_count += ready->apply_count;
}

/* Puts queued entries into the batch, up to about apply_bytes_max. */
static enum torc_status fill_batch(struct shard_group *group)
{
    size_t bytes = 0;
    while (group->queue_count > 0 && bytes < group->config.apply_bytes_max) {
        struct consensus_apply *next = &group->queue[group->queue_first];
        struct shard_apply apply = {
            .slot = next->entry.slot, .barrier = next->barrier, .effective = next->effective};
        if (next->effective)
            apply.entry = base_buffer_bytes(next->entry.value);
        bytes += apply.entry.size + 1;
        enum torc_status status = group->type->apply(group->state, &apply, group->batch);
        if (status != TORC_OK)
            return status;
        group->batch_slot = apply.slot;
        base_buffer_unref(next->entry.value);
        group->queue_first++;
        group->queue_count--;
    }
    return TORC_OK;
}

/* Writes the batch; true when it is in the state. */
static bool write_batch(struct shard_group *group, struct shard_turn *turn)
{
    enum torc_status status = store_kv_write(group->kv, group->batch);
    if (TORC_MUTANT(REFUSED_BATCH_FORGOTTEN) && status == TORC_BUSY)
        status = TORC_OK;
    group->stall = status;
    if (status != TORC_OK)
        return false;
    struct consensus_event event = {
        .type = CONSENSUS_APPLIED, .now_ms = turn->now_ms, .u.applied_slot = group->batch_slot};
    store_batch_clear(group->batch);
    group->batch_slot = 0;
    status = consensus_step(group->consensus, &event);
    TORC_ASSERT(status == TORC_OK);
    group->type->applied(group->state, turn);
    return true;
}

static void apply_queue(struct shard_group *group, struct shard_turn *turn)
{
    if (shard_group_is_stalled(group) && !write_batch(group, turn))
        return;
    while (group->queue_count > 0) {
        group->trouble = fill_batch(group);
        if (group->trouble != TORC_OK || !write_batch(group, turn))
            return;
    }
}

/* ---- The turn
 * ------------------------------------------------------------------------------------- */

static void collect_load(struct shard_group *group, const struct consensus_ready *ready,
                         struct shard_turn *turn)
{
    if (ready->load_first == 0)
        return;
    turn->loads = base_array_reserve(group->allocator, turn->loads, &turn->loads_capacity,
                                     turn->load_count + 1, sizeof(*turn->loads));
    turn->loads[turn->load_count++] = (struct shard_load){
        .group = group->config.id, .first = ready->load_first, .last = ready->load_last};
}

void shard_group_turn(struct shard_group *group, struct shard_turn *turn)
{
    /* Applying makes reads safe and windows free, so what follows from it is taken in the same
     * turn. Each round either applies or ends. */
    for (;;) {
        if (group->trouble != TORC_OK)
            return;
        struct consensus_ready ready;
        consensus_ready(group->consensus, &ready);
        group->wake_at = ready.wake_at_ms;
        collect_records(group, &ready, turn);
        collect_messages(group, &ready, turn);
        collect_load(group, &ready, turn);
        queue_applies(group, &ready);
        for (uint32_t i = 0; i < ready.read_count; i++)
            group->type->read(group->state, &ready.reads[i], turn);
        size_t waiting = group->queue_count + shard_group_is_stalled(group);
        if (waiting == 0)
            return;
        apply_queue(group, turn);
        if (shard_group_is_stalled(group)) {
            uint64_t retry_at = turn->now_ms + GROUP_STALL_RETRY_MS;
            if (group->wake_at > retry_at)
                group->wake_at = retry_at;
            return;
        }
    }
}

uint64_t shard_group_wake_at(const struct shard_group *group)
{
    return group->trouble == TORC_OK ? group->wake_at : UINT64_MAX;
}

/* One that has stopped leads no more, whatever its consensus thinks, and knows of no leader. */
void shard_group_info(const struct shard_group *group, struct consensus_info *ret_info)
{
    consensus_info(group->consensus, ret_info);
    if (group->trouble == TORC_OK)
        return;
    ret_info->role = CONSENSUS_FOLLOWER;
    ret_info->serving = false;
    ret_info->leader = 0;
}

const struct consensus_counters *shard_group_counters(const struct shard_group *group)
{
    return consensus_counters(group->consensus);
}

uint32_t shard_group_id(const struct shard_group *group)
{
    return group->config.id;
}

uint64_t shard_group_replica(const struct shard_group *group)
{
    return group->config.replica;
}

uint32_t shard_group_node_of(const struct shard_group *group, uint64_t replica)
{
    for (uint32_t i = 0; i < group->config.member_count; i++) {
        if (group->members[i].replica == replica)
            return group->members[i].node;
    }
    return 0;
}

uint32_t shard_group_voters(const struct shard_group *group,
                            uint32_t ret_nodes[CONSENSUS_MEMBERS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->config.member_count; i++) {
        if (group->members[i].voter)
            ret_nodes[count++] = group->members[i].node;
    }
    return count;
}

enum torc_status shard_group_trouble(const struct shard_group *group)
{
    return group->trouble;
}

enum torc_status shard_group_stall(const struct shard_group *group)
{
    return group->stall;
}

bool shard_group_is_stalled(const struct shard_group *group)
{
    return group->stall != TORC_OK;
}

void shard_group_check(const struct shard_group *group)
{
    consensus_check(group->consensus);
    TORC_ASSERT(group->trouble != TORC_OK ||
                shard_group_is_stalled(group) == (group->batch_slot != 0));
    for (size_t i = 1; i < group->queue_count; i++) {
        const struct consensus_apply *apply = &group->queue[group->queue_first + i];
        TORC_ASSERT(apply->entry.slot == apply[-1].entry.slot + 1);
    }
}
