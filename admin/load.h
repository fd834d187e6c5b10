/*
 * admin/load -- filling a cluster through libtorc, and checking later that what was loaded is still
 * there.
 *
 * A bounded number of puts is under way at a time. A put twice is a put, so one that has no sure
 * outcome is sent again.
 */
#ifndef TORC_ADMIN_LOAD_H
#define TORC_ADMIN_LOAD_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/dataset.h"
#include "admin/digest.h"

struct admin_load_target {
    const char *cluster;      /* Its id. */
    const char *const *seeds; /* Addresses of nodes. */
    size_t seed_count;
};

struct admin_load_result {
    uint64_t elapsed_ms;
    uint64_t retried; /* Puts beyond the first of each key. */
};

/*
 * Loads all pairs. Gives up, saying why and at which key, when a put is refused or nothing has been
 * acknowledged for a minute; also when *stop becomes non-zero. 0 or 1.
 */
int admin_load_run(const struct admin_load_target *target, const struct admin_dataset *dataset,
                   const volatile sig_atomic_t *stop, struct admin_load_result *ret_result);

/*
 * Counts the keys and compares `sample_count` values, drawn at random, with the digest; when keys
 * are missing, looks through all of them for the first that is. Prints what was found. 0; 1 when
 * something differs, the key named.
 */
int admin_load_check(const struct admin_load_target *target, const struct admin_digest *digest,
                     size_t sample_count);

#endif /* TORC_ADMIN_LOAD_H */
