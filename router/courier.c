#include "router/courier.h"

#include <string.h>

#include "base/assert.h"
#include "router/courier_int.h"

enum {
    BUCKETS_MIN = 64,
    BUCKETS_MAX = 65536,
    ARENA_SIZE_MAX = 64 << 20,        /* A map of 65,536 vnodes and its kin. */
    MAP_RETRY_US = 200 * 1000,        /* Without a map. */
    MAP_REFRESH_US = 2 * 1000 * 1000, /* With one: the subscription at one node after another. */
    MAP_ASK_PAUSE_US = 50 * 1000,     /* After somebody said that there is a newer one. */
};

struct router_courier *router_courier_new(const struct base_allocator *allocator,
                                          const struct router_courier_config *config,
                                          struct router_courier_sink sink)
{
    TORC_ASSERT(config->request_timeout_ms > 0 && config->inflight_max > 0);
    TORC_ASSERT(config->request_timeout_ms <= ROUTER_TIMEOUT_MS_MAX);
    TORC_ASSERT(config->probe_ms > 0 && config->resend_ms > 0 && config->silence_ms > 0);
    struct router_courier *courier = base_alloc_zero(allocator, sizeof(*courier));
    courier->allocator = allocator;
    courier->config = *config;
    courier->sink = sink;
    courier->prng = base_prng_seeded(config->seed);
    courier->bucket_count = BUCKETS_MIN;
    while (courier->bucket_count < config->inflight_max && courier->bucket_count < BUCKETS_MAX)
        courier->bucket_count *= 2;
    size_t size = courier->bucket_count * sizeof(struct router_request *);
    courier->by_number = base_alloc_zero(allocator, size);
    courier->by_order = base_alloc_zero(allocator, size);
    courier->arena = wire_arena_new(allocator, ARENA_SIZE_MAX);
    courier->bodies = router_buffer_empty(allocator);
    courier->payloads = router_buffer_empty(allocator);
    for (size_t i = 0; i < config->seed_count; i++)
        router_courier_peer(courier, config->seeds[i]);
    courier->seed_peers = courier->peer_count; /* Fewer than seeds when some are the same. */
    return courier;
}

void router_courier_free(struct router_courier *courier)
{
    if (courier == NULL)
        return;
    const struct base_allocator *allocator = courier->allocator;
    for (size_t i = 0; i < courier->request_count; i++)
        router_request_destroy(courier, courier->deadlines[i]);
    base_array_free(allocator, courier->deadlines, &courier->deadline_capacity,
                    sizeof(struct router_request *));
    while (courier->spare != NULL) {
        struct router_request *request = courier->spare;
        courier->spare = request->next;
        router_request_destroy(courier, request);
    }
    for (size_t i = 0; i < courier->group_count; i++)
        base_free(allocator, courier->groups[i], sizeof(*courier->groups[i]));
    base_free(allocator, courier->groups, courier->group_count * sizeof(*courier->groups));
    base_array_free(allocator, courier->peers, &courier->peer_capacity, sizeof(*courier->peers));
    base_array_free(allocator, courier->messages, &courier->message_capacity,
                    sizeof(*courier->messages));
    size_t size = courier->bucket_count * sizeof(struct router_request *);
    base_free(allocator, courier->by_number, size);
    base_free(allocator, courier->by_order, size);
    router_buffer_fini(&courier->bodies);
    router_buffer_fini(&courier->payloads);
    wire_arena_free(courier->arena);
    router_map_free(courier->map);
    base_free(allocator, courier, sizeof(*courier));
}

void router_courier_wake(struct router_courier *courier, uint64_t at_us)
{
    if (at_us < courier->wake_at_us)
        courier->wake_at_us = at_us;
}

void router_courier_turn(struct router_courier *courier, uint64_t now_us)
{
    TORC_ASSERT(now_us >= courier->now_us);
    courier->now_us = now_us;
    courier->message_count = 0;
    courier->bodies.size = 0;
    router_buffer_clear(&courier->payloads);
    courier->turn_large = 0;
    while (courier->request_count > 0 && courier->deadlines[0]->deadline_us <= now_us)
        router_request_fail(courier, courier->deadlines[0]);
}

uint64_t router_courier_now_us(const struct router_courier *courier)
{
    return courier->now_us;
}

void router_courier_abandon(struct router_courier *courier)
{
    while (courier->request_count > 0)
        router_request_fail(courier, courier->deadlines[0]);
}

bool router_courier_has_room(const struct router_courier *courier, size_t count, size_t size)
{
    return router_courier_could_fit(courier, courier->parcel_count + count,
                                    courier->bytes_size + size);
}

bool router_courier_could_fit(const struct router_courier *courier, size_t count, size_t size)
{
    size_t heads = WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE;
    return count <= courier->config.inflight_max &&
           size + count * heads <= courier->config.inflight_size_max;
}

/* ---- Peers, groups, map
 * -------------------------------------------------------------------------- */

uint32_t router_courier_peer(struct router_courier *courier, const char *address)
{
    for (size_t i = 0; i < courier->peer_count; i++) {
        if (strcmp(courier->peers[i].address, address) == 0)
            return (uint32_t)i;
    }
    size_t size = strlen(address) + 1;
    TORC_ASSERT(size <= ROUTER_ADDRESS_SIZE_MAX);
    courier->peers = base_array_reserve(courier->allocator, courier->peers, &courier->peer_capacity,
                                        courier->peer_count + 1, sizeof(*courier->peers));
    memcpy(courier->peers[courier->peer_count].address, address, size);
    return (uint32_t)courier->peer_count++;
}

size_t router_courier_peer_count(const struct router_courier *courier)
{
    return courier->peer_count;
}

const char *router_courier_peer_address(const struct router_courier *courier, uint32_t peer)
{
    TORC_ASSERT(peer < courier->peer_count);
    return courier->peers[peer].address;
}

struct router_group *router_courier_group(const struct router_courier *courier, uint32_t id)
{
    size_t low = 0, high = courier->group_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (courier->groups[middle]->id == id)
            return courier->groups[middle];
        if (courier->groups[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct router_map *router_courier_map(const struct router_courier *courier)
{
    return courier->map;
}

void router_courier_map_heard(struct router_courier *courier, uint32_t node, uint64_t version)
{
    if (courier->map == NULL || version > courier->map->version)
        courier->map_ask_node = node;
}

/* Requests that wait at a group which has given their key away go to its new one. */
static void reroute_waiting(struct router_courier *courier, struct router_group *group)
{
    for (size_t left = group->waiting.count; left > 0; left--) {
        struct router_request *request = group->waiting.first;
        router_request_list_remove(&group->waiting, request);
        router_request_route(courier, request);
    }
}

/* Whether every group that is known is still there: groups do not disappear. */
static bool keeps_groups(const struct router_courier *courier, const struct router_map *map)
{
    size_t row = 0;
    for (size_t i = 0; i < courier->group_count; i++) {
        while (row < map->group_count && map->groups[row].id < courier->groups[i]->id)
            row++;
        if (row == map->group_count || map->groups[row].id != courier->groups[i]->id)
            return false;
    }
    return true;
}

static void map_adopt(struct router_courier *courier, struct router_map *map)
{
    struct router_map *old = courier->map;
    courier->map = map;
    struct router_group **groups =
        base_alloc(courier->allocator, map->group_count * sizeof(*groups));
    for (size_t i = 0; i < map->group_count; i++) {
        groups[i] = router_courier_group(courier, map->groups[i].id);
        if (groups[i] == NULL)
            groups[i] = router_group_new(courier, map->groups[i].id);
        router_group_update(courier, groups[i], &map->groups[i]);
    }
    base_free(courier->allocator, courier->groups, courier->group_count * sizeof(*groups));
    courier->groups = groups;
    courier->group_count = map->group_count;
    router_map_free(old);
    for (size_t i = 0; i < courier->group_count; i++)
        reroute_waiting(courier, courier->groups[i]);
    router_requests_reroute(courier);
}

static void map_heard(struct router_courier *courier, const Torc__Wire__MapReply *reply)
{
    struct router_map *map;
    if (reply->map == NULL)
        return; /* There is no newer one. */
    enum torc_status status = router_map_read(courier->allocator, reply->map,
                                              &courier->config.cluster, courier->map, &map);
    if (status == TORC_STALE)
        return;
    if (status != TORC_OK) {
        courier->counters.messages_rejected++;
    } else if (!keeps_groups(courier, map)) {
        courier->counters.messages_rejected++;
        router_map_free(map);
    } else {
        map_adopt(courier, map);
    }
}

/* ---- Receiving
 * ----------------------------------------------------------------------------------- */

static bool is_zero(const struct wire_id *id)
{
    static const struct wire_id zero = {{0}};
    return memcmp(id, &zero, sizeof(zero)) == 0;
}

/* Of this cluster, and from the storage that the map knows under this node's id. */
static bool belongs(const struct router_courier *courier, const struct wire_envelope *envelope)
{
    if (memcmp(&envelope->cluster, &courier->config.cluster, sizeof(envelope->cluster)) != 0 ||
        envelope->node == 0)
        return false;
    if (courier->map == NULL)
        return true;
    const struct router_map_node *node = router_map_node_find(courier->map, envelope->node);
    return node == NULL || is_zero(&node->storage) ||
           memcmp(&node->storage, &envelope->storage, sizeof(node->storage)) == 0;
}

void router_courier_large(struct router_courier *courier, size_t size)
{
    if (size > ROUTER_LARGE_MIN && !courier->large_put_off)
        courier->turn_large += size;
}

void router_courier_receive(struct router_courier *courier, const struct wire_envelope *envelope)
{
    const ProtobufCMessage *body;
    courier->counters.messages_received++;
    router_courier_large(courier, envelope->payload.size);
    if (!belongs(courier, envelope) || wire_body_read(courier->arena, envelope, &body) != TORC_OK) {
        courier->counters.messages_rejected++;
        return;
    }
    struct router_group *group = NULL;
    if (envelope->type == WIRE_TYPE_MAP) {
        map_heard(courier, (const Torc__Wire__MapReply *)body);
    } else if (envelope->type == WIRE_TYPE_WELCOME) {
        const Torc__Wire__Welcome *welcome = (const Torc__Wire__Welcome *)body;
        router_courier_map_heard(courier, envelope->node, welcome->map_version);
        group = router_courier_group(courier, welcome->group);
        if (group != NULL)
            router_group_welcome(courier, group, envelope, welcome);
    } else if (envelope->type == WIRE_TYPE_REPLY) {
        const Torc__Wire__Reply *reply = (const Torc__Wire__Reply *)body;
        router_courier_map_heard(courier, envelope->node, reply->map_version);
        group = router_courier_group(courier, reply->group);
        if (group != NULL)
            router_group_reply(courier, group, envelope, reply);
    }
    if (group == NULL && envelope->type != WIRE_TYPE_MAP)
        courier->counters.messages_rejected++;
}

void router_courier_peer_lost(struct router_courier *courier, uint32_t peer)
{
    for (size_t i = 0; i < courier->group_count; i++)
        router_group_peer_lost(courier, courier->groups[i], peer);
}

/* ---- Sending
 * ------------------------------------------------------------------------------------- */

struct router_message *router_courier_send(struct router_courier *courier, uint32_t peer,
                                           uint32_t node, enum wire_type type,
                                           const ProtobufCMessage *body)
{
    TORC_ASSERT(peer < courier->peer_count);
    size_t size = protobuf_c_message_get_packed_size(body);
    size_t packed = protobuf_c_message_pack(body, router_buffer_grow(&courier->bodies, size));
    TORC_ASSERT(packed == size);
    courier->messages =
        base_array_reserve(courier->allocator, courier->messages, &courier->message_capacity,
                           courier->message_count + 1, sizeof(*courier->messages));
    struct router_message *message = &courier->messages[courier->message_count++];
    *message = (struct router_message){.peer = peer, .node = node, .type = type};
    message->body.size = size;
    return message;
}

static void map_request_send(struct router_courier *courier, uint32_t peer, uint32_t node)
{
    Torc__Wire__MapRequest request = TORC__WIRE__MAP_REQUEST__INIT;
    request.known_version = courier->map == NULL ? 0 : courier->map->version;
    request.subscribe = true;
    router_courier_send(courier, peer, node, WIRE_TYPE_MAP_REQUEST, &request.base);
}

static void map_request_node(struct router_courier *courier, const struct router_map_node *node)
{
    map_request_send(courier, router_courier_peer(courier, node->address), node->id);
}

/* Asks for a map: all seeds until there is one; then whoever has a newer one; and one node after
 * another all the time, since a node that was started anew has forgotten who subscribed. */
static void map_turn(struct router_courier *courier)
{
    uint64_t now_us = courier->now_us;
    if (courier->map == NULL) {
        if (now_us >= courier->map_at_us) {
            for (uint32_t i = 0; i < courier->seed_peers; i++)
                map_request_send(courier, i, 0);
            courier->map_at_us = now_us + MAP_RETRY_US;
        }
        router_courier_wake(courier, courier->map_at_us);
        return;
    }
    const struct router_map_node *asked = router_map_node_find(courier->map, courier->map_ask_node);
    if (asked != NULL && now_us >= courier->map_ask_at_us) {
        map_request_node(courier, asked);
        courier->map_ask_node = 0;
        courier->map_ask_at_us = now_us + MAP_ASK_PAUSE_US;
    } else if (asked != NULL) {
        router_courier_wake(courier, courier->map_ask_at_us);
    }
    if (now_us >= courier->map_at_us) {
        size_t index = courier->map_refreshed++ % courier->map->node_count;
        map_request_node(courier, &courier->map->nodes[index]);
        courier->map_at_us = now_us + MAP_REFRESH_US;
    }
    router_courier_wake(courier, courier->map_at_us);
}

/* Messages stand in the order of their bodies and payloads, which have stopped moving now. */
static void messages_place(struct router_courier *courier)
{
    size_t body = 0, payload = 0;
    for (size_t i = 0; i < courier->message_count; i++) {
        struct router_message *message = &courier->messages[i];
        message->body.data = courier->bodies.data + body;
        body += message->body.size;
        if (message->payload.size == 0 || message->payload.data != NULL)
            continue; /* Nothing, or a large request's own bytes. */
        message->payload.data = courier->payloads.data + payload;
        payload += message->payload.size;
    }
    TORC_ASSERT(body == courier->bodies.size);
    TORC_ASSERT(payload == courier->payloads.size);
}

size_t router_courier_messages(struct router_courier *courier,
                               const struct router_message **ret_messages)
{
    courier->wake_at_us =
        courier->request_count == 0 ? UINT64_MAX : courier->deadlines[0]->deadline_us;
    map_turn(courier);
    if (courier->unrouted.count > 0 && courier->map != NULL) {
        if (courier->now_us >= courier->unrouted_at_us)
            router_requests_reroute(courier);
        else
            router_courier_wake(courier, courier->unrouted_at_us);
    }
    for (size_t i = 0; i < courier->group_count; i++)
        router_group_turn(courier,
                          courier->groups[(courier->group_first + i) % courier->group_count]);
    courier->group_first += courier->turn_large > 0; /* Another group's may go first then. */
    messages_place(courier);
    *ret_messages = courier->messages;
    return courier->message_count;
}

uint64_t router_courier_wake_at_us(const struct router_courier *courier)
{
    return courier->wake_at_us;
}

/* ---- Looking
 * ------------------------------------------------------------------------------------- */

const struct router_courier_counters *router_courier_counters(const struct router_courier *courier)
{
    return &courier->counters;
}

size_t router_courier_inflight(const struct router_courier *courier)
{
    return courier->parcel_count;
}

size_t router_courier_inflight_size(const struct router_courier *courier)
{
    return courier->bytes_size;
}

bool router_courier_group_info(const struct router_courier *courier, size_t index,
                               struct router_group_info *ret_info)
{
    if (index >= courier->group_count)
        return false;
    const struct router_group *group = courier->groups[index];
    *ret_info = (struct router_group_info){
        .group = group->id,
        .leader_node = group->leader == ROUTER_NO_LEADER ? 0 : group->replicas[group->leader].node,
        .waiting = group->waiting.count,
        .sent = group->sent.count,
    };
    return true;
}

static size_t check_list(const struct router_request_list *list, enum router_request_state state)
{
    size_t count = 0;
    const struct router_request *previous = NULL;
    for (const struct router_request *at = list->first; at != NULL; at = at->next) {
        TORC_ASSERT(at->state == state);
        TORC_ASSERT(at->previous == previous);
        previous = at;
        count++;
    }
    TORC_ASSERT(list->last == previous);
    TORC_ASSERT(list->count == count);
    return count;
}

static void check_request(const struct router_courier *courier,
                          const struct router_request *request)
{
    TORC_ASSERT(request->parcel_count > 0);
    TORC_ASSERT(request->stamped || !request->in_doubt);
    TORC_ASSERT(request->stamped || request->state != ROUTER_REQUEST_SENT);
    TORC_ASSERT(!request->stamped || request->state != ROUTER_REQUEST_HELD);
    TORC_ASSERT(request->ordered || request->held == NULL);
    TORC_ASSERT(request->keyed || !request->ordered);
    TORC_ASSERT(!request->whole || (!request->ordered && request->parcel_count == 1));
    TORC_ASSERT(request->held == NULL || request->held->state == ROUTER_REQUEST_HELD);
    TORC_ASSERT(request->held == NULL ||
                (request->held->owner == request->owner && request->held->order == request->order));
    TORC_ASSERT(router_request_by_number(courier, request->number) == request);
}

void router_courier_check(const struct router_courier *courier)
{
    size_t listed = check_list(&courier->unrouted, ROUTER_REQUEST_UNROUTED);
    for (size_t i = 0; i < courier->group_count; i++) {
        const struct router_group *group = courier->groups[i];
        listed += check_list(&group->waiting, ROUTER_REQUEST_WAITING);
        listed += check_list(&group->sent, ROUTER_REQUEST_SENT);
        TORC_ASSERT(group->leader != ROUTER_NO_LEADER || group->sent.count == 0);
        TORC_ASSERT(group->leader == ROUTER_NO_LEADER || group->leader < group->replica_count);
    }
    size_t requests = 0, parcels = 0, bytes = 0, stale = 0;
    router_deadlines_check(courier);
    for (; requests < courier->request_count; requests++) {
        const struct router_request *at = courier->deadlines[requests];
        check_request(courier, at);
        listed += at->state == ROUTER_REQUEST_HELD;
        parcels += at->parcel_count;
        bytes += at->bytes.size;
        stale += at->stale;
    }
    TORC_ASSERT(requests == listed);
    TORC_ASSERT(stale == courier->stale_count);
    TORC_ASSERT(parcels == courier->parcel_count);
    TORC_ASSERT(bytes == courier->bytes_size);
}
