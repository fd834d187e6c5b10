#include "shard/driver/format.h"

#include <criterion/criterion.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

/* Criterion runs each test in a process of its own, so getopt starts afresh; what is said is read
 * from files. */

#define CLUSTER "00112233445566778899aabbccddeeff"

static char scratch[SCRATCH_PATH_SIZE], dir[SCRATCH_PATH_SIZE + 8], said[4096];

static void set_up(void)
{
    scratch_make(scratch);
    snprintf(dir, sizeof(dir), "%s/data", scratch);
}

static void tear_down(void)
{
    scratch_remove(scratch);
}

/* Runs it with these arguments; what it printed, errors too, is in `said`. */
static int format(const char *const *arguments)
{
    char *argv[16] = {"format"}, name[SCRATCH_PATH_SIZE + 8];
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    snprintf(name, sizeof(name), "%s/said", scratch);
    cr_assert_not_null(freopen(name, "w", stdout));
    cr_assert_not_null(freopen(name, "a", stderr));
    int code = shard_driver_format(argc, argv);
    fflush(stdout);
    fflush(stderr);
    FILE *in = fopen(name, "re");
    cr_assert_not_null(in);
    said[fread(said, 1, sizeof(said) - 1, in)] = '\0';
    fclose(in);
    return code;
}
#define FORMAT(...) format((const char *const[]){__VA_ARGS__, NULL})

static bool exists(const char *name)
{
    char path[SCRATCH_PATH_SIZE + 64];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* A directory is made with all that belongs into it, and its storage id is printed. */
TEST_BODY(shard_driver_format, makes_a_directory_and_prints_its_id, set_up, tear_down)
{
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 0, "%s", said);
    cr_assert_eq(strncmp(said, "storage=", 8), 0, "%s", said);
    cr_assert_eq(strspn(said + 8, "0123456789abcdef"), 32, "%s", said);
    cr_assert_str_eq(said + 8 + 32, "\n");
    cr_assert(exists("superblock.0") && exists("superblock.1") && exists("log") &&
              exists("state/CURRENT"));
}

/* Two directories never have the same storage id. */
TEST_BODY(shard_driver_format, ids_are_drawn_anew, set_up, tear_down)
{
    char first[64];
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 0);
    snprintf(first, sizeof(first), "%.48s", said);
    snprintf(dir, sizeof(dir), "%s/other", scratch);
    optind = 1;
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 0);
    cr_assert_str_neq(first, said);
}

/* What holds anything is left as it is, a formatted directory too. */
TEST_BODY(shard_driver_format, nothing_is_formatted_twice, set_up, tear_down)
{
    cr_assert_eq(mkdir(dir, 0755), 0);
    scratch_write(dir, "notes", "mine");
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 1);
    cr_assert_not_null(strstr(said, dir), "%s", said);
    cr_assert(exists("notes") && !exists("superblock.0") && !exists("log"));
    snprintf(dir, sizeof(dir), "%s/data2", scratch);
    optind = 1;
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 0, "%s", said);
    optind = 1;
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 1);
    cr_assert_not_null(strstr(said, "not empty"), "%s", said);
}

/* An empty directory that is there already will do; one below a missing directory will not. */
TEST_BODY(shard_driver_format, an_empty_directory_will_do, set_up, tear_down)
{
    cr_assert_eq(mkdir(dir, 0755), 0);
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 0, "%s", said);
    snprintf(dir, sizeof(dir), "%s/no/data", scratch);
    optind = 1;
    cr_assert_eq(FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2"), 1);
    cr_assert_not_null(strstr(said, dir), "%s", said);
}

/* A command line that is wrong makes nothing and says what would be right. */
TEST_BODY(shard_driver_format, wrong_arguments_are_refused, set_up, tear_down)
{
    const struct {
        const char *arguments[10], *text;
    } cases[] = {
        {{"--dir", dir, "--cluster", "12", "--node", "2"}, "32 hexadecimal digits, not 12"},
        {{"--dir", dir, "--cluster", "g0112233445566778899aabbccddeeff", "--node", "2"},
         "32 hexadecimal digits"},
        {{"--dir", dir, "--cluster", CLUSTER "00", "--node", "2"}, "32 hexadecimal digits"},
        {{"--dir", dir, "--cluster", CLUSTER, "--node", "0"}, "a number from 1"},
        {{"--dir", dir, "--cluster", CLUSTER, "--node", "4294967296"}, "a number from 1"},
        {{"--dir", dir, "--cluster", CLUSTER, "--node", "2x"}, "a number from 1"},
        {{"--dir", dir, "--cluster", CLUSTER, "--node", "-1"}, "a number from 1"},
        {{"--dir", dir, "--cluster", CLUSTER}, "are needed"},
        {{"--dir", dir, "--node", "2"}, "are needed"},
        {{"--cluster", CLUSTER, "--node", "2"}, "are needed"},
        {{"--dir", dir, "--cluster", CLUSTER, "--node", "2", "more"}, "what is meant by more"},
        {{"--dir", dir, "--cluster", CLUSTER, "--node", "2", "--sise", "3"}, "sise"},
        {{"--dir", dir, "--cluster", CLUSTER, "--node", "2", "--segment-size", "1000000"},
         "20971520"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        optind = 1;
        cr_assert_eq(format(cases[i].arguments), 2, "case %zu: %s", i, said);
        cr_assert_not_null(strstr(said, cases[i].text), "case %zu: %s", i, said);
        cr_assert_neq(access(dir, F_OK), 0);
    }
}

/* A size of segments that is no multiple of the block is refused by name. */
TEST_BODY(shard_driver_format, an_odd_segment_size_is_refused, set_up, tear_down)
{
    cr_assert_eq(
        FORMAT("--dir", dir, "--cluster", CLUSTER, "--node", "2", "--segment-size", "20971521"), 1);
    cr_assert_not_null(strstr(said, "20971521"), "%s", said);
    cr_assert_neq(access(dir, F_OK), 0);
}

/* --help shows how, and makes nothing. */
TEST_BODY(shard_driver_format, help_shows_an_example, set_up, tear_down)
{
    cr_assert_eq(FORMAT("--help"), 0);
    cr_assert_not_null(strstr(said, "example: torc-shard format"), "%s", said);
}
