/*
 * admin/options -- the command line of one subcommand: options, positional arguments, --help with
 * examples, and refusals that say what would be right.
 */
#ifndef TORC_ADMIN_OPTIONS_H
#define TORC_ADMIN_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum { ADMIN_TEXTS_MAX = 64 };

struct admin_texts { /* An option that may be given several times. */
    const char *items[ADMIN_TEXTS_MAX];
    size_t count;
};

enum admin_option_type {
    ADMIN_OPTION_FLAG,   /* --json             -> bool */
    ADMIN_OPTION_NUMBER, /* --port P           -> uint64_t, in min..max */
    ADMIN_OPTION_TEXT,   /* --dir DIR          -> const char *, borrowed from argv */
    ADMIN_OPTION_TEXTS   /* --set NAME=VALUE   -> struct admin_texts */
};

struct admin_option {
    const char *name; /* "--dir" */
    enum admin_option_type type;
    const char *value; /* "DIR"; NULL for a flag. */
    const char *help;
    void *target; /* Holds the preset before, the value after. */
    uint64_t min, max;
};

struct admin_usage {
    const char *synopsis;    /* "torc-admin key NAME [--dir DIR]" */
    const char *description; /* Whole lines. */
    const char *examples;    /* Whole lines. */
    size_t positional_min, positional_max;
};

/*
 * Reads "--name value" and "--name=value"; "--" ends the options. Positional arguments are moved to
 * argv[1] and on and counted. Returns -1 to go on, else the exit status: 0 after --help, 2 after a
 * refusal, which was said.
 */
int admin_options_read(const struct admin_usage *usage, const struct admin_option *options,
                       size_t option_count, int argc, char **argv, size_t *ret_positional_count);

#endif /* TORC_ADMIN_OPTIONS_H */
