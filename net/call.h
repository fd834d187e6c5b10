/*
 * net/call -- asks one node one thing and waits: for tools, which have no loop.
 *
 * Each question has a connection of its own, so a late answer to an earlier one is never taken for
 * its answer. One that is not answered is sent again until the deadline, so what is asked must be
 * idempotent.
 */
#ifndef TORC_NET_CALL_H
#define TORC_NET_CALL_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "wire/body.h"
#include "wire/envelope.h"

struct net_client; /* Opaque: one address. */

/* Nothing is sent yet. TORC_INVALID: not an address. */
enum torc_status net_client_open(const char *address, const struct wire_id *cluster,
                                 struct net_client **ret_client) TORC_MUST_CHECK;
void net_client_close(struct net_client *client); /* NULL is a no-op. */

/*
 * Sends `body` (and payload) as a message of `type`, waits at most timeout_ms for one of
 * `answer_type`. TORC_OK: *ret_answer and *ret_body live until the next call or close;
 * TORC_TIMEOUT: nobody answered; TORC_NEWER: the answer is of a later version; TORC_MALFORMED,
 * TORC_TOO_LARGE: it did not decode.
 */
enum torc_status net_client_call(struct net_client *client, enum wire_type type,
                                 const ProtobufCMessage *body, struct base_bytes payload,
                                 enum wire_type answer_type, uint32_t timeout_ms,
                                 struct wire_envelope *ret_answer,
                                 const ProtobufCMessage **ret_body) TORC_MUST_CHECK;

#endif /* TORC_NET_CALL_H */
