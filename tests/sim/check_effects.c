/* What requests did to the state, counted there (S17): each is executed at one slot of one group,
 * which its record in the state tells; one whose entry has no effect leaves none; and counters are
 * the sums of what was executed, to the unit. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ring/token.h"
#include "shard/keys.h"
#include "tests/sim/ledger.h"

enum { BLOCK_HEAD_SIZE = 8, RECORD_HEAD_SIZE = 40 }; /* shard/records.h has the layout. */

static const struct wire_limits no_limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX};

static uint64_t hash_of(struct wire_client_id client, uint64_t number)
{
    uint64_t hash =
        (client.high * UINT64_C(0x9E3779B97F4A7C15) ^ client.low) * UINT64_C(0xBF58476D1CE4E5B9) ^
        number;
    hash *= UINT64_C(0x94D049BB133111EB);
    return hash ^ hash >> 31;
}

static void rehash(struct ledger_effects *effects, const struct base_allocator *allocator)
{
    size_t size = effects->table_size == 0 ? 1024 : effects->table_size * 2;
    base_free(allocator, effects->table, effects->table_size * sizeof(*effects->table));
    effects->table = base_alloc_zero(allocator, size * sizeof(*effects->table));
    effects->table_size = size;
    for (uint32_t i = 0; i < effects->count; i++) {
        const struct ledger_effect *effect = &effects->list[i];
        size_t at = hash_of(effect->client, effect->number) & (size - 1);
        while (effects->table[at] != 0)
            at = (at + 1) & (size - 1);
        effects->table[at] = i + 1;
    }
}

/* The effect of a request, added if it was never heard of. Dead after the next call. */
static struct ledger_effect *effect_of(struct sim *sim, struct wire_client_id client,
                                       uint64_t number)
{
    struct ledger_effects *effects = &sim->ledger->effects;
    if (2 * effects->count >= effects->table_size)
        rehash(effects, sim->allocator);
    size_t at = hash_of(client, number) & (effects->table_size - 1);
    for (; effects->table[at] != 0; at = (at + 1) & (effects->table_size - 1)) {
        struct ledger_effect *found = &effects->list[effects->table[at] - 1];
        if (found->client.high == client.high && found->client.low == client.low &&
            found->number == number)
            return found;
    }
    effects->list = base_array_reserve(sim->allocator, effects->list, &effects->capacity,
                                       effects->count + 1, sizeof(*effects->list));
    effects->list[effects->count] = (struct ledger_effect){.client = client, .number = number};
    effects->table[at] = (uint32_t)++effects->count;
    return &effects->list[effects->count - 1];
}

/* ---- What is proposed. */

static uint64_t bit_of(const struct sim *sim, const struct sim_key *key)
{
    size_t number = (size_t)(key - sim->keys);
    TORC_ASSERT(number < 64);
    return UINT64_C(1) << number;
}

/* Keys that are only added to. */
static const struct sim_key *counter_of(const struct sim *sim, struct base_bytes name)
{
    for (uint32_t i = 0; i < sim->key_count; i++) {
        const struct sim_key *key = &sim->keys[i];
        if (key->kind == SIM_KEY_COUNTER && strlen(key->name) == name.size &&
            memcmp(key->name, name.data, name.size) == 0)
            return key;
    }
    return NULL;
}

/* A router puts only operations on one key into a request. */
static void note_request(struct sim *sim, const struct wire_request *request,
                         struct ledger_proposal *proposal)
{
    int64_t delta = 0;
    struct base_bytes name = {0};
    struct wire_op op;
    for (size_t cursor = 0; wire_op_next(request, &cursor, &op);) {
        delta += op.type == WIRE_OP_ADD ? (int64_t)op.a : 0;
        name = op.type == WIRE_OP_ADD ? op.key : name;
    }
    const struct sim_key *key = counter_of(sim, name);
    if (key == NULL)
        return;
    struct ledger_effect *effect = effect_of(sim, request->client, request->number);
    effect->key = key;
    effect->delta = delta;
    proposal->counters |= bit_of(sim, key);
}

void check_effects_proposed(struct sim *sim, const struct store_record *record,
                            struct ledger_proposal *proposal)
{
    struct wire_entry entry;
    if (record->group == SHARD_PLACEMENT_GROUP || record->tag != CONSENSUS_VALUE)
        return;
    if (wire_entry_read(record->payload, &entry) != TORC_OK)
        sim_fail(sim, "codec", "group %u: an entry is proposed that does not decode",
                 record->group);
    struct base_bytes rest = entry.requests;
    for (uint32_t i = 0; i < entry.request_count; i++) {
        struct wire_request request;
        if (wire_request_read(rest, &no_limits, &request) != TORC_OK)
            sim_fail(sim, "codec", "group %u: a request is proposed that does not decode",
                     record->group);
        /* What leaders make themselves knows no limits. */
        if ((request.flags & WIRE_REQUEST_INTERNAL) == 0 &&
            wire_request_read(rest, &sim->map.limits, &request) != TORC_OK)
            sim_fail(sim, "codec", "group %u: a request beyond the limits is proposed",
                     record->group);
        rest = base_bytes_of(rest.data + request.encoded.size, rest.size - request.encoded.size);
        if (request.last_time > proposal->last_time)
            proposal->last_time = request.last_time;
        note_request(sim, &request, proposal);
    }
}

/* ---- What is executed. */

static void execute(struct sim *sim, uint32_t group, uint64_t slot, const uint8_t *record)
{
    struct wire_client_id client = {.high = base_get_le64(record),
                                    .low = base_get_le64(record + 8)};
    struct ledger_effect *effect = effect_of(sim, client, base_get_le64(record + 16));
    if (effect->slot != 0)
        sim_fail(sim, "effects",
                 "S17: request %llu of %llu.%llu is executed in slot %llu of group %u and in slot "
                 "%llu of group %u",
                 (unsigned long long)effect->number, (unsigned long long)client.high,
                 (unsigned long long)client.low, (unsigned long long)effect->slot, effect->group,
                 (unsigned long long)slot, group);
    effect->group = group;
    effect->slot = slot;
    sim->coverage->requests_executed++;
}

/* Its records, one after the other. */
static void read_block(struct sim *sim, uint32_t group, uint64_t slot, struct base_bytes block)
{
    size_t at = BLOCK_HEAD_SIZE;
    uint32_t count = block.size < BLOCK_HEAD_SIZE ? 0 : base_get_le32(block.data + 4);
    for (uint32_t i = 0; i < count && block.size - at >= RECORD_HEAD_SIZE; i++) {
        execute(sim, group, slot, block.data + at);
        at += RECORD_HEAD_SIZE + base_get_le32(block.data + at + 36);
    }
    if (at != block.size)
        sim_fail(sim, "codec", "group %u: the records of slot %llu do not decode", group,
                 (unsigned long long)slot);
}

/* An entry first proposed under a lower ballot than the newest barrier before it does nothing. */
static bool has_effect(struct ledger_group *group, const struct ledger_proposal *proposal)
{
    int order = base_ballot_compare(proposal->origin, group->barrier);
    if (proposal->kind == CONSENSUS_BARRIER && order > 0)
        group->barrier = proposal->origin;
    return proposal->kind == CONSENSUS_VALUE && order >= 0;
}

void check_effects_applied(struct sim *sim, const struct sim_host *host, uint32_t group,
                           uint64_t slot, uint32_t proposal, uint64_t clock)
{
    struct ledger_group *in = &sim->ledger->groups[group];
    if (slot != in->effects + 1)
        return; /* Another replica was first: they agree on it (check_state.c). */
    in->effects = slot;
    const struct ledger_proposal *applied = ledger_proposal(sim->ledger, proposal);
    bool effective = has_effect(in, applied);
    if (group == SHARD_PLACEMENT_GROUP)
        return;
    uint8_t key[SHARD_KEY_RECORDS_SIZE];
    struct store_value value;
    shard_key_records_write(key, group, slot);
    if (store_kv_get(host->gather, NULL, base_bytes_of(key, sizeof(key)), &value) != TORC_OK) {
        /* Applied so late, with others after it, that its records may be gone already. */
        if (effective && applied->last_time < clock)
            sim->ledger->effects.unsure |= applied->counters;
        return;
    }
    if (!effective)
        sim_fail(sim, "effects", "S17: group %u: slot %llu is of a deposed leader and has effect",
                 group, (unsigned long long)slot);
    read_block(sim, group, slot, value.bytes);
    store_value_release(&value);
}

uint64_t check_effects_slot(struct sim *sim, struct wire_client_id client, uint64_t number)
{
    return effect_of(sim, client, number)->slot;
}

/* ---- At rest. */

static int64_t executed_sum(const struct ledger_effects *effects, const struct sim_key *key)
{
    int64_t sum = 0;
    for (size_t i = 0; i < effects->count; i++) {
        const struct ledger_effect *effect = &effects->list[i];
        sum += effect->key == key && effect->slot != 0 ? effect->delta : 0;
    }
    return sum;
}

/* What its owner's leader has stored: what a client read last may have been added to since, by
 * requests of those who did not wait for an answer. */
static int64_t in_state(const struct sim *sim, const struct sim_key *key)
{
    struct base_bytes name = base_bytes_text(key->name);
    uint64_t token = ring_token(name, sim->options.vnode_bits);
    uint32_t group = sim->map.owners[ring_vnode(token, sim->options.vnode_bits)];
    uint8_t at[SHARD_KEY_DATA_SIZE + SIM_KEY_SIZE_MAX];
    shard_key_data_write(at, group, token, name);
    struct store_value row;
    struct shard_data data;
    if (store_kv_get(sim->hosts[sim->leaders[group] - 1].gather, NULL,
                     base_bytes_of(at, SHARD_KEY_DATA_SIZE + name.size), &row) != TORC_OK)
        return 0;
    char text[32] = "";
    if (shard_data_read(row.bytes, &data) != TORC_OK || data.value.size >= sizeof(text))
        sim_fail(sim, "effects", "the row of counter %s does not decode", key->name);
    memcpy(text, data.value.data, data.value.size);
    store_value_release(&row);
    return strtoll(text, NULL, 10);
}

void check_effects(struct sim *sim)
{
    const struct ledger_effects *effects = &sim->ledger->effects;
    for (uint32_t k = 0; k < sim->key_count; k++) {
        const struct sim_key *key = &sim->keys[k];
        if (key->kind != SIM_KEY_COUNTER)
            continue;
        if ((effects->unsure & bit_of(sim, key)) != 0) {
            sim->coverage->effects_unsure++;
            continue;
        }
        sim->coverage->effects_summed++;
        int64_t stored = in_state(sim, key), sum = executed_sum(effects, key);
        if (stored != sum)
            sim_fail(sim, "effects", "S17: counter %s is %lld, and %lld was added to it", key->name,
                     (long long)stored, (long long)sum);
    }
}
