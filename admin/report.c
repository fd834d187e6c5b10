#include "admin/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

static void say(const char *format, va_list arguments)
{
    fflush(stdout);
    fputs("torc-admin: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int admin_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return 1;
}

int admin_refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return 2;
}

const char *admin_count(uint64_t count, char buffer[ADMIN_NUMBER_SIZE])
{
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    TORC_ASSERT(size > 0);
    char *to = buffer;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return buffer;
}

const char *admin_bytes(uint64_t bytes, char buffer[ADMIN_NUMBER_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(buffer, ADMIN_NUMBER_SIZE, "%" PRIu64 " B", bytes);
        return buffer;
    }
    double scaled = (double)bytes / 1024;
    size_t unit = 0;
    for (; scaled >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        scaled /= 1024;
    snprintf(buffer, ADMIN_NUMBER_SIZE, "%.1f %s", scaled, units[unit]);
    return buffer;
}

const char *admin_duration(uint64_t ms, char buffer[ADMIN_NUMBER_SIZE])
{
    uint64_t seconds = ms / 1000;
    if (seconds >= 3600)
        snprintf(buffer, ADMIN_NUMBER_SIZE, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
                 seconds / 60 % 60);
    else if (seconds >= 60)
        snprintf(buffer, ADMIN_NUMBER_SIZE, "%" PRIu64 " min %" PRIu64 " s", seconds / 60,
                 seconds % 60);
    else if (seconds >= 10)
        snprintf(buffer, ADMIN_NUMBER_SIZE, "%" PRIu64 " s", seconds);
    else
        snprintf(buffer, ADMIN_NUMBER_SIZE, "%" PRIu64 ".%" PRIu64 " s", seconds, ms % 1000 / 100);
    return buffer;
}

uint64_t admin_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void admin_sleep_ms(unsigned ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}
