/*
 * router/lzf -- LZF, the compression within what DUMP gives. Compressed to the same bytes as Redis
 * does it (liblzf with its VERY_FAST search); reading believes nothing.
 *
 * A byte below 32: so many and one more bytes as they are follow. Else three bits of size and 13 of
 * distance: a copy of what came before; size 7 is continued in a byte before the distance's second.
 */
#ifndef TORC_ROUTER_LZF_H
#define TORC_ROUTER_LZF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"

/* Writes at most `capacity` bytes to `at`; returns how many, 0: they do not suffice. The input has
 * less than 4 GiB. */
size_t router_lzf_compress(const struct base_allocator *allocator, struct base_bytes input,
                           uint8_t *at, size_t capacity);
/* The same the other way; 0: also for what is no LZF. */
size_t router_lzf_expand(struct base_bytes input, uint8_t *at, size_t capacity);

#endif /* TORC_ROUTER_LZF_H */
