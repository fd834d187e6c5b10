#include "tests/sim/shrink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/sim/batch.h"

enum { SHRINK_CHECKER_SIZE = 32, SHRINK_SECONDS_MAX = 60 };

struct shrinking {
    struct sim_arguments arguments;    /* The smallest that fails. */
    char checker[SHRINK_CHECKER_SIZE]; /* The one that has to. */
    uint32_t tries, taken;
};

/* Which checker ends the run; false: none, or it takes too long. */
static bool fails(const struct sim_arguments *arguments, char checker[SHRINK_CHECKER_SIZE])
{
    FILE *said = tmpfile();
    TORC_ASSERT(said != NULL);
    fflush(stdout);
    pid_t child = fork();
    TORC_ASSERT(child >= 0);
    if (child == 0) {
        static struct sim_tally tally;
        dup2(fileno(said), STDERR_FILENO);
        alarm(SHRINK_SECONDS_MAX);
        sim_batch_run(arguments, arguments->first, &tally);
        _exit(0);
    }
    int status;
    TORC_ASSERT(waitpid(child, &status, 0) == child);
    char line[512];
    bool found = false;
    rewind(said);
    while (!found && fgets(line, sizeof(line), said) != NULL)
        found = sscanf(line, "FAILED: seed %*u: %31[a-z]:", checker) == 1;
    fclose(said);
    return found && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Keeps the smaller one if it fails alike. */
static bool attempt(struct shrinking *shrinking, const struct sim_narrowing *narrowing)
{
    struct sim_arguments arguments = shrinking->arguments;
    char checker[SHRINK_CHECKER_SIZE];
    arguments.narrowing = *narrowing;
    shrinking->tries++;
    if (!fails(&arguments, checker) || strcmp(checker, shrinking->checker) != 0)
        return false;
    shrinking->arguments = arguments;
    shrinking->taken++;
    printf("  fails with%*s", 0, "");
    sim_narrowing_print(narrowing, stdout);
    printf("\n");
    return true;
}

static void drop_faults(struct shrinking *shrinking, uint64_t drawn)
{
    struct sim_narrowing narrowing = shrinking->arguments.narrowing;
    uint64_t kept = narrowing.faults_given ? narrowing.faults : drawn;
    narrowing.faults_given = true;
    /* Halves first, then one by one. */
    for (uint32_t width = SIM_FAULT_COUNT / 2; width > 0; width /= 2) {
        for (uint32_t from = 0; from < SIM_FAULT_COUNT; from += width) {
            narrowing.faults = kept & ~(((UINT64_C(1) << width) - 1) << from);
            if (narrowing.faults != kept && attempt(shrinking, &narrowing))
                kept = narrowing.faults;
        }
    }
}

/* Halves a number towards its least. `field` lies in the narrowing. */
static void lessen(struct shrinking *shrinking, size_t offset, uint32_t drawn, uint32_t least)
{
    struct sim_narrowing narrowing = shrinking->arguments.narrowing;
    uint32_t *field = (uint32_t *)((char *)&narrowing + offset);
    uint32_t known = *field != 0 ? *field : drawn, low = least;
    while (low < known) {
        uint32_t middle = low + (known - low) / 2;
        *field = middle;
        if (attempt(shrinking, &narrowing))
            known = middle;
        else
            low = middle + 1;
    }
}

static void lessen_operations(struct shrinking *shrinking, uint64_t drawn)
{
    struct sim_narrowing narrowing = shrinking->arguments.narrowing;
    uint64_t known = narrowing.operations != 0 ? narrowing.operations : drawn, low = 1;
    while (low < known) {
        narrowing.operations = low + (known - low) / 2;
        if (attempt(shrinking, &narrowing))
            known = narrowing.operations;
        else
            low = narrowing.operations + 1;
    }
}

static void shrink(struct shrinking *shrinking)
{
    struct sim_options drawn;
    sim_options_draw(&drawn, shrinking->arguments.first);
    sim_narrowing_apply(&shrinking->arguments.narrowing, &drawn);
    lessen(shrinking, offsetof(struct sim_narrowing, seconds),
           (uint32_t)(drawn.chaos_us / 1000000) + 1, 1);
    drop_faults(shrinking, drawn.faults);
    lessen(shrinking, offsetof(struct sim_narrowing, clients), drawn.clients, 1);
    lessen(shrinking, offsetof(struct sim_narrowing, groups), drawn.groups, 1);
    lessen(shrinking, offsetof(struct sim_narrowing, routers), drawn.routers, 1);
    lessen(shrinking, offsetof(struct sim_narrowing, nodes), drawn.nodes, 3);
    lessen_operations(shrinking, 1000);
    lessen(shrinking, offsetof(struct sim_narrowing, seconds),
           (uint32_t)(drawn.chaos_us / 1000000) + 1, 1);
}

int sim_shrink_main(const struct sim_arguments *arguments)
{
    struct shrinking shrinking = {.arguments = *arguments};
    shrinking.arguments.one = shrinking.arguments.trace = false;
    if (!fails(&shrinking.arguments, shrinking.checker)) {
        fprintf(stderr, "sim: seed %llu does not fail, there is nothing to make smaller\n",
                (unsigned long long)arguments->first);
        return 1;
    }
    printf("seed %llu fails by the checker %s\n", (unsigned long long)arguments->first,
           shrinking.checker);
    for (uint32_t before = UINT32_MAX; before != shrinking.taken;) {
        before = shrinking.taken;
        shrink(&shrinking);
    }
    printf("%u of %u tries made it smaller; the smallest:\n./dev sim --seed %llu", shrinking.taken,
           shrinking.tries, (unsigned long long)arguments->first);
    sim_narrowing_print(&shrinking.arguments.narrowing, stdout);
    printf("\n");
    return 0;
}
