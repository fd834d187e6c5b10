/*
 * ring/token -- where a key lies on the ring.
 *
 * The token is part of every stored key and every SCAN cursor: its definition must never change
 * between releases (tests/golden/ring/tokens.txt holds it to that).
 *
 *   top vnode_bits bits   those of XXH3-64 of the key's hash tag, or of the key when it has none
 *   the other bits        those of XXH3-64 of the whole key
 *
 * So keys with one tag share a vnode, and their positions inside it stay distinct.
 */
#ifndef TORC_RING_TOKEN_H
#define TORC_RING_TOKEN_H

#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"

enum {
    RING_VNODE_BITS_MAX = 16,
    RING_VNODE_BITS_DEFAULT = 12,
    RING_VNODE_COUNT_MAX = 1 << RING_VNODE_BITS_MAX,
    RING_VNODE_COUNT_DEFAULT = 1 << RING_VNODE_BITS_DEFAULT,
};

/* The part between the first '{' and the next '}' when it is not empty, else the whole key (the
 * rule of Redis Cluster). Borrowed from `key`. */
struct base_bytes ring_tag(struct base_bytes key);

/* The token of a key on a ring of 2^vnode_bits vnodes; vnode_bits <= RING_VNODE_BITS_MAX. */
uint64_t ring_token(struct base_bytes key, unsigned vnode_bits);

/* The vnode of a token: its top vnode_bits bits. */
static inline uint32_t ring_vnode(uint64_t token, unsigned vnode_bits)
{
    TORC_ASSERT(vnode_bits <= RING_VNODE_BITS_MAX);
    /* In two shifts, because one by 64 (a ring of a single vnode) is undefined. */
    return (uint32_t)(token >> 1 >> (63 - vnode_bits));
}

#endif /* TORC_RING_TOKEN_H */
