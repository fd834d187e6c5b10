#include "store/driver/file_device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

enum {
    NAME_SIZE = 17, /* 16 hexadecimal digits and the end. */
    FILE_MODE = 0600,
    DIRECT_UNIT = 512, /* No disk takes less at once without its file system's help. */
};

#define FILLING "filling"

struct segment_file {
    uint64_t segment;
    uint64_t size;
    int fd;        /* Through the page cache. -1: not open yet. */
    int direct_fd; /* Past it, for writes. -1: not open yet. */
};

struct store_file_device {
    const struct base_allocator *allocator;
    int directory_fd; /* Borrowed. */
    int log_fd;
    int superblock_fd[STORE_SUPERBLOCK_COPIES]; /* -1: does not exist. */
    struct segment_file *segments;              /* By rising number. */
    size_t segment_count;
    size_t segment_capacity;
    bool direct;    /* Writes past the page cache have not been refused. */
    bool dsync;     /* Nor writes that are durable when they return. */
    int filling_fd; /* -1: no segment is being made. */
    uint64_t filling_at;
    uint8_t zeroes[STORE_FILE_PIECE_SIZE];
};

/* What the disk holds is unknown: nothing that this process says about it can be believed. */
static _Noreturn void die(const char *operation, const char *name)
{
    int error = errno;
    char text[128];
    base_log_quote(text, sizeof text, strerror(error), strlen(strerror(error)));
    base_log(BASE_LOG_ERROR, "disk_failed", "operation=%s file=%s errno=%d text=%s", operation,
             name, error, text);
    _exit(STORE_EXIT_IO);
}

static void segment_name(char *name, uint64_t segment)
{
    snprintf(name, NAME_SIZE, "%016" PRIx64, segment);
}

static const char *superblock_name(unsigned copy)
{
    return copy == 0 ? "superblock.0" : "superblock.1";
}

/* --- Whole reads and writes --- */

static void write_all(int fd, uint64_t offset, const void *data, size_t size, const char *name)
{
    const uint8_t *from = data;
    while (size > 0) {
        ssize_t part = pwrite(fd, from, size, (off_t)offset);
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            die("write", name);
        from += part;
        offset += (uint64_t)part;
        size -= (size_t)part;
    }
}

/* How many bytes could be read: less than `size` at the end of the file; -1 with errno. */
static ssize_t read_some(int fd, uint64_t offset, void *buffer, size_t size)
{
    uint8_t *to = buffer;
    size_t have = 0;
    while (have < size) {
        ssize_t part = pread(fd, to + have, size - have, (off_t)(offset + have));
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return -1;
        if (part == 0)
            break;
        have += (size_t)part;
    }
    return (ssize_t)have;
}

/* --- The list of segments --- */

/* First place whose segment is not below `segment`. */
static size_t segment_place(const struct store_file_device *device, uint64_t segment)
{
    size_t place = 0;
    while (place < device->segment_count && device->segments[place].segment < segment)
        place++;
    return place;
}

static struct segment_file *segment_find(struct store_file_device *device, uint64_t segment)
{
    size_t place = segment_place(device, segment);
    if (place == device->segment_count || device->segments[place].segment != segment)
        return NULL;
    return &device->segments[place];
}

static void segment_add(struct store_file_device *device, const struct segment_file *file)
{
    size_t place = segment_place(device, file->segment);
    device->segments =
        base_array_reserve(device->allocator, device->segments, &device->segment_capacity,
                           device->segment_count + 1, sizeof *device->segments);
    memmove(device->segments + place + 1, device->segments + place,
            (device->segment_count - place) * sizeof *device->segments);
    device->segments[place] = *file;
    device->segment_count++;
}

static struct segment_file segment_take(struct store_file_device *device, uint64_t segment)
{
    struct segment_file *file = segment_find(device, segment);
    TORC_ASSERT(file != NULL);
    struct segment_file taken = *file;
    size_t place = (size_t)(file - device->segments);
    device->segment_count--;
    memmove(device->segments + place, device->segments + place + 1,
            (device->segment_count - place) * sizeof *device->segments);
    return taken;
}

/* -1 with errno when it cannot be opened. */
static int segment_fd(struct store_file_device *device, struct segment_file *file)
{
    if (file->fd < 0) {
        char name[NAME_SIZE];
        segment_name(name, file->segment);
        file->fd = openat(device->log_fd, name, O_RDWR | O_CLOEXEC);
    }
    return file->fd;
}

static void segment_close(const struct segment_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->direct_fd >= 0)
        close(file->direct_fd);
}

/* --- The interface --- */

static enum torc_status file_next(void *context, uint64_t after, uint64_t *ret_segment,
                                  uint64_t *ret_size)
{
    struct store_file_device *device = context;
    if (after == UINT64_MAX)
        return TORC_NOT_FOUND;
    size_t place = segment_place(device, after + 1);
    if (place == device->segment_count)
        return TORC_NOT_FOUND;
    *ret_segment = device->segments[place].segment;
    *ret_size = device->segments[place].size;
    return TORC_OK;
}

static enum torc_status filling_full(struct store_file_device *device)
{
    close(device->filling_fd);
    device->filling_fd = -1;
    if (unlinkat(device->log_fd, FILLING, 0) != 0)
        die("unlink", FILLING);
    return TORC_FULL;
}

static bool no_space(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* Writes the next piece; a full disk is met here, before anything depends on the file. */
static enum torc_status filling_step(struct store_file_device *device, uint64_t size)
{
    if (device->filling_fd < 0) {
        device->filling_fd =
            openat(device->log_fd, FILLING, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        device->filling_at = 0;
        if (device->filling_fd < 0 && no_space(errno))
            return TORC_FULL;
        if (device->filling_fd < 0)
            die("create", FILLING);
    }
    uint64_t left = size - device->filling_at;
    size_t piece = left < sizeof device->zeroes ? (size_t)left : sizeof device->zeroes;
    while (piece > 0) {
        ssize_t part = pwrite(device->filling_fd, device->zeroes, piece, (off_t)device->filling_at);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0 && no_space(errno))
            return filling_full(device);
        if (part <= 0)
            die("write", FILLING);
        device->filling_at += (uint64_t)part;
        piece -= (size_t)part;
    }
    if (fdatasync(device->filling_fd) != 0) {
        if (no_space(errno))
            return filling_full(device);
        die("fdatasync", FILLING);
    }
    return TORC_OK;
}

static enum torc_status file_prepare(void *context, uint64_t segment, uint64_t size, bool *ret_done)
{
    struct store_file_device *device = context;
    TORC_ASSERT(segment_find(device, segment) == NULL);
    enum torc_status status = filling_step(device, size);
    if (status != TORC_OK)
        return status;
    *ret_done = device->filling_at == size;
    if (!*ret_done)
        return TORC_OK;
    char name[NAME_SIZE];
    segment_name(name, segment);
    if (renameat(device->log_fd, FILLING, device->log_fd, name) != 0)
        die("rename", name);
    if (fsync(device->log_fd) != 0)
        die("fsync", "log");
    segment_add(device,
                &(struct segment_file){
                    .segment = segment, .size = size, .fd = device->filling_fd, .direct_fd = -1});
    device->filling_fd = -1;
    return TORC_OK;
}

static enum torc_status file_read(void *context, uint64_t segment, uint64_t offset, void *buffer,
                                  size_t size)
{
    struct store_file_device *device = context;
    struct segment_file *file = segment_find(device, segment);
    if (file == NULL)
        return TORC_NOT_FOUND;
    int fd = segment_fd(device, file);
    if (fd < 0)
        return TORC_IO;
    return read_some(fd, offset, buffer, size) == (ssize_t)size ? TORC_OK : TORC_IO;
}

/* The open file of a segment that must be there, with its name for a message. */
static int segment_fd_or_die(struct store_file_device *device, uint64_t segment, char *name)
{
    struct segment_file *file = segment_find(device, segment);
    TORC_ASSERT(file != NULL);
    segment_name(name, segment);
    int fd = segment_fd(device, file);
    if (fd < 0)
        die("open", name);
    return fd;
}

/* The descriptor past the page cache, if this write fits one: else -1. */
static int direct_fd(struct store_file_device *device, struct segment_file *file, const char *name,
                     const struct iovec *bytes, uint64_t offset)
{
    if (!device->direct ||
        ((uintptr_t)bytes->iov_base | bytes->iov_len | offset) % DIRECT_UNIT != 0)
        return -1;
    if (file->direct_fd < 0) {
        file->direct_fd = openat(device->log_fd, name, O_WRONLY | O_DIRECT | O_CLOEXEC);
        if (file->direct_fd < 0 && errno != EINVAL)
            die("open", name);
        device->direct = file->direct_fd >= 0;
    }
    return file->direct_fd;
}

/* One write, durable when it returns where the kernel can do that. Like pwrite. */
static ssize_t write_some(struct store_file_device *device, int fd, const struct iovec *bytes,
                          uint64_t offset)
{
    if (device->dsync) {
        ssize_t part = pwritev2(fd, bytes, 1, (off_t)offset, RWF_DSYNC);
        if (part >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
            return part;
        device->dsync = false;
    }
    return pwrite(fd, bytes->iov_base, bytes->iov_len, (off_t)offset);
}

/* Past the page cache unless the file system does not want that, which is told by EINVAL at the
 * first open or write (a disk of larger units says it then); such a write is done again. */
static void write_durably(struct store_file_device *device, uint64_t segment, uint64_t offset,
                          const void *data, size_t size)
{
    char name[NAME_SIZE];
    int cached_fd = segment_fd_or_die(device, segment, name);
    struct segment_file *file = segment_find(device, segment);
    struct iovec left = {.iov_base = (void *)data, .iov_len = size};
    while (left.iov_len > 0) {
        int fd = direct_fd(device, file, name, &left, offset);
        ssize_t part = write_some(device, fd >= 0 ? fd : cached_fd, &left, offset);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0 && errno == EINVAL && fd >= 0) {
            device->direct = false;
            continue;
        }
        if (part <= 0)
            die("write", name);
        left.iov_base = (uint8_t *)left.iov_base + part;
        left.iov_len -= (size_t)part;
        offset += (uint64_t)part;
    }
    if (!device->dsync && fdatasync(cached_fd) != 0)
        die("fdatasync", name);
}

static enum torc_status file_write(void *context, uint64_t segment, uint64_t offset,
                                   const void *data, size_t size, bool durable)
{
    char name[NAME_SIZE];
    if (durable)
        write_durably(context, segment, offset, data, size);
    else
        write_all(segment_fd_or_die(context, segment, name), offset, data, size, name);
    return TORC_OK;
}

static enum torc_status file_rename(void *context, uint64_t from, uint64_t to)
{
    struct store_file_device *device = context;
    char from_name[NAME_SIZE];
    char to_name[NAME_SIZE];
    segment_name(from_name, from);
    segment_name(to_name, to);
    TORC_ASSERT(segment_find(device, to) == NULL);
    if (renameat(device->log_fd, from_name, device->log_fd, to_name) != 0)
        die("rename", from_name);
    struct segment_file file = segment_take(device, from);
    file.segment = to;
    segment_add(device, &file);
    return TORC_OK;
}

static enum torc_status file_remove(void *context, uint64_t segment)
{
    struct store_file_device *device = context;
    char name[NAME_SIZE];
    segment_name(name, segment);
    struct segment_file file = segment_take(device, segment);
    segment_close(&file);
    if (unlinkat(device->log_fd, name, 0) != 0)
        die("unlink", name);
    return TORC_OK;
}

/* Names of segments, and of the superblock copies when they are new. */
static enum torc_status file_sync_directory(void *context)
{
    struct store_file_device *device = context;
    if (fsync(device->log_fd) != 0)
        die("fsync", "log");
    if (fsync(device->directory_fd) != 0)
        die("fsync", ".");
    return TORC_OK;
}

/* What cannot be read of a copy counts as zeroes: the copy is bad then, and the other one repairs
 * it. */
static enum torc_status file_superblock_read(void *context, unsigned copy, void *buffer)
{
    struct store_file_device *device = context;
    TORC_ASSERT(copy < STORE_SUPERBLOCK_COPIES);
    if (device->superblock_fd[copy] < 0)
        return TORC_NOT_FOUND;
    memset(buffer, 0, STORE_SUPERBLOCK_SIZE);
    (void)read_some(device->superblock_fd[copy], 0, buffer, STORE_SUPERBLOCK_SIZE);
    return TORC_OK;
}

static enum torc_status file_superblock_write(void *context, unsigned copy, const void *data)
{
    struct store_file_device *device = context;
    const char *name = superblock_name(copy);
    TORC_ASSERT(copy < STORE_SUPERBLOCK_COPIES);
    if (device->superblock_fd[copy] < 0)
        device->superblock_fd[copy] =
            openat(device->directory_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (device->superblock_fd[copy] < 0)
        die("create", name);
    write_all(device->superblock_fd[copy], 0, data, STORE_SUPERBLOCK_SIZE, name);
    return TORC_OK;
}

static enum torc_status file_superblock_sync(void *context, unsigned copy)
{
    struct store_file_device *device = context;
    TORC_ASSERT(copy < STORE_SUPERBLOCK_COPIES && device->superblock_fd[copy] >= 0);
    if (fdatasync(device->superblock_fd[copy]) != 0)
        die("fdatasync", superblock_name(copy));
    return TORC_OK;
}

struct store_device store_file_device_of(struct store_file_device *device)
{
    return (struct store_device){
        .context = device,
        .next = file_next,
        .prepare = file_prepare,
        .read = file_read,
        .write = file_write,
        .rename = file_rename,
        .remove = file_remove,
        .sync_directory = file_sync_directory,
        .superblock_read = file_superblock_read,
        .superblock_write = file_superblock_write,
        .superblock_sync = file_superblock_sync,
    };
}

/* --- Opening --- */

/* 0: not the name of a segment. */
static uint64_t segment_of_name(const char *name)
{
    if (strlen(name) != NAME_SIZE - 1 || strspn(name, "0123456789abcdef") != NAME_SIZE - 1)
        return 0;
    return strtoull(name, NULL, 16);
}

/* False with errno. */
static bool list_segments(struct store_file_device *device)
{
    int fd = openat(device->log_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL)
        return false;
    const struct dirent *entry;
    while ((entry = readdir(list)) != NULL) {
        struct stat stat;
        uint64_t segment = segment_of_name(entry->d_name);
        if (segment == 0)
            continue;
        if (fstatat(device->log_fd, entry->d_name, &stat, 0) != 0)
            break;
        segment_add(device, &(struct segment_file){.segment = segment,
                                                   .size = (uint64_t)stat.st_size,
                                                   .fd = -1,
                                                   .direct_fd = -1});
    }
    closedir(list);
    return entry == NULL;
}

enum torc_status store_file_device_open(int directory_fd, const struct base_allocator *allocator,
                                        struct store_file_device **ret_device)
{
    struct store_file_device *device = base_alloc_zero(allocator, sizeof *device);
    device->allocator = allocator;
    device->directory_fd = directory_fd;
    device->direct = true;
    device->dsync = true;
    device->filling_fd = -1;
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++)
        device->superblock_fd[copy] =
            openat(directory_fd, superblock_name(copy), O_RDWR | O_CLOEXEC);
    device->log_fd = openat(directory_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (device->log_fd < 0 || !list_segments(device) ||
        (unlinkat(device->log_fd, FILLING, 0) != 0 && errno != ENOENT)) {
        int error = errno;
        store_file_device_close(device);
        errno = error;
        return TORC_IO;
    }
    *ret_device = device;
    return TORC_OK;
}

void store_file_device_close(struct store_file_device *device)
{
    if (device == NULL)
        return;
    for (size_t i = 0; i < device->segment_count; i++)
        segment_close(&device->segments[i]);
    for (unsigned copy = 0; copy < STORE_SUPERBLOCK_COPIES; copy++)
        if (device->superblock_fd[copy] >= 0)
            close(device->superblock_fd[copy]);
    if (device->filling_fd >= 0)
        close(device->filling_fd);
    if (device->log_fd >= 0)
        close(device->log_fd);
    base_array_free(device->allocator, device->segments, &device->segment_capacity,
                    sizeof *device->segments);
    base_free(device->allocator, device, sizeof *device);
}
