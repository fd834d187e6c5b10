/*
 * A cluster for a client's driver: conduct PROGRAM [ARGUMENTS]. `PROGRAM ARGUMENTS check` is asked
 * first whether the client is on this machine: when it prints a line "SKIPPED: why", that is all.
 * Then a cluster is started and `PROGRAM ARGUMENTS PORT` is run, which uses its client and says on
 * standard output, a line each:
 *
 *     kill      kill -9 the node that leads group 1, and start it again once others lead
 *     router    kill -9 the router, and start it again
 *
 * and reads "done" from its standard input when that has happened. Its other lines are for the log.
 * It ends with 0 when all was as it must be.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster/lib/cluster.h"

enum { WAIT_MS = 30000, ARGUMENTS_MAX = 8, OUTPUT_SIZE = 1 << 16 };

struct driver {
    pid_t pid;
    FILE *says, *hears;
};

/* Whether the client is here; else says why not. */
static bool is_here(const char **arguments, size_t count)
{
    static char output[OUTPUT_SIZE];
    arguments[count] = "check";
    int code = cluster_program(output, sizeof(output), arguments);
    printf("%s", output);
    if (code != 0)
        cluster_fail("the check ended with status %d", code);
    return strncmp(output, "SKIPPED: ", 9) != 0;
}

static struct driver driver_start(const char **arguments, size_t count, uint16_t port)
{
    int to[2], from[2];
    char text[8];
    snprintf(text, sizeof(text), "%u", port);
    arguments[count] = text;
    fflush(NULL);
    CLUSTER_CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CLUSTER_CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* Whatever becomes of the test. */
        signal(SIGPIPE, SIG_DFL);
        if (dup2(to[0], STDIN_FILENO) >= 0 && dup2(from[1], STDOUT_FILENO) >= 0)
            execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    struct driver driver = {pid, fdopen(from[0], "r"), fdopen(to[1], "w")};
    CLUSTER_CHECK(driver.says != NULL && driver.hears != NULL);
    return driver;
}

static void leader_kill(const struct cluster *cluster)
{
    char id[CLUSTER_ID_SIZE];
    uint32_t leader = cluster_leader(cluster, 1);
    CLUSTER_CHECK(leader != 0);
    snprintf(id, sizeof(id), "s%u", leader % 1000);
    cluster_signal(cluster, id, SIGKILL);
    cluster_wait_served(cluster, WAIT_MS);
    cluster_restart(cluster, id);
    cluster_wait_served(cluster, WAIT_MS);
}

static void router_kill(const struct cluster *cluster)
{
    cluster_signal(cluster, "r1", SIGKILL);
    cluster_restart(cluster, "r1");
}

/* Does as the driver says, until it ends. */
static void conduct(const struct cluster *cluster, struct driver *driver)
{
    char line[1024];
    int status;
    while (fgets(line, sizeof(line), driver->says) != NULL) {
        printf("%s", line);
        fflush(stdout);
        if (strcmp(line, "kill\n") == 0)
            leader_kill(cluster);
        else if (strcmp(line, "router\n") == 0)
            router_kill(cluster);
        else
            continue;
        fputs("done\n", driver->hears);
        fflush(driver->hears);
    }
    CLUSTER_CHECK(waitpid(driver->pid, &status, 0) == driver->pid);
    fclose(driver->says);
    fclose(driver->hears);
    if (status != 0)
        cluster_fail("the driver ended with wait status %#x", (unsigned)status);
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    const char *arguments[ARGUMENTS_MAX + 2] = {NULL};
    size_t count = (size_t)argc - 1;
    CLUSTER_CHECK(count >= 1 && count <= ARGUMENTS_MAX);
    for (size_t i = 0; i < count; i++)
        arguments[i] = argv[i + 1];
    if (!is_here(arguments, count))
        return 0;
    cluster_start(&cluster, &(struct cluster_options){0});
    struct driver driver = driver_start(arguments, count, cluster.port);
    conduct(&cluster, &driver);
    cluster_wait_converged(&cluster, WAIT_MS);
    cluster_stop(&cluster);
    return 0;
}
