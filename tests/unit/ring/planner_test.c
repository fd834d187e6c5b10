#include "ring/planner.h"

#include <criterion/criterion.h>

#include "base/prng.h"
#include "ring/token.h"
#include "tests/lib/counting.h"

enum { CASE_COUNT = 3000, GROUPS_MAX = 64, VNODES_MAX = 4096 };

struct plan {
    struct ring_group_weight groups[GROUPS_MAX];
    size_t group_count;
    uint32_t vnode_count;
    uint64_t weight_sum;
    uint32_t owners[VNODES_MAX];
    uint32_t counts[GROUPS_MAX]; /* Vnodes per group, counted from owners. */
};

static size_t group_index(const struct plan *plan, uint32_t group)
{
    for (size_t g = 0; g < plan->group_count; g++) {
        if (plan->groups[g].group == group)
            return g;
    }
    cr_assert_fail("vnode given to group %u, which does not exist", group);
    return 0;
}

static void plan_make(struct plan *plan, const struct base_allocator *allocator)
{
    memset(plan->owners, 0, sizeof(plan->owners));
    cr_assert_eq(ring_plan_initial(allocator, plan->groups, plan->group_count, plan->vnode_count,
                                   plan->owners),
                 TORC_OK);
    memset(plan->counts, 0, sizeof(plan->counts));
    for (uint32_t v = 0; v < plan->vnode_count; v++)
        plan->counts[group_index(plan, plan->owners[v])]++;
}

static void plan_draw(struct plan *plan, struct base_prng *prng)
{
    uint64_t weight_max = base_prng_chance(prng, 1, 4) ? UINT32_MAX : 1;
    if (base_prng_chance(prng, 1, 2))
        weight_max = base_prng_range(prng, 1, 20);
    plan->vnode_count = UINT32_C(1) << base_prng_range(prng, 0, 12);
    size_t groups_max = plan->vnode_count < GROUPS_MAX ? plan->vnode_count : GROUPS_MAX;
    plan->group_count = base_prng_range(prng, 1, groups_max);
    plan->weight_sum = 0;
    uint32_t group = 0;
    for (size_t g = 0; g < plan->group_count; g++) {
        group += (uint32_t)base_prng_range(prng, 1, 3);
        plan->groups[g].group = group;
        plan->groups[g].weight = (uint32_t)base_prng_range(prng, 1, weight_max);
        plan->weight_sum += plan->groups[g].weight;
    }
}

/* Every vnode gets one owner, and every group its share rounded down or up. */
Test(ring_planner, counts_are_shares_rounded_down_or_up)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct base_prng prng = base_prng_seeded(6);
    static struct plan plan;
    for (int i = 0; i < CASE_COUNT; i++) {
        plan_draw(&plan, &prng);
        plan_make(&plan, allocator);
        for (size_t g = 0; g < plan.group_count; g++) {
            uint64_t product = (uint64_t)plan.vnode_count * plan.groups[g].weight;
            uint64_t floor = product / plan.weight_sum;
            uint64_t ceiling = floor + (product % plan.weight_sum != 0);
            cr_assert(plan.counts[g] == floor || plan.counts[g] == ceiling);
        }
    }
    counting_fini(&counting);
}

/* Where every share is at least 64, no group has over 1.02 times what its weight asks for. */
Test(ring_planner, balanced_when_shares_are_large)
{
    struct base_prng prng = base_prng_seeded(7);
    static struct plan plan;
    int checked = 0;
    for (int i = 0; i < CASE_COUNT; i++) {
        plan_draw(&plan, &prng);
        plan_make(&plan, base_allocator_system());
        bool large = true;
        for (size_t g = 0; g < plan.group_count; g++)
            large =
                large && (uint64_t)plan.vnode_count * plan.groups[g].weight >= 64 * plan.weight_sum;
        if (!large)
            continue;
        checked++;
        for (size_t g = 0; g < plan.group_count; g++) {
            double share =
                (double)plan.vnode_count * plan.groups[g].weight / (double)plan.weight_sum;
            cr_assert_leq(plan.counts[g] / share, 1.02);
            cr_assert_geq(plan.counts[g] / share, 0.98);
        }
    }
    cr_assert_gt(checked, 100);
}

/* The remainders are dealt to the largest, as a sort of all of them would. */
Test(ring_planner, largest_remainders_round_up)
{
    struct base_prng prng = base_prng_seeded(8);
    static struct plan plan;
    for (int i = 0; i < CASE_COUNT; i++) {
        plan_draw(&plan, &prng);
        plan_make(&plan, base_allocator_system());
        for (size_t g = 0; g < plan.group_count; g++) {
            for (size_t h = 0; h < plan.group_count; h++) {
                uint64_t of_g = (uint64_t)plan.vnode_count * plan.groups[g].weight;
                uint64_t of_h = (uint64_t)plan.vnode_count * plan.groups[h].weight;
                bool g_up = plan.counts[g] > of_g / plan.weight_sum;
                bool h_up = plan.counts[h] > of_h / plan.weight_sum;
                if (g_up && !h_up)
                    cr_assert(of_g % plan.weight_sum > of_h % plan.weight_sum ||
                              (of_g % plan.weight_sum == of_h % plan.weight_sum && g < h));
            }
        }
    }
}

/* The same input gives the same table, to the byte. */
Test(ring_planner, same_input_same_table)
{
    struct base_prng prng = base_prng_seeded(9);
    static struct plan plan;
    static struct plan again;
    for (int i = 0; i < CASE_COUNT; i++) {
        plan_draw(&plan, &prng);
        again = plan;
        plan_make(&plan, base_allocator_system());
        plan_make(&again, base_allocator_system());
        cr_assert_eq(memcmp(plan.owners, again.owners, sizeof(plan.owners)), 0);
    }
}

/* No group's vnodes lie in blocks: whoever walks the ring meets each group again after about
 * Q / count vnodes (the order of ties among n groups adds at most n). */
Test(ring_planner, vnodes_of_a_group_are_spread)
{
    struct base_prng prng = base_prng_seeded(10);
    static struct plan plan;
    for (int i = 0; i < CASE_COUNT; i++) {
        plan_draw(&plan, &prng);
        plan_make(&plan, base_allocator_system());
        for (size_t g = 0; g < plan.group_count; g++) {
            if (plan.counts[g] == 0)
                continue;
            size_t gap_max = plan.vnode_count / plan.counts[g] + 1 + plan.group_count;
            size_t gap = 0;
            for (uint32_t v = 0; v < plan.vnode_count; v++) {
                gap = plan.owners[v] == plan.groups[g].group ? 0 : gap + 1;
                cr_assert_leq(gap, gap_max);
            }
        }
    }
}

/* Equal groups that divide the ring take turns. */
Test(ring_planner, equal_groups_take_turns)
{
    struct ring_group_weight groups[4] = {{1, 100}, {2, 100}, {3, 100}, {4, 100}};
    uint32_t owners[16];
    cr_assert_eq(ring_plan_initial(base_allocator_system(), groups, 4, 16, owners), TORC_OK);
    for (uint32_t v = 0; v < 16; v++)
        cr_assert_eq(owners[v], v % 4 + 1);
}

/* The largest ring with the most groups, and weights at their limit, neither overflow nor stall. */
Test(ring_planner, works_at_its_limits)
{
    static struct ring_group_weight groups[RING_VNODE_COUNT_MAX];
    static uint32_t owners[RING_VNODE_COUNT_MAX];
    for (uint32_t g = 0; g < RING_VNODE_COUNT_MAX; g++)
        groups[g] = (struct ring_group_weight){.group = g + 1, .weight = UINT32_MAX};
    cr_assert_eq(ring_plan_initial(base_allocator_system(), groups, RING_VNODE_COUNT_MAX,
                                   RING_VNODE_COUNT_MAX, owners),
                 TORC_OK);
    for (uint32_t v = 0; v < RING_VNODE_COUNT_MAX; v++)
        cr_assert_eq(owners[v], v + 1);
}

/* What breaks a rule is refused. */
Test(ring_planner, refuses_invalid_input)
{
    const struct base_allocator *allocator = base_allocator_system();
    struct ring_group_weight groups[3] = {{1, 1}, {2, 1}, {3, 1}};
    uint32_t owners[4];
    cr_assert_eq(ring_plan_initial(allocator, groups, 3, 0, owners), TORC_INVALID);
    cr_assert_eq(ring_plan_initial(allocator, groups, 3, 6, owners), TORC_INVALID);
    cr_assert_eq(ring_plan_initial(allocator, groups, 3, 2, owners), TORC_INVALID);
    cr_assert_eq(ring_plan_initial(allocator, groups, 3, RING_VNODE_COUNT_MAX * 2, owners),
                 TORC_INVALID);
    cr_assert_eq(ring_plan_initial(allocator, groups, 0, 4, owners), TORC_INVALID);
    groups[1].weight = 0;
    cr_assert_eq(ring_plan_initial(allocator, groups, 3, 4, owners), TORC_INVALID);
    groups[1] = groups[0];
    cr_assert_eq(ring_plan_initial(allocator, groups, 3, 4, owners), TORC_INVALID);
    groups[0].group = 0;
    cr_assert_eq(ring_plan_initial(allocator, groups, 3, 4, owners), TORC_INVALID);
}
