#include "tests/sim/batch.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum {
    BATCH_TEXT_SIZE = 4096,
    BATCH_LINES_MAX = 4096,
    BATCH_RUN_SECONDS_MAX = 300, /* A run of a batch that takes longer does not end. */
    BATCH_STACK_SIZE = 64 * 1024,
    BATCH_INTERRUPTED = 130, /* The status that shells give to what Ctrl-C ends. */
};

/* ---- One run. */

static struct sim *running; /* For the report of an assertion. */

/* An assertion ends the process: what was going on is said as for any other failure. */
static void on_signal(int number)
{
    signal(number, SIG_DFL);
    if (running != NULL && number == SIGALRM)
        sim_fail(running, "time", "the run goes on for more than %d s of true time",
                 BATCH_RUN_SECONDS_MAX);
    if (running != NULL)
        sim_fail(running, "assertion", "%s", number == SIGABRT ? "see above" : "a wild pointer");
    raise(number);
}

/* On a stack of their own: the other may be what has run out. */
static void catch_signals(void)
{
    static uint8_t stack[BATCH_STACK_SIZE];
    const stack_t apart = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    TORC_ASSERT(sigaltstack(&apart, NULL) == 0);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* A run in which little went wrong proves little: the drawing of options sees to it. */
static void check_enough(const struct sim *sim)
{
    if (sim_kinds(sim) < SIM_KINDS_MIN)
        sim_fail(sim, "coverage", "only %u kinds of fault happened", sim_kinds(sim));
    if (!sim->leader_changed)
        sim_fail(sim, "coverage", "no leader changed");
}

uint64_t sim_batch_run(const struct sim_arguments *arguments, uint64_t seed,
                       struct sim_tally *tally)
{
    struct sim_options options;
    sim_options_draw(&options, seed);
    sim_narrowing_apply(&arguments->narrowing, &options);
    if (arguments->one) {
        sim_options_print(&options, stdout);
        fflush(stdout);
    }
    catch_signals();
    static struct sim sim;
    uint64_t answered = tally->coverage.answered;
    running = &sim;
    sim_init(&sim, &options, &tally->coverage);
    sim.trace = arguments->trace;
    sim.commit = arguments->commit;
    uint64_t hash = sim_run(&sim);
    if (!sim_narrowing_any(&arguments->narrowing))
        check_enough(&sim);
    sim_tally_run(tally, sim.now_us, tally->coverage.answered - answered);
    sim_fini(&sim);
    running = NULL;
    return hash;
}

static void run_checked(const struct sim_arguments *arguments, uint64_t seed,
                        struct sim_tally *tally)
{
    uint64_t hash = sim_batch_run(arguments, seed, tally);
    if (arguments->twice && sim_batch_run(arguments, seed, tally) != hash) {
        fprintf(stderr, "FAILED: seed %llu: determinism: two runs differ\n",
                (unsigned long long)seed);
        exit(1);
    }
    if (arguments->one)
        printf("seed=%llu hash=%016llx\n", (unsigned long long)seed, (unsigned long long)hash);
}

/* ---- Side by side. Seeds are taken in their order, so when one fails all before it were taken. */

struct worker {
    pid_t pid;
    int status; /* With which it ended. */
    FILE *said; /* Its standard error. */
    uint64_t seed;
    struct sim_tally tally;
};

struct shared {
    atomic_uint_least64_t next;
    atomic_uint_least64_t end; /* No seed from here on: the last one, or one that failed. */
    struct worker workers[SIM_JOBS_MAX];
};

static uint64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static _Noreturn void work(const struct sim_arguments *arguments, struct shared *shared,
                           struct worker *worker, uint64_t deadline_us)
{
    dup2(fileno(worker->said), STDERR_FILENO);
    signal(SIGINT, SIG_IGN);          /* It is for whoever waits. */
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* Whoever waits for it ended. */
    signal(SIGALRM, on_signal);
    for (;;) {
        if (now_us(CLOCK_MONOTONIC) >= deadline_us)
            break;
        uint64_t seed = atomic_fetch_add(&shared->next, 1);
        if (seed >= atomic_load(&shared->end)) {
            atomic_fetch_sub(&shared->next, 1);
            break;
        }
        worker->seed = seed;
        alarm(BATCH_RUN_SECONDS_MAX);
        run_checked(arguments, seed, &worker->tally);
    }
    alarm(0);
    worker->tally.cpu_us = now_us(CLOCK_PROCESS_CPUTIME_ID);
    fflush(stdout);
    _exit(0);
}

static void show(FILE *said)
{
    char line[BATCH_TEXT_SIZE];
    rewind(said);
    while (fgets(line, sizeof(line), said) != NULL)
        fputs(line, stderr);
}

/* One that was killed had no time to say anything. */
static void show_failure(const struct sim_arguments *arguments, const struct worker *failed)
{
    show(failed->said);
    if (WIFSIGNALED(failed->status))
        fprintf(stderr,
                "FAILED: seed %llu: its process ended by signal %d (%s)\ncommit %s; replay: "
                "./dev sim --seed %llu --trace\n",
                (unsigned long long)failed->seed, WTERMSIG(failed->status),
                strsignal(WTERMSIG(failed->status)), arguments->commit,
                (unsigned long long)failed->seed);
}

/* Waits for all; the failed one with the lowest seed, or NULL. */
static struct worker *wait_all(struct shared *shared, uint32_t jobs)
{
    struct worker *failed = NULL;
    for (uint32_t left = jobs; left > 0; left--) {
        int status;
        pid_t pid = wait(&status);
        TORC_ASSERT(pid > 0);
        struct worker *worker = shared->workers;
        while (worker->pid != pid)
            worker++;
        worker->status = status;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        if (failed == NULL || worker->seed < failed->seed)
            failed = worker;
        atomic_store(&shared->end, failed->seed);
    }
    return failed;
}

static struct shared *share(void)
{
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TORC_ASSERT(memory != MAP_FAILED);
    return memory;
}

static void start(const struct sim_arguments *arguments, struct shared *shared,
                  uint64_t deadline_us)
{
    for (uint32_t i = 0; i < arguments->jobs; i++) {
        struct worker *worker = &shared->workers[i];
        worker->said = tmpfile();
        TORC_ASSERT(worker->said != NULL);
        fflush(stdout);
        pid_t pid = fork();
        TORC_ASSERT(pid >= 0);
        if (pid == 0)
            work(arguments, shared, worker, deadline_us);
        worker->pid = pid;
    }
}

/* The batch that runs: Ctrl-C ends it after the runs that are under way. */
static struct shared *interruptible;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
    atomic_store(&interruptible->end, 0);
}

static void catch_interrupts(struct shared *shared)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND; /* A second one ends it at once. */
    interruptible = shared;
    sigaction(SIGINT, &action, NULL);
}

/* False: a seed failed, and what it said was shown. */
static bool run_all(const struct sim_arguments *arguments, struct sim_tally *ret_tally)
{
    struct shared *shared = share();
    uint64_t began_us = now_us(CLOCK_MONOTONIC);
    uint64_t deadline_us =
        arguments->minutes == 0 ? UINT64_MAX : began_us + arguments->minutes * UINT64_C(60000000);
    atomic_store(&shared->next, arguments->first);
    atomic_store(&shared->end, arguments->last + 1);
    start(arguments, shared, deadline_us);
    catch_interrupts(shared);
    struct worker *failed = wait_all(shared, arguments->jobs);
    if (failed != NULL)
        show_failure(arguments, failed);
    for (uint32_t i = 0; i < arguments->jobs; i++) {
        sim_tally_add(ret_tally, &shared->workers[i].tally);
        fclose(shared->workers[i].said);
    }
    ret_tally->wall_us = now_us(CLOCK_MONOTONIC) - began_us;
    signal(SIGINT, SIG_DFL);
    munmap(shared, sizeof(*shared));
    return failed == NULL;
}

static int report(const struct sim_arguments *arguments, const struct sim_tally *tally)
{
    FILE *file = fopen(arguments->report, "a");
    if (file != NULL)
        sim_tally_write(tally, arguments->commit, arguments->first, file);
    if (file == NULL || fclose(file) != 0) {
        fprintf(stderr, "sim: --report %s: %s\n", arguments->report, strerror(errno));
        return 1;
    }
    return 0;
}

/* Hours later would be late to say that it can not be written. */
static bool may_report(const struct sim_arguments *arguments)
{
    if (arguments->report == NULL)
        return true;
    FILE *file = fopen(arguments->report, "a");
    if (file != NULL && fclose(file) == 0)
        return true;
    fprintf(stderr, "sim: --report %s: %s\n", arguments->report, strerror(errno));
    return false;
}

/* What all came to. The status of the program. */
static int conclude(const struct sim_arguments *arguments, const struct sim_tally *tally)
{
    if (tally->seeds > 0) {
        sim_tally_print(tally, stdout);
        printf("seeds %llu..%llu passed\n", (unsigned long long)arguments->first,
               (unsigned long long)(arguments->first + tally->seeds - 1));
    }
    int status = arguments->report == NULL || tally->seeds == 0 ? 0 : report(arguments, tally);
    if (interrupted != 0) {
        fprintf(stderr, "sim: interrupted after %llu seeds\n", (unsigned long long)tally->seeds);
        return BATCH_INTERRUPTED;
    }
    char missing[BATCH_TEXT_SIZE];
    if (!sim_narrowing_any(&arguments->narrowing) &&
        sim_tally_missing(tally, missing, sizeof(missing)) > 0) {
        fprintf(stderr, "FAILED: never happened in %llu seeds:%s\n",
                (unsigned long long)tally->seeds, missing);
        return 1;
    }
    return status;
}

int sim_batch_main(const struct sim_arguments *arguments)
{
    static struct sim_tally tally;
    if (arguments->one) {
        run_checked(arguments, arguments->first, &tally);
        return 0;
    }
    if (!may_report(arguments))
        return 2;
    if (!run_all(arguments, &tally))
        return 1;
    return conclude(arguments, &tally);
}

int sim_batch_replay(const struct sim_arguments *arguments)
{
    FILE *file = fopen(arguments->replay, "r");
    if (file == NULL) {
        fprintf(stderr, "sim: --replay %s: %s\n", arguments->replay, strerror(errno));
        return 2;
    }
    static struct sim_tally tally;
    char line[BATCH_TEXT_SIZE];
    while (fgets(line, sizeof(line), file) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 0);
        if (end != line)
            run_checked(arguments, seed, &tally);
    }
    fclose(file);
    if (tally.seeds == 0)
        fprintf(stderr, "sim: --replay %s: no line of it begins with a seed\n", arguments->replay);
    return tally.seeds == 0 ? 2 : 0;
}

/* ---- Adding up a report. */

struct range {
    uint64_t first, end;
};

/* What is wrong with a line beside those before it; NULL: nothing. */
static const char *line_flaw(const struct sim_tally_line *line, const char *commit,
                             const struct range *ranges, size_t count)
{
    if (strcmp(line->commit, commit) != 0)
        return "it is of another commit than the first line";
    for (size_t i = 0; i < count; i++) {
        if (line->first < ranges[i].end && ranges[i].first < line->first + line->tally.seeds)
            return "its seeds were in an earlier line";
    }
    return count == BATCH_LINES_MAX ? "there are too many lines" : NULL;
}

static int by_first(const void *one, const void *other)
{
    const struct range *a = one, *b = other;
    return (a->first > b->first) - (a->first < b->first);
}

/* What the whole is not; NULL: one unbroken range of one commit in which all happened that must. */
static const char *sum_flaw(struct range *ranges, size_t count, const char *commit,
                            const struct sim_tally *sum)
{
    static char text[BATCH_TEXT_SIZE];
    char missing[BATCH_TEXT_SIZE / 2];
    if (count == 0)
        return "it has no line of a report";
    if (strcmp(commit, "unknown") == 0)
        return "its commit is not known: ./dev sim names it";
    qsort(ranges, count, sizeof(*ranges), by_first);
    for (size_t i = 1; i < count; i++) {
        if (ranges[i].first == ranges[i - 1].end)
            continue;
        snprintf(text, sizeof(text),
                 "seeds %llu..%llu are in no line: a piece failed, or is missing",
                 (unsigned long long)ranges[i - 1].end, (unsigned long long)ranges[i].first - 1);
        return text;
    }
    if (sim_tally_missing(sum, missing, sizeof(missing)) == 0)
        return NULL;
    snprintf(text, sizeof(text), "never happened:%s", missing);
    return text;
}

int sim_batch_sum(const char *name)
{
    static struct range ranges[BATCH_LINES_MAX];
    static struct sim_tally_line line;
    static struct sim_tally sum;
    char commit[sizeof(line.commit)] = "", *text = NULL;
    size_t count = 0, size = 0;
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        fprintf(stderr, "sim: --sum %s: %s\n", name, strerror(errno));
        return 2;
    }
    while (getline(&text, &size, file) > 0) {
        bool read = sim_tally_read(text, &line);
        if (count == 0)
            memcpy(commit, line.commit, sizeof(commit));
        const char *flaw =
            read ? line_flaw(&line, commit, ranges, count) : "it is not a line of a report";
        if (flaw != NULL) {
            fprintf(stderr, "sim: --sum %s:%zu: %s\n", name, count + 1, flaw);
            return 2;
        }
        ranges[count++] = (struct range){line.first, line.first + line.tally.seeds};
        sim_tally_add(&sum, &line.tally);
    }
    free(text);
    fclose(file);
    if (count > 0)
        sim_tally_print(&sum, stdout);
    const char *flaw = sum_flaw(ranges, count, commit, &sum);
    if (flaw != NULL) {
        fprintf(stderr, "sim: --sum %s: %s\n", name, flaw);
        return 1;
    }
    printf("commit %s, seeds %llu..%llu in %zu pieces, %.1f minutes\n", commit,
           (unsigned long long)ranges[0].first, (unsigned long long)ranges[count - 1].end - 1,
           count, (double)sum.wall_us / 6e7);
    return 0;
}
