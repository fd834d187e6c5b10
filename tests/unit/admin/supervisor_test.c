#include "admin/supervisor.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/report.h"
#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

/* Stand-ins for the two programs: they stay until a signal; a shard says so and ends well. */
static const char shard_text[] = "#!/bin/sh\n"
                                 "trap 'echo ends; exit 0' TERM\n"
                                 "echo \"starts $*\"\n"
                                 "while :; do sleep 0.05; done\n";
static const char deaf_text[] =
    "#!/bin/sh\ntrap '' TERM\necho deaf\nwhile :; do sleep 0.05; done\n";

enum { WAIT_MS_MAX = 20000 };

static char dir[SCRATCH_PATH_SIZE], shard[PATH_MAX], deaf[PATH_MAX];
static struct admin_dev dev;
static struct admin_supervisor_plan plan;

static void set_up(void)
{
    cr_assert_eq(admin_dev_load(scratch_make(dir), &dev), ADMIN_DEV_ABSENT);
    memcpy(dev.cluster, "00112233445566778899aabbccddeeff", ADMIN_ID_TEXT_SIZE);
    dev.node_count = 2;
    dev.shard_count = 1;
    dev.port = 7000;
    snprintf(shard, sizeof(shard), "%s/shard.sh", dir);
    snprintf(deaf, sizeof(deaf), "%s/deaf.sh", dir);
    scratch_write(dir, "shard.sh", shard_text);
    scratch_write(dir, "deaf.sh", deaf_text);
    cr_assert_eq(chmod(shard, 0755), 0);
    cr_assert_eq(chmod(deaf, 0755), 0);
    memset(&plan, 0, sizeof(plan));
    plan.dev = &dev;
    plan.shard_binary = plan.router_binary = shard;
    plan.detached = true;
}

static void tear_down(void)
{
    scratch_remove(dir);
}

static pid_t start(void)
{
    int lock_fd = admin_supervisor_lock(&dev);
    cr_assert_geq(lock_fd, 0);
    pid_t pid = admin_supervisor_start(&plan, lock_fd);
    cr_assert_neq(pid, 0);
    return pid;
}

static bool alive(size_t index)
{
    struct admin_run run;
    admin_run_load(&dev, &run);
    return admin_run_alive(&dev, &run, index);
}

static pid_t pid_of(size_t index)
{
    struct admin_run run;
    admin_run_load(&dev, &run);
    return run.processes[index].pid;
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        uint64_t deadline_ms = admin_now_ms() + WAIT_MS_MAX;                                       \
        while (!(condition)) {                                                                     \
            cr_assert_lt(admin_now_ms(), deadline_ms, "waited in vain for %s", #condition);        \
            admin_sleep_ms(5);                                                                     \
        }                                                                                          \
    } while (0)

/* Whether a file of the directory holds the text. */
static bool file_says(const char *name, const char *text)
{
    char path[PATH_MAX], content[8192] = "";
    admin_dev_file_path(&dev, name, path);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        return false;
    content[fread(content, 1, sizeof(content) - 1, in)] = '\0';
    fclose(in);
    return strstr(content, text) != NULL;
}

static void expect_ask(const char *request, const char *expected)
{
    char reason[ADMIN_CONTROL_TEXT_SIZE];
    admin_supervisor_ask(&dev, request, WAIT_MS_MAX, reason);
    cr_assert_str_eq(reason, expected);
}

/* All run with their settings file; "down" ends them in order, and the lock is free again. */
TEST_BODY(supervisor, starts_all_and_ends_all, set_up, tear_down)
{
    pid_t pid = start();
    for (size_t i = 0; i < 3; i++)
        cr_assert(alive(i));
    WAIT_FOR(file_says("s2.log", "s2.yaml"));
    cr_assert_eq(admin_supervisor_lock(&dev), -1);
    WAIT_FOR(file_says("s1.log", "starts") && file_says("r1.log", "starts"));
    expect_ask("down", "ok");
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    for (size_t i = 0; i < 3; i++)
        cr_assert(!alive(i));
    cr_assert(file_says("s1.log", "ends"));
    int lock_fd = admin_supervisor_lock(&dev);
    cr_assert_geq(lock_fd, 0);
    close(lock_fd);
}

/* What is killed stays down, is named with how and its last lines, and starts again when asked to.
 */
TEST_BODY(supervisor, says_what_ended_and_restarts_on_demand, set_up, tear_down)
{
    pid_t pid = start();
    WAIT_FOR(file_says("s2.log", "starts"));
    pid_t killed = pid_of(1);
    kill(killed, SIGKILL);
    WAIT_FOR(pid_of(1) == 0);
    WAIT_FOR(file_says("supervisor.log", "was killed by signal 9") &&
             file_says("supervisor.log", "s2 stays down"));
    cr_assert(file_says("supervisor.log", "    starts --config"));
    cr_assert(alive(0) && alive(2) && !alive(1));
    expect_ask("restart s2", "ok");
    cr_assert(alive(1));
    cr_assert_neq(pid_of(1), killed);
    pid_t before = pid_of(0);
    expect_ask("restart s1", "ok");
    cr_assert(alive(0));
    cr_assert_neq(pid_of(0), before);
    expect_ask("restart s9", "there is no process s9; `dev ps` lists them");
    expect_ask("explode", "the supervisor knows only 'restart ID' and 'down'");
    expect_ask("down", "ok");
    waitpid(pid, NULL, 0);
}

/* With respawn it starts again by itself. */
TEST_BODY(supervisor, respawns_when_told_to, set_up, tear_down)
{
    plan.respawn = true;
    pid_t pid = start();
    pid_t killed = pid_of(0);
    kill(killed, SIGKILL);
    WAIT_FOR(pid_of(0) != killed && alive(0));
    expect_ask("down", "ok");
    waitpid(pid, NULL, 0);
    cr_assert(!alive(0));
}

/* What a dead supervisor leaves goes on, and can be ended by anybody; SIGSTOP is no obstacle. */
TEST_BODY(supervisor, orphans_can_be_ended, set_up, tear_down)
{
    pid_t pid = start();
    struct admin_run run;
    WAIT_FOR(file_says("s1.log", "starts") && file_says("s2.log", "starts"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_assert(alive(0) && alive(1) && alive(2));
    char reason[ADMIN_CONTROL_TEXT_SIZE];
    cr_assert_eq(admin_supervisor_ask(&dev, "down", 1000, reason), 1);
    cr_assert_str_eq(reason, "");
    int lock_fd = admin_supervisor_lock(&dev);
    cr_assert_geq(lock_fd, 0, "the lock must not outlive the supervisor in its children");
    admin_run_load(&dev, &run);
    kill(run.processes[1].pid, SIGSTOP);
    admin_supervisor_stop(&dev, &run, SIZE_MAX, stderr);
    cr_assert(!alive(0) && !alive(1) && !alive(2));
    close(lock_fd);
}

/* One that does not hear SIGTERM is killed after the bound, and that is said. */
TEST_BODY(supervisor, escalates_and_says_so, set_up, tear_down, .timeout = 60)
{
    plan.router_binary = deaf;
    pid_t pid = start();
    WAIT_FOR(file_says("r1.log", "deaf"));
    expect_ask("down", "ok");
    waitpid(pid, NULL, 0);
    cr_assert(!alive(2));
    cr_assert(file_says("supervisor.log", "r1 (pid "));
    cr_assert(file_says("supervisor.log", "did not end within 10 s of SIGTERM: killing it"));
}

static void signal_note(int number)
{
    (void)number;
}

/* A signal to the one who asks (a second Ctrl-C, the end of a child) does not lose the answer. */
TEST_BODY(supervisor, answer_survives_signals, set_up, tear_down)
{
    struct sigaction note = {.sa_handler = signal_note};
    struct itimerval every = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    pid_t pid = start();
    cr_assert_eq(sigaction(SIGALRM, &note, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
    expect_ask("down", "ok");
    cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_assert(!alive(0) && !alive(2));
}

/* In the foreground everything ends with whoever started it, however that ended. */
TEST_BODY(supervisor, foreground_ends_with_its_caller, set_up, tear_down)
{
    plan.detached = false;
    int ready[2];
    char byte;
    cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
    pid_t caller = fork();
    if (caller == 0) {
        int lock_fd = admin_supervisor_lock(&dev);
        bool good = lock_fd >= 0 && admin_supervisor_start(&plan, lock_fd) != 0;
        if (write(ready[1], good ? "y" : "n", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert_eq(byte, 'y');
    cr_assert(alive(0));
    kill(caller, SIGKILL);
    waitpid(caller, NULL, 0);
    WAIT_FOR(!alive(0) && !alive(1) && !alive(2));
    int lock_fd = -1;
    WAIT_FOR((lock_fd = admin_supervisor_lock(&dev)) >= 0);
    close(lock_fd);
}

/* A program that is missing is an error before anything is said to run. */
TEST_BODY(supervisor, missing_program_starts_nothing, set_up, tear_down)
{
    plan.router_binary = "/nowhere/torc-router";
    int lock_fd = admin_supervisor_lock(&dev);
    cr_assert_eq(admin_supervisor_start(&plan, lock_fd), 0);
    cr_assert(!alive(0) && !alive(1));
}
