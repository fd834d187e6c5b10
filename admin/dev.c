#include "admin/dev.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/dev_file.h"
#include "admin/dev_ready.h"
#include "admin/options.h"
#include "admin/report.h"
#include "admin/supervisor.h"

enum {
    /* Two rounds of SIGTERM and SIGKILL, and the answer. */
    ASK_DOWN_MS = 2 * ADMIN_STOP_MS_MAX + 10000,
    ASK_RESTART_MS = ADMIN_STOP_MS_MAX + 10000,
    RESTART_READY_MS = 60000,
};

static const char dir_default[] = ".torc";
#define DIR_OPTION(dir)                                                                            \
    {                                                                                              \
        "--dir", ADMIN_OPTION_TEXT, "DIR", "the cluster's directory (.torc)", &(dir), 0, 0         \
    }

/* ---- ps -------------------------------------------------------------------------------------- */

static json_t *process_json(const struct admin_dev *dev, const struct admin_run *run, size_t index)
{
    char name[ADMIN_DEV_NAME_SIZE], address[ADMIN_DEV_ADDRESS_SIZE], dir[PATH_MAX], log[PATH_MAX];
    bool router = admin_dev_is_router(dev, index), alive = admin_run_alive(dev, run, index);
    admin_dev_path(dev, index, ".log", log);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:o, s:s}", "role", router ? "router" : "shard", "id",
                  admin_dev_name(dev, index, name), "state", alive ? "running" : "down", "pid",
                  alive ? json_integer(run->processes[index].pid) : json_null(), "log", log);
    if (router) {
        json_object_set_new(json, "resp", json_sprintf("127.0.0.1:%u", dev->port));
        json_object_set_new(json, "dir", json_string(dev->dir));
    } else {
        admin_dev_path(dev, index, "", dir);
        json_object_set_new(json, "addr", json_string(admin_dev_address(dev, index, address)));
        json_object_set_new(json, "dir", json_string(dir));
    }
    return json;
}

static void ps_print(const struct admin_dev *dev, const struct admin_run *run)
{
    printf("%-4s %-7s %-8s %8s  %-24s %s\n", "id", "role", "state", "pid", "address", "log");
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        char name[ADMIN_DEV_NAME_SIZE], address[ADMIN_DEV_ADDRESS_SIZE], log[PATH_MAX], pid[16];
        bool router = admin_dev_is_router(dev, i), alive = admin_run_alive(dev, run, i);
        if (router)
            snprintf(address, sizeof(address), "127.0.0.1:%u (RESP)", dev->port);
        else
            admin_dev_address(dev, i, address);
        snprintf(pid, sizeof(pid), alive ? "%d" : "-", (int)run->processes[i].pid);
        admin_dev_path(dev, i, ".log", log);
        printf("%-4s %-7s %-8s %8s  %-24s %s\n", admin_dev_name(dev, i, name),
               router ? "router" : "shard", alive ? "running" : "down", pid, address, log);
    }
    if (!admin_process_runs(run->supervisor, NULL))
        printf("no supervisor runs\n");
}

int admin_dev_ps_main(int argc, char **argv)
{
    const char *dir = dir_default;
    bool json = false;
    const struct admin_option options[] = {
        DIR_OPTION(dir),
        {"--json", ADMIN_OPTION_FLAG, NULL, "for programs", &json, 0, 0},
    };
    static const struct admin_usage usage = {
        "torc-admin dev ps [--dir DIR] [--json]",
        "Lists the processes of a dev cluster, running or down.\n",
        "  torc-admin dev ps\n"
        "  torc-admin dev ps --json | jq -r '.[] | select(.state == \"down\") | .id'\n",
        0, 0};
    size_t none;
    int code = admin_options_read(&usage, options, sizeof(options) / sizeof(options[0]), argc, argv,
                                  &none);
    struct admin_dev dev;
    struct admin_run run;
    if (code >= 0)
        return code;
    code = admin_dev_need(dir, &dev);
    if (code != 0)
        return code;
    admin_run_load(&dev, &run);
    if (!json) {
        ps_print(&dev, &run);
        return 0;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < admin_dev_process_count(&dev); i++)
        json_array_append_new(list, process_json(&dev, &run, i));
    json_dumpf(list, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(list);
    return 0;
}

/* ---- restart --------------------------------------------------------------------------------- */

int admin_dev_restart_main(int argc, char **argv)
{
    const char *dir = dir_default;
    const struct admin_option options[] = {DIR_OPTION(dir)};
    static const struct admin_usage usage = {
        "torc-admin dev restart ID [--dir DIR]",
        "Ends process ID (s1, s2, ..., r1) if it runs, starts it, and waits until it answers.\n",
        "  torc-admin dev restart s2\n"
        "  torc-admin dev restart r1 --dir ../cluster\n",
        1, 1};
    size_t count;
    int code = admin_options_read(&usage, options, 1, argc, argv, &count);
    struct admin_dev dev;
    if (code >= 0)
        return code;
    code = admin_dev_need(dir, &dev);
    if (code != 0)
        return code;
    char request[64], reason[ADMIN_CONTROL_TEXT_SIZE];
    size_t index = admin_dev_find(&dev, argv[1]);
    if (index == SIZE_MAX)
        return admin_refuse("there is no process '%s' in %s; the shards are s1 to s%u, the router "
                            "is r1",
                            argv[1], dev.dir, dev.node_count);
    snprintf(request, sizeof(request), "restart %s", argv[1]);
    if (admin_supervisor_ask(&dev, request, ASK_RESTART_MS, reason) != 0) {
        if (reason[0] == '\0')
            return admin_fail("no supervisor runs in %s, so nothing can be restarted; `dev up` "
                              "starts everything (after `dev down`, if processes still run)",
                              dev.dir);
        return admin_fail("restart %s: %s", argv[1], reason);
    }
    if (admin_dev_wait_process(&dev, index, admin_now_ms() + RESTART_READY_MS) != 0)
        return 1;
    printf("%s runs\n", argv[1]);
    return 0;
}

/* ---- down ------------------------------------------------------------------------------------ */

/* Ends what a dead supervisor left; false when there is nothing. */
static bool orphans_end(const struct admin_dev *dev)
{
    struct admin_run run;
    bool found = false;
    admin_run_load(dev, &run);
    for (size_t i = 0; i < admin_dev_process_count(dev); i++) {
        if (admin_run_alive(dev, &run, i))
            found = true;
        else
            memset(&run.processes[i], 0, sizeof(run.processes[i]));
    }
    if (found) {
        admin_supervisor_stop(dev, &run, SIZE_MAX, stderr);
        memset(&run.supervisor, 0, sizeof(run.supervisor));
        admin_run_store(dev, &run);
    }
    return found;
}

int admin_dev_down_main(int argc, char **argv)
{
    const char *dir = dir_default;
    const struct admin_option options[] = {DIR_OPTION(dir)};
    static const struct admin_usage usage = {"torc-admin dev down [--dir DIR]",
                                             "Ends all processes of a dev cluster, also those "
                                             "whose supervisor has died. The data stays.\n",
                                             "  torc-admin dev down\n"
                                             "  torc-admin dev down --dir ../cluster\n",
                                             0, 0};
    size_t none;
    int code = admin_options_read(&usage, options, 1, argc, argv, &none);
    struct admin_dev dev;
    if (code >= 0)
        return code;
    code = admin_dev_need(dir, &dev);
    if (code != 0)
        return code;
    char reason[ADMIN_CONTROL_TEXT_SIZE];
    bool asked = admin_supervisor_ask(&dev, "down", ASK_DOWN_MS, reason) == 0;
    /* The supervisor answers shortly before it lets go of the lock. */
    uint64_t deadline_ms = admin_now_ms() + (asked ? ADMIN_STOP_MS_MAX : 0);
    int lock_fd = admin_supervisor_lock(&dev);
    while (lock_fd == -1 && admin_now_ms() < deadline_ms) {
        admin_sleep_ms(10);
        lock_fd = admin_supervisor_lock(&dev);
    }
    if (lock_fd < 0)
        return admin_fail("the supervisor of %s does not end: %s", dev.dir,
                          reason[0] == '\0' ? "it does not answer" : reason);
    bool orphans = orphans_end(&dev);
    close(lock_fd);
    if (asked)
        printf("all processes of %s have ended\n", dev.dir);
    else if (orphans)
        printf("the supervisor of %s had died; its processes have ended\n", dev.dir);
    else
        printf("nothing runs in %s\n", dev.dir);
    return 0;
}
