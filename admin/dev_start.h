/*
 * admin/dev_start -- what `dev up` does before anything runs: finds the binaries, checks ports and
 * --set, makes the data directories on the very first start, writes the settings files.
 */
#ifndef TORC_ADMIN_DEV_START_H
#define TORC_ADMIN_DEV_START_H

#include <limits.h>

#include "admin/dev_file.h"
#include "admin/options.h"

struct admin_binaries {
    char shard[PATH_MAX], router[PATH_MAX];
};

/* $TORC_BIN_DIR, beside this program, or where the build puts them relative to it. 0, or 2, said.
 */
int admin_dev_find_binaries(struct admin_binaries *ret_binaries);

/* Gives each --set to those programs that know it. 2, said, when neither does. */
int admin_dev_sort_sets(const struct admin_dev *dev, const struct admin_binaries *binaries,
                        const struct admin_texts *sets, struct admin_texts *ret_shard,
                        struct admin_texts *ret_router);

/* Whether every port of the cluster can be bound. 1, said, naming the first that cannot. */
int admin_dev_check_ports(const struct admin_dev *dev);

/* A first start: cluster.json, then each data directory through `torc-shard format`. */
int admin_dev_format(struct admin_dev *dev, const struct admin_binaries *binaries);
/* A later start: each data directory is there. What is in it, torc-shard checks. Never a format. */
int admin_dev_check_dirs(const struct admin_dev *dev);

/* DIR/s1.yaml and so on. */
int admin_dev_write_settings(const struct admin_dev *dev);

#endif /* TORC_ADMIN_DEV_START_H */
