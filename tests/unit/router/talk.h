/*
 * tests/unit/router/talk -- a router without nodes, and clients that talk to it. Client 0 of
 * address 10.0.0.1:1024 is there from the start, client 1 (10.0.0.2:1024) comes next, and so on.
 */
#ifndef TORC_TESTS_UNIT_ROUTER_TALK_H
#define TORC_TESTS_UNIT_ROUTER_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include "router/router.h"
#include "tests/lib/counting.h"

enum { TALK_CLIENTS_MAX = 4, TALK_REPLY_MAX = 16 * 1024 };

struct talk {
    struct counting counting;
    struct router *router;
    uint64_t now_us;
    struct {
        uint32_t connection;
        bool open;
        char reply[TALK_REPLY_MAX]; /* What came in the last turn. */
    } clients[TALK_CLIENTS_MAX];
    size_t client_count;
};

void talk_begin(struct talk *talk);
void talk_end(struct talk *talk);
/* The next client connects; returns its number. */
size_t talk_open(struct talk *talk);
/* The client sends these bytes, and no turn is taken. */
void talk_send(struct talk *talk, size_t client, const char *bytes);
/* The client sends a line; a turn is taken. The reply is its last one's. */
const char *talk_ask(struct talk *talk, size_t client, const char *line);
/* Asserts that the reply to a line is `reply`, to the byte. */
void talk_expect(struct talk *talk, size_t client, const char *line, const char *reply);
void talk_wait(struct talk *talk, uint64_t time_us);

#endif /* TORC_TESTS_UNIT_ROUTER_TALK_H */
