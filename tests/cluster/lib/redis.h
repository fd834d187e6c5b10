/*
 * tests/cluster/lib/redis -- a redis-server beside a cluster, and connections to either that read
 * whatever RESP2 or RESP3 says, a reply at a time.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_REDIS_H
#define TORC_TESTS_CLUSTER_LIB_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"

enum { REDIS_REPLY_MAX = 1 << 20 };

struct redis_peer {
    int fd;
    uint16_t port;
    size_t at, size; /* What was read and not yet given out. */
    char bytes[REDIS_REPLY_MAX];
};

bool redis_installed(void);
/* On a free port, with its files below `dir`; it ends with the test. */
pid_t redis_start(const char *dir, uint16_t *ret_port);
void redis_stop(pid_t pid);

/* A new connection, in place of one that is open; waits until there is one. */
void redis_dial(struct redis_peer *peer, uint16_t port);
void redis_send(struct redis_peer *peer, struct base_bytes bytes);
/* The next reply but pushes; dead at the next call. NULL: the stream ended, or none came in time.
 */
struct base_bytes redis_reply(struct redis_peer *peer);
/* Where the reply that begins at `at` ends; NULL: it is not all there yet. */
const char *redis_reply_end(const char *at, const char *end);

#endif /* TORC_TESTS_CLUSTER_LIB_REDIS_H */
