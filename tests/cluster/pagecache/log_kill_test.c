/*
 * The log over real files, killed with SIGKILL again and again while it appends, rolls and
 * recycles, each time with the page cache lost (all of it, or a seeded part): whatever was
 * acknowledged is there afterwards, and no incarnation comes twice.
 *
 *   log_kill_test LIBRARY RESTORE          nothing may be lost
 *   log_kill_test LIBRARY RESTORE KIND     syncs of that kind (log, superblock, directory) do
 * nothing: the test must notice
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/prng.h"
#include "store/driver/directory.h"
#include "store/log.h"
#include "tests/cluster/pagecache/journal.h"

enum {
    ROUNDS = 30,
    ACKNOWLEDGED_MAX = 120, /* In one life. */
    KEPT_SLOTS = 30,        /* Trimming follows at this distance. */
    PAYLOAD_SIZE = 3000,
    SEGMENT_SIZE = 64 * 1024,
};

/* --- The child: a node's storage without the node --- */

/* What the child tells its parent. */
enum word { WORD_OPENED = 1, WORD_ACKNOWLEDGED };

struct message {
    uint64_t word;
    uint64_t slot;   /* Last one there is, or the one acknowledged. */
    uint64_t lowest; /* WORD_OPENED: from here to `slot` none is missing. */
    uint64_t incarnation;
};

static void tell(const struct message *message)
{
    ssize_t size = write(STDOUT_FILENO, message, sizeof *message);
    TORC_ASSERT(size == sizeof *message);
}

struct seen {
    uint64_t *slots; /* Bitmap by slot: who was there. */
    size_t capacity;
    uint64_t last;
};

static void visit_record(void *context, const struct store_record *record)
{
    struct seen *seen = context;
    if (record->kind != STORE_RECORD_ENTRY)
        return;
    size_t known = seen->capacity;
    seen->slots = base_array_reserve(base_allocator_system(), seen->slots, &seen->capacity,
                                     (size_t)record->slot + 1, sizeof *seen->slots);
    if (seen->capacity > known)
        memset(seen->slots + known, 0, (seen->capacity - known) * sizeof *seen->slots);
    seen->slots[record->slot] = 1;
    if (record->slot > seen->last)
        seen->last = record->slot;
}

static void visit_damaged(void *context, uint32_t group, uint64_t replica, uint64_t slot)
{
    (void)context;
    (void)replica;
    fprintf(stderr, "group %u damaged at slot %llu\n", group, (unsigned long long)slot);
    exit(1);
}

static uint64_t visit_flushed(void *context, uint32_t group)
{
    (void)context;
    (void)group;
    return 0;
}

/* Opens as a node does: the incarnation first. */
static struct store_log *child_open(const char *path, struct seen *seen,
                                    struct message *ret_message)
{
    char text[STORE_DIRECTORY_TEXT_SIZE];
    struct store_directory *directory;
    const struct store_directory_expectation expectation = {.feature_level_max = 1};
    const struct store_log_config config = {
        .batch_size_max = 16384, .spare_segments = 1, .slack_segments = 2};
    const struct store_log_visitor visitor = {.context = seen,
                                              .record = visit_record,
                                              .damaged = visit_damaged,
                                              .flushed = visit_flushed};
    struct store_log_damage damage;
    struct store_log *log;
    enum torc_status status = store_directory_open(path, &expectation, base_allocator_system(),
                                                   &directory, text, sizeof text);
    if (status != TORC_OK) {
        fprintf(stderr, "%s\n", text);
        exit(1);
    }
    struct store_superblock *superblock = store_directory_superblock(directory);
    superblock->incarnation++;
    status = store_superblock_update(store_directory_device(directory), superblock);
    if (status == TORC_OK)
        status = store_log_open(&config, store_directory_device(directory), base_allocator_system(),
                                superblock, &visitor, &damage, &log);
    if (status != TORC_OK) {
        fprintf(stderr, "log: %s: %s\n", torc_status_text(status),
                status == TORC_DAMAGED ? store_log_flaw_text(damage.flaw) : "");
        exit(1);
    }
    uint64_t lowest = seen->last;
    while (lowest > 1 && seen->slots[lowest - 1] != 0)
        lowest--;
    *ret_message = (struct message){.word = WORD_OPENED,
                                    .slot = seen->last,
                                    .lowest = lowest,
                                    .incarnation = superblock->incarnation};
    return log;
}

static int child(const char *path)
{
    static uint8_t payload[PAYLOAD_SIZE];
    struct seen seen = {0};
    struct message message;
    struct store_log *log = child_open(path, &seen, &message);
    tell(&message);
    struct store_record record = {.kind = STORE_RECORD_REPLICA, .replica = 1};
    for (uint64_t slot = seen.last;; slot++) {
        uint64_t batch;
        enum torc_status status = store_log_append(log, &record, 1, &batch);
        TORC_ASSERT(status == TORC_OK);
        if (record.kind == STORE_RECORD_ENTRY)
            tell(&(struct message){.word = WORD_ACKNOWLEDGED, .slot = slot});
        if (slot > KEPT_SLOTS)
            status = store_log_trim(log, 0, slot - KEPT_SLOTS);
        if (status == TORC_OK && slot % 7 == 0)
            status = store_log_idle(log);
        TORC_ASSERT(status == TORC_OK);
        record = (struct store_record){.kind = STORE_RECORD_ENTRY,
                                       .replica = 1,
                                       .slot = slot + 1,
                                       .ballot = {.round = 1},
                                       .payload = base_bytes_of(payload, sizeof payload)};
    }
}

/* --- The parent --- */

struct test {
    char library[PATH_MAX];
    char restore[PATH_MAX];
    char data[2048];
    char journal[2048];
    const char *skip;
    struct base_prng prng;
    uint64_t acknowledged;
    uint64_t incarnation;
};

static void must(bool done, const char *what)
{
    if (!done) {
        perror(what);
        exit(1);
    }
}

static pid_t start_child(const struct test *test, int *ret_fd)
{
    int fds[2];
    must(pipe(fds) == 0, "pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        must(dup2(fds[1], STDOUT_FILENO) == STDOUT_FILENO, "dup2");
        close(fds[0]);
        close(fds[1]);
        setenv("LD_PRELOAD", test->library, 1);
        setenv(PAGECACHE_DATA, test->data, 1);
        setenv(PAGECACHE_JOURNAL, test->journal, 1);
        setenv(PAGECACHE_SKIP, test->skip, 1);
        execl("/proc/self/exe", "log_kill_test", "child", test->data, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

/* False at the end of the pipe: the child is gone. */
static bool hear(int fd, struct message *ret_message)
{
    ssize_t size;
    do
        size = read(fd, ret_message, sizeof *ret_message);
    while (size < 0 && errno == EINTR);
    return size == sizeof *ret_message; /* Smaller than PIPE_BUF: never cut. */
}

static void lose_page_cache(struct test *test)
{
    int status;
    char seed[32];
    bool part = base_prng_chance(&test->prng, 1, 2);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)base_prng_next(&test->prng));
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        execl(test->restore, "pagecache_restore", test->data, test->journal, part ? seed : NULL,
              (char *)NULL);
        _exit(127);
    }
    must(waitpid(pid, &status, 0) == pid && status == 0, "pagecache_restore");
}

/* Whether what the child found when it opened is all that it must be. */
static bool opened_well(struct test *test, const struct message *message)
{
    uint64_t needed = test->acknowledged > KEPT_SLOTS ? test->acknowledged - KEPT_SLOTS + 1 : 1;
    bool well = message->word == WORD_OPENED && message->slot >= test->acknowledged &&
                (test->acknowledged == 0 || message->lowest <= needed) &&
                message->incarnation > test->incarnation;
    if (!well)
        fprintf(stderr, "slots %llu to %llu, incarnation %llu; %llu and %llu were known\n",
                (unsigned long long)message->lowest, (unsigned long long)message->slot,
                (unsigned long long)message->incarnation, (unsigned long long)test->acknowledged,
                (unsigned long long)test->incarnation);
    test->incarnation = message->incarnation;
    return well;
}

/* One life: true when it began with all that was acknowledged. */
static bool live_once(struct test *test)
{
    int fd;
    struct message message;
    pid_t pid = start_child(test, &fd);
    bool well = hear(fd, &message) && opened_well(test, &message);
    uint64_t count = well ? base_prng_range(&test->prng, 1, ACKNOWLEDGED_MAX) : 0;
    while (count-- > 0 && hear(fd, &message))
        test->acknowledged = message.slot;
    kill(pid, SIGKILL);
    while (hear(fd, &message))
        test->acknowledged = well ? message.slot : test->acknowledged;
    close(fd);
    int status;
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    return well && WIFSIGNALED(status);
}

static void make_directories(struct test *test)
{
    char base[1024];
    char text[STORE_DIRECTORY_TEXT_SIZE] = "";
    const char *temporary = getenv("TEST_TMPDIR");
    const struct store_directory_format_options options = {
        .node = 1, .block_size = 512, .segment_size = SEGMENT_SIZE};
    struct store_superblock superblock;
    snprintf(base, sizeof base, "%s/log_kill.XXXXXX", temporary != NULL ? temporary : "/tmp");
    must(mkdtemp(base) != NULL, base);
    snprintf(test->data, sizeof test->data, "%s/data", base);
    snprintf(test->journal, sizeof test->journal, "%s/journal", base);
    must(mkdir(test->journal, 0700) == 0, test->journal);
    must(store_directory_format(test->data, &options, &superblock, text, sizeof text) == TORC_OK,
         text);
}

int main(int argc, char **argv)
{
    static struct test test;
    if (argc == 3 && strcmp(argv[1], "child") == 0)
        return child(argv[2]);
    must(argc == 3 || argc == 4, "usage: log_kill_test LIBRARY RESTORE [KIND]");
    must(realpath(argv[1], test.library) != NULL, argv[1]);
    must(realpath(argv[2], test.restore) != NULL, argv[2]);
    test.skip = argc == 4 ? argv[3] : "";
    test.prng = base_prng_seeded(1);
    make_directories(&test);
    bool well = true;
    int round = 0;
    for (; well && round < ROUNDS; round++) {
        well = live_once(&test);
        lose_page_cache(&test);
    }
    printf("%d lives, %llu slots acknowledged, %s\n", round, (unsigned long long)test.acknowledged,
           well ? "all there" : "something is gone");
    return well == (argc == 3) ? 0 : 1;
}
