/*
 * Counts the syncs of a program that does not tell them, or not at once: preloaded into it, with
 * a folder named by SYNC_COUNT_DIR in which a file named by the process's id begins with the count,
 * 8 bytes. Children that it forks count there too; programs that it starts have files of their own.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t *count;

__attribute__((constructor)) static void open_count(void)
{
    char path[PATH_MAX];
    const char *folder = getenv("SYNC_COUNT_DIR");
    if (folder == NULL ||
        snprintf(path, sizeof(path), "%s/%ld", folder, (long)getpid()) >= (int)sizeof(path))
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (ftruncate(fd, sizeof(*count)) != 0) {
        close(fd);
        return;
    }
    void *memory = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED)
        count = memory;
}

static void add(void)
{
    if (count != NULL)
        __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

/* Returns what the C library does under that name. */
static int counted(const char *name, int fd)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    int (*function)(int) = NULL;
    memcpy(&function, &symbol, sizeof(function)); /* ISO C has no cast between the two. */
    add();
    return function(fd);
}

int fsync(int fd)
{
    return counted("fsync", fd);
}

int fdatasync(int fd)
{
    return counted("fdatasync", fd);
}

/* A write that is durable when it returns is a sync too. */
ssize_t pwritev2(int fd, const struct iovec *parts, int part_count, off_t offset, int flags)
{
    void *symbol = dlsym(RTLD_NEXT, "pwritev2");
    ssize_t (*function)(int, const struct iovec *, int, off_t, int) = NULL;
    memcpy(&function, &symbol, sizeof(function));
    if ((flags & (RWF_DSYNC | RWF_SYNC)) != 0)
        add();
    return function(fd, parts, part_count, offset, flags);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int part_count, off_t offset, int flags)
    __attribute__((alias("pwritev2")));
