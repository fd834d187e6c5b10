/*
 * admin/digest -- DIR/load.digest: which keys were loaded into a dev cluster and the XXH3-64 of
 * each value, so that a later start can tell whether they are still there.
 *
 *   torc-load 1 loading|loaded COUNT SOURCE
 *   0123456789abcdef<TAB>KEY
 *   ...
 *
 * It is written, as "loading", before the first key is sent: a load that was interrupted is known
 * to have been, and is repeated from the same data set (a SET twice is a SET).
 */
#ifndef TORC_ADMIN_DIGEST_H
#define TORC_ADMIN_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/dataset.h"
#include "base/bytes.h"

enum admin_digest_state { ADMIN_DIGEST_NONE, ADMIN_DIGEST_LOADING, ADMIN_DIGEST_LOADED };

struct admin_digest_entry {
    struct base_bytes key; /* Into the digest's text. */
    uint64_t hash;
};

struct admin_digest {
    enum admin_digest_state state;
    char source[256];
    struct admin_digest_entry *entries;
    size_t count;
    uint8_t *text;
    size_t text_size;
};

/* State NONE when there is no such file. 0, or 2 when it cannot be read, said with its line. */
int admin_digest_read(const char *path, struct admin_digest *ret_digest);
void admin_digest_free(struct admin_digest *digest);
/* Replaces the file, synced. 0, or 1, said. */
int admin_digest_write(const char *path, enum admin_digest_state state,
                       const struct admin_dataset *dataset);
/* Whether the data set has exactly these keys and values. */
bool admin_digest_matches(const struct admin_digest *digest, const struct admin_dataset *dataset);

#endif /* TORC_ADMIN_DIGEST_H */
