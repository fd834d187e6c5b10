/*
 * base/log -- one logfmt line per event, for shells only (cores return actions and never log).
 *
 *   ts=2026-01-02T03:04:05.678Z level=info event=leader node=1 group=2 ballot=7.1.3
 *
 * The format string gives the fields ("node=%u group=%u"); a value that may hold spaces, quotes or
 * bytes from outside goes through base_log_quote first. Thread-safe: a line is one write(2).
 */
#ifndef TORC_BASE_LOG_H
#define TORC_BASE_LOG_H

#include <stddef.h>

enum base_log_level { BASE_LOG_DEBUG, BASE_LOG_INFO, BASE_LOG_WARN, BASE_LOG_ERROR };

/* Lines below `level` are dropped; they go to `fd`, which stays the caller's. The default is info
 * to standard error. Called before threads start. */
void base_log_open(enum base_log_level level, int fd);
/* "debug", "info", "warn", "error" -> level; -1 when it is none of them. */
int base_log_level_of(const char *name);

/* `event` is one word; `format` makes the other fields and may be "". Lines are cut at 4 KiB. */
void base_log(enum base_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes `text` as a logfmt value into buffer (quoted when needed, control bytes as \xNN, cut with
 * "..." when too long) and returns buffer. */
const char *base_log_quote(char *buffer, size_t buffer_size, const char *text, size_t text_size);

#endif /* TORC_BASE_LOG_H */
