#include "ring/planner.h"

#include <stdbool.h>

#include "base/assert.h"
#include "ring/token.h"

/* So that vnodes times weight, and the sum of all weights, stay far below 64 bits. */
_Static_assert(RING_VNODE_BITS_MAX <= 16, "shares are computed in 64 bits");

static bool groups_valid(const struct ring_group_weight *groups, size_t group_count)
{
    for (size_t g = 0; g < group_count; g++) {
        if (groups[g].group == 0 || groups[g].weight == 0)
            return false;
        if (g > 0 && groups[g].group <= groups[g - 1].group)
            return false;
    }
    return true;
}

static uint64_t weight_sum(const struct ring_group_weight *groups, size_t group_count)
{
    uint64_t sum = 0;
    for (size_t g = 0; g < group_count; g++)
        sum += groups[g].weight;
    return sum;
}

static size_t remainders_at_least(const struct ring_group_weight *groups, size_t group_count,
                                  uint32_t vnode_count, uint64_t sum, uint64_t threshold)
{
    size_t count = 0;
    for (size_t g = 0; g < group_count; g++)
        count += (uint64_t)vnode_count * groups[g].weight % sum >= threshold;
    return count;
}

/* The largest threshold that at least `count` of the remainders reach; found by halving, so that no
 * sorting is needed. */
static uint64_t remainder_threshold(const struct ring_group_weight *groups, size_t group_count,
                                    uint32_t vnode_count, uint64_t sum, size_t count)
{
    uint64_t low = 0; /* All remainders reach 0. */
    uint64_t high = sum;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (remainders_at_least(groups, group_count, vnode_count, sum, middle) >= count)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* How many vnodes each group gets. */
static void count_shares(const struct ring_group_weight *groups, size_t group_count,
                         uint32_t vnode_count, uint32_t *counts)
{
    uint64_t sum = weight_sum(groups, group_count);
    uint32_t left = vnode_count;
    for (size_t g = 0; g < group_count; g++) {
        counts[g] = (uint32_t)((uint64_t)vnode_count * groups[g].weight / sum);
        left -= counts[g];
    }
    TORC_ASSERT(left < group_count);
    if (left == 0)
        return;
    uint64_t threshold = remainder_threshold(groups, group_count, vnode_count, sum, left);
    size_t above =
        remainders_at_least(groups, group_count, vnode_count, sum, threshold + 1 /* threshold */);
    TORC_ASSERT(above <= left);
    size_t ties = left - above;
    for (size_t g = 0; g < group_count; g++) {
        uint64_t remainder = (uint64_t)vnode_count * groups[g].weight % sum;
        if (remainder > threshold) {
            counts[g]++;
        } else if (remainder == threshold && ties > 0) {
            counts[g]++;
            ties--;
        }
    }
    TORC_ASSERT(ties == 0);
}

/* Where the k-th of a group's `count` vnodes would lie if it were alone: the middle of the k-th of
 * `count` equal parts of the ring. */
static uint32_t ideal_position(uint32_t k, uint32_t count, uint32_t vnode_count)
{
    return (uint32_t)((2 * (uint64_t)k + 1) * vnode_count / (2 * (uint64_t)count));
}

/* Lays all vnodes of all groups out in the order of (ideal position, group): a counting sort whose
 * `starts` has, per position, the next free place, and one more at the end. */
static void spread(const struct ring_group_weight *groups, size_t group_count,
                   const uint32_t *counts, uint32_t vnode_count, uint32_t *starts,
                   uint32_t *ret_groups)
{
    memset(starts, 0, (vnode_count + 1) * sizeof(*starts));
    for (size_t g = 0; g < group_count; g++) {
        for (uint32_t k = 0; k < counts[g]; k++)
            starts[ideal_position(k, counts[g], vnode_count) + 1]++;
    }
    for (uint32_t p = 0; p < vnode_count; p++)
        starts[p + 1] += starts[p];
    TORC_ASSERT(starts[vnode_count] == vnode_count);
    for (size_t g = 0; g < group_count; g++) {
        for (uint32_t k = 0; k < counts[g]; k++) {
            uint32_t vnode = starts[ideal_position(k, counts[g], vnode_count)]++;
            TORC_ASSERT(vnode < vnode_count);
            ret_groups[vnode] = groups[g].group;
        }
    }
}

enum torc_status ring_plan_initial(const struct base_allocator *allocator,
                                   const struct ring_group_weight *groups, size_t group_count,
                                   uint32_t vnode_count, uint32_t *ret_groups)
{
    if (vnode_count == 0 || vnode_count > RING_VNODE_COUNT_MAX ||
        (vnode_count & (vnode_count - 1)) != 0)
        return TORC_INVALID;
    if (group_count == 0 || group_count > vnode_count || !groups_valid(groups, group_count))
        return TORC_INVALID;
    size_t counts_size = group_count * sizeof(uint32_t);
    size_t starts_size = ((size_t)vnode_count + 1) * sizeof(uint32_t);
    uint32_t *counts = base_alloc(allocator, counts_size);
    uint32_t *starts = base_alloc(allocator, starts_size);
    count_shares(groups, group_count, vnode_count, counts);
    spread(groups, group_count, counts, vnode_count, starts, ret_groups);
    base_free(allocator, starts, starts_size);
    base_free(allocator, counts, counts_size);
    return TORC_OK;
}
