#include "txn/entry.h"

#include <string.h>

#include "base/assert.h"

/* ---- Parts ---------------------------------------------------------------------------------- */

void txn_attempt_write(uint8_t at[TXN_ATTEMPT_SIZE], const struct txn_attempt *attempt)
{
    base_put_le32(at, attempt->group);
    base_put_le64(at + 4, attempt->ballot.round);
    base_put_le32(at + 12, attempt->ballot.node);
    base_put_le32(at + 16, attempt->ballot.incarnation);
    base_put_le64(at + 20, attempt->counter);
}

enum torc_status txn_attempt_read(const uint8_t at[TXN_ATTEMPT_SIZE],
                                  struct txn_attempt *ret_attempt)
{
    struct txn_attempt attempt = {
        .group = base_get_le32(at),
        .ballot = {base_get_le64(at + 4), base_get_le32(at + 12), base_get_le32(at + 16)},
        .counter = base_get_le64(at + 20),
    };
    if (attempt.group == 0 || base_ballot_is_none(attempt.ballot) || attempt.counter == 0)
        return TORC_MALFORMED;
    *ret_attempt = attempt;
    return TORC_OK;
}

void txn_age_write(uint8_t at[TXN_AGE_SIZE], const struct txn_age *age)
{
    base_put_le64(at, age->time);
    base_put_le64(at + 8, age->client_high);
    base_put_le64(at + 16, age->client_low);
    base_put_le64(at + 24, age->number);
}

struct txn_age txn_age_read(const uint8_t at[TXN_AGE_SIZE])
{
    return (struct txn_age){base_get_le64(at), base_get_le64(at + 8), base_get_le64(at + 16),
                            base_get_le64(at + 24)};
}

/* An attempt and the mark of its group. */
static enum torc_status attempt_and_mark_read(const uint8_t *at, struct txn_attempt *ret_attempt,
                                              struct txn_attempt *ret_mark)
{
    struct txn_attempt attempt, mark;
    if (txn_attempt_read(at, &attempt) != TORC_OK ||
        txn_attempt_read(at + TXN_ATTEMPT_SIZE, &mark) != TORC_OK || mark.group != attempt.group)
        return TORC_MALFORMED;
    *ret_attempt = attempt;
    *ret_mark = mark;
    return TORC_OK;
}

static struct base_bytes rest_of(struct base_bytes bytes, size_t at)
{
    TORC_ASSERT(at <= bytes.size);
    return base_bytes_of(bytes.data + at, bytes.size - at);
}

static size_t bytes_put(uint8_t *at, struct base_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return bytes.size;
}

/* ---- PREPARE -------------------------------------------------------------------------------- */

enum { PREPARE_HEAD_SIZE = 2 * TXN_ATTEMPT_SIZE + TXN_AGE_SIZE };

size_t txn_entry_prepare_size(const struct txn_entry_prepare *entry)
{
    return PREPARE_HEAD_SIZE + entry->request.size;
}

size_t txn_entry_prepare_write(const struct txn_entry_prepare *entry, uint8_t *at)
{
    txn_attempt_write(at, &entry->attempt);
    txn_attempt_write(at + TXN_ATTEMPT_SIZE, &entry->mark);
    txn_age_write(at + 2 * (size_t)TXN_ATTEMPT_SIZE, &entry->age);
    return PREPARE_HEAD_SIZE + bytes_put(at + PREPARE_HEAD_SIZE, entry->request);
}

enum torc_status txn_entry_prepare_read(struct base_bytes bytes,
                                        struct txn_entry_prepare *ret_entry)
{
    struct txn_entry_prepare entry;
    if (bytes.size <= PREPARE_HEAD_SIZE ||
        attempt_and_mark_read(bytes.data, &entry.attempt, &entry.mark) != TORC_OK)
        return TORC_MALFORMED;
    entry.age = txn_age_read(bytes.data + 2 * (size_t)TXN_ATTEMPT_SIZE);
    entry.request = rest_of(bytes, PREPARE_HEAD_SIZE);
    *ret_entry = entry;
    return TORC_OK;
}

/* ---- END ------------------------------------------------------------------------------------ */

void txn_entry_end_write(const struct txn_entry_end *entry, uint8_t at[TXN_ENTRY_END_SIZE])
{
    TORC_ASSERT(entry->end == TXN_COMMITTED || entry->end == TXN_ABORTED);
    txn_attempt_write(at, &entry->attempt);
    txn_attempt_write(at + TXN_ATTEMPT_SIZE, &entry->mark);
    at[2 * TXN_ATTEMPT_SIZE] = entry->end == TXN_COMMITTED;
}

enum torc_status txn_entry_end_read(struct base_bytes bytes, struct txn_entry_end *ret_entry)
{
    struct txn_entry_end entry;
    if (bytes.size != TXN_ENTRY_END_SIZE || bytes.data[2 * TXN_ATTEMPT_SIZE] > 1 ||
        attempt_and_mark_read(bytes.data, &entry.attempt, &entry.mark) != TORC_OK)
        return TORC_MALFORMED;
    entry.end = bytes.data[2 * TXN_ATTEMPT_SIZE] == 1 ? TXN_COMMITTED : TXN_ABORTED;
    *ret_entry = entry;
    return TORC_OK;
}

/* ---- COMMIT --------------------------------------------------------------------------------- */

enum { COMMIT_HEAD_SIZE = TXN_ATTEMPT_SIZE + TXN_AGE_SIZE + 8 /* vnode, groups */ };

size_t txn_entry_commit_size(const struct txn_entry_commit *entry)
{
    return COMMIT_HEAD_SIZE + entry->groups.size + entry->answer.size;
}

size_t txn_entry_commit_write(const struct txn_entry_commit *entry, uint8_t *at)
{
    size_t size = COMMIT_HEAD_SIZE;
    TORC_ASSERT(entry->groups.size % 4 == 0 && entry->groups.size / 4 <= TXN_ENTRY_GROUPS_MAX);
    txn_attempt_write(at, &entry->attempt);
    txn_age_write(at + TXN_ATTEMPT_SIZE, &entry->age);
    base_put_le32(at + COMMIT_HEAD_SIZE - 8, entry->vnode);
    base_put_le32(at + COMMIT_HEAD_SIZE - 4, (uint32_t)(entry->groups.size / 4));
    size += bytes_put(at + size, entry->groups);
    return size + bytes_put(at + size, entry->answer);
}

/* Rising, and the coordinator's among them. */
static bool groups_fit(struct base_bytes groups, uint32_t coordinator)
{
    bool found = false;
    uint64_t least = 1;
    for (size_t at = 0; at < groups.size; at += 4) {
        uint32_t group = base_get_le32(groups.data + at);
        if (group < least)
            return false;
        least = (uint64_t)group + 1;
        found |= group == coordinator;
    }
    return found;
}

enum torc_status txn_entry_commit_read(struct base_bytes bytes, struct txn_entry_commit *ret_entry)
{
    struct txn_entry_commit entry;
    if (bytes.size < COMMIT_HEAD_SIZE || txn_attempt_read(bytes.data, &entry.attempt) != TORC_OK)
        return TORC_MALFORMED;
    uint32_t group_count = base_get_le32(bytes.data + COMMIT_HEAD_SIZE - 4);
    size_t groups_size = 4 * (size_t)group_count;
    if (group_count > TXN_ENTRY_GROUPS_MAX || bytes.size - COMMIT_HEAD_SIZE <= groups_size)
        return TORC_MALFORMED;
    entry.age = txn_age_read(bytes.data + TXN_ATTEMPT_SIZE);
    entry.vnode = base_get_le32(bytes.data + COMMIT_HEAD_SIZE - 8);
    entry.groups = base_bytes_of(bytes.data + COMMIT_HEAD_SIZE, groups_size);
    entry.answer = rest_of(bytes, COMMIT_HEAD_SIZE + groups_size);
    if (!groups_fit(entry.groups, entry.attempt.group))
        return TORC_MALFORMED;
    *ret_entry = entry;
    return TORC_OK;
}

/* ---- REFUSE and FORGET ---------------------------------------------------------------------- */

enum { REFUSE_HEAD_SIZE = TXN_AGE_SIZE + 4 /* vnode */ };

size_t txn_entry_refuse_size(const struct txn_entry_refuse *entry)
{
    return REFUSE_HEAD_SIZE + entry->answer.size;
}

size_t txn_entry_refuse_write(const struct txn_entry_refuse *entry, uint8_t *at)
{
    txn_age_write(at, &entry->age);
    base_put_le32(at + TXN_AGE_SIZE, entry->vnode);
    return REFUSE_HEAD_SIZE + bytes_put(at + REFUSE_HEAD_SIZE, entry->answer);
}

enum torc_status txn_entry_refuse_read(struct base_bytes bytes, struct txn_entry_refuse *ret_entry)
{
    if (bytes.size <= REFUSE_HEAD_SIZE)
        return TORC_MALFORMED;
    *ret_entry = (struct txn_entry_refuse){.age = txn_age_read(bytes.data),
                                           .vnode = base_get_le32(bytes.data + TXN_AGE_SIZE),
                                           .answer = rest_of(bytes, REFUSE_HEAD_SIZE)};
    return TORC_OK;
}

enum torc_status txn_entry_forget_read(struct base_bytes bytes, struct txn_attempt *ret_attempt)
{
    return bytes.size == TXN_ATTEMPT_SIZE ? txn_attempt_read(bytes.data, ret_attempt)
                                          : TORC_MALFORMED;
}
