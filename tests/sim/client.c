/* When clients ask, and what came of it. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/clients.h"

enum { CLIENT_TOGETHER_PER_MILLE = 80 };

static const char *const kind_letters[SIM_KEY_KINDS] = {"r", "c", "l", "e", "o"};

static void init(struct sim *sim, uint32_t index)
{
    struct sim_client *client = &sim->clients[index];
    client->index = index;
    for (uint32_t i = 0; i < SIM_TASKS_MAX; i++) {
        client->tasks[i].client = index;
        client->tasks[i].index = i;
    }
    stream_init(sim, client);
}

/* Some are long; some stand together, for what is between the braces. */
static void name(const struct sim *sim, struct sim_key *key, uint32_t number)
{
    const char *letter = kind_letters[key->kind];
    if ((sim->options.seed + number) % 3 == 2)
        snprintf(key->name, sizeof(key->name), "{tag}%s%u", letter, number);
    else if ((sim->options.seed + number) % 7 == 3)
        snprintf(key->name, sizeof(key->name), "%s%u%050u", letter, number, 0);
    else
        snprintf(key->name, sizeof(key->name), "%s%u", letter, number);
}

void client_init(struct sim *sim)
{
    sim->key_count = sim->options.keys * SIM_KEY_KINDS;
    sim->keys = base_alloc_zero(sim->allocator, sim->key_count * sizeof(*sim->keys));
    for (uint32_t i = 0; i < sim->key_count; i++) {
        struct sim_key *key = &sim->keys[i];
        key->kind = (enum sim_key_kind)(i % SIM_KEY_KINDS);
        name(sim, key, i / SIM_KEY_KINDS);
    }
    for (uint32_t i = 0; i < sim->options.clients; i++)
        init(sim, i);
}

void client_fini(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->options.clients; i++)
        stream_fini(sim, &sim->clients[i]);
    for (uint32_t i = 0; i < sim->key_count; i++) {
        struct sim_key *key = &sim->keys[i];
        base_array_free(sim->allocator, key->words, &key->words_capacity, sizeof(*key->words));
        check_expiry_free(sim, key);
        base_free(sim->allocator, key->last.bytes, key->last.size);
    }
    base_free(sim->allocator, sim->keys, sim->key_count * sizeof(*sim->keys));
}

/* ---- Asking. */

static void again(struct sim *sim, struct sim_client *client)
{
    bool rush = sim->now_us < sim->rush_until_us && client->burst > 0;
    uint64_t most_us = rush ? 200 : 2 * sim->options.think_us_mean * (client->burst + 2) / 3;
    client->resting = true;
    sim_push(sim, (struct sim_event){.at_us = sim->now_us + sim_draw(sim, 1, most_us),
                                     .type = SIM_CLIENT,
                                     .place = client->index});
}

void client_rest(struct sim *sim, struct sim_client *client)
{
    if (client->in_flight == 0 && client->stream->state < SIM_STREAM_LEAVING && !client->asking &&
        !client->resting)
        again(sim, client);
}

void client_begin(struct sim *sim, struct sim_client *client, struct sim_task *task)
{
    task->busy = true;
    client->in_flight++;
    client->burst++;
    task->asked_us = sim->now_us;
    task->timeout_us = task->stale_ms = task->together = 0;
    check_expiry_asked(sim, &sim->keys[task->key], task);
    recorder_begin(sim, task);
    sim_trace(sim, "ask", client->index, task->key, task->op.type, task->op.value.size);
}

static void ask(struct sim *sim, struct sim_client *client, struct sim_task *task)
{
    struct sim_router *router = &sim->routers[client->router];
    client_begin(sim, client, task);
    if (router->is_whole)
        resp_client_ask(sim, client->stream, task, 1);
    else
        sim_router_add(sim, router, task);
}

static bool is_rushing(const struct sim *sim)
{
    return sim->now_us < sim->rush_until_us;
}

/* Many writes of registers at once are more than a judge of their histories can tell apart. */
static bool is_too_much(const struct sim *sim, const struct sim_client *client,
                        const struct sim_task *task)
{
    if (sim->keys[task->key].kind != SIM_KEY_REGISTER)
        return false;
    for (uint32_t i = 0; i < task->index; i++) {
        if (client->tasks[i].busy && sim->keys[client->tasks[i].key].kind == SIM_KEY_REGISTER)
            return true;
    }
    return is_rushing(sim);
}

/* One command on several keys, as many as there is room for from `first` on. Returns their number;
 * 0: not this time. */
static uint32_t ask_together(struct sim *sim, struct sim_client *client, uint32_t first)
{
    const struct sim_options *options = &sim->options;
    uint32_t room = SIM_TASKS_MAX - first;
    if (room > options->inflight_max)
        room = options->inflight_max; /* Of one command, too. */
    if (!sim->routers[client->router].is_whole || room < 2 ||
        !sim_chance(sim, CLIENT_TOGETHER_PER_MILLE))
        return 0;
    struct sim_task *tasks = &client->tasks[first];
    uint32_t count =
        (uint32_t)sim_draw(sim, 2, room < CLIENT_TOGETHER_MAX ? room : CLIENT_TOGETHER_MAX);
    bool writes = count <= options->keys && sim_chance(sim, 300) && !is_rushing(sim);
    if (writes)
        workload_choose_writes(sim, tasks, count);
    else
        workload_choose_reads(sim, tasks, count);
    for (uint32_t i = 0; i < count; i++)
        client_begin(sim, client, &tasks[i]);
    resp_client_ask(sim, client->stream, tasks, count);
    sim->coverage->read_together += !writes;
    sim->coverage->written_together += writes;
    return count;
}

/* Some things at once; commands of a connection on one key take effect in this order. */
static void ask_burst(struct sim *sim, struct sim_client *client)
{
    bool rush = is_rushing(sim);
    uint64_t left = !rush && sim_chance(sim, 600) ? 1 : sim_draw(sim, 1, CLIENT_BURST_MAX);
    uint64_t most = sim->options.operations_max;
    for (uint32_t i = 0; left > 0 && i < SIM_TASKS_MAX; i++, left--) {
        if (most != 0 && sim->operations_asked == most)
            return; /* What is asked after healing is not counted. */
        sim->operations_asked++;
        uint32_t together = ask_together(sim, client, i);
        if (together == 0)
            together = transaction_ask(sim, client, i);
        if (together > 0) {
            i += together - 1;
            continue;
        }
        do
            workload_choose(sim, &client->tasks[i]);
        while (is_too_much(sim, client, &client->tasks[i]));
        ask(sim, client, &client->tasks[i]);
    }
}

static bool any_busy(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->options.clients; i++) {
        if (sim->clients[i].in_flight > 0)
            return true;
    }
    return false;
}

bool client_all_read(const struct sim *sim)
{
    return sim->keys_read == sim->key_count && !any_busy(sim) && check_scan_is_over(sim);
}

static void ask_last(struct sim *sim, struct sim_client *client)
{
    if (client->index != 0 || any_busy(sim))
        return;
    if (workload_choose_last(sim, &client->tasks[0]))
        ask(sim, client, &client->tasks[0]);
    else if (!check_scan_is_over(sim) && !sim->scan.waits && sim->routers[client->router].is_whole)
        resp_client_scan(sim, client->stream);
}

/* It goes to another router when this one has closed its end as well. */
static void leave(struct sim *sim, struct sim_stream *stream)
{
    stream->state = SIM_STREAM_LEAVING;
    stream_send(sim, stream, &stream->in, SIM_PIECE_END, base_bytes_of(NULL, 0));
}

/* Where it asks. False: not now. */
static bool connect(struct sim *sim, struct sim_client *client)
{
    struct sim_stream *stream = client->stream;
    if (stream->state == SIM_STREAM_CLOSED)
        client->router = (uint32_t)sim_draw(sim, 0, sim->options.routers - 1);
    else if (sim->options.routers > 1 && !sim->healed && sim_chance(sim, 30))
        leave(sim, stream);
    if (stream->state == SIM_STREAM_LEAVING)
        return false;
    const struct sim_router *router = &sim->routers[client->router];
    if (router->is_whole && stream->state == SIM_STREAM_CLOSED)
        stream_open(sim, stream, client->router);
    return router->is_whole || router_courier_map(router->bare) != NULL;
}

void client_act(struct sim *sim, struct sim_client *client)
{
    client->resting = false;
    if (client->in_flight > 0 || client->stream->state >= SIM_STREAM_LEAVING)
        return;
    client->burst = 0;
    if (!connect(sim, client)) {
        if (client->stream->state != SIM_STREAM_LEAVING)
            client_rest(sim, client);
        return;
    }
    client->asking = true;
    if (sim->healed)
        ask_last(sim, client);
    else
        ask_burst(sim, client);
    if (client->stream->state == SIM_STREAM_OPEN)
        resp_client_flush(sim, client->stream);
    client->asking = false;
    client_rest(sim, client);
}

/* ---- Hearing. */

/* What the counting keys must come to. */
static void remember(struct sim *sim, const struct sim_task *task, enum router_outcome_type type,
                     bool error)
{
    struct sim_key *key = &sim->keys[task->key];
    enum history_outcome outcome = type == ROUTER_UNKNOWN              ? HISTORY_UNKNOWN
                                   : type == ROUTER_ANSWERED && !error ? HISTORY_OK
                                                                       : HISTORY_FAILED;
    if (task->op.type == WIRE_OP_ADD && outcome == HISTORY_OK)
        key->added_acked += (int64_t)task->op.a;
    else if (task->op.type == WIRE_OP_ADD && outcome == HISTORY_UNKNOWN)
        key->added_unknown += (int64_t)task->op.a;
    else if (key->kind == SIM_KEY_LIST && task->op.type == WIRE_OP_APPEND)
        key->words[task->word].outcome = outcome;
}

void client_end(struct sim *sim, struct sim_task *task)
{
    struct sim_client *client = &sim->clients[task->client];
    task->busy = task->last = false;
    client->in_flight--;
}

void client_abandon(struct sim *sim, struct sim_task *task)
{
    remember(sim, task, ROUTER_UNKNOWN, false);
    own_abandoned(sim, task);
    sim->coverage->unknown++;
    client_end(sim, task);
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

/* Only APPEND may be too large: whether it was, its history tells. */
static void check_error(struct sim *sim, const struct sim_task *task,
                        const struct wire_result *result)
{
    if (task->op.type != WIRE_OP_APPEND || result->error != WIRE_ERROR_TOO_LARGE)
        sim_fail(sim, "answers", "client %u is told that its operation %d on %s is in error %d",
                 task->client + 1, (int)task->op.type, sim->keys[task->key].name,
                 (int)result->error);
}

static void note_outcome(struct sim *sim, const struct sim_task *task,
                         const struct router_outcome *outcome)
{
    static const struct wire_result none;
    const struct wire_result *result = outcome->type == ROUTER_ANSWERED ? outcome->result : &none;
    const uint64_t numbers[] = {task->client, task->key,      outcome->type,  outcome->clock,
                                result->kind, result->number, result->version};
    sim_note(sim,
             base_hash_seeded(result->bytes, base_hash(base_bytes_of(numbers, sizeof(numbers)))));
}

void client_done(void *context, void *call, uint32_t part, const struct router_outcome *outcome)
{
    struct sim *sim = context;
    struct sim_task *task = call;
    TORC_ASSERT(part == 0 && task->busy);
    if (task->together > 0) {
        transaction_done(sim, task, outcome);
        return;
    }
    count(sim, outcome);
    check_outcome_in_time(sim, task);
    check_outcome_not_early(sim, task, outcome);
    bool answered = outcome->type == ROUTER_ANSWERED;
    bool error = answered && outcome->result->kind == WIRE_RESULT_ERROR;
    sim_trace(sim, "outcome", task->client, task->key, (uint64_t)outcome->type,
              answered ? outcome->result->version : 0);
    note_outcome(sim, task, outcome);
    if (outcome->type == ROUTER_REFUSED)
        sim_fail(sim, "answers", "a request was refused: %s (%s)",
                 torc_status_text(outcome->status), outcome->reason);
    if (error && sim->keys[task->key].kind != SIM_KEY_OWN)
        check_error(sim, task, outcome->result);
    recorder_end(sim, task, outcome);
    remember(sim, task, outcome->type, error);
    check_expiry(sim, task, outcome);
    own_heard(sim, task, outcome);
    if (answered && task->op.type == WIRE_OP_GET && sim->keys[task->key].kind == SIM_KEY_LIST)
        check_list_read(sim, task, outcome->result);
    if (answered && task->last && task->op.type == WIRE_OP_GET)
        keep_last(sim, &sim->keys[task->key], outcome->result);
    else if (answered && !error && task->last)
        sim->keys[task->key].last.written = true;
    client_end(sim, task);
    client_rest(sim, &sim->clients[task->client]);
}
