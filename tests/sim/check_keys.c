/* What clients were told stays (S19): counters are exact, appended words are there once, in a state
 * that was read after healing. */
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

/* Words are ";N;" each: so often the number stands between two of the signs. */
static uint32_t count_word(const struct sim_key *key, uint64_t number)
{
    char word[32];
    size_t size = (size_t)snprintf(word, sizeof(word), ";%llu;", (unsigned long long)number);
    uint32_t found = 0;
    for (size_t i = 0; i + size <= key->last.size; i++)
        found += memcmp(key->last.bytes + i, word, size) == 0;
    return found;
}

static void check_list(struct sim *sim, const struct sim_key *key)
{
    for (size_t i = 0; i < key->word_count; i++) {
        const struct sim_word *word = &key->words[i];
        uint32_t found = count_word(key, word->number);
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
        if (sim->keys[i].kind == SIM_KEY_COUNTER)
            check_counter(sim, &sim->keys[i]);
        else if (sim->keys[i].kind == SIM_KEY_LIST)
            check_list(sim, &sim->keys[i]);
    }
}
