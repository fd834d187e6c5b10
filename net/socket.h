/*
 * net/socket -- ZeroMQ sockets with every option set that is unlimited, off or lossy by default.
 */
#ifndef TORC_NET_SOCKET_H
#define TORC_NET_SOCKET_H

#include <stdint.h>

/* A ROUTER (or NULL, errno is set): an unknown peer is an error and not a silent drop, and a peer
 * that comes back under its id takes its place over. Not bound yet. */
void *net_socket_router(void *context, uint32_t queue_max, uint32_t message_size_max);
/* A DEALER (or NULL): nothing is queued for a peer that is not connected; `identity` names this
 * life of this process to it. Not connected yet. */
void *net_socket_dealer(void *context, uint32_t queue_max, uint32_t message_size_max,
                        uint64_t identity);

/* zmq_bind and zmq_connect; IPv6 is on where the address asks for it (on everywhere, a name that
 * has both addresses would be resolved to the one on which nobody listens). */
int net_socket_bind(void *socket, const char *address);
int net_socket_connect(void *socket, const char *address);

#endif /* TORC_NET_SOCKET_H */
