/*
 * router/libtorc/driver/handle -- the handle of router/torc.h, as the files behind it see it.
 */
#ifndef TORC_ROUTER_LIBTORC_DRIVER_HANDLE_H
#define TORC_ROUTER_LIBTORC_DRIVER_HANDLE_H

#include "router/libtorc/call.h"

/* Does a call and waits for its reply, which is the caller's; `call` is gone. */
struct torc_reply *libtorc_handle_wait(struct torc *torc, struct libtorc_call *call);
/* From a timeout of the caller's, 0: the handle's, to a time from now; false: too long. */
bool libtorc_handle_timeout(const struct torc *torc, uint32_t timeout_ms, uint64_t *ret_timeout_us);

#endif /* TORC_ROUTER_LIBTORC_DRIVER_HANDLE_H */
