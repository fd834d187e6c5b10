#include "router/courier_int.h"

#include <string.h>

#include "base/assert.h"
#include "base/hlc.h"
#include "base/mutant.h"

enum {
    PROBE_ROUNDS_PER_STEP = 8, /* Rounds of HELLO before the pause grows by another probe_ms. */
    HINT_PAUSE_US = 10 * 1000, /* Least time between two HELLOs that hints ask for. */
    BUSY_PAUSE_US = 10 * 1000, /* First pause after "busy"; doubles up to the maximum. */
    BUSY_ROUNDS_MAX = 6,
    RESEND_GROWTH_MAX = 8,
};

struct router_group *router_group_new(struct router_courier *courier, uint32_t id)
{
    struct router_group *group = base_alloc_zero(courier->allocator, sizeof(*group));
    group->id = id;
    group->leader = ROUTER_NO_LEADER;
    group->resend_us = (uint64_t)courier->config.resend_ms * 1000;
    return group;
}

static uint32_t replica_find(const struct router_group *group, uint32_t node)
{
    for (uint32_t i = 0; i < group->replica_count; i++) {
        if (group->replicas[i].node == node)
            return i;
    }
    return ROUTER_NO_LEADER;
}

/* ---- Leaders
 * ------------------------------------------------------------------------------------- */

/* Copies sent up to then are given up; their requests go before those that wait, in their order. */
static void take_back(struct router_group *group, uint64_t sent_until_us)
{
    struct router_request *last = NULL, *at = group->sent.first;
    size_t count = 0;
    for (; at != NULL && at->sent_at_us <= sent_until_us; at = at->next) {
        at->state = ROUTER_REQUEST_WAITING;
        at->in_doubt = true;
        at->reason = "the leader did not answer";
        last = at;
        count++;
    }
    if (last == NULL)
        return;
    struct router_request_list *sent = &group->sent, *waiting = &group->waiting;
    struct router_request *first = sent->first;
    sent->first = at;
    sent->count -= count;
    if (at != NULL)
        at->previous = NULL;
    else
        sent->last = NULL;
    last->next = waiting->first;
    if (waiting->first != NULL)
        waiting->first->previous = last;
    else
        waiting->last = last;
    waiting->first = first;
    waiting->count += count;
}

static void leader_set(struct router_courier *courier, struct router_group *group, uint32_t leader)
{
    take_back(group, UINT64_MAX);
    if (leader != ROUTER_NO_LEADER)
        courier->counters.leader_changes++;
    group->leader = leader;
    group->probe_rounds = 0;
    group->probe_at_us = group->probed_us == 0 ? 0 : group->probed_us + HINT_PAUSE_US;
    group->pause_until_us = 0;
    group->busy_rounds = 0;
    group->resend_us = (uint64_t)courier->config.resend_ms * 1000;
    group->heard_us = courier->now_us;
}

/* Asks a node that somebody believes to lead; the round that asks all waits for its answer. */
static void follow_hint(struct router_courier *courier, struct router_group *group, uint32_t node)
{
    uint32_t index = replica_find(group, node);
    if (index == ROUTER_NO_LEADER || index == group->leader)
        return;
    struct router_replica *replica = &group->replicas[index];
    if (replica->hello_at_us != 0 && courier->now_us - replica->hello_at_us < HINT_PAUSE_US)
        return;
    replica->hello_wanted = true;
    if (group->leader == ROUTER_NO_LEADER && group->probe_at_us <= courier->now_us)
        group->probe_at_us = courier->now_us + (uint64_t)courier->config.probe_ms * 1000;
}

/* A node has a new life: what was sent to the old one is gone. False: the message is of an old
 * life. */
static bool incarnation_heard(struct router_courier *courier, struct router_group *group,
                              uint32_t index, uint32_t incarnation)
{
    struct router_replica *replica = &group->replicas[index];
    if (incarnation < replica->incarnation)
        return false;
    if (incarnation > replica->incarnation) {
        replica->incarnation = incarnation;
        replica->sequence = 0;
        replica->credit = 0;
        if (group->leader == index)
            leader_set(courier, group, ROUTER_NO_LEADER);
    }
    return true;
}

/* `stamp` 0: said by one that is not our leader. The newest counts, not the highest: leaders'
 * clocks differ by as much as their voters' do. */
static void clock_heard(struct router_courier *courier, struct router_group *group, uint64_t clock,
                        uint64_t stamp)
{
    if (clock > group->clock)
        group->clock = clock;
    if (stamp == 0)
        return;
    group->stamp = stamp;
    group->stamp_at_us = courier->now_us;
}

void router_group_update(struct router_courier *courier, struct router_group *group,
                         const struct router_map_group *row)
{
    struct router_group old = *group;
    group->replica_count = row->node_count;
    group->leader = ROUTER_NO_LEADER;
    for (uint32_t i = 0; i < row->node_count; i++) {
        uint32_t before = replica_find(&old, row->nodes[i]);
        struct router_replica replica = {0};
        if (before != ROUTER_NO_LEADER && before < old.replica_count)
            replica = old.replicas[before];
        replica.node = row->nodes[i];
        replica.peer =
            router_courier_peer(courier, router_map_node_find(courier->map, replica.node)->address);
        group->replicas[i] = replica;
        if (before != ROUTER_NO_LEADER && before == old.leader)
            group->leader = i;
    }
    if (old.leader != ROUTER_NO_LEADER && group->leader == ROUTER_NO_LEADER)
        leader_set(courier, group, ROUTER_NO_LEADER);
}

void router_group_welcome(struct router_courier *courier, struct router_group *group,
                          const struct wire_envelope *envelope, const Torc__Wire__Welcome *welcome)
{
    uint32_t index = replica_find(group, envelope->node);
    if (index == ROUTER_NO_LEADER ||
        !incarnation_heard(courier, group, index, envelope->incarnation)) {
        courier->counters.messages_rejected++;
        return;
    }
    struct router_replica *replica = &group->replicas[index];
    if (welcome->credit > replica->credit)
        replica->credit = welcome->credit;
    /* One that was elected and does not serve yet knows no time, and neither may we. */
    bool knows_time = welcome->stamp != 0 || group->stamp != 0;
    if (welcome->leader_node != envelope->node || !knows_time) {
        if (group->leader == index)
            leader_set(courier, group, ROUTER_NO_LEADER);
        clock_heard(courier, group, welcome->clock, 0);
        follow_hint(courier, group, welcome->leader_node);
        return;
    }
    group->request_time_max_ms = welcome->request_time_max_ms;
    /* Whoever led before this one has not seen what was answered since: its clock is behind. */
    if (group->leader != index && welcome->clock >= group->clock)
        leader_set(courier, group, index);
    if (group->leader == index)
        group->heard_us = courier->now_us;
    clock_heard(courier, group, welcome->clock, group->leader == index ? welcome->stamp : 0);
}

void router_group_peer_lost(struct router_courier *courier, struct router_group *group,
                            uint32_t peer)
{
    if (group->leader != ROUTER_NO_LEADER && group->replicas[group->leader].peer == peer)
        leader_set(courier, group, ROUTER_NO_LEADER);
}

/* ---- Answers
 * ------------------------------------------------------------------------------------- */

/* The one copy that was out did not and will not do anything: the request waits for its next. */
static void refused_copy(struct router_courier *courier, struct router_request *request,
                         const char *reason)
{
    router_request_unlist(courier, request);
    request->reason = reason;
    request->state = ROUTER_REQUEST_WAITING;
    router_request_list_append(&request->group->waiting, request);
}

static void moved(struct router_courier *courier, struct router_request *request, uint32_t node)
{
    courier->counters.moved++;
    courier->map_ask_node = node;
    if (!request->keyed) {
        refused_copy(courier, request, "the group does not own what was asked for");
        return;
    }
    router_request_unlist(courier, request);
    request->reason = "the key is moving to another group";
    request->state = ROUTER_REQUEST_UNROUTED;
    router_request_list_append(&courier->unrouted, request);
    if (courier->unrouted_at_us <= courier->now_us)
        courier->unrouted_at_us = courier->now_us + (uint64_t)courier->config.probe_ms * 1000;
}

static void busy(struct router_courier *courier, struct router_group *group,
                 struct router_request *request, const char *reason)
{
    courier->counters.busy++;
    refused_copy(courier, request, reason);
    if (group->pause_until_us > courier->now_us)
        return;
    group->pause_until_us = courier->now_us + ((uint64_t)BUSY_PAUSE_US << group->busy_rounds);
    if (group->busy_rounds < BUSY_ROUNDS_MAX)
        group->busy_rounds++;
}

static void refused(struct router_courier *courier, struct router_request *request,
                    const struct wire_answer *answer)
{
    if (request->writes && request->in_doubt) {
        router_request_fail(courier, request);
        return;
    }
    struct router_outcome outcome = {
        .type = ROUTER_REFUSED,
        .status = (enum torc_status)answer->detail,
        .group = request->group->id,
    };
    courier->counters.refused++;
    router_request_finish(courier, request, &outcome, NULL);
}

/* An answer that ends a request, whichever copy it is to. */
static void done(struct router_courier *courier, struct router_group *group,
                 struct router_request *request, const struct wire_answer *answer)
{
    struct router_outcome outcome = {
        .type = ROUTER_ANSWERED,
        .answer = request->whole ? answer : NULL,
        .clock = answer->clock,
        .group = group->id,
    };
    courier->counters.answered++;
    group->busy_rounds = 0;
    size_t fitting = router_request_fitting(request, answer);
    if (fitting > 0 && fitting < request->parcel_count)
        router_request_shorten(courier, request, &outcome, answer, fitting);
    else
        router_request_finish(courier, request, &outcome, answer);
}

static void answer_heard(struct router_courier *courier, struct router_group *group,
                         const struct wire_envelope *envelope, const struct wire_answer *answer)
{
    struct router_request *request = router_request_by_number(courier, answer->number);
    if (request == NULL)
        return; /* To a second copy, or after the deadline. */
    if (!request->stamped || request->group != group) {
        courier->counters.messages_rejected++;
        return;
    }
    if (answer->status == WIRE_DONE) {
        if (answer->result_count == router_request_ops(request))
            done(courier, group, request, answer);
        else
            courier->counters.messages_rejected++;
        return;
    }
    if (answer->status == WIRE_CHECK_FAILED && request->whole &&
        answer->detail < router_request_ops(request)) {
        done(courier, group, request, answer); /* As final: it is kept in the request's record. */
        return;
    }
    if (request->state != ROUTER_REQUEST_SENT || request->sent_node != envelope->node ||
        request->sent_incarnation != envelope->incarnation)
        return; /* To a copy that was given up: the newer one is waited for. */
    switch (answer->status) {
    case WIRE_NOT_LEADER:
        courier->counters.not_leader++;
        refused_copy(courier, request, "no leader was found");
        break;
    case WIRE_BUSY:
        busy(courier, group, request, "the leader is overloaded");
        break;
    case WIRE_TOO_EARLY: /* Its bytes never change: a copy may yet be late. */
        busy(courier, group, request, "the group's clock was behind");
        break;
    case WIRE_MOVED:
        moved(courier, request, envelope->node);
        break;
    case WIRE_NO_ANSWER:
        refused_copy(courier, request, "its leader was lost");
        request->in_doubt = true;
        break;
    case WIRE_TOO_LATE: /* Nothing was done by this copy. */
        refused_copy(courier, request, "it came too late to its group");
        router_request_fail(courier, request);
        break;
    case WIRE_REFUSED:
        refused(courier, request, answer);
        break;
    case WIRE_CHECK_FAILED:
    case WIRE_DONE:
        courier->counters.messages_rejected++; /* There is no such check. */
        break;
    }
}

static void answers_heard(struct router_courier *courier, struct router_group *group,
                          const struct wire_envelope *envelope, uint32_t count)
{
    struct base_bytes rest = envelope->payload;
    for (uint32_t i = 0; i < count; i++) {
        struct wire_answer answer;
        if (wire_answer_read(rest, &answer) != TORC_OK) {
            courier->counters.messages_rejected++;
            return;
        }
        rest = base_bytes_of(rest.data + answer.encoded.size, rest.size - answer.encoded.size);
        answer_heard(courier, group, envelope, &answer);
    }
}

void router_group_reply(struct router_courier *courier, struct router_group *group,
                        const struct wire_envelope *envelope, const Torc__Wire__Reply *reply)
{
    uint32_t index = replica_find(group, envelope->node);
    if (index == ROUTER_NO_LEADER ||
        !incarnation_heard(courier, group, index, envelope->incarnation)) {
        courier->counters.messages_rejected++;
        return;
    }
    struct router_replica *replica = &group->replicas[index];
    if (reply->credit > replica->credit)
        replica->credit = reply->credit;
    clock_heard(courier, group, reply->clock, group->leader == index ? reply->stamp : 0);
    answers_heard(courier, group, envelope, reply->answer_count);
    if (group->leader != index)
        return;
    if (reply->leader_node != envelope->node) {
        leader_set(courier, group, ROUTER_NO_LEADER);
        follow_hint(courier, group, reply->leader_node);
        return;
    }
    group->heard_us = courier->now_us;
    group->probe_rounds = 0;
    group->resend_us = (uint64_t)courier->config.resend_ms * 1000;
}

/* ---- Sending
 * ------------------------------------------------------------------------------------- */

static void hello_send(struct router_courier *courier, struct router_group *group,
                       struct router_replica *replica)
{
    Torc__Wire__Hello hello = TORC__WIRE__HELLO__INIT;
    hello.group = group->id;
    hello.map_version = courier->map->version;
    hello.sequence = replica->sequence;
    replica->hello_wanted = false;
    replica->hello_at_us = courier->now_us;
    courier->counters.probes++;
    router_courier_send(courier, replica->peer, replica->node, WIRE_TYPE_HELLO, &hello.base);
}

/* The pause after a round: grows with the rounds, up to its maximum, and differs by a fourth from
 * router to router. */
static uint64_t probe_pause_us(struct router_courier *courier, const struct router_group *group)
{
    uint64_t pause_ms =
        (uint64_t)courier->config.probe_ms * (1 + group->probe_rounds / PROBE_ROUNDS_PER_STEP);
    if (pause_ms > courier->config.probe_max_ms)
        pause_ms = courier->config.probe_max_ms;
    return pause_ms * 1000 + base_prng_range(&courier->prng, 0, pause_ms * 250);
}

/* Asks every replica who leads, unless that was just done. */
static void probe(struct router_courier *courier, struct router_group *group)
{
    if (courier->now_us >= group->probe_at_us) {
        for (uint32_t i = 0; i < group->replica_count; i++)
            group->replicas[i].hello_wanted = true;
        group->probed_us = courier->now_us;
        group->probe_at_us = courier->now_us + probe_pause_us(courier, group);
        group->probe_rounds++;
    }
    router_courier_wake(courier, group->probe_at_us);
}

/* The group's time at which a request's deadline has come, as far as can be told from here. */
static uint64_t last_time(const struct router_courier *courier, const struct router_group *group,
                          const struct router_request *request)
{
    TORC_ASSERT(request->deadline_us > courier->now_us); /* Else it has ended. */
    uint64_t elapsed_ms = (courier->now_us - group->stamp_at_us) / 1000;
    uint64_t left_ms = (request->deadline_us - courier->now_us) / 1000;
    left_ms /= TORC_MUTANT(LAST_TIME_EARLY) ? 50 : 1;
    /* Some of it is left for what the two clocks differ by. */
    uint64_t most_ms = group->request_time_max_ms - group->request_time_max_ms / 8;
    if (group->request_time_max_ms != 0 && left_ms > most_ms)
        left_ms = most_ms;
    uint64_t now_ms = base_hlc_to_ms(group->stamp) + elapsed_ms;
    /* The clock of an answer may be ahead of what a new leader's voters show. */
    if (now_ms < base_hlc_to_ms(group->clock))
        now_ms = base_hlc_to_ms(group->clock);
    return base_hlc_from_ms(now_ms + left_ms);
}

/* A large request is a message of its own, whose payload is not copied. */
static bool is_large(const struct router_request *request)
{
    return request->bytes.size > ROUTER_LARGE_MIN;
}

static void request_send(struct router_courier *courier, struct router_group *group,
                         struct router_request *request)
{
    struct router_replica *leader = &group->replicas[group->leader];
    if (!request->stamped || TORC_MUTANT(RESTAMPED)) {
        if (!request->stale)
            base_put_le64(request->bytes.data + ROUTER_LAST_TIME_AT,
                          last_time(courier, group, request));
        request->stamped = true;
    } else if (TORC_MUTANT(RETRY_WITH_NEW_ID)) {
        enum { CLIENT_LOW_AT = 16 };
        request->bytes.data[CLIENT_LOW_AT]++;
    }
    router_request_list_remove(&group->waiting, request);
    request->state = ROUTER_REQUEST_SENT;
    request->sent_at_us = courier->now_us;
    request->sent_node = leader->node;
    request->sent_incarnation = leader->incarnation;
    if (group->sent.count == 0)
        group->heard_us = courier->now_us;
    router_request_list_append(&group->sent, request);
    if (!is_large(request))
        router_buffer_append(&courier->payloads, router_buffer_bytes(&request->bytes));
    leader->sequence++;
    courier->counters.copies++;
}

/* One message with as many of the waiting requests as credit and the message's size allow. */
static void message_send(struct router_courier *courier, struct router_group *group)
{
    struct router_replica *leader = &group->replicas[group->leader];
    Torc__Wire__Request head = TORC__WIRE__REQUEST__INIT;
    size_t start = courier->payloads.size;
    head.group = group->id;
    head.sequence = leader->sequence + 1;
    struct base_bytes large = {NULL, 0};
    while (large.data == NULL && group->waiting.first != NULL &&
           leader->sequence < leader->credit + (TORC_MUTANT(CREDIT_IGNORED) ? 1000 : 0)) {
        size_t size = courier->payloads.size - start + group->waiting.first->bytes.size;
        if (head.request_count > 0 &&
            (size > courier->config.message_size_max || is_large(group->waiting.first)))
            break;
        if (is_large(group->waiting.first))
            large = router_buffer_bytes(&group->waiting.first->bytes);
        request_send(courier, group, group->waiting.first);
        head.request_count++;
    }
    struct router_message *message =
        router_courier_send(courier, leader->peer, leader->node, WIRE_TYPE_REQUEST, &head.base);
    message->incarnation = leader->incarnation;
    message->payload = large;
    if (large.data == NULL)
        message->payload.size = courier->payloads.size - start;
    courier->turn_large += large.size;
    courier->large_put_off &= large.data == NULL;
}

/* Sent for too long without an answer: another copy, to the same leader. */
static void resend_overdue(struct router_courier *courier, struct router_group *group)
{
    struct router_request *request = group->sent.first;
    if (request == NULL)
        return;
    if (courier->now_us - request->sent_at_us >= group->resend_us) {
        take_back(group, courier->now_us - group->resend_us);
        if (group->resend_us < (uint64_t)courier->config.resend_ms * 1000 * RESEND_GROWTH_MAX)
            group->resend_us *= 2;
    } else {
        router_courier_wake(courier, request->sent_at_us + group->resend_us);
    }
}

static void leader_turn(struct router_courier *courier, struct router_group *group)
{
    struct router_replica *leader = &group->replicas[group->leader];
    resend_overdue(courier, group);
    bool paused = courier->now_us < group->pause_until_us;
    if (paused && group->waiting.first != NULL)
        router_courier_wake(courier, group->pause_until_us);
    while (!paused && group->waiting.first != NULL && leader->sequence < leader->credit) {
        if (courier->turn_large > 0 && is_large(group->waiting.first)) {
            courier->large_put_off = true;
            router_courier_wake(courier, courier->now_us);
            break;
        }
        message_send(courier, group);
    }
    if (group->sent.count > 0) {
        uint64_t silent_at_us = group->heard_us + (uint64_t)courier->config.silence_ms * 1000;
        if (courier->now_us >= silent_at_us)
            probe(courier, group);
        else
            router_courier_wake(courier, silent_at_us);
    } else if (!paused && group->waiting.first != NULL) {
        probe(courier, group); /* No credit, and no answer to come that would bring some. */
    }
}

/* From when on a request that needs no leader is put to others as well: at once without a leader,
 * else after a silence since it came, or was sent. */
static uint64_t unled_at_us(const struct router_courier *courier, const struct router_group *group,
                            const struct router_request *request)
{
    uint64_t silence_us = (uint64_t)courier->config.silence_ms * 1000;
    if (request->state == ROUTER_REQUEST_SENT)
        return request->sent_at_us + silence_us;
    return group->leader == ROUTER_NO_LEADER ? 0 : request->created_us + silence_us;
}

/* The next replica in turn that takes requests and is not the one asked already; NULL: none. */
static struct router_replica *stale_replica(struct router_group *group)
{
    for (uint32_t i = 0; i < group->replica_count; i++) {
        uint32_t index = group->stale_next++ % group->replica_count;
        struct router_replica *replica = &group->replicas[index];
        if (index != group->leader && replica->sequence < replica->credit)
            return replica;
    }
    return NULL;
}

/* Copies of those requests of a list, as far as credit and the message's size allow. They stay
 * where they are: whoever answers first is heard, and whoever may not answer is not waited for. */
static uint32_t stale_copy(struct router_courier *courier, const struct router_group *group,
                           struct router_request *at, struct router_replica *replica, size_t start)
{
    uint32_t count = 0;
    for (; at != NULL && replica->sequence < replica->credit; at = at->next) {
        size_t size = courier->payloads.size - start + at->bytes.size;
        if (!at->stale || courier->now_us < unled_at_us(courier, group, at))
            continue;
        if (size > at->bytes.size && size > courier->config.message_size_max)
            break;
        at->stamped = true;
        router_buffer_append(&courier->payloads, router_buffer_bytes(&at->bytes));
        replica->sequence++;
        courier->counters.copies++;
        count++;
    }
    return count;
}

/* When there may be such requests: the first of those that were sent is the oldest, and the first
 * of those that wait becomes as old if it stays there. */
static uint64_t stale_turn_at_us(const struct router_courier *courier,
                                 const struct router_group *group)
{
    uint64_t at_us = UINT64_MAX;
    if (courier->stale_count == 0)
        return at_us;
    if (group->waiting.first != NULL)
        at_us = unled_at_us(courier, group, group->waiting.first);
    if (group->sent.first != NULL && unled_at_us(courier, group, group->sent.first) < at_us)
        at_us = unled_at_us(courier, group, group->sent.first);
    return at_us < group->stale_at_us ? group->stale_at_us : at_us;
}

static void stale_turn(struct router_courier *courier, struct router_group *group)
{
    uint64_t at_us = stale_turn_at_us(courier, group);
    if (courier->now_us < at_us) {
        router_courier_wake(courier, at_us);
        return;
    }
    group->stale_at_us = courier->now_us + (uint64_t)courier->config.probe_ms * 1000;
    router_courier_wake(courier, group->stale_at_us);
    struct router_replica *replica = stale_replica(group);
    if (replica == NULL)
        return;
    Torc__Wire__Request head = TORC__WIRE__REQUEST__INIT;
    size_t start = courier->payloads.size;
    head.group = group->id;
    head.sequence = replica->sequence + 1;
    head.request_count = stale_copy(courier, group, group->waiting.first, replica, start);
    head.request_count += stale_copy(courier, group, group->sent.first, replica, start);
    if (head.request_count == 0)
        return;
    struct router_message *message =
        router_courier_send(courier, replica->peer, replica->node, WIRE_TYPE_REQUEST, &head.base);
    message->incarnation = replica->incarnation;
    message->payload.size = courier->payloads.size - start;
}

void router_group_turn(struct router_courier *courier, struct router_group *group)
{
    if (group->leader != ROUTER_NO_LEADER)
        leader_turn(courier, group);
    else
        probe(courier, group);
    stale_turn(courier, group);
    for (uint32_t i = 0; i < group->replica_count; i++) {
        if (group->replicas[i].hello_wanted)
            hello_send(courier, group, &group->replicas[i]);
    }
}
