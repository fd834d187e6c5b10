/*
 * router/driver/door -- the TCP side of the router: accepts clients, hands their bytes to the core
 * and carries out its actions. A shell without decisions.
 */
#ifndef TORC_ROUTER_DRIVER_DOOR_H
#define TORC_ROUTER_DRIVER_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/status.h"
#include "router/router.h"

struct router_door; /* Opaque. */

enum { ROUTER_DOOR_TEXT_SIZE = 256 };

struct router_door_config {
    const char *listen; /* "127.0.0.1:7379" */
    uint32_t clients_max;
    /* Something is about to be told to the core: the first time in a turn of the loop its time is
     * to be set, and before the loop waits a router_ready is due. */
    void (*on_event)(void *context);
    void *context;
};

/* Binds and listens; router_door_open must follow before the loop runs. `config` is copied, its
 * texts are borrowed for the call. On any status but TORC_OK `text` says what is wrong.
 * TORC_INVALID; TORC_LOCKED: in use; TORC_IO. */
enum torc_status router_door_new(uv_loop_t *loop, const struct router_door_config *config,
                                 char text[ROUTER_DOOR_TEXT_SIZE],
                                 struct router_door **ret_door) TORC_MUST_CHECK;
/* "127.0.0.1:7379", with the port that was bound. Valid for the door's life. */
const char *router_door_address(const struct router_door *door);
/* Says whose clients they are. The core is borrowed for the door's life. */
void router_door_open(struct router_door *door, struct router *router);
/* Carries out the actions of one ready. True: another router_ready is due in this turn. */
bool router_door_act(struct router_door *door, const struct router_action *actions, size_t count);
/* Accepts no more; clients stay. */
void router_door_shut(struct router_door *door);
/* Begins to close every handle; when the loop has run down, router_door_free may follow. */
void router_door_close(struct router_door *door);
void router_door_free(struct router_door *door); /* NULL is a no-op. */

#endif /* TORC_ROUTER_DRIVER_DOOR_H */
