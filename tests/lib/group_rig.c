#include "tests/lib/group_rig.h"

#include <string.h>

#include "base/assert.h"
#include "paxos/paxos.h"

enum { RIG_ELECTION_MS = 300 };

static const struct consensus_member members[] = {
    {.replica = 1, .node = 1, .voter = true},
    {.replica = 2, .node = 2, .voter = true},
    {.replica = 3, .node = 3, .voter = true},
};

static const struct shard_timing timing = {.heartbeat_interval_ms = 50,
                                           .election_timeout_ms = RIG_ELECTION_MS,
                                           .retransmit_timeout_ms = 100,
                                           .window_entries_max = RIG_WINDOW,
                                           .window_bytes_max = 1 << 20,
                                           .cache_bytes_max = 1 << 20,
                                           .message_bytes_max = 1 << 20,
                                           .reads_max = 16};

static struct shard_group_config config_of(const struct rig *rig, uint32_t id, uint32_t replica)
{
    struct shard_timing leased = timing;
    leased.lease_ms = rig->lease_ms;
    return (struct shard_group_config){.id = id,
                                       .replica = replica,
                                       .node = replica,
                                       .incarnation = 1,
                                       .members = members,
                                       .member_count = 3,
                                       .timing = leased,
                                       .apply_bytes_max = 1 << 16,
                                       .seed = replica};
}

static struct shard_codec_outbox *outbox(void *context, uint32_t node)
{
    struct rig *rig = context;
    return node >= 2 && node <= 3 ? rig->outboxes[node - 2] : NULL;
}

void rig_init(struct rig *rig, size_t pool_size, uint32_t lease_ms)
{
    *rig = (struct rig){.now_ms = 1000, .lease_ms = lease_ms};
    rig->allocator = counting_init(&rig->counting);
    base_pool_init(&rig->pool, rig->allocator, pool_size);
    rig->kv = store_sim_kv_new(rig->allocator, 1);
    rig->turn = (struct shard_turn){.allocator = rig->allocator,
                                    .pool = &rig->pool,
                                    .now_ms = rig->now_ms,
                                    .log = &rig->log,
                                    .outbox = outbox,
                                    .context = rig};
    for (uint32_t i = 0; i < RIG_PEERS; i++) {
        rig->outboxes[i] = shard_codec_outbox_new(rig->allocator);
        struct shard_group_config config = config_of(rig, 0, i + 2);
        struct consensus_config consensus;
        shard_group_consensus_config(&config, &consensus);
        struct consensus_boot boot = {0};
        rig->peers[i] = consensus_new(&paxos_type, rig->allocator, &consensus, &boot, rig->now_ms);
    }
}

void rig_start(struct rig *rig, uint32_t id, const struct shard_state_type *type, void *state)
{
    struct shard_group_config config = config_of(rig, id, 1);
    struct consensus_boot boot = {0};
    TORC_ASSERT(shard_group_new(&config, &boot, rig->kv, type, state, rig->allocator, rig->now_ms,
                                &rig->group) == TORC_OK);
}

void rig_stop(struct rig *rig)
{
    shard_group_free(rig->group);
    rig->group = NULL;
}

void rig_fini(struct rig *rig)
{
    TORC_ASSERT(rig->group == NULL);
    for (uint32_t i = 0; i < RIG_PEERS; i++) {
        consensus_free(rig->peers[i]);
        shard_codec_outbox_free(rig->outboxes[i]);
    }
    shard_log_batch_free(&rig->log, rig->allocator);
    shard_replies_free(&rig->turn.replies, rig->allocator);
    base_array_free(rig->allocator, rig->turn.loads, &rig->turn.loads_capacity,
                    sizeof(*rig->turn.loads));
    store_kv_close(rig->kv);
    base_pool_fini(&rig->pool);
    counting_fini(&rig->counting);
}

/* ---- Messages
 * ------------------------------------------------------------------------------------- */

/* Into a machine; what it says of the message is its business. */
static void receive(struct rig *rig, uint64_t to, const struct consensus_message *message)
{
    struct consensus_event event = {
        .type = CONSENSUS_RECEIVE, .now_ms = rig->now_ms, .u.receive = message};
    enum torc_status status =
        to == 1 ? shard_group_step(rig->group, &event) : consensus_step(rig->peers[to - 2], &event);
    TORC_ASSERT(status != TORC_MALFORMED);
}

static void deliver_outbox(struct rig *rig, uint32_t peer)
{
    struct base_bytes body = shard_codec_outbox_body(rig->outboxes[peer]);
    struct base_bytes payload = shard_codec_outbox_payload(rig->outboxes[peer]);
    Torc__Wire__Consensus *message = torc__wire__consensus__unpack(NULL, body.size, body.data);
    TORC_ASSERT(message != NULL);
    size_t payload_at = 0;
    for (size_t i = 0; i < message->n_messages && !rig->cut; i++) {
        struct consensus_entry entries[RIG_WINDOW * 4];
        struct consensus_message read;
        TORC_ASSERT(message->messages[i]->n_entries <= RIG_WINDOW * 4);
        TORC_ASSERT(shard_codec_message_read(message->messages[i], payload, &payload_at, &rig->pool,
                                             entries, &read) == TORC_OK);
        receive(rig, read.to, &read);
        shard_codec_release(&read);
    }
    torc__wire__consensus__free_unpacked(message, NULL);
    shard_codec_outbox_clear(rig->outboxes[peer]);
}

static void step_peer(struct rig *rig, uint32_t peer, enum consensus_event_type type,
                      uint64_t value)
{
    struct consensus_event event = {.type = type, .now_ms = rig->now_ms};
    if (type == CONSENSUS_PERSISTED)
        event.u.persisted_seq = value;
    else if (type == CONSENSUS_APPLIED)
        event.u.applied_slot = value;
    TORC_ASSERT(consensus_step(rig->peers[peer], &event) == TORC_OK);
}

static void turn_peer(struct rig *rig, uint32_t peer)
{
    if (rig->peers_alive)
        step_peer(rig, peer, CONSENSUS_TICK, 0);
    struct consensus_ready ready;
    consensus_ready(rig->peers[peer], &ready);
    for (uint32_t i = 0; i < ready.message_count; i++) {
        if (ready.messages[i].to != 1 || !rig->cut)
            receive(rig, ready.messages[i].to, &ready.messages[i]);
    }
    uint64_t seq = ready.persist_seq;
    uint64_t applied = ready.apply_count == 0 ? 0 : ready.apply[ready.apply_count - 1].entry.slot;
    if (seq != 0)
        step_peer(rig, peer, CONSENSUS_PERSISTED, seq);
    if (applied != 0)
        step_peer(rig, peer, CONSENSUS_APPLIED, applied);
}

/* ---- The turn
 * ------------------------------------------------------------------------------------- */

static void take_answers(struct rig *rig)
{
    struct shard_replies *replies = &rig->turn.replies;
    rig->reply_count += replies->count;
    for (size_t i = 0; i < replies->count; i++) {
        struct base_bytes rest =
            base_bytes_of(replies->list[i].answers, replies->list[i].answers_size);
        for (uint32_t a = 0; a < replies->list[i].answer_count; a++) {
            struct wire_answer answer;
            TORC_ASSERT(wire_answer_read(rest, &answer) == TORC_OK);
            rest = base_bytes_of(rest.data + answer.encoded.size, rest.size - answer.encoded.size);
            TORC_ASSERT(rig->answer_count < RIG_ANSWERS_MAX);
            struct rig_answer *kept = &rig->answers[rig->answer_count++];
            *kept = (struct rig_answer){.route = replies->list[i].route,
                                        .number = answer.number,
                                        .detail = answer.detail,
                                        .status = answer.status};
            struct wire_result result;
            size_t cursor = 0;
            if (wire_result_next(&answer, &cursor, &result)) {
                kept->kind = result.kind;
                kept->value = result.number;
            }
        }
        TORC_ASSERT(rest.size == 0);
    }
    shard_replies_clear(replies, rig->allocator);
}

static void take_log(struct rig *rig)
{
    rig->records += rig->log.record_count;
    for (size_t i = 0; i < rig->log.record_count; i++) {
        if (rig->log.records[i].kind == STORE_RECORD_MARK)
            rig->mark = rig->log.records[i].slot;
    }
    for (size_t i = 0; i < rig->log.part_count; i++) {
        struct consensus_event event = {.type = CONSENSUS_PERSISTED,
                                        .now_ms = rig->now_ms,
                                        .u.persisted_seq = rig->log.parts[i].persist_seq};
        enum torc_status status = shard_group_step(rig->group, &event);
        TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
    }
    shard_log_batch_clear(&rig->log);
}

void rig_turn(struct rig *rig)
{
    rig->turn.now_ms = ++rig->now_ms;
    shard_clocks_heard(&rig->clocks, 1, rig->now_ms + RIG_WALL_MS, rig->now_ms);
    struct consensus_event tick = {.type = CONSENSUS_TICK, .now_ms = rig->now_ms};
    enum torc_status status = shard_group_step(rig->group, &tick);
    TORC_ASSERT(status == TORC_OK || status == TORC_DAMAGED);
    if (rig->lead != NULL)
        rig->lead(rig);
    shard_group_turn(rig->group, &rig->turn);
    take_answers(rig);
    take_log(rig);
    for (uint32_t i = 0; i < RIG_PEERS; i++)
        deliver_outbox(rig, i);
    for (uint32_t i = 0; i < RIG_PEERS; i++)
        turn_peer(rig, i);
    shard_group_check(rig->group);
}

void rig_run(struct rig *rig, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++)
        rig_turn(rig);
}

void rig_lead(struct rig *rig)
{
    struct consensus_info info = {0};
    for (uint32_t ms = 0; ms < 10 * RIG_ELECTION_MS && !info.serving; ms++) {
        rig_turn(rig);
        shard_group_info(rig->group, &info);
    }
    TORC_ASSERT(info.serving);
}

void rig_depose(struct rig *rig)
{
    struct consensus_info info = {.role = CONSENSUS_LEADER};
    rig->cut = true;
    for (uint32_t ms = 0; ms < 3 * RIG_ELECTION_MS && info.role == CONSENSUS_LEADER; ms++) {
        rig_turn(rig);
        shard_group_info(rig->group, &info);
    }
    TORC_ASSERT(info.role != CONSENSUS_LEADER);
}

const struct rig_answer *rig_answer(const struct rig *rig, uint64_t number)
{
    const struct rig_answer *found = NULL;
    for (size_t i = 0; i < rig->answer_count; i++) {
        if (rig->answers[i].number != number)
            continue;
        TORC_ASSERT(found == NULL);
        found = &rig->answers[i];
    }
    return found;
}
