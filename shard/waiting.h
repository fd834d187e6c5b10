/*
 * shard/waiting -- admitted writes that are in no entry yet, whole requests back to back.
 *
 * They wait while an entry is on its way to being chosen, and then go together: the busier the
 * group, the more of them share one entry, one record of the log, one message to each follower and
 * one sync; an idle group makes nobody wait. Others wait for a lock.
 */
#ifndef TORC_SHARD_WAITING_H
#define TORC_SHARD_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"

enum { SHARD_WAITING_MAX = 4 << 20 }; /* Bytes, past which no more are taken; one always is. */

/* Open, so that it can be embedded. */
struct shard_waiting {
    const struct base_allocator *allocator;
    uint8_t *bytes;
    size_t first, end, capacity;
};

static inline struct shard_waiting shard_waiting_empty(const struct base_allocator *allocator)
{
    return (struct shard_waiting){.allocator = allocator};
}

void shard_waiting_fini(struct shard_waiting *waiting);
/* All of them; borrowed until a change. */
static inline struct base_bytes shard_waiting_bytes(const struct shard_waiting *waiting)
{
    return base_bytes_of(waiting->bytes + waiting->first, waiting->end - waiting->first);
}
/* Behind the others. False: too much waits already. */
bool shard_waiting_add(struct shard_waiting *waiting, struct base_bytes request);
/* The first `size` bytes are gone; what a burst took is given back when it is empty. */
void shard_waiting_drop(struct shard_waiting *waiting, size_t size);

#endif /* TORC_SHARD_WAITING_H */
