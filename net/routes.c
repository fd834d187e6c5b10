#include "net/routes.h"

#include <string.h>

#include <uthash.h>

#include "base/alloc.h"
#include "base/assert.h"

struct net_route {
    uint64_t number;
    uint64_t heard; /* The counter's value when it was heard of last. */
    UT_hash_handle by_identity, by_number;
    uint8_t identity_size;
    uint8_t identity[255];
};

struct net_routes {
    struct net_route *by_identity, *by_number;
    size_t count_max;
    uint64_t last_number, heard;
};

struct net_routes *net_routes_new(size_t count_max)
{
    TORC_ASSERT(count_max > 0);
    struct net_routes *routes = base_alloc_zero(base_allocator_system(), sizeof(*routes));
    routes->count_max = count_max;
    return routes;
}

static void drop(struct net_routes *routes, struct net_route *route)
{
    HASH_DELETE(by_identity, routes->by_identity, route);
    HASH_DELETE(by_number, routes->by_number, route);
    base_free(base_allocator_system(), route, sizeof(*route));
}

void net_routes_free(struct net_routes *routes)
{
    if (routes == NULL)
        return;
    while (routes->by_number != NULL)
        drop(routes, routes->by_number);
    base_free(base_allocator_system(), routes, sizeof(*routes));
}

size_t net_routes_count(const struct net_routes *routes)
{
    return HASH_CNT(by_number, routes->by_number);
}

/* Linear, and only when the bound is met. */
static void drop_oldest(struct net_routes *routes)
{
    struct net_route *oldest = routes->by_number, *route, *next;
    HASH_ITER(by_number, routes->by_number, route, next)
    {
        if (route->heard < oldest->heard)
            oldest = route;
    }
    drop(routes, oldest);
}

uint64_t net_routes_of(struct net_routes *routes, struct base_bytes identity)
{
    TORC_ASSERT(identity.size <= 255);
    struct net_route *route;
    HASH_FIND(by_identity, routes->by_identity, identity.data, (unsigned)identity.size, route);
    if (route == NULL) {
        if (net_routes_count(routes) >= routes->count_max)
            drop_oldest(routes);
        route = base_alloc_zero(base_allocator_system(), sizeof(*route));
        route->number = ++routes->last_number;
        route->identity_size = (uint8_t)identity.size;
        memcpy(route->identity, identity.data, identity.size);
        HASH_ADD_KEYPTR(by_identity, routes->by_identity, route->identity, (unsigned)identity.size,
                        route);
        HASH_ADD(by_number, routes->by_number, number, sizeof(route->number), route);
    }
    route->heard = ++routes->heard;
    return route->number;
}

struct base_bytes net_routes_identity(const struct net_routes *routes, uint64_t number)
{
    struct net_route *route;
    HASH_FIND(by_number, routes->by_number, &number, sizeof(number), route);
    return route == NULL ? base_bytes_of(NULL, 0)
                         : base_bytes_of(route->identity, route->identity_size);
}
