#include "router/resp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "router/number.h"

void router_resp_init(struct router_resp *resp, const struct base_allocator *allocator,
                      const struct router_resp_limits *limits)
{
    TORC_ASSERT(limits->args_max > 0 && limits->args_max <= ROUTER_RESP_ARGS_MAX);
    TORC_ASSERT(limits->bulk_size_max <= limits->command_size_max);
    *resp = (struct router_resp){
        .allocator = allocator,
        .limits = *limits,
        .bulk_left = -1,
        .words = router_buffer_empty(allocator),
    };
}

size_t router_resp_size(const struct router_resp *resp)
{
    return resp->place_capacity * sizeof(*resp->places) +
           resp->args_capacity * sizeof(*resp->args) + resp->words.capacity;
}

void router_resp_fini(struct router_resp *resp)
{
    base_array_free(resp->allocator, resp->places, &resp->place_capacity, sizeof(*resp->places));
    base_array_free(resp->allocator, resp->args, &resp->args_capacity, sizeof(*resp->args));
    router_buffer_fini(&resp->words);
}

static enum router_resp_status fail(struct router_resp *resp, const char *text)
{
    resp->error = text;
    return ROUTER_RESP_ERROR;
}

static enum router_resp_status fail_limit(struct router_resp *resp, const char *what,
                                          const char *limit, size_t max)
{
    snprintf(resp->error_text, sizeof(resp->error_text), "Protocol error: %s (the limit %s is %zu)",
             what, limit, max);
    return fail(resp, resp->error_text);
}

static void place_add(struct router_resp *resp, size_t at, size_t size)
{
    resp->places = base_array_reserve(resp->allocator, resp->places, &resp->place_capacity,
                                      resp->place_count + 1, sizeof(*resp->places));
    resp->places[resp->place_count++] = (struct router_resp_place){at, size};
}

/* The command is whole: places become arguments, and the parser begins anew. */
static enum router_resp_status finish(struct router_resp *resp, const uint8_t *base, size_t used,
                                      size_t *ret_used)
{
    resp->args = base_array_reserve(resp->allocator, resp->args, &resp->args_capacity,
                                    resp->place_count, sizeof(*resp->args));
    for (size_t i = 0; i < resp->place_count; i++)
        resp->args[i] = base_bytes_of(base + resp->places[i].at, resp->places[i].size);
    resp->arg_count = resp->place_count;
    resp->place_count = 0;
    resp->at = 0;
    resp->searched = 0;
    resp->args_left = 0;
    resp->bulk_left = -1;
    *ret_used = used;
    return ROUTER_RESP_COMMAND;
}

/* Finds `mark` from where the last search ended. False: not there yet, `searched` remembers. */
static bool line_find(struct router_resp *resp, struct base_bytes input, int mark, size_t *ret_at)
{
    size_t from = resp->searched > resp->at ? resp->searched : resp->at;
    const uint8_t *found =
        from < input.size ? memchr(input.data + from, mark, input.size - from) : NULL;
    if (found == NULL) {
        resp->searched = input.size;
        return false;
    }
    *ret_at = (size_t)(found - input.data);
    resp->searched = *ret_at;
    return true;
}

enum line_status { LINE_MORE, LINE_WHOLE, LINE_LONG };

/* The text from `at` to the carriage return, without the type byte; the line feed behind it is
 * passed over unread, as Redis does. */
static enum line_status line_read(struct router_resp *resp, struct base_bytes input,
                                  struct base_bytes *ret_text)
{
    size_t end;
    if (!line_find(resp, input, '\r', &end))
        return input.size - resp->at > ROUTER_RESP_INLINE_SIZE_MAX ? LINE_LONG : LINE_MORE;
    if (end - resp->at > ROUTER_RESP_INLINE_SIZE_MAX)
        return LINE_LONG;
    if (end + 2 > input.size)
        return LINE_MORE;
    *ret_text = base_bytes_of(input.data + resp->at + 1, end - resp->at - 1);
    resp->at = end + 2;
    return LINE_WHOLE;
}

/* ---- Inline
 * -------------------------------------------------------------------------------------- */

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The byte that an escape within double quotes stands for; *at passes over it. */
static uint8_t unescape(struct base_bytes line, size_t *at)
{
    static const char letters[] = "nrtba", bytes[] = "\n\r\t\b\a";
    const uint8_t *escape = line.data + *at + 1;
    if (*escape == 'x' && *at + 3 < line.size && hex_digit(escape[1]) >= 0 &&
        hex_digit(escape[2]) >= 0) {
        *at += 4;
        return (uint8_t)(hex_digit(escape[1]) * 16 + hex_digit(escape[2]));
    }
    *at += 2;
    const char *letter = *escape == '\0' ? NULL : memchr(letters, *escape, sizeof(letters) - 1);
    return letter == NULL ? *escape : (uint8_t)bytes[letter - letters];
}

/* Reads a quoted part, *at at its opening quote, and appends what it means. False: unbalanced. */
static bool quoted_read(struct router_resp *resp, struct base_bytes line, size_t *at)
{
    uint8_t quote = line.data[(*at)++];
    while (*at < line.size) {
        uint8_t byte = line.data[*at];
        if (byte == quote) { /* Must end the word. */
            (*at)++;
            return *at == line.size || is_space(line.data[*at]);
        }
        if (byte == '\\' && *at + 1 < line.size && quote == '"') {
            byte = unescape(line, at);
        } else if (byte == '\\' && *at + 1 < line.size && line.data[*at + 1] == '\'') {
            byte = '\'';
            *at += 2;
        } else {
            (*at)++;
        }
        router_buffer_append(&resp->words, base_bytes_of(&byte, 1));
    }
    return false;
}

/* One word, *at at its first byte. False: unbalanced quotes. */
static bool word_read(struct router_resp *resp, struct base_bytes line, size_t *at)
{
    size_t start = resp->words.size;
    while (*at < line.size && !is_space(line.data[*at])) {
        uint8_t byte = line.data[*at];
        if (byte == '"' || byte == '\'') {
            if (!quoted_read(resp, line, at))
                return false;
            break;
        }
        router_buffer_append(&resp->words, base_bytes_of(&byte, 1));
        (*at)++;
    }
    place_add(resp, start, resp->words.size - start);
    return true;
}

static enum router_resp_status inline_read(struct router_resp *resp, struct base_bytes input,
                                           size_t *ret_used)
{
    size_t end;
    bool whole = line_find(resp, input, '\n', &end);
    if ((whole ? end : input.size) > ROUTER_RESP_INLINE_SIZE_MAX)
        return fail(resp, "Protocol error: too big inline request");
    if (!whole)
        return ROUTER_RESP_MORE;
    size_t size = end > 0 && input.data[end - 1] == '\r' ? end - 1 : end;
    struct base_bytes line = base_bytes_of(input.data, size);
    router_buffer_clear(&resp->words);
    for (size_t at = 0; at < line.size;) {
        if (is_space(line.data[at]) || line.data[at] == '\0') {
            at++; /* Redis reads the line as a C string: a zero byte ends it; here it separates. */
            continue;
        }
        if (!word_read(resp, line, &at))
            return fail(resp, "Protocol error: unbalanced quotes in request");
    }
    return finish(resp, resp->words.data, end + 1, ret_used);
}

/* ---- Multibulk
 * ----------------------------------------------------------------------------------- */

/* "*3\r\n"; *ret_status is set when the command ends here. */
static bool multibulk_begin(struct router_resp *resp, struct base_bytes input, size_t *ret_used,
                            enum router_resp_status *ret_status)
{
    struct base_bytes text;
    enum line_status line = line_read(resp, input, &text);
    int64_t count;
    if (line == LINE_MORE)
        *ret_status = ROUTER_RESP_MORE;
    else if (line == LINE_LONG)
        *ret_status = fail(resp, "Protocol error: too big mbulk count string");
    else if (!router_number_read(text, &count) || count > INT32_MAX)
        *ret_status = fail(resp, "Protocol error: invalid multibulk length");
    else if (count > (int64_t)resp->limits.args_max)
        *ret_status = fail_limit(resp, "too many arguments", "args_max", resp->limits.args_max);
    else if (count <= 0)
        *ret_status = finish(resp, input.data, resp->at, ret_used);
    else {
        resp->args_left = (uint32_t)count;
        return true;
    }
    return false;
}

/* "$5\r\n". */
static bool bulk_begin(struct router_resp *resp, struct base_bytes input,
                       enum router_resp_status *ret_status)
{
    if (resp->at >= input.size) {
        *ret_status = ROUTER_RESP_MORE;
        return false;
    }
    struct base_bytes text;
    enum line_status line = line_read(resp, input, &text);
    if (line == LINE_MORE) {
        *ret_status = ROUTER_RESP_MORE;
        return false;
    }
    if (line == LINE_LONG) {
        *ret_status = fail(resp, "Protocol error: too big bulk count string");
        return false;
    }
    uint8_t type = text.data[-1];
    int64_t size;
    if (type != '$') {
        snprintf(resp->error_text, sizeof(resp->error_text),
                 "Protocol error: expected '$', got '%c'", type);
        *ret_status = fail(resp, resp->error_text);
    } else if (!router_number_read(text, &size) || size < 0) {
        *ret_status = fail(resp, "Protocol error: invalid bulk length");
    } else if ((uint64_t)size > resp->limits.bulk_size_max) {
        *ret_status =
            fail_limit(resp, "invalid bulk length", "bulk_size_max", resp->limits.bulk_size_max);
    } else if ((uint64_t)size > resp->limits.command_size_max ||
               resp->at > resp->limits.command_size_max - (size_t)size) {
        *ret_status =
            fail_limit(resp, "too big command", "command_size_max", resp->limits.command_size_max);
    } else {
        resp->bulk_left = size;
        return true;
    }
    return false;
}

static enum router_resp_status multibulk_read(struct router_resp *resp, struct base_bytes input,
                                              size_t *ret_used)
{
    enum router_resp_status status;
    if (resp->args_left == 0 && !multibulk_begin(resp, input, ret_used, &status))
        return status;
    while (resp->args_left > 0) {
        if (resp->bulk_left < 0 && !bulk_begin(resp, input, &status))
            return status;
        size_t size = (size_t)resp->bulk_left;
        if (input.size - resp->at < size + 2)
            return ROUTER_RESP_MORE;
        place_add(resp, resp->at, size);
        resp->at += size + 2;
        resp->bulk_left = -1;
        resp->args_left--;
    }
    return finish(resp, input.data, resp->at, ret_used);
}

/* A command with a great many words leaves its tables behind: not for ever. */
static void trim(struct router_resp *resp)
{
    enum { KEEP_MAX = 1024 };
    if (resp->place_capacity > KEEP_MAX) {
        base_array_free(resp->allocator, resp->places, &resp->place_capacity,
                        sizeof(*resp->places));
        resp->places = NULL;
    }
    if (resp->args_capacity > KEEP_MAX) {
        base_array_free(resp->allocator, resp->args, &resp->args_capacity, sizeof(*resp->args));
        resp->args = NULL;
    }
}

enum router_resp_status router_resp_read(struct router_resp *resp, struct base_bytes input,
                                         size_t *ret_used)
{
    TORC_ASSERT(resp->error == NULL);
    TORC_ASSERT(resp->at <= input.size);
    if (resp->at == 0 && resp->place_count == 0)
        trim(resp);
    if (input.size == 0)
        return ROUTER_RESP_MORE;
    return input.data[0] == '*' ? multibulk_read(resp, input, ret_used)
                                : inline_read(resp, input, ret_used);
}

size_t router_resp_wanted(const struct router_resp *resp)
{
    return resp->bulk_left < 0 ? 0 : resp->at + (size_t)resp->bulk_left + 2;
}
