/*
 * base/status_list -- the list behind base/status, without its enum: libtorc's public header spells
 * the enum out, and what holds the two together needs the list beside that one.
 *
 * The numbers are in messages between processes and in programs linked with libtorc: new statuses
 * come last.
 */
#ifndef TORC_BASE_STATUS_LIST_H
#define TORC_BASE_STATUS_LIST_H

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
    X(TORC_UNSUPPORTED, "not supported")                                                           \
    X(TORC_CONDITION, "a condition did not hold; nothing was done")                                \
    X(TORC_CLOSED, "closed meanwhile")

#endif /* TORC_BASE_STATUS_LIST_H */
