/*
 * router/libtorc/request -- the builder of requests: operations are encoded as they are appended,
 * so that a call copies bytes and nothing else.
 */
#ifndef TORC_ROUTER_LIBTORC_REQUEST_H
#define TORC_ROUTER_LIBTORC_REQUEST_H

#include "base/status.h"
#include "router/buffer.h"
#include "router/torc.h"
#include "wire/op.h"

enum { LIBTORC_REQUEST_SIZE_MAX = 32 << 20 };

struct torc_request { /* Open inside the library. */
    struct router_buffer ops;
    uint16_t op_count;
    bool writes;
    enum torc_status flaw; /* Of the first operation that could not be appended. */
};

/* The struct of a caller, which may be of another version: its members that are known here, the
 * others zero. False: it does not even say its size. */
bool libtorc_struct_read(const void *from, size_t from_size, void *to, size_t to_size);

#endif /* TORC_ROUTER_LIBTORC_REQUEST_H */
