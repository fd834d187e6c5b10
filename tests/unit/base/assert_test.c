#include "base/assert.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A condition that holds is evaluated once and does nothing. */
Test(assert, true_condition_is_evaluated_once)
{
    int count = 0;
    TORC_ASSERT(++count == 1);
    cr_assert_eq(count, 1);
}

/* A condition that does not hold aborts, in this build as in every other. */
Test(assert, false_condition_aborts, .signal = SIGABRT)
{
    TORC_ASSERT(1 + 1 == 3);
}

/* The last words name the expression, the file and the line. */
Test(assert, message_names_expression_file_and_line)
{
    int pipe_fds[2];
    cr_assert_eq(pipe(pipe_fds), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        torc_assert_fail("slot > 0", "paxos/window.c", 17);
    }
    close(pipe_fds[1]);
    char said[256];
    ssize_t size = read(pipe_fds[0], said, sizeof(said) - 1);
    cr_assert_gt(size, 0);
    said[size] = '\0';
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    cr_assert_str_eq(said, "assertion failed: slot > 0 at paxos/window.c:17\n");
}
