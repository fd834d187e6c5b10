#include "router/lzf.h"

#include <string.h>

enum {
    HASH_BITS = 16,
    LITERALS_MAX = 1 << 5,
    DISTANCE_MAX = 1 << 13,
    MATCH_MAX = (1 << 8) + (1 << 3),
    MATCH_FREE = 18, /* A match may pass its bound up to here: liblzf's unrolled loop. */
};

/* Without a call in between, all of the compressor stays in registers: a third of the time. */
#define INLINED static inline __attribute__((always_inline))

struct compressor {
    const uint8_t *input;
    size_t size, at;
    uint32_t *seen; /* By hash of three bytes: where they were last. 0: nowhere. */
    uint8_t *output;
    size_t capacity, used;
    size_t literals; /* Of the run that ends at `used`; the byte before it will say how many. */
};

INLINED uint32_t *slot(const struct compressor *compressor, size_t at)
{
    const uint8_t *bytes = compressor->input + at;
    uint32_t three = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
    uint32_t hash = (three >> (24 - HASH_BITS)) - three * 5;
    return &compressor->seen[hash & ((1u << HASH_BITS) - 1)];
}

INLINED void run_end(struct compressor *compressor)
{
    compressor->output[compressor->used - compressor->literals - 1] =
        (uint8_t)(compressor->literals - 1);
}

/* False: no room. */
INLINED bool literal(struct compressor *compressor)
{
    if (compressor->used >= compressor->capacity)
        return false;
    compressor->literals++;
    compressor->output[compressor->used++] = compressor->input[compressor->at++];
    if (compressor->literals == LITERALS_MAX) {
        run_end(compressor);
        compressor->literals = 0;
        compressor->used++;
    }
    return true;
}

/* The last bytes, for which room is known to be. */
static void literals_rest(struct compressor *compressor)
{
    while (compressor->at < compressor->size) {
        bool room = literal(compressor);
        (void)room;
    }
    if (compressor->literals > 0)
        run_end(compressor);
    else
        compressor->used--;
}

/* How far what begins at `from` and at `at` is the same; three bytes are. */
INLINED size_t match_size(const struct compressor *compressor, size_t from)
{
    const uint8_t *a = compressor->input + from, *b = compressor->input + compressor->at;
    size_t left = compressor->size - compressor->at - 2;
    size_t bound = left > MATCH_MAX ? MATCH_MAX : left;
    size_t size = 3;
    while (bound > 16 && size <= MATCH_FREE && a[size] == b[size])
        size++;
    if (bound > 16 && size <= MATCH_FREE)
        return size;
    if (bound > 16)
        size = MATCH_FREE + 1;
    while (size < bound && a[size] == b[size])
        size++;
    return size;
}

/* Takes the match that begins at `from`; false: no room. */
INLINED bool match(struct compressor *compressor, size_t from)
{
    size_t distance = compressor->at - from - 1, no_run = compressor->literals == 0;
    if (compressor->used - no_run + 4 >= compressor->capacity)
        return false;
    size_t size = match_size(compressor, from);
    if (!no_run)
        run_end(compressor);
    uint8_t *at = compressor->output + compressor->used - no_run, *begin = at;
    if (size - 2 < 7) {
        *at++ = (uint8_t)((distance >> 8) + ((size - 2) << 5));
    } else {
        *at++ = (uint8_t)((distance >> 8) + (7 << 5));
        *at++ = (uint8_t)(size - 2 - 7);
    }
    *at++ = (uint8_t)distance;
    compressor->used += (size_t)(at - begin) - no_run + 1; /* And the next run's first byte. */
    compressor->literals = 0;
    compressor->at += size;
    /* Of the places within a match only the last two are remembered. */
    if (compressor->at < compressor->size - 2) {
        *slot(compressor, compressor->at - 2) = (uint32_t)compressor->at - 2;
        *slot(compressor, compressor->at - 1) = (uint32_t)compressor->at - 1;
    }
    return true;
}

static size_t compress(struct compressor *compressor)
{
    const uint8_t *input = compressor->input;
    compressor->used = 1;
    while (compressor->at + 2 < compressor->size) {
        size_t at = compressor->at;
        uint32_t *last = slot(compressor, at);
        size_t from = *last;
        *last = (uint32_t)at;
        bool same =
            from > 0 && at - from - 1 < DISTANCE_MAX && memcmp(input + from, input + at, 3) == 0;
        if (same ? !match(compressor, from) : !literal(compressor))
            return 0;
    }
    if (compressor->used + 3 > compressor->capacity)
        return 0;
    literals_rest(compressor);
    return compressor->used;
}

size_t router_lzf_compress(const struct base_allocator *allocator, struct base_bytes input,
                           uint8_t *at, size_t capacity)
{
    size_t table_size = sizeof(uint32_t) << HASH_BITS;
    struct compressor compressor = {
        .input = input.data,
        .size = input.size,
        .seen = base_alloc_zero(allocator, table_size),
        .output = at,
        .capacity = capacity,
    };
    size_t used = input.size == 0 || capacity == 0 ? 0 : compress(&compressor);
    base_free(allocator, compressor.seen, table_size);
    return used;
}

/* ---- The other way
 * ------------------------------------------------------------------------------- */

/* Copies what came before, perhaps what the copy itself brings; returns its size, 0: wrong. */
static size_t copy_expand(struct base_bytes input, size_t *at, uint8_t *output, size_t used,
                          size_t capacity)
{
    size_t size = input.data[*at - 1] >> 5, distance = (size_t)(input.data[*at - 1] & 31) << 8;
    if (size == 7) {
        if (*at >= input.size)
            return 0;
        size += input.data[(*at)++];
    }
    if (*at >= input.size)
        return 0;
    distance += (size_t)input.data[(*at)++] + 1;
    size += 2;
    if (distance > used || size > capacity - used)
        return 0;
    for (size_t i = 0; i < size; i++)
        output[used + i] = output[used + i - distance];
    return size;
}

size_t router_lzf_expand(struct base_bytes input, uint8_t *at, size_t capacity)
{
    size_t used = 0;
    for (size_t from = 0; from < input.size;) {
        size_t size = (size_t)input.data[from++] + 1;
        if (size <= LITERALS_MAX) {
            if (size > input.size - from || size > capacity - used)
                return 0;
            memcpy(at + used, input.data + from, size);
            from += size;
        } else {
            size = copy_expand(input, &from, at, used, capacity);
            if (size == 0)
                return 0;
        }
        used += size;
    }
    return used;
}
