/*
 * tests/cluster/pagecache -- a library for LD_PRELOAD that makes `kill -9` as bad as a power cut.
 *
 * After a kill the page cache survives, so a missing sync goes unnoticed. This library writes down,
 * before each write to a watched file, what the write replaces, and after each change of a
 * directory how to undo it; a sync of the file or directory forgets that. A write that is durable
 * when it returns is a sync of its own bytes alone. After the kill
 * pagecache_restore puts all of it back, or a seeded part.
 *
 * Seen: open, openat, creat, write, pwrite, writev, pwritev, pwritev2, ftruncate, fallocate,
 * rename, renameat, unlink, unlinkat, fsync, fdatasync, close, with their 64-bit names. Not seen,
 * and so never lost: writes through mmap and stdio (RocksDB's info log is the only file here
 * written so), truncate by path, mkdir, links, duplicated descriptors; and what O_SYNC and O_DSYNC
 * of a descriptor make durable is lost all the same. Only the newest of several unsynced versions
 * of a sector may stay, never one in between.
 *
 * One mutex over everything: this is for tests, and syncs are what they wait for anyway.
 */
#include "tests/cluster/pagecache/journal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS_MAX = 65536 };

/* A descriptor of a watched file or directory. */
struct watched {
    bool watched;
    bool directory;
    bool skip_sync;
    uint64_t inode;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct watched watched[FDS_MAX];
static char data_path[PATH_MAX]; /* Empty: nothing is watched. */
static int journal_fd = -1;
static const char *skip = "";
static unsigned kept_count;

/* The functions that ours stand in front of. */
static struct {
    int (*openat)(int, const char *, int, ...);
    int (*close)(int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
    ssize_t (*pwritev2)(int, const struct iovec *, int, off_t, int);
    int (*ftruncate)(int, off_t);
    int (*fallocate)(int, int, off_t, off_t);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*renameat)(int, const char *, int, const char *);
    int (*unlinkat)(int, const char *, int);
} real;

/* A test that silently keeps what it should lose proves nothing: end loudly. */
static _Noreturn void fail(const char *what, const char *which)
{
    dprintf(STDERR_FILENO, "pagecache: %s %s: %s\n", what, which, strerror(errno));
    _exit(97);
}

static void *real_of(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        fail("no function", name);
    return function;
}

static void find_real(void)
{
    *(void **)&real.openat = real_of("openat");
    *(void **)&real.close = real_of("close");
    *(void **)&real.write = real_of("write");
    *(void **)&real.pwrite = real_of("pwrite");
    *(void **)&real.writev = real_of("writev");
    *(void **)&real.pwritev = real_of("pwritev");
    *(void **)&real.pwritev2 = real_of("pwritev2");
    *(void **)&real.ftruncate = real_of("ftruncate");
    *(void **)&real.fallocate = real_of("fallocate");
    *(void **)&real.fsync = real_of("fsync");
    *(void **)&real.fdatasync = real_of("fdatasync");
    *(void **)&real.renameat = real_of("renameat");
    *(void **)&real.unlinkat = real_of("unlinkat");
}

static void find_paths(void)
{
    const char *data = getenv(PAGECACHE_DATA);
    const char *journal = getenv(PAGECACHE_JOURNAL);
    const char *words = getenv(PAGECACHE_SKIP);
    if (data == NULL || journal == NULL)
        return;
    if (realpath(data, data_path) == NULL)
        fail("cannot find", data);
    journal_fd = real.openat(AT_FDCWD, journal, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal_fd < 0)
        fail("cannot open", journal);
    if (words != NULL)
        skip = words;
}

/* Before main, and before any thread; or by a library's constructor that came first. */
static void __attribute__((constructor)) initialise(void)
{
    if (real.openat == NULL) {
        find_real();
        find_paths();
    }
}

static void enter(void)
{
    initialise();
    pthread_mutex_lock(&mutex);
}

/* Keeps errno, so that `leave(); return result;` reports what the real call did. */
static void leave(void)
{
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
}

/* --- Which files --- */

static bool inside_data(const char *path)
{
    size_t size = strlen(data_path);
    return size > 0 && strncmp(path, data_path, size) == 0 &&
           (path[size] == '/' || path[size] == '\0');
}

/* The kind of a node's file, as PAGECACHE_SKIP names it. */
static const char *kind_of(const char *path, bool directory)
{
    const char *name = strrchr(path, '/');
    if (strstr(path, "/state/") != NULL || (name != NULL && strcmp(name, "/state") == 0))
        return "state";
    if (directory)
        return "directory";
    if (name != NULL && strncmp(name, "/superblock.", 12) == 0)
        return "superblock";
    return strstr(path, "/log/") != NULL ? "log" : "other";
}

static void watch(int fd)
{
    char link[64];
    char path[PATH_MAX];
    struct stat stat;
    if (fd >= FDS_MAX || data_path[0] == '\0')
        return;
    watched[fd] = (struct watched){0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0 || fstat(fd, &stat) != 0)
        return;
    path[size] = '\0';
    if (!inside_data(path) || (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode)))
        return;
    bool directory = S_ISDIR(stat.st_mode);
    watched[fd] = (struct watched){.watched = true,
                                   .directory = directory,
                                   .skip_sync = strstr(skip, kind_of(path, directory)) != NULL,
                                   .inode = stat.st_ino};
}

static struct watched *watched_file(int fd)
{
    if (fd < 0 || fd >= FDS_MAX || !watched[fd].watched)
        return NULL;
    return &watched[fd];
}

/* --- Writing it down --- */

static int journal_open(char prefix, uint64_t inode)
{
    char name[64];
    snprintf(name, sizeof name, "%c.%" PRIu64, prefix, inode);
    int fd = real.openat(journal_fd, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("cannot open the journal", name);
    return fd;
}

/* One write(2) per record: a kill leaves a whole number of them, or one cut short at the end. */
static void journal_append(char prefix, uint64_t inode, const void *head, size_t head_size,
                           const void *body, size_t body_size)
{
    const struct iovec parts[] = {{(void *)head, head_size}, {(void *)body, body_size}};
    int fd = journal_open(prefix, inode);
    if (real.writev(fd, parts, 2) != (ssize_t)(head_size + body_size))
        fail("cannot write the journal of", "a file");
    real.close(fd);
}

/* What stands where `size` bytes will be written, and how long the file is. */
static void note_write(int fd, const struct watched *file, off_t offset, size_t size)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        fail("cannot look at", "a watched file");
    if (stat.st_nlink == 0)
        return; /* Gone for good; another file may get its inode. */
    off_t end = offset + (off_t)size < stat.st_size ? offset + (off_t)size : stat.st_size;
    size_t length = end > offset ? (size_t)(end - offset) : 0;
    const struct journal_write head = {
        .offset = (uint64_t)offset, .length = length, .old_size = (uint64_t)stat.st_size};
    char path[64];
    char *before = malloc(length + 1);
    /* The descriptor may be open for writing only. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reader = real.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (before == NULL || reader < 0 || pread(reader, before, length, offset) != (ssize_t)length)
        fail("cannot read", "what a write replaces");
    real.close(reader);
    journal_append('f', file->inode, &head, sizeof head, before, length);
    free(before);
}

/* Where write(2) will write. */
static off_t write_offset(int fd)
{
    struct stat stat;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_APPEND) != 0 && fstat(fd, &stat) == 0)
        return stat.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

/* The last name of a removed file goes: its inode may become another file's. */
static void drop_kept(const char *kept)
{
    char name[64];
    struct stat stat;
    if (fstatat(journal_fd, kept, &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
        real.unlinkat(journal_fd, kept, 0) != 0)
        return;
    if (stat.st_nlink > 1)
        return;
    snprintf(name, sizeof name, "f.%" PRIu64, (uint64_t)stat.st_ino);
    real.unlinkat(journal_fd, name, 0);
}

static void forget_changes(uint64_t inode)
{
    struct journal_change change;
    int fd = journal_open('d', inode);
    while (read(fd, &change, sizeof change) == sizeof change)
        if (change.kept[0] != '\0')
            drop_kept(change.kept);
    if (real.ftruncate(fd, 0) != 0)
        fail("cannot empty the journal of", "a directory");
    real.close(fd);
}

static void forget_writes(uint64_t inode)
{
    int fd = journal_open('f', inode);
    if (real.ftruncate(fd, 0) != 0)
        fail("cannot empty the journal of", "a file");
    real.close(fd);
}

/* --- Writes that are durable when they return --- */

static off_t journal_size(uint64_t inode)
{
    struct stat stat;
    int fd = journal_open('f', inode);
    if (fstat(fd, &stat) != 0)
        fail("cannot look at the journal of", "a file");
    real.close(fd);
    return stat.st_size;
}

/* In a record of an earlier write: what the durable one wrote is what stays. */
static void settle_record(int fd, off_t at, struct journal_write *head, off_t offset,
                          const char *bytes, size_t size)
{
    uint64_t first = (uint64_t)offset > head->offset ? (uint64_t)offset : head->offset;
    uint64_t end = (uint64_t)offset + size;
    if (head->old_size < end) {
        head->old_size = end;
        if (real.pwrite(fd, head, sizeof *head, at) != sizeof *head)
            fail("cannot change the journal of", "a file");
    }
    if (end > head->offset + head->length)
        end = head->offset + head->length;
    off_t place = at + (off_t)(sizeof *head + first - head->offset);
    if (first < end && real.pwrite(fd, bytes + (first - (uint64_t)offset), end - first, place) !=
                           (ssize_t)(end - first))
        fail("cannot change the journal of", "a file");
}

/* Forgets the record of a write that became durable, behind `known` bytes of earlier ones. */
static void settle_write(uint64_t inode, off_t known, off_t offset, const char *bytes, size_t size)
{
    char name[64];
    struct journal_write head;
    snprintf(name, sizeof name, "f.%" PRIu64, inode);
    int fd = real.openat(journal_fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0 || real.ftruncate(fd, known) != 0)
        fail("cannot cut the journal", name);
    for (off_t at = 0; at < known; at += (off_t)(sizeof head + head.length)) {
        if (pread(fd, &head, sizeof head, at) != sizeof head)
            fail("cannot read the journal", name);
        settle_record(fd, at, &head, offset, bytes, size);
    }
    real.close(fd);
}

static int do_sync(int fd, int (*sync)(int))
{
    enter();
    const struct watched *file = watched_file(fd);
    if (file != NULL && file->skip_sync) {
        leave();
        return 0;
    }
    int result = sync(fd);
    if (result == 0 && file != NULL) {
        if (file->directory)
            forget_changes(file->inode);
        else
            forget_writes(file->inode);
    }
    leave();
    return result;
}

/* --- Directories --- */

/* The directory that holds `path`, and the name in it. False: not watched. */
struct place {
    uint64_t inode;
    char name[JOURNAL_NAME_SIZE];
};

static bool place_of(int directory_fd, const char *path, struct place *ret_place)
{
    char link[PATH_MAX];
    char parent[PATH_MAX];
    char full[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    struct stat stat;
    if (data_path[0] == '\0' || strlen(name) >= JOURNAL_NAME_SIZE)
        return false;
    if (slash == path)
        snprintf(parent, sizeof parent, "/");
    else
        snprintf(parent, sizeof parent, "%.*s", slash == NULL ? 1 : (int)(slash - path),
                 slash == NULL ? "." : path);
    if (parent[0] == '/' || directory_fd == AT_FDCWD)
        snprintf(link, sizeof link, "%s", parent);
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d/%.3000s", directory_fd, parent);
    if (realpath(link, full) == NULL || !inside_data(full) || lstat(full, &stat) != 0)
        return false;
    ret_place->inode = stat.st_ino;
    snprintf(ret_place->name, sizeof ret_place->name, "%s", name);
    return true;
}

/* Keeps a file that is about to lose its name; "" when there is none. */
static void keep(int directory_fd, const char *path, char *ret_kept)
{
    snprintf(ret_kept, JOURNAL_NAME_SIZE, "k.%ld.%u", (long)getpid(), kept_count++);
    if (linkat(directory_fd, path, journal_fd, ret_kept, 0) == 0)
        return;
    if (errno != ENOENT)
        fail("cannot keep (is the journal on the same filesystem?)", path);
    ret_kept[0] = '\0';
}

static void note_change(const struct place *place, enum journal_change_kind kind, const char *to,
                        const char *kept)
{
    struct journal_change change = {.kind = kind};
    snprintf(change.name, sizeof change.name, "%s", place->name);
    snprintf(change.to, sizeof change.to, "%s", to);
    snprintf(change.kept, sizeof change.kept, "%s", kept);
    journal_append('d', place->inode, &change, sizeof change, NULL, 0);
}

/* --- Our functions. Declared nowhere: the system's headers have them. --- */

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static int do_open(int directory_fd, const char *path, int flags, mode_t mode)
{
    enter();
    struct place place;
    bool ours = (flags & (O_CREAT | O_TRUNC)) != 0 && place_of(directory_fd, path, &place);
    bool existed = ours && faccessat(directory_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    bool cut = ours && existed && (flags & O_TRUNC) != 0 && (flags & O_EXCL) == 0;
    int fd = real.openat(directory_fd, path, cut ? flags & ~O_TRUNC : flags, mode);
    if (fd >= 0) {
        watch(fd);
        if (ours && !existed)
            note_change(&place, JOURNAL_CREATE, "", "");
        struct stat stat;
        const struct watched *file = watched_file(fd);
        if (cut && file != NULL && fstat(fd, &stat) == 0)
            note_write(fd, file, 0, (size_t)stat.st_size);
        if (cut && real.ftruncate(fd, 0) != 0)
            fail("cannot cut", path);
    }
    leave();
    return fd;
}

static mode_t mode_argument(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int directory_fd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return do_open(directory_fd, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int close(int fd)
{
    enter();
    if (fd >= 0 && fd < FDS_MAX)
        watched[fd] = (struct watched){0};
    int result = real.close(fd);
    leave();
    return result;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (fd >= FDS_MAX || fd < 0 || !watched[fd].watched) {
        initialise();
        return real.write(fd, data, size); /* Pipes may block: never under the mutex. */
    }
    enter();
    note_write(fd, &watched[fd], write_offset(fd), size);
    ssize_t result = real.write(fd, data, size);
    leave();
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    enter();
    const struct watched *file = watched_file(fd);
    if (file != NULL)
        note_write(fd, file, offset, size);
    ssize_t result = real.pwrite(fd, data, size, offset);
    leave();
    return result;
}

static size_t total_size(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (fd >= FDS_MAX || fd < 0 || !watched[fd].watched) {
        initialise();
        return real.writev(fd, parts, count);
    }
    enter();
    note_write(fd, &watched[fd], write_offset(fd), total_size(parts, count));
    ssize_t result = real.writev(fd, parts, count);
    leave();
    return result;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    enter();
    const struct watched *file = watched_file(fd);
    if (file != NULL)
        note_write(fd, file, offset, total_size(parts, count));
    ssize_t result = real.pwritev(fd, parts, count, offset);
    leave();
    return result;
}

static char *joined(const struct iovec *parts, int count)
{
    char *bytes = malloc(total_size(parts, count) + 1);
    size_t size = 0;
    if (bytes == NULL)
        fail("no memory for", "a write");
    for (int i = 0; i < count; i++) {
        memcpy(bytes + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    return bytes;
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    enter();
    const struct watched *file = watched_file(fd);
    if (file == NULL) {
        leave();
        return real.pwritev2(fd, parts, count, offset, flags);
    }
    if (offset < 0 || (flags & RWF_APPEND) != 0)
        fail("cannot follow", "a pwritev2 without an offset");
    bool durable = (flags & (RWF_DSYNC | RWF_SYNC)) != 0 && !file->skip_sync;
    off_t known = journal_size(file->inode);
    note_write(fd, file, offset, total_size(parts, count));
    if (file->skip_sync)
        flags &= ~(RWF_DSYNC | RWF_SYNC);
    ssize_t result = real.pwritev2(fd, parts, count, offset, flags);
    if (durable && result > 0) {
        char *bytes = joined(parts, count);
        settle_write(file->inode, known, offset, bytes, (size_t)result);
        free(bytes);
    }
    leave();
    return result;
}

int ftruncate(int fd, off_t size)
{
    enter();
    struct stat stat;
    const struct watched *file = watched_file(fd);
    if (file != NULL && fstat(fd, &stat) == 0)
        note_write(fd, file, size, stat.st_size > size ? (size_t)(stat.st_size - size) : 0);
    int result = real.ftruncate(fd, size);
    leave();
    return result;
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    enter();
    const struct watched *file = watched_file(fd);
    if (file != NULL)
        note_write(fd, file, offset, (size_t)size);
    int result = real.fallocate(fd, mode, offset, size);
    leave();
    return result;
}

int fsync(int fd)
{
    initialise();
    return do_sync(fd, real.fsync);
}

int fdatasync(int fd)
{
    initialise();
    return do_sync(fd, real.fdatasync);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    enter();
    struct place from_place;
    struct place to_place;
    char kept[JOURNAL_NAME_SIZE] = "";
    bool ours = place_of(from_fd, from, &from_place);
    if (ours != place_of(to_fd, to, &to_place) || (ours && from_place.inode != to_place.inode))
        fail("cannot undo a rename from directory to directory:", to);
    if (ours)
        keep(to_fd, to, kept);
    int result = real.renameat(from_fd, from, to_fd, to);
    if (result == 0 && ours)
        note_change(&from_place, JOURNAL_RENAME, to_place.name, kept);
    leave();
    return result;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int directory_fd, const char *path, int flags)
{
    enter();
    struct place place;
    char kept[JOURNAL_NAME_SIZE] = "";
    bool ours = (flags & AT_REMOVEDIR) == 0 && place_of(directory_fd, path, &place);
    if (ours)
        keep(directory_fd, path, kept);
    int result = real.unlinkat(directory_fd, path, flags);
    if (result == 0 && ours)
        note_change(&place, JOURNAL_UNLINK, "", kept);
    leave();
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

/* The names that a build with checks of its own calls, without a mode. */

int __open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int directory_fd, const char *path, int flags)
{
    return do_open(directory_fd, path, flags, 0);
}

int __openat64_2(int directory_fd, const char *path, int flags)
{
    return do_open(directory_fd, path, flags, 0);
}

/* The 64-bit names are the same functions here. */
_Static_assert(sizeof(off_t) == 8, "off_t has 64 bits");

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int directory_fd, const char *path, int flags, ...) __attribute__((alias("openat")));
int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
    __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
    __attribute__((alias("pwritev")));
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
    __attribute__((alias("pwritev2")));
int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));
int fallocate64(int fd, int mode, off_t offset, off_t size) __attribute__((alias("fallocate")));
