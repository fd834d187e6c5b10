/*
 * admin/status -- what the nodes of a cluster say of themselves, gathered, judged and printed.
 */
#ifndef TORC_ADMIN_STATUS_H
#define TORC_ADMIN_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "admin/target.h"
#include "wire/torc.pb-c.h"

enum { ADMIN_STATUS_TIMEOUT_MS = 1000 };

struct admin_status_node {
    const char *address;            /* Borrowed from the target. */
    Torc__Wire__StatusReply *reply; /* NULL: it did not answer. */
    const char *reason;             /* Why not; static memory. */
};

struct admin_status {
    struct admin_status_node nodes[ADMIN_TARGET_NODES_MAX];
    size_t count;
    struct wire_id cluster; /* All zero: not known, and none answered. */
};

/* Asks every node of the target. */
void admin_status_gather(const struct admin_target *target, struct admin_status *ret_status);
void admin_status_free(struct admin_status *status);

/* Whether a node that names the cluster `said` is of `cluster`; while that is not known it becomes
 * what the node said. */
bool admin_status_belongs(struct wire_id *cluster, const struct wire_id *said);

/* The replica of `group` that leads and serves; NULL when there is none. */
const Torc__Wire__ReplicaStatus *admin_status_leader(const struct admin_status *status,
                                                     uint32_t group, size_t *ret_node);

/* Why the groups 0..shard_count are not all served, for people; NULL when they are. Written into
 * buffer. Nodes that do not answer matter only through their groups. */
const char *admin_status_flaw(const struct admin_status *status, uint32_t shard_count, char *buffer,
                              size_t buffer_size);

/* The highest group that any replica reports. */
uint32_t admin_status_group_max(const struct admin_status *status);

void admin_status_print(const struct admin_status *status, FILE *out);
void admin_status_print_json(const struct admin_status *status, FILE *out);

/* The command. */
int admin_status_main(int argc, char **argv);

#endif /* TORC_ADMIN_STATUS_H */
