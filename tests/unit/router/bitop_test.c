#include "router/bitop.h"

#include <criterion/criterion.h>

static void expect(enum router_bitop bitop, const char *const *sources, size_t count,
                   const char *result)
{
    struct router_buffer forward = router_buffer_empty(base_allocator_system());
    struct router_buffer backward = router_buffer_empty(base_allocator_system());
    for (size_t i = 0; i < count; i++) {
        router_bitop_fold(bitop, i == 0, base_bytes_text(sources[i]), &forward);
        router_bitop_fold(bitop, i == 0, base_bytes_text(sources[count - 1 - i]), &backward);
    }
    size_t size = forward.size;
    cr_assert_eq(backward.size, size);
    cr_assert(size == 0 || memcmp(forward.data, result, size) == 0);
    cr_assert(base_bytes_equal(router_buffer_bytes(&forward), router_buffer_bytes(&backward)));
    router_buffer_fini(&forward);
    router_buffer_fini(&backward);
}

/* The result is the same in whatever order sources of different sizes come. */
Test(router_bitop, folds_in_any_order)
{
    const char *const sources[] = {"abc", "a", "ffffff"};
    const char *const empty[] = {"", "abc"};
    expect(ROUTER_BITOP_AND, sources, 3, "\x60\0\0\0\0\0");
    expect(ROUTER_BITOP_OR, sources, 3, "\x67\x66\x67\x66\x66\x66");
    expect(ROUTER_BITOP_XOR, sources, 3, "\x66\x04\x05\x66\x66\x66");
    expect(ROUTER_BITOP_AND, empty, 2, "\0\0\0");
    expect(ROUTER_BITOP_OR, empty, 2, "abc");
    expect(ROUTER_BITOP_NOT, sources, 1, "\x9e\x9d\x9c");
    expect(ROUTER_BITOP_AND, empty, 1, "");
}

static bool checks(const char *name, size_t sources)
{
    struct base_bytes args[8] = {base_bytes_text("BITOP"), base_bytes_text(name)};
    struct router_buffer error = router_buffer_empty(base_allocator_system());
    bool good = router_bitop_check(args, 3 + sources, &error);
    cr_assert_eq(good, error.size == 0);
    router_buffer_fini(&error);
    return good;
}

Test(router_bitop, words)
{
    cr_assert(checks("and", 1) && checks("Or", 4) && checks("XOR", 2) && checks("not", 1));
    cr_assert(!checks("NOT", 2) && !checks("NAND", 1) && !checks("", 1));
    cr_assert(!checks("OR", 4096) && checks("OR", 4095));
}
