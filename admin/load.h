/*
 * admin/load -- filling a cluster through its RESP door, and checking later that what was loaded is
 * still there.
 *
 * SETs are pipelined over one connection, a bounded number in flight. A SET twice is a SET, so
 * whatever has no sure answer (-UNKNOWN, -TIMEOUT, a lost connection) is sent again.
 */
#ifndef TORC_ADMIN_LOAD_H
#define TORC_ADMIN_LOAD_H

#include <signal.h>
#include <stdint.h>

#include "admin/dataset.h"
#include "admin/digest.h"

struct admin_load_result {
    uint64_t elapsed_ms;
    uint64_t retried; /* Sends beyond the first of each key. */
};

/* Whether PING is answered by +PONG at 127.0.0.1:port within timeout_ms. */
bool admin_load_ping(uint16_t port, unsigned timeout_ms);

/*
 * Loads all pairs. Gives up, saying why and at which key, when a SET is refused or nothing has been
 * acknowledged for a minute; also when *stop becomes non-zero. 0 or 1.
 */
int admin_load_run(uint16_t port, const struct admin_dataset *dataset,
                   const volatile sig_atomic_t *stop, struct admin_load_result *ret_result);

/*
 * Counts the keys (DBSIZE) and compares `sample_count` values, drawn at random, with the digest;
 * when keys are missing, looks through all of them for the first that is. Prints what was found. 0;
 * 1 when something differs, the key named.
 */
int admin_load_check(uint16_t port, const struct admin_digest *digest, size_t sample_count);

#endif /* TORC_ADMIN_LOAD_H */
