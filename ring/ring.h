/*
 * ring -- who owns which vnode: an immutable snapshot of the table vnode -> group.
 *
 * The placement group orders changes; everybody else holds a copy that may be old. A copy is never
 * changed in place: a newer table or a single hint makes a new snapshot by merging, vnode by vnode,
 * the higher vnode epoch winning, so what one has learned is never unlearned. Lookup reads one
 * snapshot without locks; whoever holds a snapshot frees it after putting another in its place.
 */
#ifndef TORC_RING_RING_H
#define TORC_RING_RING_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"
#include "ring/token.h"

/* One row of the table as it comes from the map. */
struct ring_owner {
    uint64_t epoch; /* The vnode's last ordered move; the first owner has 1, 0 is no epoch. */
    uint32_t group; /* Never 0: the placement group owns no keys. */
};

/* Open, so that lookup is one shift and one load; fields are read-only outside ring.c. */
struct ring {
    const struct base_allocator *allocator;
    uint64_t epoch;      /* The newest version of the map's ring that went into this snapshot. */
    uint64_t *epochs;    /* Per vnode, apart from the groups: lookup's table stays small. */
    uint32_t vnode_bits; /* Invariant: vnode_count == 1 << vnode_bits. */
    uint32_t vnode_count;
    uint32_t groups[]; /* Per vnode. */
};

/*
 * A snapshot of `owners`, one per vnode, copied. The owners may come from outside.
 * TORC_INVALID: vnode_count is no power of two in [1, RING_VNODE_COUNT_MAX]. TORC_MALFORMED: ring
 * epoch 0, or an owner with epoch or group 0. `allocator` is borrowed for the snapshot's life.
 */
enum torc_status ring_new(const struct base_allocator *allocator, uint64_t epoch,
                          const struct ring_owner *owners, size_t vnode_count,
                          struct ring **ret_ring) TORC_MUST_CHECK;
/* NULL is a no-op. */
void ring_free(struct ring *ring);

/* The group that owns the token, as far as this snapshot knows. */
static inline uint32_t ring_lookup(const struct ring *ring, uint64_t token)
{
    return ring->groups[ring_vnode(token, ring->vnode_bits)];
}

/* The row of a vnode; asserts vnode < vnode_count. */
struct ring_owner ring_owner_at(const struct ring *ring, uint32_t vnode);

/*
 * A new snapshot with, per vnode, the owner of the higher epoch; both arguments stay as they are.
 * Merging is commutative, associative and idempotent. TORC_INVALID: different numbers of vnodes
 * (fixed when a cluster is made: not the same cluster). TORC_MALFORMED: one vnode, one epoch, two
 * owners.
 */
enum torc_status ring_merge(const struct ring *a, const struct ring *b,
                            struct ring **ret_ring) TORC_MUST_CHECK;

/*
 * The same for one vnode, as a "moved" hint tells it; an older hint gives an equal snapshot.
 * TORC_INVALID: no such vnode. TORC_MALFORMED: as ring_new and ring_merge.
 */
enum torc_status ring_merge_owner(const struct ring *ring, uint32_t vnode, struct ring_owner owner,
                                  struct ring **ret_ring) TORC_MUST_CHECK;

/* Aborts on the first broken invariant; O(vnodes). For tests and the simulator. */
void ring_check(const struct ring *ring);

#endif /* TORC_RING_RING_H */
