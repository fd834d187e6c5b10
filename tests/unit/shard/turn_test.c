#include "shard/turn.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/lib/counting.h"
#include "wire/op.h"

static void add(struct shard_replies *replies, const struct base_allocator *allocator,
                uint64_t route, uint32_t group, uint64_t number)
{
    shard_replies_add_status(replies, allocator, route, group, WIRE_BUSY, number, 3, 4);
}

/* One message per requester and group, with its answers in their order. */
Test(turn, answers_are_gathered_by_requester)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_replies replies = {0};
    add(&replies, allocator, 1, 1, 10);
    add(&replies, allocator, 2, 1, 20);
    add(&replies, allocator, 1, 2, 30);
    add(&replies, allocator, 1, 1, 11);
    cr_assert_eq(replies.count, 3);
    cr_assert_eq(replies.list[0].answer_count, 2);
    struct base_bytes rest = base_bytes_of(replies.list[0].answers, replies.list[0].answers_size);
    for (uint64_t number = 10; number <= 11; number++) {
        struct wire_answer answer;
        cr_assert_eq(wire_answer_read(rest, &answer), TORC_OK);
        cr_assert_eq(answer.number, number);
        cr_assert_eq(answer.status, WIRE_BUSY);
        cr_assert_eq(answer.clock, 3);
        cr_assert_eq(answer.detail, 4);
        rest = base_bytes_of(rest.data + answer.encoded.size, rest.size - answer.encoded.size);
    }
    cr_assert_eq(rest.size, 0);
    shard_replies_free(&replies, allocator);
    counting_fini(&counting);
}

/* The next turn uses the memory of the last: a steady load allocates nothing. */
Test(turn, a_steady_load_allocates_nothing)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_replies replies = {0};
    uint64_t calls = 0;
    for (int turn = 0; turn < 10; turn++) {
        for (uint64_t i = 0; i < 100; i++)
            add(&replies, allocator, i % 7, 1, i);
        shard_replies_clear(&replies, allocator);
        cr_assert_eq(replies.count, 0);
        if (turn > 0)
            cr_assert_eq(counting.call_count, calls);
        calls = counting.call_count;
    }
    shard_replies_free(&replies, allocator);
    counting_fini(&counting);
}

/* A message is bounded in size, a turn says when it has enough, and large ones give memory back. */
Test(turn, replies_are_bounded)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct shard_replies replies = {0};
    enum { ANSWER_SIZE = SHARD_REPLY_BYTES_MAX / 2 };
    uint8_t *bytes = base_alloc_zero(allocator, ANSWER_SIZE);
    struct base_bytes answer = base_bytes_of(bytes, ANSWER_SIZE);
    for (int i = 0; i < 5; i++)
        shard_replies_add(&replies, allocator, 1, 1, answer);
    cr_assert_eq(replies.count, 3);
    for (size_t i = 0; i < replies.count; i++)
        cr_assert_leq(replies.list[i].answers_size, SHARD_REPLY_BYTES_MAX);
    cr_assert_not(shard_replies_are_full(&replies));
    while (!shard_replies_are_full(&replies))
        shard_replies_add(&replies, allocator, 1, 1, answer);
    cr_assert_geq(replies.bytes, SHARD_REPLIES_BYTES_MAX);
    base_free(allocator, bytes, ANSWER_SIZE);
    shard_replies_clear(&replies, allocator);
    cr_assert_not(shard_replies_are_full(&replies));
    cr_assert_lt(counting.bytes, SHARD_REPLY_KEPT_MAX);
    shard_replies_free(&replies, allocator);
    counting_fini(&counting);
}

/* A batch keeps the buffers of its records until it is cleared, and counts their bytes. */
Test(turn, a_batch_holds_its_buffers)
{
    struct counting counting;
    const struct base_allocator *allocator = counting_init(&counting);
    struct base_pool pool;
    base_pool_init(&pool, allocator, 1 << 16);
    struct shard_log_batch batch = {0};
    struct base_buffer *buffer = base_buffer_copy(&pool, base_bytes_text("payload"));
    struct store_record entry = {.kind = STORE_RECORD_ENTRY,
                                 .group = 1,
                                 .replica = 1,
                                 .slot = 1,
                                 .payload = base_buffer_bytes(buffer)};
    struct store_record mark = {.kind = STORE_RECORD_MARK, .group = 1, .replica = 1, .slot = 1};
    shard_log_batch_add(&batch, allocator, &entry, buffer);
    shard_log_batch_add(&batch, allocator, &mark, NULL);
    shard_log_batch_part(&batch, allocator, 1, 5);
    base_buffer_unref(buffer);
    cr_assert_eq(pool.buffer_count, 1);
    cr_assert_eq(batch.record_count, 2);
    cr_assert_eq(batch.bytes, 2 * STORE_RECORD_HEADER_SIZE + strlen("payload"));
    cr_assert_eq(batch.parts[0].persist_seq, 5);
    uint64_t calls = counting.call_count;
    shard_log_batch_clear(&batch);
    cr_assert_eq(pool.buffer_count, 0);
    cr_assert_eq(batch.record_count + batch.part_count + batch.bytes, 0);
    shard_log_batch_add(&batch, allocator, &mark, NULL);
    cr_assert_eq(counting.call_count, calls + 1, "only the buffer was given back");
    shard_log_batch_free(&batch, allocator);
    base_pool_fini(&pool);
    counting_fini(&counting);
}
