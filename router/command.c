#include "router/command.h"

#include <string.h>

#include "base/assert.h"

/* Sorted by name, which is also the order of enum router_command_id (a test sees to both). */
static const struct router_command commands[ROUTER_COMMAND_TABLE_SIZE] = {
    {ROUTER_APPEND, "append", 3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1,
     1, "string", "2.0.0", "O(1)", "key value",
     "Appends a string to the value of a key. Creates the key if it doesn't exist.",
     "The size is bounded by `value_size_max`."},
    {ROUTER_ASKING, "asking", 1, ROUTER_FLAG_FAST, 0, 0, 0, "cluster", "3.0.0", "O(1)", "",
     "Signals that a cluster client is following an -ASK redirect.",
     "Answers always that cluster support is disabled, as Redis alone does: any router takes any "
     "key."},
    {ROUTER_AUTH, "auth", -2,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST |
         ROUTER_FLAG_NO_AUTH | ROUTER_FLAG_ALLOW_BUSY,
     0, 0, 0, "connection", "1.0.0", "O(1)", "[username] password", "Authenticates the connection.",
     "There are no users yet: as in a Redis without passwords."},
    {ROUTER_BGREWRITEAOF, "bgrewriteaof", 1,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_NO_ASYNC_LOADING, 0, 0, 0, "server",
     "1.0.0", "O(1)", "", "Asynchronously rewrites the append-only file to disk.",
     "Refused: nodes tidy their own disks."},
    {ROUTER_BGSAVE, "bgsave", -1,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_NO_ASYNC_LOADING, 0, 0, 0, "server",
     "1.0.0", "O(1)", "[SCHEDULE]", "Asynchronously saves the database(s) to disk.",
     "Refused: what was answered is on the disks of a majority already."},
    {ROUTER_BITCOUNT, "bitcount", -2, ROUTER_FLAG_READONLY, 1, 1, 1, "bitmap", "2.6.0",
     "O(N) where N is the size of the range", "key [start end [BYTE | BIT]]",
     "Counts the number of set bits (population counting) in a string.",
     "A wrong start, end or unit is an error also when there is no key."},
    {ROUTER_BITFIELD, "bitfield", -2, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, 1, 1, "bitmap",
     "3.2.0", "O(N) where N is the size of the value",
     "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] SET encoding offset value | "
     "[OVERFLOW <WRAP | SAT | FAIL>] INCRBY encoding offset increment ...]",
     "Performs arbitrary bitfield integer operations on strings.",
     "Atomic; the whole value travels to the router and, when it was changed, back: it begins "
     "again "
     "when another client changed the key meanwhile, until the deadline."},
    {ROUTER_BITFIELD_RO, "bitfield_ro", -2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1,
     "bitmap", "6.0.0", "O(N) where N is the size of the value",
     "key [GET encoding offset [GET encoding offset ...]]",
     "Performs arbitrary read-only bitfield integer operations on strings.", NULL},
    {ROUTER_BITOP, "bitop", -4, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 2, -1, 1, "bitmap",
     "2.6.0", "O(N) where N is the size of all values",
     "<AND | OR | XOR | NOT> destkey key [key ...]",
     "Performs bitwise operations on multiple strings, and stores the result.",
     "Atomic only if all keys belong to one shard (a common {tag} keeps keys together): else each "
     "source is read for itself, and the destination is written after that. At most 4095 sources."},
    {ROUTER_BITPOS, "bitpos", -3, ROUTER_FLAG_READONLY, 1, 1, 1, "bitmap", "2.8.7",
     "O(N) where N is the size of the range", "key bit [start [end [BYTE | BIT]]]",
     "Finds the first set (1) or clear (0) bit in a string.",
     "A wrong start, end or unit is an error also when there is no key."},
    {ROUTER_CLIENT, "client", -2, 0, 0, 0, 0, "connection", "2.4.0", "Depends on subcommand.",
     "subcommand", "A container for client connection commands.", NULL},
    {ROUTER_CLIENT_CACHING, "client|caching", 3,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "6.0.0",
     "O(1)", "YES | NO", "Instructs the server whether to track the keys in the next request.",
     "Always the error of a connection that does not track."},
    {ROUTER_CLIENT_GETNAME, "client|getname", 2,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "2.6.9",
     "O(1)", "", "Returns the name of the connection.", NULL},
    {ROUTER_CLIENT_GETREDIR, "client|getredir", 2,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "6.0.0",
     "O(1)", "",
     "Returns the client ID to which the connection's tracking notifications are redirected.",
     NULL},
    {ROUTER_CLIENT_HELP, "client|help", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "connection", "5.0.0", "O(1)", "", "Returns helpful text about the different subcommands.",
     NULL},
    {ROUTER_CLIENT_ID, "client|id", 2,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "5.0.0",
     "O(1)", "", "Returns the unique client ID of the connection.",
     "Unique within one router process."},
    {ROUTER_CLIENT_INFO, "client|info", 2,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "6.2.0",
     "O(1)", "", "Returns information about the connection.", "As CLIENT LIST."},
    {ROUTER_CLIENT_KILL, "client|kill", -3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "connection", "2.4.0", "O(N) where N is the number of client connections",
     "ip:port | <[ID client-id] | [TYPE NORMAL | MASTER | SLAVE | REPLICA | PUBSUB] | [USER "
     "username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME YES | NO]> ...",
     "Terminates open connections.",
     "Connections of this router. Commands of theirs that were begun are carried out."},
    {ROUTER_CLIENT_LIST, "client|list", -2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "connection", "2.4.0", "O(N) where N is the number of client connections",
     "[TYPE NORMAL | MASTER | REPLICA | PUBSUB] [ID client-id [client-id ...]]",
     "Lists open connections.",
     "Those of this router. `fd` is the number of the connection within the router, `argv-mem`, "
     "`multi-mem` and `rbp` are 0, and `cmd` is the last command that was well formed."},
    {ROUTER_CLIENT_NO_EVICT, "client|no-evict", 3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "connection", "7.0.0", "O(1)", "ON | OFF", "Sets the client eviction mode of the connection.",
     "Who is evicted when clients hold more than the setting `clients_size_max` is who holds most. "
     "There is no other eviction."},
    {ROUTER_CLIENT_PAUSE, "client|pause", -3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "connection", "2.9.50", "O(1)", "timeout [WRITE | ALL]", "Suspends commands processing.",
     "For the clients of this router; what was begun goes on, and keys expire. CLIENT UNPAUSE is "
     "answered also while ALL is paused. A time past the end of the clock pauses until UNPAUSE."},
    {ROUTER_CLIENT_REPLY, "client|reply", 3,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "3.2.0",
     "O(1)", "ON | OFF | SKIP", "Instructs the server whether to reply to commands.", NULL},
    {ROUTER_CLIENT_SETINFO, "client|setinfo", 4,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "7.2.0",
     "O(1)", "LIB-NAME name | LIB-VER version",
     "Sets information specific to the client or connection.", "Accepted and not kept."},
    {ROUTER_CLIENT_SETNAME, "client|setname", 3,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "2.6.9",
     "O(1)", "connection-name", "Sets the connection name.", "A name has 65536 bytes at most."},
    {ROUTER_CLIENT_TRACKING, "client|tracking", -3,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "6.0.0",
     "O(1)", "ON | OFF [options]",
     "Controls server-assisted client-side caching for the connection.",
     "ON is refused: nobody tells a router of changes. OFF is answered."},
    {ROUTER_CLIENT_TRACKINGINFO, "client|trackinginfo", 2,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "connection", "6.2.0",
     "O(1)", "",
     "Returns information about server-assisted client-side caching for the connection.",
     "Tracking is always off."},
    {ROUTER_CLIENT_UNBLOCK, "client|unblock", -3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "connection", "5.0.0", "O(1)", "client-id [TIMEOUT | ERROR]",
     "Unblocks a client blocked by a blocking command from a different connection.",
     "No command blocks: always 0."},
    {ROUTER_CLIENT_UNPAUSE, "client|unpause", 2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "connection", "6.2.0", "O(N) where N is the number of client connections", "",
     "Resumes processing commands from paused clients.", NULL},
    {ROUTER_CLUSTER, "cluster", -2, 0, 0, 0, 0, "cluster", "3.0.0", "O(1)", "subcommand",
     "A container for Redis Cluster commands.",
     "Whatever the subcommand, the answer is that cluster support is disabled: any router takes "
     "any key, and clients need no cluster mode."},
    {ROUTER_COMMAND, "command", -1, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "server",
     "2.8.13", "O(N) where N is the total number of commands", "",
     "Returns detailed information about all commands.", NULL},
    {ROUTER_COMMAND_COUNT, "command|count", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(1)", "", "Returns a count of commands.", NULL},
    {ROUTER_COMMAND_DOCS, "command|docs", -2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "7.0.0", "O(N) where N is the number of commands to look up", "[command ...]",
     "Returns documentary information about one, multiple or all commands.",
     "Without the arguments' grammar. At most 4096 names."},
    {ROUTER_COMMAND_GETKEYS, "command|getkeys", -4, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0,
     0, "server", "2.8.13", "O(N) where N is the number of arguments", "command [arg ...]",
     "Extracts the key names from an arbitrary command.", NULL},
    {ROUTER_COMMAND_GETKEYSANDFLAGS, "command|getkeysandflags", -4,
     ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "server", "7.0.0",
     "O(N) where N is the number of arguments to the command", "command [arg ...]",
     "Extracts the key names and access flags for an arbitrary command.", NULL},
    {ROUTER_COMMAND_HELP, "command|help", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "5.0.0", "O(1)", "", "Returns helpful text about the different subcommands.", NULL},
    {ROUTER_COMMAND_INFO, "command|info", -2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(N) where N is the number of commands to look up", "[command ...]",
     "Returns information about one, multiple or all commands.",
     "ACL categories, tips and key specifications are empty. At most 4096 names."},
    {ROUTER_COMMAND_LIST, "command|list", -2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "7.0.0", "O(N) where N is the total number of commands",
     "[FILTERBY MODULE module-name | ACLCAT category | PATTERN pattern]",
     "Returns a list of command names.",
     "In the order of names. ACL categories are those that follow from flags and group."},
    {ROUTER_CONFIG, "config", -2, 0, 0, 0, 0, "server", "2.0.0", "Depends on subcommand.",
     "subcommand", "A container for server configuration commands.", NULL},
    {ROUTER_CONFIG_GET, "config|get", -3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.0.0", "O(N) when N is the number of configuration parameters provided",
     "parameter [parameter ...]", "Returns the effective values of configuration parameters.",
     "The parameters are those of this router, with `save` (empty) and `appendonly` (yes) for "
     "tools "
     "that ask. At most 4096 names."},
    {ROUTER_CONFIG_HELP, "config|help", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "5.0.0", "O(1)", "", "Returns helpful text about the different subcommands.", NULL},
    {ROUTER_CONFIG_RESETSTAT, "config|resetstat", 2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.0.0", "O(1)", "", "Resets the server's statistics.",
     "Of this router: section stats of INFO, and the histograms of LATENCY; section torc counts "
     "on."},
    {ROUTER_CONFIG_REWRITE, "config|rewrite", 2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.0", "O(1)", "", "Persists the effective configuration to file.",
     "Refused: the router does not write its configuration."},
    {ROUTER_CONFIG_SET, "config|set", -4,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.0.0", "O(N) when N is the number of configuration parameters provided",
     "parameter value [parameter value ...]", "Sets configuration parameters in-flight.",
     "`slowlog-log-slower-than` (up to 1000000000) and `slowlog-max-len` (up to 65536) can "
     "change while the router runs; `save` and `appendonly` may be set to what they are."},
    {ROUTER_DBSIZE, "dbsize", 1, ROUTER_FLAG_READONLY, 0, 0, 0, "server", "1.0.0",
     "O(N) where N is the number of keys", "", "Returns the number of keys in the database.",
     "Counted group by group while writes go on, not at one instant; it reads every key. "
     "Redis counts a key whose time has passed until it is removed."},
    {ROUTER_DEBUG, "debug", -2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "1.0.0", "O(1)", "subcommand", "A container for debugging commands.", "Refused."},
    {ROUTER_DECR, "decr", 2, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1, 1,
     "string", "1.0.0", "O(1)", "key",
     "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't "
     "exist.",
     NULL},
    {ROUTER_DECRBY, "decrby", 3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1,
     1, "string", "1.0.0", "O(1)", "key decrement",
     "Decrements a number from the integer value of a key. Uses 0 as initial value if the key "
     "doesn't exist.",
     NULL},
    {ROUTER_DEL, "del", -2, ROUTER_FLAG_WRITE, 1, -1, 1, "generic", "1.0.0",
     "O(N) where N is the number of keys that will be removed", "key [key ...]",
     "Deletes one or more keys.", "Each key for itself: several keys are not deleted atomically."},
    {ROUTER_DUMP, "dump", 2, ROUTER_FLAG_READONLY, 1, 1, 1, "generic", "2.6.0",
     "O(N) where N is the size of the value", "key",
     "Returns a serialized representation of the value stored at a key.",
     "The router makes it, about 10 ms for a MiB, in which it answers nobody else."},
    {ROUTER_ECHO, "echo", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST, 0, 0, 0,
     "connection", "1.0.0", "O(1)", "message", "Returns the given string.", NULL},
    {ROUTER_EXISTS, "exists", -2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, -1, 1, "generic",
     "1.0.0", "O(N) where N is the number of keys to check", "key [key ...]",
     "Determines whether one or more keys exist.",
     "Each key for itself: several keys are not looked at in one instant."},
    {ROUTER_EXPIRE, "expire", -3, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, 1, 1, "generic", "1.0.0",
     "O(1)", "key seconds [NX | XX | GT | LT]", "Sets the expiration time of a key in seconds.",
     "Times end in the year 2527."},
    {ROUTER_EXPIREAT, "expireat", -3, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, 1, 1, "generic",
     "1.2.0", "O(1)", "key unix-time-seconds [NX | XX | GT | LT]",
     "Sets the expiration time of a key to a Unix timestamp.", "Times end in the year 2527."},
    {ROUTER_EXPIRETIME, "expiretime", 2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1,
     "generic", "7.0.0", "O(1)", "key", "Returns the expiration time of a key as a Unix timestamp.",
     NULL},
    {ROUTER_FLUSHALL, "flushall", -1, ROUTER_FLAG_WRITE, 0, 0, 0, "server", "1.0.0",
     "O(N) where N is the total number of keys", "[ASYNC | SYNC]", "Removes all keys.",
     "Group by group, in steps, while other clients go on: not atomic. ASYNC and SYNC are the "
     "same: "
     "the answer comes when all is removed."},
    {ROUTER_FLUSHDB, "flushdb", -1, ROUTER_FLAG_WRITE, 0, 0, 0, "server", "1.0.0",
     "O(N) where N is the number of keys in the selected database", "[ASYNC | SYNC]",
     "Removes all keys from the current database.", "The same as FLUSHALL."},
    {ROUTER_FUNCTION, "function", -2, 0, 0, 0, 0, "scripting", "7.0.0", "Depends on subcommand.",
     "subcommand", "A container for function commands.", NULL},
    {ROUTER_FUNCTION_FLUSH, "function|flush", -2, ROUTER_FLAG_WRITE | ROUTER_FLAG_NOSCRIPT, 0, 0, 0,
     "scripting", "7.0.0", "O(1)", "[ASYNC | SYNC]", "Deletes all libraries and functions.",
     "There are no functions, so there is nothing to delete."},
    {ROUTER_GET, "get", 2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1, "string", "1.0.0",
     "O(1)", "key", "Returns the string value of a key.", NULL},
    {ROUTER_GETBIT, "getbit", 3, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1, "bitmap",
     "2.2.0", "O(1)", "key offset", "Returns a bit value by offset.", NULL},
    {ROUTER_GETDEL, "getdel", 2, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, 1, 1, "string", "6.2.0",
     "O(1)", "key", "Returns the string value of a key after deleting the key.", NULL},
    {ROUTER_GETEX, "getex", -2, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, 1, 1, "string", "6.2.0",
     "O(1)",
     "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
     "PERSIST]",
     "Returns the string value of a key after setting its expiration time.",
     "A wrong time is an error also when there is no key. Times end in the year 2527."},
    {ROUTER_GETRANGE, "getrange", 4, ROUTER_FLAG_READONLY, 1, 1, 1, "string", "2.4.0",
     "O(N) where N is the size of the range", "key start end",
     "Returns a substring of the string stored at a key.", NULL},
    {ROUTER_GETSET, "getset", 3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1,
     1, "string", "1.0.0", "O(1)", "key value",
     "Returns the previous string value of a key after setting it to a new value.", NULL},
    {ROUTER_HELLO, "hello", -1,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST |
         ROUTER_FLAG_NO_AUTH | ROUTER_FLAG_ALLOW_BUSY,
     0, 0, 0, "connection", "6.0.0", "O(1)",
     "[protover [AUTH username password] [SETNAME clientname]]", "Handshakes with the server.",
     "There are no users yet: AUTH takes the user `default` with any password."},
    {ROUTER_INCR, "incr", 2, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1, 1,
     "string", "1.0.0", "O(1)", "key",
     "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't "
     "exist.",
     NULL},
    {ROUTER_INCRBY, "incrby", 3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1,
     1, "string", "1.0.0", "O(1)", "key increment",
     "Increments the integer value of a key by a number. Uses 0 as initial value if the key "
     "doesn't "
     "exist.",
     NULL},
    {ROUTER_INCRBYFLOAT, "incrbyfloat", 3,
     ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1, 1, "string", "2.6.0", "O(1)",
     "key increment",
     "Increment the floating point value of a key by a number. Uses 0 as initial value if the key "
     "doesn't exist.",
     "Exact decimal arithmetic, rounded to 17 digits behind the point: Redis adds in binary and "
     "shows its errors, as in 200 + 5.6. No hexadecimal numbers; up to 4932 digits before the "
     "point. An infinite increment is refused before the value is looked at, and an infinite value "
     "is no number."},
    {ROUTER_INFO, "info", -1, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "server", "1.0.0",
     "O(1)", "[section [section ...]]", "Returns information and statistics about the server.",
     "Of this router. Sections: server, clients, memory, persistence, stats, replication, modules, "
     "cluster, torc."},
    {ROUTER_KEYS, "keys", 2, ROUTER_FLAG_READONLY, 0, 0, 0, "generic", "1.0.0",
     "O(N) with N being the number of keys in the database", "pattern",
     "Returns all key names that match a pattern.",
     "The keys are collected step by step while writes go on, with SCAN's guarantees: not of one "
     "instant. An answer that would pass `client_output_max` is refused; use SCAN."},
    {ROUTER_LASTSAVE, "lastsave", 1, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST, 0,
     0, 0, "server", "1.0.0", "O(1)", "",
     "Returns the Unix timestamp of the last successful save to disk.",
     "Every write that was answered is on the disks of a majority already, so the time is now."},
    {ROUTER_LATENCY, "latency", -2, 0, 0, 0, 0, "server", "2.8.13", "Depends on subcommand.",
     "subcommand", "A container for latency diagnostics commands.", NULL},
    {ROUTER_LATENCY_DOCTOR, "latency|doctor", 2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(1)", "", "Returns a human-readable latency analysis report.",
     "There is no latency monitor: as in Redis without `latency-monitor-threshold`. LATENCY "
     "HISTOGRAM has real numbers."},
    {ROUTER_LATENCY_GRAPH, "latency|graph", 3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(1)", "event", "Returns a latency graph for an event.",
     "No event has samples."},
    {ROUTER_LATENCY_HELP, "latency|help", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(1)", "", "Returns helpful text about the different subcommands.", NULL},
    {ROUTER_LATENCY_HISTOGRAM, "latency|histogram", -2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "7.0.0",
     "O(N) where N is the number of commands with latency information being retrieved",
     "[command ...]",
     "Returns the cumulative distribution of latencies of a subset or all commands.",
     "Of this router, from when a command was read to its answer, the nodes' work and waiting "
     "included; commands that ask no node take no time by its clock. In the order of names. At "
     "most 4096 names."},
    {ROUTER_LATENCY_HISTORY, "latency|history", 3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(1)", "event", "Returns timestamp-latency samples for an event.",
     "No event has samples."},
    {ROUTER_LATENCY_LATEST, "latency|latest", 2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(1)", "", "Returns the latest latency samples for all events.",
     "No event has samples."},
    {ROUTER_LATENCY_RESET, "latency|reset", -2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "2.8.13", "O(1)", "[event ...]", "Resets the latency data for one or more events.",
     "No event has samples."},
    {ROUTER_LCS, "lcs", -3, ROUTER_FLAG_READONLY, 1, 2, 1, "string", "7.0.0",
     "O(N*M) where N and M are the sizes of the two values",
     "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
     "Finds the longest common substring.",
     "The product of the two sizes is at most 1048576, as of 1024 and 1024 bytes: an error says "
     "so. "
     "Each key for itself: the two values are not of one instant."},
    {ROUTER_MEMORY, "memory", -2, 0, 0, 0, 0, "server", "4.0.0", "Depends on subcommand.",
     "subcommand", "A container for memory diagnostics commands.", NULL},
    {ROUTER_MEMORY_DOCTOR, "memory|doctor", 2, 0, 0, 0, 0, "server", "4.0.0", "O(1)", "",
     "Outputs a memory problems report.",
     "Data lies on the disks of the nodes: there is nothing to report of a router, and it says so "
     "in Redis's words for a sound instance."},
    {ROUTER_MEMORY_HELP, "memory|help", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "4.0.0", "O(1)", "", "Returns helpful text about the different subcommands.",
     "Without MALLOC-STATS and PURGE, which make no sense here."},
    {ROUTER_MEMORY_STATS, "memory|stats", 2, 0, 0, 0, 0, "server", "4.0.0",
     "O(N) where N is the number of connections", "", "Returns details about memory usage.",
     "Of this router: what its clients' buffers hold, and what of the commands in flight does; "
     "only the fields that it has numbers for."},
    {ROUTER_MEMORY_USAGE, "memory|usage", -3, ROUTER_FLAG_READONLY, 2, 2, 1, "server", "4.0.0",
     "O(1)", "key [SAMPLES count]", "Estimates the memory usage of a key.",
     "The bytes of key and value and of what is stored with them, on the disk of one replica, "
     "before the store compresses or amplifies anything; not memory. SAMPLES changes nothing. "
     "Redis counts a key whose time has passed until it is removed."},
    {ROUTER_MGET, "mget", -2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, -1, 1, "string", "1.0.0",
     "O(N) where N is the number of keys to retrieve", "key [key ...]",
     "Returns the string values of one or more keys.",
     "Each key for itself: the values are not of one instant."},
    {ROUTER_MONITOR, "monitor", 1,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "1.0.0", "O(1)", "", "Listens for all requests received by the server in real-time.",
     "Refused."},
    {ROUTER_MSET, "mset", -3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, -1, 2, "string", "1.0.1",
     "O(N) where N is the number of keys to set", "key value [key value ...]",
     "Creates or modifies the string values of one or more keys.",
     "Each key for itself: other clients may see some set and others not yet, and after an error "
     "some may be set."},
    {ROUTER_MSETNX, "msetnx", -3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, -1, 2, "string",
     "1.0.1", "O(N) where N is the number of keys to set", "key value [key value ...]",
     "Atomically modifies the string values of one or more keys only when all keys don't exist.",
     "Atomic over all shards: keys of several cost a two-phase commit. 2048 keys at most."},
    {ROUTER_OBJECT, "object", -2, 0, 0, 0, 0, "generic", "2.2.3", "Depends on subcommand.",
     "subcommand", "A container for object introspection commands.", NULL},
    {ROUTER_OBJECT_ENCODING, "object|encoding", 3, ROUTER_FLAG_READONLY, 2, 2, 1, "generic",
     "2.2.3", "O(1)", "key", "Returns the internal encoding of a Redis object.",
     "What Redis would choose for that value if it were SET now: `int`, `embstr` or `raw`. Redis "
     "also shows how a value came about: what APPEND, SETRANGE or SETBIT has changed is `raw` "
     "there, and what INCRBYFLOAT made is no `int`."},
    {ROUTER_OBJECT_FREQ, "object|freq", 3, ROUTER_FLAG_READONLY, 2, 2, 1, "generic", "4.0.0",
     "O(1)", "key", "Returns the logarithmic access frequency counter of a Redis object.",
     "Always the error that Redis gives without an LFU policy: no use of a key is counted."},
    {ROUTER_OBJECT_HELP, "object|help", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "generic", "6.2.0", "O(1)", "", "Returns helpful text about the different subcommands.", NULL},
    {ROUTER_OBJECT_IDLETIME, "object|idletime", 3, ROUTER_FLAG_READONLY, 2, 2, 1, "generic",
     "2.2.3", "O(1)", "key", "Returns the time since the last access to a Redis object.",
     "Always 0 for a key that exists: nothing keeps the time of the last access."},
    {ROUTER_OBJECT_REFCOUNT, "object|refcount", 3, ROUTER_FLAG_READONLY, 2, 2, 1, "generic",
     "2.2.3", "O(1)", "key", "Returns the reference count of a value of a key.",
     "Always 1 for a key that exists: no value is shared, as small integers are in Redis."},
    {ROUTER_PERSIST, "persist", 2, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, 1, 1, "generic",
     "2.2.0", "O(1)", "key", "Removes the expiration time of a key.", NULL},
    {ROUTER_PEXPIRE, "pexpire", -3, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, 1, 1, "generic",
     "2.6.0", "O(1)", "key milliseconds [NX | XX | GT | LT]",
     "Sets the expiration time of a key in milliseconds.", "Times end in the year 2527."},
    {ROUTER_PEXPIREAT, "pexpireat", -3, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, 1, 1, "generic",
     "2.6.0", "O(1)", "key unix-time-milliseconds [NX | XX | GT | LT]",
     "Sets the expiration time of a key to a Unix milliseconds timestamp.",
     "Times end in the year 2527."},
    {ROUTER_PEXPIRETIME, "pexpiretime", 2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1,
     "generic", "7.0.0", "O(1)", "key",
     "Returns the expiration time of a key as a Unix milliseconds timestamp.", NULL},
    {ROUTER_PING, "ping", -1, ROUTER_FLAG_FAST, 0, 0, 0, "connection", "1.0.0", "O(1)", "[message]",
     "Returns the server's liveliness response.", "Of this router; it asks no node."},
    {ROUTER_PSETEX, "psetex", 4, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, 1, 1, "string",
     "2.6.0", "O(1)", "key milliseconds value",
     "Sets both string value and expiration time in milliseconds of a key. The key is created if "
     "it doesn't exist.",
     "Times end in the year 2527."},
    {ROUTER_PTTL, "pttl", 2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1, "generic", "2.6.0",
     "O(1)", "key", "Returns the expiration time in milliseconds of a key.",
     "By the clock of the key's group."},
    {ROUTER_QUIT, "quit", -1,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST |
         ROUTER_FLAG_NO_AUTH | ROUTER_FLAG_ALLOW_BUSY,
     0, 0, 0, "connection", "1.0.0", "O(1)", "", "Closes the connection.", NULL},
    {ROUTER_RANDOMKEY, "randomkey", 1, ROUTER_FLAG_READONLY, 0, 0, 0, "generic", "1.0.0", "O(1)",
     "", "Returns a random key name from the database.",
     "A random place in the order of the keys' hashes is chosen, then one of the next 16 or more "
     "keys there. Up to 16 keys are all equally likely; of more, a key's chance is in proportion "
     "to the gaps in front of it, and so about a quarter above or below the mean. Redis's choice "
     "is not uniform either."},
    {ROUTER_READONLY, "readonly", 1, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST, 0,
     0, 0, "cluster", "3.0.0", "O(1)", "",
     "Enables read-only queries for a connection to a Redis Cluster replica node.",
     "Answers always that cluster support is disabled."},
    {ROUTER_READWRITE, "readwrite", 1, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST,
     0, 0, 0, "cluster", "3.0.0", "O(1)", "",
     "Enables read-write queries for a connection to a Redis Cluster replica node.",
     "Answers always that cluster support is disabled."},
    {ROUTER_REPLICAOF, "replicaof", 3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_STALE | ROUTER_FLAG_NO_ASYNC_LOADING, 0,
     0, 0, "server", "5.0.0", "O(1)", "host port | NO ONE",
     "Configures a server as replica of another, or promotes it to a master.",
     "NO ONE is answered OK, since it is so; anything else is refused: groups replicate by "
     "themselves."},
    {ROUTER_RESET, "reset", 1,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST |
         ROUTER_FLAG_NO_AUTH | ROUTER_FLAG_ALLOW_BUSY,
     0, 0, 0, "connection", "6.2.0", "O(1)", "", "Resets the connection.", NULL},
    {ROUTER_RESTORE, "restore", -4, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, 1, 1, "generic",
     "2.6.0", "O(N) where N is the size of the value",
     "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
     "Creates a key from the serialized representation of a value.",
     "Strings only: any other type is `ERR Bad data format`. IDLETIME and FREQ are checked and not "
     "kept. A wrong time or value is an error also when there is a key already. Times end in the "
     "year 2527."},
    {ROUTER_ROLE, "role", 1,
     ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST, 0, 0, 0,
     "server", "2.8.12", "O(1)", "", "Returns the replication role.",
     "Always a master without replicas at offset 0: replicas are behind the router, in the "
     "groups."},
    {ROUTER_SAVE, "save", 1,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_NO_ASYNC_LOADING | ROUTER_FLAG_NO_MULTI,
     0, 0, 0, "server", "1.0.0", "O(1)", "", "Synchronously saves the database(s) to disk.",
     "Refused: what was answered is on the disks of a majority already."},
    {ROUTER_SCAN, "scan", -2, ROUTER_FLAG_READONLY, 0, 0, 0, "generic", "2.8.0",
     "O(1) for every call. O(N) for a complete iteration, where N is the number of keys",
     "cursor [MATCH pattern] [COUNT count] [TYPE type]", "Iterates over the key names.",
     "A cursor is good at every router, for ever, and through restarts. One that is not a number "
     "from 0 to 2^63 is refused; Redis takes -1 too."},
    {ROUTER_SELECT, "select", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST, 0, 0,
     0, "connection", "1.0.0", "O(1)", "index", "Changes the selected database.",
     "There is one database, 0."},
    {ROUTER_SET, "set", -3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, 1, 1, "string", "1.0.0",
     "O(1)",
     "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT "
     "unix-time-milliseconds | KEEPTTL]",
     "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
     "Times end in the year 2527."},
    {ROUTER_SETBIT, "setbit", 4, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, 1, 1, "bitmap",
     "2.2.0", "O(N) where N is the size of the value", "key offset value",
     "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
     "The size is bounded by `value_size_max`."},
    {ROUTER_SETEX, "setex", 4, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, 1, 1, "string", "2.0.0",
     "O(1)", "key seconds value",
     "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
     "Times end in the year 2527."},
    {ROUTER_SETNX, "setnx", 3, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM | ROUTER_FLAG_FAST, 1, 1, 1,
     "string", "1.0.0", "O(1)", "key value",
     "Sets the string value of a key only when the key doesn't exist.", NULL},
    {ROUTER_SETRANGE, "setrange", 4, ROUTER_FLAG_WRITE | ROUTER_FLAG_DENYOOM, 1, 1, 1, "string",
     "2.2.0", "O(N) where N is the size of the value", "key offset value",
     "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't "
     "exist.",
     "The size is bounded by `value_size_max`."},
    {ROUTER_SHUTDOWN, "shutdown", -1,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE |
         ROUTER_FLAG_NO_MULTI | ROUTER_FLAG_ALLOW_BUSY,
     0, 0, 0, "server", "1.0.0", "O(1)", "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
     "Synchronously saves the database(s) to disk and shuts down the server.",
     "Refused: the router's process is ended by a signal."},
    {ROUTER_SLAVEOF, "slaveof", 3,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_STALE | ROUTER_FLAG_NO_ASYNC_LOADING, 0,
     0, 0, "server", "1.0.0", "O(1)", "host port | NO ONE",
     "Sets a server as a replica of another, or promotes it to being a master.",
     "The same as REPLICAOF."},
    {ROUTER_SLOWLOG, "slowlog", -2, 0, 0, 0, 0, "server", "2.2.12", "Depends on subcommand.",
     "subcommand", "A container for slow log commands.", NULL},
    {ROUTER_SLOWLOG_GET, "slowlog|get", -2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "server", "2.2.12",
     "O(N) where N is the number of entries returned", "[count]", "Returns the slow log's entries.",
     "Of this router: `slowlog-log-slower-than` and `slowlog-max-len`. The time of a command is "
     "from when it was read to its answer, the nodes' work and waiting included."},
    {ROUTER_SLOWLOG_HELP, "slowlog|help", 2, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0,
     "server", "6.2.0", "O(1)", "", "Returns helpful text about the different subcommands.", NULL},
    {ROUTER_SLOWLOG_LEN, "slowlog|len", 2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "server", "2.2.12",
     "O(1)", "", "Returns the number of entries in the slow log.", NULL},
    {ROUTER_SLOWLOG_RESET, "slowlog|reset", 2,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE, 0, 0, 0, "server", "2.2.12",
     "O(N) where N is the number of entries in the slowlog", "",
     "Clears all entries from the slow log.", NULL},
    {ROUTER_STRLEN, "strlen", 2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1, "string",
     "2.2.0", "O(1)", "key", "Returns the length of a string value.", NULL},
    {ROUTER_SUBSTR, "substr", 4, ROUTER_FLAG_READONLY, 1, 1, 1, "string", "1.0.0",
     "O(N) where N is the size of the range", "key start end",
     "Returns a substring from a string value.", "The same as GETRANGE."},
    {ROUTER_SWAPDB, "swapdb", 3, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 0, 0, 0, "server", "4.0.0",
     "O(1)", "index1 index2", "Swaps two databases.", "There is one database, 0."},
    {ROUTER_SYNC, "sync", 1,
     ROUTER_FLAG_ADMIN | ROUTER_FLAG_NOSCRIPT | ROUTER_FLAG_NO_ASYNC_LOADING | ROUTER_FLAG_NO_MULTI,
     0, 0, 0, "server", "1.0.0", "O(1)", "", "An internal command used in replication.",
     "Refused: a router has no stream of its writes."},
    {ROUTER_TIME, "time", 1, ROUTER_FLAG_LOADING | ROUTER_FLAG_STALE | ROUTER_FLAG_FAST, 0, 0, 0,
     "server", "2.6.0", "O(1)", "", "Returns the server time.",
     "By the clock of this router's machine; a key expires by the clock of its group."},
    {ROUTER_TOUCH, "touch", -2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, -1, 1, "generic",
     "3.2.1", "O(N) where N is the number of keys to touch", "key [key ...]",
     "Returns the number of existing keys out of those specified.",
     "Nothing keeps the time of the last access. Each key for itself, as EXISTS."},
    {ROUTER_TTL, "ttl", 2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1, "generic", "1.0.0",
     "O(1)", "key", "Returns the expiration time in seconds of a key.",
     "By the clock of the key's group."},
    {ROUTER_TYPE, "type", 2, ROUTER_FLAG_READONLY | ROUTER_FLAG_FAST, 1, 1, 1, "generic", "1.0.0",
     "O(1)", "key", "Determines the type of value stored at a key.", "There are only strings yet."},
    {ROUTER_UNLINK, "unlink", -2, ROUTER_FLAG_WRITE | ROUTER_FLAG_FAST, 1, -1, 1, "generic",
     "4.0.0", "O(N) where N is the number of keys that will be removed", "key [key ...]",
     "Deletes one or more keys.", "The same as DEL."},
    {ROUTER_WAIT, "wait", 3, ROUTER_FLAG_NOSCRIPT, 0, 0, 0, "generic", "3.0.0", "O(1)",
     "numreplicas timeout",
     "Blocks until the asynchronous replication of all preceding write commands sent by the "
     "connection is completed.",
     "Every answered write is on the disks of a majority of its group, so nothing is waited for. "
     "The answer is how many replicas besides the leader are sure to have each of them, whatever "
     "numreplicas: half of the voters (1 of 3, 2 of 5), the least of all groups; 0 while the "
     "router knows no cluster."},
};

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

/* Order of `name` (case ignored) against a row's name: <0, 0, >0. */
static int name_compare(struct base_bytes name, const char *row)
{
    for (size_t i = 0; i < name.size; i++) {
        int order = (int)lower(name.data[i]) - (int)(uint8_t)row[i];
        if (order != 0 || row[i] == '\0')
            return row[i] == '\0' ? 1 : order;
    }
    return row[name.size] == '\0' ? 0 : -1;
}

bool router_command_name_is(struct base_bytes word, const char *name)
{
    return name_compare(word, name) == 0;
}

const struct router_command *router_command_at(enum router_command_id id)
{
    TORC_ASSERT((unsigned)id < ROUTER_COMMAND_TABLE_SIZE);
    return &commands[id];
}

const struct router_command *router_command_find(struct base_bytes name)
{
    size_t low = 0, high = ROUTER_COMMAND_TABLE_SIZE;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = name_compare(name, commands[middle].name);
        if (order == 0)
            return memchr(name.data, '|', name.size) == NULL ? &commands[middle] : NULL;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* "id" of "client|id"; NULL: the row is no subcommand of the container. */
static const char *sub_name(const struct router_command *container,
                            const struct router_command *row)
{
    size_t size = strlen(container->name);
    if (strncmp(row->name, container->name, size) != 0 || row->name[size] != '|')
        return NULL;
    return row->name + size + 1;
}

const struct router_command *router_command_find_sub(const struct router_command *container,
                                                     struct base_bytes name)
{
    for (size_t i = (size_t)container->id + 1; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        const char *sub = sub_name(container, &commands[i]);
        if (sub == NULL)
            break; /* They stand behind their container. */
        if (name_compare(name, sub) == 0)
            return &commands[i];
    }
    return NULL;
}

size_t router_command_sub_count(const struct router_command *command)
{
    size_t count = 0;
    while ((size_t)command->id + 1 + count < ROUTER_COMMAND_TABLE_SIZE &&
           sub_name(command, &commands[(size_t)command->id + 1 + count]) != NULL)
        count++;
    return count;
}

const struct router_command *router_command_find_full(struct base_bytes name)
{
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        if (name_compare(name, commands[i].name) == 0)
            return &commands[i];
    }
    return NULL;
}

bool router_command_is_container(const struct router_command *command)
{
    size_t next = (size_t)command->id + 1;
    return next < ROUTER_COMMAND_TABLE_SIZE && sub_name(command, &commands[next]) != NULL;
}

bool router_command_arity_fits(const struct router_command *command, size_t arg_count)
{
    if (command->arity > 0)
        return arg_count == (size_t)command->arity;
    return arg_count >= (size_t)-command->arity;
}

size_t router_command_key_count(const struct router_command *command, size_t arg_count)
{
    if (command->first_key == 0)
        return 0;
    size_t first = (size_t)command->first_key;
    size_t last = command->last_key < 0 ? arg_count - 1 : (size_t)command->last_key;
    return last < first ? 0 : (last - first) / (size_t)command->key_step + 1;
}

struct base_bytes router_command_shown(struct base_bytes word, size_t max)
{
    if (word.size > max)
        word.size = max;
    const uint8_t *zero = word.size > 0 ? memchr(word.data, '\0', word.size) : NULL;
    if (zero != NULL)
        word.size = (size_t)(zero - word.data);
    return word;
}

static void error_unknown(const struct base_bytes *args, size_t arg_count,
                          struct router_buffer *error)
{
    enum { SHOWN_MAX = 128 };
    router_buffer_text(error, "ERR unknown command '");
    router_buffer_append(error, router_command_shown(args[0], SHOWN_MAX));
    router_buffer_text(error, "', with args beginning with: ");
    size_t start = error->size;
    for (size_t i = 1; i < arg_count && error->size - start < SHOWN_MAX; i++) {
        struct base_bytes word = router_command_shown(args[i], SHOWN_MAX - (error->size - start));
        router_buffer_text(error, "'");
        router_buffer_append(error, word);
        router_buffer_text(error, "' ");
    }
}

static void error_unknown_sub(const struct router_command *container, struct base_bytes name,
                              struct router_buffer *error)
{
    router_buffer_text(error, "ERR unknown subcommand '");
    router_buffer_append(error, router_command_shown(name, 128));
    router_buffer_text(error, "'. Try ");
    for (const char *at = container->name; *at != '\0'; at++) {
        char upper = (char)(*at - 'a' + 'A');
        router_buffer_append(error, base_bytes_of(&upper, 1));
    }
    router_buffer_text(error, " HELP.");
}

const struct router_command *router_command_resolve(const struct base_bytes *args, size_t arg_count,
                                                    struct router_buffer *error)
{
    TORC_ASSERT(arg_count > 0);
    const struct router_command *command = router_command_find(args[0]);
    if (command == NULL) {
        error_unknown(args, arg_count, error);
        return NULL;
    }
    if (arg_count > 1 && router_command_is_container(command)) {
        const struct router_command *sub = router_command_find_sub(command, args[1]);
        if (sub == NULL) {
            error_unknown_sub(command, args[1], error);
            return NULL;
        }
        command = sub;
    }
    if (!router_command_arity_fits(command, arg_count)) {
        router_buffer_format(error, "ERR wrong number of arguments for '%s' command",
                             command->name);
        return NULL;
    }
    return command;
}

/* ---- docs/commands.md
 * ---------------------------------------------------------------------------- */

static void document_name(const char *name, struct router_buffer *out)
{
    for (; *name != '\0'; name++) {
        char byte = *name;
        if (byte >= 'a' && byte <= 'z')
            byte = (char)(byte - 'a' + 'A');
        else if (byte == '|')
            byte = ' ';
        router_buffer_append(out, base_bytes_of(&byte, 1));
    }
}

static void document_command(const struct router_command *command, struct router_buffer *out)
{
    router_buffer_text(out, "\n### ");
    document_name(command->name, out);
    router_buffer_text(out, "\n\n`");
    document_name(command->name, out);
    router_buffer_format(out, "%s%s`\n\n%s", command->usage[0] == '\0' ? "" : " ", command->usage,
                         command->summary);
    router_buffer_format(out, " %s%s As in Redis since %s.\n", command->complexity,
                         command->complexity[strlen(command->complexity) - 1] == '.' ? "" : ".",
                         command->since);
    if (command->differs != NULL)
        router_buffer_format(out, "\nDifference: %s\n", command->differs);
}

void router_command_document(struct router_buffer *out)
{
    static const char *const groups[] = {"string", "bitmap",  "generic",  "connection",
                                         "server", "cluster", "scripting"};
    router_buffer_text(
        out,
        "# Commands\n\n"
        "What `torc-router` answers, in RESP2 and RESP3. Replies and errors are those of Redis "
        "7.0\n"
        "unless a difference is named. This page is made from the table in `router/command.c`\n"
        "(`bazel run //tests/unit/router:commands_document > docs/commands.md`); a test compares "
        "the two.\n\n"
        "## What holds for all of them\n\n"
        "* Every command on one key is linearizable. Commands over several keys take effect key "
        "by\n"
        "  key, each linearizable and not together: MGET, MSET, DEL, UNLINK and EXISTS over "
        "several\n"
        "  keys are **not atomic yet**. SCAN, KEYS, DBSIZE and FLUSHALL go group by group. MSETNX "
        "is\n"
        "  atomic.\n"
        "* Commands of one connection on a common key take effect in their order. Commands on\n"
        "  different keys that are sent without waiting for replies (a pipeline) run side by "
        "side;\n"
        "  their replies come in the order of the commands all the same. Commands over all keys\n"
        "  (SCAN, DBSIZE and so on), MSETNX, BITFIELD, BITOP and LCS wait for what was sent "
        "before\n"
        "  them, and what is sent after them waits for them.\n"
        "* `-UNKNOWN outcome unknown: ...`: the deadline (`request_timeout_ms`) passed and it is "
        "not "
        "known\n"
        "  whether the write was done; it may also be done a little later, or never. Read, then\n"
        "  decide. `-TIMEOUT nothing was done: ...`: the deadline passed, and nothing was or will "
        "be\n"
        "  done. `-TIMEOUT ...` to a read: no answer in time.\n"
        "* Keys have 1 to `key_size_max` bytes (4096), values up to `value_size_max` (8 MiB); "
        "beyond it an\n"
        "  error names the limit.\n"
        "* A command has at most 1,048,576 arguments, an argument 64 MiB, and a command 128 MiB in "
        "all,\n"
        "  else the connection is closed with the error. An inline command has at most 64 KiB.\n"
        "* RENAME, RENAMENX, COPY, MOVE and MULTI, which are transactions over several keys, are "
        "not there\n"
        "  yet. They and any other command answer `ERR unknown command`, as Redis does.\n");
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        router_buffer_format(out, "\n## Group %s\n", groups[g]);
        for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
            if (strcmp(commands[i].group, groups[g]) == 0 &&
                (!router_command_is_container(&commands[i]) || commands[i].arity == -1))
                document_command(&commands[i], out);
        }
    }
}
