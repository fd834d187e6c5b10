/*
 * router/latency -- how long commands took: a histogram for each row of the table, and LATENCY.
 */
#ifndef TORC_ROUTER_LATENCY_H
#define TORC_ROUTER_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"
#include "router/command.h"

enum { ROUTER_LATENCY_BUCKETS = 24 }; /* The last one takes what takes longer than 8 seconds. */

/* Open, so that it can be embedded. All zero: nothing has run yet. */
struct router_latency {
    uint64_t counts[ROUTER_COMMAND_TABLE_SIZE][ROUTER_LATENCY_BUCKETS];
};

void router_latency_add(struct router_latency *latency, enum router_command_id id,
                        uint64_t took_us);
/* Answers LATENCY's subcommands, but HELP; false, and nothing done, when it is another command. */
bool router_latency_reply(const struct router_latency *latency,
                          const struct router_command *command, const struct base_bytes *args,
                          size_t arg_count, unsigned protocol, struct router_buffer *out);

#endif /* TORC_ROUTER_LATENCY_H */
