/* What the file system itself gives: 4 KiB appended to a file and fdatasync, again and again.
 *
 *   sync-probe FILE SECONDS [CPU]     prints one line of JSON; FILE must not be there, and goes
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "benchmarks/load/summary.h"

enum { BLOCK_SIZE = 4096 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void probe(int fd, uint64_t seconds, struct summary *summary)
{
    static char block[BLOCK_SIZE];
    uint64_t began_ns = now_ns(), end_ns = began_ns + seconds * 1000000000;
    memset(block, 'x', sizeof(block));
    while (began_ns < end_ns) {
        if (write(fd, block, sizeof(block)) != sizeof(block) || fdatasync(fd) != 0) {
            fprintf(stderr, "sync-probe: %s\n", strerror(errno));
            exit(1);
        }
        uint64_t ended_ns = now_ns();
        summary_add(summary, ended_ns - began_ns);
        began_ns = ended_ns;
    }
}

static int stay_on(const char *cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(strtoul(cpu, NULL, 10), &set);
    return sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
    static struct summary summary;
    unsigned long seconds = argc < 3 ? 0 : strtoul(argv[2], NULL, 10);
    if (argc < 3 || argc > 4 || seconds == 0) {
        fputs("usage: sync-probe FILE SECONDS [CPU]\n", stderr);
        return 2;
    }
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || (argc == 4 && stay_on(argv[3]) != 0)) {
        fprintf(stderr, "sync-probe: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    probe(fd, seconds, &summary);
    unlink(argv[1]);
    printf("{\"syncs\": %" PRIu64 ", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           summary.count, (double)summary_quantile(&summary, 500) / 1000,
           (double)summary_quantile(&summary, 990) / 1000,
           (double)summary_quantile(&summary, 999) / 1000);
    return 0;
}
