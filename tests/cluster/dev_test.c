/* torc-admin dev with real processes: what a newcomer and scripts rely on. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cluster/lib/client.h"
#include "tests/cluster/lib/cluster.h"

enum { OUTPUT_SIZE = 65536, WAIT_MS = 30000, CLIENT_MS = 5000, FAILED_START_MS_MAX = 25000 };
enum { LARGE_VALUE_SIZE = 5 << 20 }; /* More than half of what a value may be. */

static char output[OUTPUT_SIZE];

/* Runs `dev up` in `dir` with these arguments and expects the exit status and a text. */
static void expect_up(const char *dir, int code, const char *text, const char *const *more)
{
    const char *arguments[CLUSTER_ARGUMENTS_MAX] = {"dev", "up", "--detach", "--dir", dir};
    for (size_t i = 0; more[i] != NULL; i++)
        arguments[5 + i] = more[i];
    int found = cluster_admin(output, sizeof(output), arguments);
    if (found != code || strstr(output, text) == NULL)
        cluster_fail("dev up in %s: status %d, expected %d and '%s':\n%s", dir, found, code, text,
                     output);
}
#define EXPECT_UP(dir, code, text, ...)                                                            \
    expect_up(dir, code, text, (const char *const[]){__VA_ARGS__, NULL})

static void expect_down(const char *dir, const char *text)
{
    const char *arguments[] = {"dev", "down", "--dir", dir, NULL};
    CLUSTER_CHECK(cluster_admin(output, sizeof(output), arguments) == 0);
    if (strstr(output, text) == NULL)
        cluster_fail("dev down in %s does not say '%s':\n%s", dir, text, output);
}

static void path_join(char path[SCRATCH_PATH_SIZE], const char *dir, const char *name)
{
    int size = snprintf(path, SCRATCH_PATH_SIZE, "%s/%s", dir, name);
    CLUSTER_CHECK(size > 0 && size < SCRATCH_PATH_SIZE);
}

static char *file_read(const char *dir, const char *name)
{
    char path[SCRATCH_PATH_SIZE];
    path_join(path, dir, name);
    FILE *in = fopen(path, "re");
    CLUSTER_CHECK(in != NULL);
    char *text = calloc(1, OUTPUT_SIZE);
    CLUSTER_CHECK(text != NULL);
    size_t size = fread(text, 1, OUTPUT_SIZE - 1, in);
    CLUSTER_CHECK(size < OUTPUT_SIZE - 1 && !ferror(in));
    fclose(in);
    return text;
}

/* One command on a connection of its own, and the answer that it must get. */
static void expect_answer(const struct cluster *cluster, const char *expected, const char *command,
                          const char *key, const char *value)
{
    char found[128];
    struct client *client = client_open(cluster->port, CLIENT_MS);
    struct client_answer answer = client_command(client, command, key, value, NULL);
    snprintf(found, sizeof(found), "%.*s", (int)answer.bytes.size, (const char *)answer.bytes.data);
    if (answer.kind == CLIENT_INTEGER)
        snprintf(found, sizeof(found), "%lld", (long long)answer.integer);
    if (strcmp(found, expected) != 0)
        cluster_fail("%s %s: '%s', expected '%s' (outcome %d)", command, key, found, expected,
                     (int)answer.outcome);
    client_close(client);
}

/* Every field that scripts read is there, and the addresses are those in use. */
static void ps_has_every_field(const struct cluster *cluster)
{
    struct cluster_process list[CLUSTER_NODES_MAX + 1];
    char expected[64];
    size_t count = cluster_processes(cluster, list);
    CLUSTER_CHECK(count == cluster->nodes + 1);
    for (size_t i = 0; i < count; i++) {
        bool router = i == cluster->nodes;
        CLUSTER_CHECK(strcmp(list[i].role, router ? "router" : "shard") == 0);
        snprintf(expected, sizeof(expected), router ? "r1" : "s%zu", i + 1);
        CLUSTER_CHECK(strcmp(list[i].id, expected) == 0);
        CLUSTER_CHECK(list[i].running && list[i].pid > 0 && kill(list[i].pid, 0) == 0);
        snprintf(expected, sizeof(expected), "tcp://127.0.0.1:%zu", cluster->port + 1 + i);
        CLUSTER_CHECK(router || strcmp(list[i].addr, expected) == 0);
        snprintf(expected, sizeof(expected), "127.0.0.1:%u", cluster->port);
        CLUSTER_CHECK(!router || strcmp(list[i].resp, expected) == 0);
        CLUSTER_CHECK(access(list[i].dir, F_OK) == 0 && access(list[i].log, F_OK) == 0);
    }
}

/* Status has the cluster's id, by the directory and by a node. */
static void status_names_the_cluster(const struct cluster *cluster)
{
    char first[64] = "cluster ", address[64];
    const char *words[] = {"status", NULL}, *none[] = {NULL}, *nodes[] = {"--nodes", address, NULL};
    cluster_id(cluster, first + strlen(first));
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", cluster->port + 1u);
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), words, none) == 0);
    CLUSTER_CHECK(strncmp(output, first, strlen(first)) == 0);
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), words, nodes) == 0);
    CLUSTER_CHECK(strncmp(output, first, strlen(first)) == 0);
}

/* Status, key and ring answer, for people and for programs. */
static void inspection_answers(const struct cluster *cluster)
{
    const char *none[] = {NULL}, *json[] = {"--json", NULL}, *name[] = {"some-key", NULL};
    const char *status[] = {"status", NULL}, *ring[] = {"ring", "show", NULL},
               *key[] = {"key", NULL};
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), status, none) == 0);
    CLUSTER_CHECK(strstr(output, "leader") != NULL);
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), ring, none) == 0);
    CLUSTER_CHECK(strstr(output, "4096 vnodes") != NULL);
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), ring, json) == 0);
    json_t *parsed = json_loads(output, 0, NULL);
    CLUSTER_CHECK(json_array_size(json_object_get(parsed, "owners")) == 4096);
    json_decref(parsed);
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), key, name) == 0);
    CLUSTER_CHECK(strstr(output, "value    absent") != NULL);
}

/* One directory has one cluster, a taken port is named, and neither disturbs what runs. */
static void second_up_is_refused(const struct cluster *cluster)
{
    char other[SCRATCH_PATH_SIZE], port[16], text[64];
    path_join(other, cluster->scratch, "other");
    snprintf(port, sizeof(port), "%u", cluster->port);
    EXPECT_UP(cluster->dir, 1, "runs in", "--no-load");
    snprintf(text, sizeof(text), "port %u, which r1 (RESP) needs", cluster->port);
    EXPECT_UP(other, 1, text, "--no-load", "--port", port);
    snprintf(port, sizeof(port), "%u", cluster->port - 1);
    snprintf(text, sizeof(text), "port %u, which s1 (node) needs", cluster->port);
    EXPECT_UP(other, 1, text, "--no-load", "--port", port);
    ps_has_every_field(cluster);
}

static bool down_is_explained(void *context)
{
    const struct cluster *cluster = context;
    char *text = file_read(cluster->dir, "supervisor.log");
    bool found = strstr(text, "s2 (pid ") != NULL &&
                 strstr(text, "was killed by signal 9 (Killed)") != NULL &&
                 strstr(text, "event=started") != NULL && strstr(text, "s2 stays down") != NULL;
    free(text);
    return found;
}

/* What is killed stays down, why is said, and `dev restart` brings it back. */
static void killed_process_stays_down(const struct cluster *cluster)
{
    cluster_signal(cluster, "s2", SIGKILL);
    cluster_wait(down_is_explained, (void *)(uintptr_t)cluster, WAIT_MS,
                 "the supervisor says what ended and how");
    CLUSTER_CHECK(!cluster_process(cluster, "s2").running);
    CLUSTER_CHECK(cluster_process(cluster, "s1").running);
    cluster_restart(cluster, "s2");
    CLUSTER_CHECK(cluster_process(cluster, "s2").running);
    cluster_restart(cluster, "r1");
    cluster_wait_served(cluster, WAIT_MS);
    const char *words[] = {"dev", "restart", NULL}, *arguments[] = {"s9", NULL};
    CLUSTER_CHECK(cluster_ask(cluster, output, sizeof(output), words, arguments) == 2);
    CLUSTER_CHECK(strstr(output, "there is no process 's9'") != NULL);
}

/* Started again, it is the same cluster with its data: nothing is formatted. */
static void second_start_keeps_everything(struct cluster *cluster)
{
    expect_answer(cluster, "OK", "SET", "kept", "value");
    char *before = file_read(cluster->dir, "cluster.json");
    cluster_down(cluster);
    expect_down(cluster->dir, "nothing runs");
    cluster_up(cluster);
    char *after = file_read(cluster->dir, "cluster.json");
    CLUSTER_CHECK(strcmp(before, after) == 0);
    expect_answer(cluster, "value", "GET", "kept", NULL);
    free(before);
    free(after);
}

/* A missing data directory and one of another cluster are errors, and nothing is put in their
 * place. */
static void lost_directories_are_errors(struct cluster *cluster, struct cluster *other)
{
    char dir[SCRATCH_PATH_SIZE], kept[SCRATCH_PATH_SIZE], foreign[SCRATCH_PATH_SIZE];
    path_join(dir, cluster->dir, "s1");
    path_join(kept, cluster->scratch, "kept");
    path_join(foreign, other->dir, "s1");
    cluster_down(cluster);
    cluster_down(other);
    CLUSTER_CHECK(rename(dir, kept) == 0);
    EXPECT_UP(cluster->dir, 1, "must hold the data of node 1", "--no-load");
    CLUSTER_CHECK(access(dir, F_OK) != 0);
    CLUSTER_CHECK(mkdir(dir, 0755) == 0);
    EXPECT_UP(cluster->dir, 1, "it holds no superblock", "--no-load");
    CLUSTER_CHECK(rmdir(dir) == 0);
    CLUSTER_CHECK(rename(foreign, dir) == 0);
    EXPECT_UP(cluster->dir, 1, "s1 has ended", "--no-load");
    CLUSTER_CHECK(rename(dir, foreign) == 0);
    CLUSTER_CHECK(rename(kept, dir) == 0);
    cluster_up(cluster);
    cluster_up(other);
}

/* Somebody's own directory is left as it is. */
static void foreign_directory_is_refused(const struct cluster *cluster)
{
    char dir[SCRATCH_PATH_SIZE], lock[SCRATCH_PATH_SIZE];
    path_join(dir, cluster->scratch, "notes");
    path_join(lock, dir, "lock");
    CLUSTER_CHECK(mkdir(dir, 0755) == 0);
    scratch_write(dir, "notes.txt", "mine");
    EXPECT_UP(dir, 2, "is not a dev cluster's directory", "--no-load");
    CLUSTER_CHECK(access(lock, F_OK) != 0);
}

/* `down` ends what a dead supervisor left, and until then a new start is refused. */
static void orphans_are_ended(struct cluster *cluster)
{
    cluster_kill_supervisor(cluster);
    CLUSTER_CHECK(cluster_process(cluster, "s3").running);
    EXPECT_UP(cluster->dir, 1, "still runs although its supervisor has ended", "--no-load");
    expect_down(cluster->dir, "the supervisor of");
    CLUSTER_CHECK(!cluster_process(cluster, "s3").running);
    cluster_up(cluster);
}

/* A setting goes to the programs that know it; one that nobody knows, or a wrong value, starts
 * nothing. */
static void settings_are_checked(struct cluster *cluster)
{
    cluster_down(cluster);
    EXPECT_UP(cluster->dir, 2, "did you mean election_timeout_ms", "--no-load", "--set",
              "election_timeout_s=5");
    EXPECT_UP(cluster->dir, 2, "one of debug, info, warn, error", "--no-load", "--set",
              "log.level=loud");
    EXPECT_UP(cluster->dir, 2, "cannot change", "--no-load", "--nodes", "5");
    CLUSTER_CHECK(!cluster_process(cluster, "s1").running);
    EXPECT_UP(cluster->dir, 0, "torc runs", "--no-load", "--set", "election_timeout_ms=500ms");
}

/* A first start in which a process ends says which and why, and waits for nothing more. */
static void failed_first_start_is_short(struct cluster *cluster)
{
    char fresh[SCRATCH_PATH_SIZE], port[16];
    path_join(fresh, cluster->scratch, "fresh");
    snprintf(port, sizeof(port), "%u", cluster->port);
    cluster_down(cluster);
    uint64_t began_ms = cluster_now_ms();
    EXPECT_UP(fresh, 1, "expected node 5, found node 1", "--no-load", "--port", port, "--set",
              "node=5");
    CLUSTER_CHECK(cluster_now_ms() - began_ms < FAILED_START_MS_MAX);
    cluster_up(cluster);
}

/* Three pairs, one of them large. */
static void pairs_write(const char *scratch)
{
    static const char lines[] = "apple\tred\nplum\tblue\nlemon\t";
    size_t size = sizeof(lines) - 1 + LARGE_VALUE_SIZE;
    char *text = malloc(size + 1);
    memset(text, 'y', size);
    memcpy(text, lines, sizeof(lines) - 1);
    text[size] = '\0';
    scratch_write(scratch, "pairs", text);
    free(text);
}

/* What was loaded is checked at later starts; a key that differs or is gone is named, and nothing
 * is loaded again. */
static void loaded_data_is_checked(struct cluster *cluster)
{
    char pairs[SCRATCH_PATH_SIZE];
    path_join(pairs, cluster->scratch, "pairs");
    pairs_write(cluster->scratch);
    cluster_down(cluster);
    EXPECT_UP(cluster->dir, 0, "loaded 3 keys", "--load", pairs);
    expect_answer(cluster, "blue", "GET", "plum", NULL);
    cluster_down(cluster);
    EXPECT_UP(cluster->dir, 0, "drawn at random, hold what was loaded", "--shards", "3");
    expect_answer(cluster, "OK", "SET", "plum", "green");
    cluster_down(cluster);
    EXPECT_UP(cluster->dir, 1, "the value of key plum differs", "--shards", "3");
    EXPECT_UP(cluster->dir, 0, "torc runs", "--no-load");
    expect_answer(cluster, "2", "DEL", "plum", "kept");
    cluster_down(cluster);
    EXPECT_UP(cluster->dir, 1, "key plum, which was loaded from", "--shards", "3");
    CLUSTER_CHECK(!cluster_process(cluster, "s1").running);
    cluster_up(cluster);
}

/* Every command says how it is used, with an example. */
static void every_command_explains_itself(void)
{
    static const char *const commands[][4] = {
        {"dev", "up", "--help"},     {"dev", "ps", "--help"},
        {"dev", "status", "--help"}, {"dev", "restart", "--help"},
        {"dev", "down", "--help"},   {"dev", "admin", "--help"},
        {"format", "--help"},        {"init", "--help"},
        {"status", "--help"},        {"key", "--help"},
        {"ring", "show", "--help"},
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const char *const *words = commands[i];
        if (cluster_admin(output, sizeof(output), words) != 0 ||
            strcasestr(output, "usage: ") == NULL || strcasestr(output, "example") == NULL)
            cluster_fail("%s %s does not explain itself:\n%s", words[0], words[1], output);
    }
    const char *groups[][3] = {{"--help"}, {"dev", "--help"}, {"ring", "--help"}};
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        CLUSTER_CHECK(cluster_admin(output, sizeof(output), groups[i]) == 0);
        CLUSTER_CHECK(strstr(output, "ring show") != NULL || strstr(output, "dev up") != NULL);
    }
}

int main(void)
{
    static struct cluster cluster, other;
    struct cluster_options options = {.nodes = 3, .shards = 3}, small = {.nodes = 1, .shards = 2};
    cluster_start(&cluster, &options);
    cluster_start(&other, &small); /* Side by side. */
    every_command_explains_itself();
    ps_has_every_field(&cluster);
    ps_has_every_field(&other);
    status_names_the_cluster(&cluster);
    inspection_answers(&cluster);
    second_up_is_refused(&cluster);
    killed_process_stays_down(&cluster);
    second_start_keeps_everything(&cluster);
    lost_directories_are_errors(&cluster, &other);
    foreign_directory_is_refused(&cluster);
    orphans_are_ended(&cluster);
    settings_are_checked(&cluster);
    failed_first_start_is_short(&cluster);
    loaded_data_is_checked(&cluster);
    cluster_stop(&other);
    cluster_stop(&cluster);
    return 0;
}
