/*
 * router/libtorc/client -- the library's thread without its sockets and clock: calls to the
 * courier, its outcomes to replies, and walks over all groups. Deterministic, like the courier.
 *
 * The loop, once per turn:
 *
 *     router_courier_turn(courier, now)               time
 *     libtorc_client_add, router_courier_receive      everything that arrived
 *     libtorc_client_messages                         what is to be sent
 *     libtorc_client_done                             which calls have their reply
 */
#ifndef TORC_ROUTER_LIBTORC_CLIENT_H
#define TORC_ROUTER_LIBTORC_CLIENT_H

#include "router/courier.h"
#include "router/libtorc/call.h"

struct libtorc_client; /* Opaque. */

/* `allocator` and config->seeds are borrowed; sink is the client's own. */
struct libtorc_client *libtorc_client_new(const struct base_allocator *allocator,
                                          const struct router_courier_config *config);
/* No call may be without its reply. */
void libtorc_client_free(struct libtorc_client *client); /* NULL is a no-op. */

struct router_courier *libtorc_client_courier(struct libtorc_client *client);

/* Begins a call, which is the client's until libtorc_client_done gives it back. */
void libtorc_client_add(struct libtorc_client *client, struct libtorc_call *call);
/* As router_courier_messages and router_courier_wake_at_us. */
size_t libtorc_client_messages(struct libtorc_client *client,
                               const struct router_message **ret_messages);
uint64_t libtorc_client_wake_at_us(const struct libtorc_client *client);
/* The next call that has its reply; NULL: none. */
struct libtorc_call *libtorc_client_done(struct libtorc_client *client);
/* The handle is being closed: every call gets its reply now. */
void libtorc_client_close(struct libtorc_client *client);

#endif /* TORC_ROUTER_LIBTORC_CLIENT_H */
