/*
 * router/libtorc/reply -- what became of a call, made of what the courier tells. One piece of
 * memory each, which may be handed from thread to thread.
 */
#ifndef TORC_ROUTER_LIBTORC_REPLY_H
#define TORC_ROUTER_LIBTORC_REPLY_H

#include "base/bytes.h"
#include "base/status.h"
#include "router/courier.h"
#include "router/torc.h"

/* One that was not carried out. `text` is static. */
struct torc_reply *libtorc_reply_failed(enum torc_outcome outcome, enum torc_status status,
                                        const char *text);
/* Of a request with these operations, encoded. `closing`: the handle is being closed, and that is
 * why there is no answer. */
struct torc_reply *libtorc_reply_of(struct base_bytes ops, uint16_t op_count,
                                    const struct router_outcome *outcome, bool closing);

#endif /* TORC_ROUTER_LIBTORC_REPLY_H */
