#include "router/libtorc/client.h"

#include <criterion/criterion.h>

#include "base/hlc.h"
#include "ring/token.h"
#include "router/libtorc/request.h"
#include "tests/lib/counting.h"
#include "wire/body.h"

/*
 * A made-up cluster around the client: one node that leads two groups, each of which holds a few
 * keys and answers at once, or not at all while it is silent.
 */
enum { GROUPS = 2, KEYS = 40, PAGE_MAX = 3, MESSAGES_MAX = 64 };

struct key {
    uint64_t token;
    uint8_t name;
};

struct world {
    struct counting counting;
    struct libtorc_client *client;
    struct wire_arena *arena;
    uint64_t now_us;
    bool mapless, silent;
    struct key keys[KEYS]; /* Rising by token. */
    size_t key_count;
    uint64_t sequence;
    struct { /* What the node has said and the client has not heard. */
        enum wire_type type;
        struct router_buffer body, payload;
    } queue[MESSAGES_MAX];
    size_t queue_count;
};

static const char *const seeds[] = {"tcp://127.0.0.1:1"};

static uint32_t group_of(uint64_t token)
{
    return 1 + ring_vnode(token, 1);
}

static void say(struct world *world, enum wire_type type, const ProtobufCMessage *body,
                struct base_bytes payload)
{
    uint8_t packed[1024];
    size_t size = protobuf_c_message_pack(body, packed);
    cr_assert_lt(world->queue_count, MESSAGES_MAX);
    size_t at = world->queue_count++;
    world->queue[at].type = type;
    world->queue[at].body = router_buffer_empty(&world->counting.allocator);
    world->queue[at].payload = router_buffer_empty(&world->counting.allocator);
    router_buffer_append(&world->queue[at].body, base_bytes_of(packed, size));
    router_buffer_append(&world->queue[at].payload, payload);
}

static void say_map(struct world *world)
{
    static uint8_t cluster[16] = {7}, storage[16] = {1};
    Torc__Wire__Node node = TORC__WIRE__NODE__INIT, *nodes[] = {&node};
    Torc__Wire__Replica replica = TORC__WIRE__REPLICA__INIT, *replicas[] = {&replica};
    Torc__Wire__Group groups[GROUPS], *group_list[GROUPS];
    Torc__Wire__Ring ring = TORC__WIRE__RING__INIT;
    Torc__Wire__Limits limits = TORC__WIRE__LIMITS__INIT;
    Torc__Wire__Map map = TORC__WIRE__MAP__INIT;
    Torc__Wire__MapReply reply = TORC__WIRE__MAP_REPLY__INIT;
    uint32_t owners[] = {1, 2};
    uint64_t epochs[] = {1, 1};
    node.id = replica.node = 1;
    replica.id = 1;
    node.storage = (ProtobufCBinaryData){16, storage};
    node.address = (char *)(uintptr_t)seeds[0];
    replica.voter = true;
    for (uint32_t i = 0; i < GROUPS; i++) {
        groups[i] = (Torc__Wire__Group)TORC__WIRE__GROUP__INIT;
        groups[i].id = i + 1;
        groups[i].n_replicas = 1;
        groups[i].replicas = replicas;
        group_list[i] = &groups[i];
    }
    ring.n_owners = ring.n_epochs = 2;
    ring.owners = owners;
    ring.epochs = epochs;
    limits.key_size_max = limits.value_size_max = 100;
    limits.request_size_max = 1000;
    map.version = 1;
    map.cluster = (ProtobufCBinaryData){16, cluster};
    map.n_nodes = 1;
    map.nodes = nodes;
    map.n_groups = GROUPS;
    map.groups = group_list;
    map.ring = &ring;
    map.limits = &limits;
    reply.map = &map;
    reply.version = 1;
    say(world, WIRE_TYPE_MAP, &reply.base, base_bytes_of(NULL, 0));
}

/* Keys of a group from a token on, at most PAGE_MAX of them and `op->b`. */
static size_t walk(const struct world *world, uint32_t group, const struct wire_op *op, uint8_t *at,
                   size_t capacity)
{
    uint8_t rows[1024];
    size_t size = 0, count = 0, i = 0;
    uint64_t most = op->b < PAGE_MAX ? op->b : PAGE_MAX;
    for (; i < world->key_count; i++) {
        const struct key *key = &world->keys[i];
        if (key->token < op->a || group_of(key->token) != group)
            continue;
        if (count == most)
            break;
        count++;
        size += wire_key_write(rows + size, sizeof(rows) - size, key->token,
                               base_bytes_of(&key->name, 1));
    }
    struct wire_result result = {.kind = WIRE_RESULT_KEYS,
                                 .number = i < world->key_count ? world->keys[i].token : 0,
                                 .bytes = base_bytes_of(rows, size)};
    uint8_t number[8];
    base_put_le64(number, count);
    if (op->type != WIRE_OP_SCAN)
        result.bytes = base_bytes_of(number, sizeof(number));
    return wire_result_write(at, capacity, &result);
}

static size_t execute(const struct world *world, uint32_t group, const struct wire_request *request,
                      uint8_t *out, size_t capacity)
{
    struct wire_op op;
    size_t size = wire_answer_begin(out, capacity, WIRE_DONE, request->number, 5, 0);
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op);) {
        struct wire_result result = {.kind = WIRE_RESULT_INTEGER, .number = op.a, .version = 1};
        if (op.key.size == 0)
            size += walk(world, group, &op, out + size, capacity - size);
        else
            size += wire_result_write(out + size, capacity - size, &result);
    }
    wire_answer_end(out, size, request->op_count);
    return size;
}

static void hear_request(struct world *world, const Torc__Wire__Request *message,
                         struct base_bytes rest)
{
    static const struct wire_limits limits = {100, 100, 1000};
    uint8_t payload[8192];
    size_t size = 0;
    Torc__Wire__Reply reply = TORC__WIRE__REPLY__INIT;
    for (uint32_t i = 0; i < message->request_count; i++) {
        struct wire_request request;
        cr_assert_eq(wire_request_read(rest, &limits, &request), TORC_OK);
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
        size += execute(world, message->group, &request, payload + size, sizeof(payload) - size);
    }
    reply.group = message->group;
    reply.answer_count = message->request_count;
    reply.clock = reply.stamp = base_hlc_from_ms(1000000);
    reply.credit = message->sequence + 100;
    reply.map_version = 1;
    reply.leader_node = 1;
    say(world, WIRE_TYPE_REPLY, &reply.base, base_bytes_of(payload, size));
}

static void hear(struct world *world, const struct router_message *message)
{
    const ProtobufCMessage *body;
    struct wire_envelope envelope = {.type = message->type, .body = message->body};
    cr_assert_eq(wire_body_read(world->arena, &envelope, &body), TORC_OK);
    if (message->type == WIRE_TYPE_MAP_REQUEST && !world->mapless) {
        say_map(world);
    } else if (message->type == WIRE_TYPE_HELLO) {
        Torc__Wire__Welcome welcome = TORC__WIRE__WELCOME__INIT;
        welcome.group = ((const Torc__Wire__Hello *)body)->group;
        welcome.clock = welcome.stamp = base_hlc_from_ms(1000000);
        welcome.credit = 100;
        welcome.map_version = 1;
        welcome.leader_node = 1;
        say(world, WIRE_TYPE_WELCOME, &welcome.base, base_bytes_of(NULL, 0));
    } else if (message->type == WIRE_TYPE_REQUEST && !world->silent) {
        hear_request(world, (const Torc__Wire__Request *)body, message->payload);
    }
}

static void turn(struct world *world)
{
    const struct router_message *messages;
    struct router_courier *courier = libtorc_client_courier(world->client);
    for (size_t i = 0; i < world->queue_count; i++) {
        struct wire_envelope envelope = {.type = world->queue[i].type,
                                         .cluster = {{7}},
                                         .storage = {{1}},
                                         .node = 1,
                                         .incarnation = 1,
                                         .body = router_buffer_bytes(&world->queue[i].body),
                                         .payload = router_buffer_bytes(&world->queue[i].payload)};
        router_courier_receive(courier, &envelope);
        router_buffer_fini(&world->queue[i].body);
        router_buffer_fini(&world->queue[i].payload);
    }
    world->queue_count = 0;
    size_t count = libtorc_client_messages(world->client, &messages);
    for (size_t i = 0; i < count; i++)
        hear(world, &messages[i]);
    router_courier_check(courier);
}

static void world_init(struct world *world)
{
    struct router_courier_config config = {
        .cluster = {{7}},
        .client = {1, 2},
        .seeds = seeds,
        .seed_count = 1,
        .request_timeout_ms = 2000,
        .silence_ms = 150,
        .probe_ms = 50,
        .probe_max_ms = 400,
        .resend_ms = 200,
        .inflight_max = 100,
        .inflight_size_max = 1 << 20,
        .message_size_max = 1000,
    };
    *world = (struct world){.now_us = 1};
    world->client = libtorc_client_new(counting_init(&world->counting), &config);
    world->arena = wire_arena_new(&world->counting.allocator, 1 << 20);
    for (uint64_t i = 0; i < KEYS; i++) /* Neighbours in pairs, as a cursor sees them. */
        world->keys[i] =
            (struct key){(i / 2) * 2 * UINT64_C(0x0640000000000001) + i % 2, (uint8_t)('0' + i)};
    world->key_count = KEYS;
    router_courier_turn(libtorc_client_courier(world->client), world->now_us);
}

static void world_fini(struct world *world)
{
    for (size_t i = 0; i < world->queue_count; i++) {
        router_buffer_fini(&world->queue[i].body);
        router_buffer_fini(&world->queue[i].payload);
    }
    libtorc_client_free(world->client);
    wire_arena_free(world->arena);
    counting_fini(&world->counting);
}

/* Turns until a call has its reply, or a time has come. */
static struct libtorc_call *await(struct world *world, uint64_t until_us)
{
    struct libtorc_call *call;
    turn(world);
    while ((call = libtorc_client_done(world->client)) == NULL && world->now_us < until_us) {
        world->now_us += 1000;
        router_courier_turn(libtorc_client_courier(world->client), world->now_us);
        turn(world);
    }
    return call;
}

static struct libtorc_call *add_call(struct world *world, uint64_t deadline_us)
{
    struct torc_request *request = torc_request_new();
    torc_request_add(request, torc_text("k"), 5);
    struct libtorc_call *call =
        libtorc_call_new(router_buffer_bytes(&request->ops), request->op_count);
    torc_request_free(request);
    call->deadline_us = deadline_us;
    libtorc_client_add(world->client, call);
    return call;
}

static struct libtorc_call *add_walk(struct world *world, struct libtorc_walk *walk,
                                     uint64_t deadline_us)
{
    struct libtorc_call *call = libtorc_call_new(base_bytes_of(NULL, 0), 0);
    walk->timeout_us = 100000;
    walk->rows = router_buffer_empty(&world->counting.allocator);
    call->walk = walk;
    call->deadline_us = deadline_us;
    libtorc_client_add(world->client, call);
    return call;
}

/* A call goes to its leader and comes back with its reply. */
Test(libtorc_client, a_call_gets_its_reply)
{
    static struct world world;
    world_init(&world);
    struct libtorc_call *call = add_call(&world, 1000000);
    cr_assert_eq(await(&world, 500000), call);
    cr_assert_eq(torc_reply_outcome(call->reply), TORC_HAPPENED);
    cr_assert_eq(torc_reply_result(call->reply, 0)->number, 5);
    libtorc_call_free(call);
    world_fini(&world);
}

/* Each ends by its own deadline, with what is true of it. */
Test(libtorc_client, deadlines_are_told_apart)
{
    static struct world world;
    world_init(&world);
    world.mapless = true;
    struct libtorc_call *call = add_call(&world, 20000);
    cr_assert_leq(libtorc_client_wake_at_us(world.client), 20000);
    cr_assert_eq(await(&world, 500000), call);
    cr_assert_leq(world.now_us, 21000);
    cr_assert_eq(torc_reply_status(call->reply), TORC_TIMEOUT);
    libtorc_call_free(call);

    world.mapless = false;
    world.silent = true;
    call = add_call(&world, world.now_us + 900000);
    cr_assert_eq(await(&world, world.now_us + 2000000), call);
    cr_assert_eq(torc_reply_outcome(call->reply), TORC_OUTCOME_UNKNOWN, "it was sent");
    libtorc_call_free(call);
    world_fini(&world);
}

/* A call whose deadline passed while it was queued did not happen, and is not sent. */
Test(libtorc_client, a_call_that_was_queued_too_long_does_not_happen)
{
    static struct world world;
    world_init(&world);
    add_call(&world, 1000000);
    libtorc_call_free(await(&world, 500000));
    uint64_t copies = router_courier_counters(libtorc_client_courier(world.client))->copies;
    struct libtorc_call *call = add_call(&world, world.now_us - 1);
    cr_assert_eq(await(&world, world.now_us), call);
    cr_assert_eq(torc_reply_outcome(call->reply), TORC_DID_NOT_HAPPEN);
    cr_assert_eq(torc_reply_status(call->reply), TORC_TIMEOUT);
    cr_assert_str_eq(torc_reply_text(call->reply), "its deadline came before it could be sent");
    cr_assert_eq(router_courier_counters(libtorc_client_courier(world.client))->copies, copies);
    libtorc_call_free(call);
    world_fini(&world);
}

/* A walk waits for the map, but not past its deadline. */
Test(libtorc_client, walks_wait_for_the_map)
{
    static struct world world;
    struct libtorc_walk walk = {.type = WIRE_OP_COUNT, .count = 100};
    world_init(&world);
    world.mapless = true;
    struct libtorc_call *call = add_walk(&world, &walk, 30000);
    turn(&world);
    cr_assert_leq(libtorc_client_wake_at_us(world.client), 30000);
    cr_assert_eq(await(&world, 100000), call);
    cr_assert(walk.status == TORC_TIMEOUT && torc_reply_status(call->reply) == TORC_TIMEOUT);
    libtorc_call_free(call);

    walk.status = TORC_OK;
    call = add_walk(&world, &walk, world.now_us + 900000);
    cr_assert_null(await(&world, world.now_us + 10000));
    world.mapless = false;
    cr_assert_eq(await(&world, world.now_us + 800000), call);
    cr_assert(walk.status == TORC_OK && walk.sum == KEYS);
    libtorc_call_free(call);
    world_fini(&world);
}

/* A step of a scan says up to where all groups are complete. */
Test(libtorc_client, a_scan_is_bounded_by_the_least)
{
    static struct world world;
    struct libtorc_walk walk = {.type = WIRE_OP_SCAN, .count = 100};
    world_init(&world);
    struct libtorc_call *call = add_walk(&world, &walk, 1000000);
    cr_assert_eq(await(&world, 800000), call);
    cr_assert(walk.status == TORC_OK && walk.bounded);
    cr_assert_eq(walk.bound, world.keys[PAGE_MAX].token, "of the first group, the lower one");
    uint64_t token;
    struct base_bytes key;
    size_t cursor = 0, count = 0;
    while (wire_key_next(router_buffer_bytes(&walk.rows), &cursor, &token, &key) == TORC_OK)
        count++;
    cr_assert_eq(count, GROUPS * PAGE_MAX);
    router_buffer_fini(&walk.rows);
    libtorc_call_free(call);
    world_fini(&world);
}

/* Every step of a walk has its timeout from when it begins, however long ago the last turn was. */
Test(libtorc_client, steps_of_a_walk_have_their_time)
{
    static struct world world;
    struct libtorc_walk walk = {.type = WIRE_OP_COUNT, .count = 100};
    world_init(&world);
    add_call(&world, 1000000);
    libtorc_call_free(await(&world, 500000)); /* The leaders are known. */
    struct libtorc_call *call = add_walk(&world, &walk, 1000000), *done;
    do { /* Each answer takes most of a step's time. */
        turn(&world);
        done = libtorc_client_done(world.client);
        world.now_us += 90000;
        router_courier_turn(libtorc_client_courier(world.client), world.now_us);
    } while (done == NULL);
    cr_assert_eq(done, call);
    cr_assert(walk.status == TORC_OK && walk.sum == KEYS);
    libtorc_call_free(call);
    world_fini(&world);
}

/* When a group does not answer, the walk says so; of keys that it was to delete nobody knows. */
Test(libtorc_client, walks_that_fail_say_so)
{
    static struct world world;
    struct libtorc_walk count = {.type = WIRE_OP_COUNT, .count = 100};
    struct libtorc_walk clear = {.type = WIRE_OP_CLEAR, .count = 100};
    world_init(&world);
    world.silent = true;
    struct libtorc_call *call = add_walk(&world, &count, 1000000);
    cr_assert_eq(await(&world, 2000000), call);
    cr_assert_eq(torc_reply_outcome(call->reply), TORC_DID_NOT_HAPPEN);
    cr_assert_eq(torc_reply_status(call->reply), TORC_TIMEOUT);
    libtorc_call_free(call);
    call = add_walk(&world, &clear, world.now_us + 1000000);
    cr_assert_eq(await(&world, world.now_us + 2000000), call);
    cr_assert_eq(torc_reply_outcome(call->reply), TORC_OUTCOME_UNKNOWN);
    libtorc_call_free(call);
    world_fini(&world);
}

/* Closing ends all at once: what was sent is unknown, the rest did not happen. */
Test(libtorc_client, closing_ends_every_call)
{
    static struct world world;
    struct libtorc_walk walk = {.type = WIRE_OP_COUNT, .count = 100};
    struct libtorc_walk late = {.type = WIRE_OP_COUNT, .count = 100};
    world_init(&world);
    world.silent = true;
    struct libtorc_call *sent = add_call(&world, 1000000);
    add_walk(&world, &walk, 1000000);
    cr_assert_null(await(&world, 50000));
    struct libtorc_call *unsent = add_call(&world, 1000000);
    add_walk(&world, &late, 1000000);
    libtorc_client_close(world.client);
    size_t count = 0;
    for (struct libtorc_call *call; (call = libtorc_client_done(world.client)) != NULL; count++) {
        cr_assert_eq(torc_reply_status(call->reply), TORC_CLOSED);
        cr_assert_eq(torc_reply_outcome(call->reply),
                     call == sent ? TORC_OUTCOME_UNKNOWN : TORC_DID_NOT_HAPPEN);
        cr_assert(call != unsent || torc_reply_count(call->reply) == 0);
        libtorc_call_free(call);
    }
    cr_assert_eq(count, 4);
    world_fini(&world);
}
