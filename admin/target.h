/*
 * admin/target -- which cluster a command is about: the nodes of --nodes, or a dev cluster's
 * directory.
 */
#ifndef TORC_ADMIN_TARGET_H
#define TORC_ADMIN_TARGET_H

#include "admin/options.h"
#include "admin/call.h"
#include "wire/torc.pb-c.h"

enum { ADMIN_TARGET_NODES_MAX = 256, ADMIN_TARGET_ADDRESS_SIZE = 128 };

struct admin_target {
    struct wire_id cluster; /* All zero: not known, any that answers. */
    char addresses[ADMIN_TARGET_NODES_MAX][ADMIN_TARGET_ADDRESS_SIZE];
    size_t count;
};

/* The options that say it; their targets. */
struct admin_target_options {
    const char *nodes; /* NULL: not given. */
    const char *dir;
};
#define ADMIN_TARGET_OPTIONS(options)                                                              \
    {"--nodes",                                                                                    \
     ADMIN_OPTION_TEXT,                                                                            \
     "ADDRESSES",                                                                                  \
     "nodes to ask, such as tcp://127.0.0.1:7380,tcp://127.0.0.1:7381",                            \
     &(options).nodes,                                                                             \
     0,                                                                                            \
     0},                                                                                           \
    {                                                                                              \
        "--dir", ADMIN_OPTION_TEXT, "DIR", "a dev cluster's directory (.torc)", &(options).dir, 0, \
            0                                                                                      \
    }

/* 0, or 2, said. */
int admin_target_find(const struct admin_target_options *options, struct admin_target *ret_target);

/* The newest map that any of the nodes has; free with torc__wire__map__free_unpacked. 0, or 1 when
 * none answers or none has one, said. Afterwards the target has every node of the map and its
 * cluster.
 */
int admin_target_map(struct admin_target *target, Torc__Wire__Map **ret_map);

/* "00..ff" <-> id. False when the text is not 32 hexadecimal digits. */
bool admin_id_read(const char *text, size_t size, struct wire_id *ret_id);
const char *admin_id_text(const uint8_t *bytes, size_t size, char buffer[33]);

#endif /* TORC_ADMIN_TARGET_H */
