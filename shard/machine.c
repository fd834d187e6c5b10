#include "shard/machine.h"

#include "base/hash.h"
#include "shard/flushed.h"
#include "shard/machine_int.h"

/* ---- Memory -------------------------------------------------------------------------------------
 */

uint8_t *shard_memory_reserve(const struct base_allocator *allocator, struct shard_memory *memory,
                              size_t size)
{
    memory->data = base_array_reserve(allocator, memory->data, &memory->capacity, size, 1);
    return memory->data;
}

void shard_memory_free(const struct base_allocator *allocator, struct shard_memory *memory)
{
    base_array_free(allocator, memory->data, &memory->capacity, 1);
    memory->data = NULL;
}

void shard_memory_trim(const struct base_allocator *allocator, struct shard_memory *memory)
{
    if (memory->capacity > SHARD_MEMORY_KEPT_MAX)
        shard_memory_free(allocator, memory);
}

/* ---- Opening ------------------------------------------------------------------------------------
 */

/* TORC_OK, TORC_NOT_FOUND, TORC_DAMAGED, TORC_NEWER. */
static enum torc_status state_load(struct shard_machine *machine)
{
    uint8_t key[SHARD_KEY_STATE_SIZE];
    shard_key_state_write(key, machine->config.group);
    struct store_value value;
    enum torc_status status =
        store_kv_get(machine->kv, NULL, base_bytes_of(key, sizeof(key)), &value);
    if (status != TORC_OK)
        return status;
    status = shard_state_read(value.bytes, &machine->state);
    store_value_release(&value);
    return status;
}

static enum torc_status limits_load(struct shard_machine *machine)
{
    uint8_t key[SHARD_KEY_STATE_SIZE];
    shard_key_limits_write(key, machine->config.group);
    struct store_value value;
    enum torc_status status =
        store_kv_get(machine->kv, NULL, base_bytes_of(key, sizeof(key)), &value);
    if (status == TORC_NOT_FOUND)
        return TORC_OK;
    if (status != TORC_OK)
        return status;
    status = shard_limits_read(value.bytes, &machine->limits, &machine->limits_version);
    store_value_release(&value);
    return status;
}

static enum torc_status records_load(struct shard_machine *machine)
{
    uint8_t first[SHARD_KEY_RECORDS_SIZE], end[SHARD_KEY_RECORDS_SIZE];
    shard_key_records_write(first, machine->config.group, 0);
    shard_key_records_write(end, machine->config.group, UINT64_MAX);
    struct store_iterator *iterator = store_kv_iterate(
        machine->kv, NULL, base_bytes_of(first, sizeof(first)), base_bytes_of(end, sizeof(end)));
    struct base_bytes key, value;
    enum torc_status status;
    while ((status = store_iterator_next(iterator, &key, &value)) == TORC_OK) {
        uint64_t slot;
        status = shard_key_records_read(key, &slot);
        if (status == TORC_OK && slot > machine->state.slot)
            status = TORC_DAMAGED;
        if (status == TORC_OK)
            status = shard_records_load(&machine->records, slot, value);
        if (status != TORC_OK)
            break;
    }
    store_iterator_free(iterator);
    return status == TORC_NOT_FOUND ? TORC_OK : status;
}

static enum torc_status machine_load(struct shard_machine *machine)
{
    enum torc_status status = state_load(machine);
    if (status == TORC_NOT_FOUND) /* Never applied anything: there is nothing else either. */
        return TORC_OK;
    if (status == TORC_OK)
        status = limits_load(machine);
    if (status == TORC_OK)
        status = shard_vnodes_open(machine);
    if (status == TORC_OK)
        status = records_load(machine);
    if (status == TORC_OK)
        status = shard_index_open(machine);
    if (status == TORC_OK)
        status = shard_txn_open(machine);
    return status;
}

enum torc_status shard_machine_open(const struct shard_machine_config *config, struct store_kv *kv,
                                    const struct base_allocator *allocator,
                                    struct shard_machine **ret_machine)
{
    TORC_ASSERT(config->vnode_bits <= RING_VNODE_BITS_MAX);
    TORC_ASSERT(config->limits.key_size_max > 0 && config->limits.request_size_max > 0);
    struct shard_machine *machine = base_alloc_zero(allocator, sizeof(*machine));
    machine->config = *config;
    machine->kv = kv;
    machine->allocator = allocator;
    machine->limits = config->limits;
    machine->vnodes = base_alloc_zero(allocator, sizeof(*machine->vnodes) << config->vnode_bits);
    shard_records_init(&machine->records, allocator);
    machine->participant = txn_participant_new(allocator);
    machine->tentative = store_batch_new(allocator);
    machine->tentative_outcomes = shard_outcomes_new(allocator);
    enum torc_status status = machine_load(machine);
    if (status != TORC_OK) {
        shard_machine_close(machine);
        TORC_ASSERT(status == TORC_DAMAGED || status == TORC_NEWER);
        return status;
    }
    *ret_machine = machine;
    return TORC_OK;
}

void shard_machine_close(struct shard_machine *machine)
{
    if (machine == NULL)
        return;
    const struct base_allocator *allocator = machine->allocator;
    shard_records_fini(&machine->records);
    shard_txn_close(machine);
    shard_memory_free(allocator, &machine->key);
    shard_memory_free(allocator, &machine->value);
    shard_memory_free(allocator, &machine->tokens);
    base_free(allocator, machine->vnodes, sizeof(*machine->vnodes) << machine->config.vnode_bits);
    base_free(allocator, machine, sizeof(*machine));
}

/* ---- The group's own rows -----------------------------------------------------------------------
 */

void shard_state_put(struct shard_run *run)
{
    struct shard_machine *machine = run->machine;
    uint8_t key[SHARD_KEY_STATE_SIZE], value[SHARD_STATE_SIZE];
    shard_key_state_write(key, machine->config.group);
    /* What the hash covers is this row with the hash so far in it. */
    shard_state_write(value, &machine->state);
    machine->state.hash = base_hash(base_bytes_of(value, sizeof(value)));
    shard_state_write(value, &machine->state);
    store_batch_put(run->batch, base_bytes_of(key, sizeof(key)),
                    base_bytes_of(value, sizeof(value)));
}

static struct wire_limits limits_fields(const uint8_t *at)
{
    return (struct wire_limits){base_get_le32(at), base_get_le32(at + 4), base_get_le32(at + 8)};
}

bool shard_limits_fit(struct base_bytes value)
{
    TORC_ASSERT(value.size == WIRE_LIMITS_SIZE);
    struct wire_limits limits = limits_fields(value.data);
    return limits.key_size_max > 0 && limits.key_size_max <= UINT16_MAX &&
           limits.value_size_max > 0 && limits.request_size_max > limits.value_size_max;
}

void shard_limits_run(struct shard_run *run, const struct wire_op *op)
{
    struct shard_machine *machine = run->machine;
    if (op->a != machine->limits_version)
        return;
    machine->limits = limits_fields(op->value.data);
    machine->limits_version++;
    uint8_t key[SHARD_KEY_STATE_SIZE], value[SHARD_LIMITS_SIZE];
    shard_key_limits_write(key, machine->config.group);
    shard_limits_write(value, &machine->limits, machine->limits_version);
    shard_run_put(run, base_bytes_of(key, sizeof(key)), base_bytes_of(value, sizeof(value)));
}

/* ---- The leader's own requests ------------------------------------------------------------------
 */

size_t shard_internal_write(const struct wire_op *op, uint8_t *at, size_t capacity)
{
    size_t used = wire_request_begin(at, capacity, (struct wire_client_id){0, 0}, 0 /* number */,
                                     0 /* last time */, WIRE_REQUEST_INTERNAL);
    used += wire_op_write(at + used, capacity - used, op);
    wire_request_end(at, used, 1 /* operations */);
    return used;
}

size_t shard_tick_write(uint8_t *at, size_t capacity)
{
    struct wire_op op = {.type = WIRE_OP_TICK};
    return shard_internal_write(&op, at, capacity);
}

bool shard_machine_owns(const struct shard_machine *machine, uint32_t vnode)
{
    return shard_vnode_owned(machine, vnode);
}

unsigned shard_machine_vnode_bits(const struct shard_machine *machine)
{
    return machine->config.vnode_bits;
}

/* ---- Looking ------------------------------------------------------------------------------------
 */

void shard_machine_info(const struct shard_machine *machine, struct shard_machine_info *ret_info)
{
    *ret_info = (struct shard_machine_info){
        .applied = machine->state.slot,
        .barrier = machine->state.barrier,
        .clock = machine->state.clock,
        .hash = machine->state.hash,
        .genesis = machine->state.genesis,
        .vnodes_owned = machine->vnodes_owned,
        .records_count = machine->records.count,
        .records_bytes = machine->records.bytes,
        .next_expiry_ms = machine->next_expiry_ms,
        .txn_prepared = txn_participant_prepared_count(machine->participant),
        .txn_ends = txn_participant_ends_count(machine->participant),
        .txn_unfinished = machine->unfinished_count,
        .limits = machine->limits,
        .counters = machine->counters,
    };
}

uint64_t shard_machine_flushed(struct shard_machine *machine)
{
    uint64_t slot = shard_state_flushed_slot(machine->kv, machine->config.group);
    TORC_ASSERT(slot <= machine->state.slot);
    return slot;
}

void shard_machine_check(const struct shard_machine *machine)
{
    uint32_t owned = 0;
    for (uint32_t vnode = 0; vnode >> machine->config.vnode_bits == 0; vnode++) {
        const struct shard_vnode_state *state = &machine->vnodes[vnode];
        owned += state->owned;
        TORC_ASSERT(!state->owned || state->epoch > 0);
        TORC_ASSERT(state->deleted <= machine->state.clock);
    }
    TORC_ASSERT(owned == machine->vnodes_owned);
    TORC_ASSERT(machine->state.genesis || owned == 0);
    TORC_ASSERT(machine->limits.key_size_max > 0);
    shard_records_check(&machine->records);
    txn_participant_check(machine->participant);
}
