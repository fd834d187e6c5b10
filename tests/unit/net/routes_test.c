#include "net/routes.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct base_bytes named(char memory[16], int number)
{
    int size = snprintf(memory, 16, "sender%d", number);
    return base_bytes_of(memory, (size_t)size);
}

/* A sender keeps its number, another has another, and each leads back. */
Test(net, routes_are_stable_and_distinct)
{
    struct net_routes *routes = net_routes_new(10);
    char a[16], b[16];
    uint64_t one = net_routes_of(routes, named(a, 1)), two = net_routes_of(routes, named(b, 2));
    cr_assert_neq(one, 0);
    cr_assert_neq(one, two);
    cr_assert_eq(net_routes_of(routes, named(a, 1)), one);
    cr_assert(base_bytes_equal(net_routes_identity(routes, one), named(a, 1)));
    cr_assert(base_bytes_equal(net_routes_identity(routes, two), named(b, 2)));
    cr_assert_eq(net_routes_identity(routes, two + 1).size, 0);
    cr_assert_eq(net_routes_identity(routes, 0).size, 0);
    net_routes_free(routes);
}

/* Past the bound the sender that was silent for longest goes, and its number is not used again. */
Test(net, routes_forget_whom_they_did_not_hear_of_for_longest)
{
    enum { BOUND = 8 };
    struct net_routes *routes = net_routes_new(BOUND);
    char memory[16];
    uint64_t numbers[BOUND];
    for (int i = 0; i < BOUND; i++)
        numbers[i] = net_routes_of(routes, named(memory, i));
    cr_assert_eq(net_routes_of(routes, named(memory, 0)), numbers[0]); /* 1 is the oldest now. */
    uint64_t newcomer = net_routes_of(routes, named(memory, 100));
    cr_assert_eq(net_routes_count(routes), BOUND);
    cr_assert_eq(net_routes_identity(routes, numbers[1]).size, 0);
    cr_assert_neq(net_routes_identity(routes, numbers[0]).size, 0);
    cr_assert_neq(net_routes_identity(routes, newcomer).size, 0);
    uint64_t again = net_routes_of(routes, named(memory, 1));
    for (int i = 0; i < BOUND; i++)
        cr_assert_neq(again, numbers[i]);
    net_routes_free(routes);
}

/* Identities are bytes: zeroes count, and the longest that ZeroMQ has fits. */
Test(net, routes_take_any_identity)
{
    struct net_routes *routes = net_routes_new(10);
    uint8_t longest[255] = {0}, other[255] = {0};
    other[254] = 1;
    uint64_t one = net_routes_of(routes, base_bytes_of(longest, 255));
    cr_assert_neq(net_routes_of(routes, base_bytes_of(other, 255)), one);
    cr_assert_neq(net_routes_of(routes, base_bytes_of(longest, 5)), one);
    cr_assert_eq(net_routes_identity(routes, one).size, 255);
    net_routes_free(routes);
}
