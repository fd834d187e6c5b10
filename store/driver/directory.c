#include "store/driver/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/driver/file_device.h"

enum { DIRECTORY_MODE = 0700, FILE_MODE = 0600, ID_TEXT_SIZE = 2 * STORE_ID_SIZE + 1 };

struct store_directory {
    const struct base_allocator *allocator;
    int fd;
    int lock_fd;
    struct store_file_device *files;
    struct store_device device;
    struct store_superblock superblock;
    bool repaired;
    char *state_path;
    size_t state_path_size;
};

/* Where the operator's line goes, and which directory it is about. */
struct explainer {
    const char *path;
    char *text;
    size_t text_size;
};

/* Writes the line and gives the status back, for `return explain(...)`. */
static enum torc_status __attribute__((format(printf, 3, 4)))
explain(const struct explainer *explainer, enum torc_status status, const char *format, ...)
{
    int used =
        snprintf(explainer->text, explainer->text_size, "data directory \"%s\" ", explainer->path);
    if (used >= 0 && (size_t)used < explainer->text_size) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(explainer->text + used, explainer->text_size - (size_t)used, format, arguments);
        va_end(arguments);
    }
    return status;
}

static void id_text(char *text, const uint8_t *id)
{
    for (size_t i = 0; i < STORE_ID_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
}

/* The first name in the directory, or "" when it is empty. False with errno. */
static bool first_entry(int directory_fd, char *name, size_t name_size)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL)
        return false;
    name[0] = '\0';
    const struct dirent *entry;
    while ((entry = readdir(list)) != NULL && name[0] == '\0')
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            snprintf(name, name_size, "%s", entry->d_name);
    closedir(list);
    return true;
}

static bool present(int directory_fd, const char *name)
{
    struct stat stat;
    return fstatat(directory_fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- Format --- */

static enum torc_status draw_storage_id(const struct explainer *explainer,
                                        struct store_superblock *superblock)
{
    if (getrandom(superblock->storage_id, STORE_ID_SIZE, 0) != STORE_ID_SIZE)
        return explain(explainer, TORC_IO, "cannot be formatted: no random numbers: %s",
                       strerror(errno));
    return TORC_OK;
}

/* Everything but the superblock, durable. */
static enum torc_status make_parts(const struct explainer *explainer, int fd,
                                   const struct store_directory_format_options *options)
{
    int lock_fd = openat(fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    bool made = lock_fd >= 0 && mkdirat(fd, "log", DIRECTORY_MODE) == 0 &&
                mkdirat(fd, "state", DIRECTORY_MODE) == 0;
    int error = errno;
    if (lock_fd >= 0)
        close(lock_fd);
    if (!made)
        return explain(explainer, TORC_IO, "cannot be formatted: %s", strerror(error));
    if (options->make_state != NULL) {
        char state_path[4096];
        snprintf(state_path, sizeof state_path, "%s/state", explainer->path);
        enum torc_status status = options->make_state(options->context, state_path);
        if (status != TORC_OK)
            return explain(explainer, status, "cannot be formatted: state/ could not be made: %s",
                           torc_status_text(status));
    }
    /* The parent too: it has a new name. */
    int parent_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = parent_fd >= 0 && fsync(fd) == 0 && fsync(parent_fd) == 0;
    error = errno;
    if (parent_fd >= 0)
        close(parent_fd);
    if (!synced)
        return explain(explainer, TORC_IO, "cannot be formatted: %s", strerror(error));
    return TORC_OK;
}

static enum torc_status make_superblock(const struct explainer *explainer, int fd,
                                        struct store_superblock *superblock)
{
    struct store_file_device *files;
    enum torc_status status = store_file_device_open(fd, base_allocator_system(), &files);
    if (status != TORC_OK)
        return explain(explainer, status, "cannot be formatted: %s", strerror(errno));
    struct store_device device = store_file_device_of(files);
    status = store_superblock_format(&device, superblock);
    store_file_device_close(files);
    if (status != TORC_OK)
        return explain(explainer, status, "cannot be formatted: %s", torc_status_text(status));
    return TORC_OK;
}

static enum torc_status format_at(const struct explainer *explainer, int fd,
                                  const struct store_directory_format_options *options,
                                  struct store_superblock *superblock)
{
    char found[256];
    if (!first_entry(fd, found, sizeof found))
        return explain(explainer, TORC_IO, "cannot be read: %s", strerror(errno));
    if (found[0] != '\0')
        return explain(explainer, TORC_EXISTS,
                       "is not empty: found \"%s\"; only an empty directory is formatted", found);
    enum torc_status status = draw_storage_id(explainer, superblock);
    if (status == TORC_OK)
        status = make_parts(explainer, fd, options);
    if (status == TORC_OK)
        status = make_superblock(explainer, fd, superblock);
    return status;
}

enum torc_status store_directory_format(const char *path,
                                        const struct store_directory_format_options *options,
                                        struct store_superblock *ret_superblock, char *text,
                                        size_t text_size)
{
    const struct explainer explainer = {.path = path, .text = text, .text_size = text_size};
    struct store_superblock superblock = {.node = options->node,
                                          .feature_level = options->feature_level,
                                          .block_size = options->block_size,
                                          .segment_size = options->segment_size};
    memcpy(superblock.cluster_id, options->cluster_id, STORE_ID_SIZE);
    if (!store_superblock_geometry_valid(&superblock))
        return explain(&explainer, TORC_INVALID,
                       "cannot be formatted: segments of %llu bytes in blocks of %u do not go",
                       (unsigned long long)options->segment_size, options->block_size);
    if (mkdir(path, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return explain(&explainer, TORC_IO, "cannot be made: %s", strerror(errno));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return explain(&explainer, TORC_IO, "cannot be opened: %s", strerror(errno));
    enum torc_status status = format_at(&explainer, fd, options, &superblock);
    close(fd);
    if (status == TORC_OK)
        *ret_superblock = superblock;
    return status;
}

/* --- Open --- */

/* Nothing is made, not even the lock, in a directory that does not look like one of ours. */
static enum torc_status check_parts(const struct explainer *explainer, int fd)
{
    static const char *const parts[] = {"log", "state"};
    char found[256];
    if (!first_entry(fd, found, sizeof found))
        return explain(explainer, TORC_IO, "cannot be read: %s", strerror(errno));
    if (found[0] == '\0')
        return explain(explainer, TORC_NOT_FOUND,
                       "is empty: expected superblock.0, superblock.1, log and state; was it "
                       "emptied, is a disk not mounted, or was it never formatted?");
    bool superblock = present(fd, "superblock.0") || present(fd, "superblock.1");
    bool known = present(fd, "log") || present(fd, "state");
    if (!superblock && !known)
        return explain(explainer, TORC_NOT_FOUND,
                       "was never formatted: expected superblock.0 and superblock.1, found \"%s\"",
                       found);
    if (!superblock)
        return explain(explainer, TORC_DAMAGED,
                       "is damaged: expected superblock.0 and superblock.1, found neither");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!present(fd, parts[i]))
            return explain(explainer, TORC_DAMAGED, "is damaged: expected %s/, found none",
                           parts[i]);
    return TORC_OK;
}

/* The lock is the kernel's and ends with the process; the number in the file is for the message. */
static enum torc_status take_lock(const struct explainer *explainer, int fd, int *ret_lock_fd)
{
    char holder[32] = "";
    int lock_fd = openat(fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (lock_fd < 0)
        return explain(explainer, TORC_IO, "cannot be locked: %s", strerror(errno));
    if (flock(lock_fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        ssize_t size = pread(lock_fd, holder, sizeof holder - 1, 0);
        close(lock_fd);
        if (error != EWOULDBLOCK)
            return explain(explainer, TORC_IO, "cannot be locked: %s", strerror(error));
        holder[size > 0 ? strcspn(holder, "\n") : 0] = '\0';
        return explain(explainer, TORC_LOCKED,
                       "is in use: expected it free, found it locked by "
                       "process %s",
                       holder[0] != '\0' ? holder : "(unknown)");
    }
    int size = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(lock_fd, 0) != 0 || pwrite(lock_fd, holder, (size_t)size, 0) != size) {
        close(lock_fd);
        return explain(explainer, TORC_IO, "cannot be locked: %s", strerror(errno));
    }
    *ret_lock_fd = lock_fd;
    return TORC_OK;
}

static enum torc_status check_expectation(const struct explainer *explainer,
                                          const struct store_superblock *superblock,
                                          const struct store_directory_expectation *expectation)
{
    if (expectation->cluster_id != NULL &&
        memcmp(superblock->cluster_id, expectation->cluster_id, STORE_ID_SIZE) != 0) {
        char expected[ID_TEXT_SIZE];
        char found[ID_TEXT_SIZE];
        id_text(expected, expectation->cluster_id);
        id_text(found, superblock->cluster_id);
        return explain(explainer, TORC_FOREIGN,
                       "belongs to another cluster: expected cluster %s, found %s", expected,
                       found);
    }
    if (expectation->node != 0 && superblock->node != expectation->node)
        return explain(explainer, TORC_FOREIGN,
                       "belongs to another node: expected node %u, found node %u",
                       expectation->node, superblock->node);
    if (superblock->feature_level > expectation->feature_level_max)
        return explain(explainer, TORC_NEWER,
                       "is newer than this program: expected a feature level of at most %u, found "
                       "%u",
                       expectation->feature_level_max, superblock->feature_level);
    return TORC_OK;
}

static enum torc_status load_superblock(const struct explainer *explainer,
                                        struct store_directory *directory)
{
    enum torc_status status =
        store_superblock_load(&directory->device, &directory->superblock, &directory->repaired);
    switch (status) {
    case TORC_OK:
        return TORC_OK;
    case TORC_NEWER:
        return explain(explainer, status,
                       "is newer than this program: expected a superblock of version %d, found a "
                       "later one",
                       STORE_SUPERBLOCK_VERSION);
    case TORC_DAMAGED:
        return explain(explainer, status,
                       "is damaged: expected a whole superblock, found superblock.0 and "
                       "superblock.1 both bad; only a new node, formatted elsewhere, can take its "
                       "place");
    default:
        return explain(explainer, status, "has no superblock that can be read: %s",
                       torc_status_text(status));
    }
}

static enum torc_status open_at(const struct explainer *explainer,
                                struct store_directory *directory,
                                const struct store_directory_expectation *expectation)
{
    enum torc_status status = check_parts(explainer, directory->fd);
    if (status == TORC_OK)
        status = take_lock(explainer, directory->fd, &directory->lock_fd);
    if (status != TORC_OK)
        return status;
    status = store_file_device_open(directory->fd, directory->allocator, &directory->files);
    if (status != TORC_OK)
        return explain(explainer, status, "has a log that cannot be read: %s", strerror(errno));
    directory->device = store_file_device_of(directory->files);
    status = load_superblock(explainer, directory);
    if (status != TORC_OK)
        return status;
    return check_expectation(explainer, &directory->superblock, expectation);
}

enum torc_status store_directory_open(const char *path,
                                      const struct store_directory_expectation *expectation,
                                      const struct base_allocator *allocator,
                                      struct store_directory **ret_directory, char *text,
                                      size_t text_size)
{
    const struct explainer explainer = {.path = path, .text = text, .text_size = text_size};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return explain(&explainer, TORC_NOT_FOUND,
                       "does not exist: expected one that was formatted; nothing makes it here");
    if (fd < 0)
        return explain(&explainer, TORC_IO, "cannot be opened: %s", strerror(errno));
    struct store_directory *directory = base_alloc_zero(allocator, sizeof *directory);
    directory->allocator = allocator;
    directory->fd = fd;
    directory->lock_fd = -1;
    enum torc_status status = open_at(&explainer, directory, expectation);
    if (status != TORC_OK) {
        store_directory_close(directory);
        return status;
    }
    directory->state_path_size = strlen(path) + sizeof "/state";
    directory->state_path = base_alloc(allocator, directory->state_path_size);
    snprintf(directory->state_path, directory->state_path_size, "%s/state", path);
    *ret_directory = directory;
    return TORC_OK;
}

void store_directory_close(struct store_directory *directory)
{
    if (directory == NULL)
        return;
    store_file_device_close(directory->files);
    if (directory->lock_fd >= 0)
        close(directory->lock_fd);
    close(directory->fd);
    base_free(directory->allocator, directory->state_path, directory->state_path_size);
    base_free(directory->allocator, directory, sizeof *directory);
}

const struct store_device *store_directory_device(const struct store_directory *directory)
{
    return &directory->device;
}

struct store_superblock *store_directory_superblock(struct store_directory *directory)
{
    return &directory->superblock;
}

const char *store_directory_state_path(const struct store_directory *directory)
{
    return directory->state_path;
}

bool store_directory_was_repaired(const struct store_directory *directory)
{
    return directory->repaired;
}
