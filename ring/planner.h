/*
 * ring/planner -- decides which group should own which vnode. Pure: the same input always gives the
 * same answer, on every machine (integers only, ties broken by the order of the groups).
 */
#ifndef TORC_RING_PLANNER_H
#define TORC_RING_PLANNER_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"

struct ring_group_weight {
    uint32_t group;  /* Not 0. */
    uint32_t weight; /* At least 1; only the ratio to the sum counts. */
};

/*
 * The first assignment of a new cluster's vnodes. Each group gets its share by weight rounded down
 * or up: the vnodes left after rounding down go to the largest remainders, the lower group first on
 * a tie. Each group's vnodes are spread evenly over the ring instead of lying in one block, so that
 * whatever walks tokens in order (SCAN, a bulk load from a backup, the background checksums) keeps
 * every group at work in proportion, and not one group after the other. Nothing later depends on
 * the shape: a move takes any vnode of any group.
 *
 * `groups` are in rising order of group. Writes ret_groups[0 .. vnode_count).
 * TORC_INVALID: vnode_count is no power of two in range; no groups, or more than vnodes; a group or
 * weight of 0, or groups not in rising order.
 */
enum torc_status ring_plan_initial(const struct base_allocator *allocator,
                                   const struct ring_group_weight *groups, size_t group_count,
                                   uint32_t vnode_count, uint32_t *ret_groups) TORC_MUST_CHECK;

#endif /* TORC_RING_PLANNER_H */
