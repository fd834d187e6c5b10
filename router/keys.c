/*
 * router/keys -- KEYS and RANDOMKEY: SCAN's steps, one after the other. A step gives what lies
 * below the token up to which all groups are complete, and the next begins there, so that no key
 * comes twice and none is left out that is there all the time.
 */
#include "router/walk_int.h"

#include "base/assert.h"
#include "base/prng.h"

enum {
    KEYS_STEP = ROUTER_WALK_COUNT_MAX, /* Keys asked of all groups together. */
    RANDOM_STEP = 16,                  /* Keys of which RANDOMKEY takes one. */
    HEAD_SIZE_MAX = 24,                /* "*" count line end. */
};

void router_keys_begin(struct router *router, const struct router_command *command,
                       const struct base_bytes *args, struct router_walk *walk)
{
    walk->type = WIRE_OP_SCAN;
    if (command->id == ROUTER_KEYS) {
        walk->count = KEYS_STEP;
        walk->matching = true;
        router_buffer_append(&walk->pattern, args[1]);
        return;
    }
    walk->count = RANDOM_STEP;
    walk->origin = base_prng_next(&router->prng) & ~UINT64_C(1);
    walk->first = walk->origin;
}

/* Keeps the keys of a step that KEYS answers. */
static void keys_take(struct router *router, struct router_call *call)
{
    struct router_walk *walk = call->walk;
    const struct router_connection *connection = call->connection;
    struct base_bytes rows = router_buffer_bytes(&walk->rows), key;
    size_t unread = connection->output.size + connection->writing.size + connection->kept;
    uint64_t token;
    for (size_t at = 0; !walk->too_large && router_walk_row(rows, &at, &token, &key);) {
        if (!router_walk_wanted(walk, token, key))
            continue;
        router_reply_bulk(&walk->found, key);
        walk->found_count++;
        walk->too_large =
            walk->found.size + unread + HEAD_SIZE_MAX > router->config.client_output_max;
    }
}

/* Keeps the rows of a step that RANDOMKEY chooses from. */
static void random_take(struct router_walk *walk)
{
    struct base_bytes rows = router_buffer_bytes(&walk->rows), key;
    uint64_t token;
    for (size_t at = 0, start = 0; router_walk_row(rows, &at, &token, &key); start = at) {
        if (!router_walk_wanted(walk, token, key) || (walk->wrapped && token >= walk->origin))
            continue;
        router_buffer_append(&walk->found, base_bytes_of(rows.data + start, at - start));
        walk->found_count++;
    }
}

bool router_keys_end(struct router *router, struct router_call *call)
{
    struct router_walk *walk = call->walk;
    bool random = call->command->id == ROUTER_RANDOMKEY;
    walk->bound &= ~UINT64_C(1); /* As in SCAN: the two tokens of a cursor stay together. */
    if (random)
        random_take(walk);
    else
        keys_take(router, call);
    if (walk->too_large || (random && walk->found_count >= RANDOM_STEP))
        return true;
    if (!walk->bounded && (!random || walk->wrapped))
        return true;
    if (walk->wrapped && walk->bounded && walk->bound >= walk->origin)
        return true;
    if (!call->connection->open)
        return true; /* Nobody is there to read it. */
    walk->wrapped |= !walk->bounded;
    if (walk->bounded && walk->bound <= walk->first)
        walk->count *= 2; /* So little was asked for that there is no progress. */
    router_walk_step(router, call, walk->bounded ? walk->bound : 0);
    return false;
}

static void random_reply(struct router *router, struct router_call *call, struct router_buffer *out)
{
    const struct router_walk *walk = call->walk;
    if (walk->found_count == 0) {
        router_reply_null(out, call->protocol);
        return;
    }
    uint64_t chosen = base_prng_range(&router->prng, 0, walk->found_count - 1), token;
    struct base_bytes rows = router_buffer_bytes(&walk->found), key;
    size_t at = 0;
    do {
        bool more = router_walk_row(rows, &at, &token, &key);
        TORC_ASSERT(more);
    } while (chosen-- > 0);
    router_reply_bulk(out, key);
}

void router_keys_reply(struct router *router, struct router_call *call, struct router_buffer *out)
{
    const struct router_walk *walk = call->walk;
    if (call->command->id == ROUTER_RANDOMKEY) {
        random_reply(router, call, out);
    } else if (walk->too_large) {
        router->stats.errors++;
        router_reply_error(out, "ERR the answer is too large: it would pass the limit "
                                "client_output_max; use SCAN");
    } else {
        router_reply_array(out, walk->found_count);
        router_buffer_append(out, router_buffer_bytes(&walk->found));
    }
}
