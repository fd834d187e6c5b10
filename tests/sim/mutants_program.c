/* mutants_program [--jobs J] [--seeds N] [--quick] [NAME...]: ./dev sim --mutants */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mutants.h"

/* 0: it is not a number from 1 on. */
static uint32_t number_of(const char *text)
{
    char *end;
    unsigned long number = text == NULL ? 0 : strtoul(text, &end, 10);
    return number > 0 && number <= UINT32_MAX && *end == '\0' ? (uint32_t)number : 0;
}

int main(int argc, char **argv)
{
    struct sim_mutants mutants = {.jobs = 1, .seeds = 1000};
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        uint32_t number = number_of(argv[at + 1]);
        if (strcmp(argv[at], "--mutants") == 0)
            continue;
        if (strcmp(argv[at], "--quick") == 0)
            mutants.quick = true;
        else if (strcmp(argv[at], "--jobs") == 0 && number > 0 && ++at)
            mutants.jobs = number;
        else if (strcmp(argv[at], "--seeds") == 0 && number > 0 && ++at)
            mutants.seeds = number;
        else {
            fprintf(stderr,
                    "sim --mutants takes --jobs J, --seeds N (up to 1000), --quick, and "
                    "names of mutants; not '%s'\n",
                    argv[at]);
            return 2;
        }
    }
    mutants.names = (const char *const *)argv + at;
    mutants.name_count = (uint32_t)(argc - at);
    return sim_mutants_main(&mutants);
}
