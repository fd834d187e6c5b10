/* mutants_program [--jobs J] [--seeds N] [--quick] [NAME...]: ./dev sim --mutants */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/mutants.h"

static const char usage[] =
    "usage: ./dev sim --mutants [--jobs J] [--seeds N] [--quick] [NAME[=CHECKERS]...]\n"
    "bugs that are planted on purpose: which checker finds each, and when; all, or those named\n"
    "  --jobs J     so many side by side (1)\n"
    "  --seeds N    the first N seeds, at most 1000 (1000)\n"
    "  --quick      begins at the seed that is known to show each\n"
    "NAME=CHECKERS: only these count, with spaces between them. base/mutant.h and paxos/mutant.h\n"
    "list the names, docs/simulator.md the checkers.\n";

static _Noreturn void refuse(const char *text, const char *word)
{
    fprintf(stderr, "sim --mutants: %s, not '%s'; --help tells more\n", text, word);
    exit(2);
}

static uint32_t number_of(const char *name, const char *text, uint32_t most)
{
    static char sentence[80];
    char *end = NULL;
    unsigned long number = text == NULL ? 0 : strtoul(text, &end, 10);
    snprintf(sentence, sizeof(sentence), "%s takes a number from 1 to %u", name, most);
    if (number == 0 || number > most || *end != '\0')
        refuse(sentence, text == NULL ? "" : text);
    return (uint32_t)number;
}

int main(int argc, char **argv)
{
    struct sim_mutants mutants = {.jobs = 1, .seeds = 1000};
    const char **names = calloc((size_t)argc, sizeof(*names));
    TORC_ASSERT(names != NULL);
    mutants.names = names;
    for (int at = 1; at < argc; at++) {
        if (argv[at][0] != '-') {
            names[mutants.name_count++] = argv[at];
        } else if (strcmp(argv[at], "--help") == 0) {
            fputs(usage, stdout);
            free(names);
            return 0;
        } else if (strcmp(argv[at], "--quick") == 0) {
            mutants.quick = true;
        } else if (strcmp(argv[at], "--jobs") == 0) {
            at++;
            mutants.jobs = number_of("--jobs", argv[at], 64);
        } else if (strcmp(argv[at], "--seeds") == 0) {
            at++;
            mutants.seeds = number_of("--seeds", argv[at], 1000);
        } else if (strcmp(argv[at], "--mutants") != 0) {
            refuse("takes --jobs J, --seeds N, --quick, and names of mutants", argv[at]);
        }
    }
    int status = sim_mutants_main(&mutants);
    free(names);
    return status;
}
