#include "benchmarks/micro/part.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/lib/counting.h"
#include "tests/lib/scratch.h"

/* The hot path takes no memory once it is in its steady state. What is not so stands here with the
 * calls of the allocator that it may make for a thousand operations; a part that needs fewer has
 * its bound lowered. */
static const struct {
    const char *prefix;
    uint64_t calls_max;
} bounds[] = {
    /* The entry's buffer, taken and given back: pools do not keep memory. */
    {"paxos: ", 2000},
    /* Once for a segment, for the records that are copied out of it before it is recycled. */
    {"log append: ", 20},
};

enum { OPERATIONS = 30000 };

static uint64_t bound_of(const struct part *part)
{
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        if (strncmp(part->name, bounds[i].prefix, strlen(bounds[i].prefix)) == 0)
            return bounds[i].calls_max;
    }
    return 0;
}

static void run(const struct part *part, void *context)
{
    for (unsigned i = 0; i < OPERATIONS; i += part->width)
        part->run(context);
}

Test(allocations, are_none_in_a_steady_state)
{
    const struct part *part;
    for (size_t i = 0; (part = part_at(i)) != NULL; i++) {
        struct counting counting;
        char folder[SCRATCH_PATH_SIZE];
        scratch_make(folder);
        void *context = part->begin(counting_init(&counting), folder, part->width);
        for (unsigned done = 0; done < PART_WARM_UP; done += part->width)
            part->run(context);
        uint64_t before = counting.call_count;
        run(part, context);
        uint64_t calls = counting.call_count - before;
        cr_expect_leq(calls, bound_of(part) * OPERATIONS / 1000, "%s: %llu calls in %d operations",
                      part->name, (unsigned long long)calls, OPERATIONS);
        part->end(context);
        counting_fini(&counting);
        scratch_remove(folder);
    }
}
