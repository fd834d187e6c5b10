/* sim -- runs seeds and says what broke; docs/simulator.md has the whole story. */
#include "tests/sim/batch.h"
#include "tests/sim/shrink.h"

int main(int argc, char **argv)
{
    struct sim_arguments arguments = sim_arguments_read(argc, argv);
    if (arguments.sum != NULL)
        return sim_batch_sum(arguments.sum);
    if (arguments.replay != NULL)
        return sim_batch_replay(&arguments);
    if (arguments.shrink)
        return sim_shrink_main(&arguments);
    return sim_batch_main(&arguments);
}
