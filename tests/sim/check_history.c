/* Each key's history is linearizable, unknown outcomes included (tests/history). */
#include "tests/sim/sim.h"

enum { CHECK_STEPS_MAX = 2000000, CHECK_BYTES_MAX = 64 << 20 };

static void fail(struct sim *sim, size_t place, const struct history_verdict *verdict)
{
    struct history_text text = {.allocator = sim->allocator};
    history_text_report(&text, history_set_key(&sim->histories, place),
                        &sim->histories.histories[place], verdict);
    sim_fail(sim, "linearizability", "%s", text.data);
}

void check_histories(struct sim *sim)
{
    struct history_bounds bounds = {.steps_max = CHECK_STEPS_MAX, .bytes_max = CHECK_BYTES_MAX};
    for (size_t i = 0; i < sim->histories.count; i++) {
        struct history_verdict verdict;
        history_check(sim->allocator, &history_string_model, &sim->histories.histories[i], &bounds,
                      &verdict);
        sim->coverage->histories++;
        sim->coverage->histories_undecided += verdict.answer == HISTORY_UNDECIDED;
        if (verdict.answer == HISTORY_VIOLATION)
            fail(sim, i, &verdict);
        history_verdict_fini(&verdict, sim->allocator);
    }
}
