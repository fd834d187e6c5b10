/*
 * admin/call -- one question to one node and its answer.
 */
#ifndef TORC_ADMIN_CALL_H
#define TORC_ADMIN_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "base/status.h"
#include "wire/envelope.h"

struct admin_caller;

/* `cluster` is copied; all zero: not known, then a node answers only what asks nothing of it
 * (STATUS, MAP). */
struct admin_caller *admin_caller_new(const struct wire_id *cluster);
void admin_caller_free(struct admin_caller *caller); /* NULL is a no-op. */

struct admin_question {
    const char *address; /* "tcp://127.0.0.1:7380" */
    enum wire_type type;
    const ProtobufCMessage *body;
    struct base_bytes payload;
    enum wire_type answer_type; /* What is expected back. */
    unsigned timeout_ms;
};

/*
 * Sends and waits. The answer's bytes are borrowed from the caller until the next call.
 * TORC_TIMEOUT: no answer; TORC_MALFORMED: an answer that is none; TORC_INVALID: no such address.
 */
enum torc_status admin_caller_ask(struct admin_caller *caller,
                                  const struct admin_question *question,
                                  struct wire_envelope *ret_answer) TORC_MUST_CHECK;

#endif /* TORC_ADMIN_CALL_H */
