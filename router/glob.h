/*
 * router/glob -- Redis's patterns of keys: * ? [abc] [^a-z] and backslash.
 */
#ifndef TORC_ROUTER_GLOB_H
#define TORC_ROUTER_GLOB_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Whether all of `text` matches `pattern`; bytes, not characters. Work is bounded by the product of
 * the sizes, whatever the pattern: after a star only the newest star is tried again.
 */
bool router_glob_match(struct base_bytes pattern, struct base_bytes text);
/* The same without regard to the case of ASCII letters. */
bool router_glob_match_nocase(struct base_bytes pattern, struct base_bytes text);

#endif /* TORC_ROUTER_GLOB_H */
