/* benchmarks/load/options -- the command line of torc-load. */
#ifndef TORC_BENCHMARKS_LOAD_OPTIONS_H
#define TORC_BENCHMARKS_LOAD_OPTIONS_H

#include "benchmarks/load/load.h"

enum options_outcome { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* WRONG: `text` says why. */
enum options_outcome options_read(int argc, char **argv, struct load_options *ret_options,
                                  char *text, size_t text_size);
const char *options_help(void);

#endif /* TORC_BENCHMARKS_LOAD_OPTIONS_H */
