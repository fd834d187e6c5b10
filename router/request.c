#include "router/courier_int.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/hlc.h"
#include "base/mutant.h"

enum {
    SPARE_MAX = 4096,                     /* Requests kept for later. */
    SPARE_BYTES_MAX = 4096,               /* Memory kept with each. */
    REQUEST_PARCELS_MAX = 1024,           /* Parcels that travel as one request, and their bytes. */
    REQUEST_BYTES_MAX = ROUTER_LARGE_MIN, /* A single larger one travels alone. */
    JOIN_SHARE = 8, /* A parcel joins a request younger than timeout / JOIN_SHARE. */
};

_Static_assert((int)REQUEST_PARCELS_MAX <= (int)WIRE_OPS_MAX, "one operation per parcel");

void router_request_list_append(struct router_request_list *list, struct router_request *request)
{
    TORC_ASSERT(request->next == NULL && request->previous == NULL);
    request->previous = list->last;
    if (list->last != NULL)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
    list->count++;
}

void router_request_list_remove(struct router_request_list *list, struct router_request *request)
{
    TORC_ASSERT(list->count > 0);
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        list->first = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    else
        list->last = request->previous;
    request->previous = NULL;
    request->next = NULL;
    list->count--;
}

/* ---- Tables
 * -------------------------------------------------------------------------------------- */

static struct router_request **number_bucket(const struct router_courier *courier, uint64_t number)
{
    return &courier->by_number[number & (courier->bucket_count - 1)];
}

static struct router_request **order_bucket(const struct router_courier *courier, uint64_t owner,
                                            uint64_t order)
{
    return &courier->by_order[(order ^ owner) & (courier->bucket_count - 1)];
}

struct router_request *router_request_by_number(const struct router_courier *courier,
                                                uint64_t number)
{
    struct router_request *request = *number_bucket(courier, number);
    while (request != NULL && request->number != number)
        request = request->number_next;
    return request;
}

/* The request that the later ones of an owner and key wait for. */
static struct router_request *find_by_order(const struct router_courier *courier, uint64_t owner,
                                            uint64_t order)
{
    struct router_request *request = *order_bucket(courier, owner, order);
    while (request != NULL && (request->owner != owner || request->order != order))
        request = request->order_next;
    return request;
}

static void insert_by_order(struct router_courier *courier, struct router_request *request)
{
    struct router_request **bucket = order_bucket(courier, request->owner, request->order);
    request->order_next = *bucket;
    *bucket = request;
}

static void remove_by_order(struct router_courier *courier, struct router_request *request)
{
    struct router_request **at = order_bucket(courier, request->owner, request->order);
    while (*at != request)
        at = &(*at)->order_next;
    *at = request->order_next;
    request->order_next = NULL;
}

static void insert_by_number(struct router_courier *courier, struct router_request *request)
{
    struct router_request **bucket = number_bucket(courier, request->number);
    request->number_next = *bucket;
    *bucket = request;
}

static void remove_by_number(struct router_courier *courier, struct router_request *request)
{
    struct router_request **at = number_bucket(courier, request->number);
    while (*at != request)
        at = &(*at)->number_next;
    *at = request->number_next;
    request->number_next = NULL;
}

/* ---- Birth and end
 * ------------------------------------------------------------------------------- */

static struct router_request *request_new(struct router_courier *courier, uint64_t deadline_us,
                                          uint8_t flags)
{
    struct router_request *request = courier->spare;
    if (request == NULL) {
        request = base_alloc_zero(courier->allocator, sizeof(*request));
        request->bytes = router_buffer_empty(courier->allocator);
    } else {
        courier->spare = request->next;
        courier->spare_count--;
        struct router_request kept = *request;
        *request = (struct router_request){
            .bytes = kept.bytes, .parcels = kept.parcels, .parcel_capacity = kept.parcel_capacity};
    }
    request->number = ++courier->number_last;
    request->created_us = courier->now_us;
    request->deadline_us = deadline_us;
    request->serial = ++courier->serial_last;
    insert_by_number(courier, request);
    router_deadlines_add(courier, request);
    router_buffer_grow(&request->bytes, WIRE_REQUEST_HEADER_SIZE);
    wire_request_begin(request->bytes.data, request->bytes.size, courier->config.client,
                       request->number, 0 /* last time, at the first sending */, flags);
    courier->bytes_size += WIRE_REQUEST_HEADER_SIZE;
    return request;
}

void router_request_destroy(struct router_courier *courier, struct router_request *request)
{
    router_buffer_fini(&request->bytes);
    base_array_free(courier->allocator, request->parcels, &request->parcel_capacity,
                    sizeof(*request->parcels));
    base_free(courier->allocator, request, sizeof(*request));
}

static void request_recycle(struct router_courier *courier, struct router_request *request)
{
    if (courier->spare_count >= SPARE_MAX || request->bytes.capacity > SPARE_BYTES_MAX ||
        request->parcel_capacity * sizeof(*request->parcels) > SPARE_BYTES_MAX) {
        router_request_destroy(courier, request);
        return;
    }
    request->bytes.size = 0;
    request->next = courier->spare;
    courier->spare = request;
    courier->spare_count++;
}

static bool answers_value(const struct wire_op *op)
{
    return op->type == WIRE_OP_GET || op->type == WIRE_OP_GET_RANGE ||
           op->type == WIRE_OP_ADD_DECIMAL || (op->flags & WIRE_OP_RETURN_OLD) != 0;
}

/* The request of parcels that are added now. */
static struct router_request *request_new_now(struct router_courier *courier)
{
    uint64_t timeout_us = (uint64_t)courier->config.request_timeout_ms * 1000;
    timeout_us /= TORC_MUTANT(DEADLINE_EARLY) ? 50 : 1;
    return request_new(courier, courier->now_us + timeout_us, 0 /* flags */);
}

static void parcel_append(struct router_courier *courier, struct router_request *request,
                          struct router_parcel parcel)
{
    request->parcels =
        base_array_reserve(courier->allocator, request->parcels, &request->parcel_capacity,
                           request->parcel_count + 1, sizeof(*request->parcels));
    request->parcels[request->parcel_count++] = parcel;
    courier->parcel_count++;
    request->writes |= parcel.writes;
}

static void add_parcel(struct router_courier *courier, struct router_request *request,
                       const struct wire_op *op, struct router_parcel parcel)
{
    TORC_ASSERT(!request->stamped);
    size_t size = wire_op_size(op);
    uint8_t *at = router_buffer_grow(&request->bytes, size);
    wire_op_write(at, size, op);
    courier->bytes_size += size;
    router_courier_large(courier, size);
    parcel_append(courier, request, parcel);
    wire_request_end(request->bytes.data, request->bytes.size, (uint16_t)request->parcel_count);
    request->value_ops += answers_value(op);
}

/* Values that surely find room in one answer. */
static size_t values_max(const struct router_courier *courier)
{
    return courier->map == NULL
               ? 1
               : courier->map->limits.request_size_max / courier->map->limits.value_size_max;
}

/* What has no room in an answer can be read again, but not written again. */
static bool values_fit(const struct router_courier *courier, const struct router_request *request,
                       const struct wire_op *op)
{
    return (!request->writes && !wire_op_writes(op->type)) ||
           request->value_ops + answers_value(op) <= values_max(courier);
}

/* Bytes of a request that several operations share. Without a map its limit is not known: each
 * travels alone. */
static size_t shared_size_max(const struct router_courier *courier)
{
    if (courier->map == NULL)
        return 0;
    size_t limit = courier->map->limits.request_size_max;
    return limit < REQUEST_BYTES_MAX ? limit : REQUEST_BYTES_MAX;
}

static bool may_join(const struct router_courier *courier, const struct router_request *request,
                     const struct wire_op *op)
{
    uint64_t age_us = courier->now_us - request->created_us;
    return !request->stamped && request->parcel_count < REQUEST_PARCELS_MAX &&
           request->bytes.size + wire_op_size(op) <= shared_size_max(courier) &&
           values_fit(courier, request, op) &&
           age_us <= (uint64_t)courier->config.request_timeout_ms * 1000 / JOIN_SHARE;
}

void router_courier_add(struct router_courier *courier, uint64_t owner, const struct wire_op *op,
                        void *call, uint32_t part)
{
    TORC_ASSERT(op->key.size > 0);
    uint64_t order = base_hash(op->key);
    struct router_parcel parcel = {call, part, wire_op_writes(op->type)};
    struct router_request *head =
        TORC_MUTANT(ORDER_IGNORED) ? NULL : find_by_order(courier, owner, order);
    struct router_request *tail = head;
    while (tail != NULL && tail->held != NULL)
        tail = tail->held;
    if (tail != NULL && may_join(courier, tail, op)) {
        add_parcel(courier, tail, op, parcel);
        return;
    }
    struct router_request *request = request_new_now(courier);
    request->keyed = true;
    request->ordered = true;
    request->owner = owner;
    request->order = order;
    add_parcel(courier, request, op, parcel);
    if (tail != NULL) {
        request->state = ROUTER_REQUEST_HELD;
        tail->held = request;
    } else {
        insert_by_order(courier, request);
        router_request_route(courier, request);
    }
}

void router_courier_add_group(struct router_courier *courier, uint32_t group,
                              const struct wire_op *op, void *call, uint32_t part)
{
    struct router_request *request = request_new_now(courier);
    request->group = router_courier_group(courier, group);
    TORC_ASSERT(request->group != NULL);
    add_parcel(courier, request, op, (struct router_parcel){call, part, wire_op_writes(op->type)});
    router_request_route(courier, request);
}

/* The operations of a whole request, for wire_op_next. */
static struct wire_request whole_ops(const struct router_request *request)
{
    return (struct wire_request){.op_count = request->op_count,
                                 .ops =
                                     base_bytes_of(request->bytes.data + WIRE_REQUEST_HEADER_SIZE,
                                                   request->bytes.size - WIRE_REQUEST_HEADER_SIZE)};
}

/* Where its first operation that writes is, or its first when none does. */
static size_t find_route(const struct router_request *request)
{
    struct wire_request ops = whole_ops(request);
    struct wire_op op;
    size_t at = 0;
    for (size_t cursor = 0; wire_op_next(&ops, &cursor, &op); at = cursor) {
        if (wire_op_writes(op.type))
            return WIRE_REQUEST_HEADER_SIZE + at;
    }
    return WIRE_REQUEST_HEADER_SIZE;
}

/* Tells of one that came when its deadline had. */
static void refuse_late(struct router_courier *courier, const struct router_courier_request *added)
{
    struct router_outcome outcome = {
        .type = ROUTER_NOTHING_DONE,
        .reason = "its deadline came before it could be sent",
        .group = added->group,
    };
    courier->counters.requests++;
    courier->counters.nothing_done++;
    courier->sink.done(courier->sink.context, added->call, added->part, &outcome);
}

void router_courier_add_request(struct router_courier *courier,
                                const struct router_courier_request *added)
{
    TORC_ASSERT(added->op_count > 0 && added->ops.size > 0);
    if (added->deadline_us <= courier->now_us) {
        refuse_late(courier, added);
        return;
    }
    struct router_request *request = request_new(courier, added->deadline_us, added->flags);
    request->whole = true;
    request->keyed = added->group == 0;
    request->stale = (added->flags & WIRE_REQUEST_STALE) != 0;
    request->op_count = added->op_count;
    router_buffer_append(&request->bytes, added->ops);
    courier->bytes_size += added->ops.size;
    wire_request_end(request->bytes.data, request->bytes.size, added->op_count);
    courier->stale_count += request->stale;
    if (request->stale)
        base_put_le64(request->bytes.data + ROUTER_LAST_TIME_AT, added->staleness_ms);
    request->route_at = find_route(request);
    enum wire_op_type type = (enum wire_op_type)request->bytes.data[request->route_at];
    parcel_append(courier, request,
                  (struct router_parcel){added->call, added->part, wire_op_writes(type)});
    if (!request->keyed) {
        request->group = router_courier_group(courier, added->group);
        TORC_ASSERT(request->group != NULL);
    }
    router_request_route(courier, request);
}

void router_courier_await_map(struct router_courier *courier, void *call)
{
    TORC_ASSERT(courier->map == NULL);
    struct router_request *request = request_new_now(courier);
    struct wire_op nothing = {.type = WIRE_OP_COUNT}; /* Never sent. */
    add_parcel(courier, request, &nothing, (struct router_parcel){call, 0, false});
    router_request_route(courier, request);
}

/* ---- Routing
 * ------------------------------------------------------------------------------------- */

/* The key that it goes to. Parcels of one request share it, or at least its hash. */
static struct base_bytes request_key(const struct router_request *request)
{
    size_t at = request->whole ? request->route_at : WIRE_REQUEST_HEADER_SIZE;
    const uint8_t *op = request->bytes.data + at;
    return base_bytes_of(op + WIRE_OP_HEADER_SIZE, base_get_le16(op + 4));
}

static uint32_t key_group(const struct router_courier *courier, struct base_bytes key)
{
    const struct ring *ring = courier->map->ring;
    return ring_lookup(ring, ring_token(key, ring->vnode_bits));
}

/* Whether some key belongs to another group than the one that it goes to. */
static bool is_spread(const struct router_courier *courier, const struct router_request *request)
{
    struct wire_request ops = whole_ops(request);
    uint32_t group = key_group(courier, request_key(request));
    struct wire_op op;
    for (size_t cursor = 0; wire_op_next(&ops, &cursor, &op);) {
        if (key_group(courier, op.key) != group)
            return true;
    }
    return false;
}

static void refuse_spread(struct router_courier *courier, struct router_request *request)
{
    struct router_outcome outcome = {
        .type = ROUTER_REFUSED,
        .status = TORC_UNSUPPORTED,
        .reason = "it reads keys of several shards, and writes none; a common {tag} keeps keys "
                  "together",
    };
    courier->counters.refused++;
    request->state = ROUTER_REQUEST_HELD; /* In no list. */
    router_request_finish(courier, request, &outcome, NULL);
}

/* The answer of what has waited for nothing but the map. */
static void tell_of_map(struct router_courier *courier, struct router_request *request)
{
    struct wire_result result = {.kind = WIRE_RESULT_OK};
    struct router_outcome outcome = {.type = ROUTER_ANSWERED, .result = &result};
    request->state = ROUTER_REQUEST_HELD; /* In no list. */
    router_request_finish(courier, request, &outcome, NULL);
}

void router_request_route(struct router_courier *courier, struct router_request *request)
{
    if (courier->map == NULL) {
        TORC_ASSERT(request->group == NULL);
        request->state = ROUTER_REQUEST_UNROUTED;
        router_request_list_append(&courier->unrouted, request);
        return;
    }
    if (!request->keyed && request->group == NULL) {
        tell_of_map(courier, request);
        return;
    }
    /* What writes is a transaction of the nodes, and goes to the first key that it writes. */
    if (request->whole && request->keyed && !request->writes && is_spread(courier, request)) {
        refuse_spread(courier, request);
        return;
    }
    struct router_group *before = request->group;
    if (request->keyed)
        request->group = router_courier_group(courier, key_group(courier, request_key(request)));
    if (request->group != before)
        request->reason = NULL; /* Of the copy to the other group. */
    request->state = ROUTER_REQUEST_WAITING;
    router_request_list_append(&request->group->waiting, request);
}

void router_requests_reroute(struct router_courier *courier)
{
    for (size_t left = courier->unrouted.count; left > 0; left--) {
        struct router_request *request = courier->unrouted.first;
        router_request_list_remove(&courier->unrouted, request);
        router_request_route(courier, request);
    }
}

void router_request_unlist(struct router_courier *courier, struct router_request *request)
{
    switch (request->state) {
    case ROUTER_REQUEST_HELD:
        break;
    case ROUTER_REQUEST_UNROUTED:
        router_request_list_remove(&courier->unrouted, request);
        break;
    case ROUTER_REQUEST_WAITING:
        router_request_list_remove(&request->group->waiting, request);
        break;
    case ROUTER_REQUEST_SENT:
        router_request_list_remove(&request->group->sent, request);
        break;
    }
}

/* ---- Outcomes
 * ------------------------------------------------------------------------------------ */

/* Takes a request out of everything; the one that waited for it goes on. */
static void request_forget(struct router_courier *courier, struct router_request *request)
{
    router_request_unlist(courier, request);
    remove_by_number(courier, request);
    router_deadlines_remove(courier, request);
    if (request->ordered && request->state == ROUTER_REQUEST_HELD) {
        struct router_request *before = find_by_order(courier, request->owner, request->order);
        while (before->held != request)
            before = before->held;
        before->held = request->held;
    } else if (request->ordered) {
        remove_by_order(courier, request);
        if (request->held != NULL) {
            insert_by_order(courier, request->held);
            router_request_route(courier, request->held);
        }
    }
    courier->parcel_count -= request->parcel_count;
    courier->stale_count -= request->stale;
    courier->bytes_size -= request->bytes.size;
    courier->counters.requests++;
}

/* Tells the first `count` parcels of their outcomes. */
static void parcels_tell(struct router_courier *courier, struct router_request *request,
                         const struct router_outcome *outcome, const struct wire_answer *answer,
                         size_t count)
{
    struct router_outcome each = *outcome;
    size_t cursor = 0;
    for (size_t i = 0; i < count; i++) {
        struct wire_result result;
        if (answer != NULL && !request->whole) {
            bool more = wire_result_next(answer, &cursor, &result);
            TORC_ASSERT(more);
            each.result = &result;
        }
        /* A read that travelled with a write changes nothing in any case. */
        if (outcome->type == ROUTER_UNKNOWN && !TORC_MUTANT(READ_UNKNOWN))
            each.type = request->parcels[i].writes ? ROUTER_UNKNOWN : ROUTER_NOTHING_DONE;
        courier->sink.done(courier->sink.context, request->parcels[i].call,
                           request->parcels[i].part, &each);
    }
}

void router_request_finish(struct router_courier *courier, struct router_request *request,
                           const struct router_outcome *outcome, const struct wire_answer *answer)
{
    request_forget(courier, request);
    parcels_tell(courier, request, outcome, answer, request->parcel_count);
    request->parcel_count = 0;
    request_recycle(courier, request);
}

size_t router_request_ops(const struct router_request *request)
{
    return request->whole ? request->op_count : request->parcel_count;
}

size_t router_request_fitting(const struct router_request *request,
                              const struct wire_answer *answer)
{
    struct wire_result result;
    size_t cursor = 0, count = 0;
    while (!request->whole && !request->writes && wire_result_next(answer, &cursor, &result)) {
        if (result.kind == WIRE_RESULT_ERROR && result.error == WIRE_ERROR_TOO_LARGE)
            return count;
        count++;
    }
    return request->parcel_count;
}

/* Takes the first `count` operations and parcels out of it. */
static void cut(struct router_courier *courier, struct router_request *request, size_t count)
{
    uint8_t *ops = request->bytes.data + WIRE_REQUEST_HEADER_SIZE;
    size_t size = request->bytes.size - WIRE_REQUEST_HEADER_SIZE;
    struct wire_request encoded = {.op_count = (uint16_t)request->parcel_count,
                                   .ops = base_bytes_of(ops, size)};
    struct wire_op op;
    size_t ops_size = 0; /* Of those taken out: where the walk has come to. */
    for (size_t i = 0; i < count; i++) {
        bool more = wire_op_next(&encoded, &ops_size, &op);
        TORC_ASSERT(more);
        request->value_ops -= answers_value(&op);
    }
    memmove(ops, ops + ops_size, size - ops_size);
    request->bytes.size -= ops_size;
    courier->bytes_size -= ops_size;
    request->parcel_count -= count;
    courier->parcel_count -= count;
    memmove(request->parcels, request->parcels + count,
            request->parcel_count * sizeof(*request->parcels));
}

void router_request_shorten(struct router_courier *courier, struct router_request *request,
                            const struct router_outcome *outcome, const struct wire_answer *answer,
                            size_t count)
{
    TORC_ASSERT(!request->writes && request->stamped); /* So nothing joins it meanwhile. */
    TORC_ASSERT(count > 0 && count < request->parcel_count);
    parcels_tell(courier, request, outcome, answer, count);
    router_request_unlist(courier, request);
    remove_by_number(courier, request);
    cut(courier, request, count);
    request->number = ++courier->number_last;
    wire_request_begin(request->bytes.data, request->bytes.size, courier->config.client,
                       request->number, 0 /* last time, at the first sending */, 0 /* flags */);
    wire_request_end(request->bytes.data, request->bytes.size, (uint16_t)request->parcel_count);
    insert_by_number(courier, request);
    request->stamped = false;
    request->in_doubt = false;
    router_request_route(courier, request);
}

static const char *fail_reason(const struct router_courier *courier,
                               const struct router_request *request)
{
    switch (request->state) {
    case ROUTER_REQUEST_HELD:
        return "an earlier command of this connection on the same key has no answer yet";
    case ROUTER_REQUEST_SENT:
        return "the leader did not answer";
    case ROUTER_REQUEST_UNROUTED:
    case ROUTER_REQUEST_WAITING:
        break;
    }
    if (courier->map == NULL)
        return "no node has given the cluster's map";
    if (request->reason != NULL)
        return request->reason;
    return request->group->leader == ROUTER_NO_LEADER ? "no leader was found"
                                                      : "the leader takes no more at present";
}

void router_request_fail(struct router_courier *courier, struct router_request *request)
{
    bool may_happen = request->writes &&
                      (request->in_doubt || request->state == ROUTER_REQUEST_SENT) &&
                      !TORC_MUTANT(NOTHING_DONE_EARLY);
    struct router_outcome outcome = {
        .type = may_happen ? ROUTER_UNKNOWN : ROUTER_NOTHING_DONE,
        .reason = fail_reason(courier, request),
        .group = request->group == NULL ? 0 : request->group->id,
    };
    if (may_happen)
        courier->counters.unknown++;
    else
        courier->counters.nothing_done++;
    router_request_finish(courier, request, &outcome, NULL);
}
