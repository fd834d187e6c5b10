/*
 * shard/pending -- the requests that a leader has taken and not yet answered: request id -> who
 * asked.
 *
 * Bounded; open addressing over the allocator that it is given. Walked only in the order of
 * arrival.
 */
#ifndef TORC_SHARD_PENDING_H
#define TORC_SHARD_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "wire/op.h"

struct shard_pending; /* Opaque. */

struct shard_pending *shard_pending_new(const struct base_allocator *allocator, size_t count_max);
void shard_pending_free(struct shard_pending *pending); /* NULL is a no-op. */

size_t shard_pending_count(const struct shard_pending *pending);
bool shard_pending_is_full(const struct shard_pending *pending);

/* Adds a request that must not be in it; the table must not be full. */
void shard_pending_add(struct shard_pending *pending, struct wire_client_id client, uint64_t number,
                       uint64_t route);
/* If it is there, makes `route` the one to be answered and returns true: a retry of a request that
 * is still under way. */
bool shard_pending_redirect(struct shard_pending *pending, struct wire_client_id client,
                            uint64_t number, uint64_t route);
bool shard_pending_has(const struct shard_pending *pending, struct wire_client_id client,
                       uint64_t number);
/* Takes it out; false when it is not there. */
bool shard_pending_take(struct shard_pending *pending, struct wire_client_id client,
                        uint64_t number, uint64_t *ret_route);
/* Takes out any one, the oldest first; false when it is empty. */
bool shard_pending_take_oldest(struct shard_pending *pending, uint64_t *ret_number,
                               uint64_t *ret_route);

#endif /* TORC_SHARD_PENDING_H */
