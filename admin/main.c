/* torc-admin: the operator's command line. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "admin/dev.h"
#include "admin/init.h"
#include "admin/inspect.h"
#include "admin/options.h"
#include "admin/report.h"
#include "admin/status.h"

static int dev_admin_main(int argc, char **argv);

struct command {
    const char *words; /* "ring show" */
    const char *summary;
    int (*run)(int argc, char **argv);
    bool finds_cluster; /* Takes --nodes or --dir, so `dev admin` can run it. */
};

static const struct command commands[] = {
    {"dev up", "start a cluster on this machine", admin_dev_up_main, false},
    {"dev ps", "its processes", admin_dev_ps_main, false},
    {"dev status", "its id, nodes, groups and leaders", admin_status_main, false},
    {"dev restart", "end and start one of its processes", admin_dev_restart_main, false},
    {"dev down", "end all of it", admin_dev_down_main, false},
    {"dev admin", "-- COMMAND: status, key or ring show (below) about it", dev_admin_main, false},
    {"format", "make a node's data directory", admin_format_main, false},
    {"init", "send a new cluster its first map", admin_init_main, false},
    {"status", "nodes, groups, leaders, lag", admin_status_main, true},
    {"key", "where a key lives, its size, version and expiry", admin_key_main, true},
    {"ring show", "vnodes per group", admin_ring_main, true},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]), ARGUMENTS_MAX = 64 };

/* The commands, or those of two words that begin with `first`; false: there is none. */
static bool help_print(const char *first, FILE *out)
{
    size_t size = strlen(first), count = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *words = commands[i].words;
        if (size > 0 && (strncmp(words, first, size) != 0 || words[size] != ' '))
            continue;
        if (count++ == 0)
            fprintf(out, "Usage: torc-admin COMMAND [OPTIONS]\n\nCommands (each has --help, with "
                         "examples):\n");
        fprintf(out, "  %-12s %s\n", words, commands[i].summary);
    }
    return count > 0;
}

/* How many of the arguments name this command; 0: they do not. */
static int words_match(const char *words, int argc, char **argv)
{
    const char *space = strchr(words, ' ');
    if (space == NULL)
        return argc >= 1 && strcmp(argv[0], words) == 0 ? 1 : 0;
    size_t size = (size_t)(space - words);
    return argc >= 2 && strlen(argv[0]) == size && strncmp(argv[0], words, size) == 0 &&
                   strcmp(argv[1], space + 1) == 0
               ? 2
               : 0;
}

static int command_run(int argc, char **argv)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        int words = words_match(commands[i].words, argc, argv);
        if (words > 0)
            return commands[i].run(argc - words + 1, argv + words - 1);
    }
    if (argc == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "help") == 0) {
        help_print("", argc == 0 ? stderr : stdout);
        return argc == 0 ? 2 : 0;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0 && help_print(argv[0], stdout))
        return 0;
    bool two = argc >= 2 && argv[1][0] != '-';
    return admin_refuse("there is no command '%s%s%s'; --help lists them", argv[0], two ? " " : "",
                        two ? argv[1] : "");
}

/* "dev admin [--dir DIR] -- ARGS": ARGS with the directory as the command's first option. */
static int dev_admin_main(int argc, char **argv)
{
    static char *arguments[ARGUMENTS_MAX];
    static char dir_option[] = "--dir", dir_default[] = ".torc";
    static const struct admin_usage usage = {
        "torc-admin dev admin [--dir DIR] -- COMMAND",
        "Runs COMMAND (status, key NAME or ring show, with their options) against a dev cluster.\n",
        "  torc-admin dev admin -- key bash\n"
        "  torc-admin dev admin --dir ../cluster -- ring show --json\n",
        0, 0};
    char *dir = dir_default;
    const struct admin_option options[] = {
        {dir_option, ADMIN_OPTION_TEXT, "DIR", "the cluster's directory (.torc)", &dir, 0, 0}};
    size_t none;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return admin_options_read(&usage, options, 1, argc, argv, &none);
    int i = 1;
    if (i < argc && strncmp(argv[i], "--dir=", 6) == 0) {
        dir = argv[i++] + 6;
    } else if (i + 1 < argc && strcmp(argv[i], dir_option) == 0) {
        dir = argv[i + 1];
        i += 2;
    }
    if (i < argc && strcmp(argv[i], "--") == 0)
        i++;
    for (size_t c = 0; c < COMMAND_COUNT && argc - i + 2 <= ARGUMENTS_MAX; c++) {
        int words = words_match(commands[c].words, argc - i, argv + i);
        if (words == 0 || !commands[c].finds_cluster)
            continue;
        int count = 0;
        arguments[count++] = argv[0];
        arguments[count++] = dir_option;
        arguments[count++] = dir;
        for (int j = i + words; j < argc; j++)
            arguments[count++] = argv[j];
        return commands[c].run(count, arguments);
    }
    return admin_refuse(
        "usage: torc-admin dev admin [--dir DIR] -- COMMAND, where COMMAND is status, "
        "key NAME or ring show, with its options");
}

int main(int argc, char **argv)
{
    return command_run(argc - 1, argv + 1);
}
