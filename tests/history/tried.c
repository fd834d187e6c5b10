#include "tests/history/tried.h"

#include "base/assert.h"
#include "base/hash.h"

/* An entry's words: key size, value, version, answered_begin, answered bits..., unknown bits... */
enum { KEY_FIXED_WORDS = 4 };

struct history_tried_slot {
    uint64_t hash;
    size_t entry; /* Place in words, plus 1; 0 is a free slot. */
};

void history_tried_init(struct history_tried *tried, const struct base_allocator *allocator,
                        size_t unknown_words)
{
    *tried = (struct history_tried){.allocator = allocator, .unknown_words = unknown_words};
}

void history_tried_fini(struct history_tried *tried)
{
    base_array_free(tried->allocator, tried->words, &tried->word_capacity, sizeof(*tried->words));
    base_free(tried->allocator, tried->slots, tried->slot_count * sizeof(*tried->slots));
    *tried = (struct history_tried){0};
}

size_t history_tried_bytes(const struct history_tried *tried)
{
    return tried->word_capacity * sizeof(*tried->words) + tried->slot_count * sizeof(*tried->slots);
}

static void slots_grow(struct history_tried *tried)
{
    size_t slot_count = tried->slot_count == 0 ? 256 : tried->slot_count * 2;
    struct history_tried_slot *slots =
        base_alloc_zero(tried->allocator, slot_count * sizeof(*slots));
    for (size_t i = 0; i < tried->slot_count; i++) {
        if (tried->slots[i].entry == 0)
            continue;
        size_t at = tried->slots[i].hash & (slot_count - 1);
        while (slots[at].entry != 0)
            at = (at + 1) & (slot_count - 1);
        slots[at] = tried->slots[i];
    }
    base_free(tried->allocator, tried->slots, tried->slot_count * sizeof(*tried->slots));
    tried->slots = slots;
    tried->slot_count = slot_count;
}

/* Writes the entry behind the last one, not counting it yet. Returns the words of its key. */
static size_t entry_write(struct history_tried *tried, const struct history_configuration *from)
{
    TORC_ASSERT(from->answered_begin <= from->answered_end);
    size_t set_words = from->answered_end - from->answered_begin;
    size_t key_words = KEY_FIXED_WORDS + set_words;
    tried->words = base_array_reserve(tried->allocator, tried->words, &tried->word_capacity,
                                      tried->word_count + key_words + tried->unknown_words,
                                      sizeof(*tried->words));
    uint64_t *to = tried->words + tried->word_count;
    to[0] = key_words;
    to[1] = from->state.value;
    to[2] = from->state.version;
    to[3] = from->answered_begin;
    memcpy(to + KEY_FIXED_WORDS, from->answered_bits + from->answered_begin,
           set_words * sizeof(*to));
    memcpy(to + key_words, from->unknown_bits, tried->unknown_words * sizeof(*to));
    return key_words;
}

static bool subset(const uint64_t *of, const uint64_t *set, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        if ((of[i] & ~set[i]) != 0)
            return false;
    }
    return true;
}

bool history_tried_add(struct history_tried *tried,
                       const struct history_configuration *configuration)
{
    if (tried->entry_count * 2 >= tried->slot_count)
        slots_grow(tried);
    size_t key_words = entry_write(tried, configuration);
    const uint64_t *entry = tried->words + tried->word_count;
    size_t key_size = key_words * sizeof(*entry);
    uint64_t hash = base_hash(base_bytes_of(entry, key_size));
    size_t at = hash & (tried->slot_count - 1);
    for (; tried->slots[at].entry != 0; at = (at + 1) & (tried->slot_count - 1)) {
        const uint64_t *held = tried->words + tried->slots[at].entry - 1;
        if (tried->slots[at].hash == hash && held[0] == key_words &&
            memcmp(held, entry, key_size) == 0 &&
            subset(held + key_words, entry + key_words, tried->unknown_words))
            return false;
    }
    tried->slots[at] = (struct history_tried_slot){hash, tried->word_count + 1};
    tried->word_count += key_words + tried->unknown_words;
    tried->entry_count++;
    return true;
}
