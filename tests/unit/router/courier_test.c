#include <criterion/criterion.h>
#include <string.h>

#include "base/hlc.h"
#include "ring/token.h"
#include "tests/unit/router/courier_world.h"

enum { WHOLES = 200 };

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

static void add_some_whole(struct world *world, struct whole *whole)
{
    *whole = (struct whole){
        .keys = (unsigned)base_prng_range(&world->prng, 1, (1 << KEYS) - 1),
        .fails = base_prng_chance(&world->prng, 1, 4),
        .deadline_us = world->now_us + base_prng_range(&world->prng, 0, 3000 * 1000),
    };
    if (router_courier_has_room(world->courier, 1, 0))
        world_add_whole(world, whole);
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
        world_turn(world);
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
        world_turn(world);
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
        world_turn(&world);
    }
    cr_assert_eq(calls, 0);
    world_fini(&world);
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
    world_add(&world, 0, 0, add);
    for (uint64_t number = 2; number <= APART; number++) {
        world_add(&world, 1, 1, add);
        world_turn_until(&world, 1);
    }
    world_add(&world, 2, 2, add);
    for (int i = 0; i < 5; i++) {
        world.now_us += 100;
        world_turn(&world);
    }
    cr_assert_eq(router_courier_inflight(world.courier), 2);
    world.silent[0] = 0; /* The older one ends first, by its next copy. */
    world_turn_until(&world, 1);
    cr_assert_eq(world.acknowledged[0], 1);
    world.silent[1] = 0;
    world_turn_until(&world, 0);
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
        world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
        world_turn_until(&world, 0);
    }
    size_t before = world.counting.bytes;
    counting_peak_reset(&world.counting);
    for (int i = 0; i < 10; i++) {
        for (uint32_t owner = 0; owner < OWNERS; owner++)
            world_add(&world, owner, 0, put);
        world_turn_until(&world, 0);
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
    world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    world_turn_until(&world, 0);
    size_t count = router_courier_peer_count(world.courier);
    cr_assert_eq(count, NODES); /* The seed is one of them. */
    cr_assert_str_eq(router_courier_peer_address(world.courier, 2), "tcp://127.0.0.1:3");
    cr_assert(router_courier_group_info(world.courier, 0, &info));
    cr_assert_eq(info.group, 1);
    cr_assert_eq(info.leader_node, world.leader);
    cr_assert_eq(info.waiting + info.sent, 0);
    cr_assert_not(router_courier_group_info(world.courier, 1, &info));
    world.silent[0] = 2;
    world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    world_turn(&world);
    cr_assert(router_courier_group_info(world.courier, 0, &info));
    cr_assert_eq(info.sent, 1);
    world_fini(&world);
}

/* An address that stands among the seeds twice is one to ask. */
Test(router_courier, seeds_may_be_the_same)
{
    static const char *const doubled[] = {"tcp://127.0.0.1:1", "tcp://127.0.0.1:1",
                                          "tcp://127.0.0.1:2", "tcp://127.0.0.1:1"};
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
        world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
        world_turn_until(&world, 0);
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
    world_add_whole(&world, &wholes[0]);
    world_add_whole(&world, &wholes[1]);
    cr_assert_eq(router_courier_inflight(world.courier), 2, "one parcel each");
    world_turn_until(&world, 0);
    cr_assert(wholes[0].outcome == ROUTER_ANSWERED && wholes[1].outcome == ROUTER_ANSWERED);
    cr_assert(world.counters[0] == 1 && world.counters[2] == 1);
    world_fini(&world);
}

/* Reads of two groups in one request are refused as soon as a map shows it; writes are not. */
Test(router_courier, reads_of_two_groups_are_refused)
{
    static struct world world;
    struct whole before = {
        .keys = (1 << KEYS) - 1, .deadline_us = UINT64_C(1) << 40, .reads = true};
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
    world_add_whole(&world, &before);
    world_turn_until(&world, 0);
    cr_assert(before.outcome == ROUTER_REFUSED && before.status == TORC_UNSUPPORTED);
    world_add_whole(&world, &after);
    cr_assert(after.outcome == ROUTER_REFUSED && after.status == TORC_UNSUPPORTED);
    cr_assert_eq(world.counters[0], 0);
    world_add_whole(&world, &near); /* Goes to its group. */
    cr_assert_eq(near.outcome, 0);
    struct whole writing = after;
    writing.reads = false;
    writing.outcome = 0;
    world_add_whole(&world, &writing); /* Goes to that of the first key that it writes. */
    cr_assert_eq(writing.outcome, 0);
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
    world_add_whole(&world, &whole);
    for (int i = 0; i < 100; i++) {
        world.now_us += 100;
        world_turn(&world);
    }
    cr_assert_eq(router_courier_counters(world.courier)->copies, 1);
    world.silent[0] = 0;
    world.parted = true;
    world.leader = 0;
    router_courier_peer_lost(world.courier, 0);
    for (int i = 0; i < 3000; i++) {
        world.now_us += 100;
        world_turn(&world);
    }
    cr_assert_eq(router_courier_map(world.courier)->version, 2);
    cr_assert_eq(whole.outcome, 0, "it may have run");
    world.leader = 1;
    world_turn_until(&world, 0);
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
    world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    world_turn_until(&world, 0);
    for (size_t i = 0; i < WINDOW + 2; i++) {
        wholes[i] = (struct whole){.keys = 1, .deadline_us = UINT64_C(1) << 40};
        world_add_whole(&world, &wholes[i]);
    }
    world_turn(&world);
    world_add(&world, 0, 1, (struct wire_op){.type = WIRE_OP_GET});
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
        world_add_whole(&world, &wholes[i]);
        router_courier_check(world.courier);
    }
    for (; world.now_us < 40000; world.now_us += 500) {
        world_turn(&world);
        for (size_t i = 0; i < COUNT; i++)
            cr_assert_eq(wholes[i].outcome != 0, wholes[i].deadline_us <= world.now_us);
    }
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(wholes[i].outcome, ROUTER_NOTHING_DONE);
    world_fini(&world);
}

/* The longest deadline is kept with what nodes allow by preset; where they allow less, an eighth of
 * that is left for what clocks differ by. */
Test(router_courier, last_times_are_what_nodes_allow)
{
    static const uint64_t most_ms[] = {60000, 8000}, kept_ms[] = {ROUTER_TIMEOUT_MS_MAX, 7000};
    for (size_t i = 0; i < 2; i++) {
        static struct world world;
        world_init(&world, 3);
        world.calm = true;
        world.request_time_max_ms = most_ms[i];
        world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
        world_turn_until(&world, 0);
        struct whole whole = {.keys = 1,
                              .deadline_us = world.now_us + ROUTER_TIMEOUT_MS_MAX * 1000ull};
        uint64_t now_ms = 1000000 + world.now_us / 1000;
        world_add_whole(&world, &whole);
        world_turn_until(&world, 0);
        int64_t late_ms = (int64_t)(base_hlc_to_ms(world.last_time) - now_ms - kept_ms[i]);
        cr_assert(late_ms >= -1 && late_ms <= 1, "%ld", (long)late_ms);
        world_fini(&world);
    }
}

/* What comes when its deadline has come did not happen: it is never sent. */
Test(router_courier, what_comes_too_late_is_not_sent)
{
    static struct world world;
    world_init(&world, 3);
    world.calm = true;
    world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    world_turn_until(&world, 0);
    router_courier_turn(world.courier, world.now_us);
    for (uint64_t late_us = 0; late_us < 2; late_us++) {
        struct whole whole = {.keys = 1, .deadline_us = world.now_us - late_us};
        world_add_whole(&world, &whole);
        cr_assert_eq(whole.outcome, ROUTER_NOTHING_DONE);
        cr_assert_eq(router_courier_inflight(world.courier), 0);
    }
    world_turn(&world);
    const struct router_courier_counters *counters = router_courier_counters(world.courier);
    cr_assert(counters->copies == 1 && counters->requests == 3 && counters->nothing_done == 2);
    world_fini(&world);
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
    world_add_stale(&world, &whole);
    world_turn_until(&world, 0);
    cr_assert_eq(whole.outcome, ROUTER_ANSWERED);
    cr_assert_lt(world.now_us, 100000, "one round of questions to find out who takes requests");

    world.leader = 1;
    world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    world_turn_until(&world, 0);
    world.stopped = 1;
    uint64_t before_us = world.now_us;
    whole = (struct whole){.deadline_us = before_us + 2000000};
    world_add_stale(&world, &whole);
    world_turn_until(&world, 0);
    cr_assert_eq(whole.outcome, ROUTER_ANSWERED);
    cr_assert_lt(world.now_us, before_us + 300000, "a silence and a round");

    world.fresh = false;
    whole = (struct whole){.deadline_us = world.now_us + 900000};
    world_add_stale(&world, &whole);
    world_turn_until(&world, 0);
    cr_assert_eq(whole.outcome, ROUTER_NOTHING_DONE, "nobody is fresh");
    world_fini(&world);
}

/* The same when the leader that is silent has taken as much as it lets a client send: a stale read
 * that could not be sent to it at all does not wait for its return. */
Test(router_courier, stale_reads_need_no_credit)
{
    enum { READ_LATER_US = 450000 /* What was sent has been taken back by then. */ };
    for (uint64_t late_us = 0; late_us <= READ_LATER_US; late_us += READ_LATER_US) {
        static struct world world;
        world_init(&world, 3);
        world.calm = world.fresh = true;
        world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
        world_turn_until(&world, 0);
        world.stopped = world.leader;
        for (uint32_t i = 0; i < WINDOW; i++)
            world_add(&world, i % OWNERS, i, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
        for (uint64_t until_us = world.now_us + late_us; world.now_us <= until_us;
             world.now_us += 100)
            world_turn(&world);
        uint64_t before_us = world.now_us;
        struct whole whole = {.deadline_us = before_us + 1000000};
        world_add_stale(&world, &whole);
        world_turn_until(&world, WINDOW);
        cr_assert_eq(whole.outcome, ROUTER_ANSWERED);
        cr_assert_lt(world.now_us, before_us + 300000, "a silence and a round");
        world_fini(&world);
    }
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
    world_add(&world, 0, 0, (struct wire_op){.type = WIRE_OP_ADD, .a = 1});
    world_turn_until(&world, 0);
    router_courier_turn(world.courier, world.now_us);
    for (uint32_t i = 0; i < COUNT; i++)
        world_add(&world, i, i, (struct wire_op){.type = WIRE_OP_PUT, .value = {value, LARGE}});
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
