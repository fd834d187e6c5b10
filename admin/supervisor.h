/*
 * admin/supervisor -- the process that starts a dev cluster's processes, says what ends and how,
 * and stops them. It starts nothing again by itself, unless told to (--respawn).
 *
 * It holds DIR/lock for its life, so a directory has one supervisor at most; whoever finds the lock
 * free knows that there is none. Other commands reach it over the Unix socket DIR/control: one line
 * in ("restart s1", "down"), one line out ("ok" or why not).
 */
#ifndef TORC_ADMIN_SUPERVISOR_H
#define TORC_ADMIN_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "admin/dev_file.h"
#include "admin/options.h"

enum { ADMIN_STOP_MS_MAX = 10000, ADMIN_CONTROL_TEXT_SIZE = 512 };

/* What the supervisor is to run; borrowed. */
struct admin_supervisor_plan {
    const struct admin_dev *dev;
    const char *shard_binary, *router_binary;
    struct admin_texts shard_sets, router_sets; /* "--set" values for either kind. */
    bool respawn;
    bool detached; /* Its messages go to DIR/supervisor.log, and it outlives the caller. */
};

/* Takes DIR/lock: a descriptor, -1 when somebody holds it, -2 on an error, said. */
int admin_supervisor_lock(const struct admin_dev *dev);

/*
 * Starts the supervisor and, through it, all processes. `lock_fd` passes to it. Returns its pid, a
 * child of the caller, or 0 when something could not be started, said. Unless detached it stops
 * everything when the caller ends.
 */
pid_t admin_supervisor_start(const struct admin_supervisor_plan *plan, int lock_fd);

/* One request to the supervisor: 0, or 1 with the reason. ret_reason is "" when there is none to
 * talk to. Waits at most timeout_ms. */
int admin_supervisor_ask(const struct admin_dev *dev, const char *request, unsigned timeout_ms,
                         char ret_reason[ADMIN_CONTROL_TEXT_SIZE]);

/*
 * Ends the process at index, or with SIZE_MAX everything in order (the router, so that no client is
 * answered, then the shards): SIGTERM, and SIGKILL, saying so on `out`, after ADMIN_STOP_MS_MAX.
 * Works on children and on the orphans of a dead supervisor. Clears what ended from *run.
 */
void admin_supervisor_stop(const struct admin_dev *dev, struct admin_run *run, size_t index,
                           FILE *out);

#endif /* TORC_ADMIN_SUPERVISOR_H */
