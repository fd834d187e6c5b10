#include "ring/ring.h"

static size_t ring_size(uint32_t vnode_count)
{
    return sizeof(struct ring) + vnode_count * sizeof(uint32_t);
}

static bool vnode_count_valid(size_t vnode_count)
{
    return vnode_count >= 1 && vnode_count <= RING_VNODE_COUNT_MAX &&
           (vnode_count & (vnode_count - 1)) == 0;
}

static bool owner_valid(struct ring_owner owner)
{
    return owner.group != 0 && owner.epoch != 0;
}

static unsigned bits_of(uint32_t vnode_count)
{
    unsigned bits = 0;
    while (UINT32_C(1) << bits < vnode_count)
        bits++;
    return bits;
}

static struct ring *ring_alloc(const struct base_allocator *allocator, uint64_t epoch,
                               uint32_t vnode_count)
{
    TORC_ASSERT(vnode_count_valid(vnode_count));
    struct ring *ring = base_alloc(allocator, ring_size(vnode_count));
    ring->allocator = allocator;
    ring->epoch = epoch;
    ring->epochs = base_alloc(allocator, vnode_count * sizeof(*ring->epochs));
    ring->vnode_bits = bits_of(vnode_count);
    ring->vnode_count = vnode_count;
    return ring;
}

enum torc_status ring_new(const struct base_allocator *allocator, uint64_t epoch,
                          const struct ring_owner *owners, size_t vnode_count,
                          struct ring **ret_ring)
{
    if (!vnode_count_valid(vnode_count))
        return TORC_INVALID;
    if (epoch == 0)
        return TORC_MALFORMED;
    for (size_t v = 0; v < vnode_count; v++) {
        if (!owner_valid(owners[v]))
            return TORC_MALFORMED;
    }
    struct ring *ring = ring_alloc(allocator, epoch, (uint32_t)vnode_count);
    for (size_t v = 0; v < vnode_count; v++) {
        ring->groups[v] = owners[v].group;
        ring->epochs[v] = owners[v].epoch;
    }
    *ret_ring = ring;
    return TORC_OK;
}

void ring_free(struct ring *ring)
{
    if (ring == NULL)
        return;
    const struct base_allocator *allocator = ring->allocator;
    base_free(allocator, ring->epochs, ring->vnode_count * sizeof(*ring->epochs));
    base_free(allocator, ring, ring_size(ring->vnode_count));
}

struct ring_owner ring_owner_at(const struct ring *ring, uint32_t vnode)
{
    TORC_ASSERT(vnode < ring->vnode_count);
    return (struct ring_owner){.epoch = ring->epochs[vnode], .group = ring->groups[vnode]};
}

static bool owners_conflict(struct ring_owner a, struct ring_owner b)
{
    return a.epoch == b.epoch && a.group != b.group;
}

enum torc_status ring_merge(const struct ring *a, const struct ring *b, struct ring **ret_ring)
{
    if (a->vnode_count != b->vnode_count)
        return TORC_INVALID;
    for (uint32_t v = 0; v < a->vnode_count; v++) {
        if (owners_conflict(ring_owner_at(a, v), ring_owner_at(b, v)))
            return TORC_MALFORMED;
    }
    uint64_t epoch = a->epoch > b->epoch ? a->epoch : b->epoch;
    struct ring *merged = ring_alloc(a->allocator, epoch, a->vnode_count);
    for (uint32_t v = 0; v < a->vnode_count; v++) {
        const struct ring *newer = a->epochs[v] >= b->epochs[v] ? a : b;
        merged->groups[v] = newer->groups[v];
        merged->epochs[v] = newer->epochs[v];
    }
    *ret_ring = merged;
    return TORC_OK;
}

enum torc_status ring_merge_owner(const struct ring *ring, uint32_t vnode, struct ring_owner owner,
                                  struct ring **ret_ring)
{
    if (vnode >= ring->vnode_count)
        return TORC_INVALID;
    if (!owner_valid(owner) || owners_conflict(ring_owner_at(ring, vnode), owner))
        return TORC_MALFORMED;
    struct ring *merged = ring_alloc(ring->allocator, ring->epoch, ring->vnode_count);
    memcpy(merged->groups, ring->groups, ring->vnode_count * sizeof(*ring->groups));
    memcpy(merged->epochs, ring->epochs, ring->vnode_count * sizeof(*ring->epochs));
    if (owner.epoch > merged->epochs[vnode]) {
        merged->groups[vnode] = owner.group;
        merged->epochs[vnode] = owner.epoch;
    }
    *ret_ring = merged;
    return TORC_OK;
}

void ring_check(const struct ring *ring)
{
    TORC_ASSERT(vnode_count_valid(ring->vnode_count));
    TORC_ASSERT(ring->vnode_count == UINT32_C(1) << ring->vnode_bits);
    TORC_ASSERT(ring->epoch != 0);
    for (uint32_t v = 0; v < ring->vnode_count; v++)
        TORC_ASSERT(owner_valid(ring_owner_at(ring, v)));
}
