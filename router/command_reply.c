/*
 * router/command_reply -- COMMAND and its subcommands: the table as clients may read it.
 */
#include "router/command.h"

#include <string.h>

#include "base/assert.h"
#include "router/glob.h"
#include "router/reply.h"

static const struct router_command *row(size_t place)
{
    return router_command_at((enum router_command_id)place);
}

static bool is_sub(const struct router_command *command)
{
    return memchr(command->name, '|', strlen(command->name)) != NULL;
}

static void reply_flags(const struct router_command *command, unsigned protocol,
                        struct router_buffer *out)
{
    static const struct {
        uint16_t flag;
        const char *name;
    } names[] = {
        /* In Redis's order. */
        {ROUTER_FLAG_WRITE, "write"},       {ROUTER_FLAG_READONLY, "readonly"},
        {ROUTER_FLAG_DENYOOM, "denyoom"},   {ROUTER_FLAG_ADMIN, "admin"},
        {ROUTER_FLAG_NOSCRIPT, "noscript"}, {ROUTER_FLAG_LOADING, "loading"},
        {ROUTER_FLAG_STALE, "stale"},       {ROUTER_FLAG_FAST, "fast"},
        {ROUTER_FLAG_NO_AUTH, "no_auth"},   {ROUTER_FLAG_NO_ASYNC_LOADING, "no_async_loading"},
        {ROUTER_FLAG_NO_MULTI, "no_multi"}, {ROUTER_FLAG_ALLOW_BUSY, "allow_busy"},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        count += (command->flags & names[i].flag) != 0;
    router_reply_set(out, protocol, count);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((command->flags & names[i].flag) != 0)
            router_reply_simple(out, names[i].name);
    }
}

/* The ten fields of COMMAND INFO. A subcommand has no subcommands: one step deep. */
static void reply_info(const struct router_command *command, unsigned protocol,
                       struct router_buffer *out)
{
    router_reply_array(out, 10);
    router_reply_bulk_text(out, command->name);
    router_reply_integer(out, command->arity);
    reply_flags(command, protocol, out);
    router_reply_integer(out, command->first_key);
    router_reply_integer(out, command->last_key);
    router_reply_integer(out, command->key_step);
    router_reply_set(out, protocol, 0);
    router_reply_array(out, 0);
    router_reply_array(out, 0);
    size_t subs = router_command_sub_count(command);
    router_reply_array(out, subs);
    for (size_t i = 1; i <= subs; i++)
        reply_info(row((size_t)command->id + i), protocol, out);
}

/* Name and map, as COMMAND DOCS lists them. */
static void reply_docs(const struct router_command *command, unsigned protocol,
                       struct router_buffer *out)
{
    size_t subs = router_command_sub_count(command);
    router_reply_bulk_text(out, command->name);
    router_reply_map(out, protocol, 4 + (subs > 0));
    router_reply_bulk_text(out, "summary");
    router_reply_bulk_text(out, command->summary);
    router_reply_bulk_text(out, "since");
    router_reply_bulk_text(out, command->since);
    router_reply_bulk_text(out, "group");
    router_reply_bulk_text(out, command->group);
    router_reply_bulk_text(out, "complexity");
    router_reply_bulk_text(out, command->complexity);
    if (subs == 0)
        return;
    router_reply_bulk_text(out, "subcommands");
    router_reply_map(out, protocol, subs);
    for (size_t i = 1; i <= subs; i++)
        reply_docs(row((size_t)command->id + i), protocol, out);
}

static size_t top_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++)
        count += !is_sub(row(i));
    return count;
}

static void reply_infos(const struct base_bytes *names, size_t count, unsigned protocol,
                        struct router_buffer *out)
{
    router_reply_array(out, count > 0 ? count : top_count());
    for (size_t i = 0; i < count; i++) {
        const struct router_command *command = router_command_find_full(names[i]);
        if (command != NULL)
            reply_info(command, protocol, out);
        else
            router_reply_null(out, protocol);
    }
    for (size_t i = 0; count == 0 && i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        if (!is_sub(row(i)))
            reply_info(row(i), protocol, out);
    }
}

static void reply_all_docs(const struct base_bytes *names, size_t count, unsigned protocol,
                           struct router_buffer *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += router_command_find_full(names[i]) != NULL;
    router_reply_map(out, protocol, count > 0 ? found : top_count());
    for (size_t i = 0; i < count; i++) {
        const struct router_command *command = router_command_find_full(names[i]);
        if (command != NULL)
            reply_docs(command, protocol, out);
    }
    for (size_t i = 0; count == 0 && i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        if (!is_sub(row(i)))
            reply_docs(row(i), protocol, out);
    }
}

/* Whether BITFIELD only reads, by Redis's rule; what it cannot read as options counts as a write.
 */
static bool bitfield_reads(const struct base_bytes *args, size_t arg_count)
{
    for (size_t i = 2; i < arg_count; i++) {
        size_t left = arg_count - i - 1;
        if (router_command_name_is(args[i], "get") && left >= 2)
            i += 2;
        else if (router_command_name_is(args[i], "overflow") && left >= 1)
            i += 1;
        else
            return false;
    }
    return true;
}

/* What a command does with one of its keys, as COMMAND GETKEYSANDFLAGS says it: the words behind
 * each other. The flags of Redis's key specifications. */
static const char *key_flags(const struct router_command *command, size_t key,
                             const struct base_bytes *args, size_t arg_count)
{
    switch (command->id) {
    case ROUTER_APPEND:
        return "RW insert";
    case ROUTER_BITFIELD:
        return bitfield_reads(args, arg_count) ? "RO access" : "RW access update";
    case ROUTER_BITOP:
        return key == 0 ? "OW update" : "RO access";
    case ROUTER_DEL:
    case ROUTER_UNLINK:
        return "RM delete";
    case ROUTER_EXISTS:
    case ROUTER_MEMORY_USAGE:
    case ROUTER_OBJECT_ENCODING:
    case ROUTER_OBJECT_FREQ:
    case ROUTER_OBJECT_IDLETIME:
    case ROUTER_OBJECT_REFCOUNT:
    case ROUTER_STRLEN:
    case ROUTER_TOUCH:
    case ROUTER_TYPE:
        return "RO";
    case ROUTER_EXPIRE:
    case ROUTER_EXPIREAT:
    case ROUTER_PERSIST:
    case ROUTER_PEXPIRE:
    case ROUTER_PEXPIREAT:
    case ROUTER_SETRANGE:
        return "RW update";
    case ROUTER_GETDEL:
        return "RW access delete";
    case ROUTER_MSET:
    case ROUTER_PSETEX:
    case ROUTER_RESTORE:
    case ROUTER_SETEX:
        return "OW update";
    case ROUTER_SET:
        for (size_t i = 3; i < arg_count; i++) {
            if (router_command_name_is(args[i], "get"))
                return "RW access update";
        }
        return "OW update";
    case ROUTER_MSETNX:
    case ROUTER_SETNX:
        return "OW insert";
    default:
        return (command->flags & ROUTER_FLAG_WRITE) != 0 ? "RW access update" : "RO access";
    }
}

static void reply_key(struct base_bytes key, const char *flags, unsigned protocol,
                      struct router_buffer *out)
{
    size_t count = 1;
    for (const char *at = flags; *at != '\0'; at++)
        count += *at == ' ';
    router_reply_array(out, 2);
    router_reply_bulk(out, key);
    router_reply_set(out, protocol, count);
    router_buffer_text(out, "+");
    for (; *flags != '\0'; flags++) {
        if (*flags == ' ')
            router_buffer_text(out, "\r\n+");
        else
            router_buffer_append(out, base_bytes_of(flags, 1));
    }
    router_buffer_text(out, "\r\n");
}

/* The row, or its subcommand, that the words would run; NULL: none. */
static const struct router_command *find_words(const struct base_bytes *args, size_t arg_count)
{
    const struct router_command *command = router_command_find(args[0]);
    if (command != NULL && arg_count > 1 && router_command_is_container(command))
        return router_command_find_sub(command, args[1]);
    return command;
}

/* The keys in the words of a command, with `flagged` also what it does with them. */
static void reply_getkeys(const struct base_bytes *args, size_t arg_count, bool flagged,
                          unsigned protocol, struct router_buffer *out)
{
    const struct router_command *command = find_words(args, arg_count);
    if (command == NULL) {
        router_reply_error(out, "ERR Invalid command specified");
        return;
    }
    if (command->first_key == 0) {
        router_reply_error(out, "ERR The command has no key arguments");
        return;
    }
    if (!router_command_arity_fits(command, arg_count)) {
        router_reply_error(out, "ERR Invalid number of arguments specified for command");
        return;
    }
    size_t count = router_command_key_count(command, arg_count);
    router_reply_array(out, count);
    for (size_t i = 0; i < count; i++) {
        struct base_bytes key = args[(size_t)command->first_key + i * (size_t)command->key_step];
        if (flagged)
            reply_key(key, key_flags(command, i, args, arg_count), protocol, out);
        else
            router_reply_bulk(out, key);
    }
}

/* ---- COMMAND LIST
 * -------------------------------------------------------------------------------- */

/* Whether a row is in one of Redis's ACL categories, as far as flags and group tell. */
static bool is_in_category(const struct router_command *command, struct base_bytes category)
{
    static const struct {
        const char *category;
        uint16_t flag;
    } by_flag[] = {
        {"write", ROUTER_FLAG_WRITE},     {"read", ROUTER_FLAG_READONLY},
        {"admin", ROUTER_FLAG_ADMIN},     {"fast", ROUTER_FLAG_FAST},
        {"dangerous", ROUTER_FLAG_ADMIN},
    };
    static const char *const by_group[] = {"string", "bitmap", "connection", "scripting"};
    for (size_t i = 0; i < sizeof(by_flag) / sizeof(by_flag[0]); i++) {
        if (router_command_name_is(category, by_flag[i].category))
            return (command->flags & by_flag[i].flag) != 0;
    }
    if (router_command_name_is(category, "slow"))
        return (command->flags & ROUTER_FLAG_FAST) == 0;
    if (router_command_name_is(category, "keyspace"))
        return strcmp(command->group, "generic") == 0 && command->id != ROUTER_WAIT;
    for (size_t i = 0; i < sizeof(by_group) / sizeof(by_group[0]); i++) {
        if (router_command_name_is(category, by_group[i]))
            return strcmp(command->group, by_group[i]) == 0 &&
                   !router_command_is_container(command);
    }
    return false;
}

enum list_filter { LIST_ALL, LIST_MODULE, LIST_CATEGORY, LIST_PATTERN, LIST_FILTERS };

static bool is_listed(const struct router_command *command, enum list_filter filter,
                      struct base_bytes word)
{
    switch (filter) {
    case LIST_ALL:
        return true;
    case LIST_CATEGORY:
        return is_in_category(command, word);
    case LIST_PATTERN:
        return router_glob_match_nocase(word, base_bytes_text(command->name));
    default:
        return false; /* There are no modules. */
    }
}

static void reply_list(const struct base_bytes *args, size_t arg_count, struct router_buffer *out)
{
    static const char *const names[LIST_FILTERS] = {"", "module", "aclcat", "pattern"};
    enum list_filter filter = LIST_ALL;
    if (arg_count == 5 && router_command_name_is(args[2], "filterby")) {
        filter = LIST_MODULE;
        while (filter < LIST_FILTERS && !router_command_name_is(args[3], names[filter]))
            filter++;
    }
    if (filter == LIST_FILTERS || (filter == LIST_ALL && arg_count != 2)) {
        router_reply_error(out, "ERR syntax error");
        return;
    }
    struct base_bytes word = filter == LIST_ALL ? base_bytes_text("") : args[4];
    size_t count = 0;
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++)
        count += is_listed(row(i), filter, word);
    router_reply_array(out, count);
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        if (is_listed(row(i), filter, word))
            router_reply_bulk_text(out, row(i)->name);
    }
}

void router_command_reply(const struct router_command *command, const struct base_bytes *args,
                          size_t arg_count, unsigned protocol, struct router_buffer *out)
{
    switch (command->id) {
    case ROUTER_COMMAND:
        reply_infos(NULL, 0, protocol, out);
        break;
    case ROUTER_COMMAND_COUNT:
        router_reply_integer(out, (int64_t)top_count());
        break;
    case ROUTER_COMMAND_INFO:
        reply_infos(args + 2, arg_count - 2, protocol, out);
        break;
    case ROUTER_COMMAND_DOCS:
        reply_all_docs(args + 2, arg_count - 2, protocol, out);
        break;
    case ROUTER_COMMAND_GETKEYS:
    case ROUTER_COMMAND_GETKEYSANDFLAGS:
        reply_getkeys(args + 2, arg_count - 2, command->id == ROUTER_COMMAND_GETKEYSANDFLAGS,
                      protocol, out);
        break;
    case ROUTER_COMMAND_LIST:
        reply_list(args, arg_count, out);
        break;
    default:
        TORC_ASSERT(!"not a COMMAND");
    }
}
