#include "router/courier.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/hlc.h"
#include "base/prng.h"
#include "ring/token.h"
#include "router/buffer.h"
#include "tests/lib/counting.h"
#include "wire/body.h"

/*
 * A made-up cluster around the courier: one group whose leader executes counters and keeps records
 * of requests, three nodes that take turns in leading, and a network that loses, delays and doubles
 * messages. The nodes share one state, as replicas do; what is tested is the courier.
 */
enum {
    NODES = 3,
    KEYS = 4,
    OWNERS = 3,
    WHOLES = 200,
    RECORDS_MAX = 4096,
    QUEUE_MAX = 512,
    WINDOW = 3
};

struct flying { /* A message on its way. */
    uint64_t at_us;
    uint32_t node; /* To or from. */
    bool to_node;
    enum wire_type type;
    struct router_buffer body, payload;
};

struct world {
    struct counting counting;
    struct base_prng prng;
    struct router_courier *courier;
    struct wire_arena *arena;
    uint64_t now_us, wake_at_us;
    uint32_t leader;    /* 0: nobody. */
    bool calm;          /* No more loss, leaders stay. */
    uint64_t silent[2]; /* Requests that get no answer. */
    bool large;         /* Values are. */
    bool nameless;      /* The map knows no node's storage. */
    bool parted;        /* There are two groups, */
    bool parting;       /* of which the first had everything before. */
    uint32_t stopped;   /* This node hears nothing. */
    bool fresh;         /* Those that do not lead may answer stale reads. */
    struct flying queue[QUEUE_MAX];
    size_t queue_count;
    struct { /* Request records: numbers that were executed, with their answers. */
        uint64_t number;
        int64_t results[64];
        uint16_t count;
        bool check_failed;
    } records[RECORDS_MAX];
    size_t record_count;
    int64_t counters[KEYS];                    /* The state. */
    int64_t acknowledged[KEYS], unknown[KEYS]; /* Increments, as the outcomes tell. */
    int64_t last_seen[OWNERS][KEYS];           /* The newest value an owner was given. */
    uint64_t told, added;
    uint64_t hash; /* Of every outcome and message, in order. */
};

static char seed_address[] = "tcp://127.0.0.1:1";
static const char *const seeds[] = {seed_address};

static void hash_in(struct world *world, uint64_t number)
{
    world->hash = (world->hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    world->hash ^= world->hash >> 29;
}

/* A request that is added whole: increments of some keys, behind a check. */
struct whole {
    unsigned keys; /* A bit for each. */
    bool fails;    /* The check will not hold. */
    uint64_t deadline_us;
    enum router_outcome_type outcome; /* 0: none yet. */
    enum torc_status status;
};

/* Results of the increments, behind that of the check. */
static void whole_answered(struct world *world, const struct whole *whole,
                           const struct wire_answer *answer)
{
    if (whole->keys == 0)
        return; /* It only reads. */
    struct wire_result result;
    size_t cursor = 0;
    cr_assert_eq(answer->status, whole->fails ? WIRE_CHECK_FAILED : WIRE_DONE);
    if (whole->fails) {
        cr_assert_eq(answer->detail, 0);
        return;
    }
    cr_assert(wire_result_next(answer, &cursor, &result));
    for (uint32_t key = 0; key < KEYS; key++) {
        if ((whole->keys >> key & 1) == 0)
            continue;
        cr_assert(wire_result_next(answer, &cursor, &result));
        cr_assert_eq(result.kind, WIRE_RESULT_INTEGER);
        world->acknowledged[key]++;
    }
    cr_assert_not(wire_result_next(answer, &cursor, &result));
}

static void whole_done(struct world *world, struct whole *whole,
                       const struct router_outcome *outcome)
{
    world->told++;
    hash_in(world, (uint64_t)outcome->type << 32 | whole->keys);
    cr_assert_eq(whole->outcome, 0, "one outcome each");
    whole->outcome = outcome->type;
    whole->status = outcome->status;
    cr_assert_null(outcome->result);
    if (outcome->type == ROUTER_ANSWERED)
        whole_answered(world, whole, outcome->answer);
    for (uint32_t key = 0; key < KEYS && outcome->type == ROUTER_UNKNOWN; key++)
        world->unknown[key] += !whole->fails && (whole->keys >> key & 1) != 0;
}

/* Parts carry owner and key; `call` is the world, or a whole request. */
static void done(void *context, void *call, uint32_t part, const struct router_outcome *outcome)
{
    struct world *world = context;
    if (call != world) {
        whole_done(world, call, outcome);
        return;
    }
    uint32_t owner = part / KEYS, key = part % KEYS;
    cr_assert_eq(call, world);
    world->told++;
    hash_in(world, (uint64_t)outcome->type << 32 | part);
    switch (outcome->type) {
    case ROUTER_ANSWERED:
        cr_assert_eq(outcome->result->kind, WIRE_RESULT_INTEGER);
        cr_assert_gt((int64_t)outcome->result->number, world->last_seen[owner][key],
                     "commands of one owner on one key out of order");
        world->last_seen[owner][key] = (int64_t)outcome->result->number;
        world->acknowledged[key]++;
        break;
    case ROUTER_UNKNOWN:
        world->unknown[key]++;
        break;
    case ROUTER_NOTHING_DONE:
        break;
    case ROUTER_REFUSED:
        cr_assert_fail("nothing refuses here");
    }
}

static void fly(struct world *world, uint32_t node, bool to_node, enum wire_type type,
                struct base_bytes body, struct base_bytes payload)
{
    unsigned copies = world->calm ? 1 : (unsigned)base_prng_range(&world->prng, 0, 9);
    copies = copies == 0 ? 0 : copies == 9 && !to_node ? 2 : 1;
    for (; copies > 0; copies--) {
        cr_assert_lt(world->queue_count, QUEUE_MAX);
        struct flying *flying = &world->queue[world->queue_count++];
        uint64_t delay_us = base_prng_range(&world->prng, 100, world->calm ? 200 : 40000);
        *flying = (struct flying){.at_us = world->now_us + delay_us,
                                  .node = node,
                                  .to_node = to_node,
                                  .type = type,
                                  .body = router_buffer_empty(&world->counting.allocator),
                                  .payload = router_buffer_empty(&world->counting.allocator)};
        router_buffer_append(&flying->body, body);
        router_buffer_append(&flying->payload, payload);
    }
}

static void answer(struct world *world, uint32_t node, enum wire_type type,
                   const ProtobufCMessage *body, struct base_bytes payload)
{
    uint8_t packed[4096];
    cr_assert_leq(protobuf_c_message_get_packed_size(body), sizeof(packed));
    size_t size = protobuf_c_message_pack(body, packed);
    fly(world, node, false, type, base_bytes_of(packed, size), payload);
}

static uint64_t clock_now(const struct world *world)
{
    return base_hlc_from_ms(1000000 + world->now_us / 1000);
}

/* The ring of one vnode or two; key `a` stays where it is when they part. */
static void ring_fill(const struct world *world, size_t count, Torc__Wire__Ring *ring)
{
    static uint32_t owners[2];
    static uint64_t epochs[2];
    uint32_t other = 1 - ring_vnode(ring_token(base_bytes_text("a"), 1), 1);
    owners[0] = owners[1] = 1;
    epochs[0] = epochs[1] = 1;
    if (world->parted) {
        owners[other] = 2;
        epochs[other] = 2;
    }
    *ring = (Torc__Wire__Ring)TORC__WIRE__RING__INIT;
    ring->n_owners = ring->n_epochs = count;
    ring->owners = owners;
    ring->epochs = epochs;
}

static uint64_t map_version(const struct world *world)
{
    return world->parted ? 2 : 1;
}

static void answer_map(struct world *world, uint32_t node)
{
    static uint8_t cluster[16] = {7}, storages[NODES][16];
    static const char *const addresses[NODES] = {"tcp://127.0.0.1:1", "tcp://127.0.0.1:2",
                                                 "tcp://127.0.0.1:3"};
    Torc__Wire__Node nodes[NODES], *node_list[NODES];
    Torc__Wire__Replica replicas[NODES], *replica_list[NODES];
    Torc__Wire__Group group = TORC__WIRE__GROUP__INIT, second, *group_list[] = {&group, &second};
    Torc__Wire__Ring ring;
    Torc__Wire__Limits limits = TORC__WIRE__LIMITS__INIT;
    Torc__Wire__Map map = TORC__WIRE__MAP__INIT;
    Torc__Wire__MapReply reply = TORC__WIRE__MAP_REPLY__INIT;
    bool two = world->parted || world->parting;
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[i] = (Torc__Wire__Node)TORC__WIRE__NODE__INIT;
        nodes[i].id = i + 1;
        storages[i][0] = world->nameless ? 0 : (uint8_t)(i + 1);
        nodes[i].storage = (ProtobufCBinaryData){16, storages[i]};
        nodes[i].address = (char *)addresses[i];
        node_list[i] = &nodes[i];
        replicas[i] = (Torc__Wire__Replica)TORC__WIRE__REPLICA__INIT;
        replicas[i].id = i + 1;
        replicas[i].node = i + 1;
        replicas[i].voter = true;
        replica_list[i] = &replicas[i];
    }
    group.id = 1;
    group.n_replicas = NODES;
    group.replicas = replica_list;
    second = group;
    second.id = 2;
    ring_fill(world, two ? 2 : 1, &ring);
    limits.key_size_max = 100;
    limits.value_size_max = world->large ? 10000 : 100;
    limits.request_size_max = world->large ? 20000 : 200;
    map.version = map_version(world);
    map.cluster = (ProtobufCBinaryData){16, cluster};
    map.n_nodes = NODES;
    map.nodes = node_list;
    map.n_groups = two ? 2 : 1;
    map.groups = group_list;
    map.ring = &ring;
    map.limits = &limits;
    reply.map = &map;
    reply.version = map_version(world);
    answer(world, node, WIRE_TYPE_MAP, &reply.base, base_bytes_of(NULL, 0));
}

/* An answer without results. */
static size_t turn_away(struct world *world, const struct wire_request *request, uint8_t *out,
                        size_t capacity, enum wire_answer_status status)
{
    uint64_t detail = status == WIRE_CHECK_FAILED ? 0 : world->leader;
    size_t size =
        wire_answer_begin(out, capacity, status, request->number, clock_now(world), detail);
    wire_answer_end(out, size, 0);
    return size;
}

/* Here a check for something to be there never holds, and other checks do. */
static void run(struct world *world, const struct wire_request *request, size_t record)
{
    struct wire_op op;
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op);) {
        if (op.type == WIRE_OP_CHECK && op.condition == WIRE_IF_PRESENT) {
            world->records[record].check_failed = true;
            return;
        }
        int64_t *counter = &world->counters[op.key.data[0] - 'a'];
        *counter += op.type != WIRE_OP_CHECK;
        world->records[record].results[world->records[record].count++] = *counter;
    }
}

/* A stale read of one key. */
static size_t read_one(struct world *world, const struct wire_request *request, uint8_t *out,
                       size_t capacity)
{
    struct wire_op op;
    size_t cursor = 0;
    cr_assert(wire_op_next(request, &cursor, &op) && op.type == WIRE_OP_GET);
    cr_assert_eq(request->last_time, 7000, "the greatest age");
    struct wire_result result = {.kind = WIRE_RESULT_INTEGER,
                                 .number = (uint64_t)world->counters[op.key.data[0] - 'a']};
    size_t size = wire_answer_begin(out, capacity, WIRE_DONE, request->number, 1, 0);
    size += wire_result_write(out + size, capacity - size, &result);
    wire_answer_end(out, size, 1);
    return size;
}

/* Executes a request, or answers from its record. */
static size_t execute(struct world *world, const struct wire_request *request, uint8_t *out,
                      size_t capacity)
{
    size_t i = 0;
    while (i < world->record_count && world->records[i].number != request->number)
        i++;
    bool late = request->last_time < clock_now(world);
    if (i == world->record_count && late) {
        size_t size =
            wire_answer_begin(out, capacity, WIRE_TOO_LATE, request->number, clock_now(world), 0);
        wire_answer_end(out, size, 0);
        return size;
    }
    if (i == world->record_count) {
        cr_assert_lt(i, RECORDS_MAX);
        cr_assert_leq(request->op_count, 64);
        world->records[i].number = request->number;
        run(world, request, i);
        world->record_count++;
    }
    if (world->records[i].check_failed)
        return turn_away(world, request, out, capacity, WIRE_CHECK_FAILED);
    size_t size = wire_answer_begin(out, capacity, WIRE_DONE, request->number, clock_now(world), 0);
    for (uint16_t j = 0; j < world->records[i].count; j++) {
        struct wire_result result = {.kind = WIRE_RESULT_INTEGER,
                                     .number = (uint64_t)world->records[i].results[j],
                                     .version = 1};
        size += wire_result_write(out + size, capacity - size, &result);
    }
    wire_answer_end(out, size, world->records[i].count);
    return size;
}

static void take_request(struct world *world, uint32_t node, const Torc__Wire__Request *message,
                         struct base_bytes rest)
{
    static const struct wire_limits limits = {100, 10000, 1 << 20};
    static uint8_t payload[1 << 16];
    size_t size = 0;
    uint32_t answers = 0;
    bool leads = world->leader == node;
    for (uint32_t i = 0; i < message->request_count; i++) {
        struct wire_request request;
        cr_assert_eq(wire_request_read(rest, &limits, &request), TORC_OK);
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
        if (request.number == world->silent[0] || request.number == world->silent[1])
            continue;
        answers++;
        uint8_t *at = payload + size;
        size_t capacity = sizeof(payload) - size;
        if (request.flags == WIRE_REQUEST_STALE && world->fresh)
            size += read_one(world, &request, at, capacity);
        else if (!leads)
            size += turn_away(world, &request, at, capacity, WIRE_NOT_LEADER);
        else if (!world->calm && base_prng_chance(&world->prng, 1, 20))
            size += turn_away(world, &request, at, capacity,
                              base_prng_chance(&world->prng, 1, 2) ? WIRE_BUSY : WIRE_TOO_EARLY);
        else if (!world->calm && base_prng_chance(&world->prng, 1, 20) &&
                 execute(world, &request, at, capacity) > 0)
            size += turn_away(world, &request, at, capacity, WIRE_NO_ANSWER);
        else
            size += execute(world, &request, at, capacity);
    }
    Torc__Wire__Reply reply = TORC__WIRE__REPLY__INIT;
    reply.group = 1;
    reply.answer_count = answers;
    reply.clock = clock_now(world);
    reply.stamp = reply.clock;
    reply.credit = message->sequence + message->request_count - 1 + WINDOW;
    reply.map_version = map_version(world);
    reply.leader_node = world->leader;
    answer(world, node, WIRE_TYPE_REPLY, &reply.base, base_bytes_of(payload, size));
}

static void take(struct world *world, const struct flying *flying)
{
    struct wire_envelope envelope = {.type = flying->type,
                                     .cluster = {{7}},
                                     .storage = {{(uint8_t)flying->node}},
                                     .node = flying->node,
                                     .incarnation = 1,
                                     .body = router_buffer_bytes(&flying->body),
                                     .payload = router_buffer_bytes(&flying->payload)};
    if (!flying->to_node) {
        router_courier_receive(world->courier, &envelope);
        return;
    }
    const ProtobufCMessage *body;
    if (flying->node == world->stopped)
        return;
    cr_assert_eq(wire_body_read(world->arena, &envelope, &body), TORC_OK);
    if (flying->type == WIRE_TYPE_MAP_REQUEST) {
        answer_map(world, flying->node);
    } else if (flying->type == WIRE_TYPE_HELLO) {
        Torc__Wire__Welcome welcome = TORC__WIRE__WELCOME__INIT;
        welcome.group = 1;
        welcome.clock = clock_now(world);
        welcome.stamp = welcome.clock;
        welcome.credit = ((const Torc__Wire__Hello *)body)->sequence + WINDOW;
        welcome.map_version = map_version(world);
        welcome.leader_node = world->leader;
        answer(world, flying->node, WIRE_TYPE_WELCOME, &welcome.base, base_bytes_of(NULL, 0));
    } else {
        take_request(world, flying->node, (const Torc__Wire__Request *)body, envelope.payload);
    }
}

/* Delivers what is due, one turn of the courier, sends what it says. */
static void turn(struct world *world)
{
    const struct router_message *messages;
    router_courier_turn(world->courier, world->now_us);
    for (size_t i = 0; i < world->queue_count;) {
        struct flying flying = world->queue[i];
        if (flying.at_us > world->now_us) {
            i++;
            continue;
        }
        world->queue[i] = world->queue[--world->queue_count];
        take(world, &flying);
        router_buffer_fini(&flying.body);
        router_buffer_fini(&flying.payload);
    }
    size_t count = router_courier_messages(world->courier, &messages);
    router_courier_check(world->courier);
    world->wake_at_us = router_courier_wake_at_us(world->courier);
    for (size_t i = 0; i < count; i++) {
        hash_in(world, (uint64_t)messages[i].type << 8 | messages[i].node);
        fly(world, messages[i].peer + 1, true, messages[i].type, messages[i].body,
            messages[i].payload);
    }
}

static void world_init_seeds(struct world *world, uint64_t seed, const char *const *addresses,
                             size_t count)
{
    *world = (struct world){.prng = base_prng_seeded(seed), .now_us = 1, .leader = 1};
    const struct base_allocator *allocator = counting_init(&world->counting);
    struct router_courier_config config = {
        .cluster = {{7}},
        .client = {1, 2},
        .seed = seed,
        .seeds = addresses,
        .seed_count = count,
        .request_timeout_ms = 2000,
        .silence_ms = 150,
        .probe_ms = 50,
        .probe_max_ms = 400,
        .resend_ms = 200,
        .inflight_max = 100,
        .inflight_size_max = 1 << 20,
        .message_size_max = 200,
    };
    world->courier =
        router_courier_new(allocator, &config, (struct router_courier_sink){done, world});
    world->arena = wire_arena_new(allocator, 1 << 20);
}

static void world_init(struct world *world, uint64_t seed)
{
    world_init_seeds(world, seed, seeds, 1);
}

static void world_fini(struct world *world)
{
    for (size_t i = 0; i < world->queue_count; i++) {
        router_buffer_fini(&world->queue[i].body);
        router_buffer_fini(&world->queue[i].payload);
    }
    router_courier_free(world->courier);
    wire_arena_free(world->arena);
    counting_fini(&world->counting);
}

static void add_some(struct world *world)
{
    uint32_t owner = (uint32_t)base_prng_range(&world->prng, 0, OWNERS - 1);
    uint32_t key = (uint32_t)base_prng_range(&world->prng, 0, KEYS - 1);
    uint8_t name = (uint8_t)('a' + key);
    struct wire_op op = {.type = WIRE_OP_ADD, .a = 1, .key = base_bytes_of(&name, 1)};
    if (!router_courier_has_room(world->courier, 1, 1))
        return;
    world->added++;
    router_courier_add(world->courier, owner + 1, &op, world, owner * KEYS + key);
}

/* Adds a check and increments of the keys of `whole`. */
static void add_whole(struct world *world, struct whole *whole)
{
    uint8_t ops[512], name = 'a';
    uint16_t count = 1;
    struct wire_op check = {.type = WIRE_OP_CHECK,
                            .condition = whole->fails ? WIRE_IF_PRESENT : WIRE_IF_ABSENT,
                            .key = base_bytes_of(&name, 1)};
    size_t size = wire_op_write(ops, sizeof(ops), &check);
    for (uint32_t key = 0; key < KEYS; key++) {
        name = (uint8_t)('a' + key);
        struct wire_op op = {.type = WIRE_OP_ADD, .a = 1, .key = base_bytes_of(&name, 1)};
        if ((whole->keys >> key & 1) == 0)
            continue;
        size += wire_op_write(ops + size, sizeof(ops) - size, &op);
        count++;
    }
    struct router_courier_request request = {.ops = base_bytes_of(ops, size),
                                             .op_count = count,
                                             .deadline_us = whole->deadline_us,
                                             .call = whole};
    world->added++;
    router_courier_add_request(world->courier, &request);
}

static void add_some_whole(struct world *world, struct whole *whole)
{
    *whole = (struct whole){
        .keys = (unsigned)base_prng_range(&world->prng, 1, (1 << KEYS) - 1),
        .fails = base_prng_chance(&world->prng, 1, 4),
        .deadline_us = world->now_us + base_prng_range(&world->prng, 0, 3000 * 1000),
    };
    if (router_courier_has_room(world->courier, 1, 0))
        add_whole(world, whole);
    else
        whole->deadline_us = UINT64_MAX; /* Never added. */
}

/* One life: faults for a while, then calm until every parcel has its outcome. */
static void live(struct world *world, uint64_t seed)
{
    static struct whole wholes[WHOLES];
    size_t whole_count = 0;
    world_init(world, seed);
    for (unsigned step = 0; step < 1500; step++) {
        world->now_us += base_prng_range(&world->prng, 1, 5000);
        if (base_prng_chance(&world->prng, 1, 60))
            world->leader = (uint32_t)base_prng_range(&world->prng, 0, NODES);
        if (base_prng_chance(&world->prng, 1, 100))
            router_courier_peer_lost(world->courier, (uint32_t)base_prng_range(&world->prng, 0, 2));
        if (base_prng_chance(&world->prng, 2, 3))
            add_some(world);
        if (whole_count < WHOLES && base_prng_chance(&world->prng, 1, 6))
            add_some_whole(world, &wholes[whole_count++]);
        turn(world);
        for (size_t i = 0; i < whole_count; i++)
            cr_assert(wholes[i].outcome != 0 || wholes[i].deadline_us > world->now_us,
                      "told at the deadline");
    }
    world->calm = true;
    world->leader = world->leader == 0 ? 2 : world->leader;
    add_some(world);
    uint64_t end_us = world->now_us + 5 * 1000 * 1000;
    while (router_courier_inflight(world->courier) > 0) {
        cr_assert_lt(world->now_us, end_us, "seed %lu: parcels without an outcome", seed);
        world->now_us += 1000;
        turn(world);
    }
}

/*
 * Over loss, delay, doubled answers, busy leaders and lost ones: every parcel gets one outcome
 * within its time; increments that were acknowledged happened once; those that were said not to
 * have happened did not; and an owner sees its own increments of a key in order.
 */
Test(router_courier, outcomes_are_true_over_faults, .timeout = 120)
{
    static struct world world;
    uint64_t acknowledged = 0, unknown = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        live(&world, seed);
        cr_assert_eq(world.told, world.added, "seed %lu", seed);
        for (uint32_t key = 0; key < KEYS; key++) {
            cr_assert_geq(world.counters[key], world.acknowledged[key], "seed %lu", seed);
            cr_assert_leq(world.counters[key], world.acknowledged[key] + world.unknown[key],
                          "seed %lu: something happened that was said not to have", seed);
            acknowledged += (uint64_t)world.acknowledged[key];
            unknown += (uint64_t)world.unknown[key];
        }
        world_fini(&world);
    }
    cr_assert_gt(acknowledged, 10000); /* The test tests something. */
    cr_assert_gt(unknown, 100);
}

/* The same seed gives the same messages and outcomes. */
Test(router_courier, same_events_same_actions, .timeout = 60)
{
    static struct world world;
    live(&world, 99);
    uint64_t hash = world.hash;
    world_fini(&world);
    live(&world, 99);
    cr_assert_eq(world.hash, hash);
    world_fini(&world);
    live(&world, 98);
    cr_assert_neq(world.hash, hash);
    world_fini(&world);
}

/* Messages that do not belong here are counted and change nothing. */
Test(router_courier, foreign_messages_are_rejected)
{
    static struct world world;
    world_init(&world, 1);
    struct wire_envelope good = {
        .type = WIRE_TYPE_REPLY, .cluster = {{7}}, .storage = {{1}}, .node = 1, .incarnation = 1};
    struct wire_envelope envelopes[5] = {good, good, good, good, good};
    envelopes[0].cluster.bytes[0] = 8;               /* Another cluster. */
    envelopes[1].node = 0;                           /* Not from a node. */
    envelopes[2].body = base_bytes_text("\xff\xff"); /* Not protobuf. */
    envelopes[3].type = WIRE_TYPE_CONSENSUS;         /* Not for a router. */
    /* 4: for a group that is not known. */
    for (size_t i = 0; i < 5; i++) {
        router_courier_receive(world.courier, &envelopes[i]);
        cr_assert_eq(router_courier_counters(world.courier)->messages_rejected, i + 1);
    }
    router_courier_check(world.courier);
    world_fini(&world);
}

/* After a warm-up, commands cost no memory of their own: everything is used again. */
Test(router_courier, steady_state_allocates_nothing)
{
    static struct world world;
    world_init(&world, 5);
    world.calm = true;
    uint64_t calls = 0;
    for (unsigned step = 0; step < 3000; step++) {
        world.now_us += 500;
        router_courier_turn(world.courier, world.now_us);
        uint64_t before = world.counting.call_count;
        if (step > 500)
            add_some(&world);
        calls += step > 2000 ? world.counting.call_count - before : 0;
        turn(&world);
    }
    cr_assert_eq(calls, 0);
    world_fini(&world);
}

/* Adds an operation of an owner on key `a` + key. */
static void add_of(struct world *world, uint32_t owner, uint32_t key, struct wire_op op)
{
    uint8_t name = (uint8_t)('a' + key);
    op.key = base_bytes_of(&name, 1);
    world->added++;
    router_courier_add(world->courier, owner + 1, &op, world, owner * KEYS + key);
}

/* Turns until no more than `left` parcels are without an outcome. */
static void turn_until(struct world *world, size_t left)
{
    for (int i = 0; i < 10000 && router_courier_inflight(world->courier) > left; i++) {
        world->now_us += 100;
        turn(world);
    }
    cr_assert_leq(router_courier_inflight(world->courier), left);
}

/* Requests that stay for long share their places with those that come and go meanwhile. */
Test(router_courier, numbers_may_meet)
{
    enum { APART = 128 /* Places for numbers of requests. */ };
    static struct world world;
    const struct wire_op add = {.type = WIRE_OP_ADD, .a = 1};
    world_init(&world, 3);
    world.calm = true;
    world.silent[0] = 1;
    world.silent[1] = 1 + APART;
    add_of(&world, 0, 0, add);
    for (uint64_t number = 2; number <= APART; number++) {
        add_of(&world, 1, 1, add);
        turn_until(&world, 1);
    }
    add_of(&world, 2, 2, add);
    for (int i = 0; i < 5; i++) {
        world.now_us += 100;
        turn(&world);
    }
    cr_assert_eq(router_courier_inflight(world.courier), 2);
    world.silent[0] = 0; /* The older one ends first, by its next copy. */
    turn_until(&world, 1);
    cr_assert_eq(world.acknowledged[0], 1);
    world.silent[1] = 0;
    turn_until(&world, 0);
    cr_assert_eq(world.acknowledged[2], 1);
    cr_assert_eq(world.acknowledged[1], APART - 1);
    world_fini(&world);
}

/* Memory of large requests is not kept for later ones. */
Test(router_courier, large_requests_leave_nothing_behind)
{
    enum { LARGE = 10000 };
    static struct world world;
    static uint8_t value[LARGE];
    const struct wire_op put = {.type = WIRE_OP_PUT, .value = {value, LARGE}};
    world_init(&world, 3);
    world.calm = world.large = true;
    for (int i = 0; i < 2; i++) {
        add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
        turn_until(&world, 0);
    }
    size_t before = world.counting.bytes;
    counting_peak_reset(&world.counting);
    for (int i = 0; i < 10; i++) {
        for (uint32_t owner = 0; owner < OWNERS; owner++)
            add_of(&world, owner, 0, put);
        turn_until(&world, 0);
    }
    cr_assert_gt(world.counting.bytes_peak, before + 3 * LARGE);
    /* What messages are made of is kept, requests are not. */
    cr_assert_lt(world.counting.bytes, before + 3 * LARGE + LARGE);
    world_fini(&world);
}

/* Whom it speaks to and who leads can be looked at. */
Test(router_courier, shows_its_peers_and_groups)
{
    static struct world world;
    struct router_group_info info;
    world_init(&world, 3);
    world.calm = true;
    cr_assert_eq(router_courier_peer_count(world.courier), 1);
    cr_assert_not(router_courier_group_info(world.courier, 0, &info));
    add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    turn_until(&world, 0);
    size_t count = router_courier_peer_count(world.courier);
    cr_assert_eq(count, NODES); /* The seed is one of them. */
    cr_assert_str_eq(router_courier_peer_address(world.courier, 2), "tcp://127.0.0.1:3");
    cr_assert(router_courier_group_info(world.courier, 0, &info));
    cr_assert_eq(info.group, 1);
    cr_assert_eq(info.leader_node, world.leader);
    cr_assert_eq(info.waiting + info.sent, 0);
    cr_assert_not(router_courier_group_info(world.courier, 1, &info));
    world.silent[0] = 2;
    add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    turn(&world);
    cr_assert(router_courier_group_info(world.courier, 0, &info));
    cr_assert_eq(info.sent, 1);
    world_fini(&world);
}

/* An address that stands among the seeds twice is one to ask. */
Test(router_courier, seeds_may_be_the_same)
{
    static const char *const doubled[] = {seed_address, seed_address, "tcp://127.0.0.1:2",
                                          seed_address};
    static struct world world;
    const struct router_message *messages;
    world_init_seeds(&world, 3, doubled, 4);
    router_courier_turn(world.courier, world.now_us);
    cr_assert_eq(router_courier_messages(world.courier, &messages), 2);
    cr_assert_eq(router_courier_peer_count(world.courier), 2);
    for (uint32_t i = 0; i < 2; i++)
        cr_assert(messages[i].peer == i && messages[i].type == WIRE_TYPE_MAP_REQUEST);
    world_fini(&world);
}

/* Whether a message is taken from a node with this storage: that it has no newer map. */
static bool is_heard(struct world *world, uint32_t node, uint8_t storage)
{
    struct wire_envelope envelope = {.type = WIRE_TYPE_MAP,
                                     .cluster = {{7}},
                                     .storage = {{storage}},
                                     .node = node,
                                     .incarnation = 1};
    uint64_t before = router_courier_counters(world->courier)->messages_rejected;
    router_courier_receive(world->courier, &envelope);
    return router_courier_counters(world->courier)->messages_rejected == before;
}

/* A node is known by its storage once the map says which; one that the map does not have may be
 * newer than the map. */
Test(router_courier, nodes_are_known_by_their_storage)
{
    for (int nameless = 0; nameless < 2; nameless++) {
        static struct world world;
        world_init(&world, 3);
        world.calm = true;
        world.nameless = nameless == 1;
        cr_assert(is_heard(&world, 2, 77), "there is no map yet");
        add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
        turn_until(&world, 0);
        cr_assert(is_heard(&world, 2, 2));
        cr_assert_eq(is_heard(&world, 2, 77), world.nameless);
        cr_assert(is_heard(&world, NODES + 1, 77));
        cr_assert_not(is_heard(&world, 0, 0), "no node at all");
        world_fini(&world);
    }
}

/* A check that does not hold ends a whole request, and nothing of it happens. */
Test(router_courier, a_check_ends_all_of_a_request)
{
    static struct world world;
    struct whole wholes[2] = {{.keys = 3, .fails = true, .deadline_us = UINT64_C(1) << 40},
                              {.keys = 7, .deadline_us = UINT64_C(1) << 40}};
    world_init(&world, 3);
    world.calm = true;
    add_whole(&world, &wholes[0]);
    add_whole(&world, &wholes[1]);
    cr_assert_eq(router_courier_inflight(world.courier), 2, "one parcel each");
    turn_until(&world, 0);
    cr_assert(wholes[0].outcome == ROUTER_ANSWERED && wholes[1].outcome == ROUTER_ANSWERED);
    cr_assert(world.counters[0] == 1 && world.counters[2] == 1);
    world_fini(&world);
}

/* Keys of two groups in one request are refused as soon as a map shows it. */
Test(router_courier, keys_of_two_groups_are_refused)
{
    static struct world world;
    struct whole before = {.keys = (1 << KEYS) - 1, .deadline_us = UINT64_C(1) << 40};
    struct whole after = before, near = before;
    world_init(&world, 3);
    world.calm = world.parted = true;
    uint32_t groups[KEYS], others = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        uint8_t name = (uint8_t)('a' + key);
        groups[key] = ring_vnode(ring_token(base_bytes_of(&name, 1), 1), 1);
        others |= (uint32_t)(groups[key] != groups[0]) << key;
    }
    cr_assert_neq(others, 0, "the keys are spread");
    near.keys = ~others & ((1 << KEYS) - 1);
    add_whole(&world, &before);
    turn_until(&world, 0);
    cr_assert(before.outcome == ROUTER_REFUSED && before.status == TORC_UNSUPPORTED);
    add_whole(&world, &after);
    cr_assert(after.outcome == ROUTER_REFUSED && after.status == TORC_UNSUPPORTED);
    cr_assert_eq(world.counters[0], 0);
    add_whole(&world, &near); /* Goes to its group. */
    cr_assert_eq(near.outcome, 0);
    router_courier_check(world.courier);
    world_fini(&world);
}

/* Keys that part while a copy may have run: the request goes on where its record would be. */
Test(router_courier, parted_keys_do_not_end_what_may_have_run)
{
    static struct world world;
    struct whole whole = {.keys = (1 << KEYS) - 1, .deadline_us = 1500000};
    world_init(&world, 3);
    world.calm = world.parting = true;
    world.silent[0] = 1;
    add_whole(&world, &whole);
    for (int i = 0; i < 100; i++) {
        world.now_us += 100;
        turn(&world);
    }
    cr_assert_eq(router_courier_counters(world.courier)->copies, 1);
    world.silent[0] = 0;
    world.parted = true;
    world.leader = 0;
    router_courier_peer_lost(world.courier, 0);
    for (int i = 0; i < 3000; i++) {
        world.now_us += 100;
        turn(&world);
    }
    cr_assert_eq(router_courier_map(world.courier)->version, 2);
    cr_assert_eq(whole.outcome, 0, "it may have run");
    world.leader = 1;
    turn_until(&world, 0);
    cr_assert_eq(whole.outcome, ROUTER_ANSWERED);
    world_fini(&world);
}

/* Whoever ends tells what is still owed: of what was sent nobody knows, the rest did not happen. */
Test(router_courier, what_is_abandoned_gets_its_outcome)
{
    static struct world world;
    struct whole wholes[WINDOW + 2];
    world_init(&world, 3);
    world.calm = true;
    add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    turn_until(&world, 0);
    for (size_t i = 0; i < WINDOW + 2; i++) {
        wholes[i] = (struct whole){.keys = 1, .deadline_us = UINT64_C(1) << 40};
        add_whole(&world, &wholes[i]);
    }
    turn(&world);
    add_of(&world, 0, 1, (struct wire_op){.type = WIRE_OP_GET});
    router_courier_abandon(world.courier);
    cr_assert_eq(router_courier_inflight(world.courier), 0);
    for (size_t i = 0; i < WINDOW + 2; i++)
        cr_assert_eq(wholes[i].outcome, i < WINDOW ? ROUTER_UNKNOWN : ROUTER_NOTHING_DONE);
    router_courier_check(world.courier);
    world_fini(&world);
}

/* Each request has its own deadline, whatever their order. */
Test(router_courier, deadlines_are_kept_in_any_order)
{
    enum { COUNT = 60 };
    static struct world world;
    struct whole wholes[COUNT];
    world_init(&world, 3);
    world.calm = true;
    world.leader = 0;
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t deadline_us = 1000 + 1000 * base_prng_range(&world.prng, 1, 30);
        wholes[i] = (struct whole){.keys = 1, .deadline_us = deadline_us};
        add_whole(&world, &wholes[i]);
        router_courier_check(world.courier);
    }
    for (; world.now_us < 40000; world.now_us += 500) {
        turn(&world);
        for (size_t i = 0; i < COUNT; i++)
            cr_assert_eq(wholes[i].outcome != 0, wholes[i].deadline_us <= world.now_us);
    }
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(wholes[i].outcome, ROUTER_NOTHING_DONE);
    world_fini(&world);
}

/* What comes when its deadline has come did not happen: it is never sent. */
Test(router_courier, what_comes_too_late_is_not_sent)
{
    static struct world world;
    world_init(&world, 3);
    world.calm = true;
    add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    turn_until(&world, 0);
    router_courier_turn(world.courier, world.now_us);
    for (uint64_t late_us = 0; late_us < 2; late_us++) {
        struct whole whole = {.keys = 1, .deadline_us = world.now_us - late_us};
        add_whole(&world, &whole);
        cr_assert_eq(whole.outcome, ROUTER_NOTHING_DONE);
        cr_assert_eq(router_courier_inflight(world.courier), 0);
    }
    turn(&world);
    const struct router_courier_counters *counters = router_courier_counters(world.courier);
    cr_assert(counters->copies == 1 && counters->requests == 3 && counters->nothing_done == 2);
    world_fini(&world);
}

/* Adds a read of key `a` that any replica may answer. */
static void add_stale(struct world *world, struct whole *whole)
{
    uint8_t ops[64];
    struct wire_op op = {.type = WIRE_OP_GET, .key = base_bytes_text("a")};
    struct router_courier_request request = {
        .ops = base_bytes_of(ops, wire_op_write(ops, sizeof(ops), &op)),
        .op_count = 1,
        .flags = WIRE_REQUEST_STALE,
        .staleness_ms = 7000,
        .deadline_us = whole->deadline_us,
        .call = whole};
    router_courier_add_request(world->courier, &request);
}

/* Without a leader, or with one that is silent, a stale read is put to the other replicas; those
 * that may not answer are not waited for. */
Test(router_courier, stale_reads_need_no_leader)
{
    static struct world world;
    struct whole whole = {.deadline_us = 2000000};
    world_init(&world, 3);
    world.calm = world.fresh = true;
    world.leader = 0;
    add_stale(&world, &whole);
    turn_until(&world, 0);
    cr_assert_eq(whole.outcome, ROUTER_ANSWERED);
    cr_assert_lt(world.now_us, 100000, "one round of questions to find out who takes requests");

    world.leader = 1;
    add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    turn_until(&world, 0);
    world.stopped = 1;
    uint64_t before_us = world.now_us;
    whole = (struct whole){.deadline_us = before_us + 2000000};
    add_stale(&world, &whole);
    turn_until(&world, 0);
    cr_assert_eq(whole.outcome, ROUTER_ANSWERED);
    cr_assert_lt(world.now_us, before_us + 300000, "a silence and a round");

    world.fresh = false;
    whole = (struct whole){.deadline_us = world.now_us + 900000};
    add_stale(&world, &whole);
    turn_until(&world, 0);
    cr_assert_eq(whole.outcome, ROUTER_NOTHING_DONE, "nobody is fresh");
    world_fini(&world);
}

/* A large request is sent from where it lies, without a copy, and the next one in the next turn,
 * which is asked for at once. */
Test(router_courier, large_requests_are_sent_in_place)
{
    enum { LARGE = 400000, COUNT = 3 };
    static struct world world;
    static uint8_t value[LARGE];
    const struct router_message *messages;
    world_init(&world, 3);
    world.calm = true;
    add_of(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    turn_until(&world, 0);
    router_courier_turn(world.courier, world.now_us);
    for (uint32_t i = 0; i < COUNT; i++)
        add_of(&world, i, i, (struct wire_op){.type = WIRE_OP_PUT, .value = {value, LARGE}});
    size_t before = world.counting.bytes, sent = 0;
    counting_peak_reset(&world.counting);
    for (size_t turns = 0; sent < COUNT; turns++) {
        cr_assert_leq(turns, COUNT + 1);
        router_courier_turn(world.courier, world.now_us);
        size_t count = router_courier_messages(world.courier, &messages), larges = 0;
        for (size_t i = 0; i < count; i++)
            larges += messages[i].payload.size > LARGE;
        cr_assert_leq(larges, 1);
        sent += larges;
        cr_assert_eq(router_courier_wake_at_us(world.courier) <= world.now_us, sent < COUNT);
    }
    cr_assert_lt(world.counting.bytes_peak, before + LARGE / 4);
    world_fini(&world);
}
