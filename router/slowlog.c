#include "router/slowlog.h"

#include <stdio.h>
#include <string.h>

#include "router/number.h"
#include "router/reply.h"

enum { WORDS_MAX = 32, WORD_SIZE_MAX = 128 };

void router_slowlog_init(struct router_slowlog *slowlog, const struct base_allocator *allocator,
                         int64_t slower_than_us, size_t entries_max)
{
    *slowlog = (struct router_slowlog){
        .allocator = allocator, .slower_than_us = slower_than_us, .entries_max = entries_max};
    if (entries_max == 0)
        return;
    slowlog->entries = base_alloc_zero(allocator, entries_max * sizeof(*slowlog->entries));
    for (size_t i = 0; i < entries_max; i++)
        slowlog->entries[i].text = router_buffer_empty(allocator);
}

void router_slowlog_fini(struct router_slowlog *slowlog)
{
    if (slowlog->entries_max == 0)
        return;
    for (size_t i = 0; i < slowlog->entries_max; i++)
        router_buffer_fini(&slowlog->entries[i].text);
    base_free(slowlog->allocator, slowlog->entries,
              slowlog->entries_max * sizeof(*slowlog->entries));
}

void router_slowlog_resize(struct router_slowlog *slowlog, size_t entries_max)
{
    struct router_slowlog old = *slowlog;
    router_slowlog_init(slowlog, old.allocator, old.slower_than_us, entries_max);
    slowlog->next_id = old.next_id;
    size_t kept = old.count < entries_max ? old.count : entries_max;
    for (size_t i = old.count - kept; i < old.count; i++) {
        struct router_slowlog_entry *entry = &old.entries[(old.first + i) % old.entries_max];
        slowlog->entries[slowlog->count++] = *entry;
        entry->text = router_buffer_empty(old.allocator);
    }
    router_slowlog_fini(&old);
}

bool router_slowlog_on(const struct router_slowlog *slowlog)
{
    return slowlog->entries_max > 0 && slowlog->slower_than_us >= 0;
}

/* Of each command with a value, the fast ones too: without printf, which costs more than the rest.
 */
static void append_word(struct base_bytes word, struct router_buffer *out)
{
    static const char before[] = "... (", after[] = " more bytes)";
    char text[WORD_SIZE_MAX + sizeof(before) + ROUTER_NUMBER_SIZE_MAX + sizeof(after)];
    if (word.size <= WORD_SIZE_MAX) {
        router_reply_bulk(out, word);
        return;
    }
    size_t size = WORD_SIZE_MAX;
    memcpy(text, word.data, WORD_SIZE_MAX);
    memcpy(text + size, before, sizeof(before) - 1);
    size += sizeof(before) - 1;
    size += router_number_write((int64_t)(word.size - WORD_SIZE_MAX), text + size);
    memcpy(text + size, after, sizeof(after) - 1);
    size += sizeof(after) - 1;
    router_reply_bulk(out, base_bytes_of(text, size));
}

void router_slowlog_words(const struct base_bytes *args, size_t arg_count,
                          struct router_buffer *out)
{
    size_t shown = arg_count <= WORDS_MAX ? arg_count : WORDS_MAX - 1;
    router_reply_array(out, arg_count <= WORDS_MAX ? arg_count : WORDS_MAX);
    for (size_t i = 0; i < shown; i++)
        append_word(args[i], out);
    if (shown < arg_count) {
        char text[64];
        (void)snprintf(text, sizeof(text), "... (%zu more arguments)", arg_count - shown);
        router_reply_bulk_text(out, text);
    }
}

void router_slowlog_add(struct router_slowlog *slowlog,
                        const struct router_slowlog_command *command)
{
    if (!router_slowlog_on(slowlog) || command->took_us < (uint64_t)slowlog->slower_than_us)
        return;
    if (command->words.size == 0)
        return; /* It was begun while nothing was kept. */
    if (slowlog->count == slowlog->entries_max) {
        slowlog->first = (slowlog->first + 1) % slowlog->entries_max;
        slowlog->count--;
    }
    struct router_slowlog_entry *entry =
        &slowlog->entries[(slowlog->first + slowlog->count++) % slowlog->entries_max];
    entry->id = slowlog->next_id++;
    entry->unix_s = command->unix_s;
    entry->took_us = command->took_us;
    router_buffer_clear(&entry->text);
    router_buffer_append(&entry->text, command->words);
    router_reply_bulk(&entry->text, command->address);
    router_reply_bulk(&entry->text, command->name);
}

void router_slowlog_clear(struct router_slowlog *slowlog)
{
    for (size_t i = 0; i < slowlog->entries_max; i++)
        router_buffer_fini(&slowlog->entries[i].text);
    slowlog->count = 0;
}

void router_slowlog_reply(const struct router_slowlog *slowlog, size_t count,
                          struct router_buffer *out)
{
    if (count > slowlog->count)
        count = slowlog->count;
    router_reply_array(out, count);
    for (size_t i = 1; i <= count; i++) {
        size_t at = (slowlog->first + slowlog->count - i) % slowlog->entries_max;
        const struct router_slowlog_entry *entry = &slowlog->entries[at];
        router_reply_array(out, 6);
        router_reply_integer(out, (int64_t)entry->id);
        router_reply_integer(out, (int64_t)entry->unix_s);
        router_reply_integer(out, (int64_t)entry->took_us);
        router_buffer_append(out, router_buffer_bytes(&entry->text));
    }
}
