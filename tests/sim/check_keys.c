/* What clients were told stays (S19): counters are exact, appended words are there once, in a state
 * that was read after healing. Commands of one client on one key take effect in their order. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static void check_counter(struct sim *sim, const struct sim_key *key)
{
    char text[32] = "0";
    if (key->last.size >= sizeof(text))
        sim_fail(sim, "counters", "counter %s has %zu digits", key->name, key->last.size);
    if (key->last.present)
        memcpy(text, key->last.bytes, key->last.size);
    text[key->last.present ? key->last.size : 1] = '\0';
    int64_t value = strtoll(text, NULL, 10);
    if (value < key->added_acked || value > key->added_acked + key->added_unknown)
        sim_fail(sim, "counters", "counter %s is %lld: %lld acknowledged, %lld unknown", key->name,
                 (long long)value, (long long)key->added_acked, (long long)key->added_unknown);
}

/* Words are ";N;" each: so often the number stands between two of the signs; the last place. */
static uint32_t find_word(struct base_bytes list, uint64_t number, size_t *ret_at)
{
    char word[32];
    size_t size = (size_t)snprintf(word, sizeof(word), ";%llu;", (unsigned long long)number);
    const uint8_t *at = list.data, *end = list.data + list.size;
    uint32_t found = 0;
    while (list.size > 0 && (at = memmem(at, (size_t)(end - at), word, size)) != NULL) {
        *ret_at = (size_t)(at++ - list.data);
        found++;
    }
    return found;
}

/* A client's words that were acknowledged stand in the order in which it asked for them. */
static void check_order(struct sim *sim, const struct sim_key *key)
{
    size_t last[SIM_CLIENTS_MAX] = {0};
    for (size_t i = 0; i < key->word_count; i++) {
        const struct sim_word *word = &key->words[i];
        size_t at = 0;
        if (word->outcome != HISTORY_OK || word->client >= SIM_CLIENTS_MAX)
            continue; /* Of the library's calls none has an order. */
        find_word(base_bytes_of(key->last.bytes, key->last.size), word->number, &at);
        if (at < last[word->client])
            sim_fail(sim, "order",
                     "word %llu of list %s stands before one that client %u added first",
                     (unsigned long long)word->number, key->name, word->client + 1);
        last[word->client] = at;
    }
}

void check_list_read(struct sim *sim, const struct sim_task *task, const struct wire_result *result)
{
    const struct sim_key *key = &sim->keys[task->key];
    struct base_bytes list =
        result->kind == WIRE_RESULT_BYTES ? result->bytes : base_bytes_text("");
    size_t i = task->word, at;
    while (i > 0 &&
           (key->words[i - 1].client != task->client || key->words[i - 1].outcome != HISTORY_OK))
        i--;
    if (i > 0 && find_word(list, key->words[i - 1].number, &at) == 0)
        sim_fail(sim, "order", "client %u reads list %s without word %llu, which it added before",
                 task->client + 1, key->name, (unsigned long long)key->words[i - 1].number);
}

static void check_list(struct sim *sim, const struct sim_key *key)
{
    struct base_bytes list = base_bytes_of(key->last.bytes, key->last.size);
    for (size_t i = 0; i < key->word_count; i++) {
        const struct sim_word *word = &key->words[i];
        size_t at;
        uint32_t found = find_word(list, word->number, &at);
        uint32_t least = word->outcome == HISTORY_OK, most = word->outcome != HISTORY_FAILED;
        if (found < least || found > most)
            sim_fail(sim, "words", "word %llu of list %s stands %u times in it (%s)",
                     (unsigned long long)word->number, key->name, found,
                     least  ? "acknowledged"
                     : most ? "unknown"
                            : "not done");
    }
}

void check_keys(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->key_count; i++) {
        const struct sim_key *key = &sim->keys[i];
        if (key->kind == SIM_KEY_COUNTER) {
            check_counter(sim, key);
        } else if (key->kind == SIM_KEY_LIST) {
            check_list(sim, key);
            check_order(sim, key);
        }
    }
}
