/*
 * admin/dev_file -- what a dev cluster's directory records: which cluster it is (cluster.json,
 * written once and synced) and which processes run (run.json, written by the supervisor).
 *
 *   DIR/cluster.json  run.json  lock  control  supervisor.log  load.digest
 *   DIR/s1/           the data directory of node 1: torc-shard's alone
 *   DIR/s1.yaml       its settings       DIR/s1.log   its log
 */
#ifndef TORC_ADMIN_DEV_FILE_H
#define TORC_ADMIN_DEV_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/process.h"

enum {
    ADMIN_DEV_NODES_MAX = 16,
    ADMIN_DEV_SHARDS_MAX = 64,
    ADMIN_DEV_PROCESSES_MAX = ADMIN_DEV_NODES_MAX + 1, /* And one router. */
    ADMIN_DEV_PORT_DEFAULT = 7379,
    ADMIN_ID_TEXT_SIZE = 33, /* 32 hexadecimal digits and the end. */
};

enum admin_dev_phase {
    ADMIN_DEV_FORMATTING, /* Some data directories may be missing; none was ever started. */
    ADMIN_DEV_FORMATTED,  /* All are there; the first map may not have been accepted by all. */
    ADMIN_DEV_READY,      /* The first map has been accepted by all. */
};

/* What cluster.json holds. Plain data. */
struct admin_dev {
    char dir[PATH_MAX]; /* Absolute; not in the file. */
    enum admin_dev_phase phase;
    char cluster[ADMIN_ID_TEXT_SIZE];
    uint32_t node_count, shard_count;
    uint16_t port;         /* RESP; node i has port + i. */
    uint32_t lease_ms;     /* Of leaders; 0: none. */
    uint64_t segment_size; /* For a first start; 0: the usual. Not in the file. */
    char storage[ADMIN_DEV_NODES_MAX][ADMIN_ID_TEXT_SIZE]; /* Of node i + 1. */
};

/* What run.json holds. Index i < node_count is node i + 1, index node_count is the router. */
struct admin_run {
    struct admin_process supervisor;
    struct admin_process processes[ADMIN_DEV_PROCESSES_MAX];
};

enum { ADMIN_DEV_NAME_SIZE = 8, ADMIN_DEV_ADDRESS_SIZE = 40 };

/* "s1" .. for a shard, "r1" for the router. */
const char *admin_dev_name(const struct admin_dev *dev, size_t index,
                           char buffer[ADMIN_DEV_NAME_SIZE]);
/* The index of such a name; SIZE_MAX when there is none. */
size_t admin_dev_find(const struct admin_dev *dev, const char *name);
/* All processes: the nodes, then the router. */
size_t admin_dev_process_count(const struct admin_dev *dev);
bool admin_dev_is_router(const struct admin_dev *dev, size_t index);
/* "tcp://127.0.0.1:7380" of node index + 1. */
const char *admin_dev_address(const struct admin_dev *dev, size_t index,
                              char buffer[ADMIN_DEV_ADDRESS_SIZE]);
/* DIR/NAME, DIR/NAME.log, DIR/NAME.yaml ("" is the directory itself). */
void admin_dev_path(const struct admin_dev *dev, size_t index, const char *suffix,
                    char buffer[PATH_MAX]);
void admin_dev_file_path(const struct admin_dev *dev, const char *name, char buffer[PATH_MAX]);
/* How many replicas each group has: 3, or 1 when there are fewer nodes than 3. */
uint32_t admin_dev_replica_count(const struct admin_dev *dev);

enum admin_dev_found {
    ADMIN_DEV_FOUND,
    ADMIN_DEV_ABSENT,  /* There is no such directory, or it is empty. */
    ADMIN_DEV_FOREIGN, /* It holds something else, or a cluster.json that cannot be read: said. */
};

/* Reads DIR/cluster.json; ret_dev->dir is set also when it is absent. */
enum admin_dev_found admin_dev_load(const char *dir, struct admin_dev *ret_dev);
/* The same for commands that need a cluster: 0, or 2 when there is none, said. */
int admin_dev_need(const char *dir, struct admin_dev *ret_dev);
/* Replaces cluster.json, synced, directory too. 0, or 1, said. */
int admin_dev_store(const struct admin_dev *dev);

/* No processes when there is no such file. */
void admin_run_load(const struct admin_dev *dev, struct admin_run *ret_run);
int admin_run_store(const struct admin_dev *dev, const struct admin_run *run);
/* Whether process `index` runs now. */
bool admin_run_alive(const struct admin_dev *dev, const struct admin_run *run, size_t index);

#endif /* TORC_ADMIN_DEV_FILE_H */
