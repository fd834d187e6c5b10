#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "shard/node_int.h"

static const uint8_t hint_key[] = {'m', 'm', 'a', 'p'};

enum { PLACE_SELF = 0 }; /* The route of changes that this node itself asks for: no requester's. */

/* ---- Taking a map
 * --------------------------------------------------------------------------------- */

/* What is known of a peer is kept over changes of the map, unless its storage is another. */
static void rebuild_peers(struct shard_node *node)
{
    size_t count = 0;
    for (uint32_t i = 0; i < node->map.node_count; i++)
        count += node->map.nodes[i].id != node->config.id;
    struct node_peer *peers =
        count == 0 ? NULL : base_alloc_zero(node->allocator, count * sizeof(*peers));
    size_t at = 0;
    for (uint32_t i = 0; i < node->map.node_count; i++) {
        const struct shard_map_node *from = &node->map.nodes[i];
        if (from->id == node->config.id)
            continue;
        struct node_peer *known = node_find_peer(node, from->id);
        if (known != NULL && memcmp(&known->storage, &from->storage, sizeof(from->storage)) == 0) {
            peers[at] = *known;
            known->outbox = NULL;
        } else {
            peers[at].id = from->id;
            peers[at].storage = from->storage;
            peers[at].outbox = shard_codec_outbox_new(node->allocator);
        }
        at++;
    }
    for (size_t i = 0; i < node->peer_count; i++)
        shard_codec_outbox_free(node->peers[i].outbox);
    base_free(node->allocator, node->peers, node->peer_count * sizeof(*node->peers));
    node->peers = peers;
    node->peer_count = count;
}

/* Kept for addresses at the next start, never as truth for voting. */
static void write_map_hint(struct shard_node *node)
{
    struct base_bytes encoded;
    shard_codec_map_encode(&node->map, node->allocator, &encoded);
    struct store_batch *batch = store_batch_new(node->allocator);
    store_batch_put(batch, base_bytes_of(hint_key, sizeof(hint_key)), encoded);
    /* A busy store keeps the older hint: the next start asks the peers for the map anyway. */
    if (store_kv_write(node->kv, batch) == TORC_OK)
        store_kv_flush(node->kv);
    store_batch_free(batch);
    base_free(node->allocator, (void *)(uintptr_t)encoded.data, encoded.size);
}

void node_read_map_hint(struct shard_node *node)
{
    struct store_value hint;
    if (store_kv_get(node->kv, NULL, base_bytes_of(hint_key, sizeof(hint_key)), &hint) != TORC_OK)
        return;
    /* A hint that does not decode is none. */
    if (shard_codec_map_decode(hint.bytes, &node->map) == TORC_OK) {
        rebuild_peers(node);
        node->place_at_ms = node->now_ms;
    }
    store_value_release(&hint);
}

static void send_map(struct shard_node *node, uint64_t route, uint64_t known_version)
{
    Torc__Wire__MapReply reply = TORC__WIRE__MAP_REPLY__INIT;
    reply.version = node->map.version;
    struct base_bytes encoded = {0};
    if (node->map.version > known_version)
        shard_codec_map_encode(&node->map, node->allocator, &encoded);
    Torc__Wire__Map *map = NULL;
    if (encoded.size > 0)
        map = torc__wire__map__unpack(NULL, encoded.size, encoded.data);
    reply.map = map;
    node_send(node, 0, route, WIRE_TYPE_MAP, &reply.base, base_bytes_of(NULL, 0));
    if (map != NULL)
        torc__wire__map__free_unpacked(map, NULL);
    base_free(node->allocator, (void *)(uintptr_t)encoded.data, encoded.size);
}

void node_take_map(struct shard_node *node, const struct shard_map *map)
{
    TORC_ASSERT(map->version > node->map.version || TORC_MUTANT(OLD_MAP_TAKEN));
    bool knew_nobody = node->map.version == 0;
    shard_map_copy(&node->map, map);
    rebuild_peers(node);
    if (knew_nobody && node->config.recovered_batch > 0)
        node_greet(node); /* Its log is older than its map: whether it is all of it, peers say. */
    write_map_hint(node);
    node->place_at_ms = node->now_ms;
    for (uint32_t i = 0; i < node->subscriber_count; i++)
        send_map(node, node->subscribers[i], map->version - 1);
}

/* ---- The map's messages
 * ---------------------------------------------------------------------------- */

static void subscribe(struct shard_node *node, uint64_t route)
{
    for (uint32_t i = 0; i < node->subscriber_count; i++) {
        if (node->subscribers[i] == route)
            return;
    }
    /* Past the bound the longest subscribed gives way: it learns of new maps from replies. */
    node->subscribers[node->subscriber_next] = route;
    node->subscriber_next = (node->subscriber_next + 1) % NODE_SUBSCRIBERS_MAX;
    if (node->subscriber_count < NODE_SUBSCRIBERS_MAX)
        node->subscriber_count++;
}

void node_handle_map_request(struct shard_node *node, uint64_t route,
                             const Torc__Wire__MapRequest *request)
{
    send_map(node, route, request->known_version);
    if (request->subscribe)
        subscribe(node, route);
}

void node_handle_map(struct shard_node *node, const Torc__Wire__MapReply *reply)
{
    if (reply->map == NULL || (reply->map->version <= node->map.version &&
                               !(TORC_MUTANT(OLD_MAP_TAKEN) && reply->map->version > 0)))
        return;
    struct shard_map map;
    shard_map_init(&map, node->allocator);
    if (shard_codec_map_read(reply->map, &map) != TORC_OK ||
        memcmp(&map.cluster, &node->config.cluster, sizeof(map.cluster)) != 0)
        node->counters.refused_malformed++;
    else
        node_take_map(node, &map);
    shard_map_fini(&map);
}

void node_send_result(struct shard_node *node, uint64_t route, uint64_t id, enum torc_status status,
                      const char *text, uint32_t leader_node)
{
    Torc__Wire__Result result = TORC__WIRE__RESULT__INIT;
    result.id = id;
    result.status = (uint32_t)status;
    result.text = (char *)(uintptr_t)text;
    result.leader_node = leader_node;
    if (route == PLACE_SELF)
        node_handle_result(node, &result);
    else
        node_send(node, 0, route, WIRE_TYPE_RESULT, &result.base, base_bytes_of(NULL, 0));
}

void node_handle_place(struct shard_node *node, uint64_t route, const Torc__Wire__Place *place)
{
    struct node_replica *replica = node_find_replica(node, SHARD_PLACEMENT_GROUP);
    if (replica == NULL || replica->state != NODE_REPLICA_RUNNING) {
        node_send_result(node, route, place->id, TORC_NOT_LEADER,
                         "this node has no replica of the placement group", 0);
        return;
    }
    size_t size = torc__wire__place__get_packed_size(place);
    uint8_t *packed = base_alloc(node->allocator, size + 1);
    torc__wire__place__pack(place, packed);
    enum torc_status status = shard_placement_change(replica->placement, route, place->id,
                                                     base_bytes_of(packed, size), node->now_ms);
    base_free(node->allocator, packed, size + 1);
    replica->dirty = true;
    if (status != TORC_OK)
        node_send_result(node, route, place->id, status, torc_status_text(status),
                         shard_placement_leader_node(replica->placement));
}

/* ---- Birth of replicas
 * ------------------------------------------------------------------------------ */

/* A replica as the map describes it, with what its log begins with, if anything: its REPLICA record
 * goes to the disk. NULL: the pool has no room for the record now. */
static struct node_replica *begin_birth(struct shard_node *node, const struct shard_map *map,
                                        const struct shard_map_group *group,
                                        struct base_buffer *first_entry)
{
    struct shard_birth born;
    shard_birth_of(map, group->id, node->allocator, &born);
    if (first_entry != NULL)
        born.first_entry_hash = base_hash(base_buffer_bytes(first_entry));
    struct base_bytes birth;
    shard_codec_birth_encode(&born, node->allocator, &birth);
    struct base_buffer *payload = base_buffer_copy(node->pool, birth);
    base_free(node->allocator, (void *)(uintptr_t)birth.data, birth.size);
    if (payload == NULL) {
        shard_birth_fini(&born);
        return NULL;
    }
    const struct shard_map_replica *here = shard_map_replica_on(group, node->config.id);
    struct node_replica *replica = node_add_replica(node, group->id, here->id);
    replica->birth = born;
    replica->state = NODE_REPLICA_BORN;
    struct store_record record = {.kind = STORE_RECORD_REPLICA,
                                  .group = replica->group,
                                  .replica = replica->replica,
                                  .payload = base_buffer_bytes(payload)};
    shard_log_batch_add(node->turn.log, node->allocator, &record, payload);
    base_buffer_unref(payload);
    if (first_entry != NULL) {
        replica->first_entry = base_buffer_ref(first_entry);
        struct store_record first = {.kind = STORE_RECORD_LEARNED,
                                     .tag = CONSENSUS_VALUE,
                                     .group = replica->group,
                                     .replica = replica->replica,
                                     .slot = 1,
                                     .ballot = {.round = 1},
                                     .origin = {.round = 1},
                                     .payload = base_buffer_bytes(first_entry)};
        struct store_record mark = {.kind = STORE_RECORD_MARK,
                                    .group = replica->group,
                                    .replica = replica->replica,
                                    .slot = 1};
        shard_log_batch_add(node->turn.log, node->allocator, &first, first_entry);
        shard_log_batch_add(node->turn.log, node->allocator, &mark, NULL);
    }
    shard_log_batch_part(node->turn.log, node->allocator, replica->group, 0);
    return replica;
}

void node_replica_born(struct shard_node *node, struct node_replica *replica)
{
    struct consensus_entry first = {.slot = 1,
                                    .ballot = {.round = 1},
                                    .origin = {.round = 1},
                                    .kind = CONSENSUS_VALUE,
                                    .value = replica->first_entry};
    struct consensus_boot boot = {0};
    if (replica->first_entry != NULL) {
        boot.chosen = 1;
        boot.entries = &first;
        boot.entry_count = 1;
    }
    enum torc_status status = node_start_replica(node, replica, &boot);
    TORC_ASSERT(status == TORC_OK); /* Nothing of it was stored by anybody else. */
    if (replica->first_entry == NULL)
        return;
    base_buffer_unref(replica->first_entry);
    replica->first_entry = NULL;
    node_send_result(node, replica->init_route, replica->init_id, TORC_OK, "", 0);
}

/* ---- Init
 * ------------------------------------------------------------------------------------------- */

/* NULL when this node may take the map as its first; else why not, for people. */
static const char *init_flaw(const struct shard_node *node, const struct shard_map *map)
{
    const struct shard_map_node *self = shard_map_find_node(map, node->config.id);
    if (memcmp(&map->cluster, &node->config.cluster, sizeof(map->cluster)) != 0)
        return "the map is of another cluster than this node was formatted for";
    if (map->version != 1)
        return "a first map has version 1";
    if (self == NULL)
        return "the map does not name this node";
    if (memcmp(&self->storage, &node->config.storage, sizeof(self->storage)) != 0)
        return "the map names another storage id for this node; `torc-shard format` printed the "
               "right one";
    if (map->limits.request_size_max > node->config.entry_bytes_max - WIRE_ENTRY_HEADER_SIZE)
        return "the map's largest request does not fit into an entry of this node's log";
    return NULL;
}

/* The placement group's replica here, from its first entry. */
static enum torc_status accept_first(struct shard_node *node, uint64_t route,
                                     const struct shard_map *map, struct base_bytes first)
{
    /* Its data was here once: whoever builds it again forgets what it promised. */
    if (node->map.version > 0)
        return TORC_EXISTS;
    if (first.size > node->config.entry_bytes_max)
        return TORC_TOO_LARGE;
    struct base_buffer *entry = base_buffer_copy(node->pool, first);
    struct node_replica *replica =
        entry == NULL ? NULL : begin_birth(node, map, &map->groups[0], entry);
    base_buffer_unref(entry);
    if (replica == NULL)
        return TORC_BUSY;
    replica->init_route = route;
    return TORC_OK;
}

static void accept_init(struct shard_node *node, uint64_t route, const struct shard_map *map)
{
    struct base_bytes first;
    shard_placement_first_entry(map, node->allocator, &first);
    const struct node_replica *replica = node_find_replica(node, SHARD_PLACEMENT_GROUP);
    enum torc_status status = TORC_OK;
    bool later = false; /* The answer comes when the replica is born. */
    if (replica != NULL) {
        if (replica->birth.first_entry_hash != base_hash(first))
            status = TORC_EXISTS;
        later = status == TORC_OK && replica->state == NODE_REPLICA_BORN;
    } else if (shard_map_replica_on(&map->groups[0], node->config.id) != NULL) {
        status = accept_first(node, route, map, first);
        later = status == TORC_OK;
    } else if (node->map.version == 0) {
        node_take_map(node, map);
    }
    base_free(node->allocator, (void *)(uintptr_t)first.data, first.size);
    if (!later)
        node_send_result(node, route, 0, status,
                         status == TORC_EXISTS ? "this node has another map already"
                                               : torc_status_text(status),
                         0);
}

void node_handle_init(struct shard_node *node, uint64_t route, const Torc__Wire__Init *init)
{
    struct shard_map map;
    shard_map_init(&map, node->allocator);
    const char *flaw = "the map does not decode or breaks a rule";
    if (shard_codec_map_read(init->map, &map) == TORC_OK)
        flaw = init_flaw(node, &map);
    if (flaw != NULL)
        node_send_result(node, route, 0, TORC_INVALID, flaw, 0);
    else
        accept_init(node, route, &map);
    shard_map_fini(&map);
}

/* ---- Replicas that the map wants here
 * ---------------------------------------------------------------- */

/* Where to ask for changes: who is known to lead, and every second time the next replica of the
 * placement group, so that no stale hint is asked for ever. */
static uint32_t place_target(struct shard_node *node)
{
    const struct node_replica *placement = node_find_replica(node, SHARD_PLACEMENT_GROUP);
    uint32_t to = node->place_node;
    if (placement != NULL && placement->state == NODE_REPLICA_RUNNING)
        to = shard_placement_leader_node(placement->placement);
    const struct shard_map_group *group = &node->map.groups[0];
    uint32_t round = node->place_rounds++;
    return to != 0 && round % 2 == 0 ? to : group->replicas[round / 2 % group->replica_count].node;
}

/* Asks the placement group to mark the replica used. The next map says whether it did. */
static void ask_to_mark(struct shard_node *node, uint32_t to,
                        const struct shard_map_replica *wanted)
{
    Torc__Wire__MarkUsed mark = TORC__WIRE__MARK_USED__INIT;
    mark.replica = wanted->id;
    mark.node = node->config.id;
    mark.incarnation = node->config.incarnation;
    mark.storage = (ProtobufCBinaryData){.len = WIRE_ID_SIZE, .data = node->config.storage.bytes};
    Torc__Wire__Place place = TORC__WIRE__PLACE__INIT;
    place.id = wanted->id;
    place.change_case = TORC__WIRE__PLACE__CHANGE_MARK_USED;
    place.mark_used = &mark;
    if (to == node->config.id)
        node_handle_place(node, PLACE_SELF, &place);
    else
        node_send(node, to, 0, WIRE_TYPE_PLACE, &place.base, base_bytes_of(NULL, 0));
}

void node_handle_result(struct shard_node *node, const Torc__Wire__Result *result)
{
    if (result->status == TORC_NOT_LEADER)
        node->place_node = result->leader_node;
    else if (result->status == TORC_OK)
        node->map_at_ms = node->now_ms; /* There is a newer map. */
    /* Anything else is asked again in a while; what can never be is shown in the status. */
}

/* Builds the replicas that were marked used by this life of the node, and asks for those that are
 * marked by nobody. No other ever: the mark of an earlier life may be that of a replica that voted.
 * Returns whether one still waits. */
static bool want_replicas(struct shard_node *node)
{
    bool waiting = false;
    uint32_t to = 0;
    for (uint32_t g = 1; g < node->map.group_count; g++) {
        const struct shard_map_group *group = &node->map.groups[g];
        const struct shard_map_replica *wanted = shard_map_replica_on(group, node->config.id);
        if (wanted == NULL || node_find_replica(node, group->id) != NULL)
            continue;
        if (wanted->used && wanted->used_by != node->config.incarnation &&
            !TORC_MUTANT(USED_REPLICA_BUILT))
            continue;
        if (wanted->used && begin_birth(node, &node->map, group, NULL) != NULL)
            continue;
        waiting = true;
        if (wanted->used)
            continue;
        if (to == 0)
            to = place_target(node);
        ask_to_mark(node, to, wanted);
    }
    return waiting;
}

/* A node without the placement group hears of new maps by asking. */
static void ask_for_map(struct shard_node *node)
{
    Torc__Wire__MapRequest request = TORC__WIRE__MAP_REQUEST__INIT;
    request.known_version = node->map.version;
    size_t at = (size_t)(node->now_ms / NODE_MAP_INTERVAL_MS) % node->peer_count;
    node_send(node, node->peers[at].id, 0, WIRE_TYPE_MAP_REQUEST, &request.base,
              base_bytes_of(NULL, 0));
}

void node_map_turn(struct shard_node *node)
{
    if (node->map.version == 0)
        return;
    if (node->place_at_ms != 0 && node->now_ms >= node->place_at_ms)
        node->place_at_ms = want_replicas(node) ? node->now_ms + NODE_PLACE_INTERVAL_MS : 0;
    if (node->peer_count == 0 || node_find_replica(node, SHARD_PLACEMENT_GROUP) != NULL) {
        node->map_at_ms = 0;
        return;
    }
    if (node->now_ms < node->map_at_ms)
        return;
    node->map_at_ms = node->now_ms + NODE_MAP_INTERVAL_MS;
    ask_for_map(node);
}
