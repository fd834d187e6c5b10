/*
 * router/reply -- replies of RESP2 and RESP3, appended to a buffer.
 *
 * `protocol` is 2 or 3: what the connection had asked for when the command was read.
 */
#ifndef TORC_ROUTER_REPLY_H
#define TORC_ROUTER_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"

enum { ROUTER_PROTOCOL_2 = 2, ROUTER_PROTOCOL_3 = 3 };

void router_reply_simple(struct router_buffer *out, const char *text);
/* `text` begins with its code ("ERR ..."); line ends in it become spaces. */
void router_reply_error(struct router_buffer *out, const char *text);
void router_reply_error_bytes(struct router_buffer *out, struct base_bytes text);
void router_reply_integer(struct router_buffer *out, int64_t number);
void router_reply_bulk(struct router_buffer *out, struct base_bytes bytes);
void router_reply_bulk_text(struct router_buffer *out, const char *text);
void router_reply_null(struct router_buffer *out, unsigned protocol);
/* Heads: `count` items, or pairs of items, follow. */
void router_reply_array(struct router_buffer *out, size_t count);
void router_reply_set(struct router_buffer *out, unsigned protocol, size_t count);
void router_reply_map(struct router_buffer *out, unsigned protocol, size_t pair_count);
/* Text for people: a verbatim string in RESP3, a bulk in RESP2. */
void router_reply_verbatim(struct router_buffer *out, unsigned protocol, struct base_bytes text);

#endif /* TORC_ROUTER_REPLY_H */
