/*
 * admin/process -- processes of a dev cluster: starting them with their log, telling whether a pid
 * noted earlier is still the same process, ending them.
 */
#ifndef TORC_ADMIN_PROCESS_H
#define TORC_ADMIN_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* A pid alone may have been given to another process since. */
struct admin_process {
    pid_t pid;           /* 0: none. */
    uint64_t start_time; /* Field 22 of /proc/PID/stat: clock ticks since the machine started. */
};

/* Of a living process, such as this one; pid 0 when there is none. */
struct admin_process admin_process_of(pid_t pid);
/*
 * Whether it still runs: same pid, same start time, not ended with all its threads, and `mark`
 * (when not NULL) is part of its command line. The start time alone could repeat after the machine
 * started again.
 */
bool admin_process_runs(struct admin_process process, const char *mark);

/*
 * Starts argv[0] (a path) in a session of its own, standard input from nowhere, output and errors
 * appended to the file `log`. Returns pid 0 and writes why when it cannot be started.
 */
struct admin_process admin_process_start(char *const *argv, const char *log, char *ret_error,
                                         size_t error_size);

/* The last `line_count` lines of a file, each after `indent`; nothing when there is none. */
void admin_process_print_tail(const char *log, size_t line_count, const char *indent, FILE *out);

/* "was killed by signal 9 (Killed)", "ended with exit status 1": of a wait status. */
const char *admin_process_describe(int wait_status, char *buffer, size_t buffer_size);

#endif /* TORC_ADMIN_PROCESS_H */
