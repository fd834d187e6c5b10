#include "admin/process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

static char dir[SCRATCH_PATH_SIZE];

static void set_up(void)
{
    scratch_make(dir);
}

static void tear_down(void)
{
    scratch_remove(dir);
}

/* A program that is not there is an error with its name, not a process. */
TEST_BODY(process, what_cannot_start_says_why, set_up, tear_down)
{
    char log[SCRATCH_PATH_SIZE + 16], error[256];
    char *argv[] = {"/nowhere/torc-shard", NULL};
    snprintf(log, sizeof(log), "%s/s1.log", dir);
    cr_assert_eq(admin_process_start(argv, log, error, sizeof(error)).pid, 0);
    cr_assert_not_null(strstr(error, "/nowhere/torc-shard"));
    cr_assert_not_null(strstr(error, "No such file"));
}

/* The end of a log is its last lines, whole. */
TEST_BODY(process, the_tail_is_the_last_lines, set_up, tear_down)
{
    char log[SCRATCH_PATH_SIZE + 16], *text;
    size_t size;
    snprintf(log, sizeof(log), "%s/s1.log", dir);
    scratch_write(dir, "s1.log", "one\ntwo\nthree\n");
    FILE *out = open_memstream(&text, &size);
    admin_process_print_tail(log, 2, "> ", out);
    fclose(out);
    cr_assert_str_eq(text, "> two\n> three\n");
    free(text);
    out = open_memstream(&text, &size);
    admin_process_print_tail(log, 9, "", out);
    fclose(out);
    cr_assert_str_eq(text, "one\ntwo\nthree\n");
    free(text);
}

static void *thread_main(void *context)
{
    char byte;
    ssize_t size = read(*(int *)context, &byte, 1);
    (void)size;
    _exit(0);
}

static bool is_zombie(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *in = fopen(path, "re");
    cr_assert_not_null(in);
    cr_assert_not_null(fgets(text, sizeof(text), in));
    fclose(in);
    return strstr(text, ") Z ") != NULL;
}

/* A process whose first thread has ended and whose others still hold its files has not ended. */
Test(process, a_zombie_with_threads_still_runs, .timeout = 30)
{
    int fds[2];
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        close(fds[1]);
        if (pthread_create(&thread, NULL, thread_main, &fds[0]) == 0)
            pthread_exit(NULL);
        _exit(1);
    }
    struct admin_process process = admin_process_of(pid);
    while (!is_zombie(pid))
        sched_yield();
    cr_assert(admin_process_runs(process, NULL));
    close(fds[1]);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_assert(!admin_process_runs(process, NULL));
}

/* How a process ended, in words. */
Test(process, ends_are_described)
{
    char text[96];
    int wait_status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    cr_assert_eq(waitpid(pid, &wait_status, 0), pid);
    cr_assert_str_eq(admin_process_describe(wait_status, text, sizeof(text)),
                     "ended with exit status 3");
    pid = fork();
    if (pid == 0)
        raise(SIGKILL);
    cr_assert_eq(waitpid(pid, &wait_status, 0), pid);
    cr_assert_str_eq(admin_process_describe(wait_status, text, sizeof(text)),
                     "was killed by signal 9 (Killed)");
    cr_assert(!admin_process_runs(admin_process_of(pid), NULL));
    cr_assert(admin_process_runs(admin_process_of(getpid()), NULL));
}
