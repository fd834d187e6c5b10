#include "shard/turn.h"

#include <string.h>

#include "base/assert.h"

void shard_log_batch_add(struct shard_log_batch *batch, const struct base_allocator *allocator,
                         const struct store_record *record, struct base_buffer *buffer)
{
    size_t count = batch->record_count + 1;
    batch->records = base_array_reserve(allocator, batch->records, &batch->records_capacity, count,
                                        sizeof(*batch->records));
    batch->buffers = base_array_reserve(allocator, batch->buffers, &batch->buffers_capacity, count,
                                        sizeof(struct base_buffer *));
    batch->records[batch->record_count] = *record;
    batch->buffers[batch->record_count] = buffer == NULL ? NULL : base_buffer_ref(buffer);
    batch->record_count = count;
    batch->bytes += store_record_size(record);
}

void shard_log_batch_part(struct shard_log_batch *batch, const struct base_allocator *allocator,
                          uint32_t group, uint64_t persist_seq)
{
    batch->parts = base_array_reserve(allocator, batch->parts, &batch->parts_capacity,
                                      batch->part_count + 1, sizeof(*batch->parts));
    batch->parts[batch->part_count++] =
        (struct shard_batch_part){.group = group, .persist_seq = persist_seq};
}

void shard_log_batch_clear(struct shard_log_batch *batch)
{
    for (size_t i = 0; i < batch->record_count; i++)
        base_buffer_unref(batch->buffers[i]);
    batch->record_count = 0;
    batch->part_count = 0;
    batch->bytes = 0;
}

void shard_log_batch_free(struct shard_log_batch *batch, const struct base_allocator *allocator)
{
    shard_log_batch_clear(batch);
    base_array_free(allocator, batch->records, &batch->records_capacity, sizeof(*batch->records));
    base_array_free(allocator, batch->buffers, &batch->buffers_capacity,
                    sizeof(struct base_buffer *));
    base_array_free(allocator, batch->parts, &batch->parts_capacity, sizeof(*batch->parts));
    batch->records = NULL;
    batch->buffers = NULL;
    batch->parts = NULL;
}

/* The message to this requester from this group with room for the answer, begun if need be. The
 * newest are looked at first: answers come in runs. */
static struct shard_reply *reply_of(struct shard_replies *replies,
                                    const struct base_allocator *allocator, uint64_t route,
                                    uint32_t group, size_t size)
{
    for (size_t i = replies->count; i > 0; i--) {
        struct shard_reply *reply = &replies->list[i - 1];
        if (reply->route != route || reply->group != group)
            continue;
        if (reply->answers_size + size <= SHARD_REPLY_BYTES_MAX)
            return reply;
        break;
    }
    replies->list = base_array_reserve(allocator, replies->list, &replies->capacity,
                                       replies->count + 1, sizeof(*replies->list));
    struct shard_reply *reply = &replies->list[replies->count++];
    if (replies->count > replies->used_capacity) {
        *reply = (struct shard_reply){0};
        replies->used_capacity = replies->count;
    }
    reply->route = route;
    reply->group = group;
    return reply;
}

void shard_replies_add(struct shard_replies *replies, const struct base_allocator *allocator,
                       uint64_t route, uint32_t group, struct base_bytes answer)
{
    TORC_ASSERT(answer.size >= WIRE_ANSWER_HEADER_SIZE);
    struct shard_reply *reply = reply_of(replies, allocator, route, group, answer.size);
    reply->answers = base_array_reserve(allocator, reply->answers, &reply->answers_capacity,
                                        reply->answers_size + answer.size, 1);
    memcpy(reply->answers + reply->answers_size, answer.data, answer.size);
    reply->answers_size += answer.size;
    replies->bytes += answer.size;
    reply->answer_count++;
}

void shard_replies_add_status(struct shard_replies *replies, const struct base_allocator *allocator,
                              uint64_t route, uint32_t group, enum wire_answer_status status,
                              uint64_t number, uint64_t clock, uint64_t detail)
{
    uint8_t answer[WIRE_ANSWER_HEADER_SIZE];
    size_t size = wire_answer_begin(answer, sizeof(answer), status, number, clock, detail);
    wire_answer_end(answer, size, 0 /* results */);
    shard_replies_add(replies, allocator, route, group, base_bytes_of(answer, size));
}

bool shard_replies_are_full(const struct shard_replies *replies)
{
    return replies->bytes >= SHARD_REPLIES_BYTES_MAX;
}

void shard_replies_clear(struct shard_replies *replies, const struct base_allocator *allocator)
{
    for (size_t i = 0; i < replies->count; i++) {
        struct shard_reply *reply = &replies->list[i];
        reply->answer_count = 0;
        reply->answers_size = 0;
        if (reply->answers_capacity <= SHARD_REPLY_KEPT_MAX)
            continue;
        base_array_free(allocator, reply->answers, &reply->answers_capacity, 1);
        reply->answers = NULL;
    }
    replies->count = 0;
    replies->bytes = 0;
}

void shard_replies_free(struct shard_replies *replies, const struct base_allocator *allocator)
{
    for (size_t i = 0; i < replies->used_capacity; i++)
        base_array_free(allocator, replies->list[i].answers, &replies->list[i].answers_capacity, 1);
    base_array_free(allocator, replies->list, &replies->capacity, sizeof(*replies->list));
    *replies = (struct shard_replies){0};
}
