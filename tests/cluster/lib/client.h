/*
 * tests/cluster/lib/client -- a Redis client for one thread, which tells apart what an answer
 * proves: it happened, it did not and will not, or nobody knows.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_CLIENT_H
#define TORC_TESTS_CLUSTER_LIB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct client; /* Opaque. Not for two threads at once. */

enum client_outcome {
    CLIENT_OK,      /* Answered; see the kind. */
    CLIENT_REFUSED, /* An error that says that nothing was done: -TIMEOUT, -BUSY, -ERR ... */
    CLIENT_UNKNOWN, /* -UNKNOWN, no answer in time, or the connection was lost. */
};

enum client_kind { CLIENT_NIL, CLIENT_TEXT, CLIENT_INTEGER, CLIENT_ARRAY };

struct client_answer {
    enum client_outcome outcome;
    enum client_kind kind; /* CLIENT_OK. */
    int64_t integer;       /* INTEGER; of an ARRAY how many elements. */
    struct base_bytes
        bytes; /* TEXT (also "OK"), the error's text, else empty; until the next call. */
};

/* Connects when first used and again after a lost connection; every wait ends after timeout_ms. */
struct client *client_open(uint16_t port, unsigned timeout_ms);
void client_close(struct client *client);

/* One command; the words are bytes. */
struct client_answer client_call(struct client *client, size_t word_count,
                                 const struct base_bytes *words);
/* The same with texts; ends with NULL. */
struct client_answer client_command(struct client *client, const char *first, ...)
    __attribute__((sentinel));
/* Whether a TEXT answer is this text. */
bool client_answer_is(const struct client_answer *answer, const char *text);

#endif /* TORC_TESTS_CLUSTER_LIB_CLIENT_H */
