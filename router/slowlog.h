/*
 * router/slowlog -- the commands that took longest of late: a ring of the newest of them.
 *
 * An entry's words are cut as Redis cuts them, so that it has a bound: 32 words of 128 bytes.
 */
#ifndef TORC_ROUTER_SLOWLOG_H
#define TORC_ROUTER_SLOWLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "router/buffer.h"

struct router_slowlog_entry {
    uint64_t id, unix_s, took_us;
    struct router_buffer text; /* Words, address and name, as they are replied. */
};

/* Open, so that it can be embedded. */
struct router_slowlog {
    const struct base_allocator *allocator;
    int64_t slower_than_us; /* As long or longer; below 0: none. */
    size_t entries_max;     /* 0: none. */
    struct router_slowlog_entry *entries;
    size_t first, count; /* The oldest, and how many there are. */
    uint64_t next_id;
};

void router_slowlog_init(struct router_slowlog *slowlog, const struct base_allocator *allocator,
                         int64_t slower_than_us, size_t entries_max);
/* Changes how many entries there may be; the newest stay. */
void router_slowlog_resize(struct router_slowlog *slowlog, size_t entries_max);
void router_slowlog_fini(struct router_slowlog *slowlog);
/* Whether any command may come to be in it: only then words need to be kept. */
bool router_slowlog_on(const struct router_slowlog *slowlog);
/* Appends a command's words as router_slowlog_add takes them. */
void router_slowlog_words(const struct base_bytes *args, size_t arg_count,
                          struct router_buffer *out);

struct router_slowlog_command {
    uint64_t unix_s, took_us;
    struct base_bytes words;   /* Of router_slowlog_words; none: it is not taken. */
    struct base_bytes address; /* The client's, and the name it gave itself. */
    struct base_bytes name;
};
/* Takes the command in when it was slow; the oldest goes when there is no room. */
void router_slowlog_add(struct router_slowlog *slowlog,
                        const struct router_slowlog_command *command);
/* Forgets the entries; ids go on. */
void router_slowlog_clear(struct router_slowlog *slowlog);
/* Replies the newest `count` of them, the newest first. */
void router_slowlog_reply(const struct router_slowlog *slowlog, size_t count,
                          struct router_buffer *out);

#endif /* TORC_ROUTER_SLOWLOG_H */
