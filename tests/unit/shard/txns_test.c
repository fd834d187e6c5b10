#include "shard/txns.h"

#include <criterion/criterion.h>

#include "base/hlc.h"
#include "ring/token.h"
#include "tests/lib/machine_fixture.h"

/* Two groups, A with the lower half of the vnodes and B with the upper, whose logs are atomic: what
 * a turn proposes is one entry. */
enum { A = 1, B = 2, GROUPS = 2, MESSAGES_MAX = 64, ENTRY_MAX = 4096, ASK_MS = 500 };

struct group {
    struct fixture fixture;
    struct shard_txns *txns;
    uint64_t round;
    bool deaf; /* Hears no messages. */
    uint32_t answered;
    enum wire_answer_status status; /* Of the newest answer. */
    uint8_t answer[2048];
    size_t answer_size;
};

struct message {
    struct shard_txn_message message;
    uint8_t payload[1024];
};

struct world {
    struct group groups[GROUPS];
    struct message messages[MESSAGES_MAX];
    size_t message_count;
    uint64_t now_ms, number;
};

struct at {
    struct world *world;
    struct group *group;
};

static struct group *group_of(struct world *world, uint32_t id)
{
    return &world->groups[id - 1];
}

static uint32_t owner_of(struct base_bytes key)
{
    uint32_t vnode = ring_vnode(ring_token(key, FIXTURE_VNODE_BITS), FIXTURE_VNODE_BITS);
    return vnode < 1 << (FIXTURE_VNODE_BITS - 1) ? A : B;
}

/* A key of a group; those of different `which` are different. */
static struct base_bytes key_of(uint32_t group, unsigned which)
{
    static char keys[GROUPS][8][3];
    char *key = keys[group - 1][which];
    for (char c = 'a'; c <= 'z'; c++) {
        key[0] = (char)('0' + which);
        key[1] = c;
        if (owner_of(base_bytes_of(key, 2)) == group)
            return base_bytes_of(key, 2);
    }
    cr_assert_fail("no key");
    return base_bytes_of(NULL, 0);
}

static struct wire_op put(uint32_t group, unsigned which, const char *value)
{
    return (struct wire_op){
        .type = WIRE_OP_PUT, .key = key_of(group, which), .value = base_bytes_text(value)};
}

static struct wire_op check_absent(uint32_t group, unsigned which)
{
    return (struct wire_op){
        .type = WIRE_OP_CHECK, .condition = WIRE_IF_ABSENT, .key = key_of(group, which)};
}

/* ---- The world ------------------------------------------------------------------------------ */

static void note_answer(struct group *group, struct base_bytes answer)
{
    struct wire_answer read;
    cr_assert_eq(wire_answer_read(answer, &read), TORC_OK);
    group->answered++;
    group->status = read.status;
    memcpy(group->answer, answer.data, answer.size);
    group->answer_size = answer.size;
}

static bool propose(void *context, struct base_bytes request)
{
    struct at *at = context;
    fixture_request_encoded(&at->group->fixture, request);
    return true;
}

static void send(void *context, const struct shard_txn_message *message)
{
    struct at *at = context;
    cr_assert_lt(at->world->message_count, (size_t)MESSAGES_MAX);
    struct message *copy = &at->world->messages[at->world->message_count++];
    copy->message = *message;
    if (message->payload.size > 0)
        memcpy(copy->payload, message->payload.data, message->payload.size);
}

static void answer(void *context, struct wire_client_id client, uint64_t number,
                   struct base_bytes bytes)
{
    struct at *at = context;
    (void)client;
    (void)number;
    note_answer(at->group, bytes);
}

static void lead(struct world *world, struct group *group)
{
    shard_txns_retire(group->txns);
    shard_txns_lead(group->txns, (struct base_ballot){++group->round, 1, 1}, world->now_ms);
}

static void group_begin(struct world *world, uint32_t id)
{
    struct group *group = group_of(world, id);
    struct shard_vnode vnodes[1 << (FIXTURE_VNODE_BITS - 1)];
    uint32_t count = 1 << (FIXTURE_VNODE_BITS - 1);
    uint8_t request[1024];
    fixture_init_bare(&group->fixture);
    group->fixture.config.group = id;
    fixture_reopen(&group->fixture);
    for (uint32_t i = 0; i < count; i++)
        vnodes[i] = (struct shard_vnode){(id - 1) * count + i, 1};
    size_t size = shard_genesis_write(vnodes, count, request, sizeof(request));
    fixture_request_encoded(&group->fixture, base_bytes_of(request, size));
    fixture_apply(&group->fixture);
    fixture_write(&group->fixture);
    struct shard_txns_config config = {
        .group = id,
        .coordinator = {.group = id,
                        .transactions_max = 4,
                        .attempts_max = 100,
                        .asks_max = 10,
                        .resend_ms = 100,
                        .pause_ms = 10,
                        .pause_max_ms = 40,
                        .seed = id},
        .voter = {.attempts_max = 10, .bytes_max = 10000, .ask_ms = ASK_MS},
        .bytes_max = 10000,
        .entry_bytes_max = ENTRY_MAX,
    };
    group->txns = shard_txns_new(&config, group->fixture.machine, group->fixture.allocator);
    lead(world, group);
}

static void world_begin(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->now_ms = 1000;
    group_begin(world, A);
    group_begin(world, B);
}

static void world_end(struct world *world)
{
    for (uint32_t id = A; id <= B; id++) {
        struct group *group = group_of(world, id);
        const struct txn_participant *participant =
            shard_machine_participant(group->fixture.machine);
        cr_assert_eq(txn_locks_count(txn_participant_locks(participant)), 0);
        shard_txns_free(group->txns);
        fixture_fini(&group->fixture);
    }
}

/* One entry of what was proposed. */
static void apply(struct group *group)
{
    struct shard_outcome outcome;
    size_t cursor = 0;
    if (group->fixture.request_count == 0)
        return;
    fixture_apply(&group->fixture);
    fixture_write(&group->fixture);
    while (shard_outcomes_next(group->fixture.outcomes, &cursor, &outcome)) {
        if (outcome.kind == SHARD_ANSWERED)
            note_answer(group, outcome.answer);
        else if (outcome.kind != SHARD_LOCKED)
            shard_txns_applied(group->txns, &outcome);
    }
}

static void deliver(struct world *world)
{
    static struct message messages[MESSAGES_MAX];
    size_t count = world->message_count;
    memcpy(messages, world->messages, count * sizeof(*messages));
    world->message_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct group *group = group_of(world, messages[i].message.to);
        messages[i].message.payload.data = messages[i].payload;
        if (!group->deaf)
            cr_assert_eq(shard_txns_receive(group->txns, &messages[i].message), TORC_OK);
    }
}

static void step(struct world *world)
{
    for (uint32_t id = A; id <= B; id++) {
        struct group *group = group_of(world, id);
        struct at at = {world, group};
        struct shard_txns_sink sink = {propose, send, answer, &at};
        shard_txns_turn(group->txns, world->now_ms, &sink);
        shard_txns_check(group->txns);
    }
    deliver(world);
    apply(group_of(world, A));
    apply(group_of(world, B));
}

/* Until nothing moves any more, but for what waits for the time. */
static void settle(struct world *world, uint64_t ms)
{
    for (uint64_t end = world->now_ms + ms; world->now_ms <= end; world->now_ms++)
        step(world);
}

/* A client asks group A, whose key comes first. */
static enum torc_status ask_as(struct world *world, uint64_t number, const struct wire_op *ops,
                               uint16_t count, uint64_t left_ms)
{
    uint8_t bytes[8192];
    uint32_t groups[8];
    struct wire_request request;
    uint64_t last_time = group_of(world, A)->fixture.stamp + base_hlc_from_ms(60000);
    size_t size = wire_request_begin(bytes, sizeof(bytes), fixture_client(), number, last_time, 0);
    for (uint16_t i = 0; i < count; i++) {
        size += wire_op_write(bytes + size, sizeof(bytes) - size, &ops[i]);
        groups[i] = owner_of(ops[i].key);
    }
    wire_request_end(bytes, size, count);
    static const struct wire_limits limits = {64, 8000, 8192};
    cr_assert_eq(wire_request_read(base_bytes_of(bytes, size), &limits, &request), TORC_OK);
    return shard_txns_begin(group_of(world, A)->txns, &request, groups, world->now_ms + left_ms);
}

static void ask(struct world *world, const struct wire_op *ops, uint16_t count)
{
    cr_assert_eq(ask_as(world, ++world->number, ops, count, 5000), TORC_OK);
}

static void expect(struct world *world, uint32_t group, unsigned which, const char *value)
{
    struct wire_op get = {.type = WIRE_OP_GET, .key = key_of(group, which)};
    struct wire_answer answer;
    cr_assert_eq(fixture_read(&group_of(world, group)->fixture, &get, 1, &answer), TORC_OK);
    struct wire_result result = fixture_result(&answer, 0);
    if (value == NULL)
        cr_assert_eq(result.kind, WIRE_RESULT_NIL);
    else
        cr_assert(bytes_are(result.bytes, value));
}

/* ---- Tests ---------------------------------------------------------------------------------- */

/* Both groups do their part, and the answer has the results in the order of the operations. */
Test(txns, a_request_of_two_groups)
{
    static struct world world;
    world_begin(&world);
    struct wire_op ops[] = {put(A, 1, "1"), put(B, 1, "2"), check_absent(B, 2), put(A, 2, "3")};
    settle(&world, 1);
    cr_assert_eq(shard_txns_wake_at(group_of(&world, A)->txns), UINT64_MAX);
    ask(&world, ops, 4);
    cr_assert_eq(shard_txns_wake_at(group_of(&world, A)->txns), 0);
    settle(&world, 20);
    struct group *home = group_of(&world, A);
    cr_assert_eq(home->answered, 1);
    cr_assert_eq(home->status, WIRE_DONE);
    struct wire_answer answer;
    cr_assert_eq(wire_answer_read(base_bytes_of(home->answer, home->answer_size), &answer),
                 TORC_OK);
    cr_assert_eq(answer.result_count, 4);
    cr_assert_eq(fixture_result(&answer, 2).kind, WIRE_RESULT_OK);
    cr_assert_neq(fixture_result(&answer, 0).version, fixture_result(&answer, 3).version);
    expect(&world, A, 1, "1");
    expect(&world, A, 2, "3");
    expect(&world, B, 1, "2");
    struct txn_attempt attempt;
    struct base_bytes groups;
    cr_assert_not(shard_machine_unfinished(home->fixture.machine, 0, &attempt, &groups));
    cr_assert_eq(shard_txns_wake_at(home->txns), UINT64_MAX);
    world_end(&world);
}

/* A CHECK that fails in another group is told by its place in the request; nothing is done, and it
 * is final: the record answers for it. */
Test(txns, a_check_fails_elsewhere)
{
    static struct world world;
    world_begin(&world);
    struct wire_op first[] = {put(A, 1, "1"), put(B, 1, "2")};
    ask(&world, first, 2);
    settle(&world, 20);
    struct wire_op ops[] = {put(A, 2, "3"), put(B, 2, "4"), check_absent(A, 3), check_absent(B, 1)};
    ask(&world, ops, 4);
    settle(&world, 20);
    struct group *home = group_of(&world, A);
    cr_assert_eq(home->answered, 2);
    cr_assert_eq(home->status, WIRE_CHECK_FAILED);
    cr_assert_eq(base_get_le64(home->answer + 24), 3);
    expect(&world, A, 2, NULL);
    expect(&world, B, 2, NULL);
    cr_assert_eq(ask_as(&world, world.number, ops, 4, 5000), TORC_OK); /* A copy of it. */
    settle(&world, 20);
    cr_assert_eq(home->answered, 3);
    cr_assert_eq(home->status, WIRE_CHECK_FAILED);
    world_end(&world);
}

/* When the other group is silent until the deadline nothing is done, and the client is told so; the
 * other group hears of it when it asks. */
Test(txns, a_silent_group_costs_the_time_of_the_request)
{
    static struct world world;
    world_begin(&world);
    struct wire_op ops[] = {put(A, 1, "1"), put(B, 1, "2")};
    cr_assert_eq(ask_as(&world, 1, ops, 2, 200), TORC_OK);
    step(&world); /* B hears PREPARE, and then nothing. */
    group_of(&world, A)->deaf = true;
    group_of(&world, B)->deaf = true;
    settle(&world, 250);
    cr_assert_eq(group_of(&world, A)->answered, 1);
    cr_assert_eq(group_of(&world, A)->status, WIRE_TOO_LATE);
    const struct txn_participant *there =
        shard_machine_participant(group_of(&world, B)->fixture.machine);
    cr_assert_eq(txn_participant_prepared_count(there), 1);
    group_of(&world, A)->deaf = group_of(&world, B)->deaf = false;
    settle(&world, ASK_MS);
    cr_assert_eq(txn_participant_prepared_count(there), 0);
    expect(&world, A, 1, NULL);
    expect(&world, B, 1, NULL);
    world_end(&world);
}

/* A leader that is lost after the commit point leaves a commit, one before it an abort. */
Test(txns, the_next_leader_goes_on)
{
    static struct world world;
    world_begin(&world);
    struct group *home = group_of(&world, A), *away = group_of(&world, B);
    struct wire_op ops[] = {put(A, 1, "1"), put(B, 1, "2")};
    struct txn_attempt attempt;
    struct base_bytes groups;
    ask(&world, ops, 2);
    step(&world);
    lead(&world, home);
    settle(&world, 2 * ASK_MS);
    expect(&world, A, 1, NULL);
    expect(&world, B, 1, NULL);
    cr_assert_eq(home->answered, 0); /* It asks again when it hears of the new leader. */
    ask(&world, ops, 2);
    while (!shard_machine_unfinished(home->fixture.machine, 0, &attempt, &groups)) {
        away->deaf = home->answered > 0;
        step(&world);
    }
    world.message_count = 0; /* What the old leader said is lost. */
    away->deaf = false;
    lead(&world, home);
    settle(&world, 20);
    expect(&world, A, 1, "1");
    expect(&world, B, 1, "2");
    cr_assert_not(shard_machine_unfinished(home->fixture.machine, 0, &attempt, &groups));
    world_end(&world);
}

/* Those that want the same keys come to their ends one after the other, whoever coordinates. */
Test(txns, conflicts_end)
{
    static struct world world;
    world_begin(&world);
    struct wire_op ops[] = {put(A, 1, "1"), put(B, 1, "2")};
    for (unsigned i = 0; i < 4; i++)
        ask(&world, ops, 2);
    cr_assert_eq(ask_as(&world, 99, ops, 2, 5000), TORC_FULL);
    settle(&world, 400);
    cr_assert_eq(group_of(&world, A)->answered, 4);
    cr_assert_eq(group_of(&world, A)->status, WIRE_DONE);
    world_end(&world);
}

/* A group that does not own a key says so, and so is the client told. */
Test(txns, a_key_that_has_moved)
{
    static struct world world;
    uint8_t bytes[512];
    uint32_t groups[] = {A, B};
    struct wire_request request;
    world_begin(&world);
    struct wire_op ops[] = {put(A, 1, "1"), put(A, 2, "2")}; /* The map said that B has it. */
    uint64_t last_time = group_of(&world, A)->fixture.stamp + base_hlc_from_ms(60000);
    size_t size = wire_request_begin(bytes, sizeof(bytes), fixture_client(), 5, last_time, 0);
    for (size_t i = 0; i < 2; i++)
        size += wire_op_write(bytes + size, sizeof(bytes) - size, &ops[i]);
    wire_request_end(bytes, size, 2);
    static const struct wire_limits limits = {64, 4096, 8192};
    cr_assert_eq(wire_request_read(base_bytes_of(bytes, size), &limits, &request), TORC_OK);
    cr_assert_eq(shard_txns_begin(group_of(&world, A)->txns, &request, groups, 5000), TORC_OK);
    settle(&world, 20);
    cr_assert_eq(group_of(&world, A)->status, WIRE_MOVED);
    expect(&world, A, 1, NULL);
    world_end(&world);
}

/* What does not fit into an entry is refused before anything is done. */
Test(txns, too_large)
{
    static struct world world;
    static char value[ENTRY_MAX];
    world_begin(&world);
    memset(value, 'v', sizeof(value) - 1);
    struct wire_op ops[] = {put(A, 1, value), put(B, 1, "2")};
    cr_assert_eq(ask_as(&world, 1, ops, 2, 5000), TORC_TOO_LARGE);
    value[3000] = '\0';
    ops[0] = put(A, 1, value);
    for (unsigned i = 0; i < 3; i++)
        ask(&world, ops, 2);
    cr_assert_eq(ask_as(&world, 99, ops, 2, 5000), TORC_FULL); /* Too many bytes at once. */
    settle(&world, 200);
    cr_assert_eq(group_of(&world, A)->answered, 3);
    world_end(&world);
}

/* What no leader says is refused and changes nothing; a follower hears nothing. */
Test(txns, what_no_leader_says)
{
    static struct world world;
    world_begin(&world);
    struct group *group = group_of(&world, B);
    struct shard_txn_message message = {.type = SHARD_TXN_SAYS_PREPARE,
                                        .from = A,
                                        .to = B,
                                        .attempt = {A, {1, 1, 1}, 1},
                                        .mark = {A, {1, 1, 1}, 1},
                                        .payload = base_bytes_text("no request")};
    cr_assert_eq(shard_txns_receive(group->txns, &message), TORC_MALFORMED);
    message.to = A; /* And of the wrong group. */
    cr_assert_eq(shard_txns_receive(group->txns, &message), TORC_MALFORMED);
    message = (struct shard_txn_message){.type = SHARD_TXN_SAYS_VOTE,
                                         .from = A,
                                         .to = B,
                                         .attempt = {B, {1, 1, 1}, 1},
                                         .vote = TXN_VOTE_YES,
                                         .payload = base_bytes_text("no answer")};
    cr_assert_eq(shard_txns_receive(group->txns, &message), TORC_MALFORMED);
    shard_txns_retire(group->txns);
    message = (struct shard_txn_message){.type = SHARD_TXN_SAYS_ABORT,
                                         .from = A,
                                         .to = B,
                                         .attempt = {A, {1, 1, 1}, 1},
                                         .mark = {A, {1, 1, 1}, 1}};
    cr_assert_eq(shard_txns_receive(group->txns, &message), TORC_OK);
    cr_assert_eq(shard_txns_wake_at(group->txns), UINT64_MAX);
    world_end(&world);
}
