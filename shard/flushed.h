/*
 * shard/flushed -- how far a group's state is: the applied slot that the store would give back
 * after a crash now. Every group keeps it under the same key in the same form (shard/keys.h).
 */
#ifndef TORC_SHARD_FLUSHED_H
#define TORC_SHARD_FLUSHED_H

#include <stdint.h>

#include "store/kv.h"

/* 0 when the group has no state on disk, or none that decodes (no reason to let go of the log). */
uint64_t shard_state_flushed_slot(struct store_kv *kv, uint32_t group);

#endif /* TORC_SHARD_FLUSHED_H */
