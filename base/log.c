#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static enum base_log_level log_level = BASE_LOG_INFO;
static int log_fd = STDERR_FILENO;

enum { LOG_LINE_SIZE_MAX = 4096 };

void base_log_open(enum base_log_level level, int fd)
{
    log_level = level;
    log_fd = fd;
}

int base_log_level_of(const char *name)
{
    for (int i = 0; i < (int)(sizeof(level_names) / sizeof(level_names[0])); i++) {
        if (strcmp(name, level_names[i]) == 0)
            return i;
    }
    return -1;
}

/* Appends at *used, never past size - 1 (the last byte is kept for the newline). */
static void append(char *line, size_t *used, const char *format, va_list arguments)
{
    size_t room = LOG_LINE_SIZE_MAX - 1 - *used;
    int wanted = vsnprintf(line + *used, room, format, arguments);
    if (wanted > 0)
        *used += (size_t)wanted < room ? (size_t)wanted : room - 1;
}

__attribute__((format(printf, 3, 4))) static void append_format(char *line, size_t *used,
                                                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(line, used, format, arguments);
    va_end(arguments);
}

void base_log(enum base_log_level level, const char *event, const char *format, ...)
{
    if (level < log_level)
        return;
    char line[LOG_LINE_SIZE_MAX];
    size_t used = 0;
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    append_format(line, &used, "ts=%s.%03ldZ level=%s event=%s", stamp, now.tv_nsec / 1000000,
                  level_names[level], event);
    if (format[0] != '\0') {
        append_format(line, &used, " ");
        va_list arguments;
        va_start(arguments, format);
        append(line, &used, format, arguments);
        va_end(arguments);
    }
    line[used++] = '\n';
    ssize_t written = write(log_fd, line, used);
    (void)written; /* There is nowhere left to say that the log cannot be written. */
}

static bool plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

const char *base_log_quote(char *buffer, size_t buffer_size, const char *text, size_t text_size)
{
    bool quote = text_size == 0;
    for (size_t i = 0; i < text_size && !quote; i++)
        quote = !plain((unsigned char)text[i]);
    size_t used = 0;
    if (buffer_size < 8) {
        if (buffer_size > 0)
            buffer[0] = '\0';
        return buffer;
    }
    if (quote)
        buffer[used++] = '"';
    for (size_t i = 0; i < text_size; i++) {
        if (used + 4 + 3 + 2 > buffer_size) { /* An escape, the dots, the quote and the end. */
            memcpy(buffer + used, "...", 3);
            used += 3;
            break;
        }
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            buffer[used++] = '\\';
            buffer[used++] = (char)c;
        } else if (c < ' ' || c >= 0x7f) {
            used += (size_t)snprintf(buffer + used, 5, "\\x%02x", (unsigned)c);
        } else {
            buffer[used++] = (char)c;
        }
    }
    if (quote)
        buffer[used++] = '"';
    buffer[used] = '\0';
    return buffer;
}
