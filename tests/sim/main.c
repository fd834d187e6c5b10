/* sim -- runs seeds and says what broke; docs/simulator.md has the whole story. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "paxos/mutant.h"
#include "tests/sim/batch.h"
#include "tests/sim/shrink.h"

/* In the test build: the planted bug that TORC_MUTANT names. */
static void plant(void)
{
#ifdef TORC_MUTANTS
    const char *name = getenv("TORC_MUTANT");
    if (name == NULL)
        return;
#define PLANT(mutant, text)                                                                        \
    if (strcmp(name, #mutant) == 0)                                                                \
        torc_mutant = TORC_MUTANT_##mutant;
    TORC_MUTANT_LIST(PLANT)
#undef PLANT
#define PLANT(mutant, text)                                                                        \
    if (strcmp(name, #mutant) == 0)                                                                \
        paxos_mutant = PAXOS_MUTANT_##mutant;
    PAXOS_MUTANT_LIST(PLANT)
#undef PLANT
#endif
}

static int run(const struct sim_arguments *arguments)
{
    if (arguments->sum != NULL)
        return sim_batch_sum(arguments->sum);
    if (arguments->replay != NULL)
        return sim_batch_replay(arguments);
    if (arguments->shrink)
        return sim_shrink_main(arguments);
    return sim_batch_main(arguments);
}

int main(int argc, char **argv)
{
    struct sim_arguments arguments = sim_arguments_read(argc, argv);
    plant();
    int status = run(&arguments);
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    fprintf(stderr, "sim: what it has to say can not be written: %s\n", strerror(errno));
    return status == 0 ? 1 : status;
}
