#include "tests/cluster/lib/client.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { WORDS_MAX = 64 };

struct client {
    uint16_t port;
    struct timeval timeout;
    redisContext *context; /* NULL: not connected. */
    redisReply *reply;     /* Of the last call. */
    char error[160];       /* Of the last call, when there was no reply. */
};

struct client *client_open(uint16_t port, unsigned timeout_ms)
{
    struct client *client = calloc(1, sizeof(*client));
    TORC_ASSERT(client != NULL);
    client->port = port;
    client->timeout.tv_sec = timeout_ms / 1000;
    client->timeout.tv_usec = timeout_ms % 1000 * 1000;
    return client;
}

static void disconnect(struct client *client)
{
    if (client->context != NULL)
        redisFree(client->context);
    client->context = NULL;
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    freeReplyObject(client->reply);
    disconnect(client);
    free(client);
}

static bool connected(struct client *client)
{
    if (client->context != NULL)
        return true;
    client->context = redisConnectWithTimeout("127.0.0.1", client->port, client->timeout);
    if (client->context != NULL && client->context->err == 0 &&
        redisSetTimeout(client->context, client->timeout) == REDIS_OK)
        return true;
    snprintf(client->error, sizeof(client->error), "%s",
             client->context == NULL ? "no memory" : client->context->errstr);
    disconnect(client);
    return false;
}

static struct client_answer no_answer(struct client *client, enum client_outcome outcome)
{
    return (struct client_answer){.outcome = outcome, .bytes = base_bytes_text(client->error)};
}

static struct client_answer answer_of(const redisReply *reply)
{
    struct client_answer answer = {.outcome = CLIENT_OK};
    switch (reply->type) {
    case REDIS_REPLY_ERROR:
        answer.outcome = strncmp(reply->str, "UNKNOWN", 7) == 0 ? CLIENT_UNKNOWN : CLIENT_REFUSED;
        answer.bytes = base_bytes_of(reply->str, reply->len);
        break;
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_STRING:
        answer.kind = CLIENT_TEXT;
        answer.bytes = base_bytes_of(reply->str, reply->len);
        break;
    case REDIS_REPLY_INTEGER:
        answer.kind = CLIENT_INTEGER;
        answer.integer = reply->integer;
        break;
    case REDIS_REPLY_ARRAY:
        answer.kind = CLIENT_ARRAY;
        answer.integer = (int64_t)reply->elements;
        break;
    default:
        TORC_ASSERT(reply->type == REDIS_REPLY_NIL);
        answer.kind = CLIENT_NIL;
        break;
    }
    return answer;
}

struct client_answer client_call(struct client *client, size_t word_count,
                                 const struct base_bytes *words)
{
    const char *texts[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    TORC_ASSERT(word_count > 0 && word_count <= WORDS_MAX);
    for (size_t i = 0; i < word_count; i++) {
        texts[i] = (const char *)words[i].data;
        sizes[i] = words[i].size;
    }
    freeReplyObject(client->reply);
    client->reply = NULL;
    if (!connected(client))
        return no_answer(client, CLIENT_REFUSED); /* It was never sent. */
    client->reply = redisCommandArgv(client->context, (int)word_count, texts, sizes);
    if (client->reply != NULL)
        return answer_of(client->reply);
    snprintf(client->error, sizeof(client->error), "%s", client->context->errstr);
    disconnect(client);
    return no_answer(client, CLIENT_UNKNOWN);
}

struct client_answer client_command(struct client *client, const char *first, ...)
{
    struct base_bytes words[WORDS_MAX];
    size_t count = 0;
    va_list arguments;
    va_start(arguments, first);
    for (const char *word = first; word != NULL; word = va_arg(arguments, const char *)) {
        TORC_ASSERT(count < WORDS_MAX);
        words[count++] = base_bytes_text(word);
    }
    va_end(arguments);
    return client_call(client, count, words);
}

bool client_answer_is(const struct client_answer *answer, const char *text)
{
    return answer->outcome == CLIENT_OK && answer->kind == CLIENT_TEXT &&
           base_bytes_equal(answer->bytes, base_bytes_text(text));
}
