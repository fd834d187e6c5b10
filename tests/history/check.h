/*
 * tests/history/check -- is one key's history linearizable?
 *
 * A history is linearizable if each answered operation can be given one instant between its
 * invocation and its return, and each unknown one an instant after its invocation or none, such
 * that in the order of these instants the model gives every answer. The search is Wing and Gong's
 * ("Testing and verifying concurrent objects", JPDC 1993), with Lowe's memory of the configurations
 * already tried ("Testing for linearizability", Concurrency and Computation 2017) and five rules
 * that cut it short without changing its answer; check.c states and argues each.
 *
 * The question is NP-complete. So the search has a bound in steps and one in bytes, and past either
 * the answer is HISTORY_UNDECIDED, which is neither good nor bad. Usual sizes are far from them:
 * 5,000 operations of 64 clients take well under a second. What is hard is many concurrent writes
 * that nobody reads beside answers that tell little of the state (a delete's, a refused put's).
 */
#ifndef TORC_TESTS_HISTORY_CHECK_H
#define TORC_TESTS_HISTORY_CHECK_H

#include "tests/history/history.h"
#include "tests/history/model.h"

enum history_answer {
    HISTORY_LINEARIZABLE = 1,
    HISTORY_VIOLATION, /* Proven: no order of instants exists. */
    HISTORY_UNDECIDED, /* A bound was reached first. */
};

struct history_bounds {
    uint64_t steps_max; /* Times that an operation is tried on a state. */
    size_t bytes_max;   /* Memory of configurations and of values that the search made. */
};

/* 400 million steps (about a minute) and 512 MiB, which is usually reached first, after seconds. */
struct history_bounds history_bounds_default(void);

struct history_verdict {
    enum history_answer answer;
    uint64_t step_count;
    /* Places in history.ops of the longest linearizable beginning found, in that order; when the
     * answer is HISTORY_LINEARIZABLE, of the whole witness (every answered operation is in it). */
    size_t *prefix;
    size_t prefix_count;
    struct history_state state; /* After the prefix. */
    /* The first operation to return of those not in the prefix, which nothing let follow it; for
     * HISTORY_LINEARIZABLE nothing. */
    size_t stuck;
    /* For a history that is not linearizable: the first operation outside the prefix that requires
     * the value that the key holds after it, so that no other may change it before; or SIZE_MAX. */
    size_t awaited;
};

/*
 * Checks one key. The history is as before, except that values may have been added to its table.
 * The verdict is freed by history_verdict_fini with the same allocator.
 */
void history_check(const struct base_allocator *allocator, const struct history_model *model,
                   struct history *history, const struct history_bounds *bounds,
                   struct history_verdict *ret_verdict);
void history_verdict_fini(struct history_verdict *verdict, const struct base_allocator *allocator);

#endif /* TORC_TESTS_HISTORY_CHECK_H */
