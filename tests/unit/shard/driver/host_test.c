#include "shard/driver/host.h"

#include <criterion/criterion.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "net/call.h"
#include "shard/driver/format.h"
#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

/* torc-shard as a process of its own, alone and without a map: what concerns its life, its address
 * and its settings. What nodes do together is tests/cluster's. */

#define CLUSTER "00112233445566778899aabbccddeeff"

enum { CALL_MS = 5000, DIR_SIZE = SCRATCH_PATH_SIZE + 32, TEXT_SIZE = 16384 };

static char scratch[SCRATCH_PATH_SIZE], dir[DIR_SIZE];

struct process {
    pid_t pid;
    int log;
    char text[TEXT_SIZE]; /* What it has logged. */
    char address[128];    /* "": it did not start. */
};

static void format(const char *path)
{
    char *argv[] = {"format", "--dir", (char *)(uintptr_t)path, "--cluster", CLUSTER,
                    "--node", "2",     "--segment-size",        "20971520"};
    optind = 1; /* getopt begins anew. */
    cr_assert_eq(shard_driver_format(sizeof(argv) / sizeof(argv[0]), argv), 0);
}

static void set_up(void)
{
    scratch_make(scratch);
    snprintf(dir, sizeof(dir), "%s/data", scratch);
    format(dir);
}

static void tear_down(void)
{
    scratch_remove(scratch);
}

static void run(const char *path, const char *const *sets, int log)
{
    struct shard_driver_config config = {0};
    struct base_settings_error error;
    struct base_settings *settings = shard_driver_settings(&config);
    char dir_set[DIR_SIZE + 8];
    snprintf(dir_set, sizeof(dir_set), "dir=%s", path);
    bool good = base_settings_set(settings, "cluster=" CLUSTER, &error) == TORC_OK &&
                base_settings_set(settings, "node=2", &error) == TORC_OK &&
                base_settings_set(settings, dir_set, &error) == TORC_OK &&
                base_settings_set(settings, "listen=tcp://127.0.0.1:*", &error) == TORC_OK;
    for (size_t i = 0; sets[i] != NULL; i++)
        good = good && base_settings_set(settings, sets[i], &error) == TORC_OK;
    base_log_open(BASE_LOG_INFO, log);
    signal(SIGPIPE, SIG_IGN);
    int code = good ? shard_host_run(&config) : 9;
    base_settings_free(settings);
    _exit(code);
}

/* Reads its log until it holds the text or ends. */
static bool read_until(struct process *process, const char *text)
{
    size_t size = strlen(process->text);
    while (strstr(process->text, text) == NULL && size < TEXT_SIZE - 1) {
        ssize_t got = read(process->log, process->text + size, TEXT_SIZE - 1 - size);
        if (got <= 0)
            return false;
        size += (size_t)got;
        process->text[size] = '\0';
    }
    return strstr(process->text, text) != NULL;
}

/* Runs a node in a child until it has started or ended. */
static void start_in(struct process *process, const char *path, const char *const *sets)
{
    int ends[2];
    memset(process, 0, sizeof(*process));
    cr_assert_eq(pipe(ends), 0);
    process->pid = fork();
    cr_assert_geq(process->pid, 0);
    if (process->pid == 0) {
        close(ends[0]);
        run(path, sets, ends[1]);
    }
    close(ends[1]);
    process->log = ends[0];
    if (!read_until(process, "event=started"))
        return;
    const char *at = strstr(strstr(process->text, "event=started"), "listen=");
    cr_assert_not_null(at);
    sscanf(at, "listen=%127[^ \n]", process->address);
}

static void start(struct process *process)
{
    start_in(process, dir, (const char *const[]){NULL});
}

/* Sends the signal, unless 0, and returns the exit status. */
static int end(struct process *process, int number)
{
    int status;
    if (number != 0)
        cr_assert_eq(kill(process->pid, number), 0);
    read_until(process, "no such line: up to the end");
    cr_assert_eq(waitpid(process->pid, &status, 0), process->pid);
    close(process->log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void expect_says(const struct process *process, const char *text)
{
    cr_assert_not_null(strstr(process->text, text), "no '%s' in: %s", text, process->text);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* A node that runs says who it is, in this life and in the next. */
TEST_BODY(shard_driver_host, status_is_answered, set_up, tear_down)
{
    struct wire_id cluster = {.bytes = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                                        0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}};
    for (uint32_t life = 1; life <= 2; life++) {
        struct process process;
        struct net_client *client;
        struct wire_envelope answer;
        const ProtobufCMessage *body;
        Torc__Wire__StatusRequest request = TORC__WIRE__STATUS_REQUEST__INIT;
        start(&process);
        cr_assert_neq(process.address[0], '\0', "%s", process.text);
        cr_assert_eq(net_client_open(process.address, &cluster, &client), TORC_OK);
        cr_assert_eq(net_client_call(client, WIRE_TYPE_STATUS_REQUEST, &request.base,
                                     base_bytes_of(NULL, 0), WIRE_TYPE_STATUS, CALL_MS, &answer,
                                     &body),
                     TORC_OK);
        const Torc__Wire__StatusReply *reply = (const Torc__Wire__StatusReply *)body;
        cr_assert_eq(reply->node, 2);
        cr_assert_eq(reply->incarnation, life);
        cr_assert_not(reply->initialised);
        cr_assert_eq(reply->n_replicas, 0);
        net_client_close(client);
        cr_assert_eq(end(&process, SIGTERM), 0, "%s", process.text);
    }
}

/* What is meant for another cluster is not answered. */
TEST_BODY(shard_driver_host, another_cluster_is_not_answered, set_up, tear_down)
{
    struct wire_id cluster = {.bytes = {1}};
    struct process process;
    struct net_client *client;
    struct wire_envelope answer;
    const ProtobufCMessage *body;
    Torc__Wire__StatusRequest request = TORC__WIRE__STATUS_REQUEST__INIT;
    start(&process);
    cr_assert_eq(net_client_open(process.address, &cluster, &client), TORC_OK);
    cr_assert_eq(net_client_call(client, WIRE_TYPE_STATUS_REQUEST, &request.base,
                                 base_bytes_of(NULL, 0), WIRE_TYPE_STATUS, 500, &answer, &body),
                 TORC_TIMEOUT);
    net_client_close(client);
    cr_assert_eq(end(&process, SIGTERM), 0);
}

/* Either signal that asks for the end gets an orderly one. */
TEST_BODY(shard_driver_host, a_signal_ends_it, set_up, tear_down)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct process process;
        start(&process);
        cr_assert_eq(end(&process, numbers[i]), 0, "%s", process.text);
        expect_says(&process, "event=stopping");
        expect_says(&process, "event=stopped node=2 status=0");
    }
}

/* After SIGKILL the next start finds the directory unlocked and whole. */
TEST_BODY(shard_driver_host, a_killed_one_starts_again, set_up, tear_down)
{
    struct process process;
    start(&process);
    cr_assert_eq(end(&process, SIGKILL), -SIGKILL);
    start(&process);
    expect_says(&process, "incarnation=2");
    cr_assert_eq(end(&process, SIGTERM), 0);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

/* A taken port is named, and the data is left to who has it next. */
TEST_BODY(shard_driver_host, a_taken_port_is_named, set_up, tear_down)
{
    char other[DIR_SIZE], listen[160];
    struct process process, second;
    start(&process);
    snprintf(listen, sizeof(listen), "listen=%s", process.address);
    snprintf(other, sizeof(other), "%s/other", scratch);
    format(other);
    start_in(&second, other, (const char *const[]){listen, NULL});
    cr_assert_eq(second.address[0], '\0');
    cr_assert_eq(end(&second, 0), 1);
    expect_says(&second, "event=listen_failed");
    expect_says(&second, process.address);
    cr_assert_eq(end(&process, SIGTERM), 0);
}

/* A second process on the same directory is refused; the first goes on. */
TEST_BODY(shard_driver_host, a_directory_has_one_process, set_up, tear_down)
{
    struct process process, second;
    start(&process);
    start(&second);
    cr_assert_eq(end(&second, 0), 1);
    expect_says(&second, "event=refused");
    expect_says(&second, "lock");
    cr_assert_eq(end(&process, SIGTERM), 0);
}

/* Other than loopback needs to be asked for, and every such start says what it means. */
TEST_BODY(shard_driver_host, other_addresses_need_insecure, set_up, tear_down)
{
    struct process process;
    start_in(&process, dir, (const char *const[]){"listen=tcp://0.0.0.0:*", NULL});
    cr_assert_eq(end(&process, 0), 1);
    expect_says(&process, "event=listen_failed");
    expect_says(&process, "insecure");
    start_in(&process, dir, (const char *const[]){"insecure=true", NULL});
    expect_says(&process, "event=insecure");
    expect_says(&process, "anybody");
    cr_assert_eq(end(&process, SIGTERM), 0);
}

/* No start makes a data directory. */
TEST_BODY(shard_driver_host, nothing_is_made_by_a_start, set_up, tear_down)
{
    struct process process;
    scratch_remove(dir);
    start(&process);
    cr_assert_eq(end(&process, 0), 1);
    expect_says(&process, "event=refused");
    expect_says(&process, dir);
    cr_assert_neq(access(dir, F_OK), 0);
}

/* Timing that breaks a rule of consensus is refused at the start, not met in an election. */
TEST_BODY(shard_driver_host, impossible_timing_is_refused, set_up, tear_down)
{
    struct process process;
    start_in(
        &process, dir,
        (const char *const[]){"heartbeat_interval_ms=200ms", "election_timeout_ms=300ms", NULL});
    cr_assert_eq(end(&process, 0), 1);
    expect_says(&process, "timing");
}

/* ---- The program ----------------------------------------------------------------------------- */

/* Runs the program itself; what it printed, errors too, is written into text. */
static int program(const char *arguments, char text[TEXT_SIZE])
{
    char command[4 * DIR_SIZE];
    const char *data = getenv("TEST_SRCDIR");
    snprintf(command, sizeof(command), "%s%s %s 2>&1", data == NULL ? "bazel-bin" : data,
             data == NULL ? "/shard/driver/torc-shard" : "/torc/shard/driver/torc-shard",
             arguments);
    FILE *out = popen(command, "r");
    cr_assert_not_null(out);
    text[fread(text, 1, TEXT_SIZE - 1, out)] = '\0';
    int status = pclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A settings file that is wrong is refused with file, line and column; a good one is printed. */
TEST_BODY(shard_driver_host, check_config_names_the_place, set_up, tear_down)
{
    char arguments[2 * DIR_SIZE], expected[2 * DIR_SIZE];
    static char text[TEXT_SIZE];
    scratch_write(scratch, "bad.yaml",
                  "node: 2\ncluster: " CLUSTER "\ndir: data\nflush_bytes: 1 fish\n");
    snprintf(arguments, sizeof(arguments), "--config %s/bad.yaml --check-config", scratch);
    cr_assert_eq(program(arguments, text), 2, "%s", text);
    snprintf(expected, sizeof(expected), "%s/bad.yaml:4:14", scratch);
    cr_assert_not_null(strstr(text, expected), "%s", text);
    cr_assert_not_null(strstr(text, "flush_bytes"), "%s", text);
    scratch_write(scratch, "good.yaml", "node: 2\ncluster: " CLUSTER "\ndir: data\n");
    snprintf(arguments, sizeof(arguments), "--config %s/good.yaml --check-config", scratch);
    cr_assert_eq(program(arguments, text), 0, "%s", text);
    cr_assert_not_null(strstr(text, "flush_bytes: '128MiB'"), "%s", text);
}

/* Started without what it needs, or with what it does not know, it says how it is used. */
Test(shard_driver_host, wrong_command_lines_are_refused)
{
    static char text[TEXT_SIZE];
    cr_assert_eq(program("", text), 2, "%s", text);
    cr_assert_eq(program("start", text), 2, "%s", text);
    cr_assert_eq(program("--help", text), 0, "%s", text);
    cr_assert_not_null(strstr(text, "torc-shard format"), "%s", text);
    cr_assert_not_null(strstr(text, "log_size_max"), "%s", text);
    cr_assert_eq(program("format --help", text), 0, "%s", text);
    cr_assert_not_null(strstr(text, "--cluster HEX32"), "%s", text);
}
