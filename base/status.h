/*
 * base/status -- the one list of outcomes that functions return.
 *
 * A status says what the caller can act on; text with context ("which file, which byte") is made
 * only in drivers and tools. Every function that returns one is warn_unused_result by its type.
 */
#ifndef TORC_BASE_STATUS_H
#define TORC_BASE_STATUS_H

#include "base/status_list.h"

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
