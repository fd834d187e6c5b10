/* What clients ask for, one operation at a time each, and what they remember of it. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/sim.h"

enum { CLIENT_WORDS_MAX = 600 }; /* In a list: they stay below the largest value. */

static const char *const kind_letters[SIM_KEY_KINDS] = {"r", "c", "l", "e"};

void client_init(struct sim *sim)
{
    sim->key_count = sim->options.keys * SIM_KEY_KINDS;
    sim->keys = base_alloc_zero(sim->allocator, sim->key_count * sizeof(*sim->keys));
    for (uint32_t i = 0; i < sim->key_count; i++) {
        struct sim_key *key = &sim->keys[i];
        key->kind = (enum sim_key_kind)(i % SIM_KEY_KINDS);
        snprintf(key->name, sizeof(key->name), "%s%u", kind_letters[key->kind], i / SIM_KEY_KINDS);
    }
    for (uint32_t i = 0; i < sim->options.clients; i++)
        sim->clients[i].index = i;
}

void client_fini(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->key_count; i++) {
        struct sim_key *key = &sim->keys[i];
        base_array_free(sim->allocator, key->words, &key->words_capacity, sizeof(*key->words));
        base_free(sim->allocator, key->last.bytes, key->last.size);
    }
    base_free(sim->allocator, sim->keys, sim->key_count * sizeof(*sim->keys));
}

static void again(struct sim *sim, struct sim_client *client)
{
    sim_push(sim, (struct sim_event){.at_us = sim->now_us +
                                              sim_draw(sim, 1, 2 * sim->options.think_us_mean),
                                     .type = SIM_CLIENT,
                                     .place = client->index});
}

/* ---- Choosing. */

static void set_value(struct sim *sim, struct sim_client *client, const char *prefix,
                      uint64_t number, size_t pad_max)
{
    int size = snprintf((char *)client->value, sizeof(client->value), "%s%llu;", prefix,
                        (unsigned long long)number);
    size_t pad = sim_draw(sim, 0, pad_max);
    TORC_ASSERT((size_t)size + pad <= sizeof(client->value));
    memset(client->value + size, '.', pad);
    client->op.value = base_bytes_of(client->value, (size_t)size + pad);
}

static void choose_register(struct sim *sim, struct sim_client *client)
{
    struct wire_op *op = &client->op;
    uint64_t drawn = sim_draw(sim, 0, 9);
    op->type = drawn < 4   ? WIRE_OP_GET
               : drawn < 8 ? WIRE_OP_PUT
               : drawn < 9 ? WIRE_OP_DELETE
                           : WIRE_OP_APPEND;
    if (op->type == WIRE_OP_PUT && sim_chance(sim, 300))
        op->condition = sim_chance(sim, 500) ? WIRE_IF_ABSENT : WIRE_IF_PRESENT;
    if (op->type == WIRE_OP_PUT || op->type == WIRE_OP_APPEND)
        set_value(sim, client, "v", ++sim->value_number, sim->options.value_size_max);
}

static void choose_word(struct sim *sim, struct sim_client *client, struct sim_key *key)
{
    client->op.type = WIRE_OP_APPEND;
    set_value(sim, client, ";", ++sim->word_number, 0);
    key->words = base_array_reserve(sim->allocator, key->words, &key->words_capacity,
                                    key->word_count + 1, sizeof(*key->words));
    client->word = key->word_count;
    key->words[key->word_count++] = (struct sim_word){.number = sim->word_number};
}

static void choose(struct sim *sim, struct sim_client *client)
{
    client->key = (uint32_t)sim_draw(sim, 0, sim->key_count - 1);
    struct sim_key *key = &sim->keys[client->key];
    client->op = (struct wire_op){.key = base_bytes_text(key->name)};
    bool read = sim_chance(sim, 300);
    switch (key->kind) {
    case SIM_KEY_REGISTER:
        choose_register(sim, client);
        return;
    case SIM_KEY_COUNTER:
        client->op.type = read ? WIRE_OP_GET : WIRE_OP_ADD;
        client->op.a = read ? 0 : sim_draw(sim, 1, 3);
        return;
    case SIM_KEY_LIST:
        client->op.type = WIRE_OP_GET;
        if (!read && key->word_count < CLIENT_WORDS_MAX)
            choose_word(sim, client, key);
        return;
    case SIM_KEY_EXPIRING:
        client->op.type = WIRE_OP_GET;
        if (sim_chance(sim, 600))
            return;
        client->op.type = WIRE_OP_PUT;
        client->op.expiry_mode = WIRE_EXPIRY_RELATIVE;
        client->op.b = sim_draw(sim, 1, sim_chance(sim, 800) ? 500 : 8000);
        set_value(sim, client, "e", ++sim->value_number, 8);
        return;
    case SIM_KEY_KINDS:
        break;
    }
}

/* ---- Histories: of all kinds but the expiring keys, whose end nobody wrote. */

static struct history *history_of(struct sim *sim, const struct sim_key *key)
{
    return history_set_of(&sim->histories, base_bytes_text(key->name));
}

static enum history_kind history_kind_of(enum wire_op_type type)
{
    switch (type) {
    case WIRE_OP_PUT:
        return HISTORY_PUT;
    case WIRE_OP_DELETE:
        return HISTORY_DELETE;
    case WIRE_OP_ADD:
        return HISTORY_ADD;
    case WIRE_OP_APPEND:
        return HISTORY_APPEND;
    default:
        return HISTORY_GET;
    }
}

static void begin_history(struct sim *sim, struct sim_client *client)
{
    const struct sim_key *key = &sim->keys[client->key];
    if (key->kind == SIM_KEY_EXPIRING)
        return;
    struct history *history = history_of(sim, key);
    const struct wire_op *op = &client->op;
    struct history_op begun = {.process = client->index,
                               .invoke_time = ++sim->tick,
                               .kind = history_kind_of(op->type),
                               .condition = (enum history_condition)op->condition,
                               .delta = (int64_t)op->a};
    if (op->value.size > 0)
        begun.value = history_value(&history->values, op->value);
    client->history = history_begin(history, &begun);
}

static void end_history(struct sim *sim, const struct sim_client *client,
                        const struct router_outcome *outcome)
{
    const struct sim_key *key = &sim->keys[client->key];
    if (key->kind == SIM_KEY_EXPIRING || outcome->type == ROUTER_UNKNOWN)
        return;
    struct history *history = history_of(sim, key);
    struct history_op answer = {.return_time = ++sim->tick, .outcome = HISTORY_FAILED};
    if (outcome->type == ROUTER_ANSWERED) {
        const struct wire_result *result = outcome->result;
        bool get = client->op.type == WIRE_OP_GET;
        answer.outcome = HISTORY_OK;
        answer.version = result->version;
        answer.result_number = (int64_t)result->number;
        if (result->kind == WIRE_RESULT_ERROR || (result->kind == WIRE_RESULT_NIL && !get))
            answer.outcome = HISTORY_REFUSED;
        if (get && result->kind == WIRE_RESULT_BYTES)
            answer.result_value = history_value(&history->values, result->bytes);
        /* The version of an absent key is its vnode's, which the key's history cannot know. */
        if ((get && result->kind == WIRE_RESULT_NIL) || client->op.type == WIRE_OP_DELETE ||
            answer.outcome == HISTORY_REFUSED)
            answer.version = 0;
    }
    history_end(history, client->history, &answer);
}

/* ---- Asking and hearing. */

static void ask(struct sim *sim, struct sim_client *client)
{
    struct sim_router *router = &sim->routers[client->router];
    router_courier_turn(router->courier, sim->now_us);
    TORC_ASSERT(router_courier_has_room(router->courier, 1, 512));
    client->busy = true;
    client->life = router->life;
    client->asked_us = sim->now_us;
    sim->keys[client->key].expiry.puts += client->op.type == WIRE_OP_PUT;
    check_expiry_asked(&sim->keys[client->key], client);
    begin_history(sim, client);
    sim_trace(sim, "ask", client->index, client->key, client->op.type, client->op.value.size);
    /* Two clients are one caller: what both ask of a key travels in order, often as one request. */
    router_courier_add(router->courier, client->index / 2 + 1, &client->op, client, 0);
    sim_router_flush(sim, router);
}

/* After healing every key is written and read once more, each until it is answered. */
static bool choose_last(struct sim *sim, struct sim_client *client)
{
    while (sim->keys_read < sim->key_count && sim->keys[sim->keys_read].last.read)
        sim->keys_read++;
    if (client->index != 0 || sim->keys_read == sim->key_count)
        return false;
    client->key = sim->keys_read;
    struct sim_key *key = &sim->keys[client->key];
    client->op = (struct wire_op){.key = base_bytes_text(key->name)};
    client->last = true;
    if (key->last.written || key->kind == SIM_KEY_EXPIRING) {
        client->op.type = WIRE_OP_GET;
    } else if (key->kind == SIM_KEY_COUNTER) {
        client->op.type = WIRE_OP_ADD;
        client->op.a = 1;
    } else if (key->kind == SIM_KEY_LIST) {
        choose_word(sim, client, key);
    } else {
        client->op.type = WIRE_OP_PUT;
        set_value(sim, client, "v", ++sim->value_number, 0);
    }
    return true;
}

static bool others_busy(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->options.clients; i++) {
        if (sim->clients[i].busy)
            return true;
    }
    return false;
}

void client_act(struct sim *sim, struct sim_client *client)
{
    if (client->busy)
        return;
    client->router = (uint32_t)sim_draw(sim, 0, sim->options.routers - 1);
    if (router_courier_map(sim->routers[client->router].courier) == NULL) {
        again(sim, client);
        return;
    }
    if (!sim->healed) {
        uint64_t most = sim->options.operations_max;
        if (most != 0 && sim->operations_asked == most) {
            again(sim, client); /* For what is asked after healing. */
            return;
        }
        sim->operations_asked++;
        choose(sim, client);
        ask(sim, client);
    } else if (others_busy(sim)) { /* What was asked before ends first. */
        again(sim, client);
    } else if (choose_last(sim, client)) {
        ask(sim, client);
    }
}

bool client_all_read(const struct sim *sim)
{
    return sim->keys_read == sim->key_count && !others_busy(sim);
}

/* What the counting keys must come to. */
static void remember(struct sim *sim, const struct sim_client *client,
                     enum router_outcome_type type, bool error)
{
    struct sim_key *key = &sim->keys[client->key];
    enum history_outcome outcome = type == ROUTER_UNKNOWN              ? HISTORY_UNKNOWN
                                   : type == ROUTER_ANSWERED && !error ? HISTORY_OK
                                                                       : HISTORY_FAILED;
    if (client->op.type == WIRE_OP_ADD && outcome == HISTORY_OK)
        key->added_acked += (int64_t)client->op.a;
    else if (client->op.type == WIRE_OP_ADD && outcome == HISTORY_UNKNOWN)
        key->added_unknown += (int64_t)client->op.a;
    else if (key->kind == SIM_KEY_LIST && client->op.type == WIRE_OP_APPEND)
        key->words[client->word].outcome = outcome;
}

void client_abandon(struct sim *sim, struct sim_client *client)
{
    remember(sim, client, ROUTER_UNKNOWN, false);
    sim->coverage->unknown++;
    client->busy = client->last = false;
    again(sim, client);
}

static void keep_last(struct sim *sim, struct sim_key *key, const struct wire_result *result)
{
    key->last.read = true;
    key->last.present = result->kind == WIRE_RESULT_BYTES;
    key->last.size = result->bytes.size;
    if (key->last.size == 0)
        return;
    key->last.bytes = base_alloc(sim->allocator, key->last.size);
    memcpy(key->last.bytes, result->bytes.data, key->last.size);
}

static void count(struct sim *sim, const struct router_outcome *outcome)
{
    sim->coverage->answered += outcome->type == ROUTER_ANSWERED;
    sim->coverage->nothing_done += outcome->type == ROUTER_NOTHING_DONE;
    sim->coverage->unknown += outcome->type == ROUTER_UNKNOWN;
    sim->coverage->refused += outcome->type == ROUTER_REFUSED;
}

void client_done(void *context, void *call, uint32_t part, const struct router_outcome *outcome)
{
    struct sim *sim = context;
    struct sim_client *client = call;
    TORC_ASSERT(part == 0 && client->busy);
    count(sim, outcome);
    check_outcome_in_time(sim, client);
    bool answered = outcome->type == ROUTER_ANSWERED;
    bool error = answered && outcome->result->kind == WIRE_RESULT_ERROR;
    sim_trace(sim, "outcome", client->index, client->key, (uint64_t)outcome->type,
              answered ? outcome->result->version : 0);
    sim_note(sim, (uint64_t)outcome->type ^ (answered ? outcome->result->version : 0));
    if (outcome->type == ROUTER_REFUSED)
        sim_fail(sim, "answers", "a request was refused: %s (%s)",
                 torc_status_text(outcome->status), outcome->reason);
    end_history(sim, client, outcome);
    remember(sim, client, outcome->type, error);
    check_expiry(sim, client, outcome);
    if (answered && client->last && client->op.type == WIRE_OP_GET)
        keep_last(sim, &sim->keys[client->key], outcome->result);
    else if (answered && client->last)
        sim->keys[client->key].last.written = true;
    client->busy = client->last = false;
    again(sim, client);
}
