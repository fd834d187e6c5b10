/* Histories of what clients saw: of all keys but the expiring ones, whose end nobody wrote, and
 * those that have one client at a time. */
#include "tests/sim/clients.h"

static struct history *history_of(struct sim *sim, const struct sim_key *key)
{
    struct history *history = history_set_of(&sim->histories, base_bytes_text(key->name));
    history->values.size_max = sim->options.limits.value_size_max;
    return history;
}

static bool is_recorded(const struct sim_key *key)
{
    return key->kind != SIM_KEY_EXPIRING && key->kind != SIM_KEY_OWN;
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

void recorder_begin(struct sim *sim, struct sim_task *task)
{
    const struct sim_key *key = &sim->keys[task->key];
    if (!is_recorded(key))
        return;
    struct history *history = history_of(sim, key);
    const struct wire_op *op = &task->op;
    struct history_op begun = {.process = task->client * SIM_TASKS_MAX + task->index,
                               .invoke_time = ++sim->tick,
                               .kind = history_kind_of(op->type),
                               .condition = (enum history_condition)op->condition,
                               .delta = (int64_t)op->a};
    if (op->value.size > 0)
        begun.value = history_value(&history->values, op->value);
    task->history = history_begin(history, &begun);
}

static void note_answer(struct history *history, const struct sim_task *task,
                        const struct wire_result *result, struct history_op *answer)
{
    bool get = task->op.type == WIRE_OP_GET;
    /* An error: the value would be too large. */
    bool refused = result->kind == WIRE_RESULT_ERROR || (result->kind == WIRE_RESULT_NIL && !get);
    answer->outcome = refused ? HISTORY_REFUSED : HISTORY_OK;
    answer->result_number = (int64_t)result->number;
    if (get && result->kind == WIRE_RESULT_BYTES)
        answer->result_value = history_value(&history->values, result->bytes);
    /* The version of an absent key is its vnode's, which the key's history cannot know. */
    bool absent = (get && result->kind == WIRE_RESULT_NIL) || task->op.type == WIRE_OP_DELETE;
    answer->version = refused || absent ? 0 : result->version;
}

void recorder_end(struct sim *sim, const struct sim_task *task,
                  const struct router_outcome *outcome)
{
    const struct sim_key *key = &sim->keys[task->key];
    if (!is_recorded(key) || outcome->type == ROUTER_UNKNOWN)
        return;
    struct history *history = history_of(sim, key);
    struct history_op answer = {.return_time = ++sim->tick, .outcome = HISTORY_FAILED};
    if (outcome->type == ROUTER_ANSWERED)
        note_answer(history, task, outcome->result, &answer);
    history_end(history, task->history, &answer);
}
