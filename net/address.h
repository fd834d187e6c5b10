/*
 * net/address -- which addresses a process may listen on or connect to.
 */
#ifndef TORC_NET_ADDRESS_H
#define TORC_NET_ADDRESS_H

#include <stdbool.h>

/* NULL when a process may listen there, else why not and what would be right; static text. Until
 * there are keys and users that is loopback only, unless `insecure`. */
const char *net_address_flaw(const char *address, bool insecure);

/* Whether it names something to connect to: tcp://HOST:PORT. The name may not resolve (yet). */
bool net_address_is_peer(const char *address);

#endif /* TORC_NET_ADDRESS_H */
