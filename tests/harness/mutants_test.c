/*
 * mutants_test [FIRST_SEED] -- the harness notices every broken rule of the list in paxos/mutant.h:
 * each runs in a process of its own, seed after seed, until something fails. One that survives the
 * last seed is a failure of this test.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "paxos/mutant.h"
#include "tests/harness/harness.h"

enum { SEEDS_MAX = 20000 };

static const char *const names[] = {"NONE",
#define MUTANT_NAME(name, text) #name,
                                    PAXOS_MUTANT_LIST(MUTANT_NAME)
#undef MUTANT_NAME
};

/* Ends with status 0 only if no seed showed anything. `seeds` counts those begun. */
static _Noreturn void run(enum paxos_mutant mutant, int seeds_fd)
{
    static struct harness_coverage coverage;
    paxos_mutant = mutant;
    for (uint32_t i = 0; i < SEEDS_MAX; i++) {
        struct harness_options options;
        harness_options_draw(&options, i + 1);
        options.same_incarnation = mutant == PAXOS_MUTANT_BALLOT_REUSED;
        if (pwrite(seeds_fd, &i, sizeof(i), 0) != (ssize_t)sizeof(i))
            _exit(0);
        struct harness harness;
        harness_init(&harness, &options, &coverage);
        harness_run(&harness);
        harness_fini(&harness);
    }
    _exit(0);
}

/* The message of a failure says what noticed; its first line is enough. */
static void first_line(FILE *file, char *line, size_t size)
{
    rewind(file);
    if (fgets(line, (int)size, file) == NULL)
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

static bool caught(enum paxos_mutant mutant)
{
    FILE *errors = tmpfile();
    FILE *seeds = tmpfile();
    TORC_ASSERT(errors != NULL && seeds != NULL);
    fflush(stdout);
    pid_t child = fork();
    TORC_ASSERT(child >= 0);
    if (child == 0) {
        dup2(fileno(errors), STDERR_FILENO);
        run(mutant, fileno(seeds));
    }
    int status;
    TORC_ASSERT(waitpid(child, &status, 0) == child);
    uint32_t seed = 0;
    if (pread(fileno(seeds), &seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = SEEDS_MAX;
    char line[160];
    first_line(errors, line, sizeof(line));
    bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("%-24s %s %5u: %s\n", names[mutant], failed ? "seed" : "SURVIVES", seed + 1, line);
    fclose(errors);
    fclose(seeds);
    return failed;
}

int main(int argc, char **argv)
{
    bool all = true;
    for (int mutant = PAXOS_MUTANT_NONE + 1; mutant < PAXOS_MUTANT_COUNT; mutant++) {
        bool wanted = argc < 2;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], names[mutant]) == 0;
        if (wanted)
            all = caught((enum paxos_mutant)mutant) && all;
    }
    return all ? 0 : 1;
}
