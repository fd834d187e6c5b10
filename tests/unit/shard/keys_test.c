#include <criterion/criterion.h>

#include "base/prng.h"
#include "shard/keys.h"

/* The layout on disk, to the byte: changing it is a change of format. */
Test(keys, layout_is_fixed)
{
    uint8_t at[64];
    shard_key_data_write(at, 0x01020304, 0x1122334455667788, base_bytes_text("k"));
    cr_assert_eq(memcmp(at, "d\1\2\3\4\x11\x22\x33\x44\x55\x66\x77\x88k", 14), 0);
    shard_key_index_write(at, 1, 2, 3, base_bytes_text("k"));
    cr_assert_eq(memcmp(at, "e\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3k", 22), 0);
    shard_key_state_write(at, 1);
    cr_assert_eq(memcmp(at, "g\0\0\0\1a", SHARD_KEY_STATE_SIZE), 0);
    shard_key_limits_write(at, 1);
    cr_assert_eq(memcmp(at, "g\0\0\0\1l", SHARD_KEY_STATE_SIZE), 0);
    shard_key_records_write(at, 1, 2);
    cr_assert_eq(memcmp(at, "g\0\0\0\1r\0\0\0\0\0\0\0\2", SHARD_KEY_RECORDS_SIZE), 0);
    shard_key_vnode_write(at, 1, 2);
    cr_assert_eq(memcmp(at, "g\0\0\0\1v\0\0\0\2", SHARD_KEY_VNODE_SIZE), 0);
    shard_data_head_write(at, 1, 2);
    cr_assert_eq(memcmp(at, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", SHARD_DATA_HEAD_SIZE), 0);

    struct shard_state state = {1, {2, 3, 4}, 5, 6, true};
    shard_state_write(at, &state);
    cr_assert_eq(memcmp(at,
                        "\1\1\0\0\3\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"
                        "\4\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0",
                        SHARD_STATE_SIZE),
                 0);
}

/* Byte order of keys is the order of group, then number, then client's key. */
Test(keys, order_is_number_order)
{
    struct base_prng prng = base_prng_seeded(3);
    for (int i = 0; i < 10000; i++) {
        uint64_t a = base_prng_next(&prng) >> base_prng_range(&prng, 0, 63);
        uint64_t b = base_prng_next(&prng) >> base_prng_range(&prng, 0, 63);
        uint8_t first[16], second[16];
        shard_key_data_write(first, 7, a, base_bytes_text("x"));
        shard_key_data_write(second, 7, b, base_bytes_text("x"));
        int order = memcmp(first, second, 14);
        cr_assert_eq(order < 0, a < b);
        cr_assert_eq(order == 0, a == b);
    }
}

/* What is written is what is read; the spaces of a group end before those of the next. */
Test(keys, read_gives_what_was_written)
{
    uint8_t at[64], end[SHARD_KEY_SPACE_SIZE];
    uint64_t token, expiry, slot;
    uint32_t vnode;
    struct base_bytes key;
    for (uint32_t group = 0;; group = UINT32_MAX) {
        shard_key_data_write(at, group, UINT64_MAX, base_bytes_text("key"));
        cr_assert_eq(shard_key_data_read(base_bytes_of(at, SHARD_KEY_DATA_SIZE + 3), &token, &key),
                     TORC_OK);
        cr_assert(token == UINT64_MAX && base_bytes_equal(key, base_bytes_text("key")));
        shard_key_space_end_write(end, 'd', group);
        cr_assert_lt(memcmp(at, end, SHARD_KEY_SPACE_SIZE), 0);
        if (group == UINT32_MAX)
            break;
    }
    shard_key_index_write(at, 1, 9, 8, base_bytes_text("key"));
    struct base_bytes index = base_bytes_of(at, SHARD_KEY_INDEX_SIZE + 3);
    cr_assert_eq(shard_key_index_read(index, &expiry, &token, &key), TORC_OK);
    cr_assert(expiry == 9 && token == 8 && base_bytes_equal(key, base_bytes_text("key")));
    shard_key_records_write(at, 1, 77);
    cr_assert_eq(shard_key_records_read(base_bytes_of(at, SHARD_KEY_RECORDS_SIZE), &slot), TORC_OK);
    cr_assert_eq(slot, 77);
    shard_key_vnode_write(at, 1, 78);
    cr_assert_eq(shard_key_vnode_read(base_bytes_of(at, SHARD_KEY_VNODE_SIZE), &vnode), TORC_OK);
    cr_assert_eq(vnode, 78);
}

/* Only a client's row is one, whatever else begins alike. */
Test(keys, data_keys_are_told_apart)
{
    uint8_t at[64];
    uint32_t group = 0;
    shard_key_data_write(at, 0x01020304, 5, base_bytes_text("k"));
    cr_assert(shard_key_is_data(base_bytes_of(at, SHARD_KEY_DATA_SIZE + 1), &group));
    cr_assert_eq(group, 0x01020304);
    cr_assert_not(shard_key_is_data(base_bytes_of(at, SHARD_KEY_DATA_SIZE), &group));
    shard_key_index_write(at, 1, 2, 3, base_bytes_text("k"));
    cr_assert_not(shard_key_is_data(base_bytes_of(at, SHARD_KEY_INDEX_SIZE + 1), &group));
    shard_key_records_write(at, 1, 2);
    cr_assert_not(shard_key_is_data(base_bytes_of(at, SHARD_KEY_RECORDS_SIZE), &group));
}

/* A key that was found in a space and has not the form of one there is damaged. */
Test(keys, keys_are_validated)
{
    static uint8_t at[SHARD_KEY_INDEX_SIZE + UINT16_MAX + 2];
    uint64_t token, expiry, slot;
    uint32_t vnode;
    struct base_bytes key;
    shard_key_data_write(at, 1, 8, base_bytes_text("k"));
    for (size_t size = 0; size <= SHARD_KEY_DATA_SIZE; size++)
        cr_assert_eq(shard_key_data_read(base_bytes_of(at, size), &token, &key), TORC_DAMAGED);
    cr_assert_eq(
        shard_key_data_read(base_bytes_of(at, SHARD_KEY_DATA_SIZE + UINT16_MAX), &token, &key),
        TORC_OK);
    cr_assert_eq(
        shard_key_data_read(base_bytes_of(at, SHARD_KEY_DATA_SIZE + UINT16_MAX + 1), &token, &key),
        TORC_DAMAGED);

    shard_key_index_write(at, 1, INT64_MAX, 8, base_bytes_text("k"));
    struct base_bytes index = base_bytes_of(at, SHARD_KEY_INDEX_SIZE + 1);
    cr_assert_eq(shard_key_index_read(index, &expiry, &token, &key), TORC_OK);
    index.size = SHARD_KEY_INDEX_SIZE;
    cr_assert_eq(shard_key_index_read(index, &expiry, &token, &key), TORC_DAMAGED);
    index.size = SHARD_KEY_INDEX_SIZE + UINT16_MAX + 1;
    cr_assert_eq(shard_key_index_read(index, &expiry, &token, &key), TORC_DAMAGED);
    index.size = SHARD_KEY_INDEX_SIZE + 1;
    for (int i = 0; i < 2; i++) { /* No expiry, and one past what can be said. */
        shard_key_index_write(at, 1, i == 0 ? 0 : UINT64_C(1) << 63, 8, base_bytes_text("k"));
        cr_assert_eq(shard_key_index_read(index, &expiry, &token, &key), TORC_DAMAGED);
    }

    for (size_t size = 0; size <= SHARD_KEY_RECORDS_SIZE + 1; size++)
        cr_assert_eq(shard_key_records_read(base_bytes_of(at, size), &slot),
                     size == SHARD_KEY_RECORDS_SIZE ? TORC_OK : TORC_DAMAGED);
    for (size_t size = 0; size <= SHARD_KEY_VNODE_SIZE + 1; size++)
        cr_assert_eq(shard_key_vnode_read(base_bytes_of(at, size), &vnode),
                     size == SHARD_KEY_VNODE_SIZE ? TORC_OK : TORC_DAMAGED);
}

/* Values that are not what was written are damaged; later versions are newer. */
Test(keys, values_are_validated)
{
    uint8_t at[64];
    struct shard_state state = {1, {2, 3, 4}, 5, 6, false}, state_read;
    shard_state_write(at, &state);
    for (size_t size = 0; size <= SHARD_STATE_SIZE + 1; size++)
        cr_assert_eq(shard_state_read(base_bytes_of(at, size), &state_read),
                     size == SHARD_STATE_SIZE ? TORC_OK : TORC_DAMAGED);
    at[0] = SHARD_STATE_VERSION + 1;
    cr_assert_eq(shard_state_read(base_bytes_of(at, 3), &state_read), TORC_NEWER);
    at[0] = 0;
    cr_assert_eq(shard_state_read(base_bytes_of(at, SHARD_STATE_SIZE), &state_read), TORC_DAMAGED);

    struct shard_data data;
    shard_data_head_write(at, 1, INT64_MAX);
    cr_assert_eq(shard_data_read(base_bytes_of(at, SHARD_DATA_HEAD_SIZE), &data), TORC_OK);
    cr_assert_eq(shard_data_read(base_bytes_of(at, SHARD_DATA_HEAD_SIZE - 1), &data), TORC_DAMAGED);
    at[15] |= 0x80; /* An expiry past what can be said. */
    cr_assert_eq(shard_data_read(base_bytes_of(at, SHARD_DATA_HEAD_SIZE), &data), TORC_DAMAGED);
    memset(at, 0, sizeof(at)); /* No version. */
    cr_assert_eq(shard_data_read(base_bytes_of(at, SHARD_DATA_HEAD_SIZE), &data), TORC_DAMAGED);

    struct shard_vnode_state vnode = {1, 2, true}, vnode_read;
    shard_vnode_state_write(at, &vnode);
    struct base_bytes bytes = base_bytes_of(at, SHARD_VNODE_SIZE);
    cr_assert_eq(shard_vnode_state_read(bytes, &vnode_read), TORC_OK);
    cr_assert(vnode_read.epoch == 1 && vnode_read.deleted == 2 && vnode_read.owned);
    at[1] = 2;
    cr_assert_eq(shard_vnode_state_read(bytes, &vnode_read), TORC_DAMAGED);

    struct wire_limits limits = {1, 2, 3}, limits_read;
    uint64_t version;
    shard_limits_write(at, &limits, 4);
    bytes = base_bytes_of(at, SHARD_LIMITS_SIZE);
    cr_assert_eq(shard_limits_read(bytes, &limits_read, &version), TORC_OK);
    cr_assert(limits_read.key_size_max == 1 && limits_read.value_size_max == 2 &&
              limits_read.request_size_max == 3 && version == 4);
    bytes.size--;
    cr_assert_eq(shard_limits_read(bytes, &limits_read, &version), TORC_DAMAGED);
    bytes.size++;
    for (int i = 1; i <= 3; i++) { /* What is not used is zero. */
        at[i] = 1;
        cr_assert_eq(shard_limits_read(bytes, &limits_read, &version), TORC_DAMAGED);
        at[i] = 0;
    }
    at[0] = SHARD_STATE_VERSION + 1;
    cr_assert_eq(shard_limits_read(bytes, &limits_read, &version), TORC_NEWER);
}

/* A row of the index names the version that it removes: there is no version 0. */
Test(keys, an_index_row_names_a_version)
{
    uint8_t at[SHARD_INDEX_SIZE] = {0};
    uint64_t version = 9;
    cr_assert_eq(shard_index_read(base_bytes_of(at, sizeof(at)), &version), TORC_DAMAGED);
    cr_assert_eq(version, 9);
    base_put_le64(at, 1);
    cr_assert_eq(shard_index_read(base_bytes_of(at, sizeof(at) - 1), &version), TORC_DAMAGED);
    cr_assert_eq(shard_index_read(base_bytes_of(at, sizeof(at)), &version), TORC_OK);
    cr_assert_eq(version, 1);
}
