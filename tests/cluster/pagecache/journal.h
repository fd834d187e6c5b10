/*
 * tests/cluster/pagecache/journal -- what the preload library keeps until the next sync, so that
 * pagecache_restore can take it back after a kill.
 *
 * The journal directory lies on the data's filesystem and holds
 *   f.INODE   for each file written and not synced: records of what each write replaced, in order
 *   d.INODE   for each directory changed and not synced: records of its changes, in order
 *   k.NUMBER  hard links that keep files which were removed or replaced
 * A sync of the file or directory empties its journal. Numbers are the machine's own: the journal
 * does not outlive it.
 */
#ifndef TORC_TESTS_CLUSTER_PAGECACHE_JOURNAL_H
#define TORC_TESTS_CLUSTER_PAGECACHE_JOURNAL_H

#include <stdint.h>

/* The environment of the library. */
#define PAGECACHE_DATA    "TORC_PAGECACHE_DATA"    /* Directory whose files are watched. */
#define PAGECACHE_JOURNAL "TORC_PAGECACHE_JOURNAL" /* Where this is kept. */
/* Words of "log superblock directory state": syncs of that kind do nothing and say that they did.
 */
#define PAGECACHE_SKIP "TORC_PAGECACHE_SKIP"

enum {
    JOURNAL_SECTOR_SIZE = 512, /* What is lost or kept as one. */
    JOURNAL_NAME_SIZE = 256,
};

/* In f.INODE; `length` bytes follow that stood at `offset` before. */
struct journal_write {
    uint64_t offset;
    uint64_t length;
    uint64_t old_size; /* Of the file. */
};

enum journal_change_kind { JOURNAL_CREATE = 1, JOURNAL_UNLINK, JOURNAL_RENAME };

/* In d.INODE. Names are of entries of that directory. */
struct journal_change {
    uint64_t kind; /* enum journal_change_kind */
    char name[JOURNAL_NAME_SIZE];
    char to[JOURNAL_NAME_SIZE];   /* JOURNAL_RENAME */
    char kept[JOURNAL_NAME_SIZE]; /* k.NUMBER of what was removed or replaced; "": nothing was. */
};

#endif /* TORC_TESTS_CLUSTER_PAGECACHE_JOURNAL_H */
