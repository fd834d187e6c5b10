/*
 * wire/dedup -- which messages a receiver takes: each at most once, and only those meant for it.
 *
 * ZeroMQ loses messages on a reconnect, and a retrying protocol repeats them; so a receiver keeps,
 * for each sender on a socket, which of its latest numbers it has seen. Numbers rise per sender's
 * incarnation and receiver. What is older than the window counts as seen: a protocol that cares
 * sends again, under a new number.
 */
#ifndef TORC_WIRE_DEDUP_H
#define TORC_WIRE_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/envelope.h"

enum { WIRE_WINDOW_SIZE = 1024 }; /* Numbers below the highest that are told apart. */

/* Of one sender; all zero: nothing seen. Plain data, fields are dedup.c's. */
struct wire_window {
    uint64_t highest; /* 0: nothing seen of this incarnation. */
    uint32_t incarnation;
    uint64_t seen[WIRE_WINDOW_SIZE / 64]; /* Bit n % WIRE_WINDOW_SIZE: number n was seen. */
};

/* Takes (incarnation, number) of the window's sender: true the first time. False: number 0, seen
 * before or older than the window, or of an earlier incarnation. A later incarnation starts anew.
 */
bool wire_window_take(struct wire_window *window, uint32_t incarnation, uint64_t number);

/* Whether the message is meant for this node in this incarnation; a sender may leave either open.
 */
bool wire_envelope_is_for(const struct wire_envelope *envelope, uint32_t node,
                          uint32_t incarnation);

#endif /* TORC_WIRE_DEDUP_H */
