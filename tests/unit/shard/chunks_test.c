#include <criterion/criterion.h>

#include "shard/chunks.h"
#include "tests/lib/counting.h"

/* What was given back is what the next of its size takes, from no heap. */
Test(chunks, given_back_is_taken_again)
{
    struct counting counting;
    struct shard_chunks chunks;
    shard_chunks_init(&chunks, counting_init(&counting));
    for (size_t size = 1; size <= 64 * 1024; size = size * 3 / 2 + 1) {
        size_t first_size, second_size;
        void *first = shard_chunks_take(&chunks, size, &first_size);
        cr_assert(first_size >= size && first_size < size * 2 + SHARD_CHUNK_SIZE_MIN);
        shard_chunks_give(&chunks, first, first_size);
        uint64_t calls = counting.call_count;
        void *second = shard_chunks_take(&chunks, size, &second_size);
        cr_assert_eq(second, first);
        cr_assert_eq(second_size, first_size);
        cr_assert_eq(counting.call_count, calls);
        shard_chunks_give(&chunks, second, second_size);
    }
    shard_chunks_fini(&chunks);
    counting_fini(&counting);
}

/* What is kept is bounded, and large chunks are not kept at all. */
Test(chunks, kept_memory_is_bounded)
{
    struct counting counting;
    struct shard_chunks chunks;
    shard_chunks_init(&chunks, counting_init(&counting));
    enum { COUNT = 100 };
    void *taken[COUNT];
    size_t size;
    for (int i = 0; i < COUNT; i++)
        taken[i] = shard_chunks_take(&chunks, 64 * 1024, &size);
    for (int i = 0; i < COUNT; i++)
        shard_chunks_give(&chunks, taken[i], size);
    cr_assert_leq(counting.bytes, SHARD_CHUNKS_KEPT_MAX);
    cr_assert_gt(counting.bytes, SHARD_CHUNKS_KEPT_MAX / 2);
    size_t before = counting.bytes;
    void *large = shard_chunks_take(&chunks, 64 * 1024 + 1, &size);
    shard_chunks_give(&chunks, large, size);
    shard_chunks_give(&chunks, NULL, 0);
    cr_assert_eq(counting.bytes, before);
    shard_chunks_fini(&chunks);
    counting_fini(&counting);
}
