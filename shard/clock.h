/*
 * shard/clock -- what the voters' clocks say, and the stamp that a leader gives (DESIGN section 5,
 * "The group's clock is replicated state").
 *
 * Every message between nodes carries its sender's wall clock. It is kept as an offset to the own
 * monotonic clock, so that a jump of the own wall clock moves one voter's vote and not the others'.
 */
#ifndef TORC_SHARD_CLOCK_H
#define TORC_SHARD_CLOCK_H

#include <stdint.h>

enum {
    SHARD_CLOCK_NODES_MAX = 256,
    SHARD_CLOCK_AGE_MAX_MS = 10000, /* What was heard longer ago does not count. */
};

struct shard_clocks {
    struct {
        uint32_t node;
        int64_t offset_ms; /* Its wall clock less our monotonic clock. */
        uint64_t heard_ms;
    } samples[SHARD_CLOCK_NODES_MAX];
    uint32_t count;
};

/* A node's wall clock, as a message that arrived now says it; the own one comes in the same way,
 * every turn. Past the table's bound new nodes are not kept. */
void shard_clocks_heard(struct shard_clocks *clocks, uint32_t node, uint64_t wall_ms,
                        uint64_t now_ms);

/* The lower median of what these nodes' clocks show now, in Unix milliseconds; nodes not heard for
 * SHARD_CLOCK_AGE_MAX_MS do not count; 0 when none does. */
uint64_t shard_clocks_median(const struct shard_clocks *clocks, const uint32_t *nodes,
                             uint32_t node_count, uint64_t now_ms);

/* The stamps of one group's leader. Zero-initialised when it begins to lead. */
struct shard_stamp {
    uint64_t last;    /* The last stamp given. */
    uint64_t last_ms; /* When, on the monotonic clock. */
};

/* The clock of an entry made now: the median; never below the group's clock; while the group's
 * clock is ahead of the median it runs on at half speed. */
uint64_t shard_stamp_next(struct shard_stamp *stamp, uint64_t group_clock, uint64_t median_ms,
                          uint64_t now_ms);

#endif /* TORC_SHARD_CLOCK_H */
