/*
 * base/status -- the one list of outcomes that functions return.
 *
 * A status says what the caller can act on; text with context ("which file, which byte") is made
 * only in drivers and tools. Every function that returns one is warn_unused_result by its type.
 */
#ifndef TORC_BASE_STATUS_H
#define TORC_BASE_STATUS_H

#define TORC_STATUS_LIST(X)                                                                        \
    X(TORC_OK, "ok")                                                                               \
    X(TORC_MALFORMED, "input breaks its format")                                                   \
    X(TORC_INVALID, "argument or configuration out of range")                                      \
    X(TORC_NO_MEMORY, "out of memory")                                                             \
    X(TORC_FULL, "a bounded queue, window or pool is full; try again later")                       \
    X(TORC_TOO_LARGE, "larger than a limit allows")                                                \
    X(TORC_NOT_FOUND, "not found")                                                                 \
    X(TORC_EXISTS, "exists already")                                                               \
    X(TORC_NOT_LEADER, "this replica does not lead its group")                                     \
    X(TORC_STALE, "from an older ballot, epoch or incarnation; ignored")                           \
    X(TORC_BUSY, "overloaded; nothing was done")                                                   \
    X(TORC_TIMEOUT, "deadline passed")                                                             \
    X(TORC_UNKNOWN, "outcome unknown: it may have happened or may happen yet")                     \
    X(TORC_IO, "an input or output operation failed")                                              \
    X(TORC_LOCKED, "in use by another process")                                                    \
    X(TORC_FOREIGN, "belongs to another node or cluster")                                          \
    X(TORC_NEWER, "written by a newer version")                                                    \
    X(TORC_DAMAGED, "damaged: what is stored cannot be trusted")                                   \
    X(TORC_UNSUPPORTED, "not supported")

enum torc_status {
#define TORC_STATUS_ENUM(name, text) name,
    TORC_STATUS_LIST(TORC_STATUS_ENUM)
#undef TORC_STATUS_ENUM
};

#define TORC_MUST_CHECK __attribute__((warn_unused_result))

/* The text of the table; never NULL, also for a number that is no status. Static memory. */
const char *torc_status_text(enum torc_status status);
/* The name ("TORC_STALE"), for logs and golden files. Static memory. */
const char *torc_status_name(enum torc_status status);

#endif /* TORC_BASE_STATUS_H */
