/*
 * admin/dev_ready -- waiting until a dev cluster, or one process of it, serves.
 */
#ifndef TORC_ADMIN_DEV_READY_H
#define TORC_ADMIN_DEV_READY_H

#include <signal.h>

#include "admin/dev_file.h"

/* Sends the first map until all nodes have it. 0, or 1, said. */
int admin_dev_initialise(struct admin_dev *dev, uint64_t deadline_ms,
                         const volatile sig_atomic_t *stop);

/*
 * Until every group has a leader that serves, every node is the one that was formatted, and the
 * router answers PING. 0; 1, said, when a process ends, the deadline (admin_now_ms) passes or *stop
 * becomes non-zero.
 */
int admin_dev_wait_all(const struct admin_dev *dev, uint64_t deadline_ms,
                       const volatile sig_atomic_t *stop);

/* Until the process at index answers. 0; 1, said, when it ends first or the deadline passes. */
int admin_dev_wait_process(const struct admin_dev *dev, size_t index, uint64_t deadline_ms);

#endif /* TORC_ADMIN_DEV_READY_H */
