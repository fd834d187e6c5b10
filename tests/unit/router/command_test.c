#include "router/command.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "router/reply.h"
#include "tests/lib/counting.h"

enum { WORDS_MAX = 16 };

/* Splits "GET a" into words; returns how many. */
static size_t split(const char *text, struct base_bytes *words)
{
    size_t count = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        words[count++] = base_bytes_of(text, size);
        text += size + (text[size] == ' ');
    }
    return count;
}

/* The row's place in the table is its id, and the table is in the order of names: both lookups rest
 * on that. */
Test(router_command, table_is_sorted_and_numbered)
{
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        const struct router_command *command = router_command_at((enum router_command_id)i);
        cr_assert_eq(command->id, i);
        if (i > 0)
            cr_assert_lt(
                strcmp(router_command_at((enum router_command_id)(i - 1))->name, command->name), 0,
                "%s", command->name);
    }
}

/* Every command is found by its name in any case, and only by it. */
Test(router_command, is_found_by_name)
{
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        const struct router_command *command = router_command_at((enum router_command_id)i);
        char upper[32];
        size_t size = strlen(command->name);
        for (size_t j = 0; j < size; j++)
            upper[j] = (char)(command->name[j] >= 'a' && command->name[j] <= 'z'
                                  ? command->name[j] - 'a' + 'A'
                                  : command->name[j]);
        const struct router_command *found = router_command_find(base_bytes_of(upper, size));
        cr_assert_eq(found, strchr(command->name, '|') == NULL ? command : NULL, "%s",
                     command->name);
        cr_assert_null(router_command_find(base_bytes_of(upper, size - 1)));
    }
    cr_assert_null(router_command_find(base_bytes_text("getx")));
    cr_assert_null(router_command_find(base_bytes_text("")));
    cr_assert_null(router_command_find(base_bytes_of("get\0", 4)));
}

/* Rows make sense: a reader or a writer has keys or walks; keys lie within the arity. */
Test(router_command, rows_are_consistent)
{
    for (size_t i = 0; i < ROUTER_COMMAND_TABLE_SIZE; i++) {
        const struct router_command *command = router_command_at((enum router_command_id)i);
        int least = command->arity < 0 ? -command->arity : command->arity;
        cr_assert_neq(command->arity, 0);
        cr_assert_lt(command->first_key, least);
        cr_assert_eq(command->first_key == 0, command->key_step == 0);
        cr_assert_neq(command->flags & (ROUTER_FLAG_WRITE | ROUTER_FLAG_READONLY),
                      ROUTER_FLAG_WRITE | ROUTER_FLAG_READONLY);
        if (command->first_key != 0)
            cr_assert_neq(command->flags & (ROUTER_FLAG_WRITE | ROUTER_FLAG_READONLY), 0);
    }
}

static void expect_error(const char *words, const char *error)
{
    struct base_bytes args[WORDS_MAX];
    struct router_buffer text = router_buffer_empty(base_allocator_system());
    cr_assert_null(router_command_resolve(args, split(words, args), &text));
    cr_assert(base_bytes_equal(router_buffer_bytes(&text), base_bytes_text(error)), "%.*s",
              (int)text.size, (const char *)text.data);
    router_buffer_fini(&text);
}

/* The words of redis-server 7.0.15. */
Test(router_command, errors_have_redis_words)
{
    expect_error("foo", "ERR unknown command 'foo', with args beginning with: ");
    expect_error("foo a b", "ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
    expect_error("get", "ERR wrong number of arguments for 'get' command");
    expect_error("get a b", "ERR wrong number of arguments for 'get' command");
    expect_error("client", "ERR wrong number of arguments for 'client' command");
    expect_error("CLIENT id x", "ERR wrong number of arguments for 'client|id' command");
    expect_error("Client Foo", "ERR unknown subcommand 'Foo'. Try CLIENT HELP.");
    expect_error("client|id", "ERR unknown command 'client|id', with args beginning with: ");
}

/* Long words are cut where Redis cuts them: 128 bytes of name, and of arguments together. */
Test(router_command, long_unknown_commands_are_cut)
{
    char name[300];
    struct base_bytes args[3] = {base_bytes_of(name, 300), base_bytes_of(name, 100),
                                 base_bytes_of(name, 100)};
    struct router_buffer text = router_buffer_empty(base_allocator_system());
    memset(name, 'x', sizeof(name));
    cr_assert_null(router_command_resolve(args, 3, &text));
    /* 'x' * 100 takes 103; the next word is cut at the 25 that are left. */
    cr_assert_eq(text.size,
                 strlen("ERR unknown command '', with args beginning with: ") + 128 + 103 + 28);
    router_buffer_fini(&text);
}

/* Keys by first, last and step. */
Test(router_command, counts_keys)
{
    cr_assert_eq(router_command_key_count(router_command_at(ROUTER_GET), 2), 1);
    cr_assert_eq(router_command_key_count(router_command_at(ROUTER_MGET), 4), 3);
    cr_assert_eq(router_command_key_count(router_command_at(ROUTER_MSET), 5), 2);
    cr_assert_eq(router_command_key_count(router_command_at(ROUTER_SET), 7), 1);
    cr_assert_eq(router_command_key_count(router_command_at(ROUTER_PING), 1), 0);
}

/* Whatever COMMAND answers is one whole reply: heads and items agree. Counts what is still due. */
static size_t skip_reply(struct base_bytes bytes, size_t at)
{
    char type = (char)bytes.data[at];
    long count = strtol((const char *)bytes.data + at + 1, NULL, 10);
    const uint8_t *end = memchr(bytes.data + at, '\n', bytes.size - at);
    cr_assert_not_null(end);
    at = (size_t)(end - bytes.data) + 1;
    if (type == '$' && count >= 0)
        return at + (size_t)count + 2;
    if (type == '*' || type == '~' || type == '%') {
        for (long left = type == '%' ? 2 * count : count; left > 0; left--)
            at = skip_reply(bytes, at);
    }
    return at;
}

Test(router_command, command_replies_are_whole)
{
    static const char *const asked[] = {
        "COMMAND",
        "COMMAND COUNT",
        "COMMAND INFO",
        "COMMAND INFO get nosuch client config|get",
        "COMMAND DOCS",
        "COMMAND DOCS get nosuch client",
        "COMMAND LIST",
        "COMMAND LIST FILTERBY MODULE x",
        "COMMAND LIST FILTERBY ACLCAT connection",
        "COMMAND LIST FILTERBY PATTERN c*",
        "COMMAND LIST FILTERBY x y",
        "COMMAND GETKEYSANDFLAGS mset a 1 b 2",
        "COMMAND GETKEYSANDFLAGS ping x",
        "COMMAND GETKEYSANDFLAGS object encoding a",
        "COMMAND GETKEYS mget a b",
        "COMMAND GETKEYS ping x",
        "COMMAND GETKEYS nosuch x",
        "COMMAND GETKEYS get a b",
        "COMMAND GETKEYS object encoding a",
        "COMMAND GETKEYS object nosuch a",
    };
    struct counting counting;
    struct router_buffer out = router_buffer_empty(counting_init(&counting));
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        for (unsigned protocol = 2; protocol <= 3; protocol++) {
            struct base_bytes args[WORDS_MAX];
            size_t count = split(asked[i], args);
            const struct router_command *command = router_command_resolve(args, count, &out);
            cr_assert_not_null(command, "%s", asked[i]);
            cr_assert_eq(out.size, 0);
            router_command_reply(command, args, count, protocol, &out);
            router_buffer_append(&out, base_bytes_of("", 1)); /* Ends strtol. */
            cr_assert_eq(skip_reply(router_buffer_bytes(&out), 0), out.size - 1, "%s", asked[i]);
            out.size = 0;
        }
    }
    router_buffer_fini(&out);
    counting_fini(&counting);
}

/* Whether COMMAND LIST, filtered, names a row. */
static bool is_listed(const char *words, const char *name)
{
    struct base_bytes args[WORDS_MAX];
    struct router_buffer out = router_buffer_empty(base_allocator_system());
    char line[64];
    snprintf(line, sizeof(line), "\r\n%s\r\n", name);
    size_t count = split(words, args);
    router_command_reply(router_command_at(ROUTER_COMMAND_LIST), args, count, 2, &out);
    router_buffer_append(&out, base_bytes_of("", 1));
    bool found = strstr((const char *)out.data, line) != NULL;
    router_buffer_fini(&out);
    return found;
}

/* Categories follow from flags and groups; a container is in none of a group, as in Redis. */
Test(router_command, list_is_filtered)
{
    cr_assert(is_listed("COMMAND LIST", "client"));
    cr_assert(is_listed("COMMAND LIST", "client|id"));
    cr_assert(is_listed("COMMAND LIST FILTERBY ACLCAT connection", "client|id"));
    cr_assert_not(is_listed("COMMAND LIST FILTERBY ACLCAT connection", "client"));
    cr_assert_not(is_listed("COMMAND LIST FILTERBY ACLCAT connection", "get"));
    cr_assert(is_listed("COMMAND LIST FILTERBY ACLCAT admin", "client|kill"));
    cr_assert(is_listed("COMMAND LIST FILTERBY ACLCAT dangerous", "config|set"));
    cr_assert(is_listed("COMMAND LIST FILTERBY ACLCAT READ", "get"));
    cr_assert(is_listed("COMMAND LIST FILTERBY ACLCAT write", "set"));
    cr_assert(is_listed("COMMAND LIST FILTERBY ACLCAT slow", "set"));
    cr_assert_not(is_listed("COMMAND LIST FILTERBY ACLCAT slow", "get"));
    cr_assert(is_listed("COMMAND LIST FILTERBY ACLCAT keyspace", "del"));
    cr_assert_not(is_listed("COMMAND LIST FILTERBY ACLCAT keyspace", "wait"));
    cr_assert(is_listed("COMMAND LIST FILTERBY PATTERN GET", "get"));
    cr_assert_not(is_listed("COMMAND LIST FILTERBY PATTERN GET", "getset"));
    cr_assert_not(is_listed("COMMAND LIST FILTERBY MODULE x", "get"));
}
