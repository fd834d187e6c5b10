#include "store/driver/directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/lib/counting.h"

static struct counting counting;
static char path[2048];
static char text[STORE_DIRECTORY_TEXT_SIZE];
static struct store_directory_format_options options;
static struct store_directory_expectation expectation;
static struct store_directory *directory;
static uint8_t cluster[STORE_ID_SIZE];

static void set_up(void)
{
    const char *base = getenv("TEST_TMPDIR");
    char parent[1024];
    counting_init(&counting);
    snprintf(parent, sizeof parent, "%s/directory.XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(parent));
    snprintf(path, sizeof path, "%s/data", parent);
    memset(cluster, 0xc1, sizeof cluster);
    options = (struct store_directory_format_options){
        .node = 3, .feature_level = 1, .block_size = 512, .segment_size = 64 * 1024};
    memcpy(options.cluster_id, cluster, sizeof cluster);
    expectation = (struct store_directory_expectation){
        .node = 3, .cluster_id = cluster, .feature_level_max = 1};
}

/* Another name beside the first. */
static void next_path(void)
{
    size_t size = strlen(path);
    snprintf(path + size, sizeof path - size, "2");
}

static void format(void)
{
    struct store_superblock superblock;
    enum torc_status status =
        store_directory_format(path, &options, &superblock, text, sizeof text);
    cr_assert_eq(status, TORC_OK, "%s", text);
}

static enum torc_status open_again(void)
{
    text[0] = '\0';
    return store_directory_open(path, &expectation, &counting.allocator, &directory, text,
                                sizeof text);
}

static void expect_refusal(enum torc_status expected, const char *words)
{
    cr_assert_eq(open_again(), expected, "%s", text);
    cr_assert_not_null(strstr(text, words), "%s", text);
    cr_assert_not_null(strstr(text, path), "%s", text);
    counting_fini(&counting);
}

static const char *part(const char *name)
{
    static char full[4096];
    snprintf(full, sizeof full, "%s/%s", path, name);
    return full;
}

/* Writes bytes into the middle of a file. */
static void spoil(const char *name)
{
    int fd = open(part(name), O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, "spoilt", 6, 100), 6);
    close(fd);
}

/* What format made is opened, says who it is, and lies where it should. */
Test(directory, formatted_directory_opens, .init = set_up)
{
    format();
    cr_assert_eq(open_again(), TORC_OK, "%s", text);
    const struct store_superblock *superblock = store_directory_superblock(directory);
    cr_assert_eq(superblock->node, 3);
    cr_assert_eq(superblock->incarnation, 0);
    cr_assert_str_eq(store_directory_state_path(directory), part("state"));
    cr_assert_not(store_directory_was_repaired(directory));
    store_directory_close(directory);
    counting_fini(&counting);
    const char *const parts[] = {"superblock.0", "superblock.1", "log", "state", "lock"};
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(access(part(parts[i]), F_OK), 0, "%s", parts[i]);
}

/* Two formats never give the same storage id. */
Test(directory, storage_ids_differ, .init = set_up)
{
    struct store_superblock first;
    struct store_superblock second;
    cr_assert_eq(store_directory_format(path, &options, &first, text, sizeof text), TORC_OK);
    next_path();
    cr_assert_eq(store_directory_format(path, &options, &second, text, sizeof text), TORC_OK);
    cr_assert_neq(memcmp(first.storage_id, second.storage_id, STORE_ID_SIZE), 0);
}

/* A directory with anything in it is never formatted. */
Test(directory, format_refuses_what_is_not_empty, .init = set_up)
{
    struct store_superblock superblock;
    format();
    cr_assert_eq(store_directory_format(path, &options, &superblock, text, sizeof text),
                 TORC_EXISTS);
    cr_assert_not_null(strstr(text, "not empty"), "%s", text);
    next_path();
    cr_assert_eq(mkdir(path, 0700), 0);
    close(open(part("precious"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    cr_assert_eq(store_directory_format(path, &options, &superblock, text, sizeof text),
                 TORC_EXISTS);
    cr_assert_not_null(strstr(text, "precious"), "%s", text);
    cr_assert_eq(access(part("log"), F_OK), -1);
}

static enum torc_status make_state(void *context, const char *state_path)
{
    cr_assert_str_eq(state_path, part("state"));
    cr_assert_eq(access(part("superblock.0"), F_OK), -1, "the superblock comes last");
    return *(enum torc_status *)context;
}

/* The state is made before the superblock: what fails there is no data directory. */
Test(directory, superblock_comes_last, .init = set_up)
{
    struct store_superblock superblock;
    enum torc_status outcome = TORC_IO;
    options.make_state = make_state;
    options.context = &outcome;
    cr_assert_eq(store_directory_format(path, &options, &superblock, text, sizeof text), TORC_IO);
    cr_assert_eq(access(part("superblock.0"), F_OK), -1);
    expect_refusal(TORC_DAMAGED, "found neither");
}

/* A missing directory is named, and not made. */
Test(directory, missing_directory_is_refused, .init = set_up)
{
    expect_refusal(TORC_NOT_FOUND, "does not exist");
    cr_assert_eq(access(path, F_OK), -1);
}

/* An emptied directory is refused and left empty. */
Test(directory, empty_directory_is_refused, .init = set_up)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_refusal(TORC_NOT_FOUND, "is empty");
    cr_assert_eq(rmdir(path), 0, "nothing was made in it");
}

/* Somebody else's directory is refused, and nothing is made in it. */
Test(directory, unformatted_directory_is_refused, .init = set_up)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    close(open(part("photo.jpg"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    expect_refusal(TORC_NOT_FOUND, "photo.jpg");
    cr_assert_eq(access(part("lock"), F_OK), -1);
}

/* Another node's directory: both numbers are in the message. */
Test(directory, directory_of_another_node_is_refused, .init = set_up)
{
    format();
    expectation.node = 4;
    expect_refusal(TORC_FOREIGN, "expected node 4, found node 3");
}

/* Another cluster's directory: both ids are in the message. */
Test(directory, directory_of_another_cluster_is_refused, .init = set_up)
{
    uint8_t other[STORE_ID_SIZE] = {0};
    format();
    expectation.cluster_id = other;
    expect_refusal(TORC_FOREIGN, "expected cluster 00000000000000000000000000000000, found "
                                 "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1");
}

/* What a newer process left is not touched. */
Test(directory, newer_directory_is_refused, .init = set_up)
{
    options.feature_level = 9;
    format();
    expect_refusal(TORC_NEWER, "at most 1, found 9");
}

/* A second process is told who has it. */
Test(directory, locked_directory_is_refused, .init = set_up)
{
    char words[64];
    format();
    cr_assert_eq(open_again(), TORC_OK);
    struct store_directory *holder = directory;
    cr_assert_eq(open_again(), TORC_LOCKED);
    snprintf(words, sizeof words, "locked by process %ld", (long)getpid());
    cr_assert_not_null(strstr(text, words), "%s", text);
    store_directory_close(holder);
    cr_assert_eq(open_again(), TORC_OK, "the lock ends with its holder");
    store_directory_close(directory);
}

/* One bad superblock is repaired and said so; two are the end. */
Test(directory, bad_superblocks, .init = set_up)
{
    format();
    spoil("superblock.1");
    cr_assert_eq(open_again(), TORC_OK, "%s", text);
    cr_assert(store_directory_was_repaired(directory));
    store_directory_close(directory);
    spoil("superblock.0");
    spoil("superblock.1");
    expect_refusal(TORC_DAMAGED, "both bad");
}

/* Parts that are gone are named. */
Test(directory, missing_parts_are_refused, .init = set_up)
{
    format();
    cr_assert_eq(rmdir(part("state")), 0);
    expect_refusal(TORC_DAMAGED, "expected state/");
    cr_assert_eq(mkdir(part("state"), 0700), 0);
    cr_assert_eq(rmdir(part("log")), 0);
    expect_refusal(TORC_DAMAGED, "expected log/");
    cr_assert_eq(mkdir(part("log"), 0700), 0);
    cr_assert_eq(unlink(part("superblock.0")), 0);
    cr_assert_eq(unlink(part("superblock.1")), 0);
    expect_refusal(TORC_DAMAGED, "found neither");
}
