#include "router/reply.h"

#include <string.h>

#include "base/assert.h"
#include "router/number.h"

static void line_end(struct router_buffer *out)
{
    router_buffer_append(out, base_bytes_of("\r\n", 2));
}

/* A type byte, a number, a line end: the head of most replies, and integers. */
static void head(struct router_buffer *out, char type, int64_t number)
{
    char text[1 + ROUTER_NUMBER_SIZE_MAX + 2];
    text[0] = type;
    size_t size = 1 + router_number_write(number, text + 1);
    text[size++] = '\r';
    text[size++] = '\n';
    router_buffer_append(out, base_bytes_of(text, size));
}

void router_reply_simple(struct router_buffer *out, const char *text)
{
    router_buffer_text(out, "+");
    router_buffer_text(out, text);
    line_end(out);
}

void router_reply_error_bytes(struct router_buffer *out, struct base_bytes text)
{
    TORC_ASSERT(text.size > 0);
    router_buffer_text(out, "-");
    uint8_t *at = router_buffer_grow(out, text.size);
    memcpy(at, text.data, text.size);
    for (size_t i = 0; i < text.size; i++) {
        if (at[i] == '\r' || at[i] == '\n')
            at[i] = ' ';
    }
    line_end(out);
}

void router_reply_error(struct router_buffer *out, const char *text)
{
    router_reply_error_bytes(out, base_bytes_text(text));
}

void router_reply_integer(struct router_buffer *out, int64_t number)
{
    head(out, ':', number);
}

void router_reply_bulk(struct router_buffer *out, struct base_bytes bytes)
{
    head(out, '$', (int64_t)bytes.size);
    router_buffer_append(out, bytes);
    line_end(out);
}

void router_reply_bulk_text(struct router_buffer *out, const char *text)
{
    router_reply_bulk(out, base_bytes_text(text));
}

void router_reply_null(struct router_buffer *out, unsigned protocol)
{
    router_buffer_text(out, protocol == ROUTER_PROTOCOL_3 ? "_\r\n" : "$-1\r\n");
}

void router_reply_array(struct router_buffer *out, size_t count)
{
    head(out, '*', (int64_t)count);
}

void router_reply_set(struct router_buffer *out, unsigned protocol, size_t count)
{
    head(out, protocol == ROUTER_PROTOCOL_3 ? '~' : '*', (int64_t)count);
}

void router_reply_map(struct router_buffer *out, unsigned protocol, size_t pair_count)
{
    if (protocol == ROUTER_PROTOCOL_3)
        head(out, '%', (int64_t)pair_count);
    else
        head(out, '*', (int64_t)(2 * pair_count));
}

void router_reply_verbatim(struct router_buffer *out, unsigned protocol, struct base_bytes text)
{
    if (protocol != ROUTER_PROTOCOL_3) {
        router_reply_bulk(out, text);
        return;
    }
    head(out, '=', (int64_t)(text.size + 4));
    router_buffer_text(out, "txt:");
    router_buffer_append(out, text);
    line_end(out);
}
