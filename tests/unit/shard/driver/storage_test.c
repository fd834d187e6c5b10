#include "shard/driver/storage.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "shard/driver/format.h"
#include "store/superblock.h"
#include "tests/lib/scratch.h"
#include "tests/lib/test_body.h"

#define CLUSTER "00112233445566778899aabbccddeeff"
#define SEGMENT "20971520"

enum { DEADLINE_MS = 10000, PATH_SIZE = SCRATCH_PATH_SIZE + 300, TEXT_SIZE = 8192 };

static char scratch[SCRATCH_PATH_SIZE], dir[PATH_SIZE];
static struct shard_driver_config config;
static struct base_settings *settings;
static struct host_storage storage;
static FILE *said;

static void set_up(void)
{
    struct base_settings_error error;
    scratch_make(scratch);
    snprintf(dir, sizeof(dir), "%s/data", scratch);
    char *argv[] = {"format", "--dir",          dir,    "--cluster", CLUSTER, "--node",
                    "2",      "--segment-size", SEGMENT};
    cr_assert_eq(shard_driver_format(sizeof(argv) / sizeof(argv[0]), argv), 0);
    settings = shard_driver_settings(&config);
    cr_assert_eq(base_settings_set(settings, "cluster=" CLUSTER, &error), TORC_OK);
    cr_assert_eq(base_settings_set(settings, "node=2", &error), TORC_OK);
    char text[PATH_SIZE + 8];
    snprintf(text, sizeof(text), "dir=%s", dir);
    cr_assert_eq(base_settings_set(settings, text, &error), TORC_OK);
    said = tmpfile();
    cr_assert_not_null(said);
    base_log_open(BASE_LOG_INFO, fileno(said));
}

static void tear_down(void)
{
    base_settings_free(settings);
    fclose(said);
    scratch_remove(scratch);
}

static void open_storage(void)
{
    memset(&storage, 0, sizeof(storage));
    cr_assert(host_storage_open(&storage, &config));
}

static void close_storage(void)
{
    cr_assert_null(host_storage_stop(&storage));
    host_storage_close(&storage);
}

/* Everything logged so far. */
static const char *log_text(void)
{
    static char text[TEXT_SIZE];
    ssize_t size = pread(fileno(said), text, sizeof(text) - 1, 0);
    cr_assert_geq(size, 0);
    text[size] = '\0';
    return text;
}

/* Opening is refused with one line that holds all these texts; nothing stays open. */
static void expect_refusal(const char *const *texts)
{
    memset(&storage, 0, sizeof(storage));
    cr_assert_not(host_storage_open(&storage, &config));
    close_storage();
    const char *text = log_text();
    const char *line = strstr(text, "event=refused");
    cr_assert_not_null(line, "%s", text);
    for (size_t i = 0; texts[i] != NULL; i++)
        cr_assert_not_null(strstr(line, texts[i]), "no '%s' in: %s", texts[i], line);
}
#define EXPECT_REFUSAL(...) expect_refusal((const char *const[]){dir, __VA_ARGS__, NULL})

/* Appends records and waits until they are durable. */
static void append(const struct store_record *records, size_t count)
{
    struct store_request request = {.kind = STORE_REQUEST_WRITE,
                                    .u.write = {.records = records, .count = count}};
    struct pollfd poll_fd = {.fd = store_thread_fd(storage.thread), .events = POLLIN};
    cr_assert_eq(store_thread_submit(storage.thread, &request), TORC_OK);
    cr_assert_eq(poll(&poll_fd, 1, DEADLINE_MS), 1);
    cr_assert_eq(store_thread_take(storage.thread), &request);
    cr_assert_eq(request.status, TORC_OK);
}

/* A replica, three entries and a mark over two of them, in two batches. */
static void append_some(size_t value_size)
{
    static uint8_t value[1 << 20];
    const struct store_record replica = {.kind = STORE_RECORD_REPLICA,
                                         .group = 4,
                                         .replica = 40,
                                         .payload = base_bytes_text("birth")};
    struct store_record records[4];
    for (uint64_t slot = 1; slot <= 3; slot++)
        records[slot - 1] = (struct store_record){.kind = STORE_RECORD_ENTRY,
                                                  .group = 4,
                                                  .replica = 40,
                                                  .slot = slot,
                                                  .ballot = {.round = 5, .node = 2},
                                                  .tag = CONSENSUS_VALUE,
                                                  .payload = base_bytes_of(value, value_size)};
    records[3] =
        (struct store_record){.kind = STORE_RECORD_MARK, .group = 4, .replica = 40, .slot = 2};
    append(&replica, 1);
    append(records, 4);
}

static void superblock_read(unsigned copy, struct store_superblock *ret)
{
    char path[PATH_SIZE + 16];
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    snprintf(path, sizeof(path), "%s/superblock.%u", dir, copy);
    int fd = open(path, O_RDONLY);
    cr_assert_eq(read(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    close(fd);
    cr_assert_eq(store_superblock_decode(bytes, ret), TORC_OK);
}

static void superblock_write(unsigned copy, const struct store_superblock *superblock)
{
    char path[PATH_SIZE + 16];
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    store_superblock_encode(superblock, bytes);
    snprintf(path, sizeof(path), "%s/superblock.%u", dir, copy);
    int fd = open(path, O_WRONLY);
    cr_assert_eq(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    close(fd);
}

/* The first segment of the log, by name. */
static void segment_path(char path[2 * PATH_SIZE])
{
    char log[PATH_SIZE + 8];
    snprintf(log, sizeof(log), "%s/log", dir);
    DIR *list = opendir(log);
    cr_assert_not_null(list);
    char first[256] = "";
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (strlen(entry->d_name) == 16 && (first[0] == '\0' || strcmp(entry->d_name, first) < 0))
            snprintf(first, sizeof(first), "%s", entry->d_name);
    closedir(list);
    cr_assert_neq(first[0], '\0');
    snprintf(path, 2 * PATH_SIZE, "%s/%s", log, first);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Every start has an incarnation of its own, durable in both copies before the start goes on. */
TEST_BODY(shard_driver_storage, each_start_raises_the_incarnation, set_up, tear_down)
{
    for (uint32_t life = 1; life <= 3; life++) {
        open_storage();
        cr_assert_eq(storage.superblock->incarnation, life);
        for (unsigned copy = 0; copy < 2; copy++) {
            struct store_superblock superblock;
            superblock_read(copy, &superblock);
            cr_assert_eq(superblock.incarnation, life);
        }
        close_storage();
    }
}

/* A start that is refused because of the log uses up no incarnation: nothing was sent. */
TEST_BODY(shard_driver_storage, a_refused_start_changes_nothing, set_up, tear_down)
{
    config.log_size_max = 1;
    EXPECT_REFUSAL("log_size_max");
    struct store_superblock superblock;
    superblock_read(0, &superblock);
    cr_assert_eq(superblock.incarnation, 0);
}

/* What was appended is gathered at the next start, as it was written. */
TEST_BODY(shard_driver_storage, what_was_appended_comes_back, set_up, tear_down)
{
    open_storage();
    cr_assert_eq(shard_recovery_count(storage.recovery), 0);
    append_some(100);
    close_storage();
    open_storage();
    cr_assert_eq(shard_recovery_count(storage.recovery), 1);
    const struct shard_recovered *found = shard_recovery_at(storage.recovery, 0);
    cr_assert_eq(found->group, 4);
    cr_assert_eq(found->replica, 40);
    cr_assert_eq(found->entry_count, 3);
    cr_assert_eq(found->entries[2].slot, 3);
    cr_assert_eq(found->entries[2].value->size, 100);
    cr_assert_eq(found->chosen, 2);
    cr_assert_eq(found->promised.round, 5);
    cr_assert_eq(found->birth.size, 5);
    cr_assert_not(found->damaged);
    cr_assert_geq(storage.recovered_batch, 2);
    cr_assert_not_null(strstr(log_text(), "event=recovered node=2 replicas=1 entries=3"), "%s",
                       log_text());
    close_storage();
}

/* One bad superblock copy is repaired from the other, and the log says so. */
TEST_BODY(shard_driver_storage, a_repair_is_told, set_up, tear_down)
{
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/superblock.1", dir);
    cr_assert_eq(truncate(path, 7), 0);
    open_storage();
    close_storage();
    cr_assert_not_null(strstr(log_text(), "event=superblock_repaired"), "%s", log_text());
}

/* ---- Refusals -------------------------------------------------------------------------------- */

/* A directory that is gone is never made anew. */
TEST_BODY(shard_driver_storage, a_missing_directory_is_refused, set_up, tear_down)
{
    scratch_remove(dir);
    EXPECT_REFUSAL("node=2");
    cr_assert_neq(access(dir, F_OK), 0);
}

/* One that was emptied is not formatted. */
TEST_BODY(shard_driver_storage, an_emptied_directory_is_refused, set_up, tear_down)
{
    char path[PATH_SIZE + 16];
    scratch_remove(dir);
    cr_assert_eq(mkdir(dir, 0755), 0);
    EXPECT_REFUSAL("node=2");
    snprintf(path, sizeof(path), "%s/superblock.0", dir);
    cr_assert_neq(access(path, F_OK), 0);
}

/* Another cluster's data is named with both ids. */
TEST_BODY(shard_driver_storage, a_foreign_cluster_is_refused, set_up, tear_down)
{
    config.cluster[0] = 0xfe;
    EXPECT_REFUSAL(CLUSTER, "fe112233445566778899aabbccddeeff");
}

/* Another node's data is named with both numbers. */
TEST_BODY(shard_driver_storage, a_foreign_node_is_refused, set_up, tear_down)
{
    config.node = 7;
    EXPECT_REFUSAL("node 2", "node 7");
}

/* Data of a later feature level is named with both levels. */
TEST_BODY(shard_driver_storage, a_newer_level_is_refused, set_up, tear_down)
{
    struct store_superblock superblock;
    superblock_read(0, &superblock);
    superblock.feature_level = 17;
    superblock_write(0, &superblock);
    superblock_write(1, &superblock);
    EXPECT_REFUSAL("feature level of at most 1, found 17");
}

/* A directory that another process has open is left alone. */
TEST_BODY(shard_driver_storage, a_locked_directory_is_refused, set_up, tear_down)
{
    int told[2], end[2], status;
    char byte = 0;
    cr_assert_eq(pipe(told), 0);
    cr_assert_eq(pipe(end), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(end[1]);
        bool open = host_storage_open(&storage, &config);
        if (write(told[1], open ? "y" : "n", 1) == 1 && read(end[0], &byte, 1) == 0)
            _exit(0);
        _exit(1);
    }
    close(end[0]);
    cr_assert_eq(read(told[0], &byte, 1), 1);
    cr_assert_eq(byte, 'y');
    EXPECT_REFUSAL("lock");
    close(end[1]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
}

/* A rotten block before a later batch is damage of the whole log: named with its place, and with
 * what to do. */
TEST_BODY(shard_driver_storage, a_damaged_log_is_refused, set_up, tear_down)
{
    char path[2 * PATH_SIZE];
    uint8_t byte;
    open_storage();
    append_some(100);
    close_storage();
    segment_path(path);
    int fd = open(path, O_RDWR);
    cr_assert_eq(pread(fd, &byte, 1, 512 + 60), 1); /* Block 0 is the segment's header. */
    byte ^= 1;
    cr_assert_eq(pwrite(fd, &byte, 1, 512 + 60), 1);
    close(fd);
    EXPECT_REFUSAL("the log is damaged", "block=1", "never votes again");
}

/* A log that does not fit into pool_bytes is refused by that name, not met half way. */
TEST_BODY(shard_driver_storage, a_small_pool_is_refused, set_up, tear_down)
{
    open_storage();
    append_some(100000);
    close_storage();
    config.pool_bytes = 150000;
    EXPECT_REFUSAL("pool_bytes");
    config.pool_bytes = 1 << 20;
    open_storage();
    close_storage();
}

/* A log_size_max that a few segments fill is refused with the number that would do. */
TEST_BODY(shard_driver_storage, a_small_log_size_is_refused, set_up, tear_down)
{
    config.flush_bytes = 1 << 20;
    config.log_size_max = 8 * 20971520 + (4 << 20) - 1;
    EXPECT_REFUSAL("log_size_max is 171966463 and must be at least 171966464");
    config.log_size_max++;
    open_storage();
    close_storage();
}

/* A state that is gone is not made anew: it would begin at slot 0 below a trimmed log. */
TEST_BODY(shard_driver_storage, a_missing_state_is_refused, set_up, tear_down)
{
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/state", dir);
    scratch_remove(path);
    EXPECT_REFUSAL("state");
    cr_assert_eq(mkdir(path, 0755), 0);
    EXPECT_REFUSAL("state");
}
