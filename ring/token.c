#include "ring/token.h"

#include "base/hash.h"

struct base_bytes ring_tag(struct base_bytes key)
{
    if (key.size == 0)
        return key;
    const uint8_t *open = memchr(key.data, '{', key.size);
    if (open == NULL)
        return key;
    const uint8_t *tag = open + 1;
    size_t rest = key.size - (size_t)(tag - key.data);
    const uint8_t *close = rest == 0 ? NULL : memchr(tag, '}', rest);
    if (close == NULL || close == tag)
        return key;
    return base_bytes_of(tag, (size_t)(close - tag));
}

uint64_t ring_token(struct base_bytes key, unsigned vnode_bits)
{
    TORC_ASSERT(vnode_bits <= RING_VNODE_BITS_MAX);
    uint64_t position = base_hash(key);
    struct base_bytes tag = ring_tag(key);
    if (tag.size == key.size)
        return position;
    uint64_t position_mask = vnode_bits == 0 ? UINT64_MAX : UINT64_MAX >> vnode_bits;
    return (base_hash(tag) & ~position_mask) | (position & position_mask);
}
