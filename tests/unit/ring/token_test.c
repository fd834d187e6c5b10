#include "ring/token.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/prng.h"

static struct base_bytes text(const char *key)
{
    return base_bytes_text(key);
}

static void expect_tag(const char *key, const char *tag)
{
    cr_assert(base_bytes_equal(ring_tag(text(key)), text(tag)), "tag of %s is not %s", key, tag);
}

/* The tag is what Redis Cluster's key hash tag is, in each corner. */
Test(ring_token, tag_is_that_of_redis)
{
    expect_tag("{user1000}.following", "user1000");
    expect_tag("a{b}c", "b");
    expect_tag("plain", "plain");
    expect_tag("foo{}{bar}", "foo{}{bar}");
    expect_tag("foo{{bar}}zap", "{bar");
    expect_tag("foo{bar}{zap}", "bar");
    expect_tag("open{only", "open{only");
    expect_tag("close}only", "close}only");
    expect_tag("}{x}", "x");
    expect_tag("}a{", "}a{");
    expect_tag("{", "{");
    expect_tag("{}", "{}");
    expect_tag("", "");
}

/* A NUL byte is a byte like any other, in the tag too. */
Test(ring_token, tag_may_hold_any_byte)
{
    struct base_bytes key = base_bytes_of("x\0{a\0b}\0", 8);
    cr_assert(base_bytes_equal(ring_tag(key), base_bytes_of("a\0b", 3)));
}

/* The definition, written the dumb way: the top bits of one hash, the rest of another. */
static uint64_t token_reference(struct base_bytes key, unsigned vnode_bits)
{
    struct base_bytes tag = key;
    for (size_t open = 0; open < key.size; open++) {
        if (key.data[open] != '{')
            continue;
        size_t close = open + 1;
        while (close < key.size && key.data[close] != '}')
            close++;
        if (close < key.size && close > open + 1)
            tag = base_bytes_of(key.data + open + 1, close - open - 1);
        break;
    }
    uint64_t token = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        bool top = bit >= 64 - vnode_bits;
        uint64_t from = top ? base_hash(tag) : base_hash(key);
        token |= from & UINT64_C(1) << bit;
    }
    return token;
}

static struct base_bytes random_key(struct base_prng *prng, uint8_t *buffer, size_t size_max)
{
    static const char letters[] = "ab{}{}\0x";
    size_t size = base_prng_range(prng, 1, size_max);
    for (size_t i = 0; i < size; i++)
        buffer[i] = (uint8_t)letters[base_prng_range(prng, 0, 7)];
    return base_bytes_of(buffer, size);
}

/* On random keys full of braces, and every size of ring, the token is what the definition says. */
Test(ring_token, equals_its_definition)
{
    struct base_prng prng = base_prng_seeded(1);
    uint8_t buffer[24];
    for (int round = 0; round < 20000; round++) {
        struct base_bytes key = random_key(&prng, buffer, sizeof(buffer));
        unsigned bits = (unsigned)base_prng_range(&prng, 0, RING_VNODE_BITS_MAX);
        uint64_t token = ring_token(key, bits);
        cr_assert_eq(token, token_reference(key, bits));
        uint32_t vnode = ring_vnode(token, bits);
        cr_assert_lt(vnode, UINT32_C(1) << bits);
        if (bits > 0)
            cr_assert_eq(vnode, base_hash(ring_tag(key)) >> (64 - bits));
    }
}

static int compare_tokens(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Keys with one tag share a vnode for every size of ring, and their tokens there are distinct. */
Test(ring_token, tag_keeps_keys_in_one_vnode_at_distinct_positions)
{
    enum { KEY_COUNT = 20000 };
    static uint64_t tokens[KEY_COUNT];
    for (unsigned bits = 0; bits <= RING_VNODE_BITS_MAX; bits += 4) {
        uint32_t vnode = ring_vnode(ring_token(text("{cart:7}"), bits), bits);
        for (int i = 0; i < KEY_COUNT; i++) {
            char key[32];
            snprintf(key, sizeof(key), "item:%d:{cart:7}", i);
            tokens[i] = ring_token(text(key), bits);
            cr_assert_eq(ring_vnode(tokens[i], bits), vnode);
        }
        qsort(tokens, KEY_COUNT, sizeof(tokens[0]), compare_tokens);
        for (int i = 1; i < KEY_COUNT; i++)
            cr_assert_neq(tokens[i - 1], tokens[i]);
    }
}

/*
 * 200,000 keys of the kinds that people use fall evenly on 4,096 vnodes: chi-square with 4,095
 * degrees of freedom has mean 4,095 and deviation 90.5; the bounds are five deviations away. The
 * keys are fixed, so this cannot fail by chance.
 */
Test(ring_token, keys_spread_evenly)
{
    enum { KEY_COUNT = 200000, VNODE_COUNT = RING_VNODE_COUNT_DEFAULT };
    static const char *const shapes[] = {"user:%d", "{session%d}:data", "%08d", "a/b/c/%d.json"};
    for (size_t shape = 0; shape < 4; shape++) {
        static uint32_t counts[VNODE_COUNT];
        memset(counts, 0, sizeof(counts));
        for (int i = 0; i < KEY_COUNT; i++) {
            char key[48];
            snprintf(key, sizeof(key), shapes[shape], i);
            counts[ring_vnode(ring_token(text(key), RING_VNODE_BITS_DEFAULT),
                              RING_VNODE_BITS_DEFAULT)]++;
        }
        double expected = (double)KEY_COUNT / VNODE_COUNT;
        double chi_square = 0;
        for (int v = 0; v < VNODE_COUNT; v++)
            chi_square += (counts[v] - expected) * (counts[v] - expected) / expected;
        cr_assert(chi_square > 4095 - 453 && chi_square < 4095 + 453, "%s: %.0f", shapes[shape],
                  chi_square);
    }
}
