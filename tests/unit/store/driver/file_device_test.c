#include "store/driver/file_device.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/lib/counting.h"
#include "tests/lib/test_body.h"

enum { SEGMENT_SIZE = 600 * 1024 };

static struct counting counting;
static char path[4096];
static int directory_fd;
static struct store_file_device *files;
static struct store_device device;

/* The library's fdatasync and pwritev2, as seen by the device under test. */
static bool fdatasync_fails;
static unsigned fdatasync_count;
static int pwritev2_error;      /* Not 0: it fails with that. */
static bool direct_refused;     /* EINVAL past the page cache. */
static size_t pwritev2_most;    /* Not 0: it writes no more at once. */
static unsigned direct_count;   /* Calls that wrote past the page cache, durably. */
static unsigned buffered_count; /* The same through the page cache. */

ssize_t pwritev2(int fd, const struct iovec *bytes, int count, off_t offset, int flags)
{
    bool direct = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
    struct iovec part = *bytes;
    cr_assert_eq(count, 1);
    cr_assert_eq(flags, RWF_DSYNC);
    if (pwritev2_error != 0 || (direct && direct_refused)) {
        errno = pwritev2_error != 0 ? pwritev2_error : EINVAL;
        return -1;
    }
    if (pwritev2_most != 0 && part.iov_len > pwritev2_most)
        part.iov_len = pwritev2_most;
    ssize_t result = syscall(SYS_pwritev2, fd, &part, 1, offset, 0, flags);
    direct_count += direct && result >= 0;
    buffered_count += !direct && result >= 0;
    return result;
}

int fdatasync(int fd)
{
    fdatasync_count++;
    if (fdatasync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void open_device(void)
{
    cr_assert_eq(store_file_device_open(directory_fd, &counting.allocator, &files), TORC_OK);
    device = store_file_device_of(files);
}

static void set_up(void)
{
    const char *base = getenv("TEST_TMPDIR");
    counting_init(&counting);
    snprintf(path, sizeof path, "%s/file_device.XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(path));
    directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(mkdirat(directory_fd, "log", 0700), 0);
    open_device();
}

static void tear_down(void)
{
    store_file_device_close(files);
    close(directory_fd);
    counting_fini(&counting);
}

static void prepare(uint64_t segment)
{
    unsigned calls = 0;
    for (bool done = false; !done; calls++)
        cr_assert_eq(device.prepare(files, segment, SEGMENT_SIZE, &done), TORC_OK);
    cr_assert_eq(calls, 3, "three pieces");
}

/* A segment is made in pieces, of zeroes, and keeps what is written over restarts and renames. */
TEST_BODY(file_device, segments_keep_what_is_written, set_up, tear_down)
{
    char bytes[512] = "written";
    uint64_t segment;
    uint64_t size;
    prepare(5);
    cr_assert_eq(device.read(files, 5, SEGMENT_SIZE - 512, bytes, 512), TORC_OK);
    cr_assert_eq(bytes[0], 0);
    snprintf(bytes, sizeof bytes, "written");
    cr_assert_eq(device.write(files, 5, 1024, bytes, 512, true), TORC_OK);
    cr_assert_eq(device.rename(files, 5, 9), TORC_OK);
    cr_assert_eq(device.sync_directory(files), TORC_OK);
    store_file_device_close(files);
    open_device();
    cr_assert_eq(device.next(files, 0, &segment, &size), TORC_OK);
    cr_assert_eq(segment, 9);
    cr_assert_eq(size, SEGMENT_SIZE);
    cr_assert_eq(device.next(files, 9, &segment, &size), TORC_NOT_FOUND);
    memset(bytes, 0, sizeof bytes);
    cr_assert_eq(device.read(files, 9, 1024, bytes, 512), TORC_OK);
    cr_assert_str_eq(bytes, "written");
    cr_assert_eq(device.read(files, 5, 0, bytes, 512), TORC_NOT_FOUND);
    cr_assert_eq(device.read(files, 9, SEGMENT_SIZE, bytes, 512), TORC_IO, "past the end");
    cr_assert_eq(device.remove(files, 9), TORC_OK);
    cr_assert_eq(device.next(files, 0, &segment, &size), TORC_NOT_FOUND);
}

/* Segments are listed by rising number, whatever the order in which they were made. */
TEST_BODY(file_device, segments_are_listed_in_order, set_up, tear_down)
{
    uint64_t segment = 0;
    uint64_t size;
    prepare(0x20);
    prepare(3);
    prepare(0x1f);
    const uint64_t expected[] = {3, 0x1f, 0x20};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(device.next(files, segment, &segment, &size), TORC_OK);
        cr_assert_eq(segment, expected[i]);
    }
}

/* A segment that was half made when the process died is nowhere to be seen, and made anew. */
TEST_BODY(file_device, half_made_segment_is_removed, set_up, tear_down)
{
    bool done = false;
    uint64_t segment;
    uint64_t size;
    cr_assert_eq(device.prepare(files, 5, SEGMENT_SIZE, &done), TORC_OK);
    cr_assert_not(done);
    store_file_device_close(files);
    open_device();
    cr_assert_eq(device.next(files, 0, &segment, &size), TORC_NOT_FOUND);
    prepare(5);
}

/* Superblock copies do not exist until written, and one that was cut short reads as a bad one. */
TEST_BODY(file_device, superblock_copies_come_back, set_up, tear_down)
{
    uint8_t bytes[STORE_SUPERBLOCK_SIZE];
    uint8_t seen[STORE_SUPERBLOCK_SIZE];
    memset(bytes, 7, sizeof bytes);
    cr_assert_eq(device.superblock_read(files, 1, seen), TORC_NOT_FOUND);
    cr_assert_eq(device.superblock_write(files, 1, bytes), TORC_OK);
    cr_assert_eq(device.superblock_sync(files, 1), TORC_OK);
    store_file_device_close(files);
    open_device();
    cr_assert_eq(device.superblock_read(files, 0, seen), TORC_NOT_FOUND);
    cr_assert_eq(device.superblock_read(files, 1, seen), TORC_OK);
    cr_assert_arr_eq(bytes, seen, sizeof bytes);
    char name[4200];
    snprintf(name, sizeof name, "%s/superblock.1", path);
    cr_assert_eq(truncate(name, 100), 0);
    cr_assert_eq(device.superblock_read(files, 1, seen), TORC_OK);
    cr_assert_eq(seen[99], 7);
    cr_assert_eq(seen[100], 0);
}

/* --- Writes past the page cache, and what is done where they are refused --- */

enum { BLOCK = 512, BLOCKS = SEGMENT_SIZE / BLOCK };

static _Alignas(STORE_DEVICE_ALIGNMENT) uint8_t aligned[8 * BLOCK + 8];

static void write_blocks(uint64_t first, size_t count, uint8_t value)
{
    memset(aligned, value, count * BLOCK);
    cr_assert_eq(device.write(files, 5, first * BLOCK, aligned, count * BLOCK, true), TORC_OK);
}

static void expect_blocks(uint64_t first, size_t count, uint8_t value)
{
    uint8_t seen[8 * BLOCK];
    cr_assert_eq(device.read(files, 5, first * BLOCK, seen, count * BLOCK), TORC_OK);
    for (size_t i = 0; i < count * BLOCK; i++)
        cr_assert_eq(seen[i], value);
}

/* Whether the file system of the tests takes such writes at all. */
static void need_direct(void)
{
    write_blocks(0, 1, 1);
    if (direct_count == 0)
        cr_skip_test("SKIPPED: no writes past the page cache on this file system");
    direct_count = 0;
}

/* An aligned write is one call past the page cache and needs no sync; any other goes through the
 * cache, as durably. Reads see both, also where the other kind of write was before. */
TEST_BODY(file_device, reads_see_writes_past_the_page_cache, set_up, tear_down)
{
    prepare(5);
    need_direct();
    unsigned syncs = fdatasync_count;
    for (uint8_t round = 1; round < 50; round++) {
        write_blocks(round, 3, round);
        expect_blocks(round, 3, round); /* Now its pages are in the cache. */
        memset(aligned, round + 100, 2 * BLOCK + 8);
        cr_assert_eq(device.write(files, 5, (round + 1ull) * BLOCK, aligned + 8, BLOCK, true),
                     TORC_OK);
        expect_blocks(round, 1, round);
        expect_blocks(round + 1ull, 1, (uint8_t)(round + 100));
        write_blocks(round + 1ull, 2, (uint8_t)(round + 1));
        expect_blocks(round + 1ull, 2, (uint8_t)(round + 1));
    }
    cr_assert_eq(direct_count, 2 * 49);
    cr_assert_eq(buffered_count, 49);
    cr_assert_eq(fdatasync_count, syncs);
    expect_blocks(50, 1, 50);
    cr_assert_eq(device.rename(files, 5, 6), TORC_OK);
    cr_assert_eq(device.rename(files, 6, 5), TORC_OK);
    write_blocks(BLOCKS - 2, 2, 9);
    expect_blocks(BLOCKS - 2, 2, 9);
    cr_assert_eq(direct_count, 2 * 49 + 1);
}

/* A file system that refuses the write past the cache is asked once. */
TEST_BODY(file_device, refused_direct_writes_go_through_the_page_cache, set_up, tear_down)
{
    prepare(5);
    direct_refused = true;
    write_blocks(1, 2, 7);
    direct_refused = false;
    write_blocks(3, 2, 8);
    cr_assert_eq(direct_count, 0);
    cr_assert_eq(buffered_count, 2);
    expect_blocks(1, 2, 7);
    expect_blocks(3, 2, 8);
}

/* A kernel without durable writes gets a sync after each. */
TEST_BODY(file_device, refused_durable_writes_are_synced, set_up, tear_down)
{
    prepare(5);
    unsigned syncs = fdatasync_count;
    pwritev2_error = EOPNOTSUPP;
    write_blocks(1, 2, 7);
    pwritev2_error = EIO; /* Not called again. */
    write_blocks(3, 2, 8);
    cr_assert_eq(fdatasync_count, syncs + 2);
    expect_blocks(1, 2, 7);
    expect_blocks(3, 2, 8);
    pwritev2_error = 0;
}

/* A write that was cut short goes on where it ended, also when that is in the middle of a block. */
TEST_BODY(file_device, short_writes_go_on, set_up, tear_down)
{
    prepare(5);
    pwritev2_most = 3 * BLOCK;
    write_blocks(1, 8, 7);
    expect_blocks(1, 8, 7);
    direct_refused = true; /* Whatever the file system says to 700 bytes. */
    pwritev2_most = 700;
    write_blocks(9, 8, 8);
    expect_blocks(9, 8, 8);
    expect_blocks(8, 1, 7);
    expect_blocks(17, 1, 0);
    direct_refused = false;
    pwritev2_most = 0;
}

/* --- Failures --- */

/* A durable write that fails ends the process at once. */
Test(file_device, failed_durable_write_ends_the_process, .init = set_up, .exit_code = STORE_EXIT_IO)
{
    prepare(5);
    pwritev2_error = EIO;
    write_blocks(0, 1, 1);
    exit(0);
}

/* So does the sync behind it where one is needed. */
Test(file_device, failed_sync_ends_the_process, .init = set_up, .exit_code = STORE_EXIT_IO)
{
    prepare(5);
    pwritev2_error = EOPNOTSUPP;
    fdatasync_fails = true;
    write_blocks(0, 1, 1);
    exit(0);
}

/* A sync of the superblock that fails ends the process at once. */
Test(file_device, failed_superblock_sync_ends_the_process, .init = set_up,
     .exit_code = STORE_EXIT_IO)
{
    uint8_t bytes[STORE_SUPERBLOCK_SIZE] = {1};
    cr_assert_eq(device.superblock_write(files, 0, bytes), TORC_OK);
    fdatasync_fails = true;
    (void)device.superblock_sync(files, 0);
    exit(0);
}

/* A write that fails ends the process at once (here: past the size limit of files). */
Test(file_device, failed_write_ends_the_process, .init = set_up, .exit_code = STORE_EXIT_IO)
{
    char bytes[512] = "x";
    const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
    prepare(5);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    (void)device.write(files, 5, 8192, bytes, 512, true);
    exit(0);
}

/* A small filesystem of our own under the log, where the machine allows it. */
static bool mount_small(void)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/log", path);
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    return mount("tmpfs", name, "tmpfs", 0, "size=1m") == 0;
}

/* A full disk is met while a segment is made: nothing of it stays, what is there still works, and
 * it is made once there is room. */
Test(file_device, full_disk_leaves_nothing_behind, .init = set_up)
{
    bool done = false;
    char bytes[512] = "x";
    enum torc_status status;
    store_file_device_close(files);
    if (!mount_small())
        cr_skip_test("SKIPPED: no mount namespace on this machine");
    close(directory_fd); /* It does not see the new mount. */
    directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_device();
    prepare(5);
    do
        status = device.prepare(files, 6, SEGMENT_SIZE, &done);
    while (status == TORC_OK && !done);
    cr_assert_eq(status, TORC_FULL);
    cr_assert_eq(faccessat(directory_fd, "log/filling", F_OK, 0), -1);
    cr_assert_eq(device.write(files, 5, 0, bytes, 512, true), TORC_OK);
    cr_assert_eq(device.remove(files, 5), TORC_OK);
    prepare(6);
    store_file_device_close(files);
    counting_fini(&counting);
}
