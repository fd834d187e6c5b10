/* What clients ask for. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/clients.h"

enum { WORKLOAD_WORDS_MAX = 600, WORKLOAD_WORD_SIZE_MAX = 10 };

static void set_value(struct sim *sim, struct sim_task *task, const char *prefix, uint64_t number,
                      size_t pad_max)
{
    int size = snprintf((char *)task->value, sizeof(task->value), "%s%llu;", prefix,
                        (unsigned long long)number);
    size_t pad = sim_draw(sim, 0, pad_max);
    TORC_ASSERT((size_t)size + pad <= sizeof(task->value));
    memset(task->value + size, '.', pad);
    task->op.value = base_bytes_of(task->value, (size_t)size + pad);
}

static void choose_register(struct sim *sim, struct sim_task *task, bool read)
{
    struct wire_op *op = &task->op;
    uint64_t drawn = sim_draw(sim, 0, 9);
    op->type = drawn < 4 || read ? WIRE_OP_GET
               : drawn < 8       ? WIRE_OP_PUT
               : drawn < 9       ? WIRE_OP_DELETE
                                 : WIRE_OP_APPEND;
    if (op->type == WIRE_OP_PUT && sim_chance(sim, 300))
        op->condition = sim_chance(sim, 500) ? WIRE_IF_ABSENT : WIRE_IF_PRESENT;
    if (op->type == WIRE_OP_PUT || op->type == WIRE_OP_APPEND)
        set_value(sim, task, "v", ++sim->value_number, sim->options.value_size_max);
}

/* Any more may be beyond the largest value. */
static bool is_full(const struct sim *sim, const struct sim_key *key)
{
    return key->word_count >= WORKLOAD_WORDS_MAX ||
           (key->word_count + 1) * WORKLOAD_WORD_SIZE_MAX > sim->options.limits.value_size_max;
}

static void choose_word(struct sim *sim, struct sim_task *task, struct sim_key *key)
{
    task->op.type = WIRE_OP_APPEND;
    set_value(sim, task, ";", ++sim->word_number, 0);
    key->words = base_array_reserve(sim->allocator, key->words, &key->words_capacity,
                                    key->word_count + 1, sizeof(*key->words));
    task->word = key->word_count;
    /* Calls of the library have no order. */
    const struct sim_router *router = &sim->routers[sim->clients[task->client].router];
    uint32_t client =
        router->library != NULL ? SIM_CLIENTS_MAX + (uint32_t)task->word : task->client;
    key->words[key->word_count++] = (struct sim_word){.number = sim->word_number, .client = client};
}

/* The first of a kind may be hot. */
static uint32_t choose_key(struct sim *sim)
{
    const struct sim_options *options = &sim->options;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SIM_KEY_KINDS; i++)
        sum += options->kinds[i];
    uint64_t drawn = sim_draw(sim, 0, sum - 1);
    uint32_t kind = 0;
    while (drawn >= options->kinds[kind])
        drawn -= options->kinds[kind++];
    if (kind != SIM_KEY_REGISTER && sim_chance(sim, options->hot_share))
        return kind;
    return kind + SIM_KEY_KINDS * (uint32_t)sim_draw(sim, 0, options->keys - 1);
}

void workload_choose(struct sim *sim, struct sim_task *task)
{
    task->key = choose_key(sim);
    struct sim_key *key = &sim->keys[task->key];
    task->op = (struct wire_op){.key = base_bytes_text(key->name)};
    bool read = sim_chance(sim, sim->options.read_share);
    switch (key->kind) {
    case SIM_KEY_REGISTER:
        choose_register(sim, task, read);
        return;
    case SIM_KEY_COUNTER:
        task->op.type = read ? WIRE_OP_GET : WIRE_OP_ADD;
        task->op.a = read ? 0 : sim_draw(sim, 1, 3);
        return;
    case SIM_KEY_LIST:
        task->op.type = WIRE_OP_GET;
        task->word = key->word_count;
        if (!read && !is_full(sim, key))
            choose_word(sim, task, key);
        return;
    case SIM_KEY_EXPIRING:
        task->op.type = WIRE_OP_GET;
        if (read || sim_chance(sim, 400))
            return;
        task->op.type = WIRE_OP_PUT;
        task->op.expiry_mode = WIRE_EXPIRY_RELATIVE;
        task->op.b = sim_draw(sim, 1, sim_chance(sim, 800) ? 500 : 8000);
        set_value(sim, task, "e", ++sim->value_number, 8);
        return;
    case SIM_KEY_OWN:
        if (own_choose(sim, task, key, false))
            return;
        task->key -= SIM_KEY_OWN - SIM_KEY_COUNTER; /* Somebody else has it. */
        task->op.type = WIRE_OP_GET;
        task->op.key = base_bytes_text(sim->keys[task->key].name);
        return;
    case SIM_KEY_KINDS:
        break;
    }
}

void workload_choose_reads(struct sim *sim, struct sim_task *tasks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sim_task *task = &tasks[i];
        task->key = choose_key(sim);
        task->op = (struct wire_op){.type = WIRE_OP_GET,
                                    .key = base_bytes_text(sim->keys[task->key].name)};
        task->word = sim->keys[task->key].word_count;
    }
}

void workload_choose_writes(struct sim *sim, struct sim_task *tasks, uint32_t count)
{
    uint32_t keys = sim->options.keys, first = (uint32_t)sim_draw(sim, 0, keys - 1);
    TORC_ASSERT(count <= keys);
    for (uint32_t i = 0; i < count; i++) {
        struct sim_task *task = &tasks[i];
        task->key = SIM_KEY_REGISTER + SIM_KEY_KINDS * ((first + i) % keys);
        task->op = (struct wire_op){.type = WIRE_OP_PUT,
                                    .key = base_bytes_text(sim->keys[task->key].name)};
        set_value(sim, task, "v", ++sim->value_number, 8);
    }
}

/* Every key is written and read once more, each until it is answered. */
bool workload_choose_last(struct sim *sim, struct sim_task *task)
{
    while (sim->keys_read < sim->key_count && sim->keys[sim->keys_read].last.read)
        sim->keys_read++;
    if (sim->keys_read == sim->key_count)
        return false;
    task->key = sim->keys_read;
    struct sim_key *key = &sim->keys[task->key];
    task->op = (struct wire_op){.key = base_bytes_text(key->name)};
    task->last = true;
    if (key->kind == SIM_KEY_OWN) {
        task->op.type = WIRE_OP_GET;
        (void)own_choose(sim, task, key, false);
    } else if (key->last.written || key->kind == SIM_KEY_EXPIRING ||
               (key->kind == SIM_KEY_LIST && is_full(sim, key))) {
        task->op.type = WIRE_OP_GET;
        task->word = key->word_count;
    } else if (key->kind == SIM_KEY_COUNTER) {
        task->op.type = WIRE_OP_ADD;
        task->op.a = 1;
    } else if (key->kind == SIM_KEY_LIST) {
        choose_word(sim, task, key);
    } else {
        task->op.type = WIRE_OP_PUT;
        set_value(sim, task, "v", ++sim->value_number, 0);
    }
    return true;
}
