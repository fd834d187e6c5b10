#include "admin/dev_file.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

static char dir[SCRATCH_PATH_SIZE];
static struct admin_dev dev;

static void set_up(void)
{
    cr_assert_eq(admin_dev_load(scratch_make(dir), &dev), ADMIN_DEV_ABSENT);
    memcpy(dev.cluster, "00112233445566778899aabbccddeeff", ADMIN_ID_TEXT_SIZE);
    dev.node_count = 2;
    dev.shard_count = 3;
    dev.port = 7000;
    memcpy(dev.storage[0], "11111111111111111111111111111111", ADMIN_ID_TEXT_SIZE);
}

static void tear_down(void)
{
    scratch_remove(dir);
}

/* What is stored is loaded, also by a relative name of the directory. */
TEST_BODY(dev_file, stored_is_loaded, set_up, tear_down)
{
    struct admin_dev again;
    dev.phase = ADMIN_DEV_FORMATTED;
    cr_assert_eq(admin_dev_store(&dev), 0);
    cr_assert_eq(admin_dev_load(dir, &again), ADMIN_DEV_FOUND);
    cr_assert_eq(memcmp(&dev, &again, sizeof(dev)), 0);
    cr_assert_eq(chdir(dir), 0);
    cr_assert_eq(admin_dev_load(".", &again), ADMIN_DEV_FOUND);
    cr_assert_str_eq(again.dir, dev.dir);
    cr_assert_eq(chdir("/"), 0);
}

/* Processes are named and placed by their index. */
TEST_BODY(dev_file, processes_have_names_ports_and_paths, set_up, tear_down)
{
    char name[ADMIN_DEV_NAME_SIZE], address[ADMIN_DEV_ADDRESS_SIZE], path[PATH_MAX];
    cr_assert_eq(admin_dev_process_count(&dev), 3);
    cr_assert_str_eq(admin_dev_name(&dev, 1, name), "s2");
    cr_assert_str_eq(admin_dev_name(&dev, 2, name), "r1");
    cr_assert_eq(admin_dev_find(&dev, "s2"), 1);
    cr_assert_eq(admin_dev_find(&dev, "r1"), 2);
    cr_assert_eq(admin_dev_find(&dev, "s3"), SIZE_MAX);
    cr_assert_str_eq(admin_dev_address(&dev, 1, address), "tcp://127.0.0.1:7002");
    admin_dev_path(&dev, 0, ".log", path);
    cr_assert_str_eq(path + strlen(dev.dir), "/s1.log");
}

/* A directory that holds something else is never taken for an empty one. */
TEST_BODY(dev_file, other_directories_are_foreign, set_up, tear_down)
{
    struct admin_dev again;
    scratch_write(dir, "lock", "");
    cr_assert_eq(admin_dev_load(dir, &again), ADMIN_DEV_ABSENT);
    scratch_write(dir, "notes.txt", "mine");
    cr_assert_eq(admin_dev_load(dir, &again), ADMIN_DEV_FOREIGN);
    scratch_write(dir, "cluster.json", "{");
    cr_assert_eq(admin_dev_load(dir, &again), ADMIN_DEV_FOREIGN);
    scratch_write(dir, "cluster.json", "{\"version\": 1}");
    cr_assert_eq(admin_dev_load(dir, &again), ADMIN_DEV_FOREIGN);
    dev.shard_count = 0;
    cr_assert_eq(admin_dev_store(&dev), 0);
    cr_assert_eq(admin_dev_load(dir, &again), ADMIN_DEV_FOREIGN);
}

/* A pid is believed only with the start time and the command line that go with it. */
TEST_BODY(dev_file, a_reused_pid_is_not_alive, set_up, tear_down)
{
    struct admin_run run, again;
    char config[PATH_MAX], log[PATH_MAX], error[256];
    admin_dev_path(&dev, 0, ".yaml", config);
    admin_dev_path(&dev, 0, ".log", log);
    char *argv[] = {"/usr/bin/tail", "-f", "/dev/null", config, NULL};
    memset(&run, 0, sizeof(run));
    run.processes[0] = admin_process_start(argv, log, error, sizeof(error));
    cr_assert_neq(run.processes[0].pid, 0);
    run.processes[1] = run.processes[0];
    cr_assert_eq(admin_run_store(&dev, &run), 0);
    admin_run_load(&dev, &again);
    cr_assert(admin_run_alive(&dev, &again, 0));
    cr_assert(!admin_run_alive(&dev, &again, 1), "its command line names another process");
    again.processes[0].start_time++;
    cr_assert(!admin_run_alive(&dev, &again, 0), "it started at another time");
    again.processes[0].start_time--;
    kill(run.processes[0].pid, SIGKILL);
    while (!admin_process_runs(run.processes[0], NULL) &&
           waitpid(run.processes[0].pid, NULL, 0) != run.processes[0].pid)
        continue;
    waitpid(run.processes[0].pid, NULL, 0);
    cr_assert(!admin_run_alive(&dev, &again, 0));
}
