/*
 * tests/cluster/lib/probe -- writes to one key at a steady rate, to see from when to when it could
 * not be written. Each write goes out when its time has come, whether the ones before it have been
 * answered or not: every one has a connection of its own from a small number of them.
 */
#ifndef TORC_TESTS_CLUSTER_LIB_PROBE_H
#define TORC_TESTS_CLUSTER_LIB_PROBE_H

#include <stdint.h>

struct probe; /* Opaque. */

enum { PROBE_INTERVAL_MS = 10 };

/* Begins to write `key` (borrowed) through the router at this port, in a thread. */
struct probe *probe_start(uint16_t port, const char *key);
/* Ends the thread. */
void probe_end(struct probe *probe);
void probe_free(struct probe *probe);

/* When the first acknowledgement came of a write that was sent at or after this time; 0: none yet.
 * All times are cluster_now_ns. */
uint64_t probe_first_after(struct probe *probe, uint64_t time_ns);
/* The longest time between two acknowledgements of which the later came after `from_ns` and the
 * earlier before `to_ns`. */
uint64_t probe_longest_pause(struct probe *probe, uint64_t from_ns, uint64_t to_ns);
/* Writes that are under way now, and those whose outcome will never be known. */
uint64_t probe_underway(struct probe *probe);
uint64_t probe_unknown(struct probe *probe);

#endif /* TORC_TESTS_CLUSTER_LIB_PROBE_H */
