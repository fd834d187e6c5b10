/* sim -- runs seeds and says what broke; docs/simulator.md has the whole story. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim.h"

enum { COVERAGE_SEEDS_MIN = 200, SMOKE_SEEDS = 200 };

struct arguments {
    uint64_t first, last;
    const char *replay; /* A file of seeds. */
    bool one, trace, twice;
    uint64_t faults;
    uint32_t nodes, groups, clients;
    bool faults_given;
};

static struct sim *running; /* For the report of an assertion. */

/* An assertion ends the process: what was going on is said as for any other failure. */
static void on_abort(int number)
{
    signal(number, SIG_DFL);
    if (running != NULL)
        sim_fail(running, "assertion", "%s", number == SIGABRT ? "see above" : "a wild pointer");
    raise(number);
}

static void usage(void)
{
    fprintf(stderr,
            "usage: sim [--seed N | --seeds A..B | --replay FILE] [--trace] [--twice]\n"
            "           [--nodes 3..%d] [--groups 1..%d] [--clients 1..%d]\n"
            "           [--faults none|all|NAME,NAME...]\n"
            "without any: the smoke, seeds 1..%d; a failure prints the command that replays it\n",
            SIM_NODES_MAX, SIM_GROUPS_MAX - 1, SIM_CLIENTS_MAX, SMOKE_SEEDS);
    exit(2);
}

static uint64_t number_of(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);
    if (*end != '\0' || end == text || number < min || number > max)
        usage();
    return number;
}

static void parse_seeds(struct arguments *arguments, const char *text)
{
    char *end;
    arguments->first = strtoull(text, &end, 0);
    if (end == text || strncmp(end, "..", 2) != 0)
        usage();
    arguments->last = number_of(end + 2, arguments->first, UINT64_MAX - 1);
}

static bool parse_flag(struct arguments *arguments, const char *name)
{
    bool *flag = strcmp(name, "--trace") == 0   ? &arguments->trace
                 : strcmp(name, "--twice") == 0 ? &arguments->twice
                                                : NULL;
    if (flag != NULL)
        *flag = true;
    return flag != NULL;
}

static void parse_option(struct arguments *arguments, const char *name, const char *value)
{
    if (strcmp(name, "--seed") == 0) {
        arguments->first = arguments->last = number_of(value, 0, UINT64_MAX - 1);
        arguments->one = true;
    } else if (strcmp(name, "--seeds") == 0) {
        parse_seeds(arguments, value);
    } else if (strcmp(name, "--replay") == 0) {
        arguments->replay = value;
    } else if (strcmp(name, "--nodes") == 0) {
        arguments->nodes = (uint32_t)number_of(value, 3, SIM_NODES_MAX);
    } else if (strcmp(name, "--groups") == 0) {
        arguments->groups = (uint32_t)number_of(value, 1, SIM_GROUPS_MAX - 1);
    } else if (strcmp(name, "--clients") == 0) {
        arguments->clients = (uint32_t)number_of(value, 1, SIM_CLIENTS_MAX);
    } else if (strcmp(name, "--faults") == 0 && sim_faults_parse(value, &arguments->faults)) {
        arguments->faults_given = true;
    } else {
        usage();
    }
}

static struct arguments parse(int argc, char **argv)
{
    struct arguments arguments = {.first = 1, .last = SMOKE_SEEDS};
    for (int i = 1; i < argc; i++) {
        if (parse_flag(&arguments, argv[i]))
            continue;
        if (i + 1 == argc)
            usage();
        parse_option(&arguments, argv[i], argv[i + 1]);
        i++;
    }
    return arguments;
}

static struct sim_options options_of(const struct arguments *arguments, uint64_t seed)
{
    struct sim_options options;
    sim_options_draw(&options, seed);
    if (arguments->nodes != 0) {
        options.nodes = arguments->nodes;
        options.replicas = options.replicas > options.nodes ? 3 : options.replicas;
    }
    if (arguments->groups != 0)
        options.groups = arguments->groups;
    if (arguments->clients != 0)
        options.clients = arguments->clients;
    if (arguments->faults_given)
        options.faults = arguments->faults;
    return options;
}

static uint64_t run(const struct arguments *arguments, uint64_t seed, struct sim_coverage *coverage)
{
    struct sim_options options = options_of(arguments, seed);
    if (arguments->one) {
        sim_options_print(&options, stdout);
        fflush(stdout);
    }
    static struct sim sim;
    running = &sim;
    sim_init(&sim, &options, coverage);
    sim.trace = arguments->trace;
    uint64_t hash = sim_run(&sim);
    sim_fini(&sim);
    running = NULL;
    return hash;
}

static void run_checked(const struct arguments *arguments, uint64_t seed,
                        struct sim_coverage *coverage)
{
    uint64_t hash = run(arguments, seed, coverage);
    if (arguments->twice && run(arguments, seed, coverage) != hash) {
        fprintf(stderr, "FAILED: seed %llu: determinism: two runs differ\n",
                (unsigned long long)seed);
        exit(1);
    }
    if (arguments->one)
        printf("seed=%llu hash=%016llx\n", (unsigned long long)seed, (unsigned long long)hash);
}

static void run_file(const struct arguments *arguments, struct sim_coverage *coverage)
{
    FILE *file = fopen(arguments->replay, "r");
    if (file == NULL) {
        perror(arguments->replay);
        exit(2);
    }
    char line[256];
    while (fgets(line, sizeof(line), file) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 0);
        if (end != line)
            run_checked(arguments, seed, coverage);
    }
    fclose(file);
}

/* False: an essential path was never taken. */
static bool coverage_print(const struct sim_coverage *coverage)
{
    bool whole = true;
#define COVERAGE_PRINT(name, essential)                                                            \
    printf("%-24s %12llu%s\n", #name, (unsigned long long)coverage->name,                          \
           coverage->name > 0 ? ""                                                                 \
           : essential        ? "  NEVER"                                                          \
                              : "  never");                                                               \
    whole &= coverage->name > 0 || !essential;
    SIM_COVERAGE_LIST(COVERAGE_PRINT)
#undef COVERAGE_PRINT
    return whole;
}

int main(int argc, char **argv)
{
    struct arguments arguments = parse(argc, argv);
    struct sim_coverage coverage = {0};
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    if (arguments.replay != NULL) {
        run_file(&arguments, &coverage);
        return 0;
    }
    for (uint64_t seed = arguments.first; seed <= arguments.last; seed++)
        run_checked(&arguments, seed, &coverage);
    bool whole = coverage_print(&coverage);
    if (!arguments.one)
        printf("seeds %llu..%llu passed\n", (unsigned long long)arguments.first,
               (unsigned long long)arguments.last);
    bool narrowed = arguments.faults_given || arguments.nodes + arguments.groups != 0;
    if (arguments.last - arguments.first + 1 >= COVERAGE_SEEDS_MIN && !whole && !narrowed) {
        fprintf(stderr, "FAILED: a path was never taken\n");
        return 1;
    }
    return 0;
}
