/*
 * router/libtorc/queue -- what the threads of a handle share: calls that wait to be taken by the
 * library's thread, calls whose reply waits to be told, and how many there may be of all.
 *
 * Pure: the handle's lock is around every call, and the handle wakes whom these say.
 */
#ifndef TORC_ROUTER_LIBTORC_QUEUE_H
#define TORC_ROUTER_LIBTORC_QUEUE_H

#include "router/libtorc/call.h"

struct libtorc_queue { /* Open; all zero but the bounds: empty. */
    size_t count_max, size_max;
    size_t count, size; /* Calls that were pushed and not released, and their operations' bytes. */
    bool closed;
    struct libtorc_list calls;   /* To be taken. */
    struct libtorc_list replies; /* To be told by torc_dispatch. */
    struct torc_counters counters;
};

/*
 * Takes a call in. *ret_wake: it is the first, so the library's thread may be asleep.
 * TORC_BUSY: as many are under way, or as large, as may be; TORC_TOO_LARGE: it alone is larger;
 * TORC_CLOSED. Then it stays the caller's.
 */
enum torc_status libtorc_queue_push(struct libtorc_queue *queue, struct libtorc_call *call,
                                    bool *ret_wake) TORC_MUST_CHECK;
/* All calls that were pushed and not taken, in their order. */
struct libtorc_list libtorc_queue_take(struct libtorc_queue *queue);
/* No more calls. */
void libtorc_queue_close(struct libtorc_queue *queue);

/* The call has its reply: it counts no more, and another may take its place. Before its completion
 * function runs, so that this one may push the next. */
void libtorc_queue_release(struct libtorc_queue *queue, const struct libtorc_call *call);
/* Keeps a call for torc_dispatch; it counts until libtorc_queue_reply gives it out. True: it is the
 * first, so the descriptor becomes readable. */
bool libtorc_queue_keep(struct libtorc_queue *queue, struct libtorc_call *call);
/* The next one to tell, released; NULL: none. *ret_last: there are no more, so the descriptor is
 * not readable any longer. */
struct libtorc_call *libtorc_queue_reply(struct libtorc_queue *queue, bool *ret_last);

void libtorc_queue_check(const struct libtorc_queue *queue);

#endif /* TORC_ROUTER_LIBTORC_QUEUE_H */
