/*
 * router/bitfield -- what BITFIELD and BITFIELD_RO do to a value: integers of 1 to 64 bits anywhere
 * in it. Pure arithmetic over words and bytes.
 *
 * It is no operation of the state machine: the router reads the value with its version, computes
 * here, and writes under the condition that the version is still the same (router/derive.c). That
 * is atomic, runs at most once as every write does, and needs nothing new in the log, in the
 * simulator's models or in libtorc; the price is a second round, and a third when another client
 * was faster.
 */
#ifndef TORC_ROUTER_BITFIELD_H
#define TORC_ROUTER_BITFIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"

/* Whether the words (the command's name and key included) are right; false: Redis's error was
 * appended to `error`, without its line end. */
bool router_bitfield_check(const struct base_bytes *args, size_t arg_count, bool read_only,
                           struct router_buffer *error);
/* The bytes that a value must have at least for what is written; 0: nothing is written. The words
 * are right, here and below. */
uint64_t router_bitfield_size(const struct base_bytes *args, size_t arg_count);
/* Carries all of it out on the value, which has that size at least, and appends the reply. Returns
 * whether any byte was changed. */
bool router_bitfield_run(const struct base_bytes *args, size_t arg_count, unsigned protocol,
                         struct router_buffer *value, struct router_buffer *reply);

#endif /* TORC_ROUTER_BITFIELD_H */
