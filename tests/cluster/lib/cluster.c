#include "tests/cluster/lib/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum {
    OUTPUT_SIZE = 1 << 20,
    POLL_MS = 10,
    DOWN_MS_MAX = 30000,
    PORT_FIRST = 20000,
    PORT_LAST = 30000,
    TAIL_BYTES = 3000,
    LIVE_MAX = 8,
};

/* Clusters that are to be ended when the test ends, however it ends. */
static struct cluster *live[LIVE_MAX];
static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- Failing --------------------------------------------------------------------------------- */

static void tail_print(const char *path)
{
    char text[TAIL_BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    ssize_t size = pread(fd, text, TAIL_BYTES, end > TAIL_BYTES ? end - TAIL_BYTES : 0);
    close(fd);
    fprintf(stderr, "---- the end of %s:\n%.*s\n", path, (int)(size < 0 ? 0 : size), text);
}

static void logs_print(const struct cluster *cluster)
{
    char path[SCRATCH_PATH_SIZE + 32];
    for (uint32_t i = 1; i <= cluster->nodes; i++) {
        snprintf(path, sizeof(path), "%s/s%u.log", cluster->dir, i);
        tail_print(path);
    }
    static const char *const others[] = {"r1.log", "supervisor.log"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", cluster->dir, others[i]);
        tail_print(path);
    }
}

static void live_end(void)
{
    for (size_t i = 0; i < LIVE_MAX; i++) {
        if (live[i] == NULL)
            continue;
        static char output[4096];
        const char *words[] = {"dev", "down", NULL}, *none[] = {NULL};
        cluster_ask(live[i], output, sizeof(output), words, none);
        live[i] = NULL;
    }
}

void cluster_fail(const char *format, ...)
{
    va_list arguments;
    pthread_mutex_lock(&fail_lock); /* Held to the end: one reason is enough. */
    va_start(arguments, format);
    fputs("FAILED: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    for (size_t i = 0; i < LIVE_MAX; i++) {
        if (live[i] != NULL)
            logs_print(live[i]);
    }
    live_end();
    fflush(NULL);
    _exit(1);
}

/* A test that is told to end (its time is up) ends its clusters first. */
static void end_handle(int number)
{
    (void)number;
    live_end();
    _exit(1);
}

static void live_add(struct cluster *cluster)
{
    static bool prepared;
    if (!prepared) {
        prepared = true;
        signal(SIGTERM, end_handle);
        signal(SIGINT, end_handle);
        signal(SIGPIPE, SIG_IGN);
        CLUSTER_CHECK(atexit(live_end) == 0);
    }
    for (size_t i = 0; i < LIVE_MAX; i++) {
        if (live[i] == NULL) {
            live[i] = cluster;
            return;
        }
    }
    cluster_fail("a test has more than %d clusters", LIVE_MAX);
}

static void live_remove(const struct cluster *cluster)
{
    for (size_t i = 0; i < LIVE_MAX; i++) {
        if (live[i] == cluster)
            live[i] = NULL;
    }
}

/* ---- Time ------------------------------------------------------------------------------------ */

uint64_t cluster_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t cluster_now_ms(void)
{
    return cluster_now_ns() / 1000000;
}

void cluster_wait(bool (*condition)(void *context), void *context, uint64_t timeout_ms,
                  const char *what)
{
    uint64_t deadline_ms = cluster_now_ms() + timeout_ms;
    while (!condition(context)) {
        if (cluster_now_ms() >= deadline_ms)
            cluster_fail("waited %llu ms in vain until %s", (unsigned long long)timeout_ms, what);
        struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

/* ---- torc-admin ------------------------------------------------------------------------------ */

/* From the test's data, or where $TORC_BIN_DIR says. */
static const char *binary_path(char path[SCRATCH_PATH_SIZE], const char *dir, const char *name)
{
    const char *chosen = getenv("TORC_BIN_DIR"), *data = getenv("TEST_SRCDIR");
    if (chosen != NULL)
        snprintf(path, SCRATCH_PATH_SIZE, "%s/%s", chosen, name);
    else if (data != NULL)
        snprintf(path, SCRATCH_PATH_SIZE, "%s/torc/%s/%s", data, dir, name);
    else
        snprintf(path, SCRATCH_PATH_SIZE, "bazel-bin/%s/%s", dir, name);
    return path;
}

const char *cluster_shard_binary(void)
{
    static char path[SCRATCH_PATH_SIZE];
    return binary_path(path, "shard/driver", "torc-shard");
}

void cluster_id(const struct cluster *cluster, char ret_id[CLUSTER_ID_DIGITS + 1])
{
    char path[SCRATCH_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/cluster.json", cluster->dir);
    json_t *json = json_load_file(path, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "cluster"));
    CLUSTER_CHECK(text != NULL && strlen(text) == CLUSTER_ID_DIGITS);
    memcpy(ret_id, text, CLUSTER_ID_DIGITS + 1);
    json_decref(json);
}

int cluster_program(char *output, size_t output_size, const char *const *argv)
{
    int fds[2];
    CLUSTER_CHECK(pipe2(fds, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(fds[1], STDOUT_FILENO) >= 0 && dup2(fds[1], STDERR_FILENO) >= 0)
            execv(argv[0], (char *const *)(uintptr_t)argv);
        dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(fds[1]);
    size_t used = 0;
    char rest[4096];
    for (;;) {
        size_t room = output_size - 1 - used;
        ssize_t size =
            room > 0 ? read(fds[0], output + used, room) : read(fds[0], rest, sizeof(rest));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            break;
        used += room > 0 ? (size_t)size : 0;
    }
    output[used] = '\0';
    close(fds[0]);
    int wait_status = 0;
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

int cluster_admin(char *output, size_t output_size, const char *const *arguments)
{
    char path[SCRATCH_PATH_SIZE];
    const char *argv[CLUSTER_ARGUMENTS_MAX + 2] = {binary_path(path, "admin", "torc-admin")};
    for (size_t count = 1; arguments[count - 1] != NULL; count++) {
        CLUSTER_CHECK(count <= CLUSTER_ARGUMENTS_MAX);
        argv[count] = arguments[count - 1];
    }
    return cluster_program(output, output_size, argv);
}

int cluster_ask(const struct cluster *cluster, char *output, size_t output_size,
                const char *const *words, const char *const *arguments)
{
    const char *all[CLUSTER_ARGUMENTS_MAX + 1];
    size_t count = 0;
    for (; words[count] != NULL; count++)
        all[count] = words[count];
    all[count++] = "--dir";
    all[count++] = cluster->dir;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        CLUSTER_CHECK(count < CLUSTER_ARGUMENTS_MAX);
        all[count++] = arguments[i];
    }
    all[count] = NULL;
    return cluster_admin(output, output_size, all);
}

/* ---- Starting and ending --------------------------------------------------------------------- */

static bool port_free(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLUSTER_CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool free = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return free;
}

/* The first of nodes + 1 free ports in a row, below the range of outgoing connections; tests that
 * run side by side begin to look at different places. */
/* One for the router, one for each node; the one before them is free too, for tests that need it.
 */
static uint16_t ports_find(uint32_t nodes)
{
    uint32_t span = PORT_LAST - PORT_FIRST - nodes;
    uint32_t first = (uint32_t)getpid() * 37 % span;
    for (uint32_t tried = 0; tried < span; tried++) {
        uint16_t port = (uint16_t)(PORT_FIRST + (first + tried) % span);
        uint32_t free_count = 0;
        while (free_count <= nodes + 1 && port_free((uint16_t)(port - 1 + free_count)))
            free_count++;
        if (free_count > nodes + 1)
            return port;
    }
    cluster_fail("no %u free ports in a row from %d to %d", nodes + 1, PORT_FIRST, PORT_LAST);
}

/* A directory of binaries in which torc-shard is another one. */
static void bin_dir_make(const struct cluster *cluster, const char *dir)
{
    char path[SCRATCH_PATH_SIZE], found[PATH_MAX], link[SCRATCH_PATH_SIZE + 16];
    CLUSTER_CHECK(mkdir(dir, 0755) == 0);
    CLUSTER_CHECK(realpath(binary_path(path, "admin", "torc-admin"), found) != NULL);
    snprintf(link, sizeof(link), "%s/torc-admin", dir);
    CLUSTER_CHECK(symlink(found, link) == 0);
    CLUSTER_CHECK(realpath(cluster->options.shard_binary, found) != NULL);
    snprintf(link, sizeof(link), "%s/torc-shard", dir);
    CLUSTER_CHECK(symlink(found, link) == 0);
}

/* `dev up` with the binaries that the options name. */
static int up_ask(const struct cluster *cluster, char *output, size_t output_size,
                  const char *const *arguments)
{
    const char *words[] = {"dev", "up", NULL}, *usual = getenv("TORC_BIN_DIR");
    char dir[SCRATCH_PATH_SIZE], kept[SCRATCH_PATH_SIZE];
    if (cluster->options.shard_binary == NULL)
        return cluster_ask(cluster, output, output_size, words, arguments);
    snprintf(dir, sizeof(dir), "%.480s/bin", cluster->scratch);
    if (access(dir, F_OK) != 0)
        bin_dir_make(cluster, dir);
    snprintf(kept, sizeof(kept), "%s", usual == NULL ? "" : usual);
    setenv("TORC_BIN_DIR", dir, 1);
    int code = cluster_ask(cluster, output, output_size, words, arguments);
    if (usual == NULL)
        unsetenv("TORC_BIN_DIR");
    else
        setenv("TORC_BIN_DIR", kept, 1);
    return code;
}

int cluster_try_up(struct cluster *cluster, char *output, size_t output_size)
{
    char nodes[16], shards[16], port[16];
    const char *arguments[CLUSTER_ARGUMENTS_MAX];
    size_t count = 0;
    snprintf(nodes, sizeof(nodes), "%u", cluster->nodes);
    snprintf(shards, sizeof(shards), "%u", cluster->shards);
    snprintf(port, sizeof(port), "%u", cluster->port);
    const char *fixed[] = {"--detach", "--no-load", "--nodes", nodes,
                           "--shards", shards,      "--port",  port};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        arguments[count++] = fixed[i];
    if (cluster->options.respawn)
        arguments[count++] = "--respawn";
    if (cluster->options.lease_ms != NULL) {
        arguments[count++] = "--lease";
        arguments[count++] = cluster->options.lease_ms;
    }
    if (cluster->options.segment_size != NULL && access(cluster->dir, F_OK) != 0) {
        arguments[count++] = "--segment-size";
        arguments[count++] = cluster->options.segment_size;
    }
    for (size_t i = 0; i < CLUSTER_SETS_MAX && cluster->options.sets[i] != NULL; i++) {
        CLUSTER_CHECK(count + 3 < CLUSTER_ARGUMENTS_MAX);
        arguments[count++] = "--set";
        arguments[count++] = cluster->options.sets[i];
    }
    arguments[count] = NULL;
    return up_ask(cluster, output, output_size, arguments);
}

void cluster_up(struct cluster *cluster)
{
    static char output[OUTPUT_SIZE];
    int code = cluster_try_up(cluster, output, sizeof(output));
    if (code != 0)
        cluster_fail("dev up: exit status %d\n%s", code, output);
}

void cluster_prepare(struct cluster *cluster, const struct cluster_options *options)
{
    memset(cluster, 0, sizeof(*cluster));
    cluster->options = *options;
    cluster->nodes = options->nodes == 0 ? 3 : options->nodes;
    cluster->shards = options->shards == 0 ? 3 : options->shards;
    scratch_make(cluster->scratch);
    int size = snprintf(cluster->dir, sizeof(cluster->dir), "%s/cluster", cluster->scratch);
    CLUSTER_CHECK(size > 0 && (size_t)size < sizeof(cluster->dir));
    cluster->port = ports_find(cluster->nodes);
    live_add(cluster);
}

void cluster_start(struct cluster *cluster, const struct cluster_options *options)
{
    cluster_prepare(cluster, options);
    cluster_up(cluster);
}

void cluster_down(struct cluster *cluster)
{
    static char output[OUTPUT_SIZE];
    const char *words[] = {"dev", "down", NULL}, *none[] = {NULL};
    int code = cluster_ask(cluster, output, sizeof(output), words, none);
    if (code != 0)
        cluster_fail("dev down: exit status %d\n%s", code, output);
}

void cluster_stop(struct cluster *cluster)
{
    cluster_down(cluster);
    live_remove(cluster);
    scratch_remove(cluster->scratch);
}

/* ---- Processes ------------------------------------------------------------------------------- */

static void field_copy(json_t *json, const char *name, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(json, name));
    snprintf(to, size, "%s", text == NULL ? "" : text);
}

/* The JSON that a command prints; NULL when it prints something else. */
static json_t *json_ask(const struct cluster *cluster, const char *const *words)
{
    const char *arguments[] = {"--json", NULL};
    char *output = malloc(OUTPUT_SIZE);
    CLUSTER_CHECK(output != NULL);
    cluster_ask(cluster, output, OUTPUT_SIZE, words, arguments);
    json_error_t error;
    json_t *json = json_loads(output, JSON_DISABLE_EOF_CHECK, &error);
    free(output);
    return json;
}

size_t cluster_processes(const struct cluster *cluster,
                         struct cluster_process ret_list[CLUSTER_NODES_MAX + 1])
{
    const char *words[] = {"dev", "ps", NULL};
    json_t *list = json_ask(cluster, words), *item;
    size_t i;
    CLUSTER_CHECK(json_is_array(list) && json_array_size(list) <= CLUSTER_NODES_MAX + 1);
    json_array_foreach(list, i, item)
    {
        struct cluster_process *process = &ret_list[i];
        memset(process, 0, sizeof(*process));
        field_copy(item, "role", process->role, sizeof(process->role));
        field_copy(item, "id", process->id, sizeof(process->id));
        field_copy(item, "addr", process->addr, sizeof(process->addr));
        field_copy(item, "resp", process->resp, sizeof(process->resp));
        field_copy(item, "dir", process->dir, sizeof(process->dir));
        field_copy(item, "log", process->log, sizeof(process->log));
        const char *state = json_string_value(json_object_get(item, "state"));
        process->running = state != NULL && strcmp(state, "running") == 0;
        process->pid = (pid_t)json_integer_value(json_object_get(item, "pid"));
    }
    size_t count = json_array_size(list);
    json_decref(list);
    return count;
}

struct cluster_process cluster_process(const struct cluster *cluster, const char *id)
{
    struct cluster_process list[CLUSTER_NODES_MAX + 1];
    size_t count = cluster_processes(cluster, list);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].id, id) == 0)
            return list[i];
    }
    cluster_fail("dev ps lists no process %s", id);
}

struct down_question {
    const struct cluster *cluster;
    const char *id; /* NULL: all. */
};

static bool is_down(void *context)
{
    const struct down_question *question = context;
    struct cluster_process list[CLUSTER_NODES_MAX + 1];
    size_t count = cluster_processes(question->cluster, list);
    for (size_t i = 0; i < count; i++) {
        if (list[i].running && (question->id == NULL || strcmp(list[i].id, question->id) == 0))
            return false;
    }
    return true;
}

void cluster_wait_ended(const struct cluster *cluster, const char *id, uint64_t timeout_ms)
{
    struct down_question question = {cluster, id};
    cluster_wait(is_down, &question, timeout_ms, "a process has ended");
}

void cluster_signal(const struct cluster *cluster, const char *id, int number)
{
    struct cluster_process process = cluster_process(cluster, id);
    if (process.pid <= 0 || kill(process.pid, number) != 0)
        cluster_fail("%s (pid %d) cannot be sent signal %d", id, (int)process.pid, number);
    if (number == SIGKILL)
        cluster_wait_ended(cluster, id, DOWN_MS_MAX);
}

/* No such process, or one that waits to be reaped: its files are closed. */
static bool has_ended(void *context)
{
    const pid_t *pid = context;
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)*pid);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return true;
    size_t size = fread(text, 1, sizeof(text) - 1, in);
    text[size] = '\0';
    fclose(in);
    return size == 0 || strstr(text, ") Z ") != NULL;
}

void cluster_kill_supervisor(const struct cluster *cluster)
{
    char path[SCRATCH_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/run.json", cluster->dir);
    json_t *run = json_load_file(path, 0, NULL);
    pid_t supervisor =
        (pid_t)json_integer_value(json_object_get(json_object_get(run, "supervisor"), "pid"));
    json_decref(run);
    CLUSTER_CHECK(supervisor > 0 && kill(supervisor, SIGKILL) == 0);
    cluster_wait(has_ended, &supervisor, DOWN_MS_MAX, "the killed supervisor has ended");
}

void cluster_kill_all(struct cluster *cluster)
{
    struct cluster_process list[CLUSTER_NODES_MAX + 1];
    size_t count = cluster_processes(cluster, list);
    cluster_kill_supervisor(cluster); /* First, so that it notices nothing. */
    for (size_t i = 0; i < count; i++) {
        if (list[i].running)
            kill(list[i].pid, SIGKILL);
    }
    struct down_question question = {cluster, NULL};
    cluster_wait(is_down, &question, DOWN_MS_MAX, "all killed processes are down");
}

void cluster_restart(const struct cluster *cluster, const char *id)
{
    char output[8192];
    const char *words[] = {"dev", "restart", NULL}, *arguments[] = {id, NULL};
    int code = cluster_ask(cluster, output, sizeof(output), words, arguments);
    if (code != 0)
        cluster_fail("dev restart %s: exit status %d\n%s", id, code, output);
}

bool cluster_log_says(const struct cluster *cluster, const char *id, const char *text)
{
    struct cluster_process process = cluster_process(cluster, id);
    FILE *in = fopen(process.log, "re");
    if (in == NULL)
        return false;
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    while (!found && getline(&line, &capacity, in) >= 0)
        found = strstr(line, text) != NULL;
    free(line);
    fclose(in);
    return found;
}

/* ---- Status ---------------------------------------------------------------------------------- */

json_t *cluster_status(const struct cluster *cluster)
{
    const char *words[] = {"status", NULL};
    return json_ask(cluster, words);
}

uint32_t cluster_leader(const struct cluster *cluster, uint32_t group)
{
    json_t *status = cluster_status(cluster), *item;
    uint32_t leader = 0;
    size_t i;
    json_array_foreach(json_object_get(status, "groups"), i, item)
    {
        if (json_integer_value(json_object_get(item, "group")) == group)
            leader = (uint32_t)json_integer_value(json_object_get(item, "leader"));
    }
    json_decref(status);
    return leader;
}

static bool is_served(void *context)
{
    const struct cluster *cluster = context;
    json_t *status = cluster_status(cluster), *item;
    size_t i, served = 0;
    json_array_foreach(json_object_get(status, "groups"), i, item)
    {
        if (json_is_integer(json_object_get(item, "leader")))
            served++;
    }
    json_decref(status);
    return served == cluster->shards + 1;
}

void cluster_wait_served(const struct cluster *cluster, uint64_t timeout_ms)
{
    cluster_wait(is_served, (void *)(uintptr_t)cluster, timeout_ms, "every group is served");
}

/* Whether the replicas of one group are at the same place with the same state. */
static bool group_converged(json_t *group)
{
    json_t *first = NULL, *replica;
    size_t i;
    json_array_foreach(json_object_get(group, "replicas"), i, replica)
    {
        if (first == NULL)
            first = replica;
        if (!json_equal(json_object_get(replica, "applied"), json_object_get(first, "applied")) ||
            !json_equal(json_object_get(replica, "chosen"), json_object_get(replica, "applied")) ||
            !json_equal(json_object_get(replica, "state_hash"),
                        json_object_get(first, "state_hash")))
            return false;
    }
    return first != NULL;
}

static bool is_converged(void *context)
{
    json_t *status = cluster_status(context), *group;
    size_t i, count = 0;
    bool all = true;
    json_array_foreach(json_object_get(status, "groups"), i, group)
    {
        all = all && group_converged(group);
        count++;
    }
    json_decref(status);
    return all && count == ((const struct cluster *)context)->shards + 1;
}

void cluster_wait_converged(const struct cluster *cluster, uint64_t timeout_ms)
{
    cluster_wait(is_converged, (void *)(uintptr_t)cluster, timeout_ms,
                 "all replicas of every group have applied the same");
}
