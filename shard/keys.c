#include "shard/keys.h"

#include "base/assert.h"

/* ---- Keys ---------------------------------------------------------------------------------------
 */

static void key_head(uint8_t *at, char letter, uint32_t group)
{
    at[0] = (uint8_t)letter;
    base_put_be32(at + 1, group);
}

void shard_key_space_write(uint8_t at[SHARD_KEY_SPACE_SIZE], char letter, uint32_t group)
{
    key_head(at, letter, group);
}

void shard_key_space_end_write(uint8_t at[SHARD_KEY_SPACE_SIZE], char letter, uint32_t group)
{
    if (group == UINT32_MAX)
        key_head(at, (char)(letter + 1), 0);
    else
        key_head(at, letter, group + 1);
}

bool shard_key_is_data(struct base_bytes state_key, uint32_t *ret_group)
{
    if (state_key.size <= SHARD_KEY_DATA_SIZE || state_key.data[0] != 'd')
        return false;
    *ret_group = base_get_be32(state_key.data + 1);
    return true;
}

void shard_key_data_write(uint8_t *at, uint32_t group, uint64_t token, struct base_bytes key)
{
    TORC_ASSERT(key.size > 0);
    key_head(at, 'd', group);
    base_put_be64(at + 5, token);
    memcpy(at + SHARD_KEY_DATA_SIZE, key.data, key.size);
}

void shard_key_index_write(uint8_t *at, uint32_t group, uint64_t expiry_ms, uint64_t token,
                           struct base_bytes key)
{
    TORC_ASSERT(key.size > 0);
    key_head(at, 'e', group);
    base_put_be64(at + 5, expiry_ms);
    base_put_be64(at + 13, token);
    memcpy(at + SHARD_KEY_INDEX_SIZE, key.data, key.size);
}

void shard_key_state_write(uint8_t at[SHARD_KEY_STATE_SIZE], uint32_t group)
{
    key_head(at, 'g', group);
    at[5] = 'a';
}

void shard_key_limits_write(uint8_t at[SHARD_KEY_STATE_SIZE], uint32_t group)
{
    key_head(at, 'g', group);
    at[5] = 'l';
}

void shard_key_records_write(uint8_t at[SHARD_KEY_RECORDS_SIZE], uint32_t group, uint64_t slot)
{
    key_head(at, 'g', group);
    at[5] = 'r';
    base_put_be64(at + 6, slot);
}

void shard_key_vnode_write(uint8_t at[SHARD_KEY_VNODE_SIZE], uint32_t group, uint32_t vnode)
{
    key_head(at, 'g', group);
    at[5] = 'v';
    base_put_be32(at + 6, vnode);
}

void shard_key_attempt_write(uint8_t at[SHARD_KEY_ATTEMPT_SIZE], uint32_t group,
                             enum shard_attempt_letter letter, const struct txn_attempt *attempt)
{
    key_head(at, 'g', group);
    at[5] = (uint8_t)letter;
    base_put_be32(at + 6, attempt->group);
    base_put_be64(at + 10, attempt->ballot.round);
    base_put_be32(at + 18, attempt->ballot.node);
    base_put_be32(at + 22, attempt->ballot.incarnation);
    base_put_be64(at + 26, attempt->counter);
}

void shard_key_mark_write(uint8_t at[SHARD_KEY_MARK_SIZE], uint32_t group, uint32_t of_group)
{
    key_head(at, 'g', group);
    at[5] = 'm';
    base_put_be32(at + 6, of_group);
}

void shard_key_letter_write(uint8_t first[SHARD_KEY_STATE_SIZE], uint8_t end[SHARD_KEY_STATE_SIZE],
                            uint32_t group, char letter)
{
    key_head(first, 'g', group);
    key_head(end, 'g', group);
    first[5] = (uint8_t)letter;
    end[5] = (uint8_t)(letter + 1);
}

enum torc_status shard_key_data_read(struct base_bytes state_key, uint64_t *ret_token,
                                     struct base_bytes *ret_key)
{
    if (state_key.size <= SHARD_KEY_DATA_SIZE ||
        state_key.size > SHARD_KEY_DATA_SIZE + (size_t)UINT16_MAX)
        return TORC_DAMAGED;
    *ret_token = base_get_be64(state_key.data + 5);
    *ret_key =
        base_bytes_of(state_key.data + SHARD_KEY_DATA_SIZE, state_key.size - SHARD_KEY_DATA_SIZE);
    return TORC_OK;
}

enum torc_status shard_key_index_read(struct base_bytes state_key, uint64_t *ret_expiry_ms,
                                      uint64_t *ret_token, struct base_bytes *ret_key)
{
    if (state_key.size <= SHARD_KEY_INDEX_SIZE ||
        state_key.size > SHARD_KEY_INDEX_SIZE + (size_t)UINT16_MAX)
        return TORC_DAMAGED;
    uint64_t expiry_ms = base_get_be64(state_key.data + 5);
    if (expiry_ms == 0 || expiry_ms > INT64_MAX)
        return TORC_DAMAGED;
    *ret_expiry_ms = expiry_ms;
    *ret_token = base_get_be64(state_key.data + 13);
    *ret_key =
        base_bytes_of(state_key.data + SHARD_KEY_INDEX_SIZE, state_key.size - SHARD_KEY_INDEX_SIZE);
    return TORC_OK;
}

enum torc_status shard_key_records_read(struct base_bytes state_key, uint64_t *ret_slot)
{
    if (state_key.size != SHARD_KEY_RECORDS_SIZE)
        return TORC_DAMAGED;
    *ret_slot = base_get_be64(state_key.data + 6);
    return TORC_OK;
}

enum torc_status shard_key_vnode_read(struct base_bytes state_key, uint32_t *ret_vnode)
{
    if (state_key.size != SHARD_KEY_VNODE_SIZE)
        return TORC_DAMAGED;
    *ret_vnode = base_get_be32(state_key.data + 6);
    return TORC_OK;
}

enum torc_status shard_key_attempt_read(struct base_bytes state_key,
                                        struct txn_attempt *ret_attempt)
{
    if (state_key.size != SHARD_KEY_ATTEMPT_SIZE)
        return TORC_DAMAGED;
    struct txn_attempt attempt = {
        .group = base_get_be32(state_key.data + 6),
        .ballot = {base_get_be64(state_key.data + 10), base_get_be32(state_key.data + 18),
                   base_get_be32(state_key.data + 22)},
        .counter = base_get_be64(state_key.data + 26),
    };
    if (base_ballot_is_none(attempt.ballot) || attempt.counter == 0)
        return TORC_DAMAGED;
    *ret_attempt = attempt;
    return TORC_OK;
}

/* ---- Values -------------------------------------------------------------------------------------
 */

/* A versioned value of one fixed size. */
static enum torc_status value_check(struct base_bytes bytes, size_t size)
{
    if (bytes.size == 0)
        return TORC_DAMAGED;
    if (bytes.data[0] > SHARD_STATE_VERSION)
        return TORC_NEWER;
    return bytes.data[0] == SHARD_STATE_VERSION && bytes.size == size ? TORC_OK : TORC_DAMAGED;
}

void shard_data_head_write(uint8_t at[SHARD_DATA_HEAD_SIZE], uint64_t version, uint64_t expiry_ms)
{
    TORC_ASSERT(version > 0);
    TORC_ASSERT(expiry_ms <= INT64_MAX);
    base_put_le64(at, version);
    base_put_le64(at + 8, expiry_ms);
}

enum torc_status shard_data_read(struct base_bytes bytes, struct shard_data *ret_data)
{
    if (bytes.size < SHARD_DATA_HEAD_SIZE)
        return TORC_DAMAGED;
    struct shard_data data = {
        .version = base_get_le64(bytes.data),
        .expiry_ms = base_get_le64(bytes.data + 8),
        .value =
            base_bytes_of(bytes.data + SHARD_DATA_HEAD_SIZE, bytes.size - SHARD_DATA_HEAD_SIZE),
    };
    if (data.version == 0 || data.expiry_ms > INT64_MAX)
        return TORC_DAMAGED;
    *ret_data = data;
    return TORC_OK;
}

enum torc_status shard_index_read(struct base_bytes bytes, uint64_t *ret_version)
{
    if (bytes.size != SHARD_INDEX_SIZE || base_get_le64(bytes.data) == 0)
        return TORC_DAMAGED;
    *ret_version = base_get_le64(bytes.data);
    return TORC_OK;
}

void shard_state_write(uint8_t at[SHARD_STATE_SIZE], const struct shard_state *state)
{
    memset(at, 0, SHARD_STATE_SIZE);
    at[0] = SHARD_STATE_VERSION;
    at[1] = state->genesis;
    base_put_le32(at + 4, state->barrier.node);
    base_put_le64(at + 8, state->slot);
    base_put_le64(at + 16, state->barrier.round);
    base_put_le32(at + 24, state->barrier.incarnation);
    base_put_le64(at + 32, state->clock);
    base_put_le64(at + 40, state->hash);
}

enum torc_status shard_state_read(struct base_bytes bytes, struct shard_state *ret_state)
{
    enum torc_status status = value_check(bytes, SHARD_STATE_SIZE);
    if (status != TORC_OK)
        return status;
    const uint8_t *at = bytes.data;
    if (at[1] > 1 || base_get_le16(at + 2) != 0 || base_get_le32(at + 28) != 0)
        return TORC_DAMAGED;
    *ret_state = (struct shard_state){
        .slot = base_get_le64(at + 8),
        .barrier = {base_get_le64(at + 16), base_get_le32(at + 4), base_get_le32(at + 24)},
        .clock = base_get_le64(at + 32),
        .hash = base_get_le64(at + 40),
        .genesis = at[1] == 1,
    };
    return TORC_OK;
}

void shard_limits_write(uint8_t at[SHARD_LIMITS_SIZE], const struct wire_limits *limits,
                        uint64_t version)
{
    memset(at, 0, SHARD_LIMITS_SIZE);
    at[0] = SHARD_STATE_VERSION;
    base_put_le32(at + 4, limits->key_size_max);
    base_put_le32(at + 8, limits->value_size_max);
    base_put_le32(at + 12, limits->request_size_max);
    base_put_le64(at + 16, version);
}

enum torc_status shard_limits_read(struct base_bytes bytes, struct wire_limits *ret_limits,
                                   uint64_t *ret_version)
{
    enum torc_status status = value_check(bytes, SHARD_LIMITS_SIZE);
    if (status != TORC_OK)
        return status;
    const uint8_t *at = bytes.data;
    if (at[1] != 0 || base_get_le16(at + 2) != 0)
        return TORC_DAMAGED;
    *ret_limits =
        (struct wire_limits){base_get_le32(at + 4), base_get_le32(at + 8), base_get_le32(at + 12)};
    *ret_version = base_get_le64(at + 16);
    return TORC_OK;
}

void shard_vnode_state_write(uint8_t at[SHARD_VNODE_SIZE], const struct shard_vnode_state *vnode)
{
    memset(at, 0, SHARD_VNODE_SIZE);
    at[0] = SHARD_STATE_VERSION;
    at[1] = vnode->owned;
    base_put_le64(at + 8, vnode->epoch);
    base_put_le64(at + 16, vnode->deleted);
}

enum torc_status shard_vnode_state_read(struct base_bytes bytes,
                                        struct shard_vnode_state *ret_vnode)
{
    enum torc_status status = value_check(bytes, SHARD_VNODE_SIZE);
    if (status != TORC_OK)
        return status;
    const uint8_t *at = bytes.data;
    if (at[1] > 1 || base_get_le16(at + 2) != 0 || base_get_le32(at + 4) != 0)
        return TORC_DAMAGED;
    *ret_vnode = (struct shard_vnode_state){
        .epoch = base_get_le64(at + 8),
        .deleted = base_get_le64(at + 16),
        .owned = at[1] == 1,
    };
    return TORC_OK;
}
