#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "benchmarks/load/options.h"

static enum options_outcome read_line(const char *line, struct load_options *options, char *text)
{
    static char copy[512];
    char *words[32] = {"torc-load"}, *rest;
    int count = 1;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    return options_read(count, words, options, text, 256);
}

/* What is not said has the values that the help names. */
Test(load_options, have_defaults)
{
    struct load_options options;
    char text[256];
    cr_assert_eq(read_line("--backend resp --ports 7379 --op set", &options, text), OPTIONS_RUN);
    cr_assert_eq(options.clients, 1);
    cr_assert_eq(options.pipeline, 1);
    cr_assert_eq(options.value_size, 256);
    cr_assert_eq(options.key_count, 1000000);
    cr_assert_eq(options.cpu, -1);
    cr_assert(!options.wait && !options.zipf);
}

/* Everything that can be said is understood. */
Test(load_options, are_read)
{
    struct load_options options;
    char text[256];
    cr_assert_eq(read_line("--backend redis-cluster --ports 1,2,65535 --op mix --wait --clients 64 "
                           "--pipeline 16 --seconds 3 --value 100 --keys 9 --choice zipf --seed 0 "
                           "--cpu 1",
                           &options, text),
                 OPTIONS_RUN);
    cr_assert_eq(options.backend, &load_resp_cluster);
    cr_assert_eq(options.port_count, 3);
    cr_assert_eq(options.ports[2], 65535);
    cr_assert_eq(options.mode, LOAD_MODE_MIX);
    cr_assert(options.wait && options.zipf);
    cr_assert_eq(options.clients, 64);
    cr_assert_eq(options.connections, 64);
    cr_assert_eq(options.cpu, 1);
}

/* Clients of etcd share connections, those of libtorc one handle; others have one each. */
Test(load_options, say_how_connections_are_shared)
{
    struct load_options options;
    char text[256];
    read_line("--backend etcd --ports 1 --op set --clients 256", &options, text);
    cr_assert_eq(options.connections, 16);
    read_line("--backend etcd --ports 1 --op set --clients 256 --pipeline 16", &options, text);
    cr_assert_eq(options.connections, 64);
    read_line("--backend etcd --ports 1 --op set --clients 8 --connections 9", &options, text);
    cr_assert_eq(options.connections, 8);
    read_line("--backend libtorc --ports 1 --op set --cluster x --clients 256", &options, text);
    cr_assert_eq(options.connections, 1);
}

/* What is wrong is named, and nothing runs. */
Test(load_options, that_are_wrong_are_refused)
{
    static const char *const lines[] = {
        "",
        "--backend resp --ports 1",
        "--backend resp --op set",
        "--ports 1 --op set",
        "--backend none --ports 1 --op set",
        "--backend resp --ports 0 --op set",
        "--backend resp --ports 65536 --op set",
        "--backend resp --ports 1,, --op seek",
        "--backend resp --ports 1 --op set --clients 0",
        "--backend resp --ports 1 --op set --clients 4097",
        "--backend resp --ports 1 --op set --clients -1",
        "--backend resp --ports 1 --op set --pipeline 65",
        "--backend resp --ports 1 --op set --value 23",
        "--backend resp --ports 1 --op set --choice often",
        "--backend resp --ports 1 --op set --seconds",
        "--backend resp --ports 1 --op set --connections 2",
        "--backend resp --ports 1 --op set --cluster x",
        "--backend resp --ports 1 --op set --colour red",
        "--backend etcd --ports 1 --op set --wait",
        "--backend libtorc --ports 1 --op set",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct load_options options;
        char text[256] = "";
        cr_assert_eq(read_line(lines[i], &options, text), OPTIONS_WRONG, "%s", lines[i]);
        cr_assert_neq(text[0], '\0', "%s", lines[i]);
    }
}

/* Help names every option. */
Test(load_options, help_names_all)
{
    static const char *const names[] = {
        "--backend", "--ports",    "--cluster", "--op",          "--wait",
        "--clients", "--pipeline", "--seconds", "--value",       "--keys",
        "--seed",    "--choice",   "--cpu",     "--connections", "--report",
    };
    struct load_options options;
    char text[256];
    cr_assert_eq(read_line("--backend resp --help", &options, text), OPTIONS_HELP);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        cr_assert_not_null(strstr(options_help(), names[i]), "%s", names[i]);
}
