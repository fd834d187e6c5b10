/*
 * router/client_command -- CLIENT: the connections of this router, and what they are told.
 */
#include "router/router_int.h"

#include <string.h>

#include "base/assert.h"
#include "router/number.h"

enum { NAME_SIZE_MAX = 64 * 1024 };

bool router_client_name_set(struct router_serving *serving, struct base_bytes name)
{
    if (name.size > NAME_SIZE_MAX) {
        router_serving_fail(serving, "ERR Client names cannot be longer than 65536 bytes.");
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < '!' || name.data[i] > '~') {
            router_serving_fail(
                serving, "ERR Client names cannot contain spaces, newlines or special characters.");
            return false;
        }
    }
    router_buffer_clear(&serving->connection->name);
    router_buffer_append(&serving->connection->name, name);
    return true;
}

static void get_name(struct router_serving *serving)
{
    struct router_connection *connection = serving->connection;
    if (connection->name.size == 0)
        router_reply_null(serving->out, connection->protocol);
    else
        router_reply_bulk(serving->out, router_buffer_bytes(&connection->name));
}

static void set_info(struct router_serving *serving)
{
    if (router_word_is(serving->args[2], "lib-name") || router_word_is(serving->args[2], "lib-ver"))
        router_serving_ok(serving);
    else
        router_serving_fail_word(serving, "ERR Unrecognized option '", serving->args[2], "'");
}

/* Replies for a subcommand with words that it has no place for. */
static void fail_words(struct router_serving *serving)
{
    router_serving_fail_word(serving, "ERR unknown subcommand or wrong number of arguments for '",
                             serving->args[1], "'. Try CLIENT HELP.");
}

/* The kinds of Redis, of which a router has only the first. */
enum client_type { TYPE_NORMAL, TYPE_OTHER };

static bool read_type(struct router_serving *serving, struct base_bytes word,
                      enum client_type *ret_type)
{
    bool normal = router_word_is(word, "normal");
    if (!normal && !router_word_is(word, "slave") && !router_word_is(word, "replica") &&
        !router_word_is(word, "pubsub") && !router_word_is(word, "master")) {
        router_serving_fail_word(serving, "ERR Unknown client type '", word, "'");
        return false;
    }
    *ret_type = normal ? TYPE_NORMAL : TYPE_OTHER;
    return true;
}

/* ---- LIST, INFO
 * ---------------------------------------------------------------------------------- */

static void describe_flags(const struct router_connection *connection, struct router_buffer *text)
{
    size_t start = text->size;
    if (connection->held)
        router_buffer_text(text, "b");
    if (connection->closing)
        router_buffer_text(text, connection->killed ? "A" : "c");
    if (connection->no_evict)
        router_buffer_text(text, "e");
    if (text->size == start)
        router_buffer_text(text, "N");
}

/* A line of CLIENT LIST. */
static void describe(const struct router *router, const struct router_connection *connection,
                     struct router_buffer *text)
{
    size_t unread = connection->writing.size + connection->kept;
    size_t kept = connection->input.capacity + connection->output.capacity +
                  connection->writing.capacity + connection->name.capacity + connection->kept;
    router_buffer_format(text,
                         "id=%llu addr=%s laddr=%s fd=%u name=", (unsigned long long)connection->id,
                         connection->address, connection->local, (unsigned)connection->slot);
    router_buffer_append(text, router_buffer_bytes(&connection->name));
    router_buffer_format(text, " age=%llu idle=%llu flags=",
                         (unsigned long long)(router->now_us - connection->opened_us) / 1000000,
                         (unsigned long long)(router->now_us - connection->heard_us) / 1000000);
    describe_flags(connection, text);
    router_buffer_format(text,
                         " db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=%zu qbuf-free=%zu argv-mem=0 "
                         "multi-mem=0 rbs=%zu rbp=0 obl=%zu oll=%u omem=%zu tot-mem=%zu",
                         connection->input.size,
                         connection->input.capacity - connection->input.size,
                         connection->output.capacity, connection->output.size,
                         (unsigned)connection->call_count, unread, sizeof(*connection) + kept);
    router_buffer_format(text, " events=%s%s cmd=%s user=default redir=-1 resp=%u\n",
                         connection->reading ? "r" : "", connection->write_out ? "w" : "",
                         connection->newest == NULL ? "NULL" : connection->newest->name,
                         connection->protocol);
}

/* The open connections by rising id. To be freed, connection_count of them. */
static struct router_connection **connections_sorted(const struct router *router)
{
    struct router_connection **list =
        base_alloc(router->allocator, router->connection_count * sizeof(*list));
    uint32_t left = router->connection_count;
    for (struct router_connection *at = router->connections; at != NULL; at = at->next) {
        if (at->open)
            list[--left] = at; /* The newest is the first. */
    }
    TORC_ASSERT(left == 0);
    return list;
}

/* NULL: none has the id. */
static struct router_connection *find_id(struct router_connection *const *list, uint32_t count,
                                         int64_t id)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int64_t there = (int64_t)list[middle]->id;
        if (there == id)
            return list[middle];
        if (there < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Whether the reply grew beyond what a client may leave unread: it will not get it. */
static bool is_too_long(const struct router *router, const struct router_buffer *text)
{
    return text->size > router->config.client_output_max;
}

/* The clients of the ids from args[3] on; false: an error was replied. */
static bool list_ids(struct router_serving *serving, struct router_connection *const *list,
                     struct router_buffer *text)
{
    for (size_t i = 3; i < serving->arg_count && !is_too_long(serving->router, text); i++) {
        int64_t id;
        if (!router_number_read(serving->args[i], &id)) {
            router_serving_fail(serving, "ERR Invalid client ID");
            return false;
        }
        const struct router_connection *connection =
            find_id(list, serving->router->connection_count, id);
        if (connection != NULL)
            describe(serving->router, connection, text);
    }
    return true;
}

/* What is to be listed goes to `text`; false: an error was replied. */
static bool list_text(struct router_serving *serving, struct router_connection *const *list,
                      struct router_buffer *text)
{
    const struct router *router = serving->router;
    enum client_type type = TYPE_NORMAL;
    if (serving->arg_count > 3 && router_word_is(serving->args[2], "id"))
        return list_ids(serving, list, text);
    if (serving->arg_count == 4 && router_word_is(serving->args[2], "type")) {
        if (!read_type(serving, serving->args[3], &type))
            return false;
    } else if (serving->arg_count != 2) {
        router_serving_fail(serving, "ERR syntax error");
        return false;
    }
    for (uint32_t i = 0; type == TYPE_NORMAL && i < router->connection_count; i++) {
        if (is_too_long(router, text))
            break;
        describe(router, list[i], text);
    }
    return true;
}

static void list_clients(struct router_serving *serving)
{
    struct router *router = serving->router;
    struct router_connection **list = connections_sorted(router);
    router->scratch.size = 0;
    if (list_text(serving, list, &router->scratch))
        router_reply_verbatim(serving->out, serving->connection->protocol,
                              router_buffer_bytes(&router->scratch));
    base_free(router->allocator, list, router->connection_count * sizeof(*list));
    router_buffer_clear(&router->scratch);
}

static void info(struct router_serving *serving)
{
    struct router_buffer *text = &serving->router->scratch;
    text->size = 0;
    describe(serving->router, serving->connection, text);
    router_reply_verbatim(serving->out, serving->connection->protocol, router_buffer_bytes(text));
}

/* ---- KILL
 * ---------------------------------------------------------------------------------------- */

/* Which connections are meant: all that fit everything that was said. */
struct kill {
    int64_t id; /* 0: any. */
    const struct base_bytes *address, *local;
    enum client_type type;
    bool skip_me;
};

/* One option and its value; false: an error was replied. */
static bool kill_option(struct router_serving *serving, const struct base_bytes *words,
                        struct kill *kill)
{
    if (router_word_is(words[0], "id")) {
        bool fits = router_number_read(words[1], &kill->id) && kill->id > 0;
        if (!fits)
            router_serving_fail(serving, "ERR client-id should be greater than 0");
        return fits;
    }
    if (router_word_is(words[0], "type")) {
        return read_type(serving, words[1], &kill->type);
    }
    if (router_word_is(words[0], "user")) {
        bool known = base_bytes_equal(words[1], base_bytes_text("default"));
        if (!known)
            router_serving_fail_word(serving, "ERR No such user '", words[1], "'");
        return known;
    }
    if (router_word_is(words[0], "skipme") &&
        (router_word_is(words[1], "yes") || router_word_is(words[1], "no"))) {
        kill->skip_me = router_word_is(words[1], "yes");
    } else if (router_word_is(words[0], "addr")) {
        kill->address = &words[1];
    } else if (router_word_is(words[0], "laddr")) {
        kill->local = &words[1];
    } else {
        router_serving_fail(serving, "ERR syntax error");
        return false;
    }
    return true;
}

static bool kill_options(struct router_serving *serving, struct kill *kill)
{
    for (size_t i = 2; i < serving->arg_count; i += 2) {
        if (i + 1 == serving->arg_count) {
            router_serving_fail(serving, "ERR syntax error");
            return false;
        }
        if (!kill_option(serving, serving->args + i, kill))
            return false;
    }
    return true;
}

static bool is_meant(const struct kill *kill, const struct router_connection *connection)
{
    return connection->open && !connection->killed &&
           (kill->id == 0 || (int64_t)connection->id == kill->id) &&
           (kill->address == NULL ||
            base_bytes_equal(*kill->address, base_bytes_text(connection->address))) &&
           (kill->local == NULL ||
            base_bytes_equal(*kill->local, base_bytes_text(connection->local)));
}

/* Closes them and returns how many; the connection itself once its reply is written. */
static uint32_t kill_meant(struct router_serving *serving, const struct kill *kill)
{
    struct router_connection *at = serving->router->connections;
    uint32_t count = 0;
    for (; at != NULL && kill->type == TYPE_NORMAL; at = at->next) {
        bool me = at == serving->connection;
        if (!is_meant(kill, at) || (me && kill->skip_me))
            continue;
        at->closing = true;
        at->killed = !me;
        router_connection_touch(serving->router, at);
        count++;
    }
    return count;
}

static void kill_clients(struct router_serving *serving)
{
    struct kill kill = {.type = TYPE_NORMAL, .skip_me = true};
    if (serving->arg_count > 3) {
        if (kill_options(serving, &kill))
            router_reply_integer(serving->out, kill_meant(serving, &kill));
        return;
    }
    kill.address = &serving->args[2];
    kill.skip_me = false;
    if (kill_meant(serving, &kill) > 0)
        router_serving_ok(serving);
    else
        router_serving_fail(serving, "ERR No such client");
}

/* ---- PAUSE, REPLY
 * -------------------------------------------------------------------------------- */

static void pause_clients(struct router_serving *serving)
{
    struct router *router = serving->router;
    enum router_pause pause = ROUTER_PAUSE_EVERYTHING;
    uint64_t timeout_ms;
    if (serving->arg_count > 4) {
        fail_words(serving);
        return;
    }
    if (serving->arg_count == 4) {
        if (router_word_is(serving->args[3], "write")) {
            pause = ROUTER_PAUSE_WRITES;
        } else if (!router_word_is(serving->args[3], "all")) {
            router_serving_fail(serving, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    if (!router_serving_timeout(serving, serving->args[2], &timeout_ms))
        return;
    bool for_ever = timeout_ms > (UINT64_MAX - router->now_us) / 1000;
    router_pause(router, pause, for_ever ? UINT64_MAX : router->now_us + timeout_ms * 1000);
    router_serving_ok(serving);
}

void router_client_reply_mode(struct router_connection *connection)
{
    struct base_bytes mode = connection->resp.args[2];
    if (router_word_is(mode, "on")) {
        connection->reply_off = false;
        connection->reply_skips = 0;
    } else if (router_word_is(mode, "off")) {
        connection->reply_off = true;
    } else if (router_word_is(mode, "skip") && !connection->reply_off) {
        connection->reply_skips = 2; /* This one and the next. */
    }
}

static void reply(struct router_serving *serving)
{
    struct base_bytes mode = serving->args[2];
    if (router_word_is(mode, "on"))
        router_serving_ok(serving);
    else if (!router_word_is(mode, "off") && !router_word_is(mode, "skip"))
        router_serving_fail(serving, "ERR syntax error");
}

/* ---- Of one word or two
 * -------------------------------------------------------------------------- */

static void no_evict(struct router_serving *serving)
{
    bool on = router_word_is(serving->args[2], "on");
    if (!on && !router_word_is(serving->args[2], "off")) {
        router_serving_fail(serving, "ERR syntax error");
        return;
    }
    serving->connection->no_evict = on;
    router_serving_ok(serving);
}

static void unblock(struct router_serving *serving)
{
    int64_t id;
    if (serving->arg_count > 4)
        fail_words(serving);
    else if (serving->arg_count == 4 && !router_word_is(serving->args[3], "timeout") &&
             !router_word_is(serving->args[3], "error"))
        router_serving_fail(serving, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    else if (!router_number_read(serving->args[2], &id))
        router_serving_fail(serving, "ERR value is not an integer or out of range");
    else
        router_reply_integer(serving->out, 0);
}

/* Whether a client has the id; else an error was replied. */
static bool redirect_exists(struct router_serving *serving, struct base_bytes word)
{
    struct router *router = serving->router;
    int64_t id;
    if (!router_number_read(word, &id)) {
        router_serving_fail(serving, "ERR value is not an integer or out of range");
        return false;
    }
    struct router_connection **list = connections_sorted(router);
    bool exists = find_id(list, router->connection_count, id) != NULL;
    base_free(router->allocator, list, router->connection_count * sizeof(*list));
    if (!exists)
        router_serving_fail(serving, "ERR The client ID you want redirect to does not exist");
    return exists;
}

/* Whether the options behind ON or OFF are such; else an error was replied. */
static bool tracking_options(struct router_serving *serving)
{
    bool redirected = false;
    for (size_t i = 3; i < serving->arg_count; i++) {
        struct base_bytes word = serving->args[i];
        bool more = i + 1 < serving->arg_count;
        if (more && router_word_is(word, "redirect")) {
            if (redirected) {
                router_serving_fail(serving,
                                    "ERR A client can only redirect to a single other client");
                return false;
            }
            if (!redirect_exists(serving, serving->args[++i]))
                return false;
            redirected = true;
        } else if (more && router_word_is(word, "prefix")) {
            i++;
        } else if (!router_word_is(word, "bcast") && !router_word_is(word, "optin") &&
                   !router_word_is(word, "optout") && !router_word_is(word, "noloop")) {
            router_serving_fail(serving, "ERR syntax error");
            return false;
        }
    }
    return true;
}

static void tracking(struct router_serving *serving)
{
    if (!tracking_options(serving))
        return;
    if (router_word_is(serving->args[2], "on"))
        router_serving_fail(serving, "ERR CLIENT TRACKING is not supported: a router is not told "
                                     "of changes");
    else if (router_word_is(serving->args[2], "off"))
        router_serving_ok(serving);
    else
        router_serving_fail(serving, "ERR syntax error");
}

static void tracking_info(struct router_serving *serving)
{
    struct router_buffer *out = serving->out;
    unsigned protocol = serving->connection->protocol;
    router_reply_map(out, protocol, 3);
    router_reply_bulk_text(out, "flags");
    router_reply_set(out, protocol, 1);
    router_reply_bulk_text(out, "off");
    router_reply_bulk_text(out, "redirect");
    router_reply_integer(out, -1);
    router_reply_bulk_text(out, "prefixes");
    router_reply_array(out, 0);
}

/* Those about the connection that asks. */
static void about_itself(struct router_serving *serving, enum router_command_id id)
{
    switch (id) {
    case ROUTER_CLIENT_ID:
        router_reply_integer(serving->out, (int64_t)serving->connection->id);
        break;
    case ROUTER_CLIENT_GETNAME:
        get_name(serving);
        break;
    case ROUTER_CLIENT_SETNAME:
        if (router_client_name_set(serving, serving->args[2]))
            router_serving_ok(serving);
        break;
    case ROUTER_CLIENT_SETINFO:
        set_info(serving);
        break;
    case ROUTER_CLIENT_INFO:
        info(serving);
        break;
    case ROUTER_CLIENT_REPLY:
        reply(serving);
        break;
    case ROUTER_CLIENT_NO_EVICT:
        no_evict(serving);
        break;
    case ROUTER_CLIENT_GETREDIR:
        router_reply_integer(serving->out, -1);
        break;
    case ROUTER_CLIENT_TRACKING:
        tracking(serving);
        break;
    case ROUTER_CLIENT_TRACKINGINFO:
        tracking_info(serving);
        break;
    default:
        TORC_ASSERT(id == ROUTER_CLIENT_CACHING);
        router_serving_fail(serving, "ERR CLIENT CACHING can be called only when the client is in "
                                     "tracking mode with OPTIN or OPTOUT mode enabled");
    }
}

void router_client_command(struct router_serving *serving, const struct router_command *command)
{
    serving->connection->newest = command; /* So that it describes itself. */
    switch (command->id) {
    case ROUTER_CLIENT_LIST:
        list_clients(serving);
        break;
    case ROUTER_CLIENT_KILL:
        kill_clients(serving);
        break;
    case ROUTER_CLIENT_PAUSE:
        pause_clients(serving);
        break;
    case ROUTER_CLIENT_UNPAUSE:
        router_pause_end(serving->router);
        router_serving_ok(serving);
        break;
    case ROUTER_CLIENT_UNBLOCK:
        unblock(serving);
        break;
    default:
        about_itself(serving, command->id);
    }
}
