#include "tests/sim/resp.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static void put(struct resp_out *out, const void *bytes, size_t size)
{
    TORC_ASSERT(out->size + size <= sizeof(out->bytes));
    if (size > 0)
        memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

static void put_head(struct resp_out *out, char type, size_t number)
{
    char text[32];
    put(out, text, (size_t)snprintf(text, sizeof(text), "%c%zu\r\n", type, number));
}

void resp_command(struct resp_out *out, size_t arg_count)
{
    put_head(out, '*', arg_count);
}

void resp_arg(struct resp_out *out, struct base_bytes arg)
{
    put_head(out, '$', arg.size);
    put(out, arg.data, arg.size);
    put(out, "\r\n", 2);
}

void resp_arg_text(struct resp_out *out, const char *text)
{
    resp_arg(out, base_bytes_text(text));
}

void resp_arg_number(struct resp_out *out, int64_t number)
{
    char text[32];
    resp_arg(out,
             base_bytes_of(text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)number)));
}

bool resp_begins(struct base_bytes bytes, const char *text)
{
    size_t size = strlen(text);
    return bytes.size >= size && memcmp(bytes.data, text, size) == 0;
}

/* The line from `at`, without its end. */
static enum resp_status read_line(struct base_bytes bytes, size_t at, struct base_bytes *ret_line)
{
    for (size_t i = at; i + 1 < bytes.size; i++) {
        if (bytes.data[i] == '\n')
            return RESP_BROKEN;
        if (bytes.data[i] != '\r')
            continue;
        *ret_line = base_bytes_of(bytes.data + at, i - at);
        return bytes.data[i + 1] == '\n' ? RESP_WHOLE : RESP_BROKEN;
    }
    return RESP_MORE;
}

static bool read_number(struct base_bytes text, int64_t *ret_number)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    int64_t number = 0;
    for (size_t i = negative; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i > 18)
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = negative ? -number : number;
    return text.size > (size_t)negative;
}

static enum resp_status read_bulk(struct base_bytes bytes, size_t at, struct resp_reply *reply,
                                  size_t *ret_size)
{
    if (reply->nil) {
        *ret_size = at;
        return RESP_WHOLE;
    }
    size_t size = (size_t)reply->number;
    if (bytes.size < at + size + 2)
        return RESP_MORE;
    if (memcmp(bytes.data + at + size, "\r\n", 2) != 0)
        return RESP_BROKEN;
    reply->bytes = base_bytes_of(bytes.data + at, size);
    *ret_size = at + size + 2;
    return RESP_WHOLE;
}

static enum resp_status read_array(struct base_bytes bytes, size_t at, struct resp_reply *reply,
                                   size_t *ret_size)
{
    size_t end = at;
    for (int64_t i = 0; i < reply->number; i++) {
        struct resp_reply element;
        size_t size;
        struct base_bytes rest = base_bytes_of(bytes.data + end, bytes.size - end);
        enum resp_status status = resp_read(rest, &element, &size);
        if (status != RESP_WHOLE)
            return status;
        end += size;
    }
    reply->bytes = base_bytes_of(bytes.data + at, end - at);
    *ret_size = end;
    return RESP_WHOLE;
}

enum resp_status resp_read(struct base_bytes bytes, struct resp_reply *ret_reply, size_t *ret_size)
{
    if (bytes.size == 0)
        return RESP_MORE;
    struct base_bytes line;
    enum resp_status status = read_line(bytes, 1, &line);
    if (status != RESP_WHOLE)
        return status;
    size_t at = 1 + line.size + 2;
    *ret_reply = (struct resp_reply){.type = (char)bytes.data[0]};
    *ret_size = at;
    if (ret_reply->type == '+' || ret_reply->type == '-') {
        ret_reply->bytes = line;
        return RESP_WHOLE;
    }
    if (!read_number(line, &ret_reply->number))
        return RESP_BROKEN;
    ret_reply->nil = ret_reply->type != ':' && ret_reply->number == -1;
    if (ret_reply->type == ':')
        return RESP_WHOLE;
    if (ret_reply->number < -1)
        return RESP_BROKEN;
    if (ret_reply->type == '$')
        return read_bulk(bytes, at, ret_reply, ret_size);
    return ret_reply->type == '*' ? read_array(bytes, at, ret_reply, ret_size) : RESP_BROKEN;
}
