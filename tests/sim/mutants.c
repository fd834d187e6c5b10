#include "tests/sim/mutants.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "paxos/mutant.h"
#include "tests/sim/batch.h"

enum {
    MUTANTS_SEEDS_MAX = 1000,
    MUTANTS_TEXT_SIZE = 160,
    MUTANTS_CHECKER_SIZE = 32,
    MUTANTS_RUN_SECONDS_MAX = 60, /* A run that takes longer is ended, and proves nothing. */
};

/* ---- The list. */

struct mutant {
    const char *name;
    int above, consensus; /* enum torc_mutant or enum paxos_mutant; the other is none. */
};

static const struct mutant list[] = {{"NONE", 0, 0},
#define ABOVE(name, text) {#name, TORC_MUTANT_##name, 0},
                                     TORC_MUTANT_LIST(ABOVE)
#undef ABOVE
#define CONSENSUS(name, text) {#name, 0, PAXOS_MUTANT_##name},
                                         PAXOS_MUTANT_LIST(CONSENSUS)
#undef CONSENSUS
};
enum { MUTANT_COUNT = sizeof(list) / sizeof(list[0]) };

/* Who may notice, and the first seed at which one of them did. */
struct notice {
    const char *name, *checkers;
    uint64_t seed;
};

static const struct notice notices[] = {
#include "tests/sim/mutants.inc"
};

/* What a failure may begin with, but for mistakes of the simulator itself (`setup`). */
static const char checkers_known[] =
    "agreement amnesiac answers assertion ballots bounds chosen clock codec counters coverage "
    "credit deadline delivery durable effects expiry lease library linearizability liveness log "
    "map order "
    "own ownership promises reads recovery resp routes scan trimming words";

static const struct notice *notice_of(const char *name)
{
    for (size_t i = 0; i < sizeof(notices) / sizeof(notices[0]); i++) {
        if (strcmp(notices[i].name, name) == 0)
            return &notices[i];
    }
    return NULL;
}

/* Whether `checker` is one of the words. */
static bool is_named(const char *words, const char *checker)
{
    size_t size = strlen(checker);
    for (const char *at = words; *at != '\0'; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == size && strncmp(at, checker, size) == 0)
            return true;
        at += word;
    }
    return false;
}

/* Whether a word of the command line, NAME or NAME=CHECKERS, is about this one. */
static bool is_about(const char *word, const char *name)
{
    size_t size = strlen(name);
    return strncmp(word, name, size) == 0 && (word[size] == '\0' || word[size] == '=');
}

/* Who may notice it: those of the command line, or of the list. */
static const char *checkers_of(const struct sim_mutants *options, const char *name)
{
    for (uint32_t i = 0; i < options->name_count; i++) {
        const char *given = strchr(options->names[i], '=');
        if (given != NULL && is_about(options->names[i], name))
            return given + 1;
    }
    const struct notice *notice = notice_of(name);
    return notice == NULL || notice->checkers == NULL ? "" : notice->checkers;
}

/* ---- One mutant, judged by a process of its own. What it finds out stands in shared memory. */

struct verdict {
    bool done, caught;
    uint64_t seed; /* That was run last. */
    uint64_t runs;
    uint32_t others; /* Failures that do not count. */
    double seconds;
    char checker[MUTANTS_CHECKER_SIZE], text[MUTANTS_TEXT_SIZE];
    uint64_t
        hashes[MUTANTS_SEEDS_MAX + 1]; /* Of runs that passed; 0: it did not, or was not run. */
};

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TORC_ASSERT(memory != MAP_FAILED);
    return memory;
}

/* Runs seeds until one fails. */
static _Noreturn void run_seeds(const struct mutant *mutant, struct verdict *verdict, uint64_t last,
                                FILE *said)
{
    static struct sim_tally tally;
    const struct sim_arguments arguments = {.commit = "a mutant"};
    dup2(fileno(said), STDERR_FILENO);
    torc_mutant = (enum torc_mutant)mutant->above;
    paxos_mutant = (enum paxos_mutant)mutant->consensus;
    while (verdict->seed < last) {
        verdict->seed++;
        verdict->runs++;
        alarm(MUTANTS_RUN_SECONDS_MAX);
        verdict->hashes[verdict->seed] = sim_batch_run(&arguments, verdict->seed, &tally);
    }
    _exit(0);
}

/* What the process that ran said last: which checker, and its sentence. False: nothing of that. */
static bool read_failure(FILE *said, struct verdict *verdict)
{
    char line[512];
    rewind(said);
    while (fgets(line, sizeof(line), said) != NULL) {
        int at = 0;
        if (sscanf(line, "FAILED: seed %*u: %31[a-z]: %n", verdict->checker, &at) < 1 || at == 0)
            continue;
        snprintf(verdict->text, sizeof(verdict->text), "%.*s", (int)strcspn(line + at, "\n"),
                 line + at);
        return true;
    }
    return false;
}

static void judge(const struct mutant *mutant, const char *checkers, uint64_t last,
                  struct verdict *verdict)
{
    while (verdict->seed < last && !verdict->caught) {
        FILE *said = tmpfile();
        TORC_ASSERT(said != NULL);
        pid_t child = fork();
        TORC_ASSERT(child >= 0);
        if (child == 0)
            run_seeds(mutant, verdict, last, said);
        int status;
        TORC_ASSERT(waitpid(child, &status, 0) == child);
        bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        verdict->caught =
            failed && read_failure(said, verdict) && is_named(checkers, verdict->checker);
        verdict->others += failed && !verdict->caught;
        fclose(said);
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static _Noreturn void judge_alone(const struct mutant *mutant, const struct sim_mutants *options,
                                  struct verdict *verdict)
{
    const struct notice *notice = notice_of(mutant->name);
    double began = seconds();
    if (options->quick && notice != NULL && notice->seed > 0)
        verdict->seed = notice->seed - 1;
    judge(mutant, checkers_of(options, mutant->name), options->seeds, verdict);
    verdict->seconds = seconds() - began;
    verdict->done = true;
    _exit(0);
}

/* ---- All of them. */

/* Whether all its runs were those of the sound program, to the byte. */
static bool is_equal(const struct verdict *verdict, const struct verdict *sound, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        if (verdict->hashes[seed] != sound->hashes[seed])
            return false;
    }
    return verdict->others == 0;
}

static void print(const struct mutant *mutant, const struct verdict *verdict, const char *word)
{
    printf("%-26s %-8s ", mutant->name, word);
    if (verdict->caught)
        printf("by %-16s seed %4llu, %3llu runs, %5.1f s", verdict->checker,
               (unsigned long long)verdict->seed, (unsigned long long)verdict->runs,
               verdict->seconds);
    else
        printf("%llu runs, %.1f s", (unsigned long long)verdict->runs, verdict->seconds);
    if (verdict->others > 0)
        printf(" (%u by others)", verdict->others);
    printf("%s%.100s\n", verdict->caught ? ": " : "", verdict->caught ? verdict->text : "");
    fflush(stdout);
}

static bool is_wanted(const struct sim_mutants *options, const char *name)
{
    const struct notice *notice = notice_of(name);
    if (options->quick && (notice == NULL || notice->seed == 0))
        return false;
    for (uint32_t i = 0; i < options->name_count; i++) {
        if (is_about(options->names[i], name))
            return true;
    }
    return options->name_count == 0 && (notice == NULL || notice->checkers != NULL);
}

/* All names are known. */
static bool check_names(const struct sim_mutants *options)
{
    for (uint32_t n = 0; n < options->name_count; n++) {
        uint32_t i = 1;
        while (i < MUTANT_COUNT && !is_about(options->names[n], list[i].name))
            i++;
        if (i == MUTANT_COUNT) {
            fprintf(stderr,
                    "sim: there is no mutant '%s'; base/mutant.h and paxos/mutant.h list "
                    "them\n",
                    options->names[n]);
            return false;
        }
    }
    return true;
}

/* A word that stands at `words`, as text of its own. */
static void copy_word(const char *words, char ret_word[MUTANTS_CHECKER_SIZE])
{
    size_t size = strcspn(words, " ");
    size = size < MUTANTS_CHECKER_SIZE ? size : MUTANTS_CHECKER_SIZE - 1;
    memcpy(ret_word, words, size);
    ret_word[size] = '\0';
}

/* The first of the words that is no checker. False: all are. */
static bool find_stranger(const char *words, char ret_word[MUTANTS_CHECKER_SIZE])
{
    for (const char *at = words + strspn(words, " "); *at != '\0'; at += strspn(at, " ")) {
        copy_word(at, ret_word);
        if (!is_named(checkers_known, ret_word))
            return true;
        at += strcspn(at, " ");
    }
    return false;
}

/* Who alone is to count is known as well. */
static bool check_checkers(const struct sim_mutants *options)
{
    char word[MUTANTS_CHECKER_SIZE] = "";
    for (size_t i = 0; i < sizeof(notices) / sizeof(notices[0]); i++)
        TORC_ASSERT(notices[i].checkers == NULL || !find_stranger(notices[i].checkers, word));
    for (uint32_t n = 0; n < options->name_count; n++) {
        const char *given = strchr(options->names[n], '=');
        if (given == NULL)
            continue;
        bool none = given[1 + strspn(given + 1, " ")] == '\0';
        if (!none && !find_stranger(given + 1, word))
            continue;
        fprintf(stderr, "sim: there is no checker '%s'; there are: %s\n", none ? "" : word,
                checkers_known);
        return false;
    }
    return true;
}

static void judge_all(const struct sim_mutants *options, struct verdict *verdicts)
{
    uint32_t running = 0, shown = 1;
    for (uint32_t i = 1; i < MUTANT_COUNT; i++) {
        if (!is_wanted(options, list[i].name))
            continue;
        if (running == options->jobs && wait(NULL) > 0)
            running--;
        for (; shown < i && (verdicts[shown].done || !is_wanted(options, list[shown].name));
             shown++) {
            if (verdicts[shown].caught)
                print(&list[shown], &verdicts[shown], "caught");
        }
        fflush(stdout);
        pid_t child = fork();
        TORC_ASSERT(child >= 0);
        if (child == 0)
            judge_alone(&list[i], options, &verdicts[i]);
        running++;
    }
    while (wait(NULL) > 0)
        continue;
    for (; shown < MUTANT_COUNT; shown++) {
        if (verdicts[shown].caught)
            print(&list[shown], &verdicts[shown], "caught");
    }
}

int sim_mutants_main(const struct sim_mutants *options)
{
    if (options->seeds > MUTANTS_SEEDS_MAX || !check_names(options) || !check_checkers(options))
        return 2;
    struct verdict *verdicts = share(MUTANT_COUNT * sizeof(*verdicts));
    judge_all(options, verdicts);
    uint32_t caught = 0, wanted = 0;
    for (uint32_t i = 1; i < MUTANT_COUNT; i++) {
        if (!is_wanted(options, list[i].name))
            continue;
        wanted++;
        caught += verdicts[i].caught;
        if (verdicts[i].caught)
            continue;
        if (verdicts[0].seed < options->seeds)
            judge(&list[0], "", options->seeds, &verdicts[0]);
        print(&list[i], &verdicts[i],
              is_equal(&verdicts[i], &verdicts[0], options->seeds) ? "EQUAL" : "SURVIVES");
    }
    printf("%u of %u caught\n", caught, wanted);
    return wanted > 0 && caught == wanted ? 0 : 1;
}
