#include "router/libtorc/queue.h"

#include "base/assert.h"

enum torc_status libtorc_queue_push(struct libtorc_queue *queue, struct libtorc_call *call,
                                    bool *ret_wake)
{
    enum torc_status status = TORC_OK;
    if (queue->closed)
        status = TORC_CLOSED;
    else if (call->ops_size > queue->size_max) /* It would never have room. */
        status = TORC_TOO_LARGE;
    else if (queue->count >= queue->count_max || call->ops_size > queue->size_max - queue->size)
        status = TORC_BUSY;
    if (status != TORC_OK) {
        queue->counters.refused++;
        return status;
    }
    *ret_wake = queue->calls.first == NULL;
    libtorc_list_append(&queue->calls, call);
    queue->count++;
    queue->size += call->ops_size;
    queue->counters.calls++;
    return TORC_OK;
}

struct libtorc_list libtorc_queue_take(struct libtorc_queue *queue)
{
    struct libtorc_list list = queue->calls;
    queue->calls = (struct libtorc_list){NULL, NULL};
    return list;
}

void libtorc_queue_close(struct libtorc_queue *queue)
{
    queue->closed = true;
}

void libtorc_queue_release(struct libtorc_queue *queue, const struct libtorc_call *call)
{
    TORC_ASSERT(call->reply != NULL);
    TORC_ASSERT(queue->count > 0 && queue->size >= call->ops_size);
    queue->count--;
    queue->size -= call->ops_size;
    switch (torc_reply_outcome(call->reply)) {
    case TORC_HAPPENED:
        queue->counters.happened++;
        break;
    case TORC_DID_NOT_HAPPEN:
        queue->counters.did_not_happen++;
        break;
    case TORC_OUTCOME_UNKNOWN:
        queue->counters.unknown++;
        break;
    }
}

bool libtorc_queue_keep(struct libtorc_queue *queue, struct libtorc_call *call)
{
    bool first = queue->replies.first == NULL;
    libtorc_list_append(&queue->replies, call);
    return first;
}

struct libtorc_call *libtorc_queue_reply(struct libtorc_queue *queue, bool *ret_last)
{
    struct libtorc_call *call = libtorc_list_take(&queue->replies);
    if (call == NULL)
        return NULL;
    libtorc_queue_release(queue, call);
    *ret_last = queue->replies.first == NULL;
    return call;
}

void libtorc_queue_check(const struct libtorc_queue *queue)
{
    size_t count = 0, size = 0;
    const struct libtorc_call *lists[] = {queue->calls.first, queue->replies.first};
    for (size_t i = 0; i < 2; i++) {
        for (const struct libtorc_call *call = lists[i]; call != NULL; call = call->next) {
            count++;
            size += call->ops_size;
        }
    }
    TORC_ASSERT(count <= queue->count && size <= queue->size);
    TORC_ASSERT(queue->count <= queue->count_max && queue->size <= queue->size_max);
}
