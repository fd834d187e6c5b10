#include "shard/flushed.h"

#include "shard/keys.h"

uint64_t shard_state_flushed_slot(struct store_kv *kv, uint32_t group)
{
    uint8_t key[SHARD_KEY_STATE_SIZE];
    shard_key_state_write(key, group);
    struct store_value value;
    if (store_kv_get_flushed(kv, base_bytes_of(key, sizeof(key)), &value) != TORC_OK)
        return 0;
    struct shard_state state;
    uint64_t slot = shard_state_read(value.bytes, &state) == TORC_OK ? state.slot : 0;
    store_value_release(&value);
    return slot;
}
