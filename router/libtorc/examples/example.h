/* Opening a handle from the command line, as put_get.c does it, for the other examples. */
#ifndef TORC_ROUTER_LIBTORC_EXAMPLES_EXAMPLE_H
#define TORC_ROUTER_LIBTORC_EXAMPLES_EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>

#include <torc.h>

/* EXAMPLE CLUSTER SEED...; ends the program when that cannot be. */
static inline struct torc *example_open(int argc, char **argv, enum torc_completion completion)
{
    char text[TORC_TEXT_SIZE];
    struct torc *torc;
    if (argc < 3) {
        fprintf(stderr, "usage: %s CLUSTER SEED...\n", argv[0]);
        exit(2);
    }
    struct torc_options options = {.struct_size = sizeof(options),
                                   .cluster = argv[1],
                                   .seeds = (const char *const *)&argv[2],
                                   .seed_count = (size_t)argc - 2,
                                   .completion = completion};
    if (torc_open(&options, text, &torc) != TORC_OK) {
        fprintf(stderr, "open: %s\n", text);
        exit(1);
    }
    return torc;
}

/* Ends the program unless the call happened. */
static inline void example_happened(const char *what, const struct torc_reply *reply)
{
    if (torc_reply_outcome(reply) == TORC_HAPPENED)
        return;
    fprintf(stderr, "%s: %s (%s)\n", what, torc_status_text(torc_reply_status(reply)),
            torc_reply_text(reply));
    exit(1);
}

#endif /* TORC_ROUTER_LIBTORC_EXAMPLES_EXAMPLE_H */
