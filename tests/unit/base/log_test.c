#include "base/log.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int log_pipe[2];

static void log_to_pipe(enum base_log_level level)
{
    cr_assert_eq(pipe(log_pipe), 0);
    base_log_open(level, log_pipe[1]);
}

/* All that was logged so far, in static memory. */
static char *logged(void)
{
    static char text[16384];
    close(log_pipe[1]);
    size_t used = 0;
    ssize_t got;
    while ((got = read(log_pipe[0], text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    return text;
}

static const char *quoted(const char *text, size_t text_size)
{
    static char buffer[64];
    return base_log_quote(buffer, sizeof(buffer), text, text_size);
}

/* One line: time in UTC to the millisecond, level, event, then the fields of the format. */
Test(log, line_has_time_level_event_and_fields)
{
    log_to_pipe(BASE_LOG_INFO);
    base_log(BASE_LOG_WARN, "leader", "node=%d group=%s", 1, "g2");
    char *line = logged();
    static const char shape[] = "ts=dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        bool digit = line[i] >= '0' && line[i] <= '9';
        cr_assert(shape[i] == 'd' ? digit : line[i] == shape[i], "at %zu of: %s", i, line);
    }
    cr_assert_str_eq(line + sizeof(shape) - 1, "level=warn event=leader node=1 group=g2\n");
}

/* An event without fields ends after its name. */
Test(log, fields_may_be_none)
{
    log_to_pipe(BASE_LOG_INFO);
    base_log(BASE_LOG_INFO, "ready", "");
    char *text = logged();
    cr_assert_not_null(strstr(text, " level=info event=ready\n"));
}

/* A format that gives nothing adds nothing but its space. */
Test(log, fields_may_be_empty)
{
    log_to_pipe(BASE_LOG_INFO);
    base_log(BASE_LOG_INFO, "ready", "%s", "");
    base_log(BASE_LOG_INFO, "next", "");
    char *text = logged();
    cr_assert_not_null(strstr(text, " event=ready \nts="));
}

/* What is below the level is not written at all. */
Test(log, lines_below_the_level_are_dropped)
{
    log_to_pipe(BASE_LOG_WARN);
    base_log(BASE_LOG_DEBUG, "one", "a=1");
    base_log(BASE_LOG_INFO, "two", "a=1");
    base_log(BASE_LOG_WARN, "three", "a=1");
    base_log(BASE_LOG_ERROR, "four", "a=1");
    char *text = logged();
    cr_assert_null(strstr(text, "one"));
    cr_assert_null(strstr(text, "two"));
    cr_assert_not_null(strstr(text, "event=three"));
    cr_assert_not_null(strstr(text, "event=four"));
}

/* A line that is too long is cut at 4 KiB and still ends as a line does. */
Test(log, long_lines_are_cut)
{
    log_to_pipe(BASE_LOG_INFO);
    char *value = malloc(10000);
    memset(value, 'v', 9999);
    value[9999] = '\0';
    base_log(BASE_LOG_INFO, "long", "value=%s", value);
    base_log(BASE_LOG_INFO, "next", "a=1");
    free(value);
    char *text = logged();
    char *end = strchr(text, '\n');
    cr_assert_not_null(end);
    cr_assert_leq(end + 1 - text, 4096);
    cr_assert_geq(end + 1 - text, 4090);
    cr_assert_eq(strncmp(end + 1, "ts=", 3), 0);
}

/* Levels are known by their names, as in a configuration, and by nothing else. */
Test(log, levels_have_names)
{
    cr_assert_eq(base_log_level_of("debug"), BASE_LOG_DEBUG);
    cr_assert_eq(base_log_level_of("info"), BASE_LOG_INFO);
    cr_assert_eq(base_log_level_of("warn"), BASE_LOG_WARN);
    cr_assert_eq(base_log_level_of("error"), BASE_LOG_ERROR);
    cr_assert_eq(base_log_level_of("Info"), -1);
    cr_assert_eq(base_log_level_of(""), -1);
}

/* A word stays as it is; anything that could be taken for more than one value is quoted. */
Test(log, quote_only_when_needed)
{
    cr_assert_str_eq(quoted("plain-word.1", 12), "plain-word.1");
    cr_assert_str_eq(quoted("", 0), "\"\"");
    cr_assert_str_eq(quoted("two words", 9), "\"two words\"");
    cr_assert_str_eq(quoted("a=b", 3), "\"a=b\"");
    cr_assert_str_eq(quoted("a\\b", 3), "\"a\\\\b\"");
    cr_assert_str_eq(quoted("a\x7f", 2), "\"a\\x7f\"");
    cr_assert_str_eq(quoted("say \"x\\y\"", 9), "\"say \\\"x\\\\y\\\"\"");
}

/* Bytes from outside cannot end a line, nor reach a terminal as they are. */
Test(log, control_and_high_bytes_are_escaped)
{
    cr_assert_str_eq(quoted("a\nb\x1b[0m", 7), "\"a\\x0ab\\x1b[0m\"");
    cr_assert_str_eq(quoted("\0\xff\x7f", 3), "\"\\x00\\xff\\x7f\"");
}

/* Whatever the text and the room, the result ends within the room; when cut, it says so. */
Test(log, quote_stays_within_its_buffer)
{
    static const char *const texts[] = {"", "short", "rather a long text with spaces",
                                        "\x01\x02\x03\x04\x05\x06\x07\x08", "\"\"\"\"\"\"\"\"\"\""};
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        for (size_t room = 0; room <= 48; room++) {
            char buffer[64];
            memset(buffer, '~', sizeof(buffer));
            base_log_quote(buffer, room, texts[t], strlen(texts[t]));
            cr_assert_eq(buffer[room], '~', "text %zu, room %zu", t, room);
            if (room > 0)
                cr_assert_not_null(memchr(buffer, '\0', room), "text %zu, room %zu", t, room);
        }
    }
    char buffer[16];
    cr_assert_str_eq(base_log_quote(buffer, sizeof(buffer), "a value that is long", 20),
                     "\"a value...\"");
}
