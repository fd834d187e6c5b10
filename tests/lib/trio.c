#include "tests/lib/trio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hlc.h"
#include "ring/token.h"
#include "shard/codec.h"
#include "store/sim_kv.h"
#include "wire/body.h"

enum { TRIO_GROUPS_MAX = 64, TRIO_VNODE_BITS = 6, TRIO_POOL_SIZE = 64 * 1024 * 1024 };

struct trio_record { /* What the disk holds. */
    struct store_record record;
    uint8_t *payload;
};

struct trio_host {
    struct shard_node *node; /* NULL while it is dead. */
    struct base_pool pool;
    struct store_kv *kv;
    struct wire_id storage;
    uint32_t incarnation;
    struct trio_record *disk;
    size_t disk_count, disk_capacity;
    uint64_t trimmed[TRIO_GROUPS_MAX]; /* Entries up to here are no longer on the disk. */
    uint64_t batch;
    size_t saved_count;
    uint64_t saved_batch;
    uint32_t saved_incarnation;
    bool isolated, holds;
    struct shard_log_batch *held[TRIO_HELD_MAX]; /* Not stored yet. */
    uint32_t held_count;
    const char *fatal;
    uint32_t eager; /* Turns one after the other that asked for the next at once. */
};

enum { TRIO_LOADS_MAX = 16, TRIO_EAGER_MAX = 50 };

struct trio_message {
    uint32_t from, to; /* Node ids; 0: the client. */
    uint64_t route;    /* Of the answer: the asker's node id, or TRIO_CLIENT_ROUTE. */
    bool on_dealer;    /* Comes back along the way on which the receiver asked. */
    uint8_t *bytes;
    size_t size;
};

struct trio {
    struct counting counting;
    const struct base_allocator *allocator;
    struct trio_host hosts[TRIO_NODES];
    uint32_t group_count;
    struct wire_id cluster;
    struct shard_map map;
    uint64_t now_ms;
    struct trio_message *queue;
    size_t queue_count, queue_capacity;
    uint64_t client_number, sequence;
    struct trio_answer answer;
    uint64_t answers;
    struct trio_result result;
    Torc__Wire__StatusReply *status;
    Torc__Wire__Welcome *welcome;
    enum wire_type lost;
    uint64_t sent[WIRE_TYPE_TRANSACTION + 1], sent_to_a_life[WIRE_TYPE_TRANSACTION + 1];
    uint64_t loads;
    size_t largest;
    struct shard_node_config config;
    struct wire_arena *arena;
};

enum { TRIO_WALL_OFFSET_MS = 1000000 };

static struct shard_timing timing(void)
{
    return (struct shard_timing){.heartbeat_interval_ms = 50,
                                 .election_timeout_ms = 300,
                                 .retransmit_timeout_ms = 200,
                                 .clock_drift_per_mille = 50,
                                 .window_entries_max = 256,
                                 .window_bytes_max = 4 << 20,
                                 .cache_bytes_max = 4096,
                                 .message_bytes_max = 1 << 20,
                                 .reads_max = 256};
}

/* ---- Disk
 * ----------------------------------------------------------------------------------------- */

static void disk_write(struct trio *trio, struct trio_host *host, struct shard_log_batch *log)
{
    for (size_t i = 0; i < log->record_count; i++) {
        host->disk = base_array_reserve(trio->allocator, host->disk, &host->disk_capacity,
                                        host->disk_count + 1, sizeof(*host->disk));
        struct trio_record *kept = &host->disk[host->disk_count++];
        *kept = (struct trio_record){.record = log->records[i]};
        if (log->records[i].payload.size == 0)
            continue;
        kept->payload = base_alloc(trio->allocator, log->records[i].payload.size);
        memcpy(kept->payload, log->records[i].payload.data, log->records[i].payload.size);
        kept->record.payload.data = kept->payload;
    }
    host->batch++;
}

static void disk_store(struct trio *trio, struct trio_host *host, struct shard_log_batch *log)
{
    disk_write(trio, host, log);
    shard_node_stored(host->node, log, host->batch, trio->now_ms);
}

void trio_disk_hold(struct trio *trio, uint32_t node, bool holds)
{
    struct trio_host *host = &trio->hosts[node - 1];
    host->holds = holds;
    for (uint32_t i = 0; i < host->held_count; i++)
        disk_store(trio, host, host->held[i]);
    host->held_count = 0;
}

static bool disk_keeps(const struct trio_host *host, const struct store_record *record)
{
    bool entry = record->kind == STORE_RECORD_ENTRY || record->kind == STORE_RECORD_LEARNED;
    return !entry || record->slot > host->trimmed[record->group];
}

uint64_t trio_trimmed(const struct trio *trio, uint32_t node, uint32_t group)
{
    return trio->hosts[node - 1].trimmed[group];
}

/* ---- Life
 * ----------------------------------------------------------------------------------------- */

static void disk_cut(struct trio *trio, struct trio_host *host, size_t count)
{
    TORC_ASSERT(host->node == NULL);
    while (host->disk_count > count) {
        struct trio_record *last = &host->disk[--host->disk_count];
        base_free(trio->allocator, last->payload, last->record.payload.size);
    }
}

void trio_disk_save(struct trio *trio, uint32_t id)
{
    struct trio_host *host = &trio->hosts[id - 1];
    host->saved_count = host->disk_count;
    host->saved_batch = host->batch;
    host->saved_incarnation = host->incarnation;
}

void trio_disk_restore(struct trio *trio, uint32_t id)
{
    struct trio_host *host = &trio->hosts[id - 1];
    disk_cut(trio, host, host->saved_count);
    host->batch = host->saved_batch;
    host->incarnation = host->saved_incarnation;
}

void trio_disk_empty(struct trio *trio, uint32_t id)
{
    disk_cut(trio, &trio->hosts[id - 1], 0);
}

void trio_disk_rot(struct trio *trio, uint32_t id, uint32_t group)
{
    struct trio_host *host = &trio->hosts[id - 1];
    TORC_ASSERT(host->node == NULL);
    for (size_t i = 0; i < host->disk_count; i++) {
        struct trio_record *kept = &host->disk[i];
        if (kept->record.kind != STORE_RECORD_REPLICA || kept->record.group != group)
            continue;
        base_free(trio->allocator, kept->payload, kept->record.payload.size);
        kept->payload = NULL;
        kept->record.payload = base_bytes_of(NULL, 0);
        kept->record.kind = STORE_RECORD_DAMAGE; /* As the log gives it back. */
    }
}

void trio_disk_damage(struct trio *trio, uint32_t id, uint32_t group)
{
    struct trio_host *host = &trio->hosts[id - 1];
    TORC_ASSERT(host->node == NULL);
    for (size_t i = host->disk_count; i-- > 0;) {
        struct store_record *record = &host->disk[i].record;
        if (record->kind != STORE_RECORD_ENTRY || record->group != group)
            continue;
        record->kind = STORE_RECORD_DAMAGE;
        return;
    }
}

struct base_bytes trio_disk_birth(struct trio *trio, uint32_t id, uint32_t group)
{
    const struct trio_host *host = &trio->hosts[id - 1];
    for (size_t i = 0; i < host->disk_count; i++) {
        const struct store_record *record = &host->disk[i].record;
        if (record->kind == STORE_RECORD_REPLICA && record->group == group)
            return record->payload;
    }
    return base_bytes_of(NULL, 0);
}

void trio_storage_change(struct trio *trio, uint32_t id)
{
    TORC_ASSERT(trio->hosts[id - 1].node == NULL);
    trio->hosts[id - 1].storage.bytes[0] ^= 0x80;
}

/* The newest record of each slot, from the first wanted without a hole. */
static void disk_load(struct trio *trio, struct trio_host *host, const struct shard_load *load)
{
    struct consensus_entry entries[64];
    uint32_t count = 0;
    for (uint64_t slot = load->first; slot <= load->last && count < 64; slot++) {
        const struct store_record *found = NULL;
        for (size_t i = 0; i < host->disk_count; i++) {
            const struct store_record *record = &host->disk[i].record;
            bool entry = record->kind == STORE_RECORD_ENTRY || record->kind == STORE_RECORD_LEARNED;
            if (entry && record->group == load->group && record->slot == slot &&
                disk_keeps(host, record))
                found = record;
        }
        if (found == NULL)
            break;
        entries[count] = (struct consensus_entry){.slot = slot,
                                                  .ballot = found->ballot,
                                                  .origin = found->origin,
                                                  .kind = (enum consensus_entry_kind)found->tag};
        if (entries[count].kind == CONSENSUS_VALUE)
            entries[count].value = base_buffer_copy(&host->pool, found->payload);
        count++;
    }
    trio->loads += count > 0;
    shard_node_loaded(host->node, load->group, entries, count, trio->now_ms);
    for (uint32_t i = 0; i < count; i++)
        base_buffer_unref(entries[i].value);
}

static struct shard_node_config config_usual(void)
{
    return (struct shard_node_config){.timing = timing(),
                                      .apply_bytes_max = 1 << 16,
                                      .request_time_max_ms = 60000,
                                      .records_bytes_max = 1 << 20,
                                      .credit = 128,
                                      .pending_max = 256,
                                      .read_batches_max = 64,
                                      .entries_max = 1,
                                      .entry_bytes_max = 1 << 20,
                                      .log_size_max = 1 << 30,
                                      .flush_bytes = 1 << 20,
                                      .greeting_timeout_ms = 500};
}

struct shard_node_config *trio_config(struct trio *trio)
{
    return &trio->config;
}

const char *trio_start_fails(struct trio *trio, uint32_t id)
{
    struct trio_host *host = &trio->hosts[id - 1];
    TORC_ASSERT(host->node == NULL);
    host->incarnation++;
    struct shard_recovery *recovery = shard_recovery_new(host->kv, &host->pool, trio->allocator);
    for (size_t i = 0; i < host->disk_count; i++)
        if (disk_keeps(host, &host->disk[i].record))
            shard_recovery_record(recovery, &host->disk[i].record);
    TORC_ASSERT(shard_recovery_status(recovery) == TORC_OK);
    struct shard_node_config config = trio->config;
    config.cluster = trio->cluster;
    config.storage = host->storage;
    config.id = id;
    config.incarnation = host->incarnation;
    config.recovered_batch = host->batch;
    config.seed = id * 7919 + host->incarnation;
    const char *text = "";
    enum torc_status status =
        shard_node_new(&config, recovery, host->kv, &host->pool, trio->allocator, trio->now_ms,
                       trio->now_ms + TRIO_WALL_OFFSET_MS, &text, &host->node);
    shard_recovery_free(recovery);
    return status == TORC_OK ? NULL : text;
}

void trio_start(struct trio *trio, uint32_t id)
{
    const char *text = trio_start_fails(trio, id);
    if (text != NULL)
        torc_assert_fail(text, __FILE__, __LINE__);
}

void trio_kill(struct trio *trio, uint32_t id)
{
    struct trio_host *host = &trio->hosts[id - 1];
    TORC_ASSERT(!host->holds);
    shard_node_free(host->node);
    host->node = NULL;
    store_sim_kv_crash(host->kv, 0);
}

struct trio *trio_new(uint32_t group_count)
{
    struct trio *trio = calloc(1, sizeof(*trio));
    TORC_ASSERT(trio != NULL);
    trio->allocator = counting_init(&trio->counting);
    TORC_ASSERT(group_count < TRIO_GROUPS_MAX);
    trio->group_count = group_count;
    trio->config = config_usual();
    trio->now_ms = 1000;
    trio->cluster.bytes[0] = 0xC1;
    trio->arena = wire_arena_new(trio->allocator, 1 << 24);
    shard_map_init(&trio->map, trio->allocator);
    for (uint32_t i = 0; i < TRIO_NODES; i++) {
        struct trio_host *host = &trio->hosts[i];
        base_pool_init(&host->pool, trio->allocator, TRIO_POOL_SIZE);
        host->kv = store_sim_kv_new(trio->allocator, i + 1);
        host->storage.bytes[0] = (uint8_t)(0x50 + i);
        trio_start(trio, i + 1);
    }
    return trio;
}

void trio_free(struct trio *trio)
{
    for (uint32_t i = 0; i < TRIO_NODES; i++) {
        struct trio_host *host = &trio->hosts[i];
        shard_node_free(host->node);
        store_kv_close(host->kv);
        for (size_t r = 0; r < host->disk_count; r++)
            base_free(trio->allocator, host->disk[r].payload, host->disk[r].record.payload.size);
        base_array_free(trio->allocator, host->disk, &host->disk_capacity, sizeof(*host->disk));
        base_pool_fini(&host->pool);
    }
    for (size_t i = 0; i < trio->queue_count; i++)
        base_free(trio->allocator, trio->queue[i].bytes, trio->queue[i].size);
    base_array_free(trio->allocator, trio->queue, &trio->queue_capacity, sizeof(*trio->queue));
    torc__wire__status_reply__free_unpacked(trio->status, NULL);
    torc__wire__welcome__free_unpacked(trio->welcome, NULL);
    shard_map_fini(&trio->map);
    wire_arena_free(trio->arena);
    counting_fini(&trio->counting);
    free(trio);
}

/* ---- Network
 * -------------------------------------------------------------------------------------- */

static void post(struct trio *trio, struct trio_message message, struct base_bytes bytes)
{
    trio->queue = base_array_reserve(trio->allocator, trio->queue, &trio->queue_capacity,
                                     trio->queue_count + 1, sizeof(*trio->queue));
    message.bytes = base_alloc(trio->allocator, bytes.size);
    message.size = bytes.size;
    memcpy(message.bytes, bytes.data, bytes.size);
    trio->queue[trio->queue_count++] = message;
}

static void client_result(struct trio *trio, const struct wire_envelope *envelope)
{
    const ProtobufCMessage *body;
    TORC_ASSERT(wire_body_read(trio->arena, envelope, &body) == TORC_OK);
    const Torc__Wire__Result *result = (const Torc__Wire__Result *)body;
    trio->result = (struct trio_result){.count = trio->result.count + 1,
                                        .id = result->id,
                                        .status = (enum torc_status)result->status,
                                        .leader_node = result->leader_node};
}

static void client_reply(struct trio *trio, const struct wire_envelope *envelope)
{
    const ProtobufCMessage *body;
    TORC_ASSERT(wire_body_read(trio->arena, envelope, &body) == TORC_OK);
    const Torc__Wire__Reply *reply = (const Torc__Wire__Reply *)body;
    struct base_bytes rest = envelope->payload;
    for (uint32_t i = 0; i < reply->answer_count; i++) {
        struct wire_answer answer;
        TORC_ASSERT(wire_answer_read(rest, &answer) == TORC_OK);
        rest = base_bytes_of(rest.data + answer.encoded.size, rest.size - answer.encoded.size);
        trio->answer = (struct trio_answer){.status = answer.status,
                                            .number = answer.number,
                                            .detail = answer.detail,
                                            .leader_node = reply->leader_node};
        struct wire_result result;
        size_t cursor = 0;
        if (wire_result_next(&answer, &cursor, &result)) {
            trio->answer.kind = result.kind;
            trio->answer.value_number = result.number;
            TORC_ASSERT(result.bytes.size < sizeof(trio->answer.bytes));
            if (result.bytes.size > 0)
                memcpy(trio->answer.bytes, result.bytes.data, result.bytes.size);
            trio->answer.size = result.bytes.size;
        }
        trio->answers++;
    }
    if (reply->answer_count == 0) {
        trio->answer =
            (struct trio_answer){.status = WIRE_NOT_LEADER, .leader_node = reply->leader_node};
        trio->answers++;
    }
}

static void client_receive(struct trio *trio, const struct wire_envelope *envelope)
{
    struct base_bytes body = envelope->body;
    if (envelope->type == WIRE_TYPE_REPLY) {
        client_reply(trio, envelope);
    } else if (envelope->type == WIRE_TYPE_RESULT) {
        client_result(trio, envelope);
    } else if (envelope->type == WIRE_TYPE_STATUS) {
        torc__wire__status_reply__free_unpacked(trio->status, NULL);
        trio->status = torc__wire__status_reply__unpack(NULL, body.size, body.data);
    } else if (envelope->type == WIRE_TYPE_WELCOME) {
        torc__wire__welcome__free_unpacked(trio->welcome, NULL);
        trio->welcome = torc__wire__welcome__unpack(NULL, body.size, body.data);
    }
}

static void deliver(struct trio *trio, const struct trio_message *message)
{
    struct wire_envelope envelope;
    TORC_ASSERT(wire_envelope_read(base_bytes_of(message->bytes, message->size), &envelope) ==
                TORC_OK);
    if (message->from != 0 && message->to != 0) {
        trio->sent[envelope.type]++;
        trio->largest = message->size > trio->largest ? message->size : trio->largest;
        trio->sent_to_a_life[envelope.type] += envelope.to_incarnation != 0;
    }
    if (envelope.type == trio->lost && message->from != 0 && message->to != 0)
        return;
    if (message->to == 0) {
        client_receive(trio, &envelope);
        return;
    }
    struct trio_host *to = &trio->hosts[message->to - 1];
    bool cut = message->from != 0 && (to->isolated || trio->hosts[message->from - 1].isolated);
    if (to->node == NULL || cut)
        return;
    enum torc_status status =
        shard_node_receive(to->node, message->route, message->on_dealer, &envelope, trio->now_ms);
    TORC_ASSERT(status == TORC_OK || status == TORC_STALE || status == TORC_FOREIGN);
}

static void turn(struct trio *trio, uint32_t id)
{
    struct trio_host *host = &trio->hosts[id - 1];
    if (host->node == NULL)
        return;
    struct shard_node_ready ready;
    shard_node_turn(host->node, trio->now_ms, trio->now_ms + TRIO_WALL_OFFSET_MS, &ready);
    if (ready.fatal != NULL) {
        host->fatal = ready.fatal;
        trio_kill(trio, id);
        return;
    }
    for (size_t i = 0; i < ready.send_count; i++) {
        const struct shard_send *send = &ready.sends[i];
        bool back = send->node == 0;
        uint32_t to =
            !back ? send->node : (send->route == TRIO_CLIENT_ROUTE ? 0 : (uint32_t)send->route);
        post(trio, (struct trio_message){.from = id, .to = to, .route = id, .on_dealer = back},
             send->message);
    }
    /* A node that never sleeps has forgotten to take a time forward. */
    host->eager = ready.wake_at_ms <= trio->now_ms ? host->eager + 1 : 0;
    TORC_ASSERT(host->eager < TRIO_EAGER_MAX);
    struct shard_load loads[TRIO_LOADS_MAX];
    size_t load_count = ready.load_count;
    TORC_ASSERT(load_count <= TRIO_LOADS_MAX);
    for (size_t i = 0; i < load_count; i++)
        loads[i] = ready.loads[i];
    for (size_t i = 0; i < ready.trim_count; i++)
        host->trimmed[ready.trims[i].group] = ready.trims[i].slot;
    if (ready.log != NULL && host->holds) {
        TORC_ASSERT(host->held_count < TRIO_HELD_MAX);
        host->held[host->held_count++] = ready.log;
    } else if (ready.log != NULL) {
        disk_store(trio, host, ready.log);
    }
    for (size_t i = 0; i < load_count; i++)
        disk_load(trio, host, &loads[i]);
    shard_node_check(host->node);
}

void trio_run(struct trio *trio, uint64_t ms)
{
    for (uint64_t step = 0; step < ms; step++) {
        trio->now_ms++;
        for (uint32_t id = 1; id <= TRIO_NODES; id++)
            turn(trio, id);
        size_t count = trio->queue_count;
        for (size_t i = 0; i < count; i++)
            deliver(trio, &trio->queue[i]);
        for (size_t i = 0; i < count; i++)
            base_free(trio->allocator, trio->queue[i].bytes, trio->queue[i].size);
        trio->queue_count -= count;
        if (trio->queue_count > 0)
            memmove(trio->queue, trio->queue + count, trio->queue_count * sizeof(*trio->queue));
    }
}

void trio_isolate(struct trio *trio, uint32_t node, bool cut)
{
    trio->hosts[node - 1].isolated = cut;
}

/* ---- The client
 * ----------------------------------------------------------------------------------- */

static void client_send(struct trio *trio, uint32_t to, enum wire_type type,
                        const ProtobufCMessage *body, struct base_bytes payload)
{
    uint8_t packed[65536], message[131072];
    size_t size = protobuf_c_message_pack(body, packed);
    TORC_ASSERT(size <= sizeof(packed));
    struct wire_envelope envelope = {.type = type,
                                     .cluster = trio->cluster,
                                     .incarnation = 1,
                                     .number = ++trio->client_number,
                                     .wall_ms = trio->now_ms,
                                     .body = base_bytes_of(packed, size),
                                     .payload = payload};
    TORC_ASSERT(wire_envelope_size(&envelope) <= sizeof(message));
    wire_envelope_write(&envelope, message);
    post(trio, (struct trio_message){.from = 0, .to = to, .route = TRIO_CLIENT_ROUTE},
         base_bytes_of(message, wire_envelope_size(&envelope)));
}

void trio_send(struct trio *trio, uint32_t node, enum wire_type type, const ProtobufCMessage *body)
{
    client_send(trio, node, type, body, base_bytes_of(NULL, 0));
}

enum torc_status trio_receive(struct trio *trio, uint32_t node, bool on_dealer,
                              struct wire_envelope envelope)
{
    static const struct wire_id none;
    if (memcmp(&envelope.cluster, &none, sizeof(none)) == 0)
        envelope.cluster = trio->cluster;
    if (envelope.number == 0)
        envelope.number = ++trio->client_number;
    return shard_node_receive(trio->hosts[node - 1].node, on_dealer ? 0 : TRIO_CLIENT_ROUTE,
                              on_dealer, &envelope, trio->now_ms);
}

const struct trio_result *trio_result(const struct trio *trio)
{
    return &trio->result;
}

const Torc__Wire__StatusReply *trio_status(struct trio *trio, uint32_t node)
{
    torc__wire__status_reply__free_unpacked(trio->status, NULL);
    trio->status = NULL;
    Torc__Wire__StatusRequest request = TORC__WIRE__STATUS_REQUEST__INIT;
    request.id = ++trio->client_number;
    trio_send(trio, node, WIRE_TYPE_STATUS_REQUEST, &request.base);
    trio_run(trio, 5);
    TORC_ASSERT(trio->status == NULL || trio->status->id == request.id);
    return trio->status;
}

const Torc__Wire__Welcome *trio_welcome(const struct trio *trio)
{
    return trio->welcome;
}

const Torc__Wire__Welcome *trio_hello(struct trio *trio, uint32_t node,
                                      const Torc__Wire__Hello *hello)
{
    torc__wire__welcome__free_unpacked(trio->welcome, NULL);
    trio->welcome = NULL;
    trio_send(trio, node, WIRE_TYPE_HELLO, &hello->base);
    trio_run(trio, 5);
    return trio->welcome;
}

void trio_lose(struct trio *trio, enum wire_type type)
{
    trio->lost = type;
}

/* Once: the nodes, one replica of every group on each, vnodes dealt out. */
static void make_map(struct trio *trio)
{
    struct shard_map *map = &trio->map;
    if (map->version > 0)
        return;
    shard_map_reserve(map, TRIO_NODES, trio->group_count + 1, TRIO_VNODE_BITS);
    map->cluster = trio->cluster;
    map->version = 1;
    map->feature_level = 1;
    map->read_mode = CONSENSUS_READ_QUORUM;
    map->limits = (struct wire_limits){
        .key_size_max = 4096, .value_size_max = 65536, .request_size_max = 131072};
    for (uint32_t i = 0; i < TRIO_NODES; i++) {
        map->nodes[i].id = i + 1;
        map->nodes[i].storage = trio->hosts[i].storage;
        snprintf(map->nodes[i].address, SHARD_ADDRESS_SIZE, "tcp://127.0.0.1:%u", 7001 + i);
    }
    map->next_replica = 1;
    for (uint32_t g = 0; g <= trio->group_count; g++) {
        map->groups[g].id = g;
        map->groups[g].consensus = SHARD_CONSENSUS_PAXOS;
        map->groups[g].replica_count = TRIO_NODES;
        for (uint32_t i = 0; i < TRIO_NODES; i++)
            map->groups[g].replicas[i] = (struct shard_map_replica){
                .id = map->next_replica++, .node = i + 1, .voter = true, .used = g == 0};
    }
    for (uint32_t vnode = 0; vnode < 1u << TRIO_VNODE_BITS; vnode++) {
        map->owners[vnode] = 1 + vnode % trio->group_count;
        map->epochs[vnode] = 1;
    }
    TORC_ASSERT(shard_map_flaw(map) == NULL);
}

void trio_init_with(struct trio *trio, const struct shard_map *map)
{
    struct base_bytes encoded;
    shard_codec_map_encode(map, trio->allocator, &encoded);
    Torc__Wire__Map *message = torc__wire__map__unpack(NULL, encoded.size, encoded.data);
    Torc__Wire__Init init = TORC__WIRE__INIT__INIT;
    init.map = message;
    for (uint32_t id = 1; id <= TRIO_NODES; id++)
        client_send(trio, id, WIRE_TYPE_INIT, &init.base, base_bytes_of(NULL, 0));
    torc__wire__map__free_unpacked(message, NULL);
    base_free(trio->allocator, (void *)(uintptr_t)encoded.data, encoded.size);
}

void trio_init(struct trio *trio)
{
    make_map(trio);
    trio_init_with(trio, &trio->map);
}

void trio_init_other(struct trio *trio)
{
    struct shard_map other;
    shard_map_init(&other, trio->allocator);
    shard_map_copy(&other, &trio->map);
    other.epochs[0]++;
    trio_init_with(trio, &other);
    shard_map_fini(&other);
}

void trio_drain(struct trio *trio, uint32_t node)
{
    shard_node_drain(trio->hosts[node - 1].node, trio->now_ms);
}

const struct shard_map *trio_map(struct trio *trio)
{
    make_map(trio);
    return &trio->map;
}

const char *trio_fatal(struct trio *trio, uint32_t node)
{
    return trio->hosts[node - 1].fatal;
}

uint64_t trio_sent(const struct trio *trio, enum wire_type type)
{
    return trio->sent[type];
}

uint64_t trio_sent_to_a_life(const struct trio *trio, enum wire_type type)
{
    return trio->sent_to_a_life[type];
}

size_t trio_largest(const struct trio *trio)
{
    return trio->largest;
}

size_t trio_memory(const struct trio *trio)
{
    return trio->counting.bytes;
}

uint64_t trio_loads(const struct trio *trio)
{
    return trio->loads;
}

struct base_pool *trio_pool(struct trio *trio, uint32_t node)
{
    return &trio->hosts[node - 1].pool;
}

struct store_kv *trio_kv(struct trio *trio, uint32_t node)
{
    return trio->hosts[node - 1].kv;
}

struct shard_node *trio_node(struct trio *trio, uint32_t node)
{
    return trio->hosts[node - 1].node;
}

uint32_t trio_group_of(struct trio *trio, const char *key)
{
    uint64_t token = ring_token(base_bytes_text(key), TRIO_VNODE_BITS);
    return trio->map.owners[ring_vnode(token, TRIO_VNODE_BITS)];
}

/* To the group that owns the key of the first operation. */
static bool request_ask(struct trio *trio, uint32_t node, uint64_t number,
                        const struct wire_op *ops, uint16_t op_count, uint64_t last_time,
                        uint8_t flags, uint64_t ms, struct trio_answer *ret_answer)
{
    static uint8_t request[1 << 16];
    size_t size = wire_request_begin(request, sizeof(request), (struct wire_client_id){7, 7},
                                     number, last_time, flags);
    for (uint16_t i = 0; i < op_count; i++)
        size += wire_op_write(request + size, sizeof(request) - size, &ops[i]);
    wire_request_end(request, size, op_count);
    char key[256];
    memcpy(key, ops->key.data, ops->key.size);
    key[ops->key.size] = '\0';
    Torc__Wire__Request body = TORC__WIRE__REQUEST__INIT;
    body.group = trio_group_of(trio, key);
    body.request_count = 1;
    body.sequence = ++trio->sequence;
    uint64_t before = trio->answers;
    client_send(trio, node, WIRE_TYPE_REQUEST, &body.base, base_bytes_of(request, size));
    for (uint64_t step = 0; step < ms && trio->answers == before; step++)
        trio_run(trio, 1);
    *ret_answer = trio->answer;
    return trio->answers != before;
}

bool trio_request(struct trio *trio, uint32_t node, uint64_t number, const struct wire_op *op,
                  uint64_t ms, struct trio_answer *ret_answer)
{
    return trio_request_ops(trio, node, number, op, 1, ms, ret_answer);
}

bool trio_request_ops(struct trio *trio, uint32_t node, uint64_t number, const struct wire_op *ops,
                      uint16_t op_count, uint64_t ms, struct trio_answer *ret_answer)
{
    uint64_t last_time = base_hlc_from_ms(trio->now_ms + TRIO_WALL_OFFSET_MS + 30000);
    return request_ask(trio, node, number, ops, op_count, last_time, 0 /* flags */, ms, ret_answer);
}

bool trio_request_stale(struct trio *trio, uint32_t node, uint64_t number, const struct wire_op *op,
                        uint64_t age_ms, uint64_t ms, struct trio_answer *ret_answer)
{
    return request_ask(trio, node, number, op, 1, age_ms, WIRE_REQUEST_STALE, ms, ret_answer);
}

/* ---- Looking
 * -------------------------------------------------------------------------------------- */

uint32_t trio_leader(struct trio *trio, uint32_t group)
{
    for (uint32_t id = 1; id <= TRIO_NODES; id++) {
        struct consensus_info info;
        if (trio->hosts[id - 1].node != NULL &&
            shard_node_replica_info(trio->hosts[id - 1].node, group, &info) && info.serving)
            return id;
    }
    return 0;
}

bool trio_run_until_serving(struct trio *trio, uint64_t ms)
{
    for (uint64_t step = 0; step < ms; step++) {
        trio_run(trio, 1);
        uint32_t serving = 0;
        for (uint32_t group = 0; group <= trio->group_count; group++)
            serving += trio_leader(trio, group) != 0;
        if (serving == trio->group_count + 1) {
            trio_run(trio, 20); /* A new group's first entry. */
            return true;
        }
    }
    return false;
}
