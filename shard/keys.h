/*
 * shard/keys -- how the state of a group is laid out in the ordered map (shard/machine.h has the
 * table): keys, and the fixed parts of values. Everything read from the map is validated here.
 */
#ifndef TORC_SHARD_KEYS_H
#define TORC_SHARD_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ballot.h"
#include "base/bytes.h"
#include "base/status.h"
#include "txn/attempt.h"
#include "wire/op.h"

enum {
    SHARD_KEY_SPACE_SIZE = 5,  /* First byte and group. */
    SHARD_KEY_DATA_SIZE = 13,  /* Before the client's key. */
    SHARD_KEY_INDEX_SIZE = 21, /* Before the client's key. */
    SHARD_KEY_STATE_SIZE = 6,  /* 'a' and 'l'. */
    SHARD_KEY_RECORDS_SIZE = 14,
    SHARD_KEY_VNODE_SIZE = 10,
    SHARD_KEY_ATTEMPT_SIZE = 34,
    SHARD_KEY_MARK_SIZE = 10,

    SHARD_STATE_VERSION = 1, /* First byte of the values below; DATA and INDEX have none. */
    SHARD_DATA_HEAD_SIZE = 16,
    SHARD_INDEX_SIZE = 8,
    SHARD_STATE_SIZE = 48,
    SHARD_LIMITS_SIZE = 24,
    SHARD_VNODE_SIZE = 24,
};

/* ---- Keys: each writes exactly its size (and the client's key) ----------------------------------
 */

void shard_key_data_write(uint8_t *at, uint32_t group, uint64_t token, struct base_bytes key);
void shard_key_index_write(uint8_t *at, uint32_t group, uint64_t expiry_ms, uint64_t token,
                           struct base_bytes key);
void shard_key_state_write(uint8_t at[SHARD_KEY_STATE_SIZE], uint32_t group);
void shard_key_limits_write(uint8_t at[SHARD_KEY_STATE_SIZE], uint32_t group);
void shard_key_records_write(uint8_t at[SHARD_KEY_RECORDS_SIZE], uint32_t group, uint64_t slot);
void shard_key_vnode_write(uint8_t at[SHARD_KEY_VNODE_SIZE], uint32_t group, uint32_t vnode);

/* What is known of an attempt at a transaction; the letter says what: SHARD_ATTEMPT_*. In the order
 * of attempts. */
enum shard_attempt_letter {
    SHARD_ATTEMPT_PREPARED = 'p',
    SHARD_ATTEMPT_ENDED = 'f',
    SHARD_ATTEMPT_COMMITTED = 'c', /* By this group, and not yet by all that take part. */
};
void shard_key_attempt_write(uint8_t at[SHARD_KEY_ATTEMPT_SIZE], uint32_t group,
                             enum shard_attempt_letter letter, const struct txn_attempt *attempt);
/* The mark of a coordinator's group. */
void shard_key_mark_write(uint8_t at[SHARD_KEY_MARK_SIZE], uint32_t group, uint32_t of_group);
/* All keys of the group's own with that letter: the first, and the first behind them. */
void shard_key_letter_write(uint8_t first[SHARD_KEY_STATE_SIZE], uint8_t end[SHARD_KEY_STATE_SIZE],
                            uint32_t group, char letter);

/* The first key of the group's space `letter`, and the first one after the space. */
void shard_key_space_write(uint8_t at[SHARD_KEY_SPACE_SIZE], char letter, uint32_t group);
void shard_key_space_end_write(uint8_t at[SHARD_KEY_SPACE_SIZE], char letter, uint32_t group);

/* Whether it is the key of a client's row, and of which group; nothing else of it is looked at. */
bool shard_key_is_data(struct base_bytes state_key, uint32_t *ret_group);
/* Parts of a key that was found in its space; TORC_DAMAGED: it has not the form of one. */
enum torc_status shard_key_data_read(struct base_bytes state_key, uint64_t *ret_token,
                                     struct base_bytes *ret_key) TORC_MUST_CHECK;
enum torc_status shard_key_index_read(struct base_bytes state_key, uint64_t *ret_expiry_ms,
                                      uint64_t *ret_token,
                                      struct base_bytes *ret_key) TORC_MUST_CHECK;
enum torc_status shard_key_records_read(struct base_bytes state_key,
                                        uint64_t *ret_slot) TORC_MUST_CHECK;
enum torc_status shard_key_vnode_read(struct base_bytes state_key,
                                      uint32_t *ret_vnode) TORC_MUST_CHECK;
enum torc_status shard_key_attempt_read(struct base_bytes state_key,
                                        struct txn_attempt *ret_attempt) TORC_MUST_CHECK;

/* ---- Values: TORC_DAMAGED, and TORC_NEWER where there is a version ------------------------------
 */

struct shard_data { /* A key's row. */
    uint64_t version;
    uint64_t expiry_ms; /* 0: none. At most INT64_MAX. */
    struct base_bytes value;
};
void shard_data_head_write(uint8_t at[SHARD_DATA_HEAD_SIZE], uint64_t version, uint64_t expiry_ms);
enum torc_status shard_data_read(struct base_bytes bytes,
                                 struct shard_data *ret_data) TORC_MUST_CHECK;

enum torc_status shard_index_read(struct base_bytes bytes, uint64_t *ret_version) TORC_MUST_CHECK;

struct shard_state { /* The group as a whole. */
    uint64_t slot;
    struct base_ballot barrier;
    uint64_t clock;
    uint64_t hash;
    bool genesis;
};
void shard_state_write(uint8_t at[SHARD_STATE_SIZE], const struct shard_state *state);
enum torc_status shard_state_read(struct base_bytes bytes,
                                  struct shard_state *ret_state) TORC_MUST_CHECK;

void shard_limits_write(uint8_t at[SHARD_LIMITS_SIZE], const struct wire_limits *limits,
                        uint64_t version);
enum torc_status shard_limits_read(struct base_bytes bytes, struct wire_limits *ret_limits,
                                   uint64_t *ret_version) TORC_MUST_CHECK;

struct shard_vnode_state {
    uint64_t epoch;   /* Highest seen; 0: none. */
    uint64_t deleted; /* Newest deletion or expiry among its keys: the version of an absent one. */
    bool owned;
};
void shard_vnode_state_write(uint8_t at[SHARD_VNODE_SIZE], const struct shard_vnode_state *vnode);
enum torc_status shard_vnode_state_read(struct base_bytes bytes,
                                        struct shard_vnode_state *ret_vnode) TORC_MUST_CHECK;

#endif /* TORC_SHARD_KEYS_H */
