/*
 * net/routes -- names for those who sent something to a ROUTER: a number for each identity, and the
 * identity for each number. Bounded: past NET_ROUTES_MAX the one not heard of for longest goes.
 */
#ifndef TORC_NET_ROUTES_H
#define TORC_NET_ROUTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct net_routes; /* Opaque. */

struct net_routes *net_routes_new(size_t count_max);
void net_routes_free(struct net_routes *routes); /* NULL is a no-op. */

/* The number of an identity (at most 255 bytes), given now if it has none. Numbers are never used
 * twice and never 0. */
uint64_t net_routes_of(struct net_routes *routes, struct base_bytes identity);
/* The identity behind a number, valid until the next net_routes_of; size 0: none (any more). */
struct base_bytes net_routes_identity(const struct net_routes *routes, uint64_t route);
size_t net_routes_count(const struct net_routes *routes);

#endif /* TORC_NET_ROUTES_H */
