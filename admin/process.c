#include "admin/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

enum { PROC_TEXT_SIZE_MAX = 4096, TAIL_BYTES_MAX = 16384 };

/* The file /proc/PID/NAME, NUL-terminated; its size, 0 when there is none. */
static size_t proc_read(pid_t pid, const char *name, char *buffer, size_t buffer_size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, buffer, buffer_size - 1);
    close(fd);
    if (size < 0)
        size = 0;
    buffer[size] = '\0';
    return (size_t)size;
}

/* Whether all of it has ended, and its start time; false when there is no such process. A killed
 * process can be a zombie whose other threads still hold its ports and files for a moment. */
static bool stat_read(pid_t pid, bool *ret_ended, uint64_t *ret_start_time)
{
    char text[PROC_TEXT_SIZE_MAX];
    if (pid <= 0 || proc_read(pid, "stat", text, sizeof(text)) == 0)
        return false;
    char *at = strrchr(text, ')'); /* The name before it may hold anything. */
    if (at == NULL || strlen(at) < 4)
        return false;
    bool zombie = at[2] == 'Z' || at[2] == 'X';
    unsigned long long threads = 0;
    at += 2;
    for (int field = 3; field < 22; field++) {
        if (field == 20)
            threads = strtoull(at, NULL, 10);
        at = strchr(at, ' ');
        if (at == NULL)
            return false;
        at++;
    }
    *ret_ended = zombie && threads <= 1;
    *ret_start_time = strtoull(at, NULL, 10);
    return true;
}

struct admin_process admin_process_of(pid_t pid)
{
    bool ended;
    struct admin_process process = {.pid = pid};
    if (!stat_read(pid, &ended, &process.start_time))
        return (struct admin_process){0, 0};
    return process;
}

bool admin_process_runs(struct admin_process process, const char *mark)
{
    bool ended;
    uint64_t start_time;
    if (!stat_read(process.pid, &ended, &start_time) || start_time != process.start_time || ended)
        return false;
    if (mark == NULL)
        return true;
    char line[PROC_TEXT_SIZE_MAX];
    size_t size = proc_read(process.pid, "cmdline", line, sizeof(line));
    if (size == 0) /* It is ending and has given up its memory, and the line with it. */
        return true;
    for (size_t i = 0; i + 1 < size; i++) {
        if (line[i] == '\0')
            line[i] = ' ';
    }
    return strstr(line, mark) != NULL;
}

/* In the new process: never returns. */
static _Noreturn void child_run(char *const *argv, int log_fd, int error_fd)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (setsid() >= 0 && null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 &&
        dup2(log_fd, STDOUT_FILENO) >= 0 && dup2(log_fd, STDERR_FILENO) >= 0)
        execv(argv[0], argv);
    int error = errno;
    ssize_t written = write(error_fd, &error, sizeof(error));
    (void)written; /* Whoever reads sees an end without success either way. */
    _exit(127);
}

struct admin_process admin_process_start(char *const *argv, const char *log, char *ret_error,
                                         size_t error_size)
{
    int fds[2];
    int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0 || pipe2(fds, O_CLOEXEC) != 0) {
        snprintf(ret_error, error_size, "%s: %s", log, strerror(errno));
        if (log_fd >= 0)
            close(log_fd);
        return (struct admin_process){0, 0};
    }
    pid_t pid = fork();
    if (pid == 0)
        child_run(argv, log_fd, fds[1]);
    int error = errno;
    close(log_fd);
    close(fds[1]);
    /* The pipe closes when exec succeeds; else it says why not. */
    if (pid > 0 && read(fds[0], &error, sizeof(error)) != sizeof(error)) {
        close(fds[0]);
        return admin_process_of(pid);
    }
    close(fds[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    snprintf(ret_error, error_size, "%s cannot be started: %s", argv[0], strerror(error));
    return (struct admin_process){0, 0};
}

void admin_process_print_tail(const char *log, size_t line_count, const char *indent, FILE *out)
{
    TORC_ASSERT(line_count > 0);
    char text[TAIL_BYTES_MAX + 1];
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    ssize_t size = pread(fd, text, TAIL_BYTES_MAX, end > TAIL_BYTES_MAX ? end - TAIL_BYTES_MAX : 0);
    close(fd);
    if (size <= 0)
        return;
    if (text[size - 1] == '\n')
        size--;
    text[size] = '\0';
    char *at = text + size;
    while (at > text && line_count > 0) {
        at--;
        if (*at == '\n')
            line_count--;
    }
    if (*at == '\n')
        at++;
    char *rest = NULL;
    for (char *line = strtok_r(at, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        fprintf(out, "%s%s\n", indent, line);
}

const char *admin_process_describe(int wait_status, char *buffer, size_t buffer_size)
{
    if (WIFSIGNALED(wait_status))
        snprintf(buffer, buffer_size, "was killed by signal %d (%s)", WTERMSIG(wait_status),
                 strsignal(WTERMSIG(wait_status)));
    else
        snprintf(buffer, buffer_size, "ended with exit status %d", WEXITSTATUS(wait_status));
    return buffer;
}
