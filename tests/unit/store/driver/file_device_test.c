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

/* The library's fdatasync, as seen by the device under test. */
static bool fdatasync_fails;

int fdatasync(int fd)
{
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
    cr_assert_eq(device.write(files, 5, 1024, bytes, 512), TORC_OK);
    cr_assert_eq(device.sync(files, 5), TORC_OK);
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

/* A sync that fails ends the process at once. */
Test(file_device, failed_sync_ends_the_process, .init = set_up, .exit_code = STORE_EXIT_IO)
{
    char bytes[512] = "x";
    prepare(5);
    cr_assert_eq(device.write(files, 5, 0, bytes, 512), TORC_OK);
    fdatasync_fails = true;
    (void)device.sync(files, 5);
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
    (void)device.write(files, 5, 8192, bytes, 512);
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
    cr_assert_eq(device.write(files, 5, 0, bytes, 512), TORC_OK);
    cr_assert_eq(device.sync(files, 5), TORC_OK);
    cr_assert_eq(device.remove(files, 5), TORC_OK);
    prepare(6);
    store_file_device_close(files);
    counting_fini(&counting);
}
