/*
 * pagecache_restore -- takes back what the preload library saw written and not synced.
 *
 *   pagecache_restore DATA JOURNAL          all of it
 *   pagecache_restore DATA JOURNAL SEED     each unsynced sector or not, a file's new length or
 * not, and each directory's changes from some point on
 *
 * Run when no process of the data is alive. Afterwards the journal is empty. Prints what it did.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "tests/cluster/pagecache/journal.h"

static bool random_part;
static uint64_t seed;
static const char *journal_path;
static uint64_t lost_sectors;
static uint64_t lost_lengths;
static uint64_t lost_changes;

static _Noreturn void fail(const char *what, const char *which)
{
    fprintf(stderr, "pagecache_restore: %s %s: %s\n", what, which, strerror(errno));
    exit(1);
}

/* The same for the same seed, whatever the order in which files are found. */
static uint64_t draw(uint64_t inode, uint64_t what, uint64_t max)
{
    struct base_prng prng = base_prng_seeded(seed ^ inode * 0x9e3779b97f4a7c15u ^ what << 20);
    return base_prng_range(&prng, 0, max);
}

static bool is_lost(uint64_t inode, uint64_t what)
{
    return !random_part || draw(inode, what, 1) == 0;
}

/* --- Where an inode is --- */

static uint64_t wanted_inode;
static char found_path[PATH_MAX];

static int look(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    (void)type;
    (void)place;
    if (stat->st_ino != wanted_inode)
        return 0;
    snprintf(found_path, sizeof found_path, "%s", path);
    return 1;
}

/* In the data, or among the kept files. NULL: it is gone for good, and its removal was synced. */
static const char *path_of(const char *data_path, uint64_t inode)
{
    wanted_inode = inode;
    if (nftw(data_path, look, 16, FTW_PHYS) == 1 || nftw(journal_path, look, 16, FTW_PHYS) == 1)
        return found_path;
    return NULL;
}

/* --- Files --- */

struct records {
    uint8_t *bytes;
    size_t size;
    size_t *starts; /* Of each record. */
    size_t count;
};

static struct records read_journal(const char *path)
{
    struct records records = {0};
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        fail("cannot read", path);
    records.size = (size_t)stat.st_size;
    records.bytes = malloc(records.size + 1);
    records.starts = malloc((records.size / sizeof(struct journal_write) + 1) * sizeof(size_t));
    if (records.bytes == NULL || records.starts == NULL ||
        read(fd, records.bytes, records.size) != stat.st_size)
        fail("cannot read", path);
    close(fd);
    return records;
}

static void free_records(struct records *records)
{
    free(records->bytes);
    free(records->starts);
}

/* A record cut short by the kill belongs to a write that never came. */
static void find_writes(struct records *records)
{
    struct journal_write head;
    for (size_t at = 0; records->size - at >= sizeof head; at += sizeof head + head.length) {
        memcpy(&head, records->bytes + at, sizeof head);
        if (head.length > records->size - at - sizeof head)
            return;
        records->starts[records->count++] = at;
    }
}

/* Puts back the lost sectors of a run of bytes; NULL stands for zeroes. */
static void put_back(int fd, uint64_t inode, uint64_t offset, const uint8_t *bytes, uint64_t length)
{
    static const uint8_t zeroes[JOURNAL_SECTOR_SIZE];
    while (length > 0) {
        uint64_t sector = offset / JOURNAL_SECTOR_SIZE;
        uint64_t part = (sector + 1) * JOURNAL_SECTOR_SIZE - offset;
        if (part > length)
            part = length;
        if (is_lost(inode, sector + 1)) {
            if (pwrite(fd, bytes != NULL ? bytes : zeroes, part, (off_t)offset) != (ssize_t)part)
                fail("cannot write", "a watched file");
            lost_sectors++;
        }
        offset += part;
        length -= part;
        bytes += bytes != NULL ? part : 0;
    }
}

static void restore_file(const char *path, uint64_t inode, struct records *records)
{
    struct journal_write head;
    struct stat stat;
    find_writes(records);
    if (records->count == 0)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        fail("cannot open", path);
    memcpy(&head, records->bytes + records->starts[0], sizeof head);
    uint64_t synced_size = head.old_size;
    uint64_t size = (uint64_t)stat.st_size;
    bool length_lost = is_lost(inode, 0);
    if (size > synced_size && !length_lost)
        put_back(fd, inode, synced_size, NULL, size - synced_size);
    for (size_t i = records->count; i-- > 0;) {
        memcpy(&head, records->bytes + records->starts[i], sizeof head);
        uint64_t end = head.offset + head.length;
        if (end > synced_size)
            end = synced_size; /* Past it there was nothing when it was synced. */
        if (head.offset < end)
            put_back(fd, inode, head.offset, records->bytes + records->starts[i] + sizeof head,
                     end - head.offset);
    }
    if (length_lost || size < synced_size) {
        if (ftruncate(fd, (off_t)synced_size) != 0)
            fail("cannot cut", path);
        lost_lengths++;
    }
    close(fd);
}

/* --- Directories --- */

static void undo_change(int fd, int journal_fd, const struct journal_change *change)
{
    lost_changes++;
    switch ((enum journal_change_kind)change->kind) {
    case JOURNAL_CREATE:
        if (unlinkat(fd, change->name, 0) != 0)
            fail("cannot undo the creation of", change->name);
        return;
    case JOURNAL_RENAME:
        if (renameat(fd, change->to, fd, change->name) != 0)
            fail("cannot undo the renaming of", change->name);
        if (change->kept[0] != '\0' && linkat(journal_fd, change->kept, fd, change->to, 0) != 0)
            fail("cannot bring back", change->to);
        return;
    case JOURNAL_UNLINK:
        if (linkat(journal_fd, change->kept, fd, change->name, 0) != 0)
            fail("cannot bring back", change->name);
        return;
    }
    fail("unknown change in the journal of", change->name);
}

/* A filesystem keeps the order of its changes: some first ones stay, the others go. */
static void restore_directory(const char *path, uint64_t inode, const struct records *records)
{
    struct journal_change change;
    size_t count = records->size / sizeof change;
    size_t stay = random_part ? (size_t)draw(inode, 0, count) : 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int journal_fd = open(journal_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || journal_fd < 0)
        fail("cannot open", path);
    for (size_t i = count; i-- > stay;) {
        memcpy(&change, records->bytes + i * sizeof change, sizeof change);
        undo_change(fd, journal_fd, &change);
    }
    close(fd);
    close(journal_fd);
}

/* --- The journal --- */

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Handles the journals of one kind: 'f', 'd', or 'k', which are only removed. */
static void handle(const char *data_path, char kind)
{
    struct dirent **entries;
    int count = scandir(journal_path, &entries, not_dots, alphasort);
    if (count < 0)
        fail("cannot list", journal_path);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        const char *name = entries[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", journal_path, name);
        if (name[0] == kind) {
            uint64_t inode = strtoull(name + 2, NULL, 10);
            const char *place = kind == 'k' ? NULL : path_of(data_path, inode);
            if (place != NULL) {
                struct records records = read_journal(path);
                if (kind == 'f')
                    restore_file(place, inode, &records);
                else
                    restore_directory(place, inode, &records);
                free_records(&records);
            }
            if (unlink(path) != 0)
                fail("cannot remove", path);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: pagecache_restore DATA JOURNAL [SEED]\n");
        return 2;
    }
    journal_path = argv[2];
    random_part = argc == 4;
    seed = random_part ? strtoull(argv[3], NULL, 10) : 0;
    handle(argv[1], 'f');
    handle(argv[1], 'd');
    handle(argv[1], 'k');
    printf("lost: %" PRIu64 " sectors, %" PRIu64 " lengths, %" PRIu64 " directory changes\n",
           lost_sectors, lost_lengths, lost_changes);
    return 0;
}
