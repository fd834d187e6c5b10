/*
 * router/object -- OBJECT and MEMORY USAGE: what they ask of a key's group, and their replies.
 */
#ifndef TORC_ROUTER_OBJECT_H
#define TORC_ROUTER_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"
#include "router/command.h"
#include "wire/op.h"

/* Whether the words behind the key are right; false: Redis's error was appended to `error`. */
bool router_object_words(const struct router_command *command, const struct base_bytes *args,
                         size_t arg_count, struct router_buffer *error);
/* The operation that such a command is, but for its key. */
struct wire_op router_object_op(const struct router_command *command);
/* The reply to its result, which is no error; `key_size` is its key's. */
void router_object_answer(const struct router_command *command, size_t key_size,
                          const struct wire_result *result, unsigned protocol,
                          struct router_buffer *out);

#endif /* TORC_ROUTER_OBJECT_H */
