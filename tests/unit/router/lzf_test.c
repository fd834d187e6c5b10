#include "router/lzf.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/prng.h"

enum { SIZE_MAX_TRIED = 3000 };

static size_t below(struct base_prng *prng, size_t bound)
{
    return (size_t)base_prng_range(prng, 0, bound - 1);
}

/* Bytes that partly repeat what was before, so that matches of all sizes and distances come. */
static size_t make(struct base_prng *prng, uint8_t *at)
{
    size_t size = 1 + below(prng, SIZE_MAX_TRIED), used = 0;
    while (used < size) {
        size_t run = 1 + below(prng, below(prng, 8) == 0 ? 300 : 20);
        size_t distance = used == 0 ? 0 : 1 + below(prng, used);
        bool copies = used > 0 && below(prng, 2) == 0;
        for (; run > 0 && used < size; run--, used++)
            at[used] = copies ? at[used - distance] : (uint8_t)below(prng, 256);
    }
    return size;
}

/* What is compressed comes back; where it has no room, it says so and stays within. */
Test(router_lzf, comes_back)
{
    static uint8_t input[SIZE_MAX_TRIED], packed[2 * SIZE_MAX_TRIED + 1], output[SIZE_MAX_TRIED];
    struct base_prng prng = base_prng_seeded(4);
    for (int i = 0; i < 2000; i++) {
        size_t size = make(&prng, input), room = below(&prng, 2 * size) + 1;
        packed[room] = 0x5a;
        size_t used =
            router_lzf_compress(base_allocator_system(), base_bytes_of(input, size), packed, room);
        cr_assert_leq(used, room);
        cr_assert_eq(packed[room], 0x5a);
        if (used == 0)
            continue;
        cr_assert_eq(router_lzf_expand(base_bytes_of(packed, used), output, size), size);
        cr_assert_eq(memcmp(input, output, size), 0);
        cr_assert_eq(router_lzf_expand(base_bytes_of(packed, used), output, size - 1), 0);
    }
}

/* Each way in which bytes can be no LZF. */
Test(router_lzf, refuses)
{
    uint8_t output[300];
    static const struct {
        const char *bytes;
        size_t size, expanded;
    } cases[] = {
        {"\x01"
         "ab\x20\x01",
         5, 5}, /* A copy of what the copy brings. */
        {"\x01"
         "ab\x20\x02",
         5, 0}, /* From before the beginning. */
        {"\x02"
         "ab",
         3, 0}, /* A run that ends too early, */
        {"\x01"
         "ab\x20",
         4, 0}, /* a copy without distance, */
        {"\x01"
         "ab\xe0",
         4, 0}, /* without its size, */
        {"\x01"
         "ab\xe0\x05",
         5, 0}, /* and with nothing behind it. */
        {"\x00"
         "a\xe0\xff\x00",
         5, 265},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(router_lzf_expand(base_bytes_of(cases[i].bytes, cases[i].size), output, 300),
                     cases[i].expanded, "%zu", i);
}
