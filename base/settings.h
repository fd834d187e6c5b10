/*
 * base/settings -- one table of settings gives parsing of the YAML file, --set, --check-config, the
 * text of --help and the effective values. For shells only.
 *
 *   static const struct base_settings_item items[] = {
 *       {"node", BASE_SETTINGS_INTEGER, 1, 1000000, NULL, offsetof(struct config, node), ...},
 *       {"log.level", BASE_SETTINGS_ENUM, .names = levels, .preset = "info", ...},
 *   };
 *   struct base_settings *settings = base_settings_new(items, count, &config);
 *   int code = base_settings_start(settings, "torc-shard --config FILE", argc, argv);
 *   if (code >= 0)
 *       return code;
 *
 * In a file, dots in a name may be written as nesting: "log.level: info" or "log: {level: info}".
 */
#ifndef TORC_BASE_SETTINGS_H
#define TORC_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/status.h"

enum { BASE_SETTINGS_ID_SIZE = 16, BASE_SETTINGS_FILE_SIZE_MAX = 1 << 20 };

/* What an item's value is, how it is written, and what lies at its offset. */
enum base_settings_type {
    BASE_SETTINGS_BOOL,     /* true, false              -> bool */
    BASE_SETTINGS_INTEGER,  /* 42                       -> uint64_t */
    BASE_SETTINGS_SIZE,     /* 64MiB, 512KiB, 100       -> uint64_t, bytes */
    BASE_SETTINGS_DURATION, /* 300ms, 10s, 5m, 2h       -> uint64_t, milliseconds */
    BASE_SETTINGS_STRING,   /* any text                 -> char *, owned here */
    BASE_SETTINGS_LIST,     /* [a, b] or a,b            -> struct base_settings_list, owned here */
    BASE_SETTINGS_ENUM,     /* one of `names`           -> int, its index */
    BASE_SETTINGS_ID        /* 32 hexadecimal digits    -> uint8_t[BASE_SETTINGS_ID_SIZE] */
};

struct base_settings_list {
    char **items;
    size_t count;
};

struct base_settings_item {
    const char *name; /* Words of a-z 0-9 _ -, joined by dots. */
    enum base_settings_type type;
    uint64_t min, max;  /* Both allowed; numbers, sizes and durations only. */
    const char *preset; /* Taken when nothing is given, written as in a file; NULL: required. */
    size_t offset;      /* Of the value in the target. */
    const char *help;   /* One sentence; for an integer it says the unit. */
    const char *const *names; /* BASE_SETTINGS_ENUM: ends with NULL. */
    /* Strings and elements of lists: NULL when the text is right, else what would be right ("an
     * address such as tcp://127.0.0.1:7401"); may be NULL. */
    const char *(*check)(const char *text);
};

struct base_settings_error {
    char text[768]; /* One line: where, what was found, what would be right. */
};

struct base_settings; /* Opaque: the table, the target, and where each value came from. */

/* Sets every item with a preset (which must be right: asserted) and clears the others. `items` and
 * `target` are borrowed for the object's life. */
struct base_settings *base_settings_new(const struct base_settings_item *items, size_t count,
                                        void *target);
/* Also frees strings and lists in the target. NULL is a no-op. */
void base_settings_free(struct base_settings *settings);

/*
 * Takes the values of a YAML text; `file` is its name in messages. Each name once. TORC_MALFORMED
 * with the error's text written; then the target may hold some of the values, and only _free may
 * follow.
 */
enum torc_status base_settings_parse(struct base_settings *settings, const char *file,
                                     struct base_bytes text,
                                     struct base_settings_error *ret_error) TORC_MUST_CHECK;
/* The same from a file. Also TORC_IO. */
enum torc_status base_settings_load(struct base_settings *settings, const char *file,
                                    struct base_settings_error *ret_error) TORC_MUST_CHECK;
/* "name=value", over whatever was given before. TORC_MALFORMED; then nothing has changed. */
enum torc_status base_settings_set(struct base_settings *settings, const char *assignment,
                                   struct base_settings_error *ret_error) TORC_MUST_CHECK;
/* Whether all required ones are given: TORC_OK or TORC_INVALID, naming the first that is not. */
enum torc_status base_settings_complete(const struct base_settings *settings,
                                        struct base_settings_error *ret_error) TORC_MUST_CHECK;

/*
 * A program's command line: --config FILE, then every --set NAME=VALUE in order, then
 * --check-config (prints the effective values) or --help. Returns -1 to run, else the exit status:
 * 0 after help or a good check, 2 when something is wrong, which was then said on standard error.
 */
int base_settings_start(struct base_settings *settings, const char *usage, int argc, char **argv);

/* The table for people: name, type and range, preset, help. */
void base_settings_print_help(const struct base_settings *settings, FILE *out);
/* "name: value" lines that base_settings_parse reads back, each with where it came from. */
void base_settings_print(const struct base_settings *settings, FILE *out);

size_t base_settings_count(const struct base_settings *settings);
/* Name of item `i` (for CONFIG GET). Static memory. */
const char *base_settings_name(const struct base_settings *settings, size_t i);
/* Its effective value as it could be given to --set; "" when required and not given. Written into
 * buffer, cut when too long; returns buffer. */
const char *base_settings_value(const struct base_settings *settings, size_t i, char *buffer,
                                size_t buffer_size);

#endif /* TORC_BASE_SETTINGS_H */
