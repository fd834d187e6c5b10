#include "shard/machine_int.h"

/* The value of GENESIS: u32 vnode, u64 epoch, ...; vnodes rising. */
enum { GENESIS_ITEM_SIZE = 12 };

static uint32_t vnode_count(const struct shard_machine *machine)
{
    return UINT32_C(1) << machine->config.vnode_bits;
}

bool shard_vnode_owned(const struct shard_machine *machine, uint32_t vnode)
{
    TORC_ASSERT(vnode < vnode_count(machine));
    return machine->vnodes[vnode].owned;
}

bool shard_vnode_next_owned(const struct shard_machine *machine, uint32_t vnode,
                            uint32_t *ret_vnode)
{
    for (; vnode < vnode_count(machine); vnode++) {
        if (machine->vnodes[vnode].owned) {
            *ret_vnode = vnode;
            return true;
        }
    }
    return false;
}

static void vnode_write(struct shard_run *run, uint32_t vnode)
{
    uint8_t key[SHARD_KEY_VNODE_SIZE];
    uint8_t value[SHARD_VNODE_SIZE];
    shard_key_vnode_write(key, run->machine->config.group, vnode);
    shard_vnode_state_write(value, &run->machine->vnodes[vnode]);
    shard_run_put(run, base_bytes_of(key, sizeof(key)), base_bytes_of(value, sizeof(value)));
}

void shard_vnode_deleted(struct shard_run *run, uint32_t vnode, uint64_t clock)
{
    TORC_ASSERT(shard_vnode_owned(run->machine, vnode));
    struct shard_vnode_state *state = &run->machine->vnodes[vnode];
    if (clock <= state->deleted)
        return;
    state->deleted = clock;
    vnode_write(run, vnode);
}

/* ---- The first vnodes ---------------------------------------------------------------------------
 */

bool shard_genesis_fits(const struct shard_machine *machine, struct base_bytes value)
{
    if (value.size % GENESIS_ITEM_SIZE != 0)
        return false;
    uint64_t least = 0;
    for (size_t at = 0; at < value.size; at += GENESIS_ITEM_SIZE) {
        uint32_t vnode = base_get_le32(value.data + at);
        if (vnode < least || vnode >= vnode_count(machine) ||
            base_get_le64(value.data + at + 4) == 0)
            return false;
        least = (uint64_t)vnode + 1;
    }
    return true;
}

void shard_genesis_run(struct shard_run *run, struct base_bytes value)
{
    struct shard_machine *machine = run->machine;
    if (machine->state.genesis)
        return;
    TORC_ASSERT(machine->vnodes_owned == 0);
    machine->state.genesis = true;
    for (size_t at = 0; at < value.size; at += GENESIS_ITEM_SIZE) {
        uint32_t vnode = base_get_le32(value.data + at);
        machine->vnodes[vnode].epoch = base_get_le64(value.data + at + 4);
        machine->vnodes[vnode].owned = true;
        machine->vnodes_owned++;
        vnode_write(run, vnode);
    }
}

static size_t genesis_value_size(uint32_t count)
{
    return (size_t)count * GENESIS_ITEM_SIZE;
}

size_t shard_genesis_size(uint32_t count)
{
    return WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE + genesis_value_size(count);
}

size_t shard_genesis_write(const struct shard_vnode *vnodes, uint32_t count, uint8_t *at,
                           size_t capacity)
{
    TORC_ASSERT(capacity >= shard_genesis_size(count));
    uint8_t *value = at + WIRE_REQUEST_HEADER_SIZE + WIRE_OP_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        TORC_ASSERT(i == 0 || vnodes[i - 1].vnode < vnodes[i].vnode);
        base_put_le32(value + genesis_value_size(i), vnodes[i].vnode);
        base_put_le64(value + genesis_value_size(i) + 4, vnodes[i].epoch);
    }
    struct wire_op op = {
        .type = WIRE_OP_GENESIS,
        .value = base_bytes_of(value, genesis_value_size(count)),
    };
    return shard_internal_write(&op, at, capacity);
}

/* ---- Reopening ----------------------------------------------------------------------------------
 */

static enum torc_status vnode_load(struct shard_machine *machine, struct base_bytes key,
                                   struct base_bytes value)
{
    uint32_t vnode;
    struct shard_vnode_state state;
    enum torc_status status = shard_key_vnode_read(key, &vnode);
    if (status == TORC_OK)
        status = shard_vnode_state_read(value, &state);
    if (status != TORC_OK)
        return status;
    if (vnode >= vnode_count(machine) || state.deleted > machine->state.clock)
        return TORC_DAMAGED;
    machine->vnodes[vnode] = state;
    machine->vnodes_owned += state.owned;
    return TORC_OK;
}

enum torc_status shard_vnodes_open(struct shard_machine *machine)
{
    uint8_t first[SHARD_KEY_VNODE_SIZE];
    uint8_t end[SHARD_KEY_VNODE_SIZE];
    shard_key_vnode_write(first, machine->config.group, 0);
    shard_key_vnode_write(end, machine->config.group, 0);
    end[SHARD_KEY_STATE_SIZE - 1]++; /* The letter. */
    struct store_iterator *iterator =
        store_kv_iterate(machine->kv, NULL, base_bytes_of(first, SHARD_KEY_STATE_SIZE),
                         base_bytes_of(end, SHARD_KEY_STATE_SIZE));
    struct base_bytes key, value;
    enum torc_status status;
    while ((status = store_iterator_next(iterator, &key, &value)) == TORC_OK) {
        status = vnode_load(machine, key, value);
        if (status != TORC_OK)
            break;
    }
    store_iterator_free(iterator);
    return status == TORC_NOT_FOUND ? TORC_OK : status;
}
