#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/dataset.h"
#include "admin/dev.h"
#include "admin/dev_ready.h"
#include "admin/dev_start.h"
#include "admin/digest.h"
#include "admin/load.h"
#include "admin/map.h"
#include "admin/report.h"
#include "admin/supervisor.h"
#include "admin/target.h"
#include "ring/token.h"

enum {
    READY_MS_MAX = 50000,
    SAMPLE_COUNT = 100,
    SAMPLE_KEY_SIZE = 40,
    STOP_ASK_MS = 2 * ADMIN_STOP_MS_MAX + 10000
};

#define SHELL_PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.:/-"

struct up {
    const char *dir, *load_file;
    bool detach, no_load, respawn;
    uint64_t port, nodes, shards, lease_ms, segment_size; /* 0: not given. */
    struct admin_texts sets;
    struct admin_dev dev;
    bool fresh; /* The first start in this directory. */
    pid_t supervisor;
    char sample_key[SAMPLE_KEY_SIZE]; /* One that was loaded, to try; "" when none. */
};

/* Set by the signals that ask for the end. */
static volatile sig_atomic_t stop_asked;

static void stop_handle(int number)
{
    stop_asked = number;
}

/* ---- Before anything runs -------------------------------------------------------------------- */

static int option_keep(const char *option, uint64_t given, uint64_t made_with)
{
    if (given == 0 || given == made_with)
        return 0;
    return admin_refuse("this cluster was made with %s %lu, which cannot change; leave %s away, or "
                        "make another cluster in another --dir",
                        option, (unsigned long)made_with, option);
}

/* What the directory holds, or is to hold. */
static int dev_choose(struct up *up)
{
    switch (admin_dev_load(up->dir, &up->dev)) {
    case ADMIN_DEV_ABSENT:
        up->fresh = true;
        up->dev.port = (uint16_t)(up->port == 0 ? ADMIN_DEV_PORT_DEFAULT : up->port);
        up->dev.node_count = (uint32_t)(up->nodes == 0 ? 3 : up->nodes);
        up->dev.shard_count = (uint32_t)(up->shards == 0 ? 3 : up->shards);
        up->dev.lease_ms = (uint32_t)up->lease_ms;
        up->dev.segment_size = up->segment_size;
        return 0;
    case ADMIN_DEV_FOUND:
        break;
    case ADMIN_DEV_FOREIGN:
        return 2;
    }
    if (up->dev.phase == ADMIN_DEV_FORMATTING)
        return admin_fail("the first start in %s was interrupted while its data directories were "
                          "made; nothing was ever stored there: remove it and start again",
                          up->dev.dir);
    if (up->segment_size != 0)
        return admin_refuse("--segment-size counts at the first start in a directory only; leave "
                            "it away");
    int code = option_keep("--port", up->port, up->dev.port);
    if (code == 0)
        code = option_keep("--nodes", up->nodes, up->dev.node_count);
    if (code == 0)
        code = option_keep("--shards", up->shards, up->dev.shard_count);
    if (code == 0)
        code = option_keep("--lease", up->lease_ms, up->dev.lease_ms);
    return code;
}

/* Orphans of a supervisor that was killed. */
static int orphans_refuse(const struct admin_dev *dev)
{
    struct admin_run run;
    admin_run_load(dev, &run);
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        char name[ADMIN_DEV_NAME_SIZE];
        if (admin_run_alive(dev, &run, i))
            return admin_fail("%s (pid %d) of %s still runs although its supervisor has ended; "
                              "`dev down` ends it",
                              admin_dev_name(dev, i, name), (int)run.processes[i].pid, dev->dir);
    }
    return 0;
}

/* Takes the directory's lock: the descriptor, or < 0, said. */
static int dir_take(struct up *up)
{
    if (mkdir(up->dir, 0755) != 0 && errno != EEXIST)
        return -admin_fail("--dir %s: %s", up->dir, strerror(errno));
    int code = dev_choose(up); /* Before the lock: a foreign directory is left as it is. */
    if (code != 0)
        return -code;
    int lock_fd = admin_supervisor_lock(&up->dev);
    if (lock_fd == -1)
        admin_fail(
            "a cluster runs in %s already; `dev status` shows it, `dev down` ends it, another "
            "needs another --dir and --port",
            up->dev.dir);
    if (lock_fd < 0)
        return -1;
    code = dev_choose(up); /* Again: it may have been made in between. */
    if (code == 0)
        code = orphans_refuse(&up->dev);
    if (code == 0)
        return lock_fd;
    close(lock_fd);
    return -code;
}

/* Everything up to running processes. */
static int processes_start(struct up *up)
{
    static struct admin_binaries binaries;
    static struct admin_supervisor_plan plan;
    int code = admin_dev_find_binaries(&binaries);
    if (code != 0)
        return code;
    int lock_fd = dir_take(up);
    if (lock_fd < 0)
        return -lock_fd;
    code = admin_dev_check_ports(&up->dev);
    if (code == 0)
        code = up->fresh ? admin_dev_format(&up->dev, &binaries) : admin_dev_check_dirs(&up->dev);
    if (code == 0)
        code = admin_dev_write_settings(&up->dev);
    if (code == 0)
        code = admin_dev_sort_sets(&up->dev, &binaries, &up->sets, &plan.shard_sets,
                                   &plan.router_sets);
    if (code != 0) {
        close(lock_fd);
        return code;
    }
    plan.dev = &up->dev;
    plan.shard_binary = binaries.shard;
    plan.router_binary = binaries.router;
    plan.respawn = up->respawn;
    plan.detached = up->detach;
    up->supervisor = admin_supervisor_start(&plan, lock_fd);
    return up->supervisor == 0 ? 1 : 0;
}

/* ---- Data ------------------------------------------------------------------------------------ */

/* How the loaded keys spread over the shards. */
static void spread_print(const struct admin_dev *dev, const struct admin_dataset *dataset)
{
    static struct admin_target target;
    struct admin_target_options where = {NULL, dev->dir};
    uint64_t counts[ADMIN_DEV_SHARDS_MAX + 1] = {0};
    Torc__Wire__Map *map;
    if (admin_target_find(&where, &target) != 0 || admin_target_map(&target, &map) != 0)
        return;
    for (size_t i = 0; i < dataset->count; i++) {
        uint64_t token = ring_token(dataset->pairs[i].key, map->ring->vnode_bits);
        uint32_t vnode = ring_vnode(token, map->ring->vnode_bits);
        uint32_t group = vnode < map->ring->n_owners ? map->ring->owners[vnode] : 0;
        counts[group <= ADMIN_DEV_SHARDS_MAX ? group : 0]++;
    }
    for (uint32_t group = 1; group <= dev->shard_count; group++) {
        char count[ADMIN_NUMBER_SIZE];
        printf("  shard %-3u %12s keys  %5.1f%%\n", group, admin_count(counts[group], count),
               100.0 * (double)counts[group] / (double)dataset->count);
    }
    torc__wire__map__free_unpacked(map, NULL);
}

/* Addresses of the nodes, for libtorc. */
struct seeds {
    char text[ADMIN_DEV_NODES_MAX][ADMIN_DEV_ADDRESS_SIZE];
    const char *list[ADMIN_DEV_NODES_MAX];
};

/* Borrows from `dev` and `seeds`. */
static struct admin_load_target load_target(const struct admin_dev *dev, struct seeds *seeds)
{
    for (uint32_t i = 0; i < dev->node_count; i++)
        seeds->list[i] = admin_dev_address(dev, i, seeds->text[i]);
    return (struct admin_load_target){
        .cluster = dev->cluster, .seeds = seeds->list, .seed_count = dev->node_count};
}

static int dataset_load(const struct up *up, const struct admin_dataset *dataset,
                        const char *digest_path)
{
    char count[ADMIN_NUMBER_SIZE], bytes[ADMIN_NUMBER_SIZE], took[ADMIN_NUMBER_SIZE],
        rate[ADMIN_NUMBER_SIZE];
    struct admin_load_result result;
    struct seeds seeds;
    struct admin_load_target target = load_target(&up->dev, &seeds);
    printf("loading %s keys (%s) from %s\n", admin_count(dataset->count, count),
           admin_bytes(dataset->bytes, bytes), dataset->source);
    fflush(stdout);
    int code = admin_digest_write(digest_path, ADMIN_DIGEST_LOADING, dataset);
    if (code == 0)
        code = admin_load_run(&target, dataset, &stop_asked, &result);
    if (code == 0)
        code = admin_digest_write(digest_path, ADMIN_DIGEST_LOADED, dataset);
    if (code != 0)
        return code;
    printf("loaded %s keys (%s) in %s: %s keys/s", count, bytes,
           admin_duration(result.elapsed_ms, took),
           admin_count(dataset->count * 1000 / (result.elapsed_ms + 1), rate));
    if (result.retried > 0)
        printf(" (%s sent again)", admin_count(result.retried, rate));
    printf("\n");
    spread_print(&up->dev, dataset);
    return 0;
}

/* Remembers a key that a shell takes as it is. */
static void sample_keep(struct up *up, struct base_bytes key)
{
    if (key.size >= sizeof(up->sample_key))
        return;
    memcpy(up->sample_key, key.data, key.size);
    up->sample_key[key.size] = '\0';
    if (strspn(up->sample_key, SHELL_PLAIN) != key.size)
        up->sample_key[0] = '\0';
}

/* Fills a new cluster, or checks what was loaded into an older one. */
static int data_load(struct up *up)
{
    char path[PATH_MAX];
    struct admin_digest digest;
    struct admin_dataset dataset;
    struct seeds seeds;
    struct admin_load_target target = load_target(&up->dev, &seeds);
    admin_dev_file_path(&up->dev, "load.digest", path);
    int code = admin_digest_read(path, &digest);
    if (code != 0)
        return code;
    if (digest.state == ADMIN_DIGEST_LOADED) {
        if (up->load_file != NULL)
            code = admin_refuse("%s was loaded into %s already; --load fills a new cluster only "
                                "(another --dir)",
                                digest.source, up->dev.dir);
        else
            code = admin_load_check(&target, &digest, SAMPLE_COUNT);
        sample_keep(up, digest.entries[digest.count / 2].key);
        if (code == 1)
            admin_fail("nothing is loaded again; if you changed such keys yourself, start with "
                       "--no-load, which skips this check");
        admin_digest_free(&digest);
        return code;
    }
    code = up->load_file != NULL ? admin_dataset_read_file(up->load_file, &dataset)
                                 : admin_dataset_read_default(&dataset);
    if (code == 0) {
        if (digest.state == ADMIN_DIGEST_LOADING && !admin_digest_matches(&digest, &dataset))
            code =
                admin_fail("loading %s was interrupted, and that data is not what %s has now, so "
                           "it cannot be resumed: --load the same data, or remove %s and start "
                           "again, or pass --no-load to go on with what is there",
                           digest.source, dataset.source, up->dev.dir);
        else if (digest.state == ADMIN_DIGEST_LOADING)
            printf("the load was interrupted; every key is set again\n");
        if (code == 0)
            code = dataset_load(up, &dataset, path);
        sample_keep(up, dataset.pairs[dataset.count / 2].key);
        admin_dataset_free(&dataset);
    }
    admin_digest_free(&digest);
    return code;
}

/* ---- Running --------------------------------------------------------------------------------- */

static void hints_print(const struct up *up)
{
    unsigned port = up->dev.port;
    printf(
        "\ntorc runs: %u nodes, %u shards of %u replicas, Redis clients at 127.0.0.1:%u, data in "
        "%s\n",
        up->dev.node_count, up->dev.shard_count, admin_dev_replica_count(&up->dev), port,
        up->dev.dir);
    if (up->dev.lease_ms > 0)
        printf("reads are answered under leases of %u ms: they trust the clocks\n",
               up->dev.lease_ms);
    printf("\nto try:\n");
    if (up->sample_key[0] != '\0')
        printf("  redis-cli -p %u get %s\n", port, up->sample_key);
    const char *separator = strcmp(up->dir, ".torc") == 0 ? "" : " --dir ";
    const char *dir = separator[0] == '\0' ? "" : up->dir;
    printf("  redis-cli -p %u incr visits\n"
           "  redis-cli -p %u scan 0\n"
           "  ./dev status%s%s\n"
           "  ./dev admin%s%s -- key visits\n"
           "  ./dev ps%s%s      then kill -9 one, look at status, ./dev restart ID%s%s\n",
           port, port, separator, dir, separator, dir, separator, dir, separator, dir);
    if (up->detach)
        printf("\n./dev down%s%s ends it\n", separator, dir);
    else
        printf("\nCtrl-C ends it\n");
    fflush(stdout);
}

static int all_end(const struct up *up)
{
    char reason[ADMIN_CONTROL_TEXT_SIZE];
    fprintf(stderr, "torc-admin: ending all processes\n");
    if (admin_supervisor_ask(&up->dev, "down", STOP_ASK_MS, reason) != 0)
        return admin_fail("the supervisor could not end them: %s; `dev down` does", reason);
    waitpid(up->supervisor, NULL, 0);
    return 0;
}

/* In the foreground: until a signal asks for the end, or the supervisor is gone. */
static int foreground_wait(const struct up *up)
{
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    int code = 0;
    while (stop_asked == 0) {
        if (waitpid(up->supervisor, NULL, WNOHANG) == up->supervisor) {
            struct admin_run run;
            admin_run_load(&up->dev, &run);
            sigprocmask(SIG_SETMASK, &before, NULL);
            if (run.supervisor.pid == 0)
                return 0; /* Told to by `dev down`. */
            return admin_fail("the supervisor died; the cluster's processes still run, `dev down` "
                              "ends them");
        }
        sigsuspend(&before);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    printf("\n");
    fflush(stdout);
    code = all_end(up);
    if (code == 0)
        printf("all processes have ended; the data stays in %s\n", up->dev.dir);
    return code;
}

static void child_note(int number)
{
    (void)number; /* Only so that sigsuspend returns. */
}

static void signals_prepare(void)
{
    struct sigaction action = {.sa_handler = stop_handle};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = child_note;
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int up_run(struct up *up)
{
    signals_prepare();
    int code = processes_start(up);
    if (code != 0)
        return code;
    uint64_t deadline_ms = admin_now_ms() + READY_MS_MAX;
    if (up->dev.phase != ADMIN_DEV_READY)
        code = admin_dev_initialise(&up->dev, deadline_ms, &stop_asked);
    if (code == 0)
        code = admin_dev_wait_all(&up->dev, deadline_ms, &stop_asked);
    if (code == 0 && !up->no_load)
        code = data_load(up);
    if (code != 0) {
        all_end(up);
        return code;
    }
    hints_print(up);
    return up->detach ? 0 : foreground_wait(up);
}

int admin_dev_up_main(int argc, char **argv)
{
    static struct up up = {.dir = ".torc"};
    const struct admin_option options[] = {
        {"--dir", ADMIN_OPTION_TEXT, "DIR", "where the cluster lives (.torc); made when missing",
         &up.dir, 0, 0},
        {"--detach", ADMIN_OPTION_FLAG, NULL, "return when the cluster serves", &up.detach, 0, 0},
        {"--port", ADMIN_OPTION_NUMBER, "P", "RESP port (7379); node i has port P + i", &up.port,
         1024, 65535 - ADMIN_DEV_NODES_MAX},
        {"--nodes", ADMIN_OPTION_NUMBER, "N", "torc-shard processes (3)", &up.nodes, 1,
         ADMIN_DEV_NODES_MAX},
        {"--shards", ADMIN_OPTION_NUMBER, "S", "shards, of 3 replicas each (3)", &up.shards, 1,
         ADMIN_DEV_SHARDS_MAX},
        {"--lease", ADMIN_OPTION_NUMBER, "MS", ADMIN_LEASE_HELP, &up.lease_ms, 10,
         ADMIN_MAP_LEASE_MS_MAX},
        {"--segment-size", ADMIN_OPTION_NUMBER, "BYTES", "of the logs' files (67108864)",
         &up.segment_size, 20 << 20, 1 << 30},
        {"--load", ADMIN_OPTION_TEXT, "FILE", "load \"key<TAB>value\" lines or stanzas",
         &up.load_file, 0, 0},
        {"--no-load", ADMIN_OPTION_FLAG, NULL, "load nothing, and do not check what was loaded",
         &up.no_load, 0, 0},
        {"--set", ADMIN_OPTION_TEXTS, "NAME=VALUE",
         "a setting of torc-shard or torc-router, for "
         "this start",
         &up.sets, 0, 0},
        {"--respawn", ADMIN_OPTION_FLAG, NULL, "start again what ends", &up.respawn, 0, 0},
    };
    static const struct admin_usage usage = {
        "torc-admin dev up [OPTIONS]",
        "Starts a cluster on this machine: torc-shard processes and a torc-router on loopback, in\n"
        "one directory. The first start makes the data directories and fills the cluster (every\n"
        "stanza of `apt-cache dumpavail`, else the word list, else the manual pages); a later one\n"
        "checks that what was loaded is still there. Stays until Ctrl-C unless --detach.\n"
        "A process that ends stays down, and why is said, unless --respawn.\n",
        "  torc-admin dev up\n"
        "  torc-admin dev up --detach --no-load --dir ../cluster --port 8379\n"
        "  torc-admin dev up --load pairs.tsv --shards 6\n"
        "  torc-admin dev up --set log.level=debug\n",
        0, 0};
    size_t none;
    int code = admin_options_read(&usage, options, sizeof(options) / sizeof(options[0]), argc, argv,
                                  &none);
    if (code >= 0)
        return code;
    if (up.no_load && up.load_file != NULL)
        return admin_refuse("--load and --no-load exclude each other");
    if (up.load_file != NULL && access(up.load_file, R_OK) != 0)
        return admin_refuse("--load %s: %s", up.load_file, strerror(errno));
    return up_run(&up);
}
