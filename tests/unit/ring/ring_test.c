#include "ring/ring.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/lib/counting.h"

enum { CASE_COUNT = 3000, VNODES_MAX = 256 };

static uint32_t random_vnode_count(struct base_prng *prng)
{
    return UINT32_C(1) << base_prng_range(prng, 0, 8);
}

/* The owner that the history of a vnode gives it at an epoch: rings made from one history never
 * contradict each other, as those of one cluster. */
static uint32_t owner_in_history(uint64_t history, uint32_t vnode, uint64_t epoch)
{
    return 1 + (uint32_t)((history * 31 + vnode * 7 + epoch * 13) % 11);
}

static struct ring *random_ring(const struct base_allocator *allocator, struct base_prng *prng,
                                uint64_t history, uint32_t vnode_count)
{
    struct ring_owner owners[VNODES_MAX];
    for (uint32_t v = 0; v < vnode_count; v++) {
        uint64_t epoch = base_prng_range(prng, 1, 6);
        owners[v] = (struct ring_owner){epoch, owner_in_history(history, v, epoch)};
    }
    struct ring *ring = NULL;
    uint64_t epoch = base_prng_range(prng, 1, 1000);
    cr_assert_eq(ring_new(allocator, epoch, owners, vnode_count, &ring), TORC_OK);
    ring_check(ring);
    return ring;
}

static struct ring *merge(const struct ring *a, const struct ring *b)
{
    struct ring *merged = NULL;
    cr_assert_eq(ring_merge(a, b, &merged), TORC_OK);
    ring_check(merged);
    return merged;
}

static bool same(const struct ring *a, const struct ring *b)
{
    if (a->vnode_count != b->vnode_count || a->epoch != b->epoch)
        return false;
    for (uint32_t v = 0; v < a->vnode_count; v++) {
        if (a->groups[v] != b->groups[v] || a->epochs[v] != b->epochs[v])
            return false;
    }
    return true;
}

/* Lookup finds the owner that a search through all arcs of the ring finds. */
Test(ring, lookup_equals_a_search_through_all_arcs)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct base_prng prng = base_prng_seeded(2);
    for (int i = 0; i < CASE_COUNT; i++) {
        struct ring *ring = random_ring(allocator, &prng, 5, random_vnode_count(&prng));
        uint64_t token = base_prng_next(&prng);
        if (base_prng_chance(&prng, 1, 8))
            token = base_prng_chance(&prng, 1, 2) ? 0 : UINT64_MAX;
        uint64_t arc_last = UINT64_MAX / ring->vnode_count; /* Q divides 2^64. */
        uint32_t vnode = 0;
        while (token > arc_last) {
            token -= arc_last + 1;
            vnode++;
        }
        uint64_t again = token + (uint64_t)vnode * (arc_last + 1);
        cr_assert_eq(ring_lookup(ring, again), ring_owner_at(ring, vnode).group);
        ring_free(ring);
    }
    counting_fini(&counting);
}

/* The largest and the smallest ring work. */
Test(ring, sizes_from_one_vnode_to_the_most)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    static struct ring_owner owners[RING_VNODE_COUNT_MAX];
    for (uint32_t v = 0; v < RING_VNODE_COUNT_MAX; v++)
        owners[v] = (struct ring_owner){1, v + 1};
    struct ring *ring = NULL;
    cr_assert_eq(ring_new(allocator, 1, owners, RING_VNODE_COUNT_MAX, &ring), TORC_OK);
    cr_assert_eq(ring_lookup(ring, UINT64_MAX), RING_VNODE_COUNT_MAX);
    cr_assert_eq(ring_lookup(ring, 0), 1);
    ring_free(ring);
    cr_assert_eq(ring_new(allocator, 1, owners, 1, &ring), TORC_OK);
    cr_assert_eq(ring_lookup(ring, UINT64_MAX), 1);
    ring_free(ring);
    counting_fini(&counting);
}

/* What comes from outside and breaks a rule is refused, and the result is not touched. */
Test(ring, refuses_malformed_tables)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct ring_owner owners[4] = {{1, 1}, {1, 2}, {1, 1}, {1, 2}};
    struct ring *ring = NULL;
    cr_assert_eq(ring_new(allocator, 1, owners, 0, &ring), TORC_INVALID);
    cr_assert_eq(ring_new(allocator, 1, owners, 3, &ring), TORC_INVALID);
    cr_assert_eq(ring_new(allocator, 1, owners, (size_t)RING_VNODE_COUNT_MAX * 2, &ring),
                 TORC_INVALID);
    cr_assert_eq(ring_new(allocator, 0, owners, 4, &ring), TORC_MALFORMED);
    owners[3].group = 0;
    cr_assert_eq(ring_new(allocator, 1, owners, 4, &ring), TORC_MALFORMED);
    owners[3] = (struct ring_owner){0, 2};
    cr_assert_eq(ring_new(allocator, 1, owners, 4, &ring), TORC_MALFORMED);
    cr_assert_null(ring);
}

/* Merging is commutative, associative and idempotent: the order in which news arrives is nothing.
 */
Test(ring, merge_does_not_depend_on_order_or_repetition)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct base_prng prng = base_prng_seeded(3);
    for (uint64_t i = 0; i < CASE_COUNT; i++) {
        uint32_t count = random_vnode_count(&prng);
        struct ring *a = random_ring(allocator, &prng, i, count);
        struct ring *b = random_ring(allocator, &prng, i, count);
        struct ring *c = random_ring(allocator, &prng, i, count);
        struct ring *ab = merge(a, b);
        struct ring *ba = merge(b, a);
        struct ring *bc = merge(b, c);
        struct ring *ab_c = merge(ab, c);
        struct ring *a_bc = merge(a, bc);
        struct ring *aa = merge(a, a);
        struct ring *ab_b = merge(ab, b);
        cr_assert(same(ab, ba));
        cr_assert(same(ab_c, a_bc));
        cr_assert(same(aa, a));
        cr_assert(same(ab_b, ab));
        struct ring *all[] = {a, b, c, ab, ba, bc, ab_c, a_bc, aa, ab_b};
        for (size_t r = 0; r < sizeof(all) / sizeof(all[0]); r++)
            ring_free(all[r]);
    }
    counting_fini(&counting);
}

/* No vnode's epoch and no ring's version falls by merging; each row comes from one of the two. */
Test(ring, merge_never_goes_back)
{
    struct base_prng prng = base_prng_seeded(4);
    const struct base_allocator *allocator = base_allocator_system();
    for (uint64_t i = 0; i < CASE_COUNT; i++) {
        uint32_t count = random_vnode_count(&prng);
        struct ring *a = random_ring(allocator, &prng, i, count);
        struct ring *b = random_ring(allocator, &prng, i, count);
        struct ring *ab = merge(a, b);
        cr_assert(ab->epoch >= a->epoch && ab->epoch >= b->epoch);
        for (uint32_t v = 0; v < count; v++) {
            cr_assert(ab->epochs[v] >= a->epochs[v] && ab->epochs[v] >= b->epochs[v]);
            cr_assert_eq(ab->groups[v], owner_in_history(i, v, ab->epochs[v]));
        }
        ring_free(a);
        ring_free(b);
        ring_free(ab);
    }
}

/* A hint changes its own vnode and only when it is newer. */
Test(ring, hint_is_taken_only_when_newer)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct base_prng prng = base_prng_seeded(5);
    for (uint64_t i = 0; i < CASE_COUNT; i++) {
        struct ring *ring = random_ring(allocator, &prng, i, random_vnode_count(&prng));
        uint32_t vnode = (uint32_t)base_prng_range(&prng, 0, ring->vnode_count - 1);
        uint64_t epoch = base_prng_range(&prng, 1, 9);
        struct ring_owner hint = {epoch, owner_in_history(i, vnode, epoch)};
        struct ring *after = NULL;
        cr_assert_eq(ring_merge_owner(ring, vnode, hint, &after), TORC_OK);
        for (uint32_t v = 0; v < ring->vnode_count; v++) {
            bool taken = v == vnode && epoch > ring->epochs[v];
            struct ring_owner expected = taken ? hint : ring_owner_at(ring, v);
            cr_assert_eq(after->groups[v], expected.group);
            cr_assert_eq(after->epochs[v], expected.epoch);
        }
        ring_free(after);
        ring_free(ring);
    }
    counting_fini(&counting);
}

/* Two owners at one epoch cannot both be right: nothing is merged. */
Test(ring, merge_refuses_contradictions)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct ring_owner owners[4] = {{1, 1}, {4, 2}, {1, 3}, {1, 4}};
    struct ring *a = NULL;
    struct ring *b = NULL;
    struct ring *half = NULL;
    struct ring *merged = NULL;
    cr_assert_eq(ring_new(allocator, 1, owners, 4, &a), TORC_OK);
    cr_assert_eq(ring_new(allocator, 1, owners, 2, &half), TORC_OK);
    owners[1].group = 5;
    cr_assert_eq(ring_new(allocator, 2, owners, 4, &b), TORC_OK);
    cr_assert_eq(ring_merge(a, b, &merged), TORC_MALFORMED);
    cr_assert_eq(ring_merge(a, half, &merged), TORC_INVALID);
    cr_assert_eq(ring_merge_owner(a, 1, owners[1], &merged), TORC_MALFORMED);
    cr_assert_eq(ring_merge_owner(a, 1, (struct ring_owner){5, 0}, &merged), TORC_MALFORMED);
    cr_assert_eq(ring_merge_owner(a, 1, (struct ring_owner){0, 2}, &merged), TORC_MALFORMED);
    cr_assert_eq(ring_merge_owner(a, 4, owners[0], &merged), TORC_INVALID);
    cr_assert_null(merged);
    ring_free(a);
    ring_free(b);
    ring_free(half);
}
