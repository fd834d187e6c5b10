/*
 * txn/entry -- what the log's entries about transactions carry: the values of the operations
 * TXN_PREPARE, TXN_END, TXN_COMMIT, TXN_REFUSE and TXN_FORGET (wire/op.h), packed, little-endian.
 *
 * Reading checks everything, since an entry may come from any leader; what is read borrows from the
 * bytes. Each *_size says exactly how much writing takes.
 */
#ifndef TORC_TXN_ENTRY_H
#define TORC_TXN_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "txn/attempt.h"
#include "txn/participant.h"

enum {
    TXN_ATTEMPT_SIZE = 28, /* u32 group, u64 round, u32 node, u32 incarnation, u64 counter */
    TXN_AGE_SIZE = 32,     /* u64 time, u64 client high, u64 client low, u64 number */
    TXN_ENTRY_GROUPS_MAX = 4096,
};

/* At the caller's memory, as big as it is; reading checks nothing but the ballot and the counter.
 */
void txn_attempt_write(uint8_t at[TXN_ATTEMPT_SIZE], const struct txn_attempt *attempt);
enum torc_status txn_attempt_read(const uint8_t at[TXN_ATTEMPT_SIZE],
                                  struct txn_attempt *ret_attempt) TORC_MUST_CHECK;
void txn_age_write(uint8_t at[TXN_AGE_SIZE], const struct txn_age *age);
struct txn_age txn_age_read(const uint8_t at[TXN_AGE_SIZE]);

struct txn_entry_prepare {
    struct txn_attempt attempt;
    struct txn_attempt mark; /* Of its group; below it all are over. */
    struct txn_age age;
    struct base_bytes request; /* The group's part (wire/op.h). */
};
size_t txn_entry_prepare_size(const struct txn_entry_prepare *entry);
size_t txn_entry_prepare_write(const struct txn_entry_prepare *entry, uint8_t *at);
/* TORC_MALFORMED; of the request only its size is looked at. */
enum torc_status txn_entry_prepare_read(struct base_bytes bytes,
                                        struct txn_entry_prepare *ret_entry) TORC_MUST_CHECK;

struct txn_entry_end {
    struct txn_attempt attempt, mark;
    enum txn_standing end; /* COMMITTED or ABORTED. */
};
enum { TXN_ENTRY_END_SIZE = 2 * TXN_ATTEMPT_SIZE + 1 };
void txn_entry_end_write(const struct txn_entry_end *entry, uint8_t at[TXN_ENTRY_END_SIZE]);
enum torc_status txn_entry_end_read(struct base_bytes bytes,
                                    struct txn_entry_end *ret_entry) TORC_MUST_CHECK;

struct txn_entry_commit {
    struct txn_attempt attempt;
    struct txn_age age;       /* The request's id and last time: of its record. */
    uint32_t vnode;           /* Of its first written key: of its record. */
    struct base_bytes groups; /* That take part, u32 each, rising. */
    struct base_bytes answer; /* To the client (wire/op.h). */
};
size_t txn_entry_commit_size(const struct txn_entry_commit *entry);
size_t txn_entry_commit_write(const struct txn_entry_commit *entry, uint8_t *at);
enum torc_status txn_entry_commit_read(struct base_bytes bytes,
                                       struct txn_entry_commit *ret_entry) TORC_MUST_CHECK;

struct txn_entry_refuse {
    struct txn_age age;
    uint32_t vnode;
    struct base_bytes answer;
};
size_t txn_entry_refuse_size(const struct txn_entry_refuse *entry);
size_t txn_entry_refuse_write(const struct txn_entry_refuse *entry, uint8_t *at);
enum torc_status txn_entry_refuse_read(struct base_bytes bytes,
                                       struct txn_entry_refuse *ret_entry) TORC_MUST_CHECK;

/* FORGET is an attempt alone. */
enum torc_status txn_entry_forget_read(struct base_bytes bytes,
                                       struct txn_attempt *ret_attempt) TORC_MUST_CHECK;

#endif /* TORC_TXN_ENTRY_H */
