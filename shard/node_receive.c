#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "shard/node_int.h"

/* ---- Who is speaking
 * ------------------------------------------------------------------------------ */

/* A node's message counts only from the storage that the map names, and once. */
static enum torc_status check_peer(struct shard_node *node, struct node_peer *peer, bool on_dealer,
                                   const struct wire_envelope *envelope)
{
    if (memcmp(&peer->storage, &envelope->storage, sizeof(peer->storage)) != 0) {
        node->counters.refused_foreign++;
        return TORC_FOREIGN;
    }
    if (envelope->incarnation < peer->incarnation) {
        node->counters.refused_repeated++;
        return TORC_STALE;
    }
    struct wire_window *window = on_dealer ? &peer->from_router : &peer->from_dealer;
    if (!wire_window_take(window, envelope->incarnation, envelope->number)) {
        node->counters.refused_repeated++;
        return TORC_STALE;
    }
    if (envelope->incarnation > peer->incarnation)
        peer->incarnation = envelope->incarnation;
    if (envelope->durable_batch > peer->durable_batch)
        peer->durable_batch = envelope->durable_batch;
    shard_clocks_heard(&node->clocks, peer->id, envelope->wall_ms, node->now_ms);
    return TORC_OK;
}

/* What was meant for an earlier life of this node is refused; that its sender lives another life
 * than the one that was known is so all the same. Two nodes that each took the other for its
 * earlier life would otherwise refuse each other for ever. */
static void hear_of_life(struct shard_node *node, const struct wire_envelope *envelope)
{
    struct node_peer *peer = envelope->node == 0 ? NULL : node_find_peer(node, envelope->node);
    if (peer != NULL && envelope->to_node == node->config.id &&
        memcmp(&peer->storage, &envelope->storage, sizeof(peer->storage)) == 0 &&
        envelope->incarnation > peer->incarnation)
        peer->incarnation = envelope->incarnation;
}

/* ---- Consensus
 * ------------------------------------------------------------------------------------ */

static void receive_group_message(struct shard_node *node, const struct node_peer *peer,
                                  uint32_t group, const struct consensus_message *message)
{
    struct node_replica *replica = node_find_replica(node, group);
    if (replica == NULL || replica->consensus == NULL || replica->replica != message->to ||
        shard_group_node_of(replica->consensus, message->from) != peer->id ||
        message->incarnation != peer->incarnation) {
        node->counters.refused_replica++;
        return;
    }
    struct consensus_event event = {
        .type = CONSENSUS_RECEIVE, .now_ms = node->now_ms, .u.receive = message};
    if (shard_group_step(replica->consensus, &event) == TORC_MALFORMED)
        node->counters.refused_malformed++;
    replica->dirty = true;
}

static void receive_consensus(struct shard_node *node, const struct node_peer *peer,
                              const Torc__Wire__Consensus *body, struct base_bytes payload)
{
    if (node->greeting)
        return; /* Takes part in nothing yet. */
    size_t payload_at = 0;
    for (size_t i = 0; i < body->n_messages; i++) {
        struct consensus_message message;
        enum torc_status status = shard_codec_message_read(body->messages[i], payload, &payload_at,
                                                           node->pool, node->entries, &message);
        if (status == TORC_FULL) {
            node->counters.dropped_full++;
            return;
        }
        if (status != TORC_OK) {
            node->counters.refused_malformed++;
            return;
        }
        receive_group_message(node, peer, body->messages[i]->group, &message);
        shard_codec_release(&message);
    }
}

/* ---- Transactions
 * --------------------------------------------------------------------------------- */

static void receive_transaction(struct shard_node *node, const Torc__Wire__Transaction *body,
                                struct base_bytes payload)
{
    struct shard_txn_message message;
    struct node_replica *replica = node_find_replica(node, body->to);
    if (replica == NULL || replica->service == NULL || replica->consensus == NULL ||
        node->greeting) {
        node->counters.refused_replica++;
        return;
    }
    if (shard_codec_transaction_read(body, payload, &message) != TORC_OK ||
        shard_service_transaction(replica->service, &message) != TORC_OK) {
        node->counters.refused_malformed++;
        return;
    }
    replica->dirty = true;
}

/* ---- Greeting
 * ------------------------------------------------------------------------------------- */

static void receive_hello(struct shard_node *node, uint64_t route,
                          const struct wire_envelope *envelope, const Torc__Wire__Hello *hello)
{
    Torc__Wire__Welcome welcome = TORC__WIRE__WELCOME__INIT;
    welcome.group = hello->group;
    welcome.map_version = node->map.version;
    welcome.request_time_max_ms = node->config.request_time_max_ms;
    const struct node_peer *peer =
        envelope->node == 0 ? NULL : node_find_peer(node, envelope->node);
    if (peer != NULL) {
        welcome.seen_batch = peer->durable_batch;
        if (memcmp(&peer->storage, &envelope->storage, sizeof(peer->storage)) != 0)
            welcome.status = TORC_FOREIGN;
    }
    const struct node_replica *replica =
        hello->group == 0 ? NULL : node_find_replica(node, hello->group);
    if (replica != NULL && replica->service != NULL) {
        struct shard_machine_info info;
        shard_machine_info(shard_service_machine(replica->service), &info);
        welcome.clock = info.clock;
        welcome.stamp = shard_service_stamp(replica->service, &node->clocks, node->now_ms);
        shard_service_heard(replica->service, route, hello->sequence);
        welcome.credit = shard_service_credit(replica->service, route);
        welcome.leader_node = shard_service_leader_node(replica->service);
    }
    node_send(node, 0, route, WIRE_TYPE_WELCOME, &welcome.base, base_bytes_of(NULL, 0));
}

static void receive_welcome(struct shard_node *node, struct node_peer *peer,
                            const Torc__Wire__Welcome *welcome)
{
    if (welcome->status == TORC_FOREIGN) {
        node->fatal = "the cluster's map names another storage id for this node: this data "
                      "directory is not the one that was added to the cluster";
    } else if (welcome->seen_batch > node->durable_batch) {
        node->fatal = "peers saw a longer log of this node as durable: this data directory is an "
                      "older copy, and what it promised since is lost; replace this node's "
                      "replicas";
        node->fatal_expected = welcome->seen_batch;
        node->fatal_found = node->durable_batch;
    }
    peer->welcomed = true;
}

/* ---- Requests
 * ------------------------------------------------------------------------------------- */

/* Past the bound the longest known gives way. */
static struct wire_window *window_of(struct shard_node *node, uint64_t route)
{
    for (uint32_t i = 0; i < node->requester_count; i++) {
        if (node->requesters[i].route == route)
            return &node->requesters[i].window;
    }
    struct node_requester *requester = &node->requesters[node->requester_next];
    node->requester_next = (node->requester_next + 1) % NODE_REQUESTERS_MAX;
    if (node->requester_count < NODE_REQUESTERS_MAX)
        node->requester_count++;
    *requester = (struct node_requester){.route = route};
    return &requester->window;
}

static void receive_request(struct shard_node *node, uint64_t route,
                            const Torc__Wire__Request *body, struct base_bytes payload)
{
    struct node_replica *replica = node_find_replica(node, body->group);
    if (replica == NULL || replica->service == NULL || replica->consensus == NULL ||
        node->greeting) {
        /* One answer per request would need their numbers; the requester hears that nobody leads
         * here, and asks elsewhere. */
        Torc__Wire__Reply reply = TORC__WIRE__REPLY__INIT;
        reply.group = body->group;
        reply.map_version = node->map.version;
        node_send(node, 0, route, WIRE_TYPE_REPLY, &reply.base, base_bytes_of(NULL, 0));
        return;
    }
    struct shard_request_batch batch = {.route = route,
                                        .sequence = body->sequence,
                                        .request_count = body->request_count,
                                        .requests = payload};
    shard_service_request(replica->service, &batch, &node->clocks, &node->turn);
    replica->dirty = true;
}

/* ---- Dispatch
 * ------------------------------------------------------------------------------------- */

/* What a peer sends of its own accord, or answers. */
static bool is_from_peer(enum wire_type type)
{
    return type == WIRE_TYPE_CONSENSUS || type == WIRE_TYPE_WELCOME || type == WIRE_TYPE_MAP ||
           type == WIRE_TYPE_RESULT || type == WIRE_TYPE_TRANSACTION;
}

static enum torc_status receive_from_peer(struct shard_node *node, struct node_peer *peer,
                                          const struct wire_envelope *envelope,
                                          const ProtobufCMessage *body)
{
    if (peer == NULL) {
        node->counters.refused_foreign++;
        return TORC_FOREIGN;
    }
    if (envelope->type == WIRE_TYPE_CONSENSUS)
        receive_consensus(node, peer, (const Torc__Wire__Consensus *)body, envelope->payload);
    else if (envelope->type == WIRE_TYPE_TRANSACTION)
        receive_transaction(node, (const Torc__Wire__Transaction *)body, envelope->payload);
    else if (envelope->type == WIRE_TYPE_WELCOME)
        receive_welcome(node, peer, (const Torc__Wire__Welcome *)body);
    else if (envelope->type == WIRE_TYPE_MAP)
        node_handle_map(node, (const Torc__Wire__MapReply *)body);
    else
        node_handle_result(node, (const Torc__Wire__Result *)body);
    return TORC_OK;
}

static enum torc_status dispatch(struct shard_node *node, struct node_peer *peer, uint64_t route,
                                 const struct wire_envelope *envelope, const ProtobufCMessage *body)
{
    if (is_from_peer(envelope->type))
        return receive_from_peer(node, peer, envelope, body);
    switch (envelope->type) {
    case WIRE_TYPE_REQUEST:
        receive_request(node, route, (const Torc__Wire__Request *)body, envelope->payload);
        return TORC_OK;
    case WIRE_TYPE_HELLO:
        receive_hello(node, route, envelope, (const Torc__Wire__Hello *)body);
        return TORC_OK;
    case WIRE_TYPE_MAP_REQUEST:
        node_handle_map_request(node, route, (const Torc__Wire__MapRequest *)body);
        return TORC_OK;
    case WIRE_TYPE_INIT:
        node_handle_init(node, route, (const Torc__Wire__Init *)body);
        return TORC_OK;
    case WIRE_TYPE_PLACE:
        node_handle_place(node, route, (const Torc__Wire__Place *)body);
        return TORC_OK;
    case WIRE_TYPE_STATUS_REQUEST:
        node_handle_status(node, route, (const Torc__Wire__StatusRequest *)body);
        return TORC_OK;
    default:
        node->counters.refused_malformed++;
        return TORC_MALFORMED;
    }
}

/* A tool that was given nothing but an address may look before it knows the cluster's id. */
static bool asks_only_to_see(const struct wire_envelope *envelope)
{
    static const struct wire_id none;
    return memcmp(&envelope->cluster, &none, sizeof(none)) == 0 &&
           (envelope->type == WIRE_TYPE_STATUS_REQUEST || envelope->type == WIRE_TYPE_MAP_REQUEST);
}

enum torc_status shard_node_receive(struct shard_node *node, uint64_t route, bool on_dealer,
                                    const struct wire_envelope *envelope, uint64_t now_ms)
{
    TORC_ASSERT(now_ms >= node->now_ms);
    node->now_ms = node->turn.now_ms = now_ms;
    if (memcmp(&envelope->cluster, &node->config.cluster, sizeof(envelope->cluster)) != 0 &&
        !asks_only_to_see(envelope)) {
        node->counters.refused_foreign++;
        return TORC_FOREIGN;
    }
    if (!wire_envelope_is_for(envelope, node->config.id, node->config.incarnation)) {
        hear_of_life(node, envelope);
        node->counters.refused_repeated++;
        return TORC_STALE;
    }
    /* What asks for an answer comes in along a route to answer on. */
    if (on_dealer && !is_from_peer(envelope->type)) {
        node->counters.refused_malformed++;
        return TORC_MALFORMED;
    }
    struct node_peer *peer = envelope->node == 0 ? NULL : node_find_peer(node, envelope->node);
    if (peer != NULL) {
        enum torc_status status = check_peer(node, peer, on_dealer, envelope);
        /* A greeting is answered even so: a stranger learns why nobody listens to it, and a node
         * whose disk is an older copy, which lives a life again, what it has forgotten. */
        bool greets = envelope->type == WIRE_TYPE_HELLO && !TORC_MUTANT(GREETING_REFUSED);
        if (status != TORC_OK && !greets)
            return status;
    }
    if (envelope->type == WIRE_TYPE_REQUEST && peer == NULL && !TORC_MUTANT(REQUEST_TWICE) &&
        !wire_window_take(window_of(node, route), envelope->incarnation, envelope->number)) {
        node->counters.refused_repeated++;
        return TORC_STALE;
    }
    const ProtobufCMessage *body;
    enum torc_status status = wire_body_read(node->arena, envelope, &body);
    if (status != TORC_OK) {
        node->counters.refused_malformed++;
        return status;
    }
    return dispatch(node, peer, route, envelope, body);
}
