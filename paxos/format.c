/* Stable text of what a machine wants done. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "paxos/consensus.h"

struct text {
    char *buffer;
    size_t size;
    size_t length; /* That it would need. */
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    bool room = text->length < text->size;
    int length = vsnprintf(room ? text->buffer + text->length : NULL,
                           room ? text->size - text->length : 0, format, arguments);
    va_end(arguments);
    TORC_ASSERT(length >= 0);
    text->length += (size_t)length;
}

static void put_number(struct text *text, const char *name, uint64_t number)
{
    if (number != 0)
        put(text, " %s=%" PRIu64, name, number);
}

static void put_ballot(struct text *text, const char *name, struct base_ballot ballot)
{
    if (!base_ballot_is_none(ballot))
        put(text, " %s=%" PRIu64 ".%" PRIu32 ".%" PRIu32, name, ballot.round, ballot.node,
            ballot.incarnation);
}

/* A value is shown by its first bytes, which tests make printable. */
static void put_value(struct text *text, const struct consensus_entry *entry)
{
    enum { SHOWN_MAX = 16 };
    if (entry->kind == CONSENSUS_NOOP)
        put(text, " noop");
    if (entry->kind == CONSENSUS_BARRIER)
        put(text, " barrier");
    if (entry->value == NULL)
        return;
    put(text, " \"");
    for (uint32_t i = 0; i < entry->value->size && i < SHOWN_MAX; i++) {
        uint8_t byte = entry->value->data[i];
        if (byte >= ' ' && byte <= '~')
            put(text, "%c", byte);
        else
            put(text, "\\x%02x", byte);
    }
    put(text, entry->value->size > SHOWN_MAX ? "...\"" : "\"");
}

static void put_entry(struct text *text, const struct consensus_entry *entry)
{
    put_number(text, "slot", entry->slot);
    put_ballot(text, "ballot", entry->ballot);
    if (!base_ballot_equal(entry->origin, entry->ballot))
        put_ballot(text, "origin", entry->origin);
    put_value(text, entry);
}

static void put_record(struct text *text, const struct consensus_record *record)
{
    static const char *const names[] = {"", "PROMISE", "ENTRY", "LEARNED"};
    TORC_ASSERT(record->kind >= CONSENSUS_RECORD_PROMISE &&
                record->kind <= CONSENSUS_RECORD_LEARNED);
    put(text, "record %s", names[record->kind]);
    put_entry(text, &record->entry);
    put(text, "\n");
}

static void put_message(struct text *text, const struct consensus_type *type,
                        const struct consensus_message *message)
{
    put(text, "send %s to=%" PRIu64, type->message_name(message->type), message->to);
    put_ballot(text, "ballot", message->ballot);
    put_ballot(text, "other", message->other);
    put_number(text, "first", message->first);
    put_number(text, "last", message->last);
    put_number(text, "chosen", message->chosen);
    put_number(text, "durable", message->durable);
    put_number(text, "floor", message->floor);
    put_number(text, "round", message->round);
    put_number(text, "echo", message->echo);
    put_number(text, "confirmed", message->confirmed);
    put_number(text, "flags", message->flags);
    put(text, "\n");
    for (uint32_t i = 0; i < message->entry_count; i++) {
        put(text, " ");
        put_entry(text, &message->entries[i]);
        put(text, "\n");
    }
}

static void put_apply(struct text *text, const struct consensus_apply *apply)
{
    put(text, "apply");
    put_entry(text, &apply->entry);
    put_ballot(text, "barrier", apply->barrier);
    if (apply->entry.kind == CONSENSUS_VALUE && !apply->effective)
        put(text, " void");
    put(text, "\n");
}

size_t consensus_format_ready(const struct consensus_type *type,
                              const struct consensus_ready *ready, char *buffer, size_t buffer_size)
{
    struct text text = {.buffer = buffer, .size = buffer_size};
    if (buffer_size > 0)
        buffer[0] = '\0';
    for (uint32_t i = 0; i < ready->record_count; i++)
        put_record(&text, &ready->records[i]);
    if (ready->persist_seq != 0)
        put(&text, "persist seq=%" PRIu64 " mark=%" PRIu64 "\n", ready->persist_seq, ready->mark);
    for (uint32_t i = 0; i < ready->message_count; i++)
        put_message(&text, type, &ready->messages[i]);
    for (uint32_t i = 0; i < ready->apply_count; i++)
        put_apply(&text, &ready->apply[i]);
    for (uint32_t i = 0; i < ready->read_count; i++)
        put(&text, "read id=%" PRIu64 " %s%s\n", ready->reads[i].id,
            torc_status_name(ready->reads[i].status), ready->reads[i].by_lease ? " lease" : "");
    if (ready->load_first != 0)
        put(&text, "load first=%" PRIu64 " last=%" PRIu64 "\n", ready->load_first,
            ready->load_last);
    return text.length;
}
