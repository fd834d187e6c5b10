#include "router/libtorc/queue.h"

#include <criterion/criterion.h>

#include "router/libtorc/reply.h"

static struct libtorc_call *call_of(size_t size)
{
    static uint8_t ops[101];
    return libtorc_call_new(base_bytes_of(ops, size), 1);
}

static void answer(struct libtorc_call *call, enum torc_outcome outcome)
{
    call->reply = libtorc_reply_failed(outcome, TORC_OK, "");
}

/* Past either bound a call is refused, and there is room again when one is released, not before. */
Test(libtorc_queue, bounds_hold)
{
    struct libtorc_queue queue = {.count_max = 3, .size_max = 100};
    struct libtorc_call *calls[3] = {call_of(60), call_of(41), call_of(40)}, *more = call_of(0);
    bool wake;
    cr_assert_eq(libtorc_queue_push(&queue, calls[0], &wake), TORC_OK);
    cr_assert(wake, "the thread may be asleep");
    cr_assert_eq(libtorc_queue_push(&queue, calls[1], &wake), TORC_BUSY, "too many bytes");
    cr_assert_eq(libtorc_queue_push(&queue, calls[2], &wake), TORC_OK);
    cr_assert_not(wake, "the thread knows");
    cr_assert_eq(libtorc_queue_push(&queue, more, &wake), TORC_OK);
    struct libtorc_call *fourth = call_of(0);
    cr_assert_eq(libtorc_queue_push(&queue, fourth, &wake), TORC_BUSY, "too many");
    struct libtorc_call *huge = call_of(101);
    cr_assert_eq(libtorc_queue_push(&queue, huge, &wake), TORC_TOO_LARGE, "never has room");
    libtorc_call_free(huge);
    libtorc_queue_check(&queue);

    struct libtorc_list taken = libtorc_queue_take(&queue);
    cr_assert_eq(libtorc_list_take(&taken), calls[0]);
    cr_assert_eq(libtorc_queue_push(&queue, fourth, &wake), TORC_BUSY, "still under way");
    answer(calls[0], TORC_HAPPENED);
    libtorc_queue_release(&queue, calls[0]);
    cr_assert_eq(libtorc_queue_push(&queue, calls[1], &wake), TORC_OK);
    cr_assert(wake);
    cr_assert(queue.counters.calls == 4 && queue.counters.refused == 4);
    libtorc_queue_check(&queue);

    libtorc_call_free(calls[0]);
    libtorc_call_free(libtorc_list_take(&taken));
    libtorc_call_free(libtorc_list_take(&taken));
    taken = libtorc_queue_take(&queue);
    libtorc_call_free(libtorc_list_take(&taken));
    libtorc_call_free(fourth);
}

/* Replies are given out in their order; the first makes the descriptor readable, the last ends it.
 */
Test(libtorc_queue, replies_wait_to_be_told)
{
    static const enum torc_outcome outcomes[] = {TORC_HAPPENED, TORC_DID_NOT_HAPPEN,
                                                 TORC_OUTCOME_UNKNOWN};
    struct libtorc_queue queue = {.count_max = 3, .size_max = 100};
    bool wake, last;
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(libtorc_queue_push(&queue, call_of(1), &wake), TORC_OK);
    struct libtorc_list taken = libtorc_queue_take(&queue);
    for (size_t i = 0; i < 3; i++) {
        struct libtorc_call *call = libtorc_list_take(&taken);
        answer(call, outcomes[i]);
        cr_assert_eq(libtorc_queue_keep(&queue, call), i == 0);
        libtorc_queue_check(&queue);
    }
    cr_assert_eq(queue.count, 3, "they count until they are told");
    for (size_t i = 0; i < 3; i++) {
        struct libtorc_call *call = libtorc_queue_reply(&queue, &last);
        cr_assert_eq(torc_reply_outcome(call->reply), outcomes[i]);
        cr_assert_eq(last, i == 2);
        libtorc_call_free(call);
    }
    cr_assert_null(libtorc_queue_reply(&queue, &last));
    cr_assert(queue.count == 0 && queue.size == 0);
    cr_assert(queue.counters.happened == 1 && queue.counters.did_not_happen == 1 &&
              queue.counters.unknown == 1);
}

/* What is closed takes nothing more, and still tells. */
Test(libtorc_queue, closed_takes_nothing)
{
    struct libtorc_queue queue = {.count_max = 3, .size_max = 100};
    struct libtorc_call *call = call_of(1);
    bool wake, last;
    libtorc_queue_close(&queue);
    cr_assert_eq(libtorc_queue_push(&queue, call, &wake), TORC_CLOSED);
    cr_assert_null(libtorc_queue_reply(&queue, &last));
    libtorc_call_free(call);
}
