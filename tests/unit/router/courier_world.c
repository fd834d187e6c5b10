#include "tests/unit/router/courier_world.h"

#include <criterion/criterion.h>

#include "base/hlc.h"
#include "ring/token.h"
#include "wire/body.h"

static char seed_address[] = "tcp://127.0.0.1:1";
static const char *const seeds[] = {seed_address};

static void hash_in(struct world *world, uint64_t number)
{
    world->hash = (world->hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    world->hash ^= world->hash >> 29;
}

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
        world->last_time = request.last_time;
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
        welcome.request_time_max_ms = world->request_time_max_ms;
        welcome.credit = ((const Torc__Wire__Hello *)body)->sequence + WINDOW;
        welcome.map_version = map_version(world);
        welcome.leader_node = world->leader;
        answer(world, flying->node, WIRE_TYPE_WELCOME, &welcome.base, base_bytes_of(NULL, 0));
    } else {
        take_request(world, flying->node, (const Torc__Wire__Request *)body, envelope.payload);
    }
}

void world_turn(struct world *world)
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

void world_init_seeds(struct world *world, uint64_t seed, const char *const *addresses,
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

void world_init(struct world *world, uint64_t seed)
{
    world_init_seeds(world, seed, seeds, 1);
}

void world_fini(struct world *world)
{
    for (size_t i = 0; i < world->queue_count; i++) {
        router_buffer_fini(&world->queue[i].body);
        router_buffer_fini(&world->queue[i].payload);
    }
    router_courier_free(world->courier);
    wire_arena_free(world->arena);
    counting_fini(&world->counting);
}

void world_add_whole(struct world *world, struct whole *whole)
{
    uint8_t ops[512], name = 'a';
    uint16_t count = 1;
    struct wire_op check = {.type = WIRE_OP_CHECK,
                            .condition = whole->fails ? WIRE_IF_PRESENT : WIRE_IF_ABSENT,
                            .key = base_bytes_of(&name, 1)};
    size_t size = wire_op_write(ops, sizeof(ops), &check);
    for (uint32_t key = 0; key < KEYS; key++) {
        name = (uint8_t)('a' + key);
        struct wire_op op = {.type = whole->reads ? WIRE_OP_GET : WIRE_OP_ADD,
                             .a = !whole->reads,
                             .key = base_bytes_of(&name, 1)};
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

void world_add(struct world *world, uint32_t owner, uint32_t key, struct wire_op op)
{
    uint8_t name = (uint8_t)('a' + key);
    op.key = base_bytes_of(&name, 1);
    world->added++;
    router_courier_add(world->courier, owner + 1, &op, world, owner * KEYS + key);
}

void world_turn_until(struct world *world, size_t left)
{
    for (int i = 0; i < 10000 && router_courier_inflight(world->courier) > left; i++) {
        world->now_us += 100;
        world_turn(world);
    }
    cr_assert_leq(router_courier_inflight(world->courier), left);
}

void world_add_stale(struct world *world, struct whole *whole)
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
