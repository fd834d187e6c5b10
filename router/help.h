/*
 * router/help -- the texts of Redis's HELP subcommands.
 */
#ifndef TORC_ROUTER_HELP_H
#define TORC_ROUTER_HELP_H

#include <stdbool.h>

#include "router/buffer.h"
#include "router/command.h"

/* Answers a HELP subcommand; false, and nothing done, when it is none. */
bool router_help_reply(const struct router_command *command, struct router_buffer *out);

#endif /* TORC_ROUTER_HELP_H */
