#include "tests/unit/history/register.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

enum { VALUE_SIZE = 1 << 17, CLIENTS_MAX = 256, LATE_MAX = 4096 };

struct store {
    bool present;
    char value[VALUE_SIZE];
    uint64_t version;
    uint64_t clock;
};

enum client_stage { CLIENT_IDLE, CLIENT_SENT, CLIENT_DONE };

struct client {
    enum client_stage stage;
    size_t index;
    struct history_op answer;
};

struct run {
    const struct register_options *options;
    struct base_prng prng;
    struct store store;
    struct client clients[CLIENTS_MAX];
    size_t late[LATE_MAX]; /* Unanswered operations that will still happen. */
    size_t late_count;
    struct history *history;
    uint64_t now;
};

static void text_of(const struct run *run, uint32_t value, char *ret_text)
{
    struct base_bytes bytes = history_value_bytes(&run->history->values, value);
    memcpy(ret_text, bytes.data, bytes.size);
    ret_text[bytes.size] = '\0';
}

static uint32_t value_of(struct run *run, const char *text)
{
    return history_value(&run->history->values, base_bytes_text(text));
}

static bool store_condition(struct run *run, const struct history_op *op)
{
    struct store *store = &run->store;
    static char expected[VALUE_SIZE];
    switch (op->condition) {
    case HISTORY_IF_ABSENT:
        return !store->present;
    case HISTORY_IF_PRESENT:
        return store->present;
    case HISTORY_IF_VERSION:
        return store->version == op->expected_version;
    case HISTORY_IF_VALUE:
        text_of(run, op->expected, expected);
        return store->present && strcmp(store->value, expected) == 0;
    default:
        return true;
    }
}

static enum history_outcome store_add(struct store *store, int64_t delta, int64_t *ret_sum)
{
    int64_t before = store->present ? strtoll(store->value, NULL, 10) : 0;
    char again[32];
    snprintf(again, sizeof(again), "%" PRId64, before);
    if (store->present && strcmp(store->value, again) != 0)
        return HISTORY_REFUSED;
    *ret_sum = before + delta;
    snprintf(store->value, sizeof(store->value), "%" PRId64, *ret_sum);
    return HISTORY_OK;
}

static void store_write_at(struct run *run, const struct history_op *op)
{
    struct store *store = &run->store;
    size_t size = store->present ? strlen(store->value) : 0;
    size_t offset = op->kind == HISTORY_APPEND ? size : op->offset;
    static char part[VALUE_SIZE];
    text_of(run, op->value, part);
    TORC_ASSERT(offset <= size && size + strlen(part) < VALUE_SIZE); /* No NULs in strings. */
    memcpy(store->value + offset, part, strlen(part));
    size_t end = offset + strlen(part) > size ? offset + strlen(part) : size;
    store->value[end] = '\0';
}

/* The one instant at which an operation happens. */
static void store_apply(struct run *run, const struct history_op *op, struct history_op *answer)
{
    struct store *store = &run->store;
    *answer = (struct history_op){.outcome = HISTORY_OK};
    bool writes = op->kind != HISTORY_GET;
    switch (op->kind) {
    case HISTORY_GET:
        answer->result_value = store->present ? value_of(run, store->value) : HISTORY_ABSENT;
        break;
    case HISTORY_PUT:
        if (!store_condition(run, op))
            answer->outcome = HISTORY_REFUSED;
        else
            text_of(run, op->value, store->value);
        break;
    case HISTORY_DELETE:
        answer->result_number = store->present;
        break;
    case HISTORY_ADD:
        answer->outcome = store_add(store, op->delta, &answer->result_number);
        break;
    default:
        store_write_at(run, op);
        answer->result_number = (int64_t)strlen(store->value);
        break;
    }
    if (answer->outcome != HISTORY_OK)
        return;
    store->version = writes ? ++store->clock : store->version;
    store->present = writes ? op->kind != HISTORY_DELETE : store->present;
    if (!store->present)
        store->value[0] = '\0';
    if (run->options->mix == REGISTER_VERSIONED && store->present)
        answer->version = store->version;
}

static uint32_t small_value(struct run *run)
{
    char text[16];
    uint64_t number = base_prng_range(&run->prng, 1, run->options->value_count);
    snprintf(text, sizeof(text), number % 3 == 0 ? "w%" PRIu64 : "%" PRIu64, number);
    return value_of(run, text);
}

static uint32_t unique_value(struct run *run)
{
    char text[32];
    snprintf(text, sizeof(text), "v%zu,", run->history->count);
    return value_of(run, text);
}

static struct history_op draw_anything(struct run *run)
{
    struct base_prng *prng = &run->prng;
    struct history_op op = {
        .kind = (enum history_kind)base_prng_range(prng, HISTORY_GET, HISTORY_APPEND)};
    if (base_prng_chance(prng, 1, 3))
        op.kind = HISTORY_GET;
    if (op.kind == HISTORY_APPEND && run->store.value[0] != '\0' && strlen(run->store.value) > 6)
        op.kind = base_prng_chance(prng, 1, 2) ? HISTORY_DELETE : HISTORY_SET_RANGE;
    if (op.kind == HISTORY_PUT)
        op.condition =
            (enum history_condition)base_prng_range(prng, HISTORY_ALWAYS, HISTORY_IF_VALUE);
    if (op.kind == HISTORY_PUT || op.kind >= HISTORY_APPEND)
        op.value = small_value(run);
    if (op.condition == HISTORY_IF_VALUE)
        op.expected = small_value(run);
    if (op.condition == HISTORY_IF_VERSION)
        op.expected_version = base_prng_range(prng, 1, run->store.clock + 1);
    if (op.kind == HISTORY_ADD)
        op.delta = (int64_t)base_prng_range(prng, 0, 4) - 2;
    return op;
}

static struct history_op draw_swap(struct run *run)
{
    struct history_op op = {.kind = HISTORY_PUT, .value = small_value(run)};
    if (base_prng_chance(&run->prng, 1, 2)) {
        op.condition = HISTORY_IF_VALUE;
        op.expected = small_value(run);
    } else if (base_prng_chance(&run->prng, 1, 3)) {
        op.condition = HISTORY_IF_ABSENT;
    }
    return op;
}

static struct history_op draw(struct run *run)
{
    struct base_prng *prng = &run->prng;
    struct history_op op = {.kind = HISTORY_GET};
    switch (run->options->mix) {
    case REGISTER_SET_GET:
        if (base_prng_chance(prng, 1, 2))
            op = (struct history_op){.kind = HISTORY_PUT, .value = unique_value(run)};
        break;
    case REGISTER_INCREMENT:
        if (base_prng_chance(prng, 3, 4))
            op = (struct history_op){.kind = HISTORY_ADD, .delta = 1};
        break;
    case REGISTER_APPEND:
        if (base_prng_chance(prng, 1, 2))
            op = (struct history_op){.kind = HISTORY_APPEND, .value = unique_value(run)};
        break;
    case REGISTER_SWAP:
        if (base_prng_chance(prng, 2, 3))
            op = draw_swap(run);
        break;
    default:
        op = draw_anything(run);
        break;
    }
    return op;
}

static void client_send(struct run *run, uint32_t c)
{
    struct client *client = &run->clients[c];
    struct history_op op = draw(run);
    op.process = c;
    op.invoke_time = run->now;
    client->index = history_begin(run->history, &op);
    client->stage = CLIENT_SENT;
    if (!base_prng_chance(&run->prng, run->options->unknown_permille, 1000))
        return;
    client->stage = CLIENT_IDLE; /* It gives up and goes on with the next one. */
    if (base_prng_chance(&run->prng, 1, 2) && run->late_count < LATE_MAX)
        run->late[run->late_count++] = client->index;
}

static bool client_step(struct run *run, uint32_t c)
{
    struct client *client = &run->clients[c];
    switch (client->stage) {
    case CLIENT_IDLE:
        if (run->history->count == run->options->op_count)
            return false;
        client_send(run, c);
        return true;
    case CLIENT_SENT:
        store_apply(run, &run->history->ops[client->index], &client->answer);
        client->stage = CLIENT_DONE;
        return true;
    case CLIENT_DONE:
        client->answer.return_time = run->now;
        history_end(run->history, client->index, &client->answer);
        client->stage = CLIENT_IDLE;
        return true;
    }
    return false;
}

static void late_step(struct run *run)
{
    size_t place = base_prng_range(&run->prng, 0, run->late_count - 1);
    struct history_op ignored;
    store_apply(run, &run->history->ops[run->late[place]], &ignored);
    run->late[place] = run->late[--run->late_count];
}

void register_run(const struct register_options *options, struct history *history)
{
    static struct run run;
    memset(&run, 0, sizeof(run));
    run.options = options;
    run.prng = base_prng_seeded(options->seed);
    run.history = history;
    TORC_ASSERT(options->client_count <= CLIENTS_MAX);
    uint32_t idle = 0;
    while (idle < 20 * options->client_count) { /* Until nobody has had anything to do for long. */
        run.now += base_prng_range(&run.prng, 0, 2);
        if (run.late_count > 0 && base_prng_chance(&run.prng, 1, 50))
            late_step(&run);
        uint32_t c = (uint32_t)base_prng_range(&run.prng, 0, options->client_count - 1);
        idle = client_step(&run, c) ? 0 : idle + 1;
    }
    for (uint32_t c = 0; c < options->client_count; c++) {
        while (run.clients[c].stage != CLIENT_IDLE)
            client_step(&run, c);
    }
}
