#include "shard/machine_int.h"

struct outcome {
    struct shard_outcome outcome; /* But for the answer: */
    size_t at, size;              /* its place in bytes. */
};

struct shard_outcomes {
    const struct base_allocator *allocator;
    struct outcome *items;
    size_t count, capacity;
    struct shard_memory bytes;
    size_t size; /* Used of bytes. */
};

struct shard_outcomes *shard_outcomes_new(const struct base_allocator *allocator)
{
    struct shard_outcomes *outcomes = base_alloc_zero(allocator, sizeof(*outcomes));
    outcomes->allocator = allocator;
    return outcomes;
}

void shard_outcomes_free(struct shard_outcomes *outcomes)
{
    if (outcomes == NULL)
        return;
    shard_memory_free(outcomes->allocator, &outcomes->bytes);
    base_array_free(outcomes->allocator, outcomes->items, &outcomes->capacity,
                    sizeof(struct outcome));
    base_free(outcomes->allocator, outcomes, sizeof(*outcomes));
}

void shard_outcomes_clear(struct shard_outcomes *outcomes)
{
    outcomes->count = 0;
    outcomes->size = 0;
    shard_memory_trim(outcomes->allocator, &outcomes->bytes);
}

bool shard_outcomes_next(const struct shard_outcomes *outcomes, size_t *cursor,
                         struct shard_outcome *ret_outcome)
{
    TORC_ASSERT(*cursor <= outcomes->count);
    if (*cursor == outcomes->count)
        return false;
    const struct outcome *item = &outcomes->items[(*cursor)++];
    *ret_outcome = item->outcome;
    ret_outcome->answer = base_bytes_of(outcomes->bytes.data + item->at, item->size);
    return true;
}

/* Room for `size` more bytes; they count once outcomes->size is moved. */
static uint8_t *outcomes_reserve(struct shard_outcomes *outcomes, size_t size)
{
    uint8_t *bytes =
        shard_memory_reserve(outcomes->allocator, &outcomes->bytes, outcomes->size + size);
    return bytes + outcomes->size;
}

static void outcomes_push(struct shard_outcomes *outcomes, struct outcome item)
{
    outcomes->items = base_array_reserve(outcomes->allocator, outcomes->items, &outcomes->capacity,
                                         outcomes->count + 1, sizeof(struct outcome));
    outcomes->items[outcomes->count++] = item;
}

void shard_outcomes_add(struct shard_outcomes *outcomes, const struct shard_outcome *outcome)
{
    struct base_bytes answer = outcome->answer;
    uint8_t *at = outcomes_reserve(outcomes, answer.size + 1);
    if (answer.size > 0)
        memcpy(at, answer.data, answer.size);
    outcomes_push(outcomes, (struct outcome){*outcome, outcomes->size, answer.size});
    outcomes->size += answer.size;
}

void shard_answer_begin(struct shard_run *run, enum wire_answer_status status, uint64_t number,
                        uint64_t clock, uint64_t detail)
{
    struct shard_outcomes *outcomes = run->outcomes;
    run->answer_at = outcomes->size;
    run->result_count = 0;
    uint8_t *at = outcomes_reserve(outcomes, WIRE_ANSWER_HEADER_SIZE);
    outcomes->size += wire_answer_begin(at, WIRE_ANSWER_HEADER_SIZE, status, number, clock, detail);
}

void shard_answer_result(struct shard_run *run, const struct wire_result *result)
{
    size_t size = wire_result_size(result);
    uint8_t *at = outcomes_reserve(run->outcomes, size);
    run->outcomes->size += wire_result_write(at, size, result);
    run->result_count++;
}

struct base_bytes shard_answer_end(struct shard_run *run, struct wire_client_id client,
                                   uint64_t number)
{
    struct shard_outcomes *outcomes = run->outcomes;
    uint8_t *answer = outcomes->bytes.data + run->answer_at;
    size_t size = outcomes->size - run->answer_at;
    wire_answer_end(answer, size, run->result_count);
    struct shard_outcome outcome = {.kind = SHARD_ANSWERED, .client = client, .number = number};
    outcomes_push(outcomes, (struct outcome){outcome, run->answer_at, size});
    return base_bytes_of(answer, size);
}

void shard_answer_drop(struct shard_run *run)
{
    TORC_ASSERT(run->outcomes->size >= run->answer_at);
    run->outcomes->size = run->answer_at;
}
