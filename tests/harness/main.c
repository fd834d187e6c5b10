/*
 * harness [--seed N | --seeds A..B] [--trace] [--replay FILE] [--twice]
 *
 * One seed: its options, then what happens. Several: every seed of the range, then how often each
 * rare path was taken; one that a thousand seeds never take is a failure. --replay runs the seeds
 * of a file, one a line; --twice runs each seed again and compares.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/harness/harness.h"

enum { COVERAGE_SEEDS_MIN = 1000 }; /* So many seeds take every path. */

struct arguments {
    uint64_t first, last;
    const char *replay;
    bool one, trace, twice;
};

static uint64_t running_seed;

/* An assertion of the core: name the seed before the process ends. */
static void on_abort(int signal_number)
{
    (void)signal_number;
    char text[96];
    int length = snprintf(text, sizeof(text), "FAILED: replay with --seed %llu --trace\n",
                          (unsigned long long)running_seed);
    ssize_t written = write(STDERR_FILENO, text, (size_t)length);
    _exit(written == length ? 1 : 2);
}

static uint64_t run_seed(uint64_t seed, bool trace, struct harness_coverage *coverage)
{
    struct harness_options options;
    harness_options_draw(&options, seed);
    running_seed = seed;
    struct harness harness;
    harness_init(&harness, &options, coverage);
    harness.trace = trace;
    uint64_t hash = harness_run(&harness);
    harness_fini(&harness);
    return hash;
}

static bool coverage_print(const struct harness_coverage *coverage)
{
    bool whole = true;
#define COVERAGE_PRINT(name)                                                                       \
    printf("%-24s %12llu%s\n", #name, (unsigned long long)coverage->name,                          \
           coverage->name == 0 ? "  NEVER" : "");                                                  \
    whole = whole && coverage->name > 0;
    HARNESS_COVERAGE_LIST(COVERAGE_PRINT)
#undef COVERAGE_PRINT
    return whole;
}

static void run_checked(uint64_t seed, const struct arguments *arguments,
                        struct harness_coverage *coverage)
{
    uint64_t hash = run_seed(seed, arguments->trace, coverage);
    if (arguments->twice && run_seed(seed, false, coverage) != hash) {
        fprintf(stderr, "seed %llu gives two different runs\n", (unsigned long long)seed);
        exit(1);
    }
}

static void run_file(const struct arguments *arguments, struct harness_coverage *coverage)
{
    FILE *file = fopen(arguments->replay, "r");
    if (file == NULL) {
        perror(arguments->replay);
        exit(2);
    }
    char line[256];
    while (fgets(line, sizeof(line), file) != NULL) {
        char *end;
        unsigned long long seed = strtoull(line, &end, 10);
        if (end != line)
            run_checked(seed, arguments, coverage);
    }
    fclose(file);
}

static struct arguments parse(int argc, char **argv)
{
    struct arguments arguments = {.first = 1, .last = 100};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        char *end = NULL;
        if (strcmp(argv[i], "--trace") == 0) {
            arguments.trace = true;
        } else if (strcmp(argv[i], "--twice") == 0) {
            arguments.twice = true;
        } else if (strcmp(argv[i], "--replay") == 0) {
            arguments.replay = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0) {
            arguments.first = arguments.last = strtoull(value, &end, 0);
            arguments.one = true;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            arguments.first = strtoull(value, &end, 0);
            arguments.last = strncmp(end, "..", 2) == 0 ? strtoull(end + 2, &end, 0) : 0;
            i++;
        } else {
            fprintf(stderr,
                    "usage: %s [--seed N | --seeds A..B | --replay FILE] [--trace] "
                    "[--twice]\n",
                    argv[0]);
            exit(2);
        }
    }
    return arguments;
}

int main(int argc, char **argv)
{
    struct arguments arguments = parse(argc, argv);
    struct harness_coverage coverage = {0};
    signal(SIGABRT, on_abort);
    if (arguments.replay != NULL) {
        run_file(&arguments, &coverage);
        return 0;
    }
    if (arguments.one) {
        /* Known before anything can go wrong. */
        struct harness_options options;
        harness_options_draw(&options, arguments.first);
        harness_options_print(&options, stdout);
        fflush(stdout);
    } else {
        printf("seeds %llu..%llu\n", (unsigned long long)arguments.first,
               (unsigned long long)arguments.last);
    }
    for (uint64_t seed = arguments.first; seed <= arguments.last; seed++)
        run_checked(seed, &arguments, &coverage);
    bool whole = coverage_print(&coverage);
    if (arguments.last - arguments.first >= COVERAGE_SEEDS_MIN && !whole) {
        fprintf(stderr, "a path was never taken\n");
        return 1;
    }
    return 0;
}
