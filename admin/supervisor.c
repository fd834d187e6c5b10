#include "admin/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "admin/report.h"
#include "base/assert.h"

enum { RESPAWN_PAUSE_MS = 1000, TAIL_LINES = 8, REQUEST_MS_MAX = 1000 };

struct supervisor {
    const struct admin_supervisor_plan *plan;
    const struct admin_dev *dev;
    struct admin_run run;
    uint64_t respawn_at_ms[ADMIN_DEV_PROCESSES_MAX]; /* 0: not waiting to be started again. */
    int signal_fd, control_fd;
    int front_fd; /* The caller's end of life; -1 when detached. */
};

int admin_supervisor_lock(const struct admin_dev *dev)
{
    char path[PATH_MAX];
    admin_dev_file_path(dev, "lock", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && error == EWOULDBLOCK)
        return -1;
    admin_fail("%s: %s", path, strerror(error));
    return -2;
}

/* ---- Ending processes ------------------------------------------------------------------------ */

/* Reaps it when it is a child of ours. */
static bool process_gone(const struct admin_dev *dev, const struct admin_run *run, size_t index)
{
    if (run->processes[index].pid == 0)
        return true;
    pid_t reaped = waitpid(run->processes[index].pid, NULL, WNOHANG);
    return reaped == run->processes[index].pid || !admin_run_alive(dev, run, index);
}

/* SIGTERM to [first, last), all at once, then SIGKILL to whatever is still there after the bound.
 */
static void stop_range(const struct admin_dev *dev, struct admin_run *run, size_t first,
                       size_t last, FILE *out)
{
    uint64_t deadline_ms = admin_now_ms() + ADMIN_STOP_MS_MAX;
    bool escalated = false;
    for (size_t i = first; i < last; i++) {
        if (!process_gone(dev, run, i)) {
            kill(run->processes[i].pid, SIGTERM);
            kill(run->processes[i].pid, SIGCONT); /* One that is stopped could not end. */
        }
    }
    for (bool waiting = true; waiting;) {
        waiting = false;
        for (size_t i = first; i < last; i++) {
            if (process_gone(dev, run, i)) {
                run->processes[i] = (struct admin_process){0, 0};
                continue;
            }
            waiting = true;
            if (!escalated && admin_now_ms() >= deadline_ms) {
                char name[ADMIN_DEV_NAME_SIZE];
                fprintf(out,
                        "torc-admin: %s (pid %d) did not end within %d s of SIGTERM: killing "
                        "it\n",
                        admin_dev_name(dev, i, name), (int)run->processes[i].pid,
                        ADMIN_STOP_MS_MAX / 1000);
                kill(run->processes[i].pid, SIGKILL);
            }
        }
        escalated = escalated || admin_now_ms() >= deadline_ms;
        if (waiting)
            admin_sleep_ms(10);
    }
}

void admin_supervisor_stop(const struct admin_dev *dev, struct admin_run *run, size_t index,
                           FILE *out)
{
    if (index != SIZE_MAX) {
        stop_range(dev, run, index, index + 1, out);
        return;
    }
    stop_range(dev, run, dev->node_count, admin_dev_process_count(dev), out);
    stop_range(dev, run, 0, dev->node_count, out);
}

/* ---- The supervisor's own process ------------------------------------------------------------ */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char stamp[16];
    struct tm local;
    struct timespec now;
    va_list arguments;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(stamp, sizeof(stamp), "%H:%M:%S", &local);
    fprintf(stderr, "%s ", stamp);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* Starts process `index`; false and why. */
static bool process_start(struct supervisor *supervisor, size_t index, char *ret_error,
                          size_t error_size)
{
    const struct admin_supervisor_plan *plan = supervisor->plan;
    bool router = admin_dev_is_router(supervisor->dev, index);
    const struct admin_texts *sets = router ? &plan->router_sets : &plan->shard_sets;
    char config[PATH_MAX], log[PATH_MAX];
    char *argv[4 + 2 * ADMIN_TEXTS_MAX];
    size_t argc = 0;
    admin_dev_path(supervisor->dev, index, ".yaml", config);
    admin_dev_path(supervisor->dev, index, ".log", log);
    argv[argc++] = (char *)(uintptr_t)(router ? plan->router_binary : plan->shard_binary);
    argv[argc++] = (char *)(uintptr_t) "--config";
    argv[argc++] = config;
    for (size_t i = 0; i < sets->count; i++) {
        argv[argc++] = (char *)(uintptr_t) "--set";
        argv[argc++] = (char *)(uintptr_t)sets->items[i];
    }
    argv[argc] = NULL;
    supervisor->respawn_at_ms[index] = 0;
    supervisor->run.processes[index] = admin_process_start(argv, log, ret_error, error_size);
    admin_run_store(supervisor->dev, &supervisor->run);
    return supervisor->run.processes[index].pid != 0;
}

/* Says what ended and how; plans its start if that is wanted. */
static void process_ended(struct supervisor *supervisor, size_t index, int wait_status)
{
    char name[ADMIN_DEV_NAME_SIZE], how[96], log[PATH_MAX];
    admin_dev_name(supervisor->dev, index, name);
    admin_dev_path(supervisor->dev, index, ".log", log);
    say("%s (pid %d) %s; the last lines of %s:", name, (int)supervisor->run.processes[index].pid,
        admin_process_describe(wait_status, how, sizeof(how)), log);
    admin_process_print_tail(log, TAIL_LINES, "    ", stderr);
    supervisor->run.processes[index] = (struct admin_process){0, 0};
    admin_run_store(supervisor->dev, &supervisor->run);
    if (supervisor->plan->respawn) {
        supervisor->respawn_at_ms[index] = admin_now_ms() + RESPAWN_PAUSE_MS;
        say("%s is started again in %d s", name, RESPAWN_PAUSE_MS / 1000);
    } else {
        say("%s stays down; `dev restart %s` starts it", name, name);
    }
}

static void children_reap(struct supervisor *supervisor)
{
    int wait_status;
    for (pid_t pid; (pid = waitpid(-1, &wait_status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < admin_dev_process_count(supervisor->dev); i++) {
            if (supervisor->run.processes[i].pid == pid)
                process_ended(supervisor, i, wait_status);
        }
    }
}

static void respawn_due(struct supervisor *supervisor)
{
    char error[PATH_MAX + 128];
    for (size_t i = 0; i < admin_dev_process_count(supervisor->dev); i++) {
        uint64_t at_ms = supervisor->respawn_at_ms[i];
        if (at_ms != 0 && at_ms <= admin_now_ms() &&
            !process_start(supervisor, i, error, sizeof(error)))
            say("%s", error);
    }
}

/* "restart s1": ends it if it runs, starts it. Writes the answer. */
static void restart(struct supervisor *supervisor, const char *name, char *answer,
                    size_t answer_size)
{
    size_t index = admin_dev_find(supervisor->dev, name);
    if (index == SIZE_MAX) {
        snprintf(answer, answer_size, "there is no process %.40s; `dev ps` lists them", name);
        return;
    }
    admin_supervisor_stop(supervisor->dev, &supervisor->run, index, stderr);
    if (process_start(supervisor, index, answer, answer_size)) {
        say("%s started again (pid %d)", name, (int)supervisor->run.processes[index].pid);
        snprintf(answer, answer_size, "ok");
    }
}

/* Answers one connection of DIR/control; true when everything is to end. */
static bool control_serve(struct supervisor *supervisor)
{
    char request[64], answer[ADMIN_CONTROL_TEXT_SIZE];
    int fd = accept4(supervisor->control_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    struct timeval bound = {.tv_sec = REQUEST_MS_MAX / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
    ssize_t size = recv(fd, request, sizeof(request) - 1, 0); /* A line this short comes whole. */
    request[size > 0 ? size : 0] = '\0';
    request[strcspn(request, "\n")] = '\0';
    bool down = strcmp(request, "down") == 0;
    if (down) {
        admin_supervisor_stop(supervisor->dev, &supervisor->run, SIZE_MAX, stderr);
        snprintf(answer, sizeof(answer), "ok");
    } else if (strncmp(request, "restart ", 8) == 0) {
        restart(supervisor, request + 8, answer, sizeof(answer));
    } else {
        snprintf(answer, sizeof(answer), "the supervisor knows only 'restart ID' and 'down'");
    }
    admin_run_store(supervisor->dev, &supervisor->run);
    send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    close(fd);
    return down;
}

/* Until it is told to end: by a signal, by "down", or by the end of whoever started it. */
static void supervise(struct supervisor *supervisor)
{
    struct pollfd fds[] = {{.fd = supervisor->signal_fd, .events = POLLIN},
                           {.fd = supervisor->control_fd, .events = POLLIN},
                           {.fd = supervisor->front_fd, .events = POLLIN}};
    for (;;) {
        int timeout_ms = supervisor->plan->respawn ? RESPAWN_PAUSE_MS / 4 : -1;
        if (poll(fds, 3, timeout_ms) < 0 && errno != EINTR)
            return;
        if (fds[0].revents != 0) {
            struct signalfd_siginfo info;
            if (read(supervisor->signal_fd, &info, sizeof(info)) == sizeof(info) &&
                info.ssi_signo != SIGCHLD)
                return;
            children_reap(supervisor);
        }
        if (fds[1].revents != 0 && control_serve(supervisor))
            return;
        if (fds[2].revents != 0)
            return;
        respawn_due(supervisor);
    }
}

/* Starts all; on a failure stops what was started and says why to the caller. */
static bool processes_start(struct supervisor *supervisor, int report_fd)
{
    char error[PATH_MAX + 128] = "";
    for (size_t i = 0; i < admin_dev_process_count(supervisor->dev); i++) {
        if (!process_start(supervisor, i, error, sizeof(error))) {
            admin_supervisor_stop(supervisor->dev, &supervisor->run, SIZE_MAX, stderr);
            break;
        }
    }
    const char *text = error[0] == '\0' ? "ok" : error;
    return send(report_fd, text, strlen(text), MSG_NOSIGNAL) > 0 && error[0] == '\0';
}

/* In the forked process; `report_fd` is its end of the pair. */
static _Noreturn void supervisor_main(const struct admin_supervisor_plan *plan, int control_fd,
                                      int report_fd)
{
    static struct supervisor supervisor;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    setsid(); /* Ctrl-C reaches the caller alone, which then asks for the end in order. */
    supervisor.plan = plan;
    supervisor.dev = plan->dev;
    supervisor.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    supervisor.control_fd = control_fd;
    supervisor.front_fd = plan->detached ? -1 : report_fd;
    supervisor.run.supervisor = admin_process_of(getpid());
    if (processes_start(&supervisor, report_fd)) {
        if (plan->detached)
            close(report_fd);
        supervise(&supervisor);
        admin_supervisor_stop(plan->dev, &supervisor.run, SIZE_MAX, stderr);
    }
    memset(&supervisor.run.supervisor, 0, sizeof(supervisor.run.supervisor));
    admin_run_store(plan->dev, &supervisor.run);
    _exit(0);
}

/* ---- The caller's side ----------------------------------------------------------------------- */

/* A socket at DIR/control, whatever the length of DIR: a socket's path has 107 bytes at most, so
 * the directory is named by a descriptor. -1 and errno. */
static int control_open(const struct admin_dev *dev, bool listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int dir_fd = open(dev->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (dir_fd < 0 || fd < 0)
        goto fail;
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", dir_fd);
    const struct sockaddr *at = (const struct sockaddr *)&address;
    if (listening) {
        unlink(address.sun_path);
        if (bind(fd, at, sizeof(address)) != 0 || listen(fd, 16) != 0)
            goto fail;
    } else if (connect(fd, at, sizeof(address)) != 0) {
        goto fail;
    }
    close(dir_fd);
    return fd;

fail:
    if (fd >= 0)
        close(fd);
    if (dir_fd >= 0)
        close(dir_fd);
    return -1;
}

/* Messages of a detached supervisor go to its log. */
static void output_detach(const struct admin_dev *dev)
{
    char path[PATH_MAX];
    admin_dev_file_path(dev, "supervisor.log", path);
    int log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log_fd >= 0 && null_fd >= 0) {
        dup2(null_fd, STDIN_FILENO);
        dup2(log_fd, STDOUT_FILENO);
        dup2(log_fd, STDERR_FILENO);
    }
}

pid_t admin_supervisor_start(const struct admin_supervisor_plan *plan, int lock_fd)
{
    TORC_ASSERT(lock_fd >= 0);
    int pair[2];
    int control_fd = control_open(plan->dev, true);
    if (control_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        admin_fail("%s/control: %s", plan->dev->dir, strerror(errno));
        return 0;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        if (plan->detached)
            output_detach(plan->dev);
        supervisor_main(plan, control_fd, pair[1]);
    }
    close(control_fd);
    close(lock_fd); /* The supervisor's copy of the descriptor keeps the lock. */
    close(pair[1]);
    char report[PATH_MAX + 128] = "it ended before it had started anything";
    ssize_t size = pid > 0 ? recv(pair[0], report, sizeof(report) - 1, 0) : 0;
    if (size > 0)
        report[size] = '\0';
    if (strcmp(report, "ok") != 0) {
        admin_fail("the supervisor: %s", pid > 0 ? report : strerror(errno));
        if (pid > 0)
            waitpid(pid, NULL, 0);
        close(pair[0]);
        return 0;
    }
    if (plan->detached)
        close(pair[0]); /* Otherwise open until this process ends: that is how the other side knows.
                         */
    return pid;
}

int admin_supervisor_ask(const struct admin_dev *dev, const char *request, unsigned timeout_ms,
                         char ret_reason[ADMIN_CONTROL_TEXT_SIZE])
{
    ret_reason[0] = '\0';
    int fd = control_open(dev, false);
    if (fd < 0)
        return 1;
    struct timeval bound = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    ssize_t size = send(fd, request, strlen(request), MSG_NOSIGNAL);
    if (size > 0) {
        do { /* With a time limit it is not taken up again by itself after a signal. */
            size = recv(fd, ret_reason, ADMIN_CONTROL_TEXT_SIZE - 1, 0);
        } while (size < 0 && errno == EINTR);
    }
    int error = errno;
    close(fd);
    if (size > 0)
        ret_reason[size] = '\0';
    else
        snprintf(ret_reason, ADMIN_CONTROL_TEXT_SIZE, "the supervisor did not answer%s%s",
                 size < 0 ? ": " : "", size < 0 ? strerror(error) : "");
    return strcmp(ret_reason, "ok") == 0 ? 0 : 1;
}
