#include "admin/ping.h"

#include <hiredis/hiredis.h>
#include <string.h>

bool admin_ping(uint16_t port, unsigned timeout_ms)
{
    struct timeval bound = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    redisContext *context = redisConnectWithTimeout("127.0.0.1", port, bound);
    if (context == NULL)
        return false;
    redisReply *reply = NULL;
    if (context->err == 0 && redisSetTimeout(context, bound) == REDIS_OK)
        reply = redisCommand(context, "PING");
    bool good =
        reply != NULL && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0;
    freeReplyObject(reply);
    redisFree(context);
    return good;
}
