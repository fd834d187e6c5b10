/*
 * The coordinator, the voter and the participant together: a few groups whose logs are atomic, with
 * leaders that are deposed and go on, entries that are lost at an election or are not, messages
 * that come late, twice or never; and transactions that move money and that look at all of it.
 *
 * Checked: an attempt commits only where all have prepared it, and ends one way; a transaction runs
 * at most once, everywhere or nowhere; who looks sees the same sum always; at rest nothing is
 * locked, prepared or unfinished.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/counting.h"
#include "txn/coordinator.h"
#include "txn/participant.h"
#include "txn/voter.h"

enum {
    GROUPS = 3, /* Their ids are 1 to 3. */
    KEYS = 3,   /* Of each. */
    TXNS = 14,
    MONEY = 2, /* On each key. */
    MONEY_OF_ALL = GROUPS * KEYS * MONEY,
    QUEUE_MAX = 4096,
    MESSAGES_MAX = 8192,
    PREPARED_MAX = 256,
    STEPS = 2500,
    REST_STEPS = 60000,
    SEEDS = 300,
};

enum record { RECORD_NONE, RECORD_DONE, RECORD_REFUSED };

struct move { /* What a transaction does; looking: all keys are read. */
    bool looks;
    uint32_t from, to; /* Groups. */
    unsigned from_key, to_key;
    uint32_t home; /* The coordinator's. */
};

enum entry_kind {
    ENTRY_BARRIER,
    ENTRY_MARK,
    ENTRY_PREPARE,
    ENTRY_END,
    ENTRY_COMMIT,
    ENTRY_REFUSE,
    ENTRY_FORGET
};

struct entry {
    enum entry_kind kind;
    struct base_ballot origin;
    struct txn_attempt attempt, mark;
    size_t txn;
    enum txn_standing end;
    int64_t seen; /* COMMIT of who looks: the sum. */
};

struct effect { /* Of what is prepared. */
    struct txn_attempt attempt;
    size_t txn;
    int64_t seen;
};

struct leader {
    bool alive, serving;
    struct base_ballot ballot;
    struct txn_coordinator *coordinator;
    struct txn_voter *voter;
    bool under_way[TXNS];
};

struct group {
    uint32_t id;
    int64_t money[KEYS];
    struct txn_participant *participant;
    struct effect prepared[PREPARED_MAX];
    size_t prepared_count;
    struct txn_attempt unfinished[TXNS];
    size_t unfinished_txn[TXNS], unfinished_count;
    enum record records[TXNS];
    bool ran[TXNS];
    struct entry queue[QUEUE_MAX]; /* Proposed, and not yet chosen. */
    size_t queue_count;
    struct leader now, before; /* `before` was deposed and does not know it. */
    uint64_t round;
};

enum message_type { PREPARE, VOTE, COMMIT, ABORT, ACKNOWLEDGE, ASK };

struct message {
    enum message_type type;
    uint32_t to, from;
    struct txn_attempt attempt, mark;
    size_t txn;
    enum txn_vote vote;
    int64_t seen;
};

struct world {
    struct counting counting;
    const struct base_allocator *allocator;
    struct base_prng prng;
    uint64_t now_ms;
    bool rest; /* Faults have stopped. */
    struct move moves[TXNS];
    struct group groups[GROUPS];
    struct message messages[MESSAGES_MAX];
    size_t message_count;
    uint64_t attempts_committed, attempts_aborted;
};

static struct group *group_of(struct world *world, uint32_t id)
{
    return &world->groups[id - 1];
}

static bool chance(struct world *world, unsigned of_thousand)
{
    return base_prng_chance(&world->prng, of_thousand, 1000);
}

static size_t draw(struct world *world, size_t most)
{
    return (size_t)base_prng_range(&world->prng, 0, most);
}

static struct txn_age age_of(size_t txn)
{
    return (struct txn_age){.time = 100 + txn / 2, .number = txn};
}

/* ---- Transactions --------------------------------------------------------------------------- */

static bool takes_part(const struct move *move, uint32_t group)
{
    return move->looks || move->from == group || move->to == group;
}

/* What a transaction locks in a group. */
static size_t wants_of(const struct move *move, uint32_t group, uint8_t keys[KEYS],
                       struct txn_lock_want wants[KEYS])
{
    size_t count = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        bool from = move->from == group && move->from_key == k;
        bool to = move->to == group && move->to_key == k;
        if (!move->looks && !from && !to)
            continue;
        keys[count] = (uint8_t)k;
        wants[count] = (struct txn_lock_want){base_bytes_of(&keys[count], 1),
                                              move->looks ? TXN_LOCK_SHARED : TXN_LOCK_EXCLUSIVE};
        count++;
    }
    return count;
}

static struct move move_draw(struct world *world)
{
    struct move move = {.looks = chance(world, 300)};
    move.from = 1 + (uint32_t)draw(world, GROUPS - 1);
    move.to = 1 + (move.from - 1 + 1 + (uint32_t)draw(world, GROUPS - 2)) % GROUPS;
    move.from_key = (unsigned)draw(world, KEYS - 1);
    move.to_key = (unsigned)draw(world, KEYS - 1);
    move.home = chance(world, 500) ? move.from : move.to;
    return move;
}

static bool can_run(const struct group *group, const struct move *move)
{
    return move->looks || move->from != group->id || group->money[move->from_key] > 0;
}

static void run(struct group *group, const struct move *move, size_t txn)
{
    cr_assert_not(group->ran[txn], "a transaction runs at most once");
    group->ran[txn] = true;
    if (move->looks)
        return;
    if (move->from == group->id)
        cr_assert_geq(--group->money[move->from_key], 0);
    if (move->to == group->id)
        group->money[move->to_key]++;
}

/* ---- Messages ------------------------------------------------------------------------------- */

static void send(struct world *world, const struct message *message)
{
    if (world->message_count < MESSAGES_MAX)
        world->messages[world->message_count++] = *message;
}

static void propose(struct group *group, const struct leader *leader, struct entry entry)
{
    entry.origin = leader->ballot;
    if (leader == &group->before || group->queue_count == QUEUE_MAX)
        return; /* Never chosen: behind a barrier it would do nothing. */
    group->queue[group->queue_count++] = entry;
}

/* ---- Leaders -------------------------------------------------------------------------------- */

static void leader_end(struct leader *leader)
{
    if (!leader->alive)
        return;
    cr_assert_eq(txn_voter_counters(leader->voter)->contradicted, 0);
    txn_coordinator_free(leader->coordinator);
    txn_voter_free(leader->voter);
    *leader = (struct leader){0};
}

static void leader_begin(struct world *world, struct group *group)
{
    struct txn_coordinator_config coordinator = {.group = group->id,
                                                 .transactions_max = 8,
                                                 .attempts_max = 1000,
                                                 .asks_max = 100,
                                                 .resend_ms = 15,
                                                 .pause_ms = 2,
                                                 .pause_max_ms = 40,
                                                 .seed = group->round};
    struct txn_voter_config voter = {.attempts_max = 20, .bytes_max = 1000, .ask_ms = 15};
    group->now = (struct leader){.alive = true, .ballot = {++group->round, 1, 1}};
    group->now.coordinator = txn_coordinator_new(world->allocator, &coordinator);
    group->now.voter = txn_voter_new(world->allocator, group->participant, &voter);
    propose(group, &group->now, (struct entry){.kind = ENTRY_BARRIER});
}

/* Its own barrier is applied. */
static void leader_serve(struct world *world, struct group *group)
{
    struct leader *leader = &group->now;
    leader->serving = true;
    txn_coordinator_lead(leader->coordinator, leader->ballot);
    txn_voter_lead(leader->voter, world->now_ms);
    for (size_t i = 0; i < group->unfinished_count; i++) {
        uint32_t groups[GROUPS], count = 0;
        for (uint32_t g = 1; g <= GROUPS; g++) {
            if (takes_part(&world->moves[group->unfinished_txn[i]], g))
                groups[count++] = g;
        }
        txn_coordinator_recover(leader->coordinator, &group->unfinished[i], groups, count);
    }
}

/* Of what was proposed and not chosen the next leader finds some, and the rest is void. */
static void elect(struct world *world, struct group *group)
{
    leader_end(&group->before);
    if (chance(world, 500)) {
        leader_end(&group->now);
    } else {
        group->before = group->now;
        txn_voter_retire(group->before.voter); /* Its last words are under way. */
    }
    group->queue_count = draw(world, group->queue_count);
    leader_begin(world, group);
}

/* ---- Applying ------------------------------------------------------------------------------- */

static struct effect effect_take(struct group *group, const struct txn_attempt *attempt)
{
    size_t i = 0;
    while (i < group->prepared_count &&
           txn_attempt_compare(&group->prepared[i].attempt, attempt) != 0)
        i++;
    cr_assert_lt(i, group->prepared_count, "an attempt is prepared and has no effect");
    struct effect effect = group->prepared[i];
    group->prepared[i] = group->prepared[--group->prepared_count];
    return effect;
}

static const struct effect *effect_of(const struct group *group, const struct txn_attempt *attempt)
{
    for (size_t i = 0; i < group->prepared_count; i++) {
        if (txn_attempt_compare(&group->prepared[i].attempt, attempt) == 0)
            return &group->prepared[i];
    }
    return NULL;
}

static void raise_mark(struct group *group, const struct txn_attempt *mark)
{
    struct txn_attempt past;
    if (txn_participant_raise(group->participant, mark)) {
        while (txn_participant_take_past(group->participant, mark->group, &past))
            continue;
    }
}

static enum txn_prepare_result prepare_run(struct world *world, struct group *group,
                                           const struct entry *entry)
{
    const struct move *move = &world->moves[entry->txn];
    uint8_t keys[KEYS];
    struct txn_lock_want wants[KEYS];
    struct txn_age age = age_of(entry->txn);
    size_t count = wants_of(move, group->id, keys, wants);
    enum txn_standing standing = txn_participant_standing(group->participant, &entry->attempt);
    if (standing == TXN_PREPARED)
        return TXN_PREPARE_DONE;
    if (standing != TXN_NEVER)
        return TXN_PREPARE_OVER;
    if (entry->attempt.group == group->id && group->records[entry->txn] != RECORD_NONE)
        return TXN_PREPARE_REFUSED;
    if (txn_locks_ask(txn_participant_locks(group->participant), NULL, wants, count) !=
        TXN_LOCK_FREE)
        return TXN_PREPARE_BLOCKED;
    if (!can_run(group, move))
        return TXN_PREPARE_REFUSED;
    struct effect effect = {.attempt = entry->attempt, .txn = entry->txn};
    for (unsigned k = 0; k < KEYS; k++)
        effect.seen += move->looks ? group->money[k] : 0;
    txn_participant_prepare(group->participant, &entry->attempt, &age, 0, wants, count);
    cr_assert_lt(group->prepared_count, (size_t)PREPARED_MAX);
    group->prepared[group->prepared_count++] = effect;
    return TXN_PREPARE_DONE;
}

static void end_run(struct world *world, struct group *group, const struct txn_attempt *attempt,
                    enum txn_standing end)
{
    enum txn_standing standing = txn_participant_standing(group->participant, attempt);
    if (standing == TXN_PREPARED) {
        struct effect effect = effect_take(group, attempt);
        if (end == TXN_COMMITTED)
            run(group, &world->moves[effect.txn], effect.txn);
        txn_participant_finish(group->participant, attempt, end);
    } else if (standing == TXN_NEVER) {
        cr_assert_eq(end, TXN_ABORTED, "only what is prepared commits");
        txn_participant_finish(group->participant, attempt, end);
    } else {
        cr_assert(standing == TXN_PAST || standing == end, "an attempt ends one way");
    }
}

static void commit_run(struct world *world, struct group *group, const struct entry *entry)
{
    const struct move *move = &world->moves[entry->txn];
    for (uint32_t g = 1; g <= GROUPS; g++) {
        cr_assert(!takes_part(move, g) || effect_of(group_of(world, g), &entry->attempt) != NULL,
                  "an attempt commits only where all have prepared it");
    }
    cr_assert_eq(group->records[entry->txn], RECORD_NONE);
    cr_assert(!move->looks || entry->seen == MONEY_OF_ALL, "who looks sees half a transaction");
    group->records[entry->txn] = RECORD_DONE;
    group->unfinished[group->unfinished_count] = entry->attempt;
    group->unfinished_txn[group->unfinished_count++] = entry->txn;
    end_run(world, group, &entry->attempt, TXN_COMMITTED);
    world->attempts_committed++;
}

static void forget_run(struct group *group, const struct txn_attempt *attempt)
{
    for (size_t i = 0; i < group->unfinished_count; i++) {
        if (txn_attempt_compare(&group->unfinished[i], attempt) != 0)
            continue;
        group->unfinished_count--;
        group->unfinished[i] = group->unfinished[group->unfinished_count];
        group->unfinished_txn[i] = group->unfinished_txn[group->unfinished_count];
    }
}

static void apply(struct world *world, struct group *group, const struct entry *entry)
{
    struct leader *leader = &group->now;
    struct txn_age age = age_of(entry->txn);
    if (entry->mark.counter > 0)
        raise_mark(group, &entry->mark);
    switch (entry->kind) {
    case ENTRY_BARRIER:
        if (base_ballot_equal(entry->origin, leader->ballot))
            leader_serve(world, group);
        break;
    case ENTRY_MARK:
        break; /* Raised already. */
    case ENTRY_PREPARE:
        txn_voter_prepare_applied(leader->voter, &entry->attempt, prepare_run(world, group, entry),
                                  base_bytes_of(NULL, 0));
        break;
    case ENTRY_END:
        end_run(world, group, &entry->attempt, entry->end);
        txn_voter_end_applied(leader->voter, &entry->attempt);
        world->attempts_aborted += entry->end == TXN_ABORTED;
        break;
    case ENTRY_COMMIT:
        commit_run(world, group, entry);
        txn_coordinator_committed(leader->coordinator, &entry->attempt);
        txn_voter_end_applied(leader->voter, &entry->attempt);
        leader->under_way[entry->txn] = false;
        break;
    case ENTRY_REFUSE:
        if (group->records[entry->txn] == RECORD_NONE &&
            !txn_participant_holds(group->participant, &age))
            group->records[entry->txn] = RECORD_REFUSED;
        break;
    case ENTRY_FORGET:
        forget_run(group, &entry->attempt);
        txn_coordinator_forgotten(leader->coordinator, &entry->attempt);
        break;
    }
    txn_participant_check(group->participant);
}

static void apply_first(struct world *world, struct group *group)
{
    if (group->queue_count == 0)
        return;
    struct entry entry = group->queue[0];
    group->queue_count--;
    memmove(group->queue, group->queue + 1, group->queue_count * sizeof(*group->queue));
    apply(world, group, &entry);
}

/* ---- Turns of leaders ----------------------------------------------------------------------- */

static int64_t seen_by_all(const struct leader *leader, const struct txn_attempt *attempt)
{
    int64_t sum = 0;
    uint32_t group;
    for (uint32_t i = 0; (group = txn_coordinator_group(leader->coordinator, attempt, i)) != 0; i++)
        sum += (int64_t)base_get_le64(
            txn_coordinator_answer(leader->coordinator, attempt, group).data);
    return sum;
}

static void coordinator_act(struct world *world, struct group *group, struct leader *leader,
                            const struct txn_action *action)
{
    struct message message = {.from = group->id,
                              .to = action->group,
                              .attempt = action->attempt,
                              .mark = txn_coordinator_mark(leader->coordinator),
                              .txn = (size_t)action->age.number};
    struct entry entry = {.attempt = action->attempt, .txn = message.txn};
    switch (action->type) {
    case TXN_SEND_PREPARE:
        message.type = PREPARE;
        send(world, &message);
        break;
    case TXN_SEND_COMMIT:
        message.type = COMMIT;
        send(world, &message);
        break;
    case TXN_SEND_ABORT:
        message.type = ABORT;
        send(world, &message);
        break;
    case TXN_PROPOSE_COMMIT:
    case TXN_PROPOSE_FORGET:
        if (chance(world, 300))
            break; /* No room just now. */
        entry.kind = action->type == TXN_PROPOSE_COMMIT ? ENTRY_COMMIT : ENTRY_FORGET;
        if (entry.kind == ENTRY_COMMIT)
            entry.seen = seen_by_all(leader, &action->attempt);
        propose(group, leader, entry);
        txn_coordinator_proposed(leader->coordinator, &action->attempt);
        break;
    case TXN_GIVE_UP:
        leader->under_way[message.txn] = false;
        entry.kind = ENTRY_REFUSE;
        if (action->group != 0)
            propose(group, leader, entry);
        break;
    }
}

static void voter_act(struct world *world, struct group *group, struct leader *leader,
                      const struct txn_voter_action *action)
{
    struct message message = {
        .from = group->id, .to = action->attempt.group, .attempt = action->attempt};
    struct entry entry = {.attempt = action->attempt, .txn = (size_t)action->age.number};
    const struct effect *effect = effect_of(group, &action->attempt);
    switch (action->type) {
    case TXN_VOTER_PROPOSE_PREPARE:
    case TXN_VOTER_PROPOSE_END:
        if (chance(world, 300))
            break;
        entry.kind = action->type == TXN_VOTER_PROPOSE_PREPARE ? ENTRY_PREPARE : ENTRY_END;
        entry.end = action->end;
        propose(group, leader, entry);
        txn_voter_proposed(leader->voter, &action->attempt);
        break;
    case TXN_VOTER_SEND_VOTE:
        message.type = VOTE;
        message.vote = action->vote;
        message.seen = action->vote == TXN_VOTE_YES ? effect->seen : 0;
        send(world, &message);
        break;
    case TXN_VOTER_SEND_ACKNOWLEDGE:
        message.type = ACKNOWLEDGE;
        send(world, &message);
        break;
    case TXN_VOTER_SEND_ASK:
        message.type = ASK;
        send(world, &message);
        break;
    }
}

static void leader_turn(struct world *world, struct group *group, struct leader *leader)
{
    struct txn_ready ready;
    struct txn_voter_ready votes;
    if (!leader->alive || !leader->serving)
        return;
    txn_coordinator_turn(leader->coordinator, world->now_ms, &ready);
    txn_coordinator_check(leader->coordinator);
    for (size_t i = 0; i < ready.action_count; i++)
        coordinator_act(world, group, leader, &ready.actions[i]);
    txn_voter_turn(leader->voter, world->now_ms, &votes);
    if (leader == &group->now)
        txn_voter_check(leader->voter);
    for (size_t i = 0; i < votes.action_count; i++)
        voter_act(world, group, leader, &votes.actions[i]);
}

/* ---- Delivering ----------------------------------------------------------------------------- */

static void hear_prepare(struct world *world, struct leader *leader, const struct message *message)
{
    uint8_t keys[KEYS];
    struct txn_lock_want wants[KEYS];
    struct txn_prepare prepare = {.attempt = message->attempt, .age = age_of(message->txn)};
    prepare.wants = wants;
    prepare.want_count = wants_of(&world->moves[message->txn], message->to, keys, wants);
    txn_voter_prepare(leader->voter, &prepare);
}

/* To the leader, or to the one that believes to be. */
static void deliver(struct world *world, const struct message *message)
{
    struct group *group = group_of(world, message->to);
    bool former = group->before.alive && chance(world, 300);
    struct leader *leader = former ? &group->before : &group->now;
    uint8_t seen[8];
    if (!leader->alive || !leader->serving)
        return;
    base_put_le64(seen, (uint64_t)message->seen);
    switch (message->type) {
    case PREPARE:
        hear_prepare(world, leader, message);
        break;
    case VOTE:
        txn_coordinator_vote(leader->coordinator, &message->attempt, message->from, message->vote,
                             base_bytes_of(seen, sizeof(seen)));
        break;
    case COMMIT:
    case ABORT:
        txn_voter_end(leader->voter, &message->attempt,
                      message->type == COMMIT ? TXN_COMMITTED : TXN_ABORTED);
        if (!former && chance(world, 200)) /* The mark comes with an entry. */
            propose(group, leader, (struct entry){.kind = ENTRY_MARK, .mark = message->mark});
        break;
    case ACKNOWLEDGE:
        txn_coordinator_acknowledged(leader->coordinator, &message->attempt, message->from);
        break;
    case ASK:
        txn_coordinator_asked(leader->coordinator, &message->attempt, message->from);
        break;
    }
}

static void deliver_any(struct world *world)
{
    if (world->message_count == 0)
        return;
    size_t at = draw(world, world->message_count - 1);
    struct message message = world->messages[at];
    if (world->rest || !chance(world, 150)) /* Else it stays, and comes again. */
        world->messages[at] = world->messages[--world->message_count];
    if (world->rest || !chance(world, 150))
        deliver(world, &message);
}

/* ---- Clients -------------------------------------------------------------------------------- */

/* A request comes to a leader, again and again until it has an answer. */
static void ask_for(struct world *world, size_t txn)
{
    const struct move *move = &world->moves[txn];
    struct group *group = group_of(world, move->home);
    bool former = group->before.alive && chance(world, 300);
    struct leader *leader = former ? &group->before : &group->now;
    struct txn_part parts[GROUPS];
    struct txn_begin begin = {.age = age_of(txn), .parts = parts};
    if (!leader->serving || leader->under_way[txn] || group->records[txn] != RECORD_NONE)
        return;
    for (uint32_t g = 1; g <= GROUPS; g++) {
        if (takes_part(move, g))
            parts[begin.part_count++] = (struct txn_part){g, base_bytes_text("part")};
    }
    begin.deadline_ms = world->now_ms + 20 + draw(world, 500);
    leader->under_way[txn] = txn_coordinator_begin(leader->coordinator, &begin) == TORC_OK;
}

/* ---- Runs ----------------------------------------------------------------------------------- */

static void step(struct world *world)
{
    struct group *group = &world->groups[draw(world, GROUPS - 1)];
    size_t what = draw(world, 19);
    world->now_ms += chance(world, 150);
    if (what < 12)
        deliver_any(world);
    else if (what < 16)
        apply_first(world, group);
    else if (what < 17)
        ask_for(world, draw(world, TXNS - 1));
    else
        leader_turn(world, group, chance(world, 300) ? &group->before : &group->now);
    if (!world->rest && chance(world, 5))
        elect(world, group);
    if (!world->rest && chance(world, 4))
        leader_end(&group->before);
}

static bool is_at_rest(struct world *world)
{
    for (size_t i = 0; i < TXNS; i++) {
        if (group_of(world, world->moves[i].home)->records[i] == RECORD_NONE)
            return false;
    }
    for (size_t g = 0; g < GROUPS; g++) {
        const struct group *group = &world->groups[g];
        if (group->prepared_count > 0 || group->unfinished_count > 0 || group->queue_count > 0)
            return false;
    }
    return true;
}

static void check_end(struct world *world)
{
    int64_t money = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        for (unsigned k = 0; k < KEYS; k++)
            money += world->groups[g].money[k];
        cr_assert_eq(txn_locks_count(txn_participant_locks(world->groups[g].participant)), 0);
    }
    cr_assert_eq(money, MONEY_OF_ALL);
    for (size_t i = 0; i < TXNS; i++) {
        const struct move *move = &world->moves[i];
        bool done = group_of(world, move->home)->records[i] == RECORD_DONE;
        for (uint32_t g = 1; g <= GROUPS; g++)
            cr_assert_eq(group_of(world, g)->ran[i], done && takes_part(move, g));
    }
}

static void world_begin(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->allocator = counting_init(&world->counting);
    world->prng = base_prng_seeded(seed);
    for (size_t i = 0; i < TXNS; i++)
        world->moves[i] = move_draw(world);
    for (uint32_t g = 0; g < GROUPS; g++) {
        struct group *group = &world->groups[g];
        group->id = g + 1;
        group->participant = txn_participant_new(world->allocator);
        for (unsigned k = 0; k < KEYS; k++)
            group->money[k] = MONEY;
        leader_begin(world, group);
    }
}

static void world_end(struct world *world)
{
    for (size_t g = 0; g < GROUPS; g++) {
        leader_end(&world->groups[g].before);
        leader_end(&world->groups[g].now);
        txn_participant_free(world->groups[g].participant);
    }
    counting_fini(&world->counting);
}

/* DESIGN section 6, with everything that can go wrong between groups. */
Test(protocol, transactions_are_whole)
{
    static struct world world;
    uint64_t committed = 0, aborted = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        size_t steps = 0;
        world_begin(&world, seed);
        for (unsigned i = 0; i < STEPS; i++)
            step(&world);
        world.rest = true;
        for (size_t g = 0; g < GROUPS; g++)
            leader_end(&world.groups[g].before);
        while (!is_at_rest(&world) && steps++ < REST_STEPS)
            step(&world);
        cr_assert_lt(steps, (size_t)REST_STEPS, "seed %u comes to no rest", (unsigned)seed);
        check_end(&world);
        committed += world.attempts_committed;
        aborted += world.attempts_aborted;
        world_end(&world);
    }
    cr_assert_gt(committed, SEEDS * TXNS / 4);
    cr_assert_gt(aborted, (uint64_t)SEEDS);
}
