/*
 * admin/ping -- whether a router answers Redis clients.
 */
#ifndef TORC_ADMIN_PING_H
#define TORC_ADMIN_PING_H

#include <stdbool.h>
#include <stdint.h>

/* Whether PING is answered by +PONG at 127.0.0.1:port within timeout_ms. */
bool admin_ping(uint16_t port, unsigned timeout_ms);

#endif /* TORC_ADMIN_PING_H */
