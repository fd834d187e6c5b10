/*
 * txn/locks -- who holds which key of a group: shared by those that read it, or alone by the one
 * that will write it.
 *
 * Locks are replicated state: they are taken when a PREPARE is applied and released when the end of
 * its attempt is. Nobody waits in here; who meets a lock is told what to do (wait-die: Rosenkrantz,
 * Stearns, Lewis, System Level Concurrency Control for Distributed Database Systems, TODS 3(2),
 * 1978, section 4): an older transaction waits for a younger holder, a younger one gives way to an
 * older holder. So waits never form a circle, whatever the groups.
 *
 * Ownership: keys are copied; holds are the caller's and stay in place while they hold anything.
 */
#ifndef TORC_TXN_LOCKS_H
#define TORC_TXN_LOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "txn/attempt.h"

struct txn_locks; /* Opaque. */
struct txn_lock;

enum txn_lock_mode {
    TXN_LOCK_SHARED = 1, /* The key stays as it is. */
    TXN_LOCK_EXCLUSIVE,  /* The key will be another, or stays as it is: not known yet. */
};

struct txn_lock_want {
    struct base_bytes key;
    enum txn_lock_mode mode;
};

/* All locks of one attempt. Open, so that it can be embedded; all zero but the age: holds none. */
struct txn_hold {
    struct txn_age age;
    uint64_t since;         /* When it was taken, by a clock of the caller's. */
    struct txn_lock *first; /* Of its locks. */
    size_t count;
};

enum txn_lock_verdict {
    TXN_LOCK_FREE = 1, /* No other holds what is wanted. */
    TXN_LOCK_WAIT,     /* Somebody does, and nobody older. */
    TXN_LOCK_YIELD,    /* Somebody older does. */
};

struct txn_locks *txn_locks_new(const struct base_allocator *allocator);
/* Holds that still hold something are not touched. NULL is a no-op. */
void txn_locks_free(struct txn_locks *locks);

/* What a transaction that wants all of this has to do. `age` NULL: it holds nothing while it waits
 * (a request of one group), so it never has to yield. */
enum txn_lock_verdict txn_locks_ask(const struct txn_locks *locks, const struct txn_age *age,
                                    const struct txn_lock_want *wants, size_t count);
/* Whether a lock of somebody keeps this from the key. Costs nothing while there are no locks. */
bool txn_locks_bar(const struct txn_locks *locks, struct base_bytes key, enum txn_lock_mode mode);
/* Since when the key is as it was, whatever the clock says meanwhile: that of its first lock, of
 * those that are still held. False: nobody has it locked. */
bool txn_locks_since(const struct txn_locks *locks, struct base_bytes key, uint64_t *ret_since);
/* One who has the key locked, the oldest of them; NULL: nobody. */
const struct txn_hold *txn_locks_holder(const struct txn_locks *locks, struct base_bytes key);

/* Takes all of it for a hold that has nothing yet, whoever else has it: whether it may is the
 * caller's to ask. A key that is wanted twice is held once, in the stronger mode. */
void txn_locks_take(struct txn_locks *locks, struct txn_hold *hold,
                    const struct txn_lock_want *wants, size_t count);
void txn_locks_release(struct txn_locks *locks, struct txn_hold *hold);

/* Walks the locks of a hold: *cursor starts as NULL; false at the end. The key is borrowed until
 * the release. */
bool txn_hold_next(const struct txn_hold *hold, const struct txn_lock **cursor,
                   struct txn_lock_want *ret_lock);

size_t txn_locks_count(const struct txn_locks *locks);
/* Aborts on the first broken invariant; linear in locks. */
void txn_locks_check(const struct txn_locks *locks);

#endif /* TORC_TXN_LOCKS_H */
