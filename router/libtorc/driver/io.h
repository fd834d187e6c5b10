/*
 * router/libtorc/driver/io -- the library's thread: a loop with sockets to the nodes, time, and the
 * client core (router/libtorc/client.h).
 */
#ifndef TORC_ROUTER_LIBTORC_DRIVER_IO_H
#define TORC_ROUTER_LIBTORC_DRIVER_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "router/libtorc/call.h"
#include "wire/envelope.h"

struct libtorc_io; /* Opaque. */

struct libtorc_io_config {
    struct wire_id cluster;
    const char *const *seeds; /* Borrowed for the io's life. */
    size_t seed_count;
    uint32_t timeout_ms, inflight_max;
    size_t inflight_size_max;
    /* In every turn: the calls that have come; false: it is to end. On the io's thread. */
    bool (*take)(void *context, struct libtorc_list *ret_calls);
    /* A call has its reply; it is the receiver's. On the io's thread. */
    void (*done)(void *context, struct libtorc_call *call);
    /* The end of a turn. */
    void (*turned)(void *context, uint64_t copies, uint64_t leader_changes);
    void *context;
};

/* The library's clock, in microseconds. */
uint64_t libtorc_io_now_us(void);

/* `text` (TORC_TEXT_SIZE) says what is wrong on any status but TORC_OK. TORC_IO. */
enum torc_status libtorc_io_new(const struct libtorc_io_config *config, char *text,
                                struct libtorc_io **ret_io) TORC_MUST_CHECK;
/* NULL is a no-op. Not while it runs. */
void libtorc_io_free(struct libtorc_io *io);

/* Takes turns until `take` says false; then every call has been given to `done`. */
void libtorc_io_run(struct libtorc_io *io);
/* There is something to take. Any thread. */
void libtorc_io_wake(struct libtorc_io *io);

#endif /* TORC_ROUTER_LIBTORC_DRIVER_IO_H */
