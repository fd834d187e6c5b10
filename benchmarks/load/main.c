/* torc-load: torc-load --help. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "benchmarks/load/load.h"
#include "benchmarks/load/options.h"

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void stay_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        load_die("CPU %d: %s", cpu, strerror(errno));
}

static double us(const struct summary *summary, unsigned permille)
{
    return (double)summary_quantile(summary, permille) / 1000;
}

static void print(const struct load *load)
{
    double seconds = (double)(load->ended_ns - load->begin_ns) / 1e9;
    printf("{\"operations\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"seconds\": %.3f, "
           "\"ops_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f, \"client_cpu_s\": %.3f}\n",
           load->done, load->errors, seconds, seconds > 0 ? (double)load->done / seconds : 0,
           us(&load->summary, 500), us(&load->summary, 990), us(&load->summary, 999),
           us(&load->summary, 1000), cpu_seconds());
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct load load;
    char text[512];
    switch (options_read(argc, argv, &load.options, text, sizeof(text))) {
    case OPTIONS_HELP:
        fputs(options_help(), stdout);
        return 0;
    case OPTIONS_WRONG:
        fprintf(stderr, "torc-load: %s; torc-load --help lists what there is\n", text);
        return 2;
    case OPTIONS_RUN:
        break;
    }
    if (load.options.cpu >= 0)
        stay_on(load.options.cpu);
    load.options.report = print;
    load_run(&load);
    print(&load);
    return 0;
}
