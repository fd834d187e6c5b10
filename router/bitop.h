/*
 * router/bitop -- what BITOP makes of its sources. They may come in any order: each is folded into
 * the result at once, so that no more than two values are held. Pure arithmetic.
 */
#ifndef TORC_ROUTER_BITOP_H
#define TORC_ROUTER_BITOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "router/buffer.h"

enum router_bitop { ROUTER_BITOP_AND = 1, ROUTER_BITOP_OR, ROUTER_BITOP_XOR, ROUTER_BITOP_NOT };

/* Whether the words are right; false: Redis's error was appended to `error`. */
bool router_bitop_check(const struct base_bytes *args, size_t arg_count,
                        struct router_buffer *error);
/* Of words that are right. */
enum router_bitop router_bitop_of(const struct base_bytes *args);
/* Takes one more source, `first` or not; of a shorter one the missing bytes are zeros. */
void router_bitop_fold(enum router_bitop bitop, bool first, struct base_bytes source,
                       struct router_buffer *result);

#endif /* TORC_ROUTER_BITOP_H */
