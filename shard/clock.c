#include "shard/clock.h"

#include "base/assert.h"
#include "base/hlc.h"
#include "base/mutant.h"

void shard_clocks_heard(struct shard_clocks *clocks, uint32_t node, uint64_t wall_ms,
                        uint64_t now_ms)
{
    uint32_t at = 0;
    while (at < clocks->count && clocks->samples[at].node != node)
        at++;
    if (at == SHARD_CLOCK_NODES_MAX)
        return;
    if (at == clocks->count)
        clocks->count++;
    /* A clock that shows more than this is held there: the offset stays far from overflow. */
    if (wall_ms > BASE_HLC_MS_MAX)
        wall_ms = BASE_HLC_MS_MAX;
    clocks->samples[at].node = node;
    clocks->samples[at].offset_ms = (int64_t)wall_ms - (int64_t)now_ms;
    clocks->samples[at].heard_ms = now_ms;
}

/* Inserts into the sorted list of what was found so far. */
static void insert_sorted(uint64_t *list, uint32_t *count, uint64_t value)
{
    uint32_t at = *count;
    while (at > 0 && list[at - 1] > value) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = value;
    (*count)++;
}

uint64_t shard_clocks_median(const struct shard_clocks *clocks, const uint32_t *nodes,
                             uint32_t node_count, uint64_t now_ms)
{
    uint64_t shown[16];
    uint32_t count = 0;
    TORC_ASSERT(node_count <= sizeof(shown) / sizeof(shown[0]));
    for (uint32_t i = 0; i < node_count; i++) {
        for (uint32_t s = 0; s < clocks->count; s++) {
            if (clocks->samples[s].node != nodes[i] ||
                clocks->samples[s].heard_ms + SHARD_CLOCK_AGE_MAX_MS < now_ms)
                continue;
            int64_t wall_ms = (int64_t)now_ms + clocks->samples[s].offset_ms;
            insert_sorted(shown, &count, wall_ms > 0 ? (uint64_t)wall_ms : 0);
        }
    }
    if (TORC_MUTANT(FASTEST_CLOCK) && count > 0)
        return shown[count - 1];
    return count == 0 ? 0 : shown[(count - 1) / 2];
}

uint64_t shard_stamp_next(struct shard_stamp *stamp, uint64_t group_clock, uint64_t median_ms,
                          uint64_t now_ms)
{
    uint64_t median = base_hlc_from_ms(median_ms);
    uint64_t next = median;
    if (group_clock > median || stamp->last > median) {
        uint64_t passed_ms = stamp->last_ms == 0 ? 0 : now_ms - stamp->last_ms;
        next = stamp->last + base_hlc_from_ms(passed_ms) / 2;
        if (next < median)
            next = median;
    }
    if (next < group_clock)
        next = group_clock;
    TORC_ASSERT(next >= stamp->last);
    stamp->last = next;
    stamp->last_ms = now_ms;
    return next;
}
