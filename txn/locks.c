#include "txn/locks.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

enum { TABLE_SIZE_MIN = 16 };

/* In the list of its hold, and in that of its place in the table. */
struct txn_lock {
    struct txn_hold *hold;
    struct txn_lock *next_of_hold, *next_of_place;
    uint64_t hash;
    enum txn_lock_mode mode;
    size_t key_size;
    uint8_t key[];
};

struct txn_locks {
    const struct base_allocator *allocator;
    struct txn_lock **table; /* By the hash of the key. */
    size_t table_size;       /* A power of two, or 0. */
    size_t count;
};

struct txn_locks *txn_locks_new(const struct base_allocator *allocator)
{
    struct txn_locks *locks = base_alloc_zero(allocator, sizeof(*locks));
    locks->allocator = allocator;
    return locks;
}

static void lock_free(const struct txn_locks *locks, struct txn_lock *lock)
{
    base_free(locks->allocator, lock, sizeof(*lock) + lock->key_size);
}

void txn_locks_free(struct txn_locks *locks)
{
    if (locks == NULL)
        return;
    for (size_t i = 0; i < locks->table_size; i++) {
        for (struct txn_lock *at = locks->table[i]; at != NULL;) {
            struct txn_lock *next = at->next_of_place;
            lock_free(locks, at);
            at = next;
        }
    }
    base_free(locks->allocator, locks->table, locks->table_size * sizeof(struct txn_lock *));
    base_free(locks->allocator, locks, sizeof(*locks));
}

/* ---- The table ------------------------------------------------------------------------------ */

static struct txn_lock **place_of(const struct txn_locks *locks, uint64_t hash)
{
    return &locks->table[hash & (locks->table_size - 1)];
}

/* The first lock on the key from `at` on, in one place's list. */
static struct txn_lock *find(struct txn_lock *at, uint64_t hash, struct base_bytes key)
{
    while (at != NULL &&
           (at->hash != hash || !base_bytes_equal(base_bytes_of(at->key, at->key_size), key)))
        at = at->next_of_place;
    return at;
}

static struct txn_lock *find_first(const struct txn_locks *locks, struct base_bytes key)
{
    if (locks->count == 0)
        return NULL;
    uint64_t hash = base_hash(key);
    return find(*place_of(locks, hash), hash, key);
}

static struct txn_lock *find_next(const struct txn_lock *lock)
{
    return find(lock->next_of_place, lock->hash, base_bytes_of(lock->key, lock->key_size));
}

static void table_grow(struct txn_locks *locks)
{
    struct txn_lock **old = locks->table;
    size_t old_size = locks->table_size;
    locks->table_size = old_size == 0 ? TABLE_SIZE_MIN : 2 * old_size;
    locks->table = base_alloc_zero(locks->allocator, locks->table_size * sizeof(struct txn_lock *));
    for (size_t i = 0; i < old_size; i++) {
        for (struct txn_lock *at = old[i]; at != NULL;) {
            struct txn_lock *next = at->next_of_place, **place = place_of(locks, at->hash);
            at->next_of_place = *place;
            *place = at;
            at = next;
        }
    }
    base_free(locks->allocator, old, old_size * sizeof(struct txn_lock *));
}

static void table_remove(struct txn_locks *locks, struct txn_lock *lock)
{
    struct txn_lock **at = place_of(locks, lock->hash);
    while (*at != lock)
        at = &(*at)->next_of_place;
    *at = lock->next_of_place;
    locks->count--;
}

/* ---- Asking --------------------------------------------------------------------------------- */

static bool excludes(enum txn_lock_mode a, enum txn_lock_mode b)
{
    return a == TXN_LOCK_EXCLUSIVE || b == TXN_LOCK_EXCLUSIVE;
}

enum txn_lock_verdict txn_locks_ask(const struct txn_locks *locks, const struct txn_age *age,
                                    const struct txn_lock_want *wants, size_t count)
{
    enum txn_lock_verdict verdict = TXN_LOCK_FREE;
    for (size_t i = 0; i < count && locks->count > 0; i++) {
        for (const struct txn_lock *at = find_first(locks, wants[i].key); at != NULL;
             at = find_next(at)) {
            if (!excludes(at->mode, wants[i].mode))
                continue;
            if (age != NULL && txn_age_compare(&at->hold->age, age) < 0)
                return TXN_LOCK_YIELD;
            verdict = TXN_LOCK_WAIT;
        }
    }
    return verdict;
}

bool txn_locks_bar(const struct txn_locks *locks, struct base_bytes key, enum txn_lock_mode mode)
{
    const struct txn_lock *lock = find_first(locks, key);
    return lock != NULL && excludes(lock->mode, mode);
}

bool txn_locks_since(const struct txn_locks *locks, struct base_bytes key, uint64_t *ret_since)
{
    const struct txn_lock *first = find_first(locks, key);
    for (const struct txn_lock *at = first; at != NULL; at = find_next(at)) {
        if (at->hold->since < first->hold->since)
            first = at;
    }
    if (first != NULL)
        *ret_since = first->hold->since;
    return first != NULL;
}

const struct txn_hold *txn_locks_holder(const struct txn_locks *locks, struct base_bytes key)
{
    const struct txn_lock *oldest = find_first(locks, key);
    for (const struct txn_lock *at = oldest; at != NULL; at = find_next(at)) {
        if (txn_age_compare(&at->hold->age, &oldest->hold->age) < 0)
            oldest = at;
    }
    return oldest == NULL ? NULL : oldest->hold;
}

/* ---- Taking and releasing ------------------------------------------------------------------- */

static struct txn_lock *own_lock(const struct txn_locks *locks, const struct txn_hold *hold,
                                 struct base_bytes key)
{
    struct txn_lock *at = find_first(locks, key);
    while (at != NULL && at->hold != hold)
        at = find_next(at);
    return at;
}

static void take_one(struct txn_locks *locks, struct txn_hold *hold,
                     const struct txn_lock_want *want)
{
    struct txn_lock *lock = own_lock(locks, hold, want->key);
    if (lock != NULL) {
        if (want->mode == TXN_LOCK_EXCLUSIVE)
            lock->mode = TXN_LOCK_EXCLUSIVE;
        return;
    }
    if (locks->count >= locks->table_size)
        table_grow(locks);
    lock = base_alloc(locks->allocator, sizeof(*lock) + want->key.size);
    *lock = (struct txn_lock){.hold = hold,
                              .next_of_hold = hold->first,
                              .hash = base_hash(want->key),
                              .mode = want->mode,
                              .key_size = want->key.size};
    memcpy(lock->key, want->key.data, want->key.size);
    struct txn_lock **place = place_of(locks, lock->hash);
    lock->next_of_place = *place;
    *place = lock;
    hold->first = lock;
    hold->count++;
    locks->count++;
}

void txn_locks_take(struct txn_locks *locks, struct txn_hold *hold,
                    const struct txn_lock_want *wants, size_t count)
{
    TORC_ASSERT(hold->first == NULL);
    for (size_t i = 0; i < count; i++)
        take_one(locks, hold, &wants[i]);
}

void txn_locks_release(struct txn_locks *locks, struct txn_hold *hold)
{
    for (struct txn_lock *at = hold->first; at != NULL;) {
        struct txn_lock *next = at->next_of_hold;
        TORC_ASSERT(at->hold == hold);
        table_remove(locks, at);
        lock_free(locks, at);
        at = next;
    }
    hold->first = NULL;
    hold->count = 0;
}

bool txn_hold_next(const struct txn_hold *hold, const struct txn_lock **cursor,
                   struct txn_lock_want *ret_lock)
{
    const struct txn_lock *lock = *cursor == NULL ? hold->first : (*cursor)->next_of_hold;
    if (lock == NULL)
        return false;
    *cursor = lock;
    *ret_lock = (struct txn_lock_want){base_bytes_of(lock->key, lock->key_size), lock->mode};
    return true;
}

/* ---- Looking -------------------------------------------------------------------------------- */

size_t txn_locks_count(const struct txn_locks *locks)
{
    return locks->count;
}

static void check_lock(const struct txn_locks *locks, const struct txn_lock *lock)
{
    TORC_ASSERT(lock->hash == base_hash(base_bytes_of(lock->key, lock->key_size)));
    TORC_ASSERT(own_lock(locks, lock->hold, base_bytes_of(lock->key, lock->key_size)) == lock);
    for (const struct txn_lock *at = find_next(lock); at != NULL; at = find_next(at)) {
        TORC_ASSERT(at->hold != lock->hold);
    }
}

void txn_locks_check(const struct txn_locks *locks)
{
    size_t count = 0;
    for (size_t i = 0; i < locks->table_size; i++) {
        for (const struct txn_lock *at = locks->table[i]; at != NULL; at = at->next_of_place) {
            TORC_ASSERT(place_of(locks, at->hash) == &locks->table[i]);
            check_lock(locks, at);
            count++;
        }
    }
    TORC_ASSERT(count == locks->count);
}
