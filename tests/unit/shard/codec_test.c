#include "shard/codec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

enum { NODES = 2, GROUPS = 3, VNODE_BITS = 3, ENTRIES = 5 };

static void map_make(struct shard_map *map, const struct base_allocator *allocator)
{
    shard_map_init(map, allocator);
    shard_map_reserve(map, NODES, GROUPS, VNODE_BITS);
    map->cluster.bytes[1] = 7;
    map->version = 12;
    map->feature_level = 3;
    map->read_mode = CONSENSUS_READ_LEASE;
    map->lease_ms = 150;
    map->limits = (struct wire_limits){64, 1024, 4096};
    map->next_replica = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        map->nodes[i] = (struct shard_map_node){.id = i + 1, .storage.bytes = {(uint8_t)(i + 1)}};
        snprintf(map->nodes[i].address, SHARD_ADDRESS_SIZE, "tcp://127.0.0.1:%u", 7001 + i);
    }
    for (uint32_t g = 0; g < GROUPS; g++) {
        map->groups[g] = (struct shard_map_group){
            .id = g, .consensus = SHARD_CONSENSUS_PAXOS, .replica_count = NODES};
        for (uint32_t i = 0; i < NODES; i++)
            map->groups[g].replicas[i] = (struct shard_map_replica){.id = map->next_replica++,
                                                                    .node = i + 1,
                                                                    .voter = i == 0,
                                                                    .used = g == 1,
                                                                    .used_by = g == 1 ? 4 : 0};
    }
    for (uint32_t vnode = 0; vnode < 1 << VNODE_BITS; vnode++) {
        map->owners[vnode] = 1 + vnode % 2;
        map->epochs[vnode] = vnode + 1;
    }
    cr_assert_null(shard_map_flaw(map));
}

static void give_back(const struct base_allocator *allocator, struct base_bytes bytes)
{
    base_free(allocator, (void *)(uintptr_t)bytes.data, bytes.size);
}

/* What is encoded is decoded to the same map, over whatever map was there. */
Test(codec, a_map_comes_back)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map, read;
    map_make(&map, allocator);
    map_make(&read, allocator);
    read.version = 1;
    struct base_bytes bytes;
    shard_codec_map_encode(&map, allocator, &bytes);
    cr_assert_eq(shard_codec_map_decode(bytes, &read), TORC_OK);
    cr_assert_arr_eq(&read.cluster, &map.cluster, sizeof(map.cluster));
    cr_assert_eq(read.version, 12);
    cr_assert_eq(read.feature_level, 3);
    cr_assert_eq(read.next_replica, map.next_replica);
    cr_assert_eq(read.limits.request_size_max, 4096);
    cr_assert_eq(read.read_mode, CONSENSUS_READ_LEASE);
    cr_assert_eq(read.lease_ms, 150);
    cr_assert_arr_eq(read.nodes, map.nodes, NODES * sizeof(*map.nodes));
    for (uint32_t g = 0; g < GROUPS; g++) {
        for (uint32_t i = 0; i < NODES; i++) {
            cr_assert_eq(read.groups[g].replicas[i].id, map.groups[g].replicas[i].id);
            cr_assert_eq(read.groups[g].replicas[i].voter, i == 0);
            cr_assert_eq(read.groups[g].replicas[i].used, g == 1);
            cr_assert_eq(read.groups[g].replicas[i].used_by, g == 1 ? 4 : 0);
        }
    }
    cr_assert_arr_eq(read.epochs, map.epochs, sizeof(*map.epochs) << VNODE_BITS);
    give_back(allocator, bytes);
    shard_map_fini(&map);
    shard_map_fini(&read);
    counting_fini(&counting);
}

/* Damaged bytes, or a map that breaks a rule, leave the map as it was. */
Test(codec, a_bad_map_changes_nothing)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map, read;
    map_make(&map, allocator);
    map_make(&read, allocator);
    read.version = 5;
    map.epochs[0] = 0;
    struct base_bytes bytes;
    shard_codec_map_encode(&map, allocator, &bytes);
    cr_assert_eq(shard_codec_map_decode(bytes, &read), TORC_MALFORMED);
    struct base_prng prng = base_prng_seeded(1);
    uint8_t *damaged = base_alloc(allocator, bytes.size);
    for (int i = 0; i < 5000; i++) {
        memcpy(damaged, bytes.data, bytes.size);
        damaged[base_prng_range(&prng, 0, bytes.size - 1)] =
            (uint8_t)base_prng_range(&prng, 0, 255);
        size_t size = base_prng_range(&prng, 0, bytes.size);
        if (shard_codec_map_decode(base_bytes_of(damaged, size), &read) == TORC_OK)
            cr_assert_null(shard_map_flaw(&read));
    }
    cr_assert_eq(read.version, 5);
    base_free(allocator, damaged, bytes.size);
    cr_assert_eq(shard_codec_map_read(NULL, &read), TORC_MALFORMED);
    give_back(allocator, bytes);
    shard_map_fini(&map);
    shard_map_fini(&read);
    counting_fini(&counting);
}

/* What a message can say and a map or a birth can not. */
Test(codec, messages_that_fit_no_map_are_refused)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map, read;
    map_make(&map, allocator);
    map_make(&read, allocator);
    struct base_bytes bytes;
    shard_codec_map_encode(&map, allocator, &bytes);
    Torc__Wire__Map *message = torc__wire__map__unpack(NULL, bytes.size, bytes.data);
    give_back(allocator, bytes);
    Torc__Wire__Node *node = message->nodes[1];
    node->storage.len--;
    cr_assert_eq(shard_codec_map_read(message, &read), TORC_MALFORMED);
    node->storage.len++;
    char *address = node->address, long_one[SHARD_ADDRESS_SIZE + 1], *bad[] = {"", long_one};
    memset(long_one, 'a', SHARD_ADDRESS_SIZE);
    long_one[SHARD_ADDRESS_SIZE] = '\0';
    for (int i = 0; i < 2; i++) {
        node->address = bad[i];
        cr_assert_eq(shard_codec_map_read(message, &read), TORC_MALFORMED);
    }
    node->address = address;
    Torc__Wire__Group *group = message->groups[1];
    Torc__Wire__Replica **replicas = group->replicas, *many[CONSENSUS_MEMBERS_MAX + 1];
    size_t count = group->n_replicas;
    for (size_t i = 0; i < CONSENSUS_MEMBERS_MAX + 1; i++)
        many[i] = replicas[0];
    group->replicas = many;
    group->n_replicas = CONSENSUS_MEMBERS_MAX + 1;
    cr_assert_eq(shard_codec_map_read(message, &read), TORC_MALFORMED);
    group->replicas = replicas;
    group->n_replicas = count;
    cr_assert_eq(shard_codec_map_read(message, &read), TORC_OK);
    torc__wire__map__free_unpacked(message, NULL);

    for (unsigned bits = 0; bits <= SHARD_VNODE_BITS_MAX + 1; bits += SHARD_VNODE_BITS_MAX + 1) {
        struct shard_birth birth, none; /* More vnodes than there are; more bits than can be. */
        shard_birth_of(&map, 1, allocator, &birth);
        birth.vnode_bits = bits;
        shard_codec_birth_encode(&birth, allocator, &bytes);
        cr_assert_eq(shard_codec_birth_decode(bytes, allocator, &none), TORC_MALFORMED);
        give_back(allocator, bytes);
        shard_birth_fini(&birth);
    }
    shard_map_fini(&map);
    shard_map_fini(&read);
    counting_fini(&counting);
}

/* A map of which a part is not there, or as many as there are not. */
Test(codec, maps_with_a_part_missing_are_refused)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map, read;
    map_make(&map, allocator);
    map_make(&read, allocator);
    struct base_bytes bytes;
    shard_codec_map_encode(&map, allocator, &bytes);
    Torc__Wire__Map *message = torc__wire__map__unpack(NULL, bytes.size, bytes.data);
    give_back(allocator, bytes);
    const Torc__Wire__Map right = *message;
#define REFUSED_WITH(change)                                                                       \
    message->change;                                                                               \
    cr_assert_eq(shard_codec_map_read(message, &read), TORC_MALFORMED, #change);                   \
    *message = right
    REFUSED_WITH(n_nodes = 0);
    REFUSED_WITH(n_nodes = SHARD_NODES_MAX + 1);
    REFUSED_WITH(n_groups = 0);
    REFUSED_WITH(n_groups = SHARD_GROUPS_MAX + 1);
    REFUSED_WITH(ring = NULL);
    REFUSED_WITH(limits = NULL);
    REFUSED_WITH(cluster.len--);
    REFUSED_WITH(ring->n_owners--);
    message->ring->n_owners++;
    REFUSED_WITH(ring->n_epochs--);
    message->ring->n_epochs++;
#undef REFUSED_WITH
    cr_assert_eq(shard_codec_map_read(message, &read), TORC_OK);
    torc__wire__map__free_unpacked(message, NULL);
    shard_map_fini(&map);
    shard_map_fini(&read);
    counting_fini(&counting);
}

/* A birth without its group or its limits. */
Test(codec, births_with_a_part_missing_are_refused)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map;
    map_make(&map, allocator);
    struct shard_birth birth, read;
    shard_birth_of(&map, 1, allocator, &birth);
    struct base_bytes bytes;
    shard_codec_birth_encode(&birth, allocator, &bytes);
    Torc__Wire__Birth *message = torc__wire__birth__unpack(NULL, bytes.size, bytes.data);
    const Torc__Wire__Birth right = *message;
    for (int missing = 0; missing < 2; missing++) {
        uint8_t packed[1024];
        if (missing == 0)
            message->group = NULL;
        else
            message->limits = NULL;
        size_t size = torc__wire__birth__pack(message, packed);
        cr_assert_leq(size, sizeof(packed));
        cr_assert_eq(shard_codec_birth_decode(base_bytes_of(packed, size), allocator, &read),
                     TORC_MALFORMED, "%d", missing);
        *message = right;
    }
    cr_assert_eq(shard_codec_birth_decode(bytes, allocator, &read), TORC_OK);
    shard_birth_fini(&read);
    torc__wire__birth__free_unpacked(message, NULL);
    give_back(allocator, bytes);
    shard_birth_fini(&birth);
    shard_map_fini(&map);
    counting_fini(&counting);
}

/* A birth has the group, its vnodes and the limits of the map, and comes back from its bytes. */
Test(codec, a_birth_comes_back)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map;
    map_make(&map, allocator);
    for (uint32_t group = 0; group < GROUPS; group++) {
        struct shard_birth birth, read;
        shard_birth_of(&map, group, allocator, &birth);
        cr_assert_eq(birth.vnode_count, group == 0 ? 0 : 4);
        birth.first_entry_hash = 99;
        struct base_bytes bytes;
        shard_codec_birth_encode(&birth, allocator, &bytes);
        cr_assert_eq(shard_codec_birth_decode(bytes, allocator, &read), TORC_OK);
        cr_assert_eq(read.group.id, group);
        cr_assert_eq(read.group.replica_count, NODES);
        cr_assert_eq(read.vnode_bits, VNODE_BITS);
        cr_assert_eq(read.limits.key_size_max, 64);
        cr_assert_eq(read.first_entry_hash, 99);
        cr_assert_eq(read.lease_ms, 150);
        cr_assert_eq(read.vnode_count, birth.vnode_count);
        for (uint32_t i = 0; i < read.vnode_count; i++)
            cr_assert_eq(read.vnodes[i], 2 * i + group - 1);
        cr_assert_eq(
            shard_codec_birth_decode(base_bytes_of(bytes.data, bytes.size / 2), allocator, &read),
            TORC_MALFORMED);
        give_back(allocator, bytes);
        shard_birth_fini(&birth);
        shard_birth_fini(&read);
    }
    shard_map_fini(&map);
    counting_fini(&counting);
}

/* A birth that names a vnode that is none, limits that leave no room, or a lease without end is
 * refused. */
Test(codec, a_bad_birth_is_refused)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_map map;
    map_make(&map, allocator);
    for (int i = 0; i < 4; i++) {
        struct shard_birth birth, read;
        shard_birth_of(&map, 1, allocator, &birth);
        if (i == 0)
            birth.vnodes[3] = 1 << VNODE_BITS;
        else if (i == 1)
            birth.limits.key_size_max = 0;
        else if (i == 2)
            birth.limits.request_size_max = 0;
        else
            birth.lease_ms = SHARD_LEASE_MS_MAX + 1;
        struct base_bytes bytes;
        shard_codec_birth_encode(&birth, allocator, &bytes);
        cr_assert_eq(shard_codec_birth_decode(bytes, allocator, &read), TORC_MALFORMED);
        give_back(allocator, bytes);
        shard_birth_fini(&birth);
    }
    shard_map_fini(&map);
    counting_fini(&counting);
}

static const char *const values[ENTRIES] = {"one", NULL, "", "four", NULL};

static struct consensus_message message_make(struct base_pool *pool,
                                             struct consensus_entry entries[ENTRIES])
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        entries[i] = (struct consensus_entry){.slot = 10 + 3 * i,
                                              .ballot = {.round = 4, .node = 1, .incarnation = 2},
                                              .origin = {.round = 3, .node = 2, .incarnation = 1},
                                              .kind = CONSENSUS_NOOP};
        if (values[i] == NULL)
            continue;
        entries[i].kind = CONSENSUS_VALUE;
        entries[i].value = base_buffer_copy(pool, base_bytes_text(values[i]));
    }
    return (struct consensus_message){.type = 5,
                                      .from = 1,
                                      .to = 2,
                                      .incarnation = 3,
                                      .ballot = {.round = 4, .node = 1, .incarnation = 2},
                                      .first = 10,
                                      .last = 30,
                                      .chosen = 7,
                                      .durable = 8,
                                      .floor = 6,
                                      .round = 100,
                                      .echo = 101,
                                      .confirmed = 102,
                                      .flags = 1,
                                      .entries = entries,
                                      .entry_count = ENTRIES};
}

struct exchange {
    struct counting counting;
    const struct base_allocator *allocator;
    struct base_pool pool;
    struct shard_codec_outbox *outbox;
    Torc__Wire__Consensus *body;
    struct base_bytes payload;
};

/* Messages of groups 1 and 2 that were collected, encoded and unpacked. */
static void exchange_init(struct exchange *exchange, size_t pool_size)
{
    exchange->allocator = counting_init(&exchange->counting);
    struct base_pool sender;
    base_pool_init(&sender, exchange->allocator, 1 << 16);
    base_pool_init(&exchange->pool, exchange->allocator, pool_size);
    exchange->outbox = shard_codec_outbox_new(exchange->allocator);
    struct consensus_entry entries[ENTRIES];
    struct consensus_message message = message_make(&sender, entries);
    shard_codec_outbox_add(exchange->outbox, 1, &message);
    shard_codec_outbox_add(exchange->outbox, 2, &message);
    shard_codec_release(&message);
    base_pool_fini(&sender);
    struct base_bytes body = shard_codec_outbox_body(exchange->outbox);
    exchange->body = torc__wire__consensus__unpack(NULL, body.size, body.data);
    exchange->payload = shard_codec_outbox_payload(exchange->outbox);
    cr_assert_not_null(exchange->body);
    cr_assert_eq(exchange->body->n_messages, 2);
}

static void exchange_fini(struct exchange *exchange)
{
    torc__wire__consensus__free_unpacked(exchange->body, NULL);
    shard_codec_outbox_free(exchange->outbox);
    base_pool_fini(&exchange->pool);
    counting_fini(&exchange->counting);
}

/* Messages of several groups share a body and a payload, and come back field for field. */
Test(codec, consensus_messages_come_back)
{
    struct exchange exchange;
    exchange_init(&exchange, 1 << 16);
    size_t payload_at = 0;
    for (uint32_t group = 1; group <= 2; group++) {
        struct consensus_entry entries[ENTRIES];
        struct consensus_message read;
        cr_assert_eq(exchange.body->messages[group - 1]->group, group);
        cr_assert_eq(shard_codec_message_read(exchange.body->messages[group - 1], exchange.payload,
                                              &payload_at, &exchange.pool, entries, &read),
                     TORC_OK);
        cr_assert_eq(read.type, 5);
        cr_assert_eq(read.from, 1);
        cr_assert_eq(read.to, 2);
        cr_assert_eq(read.incarnation, 3);
        cr_assert_eq(read.ballot.round, 4);
        cr_assert_eq(read.ballot.incarnation, 2);
        cr_assert(base_ballot_is_none(read.other));
        cr_assert_eq(read.first, 10);
        cr_assert_eq(read.last, 30);
        cr_assert_eq(read.chosen, 7);
        cr_assert_eq(read.durable, 8);
        cr_assert_eq(read.floor, 6);
        cr_assert_eq(read.round, 100);
        cr_assert_eq(read.echo, 101);
        cr_assert_eq(read.confirmed, 102);
        cr_assert_eq(read.flags, 1);
        cr_assert_eq(read.entry_count, ENTRIES);
        for (uint32_t i = 0; i < ENTRIES; i++) {
            cr_assert_eq(read.entries[i].slot, 10 + 3 * i);
            cr_assert_eq(read.entries[i].origin.node, 2);
            cr_assert_eq(read.entries[i].value == NULL, values[i] == NULL);
            if (values[i] != NULL)
                cr_assert_eq(read.entries[i].value->size, strlen(values[i]));
        }
        cr_assert_arr_eq(read.entries[3].value->data, "four", 4);
        shard_codec_release(&read);
    }
    cr_assert_eq(payload_at, exchange.payload.size);
    cr_assert_eq(exchange.pool.buffer_count, 0);
    shard_codec_outbox_clear(exchange.outbox);
    cr_assert_eq(shard_codec_outbox_body(exchange.outbox).size, 0);
    exchange_fini(&exchange);
}

/* Slots that do not rise, kinds that are none, sizes beyond the payload: refused, nothing kept. */
Test(codec, bad_messages_are_refused)
{
    struct exchange exchange;
    exchange_init(&exchange, 1 << 16);
    for (int i = 0; i < 7; i++) {
        Torc__Wire__GroupMessage message = *exchange.body->messages[0];
        Torc__Wire__Entry entry = *message.entries[3], *list[ENTRIES];
        memcpy(list, message.entries, sizeof(list));
        list[3] = &entry;
        message.entries = list;
        struct base_bytes payload = exchange.payload;
        switch (i) {
        case 0:
            entry.slot = message.entries[2]->slot;
            break;
        case 1:
            entry.kind = 9;
            break;
        case 2:
            entry.kind = CONSENSUS_NOOP; /* With a value. */
            break;
        case 3:
            entry.value_size = UINT32_MAX;
            break;
        case 4:
            payload.size = 5;
            break;
        case 5:
            message.type = 0;
            break;
        default:
            message.type = 256;
        }
        struct consensus_entry entries[ENTRIES];
        struct consensus_message read;
        size_t payload_at = 0;
        cr_assert_eq(shard_codec_message_read(&message, payload, &payload_at, &exchange.pool,
                                              entries, &read),
                     TORC_MALFORMED, "case %d", i);
        cr_assert_eq(exchange.pool.buffer_count, 0);
    }
    exchange_fini(&exchange);
}

/* A pool without room for all values gives none. */
Test(codec, a_full_pool_drops_the_message)
{
    struct exchange exchange;
    exchange_init(&exchange, 24);
    struct consensus_entry entries[ENTRIES];
    struct consensus_message read;
    size_t payload_at = 0;
    cr_assert_eq(shard_codec_message_read(exchange.body->messages[0], exchange.payload, &payload_at,
                                          &exchange.pool, entries, &read),
                 TORC_FULL);
    cr_assert_eq(exchange.pool.buffer_count, 0);
    exchange_fini(&exchange);
}

/* Under a steady load the outbox allocates nothing. */
Test(codec, an_outbox_keeps_its_memory)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct base_pool pool;
    base_pool_init(&pool, allocator, 1 << 16);
    struct shard_codec_outbox *outbox = shard_codec_outbox_new(allocator);
    struct consensus_entry entries[ENTRIES];
    struct consensus_message message = message_make(&pool, entries);
    uint64_t calls = 0;
    for (int i = 0; i < 10; i++) {
        shard_codec_outbox_clear(outbox);
        shard_codec_outbox_add(outbox, 1, &message);
        if (i > 0)
            cr_assert_eq(counting.call_count, calls);
        calls = counting.call_count;
    }
    shard_codec_release(&message);
    shard_codec_outbox_free(outbox);
    base_pool_fini(&pool);
    counting_fini(&counting);
}
