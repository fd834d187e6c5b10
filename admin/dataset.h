/*
 * admin/dataset -- keys and values that a dev cluster is filled with.
 *
 * A file is either lines "key<TAB>value", or stanzas: blocks of lines with blank lines between,
 * whose key is what follows ": " on the first line and whose value is the block (the form of
 * `apt-cache dumpavail`). The first line that is not blank decides. Of a key that comes again the
 * last value counts.
 */
#ifndef TORC_ADMIN_DATASET_H
#define TORC_ADMIN_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct admin_pair {
    struct base_bytes key, value; /* Into the dataset's text. */
};

struct admin_dataset {
    char source[256]; /* For people: "apt-cache dumpavail". */
    uint8_t *text;
    size_t text_size;
    struct admin_pair *pairs; /* Keys are unique. */
    size_t count, capacity;
    uint64_t bytes; /* Of all keys and values. */
};

/* 0, or 2, said with file and line. */
int admin_dataset_read_file(const char *path, struct admin_dataset *ret_dataset);
/* The first there is of: every stanza of `apt-cache dumpavail`, the words of /usr/share/dict/words,
 * the manual pages under /usr/share/man. 0, or 1 when there is none of them, said. */
int admin_dataset_read_default(struct admin_dataset *ret_dataset);
void admin_dataset_free(struct admin_dataset *dataset);

/*
 * Takes the text apart: the part of admin_dataset_read_file that tests reach without a file.
 * `text` (from malloc) becomes the dataset's. NULL, or what is wrong on line *ret_line; then the
 * text stays the caller's.
 */
const char *admin_dataset_parse(uint8_t *text, size_t size, struct admin_dataset *ret_dataset,
                                size_t *ret_line);

#endif /* TORC_ADMIN_DATASET_H */
