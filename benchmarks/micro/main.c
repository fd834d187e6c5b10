/* Prints what an operation of each part costs. Each is run for a while five times; the least is
 * shown, since what else the machine does only adds to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "benchmarks/micro/part.h"
#include "tests/lib/scratch.h"

enum { ROUNDS = 5 };

static const double round_ns = 100e6;

struct counter { /* The process's heap, counted. */
    struct base_allocator allocator;
    unsigned long long calls;
};

static void *count_resize(void *context, void *old, size_t old_size, size_t size)
{
    struct counter *counter = context;
    const struct base_allocator *heap = base_allocator_system();
    counter->calls++;
    return heap->resize(heap->context, old, old_size, size);
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Returns nanoseconds per operation. */
static double time_round(const struct part *part, void *context, unsigned long long *operations)
{
    unsigned long long runs = 0;
    double began_ns = now_ns(), passed_ns = 0;
    while (passed_ns < round_ns) {
        for (unsigned i = 0; i < 256; i++)
            part->run(context);
        runs += 256;
        passed_ns = now_ns() - began_ns;
    }
    *operations += runs * part->width;
    return passed_ns / (double)(runs * part->width);
}

static void show(const struct part *part)
{
    char folder[SCRATCH_PATH_SIZE];
    struct counter counter = {.allocator = {.resize = count_resize, .context = &counter}};
    void *context = part->begin(&counter.allocator, scratch_make(folder), part->width);
    for (unsigned i = 0; i < PART_WARM_UP; i += part->width)
        part->run(context);
    unsigned long long operations = 0, calls = counter.calls;
    double least_ns = time_round(part, context, &operations);
    for (unsigned i = 1; i < ROUNDS; i++) {
        double ns = time_round(part, context, &operations);
        least_ns = ns < least_ns ? ns : least_ns;
    }
    printf("%-52s %10.1f ns %10.3f\n", part->name, least_ns,
           (double)(counter.calls - calls) / (double)operations);
    fflush(stdout);
    part->end(context);
    scratch_remove(folder);
}

int main(int argc, char **argv)
{
    const struct part *part;
    printf("%-52s %13s %10s\n", "an operation", "time", "allocator");
    for (size_t i = 0; (part = part_at(i)) != NULL; i++) {
        if (argc < 2 || strstr(part->name, argv[1]) != NULL)
            show(part);
    }
    return 0;
}
