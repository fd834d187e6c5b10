/*
 * router/number -- decimal integers as Redis reads and writes them.
 */
#ifndef TORC_ROUTER_NUMBER_H
#define TORC_ROUTER_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { ROUTER_NUMBER_SIZE_MAX = 20 }; /* "-9223372036854775808" */

/* Strict: an optional minus, then digits without leading zeros, in the range of int64_t; nothing
 * before or after. False, and *ret_number as it was, for anything else. */
bool router_number_read(struct base_bytes text, int64_t *ret_number);
/* The same for 0 .. 2^64 - 1; no sign, leading zeros allowed. For cursors. */
bool router_number_read_unsigned(struct base_bytes text, uint64_t *ret_number);
/* Writes at most ROUTER_NUMBER_SIZE_MAX bytes and returns how many; no NUL. */
size_t router_number_write(int64_t number, char *at);

#endif /* TORC_ROUTER_NUMBER_H */
