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

#endif /* TORC_NET_SOCKET_H */
