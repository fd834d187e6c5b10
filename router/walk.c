/*
 * router/walk -- commands that ask every group: SCAN one step each, DBSIZE and FLUSHALL step by
 * step to the end of the ring. Steps are in token order, so a group's answer says up to which token
 * it is complete, and SCAN gives out what lies below the least of those.
 */
#include "router/walk_int.h"

#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "router/glob.h"
#include "router/number.h"

enum {
    SCAN_COUNT_PRESET = 10,
    COUNT_STEP = 10000, /* Keys counted, and deleted, by one operation. */
    CLEAR_STEP = 1000,
    KEY_ROW_SIZE = 10, /* u64 token, u16 size, then the key. */
};

void router_walk_free(struct router *router, struct router_walk *walk)
{
    if (walk == NULL)
        return;
    router_buffer_fini(&walk->pattern);
    router_buffer_fini(&walk->rows);
    router_buffer_fini(&walk->found);
    base_free(router->allocator, walk, sizeof(*walk));
}

size_t router_walk_size(const struct router_walk *walk)
{
    return walk == NULL ? 0 : walk->pattern.capacity + walk->rows.capacity + walk->found.capacity;
}

static void ask(struct router *router, struct router_call *call, uint32_t group, uint64_t first)
{
    struct wire_op op = {.type = call->walk->type, .a = first, .b = call->walk->count};
    call->pending++;
    call->part_count++;
    router_courier_add_group(router->courier, group, &op, call, group);
}

static void ask_all(struct router *router, struct router_call *call, uint64_t first)
{
    const struct router_map *map = router_courier_map(router->courier);
    for (size_t i = 0; i < map->group_count; i++)
        ask(router, call, map->groups[i].id, first);
    TORC_ASSERT(call->pending > 0); /* A map has groups: its vnodes have owners. */
}

void router_walk_step(struct router *router, struct router_call *call, uint64_t first)
{
    struct router_walk *walk = call->walk;
    walk->first = first;
    walk->bounded = false;
    walk->bound = 0;
    walk->rows.size = 0;
    ask_all(router, call, first);
}

/* There is a map now. What SCAN was asked for is shared out among the groups. */
static void begin(struct router *router, struct router_call *call)
{
    struct router_walk *walk = call->walk;
    walk->begun = true;
    if (walk->type == WIRE_OP_SCAN) {
        walk->count = walk->count / router_courier_map(router->courier)->group_count + 1;
        if (walk->count > ROUTER_WALK_COUNT_MAX)
            walk->count = ROUTER_WALK_COUNT_MAX;
    }
    ask_all(router, call, walk->first);
}

/* ---- SCAN
 * ---------------------------------------------------------------------------------------- */

static bool word_is(struct base_bytes word, const char *pattern)
{
    return router_glob_match_nocase(base_bytes_text(pattern), word);
}

/* The words behind SCAN. False: they are wrong, the error is in scratch. */
static bool scan_options(struct router *router, const struct base_bytes *args, size_t arg_count,
                         struct router_walk *walk)
{
    uint64_t cursor;
    int64_t count = SCAN_COUNT_PRESET;
    struct router_buffer *error = &router->scratch;
    if (!router_number_read_unsigned(args[1], &cursor) || cursor > UINT64_C(1) << 63) {
        router_buffer_text(error, "ERR invalid cursor");
        return false;
    }
    for (size_t i = 2; i < arg_count; i += 2) {
        bool pair = i + 1 < arg_count;
        if (pair && word_is(args[i], "COUNT")) {
            if (!router_number_read(args[i + 1], &count)) {
                router_buffer_text(error, "ERR value is not an integer or out of range");
                return false;
            }
        } else if (pair && word_is(args[i], "MATCH")) {
            walk->matching = true;
            walk->pattern.size = 0;
            router_buffer_append(&walk->pattern, args[i + 1]);
        } else if (pair && word_is(args[i], "TYPE")) {
            walk->nothing = !word_is(args[i + 1], "string");
        } else {
            count = 0;
        }
        if (count < 1) {
            router_buffer_text(error, "ERR syntax error");
            return false;
        }
    }
    walk->first = cursor == 0 ? 0 : (cursor - 1) << 1;
    walk->count = (uint64_t)count;
    return true;
}

bool router_walk_row(struct base_bytes rows, size_t *at, uint64_t *ret_token,
                     struct base_bytes *ret_key)
{
    if (rows.size - *at < KEY_ROW_SIZE)
        return false;
    const uint8_t *row = rows.data + *at;
    size_t size = base_get_le16(row + 8);
    if (rows.size - *at - KEY_ROW_SIZE < size)
        return false;
    *ret_token = base_get_le64(row);
    *ret_key = base_bytes_of(row + KEY_ROW_SIZE, size);
    *at += KEY_ROW_SIZE + size;
    return true;
}

bool router_walk_wanted(const struct router_walk *walk, uint64_t token, struct base_bytes key)
{
    if (walk->nothing || (walk->bounded && token >= walk->bound))
        return false;
    return !walk->matching || router_glob_match(router_buffer_bytes(&walk->pattern), key);
}

static void scan_reply(const struct router_walk *walk, struct router_buffer *out)
{
    struct base_bytes rows = router_buffer_bytes(&walk->rows), key;
    uint64_t token, cursor = walk->bounded ? (walk->bound >> 1) + 1 : 0;
    size_t count = 0, size = 0;
    char text[24];
    for (size_t at = 0; router_walk_row(rows, &at, &token, &key);)
        count += router_walk_wanted(walk, token, key);
    char *digit = text + sizeof(text);
    do {
        *--digit = (char)('0' + cursor % 10);
        size++;
    } while ((cursor /= 10) > 0);
    router_reply_array(out, 2);
    router_reply_bulk(out, base_bytes_of(digit, size));
    router_reply_array(out, count);
    for (size_t at = 0; router_walk_row(rows, &at, &token, &key);) {
        if (router_walk_wanted(walk, token, key))
            router_reply_bulk(out, key);
    }
}

/* All groups have answered. A cursor stands for two tokens, which one call must not part. */
static bool scan_end(struct router *router, struct router_call *call)
{
    struct router_walk *walk = call->walk;
    walk->bound &= ~UINT64_C(1);
    if (!walk->bounded || walk->bound > walk->first)
        return true;
    walk->count *= 2; /* So little was asked for that there is no progress. */
    router_walk_step(router, call, walk->first);
    return false;
}

/* ---- All of them
 * ----------------------------------------------------------------------------------*/

/* One group's step was answered: takes what it says, and asks for the next where there is one. */
static void step_take(struct router *router, struct router_call *call, uint32_t group,
                      const struct wire_result *result)
{
    struct router_walk *walk = call->walk;
    uint64_t next = result->number;
    if (walk->type == WIRE_OP_SCAN) {
        router_buffer_append(&walk->rows, result->bytes);
        bool last = TORC_MUTANT(SCAN_BOUND_OF_LAST);
        if (next != 0 && (!walk->bounded || next < walk->bound || last)) {
            walk->bounded = true;
            walk->bound = next;
        }
        return;
    }
    if (result->bytes.size == 8)
        call->sum += (int64_t)base_get_le64(result->bytes.data);
    if (next != 0)
        ask(router, call, group, next);
}

void router_walk_done(struct router *router, struct router_call *call, uint32_t group,
                      const struct router_outcome *outcome)
{
    struct router_walk *walk = call->walk;
    if (!walk->begun && outcome->type == ROUTER_ANSWERED) {
        call->part_count = 0;
        call->tally.answered = 0;
        begin(router, call);
        return;
    }
    if (outcome->type == ROUTER_ANSWERED && outcome->result->kind == WIRE_RESULT_KEYS)
        step_take(router, call, group, outcome->result);
    router_connection_touch(router, call->connection);
    if (call->pending > 0)
        return;
    bool answered = call->tally.answered == call->part_count;
    bool keys = walk->type == WIRE_OP_SCAN && call->command->id != ROUTER_SCAN;
    if (answered && walk->type == WIRE_OP_SCAN &&
        !(keys ? router_keys_end(router, call) : scan_end(router, call)))
        return;
    struct router_buffer *out = router_call_out(call);
    if (!answered)
        router_call_error(router, call, out);
    else if (keys)
        router_keys_reply(router, call, out);
    else if (walk->type == WIRE_OP_SCAN)
        scan_reply(walk, out);
    else if (walk->type == WIRE_OP_COUNT)
        router_reply_integer(out, call->sum);
    else
        router_reply_simple(out, "OK");
    router_call_finished(router, call);
}

/* False: the words are wrong, the error is in scratch. */
static bool walk_options(struct router *router, const struct router_command *command,
                         const struct base_bytes *args, size_t arg_count, struct router_walk *walk)
{
    if (command->id == ROUTER_SCAN) {
        walk->type = WIRE_OP_SCAN;
        return scan_options(router, args, arg_count, walk);
    }
    if (command->id == ROUTER_KEYS || command->id == ROUTER_RANDOMKEY) {
        router_keys_begin(router, command, args, walk);
        return true;
    }
    if (command->id == ROUTER_DBSIZE) {
        walk->type = WIRE_OP_COUNT;
        walk->count = COUNT_STEP;
        return true;
    }
    walk->type = WIRE_OP_CLEAR;
    walk->count = CLEAR_STEP;
    bool fits = arg_count == 1 ||
                (arg_count == 2 && (word_is(args[1], "ASYNC") || word_is(args[1], "SYNC")));
    if (!fits)
        router_buffer_text(&router->scratch, "ERR syntax error");
    return fits;
}

void router_walk_begin(struct router *router, struct router_connection *connection,
                       const struct router_command *command)
{
    TORC_ASSERT(connection->first == NULL);
    struct router_walk *walk = base_alloc_zero(router->allocator, sizeof(*walk));
    walk->pattern = router_buffer_empty(router->allocator);
    walk->rows = router_buffer_empty(router->allocator);
    walk->found = router_buffer_empty(router->allocator);
    router->scratch.size = 0;
    if (!walk_options(router, command, connection->resp.args, connection->resp.arg_count, walk)) {
        router->stats.errors++;
        router_reply_error_bytes(router_reply_at_once(router, connection),
                                 router_buffer_bytes(&router->scratch));
        router_walk_free(router, walk);
        return;
    }
    struct router_call *call = router_call_new(router, connection, command, ROUTER_PLAN_WALK);
    call->walk = walk;
    call->alone = true;
    connection->walking = true;
    if (router_courier_map(router->courier) != NULL) {
        begin(router, call);
        return;
    }
    call->pending = 1;
    call->part_count = 1;
    router_courier_await_map(router->courier, call);
}
