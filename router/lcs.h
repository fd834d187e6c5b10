/*
 * router/lcs -- the longest common subsequence of two values, as Redis finds it: of several equally
 * long ones the same, with the same ranges. Pure arithmetic.
 *
 * The work and a part of the memory grow with the product of the two sizes, and the one thread of
 * the router does it in one go: past ROUTER_LCS_PRODUCT_MAX it is refused.
 */
#ifndef TORC_ROUTER_LCS_H
#define TORC_ROUTER_LCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"

enum { ROUTER_LCS_PRODUCT_MAX = 1 << 20 }; /* 1024 times 1024 bytes: a few milliseconds. */

/* Whether the words are right; false: Redis's error was appended to `error`. */
bool router_lcs_check(const struct base_bytes *args, size_t arg_count, struct router_buffer *error);
/* Appends the reply: what the words, which are right, ask for of the two values. */
void router_lcs_reply(const struct base_bytes *args, size_t arg_count, struct base_bytes a,
                      struct base_bytes b, unsigned protocol, struct router_buffer *out);

#endif /* TORC_ROUTER_LCS_H */
