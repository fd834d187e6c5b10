/*
 * admin/init -- sending a cluster its first map, and `format`, which is torc-shard's.
 */
#ifndef TORC_ADMIN_INIT_H
#define TORC_ADMIN_INIT_H

#include <stdbool.h>

#include "admin/map.h"

/*
 * Sends the map of `spec` to each of its nodes until all have accepted it or `deadline_ms`
 * (admin_now_ms) has passed. A node that has the same map already accepts it. 0, or 1 with what the
 * first node that did not said. Ends early when `stop`, asked after each try that came to nothing,
 * says so; it may be NULL.
 */
int admin_init_send(const struct admin_map_spec *spec, uint64_t deadline_ms,
                    bool (*stop)(void *context), void *context, char *ret_reason,
                    size_t reason_size);

/* The commands. */
int admin_init_main(int argc, char **argv);
int admin_format_main(int argc, char **argv);

#endif /* TORC_ADMIN_INIT_H */
