/*
 * router/resp -- the requests of RESP2 and RESP3, read incrementally: multibulk
 * ("*2\r\n$3\r\nGET...") and inline ("GET key\r\n", with Redis's quoting). The words are Redis's,
 * to the byte.
 *
 * The caller keeps the bytes: each call gets everything from the first byte of the command on, as
 * much as there is. What was looked at before is not looked at again, so a command that arrives
 * byte by byte costs its length and not its square. Nothing is copied but inline words.
 */
#ifndef TORC_ROUTER_RESP_H
#define TORC_ROUTER_RESP_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "router/buffer.h"

enum {
    ROUTER_RESP_INLINE_SIZE_MAX = 64 * 1024, /* An inline command, and the line of any length. */
    ROUTER_RESP_ARGS_MAX = 1024 * 1024,      /* Redis's own bound. */
};

struct router_resp_limits {
    uint32_t args_max;       /* At most ROUTER_RESP_ARGS_MAX. */
    size_t bulk_size_max;    /* One argument. */
    size_t command_size_max; /* One whole command, with its lengths. */
};

enum router_resp_status {
    ROUTER_RESP_MORE,    /* Incomplete: call again with more behind the same bytes. */
    ROUTER_RESP_COMMAND, /* Whole; arg_count may be 0 (an empty line), then it is to be ignored. */
    ROUTER_RESP_ERROR,   /* The stream cannot be read on: answer `error`, then close. */
};

/* Open, so that it can be embedded; `args`, `arg_count` and `error` are for the caller to read, the
 * rest is resp.c's. */
struct router_resp {
    const struct base_allocator *allocator;
    struct router_resp_limits limits;

    struct base_bytes *args; /* After COMMAND, until the next call: into the input, or `words`. */
    size_t arg_count;
    const char *error; /* After ERROR: "Protocol error: ...", without "-ERR ". */

    struct router_resp_place { /* Arguments found so far, from the command's first byte. */
        size_t at, size;
    } * places;
    size_t place_count, place_capacity, args_capacity;
    size_t at;          /* Everything before was read. */
    size_t searched;    /* No line end before this, at or after `at`. */
    uint32_t args_left; /* Of the multibulk; 0: none begun. */
    int64_t bulk_left;  /* Size of the bulk that `at` stands at; -1: its length is to be read. */
    struct router_buffer words; /* Unquoted inline words. */
    char error_text[128];
};

/* `allocator` is borrowed for the parser's life. */
void router_resp_init(struct router_resp *resp, const struct base_allocator *allocator,
                      const struct router_resp_limits *limits);
/* Bytes that it holds beside the input. */
size_t router_resp_size(const struct router_resp *resp);
void router_resp_fini(struct router_resp *resp);

/*
 * Reads one command from the head of `input`. After COMMAND *ret_used bytes are done with, and the
 * next call begins with the byte behind them. After ERROR no further call is allowed.
 */
enum router_resp_status router_resp_read(struct router_resp *resp, struct base_bytes input,
                                         size_t *ret_used);

/* After MORE: from the command's first byte, how many bytes there are at least when the argument
 * that is coming in is whole; 0: not known. */
size_t router_resp_wanted(const struct router_resp *resp);

#endif /* TORC_ROUTER_RESP_H */
