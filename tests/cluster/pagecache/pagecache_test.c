/*
 * The preload library itself: a child writes with and without syncs and kills itself; after the
 * restore exactly what was synced is there.
 *
 *   pagecache_test LIBRARY RESTORE
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/cluster/pagecache/journal.h"

enum { SECTORS = 64, BIG = SECTORS * JOURNAL_SECTOR_SIZE };

static char library[PATH_MAX];
static char restore[PATH_MAX];
static char data[2048];
static char journal[2048];

/* --- Files --- */

static void must(bool done, const char *what)
{
    if (!done) {
        perror(what);
        exit(1);
    }
}

static int open_file(const char *name, int flags)
{
    int fd = open(name, flags | O_CLOEXEC, 0600);
    must(fd >= 0, name);
    return fd;
}

static void put(int fd, const char *text)
{
    must(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write");
}

static void put_at(int fd, const char *text, off_t offset)
{
    must(pwrite(fd, text, strlen(text), offset) == (ssize_t)strlen(text), "pwrite");
}

static void sync_directory(const char *name)
{
    int fd = open_file(name, O_RDONLY | O_DIRECTORY);
    must(fsync(fd) == 0, "fsync");
    close(fd);
}

static void expect(const char *name, const char *content)
{
    char full[PATH_MAX];
    char found[256] = "";
    snprintf(full, sizeof full, "%s/%s", data, name);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, found, sizeof found - 1);
    if (fd >= 0)
        close(fd);
    if (content == NULL ? size >= 0 : size < 0 || strcmp(found, content) != 0) {
        fprintf(stderr, "%s: expected %s, found %s\n", name, content != NULL ? content : "nothing",
                size < 0 ? "nothing" : found);
        exit(1);
    }
}

/* --- What the child does, in the data directory, before it kills itself --- */

static void child_writes(void)
{
    int fd = open_file("synced", O_RDWR);
    put_at(fd, "NEW", 0);
    must(fdatasync(fd) == 0, "fdatasync");
    fd = open_file("overwritten", O_RDWR);
    put_at(fd, "once", 0);
    put_at(fd, "again", 2);
    fd = open_file("appended", O_WRONLY | O_APPEND);
    put(fd, " and more");
    const struct iovec parts[] = {{(void *)"x", 1}, {(void *)"yz", 2}};
    must(writev(fd, parts, 2) == 3, "writev");
    fd = open_file("half", O_RDWR);
    put_at(fd, "SYNC", 0);
    must(fsync(fd) == 0, "fsync");
    put_at(fd, "lost", 4);
    must(pwritev(fd, parts, 2, 20) == 3, "pwritev");
    fd = open_file("cut", O_RDWR);
    must(ftruncate(fd, 3) == 0, "ftruncate");
    fd = open_file("emptied", O_WRONLY | O_TRUNC);
    put(fd, "q");
    fd = open_file("allocated", O_RDWR);
    must(fallocate(fd, 0, 0, 10000) == 0, "fallocate");
}

static void put_durably(int fd, const char *text, off_t offset)
{
    const struct iovec part = {(void *)text, strlen(text)};
    must(pwritev2(fd, &part, 1, offset, RWF_DSYNC) == (ssize_t)part.iov_len, "pwritev2");
}

static void child_durable(void)
{
    int fd = open_file("durable", O_RDWR);
    put_durably(fd, "NEW", 0);
    fd = open_file("alone", O_RDWR);
    put_at(fd, "lost", 0);
    put_at(fd, "LO", 7);
    put_durably(fd, "KEPT", 2);
    put_at(fd, "x", 3);
    fd = open_file("longer", O_RDWR);
    put_at(fd, "lost", 0);
    put_at(fd, "TO BE", 9);
    put_durably(fd, "kept", 10);
    fd = open_file("plain", O_RDWR);
    const struct iovec part = {(void *)"lost", 4};
    must(pwritev2(fd, &part, 1, 0, 0) == 4, "pwritev2");
}

/* Past the page cache, from and to where any file system takes it. */
static void child_direct(void)
{
    static _Alignas(4096) char bytes[4096];
    const struct iovec part = {bytes, sizeof bytes};
    int fd = open("big", O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        fd = open_file("big", O_RDWR);
    memset(bytes, 'n', sizeof bytes);
    must(pwritev2(fd, &part, 1, 4096, RWF_DSYNC) == sizeof bytes, "pwritev2");
    must(pwritev2(fd, &part, 1, 8192, 0) == sizeof bytes, "pwritev2");
}

static void child_names(void)
{
    int fd = open_file("created", O_RDWR | O_CREAT);
    put(fd, "synced itself, but not its name");
    must(fsync(fd) == 0, "fsync");
    must(rename("replacing", "replaced") == 0, "rename");
    must(unlink("removed") == 0, "unlink");
    must(rename("first", "second") == 0 && rename("second", "third") == 0, "rename");
}

static void child_names_synced(void)
{
    child_names();
    sync_directory(".");
}

/* Syncs everything; which of it counts is the environment's business. */
static void child_kinds(void)
{
    static const char *const names[] = {"superblock.0", "log/1", "state/1"};
    static const char *const durable[] = {"superblock.1", "log/3", "state/3"};
    for (size_t i = 0; i < 3; i++) {
        int fd = open_file(names[i], O_RDWR);
        put_at(fd, "NEW", 0);
        must(fdatasync(fd) == 0, "fdatasync");
        put_durably(open_file(durable[i], O_RDWR), "NEW", 0);
    }
    must(rename("log/1", "log/2") == 0, "rename");
    sync_directory("log");
}

static void child_big(void)
{
    char bytes[BIG];
    memset(bytes, 'n', sizeof bytes);
    int fd = open_file("big", O_RDWR);
    must(pwrite(fd, bytes, sizeof bytes, 0) == BIG, "pwrite");
}

static int child(const char *scenario)
{
    if (strcmp(scenario, "writes") == 0)
        child_writes();
    if (strcmp(scenario, "durable") == 0)
        child_durable();
    if (strcmp(scenario, "direct") == 0)
        child_direct();
    if (strcmp(scenario, "names") == 0)
        child_names();
    if (strcmp(scenario, "names_synced") == 0)
        child_names_synced();
    if (strcmp(scenario, "kinds") == 0)
        child_kinds();
    if (strcmp(scenario, "big") == 0)
        child_big();
    kill(getpid(), SIGKILL);
    return 1;
}

/* --- The parent --- */

static void make(const char *name, const char *content)
{
    char full[PATH_MAX];
    snprintf(full, sizeof full, "%s/%s", data, name);
    int fd = open_file(full, O_RDWR | O_CREAT | O_TRUNC);
    put(fd, content);
    close(fd);
}

static void make_directories(void)
{
    char base[1024];
    char part[4096];
    const char *temporary = getenv("TEST_TMPDIR");
    snprintf(base, sizeof base, "%s/pagecache.XXXXXX", temporary != NULL ? temporary : "/tmp");
    must(mkdtemp(base) != NULL, base);
    snprintf(data, sizeof data, "%s/data", base);
    snprintf(journal, sizeof journal, "%s/journal", base);
    must(mkdir(data, 0700) == 0 && mkdir(journal, 0700) == 0, base);
    snprintf(part, sizeof part, "%s/log", data);
    must(mkdir(part, 0700) == 0, part);
    snprintf(part, sizeof part, "%s/state", data);
    must(mkdir(part, 0700) == 0, part);
}

static int run(char *const *arguments, bool preload, const char *skip)
{
    int status;
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        if (preload) {
            setenv("LD_PRELOAD", library, 1);
            setenv(PAGECACHE_DATA, data, 1);
            setenv(PAGECACHE_JOURNAL, journal, 1);
            setenv(PAGECACHE_SKIP, skip, 1);
            must(chdir(data) == 0, data);
        }
        execv(arguments[0], arguments);
        _exit(127);
    }
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    return status;
}

static void run_child(const char *scenario, const char *skip)
{
    char self[] = "/proc/self/exe";
    char word[] = "child";
    char name[64];
    snprintf(name, sizeof name, "%s", scenario);
    char *const arguments[] = {self, word, name, NULL};
    int status = run(arguments, true, skip);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fprintf(stderr, "the child of %s ended by itself: %d\n", scenario, status);
        exit(1);
    }
}

static void run_restore(const char *seed)
{
    char word[32];
    snprintf(word, sizeof word, "%s", seed != NULL ? seed : "");
    char *const arguments[] = {restore, data, journal, seed != NULL ? word : NULL, NULL};
    int status = run(arguments, false, "");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "pagecache_restore failed: %d\n", status);
        exit(1);
    }
}

/* What was not synced is gone to the byte, also where the same file was synced in between. */
static void test_writes(void)
{
    make_directories();
    make("synced", "old bytes");
    make("overwritten", "old bytes");
    make("appended", "old bytes");
    make("half", "old bytes");
    make("cut", "old bytes");
    make("emptied", "old bytes");
    make("allocated", "old bytes");
    run_child("writes", "");
    expect("overwritten", "onagaines");
    run_restore(NULL);
    expect("synced", "NEW bytes");
    expect("overwritten", "old bytes");
    expect("appended", "old bytes");
    expect("half", "SYNCbytes");
    expect("cut", "old bytes");
    expect("emptied", "old bytes");
    expect("allocated", "old bytes");
}

/* A write that is durable when it returns vouches for its own bytes, before and behind which others
 * are lost, and for the file's length up to there. */
static void test_durable(void)
{
    make_directories();
    make("durable", "old bytes");
    make("alone", "old bytes");
    make("longer", "old bytes");
    make("plain", "old bytes");
    run_child("durable", "");
    expect("alone", "loKxPTtLO");
    expect("longer", "lostbytesTkept");
    run_restore(NULL);
    expect("durable", "NEW bytes");
    expect("alone", "olKEPTtes");
    expect("longer", "old bytesTkept"); /* What lay between was never there: it may be anything. */
    expect("plain", "old bytes");
}

static void make_names(void)
{
    make_directories();
    make("replacing", "new");
    make("replaced", "old");
    make("removed", "here");
    make("first", "one");
}

/* Names change for good only with their directory's sync. */
static void test_names(void)
{
    make_names();
    run_child("names", "");
    run_restore(NULL);
    expect("created", NULL);
    expect("replacing", "new");
    expect("replaced", "old");
    expect("removed", "here");
    expect("first", "one");
    expect("second", NULL);
    expect("third", NULL);
    make_names();
    run_child("names_synced", "");
    run_restore(NULL);
    expect("created", "synced itself, but not its name");
    expect("replacing", NULL);
    expect("replaced", "new");
    expect("removed", NULL);
    expect("third", "one");
}

/* Each kind of sync can be made to do nothing, alone. */
static void test_kinds(void)
{
    static const char *const skips[] = {"", "superblock", "log", "state", "directory"};
    for (size_t i = 0; i < sizeof skips / sizeof *skips; i++) {
        make_directories();
        static const char *const names[] = {"superblock.0", "log/1", "state/1",
                                            "superblock.1", "log/3", "state/3"};
        for (size_t name = 0; name < sizeof names / sizeof *names; name++)
            make(names[name], "old");
        run_child("kinds", skips[i]);
        run_restore(NULL);
        const char *log_name = strcmp(skips[i], "directory") == 0 ? "log/1" : "log/2";
        expect("superblock.0", strcmp(skips[i], "superblock") == 0 ? "old" : "NEW");
        expect("state/1", strcmp(skips[i], "state") == 0 ? "old" : "NEW");
        expect(log_name, strcmp(skips[i], "log") == 0 ? "old" : "NEW");
        expect("superblock.1", strcmp(skips[i], "superblock") == 0 ? "old" : "NEW");
        expect("state/3", strcmp(skips[i], "state") == 0 ? "old" : "NEW");
        expect("log/3", strcmp(skips[i], "log") == 0 ? "old" : "NEW");
    }
}

/* Reads the big file after this and a restore with this seed. */
static void big_after(const char *scenario, const char *seed, char *bytes)
{
    char full[PATH_MAX];
    make_directories();
    snprintf(full, sizeof full, "%s/big", data);
    memset(bytes, 'o', BIG);
    int fd = open_file(full, O_RDWR | O_CREAT);
    must(write(fd, bytes, BIG) == BIG, "write");
    run_child(scenario, "");
    run_restore(seed);
    must(pread(fd, bytes, BIG, 0) == BIG, "pread");
    close(fd);
}

/* With a seed some sectors are lost and some are not, each as a whole. */
static void test_seed(void)
{
    static char bytes[BIG];
    unsigned lost = 0;
    big_after("big", "7", bytes);
    for (size_t sector = 0; sector < SECTORS; sector++) {
        const char *first = bytes + sector * JOURNAL_SECTOR_SIZE;
        TORC_ASSERT(*first == 'o' || *first == 'n');
        TORC_ASSERT(memcmp(first, first + 1, JOURNAL_SECTOR_SIZE - 1) == 0);
        lost += *first == 'o';
    }
    printf("%u of %d sectors lost\n", lost, SECTORS);
    TORC_ASSERT(lost > 0 && lost < SECTORS);
}

static void test_direct(void)
{
    static char bytes[BIG];
    big_after("direct", NULL, bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        TORC_ASSERT(bytes[i] == (i / 4096 == 1 ? 'n' : 'o'));
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "child") == 0)
        return child(argv[2]);
    must(argc == 3, "usage: pagecache_test LIBRARY RESTORE");
    must(realpath(argv[1], library) != NULL, argv[1]);
    must(realpath(argv[2], restore) != NULL, argv[2]);
    test_writes();
    test_names();
    test_kinds();
    test_seed();
    test_durable();
    test_direct();
    puts("ok");
    return 0;
}
