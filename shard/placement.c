#include "shard/placement.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "shard/codec.h"
#include "shard/flushed.h"
#include "shard/keys.h"

/*
 * Keys of the state: the group's as a whole as every group has it (shard/keys.h), and
 *     'g' group32 'm'    the encoded map
 * An entry:
 *     u8 kind, then the encoded Map (kind 1) or Place (kind 2)
 */
enum { PLACEMENT_ENTRY_MAP = 1, PLACEMENT_ENTRY_PLACE = 2 };
enum { PLACEMENT_PLACE_SIZE_MAX = 65536 };

static const uint8_t map_key[] = {'g', 0, 0, 0, 0, 'm'};

struct placement_pending {
    uint64_t route, id;
    uint64_t slot; /* Of its entry. */
};

struct shard_placement {
    const struct base_allocator *allocator;
    struct store_kv *kv;
    struct base_pool *pool;
    struct shard_group *group;
    struct shard_map map;
    struct shard_state state; /* Its clock stands still. */
    bool leading;
    struct base_ballot ballot;
    /* A change is here until its entry is applied, then its result there until it is taken: both
     * together are bounded. */
    struct placement_pending pending[SHARD_PLACEMENT_PENDING_MAX]; /* Ascending by slot. */
    uint32_t pending_count;
    struct shard_placement_result results[SHARD_PLACEMENT_PENDING_MAX];
    uint32_t result_count, shown_count; /* Shown: the first ones, whose batch is written. */
};

/* ---- Lifecycle
 * ------------------------------------------------------------------------------------ */

static enum torc_status read_state(struct store_kv *kv, struct shard_state *state)
{
    uint8_t key[SHARD_KEY_STATE_SIZE];
    shard_key_state_write(key, SHARD_PLACEMENT_GROUP);
    struct store_value value;
    enum torc_status status = store_kv_get(kv, NULL, base_bytes_of(key, sizeof(key)), &value);
    if (status == TORC_NOT_FOUND)
        return TORC_OK;
    status = shard_state_read(value.bytes, state);
    store_value_release(&value);
    return status;
}

static enum torc_status read_map(struct store_kv *kv, struct shard_placement *placement)
{
    struct store_value map;
    enum torc_status status = store_kv_get(kv, NULL, base_bytes_of(map_key, sizeof(map_key)), &map);
    if (status == TORC_NOT_FOUND)
        return TORC_OK;
    status = shard_codec_map_decode(map.bytes, &placement->map);
    store_value_release(&map);
    return status == TORC_OK ? TORC_OK : TORC_DAMAGED;
}

enum torc_status shard_placement_new(struct store_kv *kv, struct base_pool *pool,
                                     const struct base_allocator *allocator,
                                     struct shard_placement **ret_placement)
{
    struct shard_placement *placement = base_alloc_zero(allocator, sizeof(*placement));
    placement->allocator = allocator;
    placement->kv = kv;
    placement->pool = pool;
    shard_map_init(&placement->map, allocator);
    enum torc_status status = read_state(kv, &placement->state);
    if (status == TORC_OK)
        status = read_map(kv, placement);
    if (status != TORC_OK) {
        shard_placement_free(placement);
        return status;
    }
    *ret_placement = placement;
    return TORC_OK;
}

void shard_placement_free(struct shard_placement *placement)
{
    if (placement == NULL)
        return;
    shard_map_fini(&placement->map);
    base_free(placement->allocator, placement, sizeof(*placement));
}

void shard_placement_attach(struct shard_placement *placement, struct shard_group *group)
{
    TORC_ASSERT(placement->group == NULL);
    placement->group = group;
}

/* ---- Looking
 * -------------------------------------------------------------------------------------- */

const struct shard_map *shard_placement_map(const struct shard_placement *placement)
{
    return &placement->map;
}

uint64_t shard_placement_applied(const struct shard_placement *placement)
{
    return placement->state.slot;
}

struct base_ballot shard_placement_barrier(const struct shard_placement *placement)
{
    return placement->state.barrier;
}

uint64_t shard_placement_hash(const struct shard_placement *placement)
{
    return placement->state.hash;
}

uint64_t shard_placement_flushed(struct shard_placement *placement)
{
    return shard_state_flushed_slot(placement->kv, SHARD_PLACEMENT_GROUP);
}

void shard_placement_first_entry(const struct shard_map *map,
                                 const struct base_allocator *allocator,
                                 struct base_bytes *ret_entry)
{
    struct base_bytes encoded;
    shard_codec_map_encode(map, allocator, &encoded);
    uint8_t *entry = base_alloc(allocator, encoded.size + 1);
    entry[0] = PLACEMENT_ENTRY_MAP;
    memcpy(entry + 1, encoded.data, encoded.size);
    base_free(allocator, (void *)(uintptr_t)encoded.data, encoded.size);
    *ret_entry = base_bytes_of(entry, encoded.size + 1);
}

/* ---- Changes
 * -------------------------------------------------------------------------------------- */

/* DESIGN section 12: a replica is built only after its id was marked used for this very storage. */
static enum torc_status mark_used(struct shard_map *map, const Torc__Wire__MarkUsed *change,
                                  const char **ret_text)
{
    struct shard_map_replica *replica = shard_map_find_replica(map, change->replica);
    const struct shard_map_node *node = shard_map_find_node(map, change->node);
    *ret_text = "";
    if (replica == NULL || node == NULL || replica->node != change->node) {
        *ret_text = "the map has no such replica on that node";
        return TORC_NOT_FOUND;
    }
    if (change->storage.len != WIRE_ID_SIZE ||
        memcmp(change->storage.data, node->storage.bytes, WIRE_ID_SIZE) != 0) {
        *ret_text = "the node's storage id is not the one in the map";
        return TORC_FOREIGN;
    }
    if (replica->used) {
        /* The life that marked it asks again: it missed the answer and has built nothing yet. */
        if (replica->used_by != 0 && replica->used_by == change->incarnation)
            return TORC_OK;
        *ret_text = "the replica was built before; it can only be replaced by one with a new id";
        return TORC_EXISTS;
    }
    replica->used = true;
    replica->used_by = change->incarnation;
    map->version++;
    return TORC_OK;
}

static enum torc_status apply_place(struct shard_placement *placement, struct base_bytes bytes,
                                    uint64_t *ret_id, const char **ret_text)
{
    Torc__Wire__Place *place = torc__wire__place__unpack(NULL, bytes.size, bytes.data);
    if (place == NULL)
        return TORC_MALFORMED;
    enum torc_status status = TORC_UNSUPPORTED;
    *ret_id = place->id;
    *ret_text = "this version knows no such change of the map";
    if (place->change_case == TORC__WIRE__PLACE__CHANGE_MARK_USED)
        status = mark_used(&placement->map, place->mark_used, ret_text);
    torc__wire__place__free_unpacked(place, NULL);
    return status;
}

static void put_state(struct shard_placement *placement, struct store_batch *batch)
{
    uint8_t key[SHARD_KEY_STATE_SIZE], value[SHARD_STATE_SIZE];
    shard_key_state_write(key, SHARD_PLACEMENT_GROUP);
    shard_state_write(value, &placement->state);
    store_batch_put(batch, base_bytes_of(key, sizeof(key)), base_bytes_of(value, sizeof(value)));
}

static void put_map(struct shard_placement *placement, struct store_batch *batch)
{
    struct base_bytes encoded;
    shard_codec_map_encode(&placement->map, placement->allocator, &encoded);
    store_batch_put(batch, base_bytes_of(map_key, sizeof(map_key)), encoded);
    base_free(placement->allocator, (void *)(uintptr_t)encoded.data, encoded.size);
}

static void add_result(struct shard_placement *placement, struct placement_pending pending,
                       enum torc_status status, const char *text)
{
    TORC_ASSERT(placement->result_count < SHARD_PLACEMENT_PENDING_MAX);
    placement->results[placement->result_count++] = (struct shard_placement_result){
        .route = pending.route, .id = pending.id, .status = status, .text = text};
}

/* The requester whose change stood in this slot hears what came of it. After a change of leader
 * another change may stand there: then what became of the asked one is not known. */
static void settle(struct shard_placement *placement, uint64_t slot, uint64_t id,
                   enum torc_status status, const char *text)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < placement->pending_count; i++) {
        if (placement->pending[i].slot == slot && placement->pending[i].id == id)
            add_result(placement, placement->pending[i], status, text);
        else if (placement->pending[i].slot == slot)
            add_result(placement, placement->pending[i], TORC_UNKNOWN, "ask again");
        else
            placement->pending[kept++] = placement->pending[i];
    }
    placement->pending_count = kept;
}

static enum torc_status on_apply(void *state, const struct shard_apply *apply,
                                 struct store_batch *batch)
{
    struct shard_placement *placement = state;
    TORC_ASSERT(apply->slot == placement->state.slot + 1);
    uint64_t version = placement->map.version, id = 0;
    enum torc_status status = TORC_UNKNOWN;
    const char *text = "another leader took over; ask again";
    if (apply->effective) {
        struct base_bytes rest = apply->entry.size == 0
                                     ? apply->entry
                                     : base_bytes_of(apply->entry.data + 1, apply->entry.size - 1);
        if (apply->entry.size == 0)
            status = TORC_MALFORMED;
        else if (apply->entry.data[0] == PLACEMENT_ENTRY_MAP && version == 0)
            status = shard_codec_map_decode(rest, &placement->map);
        else if (apply->entry.data[0] == PLACEMENT_ENTRY_PLACE && version > 0)
            status = apply_place(placement, rest, &id, &text);
        else
            status = TORC_MALFORMED;
        if (status == TORC_MALFORMED)
            return status;
    }
    placement->state.slot = apply->slot;
    placement->state.barrier = apply->barrier;
    placement->state.hash = base_hash_seeded(apply->entry, placement->state.hash + apply->slot);
    placement->state.genesis = placement->map.version > 0;
    put_state(placement, batch);
    if (placement->map.version != version)
        put_map(placement, batch);
    settle(placement, apply->slot, id, status, text);
    return TORC_OK;
}

static void on_applied(void *state, struct shard_turn *turn)
{
    struct shard_placement *placement = state;
    (void)turn;
    placement->shown_count = placement->result_count;
}

static void on_read(void *state, const struct consensus_read *read, struct shard_turn *turn)
{
    (void)state;
    (void)read;
    (void)turn;
    torc_assert_fail("the placement group is never asked to read", __FILE__, __LINE__);
}

const struct shard_state_type shard_placement_state = {
    .apply = on_apply, .applied = on_applied, .read = on_read};

/* ---- Requests
 * ------------------------------------------------------------------------------------- */

uint32_t shard_placement_leader_node(const struct shard_placement *placement)
{
    struct consensus_info info;
    shard_group_info(placement->group, &info);
    return shard_group_node_of(placement->group, info.leader);
}

/* A result whose entry is applied and not yet written stays what it is, and is shown when it is. */
void shard_placement_lead(struct shard_placement *placement)
{
    struct consensus_info info;
    shard_group_info(placement->group, &info);
    bool leads = info.role == CONSENSUS_LEADER;
    bool lost =
        placement->leading && (!leads || !base_ballot_equal(info.ballot, placement->ballot));
    for (uint32_t i = 0; lost && i < placement->pending_count; i++)
        add_result(placement, placement->pending[i], TORC_UNKNOWN,
                   "leadership was lost; ask again");
    if (lost) {
        placement->pending_count = 0;
        if (!shard_group_is_stalled(placement->group))
            placement->shown_count = placement->result_count;
    }
    placement->leading = leads;
    placement->ballot = info.ballot;
}

static enum torc_status propose(struct shard_placement *placement, struct base_bytes place,
                                uint64_t now_ms)
{
    if (placement->pending_count + placement->result_count == SHARD_PLACEMENT_PENDING_MAX)
        return TORC_BUSY;
    if (place.size > PLACEMENT_PLACE_SIZE_MAX)
        return TORC_TOO_LARGE;
    struct base_buffer *entry = base_buffer_new(placement->pool, place.size + 1);
    if (entry == NULL)
        return TORC_BUSY;
    entry->data[0] = PLACEMENT_ENTRY_PLACE;
    if (place.size > 0)
        memcpy(entry->data + 1, place.data, place.size);
    enum torc_status status = shard_group_propose(placement->group, entry, now_ms);
    base_buffer_unref(entry);
    return status == TORC_FULL ? TORC_BUSY : status;
}

enum torc_status shard_placement_change(struct shard_placement *placement, uint64_t route,
                                        uint64_t id, struct base_bytes place, uint64_t now_ms)
{
    shard_placement_lead(placement);
    if (!placement->leading)
        return TORC_NOT_LEADER;
    enum torc_status status = propose(placement, place, now_ms);
    if (status != TORC_OK)
        return status;
    struct consensus_info info;
    shard_group_info(placement->group, &info);
    placement->pending[placement->pending_count++] =
        (struct placement_pending){.route = route, .id = id, .slot = info.last};
    return TORC_OK;
}

bool shard_placement_next_result(struct shard_placement *placement,
                                 struct shard_placement_result *ret_result)
{
    if (placement->shown_count == 0)
        return false;
    *ret_result = placement->results[0];
    placement->result_count--;
    placement->shown_count--;
    memmove(&placement->results[0], &placement->results[1],
            placement->result_count * sizeof(placement->results[0]));
    return true;
}
