/* Synchronous calls of one operation, and what the library says of itself. */
#include "base/status.h"
#include "base/version.h"
#include "router/torc.h"

const char *torc_library_version(void)
{
    return TORC_VERSION;
}

static struct torc_reply *call_and_free(struct torc *torc, struct torc_request *request,
                                        const struct torc_call_options *options)
{
    struct torc_reply *reply = torc_call(torc, request, options);
    torc_request_free(request);
    return reply;
}

struct torc_reply *torc_get(struct torc *torc, struct torc_bytes key,
                            const struct torc_call_options *options)
{
    struct torc_request *request = torc_request_new();
    torc_request_get(request, key);
    return call_and_free(torc, request, options);
}

struct torc_reply *torc_put(struct torc *torc, struct torc_bytes key, struct torc_bytes value,
                            const struct torc_write *write, const struct torc_call_options *options)
{
    struct torc_request *request = torc_request_new();
    torc_request_put(request, key, value, write);
    return call_and_free(torc, request, options);
}

struct torc_reply *torc_delete(struct torc *torc, struct torc_bytes key,
                               const struct torc_write *write,
                               const struct torc_call_options *options)
{
    struct torc_request *request = torc_request_new();
    torc_request_delete(request, key, write);
    return call_and_free(torc, request, options);
}

struct torc_reply *torc_add(struct torc *torc, struct torc_bytes key, int64_t delta,
                            const struct torc_call_options *options)
{
    struct torc_request *request = torc_request_new();
    torc_request_add(request, key, delta);
    return call_and_free(torc, request, options);
}

struct torc_reply *torc_append(struct torc *torc, struct torc_bytes key, struct torc_bytes value,
                               const struct torc_call_options *options)
{
    struct torc_request *request = torc_request_new();
    torc_request_append(request, key, value);
    return call_and_free(torc, request, options);
}
