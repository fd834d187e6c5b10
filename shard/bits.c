#include "shard/bits.h"

#include "base/assert.h"

/* A range of bits as bytes, of which the first and last count in part. */
struct span {
    uint64_t first, last;
    uint8_t first_mask, last_mask;
};

static struct span span_of(struct base_bytes bytes, struct shard_range range)
{
    TORC_ASSERT(range.count > 0);
    uint64_t last = range.first + range.count - 1;
    TORC_ASSERT(last / 8 < bytes.size);
    return (struct span){
        .first = range.first / 8,
        .last = last / 8,
        .first_mask = (uint8_t)(0xff >> range.first % 8),
        .last_mask = (uint8_t)(0xff << (7 - last % 8)),
    };
}

static uint64_t ones(uint64_t word)
{
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return word * UINT64_C(0x0101010101010101) >> 56;
}

uint64_t shard_bits_count(struct base_bytes bytes, struct shard_range range)
{
    if (range.count == 0)
        return 0;
    struct span span = span_of(bytes, range);
    const uint8_t *data = bytes.data;
    if (span.first == span.last)
        return ones(data[span.first] & span.first_mask & span.last_mask);
    uint64_t count = ones(data[span.first] & span.first_mask);
    uint64_t at = span.first + 1;
    for (; at + 8 <= span.last; at += 8)
        count += ones(base_get_le64(data + at));
    for (; at < span.last; at++)
        count += ones(data[at]);
    return count + ones(data[span.last] & span.last_mask);
}

int64_t shard_bits_find(struct base_bytes bytes, struct shard_range range, bool bit)
{
    if (range.count == 0)
        return -1;
    struct span span = span_of(bytes, range);
    uint8_t other = bit ? 0 : 0xff; /* A byte with nothing to be found. */
    uint64_t others = bit ? 0 : UINT64_MAX;
    for (uint64_t at = span.first; at <= span.last; at++) {
        while (at > span.first && at + 8 <= span.last && base_get_le64(bytes.data + at) == others)
            at += 8;
        uint8_t found = bytes.data[at] ^ other;
        if (at == span.first)
            found &= span.first_mask;
        if (at == span.last)
            found &= span.last_mask;
        if (found == 0)
            continue;
        int64_t position = (int64_t)at * 8;
        for (; (found & 0x80) == 0; position++)
            found = (uint8_t)(found << 1);
        return position;
    }
    return -1;
}
