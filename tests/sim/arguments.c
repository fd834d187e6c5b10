#include "tests/sim/arguments.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/sim.h"

enum { SMOKE_SEEDS = 200, MINUTES_MAX = 100000, SECONDS_MAX = 100000 };

static const char help[] =
    "Runs whole simulated clusters under faults, each from one number, and says what broke.\n"
    "\n"
    "usage: ./dev sim [OPTIONS]            without any: seeds 1..200, the smoke\n"
    "\n"
    "which runs\n"
    "  --seed N              one; prints its options, and last its hash\n"
    "  --seeds A..B          these\n"
    "  --minutes M           from the first seed on until the time is up\n"
    "  --replay FILE         those whose numbers begin a line of the file\n"
    "  --jobs J              so many side by side (1)\n"
    "  --twice               each twice; both must do the same to the byte\n"
    "what is taken away from them\n"
    "  --faults LIST         only these kinds, with commas between them; or none, or all\n"
    "  --nodes N  --replicas R  --groups G  --routers R  --clients C\n"
    "  --seconds S           of faults under load, then all is healed\n"
    "  --operations N        asked for before that, by all clients together\n"
    "what is shown\n"
    "  --trace               every event and action, a line each\n"
    "  --shrink              with --seed: takes away what it can while the same checker fails\n"
    "  --report FILE         adds a line with the figures of the batch to the file\n"
    "  --sum FILE            adds up such lines, and runs nothing\n"
    "  --mutants [NAME...]   bugs that are planted on purpose: which checker finds each, and when\n"
    "\n"
    "kinds of fault:\n ";

static _Noreturn void usage(void)
{
    fputs(help, stdout);
    sim_faults_print(SIM_FAULTS_ALL, stdout);
    fputs("\n\ndocs/simulator.md tells how to get from a failing seed to its cause.\n", stdout);
    exit(0);
}

__attribute__((format(printf, 1, 2))) static _Noreturn void refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("sim: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("; --help lists all options\n", stderr);
    va_end(arguments);
    exit(2);
}

static uint64_t number_of(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);
    if (*end != '\0' || end == text || text[0] == '-' || number < min || number > max)
        refuse("%s takes a number from %llu to %llu, not '%s'", name, (unsigned long long)min,
               (unsigned long long)max, text);
    return number;
}

static void read_seeds(struct sim_arguments *arguments, const char *text)
{
    char *end;
    arguments->first = strtoull(text, &end, 0);
    if (end == text || strncmp(end, "..", 2) != 0)
        refuse("--seeds takes two numbers such as 1..500, not '%s'", text);
    arguments->last =
        number_of("--seeds, behind its dots,", end + 2, arguments->first, UINT64_MAX - 1);
}

struct option {
    const char *name;
    size_t offset; /* In struct sim_arguments. */
    uint64_t min, max;
};

#define AT(field) offsetof(struct sim_arguments, field)

static const struct option flags[] = {
    {"--trace", AT(trace), 0, 0}, {"--twice", AT(twice), 0, 0}, {"--shrink", AT(shrink), 0, 0}};

static const struct option numbers[] = {
    {"--jobs", AT(jobs), 1, SIM_JOBS_MAX},
    {"--minutes", AT(minutes), 1, MINUTES_MAX},
    {"--nodes", AT(narrowing.nodes), 3, SIM_NODES_MAX},
    {"--replicas", AT(narrowing.replicas), 1, SIM_NODES_MAX},
    {"--groups", AT(narrowing.groups), 1, SIM_GROUPS_MAX - 1},
    {"--routers", AT(narrowing.routers), 1, SIM_ROUTERS_MAX},
    {"--clients", AT(narrowing.clients), 1, SIM_CLIENTS_MAX},
    {"--seconds", AT(narrowing.seconds), 1, SECONDS_MAX},
};

static const struct option texts[] = {
    {"--replay", AT(replay), 0, 0}, {"--report", AT(report), 0, 0}, {"--sum", AT(sum), 0, 0}};

static const struct option *find(const struct option *options, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    }
    return NULL;
}

#define FIND(options, name) find(options, sizeof(options) / sizeof(options[0]), name)

static void read_faults(struct sim_arguments *arguments, const char *value)
{
    if (!sim_faults_parse(value, &arguments->narrowing.faults))
        refuse("--faults takes none, all, or names with commas between them, not '%s'", value);
    arguments->narrowing.faults_given = true;
}

static bool is_option(const char *name)
{
    return strcmp(name, "--seed") == 0 || strcmp(name, "--seeds") == 0 ||
           strcmp(name, "--faults") == 0 || strcmp(name, "--operations") == 0 ||
           FIND(numbers, name) != NULL || FIND(texts, name) != NULL;
}

static void read_option(struct sim_arguments *arguments, const char *name, const char *value)
{
    const struct option *number = FIND(numbers, name), *text = FIND(texts, name);
    if (strcmp(name, "--seed") == 0) {
        arguments->first = arguments->last = number_of(name, value, 0, UINT64_MAX - 1);
        arguments->one = true;
    } else if (strcmp(name, "--seeds") == 0) {
        read_seeds(arguments, value);
    } else if (strcmp(name, "--faults") == 0) {
        read_faults(arguments, value);
    } else if (strcmp(name, "--operations") == 0) {
        arguments->narrowing.operations = number_of(name, value, 1, UINT64_MAX - 1);
    } else if (number != NULL) {
        *(uint32_t *)((char *)arguments + number->offset) =
            (uint32_t)number_of(name, value, number->min, number->max);
    } else {
        TORC_ASSERT(text != NULL); /* is_option */
        *(const char **)((char *)arguments + text->offset) = value;
    }
}

static void check(const struct sim_arguments *arguments)
{
    if (arguments->one && arguments->report != NULL)
        refuse("--report is of a batch: give it with --seeds or --minutes");
    if (arguments->shrink && !arguments->one)
        refuse("--shrink needs one failing run: give it with --seed N");
    if (arguments->trace && !arguments->one)
        refuse("--trace shows one run: give it with --seed N");
    if (arguments->narrowing.replicas > 0 && arguments->narrowing.nodes > 0 &&
        arguments->narrowing.replicas > arguments->narrowing.nodes)
        refuse("--replicas %u needs at least as many nodes: they lie on distinct ones",
               arguments->narrowing.replicas);
}

struct sim_arguments sim_arguments_read(int argc, char **argv)
{
    struct sim_arguments arguments = {.first = 1, .last = SMOKE_SEEDS, .jobs = 1};
    bool single = false, many = false;
    for (int i = 1; i < argc; i++) {
        const struct option *flag = FIND(flags, argv[i]);
        if (strcmp(argv[i], "--help") == 0)
            usage();
        if (flag != NULL) {
            *((bool *)&arguments + flag->offset) = true;
            continue;
        }
        if (!is_option(argv[i]))
            refuse("there is no option '%s'", argv[i]);
        if (i + 1 == argc)
            refuse("%s needs a value behind it", argv[i]);
        read_option(&arguments, argv[i], argv[i + 1]);
        single |= strcmp(argv[i], "--seed") == 0;
        many |= strcmp(argv[i], "--seeds") == 0;
        i++;
    }
    if (single && many)
        refuse("--seed is for one run and --seeds for many: give one of them");
    if (arguments.minutes > 0 && !single && !many)
        arguments.last = UINT64_MAX - 1;
    const char *commit = getenv("TORC_COMMIT");
    arguments.commit = commit == NULL || commit[0] == '\0' ? "unknown" : commit;
    check(&arguments);
    return arguments;
}
