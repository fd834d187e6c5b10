/*
 * router/command -- the one table of commands. Dispatch, COMMAND and docs/commands.md come from it.
 */
#ifndef TORC_ROUTER_COMMAND_H
#define TORC_ROUTER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "router/buffer.h"

enum router_command_id {
    ROUTER_APPEND,
    ROUTER_ASKING,
    ROUTER_AUTH,
    ROUTER_BGREWRITEAOF,
    ROUTER_BGSAVE,
    ROUTER_BITCOUNT,
    ROUTER_BITFIELD,
    ROUTER_BITFIELD_RO,
    ROUTER_BITOP,
    ROUTER_BITPOS,
    ROUTER_CLIENT,
    ROUTER_CLIENT_CACHING,
    ROUTER_CLIENT_GETNAME,
    ROUTER_CLIENT_GETREDIR,
    ROUTER_CLIENT_HELP,
    ROUTER_CLIENT_ID,
    ROUTER_CLIENT_INFO,
    ROUTER_CLIENT_KILL,
    ROUTER_CLIENT_LIST,
    ROUTER_CLIENT_NO_EVICT,
    ROUTER_CLIENT_PAUSE,
    ROUTER_CLIENT_REPLY,
    ROUTER_CLIENT_SETINFO,
    ROUTER_CLIENT_SETNAME,
    ROUTER_CLIENT_TRACKING,
    ROUTER_CLIENT_TRACKINGINFO,
    ROUTER_CLIENT_UNBLOCK,
    ROUTER_CLIENT_UNPAUSE,
    ROUTER_CLUSTER,
    ROUTER_COMMAND,
    ROUTER_COMMAND_COUNT,
    ROUTER_COMMAND_DOCS,
    ROUTER_COMMAND_GETKEYS,
    ROUTER_COMMAND_GETKEYSANDFLAGS,
    ROUTER_COMMAND_HELP,
    ROUTER_COMMAND_INFO,
    ROUTER_COMMAND_LIST,
    ROUTER_CONFIG,
    ROUTER_CONFIG_GET,
    ROUTER_CONFIG_HELP,
    ROUTER_CONFIG_RESETSTAT,
    ROUTER_CONFIG_REWRITE,
    ROUTER_CONFIG_SET,
    ROUTER_DBSIZE,
    ROUTER_DEBUG,
    ROUTER_DECR,
    ROUTER_DECRBY,
    ROUTER_DEL,
    ROUTER_DUMP,
    ROUTER_ECHO,
    ROUTER_EXISTS,
    ROUTER_EXPIRE,
    ROUTER_EXPIREAT,
    ROUTER_EXPIRETIME,
    ROUTER_FLUSHALL,
    ROUTER_FLUSHDB,
    ROUTER_FUNCTION,
    ROUTER_FUNCTION_FLUSH,
    ROUTER_GET,
    ROUTER_GETBIT,
    ROUTER_GETDEL,
    ROUTER_GETEX,
    ROUTER_GETRANGE,
    ROUTER_GETSET,
    ROUTER_HELLO,
    ROUTER_INCR,
    ROUTER_INCRBY,
    ROUTER_INCRBYFLOAT,
    ROUTER_INFO,
    ROUTER_KEYS,
    ROUTER_LASTSAVE,
    ROUTER_LATENCY,
    ROUTER_LATENCY_DOCTOR,
    ROUTER_LATENCY_GRAPH,
    ROUTER_LATENCY_HELP,
    ROUTER_LATENCY_HISTOGRAM,
    ROUTER_LATENCY_HISTORY,
    ROUTER_LATENCY_LATEST,
    ROUTER_LATENCY_RESET,
    ROUTER_LCS,
    ROUTER_MEMORY,
    ROUTER_MEMORY_DOCTOR,
    ROUTER_MEMORY_HELP,
    ROUTER_MEMORY_STATS,
    ROUTER_MEMORY_USAGE,
    ROUTER_MGET,
    ROUTER_MONITOR,
    ROUTER_MSET,
    ROUTER_MSETNX,
    ROUTER_OBJECT,
    ROUTER_OBJECT_ENCODING,
    ROUTER_OBJECT_FREQ,
    ROUTER_OBJECT_HELP,
    ROUTER_OBJECT_IDLETIME,
    ROUTER_OBJECT_REFCOUNT,
    ROUTER_PERSIST,
    ROUTER_PEXPIRE,
    ROUTER_PEXPIREAT,
    ROUTER_PEXPIRETIME,
    ROUTER_PING,
    ROUTER_PSETEX,
    ROUTER_PTTL,
    ROUTER_QUIT,
    ROUTER_RANDOMKEY,
    ROUTER_READONLY,
    ROUTER_READWRITE,
    ROUTER_REPLICAOF,
    ROUTER_RESET,
    ROUTER_RESTORE,
    ROUTER_ROLE,
    ROUTER_SAVE,
    ROUTER_SCAN,
    ROUTER_SELECT,
    ROUTER_SET,
    ROUTER_SETBIT,
    ROUTER_SETEX,
    ROUTER_SETNX,
    ROUTER_SETRANGE,
    ROUTER_SHUTDOWN,
    ROUTER_SLAVEOF,
    ROUTER_SLOWLOG,
    ROUTER_SLOWLOG_GET,
    ROUTER_SLOWLOG_HELP,
    ROUTER_SLOWLOG_LEN,
    ROUTER_SLOWLOG_RESET,
    ROUTER_STRLEN,
    ROUTER_SUBSTR,
    ROUTER_SWAPDB,
    ROUTER_SYNC,
    ROUTER_TIME,
    ROUTER_TOUCH,
    ROUTER_TTL,
    ROUTER_TYPE,
    ROUTER_UNLINK,
    ROUTER_WAIT,
    ROUTER_COMMAND_TABLE_SIZE,
};

enum router_command_flags { /* Redis's names. */
                            ROUTER_FLAG_WRITE = 1,
                            ROUTER_FLAG_READONLY = 2,
                            ROUTER_FLAG_DENYOOM = 4,
                            ROUTER_FLAG_ADMIN = 8,
                            ROUTER_FLAG_LOADING = 16,
                            ROUTER_FLAG_STALE = 32,
                            ROUTER_FLAG_FAST = 64,
                            ROUTER_FLAG_NO_AUTH = 128,
                            ROUTER_FLAG_NOSCRIPT = 256,
                            ROUTER_FLAG_NO_ASYNC_LOADING = 512,
                            ROUTER_FLAG_NO_MULTI = 1024,
                            ROUTER_FLAG_ALLOW_BUSY = 2048,
};

/* A row; the words of one subcommand are in its name, "client|id". */
struct router_command {
    enum router_command_id id;
    const char *name;
    int16_t arity; /* Words, the name included; negative: at least so many. */
    uint16_t flags;
    int8_t first_key, last_key, key_step; /* As in COMMAND INFO; 0: no keys; last -1: to the end. */
    const char *group;
    const char *since; /* Of Redis, whose behaviour it has. */
    const char *complexity;
    const char *usage;   /* What follows the name. */
    const char *summary; /* One sentence. */
    const char *differs; /* From Redis, for docs/commands.md; NULL: in nothing. */
};

const struct router_command *router_command_at(enum router_command_id id);
/* Whether a word is a name of the table, which are in lower case; ASCII case ignored. */
bool router_command_name_is(struct base_bytes word, const char *name);
/* By name, ASCII case ignored; NULL: none. Names with '|' are not found by this. */
const struct router_command *router_command_find(struct base_bytes name);
/* A row by its full name, subcommands ("client|id") included; NULL: none. */
const struct router_command *router_command_find_full(struct base_bytes name);
/* The subcommand of a container; NULL: none of that name. */
const struct router_command *router_command_find_sub(const struct router_command *container,
                                                     struct base_bytes name);
/* How many subcommands it has; their rows follow it in the table. */
size_t router_command_sub_count(const struct router_command *command);
bool router_command_is_container(const struct router_command *command);
/* Whether `arg_count` words (the name included) fit the arity. */
bool router_command_arity_fits(const struct router_command *command, size_t arg_count);
/* At most `max` bytes, up to the first zero byte: as Redis shows words in errors. */
struct base_bytes router_command_shown(struct base_bytes word, size_t max);
/* How many keys a command of that many words has. */
size_t router_command_key_count(const struct router_command *command, size_t arg_count);

/*
 * Finds what the words ask for, down to the subcommand. NULL: nothing, or with the wrong number of
 * words; then Redis's error, without its line end, was appended to `error` ("ERR unknown ...").
 */
const struct router_command *router_command_resolve(const struct base_bytes *args, size_t arg_count,
                                                    struct router_buffer *error);

/* Answers COMMAND and its subcommands; `command` is what router_command_resolve gave. */
void router_command_reply(const struct router_command *command, const struct base_bytes *args,
                          size_t arg_count, unsigned protocol, struct router_buffer *out);

/* The text of docs/commands.md. */
void router_command_document(struct router_buffer *out);

#endif /* TORC_ROUTER_COMMAND_H */
