/* The one encoding of a request and of its answer. */
#include "base/assert.h"
#include "benchmarks/micro/data.h"
#include "benchmarks/micro/part.h"

struct coding {
    const struct base_allocator *allocator;
    uint64_t number;
    size_t size;
    uint8_t bytes[MICRO_REQUEST_SIZE_MAX];
};

static void *begin(const struct base_allocator *allocator, const char *folder, unsigned width)
{
    (void)folder;
    (void)width;
    struct coding *coding = base_alloc_zero(allocator, sizeof(*coding));
    coding->allocator = allocator;
    coding->size = micro_request_write(coding->bytes, sizeof(coding->bytes), 1, 1);
    return coding;
}

static void end(void *context)
{
    struct coding *coding = context;
    base_free(coding->allocator, coding, sizeof(*coding));
}

static void run_request_write(void *context)
{
    struct coding *coding = context;
    part_keep(micro_request_write(coding->bytes, sizeof(coding->bytes), ++coding->number, 1));
}

static void run_request_read(void *context)
{
    struct coding *coding = context;
    struct wire_request request;
    struct wire_op op;
    enum torc_status status =
        wire_request_read(base_bytes_of(coding->bytes, coding->size), &micro_limits, &request);
    TORC_ASSERT(status == TORC_OK);
    for (size_t cursor = 0; wire_op_next(&request, &cursor, &op);)
        part_keep(op.value.size);
}

static void run_answer(void *context)
{
    struct coding *coding = context;
    struct wire_result result = {.kind = WIRE_RESULT_OK, .version = coding->number};
    struct wire_answer answer;
    uint8_t *at = coding->bytes;
    size_t size = wire_answer_begin(at, sizeof(coding->bytes), WIRE_DONE, ++coding->number, 1, 0);
    size += wire_result_write(at + size, sizeof(coding->bytes) - size, &result);
    wire_answer_end(at, size, 1);
    enum torc_status status = wire_answer_read(base_bytes_of(at, size), &answer);
    TORC_ASSERT(status == TORC_OK);
    for (size_t cursor = 0; wire_result_next(&answer, &cursor, &result);)
        part_keep(result.version);
}

const struct part parts_wire[] = {
    {"op encoding: a SET's request written", 1, begin, run_request_write, end},
    {"op encoding: a SET's request read", 1, begin, run_request_read, end},
    {"op encoding: an answer written and read", 1, begin, run_answer, end},
    {NULL, 0, NULL, NULL, NULL},
};
