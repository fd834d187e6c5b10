#include "shard/codec.h"

#include <string.h>

#include "base/assert.h"

/* ---- The map
 * ------------------------------------------------------------------------------------- */

/* The pieces that a map's message points to, in one place so that they are freed in one. */
struct map_message {
    Torc__Wire__Map map;
    Torc__Wire__Ring ring;
    Torc__Wire__Limits limits;
    Torc__Wire__Node *nodes, **node_list;
    Torc__Wire__Group *groups, **group_list;
    Torc__Wire__Replica *replicas, **replica_list;
};

static ProtobufCBinaryData id_bytes(const struct wire_id *id)
{
    return (ProtobufCBinaryData){.len = WIRE_ID_SIZE, .data = (uint8_t *)(uintptr_t)id->bytes};
}

static Torc__Wire__Limits limits_message(const struct wire_limits *limits)
{
    Torc__Wire__Limits message = TORC__WIRE__LIMITS__INIT;
    message.key_size_max = limits->key_size_max;
    message.value_size_max = limits->value_size_max;
    message.request_size_max = limits->request_size_max;
    return message;
}

/* Fills `group` and the replica_count replicas that it is given room for. */
static void group_message(const struct shard_map_group *from, Torc__Wire__Group *group,
                          Torc__Wire__Replica *replicas, Torc__Wire__Replica **list)
{
    torc__wire__group__init(group);
    group->id = from->id;
    group->consensus = from->consensus;
    group->n_replicas = from->replica_count;
    group->replicas = list;
    for (uint32_t i = 0; i < from->replica_count; i++) {
        torc__wire__replica__init(&replicas[i]);
        replicas[i].id = from->replicas[i].id;
        replicas[i].node = from->replicas[i].node;
        replicas[i].voter = from->replicas[i].voter;
        replicas[i].used = from->replicas[i].used;
        replicas[i].used_by = from->replicas[i].used_by;
        list[i] = &replicas[i];
    }
}

static void map_message_build(const struct shard_map *map, const struct base_allocator *allocator,
                              struct map_message *message)
{
    torc__wire__map__init(&message->map);
    torc__wire__ring__init(&message->ring);
    message->limits = limits_message(&map->limits);
    message->nodes = base_alloc(allocator, map->node_count * sizeof(*message->nodes));
    message->node_list = base_alloc(allocator, map->node_count * sizeof(*message->node_list));
    for (uint32_t i = 0; i < map->node_count; i++) {
        Torc__Wire__Node *node = message->node_list[i] = &message->nodes[i];
        torc__wire__node__init(node);
        node->id = map->nodes[i].id;
        node->storage = id_bytes(&map->nodes[i].storage);
        node->address = map->nodes[i].address;
    }
    message->groups = base_alloc(allocator, map->group_count * sizeof(*message->groups));
    message->group_list = base_alloc(allocator, map->group_count * sizeof(*message->group_list));
    size_t replicas_max = (size_t)map->group_count * CONSENSUS_MEMBERS_MAX;
    message->replicas = base_alloc(allocator, replicas_max * sizeof(*message->replicas));
    message->replica_list = base_alloc(allocator, replicas_max * sizeof(*message->replica_list));
    for (uint32_t i = 0; i < map->group_count; i++) {
        message->group_list[i] = &message->groups[i];
        group_message(&map->groups[i], &message->groups[i],
                      &message->replicas[i * CONSENSUS_MEMBERS_MAX],
                      &message->replica_list[i * CONSENSUS_MEMBERS_MAX]);
    }
    message->ring.vnode_bits = map->vnode_bits;
    message->ring.n_owners = message->ring.n_epochs = (size_t)1 << map->vnode_bits;
    message->ring.owners = map->owners;
    message->ring.epochs = map->epochs;
    message->map.cluster = id_bytes(&map->cluster);
    message->map.version = map->version;
    message->map.feature_level = map->feature_level;
    message->map.n_nodes = map->node_count;
    message->map.nodes = message->node_list;
    message->map.n_groups = map->group_count;
    message->map.groups = message->group_list;
    message->map.ring = &message->ring;
    message->map.limits = &message->limits;
    message->map.next_replica = map->next_replica;
    message->map.read_mode = map->read_mode;
    message->map.lease_ms = map->lease_ms;
}

static void map_message_free(const struct shard_map *map, const struct base_allocator *allocator,
                             struct map_message *message)
{
    size_t replicas_max = (size_t)map->group_count * CONSENSUS_MEMBERS_MAX;
    base_free(allocator, message->nodes, map->node_count * sizeof(*message->nodes));
    base_free(allocator, message->node_list, map->node_count * sizeof(*message->node_list));
    base_free(allocator, message->groups, map->group_count * sizeof(*message->groups));
    base_free(allocator, message->group_list, map->group_count * sizeof(*message->group_list));
    base_free(allocator, message->replicas, replicas_max * sizeof(*message->replicas));
    base_free(allocator, message->replica_list, replicas_max * sizeof(*message->replica_list));
}

void shard_codec_map_encode(const struct shard_map *map, const struct base_allocator *allocator,
                            struct base_bytes *ret_bytes)
{
    TORC_ASSERT(map->version > 0);
    struct map_message message;
    map_message_build(map, allocator, &message);
    size_t size = torc__wire__map__get_packed_size(&message.map);
    uint8_t *bytes = base_alloc(allocator, size);
    torc__wire__map__pack(&message.map, bytes);
    map_message_free(map, allocator, &message);
    *ret_bytes = base_bytes_of(bytes, size);
}

static bool id_read(ProtobufCBinaryData bytes, struct wire_id *ret_id)
{
    if (bytes.len != WIRE_ID_SIZE)
        return false;
    memcpy(ret_id->bytes, bytes.data, WIRE_ID_SIZE);
    return true;
}

static bool node_read(const Torc__Wire__Node *message, struct shard_map_node *ret_node)
{
    size_t address_size = strlen(message->address);
    if (address_size == 0 || address_size >= SHARD_ADDRESS_SIZE)
        return false;
    ret_node->id = message->id;
    memcpy(ret_node->address, message->address, address_size + 1);
    return id_read(message->storage, &ret_node->storage);
}

static bool group_read(const Torc__Wire__Group *message, struct shard_map_group *ret_group)
{
    if (message->n_replicas > CONSENSUS_MEMBERS_MAX)
        return false;
    ret_group->id = message->id;
    ret_group->consensus = message->consensus;
    ret_group->replica_count = (uint32_t)message->n_replicas;
    for (uint32_t i = 0; i < ret_group->replica_count; i++) {
        const Torc__Wire__Replica *replica = message->replicas[i];
        ret_group->replicas[i] = (struct shard_map_replica){.id = replica->id,
                                                            .node = replica->node,
                                                            .voter = replica->voter,
                                                            .used = replica->used,
                                                            .used_by = replica->used_by};
    }
    return true;
}

static struct wire_limits limits_read(const Torc__Wire__Limits *message)
{
    return (struct wire_limits){.key_size_max = message->key_size_max,
                                .value_size_max = message->value_size_max,
                                .request_size_max = message->request_size_max};
}

static bool map_sizes_fit(const Torc__Wire__Map *message)
{
    const Torc__Wire__Ring *ring = message->ring;
    return message->n_nodes > 0 && message->n_nodes <= SHARD_NODES_MAX && message->n_groups > 0 &&
           message->n_groups <= SHARD_GROUPS_MAX && ring != NULL && message->limits != NULL &&
           ring->vnode_bits <= SHARD_VNODE_BITS_MAX &&
           ring->n_owners == (size_t)1 << ring->vnode_bits && ring->n_epochs == ring->n_owners;
}

static bool map_read(const Torc__Wire__Map *message, struct shard_map *ret_map)
{
    if (!map_sizes_fit(message) || !id_read(message->cluster, &ret_map->cluster))
        return false;
    shard_map_reserve(ret_map, (uint32_t)message->n_nodes, (uint32_t)message->n_groups,
                      message->ring->vnode_bits);
    ret_map->version = message->version;
    ret_map->feature_level = message->feature_level;
    ret_map->limits = limits_read(message->limits);
    ret_map->next_replica = message->next_replica;
    ret_map->read_mode = message->read_mode;
    ret_map->lease_ms = message->lease_ms;
    for (uint32_t i = 0; i < ret_map->node_count; i++) {
        if (!node_read(message->nodes[i], &ret_map->nodes[i]))
            return false;
    }
    for (uint32_t i = 0; i < ret_map->group_count; i++) {
        if (!group_read(message->groups[i], &ret_map->groups[i]))
            return false;
    }
    size_t vnodes = message->ring->n_owners;
    memcpy(ret_map->owners, message->ring->owners, vnodes * sizeof(*ret_map->owners));
    memcpy(ret_map->epochs, message->ring->epochs, vnodes * sizeof(*ret_map->epochs));
    return shard_map_flaw(ret_map) == NULL;
}

enum torc_status shard_codec_map_read(const Torc__Wire__Map *message, struct shard_map *map)
{
    struct shard_map read;
    shard_map_init(&read, map->allocator);
    if (message == NULL || !map_read(message, &read)) {
        shard_map_fini(&read);
        return TORC_MALFORMED;
    }
    shard_map_fini(map);
    *map = read;
    return TORC_OK;
}

enum torc_status shard_codec_map_decode(struct base_bytes bytes, struct shard_map *map)
{
    Torc__Wire__Map *message = torc__wire__map__unpack(NULL, bytes.size, bytes.data);
    if (message == NULL)
        return TORC_MALFORMED;
    enum torc_status status = shard_codec_map_read(message, map);
    torc__wire__map__free_unpacked(message, NULL);
    return status;
}

/* ---- What a replica is born with
 * ------------------------------------------------------------------ */

void shard_birth_of(const struct shard_map *map, uint32_t group,
                    const struct base_allocator *allocator, struct shard_birth *ret_birth)
{
    const struct shard_map_group *found = shard_map_find_group(map, group);
    TORC_ASSERT(found != NULL);
    *ret_birth = (struct shard_birth){.group = *found,
                                      .vnode_bits = map->vnode_bits,
                                      .limits = map->limits,
                                      .lease_ms = map->lease_ms,
                                      .allocator = allocator};
    size_t vnodes = (size_t)1 << map->vnode_bits;
    for (size_t vnode = 0; vnode < vnodes; vnode++)
        ret_birth->vnode_count += map->owners[vnode] == group;
    if (ret_birth->vnode_count == 0)
        return;
    ret_birth->vnodes = base_alloc(allocator, ret_birth->vnode_count * sizeof(uint32_t));
    uint32_t count = 0;
    for (size_t vnode = 0; vnode < vnodes; vnode++) {
        if (map->owners[vnode] == group)
            ret_birth->vnodes[count++] = (uint32_t)vnode;
    }
}

void shard_birth_fini(struct shard_birth *birth)
{
    base_free(birth->allocator, birth->vnodes, birth->vnode_count * sizeof(uint32_t));
    *birth = (struct shard_birth){.allocator = birth->allocator};
}

void shard_codec_birth_encode(const struct shard_birth *birth,
                              const struct base_allocator *allocator, struct base_bytes *ret_bytes)
{
    Torc__Wire__Replica replicas[CONSENSUS_MEMBERS_MAX], *list[CONSENSUS_MEMBERS_MAX];
    Torc__Wire__Group group;
    group_message(&birth->group, &group, replicas, list);
    Torc__Wire__Limits limits = limits_message(&birth->limits);
    Torc__Wire__Birth message = TORC__WIRE__BIRTH__INIT;
    message.group = &group;
    message.vnode_bits = birth->vnode_bits;
    message.n_vnodes = birth->vnode_count;
    message.vnodes = birth->vnodes;
    message.limits = &limits;
    message.first_entry_hash = birth->first_entry_hash;
    message.lease_ms = birth->lease_ms;
    size_t size = torc__wire__birth__get_packed_size(&message);
    uint8_t *bytes = base_alloc(allocator, size);
    torc__wire__birth__pack(&message, bytes);
    *ret_bytes = base_bytes_of(bytes, size);
}

static bool birth_read(const Torc__Wire__Birth *message, struct shard_birth *birth)
{
    if (message->group == NULL || message->limits == NULL ||
        message->vnode_bits > SHARD_VNODE_BITS_MAX || !group_read(message->group, &birth->group))
        return false;
    size_t vnodes = (size_t)1 << message->vnode_bits;
    if (message->n_vnodes > vnodes)
        return false;
    birth->vnode_bits = message->vnode_bits;
    birth->limits = limits_read(message->limits);
    if (!shard_map_limits_fit(&birth->limits))
        return false;
    birth->first_entry_hash = message->first_entry_hash;
    birth->lease_ms = message->lease_ms;
    if (birth->lease_ms > SHARD_LEASE_MS_MAX)
        return false;
    if (message->n_vnodes == 0)
        return true;
    birth->vnode_count = (uint32_t)message->n_vnodes;
    birth->vnodes = base_alloc(birth->allocator, birth->vnode_count * sizeof(uint32_t));
    memcpy(birth->vnodes, message->vnodes, birth->vnode_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < birth->vnode_count; i++) {
        if (birth->vnodes[i] >= vnodes)
            return false;
    }
    return true;
}

enum torc_status shard_codec_birth_decode(struct base_bytes bytes,
                                          const struct base_allocator *allocator,
                                          struct shard_birth *ret_birth)
{
    Torc__Wire__Birth *message = torc__wire__birth__unpack(NULL, bytes.size, bytes.data);
    if (message == NULL)
        return TORC_MALFORMED;
    struct shard_birth birth = {.allocator = allocator};
    bool whole = birth_read(message, &birth);
    torc__wire__birth__free_unpacked(message, NULL);
    if (!whole) {
        shard_birth_fini(&birth);
        return TORC_MALFORMED;
    }
    *ret_birth = birth;
    return TORC_OK;
}

/* ---- Consensus messages
 * --------------------------------------------------------------------------- */

struct codec_growing {
    uint8_t *data;
    size_t size, capacity;
};

struct shard_codec_outbox {
    const struct base_allocator *allocator;
    struct codec_growing body, payload;
    /* Scratch for the entries of one message; kept, so that a steady load allocates nothing. */
    Torc__Wire__Entry *entries;
    Torc__Wire__Entry **list;
    Torc__Wire__Ballot *ballots; /* Two per entry. */
    size_t entries_capacity, list_capacity, ballots_capacity;
};

struct shard_codec_outbox *shard_codec_outbox_new(const struct base_allocator *allocator)
{
    struct shard_codec_outbox *outbox = base_alloc_zero(allocator, sizeof(*outbox));
    outbox->allocator = allocator;
    return outbox;
}

void shard_codec_outbox_free(struct shard_codec_outbox *outbox)
{
    if (outbox == NULL)
        return;
    const struct base_allocator *allocator = outbox->allocator;
    base_array_free(allocator, outbox->body.data, &outbox->body.capacity, 1);
    base_array_free(allocator, outbox->payload.data, &outbox->payload.capacity, 1);
    base_array_free(allocator, outbox->entries, &outbox->entries_capacity,
                    sizeof(*outbox->entries));
    base_array_free(allocator, outbox->list, &outbox->list_capacity, sizeof(*outbox->list));
    base_array_free(allocator, outbox->ballots, &outbox->ballots_capacity,
                    sizeof(*outbox->ballots));
    base_free(allocator, outbox, sizeof(*outbox));
}

static uint8_t *grow(const struct base_allocator *allocator, struct codec_growing *growing,
                     size_t size)
{
    growing->data =
        base_array_reserve(allocator, growing->data, &growing->capacity, growing->size + size, 1);
    uint8_t *at = growing->data + growing->size;
    growing->size += size;
    return at;
}

static Torc__Wire__Ballot ballot_message(struct base_ballot ballot)
{
    Torc__Wire__Ballot message = TORC__WIRE__BALLOT__INIT;
    message.round = ballot.round;
    message.node = ballot.node;
    message.incarnation = ballot.incarnation;
    return message;
}

static void outbox_add_entries(struct shard_codec_outbox *outbox,
                               const struct consensus_message *message)
{
    const struct base_allocator *allocator = outbox->allocator;
    uint32_t count = message->entry_count;
    outbox->entries = base_array_reserve(allocator, outbox->entries, &outbox->entries_capacity,
                                         count, sizeof(*outbox->entries));
    outbox->list = base_array_reserve(allocator, outbox->list, &outbox->list_capacity, count,
                                      sizeof(*outbox->list));
    outbox->ballots = base_array_reserve(allocator, outbox->ballots, &outbox->ballots_capacity,
                                         2 * (size_t)count, sizeof(*outbox->ballots));
    for (uint32_t i = 0; i < count; i++) {
        const struct consensus_entry *from = &message->entries[i];
        Torc__Wire__Entry *entry = outbox->list[i] = &outbox->entries[i];
        torc__wire__entry__init(entry);
        outbox->ballots[2 * i] = ballot_message(from->ballot);
        outbox->ballots[2 * i + 1] = ballot_message(from->origin);
        entry->slot = from->slot;
        entry->ballot = &outbox->ballots[2 * i];
        entry->origin = &outbox->ballots[2 * i + 1];
        entry->kind = (uint32_t)from->kind;
        if (from->value == NULL || from->value->size == 0)
            continue;
        entry->value_size = from->value->size;
        memcpy(grow(allocator, &outbox->payload, from->value->size), from->value->data,
               from->value->size);
    }
}

static size_t varint_write(uint8_t *at, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        at[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[size++] = (uint8_t)value;
    return size;
}

/* A body is `repeated GroupMessage messages = 1`: each packed message behind its tag and length, so
 * messages are appended without holding them until the body is complete. */
static void outbox_append(struct shard_codec_outbox *outbox,
                          const Torc__Wire__GroupMessage *message)
{
    enum { MESSAGES_TAG = 1 << 3 | 2 };
    size_t size = torc__wire__group_message__get_packed_size(message);
    uint8_t head[11] = {MESSAGES_TAG};
    size_t head_size = 1 + varint_write(head + 1, size);
    memcpy(grow(outbox->allocator, &outbox->body, head_size), head, head_size);
    torc__wire__group_message__pack(message, grow(outbox->allocator, &outbox->body, size));
}

void shard_codec_outbox_add(struct shard_codec_outbox *outbox, uint32_t group,
                            const struct consensus_message *message)
{
    TORC_ASSERT(message->entry_count <= SHARD_CODEC_ENTRIES_MAX);
    Torc__Wire__Ballot ballot = ballot_message(message->ballot);
    Torc__Wire__Ballot other = ballot_message(message->other);
    Torc__Wire__GroupMessage body = TORC__WIRE__GROUP_MESSAGE__INIT;
    body.group = group;
    body.type = message->type;
    body.from = message->from;
    body.to = message->to;
    body.ballot = base_ballot_is_none(message->ballot) ? NULL : &ballot;
    body.other = base_ballot_is_none(message->other) ? NULL : &other;
    body.first = message->first;
    body.last = message->last;
    body.chosen = message->chosen;
    body.durable = message->durable;
    body.floor = message->floor;
    body.round = message->round;
    body.echo = message->echo;
    body.confirmed = message->confirmed;
    body.flags = message->flags;
    body.incarnation = message->incarnation;
    outbox_add_entries(outbox, message);
    body.n_entries = message->entry_count;
    body.entries = outbox->list;
    outbox_append(outbox, &body);
}

struct base_bytes shard_codec_outbox_body(const struct shard_codec_outbox *outbox)
{
    return base_bytes_of(outbox->body.data, outbox->body.size);
}

struct base_bytes shard_codec_outbox_payload(const struct shard_codec_outbox *outbox)
{
    return base_bytes_of(outbox->payload.data, outbox->payload.size);
}

void shard_codec_outbox_clear(struct shard_codec_outbox *outbox)
{
    outbox->body.size = 0;
    outbox->payload.size = 0;
}

static struct base_ballot ballot_read(const Torc__Wire__Ballot *message)
{
    if (message == NULL)
        return (struct base_ballot){0};
    return (struct base_ballot){
        .round = message->round, .node = message->node, .incarnation = message->incarnation};
}

static bool entry_head_read(const Torc__Wire__Entry *message, uint64_t slot_before,
                            struct consensus_entry *ret_entry)
{
    bool value = message->kind == CONSENSUS_VALUE;
    if (message->slot <= slot_before ||
        (!value && message->kind != CONSENSUS_NOOP && message->kind != CONSENSUS_BARRIER) ||
        (!value && message->value_size > 0))
        return false;
    *ret_entry = (struct consensus_entry){.slot = message->slot,
                                          .ballot = ballot_read(message->ballot),
                                          .origin = ballot_read(message->origin),
                                          .kind = (enum consensus_entry_kind)message->kind};
    return true;
}

static enum torc_status entries_read(const Torc__Wire__GroupMessage *body,
                                     struct base_bytes payload, size_t *payload_at,
                                     struct base_pool *pool, struct consensus_entry *entries,
                                     struct consensus_message *message)
{
    uint64_t slot_before = 0;
    for (size_t i = 0; i < body->n_entries; i++) {
        uint32_t size = body->entries[i]->value_size;
        if (!entry_head_read(body->entries[i], slot_before, &entries[i]) ||
            size > payload.size - *payload_at)
            return TORC_MALFORMED;
        slot_before = entries[i].slot;
        if (entries[i].kind == CONSENSUS_VALUE) {
            entries[i].value =
                base_buffer_copy(pool, base_bytes_of(payload.data + *payload_at, size));
            if (entries[i].value == NULL)
                return TORC_FULL;
        }
        *payload_at += size;
        message->entry_count++;
    }
    return TORC_OK;
}

enum torc_status shard_codec_message_read(const Torc__Wire__GroupMessage *body,
                                          struct base_bytes payload, size_t *payload_at,
                                          struct base_pool *pool, struct consensus_entry *entries,
                                          struct consensus_message *ret_message)
{
    if (body->type == 0 || body->type > UINT8_MAX || body->n_entries > SHARD_CODEC_ENTRIES_MAX)
        return TORC_MALFORMED;
    struct consensus_message message = {.type = (uint8_t)body->type,
                                        .from = body->from,
                                        .to = body->to,
                                        .incarnation = body->incarnation,
                                        .ballot = ballot_read(body->ballot),
                                        .other = ballot_read(body->other),
                                        .first = body->first,
                                        .last = body->last,
                                        .chosen = body->chosen,
                                        .durable = body->durable,
                                        .floor = body->floor,
                                        .round = body->round,
                                        .echo = body->echo,
                                        .confirmed = body->confirmed,
                                        .flags = body->flags,
                                        .entries = entries};
    enum torc_status status = entries_read(body, payload, payload_at, pool, entries, &message);
    if (status != TORC_OK) {
        shard_codec_release(&message);
        return status;
    }
    *ret_message = message;
    return TORC_OK;
}

void shard_codec_release(const struct consensus_message *message)
{
    for (uint32_t i = 0; i < message->entry_count; i++)
        base_buffer_unref(message->entries[i].value);
}

/* ---- Transactions
 * -------------------------------------------------------------------------------- */

void shard_codec_transaction_init(struct shard_codec_transaction *transaction,
                                  const struct shard_txn_message *message)
{
    Torc__Wire__Transaction *body = &transaction->body;
    torc__wire__transaction__init(body);
    transaction->ballot = ballot_message(message->attempt.ballot);
    transaction->mark = ballot_message(message->mark.ballot);
    body->type = message->type;
    body->from = message->from;
    body->to = message->to;
    body->group = message->attempt.group;
    body->ballot = &transaction->ballot;
    body->counter = message->attempt.counter;
    if (message->mark.counter > 0)
        body->mark_ballot = &transaction->mark;
    body->mark_counter = message->mark.counter;
    body->time = message->age.time;
    body->client_high = message->age.client_high;
    body->client_low = message->age.client_low;
    body->number = message->age.number;
    body->vote = message->vote;
}

enum torc_status shard_codec_transaction_read(const Torc__Wire__Transaction *body,
                                              struct base_bytes payload,
                                              struct shard_txn_message *ret_message)
{
    struct shard_txn_message message = {
        .type = (enum shard_txn_type)body->type,
        .from = body->from,
        .to = body->to,
        .attempt = {body->group, ballot_read(body->ballot), body->counter},
        .mark = {body->group, ballot_read(body->mark_ballot), body->mark_counter},
        .age = {body->time, body->client_high, body->client_low, body->number},
        .vote = (enum txn_vote)body->vote,
        .payload = payload,
    };
    if (body->type < SHARD_TXN_SAYS_PREPARE || body->type > SHARD_TXN_SAYS_ASK ||
        base_ballot_is_none(message.attempt.ballot) || message.attempt.counter == 0 ||
        message.attempt.group == 0 || message.from == 0)
        return TORC_MALFORMED;
    *ret_message = message;
    return TORC_OK;
}
